//! Places at servers (`maxconn`) and the lines of those who wait for one.
//!
//! A place is a count in shared memory, so the limit holds for all workers together. A request that finds
//! none waits in the line of its backend, or in that of a server it is bound to; a place that becomes free
//! goes to the one who waits longest, directly: nobody who comes later can take it on the way. Each worker
//! has its own lines; one that frees a place while others wait elsewhere rings their bells.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering::Relaxed;

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

    /// Nobody waits.
    pub fn is_empty(&self) -> bool {
        self.servers.values().all(BTreeMap::is_empty) && self.backends.values().all(BTreeMap::is_empty)
    }

    /// How many wait for this server, or for any of its backend.
    fn waiting_for(&self, server: ServerId, backend: ProxyId) -> usize {
        let own = self.servers.get(&server).map_or(0, BTreeMap::len);
        own + self.backends.get(&backend).map_or(0, BTreeMap::len)
    }

    /// Who has waited longest for this server.
    fn next_for(&self, server: ServerId, backend: ProxyId) -> Option<(Line, Key)> {
        let lines = [Line::Server(server), Line::Backend(backend)];
        lines.into_iter().filter_map(|line| Some((line, self.first(line)?))).min_by_key(|(_, key)| *key)
    }

    fn join(&mut self, line: Line, (class, date): (i16, u64), task: TaskId) -> Key {
        self.ticket += 1;
        let key = (class, date, self.ticket);
        self.of(line).insert(key, task);
        key
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
    /// A place at a server has become free: it goes to whoever waits longest.
    pub fn free_place(&mut self, server: ServerId, plan: &Plan, shm: &Shared, sched: &mut Sched) {
        let backend = plan.server(server).proxy;
        let object = Object::Server(server);
        let places = places_of(plan, shm, server);
        let now = shm.object(object).current.load(Relaxed);
        let own = self.lines.waiting_for(server, backend);
        let all =
            shm.object(object).queued.load(Relaxed) + shm.object(Object::Back(backend)).queued.load(Relaxed);
        let elsewhere = (all as usize).saturating_sub(own);
        let fits = places == 0 || now <= places;
        if elsewhere > 0 && fits {
            // workers take turns by chance, weighted by who waits where
            self.lines.ticket += 1;
            let turn = (self.lines.ticket.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as usize;
            if own == 0 || turn % (own + elsewhere) >= own {
                shm.session_ends(object);
                ring_others(shm);
                self.lines.left = own > 0;
                return;
            }
        }
        // one that drains still serves those who are bound to it
        let own_line = Line::Server(server);
        let next = match self.view(server).usable {
            true => self.lines.next_for(server, backend),
            false if is_alive(shm, server) => self.lines.first(own_line).map(|key| (own_line, key)),
            false => None,
        };
        match next.filter(|_| fits) {
            Some((line, key)) => self.grant(server, line, key, shm, sched),
            None => shm.session_ends(object),
        }
    }

    /// Gives a place that is counted already to one who waits.
    fn grant(&mut self, server: ServerId, line: Line, key: Key, shm: &Shared, sched: &mut Sched) {
        let Some(task) = self.lines.of(line).remove(&key) else { return };
        shm.wait_ends(line.object());
        self.lines.granted.insert(task, server);
        sched.wake(task, Wake::QUEUE);
    }

    /// Servers may have free places that nobody handed over: limits were raised, servers came back, or
    /// another worker rang. Who waits for a server that went away looks for another.
    pub fn refill(&mut self, plan: &Plan, shm: &Shared, sched: &mut Sched) {
        if self.lines.is_empty() {
            return;
        }
        for server in &plan.servers {
            let usable = self.view(server.id).usable;
            while let Some((line, key)) = self.lines.next_for(server.id, server.proxy) {
                if !usable {
                    if line != Line::Server(server.id) {
                        break;
                    }
                    if let Some(task) = self.lines.of(line).remove(&key) {
                        shm.wait_ends(line.object());
                        sched.wake(task, Wake::QUEUE);
                    }
                } else if shm.session_fits(Object::Server(server.id), places_of(plan, shm, server.id)) {
                    self.grant(server.id, line, key, shm, sched);
                } else {
                    break;
                }
            }
        }
    }

    /// Whether a free place was left to others since the last call: then look again soon.
    pub fn take_left(&mut self) -> bool {
        std::mem::take(&mut self.lines.left)
    }
}

/// Other workers look whether a place is free for those who wait there.
fn ring_others(shm: &Shared) {
    for process in shm.processes().filter(|process| process.slot != shm.slot()) {
        // a bell that cannot be rung belongs to a process that is gone
        let _ = shm.bell(process.slot).ring();
    }
}

/// A stream's place in a line.
#[derive(Clone, Copy)]
pub(super) struct InLine {
    line: Line,
    key: Key,
}

impl Stream {
    /// Takes a place at the server, or joins a line; true: it has one.
    pub(super) fn take_place(&mut self, server: ServerId, below: &mut Below<'_>, cx: &mut Cx<'_>) -> bool {
        let (plan, object) = (cx.plan, Object::Server(server));
        let places = places_of(plan, cx.shm, server);
        // who waits comes first: a place that is free now was left for them by another worker
        let first = places == 0 || below.backends.lines.next_for(server, self.backend).is_none();
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
        let key = below.backends.lines.join(line, rank, self.task);
        let position = cx.shm.wait_begins(line.object());
        match line {
            Line::Server(_) => self.txn.server_queue = position,
            Line::Backend(_) => self.txn.backend_queue = position,
        }
        self.attempt.in_line = Some(InLine { line, key });
        if self.clock.phase_until.is_none() {
            self.clock.phase_until = cx.now.tick.deadline(self.limit(Timeout::Queue, cx));
        }
        Some(Step::Wait)
    }

    /// Leaves the line it may stand in; a place given in the meantime goes to the next.
    pub(super) fn leave_line(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        let Some(InLine { line, key }) = self.attempt.in_line.take() else { return };
        self.note_queue_time(cx);
        if below.backends.lines.of(line).remove(&key).is_some() {
            cx.shm.wait_ends(line.object());
        } else if let Some(server) = below.backends.lines.granted.remove(&self.task) {
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
