//! One TLS connection: a state machine over bytes.

use std::ffi::{c_int, CStr};

use foreign_types::ForeignType;
use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslRef, SslSessionRef};
use openssl_sys as ffi;

use super::{call, lib_face, Context, Failure, Host, Reason, Side};

/// What came of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done; so many bytes of plain text moved (0 for a handshake).
    Done(usize),
    /// More ciphertext is needed first.
    WantRead,
    /// Room for ciphertext is needed first.
    WantWrite,
    /// The host has suspended the handshake.
    Suspended,
    /// The peer has ended its side in good order.
    Closed,
    /// It failed, for good.
    Failed(Failure),
}

/// A connection. Holds no buffer and no transport between calls.
pub struct Conn {
    ssl: Ssl,
    /// Ciphertext taken since the last plain text.
    wordless: usize,
}

/// Ciphertext without plain text that a peer may send in a row: a whole record that arrives in pieces, and a thousand key
/// updates besides. Each of those costs more than a record of data, and the library counts only some of them.
const WORDLESS_MAX: usize = 2 * (16384 + 256 + 5);

impl Conn {
    /// A connection that has not begun.
    pub fn new(context: &Context) -> Result<Conn, ErrorStack> {
        // SAFETY: the context is alive; the connection takes a reference of its own.
        let raw = unsafe { ffi::SSL_new(context.as_ptr()) };
        if raw.is_null() {
            return Err(ErrorStack::get());
        }
        // SAFETY: a new object that nobody else owns.
        let mut ssl = unsafe { Ssl::from_ptr(raw) };
        match context.side() {
            Side::Server => ssl.set_accept_state(),
            Side::Client => ssl.set_connect_state(),
        }
        lib_face::prepare(ssl.as_ptr());
        Ok(Conn { ssl, wordless: 0 })
    }

    /// Client: the name to ask for (SNI).
    pub fn set_name(&mut self, name: &str) -> Result<(), ErrorStack> {
        self.ssl.set_hostname(name)
    }

    /// Client: the peer's certificate must carry this name (or be refused).
    pub fn set_expected_name(&mut self, name: &str) -> Result<(), ErrorStack> {
        let param = self.ssl.param_mut();
        match name.parse() {
            Ok(ip) => param.set_ip(ip),
            Err(_) => param.set_host(name),
        }
    }

    /// Client: offers a session for resumption. A server that does not know it makes a full handshake. With `early` the
    /// handshake is done, for now, as soon as data can be written (RFC 8446 section 2.3): true when the session is good for that,
    /// and it should be used for nothing else then.
    pub fn offer(&mut self, session: &SslSessionRef, early: bool) -> Result<bool, ErrorStack> {
        let takes = lib_face::takes_early(session);
        let plain = if takes && !early { lib_face::without_early(session) } else { None };
        crate::resume::offer_session(&mut self.ssl, plain.as_deref().unwrap_or(session))?;
        Ok(takes && early)
    }

    /// Goes on with the handshake.
    pub fn handshake(&mut self, host: &mut dyn Host) -> Outcome {
        let ssl = self.ssl.as_ptr();
        self.run(host, || {
            // SAFETY: ssl is alive and exclusively borrowed.
            let code = unsafe { ffi::SSL_do_handshake(ssl) };
            if code == 1 {
                NOTHING_MOVED
            } else {
                code
            }
        })
    }

    /// Decrypts into `into`, at most one record.
    pub fn read(&mut self, host: &mut dyn Host, into: &mut [u8]) -> Outcome {
        let (ssl, at) = (self.ssl.as_ptr(), into.as_mut_ptr());
        let len = into.len().min(MOST) as c_int;
        if len == 0 {
            return Outcome::Done(0);
        }
        let before = host.received().len();
        let outcome = self.run(host, || {
            // SAFETY: ssl as above; the library writes at most `len` bytes into the slice.
            unsafe { ffi::SSL_read(ssl, at.cast(), len) }
        });
        match outcome {
            Outcome::Done(_) => self.wordless = 0,
            Outcome::WantRead => self.wordless += before.saturating_sub(host.received().len()),
            _ => {}
        }
        if self.wordless > WORDLESS_MAX {
            return Outcome::Failed(Failure::of(Reason::Flood));
        }
        outcome
    }

    /// Encrypts from `bytes`. After [`Outcome::WantWrite`] the next write must begin with the same bytes and have at least as
    /// many. No bytes: only what the library holds back (a ticket, a key update) is written.
    pub fn write(&mut self, host: &mut dyn Host, bytes: &[u8]) -> Outcome {
        let ssl = self.ssl.as_ptr();
        let len = bytes.len().min(MOST) as c_int;
        self.run(host, || {
            // SAFETY: ssl as above; the library reads at most `len` bytes of the slice.
            let code = unsafe { ffi::SSL_write(ssl, bytes.as_ptr().cast(), len) };
            if len == 0 && code == 0 {
                NOTHING_MOVED
            } else {
                code
            }
        })
    }

