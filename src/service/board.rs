//! All numbers and switches of the running program as one board: counters added up over the workers,
//! the state of servers and frontends, limits. Statistics and commands read and turn them here;
//! because the board is shared memory, every worker sees a change.

use crate::base::ids::{ListenerId, ProxyId, ServerId};
use crate::service::stats::columns::Col;
use crate::service::stats::info::{Limits, Totals};
use std::net::SocketAddr;

/// What a counter belongs to.
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

/// Whether an operator keeps a server from taking traffic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admin {
    /// It takes traffic as its health allows.
    Ready,
    /// Only what is bound to it by persistence.
    Drain,
    /// Nothing.
    Maint,
}

/// A server at this moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServerView {
    /// What the operator wants.
    pub admin: Admin,
    /// Whether its health (or the lack of checks) lets it take traffic.
    pub up: bool,
    /// Weight as configured or set, 0 to 256.
    pub weight: u32,
    /// Limit on sessions, 0 for none.
    pub maxconn: u32,
    /// Address in place of the configured one.
    pub addr: Option<SocketAddr>,
    /// Seconds since it last went up or down.
    pub since_change: u32,
    /// Seconds it was down altogether.
    pub downtime: u32,
}

impl ServerView {
    /// Whether new clients are sent there.
    pub fn is_usable(&self) -> bool {
        self.up && self.admin == Admin::Ready
    }

    /// The part of the weight that counts now.
    pub fn effective_weight(&self) -> u32 {
        match self.admin {
            Admin::Ready => self.weight,
            Admin::Drain | Admin::Maint => 0,
        }
    }
}

/// Whether a frontend accepts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrontState {
    /// It accepts.
    Open,
    /// Its sockets exist but nothing is accepted (`disable frontend`).
    Paused,
    /// Its sockets are closed for good (`shutdown frontend`).
    Stopped,
}

/// A limit that can be changed while the program runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// Connections over all workers.
    Maxconn,
    /// New connections per second.
    ConnRate,
    /// New sessions per second.
    SessRate,
    /// New TLS handshakes per second.
    SslRate,
}

/// Which counters `clear counters` sets back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clear {
    /// The highest values seen.
    Maxima,
    /// Everything that counts.
    All,
}

/// The board.
pub trait Board {
    /// The value of a counter column, added up over all workers.
    fn count(&self, of: Object, col: Col) -> u64;
    /// Sums for `show info`.
    fn totals(&self) -> Totals;
    /// Sets counters back.
    fn clear(&self, what: Clear);
    /// Limits in force.
    fn limits(&self) -> Limits;
    /// Changes a limit.
    fn set_limit(&self, limit: Limit, value: u32);
    /// A server's state.
    fn server(&self, id: ServerId) -> ServerView;
    /// Sets a weight, 0 to 256.
    fn set_weight(&self, id: ServerId, weight: u32);
    /// Sets what the operator wants.
    fn set_admin(&self, id: ServerId, admin: Admin);
    /// Sets a limit on sessions, 0 for none.
    fn set_server_maxconn(&self, id: ServerId, maxconn: u32);
    /// Sets an address in place of the configured one.
    fn set_addr(&self, id: ServerId, addr: SocketAddr);
    /// Ends the sessions with a server.
    fn shutdown_sessions(&self, id: ServerId);
    /// Whether a frontend accepts.
    fn front(&self, id: ProxyId) -> FrontState;
    /// Changes whether a frontend accepts.
    fn set_front(&self, id: ProxyId, state: FrontState);
    /// A frontend's limit on sessions.
    fn front_maxconn(&self, id: ProxyId) -> u32;
    /// Sets a frontend's limit on sessions.
    fn set_front_maxconn(&self, id: ProxyId, maxconn: u32);
    /// Seconds since a backend last went up or down, and seconds it was down altogether.
    fn back_times(&self, id: ProxyId) -> (u32, u32);
    /// Seconds since the last session, `None` if there was none.
    fn last_session(&self, of: Object) -> Option<u32>;
}
