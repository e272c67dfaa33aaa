//! The listening sockets: bound once, kept by the master, handed to every generation of workers.
//!
//! A TCP address has one socket per worker (SO_REUSEPORT), so that the backlog of a worker that died
//! waits for its successor. What cannot be doubled is shared by all. A socket whose address is still
//! wanted is never closed, for clients may wait in its queue: when there are fewer workers than sockets,
//! a worker gets several.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use lighterman_sys::io::Peer;

use super::Fatal;
use crate::base::ids::{ListenerId, ProxyId};
use crate::net::sock::listen::ListenSock;
use crate::plan::{BindAddr, CliSocket, Listener, Plan};
use crate::service::cli::Face;

struct Entry {
    addr: BindAddr,
    /// Which of the listeners with this address it belongs to: each that leaves the port to the kernel has
    /// its own.
    nth: usize,
    /// One per worker, or a single one for all.
    fds: Vec<OwnedFd>,
}

/// The listening sockets of the service.
#[derive(Default)]
pub struct Sockets {
    entries: Vec<Entry>,
    /// Command sockets: the service's and the master's.
    cli: Vec<(CliSocket, Face, OwnedFd)>,
}

impl Sockets {
    /// Binds what the plan asks for. What `old` has is used as it is; what only `old` has is closed when it is dropped.
    pub fn open(plan: &Plan, workers: usize, old: &Sockets) -> Result<Sockets, Fatal> {
        let mut sockets = Sockets::default();
        for listener in &plan.listeners {
            let nth = sockets.entries.iter().filter(|entry| entry.addr == listener.addr).count();
            let double = nth > 0 && !matches!(listener.addr, BindAddr::Inet(addr) if addr.port() == 0);
            if plan.proxy(listener.proxy).disabled || double {
                continue;
            }
            let known = old.entries.iter().find(|entry| entry.addr == listener.addr && entry.nth == nth);
            let fds = open(listener, workers, known).map_err(|error| cannot_bind(plan, listener, &error))?;
            sockets.entries.push(Entry { addr: listener.addr.clone(), nth, fds });
        }
        let global = &plan.global;
        let cli = global.cli.iter().map(|socket| (socket, Face::Traffic));
        for (socket, face) in cli.chain(global.master_cli.iter().map(|socket| (socket, Face::Master))) {
            let known = old.cli.iter().find(|(other, ..)| other.addr == socket.addr);
            let fd = match known {
                Some((.., fd)) => fd.try_clone(),
                None => ListenSock::bind(&door(socket), false),
            };
            let fd = fd.map_err(|error| {
                Fatal(format!("cannot bind the command socket {}: {}", addr_text(&socket.addr), why(&error)))
            })?;
            sockets.cli.push((socket.clone(), face, fd));
        }
        Ok(sockets)
    }

    /// The command sockets, to be taken by the process that answers.
    pub fn take_cli(&mut self) -> Vec<(CliSocket, Face, OwnedFd)> {
        std::mem::take(&mut self.cli)
    }

    /// The sockets one of `workers` accepts from. In a child: the others' copies are closed with the rest.
    pub fn for_worker(self, plan: &Plan, worker: usize, workers: usize) -> Vec<(ListenerId, OwnedFd)> {
        let mut given = Vec::new();
        for entry in self.entries {
            let Some(listener) = entry.listener(plan) else { continue };
            let shared = entry.fds.len() == 1;
            let mine = |at: usize| shared || at % workers.max(1) == worker;
            let fds = entry.fds.into_iter().enumerate().filter(|(at, _)| mine(*at));
            given.extend(fds.map(|(_, fd)| (listener, fd)));
        }
        given
    }

    /// Every socket that only one of `workers` accepts from, for whoever watches over them:
    /// `(worker, listener, socket)`.
    pub fn for_watch(self, plan: &Plan, workers: usize) -> Vec<(usize, ListenerId, OwnedFd)> {
        let mut all = Vec::new();
        for entry in self.entries.into_iter().filter(|entry| entry.fds.len() > 1) {
            let Some(listener) = entry.listener(plan) else { continue };
            let fds = entry.fds.into_iter().enumerate();
            all.extend(fds.map(|(at, fd)| (at % workers.max(1), listener, fd)));
        }
        all
    }
}

impl Entry {
    fn listener(&self, plan: &Plan) -> Option<ListenerId> {
        let same = plan
            .listeners
            .iter()
            .filter(|listener| listener.addr == self.addr && !plan.proxy(listener.proxy).disabled);
        same.map(|listener| listener.id).nth(self.nth)
    }
}

/// The sockets of one address: those known already, and as many more as are missing.
fn open(listener: &Listener, workers: usize, known: Option<&Entry>) -> io::Result<Vec<OwnedFd>> {
    let wanted = if matches!(listener.addr, BindAddr::Inet(_)) { workers } else { 1 };
    let mut fds = Vec::with_capacity(wanted);
    for old in known.iter().flat_map(|entry| &entry.fds) {
        fds.push(old.try_clone()?);
    }
    while fds.len() < wanted {
        let socket = match fds.first() {
            None => ListenSock::bind(listener, true)?,
            // the kernel may have chosen the port of the first
            Some(first) => ListenSock::bind(&at_address_of(first, listener)?, true)?,
        };
        fds.push(socket);
    }
    Ok(fds)
}

