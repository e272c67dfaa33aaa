//! Signals as readable events.
//!
//! Why unsafe: nothing here needs it beyond reading `SIGPIPE`'s disposition; signal state belongs to the whole process. The
//! signals are blocked for the calling thread (so do it before other threads start) and read from a descriptor. A forked
//! child inherits the block but must make its own [`Signals`]; a child that executes another program calls [`reset`].

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{self, SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// A signal that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caught {
    /// Its number.
    pub number: i32,
    /// Who sent it; 0 when the kernel did.
    pub pid: u32,
}

/// A descriptor that is readable when one of its signals waits.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
}

impl Signals {
    /// Blocks these signals and collects them from now on. An unknown number is an error.
    pub fn collect(numbers: &[i32]) -> io::Result<Signals> {
        let mut set = SigSet::empty();
        for number in numbers {
            set.add(Signal::try_from(*number)?);
        }
        signal::pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&set), None)?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Signals { fd })
    }

    /// The next one that waits; `None` when all are read.
    pub fn next(&self) -> io::Result<Option<Caught>> {
        let got = self.fd.read_signal()?;
        Ok(got.map(|info| Caught { number: info.ssi_signo as i32, pid: info.ssi_pid }))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Nothing is blocked any more: for a child about to execute another program.
pub fn reset() -> io::Result<()> {
    signal::pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).map_err(Into::into)
}

/// A signal is discarded by the kernel (SIGPIPE, SIGHUP in a worker).
pub fn ignore(number: i32) -> io::Result<()> {
    dispose(number, SigHandler::SigIgn)
}

/// A signal does again what the system does by default.
pub fn default(number: i32) -> io::Result<()> {
    dispose(number, SigHandler::SigDfl)
}

fn dispose(number: i32, how: SigHandler) -> io::Result<()> {
    let action = SigAction::new(how, SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler is one of the system's own, no code of ours runs in signal context.
    unsafe { signal::sigaction(Signal::try_from(number)?, &action) }.map(drop).map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_wait_to_be_read() {
        let child = crate::fork::fork_child(|| {
            let me = std::process::id();
            let Ok(signals) = Signals::collect(&[libc::SIGUSR1, libc::SIGTERM]) else { return 1 };
            let empty = matches!(signals.next(), Ok(None));
            let ignored = ignore(libc::SIGUSR2).is_ok() && crate::fork::kill(me, libc::SIGUSR2).is_ok();
            let sent = crate::fork::kill(me, libc::SIGUSR1).is_ok();
            let got = matches!(signals.next(), Ok(Some(c)) if c == Caught { number: libc::SIGUSR1, pid: me });
            let drained = matches!(signals.next(), Ok(None));
            let bad = Signals::collect(&[9999]).is_err();
            if !(empty && ignored && sent && got && drained && bad && default(libc::SIGUSR2).is_ok()) {
                return 2;
            }
            let _ = reset();
            let _ = crate::fork::kill(me, libc::SIGTERM);
            3
        });
        let exit = child.unwrap().wait().unwrap();
        assert_eq!(exit, crate::fork::Exit::Signal { number: libc::SIGTERM, core: false });
    }
}
