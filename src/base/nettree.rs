//! Sets of networks with a value each, asked by longest prefix: access lists, maps from addresses.
//!
//! A path-compressed binary tree per family in one vector. Looking up touches at most one node per
//! distinguishing bit. Values are replaced and removed in place; a removed network leaves its node, to be
//! filled again, so a tree never holds more nodes than twice the networks it has ever seen.

use std::net::IpAddr;

/// Networks to values.
#[derive(Clone, Debug)]
pub struct NetTree<V> {
    nodes: Vec<Node<V>>,
    roots: [u32; 2],
    len: usize,
}

#[derive(Clone, Debug)]
struct Node<V> {
    /// The prefix, left-aligned, zero after `bits`.
    key: u128,
    bits: u8,
    kids: [u32; 2],
    value: Option<V>,
}

const NONE: u32 = u32::MAX;

impl<V> Default for NetTree<V> {
    fn default() -> Self {
        NetTree { nodes: Vec::new(), roots: [NONE; 2], len: 0 }
    }
}

impl<V> NetTree<V> {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of networks.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no network.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds `addr`/`bits` (host bits are ignored) and returns the value it had.
    pub fn insert(&mut self, addr: IpAddr, bits: u8, value: V) -> Option<V> {
        let (family, key, bits) = network(addr, bits);
        let at = self.place(family, key, bits);
        let old = self.nodes[at as usize].value.replace(value);
        self.len += usize::from(old.is_none());
        old
    }

    /// The value of exactly this network.
    pub fn get_mut(&mut self, addr: IpAddr, bits: u8) -> Option<&mut V> {
        let at = self.exact(addr, bits)?;
        self.nodes[at as usize].value.as_mut()
    }

    /// Takes exactly this network out.
    pub fn remove(&mut self, addr: IpAddr, bits: u8) -> Option<V> {
        let at = self.exact(addr, bits)?;
        let old = self.nodes[at as usize].value.take();
        self.len -= usize::from(old.is_some());
        old
    }

    /// The value of the smallest network that holds `addr`. An IPv4 address mapped into IPv6 is looked up
    /// as IPv6 and, when nothing is found, as IPv4.
    pub fn lookup(&self, addr: IpAddr) -> Option<&V> {
        let (family, key, _) = network(addr, 128);
        self.longest(family, key).or_else(|| match addr {
            IpAddr::V6(six) => {
                let (family, key, _) = network(IpAddr::V4(six.to_ipv4_mapped()?), 32);
                self.longest(family, key)
            }
            IpAddr::V4(_) => None,
        })
    }

    fn longest(&self, family: usize, key: u128) -> Option<&V> {
        let mut best = None;
        let mut at = self.roots[family];
        while let Some(node) = self.nodes.get(at as usize) {
            if (key ^ node.key) & mask(node.bits) != 0 {
                break;
            }
            best = node.value.as_ref().or(best);
            if node.bits == 128 {
                break;
            }
            at = node.kids[bit(key, node.bits)];
        }
        best
    }

    fn exact(&self, addr: IpAddr, bits: u8) -> Option<u32> {
        let (family, key, bits) = network(addr, bits);
        let mut at = self.roots[family];
        loop {
            let node = self.nodes.get(at as usize)?;
            if node.bits == bits && node.key == key {
                return Some(at);
            }
            if node.bits >= bits || (key ^ node.key) & mask(node.bits) != 0 {
                return None;
            }
            at = node.kids[bit(key, node.bits)];
        }
    }

    /// The node of this network, made when it is missing.
    fn place(&mut self, family: usize, key: u128, bits: u8) -> u32 {
        let mut parent: Option<(u32, usize)> = None;
        let mut at = self.roots[family];
        loop {
            let Some(node) = self.nodes.get(at as usize) else {
                let new = self.add(key, bits);
                self.link(family, parent, new);
                return new;
            };
            let common = ((key ^ node.key).leading_zeros() as u8).min(bits).min(node.bits);
            if common == node.bits {
                if node.bits == bits {
                    return at;
                }
                let side = bit(key, node.bits);
                parent = Some((at, side));
                at = node.kids[side];
                continue;
            }
            // They part inside this node's prefix: a new node takes its place above it.
            let node_side = bit(node.key, common);
            let fork = self.add(key & mask(common), common);
            self.nodes[fork as usize].kids[node_side] = at;
            self.link(family, parent, fork);
            if common == bits {
                return fork;
            }
            let leaf = self.add(key, bits);
            self.nodes[fork as usize].kids[bit(key, common)] = leaf;
            return leaf;
        }
    }

