//! Certificates made on the spot, TLS clients with control over sessions, TLS contexts for servers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use openssl::asn1::{Asn1Object, Asn1OctetString, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslSession, SslSessionCacheMode, SslVerifyMode,
    SslVersion, StatusType,
};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::{X509Extension, X509NameBuilder, X509};

use lighterman_sys::resume::offer_session;

use crate::{Peer, LIMIT};

/// A certificate and its key.
#[derive(Clone)]
pub struct Cert {
    /// The certificate.
    pub x509: X509,
    /// Its private key.
    pub key: PKey<Private>,
}

/// Kind of key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// P-256.
    Ecdsa,
    /// RSA-2048.
    Rsa,
}

/// What a certificate is made for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Server,
    Authority,
}

/// A DER value: tag, length, and these parts.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let len = match body.len() {
        n @ ..128 => vec![n as u8],
        n @ ..256 => vec![0x81, n as u8],
        n => vec![0x82, (n >> 8) as u8, n as u8],
    };
    [&[tag], len.as_slice(), &body].concat()
}

/// The extension that says where to ask about a certificate (RFC 5280 4.2.2.1).
fn where_to_ask(url: &str) -> X509Extension {
    let oid = Asn1Object::from_str("1.3.6.1.5.5.7.1.1").unwrap();
    let ocsp = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x01";
    let text = der(0x30, &[&der(0x30, &[ocsp, &der(0x86, &[url.as_bytes()])])]);
    X509Extension::new_from_der(&oid, false, &Asn1OctetString::new_from_bytes(&text).unwrap()).unwrap()
}

/// A time as GeneralizedTime has it.
fn generalized(unix_s: u64) -> String {
    let (days, second) = ((unix_s / 86_400) as i64, unix_s % 86_400);
    // days since 0000-03-01, by eras of 400 years
    let day = days + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (date, month) = (of_year - (153 * shifted + 2) / 5 + 1, (shifted + 2) % 12 + 1);
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{date:02}{hour:02}{minute:02}{second:02}Z")
}

impl Cert {
    /// Self-signed, P-256, for these names (the first is the common name).
    pub fn new(names: &[&str]) -> Cert {
        Cert::make(names, Kind::Ecdsa, None, Use::Server, 30)
    }

    /// Self-signed with an RSA key.
    pub fn rsa(names: &[&str]) -> Cert {
        Cert::make(names, Kind::Rsa, None, Use::Server, 30)
    }

    /// An authority.
    pub fn authority(name: &str) -> Cert {
        Cert::make(&[name], Kind::Ecdsa, None, Use::Authority, 30)
    }

    /// A certificate signed by this authority.
    pub fn issue(&self, names: &[&str]) -> Cert {
        Cert::make(names, Kind::Ecdsa, Some(self), Use::Server, 30)
    }

    /// An authority below this one.
    pub fn issue_authority(&self, name: &str) -> Cert {
        Cert::make(&[name], Kind::Ecdsa, Some(self), Use::Authority, 30)
    }

    /// A certificate signed by this authority that ended yesterday.
    pub fn issue_expired(&self, names: &[&str]) -> Cert {
        Cert::make(names, Kind::Ecdsa, Some(self), Use::Server, -1)
    }

    /// A certificate signed by this authority that ends in so many days.
    pub fn issue_for(&self, names: &[&str], days: i64) -> Cert {
        Cert::make(names, Kind::Ecdsa, Some(self), Use::Server, days)
    }

    /// A certificate signed by this authority that says where to ask about it (OCSP).
    pub fn issue_asking(&self, names: &[&str], responder: &str) -> Cert {
        Cert::make_with(names, Kind::Ecdsa, Some(self), Use::Server, (30, responder))
    }

