//! Objects of the configuration by name: each has a row in shared memory which it keeps as long as a
//! configuration names it, so counters and states survive reloads wherever the object stands in the file.
//!
//! Only the master gives rows out and takes them back, before it forks and after a generation ended.

use std::sync::atomic::Ordering::Relaxed;

use lighterman_sys::map::{load_bytes, store_bytes, Region};

use super::layout::{ObjectCell, NAME_WORDS};
use crate::base::ids::{ListenerId, ProxyId, ServerId};
use crate::base::limits::SHM_NAME;

/// What statistics belong to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Object {
    /// The client side of a proxy.
    Front(ProxyId),
    /// The server side of a proxy.
    Back(ProxyId),
    /// A server.
    Server(ServerId),
    /// A listening socket.
    Listener(ListenerId),
}

/// Whether a frontend accepts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrontState {
    /// It accepts.
    Open = 0,
    /// Its sockets exist but nothing is accepted (`disable frontend`).
    Paused = 1,
    /// Its sockets are closed for good (`shutdown frontend`).
    Stopped = 2,
}

impl ObjectCell {
    /// Whether the frontend in this row accepts.
    pub fn front_state(&self) -> FrontState {
        match self.state.load(Relaxed) {
            0 => FrontState::Open,
            1 => FrontState::Paused,
            _ => FrontState::Stopped,
        }
    }

    /// The limit on sessions, 0 for none: the configured one unless another was set at run time.
    #[inline]
    pub fn limit(&self, configured: u32) -> u32 {
        self.maxconn.load(Relaxed).checked_sub(1).unwrap_or(configured)
    }

    /// Sets the limit on sessions.
    pub fn set_limit(&self, limit: u32) {
        self.maxconn.store(limit.saturating_add(1), Relaxed);
    }

    /// The name, cut to what fits.
    pub fn label(&self) -> String {
        let mut bytes = [0; SHM_NAME];
        load_bytes(&self.name, &mut bytes);
        let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..len]).into_owned()
    }
}

/// The names of a configuration's objects, in the order of their ids.
#[derive(Clone, Default, Debug)]
pub struct Names {
    /// Names of the proxies.
    pub proxies: Vec<String>,
    /// Proxy and name of each server.
    pub servers: Vec<(ProxyId, String)>,
    /// Proxy and name (or address) of each listener.
    pub listeners: Vec<(ProxyId, String)>,
}

impl Names {
    /// Rows these objects need: each proxy has two sides.
    pub fn rows(&self) -> usize {
        self.proxies.len() * 2 + self.servers.len() + self.listeners.len()
    }
}

/// The rows of one configuration's objects. Row 0 belongs to nobody: what has no row counts there.
#[derive(Clone, Default, Debug)]
pub struct Rows {
    fronts: Vec<u32>,
    backs: Vec<u32>,
    servers: Vec<u32>,
    listeners: Vec<u32>,
}

impl Rows {
    /// The row of an object; 0 for what is not in this configuration.
    #[inline]
    pub fn of(&self, object: Object) -> usize {
        let (list, index) = match object {
            Object::Front(id) => (&self.fronts, id.index()),
            Object::Back(id) => (&self.backs, id.index()),
            Object::Server(id) => (&self.servers, id.index()),
            Object::Listener(id) => (&self.listeners, id.index()),
        };
        list.get(index).map_or(0, |row| *row as usize)
    }

    /// All rows.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let lists = [&self.fronts, &self.backs, &self.servers, &self.listeners];
        lists.into_iter().flatten().map(|row| *row as usize)
    }

    /// Finds or makes the row of every object. `None` when the table is too small: nothing is changed
    /// then.
    pub(super) fn assign(names: &Names, objects: &Region<ObjectCell>) -> Option<Rows> {
        let mut by_key: std::collections::HashMap<u64, u32> = std::collections::HashMap::new();
        let mut free = Vec::new();
        for (row, cell) in objects.iter().enumerate().skip(1).rev() {
            match cell.key.load(Relaxed) {
                0 => free.push(row as u32),
                key => drop(by_key.insert(key, row as u32)),
            }
        }
        let wanted: Vec<(char, String)> = Self::wanted(names).collect();
        let missing = wanted.iter().filter(|(kind, name)| !by_key.contains_key(&key_of(*kind, name)));
        if missing.count() > free.len() {
            return None;
        }
        let mut rows = wanted.iter().map(|(kind, name)| {
            let key = key_of(*kind, name);
            // An object named twice shares its row; the free list was found long enough above.
            *by_key.entry(key).or_insert_with(|| {
                let row = free.pop().unwrap_or(0);
                name_row(&objects[row as usize], key, name);
                row
            })
        });
        let mut take = |n: usize| -> Vec<u32> { rows.by_ref().take(n).collect() };
        let (fronts, backs) = (take(names.proxies.len()), take(names.proxies.len()));
        let (servers, listeners) = (take(names.servers.len()), take(names.listeners.len()));
        Some(Rows { fronts, backs, servers, listeners })
    }

    /// Kind and full name of each object, in the order of the lists.
    fn wanted(names: &Names) -> impl Iterator<Item = (char, String)> + '_ {
        let fronts = names.proxies.iter().map(|name| ('F', name.clone()));
        let backs = names.proxies.iter().map(|name| ('B', name.clone()));
        let full = |(proxy, name): &(ProxyId, String)| {
            let proxy = names.proxies.get(proxy.index()).map_or("", String::as_str);
            format!("{proxy}/{name}")
        };
        let servers = names.servers.iter().map(move |it| ('S', full(it)));
        let listeners = names.listeners.iter().map(move |it| ('L', full(it)));
        fronts.chain(backs).chain(servers).chain(listeners)
    }
}

fn name_row(cell: &ObjectCell, key: u64, name: &str) {
    let mut end = name.len().min(NAME_WORDS * 8);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    cell.name.iter().for_each(|word| word.store(0, Relaxed));
    store_bytes(&cell.name, &name.as_bytes()[..end]);
    cell.key.store(key, Relaxed);
}

fn key_of(kind: char, name: &str) -> u64 {
    let hash = xxhash_rust::xxh3::xxh3_64_with_seed(name.as_bytes(), kind as u64);
    // 0 means that a row is free.
    hash.max(1)
}
