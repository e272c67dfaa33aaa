//! `inject`: a load injector for HTTP/1.1 and TLS.
//!
//! `main` reads the command line ([`options`]), [`crew`] forks the processes and prints what they count in shared memory
//! ([`counters`], [`report`]), each process is one edge-triggered loop ([`engine`]). Nothing is allocated per request.

pub mod clock;
pub mod counters;
pub mod crew;
pub mod engine;
pub mod histogram;
pub mod options;
pub mod report;
pub mod response;
pub mod target;
pub mod tls;
pub mod units;

mod conn;
mod pace;
