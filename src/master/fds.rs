//! The listening sockets: bound once, kept by the master, handed to every generation of workers.
//!
//! A TCP address has one socket per worker (SO_REUSEPORT), so that the backlog of a worker that died
//! waits for its successor. What cannot be doubled is shared by all.

use std::io;
use std::os::fd::OwnedFd;

use super::Fatal;
use crate::base::ids::ListenerId;
use crate::net::sock::listen::ListenSock;
use crate::plan::{BindAddr, Listener, Plan};

struct Entry {
    addr: BindAddr,
    /// One per worker, or a single one for all.
    fds: Vec<OwnedFd>,
}

/// The listening sockets of the service.
#[derive(Default)]
pub struct Sockets {
    entries: Vec<Entry>,
}

impl Sockets {
    /// Binds what the plan asks for. What `old` has is used as it is; what only `old` has is closed when it is dropped.
    pub fn open(plan: &Plan, workers: usize, old: &Sockets) -> Result<Sockets, Fatal> {
        let mut sockets = Sockets::default();
        for listener in &plan.listeners {
            if plan.proxy(listener.proxy).disabled || sockets.entries.iter().any(|e| e.addr == listener.addr)
            {
                continue;
            }
            let known = old.entries.iter().find(|e| e.addr == listener.addr);
            let entry =
                entry(listener, workers, known).map_err(|error| cannot_bind(plan, listener, &error))?;
            sockets.entries.push(entry);
        }
        Ok(sockets)
    }

    /// The sockets one worker accepts from. In a child: the others' copies are closed with the rest.
    pub fn for_worker(self, plan: &Plan, worker: usize) -> Vec<(ListenerId, OwnedFd)> {
        let mut mine: Vec<(BindAddr, OwnedFd)> = Vec::new();
        for mut entry in self.entries {
            let place = if entry.fds.len() == 1 { 0 } else { worker };
            if place < entry.fds.len() {
                mine.push((entry.addr, entry.fds.swap_remove(place)));
            }
        }
        let mut given = Vec::new();
        for listener in &plan.listeners {
            if let Some(at) = mine.iter().position(|(addr, _)| *addr == listener.addr) {
                given.push((listener.id, mine.swap_remove(at).1));
            }
        }
        given
    }

    /// Every socket of every worker, for whoever watches over them: `(worker, listener, socket)`.
    pub fn for_watch(self, plan: &Plan) -> Vec<(usize, ListenerId, OwnedFd)> {
        let mut all = Vec::new();
        for entry in self.entries {
            let Some(listener) = plan.listeners.iter().find(|l| l.addr == entry.addr) else { continue };
            if entry.fds.len() > 1 {
                all.extend(entry.fds.into_iter().enumerate().map(|(worker, fd)| (worker, listener.id, fd)));
            }
        }
        all
    }
}

fn entry(listener: &Listener, workers: usize, known: Option<&Entry>) -> io::Result<Entry> {
    let wanted = if matches!(listener.addr, BindAddr::Inet(_)) { workers } else { 1 };
    let mut fds = Vec::with_capacity(wanted);
    for old in known.iter().flat_map(|entry| &entry.fds).take(wanted) {
        fds.push(old.try_clone()?);
    }
    while fds.len() < wanted {
        fds.push(ListenSock::bind(listener, true)?);
    }
    Ok(Entry { addr: listener.addr.clone(), fds })
}

fn cannot_bind(plan: &Plan, listener: &Listener, error: &io::Error) -> Fatal {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => "the address is in use by another program".to_owned(),
        io::ErrorKind::PermissionDenied => "no permission (ports below 1024 want root)".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        _ => error.to_string(),
    };
    let proxy = &plan.proxy(listener.proxy).name;
    Fatal(format!("cannot bind {} (proxy '{proxy}', {}): {why}", addr_text(&listener.addr), listener.at))
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
