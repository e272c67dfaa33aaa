//! The last invalid message of each proxy and direction, for `show errors`.
//!
//! Kept by the worker that got it: one buffer's worth of bytes for each frontend (requests) and backend
//! (responses) at most, however many come.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

use super::{Below, Stream};
use crate::base::ids::{ConnId, ProxyId, ServerId};
use crate::expr::view::Addr;
use crate::net::cx::Cx;
use crate::net::fault::{Cause, Fault};
use lighterman_wire::error::What;

/// Whose message it was.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Side {
    /// A client's: it belongs to the frontend.
    Request,
    /// A server's: it belongs to the backend.
    Response,
}

/// An invalid message.
#[derive(Clone, Debug)]
pub struct Captured {
    /// Its number among those of all workers, from 0.
    pub number: u64,
    /// Whose it was.
    pub side: Side,
    /// When, microseconds since 1970.
    pub date_us: u64,
    /// Where the client came in.
    pub frontend: ProxyId,
    /// The backend, once chosen.
    pub backend: Option<ProxyId>,
    /// The server, once chosen.
    pub server: Option<ServerId>,
    /// The client's address.
    pub src: Addr,
    /// What had come and was not passed on.
    pub bytes: Vec<u8>,
    /// Offset of the byte that broke the clause.
    pub at: usize,
    /// The clause.
    pub what: What,
    /// Bytes a buffer holds.
    pub size: usize,
}

/// The last of each proxy and direction.
#[derive(Default)]
pub struct Errors {
    last: BTreeMap<(ProxyId, Side), Captured>,
}

impl Errors {
    /// All of them, by proxy.
    pub fn iter(&self) -> impl Iterator<Item = &Captured> {
        self.last.values()
    }
}

impl Stream {
    /// The client's message was refused.
    pub(super) fn capture_request(&self, fault: Fault, below: &mut Below<'_>, cx: &Cx<'_>) {
        self.capture(Side::Request, Some(self.front), fault, below, cx);
    }

    /// The server's message was refused, if that is what the fault says.
    pub(super) fn capture_response(&self, fault: Fault, below: &mut Below<'_>, cx: &Cx<'_>) {
        self.capture(Side::Response, self.back, fault, below, cx);
    }

    fn capture(&self, side: Side, of: Option<ConnId>, fault: Fault, below: &mut Below<'_>, cx: &Cx<'_>) {
        let size = cx.plan.global.tune.bufsize;
        let bytes = of.and_then(|id| below.conns.get(id)).map_or(&[][..], |conn| conn.raw_input());
        let bytes = bytes.get(..size).unwrap_or(bytes);
        let (what, at) = match fault.cause {
            Cause::Malformed(why) => (why.what, why.at),
            Cause::TooLarge => (What::HeadTooLarge, bytes.len()),
            _ => return,
        };
        let client = below.conns.get(self.front).and_then(|conn| conn.client());
        let captured = Captured {
            number: cx.shm.global().captures.fetch_add(1, Relaxed),
            side,
            date_us: cx.now.wall_us,
            frontend: self.frontend,
            backend: self.txn.backend,
            server: self.server,
            src: client.map_or(Addr::None, |client| client.facts.src),
            bytes: bytes.to_vec(),
            at,
            what,
            size,
        };
        let owner = if side == Side::Request { self.frontend } else { self.backend };
        below.errors.last.insert((owner, side), captured);
    }
}
