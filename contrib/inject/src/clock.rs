//! The one place where the injector reads the clock. It measures, so it reads it per event, not per turn.

use std::time::{Duration, Instant, SystemTime};

/// The monotonic clock; a vDSO read, no system call.
pub fn now() -> Instant {
    Instant::now()
}

/// Seconds since the epoch.
pub fn epoch() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Microseconds, saturating.
pub fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
