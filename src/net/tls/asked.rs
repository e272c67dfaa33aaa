//! What a client asked for in its ClientHello, kept while its handshake lasts: the line about a handshake that fails tells it.

use std::fmt;

use lighterman_sys::tls::Hello;
use lighterman_wire::client_hello::extension;

use super::hello::{list16, protocols, server_name};
use crate::base::text;

/// Longest name told; DNS allows no longer one.
const NAME_MAX: usize = 253;
/// Groups told; clients offer three to eight, and hostile ones as many as they like.
const GROUPS_MAX: usize = 10;
/// Bytes of the list of protocols told.
const ALPN_MAX: usize = 64;

/// The parts of a ClientHello that explain most failures. Bounded, whatever the client sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The name, as it came; empty: none.
    name: Box<[u8]>,
    /// The highest version offered.
    version: u16,
    /// Groups offered (RFC 8446 section 4.2.7), preferred first.
    groups: Box<[u16]>,
    /// Protocols offered, each after its length (RFC 7301).
    alpn: Box<[u8]>,
}

impl Asked {
    /// What this hello asks for.
    pub fn of(hello: &Hello<'_>) -> Asked {
        let name = hello.extension(extension::SERVER_NAME).and_then(server_name).unwrap_or_default();
        let groups = hello.extension(extension::SUPPORTED_GROUPS).map(list16).into_iter().flatten();
        let versions = hello.extension(extension::SUPPORTED_VERSIONS);
        let alpn = hello.extension(extension::ALPN).and_then(|body| body.get(2..)).unwrap_or_default();
        Asked {
            name: name.iter().take(NAME_MAX).copied().collect(),
            version: versions.and_then(highest).unwrap_or(hello.version()),
            groups: groups.filter(|group| !is_grease(*group)).take(GROUPS_MAX).collect(),
            alpn: alpn.iter().take(ALPN_MAX).copied().collect(),
        }
    }
}

/// The highest version in a `supported_versions` extension of a client (RFC 8446 section 4.2.1).
fn highest(body: &[u8]) -> Option<u16> {
    let (_, list) = body.split_first()?;
    let pairs = list.chunks_exact(2).filter_map(|pair| pair.first_chunk().copied());
    pairs.map(u16::from_be_bytes).filter(|version| !is_grease(*version)).max()
}

/// Values that clients throw in so that servers learn to ignore what they do not know (RFC 8701).
fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

/// `sni=a.test ver=TLSv1.3 groups=X25519,P-256 alpn=h2,http/1.1`; `-` for what was not said.
impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.is_empty() {
            true => f.write_str("sni=-")?,
            false => write!(f, "sni={}", Escaped(&self.name))?,
        }
        match version_name(self.version) {
            Some(name) => write!(f, " ver={name}")?,
            None => write!(f, " ver=0x{:04x}", self.version)?,
        }
        f.write_str(" groups=")?;
        list(f, self.groups.iter(), |f, group| match group_name(*group) {
            Some(name) => f.write_str(name),
            None => write!(f, "0x{group:04x}"),
        })?;
        f.write_str(" alpn=")?;
        list(f, protocols(&self.alpn), |f, name| write!(f, "{}", Escaped(name)))
    }
}

/// Bytes from outside as one word of a log line.
struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::with_capacity(self.0.len());
        text::log_escape(&mut out, self.0, b" ,=");
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

/// Items with commas between them, `-` for none.
fn list<T>(
    f: &mut fmt::Formatter<'_>,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut fmt::Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    let mut none = true;
    for item in items {
        if !std::mem::take(&mut none) {
            f.write_str(",")?;
        }
        write(f, item)?;
    }
    if none {
        f.write_str("-")?;
    }
    Ok(())
}

/// Versions as `ssl_fc_protocol` spells them.
fn version_name(version: u16) -> Option<&'static str> {
    Some(match version {
        0x0300 => "SSLv3",
        0x0301 => "TLSv1",
        0x0302 => "TLSv1.1",
        0x0303 => "TLSv1.2",
        0x0304 => "TLSv1.3",
        _ => return None,
    })
}

/// The common groups of the IANA registry "TLS Supported Groups".
fn group_name(group: u16) -> Option<&'static str> {
    Some(match group {
        23 => "P-256",
        24 => "P-384",
        25 => "P-521",
        29 => "X25519",
        30 => "X448",
        256 => "ffdhe2048",
        257 => "ffdhe3072",
        258 => "ffdhe4096",
        4587 => "SecP256r1MLKEM768",
        4588 => "X25519MLKEM768",
        25497 => "X25519Kyber768",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_is_one_line() {
        let rows: &[(Asked, &str)] = &[
            (Asked::default(), "sni=- ver=0x0000 groups=- alpn=-"),
            (
                Asked {
                    name: (*b"a.test").into(),
                    version: 0x0304,
                    groups: [4588, 29, 23, 0x1234].into(),
                    alpn: (*b"\x02h2\x08http/1.1").into(),
                },
                "sni=a.test ver=TLSv1.3 groups=X25519MLKEM768,X25519,P-256,0x1234 alpn=h2,http/1.1",
            ),
            (
                Asked { name: (*b"a b\n\xff").into(), version: 0x0301, ..Asked::default() },
                "sni=a#20b#0A#FF ver=TLSv1 groups=- alpn=-",
            ),
            (Asked { alpn: (*b"\x09h2").into(), ..Asked::default() }, "sni=- ver=0x0000 groups=- alpn=-"),
        ];
        for (asked, line) in rows {
            assert_eq!(asked.to_string(), *line);
        }
    }

    #[test]
    fn the_highest_version_counts_and_grease_does_not() {
        let rows: &[(&[u8], Option<u16>)] = &[
            (b"\x04\x03\x04\x03\x03", Some(0x0304)),
            (b"\x06\x7a\x7a\x03\x03\x03\x02", Some(0x0303)),
            (b"\x02\x0a\x0a", None),
            (b"", None),
            (b"\x03\x03\x04\x03", Some(0x0304)),
        ];
        for (body, version) in rows {
            assert_eq!(highest(body), *version, "{body:x?}");
        }
    }
}