    /// Says that nothing more comes (close_notify). `Done` once it is written.
    pub fn shutdown(&mut self, host: &mut dyn Host) -> Outcome {
        let ssl = self.ssl.as_ptr();
        self.run(host, || {
            // SAFETY: ssl as above. 0 means: ours is sent, the peer's has not come; that is all we want.
            let code = unsafe { ffi::SSL_shutdown(ssl) };
            if code >= 0 {
                NOTHING_MOVED
            } else {
                code
            }
        })
    }

    /// Goes on with a handshake that lets data through already, without taking any: done when there is data, or the handshake
    /// is over and more ciphertext is needed.
    pub fn advance(&mut self, host: &mut dyn Host) -> Outcome {
        let ssl = self.ssl.as_ptr();
        let mut byte = 0u8;
        self.run(host, || {
            // SAFETY: ssl is alive; the library writes at most one byte.
            unsafe { ffi::SSL_peek(ssl, (&raw mut byte).cast(), 1) }
        })
    }

    /// Early data may come, the client has not proved that it is there now (RFC 8446 section 2.3).
    pub fn is_early(&self) -> bool {
        lib_face::is_early(self.ssl.as_ptr())
    }

    /// Early data was accepted on this connection.
    pub fn took_early(&self) -> bool {
        lib_face::took_early(self.ssl.as_ptr())
    }

    /// New keys for what is sent from here on (TLS 1.3), with the next write.
    pub fn renew_keys(&mut self) -> bool {
        lib_face::renew_keys(self.ssl.as_ptr())
    }

    /// What it knows of itself.
    pub fn ssl(&self) -> &SslRef {
        &self.ssl
    }

    /// Whether the handshake is over.
    pub fn is_established(&self) -> bool {
        // SAFETY: ssl is alive.
        (unsafe { lib_face::SSL_in_init(self.ssl.as_ptr()) }) == 0
    }

    /// Bytes a record of this connection adds to its plain text, at most.
    pub fn overhead(&self) -> usize {
        lib_face::overhead(self.ssl.as_ptr())
    }

    /// Name of the key exchange group.
    pub fn group(&self) -> Option<&'static str> {
        lib_face::group(self.ssl.as_ptr())
    }

    /// Client and server random; `None` before both are known.
    pub fn randoms(&self) -> Option<([u8; 32], [u8; 32])> {
        let (mut client, mut server) = ([0u8; 32], [0u8; 32]);
        // SAFETY: ssl is alive; the library writes at most as many bytes as it is told.
        let c = unsafe { ffi::SSL_get_client_random(self.ssl.as_ptr(), client.as_mut_ptr(), client.len()) };
        // SAFETY: as above.
        let s = unsafe { ffi::SSL_get_server_random(self.ssl.as_ptr(), server.as_mut_ptr(), server.len()) };
        (c == client.len() && s == server.len()).then_some((client, server))
    }

    /// Plain text that was decrypted and not read yet.
    pub fn pending(&self) -> usize {
        // SAFETY: ssl is alive.
        let pending = unsafe { ffi::SSL_pending(self.ssl.as_ptr()) };
        usize::try_from(pending).unwrap_or(0)
    }

    fn run(&mut self, host: &mut dyn Host, body: impl FnOnce() -> c_int) -> Outcome {
        let ssl = self.ssl.as_ptr();
        let ((code, error), refusal) = call::run(ssl, host, || {
            let code = body();
            // SAFETY: ssl is alive; the transport is still attached, as the question needs.
            (code, unsafe { ffi::SSL_get_error(ssl, code) })
        });
        match error {
            ffi::SSL_ERROR_NONE if code == NOTHING_MOVED => Outcome::Done(0),
            ffi::SSL_ERROR_NONE => Outcome::Done(usize::try_from(code).unwrap_or(0)),
            ffi::SSL_ERROR_WANT_READ => Outcome::WantRead,
            ffi::SSL_ERROR_WANT_WRITE => Outcome::WantWrite,
            ffi::SSL_ERROR_ZERO_RETURN => Outcome::Closed,
            lib_face::ERROR_SUSPENDED => Outcome::Suspended,
            lib_face::ERROR_EARLY_REFUSED => Outcome::Failed(Failure::of(Reason::EarlyRefused)),
            _ => {
                let verify = self.ssl.verify_result().as_raw();
                Outcome::Failed(Failure::collect(verify, refusal))
            }
        }
    }
}

impl Failure {
    /// The words the library has for a verification error.
    pub fn verify_words(&self) -> Option<&'static str> {
        if self.reason != Reason::BadCertificate || self.verify == 0 {
            return None;
        }
        // SAFETY: takes a number, returns a constant string or null.
        let text = unsafe { ffi::X509_verify_cert_error_string(self.verify.into()) };
        if text.is_null() {
            return None;
        }
        // SAFETY: a constant string of the library that ends with a zero.
        unsafe { CStr::from_ptr(text) }.to_str().ok()
    }
}

/// Bytes per call at most.
const MOST: usize = 1 << 30;

/// Success of a call that moves no plain text, where the library says 0 or 1; positive, so that it is no error.
const NOTHING_MOVED: c_int = c_int::MAX;
