//! One client connection of the origin: reads requests, drains their bodies, answers. Called by `server` with what an edge
//! told; it goes on until the kernel says EAGAIN, the peer's turn has come, or the connection is over.

use std::io::{self, IoSlice, Read, Write};

use mio::net::TcpStream;

use crate::answer::{head, Cache, Connection};
use crate::ask::{Ask, Framing};
use crate::request::{parse, skip, Body, Parsed, Request, Skipped, MAX_HEAD};

/// Answers are gathered up to this size before they are sent: what pipelined requests get in one send.
const GATHER: usize = 65536;

/// What all connections of a process share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) cache: Cache,
    /// Receives land here; nothing stays between two calls.
    pub(crate) scratch: Box<[u8]>,
    /// State of the generator behind `R=1`.
    pub(crate) seed: u64,
}

impl Shared {
    /// A number up to `most`, xorshift64*: spread, not secret.
    fn draw(&mut self, most: u64) -> u64 {
        self.seed ^= self.seed >> 12;
        self.seed ^= self.seed << 25;
        self.seed ^= self.seed >> 27;
        let drawn = self.seed.wrapping_mul(0x2545_f491_4f6c_dd1d);
        if most == u64::MAX {
            drawn
        } else {
            drawn % (most + 1)
        }
    }
}

/// What the server has to do with the connection now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Wait for the next edge.
    Keep,
    /// Call `answer_now` after this many milliseconds.
    Delay(u32),
    /// It is over.
    Close,
}

/// A request whose answer is not the plain prepared one, or cannot be given yet.
#[derive(Debug)]
struct Pending {
    ask: Ask,
    head: bool,
    old: bool,
    keep: bool,
    body: Body,
    head_len: usize,
    body_len: u64,
    /// Whole and waiting for its delay.
    waits: bool,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) sock: TcpStream,
    /// Read and not used: the start of a head, or requests behind one that is not answered yet.
    input: Vec<u8>,
    out: Vec<u8>,
    sent: usize,
    /// Body bytes that follow `out`.
    body: u64,
    /// Where in the pattern the body goes on.
    at: usize,
    /// Chunk size when the body is chunked.
    chunk: Option<u32>,
    pending: Option<Box<Pending>>,
    /// The delay of `pending` has begun and the server does not know yet.
    arm: Option<u32>,
    /// An edge said readable and EAGAIN has not been seen since.
    readable: bool,
    writable: bool,
    /// The peer will send no more: read until the end.
    hup: bool,
    /// Close once everything is sent.
    close: bool,
}

impl Conn {
    pub(crate) fn new(sock: TcpStream) -> Conn {
        Conn {
            sock,
            input: Vec::new(),
            out: Vec::new(),
            sent: 0,
            body: 0,
            at: 0,
            chunk: None,
            pending: None,
            arm: None,
            readable: false,
            writable: true,
            hup: false,
            close: false,
        }
    }

    /// An edge.
    pub(crate) fn on_edge(
        &mut self,
        readable: bool,
        writable: bool,
        hup: bool,
        shared: &mut Shared,
    ) -> Verdict {
        self.readable |= readable;
        self.writable |= writable;
        self.hup |= hup;
        self.run(shared)
    }

    /// The delay of the request that waits is over.
    pub(crate) fn answer_now(&mut self, shared: &mut Shared) -> Verdict {
        if let Some(pending) = self.pending.take() {
            self.answer(*pending, shared);
        }
        self.run(shared)
    }

    fn run(&mut self, shared: &mut Shared) -> Verdict {
        loop {
            match self.flush(shared) {
                Ok(true) => {}
                Ok(false) => return Verdict::Keep,
                Err(_) => return Verdict::Close,
            }
            let waits = self.pending.as_ref().is_some_and(|p| p.waits);
            if self.close && !waits {
                return Verdict::Close;
            }
            if waits {
                return self.arm.take().map_or(Verdict::Keep, Verdict::Delay);
            }
            if !self.input.is_empty() {
                let mut input = std::mem::take(&mut self.input);
                let used = self.take(&input, shared);
                input.drain(..used);
                self.input = input;
                if used > 0 {
                    continue;
                }
            }
            match self.fill(shared) {
                Some(verdict) => return verdict,
                None => continue,
            }
        }
    }

