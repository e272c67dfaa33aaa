//! Request targets and authorities: the four forms of RFC 9112 3.2, their parts, and `Host`.
//!
//! The parts are offsets into the target, found in one walk. Byte validity is checked by the request
//! line parser; here only the shape is judged.

use crate::scan;
use crate::token;
use memchr::{memchr, memchr2};

/// The shape of a request target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `/path?query`
    Origin,
    /// `scheme://authority/path?query`
    Absolute,
    /// `host:port`, with CONNECT
    Authority,
    /// `*`, with OPTIONS
    Asterisk,
}

/// Where the parts of a target are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The shape.
    pub form: Form,
    /// Offset and end of the authority; equal when there is none.
    pub authority: (usize, usize),
    /// Offset of the path: the first slash, or the end of the target.
    pub path: usize,
}

/// Finds the form and the parts of a target that does not belong to CONNECT.
pub fn layout(target: &[u8]) -> Option<Layout> {
    match target {
        [b'/', ..] => Some(Layout { form: Form::Origin, authority: (0, 0), path: 0 }),
        b"*" => Some(Layout { form: Form::Asterisk, authority: (0, 0), path: 0 }),
        _ => absolute(target),
    }
}

fn absolute(target: &[u8]) -> Option<Layout> {
    let colon = memchr(b':', target)?;
    let (first, rest) = target.get(..colon)?.split_first()?;
    let scheme = first.is_ascii_alphabetic()
        && rest.iter().all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    let start = colon + 3;
    if !scheme || target.get(colon..start) != Some(b"://") {
        return None;
    }
    let tail = target.get(start..)?;
    let len = tail.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(tail.len());
    let end = start + len;
    Some(Layout { form: Form::Absolute, authority: (start, end), path: end })
}

/// The path without query and fragment, and the query after `?` when there is one.
pub fn split_query(pathq: &[u8]) -> (&[u8], Option<&[u8]>) {
    let fragmentless = match memchr(b'#', pathq) {
        Some(at) => pathq.get(..at).unwrap_or(pathq),
        None => pathq,
    };
    match scan::split_once(fragmentless, b'?') {
        Some((path, query)) => (path, Some(query)),
        None => (fragmentless, None),
    }
}

