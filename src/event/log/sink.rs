//! Where log lines leave the process.
//!
//! Lines are queued during a turn and sent at its end, in the order of the events: one datagram or
//! one write per line, several datagrams per system call. Nothing here waits: what the kernel does
//! not take at once is dropped and counted. Sockets are opened before the process gives up its
//! root directory; a UNIX socket is connected then and found again by path when its server restarts.

use super::envelope::{Envelope, Sender};
use super::target::{LogAddr, LogLevel, LogTarget};
use crate::base::ids::ProxyId;
use crate::base::tick::Now;
use lighterman_sys::raw_write::write_now;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

/// Bytes queued before a turn's end at which lines are sent early.
const QUEUE_MAX: usize = 128 * 1024;

/// Seconds between two attempts to find a UNIX socket again.
const RECONNECT_SECS: u64 = 1;

/// The way out for one target.
#[derive(Debug)]
struct Outlet {
    target: LogTarget,
    /// Messages seen, for `sample`.
    seen: u64,
    /// Connected socket of a UNIX target.
    unix: Option<UnixDatagram>,
    /// Second of the last attempt to connect it.
    tried: u64,
}

/// One line of the queue: whose, and which bytes.
#[derive(Debug)]
struct Queued {
    outlet: usize,
    bytes: Range<usize>,
}

/// In whose name a line is written: that decides where it goes and its tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Speaker {
    /// The program itself: the `log` lines of the global section.
    Program,
    /// A proxy: its own `log` lines.
    Proxy(ProxyId),
}

/// What a speaker is configured with.
#[derive(Clone, Copy, Debug)]
pub struct Voice<'a> {
    /// Its `log` lines.
    pub targets: &'a [LogTarget],
    /// Its `log-tag`.
    pub tag: &'a str,
}

/// A [`Voice`] with the targets found among the outlets.
#[derive(Debug)]
struct Route {
    outlets: Vec<usize>,
    tag: String,
    /// Lines numbered so far.
    lines: u64,
}

/// The log output of one process.
#[derive(Debug)]
pub struct LogSink {
    envelope: Envelope,
    /// One per distinct target.
    outlets: Vec<Outlet>,
    program: Route,
    /// By proxy.
    proxies: Vec<Route>,
    udp4: Option<UdpSocket>,
    udp6: Option<UdpSocket>,
    wall: Duration,
    bytes: Vec<u8>,
    queue: Vec<Queued>,
    dropped: u64,
}

