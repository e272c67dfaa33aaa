//! A log of changes in shared memory that every process applies in the same order to what it keeps of its
//! own: maps and ACL files. The meaning of records is the business of those who write and read them.
//!
//! Two halves. Writers take a robust lock and append to the half in force; when it is full, the other one
//! begins with records that stand for all that was changed so far (the digest), and is in force from then
//! on. Readers take no lock. One that had read all of the old half goes on behind the digest, one that comes
//! late (a worker that was replaced) reads the digest. Whether a half was begun anew while it was being read
//! is seen from [`Head::writing`], as with a sequence lock: what was read then does not count.
//!
//! A writer that dies leaves a record that was never published, or a digest that never came in force.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{fence, AtomicU64};
use std::time::Duration;

use lighterman_sys::lock::{RobustLock, Taken};
use lighterman_sys::map::{load_bytes, store_bytes, Region};
use lighterman_sys::shm_struct;

/// Name of the log of maps among [`super::Extras`].
pub const MAPS: &str = "maps";

const MAGIC: u64 = 0x6c6d_6368_6c6f_0001;
/// How long a writer waits for another one that lives.
const PATIENCE: Duration = Duration::from_millis(20);

shm_struct! {
    struct Head {
        magic: AtomicU64,
        lock: RobustLock,
        /// Number of the half in force, from 0; it lies at its lowest bit.
        epoch: AtomicU64,
        /// The highest number that was begun.
        writing: AtomicU64,
        /// Words written to each half.
        ends: [AtomicU64; 2],
        /// Where those go on who need no digest.
        starts: [AtomicU64; 2],
    }
}

/// How far a process has read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Place {
    epoch: u64,
    at: u64,
}

/// Why nothing was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Another process keeps the lock.
    Busy,
    /// The record and all that must be kept do not fit.
    Full,
}

/// The log, as one process sees it.
pub struct ChangeLog {
    head: Region<Head>,
    halves: [Region<AtomicU64>; 2],
}

impl ChangeLog {
    /// Words of shared memory for halves of so many bytes; pages that are never written cost nothing.
    pub fn words_needed(half_bytes: usize) -> usize {
        HEAD_WORDS + 2 * half_bytes.div_ceil(8)
    }

    /// Takes up the log in its memory. The first to do so (the master, before it forks) prepares it.
    pub fn attach(region: &Region<AtomicU64>) -> Option<ChangeLog> {
        let half = region.len().checked_sub(HEAD_WORDS)? / 2;
        let log = ChangeLog {
            head: region.cast(0, 1)?,
            halves: [region.part(HEAD_WORDS, half)?, region.part(HEAD_WORDS + half, half)?],
        };
        let head = log.head.first()?;
        if head.magic.load(Acquire) != MAGIC {
            head.lock.prepare().ok()?;
            head.magic.store(MAGIC, Release);
        }
        Some(log)
    }

    /// Bytes of a half.
    pub fn half_bytes(&self) -> usize {
        self.halves[0].len() * 8
    }

    /// There is something behind this place.
    #[inline]
    pub fn has_news(&self, place: &Place) -> bool {
        let head = &self.head[0];
        head.epoch.load(Acquire) != place.epoch || head.ends[side(place.epoch)].load(Acquire) != place.at
    }

    /// Hands every record behind the place to `apply` and moves the place to the end.
    pub fn read(&self, place: &mut Place, mut apply: impl FnMut(&[u8])) {
        let head = &self.head[0];
        let mut record = Vec::new();
        loop {
            let epoch = head.epoch.load(Acquire);
            if place.epoch + 1 < epoch || (place.epoch < epoch && !self.stands(place.epoch)) {
                *place = Place { epoch, at: 0 };
            }
            let end = head.ends[side(place.epoch)].load(Acquire);
            if place.at < end {
                let next = self.copy(*place, end, &mut record);
                fence(Acquire);
                if self.stands(place.epoch) {
                    // memory that makes no sense is left alone up to its end
                    if next.is_some() {
                        apply(&record);
                    }
                    place.at = next.unwrap_or(end);
                }
            } else if place.epoch == epoch {
                return;
            } else if self.stands(place.epoch) {
                let epoch = place.epoch + 1;
                let next = Place { epoch, at: head.starts[side(epoch)].load(Acquire) };
                fence(Acquire);
                if self.stands(epoch) {
                    *place = next;
                }
            }
        }
    }

