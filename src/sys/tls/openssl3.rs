//! What is particular to OpenSSL 3 (the feature `system-openssl`).

use std::ffi::{c_int, c_long, c_uchar, c_uint, c_void, CStr};
use std::marker::PhantomData;
use std::ptr;

use foreign_types::{ForeignType, ForeignTypeRef};
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{Ssl, SslRef, SslSession, SslSessionRef};
use openssl::stack::Stack;
use openssl::x509::X509;
use openssl_sys as ffi;

use super::call;
use super::context::select;
use super::ticket::ticket_key;
use super::{Failure, Reason, Select, Side, Wishes};

/// What the openssl-sys crate does not declare.
mod more {
    use std::ffi::{c_int, c_long, c_void};

    use openssl_sys as ffi;

    /// An untyped callback, as `SSL_CTX_callback_ctrl` takes it.
    pub(super) type Callback = unsafe extern "C" fn();

    extern "C" {
        pub fn X509_STORE_add_crl(store: *mut ffi::X509_STORE, list: *mut ffi::X509_CRL) -> c_int;
        pub fn BIO_up_ref(bio: *mut ffi::BIO) -> c_int;
        pub fn SSL_in_init(ssl: *const ffi::SSL) -> c_int;
        pub fn SSL_key_update(ssl: *mut ffi::SSL, kind: c_int) -> c_int;
        pub(super) fn SSL_CTX_set_timeout(ctx: *mut ffi::SSL_CTX, seconds: c_long) -> c_long;
        pub(super) fn SSL_get_ciphers(ssl: *const ffi::SSL) -> *mut ffi::stack_st_SSL_CIPHER;
        pub fn ERR_error_string_n(code: std::ffi::c_ulong, room: *mut std::ffi::c_char, len: usize);
        pub(super) fn SSL_CTX_callback_ctrl(
            ctx: *mut ffi::SSL_CTX,
            command: c_int,
            callback: Option<Callback>,
        ) -> c_long;
        pub(super) fn SSL_use_cert_and_key(
            ssl: *mut ffi::SSL,
            leaf: *mut ffi::X509,
            key: *mut ffi::EVP_PKEY,
            chain: *mut c_void,
            replace: c_int,
        ) -> c_int;
        pub(super) fn SSL_CTX_use_cert_and_key(
            ctx: *mut ffi::SSL_CTX,
            leaf: *mut ffi::X509,
            key: *mut ffi::EVP_PKEY,
            chain: *mut c_void,
            replace: c_int,
        ) -> c_int;
    }
}

const CTRL_MODE: c_int = 33;
const CTRL_NEGOTIATED_GROUP: c_int = 134;
const CTRL_TICKET_KEY_CALLBACK: c_int = 72;
const CTRL_STATUS_CALLBACK: c_int = 63;
const MODES: c_long = 1 | 2 | 16; // partial write, moving write buffer, release buffers
const OP_NO_TICKET: u64 = 1 << 14;
const OP_NO_RENEGOTIATION: u64 = 1 << 30;

/// The library's name and version, for `-vv`.
pub fn library() -> String {
    openssl::version::version().to_owned()
}

/// `SSL_ERROR_WANT_CLIENT_HELLO_CB`.
pub(super) const ERROR_SUSPENDED: c_int = 11;
/// Early data is not sent with this library: never seen.
pub(super) const ERROR_EARLY_REFUSED: c_int = c_int::MIN;

type Alpn =
    unsafe extern "C" fn(*mut ffi::SSL, *mut *const u8, *mut u8, *const u8, c_uint, *mut c_void) -> c_int;

/// # Safety
/// `ctx` is alive.
pub(super) unsafe fn set_alpn(ctx: *mut ffi::SSL_CTX, callback: Alpn) {
    // SAFETY: promised by the caller; the callback needs no argument.
    unsafe { ffi::SSL_CTX_set_alpn_select_cb__fixed_rust(ctx, Some(callback), ptr::null_mut()) };
}

