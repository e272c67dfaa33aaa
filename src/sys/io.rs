//! Bytes in and out of sockets, and new connections, with as few system calls as the work needs.
//!
//! Why unsafe: raw calls with pointers. What makes it sound: pointers and lengths come from slices that outlive the call.
//! All of it is for non-blocking use: `WouldBlock` means nothing was moved; an interrupted call is made again.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::{self, MaybeUninit};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::{c_int, socklen_t};

/// Whether more bytes follow soon, so that the kernel may wait to fill the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum More {
    /// Nothing follows: send now.
    Last,
    /// More follows within this turn (MSG_MORE).
    Follows,
}

impl More {
    fn flags(self) -> c_int {
        match self {
            More::Last => libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT,
            More::Follows => libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT | libc::MSG_MORE,
        }
    }
}

/// Address of the other end of an accepted connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// TCP over IPv4 or IPv6.
    Inet(SocketAddr),
    /// A UNIX socket (clients have no name there).
    Unix,
    /// Anything else, by its address family.
    Other(u16),
}

/// Reads what is there; 0 is the end of the stream (or an empty `into`).
pub fn recv(fd: BorrowedFd<'_>, into: &mut [u8]) -> io::Result<usize> {
    recv_flags(fd, into, libc::MSG_DONTWAIT)
}

/// Looks at what is there and leaves it there.
pub fn peek(fd: BorrowedFd<'_>, into: &mut [u8]) -> io::Result<usize> {
    recv_flags(fd, into, libc::MSG_DONTWAIT | libc::MSG_PEEK)
}

fn recv_flags(fd: BorrowedFd<'_>, into: &mut [u8], flags: c_int) -> io::Result<usize> {
    again(|| {
        // SAFETY: the kernel writes at most `len` bytes into the slice.
        unsafe { syscall!(recv(fd.as_raw_fd(), into.as_mut_ptr().cast(), into.len(), flags)) }
    })
}

/// Reads into several buffers in order.
pub fn recv_parts(fd: BorrowedFd<'_>, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    let count = parts.len().min(libc::UIO_MAXIOV as usize) as c_int;
    again(|| {
        // SAFETY: IoSliceMut has the layout of iovec, and `count` of them are there.
        unsafe { syscall!(readv(fd.as_raw_fd(), parts.as_mut_ptr().cast(), count)) }
    })
}

/// Sends what the socket takes; a broken connection is an error, never a signal.
pub fn send(fd: BorrowedFd<'_>, bytes: &[u8], more: More) -> io::Result<usize> {
    again(|| {
        // SAFETY: pointer and length describe the slice.
        unsafe { syscall!(send(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), more.flags())) }
    })
}

/// Sends several buffers in order with one call.
pub fn send_parts(fd: BorrowedFd<'_>, parts: &[IoSlice<'_>], more: More) -> io::Result<usize> {
    if let [one] = parts {
        return send(fd, one, more);
    }
    let mut message = MaybeUninit::<libc::msghdr>::zeroed();
    // SAFETY: all zeros is an empty message.
    let message = unsafe { message.assume_init_mut() };
    message.msg_iov = parts.as_ptr().cast_mut().cast();
    message.msg_iovlen = parts.len().min(libc::UIO_MAXIOV as usize) as _;
    again(|| {
        // SAFETY: IoSlice has the layout of iovec and the kernel only reads them.
        unsafe { syscall!(sendmsg(fd.as_raw_fd(), &raw const *message, more.flags())) }
    })
}

/// Takes one connection from a listener: non-blocking, close-on-exec, with the address of its peer. `WouldBlock` when the
/// queue is empty. Connections that died in the queue are skipped here.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, Peer)> {
    loop {
        let mut from = MaybeUninit::<libc::sockaddr_storage>::zeroed();
        let mut size = mem::size_of::<libc::sockaddr_storage>() as socklen_t;
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        let at = from.as_mut_ptr().cast();
        // SAFETY: the kernel writes at most `size` bytes of address.
        let got = unsafe { syscall!(accept4(listener.as_raw_fd(), at, &mut size, flags)) };
        match got {
            Ok(fd) => {
                // SAFETY: the kernel has just made this descriptor for us.
                let fd = unsafe { OwnedFd::from_raw_fd(fd) };
                return Ok((fd, peer_of(&from)));
            }
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::EINTR | libc::ECONNABORTED | libc::EPROTO)) => {}
            Err(error) => return Err(error),
        }
    }
}

