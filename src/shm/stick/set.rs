//! All tables of a configuration, as one process sees them; reloads keep what they can.

use std::io;
use std::sync::{Arc, Mutex};

use super::journal::{Held, Journal};
use super::spec::Spec;
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
                    let table = Table::make(spec, new.next, journal)?;
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

    /// There is regular work.
    pub fn need_tending(&self) -> bool {
        let ends = |table: &Table| table.spec().expire.is_some() && table.used() > 0;
        self.tables.iter().any(ends) || self.late.lock().is_ok_and(|late| !late.is_empty())
    }

    /// Regular work: old entries end, what could not be let go of is.
    pub fn tend(&self, slot: u32, now_ms: u64) {
        for table in &self.tables {
            if table.spec().expire.is_some() {
                table.purge(now_ms);
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
                let done = to.update(&entry.key(), now_ms, |copy| {
                    for store in &new.stores {
                        for nth in 0..store.count {
                            if let Some(value) = entry.get(store.data, nth, now_ms) {
                                let value = match entry.name(store.data) {
                                    Some(name) if store.data.form() == super::spec::Form::Name => {
                                        to.name_number(&name).into()
                                    }
                                    _ => value,
                                };
                                if store.data != super::Data::ConnCur {
                                    copy.set(store.data, nth, value, now_ms);
                                }
                            }
                        }
                    }
                });
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
