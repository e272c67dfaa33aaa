//! TLVs of a version 2 header: type, two bytes of length, content; the SSL one holds more of them.

use super::TooLong;
use crate::error::{Malformed, What};
use crate::scan::Reader;

/// The types the protocol defines.
pub mod kind {
    /// Protocol negotiated by ALPN.
    pub const ALPN: u8 = 0x01;
    /// Host name the client asked for (SNI).
    pub const AUTHORITY: u8 = 0x02;
    /// Checksum over the whole header with this field zeroed.
    pub const CRC32C: u8 = 0x03;
    /// Padding.
    pub const NOOP: u8 = 0x04;
    /// Opaque id of the connection.
    pub const UNIQUE_ID: u8 = 0x05;
    /// Facts of the client's TLS.
    pub const SSL: u8 = 0x20;
    /// Within SSL: version as text.
    pub const SSL_VERSION: u8 = 0x21;
    /// Within SSL: common name of the client's certificate.
    pub const SSL_CN: u8 = 0x22;
    /// Within SSL: cipher.
    pub const SSL_CIPHER: u8 = 0x23;
    /// Within SSL: algorithm that signed the certificate.
    pub const SSL_SIG_ALG: u8 = 0x24;
    /// Within SSL: algorithm of the certificate's key.
    pub const SSL_KEY_ALG: u8 = 0x25;
    /// Within SSL: key exchange group.
    pub const SSL_GROUP: u8 = 0x26;
    /// Within SSL: signature scheme of the handshake.
    pub const SSL_SIG_SCHEME: u8 = 0x27;
    /// Within SSL: the client's certificate in DER.
    pub const SSL_CLIENT_CERT: u8 = 0x28;
    /// Network namespace.
    pub const NETNS: u8 = 0x30;
}

/// Longest unique id the protocol allows.
pub(super) const UNIQUE_ID_MAX: usize = 128;

/// A sequence of TLVs that was found well formed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tlvs<'a> {
    bytes: &'a [u8],
}

impl<'a> Tlvs<'a> {
    /// Checks the TLVs of a header: frames, known contents, checksum.
    pub(super) fn read(header: &'a [u8], at: usize) -> Result<Tlvs<'a>, Malformed> {
        let bytes = header.get(at..).unwrap_or_default();
        let bad = |what| Malformed::new(what, at);
        if !is_framed(bytes) {
            return Err(bad(What::ProxyTlv));
        }
        let tlvs = Tlvs { bytes };
        let mut before = at;
        for (kind, content) in tlvs.iter() {
            let good = match kind {
                kind::CRC32C => content.len() == 4,
                kind::UNIQUE_ID => content.len() <= UNIQUE_ID_MAX,
                kind::SSL => content.len() >= 5 && content.get(5..).is_some_and(is_framed),
                _ => true,
            };
            if !good {
                return Err(Malformed::new(What::ProxyTlvContent, before));
            }
            if kind == kind::CRC32C && !checksum_matches(header, before + 3, content) {
                return Err(Malformed::new(What::ProxyChecksum, before));
            }
            before += 3 + content.len();
        }
        Ok(tlvs)
    }

    /// All TLVs in order: type and content.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let mut r = Reader::new(self.bytes);
        std::iter::from_fn(move || Some((r.u8()?, r.vec16()?)))
    }

    /// The content of the first TLV of that type.
    pub fn get(&self, kind: u8) -> Option<&'a [u8]> {
        self.iter().find(|(k, _)| *k == kind).map(|(_, content)| content)
    }

    /// The facts of the client's TLS.
    pub fn ssl(&self) -> Option<Ssl<'a>> {
        let mut r = Reader::new(self.get(kind::SSL)?);
        Some(Ssl { client: r.u8()?, verify: r.u32()?, subs: Tlvs { bytes: r.rest() } })
    }

    /// The bytes of all TLVs: to keep them beyond the receive buffer, with [`Tlvs::kept`].
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// TLVs out of bytes that [`Tlvs::bytes`] gave; what is not framed reads as absent.
    pub fn kept(bytes: &'a [u8]) -> Tlvs<'a> {
        Tlvs { bytes }
    }
}

fn is_framed(bytes: &[u8]) -> bool {
    let mut r = Reader::new(bytes);
    while !r.is_empty() {
        if r.u8().and_then(|_| r.vec16()).is_none() {
            return false;
        }
    }
    true
}

fn checksum_matches(header: &[u8], at: usize, sum: &[u8]) -> bool {
    let (Some(before), Some(after)) = (header.get(..at), header.get(at + 4..)) else { return false };
    let computed = !crc_step(crc_step(crc_step(!0, before), &[0; 4]), after);
    computed.to_be_bytes() == sum
}

