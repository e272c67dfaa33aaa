//! Changes of indexes by commands: certificates replaced, added or taken out of lines, lists and directories while everything
//! runs.
//!
//! Worked out by the process with the command socket ([`Edits`]), which has all indexes and parses what an operator typed;
//! made by the process with file rights ([`Store::edit`]), whose indexes count: it brings them to all others, and to those
//! that are forked later. It parses nothing of the certificates. Nothing in an edit names a file to be opened: an entry either
//! is new bytes, which are kept in the spool and have no file ([`flag::BLOB`]), or the copy of an entry that is there.
//! Versions of indexes are told with the edits: what was worked out from an older one is refused as [`STALE`].

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::build::{Builder, Facts};
use super::index::{flag, path_of, Index, SIDES};
use super::patch::{patch, Change};
use super::spool::{Record, Spool};
use super::{scan, Store};
use crate::base::ids::TaskId;
use crate::net::tls::certs::KeyKind;

/// The answer to edits that were worked out from another version of an index.
pub const STALE: &str = "the certificates have changed meanwhile, try again\n";

/// Which content an entry gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// That of the record with this number among those of the edits.
    Record(u32),
    /// None at all: a name that waits for its certificate.
    Empty,
    /// That of the entry in this place with this number.
    Of(u32, u32),
}

/// An entry as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// What commands call it.
    pub file: Vec<u8>,
    /// Options and names of its line, when a command has made it.
    pub line: Option<String>,
    /// Its content.
    pub content: Content,
    /// Its key.
    pub kind: KeyKind,
    /// [`flag::DEFAULT`] and those of its parts; the others are decided where the edit is made.
    pub flags: u8,
    /// Seconds since 1970.
    pub validity: (i64, i64),
    /// As in [`Facts::mark`].
    pub mark: u64,
    /// As in [`Facts::options`].
    pub options: u16,
    /// The names it is for.
    pub names: Vec<String>,
    /// Names its wildcards do not cover.
    pub except: Vec<String>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The place of the index.
    pub place: u32,
    /// Its version.
    pub version: u32,
    /// The entry that is replaced or taken out; `None`: one more.
    pub entry: Option<u32>,
    /// What it shall be.
    pub put: Option<Put>,
}

/// Changes that belong together: all are made, or none.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// In this order.
    pub edits: Vec<Edit>,
    /// Contents ([`Record`]).
    pub records: Vec<Vec<u8>>,
}

impl Edits {
    /// As bytes, to be sent.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let number = |out: &mut Vec<u8>, number: usize| out.extend((number as u32).to_le_bytes());
        let text = |out: &mut Vec<u8>, text: &[u8]| {
            out.extend((text.len() as u32).to_le_bytes());
            out.extend_from_slice(text);
        };
        number(&mut out, self.records.len());
        self.records.iter().for_each(|record| text(&mut out, record));
        number(&mut out, self.edits.len());
        for edit in &self.edits {
            number(&mut out, edit.place as usize);
            number(&mut out, edit.version as usize);
            number(&mut out, edit.entry.map_or(0, |entry| entry as usize + 1));
            let Some(put) = &edit.put else {
                out.push(0);
                continue;
            };
            out.push(1);
            text(&mut out, &put.file);
            out.push(u8::from(put.line.is_some()));
            text(&mut out, put.line.as_deref().unwrap_or_default().as_bytes());
            let (what, a, b) = match put.content {
                Content::Record(number) => (0, number, 0),
                Content::Empty => (1, 0, 0),
                Content::Of(place, entry) => (2, place, entry),
            };
            out.push(what);
            number(&mut out, a as usize);
            number(&mut out, b as usize);
            out.extend([u8::from(put.kind == KeyKind::Ec), put.flags]);
            out.extend(put.validity.0.to_le_bytes());
            out.extend(put.validity.1.to_le_bytes());
            out.extend(put.mark.to_le_bytes());
            number(&mut out, put.options.into());
            for names in [&put.names, &put.except] {
                number(&mut out, names.len());
                names.iter().for_each(|name| text(&mut out, name.as_bytes()));
            }
        }
        out
    }

    /// What was sent; `None` for what is no such thing.
    pub fn decode(bytes: &[u8]) -> Option<Edits> {
        let mut from = Cut(bytes);
        let mut edits = Edits::default();
        for _ in 0..from.number()? {
            edits.records.push(from.text()?.to_vec());
        }
        for _ in 0..from.number()? {
            let (place, version, entry) = (from.number()?, from.number()?, from.number()?.checked_sub(1));
            let put = match from.byte()? {
                0 => None,
                _ => Some(from.put()?),
            };
            edits.edits.push(Edit { place, version, entry, put });
        }
        from.0.is_empty().then_some(edits)
    }
}

