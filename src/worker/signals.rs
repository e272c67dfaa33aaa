//! Signals to a worker, or to the one process that has all roles.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use lighterman_sys::signal::Signals;

use super::Worker;
use crate::base::ids::TaskId;
use crate::event::poll::Poller;
use crate::event::sched::{Owner, Sched};

/// The number of the task that reads signals.
pub(super) const SIGNALS: u16 = 0;

/// Collects the signals a worker understands and watches for them.
pub(super) fn watch(sched: &mut Sched, poll: &Poller) -> io::Result<(Signals, TaskId)> {
    let numbers = [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1, libc::SIGTTOU, libc::SIGTTIN, libc::SIGHUP];
    let signals = Signals::collect(&numbers)?;
    let task = sched.spawn(Owner::House(SIGNALS), 0).ok_or(io::ErrorKind::OutOfMemory)?;
    poll.watch_read(signals.as_fd().as_raw_fd(), task.pack())?;
    Ok((signals, task))
}

impl Worker<'_> {
    pub(super) fn on_signals(&mut self) {
        while let Some(Ok(Some(caught))) = self.signals.as_ref().map(Signals::next) {
            match caught.number {
                libc::SIGTERM | libc::SIGINT => self.stopped = true,
                libc::SIGUSR1 => self.drain(),
                libc::SIGTTOU => self.pause_doors(),
                libc::SIGTTIN => self.resume_doors(),
                _ => {}
            }
        }
    }
}
