//! From a hash to a server: a table of slots (`hash-type map-based`) or a ring (`hash-type consistent`).
//!
//! Both give the servers that HAProxy gives for the same hash. Servers are named by their place in the
//! list the balancer is shown.

use crate::base::hash::avalanche;
use crate::plan::scheme::ServerView;

/// A table with as many slots as the weights add up to: a server that comes or goes moves most keys.
#[derive(Default)]
pub(super) struct Map {
    slots: Vec<u16>,
    /// Weights count as they were when the table was first made: it is static by definition.
    weights: Vec<u32>,
    usable: Vec<bool>,
}

impl Map {
    /// Fills the table anew when servers came or went.
    pub(super) fn changed(&mut self, servers: &[ServerView]) {
        let usable: Vec<bool> = servers.iter().map(takes_part).collect();
        if usable == self.usable {
            return;
        }
        self.weights.resize(servers.len(), 0);
        for (weight, server) in self.weights.iter_mut().zip(servers).filter(|(weight, _)| **weight == 0) {
            *weight = server.weight;
        }
        let mut shares: Vec<(usize, u64)> = (0..servers.len())
            .filter(|at| usable[*at])
            .map(|at| (at, u64::from(self.weights[at].max(1))))
            .collect();
        let divisor = shares.iter().fold(0, |sum, (_, weight)| gcd(sum, *weight)).max(1);
        shares.iter_mut().for_each(|(_, weight)| *weight /= divisor);
        self.slots = fill(&shares);
        self.usable = usable;
    }

    /// How many slots there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The servers from a slot on, round the table once.
    pub(super) fn from(&self, slot: usize) -> impl Iterator<Item = usize> + '_ {
        let (before, after) = self.slots.split_at(slot.min(self.slots.len()));
        after.iter().chain(before).map(|at| usize::from(*at))
    }

    /// The slot of a hash.
    pub(super) fn slot(&self, hash: u32) -> usize {
        (hash as usize).checked_rem(self.slots.len()).unwrap_or(0)
    }
}

/// For every slot each server gains its weight; the first of those with the highest score, in units of
/// the sum, gets the slot and pays the sum.
fn fill(shares: &[(usize, u64)]) -> Vec<u16> {
    let total: u64 = shares.iter().map(|(_, weight)| weight).sum();
    let mut scores = vec![0i64; shares.len()];
    let sum = total as i64;
    let slot = |_| {
        let mut best: Option<(usize, i64)> = None;
        for (nth, (_, weight)) in shares.iter().enumerate() {
            scores[nth] += *weight as i64;
            let value = (scores[nth] + sum) / sum;
            if best.is_none_or(|(_, highest)| value > highest) {
                best = Some((nth, value));
            }
        }
        let nth = best.map_or(0, |(nth, _)| nth);
        scores[nth] -= sum;
        shares[nth].0 as u16
    };
    (0..total).map(slot).collect()
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 {
        a
    } else {
        gcd(b, a % b)
    }
}

/// Servers stand on a circle of hashes, often; a key belongs to the nearest one. A server that comes or
/// goes moves its own keys only.
#[derive(Default)]
pub(super) struct Ring {
    /// By place on the circle.
    nodes: Vec<(u32, u16)>,
}

/// Places of a server for each unit of its weight.
const NODES_PER_WEIGHT: u32 = 16;
/// Numbers set aside for the places of one server.
const NODES_MAX: u32 = 4096;

impl Ring {
    /// Makes the ring anew.
    pub(super) fn changed(&mut self, servers: &[ServerView]) {
        self.nodes.clear();
        for (at, server) in servers.iter().enumerate().filter(|(_, server)| takes_part(server)) {
            let count = (server.weight * NODES_PER_WEIGHT).min(NODES_MAX);
            let first = server.puid.wrapping_mul(NODES_MAX);
            self.nodes.extend((0..count).map(|nth| (avalanche(first.wrapping_add(nth)), at as u16)));
        }
        self.nodes.sort_unstable();
    }

    /// The servers from the nearest node on, round the circle once; a server comes as often as it has nodes.
    pub(super) fn from(&self, hash: u32) -> impl Iterator<Item = usize> + '_ {
        let next = self.nodes.partition_point(|(key, _)| *key < hash);
        let count = self.nodes.len();
        let key = |place: usize| self.nodes.get(place % count.max(1)).map_or(0, |(key, _)| *key);
        let (after, before) = (next, (next + count).saturating_sub(1));
        let nearest =
            if hash.wrapping_sub(key(before)) <= key(after).wrapping_sub(hash) { before } else { after };
        let (before, after) = self.nodes.split_at(nearest.checked_rem(count).unwrap_or(0));
        after.iter().chain(before).map(|(_, at)| usize::from(*at))
    }
}

fn takes_part(server: &ServerView) -> bool {
    server.usable && server.weight > 0
}

#[cfg(test)]
mod tests {
    use super::super::roundrobin::tests::servers;
    use super::*;

    fn slots(weights: &[u32]) -> Vec<usize> {
        let mut map = Map::default();
        map.changed(&servers(weights));
        map.from(0).collect()
    }

    #[test]
    fn slots_follow_weights() {
        let table: [(&[u32], &[usize]); 6] = [
            (&[3, 1, 1], &[0, 0, 1, 0, 2]),
            (&[10, 20, 30], &[0, 2, 1, 2, 1, 2]),
            (&[4, 2, 1], &[0, 0, 1, 0, 1, 0, 2]),
            (&[100, 100], &[0, 1]),
            (&[0, 7], &[1]),
            (&[], &[]),
        ];
        for (weights, expected) in table {
            assert_eq!(slots(weights), expected, "{weights:?}");
        }
    }

    #[test]
    fn a_map_keeps_its_weights_and_follows_its_servers() {
        let mut servers = servers(&[1, 1]);
        let mut map = Map::default();
        map.changed(&servers);
        servers[0].weight = 9;
        map.changed(&servers);
        assert_eq!(map.from(0).collect::<Vec<_>>(), [0, 1]);
        servers[1].usable = false;
        map.changed(&servers);
        assert_eq!(map.from(map.slot(12345)).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn a_ring_moves_only_the_keys_of_a_server_that_goes() {
        let mut servers = servers(&[1, 1, 2, 1]);
        let mut ring = Ring::default();
        assert_eq!(ring.from(1).count(), 0);
        ring.changed(&servers);
        let owner = |ring: &Ring| -> Vec<Option<usize>> {
            (0..500u32).map(|n| ring.from(avalanche(n)).next()).collect()
        };
        let before = owner(&ring);
        servers[1].usable = false;
        ring.changed(&servers);
        for (old, new) in before.iter().zip(owner(&ring)) {
            assert!(*old == Some(1) && new != Some(1) || *old == new);
        }
        assert_eq!(ring.from(7).count(), 16 * 4);
    }
}