/// Reads what was sent.
struct Cut<'b>(&'b [u8]);

impl<'b> Cut<'b> {
    fn take(&mut self, len: usize) -> Option<&'b [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u32> {
        self.take(4)?.first_chunk().copied().map(u32::from_le_bytes)
    }

    fn long(&mut self) -> Option<u64> {
        self.take(8)?.first_chunk().copied().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<&'b [u8]> {
        let len = self.number()?;
        self.take(len as usize)
    }

    fn word(&mut self) -> Option<String> {
        String::from_utf8(self.text()?.to_vec()).ok()
    }

    fn words(&mut self) -> Option<Vec<String>> {
        let mut words = Vec::new();
        for _ in 0..self.number()? {
            words.push(self.word()?);
        }
        Some(words)
    }

    fn put(&mut self) -> Option<Put> {
        let file = self.text()?.to_vec();
        let has_line = self.byte()? != 0;
        let line = Some(self.word()?).filter(|_| has_line);
        let content = match (self.byte()?, self.number()?, self.number()?) {
            (0, number, _) => Content::Record(number),
            (1, ..) => Content::Empty,
            (_, place, entry) => Content::Of(place, entry),
        };
        Some(Put {
            file,
            line,
            content,
            kind: if self.byte()? == 0 { KeyKind::Rsa } else { KeyKind::Ec },
            flags: self.byte()?,
            validity: (self.long()? as i64, self.long()? as i64),
            mark: self.long()?,
            options: u16::try_from(self.number()?).ok()?,
            names: self.words()?,
            except: self.words()?,
        })
    }
}

/// An entry of a group of named files, laid out.
struct Laid {
    facts: Facts,
    text: Vec<u8>,
    names: Vec<String>,
    except: Vec<String>,
}

impl Store {
    /// Makes changes, all or none. Tasks that waited for what is changed must look again ([`Store::take_woken`]).
    pub fn edit(&self, bytes: &[u8]) -> Result<(), String> {
        let edits = Edits::decode(bytes).ok_or("the change cannot be read\n")?;
        let spool = self.spool_for_edits().map_err(no_room)?;
        let mut stamps = Vec::new();
        for record in &edits.records {
            let stamp = scan::stamp(record);
            spool.put(stamp, &Record::received(record.clone())).map_err(no_room)?;
            stamps.push(stamp);
        }
        let mut by_place: BTreeMap<u32, Vec<&Edit>> = BTreeMap::new();
        for edit in &edits.edits {
            by_place.entry(edit.place).or_default().push(edit);
        }
        let mut made = Vec::new();
        for (place, edits) in by_place {
            let (index, version) = self.index(place).ok_or(STALE)?;
            if edits.iter().any(|edit| edit.version != version) {
                return Err(STALE.to_owned());
            }
            let next = match index.dir() {
                Some(_) => self.patched(&index, &edits, &stamps)?,
                None => self.revised(&index, &edits, &stamps)?,
            };
            let gone = edits.iter().filter_map(|edit| index.entry(edit.entry?)).map(|entry| entry.stamp);
            gone.for_each(|stamp| spool.drop_one(stamp));
            made.push((place, Arc::new(next), version));
        }
        for (place, index, version) in made {
            let tasks = self.replace(place, index, version.wrapping_add(1));
            self.desk().woken.extend(tasks);
        }
        let dirs = self.dirs();
        let dirs: Vec<&Path> = dirs.iter().map(PathBuf::as_path).collect();
        // what cannot be cleaned up now can be later
        let _ = spool.tidy(&dirs, || {
            let indexes = self.indexes();
            let entries = indexes.iter().flat_map(|index| index.entries());
            entries.map(|(_, entry)| entry.stamp).collect::<HashSet<u64>>()
        });
        Ok(())
    }

