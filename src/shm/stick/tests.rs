//! Tables by themselves: against a model, over processes, after kills.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use lighterman_sys::fork::fork_alone;
use lighterman_sys::map::Region;

use super::*;

fn spec(size: u32, expire: Option<u32>, words: &[&str]) -> Spec {
    let store = |word: &&str| {
        let data = Data::find(word).unwrap();
        let count = if data.is_array() { 3 } else { 1 };
        Store { data, count, period: 1000 }
    };
    let mut spec = Spec { expire, ..Spec::new("t", KeyType::Int, 4, size) };
    words.iter().for_each(|word| spec.keep(store(word)));
    spec
}

fn tables(spec: Spec) -> Tables {
    Tables::new(&[spec], 8).unwrap()
}

fn key(n: u32) -> [u8; 4] {
    n.to_be_bytes()
}

#[test]
fn what_is_counted_is_there() {
    let all = tables(spec(10, Some(1000), &["gpc0", "http_req_rate", "gpc", "server_key", "bytes_in_cnt"]));
    let table = all.get(0).unwrap();
    table
        .update(&key(7), 5000, |e| {
            e.add(Data::Gpc0, 0, 3, 5000);
            e.add(Data::HttpReqRate, 0, 10, 5000);
            e.set(Data::Gpc, 2, 9, 5000);
            e.set(Data::ServerKey, 0, table.name_number("s1").into(), 5000);
            e.add(Data::BytesInCnt, 0, 1 << 40, 5000);
            assert!(!e.add(Data::Gpc1, 0, 1, 5000), "not kept");
        })
        .unwrap();
    let mut text = table.show_head();
    table.find(&key(7), 5400, |e| e.show(5400, &mut text)).unwrap();
    assert_eq!(
        text,
        "# table: t, type: integer, size:10, used:1\n0x40: key=7 use=0 exp=600 gpc0=3 http_req_rate(1000)=10 \
         bytes_in_cnt=1099511627776 server_key=s1 gpc0=0 gpc1=0 gpc2=9\n"
    );
    assert_eq!(table.find(&key(7), 5999, |e| e.get(Data::HttpReqRate, 0, 6500)), Some(Some(5)));
    assert_eq!(table.find(&key(7), 6000, |_| ()), None, "too old");
    assert_eq!((table.used(), table.find(&key(8), 0, |_| ())), (0, None));
}

#[test]
fn an_ip_entry_with_two_counters_is_small() {
    let mut two = spec(1 << 20, None, &["gpc0", "conn_cur"]);
    two.key = KeyType::Ip4;
    let all = tables(two);
    assert!(all.get(0).unwrap().entry_bytes() <= 64 + 24, "{}", all.get(0).unwrap().entry_bytes());
}

#[test]
fn the_oldest_makes_room_unless_told_not_to() {
    let all = tables(spec(3, None, &["gpc0"]));
    let table = all.get(0).unwrap();
    (1..=3).for_each(|n| assert!(table.update(&key(n), 0, |_| ()).is_some()));
    table.find_and_touch(&key(1), 0, |_| ());
    let held = table.hold(&key(2), false, 1, 0).unwrap();
    table.find_and_touch(&key(3), 0, |_| ());
    table.find_and_touch(&key(1), 0, |_| ());
    table.update(&key(4), 0, |_| ());
    let there: Vec<u32> = (1..=4).filter(|n| table.find(&key(*n), 0, |_| ()).is_some()).collect();
    assert_eq!(there, [1, 2, 4], "2 is older than 3, but in use");
    assert_eq!(table.remove(&key(2), 0), Some(false));
    assert!(table.release(held, 1, 0));
    assert_eq!(table.remove(&key(2), 0), Some(true));

    let mut strict = spec(2, Some(1000), &[]);
    strict.nopurge = true;
    let all = tables(strict);
    let table = all.get(0).unwrap();
    assert!(table.update(&key(1), 0, |_| ()).is_some() && table.update(&key(2), 500, |_| ()).is_some());
    assert!(table.update(&key(3), 900, |_| ()).is_none());
    assert!(table.update(&key(3), 1000, |_| ()).is_some(), "the first is too old now");
    assert_eq!(table.purge(1499) + table.purge(1500), 1);
}