    fn add(&mut self, key: u128, bits: u8) -> u32 {
        self.nodes.push(Node { key, bits, kids: [NONE; 2], value: None });
        (self.nodes.len() - 1) as u32
    }

    fn link(&mut self, family: usize, parent: Option<(u32, usize)>, child: u32) {
        match parent {
            Some((node, side)) => self.nodes[node as usize].kids[side] = child,
            None => self.roots[family] = child,
        }
    }
}

/// Family, left-aligned prefix and its length.
fn network(addr: IpAddr, bits: u8) -> (usize, u128, u8) {
    let (family, key, bits) = match addr {
        IpAddr::V4(four) => (0, u128::from(u32::from(four)) << 96, bits.min(32)),
        IpAddr::V6(six) => (1, u128::from(six), bits.min(128)),
    };
    (family, key & mask(bits), bits)
}

fn mask(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)
}

fn bit(key: u128, at: u8) -> usize {
    (key << at >> 127) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn longest_prefix_wins() {
        let mut tree = NetTree::new();
        for (net, bits) in
            [("10.0.0.0", 8), ("10.1.0.0", 16), ("10.1.2.3", 32), ("0.0.0.0", 0), ("2001:db8::", 32)]
        {
            assert_eq!(tree.insert(ip(net), bits, format!("{net}/{bits}")), None);
        }
        let rows = [
            ("10.1.2.3", Some("10.1.2.3/32")),
            ("10.1.2.4", Some("10.1.0.0/16")),
            ("10.2.0.1", Some("10.0.0.0/8")),
            ("192.0.2.1", Some("0.0.0.0/0")),
            ("2001:db8:1::1", Some("2001:db8::/32")),
            ("2001:db9::1", None),
            ("::ffff:10.1.2.3", Some("10.1.2.3/32")),
        ];
        for (addr, want) in rows {
            assert_eq!(tree.lookup(ip(addr)).map(String::as_str), want, "{addr}");
        }
        assert_eq!(tree.remove(ip("10.1.0.0"), 16).as_deref(), Some("10.1.0.0/16"));
        assert_eq!(tree.remove(ip("10.1.0.0"), 17), None);
        assert_eq!(tree.lookup(ip("10.1.2.4")).map(String::as_str), Some("10.0.0.0/8"));
        assert_eq!(tree.len(), 4);
    }

    #[test]
    fn agrees_with_a_list() {
        for seed in 0..64 {
            let mut rng = Rng::from_seed(seed);
            let mut tree = NetTree::new();
            let mut list: Vec<(u128, u8, u64)> = Vec::new();
            let random = |rng: &mut Rng| u128::from(rng.below(1 << 10)) << 118 | u128::from(rng.below(4));
            for _ in 0..100 {
                let (_, key, bits) = network(IpAddr::V6(random(&mut rng).into()), rng.below(129) as u8);
                let value = rng.next();
                if rng.below(4) == 0 {
                    let old = tree.remove(IpAddr::V6(key.into()), bits);
                    let known = list.iter().position(|(k, b, _)| (*k, *b) == (key, bits));
                    assert_eq!(old, known.map(|at| list.swap_remove(at).2));
                } else {
                    tree.insert(IpAddr::V6(key.into()), bits, value);
                    list.retain(|(k, b, _)| (*k, *b) != (key, bits));
                    list.push((key, bits, value));
                }
            }
            assert_eq!(tree.len(), list.len());
            for _ in 0..200 {
                let addr = random(&mut rng);
                let holds = list.iter().filter(|(key, bits, _)| addr & mask(*bits) == *key);
                let want = holds.max_by_key(|(_, bits, _)| *bits).map(|(_, _, value)| *value);
                assert_eq!(tree.lookup(IpAddr::V6(addr.into())).copied(), want, "seed {seed}");
            }
        }
    }
}