impl LogSink {
    /// Opens what the targets need: `program` for the global section, `proxies` in the order of their
    /// ids. A target that cannot be reached now is no error: its lines are dropped and counted until
    /// it can.
    pub fn open<'a>(
        sender: Sender,
        program: Voice<'_>,
        proxies: impl IntoIterator<Item = Voice<'a>>,
    ) -> LogSink {
        let mut sink = LogSink {
            envelope: Envelope::new(sender),
            outlets: Vec::new(),
            program: Route { outlets: Vec::new(), tag: String::new(), lines: 0 },
            proxies: Vec::new(),
            udp4: None,
            udp6: None,
            wall: Duration::ZERO,
            bytes: Vec::new(),
            queue: Vec::new(),
            dropped: 0,
        };
        sink.program = sink.route(program);
        for voice in proxies {
            let route = sink.route(voice);
            sink.proxies.push(route);
        }
        sink
    }

    /// Nothing is logged: for tests and for tools.
    pub fn silent() -> LogSink {
        LogSink::open(Sender::default(), Voice { targets: &[], tag: "" }, [])
    }

    fn route(&mut self, voice: Voice<'_>) -> Route {
        let outlets = voice.targets.iter().map(|target| self.outlet(target)).collect();
        Route { outlets, tag: voice.tag.to_owned(), lines: 0 }
    }

    /// The outlet of that target, opened when it is a new one.
    fn outlet(&mut self, target: &LogTarget) -> usize {
        if let Some(known) = self.outlets.iter().position(|outlet| outlet.target == *target) {
            return known;
        }
        let mut unix = None;
        match &target.to {
            LogAddr::Udp(SocketAddr::V4(_)) if self.udp4.is_none() => self.udp4 = udp("0.0.0.0:0").ok(),
            LogAddr::Udp(SocketAddr::V6(_)) if self.udp6.is_none() => self.udp6 = udp("[::]:0").ok(),
            LogAddr::Unix(path) => unix = connect(path).ok(),
            LogAddr::Udp(_) | LogAddr::Fd(_) => {}
        }
        self.outlets.push(Outlet { target: target.clone(), seen: 0, unix, tried: 0 });
        self.outlets.len() - 1
    }

    /// A new turn begins.
    pub fn turn(&mut self, now: Now) {
        self.wall = Duration::from_micros(now.wall_us);
    }

    /// Whether anybody listens to `from`: without that, a line need not be put together.
    pub fn is_heard(&self, from: Speaker) -> bool {
        match from {
            Speaker::Program => !self.program.outlets.is_empty(),
            Speaker::Proxy(id) => self.proxies.get(id.index()).is_some_and(|route| !route.outlets.is_empty()),
        }
    }

    /// The number of the next line of a proxy, from 0.
    pub fn number(&mut self, id: ProxyId) -> u64 {
        let Some(route) = self.proxies.get_mut(id.index()) else { return 0 };
        route.lines += 1;
        route.lines - 1
    }

    /// Queues one message (without line feed) for each target of `from` that wants its level.
    pub fn emit(&mut self, from: Speaker, level: LogLevel, text: &[u8]) {
        let route = match from {
            Speaker::Program => Some(&self.program),
            Speaker::Proxy(id) => self.proxies.get(id.index()),
        };
        let Some(route) = route else { return };
        for index in &route.outlets {
            let outlet = &mut self.outlets[*index];
            if level > outlet.target.max {
                continue;
            }
            let count = outlet.seen;
            outlet.seen += 1;
            if outlet.target.sample.as_ref().is_some_and(|sample| !sample.takes(count)) {
                continue;
            }
            let start = self.bytes.len();
            self.envelope.write(&mut self.bytes, &outlet.target, level, &route.tag, self.wall);
            self.bytes.extend_from_slice(text);
            // The line feed comes on top of `len` in a datagram and within it elsewhere.
            let feed = usize::from(matches!(outlet.target.to, LogAddr::Fd(_)));
            self.bytes.truncate(start + outlet.target.len.saturating_sub(feed));
            self.bytes.push(b'\n');
            self.queue.push(Queued { outlet: *index, bytes: start..self.bytes.len() });
        }
        if self.bytes.len() > QUEUE_MAX {
            self.send_queue();
        }
    }

    /// The same with a text that is put together on the spot.
    pub fn emit_fmt(&mut self, from: Speaker, level: LogLevel, text: std::fmt::Arguments<'_>) {
        if self.is_heard(from) {
            self.emit(from, level, text.to_string().as_bytes());
        }
    }

    /// Sends what the turn queued. Returns how many lines were lost since the last call.
    #[must_use = "lost lines belong into the shared counters"]
    pub fn flush(&mut self) -> u64 {
        self.send_queue();
        std::mem::take(&mut self.dropped)
    }

    fn send_queue(&mut self) {
        let queue = std::mem::take(&mut self.queue);
        let mut at = 0;
        while let Some(line) = queue.get(at) {
            let run = queue.iter().skip(at).take_while(|next| self.same_socket(line, next)).count();
            let lines = &queue[at..at + run];
            self.dropped += match self.outlets[line.outlet].target.to {
                LogAddr::Udp(_) => self.send_datagrams(lines),
                _ => lines.iter().filter(|line| self.send_one(line).is_err()).count() as u64,
            };
            at += run;
        }
        self.queue = queue;
        self.queue.clear();
        self.bytes.clear();
    }

    /// Whether two lines leave through the same socket, so that one call may send both.
    fn same_socket(&self, a: &Queued, b: &Queued) -> bool {
        match (&self.outlets[a.outlet].target.to, &self.outlets[b.outlet].target.to) {
            (LogAddr::Udp(a), LogAddr::Udp(b)) => a.is_ipv4() == b.is_ipv4(),
            _ => a.outlet == b.outlet,
        }
    }

    /// Sends datagrams through one UDP socket and returns how many were lost.
    fn send_datagrams(&self, lines: &[Queued]) -> u64 {
        let parts: Vec<(SocketAddr, &[u8])> = lines
            .iter()
            .filter_map(|line| match self.outlets[line.outlet].target.to {
                LogAddr::Udp(to) => Some((to, &self.bytes[line.bytes.clone()])),
                _ => None,
            })
            .collect();
        let socket = if parts.first().is_some_and(|(to, _)| to.is_ipv4()) { &self.udp4 } else { &self.udp6 };
        let sent = socket.as_ref().map_or(0, |socket| send_all(socket, &parts));
        (lines.len() - sent) as u64
    }

    fn send_one(&mut self, line: &Queued) -> io::Result<()> {
        let bytes = &self.bytes[line.bytes.clone()];
        let outlet = &mut self.outlets[line.outlet];
        match &outlet.target.to {
            LogAddr::Fd(fd) => write_now(*fd, bytes),
            LogAddr::Unix(path) => {
                match outlet.unix.as_ref().map(|socket| socket.send(bytes)) {
                    Some(Ok(_)) => return Ok(()),
                    Some(Err(why)) if why.kind() == io::ErrorKind::WouldBlock => return Err(why),
                    Some(Err(_)) => outlet.tried = 0,
                    None => {}
                }
                outlet.unix = None;
                if self.wall.as_secs() < outlet.tried + RECONNECT_SECS {
                    return Err(io::ErrorKind::NotConnected.into());
                }
                outlet.tried = self.wall.as_secs();
                outlet.unix.insert(connect(path)?).send(bytes).map(|_| ())
            }
            LogAddr::Udp(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl Drop for LogSink {
    fn drop(&mut self) {
        self.send_queue();
    }
}

fn udp(any: &str) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(any)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn connect(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect(path)?;
    Ok(socket)
}

/// Sends each datagram once and returns how many the kernel took.
#[cfg(target_os = "linux")]
fn send_all(socket: &UdpSocket, parts: &[(SocketAddr, &[u8])]) -> usize {
    use nix::sys::socket::{sendmmsg, MsgFlags, MultiHeaders, SockaddrStorage};
    use std::io::IoSlice;
    use std::os::fd::AsRawFd;

    if let [(to, bytes)] = parts {
        return usize::from(socket.send_to(bytes, to).is_ok());
    }
    let slices: Vec<[IoSlice<'_>; 1]> = parts.iter().map(|(_, bytes)| [IoSlice::new(bytes)]).collect();
    let to: Vec<Option<SockaddrStorage>> = parts.iter().map(|(to, _)| Some((*to).into())).collect();
    let mut sent = 0;
    let mut at = 0;
    // A failed datagram ends the call that it is the first of: go on behind it.
    while at < parts.len() {
        let mut headers = MultiHeaders::preallocate(parts.len() - at, None);
        let rest = slices[at..].iter();
        match sendmmsg(socket.as_raw_fd(), &mut headers, rest, &to[at..], [], MsgFlags::MSG_DONTWAIT) {
            Ok(results) => {
                let taken = results.count().max(1);
                sent += taken;
                at += taken;
            }
            Err(nix::errno::Errno::EAGAIN) => break,
            Err(_) => at += 1,
        }
    }
    sent
}

/// Sends each datagram once and returns how many the kernel took.
#[cfg(not(target_os = "linux"))]
fn send_all(socket: &UdpSocket, parts: &[(SocketAddr, &[u8])]) -> usize {
    parts.iter().filter(|(to, bytes)| socket.send_to(bytes, to).is_ok()).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::log::target::{Facility, LogFormat, Sample};
    use std::io::Read;
    use std::os::fd::AsRawFd;

    fn brief(to: LogAddr) -> LogTarget {
        LogTarget { format: LogFormat::Priority, ..LogTarget::new(to, Facility::Local0) }
    }

    fn open(targets: &[LogTarget]) -> LogSink {
        LogSink::open(Sender::default(), Voice { targets, tag: "t" }, [])
    }

    fn receiver() -> (UdpSocket, LogAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let address = LogAddr::Udp(socket.local_addr().unwrap());
        (socket, address)
    }

    fn next(socket: &UdpSocket) -> String {
        let mut datagram = [0; 2048];
        let n = socket.recv(&mut datagram).unwrap();
        String::from_utf8(datagram[..n].to_vec()).unwrap()
    }

    #[test]
    fn lines_leave_in_order_one_datagram_each() {
        let (one, to_one) = receiver();
        let (two, to_two) = receiver();
        let mut short = brief(to_two);
        short.len = 80;
        short.max = LogLevel::Notice;
        let mut sink = open(&[brief(to_one), short]);
        for n in 0..5 {
            sink.emit_fmt(Speaker::Program, LogLevel::Info, format_args!("info {n}"));
            sink.emit_fmt(Speaker::Program, LogLevel::Err, format_args!("{n}{}", "x".repeat(200)));
        }
        assert_eq!(sink.flush(), 0);
        for n in 0..5 {
            assert_eq!(next(&one), format!("<134>info {n}\n"));
            assert_eq!(next(&one), format!("<131>{n}{}\n", "x".repeat(200)));
            assert_eq!(next(&two), format!("<131>{n}{}\n", "x".repeat(74)), "cut at len, then the line feed");
        }
    }

    #[test]
    fn proxies_speak_to_their_own_targets_under_their_own_tag() {
        let (one, to_one) = receiver();
        let (two, to_two) = receiver();
        let (one_target, two_target) = (brief(to_one), LogTarget::new(to_two, Facility::User));
        let shared = [one_target.clone(), two_target];
        let voices = [Voice { targets: &[], tag: "mute" }, Voice { targets: &shared, tag: "web" }];
        let mut sink = LogSink::open(Sender::default(), Voice { targets: &shared[..1], tag: "main" }, voices);
        assert_eq!(sink.outlets.len(), 2, "equal targets share an outlet");
        let heard = |id| sink.is_heard(Speaker::Proxy(ProxyId(id)));
        assert_eq!([heard(0), heard(1), heard(2)], [false, true, false]);
        for id in [0, 1, 9] {
            sink.emit(Speaker::Proxy(ProxyId(id)), LogLevel::Info, format!("from {id}").as_bytes());
        }
        sink.emit(Speaker::Program, LogLevel::Info, b"bye");
        assert_eq!(sink.flush(), 0);
        assert_eq!(next(&one), "<134>from 1\n");
        assert_eq!(next(&one), "<134>bye\n");
        let line = next(&two);
        assert!(line.starts_with("<14>") && line.ends_with(" web[0]: from 1\n"), "{line}");
    }

    #[test]
    fn samples_and_levels_choose() {
        let (socket, address) = receiver();
        let mut target = brief(address);
        target.sample = Some(Sample { ranges: vec![(2, 2)], size: 3 });
        let mut sink = open(&[target]);
        for n in 0..6 {
            sink.emit_fmt(Speaker::Program, LogLevel::Info, format_args!("{n}"));
        }
        assert_eq!(sink.flush(), 0);
        assert_eq!(next(&socket), "<134>1\n");
        assert_eq!(next(&socket), "<134>4\n");
    }

    #[test]
    fn a_full_pipe_costs_lines_not_time() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut target = brief(LogAddr::Fd(writer.as_raw_fd()));
        target.format = LogFormat::Raw;
        target.len = 80;
        let mut sink = open(&[target]);
        let sent = 100_000;
        for _ in 0..sent {
            sink.emit(Speaker::Program, LogLevel::Info, &[b'y'; 200]);
        }
        let lost = sink.flush();
        assert!(lost > 0);
        drop((sink, writer));
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text.lines().count() as u64, sent - lost);
        assert!(text.lines().all(|line| line.len() == 79), "the line feed is within len");
    }

    #[test]
    fn a_restarted_unix_server_is_found_again() {
        let dir = std::env::temp_dir().join(format!("lighterman-log-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("log");
        let _ = std::fs::remove_file(&path);
        let mut sink = open(&[brief(LogAddr::Unix(path.clone()))]);
        let mut at = 10;
        let mut say = |text: &str| {
            at += 2;
            sink.turn(Now { wall_us: at * 1_000_000, ..Now::default() });
            sink.emit(Speaker::Program, LogLevel::Info, text.as_bytes());
            sink.flush()
        };
        assert_eq!(say("nobody listens"), 1);
        for word in ["first", "second"] {
            let server = UnixDatagram::bind(&path).unwrap();
            assert_eq!(say(word), 0);
            let mut line = [0; 100];
            let n = server.recv(&mut line).unwrap();
            assert_eq!(&line[..n], format!("<134>{word}\n").as_bytes());
            std::fs::remove_file(&path).unwrap();
        }
        assert_eq!(say("gone"), 1);
        std::fs::remove_dir(&dir).unwrap();
    }
}
