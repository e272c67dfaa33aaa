//! Certificates with their keys, from PEM files and directories of them.
//!
//! A file holds key, certificate and chain in any order; the key may stand in a file of the same name with `.key` added.
//! Reading is done by processes that have file rights, at start and (one file at a time) when a certificate is asked for.

use std::path::{Path, PathBuf};

use lighterman_sys::tls::Credentials;
use lighterman_wire::x509::{self, KeyMark};
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::x509::{X509VerifyResult, X509};

use super::files::{CrtBytes, Files, Part, FILE_MAX};
use super::ocsp::{self, Mark};
use super::pem::{self, Kind, PemFault};
use super::staple::{is_timestamp_list, OcspFault, Staple};
use crate::conf::reader::why;
use crate::plan::crt::{CrtFiles, Extras};

/// What decides which clients can use a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA, in either padding.
    Rsa,
    /// Elliptic curves, Edwards curves included.
    Ec,
}

/// One certificate, ready to be shown.
pub struct Cert {
    /// Where it was read.
    pub file: PathBuf,
    /// Names it is for, in lower case: DNS names of the subject alternative names, or the common name when there are none.
    pub names: Vec<String>,
    /// Its key.
    pub kind: KeyKind,
    /// The certificate itself, DER.
    pub leaf: Vec<u8>,
    /// Its issuer and number, for answers that come at run time.
    pub mark: Mark,
    /// What the library shows.
    pub credentials: Credentials,
    /// What is stapled while it counts.
    pub staple: Option<Staple>,
    /// Timestamps of transparency logs, as the extension carries them.
    pub timestamps: Option<Vec<u8>>,
    /// What is wrong with it that does not make it useless.
    pub notes: Vec<CertError>,
}

/// What is wrong with one file.
#[derive(Debug)]
pub struct CertError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub fault: CertFault,
}

/// Ways in which a certificate file is useless.
#[derive(Debug)]
pub enum CertFault {
    /// It cannot be read.
    Unreadable(std::io::Error),
    /// Larger than any certificate file.
    TooLarge,
    /// A device, a pipe or a socket.
    NoFile,
    /// Not PEM.
    Pem(PemFault),
    /// No certificate inside.
    NoCertificate,
    /// A certificate that does not parse; its position from 1.
    BadCertificate(usize),
    /// No key inside, nor where it was looked for.
    NoKey(Option<PathBuf>),
    /// A key that does not parse.
    BadKey,
    /// A key under a passphrase.
    EncryptedKey,
    /// A key of a kind TLS does not use here.
    KeyKind(&'static str),
    /// The key belongs to none of the certificates.
    Mismatch,
    /// The library refuses the pair.
    Refused,
    /// No client can ask for it.
    NoNames,
    /// The OCSP answer is not stapled.
    Ocsp(OcspFault),
    /// The timestamps are none.
    Timestamps,
    /// It did not sign the certificate.
    Issuer,
    /// No revocation list inside.
    NoRevocations,
    /// There are more certificates than an index holds.
    Full,
}

impl std::error::Error for CertError {}

/// What an EC key and what belongs to a certificate in the library take, measured; an RSA key takes three times as much.
const KEY_BYTES: usize = 2400;

impl Cert {
    /// Bytes of memory it takes, about. Intermediates are shared with other certificates and not counted.
    pub fn weight(&self) -> usize {
        let names: usize = self.names.iter().map(|name| name.len() + size_of::<String>()).sum();
        let sides = self.staple.as_ref().map_or(0, |staple| staple.bytes.len())
            + self.timestamps.as_ref().map_or(0, Vec::len);
        let key = match self.kind {
            KeyKind::Ec => KEY_BYTES,
            KeyKind::Rsa => 3 * KEY_BYTES,
        };
        size_of::<Cert>() + self.file.as_os_str().len() + 2 * self.leaf.len() + names + sides + key
    }

    /// The seconds since 1970 between which it is valid.
    pub fn validity(&self) -> (i64, i64) {
        x509::Certificate::parse(&self.leaf).map_or((0, i64::MAX), |cert| (cert.not_before, cert.not_after))
    }

    /// Why its OCSP answer is not stapled now, if so.
    pub fn stale(&self, now_s: u64) -> Option<CertError> {
        let staple = self.staple.as_ref()?;
        let fault = staple.judge(now_s).err()?;
        Some(CertError { file: staple.file.clone(), fault: CertFault::Ocsp(fault) })
    }
}

impl std::fmt::Display for CertError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.fault)
    }
}

