//! In-memory sockets for deterministic tests: bounded, half-closable, resettable, and as edge-triggered as
//! a kernel's. A [`Net`] stands for the network behind the worker: whom it connects to, and how that ends.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::event::ready::Edges;
use crate::expr::view::Txn;

#[derive(Default)]
struct Lane {
    bytes: VecDeque<u8>,
    ended: bool,
}

/// What one end's poller would say.
#[derive(Default)]
struct Watch {
    token: Option<u64>,
    news: Edges,
}

/// How far a connection attempt has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Attempt {
    /// It is there.
    #[default]
    Done,
    /// Nobody answers.
    Silent,
    /// Nobody listens.
    Refused,
}

#[derive(Default)]
struct Wire {
    lanes: [Lane; 2],
    closed: [bool; 2],
    watch: [Watch; 2],
    reset: bool,
    attempt: Attempt,
    capacity: usize,
}

impl Wire {
    fn tell(&mut self, side: usize, news: Edges) {
        let old = &mut self.watch[side].news;
        old.read |= news.read;
        old.write |= news.write;
        old.peer_ended |= news.peer_ended;
        old.error |= news.error;
    }

    /// Nothing more comes from that end.
    fn end(&mut self, side: usize) {
        if !std::mem::replace(&mut self.lanes[side].ended, true) {
            let both = self.lanes[0].ended && self.lanes[1].ended;
            self.tell(1 - side, Edges { read: true, peer_ended: true, error: both, ..Edges::default() });
            if both {
                self.tell(side, Edges { read: true, peer_ended: true, error: true, ..Edges::default() });
            }
        }
    }

    fn reset(&mut self) {
        self.reset = true;
        for side in [0, 1] {
            self.tell(side, Edges { read: true, write: true, peer_ended: true, error: true });
        }
    }

    /// What a poller says of a descriptor that it has just been shown.
    fn state(&self, side: usize) -> Edges {
        if self.attempt == Attempt::Silent {
            return Edges::default();
        }
        let ended = self.lanes[1 - side].ended;
        Edges {
            read: ended || !self.lanes[1 - side].bytes.is_empty(),
            write: true,
            peer_ended: ended || self.reset,
            error: self.reset || self.attempt == Attempt::Refused,
        }
    }
}

/// One end of an in-memory pair. Dropped with bytes unread it resets the connection, as a kernel's does.
pub struct MemSock {
    wire: Arc<Mutex<Wire>>,
    side: usize,
}

/// Both ends of a pair whose lanes hold `capacity` bytes each.
pub fn pair(capacity: usize) -> (MemSock, MemSock) {
    let wire = Arc::new(Mutex::new(Wire { capacity, ..Wire::default() }));
    (MemSock { wire: wire.clone(), side: 0 }, MemSock { wire, side: 1 })
}

impl MemSock {
    fn wire(&self) -> MutexGuard<'_, Wire> {
        self.wire.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Registers with a poller that does not exist: the edges are fetched by [`Net::news`].
    pub fn watch(&self, token: u64) {
        let mut wire = self.wire();
        let now = wire.state(self.side);
        wire.watch[self.side] = Watch { token: Some(token), news: now };
    }

    /// Reads what the other end sent; bytes that came before a reset can still be read.
    pub fn recv(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut wire = self.wire();
        let reset = wire.reset;
        let full = wire.lanes[1 - self.side].bytes.len() >= wire.capacity;
        let lane = &mut wire.lanes[1 - self.side];
        if lane.bytes.is_empty() && reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if lane.bytes.is_empty() && !lane.ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = lane.bytes.len().min(into.len());
        for (slot, byte) in into.iter_mut().zip(lane.bytes.drain(..n)) {
            *slot = byte;
        }
        if full && n > 0 {
            wire.tell(1 - self.side, Edges { write: true, ..Edges::default() });
        }
        Ok(n)
    }

    /// Sends as much as there is room for.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut wire = self.wire();
        if wire.reset || wire.lanes[self.side].ended {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if wire.closed[1 - self.side] && !bytes.is_empty() {
            wire.reset();
            return Ok(bytes.len()); // the first send after the peer's close is lost
        }
        let room = wire.capacity.saturating_sub(wire.lanes[self.side].bytes.len());
        if room == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = room.min(bytes.len());
        wire.lanes[self.side].bytes.extend(bytes.iter().take(n));
        wire.tell(1 - self.side, Edges { read: true, ..Edges::default() });
        Ok(n)
    }

    /// Sends several slices as one.
    pub fn send_parts(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send(&parts.iter().flat_map(|p| p.iter().copied()).collect::<Vec<_>>())
    }

