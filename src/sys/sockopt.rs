//! Socket options the proxy uses, one function each.
//!
//! Why unsafe: `setsockopt`/`getsockopt` take untyped memory. What makes it sound: two private helpers pass exactly one
//! integer or one structure of the kernel's, with its true size.
//!
//! An option the kernel refuses is an error of that call only; the caller decides whether that matters.

use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use libc::{c_int, socklen_t};

/// The kernel's `IP_BIND_ADDRESS_NO_PORT`.
const IP_BIND_ADDRESS_NO_PORT: c_int = 24;
/// The kernel's `SO_ORIGINAL_DST` (netfilter), also `IP6T_SO_ORIGINAL_DST`.
const SO_ORIGINAL_DST: c_int = 80;

fn set(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    let size = mem::size_of::<c_int>() as socklen_t;
    // SAFETY: the pointer is to one c_int and the size says so.
    unsafe { syscall!(setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), size)) }.map(drop)
}

fn get(fd: BorrowedFd<'_>, level: c_int, name: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut size = mem::size_of::<c_int>() as socklen_t;
    // SAFETY: the kernel writes at most `size` bytes into one c_int.
    unsafe { syscall!(getsockopt(fd.as_raw_fd(), level, name, (&raw mut value).cast(), &mut size)) }?;
    Ok(value)
}

