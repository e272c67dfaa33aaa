//! The version at the end of a request line and the beginning of a status line (RFC 9112 2.3).

use super::{Protocol, Violations};
use crate::error::{Malformed, What};
use crate::http::Version;
use crate::scan;

/// Reads `HTTP/1.0` or `HTTP/1.1`; other minor versions of 1 count as 1.1 (RFC 9110 2.5).
///
/// `at` is where `text` stands in the message, for the refusal.
pub(crate) fn protocol(text: &[u8], at: usize, violations: Violations) -> Result<Protocol, Malformed> {
    match text {
        b"HTTP/1.1" => return Ok(Protocol::Http(Version::V11)),
        b"HTTP/1.0" => return Ok(Protocol::Http(Version::V10)),
        _ => {}
    }
    let bad = |what| Err(Malformed::new(what, at));
    let (name, digits) = scan::split_once(text, b'/').ok_or(Malformed::new(What::Version, at))?;
    let (major, minor) = scan::split_once(digits, b'.').ok_or(Malformed::new(What::Version, at))?;
    let numbers = (scan::decimal(major), scan::decimal(minor));
    let (Some(major_n), Some(minor_n)) = numbers else { return bad(What::Version) };
    let one_digit_each = major.len() == 1 && minor.len() == 1;
    match violations {
        Violations::Refuse if name != b"HTTP" || !one_digit_each => bad(What::Version),
        Violations::Accept if name != b"HTTP" => {
            let upper = !name.is_empty() && name.iter().all(u8::is_ascii_uppercase);
            if upper {
                Ok(Protocol::Foreign)
            } else {
                bad(What::Version)
            }
        }
        _ => match (major_n, minor_n) {
            (1, 0) => Ok(Protocol::Http(Version::V10)),
            (1, _) => Ok(Protocol::Http(Version::V11)),
            _ => bad(What::VersionUnknown),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Violations::{Accept, Refuse};

    #[test]
    fn versions() {
        let ok = |v| Ok(Protocol::Http(v));
        let bad = |what| Err(Malformed::new(what, 7));
        for (text, strict, loose) in [
            ("HTTP/1.1", ok(Version::V11), ok(Version::V11)),
            ("HTTP/1.0", ok(Version::V10), ok(Version::V10)),
            ("HTTP/1.2", ok(Version::V11), ok(Version::V11)),
            ("HTTP/01.1", bad(What::Version), ok(Version::V11)),
            ("HTTP/1.10", bad(What::Version), ok(Version::V11)),
            ("HTTP/2.0", bad(What::VersionUnknown), bad(What::VersionUnknown)),
            ("HTTP/0.9", bad(What::VersionUnknown), bad(What::VersionUnknown)),
            ("http/1.1", bad(What::Version), bad(What::Version)),
            ("HTTP/1", bad(What::Version), bad(What::Version)),
            ("HTTP/1.", bad(What::Version), bad(What::Version)),
            ("HTTP/.1", bad(What::Version), bad(What::Version)),
            ("HTTP/1.1 ", bad(What::Version), bad(What::Version)),
            ("HTTP/+1.1", bad(What::Version), bad(What::Version)),
            ("RTSP/1.0", bad(What::Version), Ok(Protocol::Foreign)),
            ("RT P/1.0", bad(What::Version), bad(What::Version)),
            ("/1.0", bad(What::Version), bad(What::Version)),
            ("", bad(What::Version), bad(What::Version)),
        ] {
            assert_eq!(protocol(text.as_bytes(), 7, Refuse), strict, "{text}");
            assert_eq!(protocol(text.as_bytes(), 7, Accept), loose, "{text}");
        }
    }
}
