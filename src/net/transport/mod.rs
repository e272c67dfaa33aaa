//! What carries the bytes of a connection: a raw socket, or TLS over one.
//!
//! A closed set, matched and inlined. [`Ready`] remembers what the (edge-triggered) poller told until
//! the kernel says "again"; nobody above touches it.

pub mod ssl;

use std::io::{self, IoSlice};

use crate::base::buffer::Buffer;
use crate::base::pool::Pool;
use crate::base::tick::Tick;
use crate::event::ready::Ready;
use crate::expr::view::TlsView;
use crate::net::fault::Fault;
use crate::net::sock::Sock;
use crate::net::tls::store::Awaited;

pub use ssl::SslSock;

/// What came of one attempt to move bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Io {
    /// So many bytes moved.
    Done(usize),
    /// None can move now; the poller will tell.
    Again,
    /// The peer has ended what it sends.
    Eof,
    /// It failed.
    Fault(Fault),
}

/// What came of a step of the transport's own handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hands {
    /// It is over.
    Done,
    /// The peer must answer, or take what we say, first.
    Again,
    /// What comes next is heavy work (a private key's): go on after [`Transport::grant`].
    Heavy,
    /// It failed.
    Fault(Fault),
}

/// What carries the bytes.
pub enum Transport {
    /// A socket.
    Raw(Sock),
    /// TLS over a socket.
    Ssl(Box<SslSock>),
}

impl Transport {
    /// The socket underneath.
    pub fn sock(&self) -> &Sock {
        match self {
            Transport::Raw(sock) => sock,
            Transport::Ssl(ssl) => ssl.sock(),
        }
    }

    /// The socket underneath, for what is said before TLS.
    pub fn sock_mut(&mut self) -> &mut Sock {
        match self {
            Transport::Raw(sock) => sock,
            Transport::Ssl(ssl) => ssl.sock_mut(),
        }
    }

    /// What TLS knows of the connection.
    pub fn tls(&self) -> Option<&dyn TlsView> {
        match self {
            Transport::Raw(_) => None,
            Transport::Ssl(ssl) => Some(ssl.view()),
        }
    }

    /// Goes on with the transport's own handshake, if it has one.
    pub fn handshake(&mut self, ready: &mut Ready, pool: &mut Pool) -> Hands {
        match self {
            Transport::Raw(_) => Hands::Done,
            Transport::Ssl(ssl) => ssl.handshake(ready, pool),
        }
    }

    /// The certificate the handshake waits for since its last step, for the store of certificates.
    pub fn newly_awaits(&mut self) -> Option<Awaited> {
        match self {
            Transport::Raw(_) => None,
            Transport::Ssl(ssl) => ssl.newly_awaits(),
        }
    }

    /// The heavy work of the handshake may be done in its next step.
    pub fn grant(&mut self) {
        if let Transport::Ssl(ssl) = self {
            ssl.grant();
        }
    }

    /// Heavy work was granted and is still to be done.
    pub fn is_granted(&self) -> bool {
        matches!(self, Transport::Ssl(ssl) if ssl.is_granted())
    }

    /// Goes on with a handshake that has let early data through; true when it is over.
    pub fn advance(&mut self, ready: &mut Ready, pool: &mut Pool) -> bool {
        match self {
            Transport::Raw(_) => true,
            Transport::Ssl(ssl) => ssl.advance(ready, pool),
        }
    }

    /// The connection is about to be dropped: says goodbye if that costs nothing, gives buffers back.
    pub fn close(&mut self, ready: &mut Ready, pool: &mut Pool) {
        if let Transport::Ssl(ssl) = self {
            ssl.close(ready, pool);
        }
    }

    /// A read may bring something: the socket is readable, or TLS holds bytes already.
    pub fn may_read(&self, ready: &Ready) -> bool {
        match self {
            Transport::Raw(_) => ready.readable(),
            Transport::Ssl(ssl) => ready.readable() || ssl.holds_input(),
        }
    }

