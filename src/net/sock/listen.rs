//! Listening sockets: bound by whoever has the right to, accepted from by workers.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use lighterman_sys::io::Peer;
use lighterman_sys::{fds, io as sysio, sockopt};

use crate::expr::view::Addr;
use crate::plan::{BindAddr, Listener};

/// A socket that listens.
pub struct ListenSock {
    fd: OwnedFd,
    /// The address every client asked for, when the socket is bound to one only.
    local: Addr,
}

/// Queue of connections the kernel completes before we accept them, when nothing is said.
const BACKLOG: u32 = 4096;

impl ListenSock {
    /// Binds and listens. `share`: other processes bind the same address (SO_REUSEPORT).
    pub fn bind(listener: &Listener, share: bool) -> io::Result<OwnedFd> {
        let socket = match &listener.addr {
            BindAddr::Fd(number) => {
                let fd = fds::duplicate(*number)?;
                fds::set_nonblocking(fd.as_fd(), true)?;
                if !sockopt::is_listening(fd.as_fd())? {
                    Socket::from(fd.try_clone()?).listen(BACKLOG as i32)?;
                }
                return Ok(fd);
            }
            BindAddr::Inet(addr) => {
                let socket =
                    Socket::new(Domain::for_address(*addr), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
                socket.set_reuse_address(true)?;
                if share {
                    socket.set_reuse_port(true)?;
                }
                if addr.is_ipv6() {
                    socket.set_only_v6(listener.v6only.unwrap_or(false))?;
                }
                inet_options(&socket, listener)?;
                socket.bind(&SockAddr::from(*addr))?;
                socket
            }
            BindAddr::Unix(path) => {
                // what is left of an earlier process would refuse every new one
                let _ = std::fs::remove_file(path);
                let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
                socket.bind(&SockAddr::unix(path)?)?;
                unix_rights(path, listener)?;
                socket
            }
            BindAddr::Abstract(name) => {
                use std::os::linux::net::SocketAddrExt;
                let addr = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
                let socket = std::os::unix::net::UnixListener::bind_addr(&addr)?;
                socket.set_nonblocking(true)?;
                return Ok(socket.into());
            }
        };
        let backlog = if listener.backlog == 0 { BACKLOG } else { listener.backlog };
        socket.listen(backlog.min(65_535) as i32)?;
        Ok(socket.into())
    }

    /// Clients are refused from now on, in every process that has this socket, until
    /// [`ListenSock::listen_again`]. A UNIX socket could not come back from that: its clients wait.
    pub fn refuse(&self) -> io::Result<()> {
        match sysio::local_address(self.fd.as_fd())? {
            Peer::Inet(_) => sysio::shutdown(self.fd.as_fd(), std::net::Shutdown::Read),
            _ => Ok(()),
        }
    }

    /// Clients are welcome again.
    pub fn listen_again(&self) -> io::Result<()> {
        if sockopt::is_listening(self.fd.as_fd())? {
            return Ok(());
        }
        socket2::SockRef::from(&self.fd).listen(BACKLOG as i32)
    }

    /// A socket that listens already.
    pub fn new(fd: OwnedFd) -> Self {
        let local = match sysio::local_address(fd.as_fd()) {
            Ok(Peer::Inet(addr)) if !addr.ip().is_unspecified() => Addr::Inet(addr),
            Ok(Peer::Inet(_)) | Err(_) => Addr::None,
            Ok(_) => Addr::Unix,
        };
        ListenSock { fd, local }
    }

    /// The descriptor.
    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Takes one client: its socket, its address, the address it asked for.
    pub fn accept(&self) -> io::Result<(OwnedFd, Addr, Addr)> {
        let (fd, peer) = sysio::accept(self.fd.as_fd())?;
        let src = addr_of(&peer);
        let dst = match self.local {
            Addr::None => sysio::local_address(fd.as_fd()).map_or(Addr::None, |p| addr_of(&p)),
            known => known,
        };
        Ok((fd, src, dst))
    }
}

/// Both ends of an accepted socket: the client's, ours.
pub fn ends_of(fd: &OwnedFd) -> (Addr, Addr) {
    let end = |peer: io::Result<Peer>| peer.map_or(Addr::None, |p| addr_of(&p));
    (end(sysio::peer_address(fd.as_fd())), end(sysio::local_address(fd.as_fd())))
}

fn addr_of(peer: &Peer) -> Addr {
    match peer {
        Peer::Inet(addr) => Addr::Inet(*addr),
        _ => Addr::Unix,
    }
}

/// Options of a `bind` line that must be set before the socket listens; accepted sockets inherit them.
fn inet_options(socket: &Socket, listener: &Listener) -> io::Result<()> {
    let fd = socket.as_fd();
    socket.set_tcp_nodelay(true)?;
    if listener.transparent {
        match listener.addr {
            BindAddr::Inet(addr) if addr.is_ipv6() => sockopt::set_transparent_v6(fd, true)?,
            _ => sockopt::set_transparent_v4(fd, true)?,
        }
    }
    if listener.defer_accept {
        sockopt::set_defer_accept(fd, std::time::Duration::from_secs(1))?;
    }
    if listener.tcp_fastopen {
        sockopt::set_fast_open(fd, 256)?;
    }
    if listener.mss > 0 {
        sockopt::set_max_segment(fd, listener.mss as u32)?;
    }
    if listener.tcp_user_timeout > 0 {
        sockopt::set_user_timeout(fd, std::time::Duration::from_millis(listener.tcp_user_timeout.into()))?;
    }
    if let Some(device) = &listener.interface {
        sockopt::set_device(fd, device)?;
    }
    Ok(())
}

fn unix_rights(path: &std::path::Path, listener: &Listener) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if listener.unix_uid.is_some() || listener.unix_gid.is_some() {
        std::os::unix::fs::chown(path, listener.unix_uid, listener.unix_gid)?;
    }
    if let Some(mode) = listener.unix_mode {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}
