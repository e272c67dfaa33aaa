//! A worker is put together: memory, poller, scheduler, the sockets it accepts from.

use std::io;
use std::os::fd::OwnedFd;

use super::{changes, figures, questions, Door, House, Worker};
use crate::base::arena::Arena;
use crate::base::ids::ListenerId;
use crate::base::pool::Pool;
use crate::base::rng::Rng;
use crate::base::tick::Clock;
use crate::event::log::sink::LogSink;
use crate::event::poll::Poller;
use crate::event::sched::{Owner, Sched};
use crate::expr::live::LiveMaps;
use crate::expr::vars::{Effects, ProcVars};
use crate::msg::heads::HeadPool;
use crate::net::contexts::Contexts;
use crate::net::sock::listen::ListenSock;
use crate::plan::{Plan, Tune};
use crate::shm::changelog::{ChangeLog, MAPS};
use crate::shm::Shared;
use crate::stream::backends::Backends;
use crate::stream::errors::Errors;

impl<'p> Worker<'p> {
    /// A worker for a plan, with the sockets it accepts from.
    pub fn new(
        plan: &'p Plan,
        sockets: Vec<(ListenerId, OwnedFd)>,
        log: LogSink,
        shm: Shared,
        tls: &'p Contexts,
    ) -> io::Result<Self> {
        let clock = Clock::real();
        let now = clock.read();
        let tune = &plan.global.tune;
        let limit = conns_max(plan);
        let mut house = House {
            sched: Sched::new(limit.saturating_mul(3)),
            poll: Poller::new(tune.maxpollevents)?,
            pool: Pool::new(tune.bufsize, buffer_bytes_max(tune)),
            heads: HeadPool::default(),
            rng: Rng::from_seed(now.wall_us ^ u64::from(std::process::id()) << 32),
            effects: Effects::new(),
            proc_vars: ProcVars::attach(&shm, tune.vars.shared()),
            maps: LiveMaps::new(&plan.maps, shm.extra(MAPS).and_then(ChangeLog::attach)),
            log,
            shm,
            tls,
            #[cfg(test)]
            net: None,
            now,
            leaving: false,
        };
        let mut doors = Vec::with_capacity(sockets.len());
        for (id, fd) in sockets {
            let task = house.sched.spawn(Owner::Listener(id), plan.listener(id).nice);
            let Some(task) = task else { return Err(io::ErrorKind::OutOfMemory.into()) };
            let sock = ListenSock::new(fd);
            house.poll.watch_read(sock.fd(), task.pack())?;
            doors.push(Door { id, sock, task, paused: false, shut: false });
        }
        let backends = Backends::new(plan, &house.shm);
        let purge_task = house.sched.spawn(Owner::House(super::purge::PURGE), 0);
        let places_task = house.sched.spawn(Owner::House(super::places::PLACES), 0);
        Ok(Worker {
            plan,
            clock,
            house,
            doors,
            conns: Arena::with_limit(limit.saturating_mul(2)),
            streams: Arena::with_limit(limit),
            backends,
            errors: Errors::default(),
            births: Vec::new(),
            obeyed: changes::Obeyed::default(),
            inbox: questions::Inbox::default(),
            outbox: questions::Outbox::default(),
            figures: figures::Figures::default(),
            applet_news: Vec::new(),
            number: 0,
            handed: None,
            guard: None,
            office: None,
            refresher: None,
            signals: None,
            counter: None,
            warned_at: None,
            purge_task,
            places_task,
            purges: false,
            panics: 0,
            stopped: false,
        })
    }
}

/// Bytes that buffers may take: `tune.buffers.limit` counts those of `tune.bufsize`.
fn buffer_bytes_max(tune: &Tune) -> usize {
    match tune.buffers_limit {
        0 => usize::MAX / 8,
        n => n.saturating_mul(tune.bufsize),
    }
}

/// Connections a worker may have: clients are counted elsewhere, each has servers' besides.
fn conns_max(plan: &Plan) -> u32 {
    /// Operators, and servers' connections that rest.
    const SPARE: u32 = 1024;
    match plan.global.maxconn {
        0 => 1 << 20,
        n => n.saturating_mul(2).saturating_add(SPARE),
    }
}
