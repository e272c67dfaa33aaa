//! Generational storage for everything that is born and dies at run time.
//!
//! An [`Arena`] is a dense vector of slots; an [`Id`] names a slot together with the generation it had
//! when the object was born. Invariant: a stale id is `None`, never another object, so every late
//! event is harmless. The id is known before the value exists ([`Arena::vacant`]), because an object,
//! its task and its poll token must know each other's names.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// The name of an object in an [`Arena`]. `K` only keeps names of different kinds apart.
pub struct Id<K> {
    index: u32,
    generation: u32,
    kind: PhantomData<fn() -> K>,
}

impl<K> Id<K> {
    /// Builds an id from its parts, as [`Id::index`] and [`Id::generation`] gave them.
    pub fn new(index: u32, generation: u32) -> Self {
        Id { index, generation, kind: PhantomData }
    }

    /// The slot.
    #[inline]
    pub fn index(self) -> u32 {
        self.index
    }

    /// How often the slot had been used before.
    #[inline]
    pub fn generation(self) -> u32 {
        self.generation
    }

    /// Both parts in one word, for tokens, logs and messages between processes.
    #[inline]
    pub fn pack(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// The id that [`Id::pack`] gave. Any number is allowed: at worst the id is stale.
    #[inline]
    pub fn unpack(word: u64) -> Self {
        Id::new(word as u32, (word >> 32) as u32)
    }
}

// Derived impls would ask the same of `K`, which is only a marker.
impl<K> Clone for Id<K> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Id<K> {}

impl<K> PartialEq for Id<K> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index && self.generation == other.generation
    }
}

impl<K> Eq for Id<K> {}

impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pack().hash(state);
    }
}

impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

impl<K> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Objects by [`Id`]. `K` is the kind in the ids; a floor that must name objects it cannot see uses a
/// marker of [`crate::base::ids`].
#[derive(Debug)]
pub struct Arena<T, K = T> {
    slots: Vec<Slot<T>>,
    free: u32,
    len: u32,
    limit: u32,
    kind: PhantomData<fn() -> K>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    state: State<T>,
}

#[derive(Debug)]
enum State<T> {
    Full(T),
    /// The next free slot, or [`NONE`].
    Free(u32),
}

/// No slot: the end of the list of free ones.
const NONE: u32 = u32::MAX;

impl<T, K> Arena<T, K> {
    /// An empty arena that never holds more than `limit` objects. Takes no memory yet.
    pub fn with_limit(limit: u32) -> Self {
        Arena { slots: Vec::new(), free: NONE, len: 0, limit: limit.min(NONE - 1), kind: PhantomData }
    }

    /// A place for a new object, or `None` when the arena is full.
    #[inline]
    pub fn vacant(&mut self) -> Option<Vacant<'_, T, K>> {
        if self.len >= self.limit {
            return None;
        }
        let index = if self.free == NONE { self.slots.len() as u32 } else { self.free };
        Some(Vacant { arena: self, index })
    }

    /// Stores `value`; gives it back when the arena is full.
    pub fn insert(&mut self, value: T) -> Result<Id<K>, T> {
        match self.vacant() {
            Some(place) => Ok(place.fill(value)),
            None => Err(value),
        }
    }

    /// The object, unless it is gone.
    #[inline]
    pub fn get(&self, id: Id<K>) -> Option<&T> {
        match self.slots.get(id.index as usize) {
            Some(Slot { generation, state: State::Full(value) }) if *generation == id.generation => {
                Some(value)
            }
            _ => None,
        }
    }

    /// The object, unless it is gone.
    #[inline]
    pub fn get_mut(&mut self, id: Id<K>) -> Option<&mut T> {
        match self.slots.get_mut(id.index as usize) {
            Some(Slot { generation, state: State::Full(value) }) if *generation == id.generation => {
                Some(value)
            }
            _ => None,
        }
    }

    /// Takes the object out; its id is stale from here on.
    pub fn remove(&mut self, id: Id<K>) -> Option<T> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation != id.generation || !matches!(slot.state, State::Full(_)) {
            return None;
        }
        let state = std::mem::replace(&mut slot.state, State::Free(self.free));
        slot.generation = slot.generation.wrapping_add(1);
        self.free = id.index;
        self.len -= 1;
        match state {
            State::Full(value) => Some(value),
            State::Free(_) => None,
        }
    }

    /// Whether the object is still there.
    pub fn contains(&self, id: Id<K>) -> bool {
        self.get(id).is_some()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many objects there may be.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// All objects in slot order.
    pub fn iter(&self) -> impl Iterator<Item = (Id<K>, &T)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| match &slot.state {
            State::Full(value) => Some((Id::new(index as u32, slot.generation), value)),
            State::Free(_) => None,
        })
    }

    /// All objects in slot order, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Id<K>, &mut T)> {
        self.slots.iter_mut().enumerate().filter_map(|(index, slot)| match &mut slot.state {
            State::Full(value) => Some((Id::new(index as u32, slot.generation), value)),
            State::Free(_) => None,
        })
    }

    /// The first object at slot `from` or later: how a walk goes on after a pause (`show sess` over many
    /// turns) while objects come and go.
    pub fn next_from(&self, from: u32) -> Option<(Id<K>, &T)> {
        (from..self.slots.len() as u32).find_map(|index| match self.slots.get(index as usize) {
            Some(Slot { generation, state: State::Full(value) }) => {
                Some((Id::new(index, *generation), value))
            }
            _ => None,
        })
    }
}

