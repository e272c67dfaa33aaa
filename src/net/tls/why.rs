//! Why a client's handshake failed, in one of some thirty words: what the line in the log says as `reason=`, and what
//! `show ssl failures` counts. Each word tells whose turn it is to mend something.

use lighterman_sys::tls::{Failure, Reason};

use crate::net::fault::Cause;

macro_rules! whys {
    ($($(#[doc = $doc:literal])* $name:ident $word:literal;)*) => {
        /// Why a client's handshake failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Why {
            $($(#[doc = $doc])* $name,)*
        }

        impl Why {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Why] = &[$(Why::$name,)*];

            /// The word for logs and tables.
            pub fn word(self) -> &'static str {
                match self { $(Why::$name => $word,)* }
            }

            /// What it means, for the table of `show ssl failures`.
            pub fn meaning(self) -> &'static str {
                match self { $(Why::$name => concat!($($doc),*).trim_ascii_start(),)* }
            }
        }
    };
}

whys! {
    /// the client left without a word
    Silent "silent";
    /// the client left in the middle of the handshake
    Closed "closed";
    /// the connection broke
    Reset "reset";
    /// the handshake was not over in time (timeout client-hs)
    Timeout "timeout";
    /// too many full handshakes were waiting
    Busy "busy";
    /// plain HTTP came to a TLS port
    Http "http";
    /// something that is not TLS came
    NotTls "not_tls";
    /// no protocol version in common
    Version "version";
    /// no cipher suite in common, or none for the keys of our certificates
    Cipher "cipher";
    /// no key exchange group in common
    Group "group";
    /// no signature algorithm in common
    Signature "signature";
    /// no application protocol in common
    Alpn "alpn";
    /// no certificate for the name (strict-sni)
    Name "name";
    /// no certificate could be shown: the log tells about its file
    NoCertificate "no_certificate";
    /// the client showed no certificate, and must
    ClientNoCert "client_no_cert";
    /// the client's certificate has expired, or is not valid yet
    ClientExpired "client_expired";
    /// the client's certificate comes from an authority we do not know
    ClientUnknownCa "client_unknown_ca";
    /// the client's certificate is revoked
    ClientRevoked "client_revoked";
    /// the client's certificate cannot be checked: a list of revocations is missing or too old
    ClientCrl "client_crl";
    /// the client's certificate is wrong in another way
    ClientBadCert "client_bad_cert";
    /// the client does not know the authority of our certificate
    AlertUnknownCa "alert_unknown_ca";
    /// the client does not accept our certificate
    AlertBadCert "alert_bad_cert";
    /// the client ended the handshake with another alert
    AlertOther "alert_other";
    /// a record does not decrypt: damaged, or forged
    Record "record";
    /// a record or message is longer than allowed
    TooLong "too_long";
    /// a message breaks the protocol
    Malformed "malformed";
    /// a signature or the end of the handshake is wrong
    Proof "proof";
    /// renegotiation was asked for
    Renegotiation "renegotiation";
    /// too many empty records, warnings or key updates
    Flood "flood";
    /// the client fell back to an older version than both sides know (RFC 7507)
    Fallback "fallback";
    /// a session was resumed in a way that is not allowed
    Resumption "resumption";
    /// this system or this program failed
    Internal "internal";
}

impl Why {
    /// The word for a failure. `heard`: the client had said something.
    pub fn of(cause: Cause, failure: Option<Failure>, heard: bool) -> Why {
        match (cause, failure) {
            (Cause::Ended, _) if !heard => Why::Silent,
            (Cause::Ended, _) => Why::Closed,
            (Cause::Reset, _) => Why::Reset,
            (Cause::TimedOut, _) => Why::Timeout,
            (Cause::Busy, _) => Why::Busy,
            (Cause::Tls(_), Some(failure)) => Why::of_failure(failure),
            (Cause::Tls(_) | Cause::TooLarge, None) => Why::TooLong,
            _ => Why::Internal,
        }
    }

