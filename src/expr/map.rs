//! Maps and ACL files: patterns kept outside the configuration's lines, with or without a value, that
//! commands and rules change while traffic flows.
//!
//! Every process holds its own [`Maps`], made before the fork and changed by the same commands in the
//! same order. A file is read once; each way it is searched in (`map_str`, `map_beg -i`...) has its own
//! [`Index`] over the same entries. Entry numbers rise in the order of insertion.

use super::pattern::string::ReadyMap;
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

/// What is wrong with a file, and in which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapFlaw {
    /// Line from 1, 0: the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// One file and all indices over it.
pub struct MapFile {
    /// The name it is known by: the path, or what `-u` says.
    pub name: Box<str>,
    /// Where it is used, for `show map`.
    pub users: Vec<Box<str>>,
    /// It has values.
    pub is_map: bool,
    entries: ReadyMap<u32, Entry>,
    next: u32,
    uses: Vec<Index>,
    generation: u32,
    last_generation: u32,
    pending: Vec<(u32, Entry)>,
}

impl MapFile {
    /// Reads a file. Lines that begin with `#` and empty lines are left out, blanks in front are
    /// dropped. In a map the key ends at the first blank and the value is the rest without blanks at
    /// its ends; in an ACL file the whole line is the pattern.
    pub fn read(name: &str, text: &[u8], is_map: bool) -> Result<MapFile, MapFlaw> {
        let mut file = MapFile {
            name: name.into(),
            users: Vec::new(),
            is_map,
            entries: ReadyMap::default(),
            next: 0,
            uses: Vec::new(),
            generation: 0,
            last_generation: 0,
            pending: Vec::new(),
        };
        for (number, line) in text.split(|b| *b == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.first() == Some(&b'#') {
                continue;
            }
            let flaw = |what: &str| MapFlaw { line: number + 1, what: what.into() };
            let line = std::str::from_utf8(line).map_err(|_| flaw("not UTF-8"))?;
            let line = line.trim_start_matches([' ', '\t']);
            if line.is_empty() {
                continue;
            }
            if line.len() > LINE_MAX || line.contains('\0') {
                return Err(flaw("the line is too long or holds a NUL"));
            }
            if file.entries.len() >= ENTRIES_MAX {
                return Err(flaw("too many entries"));
            }
            let (key, value) =
                if is_map { line.split_once([' ', '\t']).unwrap_or((line, "")) } else { (line, "") };
            let value = value.trim_matches([' ', '\t']);
            file.insert(Entry { key: key.into(), value: value.into() }).map_err(|what| flaw(&what))?;
        }
        Ok(file)
    }

    /// The number of the index that searches this way, made when it is the first of its kind.
    fn use_as(&mut self, how: Match, fold: bool) -> Result<u32, MapFlaw> {
        if let Some(at) = self.uses.iter().position(|i| i.how() == how && i.folds() == fold) {
            return Ok(at as u32);
        }
        let mut index = Index::new(how, fold);
        let mut ids: Vec<u32> = self.entries.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            index.add(&self.entries[&id].key, id).map_err(|what| MapFlaw { line: 0, what })?;
        }
        self.uses.push(index);
        Ok((self.uses.len() - 1) as u32)
    }

    fn insert(&mut self, entry: Entry) -> Result<(), String> {
        let id = self.next;
        for (done, index) in self.uses.iter_mut().enumerate() {
            if let Err(what) = index.add(&entry.key, id) {
                self.uses[..done].iter_mut().for_each(|index| index.remove(&entry.key, id));
                return Err(what);
            }
        }
        self.entries.insert(id, entry);
        self.next += 1;
        Ok(())
    }

    fn ids_of(&self, key: &str) -> Vec<u32> {
        let mut ids: Vec<u32> = match self.uses.first() {
            Some(index) => index.ids(key).into_iter().filter(|id| self.entry_is(*id, key)).collect(),
            None => self.entries.iter().filter(|(_, e)| *e.key == *key).map(|(id, _)| *id).collect(),
        };
        ids.sort_unstable();
        ids
    }

    fn entry_is(&self, id: u32, key: &str) -> bool {
        self.entries.get(&id).is_some_and(|entry| *entry.key == *key)
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
            if let Some(entry) = self.entries.get_mut(id) {
                entry.value = value.into();
            }
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
        let Some(entry) = self.entries.remove(&id) else { return false };
        self.uses.iter_mut().for_each(|index| index.remove(&entry.key, id));
        true
    }

    /// Gives one entry a new value by its number.
    pub fn set_id(&mut self, id: u32, value: &str) -> bool {
        self.entries.get_mut(&id).map(|entry| entry.value = value.into()).is_some()
    }

    /// Takes everything away.
    pub fn clear(&mut self) {
        self.entries.clear();
        for index in &mut self.uses {
            *index = Index::new(index.how(), index.folds());
        }
    }

    /// Entries with their numbers, in order of insertion.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Entry)> {
        let mut ids: Vec<u32> = self.entries.keys().copied().collect();
        ids.sort_unstable();
        ids.into_iter().map(|id| (id, &self.entries[&id]))
    }

    /// The next entry from this number on: for listings that are made in parts.
    pub fn entry_from(&self, from: u32) -> Option<(u32, &Entry)> {
        (from..self.next).find_map(|id| self.entries.get(&id).map(|entry| (id, entry)))
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when it has none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
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
        self.pending.push((version, Entry { key: key.into(), value: value.into() }));
        Ok(())
    }

    /// Puts a prepared version in force and forgets older ones.
    pub fn commit(&mut self, version: u32) -> bool {
        if version <= self.generation || version > self.last_generation {
            return false;
        }
        self.clear();
        self.generation = version;
        for (of, entry) in std::mem::take(&mut self.pending) {
            if of == version {
                // Every key was tried when it was prepared.
                let _ = self.insert(entry);
            } else if of > version {
                self.pending.push((of, entry));
            }
        }
        true
    }
}

