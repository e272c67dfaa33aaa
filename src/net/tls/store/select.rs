//! Which certificate a client gets, and why: a decision about plain values, the same for a handshake and for a person who asks.
//!
//! In this order: one whose key the client can use, one that is valid now, an exact name before a wildcard, EC before RSA,
//! and what stands first in the configuration.

use std::cmp::Reverse;

use smallvec::SmallVec;

use super::index::{flag, Index, NAME_MAX};
use crate::net::tls::certs::KeyKind;
use crate::net::tls::hello::Can;

/// Certificates looked at for one name; more of them for one and the same name are never reached.
const CANDIDATES_MAX: usize = 64;

/// How a certificate came to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The name is in it.
    Exact,
    /// A wildcard in it covers the name.
    Wildcard,
    /// The client named nothing.
    NoName,
    /// What the client sent is no name that could be looked up: too long, or no text.
    BadName,
    /// No certificate is for this name.
    Unknown,
}

impl How {
    /// The default was chosen, or with `strict-sni` nothing.
    pub fn is_default(self) -> bool {
        !matches!(self, How::Exact | How::Wildcard)
    }

    /// In words, after the name.
    pub fn words(self) -> &'static str {
        match self {
            How::Exact => "the name is in the certificate",
            How::Wildcard => "a wildcard in the certificate covers the name",
            How::NoName => "no name was asked for",
            How::BadName => "what was asked for is no host name",
            How::Unknown => "no certificate is for this name",
        }
    }
}

/// Why a certificate for the name was not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// The client cannot verify its kind of key.
    Key,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// Another one carries the name itself.
    Wildcard,
    /// Another one has an EC key.
    Rsa,
    /// Another one of the same worth stands before it.
    Later,
}

impl Passed {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Passed::Key => "the client cannot use its key",
            Passed::Expired => "it has expired",
            Passed::NotYetValid => "it is not valid yet",
            Passed::Wildcard => "another one carries the name itself",
            Passed::Rsa => "another one has an EC key",
            Passed::Later => "another one stands before it",
        }
    }
}

/// A certificate that may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The place of its index among those of the line.
    pub source: u32,
    /// Its number there.
    pub entry: u32,
    /// Its key.
    pub kind: KeyKind,
    /// The set of options of its `crt-list` line.
    pub options: u16,
    /// It carries the name itself.
    pub exact: bool,
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970.
    pub not_after: i64,
}

impl Candidate {
    /// Less is better; the order of the configuration decides between equals.
    fn rank(&self, can: Can, now: i64) -> (Reverse<bool>, Reverse<bool>, Reverse<bool>, Reverse<bool>) {
        (
            Reverse(self.is_usable(can)),
            Reverse(self.is_valid(now)),
            Reverse(self.exact),
            Reverse(self.kind == KeyKind::Ec),
        )
    }

    fn is_usable(&self, can: Can) -> bool {
        self.kind == KeyKind::Rsa || can.ec
    }

    /// Whether now lies in its time.
    pub fn is_valid(&self, now: i64) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// Why `winner` was shown in its place.
    pub fn passed(&self, winner: &Candidate, can: Can, now: i64) -> Passed {
        if !self.is_usable(can) && winner.is_usable(can) {
            Passed::Key
        } else if !self.is_valid(now) && winner.is_valid(now) {
            if self.not_after < now {
                Passed::Expired
            } else {
                Passed::NotYetValid
            }
        } else if !self.exact && winner.exact {
            Passed::Wildcard
        } else if self.kind == KeyKind::Rsa && winner.kind == KeyKind::Ec {
            Passed::Rsa
        } else {
            Passed::Later
        }
    }
}

/// What can be shown to a client, the best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// How it came about.
    pub how: How,
    /// Empty when there is nothing at all.
    pub candidates: SmallVec<[Candidate; 4]>,
}

/// Decides. `now` is seconds since 1970; `name` as the client sent it.
pub fn select<'i>(
    sources: impl Iterator<Item = &'i Index> + Clone,
    name: Option<&[u8]>,
    can: Can,
    now: i64,
) -> Choice {
    let mut room = [0u8; NAME_MAX];
    let how = match name {
        None => How::NoName,
        Some(name) => match lookup_form(name, &mut room) {
            None => How::BadName,
            Some(name) => {
                let mut candidates = of_name(sources.clone(), name);
                candidates.sort_by_key(|candidate| candidate.rank(can, now));
                if let Some(best) = candidates.first() {
                    let how = if best.exact { How::Exact } else { How::Wildcard };
                    return Choice { how, candidates };
                }
                How::Unknown
            }
        },
    };
    let mut candidates = defaults(sources);
    candidates.sort_by_key(|candidate| candidate.rank(can, now));
    Choice { how, candidates }
}

