//! What fetches, logs and PROXY headers ask about a TLS connection. Worked out when asked for.

use openssl::nid::Nid;
use openssl::ssl::NameType;
use openssl::x509::{X509Name, X509};

use super::engine::TlsEngine;
use crate::expr::view::{HelloFacts, TlsView};
use lighterman_sys::tls::cipher_name;

/// Authorities above a chain at most.
const CHAIN_MAX: usize = 8;

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

    fn peer_root(&self) -> Option<X509Name> {
        let ssl = self.conn()?.ssl();
        // on this side the library leaves the client's own certificate out of the chain
        let last = ssl.peer_cert_chain().and_then(|chain| chain.iter().last());
        let mut name = match last {
            Some(cert) => cert.issuer_name().to_owned().ok()?,
            None => ssl.peer_certificate()?.issuer_name().to_owned().ok()?,
        };
        let policy = self.policy();
        let known = policy.as_ref().map_or(&[][..], |policy| &policy.believed);
        for _ in 0..CHAIN_MAX {
            let same = |cert: &&X509| {
                cert.subject_name().try_cmp(&name).is_ok_and(|order| order == std::cmp::Ordering::Equal)
            };
            let Some(authority) = known.iter().find(same) else { break };
            let above = authority.issuer_name();
            if above.try_cmp(&name).is_ok_and(|order| order == std::cmp::Ordering::Equal) {
                break;
            }
            name = above.to_owned().ok()?;
        }
        Some(name)
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

    fn hello(&self) -> Option<&HelloFacts> {
        self.captured()
    }

    fn session_key(&self) -> Option<Vec<u8>> {
        let session = self.conn()?.ssl().session()?;
        let mut key = vec![0; session.master_key_len()];
        let len = session.master_key(&mut key);
        key.truncate(len);
        (!key.is_empty()).then_some(key)
    }

    fn unique(&self) -> Option<Vec<u8>> {
        let ssl = self.conn()?.ssl();
        // the first Finished counts: the client's in a full handshake, the server's when a session is resumed
        let clients = !ssl.session_reused();
        let mut bytes = vec![0; 64];
        let len = match clients == self.is_front() {
            true => ssl.peer_finished(&mut bytes),
            false => ssl.finished(&mut bytes),
        };
        bytes.truncate(len);
        (!bytes.is_empty()).then_some(bytes)
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
