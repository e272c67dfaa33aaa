//! A hash table of patterns that lies flat in memory: what is looked up is compared with one slot, in most cases, and
//! what is not there is told by a filter that stays in the cache. Used by the sets of texts and of networks.
//!
//! Slots are probed one behind the other, and removing one closes the gap, so that searches never get longer. Several
//! ids of one pattern stand in a list of their own. Hashes come from the owners, who mix a seed in that nobody outside
//! knows: keys that clients choose cannot be made to meet.

use std::hash::{BuildHasher, Hasher, RandomState};

/// One pattern, or none.
#[derive(Clone, Copy, Default)]
struct Slot<P> {
    /// 30 bits of the hash, [`MANY`], [`USED`]; 0 is an empty slot.
    tag: u32,
    /// The id, or with [`MANY`] the number of a list of ids.
    id: u32,
    pattern: P,
}

const USED: u32 = 1;
const MANY: u32 = 2;
const HASH: u32 = !3;

/// The table. `P` is what a pattern is told by: a number of its own, or a place in the owner's memory.
#[derive(Clone)]
pub struct Flat<P> {
    slots: Vec<Slot<P>>,
    used: usize,
    filter: Filter,
    lists: Vec<Vec<u32>>,
    /// Lists nobody uses.
    spare: Vec<u32>,
}

impl<P> Default for Flat<P> {
    fn default() -> Self {
        Flat { slots: Vec::new(), used: 0, filter: Filter::default(), lists: Vec::new(), spare: Vec::new() }
    }
}

impl<P: Copy + Default> Flat<P> {
    /// Different patterns.
    pub fn count(&self) -> usize {
        self.used
    }

