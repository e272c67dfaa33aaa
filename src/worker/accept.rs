//! Taking new clients, a bounded number at a time.

use std::io;

use super::Worker;
use crate::base::ids::{ListenerId, TaskId};
use crate::event::sched::{Owner, Wake};
use crate::net::conn::accept::{raw, Accepted};
use crate::net::conn::Conn;

impl Worker<'_> {
    pub(super) fn accept(&mut self, id: ListenerId, task: TaskId) {
        let Some(place) = self.doors.iter().position(|d| d.id == id && d.task == task) else { return };
        for _ in 0..self.plan.global.tune.maxaccept.max(1) {
            match self.doors[place].sock.accept() {
                Ok((fd, src, dst)) => {
                    self.serial += 1;
                    let new = Accepted { xprt: raw(fd), src, dst, serial: self.serial };
                    self.welcome(id, new);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if matches!(error.raw_os_error(), Some(libc::ECONNABORTED | libc::EINTR)) => {}
                Err(_) => {
                    // out of descriptors or memory: what waits is taken when something was closed
                    self.house.sched.deadline(task, Some(self.house.now.tick.after(100)));
                    return;
                }
            }
        }
        // there may be more: after the others had their turn
        self.house.sched.wake(task, Wake::IO);
    }

    pub(super) fn welcome(&mut self, id: ListenerId, new: Accepted) {
        let Worker { plan, house, conns, .. } = self;
        let listener = plan.listener(id);
        let Some(vacant) = conns.vacant() else { return };
        let conn_id = vacant.id();
        let Some(task) = house.sched.spawn(Owner::Conn(conn_id), listener.nice) else { return };
        let watched = new.xprt.sock().fd().is_some_and(|fd| house.poll.watch(fd, task.pack()).is_ok());
        if !watched {
            house.sched.end(task);
            return;
        }
        let conn = Conn::accepted(new, listener, task, &mut house.cx(plan));
        vacant.fill(conn);
    }
}
