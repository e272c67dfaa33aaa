//! Who holds which entry: one list per process, in shared memory, so that the share of a killed process can be taken
//! back, and the counts of holders be worked out anew when it was killed in the middle of changing them.
//!
//! A list is written by its own process only, under the lock of the entry's shard; after its death by the master. Free
//! places form a chain through the list itself.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use lighterman_sys::map::Region;

const HELD: u64 = 1 << 63;
const CONN: u64 = 1 << 62;
const UID_AT: u32 = 40;

/// Places of a list: entries a process can hold at once, over all tables.
const PLACES: usize = 1 << 18;
/// The first words: head of the chain of free places, places ever used.
const FREE: usize = 0;
const USED: usize = 1;
const FIRST: usize = 2;

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
}

impl Note {
    fn read(word: u64) -> Option<Note> {
        let uid = (word >> UID_AT) as u16;
        (word & HELD != 0).then_some(Note { uid, entry: word as u32, conn: word & CONN != 0 })
    }

    fn word(self) -> u64 {
        let conn = if self.conn { CONN } else { 0 };
        HELD | conn | u64::from(self.uid) << UID_AT | u64::from(self.entry)
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

    /// Empties the list of a process that is gone.
    pub(super) fn clear(&self, slot: u32) {
        let Some(list) = self.lists.get(slot as usize) else { return };
        let used = list.get(USED).map_or(0, |used| used.load(Relaxed) as usize);
        list.iter().take(FIRST + used).for_each(|word| word.store(0, Relaxed));
    }
}
