//! OCSP answers and certificate timestamps that are shown with a certificate: judged once, when they are read.

use lighterman_wire::ocsp::{self, Status};
use openssl::sha;
use openssl::x509::X509;

use lighterman_wire::http::date;
use std::path::{Path, PathBuf};

/// An OCSP answer that may be stapled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staple {
    /// Where it was read.
    pub file: PathBuf,
    /// The answer, DER.
    pub bytes: Vec<u8>,
    /// Seconds since the epoch from which it counts.
    pub from: u64,
    /// Seconds since the epoch at which it counts no more.
    pub until: u64,
}

/// Why an answer is not stapled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OcspFault {
    /// The bytes are none.
    Malformed,
    /// The responder refused to answer; its status (RFC 6960 4.2.1).
    Refused(u8),
    /// It is about another certificate.
    Other,
    /// Neither the issuer nor somebody it authorized has signed it.
    Signature,
    /// It says that the certificate was revoked.
    Revoked,
    /// It says that the certificate is not known.
    Unknown,
    /// It does not say until when it counts.
    Endless,
    /// It counts from this second on.
    Early(u64),
    /// It counted until this second.
    Late(u64),
}

impl std::fmt::Display for OcspFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OcspFault::Malformed => write!(f, "this is no OCSP answer in DER"),
            OcspFault::Refused(status) => {
                const WORDS: [&str; 7] = [
                    "success",
                    "malformed request",
                    "internal error",
                    "try later",
                    "4",
                    "signature required",
                    "unauthorized",
                ];
                let word = WORDS.get(usize::from(*status)).copied().unwrap_or("an unknown status");
                write!(f, "the OCSP responder gave no answer but \"{word}\"")
            }
            OcspFault::Other => write!(f, "the OCSP answer is about another certificate"),
            OcspFault::Signature => {
                write!(f, "the issuer of the certificate did not sign the OCSP answer, nor did anybody it authorized")
            }
            OcspFault::Revoked => {
                write!(f, "the OCSP answer says that the certificate was revoked, it is not stapled")
            }
            OcspFault::Unknown => {
                write!(f, "the OCSP answer says that the certificate is not known, it is not stapled")
            }
            OcspFault::Endless => {
                write!(f, "the OCSP answer does not say until when it counts, it is not stapled")
            }
            OcspFault::Early(from) => {
                write!(
                    f,
                    "the OCSP answer counts only from {} on, until then it is not stapled",
                    date::format(*from)
                )
            }
            OcspFault::Late(until) => {
                write!(f, "the OCSP answer expired {}, it is not stapled", date::format(*until))
            }
        }
    }
}

impl Staple {
    /// Judges an answer about `leaf`, whatever the time is.
    pub fn of(leaf: &X509, file: &Path, bytes: &[u8]) -> Result<Staple, OcspFault> {
        let answers = ocsp::parse(bytes).map_err(|fault| match fault {
            ocsp::Fault::Malformed => OcspFault::Malformed,
            ocsp::Fault::Refused(status) => OcspFault::Refused(status),
        })?;
        let serial = leaf.serial_number().to_bn().map(|number| number.to_vec()).unwrap_or_default();
        let issuer = leaf.issuer_name().to_der().unwrap_or_default();
        let own = answers.singles.iter().find(|answer| {
            let name = match answer.hash {
                ocsp::SHA1 => answer.issuer_name_hash == sha::sha1(&issuer),
                ocsp::SHA256 => answer.issuer_name_hash == sha::sha256(&issuer),
                _ => true,
            };
            name && bare(answer.serial) == bare(&serial)
        });
        let own = own.ok_or(OcspFault::Other)?;
        match own.status {
            Status::Good => {}
            Status::Revoked => return Err(OcspFault::Revoked),
            Status::Unknown => return Err(OcspFault::Unknown),
        }
        let until = own.next_update.ok_or(OcspFault::Endless)?;
        Ok(Staple { file: file.to_owned(), bytes: bytes.to_owned(), from: own.this_update, until })
    }

    /// Whether it counts at this second. Responders' clocks may be ahead of ours by [`SKEW`].
    pub fn judge(&self, now_s: u64) -> Result<(), OcspFault> {
        if self.until <= now_s {
            Err(OcspFault::Late(self.until))
        } else if self.from > now_s + SKEW {
            Err(OcspFault::Early(self.from))
        } else {
            Ok(())
        }
    }
}

/// Seconds by which clocks may differ.
const SKEW: u64 = 300;

/// A number without zeros before it.
fn bare(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or(&[])
}

/// True for a SignedCertificateTimestampList as extensions carry it (RFC 6962 section 3.3): a length, then entries with
/// lengths of their own, none of them empty.
pub fn is_timestamp_list(bytes: &[u8]) -> bool {
    let Some((list, [])) = counted(bytes) else { return false };
    let mut rest = list;
    while !rest.is_empty() {
        match counted(rest) {
            Some((entry, after)) if !entry.is_empty() => rest = after,
            _ => return false,
        }
    }
    !list.is_empty()
}

/// What stands behind a length of two bytes, and what follows.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamp_lists_are_known() {
        let rows: &[(&[u8], bool)] = &[
            (&[0, 3, 0, 1, 9], true),
            (&[0, 6, 0, 1, 9, 0, 1, 8], true),
            (&[0, 0], false),
            (&[0, 2, 0, 0], false),
            (&[0, 3, 0, 1, 9, 9], false),
            (&[0, 3, 0, 2, 9], false),
            (&[], false),
            (b"-----BEGIN", false),
        ];
        for (bytes, expected) in rows {
            assert_eq!(is_timestamp_list(bytes), *expected, "{bytes:?}");
        }
    }

    #[test]
    fn an_answer_counts_for_its_time() {
        let staple = Staple { file: "x.ocsp".into(), bytes: Vec::new(), from: 1000, until: 2000 };
        let rows = [
            (500, Err(OcspFault::Early(1000))),
            (700, Ok(())),
            (1000, Ok(())),
            (1999, Ok(())),
            (2000, Err(OcspFault::Late(2000))),
        ];
        for (now, expected) in rows {
            assert_eq!(staple.judge(now), expected, "{now}");
        }
        assert_eq!(
            OcspFault::Late(0).to_string(),
            "the OCSP answer expired Thu, 01 Jan 1970 00:00:00 GMT, it is not stapled"
        );
    }
}
