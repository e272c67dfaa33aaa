//! One small HTTP/1.0 exchange, as asking an OCSP responder takes (RFC 6960 appendix A): the address, the request, and the
//! body of the answer. The responder is a stranger: what it says is bounded by the caller and never trusted.

/// Where to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Url<'a> {
    /// Name or address, without brackets.
    pub host: &'a str,
    /// 80 when nothing is said.
    pub port: u16,
    /// Begins with a slash.
    pub path: &'a str,
    /// Host and port as they are written.
    pub authority: &'a str,
}

impl<'a> Url<'a> {
    /// Reads `http://host[:port][/path]`; nothing else is asked.
    pub fn parse(text: &'a str) -> Option<Url<'a>> {
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        let scheme = text.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://") && plain)?;
        let rest = text.get(scheme.len()..)?;
        let (authority, path) = match rest.find(['/', '?', '#']) {
            Some(at) => rest.split_at_checked(at)?,
            None => (rest, "/"),
        };
        let path = path.split('#').next().unwrap_or("/");
        let path = if path.starts_with('/') { path } else { "/" };
        let (host, port) = host_and_port(authority)?;
        Some(Url { host, port: port.unwrap_or(80), path, authority })
    }
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
pub fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(inside) => inside.split_once(']')?,
        None => text.split_at_checked(text.find(':').unwrap_or(text.len()))?,
    };
    let port = match rest.strip_prefix(':') {
        Some(digits) => Some(digits.parse().ok().filter(|port| *port > 0)?),
        None if rest.is_empty() => None,
        None => return None,
    };
    let good = !host.is_empty() && host.len() <= 253 && !host.contains('@');
    good.then_some((host, port))
}

/// The request: by POST, which every responder knows. `whole` is for a proxy: it wants the whole address.
pub fn request(url: &Url<'_>, body: &[u8], whole: bool) -> Vec<u8> {
    let target = match whole {
        true => format!("http://{}{}", url.authority, url.path),
        false => url.path.to_owned(),
    };
    let mut request = format!(
        "POST {target} HTTP/1.0\r\nHost: {}\r\nContent-Type: application/ocsp-request\r\n\
         Accept: application/ocsp-response\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        url.authority,
        body.len()
    )
    .into_bytes();
    request.extend(body);
    request
}

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is no HTTP.
    Malformed,
    /// Its status is not 200.
    Status(u16),
    /// It says to be of another type.
    Type,
    /// It ended before it was whole.
    Short,
}

/// Whether more bytes may come, and belong to the answer.
pub fn is_whole(bytes: &[u8]) -> bool {
    let Some((head, body)) = split(bytes) else { return false };
    length(head).ok().flatten().is_some_and(|len| body.len() >= len)
}

/// The body of an answer, all of which has come.
pub fn body(bytes: &[u8]) -> Result<&[u8], Fault> {
    let (head, body) = split(bytes).ok_or(Fault::Malformed)?;
    let status = head.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5));
    let status = status.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    match status.ok_or(Fault::Malformed)? {
        200 => {}
        other => return Err(Fault::Status(other)),
    }
    if let Some(kind) = field(head, "content-type") {
        let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default();
        if !kind.trim_ascii().eq_ignore_ascii_case(b"application/ocsp-response") {
            return Err(Fault::Type);
        }
    }
    // answers to HTTP/1.0 come in one piece
    if field(head, "transfer-encoding").is_some() {
        return Err(Fault::Malformed);
    }
    match length(head)? {
        Some(len) => body.get(..len).ok_or(Fault::Short),
        None => Ok(body),
    }
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some((bytes.get(..end)?, bytes.get(end + 4..)?))
}

fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (own, value) = line.split_at_checked(colon)?;
        own.eq_ignore_ascii_case(name.as_bytes()).then(|| value.get(1..).unwrap_or_default().trim_ascii())
    })
}

