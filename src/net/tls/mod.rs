//! TLS of the network floor, without sockets: contexts, certificates, names, sessions, and the engine that turns
//! ciphertext into plain text and back.
//!
//! `transport/ssl.rs` moves the bytes; it is the only one above that knows buffers of ciphertext exist. Configuration
//! hands over plain words ([`crate::plan::tls`]); what is built from them ([`context`]) is immutable, made before the
//! fork and shared by all connections of a `bind` or `server` line.

pub mod asked;
pub mod authority;
pub mod certs;
pub mod change;
pub mod context;
pub mod describe;
pub mod engine;
pub mod files;
mod gather;
pub mod hello;
mod host;
pub mod info;
pub mod ocsp;
pub mod pem;
mod replay;
pub mod selfsigned;
pub mod sessions;
pub mod sources;
pub mod staple;
pub mod store;
pub mod ticket_file;
pub mod trust;
pub mod why;

#[cfg(test)]
mod tests;

pub use context::{BindContext, ServerContext, TlsShared};
pub use engine::{Pipe, Plain, Step, TlsEngine, Wrote};
pub use lighterman_sys::tls::{Failure, Reason};
