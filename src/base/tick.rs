//! Time: milliseconds of a monotonic clock for everything that waits, the wall clock for logs.
//!
//! The clock is read once per turn of the event loop and handed down as a [`Now`]. This is the only
//! file that may ask the system for the time.
#![allow(clippy::disallowed_methods, reason = "the one place where the system's clocks are read")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment: milliseconds since the clock was made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default)]
pub struct Tick(pub u64);

impl Tick {
    /// Later than any deadline.
    pub const NEVER: Tick = Tick(u64::MAX);

    /// So many milliseconds later.
    pub fn after(self, ms: u64) -> Tick {
        Tick(self.0.saturating_add(ms))
    }

    /// Milliseconds since an earlier moment; 0 when it is not earlier.
    pub fn since(self, earlier: Tick) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment a timeout that starts now is over; `None` stays "never".
    pub fn deadline(self, timeout_ms: Option<u32>) -> Option<Tick> {
        timeout_ms.map(|ms| self.after(u64::from(ms)))
    }
}

/// What time it is in this turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Monotonic milliseconds.
    pub tick: Tick,
    /// Monotonic microseconds, for what is shorter than a millisecond.
    pub mono_us: u64,
    /// Microseconds since 1970.
    pub wall_us: u64,
}

/// Where the time comes from.
pub enum Clock {
    /// The system's clocks.
    Real {
        /// When the clock was made.
        start: Instant,
    },
    /// A clock that moves only when told to.
    Virtual {
        /// The present.
        now: Now,
    },
}

impl Clock {
    /// The system's time.
    pub fn real() -> Self {
        Clock::Real { start: Instant::now() }
    }

    /// A time that stands still until [`Clock::advance`], starting one second after 1970.
    pub fn virtual_from_start() -> Self {
        Clock::Virtual { now: Now { tick: Tick(1000), mono_us: 1_000_000, wall_us: 1_000_000 } }
    }

    /// The time now. Costs two reads of the vDSO, no system call.
    pub fn read(&self) -> Now {
        match self {
            Clock::Real { start } => {
                let mono_us = start.elapsed().as_micros() as u64;
                let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
                Now { tick: Tick(mono_us / 1000), mono_us, wall_us: wall.as_micros() as u64 }
            }
            Clock::Virtual { now } => *now,
        }
    }

    /// Moves a virtual clock; a real one moves by itself.
    pub fn advance(&mut self, ms: u64) {
        if let Clock::Virtual { now } = self {
            now.tick = now.tick.after(ms);
            now.mono_us += ms * 1000;
            now.wall_us += ms * 1000;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_time_moves_when_told() {
        let mut clock = Clock::virtual_from_start();
        let before = clock.read();
        assert_eq!(clock.read(), before);
        clock.advance(250);
        let after = clock.read();
        assert_eq!(after.tick.since(before.tick), 250);
        assert_eq!(before.tick.since(after.tick), 0);
        assert_eq!(after.tick.deadline(Some(5)), Some(Tick(1255)));
        assert_eq!(after.tick.deadline(None), None);
    }
}
