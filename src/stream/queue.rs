//! Places at servers (`maxconn`) and the lines of those who wait for one.
//!
//! A place is a count in shared memory, so the limit holds for all workers together. A request that finds
//! none waits in the line of its backend, or in that of a server it is bound to. Each worker has its own
//! lines and tells the others who is first in each; a place that becomes free goes to the first of all: to
//! one of its own directly, else the worker that has the first is rung. Who comes later joins a line rather
//! than take it on the way.
//!
//! No wakeup is lost: who joins a line looks for a place afterwards, who frees a place looks for lines
//! afterwards, both behind a full barrier.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::fence;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use super::backends::{is_alive, Backends};
use super::{Below, Phase, Step, Stream};
use crate::base::ids::{ProxyId, ServerId, TaskId};
use crate::event::sched::{Sched, Wake};
use crate::expr::view::Timeout;
use crate::net::cx::Cx;
use crate::plan::Plan;
use crate::shm::{Object, Shared, Stat};

/// The order of a line: class first (`set-priority-class`), then who came first, by a date in milliseconds
/// that `set-priority-offset` moves, and within a millisecond by number.
type Key = (i16, u64, u64);

/// The part of a key that workers compare: class and date in one number.
fn rank_of((class, date, _): Key) -> u64 {
    let class = u64::from(class.cast_unsigned() ^ 0x8000);
    class << 48 | date & ((1 << 48) - 1)
}

/// Where a request waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line {
    /// For this server.
    Server(ServerId),
    /// For any server of this backend.
    Backend(ProxyId),
}

impl Line {
    fn object(self) -> Object {
        match self {
            Line::Server(id) => Object::Server(id),
            Line::Backend(id) => Object::Back(id),
        }
    }
}

/// Those who wait, in order.
pub type Waiting = BTreeMap<Key, TaskId>;

/// All lines of a worker.
#[derive(Default)]
pub struct Lines {
    servers: HashMap<ServerId, Waiting>,
    backends: HashMap<ProxyId, Waiting>,
    /// Places given to tasks that have not taken them yet.
    granted: HashMap<TaskId, ServerId>,
    ticket: u64,
    /// A free place was left to other workers: if none of them takes it, it is for us.
    left: bool,
}

impl Lines {
    fn of(&mut self, line: Line) -> &mut Waiting {
        match line {
            Line::Server(id) => self.servers.entry(id).or_default(),
            Line::Backend(id) => self.backends.entry(id).or_default(),
        }
    }

    fn first(&self, line: Line) -> Option<Key> {
        let waiting = match line {
            Line::Server(id) => self.servers.get(&id)?,
            Line::Backend(id) => self.backends.get(&id)?,
        };
        waiting.first_key_value().map(|(key, _)| *key)
    }

    /// Who has waited longest for this server; `bound`: only those who wait for it and no other.
    fn next_for(&self, server: ServerId, backend: ProxyId, bound: bool) -> Option<(Line, Key)> {
        let lines = [Some(Line::Server(server)), Some(Line::Backend(backend)).filter(|_| !bound)];
        let firsts = lines.into_iter().flatten().filter_map(|line| Some((line, self.first(line)?)));
        firsts.min_by_key(|(_, key)| *key)
    }

    fn join(&mut self, line: Line, (class, date): (i16, u64), task: TaskId, shm: &Shared) -> Key {
        self.ticket += 1;
        let key = (class, date, self.ticket);
        self.of(line).insert(key, task);
        self.tell(line, shm);
        key
    }

    /// Takes one out of its line, if it still stands there.
    fn remove(&mut self, line: Line, key: Key, shm: &Shared) -> Option<TaskId> {
        let task = self.of(line).remove(&key)?;
        self.tell(line, shm);
        shm.wait_ends(line.object());
        Some(task)
    }

    /// Other workers should know who is first.
    fn tell(&self, line: Line, shm: &Shared) {
        shm.tell_first(line.object(), self.first(line).map(rank_of));
    }
}

/// `maxconn` of a server as it holds now: between `minconn` and `maxconn` by the load of its backend.
pub fn places_of(plan: &Plan, shm: &Shared, id: ServerId) -> u32 {
    let server = plan.server(id);
    let max = shm.object(Object::Server(id)).limit(server.maxconn);
    let full = plan.proxy(server.proxy).fullconn;
    if max == 0 || server.minconn == 0 || server.minconn >= max || full == 0 {
        return max;
    }
    let load = shm.object(Object::Back(server.proxy)).current.load(Relaxed);
    let share = u64::from(max) * u64::from(load) / u64::from(full);
    (share.min(u64::from(max)) as u32).max(server.minconn)
}

impl Backends {
    /// A place at a server has become free.
    pub fn free_place(&mut self, server: ServerId, plan: &Plan, shm: &Shared, sched: &mut Sched) {
        shm.session_ends(Object::Server(server));
        if places_of(plan, shm, server) > 0 {
            self.offer(server, true, plan, shm, sched);
        }
    }

