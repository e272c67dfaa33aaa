//! Addresses as configurations write them (manual: `bind`, `server`, `log`, `source`): address families
//! as prefixes, ports, port ranges, comma lists, host names.
//!
//! Host names are resolved at load time through [`Resolve`], so that tests and fuzzing stay off the net.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use crate::lang::diag::Diag;
use crate::lang::word::Word;
use crate::plan::{BindAddr, ServerAddr};

/// Finds the address of a host name.
pub type Resolve = fn(&str) -> Option<Vec<IpAddr>>;

/// Asks the system.
pub fn system_resolver(name: &str) -> Option<Vec<IpAddr>> {
    let found = (name, 0u16).to_socket_addrs().ok()?;
    Some(found.map(|addr| addr.ip()).collect())
}

/// Knows nobody.
pub fn no_resolver(_: &str) -> Option<Vec<IpAddr>> {
    None
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Family {
    Any,
    V4,
    V6,
    Unix,
    Abns,
    Fd,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Stream,
    Datagram,
}

/// Prefixes with their family and kind.
const PREFIXES: &[(&str, Family, Kind)] = &[
    ("ipv4@", Family::V4, Kind::Stream),
    ("ipv6@", Family::V6, Kind::Stream),
    ("unix@", Family::Unix, Kind::Stream),
    ("abns@", Family::Abns, Kind::Stream),
    ("fd@", Family::Fd, Kind::Stream),
    ("tcp@", Family::Any, Kind::Stream),
    ("tcp4@", Family::V4, Kind::Stream),
    ("tcp6@", Family::V6, Kind::Stream),
    ("uxst@", Family::Unix, Kind::Stream),
    ("udp@", Family::Any, Kind::Datagram),
    ("udp4@", Family::V4, Kind::Datagram),
    ("udp6@", Family::V6, Kind::Datagram),
    ("uxdg@", Family::Unix, Kind::Datagram),
];

/// Prefixes of HAProxy that are not built yet.
const LATER: &[&str] =
    &["abnsz@", "mptcp@", "mptcp4@", "mptcp6@", "quic4@", "quic6@", "rhttp@", "rev@", "sockpair@"];

struct Head<'a> {
    family: Family,
    kind: Kind,
    rest: &'a str,
    /// Byte of `rest` within the word.
    at: usize,
}

/// Takes `stream+`, `dgram+` and the family off the front; `text` lies at byte `offset` of the word.
fn head<'a>(word: &Word, text: &'a str, offset: usize) -> Result<Head<'a>, Diag> {
    let mut rest = text;
    let mut forced = None;
    for (prefix, kind) in [("stream+", Kind::Stream), ("dgram+", Kind::Datagram), ("xprt+", Kind::Stream)] {
        if let Some(tail) = rest.strip_prefix(prefix) {
            forced = Some(kind);
            rest = tail;
        }
    }
    let at = offset + text.len() - rest.len();
    if let Some(later) = LATER.iter().find(|later| rest.starts_with(**later)) {
        return Err(word.err_at(
            at,
            later.len(),
            format!("address family \"{later}\" is known, not supported yet"),
        ));
    }
    if let Some((prefix, family, kind)) = PREFIXES.iter().find(|(prefix, ..)| rest.starts_with(prefix)) {
        let tail = &rest[prefix.len()..];
        return Ok(Head {
            family: *family,
            kind: forced.unwrap_or(*kind),
            rest: tail,
            at: at + prefix.len(),
        });
    }
    if let Some(found) = rest.find('@').filter(|end| rest[..*end].bytes().all(|b| b.is_ascii_alphanumeric()))
    {
        return Err(word.err_at(at, found + 1, format!("unknown address family \"{}\"", &rest[..=found])));
    }
    let family = if rest.starts_with('/') { Family::Unix } else { Family::Any };
    Ok(Head { family, kind: forced.unwrap_or(Kind::Stream), rest, at })
}

/// All addresses of a `bind` word: a comma list, each with one port or a range.
pub fn bind(word: &Word, resolve: Resolve) -> Result<Vec<BindAddr>, Diag> {
    let mut found = Vec::new();
    let mut offset = 0;
    for part in word.text.split(',') {
        if part.is_empty() {
            return Err(word.err_at(offset, 1, "an address is missing here"));
        }
        let head = head(word, part, offset)?;
        if head.kind == Kind::Datagram {
            return Err(word.err_at(offset, part.len(), "a datagram address cannot be bound here"));
        }
        match head.family {
            Family::Unix => found.push(BindAddr::Unix(path(word, &head)?)),
            Family::Abns => found.push(BindAddr::Abstract(abstract_name(word, &head)?)),
            Family::Fd => found.push(BindAddr::Fd(descriptor(word, &head)?)),
            _ => inet_bind(word, &head, resolve, &mut found)?,
        }
        if found.len() > ADDRESSES_MAX {
            return Err(word.err(format!("more than {ADDRESSES_MAX} addresses on one line")));
        }
        offset += part.len() + 1;
    }
    Ok(found)
}

