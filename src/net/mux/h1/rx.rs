//! The receiving half of the HTTP/1 mux.
//!
//! Invariant: `buf` is `None` when empty, so an idle connection owns no buffer. A body moves by
//! swapping whole buffers; only a buffer that also holds the next message, and chunked bodies, are copied.

use super::{Exchange, HeadPoll, Side};
use crate::base::buffer::Buffer;
use crate::base::pool::Size;
use crate::msg::framing::{self, Body};
use crate::msg::heads::HeadPool;
use crate::msg::hop::Hop;
use crate::msg::{Head, ParseOpts};
use crate::net::fault::{Cause, Fault};
use crate::net::mux::pass::{buffer, grown, recv_raw};
use crate::net::mux::{Channel, Flow, Pipe};
use crate::net::transport::Io;
use crate::plan::Tune;
use lighterman_wire::error::{Malformed, Parse, What};
use lighterman_wire::h1::chunk::{Chunk, Decoder, Limits};
use lighterman_wire::h1::Violations;
use lighterman_wire::http::Version;

enum Stage {
    Head,
    Length(u64),
    Chunked(Box<Decoder>),
    UntilClose,
    Tunnel,
    Done,
    /// The body cannot go on.
    Broken(Fault),
}

/// What has been received and not handed up yet.
pub(super) struct Rx {
    pub(super) buf: Option<Buffer>,
    /// The next head, whole.
    pub(super) head: Option<Box<Head>>,
    /// The next head, of which something has come.
    partial: Option<Box<Head>>,
    stage: Stage,
    body: Body,
    /// Bytes of the head that is handed up next.
    head_len: u64,
    size: Size,
}

impl Rx {
    pub(super) fn new() -> Self {
        Rx {
            buf: None,
            head: None,
            partial: None,
            stage: Stage::Head,
            body: Body::None,
            head_len: 0,
            size: Size::Small,
        }
    }

    /// Waits for a head of which nothing has come.
    pub(super) fn is_fresh(&self) -> bool {
        matches!(self.stage, Stage::Head) && self.buf.is_none() && self.head.is_none()
    }

