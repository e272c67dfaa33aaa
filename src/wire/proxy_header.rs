//! The PROXY protocol, versions 1 and 2 with TLVs: read, written, and what came when it did not.
//!
//! Called by the connection's handshake steps before anything else is read, and by the sending side before
//! anything else is written. The header must come whole and be correct; nothing is guessed: a peer that
//! may choose whether to send one could claim any address.

use crate::error::{Malformed, Parse, What};
use crate::scan::{self, Reader};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

mod tlv;
pub use tlv::{kind, Ssl, SslOut, Tlvs};

/// The twelve bytes that begin a version 2 header.
pub const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Longest version 1 line, CR LF included.
pub const V1_MAX: usize = 107;

/// Longest version 2 header taken or made: room for addresses and a client certificate.
pub const V2_MAX: usize = 16 * 1024;

/// Which version a header came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyVersion {
    /// The line of text.
    One,
    /// The binary form.
    Two,
}

/// How the original connection was carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// TCP, or a UNIX stream.
    Stream,
    /// UDP, or UNIX datagrams.
    Datagram,
}

/// The ends of the original connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses<'a> {
    /// Not known (`UNKNOWN`, unspecified), or none: the connection's own ends count.
    Unknown,
    /// IPv4 or IPv6; both ends are of the same family.
    Inet {
        /// The client.
        src: SocketAddr,
        /// What the client connected to.
        dst: SocketAddr,
        /// TCP or UDP.
        carrier: Carrier,
    },
    /// UNIX addresses without the zeros that fill them up; an abstract one begins with NUL.
    Unix {
        /// The client.
        src: &'a [u8],
        /// What the client connected to.
        dst: &'a [u8],
        /// Stream or datagrams.
        carrier: Carrier,
    },
}

/// A header that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeader<'a> {
    /// The version it came in.
    pub version: ProxyVersion,
    /// The sender speaks for itself (a health check): the connection's own ends count.
    pub local: bool,
    /// Whom it speaks of.
    pub addresses: Addresses<'a>,
    /// Further facts, all well formed; empty for version 1 and local headers.
    pub tlvs: Tlvs<'a>,
}

/// Reads a header of either version at the front of `bytes`.
pub fn parse(bytes: &[u8]) -> Parse<ProxyHeader<'_>> {
    const V1: &[u8] = b"PROXY ";
    match bytes.first() {
        None => Parse::Need,
        Some(b'P') => match mismatch(bytes, V1) {
            Some(at) => bad(What::ProxySignature, at),
            None if bytes.len() < V1.len() => Parse::Need,
            None => parse_v1(bytes),
        },
        Some(_) => match mismatch(bytes, SIGNATURE) {
            Some(at) => bad(What::ProxySignature, at),
            None if bytes.len() < SIGNATURE.len() => Parse::Need,
            None => parse_v2(bytes),
        },
    }
}

fn bad<T>(what: What, at: usize) -> Parse<T> {
    Parse::Bad(Malformed::new(what, at))
}

/// First offset where the bytes leave the expected beginning.
fn mismatch(bytes: &[u8], expected: &[u8]) -> Option<usize> {
    bytes.iter().zip(expected).position(|(a, b)| a != b)
}

fn parse_v1(bytes: &[u8]) -> Parse<ProxyHeader<'_>> {
    let window = bytes.get(..V1_MAX).unwrap_or(bytes);
    let Some(lf) = memchr::memchr(b'\n', window) else {
        return if bytes.len() >= V1_MAX { bad(What::ProxySyntax, V1_MAX) } else { Parse::Need };
    };
    let Some(line) = window.get(..lf).and_then(|l| l.strip_suffix(b"\r")) else {
        return bad(What::ProxySyntax, lf);
    };
    let header = |addresses| ProxyHeader {
        version: ProxyVersion::One,
        local: false,
        addresses,
        tlvs: Tlvs::default(),
    };
    let mut words = line.split(|&b| b == b' ').skip(1);
    let family = words.next().unwrap_or_default();
    if family == b"UNKNOWN" {
        // Whatever follows on the line is to be ignored.
        return Parse::Done(header(Addresses::Unknown), lf + 1);
    }
    if family != b"TCP4" && family != b"TCP6" {
        return bad(What::ProxyFamily, 6);
    }
    let (Some(src), Some(dst), Some(src_port), Some(dst_port), None) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        return bad(What::ProxySyntax, 6);
    };
    let ip = |text: &[u8]| -> Option<IpAddr> {
        let text = std::str::from_utf8(text).ok()?;
        if family == b"TCP4" {
            text.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
        } else {
            text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
        }
    };
    let (Some(src), Some(dst)) = (ip(src), ip(dst)) else { return bad(What::ProxyAddress, 11) };
    let (Some(src_port), Some(dst_port)) = (v1_port(src_port), v1_port(dst_port)) else {
        return bad(What::ProxyPort, 11);
    };
    let addresses = Addresses::Inet {
        src: SocketAddr::new(src, src_port),
        dst: SocketAddr::new(dst, dst_port),
        carrier: Carrier::Stream,
    };
    Parse::Done(header(addresses), lf + 1)
}