impl std::fmt::Display for CertFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CertFault::Unreadable(error) => write!(f, "cannot be read: {}", why(error)),
            CertFault::TooLarge => {
                write!(f, "larger than {} MB, this is no certificate file", FILE_MAX >> 20)
            }
            CertFault::NoFile => write!(f, "this is a device, a pipe or a socket, no file"),
            CertFault::Pem(fault) => write!(f, "{fault}"),
            CertFault::NoCertificate => write!(f, "no certificate inside"),
            CertFault::BadCertificate(n) => write!(f, "certificate number {n} cannot be parsed"),
            CertFault::NoKey(Some(beside)) => {
                write!(f, "no private key, neither inside nor in {}", beside.display())
            }
            CertFault::NoKey(None) => write!(f, "no private key inside"),
            CertFault::BadKey => write!(f, "the private key cannot be parsed"),
            CertFault::EncryptedKey => {
                write!(f, "the private key is encrypted; store it without a passphrase")
            }
            CertFault::KeyKind(kind) => {
                write!(f, "the private key is {kind}; certificates here have RSA or EC keys")
            }
            CertFault::Mismatch => write!(f, "the private key does not belong to the certificate"),
            CertFault::Refused => write!(f, "the TLS library refuses this certificate and key"),
            CertFault::NoNames => write!(f, "no name inside, it is shown only where nothing else fits"),
            CertFault::Ocsp(fault) => write!(f, "{fault}"),
            CertFault::Timestamps => {
                write!(f, "this is no list of certificate timestamps (RFC 6962 section 3.3)")
            }
            CertFault::Issuer => write!(f, "no certificate in it signed this one's certificate"),
            CertFault::NoRevocations => write!(f, "no revocation list (X509 CRL) inside"),
            CertFault::Full => write!(f, "one certificate too many for this index"),
        }
    }
}

/// What an index holds of a certificate file.
#[derive(Debug)]
pub struct Outline {
    /// As in [`Cert`].
    pub names: Vec<String>,
    /// Its key.
    pub kind: KeyKind,
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970.
    pub not_after: i64,
    /// What is wrong with it that does not make it useless.
    pub notes: Vec<CertError>,
}

/// What an index wants to know of a file. Much cheaper than [`build`] where the files are as usual, and as strict: whatever is
/// not plain to see is left to the TLS library.
pub fn outline(bytes: CrtBytes, how: &Files, now_s: u64) -> Result<Outline, CertError> {
    let alone = bytes.issuer.is_none() && bytes.ocsp.is_none() && bytes.sctl.is_none();
    if let Some(outline) = glance(&bytes).filter(|_| alone && bytes.faults.is_empty()) {
        return Ok(outline);
    }
    let mut cert = build(bytes, how)?;
    let (not_before, not_after) = cert.validity();
    let mut notes = std::mem::take(&mut cert.notes);
    notes.extend(cert.stale(now_s));
    Ok(Outline { names: cert.names, kind: cert.kind, not_before, not_after, notes })
}

fn glance(bytes: &CrtBytes) -> Option<Outline> {
    let blocks = pem::blocks(&bytes.pem.bytes).ok()?;
    let beside = bytes.key.as_ref().map(|part| pem::blocks(&part.bytes)).transpose().ok()?;
    let key = beside.as_ref().unwrap_or(&blocks).iter().find(|block| block.kind == Kind::Key)?;
    let mark = x509::private_key(&key.der)?;
    let kind = match mark {
        KeyMark::Rsa(_) => KeyKind::Rsa,
        KeyMark::Ec(_) => KeyKind::Ec,
        KeyMark::Dsa => return None,
    };
    let mut leaf = None;
    for block in blocks.iter().filter(|block| block.kind == Kind::Certificate) {
        let certificate = x509::Certificate::parse(&block.der)?;
        if leaf.is_none() && certificate.key == Some(mark) {
            leaf = Some(certificate);
        }
    }
    let leaf = leaf?;
    let text = |name| std::str::from_utf8(name).ok().and_then(tidy);
    let mut names: Vec<String> = leaf.dns_names().filter_map(text).collect();
    if names.is_empty() {
        names.extend(leaf.common_name().ok()?.and_then(text));
    }
    if names.is_empty() {
        return None;
    }
    names.sort_unstable();
    names.dedup();
    let (not_before, not_after) = (leaf.not_before, leaf.not_after);
    Some(Outline { names, kind, not_before, not_after, notes: Vec::new() })
}