    /// Tasks that must look again since the last call.
    pub fn take_woken(&self) -> Vec<TaskId> {
        std::mem::take(&mut self.desk().woken)
    }

    fn dirs(&self) -> Vec<PathBuf> {
        self.indexes().iter().filter_map(|index| index.dir().map(Path::to_owned)).collect()
    }

    fn spool_for_edits(&self) -> io::Result<Arc<Spool>> {
        if let Some(spool) = self.spool() {
            return Ok(spool);
        }
        let dirs = self.dirs();
        let dirs: Vec<&Path> = dirs.iter().map(PathBuf::as_path).collect();
        let spool = Arc::new(Spool::new(&dirs)?);
        self.set_spool(Arc::clone(&spool));
        Ok(spool)
    }

    /// What an entry is made of: its facts and the paths of its files.
    fn lay(&self, put: &Put, stamps: &[u64]) -> Result<(Facts, Vec<Vec<u8>>), String> {
        let own = put.flags & (flag::DEFAULT | sides());
        let mut paths = vec![put.file.clone()];
        paths.resize(SIDES.len() + 1, Vec::new());
        let (flags, stamp) = match put.content {
            Content::Record(number) => {
                (own | flag::BLOB, *stamps.get(number as usize).ok_or("a content is missing\n")?)
            }
            Content::Empty => (own | flag::BLOB, 0),
            Content::Of(place, number) => {
                let (index, _) = self.index(place).ok_or(STALE)?;
                let entry = index.entry(number).ok_or(STALE)?;
                let (known, wanted) = (index.file(&entry), path_of(&put.file));
                let same = match index.dir() {
                    Some(_) => known.file_name() == wanted.file_name(),
                    None => known == wanted,
                };
                if !same {
                    return Err(STALE.to_owned());
                }
                let files = self.paths(&index, &entry);
                for (path, file) in paths.iter_mut().zip(files.iter().flatten()) {
                    *path =
                        file.iter().flat_map(|file| file.as_os_str().as_encoded_bytes().to_vec()).collect();
                }
                let kept = entry.flags & (flag::BLOB | sides());
                (own & flag::DEFAULT | kept, entry.stamp)
            }
        };
        let (not_before, not_after) = put.validity;
        let facts = Facts {
            kind: put.kind,
            flags,
            not_before,
            not_after,
            mark: put.mark,
            stamp,
            options: put.options,
        };
        Ok((facts, paths))
    }

    /// A directory with some entries changed.
    fn patched(&self, old: &Index, edits: &[&Edit], stamps: &[u64]) -> Result<Index, String> {
        let mut changes = BTreeMap::new();
        for edit in edits {
            if let Some(entry) = edit.entry.and_then(|number| old.entry(number)) {
                changes.insert(old.file_text(&entry).to_vec(), Change::Gone);
            }
            let Some(put) = &edit.put else { continue };
            let (facts, _) = self.lay(put, stamps)?;
            // the directory may be called by another name
            let name = path_of(&put.file).file_name().ok_or("it has no name\n")?;
            changes.insert(name.as_encoded_bytes().to_vec(), Change::Is(facts, put.names.clone()));
        }
        let (next, full) = patch(old, &changes).map_err(no_room)?;
        match full.is_empty() {
            true => Ok(next),
            false => Err("too many certificates for one index\n".to_owned()),
        }
    }

