//! What the connections of one bind or server have in common: an `SSL_CTX` with our callbacks.

use std::ffi::{c_char, c_int, c_uint, c_void, CStr};
use std::ptr;

use foreign_types::ForeignType;
use openssl::error::ErrorStack;
use openssl::ssl::{SslContext, SslContextBuilder, SslSession, SslSessionCacheMode, SslVerifyMode};
use openssl_sys as ffi;

use super::{call, lib_face, Credentials, Select};

/// Which end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// We accept.
    Server,
    /// We connect.
    Client,
}

/// Which questions the host is asked; what it is not asked costs nothing.
#[derive(Debug, Clone, Copy)]
pub struct Wishes {
    /// Server: sessions by id are kept by the host. Client: sessions are given to the host.
    pub sessions: bool,
    /// Server: tickets are given out and accepted, under the host's keys.
    pub tickets: bool,
    /// Server: TLS 1.3 tickets per full handshake.
    pub ticket_count: usize,
    /// Seconds a session may be resumed.
    pub lifetime: u32,
    /// Server: the host chooses among the offered protocols.
    pub alpn: bool,
    /// What is asked of the peer's certificate.
    pub verify: SslVerifyMode,
    /// The host gets the lines of a key log.
    pub key_log: bool,
    /// TLS 1.3 early data may come (server) or be sent (client).
    pub early_data: bool,
}

impl Default for Wishes {
    fn default() -> Self {
        Wishes {
            sessions: true,
            tickets: true,
            ticket_count: 1,
            lifetime: 300,
            alpn: false,
            verify: SslVerifyMode::NONE,
            key_log: false,
            early_data: false,
        }
    }
}

/// A finished context; connections hold a reference of their own.
pub struct Context {
    ctx: SslContext,
    side: Side,
}

impl Context {
    /// Adds the callbacks to a context whose versions, ciphers, groups and authorities are set.
    pub fn new(mut builder: SslContextBuilder, side: Side, wishes: &Wishes) -> Result<Context, ErrorStack> {
        let server = side == Side::Server;
        let mode = match (wishes.sessions, server) {
            (true, true) => SslSessionCacheMode::SERVER | SslSessionCacheMode::NO_INTERNAL,
            (true, false) => SslSessionCacheMode::CLIENT | SslSessionCacheMode::NO_INTERNAL,
            (false, _) => SslSessionCacheMode::OFF,
        };
        builder.set_session_cache_mode(mode);
        let ctx = builder.as_ptr();
        // SAFETY: ctx is alive, here and in all blocks below; every callback lives as long as the program.
        unsafe { ffi::SSL_CTX_set_verify(ctx, wishes.verify.bits(), Some(verify)) };
        if wishes.sessions {
            // SAFETY: as above.
            unsafe { ffi::SSL_CTX_sess_set_new_cb(ctx, Some(new_session)) };
            // SAFETY: as above.
            unsafe { ffi::SSL_CTX_sess_set_get_cb(ctx, Some(known_session)) };
        }
        if wishes.key_log {
            // SAFETY: as above.
            unsafe { ffi::SSL_CTX_set_keylog_callback(ctx, Some(key_line)) };
        }
        if server && wishes.alpn {
            // SAFETY: as above; the argument is not used.
            unsafe { lib_face::set_alpn(ctx, alpn) };
        }
        lib_face::finish(ctx, side, wishes)?;
        Ok(Context { ctx: builder.build(), side })
    }

    /// Which end its connections are.
    pub fn side(&self) -> Side {
        self.side
    }

    /// Certificates that every connection may show, one per key type: for contexts that serve one name only.
    pub fn set_default_credentials(&mut self, credentials: &Credentials) -> bool {
        lib_face::default_credentials(self.as_ptr(), credentials)
    }

