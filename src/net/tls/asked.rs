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
    /// The last bytes that came: as many as an alert has.
    tail: [u8; ALERT_LEN],
    /// Bytes that came after it.
    since: u32,
    /// Early data was announced.
    early: bool,
}

/// A second hello, a key, a proof: what may follow a hello until the handshake is over.
const FLIGHT_MAX: u32 = 6 * 1024;
/// Early data that was not taken comes nevertheless, and is passed over (the library gives tickets for so much).
const EARLY_MAX: u32 = 18 * 1024;
/// Bytes of an alert in clear text: header, level, number (RFC 8446 sections 5.1 and 6).
const ALERT_LEN: usize = 7;

impl Asked {
    /// What this hello asks for.
    pub fn of(hello: &Hello<'_>) -> Asked {
        Asked::read(hello.version(), |number| hello.extension(number))
    }

    fn read<'h>(version: u16, extension: impl Fn(u16) -> Option<&'h [u8]>) -> Asked {
        let name = extension(extension::SERVER_NAME).and_then(server_name).unwrap_or_default();
        let groups = extension(extension::SUPPORTED_GROUPS).map(list16).into_iter().flatten();
        let versions = extension(extension::SUPPORTED_VERSIONS);
        let alpn = extension(extension::ALPN).and_then(|body| body.get(2..)).unwrap_or_default();
        Asked {
            name: name.iter().take(NAME_MAX).copied().collect(),
            version: versions.and_then(highest).unwrap_or(version),
            groups: groups.filter(|group| !is_grease(*group)).take(GROUPS_MAX).collect(),
            alpn: alpn.iter().take(ALPN_MAX).copied().collect(),
            tail: [0; ALERT_LEN],
            since: 0,
            early: extension(extension::EARLY_DATA).is_some(),
        }
    }

    /// More bytes have come after the hello.
    pub(super) fn note(&mut self, bytes: &[u8]) {
        self.since = self.since.saturating_add(bytes.len() as u32);
        let last = bytes.get(bytes.len().saturating_sub(ALERT_LEN)..).unwrap_or_default();
        self.tail.rotate_left(last.len());
        self.tail.iter_mut().rev().zip(last.iter().rev()).for_each(|(to, from)| *to = *from);
    }

    /// The client has said more than the rest of a handshake without a certificate needs.
    pub(super) fn says_too_much(&self) -> bool {
        self.since > if self.early { FLIGHT_MAX + EARLY_MAX } else { FLIGHT_MAX }
    }

    /// The alert that came last, if it came in clear text. Clients of TLS 1.3 that refuse our certificate may have no keys
    /// yet to send it with, and the library only sees a record that does not decrypt.
    pub(super) fn clear_alert(&self) -> Option<u8> {
        match self.tail {
            [21, 3, _, 0, 2, 2, alert] => Some(alert),
            _ => None,
        }
    }
}

/// The highest version in a `supported_versions` extension of a client (RFC 8446 section 4.2.1).
fn highest(body: &[u8]) -> Option<u16> {
    let (_, list) = body.split_first()?;
    let pairs = list.chunks_exact(2).filter_map(|pair| pair.first_chunk().copied());
    let offered = pairs.map(u16::from_be_bytes).filter(|version| !is_grease(*version));
    // drafts had numbers of their own, larger ones
    offered.max_by_key(|version| (version >> 8 == 3, *version))
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

/// Reads any bytes as each of the extensions that are told. For fuzzing.
pub fn fuzz_hello_words(bytes: &[u8]) {
    let mut asked = Asked::read(bytes.len() as u16, |_| Some(bytes));
    asked.note(bytes);
    let _ = asked.clear_alert();
    let line = asked.to_string();
    assert!(line.len() < LINE_MAX, "{} bytes", line.len());
    assert!(line.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{line:?}");
    assert_eq!(line.split(' ').count(), 4, "{line:?}");
}

/// What hostile clients can make of a line, at most: three bytes for each of theirs.
const LINE_MAX: usize = 3 * (NAME_MAX + ALPN_MAX) + 20 * GROUPS_MAX + 64;

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
                    ..Asked::default()
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
    fn alerts_in_clear_text_are_recognised() {
        let rows: &[(&[&[u8]], Option<u8>)] = &[
            (&[b"\x15\x03\x03\x00\x02\x02\x30"], Some(48)),
            (&[b"some record", b"\x15\x03\x03\x00\x02", b"\x02", b"\x2a"], Some(42)),
            (&[b"\x15\x03\x03\x00\x02\x01\x00"], None),
            (&[b"\x15\x03\x03\x00\x02\x02\x30", b"."], None),
            (&[b""], None),
        ];
        for (parts, alert) in rows {
            let mut asked = Asked::default();
            parts.iter().for_each(|part| asked.note(part));
            assert_eq!(asked.clear_alert(), *alert, "{parts:x?}");
        }
    }

    #[test]
    fn any_bytes_make_a_short_line() {
        for n in [0, 1, 2, 3, 40, 700] {
            for byte in [0, 1, 0x0a, b' ', 0xff] {
                fuzz_hello_words(&vec![byte; n]);
            }
        }
    }

    #[test]
    fn the_fuzz_corpus_does_no_harm() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus/hello_words");
        let seeds: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!seeds.is_empty());
        seeds.iter().for_each(|seed| fuzz_hello_words(&std::fs::read(seed).unwrap()));
    }

    #[test]
    fn the_highest_version_counts_and_grease_does_not() {
        let rows: &[(&[u8], Option<u16>)] = &[
            (b"\x04\x03\x04\x03\x03", Some(0x0304)),
            (b"\x06\x7a\x7a\x03\x03\x03\x02", Some(0x0303)),
            (b"\x04\x7f\x1c\x03\x03", Some(0x0303)),
            (b"\x02\x7f\x1c", Some(0x7f1c)),
            (b"\x02\x0a\x0a", None),
            (b"", None),
            (b"\x03\x03\x04\x03", Some(0x0304)),
        ];
        for (body, version) in rows {
            assert_eq!(highest(body), *version, "{body:x?}");
        }
    }
}
