//! Leaving: no new clients, idle connections are closed politely, the others are finished.

use super::Worker;
use crate::base::ids::TaskId;
use crate::event::sched::Wake;
use crate::net::conn::Conn;
use crate::shm::{Phase, Role, Wish};

/// Clients taken from the queue of one socket before it is closed: what a queue holds.
const ACCEPT_LAST: usize = 4096;
/// The number of the task that closes idle clients.
pub(super) const FAREWELL: u16 = 5;
/// An idle client is left this long to send one more request, milliseconds, which is answered with
/// `Connection: close`: one that is on its way already would meet a closed door otherwise.
const FAREWELL_MS: u64 = 1000;

impl Worker<'_> {
    /// Takes no more clients and ends when the last one has gone.
    pub(super) fn drain(&mut self) {
        if self.house.leaving {
            return;
        }
        self.house.leaving = true;
        let process = self.house.shm.process();
        if process.wish() >= Wish::Drain || process.view(0).is_some_and(|view| view.roles.has(Role::MASTER)) {
            self.accept_the_rest();
        }
        self.pause_doors();
        self.doors.clear();
        self.house.shm.process().set_phase(Phase::Draining);
        self.close_desk();
        self.close_idle(|conn| conn.client().is_none());
        match self.house_task(FAREWELL) {
            Ok(task) => self.house.sched.deadline(task, Some(self.house.now.tick.after(FAREWELL_MS))),
            Err(_) => self.close_idle(|_| true),
        }
    }

    /// The time for a last request is over: idle clients are closed, those that become idle later too.
    pub(super) fn bid_farewell(&mut self, task: TaskId) {
        self.close_idle(|_| true);
        self.house.sched.deadline(task, Some(self.house.now.tick.after(FAREWELL_MS)));
    }

    fn close_idle(&mut self, whom: impl Fn(&Conn) -> bool) {
        let idle = self.conns.iter().filter(|(_, conn)| conn.is_idle() && whom(conn));
        let idle: Vec<_> = idle.map(|(id, conn)| (id, conn.task)).collect();
        // At once: by a wakeup, a request could be given to such a connection before it is closed.
        for (id, task) in idle {
            self.wake_conn(id, task, Wake::KILL);
        }
    }

    /// Nobody comes after us: who waits in a queue would be turned away when it is closed.
    fn accept_the_rest(&mut self) {
        let doors: Vec<_> = self.doors.iter().filter(|door| !door.paused && !door.shut).collect();
        let doors: Vec<_> = doors.iter().map(|door| (door.id, door.task)).collect();
        let rounds = ACCEPT_LAST / self.plan.global.tune.maxaccept.max(1);
        for (id, task) in doors {
            (0..rounds.max(1)).for_each(|_| self.accept(id, task));
        }
    }

    /// Listening sockets stay, their queues fill.
    pub(super) fn pause_doors(&mut self) {
        for door in &mut self.doors {
            if !std::mem::replace(&mut door.paused, true) {
                // a socket that cannot be forgotten is only heard for nothing
                let _ = self.house.poll.forget(door.sock.fd());
            }
        }
    }

    /// Takes clients again.
    pub(super) fn resume_doors(&mut self) {
        for door in &mut self.doors {
            if std::mem::replace(&mut door.paused, false) {
                let _ = self.house.poll.watch_read(door.sock.fd(), door.task.pack());
                self.house.sched.wake(door.task, Wake::IO);
            }
        }
    }
}
