//! From the `crt`, `crt-list` and `default-crt` of a `bind` line to what can be shown: which certificate for which names,
//! under which options.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;

use super::certs::{self, Cert, CertError, CertFault, Loaded};
use super::context::{TlsError, TlsShared};
use super::files::Files;
use super::selfsigned;
use super::sni::Entry;
use crate::plan::crt::{CrtFiles, CrtLine, CrtList, CrtSource, LineNames};
use crate::plan::tls::BindTls;

/// What the sources of a line gave.
#[derive(Default)]
pub struct Found {
    /// In order of preference.
    pub entries: Vec<Entry>,
    /// What the operator should know: files of directories that are no good, files beside a certificate that are none.
    pub notes: Vec<String>,
}

/// Reads everything a line names. A file that is named itself must be good.
pub fn read(line: &BindTls, shared: &TlsShared) -> Result<Found, TlsError> {
    let (how, bad_chains) = Files::new(&shared.extras)?;
    let mut reader = Reader { how, now_s: shared.clock.load(Relaxed), found: Found::default() };
    reader.found.notes.extend(bad_chains.iter().map(CertError::to_string));
    for source in &line.default_crt {
        reader.source(source, true)?;
    }
    for source in &line.crt {
        reader.source(source, false)?;
    }
    let mut found = reader.found;
    if found.entries.is_empty() && line.self_signed {
        let text = selfsigned::self_signed(&["localhost", "lighterman.localhost", "127.0.0.1", "::1"])?;
        let cert = certs::parse(Path::new("self-signed certificate"), &text, None)?;
        found.entries.push(Entry::new(Arc::new(cert)));
    }
    Ok(found)
}

struct Reader {
    how: Files,
    now_s: u64,
    found: Found,
}

impl Reader {
    fn source(&mut self, source: &CrtSource, default: bool) -> Result<(), TlsError> {
        match source {
            CrtSource::Path(path) => {
                let loaded = certs::load(path, &self.how);
                let certs = self.judge(loaded, path.is_dir())?;
                self.found
                    .entries
                    .extend(certs.into_iter().map(|cert| Entry { default, ..Entry::new(cert) }));
            }
            CrtSource::Stored(files) => {
                let certs = self.files(files)?;
                self.found
                    .entries
                    .extend(certs.into_iter().map(|cert| Entry { default, ..Entry::new(cert) }));
            }
            CrtSource::List(list) => self.list(list)?,
        }
        Ok(())
    }

    fn list(&mut self, list: &CrtList) -> Result<(), TlsError> {
        // A certificate may stand in many lines.
        let mut known: HashMap<PathBuf, Vec<Arc<Cert>>> = HashMap::new();
        for line in list.lines() {
            let at = |error: TlsError| {
                TlsError::At(format!("{}:{}", list.file.display(), line.number), error.into())
            };
            let certs = match line.files {
                Some(files) => self.files(files).map_err(at)?,
                None => {
                    let path = line.path();
                    if let Some(known) = known.get(&*path) {
                        self.entries(&line, known);
                        continue;
                    }
                    if path.is_dir() {
                        let error = std::io::Error::from(std::io::ErrorKind::IsADirectory);
                        let fault = CertFault::Unreadable(error);
                        return Err(at(CertError { file: path.into_owned(), fault }.into()));
                    }
                    let loaded = certs::load(&path, &self.how);
                    let certs = self.judge(loaded, false).map_err(at)?;
                    known.insert(path.into_owned(), certs.clone());
                    certs
                }
            };
            self.entries(&line, &certs);
        }
        Ok(())
    }

    fn entries(&mut self, line: &CrtLine<'_>, certs: &[Arc<Cert>]) {
        for cert in certs {
            let LineNames { names, except, default } = LineNames::of(line.filters(), &cert.names);
            let cert = Arc::clone(cert);
            self.found.entries.push(Entry { cert, names, except, default, policy: line.options });
        }
    }

    fn files(&mut self, files: &CrtFiles) -> Result<Vec<Arc<Cert>>, TlsError> {
        let mut loaded = Loaded::default();
        loaded.add(certs::load_files(files, &self.how));
        self.judge(loaded, false)
    }

    /// What is good; what is not is fatal unless it only stands in a directory.
    fn judge(&mut self, loaded: Loaded, directory: bool) -> Result<Vec<Arc<Cert>>, TlsError> {
        let mut bad = loaded.bad.into_iter();
        if !directory {
            if let Some(error) = bad.next() {
                return Err(error.into());
            }
        }
        let stale = loaded.good.iter().filter_map(|cert| cert.stale(self.now_s));
        self.found.notes.extend(bad.chain(loaded.notes).chain(stale).map(|error| error.to_string()));
        Ok(loaded.good)
    }
}
