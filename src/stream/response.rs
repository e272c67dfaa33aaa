//! The response: its head, its rules, and what to do when the server fails.

use super::answer::{Answering, Ruled};
use super::notes::{capture, capture_cookie};
use super::retry::Kept;
use super::{Below, Phase, Stream};
use crate::msg::framing::Body;
use crate::net::conn::millis;
use crate::net::cx::Cx;
use crate::net::fault::{Cause, Fault};
use crate::plan::proxy::HttpConnection;
use crate::plan::{Mode, Proxy};
use crate::shm::Stat;
use lighterman_wire::http::method::Method;

impl Stream {
    /// A response head has come: interim ones pass, the final one goes through the rules.
    pub(super) fn response_head(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        let Some(head) = &self.res.head else { return };
        let status = head.status();
        if status < 200 && status != 101 {
            self.interim(cx);
            return;
        }
        let again = self.retry_too_early(status, below, cx).or_else(|| self.retry_status(status, below, cx));
        if let Some(phase) = again {
            self.phase = phase;
            return;
        }
        let Some(head) = &self.res.head else { return };
        self.msg_vars.clear();
        self.txn.server_status = status;
        self.txn.status = status;
        self.txn.times.response = millis(self.attempt.connected_us, cx.now.wall_us);
        self.attempt.response_us = cx.now.wall_us;
        if let Some(wanted) = &cx.plan.proxy(self.frontend).cookie_capture {
            self.txn.res_cookie = capture_cookie(head, b"set-cookie", wanted);
        }
        let captures = &cx.plan.proxy(self.frontend).res_captures;
        if !captures.is_empty() {
            capture(&mut self.txn.res_caps, captures, head);
        }
        let method = self.req.head.as_ref().map_or(Method::Get, |h| h.method_kind());
        if self.res.body == Body::Tunnel && (status == 101 || method == Method::Connect) {
            self.enter_tunnel(below);
        }
        self.track_status(cx);
        self.answering = Answering::default();
        self.response_judged(below, cx);
    }

    /// The rules on the answer run; once they let it pass, it goes to the client.
    pub(super) fn response_judged(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        if self.judge_answer(below, cx) != Ruled::Passes {
            return;
        }
        if cx.plan.proxy(self.backend).check_cache && self.would_leak_a_cookie() {
            self.count_both(Stat::Dresp, cx);
            self.count_front(Stat::Dresp, cx);
            self.txn.term = *b"PH--";
            self.phase = self.error_page(502, below, cx);
            return;
        }
        self.note_status();
        let front = cx.plan.proxy(self.frontend);
        let back = cx.plan.proxy(self.backend);
        self.res.last |= cx.leaving || closes_client(front) || closes_client(back);
        self.response_ready = true;
        self.attempt.kept = Kept::Lost;
    }

    /// An interim response: forwarded to clients that know them, forgotten otherwise.
    fn interim(&mut self, cx: &mut Cx<'_>) {
        let v10 = self.req.head.as_ref().is_some_and(|h| h.version() == lighterman_wire::http::Version::V10);
        if v10 {
            self.res.head_sent = true;
            self.drop_interim(cx);
        }
    }

    /// An interim head is on its way to the client.
    pub(super) fn interim_waits(&self) -> bool {
        !self.response_ready && self.res.head.as_ref().is_some_and(|h| h.status() < 200 && h.status() != 101)
    }

    /// Once an interim head has left, its place is free for the next.
    pub(super) fn drop_interim(&mut self, cx: &mut Cx<'_>) {
        if self.interim_waits() && self.res.head_sent {
            if let Some(head) = self.res.head.take() {
                cx.heads.put(head);
            }
            self.res.head_sent = false;
        }
    }

    /// From here on bytes pass both ways.
    fn enter_tunnel(&mut self, below: &mut Below<'_>) {
        self.tunnel = true;
        self.req.ended = false;
        self.req.end_sent = false;
        for id in [Some(self.front), self.back].into_iter().flatten() {
            if let Some(conn) = below.conns.get_mut(id) {
                conn.enter_tunnel();
            }
        }
    }

    /// The server's side broke: another attempt, an error for the client, or an end in the middle.
    pub(super) fn server_failed(&mut self, fault: Fault, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        self.fault = Some(fault);
        self.capture_response(fault, below, cx);
        if self.response_ready {
            // what came before still goes to the client; that the rest is missing tells the connection's end
            self.set_term(b'S');
            self.cut = true;
            return;
        }
        if fault.cause == Cause::EarlyRefused {
            self.phase = self.early_refused(below, cx);
            return;
        }
        if self.may_try_again(fault, below, cx) {
            self.phase = self.try_again(below, cx);
            return;
        }
        let malformed = matches!(fault.cause, Cause::Malformed(_) | Cause::TooLarge);
        if let Some(phase) = self.retry_failure(malformed, below, cx) {
            self.phase = phase;
            return;
        }
        if self.attempt.reused && self.txn.request_index > 0 && self.is_silent(fault, below) {
            // the server may have acted on it, so it is not for us to ask again. A client knows that a
            // kept connection can end at any time, and decides: it is told nothing else (RFC 9110 9.2.2)
            self.set_term(b'S');
            self.phase = Phase::Over;
            return;
        }
        self.txn.term = if malformed { *b"PH--" } else { *b"SH--" };
        self.count_both(Stat::Eresp, cx);
        self.track_failure(cx);
        self.phase = self.error_page(502, below, cx);
    }
}

/// The client's connection is closed after each answer.
fn closes_client(proxy: &Proxy) -> bool {
    proxy.mode == Mode::Http && proxy.http_connection == HttpConnection::Close
}
