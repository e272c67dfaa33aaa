//! The mux that is none: bytes as they are, for `mode tcp`. One stream for the life of the connection.

use super::{After, Channel, Flow, MuxOps, Pipe};
use crate::base::buffer::Buffer;
use crate::base::ids::TaskId;
use crate::base::pool::{Pool, Size};
use crate::net::fault::{Cause, Fault};
use crate::net::transport::Io;

/// Bytes in, bytes out.
pub struct PassMux {
    pub(in crate::net) upper: Option<TaskId>,
    /// How large the next receive buffer is: grows with connections that fill them.
    size: Size,
    /// What was read before the mux began.
    input: Option<Buffer>,
    /// What goes out in front of the stream's bytes.
    output: Option<Buffer>,
}

impl Default for PassMux {
    fn default() -> Self {
        PassMux::new()
    }
}

impl PassMux {
    /// A mux nobody uses yet.
    pub fn new() -> Self {
        PassMux { upper: None, size: Size::Small, input: None, output: None }
    }

    /// See [`super::Mux::push_input`].
    pub fn push_input(&mut self, input: Buffer) {
        self.input = Some(input);
    }

    /// See [`super::Mux::push_output`].
    pub fn push_output(&mut self, output: Buffer) {
        self.output = Some(output);
    }

    /// See [`super::Mux::holds_output`].
    pub fn holds_output(&self) -> bool {
        self.output.is_some()
    }

    /// Something was read before the mux began, and was not taken yet.
    pub fn has_input(&self) -> bool {
        self.input.is_some()
    }

    /// What was read before the mux began and not taken yet, for the mux that takes its place.
    pub fn give_input(&mut self) -> Option<Buffer> {
        self.input.take()
    }

    /// See [`super::Mux::release`].
    pub fn release(&mut self, pool: &mut Pool) {
        for buf in [self.input.take(), self.output.take()].into_iter().flatten() {
            pool.put(buf);
        }
    }

    /// The bytes read early are the first the stream gets.
    fn take_input(&mut self, mut input: Buffer, into: &mut Channel, pool: &mut Pool) -> Flow {
        let n = match &mut into.buf {
            Some(buf) => buf.take_from(&mut input, usize::MAX),
            empty => {
                let n = input.len();
                *empty = Some(std::mem::replace(&mut input, Buffer::with_capacity(0)));
                n
            }
        };
        if input.is_empty() {
            pool.put(input);
        } else {
            self.input = Some(input);
        }
        into.received += n as u64;
        if n == 0 {
            return Flow::Blocked;
        }
        Flow::Moved(n)
    }

    /// Sends the early bytes together with the stream's first.
    fn send_output(&mut self, mut output: Buffer, from: &mut Channel, pipe: &mut Pipe<'_>) -> Flow {
        let io = pipe.xprt.send2(output.readable(), from.bytes(), from.ended, (pipe.ready, pipe.pool));
        let Io::Done(n) = io else {
            self.output = Some(output);
            return match io {
                Io::Fault(fault) => Flow::Broken(fault),
                _ => Flow::Blocked,
            };
        };
        let early = n.min(output.len());
        output.consume(early);
        if output.is_empty() {
            pipe.pool.put(output);
        } else {
            self.output = Some(output);
        }
        from.sent += n as u64;
        if n > early {
            from.consume(n - early, pipe.pool);
        }
        Flow::Moved(n)
    }
}

impl MuxOps for PassMux {
    fn bind(&mut self, upper: Option<TaskId>) {
        self.upper = upper;
    }

    fn recv(&mut self, into: &mut Channel, pipe: &mut Pipe<'_>) -> Flow {
        match self.input.take() {
            Some(input) => self.take_input(input, into, pipe.pool),
            None => recv_raw(&mut self.size, into, pipe),
        }
    }

    fn send(&mut self, from: &mut Channel, pipe: &mut Pipe<'_>) -> Flow {
        match self.output.take() {
            Some(output) => self.send_output(output, from, pipe),
            None => send_raw(from, pipe),
        }
    }

    fn detach(&mut self, _pipe: &mut Pipe<'_>) -> After {
        After::Close
    }
}

/// Receives bytes as they are into a channel: `mode tcp` and tunnels.
pub(super) fn recv_raw(size: &mut Size, into: &mut Channel, pipe: &mut Pipe<'_>) -> Flow {
    if into.ended {
        return Flow::End;
    }
    if !pipe.xprt.may_read(pipe.ready) {
        return Flow::Blocked;
    }
    let Some(mut buf) = into.buf.take().or_else(|| buffer(*size, pipe.pool)) else {
        return Flow::Blocked;
    };
    buf.make_room(1);
    let room = buf.writable().len();
    if room == 0 {
        into.buf = Some(buf);
        return Flow::Blocked;
    }
    let io = pipe.xprt.recv(&mut buf, pipe.ready, pipe.pool);
    if buf.is_empty() {
        pipe.pool.put(buf);
    } else {
        into.buf = Some(buf);
    }
    match io {
        Io::Done(n) => {
            *size = grown(*size, n, room);
            into.received += n as u64;
            Flow::Moved(n)
        }
        Io::Again => Flow::Blocked,
        Io::Eof => {
            into.ended = true;
            Flow::End
        }
        Io::Fault(fault) => Flow::Broken(fault),
    }
}

/// A buffer of that size, else a small one; when there is none, the task that runs is woken as soon as
/// there is.
pub(super) fn buffer(size: Size, pool: &mut Pool) -> Option<Buffer> {
    pool.sized(size).or_else(|| pool.get())
}

/// The size of the next buffer after a read of `n` bytes into `room`: larger when it was filled, the
/// smallest when mostly empty.
pub(super) fn grown(size: Size, n: usize, room: usize) -> Size {
    if n == room {
        size.larger().unwrap_or(size)
    } else if n < room / 8 {
        Size::Small
    } else {
        size
    }
}

/// Sends a channel's bytes as they are; its end becomes a half-close.
pub(super) fn send_raw(from: &mut Channel, pipe: &mut Pipe<'_>) -> Flow {
    if from.end_sent {
        return Flow::End;
    }
    if let Some(buf) = &from.buf {
        match pipe.xprt.send(buf.readable(), from.ended, pipe.ready, pipe.pool) {
            Io::Done(n) => {
                from.sent += n as u64;
                from.consume(n, pipe.pool);
                if from.buf.is_some() || !from.ended {
                    return Flow::Moved(n);
                }
            }
            Io::Again => return Flow::Blocked,
            Io::Eof => return Flow::Broken(Fault::new(Cause::Reset)),
            Io::Fault(fault) => return Flow::Broken(fault),
        }
    }
    if from.ended {
        // the last bytes of a TLS connection leave with the end, in one send
        if !pipe.xprt.shut_write(pipe.ready, pipe.pool) {
            return Flow::Blocked;
        }
        from.end_sent = true;
        return Flow::End;
    }
    if !pipe.xprt.flush(pipe.ready, pipe.pool) {
        return Flow::Blocked;
    }
    Flow::Blocked
}
