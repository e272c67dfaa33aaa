//! Authorities: whose certificates are believed, and what they have revoked. Read from files at start, or given at run time
//! under the name of a file ([`super::trust`]).

use std::path::{Path, PathBuf};

use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509Crl, X509};

use super::certs::{CertError, CertFault};
use super::files;
use super::pem::{self, Block, Kind};
use crate::plan::tls::CaSource;

/// Where distributions keep what the system trusts, the most common first.
const SYSTEM: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/etc/ssl/cert.pem",
];

/// The certificates of a `ca-file`, in the order of the file, each once.
#[derive(Clone, Default)]
pub struct Authorities {
    certs: Vec<X509>,
}

impl Authorities {
    /// Reads a file or all files of a directory; one without any certificate is refused, because nobody would be believed.
    pub fn load(source: &CaSource) -> Result<Authorities, CertError> {
        let path = match source {
            CaSource::Path(path) => path.clone(),
            CaSource::System => system()?,
        };
        let files = if path.is_dir() { files::list(&path)? } else { vec![path.clone()] };
        let mut found = Authorities::default();
        for file in &files {
            found.add(file, &files::read_blocks(file)?)?;
        }
        found.some(&path)
    }

    /// Certificates that were given under the name of a file.
    pub fn parse(name: &Path, bytes: &[u8]) -> Result<Authorities, CertError> {
        let mut found = Authorities::default();
        found.add(name, &given(name, bytes)?)?;
        found.some(name)
    }

    /// The certificates.
    pub fn certs(&self) -> &[X509] {
        &self.certs
    }

    fn add(&mut self, file: &Path, blocks: &[Block]) -> Result<(), CertError> {
        for (index, block) in blocks.iter().filter(|block| block.kind == Kind::Certificate).enumerate() {
            let parsed = X509::from_der(&block.der);
            let fault = CertFault::BadCertificate(index + 1);
            let cert = parsed.map_err(|_| CertError { file: file.to_owned(), fault })?;
            if !self.certs.contains(&cert) {
                self.certs.push(cert);
            }
        }
        Ok(())
    }

    fn some(self, file: &Path) -> Result<Authorities, CertError> {
        match self.certs.is_empty() {
            true => Err(CertError { file: file.to_owned(), fault: CertFault::NoCertificate }),
            false => Ok(self),
        }
    }
}

/// The lists of a `crl-file`.
#[derive(Clone, Default)]
pub struct Revoked {
    file: PathBuf,
    lists: Vec<Vec<u8>>,
}

impl Revoked {
    /// Reads a file; one without any list is refused, because it would let nobody in.
    pub fn load(file: &Path) -> Result<Revoked, CertError> {
        Self::of(file, &files::read_blocks(file)?)
    }

    /// Lists that were given under the name of a file. Each must parse.
    pub fn parse(name: &Path, bytes: &[u8]) -> Result<Revoked, CertError> {
        let revoked = Self::of(name, &given(name, bytes)?)?;
        if revoked.lists().any(|list| X509Crl::from_der(list).is_err()) {
            return Err(CertError { file: name.to_owned(), fault: CertFault::Refused });
        }
        Ok(revoked)
    }

    fn of(file: &Path, blocks: &[Block]) -> Result<Revoked, CertError> {
        let lists: Vec<Vec<u8>> =
            blocks.iter().filter(|block| block.kind == Kind::Crl).map(|block| block.der.to_vec()).collect();
        if lists.is_empty() {
            return Err(CertError { file: file.to_owned(), fault: CertFault::NoRevocations });
        }
        Ok(Revoked { file: file.to_owned(), lists })
    }

    /// The lists, DER.
    pub fn lists(&self) -> impl Iterator<Item = &[u8]> {
        self.lists.iter().map(Vec::as_slice)
    }
}

/// A store that believes these certificates; with lists, one that asks them about every certificate of a chain.
pub fn store(authorities: &[X509], revoked: Option<&Revoked>) -> Result<X509Store, CertError> {
    let refused = |file: PathBuf| move |_| CertError { file, fault: CertFault::Refused };
    let mut store = X509StoreBuilder::new().map_err(refused(PathBuf::from("ca-file")))?;
    for authority in authorities {
        // The same certificate twice is an error to some versions of the library and none to us.
        let _ = store.add_cert(authority.clone());
    }
    if let Some(Revoked { file, lists }) = revoked {
        for list in lists {
            lighterman_sys::tls::add_revocations(&mut store, list).map_err(refused(file.to_owned()))?;
        }
        let flags = X509VerifyFlags::CRL_CHECK | X509VerifyFlags::CRL_CHECK_ALL;
        store.set_flags(flags).map_err(refused(file.to_owned()))?;
    }
    Ok(store.build())
}

fn given(name: &Path, bytes: &[u8]) -> Result<Vec<Block>, CertError> {
    pem::blocks(bytes).map_err(|fault| CertError { file: name.to_owned(), fault: CertFault::Pem(fault) })
}

fn system() -> Result<PathBuf, CertError> {
    let told = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let known = SYSTEM.iter().map(PathBuf::from);
    let found = told.into_iter().chain(known).find(|path| path.is_file());
    found.ok_or_else(|| {
        let why = "no file of authorities is known on this system; name one with ca-file";
        let error = std::io::Error::new(std::io::ErrorKind::NotFound, why);
        CertError { file: PathBuf::from("@system-ca"), fault: CertFault::Unreadable(error) }
    })
}
