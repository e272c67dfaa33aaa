//! TLS without sockets: the library works on bytes its [`Host`] lends, and asks the host for certificates, sessions and keys.
//!
//! Why unsafe: the callbacks this needs are not in the openssl crate, or take untyped memory there. What makes it sound:
//!
//! * the host is known to the library only while one call of [`Conn`] runs, through a pointer in the calling thread that is
//!   compared with the connection it was set for ([`call`]); a callback at any other time finds nobody and declines;
//! * one callback at a time borrows the host; a nested one declines;
//! * every callback catches its panics, which go on when the library has returned;
//! * the transport object (BIO) holds no pointer of ours and is attached for the call only, so an idle connection has none.
//!
//! AWS-LC and OpenSSL 3 differ in `awslc.rs` and `openssl3.rs`, which offer the same names, and nowhere else.

mod bio;
mod call;
mod conn;
mod context;
mod host;
mod reason;
mod settings;
mod ticket;
pub mod verify_errors;

#[cfg(feature = "aws-lc")]
mod awslc;
#[cfg(not(feature = "aws-lc"))]
mod openssl3;

#[cfg(feature = "aws-lc")]
use awslc as lib_face;
#[cfg(not(feature = "aws-lc"))]
use openssl3 as lib_face;

#[cfg(test)]
mod tests;

pub use conn::{Conn, Outcome};
pub use context::{Context, Side, Wishes};
pub use host::{Hello, Host, Select, Setup, TicketKey, TicketUse};
pub use lib_face::{library, stapled, Credentials};
pub use reason::{library_text, verify_words, Failure, Reason};
pub use settings::{add_revocations, set_ciphersuites, set_signature_algorithms};

/// The name of a cipher suite (registry "TLS Cipher Suites"), as OpenSSL spells it.
pub fn cipher_by_number(number: u16) -> Option<&'static str> {
    lib_face::cipher(number).map(cipher_name)
}

/// Suites of TLS 1.3 by their standard names, as OpenSSL spells them; AWS-LC has a spelling of its own.
pub fn cipher_name(name: &str) -> &str {
    match name {
        "AEAD-AES128-GCM-SHA256" => "TLS_AES_128_GCM_SHA256",
        "AEAD-AES256-GCM-SHA384" => "TLS_AES_256_GCM_SHA384",
        "AEAD-CHACHA20-POLY1305-SHA256" => "TLS_CHACHA20_POLY1305_SHA256",
        other => other,
    }
}
