//! What an edge told us and we have not used up yet.
//!
//! The poller is edge-triggered: it tells once. This remembers, until the kernel answers "again" (or a
//! short read proves that the socket is drained). Only transports change it.

/// Edges of one descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ready {
    bits: u8,
}

const READ: u8 = 1;
const WRITE: u8 = 2;
const PEER_ENDED: u8 = 4;
const ERROR: u8 = 8;
const SEND_FAILED: u8 = 16;

/// What the poller reports of one descriptor at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Edges {
    /// Something can be read (bytes, the end, an error).
    pub read: bool,
    /// Something can be written.
    pub write: bool,
    /// The peer has ended what it sends (EPOLLRDHUP).
    pub peer_ended: bool,
    /// The connection is broken or fully closed (EPOLLERR, EPOLLHUP).
    pub error: bool,
}

impl Ready {
    /// Try first: a new socket may have everything, only the kernel's "again" proves the contrary.
    pub const TRY: Ready = Ready { bits: READ | WRITE };

    /// Nothing to read is expected before an edge says so; there is room to write.
    pub const QUIET: Ready = Ready { bits: WRITE };

    /// A connection under way: nothing can be done before an edge says so.
    pub const NONE: Ready = Ready { bits: 0 };

    /// Adds what the poller told.
    pub fn merge(&mut self, edges: Edges) {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        self.bits |= bit(edges.read || edges.peer_ended || edges.error, READ)
            | bit(edges.write || edges.error, WRITE)
            | bit(edges.peer_ended, PEER_ENDED)
            | bit(edges.error, ERROR);
    }

    /// A read is worth trying.
    pub fn readable(&self) -> bool {
        self.bits & READ != 0
    }

    /// A write is worth trying.
    pub fn writable(&self) -> bool {
        self.bits & WRITE != 0
    }

    /// The peer's end has been announced: a short read is no proof that nothing is left.
    pub fn peer_ended(&self) -> bool {
        self.bits & (PEER_ENDED | ERROR) != 0
    }

    /// The poller reported an error or a full close.
    pub fn broken(&self) -> bool {
        self.bits & ERROR != 0
    }

    /// The kernel has nothing to read.
    pub fn drained(&mut self) {
        self.bits &= !READ;
    }

    /// Sending failed for good.
    pub fn fail(&mut self) {
        self.bits |= READ | SEND_FAILED;
    }

    /// Whether sending has failed for good.
    pub fn send_failed(&self) -> bool {
        self.bits & SEND_FAILED != 0
    }

    /// The kernel takes no more.
    pub fn filled(&mut self) {
        self.bits &= !WRITE;
    }
}
