//! Leaving: no new clients, idle connections are closed politely, the others are finished.

use super::Worker;
use crate::event::sched::Wake;

impl Worker<'_> {
    /// Takes no more clients and ends when the last one has gone.
    pub(super) fn drain(&mut self) {
        if self.house.leaving {
            return;
        }
        self.house.leaving = true;
        self.pause_doors();
        self.doors.clear();
        for (_, conn) in self.conns.iter() {
            if conn.is_idle() {
                self.house.sched.wake(conn.task, Wake::KILL);
            }
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
