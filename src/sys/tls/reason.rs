//! Why a TLS operation failed, in words that do not depend on the library.

use openssl::x509::X509VerifyResult;
use openssl_sys as ffi;

use super::lib_face;

/// The kinds of failure an operator or a rule can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The first bytes are an HTTP request in clear text.
    HttpRequest,
    /// The first bytes are no TLS record.
    NotTls,
    /// No protocol version in common.
    NoCommonVersion,
    /// No cipher suite in common (or none that our certificate's key can serve).
    NoCommonCipher,
    /// No key exchange group in common.
    NoCommonGroup,
    /// No signature algorithm in common.
    NoCommonSignature,
    /// No application protocol in common.
    NoCommonProtocol,
    /// We refused the handshake after its ClientHello: no certificate for the name, or a rule.
    Refused,
    /// We have no certificate for this connection.
    NoCertificate,
    /// The peer showed no certificate although one is required.
    PeerNoCertificate,
    /// The peer's certificate is not accepted; see [`Failure::verify`].
    BadCertificate,
    /// The peer sent a fatal alert; see [`Failure::alert`].
    Alert,
    /// A record does not decrypt: damaged or forged.
    BadRecord,
    /// A record or message is longer than allowed.
    TooLong,
    /// A message does not parse.
    Malformed,
    /// A message that is not expected now.
    Unexpected,
    /// A signature or Finished value is wrong.
    BadSignature,
    /// The peer asks for renegotiation.
    Renegotiation,
    /// Too many empty records, warnings or key updates.
    Flood,
    /// A client fell back to an older version than needed (RFC 7507).
    Fallback,
    /// A session is resumed in a way that is not allowed.
    BadResumption,
    /// The server did not take the data that was sent before the end of the handshake.
    EarlyRefused,
    /// The other side ended the connection without saying so.
    Ended,
    /// The library failed by itself: memory, keys, a bug.
    Internal,
    /// Anything else; see [`Failure::code`].
    Other,
}

impl Reason {
    /// A few words for log lines and counters.
    pub fn words(self) -> &'static str {
        match self {
            Reason::HttpRequest => "plain HTTP request",
            Reason::NotTls => "not TLS",
            Reason::NoCommonVersion => "no common version",
            Reason::NoCommonCipher => "no common cipher",
            Reason::NoCommonGroup => "no common group",
            Reason::NoCommonSignature => "no common signature algorithm",
            Reason::NoCommonProtocol => "no common application protocol",
            Reason::Refused => "refused",
            Reason::NoCertificate => "no certificate to show",
            Reason::PeerNoCertificate => "peer showed no certificate",
            Reason::BadCertificate => "peer certificate not accepted",
            Reason::Alert => "alert from peer",
            Reason::BadRecord => "record does not decrypt",
            Reason::TooLong => "record or message too long",
            Reason::Malformed => "malformed message",
            Reason::Unexpected => "unexpected message",
            Reason::BadSignature => "wrong signature",
            Reason::Renegotiation => "renegotiation refused",
            Reason::Flood => "too many empty messages",
            Reason::Fallback => "inappropriate fallback",
            Reason::BadResumption => "wrong resumption",
            Reason::EarlyRefused => "early data refused",
            Reason::Ended => "connection ended in handshake",
            Reason::Internal => "internal error",
            Reason::Other => "handshake failure",
        }
    }
}

/// One failed operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// The kind.
    pub reason: Reason,
    /// The alert received ([`Reason::Alert`]) or sent ([`Reason::Refused`]); 0 otherwise.
    pub alert: u8,
    /// The X509 error when the peer's certificate was not accepted; 0 otherwise.
    pub verify: i32,
    /// The library's own number (as `ERR_get_error`), for `ssl_fc_err` and the like.
    pub code: u64,
}

/// What a certificate check found wrong, in the library's words (`X509_V_ERR_...`).
pub fn verify_words(error: i32) -> &'static str {
    // SAFETY: any number is allowed; the text is static.
    unsafe { X509VerifyResult::from_raw(error) }.error_string()
}

/// Alerts that tell more than "alert from peer" (RFC 8446 section 6.2).
fn alert_words(alert: u8) -> &'static str {
    match alert {
        20 => "peer says: bad record MAC",
        40 => "peer says: handshake failure",
        42 => "peer says: bad certificate",
        43 => "peer says: unsupported certificate",
        44 => "peer says: certificate revoked",
        45 => "peer says: certificate expired",
        46 => "peer says: certificate unknown",
        47 => "peer says: illegal parameter",
        48 => "peer says: unknown authority",
        50 => "peer says: cannot decode",
        51 => "peer says: cannot decrypt",
        70 => "peer says: protocol version",
        71 => "peer says: insufficient security",
        80 => "peer says: internal error",
        86 => "peer says: inappropriate fallback",
        109 => "peer says: missing extension",
        110 => "peer says: unsupported extension",
        112 => "peer says: unknown name",
        116 => "peer says: certificate required",
        120 => "peer says: no application protocol",
        _ => "alert from peer",
    }
}

impl Failure {
    /// The most that can be said in a few words: why a certificate was refused, which alert came.
    pub fn words(&self) -> &'static str {
        match self.reason {
            Reason::BadCertificate if self.verify != 0 => verify_words(self.verify),
            Reason::Alert => alert_words(self.alert),
            reason => reason.words(),
        }
    }

    /// A failure that is not the library's.
    pub fn of(reason: Reason) -> Failure {
        Failure { reason, alert: 0, verify: 0, code: 0 }
    }

    /// What the library has queued since the call began: the first entry tells the cause, the rest are its consequences.
    pub(super) fn collect(verify: i32, refusal: Option<u8>) -> Failure {
        let mut first: Option<Failure> = None;
        loop {
            // SAFETY: takes one entry off this thread's error queue.
            let code = unsafe { ffi::ERR_get_error() };
            if code == 0 {
                break;
            }
            let found = lib_face::classify(code);
            // An entry that says more replaces a general one.
            if first.is_none_or(|f| f.reason == Reason::Other && found.reason != Reason::Other) {
                first = Some(found);
            }
        }
        let mut failure = first.unwrap_or(Failure::of(Reason::Ended));
        if let Some(alert) = refusal {
            failure = Failure { reason: Reason::Refused, alert, ..failure };
        }
        if failure.reason == Reason::BadCertificate {
            failure.verify = verify;
        }
        failure
    }
}

/// The text of the library for one of its numbers, `error:lib:func:reason` form without the function.
pub fn library_text(code: u64) -> String {
    let mut room = [0u8; 160];
    // SAFETY: the library writes at most `len` bytes and ends them with a zero.
    unsafe { lib_face::ERR_error_string_n(code as _, room.as_mut_ptr().cast(), room.len() as _) };
    let end = room.iter().position(|byte| *byte == 0).unwrap_or(room.len());
    String::from_utf8_lossy(&room[..end]).into_owned()
}