    /// Reads into the room of `into`.
    pub fn recv(&mut self, into: &mut Buffer, ready: &mut Ready, pool: &mut Pool) -> Io {
        match self {
            Transport::Raw(sock) => recv_sock(sock, into, ready),
            Transport::Ssl(ssl) => ssl.recv(into, ready, pool),
        }
    }

    /// Sends from `bytes`; `more`: the owner goes on at once, with a send or with the end.
    pub fn send(&mut self, bytes: &[u8], more: bool, ready: &mut Ready, pool: &mut Pool) -> Io {
        match self {
            Transport::Raw(sock) => send_sock(ready, bytes.len(), || sock.send(bytes, more)),
            Transport::Ssl(ssl) => ssl.send2(bytes, &[], more, (ready, pool)),
        }
    }

    /// Sends two slices as one; `more` as with [`Transport::send`].
    pub fn send2(
        &mut self,
        first: &[u8],
        second: &[u8],
        more: bool,
        (ready, pool): (&mut Ready, &mut Pool),
    ) -> Io {
        match self {
            Transport::Raw(sock) => {
                let parts = [IoSlice::new(first), IoSlice::new(second)];
                send_sock(ready, first.len() + second.len(), || sock.send_parts(&parts, more))
            }
            Transport::Ssl(ssl) => ssl.send2(first, second, more, (ready, pool)),
        }
    }

    /// The last message is complete: TLS says so along with its last bytes, a bare socket when it is closed.
    pub fn end(&mut self, ready: &mut Ready, pool: &mut Pool) -> bool {
        match self {
            Transport::Raw(_) => true,
            Transport::Ssl(ssl) => ssl.end(ready, pool),
        }
    }

    /// Sends what the transport itself still holds; true when nothing is left.
    pub fn flush(&mut self, ready: &mut Ready, pool: &mut Pool) -> bool {
        match self {
            Transport::Raw(_) => true,
            Transport::Ssl(ssl) => ssl.flush(ready, pool),
        }
    }

    /// Something is about to be sent at this time.
    pub fn note_time(&mut self, now: Tick) {
        if let Transport::Ssl(ssl) = self {
            ssl.note_time(now);
        }
    }

    /// Something that was sent waits here for the socket.
    pub fn holds_output(&self) -> bool {
        match self {
            Transport::Raw(_) => false,
            Transport::Ssl(ssl) => ssl.holds_output(),
        }
    }

    /// Tells the peer that nothing more comes; false when the socket is full: again later.
    pub fn shut_write(&mut self, ready: &mut Ready, pool: &mut Pool) -> bool {
        match self {
            Transport::Raw(sock) => {
                sock.shut_write();
                true
            }
            Transport::Ssl(ssl) => ssl.shut_write(ready, pool),
        }
    }

    /// Gives back the memory that an idle connection does not need.
    pub fn rest(&mut self, pool: &mut Pool) {
        if let Transport::Ssl(ssl) = self {
            ssl.rest(pool);
        }
    }
}

/// One read from a socket. A short read means that the socket is drained, unless the peer's end came
/// with it: then only the next read tells.
pub(crate) fn recv_sock(sock: &mut Sock, into: &mut Buffer, ready: &mut Ready) -> Io {
    if !ready.readable() {
        return Io::Again;
    }
    let room = into.writable();
    let wanted = room.len();
    match sock.recv(room) {
        Ok(0) => Io::Eof,
        Ok(n) => {
            into.commit(n);
            if n < wanted && !ready.peer_ended() {
                ready.drained();
            }
            Io::Done(n)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            ready.drained();
            Io::Again
        }
        Err(error) => Io::Fault(Fault::from_io(&error)),
    }
}

/// One send to a socket, which takes less than `wanted` only when it is full.
pub(crate) fn send_sock(ready: &mut Ready, wanted: usize, send: impl FnOnce() -> io::Result<usize>) -> Io {
    if !ready.writable() {
        return Io::Again;
    }
    match send() {
        Ok(n) => {
            if n < wanted {
                ready.filled();
            }
            Io::Done(n)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            ready.filled();
            Io::Again
        }
        Err(error) => Io::Fault(Fault::from_io(&error)),
    }
}
