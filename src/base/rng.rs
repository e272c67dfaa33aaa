//! A fast random number generator for load balancing, jitter and tests. Not for secrets.
//!
//! Each process seeds its own after the fork: two workers must not draw the same numbers.

use std::io::Read;

/// xoshiro256++ (Blackman, Vigna: public domain).
#[derive(Clone, Debug)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// The same numbers for the same seed.
    pub fn from_seed(seed: u64) -> Self {
        let mut x = seed;
        // splitmix64, as the authors advise: no seed gives the all-zero state.
        let state = std::array::from_fn(|_| {
            x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = x;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        });
        Rng { state }
    }

    /// Seeded by the system. Call it before the process loses sight of `/dev`.
    pub fn from_os() -> std::io::Result<Self> {
        let mut seed = [0; 8];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut seed)?;
        Ok(Rng::from_seed(u64::from_ne_bytes(seed)))
    }

    /// The next 64 bits.
    #[allow(clippy::should_implement_trait, reason = "an endless source is no iterator to its users")]
    #[inline]
    pub fn next(&mut self) -> u64 {
        let s = &mut self.state;
        let out = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        out
    }

    /// A number below `n`, evenly spread (0 when `n` is 0).
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_by_seed_and_spreads() {
        let (mut a, mut b) = (Rng::from_seed(1), Rng::from_seed(1));
        assert!((0..100).all(|_| a.next() == b.next()));
        let mut counts = [0u32; 10];
        (0..10_000).for_each(|_| counts[a.below(10) as usize] += 1);
        assert!(counts.iter().all(|n| (850..1150).contains(n)), "{counts:?}");
        assert_eq!(a.below(0), 0);
        assert_ne!(Rng::from_os().unwrap().next(), Rng::from_os().unwrap().next());
    }

    #[test]
    fn known_numbers() {
        // First outputs of xoshiro256++ from the state 1, 2, 3, 4.
        let mut rng = Rng { state: [1, 2, 3, 4] };
        assert_eq!([rng.next(), rng.next(), rng.next()], [41_943_041, 58_720_359, 3_588_806_011_781_223]);
    }
}
