//! Clients of the command socket: an endpoint made of code at the other end of a real socket.
//!
//! The loop that owns them (control role, or the only process) registers each descriptor once, hands
//! the poller's edges to [`CliClient::ready`], calls [`CliClient::on_wake`] for every reason to wake
//! and sets the deadline it answers. [`CliDoor`] is a listening command socket.

use super::cli::session::CliSession;
use super::cli::{CliCx, Face};
use crate::base::tick::Tick;
use crate::event::ready::Ready;
use crate::plan::global::CliLevel;
use socket2::Socket;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

/// Reads and writes of one wake, after which other tasks have their turn.
const ROUNDS_PER_WAKE: usize = 8;

/// A listening command socket.
pub struct CliDoor {
    socket: Socket,
    level: CliLevel,
    home: Face,
    timeout: Duration,
}

impl CliDoor {
    /// A door over a socket that listens already. What comes in may do what `level` allows and may be
    /// silent for `timeout`.
    pub fn new(socket: Socket, level: CliLevel, home: Face, timeout: Duration) -> io::Result<CliDoor> {
        socket.set_nonblocking(true)?;
        Ok(CliDoor { socket, level, home, timeout })
    }

    /// The descriptor to watch.
    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// The next client, if one waits. A client that left again is skipped.
    pub fn accept(&self) -> io::Result<Option<CliClient>> {
        loop {
            match self.socket.accept() {
                Ok((socket, _)) => {
                    socket.set_nonblocking(true)?;
                    return Ok(Some(CliClient {
                        socket,
                        session: CliSession::new(self.level, self.home, self.timeout),
                        ready: Ready::TRY,
                        heard: None,
                    }));
                }
                Err(why) if why.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(why) if matches!(why.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(why) => return Err(why),
            }
        }
    }
}

/// What a client wants after a wake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientNext {
    /// Wake it when its descriptor has news, or at that moment.
    Wait(Option<Tick>),
    /// Wake it again after the others.
    Again,
    /// Drop it.
    Close,
}

/// One client.
pub struct CliClient {
    socket: Socket,
    session: CliSession,
    /// What the poller told and was not used up.
    pub ready: Ready,
    /// When the client last sent or took something.
    heard: Option<Tick>,
}

/// What trying to move bytes came to.
#[derive(PartialEq, Eq)]
enum Moved {
    Some,
    Nothing,
    Broken,
}

impl CliClient {
    /// The descriptor to watch.
    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Reads, runs commands, writes.
    pub fn on_wake(&mut self, cx: &mut CliCx<'_>) -> ClientNext {
        let now = cx.now.tick;
        for _ in 0..ROUNDS_PER_WAKE {
            let read = self.read();
            self.session.run(cx);
            let sent = self.send();
            if sent == Moved::Broken || (self.session.is_over() && self.session.output().is_empty()) {
                return ClientNext::Close;
            }
            if read == Moved::Some || sent == Moved::Some {
                self.heard = Some(now);
                continue;
            }
            return self.rest(now);
        }
        ClientNext::Again
    }

    /// How long to wait; a silent client is dropped, unless it is us who keeps it waiting.
    fn rest(&mut self, now: Tick) -> ClientNext {
        let heard = *self.heard.get_or_insert(now);
        let deadline = heard.after(self.session.timeout().as_millis() as u64);
        let wake = self.session.wants_wake_at();
        if self.session.is_working() {
            return ClientNext::Wait(wake);
        }
        if now >= deadline {
            return ClientNext::Close;
        }
        ClientNext::Wait(Some(wake.map_or(deadline, |wake| wake.min(deadline))))
    }

    fn read(&mut self) -> Moved {
        let mut bytes = [0; 4096];
        let room = self.session.room().min(bytes.len());
        if room == 0 || !self.ready.readable() {
            return Moved::Nothing;
        }
        match (&self.socket).read(&mut bytes[..room]) {
            Ok(0) => {
                self.ready.drained();
                self.session.end_of_input();
                Moved::Nothing
            }
            Ok(n) => {
                self.session.feed(&bytes[..n]);
                Moved::Some
            }
            Err(why) if why.kind() == ErrorKind::Interrupted => Moved::Some,
            Err(why) => {
                self.ready.drained();
                if why.kind() != ErrorKind::WouldBlock {
                    self.session.end_of_input();
                }
                Moved::Nothing
            }
        }
    }

