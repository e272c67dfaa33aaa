//! Answers made here: error pages, `return`, redirects, tarpits.
//!
//! They pass through the client's mux like any response, so that keep-alive, HEAD and
//! `http-after-response` work as they do for servers.

use super::world::WorldView;
use super::{Below, Phase, Step, Stream};
use crate::expr::acl::Verdict as Holds;
use crate::msg::framing::Body;
use crate::msg::ParseOpts;
use crate::net::conn::millis;
use crate::net::cx::Cx;
use crate::net::fault::{Cause, Fault};
use crate::net::mux::Flow;
use crate::plan::reply::{builtin_page, Reply};
use crate::plan::rule::{Act, Answer, Site};
use crate::plan::Mode;
use lighterman_wire::error::Parse;
use lighterman_wire::http::method::Method;
use lighterman_wire::http::name::Tag;
use lighterman_wire::http::Version;

/// The part of an answer's body that does not fit into the channel yet.
#[derive(Default)]
pub(super) struct Pending {
    body: Vec<u8>,
    at: usize,
    /// What is sent when the tarpit is over: the page of a status, or an answer of its own.
    pub(super) tarpit: Option<(u16, Option<Box<Reply>>)>,
}

impl Stream {
    /// Answers with the page of a status.
    pub(super) fn error_page(&mut self, status: u16, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Phase {
        if !self.is_http() {
            return Phase::Over;
        }
        self.res.last |= matches!(status, 400 | 408);
        match self.own_answer(status, below, cx) {
            Some(Answer::Ready(page)) => self.send_prepared(page, below, cx),
            Some(Answer::Built(page)) => self.send_prepared(&page, below, cx),
            // an `http-error` that asks for the page of a status means the built-in one
            Some(Answer::Page(other)) => self.send_prepared(builtin_page(other), below, cx),
            _ => self.send_prepared(builtin_page(status), below, cx),
        }
    }

    /// No server can take it.
    pub(super) fn no_server(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Phase {
        self.error_page(503, below, cx)
    }

    /// `monitor-uri`: the answer is not logged.
    pub(super) fn monitor(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Phase {
        self.txn.term = *b"LR--";
        self.attempt.silent = true;
        let fails = &cx.plan.proxy(self.frontend).monitor_fails;
        let world = WorldView::new(self.front, self.back, below, cx);
        let Some(acx) = self.action_cx(Site::HttpRequest, below, cx, &world) else { return Phase::Over };
        let facts = acx.facts();
        let fails = fails.iter().any(|cond| cond.eval(&facts) == Holds::Yes);
        self.error_page(if fails { 503 } else { 200 }, below, cx)
    }

    /// The answer a rule chose.
    pub(super) fn answer(&mut self, answer: Answer<'_>, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Phase {
        match answer {
            Answer::Ready(reply) => self.send_prepared(reply, below, cx),
            Answer::Built(reply) => self.send_prepared(&reply, below, cx),
            Answer::Page(status) => self.error_page(status, below, cx),
            Answer::Challenge(realm) => self.challenge(realm, below, cx),
        }
    }

    /// Asks for a name and a password (`auth`).
    fn challenge(&mut self, realm: Option<&str>, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Phase {
        let realm = realm.unwrap_or(&cx.plan.proxy(self.frontend).name);
        let value = format!("Basic realm=\"{realm}\"");
        let page = match self.own_answer(401, below, cx) {
            Some(Answer::Ready(page)) => page.with_field("www-authenticate", value.as_bytes()),
            Some(Answer::Built(page)) => page.with_field("www-authenticate", value.as_bytes()),
            _ => builtin_page(401).with_field("www-authenticate", value.as_bytes()),
        };
        self.send_prepared(&page, below, cx)
    }

    /// What the backend, else the frontend, has in place of the built-in page of a status.
    fn own_answer<'p>(&mut self, status: u16, below: &mut Below<'_>, cx: &Cx<'p>) -> Option<Answer<'p>> {
        let plan = cx.plan;
        for proxy in [self.backend, self.frontend] {
            let proxy = plan.proxy(proxy);
            if let Some((_, action)) = proxy.http_errors.iter().find(|(code, _)| *code == status) {
                let world = WorldView::new(self.front, self.back, below, cx);
                let mut acx = self.action_cx(Site::HttpRequest, below, cx, &world)?;
                if let Act::Reply(answer) = action.run(&mut acx) {
                    return Some(answer);
                }
            }
            if let Some(page) = proxy.errors.get(status) {
                return Some(Answer::Ready(page));
            }
        }
        None
    }

    /// Tells the client something before there is an answer (`early-hint`), and goes on. Clients that know
    /// no interim answers get none; one that takes none now misses it: it is a hint.
    pub(super) fn send_interim(&mut self, reply: &Reply, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Phase {
        let Some(front) = below.conns.get_mut(self.front) else { return Phase::Over };
        if self.req.head.as_ref().is_none_or(|head| head.version() == Version::V10) {
            return self.phase;
        }
        let mut head = cx.heads.get();
        let opts = ParseOpts { head_max: usize::MAX, ..ParseOpts::default() };
        if !matches!(head.parse_response(&reply.head, &opts), Parse::Done(..)) {
            cx.heads.put(head);
            return self.phase;
        }
        self.res.head = Some(head);
        self.res.head_sent = false;
        let sent = front.send(&mut self.res, cx);
        self.res.head_sent = false;
        self.res.head.take().into_iter().for_each(|head| cx.heads.put(head));
        if let Flow::Broken(fault) = sent {
            self.client_left(fault, below, cx);
        }
        self.phase
    }

    /// Puts a prepared answer into the response channel.
    pub(super) fn send_prepared(&mut self, reply: &Reply, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Phase {
        self.leave_server(below, cx);
        self.res.release(cx.pool, cx.heads);
        self.txn.status = reply.status;
        let mut head = cx.heads.get();
        let opts = ParseOpts { head_max: usize::MAX, ..ParseOpts::default() };
        if !matches!(head.parse_response(&reply.head, &opts), Parse::Done(..)) {
            cx.heads.put(head);
            return Phase::Over;
        }
        let bodyless = self.req.head.as_ref().is_some_and(|h| h.method_kind() == Method::Head)
            || matches!(head.status(), 204 | 304 | 100..=199)
            || reply.body.is_empty();
        let sized = head.has(Tag::ContentLength);
        // a page written for HTTP/1.0 says nothing of other requests
        self.res.last |= head.version() == Version::V10;
        self.res.head = Some(head);
        self.res.head_sent = false;
        self.res.ended = true;
        self.res.end_sent = false;
        self.res.body = match bodyless {
            true => Body::None,
            false if sized => Body::Length(reply.body.len() as u64),
            false => Body::UntilClose,
        };
        self.reply.at = 0;
        self.reply.body.clear();
        if !bodyless {
            self.fill_reply(&reply.body, cx);
        }
        self.res.last |= cx.leaving || !self.takes_request(below, cx);
        self.response_ready = true;
        self.clock.phase_until = None;
        self.edit_own_answer(below, cx);
        Phase::Reply
    }

    /// Takes what has come of a request that is answered here; true when that is all of it, so that another may follow.
    fn takes_request(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> bool {
        if self.req.head.is_some() {
            self.fill_request(below, cx);
        }
        self.req.ended
    }

    /// Moves what fits of a body into the channel and keeps the rest.
    fn fill_reply(&mut self, body: &[u8], cx: &mut Cx<'_>) {
        let Some(mut buf) = cx.pool.get() else {
            self.reply.body.extend_from_slice(body);
            self.res.ended = false;
            return;
        };
        let n = buf.push(body);
        self.res.buf = Some(buf);
        if n < body.len() {
            self.reply.body.extend_from_slice(&body[n..]);
            self.res.ended = false;
        }
    }

    fn refill_reply(&mut self, cx: &mut Cx<'_>) {
        if self.res.buf.is_some() || self.res.ended {
            return;
        }
        let Some(mut buf) = cx.pool.get() else { return };
        self.reply.at += buf.push(self.reply.body.get(self.reply.at..).unwrap_or_default());
        self.res.buf = Some(buf);
        self.res.ended = self.reply.at >= self.reply.body.len();
    }

    /// Sends an answer made here.
    pub(super) fn send_reply(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Step {
        let Some(front) = below.conns.get_mut(self.front) else {
            self.client_left(Fault::new(Cause::Reset), below, cx);
            return Step::Go(Phase::Over);
        };
        loop {
            self.refill_reply(cx);
            match front.send(&mut self.res, cx) {
                Flow::Moved(_) => self.clock.front_seen = cx.now.tick,
                Flow::Blocked => return Step::Wait,
                Flow::End => return Step::Go(Phase::Over),
                Flow::Broken(fault) => {
                    self.client_left(fault, below, cx);
                    return Step::Go(Phase::Over);
                }
            }
        }
    }

    /// The tarpit has held the client long enough.
    pub(super) fn end_of_tarpit(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Phase {
        self.txn.times.queue = millis(self.attempt.began_us, cx.now.wall_us);
        match self.reply.tarpit.take() {
            Some((_, Some(reply))) if self.mode == Mode::Http => self.send_prepared(&reply, below, cx),
            Some((status, _)) => self.error_page(status, below, cx),
            _ => Phase::Over,
        }
    }
}
