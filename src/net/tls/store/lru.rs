//! What was used lately, within a number of bytes: the parsed certificates of a process.

use std::collections::HashMap;
use std::hash::Hash;

const NONE: usize = usize::MAX;

struct Node<K, V> {
    key: K,
    value: V,
    weight: usize,
    newer: usize,
    older: usize,
}

/// Values by key, the least recently used ones forgotten when they weigh too much.
pub struct Lru<K, V> {
    places: HashMap<K, usize>,
    nodes: Vec<Option<Node<K, V>>>,
    free: Vec<usize>,
    newest: usize,
    oldest: usize,
    weight: usize,
    limit: usize,
    evicted: u64,
}

impl<K: Copy + Eq + Hash, V> Lru<K, V> {
    /// For values that weigh `limit` bytes together. One value is always kept, whatever it weighs.
    pub fn new(limit: usize) -> Self {
        Lru {
            places: HashMap::new(),
            nodes: Vec::new(),
            free: Vec::new(),
            newest: NONE,
            oldest: NONE,
            weight: 0,
            limit,
            evicted: 0,
        }
    }

    /// The value of a key, which is the newest from now on.
    pub fn get(&mut self, key: &K) -> Option<&V> {
        let place = *self.places.get(key)?;
        if place != self.newest {
            self.unlink(place);
            self.link(place);
        }
        self.nodes.get(place)?.as_ref().map(|node| &node.value)
    }

    /// Keeps a value in place of an older one; forgets others as need be.
    pub fn put(&mut self, key: K, value: V, weight: usize) {
        self.remove(&key);
        let node = Some(Node { key, value, weight, newer: NONE, older: NONE });
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.nodes.push(None);
                self.nodes.len() - 1
            }
        };
        if let Some(room) = self.nodes.get_mut(place) {
            *room = node;
        }
        self.places.insert(key, place);
        self.link(place);
        self.weight += weight;
        while self.weight > self.limit && self.oldest != place {
            let Some(oldest) = self.nodes.get(self.oldest).and_then(|node| node.as_ref()) else { return };
            let key = oldest.key;
            self.remove(&key);
            self.evicted += 1;
        }
    }

    /// Forgets a key.
    pub fn remove(&mut self, key: &K) {
        let Some(place) = self.places.remove(key) else { return };
        self.unlink(place);
        if let Some(node) = self.nodes.get_mut(place).and_then(Option::take) {
            self.weight -= node.weight;
            self.free.push(place);
        }
    }

    /// Bytes kept.
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// Bytes that may be kept.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Values kept.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Values forgotten for want of room.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    fn node(&mut self, place: usize) -> Option<&mut Node<K, V>> {
        self.nodes.get_mut(place)?.as_mut()
    }

    fn unlink(&mut self, place: usize) {
        let Some((newer, older)) = self.node(place).map(|node| (node.newer, node.older)) else { return };
        match self.node(newer) {
            Some(node) => node.older = older,
            None => self.newest = older,
        }
        match self.node(older) {
            Some(node) => node.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link(&mut self, place: usize) {
        let before = self.newest;
        if let Some(node) = self.node(place) {
            (node.newer, node.older) = (NONE, before);
        }
        match self.node(before) {
            Some(node) => node.newer = place,
            None => self.oldest = place,
        }
        self.newest = place;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_lately_stays() {
        let mut lru = Lru::new(30);
        for key in [1, 2, 3] {
            lru.put(key, key * 10, 10);
        }
        assert_eq!(lru.get(&1), Some(&10));
        lru.put(4, 40, 10);
        assert_eq!([1, 2, 3, 4].map(|key| lru.get(&key).copied()), [Some(10), None, Some(30), Some(40)]);
        lru.put(1, 11, 25);
        assert_eq!((lru.len(), lru.weight(), lru.evicted()), (1, 25, 3));
        lru.put(9, 90, 1000);
        assert_eq!(lru.get(&9), Some(&90));
        assert_eq!((lru.len(), lru.weight()), (1, 1000));
        lru.put(8, 80, 5);
        assert_eq!([9, 8].map(|key| lru.get(&key).copied()), [None, Some(80)]);
        assert_eq!(lru.weight(), 5);
        lru.remove(&8);
        assert!(lru.is_empty() && lru.weight() == 0);
        lru.put(7, 70, 1);
        assert_eq!(lru.get(&7), Some(&70));
    }

    #[test]
    fn it_behaves_like_a_slow_one() {
        let mut rng = crate::base::rng::Rng::from_seed(5);
        let (mut lru, mut model) = (Lru::new(100), Vec::<(u64, u64, usize)>::new());
        for step in 0..20_000u64 {
            let key = rng.next() % 40;
            match rng.next() % 4 {
                0 => {
                    lru.remove(&key);
                    model.retain(|(known, ..)| *known != key);
                }
                1 => {
                    let weight = (rng.next() % 20) as usize;
                    lru.put(key, step, weight);
                    model.retain(|(known, ..)| *known != key);
                    model.push((key, step, weight));
                    while model.iter().map(|(_, _, weight)| weight).sum::<usize>() > 100 {
                        model.remove(0);
                    }
                }
                _ => {
                    let known = model.iter().position(|(known, ..)| *known == key);
                    let known = known.map(|place| model.remove(place));
                    assert_eq!(lru.get(&key).copied(), known.map(|(_, value, _)| value));
                    model.extend(known);
                }
            }
            assert_eq!(lru.len(), model.len());
        }
        assert!(lru.nodes.len() <= 41);
    }
}
