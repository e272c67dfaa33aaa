//! An index is made: entries are added in order of preference, then everything is laid out at once.

use std::path::Path;

use super::index::{
    flag, hash, Bytes, Entry, Index, IndexFault, Sizes, ENTRY, EXCEPT, HEADER, INDEX_MAX, NAME, NAME_MAX,
};
use crate::net::tls::certs::KeyKind;
use lighterman_sys::sealed::Sealed;

/// What is said of a certificate when it is added.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Its key.
    pub kind: KeyKind,
    /// See [`flag`].
    pub flags: u8,
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970.
    pub not_after: i64,
    /// Sizes and dates of its files.
    pub mark: u64,
    /// Its content.
    pub stamp: u64,
    /// The set of options of its `crt-list` line.
    pub options: u16,
}

impl Facts {
    /// Those of an entry, to be added again.
    pub fn of(entry: &Entry) -> Facts {
        Facts {
            kind: entry.kind,
            flags: entry.flags,
            not_before: entry.not_before,
            not_after: entry.not_after,
            mark: entry.mark,
            stamp: entry.stamp,
            options: entry.options,
        }
    }
}

/// A name as it was added.
struct Ref {
    hash: u64,
    entry: u32,
    at: u32,
    len: u16,
    wild: bool,
}

/// Puts an index together.
pub struct Builder {
    entries: Vec<u8>,
    count: u32,
    refs: Vec<Ref>,
    text: Vec<u8>,
    defaults: Vec<u32>,
    dir_len: u32,
    options: u32,
}

impl Builder {
    /// For the files of a directory, or for files that are named; `options` are kept and given back by [`Index::options`].
    pub fn new(dir: Option<&Path>, options: u32) -> Builder {
        let text = dir.map_or(Vec::new(), |dir| dir.as_os_str().as_encoded_bytes().to_vec());
        let dir_len = text.len() as u32;
        let (entries, refs, defaults) = (Vec::new(), Vec::new(), Vec::new());
        Builder { entries, count: 0, refs, text, defaults, dir_len, options }
    }

