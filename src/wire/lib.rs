//! Codecs: bytes in, values out. No socket, no clock, no log, no allocation that is not bounded.
//!
//! Everything here reads bytes that a stranger sent, so nothing here may panic: the lints below make
//! indexing and unwrapping a build error outside tests. A parser returns [`error::Parse`]: done with
//! a value and the number of bytes it used, in need of more bytes, or refused with the clause that
//! was broken and the offset where.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

pub mod client_hello;
pub mod der;
pub mod error;
pub mod fetch;
pub mod h1;
pub mod http;
pub mod ocsp;
pub mod proxy_header;
pub mod rdp;
pub mod scan;
pub mod token;
pub mod x509;
