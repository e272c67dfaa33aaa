//! What a forked process does before it serves.

use std::io;
use std::os::fd::OwnedFd;

use lighterman_sys::{fds, fork, signal};

use super::{privileges, Fatal, Sockets};
use crate::plan::Plan;
use crate::worker::{self, Pulse, Seat, Watch};

/// What a child is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// Traffic; its number, from 0.
    Worker(usize),
    /// Watches over the workers.
    Control,
}

/// What the processes of one generation share besides the plan.
#[derive(Default)]
pub(super) struct Shared {
    /// Signs of life.
    pub(super) pulse: Option<Pulse>,
    /// By worker: the control process's end, the worker's end.
    pub(super) channels: Vec<(OwnedFd, OwnedFd)>,
}

impl Shared {
    /// For a generation of so many workers.
    pub(super) fn new(workers: usize) -> io::Result<Self> {
        let channels = (0..workers).map(|_| fds::channel()).collect::<io::Result<_>>()?;
        Ok(Shared { pulse: Some(Pulse::new(workers)?), channels })
    }
}

/// The life of a child; the number is its exit code.
pub(super) fn live(role: Role, plan: &Plan, sockets: Sockets, shared: Shared, master: u32) -> i32 {
    match begin(role, plan, sockets, shared, master) {
        Ok(()) => 0,
        Err(Fatal(why)) => {
            log::error!("{why}");
            1
        }
    }
}

fn begin(role: Role, plan: &Plan, sockets: Sockets, shared: Shared, master: u32) -> Result<(), Fatal> {
    let cannot = |error: io::Error| Fatal(format!("cannot serve: {error}"));
    signal::reset().map_err(cannot)?;
    if let Role::Worker(number) = role {
        privileges::pin(&plan.global, number)?;
    }
    privileges::drop_rights(&plan.global)?;
    fork::die_with_parent(libc::SIGTERM).map_err(cannot)?;
    if fork::parent() != master {
        return Ok(());
    }
    let seat = match role {
        Role::Worker(number) => Seat {
            number,
            traffic: sockets.for_worker(plan, number),
            pulse: shared.pulse,
            handed: shared.channels.into_iter().nth(number).map(|(_, theirs)| theirs),
            watch: None,
        },
        Role::Control => {
            let channels = shared.channels.into_iter().map(|(ours, _)| ours).collect();
            let watch = Watch { sockets: sockets.for_watch(plan), channels };
            Seat {
                number: usize::MAX,
                traffic: Vec::new(),
                pulse: shared.pulse,
                handed: None,
                watch: Some(watch),
            }
        }
    };
    worker::serve(plan, seat).map_err(cannot)
}
