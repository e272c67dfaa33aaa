//! Descriptors across processes: pass them over a socket, inherit them by number, keep them off the children of children.
//!
//! Why unsafe: a descriptor number becomes an owner. What makes it sound: numbers come from the kernel in a control message
//! (fresh, ours alone) or are checked to be open and claimed once per process.

use std::collections::BTreeSet;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Mutex;

use nix::fcntl::{fcntl, FcntlArg, FdFlag, OFlag};
use nix::sys::socket::{
    recvmsg, sendmsg, socketpair, AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag,
    SockType,
};

/// The most descriptors one message carries (the kernel's own limit is 253).
pub const FDS_PER_MESSAGE: usize = 64;

/// Two ends of a channel that keeps message boundaries (SOCK_SEQPACKET), non-blocking, not inherited by `exec`.
pub fn channel() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).map_err(Into::into)
}

/// Sends one message with descriptors. `WouldBlock` when the channel is full, `BrokenPipe` when the other end is gone.
/// `bytes` must not be empty when descriptors go with it.
pub fn send_with_fds(channel: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    if fds.len() > FDS_PER_MESSAGE || (bytes.is_empty() && !fds.is_empty()) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
    let parts = [IoSlice::new(bytes)];
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    sendmsg::<()>(channel.as_raw_fd(), &parts, control, flags, None).map_err(Into::into)
}

/// What [`recv_with_fds`] found.
#[derive(Debug)]
pub struct Received {
    /// Bytes of the message; 0 when the other end is gone.
    pub len: usize,
    /// The message was longer than the room and has been cut.
    pub cut: bool,
    /// Descriptors that came with it, close-on-exec.
    pub fds: Vec<OwnedFd>,
}

/// Receives one message and its descriptors. `WouldBlock` when none is there.
pub fn recv_with_fds(channel: BorrowedFd<'_>, into: &mut [u8]) -> io::Result<Received> {
    let mut control = nix::cmsg_space!([RawFd; FDS_PER_MESSAGE]);
    let mut parts = [IoSliceMut::new(into)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<()>(channel.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
    let mut fds = Vec::new();
    for item in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = item {
            // SAFETY: the kernel made these descriptors for this process in this very call; nobody else owns them.
            fds.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    let cut = message.flags.contains(MsgFlags::MSG_TRUNC) || message.flags.contains(MsgFlags::MSG_CTRUNC);
    Ok(Received { len: message.bytes, cut, fds })
}

static CLAIMED: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

/// Takes over a descriptor that was inherited under a known number (`fd@5`, `-x`, a supervisor's socket). Each number can
/// be taken once in the life of the process; 0, 1 and 2 only as copies (see [`duplicate`]).
pub fn inherit(number: i32) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("descriptor {number} cannot be taken over"),
        ));
    }
    // SAFETY: F_GETFD takes a number and touches no memory; a closed number is reported, not used.
    unsafe { syscall!(fcntl(number, libc::F_GETFD)) }
        .map_err(|_| io::Error::new(io::ErrorKind::NotFound, format!("descriptor {number} is not open")))?;
    let mut claimed = CLAIMED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !claimed.insert(number) {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("descriptor {number} is used twice"),
        ));
    }
    // SAFETY: it is open, above the standard ones, and this process takes each number once.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    Ok(fd)
}

/// A copy of a descriptor that may be anyone's (0, 1 and 2 included), close-on-exec.
pub fn duplicate(number: i32) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes numbers; a closed one is an error.
    let copy = unsafe { syscall!(fcntl(number, libc::F_DUPFD_CLOEXEC, 3)) }?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Puts `from` under a standard number (0, 1 or 2), for a daemon that gives its terminal back.
pub fn replace_standard(from: BorrowedFd<'_>, number: i32) -> io::Result<()> {
    if !(0..=2).contains(&number) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: 0, 1 and 2 are never owned by an OwnedFd here; replacing them changes no other owner's descriptor.
    unsafe { syscall!(dup2(from.as_raw_fd(), number)) }.map(drop)
}

/// Whether a descriptor stays open across `exec`.
pub fn set_inheritable(fd: BorrowedFd<'_>, inheritable: bool) -> io::Result<()> {
    let flag = if inheritable { FdFlag::empty() } else { FdFlag::FD_CLOEXEC };
    fcntl(fd, FcntlArg::F_SETFD(flag)).map(drop).map_err(Into::into)
}

/// Switches a descriptor to non-blocking or back.
pub fn set_nonblocking(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    let now = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    let mut then = now;
    then.set(OFlag::O_NONBLOCK, on);
    if then != now {
        fcntl(fd, FcntlArg::F_SETFL(then))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, Write};
    use std::os::fd::{AsFd, IntoRawFd};

    #[test]
    fn descriptors_travel_with_their_message() {
        let (here, there) = channel().unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        assert_eq!(recv_with_fds(there.as_fd(), &mut [0; 4]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        send_with_fds(here.as_fd(), b"take", &[writer.as_fd(), reader.as_fd()]).unwrap();
        send_with_fds(here.as_fd(), b"nothing with it", &[]).unwrap();
        drop(writer);
        let mut room = [0; 4];
        let mut got = recv_with_fds(there.as_fd(), &mut room).unwrap();
        assert_eq!((got.len, got.cut, got.fds.len(), &room), (4, false, 2, b"take"));
        got.fds.truncate(1);
        let mut file = std::fs::File::from(got.fds.remove(0));
        file.write_all(b"through").unwrap();
        drop(file);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
        let cut = recv_with_fds(there.as_fd(), &mut room).unwrap();
        assert!(cut.cut && cut.fds.is_empty() && cut.len == 4);
        assert!(send_with_fds(here.as_fd(), b"", &[reader.as_fd()]).is_err());
        drop(here);
        // A child that another test forks at this moment may hold the other end for a little longer.
        let last = loop {
            match recv_with_fds(there.as_fd(), &mut room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
                other => break other,
            }
        };
        assert_eq!(last.unwrap().len, 0, "the other end is gone");
    }

    #[test]
    fn a_number_is_inherited_once_and_only_when_open() {
        let number = duplicate(2).unwrap().into_raw_fd();
        let owned = inherit(number).unwrap();
        assert_eq!(inherit(number).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        drop(owned);
        assert_eq!(inherit(1).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(inherit(1_000_000).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(duplicate(1_000_000).is_err());
    }

    #[test]
    fn standard_output_of_a_child_is_replaced() {
        let (map, fd) = crate::map::Mapping::with_fd("lm-out", 10).unwrap();
        let child = crate::fork::fork_child(|| {
            let moved = replace_standard(fd.as_fd(), 1).is_ok() && replace_standard(fd.as_fd(), 3).is_err();
            let inherits =
                set_inheritable(fd.as_fd(), true).is_ok() && set_nonblocking(fd.as_fd(), false).is_ok();
            let copy = duplicate(1).map(std::fs::File::from);
            let wrote = copy.is_ok_and(|mut f| f.rewind().and_then(|()| f.write_all(b"hi")).is_ok());
            i32::from(!(moved && inherits && wrote))
        });
        assert!(child.unwrap().wait().unwrap().success());
        let bytes = map.region::<std::sync::atomic::AtomicU8>(0, 1).unwrap();
        assert_eq!(bytes[0].load(std::sync::atomic::Ordering::SeqCst), b'h');
    }
}
