//! Moving both channels once a server is there.
//!
//! Each turn of the loop takes what one side gives and hands it to the other at once; it ends when
//! neither direction can move. What is taken is never more than one buffer per direction.

use super::{Below, Phase, Step, Stream};
use crate::base::ids::ConnId;
use crate::net::cx::Cx;
use crate::net::fault::{Cause, Fault};
use crate::net::mux::Flow;
use crate::plan::Mode;
use crate::shm::Stat;

impl Stream {
    pub(super) fn forward(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Step {
        loop {
            let early = self.is_early_now(below);
            let asked = self.pump_request(below, cx);
            let answered = self.pump_response(below, cx);
            if self.phase != Phase::Forward {
                return Step::Go(self.phase);
            }
            if self.is_over(below) {
                return Step::Go(Phase::Over);
            }
            // the rest of a request that did not fit before the end of the handshake has a way now
            let through = early && !self.is_early_now(below);
            if !asked && !answered && !through {
                return Step::Wait;
            }
        }
    }

    /// Ends a stream whose client has gone while it waits for something else.
    pub(super) fn watch_client(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> bool {
        let waits = match self.phase {
            Phase::Target | Phase::Pause | Phase::Connecting | Phase::Tarpit => true,
            Phase::Forward => self.mode == Mode::Http && !self.tunnel,
            _ => false,
        };
        let Some(front) = below.conns.get(self.front).filter(|_| waits) else { return false };
        let left = front.is_broken()
            || front.peer_left()
                && !(self.response_ready && self.mode == Mode::Http)
                && (cx.plan.proxy(self.backend).abort_on_close || self.left_without_a_word(below, cx));
        if left {
            self.set_term(b'C');
            let asked = self.phase == Phase::Forward;
            self.phase = if asked { self.error_page(400, below, cx) } else { Phase::Over };
        }
        left
    }

    /// Nothing is left to be moved.
    fn is_over(&self, below: &Below<'_>) -> bool {
        match (self.mode, self.tunnel) {
            _ if self.cut => self.res.buf.is_none(),
            (Mode::Http, false) => self.response_ready && self.res.end_sent && !self.uploads(below),
            _ => self.req.end_sent && self.res.end_sent,
        }
    }

    /// The answer came early: the rest of the request is still on its way to a server that takes it. A
    /// client that has sent nothing of it yet (it waits for a 100) will keep it.
    fn uploads(&self, below: &Below<'_>) -> bool {
        let back = self.back.and_then(|id| below.conns.get(id));
        !self.req.end_sent && self.req.received > 0 && back.is_some_and(|conn| !conn.peer_left())
    }

    /// Client to server; true when something moved.
    fn pump_request(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> bool {
        let mut moved = false;
        if !self.req.ended && self.req.buf.is_none() && !self.cut {
            moved |= self.take_request(below, cx);
        }
        if self.phase == Phase::Forward && (self.req.has_output() || holds_output(self.back, below)) {
            moved |= self.give_request(below, cx);
        }
        moved
    }

    fn take_request(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> bool {
        let Some(front) = below.conns.get_mut(self.front) else {
            self.client_left(Fault::new(Cause::Reset), below, cx);
            return false;
        };
        match front.recv(&mut self.req, cx) {
            Flow::Moved(_) => {
                self.clock.front_seen = cx.now.tick;
                self.keep_more(cx);
                true
            }
            Flow::Blocked => false,
            Flow::End => true,
            Flow::Broken(fault) => {
                self.client_left(fault, below, cx);
                false
            }
        }
    }

    fn give_request(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> bool {
        let Some(back) = self.back.and_then(|id| below.conns.get_mut(id)) else { return false };
        match back.send(&mut self.req, cx) {
            Flow::Moved(_) => {
                self.clock.back_seen = cx.now.tick;
                true
            }
            Flow::Blocked => false,
            Flow::End => {
                self.clock.back_seen = cx.now.tick;
                true
            }
            Flow::Broken(fault) => {
                self.server_took_no_more(fault, cx);
                true
            }
        }
    }

    /// The server refuses the request's bytes. It may have answered already: what is there is read
    /// before anything is decided, so the rest of the request is dropped only.
    fn server_took_no_more(&mut self, fault: Fault, cx: &mut Cx<'_>) {
        self.attempt.send_fault = Some((fault, self.req.ended));
        self.req.buf.take().into_iter().for_each(|buf| cx.pool.put(buf));
        self.req.head_sent = true;
        self.req.ended = true;
        self.req.end_sent = true;
    }

    /// Server to client; true when something moved.
    fn pump_response(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> bool {
        let mut moved = false;
        if self.answering.waits && self.phase == Phase::Forward {
            moved |= self.fill_answer(below, cx);
        }
        while self.phase == Phase::Forward && !self.res.ended && self.res.buf.is_none() && !self.cut {
            if !self.take_response(below, cx) {
                break;
            }
            moved = true;
        }
        self.bind_at_answer(below, cx);
        if self.phase == Phase::Forward
            && (self.res.has_output() && (self.response_ready || self.interim_waits())
                || holds_output(Some(self.front), below))
        {
            moved |= self.give_response(below, cx);
        }
        moved
    }

    fn take_response(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> bool {
        let Some(back) = self.back.and_then(|id| below.conns.get_mut(id)) else {
            self.server_failed(Fault::new(Cause::Reset), below, cx);
            return false;
        };
        if self.interim_waits() {
            return false;
        }
        let head_before = self.res.head.is_some();
        match back.recv(&mut self.res, cx) {
            Flow::Moved(_) => {
                self.clock.back_seen = cx.now.tick;
                if !head_before && self.res.head.is_some() {
                    self.response_head(below, cx);
                } else if self.mode == Mode::Tcp && !self.response_ready {
                    self.response_judged(below, cx);
                }
                true
            }
            Flow::Blocked => false,
            Flow::End => {
                if self.mode == Mode::Tcp && !self.response_ready {
                    self.response_judged(below, cx);
                }
                true
            }
            Flow::Broken(fault) => {
                self.server_failed(fault, below, cx);
                false
            }
        }
    }

    fn give_response(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> bool {
        let Some(front) = below.conns.get_mut(self.front) else {
            self.client_left(Fault::new(Cause::Reset), below, cx);
            return false;
        };
        let sent = front.send(&mut self.res, cx);
        match sent {
            Flow::Moved(_) | Flow::End => {
                self.clock.front_seen = cx.now.tick;
                self.drop_interim(cx);
                true
            }
            Flow::Blocked => {
                self.drop_interim(cx);
                false
            }
            Flow::Broken(fault) => {
                self.client_left(fault, below, cx);
                false
            }
        }
    }

    /// The client's side broke in the middle: it left, or sent what cannot be understood.
    pub(super) fn client_left(&mut self, fault: Fault, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        self.fault = Some(fault);
        let malformed = matches!(fault.cause, Cause::Malformed(_) | Cause::TooLarge);
        self.set_term(if malformed { b'P' } else { b'C' });
        if malformed {
            if self.awaits_head() {
                self.track_error(cx);
            }
            self.track_glitch(cx);
            self.capture_request(fault, below, cx);
            self.count_front(Stat::Ereq, cx);
        }
        self.phase =
            if malformed && self.awaits_head() { self.error_page(400, below, cx) } else { Phase::Over };
    }

    /// In TCP mode: the client has ended its side before the server was there, and has said nothing.
    fn left_without_a_word(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> bool {
        if self.mode == Mode::Tcp && !self.req.ended && self.req.buf.is_none() {
            if let Some(front) = below.conns.get_mut(self.front) {
                // what it did say is kept for the server; a fault will come again
                front.recv(&mut self.req, cx);
            }
        }
        self.mode == Mode::Tcp && self.req.ended && self.req.received == 0
    }

    /// Nothing of an answer has been shown to the client yet.
    pub(super) fn awaits_head(&self) -> bool {
        self.mode == Mode::Http && !self.response_ready
    }
}

/// A connection has something to send that its channel does not show any more (or never did).
fn holds_output(id: Option<ConnId>, below: &Below<'_>) -> bool {
    id.and_then(|id| below.conns.get(id)).is_some_and(|conn| conn.holds_output())
}