#[test]
fn a_large_table_holds_as_many_as_it_says() {
    let all = tables(spec(50_000, None, &["gpc0"]));
    let table = all.get(0).unwrap();
    assert!(table.shards() > 1);
    (0..50_000).for_each(|n| assert!(table.update(&key(n), 0, |_| ()).is_some()));
    assert_eq!((0..50_000).filter(|n| table.find(&key(*n), 0, |_| ()).is_some()).count(), 50_000);
    (50_000..60_000).for_each(|n| assert!(table.update(&key(n), 0, |_| ()).is_some()));
    assert_eq!(table.used(), 50_000);
    table.sweep(0, |_| true);
    assert_eq!(table.used(), 0);
}

#[test]
fn does_what_a_plain_list_does() {
    let mut rng = crate::base::rng::Rng::from_seed(7);
    for round in 0..40u8 {
        // few keys meet often, many fill the table
        let mask = [7, 31, 255][usize::from(round / 3 % 3)];
        let mut bytes: Vec<u8> = (0..3000)
            .map(|nth| {
                let byte = (rng.next() >> 24) as u8;
                if nth % 2 == 0 {
                    byte & mask
                } else {
                    byte
                }
            })
            .collect();
        bytes[0] = (round % 3) | if round & 1 == 1 { 0x80 } else { 0 };
        fuzz::fuzz_stick_ops(&bytes);
    }
}

#[test]
fn the_fuzz_corpus_does_no_harm() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus/stick_ops");
    let mut seen = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        fuzz::fuzz_stick_ops(&std::fs::read(entry.unwrap().path()).unwrap());
        seen += 1;
    }
    assert!(seen >= 3, "the corpus is there");
}

#[test]
fn processes_count_together_and_a_dead_one_takes_only_its_own() {
    let all = tables(spec(100, None, &["conn_cur", "conn_cnt", "conn_rate"]));
    let table = all.get(0).unwrap();
    let ready = Region::<AtomicU64>::alone(1).unwrap();
    let own = table.hold(&key(1), true, 0, 0).unwrap();
    let child = |slot: u32| {
        let ready = ready.clone();
        let all = all.clone();
        fork_alone(move || {
            let table = all.get(0).unwrap();
            for _ in 0..1000 {
                let held = table.hold(&key(1), true, slot, 0).unwrap();
                table.held(held).add(Data::ConnCnt, 0, 1, 0);
                table.held(held).add(Data::ConnRate, 0, 1, 0);
                if ready[0].load(SeqCst) < u64::MAX && slot.is_multiple_of(2) {
                    all.release(held, slot, 0);
                }
            }
            ready[0].fetch_add(1, SeqCst);
            loop {
                std::thread::park();
            }
        })
        .unwrap()
    };
    let children: Vec<_> = (1..=4).map(child).collect();
    while ready[0].load(SeqCst) < 4 {
        std::thread::yield_now();
    }
    let see = |data| table.held(own).get(data, 0, 0).unwrap();
    assert_eq!((see(Data::ConnCur), see(Data::ConnCnt), see(Data::ConnRate)), (2001, 4000, 4000));
    for (nth, child) in children.into_iter().enumerate() {
        child.kill(9).unwrap();
        child.wait().unwrap();
        all.bury(nth as u32 + 1);
        assert_eq!(see(Data::ConnCur), [1001, 1001, 1, 1][nth]);
    }
    assert_eq!((see(Data::ConnCur), table.held(own).holders()), (1, 1));
    all.release(own, 0, 0);
    assert_eq!(table.find(&key(1), 0, |e| e.holders()), Some(0));
}

