//! The log daemon: receives datagrams, over UDP or a UNIX socket, one line each.

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use crate::deadline::left;
use crate::{Dir, LIMIT};

enum Sock {
    Udp(UdpSocket),
    Unix(UnixDatagram, #[allow(dead_code, reason = "removes the socket's file on drop")] Dir),
}

/// A receiver of log lines.
pub struct Logs {
    sock: Sock,
    address: String,
}

impl Logs {
    /// A receiver on a UDP port.
    pub fn udp() -> Logs {
        let sock = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = sock.local_addr().unwrap().to_string();
        Logs { sock: Sock::Udp(sock), address }
    }

    /// A receiver on a UNIX socket.
    pub fn unix() -> Logs {
        let dir = Dir::new();
        let address = dir.at("log");
        let sock = UnixDatagram::bind(&address).unwrap();
        Logs { sock: Sock::Unix(sock, dir), address }
    }

    /// What to write after `log` in a configuration.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The next datagram, as it came.
    #[track_caller]
    pub fn next(&self) -> String {
        self.within(LIMIT).unwrap_or_else(|| panic!("no log line within {LIMIT:?}"))
    }

    /// The next datagram that contains `mark`; the others are dropped.
    #[track_caller]
    pub fn next_with(&self, mark: &str) -> String {
        let mut others = Vec::new();
        let end = Instant::now() + LIMIT;
        while let Some(line) = self.within(left(end)) {
            if line.contains(mark) {
                return line;
            }
            others.push(line);
        }
        panic!("no log line with {mark:?}, but:\n{}", others.concat());
    }

    /// No line with `mark` comes for this long.
    #[track_caller]
    pub fn none_with(&self, mark: &str, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            if let Some(line) = self.within(left(end)) {
                assert!(!line.contains(mark), "unexpected log line: {line}");
            }
        }
    }

    /// The next datagram within `time`.
    pub fn within(&self, time: Duration) -> Option<String> {
        let mut bytes = [0; 65536];
        let end = Instant::now() + time;
        let got = match &self.sock {
            Sock::Udp(s) => s.set_read_timeout(Some(left(end))).and_then(|()| s.recv(&mut bytes)),
            Sock::Unix(s, _) => s.set_read_timeout(Some(left(end))).and_then(|()| s.recv(&mut bytes)),
        };
        got.ok().map(|n| String::from_utf8_lossy(&bytes[..n]).into_owned())
    }
}

/// The text of a syslog line after `tag[pid]: `, without the line end.
#[track_caller]
pub fn text(line: &str) -> &str {
    let (_, text) = line.split_once("]: ").unwrap_or_else(|| panic!("no `tag[pid]: ` in {line:?}"));
    text.trim_end_matches('\n')
}