macro_rules! switches {
    ($( $(#[$doc:meta])* $name:ident = $level:ident, $option:expr; )*) => { $(
        $(#[$doc])*
        pub fn $name(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
            set(fd, libc::$level, $option, c_int::from(on))
        }
    )* };
}

switches! {
    /// Several sockets on one address share its connections.
    set_reuse_port = SOL_SOCKET, libc::SO_REUSEPORT;
    /// Bind although old connections of the address linger.
    set_reuse_addr = SOL_SOCKET, libc::SO_REUSEADDR;
    /// Probes on idle connections.
    set_keep_alive = SOL_SOCKET, libc::SO_KEEPALIVE;
    /// Send small segments at once.
    set_nodelay = IPPROTO_TCP, libc::TCP_NODELAY;
    /// Acknowledge at once. Not lasting: the kernel falls back by itself.
    set_quick_ack = IPPROTO_TCP, libc::TCP_QUICKACK;
    /// Hold back what does not fill a segment.
    set_cork = IPPROTO_TCP, libc::TCP_CORK;
    /// An IPv6 socket takes no IPv4 connections.
    set_v6_only = IPPROTO_IPV6, libc::IPV6_V6ONLY;
    /// Bind or connect from addresses that are not ours, IPv4 (needs privileges).
    set_transparent_v4 = IPPROTO_IP, libc::IP_TRANSPARENT;
    /// The same for IPv6.
    set_transparent_v6 = IPPROTO_IPV6, libc::IPV6_TRANSPARENT;
    /// Bind to addresses that do not exist yet.
    set_free_bind = IPPROTO_IP, libc::IP_FREEBIND;
    /// `bind` to a source address leaves the port to `connect`, so that ports serve many destinations.
    set_bind_address_no_port = IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT;
    /// Connect with data in the first segment when the peer's cookie is known.
    set_fast_open_connect = IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT;
}

/// Wake the listener only when data has come, for at most `limit` (whole seconds, at least one; zero switches it off).
pub fn set_defer_accept(fd: BorrowedFd<'_>, limit: Duration) -> io::Result<()> {
    let seconds = if limit.is_zero() { 0 } else { limit.as_secs().clamp(1, 1 << 20) };
    set(fd, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, seconds as c_int)
}

/// Break the connection when sent data stays unacknowledged for so long; zero is the system's own limit.
pub fn set_user_timeout(fd: BorrowedFd<'_>, limit: Duration) -> io::Result<()> {
    set(fd, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, limit.as_millis().min(c_int::MAX as u128) as c_int)
}

/// Mark packets for routing and filters (needs privileges).
pub fn set_mark(fd: BorrowedFd<'_>, mark: u32) -> io::Result<()> {
    set(fd, libc::SOL_SOCKET, libc::SO_MARK, mark as c_int)
}

/// Packets live for so many hops, over IPv4 and IPv6.
pub fn set_hops(fd: BorrowedFd<'_>, hops: u8) -> io::Result<()> {
    let v4 = set(fd, libc::IPPROTO_IP, libc::IP_TTL, c_int::from(hops));
    let v6 = set(fd, libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, c_int::from(hops));
    v4.or(v6)
}

/// `close` forgets the connection without a packet (needs privileges).
pub fn set_forgotten_on_close(fd: BorrowedFd<'_>) -> io::Result<()> {
    set(fd, libc::IPPROTO_TCP, libc::TCP_REPAIR, 1)
}

/// Accept data in the first segment; `queue` bounds the connections that have not proved their address.
pub fn set_fast_open(fd: BorrowedFd<'_>, queue: u32) -> io::Result<()> {
    set(fd, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, queue.min(c_int::MAX as u32) as c_int)
}

/// Largest segment to announce, in bytes.
pub fn set_max_segment(fd: BorrowedFd<'_>, bytes: u32) -> io::Result<()> {
    set(fd, libc::IPPROTO_TCP, libc::TCP_MAXSEG, bytes.min(c_int::MAX as u32) as c_int)
}

/// Type of service of IPv4 packets (`tos`), also tried as the traffic class of IPv6.
pub fn set_tos(fd: BorrowedFd<'_>, tos: u8) -> io::Result<()> {
    let v4 = set(fd, libc::IPPROTO_IP, libc::IP_TOS, c_int::from(tos));
    let v6 = set(fd, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, c_int::from(tos));
    v6.or(v4)
}

/// Idle seconds before probes, seconds between probes, probes before giving up; `None` leaves the system's value.
pub fn set_keep_alive_timing(
    fd: BorrowedFd<'_>,
    idle: Option<u32>,
    every: Option<u32>,
    count: Option<u32>,
) -> io::Result<()> {
    let rows = [(libc::TCP_KEEPIDLE, idle), (libc::TCP_KEEPINTVL, every), (libc::TCP_KEEPCNT, count)];
    for (name, value) in rows {
        if let Some(value) = value {
            set(fd, libc::IPPROTO_TCP, name, value.min(c_int::MAX as u32) as c_int)?;
        }
    }
    Ok(())
}

/// Room for received bytes; the kernel doubles and bounds it.
pub fn set_receive_buffer(fd: BorrowedFd<'_>, bytes: u32) -> io::Result<()> {
    set(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, bytes.min(c_int::MAX as u32) as c_int)
}

/// Room for bytes to send; the kernel doubles and bounds it.
pub fn set_send_buffer(fd: BorrowedFd<'_>, bytes: u32) -> io::Result<()> {
    set(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, bytes.min(c_int::MAX as u32) as c_int)
}

/// Unsent bytes above which the socket stops being writable.
pub fn set_not_sent_low_water(fd: BorrowedFd<'_>, bytes: u32) -> io::Result<()> {
    set(fd, libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, bytes.min(c_int::MAX as u32) as c_int)
}

/// Traffic leaves and enters by this network device only (needs privileges); empty releases it.
pub fn set_device(fd: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    let at = name.as_ptr().cast();
    // SAFETY: pointer and length describe `name`.
    unsafe {
        syscall!(setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            at,
            name.len() as socklen_t
        ))
    }
    .map(drop)
}

/// `close` discards unsent data and resets the connection.
pub fn set_reset_on_close(fd: BorrowedFd<'_>) -> io::Result<()> {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = mem::size_of::<libc::linger>() as socklen_t;
    // SAFETY: pointer and size describe one linger structure.
    unsafe {
        syscall!(setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size
        ))
    }
    .map(drop)
}

/// Takes the pending error of a socket (the result of a non-blocking connect).
pub fn take_error(fd: BorrowedFd<'_>) -> io::Result<Option<io::Error>> {
    let code = get(fd, libc::SOL_SOCKET, libc::SO_ERROR)?;
    Ok((code != 0).then(|| io::Error::from_raw_os_error(code)))
}

/// Whether a socket listens.
pub fn is_listening(fd: BorrowedFd<'_>) -> io::Result<bool> {
    get(fd, libc::SOL_SOCKET, libc::SO_ACCEPTCONN).map(|on| on != 0)
}

/// Whether the socket keeps a byte stream.
pub fn is_stream(fd: BorrowedFd<'_>) -> io::Result<bool> {
    get(fd, libc::SOL_SOCKET, libc::SO_TYPE).map(|kind| kind == libc::SOCK_STREAM)
}

/// Whether the socket shares its port with others ([`set_reuse_port`]).
pub fn reuses_port(fd: BorrowedFd<'_>) -> io::Result<bool> {
    get(fd, libc::SOL_SOCKET, libc::SO_REUSEPORT).map(|on| on != 0)
}

