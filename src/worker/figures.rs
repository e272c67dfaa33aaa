//! The figures of this process that `show info` adds up: what there is now, and the share of idle time.

use super::Worker;
use crate::base::tick::Now;
use crate::shm::Info;

/// How often figures are published, milliseconds, while there is something to do.
const EVERY_MS: u64 = 250;

/// Idle time is measured over at least so long, microseconds.
const WINDOW_US: u64 = 1_000_000;

/// Measures how much of its time a process waits.
#[derive(Default)]
pub(super) struct Figures {
    /// Start of the window, 0 before the first one.
    since_us: u64,
    /// Waited within the window.
    idle_us: u64,
    /// When it began to wait; `None` when it does not.
    asleep_us: Option<u64>,
    published_ms: u64,
}

impl Figures {
    /// The process is going to wait.
    pub(super) fn falls_asleep(&mut self, now_us: u64) {
        self.asleep_us = Some(now_us);
    }

    /// It has waited, or has not. Returns the share of idle time in percent when a window is over.
    pub(super) fn wakes(&mut self, now_us: u64) -> Option<u64> {
        if self.since_us == 0 {
            self.since_us = now_us;
            return None;
        }
        let asleep_us = self.asleep_us.take().unwrap_or(now_us);
        self.idle_us += now_us.saturating_sub(asleep_us.max(self.since_us));
        let window = now_us - self.since_us;
        if window < WINDOW_US {
            return None;
        }
        let percent = 100 * self.idle_us / window;
        (self.since_us, self.idle_us) = (now_us, 0);
        Some(percent.min(100))
    }
}

impl Worker<'_> {
    /// A turn begins: publishes what is due, and sees to it that the keys of tickets are not too old for this turn.
    pub(super) fn publish_figures(&mut self, now: Now) {
        let Worker { house, streams, figures, .. } = self;
        let process = house.shm.process();
        if let Some(percent) = figures.wakes(now.mono_us) {
            process.set(Info::IdlePct, percent);
        }
        if now.tick.0 < figures.published_ms + EVERY_MS {
            return;
        }
        figures.published_ms = now.tick.0;
        house.tls.tick(now.wall_us);
        let (tasks, niced) = house.sched.count();
        process.set(Info::Tasks, tasks as u64);
        process.set(Info::NicedTasks, niced as u64);
        process.set(Info::RunQueue, house.sched.waiting() as u64);
        process.set(Info::Streams, streams.len() as u64);
        process.set(Info::PoolAlloc, house.pool.allocated_bytes() as u64);
        process.set(Info::PoolUsed, house.pool.used_bytes() as u64);
        process.set(Info::PoolFailed, house.pool.failed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_a_share_of_the_window() {
        let mut figures = Figures::default();
        assert_eq!(figures.wakes(1_000_000), None);
        // Works 200 ms, waits 300 ms, works 100 ms, waits 400 ms.
        figures.falls_asleep(1_200_000);
        assert_eq!(figures.wakes(1_500_000), None);
        figures.falls_asleep(1_600_000);
        assert_eq!(figures.wakes(2_000_000), Some(70));
        // A long sleep is all idle.
        figures.falls_asleep(2_000_000);
        assert_eq!(figures.wakes(60_000_000), Some(100));
    }
}
