//! The HTTP/1 mux (RFC 9112): one exchange at a time, requests in and responses out on the client's
//! side, the other way round on the server's.
//!
//! [`rx`] turns bytes into a head, body bytes and an end; [`tx`] does the opposite. What both must know
//! of the exchange under way (was it HEAD, may the connection live on...) is in [`Exchange`].

mod rx;
mod tx;

use crate::base::buffer::Buffer;
use crate::base::ids::TaskId;
use crate::base::pool::Pool;
use crate::msg::Head;
use crate::net::fault::Fault;
use crate::net::mux::{After, Channel, Flow, MuxOps, Pipe};
use lighterman_wire::h1::Violations;
use lighterman_wire::http::method::Method;

/// Which side of the proxy a connection is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client's.
    Front,
    /// The server's.
    Back,
}

/// What one request and its response must know of each other.
#[derive(Clone, Copy, Debug)]
struct Exchange {
    /// The method of the request: it decides whether the response has a body.
    asked: Method,
    /// The request asks for another protocol (`Connection: upgrade`).
    upgrade: bool,
    /// The request was HTTP/1.1.
    v11: bool,
    /// The connection may carry another exchange.
    keep: bool,
    /// The response is an interim one (1xx but 101): another head follows.
    interim: bool,
}

impl Exchange {
    fn new() -> Self {
        Exchange { asked: Method::Get, upgrade: false, v11: true, keep: true, interim: false }
    }
}

/// How the head of the next message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadPoll {
    /// It is whole.
    Ready,
    /// More bytes are needed; some have come already.
    Partial,
    /// Nothing has come.
    Silent,
    /// The peer left before a first byte.
    Gone,
    /// It can never be whole.
    Broken(Fault),
}

/// One HTTP/1 connection.
pub struct H1Mux {
    pub(super) upper: Option<TaskId>,
    side: Side,
    exchange: Exchange,
    rx: rx::Rx,
    tx: tx::Tx,
    /// What becomes of messages that break the rules.
    violations: Violations,
}

impl H1Mux {
    /// A mux that waits for its first exchange.
    pub fn new(side: Side, violations: Violations) -> Self {
        H1Mux {
            upper: None,
            side,
            exchange: Exchange::new(),
            rx: rx::Rx::new(),
            tx: tx::Tx::new(),
            violations,
        }
    }

    /// See [`super::Mux::push_input`].
    pub fn push_input(&mut self, input: Buffer) {
        self.rx.buf = Some(input);
    }

    /// See [`super::Mux::push_output`].
    pub fn push_output(&mut self, output: Buffer) {
        self.tx.buf = Some(output);
    }

    /// See [`super::Mux::holds_output`].
    pub fn holds_output(&self) -> bool {
        self.tx.buf.is_some()
    }

    /// The head of the next message, held until a stream takes it.
    pub fn next_head(&self) -> Option<&Head> {
        self.rx.head.as_deref()
    }

    /// The bytes of a head that is not whole, or of one that was refused: kept for `show errors`.
    pub fn raw_input(&self) -> &[u8] {
        self.rx.buf.as_ref().map_or(&[], |b| b.readable())
    }

    /// Reads and parses until the next head is whole; the connection calls it while no stream is there.
    pub fn poll_head(&mut self, pipe: &mut Pipe<'_>) -> HeadPoll {
        self.rx.poll_head(self.side, self.violations, &mut self.exchange, pipe)
    }

    /// From here on bytes pass as they are, both ways (101, CONNECT).
    pub fn enter_tunnel(&mut self) {
        self.exchange.keep = false;
        self.rx.enter_tunnel();
        self.tx.enter_tunnel();
    }

    /// No exchange is under way and none has begun: the connection may rest or be closed at once.
    pub fn is_idle(&self) -> bool {
        self.upper.is_none() && self.rx.is_fresh() && self.tx.is_fresh()
    }

    /// Response bytes have come for the exchange under way.
    pub fn has_input(&self) -> bool {
        self.rx.buf.is_some() || self.rx.head.is_some()
    }

    /// Gives its buffers back: the connection is about to be closed.
    pub fn release(&mut self, pool: &mut Pool) {
        for buf in [self.rx.buf.take(), self.tx.buf.take()].into_iter().flatten() {
            pool.put(buf);
        }
    }

    /// Throws received bytes away, for a connection that is closed once its output has left.
    pub fn discard_input(&mut self, pool: &mut Pool) {
        if let Some(buf) = self.rx.buf.take() {
            pool.put(buf);
        }
    }

    /// Sends what is still held; true when nothing is left.
    pub fn flush(&mut self, pipe: &mut Pipe<'_>) -> bool {
        self.tx.flush(pipe)
    }
}

impl MuxOps for H1Mux {
    fn bind(&mut self, upper: Option<TaskId>) {
        self.upper = upper;
    }

    fn recv(&mut self, into: &mut Channel, pipe: &mut Pipe<'_>) -> Flow {
        self.rx.recv(self.side, self.violations, &mut self.exchange, into, pipe)
    }

    fn send(&mut self, from: &mut Channel, pipe: &mut Pipe<'_>) -> Flow {
        self.tx.send(self.side, &mut self.exchange, from, pipe)
    }

    fn detach(&mut self, pipe: &mut Pipe<'_>) -> After {
        self.bind(None);
        let whole = self.rx.is_done() && self.tx.is_done();
        if whole && self.exchange.keep {
            // a server that says more than it was asked cannot be trusted with another request
            if self.side == Side::Back && self.rx.buf.is_some() {
                return After::Close;
            }
            self.rx.restart(pipe.heads);
            self.tx.restart();
            self.exchange = Exchange::new();
            return After::Reusable;
        }
        if self.side == Side::Back || (whole && self.rx.buf.is_none()) {
            self.release(pipe.pool);
            return After::Close;
        }
        After::Linger
    }
}
