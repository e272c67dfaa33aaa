//! What is particular to AWS-LC (and BoringSSL before it).

use std::ffi::{c_int, c_uint, c_void, CStr};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

use foreign_types::{ForeignType, ForeignTypeRef};
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{Ssl, SslRef, SslSession, SslSessionRef};
use openssl_sys as ffi;

pub(super) use openssl_sys::{BIO_up_ref, ERR_error_string_n, SSL_in_init, X509_STORE_add_crl};

use super::call;
use super::context::select;
use super::ticket::ticket_key;
use super::{Failure, Reason, Select, Side, Wishes};

/// The library's name and version, for `-vv`.
pub fn library() -> String {
    openssl::version::version().to_owned()
}

pub(super) const ERROR_SUSPENDED: c_int = ffi::SSL_ERROR_PENDING_CERTIFICATE;
pub(super) const ERROR_EARLY_REFUSED: c_int = ffi::SSL_ERROR_EARLY_DATA_REJECTED;

type Alpn =
    unsafe extern "C" fn(*mut ffi::SSL, *mut *const u8, *mut u8, *const u8, c_uint, *mut c_void) -> c_int;

/// # Safety
/// `ctx` is alive.
pub(super) unsafe fn set_alpn(ctx: *mut ffi::SSL_CTX, callback: Alpn) {
    // SAFETY: promised by the caller; the callback needs no argument.
    unsafe { ffi::SSL_CTX_set_alpn_select_cb(ctx, Some(callback), ptr::null_mut()) };
}

/// Sets what has no face in the openssl crate. `ctx` is alive.
pub(super) fn finish(ctx: *mut ffi::SSL_CTX, side: Side, wishes: &Wishes) -> Result<(), ErrorStack> {
    // SAFETY: ctx is alive, here and in all blocks below.
    unsafe { ffi::SSL_CTX_set_timeout(ctx, wishes.lifetime) };
    // SAFETY: as above.
    unsafe { ffi::SSL_CTX_set_session_psk_dhe_timeout(ctx, wishes.lifetime) };
    // SAFETY: as above; the pool is never freed, as it must not be.
    unsafe { ffi::SSL_CTX_set0_buffer_pool(ctx, pool()) };
    // SAFETY: as above.
    unsafe { ffi::SSL_CTX_set_early_data_enabled(ctx, c_int::from(wishes.early_data)) };
    if side == Side::Client {
        return Ok(());
    }
    // SAFETY: as above; the callbacks live as long as the program.
    unsafe { ffi::SSL_CTX_set_select_certificate_cb(ctx, Some(hello)) };
    // SAFETY: as above.
    unsafe { ffi::SSL_CTX_set_tlsext_servername_callback(ctx, Some(server_name)) };
    if wishes.tickets {
        // SAFETY: as above.
        unsafe { ffi::SSL_CTX_set_tlsext_ticket_key_cb(ctx, Some(ticket_key)) };
        // SAFETY: as above.
        unsafe { ffi::SSL_CTX_set_num_tickets(ctx, wishes.ticket_count) };
    } else {
        // SAFETY: as above.
        unsafe { ffi::SSL_CTX_set_options(ctx, ffi::SSL_OP_NO_TICKET as u32) };
    }
    Ok(())
}

/// What every new connection gets.
pub(super) fn prepare(ssl: *mut ffi::SSL) {
    // SAFETY: ssl is alive. Configuration is freed when the handshake is over; renegotiation is never done (the default).
    unsafe { ffi::SSL_set_shed_handshake_config(ssl, 1) };
    let mode = ffi::SSL_MODE_ENABLE_PARTIAL_WRITE | ffi::SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER;
    // SAFETY: ssl is alive.
    unsafe { ffi::SSL_set_mode(ssl, mode as u32) };
}

/// Early data may be sent with it.
pub(super) fn takes_early(session: &SslSessionRef) -> bool {
    // SAFETY: the session is alive.
    (unsafe { ffi::SSL_SESSION_early_data_capable(session.as_ptr()) }) == 1
}

