//! One end of a connection, client or server side, plain or TLS: sends, expects, half-closes, resets,
//! always with a deadline.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use openssl::ssl::{ShutdownState, SslRef, SslStream};
use socket2::SockRef;

use crate::deadline::{left, LIMIT};

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The other side closed its direction.
    Eof,
    /// The other side reset the connection.
    Reset,
}

enum Line {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<SslStream<TcpStream>>),
}

/// A connection with a memory of what was received and not yet looked at.
pub struct Peer {
    line: Line,
    unread: Vec<u8>,
    limit: Duration,
    /// How much one read may take.
    gulp: usize,
}

enum Got {
    Bytes,
    End(End),
    Late,
}

impl Peer {
    /// Connects over TCP. A refused connection is tried again until the deadline: the program may be starting.
    #[track_caller]
    pub fn connect(addr: SocketAddr) -> Peer {
        crate::until(&format!("a connection to {addr}"), || TcpStream::connect_timeout(&addr, LIMIT).ok())
            .into()
    }

    /// Connects once.
    pub fn try_connect(addr: SocketAddr) -> io::Result<Peer> {
        TcpStream::connect_timeout(&addr, LIMIT).map(Peer::from)
    }

    /// Connects from a given local address (127.0.0.x), for what looks at the source.
    #[track_caller]
    pub fn connect_from(from: &str, addr: SocketAddr) -> Peer {
        let sock =
            socket2::Socket::new(socket2::Domain::for_address(addr), socket2::Type::STREAM, None).unwrap();
        let from = SocketAddr::new(from.parse().unwrap(), 0);
        sock.bind(&from.into()).unwrap();
        sock.connect_timeout(&addr.into(), LIMIT).unwrap();
        TcpStream::from(sock).into()
    }

    /// Connects with a small receive buffer, so that what is not read stays with the program.
    #[track_caller]
    pub fn connect_narrow(addr: SocketAddr, bytes: usize) -> Peer {
        let sock =
            socket2::Socket::new(socket2::Domain::for_address(addr), socket2::Type::STREAM, None).unwrap();
        sock.set_recv_buffer_size(bytes).unwrap();
        sock.connect_timeout(&addr.into(), LIMIT).unwrap();
        TcpStream::from(sock).into()
    }

    /// Another deadline than [`LIMIT`] for every later wait.
    pub fn limit(mut self, limit: Duration) -> Peer {
        self.limit = limit;
        self
    }

    /// Takes nothing from the socket that was not asked for: for what another reader goes on with.
    pub fn careful(mut self) -> Peer {
        self.gulp = 1;
        self
    }

    /// The TCP address of this end.
    pub fn addr(&self) -> SocketAddr {
        self.tcp().local_addr().unwrap()
    }

    /// The TCP address of the other end.
    pub fn remote(&self) -> SocketAddr {
        self.tcp().peer_addr().unwrap()
    }

    /// The port of this end.
    pub fn port(&self) -> u16 {
        self.addr().port()
    }

    fn tcp(&self) -> &TcpStream {
        match &self.line {
            Line::Tcp(s) => s,
            Line::Tls(s) => s.get_ref(),
            Line::Unix(_) => panic!("a UNIX connection has no TCP address"),
        }
    }

    /// The TLS state, for tests of versions, ciphers, resumption.
    #[track_caller]
    pub fn tls(&self) -> &SslRef {
        match &self.line {
            Line::Tls(s) => s.ssl(),
            _ => panic!("not a TLS connection"),
        }
    }

    /// The plain TCP stream under this peer, which must not be TLS.
    pub fn into_tcp(self) -> TcpStream {
        match self.line {
            Line::Tcp(s) => s,
            _ => panic!("not a plain TCP connection"),
        }
    }

