//! Sets of IPv4 and IPv6 addresses and networks; the longest matching prefix wins.
//!
//! One table per family keyed by masked address and prefix length, asked once per length that occurs, longest first: at
//! most 33 or 129 questions, in practice a handful, nearly all of which a filter answers. Masks that are no prefixes
//! (`255.0.255.0`) are walked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::flat::{self, Flat, Removed, MIX};

/// Addresses and networks.
#[derive(Clone, Default)]
pub struct NetIndex {
    v4: Family<u32>,
    v6: Family<Wide>,
    odd: Vec<(u32, u32, u32)>,
}

/// An IPv6 address in halves: a slot is smaller so.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Wide(u64, u64);

/// The address of a family.
trait Addr: Copy + Eq + Default {
    fn masked(self, bits: u8) -> Self;
    fn folded(self) -> u64;
}

impl Addr for u32 {
    #[inline]
    fn masked(self, bits: u8) -> u32 {
        if bits == 0 {
            0
        } else {
            self & (u32::MAX << (32 - u32::from(bits)))
        }
    }

    #[inline]
    fn folded(self) -> u64 {
        self.into()
    }
}

impl Addr for Wide {
    #[inline]
    fn masked(self, bits: u8) -> Wide {
        let half = |value: u64, bits: u8| match bits {
            0 => 0,
            bits => value & (u64::MAX << (64 - u32::from(bits.min(64)))),
        };
        Wide(half(self.0, bits), half(self.1, bits.saturating_sub(64)))
    }

    #[inline]
    fn folded(self) -> u64 {
        (self.0 ^ self.1.rotate_left(29)).wrapping_mul(MIX) ^ self.1
    }
}

#[derive(Clone)]
struct Family<A> {
    flat: Flat<(A, u8)>,
    seed: u64,
    /// (bits, patterns with that many), longest first.
    lens: Vec<(u8, usize)>,
}

impl<A: Addr> Default for Family<A> {
    fn default() -> Self {
        Family { flat: Flat::default(), seed: flat::seed(), lens: Vec::new() }
    }
}

impl<A: Addr> Family<A> {
    /// The length is mixed in: 10.0.0.0/8 and 10.0.0.0/16 are different keys.
    #[inline]
    fn hash(&self, net: A, bits: u8) -> u64 {
        let n = net.folded() ^ self.seed ^ u64::from(bits) << 56;
        let mixed = (n ^ n >> 32).wrapping_mul(MIX);
        (mixed ^ mixed >> 29).wrapping_mul(MIX)
    }

    fn add(&mut self, addr: A, bits: u8, id: u32) {
        let net = (addr.masked(bits), bits);
        self.flat.add(self.hash(net.0, bits), id, |known| known == net, || net);
        match self.lens.binary_search_by_key(&std::cmp::Reverse(bits), |(b, _)| std::cmp::Reverse(*b)) {
            Ok(at) => self.lens[at].1 += 1,
            Err(at) => self.lens.insert(at, (bits, 1)),
        }
    }

    fn remove(&mut self, addr: A, bits: u8, id: u32) -> bool {
        let net = (addr.masked(bits), bits);
        if matches!(self.flat.remove(self.hash(net.0, bits), id, |known| known == net), Removed::Nothing) {
            return false;
        }
        if let Some(at) = self.lens.iter().position(|(b, _)| *b == bits) {
            self.lens[at].1 -= 1;
            if self.lens[at].1 == 0 {
                self.lens.remove(at);
            }
        }
        true
    }

    fn ids(&self, addr: A, bits: u8) -> Vec<u32> {
        let net = (addr.masked(bits), bits);
        self.flat.ids(self.hash(net.0, bits), |known| known == net)
    }

    fn find(&self, addr: A) -> Option<u32> {
        self.lens.iter().find_map(|(bits, _)| {
            let net = (addr.masked(*bits), *bits);
            self.flat.find(self.hash(net.0, *bits), |known| known == net)
        })
    }
}

