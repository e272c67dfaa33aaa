//! The deadlines of a stream: several reasons to wait, one deadline with the scheduler.

use super::{Below, Phase, Stream};
use crate::base::tick::Tick;
use crate::expr::view::Timeout;
use crate::net::cx::Cx;
use crate::plan::Mode;

/// What a stream waits for, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The client's silence.
    Client,
    /// The server's silence.
    Server,
    /// Both sides' silence in a tunnel.
    Tunnel,
    /// The present phase has a limit of its own.
    Phase,
}

/// When the sides were last heard of, and when patience ends.
pub(super) struct Clock {
    /// The client gave or took something.
    pub(super) front_seen: Tick,
    /// The server gave or took something.
    pub(super) back_seen: Tick,
    /// Until when the present phase may last.
    pub(super) phase_until: Option<Tick>,
    armed: Option<(Tick, Why)>,
}

impl Clock {
    pub(super) fn new(now: Tick) -> Self {
        Clock { front_seen: now, back_seen: now, phase_until: None, armed: None }
    }

    pub(super) fn next(&self) -> Option<Tick> {
        self.armed.map(|(at, _)| at)
    }

    /// Which deadline has come, if one has.
    pub(super) fn expired(&self, now: Tick) -> Option<Why> {
        self.armed.filter(|(at, _)| *at <= now).map(|(_, why)| why)
    }
}

impl Stream {
    /// The timeout in force: what a rule set, else what the proxy says.
    pub(super) fn limit(&self, which: Timeout, cx: &Cx<'_>) -> Option<u32> {
        if let Some(set) = self.txn.settings.timeouts[which as usize] {
            return Some(set).filter(|ms| *ms != 0);
        }
        let (front, back) = (&cx.plan.proxy(self.frontend).timeouts, &cx.plan.proxy(self.backend).timeouts);
        match which {
            Timeout::Client => front.client,
            Timeout::Server => back.server,
            Timeout::Tunnel => back.tunnel,
            Timeout::Connect => back.connect,
            Timeout::Queue => back.in_queue(),
            Timeout::Tarpit => back.tarpitted(),
        }
    }

    /// Tells the scheduler the earliest deadline.
    pub(super) fn arm(&mut self, cx: &mut Cx<'_>) {
        let mut next: Option<(Tick, Why)> = self.clock.phase_until.map(|at| (at, Why::Phase));
        let mut consider = |at: Option<Tick>, why: Why| {
            if let Some(at) = at {
                if next.is_none_or(|(earliest, _)| at < earliest) {
                    next = Some((at, why));
                }
            }
        };
        match self.phase {
            Phase::Forward => {
                let tunnel = self.limit(Timeout::Tunnel, cx).filter(|_| self.tunnel && self.back.is_some());
                if let Some(ms) = tunnel {
                    let seen = self.clock.front_seen.max(self.clock.back_seen);
                    consider(seen.deadline(Some(ms)), Why::Tunnel);
                } else {
                    if self.waits_for_client() {
                        consider(self.clock.front_seen.deadline(self.client_limit(cx)), Why::Client);
                    }
                    if self.waits_for_server() {
                        consider(self.clock.back_seen.deadline(self.server_limit(cx)), Why::Server);
                    }
                }
            }
            Phase::Reply
            | Phase::FrontContent
            | Phase::FrontRules
            | Phase::BackContent
            | Phase::BackRules => {
                consider(self.clock.front_seen.deadline(self.limit(Timeout::Client, cx)), Why::Client);
            }
            _ => {}
        }
        if next.map(|(at, _)| at) != self.clock.next() {
            cx.sched.deadline(self.task, next.map(|(at, _)| at));
        }
        self.clock.armed = next;
    }

    /// `timeout client`, or `client-fin` once the other side has ended.
    fn client_limit(&self, cx: &Cx<'_>) -> Option<u32> {
        let limits = &cx.plan.proxy(self.frontend).timeouts;
        match limits.client_fin {
            Some(fin) if self.tunnel && (self.res.end_sent || self.req.ended) => Some(fin),
            _ => self.limit(Timeout::Client, cx),
        }
    }

    /// `timeout server`, or `server-fin` once the other side has ended.
    fn server_limit(&self, cx: &Cx<'_>) -> Option<u32> {
        let limits = &cx.plan.proxy(self.backend).timeouts;
        match limits.server_fin {
            Some(fin) if self.tunnel && (self.req.end_sent || self.res.ended) => Some(fin),
            _ => self.limit(Timeout::Server, cx),
        }
    }

    /// The client owes us bytes, or must take some.
    fn waits_for_client(&self) -> bool {
        !self.req.ended || (self.response_ready && self.res.has_output())
    }

    /// The server owes us bytes, or must take some.
    fn waits_for_server(&self) -> bool {
        if self.req.has_output() {
            return true;
        }
        match self.mode {
            Mode::Tcp => !self.res.ended,
            Mode::Http => !self.res.ended && (self.req.end_sent || self.tunnel),
        }
    }

    /// A deadline has come.
    pub(super) fn on_timer(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        let Some(why) = self.clock.expired(cx.now.tick) else { return };
        self.clock.armed = None;
        match why {
            Why::Phase => self.phase_over(below, cx),
            Why::Client => self.timed_out(b'c', below, cx),
            Why::Server => self.timed_out(b's', below, cx),
            Why::Tunnel => {
                let who = if self.clock.front_seen <= self.clock.back_seen { b'c' } else { b's' };
                self.timed_out(who, below, cx);
            }
        }
    }

    fn phase_over(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        self.clock.phase_until = None;
        match self.phase {
            Phase::Pause => self.phase = Phase::Target,
            Phase::Tarpit => self.phase = self.end_of_tarpit(below, cx),
            Phase::Target => self.phase = self.queue_timeout(below, cx),
            Phase::Forward => self.answer_too_late(below, cx),
            Phase::Head => self.phase = self.too_late(below, cx),
            _ if self.attempt.waits_for_body => {
                self.set_term(b'c');
                self.txn.times.request = -1;
                self.phase = self.error_page(408, below, cx);
            }
            // the rules' patience is over: they run once more and take what is there
            _ => self.attempt.last_look = true,
        }
    }

    fn timed_out(&mut self, who: u8, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        if let Some(phase) = self.retry_timeout(who, below, cx) {
            self.phase = phase;
            return;
        }
        self.set_term(who);
        let answer = match (self.mode, who) {
            (Mode::Http, b's') if !self.response_ready => Some(504),
            (Mode::Http, b'c') if !self.response_ready && self.phase != Phase::Reply => Some(408),
            _ => None,
        };
        self.phase = match answer {
            Some(status) if !self.tunnel => self.error_page(status, below, cx),
            _ => Phase::Over,
        };
    }
}
