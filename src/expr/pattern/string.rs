//! Sets of text patterns: exact, prefixes and suffixes, parts between delimiters, substrings.
//!
//! All but substrings hash: while a subject is walked once, the hash of what was seen so far is looked
//! up at the lengths (or part boundaries) that patterns have. Sets of a few patterns are compared one
//! by one, which is faster still.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use memchr::memmem::Finder;
use smallvec::SmallVec;

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
    fn write_u32(&mut self, n: u32) {
        self.0 = u64::from(n).wrapping_mul(MIX);
    }
}

/// A hash map whose keys need no hashing, or are small numbers.
pub type ReadyMap<K, V> = HashMap<K, V, BuildHasherDefault<Ready>>;

#[derive(Clone)]
struct Node {
    text: Box<[u8]>,
    id: u32,
}

/// Patterns by the hash of their text.
#[derive(Clone, Default)]
struct Table {
    map: ReadyMap<u64, SmallVec<[Node; 1]>>,
    filter: Filter,
    len: usize,
}

/// Tells most hashes that are not there without a look at the table, which for large sets lies in main
/// memory: eight bits per key, one of them set.
#[derive(Clone, Default)]
pub struct Filter {
    bits: Vec<u64>,
    keys: usize,
}

impl Filter {
    /// A key was added to a table that holds `all` (this one included).
    pub fn add<'k>(&mut self, hash: u64, all: impl ExactSizeIterator<Item = &'k u64>) {
        self.keys += 1;
        if self.keys * 8 <= self.bits.len() * 64 {
            return self.set(hash);
        }
        // Room for twice as many; keys that were removed are forgotten here.
        self.keys = all.len();
        self.bits = vec![0; (self.keys / 4).next_power_of_two()];
        all.for_each(|hash| self.set(*hash));
    }

    fn set(&mut self, hash: u64) {
        let (at, bit) = self.place(hash);
        if let Some(word) = self.bits.get_mut(at) {
            *word |= bit;
        }
    }

    /// False: the table does not hold it.
    #[inline]
    pub fn may_hold(&self, hash: u64) -> bool {
        let (at, bit) = self.place(hash);
        self.bits.get(at).is_some_and(|word| word & bit != 0)
    }

    #[inline]
    fn place(&self, hash: u64) -> (usize, u64) {
        let n = (hash >> 24) as usize;
        ((n >> 6) & self.bits.len().wrapping_sub(1), 1 << (n & 63))
    }
}

impl Table {
    fn add(&mut self, hash: u64, text: &[u8], id: u32) {
        self.map.entry(hash).or_default().push(Node { text: text.into(), id });
        self.filter.add(hash, self.map.keys());
        self.len += 1;
    }

    fn remove(&mut self, hash: u64, text: &[u8], id: u32) -> bool {
        let Some(nodes) = self.map.get_mut(&hash) else { return false };
        let before = nodes.len();
        nodes.retain(|node| node.id != id || *node.text != *text);
        let gone = nodes.len() < before;
        if nodes.is_empty() {
            self.map.remove(&hash);
        }
        self.len -= usize::from(gone);
        gone
    }

    /// The lowest id with this text.
    fn find(&self, hash: u64, text: &[u8]) -> Option<u32> {
        if !self.filter.may_hold(hash) {
            return None;
        }
        let nodes = self.map.get(&hash)?;
        nodes.iter().filter(|node| *node.text == *text).map(|node| node.id).min()
    }

    fn ids(&self, hash: u64, text: &[u8]) -> Vec<u32> {
        let nodes = self.map.get(&hash).into_iter().flatten();
        nodes.filter(|node| *node.text == *text).map(|node| node.id).collect()
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.map.values().flatten()
    }

    fn is_small(&self) -> bool {
        self.len <= SMALL
    }
}

/// A hash that can be looked at after every byte (FNV-1a with a final mix).
#[derive(Clone, Copy)]
struct Roll(u64);

