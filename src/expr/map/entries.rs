//! The entries of one file by their numbers, which rise in the order of insertion: a line of places from the lowest
//! number in use, so that the entry of a number is found at once. Places of entries that were taken away stay empty until
//! the file gives its entries new numbers.

use std::collections::VecDeque;

use super::Entry;

/// Empty places that are always borne with.
const HOLES_MIN: usize = 1024;

/// The entries.
#[derive(Clone, Default)]
pub(super) struct Entries {
    /// Begins with an entry.
    line: VecDeque<Option<Entry>>,
    first: u32,
    live: usize,
}

impl Entries {
    fn place(&self, id: u32) -> Option<usize> {
        id.checked_sub(self.first).map(|place| place as usize)
    }

    #[inline]
    pub(super) fn get(&self, id: u32) -> Option<&Entry> {
        self.line.get(self.place(id)?)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Entry> {
        let place = self.place(id)?;
        self.line.get_mut(place)?.as_mut()
    }

    pub(super) fn insert(&mut self, id: u32, entry: Entry) {
        if self.line.is_empty() {
            self.first = id;
        }
        while self.first > id {
            self.line.push_front(None);
            self.first -= 1;
        }
        let place = (id - self.first) as usize;
        if self.line.len() <= place {
            self.line.resize(place + 1, None);
        }
        self.live += usize::from(self.line[place].replace(entry).is_none());
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<Entry> {
        let place = self.place(id)?;
        let gone = self.line.get_mut(place)?.take()?;
        self.live -= 1;
        while self.line.front().is_some_and(Option::is_none) {
            self.line.pop_front();
            self.first += 1;
        }
        Some(gone)
    }

    pub(super) fn clear(&mut self) {
        self.line.clear();
        self.live = 0;
    }

    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// In the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Entry)> {
        (self.first..).zip(&self.line).filter_map(|(id, entry)| Some((id, entry.as_ref()?)))
    }

    pub(super) fn ids(&self) -> Vec<u32> {
        self.iter().map(|(id, _)| id).collect()
    }

    /// Numbers below `next` are used so thinly that they should be given anew. The same in every process that holds the
    /// same entries, whatever it did before.
    pub(super) fn is_thin(&self, next: u32) -> bool {
        self.live > 0 && (next - self.first) as usize - self.live > self.live.max(HOLES_MIN)
    }

    /// Numbers from 0 in the same order. Returns what becomes of each number from the lowest on.
    pub(super) fn renumber(&mut self) -> Renumbered {
        let mut next = 0;
        let new = self.line.iter().map(|entry| {
            let id = next;
            next += u32::from(entry.is_some());
            id
        });
        let renumbered = Renumbered { first: self.first, new: new.collect() };
        self.line.retain(Option::is_some);
        self.first = 0;
        renumbered
    }
}

/// New numbers of entries.
pub(super) struct Renumbered {
    first: u32,
    new: Vec<u32>,
}

impl Renumbered {
    /// The new number of an entry.
    pub(super) fn of(&self, id: u32) -> u32 {
        let place = id.checked_sub(self.first).map(|place| place as usize);
        place.and_then(|place| self.new.get(place)).copied().unwrap_or(id)
    }
}
