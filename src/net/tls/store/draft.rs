//! What commands have set for a certificate and not put in force yet: one at a time, in the process with the command socket.

use super::raw::Parts;
use super::Store;
use crate::net::tls::certs::{self, Cert, CertError, CertFault};
use crate::net::tls::files::{CrtBytes, Files, Part};
use crate::net::tls::pem::{self, Kind};

/// The parts of a certificate by the endings of their names, in the order of [`Parts`].
pub const PARTS: [&str; 5] = ["", ".key", ".ocsp", ".issuer", ".sctl"];

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// What the certificate is called.
    pub name: String,
    /// What it shall be.
    pub parts: Parts,
}

impl Draft {
    /// Replaces a part. A certificate that comes without a key keeps the one that is there.
    pub fn set(&mut self, part: usize, bytes: Vec<u8>) {
        if part == 0 {
            let keeps = !holds_key(&bytes);
            let [pem, key, ..] = &mut self.parts;
            if keeps {
                *key = key.take().or_else(|| pem.as_deref().filter(|pem| holds_key(pem)).map(<[u8]>::to_vec));
            } else {
                *key = None;
            }
        }
        if let Some(known) = self.parts.get_mut(part) {
            *known = Some(bytes);
        }
    }

    /// The certificate it makes, if it makes one.
    pub fn build(&self, how: &Files) -> Result<Cert, CertError> {
        build(&self.name, &self.parts, how)
    }

    /// Whether there is a certificate, and a key.
    pub fn is_whole(&self) -> bool {
        let [pem, key, ..] = &self.parts;
        let has_cert = |text: &[u8]| {
            pem::blocks(text).is_ok_and(|blocks| blocks.iter().any(|b| b.kind == Kind::Certificate))
        };
        let keyed = pem.as_deref().is_some_and(holds_key) || key.is_some();
        keyed && pem.as_deref().is_some_and(has_cert)
    }
}

fn holds_key(pem: &[u8]) -> bool {
    memchr::memmem::find(pem, b"PRIVATE KEY-----").is_some()
}

/// The certificate these parts make.
pub fn build(name: &str, parts: &Parts, how: &Files) -> Result<Cert, CertError> {
    if parts.first().is_none_or(Option::is_none) {
        return Err(CertError { file: name.into(), fault: CertFault::NoCertificate });
    }
    certs::build(crt_bytes(name, parts), how)
}

/// These parts as the files of a certificate.
pub fn crt_bytes(name: &str, parts: &Parts) -> CrtBytes {
    let part = |bytes: Vec<u8>| Part { file: name.into(), bytes, named: false };
    let [pem, key, ocsp, issuer, sctl] = parts.clone().map(|bytes| bytes.map(part));
    CrtBytes { pem: pem.unwrap_or_default(), key, issuer, ocsp, sctl, ..CrtBytes::default() }
}

impl Store {
    /// What was set and is not in force yet.
    pub fn draft(&self) -> Option<Draft> {
        self.desk().draft.clone()
    }

    /// Keeps what was set, or forgets it.
    pub fn set_draft(&self, draft: Option<Draft>) {
        self.desk().draft = draft;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_without_a_key_keeps_the_one_that_is_there() {
        let key = |n: u8| format!("-----BEGIN PRIVATE KEY-----\nAAA{n}\n-----END PRIVATE KEY-----\n");
        let cert = |n: u8| format!("-----BEGIN CERTIFICATE-----\nAAA{n}\n-----END CERTIFICATE-----\n");
        let both = |n| cert(n) + &key(n);
        // (what is there, the part that is set, what it is set to, what is there afterwards)
        let rows: &[([Option<String>; 2], usize, String, [Option<String>; 2])] = &[
            ([None, None], 0, cert(1), [Some(cert(1)), None]),
            ([None, None], 1, key(1), [None, Some(key(1))]),
            ([Some(both(1)), None], 0, cert(2), [Some(cert(2)), Some(both(1))]),
            ([Some(both(1)), None], 0, both(2), [Some(both(2)), None]),
            ([Some(cert(1)), Some(key(1))], 0, cert(2), [Some(cert(2)), Some(key(1))]),
            ([Some(cert(1)), Some(key(1))], 0, both(2), [Some(both(2)), None]),
            ([Some(both(1)), None], 1, key(2), [Some(both(1)), Some(key(2))]),
        ];
        let bytes = |texts: &[Option<String>; 2]| texts.clone().map(|text| text.map(String::into_bytes));
        for (before, part, set, after) in rows {
            let [pem, key] = bytes(before);
            let mut draft = Draft { name: "a".to_owned(), parts: [pem, key, None, None, None] };
            draft.set(*part, set.clone().into_bytes());
            let [pem, key, ..] = &draft.parts;
            assert_eq!([pem.clone(), key.clone()], bytes(after), "{before:?} {part} {set}");
            let whole = after[0].is_some() && (after[1].is_some() || after[0] == Some(both(2)));
            assert_eq!(draft.is_whole(), whole, "{after:?}");
        }
    }
}
