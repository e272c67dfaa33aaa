//! All roles in the process that was started.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use lighterman_sys::fork::{self, Forked};
use lighterman_sys::{fds, signal};
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};

use super::certs::{CertLine, Notices, OWED_EVERY_MS};
use super::{asker, dismiss, notify, privileges, Fatal, Launch, Sockets};
use crate::base::tick::Clock;
use crate::net::contexts::{self, Contexts};
use crate::net::tls::change::{Change, Paper, What};
use crate::net::tls::store::watch::Watcher;
use crate::net::tls::store::Store;
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
    // before there is a line to the files of certificates: what asks strangers must not have it
    let asker = match plan.keeps_ocsp_fresh() {
        true => Some(asker::start(&plan.global, || sockets = Sockets::default()).map_err(|error| {
            Fatal(format!("cannot start the process that asks OCSP responders: {error}"))
        })?),
        false => None,
    };
    let certs = match privileges::would_drop(&plan.global) || !tls.store().watched().is_empty() {
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
        asker,
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
            tend(CertLine::new(ours, Arc::clone(tls.store())), tls.store());
            fork::exit_now(0)
        }
    }
}

/// The life of that process: answers, and sees what happens in directories that are watched, until the other one has gone.
fn tend(mut line: CertLine, store: &Store) {
    let clock = Clock::real();
    let mut watcher = Watcher::new(store, clock.read());
    let (mut notices, mut owing) = (Notices::default(), false);
    let mut papers = Vec::new();
    while !line.is_cut() {
        await_news(&line, watcher.as_ref(), owing, &clock);
        line.answer(&mut papers);
        papers.drain(..).for_each(|paper| obey(paper, store, &mut line));
        if let Some(watcher) = &mut watcher {
            let news = watcher.turn(clock.read(), store, &mut || line.answer(&mut papers));
            news.into_iter().for_each(|notice| notices.put(notice));
        }
        owing = !line.bring() | !notices.send(&line);
    }
}

/// Makes a change of certificates: the other process gets the indexes, and then hears that it is done. Other changes are made
/// without this process.
fn obey(paper: Paper, store: &Store, line: &mut CertLine) {
    if let Paper::Wish(ticket, Change { what: What::Certs, content, .. }) = paper {
        line.push(Paper::Done(ticket, store.edit(&content).err().unwrap_or_default()));
    }
}

fn await_news(line: &CertLine, watcher: Option<&Watcher>, owing: bool, clock: &Clock) {
    let mut fds = vec![PollFd::new(line.as_fd(), PollFlags::POLLIN)];
    fds.extend(watcher.and_then(Watcher::as_fd).map(|eyes| PollFd::new(eyes, PollFlags::POLLIN)));
    let now = clock.read().tick;
    let due = watcher.and_then(Watcher::due).into_iter().chain(owing.then(|| now.after(OWED_EVERY_MS))).min();
    let patience = due.map(|due| PollTimeout::try_from(due.since(now)).unwrap_or(PollTimeout::MAX));
    // what went wrong with waiting shows in what comes next
    let _ = poll(&mut fds, patience.unwrap_or(PollTimeout::NONE));
}
