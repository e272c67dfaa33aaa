//! A connection to a server.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{self, sockopt, AddressFamily, SockFlag, SockType, SockaddrStorage, UnixAddr};

use super::handshake::{Shake, Shakes};
use super::open::violations;
use super::{Conn, Peer, ServerSide, Stage};
use crate::base::buffer::Buffer;
use crate::base::ids::TaskId;
use crate::event::ready::Ready;
use crate::expr::view::{Addr, BackFacts};
use crate::net::cx::Cx;
use crate::net::fault::Fault;
use crate::net::mux::h1::{H1Mux, Side};
use crate::net::mux::pass::PassMux;
use crate::net::mux::Mux;
use crate::net::sock::Sock;
use crate::net::transport::{SslSock, Transport};
use crate::plan::{Mode, Proxy, Server, ServerAddr};

/// Begins a TCP or UNIX connection; it is complete when the socket becomes writable.
/// The labels are the mark and the type of service of its packets.
pub fn begin(
    server: &Server,
    to: Option<std::net::SocketAddr>,
    labels: (Option<u32>, Option<u8>),
    cx: &Cx<'_>,
) -> Result<Sock, Fault> {
    #[cfg(test)]
    if let (Some(net), ServerAddr::Inet(addr)) = (cx.net, &server.addr) {
        return Ok(Sock::Mem(net.connect(to.unwrap_or(*addr))));
    }
    let begun = begin_socket(server, cx.plan.proxy(server.proxy), to, labels);
    begun.map(Sock::Os).map_err(|errno| Fault::from_io(&errno.into()))
}

fn begin_socket(
    server: &Server,
    proxy: &Proxy,
    to: Option<std::net::SocketAddr>,
    (mark, tos): (Option<u32>, Option<u8>),
) -> Result<OwnedFd, Errno> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let (fd, done) = match &server.addr {
        ServerAddr::Inet(addr) => {
            let addr = to.unwrap_or(*addr);
            let family = if addr.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
            let fd = socket::socket(family, SockType::Stream, flags, None)?;
            socket::setsockopt(&fd, sockopt::TcpNoDelay, &true)?;
            if proxy.server_keepalive {
                socket::setsockopt(&fd, sockopt::KeepAlive, &true)?;
            }
            // without the privilege packets go as they are
            mark.map(|mark| lighterman_sys::sockopt::set_mark(fd.as_fd(), mark).ok());
            tos.map(|tos| lighterman_sys::sockopt::set_tos(fd.as_fd(), tos).ok());
            if let Some(source) = server.source {
                if source.port() != 0 {
                    socket::setsockopt(&fd, sockopt::ReuseAddr, &true)?;
                }
                socket::bind(fd.as_raw_fd(), &SockaddrStorage::from(source))?;
            }
            let done = socket::connect(fd.as_raw_fd(), &SockaddrStorage::from(addr));
            (fd, done)
        }
        ServerAddr::Unix(path) => unix(&UnixAddr::new(path)?, flags)?,
        ServerAddr::Abstract(name) => unix(&UnixAddr::new_abstract(name)?, flags)?,
    };
    match done {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(fd),
        Err(errno) => Err(errno),
    }
}

fn unix(addr: &UnixAddr, flags: SockFlag) -> Result<(OwnedFd, nix::Result<()>), Errno> {
    let fd = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    let done = socket::connect(fd.as_raw_fd(), addr);
    Ok((fd, done))
}

impl Conn {
    /// A connection that was begun for the stream `upper`; `greeting` goes out before anything else.
    pub fn to_server(
        xprt: Transport,
        server: &Server,
        greeting: Option<Buffer>,
        (task, upper): (TaskId, TaskId),
        cx: &Cx<'_>,
    ) -> Conn {
        let proxy = cx.plan.proxy(server.proxy);
        let mut mux = match proxy.mode {
            Mode::Tcp => Mux::Pass(PassMux::new()),
            Mode::Http => Mux::H1(H1Mux::new(Side::Back, violations(proxy.loose_response))),
        };
        crate::net::mux::MuxOps::bind(&mut mux, Some(upper));
        let mut shakes = Vec::new();
        shakes.extend(greeting.map(Shake::ProxyOut));
        if matches!(xprt, Transport::Ssl(_)) {
            shakes.push(Shake::Tls);
        }
        let dst = match server.addr {
            ServerAddr::Inet(addr) => Addr::Inet(addr),
            ServerAddr::Unix(_) | ServerAddr::Abstract(_) => Addr::Unix,
        };
        let http_major = u8::from(proxy.mode == Mode::Http);
        Conn {
            task,
            xprt,
            ready: Ready::NONE,
            stage: Stage::Connecting,
            shakes: Shakes::in_order(shakes),
            mux,
            peer: Peer::Server(ServerSide {
                server: server.id,
                facts: Box::new(BackFacts { dst, http_major, ..BackFacts::default() }),
                requests: 0,
                owner: None,
                pooled: false,
            }),
        }
    }
}

/// The transport of a begun connection, asking for `name` if it is TLS, and writable at once if it is `early`; `None` when
/// TLS cannot be set up.
pub fn transport(
    sock: Sock,
    server: &Server,
    (name, early): (Option<&str>, bool),
    cx: &Cx<'_>,
) -> Option<Transport> {
    match cx.tls.server(server.id) {
        None => Some(Transport::Raw(sock)),
        Some(context) => SslSock::connect(sock, context, (name, early), cx.plan.global.tune.ssl_maxrecord)
            .map(Transport::Ssl),
    }
}