    /// Sends all of it.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        if let Err(e) = self.try_send(bytes.as_ref()) {
            panic!("sending {}: {e}", show(bytes.as_ref()));
        }
    }

    /// Sends all of it, or says why not.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let end = Instant::now() + self.limit;
        match &mut self.line {
            Line::Tcp(s) => s.set_write_timeout(Some(left(end))).and_then(|()| s.write_all(bytes.as_ref())),
            Line::Unix(s) => s.set_write_timeout(Some(left(end))).and_then(|()| s.write_all(bytes.as_ref())),
            Line::Tls(s) => {
                s.get_ref().set_write_timeout(Some(left(end)))?;
                s.write_all(bytes.as_ref())
            }
        }
    }

    /// Exactly `n` bytes.
    #[track_caller]
    pub fn take(&mut self, n: usize) -> Vec<u8> {
        self.fill(&format!("{n} bytes"), |b| (b.len() >= n).then_some(n))
    }

    /// All bytes up to and including `mark`.
    #[track_caller]
    pub fn upto(&mut self, mark: impl AsRef<[u8]>) -> Vec<u8> {
        let mark = mark.as_ref();
        self.fill(&format!("bytes up to {}", show(mark)), |b| find(b, mark).map(|at| at + mark.len()))
    }

    /// The next bytes must be these.
    #[track_caller]
    pub fn expect(&mut self, bytes: impl AsRef<[u8]>) {
        let wanted = bytes.as_ref();
        let came = self.take(wanted.len());
        assert!(came == wanted, "expected {}\n     came {}", show(wanted), show(&came));
    }

    /// Everything until the other side closes.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        let (bytes, end) = self.drain();
        assert!(end == End::Eof, "reset after {}", show(&bytes));
        bytes
    }

    /// Everything until the end, and which end it was.
    #[track_caller]
    pub fn drain(&mut self) -> (Vec<u8>, End) {
        let end = Instant::now() + self.limit;
        loop {
            match self.more(end) {
                Got::Bytes => {}
                Got::End(how) => return (std::mem::take(&mut self.unread), how),
                Got::Late => panic!("no end within {:?} after {}", self.limit, show(&self.unread)),
            }
        }
    }

    /// Nothing more comes but the end; says which.
    #[track_caller]
    pub fn ends(&mut self) -> End {
        let (bytes, end) = self.drain();
        assert!(bytes.is_empty(), "expected the end, came {}", show(&bytes));
        end
    }

    /// Nothing comes, not even the end, for this long.
    #[track_caller]
    pub fn silent(&mut self, time: Duration) {
        match self.more(Instant::now() + time) {
            Got::Late if self.unread.is_empty() => {}
            Got::End(how) => panic!("expected silence, came {how:?}"),
            _ => panic!("expected silence, came {}", show(&self.unread)),
        }
    }

    /// Reads at most `n` bytes of what is there or comes next; empty at the end.
    #[track_caller]
    pub fn some(&mut self, n: usize) -> Vec<u8> {
        if self.unread.is_empty() {
            match self.more(Instant::now() + self.limit) {
                Got::Bytes => {}
                Got::End(_) => return Vec::new(),
                Got::Late => panic!("nothing within {:?}", self.limit),
            }
        }
        let n = n.min(self.unread.len());
        self.unread.drain(..n).collect()
    }

    /// Closes this direction (a FIN; over TLS the closing alert and then the FIN).
    pub fn half_close(&mut self) {
        match &mut self.line {
            Line::Tcp(s) => drop(s.shutdown(Shutdown::Write)),
            Line::Unix(s) => drop(s.shutdown(Shutdown::Write)),
            Line::Tls(s) => {
                let _ = s.shutdown();
                let _ = s.get_ref().shutdown(Shutdown::Write);
            }
        }
    }

    /// Closes with a reset.
    pub fn reset(self) {
        let _ = SockRef::from(self.tcp()).set_linger(Some(Duration::ZERO));
    }

    /// Did the other side send the closing alert of TLS?
    pub fn closed_politely(&mut self) -> bool {
        match &mut self.line {
            Line::Tls(s) => s.get_shutdown().contains(ShutdownState::RECEIVED),
            _ => false,
        }
    }

    /// Waits for bytes until `whole` says how many of them make the thing; takes these.
    #[track_caller]
    pub(crate) fn fill(&mut self, what: &str, whole: impl Fn(&[u8]) -> Option<usize>) -> Vec<u8> {
        match self.try_fill(whole) {
            Ok(bytes) => bytes,
            Err(why) => panic!("expected {what}: {why} after {}", show(&self.unread)),
        }
    }

    /// The same, with the reason why it did not come.
    pub(crate) fn try_fill(&mut self, whole: impl Fn(&[u8]) -> Option<usize>) -> Result<Vec<u8>, String> {
        let end = Instant::now() + self.limit;
        loop {
            if let Some(n) = whole(&self.unread) {
                return Ok(self.unread.drain(..n).collect());
            }
            match self.more(end) {
                Got::Bytes => {}
                Got::End(how) => return Err(format!("{how:?}")),
                Got::Late => return Err(format!("nothing more within {:?}", self.limit)),
            }
        }
    }

    /// Has the other side closed already, with nothing left to take? Does not wait.
    pub fn has_ended(&mut self) -> bool {
        self.unread.is_empty() && matches!(self.more(Instant::now()), Got::End(_))
    }

    fn more(&mut self, end: Instant) -> Got {
        let mut area = [0; 65536];
        let chunk = &mut area[..self.gulp];
        loop {
            let got = match &mut self.line {
                Line::Tcp(s) => s.set_read_timeout(Some(left(end))).and_then(|()| s.read(chunk)),
                Line::Unix(s) => s.set_read_timeout(Some(left(end))).and_then(|()| s.read(chunk)),
                Line::Tls(s) => {
                    let _ = s.get_ref().set_read_timeout(Some(left(end)));
                    tls_read(s, chunk)
                }
            };
            match got {
                Ok(0) => return Got::End(End::Eof),
                Ok(n) => {
                    self.unread.extend_from_slice(&chunk[..n]);
                    return Got::Bytes;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    if Instant::now() >= end {
                        return Got::Late;
                    }
                }
                Err(_) => return Got::End(End::Reset),
            }
        }
    }
}

