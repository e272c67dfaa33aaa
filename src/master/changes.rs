//! Changes by commands ([`crate::net::tls::change`]), as the master passes them on: kept for processes to come, brought to all
//! that are there, and reported as done when each of them has said so. What is inside is not looked at.

use super::crew::Post;
use crate::base::tick::Tick;
use crate::net::tls::change::{Change, Paper};

/// A process that has not said within this time that a change is in force is not waited for, milliseconds.
const PATIENCE_MS: u64 = 5000;
/// Bytes of all changes that are kept.
const KEPT_BYTES_MAX: usize = 64 << 20;
/// Changes that are kept.
const KEPT_MAX: usize = 100_000;

/// Changes for the processes of one generation, in the order in which they came.
#[derive(Clone, Default)]
pub(super) struct Kept {
    changes: Vec<Change>,
}

impl Kept {
    /// All that hold now.
    pub(super) fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Those that hold for another configuration too.
    pub(super) fn for_next(&self) -> Kept {
        Kept { changes: self.changes.iter().filter(|change| change.outlives_reload()).cloned().collect() }
    }

    /// Keeps one, in place of what it makes void. False: there is no room.
    fn keep(&mut self, change: &Change) -> bool {
        self.changes.retain(|known| !change.is_about(known));
        let bytes: usize = self.changes.iter().map(|known| known.name.len() + known.content.len()).sum();
        let fits = self.changes.len() < KEPT_MAX && bytes + change.content.len() <= KEPT_BYTES_MAX;
        if fits {
            self.changes.push(change.clone());
        }
        fits
    }
}

/// A change that not all processes have in force.
struct Pending {
    serial: u64,
    /// Who wished for it, and his number for it.
    asker: u32,
    ticket: u64,
    /// Processes that have not said.
    waits: Vec<u32>,
    /// What went wrong in some.
    faults: String,
    until: Tick,
}

/// The master's book of changes.
#[derive(Default)]
pub(super) struct Changes {
    serial: u64,
    pending: Vec<Pending>,
}

impl Changes {
    /// Takes what a process says. `generation` serves; `coming` gets what outlives a reload.
    pub(super) fn take(
        &mut self,
        from: u32,
        paper: Paper,
        posts: &mut [Post],
        (kept, coming): (&mut Kept, Option<&mut Kept>),
        (generation, now): (u32, Tick),
    ) {
        match paper {
            Paper::Order(..) => {}
            Paper::Done(serial, fault) => self.note(from, serial, &fault),
            Paper::Wish(ticket, change) => {
                self.serial += 1;
                let mut pending = Pending {
                    serial: self.serial,
                    asker: from,
                    ticket,
                    waits: Vec::new(),
                    faults: String::new(),
                    until: now.after(PATIENCE_MS),
                };
                let fits = !change.is_kept()
                    || kept.keep(&change)
                        && coming.filter(|_| change.outlives_reload()).is_none_or(|kept| kept.keep(&change));
                if !fits {
                    pending.faults = "too much has been changed since the start: reload".to_owned();
                    self.pending.push(pending);
                    return;
                }
                let concerns = |post: &&mut Post| {
                    post.generation == generation || post.generation > generation && change.outlives_reload()
                };
                for post in posts.iter_mut().filter(concerns) {
                    let Some(line) = &mut post.certs else { continue };
                    line.push(Paper::Order(self.serial, change.clone()));
                    pending.waits.push(post.child.pid());
                }
                self.pending.push(pending);
            }
        }
    }

    /// Tells who wished that nothing comes of it.
    pub(super) fn refuse(&self, from: u32, ticket: u64, why: String, posts: &mut [Post]) {
        let asker = posts.iter_mut().find(|post| post.child.pid() == from);
        if let Some(line) = asker.and_then(|post| post.certs.as_mut()) {
            line.push(Paper::Done(ticket, why));
        }
    }

    fn note(&mut self, from: u32, serial: u64, fault: &str) {
        let Some(pending) = self.pending.iter_mut().find(|pending| pending.serial == serial) else { return };
        pending.waits.retain(|pid| *pid != from);
        if !fault.is_empty() && !pending.faults.contains(fault) {
            pending.faults.push_str(fault);
            pending.faults.push('\n');
        }
    }

    /// Tells those who wished what came of it. Processes that have gone are not waited for: who takes their place finds what was
    /// kept.
    pub(super) fn settle(&mut self, posts: &mut [Post], now: Tick) {
        self.pending.retain_mut(|pending| {
            pending.waits.retain(|pid| posts.iter().any(|post| post.child.pid() == *pid));
            if !pending.waits.is_empty() && now < pending.until {
                return true;
            }
            if !pending.waits.is_empty() {
                pending.faults.push_str("some process has not answered in time\n");
            }
            let asker = posts.iter_mut().find(|post| post.child.pid() == pending.asker);
            if let Some(line) = asker.and_then(|post| post.certs.as_mut()) {
                line.push(Paper::Done(pending.ticket, pending.faults.clone()));
            }
            false
        });
    }

    /// When [`Changes::settle`] has something to do by itself.
    pub(super) fn due(&self) -> Option<Tick> {
        self.pending.iter().map(|pending| pending.until).min()
    }
}
