//! Another attempt after a failure: when one is allowed, to which server it goes, and the request that is
//! kept for it.
//!
//! A request is sent again when nothing of an answer has been shown to the client, attempts are left, and
//! `retry-on` names the failure. Its body is kept until an answer comes, as long as it fits into one buffer.

use super::backends::is_alive;
use super::{Below, Phase, Stream};
use crate::event::sched::Wake;
use crate::expr::view::Timeout;
use crate::net::cx::Cx;
use crate::net::fault::{Cause, Fault};
use crate::plan::retry::{Failure, RetryOn};
use crate::plan::Mode;
use crate::shm::Stat;
use lighterman_wire::http::method::Method;

/// Pause before another attempt at the same server, milliseconds.
const TURN_AROUND_MS: u32 = 1000;

/// The request's body, as far as it has come.
#[derive(Default)]
pub(super) enum Kept {
    /// Nothing was sent yet.
    #[default]
    Unsent,
    /// These bytes, all there were so far.
    Body(Vec<u8>),
    /// It cannot be sent again.
    Lost,
}

impl Stream {
    /// Attempts are left.
    pub(super) fn retries_left(&self, cx: &Cx<'_>) -> bool {
        self.txn.retries < self.retries_allowed(cx)
    }

    fn retries_allowed(&self, cx: &Cx<'_>) -> u32 {
        self.txn.settings.retries.unwrap_or(cx.plan.proxy(self.backend).retries)
    }

    /// A request may be sent once more, whatever `retry-on` says, when the server cannot have acted on it: the
    /// connection was an old one that ended without a byte, and the method does no harm twice.
    pub(super) fn may_try_again(&self, fault: Fault, below: &Below<'_>, cx: &Cx<'_>) -> bool {
        let harmless = self.req.received == 0
            && self.req.head.as_ref().is_some_and(|h| {
                matches!(
                    h.method_kind(),
                    Method::Get
                        | Method::Head
                        | Method::Options
                        | Method::Put
                        | Method::Delete
                        | Method::Trace
                )
            });
        let forbidden =
            self.txn.settings.no_l7_retry || cx.plan.proxy(self.backend).retry_on == RetryOn::none();
        self.attempt.reused && self.is_silent(fault, below) && harmless && !forbidden
    }

    /// The server's connection ended before a single byte of an answer.
    pub(super) fn is_silent(&self, fault: Fault, below: &Below<'_>) -> bool {
        matches!(fault.cause, Cause::Ended | Cause::Reset)
            && self.res.head.is_none()
            && !self.answer_has_begun(below)
    }

    fn answer_has_begun(&self, below: &Below<'_>) -> bool {
        self.back.and_then(|id| below.conns.get(id)).is_some_and(|conn| !conn.raw_input().is_empty())
    }

    /// The exchange begins: what there is of the body is kept when it may be needed again.
    pub(super) fn keep_request(&mut self, cx: &Cx<'_>) {
        if !matches!(self.attempt.kept, Kept::Unsent) {
            return;
        }
        let wanted = self.mode == Mode::Http
            && cx.plan.proxy(self.backend).retry_on.keeps_requests()
            && !self.txn.settings.no_l7_retry;
        let body = self.req.bytes();
        let whole = body.len() as u64 == self.req.received && body.len() <= cx.plan.global.tune.bufsize;
        self.attempt.kept = if wanted && whole { Kept::Body(body.to_vec()) } else { Kept::Lost };
    }

    /// More of the request has come, and stands in its channel.
    pub(super) fn keep_more(&mut self, cx: &Cx<'_>) {
        let Kept::Body(body) = &mut self.attempt.kept else { return };
        let more = self.req.buf.as_ref().map_or(&[][..], |buf| buf.readable());
        if body.len() + more.len() > cx.plan.global.tune.bufsize {
            self.attempt.kept = Kept::Lost;
        } else {
            body.extend_from_slice(more);
        }
    }

    /// The server's answer is one that `retry-on` names.
    pub(super) fn retry_status(
        &mut self,
        status: u16,
        below: &mut Below<'_>,
        cx: &mut Cx<'_>,
    ) -> Option<Phase> {
        let named = cx.plan.proxy(self.backend).retry_on.has_status(status);
        if named && self.send_again(below, cx) {
            return Some(self.try_again(below, cx));
        }
        None
    }

