//! Nanoseconds of CPU per lookup in maps of 100 and of 100,000 entries, for every way of searching that must not depend on
//! their number, per change as commands and rules make it, and what loading costs.
//!
//! `cargo bench --bench maps`. The cases take turns, many rounds of each, so that whatever else the machine does hits all of
//! them; shown are the least, the median and the most.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a bench reads the clock and prints"
)]

use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr};

use lighterman::expr::live::{Change, LiveMaps, Op};
use lighterman::expr::map::{MapFile, MapUse, Maps};
use lighterman::expr::pattern::Match;
use lighterman::expr::sample::{Sample, Value};
use lighterman::shm::changelog::ChangeLog;
use lighterman_sys::map::Region;

/// Lookups per round.
const LOOKUPS: usize = 200_000;
const ROUNDS: usize = 15;
const LARGE: usize = 100_000;

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

struct Spread(Vec<f64>);

impl Spread {
    fn add(&mut self, work: impl FnOnce()) {
        let began = cpu_ns();
        work();
        self.0.push((cpu_ns() - began) / LOOKUPS as f64);
    }

    /// Least, median, most.
    fn show(&mut self) -> String {
        self.0.sort_by(f64::total_cmp);
        let at = |nth: usize| self.0.get(nth).copied().unwrap_or(0.0);
        format!("{:>7.0} {:>6.0} {:>6.0}", at(0), at(self.0.len() / 2), at(self.0.len().saturating_sub(1)))
    }
}

/// A map and what is looked up in it.
struct Case {
    maps: Maps,
    by: MapUse,
    subjects: Vec<Value>,
    times: Spread,
}

type Text = fn(usize) -> String;

/// Name, way, key and subject of the nth entry.
const ROWS: &[(&str, Match, Text, Text)] = &[
    ("str", Match::Str, host, host),
    ("beg", Match::Beg, |n| format!("/customers/{n}/shop"), |n| format!("/customers/{n}/shop/cart?item=7")),
    ("end", Match::End, |n| format!(".host-{n}.example.com"), |n| format!("www.host-{n}.example.com")),
    ("dom", Match::Dom, |n| format!("host-{n}"), host),
    ("dir", Match::Dir, |n| format!("c{n}"), |n| format!("/customers/c{n}/shop")),
    ("int", Match::Int, |n| n.to_string(), |n| n.to_string()),
    ("ip, networks of /12 to /32", Match::Ip, network, |n| v4(n).to_string()),
    ("ip, IPv6 of /28 to /64", Match::Ip, |n| format!("{}/{}", v6(n), 28 + n % 37), |n| v6(n).to_string()),
];

fn host(n: usize) -> String {
    format!("host-{n}.customers.example.com")
}

fn v4(n: usize) -> Ipv4Addr {
    Ipv4Addr::from((n as u32).wrapping_mul(0x9e37_79b1))
}

fn v6(n: usize) -> Ipv6Addr {
    Ipv6Addr::from(0x2000 << 112 | u128::from((n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 61)
}

fn network(n: usize) -> String {
    format!("{}/{}", v4(n), 12 + n % 21)
}

fn map(count: usize, how: Match, key: Text) -> (Maps, MapUse) {
    let text: String = (0..count).map(|n| format!("{} value-{n}\n", key(n))).collect();
    let mut maps = Maps::default();
    let map = maps.push(MapFile::read("bench", text.as_bytes(), true).expect("a map"));
    let by = maps.use_as(map, how, false).expect("a way to search");
    (maps, by)
}

fn case(count: usize, how: Match, key: Text, subject: Text, which: impl Fn(usize) -> usize) -> Case {
    let (maps, by) = map(count, how, key);
    let value = |text: String| match how {
        Match::Int => Value::Int(text.parse().expect("a number")),
        Match::Ip => Sample::addr(text.parse().expect("an address")).to_value(),
        _ => Sample::text(&text).to_value(),
    };
    // another order than that of the entries, so that the caches have no easy time
    let subjects = (0..LOOKUPS).map(|n| value(subject(which(n.wrapping_mul(61_843) % LARGE)))).collect();
    Case { maps, by, subjects, times: Spread(Vec::new()) }
}

impl Case {
    fn round(&mut self) {
        let Case { maps, by, subjects, times } = self;
        times.add(|| {
            for subject in subjects {
                // the value is read, as rules do
                black_box(maps.lookup(*by, &subject.sample()).map(|(_, entry)| entry.value.as_bytes()[0]));
            }
        });
    }
}

fn main() {
    let only = std::env::args().nth(1).filter(|arg| !arg.starts_with('-'));
    if only.is_none() {
        loading();
    }
    let mut table: Vec<(&str, [Case; 3])> = Vec::new();
    for (name, how, key, subject) in
        ROWS.iter().filter(|row| only.as_ref().is_none_or(|o| row.0.starts_with(o)))
    {
        let small = case(100, *how, *key, *subject, |n| n % 100);
        let large = case(LARGE, *how, *key, *subject, |n| n);
        let missing = case(LARGE, *how, *key, *subject, |n| n + 2 * LARGE);
        table.push((name, [small, large, missing]));
    }
    for _ in 0..ROUNDS {
        table.iter_mut().for_each(|(_, cases)| cases.iter_mut().for_each(Case::round));
    }
    println!("{:<28}{:>22}  {:>22}  {:>22}", "ns of CPU per lookup", "100", "100,000", "misses");
    for (name, cases) in &mut table {
        let [small, large, missing] = cases;
        println!("{name:<28}{}  {}  {}", small.times.show(), large.times.show(), missing.times.show());
    }
    drop(table);
    if only.is_none() {
        copying();
        changes();
    }
}

/// The first change of a file gives a process a copy of its own.
fn copying() {
    let (maps, by) = map(LARGE, Match::Str, host);
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let mut copy = maps.clone();
            let began = cpu_ns();
            black_box(copy.get_mut(by.map).is_some());
            (cpu_ns() - began) / 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!(
        "copy at the first change, ms  {:.1} {:.1} {:.1}",
        times[0],
        times[ROUNDS / 2],
        times[ROUNDS - 1]
    );
}

/// A map that two processes have: one makes changes, the other obeys.
fn changes() {
    let (maps, by) = map(LARGE, Match::Str, |n| format!("host-{n}.example.com"));
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
    let (mut made, mut obeyed) = (Spread(Vec::new()), Spread(Vec::new()));
    for _ in 0..ROUNDS {
        made.add(|| put(&mut writer));
        obeyed.add(|| reader.obey());
    }
    println!("{:<28}{}", "per change", made.show());
    println!("{:<28}{}", "per change obeyed", obeyed.show());
}

fn loading() {
    println!("loading {LARGE} lines: ms of CPU, KB of memory, KB of the file");
    for (name, how, key, _) in ROWS {
        let text: String = (0..LARGE).map(|n| format!("{} value-{n}\n", key(n))).collect();
        let (began, before) = (cpu_ns(), resident_kb());
        let mut maps = Maps::default();
        let map = maps.push(MapFile::read("bench", text.as_bytes(), true).expect("a map"));
        maps.use_as(map, *how, false).expect("a way to search");
        let (ms, kb) = ((cpu_ns() - began) / 1e6, resident_kb().saturating_sub(before));
        println!("{name:<28}{ms:>7.0} {kb:>6} {:>6}", text.len() / 1024);
        // kept, so that the next one's memory is new
        std::mem::forget(maps);
    }
}
