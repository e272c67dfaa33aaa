//! Sets of text patterns: exact, prefixes and suffixes, parts between delimiters, substrings.
//!
//! All but substrings hash: while a subject is walked once, the hash of what was seen so far is looked
//! up at the lengths (or part boundaries) that patterns have. Sets of a few patterns are compared one
//! by one, which is faster still.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use memchr::memmem::Finder;

use super::flat::{self, Flat, Removed, MIX};

/// Keys are hashes already.
#[derive(Default)]
pub struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

/// A hash map whose keys need no hashing.
pub type ReadyMap<K, V> = HashMap<K, V, BuildHasherDefault<Ready>>;

/// Patterns by the hash of their text. The texts stand one behind the other in one piece of memory.
#[derive(Clone)]
struct Table {
    flat: Flat<Text>,
    texts: Vec<u8>,
    /// Bytes of texts that were taken away.
    waste: usize,
    start: Roll,
}

/// Where a text is: in steps of [`STEP`] bytes, so that 32 bits are enough.
#[derive(Clone, Copy, Default)]
struct Text {
    at: u32,
    len: u32,
}

const STEP: usize = 8;

impl Text {
    #[inline]
    fn of(self, texts: &[u8]) -> &[u8] {
        let at = self.at as usize * STEP;
        texts.get(at..at + self.len as usize).unwrap_or_default()
    }

    fn room(self) -> usize {
        (self.len as usize).next_multiple_of(STEP)
    }

    /// Puts a text behind all others.
    fn put(text: &[u8], texts: &mut Vec<u8>) -> Text {
        let at = (texts.len() / STEP) as u32;
        texts.extend_from_slice(text);
        texts.resize(texts.len().next_multiple_of(STEP), 0);
        Text { at, len: text.len() as u32 }
    }
}

impl Default for Table {
    fn default() -> Self {
        Table { flat: Flat::default(), texts: Vec::new(), waste: 0, start: Roll::seeded() }
    }
}

impl Table {
    fn add(&mut self, hash: u64, text: &[u8], id: u32) {
        let Table { flat, texts, .. } = self;
        let mut new = false;
        let next = (texts.len() / STEP) as u32;
        let made = Text { at: next, len: text.len() as u32 };
        flat.add(
            hash,
            id,
            |known| known.of(texts) == text,
            || {
                new = true;
                made
            },
        );
        if new {
            Text::put(text, texts);
        }
    }

    fn remove(&mut self, hash: u64, text: &[u8], id: u32) -> bool {
        let texts = &self.texts;
        match self.flat.remove(hash, id, |known| known.of(texts) == text) {
            Removed::Nothing => false,
            Removed::OneOfMany => true,
            Removed::Last(gone) => {
                self.waste += gone.room();
                if self.waste > self.texts.len() / 2 && self.waste > WASTE_MIN {
                    self.tidy_up();
                }
                true
            }
        }
    }

    /// Texts close up.
    fn tidy_up(&mut self) {
        let mut kept = Vec::with_capacity(self.texts.len() - self.waste);
        for text in self.flat.patterns_mut() {
            *text = Text::put(text.of(&self.texts), &mut kept);
        }
        (self.texts, self.waste) = (kept, 0);
    }

    /// The lowest id with this text.
    #[inline]
    fn find(&self, hash: u64, text: &[u8]) -> Option<u32> {
        self.flat.find(hash, |known| known.of(&self.texts) == text)
    }

    fn ids(&self, hash: u64, text: &[u8]) -> Vec<u32> {
        self.flat.ids(hash, |known| known.of(&self.texts) == text)
    }

    /// Every text with its lowest id.
    fn iter(&self) -> impl Iterator<Item = (&[u8], u32)> {
        self.flat.iter().map(|(text, id)| (text.of(&self.texts), id))
    }

    fn is_small(&self) -> bool {
        self.flat.count() <= SMALL
    }

    fn renumber(&mut self, new: &dyn Fn(u32) -> u32) {
        self.flat.renumber(new);
    }

    /// The hash of a text as a whole, for sets that look at nothing else.
    #[inline]
    fn hash_whole(&self, text: &[u8]) -> u64 {
        xxhash_rust::xxh3::xxh3_64_with_seed(text, self.start.0)
    }

    fn hash<'b>(&self, bytes: impl IntoIterator<Item = &'b u8>) -> u64 {
        let mut roll = self.start;
        bytes.into_iter().for_each(|byte| roll.add(*byte));
        roll.hash()
    }
}

/// A hash that can be looked at after every byte (FNV-1a with a final mix), from a start of its own in every table.
#[derive(Clone, Copy)]
struct Roll(u64);

impl Roll {
    fn seeded() -> Roll {
        Roll(0xcbf2_9ce4_8422_2325 ^ flat::seed())
    }