    /// The error a connection attempt ended with.
    pub fn take_error(&self) -> Option<io::Error> {
        let wire = self.wire();
        match wire.attempt {
            Attempt::Refused => Some(io::ErrorKind::ConnectionRefused.into()),
            _ => wire.reset.then(|| io::ErrorKind::ConnectionReset.into()),
        }
    }

    /// Nothing more comes from this end.
    pub fn shut_write(&mut self) {
        let side = self.side;
        self.wire().end(side);
    }

    /// Both ends see a reset from now on.
    pub fn reset(&mut self) {
        self.wire().reset();
    }

    /// What the other end sent, all of it.
    pub fn read_all(&mut self) -> Vec<u8> {
        let mut got = Vec::new();
        let mut part = [0; 4096];
        while let Ok(n @ 1..) = self.recv(&mut part) {
            got.extend_from_slice(&part[..n]);
        }
        got
    }

    /// The other end has said that nothing more comes, and all it said was read.
    pub fn is_ended(&self) -> bool {
        let wire = self.wire();
        let lane = &wire.lanes[1 - self.side];
        lane.bytes.is_empty() && (lane.ended || wire.reset)
    }

    /// The connection was broken by the other end.
    pub fn is_reset(&self) -> bool {
        self.wire().reset
    }
}

impl Drop for MemSock {
    fn drop(&mut self) {
        let side = self.side;
        let mut wire = self.wire();
        wire.watch[side] = Watch::default();
        if wire.lanes[1 - side].bytes.is_empty() {
            wire.end(side);
        } else {
            wire.reset();
        }
        wire.closed[side] = true;
    }
}

/// The network a worker lives in during a test.
#[derive(Default)]
pub struct Net {
    inner: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    wires: Vec<Arc<Mutex<Wire>>>,
    /// Connections the worker opened that no test has taken yet.
    opened: VecDeque<(SocketAddr, MemSock)>,
    /// Far ends of attempts that failed.
    never: Vec<MemSock>,
    /// How attempts end from now on.
    attempt: Attempt,
    capacity: usize,
    ended: Vec<Txn>,
}

impl Net {
    /// A network whose connections hold `capacity` bytes each way.
    pub fn new(capacity: usize) -> Net {
        Net { inner: Mutex::new(Inside { capacity, ..Inside::default() }) }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A connection: the test's end, the worker's end.
    pub fn pair(&self) -> (MemSock, MemSock) {
        let mut inside = self.inside();
        let (theirs, ours) = pair(inside.capacity);
        inside.wires.push(theirs.wire.clone());
        (theirs, ours)
    }

    /// The worker opens a connection.
    pub fn connect(&self, to: SocketAddr) -> MemSock {
        let (theirs, ours) = self.pair();
        let mut inside = self.inside();
        theirs.wire().attempt = inside.attempt;
        match inside.attempt {
            Attempt::Done => inside.opened.push_back((to, theirs)),
            Attempt::Silent | Attempt::Refused => inside.never.push(theirs),
        }
        ours
    }

    /// How connection attempts end from now on.
    pub fn attempts_end(&self, how: Attempt) {
        self.inside().attempt = how;
    }

    /// The next connection the worker opened.
    pub fn take_opened(&self) -> Option<(SocketAddr, MemSock)> {
        self.inside().opened.pop_front()
    }

    /// What a poller would report now, each edge once; `late` may hold some back until the next time.
    pub fn news(&self, mut late: impl FnMut() -> bool) -> Vec<(u64, Edges)> {
        let mut out = Vec::new();
        let mut inside = self.inside();
        inside.wires.retain(|wire| Arc::strong_count(wire) > 1);
        for wire in &inside.wires {
            let mut wire = wire.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            for watch in &mut wire.watch {
                if let Some(token) = watch.token.filter(|_| watch.news != Edges::default()) {
                    if !late() {
                        out.push((token, std::mem::take(&mut watch.news)));
                    }
                }
            }
        }
        out
    }

    /// Whether any edge waits to be fetched.
    pub fn has_news(&self) -> bool {
        let inside = self.inside();
        inside.wires.iter().any(|wire| {
            let wire = wire.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            wire.watch.iter().any(|w| w.token.is_some() && w.news != Edges::default())
        })
    }

    /// A stream has ended.
    pub fn note(&self, txn: &Txn) {
        self.inside().ended.push(txn.clone());
    }

    /// The streams that have ended since the last call.
    pub fn take_ended(&self) -> Vec<Txn> {
        std::mem::take(&mut self.inside().ended)
    }
}
