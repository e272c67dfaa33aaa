//! Certificates with their keys, from PEM files and directories of them.
//!
//! A file holds key, certificate and chain in any order; the key may stand in a file of the same name with `.key` added.
//! Reading is done by processes that have file rights, at start and (one file at a time) when a certificate is asked for.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lighterman_sys::tls::Credentials;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::x509::X509;

use super::pem::{self, Kind, PemFault};

/// No certificate file is larger: chains are some KB, ten thousand names some hundred.
const FILE_MAX: u64 = 4 << 20;
/// Names beside a certificate that belong to it and are not certificates themselves.
const SIDECARS: &[&str] = &["key", "ocsp", "issuer", "sctl"];

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
    /// What the library shows.
    pub credentials: Credentials,
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
    /// Not PEM.
    Pem(PemFault),
    /// No certificate inside.
    NoCertificate,
    /// A certificate that does not parse; its position from 1.
    BadCertificate(usize),
    /// No key inside nor beside.
    NoKey,
    /// A key that does not parse.
    BadKey,
    /// A key under a passphrase.
    EncryptedKey,
    /// A key of a kind TLS does not use here.
    KeyKind,
    /// The key belongs to none of the certificates.
    Mismatch,
    /// The library refuses the pair.
    Refused,
}

impl std::error::Error for CertError {}

impl std::fmt::Display for CertError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let file = self.file.display();
        match &self.fault {
            CertFault::Unreadable(error) => write!(f, "{file}: cannot be read: {error}"),
            CertFault::TooLarge => {
                write!(f, "{file}: larger than {} MB, this is no certificate file", FILE_MAX >> 20)
            }
            CertFault::Pem(fault) => write!(f, "{file}: {fault}"),
            CertFault::NoCertificate => write!(f, "{file}: no certificate inside"),
            CertFault::BadCertificate(n) => write!(f, "{file}: certificate number {n} cannot be parsed"),
            CertFault::NoKey => write!(f, "{file}: no private key, neither inside nor in {file}.key"),
            CertFault::BadKey => write!(f, "{file}: the private key cannot be parsed"),
            CertFault::EncryptedKey => {
                write!(f, "{file}: the private key is encrypted; store it without a passphrase")
            }
            CertFault::KeyKind => write!(f, "{file}: the private key is neither RSA nor EC"),
            CertFault::Mismatch => write!(f, "{file}: the private key does not belong to the certificate"),
            CertFault::Refused => write!(f, "{file}: the TLS library refuses this certificate and key"),
        }
    }
}

/// The certificates under one `crt`: a file, or all files of a directory. Files that are no good are told apart from the
/// others; it is the caller's decision whether they matter.
pub fn load(path: &Path) -> (Vec<Arc<Cert>>, Vec<CertError>) {
    let files = if path.is_dir() {
        match list(path) {
            Ok(files) => files,
            Err(error) => return (Vec::new(), vec![error]),
        }
    } else {
        vec![path.to_owned()]
    };
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for file in files {
        match load_file(&file) {
            Ok(cert) => good.push(Arc::new(cert)),
            Err(error) => bad.push(error),
        }
    }
    (good, bad)
}

