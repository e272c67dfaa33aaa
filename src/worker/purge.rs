//! What nobody needs any more is given back: buffers about once a second, idle connections to servers by
//! `pool-purge-delay`. A process that has nothing to give back does not wake for it.

use super::Worker;
use crate::base::ids::ConnId;
use crate::event::sched::Wake;

/// The number of the task that does it.
pub(super) const PURGE: u16 = 6;

/// How often it looks, milliseconds.
const EVERY_MS: u64 = 1000;

impl Worker<'_> {
    /// At the end of a turn: looks later if there is something to give back.
    pub(super) fn arm_purge(&mut self) {
        if self.purges
            || !(self.backends.has_idle()
                || self.house.pool.has_free()
                || self.house.shm.stick().need_tending(self.house.shm.slot()))
        {
            return;
        }
        if let Some(task) = self.purge_task {
            self.purges = true;
            self.house.sched.deadline(task, Some(self.house.now.tick.after(EVERY_MS)));
        }
    }

    /// It is time to look.
    pub(super) fn purge(&mut self) {
        self.purges = false;
        self.house.pool.trim();
        let now = self.house.now.tick;
        self.house.shm.stick().tend(self.house.shm.slot(), now.0);
        for id in self.backends.surplus(self.plan, now) {
            self.kill_idle(id);
        }
    }

    fn kill_idle(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get(id) {
            self.house.sched.wake(conn.task, Wake::KILL);
        }
    }
}