    /// Names of the cipher suites in force, preferred first.
    pub fn ciphers(&self) -> Vec<String> {
        let Ok(ssl) = openssl::ssl::Ssl::new(&self.ctx) else { return Vec::new() };
        lib_face::ciphers(&ssl)
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::SSL_CTX {
        self.ctx.as_ptr()
    }
}

/// Not marked unsafe only because one of the two libraries declares it so; nobody but the library calls it.
extern "C" fn verify(ok: c_int, store: *mut ffi::X509_STORE_CTX) -> c_int {
    if ok == 1 {
        return 1;
    }
    // SAFETY: no precondition.
    let index = unsafe { ffi::SSL_get_ex_data_X509_STORE_CTX_idx() };
    // SAFETY: the library passes its live object.
    let ssl = unsafe { ffi::X509_STORE_CTX_get_ex_data(store, index) };
    // SAFETY: as above.
    let error = unsafe { ffi::X509_STORE_CTX_get_error(store) };
    // SAFETY: as above.
    let depth = unsafe { ffi::X509_STORE_CTX_get_error_depth(store) };
    c_int::from(call::with_host(ssl.cast(), false, |host| host.accept_bad_certificate(error, depth)))
}

/// Returns 1 when the session object is kept (its reference goes with it).
unsafe extern "C" fn new_session(ssl: *mut ffi::SSL, session: *mut ffi::SSL_SESSION) -> c_int {
    // SAFETY: ssl is alive in its own callback.
    let server = unsafe { ffi::SSL_is_server(ssl.cast()) } == 1;
    if server {
        // SAFETY: the library passes a live session, borrowed for this call.
        let borrowed =
            unsafe { <openssl::ssl::SslSessionRef as foreign_types::ForeignTypeRef>::from_ptr(session) };
        if let Ok(bytes) = borrowed.to_der() {
            call::with_host(ssl, (), |host| host.store_session(borrowed.id(), &bytes));
        }
        return 0;
    }
    // SAFETY: the reference that comes with the callback is ours when 1 is returned.
    let owned = unsafe { SslSession::from_ptr(session) };
    call::with_host(ssl, (), |host| host.keep_session(owned));
    1
}

unsafe extern "C" fn known_session(
    ssl: *mut ffi::SSL,
    id: *const u8,
    len: c_int,
    copy: *mut c_int,
) -> *mut ffi::SSL_SESSION {
    // SAFETY: the library gives room for one number; 0: the reference returned is the library's.
    unsafe { *copy = 0 };
    let (false, Ok(len)) = (id.is_null(), usize::try_from(len)) else { return ptr::null_mut() };
    // SAFETY: the library passes `len` bytes.
    let id = unsafe { std::slice::from_raw_parts(id, len) };
    let Some(bytes) = call::with_host(ssl, None, |host| host.find_session(id)) else {
        return ptr::null_mut();
    };
    match SslSession::from_der(&bytes) {
        Ok(session) => {
            let raw = session.as_ptr();
            std::mem::forget(session);
            raw
        }
        Err(_) => ptr::null_mut(),
    }
}

unsafe extern "C" fn key_line(ssl: *const ffi::SSL, line: *const c_char) {
    if !line.is_null() {
        // SAFETY: the library passes a string that ends with a zero.
        let line = unsafe { CStr::from_ptr(line) };
        call::with_host(ssl, (), |host| host.key_line(line.to_bytes()));
    }
}

pub(super) unsafe extern "C" fn alpn(
    ssl: *mut ffi::SSL,
    out: *mut *const u8,
    out_len: *mut u8,
    offered: *const u8,
    offered_len: c_uint,
    _: *mut c_void,
) -> c_int {
    if offered.is_null() {
        return ffi::SSL_TLSEXT_ERR_NOACK as c_int;
    }
    // SAFETY: the library passes `offered_len` bytes that stay during the callback and beyond (they are in the hello).
    let offered = unsafe { std::slice::from_raw_parts(offered, offered_len as usize) };
    match call::with_host(ssl, None, |host| host.alpn(offered)) {
        Some(chosen) if !chosen.is_empty() && chosen.len() < 256 => {
            // SAFETY: room for a pointer, to bytes that live as long as `offered`.
            unsafe { *out = chosen.as_ptr() };
            // SAFETY: room for a length.
            unsafe { *out_len = chosen.len() as u8 };
            ffi::SSL_TLSEXT_ERR_OK as c_int
        }
        _ => ffi::SSL_TLSEXT_ERR_NOACK as c_int,
    }
}

/// What the host decides about a hello, for the library's own callback to translate.
pub(super) fn select(ssl: *mut ffi::SSL, hello: lib_face::RawHello<'_>) -> Select {
    let hello = super::Hello { raw: hello };
    let mut setup = super::Setup { raw: lib_face::RawSetup::new(ssl) };
    call::with_host(ssl, Select::Refuse(ALERT_INTERNAL), |host| host.hello(&hello, &mut setup))
}

/// `internal_error` of RFC 8446 section 6.2.
const ALERT_INTERNAL: u8 = 80;