/// The same session, not good for early data.
pub(super) fn without_early(session: &SslSessionRef) -> Option<SslSession> {
    // SAFETY: the session is alive; the copy, or null, is ours.
    let copy = unsafe { ffi::SSL_SESSION_copy_without_early_data(session.as_ptr()) };
    // SAFETY: a new reference that nobody else owns.
    (!copy.is_null()).then(|| unsafe { SslSession::from_ptr(copy) })
}

pub(super) fn is_early(ssl: *mut ffi::SSL) -> bool {
    // SAFETY: ssl is alive.
    (unsafe { ffi::SSL_in_early_data(ssl) }) == 1
}

pub(super) fn took_early(ssl: *mut ffi::SSL) -> bool {
    // SAFETY: ssl is alive.
    (unsafe { ffi::SSL_early_data_accepted(ssl) }) == 1
}

pub(super) fn renew_keys(ssl: *mut ffi::SSL) -> bool {
    // SAFETY: ssl is alive; 0: the peer need not do the same.
    (unsafe { ffi::SSL_key_update(ssl, 0) }) == 1
}

pub(super) fn overhead(ssl: *mut ffi::SSL) -> usize {
    // SAFETY: ssl is alive.
    unsafe { ffi::SSL_max_seal_overhead(ssl) }
}

pub(super) fn group(ssl: *mut ffi::SSL) -> Option<&'static str> {
    // SAFETY: ssl is alive.
    let id = unsafe { ffi::SSL_get_curve_id(ssl) };
    // SAFETY: takes a number, returns a constant string or null.
    let name = unsafe { ffi::SSL_get_curve_name(id) };
    if name.is_null() {
        return None;
    }
    // SAFETY: a constant string that ends with a zero.
    unsafe { CStr::from_ptr(name) }.to_str().ok()
}

pub(super) fn cipher(number: u16) -> Option<&'static str> {
    // SAFETY: takes a number, returns a constant object or null.
    let cipher = unsafe { ffi::SSL_get_cipher_by_value(number) };
    if cipher.is_null() {
        return None;
    }
    // SAFETY: a constant object of the library.
    let name = unsafe { ffi::SSL_CIPHER_get_name(cipher) };
    // SAFETY: a constant string that ends with a zero.
    unsafe { CStr::from_ptr(name) }.to_str().ok()
}

pub(super) fn ciphers(ssl: &Ssl) -> Vec<String> {
    // SAFETY: ssl is alive; the stack is borrowed from it.
    let stack = unsafe { ffi::SSL_get_ciphers(ssl.as_ptr()) };
    if stack.is_null() {
        return Vec::new();
    }
    // SAFETY: the stack is alive as long as ssl, which is borrowed here.
    let stack = unsafe {
        <openssl::stack::StackRef<openssl::ssl::SslCipher> as foreign_types::ForeignTypeRef>::from_ptr(stack)
    };
    stack.iter().map(|cipher| cipher.name().to_owned()).collect()
}

/// A ClientHello in the library's hands.
pub(super) struct RawHello<'h> {
    raw: &'h ffi::SSL_CLIENT_HELLO,
}

fn bytes<'h>(at: *const u8, len: usize) -> &'h [u8] {
    if at.is_null() {
        return &[];
    }
    // SAFETY: callers pass pointer and length of one field of a hello that lives for 'h.
    unsafe { std::slice::from_raw_parts(at, len) }
}

