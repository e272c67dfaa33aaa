//! One entry: its key, its counters and rates. All are atomics of their own: reading and counting take no lock, whoever
//! holds the entry or the lock of its shard may do both.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use lighterman_sys::map::load_bytes;

use super::spec::{Data, Form};
use super::table::Table;
use crate::base::freq::Freq;

/// Words in front of an entry's key.
pub(super) const HEAD: usize = 4;
/// Hash (high half) and the next entry of its bucket plus one.
pub(super) const CHAIN: usize = 0;
/// Holders (high half), shard it belongs to, whether it lives.
pub(super) const STATE: usize = 1;
/// Tick at which it is too old.
pub(super) const EXPIRES: usize = 2;
/// Neighbours by age, plus one: the older (high half), the newer.
pub(super) const AGE: usize = 3;

/// An entry that stays where it is as long as this is used: it is held, or its shard is locked.
#[derive(Clone, Copy)]
pub struct Entry<'t> {
    pub(super) table: &'t Table,
    pub(super) at: u32,
}

impl<'t> Entry<'t> {
    pub(super) fn word(&self, nth: usize) -> &'t AtomicU64 {
        self.table.word(self.at, nth)
    }

    fn cell(&self, data: Data, nth: usize) -> Option<(&'t AtomicU64, u32)> {
        let store = self.table.spec().store(data).filter(|store| nth < store.count)?;
        let size = if data.form() == Form::Rate { 2 } else { 1 };
        let place = self.table.place_of(data)?;
        Some((self.word(place + nth * size), store.period))
    }

    /// A name for it that is the same in every process.
    pub fn number(&self) -> u64 {
        u64::from(self.at)
    }

    /// Its key, padded to the table's length.
    pub fn key(&self) -> Vec<u8> {
        let mut key = vec![0; self.table.spec().len];
        load_bytes(self.table.key_words(self.at), &mut key);
        key
    }

    /// Who holds it: the number of sessions.
    pub fn holders(&self) -> u32 {
        (self.word(STATE).load(Relaxed) >> 32) as u32
    }

    /// Milliseconds until it is too old.
    pub fn expires_in(&self, now_ms: u64) -> u64 {
        self.word(EXPIRES).load(Relaxed).saturating_sub(now_ms)
    }

    /// A value as it is now: a count, the events of the last period, the number of a name. `None`: not kept.
    pub fn get(&self, data: Data, nth: usize, now_ms: u64) -> Option<u64> {
        let (cell, period) = self.cell(data, nth)?;
        Some(match data.form() {
            Form::Big => cell.load(Relaxed),
            Form::Number | Form::Name => cell.load(Relaxed).min(u32::MAX.into()),
            Form::Rate => {
                u64::from(self.freq(cell, data, nth).rate(now_ms, period)) * self.table.spec().factor(data)
            }
        })
    }

    /// Counts events. For `conn_cur` holding and letting go do it.
    pub fn add(&self, data: Data, nth: usize, n: u64, now_ms: u64) -> bool {
        let Some((cell, period)) = self.cell(data, nth) else { return false };
        if data.form() != Form::Rate {
            cell.fetch_add(n, Relaxed);
            return true;
        }
        let n = self.steps(data, n);
        loop {
            let seen = self.freq(cell, data, nth);
            let mut freq = seen;
            freq.add(now_ms, period, n);
            if cell.compare_exchange(pack(seen), pack(freq), Relaxed, Relaxed).is_ok() {
                if freq.start != seen.start {
                    // only who turned the period writes this
                    self.before(data, nth).store(freq.before.into(), Relaxed);
                }
                return true;
            }
        }
    }

    /// Sets a value. A rate is set so that it reads as this now, and fades.
    pub fn set(&self, data: Data, nth: usize, value: u64, now_ms: u64) -> bool {
        let Some((cell, _)) = self.cell(data, nth) else { return false };
        if data.form() == Form::Rate {
            let value = self.steps(data, value);
            self.before(data, nth).store(0, Relaxed);
            cell.store(pack(Freq { start: now_ms as u32, now: value, before: 0 }), Relaxed);
        } else {
            cell.store(value, Relaxed);
        }
        true
    }

    /// As many steps of a rate as events need.
    fn steps(&self, data: Data, n: u64) -> u32 {
        u32::try_from(n.div_ceil(self.table.spec().factor(data))).unwrap_or(u32::MAX)
    }

    /// Takes `n` away, not below 0.
    pub(super) fn lower(&self, data: Data, n: u64) {
        if let Some((cell, _)) = self.cell(data, 0) {
            let _ = cell.fetch_update(Relaxed, Relaxed, |now| Some(now.saturating_sub(n)));
        }
    }

    /// Every value begins anew; connections that are there stay counted.
    pub fn reset(&self) {
        for store in &self.table.spec().stores {
            let Some(place) = self.table.place_of(store.data) else { continue };
            let size = if store.data.form() == Form::Rate { 2 } else { 1 };
            if store.data != Data::ConnCur {
                (place..place + size * store.count).for_each(|nth| self.word(nth).store(0, Relaxed));
            }
        }
    }

    fn before(&self, data: Data, nth: usize) -> &'t AtomicU64 {
        let place = self.table.place_of(data).unwrap_or(HEAD);
        self.word(place + nth * 2 + 1)
    }

    fn freq(&self, cell: &AtomicU64, data: Data, nth: usize) -> Freq {
        let word = cell.load(Relaxed);
        let before = self.before(data, nth).load(Relaxed) as u32;
        Freq { start: (word >> 32) as u32, now: word as u32, before }
    }

    /// The name a value stands for (`server_key`).
    pub fn name(&self, data: Data) -> Option<String> {
        self.table.name_at(self.get(data, 0, 0)? as u32)
    }
}

fn pack(freq: Freq) -> u64 {
    u64::from(freq.start) << 32 | u64::from(freq.now)
}