    fn home(&self, tag: u32) -> usize {
        (tag >> 2) as usize & (self.slots.len() - 1)
    }

    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }

    /// The slot of a pattern, or the empty one where it would be. There must be slots.
    #[inline]
    fn probe(&self, tag: u32, is: impl Fn(P) -> bool) -> usize {
        let mut at = self.home(tag);
        loop {
            let slot = &self.slots[at];
            if slot.tag == 0 || (slot.tag & HASH == tag & HASH && is(slot.pattern)) {
                return at;
            }
            at = self.next(at);
        }
    }

    /// The slot of a pattern that is there.
    #[inline]
    fn slot(&self, hash: u64, is: impl Fn(P) -> bool) -> Option<usize> {
        let tag = tag_of(hash);
        if !self.filter.may_hold(tag) {
            return None;
        }
        let at = self.probe(tag, is);
        (self.slots[at].tag != 0).then_some(at)
    }

    /// The lowest id of a pattern.
    #[inline]
    pub fn find(&self, hash: u64, is: impl Fn(P) -> bool) -> Option<u32> {
        let slot = &self.slots[self.slot(hash, is)?];
        Some(if slot.tag & MANY == 0 { slot.id } else { self.lists[slot.id as usize][0] })
    }

    /// All ids of a pattern, rising.
    pub fn ids(&self, hash: u64, is: impl Fn(P) -> bool) -> Vec<u32> {
        match self.slot(hash, is).map(|at| &self.slots[at]) {
            None => Vec::new(),
            Some(slot) if slot.tag & MANY == 0 => vec![slot.id],
            Some(slot) => self.lists[slot.id as usize].clone(),
        }
    }

    /// Adds an id of a pattern; `make` is asked for the pattern if it is new.
    pub fn add(&mut self, hash: u64, id: u32, is: impl Fn(P) -> bool, make: impl FnOnce() -> P) {
        if (self.used + 1) * 8 > self.slots.len() * 7 {
            self.grow();
        }
        let tag = tag_of(hash);
        let at = self.probe(tag, is);
        let slot = self.slots[at];
        if slot.tag == 0 {
            self.slots[at] = Slot { tag, id, pattern: make() };
            self.used += 1;
            self.filter.add(tag);
        } else if slot.tag & MANY == 0 {
            let list = if slot.id < id { vec![slot.id, id] } else { vec![id, slot.id] };
            let number = match self.spare.pop() {
                Some(number) => number,
                None => {
                    self.lists.push(Vec::new());
                    (self.lists.len() - 1) as u32
                }
            };
            self.lists[number as usize] = list;
            self.slots[at].id = number;
            self.slots[at].tag |= MANY;
        } else {
            let list = &mut self.lists[slot.id as usize];
            let place = list.partition_point(|known| *known < id);
            list.insert(place, id);
        }
    }

    /// Takes an id of a pattern away. The pattern itself comes back when this was its last.
    pub fn remove(&mut self, hash: u64, id: u32, is: impl Fn(P) -> bool) -> Removed<P> {
        let Some(at) = self.slot(hash, is) else { return Removed::Nothing };
        let slot = self.slots[at];
        if slot.tag & MANY == 0 {
            if slot.id != id {
                return Removed::Nothing;
            }
            self.close(at);
            self.used -= 1;
            if self.filter.forgets_too_little(self.slots.len()) {
                self.refilter();
            }
            return Removed::Last(slot.pattern);
        }
        let list = &mut self.lists[slot.id as usize];
        let Ok(place) = list.binary_search(&id) else { return Removed::Nothing };
        list.remove(place);
        if let [only] = list[..] {
            self.spare.push(slot.id);
            self.slots[at].id = only;
            self.slots[at].tag &= !MANY;
        }
        Removed::OneOfMany
    }

    /// Empties a slot and moves those behind it up that would not be found any more.
    fn close(&mut self, mut gap: usize) {
        let mut at = self.next(gap);
        while self.slots[at].tag != 0 {
            let home = self.home(self.slots[at].tag);
            let (to_gap, to_here) = (self.distance(home, gap), self.distance(home, at));
            if to_gap < to_here {
                self.slots[gap] = self.slots[at];
                gap = at;
            }
            at = self.next(at);
        }
        self.slots[gap] = Slot::default();
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & (self.slots.len() - 1)
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(8);
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); size]);
        for slot in old.into_iter().filter(|slot| slot.tag != 0) {
            let mut at = self.home(slot.tag);
            while self.slots[at].tag != 0 {
                at = self.next(at);
            }
            self.slots[at] = slot;
        }
        self.refilter();
    }

    fn refilter(&mut self) {
        self.filter = Filter::sized(self.slots.len());
        for slot in self.slots.iter().filter(|slot| slot.tag != 0) {
            self.filter.add(slot.tag);
        }
    }

    /// Every pattern with its lowest id, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (P, u32)> + '_ {
        let lowest = |slot: &Slot<P>| match slot.tag & MANY {
            0 => slot.id,
            _ => self.lists[slot.id as usize][0],
        };
        self.slots.iter().filter(|slot| slot.tag != 0).map(move |slot| (slot.pattern, lowest(slot)))
    }

    /// Every pattern, to be changed in place.
    pub fn patterns_mut(&mut self) -> impl Iterator<Item = &mut P> {
        self.slots.iter_mut().filter(|slot| slot.tag != 0).map(|slot| &mut slot.pattern)
    }

    /// Gives every id another number; the order stays.
    pub fn renumber(&mut self, new: &dyn Fn(u32) -> u32) {
        for slot in self.slots.iter_mut().filter(|slot| slot.tag & (USED | MANY) == USED) {
            slot.id = new(slot.id);
        }
        self.lists.iter_mut().flatten().for_each(|id| *id = new(*id));
    }
}

/// What became of an id.
pub enum Removed<P> {
    /// It was not there.
    Nothing,
    /// The pattern has others.
    OneOfMany,
    /// The pattern is gone.
    Last(P),
}

fn tag_of(hash: u64) -> u32 {
    (hash >> 32) as u32 & HASH | USED
}

/// Two bits of one word per pattern, 16 bits or more for each.
#[derive(Clone, Default)]
struct Filter {
    words: Vec<u64>,
    /// Patterns added since it was made.
    added: usize,
}

