//! Directories and files become an index: every file is looked at once, and again only when its size or date has changed.
//!
//! Done at start by the process with file rights, and again for a reload or when a directory is watched. What is wrong with a
//! file is told file by file; the others are served.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::build::{Builder, Facts};
use super::index::{flag, path_of, Entry, Index};
use super::look::{facts, is_side, list, Walk};
use super::spool::Spool;
use crate::net::tls::certs::{CertError, CertFault, Outline};
use crate::net::tls::files::Files;
use crate::plan::crt::{CrtFiles, CrtLine, Extras, LineNames};

/// How many files lie between two calls of the pulse.
const PULSE_EVERY: usize = 64;

/// Told how far a scan is: files done, files in all. Called often, so that whoever must do other things meanwhile can.
pub type Pulse<'p> = &'p mut dyn FnMut(usize, usize);

/// What came of a scan.
pub struct Scanned {
    /// The index; `None` when the one that was known is still right.
    pub index: Option<Index>,
    /// Files that are no good.
    pub bad: Vec<CertError>,
    /// Files that were read, the others being as they were.
    pub read: usize,
}

/// The settings that decide which files belong to a certificate, as a number for [`Index::options`].
pub fn options_of(extras: &Extras) -> u32 {
    let bits =
        [extras.bundle, extras.key, extras.ocsp, extras.issuer, extras.sctl, extras.del_ext].into_iter();
    bits.enumerate().map(|(n, on)| u32::from(on) << n).sum()
}

/// A number for a content that nobody can find another content for.
pub fn stamp(content: &[u8]) -> u64 {
    openssl::sha::sha256(content).first_chunk().copied().map_or(0, u64::from_le_bytes)
}

/// Walks through the entries of a known index in step with the sorted names of its directory.
struct Known<'k> {
    index: Option<&'k Index>,
    next: u32,
    names: Vec<Vec<u32>>,
}

impl<'k> Known<'k> {
    fn new(index: Option<&'k Index>) -> Self {
        Known { index, next: 0, names: Vec::new() }
    }

    fn find(&mut self, name: &[u8]) -> Option<(u32, Entry)> {
        let index = self.index?;
        loop {
            let entry = index.entry(self.next)?;
            match index.file_text(&entry).cmp(name) {
                std::cmp::Ordering::Less => self.next += 1,
                std::cmp::Ordering::Equal => {
                    self.next += 1;
                    return Some((self.next - 1, entry));
                }
                std::cmp::Ordering::Greater => return None,
            }
        }
    }

    /// The numbers of the names of an entry, worked out for all entries at once.
    fn names_of(&mut self, number: u32) -> Vec<Vec<u8>> {
        let Some(index) = self.index else { return Vec::new() };
        if self.names.is_empty() {
            self.names = vec![Vec::new(); index.len() as usize];
            for name in 0..index.name_count() {
                for (entry, _) in index.list(name).into_iter().flatten() {
                    self.names.get_mut(entry as usize).into_iter().for_each(|names| names.push(name));
                }
            }
        }
        let numbers = self.names.get(number as usize).map_or(&[][..], Vec::as_slice);
        let text = |(name, wild): (&[u8], bool)| [if wild { &b"*."[..] } else { b"" }, name].concat();
        let mut names: Vec<Vec<u8>> =
            numbers.iter().filter_map(|number| index.name(*number)).map(text).collect();
        names.sort_unstable();
        names
    }
}

/// What a pass over the directory decided about a file.
enum Kept {
    Known(u32, Entry),
    Fresh(Facts, Outline),
}

/// What was known of a directory before it is indexed.
#[derive(Clone, Copy, Default)]
pub struct Before<'b> {
    /// An index of the same directory, made earlier: files that are as they were then are not read again.
    pub index: Option<&'b Index>,
    /// Last good bytes: a file that is no good any more stays what it was.
    pub spool: Option<&'b Spool>,
}

