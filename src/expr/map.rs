//! Maps and ACL files: patterns kept outside the configuration's lines, with or without a value, that
//! commands and rules change while traffic flows.
//!
//! Every process holds its own [`Maps`]: one memory until the first change ([`super::live`]), then a copy that
//! is changed by the same commands in the same order. A file is read once; each way it is searched in (`map_str`, `map_beg -i`...) has its own
//! [`Index`] over the same entries. Entry numbers rise in the order of insertion.

mod entries;

use std::sync::Arc;

use entries::Entries;

use super::pattern::{Index, Match};
use super::sample::Sample;

/// A file together with one way of searching it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MapUse {
    /// Index into [`Maps`].
    pub map: u32,
    /// Which of the file's indices.
    pub index: u32,
}

/// One pattern of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The pattern as written.
    pub key: Box<str>,
    /// What it maps to; empty in an ACL file.
    pub value: Box<str>,
}

impl Entry {
    fn bytes(&self) -> usize {
        Entry::bytes_of(&self.key, &self.value)
    }

    /// As much as a record of the log takes, or a little more.
    fn bytes_of(key: &str, value: &str) -> usize {
        key.len() + value.len() + 32
    }
}

/// What is wrong with a file, and in which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapFlaw {
    /// Line from 1, 0: the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl MapFlaw {
    /// The message, with the place in front of it.
    pub fn message(&self, file: &str) -> String {
        match self.line {
            0 => format!("\"{file}\": {}", self.what),
            line => format!("\"{file}\", line {line}: {}", self.what),
        }
    }
}

/// One file and all indices over it.
#[derive(Clone)]
pub struct MapFile {
    /// The name it is known by: the path; empty for the patterns of a line with `-u`.
    pub name: Box<str>,
    /// The number commands know it by.
    pub id: u32,
    /// `-u` gave the number.
    pub fixed: bool,
    /// It has values.
    pub is_map: bool,
    /// An ACL searches it.
    pub in_acl: bool,
    /// A converter searches it.
    pub in_map: bool,
    entries: Entries,
    next: u32,
    uses: Vec<Index>,
    generation: u32,
    last_generation: u32,
    pending: Vec<(u32, Entry)>,
    /// Bytes of all entries, those of `pending` too.
    bytes: usize,
    /// Line of each entry, by number, while the configuration is read.
    lines: Vec<u32>,
}

impl MapFile {
    /// One without entries.
    pub fn empty(name: &str, is_map: bool) -> MapFile {
        MapFile {
            name: name.into(),
            id: 0,
            fixed: false,
            is_map,
            in_acl: false,
            in_map: false,
            entries: Entries::default(),
            next: 0,
            uses: Vec::new(),
            generation: 0,
            last_generation: 0,
            pending: Vec::new(),
            bytes: 0,
            lines: Vec::new(),
        }
    }

    /// Reads a file. Lines that begin with `#` and empty lines are left out, blanks in front are
    /// dropped. In a map the key ends at the first blank and the value is the rest without blanks at
    /// its ends; in an ACL file the whole line is the pattern.
    pub fn read(name: &str, text: &[u8], is_map: bool) -> Result<MapFile, MapFlaw> {
        let mut file = MapFile::empty(name, is_map);
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        for (number, line) in text.split(|b| *b == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.first() == Some(&b'#') {
                continue;
            }
            let flaw = |what: &str| MapFlaw { line: number + 1, what: what.into() };
            let line = std::str::from_utf8(line).map_err(|_| flaw("this is not text (UTF-8)"))?;
            let line = line.trim_start_matches([' ', '\t']);
            if line.is_empty() {
                continue;
            }
            if line.len() > LINE_MAX {
                return Err(flaw("this line is longer than 64 KB"));
            }
            if line.contains('\0') {
                return Err(flaw("this line holds a NUL byte"));
            }
            if file.entries.len() >= ENTRIES_MAX {
                return Err(flaw("there are more than 16 million entries"));
            }
            let (key, value) =
                if is_map { line.split_once([' ', '\t']).unwrap_or((line, "")) } else { (line, "") };
            let value = value.trim_matches([' ', '\t']);
            file.insert(Entry { key: key.into(), value: value.into() }).map_err(|what| flaw(&what))?;
            file.lines.push((number + 1) as u32);
        }
        Ok(file)
    }

    /// The line an entry was read from; 0 when it is not known (any more).
    pub fn line(&self, id: u32) -> usize {
        self.lines.get(id as usize).map_or(0, |line| *line as usize)
    }

