//! A whole service of several processes: killed, frozen, reloaded, ended. Each answers 503, for it has no
//! servers; that is enough to see who serves.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use lighterman_harness::{eventually, procs, until, Watch, LIMIT};
use lighterman_sys::fork::{fork_child, Child, Exit};
use nix::sys::signal::Signal;
use socket2::{Domain, Socket, Type};

use super::{start, Launch, Reread};
use crate::base::ids::{ListenerId, ProxyId, ServerId};
use crate::plan::scheme::{Balancer, HashType, PickCx, Scheme, ServerView};
use crate::plan::{BindAddr, Listener, Mode, Plan, Proxy};

/// Balances nothing.
struct Nobody;

impl Scheme for Nobody {
    fn name(&self) -> &'static str {
        "nobody"
    }
    fn start(&self, _: &[ServerView], _: &HashType) -> Box<dyn Balancer> {
        Box::new(Nobody)
    }
}

impl Balancer for Nobody {
    fn pick(&mut self, _: &PickCx<'_>) -> Option<ServerId> {
        None
    }
    fn changed(&mut self, _: &[ServerView]) {}
}

/// A proxy without servers.
pub(super) fn proxy() -> Proxy {
    let mut proxy = Proxy::new(ProxyId(0), "web", Box::new(Nobody));
    proxy.mode = Mode::Http;
    proxy.is_frontend = true;
    proxy.is_backend = true;
    proxy
}

/// A service at work in processes of its own.
struct Service {
    addr: SocketAddr,
    master: Child,
    /// Keeps the port for the service: bound, never listening.
    _port: Socket,
}

fn plan(addr: SocketAddr, workers: u32) -> Plan {
    let mut proxy = proxy();
    proxy.listeners = vec![ListenerId(0)];
    let listener = Listener::new(ListenerId(0), ProxyId(0), BindAddr::Inet(addr));
    let mut plan = Plan { proxies: vec![proxy], listeners: vec![listener], ..Plan::default() };
    plan.global.nbproc = Some(workers);
    plan
}

impl Service {
    fn start(workers: u32, reread: impl FnOnce(SocketAddr) -> Reread) -> Service {
        let port = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        port.set_reuse_port(true).unwrap();
        port.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let addr = port.local_addr().unwrap().as_socket().unwrap();
        let launch = Launch {
            plan: plan(addr, workers),
            reread: reread(addr),
            single: false,
            daemon: false,
            notify: false,
            finish: Vec::new(),
            terminate: Vec::new(),
        };
        let master = fork_child(|| start(launch).unwrap_or(99)).unwrap();
        let service = Service { addr, master, _port: port };
        eventually("the first answer", || service.try_ask().is_some());
        service
    }

    fn same(workers: u32) -> Service {
        Service::start(workers, |addr| Box::new(move || Ok(plan(addr, workers))))
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        (&stream).write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        stream
    }

    fn try_ask(&self) -> Option<()> {
        let stream = TcpStream::connect(self.addr).ok()?;
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        (&stream).write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").ok()?;
        answered(stream).then_some(())
    }

    /// All that the master has forked.
    fn children(&self) -> Vec<u32> {
        procs::children(self.master.pid())
    }

    fn workers(&self) -> Vec<u32> {
        let name = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        self.children().into_iter().filter(|pid| name(pid).starts_with("lighterman-w")).collect()
    }

    fn end(self, signal: i32) -> Exit {
        self.master.kill(signal).unwrap();
        until("the end of the service", || self.master.try_wait().unwrap())
    }
}

/// A test that fails must not leave a service behind.
impl Drop for Service {
    fn drop(&mut self) {
        if matches!(self.master.try_wait(), Ok(None)) {
            let _ = self.master.kill(libc::SIGKILL);
            let _ = self.master.wait();
        }
    }
}

fn answered(mut stream: TcpStream) -> bool {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).is_ok() && text.starts_with(b"HTTP/1.1 503")
}