/// All maps and ACL files of one process.
#[derive(Default)]
pub struct Maps {
    files: Vec<MapFile>,
}

impl Maps {
    /// The file of this name, if it was read.
    pub fn find(&self, name: &str) -> Option<u32> {
        self.files.iter().position(|f| *f.name == *name).map(|at| at as u32)
    }

    /// Adds a file that was read.
    pub fn push(&mut self, file: MapFile) -> u32 {
        self.files.push(file);
        (self.files.len() - 1) as u32
    }

    /// A file by its number.
    pub fn get(&self, map: u32) -> Option<&MapFile> {
        self.files.get(map as usize)
    }

    /// A file by its number, for changing it.
    pub fn get_mut(&mut self, map: u32) -> Option<&mut MapFile> {
        self.files.get_mut(map as usize)
    }

    /// All files.
    pub fn iter(&self) -> impl Iterator<Item = &MapFile> {
        self.files.iter()
    }

    /// Makes a file searchable in one way.
    pub fn use_as(&mut self, map: u32, how: Match, fold: bool) -> Result<MapUse, MapFlaw> {
        let none = || MapFlaw { line: 0, what: "no such file".into() };
        let index = self.files.get_mut(map as usize).ok_or_else(none)?.use_as(how, fold)?;
        Ok(MapUse { map, index })
    }

    /// The entry a sample matches. The sample has been cast to what the way of matching takes.
    pub fn lookup(&self, by: MapUse, sample: &Sample<'_>) -> Option<(u32, &Entry)> {
        let file = self.files.get(by.map as usize)?;
        let id = file.uses.get(by.index as usize)?.find(sample)?;
        file.entries.get(&id).map(|entry| (id, entry))
    }

    /// The index behind a use.
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
mod tests {
    use super::*;

    fn value(maps: &Maps, by: MapUse, text: &str) -> Option<String> {
        maps.lookup(by, &Sample::text(text)).map(|(_, e)| e.value.to_string())
    }

    #[test]
    fn files_are_read_as_the_manual_says() {
        let text = b"# comment\n\n  key1   value one \t\r\nkey2\n\tkey3\tv3\n #no comment\n";
        let file = MapFile::read("m", text, true).unwrap();
        let list: Vec<_> = file.iter().map(|(_, e)| (&*e.key, &*e.value)).collect();
        assert_eq!(list, [("key1", "value one"), ("key2", ""), ("key3", "v3"), ("#no", "comment")]);
        let file = MapFile::read("a", b" a b\n#x\n", false).unwrap();
        assert_eq!(file.iter().map(|(_, e)| &*e.key).collect::<Vec<_>>(), ["a b"]);
        assert_eq!(MapFile::read("b", b"ok\n\xff\n", false).err().map(|f| f.line), Some(2));
    }

    #[test]
    fn changes_show_in_every_way_of_searching() {
        let mut maps = Maps::default();
        let map = maps.push(MapFile::read("m", b"/a 1\n/a/b 2\n", true).unwrap());
        let exact = maps.use_as(map, Match::Str, false).unwrap();
        let beg = maps.use_as(map, Match::Beg, false).unwrap();
        assert_eq!(maps.use_as(map, Match::Str, false), Ok(exact));
        assert_eq!(value(&maps, beg, "/a/b/c"), Some("2".into()));
        let file = maps.get_mut(map).unwrap();
        assert!(file.set("/a/b", "9") && !file.set("/none", "1"));
        file.add("/z", "26").unwrap();
        assert!(file.del("/a") && !file.del("/a"));
        assert_eq!(value(&maps, beg, "/a/b/c"), Some("9".into()));
        assert_eq!(value(&maps, exact, "/a"), None);
        assert_eq!(value(&maps, exact, "/z"), Some("26".into()));
    }

    #[test]
    fn versions_replace_each_other_at_once() {
        let mut maps = Maps::default();
        let map = maps.push(MapFile::read("m", b"k old\n", true).unwrap());
        let by = maps.use_as(map, Match::Str, false).unwrap();
        let file = maps.get_mut(map).unwrap();
        let version = file.prepare();
        file.add_to(version, "k", "new").unwrap();
        assert_eq!(value(&maps, by, "k"), Some("old".into()));
        let file = maps.get_mut(map).unwrap();
        assert!(file.commit(version) && !file.commit(version) && !file.commit(99));
        assert_eq!((value(&maps, by, "k"), maps.get(map).unwrap().len()), (Some("new".into()), 1));
    }

    #[test]
    fn bad_keys_change_nothing() {
        let mut maps = Maps::default();
        let map = maps.push(MapFile::read("m", b"10.0.0.0/8 x\n", true).unwrap());
        maps.use_as(map, Match::Str, false).unwrap();
        maps.use_as(map, Match::Ip, false).unwrap();
        let file = maps.get_mut(map).unwrap();
        assert!(file.add("nonsense", "1").is_err());
        assert!(!file.del("nonsense") && file.len() == 1);
        for seed in [&b"\x01a b\n"[..], b"\x83\n\n# \n", b"\x8c(((\n[a\n", b""] {
            fuzz_map(seed);
        }
    }
}