fn length(head: &[u8]) -> Result<Option<usize>, Fault> {
    let Some(value) = field(head, "content-length") else { return Ok(None) };
    let digits = std::str::from_utf8(value).map_err(|_| Fault::Malformed)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::Malformed);
    }
    digits.parse().map(Some).map_err(|_| Fault::Malformed)
}

/// For fuzzing: any bytes as an answer, and as an address.
pub fn fuzz_fetch(bytes: &[u8]) {
    let whole = is_whole(bytes);
    if let Ok(body) = body(bytes) {
        assert!(body.len() < bytes.len());
    } else {
        assert_ne!(body(bytes).err(), Some(Fault::Short).filter(|_| whole));
    }
    if let Some(url) = std::str::from_utf8(bytes).ok().and_then(Url::parse) {
        assert!(url.path.starts_with('/') && !url.host.is_empty());
        assert!(request(&url, b"x", true).windows(4).filter(|four| four == b"\r\n\r\n").count() == 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let rows = [
            ("http://a.test", Some(("a.test", 80, "/"))),
            ("HTTP://a.test/x?y#z", Some(("a.test", 80, "/x?y"))),
            ("http://a.test:8080/", Some(("a.test", 8080, "/"))),
            ("http://[::1]:8080/o", Some(("::1", 8080, "/o"))),
            ("http://[::1]", Some(("::1", 80, "/"))),
            ("https://a.test/", None),
            ("http://", None),
            ("http://:80/", None),
            ("http://a:0/", None),
            ("http://a:99999/", None),
            ("http://a b/", None),
            ("http://u@a/", None),
            ("http://a\r\nX: y/", None),
            ("ldap://a", None),
            ("", None),
        ];
        for (text, expected) in rows {
            let url = Url::parse(text);
            assert_eq!(url.map(|url| (url.host, url.port, url.path)), expected, "{text:?}");
        }
    }

    #[test]
    fn requests_are_written() {
        let url = Url::parse("http://o.test:81/x").unwrap();
        let text = String::from_utf8(request(&url, b"abc", false)).unwrap();
        assert!(text.starts_with("POST /x HTTP/1.0\r\nHost: o.test:81\r\n"), "{text}");
        assert!(text.ends_with("Content-Length: 3\r\nConnection: close\r\n\r\nabc"), "{text}");
        assert!(request(&url, b"", true).starts_with(b"POST http://o.test:81/x HTTP/1.0\r\n"));
    }

    #[test]
    fn bodies_are_found() {
        let rows: &[(&[u8], bool, Result<&[u8], Fault>)] = &[
            (b"HTTP/1.0 200 OK\r\n\r\nabc", false, Ok(b"abc")),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc", true, Ok(b"ab")),
            (b"HTTP/1.1 200 OK\r\ncontent-length:4\r\n\r\nabc", false, Err(Fault::Short)),
            (b"HTTP/1.1 200\r\nContent-Type: application/ocsp-response\r\n\r\n", false, Ok(b"")),
            (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nx", false, Err(Fault::Type)),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0", false, Err(Fault::Malformed)),
            (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx", false, Err(Fault::Malformed)),
            (b"HTTP/1.1 404 No\r\n\r\nx", false, Err(Fault::Status(404))),
            (b"HTTP/1.1 200 OK\r\n", false, Err(Fault::Malformed)),
            (b"SSH-2.0\r\n\r\n", false, Err(Fault::Malformed)),
            (b"", false, Err(Fault::Malformed)),
        ];
        for (bytes, whole, expected) in rows {
            assert_eq!(
                (is_whole(bytes), body(bytes)),
                (*whole, *expected),
                "{:?}",
                String::from_utf8_lossy(bytes)
            );
            fuzz_fetch(bytes);
        }
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/fetch");
        for seed in std::fs::read_dir(&dir).unwrap() {
            fuzz_fetch(&std::fs::read(seed.unwrap().path()).unwrap());
        }
    }
}
