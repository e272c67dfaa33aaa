//! The master: forks, reaps, replaces, reloads. It waits for signals and does nothing else.
//!
//! A new crew is made beside the old one and takes over when all of its processes serve; if one of them
//! cannot, the new crew is sent home and the old one goes on as if nothing had happened.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use lighterman_sys::fork::{self, Exit, Forked};
use lighterman_sys::signal::Signals;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};

use super::certs::{CertLine, Notices, OWED_EVERY_MS};
use super::changes::Changes;
use super::child::Role;
use super::crew::{killed_from_outside, Crew, Post};
use super::{dismiss, notify, privileges, Fatal, Launch, Reread};
use crate::base::limits::{END_PATIENCE_MS, RESPAWN_FORGET_MS, START_PATIENCE_MS};
use crate::base::tick::{Clock, Tick};
use crate::event::line;
use crate::net::tls::change::Paper;
use crate::net::tls::store::watch::Watcher;
use crate::shm::Wish;

const SIGNALS: &[i32] =
    &[libc::SIGTERM, libc::SIGINT, libc::SIGUSR1, libc::SIGUSR2, libc::SIGHUP, libc::SIGCHLD];

/// How often a crew that is coming is looked at, milliseconds.
const LOOK_EVERY_MS: u64 = 2;

/// An old worker that stands still does not keep the answer to a reload longer than this, milliseconds.
const LET_GO_MS: u64 = 500;

/// How a service that ends is told about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// By this signal, at once.
    Now(i32),
    /// When the last client has gone.
    Gently,
}

/// The state of the master.
struct Keeper {
    reread: Reread,
    crew: Crew,
    /// A crew about to take over, and until when it must.
    coming: Option<(Crew, Tick)>,
    posts: Vec<Post>,
    /// Places of the crew to be filled again, and when.
    vacant: Vec<(Role, Tick)>,
    generation: u32,
    clock: Clock,
    ending: Option<Ending>,
    /// Who should have left is told so again then (`hard-stop-after`), and killed some time later.
    hard_stop: Option<Tick>,
    kill_at: Option<Tick>,
    /// A reload was asked for while one was under way.
    again: bool,
    /// A new crew serves, and the old one is about to let go of the doors: until then, at the latest, the
    /// reload is over.
    letting_go: Option<Tick>,
    /// Whoever waits to hear how a reload went: process and ticket.
    askers: Vec<(u32, u64)>,
    /// Those who asked while one was under way.
    later: Vec<(u32, u64)>,
    /// Some process has not taken all that is new about certificates.
    owing: bool,
    notices: Notices,
    changes: Changes,
    /// What processes have said about changes, and which.
    heard: Vec<(u32, Paper)>,
    /// Sees what happens in directories of certificates.
    watcher: Option<Watcher>,
}

pub(super) fn run(launch: Launch) -> Result<i32, Fatal> {
    let Launch { plan, reread, daemon, .. } = launch;
    let pidfile = plan.global.pidfile.clone();
    let cannot = |error: io::Error| Fatal(format!("cannot watch over workers: {error}"));
    // A daemon forks before it shares memory: the pid in there is the master's.
    let parent = if daemon { Some(become_daemon()?) } else { None };
    let parent = match parent {
        Some(Daemon::Started(code)) => return Ok(code),
        Some(Daemon::Child(parent)) => Some(parent),
        None => None,
    };
    let crew = Crew::first(plan, daemon)?;
    if let Some(path) = pidfile {
        notify::write_pid(&path)?;
    }
    let signals = Signals::collect(SIGNALS).map_err(cannot)?;
    let mut keeper = Keeper {
        reread,
        crew,
        coming: None,
        posts: Vec::new(),
        vacant: Vec::new(),
        generation: 0,
        clock: Clock::real(),
        ending: None,
        hard_stop: None,
        kill_at: None,
        again: false,
        letting_go: None,
        askers: Vec::new(),
        later: Vec::new(),
        owing: false,
        notices: Notices::default(),
        changes: Changes::default(),
        heard: Vec::new(),
        watcher: None,
    };
    keeper.start(&signals)?;
    dismiss(&launch.finish, &launch.terminate);
    keeper.watch_certificates();
    if launch.notify {
        notify::tell("READY=1");
    }
    if let Some(parent) = parent {
        parent.leave_terminal()?;
    }
    keeper.watch(&signals).map_err(cannot)
}