    /// Gives the free places of a server to those who wait, the first of all workers first. `fair`: a worker that
    /// has somebody who comes before ours is rung, and the place is left to it.
    fn offer(&mut self, server: ServerId, fair: bool, plan: &Plan, shm: &Shared, sched: &mut Sched) {
        fence(SeqCst);
        let backend = plan.server(server).proxy;
        let objects = [Object::Server(server), Object::Back(backend)];
        // one that drains still serves those who are bound to it
        let bound = !self.view(server).usable;
        if bound && !is_alive(shm, server) {
            return;
        }
        loop {
            let places = places_of(plan, shm, server);
            let own = self.lines.next_for(server, backend, bound);
            let others = shm.first_elsewhere(if bound { &objects[..1] } else { &objects }).filter(|_| fair);
            match (own, others) {
                (own, Some((slot, rank))) if own.is_none_or(|(_, key)| rank < rank_of(key)) => {
                    if places == 0 || shm.object(objects[0]).current.load(Relaxed) < places {
                        // a bell that cannot be rung belongs to a process that is gone
                        let _ = shm.bell(slot).ring();
                        self.lines.left |= own.is_some();
                    }
                    return;
                }
                (Some((line, key)), _) if shm.session_fits(objects[0], places) => {
                    self.grant(server, line, key, shm, sched);
                }
                _ => return,
            }
        }
    }

    /// Gives a place that is counted already to one who waits.
    fn grant(&mut self, server: ServerId, line: Line, key: Key, shm: &Shared, sched: &mut Sched) {
        let Some(task) = self.lines.remove(line, key, shm) else { return };
        self.lines.granted.insert(task, server);
        sched.wake(task, Wake::QUEUE);
    }

    /// Servers may have free places that nobody handed over: limits were raised, servers came back, or
    /// another worker rang. Who waits for a server that went away looks for another. `fair`: whoever waits
    /// longest in any worker comes first.
    pub fn refill(&mut self, fair: bool, plan: &Plan, shm: &Shared, sched: &mut Sched) {
        for server in &plan.servers {
            if !someone_waits(server.id, server.proxy, shm) {
                continue;
            }
            let line = Line::Server(server.id);
            while let Some(key) = self.lines.first(line).filter(|_| !self.view(server.id).usable) {
                let Some(task) = self.lines.remove(line, key, shm) else { break };
                sched.wake(task, Wake::QUEUE);
            }
            self.offer(server.id, fair, plan, shm, sched);
        }
    }

    /// Whether a free place was left to others since the last call: then look again soon.
    pub fn take_left(&mut self) -> bool {
        std::mem::take(&mut self.lines.left)
    }
}

/// In some worker, somebody waits for this server or for any of its backend.
fn someone_waits(server: ServerId, backend: ProxyId, shm: &Shared) -> bool {
    let waiting = |object| shm.object(object).queued.load(Relaxed);
    waiting(Object::Server(server)) + waiting(Object::Back(backend)) > 0
}

/// A stream's place in a line.
#[derive(Clone, Copy)]
pub(super) struct InLine {
    line: Line,
    key: Key,
}

impl Stream {
    /// Takes a place at the server; false: it must wait for one.
    pub(super) fn take_place(&self, server: ServerId, cx: &Cx<'_>) -> bool {
        let (plan, object) = (cx.plan, Object::Server(server));
        let places = places_of(plan, cx.shm, server);
        // who waits comes first, in whichever worker: a place that is free now is theirs
        let first = places == 0 || !someone_waits(server, self.backend, cx.shm);
        if first && cx.shm.session_fits(object, places) {
            cx.shm.session_came(object);
            return true;
        }
        false
    }

    /// The place that was given to it while it waited.
    pub(super) fn take_grant(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Option<ServerId> {
        let server = below.backends.lines.granted.remove(&self.task)?;
        self.attempt.in_line = None;
        cx.shm.session_came(Object::Server(server));
        Some(server)
    }

    /// Joins a line. `None`: it is as long as it may be.
    pub(super) fn join_line(&mut self, line: Line, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Option<Step> {
        if let Line::Server(id) = line {
            let max = cx.plan.server(id).maxqueue;
            if max > 0 && cx.shm.object(line.object()).queued.load(Relaxed) >= max {
                return None;
            }
        }
        let settings = &self.txn.settings;
        let date = cx.now.tick.0.saturating_add_signed(settings.priority_offset.unwrap_or(0).into());
        let rank = (settings.priority_class.unwrap_or(0), date);
        let key = below.backends.lines.join(line, rank, self.task, cx.shm);
        let position = cx.shm.wait_begins(line.object());
        match line {
            Line::Server(_) => self.txn.server_queue = position,
            Line::Backend(_) => self.txn.backend_queue = position,
        }
        self.attempt.in_line = Some(InLine { line, key });
        if self.clock.phase_until.is_none() {
            self.clock.phase_until = cx.now.tick.deadline(self.limit(Timeout::Queue, cx));
        }
        // a place may have become free before the others knew that somebody waits
        let servers = match line {
            Line::Server(id) => &[id][..],
            Line::Backend(id) => &cx.plan.proxy(id).servers,
        };
        for server in servers {
            below.backends.offer(*server, true, cx.plan, cx.shm, cx.sched);
        }
        Some(Step::Wait)
    }

    /// Leaves the line it may stand in; a place given in the meantime goes to the next.
    pub(super) fn leave_line(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        let Some(InLine { line, key }) = self.attempt.in_line.take() else { return };
        self.note_queue_time(cx);
        if below.backends.lines.remove(line, key, cx.shm).is_some() {
            return;
        }
        if let Some(server) = below.backends.lines.granted.remove(&self.task) {
            below.backends.free_place(server, cx.plan, cx.shm, cx.sched);
        }
    }

    /// It stands in a line and has not been called.
    pub(super) fn is_waiting(&self, below: &mut Below<'_>) -> bool {
        match self.attempt.in_line {
            Some(InLine { line, key }) => below.backends.lines.of(line).contains_key(&key),
            None => false,
        }
    }

    /// `timeout queue`.
    pub(super) fn queue_timeout(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Phase {
        self.leave_line(below, cx);
        self.txn.term = *b"sQ--";
        self.count_both(Stat::Econ, cx);
        self.no_server(below, cx)
    }
}
