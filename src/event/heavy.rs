//! How much of each turn heavy work may take: work that is long and cannot be cut, such as that of a private key.
//!
//! Measured, not assumed: who does the work says how long it took. A turn has a small allowance, or a fixed part of
//! what the turn before it took for everything else: light work waits for one piece of heavy work at most, and heavy
//! work gets its part however much light work there is. The line is as long as can be worked off within
//! [`PATIENCE_US`]; beyond that it is better to say no at once.

/// Heavy work that a turn may always begin with, microseconds: with P-256 one or two handshakes, with RSA one.
const ALLOWANCE_US: u64 = 100;
/// Its part when light work fills the turns: one of so many.
const PART: u64 = 4;
/// How long the last in line may have to wait, microseconds.
const PATIENCE_US: u64 = 250_000;
/// Bounds of the line's length, however long a piece takes.
const LINE: std::ops::RangeInclusive<u64> = 16..=4096;
/// A guess until something was measured, microseconds.
const FIRST_GUESS_US: u64 = 200;

/// The budget of one process.
pub(super) struct Heavy {
    waiting: usize,
    /// In this turn.
    allowance_us: u64,
    spent_us: u64,
    /// Of one piece, sliding, in sixteenths of a microsecond.
    mean: u64,
}

impl Default for Heavy {
    fn default() -> Self {
        Heavy { waiting: 0, allowance_us: ALLOWANCE_US, spent_us: 0, mean: FIRST_GUESS_US * 16 }
    }
}

impl Heavy {
    pub(super) fn begin_turn(&mut self, last_us: u64) {
        let others = last_us.saturating_sub(self.spent_us);
        self.allowance_us = ALLOWANCE_US.max(others / (PART - 1));
        self.spent_us = 0;
    }

    pub(super) fn is_free(&self) -> bool {
        self.waiting == 0 && self.may_go_on()
    }

    pub(super) fn may_go_on(&self) -> bool {
        self.spent_us < self.allowance_us
    }

    pub(super) fn took(&mut self, us: u64) {
        self.spent_us += us.max(1);
        self.mean = self.mean - self.mean / 16 + us.clamp(1, PATIENCE_US);
    }

    pub(super) fn enters(&mut self) -> bool {
        let longest = (PATIENCE_US * 16 / self.mean.max(1)).clamp(*LINE.start(), *LINE.end());
        let fits = (self.waiting as u64) < longest;
        self.waiting += usize::from(fits);
        fits
    }

    pub(super) fn leaves(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_as_long_as_can_be_worked_off() {
        for (piece_us, longest) in [(1, 4096), (100, 2500), (1000, 250), (100_000, 16)] {
            let mut heavy = Heavy::default();
            (0..500).for_each(|_| heavy.took(piece_us));
            let entered = std::iter::from_fn(|| heavy.enters().then_some(())).take(10_000).count();
            let far = entered.abs_diff(longest) * 20 > longest;
            assert!(!far, "{piece_us} us: {entered}");
            heavy.leaves();
            assert!(heavy.enters(), "somebody left");
        }
    }

    #[test]
    fn a_busy_turn_leaves_a_quarter() {
        let mut heavy = Heavy::default();
        heavy.begin_turn(3000);
        assert_eq!(heavy.allowance_us, 1000);
        heavy.took(900);
        assert!(heavy.may_go_on());
        heavy.took(900);
        assert!(!heavy.may_go_on());
        heavy.begin_turn(4800);
        assert_eq!(heavy.allowance_us, 1000, "heavy work itself does not count");
        heavy.begin_turn(10);
        assert_eq!(heavy.allowance_us, ALLOWANCE_US);
    }
}
