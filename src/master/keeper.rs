//! The master: forks, reaps, replaces, reloads. It waits for signals and does nothing else.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use lighterman_sys::fork::{self, Child, Exit, Forked};
use lighterman_sys::signal::Signals;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};

use super::child::{self, Channels, Inherited, Role};
use super::{dismiss, notify, Fatal, Launch, Sockets};
use crate::base::tick::{Clock, Tick};
use crate::net::contexts::{self, Contexts};
use crate::plan::Plan;
use crate::service::board::apply_plan;
use crate::shm::{self, Shared};

const SIGNALS: &[i32] =
    &[libc::SIGTERM, libc::SIGINT, libc::SIGUSR1, libc::SIGUSR2, libc::SIGHUP, libc::SIGCHLD];

/// One child.
struct Post {
    role: Role,
    child: Child,
    slot: u32,
    generation: u32,
    born: Tick,
}

/// A worker that dies sooner than this after its birth is not replaced at once but after the same time:
/// one that cannot start would keep the machine busy otherwise.
const INFANCY_MS: u64 = 1000;

/// Somebody else ended it: this says nothing about whether its successor will live.
fn killed_from_outside(exit: Exit) -> bool {
    matches!(exit, Exit::Signal { number: libc::SIGKILL | libc::SIGTERM, .. })
}

/// The state of the master.
struct Keeper {
    launch: Launch,
    workers: usize,
    sockets: Sockets,
    channels: Channels,
    shm: Shared,
    tls: Contexts,
    posts: Vec<Post>,
    /// Places to be filled again, and when.
    vacant: Vec<(Role, Tick)>,
    generation: u32,
    clock: Clock,
    /// The signal that ends the service, once one came.
    ending: Option<i32>,
    /// Old generations are ended then (`hard-stop-after`).
    hard_stop: Option<Tick>,
}

pub(super) fn run(launch: Launch) -> Result<i32, Fatal> {
    let workers = worker_count(&launch.plan);
    let sockets = Sockets::open(&launch.plan, workers, &Sockets::default())?;
    if launch.daemon && !become_daemon()? {
        return Ok(0);
    }
    if let Some(path) = &launch.plan.global.pidfile {
        notify::write_pid(path)?;
    }
    let cannot = |error: io::Error| Fatal(format!("cannot watch over workers: {error}"));
    let signals = Signals::collect(SIGNALS).map_err(cannot)?;
    let shm = memory(&launch.plan, workers).map_err(cannot)?;
    let tls = contexts_of(&launch.plan, &shm)?;
    let mut keeper = Keeper {
        launch,
        workers,
        sockets,
        channels: Channels::new(workers).map_err(cannot)?,
        shm,
        tls,
        posts: Vec::new(),
        vacant: Vec::new(),
        generation: 0,
        clock: Clock::real(),
        ending: None,
        hard_stop: None,
    };
    keeper.fill_all().map_err(cannot)?;
    dismiss(&keeper.launch);
    if keeper.launch.notify {
        notify::tell("READY=1");
    }
    keeper.watch(&signals).map_err(cannot)
}

/// The memory all processes share.
fn memory(plan: &Plan, workers: usize) -> io::Result<Shared> {
    let shm = Shared::new(&plan.names(), &contexts::extras(plan), workers + 1)?;
    apply_plan(plan, workers, &shm);
    Ok(shm)
}

/// TLS of the plan, certificates loaded.
fn contexts_of(plan: &Plan, shm: &Shared) -> Result<Contexts, Fatal> {
    Contexts::build(plan, shm, |text| log::warn!("{text}")).map_err(Fatal)
}

/// How many workers there shall be: one per core this process may use, unless the configuration says.
fn worker_count(plan: &Plan) -> usize {
    match plan.global.nbproc {
        Some(n) => n.max(1) as usize,
        None => lighterman_sys::cred::cores().map_or(1, |cores| cores.len().max(1)),
    }
}

/// Leaves the terminal; false in the process that was started, which ends.
fn become_daemon() -> Result<bool, Fatal> {
    let cannot = |error: io::Error| Fatal(format!("cannot become a daemon: {error}"));
    match fork::fork().map_err(cannot)? {
        Forked::Parent(_) => return Ok(false),
        Forked::Child => {}
    }
    fork::new_session().map_err(cannot)?;
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").map_err(cannot)?;
    for number in 0..3 {
        lighterman_sys::fds::replace_standard(null.as_fd(), number).map_err(cannot)?;
    }
    Ok(true)
}

impl Keeper {
    fn now(&self) -> Tick {
        self.clock.read().tick
    }

    fn fill_all(&mut self) -> io::Result<()> {
        for number in 0..self.workers {
            self.fill(Role::Worker(number))?;
        }
        self.fill(Role::Control)
    }

    /// Forks one child. In the child this never returns.
    fn fill(&mut self, role: Role) -> io::Result<()> {
        let master = std::process::id();
        let (roles, number) = match role {
            Role::Worker(number) => (shm::Role::WORKER, number as u32 + 1),
            Role::Control => (shm::Role::CONTROL, 0),
        };
        let slot = self.shm.reserve(roles, number).ok_or(io::ErrorKind::OutOfMemory)?;
        match fork::fork()? {
            Forked::Parent(child) => {
                self.posts.push(Post { role, child, slot, generation: self.generation, born: self.now() });
                Ok(())
            }
            Forked::Child => {
                let inherited = Inherited {
                    sockets: std::mem::take(&mut self.sockets),
                    channels: std::mem::take(&mut self.channels),
                    workers: self.workers,
                    shm: self.shm.view(),
                    slot,
                    master,
                };
                fork::exit_now(child::live(role, &self.launch.plan, &self.tls, inherited));
            }
        }
    }