/// What the kernel knows of a TCP connection; times in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// Smoothed round trip.
    pub rtt_us: u32,
    /// Its mean deviation.
    pub rtt_var_us: u32,
    /// Segments not acknowledged yet; the accept queue's length on a listener.
    pub unacked: u32,
    /// The accept queue's limit on a listener; segments acknowledged selectively otherwise.
    pub sacked: u32,
    /// Segments believed lost.
    pub lost: u32,
    /// Segments sent again and not acknowledged yet.
    pub retrans: u32,
    /// Segments sent again, ever.
    pub total_retrans: u32,
    /// Forward acknowledgement estimate.
    pub fackets: u32,
    /// Segments that came out of order before this many.
    pub reordering: u32,
    /// Sending window in segments.
    pub cwnd: u32,
}

/// Reads [`TcpInfo`]; an error on sockets that are not TCP.
pub fn tcp_info(fd: BorrowedFd<'_>) -> io::Result<TcpInfo> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut size = mem::size_of::<libc::tcp_info>() as socklen_t;
    // SAFETY: the kernel writes at most `size` bytes into the structure.
    unsafe {
        syscall!(getsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &mut size
        ))
    }?;
    // SAFETY: integers only, zeroed before: whatever part the kernel filled, it is valid.
    let info = unsafe { info.assume_init() };
    Ok(TcpInfo {
        rtt_us: info.tcpi_rtt,
        rtt_var_us: info.tcpi_rttvar,
        unacked: info.tcpi_unacked,
        sacked: info.tcpi_sacked,
        lost: info.tcpi_lost,
        retrans: info.tcpi_retrans,
        total_retrans: info.tcpi_total_retrans,
        fackets: info.tcpi_fackets,
        reordering: info.tcpi_reordering,
        cwnd: info.tcpi_snd_cwnd,
    })
}

/// Connections waiting in a TCP listener's accept queue.
pub fn accept_queue(fd: BorrowedFd<'_>) -> io::Result<u32> {
    tcp_info(fd).map(|info| info.unacked)
}

