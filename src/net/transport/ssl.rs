//! TLS over a socket: an engine that knows no socket, and the two buffers of ciphertext it works on.
//!
//! One `recv` brings whatever the socket has, one `send` takes all records of a flight. Both buffers go
//! back to the pool as soon as they are empty: an idle connection owns none.

use std::sync::Arc;

use crate::base::buffer::Buffer;
use crate::base::pool::{Pool, Size};
use crate::base::tick::Tick;
use crate::event::ready::Ready;
use crate::expr::view::TlsView;
use crate::net::fault::{Cause, Fault};
use crate::net::sock::Sock;
use crate::net::tls::engine::RECORD_MAX;
use crate::net::tls::store::Awaited;
use crate::net::tls::{BindContext, Failure, Pipe, Plain, Reason, ServerContext, Step, TlsEngine, Wrote};
use crate::net::transport::{recv_sock, send_sock, Hands, Io};

/// Bytes that go out in small records: what a network that knows nothing of the receiver yet takes in two round trips
/// (RFC 6928). A peer can use a record only when all of it is there.
const SLOW_START: u32 = 32 * 1024;
/// Silence after which the network has forgotten the receiver, milliseconds.
const REST_MS: u64 = 1000;

/// One TLS connection.
pub struct SslSock {
    sock: Sock,
    engine: TlsEngine,
    /// Received ciphertext.
    rx: Option<Buffer>,
    /// Ciphertext to be sent.
    tx: Option<Buffer>,
    rx_size: Size,
    /// Bytes of the first records.
    first_record: u16,
    /// Bytes sent since the connection began, or last rested; counted as far as it matters.
    sent: u32,
    /// When something was sent last.
    sent_at: Tick,
    /// close_notify is among what was sent: nothing follows.
    ended: bool,
    /// Bytes of ciphertext received, as far as they were counted: for lines about handshakes that fail.
    received: u32,
}

macro_rules! engine {
    ($self:ident, $pool:expr, $call:ident $(, $arg:expr)*) => {
        $self.engine.$call(&mut Pipe { rx: &mut $self.rx, tx: &mut $self.tx, pool: $pool } $(, $arg)*)
    };
}

impl SslSock {
    /// The server's side of a new client's connection.
    pub fn accept(sock: Sock, bind: &Arc<BindContext>, record: usize) -> Box<SslSock> {
        Self::with(sock, TlsEngine::accept(bind), record)
    }

    /// The client's side of a connection to a server, asking for `name`; `early`: data may go along with the first flight.
    pub fn connect(
        sock: Sock,
        server: &Arc<ServerContext>,
        (name, early): (Option<&str>, bool),
        record: usize,
    ) -> Option<Box<SslSock>> {
        Some(Self::with(sock, TlsEngine::connect(server, name, early).ok()?, record))
    }

    fn with(sock: Sock, engine: TlsEngine, record: usize) -> Box<SslSock> {
        let record = if record == 0 { RECORD_MAX } else { record.min(RECORD_MAX) } as u16;
        Box::new(SslSock {
            sock,
            engine,
            rx: None,
            tx: None,
            rx_size: Size::Small,
            first_record: record,
            sent: 0,
            sent_at: Tick(0),
            ended: false,
            received: 0,
        })
    }

    /// The socket underneath.
    pub fn sock(&self) -> &Sock {
        &self.sock
    }

    /// The socket underneath, for what is said before TLS.
    pub fn sock_mut(&mut self) -> &mut Sock {
        &mut self.sock
    }

    /// What TLS knows of the connection.
    pub fn view(&self) -> &dyn TlsView {
        &self.engine
    }

    /// How it failed, if it did.
    pub fn failure(&self) -> Option<Failure> {
        self.engine.failure()
    }

    /// The engine, to be asked what a failed handshake was about.
    pub fn engine(&self) -> &TlsEngine {
        &self.engine
    }

    /// Bytes of ciphertext received so far.
    pub fn received(&self) -> u32 {
        self.received
    }

    /// The engine may have bytes to give without the socket's help.
    pub fn holds_input(&self) -> bool {
        self.engine.has_plain() || self.rx.is_some()
    }

    /// Ciphertext waits for the socket.
    pub fn holds_output(&self) -> bool {
        self.tx.is_some()
    }

    /// Bytes that were read from the socket before TLS began.
    pub fn push_input(&mut self, input: Buffer) {
        self.received = input.len() as u32;
        self.rx = Some(input);
    }

    /// Bytes that go out as they are, in front of all TLS says.
    pub fn push_output(&mut self, output: Buffer) {
        self.tx = Some(output);
    }

