//! All roles in the process that was started.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use lighterman_sys::fork::{self, Forked};
use lighterman_sys::{fds, signal};
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};

use super::{dismiss, notify, privileges, Fatal, Launch, Sockets};
use crate::base::tick::Clock;
use crate::net::contexts::{self, Contexts};
use crate::service::board::apply_plan;
use crate::shm::{Role, Shared};
use crate::worker::{self, Seat};

pub(super) fn run(launch: Launch) -> Result<i32, Fatal> {
    let plan = &launch.plan;
    let mut sockets = Sockets::open(plan, 1, &Sockets::default())?;
    if let Some(path) = &plan.global.pidfile {
        notify::write_pid(path)?;
    }
    let cannot = |error: io::Error| Fatal(format!("cannot share memory: {error}"));
    let mut shm = Shared::new(&plan.names(), &contexts::extras(plan), 1).map_err(cannot)?;
    shm.make_tables(&plan.tables, 0).map_err(cannot)?;
    let tls = Contexts::build(plan, &shm, |text| log::warn!("{text}")).map_err(Fatal)?;
    let certs = match privileges::would_drop(&plan.global) {
        true => Some(opener(&tls, &mut sockets)?),
        false => None,
    };
    privileges::drop_rights(&plan.global)?;
    dismiss(&launch.finish, &launch.terminate);
    let roles = Role::MASTER | Role::CONTROL | Role::WORKER;
    apply_plan(plan, 1, &shm);
    let slot = shm.reserve(roles, 1).unwrap_or(0);
    shm.enter(slot, std::process::id(), Clock::real().read().wall_us);
    let cli = sockets.take_cli();
    let seat = Seat {
        number: 0,
        cli,
        traffic: sockets.for_worker(plan, 0, 1),
        shm,
        handed: None,
        watch: None,
        master: None,
        certs,
    };
    if launch.notify {
        notify::tell("READY=1");
    }
    worker::serve(plan, &tls, seat).map_err(|error| Fatal(format!("cannot serve: {error}")))?;
    Ok(0)
}

/// Forks a process that keeps its rights and opens the files of certificates; the line to it.
fn opener(tls: &Contexts, sockets: &mut Sockets) -> Result<OwnedFd, Fatal> {
    let cannot =
        |error: io::Error| Fatal(format!("cannot start the process that reads certificates: {error}"));
    let (ours, theirs) = fds::channel().map_err(cannot)?;
    match fork::fork().map_err(cannot)? {
        Forked::Parent(_) => Ok(theirs),
        Forked::Child => {
            drop(theirs);
            *sockets = Sockets::default();
            // signals from the terminal are the other one's matter: this one ends with it
            let _ = signal::ignore(libc::SIGINT).and_then(|()| signal::ignore(libc::SIGTERM));
            let _ = fork::set_name("lighterman-crt");
            while await_input(&ours) && tls.store().answer(ours.as_fd(), &mut Vec::new()) {}
            fork::exit_now(0)
        }
    }
}

fn await_input(line: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(line.as_fd(), PollFlags::POLLIN)];
    !matches!(poll(&mut fds, PollTimeout::NONE), Err(errno) if errno != nix::errno::Errno::EINTR)
}
