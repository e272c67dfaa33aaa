//! A crew: the processes of one generation and what they were given. The master has one that serves, may
//! have one that is coming, and keeps count of those of former crews until they have left.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use lighterman_sys::fds;
use lighterman_sys::fork::{self, Child, Exit, Forked};

use super::certs::CertLine;
use super::changes::Kept;
use super::child::{self, Channels, Inherited, Role};
use super::{Fatal, Sockets};
use crate::base::tick::Tick;
use crate::net::contexts::{self, Contexts};
use crate::net::tls::change::{Change, What};
use crate::plan::Plan;
use crate::service::board::apply_plan;
use crate::shm::{self, Phase, Shared};

/// What one generation is made of.
pub(super) struct Crew {
    pub(super) plan: Plan,
    pub(super) generation: u32,
    pub(super) workers: usize,
    pub(super) sockets: Sockets,
    pub(super) channels: Channels,
    pub(super) shm: Arc<Shared>,
    /// TLS of the plan, certificates loaded.
    pub(super) tls: Contexts,
    /// What commands have changed about it since.
    pub(super) kept: Kept,
    /// Its processes have no terminal.
    pub(super) daemon: bool,
}

/// One child.
pub(super) struct Post {
    pub(super) role: Role,
    pub(super) child: Child,
    pub(super) slot: u32,
    pub(super) generation: u32,
    pub(super) born: Tick,
    /// The memory its generation shares.
    pub(super) shm: Arc<Shared>,
    /// The master's end of the control process's line.
    pub(super) line: Option<OwnedFd>,
    /// The line for certificates; `None` once the process has gone.
    pub(super) certs: Option<CertLine>,
}

impl Crew {
    /// The first crew of the service.
    pub(super) fn first(plan: Plan, daemon: bool) -> Result<Crew, Fatal> {
        let workers = worker_count(&plan);
        let sockets = Sockets::open(&plan, workers, &Sockets::default())?;
        // The master and the control process need places too.
        let mut shm = Shared::new(&plan.names(), &contexts::extras(&plan), workers + 2).map_err(no_memory)?;
        make_tables(&mut shm, &plan)?;
        let slot = shm.reserve(shm::Role::MASTER, 0).unwrap_or(0);
        shm.enter(slot, std::process::id(), crate::base::tick::Clock::real().read().wall_us);
        shm.process().set_phase(Phase::Serving);
        let tls = contexts_of(&plan, &shm)?;
        apply_plan(&plan, workers, &shm);
        let channels = Channels::new(workers).map_err(no_memory)?;
        let (shm, kept) = (Arc::new(shm), Kept::default());
        Ok(Crew { plan, generation: 0, workers, sockets, channels, shm, tls, kept, daemon })
    }

    /// The crew for another configuration, on the sockets and the memory of this one.
    /// `pulse` is called now and then when that takes long.
    pub(super) fn next(&self, plan: Plan, generation: u32, pulse: &mut dyn FnMut()) -> Result<Crew, Fatal> {
        let workers = worker_count(&plan);
        let sockets = Sockets::open(&plan, workers, &self.sockets)?;
        let channels = Channels::new(workers).map_err(no_memory)?;
        let mut shm = self.shm.renew(&plan.names(), &contexts::extras(&plan)).map_err(no_memory)?;
        make_tables(&mut shm, &plan)?;
        let notice = |text: String| log::warn!("{text}");
        let tls = Contexts::renew(&plan, &shm, Some(&self.tls), (notice, pulse)).map_err(Fatal)?;
        apply_plan(&plan, workers, &shm);
        Ok(Crew {
            plan,
            generation,
            workers,
            sockets,
            channels,
            shm: Arc::new(shm),
            tls,
            kept: self.kept.for_next(),
            daemon: self.daemon,
        })
    }

    /// Lets go of sockets and channels, in this process only.
    pub(super) fn close(&mut self) {
        self.sockets = Sockets::default();
        self.channels = Channels::default();
    }

    /// Makes a change of certificates in the indexes that all get from here; other changes are not looked at. `serves`: who
    /// asks belongs to this crew.
    pub(super) fn make(&self, change: &mut Change, serves: bool) -> Result<(), String> {
        if change.what != What::Certs {
            return Ok(());
        }
        if !serves {
            return Err("another configuration serves now\n".to_owned());
        }
        self.tls.store().edit(&std::mem::take(&mut change.content))
    }

