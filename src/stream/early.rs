//! Early data towards servers (`allow-0rtt` of a server): which requests may go out with the first flight, and what becomes
//! of those that the server does not take (RFC 8470).

use super::{Below, Phase, Stream};
use crate::net::cx::Cx;
use crate::plan::retry::Failure;
use crate::plan::{Mode, Server};
use crate::shm::Stat;
use lighterman_wire::http::method::Method;

/// Whether a request may go to the server as early data.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Early {
    /// After the handshake.
    #[default]
    No,
    /// The client sent it as early data: it may be a recording already, and the server is told so.
    Theirs,
    /// It is safe, and kept to be sent again.
    Ours,
    /// The server did not take it once: not any more.
    Refused,
}

impl Early {
    pub(super) fn is_early(self) -> bool {
        matches!(self, Early::Theirs | Early::Ours)
    }
}

impl Stream {
    /// Looks whether the request may go out with the first flight of a new connection.
    pub(super) fn settle_early(&mut self, server: &Server, below: &Below<'_>, cx: &Cx<'_>) {
        let allowed = server.tls.as_ref().is_some_and(|tls| tls.early_data) && self.mode == Mode::Http;
        if self.attempt.early == Early::Refused || !allowed {
            return;
        }
        let client = below.conns.get(self.front).and_then(|conn| conn.tls());
        self.attempt.early = match client.is_some_and(|tls| tls.early()) {
            true => Early::Theirs,
            false if self.is_safe_to_repeat(cx) => Early::Ours,
            false => Early::No,
        };
    }

    /// The server's handshake is still under way.
    pub(super) fn is_early_now(&self, below: &Below<'_>) -> bool {
        self.attempt.early.is_early()
            && self.back.and_then(|id| below.conns.get(id)?.tls()).is_some_and(|tls| tls.early())
    }

    /// Whoever sends it again, as a recording, changes nothing (RFC 9110 section 9.2.1), and it can be sent again here.
    fn is_safe_to_repeat(&self, cx: &Cx<'_>) -> bool {
        let safe = |method| matches!(method, Method::Get | Method::Head | Method::Options | Method::Trace);
        cx.plan.proxy(self.backend).retry_on.has(Failure::EarlyData)
            && !self.txn.settings.no_l7_retry
            && self.req.ended
            && self.req.received == 0
            && self.req.head.as_ref().is_some_and(|head| safe(head.method_kind()))
    }

    /// The server made a handshake, and passed over what came before its end.
    pub(super) fn early_refused(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Phase {
        let named = cx.plan.proxy(self.backend).retry_on.has(Failure::EarlyData);
        self.attempt.early = Early::Refused;
        if named && self.send_again(below, cx) {
            return self.try_again(below, cx);
        }
        self.txn.term = *b"SH--";
        self.count_both(Stat::Eresp, cx);
        self.error_page(425, below, cx)
    }

    /// The server finds it too early for a request that its client did not send early: the client would not know what
    /// to do with that (RFC 8470 section 5.2), so the request goes out again after a handshake.
    pub(super) fn retry_too_early(
        &mut self,
        status: u16,
        below: &mut Below<'_>,
        cx: &mut Cx<'_>,
    ) -> Option<Phase> {
        if status != 425 || self.attempt.early != Early::Ours || self.attempt.reused {
            return None;
        }
        self.attempt.early = Early::Refused;
        self.send_again(below, cx).then(|| self.try_again(below, cx))
    }
}