    /// The certificate the handshake waits for since its last step.
    pub fn newly_awaits(&mut self) -> Option<Awaited> {
        self.engine.newly_awaits()
    }

    /// The heavy work of the handshake may be done in its next step.
    pub fn grant(&mut self) {
        self.engine.grant();
    }

    /// Heavy work was granted and is still to be done.
    pub fn is_granted(&self) -> bool {
        self.engine.is_granted()
    }

    /// Goes on with the handshake.
    pub fn handshake(&mut self, ready: &mut Ready, pool: &mut Pool) -> Hands {
        loop {
            match engine!(self, pool, handshake) {
                Step::Done => {
                    // a server's last words end the handshake for the client, a client's can wait for its request
                    if self.is_server() {
                        self.flush(ready, pool);
                    }
                    self.settle(pool);
                    return Hands::Done;
                }
                Step::WantRead => {
                    self.flush(ready, pool);
                    match self.fill(ready, pool) {
                        Io::Done(_) => {}
                        Io::Again => {
                            self.settle(pool);
                            return Hands::Again;
                        }
                        Io::Eof => return Hands::Fault(Fault::new(Cause::Ended)),
                        Io::Fault(fault) => return Hands::Fault(fault),
                    }
                }
                Step::WantWrite => {
                    if !self.flush(ready, pool) {
                        return Hands::Again;
                    }
                }
                Step::Suspended => return Hands::Again,
                Step::Heavy => return Hands::Heavy,
                Step::Fault(failure) => {
                    self.flush(ready, pool);
                    return Hands::Fault(tls_fault(failure));
                }
            }
        }
    }

    /// Goes on with a handshake that has let early data through; true when it is over, or nothing can be done any more.
    pub fn advance(&mut self, ready: &mut Ready, pool: &mut Pool) -> bool {
        loop {
            let over = engine!(self, pool, advance);
            self.flush(ready, pool);
            if over || self.engine.has_plain() || !matches!(self.fill(ready, pool), Io::Done(_)) {
                let over = over || self.engine.failure().is_some() || ready.peer_ended();
                self.settle(pool);
                return over;
            }
        }
    }

    fn is_server(&self) -> bool {
        self.engine.is_front()
    }

    /// Reads ciphertext from the socket behind what is here.
    fn fill(&mut self, ready: &mut Ready, pool: &mut Pool) -> Io {
        if !ready.readable() {
            return Io::Again;
        }
        let size = self.rx_size;
        let taken = self.rx.take().or_else(|| pool.sized(size)).or_else(|| pool.get());
        let Some(mut rx) = taken else { return Io::Again };
        if rx.is_full() && !pool.grow(&mut rx) {
            self.rx = Some(rx);
            return Io::Fault(Fault::new(Cause::Tls("record too large")));
        }
        let io = recv_sock(&mut self.sock, &mut rx, ready);
        if rx.is_full() {
            self.rx_size = self.rx_size.larger().unwrap_or(self.rx_size);
        }
        self.rx = Some(rx);
        if let Io::Done(n) = io {
            self.received = self.received.saturating_add(n as u32);
        }
        io
    }

    /// Empty buffers go back.
    fn settle(&mut self, pool: &mut Pool) {
        pool.put_if_empty(&mut self.rx);
        pool.put_if_empty(&mut self.tx);
    }

    /// Decrypts into the room of `into`.
    pub fn recv(&mut self, into: &mut Buffer, ready: &mut Ready, pool: &mut Pool) -> Io {
        loop {
            let plain = engine!(self, pool, read, into.writable());
            let io = match plain {
                Plain::Some(n) => {
                    into.commit(n);
                    Io::Done(n)
                }
                Plain::Closed => Io::Eof,
                Plain::Fault(failure) => {
                    self.flush(ready, pool);
                    Io::Fault(tls_fault(failure))
                }
                Plain::Need => {
                    if self.tx.is_some() {
                        self.flush(ready, pool);
                    }
                    match self.fill(ready, pool) {
                        Io::Done(_) => continue,
                        io => io,
                    }
                }
            };
            self.settle(pool);
            return io;
        }
    }

