//! Certificates by the names people know them by: where each is used, and what is said of it on the line that uses it.
//!
//! Looked up in the indexes of the process with the command socket, by the families of commands about certificates and
//! `crt-list`s. A certificate is called what the configuration calls it: the file, or the directory as it is written and the
//! file in it.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::CliCx;
use crate::base::ids::ListenerId;
use crate::conf::crtline;
use crate::net::contexts::Contexts;
use crate::net::tls::store::index::{flag, Entry, Index};
use crate::net::tls::store::raw::Raw;
use crate::net::tls::store::scan::origin_of;
use crate::net::tls::store::Store;
use crate::plan::crt::{CrtLine, CrtList, CrtSource, Filter, LineNames};
use crate::plan::{Listener, Plan};

/// An entry of an index.
#[derive(Clone)]
pub struct Use {
    /// The place of the index.
    pub place: u32,
    /// Its version.
    pub version: u32,
    /// The index.
    pub index: Arc<Index>,
    /// The number of the entry.
    pub number: u32,
    /// The entry.
    pub entry: Entry,
}

impl Use {
    /// Whether it waits for its first certificate.
    pub fn is_empty(&self) -> bool {
        self.entry.flags & flag::BLOB != 0 && self.entry.stamp == 0
    }

    /// Options and names, when a command has made the line.
    pub fn own_line(&self) -> Option<String> {
        let text = self.index.file_text(&self.entry);
        let line = (self.entry.flags & flag::PATHS != 0).then(|| text.splitn(6, |byte| *byte == 0).nth(5));
        line.flatten().map(|line| String::from_utf8_lossy(line).into_owned())
    }
}

/// A list, or a directory, as one `bind` line has it.
#[derive(Clone, Copy)]
pub struct Seat {
    /// The line.
    pub listener: ListenerId,
    /// The number of the list among the sources of the line.
    pub source: u32,
    /// The place of its certificates.
    pub place: u32,
}

/// See the module.
pub struct Catalog<'c> {
    /// The configuration.
    pub plan: &'c Plan,
    /// TLS of it.
    pub tls: &'c Contexts,
    /// The certificates.
    pub store: &'c Store,
    dirs: Vec<(PathBuf, u32)>,
}

