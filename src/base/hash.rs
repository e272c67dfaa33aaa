//! The hash functions that configurations name (`hash-type`, sample converters). Their values decide which
//! server a client goes to, so they are part of the compatibility with HAProxy: all arithmetic is on 32
//! bits, bytes are unsigned.

/// A hash function of a configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HashFn {
    /// The hash of the sdbm database library; the default.
    Sdbm,
    /// Bernstein's times 33.
    Djb2,
    /// Tarreau's 32-bit mixer.
    Wt6,
    /// IEEE 802.3, reflected.
    Crc32,
    /// The text read as a number (`hash-type ... none`).
    None,
}

impl HashFn {
    /// The hash of `bytes`.
    pub fn of(self, bytes: &[u8]) -> u32 {
        match self {
            HashFn::Sdbm => sdbm(bytes),
            HashFn::Djb2 => djb2(bytes),
            HashFn::Wt6 => wt6(bytes),
            HashFn::Crc32 => crc32(bytes),
            HashFn::None => number(bytes),
        }
    }
}

/// sdbm.
pub fn sdbm(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0u32, |h, &c| u32::from(c).wrapping_add(h << 6).wrapping_add(h << 16).wrapping_sub(h))
}

/// djb2.
pub fn djb2(bytes: &[u8]) -> u32 {
    bytes.iter().fold(5381u32, |h, &c| h.wrapping_mul(33).wrapping_add(u32::from(c)))
}

/// wt6.
pub fn wt6(bytes: &[u8]) -> u32 {
    let (mut h0, mut h1) = (0xa53c_965au32, 0x5ca6_953au32);
    let (mut s0, mut s1) = (6u32, 18u32);
    for &c in bytes {
        h0 = !(h0 ^ u32::from(c));
        h1 = !h1.wrapping_add(u32::from(c));
        (h0, h1) = (h1.rotate_left(s0), h0.rotate_left(s1));
        let t = ((h0 >> 16) ^ h1) & 0xffff;
        (s0, s1) = (t & 0x1f, t >> 11);
    }
    h0 ^ h1
}

/// CRC-32 as in zlib.
pub fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// The decimal number at the start of `bytes`.
fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .take_while(|c| c.is_ascii_digit())
        .fold(0u32, |n, c| n.wrapping_mul(10).wrapping_add(u32::from(c - b'0')))
}

/// Spreads each bit of `a` over the whole word (`hash-type ... avalanche`).
pub fn avalanche(mut a: u32) -> u32 {
    a = a.wrapping_add(0x7ed5_5d16).wrapping_add(a << 12);
    a = (a ^ 0xc761_c23c) ^ (a >> 19);
    a = a.wrapping_add(0x1656_67b1).wrapping_add(a << 5);
    a = a.wrapping_add(0xd3a2_646c) ^ (a << 9);
    a = a.wrapping_add(0xfd70_46c5).wrapping_add(a << 3);
    a = (a ^ 0xb55a_4f09) ^ (a >> 16);
    a.wrapping_mul(3_221_225_473)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&[u8]; 5] = [b"/a", b"/b/c", b"/index.html", b"/x", b"/foo/bar/baz"];

    /// The server (1..=5, equal weights) that `hash-type map-based` picks.
    fn by_map(h: u32) -> u32 {
        h % 5 + 1
    }

    /// The server that `hash-type consistent` picks: the nearest of 16 nodes each on the ring.
    fn by_ring(h: u32) -> u32 {
        let mut ring: Vec<(u32, u32)> =
            (1..=5).flat_map(|id| (0..16).map(move |n| (avalanche(id * 4096 + n), id))).collect();
        ring.sort_unstable();
        let next = *ring.iter().find(|(key, _)| *key >= h).unwrap_or(&ring[0]);
        let last = *ring.iter().rev().find(|(key, _)| *key < h).unwrap_or(&ring[ring.len() - 1]);
        if h.wrapping_sub(last.0) <= next.0.wrapping_sub(h) {
            last.1
        } else {
            next.1
        }
    }

    #[test]
    fn servers_as_haproxy_picks_them() {
        let same: fn(u32) -> u32 = |h| h;
        let rows: &[(HashFn, fn(u32) -> u32, [u32; 5], [u32; 5])] = &[
            (HashFn::Sdbm, same, [1, 3, 2, 4, 3], [5, 4, 2, 5, 3]),
            (HashFn::Sdbm, avalanche, [2, 1, 5, 5, 1], [4, 3, 4, 4, 3]),
            (HashFn::Djb2, same, [3, 2, 3, 1, 4], [5, 2, 1, 5, 2]),
            (HashFn::Djb2, avalanche, [4, 1, 2, 4, 2], [1, 4, 1, 3, 3]),
            (HashFn::Wt6, same, [1, 2, 4, 5, 4], [3, 5, 2, 4, 3]),
            (HashFn::Wt6, avalanche, [3, 5, 1, 5, 4], [1, 1, 2, 1, 1]),
            (HashFn::Crc32, same, [3, 5, 5, 3, 3], [4, 3, 5, 4, 4]),
            (HashFn::Crc32, avalanche, [5, 5, 4, 4, 4], [2, 5, 3, 1, 4]),
        ];
        for (function, mix, map, ring) in rows {
            assert_eq!(KEYS.map(|key| by_map(mix(function.of(key)))), *map, "map {function:?}");
            assert_eq!(KEYS.map(|key| by_ring(mix(function.of(key)))), *ring, "ring {function:?}");
        }
    }

    #[test]
    fn known_values() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(djb2(b""), 5381);
        assert_eq!(sdbm(b"\xff"), 255);
        assert_eq!(HashFn::None.of(b"1234x"), 1234);
    }
}
