//! A connection, of either side: a transport, the handshakes that must come first, then a mux.
//!
//! The worker wakes it; it answers with a [`Verdict`] and may ask for a stream ([`Birth`]). A connection
//! in handshake, and one that waits for a request, own no stream and no buffer.

pub mod accept;
pub mod connect;
mod failure;
pub mod gate;
mod handshake;
mod open;
mod proxy_in;
pub mod proxy_out;
mod tally;

use std::os::fd::RawFd;

use std::os::fd::BorrowedFd;

use crate::base::buffer::Buffer;
use crate::base::ids::{ConnId, ServerId, TaskId};
use crate::base::pool::Pool;
use crate::event::ready::{Edges, Ready};
use crate::event::sched::Wake;
use crate::expr::stick::Tracks;
use crate::expr::vars::Store;
use crate::expr::view::{BackFacts, ConnFacts, TlsView};
use crate::net::cx::{Birth, Cx, Verdict};
use crate::net::fault::{Cause, Fault};
use crate::net::mux::h1::{H1Mux, Side};
use crate::net::mux::{After, Channel, Flow, Mux, MuxOps, Pipe};
use crate::net::transport::Transport;
use handshake::Shakes;

/// Where a connection is in its life.
enum Stage {
    /// The TCP connection to a server is under way.
    Connecting,
    /// Handshakes, in order.
    Shaking,
    /// The mux works.
    Open,
    /// It failed or was given up before it opened; the stream it was made for has not looked yet.
    Failed(Fault),
    /// Output leaves, input is thrown away, then it is closed.
    Lingering(Linger),
}

/// How far a polite end has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Linger {
    /// What was said last is on its way.
    Output,
    /// The peer was told that nothing more comes, and is listened to until it has understood.
    Drain,
}

impl Stage {
    /// The output has left: true the first time.
    fn begins_to_drain(&mut self) -> bool {
        matches!(std::mem::replace(self, Stage::Lingering(Linger::Drain)), Stage::Lingering(Linger::Output))
    }
}

/// What differs between the sides.
pub enum Peer {
    /// A client.
    Client(Client),
    /// A server.
    Server(ServerSide),
}

/// What is known of a client's connection.
pub struct Client {
    /// Addresses, listener, dates: what fetches ask for.
    pub facts: Box<ConnFacts>,
    /// Requests taken from it so far.
    pub requests: u32,
    /// Handshakes took so many milliseconds.
    pub handshake_ms: i32,
    /// When the handshakes or the last exchange were over: idle time counts from here.
    pub since_us: u64,
    /// `sess.*` variables.
    pub vars: Store,
    /// Stick table entries it tracks.
    pub tracks: Tracks,
    /// When the first byte of the request under way came; 0: none has come.
    pub request_us: u64,
    /// An idle connection to a server that only this client may use.
    pub private: Option<ConnId>,
}

/// What is known of a connection to a server.
pub struct ServerSide {
    /// Which server.
    pub server: ServerId,
    /// Addresses, reuse: what fetches ask for.
    pub facts: Box<BackFacts>,
    /// Requests sent over it so far.
    pub requests: u32,
    /// The client connection it was opened for.
    pub owner: Option<ConnId>,
    /// Idle, in the pool of its server.
    pub pooled: bool,
}

/// How far a connection to a server has come, as its stream sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackState {
    /// Not there yet.
    Pending,
    /// It can be used.
    Ready,
    /// It will never be.
    Failed(Fault),
}

/// How long a closed connection may still drain before it is dropped, in milliseconds.
const LINGER_MS: u64 = 1000;

/// One connection.
pub struct Conn {
    /// Its task.
    pub task: TaskId,
    xprt: Transport,
    ready: Ready,
    stage: Stage,
    shakes: Option<Box<Shakes>>,
    mux: Mux,
    /// Which side it is on, with what is known of the peer.
    pub peer: Peer,
}