    /// The half of this number was not begun anew since.
    fn stands(&self, epoch: u64) -> bool {
        self.head[0].writing.load(Relaxed) < epoch + 2
    }

    /// Copies the record at a place; returns where the next one begins.
    fn copy(&self, place: Place, end: u64, record: &mut Vec<u8>) -> Option<u64> {
        let half = self.halves[side(place.epoch)].get(place.at as usize..end as usize)?;
        let (first, rest) = half.split_first()?;
        let bytes = usize::try_from(first.load(Relaxed)).ok()?;
        let words = bytes.div_ceil(8);
        record.clear();
        record.resize(bytes.min(rest.len() * 8), 0);
        load_bytes(rest.get(..words)?, record).then_some(place.at + 1 + words as u64)
    }

    /// Takes the lock for writing.
    pub fn write(&self) -> Result<Pen<'_>, Refusal> {
        let held = self.head[0].lock.take(PATIENCE).map_err(|_| Refusal::Busy)?;
        Ok(Pen { log: self, _held: held })
    }
}

/// The right to append.
pub struct Pen<'l> {
    log: &'l ChangeLog,
    _held: Taken<'l>,
}

impl Pen<'_> {
    /// A record of so many bytes fits behind the others.
    pub fn fits(&self, bytes: usize) -> bool {
        let head = &self.log.head[0];
        let epoch = head.epoch.load(Relaxed);
        let used = head.ends[side(epoch)].load(Relaxed) as usize;
        used + 1 + bytes.div_ceil(8) <= self.log.halves[side(epoch)].len()
    }

    /// Appends a record. The writer must have read all others: its place is behind this one now.
    pub fn append(&mut self, record: &[u8], place: &mut Place) -> Result<(), Refusal> {
        let head = &self.log.head[0];
        let epoch = head.epoch.load(Relaxed);
        let end = self.put(epoch, head.ends[side(epoch)].load(Relaxed), record).ok_or(Refusal::Full)?;
        head.ends[side(epoch)].store(end, Release);
        *place = Place { epoch, at: end };
        Ok(())
    }

    /// Begins the other half with the records that `digest` hands to its argument, until that says false:
    /// there is no room for them, and all stays as it was.
    pub fn restart(&mut self, place: &mut Place, digest: impl FnOnce(&mut dyn FnMut(&[u8]) -> bool)) -> bool {
        let head = &self.log.head[0];
        let epoch = head.epoch.load(Relaxed) + 1;
        head.writing.store(epoch, Relaxed);
        fence(Release);
        let mut end = Some(0);
        digest(&mut |record| {
            end = end.and_then(|at| self.put(epoch, at, record));
            end.is_some()
        });
        let Some(end) = end else { return false };
        head.ends[side(epoch)].store(end, Release);
        head.starts[side(epoch)].store(end, Release);
        head.epoch.store(epoch, Release);
        *place = Place { epoch, at: end };
        true
    }

    /// Writes a record without telling anybody; returns where it ends.
    fn put(&self, epoch: u64, at: u64, record: &[u8]) -> Option<u64> {
        let words = record.len().div_ceil(8);
        let room = self.log.halves[side(epoch)].get(at as usize..at as usize + 1 + words)?;
        let (first, rest) = room.split_first()?;
        first.store(record.len() as u64, Relaxed);
        store_bytes(rest, record)?;
        Some(at + 1 + words as u64)
    }
}

fn side(epoch: u64) -> usize {
    (epoch & 1) as usize
}

const HEAD_WORDS: usize = size_of::<Head>().div_ceil(8);

#[cfg(test)]
mod tests {
    use super::*;

    fn log(half_bytes: usize) -> (Region<AtomicU64>, ChangeLog) {
        let region = Region::alone(ChangeLog::words_needed(half_bytes)).unwrap();
        let log = ChangeLog::attach(&region).unwrap();
        (region, log)
    }

    fn news(log: &ChangeLog, place: &mut Place) -> Vec<String> {
        let mut seen = Vec::new();
        log.read(place, |record| seen.push(String::from_utf8_lossy(record).into_owned()));
        assert!(!log.has_news(place));
        seen
    }