/// The address this end of a socket has.
pub fn local_address(fd: BorrowedFd<'_>) -> io::Result<Peer> {
    let mut at = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut size = mem::size_of::<libc::sockaddr_storage>() as socklen_t;
    // SAFETY: the kernel writes at most `size` bytes of address.
    unsafe { syscall!(getsockname(fd.as_raw_fd(), at.as_mut_ptr().cast(), &mut size)) }?;
    Ok(peer_of(&at))
}

/// The address the other end of a socket has.
pub fn peer_address(fd: BorrowedFd<'_>) -> io::Result<Peer> {
    let mut at = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut size = mem::size_of::<libc::sockaddr_storage>() as socklen_t;
    // SAFETY: the kernel writes at most `size` bytes of address.
    unsafe { syscall!(getpeername(fd.as_raw_fd(), at.as_mut_ptr().cast(), &mut size)) }?;
    Ok(peer_of(&at))
}

/// Ends one or both directions.
pub fn shutdown(fd: BorrowedFd<'_>, how: std::net::Shutdown) -> io::Result<()> {
    let how = match how {
        std::net::Shutdown::Read => libc::SHUT_RD,
        std::net::Shutdown::Write => libc::SHUT_WR,
        std::net::Shutdown::Both => libc::SHUT_RDWR,
    };
    // SAFETY: two numbers, no memory.
    unsafe { syscall!(shutdown(fd.as_raw_fd(), how)) }.map(drop)
}

/// The storage was zeroed before the kernel wrote into it, so every field is a value.
fn peer_of(from: &MaybeUninit<libc::sockaddr_storage>) -> Peer {
    // SAFETY: integers only, all bytes initialised.
    let family = unsafe { from.assume_init_ref() }.ss_family;
    match c_int::from(family) {
        libc::AF_INET => {
            // SAFETY: the storage is larger than and aligned for every address; the family says which it is.
            let v4 = unsafe { &*from.as_ptr().cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Peer::Inet(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*from.as_ptr().cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Peer::Inet(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id).into())
        }
        libc::AF_UNIX => Peer::Unix,
        _ => Peer::Other(family),
    }
}

fn again(mut call: impl FnMut() -> io::Result<isize>) -> io::Result<usize> {
    loop {
        match call() {
            Ok(n) => return Ok(n.unsigned_abs()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    #[test]
    fn connections_come_with_their_address() {
        for at in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(at) else { continue };
            listener.set_nonblocking(true).unwrap();
            assert_eq!(accept(listener.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, peer) = accept(listener.as_fd()).unwrap();
            assert_eq!(peer, Peer::Inet(client.local_addr().unwrap()));
            assert_eq!(local_address(server.as_fd()).unwrap(), Peer::Inet(client.peer_addr().unwrap()));
            assert_eq!(peer_address(server.as_fd()).unwrap(), peer);
            assert_eq!(recv(server.as_fd(), &mut [0; 8]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn parts_leave_together_and_broken_pipes_do_not_kill() {
        let (a, b) = std::os::unix::net::UnixStream::pair().unwrap();
        let parts = [IoSlice::new(b"head "), IoSlice::new(b""), IoSlice::new(b"body")];
        assert_eq!(send_parts(a.as_fd(), &parts, More::Last).unwrap(), 9);
        assert_eq!(send(a.as_fd(), b"!", More::Follows).unwrap(), 1);
        let mut room = [0u8; 4];
        assert_eq!(peek(b.as_fd(), &mut room).unwrap(), 4);
        let (mut x, mut y) = ([0u8; 3], [0u8; 16]);
        let n = recv_parts(b.as_fd(), &mut [IoSliceMut::new(&mut x), IoSliceMut::new(&mut y)]).unwrap();
        assert_eq!((n, &x, &y[..7]), (10, b"hea", b"d body!".as_slice()));
        shutdown(a.as_fd(), std::net::Shutdown::Write).unwrap();
        assert_eq!(recv(b.as_fd(), &mut room).unwrap(), 0);
        shutdown(b.as_fd(), std::net::Shutdown::Both).unwrap();
        assert_eq!(send(a.as_fd(), b"x", More::Last).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(send_parts(a.as_fd(), &parts, More::Last).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