/// The certificate files of a directory in alphabetical order. Hidden files, directories and sidecars are left out.
pub fn list(dir: &Path) -> Result<Vec<PathBuf>, CertError> {
    let failed = |error| CertError { file: dir.to_owned(), fault: CertFault::Unreadable(error) };
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        let sidecar =
            path.extension().and_then(|end| end.to_str()).is_some_and(|end| SIDECARS.contains(&end));
        if !hidden && !sidecar && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// One certificate with key and chain.
pub fn load_file(file: &Path) -> Result<Cert, CertError> {
    let text = read(file)?;
    let beside = beside(file, "key");
    let key_text = match read(&beside) {
        Ok(text) => Some(text),
        Err(CertError { fault: CertFault::Unreadable(error), .. })
            if error.kind() == std::io::ErrorKind::NotFound =>
        {
            None
        }
        Err(error) => return Err(error),
    };
    parse(file, &text, key_text.as_deref())
}

/// One certificate from text in memory: that of the file, and that of the key file beside it.
pub fn parse(file: &Path, text: &[u8], key_text: Option<&[u8]>) -> Result<Cert, CertError> {
    build(file, text, key_text).map_err(|fault| CertError { file: file.to_owned(), fault })
}

fn build(file: &Path, text: &[u8], key_text: Option<&[u8]>) -> Result<Cert, CertFault> {
    let mut blocks = pem::blocks(text).map_err(CertFault::Pem)?;
    if !blocks.iter().any(|block| block.kind == Kind::Certificate) {
        return Err(CertFault::NoCertificate);
    }
    if let Some(key_text) = key_text {
        blocks.extend(pem::blocks(key_text).map_err(CertFault::Pem)?);
    }
    let key = find_key(&blocks)?;
    let kind = match key.id() {
        Id::RSA | Id::RSA_PSS => KeyKind::Rsa,
        Id::EC | Id::ED25519 => KeyKind::Ec,
        _ => return Err(CertFault::KeyKind),
    };
    let mut certs = Vec::new();
    for block in blocks.into_iter().filter(|block| block.kind == Kind::Certificate) {
        let x509 = X509::from_der(&block.der).map_err(|_| CertFault::BadCertificate(certs.len() + 1))?;
        certs.push((x509, block.der));
    }
    let own = |(x509, _): &(X509, Vec<u8>)| x509.public_key().is_ok_and(|public| public.public_eq(&key));
    let leaf = certs.iter().position(own).ok_or(CertFault::Mismatch)?;
    let names = names(&certs.get(leaf).ok_or(CertFault::Mismatch)?.0);
    let chain = in_order(certs, leaf);
    let credentials = Credentials::new(&chain, key).ok_or(CertFault::Refused)?;
    let leaf = chain.into_iter().next().ok_or(CertFault::NoCertificate)?;
    Ok(Cert { file: file.to_owned(), names, kind, leaf, credentials })
}

fn find_key(blocks: &[pem::Block]) -> Result<PKey<Private>, CertFault> {
    let key = blocks.iter().find(|block| block.kind == Kind::Key);
    match key {
        Some(block) => PKey::private_key_from_der(&block.der).map_err(|_| CertFault::BadKey),
        None if blocks.iter().any(|block| block.kind == Kind::EncryptedKey) => Err(CertFault::EncryptedKey),
        None => Err(CertFault::NoKey),
    }
}

/// The leaf, its issuer, that one's issuer and so on (RFC 5246 section 7.4.2 wants this order); then what does not link up,
/// in the order of the file.
fn in_order(mut certs: Vec<(X509, Vec<u8>)>, leaf: usize) -> Vec<Vec<u8>> {
    let (mut last, der) = certs.remove(leaf);
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

/// The file of the same name with an ending added.
pub fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

fn read(file: &Path) -> Result<Vec<u8>, CertError> {
    let failed = |fault| CertError { file: file.to_owned(), fault };
    let unreadable = |error| failed(CertFault::Unreadable(error));
    let handle = fs::File::open(file).map_err(unreadable)?;
    if handle.metadata().map_err(unreadable)?.is_dir() {
        return Err(unreadable(std::io::Error::from(std::io::ErrorKind::IsADirectory)));
    }
    let mut text = Vec::new();
    handle.take(FILE_MAX + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_MAX {
        return Err(failed(CertFault::TooLarge));
    }
    Ok(text)
}

/// Reads any PEM file, bounded like a certificate file.
pub(super) fn read_blocks(file: &Path) -> Result<Vec<pem::Block>, CertError> {
    pem::blocks(&read(file)?)
        .map_err(|fault| CertError { file: file.to_owned(), fault: CertFault::Pem(fault) })
}
