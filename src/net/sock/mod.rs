//! A connected byte stream: a kernel socket, or an in-memory one for tests.

pub mod listen;
#[cfg(test)]
pub mod mem;

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use crate::event::poll::Poller;
use nix::sys::socket::{self, MsgFlags, Shutdown};

/// A connected, non-blocking byte stream.
pub enum Sock {
    /// A socket of the kernel: TCP or UNIX.
    Os(OwnedFd),
    /// One end of an in-memory pair.
    #[cfg(test)]
    Mem(mem::MemSock),
}

impl Sock {
    /// The descriptor, if there is one: to be registered with the poller.
    pub fn fd(&self) -> Option<RawFd> {
        match self {
            Sock::Os(fd) => Some(fd.as_raw_fd()),
            #[cfg(test)]
            Sock::Mem(_) => None,
        }
    }

    /// The descriptor, to be asked about.
    pub fn borrow(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Sock::Os(fd) => Some(fd.as_fd()),
            #[cfg(test)]
            Sock::Mem(_) => None,
        }
    }

    /// Reads what is there; 0 is the end of what the peer sends.
    pub fn recv(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Sock::Os(fd) => again(|| socket::recv(fd.as_raw_fd(), into, MsgFlags::empty())),
            #[cfg(test)]
            Sock::Mem(mem) => mem.recv(into),
        }
    }

    /// Sends from `bytes`; `more` tells the kernel that the rest follows at once.
    pub fn send(&mut self, bytes: &[u8], more: bool) -> io::Result<usize> {
        match self {
            Sock::Os(fd) => again(|| socket::send(fd.as_raw_fd(), bytes, send_flags(more))),
            #[cfg(test)]
            Sock::Mem(mem) => mem.send(bytes),
        }
    }

    /// Sends several slices as one.
    pub fn send_parts(&mut self, parts: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
        match self {
            Sock::Os(fd) => {
                again(|| socket::sendmsg::<()>(fd.as_raw_fd(), parts, &[], send_flags(more), None))
            }
            #[cfg(test)]
            Sock::Mem(mem) => mem.send_parts(parts),
        }
    }

    /// The error a connection attempt ended with, if it did.
    pub fn take_error(&self) -> Option<io::Error> {
        match self {
            Sock::Os(fd) => {
                let code =
                    socket::getsockopt(fd, socket::sockopt::SocketError).ok().filter(|code| *code != 0)?;
                Some(io::Error::from_raw_os_error(code))
            }
            #[cfg(test)]
            Sock::Mem(mem) => mem.take_error(),
        }
    }

    /// Has the poller watch it for the rest of its life.
    pub fn watch(&self, poll: &Poller, token: u64) -> io::Result<()> {
        match self {
            Sock::Os(fd) => poll.watch(fd.as_raw_fd(), token),
            #[cfg(test)]
            Sock::Mem(mem) => {
                mem.watch(token);
                Ok(())
            }
        }
    }

    /// When it is closed, nothing is kept of it: the peer sees a reset.
    pub fn reset_on_close(&self) {
        match self {
            // where the system has no such thing it closes in order
            Sock::Os(fd) => drop(lighterman_sys::sockopt::set_reset_on_close(fd.as_fd())),
            #[cfg(test)]
            Sock::Mem(_) => {}
        }
    }

    /// When it is closed the peer is not told: by privilege, or by a reset that dies after so many hops.
    pub fn forget_on_close(&self, hops: Option<u8>) {
        match self {
            Sock::Os(fd) => {
                let fd = fd.as_fd();
                // no acknowledgement, no end: a reset it is where all else fails
                let _ = lighterman_sys::sockopt::set_quick_ack(fd, false);
                let _ = lighterman_sys::sockopt::set_reset_on_close(fd);
                if hops.is_some() || lighterman_sys::sockopt::set_forgotten_on_close(fd).is_err() {
                    let _ = lighterman_sys::sockopt::set_hops(fd, hops.unwrap_or(1));
                }
            }
            #[cfg(test)]
            Sock::Mem(_) => {}
        }
    }

    /// Marks its packets, and sets their type of service. Without the privilege they go as they are.
    pub fn label(&self, mark: Option<u32>, tos: Option<u8>) {
        match self {
            Sock::Os(fd) => {
                mark.map(|mark| lighterman_sys::sockopt::set_mark(fd.as_fd(), mark).ok());
                tos.map(|tos| lighterman_sys::sockopt::set_tos(fd.as_fd(), tos).ok());
            }
            #[cfg(test)]
            Sock::Mem(_) => {}
        }
    }

    /// Tells the peer that nothing more comes.
    pub fn shut_write(&mut self) {
        match self {
            // a peer that is gone already has nothing left to be told
            Sock::Os(fd) => drop(socket::shutdown(fd.as_raw_fd(), Shutdown::Write)),
            #[cfg(test)]
            Sock::Mem(mem) => mem.shut_write(),
        }
    }
}

fn send_flags(more: bool) -> MsgFlags {
    if more {
        MsgFlags::MSG_NOSIGNAL | MsgFlags::from_bits_retain(libc::MSG_MORE)
    } else {
        MsgFlags::MSG_NOSIGNAL
    }
}

/// Repeats what a signal interrupted.
fn again(mut call: impl FnMut() -> nix::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(nix::errno::Errno::EINTR) => continue,
            other => return other.map_err(io::Error::from),
        }
    }
}