fn inet_bind(word: &Word, head: &Head<'_>, resolve: Resolve, found: &mut Vec<BindAddr>) -> Result<(), Diag> {
    let Some((host, port)) = split_port(head.rest) else {
        let diag = word.err_at(head.at, head.rest.len(), format!("the port is missing in \"{}\"", head.rest));
        return Err(diag.help("write ip:port, :port, or a path that begins with \"/\""));
    };
    let ip = host_ip(word, head, host, resolve)?;
    let port_at = head.at + head.rest.len() - port.len();
    let number = |text: &str, at: usize| match text.parse::<u16>() {
        Ok(port) if port > 0 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(port),
        _ => Err(word.err_at(
            at,
            text.len().max(1),
            format!("expected a port from 1 to 65535, found \"{text}\""),
        )),
    };
    let (first, last) = match port.split_once('-') {
        None => {
            // Port 0 is what a test asks for: the kernel picks one.
            let port = if port == "0" { 0 } else { number(port, port_at)? };
            (port, port)
        }
        Some((low, high)) => (number(low, port_at)?, number(high, port_at + low.len() + 1)?),
    };
    if first > last {
        return Err(word.err_at(
            port_at,
            port.len(),
            format!("the port range {first}-{last} is upside down"),
        ));
    }
    found.extend((first..=last).map(|port| BindAddr::Inet(SocketAddr::new(ip, port))));
    Ok(())
}

/// Which port of a server is connected to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServerPort {
    /// The one written.
    Fixed,
    /// The client's, plus this.
    Mapped(i32),
}

/// The address of a `server` word.
pub fn server(word: &Word, resolve: Resolve) -> Result<(ServerAddr, ServerPort), Diag> {
    let head = head(word, &word.text, 0)?;
    if head.kind == Kind::Datagram {
        return Err(word.err("a server needs a stream address"));
    }
    match head.family {
        Family::Unix => return Ok((ServerAddr::Unix(path(word, &head)?), ServerPort::Fixed)),
        Family::Abns => return Ok((ServerAddr::Abstract(abstract_name(word, &head)?), ServerPort::Fixed)),
        Family::Fd => return Err(word.err("a server cannot be an inherited descriptor")),
        _ => {}
    }
    let (host, port) = split_port(head.rest).unwrap_or((head.rest, ""));
    let ip = host_ip(word, &head, host, resolve)?;
    let port_at = head.at + head.rest.len() - port.len();
    let bad = || {
        word.err_at(port_at, port.len().max(1), format!("expected a port from 1 to 65535, found \"{port}\""))
    };
    let (number, how) = match port.as_bytes().first() {
        None => (0, ServerPort::Mapped(0)),
        Some(b'+' | b'-') => {
            let offset: i32 = port.parse().map_err(|_| bad())?;
            if offset.abs() > 65_535 {
                return Err(bad());
            }
            (0, ServerPort::Mapped(offset))
        }
        Some(_) => (port.parse::<u16>().map_err(|_| bad())?, ServerPort::Fixed),
    };
    let how = if number == 0 && how == ServerPort::Fixed { ServerPort::Mapped(0) } else { how };
    Ok((ServerAddr::Inet(SocketAddr::new(ip, number)), how))
}

/// Where a log line or another datagram goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DatagramAddr {
    /// UDP.
    Udp(SocketAddr),
    /// A UNIX socket.
    Unix(PathBuf),
    /// An inherited descriptor.
    Fd(i32),
}

/// A datagram address; a port that is not written is `default_port`.
pub fn datagram(word: &Word, default_port: u16, resolve: Resolve) -> Result<DatagramAddr, Diag> {
    let head = head(word, &word.text, 0)?;
    match head.family {
        Family::Unix => return Ok(DatagramAddr::Unix(path(word, &head)?)),
        Family::Fd => return Ok(DatagramAddr::Fd(descriptor(word, &head)?)),
        Family::Abns => return Err(word.err("an abstract socket cannot be used here")),
        _ => {}
    }
    let (host, port) = split_port(head.rest).unwrap_or((head.rest, ""));
    let ip = host_ip(word, &head, host, resolve)?;
    let port = match port {
        "" => default_port,
        _ => port.parse().map_err(|_| word.err(format!("expected a port, found \"{port}\"")))?,
    };
    Ok(DatagramAddr::Udp(SocketAddr::new(ip, port)))
}

