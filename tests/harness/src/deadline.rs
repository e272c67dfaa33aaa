//! Waiting with a deadline: the only place of the tests that lets time pass.

use std::time::{Duration, Instant};

/// How long any single wait may take. Generous, because the machine may be busy; a passing test never gets there.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Waits until `found` gives a value; panics naming `what` after [`LIMIT`].
#[track_caller]
pub fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    match within(LIMIT, &mut found) {
        Some(value) => value,
        None => panic!("waited {LIMIT:?} for {what}"),
    }
}

/// Waits until `holds`; panics naming `what` after [`LIMIT`].
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    until(what, || holds().then_some(()));
}

/// Waits up to `limit` for a value.
pub fn within<T>(limit: Duration, mut found: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = found() {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Measures how long something took.
pub struct Watch(Instant);

impl Watch {
    /// Starts now.
    pub fn start() -> Watch {
        Watch(Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Lets time pass, for what has no event to wait for (that nothing happens).
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// What is left until `end`, at least a millisecond (a zero timeout means "none" to the kernel).
pub(crate) fn left(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}