impl Roll {
    const START: Roll = Roll(0xcbf2_9ce4_8422_2325);

    fn add(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }

    fn hash(self) -> u64 {
        (self.0 ^ (self.0 >> 29)).wrapping_mul(MIX)
    }

    fn of<'b>(bytes: impl IntoIterator<Item = &'b u8>) -> u64 {
        let mut roll = Roll::START;
        bytes.into_iter().for_each(|byte| roll.add(*byte));
        roll.hash()
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
        self.table.add(Roll::of(text), text, id);
        self.longest = self.longest.max(text.len());
    }

    /// Takes a pattern away.
    pub fn remove(&mut self, text: &[u8], id: u32) -> bool {
        self.table.remove(Roll::of(text), text, id)
    }

    /// The ids of the patterns with this text.
    pub fn ids(&self, text: &[u8]) -> Vec<u32> {
        self.table.ids(Roll::of(text), text)
    }

    /// The first pattern equal to the text.
    pub fn find(&self, text: &[u8]) -> Option<u32> {
        if text.len() > self.longest {
            return None;
        }
        if self.table.is_small() {
            return self.table.nodes().filter(|n| *n.text == *text).map(|n| n.id).min();
        }
        self.table.find(Roll::of(text), text)
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
            for node in self.table.nodes() {
                let fits =
                    if self.from_end { text.ends_with(&node.text) } else { text.starts_with(&node.text) };
                if fits {
                    better(node.text.len(), node.id);
                }
            }
            return best.map(|(_, id)| id);
        }
        let (mut roll, mut seen) = (Roll::START, 0);
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
            Roll::of(text.iter().rev())
        } else {
            Roll::of(text)
        }
    }
}

/// Parts of texts between delimiters. A pattern may span several parts.
#[derive(Clone)]
pub struct WordIndex {
    table: Table,
    delims: &'static [u8],
    /// How many patterns hold so many delimiters.
    spans: Lengths,
}

impl WordIndex {
    /// An empty set for these delimiters.
    pub fn new(delims: &'static [u8]) -> Self {
        WordIndex { table: Table::default(), delims, spans: Lengths::default() }
    }

    /// Adds a pattern; delimiters at its ends do not count, and an empty one never matches.
    pub fn add(&mut self, text: &[u8], id: u32) {
        let text = self.strip(text);
        if !text.is_empty() {
            self.table.add(Roll::of(text), text, id);
            self.spans.add(self.count(text));
        }
    }

    /// Takes a pattern away.
    pub fn remove(&mut self, text: &[u8], id: u32) -> bool {
        let text = self.strip(text);
        let gone = self.table.remove(Roll::of(text), text, id);
        if gone {
            self.spans.remove(self.count(text));
        }
        gone
    }

    /// The ids of the patterns with this text.
    pub fn ids(&self, text: &[u8]) -> Vec<u32> {
        let text = self.strip(text);
        self.table.ids(Roll::of(text), text)
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
            let (mut roll, mut ends) = (Roll::START, 0);
            for end in start + 1..=text.len() {
                roll.add(text[end - 1]);
                if end < text.len() && !self.is_delim(text[end]) {
                    continue;
                }
                if let Some(id) = self.table.find(roll.hash(), &text[start..end]) {
                    best = Some(best.map_or(id, |b| b.min(id)));
                }
                ends += 1;
                if ends > *most {
                    break;
                }
            }
            start += text[start..].iter().take_while(|b| !self.is_delim(**b)).count();
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

    fn is_delim(&self, byte: u8) -> bool {
        self.delims.contains(&byte)
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

    /// The first pattern the text holds.
    pub fn find(&self, text: &[u8]) -> Option<u32> {
        self.0.iter().find(|(_, finder)| finder.find(text).is_some()).map(|(id, _)| *id)
    }
}

/// Sets up to this size are compared one by one.
const SMALL: usize = 4;
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