impl Filter {
    fn sized(slots: usize) -> Filter {
        Filter { words: vec![0; (slots / 4).max(1)], added: 0 }
    }

    fn add(&mut self, tag: u32) {
        let (at, bits) = self.place(tag);
        if let Some(word) = self.words.get_mut(at) {
            *word |= bits;
        }
        self.added += 1;
    }

    /// False: the table does not hold it.
    #[inline]
    fn may_hold(&self, tag: u32) -> bool {
        let (at, bits) = self.place(tag);
        self.words.get(at).is_some_and(|word| word & bits == bits)
    }

    /// So many patterns came and went that it is made anew.
    fn forgets_too_little(&self, slots: usize) -> bool {
        self.added > slots * 2
    }

    #[inline]
    fn place(&self, tag: u32) -> (usize, u64) {
        let mixed = u64::from(tag >> 2).wrapping_mul(MIX);
        let bits = 1 << (mixed >> 58) | 1 << (mixed >> 52 & 63);
        ((mixed >> 20) as usize & self.words.len().wrapping_sub(1), bits)
    }
}

/// A number that is another one in every table.
pub fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Spreads differences over all bits (the golden ratio).
pub const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use std::collections::BTreeMap;

    /// Patterns are numbers; `spread` decides how many of them meet in one place.
    fn hash(n: u32, spread: u32) -> u64 {
        u64::from(n % spread).wrapping_mul(MIX)
    }

    #[test]
    fn holds_what_a_plain_map_holds() {
        let mut rng = Rng::from_seed(3);
        for spread in [1, 7, u32::MAX] {
            let mut flat = Flat::<u32>::default();
            let mut plain: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
            for id in 0..6000u32 {
                let n = rng.below(500) as u32;
                let h = hash(n, spread);
                if rng.below(5) < 3 {
                    flat.add(h, id, |p| p == n, || n);
                    plain.entry(n).or_default().push(id);
                } else {
                    let ids = plain.entry(n).or_default();
                    let victim = ids.get(rng.below(ids.len().max(1) as u64) as usize).copied().unwrap_or(id);
                    ids.retain(|known| *known != victim);
                    let (had, left) = (victim != id, ids.len());
                    match flat.remove(h, victim, |p| p == n) {
                        Removed::Nothing => assert!(!had),
                        Removed::OneOfMany => assert!(had && left > 0),
                        Removed::Last(p) => assert!(had && left == 0 && p == n),
                    }
                }
                assert_eq!(flat.find(h, |p| p == n), plain[&n].first().copied());
            }
            flat.renumber(&|id| id + 10);
            for (n, ids) in &plain {
                let ids: Vec<u32> = ids.iter().map(|id| id + 10).collect();
                assert_eq!(flat.ids(hash(*n, spread), |p| p == *n), ids);
            }
            let known = plain.values().filter(|ids| !ids.is_empty()).count();
            assert_eq!((flat.count(), flat.iter().count()), (known, known));
        }
    }

    #[test]
    fn most_of_what_is_not_there_is_told_by_the_filter() {
        let mut flat = Flat::<u32>::default();
        let hash = |n: u32| u64::from(n).wrapping_mul(MIX) ^ 0x1234_5678_9abc_def0;
        for n in 0..50_000 {
            flat.add(hash(n), n, |p| p == n, || n);
        }
        let wrong = (100_000..200_000).filter(|n| flat.filter.may_hold(tag_of(hash(*n)))).count();
        assert!(wrong < 3000, "{wrong} of 100,000");
        // also after many came and went
        for n in 50_000..600_000 {
            flat.add(hash(n), n, |p| p == n, || n);
            flat.remove(hash(n), n, |p| p == n);
        }
        let wrong = (700_000..800_000).filter(|n| flat.filter.may_hold(tag_of(hash(*n)))).count();
        assert!(wrong < 25_000, "{wrong} of 100,000");
    }
}