/// The SSL TLV, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ssl<'a> {
    /// Bits: 1 the client speaks TLS, 2 it gave a certificate on this connection, 4 in this session.
    pub client: u8,
    /// 0 when the certificate was verified.
    pub verify: u32,
    subs: Tlvs<'a>,
}

impl<'a> Ssl<'a> {
    /// The client speaks TLS.
    pub const TLS: u8 = 1;
    /// The client gave a certificate on this connection.
    pub const CERT_CONN: u8 = 2;
    /// The client gave a certificate in this session.
    pub const CERT_SESS: u8 = 4;

    /// The content of one of the TLVs within, by type (`kind::SSL_...`).
    pub fn get(&self, kind: u8) -> Option<&'a [u8]> {
        self.subs.get(kind)
    }

    /// The same facts, to be written into another header.
    pub fn out(&self) -> SslOut<'a> {
        SslOut {
            client: self.client,
            verify: self.verify,
            version: self.get(kind::SSL_VERSION),
            cn: self.get(kind::SSL_CN),
            cipher: self.get(kind::SSL_CIPHER),
            sig_alg: self.get(kind::SSL_SIG_ALG),
            key_alg: self.get(kind::SSL_KEY_ALG),
            group: self.get(kind::SSL_GROUP),
            sig_scheme: self.get(kind::SSL_SIG_SCHEME),
            client_cert: self.get(kind::SSL_CLIENT_CERT),
        }
    }
}

/// The SSL TLV, to be written. Absent facts are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SslOut<'a> {
    /// See [`Ssl::client`].
    pub client: u8,
    /// See [`Ssl::verify`].
    pub verify: u32,
    /// `TLSv1.3`
    pub version: Option<&'a [u8]>,
    /// Common name of the client's certificate.
    pub cn: Option<&'a [u8]>,
    /// Cipher name.
    pub cipher: Option<&'a [u8]>,
    /// Algorithm that signed the certificate.
    pub sig_alg: Option<&'a [u8]>,
    /// Algorithm of the certificate's key.
    pub key_alg: Option<&'a [u8]>,
    /// Key exchange group.
    pub group: Option<&'a [u8]>,
    /// Signature scheme of the handshake.
    pub sig_scheme: Option<&'a [u8]>,
    /// The client's certificate in DER.
    pub client_cert: Option<&'a [u8]>,
}

impl SslOut<'_> {
    pub(super) fn push(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let start = out.len();
        out.extend_from_slice(&[kind::SSL, 0, 0, self.client]);
        out.extend_from_slice(&self.verify.to_be_bytes());
        let subs = [
            (kind::SSL_VERSION, self.version),
            (kind::SSL_CN, self.cn),
            (kind::SSL_CIPHER, self.cipher),
            (kind::SSL_SIG_ALG, self.sig_alg),
            (kind::SSL_KEY_ALG, self.key_alg),
            (kind::SSL_GROUP, self.group),
            (kind::SSL_SIG_SCHEME, self.sig_scheme),
            (kind::SSL_CLIENT_CERT, self.client_cert),
        ];
        for (kind, content) in subs {
            if let Some(content) = content {
                push(out, kind, content)?;
            }
        }
        let len = u16::try_from(out.len() - start - 3).map_err(|_| TooLong)?;
        super::put(out, start + 1, &len.to_be_bytes());
        Ok(())
    }
}

pub(super) fn push(out: &mut Vec<u8>, kind: u8, content: &[u8]) -> Result<(), TooLong> {
    let len = u16::try_from(content.len()).map_err(|_| TooLong)?;
    out.push(kind);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(content);
    Ok(())
}

/// CRC32C (Castagnoli, reflected) of `bytes`, going on from `sum` (0 to begin).
pub fn crc32c(sum: u32, bytes: &[u8]) -> u32 {
    !crc_step(!sum, bytes)
}

fn crc_step(mut state: u32, bytes: &[u8]) -> u32 {
    for &b in bytes {
        let cell = usize::from(state as u8 ^ b);
        state = (state >> 8) ^ CRC.get(cell).copied().unwrap_or(0);
    }
    state
}

static CRC: [u32; 256] = crc_table();

#[allow(clippy::indexing_slicing, reason = "runs in the compiler only, where an overrun is a build error")]
const fn crc_table() -> [u32; 256] {
    let mut table = [0u32; 256];
    let mut i = 0;
    while i < 256 {
        let mut state = i as u32;
        let mut bit = 0;
        while bit < 8 {
            state = if state & 1 == 1 { (state >> 1) ^ 0x82f6_3b78 } else { state >> 1 };
            bit += 1;
        }
        table[i] = state;
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32c_check_values() {
        assert_eq!(crc32c(0, b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(0, b""), 0);
        assert_eq!(crc32c(0, &[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(crc32c(0, b"12345"), b"6789"), 0xe306_9283);
    }
}
