//! From the `crt`, `crt-list` and `default-crt` of a `bind` line to indexes in the store: which certificate for which names,
//! under which options.
//!
//! A directory becomes an index of its own, which other lines share and the next start finds again. Files that are named
//! come together into one; few of them are parsed at once, so that no client waits for them.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;

use super::certs::{self, Cert, CertError, CertFault};
use super::context::{TlsError, TlsShared};
use super::selfsigned;
use super::store::build::{Builder, Facts};
use super::store::index::flag;
use super::store::scan::{self, Before, Item, Named};
use super::store::{persist, Index, Store};
use crate::base::tick::{Clock, Tick};
use crate::plan::crt::{CrtFiles, CrtList, CrtSource};
use crate::plan::tls::BindTls;
use lighterman_sys::sealed::Sealed;

/// Files that are named are parsed at start when a line has no more of them.
const PARSED_AT_START: usize = 64;
/// A scan that takes longer shows how far it is, milliseconds.
const SHOW_AFTER_MS: u64 = 300;

/// Once so many files that are named are no good, no more are looked at.
const REFUSED_MAX: usize = 20;

/// What the sources of a line gave.
#[derive(Default)]
pub struct Found {
    /// The places of its indexes in the store, in order of preference.
    pub places: Vec<u32>,
    /// The places of its sources, in the order of the line: `default-crt` first.
    pub sources: Vec<Option<u32>>,
    /// What the operator should know: files of directories that are no good, files beside a certificate that are none.
    pub notes: Vec<String>,
}

/// Called now and then during a long scan, so that whoever must do other things meanwhile can.
pub type Pulse<'p> = &'p mut dyn FnMut();

/// Reads everything a line names. A file that is named itself must be good.
pub fn read(line: &BindTls, shared: &TlsShared, pulse: Pulse<'_>) -> Result<Found, TlsError> {
    let named: usize = line.default_crt.iter().chain(&line.crt).map(count).sum();
    let mut reader = Reader {
        store: &shared.store,
        now_s: shared.clock.load(Relaxed),
        named: Named::new(&shared.store.settings.how, shared.clock.load(Relaxed)),
        parses: named <= PARSED_AT_START,
        watches: line.watch,
        builder: Builder::new(None, 0),
        group: 0,
        pulse,
        found: Found::default(),
        refused: Vec::new(),
    };
    for (source, default) in
        line.default_crt.iter().map(|s| (s, true)).chain(line.crt.iter().map(|s| (s, false)))
    {
        reader.found.sources.push(None);
        let read = reader.source(source, default);
        reader.refused.extend(read.err());
        if reader.refused.len() >= REFUSED_MAX {
            break;
        }
    }
    reader.close_group()?;
    match reader.refused.len() {
        0 => {}
        1 => return reader.refused.pop().map_or(Ok(Found::default()), Err),
        _ => return Err(TlsError::Several(reader.refused)),
    }
    let mut found = reader.found;
    found.notes.extend(reader.named.notes.iter().map(CertError::to_string));
    if found.places.is_empty() && line.self_signed {
        let text = selfsigned::self_signed(&["localhost", "lighterman.localhost", "127.0.0.1", "::1"])?;
        let cert = certs::parse(Path::new("self-signed certificate"), &text, None)?;
        found.places.push(in_memory(&shared.store, vec![(Arc::new(cert), Some(text))])?);
    }
    Ok(found)
}

fn count(source: &CrtSource) -> usize {
    match source {
        CrtSource::Path(_) | CrtSource::Stored(_) => 1,
        CrtSource::List(list) => list.len(),
    }
}

/// An index of certificates that have no files; their text is kept for other processes when it is given.
pub fn in_memory(store: &Store, certs: Vec<(Arc<Cert>, Option<Vec<u8>>)>) -> Result<u32, TlsError> {
    let mut builder = Builder::new(None, 0);
    let mut stamps = Vec::new();
    for (cert, _) in &certs {
        let (not_before, not_after) = cert.validity();
        let stamp = scan::stamp(&cert.leaf);
        let facts =
            Facts { kind: cert.kind, flags: flag::BLOB, not_before, not_after, mark: 0, stamp, options: 0 };
        let file = cert.file.as_os_str().as_encoded_bytes();
        builder.add(&facts, file, cert.names.iter().map(String::as_bytes), std::iter::empty());
        stamps.push(stamp);
    }
    let place = store.add(Arc::new(builder.finish().map_err(no_memory)?));
    for (number, ((cert, text), stamp)) in certs.into_iter().zip(stamps).enumerate() {
        if let Some(text) = text {
            let text =
                Sealed::read("lighterman certificate", text.as_slice(), u64::MAX / 2).map_err(no_memory)?;
            store.set_blob(place, number as u32, Some(Arc::new(text)));
        }
        store.warm(stamp, cert);
    }
    Ok(place)
}

fn no_memory(error: std::io::Error) -> TlsError {
    CertError { file: "certificates in memory".into(), fault: CertFault::Unreadable(error) }.into()
}

struct Reader<'r> {
    store: &'r Store,
    now_s: u64,
    named: Named<'r>,
    /// Named files are parsed at once.
    parses: bool,
    /// `watch`.
    watches: bool,
    /// The group of named files that is being read, and the number of its first source.
    builder: Builder,
    group: usize,
    pulse: Pulse<'r>,
    found: Found,
    /// What is named and no good: all of it is told at once.
    refused: Vec<TlsError>,
}

