//! What was set at run time, by commands and health checks: shared memory says that something changed,
//! and this makes the worker obey it.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::Ordering::Relaxed;

use super::Worker;
use crate::base::ids::ServerId;
use crate::event::sched::Wake;
use crate::shm::{FrontState, Object};

/// The number of the task that hears the bell.
pub(super) const BELL: u16 = 3;

/// What this worker has obeyed.
#[derive(Default)]
pub(super) struct Obeyed {
    /// The count of changes looked at last; `None` before the first look.
    changes: Option<u64>,
    /// By server: calls to end its sessions.
    shutdowns: Vec<u32>,
}

impl Worker<'_> {
    /// Other processes ring when they changed something.
    pub(super) fn listen_to_bell(&mut self) -> std::io::Result<()> {
        let task = self.house_task(BELL)?;
        let shm = &self.house.shm;
        self.house.poll.watch_read(shm.bell(shm.slot()).as_fd().as_raw_fd(), task.pack())?;
        self.obey_changes();
        Ok(())
    }

    /// It rang: what changed is looked at in every turn anyway.
    pub(super) fn hear_bell(&mut self) {
        let shm = &self.house.shm;
        // a bell that cannot be read does not ring again
        let _ = shm.bell(shm.slot()).hear();
        self.fill_places(true);
    }

    /// Something changed that was not obeyed yet.
    pub(super) fn has_orders(&self) -> bool {
        self.obeyed.changes != Some(self.house.shm.changes())
    }

    /// Does what was asked for since the last time.
    pub(super) fn obey_changes(&mut self) {
        if !self.has_orders() {
            return;
        }
        let first = self.obeyed.changes.replace(self.house.shm.changes()).is_none();
        for server in self.backends.refresh(self.plan, &self.house.shm) {
            self.leave_address(server);
        }
        self.fill_places(true);
        self.shut_sessions(first);
        self.turn_doors();
    }

    /// Idle connections to a server's former address, or made while somebody else was believed, are of no use.
    pub(super) fn leave_address(&mut self, server: ServerId) {
        for id in std::mem::take(&mut self.backends.server(server).idle) {
            if let Some(conn) = self.conns.get(id) {
                self.house.sched.wake(conn.task, Wake::KILL);
            }
        }
    }

    /// Ends the sessions of servers for which this was asked; what was asked before this worker lived
    /// does not concern it.
    fn shut_sessions(&mut self, first: bool) {
        let Worker { plan, house, obeyed, streams, .. } = self;
        let calls = |id| house.shm.object(Object::Server(id)).shutdowns.load(Relaxed);
        let calls: Vec<u32> = plan.servers.iter().map(|server| calls(server.id)).collect();
        let before = std::mem::replace(&mut obeyed.shutdowns, calls);
        if first || before == obeyed.shutdowns {
            return;
        }
        for (_, stream) in streams.iter() {
            let place = stream.server().map(ServerId::index);
            if place.is_some_and(|place| before.get(place) != obeyed.shutdowns.get(place)) {
                house.sched.wake(stream.task, Wake::KILL);
            }
        }
    }

    /// Frontends that were disabled refuse clients, those that were enabled accept again.
    fn turn_doors(&mut self) {
        let Worker { plan, house, doors, .. } = self;
        for door in doors {
            let front = Object::Front(plan.listener(door.id).proxy);
            let open = house.shm.object(front).front_state() == FrontState::Open;
            // the socket may be one that an earlier generation had shut
            let done = if open { door.sock.listen_again() } else { door.sock.refuse() };
            if let Err(error) = done {
                log::warn!("listening socket: {error}");
            }
            if open == door.shut {
                door.shut = !open;
                house.sched.wake(door.task, Wake::IO);
            }
        }
    }
}