/// Sets what has no face in the openssl crate. `ctx` is alive.
pub(super) fn finish(ctx: *mut ffi::SSL_CTX, side: Side, wishes: &Wishes) -> Result<(), ErrorStack> {
    // SAFETY: ctx is alive, here and in all blocks below.
    unsafe { more::SSL_CTX_set_timeout(ctx, c_long::from(wishes.lifetime.min(i32::MAX as u32) as i32)) };
    // SAFETY: as above.
    unsafe { ffi::SSL_CTX_set_options(ctx, OP_NO_RENEGOTIATION) };
    if wishes.early_data {
        // SAFETY: as above.
        unsafe { ffi::SSL_CTX_set_max_early_data(ctx, 16384) };
    }
    if side == Side::Client {
        return Ok(());
    }
    // SAFETY: as above; the callbacks live as long as the program.
    unsafe { ffi::SSL_CTX_set_client_hello_cb(ctx, Some(hello), ptr::null_mut()) };
    // SAFETY: only the type is erased, the library casts it back.
    let staple = unsafe { std::mem::transmute::<StatusCallback, more::Callback>(status) };
    // SAFETY: ctx is alive.
    unsafe { more::SSL_CTX_callback_ctrl(ctx, CTRL_STATUS_CALLBACK, Some(staple)) };
    if wishes.tickets {
        // SAFETY: only the type is erased, the library casts it back.
        let callback = unsafe { std::mem::transmute::<TicketCallback, more::Callback>(ticket_key) };
        // SAFETY: ctx is alive.
        unsafe { more::SSL_CTX_callback_ctrl(ctx, CTRL_TICKET_KEY_CALLBACK, Some(callback)) };
        // SAFETY: ctx is alive.
        unsafe { ffi::SSL_CTX_set_num_tickets(ctx, wishes.ticket_count) };
    } else {
        // SAFETY: ctx is alive.
        unsafe { ffi::SSL_CTX_set_options(ctx, OP_NO_TICKET) };
        // SAFETY: ctx is alive. TLS 1.3 would otherwise hand out stateful tickets.
        unsafe { ffi::SSL_CTX_set_num_tickets(ctx, 0) };
    }
    Ok(())
}

/// What every new connection gets.
pub(super) fn prepare(ssl: *mut ffi::SSL) {
    // SAFETY: ssl is alive.
    unsafe { ffi::SSL_ctrl(ssl, CTRL_MODE, MODES, ptr::null_mut()) };
}

pub(super) use more::{BIO_up_ref, ERR_error_string_n, SSL_in_init, X509_STORE_add_crl};

/// Header, content type, initialisation vector, longest MAC and padding.
/// Early data has calls of its own in this library, which are not used.
pub(super) fn takes_early(_: &SslSessionRef) -> bool {
    false
}

pub(super) fn without_early(_: &SslSessionRef) -> Option<SslSession> {
    None
}

pub(super) fn is_early(_: *mut ffi::SSL) -> bool {
    false
}

pub(super) fn took_early(_: *mut ffi::SSL) -> bool {
    false
}

pub(super) fn renew_keys(ssl: *mut ffi::SSL) -> bool {
    // SAFETY: ssl is alive; 0: the peer need not do the same.
    (unsafe { more::SSL_key_update(ssl, 0) }) == 1
}

pub(super) fn overhead(_: *mut ffi::SSL) -> usize {
    5 + 1 + 16 + 64 + 16
}

pub(super) fn group(ssl: *mut ffi::SSL) -> Option<&'static str> {
    // SAFETY: ssl is alive.
    let nid = unsafe { ffi::SSL_ctrl(ssl, CTRL_NEGOTIATED_GROUP, 0, ptr::null_mut()) };
    // SAFETY: takes a number, returns a constant string or null.
    let name = unsafe { ffi::OBJ_nid2sn(c_int::try_from(nid).ok()?) };
    if name.is_null() || nid == 0 {
        return None;
    }
    // SAFETY: a string of the library's own table that ends with a zero.
    unsafe { CStr::from_ptr(name) }.to_str().ok()
}

/// This library knows names only where a connection is.
pub(super) fn cipher(_: u16) -> Option<&'static str> {
    None
}