    fn watch(&mut self, signals: &Signals) -> io::Result<i32> {
        loop {
            let wait = self.patience();
            let mut fds = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, wait) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            while let Some(caught) = signals.next()? {
                self.on_signal(caught.number);
            }
            self.reap()?;
            self.replace();
            self.stop_hard();
            if self.posts.is_empty() && self.vacant.is_empty() {
                return Ok(self
                    .ending
                    .map_or(0, |signal| if signal == libc::SIGUSR1 { 0 } else { 128 + signal }));
            }
        }
    }

    fn patience(&self) -> PollTimeout {
        let now = self.now();
        let due = self.vacant.iter().map(|(_, at)| *at).chain(self.hard_stop).min();
        match due {
            Some(at) => {
                PollTimeout::try_from(Duration::from_millis(at.since(now) + 1)).unwrap_or(PollTimeout::MAX)
            }
            None => PollTimeout::NONE,
        }
    }

    fn on_signal(&mut self, number: i32) {
        match number {
            libc::SIGTERM | libc::SIGINT => self.end(number, libc::SIGTERM),
            libc::SIGUSR1 => self.end(number, libc::SIGUSR1),
            libc::SIGUSR2 | libc::SIGHUP if self.ending.is_none() => self.reload(),
            _ => {}
        }
    }

    /// The service ends: nobody is replaced any more.
    fn end(&mut self, signal: i32, pass_on: i32) {
        self.ending = Some(signal);
        self.vacant.clear();
        self.limit_leaving();
        self.tell_posts(pass_on, |_| true);
    }

    fn tell_posts(&self, signal: i32, whom: impl Fn(&Post) -> bool) {
        for post in self.posts.iter().filter(|post| whom(post)) {
            // one that has just died is reaped next
            let _ = post.child.kill(signal);
        }
    }

    fn limit_leaving(&mut self) {
        if let Some(ms) = self.launch.plan.global.hard_stop_after {
            let at = self.now().after(ms);
            self.hard_stop = Some(self.hard_stop.map_or(at, |known| known.min(at)));
        }
    }

    fn stop_hard(&mut self) {
        if self.hard_stop.is_some_and(|at| at <= self.now()) {
            self.hard_stop = None;
            let (generation, ending) = (self.generation, self.ending.is_some());
            self.tell_posts(libc::SIGTERM, |post| ending || post.generation != generation);
        }
    }

    /// A new generation with the configuration as it is now, on the same sockets.
    fn reload(&mut self) {
        notify::tell("RELOADING=1");
        match self.new_generation() {
            Ok(()) => log::info!("reloaded, generation {}", self.generation),
            Err(Fatal(why)) => log::error!("reload refused, the service goes on as it is: {why}"),
        }
        notify::tell("READY=1");
    }

    fn new_generation(&mut self) -> Result<(), Fatal> {
        let plan = (self.launch.reread)().map_err(Fatal)?;
        let workers = worker_count(&plan);
        let sockets = Sockets::open(&plan, workers, &self.sockets)?;
        let cannot = |error: io::Error| Fatal(format!("cannot share memory: {error}"));
        let channels = Channels::new(workers).map_err(cannot)?;
        let shm = self.shm.renew(&plan.names(), &contexts::extras(&plan)).map_err(cannot)?;
        let tls = contexts_of(&plan, &shm)?;
        apply_plan(&plan, workers, &shm);
        self.tls = tls;
        self.launch.plan = plan;
        self.channels = channels;
        self.shm = shm;
        self.sockets = sockets;
        self.workers = workers;
        self.vacant.clear();
        self.generation += 1;
        self.fill_all().map_err(|error| Fatal(format!("cannot fork: {error}")))?;
        let generation = self.generation;
        self.limit_leaving();
        self.tell_posts(libc::SIGUSR1, |post| post.generation != generation);
        Ok(())
    }

    /// Takes note of children that ended.
    fn reap(&mut self) -> io::Result<()> {
        while let Some((pid, exit)) = fork::reap()? {
            let Some(place) = self.posts.iter().position(|post| post.child.pid() == pid) else { continue };
            let post = self.posts.swap_remove(place);
            self.shm.bury(post.slot);
            let wanted = post.generation == self.generation && self.ending.is_none();
            if wanted {
                self.report(&post, exit);
                let now = self.now();
                let young = now.since(post.born) < INFANCY_MS && !killed_from_outside(exit);
                self.vacant.push((post.role, if young { post.born.after(INFANCY_MS) } else { now }));
            }
        }
        Ok(())
    }

    fn report(&self, post: &Post, exit: Exit) {
        let who = match post.role {
            Role::Worker(number) => format!("worker {}", number + 1),
            Role::Control => "control process".to_owned(),
        };
        log::warn!("{who} (pid {}) {exit}: another one takes its place", post.child.pid());
    }

    /// Fills the places that are due.
    fn replace(&mut self) {
        let now = self.now();
        let due: Vec<Role> = self.vacant.iter().filter(|(_, at)| *at <= now).map(|(role, _)| *role).collect();
        self.vacant.retain(|(_, at)| *at > now);
        for role in due {
            if let Err(error) = self.fill(role) {
                log::error!("cannot fork: {error}");
                self.vacant.push((role, now.after(INFANCY_MS)));
            }
        }
    }
}
