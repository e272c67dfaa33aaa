//! What expressions and actions see of stick tables: keys made of samples, and the entries a session tracks.

use std::net::Ipv4Addr;

use super::cast::cast;
use super::sample::{Sample, Ty};
use crate::shm::stick::{Data, Entry, Held, KeyType, Spec, Table, Tables};

/// The tables, for this process, at this moment.
#[derive(Clone, Copy)]
pub struct Stick<'a> {
    /// The tables.
    pub tables: &'a Tables,
    /// The place of this process in shared memory.
    pub slot: u32,
    /// Milliseconds of the monotonic clock.
    pub now_ms: u64,
}

/// The type a key of this kind is made of.
pub fn key_type(key: KeyType) -> Ty {
    match key {
        KeyType::Ip4 => Ty::Ip4,
        KeyType::Ip6 => Ty::Ip6,
        KeyType::Int => Ty::Int,
        KeyType::Str => Ty::Str,
        KeyType::Bin => Ty::Bin,
    }
}

/// A sample as a key of a table; `None`: it cannot be one (an IPv6 address in a table of IPv4 addresses, nothing).
pub fn key_of(spec: &Spec, sample: Sample<'_>) -> Option<Vec<u8>> {
    let value = cast(sample, key_type(spec.key))?;
    Some(match &value {
        Sample::Ip4(ip) => ip.octets().to_vec(),
        Sample::Ip6(ip) => ip.octets().to_vec(),
        Sample::Int(n) => (*n as u32).to_be_bytes().to_vec(),
        // an empty text is no key: whoever sends none would share one
        other => spec.key_of(other.as_bytes().filter(|bytes| !bytes.is_empty())?),
    })
}

/// A key of one table as a key of another; `None`: it cannot be one.
pub fn key_again(from: &Spec, key: &[u8], to: &Spec) -> Option<Vec<u8>> {
    if (from.key, from.len) == (to.key, to.len) {
        return Some(key.to_vec());
    }
    let sample = match (from.key, key) {
        (KeyType::Ip4, [a, b, c, d]) => Sample::Ip4(Ipv4Addr::new(*a, *b, *c, *d)),
        (KeyType::Ip6, key) => Sample::Ip6(<[u8; 16]>::try_from(key).ok()?.into()),
        (KeyType::Int, [a, b, c, d]) => Sample::Int(u32::from_be_bytes([*a, *b, *c, *d]).into()),
        (KeyType::Str, key) => Sample::text(key.split(|b| *b == 0).next()?),
        (_, key) => Sample::bytes(key),
    };
    key_of(to, sample)
}

/// The entries tracked, by the number behind `sc`.
#[derive(Clone, Debug, Default)]
pub struct Tracks(Vec<Option<Held>>);

impl Tracks {
    /// The entry under a number.
    pub fn get(&self, nth: usize) -> Option<Held> {
        self.0.get(nth).copied().flatten()
    }

    /// Puts an entry under a number.
    pub fn set(&mut self, nth: usize, held: Held) {
        if self.0.len() <= nth {
            self.0.resize(nth + 1, None);
        }
        if let Some(place) = self.0.get_mut(nth) {
            *place = Some(held);
        }
    }

    /// Nothing is tracked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Held)> + '_ {
        self.0.iter().enumerate().filter_map(|(nth, held)| Some((nth, (*held)?)))
    }

    /// Lets go of all.
    pub fn release(&mut self, stick: Stick<'_>) {
        for held in std::mem::take(&mut self.0).into_iter().flatten() {
            stick.tables.release(held, stick.slot, stick.now_ms);
        }
    }
}

impl<'a> Stick<'a> {
    /// The entry that is tracked.
    pub fn entry(&self, held: Held) -> Option<Entry<'a>> {
        Some(self.table(held)?.held(held))
    }

    /// The table of an entry that is tracked.
    pub fn table(&self, held: Held) -> Option<&'a Table> {
        self.tables.get(held.table)
    }

    /// Counts an event: a counter and its rate.
    pub fn count(&self, held: Held, count: Data, rate: Data, n: u64) {
        if let Some(entry) = self.entry(held) {
            entry.add(count, 0, n, self.now_ms);
            entry.add(rate, 0, n, self.now_ms);
        }
    }

    /// Begins to track the entry of a key: a connection of it begins.
    pub fn track(&self, table: u16, key: &[u8]) -> Option<Held> {
        let held = self.tables.get(table)?.hold(key, true, self.slot, self.now_ms)?;
        self.count(held, Data::ConnCnt, Data::ConnRate, 1);
        Some(held)
    }
}
