//! The files of a certificate: which ones they are, and their bytes. Used by processes with file rights, at start and (one
//! certificate at a time) when it is asked for.
//!
//! What is named must be there; what is looked for beside a certificate ([`Extras`]) may be missing.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use openssl::x509::{X509VerifyResult, X509};

use super::certs::{CertError, CertFault};
use super::pem::{self, Kind};
use crate::plan::crt::{CrtFiles, Extras};

/// No certificate file is larger: chains are some KB, ten thousand names some hundred.
pub(super) const FILE_MAX: u64 = 4 << 20;
/// Names beside a certificate that belong to it and are not certificates themselves.
pub(super) const SIDECARS: &[&str] = &["key", "ocsp", "issuer", "sctl"];
/// Key kinds a bundle may hold, by the endings of its files.
const BUNDLE: &[&str] = &["rsa", "ecdsa"];

/// One file that was read.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Where.
    pub file: PathBuf,
    /// What it holds.
    pub bytes: Vec<u8>,
    /// The configuration names it, so it must be good.
    pub named: bool,
}

/// All that belongs to one certificate, as it stands on the disk.
#[derive(Debug, Default)]
pub struct CrtBytes {
    /// Certificate, chain and perhaps key.
    pub pem: Part,
    /// The key, when it stands elsewhere.
    pub key: Option<Part>,
    /// Where the key was looked for in vain.
    pub no_key: Option<PathBuf>,
    /// Who signed it.
    pub issuer: Option<Part>,
    /// An OCSP answer.
    pub ocsp: Option<Part>,
    /// Timestamps of logs.
    pub sctl: Option<Part>,
    /// Files beside it that cannot be read.
    pub faults: Vec<CertError>,
}

/// A chain for certificates that come without one.
struct Chain {
    issuer: X509,
    ders: Vec<Vec<u8>>,
}

/// Reads certificates by the rules of a configuration.
#[derive(Default)]
pub struct Files {
    extras: Extras,
    chains: Vec<Chain>,
}

impl Files {
    /// Reads the chains of `issuers-chain-path`, if there is one. Beside it: chains that are no good.
    pub fn new(extras: &Extras) -> Result<(Files, Vec<CertError>), CertError> {
        let mut files = Files { extras: extras.clone(), chains: Vec::new() };
        let mut bad = Vec::new();
        if let Some(dir) = &extras.issuers_chain_path {
            for file in list(dir)? {
                match chain(&file) {
                    Ok(chain) => files.chains.push(chain),
                    Err(error) => bad.push(error),
                }
            }
        }
        Ok((files, bad))
    }

    /// The files `crt <path>` means when it is no directory: itself, or those of a bundle.
    pub fn bundle(&self, path: &Path) -> Vec<PathBuf> {
        if self.extras.bundle && !path.exists() {
            let ending = |kind: &&str| {
                let mut name = path.as_os_str().to_owned();
                name.push(".");
                name.push(kind);
                PathBuf::from(name)
            };
            let found: Vec<PathBuf> = BUNDLE.iter().map(ending).filter(|file| file.exists()).collect();
            if !found.is_empty() {
                return found;
            }
        }
        vec![path.to_owned()]
    }

    /// What is looked for beside certificates.
    pub fn extras(&self) -> &Extras {
        &self.extras
    }

    /// Reads a certificate beside which nothing stands.
    pub fn read_alone(&self, crt: &Path) -> Result<CrtBytes, CertError> {
        let pem = Part { file: crt.to_owned(), bytes: read(crt)?, named: true };
        let no_key = self.extras.key.then(|| self.extras.beside(crt, "key"));
        Ok(CrtBytes { pem, no_key, ..CrtBytes::default() })
    }

    /// Reads a certificate and what belongs to it.
    pub fn read(&self, files: &CrtFiles) -> Result<CrtBytes, CertError> {
        let crt = &files.crt;
        let pem = Part { file: crt.clone(), bytes: read(crt)?, named: true };
        let mut found = CrtBytes { pem, ..CrtBytes::default() };
        found.key = match &files.key {
            Some(key) => Some(named(key)?),
            None if holds_key(&found.pem.bytes) || !self.extras.key => None,
            None => {
                let beside = self.extras.beside(crt, "key");
                let key = optional(&beside)?;
                found.no_key = key.is_none().then_some(beside);
                key
            }
        };
        found.issuer = self.sidecar(&files.issuer, self.extras.issuer, crt, "issuer", &mut found.faults)?;
        found.ocsp = self.sidecar(&files.ocsp, self.extras.ocsp, crt, "ocsp", &mut found.faults)?;
        found.sctl = self.sidecar(&files.sctl, self.extras.sctl, crt, "sctl", &mut found.faults)?;
        Ok(found)
    }

    /// A file that is named and must be there, or one that is looked for and may be missing.
    fn sidecar(
        &self,
        file: &Option<PathBuf>,
        wanted: bool,
        crt: &Path,
        ending: &str,
        faults: &mut Vec<CertError>,
    ) -> Result<Option<Part>, CertError> {
        match file {
            Some(file) => named(file).map(Some),
            None if !wanted => Ok(None),
            None => Ok(optional(&self.extras.beside(crt, ending)).unwrap_or_else(|fault| {
                faults.push(fault);
                None
            })),
        }
    }

    /// The chain that continues a certificate which comes alone; empty when none is known.
    pub(super) fn chain_of(&self, leaf: &X509) -> &[Vec<u8>] {
        let fits = |chain: &&Chain| chain.issuer.issued(leaf) == X509VerifyResult::OK;
        self.chains.iter().find(fits).map_or(&[], |chain| &chain.ders)
    }
}

fn holds_key(pem: &[u8]) -> bool {
    memchr::memmem::find(pem, b"PRIVATE KEY-----").is_some()
}

fn named(file: &Path) -> Result<Part, CertError> {
    Ok(Part { file: file.to_owned(), bytes: read(file)?, named: true })
}

fn optional(file: &Path) -> Result<Option<Part>, CertError> {
    match read(file) {
        Ok(bytes) => Ok(Some(Part { file: file.to_owned(), bytes, named: false })),
        Err(CertError { fault: CertFault::Unreadable(error), .. })
            if error.kind() == io::ErrorKind::NotFound =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn chain(file: &Path) -> Result<Chain, CertError> {
    let failed = |fault| CertError { file: file.to_owned(), fault };
    let blocks = read_blocks(file)?;
    let ders: Vec<Vec<u8>> =
        blocks.into_iter().filter(|block| block.kind == Kind::Certificate).map(|block| block.der).collect();
    let mut first = None;
    for (index, der) in ders.iter().enumerate() {
        let x509 = X509::from_der(der).map_err(|_| failed(CertFault::BadCertificate(index + 1)))?;
        first.get_or_insert(x509);
    }
    let issuer = first.ok_or_else(|| failed(CertFault::NoCertificate))?;
    Ok(Chain { issuer, ders })
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

/// The bytes of a file, bounded. Only of plain files: a pipe could keep us waiting, and cannot be read twice.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, CertError> {
    let failed = |fault| CertError { file: file.to_owned(), fault };
    let unreadable = |error| failed(CertFault::Unreadable(error));
    let meta = fs::metadata(file).map_err(unreadable)?;
    if meta.is_dir() {
        return Err(unreadable(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    if !meta.is_file() {
        return Err(failed(CertFault::NoFile));
    }
    if meta.len() > FILE_MAX {
        return Err(failed(CertFault::TooLarge));
    }
    let handle = fs::File::open(file).map_err(unreadable)?;
    let mut text = Vec::with_capacity(meta.len() as usize + 1);
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
