//! One direction of a stream: a message (or bytes) on its way from one mux to the other.

use crate::base::buffer::Buffer;
use crate::base::pool::Pool;
use crate::msg::framing::Body;
use crate::msg::heads::HeadPool;
use crate::msg::Head;

/// One direction: filled by the mux of one side, emptied by the mux of the other.
///
/// The head stays here after it was sent: rules, logs and a second attempt need it.
pub struct Channel {
    /// The head of the message, once it is whole.
    pub head: Option<Box<Head>>,
    /// The head has been handed to the sending mux.
    pub head_sent: bool,
    /// How the end of the body is told, as received.
    pub body: Body,
    /// Body bytes that were received and not sent yet. `None` when empty.
    pub buf: Option<Buffer>,
    /// Trailer lines, each ended by CRLF, that follow a chunked body.
    pub trailers: Vec<u8>,
    /// The message was received to its end (in a tunnel: the peer has half-closed).
    pub ended: bool,
    /// The end was sent as well.
    pub end_sent: bool,
    /// The connection it is sent on carries nothing after it.
    pub last: bool,
    /// Body bytes received so far.
    pub received: u64,
    /// Bytes of the heads received so far.
    pub heads: u64,
    /// Bytes sent so far on this direction's wire (above TLS), heads and framing included.
    pub sent: u64,
}

impl Channel {
    /// An empty direction.
    pub fn new() -> Self {
        Channel {
            head: None,
            head_sent: false,
            body: Body::None,
            buf: None,
            trailers: Vec::new(),
            ended: false,
            end_sent: false,
            last: false,
            received: 0,
            heads: 0,
            sent: 0,
        }
    }

    /// The bytes at hand.
    pub fn bytes(&self) -> &[u8] {
        self.buf.as_ref().map_or(&[], |b| b.readable())
    }

    /// Something waits to be sent.
    pub fn has_output(&self) -> bool {
        (self.head.is_some() && !self.head_sent) || self.buf.is_some() || (self.ended && !self.end_sent)
    }

    /// `n` bytes of the buffer have left; an empty buffer goes back to the pool at once.
    pub fn consume(&mut self, n: usize, pool: &mut Pool) {
        if let Some(buf) = &mut self.buf {
            buf.consume(n);
            if buf.is_empty() {
                if let Some(buf) = self.buf.take() {
                    pool.put(buf);
                }
            }
        }
    }

    /// Forgets everything and gives back what it holds.
    pub fn release(&mut self, pool: &mut Pool, heads: &mut HeadPool) {
        if let Some(buf) = self.buf.take() {
            pool.put(buf);
        }
        if let Some(head) = self.head.take() {
            heads.put(head);
        }
        self.trailers.clear();
    }
}

impl Default for Channel {
    fn default() -> Self {
        Channel::new()
    }
}