    /// How many certificates were added.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// True before the first.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a certificate: its file (see [`Index::file_text`]), its names in lower case with `*.` where they are wildcards, and
    /// names its wildcards do not cover. Its number; `None` when the index is full.
    pub fn add<'n>(
        &mut self,
        facts: &Facts,
        file: &[u8],
        names: impl Iterator<Item = &'n [u8]>,
        except: impl Iterator<Item = &'n [u8]>,
    ) -> Option<u32> {
        let number = self.count;
        if !self.fits(file) {
            return None;
        }
        let before = self.refs.len();
        for (name, item) in names.map(|name| (name, number)).chain(except.map(|name| (name, number | EXCEPT)))
        {
            let (name, wild) = name.strip_prefix(b"*.").map_or((name, false), |parent| (parent, true));
            if !name.is_empty() && name.len() <= NAME_MAX {
                self.push_name(name, wild, &[item]);
            }
        }
        let names = u16::try_from(self.refs.len() - before).unwrap_or(u16::MAX);
        self.push_entry(facts, file, names)
    }

    fn fits(&self, file: &[u8]) -> bool {
        let full = self.text.len() as u64 + self.entries.len() as u64 > INDEX_MAX / 2;
        !full && u16::try_from(file.len()).is_ok()
    }

    /// A name of these entries, the text of which is kept once.
    fn push_name(&mut self, name: &[u8], wild: bool, entries: &[u32]) {
        let at = self.push_text(name);
        let (hash, len) = (hash(name, wild), name.len() as u16);
        self.refs.extend(entries.iter().map(|entry| Ref { hash, entry: *entry, at, len, wild }));
    }

    /// The names of entries that were carried over from another index; `places` says where each entry of that one stands here,
    /// if it does.
    pub(super) fn carry_names(&mut self, old: &Index, places: &[Option<u32>]) {
        let mut kept = Vec::new();
        for number in 0..old.name_count() {
            let (Some((name, wild)), Some(list)) = (old.name(number), old.list(number)) else { continue };
            kept.clear();
            kept.extend(list.filter_map(|(entry, covers)| {
                let place = places.get(entry as usize).copied().flatten()?;
                Some(if covers { place } else { place | EXCEPT })
            }));
            if !kept.is_empty() {
                self.push_name(name, wild, &kept);
            }
        }
    }

    /// An entry with so many names, which come apart. Its number; `None` when the index is full.
    pub(super) fn push_entry(&mut self, facts: &Facts, file: &[u8], names: u16) -> Option<u32> {
        let number = self.count;
        let file_len = u16::try_from(file.len()).ok().filter(|_| self.fits(file))?;
        let file_at = self.push_text(file);
        if facts.flags & flag::DEFAULT != 0 {
            self.defaults.push(number);
        }
        let raw = &mut self.entries;
        raw.extend(file_at.to_le_bytes());
        raw.extend(file_len.to_le_bytes());
        raw.push(u8::from(facts.kind == KeyKind::Ec));
        raw.push(facts.flags);
        raw.extend(facts.not_before.to_le_bytes());
        raw.extend(facts.not_after.to_le_bytes());
        raw.extend(facts.mark.to_le_bytes());
        raw.extend(facts.stamp.to_le_bytes());
        raw.extend(u32::MAX.to_le_bytes());
        raw.extend(facts.options.to_le_bytes());
        raw.extend(names.to_le_bytes());
        self.count += 1;
        Some(number)
    }

    fn push_text(&mut self, text: &[u8]) -> u32 {
        let at = self.text.len() as u32;
        self.text.extend_from_slice(text);
        at
    }

    fn text_of(&self, name: &Ref) -> &[u8] {
        self.text.get(name.at as usize..name.at as usize + usize::from(name.len)).unwrap_or_default()
    }

    /// Lays it out in memory that can be shared.
    pub fn finish(self) -> std::io::Result<Index> {
        let bytes = self.bytes();
        let sealed = Sealed::read("lighterman certificates", bytes.as_slice(), INDEX_MAX)?;
        let damaged = |fault: IndexFault| std::io::Error::other(fault.to_string());
        Index::open(Bytes::Shared(sealed)).map_err(damaged)
    }

    /// Lays it out.
    pub fn bytes(mut self) -> Vec<u8> {
        let mut refs = std::mem::take(&mut self.refs);
        // within a name the order of preference; those of an index that is patched are nearly sorted, which this sort likes
        let key = |name: &Ref| (name.hash, name.wild, name.entry & !EXCEPT);
        refs.sort_by(|a, b| match (a.hash, a.wild) == (b.hash, b.wild) {
            true => (self.text_of(a), key(a)).cmp(&(self.text_of(b), key(b))),
            false => key(a).cmp(&key(b)),
        });
        let same = |a: &Ref, b: &Ref| (a.hash, a.wild, self.text_of(a)) == (b.hash, b.wild, self.text_of(b));
        let (mut names, mut lists, mut hashes) = (Vec::new(), Vec::<u32>::new(), Vec::new());
        let mut firsts = vec![u32::MAX; self.count as usize];
        for group in refs.chunk_by(same) {
            let Some(first) = group.first() else { continue };
            let (at, number) = (lists.len() as u32, hashes.len() as u32);
            let list = match group {
                [only] => only.entry,
                _ => {
                    lists.extend(group.iter().map(|item| item.entry));
                    at
                }
            };
            for item in group {
                if let Some(known) = firsts.get_mut(item.entry as usize).filter(|known| **known == u32::MAX) {
                    *known = number;
                }
            }
            hashes.push(first.hash);
            names.extend(first.at.to_le_bytes());
            names.extend(first.len.to_le_bytes());
            names.extend(u16::from(first.wild).to_le_bytes());
            names.extend(list.to_le_bytes());
            names.extend((group.len() as u32).to_le_bytes());
        }
        debug_assert_eq!(names.len(), hashes.len() * NAME);
        for (raw, first) in self.entries.chunks_exact_mut(ENTRY).zip(firsts) {
            if let Some(room) = raw.get_mut(40..44) {
                room.copy_from_slice(&first.to_le_bytes());
            }
        }
        let slots = slots(&hashes);
        let sizes = Sizes {
            entries: self.count,
            names: hashes.len() as u32,
            slots: slots.len() as u32,
            lists: (lists.len() + self.defaults.len()) as u32,
            text: self.text.len() as u32,
            dir: self.dir_len,
            defaults_at: lists.len() as u32,
            defaults: self.defaults.len() as u32,
            options: self.options,
        };
        lists.append(&mut self.defaults);
        let mut bytes = vec![0; HEADER];
        bytes.append(&mut self.entries);
        bytes.append(&mut names);
        slots.iter().chain(&lists).for_each(|number| bytes.extend(number.to_le_bytes()));
        bytes.append(&mut self.text);
        let header = sizes.header(bytes.get(HEADER..).unwrap_or_default());
        bytes.splice(..HEADER, header);
        bytes
    }
}

/// Open addressing, at most two thirds full; a slot holds the number of a name and one more.
fn slots(hashes: &[u64]) -> Vec<u32> {
    if hashes.is_empty() {
        return Vec::new();
    }
    let count = (hashes.len() + hashes.len() / 2 + 1).next_power_of_two();
    let mask = count - 1;
    let mut slots = vec![0u32; count];
    for (number, hash) in hashes.iter().enumerate() {
        let mut place = *hash as usize & mask;
        while let Some(slot) = slots.get_mut(place) {
            if *slot == 0 {
                *slot = number as u32 + 1;
                break;
            }
            place = (place + 1) & mask;
        }
    }
    slots
}
