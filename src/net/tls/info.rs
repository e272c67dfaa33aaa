//! What fetches, logs and PROXY headers ask about a TLS connection. Worked out when asked for.

use openssl::nid::Nid;
use openssl::ssl::NameType;
use openssl::x509::X509;

use super::engine::TlsEngine;
use crate::expr::view::TlsView;

impl TlsView for TlsEngine {
    fn version(&self) -> Option<&str> {
        self.conn().filter(|_| self.is_established() || self.early()).map(|conn| conn.ssl().version_str())
    }

    fn cipher(&self) -> Option<&str> {
        self.conn()?.ssl().current_cipher().map(|cipher| cipher_name(cipher.name()))
    }

    fn cipher_bits(&self) -> Option<(i32, i32)> {
        let bits = self.conn()?.ssl().current_cipher()?.bits();
        Some((bits.secret, bits.algorithm))
    }

    fn sni(&self) -> Option<&[u8]> {
        self.conn()?.ssl().servername_raw(NameType::HOST_NAME)
    }

    fn alpn(&self) -> Option<&[u8]> {
        self.conn()?.ssl().selected_alpn_protocol()
    }

    fn resumed(&self) -> bool {
        self.conn().is_some_and(|conn| conn.ssl().session_reused())
    }

    fn session_id(&self) -> Option<Vec<u8>> {
        self.conn()?.ssl().session().map(|session| session.id().to_vec())
    }

    fn curve(&self) -> Option<&str> {
        self.conn()?.group()
    }

    fn peer_cert(&self) -> Option<X509> {
        self.conn()?.ssl().peer_certificate()
    }

    fn peer_chain(&self) -> Option<Vec<u8>> {
        let mut chain = Vec::new();
        for cert in self.conn()?.ssl().peer_cert_chain()? {
            chain.extend(cert.to_der().ok()?);
        }
        Some(chain)
    }

    fn own_cert(&self) -> Option<X509> {
        X509::from_der(&self.shown()?.leaf).ok()
    }

    fn verify(&self) -> (i64, i64, i64) {
        let verified = self.verified();
        (verified.leaf.into(), verified.authority.into(), verified.depth.into())
    }

    fn verify_result(&self) -> i64 {
        self.conn().map_or(0, |conn| conn.ssl().verify_result().as_raw().into())
    }

    fn err(&self) -> i64 {
        self.failure().map_or(0, |failure| failure.code as i64)
    }

    fn early(&self) -> bool {
        self.is_early()
    }

    fn early_rcvd(&self) -> bool {
        self.conn().is_some_and(|conn| conn.took_early())
    }

    fn secret(&self, label: &str) -> Option<Vec<u8>> {
        TlsEngine::secret(self, label).map(<[u8]>::to_vec)
    }

    fn randoms(&self) -> Option<([u8; 32], [u8; 32])> {
        self.conn()?.randoms()
    }
}

/// The common name of the subject, as PROXY headers carry it.
pub fn common_name(cert: &X509) -> Option<String> {
    let entry = cert.subject_name().entries_by_nid(Nid::COMMONNAME).last()?;
    entry.data().to_string().ok()
}

/// Suites of TLS 1.3 by their standard names, as OpenSSL spells them; AWS-LC has a spelling of its own.
fn cipher_name(name: &str) -> &str {
    match name {
        "AEAD-AES128-GCM-SHA256" => "TLS_AES_128_GCM_SHA256",
        "AEAD-AES256-GCM-SHA384" => "TLS_AES_256_GCM_SHA384",
        "AEAD-CHACHA20-POLY1305-SHA256" => "TLS_CHACHA20_POLY1305_SHA256",
        other => other,
    }
}
