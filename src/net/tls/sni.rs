//! Which certificate for which name: exact before wildcard (one label), EC before RSA when the client can, the default for
//! everything else.

use std::collections::HashMap;
use std::sync::Arc;

use super::certs::{Cert, KeyKind};
use super::hello::Can;

/// Longest name looked up; DNS allows no longer one.
const NAME_MAX: usize = 253;

/// A certificate and what it is for.
pub struct Entry {
    /// What is shown.
    pub cert: Arc<Cert>,
    /// Names in lower case; `*.` stands for one more label.
    pub names: Vec<String>,
    /// Names its wildcards are not for.
    pub except: Vec<String>,
    /// For clients that name nothing, or nothing that is known.
    pub default: bool,
    /// The options its connections are made with: an index into the contexts of the line.
    pub policy: usize,
}

impl Entry {
    /// A certificate for the names it carries.
    pub fn new(cert: Arc<Cert>) -> Self {
        Entry { names: cert.names.clone(), cert, except: Vec::new(), default: false, policy: 0 }
    }
}

/// The certificates of one name, one per key kind.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
struct Slot {
    rsa: Option<u32>,
    ec: Option<u32>,
}

impl Slot {
    /// The first of each kind stays.
    fn add(&mut self, kind: KeyKind, cert: u32) {
        match kind {
            KeyKind::Rsa => self.rsa.get_or_insert(cert),
            KeyKind::Ec => self.ec.get_or_insert(cert),
        };
    }

    fn pick(self, can: Can) -> Option<u32> {
        if can.ec {
            self.ec.or(self.rsa)
        } else {
            self.rsa.or(self.ec)
        }
    }
}

/// The certificates of one `bind` line.
#[derive(Default)]
pub struct NameTable {
    entries: Vec<Entry>,
    exact: HashMap<Box<str>, Slot>,
    /// `*.a.test` under `a.test`, in order: the first may have exceptions.
    wild: HashMap<Box<str>, Vec<u32>>,
    fallback: Slot,
}

impl NameTable {
    /// In order of preference: what comes first wins a name, and the very first one is the default unless others are marked.
    pub fn new(entries: Vec<Entry>) -> NameTable {
        let mut table = NameTable::default();
        for (index, entry) in entries.iter().enumerate() {
            let index = index as u32;
            for name in &entry.names {
                match name.strip_prefix("*.") {
                    Some(parent) => table.wild.entry(parent.into()).or_default().push(index),
                    None => table.exact.entry(name.as_str().into()).or_default().add(entry.cert.kind, index),
                }
            }
            if entry.default {
                table.fallback.add(entry.cert.kind, index);
            }
        }
        table.fallback = match (table.fallback, entries.first()) {
            (Slot { rsa: None, ec: None }, Some(first)) => {
                let mut slot = Slot::default();
                slot.add(first.cert.kind, 0);
                // A certificate of the other kind for the very same names stands beside the default.
                let twin = entries.iter().position(|entry| {
                    entry.cert.kind != first.cert.kind && entry.cert.names == first.cert.names
                });
                if let Some((twin, entry)) = twin.and_then(|index| Some((index, entries.get(index)?))) {
                    slot.add(entry.cert.kind, twin as u32);
                }
                slot
            }
            (marked, _) => marked,
        };
        table.entries = entries;
        table
    }

    /// The certificate for a name as a client sent it. `None`: no certificate is for this name.
    pub fn find(&self, name: &[u8], can: Can) -> Option<&Entry> {
        let mut room = [0u8; NAME_MAX];
        let name = name.strip_suffix(b".").unwrap_or(name);
        let lower = room.get_mut(..name.len())?;
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        let name = std::str::from_utf8(lower).ok()?;
        match self.exact.get(name) {
            Some(slot) => self.entries.get(slot.pick(can)? as usize),
            None => self.under_wildcard(name, can),
        }
    }

    fn under_wildcard(&self, name: &str, can: Can) -> Option<&Entry> {
        let (first, parent) = name.split_once('.')?;
        let known = self.wild.get(parent).filter(|_| !first.is_empty())?;
        let mut slot = Slot::default();
        for index in known {
            let entry = self.entries.get(*index as usize)?;
            if !entry.except.iter().any(|except| except == name) {
                slot.add(entry.cert.kind, *index);
            }
        }
        self.entries.get(slot.pick(can)? as usize)
    }

    /// The certificate for clients that name nothing, or nothing that is known.
    pub fn fallback(&self, can: Can) -> Option<&Entry> {
        self.entries.get(self.fallback.pick(can)? as usize)
    }

    /// All certificates, in order of preference.
    pub fn certs(&self) -> impl Iterator<Item = &Arc<Cert>> {
        self.entries.iter().map(|entry| &entry.cert)
    }
}
