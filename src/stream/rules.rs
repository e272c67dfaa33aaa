//! Running rules: what they may see is lent to them, what they decide is carried out here.

use super::world::WorldView;
use super::{Below, Phase, Step, Stream};
use crate::base::ids::ProxyId;
use crate::expr::acl::Verdict as Holds;
use crate::expr::vars::VarsMut;
use crate::expr::view::{Bytes, Timeout};
use crate::net::cx::Cx;
use crate::plan::proxy::{OddNames, SwitchTo};
use crate::plan::reply::Reply;
use crate::plan::rule::{self, Act, ActionCx, Answer, Need, Site};
use crate::shm::Stat;

/// How long a rule waits for the end of a handshake when no timeout says so, milliseconds.
const HANDSHAKE_MS: u32 = 10_000;

impl Stream {
    pub(super) fn front_content(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Step {
        let next = if self.is_http() { Phase::FrontRules } else { Phase::Switch };
        let step = self.request_rules(Site::TcpContent, self.frontend, next, below, cx);
        if step == Step::Go(Phase::FrontRules) {
            self.track_request(cx);
        }
        step
    }

    pub(super) fn front_rules(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Step {
        self.request_rules(Site::HttpRequest, self.frontend, Phase::Switch, below, cx)
    }

    pub(super) fn back_content(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Step {
        let next = if self.is_http() { Phase::BackRules } else { Phase::Target };
        self.request_rules(Site::TcpContent, self.backend, next, below, cx)
    }

    pub(super) fn back_rules(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Step {
        self.request_rules(Site::HttpRequest, self.backend, Phase::Target, below, cx)
    }

    /// Runs the rules of one request-side place; `next` is where all goes when they let it pass.
    fn request_rules(
        &mut self,
        site: Site,
        proxy: ProxyId,
        next: Phase,
        below: &mut Below<'_>,
        cx: &mut Cx<'_>,
    ) -> Step {
        let plan = cx.plan;
        let rules = plan.proxy(proxy).rules.at(site);
        if site == Site::HttpRequest && self.cursor == 0 && !self.names_pass(plan.proxy(proxy).odd_names) {
            self.txn.term = *b"PR--";
            self.count_denied(cx);
            return Step::Go(self.error_page(403, below, cx));
        }
        if site == Site::HttpRequest && plan.proxy(proxy).buffer_request && !self.has_body_at_hand() {
            let time_ms = plan.proxy(proxy).timeouts.request().unwrap_or(i32::MAX as u32);
            return self.wait_for(Need::Body { at_least: 0, time_ms }, proxy, below, cx);
        }
        if rules.is_empty() {
            self.clock.phase_until = None;
            self.attempt.last_look = false;
            return Step::Go(next);
        }
        if site == Site::HttpRequest && self.cursor == 0 {
            // what came with the head is there for rules
            self.fill_request(below, cx);
            if let Some(fault) = self.fault {
                self.client_left(fault, below, cx);
                return Step::Go(self.phase);
            }
        }
        let mut cursor = self.cursor;
        let act = loop {
            let world = WorldView::new(self.front, self.back, below, cx);
            let act = match self.action_cx(site, below, cx, &world) {
                Some(mut acx) => rule::run(rules, &mut cursor, &mut acx),
                None => return Step::Go(Phase::Over),
            };
            match act {
                Act::Change(order) => cx.change_map(&order),
                act => break act,
            }
        };
        self.cursor = cursor;
        self.settle_rules(below, cx);
        if matches!(act, Act::SwitchToHttp) && !self.is_http() {
            return self.upgrade(Phase::FrontRules, below, cx);
        }
        let passes = matches!(act, Act::Next | Act::Stop | Act::SwitchToHttp);
        if passes {
            self.cursor = 0;
            self.clock.phase_until = None;
            self.attempt.last_look = false;
            return Step::Go(next);
        }
        match act {
            Act::Wait(need) => return self.wait_for(need, proxy, below, cx),
            Act::Log => {
                self.write_log(below, cx);
                return Step::Go(self.phase);
            }
            Act::Interim(reply) => return Step::Go(self.send_interim(&reply, below, cx)),
            _ => {}
        }
        self.cursor = 0;
        Step::Go(self.carry_out(act, below, cx))
    }

    /// `option http-restrict-req-hdr-names`; false: the request is refused.
    fn names_pass(&mut self, how: OddNames) -> bool {
        let Some(head) = self.req.head.as_mut().filter(|_| how != OddNames::Preserve) else { return true };
        let odd = |name: &[u8]| name.iter().any(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-');
        let names: Vec<Vec<u8>> =
            head.fields().map(|(name, _)| name.to_vec()).filter(|name| odd(name)).collect();
        if how == OddNames::Reject {
            return names.is_empty();
        }
        for name in &names {
            head.remove(name);
        }
        true
    }

    /// What a rule decided that ends the request's way to a server.
    fn carry_out(&mut self, act: Act<'_>, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Phase {
        if matches!(act, Act::Tarpit(..) | Act::Reject | Act::Drop(_)) {
            // the request was never taken
            self.txn.times.request = -1;
        }
        match act {
            Act::Reply(answer) => {
                self.txn.term = *b"LR--";
                self.count_front(Stat::Intercepted, cx);
                self.answer(answer, below, cx)
            }
            Act::Deny(_, Some(answer @ Answer::Challenge(_))) => {
                self.track_error(cx);
                self.txn.term = *b"LR--";
                self.count_front(Stat::Intercepted, cx);
                self.answer(answer, below, cx)
            }
            Act::Tarpit(status, answer) => {
                self.track_error(cx);
                self.txn.term = *b"PT--";
                let answer = match answer {
                    Some(Answer::Ready(reply)) => Some(Box::new(reply.clone())),
                    Some(Answer::Built(reply)) => Some(reply),
                    _ => None,
                };
                self.reply.tarpit = Some((status, answer));
                self.count_denied(cx);
                self.attempt.began_us = cx.now.wall_us;
                self.clock.phase_until = cx.now.tick.deadline(self.limit(Timeout::Tarpit, cx));
                Phase::Tarpit
            }
            Act::Failed => {
                self.txn.term = *b"PR--";
                self.error_page(500, below, cx)
            }
            Act::Deny(..) | Act::Reject | Act::Drop(_) => {
                if matches!(act, Act::Deny(..)) {
                    self.track_error(cx);
                }
                self.txn.term = *b"PR--";
                self.count_denied(cx);
                self.refuse_by(act, below, cx)
            }
            // nothing else ends a rule list: see `rule::run`
            _ => Phase::Over,
        }
    }

    /// A rule needs more than has come: takes what the client sends, until there is enough, no room, or
    /// no time.
    fn wait_for(&mut self, need: Need, proxy: ProxyId, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Step {
        if self.clock.phase_until.is_none() && !self.attempt.last_look {
            let patience = match need {
                Need::Bytes => cx.plan.proxy(proxy).inspect_delay.unwrap_or(0),
                Need::Body { time_ms, .. } => time_ms,
                Need::Handshake => cx.plan.proxy(self.frontend).timeouts.handshake().unwrap_or(HANDSHAKE_MS),
            };
            self.attempt.waits_for_body = matches!(need, Need::Body { .. });
            if self.attempt.waits_for_body {
                self.ask_for_body(below, cx);
            }
            if patience == 0 && need == Need::Bytes {
                self.attempt.last_look = true;
                return Step::Go(self.phase);
            }
            self.clock.phase_until = Some(cx.now.tick.after(u64::from(patience)));
        }
        if self.attempt.last_look {
            // rules that were told so do not wait: this is a rule that asks all the same
            return Step::Go(Phase::Over);
        }
        if self.fill_request(below, cx) {
            return Step::Go(self.phase);
        }
        if let Some(fault) = self.fault {
            self.client_left(fault, below, cx);
            return Step::Go(self.phase);
        }
        if need == Need::Handshake {
            let over = below.conns.get_mut(self.front).is_none_or(|front| front.advance(cx));
            return if over { Step::Go(self.phase) } else { Step::Wait };
        }
        if self.request_is_whole() {
            self.attempt.last_look = true;
            return Step::Go(self.phase);
        }
        Step::Wait
    }

    /// The body, or as much of it as a buffer holds.
    fn has_body_at_hand(&self) -> bool {
        self.request_is_whole() || self.attempt.last_look
    }

    /// A client that holds its body back until it is asked for it (RFC 9110 10.1.1) is asked.
    fn ask_for_body(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        let Some(head) = &mut self.req.head else { return };
        if head.first(b"expect").is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue")) {
            head.remove(b"expect");
            let mut reply = Reply::start(100, "Continue");
            reply.end();
            self.phase = self.send_interim(&reply, below, cx);
        }
    }

    /// Nothing can be added to what rules see of the request.
    pub(super) fn request_is_whole(&self) -> bool {
        self.req.ended || self.req.buf.as_ref().is_some_and(|b| b.room() == 0)
    }

    /// Everything a rule may see and change.
    pub(super) fn action_cx<'a>(
        &'a mut self,
        site: Site,
        below: &'a Below<'_>,
        cx: &'a Cx<'_>,
        world: &'a WorldView<'a>,
    ) -> Option<ActionCx<'a>> {
        let front = below.conns.get(self.front)?;
        let client = front.client()?;
        let back = self.back.and_then(|id| below.conns.get(id));
        let whole_req = self.request_is_whole() || self.attempt.last_look;
        let late = match site {
            Site::TcpResponse | Site::HttpResponse | Site::HttpAfter => self.answering.last_look,
            _ => self.attempt.last_look,
        };
        let full = self.res.buf.as_ref().is_some_and(|b| b.room() == 0);
        let whole_res = self.res.ended || full || self.answering.last_look;
        let bytes = Bytes { data: self.req.buf.as_ref().map_or(&[], |b| b.readable()), whole: whole_req };
        let res_bytes = Bytes { data: self.res.buf.as_ref().map_or(&[], |b| b.readable()), whole: whole_res };
        let http = self.mode == crate::plan::Mode::Http;
        let pick = |mine: bool, b: Bytes<'a>| if mine { b } else { Bytes::NONE };
        Some(ActionCx {
            site,
            date_us: cx.now.wall_us,
            last: late,
            conn: &client.facts,
            tls: front.tls(),
            back: back.and_then(|c| c.server()).map(|s| s.facts.as_ref()),
            back_tls: back.and_then(|c| c.tls()),
            req: self.req.head.as_deref_mut(),
            res: self.res.head.as_deref_mut(),
            req_body: pick(http, bytes),
            res_body: pick(http, res_bytes),
            req_bytes: pick(!http, bytes),
            res_bytes: pick(!http, res_bytes),
            txn: &mut self.txn,
            vars: VarsMut {
                proc: Some(cx.proc_vars),
                sess: Some(&mut self.sess_vars),
                txn: Some(&mut self.txn_vars),
                msg: Some(&mut self.msg_vars),
                check: None,
            },
            effects: cx.effects,
            maps: cx.maps.maps(),
            world,
        })
    }

    /// The same for what chooses between places to go: it never waits, so what is not there does not come.
    pub(super) fn last_look<'a>(
        &'a mut self,
        below: &'a Below<'_>,
        cx: &'a Cx<'_>,
        world: &'a WorldView<'a>,
    ) -> Option<ActionCx<'a>> {
        let mut acx = self.action_cx(Site::HttpRequest, below, cx, world)?;
        acx.last = true;
        (acx.req_body.whole, acx.req_bytes.whole) = (true, true);
        Some(acx)
    }

    /// `use_backend`: the first whose condition holds.
    pub(super) fn switch_rules(
        &mut self,
        below: &mut Below<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Option<ProxyId>, Step> {
        let plan = cx.plan;
        let switches = &plan.proxy(self.frontend).switches;
        if switches.is_empty() {
            return Ok(None);
        }
        let world = WorldView::new(self.front, self.back, below, cx);
        let Some(acx) = self.last_look(below, cx, &world) else {
            return Err(Step::Go(Phase::Over));
        };
        let facts = acx.facts();
        let found = switches.iter().find(|s| s.cond.as_ref().is_none_or(|c| c.eval(&facts) == Holds::Yes));
        Ok(match found.map(|s| &s.to) {
            None => None,
            Some(SwitchTo::Backend(id)) => Some(*id),
            Some(SwitchTo::Named(name)) => {
                let mut text = Vec::new();
                name.write(&facts, &mut text);
                plan.backend(&text).map(|backend| backend.id)
            }
        })
    }
}
