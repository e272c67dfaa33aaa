//! Processes: fork, sessions, death signals, waiting.
//!
//! Why unsafe: `fork` copies only the calling thread, so locks held by others stay held in the child. What makes it sound:
//! [`fork`] refuses to run when the process has more than one thread.

use std::io;

use nix::sys::wait::{waitpid, WaitPidFlag, WaitStatus};
use nix::unistd::{ForkResult, Pid};

/// Which side of [`fork`] this is.
#[derive(Debug)]
pub enum Forked {
    /// The process that called; holds the new one.
    Parent(Child),
    /// The new process.
    Child,
}

/// A child of this process. Dropping it does not end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child {
    pid: Pid,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal ended it; `core` when it left an image.
    Signal {
        /// Number of the signal.
        number: i32,
        /// Whether a core file was written.
        core: bool,
    },
}

impl Exit {
    /// Whether it returned 0.
    pub fn success(self) -> bool {
        self == Exit::Code(0)
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Signal { number, core } => {
                let name = nix::sys::signal::Signal::try_from(number).map_or("unknown", |s| s.as_str());
                write!(f, "signal {number} ({name}){}", if core { ", core dumped" } else { "" })
            }
        }
    }
}

/// Makes a child process. Fails when this process has other threads (they would not live on in the child).
pub fn fork() -> io::Result<Forked> {
    if threads() > 1 {
        return Err(io::Error::other("cannot fork: the process has more than one thread"));
    }
    // SAFETY: there is one thread, this one, so no lock is held by a thread that the child lacks.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Forked::Parent(Child { pid: child })),
        ForkResult::Child => Ok(Forked::Child),
    }
}

/// Runs `body` in a child and ends it with the code returned (101 after a panic), without the parent's destructors and exit
/// handlers. For tests and small helpers: no thread check, so `body` must not need a lock another thread may hold.
pub fn fork_child(body: impl FnOnce() -> i32) -> io::Result<Child> {
    // SAFETY: the C library re-arms its allocator locks in the child; the contract above excludes the others.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Child { pid: child }),
        ForkResult::Child => {
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or(101);
            exit_now(code)
        }
    }
}

/// As [`fork_child`] for a `body` that works on memory only: the child gives up all descriptors but the standard ones, so that
/// it does not keep its parent's connections open.
pub fn fork_alone(body: impl FnOnce() -> i32) -> io::Result<Child> {
    fork_child(|| {
        // SAFETY: takes numbers; this is a new process in which nothing but `body` runs before its end, so that no owner of
        // these descriptors will look at them again.
        if unsafe { syscall!(close_range(3, libc::c_uint::MAX, 0)) }.is_err() {
            return 102;
        }
        body()
    })
}

/// Ends this process at once: no destructors, no exit handlers, no flushing.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit has no precondition.
    unsafe { libc::_exit(code) }
}

