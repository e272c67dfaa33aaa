//! Nanoseconds per lookup in maps of 100 and of 100,000 entries, for every way of searching that must not
//! depend on their number, and per change as commands and rules make it.
//!
//! `cargo bench --bench maps`. Each figure is the best of several rounds: the machine's noise only adds.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a bench reads the clock and prints"
)]

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Instant;

use lighterman::expr::live::{Change, LiveMaps, Op};
use lighterman::expr::map::{MapFile, MapUse, Maps};
use lighterman::expr::pattern::Match;
use lighterman::expr::sample::Sample;
use lighterman::shm::changelog::ChangeLog;
use lighterman_sys::map::Region;

/// Lookups per round.
const LOOKUPS: usize = 100_000;

fn main() {
    println!("{:<28} {:>12} {:>12} {:>12}", "ns per lookup", "100", "100,000", "misses");
    let host = |n: usize| format!("host-{n}.customers.example.com");
    let path = |n: usize| format!("/customers/{n}/shop");
    row("str", Match::Str, host, host);
    row("beg", Match::Beg, path, |n| format!("/customers/{n}/shop/cart?item=7"));
    row("end", Match::End, |n| format!(".host-{n}.example.com"), |n| format!("www.host-{n}.example.com"));
    row("dom", Match::Dom, |n| format!("host-{n}"), host);
    row("dir", Match::Dir, |n| format!("c{n}"), |n| format!("/customers/c{n}/shop"));
    row("int", Match::Int, |n| n.to_string(), |n| n.to_string());
    row("ip, networks of /12 to /32", Match::Ip, network, |n| address(n).to_string());
    changes();
}

fn address(n: usize) -> Ipv4Addr {
    Ipv4Addr::from((n as u32).wrapping_mul(0x9e37_79b1))
}

fn network(n: usize) -> String {
    format!("{}/{}", address(n), 12 + n % 21)
}

fn map(count: usize, how: Match, key: impl Fn(usize) -> String) -> (Maps, MapUse) {
    let text: String = (0..count).map(|n| format!("{} value-{n}\n", key(n))).collect();
    let mut maps = Maps::default();
    let map = maps.push(MapFile::read("bench", text.as_bytes(), true).expect("a map"));
    let by = maps.use_as(map, how, false).expect("a way to search");
    (maps, by)
}

fn row(
    name: &str,
    how: Match,
    key: impl Fn(usize) -> String + Copy,
    subject: impl Fn(usize) -> String + Copy,
) {
    let small = lookups(100, how, key, |n| subject(n % 100));
    let large = lookups(100_000, how, key, subject);
    let misses = lookups(100_000, how, key, |n| subject(n + 200_000));
    println!("{name:<28} {small:>12.0} {large:>12.0} {misses:>12.0}");
}

fn lookups(
    count: usize,
    how: Match,
    key: impl Fn(usize) -> String,
    subject: impl Fn(usize) -> String,
) -> f64 {
    let (maps, by) = map(count, how, key);
    // another order than that of the entries, so that the caches have no easy time
    let subjects: Vec<String> = (0..LOOKUPS).map(|n| subject(n.wrapping_mul(61_843) % 100_000)).collect();
    let samples: Vec<Sample<'_>> = subjects.iter().map(|text| sample(how, text)).collect();
    best(|| {
        for sample in &samples {
            black_box(maps.lookup(by, sample));
        }
    })
}

fn sample(how: Match, text: &str) -> Sample<'_> {
    match how {
        Match::Int => Sample::Int(text.parse().expect("a number")),
        Match::Ip => Sample::Ip4(text.parse().expect("an address")),
        _ => Sample::text(text),
    }
}

/// A map that two processes have: one makes changes, the other obeys.
fn changes() {
    let (maps, by) = map(100_000, Match::Str, |n| format!("host-{n}.example.com"));
    let region = Region::alone(ChangeLog::words_needed(64 << 20)).expect("memory");
    let hire = || LiveMaps::new(&maps, ChangeLog::attach(&region));
    let (mut writer, mut reader) = (hire(), hire());
    let keys: Vec<String> = (0..LOOKUPS).map(|n| format!("new-{n}.example.com")).collect();
    let put = |live: &mut LiveMaps| {
        for key in &keys {
            black_box(live.change(&Change::new(by.map, Op::Put).pair(key, "value")).is_ok());
        }
    };
    put(&mut writer);
    reader.obey();
    println!("{:<28} {:>12.0}", "ns per change", best(|| put(&mut writer)));
    let mut rounds = (0..5).map(|_| {
        put(&mut writer);
        let began = Instant::now();
        reader.obey();
        began.elapsed().as_nanos() as f64 / LOOKUPS as f64
    });
    println!("{:<28} {:>12.0}", "ns per change obeyed", rounds.by_ref().fold(f64::MAX, f64::min));
}

fn best(mut round: impl FnMut()) -> f64 {
    let times = (0..7).map(|_| {
        let began = Instant::now();
        round();
        began.elapsed().as_nanos() as f64 / LOOKUPS as f64
    });
    times.fold(f64::MAX, f64::min)
}
