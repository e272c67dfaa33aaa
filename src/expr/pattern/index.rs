//! A set of patterns searched in one way. Used by ACLs for the words of a line, by [`crate::expr::map`]
//! for files.

use super::net::NetIndex;
use super::number::NumberIndex;
use super::regex::RegexIndex;
use super::string::{AffixIndex, ExactIndex, SubIndex, WordIndex};
use super::Match;
use crate::expr::args::from_hex;
use crate::expr::sample::{Sample, Scratch};

/// Patterns of one kind.
#[derive(Clone)]
pub struct Index {
    how: Match,
    fold: bool,
    kind: Kind,
    len: usize,
}

#[derive(Clone)]
enum Kind {
    Bare,
    Number(NumberIndex),
    Net(NetIndex),
    Exact(ExactIndex),
    Affix(AffixIndex),
    Words(WordIndex),
    Sub(SubIndex),
    Regex(RegexIndex),
}

impl Index {
    /// An empty set; `fold` ignores the case of ASCII letters.
    pub fn new(how: Match, fold: bool) -> Self {
        let kind = match how {
            Match::Found | Match::Bool => Kind::Bare,
            Match::Int | Match::Len => Kind::Number(NumberIndex::default()),
            Match::Ip => Kind::Net(NetIndex::default()),
            Match::Bin | Match::Str => Kind::Exact(ExactIndex::default()),
            Match::Beg => Kind::Affix(AffixIndex::beginnings(!fold)),
            Match::End => Kind::Affix(AffixIndex::ends()),
            Match::Dir => Kind::Words(WordIndex::new(b"/?")),
            Match::Dom => Kind::Words(WordIndex::new(b"/?.:")),
            Match::Sub => Kind::Sub(SubIndex::default()),
            Match::Reg => Kind::Regex(RegexIndex::new(fold)),
        };
        Index { how, fold, kind, len: 0 }
    }

    /// How patterns are compared.
    pub fn how(&self) -> Match {
        self.how
    }

    /// Case is ignored.
    pub fn folds(&self) -> bool {
        self.fold
    }

    /// How many patterns it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when nothing can match.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a pattern as it is written. The error says what is wrong with the text.
    pub fn add(&mut self, text: &str, id: u32) -> Result<(), String> {
        let key = self.key(text)?;
        match &mut self.kind {
            Kind::Bare => {}
            Kind::Number(n) => n.add(text, id)?,
            Kind::Net(n) => n.add(text, id)?,
            Kind::Exact(e) => e.add(&key, id),
            Kind::Affix(a) => a.add(&key, id),
            Kind::Words(w) => w.add(&key, id),
            Kind::Sub(s) => s.add(&key, id),
            Kind::Regex(r) => r.add(text, id)?,
        }
        self.len += 1;
        Ok(())
    }

    /// Takes the pattern with this text and id away, if it is there.
    pub fn remove(&mut self, text: &str, id: u32) {
        let Ok(key) = self.key(text) else { return };
        let gone = match &mut self.kind {
            Kind::Bare => false,
            Kind::Number(n) => n.remove(text, id),
            Kind::Net(n) => n.remove(text, id),
            Kind::Exact(e) => e.remove(&key, id),
            Kind::Affix(a) => a.remove(&key, id),
            Kind::Words(w) => w.remove(&key, id),
            Kind::Sub(s) => s.remove(id),
            Kind::Regex(r) => r.remove(id),
        };
        self.len -= usize::from(gone);
    }

    /// The id of the pattern that matches, if one does. The sample has been cast to what
    /// [`Match::takes`] says.
    pub fn find(&self, sample: &Sample<'_>) -> Option<u32> {
        match (&self.kind, sample) {
            (Kind::Bare, Sample::Bool(false)) if self.how == Match::Bool => None,
            (Kind::Bare, _) => Some(0),
            (Kind::Number(n), Sample::Int(value)) => n.find(*value),
            (Kind::Number(n), Sample::Str(d)) => n.find(d.len() as i64),
            (Kind::Net(n), Sample::Ip4(ip)) => n.find4(*ip),
            (Kind::Net(n), Sample::Ip6(ip)) => n.find6(*ip),
            (Kind::Regex(r), Sample::Str(d)) => r.find(d),
            (_, Sample::Str(d) | Sample::Bin(d)) => {
                if self.fold && d.iter().any(u8::is_ascii_uppercase) {
                    let mut lower = Scratch::of(d);
                    lower.make_ascii_lowercase();
                    return self.find_bytes(&lower);
                }
                self.find_bytes(d)
            }
            _ => None,
        }
    }

    /// [`Index::ids`] finds what is written so without looking at every pattern.
    pub fn finds_by_text(&self, text: &str) -> bool {
        match &self.kind {
            Kind::Bare | Kind::Sub(_) | Kind::Regex(_) => false,
            Kind::Words(w) => w.keeps(text.as_bytes()),
            _ => true,
        }
    }

    /// The ids of the patterns written so. May hold others that mean the same (case, address forms).
    pub fn ids(&self, text: &str) -> Vec<u32> {
        let Ok(key) = self.key(text) else { return Vec::new() };
        match &self.kind {
            Kind::Bare => Vec::new(),
            Kind::Number(n) => n.ids(text),
            Kind::Net(n) => n.ids(text),
            Kind::Exact(e) => e.ids(&key),
            Kind::Affix(a) => a.ids(&key),
            Kind::Words(w) => w.ids(&key),
            Kind::Sub(s) => s.ids(&key),
            Kind::Regex(r) => r.ids(text),
        }
    }

    /// Gives every id another number; the order must stay.
    pub fn renumber(&mut self, new: &dyn Fn(u32) -> u32) {
        match &mut self.kind {
            Kind::Bare => {}
            Kind::Number(n) => n.renumber(new),
            Kind::Net(n) => n.renumber(new),
            Kind::Exact(e) => e.renumber(new),
            Kind::Affix(a) => a.renumber(new),
            Kind::Words(w) => w.renumber(new),
            Kind::Sub(s) => s.renumber(new),
            Kind::Regex(r) => r.renumber(new),
        }
    }

    /// The regular expression with this id, for `map_regm`.
    pub fn regex(&self, id: u32) -> Option<&regex::bytes::Regex> {
        match &self.kind {
            Kind::Regex(r) => r.get(id),
            _ => None,
        }
    }

    fn find_bytes(&self, bytes: &[u8]) -> Option<u32> {
        match &self.kind {
            Kind::Exact(e) => e.find(bytes),
            Kind::Affix(a) => a.find(bytes),
            Kind::Words(w) => w.find(bytes),
            Kind::Sub(s) => s.find(bytes),
            _ => None,
        }
    }

    /// The bytes a text pattern stands for.
    fn key(&self, text: &str) -> Result<Vec<u8>, String> {
        match self.how {
            Match::Bin => from_hex(text.as_bytes())
                .ok_or_else(|| format!("\"{text}\" is not a sequence of hexadecimal digit pairs")),
            _ if self.fold => Ok(text.to_ascii_lowercase().into_bytes()),
            _ => Ok(text.as_bytes().to_vec()),
        }
    }
}
