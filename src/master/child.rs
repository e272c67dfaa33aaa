//! What a forked process does before it serves.

use std::io;
use std::os::fd::OwnedFd;

use lighterman_sys::{fds, fork, signal};

use super::{asker, privileges, Fatal, Sockets};
use crate::base::tick::Clock;
use crate::net::contexts::Contexts;
use crate::net::tls::change::Change;
use crate::plan::Plan;
use crate::shm::Shared;
use crate::worker::{self, Seat, Watch};

/// What a child is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// Traffic; its number, from 0.
    Worker(usize),
    /// Watches over the workers.
    Control,
}

/// Ways for descriptors from the control process to the workers of one generation.
#[derive(Default)]
pub(super) struct Channels {
    /// By worker: the control process's end, the worker's end.
    ends: Vec<(OwnedFd, OwnedFd)>,
}

impl Channels {
    /// For a generation of so many workers.
    pub(super) fn new(workers: usize) -> io::Result<Self> {
        let ends = (0..workers).map(|_| fds::channel()).collect::<io::Result<_>>()?;
        Ok(Channels { ends })
    }
}

/// What a child takes over from the master.
pub(super) struct Inherited {
    /// All listening sockets.
    pub(super) sockets: Sockets,
    /// The channels of its generation.
    pub(super) channels: Channels,
    /// Workers of its generation.
    pub(super) workers: usize,
    /// The shared memory, and its place there.
    pub(super) shm: Shared,
    /// Its place in the shared memory.
    pub(super) slot: u32,
    /// The master's process id.
    pub(super) master: u32,
    /// It has no terminal.
    pub(super) daemon: bool,
    /// The control process's line to the master.
    pub(super) line: Option<OwnedFd>,
    /// Its line to the master for certificates.
    pub(super) certs: Option<OwnedFd>,
}

/// What TLS is built of, and what commands have changed about it since.
type Tls<'t> = (&'t Contexts, &'t [Change]);

/// The life of a child; the number is its exit code.
pub(super) fn live(role: Role, plan: &Plan, tls: Tls<'_>, what: Inherited) -> i32 {
    match begin(role, plan, tls, what) {
        Ok(()) => 0,
        Err(Fatal(why)) => {
            log::error!("{why}");
            1
        }
    }
}

fn begin(role: Role, plan: &Plan, (tls, changes): Tls<'_>, mut what: Inherited) -> Result<(), Fatal> {
    let cannot = |error: io::Error| Fatal(format!("cannot serve: {error}"));
    signal::reset().map_err(cannot)?;
    let name = match role {
        Role::Worker(number) => format!("lighterman-w{}", number + 1),
        Role::Control => "lighterman-ctl".to_owned(),
    };
    // for people who read `ps`: a process without a name of its own works as well
    let _ = fork::set_name(&name);
    if let Role::Worker(number) = role {
        privileges::pin(&plan.global, number)?;
    }
    let asker = match role {
        Role::Control if plan.keeps_ocsp_fresh() => {
            let close = || {
                what.sockets = Sockets::default();
                what.channels = Channels::default();
                (what.line, what.certs) = (None, None);
            };
            Some(asker::start(&plan.global, close).map_err(cannot)?)
        }
        _ => None,
    };
    privileges::drop_rights(&plan.global)?;
    fork::die_with_parent(libc::SIGTERM).map_err(cannot)?;
    if fork::parent() != what.master {
        return Ok(());
    }
    let mut shm = what.shm;
    shm.enter(what.slot, std::process::id(), Clock::real().read().wall_us);
    for change in changes {
        if let Err(why) = tls.obey(change) {
            log::error!("a change of '{}' that was in force cannot be made again: {why}", change.name);
        }
    }
    let seat = match role {
        Role::Worker(number) => Seat {
            number,
            cli: Vec::new(),
            traffic: what.sockets.for_worker(plan, number, what.workers),
            shm,
            handed: what.channels.ends.into_iter().nth(number).map(|(_, theirs)| theirs),
            watch: None,
            master: None,
            certs: what.certs,
            asker: None,
        },
        Role::Control => {
            let mut sockets = what.sockets;
            let cli = sockets.take_cli();
            let channels = what.channels.ends.into_iter().map(|(ours, _)| ours).collect();
            let watch = Watch { sockets: sockets.for_watch(plan, what.workers), channels };
            Seat {
                number: 0,
                cli,
                traffic: Vec::new(),
                shm,
                handed: None,
                watch: Some(watch),
                master: what.line,
                certs: what.certs,
                asker,
            }
        }
    };
    if what.daemon {
        privileges::leave_terminal().map_err(cannot)?;
    }
    worker::serve(plan, tls, seat).map_err(cannot)
}