/// Splits `host[:port]`; the port's text may be empty (`host:`), brackets stay with the host.
///
/// `None` when this is no authority: user information, several colons, a port that is not digits or is
/// above 65535, bytes a host cannot have. An empty host is let through: `Host:` may be empty (RFC 9110 7.2).
pub fn split_authority(authority: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let (host, port) = match authority {
        [b'[', ..] => {
            let close = memchr(b']', authority)?;
            let inner = authority.get(1..close)?;
            if !is_ip_literal(inner) {
                return None;
            }
            let host = authority.get(..close + 1)?;
            match authority.get(close + 1..)? {
                [] => (host, None),
                [b':', port @ ..] => (host, Some(port)),
                _ => return None,
            }
        }
        _ => match scan::split_once(authority, b':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let plain = host.first() != Some(&b'[');
    if plain && !host.iter().all(|&b| token::is(b, token::HOST)) {
        return None;
    }
    if port.is_some_and(|p| !p.is_empty() && port_number(p).is_none()) {
        return None;
    }
    Some((host, port))
}

fn is_ip_literal(inner: &[u8]) -> bool {
    let v6 = std::str::from_utf8(inner).is_ok_and(|s| s.parse::<std::net::Ipv6Addr>().is_ok());
    // IPvFuture: "v" hex "." chars.
    let future = matches!(inner, [b'v' | b'V', rest @ ..] if scan::split_once(rest, b'.').is_some_and(|(v, a)| {
        token::all(v, token::HEX) && !a.is_empty() && a.iter().all(|&b| b == b':' || token::is(b, token::HOST))
    }));
    v6 || future
}

/// A port as a number; one to five digits, at most 65535.
pub fn port_number(text: &[u8]) -> Option<u16> {
    if text.len() > 5 {
        return None;
    }
    scan::decimal(text).and_then(|n| u16::try_from(n).ok())
}

/// The port a scheme stands for when none is written.
pub fn default_port(scheme: &[u8]) -> Option<u16> {
    if scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"ws") {
        Some(80)
    } else if scheme.eq_ignore_ascii_case(b"https") || scheme.eq_ignore_ascii_case(b"wss") {
        Some(443)
    } else {
        None
    }
}

/// Whether two authorities name the same place: hosts without case, ports with the default filled in.
pub fn same_authority(a: &[u8], b: &[u8], default: Option<u16>) -> bool {
    let (Some((host_a, port_a)), Some((host_b, port_b))) = (split_authority(a), split_authority(b)) else {
        return false;
    };
    let number = |port: Option<&[u8]>| port.filter(|p| !p.is_empty()).and_then(port_number).or(default);
    host_a.eq_ignore_ascii_case(host_b) && number(port_a) == number(port_b)
}

/// The value of parameter `name` in a query string; the first match, undecoded.
pub fn query_value<'a>(query: &'a [u8], name: &[u8], delims: (u8, u8)) -> Option<&'a [u8]> {
    let mut rest = query;
    loop {
        let end = memchr2(delims.0, delims.1, rest).unwrap_or(rest.len());
        let pair = rest.get(..end)?;
        match scan::split_once(pair, b'=') {
            Some((key, value)) if key == name => return Some(value),
            None if pair == name && !pair.is_empty() => return Some(&[]),
            _ => {}
        }
        rest = rest.get(end + 1..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_and_parts() {
        let cases: &[(&str, Option<(Form, &str, &str)>)] = &[
            ("/", Some((Form::Origin, "", "/"))),
            ("/a/b?c=d", Some((Form::Origin, "", "/a/b?c=d"))),
            ("//x/y", Some((Form::Origin, "", "//x/y"))),
            ("*", Some((Form::Asterisk, "", "*"))),
            ("http://h/p?q", Some((Form::Absolute, "h", "/p?q"))),
            ("http://h:80", Some((Form::Absolute, "h:80", ""))),
            ("http://h?q=/", Some((Form::Absolute, "h", "?q=/"))),
            ("HTTPS://[::1]:1/x", Some((Form::Absolute, "[::1]:1", "/x"))),
            ("a+b-c.d://h/", Some((Form::Absolute, "h", "/"))),
            ("http:/h", None),
            ("http:h", None),
            ("h:80", None),
            ("1http://h", None),
            ("://h", None),
            ("a/b", None),
            ("**", None),
            ("", None),
        ];
        for (target, want) in cases {
            let got = layout(target.as_bytes())
                .map(|l| (l.form, &target[l.authority.0..l.authority.1], &target[l.path..]));
            assert_eq!(got, *want, "{target}");
        }
    }

    #[test]
    fn queries() {
        for (pathq, path, query) in [
            ("/a?b?c", "/a", Some("b?c")),
            ("/a", "/a", None),
            ("/a?", "/a", Some("")),
            ("/a#f?x", "/a", None),
            ("/a?b#f", "/a", Some("b")),
        ] {
            assert_eq!(split_query(pathq.as_bytes()), (path.as_bytes(), query.map(str::as_bytes)), "{pathq}");
        }
        let q = b"a=1&b=2;c=&d&=x&a=3";
        for (name, want) in
            [("a", Some("1")), ("c", Some("")), ("d", Some("")), ("e", None), ("b", Some("2"))]
        {
            assert_eq!(query_value(q, name.as_bytes(), (b'&', b';')), want.map(str::as_bytes), "{name}");
        }
        assert_eq!(query_value(b"", b"a", (b'&', b'&')), None);
    }

    #[test]
    fn authorities() {
        for (text, want) in [
            ("h", Some(("h", None))),
            ("h:80", Some(("h", Some("80")))),
            ("h:", Some(("h", Some("")))),
            ("", Some(("", None))),
            ("[::1]:8", Some(("[::1]", Some("8")))),
            ("[::1]", Some(("[::1]", None))),
            ("[v1.a:b]", Some(("[v1.a:b]", None))),
            ("a.b-c_d%20", Some(("a.b-c_d%20", None))),
            ("h:65536", None),
            ("h:080000", None),
            ("h:8a", None),
            ("a:b:c", None),
            ("::1", None),
            ("u@h", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[zz]", None),
            ("h h", None),
            ("h/p", None),
            ("h\r", None),
        ] {
            let want = want.map(|(h, p): (&str, Option<&str>)| (h.as_bytes(), p.map(str::as_bytes)));
            assert_eq!(split_authority(text.as_bytes()), want, "{text:?}");
        }
    }

    #[test]
    fn authority_equality_knows_default_ports() {
        for (a, b, default, want) in [
            ("h", "H", Some(80), true),
            ("h:80", "h", Some(80), true),
            ("h:", "h:80", Some(80), true),
            ("h:443", "h", Some(80), false),
            ("h:81", "h:81", None, true),
            ("h", "i", None, false),
            ("h@x", "h@x", None, false),
        ] {
            assert_eq!(same_authority(a.as_bytes(), b.as_bytes(), default), want, "{a} {b}");
        }
        assert_eq!(default_port(b"HTTPS"), Some(443));
        assert_eq!(default_port(b"ftp"), None);
    }
}