/// Digits without leading zeros, at most 65535.
fn v1_port(text: &[u8]) -> Option<u16> {
    if text.len() > 5 || (text.len() > 1 && text.first() == Some(&b'0')) {
        return None;
    }
    scan::decimal(text).and_then(|n| u16::try_from(n).ok())
}

fn parse_v2(bytes: &[u8]) -> Parse<ProxyHeader<'_>> {
    let mut r = Reader::new(bytes);
    let _signature = r.take(SIGNATURE.len());
    let Some(command) = r.u8() else { return Parse::Need };
    let local = match command {
        0x20 => true,
        0x21 => false,
        _ if command >> 4 != 2 => return bad(What::ProxyVersion, 12),
        _ => return bad(What::ProxyCommand, 12),
    };
    let Some(family) = r.u8() else { return Parse::Need };
    let (unit, carrier) = match family {
        0x00 => (0, Carrier::Stream),
        0x11 => (12, Carrier::Stream),
        0x12 => (12, Carrier::Datagram),
        0x21 => (36, Carrier::Stream),
        0x22 => (36, Carrier::Datagram),
        0x31 => (216, Carrier::Stream),
        0x32 => (216, Carrier::Datagram),
        // A local header's family says nothing (it is to be discarded).
        _ if local => (0, Carrier::Stream),
        _ => return bad(What::ProxyFamily, 13),
    };
    let Some(len) = r.u16().map(usize::from) else { return Parse::Need };
    if 16 + len > V2_MAX || (!local && len < unit) {
        return bad(What::ProxyLength, 14);
    }
    let Some(body) = r.take(len) else { return Parse::Need };
    let used = 16 + len;
    let header = |addresses, tlvs| ProxyHeader { version: ProxyVersion::Two, local, addresses, tlvs };
    if local {
        return Parse::Done(header(Addresses::Unknown, Tlvs::default()), used);
    }
    let (block, rest) = body.split_at_checked(unit).unwrap_or_default();
    let whole = bytes.get(..used).unwrap_or_default();
    let tlvs = match Tlvs::read(whole, used - rest.len()) {
        Ok(tlvs) => tlvs,
        Err(why) => return Parse::Bad(why),
    };
    match v2_addresses(block, carrier) {
        Some(addresses) => Parse::Done(header(addresses, tlvs), used),
        None => bad(What::ProxyLength, 14),
    }
}

fn v2_addresses(block: &[u8], carrier: Carrier) -> Option<Addresses<'_>> {
    let mut r = Reader::new(block);
    match block.len() {
        0 => Some(Addresses::Unknown),
        12 => {
            let (src, dst) = (Ipv4Addr::from(r.u32()?), Ipv4Addr::from(r.u32()?));
            let (src, dst) = (SocketAddr::from((src, r.u16()?)), SocketAddr::from((dst, r.u16()?)));
            Some(Addresses::Inet { src, dst, carrier })
        }
        36 => {
            let (src, dst) = (Ipv6Addr::from(r.array::<16>()?), Ipv6Addr::from(r.array::<16>()?));
            let (src, dst) = (SocketAddr::from((src, r.u16()?)), SocketAddr::from((dst, r.u16()?)));
            Some(Addresses::Inet { src, dst, carrier })
        }
        _ => Some(Addresses::Unix { src: unix_path(r.take(108)?), dst: unix_path(r.take(108)?), carrier }),
    }
}

/// Up to the first NUL; an abstract address (NUL first) up to the zeros at its end.
fn unix_path(field: &[u8]) -> &[u8] {
    let end = match field.first() {
        Some(0) => field.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1),
        _ => memchr::memchr(0, field).unwrap_or(field.len()),
    };
    field.get(..end).unwrap_or_default()
}

/// What a version 2 header is to say.
#[derive(Clone, Copy, Debug)]
pub struct Out<'a> {
    /// `None` makes a local header (health checks, no client).
    pub addresses: Option<Addresses<'a>>,
    /// Protocol negotiated with the client.
    pub alpn: Option<&'a [u8]>,
    /// Name the client asked for in TLS.
    pub authority: Option<&'a [u8]>,
    /// At most 128 bytes.
    pub unique_id: Option<&'a [u8]>,
    /// What is known of the client's TLS.
    pub ssl: Option<SslOut<'a>>,
    /// Network namespace.
    pub netns: Option<&'a [u8]>,
    /// Further TLVs: type and content.
    pub extra: &'a [(u8, &'a [u8])],
    /// Whether a checksum goes with it.
    pub checksum: Checksum,
}