    #[inline]
    fn add(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }

    #[inline]
    fn hash(self) -> u64 {
        (self.0 ^ (self.0 >> 29)).wrapping_mul(MIX)
    }
}

/// Whole texts.
#[derive(Clone, Default)]
pub struct ExactIndex {
    table: Table,
    longest: usize,
}

impl ExactIndex {
    /// Adds a pattern.
    pub fn add(&mut self, text: &[u8], id: u32) {
        self.table.add(self.table.hash_whole(text), text, id);
        self.longest = self.longest.max(text.len());
    }

    /// Takes a pattern away.
    pub fn remove(&mut self, text: &[u8], id: u32) -> bool {
        self.table.remove(self.table.hash_whole(text), text, id)
    }

    /// The ids of the patterns with this text.
    pub fn ids(&self, text: &[u8]) -> Vec<u32> {
        self.table.ids(self.table.hash_whole(text), text)
    }

    /// The ids get other numbers.
    pub fn renumber(&mut self, new: &dyn Fn(u32) -> u32) {
        self.table.renumber(new);
    }

    /// The first pattern equal to the text.
    pub fn find(&self, text: &[u8]) -> Option<u32> {
        if text.len() > self.longest {
            return None;
        }
        if self.table.is_small() {
            return self.table.iter().filter(|(known, _)| *known == text).map(|(_, id)| id).min();
        }
        self.table.find(self.table.hash_whole(text), text)
    }
}

/// How many patterns have each length, in rising order.
#[derive(Clone, Default)]
struct Lengths(Vec<(usize, usize)>);

impl Lengths {
    fn add(&mut self, len: usize) {
        match self.0.binary_search_by_key(&len, |(l, _)| *l) {
            Ok(at) => self.0[at].1 += 1,
            Err(at) => self.0.insert(at, (len, 1)),
        }
    }

    fn remove(&mut self, len: usize) {
        if let Ok(at) = self.0.binary_search_by_key(&len, |(l, _)| *l) {
            self.0[at].1 -= 1;
            if self.0[at].1 == 0 {
                self.0.remove(at);
            }
        }
    }
}

/// Beginnings or ends of texts.
#[derive(Clone)]
pub struct AffixIndex {
    table: Table,
    lengths: Lengths,
    from_end: bool,
    /// The longest match wins rather than the first inserted.
    finest: bool,
}

impl AffixIndex {
    /// Patterns texts begin with.
    pub fn beginnings(finest: bool) -> Self {
        AffixIndex { table: Table::default(), lengths: Lengths::default(), from_end: false, finest }
    }

    /// Patterns texts end with.
    pub fn ends() -> Self {
        AffixIndex { table: Table::default(), lengths: Lengths::default(), from_end: true, finest: false }
    }

    /// Adds a pattern.
    pub fn add(&mut self, text: &[u8], id: u32) {
        self.table.add(self.hash(text), text, id);
        self.lengths.add(text.len());
    }

    /// Takes a pattern away.
    pub fn remove(&mut self, text: &[u8], id: u32) -> bool {
        let gone = self.table.remove(self.hash(text), text, id);
        if gone {
            self.lengths.remove(text.len());
        }
        gone
    }

    /// The ids of the patterns with this text.
    pub fn ids(&self, text: &[u8]) -> Vec<u32> {
        self.table.ids(self.hash(text), text)
    }

    /// The ids get other numbers.
    pub fn renumber(&mut self, new: &dyn Fn(u32) -> u32) {
        self.table.renumber(new);
    }

    /// The pattern the text begins (ends) with.
    pub fn find(&self, text: &[u8]) -> Option<u32> {
        let mut best: Option<(usize, u32)> = None;
        let mut better = |len: usize, id: u32| {
            let wins = best.is_none_or(|(l, i)| if self.finest && len != l { len > l } else { id < i });
            if wins {
                best = Some((len, id));
            }
        };
        if self.table.is_small() {
            for (known, id) in self.table.iter() {
                let fits = if self.from_end { text.ends_with(known) } else { text.starts_with(known) };
                if fits {
                    better(known.len(), id);
                }
            }
            return best.map(|(_, id)| id);
        }
        let (mut roll, mut seen) = (self.table.start, 0);
        for &(len, _) in &self.lengths.0 {
            if len > text.len() {
                break;
            }
            let affix = if self.from_end { &text[text.len() - len..] } else { &text[..len] };
            for i in seen..len {
                roll.add(if self.from_end { text[text.len() - 1 - i] } else { text[i] });
            }
            seen = len;
            if let Some(id) = self.table.find(roll.hash(), affix) {
                better(len, id);
            }
        }
        best.map(|(_, id)| id)
    }