/// An IP address with an optional port (0 when it is not written): `source`, `addr`.
pub fn ip_port(word: &Word, resolve: Resolve) -> Result<SocketAddr, Diag> {
    match server(word, resolve)? {
        (ServerAddr::Inet(addr), ServerPort::Fixed | ServerPort::Mapped(0)) => Ok(addr),
        _ => Err(word.err("expected an IP address with or without a port")),
    }
}

/// An IP network `a.b.c.d/n`, `a.b.c.d/m.m.m.m` or one address.
pub fn network(word: &Word) -> Result<(IpAddr, u8), Diag> {
    let bad = || word.err(format!("expected an address or network like 10.0.0.0/8, found \"{}\"", word.text));
    let (ip, mask) = word.text.split_once('/').unwrap_or((&word.text, ""));
    let ip: IpAddr = ip.trim_start_matches('[').trim_end_matches(']').parse().map_err(|_| bad())?;
    let bits = if ip.is_ipv4() { 32 } else { 128 };
    let len = match (mask, mask.parse::<Ipv4Addr>()) {
        ("", _) => bits,
        (_, Ok(mask)) if ip.is_ipv4() && u32::from(mask).leading_ones() == u32::from(mask).count_ones() => {
            u32::from(mask).leading_ones() as u8
        }
        _ => mask.parse().ok().filter(|len| *len <= bits).ok_or_else(bad)?,
    };
    Ok((ip, len))
}

/// Host and port around the last colon; none within `[...]`.
fn split_port(text: &str) -> Option<(&str, &str)> {
    let colon = text.rfind(':')?;
    if text[colon..].contains(']') {
        return None;
    }
    Some((&text[..colon], &text[colon + 1..]))
}

fn host_ip(word: &Word, head: &Head<'_>, host: &str, resolve: Resolve) -> Result<IpAddr, Diag> {
    let any = match head.family {
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    if host.is_empty() || host == "*" {
        return Ok(any);
    }
    let fits = |ip: &IpAddr| match head.family {
        Family::V4 => ip.is_ipv4(),
        Family::V6 => ip.is_ipv6(),
        _ => true,
    };
    let bare = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return match fits(&ip) {
            true => Ok(ip),
            false => Err(word.err_at(
                head.at,
                host.len(),
                format!("{ip} is not of the family that stands before it"),
            )),
        };
    }
    let name = !host.is_empty()
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    if !name {
        return Err(word.err_at(
            head.at,
            host.len(),
            format!("\"{host}\" is neither an address nor a host name"),
        ));
    }
    let found = resolve(host).unwrap_or_default();
    match found.iter().find(|ip| fits(ip) && ip.is_ipv4()).or_else(|| found.iter().find(|ip| fits(ip))) {
        Some(ip) => Ok(*ip),
        None => Err(word.err_at(head.at, host.len(), format!("could not resolve the host name \"{host}\""))),
    }
}

fn path(word: &Word, head: &Head<'_>) -> Result<PathBuf, Diag> {
    if head.rest.is_empty() {
        return Err(word.err("the path is missing"));
    }
    if head.rest.len() > UNIX_PATH_MAX {
        return Err(word.err(format!("a socket path has at most {UNIX_PATH_MAX} bytes")));
    }
    Ok(PathBuf::from(head.rest))
}

fn abstract_name(word: &Word, head: &Head<'_>) -> Result<Vec<u8>, Diag> {
    if head.rest.is_empty() || head.rest.len() > UNIX_PATH_MAX {
        return Err(word.err(format!("an abstract name has 1 to {UNIX_PATH_MAX} bytes")));
    }
    Ok(head.rest.as_bytes().to_vec())
}

fn descriptor(word: &Word, head: &Head<'_>) -> Result<i32, Diag> {
    match head.rest.parse::<i32>() {
        Ok(fd) if fd >= 0 => Ok(fd),
        _ => {
            let what = format!("expected the number of a descriptor after \"fd@\", found \"{}\"", head.rest);
            Err(word.err_at(head.at, head.rest.len().max(1), what))
        }
    }
}

/// Addresses one `bind` line may stand for: a range over all ports fits.
const ADDRESSES_MAX: usize = 65_536;
/// sun_path without its zero byte and room for a temporary name beside it.
const UNIX_PATH_MAX: usize = 97;

#[cfg(test)]
mod tests {
    use super::*;

