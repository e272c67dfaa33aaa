//! The text form of keys and certificates (RFC 7468): blocks between BEGIN and END lines, whatever stands around them.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;

/// One block, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What the BEGIN line says.
    pub kind: Kind,
    /// The DER inside; empty for encrypted keys, which are not decoded.
    pub der: Vec<u8>,
}

/// Kinds of blocks that mean something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A certificate.
    Certificate,
    /// A private key in the clear (PKCS#8, PKCS#1 or SEC 1).
    Key,
    /// A private key under a passphrase, in either form.
    EncryptedKey,
    /// A revocation list.
    Crl,
    /// Parameters and other things that are passed over.
    Other,
}

/// Why a text is not PEM; with the line of the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PemFault {
    /// A BEGIN without its END.
    Open {
        /// Line of the BEGIN, from 1.
        line: usize,
    },
    /// What stands inside is not base64.
    Base64 {
        /// Line of the BEGIN, from 1.
        line: usize,
    },
}

/// All blocks of a text in order. Text outside of blocks is comment.
pub fn blocks(text: &[u8]) -> Result<Vec<Block>, PemFault> {
    let mut found = Vec::new();
    let mut open: Option<Open<'_>> = None;
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        match &mut open {
            None => {
                if let Some(label) = label(line, b"-----BEGIN ") {
                    open = Some(Open { label, line: index + 1, body: Vec::new(), encrypted: false });
                }
            }
            Some(block) => match label(line, b"-----END ") {
                Some(end) if end == block.label => {
                    found.push(block.close()?);
                    open = None;
                }
                Some(_) => return Err(PemFault::Open { line: block.line }),
                None => block.add(line),
            },
        }
    }
    match open {
        Some(block) => Err(PemFault::Open { line: block.line }),
        None => Ok(found),
    }
}

struct Open<'t> {
    label: &'t [u8],
    line: usize,
    body: Vec<u8>,
    encrypted: bool,
}

impl Open<'_> {
    fn add(&mut self, line: &[u8]) {
        if line.contains(&b':') {
            // A header of the old form; only one matters.
            self.encrypted |= line.starts_with(b"Proc-Type:") && line.ends_with(b"ENCRYPTED");
        } else {
            self.body.extend_from_slice(line);
        }
    }

    fn close(&self) -> Result<Block, PemFault> {
        let kind = match self.label {
            b"CERTIFICATE" | b"X509 CERTIFICATE" | b"TRUSTED CERTIFICATE" => Kind::Certificate,
            b"ENCRYPTED PRIVATE KEY" => Kind::EncryptedKey,
            label if label.ends_with(b"PRIVATE KEY") && self.encrypted => Kind::EncryptedKey,
            label if label.ends_with(b"PRIVATE KEY") => Kind::Key,
            b"X509 CRL" => Kind::Crl,
            _ => Kind::Other,
        };
        if matches!(kind, Kind::EncryptedKey | Kind::Other) {
            return Ok(Block { kind, der: Vec::new() });
        }
        match STANDARD.decode(&self.body) {
            Ok(der) => Ok(Block { kind, der }),
            Err(_) => Err(PemFault::Base64 { line: self.line }),
        }
    }
}

fn label<'t>(line: &'t [u8], begin: &[u8]) -> Option<&'t [u8]> {
    line.strip_prefix(begin)?.strip_suffix(b"-----")
}

impl std::fmt::Display for PemFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PemFault::Open { line } => write!(f, "the PEM block that begins in line {line} has no end"),
            PemFault::Base64 { line } => write!(f, "the PEM block that begins in line {line} is damaged"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_between_anything() {
        let text = b"comment\r\n-----BEGIN CERTIFICATE-----\r\nAAEC\r\nAwQ=\r\n-----END CERTIFICATE-----\r\n\
            -----BEGIN EC PARAMETERS-----\n!!\n-----END EC PARAMETERS-----\n\
            -----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n\
            -----END RSA PRIVATE KEY-----\n-----BEGIN PRIVATE KEY-----\nBQ==\n-----END PRIVATE KEY-----";
        let got = blocks(text).unwrap();
        let kinds: Vec<Kind> = got.iter().map(|block| block.kind).collect();
        assert_eq!(kinds, [Kind::Certificate, Kind::Other, Kind::EncryptedKey, Kind::Key]);
        assert_eq!((got[0].der.as_slice(), got[3].der.as_slice()), (&[0, 1, 2, 3, 4][..], &[5][..]));
        assert_eq!(blocks(b"nothing here").unwrap(), []);
    }

    #[test]
    fn damage_is_located() {
        let rows: &[(&[u8], PemFault)] = &[
            (b"\n-----BEGIN CERTIFICATE-----\nAAAA\n", PemFault::Open { line: 2 }),
            (b"-----BEGIN CERTIFICATE-----\n-----END PRIVATE KEY-----\n", PemFault::Open { line: 1 }),
            (b"-----BEGIN CERTIFICATE-----\nAA*A\n-----END CERTIFICATE-----", PemFault::Base64 { line: 1 }),
            (b"-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----", PemFault::Base64 { line: 1 }),
        ];
        for (text, fault) in rows {
            assert_eq!(blocks(text), Err(*fault));
        }
    }
}