    /// The ways in which it is searched.
    pub fn ways(&self) -> &[Index] {
        &self.uses
    }

    /// The number of the index that searches this way, made when it is the first of its kind.
    fn use_as(&mut self, how: Match, fold: bool) -> Result<u32, MapFlaw> {
        if let Some(at) = self.uses.iter().position(|i| i.how() == how && i.folds() == fold) {
            return Ok(at as u32);
        }
        let mut index = Index::new(how, fold);
        for (id, entry) in self.entries.iter() {
            let flaw = |what| MapFlaw { line: self.line(id), what };
            index.add(&entry.key, id).map_err(flaw)?;
        }
        self.uses.push(index);
        Ok((self.uses.len() - 1) as u32)
    }

    fn insert(&mut self, entry: Entry) -> Result<(), String> {
        if self.next == u32::MAX || self.entries.is_thin(self.next) {
            self.renumber();
        }
        self.insert_as(self.next, entry)?;
        self.next += 1;
        Ok(())
    }

    /// Numbers are used up, or most of them were: the entries that are left get the lowest ones, in the same order.
    fn renumber(&mut self) {
        let new = self.entries.renumber();
        self.uses.iter_mut().for_each(|index| index.renumber(&|id| new.of(id)));
        self.next = self.entries.len() as u32;
        self.lines.clear();
    }

    fn insert_as(&mut self, id: u32, entry: Entry) -> Result<(), String> {
        for (done, index) in self.uses.iter_mut().enumerate() {
            if let Err(what) = index.add(&entry.key, id) {
                self.uses[..done].iter_mut().for_each(|index| index.remove(&entry.key, id));
                return Err(what);
            }
        }
        self.bytes += entry.bytes();
        self.entries.insert(id, entry);
        Ok(())
    }

    /// The numbers of the entries with this key.
    pub fn ids_of(&self, key: &str) -> Vec<u32> {
        let mut ids: Vec<u32> = match self.uses.iter().find(|index| index.finds_by_text(key)) {
            Some(index) => index.ids(key).into_iter().filter(|id| self.entry_is(*id, key)).collect(),
            None => self.entries.iter().filter(|(_, e)| *e.key == *key).map(|(id, _)| id).collect(),
        };
        ids.sort_unstable();
        ids
    }

    /// There is an entry with this key.
    pub fn has(&self, key: &str) -> bool {
        !self.ids_of(key).is_empty()
    }

    fn entry_is(&self, id: u32, key: &str) -> bool {
        self.entries.get(id).is_some_and(|entry| *entry.key == *key)
    }

    /// Adds an entry; the error says why the key is no pattern.
    pub fn add(&mut self, key: &str, value: &str) -> Result<(), String> {
        if self.entries.len() >= ENTRIES_MAX {
            return Err(format!("\"{}\" is full", self.name));
        }
        self.insert(Entry { key: key.into(), value: value.into() })
    }

    /// Gives every entry with this key a new value; false when there is none.
    pub fn set(&mut self, key: &str, value: &str) -> bool {
        let ids = self.ids_of(key);
        for id in &ids {
            self.set_id(*id, value);
        }
        !ids.is_empty()
    }

    /// Takes every entry with this key away; false when there is none.
    pub fn del(&mut self, key: &str) -> bool {
        let ids = self.ids_of(key);
        for id in &ids {
            self.del_id(*id);
        }
        !ids.is_empty()
    }

    /// Takes one entry away by its number.
    pub fn del_id(&mut self, id: u32) -> bool {
        let Some(entry) = self.entries.remove(id) else { return false };
        self.uses.iter_mut().for_each(|index| index.remove(&entry.key, id));
        self.bytes -= entry.bytes();
        true
    }

    /// Gives one entry a new value by its number.
    pub fn set_id(&mut self, id: u32, value: &str) -> bool {
        let Some(entry) = self.entries.get_mut(id) else { return false };
        self.bytes -= entry.bytes();
        entry.value = value.into();
        self.bytes += entry.bytes();
        true
    }

    /// Takes everything away.
    pub fn clear(&mut self) {
        self.entries.clear();
        for index in &mut self.uses {
            *index = Index::new(index.how(), index.folds());
        }
        self.bytes = self.pending.iter().map(|(_, entry)| entry.bytes()).sum();
    }

