//! Who holds which entry: one list per process, in shared memory, so that the share of a killed process can be taken
//! back, and the counts of holders be worked out anew when it was killed in the middle of changing them.
//!
//! A list is written by its own process only, under the lock of the entry's shard; after its death by the master. Free
//! places form a chain through the list itself. What the master cannot let go of, because a lock is not to be had, is an
//! orphan: the next process in that place does it.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use lighterman_sys::map::Region;

const HELD: u64 = 1 << 63;
const CONN: u64 = 1 << 62;
const ORPHAN: u64 = 1 << 61;
const UID_AT: u32 = 40;

/// Places of a list: entries a process can hold at once, over all tables.
const PLACES: usize = 1 << 18;
/// The first words: head of the chain of free places, places ever used, orphans.
const FREE: usize = 0;
const USED: usize = 1;
const ORPHANS: usize = 2;
const FIRST: usize = 3;

/// An entry held by a process: it is not removed as long as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// Position of the table among those of the configuration.
    pub table: u16,
    /// Position of the entry.
    pub(super) entry: u32,
    /// Place in the list of this process.
    pub(super) place: u32,
}

/// What a place of a list says.
#[derive(Clone, Copy)]
pub(super) struct Note {
    pub(super) uid: u16,
    pub(super) entry: u32,
    /// It counts as a connection (`conn_cur`).
    pub(super) conn: bool,
    /// Who held it is gone.
    pub(super) orphan: bool,
}

impl Note {
    fn read(word: u64) -> Option<Note> {
        let uid = (word >> UID_AT) as u16;
        let (conn, orphan) = (word & CONN != 0, word & ORPHAN != 0);
        (word & HELD != 0).then_some(Note { uid, entry: word as u32, conn, orphan })
    }

    fn word(self) -> u64 {
        let conn = if self.conn { CONN } else { 0 };
        let orphan = if self.orphan { ORPHAN } else { 0 };
        HELD | conn | orphan | u64::from(self.uid) << UID_AT | u64::from(self.entry)
    }
}

/// The lists of all processes.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    lists: Vec<Region<AtomicU64>>,
}

impl Journal {
    pub(super) fn make(processes: u32) -> std::io::Result<Journal> {
        let lists = (0..processes).map(|_| Region::alone(FIRST + PLACES)).collect::<Result<_, _>>()?;
        Ok(Journal { lists })
    }

    /// Notes that process `slot` holds an entry; `None`: it holds as many as it can.
    pub(super) fn note(&self, slot: u32, note: Note) -> Option<u32> {
        let list = self.lists.get(slot as usize)?;
        let place = match list.get(FREE)?.load(Relaxed) as usize {
            0 => {
                let place = FIRST + list.get(USED)?.load(Relaxed) as usize;
                let word = list.get(place)?;
                word.store(note.word(), Relaxed);
                list.get(USED)?.fetch_add(1, Relaxed);
                place
            }
            place => {
                let word = list.get(place)?;
                list.get(FREE)?.store(word.load(Relaxed), Relaxed);
                word.store(note.word(), Relaxed);
                place
            }
        };
        Some(place as u32)
    }

    /// Takes a note back.
    pub(super) fn forget(&self, slot: u32, place: u32) -> Option<Note> {
        let list = self.lists.get(slot as usize)?;
        let word = list.get(place as usize)?;
        let note = Note::read(word.load(Relaxed))?;
        let free = list.get(FREE)?;
        word.store(free.load(Relaxed), Relaxed);
        free.store(u64::from(place), Relaxed);
        Some(note)
    }

    /// The places of a process that hold something.
    pub(super) fn held_by(&self, slot: u32) -> impl Iterator<Item = (u32, Note)> + '_ {
        let list = self.lists.get(slot as usize).map_or(&[][..], |list| &list[..]);
        let used = list.get(USED).map_or(0, |used| used.load(Relaxed) as usize);
        let places = list.iter().enumerate().skip(FIRST).take(used);
        places.filter_map(|(at, word)| Some((at as u32, Note::read(word.load(Relaxed))?)))
    }

    /// Every note on entries of one table.
    pub(super) fn of_table(&self, uid: u16) -> impl Iterator<Item = Note> + '_ {
        let all = (0..self.lists.len() as u32).flat_map(|slot| self.held_by(slot));
        all.map(|(_, note)| note).filter(move |note| note.uid == uid)
    }

    /// The process is gone and could not be let go of this: somebody will.
    pub(super) fn abandon(&self, slot: u32, place: u32, note: Note) {
        if let Some(word) = self.lists.get(slot as usize).and_then(|list| list.get(place as usize)) {
            word.store(Note { orphan: true, ..note }.word(), Relaxed);
        }
    }

    /// Orphans in the list of a process.
    pub(super) fn orphans(&self, slot: u32) -> u64 {
        let list = self.lists.get(slot as usize);
        list.and_then(|list| list.get(ORPHANS)).map_or(0, |count| count.load(Relaxed))
    }

    /// Empties the list of a process that is gone, but for orphans.
    pub(super) fn clear(&self, slot: u32) {
        let Some(list) = self.lists.get(slot as usize) else { return };
        let Some([free, used, orphans]) = list.first_chunk::<FIRST>() else { return };
        let (mut chain, mut left) = (0, 0);
        let places = used.load(Relaxed) as usize;
        for (place, word) in list.iter().enumerate().skip(FIRST).take(places) {
            if Note::read(word.load(Relaxed)).is_some_and(|note| note.orphan) {
                left += 1;
            } else {
                word.store(chain, Relaxed);
                chain = place as u64;
            }
        }
        free.store(chain, Relaxed);
        orphans.store(left, Relaxed);
        if left == 0 {
            // pages that nobody uses any more stay as they are, but the next process begins at the front
            list.iter().skip(FIRST).take(places).for_each(|word| word.store(0, Relaxed));
            used.store(0, Relaxed);
            free.store(0, Relaxed);
        }
    }

    /// An orphan less.
    pub(super) fn found_home(&self, slot: u32) {
        if let Some(count) = self.lists.get(slot as usize).and_then(|list| list.get(ORPHANS)) {
            count.store(count.load(Relaxed).saturating_sub(1), Relaxed);
        }
    }
}
