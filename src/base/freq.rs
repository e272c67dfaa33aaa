//! Events per period over a sliding window: two buckets, the older one faded out linearly.
//!
//! [`Freq`] is a plain value. Shared memory keeps its three words in atomics that one process writes and
//! all read: they load a `Freq`, ask or change it, and store it back.

/// A frequency counter. The period is the caller's and must be the same in each call.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Freq {
    /// When the current period began: low 32 bits of the milliseconds.
    pub start: u32,
    /// Events in the current period.
    pub now: u32,
    /// Events in the period before.
    pub before: u32,
}

impl Freq {
    /// Counts `n` events at `ms` and returns the number in the current period.
    #[inline]
    pub fn add(&mut self, ms: u64, period_ms: u32, n: u32) -> u32 {
        self.turn(ms as u32, period_ms);
        self.now = self.now.saturating_add(n);
        self.now
    }

    /// Events in the last period up to `ms`.
    #[inline]
    pub fn rate(mut self, ms: u64, period_ms: u32) -> u32 {
        self.turn(ms as u32, period_ms);
        let left = period_ms.saturating_sub((ms as u32).wrapping_sub(self.start));
        // One lone event stays visible for the whole period rather than fading to nothing at once.
        let faded = match (self.before, self.now) {
            (1, 0) => 1,
            (before, _) => (u64::from(before) * u64::from(left) / u64::from(period_ms.max(1))) as u32,
        };
        self.now.saturating_add(faded)
    }

    /// How many more events may happen at `ms` so that no more than `limit` fall into a period.
    #[inline]
    pub fn room(self, ms: u64, period_ms: u32, limit: u32) -> u32 {
        limit.saturating_sub(self.rate(ms, period_ms))
    }

    /// How long to wait, in milliseconds, until [`Freq::room`] is at least one. 0 when it is already.
    pub fn wait_ms(mut self, ms: u64, period_ms: u32, limit: u32) -> u32 {
        if self.room(ms, period_ms, limit) > 0 {
            return 0;
        }
        self.turn(ms as u32, period_ms);
        let age = (ms as u32).wrapping_sub(self.start);
        let to_end = period_ms.saturating_sub(age);
        if limit == 0 || self.now >= limit {
            // The full bucket becomes the old one and then fades by one event's worth.
            let fade = u64::from(period_ms) / u64::from(self.now.max(1));
            return to_end.saturating_add(fade as u32).max(1);
        }
        // before * left / period + now < limit  is wanted.
        let left = u64::from(limit - self.now) * u64::from(period_ms) / u64::from(self.before.max(1));
        to_end.saturating_sub((left as u32).saturating_sub(1)).max(1)
    }

    /// Makes the bucket of `ms` the current one.
    #[inline]
    fn turn(&mut self, ms: u32, period_ms: u32) {
        let age = ms.wrapping_sub(self.start);
        if age < period_ms {
            return;
        }
        // A reader's clock may be a little behind the writer's: then nothing has passed.
        if age > u32::MAX / 2 {
            return;
        }
        if age < period_ms.saturating_mul(2) {
            self.before = self.now;
            self.start = self.start.wrapping_add(period_ms);
        } else {
            self.before = 0;
            self.start = ms;
        }
        self.now = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_rate_is_read_as_it_is() {
        let mut freq = Freq::default();
        for ms in 0..5000 {
            freq.add(ms, 1000, 2);
            if ms > 2000 {
                let rate = freq.rate(ms, 1000);
                assert!((1990..=2010).contains(&rate), "{rate} at {ms}");
            }
        }
        assert_eq!(freq.rate(7001, 1000), 0);
    }

    #[test]
    fn old_events_fade() {
        let mut freq = Freq { start: 0, now: 0, before: 0 };
        freq.add(0, 1000, 100);
        assert_eq!(freq.rate(999, 1000), 100);
        assert_eq!(freq.rate(1000, 1000), 100);
        assert_eq!(freq.rate(1500, 1000), 50);
        assert_eq!(freq.rate(1999, 1000), 0);
        assert_eq!(freq.rate(2000, 1000), 0);
        let mut one = Freq::default();
        one.add(10, 1000, 1);
        assert_eq!((one.rate(1900, 1000), one.rate(2010, 1000)), (1, 0));
    }

    #[test]
    fn waiting_is_enough_and_not_too_long() {
        for (events, limit) in [(10u32, 10u32), (30, 10), (1, 1), (100, 99)] {
            let mut freq = Freq::default();
            freq.add(5000, 1000, events);
            let wait = freq.wait_ms(5000, 1000, limit);
            assert!(wait > 0 && wait <= 2000, "{wait}");
            let mut at = 5000 + u64::from(wait);
            let mut rounds = 0;
            while freq.room(at, 1000, limit) == 0 {
                at += u64::from(freq.wait_ms(at, 1000, limit));
                rounds += 1;
                assert!(rounds < 4 && at < 7100, "{events} {limit} {at}");
            }
        }
    }

    #[test]
    fn survives_the_wrap_of_the_clock() {
        let end = u64::from(u32::MAX);
        let mut freq = Freq { start: u32::MAX - 100, now: 7, before: 0 };
        freq.add(end + 500, 1000, 1);
        assert_eq!(freq.rate(end + 500, 1000), 8);
        assert_eq!(freq.rate(end - 50_000, 1000), 8, "a clock that is behind changes nothing");
    }
}