impl Reader<'_> {
    fn source(&mut self, source: &CrtSource, default: bool) -> Result<(), TlsError> {
        match source {
            CrtSource::Path(path) if path.is_dir() && !default => self.directory(path),
            CrtSource::Path(path) => {
                self.file(Item { files: CrtFiles::new(path.clone()), line: None, default, source: self.at() })
            }
            CrtSource::Stored(files) => {
                self.file(Item { files: CrtFiles::clone(files), line: None, default, source: self.at() })
            }
            CrtSource::List(list) => self.list(list),
        }
    }

    fn list(&mut self, list: &CrtList) -> Result<(), TlsError> {
        for line in list.lines() {
            if line.number.is_multiple_of(64) {
                (self.pulse)();
            }
            let at = |error: TlsError| {
                TlsError::At(format!("{}:{}", list.file.display(), line.number), error.into())
            };
            let files = match line.files {
                Some(files) => CrtFiles::clone(files),
                None => CrtFiles::new(line.path().into_owned()),
            };
            let added = self.file(Item { files, line: Some(line), default: false, source: self.at() });
            self.refused.extend(added.map_err(at).err());
            if self.refused.len() >= REFUSED_MAX {
                break;
            }
        }
        Ok(())
    }

    fn file(&mut self, item: Item<'_>) -> Result<(), TlsError> {
        let (store, parses) = (self.store, self.parses);
        let how = &store.settings.how;
        let mut parse = |stamp: u64, files: &CrtFiles| {
            if parses {
                store.warm(stamp, Arc::new(certs::build(how.read(files)?, how)?));
            }
            Ok(())
        };
        self.named.add(&item, &mut self.builder, &mut parse)?;
        Ok(())
    }

    /// What was named so far becomes an index: what follows comes after it.
    fn close_group(&mut self) -> Result<(), TlsError> {
        if !self.builder.is_empty() {
            let builder = std::mem::replace(&mut self.builder, Builder::new(None, 0));
            let place = self.store.add(Arc::new(builder.finish().map_err(no_memory)?));
            self.found.places.push(place);
            let open = self.found.sources.iter_mut().skip(self.group);
            open.filter(|known| known.is_none()).for_each(|known| *known = Some(place));
        }
        self.group = self.found.sources.len();
        Ok(())
    }

    /// The number of the source at hand.
    fn at(&self) -> u32 {
        self.found.sources.len().saturating_sub(1) as u32
    }

    fn directory(&mut self, path: &Path) -> Result<(), TlsError> {
        let own = self.found.sources.pop();
        self.close_group()?;
        self.found.sources.extend(own);
        self.group = self.found.sources.len();
        let dir = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if let Some(place) = self.store.place_of(&dir) {
            self.place(path, place);
            self.watch(&dir);
            return Ok(());
        }
        let file = persist::place(&dir, self.store.settings.index_dir.as_deref());
        let before = self.store.before(&dir);
        let known = before.or_else(|| self.kept(&file, &dir).map(Arc::new));
        let spool = self.store.spool();
        let before = Before { index: known.as_deref(), spool: spool.as_deref() };
        let mut progress = Progress::new(&dir);
        let mut pulse = |done, all| {
            (self.pulse)();
            progress.show(done, all);
        };
        let scanned = scan::directory(&dir, &self.store.settings.how, before, (self.now_s, &mut pulse));
        progress.clear();
        let scanned = scanned?;
        self.found.notes.extend(scanned.bad.iter().map(CertError::to_string));
        let index = match (scanned.index, known) {
            (Some(index), _) => {
                self.keep(&file, &index);
                Arc::new(index)
            }
            (None, Some(known)) => known,
            (None, None) => return Ok(()),
        };
        if !index.is_empty() || self.watches {
            let place = self.store.add(index);
            self.place(path, place);
        }
        self.watch(&dir);
        Ok(())
    }

    /// What happens in a directory is to be seen, if the line says so.
    fn watch(&self, dir: &Path) {
        if let Some(place) = self.store.place_of(dir).filter(|_| self.watches) {
            self.store.watch(place);
        }
    }

    /// The certificates of the directory at hand stand in this place.
    fn place(&mut self, path: &Path, place: u32) {
        self.found.places.push(place);
        if let Some(own) = self.found.sources.last_mut() {
            *own = Some(place);
        }
        self.store.call(path, place);
    }

    fn kept(&mut self, file: &Path, dir: &Path) -> Option<Index> {
        match persist::load(file, dir) {
            Ok(index) => index,
            Err(error) => {
                self.found.notes.push(format!("{}: the index is made again: {error}", file.display()));
                None
            }
        }
    }

    fn keep(&mut self, file: &Path, index: &Index) {
        let index_dir = self.store.settings.index_dir.as_deref();
        if !persist::is_worth_it(index, index_dir) {
            return;
        }
        if let Err(error) = persist::save(file, index) {
            self.found.notes.push(format!(
                "{}: the index cannot be kept, the next start reads all certificates again; see \"ssl-index-dir\": {error}",
                file.display()
            ));
        }
    }
}

/// One line on the terminal that says how far a long scan is.
struct Progress<'p> {
    dir: &'p Path,
    begun: Tick,
    terminal: bool,
    shown: bool,
}

impl<'p> Progress<'p> {
    fn new(dir: &'p Path) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Progress { dir, begun: Clock::real().read().tick, terminal, shown: false }
    }

    fn show(&mut self, done: usize, all: usize) {
        let due = self.terminal && done.is_multiple_of(1024);
        if due && Clock::real().read().tick.since(self.begun) > SHOW_AFTER_MS {
            self.shown = true;
            self.write(format_args!("\rReading certificates in {}: {done} of {all}", self.dir.display()));
        }
    }

    fn clear(&mut self) {
        if self.shown {
            self.write(format_args!("\r\x1b[K"));
        }
    }

    fn write(&self, what: std::fmt::Arguments<'_>) {
        // a terminal that is gone shows nothing
        let _ = std::io::stderr().write_fmt(what);
    }
}