/// The listener with the address that a socket of it really has.
fn at_address_of(socket: &OwnedFd, listener: &Listener) -> io::Result<Listener> {
    match lighterman_sys::io::local_address(socket.as_fd())? {
        Peer::Inet(addr) => Ok(Listener { addr: BindAddr::Inet(addr), ..listener.clone() }),
        _ => Ok(listener.clone()),
    }
}

/// A command socket as something to be bound.
fn door(socket: &CliSocket) -> Listener {
    let mut listener = Listener::new(ListenerId(0), ProxyId(0), socket.addr.clone());
    listener.unix_mode = socket.mode;
    listener.unix_uid = socket.uid;
    listener.unix_gid = socket.gid;
    listener
}

fn cannot_bind(plan: &Plan, listener: &Listener, error: &io::Error) -> Fatal {
    let proxy = &plan.proxy(listener.proxy).name;
    Fatal(format!(
        "cannot bind {} (proxy '{proxy}', {}): {}",
        addr_text(&listener.addr),
        listener.at,
        why(error)
    ))
}

fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the address is in use by another program".to_owned(),
        io::ErrorKind::PermissionDenied => "no permission (ports below 1024 want root)".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        _ => error.to_string(),
    }
}

/// An address as the configuration writes it.
pub fn addr_text(addr: &BindAddr) -> String {
    match addr {
        BindAddr::Inet(addr) => addr.to_string(),
        BindAddr::Unix(path) => path.display().to_string(),
        BindAddr::Abstract(name) => format!("abns@{}", String::from_utf8_lossy(name)),
        BindAddr::Fd(number) => format!("fd@{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::ProxyId;
    use crate::master::tests::proxy;
    use std::collections::BTreeSet;
    use std::net::SocketAddr;

    fn plan(addrs: &[&str]) -> Plan {
        let addrs = addrs.iter().enumerate();
        let listeners = addrs.map(|(at, addr)| {
            let addr: SocketAddr = addr.parse().unwrap();
            Listener::new(ListenerId(at as u32), ProxyId(0), BindAddr::Inet(addr))
        });
        Plan { proxies: vec![proxy()], listeners: listeners.collect(), ..Plan::default() }
    }

    fn port(fd: &OwnedFd) -> u16 {
        match lighterman_sys::io::local_address(fd.as_fd()).unwrap() {
            Peer::Inet(addr) => addr.port(),
            _ => 0,
        }
    }

    fn queue(sockets: Sockets, plan: &Plan, workers: usize) -> Vec<usize> {
        sockets.for_watch(plan, workers).into_iter().map(|(worker, ..)| worker).collect()
    }

    #[test]
    fn all_sockets_of_an_address_share_the_port_that_the_first_got() {
        let plan = plan(&["127.0.0.1:0", "[::1]:0"]);
        let sockets = Sockets::open(&plan, 3, &Sockets::default()).unwrap();
        for entry in &sockets.entries {
            assert_eq!(entry.fds.len(), 3);
            assert_eq!(entry.fds.iter().map(port).collect::<BTreeSet<_>>().len(), 1);
        }
        let mine = sockets.for_worker(&plan, 2, 3);
        assert_eq!(mine.iter().map(|(id, _)| id.0).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn no_socket_is_closed_while_its_address_is_wanted() {
        let plan = plan(&["127.0.0.1:0"]);
        let four = Sockets::open(&plan, 4, &Sockets::default()).unwrap();
        let address = port(&four.entries[0].fds[0]);
        let two = Sockets::open(&plan, 2, &four).unwrap();
        assert!(two.entries[0].fds.iter().all(|fd| port(fd) == address));
        assert_eq!(queue(Sockets::open(&plan, 2, &four).unwrap(), &plan, 2), [0, 1, 0, 1]);
        assert_eq!(two.for_worker(&plan, 1, 2).len(), 2);
        let six = Sockets::open(&plan, 6, &four).unwrap();
        assert_eq!(six.entries[0].fds.len(), 6);
        assert!(six.entries[0].fds.iter().all(|fd| port(fd) == address));
        let other = self::plan(&["127.0.0.2:0"]);
        assert_ne!(port(&Sockets::open(&other, 1, &four).unwrap().entries[0].fds[0]), address);
    }

    #[test]
    fn what_is_taken_is_told_with_its_line() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut plan = plan(&[&taken.local_addr().unwrap().to_string()]);
        plan.listeners[0].at = "a.cfg:7".to_owned();
        let why = Sockets::open(&plan, 2, &Sockets::default()).err().unwrap().0;
        assert!(why.contains("in use") && why.contains("'web'") && why.contains("a.cfg:7"), "{why}");
    }
}
