//! The command socket, as far as the loop is concerned: wakeups to and from the desk, and what
//! commands may know of the processes.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use lighterman_sys::cred;

use super::questions::Inbox;
use super::Worker;
use crate::base::ids::{AppletId, TaskId};
use crate::base::tick::Tick;
use crate::event::ready::Edges;
use crate::event::sched::Wake;
use crate::plan::{CliSocket, Plan};
use crate::service::applet::CliDoor;
use crate::service::cli::{CliCx, Face, Facts, Host, Ticket};
use crate::service::desk::Desk;

/// The number of the first door's task; the others follow.
pub(super) const DOORS: u16 = 100;

/// The desk at work.
pub(super) struct Office {
    desk: Desk,
}

impl Office {
    /// Opens the desk on sockets that listen already.
    pub(super) fn open(
        worker: &mut Worker<'_>,
        sockets: Vec<(CliSocket, OwnedFd)>,
    ) -> io::Result<Option<Office>> {
        if sockets.is_empty() {
            return Ok(None);
        }
        let global = &worker.plan.global;
        let timeout = Duration::from_millis(global.cli_timeout.into());
        let doors = sockets
            .into_iter()
            .map(|(socket, fd)| CliDoor::new(fd.into(), socket.level, Face::Traffic, timeout))
            .collect::<io::Result<Vec<_>>>()?;
        let house = &mut worker.house;
        let desk = Desk::open(doors, global.cli_maxconn, DOORS, &mut house.sched, &house.poll)?;
        Ok(Some(Office { desk }))
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
        let Worker { plan, house, office, inbox, .. } = self;
        let Some(office) = office else { return };
        let mut clerk = Clerk { plan, leaving: house.leaving, now: house.now.tick, inbox };
        let mut cx = CliCx { plan, now: house.now, shm: &house.shm, host: &mut clerk };
        office.desk.on_wake(id, &mut house.sched, &mut cx, &house.poll);
        self.put_questions();
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

    fn startup_log(&self) -> Vec<u8> {
        Vec::new()
    }

    fn ask_workers(&mut self, command: &str) -> Option<Ticket> {
        self.inbox.ask(command, self.now)
    }

    fn answers(&mut self, ticket: Ticket) -> Option<Vec<u8>> {
        self.inbox.take(ticket, self.now)
    }

    fn reload(&mut self) -> Option<Ticket> {
        None
    }
}
