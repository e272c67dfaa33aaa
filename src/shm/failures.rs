//! What went wrong, by reason, over all processes: how often, when last, and with whom. Written once per failure, read by
//! commands. The reasons are numbered by whoever counts them.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use lighterman_sys::map::Region;

/// Words of one reason: how often, when last (microseconds since 1970), and the two halves of an address.
const WORDS: usize = 4;

/// The counts, as one process sees them.
#[derive(Clone, Debug)]
pub struct Failures {
    cells: Region<AtomicU64>,
}

/// What is known of one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// How often.
    pub count: u64,
    /// When last, microseconds since 1970.
    pub last_us: u64,
    /// The last peer; `None` when it has no IP address.
    pub peer: Option<IpAddr>,
}

impl Failures {
    /// Words of 8 bytes for so many reasons.
    pub fn words_needed(reasons: usize) -> usize {
        reasons * WORDS
    }

    /// Takes up a stretch of shared memory.
    pub fn attach(cells: &Region<AtomicU64>) -> Failures {
        Failures { cells: cells.clone() }
    }

    /// One more failure of this reason. Two processes at the same time may leave the date of one and the address of the
    /// other: no more than that.
    pub fn note(&self, reason: usize, now_us: u64, peer: Option<IpAddr>) {
        let Some([count, last, high, low]) = self.cell(reason) else { return };
        count.fetch_add(1, Relaxed);
        last.store(now_us, Relaxed);
        let bits = peer.map_or(0, |peer| match peer {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits(),
        });
        high.store((bits >> 64) as u64, Relaxed);
        low.store(bits as u64, Relaxed);
    }

    /// What is known of a reason; `None` when it never happened.
    pub fn seen(&self, reason: usize) -> Option<Seen> {
        let [count, last, high, low] = self.cell(reason)?;
        let count = count.load(Relaxed);
        let bits = u128::from(high.load(Relaxed)) << 64 | u128::from(low.load(Relaxed));
        let peer = (bits != 0).then(|| IpAddr::V6(Ipv6Addr::from_bits(bits)).to_canonical());
        (count > 0).then_some(Seen { count, last_us: last.load(Relaxed), peer })
    }

    /// All failures together.
    pub fn total(&self) -> u64 {
        let counts = self.cells.chunks_exact(WORDS).filter_map(|cell| cell.first());
        counts.map(|count| count.load(Relaxed)).sum()
    }

    fn cell(&self, reason: usize) -> Option<&[AtomicU64; WORDS]> {
        self.cells.chunks_exact(WORDS).nth(reason)?.first_chunk()
    }
}