    fn of_failure(failure: Failure) -> Why {
        match failure.reason {
            Reason::HttpRequest => Why::Http,
            Reason::NotTls => Why::NotTls,
            Reason::NoCommonVersion => Why::Version,
            Reason::NoCommonCipher => Why::Cipher,
            Reason::NoCommonGroup => Why::Group,
            Reason::NoCommonSignature => Why::Signature,
            Reason::NoCommonProtocol => Why::Alpn,
            Reason::Refused if failure.alert == UNRECOGNIZED_NAME => Why::Name,
            Reason::Refused | Reason::NoCertificate => Why::NoCertificate,
            Reason::PeerNoCertificate => Why::ClientNoCert,
            Reason::BadCertificate => Why::of_certificate(failure.verify),
            Reason::Alert => Why::of_alert(failure.alert),
            Reason::BadRecord => Why::Record,
            Reason::TooLong => Why::TooLong,
            Reason::Malformed | Reason::Unexpected => Why::Malformed,
            Reason::BadSignature => Why::Proof,
            Reason::Renegotiation => Why::Renegotiation,
            Reason::Flood => Why::Flood,
            Reason::Fallback => Why::Fallback,
            Reason::BadResumption | Reason::EarlyRefused => Why::Resumption,
            Reason::Ended => Why::Closed,
            Reason::Internal | Reason::Other => Why::Internal,
        }
    }

    /// `X509_V_ERR_...` as OpenSSL numbers them.
    fn of_certificate(error: i32) -> Why {
        match error {
            9 | 10 | 13 | 14 => Why::ClientExpired,
            2 | 18..=21 | 24 | 25 | 27 => Why::ClientUnknownCa,
            23 => Why::ClientRevoked,
            3 | 5 | 8 | 11 | 12 | 15 | 16 | 33 | 35 | 36 | 44 => Why::ClientCrl,
            _ => Why::ClientBadCert,
        }
    }

    /// Alerts of RFC 8446 section 6.2.
    fn of_alert(alert: u8) -> Why {
        match alert {
            48 => Why::AlertUnknownCa,
            42..=46 => Why::AlertBadCert,
            _ => Why::AlertOther,
        }
    }
}

/// The alert that tells a client that we have no certificate for its name (RFC 6066 section 3).
const UNRECOGNIZED_NAME: u8 = 112;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_have_words() {
        let tls =
            |reason, alert, verify| (Cause::Tls(""), Some(Failure { alert, verify, ..Failure::of(reason) }));
        let rows = [
            ((Cause::Ended, None), "closed"),
            ((Cause::Reset, None), "reset"),
            ((Cause::TimedOut, None), "timeout"),
            ((Cause::Busy, None), "busy"),
            ((Cause::Tls("record too large"), None), "too_long"),
            ((Cause::System(5), None), "internal"),
            (tls(Reason::HttpRequest, 0, 0), "http"),
            (tls(Reason::Refused, 112, 0), "name"),
            (tls(Reason::Refused, 80, 0), "no_certificate"),
            (tls(Reason::Alert, 48, 0), "alert_unknown_ca"),
            (tls(Reason::Alert, 46, 0), "alert_bad_cert"),
            (tls(Reason::Alert, 40, 0), "alert_other"),
            (tls(Reason::BadCertificate, 0, 10), "client_expired"),
            (tls(Reason::BadCertificate, 0, 20), "client_unknown_ca"),
            (tls(Reason::BadCertificate, 0, 23), "client_revoked"),
            (tls(Reason::BadCertificate, 0, 3), "client_crl"),
            (tls(Reason::BadCertificate, 0, 26), "client_bad_cert"),
        ];
        for ((cause, failure), word) in rows {
            assert_eq!(Why::of(cause, failure, true).word(), word, "{cause:?} {failure:?}");
        }
        assert_eq!(Why::of(Cause::Ended, None, false).word(), "silent");
    }

    #[test]
    fn words_are_single_and_different() {
        for (index, why) in Why::ALL.iter().enumerate() {
            assert_eq!(*why as usize, index);
            assert!(why.word().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", why.word());
            assert_eq!(Why::ALL.iter().filter(|other| other.word() == why.word()).count(), 1);
        }
    }
}
