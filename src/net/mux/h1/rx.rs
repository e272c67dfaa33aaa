//! The receiving half of the HTTP/1 mux.
//!
//! Invariant: `buf` is `None` when empty, so an idle connection owns no buffer. A body moves by
//! swapping whole buffers; only a buffer that also holds the next message, and chunked bodies, are copied.

use super::{Exchange, HeadPoll, Side};
use crate::base::buffer::Buffer;
use crate::base::ids::TaskId;
use crate::base::pool::Size;
use crate::msg::framing::{self, Body};
use crate::msg::heads::HeadPool;
use crate::msg::hop::Hop;
use crate::msg::{Head, ParseOpts};
use crate::net::fault::{Cause, Fault};
use crate::net::mux::pass::{buffer, grown, recv_raw};
use crate::net::mux::{Channel, Flow, Pipe};
use crate::net::transport::Io;
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
}

/// What has been received and not handed up yet.
pub(super) struct Rx {
    pub(super) buf: Option<Buffer>,
    /// Who is woken when there is a buffer again.
    pub(super) upper: Option<TaskId>,
    /// The next head, whole.
    pub(super) head: Option<Box<Head>>,
    /// The next head, of which something has come.
    partial: Option<Box<Head>>,
    stage: Stage,
    body: Body,
    size: Size,
}

impl Rx {
    pub(super) fn new() -> Self {
        Rx {
            buf: None,
            upper: None,
            head: None,
            partial: None,
            stage: Stage::Head,
            body: Body::None,
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
        let Some(mut buf) = self.buf.take().or_else(|| buffer(self.size, self.upper, pipe.pool)) else {
            return Io::Again;
        };
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
                buf.consume(used);
                if buf.is_empty() {
                    if let Some(buf) = self.buf.take() {
                        pipe.pool.put(buf);
                    }
                }
                self.accept(side, violations, exchange, head)?;
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
                HeadPoll::Ready => self.deliver_head(exchange, into),
                HeadPoll::Partial | HeadPoll::Silent => Flow::Blocked,
                HeadPoll::Gone => Flow::Broken(Fault::new(Cause::Ended)),
                HeadPoll::Broken(fault) => Flow::Broken(fault),
            },
            Stage::Done => {
                into.ended = true;
                Flow::End
            }
            Stage::Length(left) => self.recv_length(left, into, pipe),
            _ if into.buf.is_some() => Flow::Blocked,
            Stage::UntilClose => self.recv_until_close(into, pipe),
            Stage::Tunnel => self.recv_tunnel(into, pipe),
            Stage::Chunked(_) => self.recv_chunked(into, pipe),
        }
    }

    fn deliver_head(&mut self, exchange: &Exchange, into: &mut Channel) -> Flow {
        into.head = self.head.take();
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
            Body::Chunked => Stage::Chunked(Box::new(Decoder::new(Limits::default()))),
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
            let Some(mut part) = pipe.pool.sized(pipe.pool.size_of(&buf).unwrap_or(Size::Large)) else {
                self.buf = Some(buf);
                return Flow::Blocked;
            };
            part.take_from(&mut buf, n as usize);
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
        recv_raw(&mut self.size, self.upper, into, pipe)
    }

    /// All that is here belongs to the body.
    fn hand_over(&mut self, into: &mut Channel) -> Flow {
        let n = self.buf.as_ref().map_or(0, Buffer::len);
        into.buf = self.buf.take();
        into.received += n as u64;
        Flow::Moved(n)
    }

    fn recv_chunked(&mut self, into: &mut Channel, pipe: &mut Pipe<'_>) -> Flow {
        let mut out: Option<Buffer> = None;
        let end = loop {
            match self.chunk(&mut out, into, pipe) {
                Ok(true) => {}
                Ok(false) => break Flow::Blocked,
                Err(flow) => break flow,
            }
        };
        match out {
            Some(part) => {
                let n = part.len();
                into.received += n as u64;
                into.buf = Some(part);
                if matches!(end, Flow::Broken(_)) {
                    end
                } else {
                    Flow::Moved(n)
                }
            }
            None => end,
        }
    }

    /// One step through a chunked body; false: nothing more can be done with what is here.
    fn chunk(
        &mut self,
        out: &mut Option<Buffer>,
        into: &mut Channel,
        pipe: &mut Pipe<'_>,
    ) -> Result<bool, Flow> {
        if self.buf.is_none() {
            if out.is_some() {
                return Ok(false); // first send what there is
            }
            self.input(pipe)?;
        }
        let Some(mut buf) = self.buf.take() else { return Ok(false) };
        let room = match out {
            Some(part) => part.room(),
            None => pipe.pool.bytes(Size::Small),
        };
        let Stage::Chunked(decoder) = &mut self.stage else { return Ok(false) };
        let step = decoder.step(buf.readable(), room);
        let mut need = false;
        match step {
            Parse::Done(what, n) => {
                match what {
                    Chunk::Framing => {}
                    Chunk::Trailer => {
                        into.trailers.extend_from_slice(buf.readable().get(..n).unwrap_or_default())
                    }
                    Chunk::End => {
                        self.stage = Stage::Done;
                        into.ended = true;
                    }
                    Chunk::Data => {
                        let Some(part) = out.take().or_else(|| pipe.pool.get()) else {
                            // the decoder has counted them: without a buffer this body cannot go on
                            return Err(Flow::Broken(Fault::new(Cause::Local)));
                        };
                        out.insert(part).push(buf.readable().get(..n).unwrap_or_default());
                    }
                }
                buf.consume(n);
            }
            Parse::Need => need = true,
            Parse::Bad(why) => return Err(Flow::Broken(Fault::new(Cause::Malformed(why)))),
        }
        self.keep(buf, pipe);
        if into.ended {
            return Err(Flow::End);
        }
        if need && room > 0 && out.is_none() {
            return match self.fill(pipe) {
                Io::Done(_) => Ok(true),
                Io::Again => Ok(false),
                Io::Eof => Err(Flow::Broken(Fault::new(Cause::Ended))),
                Io::Fault(fault) => Err(Flow::Broken(fault)),
            };
        }
        Ok(!need)
    }
}