    fn hash(&self, text: &[u8]) -> u64 {
        if self.from_end {
            self.table.hash(text.iter().rev())
        } else {
            self.table.hash(text)
        }
    }
}

/// Parts of texts between delimiters. A pattern may span several parts.
#[derive(Clone)]
pub struct WordIndex {
    table: Table,
    /// Which bytes are delimiters.
    delims: [bool; 256],
    /// How many patterns hold so many delimiters.
    spans: Lengths,
}

impl WordIndex {
    /// An empty set for these delimiters.
    pub fn new(delims: &[u8]) -> Self {
        let mut marks = [false; 256];
        delims.iter().for_each(|byte| marks[usize::from(*byte)] = true);
        WordIndex { table: Table::default(), delims: marks, spans: Lengths::default() }
    }

    /// Adds a pattern; delimiters at its ends do not count, and an empty one never matches.
    pub fn add(&mut self, text: &[u8], id: u32) {
        let text = self.strip(text);
        if !text.is_empty() {
            self.table.add(self.table.hash(text), text, id);
            self.spans.add(self.count(text));
        }
    }

    /// Takes a pattern away.
    pub fn remove(&mut self, text: &[u8], id: u32) -> bool {
        let text = self.strip(text);
        let gone = self.table.remove(self.table.hash(text), text, id);
        if gone {
            self.spans.remove(self.count(text));
        }
        gone
    }

    /// The ids of the patterns with this text.
    pub fn ids(&self, text: &[u8]) -> Vec<u32> {
        let text = self.strip(text);
        self.table.ids(self.table.hash(text), text)
    }

    /// The ids get other numbers.
    pub fn renumber(&mut self, new: &dyn Fn(u32) -> u32) {
        self.table.renumber(new);
    }

    /// There is something between the delimiters: what holds nothing else is not kept.
    pub fn keeps(&self, text: &[u8]) -> bool {
        !self.strip(text).is_empty()
    }

    /// The first inserted pattern that is a part of the text.
    pub fn find(&self, text: &[u8]) -> Option<u32> {
        let (most, _) = self.spans.0.last()?;
        let mut best: Option<u32> = None;
        let mut start = 0;
        while start < text.len() {
            if self.is_delim(text[start]) {
                start += 1;
                continue;
            }
            let (mut roll, mut ends, mut first_end) = (self.table.start, 0, text.len());
            for end in start + 1..=text.len() {
                roll.add(text[end - 1]);
                if end < text.len() && !self.is_delim(text[end]) {
                    continue;
                }
                if let Some(id) = self.table.find(roll.hash(), &text[start..end]) {
                    best = Some(best.map_or(id, |b| b.min(id)));
                }
                first_end = first_end.min(end);
                ends += 1;
                if ends > *most {
                    break;
                }
            }
            start = first_end;
        }
        best
    }

    fn strip<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let start = text.iter().take_while(|b| self.is_delim(**b)).count();
        let end = text.iter().rev().take_while(|b| self.is_delim(**b)).count();
        text.get(start..text.len() - end).unwrap_or(b"")
    }

    fn count(&self, text: &[u8]) -> usize {
        text.iter().filter(|b| self.is_delim(**b)).count()
    }

    #[inline]
    fn is_delim(&self, byte: u8) -> bool {
        self.delims[usize::from(byte)]
    }
}

/// Texts within texts: each pattern is searched in turn.
#[derive(Clone, Default)]
pub struct SubIndex(Vec<(u32, Finder<'static>)>);

impl SubIndex {
    /// Adds a pattern.
    pub fn add(&mut self, text: &[u8], id: u32) {
        self.0.push((id, Finder::new(text).into_owned()));
    }

    /// Takes a pattern away.
    pub fn remove(&mut self, id: u32) -> bool {
        let before = self.0.len();
        self.0.retain(|(i, _)| *i != id);
        self.0.len() < before
    }

    /// The ids of the patterns with this text.
    pub fn ids(&self, text: &[u8]) -> Vec<u32> {
        self.0.iter().filter(|(_, finder)| finder.needle() == text).map(|(id, _)| *id).collect()
    }

    /// The ids get other numbers.
    pub fn renumber(&mut self, new: &dyn Fn(u32) -> u32) {
        self.0.iter_mut().for_each(|(id, _)| *id = new(*id));
    }

    /// The first pattern the text holds.
    pub fn find(&self, text: &[u8]) -> Option<u32> {
        self.0.iter().find(|(_, finder)| finder.find(text).is_some()).map(|(id, _)| *id)
    }
}

/// Sets up to this size are compared one by one.
const SMALL: usize = 4;
/// Bytes of texts taken away that are not worth the work.
const WASTE_MIN: usize = 4096;