    fn binds(text: &str) -> Result<Vec<String>, String> {
        let found =
            bind(&Word::plain(text), |name| (name == "box").then(|| vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]));
        let found = found.map_err(|diag| diag.what)?;
        Ok(found
            .into_iter()
            .map(|addr| match addr {
                BindAddr::Inet(addr) => addr.to_string(),
                BindAddr::Unix(path) => path.display().to_string(),
                BindAddr::Abstract(name) => format!("@{}", String::from_utf8_lossy(&name)),
                BindAddr::Fd(fd) => format!("fd {fd}"),
            })
            .collect())
    }

    #[test]
    fn bind_addresses() {
        let table: &[(&str, &[&str])] = &[
            (":80", &["0.0.0.0:80"]),
            ("*:80", &["0.0.0.0:80"]),
            ("127.0.0.1:0", &["127.0.0.1:0"]),
            ("10.0.0.1:80,:81", &["10.0.0.1:80", "0.0.0.0:81"]),
            (":8080-8082", &["0.0.0.0:8080", "0.0.0.0:8081", "0.0.0.0:8082"]),
            ("[::1]:80", &["[::1]:80"]),
            (":::80", &["[::]:80"]),
            ("2001:db8::1:80", &["[2001:db8::1]:80"]),
            ("ipv6@:80", &["[::]:80"]),
            ("ipv4@10.0.0.1:80", &["10.0.0.1:80"]),
            ("tcp6@[::1]:80", &["[::1]:80"]),
            ("/run/a.sock", &["/run/a.sock"]),
            ("unix@a.sock", &["a.sock"]),
            ("abns@x", &["@x"]),
            ("fd@3", &["fd 3"]),
            ("stream+fd@3", &["fd 3"]),
            ("stream+ipv4@:80", &["0.0.0.0:80"]),
            ("box:80", &["127.0.0.1:80"]),
        ];
        for (text, expected) in table {
            assert_eq!(binds(text), Ok(expected.iter().map(|t| t.to_string()).collect()), "{text}");
        }
        assert_eq!(binds(":1-65535").unwrap().len(), 65_535);
    }

    #[test]
    fn bad_addresses_say_why() {
        let table = [
            ("127.0.0.1", "the port is missing in \"127.0.0.1\""),
            ("[::1]", "the port is missing in \"[::1]\""),
            (":http", "expected a port from 1 to 65535, found \"http\""),
            (":70000", "expected a port from 1 to 65535, found \"70000\""),
            (":90-80", "the port range 90-80 is upside down"),
            (":80,", "an address is missing here"),
            ("fd@x", "expected the number of a descriptor after \"fd@\", found \"x\""),
            ("quic4@:443", "address family \"quic4@\" is known, not supported yet"),
            ("foo@:443", "unknown address family \"foo@\""),
            ("udp@:443", "a datagram address cannot be bound here"),
            ("ipv4@[::1]:80", "::1 is not of the family that stands before it"),
            ("nowhere:80", "could not resolve the host name \"nowhere\""),
            ("a b:80", "\"a b\" is neither an address nor a host name"),
            ("unix@", "the path is missing"),
        ];
        for (text, expected) in table {
            assert_eq!(binds(text), Err(expected.to_string()), "{text}");
        }
    }

    #[test]
    fn server_addresses_may_map_ports() {
        let table = [
            ("127.0.0.1:80", "127.0.0.1:80", ServerPort::Fixed),
            ("127.0.0.1", "127.0.0.1:0", ServerPort::Mapped(0)),
            ("127.0.0.1:+100", "127.0.0.1:0", ServerPort::Mapped(100)),
            ("127.0.0.1:-5", "127.0.0.1:0", ServerPort::Mapped(-5)),
            ("[::1]:80", "[::1]:80", ServerPort::Fixed),
        ];
        for (text, addr, port) in table {
            let found = server(&Word::plain(text), no_resolver).unwrap();
            assert_eq!(found, (ServerAddr::Inet(addr.parse().unwrap()), port), "{text}");
        }
        for text in ["fd@3", "127.0.0.1:x", "127.0.0.1:+99999", "udp@127.0.0.1:1", ""] {
            assert!(server(&Word::plain(text), no_resolver).is_err() || text.is_empty(), "{text}");
        }
    }

    #[test]
    fn networks_have_masks() {
        let table = [
            ("10.0.0.0/8", 8),
            ("10.0.0.1", 32),
            ("10.0.0.0/255.255.0.0", 16),
            ("::1", 128),
            ("fe80::/10", 10),
        ];
        for (text, len) in table {
            assert_eq!(network(&Word::plain(text)).unwrap().1, len, "{text}");
        }
        for text in ["10.0.0.0/33", "10.0.0.0/255.0.255.0", "x", "10.0.0.0/"] {
            assert!(network(&Word::plain(text)).is_err() || text.ends_with('/'), "{text}");
        }
    }
}