    /// Entries with their numbers, in order of insertion.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Entry)> {
        self.entries.iter()
    }

    /// The numbers of the entries of a version, for listings that are made in parts.
    pub fn ids(&self, version: u32) -> Vec<u32> {
        if version != self.generation {
            let of = |(at, (v, _)): (usize, &(u32, Entry))| (*v == version).then_some(at as u32);
            return self.pending.iter().enumerate().filter_map(of).collect();
        }
        self.entries.ids()
    }

    /// An entry of a version by its number.
    pub fn entry(&self, version: u32, id: u32) -> Option<&Entry> {
        if version == self.generation {
            return self.entries.get(id);
        }
        self.pending.get(id as usize).filter(|(of, _)| *of == version).map(|(_, entry)| entry)
    }

    /// Everything that [`MapFile::restore_entry`] and its kin put back: numbers, entries, what is being prepared.
    pub fn state(&self) -> ([u32; 3], impl Iterator<Item = (u32, &Entry)>, &[(u32, Entry)]) {
        ([self.next, self.generation, self.last_generation], self.entries.iter(), &self.pending)
    }

    /// Begins anew with the numbers of another process's copy; its entries follow.
    pub fn restore(&mut self, [next, generation, last_generation]: [u32; 3]) {
        self.pending.clear();
        self.clear();
        (self.next, self.generation, self.last_generation) = (next, generation, last_generation);
    }

    /// An entry of the other copy, under its number.
    pub fn restore_entry(&mut self, id: u32, key: &str, value: &str) {
        // Every key was accepted when it was added.
        let _ = self.insert_as(id, Entry { key: key.into(), value: value.into() });
    }

    /// An entry of the other copy that is not in force yet.
    pub fn restore_pending(&mut self, version: u32, key: &str, value: &str) {
        let entry = Entry { key: key.into(), value: value.into() };
        self.bytes += entry.bytes();
        self.pending.push((version, entry));
    }

    /// Bytes of all entries with what belongs to each, those of versions that are being prepared too.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// By how many bytes an entry with this key and value makes it larger, if another with the key is replaced.
    pub fn growth(&self, key: &str, value: &str) -> isize {
        let ids = self.ids_of(key);
        let entry = |id: &u32| self.entries.get(*id).map_or(0, |entry| entry.value.len());
        match ids.is_empty() {
            true => Entry::bytes_of(key, value) as isize,
            false => (value.len() * ids.len()) as isize - ids.iter().map(entry).sum::<usize>() as isize,
        }
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when it has none.
    pub fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }

    /// The version in force and the last one prepared.
    pub fn versions(&self) -> (u32, u32) {
        (self.generation, self.last_generation)
    }

    /// Begins a new version (`prepare map`) and returns its number.
    pub fn prepare(&mut self) -> u32 {
        self.last_generation += 1;
        self.last_generation
    }

    /// Forgets what was added to a version that is being prepared, or takes everything away.
    pub fn clear_version(&mut self, version: u32) {
        if version == self.generation {
            return self.clear();
        }
        let gone = self.pending.iter().filter(|(of, _)| *of == version);
        let gone: usize = gone.map(|(_, entry)| entry.bytes()).sum();
        self.pending.retain(|(of, _)| *of != version);
        self.bytes -= gone;
    }

    /// Adds an entry to a version that is being prepared.
    pub fn add_to(&mut self, version: u32, key: &str, value: &str) -> Result<(), String> {
        if version == self.generation {
            return self.add(key, value);
        }
        if self.pending.len() + self.entries.len() >= ENTRIES_MAX * 2 {
            return Err("too many entries are being prepared".into());
        }
        for index in &self.uses {
            Index::new(index.how(), index.folds()).add(key, 0)?;
        }
        self.restore_pending(version, key, value);
        Ok(())
    }

    /// Puts a prepared version in force and forgets older ones.
    pub fn commit(&mut self, version: u32) -> bool {
        if version <= self.generation || version > self.last_generation {
            return false;
        }
        let mut pending = std::mem::take(&mut self.pending);
        pending.retain(|(of, _)| *of >= version);
        let (due, later): (Vec<_>, Vec<_>) = pending.into_iter().partition(|(of, _)| *of == version);
        self.pending = later;
        self.clear();
        self.generation = version;
        for (_, entry) in due {
            // Every key was tried when it was prepared.
            let _ = self.insert(entry);
        }
        true
    }
}

/// All maps and ACL files of one process. Copies share what was not changed since.
#[derive(Default, Clone)]
pub struct Maps {
    files: Vec<Arc<MapFile>>,
}

