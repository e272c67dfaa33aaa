//! A bell between processes: ring it here, a poller wakes there.
//!
//! Why unsafe: it is not; eventfd is part of the system's corner and is made before the fork.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

/// A counter behind a descriptor, readable when it was rung since the last [`Bell::hear`]. Shared by fork or by passing.
#[derive(Debug)]
pub struct Bell {
    fd: EventFd,
}

impl Bell {
    /// A silent bell.
    pub fn new() -> io::Result<Bell> {
        let fd = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        Ok(Bell { fd })
    }

    /// Rings. Rings that nobody has heard yet count as one.
    pub fn ring(&self) -> io::Result<()> {
        match self.fd.write(1) {
            Ok(_) | Err(Errno::EAGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether it rang since the last time; silent afterwards.
    pub fn hear(&self) -> io::Result<bool> {
        match self.fd.read() {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_crosses_processes_once() {
        let bell = Bell::new().unwrap();
        assert!(!bell.hear().unwrap());
        let child = crate::fork::fork_child(|| i32::from(bell.ring().is_err() || bell.ring().is_err()));
        assert!(child.unwrap().wait().unwrap().success());
        assert!(bell.hear().unwrap());
        assert!(!bell.hear().unwrap());
    }
}
