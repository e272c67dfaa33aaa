//! The watch over workers that stand still: their queues are emptied by the control process and the
//! clients handed to workers that live; who does not come back is ended, and the master replaces it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use lighterman_sys::{fds, fork, sockopt};

use super::Worker;
use crate::base::ids::{ListenerId, TaskId};
use crate::base::tick::Tick;
use crate::shm::{ProcessView, Role, Shared};

/// The number of the task that keeps watch.
pub(super) const WATCH: u16 = 1;
/// How often it looks, milliseconds.
const EVERY_MS: u64 = 50;
/// Clients wait this long for a worker without a sign of life before they are taken over.
const PATIENCE_MS: u64 = 100;
/// A worker that stands still for so long while clients wait is ended.
const LIMIT_MS: u64 = 2000;
/// How often the highest rates of all processes together are looked for, milliseconds.
const SAMPLE_MS: u64 = 1000;
/// Clients taken over from one socket at a time.
const BATCH: usize = 64;

/// What the control process needs to keep watch.
pub struct Watch {
    /// Copies of the workers' listening sockets: `(worker, listener, socket)`.
    pub sockets: Vec<(usize, ListenerId, OwnedFd)>,
    /// Where each worker takes handed clients from.
    pub channels: Vec<OwnedFd>,
}

/// The watch at work.
pub(super) struct Guard {
    watch: Watch,
    seen: Vec<Seen>,
    next: usize,
    /// The last sample of the rates over all processes.
    sampled: Option<Tick>,
    /// Shared gauges that were wrong at the last look.
    drifts: Vec<(usize, i64)>,
}

#[derive(Clone, Copy, Default)]
struct Seen {
    turns: u64,
    still_since: Option<Tick>,
}

impl Guard {
    pub(super) fn new(watch: Watch) -> Self {
        let seen = vec![Seen::default(); watch.channels.len()];
        Guard { watch, seen, next: 0, sampled: None, drifts: Vec::new() }
    }

    /// Ways to the workers, by number.
    pub(super) fn channels(&self) -> &[OwnedFd] {
        &self.watch.channels
    }

    /// One round; gives the number of clients handed over.
    fn round(&mut self, shm: &Shared, now: Tick) -> usize {
        let mut handed = 0;
        let generation = shm.process().generation.load(std::sync::atomic::Ordering::Relaxed);
        let workers: Vec<ProcessView> = shm
            .processes()
            .filter(|p| p.roles.has(Role::WORKER) && p.generation == generation && p.number > 0)
            .collect();
        for worker in 0..self.seen.len() {
            let view = workers.iter().find(|p| p.number as usize == worker + 1);
            let noticed = self.seen[worker].still_since.is_some();
            let Some(since) = self.still_since(worker, view.map_or(0, |p| p.heart), now) else { continue };
            if let Some(view) = view.filter(|_| !noticed) {
                // one that lives and only rests (a paused frontend) answers with a turn of its loop
                let _ = shm.bell(view.slot).ring();
            }
            let still = now.since(since);
            if still >= LIMIT_MS {
                log::warn!("worker {} has stood still for {still} ms: ended", worker + 1);
                // one that has just died is replaced all the same
                let _ = view.map(|p| fork::kill(p.pid, libc::SIGKILL));
                self.seen[worker].still_since = Some(now);
            }
            if still >= PATIENCE_MS {
                handed += self.take_over(worker);
            }
        }
        handed
    }

    /// Since when a worker stands still with clients in its queue.
    fn still_since(&mut self, worker: usize, turns: u64, now: Tick) -> Option<Tick> {
        let seen = &mut self.seen[worker];
        if turns != seen.turns {
            *seen = Seen { turns, still_since: None };
            return None;
        }
        if seen.still_since.is_none() && queue_of(&self.watch, worker) > 0 {
            seen.still_since = Some(now);
        }
        self.seen[worker].still_since
    }

    fn take_over(&mut self, worker: usize) -> usize {
        let mut handed = 0;
        // with nobody to hand them to, clients are safest in their queue
        if !(0..self.seen.len()).any(|other| self.lives(other, worker)) {
            return 0;
        }
        for at in 0..self.watch.sockets.len() {
            if self.watch.sockets[at].0 != worker {
                continue;
            }
            for _ in 0..BATCH {
                let (_, listener, socket) = &self.watch.sockets[at];
                let Ok((client, _)) = lighterman_sys::io::accept(socket.as_fd()) else { break };
                let listener = *listener;
                handed += usize::from(self.hand(worker, listener, &client));
            }
        }
        handed
    }

    fn lives(&self, worker: usize, instead_of: usize) -> bool {
        worker != instead_of && self.seen[worker].still_since.is_none()
    }

    /// Gives a client to the next worker that lives.
    fn hand(&mut self, from: usize, listener: ListenerId, client: &OwnedFd) -> bool {
        for _ in 0..self.seen.len() {
            self.next = (self.next + 1) % self.seen.len();
            let channel = self.watch.channels.get(self.next).filter(|_| self.lives(self.next, from));
            if channel.is_some_and(|c| send_client(c, listener, client).is_ok()) {
                return true;
            }
        }
        false
    }
}

/// Clients that wait for a worker.
fn queue_of(watch: &Watch, worker: usize) -> u32 {
    let mine = watch.sockets.iter().filter(|(w, ..)| *w == worker);
    mine.map(|(.., socket)| sockopt::accept_queue(socket.as_fd()).unwrap_or(0)).sum()
}

fn send_client(channel: &OwnedFd, listener: ListenerId, client: &OwnedFd) -> io::Result<()> {
    fds::send_with_fds(channel.as_fd(), &listener.0.to_le_bytes(), &[client.as_fd()])?;
    Ok(())
}

impl Worker<'_> {
    /// One round of the watch, and the time of the next.
    pub(super) fn keep_watch(&mut self, task: TaskId) {
        if let Some(guard) = &mut self.guard {
            guard.round(&self.house.shm, self.house.now.tick);
            if guard.sampled.is_none_or(|at| self.house.now.tick.since(at) >= SAMPLE_MS) {
                guard.sampled = Some(self.house.now.tick);
                self.house.shm.sample(self.house.now.tick.0);
                self.house.shm.audit(&mut guard.drifts);
            }
            self.house.sched.deadline(task, Some(self.house.now.tick.after(EVERY_MS)));
        }
    }
}