impl<'h> RawHello<'h> {
    pub(super) fn extension(&self, number: u16) -> Option<&'h [u8]> {
        let (mut at, mut len) = (ptr::null(), 0);
        // SAFETY: the hello is alive; the results point into it.
        let found = unsafe { ffi::SSL_early_callback_ctx_extension_get(self.raw, number, &mut at, &mut len) };
        (found == 1).then(|| bytes(at, len))
    }

    pub(super) fn ciphers(&self) -> &'h [u8] {
        bytes(self.raw.cipher_suites, self.raw.cipher_suites_len)
    }

    pub(super) fn version(&self) -> u16 {
        self.raw.version
    }

    pub(super) fn random(&self) -> &'h [u8] {
        bytes(self.raw.random, self.raw.random_len)
    }

    pub(super) fn session_id(&self) -> &'h [u8] {
        bytes(self.raw.session_id, self.raw.session_id_len)
    }

    pub(super) fn extensions(&self) -> &'h [u8] {
        bytes(self.raw.extensions, self.raw.extensions_len)
    }
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

    /// Replaces only what has the same key type: the library cannot clear a connection's certificates and set others.
    pub(super) fn credentials(&mut self, credentials: &Credentials) -> bool {
        let (chain, key) = credentials.raw();
        // SAFETY: pointer and length of live certificates, a live key; the library takes references of its own.
        let set =
            unsafe { ffi::SSL_set_chain_and_key(self.ssl, chain.as_ptr(), chain.len(), key, ptr::null()) };
        set == 1
    }

    pub(super) fn refuse_early_data(&mut self) {
        // SAFETY: ssl is alive.
        unsafe { ffi::SSL_set_early_data_enabled(self.ssl, 0) };
    }

    pub(super) fn ocsp(&mut self, response: &[u8]) -> bool {
        // SAFETY: ssl is alive; the library copies the bytes.
        (unsafe { ffi::SSL_set_ocsp_response(self.ssl, response.as_ptr(), response.len()) }) == 1
    }

    pub(super) fn timestamps(&mut self, list: &[u8]) -> bool {
        // SAFETY: ssl is alive; the library copies the bytes.
        (unsafe { ffi::SSL_set_signed_cert_timestamp_list(self.ssl, list.as_ptr(), list.len()) }) == 1
    }
}

pub(super) fn default_credentials(ctx: *mut ffi::SSL_CTX, credentials: &Credentials) -> bool {
    let (chain, key) = credentials.raw();
    // SAFETY: pointer and length of live certificates, a live key; the library takes references of its own.
    (unsafe { ffi::SSL_CTX_set_chain_and_key(ctx, chain.as_ptr(), chain.len(), key, ptr::null()) }) == 1
}

/// One DER certificate, shared by content with all others of this process.
struct Certificate(NonNull<ffi::CRYPTO_BUFFER>);

impl Drop for Certificate {
    fn drop(&mut self) {
        // SAFETY: our own reference.
        unsafe { ffi::CRYPTO_BUFFER_free(self.0.as_ptr()) };
    }
}

/// A certificate chain with its key, ready to be shown by any number of connections.
pub struct Credentials {
    chain: Vec<Certificate>,
    key: PKey<Private>,
}

// SAFETY: certificates are immutable and counted atomically; the key is Send and Sync by itself.
unsafe impl Send for Credentials {}
// SAFETY: as above.
unsafe impl Sync for Credentials {}

impl Credentials {
    /// From DER certificates, the leaf first. `None` without any, or when memory is short.
    pub fn new<D: AsRef<[u8]>>(chain: &[D], key: PKey<Private>) -> Option<Credentials> {
        let mut certificates = Vec::with_capacity(chain.len());
        for der in chain {
            let der = der.as_ref();
            // SAFETY: pointer and length of the DER bytes, which are copied; the pool lives for ever.
            let raw = unsafe { ffi::CRYPTO_BUFFER_new(der.as_ptr(), der.len(), pool()) };
            certificates.push(Certificate(NonNull::new(raw)?));
        }
        (!certificates.is_empty()).then_some(Credentials { chain: certificates, key })
    }

    /// How many certificates are shown: the leaf and its chain.
    #[allow(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.chain.len()
    }

    fn raw(&self) -> (Vec<*mut ffi::CRYPTO_BUFFER>, *mut ffi::EVP_PKEY) {
        (self.chain.iter().map(|certificate| certificate.0.as_ptr()).collect(), self.key.as_ptr())
    }
}

/// The pool that lets equal certificates (intermediates, peers' chains) share their bytes.
fn pool() -> *mut ffi::CRYPTO_BUFFER_POOL {
    struct Pool(*mut ffi::CRYPTO_BUFFER_POOL);
    // SAFETY: the pool locks itself.
    unsafe impl Send for Pool {}
    // SAFETY: as above.
    unsafe impl Sync for Pool {}
    static POOL: OnceLock<Pool> = OnceLock::new();
    // SAFETY: no precondition; null when memory is short, which means no sharing.
    POOL.get_or_init(|| Pool(unsafe { ffi::CRYPTO_BUFFER_POOL_new() })).0
}

