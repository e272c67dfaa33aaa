//! Balancing: what the plan holds of an algorithm and what a worker makes of it.

use std::net::IpAddr;

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
    /// Hashes find their server on a ring (`hash-type consistent`).
    pub consistent: bool,
    /// A number for schemes that draw.
    pub random: u64,
    /// A server that has just failed this request: not chosen while there is another.
    pub avoid: Option<ServerId>,
}

/// An algorithm with its arguments, as configured.
pub trait Scheme: Send + Sync {
    /// The name shown in statistics (`roundrobin`, `leastconn`...).
    fn name(&self) -> &'static str;
    /// What one worker needs to run it.
    fn start(&self, servers: &[ServerView]) -> Box<dyn Balancer>;
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
