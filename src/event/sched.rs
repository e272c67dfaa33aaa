//! The run queue: who has something to do, why, and in which order.
//!
//! A task is the scheduler's view of one object ([`Owner`]): its reasons to wake, its one deadline and
//! its place in the queue are kept here, not in the object. This is what lets a lower floor wake an
//! upper one while holding nothing of it.
//!
//! Fairness: tasks of one `nice` class run first come, first served; classes share the turns by weight
//! (stride scheduling), so that no class starves another and none is starved.
//!
//! Work that takes long and cannot be cut (a private key's) stands in a line of its own and gets a bounded
//! part of each turn ([`super::heavy`]): whoever has less to do is not kept waiting by it.

use std::collections::VecDeque;

use super::heavy::Heavy;
use super::timer::Wheel;
use crate::base::arena::Arena;
use crate::base::ids::{AppletId, CheckId, ConnId, ListenerId, StreamId, TaskId, Tasks};
use crate::base::tick::Tick;
use crate::bits;

/// Whose task it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// A listening socket.
    Listener(ListenerId),
    /// A connection.
    Conn(ConnId),
    /// A stream.
    Stream(StreamId),
    /// An endpoint made of code (the command socket's clients).
    Applet(AppletId),
    /// A health check.
    Check(CheckId),
    /// Something the process does for itself, by number.
    House(u16),
}

bits! {
    /// Why a task wakes.
    pub struct Wake: u16 {
        /// It was just made.
        INIT,
        /// The poller has news of its descriptor.
        IO,
        /// There is something to receive.
        RX,
        /// There is room to send.
        TX,
        /// Its deadline has come.
        TIMER,
        /// Its connection attempt is over.
        CONNECTED,
        /// The other side has closed.
        SHUT,
        /// A buffer it waits for may be there.
        BUFFER,
        /// A place it queued for is free.
        QUEUE,
        /// It must go.
        KILL,
        /// Its turn has come to do the heavy work it stood in line for.
        GRANT,
    }
}

/// Classes of `nice`: -1024..=1024 in steps of 128.
const CLASSES: usize = 17;

/// The class of a `nice` value.
fn class_of(nice: i16) -> usize {
    ((i32::from(nice.clamp(-1024, 1024)) + 1024) / 128) as usize
}

/// How far a turn advances a class: a step of 256 halves or doubles its share.
fn stride_of(class: usize) -> u64 {
    const STRIDES: [u64; CLASSES] =
        [16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024, 1448, 2048, 2896, 4096];
    STRIDES[class]
}

/// Tasks that wait, by class.
#[derive(Default)]
struct Line {
    queues: [VecDeque<TaskId>; CLASSES],
    pass: [u64; CLASSES],
    full: u32,
    virtual_time: u64,
}

impl Line {
    fn push(&mut self, id: TaskId, class: u8) {
        let class = usize::from(class);
        if self.full & 1 << class == 0 {
            self.full |= 1 << class;
            // a class that slept has saved nothing up
            self.pass[class] = self.pass[class].max(self.virtual_time);
        }
        self.queues[class].push_back(id);
    }

    /// The next one that `accepts` takes; others (they have ended) are dropped.
    fn pop(&mut self, mut accepts: impl FnMut(TaskId) -> bool) -> Option<TaskId> {
        while self.full != 0 {
            let class = self.next_class();
            let Some(id) = self.queues[class].pop_front() else {
                self.full &= !(1 << class);
                continue;
            };
            if self.queues[class].is_empty() {
                self.full &= !(1 << class);
            }
            if accepts(id) {
                self.virtual_time = self.pass[class];
                self.pass[class] += stride_of(class);
                return Some(id);
            }
        }
        None
    }

    fn next_class(&self) -> usize {
        let first = self.full.trailing_zeros() as usize;
        if self.full & (self.full - 1) == 0 {
            return first;
        }
        (first..CLASSES).filter(|c| self.full & 1 << c != 0).min_by_key(|c| self.pass[*c]).unwrap_or(first)
    }
}

struct Task {
    owner: Owner,
    class: u8,
    queued: bool,
    /// It stands in the line for heavy work.
    heavy: bool,
    why: Wake,
}

/// The scheduler of one process.
pub struct Sched {
    tasks: Arena<Task, Tasks>,
    line: Line,
    heavy_line: Line,
    heavy: Heavy,
    wheel: Wheel,
    fired: Vec<u32>,
    niced: usize,
}

