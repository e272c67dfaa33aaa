//! Nanoseconds of CPU per operation on a stick table of a million addresses, and what an entry costs in memory.
//!
//! `cargo bench --bench stick`. Keys come in random order: every operation finds its memory cold.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a bench reads the clock and prints"
)]

use std::time::Instant;

use lighterman::base::rng::Rng;
use lighterman::shm::stick::{Data, KeyType, Spec, Store, Tables};

const SIZE: u32 = 1_000_000;

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0)
}

fn main() {
    let store = |data| Store { data, count: 1, period: 10_000 };
    let spec = Spec {
        expire: Some(600_000),
        stores: vec![store(Data::Gpc0), store(Data::ConnCur)],
        ..Spec::new("t", KeyType::Ip4, 4, SIZE)
    };
    let tables = Tables::new(&[spec], 1).expect("memory");
    let table = tables.get(0).expect("a table");
    let mut rng = Rng::from_seed(1);
    let mut keys: Vec<u32> = (0..SIZE).map(|n| n.wrapping_mul(2_654_435_761)).collect();
    for at in (1..keys.len()).rev() {
        keys.swap(at, rng.below(at as u64 + 1) as usize);
    }
    let before = resident_kb();
    time("insert", &keys, |key| {
        table.update(&key.to_be_bytes(), 1000, |entry| entry.add(Data::Gpc0, 0, 1, 1000));
    });
    let bytes = (resident_kb() - before) * 1024 / u64::from(SIZE);
    println!("memory   {bytes:>6} bytes per entry, {} by construction", table.entry_bytes());
    keys.reverse();
    time("update", &keys, |key| {
        table.update(&key.to_be_bytes(), 2000, |entry| entry.add(Data::Gpc0, 0, 1, 2000));
    });
    time("lookup", &keys, |key| {
        table.find(&key.to_be_bytes(), 2000, |entry| entry.get(Data::Gpc0, 0, 2000));
    });
    time("track and let go", &keys, |key| {
        if let Some(held) = table.hold(&key.to_be_bytes(), true, 0, 3000) {
            tables.release(held, 0, 3000);
        }
    });
    time("insert into a full table", &keys, |key| {
        table.update(&(!key ^ 1).to_be_bytes(), 4000, |entry| entry.add(Data::Gpc0, 0, 1, 4000));
    });
}

fn time(what: &str, keys: &[u32], mut work: impl FnMut(u32)) {
    let began = Instant::now();
    keys.iter().for_each(|key| work(*key));
    let ns = began.elapsed().as_nanos() / keys.len() as u128;
    println!("{what:<26}{ns:>6} ns");
}