/// Indexes a directory.
pub fn directory(
    dir: &Path,
    how: &Files,
    before: Before<'_>,
    (now_s, pulse): (u64, Pulse<'_>),
) -> Result<Scanned, CertError> {
    let failed = |error| CertError { file: dir.to_owned(), fault: CertFault::Unreadable(error) };
    let options = options_of(how.extras());
    let known =
        before.index.filter(|index| index.options() == u64::from(options) && index.dir() == Some(dir));
    let names = list(dir).map_err(failed)?;
    let sides = names.iter().any(|name| is_side(name));
    let walk = Walk::over(dir, how, &names, sides).map_err(failed)?;
    let mut old = Known::new(known);
    let spooled = |stamp| before.spool.is_some_and(|spool| spool.has(stamp));
    let (mut files, mut bad, mut notes, mut read) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for (done, name) in names.iter().enumerate() {
        if done % PULSE_EVERY == 0 {
            pulse(done, names.len());
        }
        if is_side(name) {
            continue;
        }
        let known = old.find(name);
        let as_before = |mark| known.filter(|(_, entry)| entry.mark == mark && entry.flags & flag::BLOB == 0);
        let fresh = match walk.look(name) {
            Ok(None) => continue,
            Ok(Some(seen)) => match as_before(seen.mark) {
                Some((number, entry)) => {
                    files.push((done, Kept::Known(number, entry)));
                    continue;
                }
                None => walk.read(name, &seen).and_then(|bytes| facts(bytes, how, seen.mark, now_s)),
            },
            Err(error) => {
                Err(CertError { file: dir.join(path_of(name)), fault: CertFault::Unreadable(error) })
            }
        };
        read += 1;
        match fresh {
            Ok((facts, mut outline, _)) => {
                notes.append(&mut outline.notes);
                files.push((done, Kept::Fresh(facts, outline)));
            }
            Err(error) => {
                bad.push(error);
                let last_good = known.filter(|(_, entry)| spooled(entry.stamp));
                files.extend(last_good.map(|(number, entry)| (done, Kept::Known(number, entry))));
            }
        }
    }
    pulse(names.len(), names.len());
    bad.append(&mut notes);
    let all_known = files.iter().all(|(_, file)| matches!(file, Kept::Known(..)));
    if all_known && known.is_some_and(|index| index.len() as usize == files.len()) {
        return Ok(Scanned { index: None, bad, read });
    }
    let mut builder = Builder::new(Some(dir), options);
    for (place, file) in files {
        let Some(name) = names.get(place) else { continue };
        let nobody = std::iter::empty;
        let added = match file {
            Kept::Known(number, entry) => {
                let names = old.names_of(number);
                builder.add(&Facts::of(&entry), name, names.iter().map(Vec::as_slice), nobody())
            }
            Kept::Fresh(facts, outline) => {
                builder.add(&facts, name, outline.names.iter().map(String::as_bytes), nobody())
            }
        };
        if added.is_none() {
            bad.push(CertError { file: dir.join(path_of(name)), fault: CertFault::Full });
        }
    }
    Ok(Scanned { index: Some(builder.finish().map_err(failed)?), bad, read })
}

/// A file that is named, with what is said of it.
pub struct Item<'l> {
    /// The file, and others that were named with it.
    pub files: CrtFiles,
    /// The line of a list.
    pub line: Option<CrtLine<'l>>,
    /// For names nobody has.
    pub default: bool,
    /// Which `crt`, `crt-list` or `default-crt` of the `bind` line it comes from, see [`origin`].
    pub source: u32,
}

/// Where an entry of a group comes from, as [`Facts::mark`] says it: the number of the `crt`, `crt-list` or `default-crt` of
/// the `bind` line (the latter first), and the line in a list, from 1.
pub fn origin(source: u32, line: u32) -> u64 {
    u64::from(source) << 32 | u64::from(line)
}

/// The two numbers of an [`origin`].
pub fn origin_of(mark: u64) -> (u32, u32) {
    ((mark >> 32) as u32, mark as u32)
}

/// A file that was read, for further lines of a list that name it.
#[derive(Clone)]
struct Reading {
    file: PathBuf,
    facts: Facts,
    names: Vec<String>,
    sides: [Option<PathBuf>; 4],
}

/// Reads files that are named, each once.
pub struct Named<'n> {
    how: &'n Files,
    now_s: u64,
    /// By the path in a list that says nothing more of the file.
    known: HashMap<PathBuf, Vec<Reading>>,
    /// What is worth saying about files that are good.
    pub notes: Vec<CertError>,
}

/// Told of the certificates that are good, by their stamps and files.
pub type Parse<'p> = &'p mut dyn FnMut(u64, &CrtFiles) -> Result<(), CertError>;

impl<'n> Named<'n> {
    /// By these rules, at this time in seconds since 1970.
    pub fn new(how: &'n Files, now_s: u64) -> Self {
        Named { how, now_s, known: HashMap::new(), notes: Vec::new() }
    }

    /// Adds a file that is named; those of a bundle when it is the name of one. What is wrong with it is the operator's to
    /// mend.
    pub fn add(&mut self, item: &Item<'_>, builder: &mut Builder, parse: Parse<'_>) -> Result<(), CertError> {
        let plain = item.line.is_some_and(|line| line.files.is_none());
        let known = self.known.get(&item.files.crt).filter(|_| plain).cloned();
        let readings = match known {
            Some(known) => known,
            None => {
                let read = self.read(&item.files, parse)?;
                if plain {
                    self.known.insert(item.files.crt.clone(), read.clone());
                }
                read
            }
        };
        readings.into_iter().try_for_each(|reading| lay_out(item, reading, builder))
    }

    fn read(&mut self, files: &CrtFiles, parse: Parse<'_>) -> Result<Vec<Reading>, CertError> {
        let mut readings = Vec::new();
        for file in self.how.bundle(&files.crt) {
            let files = CrtFiles { crt: file.clone(), ..files.clone() };
            let (facts, outline, sides) = facts(self.how.read(&files)?, self.how, 0, self.now_s)?;
            parse(facts.stamp, &files)?;
            self.notes.extend(outline.notes);
            readings.push(Reading { file, facts, names: outline.names, sides });
        }
        Ok(readings)
    }
}

fn lay_out(item: &Item<'_>, reading: Reading, builder: &mut Builder) -> Result<(), CertError> {
    let Reading { file, mut facts, names, sides } = reading;
    let chosen = match item.line {
        Some(line) => LineNames::of(line.filters(), &names),
        None => LineNames { names, ..LineNames::default() },
    };
    facts.mark = origin(item.source, item.line.map_or(0, |line| line.number));
    facts.options = item.line.map_or(0, |line| line.options as u16);
    facts.flags |= flag::PATHS | if chosen.default || item.default { flag::DEFAULT } else { 0 };
    let mut text = file.as_os_str().as_encoded_bytes().to_vec();
    for side in &sides {
        text.push(0);
        text.extend(side.iter().flat_map(|path| path.as_os_str().as_encoded_bytes()));
    }
    let names = chosen.names.iter().map(String::as_bytes);
    let except = chosen.except.iter().map(String::as_bytes);
    match builder.add(&facts, &text, names, except) {
        Some(_) => Ok(()),
        None => Err(CertError { file, fault: CertFault::Full }),
    }
}