pub(super) fn ciphers(ssl: &Ssl) -> Vec<String> {
    // SAFETY: ssl is alive; the stack is borrowed from it.
    let stack = unsafe { more::SSL_get_ciphers(ssl.as_ptr()) };
    if stack.is_null() {
        return Vec::new();
    }
    // SAFETY: the stack is alive as long as ssl, which is borrowed here.
    let stack = unsafe { openssl::stack::StackRef::<openssl::ssl::SslCipher>::from_ptr(stack) };
    stack.iter().map(|cipher| cipher.name().to_owned()).collect()
}

/// A ClientHello in the library's hands.
pub(super) struct RawHello<'h> {
    ssl: *mut ffi::SSL,
    of: PhantomData<&'h ()>,
}

type Field = unsafe extern "C" fn(*mut ffi::SSL, *mut *const c_uchar) -> usize;

impl<'h> RawHello<'h> {
    fn field(&self, ask: Field) -> &'h [u8] {
        let mut at = ptr::null();
        // SAFETY: ssl is alive in its hello callback, and the result points into the hello.
        let len = unsafe { ask(self.ssl, &mut at) };
        bytes(at, len)
    }

    pub(super) fn extension(&self, number: u16) -> Option<&'h [u8]> {
        let (mut at, mut len) = (ptr::null(), 0);
        // SAFETY: as in `field`.
        let found = unsafe { ffi::SSL_client_hello_get0_ext(self.ssl, number.into(), &mut at, &mut len) };
        (found == 1).then(|| bytes(at, len))
    }

    pub(super) fn ciphers(&self) -> &'h [u8] {
        self.field(ffi::SSL_client_hello_get0_ciphers)
    }

    pub(super) fn version(&self) -> u16 {
        // SAFETY: ssl is alive in its hello callback.
        let version = unsafe { ffi::SSL_client_hello_get0_legacy_version(self.ssl) };
        u16::try_from(version).unwrap_or(0)
    }

    pub(super) fn random(&self) -> &'h [u8] {
        self.field(ffi::SSL_client_hello_get0_random)
    }

    pub(super) fn session_id(&self) -> &'h [u8] {
        self.field(ffi::SSL_client_hello_get0_session_id)
    }

    pub(super) fn extensions(&self) -> &'h [u8] {
        &[]
    }
}

fn bytes<'h>(at: *const u8, len: usize) -> &'h [u8] {
    if at.is_null() {
        return &[];
    }
    // SAFETY: callers pass pointer and length of one field of a hello that lives for 'h.
    unsafe { std::slice::from_raw_parts(at, len) }
}

/// A connection whose hello is being looked at.
pub(super) struct RawSetup<'c> {
    ssl: *mut ffi::SSL,
    of: PhantomData<&'c mut ()>,
}

impl RawSetup<'_> {
    pub(super) fn new(ssl: *mut ffi::SSL) -> Self {
        RawSetup { ssl, of: PhantomData }
    }

    pub(super) fn credentials(&mut self, credentials: &Credentials) -> bool {
        let (leaf, key, chain) = credentials.raw();
        // SAFETY: live objects; the library takes references of its own.
        (unsafe { more::SSL_use_cert_and_key(self.ssl, leaf, key, chain, 1) }) == 1
    }

    pub(super) fn refuse_early_data(&mut self) {}

    pub(super) fn ocsp(&mut self, response: &[u8]) -> bool {
        // SAFETY: ssl is alive in its callback, and nobody else uses it now.
        let ssl = unsafe { SslRef::from_ptr_mut(self.ssl) };
        ssl.set_ocsp_status(response).is_ok()
    }

    /// The library has no way to say it per connection.
    pub(super) fn timestamps(&mut self, _: &[u8]) -> bool {
        false
    }
}

pub(super) fn default_credentials(ctx: *mut ffi::SSL_CTX, credentials: &Credentials) -> bool {
    let (leaf, key, chain) = credentials.raw();
    // SAFETY: live objects; the library takes references of its own.
    (unsafe { more::SSL_CTX_use_cert_and_key(ctx, leaf, key, chain, 1) }) == 1
}

/// A certificate chain with its key, ready to be shown by any number of connections.
pub struct Credentials {
    leaf: X509,
    rest: Stack<X509>,
    key: PKey<Private>,
}