/// Lends the parts of a connection that a mux works on.
macro_rules! pipe {
    ($xprt:expr, $ready:expr, $cx:expr) => {
        &mut Pipe {
            xprt: $xprt,
            ready: $ready,
            pool: $cx.pool,
            heads: $cx.heads,
            tune: &$cx.plan.global.tune,
        }
    };
}
pub(crate) use pipe;

impl Conn {
    /// The poller has news of the descriptor.
    pub fn edges(&mut self, edges: Edges) {
        self.ready.merge(edges);
    }

    /// Handles a wakeup.
    pub fn on_wake(&mut self, id: ConnId, why: Wake, cx: &mut Cx<'_>, births: &mut Vec<Birth>) -> Verdict {
        if why.has(Wake::KILL) {
            return self.close(cx);
        }
        match self.stage {
            Stage::Connecting | Stage::Shaking => self.on_shaking(id, why, cx, births),
            Stage::Open => self.on_open(id, why, cx, births),
            Stage::Failed(_) if self.mux.upper().is_some() => Verdict::Keep,
            Stage::Failed(_) => self.close(cx),
            Stage::Lingering(_) => self.on_lingering(why, cx),
        }
    }

    /// What TLS knows of it.
    pub fn tls(&self) -> Option<&dyn TlsView> {
        self.xprt.tls()
    }

    /// The name that was asked for when a TLS connection to a server was made.
    pub fn name_asked(&self) -> Option<&str> {
        match &self.xprt {
            Transport::Ssl(ssl) => ssl.engine().server_name(),
            Transport::Raw(_) => None,
        }
    }

    /// The number of its descriptor, for shows.
    pub fn descriptor(&self) -> Option<RawFd> {
        self.xprt.sock().fd()
    }

    /// The client's part, on that side.
    pub fn client(&self) -> Option<&Client> {
        match &self.peer {
            Peer::Client(client) => Some(client),
            Peer::Server(_) => None,
        }
    }

    /// The client's part, on that side.
    pub fn client_mut(&mut self) -> Option<&mut Client> {
        match &mut self.peer {
            Peer::Client(client) => Some(client),
            Peer::Server(_) => None,
        }
    }

    /// The server's part, on that side.
    pub fn server(&self) -> Option<&ServerSide> {
        match &self.peer {
            Peer::Server(side) => Some(side),
            Peer::Client(_) => None,
        }
    }

    /// The server's part, on that side.
    pub fn server_mut(&mut self) -> Option<&mut ServerSide> {
        match &mut self.peer {
            Peer::Server(side) => Some(side),
            Peer::Client(_) => None,
        }
    }

    /// Who is woken when something can be received or sent.
    pub fn bind(&mut self, upper: Option<TaskId>, cx: &mut Cx<'_>) {
        self.mux.bind(upper);
        if upper.is_some() {
            cx.sched.deadline(self.task, None);
        }
    }

    /// How far a connection to a server has come.
    pub fn back_state(&self) -> BackState {
        match self.stage {
            Stage::Connecting | Stage::Shaking => BackState::Pending,
            Stage::Open => BackState::Ready,
            Stage::Failed(fault) => BackState::Failed(fault),
            Stage::Lingering(_) => BackState::Failed(Fault::new(Cause::Ended)),
        }
    }

    /// Receives into a channel.
    pub fn recv(&mut self, into: &mut Channel, cx: &mut Cx<'_>) -> Flow {
        self.mux.recv(into, pipe!(&mut self.xprt, &mut self.ready, cx))
    }

    /// Sends from a channel.
    pub fn send(&mut self, from: &mut Channel, cx: &mut Cx<'_>) -> Flow {
        self.xprt.note_time(cx.now.tick);
        self.mux.send(from, pipe!(&mut self.xprt, &mut self.ready, cx))
    }

    /// Goes on with a handshake that has let early data through; true when it is over.
    pub fn advance(&mut self, cx: &mut Cx<'_>) -> bool {
        self.xprt.advance(&mut self.ready, cx.pool)
    }

