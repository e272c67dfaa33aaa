//! A whole worker without a kernel: an in-memory network, a clock that moves when told to, peers that do
//! what the test says. Everything that happens follows from the seed.

use std::net::SocketAddr;
use std::time::Duration;

use crate::balance::RoundRobin;
use crate::base::ids::{ListenerId, ProxyId, ServerId};
use crate::base::rng::Rng;
use crate::base::tick::Clock;
use crate::event::log::sink::LogSink;
use crate::expr::view::{Addr, Txn};
use crate::net::contexts::{self, Contexts};
use crate::net::sock::mem::{MemSock, Net};
use crate::net::sock::Sock;
use crate::plan::{BindAddr, Listener, Mode, Plan, Proxy, Server, ServerAddr, Timeouts};
use crate::shm::{Object, Shared};
use crate::worker::Worker;
use std::sync::atomic::Ordering::Relaxed;

mod errors;
mod flow;
mod http;
mod queue;

/// A proxy with one listener and so many servers.
fn plan(mode: Mode, servers: u32) -> Plan {
    let mut proxy = Proxy::new(ProxyId(0), "p", Box::new(RoundRobin));
    proxy.timeouts =
        Timeouts { client: Some(30_000), server: Some(30_000), connect: Some(5000), ..Timeouts::default() };
    proxy.mode = mode;
    proxy.is_frontend = true;
    proxy.is_backend = true;
    proxy.servers = (0..servers).map(ServerId).collect();
    proxy.listeners = vec![ListenerId(0)];
    let listen = Listener::new(ListenerId(0), ProxyId(0), BindAddr::Inet(([192, 0, 2, 80], 80).into()));
    let server = |n: u32| {
        let addr: SocketAddr = ([10, 0, 0, n as u8 + 1], 8080).into();
        Server::new(ServerId(n), ProxyId(0), &format!("s{n}"), ServerAddr::Inet(addr))
    };
    Plan {
        proxies: vec![proxy],
        listeners: vec![listen],
        servers: (0..servers).map(server).collect(),
        ..Plan::default()
    }
}

/// A worker and its network.
struct World<'p> {
    worker: Worker<'p>,
    rng: Rng,
    /// Edges come late now and then.
    late: bool,
}