/// Whether a header carries its CRC32C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// `proxy-v2-options crc32c`
    Crc32c,
    /// None.
    Absent,
}

impl<'a> Out<'a> {
    /// A header with addresses and nothing else.
    pub fn plain(addresses: Option<Addresses<'a>>) -> Out<'a> {
        let (alpn, authority, unique_id, netns) = (None, None, None, None);
        Out {
            addresses,
            alpn,
            authority,
            unique_id,
            ssl: None,
            netns,
            extra: &[],
            checksum: Checksum::Absent,
        }
    }
}

/// A header that would exceed [`V2_MAX`] or a field of it its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Appends a version 1 line. What it cannot express becomes `UNKNOWN`.
pub fn build_v1(addresses: Option<Addresses<'_>>, out: &mut Vec<u8>) {
    let written = match addresses {
        Some(Addresses::Inet { src, dst, carrier: Carrier::Stream }) => {
            let (src, dst) = one_family(src, dst);
            let family = if src.is_ipv4() { "TCP4" } else { "TCP6" };
            write!(out, "PROXY {family} {} {} {} {}\r\n", src.ip(), dst.ip(), src.port(), dst.port())
        }
        _ => out.write_all(b"PROXY UNKNOWN\r\n"),
    };
    debug_assert!(written.is_ok(), "writing to memory does not fail");
}

/// Appends a version 2 header; on failure `out` is as before.
pub fn build_v2(header: &Out<'_>, out: &mut Vec<u8>) -> Result<(), TooLong> {
    let start = out.len();
    let result = write_v2(header, out, start);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn write_v2(header: &Out<'_>, out: &mut Vec<u8>, start: usize) -> Result<(), TooLong> {
    out.extend_from_slice(SIGNATURE);
    out.push(if header.addresses.is_some() { 0x21 } else { 0x20 });
    write_addresses(header.addresses.unwrap_or(Addresses::Unknown), out)?;
    let checksum_at = (header.checksum == Checksum::Crc32c).then_some(out.len() + 3);
    if checksum_at.is_some() {
        tlv::push(out, kind::CRC32C, &[0; 4])?;
    }
    if header.unique_id.is_some_and(|id| id.len() > tlv::UNIQUE_ID_MAX) {
        return Err(TooLong);
    }
    let plain = [
        (kind::ALPN, header.alpn),
        (kind::AUTHORITY, header.authority),
        (kind::UNIQUE_ID, header.unique_id),
        (kind::NETNS, header.netns),
    ];
    for (kind, content) in plain {
        if let Some(content) = content {
            tlv::push(out, kind, content)?;
        }
    }
    if let Some(ssl) = &header.ssl {
        ssl.push(out)?;
    }
    for (kind, content) in header.extra {
        tlv::push(out, *kind, content)?;
    }
    let len = out.len() - start - 16;
    let len = u16::try_from(len).ok().filter(|_| len + 16 <= V2_MAX).ok_or(TooLong)?;
    put(out, start + 14, &len.to_be_bytes());
    if let Some(at) = checksum_at {
        let sum = tlv::crc32c(0, out.get(start..).unwrap_or_default());
        put(out, at, &sum.to_be_bytes());
    }
    Ok(())
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(room) = out.get_mut(at..at + bytes.len()) {
        room.copy_from_slice(bytes);
    }
}

/// Family byte, two bytes for the length, address block.
fn write_addresses(addresses: Addresses<'_>, out: &mut Vec<u8>) -> Result<(), TooLong> {
    let low = |carrier| if carrier == Carrier::Stream { 1 } else { 2 };
    match addresses {
        Addresses::Unknown => out.extend_from_slice(&[0, 0, 0]),
        Addresses::Inet { src, dst, carrier } => {
            let (src, dst) = one_family(src, dst);
            out.extend_from_slice(&[(if src.is_ipv4() { 0x10 } else { 0x20 }) | low(carrier), 0, 0]);
            for ip in [src.ip(), dst.ip()] {
                match ip {
                    IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
                    IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
                }
            }
            out.extend_from_slice(&src.port().to_be_bytes());
            out.extend_from_slice(&dst.port().to_be_bytes());
        }
        Addresses::Unix { src, dst, carrier } => {
            out.extend_from_slice(&[0x30 | low(carrier), 0, 0]);
            for path in [src, dst] {
                let mut field = [0u8; 108];
                field.get_mut(..path.len()).ok_or(TooLong)?.copy_from_slice(path);
                out.extend_from_slice(&field);
            }
        }
    }
    Ok(())
}

/// Ends of different families are both shown as IPv6.
fn one_family(src: SocketAddr, dst: SocketAddr) -> (SocketAddr, SocketAddr) {
    let v6 = |a: SocketAddr| match a.ip() {
        IpAddr::V4(ip) => SocketAddr::from((ip.to_ipv6_mapped(), a.port())),
        IpAddr::V6(_) => a,
    };
    if src.is_ipv4() == dst.is_ipv4() {
        (src, dst)
    } else {
        (v6(src), v6(dst))
    }
}

/// What the first bytes of a connection look like: for the line that tells an operator what is wired wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// Not a byte.
    Nothing,
    /// A TLS handshake record.
    Tls,
    /// A request of HTTP/1.
    Http1,
    /// The preface of HTTP/2.
    Http2,
    /// A greeting of SSH.
    Ssh,
    /// A PROXY line, or the beginning of one.
    ProxyV1,
    /// A binary PROXY header, or the beginning of one.
    ProxyV2,
    /// Something else.
    Other,
}

impl Came {
    /// For people: "a TLS handshake".
    pub fn text(self) -> &'static str {
        match self {
            Came::Nothing => "nothing",
            Came::Tls => "a TLS handshake",
            Came::Http1 => "an HTTP/1 request",
            Came::Http2 => "an HTTP/2 preface",
            Came::Ssh => "an SSH greeting",
            Came::ProxyV1 => "a PROXY protocol v1 header",
            Came::ProxyV2 => "a PROXY protocol v2 header",
            Came::Other => "unknown data",
        }
    }
}

