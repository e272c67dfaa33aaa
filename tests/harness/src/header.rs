//! PROXY protocol headers, written and read by the tests' own code.

use std::net::{IpAddr, SocketAddr};

use crate::Peer;

/// The twelve bytes that open a version 2 header.
pub const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// A version 1 header.
pub fn v1(src: &str, dst: &str) -> String {
    let (src, dst): (SocketAddr, SocketAddr) = (src.parse().unwrap(), dst.parse().unwrap());
    let family = if src.is_ipv4() { "TCP4" } else { "TCP6" };
    format!("PROXY {family} {} {} {} {}\r\n", src.ip(), dst.ip(), src.port(), dst.port())
}

/// A version 2 header for TCP, with TLVs.
pub fn v2(src: &str, dst: &str, tlvs: &[(u8, &[u8])]) -> Vec<u8> {
    let (src, dst): (SocketAddr, SocketAddr) = (src.parse().unwrap(), dst.parse().unwrap());
    let mut body = Vec::new();
    for ip in [src.ip(), dst.ip()] {
        match ip {
            IpAddr::V4(ip) => body.extend(ip.octets()),
            IpAddr::V6(ip) => body.extend(ip.octets()),
        }
    }
    body.extend(src.port().to_be_bytes());
    body.extend(dst.port().to_be_bytes());
    for (kind, value) in tlvs {
        body.push(*kind);
        body.extend((value.len() as u16).to_be_bytes());
        body.extend(*value);
    }
    raw_v2(0x21, if src.is_ipv4() { 0x11 } else { 0x21 }, &body)
}

/// A version 2 header that speaks of the connection itself (health checks).
pub fn v2_local() -> Vec<u8> {
    raw_v2(0x20, 0x00, &[])
}

/// Any version 2 header: version and command, family and protocol, what follows.
pub fn raw_v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend([command, family]);
    bytes.extend((body.len() as u16).to_be_bytes());
    bytes.extend(body);
    bytes
}

/// A version 2 header as a server sees it.
#[derive(Debug, PartialEq, Eq)]
pub struct V2 {
    /// 0 for LOCAL, 1 for PROXY.
    pub command: u8,
    /// Family and protocol byte.
    pub family: u8,
    /// The client, where the family has addresses of the internet.
    pub src: Option<SocketAddr>,
    /// Where the client connected to.
    pub dst: Option<SocketAddr>,
    /// What follows the addresses: kind and value.
    pub tlvs: Vec<(u8, Vec<u8>)>,
    /// The whole header as it came.
    pub raw: Vec<u8>,
}

impl V2 {
    /// The value of the first TLV of this kind.
    pub fn tlv(&self, kind: u8) -> Option<&[u8]> {
        self.tlvs.iter().find(|(k, _)| *k == kind).map(|(_, v)| v.as_slice())
    }

    /// The sub-TLVs of the TLS TLV (0x20), after its five bytes of client bits and verification result.
    pub fn ssl(&self) -> Option<(u8, u32, Vec<(u8, Vec<u8>)>)> {
        let value = self.tlv(0x20)?;
        let verify = u32::from_be_bytes(value[1..5].try_into().unwrap());
        Some((value[0], verify, tlvs(&value[5..])))
    }
}

fn tlvs(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut found = Vec::new();
    while let [kind, high, low, rest @ ..] = bytes {
        let n = usize::from(u16::from_be_bytes([*high, *low]));
        found.push((*kind, rest[..n].to_vec()));
        bytes = &rest[n..];
    }
    found
}

impl Peer {
    /// The version 1 header that must come first, without its line end.
    #[track_caller]
    pub fn proxy_v1(&mut self) -> String {
        let line = String::from_utf8(self.upto("\r\n")).unwrap();
        assert!(line.starts_with("PROXY "), "not a PROXY header: {line:?}");
        line.trim_end().to_string()
    }

    /// The version 2 header that must come first.
    #[track_caller]
    pub fn proxy_v2(&mut self) -> V2 {
        let mut raw = self.take(16);
        assert_eq!(&raw[..12], SIGNATURE, "not a version 2 header");
        let body = self.take(usize::from(u16::from_be_bytes([raw[14], raw[15]])));
        raw.extend(&body);
        let (command, family) = (raw[12] & 15, raw[13]);
        assert_eq!(raw[12] >> 4, 2, "version");
        let port = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
        let v4 = |at: usize| IpAddr::from(<[u8; 4]>::try_from(&body[at..at + 4]).unwrap());
        let v6 = |at: usize| IpAddr::from(<[u8; 16]>::try_from(&body[at..at + 16]).unwrap());
        let (src, dst, used) = match family >> 4 {
            1 => (Some((v4(0), port(8))), Some((v4(4), port(10))), 12),
            2 => (Some((v6(0), port(32))), Some((v6(16), port(34))), 36),
            3 => (None, None, 216),
            _ => (None, None, 0),
        };
        V2 {
            command,
            family,
            src: src.map(SocketAddr::from),
            dst: dst.map(SocketAddr::from),
            tlvs: tlvs(&body[used..]),
            raw,
        }
    }
}