    /// A group of files that were named, or of none, with some entries changed.
    fn revised(&self, old: &Index, edits: &[&Edit], stamps: &[u64]) -> Result<Index, String> {
        let mut changed = BTreeMap::new();
        let mut added = Vec::new();
        for edit in edits {
            let laid = edit.put.as_ref().map(|put| {
                let (mut facts, paths) = self.lay(put, stamps)?;
                facts.flags |= flag::PATHS;
                let mut text = paths.join(&0);
                if let Some(line) = &put.line {
                    text.push(0);
                    text.extend_from_slice(line.as_bytes());
                }
                Ok::<_, String>(Laid { facts, text, names: put.names.clone(), except: put.except.clone() })
            });
            match (edit.entry, laid.transpose()?) {
                (Some(entry), laid) => drop(changed.insert(entry, laid)),
                (None, Some(laid)) => added.push(laid),
                (None, None) => {}
            }
        }
        revise(old, &changed, &added)
            .map_err(no_room)?
            .ok_or_else(|| "it does not fit into the index\n".to_owned())
    }
}

fn sides() -> u8 {
    SIDES.iter().map(|(_, flag)| flag).sum()
}

fn no_room(error: io::Error) -> String {
    format!("there is no room for it: {error}\n")
}

/// The group with entries replaced (`None`: taken out) and others behind. `None`: it is full.
fn revise(old: &Index, changed: &BTreeMap<u32, Option<Laid>>, added: &[Laid]) -> io::Result<Option<Index>> {
    let mut builder = Builder::new(None, u32::try_from(old.options()).unwrap_or_default());
    let add = |builder: &mut Builder, laid: &Laid| {
        let names = laid.names.iter().map(String::as_bytes);
        builder.add(&laid.facts, &laid.text, names, laid.except.iter().map(String::as_bytes)).is_some()
    };
    let mut fits = true;
    let mut places = vec![None; old.len() as usize];
    for ((number, entry), place) in old.entries().zip(&mut places) {
        match changed.get(&number) {
            Some(laid) => fits &= laid.as_ref().is_none_or(|laid| add(&mut builder, laid)),
            None => {
                *place = builder.push_entry(&Facts::of(&entry), old.file_text(&entry), entry.names);
                fits &= place.is_some();
            }
        }
    }
    fits &= added.iter().all(|laid| add(&mut builder, laid));
    if !fits {
        return Ok(None);
    }
    builder.carry_names(old, &places);
    builder.finish().map(Some)
}

/// For fuzzing: any bytes as edits of a directory of one certificate and a group of one.
pub fn fuzz_cert_edits(bytes: &[u8]) {
    let Some(edits) = Edits::decode(bytes) else { return };
    assert_eq!(Edits::decode(&edits.encode()), Some(edits), "what was read is what was meant");
    let store = Store::default();
    let shelf = |dir: Option<&Path>, flags: u8, file: &[u8]| {
        let mut builder = Builder::new(dir, 0);
        let facts =
            Facts { kind: KeyKind::Ec, flags, not_before: 0, not_after: 9, mark: 0, stamp: 1, options: 0 };
        builder.add(&facts, file, [&b"a.test"[..]].into_iter(), std::iter::empty());
        builder.finish().map(|index| store.add(Arc::new(index)))
    };
    let shelves = [shelf(Some(Path::new("/d")), 0, b"a.pem"), shelf(None, flag::PATHS, b"c.pem\0\0\0\0")];
    if shelves.iter().any(Result::is_err) || store.edit(bytes).is_err() {
        return;
    }
    for index in store.indexes() {
        for (_, entry) in index.entries() {
            let known = entry.stamp == 1 || entry.flags & flag::BLOB != 0;
            assert!(known, "an entry has its own bytes, or is one that was there");
        }
    }
}

#[cfg(test)]
mod tests;
