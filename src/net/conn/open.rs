//! An open connection while no stream uses it: waiting for the next request, resting in a server's
//! pool, or draining before it is closed. While a stream uses it, news is only passed on.

use super::{millis, pipe, Conn, Linger, Peer, Stage, LINGER_MS};
use crate::base::buffer::Buffer;
use crate::base::ids::ConnId;
use crate::event::sched::Wake;
use crate::net::cx::{Beginning, Birth, Cx, Verdict};
use crate::net::mux::h1::{H1Mux, HeadPoll, Side};
use crate::net::mux::pass::PassMux;
use crate::net::mux::{Mux, Pipe};
use crate::net::transport::Io;
use crate::plan::rule::Site;
use crate::plan::{Mode, Proxy};
use lighterman_wire::h1::Violations;

/// The mux of a new client connection.
pub(super) fn front_mux(proxy: &Proxy) -> Mux {
    match proxy.mode {
        Mode::Tcp => Mux::Pass(PassMux::new()),
        Mode::Http => Mux::H1(H1Mux::new(Side::Front, violations(proxy.loose_request))),
    }
}

/// What a proxy does about messages that break the rules.
pub(super) fn violations(loose: bool) -> Violations {
    if loose {
        Violations::Accept
    } else {
        Violations::Refuse
    }
}

/// Bytes read from an idle connection to find out whether any have come.
const PROBE: usize = 16;

impl Conn {
    /// The handshakes are over.
    pub(super) fn open(&mut self, id: ConnId, cx: &mut Cx<'_>, births: &mut Vec<Birth>) -> Verdict {
        self.stage = Stage::Open;
        self.shakes = None;
        if let Peer::Client(client) = &mut self.peer {
            client.since_us = cx.now.wall_us;
            client.handshake_ms = millis(client.facts.accepted_us, cx.now.wall_us);
            let proxy = cx.plan.proxy(client.facts.frontend);
            let wait = proxy.timeouts.request();
            cx.sched.deadline(self.task, cx.now.tick.deadline(wait));
            if !self.passes(Site::TcpSession, cx) {
                return self.close(cx);
            }
            return self.on_open(id, Wake::IO, cx, births);
        }
        cx.sched.deadline(self.task, None);
        if let Some(upper) = self.mux.upper() {
            cx.sched.wake(upper, Wake::CONNECTED);
        }
        Verdict::Keep
    }

    pub(super) fn on_open(
        &mut self,
        id: ConnId,
        why: Wake,
        cx: &mut Cx<'_>,
        births: &mut Vec<Birth>,
    ) -> Verdict {
        if let Some(upper) = self.mux.upper() {
            cx.sched.wake(upper, Wake::RX | Wake::TX);
            return Verdict::Keep;
        }
        if matches!(self.peer, Peer::Client(_)) {
            return self.on_waiting(id, why, cx, births);
        }
        // a server that speaks or leaves while nobody asked is of no use any more
        if why.has(Wake::TIMER) || !self.is_quiet(cx) {
            return self.close(cx);
        }
        Verdict::Keep
    }

    /// Nothing has come on an idle connection, neither bytes nor the end. (TLS may have had something to
    /// say for itself.)
    pub(super) fn is_quiet(&mut self, cx: &mut Cx<'_>) -> bool {
        if !self.xprt.may_read(&self.ready) {
            return true;
        }
        let mut probe = Buffer::with_capacity(PROBE);
        self.xprt.recv(&mut probe, &mut self.ready, cx.pool) == Io::Again
    }

