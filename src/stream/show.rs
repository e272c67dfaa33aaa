//! What may be seen of a stream from outside, for the lists of the command socket.

use super::Stream;
use crate::base::ids::{ConnId, ProxyId, ServerId};
use crate::base::tick::Tick;

/// A stream at this moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamView {
    /// Where it came in.
    pub frontend: ProxyId,
    /// Where it goes, once that is known.
    pub backend: Option<ProxyId>,
    /// Its server, once one is chosen.
    pub server: Option<ServerId>,
    /// When it began, microseconds since 1970.
    pub began_us: u64,
    /// Bytes that wait, towards the server and towards the client.
    pub held: [usize; 2],
    /// The client's connection.
    pub front: ConnId,
    /// The connection to the server.
    pub back: Option<ConnId>,
    /// Its next deadline.
    pub deadline: Option<Tick>,
}

impl Stream {
    /// What is to be seen of it.
    pub fn view(&self) -> StreamView {
        StreamView {
            frontend: self.frontend,
            backend: self.txn.backend,
            server: self.server,
            began_us: self.txn.times.accept_us,
            held: [self.req.bytes().len(), self.res.bytes().len()],
            front: self.front,
            back: self.back,
            deadline: self.clock.next(),
        }
    }
}