    fn send(&mut self) -> Moved {
        if self.session.output().is_empty() || !self.ready.writable() {
            return Moved::Nothing;
        }
        match (&self.socket).write(self.session.output()) {
            Ok(n) => {
                self.session.consume(n);
                Moved::Some
            }
            Err(why) if why.kind() == ErrorKind::Interrupted => Moved::Some,
            Err(why) if why.kind() == ErrorKind::WouldBlock => {
                self.ready.filled();
                Moved::Nothing
            }
            Err(_) => Moved::Broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::tick::Clock;
    use crate::plan::Plan;
    use crate::service::cli::fuzz::{memory_for, Nobody};
    use std::net::Shutdown;
    use std::os::unix::net::{UnixListener, UnixStream};

    struct Scene {
        door: CliDoor,
        clock: Clock,
        plan: Plan,
        path: std::path::PathBuf,
    }

    impl Scene {
        fn new(name: &str) -> Scene {
            let path = std::env::temp_dir().join(format!("lighterman-cli-{name}-{}", std::process::id()));
            let _ = std::fs::remove_file(&path);
            let listener = UnixListener::bind(&path).unwrap();
            let socket = Socket::from(std::os::fd::OwnedFd::from(listener));
            let door = CliDoor::new(socket, CliLevel::Admin, Face::Traffic, Duration::from_secs(10)).unwrap();
            Scene { door, clock: Clock::virtual_from_start(), plan: Plan::default(), path }
        }

        fn connect(&self) -> (UnixStream, CliClient) {
            let stream = UnixStream::connect(&self.path).unwrap();
            (stream, self.door.accept().unwrap().unwrap())
        }

        fn wake(&self, client: &mut CliClient) -> ClientNext {
            let mut host = Nobody;
            client.ready = Ready::TRY;
            let shm = memory_for(&self.plan).unwrap();
            let now = self.clock.read();
            client.on_wake(&mut CliCx { plan: &self.plan, now, shm: &shm, host: &mut host })
        }
    }

    impl Drop for Scene {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.path);
        }
    }

    #[test]
    fn a_client_that_half_closes_reads_all_its_answers() {
        let scene = Scene::new("half");
        let (mut stream, mut client) = scene.connect();
        stream.write_all(b"show version;show cli level\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        while scene.wake(&mut client) != ClientNext::Close {}
        drop(client);
        let mut heard = String::new();
        stream.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, format!("{}\n\nadmin\n\n", env!("CARGO_PKG_VERSION")));
        assert!(scene.door.accept().unwrap().is_none());
    }

    #[test]
    fn a_silent_client_is_dropped_and_a_waiting_one_is_not() {
        let mut scene = Scene::new("silent");
        let (_stream, mut client) = scene.connect();
        let start = scene.clock.read().tick;
        assert_eq!(scene.wake(&mut client), ClientNext::Wait(Some(start.after(10_000))));
        scene.clock.advance(10_000);
        assert_eq!(scene.wake(&mut client), ClientNext::Close);

        let (mut stream, mut client) = scene.connect();
        stream.write_all(b"wait 60s\n").unwrap();
        let end = scene.clock.read().tick.after(60_000);
        assert_eq!(scene.wake(&mut client), ClientNext::Wait(Some(end)));
        scene.clock.advance(30_000);
        assert_eq!(scene.wake(&mut client), ClientNext::Wait(Some(end)));
        scene.clock.advance(30_000);
        assert_eq!(scene.wake(&mut client), ClientNext::Close);
        drop(client);
        let mut heard = String::new();
        stream.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "Done.\n\n");
    }

    #[test]
    fn a_client_that_does_not_read_holds_no_more_than_a_screenful() {
        let scene = Scene::new("slow");
        let (mut stream, mut client) = scene.connect();
        stream.write_all("help;".repeat(250).as_bytes()).unwrap();
        stream.write_all(b"\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut stuck = 0;
        while stuck < 3 {
            stuck += usize::from(scene.wake(&mut client) != ClientNext::Again);
        }
        assert!(client.session.output().len() < 64 * 1024);
        stream.set_nonblocking(true).unwrap();
        let mut heard = 0;
        let mut bytes = [0; 8192];
        loop {
            match stream.read(&mut bytes) {
                Ok(n) => heard += n,
                Err(why) if why.kind() == ErrorKind::WouldBlock => {
                    if scene.wake(&mut client) == ClientNext::Close {
                        break;
                    }
                }
                Err(why) => panic!("{why}"),
            }
        }
        assert!(heard > 200 * 1000);
    }
}