unsafe extern "C" fn hello(raw: *const ffi::SSL_CLIENT_HELLO) -> ffi::ssl_select_cert_result_t {
    // SAFETY: the library passes a hello that is alive during the callback.
    let Some(raw) = (unsafe { raw.as_ref() }) else {
        return ffi::ssl_select_cert_result_t_ssl_select_cert_error;
    };
    match select(raw.ssl, RawHello { raw }) {
        Select::Go => ffi::ssl_select_cert_result_t_ssl_select_cert_success,
        Select::Suspend => ffi::ssl_select_cert_result_t_ssl_select_cert_retry,
        Select::Refuse(alert) => {
            // This callback cannot choose the alert; that of the server name, which comes next, can.
            call::set_refusal(alert);
            ffi::ssl_select_cert_result_t_ssl_select_cert_success
        }
    }
}

unsafe extern "C" fn server_name(_: *mut ffi::SSL, alert: *mut c_int, _: *mut c_void) -> c_int {
    match call::refusal() {
        Some(refusal) => {
            // SAFETY: the library gives room for one number.
            unsafe { *alert = c_int::from(refusal) };
            ffi::SSL_TLSEXT_ERR_ALERT_FATAL
        }
        None => ffi::SSL_TLSEXT_ERR_OK,
    }
}

/// Alerts received are queued as reason 1000 + alert.
const ALERTS: std::ops::Range<i32> = 1000..1256;

