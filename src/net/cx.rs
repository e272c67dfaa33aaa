//! What is handed down with every call: the plan, the time, and what a process has one of.

use crate::base::ids::{ConnId, TaskId};
use crate::base::pool::Pool;
use crate::base::rng::Rng;
use crate::base::tick::Now;
use crate::event::log::sink::LogSink;
use crate::event::poll::Poller;
use crate::event::sched::Sched;
use crate::expr::live::{LiveMaps, Order};
use crate::expr::vars::{Effects, ProcVars};
use crate::msg::heads::HeadPool;
use crate::net::contexts::Contexts;
use crate::net::fault::Fault;
use crate::plan::Plan;
use crate::shm::{Info, Shared};

/// The surroundings of everything that runs in a turn. Built for each wakeup, never stored.
pub struct Cx<'w> {
    /// The configuration.
    pub plan: &'w Plan,
    /// The time of this turn.
    pub now: Now,
    /// The process is leaving: no connection is kept for another request.
    pub leaving: bool,
    /// TLS of all `bind` and `server` lines.
    pub tls: &'w Contexts,
    /// What all processes share.
    pub shm: &'w Shared,
    /// Wakeups and deadlines.
    pub sched: &'w mut Sched,
    /// Buffers.
    pub pool: &'w mut Pool,
    /// Heads.
    pub heads: &'w mut HeadPool,
    /// Where descriptors are watched.
    pub poll: &'w Poller,
    /// Numbers for schemes that draw.
    pub rng: &'w mut Rng,
    /// What expressions ask for while they are evaluated.
    pub effects: &'w Effects,
    /// Variables of the whole service.
    pub proc_vars: &'w ProcVars,
    /// Maps and ACL files as they are now.
    pub maps: &'w mut LiveMaps,
    /// Where log lines go.
    pub log: &'w mut LogSink,
    /// The network of a test, in place of the kernel's.
    #[cfg(test)]
    pub net: Option<&'w crate::net::sock::mem::Net>,
}

impl Cx<'_> {
    /// Does what a rule asks for; where that is not possible the map stays as it is, which is counted and logged now
    /// and then.
    pub fn change_map(&mut self, order: &Order) {
        let process = self.shm.process();
        if let Err(why) = self.maps.change(&order.change()) {
            process.count(Info::PatternsRefused, 1);
            if let Some(text) = self.maps.complaint(order, &why, self.now.tick) {
                log::warn!("{text}");
            }
        }
        let (added, freed) = self.maps.moved();
        process.count(Info::PatternsAdded, added);
        process.count(Info::PatternsFreed, freed);
        if self.maps.wants_telling() {
            self.shm.changed();
        }
    }
}

/// What a connection asks the worker for: done after the borrow of the connection has ended.
pub struct Birth {
    /// The connection that has something for a stream.
    pub conn: ConnId,
    /// Its task: to be told when the stream could not be made.
    pub task: TaskId,
    /// What the stream begins with.
    pub with: Beginning,
}

/// What a stream begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// A request head, or in TCP mode a client ready to speak.
    Work,
    /// A request that cannot be understood: it is answered with an error and logged.
    Broken(Fault),
    /// A request head that did not come in time.
    TooLate,
    /// A client that left without a word, or a failed handshake: only logged.
    Nothing,
}

/// What the worker does with an object after it was woken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It lives on.
    Keep,
    /// It is done: remove it.
    Close,
}