#[test]
fn killed_inside_loses_nothing_of_others() {
    let all = tables(spec(20_000, None, &["conn_cur", "gpc0"]));
    let table = all.get(0).unwrap();
    (0..10_000).for_each(|n| {
        table.update(&key(n), 0, |e| e.add(Data::Gpc0, 0, n.into(), 0));
    });
    let mine: Vec<Held> = (0..100).map(|n| table.hold(&key(n), true, 0, 0).unwrap()).collect();
    let mut repaired = 0;
    let turns = Region::<AtomicU64>::alone(1).unwrap();
    for round in 0..40u32 {
        turns[0].store(0, SeqCst);
        let child = fork_alone(|| {
            // endless work inside: wherever the kill comes, it is likely in the middle of something
            let mut n = 0;
            loop {
                let held = table.hold(&key(n % 200), true, 1, 0);
                table.update(&key(100_000 + n), 0, |_| ());
                if let Some(held) = held.filter(|_| n % 7 != 0) {
                    all.release(held, 1, 0);
                }
                turns[0].fetch_add(1, SeqCst);
                n += 1;
                if n % 5000 == 0 {
                    table.sweep(0, |e| e.key() >= key(100_000).to_vec());
                }
            }
        })
        .unwrap();
        while turns[0].load(SeqCst) < u64::from(round) * 37 {
            std::thread::yield_now();
        }
        child.kill(9).unwrap();
        child.wait().unwrap();
        all.bury(1);
        // whoever comes next finds and mends what is broken
        table.sweep(0, |e| e.key() >= key(100_000).to_vec());
        repaired = table.repairs();
    }
    for n in 0..10_000u32 {
        let uses = u64::from(n < 100);
        let seen =
            table.find(&key(n), 0, |e| (e.get(Data::Gpc0, 0, 0), e.get(Data::ConnCur, 0, 0), e.holders()));
        assert_eq!(seen, Some((Some(n.into()), Some(uses), uses as u32)), "key {n}, {repaired} repairs");
    }
    assert_eq!(table.used(), 10_000);
    mine.into_iter().for_each(|held| all.release(held, 0, 0));
}

#[test]
fn a_holder_killed_with_the_lock_is_followed_by_a_repair() {
    let all = tables(spec(10, None, &["conn_cur"]));
    let table = all.get(0).unwrap();
    let mine = table.hold(&key(1), true, 0, 0).unwrap();
    let inside = Region::<AtomicU64>::alone(1).unwrap();
    let child = fork_alone(|| {
        table.hold(&key(1), true, 1, 0);
        table.update(&key(2), 0, |_| {
            inside[0].store(1, SeqCst);
            loop {
                std::thread::park();
            }
        });
        0
    })
    .unwrap();
    while inside[0].load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    assert_eq!(table.find(&key(1), 0, |_| ()), None, "a holder that stopped is not waited for");
    child.kill(9).unwrap();
    child.wait().unwrap();
    all.bury(1);
    assert_eq!(table.find(&key(1), 0, |e| (e.get(Data::ConnCur, 0, 0), e.holders())), Some((Some(1), 1)));
    assert_eq!((table.repairs(), table.used()), (1, 2));
    assert!(table.release(mine, 0, 0));
}