/// Tells what came, from as few bytes as there are.
pub fn diagnose(bytes: &[u8]) -> Came {
    let begins = |with: &[u8]| mismatch(bytes, with).is_none() && bytes.len() >= with.len().min(4);
    let request_line = || {
        let method = crate::token::prefix(bytes.get(..24).unwrap_or(bytes), crate::token::TOKEN);
        method > 1
            && bytes.get(method) == Some(&b' ')
            && bytes.get(..method).is_some_and(|m| m.iter().all(|b| b.is_ascii_uppercase() || *b == b'-'))
    };
    match bytes {
        [] => Came::Nothing,
        [0x16, 0x03, ..] | [0x16] => Came::Tls,
        _ if begins(SIGNATURE) => Came::ProxyV2,
        _ if begins(b"PROXY ") => Came::ProxyV1,
        _ if begins(b"PRI * HTTP/2.0") => Came::Http2,
        _ if begins(b"SSH-") => Came::Ssh,
        _ if request_line() => Came::Http1,
        _ => Came::Other,
    }
}

/// Reads any bytes as a header; what was understood must survive being written and read again. For fuzzing.
pub fn fuzz_proxy_header(bytes: &[u8]) {
    let _ = diagnose(bytes).text();
    let outcome = parse(bytes);
    for n in 0..bytes.len() {
        if let Parse::Done(..) = parse(bytes.get(..n).unwrap_or_default()) {
            assert_eq!(parse(bytes.get(..n).unwrap_or_default()), outcome, "a prefix gives another header");
        }
    }
    let Parse::Done(header, used) = outcome else { return };
    assert!(used <= bytes.len());
    let addresses = (!header.local).then_some(header.addresses);
    let mut out = Vec::new();
    if header.version == ProxyVersion::One {
        build_v1(addresses, &mut out);
    } else {
        let mut plain = Out::plain(addresses);
        (plain.alpn, plain.authority) = (header.tlvs.get(kind::ALPN), header.tlvs.get(kind::AUTHORITY));
        plain.unique_id = header.tlvs.get(kind::UNIQUE_ID);
        plain.netns = header.tlvs.get(kind::NETNS);
        plain.ssl = header.tlvs.ssl().map(|s| s.out());
        plain.checksum = Checksum::Crc32c;
        if build_v2(&plain, &mut out).is_err() {
            return;
        }
    }
    let again = parse(&out);
    let same = matches!(again, Parse::Done(h, n) if n == out.len() && h.addresses == header.addresses
        && h.local == header.local && h.tlvs.get(kind::ALPN) == header.tlvs.get(kind::ALPN)
        && h.tlvs.ssl().map(|s| s.out()) == header.tlvs.ssl().map(|s| s.out()) || h.local);
    assert!(same, "own header is read otherwise");
}

#[cfg(test)]
mod tests;
