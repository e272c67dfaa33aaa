//! Which certificate for which name: exact before wildcard (one label), EC before RSA when the client can, the first that was
//! loaded for everything else.

use std::collections::HashMap;
use std::sync::Arc;

use super::certs::{Cert, KeyKind};
use super::hello::Can;

/// Longest name looked up; DNS allows no longer one.
const NAME_MAX: usize = 253;

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
    certs: Vec<Arc<Cert>>,
    exact: HashMap<Box<str>, Slot>,
    /// `*.a.test` under `a.test`.
    wild: HashMap<Box<str>, Slot>,
    fallback: Slot,
}

impl NameTable {
    /// In order of preference: what comes first wins a name, and the very first one is the default.
    pub fn new(certs: Vec<Arc<Cert>>) -> NameTable {
        let mut table = NameTable::default();
        for (index, cert) in certs.iter().enumerate() {
            for name in &cert.names {
                let (names, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut table.wild, parent),
                    None => (&mut table.exact, name.as_str()),
                };
                names.entry(name.into()).or_default().add(cert.kind, index as u32);
            }
        }
        if let Some(first) = certs.first() {
            // A certificate of the other kind for the very same names stands beside the default.
            let twin = certs.iter().position(|cert| cert.kind != first.kind && cert.names == first.names);
            table.fallback.add(first.kind, 0);
            if let Some((twin, cert)) = twin.and_then(|index| Some((index, certs.get(index)?))) {
                table.fallback.add(cert.kind, twin as u32);
            }
        }
        table.certs = certs;
        table
    }

    /// The certificate for a name as a client sent it. `None`: no certificate is for this name.
    pub fn find(&self, name: &[u8], can: Can) -> Option<&Arc<Cert>> {
        let mut room = [0u8; NAME_MAX];
        let name = name.strip_suffix(b".").unwrap_or(name);
        let lower = room.get_mut(..name.len())?;
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        let name = std::str::from_utf8(lower).ok()?;
        let slot = self.exact.get(name).or_else(|| {
            let (first, parent) = name.split_once('.')?;
            self.wild.get(parent).filter(|_| !first.is_empty())
        })?;
        self.certs.get(slot.pick(can)? as usize)
    }

    /// The certificate for clients that name nothing, or nothing that is known.
    pub fn fallback(&self, can: Can) -> Option<&Arc<Cert>> {
        self.certs.get(self.fallback.pick(can)? as usize)
    }

    /// All certificates, in order of preference.
    pub fn certs(&self) -> &[Arc<Cert>] {
        &self.certs
    }
}
