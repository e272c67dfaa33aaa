//! The request line (RFC 9112 3): method, target, version, one space between.

use super::version::protocol;
use super::{Protocol, Violations};
use crate::error::{Malformed, What};
use crate::http::method::Method;
use crate::http::uri::{self, Form, Layout};
use crate::http::Version;
use crate::token;

/// A request line as offsets into its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLine {
    /// The method is `line[..method_end]`.
    pub method_end: usize,
    /// What method it is.
    pub method: Method,
    /// The target is `line[target.0..target.1]`.
    pub target: (usize, usize),
    /// Shape of the target; its offsets count from the target's first byte.
    pub layout: Layout,
    /// The version, or another protocol where violations are accepted.
    pub protocol: Protocol,
    /// Offset of the version's text; the end of the line for HTTP/0.9.
    pub version_at: usize,
}

/// Reads one request line; `line` ends before its CR LF.
pub fn parse(line: &[u8], violations: Violations) -> Result<RequestLine, Malformed> {
    let bad = |what, at| Err(Malformed::new(what, at));
    let method_end = token::prefix(line, token::TOKEN);
    match line.get(method_end) {
        Some(b' ') if method_end > 0 => {}
        None if method_end > 0 => return bad(What::TargetMissing, method_end),
        _ => return bad(What::Method, method_end),
    }
    let method = Method::of(line.get(..method_end).unwrap_or_default());
    let start = method_end + 1;
    let class = match violations {
        Violations::Refuse => token::URI,
        Violations::Accept => token::URI_LOOSE,
    };
    let target = line.get(start..).unwrap_or_default();
    let len = token::prefix(target, class);
    let end = start + len;
    let (protocol, version_at) = match line.get(end) {
        _ if len == 0 => return bad(What::TargetMissing, start),
        Some(b' ') => {
            let text = line.get(end + 1..).unwrap_or_default();
            if method == Method::Other && line == b"PRI * HTTP/2.0" {
                return bad(What::Http2Preface, 0);
            }
            (protocol(text, end + 1, violations)?, end + 1)
        }
        Some(b'#') => return bad(What::TargetFragment, end),
        Some(_) => return bad(What::TargetByte, end),
        // HTTP/0.9 knew GET only and had no version.
        None if violations == Violations::Accept && method == Method::Get => {
            (Protocol::Http(Version::V10), line.len())
        }
        None => return bad(What::Version, end),
    };
    let target = target.get(..len).unwrap_or_default();
    let Some(layout) = layout(method, target, violations) else {
        let what = if method == Method::Connect { What::ConnectTarget } else { What::TargetForm };
        return bad(what, start);
    };
    Ok(RequestLine { method_end, method, target: (start, end), layout, protocol, version_at })
}