/// Reads TLS; the end of the connection without the closing alert counts as an end too.
fn tls_read(s: &mut SslStream<TcpStream>, into: &mut [u8]) -> io::Result<usize> {
    match s.ssl_read(into) {
        Ok(n) => Ok(n),
        Err(e) => match (e.code(), e.into_io_error()) {
            (openssl::ssl::ErrorCode::ZERO_RETURN, _) => Ok(0),
            (openssl::ssl::ErrorCode::SYSCALL, Err(_)) => Ok(0),
            (openssl::ssl::ErrorCode::WANT_READ, Err(_)) => Err(io::ErrorKind::WouldBlock.into()),
            (_, Ok(e)) => Err(e),
            (_, Err(e)) => {
                if e.to_string().to_lowercase().contains("unexpected eof") {
                    return Ok(0);
                }
                Err(io::Error::other(e))
            }
        },
    }
}

impl From<TcpStream> for Peer {
    fn from(s: TcpStream) -> Peer {
        s.set_nodelay(true).ok();
        Peer { line: Line::Tcp(s), unread: Vec::new(), limit: LIMIT, gulp: 65536 }
    }
}

impl From<UnixStream> for Peer {
    fn from(s: UnixStream) -> Peer {
        Peer { line: Line::Unix(s), unread: Vec::new(), limit: LIMIT, gulp: 65536 }
    }
}

impl From<SslStream<TcpStream>> for Peer {
    fn from(s: SslStream<TcpStream>) -> Peer {
        Peer { line: Line::Tls(Box::new(s)), unread: Vec::new(), limit: LIMIT, gulp: 65536 }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer with {} unread", show(&self.unread))
    }
}

/// Bytes as a person reads them, long ones cut.
pub fn show(bytes: &[u8]) -> String {
    let shown: String = bytes.iter().take(2000).flat_map(|b| b.escape_ascii()).map(char::from).collect();
    format!("{} bytes: \"{shown}\"{}", bytes.len(), if bytes.len() > 2000 { ".." } else { "" })
}

/// Where `mark` begins in `bytes`.
pub fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len().max(1)).position(|w| w == mark)
}