fn freeze(pid: u32) {
    procs::signal(pid, Signal::SIGSTOP);
    eventually("it to stand still", || procs::state(pid) == Some('T'));
}

/// A reread that fails at first, then asks for so many workers.
fn broken_then(workers: u32) -> impl FnOnce(SocketAddr) -> Reread {
    move |addr| {
        let mut broken = true;
        Box::new(move || match std::mem::take(&mut broken) {
            true => Err("line 1: what is this?".to_owned()),
            false => Ok(plan(addr, workers)),
        })
    }
}

#[test]
fn what_waits_in_the_queues_of_the_dead_is_served() {
    let service = Service::same(2);
    for _ in 0..20 {
        let workers = until("two workers", || Some(service.workers()).filter(|w| w.len() == 2));
        workers.iter().for_each(|pid| freeze(*pid));
        // They stand still: these all go to the queues.
        let clients: Vec<TcpStream> = (0..10).map(|_| service.connect()).collect();
        workers.iter().for_each(|pid| procs::signal(*pid, Signal::SIGKILL));
        assert!(clients.into_iter().all(answered));
    }
    assert_eq!(service.end(15), Exit::Code(143));
}

#[test]
fn the_clients_of_a_frozen_worker_are_taken_over_and_it_is_replaced() {
    let service = Service::same(2);
    let frozen = until("two workers", || Some(service.workers()).filter(|w| w.len() == 2))[0];
    freeze(frozen);
    let began = Watch::start();
    for _ in 0..20 {
        let one = Watch::start();
        assert!(answered(service.connect()));
        assert!(one.elapsed() < Duration::from_millis(1000), "waited {:?}", one.elapsed());
    }
    eventually("its end", || !procs::alive(frozen));
    assert!(began.elapsed() >= Duration::from_millis(1800), "replaced after {:?}", began.elapsed());
    eventually("two workers again", || service.workers().len() == 2);
    assert_eq!(service.end(2), Exit::Code(130));
}

#[test]
fn a_reload_changes_the_workers_and_fails_nobody() {
    let service = Service::start(2, broken_then(3));
    let old = until("two workers", || Some(service.workers()).filter(|w| w.len() == 2));
    service.master.kill(libc::SIGUSR2).unwrap();
    for _ in 0..50 {
        assert!(answered(service.connect()));
    }
    assert_eq!(service.workers(), old, "a broken file changes nothing");
    service.master.kill(libc::SIGHUP).unwrap();
    eventually("the old ones to leave", || {
        assert!(answered(service.connect()));
        old.iter().all(|pid| !procs::alive(*pid))
    });
    assert_eq!(service.workers().len(), 3);
    assert_eq!(service.end(10), Exit::Code(0));
}

#[test]
fn an_old_generation_finishes_what_it_has() {
    let service = Service::same(1);
    let old = service.workers();
    let mut client = TcpStream::connect(service.addr).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHo").unwrap();
    assert!(answered(service.connect()), "the first is accepted when a later one was answered");
    service.master.kill(libc::SIGUSR2).unwrap();
    eventually("a second generation", || service.workers().iter().any(|pid| !old.contains(pid)));
    assert!(procs::alive(old[0]));
    client.write_all(b"st: a\r\nConnection: close\r\n\r\n").unwrap();
    assert!(answered(client));
    eventually("the old one to leave", || !procs::alive(old[0]));
    assert_eq!(service.end(15), Exit::Code(143));
}

#[test]
fn nobody_outlives_the_master_and_a_frozen_one_does_not_keep_it() {
    let service = Service::same(2);
    let children = until("all of them", || Some(service.children()).filter(|c| c.len() == 3));
    service.master.kill(libc::SIGKILL).unwrap();
    service.master.wait().unwrap();
    eventually("the children to die", || children.iter().all(|pid| !procs::alive(*pid)));
    let service = Service::same(2);
    let workers = until("both workers", || Some(service.workers()).filter(|w| w.len() == 2));
    freeze(workers[1]);
    assert_eq!(service.end(15), Exit::Code(143));
}