    /// A client connection that waits for its next request.
    fn on_waiting(&mut self, id: ConnId, why: Wake, cx: &mut Cx<'_>, births: &mut Vec<Birth>) -> Verdict {
        let Conn { task, xprt, ready, mux, peer, .. } = self;
        let Peer::Client(client) = peer else { return Verdict::Keep };
        let task = *task;
        let mut birth = |with| {
            births.push(Birth { conn: id, task, with });
            Verdict::Keep
        };
        let Mux::H1(h1) = mux else { return birth(Beginning::Work) };
        let first = client.requests == 0;
        let poll = h1.poll_head(pipe!(xprt, ready, cx));
        if client.request_us == 0 && !matches!(poll, HeadPoll::Silent | HeadPoll::Gone) {
            client.request_us = cx.now.wall_us;
            if !first && poll == HeadPoll::Partial {
                let wait = cx.plan.proxy(client.facts.frontend).timeouts.request();
                cx.sched.deadline(task, cx.now.tick.deadline(wait));
            }
        }
        match poll {
            HeadPoll::Ready => birth(Beginning::Work),
            HeadPoll::Broken(fault) => birth(Beginning::Broken(fault)),
            HeadPoll::Partial if why.has(Wake::TIMER) => birth(Beginning::TooLate),
            HeadPoll::Silent if why.has(Wake::TIMER) && first => birth(Beginning::TooLate),
            HeadPoll::Gone if first => birth(Beginning::Nothing),
            HeadPoll::Silent if why.has(Wake::TIMER) => self.close(cx),
            HeadPoll::Gone => self.close(cx),
            HeadPoll::Silent | HeadPoll::Partial => Verdict::Keep,
        }
    }

    /// An exchange is over and the connection lives on.
    pub(super) fn rest(&mut self, cx: &mut Cx<'_>) {
        self.xprt.rest(cx.pool);
        match &mut self.peer {
            Peer::Client(client) => {
                client.since_us = cx.now.wall_us;
                client.request_us = 0;
                let wait = cx.plan.proxy(client.facts.frontend).timeouts.keep_alive();
                cx.sched.deadline(self.task, cx.now.tick.deadline(wait));
                // the next request may be here already
                if matches!(&self.mux, Mux::H1(mux) if mux.has_input()) || self.xprt.may_read(&self.ready) {
                    cx.sched.wake(self.task, Wake::IO);
                }
            }
            Peer::Server(_) => {
                if self.ready.readable() {
                    cx.sched.wake(self.task, Wake::IO);
                }
            }
        }
    }

    /// Closes politely: what is held leaves first, and what the peer still sends is read so that its
    /// kernel does not answer with a reset that destroys our last words.
    pub(super) fn linger(&mut self, cx: &mut Cx<'_>) {
        self.stage = Stage::Lingering(Linger::Output);
        let patience = match &self.peer {
            Peer::Client(client) => cx.plan.proxy(client.facts.frontend).timeouts.client,
            Peer::Server(_) => None,
        };
        let patience = patience.map_or(LINGER_MS, u64::from);
        cx.sched.deadline(self.task, Some(cx.now.tick.after(patience)));
        cx.sched.wake(self.task, Wake::IO);
    }

    pub(super) fn on_lingering(&mut self, why: Wake, cx: &mut Cx<'_>) -> Verdict {
        if why.has(Wake::TIMER) {
            return self.close(cx);
        }
        let Conn { xprt, ready, mux, .. } = self;
        if let Mux::H1(h1) = mux {
            h1.discard_input(cx.pool);
            if !h1.flush(pipe!(xprt, ready, cx)) {
                return Verdict::Keep;
            }
        }
        if !xprt.end(ready, cx.pool) {
            return Verdict::Keep;
        }
        if self.stage.begins_to_drain() {
            xprt.shut_write(ready, cx.pool);
            cx.sched.deadline(self.task, Some(cx.now.tick.after(LINGER_MS)));
        }
        let Some(mut sink) = cx.pool.get() else { return self.close(cx) };
        loop {
            sink.clear();
            match self.read_away(&mut sink, cx) {
                Io::Done(_) => {}
                Io::Again => {
                    cx.pool.put(sink);
                    return Verdict::Keep;
                }
                Io::Eof | Io::Fault(_) => {
                    cx.pool.put(sink);
                    return self.close(cx);
                }
            }
        }
    }

    fn read_away(&mut self, sink: &mut Buffer, cx: &mut Cx<'_>) -> Io {
        if !self.xprt.may_read(&self.ready) {
            return Io::Again;
        }
        self.xprt.recv(sink, &mut self.ready, cx.pool)
    }
}