    /// The server closed without an answer, or with what is none (`junk`).
    pub(super) fn retry_failure(
        &mut self,
        junk: bool,
        below: &mut Below<'_>,
        cx: &mut Cx<'_>,
    ) -> Option<Phase> {
        let on = cx.plan.proxy(self.backend).retry_on;
        // the beginning of a head is not nothing, and no answer either
        let partial = !junk && self.answer_has_begun(below);
        let named = match junk {
            true => on.has(Failure::Junk),
            false => on.has(Failure::Empty) || partial && on.has(Failure::Junk),
        };
        if !named || self.res.head.is_some() || !self.send_again(below, cx) {
            return None;
        }
        if junk {
            self.count_both(Stat::Eresp, cx);
        }
        Some(self.try_again(below, cx))
    }

    /// The server (`who`) did not answer in time.
    pub(super) fn retry_timeout(&mut self, who: u8, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Option<Phase> {
        let waits = who == b's' && self.phase == Phase::Forward && self.res.head.is_none();
        let named = cx.plan.proxy(self.backend).retry_on.has(Failure::Timeout);
        if waits && named && self.send_again(below, cx) {
            return Some(self.try_again(below, cx));
        }
        None
    }

    /// Sets the request back to its beginning and forgets what came of an answer; false when it cannot be sent
    /// again, then nothing has changed.
    pub(super) fn send_again(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> bool {
        if self.response_ready || self.tunnel || !self.retries_left(cx) {
            return false;
        }
        let Kept::Body(body) = &self.attempt.kept else { return false };
        if !body.is_empty() {
            let Some(mut buf) = cx.pool.get() else { return false };
            if buf.push(body) < body.len() {
                cx.pool.put(buf);
                return false;
            }
            self.req.buf.replace(buf).into_iter().for_each(|old| cx.pool.put(old));
        }
        self.res.release(cx.pool, cx.heads);
        (self.res.head_sent, self.res.ended, self.res.end_sent) = (false, false, false);
        // a connection that broke in the middle of an exchange serves no other
        self.attempt.reused = false;
        self.txn.times.response = -1;
        self.fault = None;
        let _ = below;
        true
    }

    /// Prepares another attempt: at once on a new connection or another server, else after a pause.
    pub(super) fn try_again(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Phase {
        let (was_reused, connected) = (self.attempt.reused, self.phase == Phase::Forward);
        self.drop_back(below, cx);
        self.req.end_sent = false;
        if let Some((_, ended)) = self.attempt.send_fault.take() {
            self.req.ended = ended;
        }
        if was_reused {
            return Phase::Target;
        }
        self.txn.retries += 1;
        self.count_both(Stat::Wretr, cx);
        if self.goes_elsewhere(below, cx) {
            self.count_both(Stat::Wredis, cx);
            self.attempt.avoid = self.server;
            self.leave_server(below, cx);
            self.server = None;
            self.unbind();
            self.txn.redispatched = true;
            return Phase::Target;
        }
        if connected {
            return Phase::Target;
        }
        let wait = self.limit(Timeout::Connect, cx).map_or(TURN_AROUND_MS, |ms| ms.min(TURN_AROUND_MS));
        self.clock.phase_until = Some(cx.now.tick.after(u64::from(wait)));
        Phase::Pause
    }

    /// `option redispatch`: the next attempt goes to another server.
    fn goes_elsewhere(&self, below: &Below<'_>, cx: &Cx<'_>) -> bool {
        let proxy = cx.plan.proxy(self.backend);
        let others = below.backends.views(self.backend).iter().filter(|view| view.usable);
        if proxy.redispatch == 0 || self.is_forced() || others.count() < 2 {
            return false;
        }
        let (done, allowed) = (i64::from(self.txn.retries), i64::from(self.retries_allowed(cx)));
        let every = match i64::from(proxy.redispatch) {
            every if every > 0 => every,
            from_last => allowed + 1 + from_last,
        };
        let down = self.server.is_some_and(|id| !is_alive(cx.shm, id));
        let due = every <= 0 || done % every == 0;
        down || due || !self.attempt.bound && proxy.scheme.takes_turns()
    }

    /// The connection to the server is of no more use.
    fn drop_back(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        let Some(id) = self.back.take() else { return };
        if let Some(conn) = below.conns.get_mut(id) {
            conn.detach(false, cx);
            cx.sched.wake(conn.task, Wake::KILL);
        }
    }
}
