//! Floor 8: command socket, statistics, checks, logs. Imports stream, net, plan, shm.

pub mod applet;
pub mod board;
pub mod cli;
pub mod desk;
pub mod errors;
pub mod log;
pub mod ocsp;
pub mod sessions;
pub mod stats;
pub mod vars;
