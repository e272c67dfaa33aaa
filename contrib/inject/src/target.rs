//! The URL under load: scheme, address, Host header, path.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// A resolved URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `https`.
    pub tls: bool,
    /// Where to connect.
    pub addr: SocketAddr,
    /// Host without port; what SNI says unless it is an address.
    pub host: String,
    /// What the Host header says: with the port unless it is the scheme's own.
    pub authority: String,
    /// Path and query.
    pub path: String,
}

impl Target {
    /// Reads `http://host[:port][/path]`, `https://...`, or `host:port[/path]`, and resolves the host.
    pub fn parse(url: &str) -> Result<Target, String> {
        let (tls, rest) = match url.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some((scheme, _)) => return Err(format!("{url}: scheme {scheme:?} is not http or https")),
            None => (false, url),
        };
        let cut = rest.find(['/', '?']).unwrap_or(rest.len());
        let (place, path) = rest.split_at(cut);
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_string() } else { format!("/{path}") };
        if !path.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(format!("{url}: the path has characters that must be written as %xx"));
        }
        let (host, port) = split_port(place).ok_or_else(|| format!("{url}: {place:?} is not host[:port]"))?;
        let own = if tls { 443 } else { 80 };
        let port = port.unwrap_or(own);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let addr = (bare, port)
            .to_socket_addrs()
            .map_err(|e| format!("{url}: cannot resolve {bare}: {e}"))?
            .next()
            .ok_or_else(|| format!("{url}: {bare} has no address"))?;
        let authority = if port == own { host.to_string() } else { format!("{host}:{port}") };
        Ok(Target { tls, addr, host: bare.to_string(), authority, path })
    }

    /// The name to send as SNI: none for an address (RFC 6066 section 3).
    pub fn sni(&self) -> Option<&str> {
        self.host.parse::<IpAddr>().is_err().then_some(self.host.as_str())
    }
}

fn split_port(place: &str) -> Option<(&str, Option<u16>)> {
    let colon = match place.rfind(']') {
        Some(end) => place[end..].find(':').map(|at| end + at),
        None => place.rfind(':'),
    };
    let (host, port) = match colon {
        Some(at) => (&place[..at], Some(place[at + 1..].parse().ok().filter(|&p| p > 0)?)),
        None => (place, None),
    };
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let plain = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    (bracketed || plain).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let t = |tls, addr: &str, host: &str, authority: &str, path: &str| {
            Ok::<_, &str>(Target {
                tls,
                addr: addr.parse().unwrap(),
                host: host.into(),
                authority: authority.into(),
                path: path.into(),
            })
        };
        let table = [
            (
                "http://127.0.0.1:81/?s=2/w=3",
                t(false, "127.0.0.1:81", "127.0.0.1", "127.0.0.1:81", "/?s=2/w=3"),
            ),
            ("https://127.0.0.1", t(true, "127.0.0.1:443", "127.0.0.1", "127.0.0.1", "/")),
            ("127.0.0.1:8000", t(false, "127.0.0.1:8000", "127.0.0.1", "127.0.0.1:8000", "/")),
            ("http://127.0.0.1?a=b#c", t(false, "127.0.0.1:80", "127.0.0.1", "127.0.0.1", "/?a=b")),
            ("https://[::1]:8443/x", t(true, "[::1]:8443", "::1", "[::1]:8443", "/x")),
            ("ftp://h/", Err("ftp://h/: scheme \"ftp\" is not http or https")),
            ("http://h:0/", Err("http://h:0/: \"h:0\" is not host[:port]")),
            ("http://h:x/", Err("http://h:x/: \"h:x\" is not host[:port]")),
            ("http:///", Err("http:///: \"\" is not host[:port]")),
            ("http://::1/", Err("http://::1/: \"::1\" is not host[:port]")),
            ("127.0.0.1:1/a b", Err("127.0.0.1:1/a b: the path has characters that must be written as %xx")),
        ];
        for (url, want) in table {
            assert_eq!(Target::parse(url), want.map_err(str::to_string), "{url}");
        }
        assert_eq!(Target::parse("http://127.0.0.1").unwrap().sni(), None);
        assert_eq!(Target::parse("http://[::1]").unwrap().sni(), None);
        assert_eq!(Target::parse("http://localhost").unwrap().sni(), Some("localhost"));
    }
}
