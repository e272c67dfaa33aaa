//! All tables of a configuration, as one process sees them; reloads keep what they can.

use std::io;
use std::sync::{Arc, Mutex};

use super::entry::Entry;
use super::journal::{Held, Journal};
use super::spec::{Data, Form, Spec};
use super::table::Table;

/// The tables, by their position in the plan.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    tables: Vec<Table>,
    journal: Option<Journal>,
    /// The next table's name in journals.
    next: u16,
    /// What could not be let go of at once.
    late: Arc<Mutex<Vec<Held>>>,
}

impl Tables {
    /// Makes the tables of a configuration for so many processes. Before the first fork.
    pub fn new(specs: &[Spec], processes: u32) -> io::Result<Tables> {
        Ok(Tables::default().renew(specs, processes, 0)?.0)
    }

    /// The tables of another configuration: those that mean the same keep their memory, others of the same keys take
    /// their entries along. Returns what operators should know, one line each.
    pub fn renew(&self, specs: &[Spec], processes: u32, now_ms: u64) -> io::Result<(Tables, Vec<String>)> {
        let journal = match &self.journal {
            Some(journal) => Some(journal.clone()),
            None if specs.is_empty() => None,
            None => Some(Journal::make(processes)?),
        };
        let mut notices = Vec::new();
        let mut new = Tables { tables: Vec::new(), journal, next: self.next, late: Arc::default() };
        for spec in specs {
            let old = self.tables.iter().find(|table| table.spec().name == spec.name);
            let mut table = match (old, &new.journal) {
                (Some(old), _) if old.spec().same_memory(spec) => old.again(spec),
                (_, None) => return Err(io::ErrorKind::InvalidInput.into()),
                (old, Some(journal)) => {
                    new.next = new.next.wrapping_add(1);
                    let table = Table::make(spec, new.next, journal).map_err(|why| cannot(spec, &why))?;
                    notices.extend(old.map(|old| old.carry_to(&table, now_ms)));
                    table
                }
            };
            table.index = new.tables.len() as u16;
            new.tables.push(table);
        }
        Ok((new, notices))
    }

    /// The table at a position of the plan.
    pub fn get(&self, index: u16) -> Option<&Table> {
        self.tables.get(usize::from(index))
    }

    /// The table of a name, and its position.
    pub fn find(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.spec().name == name)
    }

    /// What came from outside into the entry of a key goes on to the table of `write-to`. False: that one is full.
    pub fn pass_on(&self, table: &Table, key: &[u8], now_ms: u64) -> bool {
        let Some(to) = table.spec().write_to.and_then(|place| self.get(place)) else { return true };
        // the locks of two tables: always in the direction of `write-to`, which never leads back
        let done = table.find(key, now_ms, |from| {
            to.update(key, now_ms, |copy| copy_values(from, copy, now_ms)).is_some()
        });
        done.unwrap_or(true)
    }

    /// Every table.
    pub fn iter(&self) -> impl Iterator<Item = &Table> {
        self.tables.iter()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Lets go of an entry that process `slot` holds.
    pub fn release(&self, held: Held, slot: u32, now_ms: u64) {
        let done = self.get(held.table).is_none_or(|table| table.release(held, slot, now_ms));
        if !done {
            if let Ok(mut late) = self.late.lock() {
                late.push(held);
            }
        }
    }

    /// There is regular work for process `slot`.
    pub fn need_tending(&self, slot: u32) -> bool {
        let ends = |table: &Table| table.spec().expire.is_some() && table.used() > 0;
        self.tables.iter().any(ends)
            || self.late.lock().is_ok_and(|late| !late.is_empty())
            || self.journal.as_ref().is_some_and(|journal| journal.orphans(slot) > 0)
    }

    /// Regular work: old entries end, what could not be let go of is.
    pub fn tend(&self, slot: u32, now_ms: u64) {
        for table in &self.tables {
            if table.spec().expire.is_some() {
                table.purge(now_ms);
            }
        }
        if let Some(journal) = self.journal.as_ref().filter(|journal| journal.orphans(slot) > 0) {
            self.tables.iter().for_each(|table| table.adopt(slot));
            let homeless = |uid| self.tables.iter().all(|table| table.uid != uid);
            for (place, _) in journal.held_by(slot).filter(|(_, note)| note.orphan && homeless(note.uid)) {
                journal.forget(slot, place);
                journal.found_home(slot);
            }
        }
        let late = self.late.lock().map(|mut late| std::mem::take(&mut *late)).unwrap_or_default();
        late.into_iter().for_each(|held| self.release(held, slot, now_ms));
    }

    /// A process is gone: its share is taken back.
    pub fn bury(&self, slot: u32) {
        self.tables.iter().for_each(|table| table.bury(slot));
        if let Some(journal) = &self.journal {
            journal.clear(slot);
        }
    }
}

impl Table {
    /// Copies all entries into a table of another shape, if keys mean the same there. Returns what was done.
    fn carry_to(&self, to: &Table, now_ms: u64) -> String {
        let (old, new) = (self.spec(), to.spec());
        if (old.key, old.len) != (new.key, new.len) {
            return format!("stick table \"{}\" has other keys now: it starts empty", new.name);
        }
        let mut kept = 0u64;
        for shard in 0.. {
            let step = self.walk(shard, now_ms, |entry| {
                let done = to.update(&entry.key(), now_ms, |copy| copy_values(entry, copy, now_ms));
                kept += u64::from(done.is_some());
            });
            if step.is_none() {
                break;
            }
        }
        format!(
            "stick table \"{}\" was changed: {} of {} entries carried over",
            new.name,
            kept.min(to.used()),
            self.used()
        )
    }
}

/// The error of a table that is too large for this machine.
fn cannot(spec: &Spec, why: &io::Error) -> io::Error {
    let what = format!("stick table \"{}\" of {} entries: {why}", spec.name, spec.size);
    io::Error::new(why.kind(), what)
}

/// Gives an entry the values of another table's for all that both keep, except the connections it has now.
fn copy_values(from: Entry<'_>, to: Entry<'_>, now_ms: u64) {
    let (old, new) = (from.table.spec(), to.table.spec());
    for store in &new.stores {
        let known = match store.data {
            Data::ConnCur => false,
            Data::ServerKey => old.server_key == new.server_key,
            _ => true,
        };
        for nth in 0..if known { store.count } else { 0 } {
            let Some(value) = from.get(store.data, nth, now_ms) else { continue };
            let value = match from.name(store.data).filter(|_| store.data.form() == Form::Name) {
                Some(name) => to.table.name_number(&name).into(),
                None => value,
            };
            to.set(store.data, nth, value, now_ms);
        }
    }
}