    /// A read may bring something.
    pub fn may_recv(&self) -> bool {
        self.xprt.may_read(&self.ready)
            || match &self.mux {
                Mux::H1(mux) => mux.has_input(),
                Mux::Pass(mux) => mux.has_input(),
            }
    }

    /// The peer has left: its end or an error has been announced. There may still be bytes to read.
    pub fn peer_left(&self) -> bool {
        self.ready.peer_ended()
    }

    /// Something it was given to send has not left.
    pub fn holds_output(&self) -> bool {
        self.mux.holds_output() || self.xprt.holds_output()
    }

    /// The descriptor underneath.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.xprt.sock().borrow()
    }

    /// When it is closed the peer is not told (`silent-drop`).
    pub fn forget(&self, hops: Option<u8>) {
        self.xprt.sock().forget_on_close(hops);
    }

    /// Marks its packets, and sets their type of service.
    pub fn label(&self, mark: Option<u32>, tos: Option<u8>) {
        self.xprt.sock().label(mark, tos);
    }

    /// The connection is broken: nothing can be sent any more.
    pub fn is_broken(&self) -> bool {
        self.ready.broken()
    }

    /// Idle, and nothing has come since: it may be used for another request.
    pub fn is_fresh(&mut self, cx: &mut Cx<'_>) -> bool {
        matches!(self.stage, Stage::Open) && self.is_quiet(cx)
    }

    /// The stream that uses it.
    pub fn upper(&self) -> Option<TaskId> {
        self.mux.upper()
    }

    /// It waits for a request, or for use in a pool: nobody misses it.
    pub fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Open) && matches!(&self.mux, Mux::H1(mux) if mux.is_idle())
    }

    /// From here on bytes pass as they are (101, CONNECT).
    pub fn enter_tunnel(&mut self) {
        if let Mux::H1(mux) = &mut self.mux {
            mux.enter_tunnel();
        }
    }

    /// It carries HTTP.
    pub fn is_http(&self) -> bool {
        matches!(self.mux, Mux::H1(_))
    }

    /// What the client sends is HTTP/1 from here on; `input` was read of it already. False: bytes would be
    /// lost.
    pub fn upgrade(&mut self, input: Option<Buffer>, loose: bool, pool: &mut Pool) -> bool {
        let Mux::Pass(pass) = &mut self.mux else { return false };
        let input = match (input, pass.has_input()) {
            (Some(input), true) => {
                pool.put(input);
                return false;
            }
            (input, _) => input.or(pass.give_input()),
        };
        let mut mux = H1Mux::new(Side::Front, open::violations(loose));
        mux.bind(pass.upper);
        if let Some(input) = input {
            mux.push_input(input);
        }
        self.mux = Mux::H1(mux);
        true
    }

    /// Bytes that no head could be made of.
    pub fn raw_input(&self) -> &[u8] {
        match &self.mux {
            Mux::H1(mux) => mux.raw_input(),
            Mux::Pass(_) => &[],
        }
    }

    /// The stream leaves; says what became of the connection.
    pub fn detach(&mut self, keep: bool, cx: &mut Cx<'_>) -> After {
        let open = matches!(self.stage, Stage::Open);
        let after = match self.mux.detach(pipe!(&mut self.xprt, &mut self.ready, cx)) {
            After::Reusable if !keep => After::Close,
            after => after,
        };
        self.mux.bind(None);
        if !open {
            return After::Close;
        }
        match after {
            After::Reusable => self.rest(cx),
            After::Linger => self.linger(cx),
            After::Close => {}
        }
        after
    }

    /// Gives back what it holds; the worker drops the rest.
    pub fn close(&mut self, cx: &mut Cx<'_>) -> Verdict {
        self.mux.release(cx.pool);
        if let Some(mut shakes) = self.shakes.take() {
            shakes.release(cx.pool);
        }
        self.xprt.close(&mut self.ready, cx.pool);
        Verdict::Close
    }
}

/// Milliseconds between two moments, as logs show them.
pub fn millis(from_us: u64, to_us: u64) -> i32 {
    (to_us.saturating_sub(from_us) / 1000).min(i32::MAX as u64) as i32
}
