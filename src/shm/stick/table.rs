//! One table in shared memory: entries in one array, found by hash, split into shards with a robust lock each.
//!
//! A shard is a set of buckets. It has the line of its entries by age and the room it may fill; a shard whose room is
//! full takes some of another's, so that the table holds as many entries as configured whatever their hashes are. The
//! oldest entry of the shard makes room in a full table. Never-used entries cost no memory.
//!
//! Links, holders and `conn_cur` change only under the lock of the shard. Nobody waits long: a lock that is not to be had
//! within [`PATIENCE`] (its holder is stopped) fails the operation. Bytes per entry: 32, the key, 8 per counter, 16 per
//! rate, and 4 to 8 of the index.

use std::io;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

use lighterman_sys::lock::{RobustLock, Taken};
use lighterman_sys::map::{load_bytes, store_bytes, Mapping, Region};
use lighterman_sys::shm_struct;

use super::entry::{Entry, AGE, CHAIN, EXPIRES, HEAD, STATE};
use super::journal::{Held, Journal, Note};
use super::spec::{Data, Spec};

/// The longest anyone waits for a lock whose holder lives.
const PATIENCE: Duration = Duration::from_millis(50);
const SHARDS_MAX: u32 = 256;
/// Smaller tables have one shard: then the oldest entry of all makes room.
const SHARD_SIZE: u32 = 4096;
/// Names a table can remember (`server_key`), and words of each.
const NAMES: usize = 4096;
const NAME_WORDS: usize = 8;

shm_struct! {
    /// The table as a whole.
    pub struct Head {
        names_lock: RobustLock,
        /// Names remembered so far.
        names: AtomicU64,
        /// Entries in use, as a hint; made exact now and then.
        used: AtomicU64,
    }

    /// One shard, on cache lines of its own.
    pub struct Shard {
        lock: RobustLock,
        /// First free entry plus one.
        free: AtomicU32,
        /// First entry of its room that was never used.
        fresh: AtomicU32,
        /// Most lately touched entry plus one.
        newest: AtomicU32,
        /// Longest untouched entry plus one.
        oldest: AtomicU32,
        /// Entries.
        count: AtomicU32,
        /// Times it was repaired.
        repairs: AtomicU32,
        rest: [AtomicU64; 7],
    }
}

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    spec: Spec,
    /// Tells tables apart in journals, also those of former configurations.
    pub(super) uid: u16,
    /// Its position among the tables of the configuration.
    pub(super) index: u16,
    stride: usize,
    places: [u16; Data::ALL.len()],
    shard_count: u32,
    buckets: u32,
    head: Region<Head>,
    shards: Region<Shard>,
    index_words: Region<AtomicU32>,
    names: Region<AtomicU64>,
    entries: Region<AtomicU64>,
    pub(super) journal: Journal,
}

impl Table {
    pub(super) fn make(spec: &Spec, uid: u16, journal: &Journal) -> io::Result<Table> {
        let (data_words, places) = spec.data_words();
        let stride = HEAD + spec.key_words() + data_words;
        let size = spec.size.max(1);
        let shard_count = (size / SHARD_SIZE).max(1).next_power_of_two().min(SHARDS_MAX);
        let buckets = size.next_power_of_two().max(shard_count);
        let shards_at = size_of::<Head>().next_multiple_of(128);
        let index_at = shards_at + shard_count as usize * size_of::<Shard>();
        let names_at = index_at + (buckets as usize * 4).next_multiple_of(64);
        let named = if spec.store(Data::ServerKey).is_some() { NAMES } else { 0 };
        let entries_at = names_at + named * NAME_WORDS * 8;
        let map = Mapping::anonymous(entries_at + size as usize * stride * 8)?;
        let table = Table {
            spec: spec.clone(),
            uid,
            index: 0,
            stride,
            places,
            shard_count,
            buckets,
            head: cut(map.region(0, 1))?,
            shards: cut(map.region(shards_at, shard_count as usize))?,
            index_words: cut(map.region(index_at, buckets as usize))?,
            names: cut(map.region(names_at, named * NAME_WORDS))?,
            entries: cut(map.region(entries_at, size as usize * stride))?,
            journal: journal.clone(),
        };
        table.head[0].names_lock.prepare()?;
        for (nth, shard) in table.shards.iter().enumerate() {
            shard.lock.prepare()?;
            shard.fresh.store(table.room(nth as u32).0, Relaxed);
        }
        Ok(table)
    }