impl Child {
    /// A child known by its number (one that a former image of this program made before it executed the new one).
    pub fn of_pid(pid: u32) -> Option<Child> {
        i32::try_from(pid).ok().filter(|pid| *pid > 1).map(|pid| Child { pid: Pid::from_raw(pid) })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// Sends it a signal; 0 only asks whether it exists.
    pub fn kill(&self, signal: i32) -> io::Result<()> {
        kill(self.pid(), signal)
    }

    /// Waits until it ends.
    pub fn wait(&self) -> io::Result<Exit> {
        loop {
            match waitpid(self.pid, None) {
                Err(nix::Error::EINTR) => {}
                Err(error) => return Err(error.into()),
                Ok(status) => {
                    if let Some((_, exit)) = ended(status) {
                        return Ok(exit);
                    }
                }
            }
        }
    }

    /// How it ended, or `None` while it lives.
    pub fn try_wait(&self) -> io::Result<Option<Exit>> {
        Ok(ended(waitpid(self.pid, Some(WaitPidFlag::WNOHANG))?).map(|(_, exit)| exit))
    }
}

/// Sends `signal` to a process.
pub fn kill(pid: u32, signal: i32) -> io::Result<()> {
    let pid = i32::try_from(pid)
        .ok()
        .filter(|pid| *pid > 0)
        .ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
    // SAFETY: kill takes two numbers and touches no memory.
    unsafe { syscall!(kill(pid, signal)) }.map(drop)
}

/// One child of this process that has ended, with how; `None` when none has. Call again until `None`.
pub fn reap() -> io::Result<Option<(u32, Exit)>> {
    match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        Ok(status) => Ok(ended(status).map(|(pid, exit)| (pid.as_raw().unsigned_abs(), exit))),
        Err(nix::Error::ECHILD) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Becomes leader of a session of its own, without a controlling terminal.
pub fn new_session() -> io::Result<()> {
    nix::unistd::setsid().map(drop).map_err(Into::into)
}

/// Asks the kernel to send this process `signal` when its parent dies. Lost again by a change of user: call it after that;
/// and compare [`parent`] afterwards, for the parent may be dead already.
pub fn die_with_parent(signal: i32) -> io::Result<()> {
    let signal = nix::sys::signal::Signal::try_from(signal)?;
    nix::sys::prctl::set_pdeathsig(signal).map_err(Into::into)
}

/// Process id of the parent; 1 (or a subreaper's) once the parent died.
pub fn parent() -> u32 {
    nix::unistd::getppid().as_raw().unsigned_abs()
}

/// The name `ps` and `top` show for this process (cut at 15 bytes).
pub fn set_name(name: &str) -> io::Result<()> {
    let short: String = name.chars().filter(|c| *c != '\0' && c.is_ascii()).take(15).collect();
    let name = std::ffi::CString::new(short)?;
    nix::sys::prctl::set_name(&name).map_err(Into::into)
}

fn ended(status: WaitStatus) -> Option<(Pid, Exit)> {
    match status {
        WaitStatus::Exited(pid, code) => Some((pid, Exit::Code(code))),
        WaitStatus::Signaled(pid, signal, core) => Some((pid, Exit::Signal { number: signal as i32, core })),
        _ => None,
    }
}

/// Threads of this process, as the kernel counts them; 1 when it does not tell.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(1, |dir| dir.count().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_and_signals_are_told_apart() {
        assert_eq!(fork_child(|| 7).unwrap().wait().unwrap(), Exit::Code(7));
        // without the panic's message: printing it needs a lock that another test's thread may hold
        let panics = fork_child(|| std::panic::resume_unwind(Box::new(())));
        assert_eq!(panics.unwrap().wait().unwrap(), Exit::Code(101));
        let sleeper = fork_child(|| loop {
            std::thread::park();
        })
        .unwrap();
        assert_eq!(sleeper.try_wait().unwrap(), None);
        sleeper.kill(libc::SIGKILL).unwrap();
        let exit = sleeper.wait().unwrap();
        assert_eq!(exit, Exit::Signal { number: 9, core: false });
        assert_eq!(exit.to_string(), "signal 9 (SIGKILL)");
        assert!(sleeper.wait().is_err(), "already waited for");
    }

    #[test]
    fn a_process_with_threads_does_not_fork() {
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || held.recv());
        assert!(fork().is_err());
        drop(hold);
        let _ = other.join();
    }

    #[test]
    fn a_child_sees_its_parent_and_may_lead_a_session() {
        let me = std::process::id();
        let child = fork_child(|| {
            let named = set_name("lm-test-child-with-a-long-name").is_ok();
            let fine =
                parent() == me && die_with_parent(libc::SIGTERM).is_ok() && new_session().is_ok() && named;
            i32::from(!fine)
        });
        assert!(child.unwrap().wait().unwrap().success());
        assert!(
            Child::of_pid(0).is_none() && Child::of_pid(1).is_none() && Child::of_pid(u32::MAX).is_none()
        );
        assert!(kill(0, 0).is_err(), "never the whole process group");
    }
}
