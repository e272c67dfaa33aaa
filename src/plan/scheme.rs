//! Balancing: what the plan holds of an algorithm and what a worker makes of it.

use std::net::IpAddr;

use crate::base::hash::{avalanche, HashFn};
use crate::base::ids::ServerId;

/// What a balancer may know of a server at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerView {
    /// Which server.
    pub id: ServerId,
    /// Its `id` number within the backend (consistent hashing and `first` use it).
    pub puid: u32,
    /// May receive new work: up, not in maintenance, weight above 0, of the class (active or backup) in use.
    pub usable: bool,
    /// Present weight.
    pub weight: u32,
    /// Connections it serves now, over all workers.
    pub current: u32,
    /// Requests waiting for it.
    pub queued: u32,
    /// `maxconn`, 0: unlimited.
    pub maxconn: u32,
}

/// What is known of the request that needs a server.
pub struct PickCx<'a> {
    /// The servers of the backend as they are now, in the order of the file.
    pub servers: &'a [ServerView],
    /// The client's address.
    pub source: Option<IpAddr>,
    /// The request head, in HTTP mode.
    pub req: Option<&'a crate::msg::Head>,
    /// What the client sent so far, in TCP mode.
    pub bytes: &'a [u8],
    /// The first bytes of the body, in HTTP mode.
    pub body: &'a [u8],
    /// The key of `balance hash <expr>`, already evaluated.
    pub key: Option<&'a [u8]>,
    /// A number for schemes that draw.
    pub random: u64,
    /// A server that has just failed this request: not chosen while there is another.
    pub avoid: Option<ServerId>,
}

/// `hash-type` and `hash-balance-factor`: how a hash becomes a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HashType {
    /// On a ring of nodes, else in a table of slots.
    pub consistent: bool,
    /// The function.
    pub function: HashFn,
    /// Its result is spread over the whole word.
    pub avalanche: bool,
    /// On a ring: no server gets more than so many percent of the mean load; 0: no bound.
    pub load_factor: u32,
}

impl Default for HashType {
    /// `map-based sdbm`.
    fn default() -> Self {
        HashType { consistent: false, function: HashFn::Sdbm, avalanche: false, load_factor: 0 }
    }
}

impl HashType {
    /// `consistent` without a function.
    pub fn consistent() -> Self {
        HashType { consistent: true, avalanche: true, ..HashType::default() }
    }

    /// The hash of a key.
    pub fn of(&self, key: &[u8]) -> u32 {
        self.mix(self.function.of(key))
    }

    /// A hash that needs no function.
    pub fn mix(&self, hash: u32) -> u32 {
        if self.avalanche {
            avalanche(hash)
        } else {
            hash
        }
    }
}

/// An algorithm with its arguments, as configured.
pub trait Scheme: Send + Sync {
    /// The name shown in statistics (`roundrobin`, `leastconn`...).
    fn name(&self) -> &'static str;
    /// What one worker needs to run it.
    fn start(&self, servers: &[ServerView], hash: &HashType) -> Box<dyn Balancer>;
    /// It looks at the load of every server, also of those without `maxconn`.
    fn by_load(&self) -> bool {
        false
    }
    /// One server is as good as another to it: a request whose server fails goes elsewhere at once.
    fn takes_turns(&self) -> bool {
        false
    }
}

/// An algorithm at work in one worker, for one backend.
pub trait Balancer {
    /// A usable server for this request; `None`: none fits (or the key is missing: the caller falls back).
    fn pick(&mut self, cx: &PickCx<'_>) -> Option<ServerId>;
    /// State or weight of a server changed.
    fn changed(&mut self, servers: &[ServerView]);
    /// A request was given to this server.
    fn took(&mut self, _server: ServerId) {}
    /// A request left this server.
    fn left(&mut self, _server: ServerId) {}
}
