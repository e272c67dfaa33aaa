//! The command socket, as far as the loop is concerned: wakeups to and from the desk, and what
//! commands may know of the processes.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use lighterman_sys::{cred, fds};

use super::questions::Inbox;
use super::Worker;
use crate::base::ids::{AppletId, ServerId, TaskId};
use crate::base::tick::Tick;
use crate::event::line;
use crate::event::ready::Edges;
use crate::event::sched::Wake;
use crate::expr::live::LiveMaps;
use crate::net::contexts::Contexts;
use crate::net::tls::change::{Change, Paper, What};
use crate::plan::{CliSocket, Plan};
use crate::service::applet::CliDoor;
use crate::service::cli::{CliCx, Face, Facts, Host, Ticket};
use crate::service::desk::Desk;
use crate::service::ocsp::book::Book;

/// The number of the task that hears the master.
pub(super) const MASTER: u16 = 99;
/// The number of the first door's task; the others follow.
pub(super) const DOORS: u16 = 100;

/// The desk at work.
pub(super) struct Office {
    desk: Desk,
    master: Option<Master>,
    changes: Changes,
}

/// Changes that were wished for: when, and what came of it.
#[derive(Default)]
struct Changes {
    last: u64,
    open: BTreeMap<u64, (Tick, Option<String>)>,
    /// Servers whose idle connections are of no use any more.
    left: Vec<ServerId>,
}

/// The line to the master, and the reloads that were asked for: the outcome, once it is known.
struct Master {
    line: OwnedFd,
    last: u64,
    reloads: BTreeMap<u64, Option<Vec<u8>>>,
}

/// Tickets of reloads have this bit, those of questions to workers do not.
const RELOAD: u64 = 1 << 63;
/// Tickets of changes have this one.
const CHANGE: u64 = 1 << 62;
/// Changes wished for that nobody has come for.
const CHANGES_MAX: usize = 1000;
/// The answer to a change is waited for no longer than this, milliseconds.
const CHANGE_MS: u64 = 10_000;
/// Reloads asked for whose outcome nobody has come for.
const RELOADS_MAX: usize = 64;

impl Office {
    /// Opens the desk on sockets that listen already.
    pub(super) fn open(
        worker: &mut Worker<'_>,
        sockets: Vec<(CliSocket, Face, OwnedFd)>,
        line: Option<OwnedFd>,
    ) -> io::Result<Option<Office>> {
        // without command sockets too, the line must stay open: the master listens at its end
        if sockets.is_empty() && line.is_none() {
            return Ok(None);
        }
        let global = &worker.plan.global;
        let timeout = Duration::from_millis(global.cli_timeout.into());
        let doors = sockets
            .into_iter()
            .map(|(socket, face, fd)| CliDoor::new(fd.into(), socket.level, face, timeout))
            .collect::<io::Result<Vec<_>>>()?;
        let house = &mut worker.house;
        let desk = Desk::open(doors, global.cli_maxconn, DOORS, &mut house.sched, &house.poll)?;
        if let Some(line) = &line {
            let task = worker.house_task(MASTER)?;
            worker.house.poll.watch_read(line.as_raw_fd(), task.pack())?;
        }
        let master = line.map(|line| Master { line, last: RELOAD, reloads: BTreeMap::new() });
        Ok(Some(Office { desk, master, changes: Changes::default() }))
    }
}

impl Worker<'_> {
    pub(super) fn on_desk_door(&mut self, number: u16) {
        if let Some(office) = &mut self.office {
            let house = &mut self.house;
            if let Err(error) = office.desk.on_door(number, &mut house.sched, &house.poll) {
                log::warn!("command socket: {error}");
            }
        }
    }

    pub(super) fn on_desk_edges(&mut self, id: AppletId, edges: Edges) {
        if let Some(office) = &mut self.office {
            office.desk.on_edges(id, edges, &mut self.house.sched);
        }
    }

    pub(super) fn on_desk_client(&mut self, id: AppletId, _task: TaskId, _why: Wake) {
        let Worker { plan, house, office, inbox, refresher, .. } = self;
        let Some(office) = office else { return };
        let (leaving, now) = (house.leaving, house.now.tick);
        let maps = &mut house.maps;
        let (master, changes) = (office.master.as_mut(), &mut office.changes);
        let book = refresher.as_mut().map(|refresher| &mut refresher.book);
        let tls = house.tls;
        let mut clerk = Clerk { plan, leaving, now, inbox, master, maps, tls, changes, book };
        let mut cx = CliCx { plan, now: house.now, shm: &house.shm, host: &mut clerk };
        office.desk.on_wake(id, &mut house.sched, &mut cx, &house.poll);
        let left = std::mem::take(&mut office.changes.left);
        left.into_iter().for_each(|server| self.leave_address(server));
        for waiting in self.house.tls.store().take_woken() {
            self.house.sched.wake(waiting, Wake::IO);
        }
        self.put_questions();
        self.hurry_ocsp();
    }

    /// The master says how a reload went.
    pub(super) fn hear_master(&mut self) {
        let Some(master) = self.office.as_mut().and_then(|office| office.master.as_mut()) else { return };
        let Master { line, reloads, .. } = master;
        for (ticket, text) in line::outcomes(line.as_fd()) {
            if let Some(outcome) = reloads.get_mut(&ticket) {
                *outcome = Some(text);
            }
        }
        self.wake_desk();
    }

    /// A change that nobody waits for: made here, and then in all processes.
    pub(super) fn wish(&mut self, change: Change) -> Result<(), String> {
        for server in self.house.tls.obey(&change)? {
            self.leave_address(server);
        }
        if self.office.as_ref().is_some_and(|office| office.master.is_some()) {
            self.house.tls.store().send_paper(Paper::Wish(CHANGE, change));
        }
        Ok(())
    }

    /// What came of a change that was wished for.
    pub(super) fn hear_change(&mut self, number: u64, fault: String) {
        if let Some(office) = &mut self.office {
            if let Some((_, outcome)) = office.changes.open.get_mut(&number) {
                *outcome = Some(fault);
            }
        }
        self.wake_desk();
    }

    /// Nobody new is let in; who is there gets the answer.
    pub(super) fn close_desk(&mut self) {
        if let Some(office) = &mut self.office {
            office.desk.close_doors(&self.house.poll);
        }
    }

    /// Whether no client of the command socket is there.
    pub(super) fn desk_is_empty(&self) -> bool {
        self.office.as_ref().is_none_or(|office| office.desk.is_empty())
    }

    /// Clients that wait for answers look again.
    pub(super) fn wake_desk(&mut self) {
        if let Some(office) = &mut self.office {
            office.desk.on_news(&mut self.house.sched);
        }
    }
}

