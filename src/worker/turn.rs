//! The loop: wait for news, wake who is concerned, run what is due, within a budget per turn.

use std::io;
use std::time::Duration;

use super::Worker;
use crate::base::ids::TaskId;
use crate::event::sched::{Owner, Wake};
use crate::shm::Info;

impl Worker<'_> {
    /// Runs until nothing is left to be served.
    pub fn run(&mut self) -> io::Result<()> {
        self.house.shm.process().set_phase(crate::shm::Phase::Serving);
        while !(self.stopped || self.house.leaving && self.conns.is_empty() && self.desk_is_empty()) {
            let wait = self.patience();
            self.turn(wait)?;
        }
        Ok(())
    }

    /// How long the poller may sleep.
    fn patience(&mut self) -> Option<Duration> {
        if !self.house.sched.is_idle() || self.has_orders() {
            return Some(Duration::ZERO);
        }
        let now = self.clock.read();
        self.figures.falls_asleep(now.mono_us);
        let until = self.house.sched.next_deadline()?;
        Some(Duration::from_millis(until.since(now.tick)))
    }

    /// One turn.
    pub fn turn(&mut self, wait: Option<Duration>) -> io::Result<()> {
        self.house.poll.wait(wait)?;
        let before = std::mem::replace(&mut self.house.now, self.clock.read()).mono_us;
        // a turn that slept has had little to do
        let busy = wait == Some(Duration::ZERO);
        let last_us = if busy { self.house.now.mono_us.saturating_sub(before) } else { 0 };
        self.house.sched.begin_turn(last_us);
        self.house.tls.store().set_clock(self.house.now);
        self.publish_figures(self.house.now);
        self.house.log.turn(self.house.now);
        self.house.shm.process().beat();
        self.panics = 0;
        self.obey_changes();
        self.house.maps.obey();
        self.take_news();
        self.house.sched.expire(self.house.now.tick);
        for _ in 0..self.plan.global.tune.runqueue_depth.max(1) {
            let Some((owner, task, why)) = self.house.sched.next() else { break };
            self.run_task(owner, task, why);
        }
        while let Some((owner, task)) = self.house.sched.next_heavy() {
            self.run_task(owner, task, Wake::GRANT);
        }
        self.report_certs();
        self.wake_buffer_waiters();
        self.arm_purge();
        self.arm_places();
        let lost = self.house.log.flush();
        self.count_lost_lines(lost);
        Ok(())
    }

    fn take_news(&mut self) {
        let mut applets = std::mem::take(&mut self.applet_news);
        let Worker { house, conns, .. } = self;
        for (token, edges) in house.poll.news() {
            let task = TaskId::unpack(token);
            match house.sched.owner(task) {
                Some(Owner::Conn(id)) => {
                    if let Some(conn) = conns.get_mut(id) {
                        conn.edges(edges);
                    }
                    house.sched.wake(task, Wake::IO);
                }
                Some(Owner::Applet(id)) => applets.push((id, edges)),
                _ => house.sched.wake(task, Wake::IO),
            }
        }
        for (id, edges) in applets.drain(..) {
            self.on_desk_edges(id, edges);
        }
        self.applet_news = applets;
    }

    /// Whoever waits for a buffer looks again when there are some.
    fn wake_buffer_waiters(&mut self) {
        let house = &mut self.house;
        if house.pool.is_wanted() {
            for _ in 0..house.pool.spare() {
                let Some(task) = house.pool.next_waiter() else { break };
                house.sched.wake(task, Wake::BUFFER);
            }
        }
    }

    fn count_lost_lines(&mut self, lost: u64) {
        if lost > 0 {
            self.house.shm.process().count(Info::DroppedLogs, lost);
        }
    }
}
