//! The status line (RFC 9112 4): version, three digits, reason.

use super::version::protocol;
use super::{Protocol, Violations};
use crate::error::{Malformed, What};
use crate::token;

/// A status line as values and offsets into its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusLine {
    /// The version, or another protocol where violations are accepted.
    pub protocol: Protocol,
    /// The version's text is `line[..version_end]`.
    pub version_end: usize,
    /// 100 to 999.
    pub status: u16,
    /// The reason is `line[reason_at..]`, possibly empty.
    pub reason_at: usize,
}

/// Reads one status line; `line` ends before its CR LF.
///
/// The space before an empty reason may be missing: many servers leave it out and no byte is ambiguous.
pub fn parse(line: &[u8], violations: Violations) -> Result<StatusLine, Malformed> {
    let bad = |what, at| Err(Malformed::new(what, at));
    let version_end = memchr::memchr(b' ', line).unwrap_or(line.len());
    let protocol = protocol(line.get(..version_end).unwrap_or_default(), 0, violations)?;
    let rest = line.get(version_end + 1..).unwrap_or_default();
    let (status, reason_at) = match rest {
        [h @ b'1'..=b'9', t @ b'0'..=b'9', u @ b'0'..=b'9', tail @ ..] => {
            let status = u16::from(h - b'0') * 100 + u16::from(t - b'0') * 10 + u16::from(u - b'0');
            match tail {
                [] => (status, line.len()),
                [b' ', ..] => (status, version_end + 5),
                _ => return bad(What::Status, version_end + 4),
            }
        }
        _ => return bad(What::Status, version_end + 1),
    };
    let reason = line.get(reason_at..).unwrap_or_default();
    let clean = token::prefix(reason, token::FIELD);
    if clean < reason.len() {
        return bad(What::Reason, reason_at + clean);
    }
    Ok(StatusLine { protocol, version_end, status, reason_at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Version;

    #[test]
    fn valid_lines() {
        for (line, version, status, reason) in [
            (&b"HTTP/1.1 200 OK"[..], Version::V11, 200, &b"OK"[..]),
            (b"HTTP/1.0 404 Not Found", Version::V10, 404, b"Not Found"),
            (b"HTTP/1.1 200", Version::V11, 200, b""),
            (b"HTTP/1.1 200 ", Version::V11, 200, b""),
            (b"HTTP/1.1 999 \xe9\t!", Version::V11, 999, b"\xe9\t!"),
            (b"HTTP/1.1 101  two", Version::V11, 101, b" two"),
        ] {
            let got = parse(line, Violations::Refuse).unwrap();
            assert_eq!((got.protocol, got.status), (Protocol::Http(version), status));
            assert_eq!(&line[got.reason_at..], reason);
        }
    }

    #[test]
    fn refused_lines() {
        for (line, what, at) in [
            (&b""[..], What::Version, 0),
            (b"HTTP/1.1", What::Status, 9),
            (b"HTTP/1.1 ", What::Status, 9),
            (b"HTTP/1.1 20", What::Status, 9),
            (b"HTTP/1.1 099 x", What::Status, 9),
            (b"HTTP/1.1  200 x", What::Status, 9),
            (b"HTTP/1.1 2000", What::Status, 12),
            (b"HTTP/1.1 200\tOK", What::Status, 12),
            (b"HTTP/1.1 +20 x", What::Status, 9),
            (b"HTTP/1.1 200 a\x01b", What::Reason, 14),
            (b"HTTP/1.1 200 a\x7f", What::Reason, 14),
            (b"HTTP/3.0 200 OK", What::VersionUnknown, 0),
            (b"ICY 200 OK", What::Version, 0),
        ] {
            assert_eq!(parse(line, Violations::Refuse), Err(Malformed::new(what, at)), "{line:?}");
        }
        assert_eq!(parse(b"RTSP/1.0 200 OK", Violations::Accept).unwrap().protocol, Protocol::Foreign);
    }
}