impl Sched {
    /// A scheduler for at most `limit` tasks.
    pub fn new(limit: u32) -> Self {
        Sched {
            tasks: Arena::with_limit(limit),
            line: Line::default(),
            heavy_line: Line::default(),
            heavy: Heavy::default(),
            wheel: Wheel::new(),
            fired: Vec::new(),
            niced: 0,
        }
    }

    /// A task for an object; `None`: there are too many.
    pub fn spawn(&mut self, owner: Owner, nice: i16) -> Option<TaskId> {
        let class = class_of(nice) as u8;
        let vacant = self.tasks.vacant()?;
        let id = vacant.fill(Task { owner, class, queued: false, heavy: false, why: Wake::empty() });
        if class_of(0) != usize::from(class) {
            self.niced += 1;
        }
        Some(id)
    }

    /// The object has gone: nothing wakes it any more.
    pub fn end(&mut self, task: TaskId) {
        if let Some(gone) = self.tasks.remove(task) {
            self.wheel.forget(task.index());
            if gone.heavy {
                self.heavy.leaves();
            }
            if class_of(0) != usize::from(gone.class) {
                self.niced -= 1;
            }
        }
    }

    /// Whose task it is; `None`: it has ended. A poller's token is the task's packed id.
    pub fn owner(&self, task: TaskId) -> Option<Owner> {
        self.tasks.get(task).map(|t| t.owner)
    }

    /// Changes the priority from the next wakeup on.
    pub fn renice(&mut self, task: TaskId, nice: i16) {
        if let Some(task) = self.tasks.get_mut(task) {
            let class = class_of(nice) as u8;
            let plain = class_of(0) as u8;
            self.niced = self.niced + usize::from(class != plain) - usize::from(task.class != plain);
            task.class = class;
        }
    }

