//! A panic costs one object: whoever was being handled is removed with its connections, everybody else
//! goes on. A second panic in the same turn says that the damage is not confined: it ends the worker.

use std::panic::{self, AssertUnwindSafe};

use super::Worker;
use crate::base::ids::{ConnId, TaskId};
use crate::base::pool::WaitClass;
use crate::event::sched::{Owner, Wake};
use crate::shm::Info;
use crate::stream::{count, track};

impl Worker<'_> {
    /// Handles one wakeup behind the barrier.
    pub(super) fn run_task(&mut self, owner: Owner, task: TaskId, why: Wake) {
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| self.dispatch(owner, task, why)));
        if self.house.pool.take_denied() {
            let class = if matches!(owner, Owner::Conn(_)) { WaitClass::New } else { WaitClass::Request };
            self.house.pool.wait(task, class);
        }
        if let Err(payload) = outcome {
            self.panics += 1;
            self.house.shm.process().count(Info::Panics, 1);
            log::error!("a fault in the program ended {owner:?}; please report it with the lines above");
            if self.panics > 1 {
                panic::resume_unwind(payload);
            }
            self.remove_broken(owner, task);
        }
    }

    /// Takes the object that panicked out of every list; its own words are not asked any more.
    fn remove_broken(&mut self, owner: Owner, task: TaskId) {
        self.births.clear();
        match owner {
            Owner::Conn(id) => self.kill_conn(id),
            Owner::Stream(id) => {
                self.house.sched.end(task);
                if let Some(stream) = self.streams.remove(id) {
                    for id in stream.connections() {
                        self.kill_conn(id);
                    }
                    let (_, mut below, mut cx) = self.lend();
                    stream.forfeit(&mut below, &mut cx);
                }
            }
            Owner::Listener(_) | Owner::Applet(_) | Owner::Check(_) | Owner::House(_) => {}
        }
    }

    fn kill_conn(&mut self, id: ConnId) {
        let Some(conn) = self.conns.remove(id) else { return };
        self.house.sched.end(conn.task);
        if conn.tls().is_some() {
            self.house.shm.ssl_conn_ends();
        }
        if let Some(client) = conn.client() {
            count::client_ends(&self.house.shm, client.facts.listener, client.facts.frontend);
            track::let_go(&client.tracks, &self.house.shm, self.house.now.tick.0);
        }
        if let Some(upper) = conn.upper() {
            self.house.sched.wake(upper, Wake::SHUT);
        }
    }
}
