//! What certificate selection needs of a ClientHello: the name asked for and the kinds of keys the client can verify.
//!
//! Extension bodies come from the library, which has checked their outer lengths only; whatever does not parse counts as
//! absent, and the library refuses the message itself when it is malformed.

use lighterman_sys::tls::Hello;
use lighterman_wire::client_hello::extension;
use xxhash_rust::xxh64::xxh64;

use crate::expr::view::HelloFacts;

/// Copies what fetches tell of a hello, at most `room` bytes of each list.
pub fn capture(hello: &Hello<'_>, room: usize) -> HelloFacts {
    let cut = |list: &[u8]| list.get(..room & !1).unwrap_or(list).to_vec();
    let listed = |number, prefix: usize| {
        let list = hello.extension(number).and_then(|body| body.get(prefix..)).unwrap_or_default();
        cut(list)
    };
    let mut extensions = Vec::new();
    let mut rest = hello.extensions();
    while let Some((number, after)) = rest.split_first_chunk::<2>() {
        extensions.extend_from_slice(number);
        let Some((_, after)) = prefixed(after) else { break };
        rest = after;
    }
    HelloFacts {
        version: hello.version(),
        ciphers: cut(hello.ciphers()),
        ciphers_hash: xxh64(hello.ciphers(), 0),
        extensions: cut(&extensions),
        groups: listed(extension::SUPPORTED_GROUPS, 2),
        formats: listed(extension::EC_POINT_FORMATS, 1),
        versions: listed(extension::SUPPORTED_VERSIONS, 1),
        sigalgs: listed(extension::SIGNATURE_ALGORITHMS, 2),
    }
}

/// Key kinds a client can verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Can {
    /// Certificates with EC keys.
    pub ec: bool,
}

impl Can {
    /// What the hello says. A client without the signature algorithms extension verifies what its cipher suites name.
    pub fn of(hello: &Hello<'_>) -> Can {
        let algorithms = hello.extension(extension::SIGNATURE_ALGORITHMS).map(list16);
        Can { ec: can_ec(algorithms, pairs(hello.ciphers())) }
    }
}

fn can_ec(algorithms: Option<impl Iterator<Item = u16>>, mut ciphers: impl Iterator<Item = u16>) -> bool {
    let signs = algorithms.is_none_or(|mut list| list.any(|number| EC_ALGORITHMS.contains(&number)));
    signs && ciphers.any(|number| number >> 8 == 0x13 || EC_CIPHERS.contains(&number))
}

/// ecdsa_secp256r1_sha256, 384, 521, ecdsa_sha1, ed25519 (RFC 8446 section 4.2.3).
const EC_ALGORITHMS: &[u16] = &[0x0403, 0x0503, 0x0603, 0x0203, 0x0807];
/// The ECDHE-ECDSA suites with AES and ChaCha20 (RFC 5289, 8422, 7905). Those of TLS 1.3 (0x13xx) fit any key.
const EC_CIPHERS: &[u16] =
    &[0xc009, 0xc00a, 0xc023, 0xc024, 0xc02b, 0xc02c, 0xc0ac, 0xc0ad, 0xc0ae, 0xc0af, 0xcca9];

/// The name in a server_name extension (RFC 6066 section 3); `None` without a host name.
pub fn server_name(body: &[u8]) -> Option<&[u8]> {
    let (list, _) = prefixed(body)?;
    let (kind, rest) = list.split_first()?;
    let (name, _) = prefixed(rest)?;
    (*kind == 0 && !name.is_empty()).then_some(name)
}

/// The first identity of a pre_shared_key extension (RFC 8446 section 4.2.11): a ticket of ours, or none.
pub fn first_identity(body: &[u8]) -> Option<&[u8]> {
    let (list, _) = prefixed(body)?;
    prefixed(list).map(|(identity, _)| identity)
}

/// Bytes after a length of two bytes, and what follows them.
fn prefixed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

/// Numbers of two bytes in a list with its length.
pub fn list16(body: &[u8]) -> impl Iterator<Item = u16> + '_ {
    pairs(prefixed(body).map_or(&[][..], |(list, _)| list))
}

fn pairs(bytes: &[u8]) -> impl Iterator<Item = u16> + '_ {
    bytes.chunks_exact(2).filter_map(|pair| pair.first_chunk().copied().map(u16::from_be_bytes))
}

/// The names in a list where each follows its length (RFC 7301 section 3.1).
pub fn protocols(mut list: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (len, rest) = list.split_first()?;
        let (name, rest) = rest.split_at_checked(usize::from(*len))?;
        list = rest;
        Some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_out() {
        let rows: &[(&[u8], Option<&[u8]>)] = &[
            (b"\x00\x09\x00\x00\x06a.test", Some(b"a.test")),
            (b"\x00\x09\x01\x00\x06a.test", None),
            (b"\x00\x09\x00\x00\x07a.test", None),
            (b"\x00\x0a\x00\x00\x06a.test", None),
            (b"\x00\x03\x00\x00\x00", None),
            (b"\x00", None),
            (b"", None),
        ];
        for (body, name) in rows {
            assert_eq!(server_name(body), *name, "{body:?}");
        }
    }

    #[test]
    fn clients_that_verify_ec_are_known() {
        let rows: &[(Option<&[u16]>, &[u16], bool)] = &[
            (Some(&[0x0403, 0x0804]), &[0x1301], true),
            (Some(&[0x0804]), &[0x1301], false),
            (Some(&[0x0403]), &[0xc02f], false),
            (Some(&[0x0403]), &[0xc02f, 0xc02b], true),
            (None, &[0xc009], true),
            (None, &[0x002f], false),
            (Some(&[]), &[0xc02b], false),
        ];
        for (algorithms, ciphers, expected) in rows {
            let got = can_ec(algorithms.map(|list| list.iter().copied()), ciphers.iter().copied());
            assert_eq!(got, *expected, "{algorithms:x?} {ciphers:x?}");
        }
    }
}
