//! Moving bytes between sockets inside the kernel.
//!
//! Why unsafe: `splice` with null offsets. What makes it sound: only descriptors and numbers are passed.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::io::More;

/// A pipe that carries bytes from one socket to another.
#[derive(Debug)]
pub struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    held: usize,
    size: usize,
}

impl Pipe {
    /// A pipe that holds about `size` bytes; the system's own size (64 KB) when it grants no more.
    pub fn new(size: usize) -> io::Result<Pipe> {
        let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC | nix::fcntl::OFlag::O_NONBLOCK)?;
        let wish = libc::c_int::try_from(size).unwrap_or(1 << 20);
        // SAFETY: F_SETPIPE_SZ takes a number; a refusal leaves the pipe as it was.
        let set = unsafe { syscall!(fcntl(write.as_raw_fd(), libc::F_SETPIPE_SZ, wish)) };
        let size = set.map_or(65536, |n| n.unsigned_abs() as usize);
        Ok(Pipe { read, write, held: 0, size })
    }

    /// Bytes in the pipe.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Bytes it can hold.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Takes up to `max` bytes from a socket; 0 is the end of its stream. `WouldBlock`: nothing there, or the pipe is full.
    pub fn fill(&mut self, from: BorrowedFd<'_>, max: usize) -> io::Result<usize> {
        let moved = splice(from, self.write.as_fd(), max.min(1 << 30), 0)?;
        self.held += moved;
        Ok(moved)
    }

    /// Gives up to `max` of the held bytes to a socket.
    pub fn drain(&mut self, to: BorrowedFd<'_>, max: usize, more: More) -> io::Result<usize> {
        if self.held == 0 {
            return Ok(0);
        }
        let flags = if more == More::Follows { libc::SPLICE_F_MORE } else { 0 };
        let moved = splice(self.read.as_fd(), to, max.min(self.held), flags)?;
        self.held -= moved.min(self.held);
        Ok(moved)
    }
}

fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, max: usize, flags: libc::c_uint) -> io::Result<usize> {
    let none = std::ptr::null_mut();
    let flags = flags | libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    loop {
        // SAFETY: both offsets are null; nothing of ours is read or written.
        match unsafe { syscall!(splice(from.as_raw_fd(), none, to.as_raw_fd(), none, max, flags)) } {
            Ok(n) => return Ok(n.unsigned_abs()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn bytes_pass_without_being_seen() {
        let (mut left, a) = UnixStream::pair().unwrap();
        let (b, mut right) = UnixStream::pair().unwrap();
        a.set_nonblocking(true).unwrap();
        let mut pipe = Pipe::new(131_072).unwrap();
        assert!(pipe.size() >= 4096);
        assert_eq!(pipe.fill(a.as_fd(), 100).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        left.write_all(b"through the kernel").unwrap();
        assert_eq!(pipe.fill(a.as_fd(), 100).unwrap(), 18);
        assert_eq!(pipe.drain(b.as_fd(), 7, More::Follows).unwrap(), 7);
        assert_eq!(pipe.held(), 11);
        assert_eq!(pipe.drain(b.as_fd(), 100, More::Last).unwrap(), 11);
        assert_eq!(pipe.drain(b.as_fd(), 100, More::Last).unwrap(), 0);
        let mut got = [0; 18];
        right.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"through the kernel");
        left.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(pipe.fill(a.as_fd(), 100).unwrap(), 0, "end of stream");
    }
}