impl Credentials {
    /// From DER certificates, the leaf first. `None` without any, when one does not parse, or when memory is short.
    pub fn new<D: AsRef<[u8]>>(chain: &[D], key: PKey<Private>) -> Option<Credentials> {
        let (leaf, others) = chain.split_first()?;
        let mut rest = Stack::new().ok()?;
        for der in others {
            rest.push(X509::from_der(der.as_ref()).ok()?).ok()?;
        }
        Some(Credentials { leaf: X509::from_der(leaf.as_ref()).ok()?, rest, key })
    }

    /// How many certificates are shown: the leaf and its chain.
    #[allow(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        1 + self.rest.len()
    }

    fn raw(&self) -> (*mut ffi::X509, *mut ffi::EVP_PKEY, *mut c_void) {
        (self.leaf.as_ptr(), self.key.as_ptr(), self.rest.as_ptr().cast())
    }
}

unsafe extern "C" fn hello(ssl: *mut ffi::SSL, alert: *mut c_int, _: *mut c_void) -> c_int {
    const ERROR: c_int = 0;
    const SUCCESS: c_int = 1;
    const RETRY: c_int = -1;
    match select(ssl, RawHello { ssl, of: PhantomData }) {
        Select::Go => SUCCESS,
        Select::Suspend => RETRY,
        Select::Refuse(refusal) => {
            call::set_refusal(refusal);
            // SAFETY: the library gives room for one number.
            unsafe { *alert = c_int::from(refusal) };
            ERROR
        }
    }
}

type StatusCallback = unsafe extern "C" fn(*mut ffi::SSL, *mut c_void) -> c_int;

/// The response was set with the credentials; without one the library leaves the extension out.
unsafe extern "C" fn status(_: *mut ffi::SSL, _: *mut c_void) -> c_int {
    ffi::SSL_TLSEXT_ERR_OK
}

type TicketCallback = unsafe extern "C" fn(
    *mut ffi::SSL,
    *mut c_uchar,
    *mut c_uchar,
    *mut ffi::EVP_CIPHER_CTX,
    *mut ffi::HMAC_CTX,
    c_int,
) -> c_int;

/// `ERR_LIB_SSL`.
const LIB_SSL: c_int = 20;
/// Alerts received are queued as reason 1000 + alert.
const ALERTS: std::ops::Range<c_int> = 1000..1256;

/// Puts one entry of the error queue into our words. The numbers are those of OpenSSL's `sslerr.h`.
pub(super) fn classify(code: impl Into<u64>) -> Failure {
    let code = code.into();
    if ffi::ERR_GET_LIB(code as _) != LIB_SSL {
        return Failure { code, ..Failure::of(Reason::Other) };
    }
    let number = ffi::ERR_GET_REASON(code as _);
    if ALERTS.contains(&number) {
        return Failure { alert: (number - ALERTS.start) as u8, code, ..Failure::of(Reason::Alert) };
    }
    let reason = match number {
        155 | 156 => Reason::HttpRequest,
        267 => Reason::NotTls,
        252 | 258 | 259 | 191 => Reason::NoCommonVersion,
        193 | 181 | 183 => Reason::NoCommonCipher,
        101 | 378 => Reason::NoCommonGroup,
        118 => Reason::NoCommonSignature,
        235 => Reason::NoCommonProtocol,
        234 => Reason::Refused,
        179 | 190 => Reason::NoCertificate,
        199 => Reason::PeerNoCertificate,
        134 => Reason::BadCertificate,
        281 | 147 => Reason::BadRecord,
        146 | 150 | 152 | 198 => Reason::TooLong,
        110 | 159 | 160 | 227 | 102 | 180 | 271 => Reason::Malformed,
        244 | 245 | 133 | 291 | 443 => Reason::Unexpected,
        123 | 149 | 306 => Reason::BadSignature,
        339 | 337 => Reason::Renegotiation,
        298 | 409 | 132 => Reason::Flood,
        373 => Reason::Fallback,
        104 | 197 | 215 => Reason::BadResumption,
        377 | 68 => Reason::Internal,
        _ => Reason::Other,
    };
    Failure { code, ..Failure::of(reason) }
}

/// The OCSP answer that a server has stapled, as its client sees it.
pub fn stapled(ssl: &SslRef) -> Option<Vec<u8>> {
    ssl.ocsp_status().map(<[u8]>::to_vec)
}
