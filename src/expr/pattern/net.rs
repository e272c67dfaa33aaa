//! Sets of IPv4 and IPv6 addresses and networks; the longest matching prefix wins.
//!
//! One hash map per family keyed by masked address and prefix length, probed once per length that
//! occurs, longest first: at most 33 or 129 probes, in practice a handful. Masks that are no prefixes
//! (`255.0.255.0`) are walked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smallvec::SmallVec;

use super::string::{Filter, ReadyMap};

/// Addresses and networks.
#[derive(Clone, Default)]
pub struct NetIndex {
    v4: Family,
    v6: Family,
    odd: Vec<(u32, u32, u32)>,
}

#[derive(Clone, Default)]
struct Family {
    map: ReadyMap<u64, SmallVec<[(u128, u8, u32); 1]>>,
    filter: Filter,
    /// (bits, patterns with that many), longest first.
    lens: Vec<(u8, usize)>,
}

impl Family {
    /// `value` is left-aligned in 128 bits.
    fn mask(value: u128, bits: u8) -> u128 {
        if bits == 0 {
            0
        } else {
            value & (u128::MAX << (128 - u32::from(bits)))
        }
    }

    /// The length is mixed in: 10.0.0.0/8 and 10.0.0.0/16 are different keys.
    fn key(masked: u128, bits: u8) -> u64 {
        let folded = (masked >> 64) as u64 ^ (masked as u64).rotate_left(29) ^ (u64::from(bits) << 56);
        let mixed = (folded ^ (folded >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 29)
    }

    fn add(&mut self, value: u128, bits: u8, id: u32) {
        let net = Self::mask(value, bits);
        let key = Self::key(net, bits);
        self.map.entry(key).or_default().push((net, bits, id));
        self.filter.add(key, self.map.keys());
        match self.lens.binary_search_by_key(&std::cmp::Reverse(bits), |(b, _)| std::cmp::Reverse(*b)) {
            Ok(at) => self.lens[at].1 += 1,
            Err(at) => self.lens.insert(at, (bits, 1)),
        }
    }

    fn remove(&mut self, value: u128, bits: u8, id: u32) -> bool {
        let net = Self::mask(value, bits);
        let key = Self::key(net, bits);
        let Some(nodes) = self.map.get_mut(&key) else { return false };
        let before = nodes.len();
        nodes.retain(|node| *node != (net, bits, id));
        let gone = before - nodes.len();
        if nodes.is_empty() {
            self.map.remove(&key);
        }
        if let Some(at) = self.lens.iter().position(|(b, _)| *b == bits) {
            self.lens[at].1 -= gone;
            if self.lens[at].1 == 0 {
                self.lens.remove(at);
            }
        }
        gone > 0
    }

    fn ids(&self, value: u128, bits: u8) -> impl Iterator<Item = u32> + '_ {
        let net = Self::mask(value, bits);
        let key = Self::key(net, bits);
        let nodes = self.filter.may_hold(key).then(|| self.map.get(&key)).flatten().into_iter().flatten();
        nodes.filter(move |(n, b, _)| (*n, *b) == (net, bits)).map(|(_, _, id)| *id)
    }

    fn find(&self, value: u128) -> Option<u32> {
        self.lens.iter().find_map(|(bits, _)| self.ids(value, *bits).min())
    }
}

impl NetIndex {
    /// Adds a pattern as it is written.
    pub fn add(&mut self, text: &str, id: u32) -> Result<(), String> {
        match parse(text)? {
            Net::V4(ip, bits) => self.v4.add(align(ip), bits, id),
            Net::V6(ip, bits) => self.v6.add(u128::from(ip), bits, id),
            Net::Odd(ip, mask) => self.odd.push((u32::from(ip) & mask, mask, id)),
        }
        Ok(())
    }

    /// Takes a pattern away.
    pub fn remove(&mut self, text: &str, id: u32) -> bool {
        match parse(text) {
            Ok(Net::V4(ip, bits)) => self.v4.remove(align(ip), bits, id),
            Ok(Net::V6(ip, bits)) => self.v6.remove(u128::from(ip), bits, id),
            Ok(Net::Odd(..)) => {
                let before = self.odd.len();
                self.odd.retain(|(_, _, i)| *i != id);
                self.odd.len() < before
            }
            Err(_) => false,
        }
    }