#[test]
fn what_cannot_be_let_go_of_at_once_is_later() {
    let all = tables(spec(10, None, &["conn_cur"]));
    let table = all.get(0).unwrap();
    let steps = Region::<AtomicU64>::alone(2).unwrap();
    let child = |slot: u32, inside: bool| {
        fork_alone(|| {
            (0..3).for_each(|n| assert!(table.hold(&key(n), true, slot, 0).is_some()));
            steps[0].fetch_add(1, SeqCst);
            let stop = |_: Entry<'_>| {
                steps[1].store(1, SeqCst);
                loop {
                    std::thread::park();
                }
            };
            if inside {
                table.update(&key(2), 0, stop);
            }
            loop {
                std::thread::park();
            }
        })
        .unwrap()
    };
    let victim = child(1, false);
    while steps[0].load(SeqCst) < 1 {
        std::thread::yield_now();
    }
    let frozen = child(2, true);
    while steps[1].load(SeqCst) < 1 {
        std::thread::yield_now();
    }
    victim.kill(9).unwrap();
    victim.wait().unwrap();
    all.bury(1);
    assert!(all.need_tending(1) && !all.need_tending(2));
    // the next in this place works beside what was left, once the lock is to be had
    frozen.kill(9).unwrap();
    frozen.wait().unwrap();
    let own = table.hold(&key(0), true, 1, 0).unwrap();
    let see =
        |n: u32| table.find(&key(n), 0, |e| (e.get(Data::ConnCur, 0, 0).unwrap(), e.holders())).unwrap();
    assert_eq!([see(0), see(1), see(2)], [(3, 3), (2, 2), (2, 2)]);
    all.tend(1, 0);
    assert_eq!([see(0), see(1), see(2)], [(2, 2), (1, 1), (1, 1)]);
    all.bury(2);
    assert_eq!([see(0), see(1), see(2)], [(1, 1), (0, 0), (0, 0)]);
    assert!(!all.need_tending(1));
    all.release(own, 1, 0);
    assert_eq!(see(0), (0, 0));
}

#[test]
fn reloads_keep_what_they_can() {
    let first = tables(spec(10, None, &["gpc0", "conn_cur"]));
    first.get(0).unwrap().update(&key(1), 0, |e| e.add(Data::Gpc0, 0, 5, 0));
    let gpc = |tables: &Tables| tables.get(0).unwrap().find(&key(1), 0, |e| e.get(Data::Gpc0, 0, 0));
    let (same, said) = first.renew(&[spec(10, Some(99), &["gpc0", "conn_cur"])], 8, 0).unwrap();
    assert_eq!((gpc(&same), said.len()), (Some(Some(5)), 0));
    let (wider, said) = same.renew(&[spec(20, None, &["gpc0", "gpc1"])], 8, 0).unwrap();
    assert_eq!(gpc(&wider), Some(Some(5)));
    assert_eq!(said, ["stick table \"t\" was changed: 1 of 1 entries carried over"]);
    let mut other = spec(20, None, &["gpc0"]);
    (other.key, other.len) = (KeyType::Str, 32);
    let (empty, said) = wider.renew(&[other], 8, 0).unwrap();
    assert_eq!((empty.get(0).unwrap().used(), said.len()), (0, 1));
}

#[test]
fn keys_are_read_and_shown() {
    let mut spec = spec(1, None, &[]);
    let rows: &[(KeyType, usize, &str, &str)] = &[
        (KeyType::Ip4, 4, "192.0.2.1", "192.0.2.1"),
        (KeyType::Ip6, 16, "2001:db8::1", "2001:db8::1"),
        (KeyType::Int, 4, "4294967295", "4294967295"),
        (KeyType::Str, 6, "abcdefgh", "abcde"),
        (KeyType::Str, 32, "a b", "a\\ b"),
        (KeyType::Bin, 4, "0aFf", "0AFF0000"),
    ];
    for (ty, len, word, shown) in rows {
        (spec.key, spec.len) = (*ty, *len);
        let mut out = String::new();
        show::show_key(&spec, &read(&spec, word), &mut out);
        assert_eq!(&out, shown);
    }
    for (ty, word) in
        [(KeyType::Ip4, "x"), (KeyType::Int, "-1"), (KeyType::Bin, "abc"), (KeyType::Ip6, "1.2.3")]
    {
        spec.key = ty;
        assert!(show::read_key(&spec, word).is_none(), "{word}");
    }
    assert_eq!(Data::find_at("gpc3_rate"), Some((Data::GpcRate, 3)));
    assert_eq!(Data::find_at("gpc0"), Some((Data::Gpc0, 0)));
    assert_eq!(Data::find_at("gpc12"), Some((Data::Gpc, 12)));
}

fn read(spec: &Spec, word: &str) -> Vec<u8> {
    show::read_key(spec, word).unwrap()
}
