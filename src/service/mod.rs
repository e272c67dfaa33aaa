//! Floor 8: command socket, statistics, checks, logs. Imports stream, net, plan, shm.

pub mod cli;
pub mod stats;
