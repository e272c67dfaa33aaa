//! Floor 6: sockets, transports, muxes, connections. Imports base, event, msg, wire, plan, shm, cx.
//!
//! Inside, from the bottom: `sock` < `tls` < `transport` < `mux` < `conn`.

pub mod conn;
pub mod contexts;
pub mod cx;
pub mod fault;
pub mod mux;
pub mod sock;
pub mod tls;
pub mod transport;

pub use cx::{Beginning, Birth, Cx, Verdict};
pub use fault::{Cause, Fault};
