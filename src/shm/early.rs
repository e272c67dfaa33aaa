//! Tickets whose early data was accepted lately: nobody's request is done twice because somebody recorded it.
//!
//! Asked by net/tls when a ClientHello with early data comes, by all processes together (RFC 8446 section 8.1, single use,
//! over the window in which the library believes a ticket's age). Buckets of eight entries; an entry is a tag of the ticket
//! and the second it was used. Whatever is in doubt, a full bucket too, means no: the client then sends its request
//! again after the handshake.

use std::sync::atomic::{AtomicU64, Ordering};

use lighterman_sys::map::Region;

/// Entries: 1 MB, a thousand connections with early data per second.
const ENTRIES: usize = 1 << 17;
const BUCKET: usize = 8;
/// Seconds an entry counts: the library accepts ages that are wrong by a minute either way, and clocks tick.
const WINDOW_S: u64 = 130;
/// Bits of an entry that hold the second.
const TIME_BITS: u32 = 24;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

/// The window, as one process sees it.
#[derive(Clone)]
pub struct EarlyWindow {
    entries: Region<AtomicU64>,
}

impl EarlyWindow {
    /// Words of shared memory it needs.
    pub const WORDS: usize = ENTRIES;

    /// Takes up the window; `None`: the region has another size.
    pub fn attach(region: &Region<AtomicU64>) -> Option<EarlyWindow> {
        (region.len() == ENTRIES).then(|| EarlyWindow { entries: region.clone() })
    }

    /// Whether early data that comes with this ticket (a hash of it) may be accepted: true once within the window.
    pub fn first_use(&self, ticket: u64, now_s: u64) -> bool {
        let now = now_s & TIME_MASK;
        let fresh = |entry: u64| entry != 0 && (now.wrapping_sub(entry) & TIME_MASK) <= WINDOW_S;
        let start = ticket as usize % (ENTRIES / BUCKET) * BUCKET;
        let Some(bucket) = self.entries.get(start..start + BUCKET) else { return false };
        let tag = ticket & !TIME_MASK;
        let same = |entry: u64| entry & !TIME_MASK == tag && fresh(entry);
        let ours = (tag | now).max(1);
        for _ in 0..BUCKET {
            let seen: [u64; BUCKET] = std::array::from_fn(|n| bucket[n].load(Ordering::Acquire));
            if seen.iter().any(|entry| same(*entry)) {
                return false;
            }
            let Some(place) = seen.iter().position(|entry| !fresh(*entry)) else { return false };
            let taken =
                bucket[place].compare_exchange(seen[place], ours, Ordering::AcqRel, Ordering::Relaxed);
            if taken.is_ok() {
                // another process may have found another place for the same ticket meanwhile: then neither may
                let twice = bucket.iter().filter(|entry| same(entry.load(Ordering::Acquire))).count() > 1;
                return !twice;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> EarlyWindow {
        EarlyWindow::attach(&Region::alone(EarlyWindow::WORDS).unwrap()).unwrap()
    }

    fn ticket(n: u64) -> u64 {
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn a_ticket_counts_once_within_the_window() {
        let window = window();
        // the seconds of the window run over
        for start in [1_800_000_000, TIME_MASK - 5] {
            assert!(window.first_use(ticket(start), start));
            for later in [0, 1, 60, WINDOW_S] {
                assert!(!window.first_use(ticket(start), start + later), "{later} s later");
            }
            assert!(window.first_use(ticket(start), start + WINDOW_S + 1));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let window = window();
        let bucket = |n: u64| (n + 1) << 40 | 77;
        let taken = (0..20).filter(|n| window.first_use(bucket(*n), 1000)).count();
        assert_eq!(taken, BUCKET);
        assert!(window.first_use(bucket(30), 1000 + WINDOW_S + 1), "old ones make room");
        let many = (0..50_000u64).filter(|n| window.first_use(ticket(*n), 5000)).count();
        assert!(many > 49_900, "{many}");
    }

    #[test]
    fn of_several_at_once_at_most_one_wins() {
        let window = window();
        for round in 0..300 {
            let wins: usize = std::thread::scope(|scope| {
                let all: Vec<_> =
                    (0..4).map(|_| scope.spawn(|| usize::from(window.first_use(ticket(round), 9)))).collect();
                all.into_iter().map(|one| one.join().unwrap()).sum()
            });
            assert!(wins <= 1, "{wins}");
        }
    }
}