/// Lower case, no dot at the end. `None` for what cannot be a name in a certificate.
fn lookup_form<'r>(name: &[u8], room: &'r mut [u8; NAME_MAX]) -> Option<&'r [u8]> {
    let name = name.strip_suffix(b".").unwrap_or(name);
    let lower = room.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    let fits = !lower.is_empty() && lower.iter().all(u8::is_ascii_graphic);
    fits.then_some(lower)
}

/// The first of these by worth.
pub(super) fn best(mut candidates: SmallVec<[Candidate; 4]>, can: Can, now: i64) -> Option<Candidate> {
    candidates.sort_by_key(|candidate| candidate.rank(can, now));
    candidates.first().copied()
}

/// Those with a wildcard for the names below `parent`.
pub(super) fn of_wildcard<'i>(
    sources: impl Iterator<Item = &'i Index>,
    parent: &[u8],
) -> SmallVec<[Candidate; 4]> {
    let mut found = SmallVec::new();
    for (source, index) in sources.enumerate() {
        let covers = index.find(parent, true).take(CANDIDATES_MAX).filter(|(_, covers)| *covers);
        found.extend(covers.filter_map(|(entry, _)| candidate(source, index, entry, false)));
    }
    found
}

/// Those with a name, in lower case, itself or by a wildcard.
pub(super) fn of_name<'i>(sources: impl Iterator<Item = &'i Index>, name: &[u8]) -> SmallVec<[Candidate; 4]> {
    let parent = name.iter().position(|byte| *byte == b'.').filter(|at| *at > 0);
    let parent = parent.and_then(|at| name.get(at + 1..)).filter(|parent| !parent.is_empty());
    let mut found = SmallVec::new();
    for (source, index) in sources.enumerate() {
        let mut except: SmallVec<[u32; 4]> = SmallVec::new();
        for (entry, covers) in index.find(name, false).take(CANDIDATES_MAX) {
            if covers {
                found.extend(candidate(source, index, entry, true));
            } else {
                except.push(entry);
            }
        }
        let Some(parent) = parent else { continue };
        for (entry, covers) in index.find(parent, true).take(CANDIDATES_MAX) {
            if covers && !except.contains(&entry) {
                found.extend(candidate(source, index, entry, false));
            }
        }
    }
    found
}

/// Those marked as such; otherwise the very first certificate, with the one of the other kind for its names.
fn defaults<'i>(sources: impl Iterator<Item = &'i Index> + Clone) -> SmallVec<[Candidate; 4]> {
    let mut found = SmallVec::new();
    for (source, index) in sources.clone().enumerate() {
        let marked = index.defaults().take(CANDIDATES_MAX);
        found.extend(marked.filter_map(|entry| candidate(source, index, entry, true)));
    }
    if !found.is_empty() {
        return found;
    }
    let Some((first, index)) = sources.clone().enumerate().find(|(_, index)| !index.is_empty()) else {
        return found;
    };
    let Some(own) = candidate(first, index, 0, true) else { return found };
    found.push(own);
    let Some((name, wild)) = index.entry(0).and_then(|entry| index.name(entry.first_name)) else {
        return found;
    };
    for (source, other) in sources.enumerate() {
        for (entry, covers) in other.find(name, wild).take(CANDIDATES_MAX) {
            let twin = candidate(source, other, entry, true).filter(|twin| twin.kind != own.kind);
            if let Some(twin) = twin.filter(|_| covers) {
                found.push(twin);
                return found;
            }
        }
    }
    found
}

fn candidate(source: usize, index: &Index, number: u32, exact: bool) -> Option<Candidate> {
    let entry = index.entry(number)?;
    Some(Candidate {
        source: source as u32,
        entry: number,
        kind: entry.kind,
        options: entry.options,
        exact,
        not_before: entry.not_before,
        not_after: entry.not_after,
    })
}

/// Whether a certificate is for names nobody has, by its own word.
pub fn is_marked_default(index: &Index, number: u32) -> bool {
    index.entry(number).is_some_and(|entry| entry.flags & flag::DEFAULT != 0)
}
