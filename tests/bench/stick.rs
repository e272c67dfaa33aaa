//! Nanoseconds of CPU per operation on a stick table of a million addresses, and what an entry costs in memory.
//!
//! `cargo bench --bench stick`. Keys come in random order: every operation finds its memory cold. Many rounds, each on a
//! table of its own; shown are the least, the median and the most.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a bench reads the clock and prints"
)]

use lighterman::base::rng::Rng;
use lighterman::shm::stick::{Data, KeyType, Spec, Store, Tables};

const SIZE: u32 = 1_000_000;
const ROUNDS: usize = 11;
const OPERATIONS: [&str; 5] = ["insert", "update", "lookup", "track and let go", "insert into a full table"];

/// Nanoseconds this thread has been on a CPU.
fn cpu_ns() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0.0)
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0)
}

fn main() {
    let mut rng = Rng::from_seed(1);
    let mut keys: Vec<u32> = (0..SIZE).map(|n| n.wrapping_mul(2_654_435_761)).collect();
    for at in (1..keys.len()).rev() {
        keys.swap(at, rng.below(at as u64 + 1) as usize);
    }
    let mut times = [const { Vec::new() }; OPERATIONS.len()];
    for nth in 0..ROUNDS {
        round(&keys, nth == 0, &mut times);
    }
    println!("{:<28}{:>22}", "ns of CPU per operation", "least, median, most");
    for (name, times) in OPERATIONS.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        println!("{name:<28}{:>8.0}{:>7.0}{:>7.0}", times[0], times[ROUNDS / 2], times[ROUNDS - 1]);
    }
}

fn round(keys: &[u32], first: bool, times: &mut [Vec<f64>; OPERATIONS.len()]) {
    let store = |data| Store { data, count: 1, period: 10_000 };
    let spec = Spec {
        expire: Some(600_000),
        stores: vec![store(Data::Gpc0), store(Data::ConnCur)],
        ..Spec::new("t", KeyType::Ip4, 4, SIZE)
    };
    let tables = Tables::new(&[spec], 1).expect("memory");
    let table = tables.get(0).expect("a table");
    let before = resident_kb();
    let mut time = |what: usize, keys: &mut dyn Iterator<Item = &u32>, work: &mut dyn FnMut(u32)| {
        let began = cpu_ns();
        keys.for_each(|key| work(*key));
        times[what].push((cpu_ns() - began) / f64::from(SIZE));
    };
    time(0, &mut keys.iter(), &mut |key| {
        table.update(&key.to_be_bytes(), 1000, |entry| entry.add(Data::Gpc0, 0, 1, 1000));
    });
    if first {
        let bytes = (resident_kb() - before) * 1024 / u64::from(SIZE);
        println!("{bytes} bytes of memory per entry, {} by construction", table.entry_bytes());
    }
    time(1, &mut keys.iter().rev(), &mut |key| {
        table.update(&key.to_be_bytes(), 2000, |entry| entry.add(Data::Gpc0, 0, 1, 2000));
    });
    time(2, &mut keys.iter(), &mut |key| {
        table.find(&key.to_be_bytes(), 2000, |entry| entry.get(Data::Gpc0, 0, 2000));
    });
    time(3, &mut keys.iter().rev(), &mut |key| {
        if let Some(held) = table.hold(&key.to_be_bytes(), true, 0, 3000) {
            tables.release(held, 0, 3000);
        }
    });
    time(4, &mut keys.iter(), &mut |key| {
        table.update(&(!key ^ 1).to_be_bytes(), 4000, |entry| entry.add(Data::Gpc0, 0, 1, 4000));
    });
}
