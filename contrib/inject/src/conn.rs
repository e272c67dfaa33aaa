//! The state of one of the connections a process keeps busy. What happens to it is in `engine`.

use std::time::Instant;

use mio::net::TcpStream;

use crate::response::Response;
use crate::tls::Tls;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// There is none.
    Closed,
    /// Connecting.
    Connecting,
    /// In the TLS handshake.
    Shaking,
    /// Open, and waits for the permit to send a request.
    Parked,
    /// A request was sent.
    Waiting,
    /// Everything came; waits for the server's end.
    Ending,
}

/// A place for a connection; lives as long as the process.
pub(crate) struct Conn {
    pub(crate) stage: Stage,
    pub(crate) sock: Option<TcpStream>,
    pub(crate) tls: Option<Tls>,
    pub(crate) response: Response,
    /// Requests sent on this connection.
    pub(crate) sent: u32,
    /// The request now under way asked to close.
    pub(crate) last: bool,
    /// The first byte of the response was seen.
    pub(crate) begun: bool,
    /// Bytes of a plain request that the kernel did not take at once: where they go on.
    pub(crate) unsent: Option<usize>,
    /// The peer will send no more: read until the end.
    pub(crate) hup: bool,
    /// A permit was taken for the first request before connecting; when it was due.
    pub(crate) permit: Option<Instant>,
    /// When the request was sent, or was due.
    pub(crate) since: Instant,
    /// When the handshake began.
    pub(crate) shook: Instant,
}

impl Conn {
    pub(crate) fn new(now: Instant) -> Conn {
        Conn {
            stage: Stage::Closed,
            sock: None,
            tls: None,
            response: Response::default(),
            sent: 0,
            last: false,
            begun: false,
            unsent: None,
            hup: false,
            permit: None,
            since: now,
            shook: now,
        }
    }
}