/// One certificate with key and chain, and what stands beside it by the default rules.
pub fn load_file(file: &Path) -> Result<Cert, CertError> {
    load_files(&CrtFiles::new(file.to_owned()), &Files::default())
}

/// One certificate with all that belongs to it.
pub fn load_files(files: &CrtFiles, how: &Files) -> Result<Cert, CertError> {
    build(how.read(files)?, how)
}

/// One certificate from text in memory: that of the file, and that of the key file beside it.
pub fn parse(file: &Path, text: &[u8], key_text: Option<&[u8]>) -> Result<Cert, CertError> {
    let part = |bytes: &[u8]| Part { file: file.to_owned(), bytes: bytes.to_owned(), named: true };
    let beside = Some(Extras::default().beside(file, "key")).filter(|_| key_text.is_none());
    let bytes = CrtBytes { pem: part(text), key: key_text.map(part), no_key: beside, ..CrtBytes::default() };
    build(bytes, &Files::default())
}

/// Makes a certificate of what was read.
pub fn build(bytes: CrtBytes, how: &Files) -> Result<Cert, CertError> {
    let file = bytes.pem.file.clone();
    let failed = |fault| CertError { file: file.clone(), fault };
    let inside = blocks(&bytes.pem)?;
    if !inside.iter().any(|block| block.kind == Kind::Certificate) {
        return Err(failed(CertFault::NoCertificate));
    }
    let key = match &bytes.key {
        Some(part) => {
            let lost = |fault| CertError { file: part.file.clone(), fault };
            find_key(&blocks(part)?).and_then(|key| key.ok_or(CertFault::NoKey(None))).map_err(lost)?
        }
        None => {
            let found = find_key(&inside).map_err(failed)?;
            found.ok_or_else(|| failed(CertFault::NoKey(bytes.no_key.clone())))?
        }
    };
    let kind = kind(&key).map_err(failed)?;
    let mut certs = certificates(inside).map_err(failed)?;
    let own = |(x509, _): &(X509, Vec<u8>)| x509.public_key().is_ok_and(|public| public.public_eq(&key));
    let place = certs.iter().position(own).ok_or_else(|| failed(CertFault::Mismatch))?;
    let alone = certs.len() == 1;
    let (x509, leaf) = certs.remove(place);
    let mut notes = bytes.faults;
    if let Some(more) = side(&bytes.issuer, &mut notes, |part| issuers(&x509, part))? {
        let known = |der: &Vec<u8>| certs.iter().any(|(_, known)| known == der);
        let more: Vec<(X509, Vec<u8>)> = more.into_iter().filter(|(_, der)| !known(der)).collect();
        certs.extend(more);
    }
    let mut chain = in_order(&x509, leaf.clone(), certs);
    if alone && chain.len() == 1 {
        chain.extend_from_slice(how.chain_of(&x509));
    }
    let staple = side(&bytes.ocsp, &mut notes, |part| {
        Staple::of(&x509, &part.file, &part.bytes).map_err(CertFault::Ocsp)
    })?;
    let timestamps = side(&bytes.sctl, &mut notes, |part| match is_timestamp_list(&part.bytes) {
        true => Ok(part.bytes.clone()),
        false => Err(CertFault::Timestamps),
    })?;
    let names = names(&x509);
    if names.is_empty() {
        notes.push(failed(CertFault::NoNames));
    }
    let credentials = Credentials::new(&chain, key).ok_or_else(|| failed(CertFault::Refused))?;
    let mark = ocsp::mark(&x509);
    Ok(Cert { file, names, kind, leaf, mark, credentials, staple, timestamps, notes })
}

/// Which of these certificates the key belongs to, which stands in one of the texts; the first when there is none.
pub fn own_place(certs: &[X509], pem: Option<&[u8]>, key: Option<&[u8]>) -> usize {
    let texts = [key, pem].into_iter().flatten();
    let key = texts.filter_map(|text| find_key(&pem::blocks(text).ok()?).ok()?).next();
    let own = |x509: &X509| {
        key.as_ref().is_some_and(|key| x509.public_key().is_ok_and(|public| public.public_eq(key)))
    };
    certs.iter().position(own).unwrap_or(0)
}