    /// The same memory under a newer configuration that means the same by it.
    pub(super) fn again(&self, spec: &Spec) -> Table {
        Table { spec: spec.clone(), ..self.clone() }
    }

    /// What it holds.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Entries in use.
    pub fn used(&self) -> u64 {
        self.shards.iter().map(|shard| u64::from(shard.count.load(Relaxed))).sum()
    }

    pub(super) fn entry(&self, at: u32) -> Entry<'_> {
        Entry { table: self, at }
    }

    /// Times a shard was repaired after a process died inside.
    pub fn repairs(&self) -> u32 {
        self.shards.iter().map(|shard| shard.repairs.load(Relaxed)).sum()
    }

    /// Bytes an entry takes, its part of the index included.
    pub fn entry_bytes(&self) -> usize {
        self.stride * 8 + (self.buckets as usize * 4).div_ceil(self.spec.size.max(1) as usize)
    }

    pub(super) fn shards(&self) -> u32 {
        self.shard_count
    }

    /// First entry of a shard's own room, and the first behind it.
    pub(super) fn room(&self, shard: u32) -> (u32, u32) {
        let at = |nth: u32| (u64::from(self.spec.size) * u64::from(nth) / u64::from(self.shard_count)) as u32;
        (at(shard), at(shard + 1))
    }

    #[inline]
    pub(super) fn word(&self, entry: u32, nth: usize) -> &AtomicU64 {
        &self.entries[entry as usize * self.stride + nth]
    }

    pub(super) fn key_words(&self, entry: u32) -> &[AtomicU64] {
        let from = entry as usize * self.stride + HEAD;
        &self.entries[from..from + self.spec.key_words()]
    }

    pub(super) fn place_of(&self, data: Data) -> Option<usize> {
        let place = self.places[data as usize];
        (place != u16::MAX).then(|| HEAD + self.spec.key_words() + usize::from(place))
    }

    // ---- what others do with it

    /// Looks at the entry of a key, if there is one.
    pub fn find<R>(&self, key: &[u8], now_ms: u64, look: impl FnOnce(Entry<'_>) -> R) -> Option<R> {
        let hash = hash(key);
        let inside = self.enter(self.shard_of(hash))?;
        let at = inside.find(hash, key, now_ms)?;
        Some(look(self.entry(at)))
    }

    /// As [`Table::find`], and its life begins anew.
    pub fn find_and_touch<R>(&self, key: &[u8], now_ms: u64, f: impl FnOnce(Entry<'_>) -> R) -> Option<R> {
        let hash = hash(key);
        let inside = self.enter(self.shard_of(hash))?;
        let at = inside.find(hash, key, now_ms)?;
        inside.touch(at, now_ms);
        Some(f(self.entry(at)))
    }

    /// Works on the entry of a key, which is made if there is none and begins its life anew. `None`: the table is full.
    pub fn update<R>(&self, key: &[u8], now_ms: u64, work: impl FnOnce(Entry<'_>) -> R) -> Option<R> {
        let hash = hash(key);
        let inside = self.enter(self.shard_of(hash))?;
        let at = inside.find_or_add(hash, key, now_ms)?;
        Some(work(self.entry(at)))
    }

    /// Holds the entry of a key for process `slot`, making it if there is none. `conn`: it counts as a connection.
    pub fn hold(&self, key: &[u8], conn: bool, slot: u32, now_ms: u64) -> Option<Held> {
        let hash = hash(key);
        let inside = self.enter(self.shard_of(hash))?;
        let at = inside.find_or_add(hash, key, now_ms)?;
        let place = self.journal.note(slot, Note { uid: self.uid, entry: at, conn, orphan: false })?;
        let state = self.word(at, STATE);
        state.store(state.load(Relaxed) + (1 << 32), Relaxed);
        let entry = self.entry(at);
        if conn {
            entry.add(Data::ConnCur, 0, 1, now_ms);
        }
        Some(Held { table: self.index, entry: at, place })
    }

    /// The entry that is held.
    pub fn held(&self, held: Held) -> Entry<'_> {
        self.entry(held.entry)
    }

    /// Lets go of an entry; its life begins anew. False: its lock was not to be had, try again.
    pub fn release(&self, held: Held, slot: u32, now_ms: u64) -> bool {
        let Some(inside) = self.enter_of(held.entry) else { return false };
        let Some(note) = self.journal.forget(slot, held.place) else { return true };
        inside.let_go(note);
        inside.touch(held.entry, now_ms);
        true
    }

    /// What a dead process held is let go of, or noted as an orphan.
    pub(super) fn bury(&self, slot: u32) {
        // somebody stands still inside these: they are waited for once, not once per entry
        let mut closed = Vec::new();
        for (place, note) in self.journal.held_by(slot).filter(|(_, note)| note.uid == self.uid) {
            let shard = self.shard_at(note.entry);
            let inside = if closed.contains(&shard) { None } else { self.enter(shard) };
            if let Some(inside) = inside {
                self.journal.forget(slot, place);
                inside.let_go(note);
            } else {
                closed.push(shard);
                self.journal.abandon(slot, place, note);
            }
        }
    }

    /// Lets go of what a former process in this place could not. Locks are only tried.
    pub(super) fn adopt(&self, slot: u32) {
        let mine = |note: &Note| note.orphan && note.uid == self.uid;
        for (place, note) in self.journal.held_by(slot).filter(|(_, note)| mine(note)) {
            if let Some(inside) = self.try_enter(self.shard_at(note.entry)) {
                self.journal.forget(slot, place);
                self.journal.found_home(slot);
                inside.let_go(note);
            }
        }
    }

    /// Removes the entry of a key. `Some(false)`: it is in use.
    pub fn remove(&self, key: &[u8], now_ms: u64) -> Option<bool> {
        let hash = hash(key);
        let inside = self.enter(self.shard_of(hash))?;
        let at = inside.find(hash, key, now_ms)?;
        Some(inside.remove_unless_held(at))
    }

    /// Looks at all entries, oldest first within a shard; those for which `gone` says so are removed, or, where they are
    /// in use, set back.
    pub fn sweep(&self, now_ms: u64, mut gone: impl FnMut(Entry<'_>) -> bool) {
        for shard in 0..self.shard_count {
            let Some(inside) = self.enter(shard) else { continue };
            for at in inside.by_age() {
                if !inside.is_old(at, now_ms) && gone(self.entry(at)) && !inside.remove_unless_held(at) {
                    self.entry(at).reset();
                }
            }
        }
    }

    /// The entries of one shard, looked at under its lock; `None` behind the last shard. For walks in steps.
    pub fn walk(&self, shard: u32, now_ms: u64, mut look: impl FnMut(Entry<'_>)) -> Option<()> {
        if shard >= self.shard_count {
            return None;
        }
        if let Some(inside) = self.enter(shard) {
            let all = inside.by_age().into_iter().filter(|at| !inside.is_old(*at, now_ms));
            all.for_each(|at| look(self.entry(at)));
        }
        Some(())
    }

    // ---- names

    /// The number of a name, from 1; 0 when no more can be remembered.
    pub fn name_number(&self, name: &str) -> u32 {
        let mut bytes = [0u8; NAME_WORDS * 8];
        bytes.iter_mut().zip(name.bytes().take(NAME_WORDS * 8 - 1)).for_each(|(to, from)| *to = from);
        let known = || (1..=self.names_known()).find(|nth| self.name_bytes(*nth) == Some(bytes));
        if let Some(nth) = known() {
            return nth;
        }
        let Ok(_held) = self.head[0].names_lock.take(PATIENCE) else { return 0 };
        if let Some(nth) = known() {
            return nth;
        }
        let nth = self.names_known() as usize;
        let Some(room) = self.names.get(nth * NAME_WORDS..(nth + 1) * NAME_WORDS) else { return 0 };
        store_bytes(room, &bytes);
        self.head[0].names.store(nth as u64 + 1, Release);
        nth as u32 + 1
    }

    fn names_known(&self) -> u32 {
        self.head[0].names.load(Acquire) as u32
    }

    fn name_bytes(&self, nth: u32) -> Option<[u8; NAME_WORDS * 8]> {
        let from = (nth as usize).checked_sub(1)? * NAME_WORDS;
        let mut bytes = [0; NAME_WORDS * 8];
        load_bytes(self.names.get(from..from + NAME_WORDS)?, &mut bytes).then_some(bytes)
    }

    pub(super) fn name_at(&self, nth: u32) -> Option<String> {
        let bytes = self.name_bytes(nth)?;
        let name = bytes.split(|b| *b == 0).next().unwrap_or_default();
        Some(String::from_utf8_lossy(name).into_owned())
    }

    // ---- shards

    fn shard_of(&self, hash: u32) -> u32 {
        hash & (self.shard_count - 1)
    }

    pub(super) fn enter(&self, shard: u32) -> Option<Inside<'_>> {
        self.inside(shard, self.shards[shard as usize].lock.take(PATIENCE).ok()?)
    }

    pub(super) fn try_enter(&self, shard: u32) -> Option<Inside<'_>> {
        self.inside(shard, self.shards[shard as usize].lock.try_take().ok()?)
    }

    /// The shard of an entry that is held, so its hash stays.
    fn enter_of(&self, entry: u32) -> Option<Inside<'_>> {
        self.enter(self.shard_at(entry))
    }

    fn shard_at(&self, entry: u32) -> u32 {
        self.shard_of((self.word(entry, CHAIN).load(Relaxed) >> 32) as u32)
    }

    fn inside<'t>(&'t self, shard: u32, held: Taken<'t>) -> Option<Inside<'t>> {
        let recovered = held.recovered();
        let inside = Inside { table: self, number: shard, shard: &self.shards[shard as usize], _held: held };
        if recovered {
            inside.repair();
        }
        Some(inside)
    }

    /// Buckets of a shard.
    pub(super) fn buckets_of(&self, shard: u32) -> impl Iterator<Item = &AtomicU32> {
        self.index_words.iter().skip(shard as usize).step_by(self.shard_count as usize)
    }

    fn bucket(&self, hash: u32) -> &AtomicU32 {
        &self.index_words[(hash & (self.buckets - 1)) as usize]
    }

    pub(super) fn count_used(&self) {
        self.head[0].used.store(self.used(), Relaxed);
    }
}