fn layout(method: Method, target: &[u8], violations: Violations) -> Option<Layout> {
    if method == Method::Connect {
        let whole = Layout { form: Form::Authority, authority: (0, target.len()), path: target.len() };
        let good = violations == Violations::Accept
            || matches!(uri::split_authority(target), Some((host, Some(port))) if !host.is_empty() && !port.is_empty());
        return good.then_some(whole);
    }
    let layout = uri::layout(target)?;
    match layout.form {
        Form::Asterisk if method != Method::Options => None,
        Form::Absolute if violations == Violations::Refuse => {
            let (from, to) = layout.authority;
            let (host, _) = uri::split_authority(target.get(from..to)?)?;
            (!host.is_empty()).then_some(layout)
        }
        _ => Some(layout),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Violations::{Accept, Refuse};

    #[test]
    fn valid_lines() {
        for (line, method, target, form, version) in [
            ("GET / HTTP/1.1", Method::Get, "/", Form::Origin, Version::V11),
            ("POST /a?b=c HTTP/1.0", Method::Post, "/a?b=c", Form::Origin, Version::V10),
            ("GET /\"x HTTP/1.1", Method::Get, "/\"x", Form::Origin, Version::V11),
            ("GET /a|{b}?^`\\<> HTTP/1.1", Method::Get, "/a|{b}?^`\\<>", Form::Origin, Version::V11),
            ("OPTIONS * HTTP/1.1", Method::Options, "*", Form::Asterisk, Version::V11),
            ("GET http://h:1/x HTTP/1.1", Method::Get, "http://h:1/x", Form::Absolute, Version::V11),
            ("CONNECT h:443 HTTP/1.1", Method::Connect, "h:443", Form::Authority, Version::V11),
            ("CONNECT [::1]:443 HTTP/1.1", Method::Connect, "[::1]:443", Form::Authority, Version::V11),
            ("M-SEARCH / HTTP/1.1", Method::Other, "/", Form::Origin, Version::V11),
        ] {
            let got = parse(line.as_bytes(), Refuse).unwrap();
            assert_eq!((got.method, &line[got.target.0..got.target.1]), (method, target));
            assert_eq!((got.layout.form, got.protocol), (form, Protocol::Http(version)));
            assert_eq!(&line[got.version_at..], version.name());
        }
    }

    #[test]
    fn refused_lines() {
        for (line, what, at) in [
            (&b""[..], What::Method, 0),
            (b" GET / HTTP/1.1", What::Method, 0),
            (b"G@T / HTTP/1.1", What::Method, 1),
            (b"GET\t/ HTTP/1.1", What::Method, 3),
            (b"GET", What::TargetMissing, 3),
            (b"GET ", What::TargetMissing, 4),
            (b"GET  / HTTP/1.1", What::TargetMissing, 4),
            (b"GET /", What::Version, 5),
            (b"GET / ", What::Version, 6),
            (b"GET /  HTTP/1.1", What::Version, 6),
            (b"GET / HTTP/1.1 ", What::Version, 6),
            (b"GET / HTTP/1.1 x", What::Version, 6),
            (b"GET /a b HTTP/1.1", What::Version, 7),
            (b"GET /\xc3\xa9 HTTP/1.1", What::TargetByte, 5),
            (b"GET /<\x7f HTTP/1.1", What::TargetByte, 6),
            (b"GET /a\x0bb HTTP/1.1", What::TargetByte, 6),
            (b"GET /a#b HTTP/1.1", What::TargetFragment, 6),
            (b"GET * HTTP/1.1", What::TargetForm, 4),
            (b"GET a HTTP/1.1", What::TargetForm, 4),
            (b"GET h:80 HTTP/1.1", What::TargetForm, 4),
            (b"GET http:///x HTTP/1.1", What::TargetForm, 4),
            (b"GET http://u@h/ HTTP/1.1", What::TargetForm, 4),
            (b"CONNECT h HTTP/1.1", What::ConnectTarget, 8),
            (b"CONNECT h: HTTP/1.1", What::ConnectTarget, 8),
            (b"CONNECT :1 HTTP/1.1", What::ConnectTarget, 8),
            (b"CONNECT /x HTTP/1.1", What::ConnectTarget, 8),
            (b"PRI * HTTP/2.0", What::Http2Preface, 0),
            (b"GET / HTTP/2.0", What::VersionUnknown, 6),
        ] {
            assert_eq!(
                parse(line, Refuse),
                Err(Malformed::new(what, at)),
                "{:?}",
                line.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn accepted_violations() {
        for line in [
            &b"GET /a#b HTTP/1.1"[..],
            b"GET /\xe9|\"x HTTP/1.1",
            b"GET /",
            b"DESCRIBE /x RTSP/1.0",
            b"CONNECT h HTTP/1.1",
        ] {
            assert!(parse(line, Refuse).is_err());
            assert!(parse(line, Accept).is_ok(), "{:?}", line.escape_ascii().to_string());
        }
        for line in [&b"GET /a\x7fb HTTP/1.1"[..], b"POST /", b"GET /\0 HTTP/1.1", b"GET a HTTP/1.1"] {
            assert!(parse(line, Accept).is_err());
        }
        assert_eq!(parse(b"GET /", Accept).unwrap().version_at, 5);
    }
}