    /// Reads once and uses what came. Some = stop here.
    fn fill(&mut self, shared: &mut Shared) -> Option<Verdict> {
        if !self.readable {
            return Some(Verdict::Keep);
        }
        let mut scratch = std::mem::take(&mut shared.scratch);
        let got = (&self.sock).read(&mut scratch);
        let verdict = match got {
            Ok(0) => {
                self.readable = false;
                self.close = true;
                Some(Verdict::Close).filter(|_| self.pending.is_none())
            }
            Ok(n) => {
                // edge-triggered: less than asked for means drained, unless a FIN stands behind
                self.readable = n == scratch.len() || self.hup;
                if self.input.is_empty() {
                    let used = self.take(&scratch[..n], shared);
                    self.input.extend_from_slice(&scratch[used..n]);
                } else {
                    self.input.extend_from_slice(&scratch[..n]);
                }
                None
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                Some(Verdict::Keep)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => None,
            Err(_) => Some(Verdict::Close),
        };
        shared.scratch = scratch;
        verdict
    }

    /// Uses requests from `bytes`, as far as answers may be gathered; returns how many bytes are used.
    fn take(&mut self, bytes: &[u8], shared: &mut Shared) -> usize {
        let mut used = 0;
        while used < bytes.len() && !self.close && self.body == 0 && self.out.len() < GATHER {
            if self.pending.is_some() {
                match self.drain(&bytes[used..], shared) {
                    Some(0) => return used, // the start of a trailer line
                    Some(n) => used += n,
                    None => return bytes.len(),
                }
                if self.pending.as_ref().is_some_and(|p| p.waits) {
                    return used;
                }
                continue;
            }
            match parse(&bytes[used..]) {
                Parsed::Whole(request) => {
                    used += request.len;
                    self.request(&request, shared);
                    if self.pending.as_ref().is_some_and(|p| p.waits) {
                        return used;
                    }
                }
                Parsed::Partial => return used,
                Parsed::Bad(status) => {
                    let ask = Ask { status, size: 0, ..Ask::default() };
                    head(&ask, 0, Connection::Close, false, None, &mut self.out);
                    self.close = true;
                    return bytes.len();
                }
            }
        }
        used
    }

    fn request(&mut self, request: &Request<'_>, shared: &mut Shared) {
        let prepared = shared.cache.get(request.url);
        let plain = !request.old && !request.head && prepared.constant() && request.body.none();
        if plain {
            self.out.extend_from_slice(prepared.bytes(!request.keep));
            self.close |= !request.keep || prepared.ask.close;
            if !prepared.inline {
                self.body = prepared.ask.size;
                self.chunk = match prepared.ask.framing {
                    Framing::Chunked(size) => Some(size),
                    Framing::Length | Framing::Close => None,
                };
                self.end_empty_chunks();
            }
            return;
        }
        let mut pending = Pending {
            ask: prepared.ask.clone(),
            head: request.head,
            old: request.old,
            keep: request.keep,
            body: request.body,
            head_len: request.len,
            body_len: 0,
            waits: false,
        };
        if pending.ask.random {
            pending.ask.size = shared.draw(pending.ask.size);
            pending.ask.delay = shared.draw(u64::from(pending.ask.delay)) as u32;
        }
        if request.expect && !request.body.none() {
            self.out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        if request.body.none() {
            self.whole(pending, shared);
        } else {
            self.pending = Some(Box::new(pending));
        }
    }

    /// Goes over the request's body. None = not a body.
    fn drain(&mut self, bytes: &[u8], shared: &mut Shared) -> Option<usize> {
        let mut pending = self.pending.take()?;
        let (used, over) = match &mut pending.body {
            Body::Length(left) => {
                let n = (*left).min(bytes.len() as u64);
                *left -= n;
                pending.body_len += n;
                (n as usize, *left == 0)
            }
            Body::Chunked(decoder) => match skip(decoder, bytes, &mut pending.body_len) {
                Skipped::More(n) => (n, false),
                Skipped::End(n) => (n, true),
                Skipped::Bad => {
                    let ask = Ask { status: 400, size: 0, ..Ask::default() };
                    head(&ask, 0, Connection::Close, false, None, &mut self.out);
                    self.close = true;
                    return None;
                }
            },
        };
        if over {
            self.whole(*pending, shared);
        } else {
            self.pending = Some(pending);
        }
        Some(used)
    }

    fn whole(&mut self, mut pending: Pending, shared: &mut Shared) {
        if pending.ask.delay > 0 {
            pending.waits = true;
            self.arm = Some(pending.ask.delay);
            self.pending = Some(Box::new(pending));
        } else {
            self.answer(pending, shared);
        }
    }

    fn answer(&mut self, pending: Pending, shared: &mut Shared) {
        let ask = &pending.ask;
        let unframed = pending.old && ask.framing != Framing::Length;
        let close = !pending.keep || ask.close || unframed;
        let connection = match (close, pending.old) {
            (true, _) => Connection::Close,
            (false, true) => Connection::KeepOld,
            (false, false) => Connection::Keep,
        };
        let echo = ask.echo.then_some((pending.head_len, pending.body_len));
        head(ask, ask.size, connection, pending.old, echo, &mut self.out);
        self.close |= close;
        if pending.head {
            return;
        }
        self.chunk = match ask.framing {
            Framing::Chunked(size) if !pending.old => Some(size),
            _ => None,
        };
        let small = GATHER - self.out.len().min(GATHER);
        if self.chunk.is_none() && ask.size <= small as u64 {
            self.out.extend_from_slice(&shared.cache.pattern()[..ask.size as usize]);
        } else {
            self.body = ask.size;
            self.end_empty_chunks();
        }
    }

    fn end_empty_chunks(&mut self) {
        if self.body == 0 && self.chunk.take().is_some() {
            self.out.extend_from_slice(b"0\r\n\r\n");
        }
    }

    /// Sends until nothing is left (true) or the kernel takes no more (false).
    fn flush(&mut self, shared: &Shared) -> io::Result<bool> {
        let pattern = shared.cache.pattern();
        loop {
            if self.chunk.is_some() {
                self.stage_chunks(pattern);
            }
            let head = &self.out[self.sent..];
            let body = if self.chunk.is_some() { 0 } else { self.body };
            if head.is_empty() && body == 0 {
                self.out.clear();
                self.sent = 0;
                self.at = 0;
                return Ok(true);
            }
            if !self.writable {
                return Ok(false);
            }
            let result = if body == 0 {
                (&self.sock).write(head)
            } else {
                let mut left = body;
                let mut slices =
                    [IoSlice::new(head), IoSlice::new(&[]), IoSlice::new(&[]), IoSlice::new(&[])];
                let mut at = self.at;
                for slice in &mut slices[1..] {
                    let n = left.min((pattern.len() - at) as u64) as usize;
                    *slice = IoSlice::new(&pattern[at..at + n]);
                    left -= n as u64;
                    at = 0;
                }
                let first = usize::from(head.is_empty());
                (&self.sock).write_vectored(&slices[first..])
            };
            match result {
                Ok(n) => {
                    let from_head = n.min(self.out.len() - self.sent);
                    self.sent += from_head;
                    let from_body = n - from_head;
                    if self.chunk.is_none() {
                        self.body -= from_body as u64;
                        self.at = (self.at + from_body) % pattern.len();
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.writable = false;
                    return Ok(false);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Writes the next chunks behind what is to be sent, up to `GATHER`.
    fn stage_chunks(&mut self, pattern: &[u8]) {
        let Some(size) = self.chunk else { return };
        if self.sent < self.out.len() && self.out.len() >= GATHER {
            return;
        }
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
        while self.body > 0 && self.out.len() < GATHER {
            let n = self.body.min(u64::from(size)) as usize;
            let _ = write!(self.out, "{n:x}\r\n"); // a Vec takes everything
            let start = self.at;
            let first = n.min(pattern.len() - start);
            self.out.extend_from_slice(&pattern[start..start + first]);
            self.out.extend_from_slice(&pattern[..n - first]);
            self.out.extend_from_slice(b"\r\n");
            self.at = (start + n) % pattern.len();
            self.body -= n as u64;
        }
        if self.body == 0 {
            self.chunk = None;
            self.out.extend_from_slice(b"0\r\n\r\n");
        }
    }
}

/// The scratch buffer holds at least one whole head.
pub(crate) const SCRATCH: usize = 4 * MAX_HEAD;