/// What commands ask of the process.
struct Clerk<'a> {
    plan: &'a Plan,
    leaving: bool,
    now: Tick,
    inbox: &'a mut Inbox,
    master: Option<&'a mut Master>,
    maps: &'a mut LiveMaps,
    tls: &'a Contexts,
    changes: &'a mut Changes,
    book: Option<&'a mut Book>,
}

impl Host for Clerk<'_> {
    fn facts(&self) -> Facts {
        Facts {
            ulimit_n: cred::descriptor_limit().map_or(0, |(now, _)| now),
            stopping: self.leaving,
            listeners: self.plan.listeners.len() as u32,
            boot_ms: 0,
            hostname: cred::host_name(),
        }
    }

    fn maps(&mut self) -> Option<&mut LiveMaps> {
        Some(self.maps)
    }

    fn startup_log(&self) -> Vec<u8> {
        Vec::new()
    }

    fn ask_workers(&mut self, command: &str) -> Option<Ticket> {
        self.inbox.ask(command, self.now)
    }

    fn answers(&mut self, ticket: Ticket) -> Option<Vec<u8>> {
        if ticket.0 & CHANGE != 0 {
            let (asked, outcome) = self.changes.open.get_mut(&ticket.0)?;
            let late = self.now.since(*asked) >= CHANGE_MS;
            let outcome = outcome.take().or_else(|| late.then(|| "no answer in time\n".to_owned()))?;
            self.changes.open.remove(&ticket.0);
            return Some(outcome.into_bytes());
        }
        if ticket.0 & RELOAD == 0 {
            return self.inbox.take(ticket, self.now);
        }
        let reloads = &mut self.master.as_mut()?.reloads;
        let outcome = reloads.get_mut(&ticket.0)?.take()?;
        reloads.remove(&ticket.0);
        Some(outcome)
    }

    fn tls(&self) -> Option<&Contexts> {
        Some(self.tls)
    }

    fn ocsp(&mut self) -> Option<&mut Book> {
        self.book.as_deref_mut()
    }

    fn change(&mut self, change: Change) -> Result<Ticket, String> {
        let Changes { last, open, left } = &mut *self.changes;
        // clients that left do not come for their answers
        open.retain(|_, (asked, _)| self.now.since(*asked) < 2 * CHANGE_MS);
        if open.len() >= CHANGES_MAX {
            return Err("Too many changes are under way.".to_owned());
        }
        // certificates are changed by who has their files; what cannot be made here cannot be made elsewhere, else
        let elsewhere = match change.what {
            What::Certs => self.tls.store().has_line(),
            _ => self.master.is_some(),
        };
        if !elsewhere || change.is_kept() {
            left.extend(self.tls.obey(&change)?);
        }
        *last = last.wrapping_add(1);
        let number = CHANGE | *last & (CHANGE - 1);
        open.insert(number, (self.now, (!elsewhere).then(String::new)));
        if elsewhere {
            self.tls.store().send_paper(Paper::Wish(number, change));
        }
        Ok(Ticket(number))
    }

    fn reload(&mut self) -> Option<Ticket> {
        let master = self.master.as_mut().filter(|master| master.reloads.len() < RELOADS_MAX)?;
        master.last += 1;
        fds::send_with_fds(master.line.as_fd(), &line::reload(master.last), &[]).ok()?;
        master.reloads.insert(master.last, None);
        Some(Ticket(master.last))
    }
}