impl NetIndex {
    /// Adds a pattern as it is written.
    pub fn add(&mut self, text: &str, id: u32) -> Result<(), String> {
        match parse(text)? {
            Net::V4(ip, bits) => self.v4.add(u32::from(ip), bits, id),
            Net::V6(ip, bits) => self.v6.add(wide(ip), bits, id),
            Net::Odd(ip, mask) => self.odd.push((u32::from(ip) & mask, mask, id)),
        }
        Ok(())
    }

    /// Takes a pattern away.
    pub fn remove(&mut self, text: &str, id: u32) -> bool {
        match parse(text) {
            Ok(Net::V4(ip, bits)) => self.v4.remove(u32::from(ip), bits, id),
            Ok(Net::V6(ip, bits)) => self.v6.remove(wide(ip), bits, id),
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
            Ok(Net::V4(ip, bits)) => self.v4.ids(u32::from(ip), bits),
            Ok(Net::V6(ip, bits)) => self.v6.ids(wide(ip), bits),
            Ok(Net::Odd(ip, mask)) => {
                let net = (u32::from(ip) & mask, mask);
                self.odd.iter().filter(|(n, m, _)| (*n, *m) == net).map(|(_, _, id)| *id).collect()
            }
            Err(_) => Vec::new(),
        }
    }

    /// The ids get other numbers.
    pub fn renumber(&mut self, new: &dyn Fn(u32) -> u32) {
        self.v4.flat.renumber(new);
        self.v6.flat.renumber(new);
        self.odd.iter_mut().for_each(|(_, _, id)| *id = new(*id));
    }

    /// The pattern an IPv4 address is in; IPv6 patterns see it as `::ffff:a.b.c.d`.
    pub fn find4(&self, ip: Ipv4Addr) -> Option<u32> {
        if let Some(id) = self.v4.find(u32::from(ip)).or_else(|| self.find_odd(ip)) {
            return Some(id);
        }
        self.v6.find(wide(ip.to_ipv6_mapped()))
    }

    /// The pattern an IPv6 address is in; IPv4 patterns see the IPv4 address inside
    /// `::ffff:a.b.c.d`, `::a.b.c.d` and `2002:aabb:ccdd::`.
    pub fn find6(&self, ip: Ipv6Addr) -> Option<u32> {
        if let Some(id) = self.v6.find(wide(ip)) {
            return Some(id);
        }
        let o = ip.octets();
        let inner = match o {
            [0x20, 0x02, a, b, c, d, ..] => Ipv4Addr::new(a, b, c, d),
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
            | [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] => Ipv4Addr::new(a, b, c, d),
            _ => return None,
        };
        self.v4.find(u32::from(inner)).or_else(|| self.find_odd(inner))
    }

    fn find_odd(&self, ip: Ipv4Addr) -> Option<u32> {
        self.odd.iter().find(|(net, mask, _)| u32::from(ip) & mask == *net).map(|(_, _, id)| *id)
    }
}

fn wide(ip: Ipv6Addr) -> Wide {
    let all = u128::from(ip);
    Wide((all >> 64) as u64, all as u64)
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
    let bad = || match text.split(['.', '/']).any(|part| part.len() > 1 && octal(part)) {
        true => {
            format!("\"{text}\": an octet with a leading zero would be octal elsewhere, write it without")
        }
        false => format!("\"{text}\" is not an address or network"),
    };
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
        // a lone octet would be the last one, which nobody means
        [0] => Some(Ipv4Addr::UNSPECIFIED),
        _ => None,
    }
}

/// Digits that C reads as octal.
fn octal(text: &str) -> bool {
    text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit())
}

fn octet(text: &str) -> Option<u8> {
    let digits = (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let plain = digits && (text.len() == 1 || !octal(text));
    plain.then(|| text.parse().ok()).flatten()
}
