//! Where log lines go and in which form. The types live with the sink that uses them; a plan only
//! holds them.

pub use crate::event::log::target::{Facility, LogAddr, LogFormat, LogLevel, LogTarget, Sample};
