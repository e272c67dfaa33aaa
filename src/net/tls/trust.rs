//! Whom all lines of a configuration believe: the files named by `ca-file`, `ca-verify-file` and `crl-file`, each read once,
//! with what was set at run time in the place of what the disk says.
//!
//! Filled by the process with file rights while it builds contexts. A change makes another [`Trust`] first ([`Trust::with`]),
//! from which contexts are built; only when all of them could be is it put in force ([`Trust::adopt`]). A name that stands for
//! nothing yet (`new ssl ca-file`) is an empty file. Beside it stands what commands have set and not committed yet, in the
//! process with the command socket. The locks are never contended: a process has one event loop.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::authority::{Authorities, Revoked};
use super::certs::CertError;
use crate::plan::tls::{BindTls, CaSource, ServerTls, Verify};

/// Names kept at once: a configuration's, and those that commands add.
const NAMES_MAX: usize = 4096;

/// What a file of this kind says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrustKind {
    /// `ca-file` and `ca-verify-file`: who is believed.
    Ca,
    /// `crl-file`: what was revoked.
    Crl,
}

impl TrustKind {
    /// The word of the commands.
    pub fn word(self) -> &'static str {
        match self {
            TrustKind::Ca => "ca-file",
            TrustKind::Crl => "crl-file",
        }
    }
}

#[derive(Clone, Default)]
struct Known {
    authorities: BTreeMap<String, Arc<Authorities>>,
    revoked: BTreeMap<String, Option<Arc<Revoked>>>,
}

/// See the module.
#[derive(Default)]
pub struct Trust {
    known: Mutex<Known>,
    drafts: Mutex<Vec<Draft>>,
}

/// What was set and is not in force yet; one of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What it is.
    pub kind: TrustKind,
    /// The name of the file it shall take the place of.
    pub name: String,
    /// PEM text that was found good.
    pub content: Vec<u8>,
}

/// A change that cannot be made.
#[derive(Debug)]
pub enum TrustError {
    /// What was given is no good.
    Content(CertError),
    /// There are too many names already.
    Full,
}

impl std::fmt::Display for TrustError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TrustError::Content(error) => error.fmt(f),
            TrustError::Full => write!(f, "no more than {NAMES_MAX} files can be kept"),
        }
    }
}

impl Trust {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The authorities of a line's file, read now if they are not known yet.
    pub fn authorities(&self, source: &CaSource) -> Result<Arc<Authorities>, CertError> {
        let name = ca_name(source);
        if let Some(known) = self.known().authorities.get(&name) {
            return Ok(Arc::clone(known));
        }
        let read = Arc::new(Authorities::load(source)?);
        self.known().authorities.insert(name, Arc::clone(&read));
        Ok(read)
    }

    /// The revocations of a line's file, read now if they are not known yet.
    pub fn revoked(&self, file: &Path) -> Result<Arc<Revoked>, CertError> {
        let name = file.to_string_lossy().into_owned();
        if let Some(Some(known)) = self.known().revoked.get(&name) {
            return Ok(Arc::clone(known));
        }
        let read = Arc::new(Revoked::load(file)?);
        self.known().revoked.insert(name, Some(Arc::clone(&read)));
        Ok(read)
    }

    /// All names of a kind, in alphabetical order.
    pub fn names(&self, kind: TrustKind) -> Vec<String> {
        let known = self.known();
        match kind {
            TrustKind::Ca => known.authorities.keys().cloned().collect(),
            TrustKind::Crl => known.revoked.keys().cloned().collect(),
        }
    }

    /// What is kept under a name; empty for one that was only created.
    pub fn authorities_of(&self, name: &str) -> Option<Arc<Authorities>> {
        self.known().authorities.get(name).cloned()
    }

    /// What is kept under a name; `None` inside for one that was only created.
    pub fn revoked_of(&self, name: &str) -> Option<Option<Arc<Revoked>>> {
        self.known().revoked.get(name).cloned()
    }

    /// The same with other content under one name: PEM text, nothing at all for an empty file, `None` without the name.
    pub fn with(&self, kind: TrustKind, name: &str, content: Option<&[u8]>) -> Result<Trust, TrustError> {
        let mut known = self.known().clone();
        let path = Path::new(name);
        match (kind, content) {
            (TrustKind::Ca, None) => drop(known.authorities.remove(name)),
            (TrustKind::Crl, None) => drop(known.revoked.remove(name)),
            (TrustKind::Ca, Some(bytes)) => {
                let new = match bytes {
                    b"" => Authorities::default(),
                    bytes => Authorities::parse(path, bytes).map_err(TrustError::Content)?,
                };
                known.authorities.insert(name.to_owned(), Arc::new(new));
            }
            (TrustKind::Crl, Some(bytes)) => {
                let new = match bytes {
                    b"" => None,
                    bytes => Some(Arc::new(Revoked::parse(path, bytes).map_err(TrustError::Content)?)),
                };
                known.revoked.insert(name.to_owned(), new);
            }
        }
        if known.authorities.len() + known.revoked.len() > NAMES_MAX {
            return Err(TrustError::Full);
        }
        Ok(Trust { known: Mutex::new(known), drafts: Mutex::default() })
    }

    /// What was set and is not in force yet.
    pub fn draft(&self, kind: TrustKind) -> Option<Draft> {
        self.drafts().iter().find(|draft| draft.kind == kind).cloned()
    }

    /// Keeps what was set, in place of what was set before. False: there was something.
    pub fn set_draft(&self, draft: Draft) -> bool {
        let fresh = self.drop_draft(draft.kind).is_none();
        self.drafts().push(draft);
        fresh
    }

    /// Takes away what was set.
    pub fn drop_draft(&self, kind: TrustKind) -> Option<Draft> {
        let mut drafts = self.drafts();
        let place = drafts.iter().position(|draft| draft.kind == kind)?;
        Some(drafts.swap_remove(place))
    }

    fn drafts(&self) -> MutexGuard<'_, Vec<Draft>> {
        self.drafts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what another one knows.
    pub fn adopt(&self, next: &Trust) {
        let next = next.known().clone();
        *self.known() = next;
    }
}

/// The name under which a line's authorities are kept.
fn ca_name(source: &CaSource) -> String {
    match source {
        CaSource::Path(path) => path.to_string_lossy().into_owned(),
        CaSource::System => "@system-ca".to_owned(),
    }
}

/// Whether a `bind` line, or one of a list of it, asks the file of this name.
pub fn bind_uses(line: &BindTls, kind: TrustKind, name: &str) -> bool {
    let authorities = [&line.ca_file, &line.ca_verify_file];
    let own = line.verify != Verify::None
        && match kind {
            TrustKind::Ca => authorities.into_iter().flatten().any(|source| ca_name(source) == name),
            TrustKind::Crl => line.crl_file.as_ref().is_some_and(|file| file.to_string_lossy() == name),
        };
    own || line.variants.iter().any(|line| bind_uses(line, kind, name))
}

/// Whether a `server` line asks the file of this name.
pub fn server_uses(line: &ServerTls, kind: TrustKind, name: &str) -> bool {
    line.verify != Verify::None
        && match kind {
            TrustKind::Ca => line.ca_file.as_ref().is_some_and(|source| ca_name(source) == name),
            TrustKind::Crl => line.crl_file.as_ref().is_some_and(|file| file.to_string_lossy() == name),
        }
}
