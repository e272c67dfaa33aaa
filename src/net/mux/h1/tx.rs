//! The sending half of the HTTP/1 mux.
//!
//! A head and a small body leave in one piece: they are put together in the output buffer. Larger
//! bodies are sent from the channel's own buffer, behind what the output buffer holds, in one call.

use super::{Exchange, Side};
use crate::base::buffer::Buffer;
use crate::base::pool::{Pool, Size};
use crate::msg::framing::Body;
use crate::msg::hop::{self, Hop};
use crate::msg::Head;
use crate::net::fault::{Cause, Fault};
use crate::net::mux::{Channel, Flow, Pipe};
use crate::net::transport::{Io, Transport};
use lighterman_wire::h1::chunk::{SizeLine, CHUNK_END};
use lighterman_wire::http::name::Tag;
use lighterman_wire::http::Version;

/// Bodies up to this size are copied behind the head rather than sent as a second slice: the copy
/// costs less than a gathering send.
const COPIED: usize = 4096;

/// Room a chunk needs besides its data: size line and the end of line behind the data.
const CHUNK_ROOM: usize = 12;

/// The least room worth a chunk of its own while there is more data than that.
const CHUNK_MIN: usize = 512;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    /// The body's bytes as they are.
    Plain,
    /// The body's bytes in chunks.
    Chunked,
    /// The last chunk is in the output.
    Ended,
    Done,
}

/// What waits to be sent.
pub(super) struct Tx {
    pub(super) buf: Option<Buffer>,
    stage: Stage,
    /// What is sent is no message any more: its end is a half-close.
    tunnel: bool,
}

