//! The processes of the program, as `show info`, `show proc` and the prefixes of the master's socket
//! see them: read in shared memory.

use super::Facts;
use crate::shm::{Phase, ProcessView, Shared};
use std::time::Duration;

/// One process of the program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// What it does.
    pub role: Role,
    /// Relative number from 1 among its kind.
    pub number: u32,
    /// How many reloads happened since it started.
    pub reloads: u32,
    /// When it started, since 1970.
    pub started: Duration,
}

/// What a process does in the first place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Keeps the listening sockets and the other processes.
    Master,
    /// Command socket, checks, logs.
    Control,
    /// Traffic, and perhaps everything else.
    Worker,
}

/// What there is to know about the processes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Vitals {
    /// The PID that logs and `show info` name.
    pub pid: u32,
    /// All processes of all living generations.
    pub processes: Vec<Process>,
    /// When this process started, since 1970.
    pub started: Duration,
    /// Workers of this generation.
    pub workers: u32,
    /// What this process knows of itself.
    pub facts: Facts,
}

impl Vitals {
    /// What the memory says about the processes, and this one about itself.
    pub fn of(shm: &Shared, facts: Facts) -> Vitals {
        let newest = shm.newest_generation();
        let processes: Vec<Process> = shm.processes().map(|view| Process::of(&view, newest)).collect();
        let me = shm.process().view(shm.slot());
        let workers = processes.iter().filter(|process| process.is_new_worker()).count() as u32;
        Vitals {
            pid: me.map_or(0, |me| me.pid),
            started: Duration::from_micros(me.map_or(0, |me| me.started_us)),
            workers: workers.max(1),
            processes,
            facts: Facts {
                stopping: facts.stopping || me.is_some_and(|me| me.phase >= Phase::Draining),
                ..facts
            },
        }
    }
}

impl Process {
    fn of(view: &ProcessView, newest: u32) -> Process {
        use crate::shm::Role as Bits;
        let role = if view.roles.has(Bits::WORKER) {
            Role::Worker
        } else if view.roles.has(Bits::CONTROL) {
            Role::Control
        } else {
            Role::Master
        };
        Process {
            pid: view.pid,
            role,
            number: view.number.max(1),
            reloads: newest.saturating_sub(view.generation),
            started: Duration::from_micros(view.started_us),
        }
    }

    /// Whether it carries traffic for the newest configuration.
    pub fn is_new_worker(&self) -> bool {
        self.role == Role::Worker && self.reloads == 0
    }
}