/// A place that waits for its object: the id exists before the value.
pub struct Vacant<'a, T, K = T> {
    arena: &'a mut Arena<T, K>,
    index: u32,
}

impl<T, K> Vacant<'_, T, K> {
    /// The id the object will have.
    #[inline]
    pub fn id(&self) -> Id<K> {
        Id::new(self.index, self.arena.slots.get(self.index as usize).map_or(0, |slot| slot.generation))
    }

    /// Puts the object in. Dropping the place instead leaves the arena as it was.
    #[inline]
    pub fn fill(self, value: T) -> Id<K> {
        let id = self.id();
        let arena = self.arena;
        match arena.slots.get_mut(self.index as usize) {
            Some(slot) => {
                if let State::Free(next) = slot.state {
                    arena.free = next;
                }
                slot.state = State::Full(value);
            }
            None => arena.slots.push(Slot { generation: 0, state: State::Full(value) }),
        }
        arena.len += 1;
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn id_is_known_before_the_value() {
        let mut arena: Arena<u32> = Arena::with_limit(2);
        let place = arena.vacant().unwrap();
        let id = place.id();
        assert_eq!(place.fill(7), id);
        assert_eq!(arena.get(id), Some(&7));
        assert_eq!(Id::unpack(id.pack()), id);
    }

    #[test]
    fn stale_id_is_none() {
        let mut arena: Arena<&str> = Arena::with_limit(8);
        let first = arena.insert("first").unwrap();
        assert_eq!(arena.remove(first), Some("first"));
        assert_eq!(arena.remove(first), None);
        let second = arena.insert("second").unwrap();
        assert_eq!(second.index(), first.index());
        assert_ne!(second, first);
        assert_eq!(arena.get(first), None);
        assert_eq!(arena.get(second), Some(&"second"));
    }

    #[test]
    fn limit_holds_and_dropped_place_costs_nothing() {
        let mut arena: Arena<u8> = Arena::with_limit(1);
        let _ = arena.vacant().unwrap();
        assert!(arena.is_empty());
        let id = arena.insert(1).unwrap();
        assert_eq!(arena.insert(2), Err(2));
        arena.remove(id);
        assert!(arena.insert(2).is_ok());
    }

    #[test]
    fn behaves_like_a_map() {
        for seed in 0..64 {
            let mut rng = Rng::from_seed(seed);
            let mut arena: Arena<u64> = Arena::with_limit(40);
            let mut model: Vec<(Id<u64>, u64)> = Vec::new();
            let mut dead: Vec<Id<u64>> = Vec::new();
            for _ in 0..500 {
                if rng.below(2) == 0 {
                    let value = rng.next();
                    match arena.insert(value) {
                        Ok(id) => model.push((id, value)),
                        Err(_) => assert_eq!(model.len(), 40),
                    }
                } else if !model.is_empty() {
                    let (id, value) = model.swap_remove(rng.below(model.len() as u64) as usize);
                    assert_eq!(arena.remove(id), Some(value));
                    dead.push(id);
                }
                assert_eq!(arena.len(), model.len());
            }
            assert!(model.iter().all(|(id, value)| arena.get(*id) == Some(value)), "seed {seed}");
            assert!(dead.iter().all(|id| arena.get(*id).is_none()), "seed {seed}");
            assert_eq!(arena.iter().count(), model.len());
        }
    }
}