impl Tx {
    pub(super) fn new() -> Self {
        Tx { buf: None, stage: Stage::Head, tunnel: false }
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.stage == Stage::Head && self.buf.is_none()
    }

    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done && self.buf.is_none()
    }

    pub(super) fn restart(&mut self) {
        self.stage = Stage::Head;
        self.tunnel = false;
    }

    /// What goes out from here on is no HTTP any more.
    pub(super) fn enter_tunnel(&mut self) {
        self.stage = Stage::Plain;
        self.tunnel = true;
    }

    pub(super) fn send(
        &mut self,
        side: Side,
        exchange: &mut Exchange,
        from: &mut Channel,
        pipe: &mut Pipe<'_>,
    ) -> Flow {
        if from.end_sent {
            return Flow::End;
        }
        if let Some(head) = from.head.as_mut().filter(|_| !from.head_sent) {
            match self.put_head(side, exchange, head, (from.body, from.last), pipe) {
                Ok(true) => from.head_sent = true,
                Ok(false) => return Flow::Blocked,
                Err(fault) => return Flow::Broken(fault),
            }
        }
        // what nothing follows may wait for the end that TLS has to say
        let last = side == Side::Front && from.ended && !exchange.keep && !self.tunnel;
        let mut moved = 0;
        loop {
            self.put_body(from, pipe);
            match self.push(last, from, pipe) {
                Io::Done(0) => break,
                Io::Done(n) => {
                    moved += n;
                    from.sent += n as u64;
                }
                Io::Again if moved == 0 => return Flow::Blocked,
                Io::Again => return Flow::Moved(moved),
                Io::Eof => return Flow::Broken(Fault::new(Cause::Reset)),
                Io::Fault(fault) => return Flow::Broken(fault),
            }
        }
        let finished = self.finished(from);
        let out = if finished && self.tunnel {
            pipe.xprt.shut_write(pipe.ready, pipe.pool)
        } else if finished && last {
            pipe.xprt.end(pipe.ready, pipe.pool)
        } else {
            pipe.xprt.flush(pipe.ready, pipe.pool)
        };
        if !out {
            return if moved > 0 { Flow::Moved(moved) } else { Flow::Blocked };
        }
        if finished {
            self.stage = Stage::Done;
            from.end_sent = true;
            return Flow::End;
        }
        if moved > 0 {
            Flow::Moved(moved)
        } else {
            Flow::Blocked
        }
    }

    /// Encodes a head into the output buffer, with the connection fields this side needs.
    fn put_head(
        &mut self,
        side: Side,
        exchange: &mut Exchange,
        head: &mut Head,
        (body, last): (Body, bool),
        pipe: &mut Pipe<'_>,
    ) -> Result<bool, Fault> {
        let interim = side == Side::Front && head.status() < 200 && head.status() != 101;
        let mut chunked = body == Body::Chunked;
        let tunnel = body == Body::Tunnel;
        match side {
            Side::Back => {
                let upgrade = Hop::of(head).upgrade;
                let v11 = head.version() != Version::V10;
                *exchange = Exchange { asked: head.method_kind(), upgrade, v11, keep: !last, interim: false };
                set_connection(head, upgrade, last, !last && !v11);
            }
            Side::Front if interim => {}
            Side::Front => {
                if chunked && !exchange.v11 {
                    // HTTP/1.0 knows no chunks: the end of the connection ends the body
                    head.remove_tag(Tag::TransferEncoding);
                    chunked = false;
                    exchange.keep = false;
                }
                exchange.keep &= !last && !matches!(body, Body::UntilClose | Body::Tunnel);
                let say_keep = exchange.keep && (!exchange.v11 || head.version() == Version::V10);
                set_connection(head, tunnel && head.status() == 101, !exchange.keep && !tunnel, say_keep);
            }
        }
        let size = head.encoded_len();
        if size > pipe.pool.bytes(Size::Large) {
            return Err(Fault::new(Cause::TooLarge));
        }
        // what is still here belongs to the message before (an interim response, a PROXY header)
        if self.buf.as_ref().is_some_and(|out| out.room() < size) && !self.flush(pipe) {
            return Ok(false);
        }
        let Some(mut buf) = self.buf.take().or_else(|| buffer_for(pipe.pool, size)) else { return Ok(false) };
        buf.make_room(size);
        let n = head.encode_into(buf.writable()).unwrap_or(0);
        buf.commit(n);
        self.buf = Some(buf);
        if !interim {
            self.tunnel = tunnel;
            self.stage = if chunked { Stage::Chunked } else { Stage::Plain };
        }
        Ok(true)
    }

    /// Moves into the output buffer what is better sent from there.
    fn put_body(&mut self, from: &mut Channel, pipe: &mut Pipe<'_>) {
        match self.stage {
            Stage::Plain => {
                let (Some(out), Some(body)) = (&mut self.buf, &mut from.buf) else { return };
                let n = body.len();
                if n <= COPIED && n <= out.room() {
                    out.push(body.readable());
                    from.consume(n, pipe.pool);
                }
            }
            Stage::Chunked => self.put_chunks(from, pipe),
            _ => {}
        }
    }

    fn put_chunks(&mut self, from: &mut Channel, pipe: &mut Pipe<'_>) {
        while let Some(body) = &mut from.buf {
            let Some(mut out) = self.buf.take().or_else(|| pipe.pool.get()) else { return };
            // no chunk of a few bytes only because they still fit
            let room = out.room().saturating_sub(CHUNK_ROOM);
            let n = body.len().min(room);
            if room < body.len().min(CHUNK_MIN) {
                self.buf = Some(out);
                return;
            }
            out.push(SizeLine::new(n as u64).bytes());
            out.push(body.readable().get(..n).unwrap_or_default());
            out.push(CHUNK_END);
            self.buf = Some(out);
            from.consume(n, pipe.pool);
        }
        if from.ended {
            let size = from.trailers.len() + 5;
            let Some(mut out) = self.buf.take().or_else(|| buffer_for(pipe.pool, size)) else { return };
            if out.room() >= size {
                out.make_room(size);
                out.push(b"0\r\n");
                out.push(&from.trailers);
                out.push(b"\r\n");
                self.stage = Stage::Ended;
            }
            self.buf = Some(out);
        }
    }

    /// One send of all that is at hand.
    fn push(&mut self, last: bool, from: &mut Channel, pipe: &mut Pipe<'_>) -> Io {
        let direct = if self.stage == Stage::Plain { from.bytes() } else { &[] };
        let head = self.buf.as_ref().map_or(&[][..], |out| out.readable());
        if head.is_empty() && direct.is_empty() {
            return Io::Done(0);
        }
        let more = last && matches!(pipe.xprt, Transport::Ssl(_));
        let io = match (head.is_empty(), direct.is_empty()) {
            (false, false) => pipe.xprt.send2(head, direct, more, (pipe.ready, pipe.pool)),
            (false, true) => pipe.xprt.send(head, more, pipe.ready, pipe.pool),
            (true, _) => pipe.xprt.send(direct, more, pipe.ready, pipe.pool),
        };
        if let Io::Done(n) = io {
            let held = self.buf.as_ref().map_or(0, Buffer::len).min(n);
            self.consume(held, pipe);
            if n > held {
                from.consume(n - held, pipe.pool);
            }
        }
        io
    }

    fn consume(&mut self, n: usize, pipe: &mut Pipe<'_>) {
        if let Some(mut buf) = self.buf.take() {
            buf.consume(n);
            if buf.is_empty() {
                pipe.pool.put(buf);
            } else {
                self.buf = Some(buf);
            }
        }
    }

    /// Everything of the message is out.
    fn finished(&self, from: &Channel) -> bool {
        let body_out = match self.stage {
            Stage::Plain => from.ended && from.buf.is_none(),
            Stage::Ended => true,
            Stage::Head | Stage::Chunked | Stage::Done => false,
        };
        body_out && self.buf.is_none() && from.head_sent
    }

    /// Sends what the output buffer holds; true when nothing is left anywhere.
    pub(super) fn flush(&mut self, pipe: &mut Pipe<'_>) -> bool {
        while let Some(out) = &self.buf {
            match pipe.xprt.send(out.readable(), false, pipe.ready, pipe.pool) {
                Io::Done(n) => self.consume(n, pipe),
                Io::Again => return false,
                Io::Eof | Io::Fault(_) => return true,
            }
        }
        pipe.xprt.flush(pipe.ready, pipe.pool)
    }
}

/// Writes the connection fields of this hop; those of the last one are gone afterwards.
fn set_connection(head: &mut Head, upgrade: bool, close: bool, keep: bool) {
    let protocol: Option<Vec<u8>> = if upgrade { head.first(b"upgrade").map(<[u8]>::to_vec) } else { None };
    hop::strip(head);
    // names and values are our own or were parsed as such: they cannot be refused
    let _ = match (&protocol, close, keep) {
        (Some(protocol), ..) => {
            head.add(b"connection", b"Upgrade").and_then(|()| head.add(b"upgrade", protocol))
        }
        // that is what the end of an old response means anyway
        (None, true, _) if !head.is_request() && head.version() == Version::V10 => Ok(()),
        (None, true, _) => head.add(b"connection", b"close"),
        (None, false, true) => head.add(b"connection", b"keep-alive"),
        (None, false, false) => Ok(()),
    };
}

/// A buffer for `size` bytes: a head that rules have made larger than a small buffer gets one of its own
/// when the pool gives no larger ones any more.
fn buffer_for(pool: &mut Pool, size: usize) -> Option<Buffer> {
    let fits = [Size::Small, Size::Medium, Size::Large].into_iter().find(|s| pool.bytes(*s) >= size);
    match fits.unwrap_or(Size::Large) {
        Size::Small => pool.get(),
        larger => pool.sized(larger).or_else(|| Some(Buffer::with_capacity(size))),
    }
}