    /// Wakes a task, for a reason; waking it again only adds the reason. A stale id is ignored.
    pub fn wake(&mut self, id: TaskId, why: Wake) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        task.why.set(why);
        if !task.queued {
            task.queued = true;
            self.line.push(id, task.class);
        }
    }

    /// Sets or clears the one deadline of a task; when it comes, the task wakes with [`Wake::TIMER`].
    pub fn deadline(&mut self, id: TaskId, at: Option<Tick>) {
        if self.tasks.contains(id) {
            self.wheel.set(id.index(), at);
        }
    }

    #[allow(clippy::should_implement_trait, reason = "a queue that others fill is no iterator")]
    /// The next task to run, with its reasons; `None`: nobody has anything to do.
    pub fn next(&mut self) -> Option<(Owner, TaskId, Wake)> {
        let tasks = &mut self.tasks;
        let id = self.line.pop(|id| tasks.contains(id))?;
        let task = tasks.get_mut(id)?;
        task.queued = false;
        let why = std::mem::replace(&mut task.why, Wake::empty());
        Some((task.owner, id, why))
    }

    /// Heavy work may be done at once: nobody stands in line for it, and this turn has time left.
    pub fn heavy_is_free(&self) -> bool {
        self.heavy.is_free()
    }

    /// Puts a task in line for heavy work; it is handed out by [`Sched::next_heavy`] later. False: the line is as long as can
    /// be worked off in time.
    pub fn stand_in_line(&mut self, id: TaskId) -> bool {
        let Some(task) = self.tasks.get_mut(id) else { return false };
        if !task.heavy {
            if !self.heavy.enters() {
                return false;
            }
            task.heavy = true;
            self.heavy_line.push(id, task.class);
        }
        true
    }

    /// The next task in line whose heavy work fits into this turn.
    pub fn next_heavy(&mut self) -> Option<(Owner, TaskId)> {
        if !self.heavy.may_go_on() {
            return None;
        }
        let tasks = &mut self.tasks;
        let id = self.heavy_line.pop(|id| tasks.get(id).is_some_and(|task| task.heavy))?;
        let task = tasks.get_mut(id)?;
        task.heavy = false;
        self.heavy.leaves();
        Some((task.owner, id))
    }

    /// Heavy work was done and took so long.
    pub fn heavy_took(&mut self, us: u64) {
        self.heavy.took(us);
    }

    /// A turn begins, the one before it took so long.
    pub fn begin_turn(&mut self, last_us: u64) {
        self.heavy.begin_turn(last_us);
    }

    /// How many tasks stand in line for heavy work.
    pub fn heavy_waiting(&self) -> usize {
        self.heavy.waiting()
    }

    /// How many tasks wait to run.
    pub fn waiting(&self) -> usize {
        self.line.queues.iter().map(VecDeque::len).sum::<usize>() + self.heavy.waiting()
    }

    /// True when nobody has anything to do.
    pub fn is_idle(&self) -> bool {
        self.line.full == 0 && self.heavy.waiting() == 0
    }

    /// How many tasks there are, and how many of them have a `nice` of their own.
    pub fn count(&self) -> (usize, usize) {
        (self.tasks.len(), self.niced)
    }

    /// When the poller must wake at the latest; `None`: there is no deadline.
    pub fn next_deadline(&self) -> Option<Tick> {
        self.wheel.next()
    }

    /// Wakes everybody whose deadline has come.
    pub fn expire(&mut self, now: Tick) {
        let mut fired = std::mem::take(&mut self.fired);
        self.wheel.advance(now, |index| fired.push(index));
        for index in fired.drain(..) {
            if let Some((id, _)) = self.tasks.next_from(index).filter(|(id, _)| id.index() == index) {
                self.wake(id, Wake::TIMER);
            }
        }
        self.fired = fired;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn house(sched: &mut Sched, n: u16, nice: i16) -> TaskId {
        sched.spawn(Owner::House(n), nice).unwrap()
    }

    #[test]
    fn waking_twice_runs_once_with_both_reasons() {
        let mut sched = Sched::new(10);
        let a = house(&mut sched, 1, 0);
        sched.wake(a, Wake::RX);
        sched.wake(a, Wake::TX);
        let (owner, id, why) = sched.next().unwrap();
        assert_eq!((owner, id), (Owner::House(1), a));
        assert!(why.has(Wake::RX) && why.has(Wake::TX) && !why.has(Wake::IO));
        assert!(sched.next().is_none());
        sched.wake(a, Wake::IO);
        sched.end(a);
        assert!(sched.next().is_none(), "the dead do not run");
        sched.wake(a, Wake::IO);
        assert!(sched.is_idle());
    }

    #[test]
    fn nice_shares_and_never_starves() {
        let mut sched = Sched::new(10);
        let tasks = [house(&mut sched, 0, 0), house(&mut sched, 1, 1024), house(&mut sched, 2, -1024)];
        let mut ran = [0u32; 3];
        for _ in 0..27_300 {
            for task in tasks {
                sched.wake(task, Wake::IO);
            }
            if let Some((Owner::House(n), ..)) = sched.next() {
                ran[n as usize] += 1;
            }
        }
        assert!(ran[1] > 0, "the least urgent runs too");
        assert!(ran[0] > 10 * ran[1] && ran[2] > 10 * ran[0], "{ran:?}");
    }

    #[test]
    fn heavy_work_gets_its_part_of_each_turn() {
        let mut sched = Sched::new(100);
        let tasks: Vec<TaskId> = (0..10).map(|n| house(&mut sched, n, 0)).collect();
        sched.begin_turn(0);
        assert!(sched.heavy_is_free());
        sched.heavy_took(400);
        assert!(!sched.heavy_is_free(), "this turn's part is used up");
        assert!(tasks.iter().all(|task| sched.stand_in_line(*task) && sched.stand_in_line(*task)));
        assert!(sched.next_heavy().is_none());
        assert!(!sched.is_idle(), "the poller does not sleep");
        sched.end(tasks[0]);
        assert_eq!(sched.heavy_waiting(), 9);
        for expected in &tasks[1..4] {
            sched.begin_turn(500);
            assert!(!sched.heavy_is_free(), "those in line come first");
            assert_eq!(sched.next_heavy().map(|(_, id)| id), Some(*expected));
            sched.heavy_took(400);
            assert!(sched.next_heavy().is_none(), "one per turn");
        }
        sched.begin_turn(10_000);
        let ran = std::iter::from_fn(|| sched.next_heavy().map(|_| sched.heavy_took(400))).count();
        assert_eq!(ran, 6, "a long turn leaves room for more, here all");
        assert!(sched.is_idle());
    }

    #[test]
    fn deadlines_wake_with_timer() {
        let mut sched = Sched::new(10);
        let a = house(&mut sched, 1, 0);
        let b = house(&mut sched, 2, 0);
        sched.deadline(a, Some(Tick(50)));
        sched.deadline(b, Some(Tick(50)));
        sched.end(b);
        assert_eq!(sched.next_deadline(), Some(Tick(50)));
        sched.expire(Tick(49));
        assert!(sched.is_idle());
        sched.expire(Tick(50));
        assert_eq!(sched.next().map(|(_, id, why)| (id, why)), Some((a, Wake::TIMER)));
        assert_eq!(sched.next_deadline(), None);
    }
}
