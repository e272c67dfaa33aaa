//! The processes that share the memory: who they are, whether their hearts beat, what is wanted of them.
//!
//! Each process has a place (slot) from its start to its end. The master gives places out before it
//! forks and buries who died: counts stay, gauges are taken back.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::counters::{self, Info, InfoRate, Kind};
use super::layout::ProcessCell;
use crate::bits;

bits! {
    /// What a process does. One process may do all of it.
    pub struct Role: u32 {
        /// Owns sockets and files, starts the others.
        MASTER,
        /// Commands, checks, names, keys.
        CONTROL,
        /// Traffic.
        WORKER,
    }
}

/// Where a process is in its life. Written by itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// It does not serve yet.
    Starting = 0,
    /// It serves.
    Serving = 1,
    /// It finishes what it has.
    Draining = 2,
    /// It is about to end.
    Leaving = 3,
}

/// What the master wants of a process. Only ever raised.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Wish {
    /// Go on.
    Serve = 0,
    /// Accept nothing more, finish what there is, leave.
    Drain = 1,
    /// Leave now.
    Stop = 2,
}

/// A process at this moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProcessView {
    /// Its place.
    pub slot: u32,
    /// Its pid.
    pub pid: u32,
    /// What it does.
    pub roles: Role,
    /// Number of the worker from 1; 0 for others.
    pub number: u32,
    /// Generation of the configuration it serves.
    pub generation: u32,
    /// Where it is in its life.
    pub phase: Phase,
    /// Turns of its loop so far.
    pub heart: u64,
    /// When it started, microseconds since 1970.
    pub started_us: u64,
    /// Connections from clients.
    pub conns: u64,
}

impl ProcessCell {
    /// The process in this place, unless the place is free.
    pub fn view(&self, slot: u32) -> Option<ProcessView> {
        let pid = self.pid.load(Acquire);
        (pid != 0).then(|| ProcessView {
            slot,
            pid,
            roles: Role::from_bits(self.roles.load(Relaxed)),
            number: self.number.load(Relaxed),
            generation: self.generation.load(Relaxed),
            phase: self.phase(),
            heart: self.heart.load(Relaxed),
            started_us: self.started_us.load(Relaxed),
            conns: self.infos[Info::Conns as usize].load(Relaxed),
        })
    }

    /// Whether somebody lives here.
    pub fn is_taken(&self) -> bool {
        self.pid.load(Acquire) != 0
    }

    /// Prepares the place for a process about to start. Its pid follows, see [`ProcessCell::move_in`].
    pub fn reserve(&self, roles: Role, number: u32, generation: u32) {
        self.pid.store(RESERVED, Release);
        self.roles.store(roles.bits(), Relaxed);
        self.number.store(number, Relaxed);
        self.generation.store(generation, Relaxed);
        self.phase.store(Phase::Starting as u32, Relaxed);
        self.wish.store(Wish::Serve as u32, Relaxed);
    }

    /// The process has started.
    pub fn move_in(&self, pid: u32, wall_us: u64) {
        self.started_us.store(wall_us, Relaxed);
        self.pid.store(pid, Release);
    }

    /// One more turn of this process's loop.
    #[inline]
    pub fn beat(&self) {
        counters::add(&self.heart, 1);
    }

    /// Where it is in its life.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Acquire) {
            0 => Phase::Starting,
            1 => Phase::Serving,
            2 => Phase::Draining,
            _ => Phase::Leaving,
        }
    }

    /// Tells where this process is in its life.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u32, Release);
    }

    /// What the master wants of it.
    #[inline]
    pub fn wish(&self) -> Wish {
        match self.wish.load(Relaxed) {
            0 => Wish::Serve,
            1 => Wish::Drain,
            _ => Wish::Stop,
        }
    }

    /// Asks the process for something; a weaker wish than the last is ignored.
    pub fn ask(&self, wish: Wish) {
        self.wish.fetch_max(wish as u32, Relaxed);
    }

    /// Counts for this process.
    #[inline]
    pub fn count(&self, info: Info, n: u64) {
        counters::add(&self.infos[info as usize], n);
    }

    /// What this process has counted.
    #[inline]
    pub fn so_far(&self, info: Info) -> u64 {
        self.infos[info as usize].load(Relaxed)
    }

    /// Sets a figure of this process.
    #[inline]
    pub fn set(&self, info: Info, value: u64) {
        self.infos[info as usize].store(value, Relaxed);
    }

    /// Counts an event of this process that has a rate.
    #[inline]
    pub fn tick(&self, rate: InfoRate, now_ms: u64, n: u32) {
        self.rates[rate as usize].add(now_ms, n);
    }

    /// The process is gone: nothing of it is there any more but what it counted.
    pub(super) fn vacate(&self) {
        for (cell, row) in self.infos.iter().zip(counters::INFO_ROWS) {
            if row.kind != Kind::Counter {
                cell.store(0, Relaxed);
            }
        }
        self.phase.store(Phase::Leaving as u32, Relaxed);
        self.pid.store(0, Release);
    }
}

/// Stands in a place whose process is being started.
const RESERVED: u32 = u32::MAX;
