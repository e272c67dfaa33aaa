//! Offering a TLS session for resumption, client side.
//!
//! Why unsafe: the openssl crate asks its caller to know that the session came from the same context.
//! Sound because a session is a reference-counted, immutable object of its own: the library only reads it to
//! fill the ClientHello, and refuses one whose version or certificate kind does not fit.

use openssl::error::ErrorStack;
use openssl::ssl::{SslRef, SslSessionRef};

/// Offers `session` in the handshake that `ssl`, a client, has not begun yet. The server may refuse it; then the
/// handshake is a full one.
pub fn offer_session(ssl: &mut SslRef, session: &SslSessionRef) -> Result<(), ErrorStack> {
    // SAFETY: both are alive for the call, the library takes a reference of its own to the session, and a session
    // made by another context of this process is read the same way.
    unsafe { ssl.set_session(session) }
}
