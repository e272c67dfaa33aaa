//! The log line of a stream, and the timers it shows.

use super::world::WorldView;
use super::{Below, Stream};
use crate::event::log::sink::Speaker;
use crate::expr::view::LogLevelSetting;
use crate::net::conn::gate::connect_line;
use crate::net::conn::millis;
use crate::net::cx::Cx;
use crate::plan::proxy::LogStyle;
use crate::plan::rule::Site;
use crate::plan::{LogLevel, Mode, Proxy};

impl Stream {
    /// Completes dates and counts: the stream ends now.
    pub(super) fn close_times(&mut self, now_us: u64) {
        let times = &mut self.txn.times;
        if self.attempt.response_us != 0 {
            times.data = millis(self.attempt.response_us, now_us);
        }
        times.total = millis(times.accept_us, now_us);
        if self.mode == Mode::Http {
            // one connection carries many exchanges: each is timed from its own first byte
            let began = times
                .request_us
                .saturating_sub((times.idle.max(0) as u64 + times.handshake.max(0) as u64) * 1000);
            times.total = millis(began, now_us);
        }
        self.txn.bytes_in = self.req.heads + self.req.received;
        // what answers no request is no traffic of a proxy
        let answers = self.mode == Mode::Tcp || self.req.head.is_some();
        self.txn.bytes_out = if answers { self.res.sent } else { 0 };
    }

    /// Writes the line the frontend asks for.
    pub(super) fn write_log(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        let plan = cx.plan;
        let proxy = plan.proxy(self.frontend);
        self.note_cookies(cx);
        let Some(level) = self.log_level(proxy) else { return };
        let speaker = Speaker::Proxy(self.frontend);
        if !cx.log.is_heard(speaker) {
            return;
        }
        self.txn.log_serial = cx.log.number(self.frontend);
        let mut line = Vec::with_capacity(256);
        // a request that could not be read is an error of the connection
        let unread = self.mode == Mode::Http && self.req.head.is_none();
        let format = proxy.error_log_format.as_ref().filter(|_| unread).or(proxy.log_format.as_ref());
        {
            let world = WorldView::new(self.front, self.back, below, cx);
            let Some(acx) = self.action_cx(Site::HttpResponse, below, cx, &world) else { return };
            let facts = acx.facts();
            match format {
                Some(format) => format.write(&facts, &mut line),
                None => line = connect_line(proxy, facts.src(), facts.dst()),
            }
        }
        cx.log.emit(speaker, level, &line);
    }

    /// At which level the stream is logged; `None`: not at all.
    fn log_level(&self, proxy: &Proxy) -> Option<LogLevel> {
        let fine = self.txn.status < 500 && self.txn.term[0] == b'-';
        let empty = self.txn.bytes_in == 0 && self.req.head.is_none() && self.txn.bytes_out == 0;
        if proxy.logs.is_empty() || self.attempt.silent {
            return None;
        }
        if (proxy.dont_log_null && empty && !fine) || (proxy.dont_log_normal && fine) {
            return None;
        }
        if proxy.log_style == LogStyle::Default && self.txn.request_index > 0 {
            return None;
        }
        match self.txn.settings.log_level {
            Some(LogLevelSetting::Silent) => None,
            Some(LogLevelSetting::Level(n)) => {
                LogLevel::ALL.iter().map(|(level, _)| *level).find(|level| *level as u8 == n)
            }
            None if proxy.log_separate_errors && !fine => Some(LogLevel::Err),
            None => Some(LogLevel::Info),
        }
    }
}