/// Puts one entry of the error queue into our words.
pub(super) fn classify(code: impl Into<u64>) -> Failure {
    let code = code.into();
    let packed = code as u32;
    if ffi::ERR_GET_LIB(packed) != ffi::ERR_LIB_SSL as c_int {
        return Failure { code, ..Failure::of(Reason::Other) };
    }
    let number = ffi::ERR_GET_REASON(packed);
    if ALERTS.contains(&number) {
        return Failure { alert: (number - ALERTS.start) as u8, code, ..Failure::of(Reason::Alert) };
    }
    let reason = match number {
        ffi::SSL_R_HTTP_REQUEST | ffi::SSL_R_HTTPS_PROXY_REQUEST => Reason::HttpRequest,
        ffi::SSL_R_WRONG_VERSION_NUMBER => Reason::NotTls,
        ffi::SSL_R_UNSUPPORTED_PROTOCOL
        | ffi::SSL_R_UNKNOWN_PROTOCOL
        | ffi::SSL_R_WRONG_SSL_VERSION
        | ffi::SSL_R_NO_SUPPORTED_VERSIONS_ENABLED => Reason::NoCommonVersion,
        ffi::SSL_R_NO_SHARED_CIPHER | ffi::SSL_R_NO_CIPHERS_SPECIFIED | ffi::SSL_R_NO_CIPHERS_PASSED => {
            Reason::NoCommonCipher
        }
        ffi::SSL_R_NO_SHARED_GROUP | ffi::SSL_R_WRONG_CURVE => Reason::NoCommonGroup,
        ffi::SSL_R_NO_COMMON_SIGNATURE_ALGORITHMS => Reason::NoCommonSignature,
        ffi::SSL_R_NO_APPLICATION_PROTOCOL => Reason::NoCommonProtocol,
        ffi::SSL_R_CONNECTION_REJECTED | ffi::SSL_R_CLIENTHELLO_TLSEXT => Reason::Refused,
        ffi::SSL_R_NO_CERTIFICATE_SET | ffi::SSL_R_NO_PRIVATE_KEY_ASSIGNED => Reason::NoCertificate,
        ffi::SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE => Reason::PeerNoCertificate,
        ffi::SSL_R_CERTIFICATE_VERIFY_FAILED
        | ffi::SSL_R_CANNOT_PARSE_LEAF_CERT
        | ffi::SSL_R_KEY_USAGE_BIT_INCORRECT
        | ffi::SSL_R_WRONG_CERTIFICATE_TYPE => Reason::BadCertificate,
        ffi::SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC | ffi::SSL_R_DECRYPTION_FAILED => Reason::BadRecord,
        ffi::SSL_R_ENCRYPTED_LENGTH_TOO_LONG
        | ffi::SSL_R_DATA_LENGTH_TOO_LONG
        | ffi::SSL_R_EXCESSIVE_MESSAGE_SIZE
        | ffi::SSL_R_RECORD_TOO_LARGE => Reason::TooLong,
        ffi::SSL_R_DECODE_ERROR
        | ffi::SSL_R_CLIENTHELLO_PARSE_FAILED
        | ffi::SSL_R_PARSE_TLSEXT
        | ffi::SSL_R_ERROR_PARSING_EXTENSION
        | ffi::SSL_R_BAD_HANDSHAKE_RECORD
        | ffi::SSL_R_DUPLICATE_EXTENSION
        | ffi::SSL_R_MISSING_EXTENSION
        | ffi::SSL_R_MISSING_KEY_SHARE
        | ffi::SSL_R_INVALID_COMPRESSION_LIST
        | ffi::SSL_R_ERROR_IN_RECEIVED_CIPHER_LIST
        | ffi::SSL_R_BAD_ALERT
        | ffi::SSL_R_BAD_ECPOINT
        | ffi::SSL_R_UNKNOWN_ALERT_TYPE => Reason::Malformed,
        ffi::SSL_R_UNEXPECTED_MESSAGE
        | ffi::SSL_R_UNEXPECTED_RECORD
        | ffi::SSL_R_APP_DATA_IN_HANDSHAKE
        | ffi::SSL_R_APPLICATION_DATA_INSTEAD_OF_HANDSHAKE
        | ffi::SSL_R_CCS_RECEIVED_EARLY
        | ffi::SSL_R_EXCESS_HANDSHAKE_DATA
        | ffi::SSL_R_INVALID_OUTER_RECORD_TYPE => Reason::Unexpected,
        ffi::SSL_R_BAD_SIGNATURE | ffi::SSL_R_DIGEST_CHECK_FAILED => Reason::BadSignature,
        ffi::SSL_R_NO_RENEGOTIATION | ffi::SSL_R_RENEGOTIATION_MISMATCH => Reason::Renegotiation,
        ffi::SSL_R_TOO_MANY_EMPTY_FRAGMENTS
        | ffi::SSL_R_TOO_MANY_WARNING_ALERTS
        | ffi::SSL_R_TOO_MANY_KEY_UPDATES
        | ffi::SSL_R_TOO_MUCH_SKIPPED_EARLY_DATA => Reason::Flood,
        ffi::SSL_R_INAPPROPRIATE_FALLBACK | ffi::SSL_R_TLS13_DOWNGRADE => Reason::Fallback,
        ffi::SSL_R_RESUMED_EMS_SESSION_WITHOUT_EMS_EXTENSION
        | ffi::SSL_R_OLD_SESSION_CIPHER_NOT_RETURNED
        | ffi::SSL_R_OLD_SESSION_VERSION_NOT_RETURNED
        | ffi::SSL_R_OLD_SESSION_PRF_HASH_MISMATCH => Reason::BadResumption,
        ffi::SSL_R_CERT_CB_ERROR
        | ffi::SSL_R_PRIVATE_KEY_OPERATION_FAILED
        | ffi::SSL_R_TICKET_ENCRYPTION_FAILED => Reason::Internal,
        _ => Reason::Other,
    };
    Failure { code, ..Failure::of(reason) }
}

/// The OCSP answer that a server has stapled, as its client sees it.
pub fn stapled(ssl: &SslRef) -> Option<Vec<u8>> {
    let (mut at, mut len) = (ptr::null(), 0);
    // SAFETY: ssl is alive for the call; the library writes where it keeps the bytes, which stay as long as ssl does.
    unsafe { ffi::SSL_get0_ocsp_response(ssl.as_ptr(), &mut at, &mut len) };
    // SAFETY: so many bytes are there, as just told.
    (!at.is_null()).then(|| unsafe { std::slice::from_raw_parts(at, len) }.to_vec())
}
