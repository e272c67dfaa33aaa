//! The mux: between a connection's transport and the streams that use it.
//!
//! It turns bytes into messages (a `Head`, body bytes, an end) and back. A closed set, stored as an
//! enum so that the data path is matched and inlined; [`MuxOps`] keeps the members alike. One
//! connection carries one stream at a time today; the verbs name no slot until a mux has several.

pub mod channel;
pub mod h1;
pub mod pass;

use crate::base::buffer::Buffer;
use crate::base::ids::TaskId;
use crate::base::pool::Pool;
use crate::event::ready::Ready;
use crate::msg::heads::HeadPool;
use crate::net::fault::Fault;
use crate::net::transport::Transport;
use crate::plan::Tune;

pub use channel::Channel;

/// What a mux may touch of its connection, and the pools it draws from, for the length of one call.
pub struct Pipe<'a> {
    /// Where bytes come from and go to.
    pub xprt: &'a mut Transport,
    /// What the kernel told and was not used up yet.
    pub ready: &'a mut Ready,
    /// Buffers.
    pub pool: &'a mut Pool,
    /// Heads, for reuse.
    pub heads: &'a mut HeadPool,
    /// Sizes.
    pub tune: &'a Tune,
}

/// What came of moving bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Something moved: bytes on the wire when sending, body bytes when receiving (0: a head).
    Moved(usize),
    /// Nothing can move until the transport (or the pool) has news.
    Blocked,
    /// The message is over: all of it was received, or all of it was sent.
    End,
    /// It cannot go on.
    Broken(Fault),
}

/// What becomes of a connection whose stream has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Ready for the next stream.
    Reusable,
    /// Close it at once.
    Close,
    /// What is still in the output must leave first, what the peer still sends is thrown away.
    Linger,
}

/// The verbs of a mux.
pub trait MuxOps {
    /// Whom to wake; `None` when the stream has left.
    fn bind(&mut self, upper: Option<TaskId>);
    /// Moves what has been received into `into`, reading the transport when nothing is at hand.
    fn recv(&mut self, into: &mut Channel, pipe: &mut Pipe<'_>) -> Flow;
    /// Sends what `from` holds: head, body, end.
    fn send(&mut self, from: &mut Channel, pipe: &mut Pipe<'_>) -> Flow;
    /// The stream leaves.
    fn detach(&mut self, pipe: &mut Pipe<'_>) -> After;
}

/// Every mux there is.
pub enum Mux {
    /// Bytes as they are.
    Pass(pass::PassMux),
    /// HTTP/1.
    H1(h1::H1Mux),
}

macro_rules! each {
    ($mux:expr, $it:ident => $what:expr) => {
        match $mux {
            Mux::Pass($it) => $what,
            Mux::H1($it) => $what,
        }
    };
}

impl MuxOps for Mux {
    fn bind(&mut self, upper: Option<TaskId>) {
        each!(self, it => it.bind(upper))
    }

    fn recv(&mut self, into: &mut Channel, pipe: &mut Pipe<'_>) -> Flow {
        each!(self, it => it.recv(into, pipe))
    }

    fn send(&mut self, from: &mut Channel, pipe: &mut Pipe<'_>) -> Flow {
        each!(self, it => it.send(from, pipe))
    }

    fn detach(&mut self, pipe: &mut Pipe<'_>) -> After {
        each!(self, it => it.detach(pipe))
    }
}

impl Mux {
    /// Bytes that were read before the mux began: the first of its input.
    pub fn push_input(&mut self, input: Buffer) {
        each!(self, it => it.push_input(input))
    }

    /// Bytes that go out as they are, in front of all the mux sends.
    pub fn push_output(&mut self, output: Buffer) {
        each!(self, it => it.push_output(output))
    }

    /// Something was sent by the stream, or pushed, that the transport has not taken yet.
    pub fn holds_output(&self) -> bool {
        each!(self, it => it.holds_output())
    }

    /// Gives its buffers back: the connection is about to be closed.
    pub fn release(&mut self, pool: &mut Pool) {
        each!(self, it => it.release(pool))
    }

    /// The stream to wake when the transport has news.
    pub fn upper(&self) -> Option<TaskId> {
        each!(self, it => it.upper)
    }
}