/// The two processes after a daemon has forked.
enum Daemon {
    /// The one that was started: it ends with this code.
    Started(i32),
    /// The one that serves.
    Child(Parent),
}

/// The process that was started, waiting to hear that the daemon serves.
struct Parent {
    word: io::PipeWriter,
}

/// Forks; the process that was started stays until the daemon serves or has failed, so that whoever
/// started it sees how it went.
fn become_daemon() -> Result<Daemon, Fatal> {
    let cannot = |error: io::Error| Fatal(format!("cannot become a daemon: {error}"));
    let (mut heard, word) = io::pipe().map_err(cannot)?;
    match fork::fork().map_err(cannot)? {
        Forked::Parent(_) => {
            drop(word);
            let mut byte = [0];
            let serves = matches!(io::Read::read(&mut heard, &mut byte), Ok(1));
            Ok(Daemon::Started(i32::from(!serves)))
        }
        Forked::Child => {
            fork::new_session().map_err(cannot)?;
            Ok(Daemon::Child(Parent { word }))
        }
    }
}

/// Opens the files workers ask for, and notes what they say about changes.
fn bring_certificates(posts: &[Post], heard: &mut Vec<(u32, Paper)>) {
    let mut papers = Vec::new();
    for post in posts {
        if let Some(line) = &post.certs {
            line.answer(&mut papers);
            heard.extend(papers.drain(..).map(|paper| (post.child.pid(), paper)));
        }
    }
}

impl Parent {
    fn leave_terminal(mut self) -> Result<(), Fatal> {
        let cannot = |error: io::Error| Fatal(format!("cannot become a daemon: {error}"));
        privileges::leave_terminal().map_err(cannot)?;
        // One who does not wait any more need not hear it.
        let _ = io::Write::write(&mut self.word, &[1]);
        Ok(())
    }
}

impl Keeper {
    fn now(&self) -> Tick {
        self.clock.read().tick
    }

