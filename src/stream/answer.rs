//! The rules on what a server answers: `tcp-response content`, `http-response`, `http-after-response`.
//!
//! They run once a response head (in TCP mode: the first byte) has come, and again when one of them waits
//! for more; until all of them let it pass, nothing of the answer is shown to the client.

use super::world::WorldView;
use super::{Below, Phase, Stream};
use crate::base::ids::ProxyId;
use crate::net::cx::Cx;
use crate::net::mux::Flow;
use crate::plan::rule::{self, Act, Cursor, Need, Site};
use crate::plan::Mode;
use crate::shm::Stat;

/// How far the rules on an answer have come.
#[derive(Default)]
pub(super) struct Answering {
    /// Which list of rules is next.
    step: usize,
    /// Where that list goes on.
    cursor: Cursor,
    /// A rule waits for more of the answer.
    pub(super) waits: bool,
    /// It waits for the body: that the time is over is an error.
    body: bool,
    /// Rules run for the last time: what is not there will not come.
    pub(super) last_look: bool,
}

/// What the rules say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ruled {
    /// The answer may pass.
    Passes,
    /// More of it must come first.
    Later,
    /// The stream goes another way.
    Replaced,
}

/// Sites in the order in which they run; of each, the backend's rules come before the frontend's.
const SITES: [Site; 3] = [Site::TcpResponse, Site::HttpResponse, Site::HttpAfter];

/// The cookie of persistence is set before `http-after-response` is looked at.
const BEFORE_LAST: usize = 4;

