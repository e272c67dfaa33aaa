//! A stream that began as bytes goes on as HTTP: a rule says so (`switch-mode http`), or its backend is in
//! mode http. What was read so far is the beginning of the first request; from here on the connection is
//! one of HTTP, and every further request of it a stream of its own.

use super::{Below, Phase, Step, Stream};
use crate::net::cx::Cx;
use crate::net::mux::Channel;
use crate::plan::Mode;

impl Stream {
    /// Makes HTTP of it; `then` is where the request goes on once its head is there.
    pub(super) fn upgrade(&mut self, then: Phase, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Step {
        let proxy = cx.plan.proxy(self.frontend);
        let input = self.req.buf.take();
        let Some(front) = below.conns.get_mut(self.front) else { return Step::Go(Phase::Over) };
        if !front.upgrade(input, proxy.loose_request, cx.pool) {
            return Step::Go(Phase::Over);
        }
        (self.req, self.res) = (Channel::new(), Channel::new());
        self.mode = Mode::Http;
        self.tunnel = false;
        self.response_ready = false;
        self.cursor = 0;
        self.attempt.last_look = false;
        self.after_head = then;
        let patience = proxy.timeouts.request().or(proxy.timeouts.client);
        self.clock.phase_until = cx.now.tick.deadline(patience);
        Step::Go(Phase::Head)
    }
}