    /// Encrypts two slices as one and sends them. `more`: the owner goes on at once, with a send, [`SslSock::flush`] or
    /// [`SslSock::shut_write`], and what fits into the buffer may wait for that.
    pub fn send2(
        &mut self,
        first: &[u8],
        second: &[u8],
        more: bool,
        (ready, pool): (&mut Ready, &mut Pool),
    ) -> Io {
        if self.tx.is_some() && !self.engine_may_add() && !self.flush(ready, pool) {
            return Io::Again;
        }
        let whole = first.len() + second.len();
        self.widen(whole, pool);
        let mut done = 0;
        while done < whole {
            let mut head = first.get(done..).unwrap_or_default();
            let mut body = second.get(done.saturating_sub(first.len())..).unwrap_or_default();
            let mut record = RECORD_MAX;
            if self.sent < SLOW_START {
                record = usize::from(self.first_record);
                let most = (SLOW_START - self.sent) as usize;
                head = head.get(..most).unwrap_or(head);
                body = body.get(..most.saturating_sub(head.len())).unwrap_or(body);
            }
            match engine!(self, pool, write2, head, body, record) {
                Wrote::Some(n) => {
                    done += n;
                    self.sent = self.sent.saturating_add(n as u32);
                }
                Wrote::Full => {
                    if !self.flush(ready, pool) {
                        return if done > 0 { Io::Done(done) } else { Io::Again };
                    }
                }
                Wrote::Wait => {
                    self.flush(ready, pool);
                    return if done > 0 { Io::Done(done) } else { Io::Again };
                }
                Wrote::Fault(failure) => {
                    self.flush(ready, pool);
                    return Io::Fault(tls_fault(failure));
                }
            }
        }
        if !more {
            self.flush(ready, pool);
        }
        if let Some(fault) = self.broken(ready) {
            return Io::Fault(fault);
        }
        Io::Done(done)
    }

    /// What time it is: a connection that was silent for long begins with small records again.
    pub fn note_time(&mut self, now: Tick) {
        if now.since(self.sent_at) >= REST_MS {
            self.sent = 0;
        }
        self.sent_at = now;
    }

    /// The output buffer still has room for more records.
    fn engine_may_add(&self) -> bool {
        self.tx.as_ref().is_some_and(|tx| tx.room() > RECORD_MAX / 2)
    }

    /// A buffer that takes many records at once, for those who have much to say.
    fn widen(&mut self, bytes: usize, pool: &mut Pool) {
        if self.tx.is_none() && bytes > pool.bytes(Size::Small) / 2 {
            let size = if bytes > pool.bytes(Size::Medium) / 2 { Size::Large } else { Size::Medium };
            self.tx = pool.sized(size).or_else(|| pool.sized(Size::Medium));
        }
    }

    /// Sends what is encrypted; true when nothing is left.
    pub fn flush(&mut self, ready: &mut Ready, pool: &mut Pool) -> bool {
        while let Some(tx) = &mut self.tx {
            if tx.is_empty() {
                pool.put_if_empty(&mut self.tx);
                return true;
            }
            let sock = &mut self.sock;
            match send_sock(ready, tx.len(), || sock.send(tx.readable(), false)) {
                Io::Done(n) => tx.consume(n),
                Io::Again => return false,
                Io::Eof | Io::Fault(_) => {
                    // nobody will read it: what fails once fails again at the next read
                    tx.clear();
                    self.failed_send(ready);
                }
            }
        }
        true
    }

    /// The socket took no more: a read will tell why.
    fn failed_send(&mut self, ready: &mut Ready) {
        ready.fail();
    }

    fn broken(&self, ready: &Ready) -> Option<Fault> {
        ready.send_failed().then(|| Fault::new(Cause::Reset))
    }

    /// Says that nothing more comes (close_notify), together with what waits to be sent; true when all is out.
    pub fn end(&mut self, ready: &mut Ready, pool: &mut Pool) -> bool {
        if !self.ended && self.engine.is_established() {
            // a ticket that waited for a first answer has none to wait for any more
            engine!(self, pool, release);
            self.ended = engine!(self, pool, shutdown);
        }
        self.flush(ready, pool)
    }

    /// Tells the peer that nothing more comes, here and in the layer underneath; false when the socket is full.
    pub fn shut_write(&mut self, ready: &mut Ready, pool: &mut Pool) -> bool {
        let out = self.end(ready, pool);
        if out {
            self.sock.shut_write();
        }
        out
    }

    /// The connection is about to be dropped: one last word if it costs nothing, then all buffers go back.
    pub fn close(&mut self, ready: &mut Ready, pool: &mut Pool) {
        if !ready.peer_ended() && !ready.send_failed() {
            self.end(ready, pool);
        }
        for buf in [self.rx.take(), self.tx.take()].into_iter().flatten() {
            pool.put(buf);
        }
    }

    /// Gives back what an idle connection does not need.
    pub fn rest(&mut self, pool: &mut Pool) {
        self.rx_size = Size::Small;
        self.settle(pool);
    }
}

fn tls_fault(failure: Failure) -> Fault {
    Fault::new(match failure.reason {
        Reason::EarlyRefused => Cause::EarlyRefused,
        _ => Cause::Tls(failure.words()),
    })
}