    /// What comes from here on is no HTTP any more.
    pub(super) fn enter_tunnel(&mut self) {
        self.stage = Stage::Tunnel;
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// Ready for the next message; bytes of it may be here already.
    pub(super) fn restart(&mut self, heads: &mut HeadPool) {
        for head in [self.head.take(), self.partial.take()].into_iter().flatten() {
            heads.put(head);
        }
        self.stage = Stage::Head;
        self.size = Size::Small;
    }

    /// Reads once from the transport behind what is here.
    fn fill(&mut self, pipe: &mut Pipe<'_>) -> Io {
        if !pipe.xprt.may_read(pipe.ready) {
            return Io::Again;
        }
        let Some(mut buf) = self.buf.take().or_else(|| buffer(self.size, pipe.pool)) else {
            return Io::Again;
        };
        buf.make_room(buf.capacity() / 4);
        let room = buf.writable().len();
        if room == 0 {
            self.buf = Some(buf);
            return Io::Again;
        }
        let io = pipe.xprt.recv(&mut buf, pipe.ready, pipe.pool);
        if let Io::Done(n) = io {
            self.size = grown(self.size, n, room);
        }
        self.keep(buf, pipe);
        io
    }

    /// Keeps a buffer if something is in it.
    fn keep(&mut self, buf: Buffer, pipe: &mut Pipe<'_>) {
        if buf.is_empty() {
            pipe.pool.put(buf);
        } else {
            self.buf = Some(buf);
        }
    }

    pub(super) fn poll_head(
        &mut self,
        side: Side,
        violations: Violations,
        exchange: &mut Exchange,
        pipe: &mut Pipe<'_>,
    ) -> HeadPoll {
        if self.head.is_some() {
            return HeadPoll::Ready;
        }
        let mut fresh = self.buf.is_some();
        loop {
            if fresh {
                match self.parse(side, violations, exchange, pipe) {
                    Ok(true) => return HeadPoll::Ready,
                    Ok(false) => {}
                    Err(fault) => return HeadPoll::Broken(fault),
                }
            }
            match self.fill(pipe) {
                Io::Done(_) => fresh = true,
                Io::Again if self.buf.is_some() => return HeadPoll::Partial,
                Io::Again => return HeadPoll::Silent,
                Io::Eof if self.buf.is_none() => return HeadPoll::Gone,
                Io::Eof => return HeadPoll::Broken(Fault::new(Cause::Ended)),
                Io::Fault(fault) => return HeadPoll::Broken(fault),
            }
        }
    }

    /// Parses the head at the front of the buffer; false: more bytes are needed.
    fn parse(
        &mut self,
        side: Side,
        violations: Violations,
        exchange: &mut Exchange,
        pipe: &mut Pipe<'_>,
    ) -> Result<bool, Fault> {
        let Some(buf) = &mut self.buf else { return Ok(false) };
        let head_max = pipe.tune.bufsize - pipe.tune.maxrewrite;
        let opts = ParseOpts { head_max, fields_max: pipe.tune.maxhdr, violations };
        let mut head = self.partial.take().unwrap_or_else(|| pipe.heads.get());
        let parsed = match side {
            Side::Front => head.parse_request(buf.readable(), &opts),
            Side::Back => head.parse_response(buf.readable(), &opts),
        };
        match parsed {
            Parse::Done((), used) => {
                // the bytes of a head that is refused stay here: they are shown to whoever looks into it
                self.accept(side, violations, exchange, head)?;
                self.head_len = used as u64;
                if let Some(buf) = &mut self.buf {
                    buf.consume(used);
                }
                pipe.pool.put_if_empty(&mut self.buf);
                Ok(true)
            }
            Parse::Need => {
                let full = buf.len() >= head_max;
                self.partial = Some(head);
                if full {
                    return Err(Fault::new(Cause::TooLarge));
                }
                Ok(false)
            }
            Parse::Bad(Malformed { what: What::HeadTooLarge, .. }) => Err(Fault::new(Cause::TooLarge)),
            Parse::Bad(why) => Err(Fault::new(Cause::Malformed(why))),
        }
    }

    /// Decides what follows the head and what it means for the connection.
    fn accept(
        &mut self,
        side: Side,
        violations: Violations,
        exchange: &mut Exchange,
        mut head: Box<Head>,
    ) -> Result<(), Fault> {
        let malformed = |why| Fault::new(Cause::Malformed(why));
        match side {
            Side::Front => {
                let framing = framing::request(&mut head, violations).map_err(malformed)?;
                let hop = Hop::of(&head);
                self.body = framing.body;
                *exchange = Exchange {
                    asked: head.method_kind(),
                    upgrade: hop.upgrade,
                    v11: head.version() != Version::V10,
                    keep: hop.is_persistent(head.version()) && !framing.close,
                    interim: false,
                };
            }
            Side::Back => {
                let framing = framing::response(&mut head, exchange.asked, violations).map_err(malformed)?;
                if head.status() == 101 && !exchange.upgrade {
                    return Err(malformed(Malformed::new(What::Status, 0)));
                }
                self.body = framing.body;
                exchange.interim = head.status() < 200 && head.status() != 101;
                exchange.keep &= Hop::of(&head).is_persistent(head.version()) && !framing.close;
            }
        }
        self.head = Some(head);
        Ok(())
    }

    pub(super) fn recv(
        &mut self,
        side: Side,
        violations: Violations,
        exchange: &mut Exchange,
        into: &mut Channel,
        pipe: &mut Pipe<'_>,
    ) -> Flow {
        if into.ended {
            return Flow::End;
        }
        match self.stage {
            Stage::Head => match self.poll_head(side, violations, exchange, pipe) {
                HeadPoll::Ready => self.deliver_head(exchange, into, pipe.tune),
                HeadPoll::Partial | HeadPoll::Silent => Flow::Blocked,
                HeadPoll::Gone => Flow::Broken(Fault::new(Cause::Ended)),
                HeadPoll::Broken(fault) => Flow::Broken(fault),
            },
            Stage::Done => {
                into.ended = true;
                Flow::End
            }
            Stage::Broken(fault) => Flow::Broken(fault),
            Stage::Length(left) => self.recv_length(left, into, pipe),
            Stage::Chunked(_) => self.recv_chunked(into, pipe),
            _ if into.buf.is_some() => Flow::Blocked,
            Stage::UntilClose => self.recv_until_close(into, pipe),
            Stage::Tunnel => self.recv_tunnel(into, pipe),
        }
    }

    fn deliver_head(&mut self, exchange: &Exchange, into: &mut Channel, tune: &Tune) -> Flow {
        into.head = self.head.take();
        into.heads += self.head_len;
        into.head_sent = false;
        into.body = self.body;
        if exchange.interim {
            return Flow::Moved(0);
        }
        self.stage = match self.body {
            Body::None | Body::Length(0) => {
                into.ended = true;
                Stage::Done
            }
            Body::Length(n) => Stage::Length(n),
            Body::Chunked => Stage::Chunked(Box::new(Decoder::new(limits(tune)))),
            Body::UntilClose => Stage::UntilClose,
            Body::Tunnel => Stage::Tunnel,
        };
        Flow::Moved(0)
    }

    /// Has something in the buffer, or says what to answer.
    fn input(&mut self, pipe: &mut Pipe<'_>) -> Result<(), Flow> {
        if self.buf.is_some() {
            return Ok(());
        }
        match self.fill(pipe) {
            Io::Done(_) => Ok(()),
            Io::Again => Err(Flow::Blocked),
            Io::Eof => Err(Flow::Broken(Fault::new(Cause::Ended))),
            Io::Fault(fault) => Err(Flow::Broken(fault)),
        }
    }

    fn recv_length(&mut self, left: u64, into: &mut Channel, pipe: &mut Pipe<'_>) -> Flow {
        if into.buf.as_ref().is_some_and(Buffer::is_full) {
            return Flow::Blocked;
        }
        if let Err(flow) = self.input(pipe) {
            return flow;
        }
        let Some(mut buf) = self.buf.take() else { return Flow::Blocked };
        let mut n = (buf.len() as u64).min(left);
        if let Some(part) = &mut into.buf {
            // rules want to see more of the body at once
            n = part.take_from(&mut buf, n as usize) as u64;
            self.keep(buf, pipe);
        } else if n == buf.len() as u64 {
            into.buf = Some(buf);
        } else {
            let fits = [Size::Small, Size::Medium, Size::Large];
            let size = fits.into_iter().find(|s| pipe.pool.bytes(*s) as u64 >= n).unwrap_or(Size::Large);
            let Some(mut part) = buffer(size, pipe.pool) else {
                self.buf = Some(buf);
                return Flow::Blocked;
            };
            n = part.take_from(&mut buf, n as usize) as u64;
            into.buf = Some(part);
            self.buf = Some(buf);
        }
        into.received += n;
        if n == left {
            self.stage = Stage::Done;
            into.ended = true;
        } else {
            self.stage = Stage::Length(left - n);
        }
        Flow::Moved(n as usize)
    }

    fn recv_until_close(&mut self, into: &mut Channel, pipe: &mut Pipe<'_>) -> Flow {
        match self.input(pipe) {
            Ok(()) => self.hand_over(into),
            Err(Flow::Broken(Fault { cause: Cause::Ended })) => {
                self.stage = Stage::Done;
                into.ended = true;
                Flow::End
            }
            Err(flow) => flow,
        }
    }

    fn recv_tunnel(&mut self, into: &mut Channel, pipe: &mut Pipe<'_>) -> Flow {
        if self.buf.is_some() {
            return self.hand_over(into);
        }
        recv_raw(&mut self.size, into, pipe)
    }

    /// All that is here belongs to the body.
    fn hand_over(&mut self, into: &mut Channel) -> Flow {
        let n = self.buf.as_ref().map_or(0, Buffer::len);
        into.buf = self.buf.take();
        into.received += n as u64;
        Flow::Moved(n)
    }

    /// Decodes behind what the channel holds, until that is full or nothing is left to decode.
    fn recv_chunked(&mut self, into: &mut Channel, pipe: &mut Pipe<'_>) -> Flow {
        let mut out = into.buf.take();
        let before = out.as_ref().map_or(0, Buffer::len);
        let mut filled = false;
        let end = loop {
            match self.chunk(&mut out, into, pipe) {
                Ok(Decoded::More) => {}
                // one read for each call: what it brought is sent before more is taken
                Ok(Decoded::Dry) if filled => break Flow::Blocked,
                Ok(Decoded::Dry) => match self.fill(pipe) {
                    Io::Done(_) => filled = true,
                    Io::Again => break Flow::Blocked,
                    Io::Eof => break Flow::Broken(Fault::new(Cause::Ended)),
                    Io::Fault(fault) => break Flow::Broken(fault),
                },
                Ok(Decoded::Full) => break Flow::Blocked,
                Ok(Decoded::End) => break Flow::End,
                Err(fault) => break Flow::Broken(fault),
            }
        };
        let moved = out.as_ref().map_or(0, Buffer::len) - before;
        into.buf = out;
        into.received += moved as u64;
        match end {
            Flow::Blocked | Flow::End if moved > 0 || filled => Flow::Moved(moved),
            Flow::Broken(fault) => {
                self.stage = Stage::Broken(fault);
                // what came before the fault is delivered first
                if moved > 0 {
                    Flow::Moved(moved)
                } else {
                    Flow::Broken(fault)
                }
            }
            end => end,
        }
    }

    /// One step through a chunked body.
    fn chunk(
        &mut self,
        out: &mut Option<Buffer>,
        into: &mut Channel,
        pipe: &mut Pipe<'_>,
    ) -> Result<Decoded, Fault> {
        let (Some(buf), Stage::Chunked(decoder)) = (&mut self.buf, &mut self.stage) else {
            return Ok(Decoded::Dry);
        };
        if decoder.left() > 0 && out.is_none() {
            *out = buffer(Size::Small, pipe.pool);
        }
        let room = out.as_mut().map_or(0, |part| {
            part.make_room(buf.len());
            part.tail_room()
        });
        let input = buf.readable();
        let (what, n) = match decoder.step(input, room) {
            Parse::Done(what, n) => (what, n),
            Parse::Need if decoder.left() > 0 && room == 0 => return Ok(Decoded::Full),
            Parse::Need => return Ok(Decoded::Dry),
            Parse::Bad(why) => return Err(Fault::new(Cause::Malformed(why))),
        };
        let bytes = input.get(..n).unwrap_or_default();
        match (what, out) {
            (Chunk::Trailer, _) => into.trailers.extend_from_slice(bytes),
            (Chunk::Data, Some(part)) => drop(part.push(bytes)),
            (Chunk::Framing | Chunk::End | Chunk::Data, _) => {}
        }
        buf.consume(n);
        pipe.pool.put_if_empty(&mut self.buf);
        if what == Chunk::End {
            self.stage = Stage::Done;
            into.ended = true;
            return Ok(Decoded::End);
        }
        Ok(Decoded::More)
    }
}

/// How far a step through a chunked body came.
enum Decoded {
    /// There may be more to decode.
    More,
    /// More must be received first.
    Dry,
    /// The channel takes no more.
    Full,
    /// The body is over.
    End,
}

/// A trailer line must fit into a buffer together with the end of what came before it.
fn limits(tune: &Tune) -> Limits {
    let default = Limits::default();
    Limits { trailer: default.trailer.min(u32::try_from(tune.bufsize / 2).unwrap_or(u32::MAX)), ..default }
}