/// Bytes received and not read yet.
pub fn unread(fd: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: c_int = 0;
    // SAFETY: FIONREAD (SIOCINQ) writes one c_int.
    unsafe { syscall!(ioctl(fd.as_raw_fd(), libc::FIONREAD, &mut bytes)) }?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// Bytes sent and not acknowledged yet.
pub fn unsent(fd: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: c_int = 0;
    // SAFETY: TIOCOUTQ (SIOCOUTQ) writes one c_int.
    unsafe { syscall!(ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, &mut bytes)) }?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// Where a redirected connection was going before the packet filter turned it here.
pub fn original_destination(fd: BorrowedFd<'_>, v6: bool) -> io::Result<SocketAddr> {
    if v6 {
        let mut to = MaybeUninit::<libc::sockaddr_in6>::zeroed();
        let mut size = mem::size_of::<libc::sockaddr_in6>() as socklen_t;
        let at = to.as_mut_ptr().cast();
        // SAFETY: the kernel writes at most `size` bytes into the address.
        unsafe { syscall!(getsockopt(fd.as_raw_fd(), libc::IPPROTO_IPV6, SO_ORIGINAL_DST, at, &mut size)) }?;
        // SAFETY: integers only, zeroed before.
        let to = unsafe { to.assume_init() };
        let ip = Ipv6Addr::from(to.sin6_addr.s6_addr);
        return Ok(SocketAddrV6::new(ip, u16::from_be(to.sin6_port), 0, to.sin6_scope_id).into());
    }
    let mut to = MaybeUninit::<libc::sockaddr_in>::zeroed();
    let mut size = mem::size_of::<libc::sockaddr_in>() as socklen_t;
    let at = to.as_mut_ptr().cast();
    // SAFETY: the kernel writes at most `size` bytes into the address.
    unsafe { syscall!(getsockopt(fd.as_raw_fd(), libc::IPPROTO_IP, SO_ORIGINAL_DST, at, &mut size)) }?;
    // SAFETY: integers only, zeroed before.
    let to = unsafe { to.assume_init() };
    Ok(SocketAddrV4::new(Ipv4Addr::from(u32::from_be(to.sin_addr.s_addr)), u16::from_be(to.sin_port)).into())
}

/// User, group and process of the peer of a UNIX stream socket, as of its connect.
pub fn unix_peer(fd: BorrowedFd<'_>) -> io::Result<(u32, u32, u32)> {
    let mut who = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut size = mem::size_of::<libc::ucred>() as socklen_t;
    let at = (&raw mut who).cast();
    // SAFETY: the kernel writes at most `size` bytes into the structure.
    unsafe { syscall!(getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, at, &mut size)) }?;
    Ok((who.uid, who.gid, who.pid.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    type Switch = fn(BorrowedFd<'_>, bool) -> io::Result<()>;

    #[test]
    fn switches_reach_the_kernel() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let rows: &[(Switch, c_int, c_int)] = &[
            (set_reuse_port, libc::SOL_SOCKET, libc::SO_REUSEPORT),
            (set_reuse_addr, libc::SOL_SOCKET, libc::SO_REUSEADDR),
            (set_keep_alive, libc::SOL_SOCKET, libc::SO_KEEPALIVE),
            (set_nodelay, libc::IPPROTO_TCP, libc::TCP_NODELAY),
            (set_cork, libc::IPPROTO_TCP, libc::TCP_CORK),
            (set_free_bind, libc::IPPROTO_IP, libc::IP_FREEBIND),
            (set_bind_address_no_port, libc::IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT),
        ];
        for (switch, level, name) in rows {
            for on in [true, false] {
                switch(tcp.as_fd(), on).unwrap();
                assert_eq!(get(tcp.as_fd(), *level, *name).unwrap() != 0, on, "option {level}/{name}");
            }
        }
        set_quick_ack(tcp.as_fd(), true).unwrap();
        set_fast_open_connect(tcp.as_fd(), true).ok();
        assert!(
            is_listening(tcp.as_fd()).unwrap()
                && is_stream(tcp.as_fd()).unwrap()
                && !reuses_port(tcp.as_fd()).unwrap()
        );
        let unix = std::os::unix::net::UnixDatagram::unbound().unwrap();
        assert!(set_nodelay(unix.as_fd(), true).is_err() && tcp_info(unix.as_fd()).is_err());
        assert!(!is_stream(unix.as_fd()).unwrap());
    }

    #[test]
    fn values_reach_the_kernel() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let fd = tcp.as_fd();
        set_defer_accept(fd, Duration::from_millis(10)).unwrap();
        assert!(get(fd, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT).unwrap() > 0);
        set_defer_accept(fd, Duration::ZERO).unwrap();
        assert_eq!(get(fd, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT).unwrap(), 0);
        set_user_timeout(fd, Duration::from_millis(1234)).unwrap();
        assert_eq!(get(fd, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT).unwrap(), 1234);
        set_keep_alive_timing(fd, Some(11), None, Some(3)).unwrap();
        assert_eq!(get(fd, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE).unwrap(), 11);
        set_fast_open(fd, 16).unwrap();
        set_max_segment(fd, 1200).unwrap();
        set_tos(fd, 0x10).unwrap();
        set_not_sent_low_water(fd, 4096).unwrap();
        set_send_buffer(fd, 65536).unwrap();
        set_receive_buffer(fd, 65536).unwrap();
        assert!(set_device(fd, "no-such-device-here").is_err());
    }

    #[test]
    fn queues_and_peers_are_seen() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(accept_queue(listener.as_fd()).unwrap(), 1);
        let (server, _) = listener.accept().unwrap();
        assert_eq!(accept_queue(listener.as_fd()).unwrap(), 0);
        client.write_all(b"12345").unwrap();
        server.set_nonblocking(false).unwrap();
        server.peek(&mut [0; 5]).unwrap();
        assert_eq!(unread(server.as_fd()).unwrap(), 5);
        assert_eq!(unsent(server.as_fd()).unwrap(), 0);
        assert!(tcp_info(client.as_fd()).unwrap().cwnd > 0);
        assert!(take_error(client.as_fd()).unwrap().is_none());
        set_reset_on_close(client.as_fd()).unwrap();
        drop(client);
        // A child that another test forks at this moment may hold the socket for a little longer.
        let error = loop {
            match take_error(server.as_fd()).unwrap() {
                Some(error) => break error,
                None => std::thread::yield_now(),
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert!(original_destination(server.as_fd(), false).is_err(), "not redirected");
        assert!(original_destination(server.as_fd(), true).is_err(), "not redirected");
        let (a, _b) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(unix_peer(a.as_fd()).unwrap().2, std::process::id());
    }
}