/// A shard whose lock is held.
pub(super) struct Inside<'t> {
    pub(super) table: &'t Table,
    pub(super) number: u32,
    pub(super) shard: &'t Shard,
    _held: Taken<'t>,
}

impl Inside<'_> {
    fn find(&self, hash: u32, key: &[u8], now_ms: u64) -> Option<u32> {
        let mut next = self.table.bucket(hash).load(Relaxed);
        while let Some(at) = next.checked_sub(1) {
            let chain = self.table.word(at, CHAIN).load(Relaxed);
            if (chain >> 32) as u32 == hash && self.has_key(at, key) {
                let gone = self.is_old(at, now_ms) && self.remove_unless_held(at);
                return (!gone).then_some(at);
            }
            next = chain as u32;
        }
        None
    }

    fn has_key(&self, at: u32, key: &[u8]) -> bool {
        let words = self.table.key_words(at);
        words.iter().zip(key.chunks(8)).all(|(word, chunk)| word.load(Relaxed) == word_of(chunk))
    }

    fn find_or_add(&self, hash: u32, key: &[u8], now_ms: u64) -> Option<u32> {
        if let Some(at) = self.find(hash, key, now_ms) {
            self.touch(at, now_ms);
            return Some(at);
        }
        let at = self.take_free(now_ms)?;
        (HEAD..self.table.stride).for_each(|nth| self.table.word(at, nth).store(0, Relaxed));
        store_bytes(self.table.key_words(at), key)?;
        self.table.word(at, CHAIN).store(u64::from(hash) << 32, Relaxed);
        self.table.word(at, EXPIRES).store(self.table.end_of_life(now_ms), Relaxed);
        self.table.word(at, STATE).store(u64::from(self.number) << 16 | 1, Release);
        self.link(at);
        self.table.head[0].used.fetch_add(1, Relaxed);
        Some(at)
    }

    /// A free entry of this shard: its own, another's, or that of the oldest.
    fn take_free(&self, now_ms: u64) -> Option<u32> {
        if let Some(at) = self.take_own() {
            return Some(at);
        }
        if self.table.shard_count > 1
            && self.table.head[0].used.load(Relaxed) < u64::from(self.table.spec.size)
        {
            if let Some(at) = self.take_others(|_| true) {
                return Some(at);
            }
        }
        if self.make_room(now_ms) {
            return self.take_own();
        }
        self.take_others(|other| other.make_room(now_ms))
    }

    /// A free entry of another shard becomes one of this. Locks are only tried: nobody waits in a circle.
    fn take_others(&self, prepare: impl Fn(&Inside<'_>) -> bool) -> Option<u32> {
        (1..self.table.shard_count).find_map(|step| {
            let other = self.table.try_enter((self.number + step) % self.table.shard_count)?;
            let at = if prepare(&other) { other.take_own() } else { None }?;
            self.table.word(at, STATE).store(u64::from(self.number) << 16, Relaxed);
            Some(at)
        })
    }

    fn take_own(&self) -> Option<u32> {
        if let Some(at) = self.shard.free.load(Relaxed).checked_sub(1) {
            self.shard.free.store(self.table.word(at, CHAIN).load(Relaxed) as u32, Relaxed);
            return Some(at);
        }
        let at = self.shard.fresh.load(Relaxed);
        if at >= self.table.room(self.number).1 {
            return None;
        }
        self.table.word(at, STATE).store(u64::from(self.number) << 16, Relaxed);
        self.shard.fresh.store(at + 1, Relaxed);
        Some(at)
    }

    /// Puts a living entry into its bucket and at the young end.
    pub(super) fn link(&self, at: u32) {
        let chain = self.table.word(at, CHAIN);
        let hash = (chain.load(Relaxed) >> 32) as u32;
        let bucket = self.table.bucket(hash);
        chain.store(u64::from(hash) << 32 | u64::from(bucket.load(Relaxed)), Relaxed);
        bucket.store(at + 1, Relaxed);
        self.push_newest(at);
        self.shard.count.fetch_add(1, Relaxed);
    }

    fn push_newest(&self, at: u32) {
        let newest = self.shard.newest.load(Relaxed);
        self.table.word(at, AGE).store(u64::from(newest) << 32, Relaxed);
        match newest.checked_sub(1) {
            Some(before) => self.set_newer(before, at + 1),
            None => self.shard.oldest.store(at + 1, Relaxed),
        }
        self.shard.newest.store(at + 1, Relaxed);
    }

    fn set_newer(&self, at: u32, newer: u32) {
        let age = self.table.word(at, AGE);
        age.store(age.load(Relaxed) >> 32 << 32 | u64::from(newer), Relaxed);
    }

    fn leave_age(&self, at: u32) {
        let age = self.table.word(at, AGE).load(Relaxed);
        let (older, newer) = ((age >> 32) as u32, age as u32);
        match older.checked_sub(1) {
            Some(older) => self.set_newer(older, newer),
            None => self.shard.oldest.store(newer, Relaxed),
        }
        match newer.checked_sub(1) {
            Some(newer) => {
                let age = self.table.word(newer, AGE);
                age.store(u64::from(older) << 32 | u64::from(age.load(Relaxed) as u32), Relaxed);
            }
            None => self.shard.newest.store(older, Relaxed),
        }
    }

    /// The longest untouched entry.
    pub(super) fn oldest(&self) -> Option<u32> {
        self.shard.oldest.load(Relaxed).checked_sub(1)
    }

    /// Every entry, the oldest first.
    fn by_age(&self) -> Vec<u32> {
        let next = |at: &u32| (self.table.word(*at, AGE).load(Relaxed) as u32).checked_sub(1);
        std::iter::successors(self.oldest(), next).collect()
    }

    /// Its life begins anew.
    pub(super) fn touch(&self, at: u32, now_ms: u64) {
        self.table.word(at, EXPIRES).store(self.table.end_of_life(now_ms), Relaxed);
        self.touch_age(at);
    }

    /// It becomes the youngest.
    pub(super) fn touch_age(&self, at: u32) {
        if self.shard.newest.load(Relaxed) != at + 1 {
            self.leave_age(at);
            self.push_newest(at);
        }
    }

    fn remove_unless_held(&self, at: u32) -> bool {
        let free = self.table.entry(at).holders() == 0;
        if free {
            self.remove(at);
        }
        free
    }

    pub(super) fn remove(&self, at: u32) {
        let state = self.table.word(at, STATE);
        state.store(state.load(Relaxed) & !1, Relaxed);
        self.leave_bucket(at);
        self.leave_age(at);
        self.shard.count.fetch_sub(1, Relaxed);
        self.table.head[0].used.fetch_sub(1, Relaxed);
        self.give_back(at);
    }

    /// Into the chain of free entries.
    pub(super) fn give_back(&self, at: u32) {
        self.table.word(at, CHAIN).store(self.shard.free.load(Relaxed).into(), Relaxed);
        self.shard.free.store(at + 1, Relaxed);
    }

    fn leave_bucket(&self, at: u32) {
        let chain = self.table.word(at, CHAIN).load(Relaxed);
        let bucket = self.table.bucket((chain >> 32) as u32);
        if bucket.load(Relaxed) == at + 1 {
            bucket.store(chain as u32, Relaxed);
            return;
        }
        let mut next = bucket.load(Relaxed);
        while let Some(before) = next.checked_sub(1) {
            let link = self.table.word(before, CHAIN);
            let word = link.load(Relaxed);
            if word as u32 == at + 1 {
                link.store(word >> 32 << 32 | u64::from(chain as u32), Relaxed);
                return;
            }
            next = word as u32;
        }
    }

    /// The holder comes last: a repair sets `conn_cur` right for entries that somebody holds.
    fn let_go(&self, note: Note) {
        if note.conn {
            self.table.entry(note.entry).lower(Data::ConnCur, 1);
        }
        let state = self.table.word(note.entry, STATE);
        let now = state.load(Relaxed);
        if now >> 32 > 0 {
            state.store(now - (1 << 32), Relaxed);
        }
    }
}

impl Table {
    fn end_of_life(&self, now_ms: u64) -> u64 {
        self.spec.expire.map_or(u64::MAX, |ms| now_ms.saturating_add(ms.into()))
    }

    pub(super) fn fresh(&self, shard: u32) -> u32 {
        self.shards[shard as usize].fresh.load(Relaxed)
    }
}

impl Shard {
    /// Sets it back to empty, for a repair that fills it again.
    pub(super) fn empty(&self) {
        for cell in [&self.free, &self.newest, &self.oldest, &self.count] {
            cell.store(0, Relaxed);
        }
        self.repairs.fetch_add(1, Relaxed);
    }
}

fn hash(key: &[u8]) -> u32 {
    let hash = xxhash_rust::xxh3::xxh3_64(key);
    (hash ^ hash >> 32) as u32
}

fn word_of(chunk: &[u8]) -> u64 {
    let mut raw = [0u8; 8];
    raw.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
    u64::from_le_bytes(raw)
}

fn cut<T: lighterman_sys::map::Plain>(region: Option<Region<T>>) -> io::Result<Region<T>> {
    region.ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))
}