/// Runs `test` in a world of that plan.
fn within(plan: &Plan, seed: u64, test: impl FnOnce(&mut World<'_>)) {
    let capacity = if seed == 0 { 1 << 16 } else { 1 << (4 + seed % 12) };
    within_narrow(plan, seed, capacity, test);
}

/// As [`within`], where sockets hold so many bytes.
fn within_narrow(plan: &Plan, seed: u64, capacity: usize, test: impl FnOnce(&mut World<'_>)) {
    let mut shm = Shared::new(&plan.names(), &contexts::extras(plan), 1).unwrap();
    shm.make_tables(&plan.tables, 0).unwrap();
    let tls = Contexts::build(plan, &shm, |_| {}).unwrap();
    let mut worker = Worker::new(plan, Vec::new(), LogSink::silent(), shm, &tls).unwrap();
    worker.clock = Clock::virtual_from_start();
    worker.house.now = worker.clock.read();
    worker.house.rng = Rng::from_seed(seed);
    worker.house.net = Some(Net::new(capacity));
    let mut world = World { worker, rng: Rng::from_seed(seed), late: seed % 3 == 1 };
    test(&mut world);
    world.end();
}

impl World<'_> {
    fn net(&self) -> &Net {
        self.worker.house.net.as_ref().unwrap()
    }

    /// A client connects.
    fn client(&mut self) -> MemSock {
        let (theirs, ours) = self.net().pair();
        let src = Addr::Inet("198.51.100.7:4711".parse().unwrap());
        let dst = Addr::Inet("192.0.2.80:80".parse().unwrap());
        self.worker.welcome(ListenerId(0), Sock::Mem(ours), src, dst);
        theirs
    }

    /// The next connection that was opened to a server; there must be one.
    fn server(&mut self) -> MemSock {
        self.settle();
        self.net().take_opened().expect("no connection to a server").1
    }

    /// No connection was opened to a server.
    fn no_server(&mut self) {
        self.settle();
        assert!(self.net().take_opened().is_none());
    }

    /// One turn of the loop.
    fn turn(&mut self) {
        let World { worker, rng, late } = self;
        let late = *late;
        let news = worker.house.net.as_ref().unwrap().news(|| late && rng.below(3) == 0);
        worker.house.poll.injected = news;
        worker.turn(Some(Duration::ZERO)).unwrap();
        worker.house.poll.injected.clear();
    }

    /// Turns until nothing is left to be done.
    fn settle(&mut self) {
        for _ in 0..100_000 {
            if !self.net().has_news() && self.worker.house.sched.is_idle() {
                return;
            }
            self.turn();
        }
        panic!("the worker never rests");
    }

    /// Time passes.
    fn pass(&mut self, ms: u64) {
        self.settle();
        self.worker.clock.advance(ms);
        self.turn();
        self.settle();
    }

    /// The streams that have ended since the last call.
    fn ended(&mut self) -> Vec<Txn> {
        self.settle();
        self.net().take_ended()
    }

    /// Status and termination code of the one stream that has ended since the last call.
    fn verdict(&mut self) -> (u16, String) {
        let ended = self.ended();
        assert_eq!(ended.len(), 1, "streams ended");
        (ended[0].status, String::from_utf8_lossy(&ended[0].term).into_owned())
    }

    /// Says it in pieces, as far as the worker takes them; what comes back meanwhile is collected.
    fn say(&mut self, sock: &mut MemSock, bytes: &[u8]) -> Vec<u8> {
        self.speak(sock, bytes, |sock| sock.read_all())
    }

    /// The server says it while the client listens; gives what the client heard.
    fn tell(&mut self, server: &mut MemSock, bytes: &[u8], client: &mut MemSock) -> Vec<u8> {
        let mut got = self.speak(server, bytes, |_| client.read_all());
        got.extend(self.hear(client));
        got
    }

    /// The server says it while both listen; gives what the client heard.
    fn converse(
        &mut self,
        client: &mut MemSock,
        server: &mut MemSock,
        bytes: &[u8],
        to_server: &mut Vec<u8>,
    ) -> Vec<u8> {
        let mut got = self.speak(server, bytes, |server| {
            to_server.extend(server.read_all());
            client.read_all()
        });
        loop {
            self.settle();
            let (left, right) = (client.read_all(), server.read_all());
            if left.is_empty() && right.is_empty() {
                return got;
            }
            got.extend(left);
            to_server.extend(right);
        }
    }

    /// Says it in pieces of any size, and listens in between.
    fn speak(
        &mut self,
        sock: &mut MemSock,
        bytes: &[u8],
        mut listen: impl FnMut(&mut MemSock) -> Vec<u8>,
    ) -> Vec<u8> {
        let mut got = Vec::new();
        let mut at = 0;
        let mut stuck = 0;
        while at < bytes.len() {
            let n = match self.rng.below(3) {
                0 => 1 + self.rng.below(16) as usize,
                1 => 1 + self.rng.below(2000) as usize,
                _ => usize::MAX,
            };
            let end = at.saturating_add(n).min(bytes.len());
            match sock.send(&bytes[at..end]) {
                Ok(n) => at += n,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    if !self.net().has_news() && self.worker.house.sched.is_idle() {
                        stuck += 1;
                    }
                    if stuck > 3 {
                        break; // the worker takes no more for now
                    }
                }
                Err(_) => break,
            }
            self.turn();
            got.extend(listen(sock));
        }
        self.settle();
        got.extend(listen(sock));
        got
    }

    /// What comes on a socket until the worker rests.
    fn hear(&mut self, sock: &mut MemSock) -> Vec<u8> {
        let mut got = Vec::new();
        loop {
            self.settle();
            let part = sock.read_all();
            if part.is_empty() {
                return got;
            }
            got.extend(part);
        }
    }

    /// Gauges that all workers share are back where they began.
    fn check_counts(&self) {
        let (plan, shm) = (self.worker.plan, &self.worker.house.shm);
        let objects = plan.servers.iter().map(|s| Object::Server(s.id));
        let backs = plan.proxies.iter().map(|p| Object::Back(p.id));
        let fronts = plan.proxies.iter().map(|p| Object::Front(p.id));
        for object in objects.chain(backs).chain(fronts) {
            let cell = shm.object(object);
            let now = (cell.current.load(Relaxed), cell.queued.load(Relaxed));
            assert_eq!(now, (0, 0), "current and queued of {object:?}");
        }
    }

    /// At the end nothing is left behind: no stream, no buffer, no task.
    fn end(&mut self) {
        for _ in 0..200 {
            self.pass(31_000);
            if self.worker.streams.is_empty() {
                break;
            }
        }
        let idle = self.worker.conns.iter().filter(|(_, c)| c.is_idle()).count();
        assert_eq!(self.worker.streams.len(), 0, "streams left");
        assert_eq!(self.worker.conns.len(), idle, "connections left that are not idle");
        assert_eq!(self.worker.house.pool.used_bytes(), 0, "buffers left");
        assert_eq!(self.worker.panics, 0);
        self.check_counts();
    }
}

/// Text, for assertions that show what is wrong.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}