    #[test]
    fn records_come_in_order_to_everybody() {
        let (region, log) = log(1024);
        let other = ChangeLog::attach(&region).unwrap();
        let (mut mine, mut theirs) = (Place::default(), Place::default());
        for text in ["one", "", "exactly8", "a little longer"] {
            log.write().unwrap().append(text.as_bytes(), &mut mine).unwrap();
        }
        assert!(!log.has_news(&mine) && other.has_news(&theirs));
        assert_eq!(news(&other, &mut theirs), ["one", "", "exactly8", "a little longer"]);
        assert_eq!(theirs, mine);
    }

    #[test]
    fn a_full_half_is_followed_by_a_digest_that_only_latecomers_read() {
        let (_region, log) = log(64);
        let (mut writer, mut early, mut half, mut late) =
            (Place::default(), Place::default(), Place::default(), Place::default());
        log.write().unwrap().append(b"1", &mut writer).unwrap();
        assert_eq!(news(&log, &mut half), ["1"]);
        let mut pen = log.write().unwrap();
        for text in [b"2", b"3", b"4"] {
            pen.append(text, &mut writer).unwrap();
        }
        assert!(!pen.fits(1));
        assert_eq!(pen.append(b"5", &mut writer), Err(Refusal::Full));
        assert_eq!(news(&log, &mut early), ["1", "2", "3", "4"]);
        assert!(pen.restart(&mut writer, |put| assert!(put(b"1-4"))));
        pen.append(b"5", &mut writer).unwrap();
        assert_eq!(news(&log, &mut early), ["5"]);
        assert_eq!(news(&log, &mut half), ["2", "3", "4", "5"]);
        assert!(pen.restart(&mut writer, |put| assert!(put(b"1-5"))));
        pen.append(b"6", &mut writer).unwrap();
        assert_eq!(news(&log, &mut late), ["1-5", "6"]);
        assert_eq!(news(&log, &mut early), ["6"]);
    }

    #[test]
    fn a_digest_without_room_changes_nothing() {
        let (_region, log) = log(64);
        let (mut writer, mut reader, mut late) = (Place::default(), Place::default(), Place::default());
        let mut pen = log.write().unwrap();
        pen.append(b"kept", &mut writer).unwrap();
        let mut refused = 0;
        assert!(!pen.restart(&mut writer, |put| (0..9).for_each(|_| refused += i32::from(!put(b"record")))));
        assert!(refused > 0);
        pen.append(b"more", &mut writer).unwrap();
        assert_eq!(news(&log, &mut reader), ["kept", "more"]);
        assert!(pen.restart(&mut writer, |put| assert!(put(b"both"))));
        pen.append(b"z", &mut writer).unwrap();
        assert_eq!(news(&log, &mut reader), ["z"]);
        assert_eq!(news(&log, &mut late), ["kept", "more", "z"], "the old half still stands");
    }

    #[test]
    fn only_one_writes() {
        let (region, log) = log(64);
        let other = ChangeLog::attach(&region).unwrap();
        let held = log.write().unwrap();
        let refused = std::thread::scope(|s| s.spawn(|| other.write().err()).join().unwrap());
        assert_eq!(refused, Some(Refusal::Busy));
        drop(held);
        assert!(other.write().is_ok());
    }

    #[test]
    fn readers_see_whole_records_while_halves_change() {
        let (region, log) = log(512);
        let done = AtomicU64::new(0);
        std::thread::scope(|s| {
            s.spawn(|| {
                let mut place = Place::default();
                for n in 0..20_000u64 {
                    let record = n.to_le_bytes().repeat(3);
                    let mut pen = log.write().unwrap();
                    if !pen.fits(record.len()) {
                        let last = (n - 1).to_le_bytes().repeat(3);
                        assert!(pen.restart(&mut place, |put| assert!(put(&last))));
                    }
                    pen.append(&record, &mut place).unwrap();
                }
                done.store(1, Release);
            });
            let reader = ChangeLog::attach(&region).unwrap();
            let (mut place, mut last) = (Place::default(), 0);
            while done.load(Acquire) == 0 || reader.has_news(&place) {
                reader.read(&mut place, |record| {
                    let n = u64::from_le_bytes(record[..8].try_into().unwrap());
                    assert_eq!(record, n.to_le_bytes().repeat(3));
                    assert!(n >= last, "{n} after {last}");
                    last = n;
                });
            }
            assert_eq!(last, 19_999);
        });
    }
}