/// Reads one of the files that stand beside a certificate. What is wrong with it is fatal only when the configuration names
/// it: otherwise the certificate goes without.
fn side<T>(
    part: &Option<Part>,
    notes: &mut Vec<CertError>,
    read: impl FnOnce(&Part) -> Result<T, CertFault>,
) -> Result<Option<T>, CertError> {
    let Some(part) = part else { return Ok(None) };
    match read(part) {
        Ok(value) => Ok(Some(value)),
        Err(fault) if part.named => Err(CertError { file: part.file.clone(), fault }),
        Err(fault) => {
            notes.push(CertError { file: part.file.clone(), fault });
            Ok(None)
        }
    }
}

fn blocks(part: &Part) -> Result<Vec<pem::Block>, CertError> {
    let damaged = |fault| CertError { file: part.file.clone(), fault: CertFault::Pem(fault) };
    pem::blocks(&part.bytes).map_err(damaged)
}

/// The certificates of an `.issuer` file; the first that fits must have signed the leaf.
fn issuers(leaf: &X509, part: &Part) -> Result<Vec<(X509, Vec<u8>)>, CertFault> {
    let blocks = pem::blocks(&part.bytes).map_err(CertFault::Pem)?;
    let certs = certificates(blocks)?;
    match certs.iter().any(|(x509, _)| x509.issued(leaf) == X509VerifyResult::OK) {
        // A root is what clients have already.
        true => Ok(certs.into_iter().filter(|(x509, _)| !same_name(x509, x509)).collect()),
        false if certs.is_empty() => Err(CertFault::NoCertificate),
        false => Err(CertFault::Issuer),
    }
}

fn certificates(blocks: Vec<pem::Block>) -> Result<Vec<(X509, Vec<u8>)>, CertFault> {
    let mut certs = Vec::new();
    for block in blocks.into_iter().filter(|block| block.kind == Kind::Certificate) {
        let x509 = X509::from_der(&block.der).map_err(|_| CertFault::BadCertificate(certs.len() + 1))?;
        certs.push((x509, block.der));
    }
    Ok(certs)
}

fn find_key(blocks: &[pem::Block]) -> Result<Option<PKey<Private>>, CertFault> {
    let key = blocks.iter().find(|block| block.kind == Kind::Key);
    match key {
        Some(block) => PKey::private_key_from_der(&block.der).map(Some).map_err(|_| CertFault::BadKey),
        None if blocks.iter().any(|block| block.kind == Kind::EncryptedKey) => Err(CertFault::EncryptedKey),
        None => Ok(None),
    }
}

fn kind(key: &PKey<Private>) -> Result<KeyKind, CertFault> {
    match key.id() {
        Id::RSA | Id::RSA_PSS => Ok(KeyKind::Rsa),
        Id::EC | Id::ED25519 => Ok(KeyKind::Ec),
        Id::DSA => Err(CertFault::KeyKind("a DSA key")),
        _ => Err(CertFault::KeyKind("of another kind")),
    }
}

/// The leaf, its issuer, that one's issuer and so on (RFC 5246 section 7.4.2 wants this order); then what does not link up,
/// in the order of the file.
fn in_order(leaf: &X509, der: Vec<u8>, mut certs: Vec<(X509, Vec<u8>)>) -> Vec<Vec<u8>> {
    let mut last = leaf.clone();
    let mut chain = vec![der];
    while let Some(next) = certs.iter().position(|(x509, _)| same_name(x509, &last)) {
        let (x509, der) = certs.remove(next);
        chain.push(der);
        last = x509;
    }
    chain.extend(certs.into_iter().map(|(_, der)| der));
    chain
}

fn same_name(issuer: &X509, issued: &X509) -> bool {
    issuer.subject_name().try_cmp(issued.issuer_name()).is_ok_and(std::cmp::Ordering::is_eq)
}

fn names(x509: &X509) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in x509.subject_alt_names().iter().flatten() {
        names.extend(name.dnsname().and_then(tidy));
    }
    if names.is_empty() {
        let common = x509.subject_name().entries_by_nid(Nid::COMMONNAME).last();
        let text = common.and_then(|entry| entry.data().to_string().ok());
        names.extend(text.and_then(|text| tidy(&text)));
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// A name as it is looked up: lower case, no dot at the end. `None` for what no client can ask for.
fn tidy(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let fits = (1..=253).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