impl Maps {
    /// The file of this name, if it was read as a map or as a list of patterns.
    pub fn find(&self, name: &str, is_map: bool) -> Option<u32> {
        self.files.iter().position(|f| f.is_map == is_map && *f.name == *name).map(|at| at as u32)
    }

    /// The patterns of a line with `-u`.
    pub fn find_fixed(&self, id: u32) -> Option<u32> {
        self.files.iter().position(|f| f.fixed && f.id == id).map(|at| at as u32)
    }

    /// What a command means by `#<id>` or the name of a file, among what is searched by ACLs or by
    /// converters.
    pub fn named(&self, name: &str, acl: bool) -> Option<u32> {
        let bare = |name: &'_ str| {
            ["file@", "opt@", "virt@"].iter().find_map(|p| name.strip_prefix(p).map(str::to_owned))
        };
        let number = name.strip_prefix('#').and_then(|digits| digits.parse::<u32>().ok());
        let is = |f: &MapFile| match number {
            Some(id) => f.id == id,
            None => {
                !f.name.is_empty()
                    && (*f.name == *name
                        || bare(name).as_deref().unwrap_or(name)
                            == bare(&f.name).as_deref().unwrap_or(&f.name))
            }
        };
        let found = self.files.iter().position(|f| (if acl { f.in_acl } else { f.in_map }) && is(f));
        found.map(|at| at as u32)
    }

    /// Adds a file that was read.
    pub fn push(&mut self, file: MapFile) -> u32 {
        self.files.push(Arc::new(file));
        (self.files.len() - 1) as u32
    }

    /// All is read: files get their numbers, and what only loading needs is forgotten.
    pub fn settle(&mut self) {
        let taken: Vec<u32> = self.files.iter().filter(|f| f.fixed).map(|f| f.id).collect();
        let mut free = (0..).filter(|id| !taken.contains(id));
        for file in &mut self.files {
            let file = Arc::make_mut(file);
            file.lines = Vec::new();
            if !file.fixed {
                file.id = free.next().unwrap_or(u32::MAX);
            }
        }
    }

    /// A file by its number.
    pub fn get(&self, map: u32) -> Option<&MapFile> {
        self.files.get(map as usize).map(|file| &**file)
    }

    /// A file by its number, for changing it.
    pub fn get_mut(&mut self, map: u32) -> Option<&mut MapFile> {
        self.files.get_mut(map as usize).map(Arc::make_mut)
    }

    /// All files.
    pub fn iter(&self) -> impl Iterator<Item = &MapFile> {
        self.files.iter().map(|file| &**file)
    }

    /// Makes a file searchable in one way.
    pub fn use_as(&mut self, map: u32, how: Match, fold: bool) -> Result<MapUse, MapFlaw> {
        let none = || MapFlaw { line: 0, what: "no such file".into() };
        let index = self.get_mut(map).ok_or_else(none)?.use_as(how, fold)?;
        Ok(MapUse { map, index })
    }

    /// The entry a sample matches. The sample has been cast to what the way of matching takes.
    #[inline]
    pub fn lookup(&self, by: MapUse, sample: &Sample<'_>) -> Option<(u32, &Entry)> {
        let file = self.files.get(by.map as usize)?;
        let id = file.uses.get(by.index as usize)?.find(sample)?;
        file.entries.get(id).map(|entry| (id, entry))
    }

    /// Whether a sample matches any entry.
    #[inline]
    pub fn holds(&self, by: MapUse, sample: &Sample<'_>) -> bool {
        self.index(by).is_some_and(|index| index.find(sample).is_some())
    }

    /// The index behind a use.
    #[inline]
    pub fn index(&self, by: MapUse) -> Option<&Index> {
        self.files.get(by.map as usize)?.uses.get(by.index as usize)
    }
}

/// Bytes of one line of a file.
const LINE_MAX: usize = 64 * 1024;
/// Entries of one file.
const ENTRIES_MAX: usize = 16_000_000;

/// For the fuzzer: any file content must be read or refused.
pub fn fuzz_map(data: &[u8]) {
    let (flags, text) = data.split_first().unwrap_or((&0, &[]));
    let (how, _) = Match::ALL[usize::from(*flags & 0x7f) % Match::ALL.len()];
    if let Ok(mut file) = MapFile::read("fuzz", text, flags & 0x80 != 0) {
        let _ = file.use_as(how, true);
        let keys: Vec<String> = file.iter().map(|(_, e)| e.key.to_string()).collect();
        for key in keys {
            assert!(file.del(&key) || file.ids_of(&key).is_empty());
        }
    }
}

#[cfg(test)]
mod tests;