    /// The ids of the patterns for this very network.
    pub fn ids(&self, text: &str) -> Vec<u32> {
        match parse(text) {
            Ok(Net::V4(ip, bits)) => self.v4.ids(align(ip), bits).collect(),
            Ok(Net::V6(ip, bits)) => self.v6.ids(u128::from(ip), bits).collect(),
            Ok(Net::Odd(ip, mask)) => {
                let net = (u32::from(ip) & mask, mask);
                self.odd.iter().filter(|(n, m, _)| (*n, *m) == net).map(|(_, _, id)| *id).collect()
            }
            Err(_) => Vec::new(),
        }
    }

    /// The pattern an IPv4 address is in; IPv6 patterns see it as `::ffff:a.b.c.d`.
    pub fn find4(&self, ip: Ipv4Addr) -> Option<u32> {
        if let Some(id) = self.v4.find(align(ip)).or_else(|| self.find_odd(ip)) {
            return Some(id);
        }
        self.v6.find(u128::from(ip.to_ipv6_mapped()))
    }

    /// The pattern an IPv6 address is in; IPv4 patterns see the IPv4 address inside
    /// `::ffff:a.b.c.d`, `::a.b.c.d` and `2002:aabb:ccdd::`.
    pub fn find6(&self, ip: Ipv6Addr) -> Option<u32> {
        if let Some(id) = self.v6.find(u128::from(ip)) {
            return Some(id);
        }
        let o = ip.octets();
        let inner = match o {
            [0x20, 0x02, a, b, c, d, ..] => Ipv4Addr::new(a, b, c, d),
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
            | [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] => Ipv4Addr::new(a, b, c, d),
            _ => return None,
        };
        self.v4.find(align(inner)).or_else(|| self.find_odd(inner))
    }

    fn find_odd(&self, ip: Ipv4Addr) -> Option<u32> {
        self.odd.iter().find(|(net, mask, _)| u32::from(ip) & mask == *net).map(|(_, _, id)| *id)
    }
}

fn align(ip: Ipv4Addr) -> u128 {
    u128::from(u32::from(ip)) << 96
}

/// What a pattern stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Net {
    /// An IPv4 network.
    V4(Ipv4Addr, u8),
    /// An IPv6 network.
    V6(Ipv6Addr, u8),
    /// An IPv4 address with a mask that is no prefix.
    Odd(Ipv4Addr, u32),
}

/// Reads `address`, `address/bits`, `address/mask`. Zero octets in the middle of an IPv4 address may
/// be left out: `10.1/8` is `10.0.0.1/8`.
pub fn parse(text: &str) -> Result<Net, String> {
    let bad = || format!("\"{text}\" is not an address or network");
    let (addr, mask) = match text.split_once('/') {
        Some((addr, mask)) => (addr, Some(mask)),
        None => (text, None),
    };
    if let Some(ip) = short_v4(addr) {
        let Some(mask) = mask else { return Ok(Net::V4(ip, 32)) };
        let mask = mask4(mask).ok_or_else(|| format!("\"{mask}\" is not an IPv4 mask"))?;
        if mask.leading_ones() + mask.trailing_zeros() >= 32 {
            return Ok(Net::V4(ip, mask.leading_ones() as u8));
        }
        return Ok(Net::Odd(ip, mask));
    }
    match addr.parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) => {
            let bits = match mask {
                Some(bits) => bits
                    .parse::<u8>()
                    .ok()
                    .filter(|b| *b <= 128)
                    .ok_or_else(|| format!("\"{bits}\" is not a number of bits of an IPv6 address"))?,
                None => 128,
            };
            Ok(Net::V6(ip, bits))
        }
        _ => Err(bad()),
    }
}

/// A dotted mask or a number of bits.
pub fn mask4(text: &str) -> Option<u32> {
    if let Ok(bits) = text.parse::<u32>() {
        return (bits <= 32).then(|| if bits == 0 { 0 } else { u32::MAX << (32 - bits) });
    }
    text.parse::<Ipv4Addr>().ok().map(u32::from)
}

/// An address or a number of bits.
pub fn mask6(text: &str) -> Option<u128> {
    if let Ok(bits) = text.parse::<u32>() {
        return (bits <= 128).then(|| if bits == 0 { 0 } else { u128::MAX << (128 - bits) });
    }
    text.parse::<Ipv6Addr>().ok().map(u128::from)
}

fn short_v4(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u8> = text.split('.').map(octet).collect::<Option<_>>()?;
    match parts[..] {
        [a, b, c, d] => Some(Ipv4Addr::new(a, b, c, d)),
        [a, b, d] => Some(Ipv4Addr::new(a, b, 0, d)),
        [a, d] => Some(Ipv4Addr::new(a, 0, 0, d)),
        _ => None,
    }
}

fn octet(text: &str) -> Option<u8> {
    let plain = (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}