    /// What this authority says of a certificate (RFC 6960 4.2.1), DER: 0 good, 1 revoked, 2 not known; for the time from
    /// `this` to `next`, seconds since 1970, without end when that is 0.
    pub fn answer(&self, cert: &Cert, status: u8, this: u64, next: u64) -> Vec<u8> {
        let date = |time: u64| der(0x18, &[generalized(time).as_bytes()]);
        let key = self.key.public_key_to_der().unwrap();
        // the last 65 bytes of a P-256 key are the point
        let key = openssl::sha::sha1(&key[key.len() - 65..]);
        let name = openssl::sha::sha1(&self.x509.subject_name().to_der().unwrap());
        let serial = cert.x509.serial_number().to_bn().unwrap().to_vec();
        let sign: &[u8] = if serial.first().is_some_and(|byte| *byte >= 0x80) { &[0] } else { &[] };
        let sha1 = der(0x30, &[b"\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00"]);
        let id = der(0x30, &[&sha1, &der(4, &[&name]), &der(4, &[&key]), &der(2, &[sign, &serial])]);
        let said = match status {
            0 => der(0x80, &[]),
            1 => der(0xa1, &[&date(this)]),
            _ => der(0x82, &[]),
        };
        let until = if next == 0 { Vec::new() } else { der(0xa0, &[&date(next)]) };
        let single = der(0x30, &[&id, &said, &date(this), &until]);
        let data = der(0x30, &[&der(0xa2, &[&der(4, &[&key])]), &date(this), &der(0x30, &[&single])]);
        let algorithm = der(0x30, &[b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"]); // ecdsa-with-SHA256
        let signature =
            Signer::new(MessageDigest::sha256(), &self.key).unwrap().sign_oneshot_to_vec(&data).unwrap();
        let basic = der(0x30, &[&data, &algorithm, &der(0x03, &[&[0], &signature])]);
        let typed = der(0x30, &[b"\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x01", &der(4, &[&basic])]);
        der(0x30, &[b"\x0a\x01\x00", &der(0xa0, &[&typed])])
    }

    /// The list of what this authority has revoked (RFC 5280 section 5), PEM.
    pub fn revoke(&self, revoked: &[&Cert]) -> Vec<u8> {
        let algorithm = der(0x30, &[b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"]); // ecdsa-with-SHA256
        let date = |text: &[u8]| der(0x17, &[text]);
        let entry = |cert: &&Cert| {
            let serial = cert.x509.serial_number().to_bn().unwrap().to_vec();
            // a number is positive when its first bit is not set
            let sign: &[u8] = if serial.first().is_some_and(|byte| *byte >= 0x80) { &[0] } else { &[] };
            der(0x30, &[&der(0x02, &[sign, &serial]), &date(b"250101000000Z")])
        };
        let entries: Vec<u8> = revoked.iter().flat_map(entry).collect();
        let entries = if entries.is_empty() { entries } else { der(0x30, &[&entries]) };
        let issuer = self.x509.subject_name().to_der().unwrap();
        let (now, next) = (date(b"250101000000Z"), date(b"491231235959Z"));
        let list = der(0x30, &[b"\x02\x01\x01", &algorithm, &issuer, &now, &next, &entries]);
        let signature =
            Signer::new(MessageDigest::sha256(), &self.key).unwrap().sign_oneshot_to_vec(&list).unwrap();
        let whole = der(0x30, &[&list, &algorithm, &der(0x03, &[&[0], &signature])]);
        let text = openssl::base64::encode_block(&whole);
        format!("-----BEGIN X509 CRL-----\n{text}\n-----END X509 CRL-----\n").into_bytes()
    }

    fn make(names: &[&str], kind: Kind, issuer: Option<&Cert>, made_for: Use, days: i64) -> Cert {
        Cert::make_with(names, kind, issuer, made_for, (days, ""))
    }

    fn make_with(
        names: &[&str],
        kind: Kind,
        issuer: Option<&Cert>,
        made_for: Use,
        (days, responder): (i64, &str),
    ) -> Cert {
        let key = match kind {
            Kind::Rsa => PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(),
            Kind::Ecdsa => {
                let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
                PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
            }
        };
        let mut name = X509NameBuilder::new().unwrap();
        name.append_entry_by_text("CN", names[0]).unwrap();
        let name = name.build();
        let mut serial = BigNum::new().unwrap();
        serial.rand(120, MsbOption::MAYBE_ZERO, false).unwrap();
        let mut x509 = X509::builder().unwrap();
        x509.set_version(2).unwrap();
        x509.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
        x509.set_subject_name(&name).unwrap();
        x509.set_issuer_name(issuer.map_or(&name, |i| i.x509.subject_name())).unwrap();
        let now_s =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
        let day = |days: i64| Asn1Time::from_unix(now_s + days * 86_400).unwrap();
        x509.set_not_before(&day(days.min(1) - 1)).unwrap();
        x509.set_not_after(&day(days)).unwrap();
        x509.set_pubkey(&key).unwrap();
        if made_for == Use::Authority {
            x509.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        } else {
            let mut alt = SubjectAlternativeName::new();
            for name in names {
                match name.parse::<std::net::IpAddr>() {
                    Ok(_) => alt.ip(name),
                    Err(_) => alt.dns(name),
                };
            }
            let alt = alt.build(&x509.x509v3_context(None, None)).unwrap();
            x509.append_extension(alt).unwrap();
            if !responder.is_empty() {
                x509.append_extension(where_to_ask(responder)).unwrap();
            }
        }
        x509.sign(issuer.map_or(&key, |i| &i.key), MessageDigest::sha256()).unwrap();
        Cert { x509: x509.build(), key }
    }

    /// What was stapled to the certificate of a peer, for clients that asked ([`Settings::status`]).
    pub fn stapled(peer: &Peer) -> Option<Vec<u8>> {
        lighterman_sys::tls::stapled(peer.tls())
    }

    /// The common name that a peer showed.
    #[track_caller]
    pub fn name_of(peer: &Peer) -> String {
        let cert = peer.tls().peer_certificate().expect("the server showed a certificate");
        let name = cert.subject_name().entries().next().expect("a subject");
        String::from_utf8_lossy(name.data().as_slice()).into_owned()
    }

    /// Key and certificate in one PEM, as `crt` reads it.
    pub fn pem(&self) -> Vec<u8> {
        [self.key_pem(), self.cert_pem()].concat()
    }

    /// The certificate alone.
    pub fn cert_pem(&self) -> Vec<u8> {
        self.x509.to_pem().unwrap()
    }

    /// The key alone.
    pub fn key_pem(&self) -> Vec<u8> {
        self.key.private_key_to_pem_pkcs8().unwrap()
    }

    /// A context for a TLS server of the test's own.
    pub fn server(&self) -> SslContext {
        let mut context = self.context();
        context.set_session_id_context(b"origin").unwrap();
        context.build()
    }

    /// The same, asking the client for a certificate of this authority.
    pub fn server_that_asks(&self, authority: &Cert) -> SslContext {
        let mut context = self.context();
        context.set_session_id_context(b"origin").unwrap();
        let mut store = X509StoreBuilder::new().unwrap();
        store.add_cert(authority.x509.clone()).unwrap();
        context.set_cert_store(store.build());
        context.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        context.build()
    }

    fn context(&self) -> SslContextBuilder {
        let mut context = SslContextBuilder::new(SslMethod::tls()).unwrap();
        context.set_certificate(&self.x509).unwrap();
        context.set_private_key(&self.key).unwrap();
        context
    }
}

/// A TLS client; connections made by one `Client` share its settings and its last session.
pub struct Client {
    context: SslContext,
    sessions: Arc<Mutex<Vec<SslSession>>>,
    sni: Option<String>,
    resume: bool,
    status: bool,
}

/// Settings of a client in the making.
pub struct Settings {
    context: SslContextBuilder,
    sni: Option<String>,
    resume: bool,
    status: bool,
}

impl Client {
    /// A client that takes any certificate, TLS 1.2 or 1.3.
    #[allow(clippy::new_ret_no_self, reason = "it begins a builder")]
    pub fn new() -> Settings {
        let mut context = SslContextBuilder::new(SslMethod::tls()).unwrap();
        context.set_verify(SslVerifyMode::NONE);
        Settings { context, sni: None, resume: false, status: false }
    }

    /// Connects and shakes hands.
    #[track_caller]
    pub fn connect(&self, addr: SocketAddr) -> Peer {
        self.over(Peer::connect(addr))
    }

    /// Shakes hands over a connection that has already said something (a PROXY header).
    #[track_caller]
    pub fn over(&self, peer: Peer) -> Peer {
        self.try_over(peer).unwrap_or_else(|e| panic!("TLS handshake: {e}"))
    }

    /// Connects and tries to shake hands; the reason why not.
    pub fn try_connect(&self, addr: SocketAddr) -> Result<Peer, String> {
        self.try_over(Peer::try_connect(addr).map_err(|e| e.to_string())?)
    }

    fn try_over(&self, peer: Peer) -> Result<Peer, String> {
        let sock = peer.into_tcp();
        sock.set_read_timeout(Some(LIMIT)).map_err(|e| e.to_string())?;
        sock.set_write_timeout(Some(LIMIT)).map_err(|e| e.to_string())?;
        let mut ssl = Ssl::new(&self.context).unwrap();
        if let Some(name) = &self.sni {
            ssl.set_hostname(name).unwrap();
        }
        if self.status {
            ssl.set_status_type(StatusType::OCSP).unwrap();
        }
        if self.resume {
            if let Some(session) = self.sessions.lock().unwrap().last() {
                offer_session(&mut ssl, session).unwrap();
            }
        }
        ssl.connect(sock).map(Peer::from).map_err(|e| e.to_string())
    }

    /// The same client with what it remembers, asking for another name.
    pub fn renamed(mut self, name: &str) -> Client {
        self.sni = Some(name.into());
        self
    }

    /// How many sessions or tickets it was given so far.
    pub fn sessions(&self) -> usize {
        self.sessions.lock().unwrap().len()
    }

    /// Forgets them.
    pub fn forget(&self) {
        self.sessions.lock().unwrap().clear();
    }

    /// Keeps only the oldest, to resume the same one again and again.
    pub fn keep_first(&self) {
        self.sessions.lock().unwrap().truncate(1);
    }
}

impl Settings {
    /// The name to ask for.
    pub fn sni(mut self, name: &str) -> Settings {
        self.sni = Some(name.into());
        self
    }

    /// Only this version.
    pub fn version(mut self, version: SslVersion) -> Settings {
        self.context.set_min_proto_version(Some(version)).unwrap();
        self.context.set_max_proto_version(Some(version)).unwrap();
        self
    }

    /// Protocols offered, most wanted first.
    pub fn alpn(mut self, names: &[&str]) -> Settings {
        let wire: Vec<u8> = names.iter().flat_map(|n| [&[n.len() as u8], n.as_bytes()].concat()).collect();
        self.context.set_alpn_protos(&wire).unwrap();
        self
    }

    /// Cipher suites of TLS 1.2 and before, in OpenSSL's words.
    pub fn ciphers(mut self, list: &str) -> Settings {
        self.context.set_cipher_list(list).unwrap();
        self
    }

    /// Groups for the key exchange, in OpenSSL's words.
    pub fn groups(mut self, list: &str) -> Settings {
        self.context.set_groups_list(list).unwrap();
        self
    }

    /// Shows this certificate when asked.
    pub fn cert(mut self, cert: &Cert) -> Settings {
        self.context.set_certificate(&cert.x509).unwrap();
        self.context.set_private_key(&cert.key).unwrap();
        self
    }

    /// Believes nobody but this authority, and wants to see the name it asks for.
    pub fn trust(mut self, authority: &Cert) -> Settings {
        let mut store = X509StoreBuilder::new().unwrap();
        store.add_cert(authority.x509.clone()).unwrap();
        self.context.set_cert_store(store.build());
        self.context.set_verify(SslVerifyMode::PEER);
        self
    }

    /// Sends this certificate of an authority along.
    pub fn chain(mut self, cert: &Cert) -> Settings {
        self.context.add_extra_chain_cert(cert.x509.clone()).unwrap();
        self
    }

    /// Asks for what the authority says of the certificate (OCSP stapling).
    pub fn status(mut self) -> Settings {
        self.status = true;
        self
    }

    /// Resumes the last session it was given.
    pub fn resume(mut self) -> Settings {
        self.resume = true;
        self
    }

    /// Asks for no ticket: TLS 1.2 resumes by session id then.
    pub fn no_ticket(mut self) -> Settings {
        self.context.set_options(openssl::ssl::SslOptions::NO_TICKET);
        self
    }

    /// The client.
    pub fn build(mut self) -> Client {
        let sessions: Arc<Mutex<Vec<SslSession>>> = Arc::default();
        let kept = sessions.clone();
        self.context.set_session_cache_mode(SslSessionCacheMode::CLIENT | SslSessionCacheMode::NO_INTERNAL);
        self.context.set_new_session_callback(move |_, session| kept.lock().unwrap().push(session));
        Client {
            context: self.context.build(),
            sessions,
            sni: self.sni,
            resume: self.resume,
            status: self.status,
        }
    }
}
