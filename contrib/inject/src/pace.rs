//! A fixed rate of requests. Each permit carries the instant it was due, so that a late one shows its lateness in the
//! measured time instead of hiding it.

use std::time::{Duration, Instant};

/// Gives out permits at a fixed rate.
#[derive(Debug)]
pub(crate) struct Pace {
    start: Instant,
    interval: f64,
    given: u64,
}

impl Pace {
    /// `rate` permits per second from `start` on.
    pub(crate) fn new(rate: f64, start: Instant) -> Pace {
        Pace { start, interval: 1.0 / rate, given: 0 }
    }

    /// When the next permit is due.
    pub(crate) fn due(&self) -> Instant {
        self.start + Duration::from_secs_f64(self.interval * self.given as f64)
    }

    /// Takes the next permit, if its time has come; tells when it was due.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Instant> {
        let due = self.due();
        if due > now {
            return None;
        }
        self.given += 1;
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn permits_come_at_the_rate_and_late_ones_are_not_lost() {
        let start = clock::now();
        let mut pace = Pace::new(1000.0, start);
        let taken = |pace: &mut Pace, ms| {
            let now = start + Duration::from_millis(ms);
            std::iter::from_fn(|| pace.take(now)).count()
        };
        assert_eq!(taken(&mut pace, 0), 1);
        assert_eq!(taken(&mut pace, 0), 0);
        assert_eq!(taken(&mut pace, 1), 1);
        assert_eq!(taken(&mut pace, 100), 99);
        assert_eq!(pace.due(), start + Duration::from_millis(101));
    }
}