impl Stream {
    /// Has the rules judge what the server answers, from where they stopped.
    pub(super) fn judge_answer(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Ruled {
        self.answering.waits = false;
        while let Some(site) = SITES.get(self.answering.step / 2).copied() {
            let front = self.answering.step % 2 == 1;
            let proxy = if front { self.frontend } else { self.backend };
            // rules on bytes belong to backends; a `listen` section is both, and its rules run once
            let runs = match site {
                Site::TcpResponse => !front,
                _ => self.mode == Mode::Http && !(front && self.frontend == self.backend),
            };
            if self.answering.step == BEFORE_LAST && self.persist_answer(below, cx).is_err() {
                self.txn.failed_rewrites += 1;
                self.settle_rules(below, cx);
                self.replace_answer(Act::Failed, below, cx);
                return Ruled::Replaced;
            }
            if runs {
                match self.run_answer_rules(site, proxy, below, cx) {
                    Ruled::Passes => {}
                    other => return other,
                }
            }
            self.answering.step += 1;
            self.answering.cursor = 0;
        }
        self.answering.last_look = false;
        self.clock.phase_until = None;
        Ruled::Passes
    }

    fn run_answer_rules(
        &mut self,
        site: Site,
        proxy: ProxyId,
        below: &mut Below<'_>,
        cx: &mut Cx<'_>,
    ) -> Ruled {
        let rules = cx.plan.proxy(proxy).rules.at(site);
        if rules.is_empty() {
            return Ruled::Passes;
        }
        loop {
            let mut cursor = self.answering.cursor;
            let world = WorldView::new(self.front, self.back, below, cx);
            let Some(mut acx) = self.action_cx(site, below, cx, &world) else { return Ruled::Replaced };
            let act = rule::run(rules, &mut cursor, &mut acx);
            self.answering.cursor = cursor;
            self.settle_rules(below, cx);
            match act {
                Act::Log => self.write_log(below, cx),
                Act::Change(order) => cx.change_map(&order),
                Act::Wait(need) if !self.answering.last_look => {
                    if self.waits_for_answer(need, proxy, site, cx) {
                        return Ruled::Later;
                    }
                    self.answering.last_look = true;
                }
                // what an answer has no use for, or an action that waits although nothing more comes
                Act::Interim(_) | Act::Wait(_) => self.answering.cursor += 1,
                Act::Next | Act::Stop | Act::SwitchToHttp | Act::Service(_) => return Ruled::Passes,
                act => {
                    self.replace_answer(act, below, cx);
                    return Ruled::Replaced;
                }
            }
        }
    }

    /// Whether there is something to wait for, and time left.
    fn waits_for_answer(&mut self, need: Need, proxy: ProxyId, site: Site, cx: &Cx<'_>) -> bool {
        let full = self.res.ended || self.res.buf.as_ref().is_some_and(|buf| buf.room() == 0);
        let patience = match need {
            Need::Bytes if site == Site::TcpResponse => cx.plan.proxy(proxy).res_inspect_delay.unwrap_or(0),
            Need::Bytes => 0,
            Need::Body { time_ms, .. } => time_ms,
            // only requests come early
            Need::Handshake => 0,
        };
        if full || patience == 0 {
            return false;
        }
        if self.clock.phase_until.is_none() {
            self.clock.phase_until = Some(cx.now.tick.after(u64::from(patience)));
        }
        self.answering.waits = true;
        self.answering.body = matches!(need, Need::Body { .. });
        true
    }

    /// A rule decided against what the server answered.
    fn replace_answer(&mut self, act: Act<'_>, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        self.response_ready = self.mode == Mode::Tcp;
        // what the server answered is not what the client got
        self.txn.times.response = -1;
        self.attempt.response_us = 0;
        self.phase = match act {
            Act::Failed => {
                self.txn.term = *b"PH--";
                self.error_page(502, below, cx)
            }
            Act::Reply(answer) => {
                self.txn.term = *b"LH--";
                self.count_front(Stat::Intercepted, cx);
                self.answer(answer, below, cx)
            }
            act => {
                self.count_both(Stat::Dresp, cx);
                self.count_front(Stat::Dresp, cx);
                let phase = self.refuse_by(act, below, cx);
                self.txn.term = if self.mode == Mode::Http { *b"PH--" } else { *b"PD--" };
                phase
            }
        };
    }

    /// Takes more of an answer that rules wait for, and asks them again; true when something came.
    pub(super) fn fill_answer(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> bool {
        let Some(back) = self.back.and_then(|id| below.conns.get_mut(id)) else { return false };
        let moved = match back.recv(&mut self.res, cx) {
            Flow::Moved(_) | Flow::End => true,
            Flow::Blocked => false,
            Flow::Broken(_) => {
                // what is there is judged; that the rest is missing shows when it is asked for
                self.answering.last_look = true;
                true
            }
        };
        if moved {
            self.clock.back_seen = cx.now.tick;
        }
        if moved || self.answering.last_look {
            self.response_judged(below, cx);
        }
        moved
    }

    /// The time that rules had for an answer is over.
    pub(super) fn answer_too_late(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        if !self.answering.waits {
            return;
        }
        if self.answering.body {
            self.txn.term = *b"sH--";
            self.phase = self.error_page(504, below, cx);
            return;
        }
        self.answering.last_look = true;
    }

    /// The rules on an answer made here: `http-after-response`. Nothing replaces it in turn, so an edit that
    /// is refused leaves it as it is.
    pub(super) fn edit_own_answer(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        let shown = self.res.head.as_ref().map(|head| head.status());
        let both = [Some(self.backend), Some(self.frontend).filter(|f| *f != self.backend)];
        self.answering.last_look = true;
        for proxy in both.into_iter().flatten() {
            let rules = cx.plan.proxy(proxy).rules.at(Site::HttpAfter);
            let mut cursor = 0;
            while cursor < rules.len() {
                let world = WorldView::new(self.front, self.back, below, cx);
                let Some(mut acx) = self.action_cx(Site::HttpAfter, below, cx, &world) else { return };
                let act = rule::run_own(rules, &mut cursor, &mut acx);
                self.settle_rules(below, cx);
                match act {
                    Act::Log => self.write_log(below, cx),
                    Act::Next | Act::Stop => break,
                    Act::Change(order) => {
                        cx.change_map(&order);
                        cursor += 1;
                    }
                    _ => cursor += 1,
                }
            }
        }
        // what is logged and counted is what went wrong, not what a page that stands for it says
        if self.res.head.as_ref().map(|head| head.status()) != shown {
            self.note_status();
        }
    }

    /// Rules may have changed the status.
    pub(super) fn note_status(&mut self) {
        if let Some(head) = &self.res.head {
            self.txn.status = head.status();
        }
    }

    /// What rules asked for that cannot wait, and what they could not do, is carried out and counted.
    pub(super) fn settle_rules(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        let settings = &self.txn.settings;
        let asked = (settings.mark, settings.tos, settings.nice);
        if asked != self.attempt.labels {
            self.attempt.labels = asked;
            if let Some(front) = below.conns.get(self.front) {
                front.label(asked.0, asked.1);
                asked.2.into_iter().for_each(|nice| cx.sched.renice(front.task, nice));
            }
            asked.2.into_iter().for_each(|nice| cx.sched.renice(self.task, nice));
        }
        for _ in 0..std::mem::take(&mut self.txn.failed_rewrites) {
            self.count_front(Stat::Wrew, cx);
            if self.txn.backend.is_some() {
                self.count_both(Stat::Wrew, cx);
            }
        }
    }

    /// The client is refused without an answer.
    pub(super) fn refuse_by(&mut self, act: Act<'_>, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Phase {
        match act {
            Act::Deny(status, answer) => self.answer(answer.unwrap_or(rule::Answer::Page(status)), below, cx),
            Act::Drop(hops) => {
                if let Some(front) = below.conns.get(self.front) {
                    front.forget(hops);
                }
                self.cut = true;
                Phase::Over
            }
            _ => Phase::Over,
        }
    }
}
