//! The loop of one process: accepts, hands edges to connections, fires delays. Made by `main`, or by a test in a thread.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpListener;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Protocol, Socket, Type};

use crate::answer::Cache;
use crate::conn::{Conn, Shared, Verdict, SCRATCH};

/// Tokens of listeners start here; below are connections.
const LISTENERS: usize = 1 << 40;

/// The token of the descriptor whose end ends the process.
const LEASH: Token = Token(LISTENERS - 1);

/// Length of the queue of connections that wait to be accepted.
const BACKLOG: i32 = 4096;

/// Opens a listening socket. `shared`: other processes listen on the same address (SO_REUSEPORT).
pub fn listen(addr: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&addr.into())?;
    socket.set_tcp_nodelay(true)?; // inherited by what is accepted
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

struct Slot {
    conn: Option<Box<Conn>>,
    /// Counts the connections that lived here: a timer of a former one is known by it.
    generation: u32,
}

/// One process's loop.
pub struct Server {
    poll: Poll,
    listeners: Vec<TcpListener>,
    slots: Vec<Slot>,
    free: Vec<usize>,
    timers: BinaryHeap<Reverse<(Instant, usize, u32)>>,
    shared: Shared,
    /// Accepting stopped for want of descriptors; tried again when one is given back.
    starved: bool,
    ended: bool,
}

impl Server {
    /// A server on these sockets. `leash`: end when this descriptor (a pipe) does.
    pub fn new(mut listeners: Vec<TcpListener>, leash: Option<i32>) -> io::Result<Server> {
        let poll = Poll::new()?;
        for (index, listener) in listeners.iter_mut().enumerate() {
            poll.registry().register(listener, Token(LISTENERS + index), Interest::READABLE)?;
        }
        if let Some(fd) = leash {
            poll.registry().register(&mut SourceFd(&fd), LEASH, Interest::READABLE)?;
        }
        let seed = std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 0u8) | 1;
        Ok(Server {
            poll,
            listeners,
            slots: Vec::new(),
            free: Vec::new(),
            timers: BinaryHeap::new(),
            shared: Shared { cache: Cache::default(), scratch: vec![0; SCRATCH].into_boxed_slice(), seed },
            starved: false,
            ended: false,
        })
    }

    /// The addresses served.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.listeners.iter().map(TcpListener::local_addr).collect()
    }

    /// Serves until the leash ends, for ever without one.
    pub fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        while !self.ended {
            let timeout = self
                .timers
                .peek()
                .map(|Reverse((at, _, _))| at.saturating_duration_since(Instant::now()))
                .map(|left| left.max(Duration::from_micros(1)));
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            }
            for event in &events {
                match event.token() {
                    LEASH => self.ended = true,
                    Token(index) if index >= LISTENERS => self.accept(index - LISTENERS),
                    Token(index) => {
                        let (readable, writable) = (event.is_readable(), event.is_writable());
                        let hup = event.is_read_closed() || event.is_error();
                        self.drive(index, |conn, shared| {
                            conn.on_edge(readable || hup, writable, hup, shared)
                        });
                    }
                }
            }
            if !self.timers.is_empty() {
                self.fire();
            }
        }
        Ok(())
    }

    fn accept(&mut self, index: usize) {
        let Some(listener) = self.listeners.get(index) else { return };
        loop {
            match listener.accept() {
                Ok((mut sock, _)) => {
                    let at = self.free.pop().unwrap_or_else(|| {
                        self.slots.push(Slot { conn: None, generation: 0 });
                        self.slots.len() - 1
                    });
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    if self.poll.registry().register(&mut sock, Token(at), interest).is_ok() {
                        self.slots[at].conn = Some(Box::new(Conn::new(sock)));
                    } else {
                        self.free.push(at);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                // out of descriptors: wait until one is given back
                Err(e) if matches!(e.raw_os_error(), Some(23 | 24)) => {
                    self.starved = true;
                    return;
                }
                Err(_) => {}
            }
        }
    }

    fn drive(&mut self, at: usize, step: impl FnOnce(&mut Conn, &mut Shared) -> Verdict) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        let Some(conn) = slot.conn.as_mut() else { return };
        match step(conn, &mut self.shared) {
            Verdict::Keep => {}
            Verdict::Delay(ms) => {
                let when = Instant::now() + Duration::from_millis(u64::from(ms));
                self.timers.push(Reverse((when, at, slot.generation)));
            }
            Verdict::Close => {
                slot.conn = None; // closing the descriptor takes it out of the poller
                slot.generation = slot.generation.wrapping_add(1);
                self.free.push(at);
                if std::mem::take(&mut self.starved) {
                    for index in 0..self.listeners.len() {
                        self.accept(index);
                    }
                }
            }
        }
    }

    fn fire(&mut self) {
        let now = Instant::now();
        while let Some(&Reverse((when, at, generation))) = self.timers.peek() {
            if when > now {
                return;
            }
            self.timers.pop();
            if self.slots.get(at).is_some_and(|slot| slot.generation == generation) {
                self.drive(at, Conn::answer_now);
            }
        }
    }
}
