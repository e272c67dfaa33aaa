//! Signs of life that all processes of the service share: a turn counter and a process id per worker.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use lighterman_sys::map::Region;

/// Turn counters and process ids, by worker number. Made before the first fork.
#[derive(Clone)]
pub struct Pulse {
    hearts: Region<AtomicU64>,
    pids: Region<AtomicU64>,
}

impl Pulse {
    /// For so many workers.
    pub fn new(workers: usize) -> io::Result<Self> {
        Ok(Pulse { hearts: Region::alone(workers.max(1))?, pids: Region::alone(workers.max(1))? })
    }

    /// This process is worker `number` from now on.
    pub(super) fn born(&self, number: usize) {
        if let Some(pid) = self.pids.get(number) {
            pid.store(std::process::id().into(), Ordering::Relaxed);
        }
    }

    /// Another turn of worker `number`.
    pub(super) fn beat(&self, number: usize) {
        if let Some(heart) = self.hearts.get(number) {
            // one writer per counter: a plain store is enough
            heart.store(heart.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// Turns of worker `number` so far.
    pub(super) fn turns(&self, number: usize) -> u64 {
        self.hearts.get(number).map_or(0, |heart| heart.load(Ordering::Relaxed))
    }

    /// The process that is worker `number`, 0 before it began.
    pub(super) fn pid(&self, number: usize) -> u32 {
        self.pids.get(number).map_or(0, |pid| pid.load(Ordering::Relaxed) as u32)
    }

    /// How many workers there are.
    pub(super) fn len(&self) -> usize {
        self.hearts.len()
    }
}
