//! The request: its head, its dates, and where it goes.

use super::notes::{capture, capture_cookie};
use super::{Below, Phase, Step, Stream};
use crate::expr::view::Txn;
use crate::msg::Head;
use crate::net::conn::{millis, Client};
use crate::net::cx::Cx;
use crate::net::fault::{Cause, Fault};
use crate::net::mux::Flow;
use crate::plan::rule::Site;
use crate::plan::Mode;
use crate::shm::Stat;

/// What a stream begins with: dates, its number, and the stick table entries of its client's connection. `tls`: the
/// connection is encrypted.
pub(super) fn first_txn(client: &mut Client, tls: bool) -> Txn {
    let mut txn = Txn::new(client.facts.frontend);
    txn.front_tls = tls;
    txn.sess_tracks = std::mem::take(&mut client.tracks);
    txn.request_index = client.requests.saturating_sub(1);
    let times = &mut txn.times;
    times.accept_us = client.facts.accepted_us;
    times.handshake = client.handshake_ms;
    // without a single byte all the time was spent waiting for the request
    times.request_us = if client.request_us == 0 { client.since_us } else { client.request_us };
    times.idle = millis(client.since_us, times.request_us);
    txn
}

impl Stream {
    /// Takes the request head the client's mux holds.
    pub(super) fn head(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Step {
        let Some(front) = below.conns.get_mut(self.front) else { return Step::Go(Phase::Over) };
        match front.recv(&mut self.req, cx) {
            Flow::Moved(_) if self.req.head.is_some() => {}
            Flow::Broken(fault) => {
                let phase = self.refuse(fault, below, cx);
                return Step::Go(phase);
            }
            _ => return Step::Wait,
        }
        self.clock.phase_until = None;
        self.txn.times.request = millis(self.txn.times.request_us, cx.now.wall_us);
        self.count_request(cx);
        let proxy = cx.plan.proxy(self.frontend);
        if let Some(head) = &self.req.head {
            if !proxy.logs.is_empty() {
                note_request_line(&mut self.txn.request_line, head, cx.plan.global.tune.log_uri_len);
            }
            if let Some(wanted) = &proxy.cookie_capture {
                self.txn.req_cookie = capture_cookie(head, b"cookie", wanted);
            }
            if !proxy.req_captures.is_empty() {
                capture(&mut self.txn.req_caps, &proxy.req_captures, head);
            }
            if proxy.monitor_uri.as_deref().is_some_and(|uri| uri == head.uri()) {
                let phase = self.monitor(below, cx);
                return Step::Go(phase);
            }
        }
        if self.after_head != Phase::FrontContent {
            self.track_request(cx);
        }
        Step::Go(self.after_head)
    }

    /// Chooses the backend.
    pub(super) fn switch(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Step {
        let proxy = cx.plan.proxy(self.frontend);
        self.make_unique_id(below, cx);
        let target = match self.txn.settings.backend {
            Some(id) => Some(id),
            None => match self.switch_rules(below, cx) {
                Ok(target) => target,
                Err(step) => return step,
            },
        };
        let backend = target.or(proxy.default_backend).or(Some(proxy.id).filter(|_| proxy.is_backend));
        let Some(backend) = backend else {
            self.txn.term = *b"SC--";
            // nobody took the request
            self.txn.times.request = -1;
            return Step::Go(self.no_server(below, cx));
        };
        let mode = cx.plan.proxy(backend).mode;
        if (self.mode, mode) == (Mode::Http, Mode::Tcp) {
            // a later request of a connection that became HTTP: no server of bytes can answer it
            self.txn.term = *b"PR--";
            return Step::Go(self.error_page(500, below, cx));
        }
        if self.mode == Mode::Tcp && !cx.plan.proxy(backend).rules.at(Site::TcpResponse).is_empty() {
            self.response_ready = false;
        }
        self.backend = backend;
        self.txn.backend = Some(backend);
        self.clock.phase_until = None;
        self.attempt.last_look = false;
        let next = if backend == self.frontend { Phase::Target } else { Phase::BackContent };
        let step = match (self.mode, mode) {
            (Mode::Tcp, Mode::Http) => self.upgrade(next, below, cx),
            _ => Step::Go(next),
        };
        self.count_backend(cx);
        step
    }

    /// A request that cannot be understood.
    pub(super) fn refuse(&mut self, fault: Fault, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Phase {
        self.fault = Some(fault);
        self.txn.request_line.clear();
        if !self.is_probe(below, cx) {
            self.track_request(cx);
            self.track_error(cx);
        }
        match fault.cause {
            Cause::Malformed(_) | Cause::TooLarge => {
                self.track_glitch(cx);
                self.capture_request(fault, below, cx);
                self.txn.term = *b"PR--";
                self.count_front(Stat::Ereq, cx);
                self.error_page(400, below, cx)
            }
            Cause::Ended => {
                self.txn.term = *b"CR--";
                self.error_page(400, below, cx)
            }
            _ => {
                self.txn.term = *b"CR--";
                self.txn.status = 400;
                Phase::Over
            }
        }
    }

    /// A request head that did not come in time.
    pub(super) fn too_late(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Phase {
        self.txn.term = *b"cR--";
        self.count_front(Stat::Ereq, cx);
        if self.is_probe(below, cx) {
            return Phase::Over;
        }
        self.track_request(cx);
        self.error_page(408, below, cx)
    }

    /// A connection on which nothing came, where that is to be ignored.
    fn is_probe(&self, below: &Below<'_>, cx: &Cx<'_>) -> bool {
        let silent = below.conns.get(self.front).is_none_or(|c| c.raw_input().is_empty());
        silent && cx.plan.proxy(self.frontend).ignore_probes
    }

    /// Takes more of the request for rules that want to see it; true when something came.
    pub(super) fn fill_request(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> bool {
        if self.request_is_whole() {
            return false;
        }
        let Some(front) = below.conns.get_mut(self.front) else { return false };
        match front.recv(&mut self.req, cx) {
            Flow::Moved(_) => true,
            Flow::Blocked | Flow::End => false,
            Flow::Broken(fault) => {
                self.fault = Some(fault);
                self.req.ended = true;
                false
            }
        }
    }

    pub(super) fn is_http(&self) -> bool {
        self.mode == Mode::Http
    }
}

/// The request line as it came, for logs: less than `len` bytes of it.
fn note_request_line(line: &mut Vec<u8>, head: &Head, len: usize) {
    line.clear();
    for part in [head.method(), b" ", head.uri(), b" ", head.version_text()] {
        line.extend_from_slice(part);
    }
    line.truncate(len.saturating_sub(1));
}
