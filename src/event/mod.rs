//! Floor 2: readiness, run queue, timers, signals. Imports base and sys.

mod heavy;
pub mod line;
pub mod log;
pub mod poll;
pub mod ready;
pub mod sched;
mod timer;