impl<'c> Catalog<'c> {
    /// What there is now.
    pub fn new(cx: &'c CliCx<'_>) -> Result<Catalog<'c>, String> {
        let tls = cx.host.tls().ok_or_else(|| "No TLS here.".to_owned())?;
        let dirs = tls.store().called();
        Ok(Catalog { plan: cx.plan, tls, store: tls.store(), dirs })
    }

    /// Lines with TLS.
    pub fn lines(&self) -> impl Iterator<Item = &'c Listener> + '_ {
        self.plan.listeners.iter().filter(|line| self.tls.bind(line.id).is_some())
    }

    /// The sources of a line, in the order of their numbers.
    pub fn sources(line: &Listener) -> impl Iterator<Item = &CrtSource> {
        line.tls.iter().flat_map(|tls| tls.default_crt.iter().chain(&tls.crt))
    }

    /// What a directory is called.
    fn called(&self, place: u32) -> Option<&Path> {
        self.dirs.iter().find(|(_, known)| *known == place).map(|(path, _)| path.as_path())
    }

    /// What the certificate of an entry is called.
    pub fn name(&self, place: u32, index: &Index, entry: &Entry) -> String {
        let file = index.file(entry);
        let called = file.file_name().and_then(|name| Some(self.called(place)?.join(name)));
        called.unwrap_or(file).to_string_lossy().into_owned()
    }

    /// All entries of the certificate of this name.
    pub fn uses(&self, name: &str) -> Vec<Use> {
        let path = Path::new(name);
        let (parent, last) = (path.parent(), path.file_name());
        let mut uses = Vec::new();
        for (place, index) in self.store.indexes().into_iter().enumerate() {
            let place = place as u32;
            let Some((_, version)) = self.store.index(place) else { continue };
            let wanted: &[u8] = match index.dir() {
                None => name.as_bytes(),
                Some(dir) => {
                    let own = parent.is_some_and(|parent| {
                        parent == dir || self.dirs.iter().any(|(path, at)| *at == place && path == parent)
                    });
                    match last.filter(|_| own) {
                        Some(last) => last.as_bytes(),
                        None => continue,
                    }
                }
            };
            let is = |entry: &Entry| index.file_text(entry).split(|byte| *byte == 0).next() == Some(wanted);
            let found: Vec<(u32, Entry)> = index.entries().filter(|(_, entry)| is(entry)).collect();
            uses.extend(found.into_iter().map(|(number, entry)| Use {
                place,
                version,
                index: Arc::clone(&index),
                number,
                entry,
            }));
        }
        uses
    }

    /// What is in the files of a certificate; `None`: there is no such certificate, or nothing in it yet.
    pub fn contents(&self, name: &str) -> Option<Raw> {
        let uses = self.uses(name);
        let used = uses.iter().find(|used| !used.is_empty())?;
        Some(self.store.raw(used.place, used.number))
    }

    /// Whether an entry stands for a certificate that no line uses.
    pub fn is_loose(&self, used: &Use) -> bool {
        self.store.loose() == Some(used.place)
    }

    /// Whether a line uses a certificate.
    pub fn is_used(&self, name: &str, uses: &[Use]) -> bool {
        uses.iter().any(|used| !self.is_loose(used)) || self.tls.servers_show(Path::new(name)) > 0
    }

    /// The names of all certificates, in alphabetical order.
    pub fn all(&self) -> Vec<String> {
        let mut names = BTreeSet::new();
        for (place, index) in self.store.indexes().into_iter().enumerate() {
            names.extend(index.entries().map(|(_, entry)| self.name(place as u32, &index, &entry)));
        }
        names.into_iter().collect()
    }

    /// The names of all lists and directories, in alphabetical order.
    pub fn lists(&self) -> Vec<String> {
        let lists =
            self.lines().flat_map(Self::sources).filter(|source| matches!(source, CrtSource::List(_)));
        let lists = lists.map(|source| source.path().to_owned());
        let dirs = self.dirs.iter().map(|(path, _)| path.clone());
        let names = lists.chain(dirs).map(|path| bare(&path.to_string_lossy()).to_owned());
        names.collect::<BTreeSet<String>>().into_iter().collect()
    }

    /// A list or a directory on all lines that have it. `None`: no line names it.
    pub fn seats(&self, list: &str) -> Option<Vec<Seat>> {
        let mut seats = Vec::new();
        let mut known = false;
        for line in self.lines() {
            let Some(bind) = self.tls.bind(line.id) else { continue };
            for (number, (path, place)) in bind.sources().iter().enumerate() {
                let is_list =
                    Self::sources(line).nth(number).is_some_and(|s| matches!(s, CrtSource::List(_)));
                let is_dir =
                    place.and_then(|place| self.store.index(place)).is_some_and(|(i, _)| i.dir().is_some());
                if bare(&path.to_string_lossy()) != bare(list) || !is_list && !is_dir {
                    continue;
                }
                known = true;
                seats.extend(place.map(|place| Seat { listener: line.id, source: number as u32, place }));
            }
        }
        known.then_some(seats)
    }

    /// Whether a seat is that of a directory.
    pub fn is_dir(&self, seat: &Seat) -> bool {
        self.store.index(seat.place).is_some_and(|(index, _)| index.dir().is_some())
    }

    /// The list behind a seat, as the configuration has it.
    pub fn list(&self, seat: &Seat) -> Option<&'c CrtList> {
        let line = self.plan.listeners.get(seat.listener.index())?;
        match Self::sources(line).nth(seat.source as usize)? {
            CrtSource::List(list) => Some(list),
            _ => None,
        }
    }

    /// The entries of a list or directory, with their lines.
    pub fn entries(&self, seat: &Seat) -> Vec<(Use, u32)> {
        let Some((index, version)) = self.store.index(seat.place) else { return Vec::new() };
        let dir = index.dir().is_some();
        let own = index.entries().filter_map(|(number, entry)| {
            let (source, line) = origin_of(entry.mark);
            let line = if dir { number } else { line };
            let used = Use { place: seat.place, version, index: Arc::clone(&index), number, entry };
            (dir || source == seat.source).then_some((used, line))
        });
        own.collect()
    }

    /// The line of the configuration an entry of a list comes from.
    fn line_of(&self, seat: &Seat, line: u32) -> Option<CrtLine<'c>> {
        self.list(seat)?.numbered(line)
    }

    /// What stands behind the certificate on its line.
    pub fn tail(&self, seat: &Seat, used: &Use, line: u32) -> String {
        if let Some(own) = used.own_line() {
            return own;
        }
        match self.line_of(seat, line).filter(|_| !self.is_dir(seat)) {
            Some(line) => tail(line.said, line.filter_text().split('\n')),
            None => String::new(),
        }
    }

    /// The names an entry is for, when its certificate has these.
    pub fn names(&self, used: &Use, own: &[String]) -> LineNames {
        let all = LineNames { names: own.to_vec(), ..LineNames::default() };
        if used.index.dir().is_some() || self.is_loose(used) {
            return all;
        }
        if let Some(line) = used.own_line() {
            let read = crtline::read(&format!("x {line}"));
            return read.map_or(all, |line| LineNames::of(line.filters.iter().map(|f| Filter::of(f)), own));
        }
        let (source, line) = origin_of(used.entry.mark);
        let seat = self.lines().find_map(|line| {
            let known = self.tls.bind(line.id)?.sources().get(source as usize)?.1 == Some(used.place);
            known.then_some(Seat { listener: line.id, source, place: used.place })
        });
        match seat.and_then(|seat| self.line_of(&seat, line)) {
            Some(line) => LineNames::of(line.filters(), own),
            None => all,
        }
    }
}

/// Options and names as they stand behind a certificate on its line.
pub fn tail<'f>(options: &str, filters: impl Iterator<Item = &'f str>) -> String {
    let options = Some(format!("[{options}]")).filter(|_| !options.is_empty());
    let filters = filters.filter(|filter| !filter.is_empty()).map(str::to_owned);
    options.into_iter().chain(filters).collect::<Vec<_>>().join(" ")
}

/// A path without `/` at its end.
pub fn bare(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" => path,
        bare => bare,
    }
}