    /// Starts the first crew and waits until it serves.
    fn start(&mut self, signals: &Signals) -> Result<(), Fatal> {
        let cannot = |error: io::Error| Fatal(format!("cannot start workers: {error}"));
        let until = self.now().after(START_PATIENCE_MS);
        for role in self.crew.roles() {
            let posts = &mut self.posts;
            let post = self.crew.fill(role, self.clock.read().tick, || posts.clear()).map_err(cannot)?;
            self.posts.push(post);
        }
        while !self.posts.iter().all(Post::serves) {
            self.wait(signals, Some(LOOK_EVERY_MS)).map_err(cannot)?;
            if let Some((post, exit)) = self.next_dead().map_err(cannot)? {
                if !killed_from_outside(exit) {
                    self.send_home(|_| true);
                    return Err(Fatal(format!("the {} {exit} before it served", post.name())));
                }
                self.vacate(&post, exit);
                self.replace();
            }
            if self.now() >= until {
                self.send_home(|_| true);
                return Err(Fatal("the workers do not come to serve".to_owned()));
            }
            if let Some(caught) = signals.next().map_err(cannot)? {
                self.on_signal(caught.number);
                if self.ending.is_some() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn watch(&mut self, signals: &Signals) -> io::Result<i32> {
        loop {
            while let Some(caught) = signals.next()? {
                self.on_signal(caught.number);
            }
            self.hear_lines();
            self.reap()?;
            self.welcome();
            self.part();
            self.replace();
            self.stop_hard();
            if self.posts.is_empty() && self.vacant.is_empty() {
                return Ok(match self.ending {
                    Some(Ending::Now(signal)) => 128 + signal,
                    Some(Ending::Gently) | None => 0,
                });
            }
            self.wait(signals, self.patience())?;
        }
    }

    fn wait(&mut self, signals: &Signals, ms: Option<u64>) -> io::Result<()> {
        let timeout =
            ms.map(|ms| PollTimeout::try_from(Duration::from_millis(ms)).unwrap_or(PollTimeout::MAX));
        let lines = self.posts.iter().filter_map(|post| post.line.as_ref());
        let certs = self.posts.iter().filter_map(|post| post.certs.as_ref().map(CertLine::as_fd));
        let eyes = self.watcher.as_ref().and_then(Watcher::as_fd);
        let heard = [signals.as_fd()].into_iter().chain(lines.map(AsFd::as_fd)).chain(certs).chain(eyes);
        let mut fds: Vec<PollFd<'_>> = heard.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut fds, timeout.unwrap_or(PollTimeout::NONE)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        bring_certificates(&self.posts, &mut self.heard);
        self.make_changes();
        self.look_around();
        self.bring_news();
        self.posts.iter_mut().for_each(|post| {
            // one that has just died would be heard for ever
            post.certs.take_if(|line| line.is_cut());
        });
        Ok(())
    }

    /// Passes changes on.
    fn make_changes(&mut self) {
        let now = self.now();
        let Keeper { heard, changes, posts, crew, coming, .. } = self;
        for (from, mut paper) in heard.drain(..) {
            if let Paper::Wish(ticket, change) = &mut paper {
                let serves = |post: &Post| post.child.pid() == from && post.generation == crew.generation;
                if let Err(why) = crew.make(change, posts.iter().any(serves)) {
                    changes.refuse(from, *ticket, why, posts);
                    continue;
                }
            }
            let coming = coming.as_mut().map(|(crew, _)| &mut crew.kept);
            changes.take(from, paper, posts, (&mut crew.kept, coming), (crew.generation, now));
        }
        changes.settle(posts, now);
    }

    /// Watches the directories of the configuration in force.
    fn watch_certificates(&mut self) {
        let (store, now) = (self.crew.tls.store(), self.clock.read());
        match &mut self.watcher {
            Some(watcher) if !store.watched().is_empty() => watcher.adopt(store, now),
            watcher => *watcher = Watcher::new(store, now),
        }
    }

    /// Sees what has happened in directories of certificates.
    fn look_around(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        let (posts, heard) = (&self.posts, &mut self.heard);
        let mut pulse = || bring_certificates(posts, heard);
        let notices = watcher.turn(self.clock.read(), self.crew.tls.store(), &mut pulse);
        notices.into_iter().for_each(|notice| self.notices.put(notice));
    }

    /// Brings what is new about certificates to all processes, and what is to be logged to the one that does.
    fn bring_news(&mut self) {
        let lines = self.posts.iter_mut().filter_map(|post| post.certs.as_mut());
        self.owing = lines.map(|line| !line.bring()).fold(false, |owing, line| owing | line);
        let generation = self.crew.generation;
        let log = |post: &&Post| post.role == Role::Control && post.generation == generation;
        if let Some(line) = self.posts.iter().find(log).and_then(|post| post.certs.as_ref()) {
            self.owing |= !self.notices.send(line);
        }
    }

    /// Milliseconds until something is due.
    fn patience(&self) -> Option<u64> {
        if self.coming.is_some() || self.letting_go.is_some() {
            return Some(LOOK_EVERY_MS);
        }
        if self.owing {
            return Some(OWED_EVERY_MS);
        }
        let now = self.now();
        let due = self.vacant.iter().map(|(_, at)| *at).chain(self.hard_stop).chain(self.kill_at);
        let due = due.chain(self.changes.due()).chain(self.watcher.as_ref().and_then(Watcher::due)).min()?;
        if due <= now {
            return Some(0);
        }
        Some(due.since(now) + 1)
    }

    fn on_signal(&mut self, number: i32) {
        match number {
            libc::SIGTERM | libc::SIGINT => self.end(Ending::Now(number)),
            libc::SIGUSR1 => self.end(Ending::Gently),
            libc::SIGUSR2 | libc::SIGHUP if self.ending.is_none() => self.reload(),
            _ => {}
        }
    }

    /// The service ends: nobody is replaced any more.
    fn end(&mut self, how: Ending) {
        notify::tell("STOPPING=1");
        self.ending = Some(how);
        self.vacant.clear();
        self.call_off("the service ends");
        match how {
            Ending::Now(_) => {
                self.kill_at = Some(self.now().after(END_PATIENCE_MS));
                self.tell(libc::SIGTERM, |_| true);
            }
            Ending::Gently => {
                self.limit_leaving();
                self.posts.iter().for_each(|post| post.shm.process_at(post.slot).ask(Wish::Drain));
                self.tell(libc::SIGUSR1, |_| true);
                // The workers close theirs when their queues are empty: then nobody is let in any more.
                self.crew.close();
            }
        }
    }

    fn tell(&self, signal: i32, whom: impl Fn(&Post) -> bool) {
        for post in self.posts.iter().filter(|post| whom(post)) {
            // one that has just died is reaped next
            let _ = post.child.kill(signal);
        }
    }

    /// Whether a process should have left, or be about to.
    fn is_leaving(&self, post: &Post) -> bool {
        self.ending.is_some() || post.generation < self.crew.generation
    }

    fn limit_leaving(&mut self) {
        if let Some(ms) = self.crew.plan.global.hard_stop_after {
            let at = self.now().after(ms);
            self.hard_stop = Some(self.hard_stop.map_or(at, |known| known.min(at)));
        }
    }

    fn stop_hard(&mut self) {
        let now = self.now();
        if self.hard_stop.is_some_and(|at| at <= now) {
            self.hard_stop = None;
            self.kill_at = Some(now.after(END_PATIENCE_MS));
            self.tell(libc::SIGTERM, |post| self.is_leaving(post));
        }
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill_at = None;
            self.tell(libc::SIGKILL, |post| self.is_leaving(post));
        }
    }

    /// A new crew with the configuration as it is now, on the same sockets.
    fn reload(&mut self) {
        if self.coming.is_some() || self.letting_go.is_some() {
            self.again = true;
            return;
        }
        notify::tell("RELOADING=1");
        if let Err(Fatal(why)) = self.call_crew() {
            self.call_off(&why);
        }
    }

    fn call_crew(&mut self) -> Result<(), Fatal> {
        let plan = (self.reread)().map_err(Fatal)?;
        self.generation += 1;
        let (posts, heard) = (&self.posts, &mut self.heard);
        let mut crew = self.crew.next(plan, self.generation, &mut || bring_certificates(posts, heard))?;
        let now = self.now();
        for role in crew.roles() {
            let (serving, posts, watcher) = (&mut self.crew, &mut self.posts, &mut self.watcher);
            let let_go = || {
                serving.close();
                posts.clear();
                watcher.iter_mut().for_each(Watcher::close);
            };
            match crew.fill(role, now, let_go) {
                Ok(post) => self.posts.push(post),
                Err(error) => {
                    let generation = self.generation;
                    self.send_home(|post| post.generation == generation);
                    return Err(Fatal(format!("cannot start workers: {error}")));
                }
            }
        }
        self.coming = Some((crew, now.after(START_PATIENCE_MS)));
        Ok(())
    }

    /// Lets the new crew take over when all of it serves.
    fn welcome(&mut self) {
        let Some((crew, until)) = &self.coming else { return };
        let generation = crew.generation;
        if !self.posts.iter().filter(|post| post.generation == generation).all(Post::serves) {
            if *until <= self.now() {
                self.call_off("the new workers do not come to serve");
            }
            return;
        }
        let Some((crew, _)) = self.coming.take() else { return };
        self.crew = crew;
        self.watch_certificates();
        self.vacant.clear();
        self.limit_leaving();
        log::info!("reloaded: generation {generation} serves");
        // The control process stays to pass the outcome on.
        let is_worker = |post: &Post| matches!(post.role, Role::Worker(_));
        self.tell(libc::SIGUSR1, |post| post.generation < generation && is_worker(post));
        self.letting_go = Some(self.now().after(LET_GO_MS));
    }

    /// The reload is over when no worker of an old crew accepts any more: from then on every new client
    /// meets the new configuration.
    fn part(&mut self) {
        let Some(until) = self.letting_go else { return };
        let generation = self.crew.generation;
        let mut old = self.posts.iter().filter(|post| post.generation < generation);
        let accepts = |post: &Post| matches!(post.role, Role::Worker(_)) && !post.drains();
        if old.any(accepts) && self.now() < until {
            return;
        }
        self.letting_go = None;
        self.settled("Success=1\n");
        self.tell(libc::SIGUSR1, |post| post.generation < generation && post.role == Role::Control);
    }

    /// Nothing comes of a reload: the serving crew goes on.
    fn call_off(&mut self, why: &str) {
        let generation = self.crew.generation;
        self.send_home(|post| post.generation > generation);
        if self.coming.take().is_some() || self.ending.is_none() {
            log::error!("reload refused, the service goes on as it is: {why}");
        }
        self.settled(&format!("Success=0\n--\n{}\n", why.trim_end()));
    }

    /// A reload is over: who asked hears how it went, and the next one may begin.
    fn settled(&mut self, outcome: &str) {
        for (pid, ticket) in std::mem::replace(&mut self.askers, std::mem::take(&mut self.later)) {
            let post = self.posts.iter().find(|post| post.child.pid() == pid);
            if let Some(line) = post.and_then(|post| post.line.as_ref()) {
                let _ =
                    lighterman_sys::fds::send_with_fds(line.as_fd(), &line::outcome(ticket, outcome), &[]);
            }
        }
        if self.ending.is_none() {
            notify::tell("READY=1");
            if std::mem::take(&mut self.again) {
                self.reload();
            }
        }
    }

    /// What control processes ask for.
    fn hear_lines(&mut self) {
        let mut asked = Vec::new();
        for post in &mut self.posts {
            let Some(line) = &post.line else { continue };
            asked.extend(line::requests(line.as_fd()).map(|ticket| (post.child.pid(), ticket)));
            if line::is_cut(line.as_fd()) {
                post.line = None;
            }
        }
        if asked.is_empty() {
            return;
        }
        if self.ending.is_some() {
            self.askers.append(&mut asked);
            return self.settled("Success=0\n--\nthe service ends\n");
        }
        let busy = self.coming.is_some() || self.letting_go.is_some();
        let waiting = if busy { &mut self.later } else { &mut self.askers };
        waiting.append(&mut asked);
        self.reload();
    }

    /// Ends processes that never served.
    fn send_home(&self, whom: impl Fn(&Post) -> bool) {
        self.tell(libc::SIGKILL, whom);
    }

    /// One child that has ended, if any, with its place in the shared memory free again.
    fn next_dead(&mut self) -> io::Result<Option<(Post, Exit)>> {
        while let Some((pid, exit)) = fork::reap()? {
            if let Some(place) = self.posts.iter().position(|post| post.child.pid() == pid) {
                let post = self.posts.swap_remove(place);
                post.shm.bury(post.slot);
                // what it held is free for those who wait elsewhere
                post.shm.changed();
                return Ok(Some((post, exit)));
            }
        }
        Ok(None)
    }

    /// Takes note of children that ended.
    fn reap(&mut self) -> io::Result<()> {
        while let Some((post, exit)) = self.next_dead()? {
            if post.generation > self.crew.generation {
                if self.coming.as_ref().is_some_and(|(crew, _)| crew.generation == post.generation) {
                    self.call_off(&format!("the new {} {exit} before it served", post.name()));
                }
            } else if !self.is_leaving(&post) {
                self.vacate(&post, exit);
            } else if !self.posts.iter().any(|other| other.generation == post.generation) {
                // The last of an old crew: what only its configuration named is forgotten.
                let others = self.posts.iter().map(|other| &*other.shm);
                self.crew.shm.free_rows(others.chain(self.coming.iter().map(|(crew, _)| &*crew.shm)));
            }
        }
        Ok(())
    }

    fn vacate(&mut self, post: &Post, exit: Exit) {
        log::warn!("{} (pid {}) {exit}: another one takes its place", post.name(), post.child.pid());
        let now = self.now();
        let young = now.since(post.born) < RESPAWN_FORGET_MS && !killed_from_outside(exit);
        self.vacant.push((post.role, if young { post.born.after(RESPAWN_FORGET_MS) } else { now }));
    }

    /// Fills the places that are due.
    fn replace(&mut self) {
        let now = self.now();
        let due: Vec<Role> = self.vacant.iter().filter(|(_, at)| *at <= now).map(|(role, _)| *role).collect();
        self.vacant.retain(|(_, at)| *at > now);
        for role in due {
            let (coming, posts, watcher) = (&mut self.coming, &mut self.posts, &mut self.watcher);
            let let_go = || {
                coming.take();
                posts.clear();
                watcher.iter_mut().for_each(Watcher::close);
            };
            match self.crew.fill(role, now, let_go) {
                Ok(post) => self.posts.push(post),
                Err(error) => {
                    log::error!("cannot replace a worker: {error}");
                    self.vacant.push((role, now.after(RESPAWN_FORGET_MS)));
                }
            }
        }
    }
}
