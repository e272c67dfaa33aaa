//! Floor 9: the event loop's owner. A [`Worker`] holds the arenas side by side and lends them out: one
//! object at a time is handled, and what it may see of the others is passed to it.

mod accept;
mod barrier;
mod census;
mod certs;
mod changes;
mod desk;
mod dispatch;
mod drain;
mod figures;
mod handed;
mod make;
mod ocsp;
mod places;
mod purge;
mod questions;
mod signals;
mod turn;
mod watch;

#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use lighterman_sys::signal::Signals;

use crate::base::arena::Arena;
use crate::base::ids::{AppletId, Conns, ListenerId, Streams, TaskId};
use crate::base::pool::Pool;
use crate::base::rng::Rng;
use crate::base::tick::{Clock, Now, Tick};
use crate::event::log::sink::LogSink;
use crate::event::poll::Poller;
use crate::event::ready::Edges;
use crate::event::sched::{Owner, Sched, Wake};
use crate::expr::live::LiveMaps;
use crate::expr::vars::{Effects, ProcVars};
use crate::msg::heads::HeadPool;
use crate::net::conn::Conn;
use crate::net::contexts::Contexts;
use crate::net::cx::{Birth, Cx};
use crate::net::sock::listen::ListenSock;
use crate::plan::{CliSocket, Plan};
use crate::service::cli::Face;
use crate::shm::Shared;
use crate::stream::backends::Backends;
use crate::stream::errors::Errors;
use crate::stream::{Below, Stream};

pub use watch::Watch;

/// A listening socket at work.
struct Door {
    id: ListenerId,
    sock: ListenSock,
    task: TaskId,
    /// Not accepted from for now.
    paused: bool,
    /// Its frontend was disabled at run time.
    shut: bool,
}

/// Who a process is, and what it accepts from.
pub struct Seat {
    /// Its number among the workers, from 0.
    pub number: usize,
    /// The sockets it takes clients from.
    pub traffic: Vec<(ListenerId, OwnedFd)>,
    /// What all processes share, entered as this one.
    pub shm: Shared,
    /// Command sockets, and what their clients see.
    pub cli: Vec<(CliSocket, Face, OwnedFd)>,
    /// Where clients come from that the control process took over.
    pub handed: Option<OwnedFd>,
    /// Keeps watch over the workers: the control process.
    pub watch: Option<Watch>,
    /// The line to the master: the control process's.
    pub master: Option<OwnedFd>,
    /// The line to the process that opens certificate files; `None`: this process opens them itself.
    pub certs: Option<OwnedFd>,
    /// The line to the process that asks OCSP responders.
    pub asker: Option<OwnedFd>,
}

/// Serves until told to stop.
pub fn serve(plan: &Plan, tls: &Contexts, seat: Seat) -> io::Result<()> {
    let log = crate::service::log::open_sink(plan, std::process::id());
    let mut worker = Worker::new(plan, seat.traffic, log, seat.shm, tls)?;
    worker.number = seat.number;
    worker.obey_signals()?;
    // the process that answers commands: the only one, or the control process
    let answers = seat.handed.is_none();
    worker.take_duties(seat.handed, seat.watch)?;
    worker.connect_certs(seat.certs)?;
    if answers {
        worker.begin_census()?;
    }
    worker.keep_fresh(seat.asker)?;
    worker.listen_to_bell()?;
    worker.office = desk::Office::open(&mut worker, seat.cli, seat.master)?;
    worker.run()
}

/// What one process has one of: lent to everything that runs.
struct House<'p> {
    sched: Sched,
    poll: Poller,
    pool: Pool,
    heads: HeadPool,
    rng: Rng,
    effects: Effects,
    proc_vars: ProcVars,
    maps: LiveMaps,
    log: LogSink,
    shm: Shared,
    tls: &'p Contexts,
    #[cfg(test)]
    net: Option<crate::net::sock::mem::Net>,
    now: Now,
    /// New clients are not taken any more; what is there is finished.
    leaving: bool,
}

/// A worker: one event loop with all it serves.
pub struct Worker<'p> {
    plan: &'p Plan,
    clock: Clock,
    house: House<'p>,
    doors: Vec<Door>,
    conns: Arena<Conn, Conns>,
    streams: Arena<Stream, Streams>,
    backends: Backends,
    errors: Errors,
    births: Vec<Birth>,
    obeyed: changes::Obeyed,
    inbox: questions::Inbox,
    outbox: questions::Outbox,
    figures: figures::Figures,
    /// News of the command socket's clients, kept only to be used again.
    applet_news: Vec<(AppletId, Edges)>,
    /// Its number among the workers.
    number: usize,
    handed: Option<OwnedFd>,
    guard: Option<watch::Guard>,
    office: Option<desk::Office>,
    refresher: Option<ocsp::Refresher>,
    signals: Option<Signals>,
    /// Counts certificates that deserve attention.
    counter: Option<census::Counter>,
    /// The last warning about a shortage.
    warned_at: Option<Tick>,
    /// The task that gives back what nobody needs, and whether it has a date.
    purge_task: Option<TaskId>,
    purges: bool,
    /// The task that looks for free places.
    places_task: Option<TaskId>,
    /// Panics caught in this turn.
    panics: u32,
    /// The end, at once.
    stopped: bool,
}

impl House<'_> {
    fn cx<'w>(&'w mut self, plan: &'w Plan) -> Cx<'w> {
        Cx {
            plan,
            now: self.now,
            shm: &self.shm,
            tls: self.tls,
            leaving: self.leaving,
            sched: &mut self.sched,
            pool: &mut self.pool,
            heads: &mut self.heads,
            poll: &self.poll,
            rng: &mut self.rng,
            effects: &self.effects,
            proc_vars: &self.proc_vars,
            maps: &mut self.maps,
            log: &mut self.log,
            #[cfg(test)]
            net: self.net.as_ref(),
        }
    }
}

impl<'p> Worker<'p> {
    /// Signals are heard from now on.
    fn obey_signals(&mut self) -> io::Result<()> {
        let (signals, _) = signals::watch(&mut self.house.sched, &self.house.poll)?;
        self.signals = Some(signals);
        Ok(())
    }

    /// What this process does besides traffic.
    fn take_duties(&mut self, handed: Option<OwnedFd>, watch: Option<Watch>) -> io::Result<()> {
        if let Some(channel) = &handed {
            let task = self.house_task(handed::HANDED)?;
            self.house.poll.watch_read(channel.as_raw_fd(), task.pack())?;
        }
        self.handed = handed;
        if let Some(watch) = watch {
            let task = self.house_task(watch::WATCH)?;
            self.guard = Some(watch::Guard::new(watch));
            self.house.sched.wake(task, Wake::INIT);
        }
        self.await_answers()
    }

    /// A task for something the process does for itself.
    fn house_task(&mut self, number: u16) -> io::Result<TaskId> {
        self.house.sched.spawn(Owner::House(number), 0).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    /// The parts a stream works with, and the surroundings.
    fn lend(&mut self) -> (&mut Arena<Stream, Streams>, Below<'_>, Cx<'_>) {
        let Worker { plan, house, streams, conns, backends, errors, .. } = self;
        (streams, Below { conns, backends, errors }, house.cx(plan))
    }
}
