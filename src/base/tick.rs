//! Time: milliseconds of a monotonic clock for everything that waits, the wall clock for logs.
//!
//! The clock is read once per turn of the event loop and handed down as a [`Now`]. This is the only
//! file that may ask the system for the time. A [`Tick`] counts from the start of the machine, the same in
//! every process: ticks may stand in shared memory.

use nix::time::{clock_gettime, ClockId};

/// A moment: milliseconds since the machine started.
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
    Real,
    /// A clock that moves only when told to.
    Virtual {
        /// The present.
        now: Now,
    },
}

impl Clock {
    /// The system's time.
    pub fn real() -> Self {
        Clock::Real
    }

    /// A time that stands still until [`Clock::advance`], starting one second after 1970.
    pub fn virtual_from_start() -> Self {
        Clock::Virtual { now: Now { tick: Tick(1000), mono_us: 1_000_000, wall_us: 1_000_000 } }
    }

    /// The time now. Costs two reads of the vDSO, no system call.
    pub fn read(&self) -> Now {
        match self {
            Clock::Real => {
                let mono_us = micros(ClockId::CLOCK_MONOTONIC);
                Now { tick: Tick(mono_us / 1000), mono_us, wall_us: micros(ClockId::CLOCK_REALTIME) }
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

/// CPU time of this process in microseconds (a system call: not for every turn).
pub fn cpu_us() -> u64 {
    micros(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

/// Measures how long one piece of work takes, where the time of the turn is too coarse.
pub struct Stopwatch(u64);

impl Stopwatch {
    /// Begins now.
    pub fn start() -> Stopwatch {
        Stopwatch(micros(ClockId::CLOCK_MONOTONIC))
    }

    /// Microseconds since it began.
    pub fn elapsed_us(&self) -> u64 {
        micros(ClockId::CLOCK_MONOTONIC).saturating_sub(self.0)
    }
}

fn micros(clock: ClockId) -> u64 {
    // These clocks exist wherever this runs; 0 would only mean "long ago".
    clock_gettime(clock).map_or(0, |t| t.tv_sec() as u64 * 1_000_000 + t.tv_nsec() as u64 / 1000)
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
