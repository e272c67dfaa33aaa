//! Rates that hold for all processes together: one word in shared memory per limit.
//!
//! The word is the moment at which everything let through so far would be used up at exactly the permitted rate (the
//! "virtual scheduling" form of the leaky bucket, ITU-T I.371). Asking and taking are two steps, because a
//! connection is counted only once it is there; processes that ask at the same moment may all be let through, and
//! pay with a longer wait afterwards.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How far those who come may be ahead of the rate, microseconds: a twentieth of a second's worth may come at once.
const AHEAD_US: u64 = 50_000;

/// How long to wait before the next may come; `None`: it may come now. `per_s` 0: no limit.
pub fn wait_us(gate: &AtomicU64, per_s: u32, now_us: u64) -> Option<u64> {
    if per_s == 0 {
        return None;
    }
    let ahead = AHEAD_US.max(step_ns(per_s) / 1000);
    let used_up_us = gate.load(Relaxed) / 1000;
    let wait = (used_up_us + step_ns(per_s) / 1000).saturating_sub(now_us + ahead);
    (wait > 0).then_some(wait)
}

/// One has come.
pub fn take(gate: &AtomicU64, per_s: u32, now_us: u64) {
    if per_s == 0 {
        return;
    }
    let (step, now_ns) = (step_ns(per_s), now_us.saturating_mul(1000));
    // a failed exchange only means that another process took one too
    let _ = gate.fetch_update(Relaxed, Relaxed, |used_up| Some(used_up.max(now_ns).saturating_add(step)));
}

fn step_ns(per_s: u32) -> u64 {
    1_000_000_000 / u64::from(per_s.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_rate_and_a_little_ahead() {
        for per_s in [1u32, 7, 100, 5000, 300_000] {
            let gate = AtomicU64::new(0);
            let mut let_in = 0u64;
            // three seconds, more comers than may pass
            for now_us in (10_000_000u64..13_000_000).step_by(2) {
                if wait_us(&gate, per_s, now_us).is_none() {
                    take(&gate, per_s, now_us);
                    let_in += 1;
                }
            }
            let least = 3 * u64::from(per_s);
            let most = least + u64::from(per_s) / 19 + 2;
            assert!((least..=most).contains(&let_in), "{per_s}/s: {let_in}");
        }
    }

    #[test]
    fn who_waits_as_told_gets_in() {
        let gate = AtomicU64::new(0);
        let mut now_us = 5_000_000;
        for _ in 0..50 {
            if let Some(wait) = wait_us(&gate, 10, now_us) {
                now_us += wait;
                assert_eq!(wait_us(&gate, 10, now_us), None);
            }
            take(&gate, 10, now_us);
        }
        assert!((4_800_000..=5_000_000).contains(&(now_us - 5_000_000)), "{now_us}");
        assert_eq!(wait_us(&gate, 0, 0), None, "no limit");
        assert_eq!(wait_us(&gate, 10, now_us + 3_600_000_000), None, "long silence");
    }
}
