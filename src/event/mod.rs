//! Floor 2: readiness, run queue, timers, signals. Imports base and sys.

pub mod log;