    /// All places of a crew.
    pub(super) fn roles(&self) -> Vec<Role> {
        (0..self.workers).map(Role::Worker).chain([Role::Control]).collect()
    }

    /// Forks one child. In the child this never returns: `let_go` drops there what only the master and other
    /// crews may keep open.
    pub(super) fn fill(&mut self, role: Role, born: Tick, let_go: impl FnOnce()) -> io::Result<Post> {
        let master = std::process::id();
        let (roles, number) = match role {
            Role::Worker(number) => (shm::Role::WORKER, number as u32 + 1),
            Role::Control => (shm::Role::CONTROL, 0),
        };
        let slot = self.shm.reserve(roles, number).ok_or_else(|| {
            io::Error::other("too many old generations still finish their work; see hard-stop-after")
        })?;
        let (certs, certs_theirs) = fds::channel()?;
        let (line, line_theirs) = match role {
            Role::Control => fds::channel().map(|(ours, theirs)| (Some(ours), Some(theirs)))?,
            Role::Worker(_) => (None, None),
        };
        match fork::fork() {
            Ok(Forked::Parent(child)) => {
                let shm = Arc::clone(&self.shm);
                let certs = Some(CertLine::new(certs, Arc::clone(self.tls.store())));
                Ok(Post { role, child, slot, generation: self.generation, born, shm, line, certs })
            }
            Ok(Forked::Child) => {
                let_go();
                drop((certs, line));
                // the keys of all certificates are the master's alone
                self.tls.store().close_spool();
                let inherited = Inherited {
                    sockets: std::mem::take(&mut self.sockets),
                    channels: std::mem::take(&mut self.channels),
                    workers: self.workers,
                    shm: self.shm.view(),
                    slot,
                    master,
                    daemon: self.daemon,
                    line: line_theirs,
                    certs: Some(certs_theirs),
                };
                let tls = (&self.tls, self.kept.changes());
                fork::exit_now(child::live(role, &self.plan, tls, inherited));
            }
            Err(error) => {
                self.shm.bury(slot);
                Err(error)
            }
        }
    }
}

impl Post {
    /// Whether it serves, as far as it says.
    pub(super) fn serves(&self) -> bool {
        self.shm.process_at(self.slot).phase() >= Phase::Serving
    }

    /// Whether it accepts nobody any more, as far as it says.
    pub(super) fn drains(&self) -> bool {
        self.shm.process_at(self.slot).phase() >= Phase::Draining
    }

    /// What people call it.
    pub(super) fn name(&self) -> String {
        match self.role {
            Role::Worker(number) => format!("worker {}", number + 1),
            Role::Control => "control process".to_owned(),
        }
    }
}

/// Somebody else ended it: this says nothing about whether its successor will live.
pub(super) fn killed_from_outside(exit: Exit) -> bool {
    matches!(exit, Exit::Signal { number: libc::SIGKILL | libc::SIGTERM, .. })
}

/// TLS of a plan.
fn contexts_of(plan: &Plan, shm: &Shared) -> Result<Contexts, Fatal> {
    Contexts::build(plan, shm, |text| log::warn!("{text}")).map_err(Fatal)
}

/// How many workers there shall be: one per core this process may use, unless the configuration says.
fn worker_count(plan: &Plan) -> usize {
    let workers = match plan.global.nbproc {
        Some(n) => n.max(1) as usize,
        None => lighterman_sys::cred::cores().map_or(1, |cores| cores.len().max(1)),
    };
    workers.min(crate::base::limits::WORKERS_MAX as usize)
}

fn no_memory(error: io::Error) -> Fatal {
    Fatal(format!("cannot share memory between processes: {error}"))
}

/// The stick tables of a configuration; what became of those of the one before is told.
fn make_tables(shm: &mut Shared, plan: &Plan) -> Result<(), Fatal> {
    let now = crate::base::tick::Clock::real().read().tick.0;
    let notices = shm.make_tables(&plan.tables, now).map_err(no_memory)?;
    notices.iter().for_each(|notice| log::info!("{notice}"));
    Ok(())
}
