//! Rules: a condition and an action, evaluated in order at one place of a stream's life.
//!
//! The stream floor fills an [`ActionCx`], calls [`run`] and interprets the [`Act`] it gets back: a
//! closed set. Actions are table rows (`act::ActionKw`) that build a `Box<dyn Action>` at load time;
//! they see and change the stream only through [`ActionCx`].

use crate::expr::acl::{Cond, Verdict};
use crate::expr::live::Order;
use crate::expr::map::Maps;
use crate::expr::vars::{Effect, Effects, VarsMut};
use crate::expr::view::{BackFacts, Bytes, ConnFacts, Facts, ProcessCount, TlsView, Txn, World};
use crate::msg::{EditError, Head};
use crate::plan::Reply;

/// A place in the life of a connection or an exchange where rules run, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Site {
    /// `tcp-request connection`: right after accept.
    TcpConnection,
    /// `tcp-request session`: after the handshakes.
    TcpSession,
    /// `tcp-request content`: while the first bytes come.
    TcpContent,
    /// `http-request`.
    HttpRequest,
    /// `tcp-response content`.
    TcpResponse,
    /// `http-response`.
    HttpResponse,
    /// `http-after-response`: also for answers made here.
    HttpAfter,
}

impl Site {
    /// The words a rule of this place begins with.
    pub fn words(self) -> &'static str {
        match self {
            Site::TcpConnection => "tcp-request connection",
            Site::TcpSession => "tcp-request session",
            Site::TcpContent => "tcp-request content",
            Site::HttpRequest => "http-request",
            Site::TcpResponse => "tcp-response content",
            Site::HttpResponse => "http-response",
            Site::HttpAfter => "http-after-response",
        }
    }

    /// Every place.
    pub const ALL: [Site; 7] = [
        Site::TcpConnection,
        Site::TcpSession,
        Site::TcpContent,
        Site::HttpRequest,
        Site::TcpResponse,
        Site::HttpResponse,
        Site::HttpAfter,
    ];
}

/// A set of places where an action is legal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sites(pub u8);

impl Sites {
    /// The set of one place.
    pub const fn only(site: Site) -> Sites {
        Sites(1 << site as u8)
    }
    /// Both sets together.
    pub const fn or(self, other: Sites) -> Sites {
        Sites(self.0 | other.0)
    }
    /// True when the place is in the set.
    pub const fn has(self, site: Site) -> bool {
        self.0 & (1 << site as u8) != 0
    }

    /// `tcp-request connection`.
    pub const TCP_CONN: Sites = Sites::only(Site::TcpConnection);
    /// `tcp-request session`.
    pub const TCP_SESS: Sites = Sites::only(Site::TcpSession);
    /// `tcp-request content`.
    pub const TCP_REQ: Sites = Sites::only(Site::TcpContent);
    /// `tcp-response content`.
    pub const TCP_RES: Sites = Sites::only(Site::TcpResponse);
    /// `http-request`.
    pub const HTTP_REQ: Sites = Sites::only(Site::HttpRequest);
    /// `http-response`.
    pub const HTTP_RES: Sites = Sites::only(Site::HttpResponse);
    /// `http-after-response`.
    pub const HTTP_AFTER: Sites = Sites::only(Site::HttpAfter);
    /// Every `tcp-request` place.
    pub const TCP_ANY_REQ: Sites = Sites::TCP_CONN.or(Sites::TCP_SESS).or(Sites::TCP_REQ);
    /// Every TCP place.
    pub const TCP: Sites = Sites::TCP_ANY_REQ.or(Sites::TCP_RES);
    /// Every HTTP place.
    pub const HTTP: Sites = Sites::HTTP_REQ.or(Sites::HTTP_RES).or(Sites::HTTP_AFTER);
    /// Everywhere.
    pub const ANY: Sites = Sites::TCP.or(Sites::HTTP);
}

/// One rule.
pub struct Rule {
    /// When; `None`: always.
    pub cond: Option<Cond>,
    /// What.
    pub action: Box<dyn Action>,
    /// The action's word.
    pub kw: &'static str,
    /// File number and line of the rule.
    pub at: (u32, u32),
}

/// What a rule does. One instance lives in the plan and serves every stream.
pub trait Action: Send + Sync {
    /// Acts on the stream. Called again from the start when it answered [`Act::Wait`] and what it
    /// waits for came, or when nothing more will come (`cx.last`).
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p>;
}

/// What is to happen after an action. A closed set, interpreted by the stream floor.
#[derive(Debug)]
pub enum Act<'p> {
    /// The next rule.
    Next,
    /// The same rule again when this has come.
    Wait(Need),
    /// The rule set ends, traffic goes on (`accept`, `allow`).
    Stop,
    /// This answer is given, no server is asked.
    Reply(Answer<'p>),
    /// Refused: the status, or the answer to give instead of the status's error page. Counted as denied.
    Deny(u16, Option<Answer<'p>>),
    /// As `Deny`, but given only after `timeout tarpit`.
    Tarpit(u16, Option<Answer<'p>>),
    /// The connection is closed without a word. Counted as denied.
    Reject,
    /// The connection is forgotten: the client is not even told (`silent-drop`); with a number, by a reset
    /// that travels so many hops.
    Drop(Option<u8>),
    /// `tcp-request content switch-mode http`.
    SwitchToHttp,
    /// An applet answers (`use-service`): its name.
    Service(&'p str),
    /// A rewrite did not fit or was refused: 500 on the request side, 502 on the response side.
    /// Counted as a failed rewrite.
    Failed,
    /// A log line is written now, and the rules go on (`do-log`).
    Log,
    /// A map is changed and the rules go on.
    Change(Box<Order>),
    /// An interim answer goes out at once and the rules go on: fields of a 103 (`early-hint`).
    Interim(Box<Reply>),
}

/// An answer prepared at load time or built for this request.
#[derive(Debug)]
pub enum Answer<'p> {
    /// Ready to send.
    Ready(&'p Reply),
    /// Built for this request.
    Built(Box<Reply>),
    /// The proxy's error page for this status (`return status 503 default-errorfiles`).
    Page(u16),
    /// The page that asks for a name and a password; without a realm the proxy's name is one (`auth`).
    Challenge(Option<&'p str>),
}

/// What a rule waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// More bytes, or a fuller head.
    Bytes,
    /// The body: at least so many bytes of it (0: all that fits), for so many milliseconds at most.
    Body {
        /// Bytes.
        at_least: usize,
        /// Milliseconds.
        time_ms: u32,
    },
    /// The end of the client's TLS handshake.
    Handshake,
}

/// What an action may see and change. The caller moves the parts back into place afterwards: nothing
/// here owns anything of the stream.
pub struct ActionCx<'a> {
    /// The place these rules belong to.
    pub site: Site,
    /// Microseconds since 1970.
    pub date_us: u64,
    /// Nothing more will come, do not wait.
    pub last: bool,
    /// The client's connection.
    pub conn: &'a ConnFacts,
    /// TLS of the client's connection.
    pub tls: Option<&'a dyn TlsView>,
    /// The connection to the server.
    pub back: Option<&'a BackFacts>,
    /// TLS of the connection to the server.
    pub back_tls: Option<&'a dyn TlsView>,
    /// The request head.
    pub req: Option<&'a mut Head>,
    /// The response head.
    pub res: Option<&'a mut Head>,
    /// What is there of the request body.
    pub req_body: Bytes<'a>,
    /// What is there of the response body.
    pub res_body: Bytes<'a>,
    /// What is there of the client's bytes.
    pub req_bytes: Bytes<'a>,
    /// What is there of the server's bytes.
    pub res_bytes: Bytes<'a>,
    /// The transaction; pending changes go to `txn.settings`.
    pub txn: &'a mut Txn,
    /// Variables.
    pub vars: VarsMut<'a>,
    /// Changes asked for by expressions; applied by [`run`].
    pub effects: &'a Effects,
    /// Maps and ACL files.
    pub maps: &'a Maps,
    /// All that lies beyond this stream.
    pub world: &'a dyn World,
}

impl ActionCx<'_> {
    /// The view expressions are evaluated on.
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            date_us: self.date_us,
            last: self.last,
            conn: self.conn,
            tls: self.tls,
            back: self.back,
            back_tls: self.back_tls,
            req: self.req.as_deref(),
            res: self.res.as_deref(),
            req_body: self.req_body,
            res_body: self.res_body,
            req_bytes: self.req_bytes,
            res_bytes: self.res_bytes,
            txn: self.txn,
            vars: self.vars.view(),
            effects: self.effects,
            maps: self.maps,
            world: self.world,
        }
    }

    /// The head this place edits: the response's at response places, else the request's.
    pub fn head(&mut self) -> Option<&mut Head> {
        match self.site {
            Site::HttpResponse | Site::HttpAfter | Site::TcpResponse => self.res.as_deref_mut(),
            _ => self.req.as_deref_mut(),
        }
    }

    /// Applies what expressions asked for while they were evaluated.
    pub fn settle(&mut self) {
        if self.effects.is_empty() {
            return;
        }
        for effect in self.effects.take() {
            match effect {
                Effect::Set(var, value) => {
                    self.vars.set(var, value);
                }
                Effect::Unset(var) => self.vars.unset(var),
                Effect::CaptureReq(slot, bytes) => self.capture(false, slot, &bytes),
                Effect::CaptureRes(slot, bytes) => self.capture(true, slot, &bytes),
            }
        }
    }

    /// Keeps bytes in a capture slot, cut to its length. A slot the frontend does not have keeps nothing.
    pub fn capture(&mut self, response: bool, slot: u32, bytes: &[u8]) {
        let Some(len) = self.world.capture_len(self.txn.frontend, response, slot) else { return };
        let slots = if response { &mut self.txn.res_caps } else { &mut self.txn.req_caps };
        if slots.len() <= slot as usize {
            slots.resize(slot as usize + 1, None);
        }
        if let Some(place) = slots.get_mut(slot as usize) {
            *place = Some(bytes.get(..len).unwrap_or(bytes).into());
        }
    }

    /// Edits the head of this place. An edit that is refused, or makes the head larger than a buffer, fails
    /// the message; after `strict-mode off` the head stays as it was.
    pub fn edit<'p>(&mut self, way: impl FnOnce(&mut Head) -> Result<(), EditError>) -> Act<'p> {
        let lenient = self.txn.settings.lenient;
        let limit = usize::try_from(self.world.process(ProcessCount::BufSize)).unwrap_or(0);
        let Some(head) = self.head() else { return Act::Next };
        let before = lenient.then(|| head.clone());
        let done = way(head).and_then(|()| match limit > 0 && head.exceeds(limit) {
            true => Err(EditError::Full),
            false => Ok(()),
        });
        if done.is_ok() {
            return Act::Next;
        }
        before.into_iter().for_each(|before| *head = before);
        self.txn.failed_rewrites += 1;
        if lenient {
            Act::Next
        } else {
            Act::Failed
        }
    }
}

/// Where evaluation of a rule list stands; starts at 0 for each message.
pub type Cursor = usize;

/// Runs rules from `at` on. [`Act::Next`]: all of them ran; [`Act::Wait`]: call again with the same
/// cursor; [`Act::Interim`], [`Act::Log`] and [`Act::Change`]: do it and call again; anything else ended the list.
pub fn run<'p>(rules: &'p [Rule], at: &mut Cursor, cx: &mut ActionCx<'_>) -> Act<'p> {
    if *at == 0 {
        // `strict-mode` holds for the rules behind it in the same set
        cx.txn.settings.lenient = false;
    }
    while let Some(rule) = rules.get(*at) {
        match step(rule, cx) {
            Act::Next => *at += 1,
            Act::Wait(need) => return Act::Wait(need),
            Act::Change(order) => {
                *at += 1;
                return Act::Change(order);
            }
            Act::Interim(mut reply) => {
                *at += 1;
                while let Some(next) = rules.get(*at).filter(|next| next.kw == rule.kw) {
                    if let Act::Interim(more) = step(next, cx) {
                        reply.join(&more);
                    }
                    *at += 1;
                }
                return Act::Interim(reply);
            }
            Act::Log => {
                *at += 1;
                return Act::Log;
            }
            ended => {
                cx.txn.last_rule = Some(rule.at);
                return ended;
            }
        }
    }
    Act::Next
}

/// As [`run`], for an answer made here: edits that are refused never fail it.
pub fn run_own<'p>(rules: &'p [Rule], at: &mut Cursor, cx: &mut ActionCx<'_>) -> Act<'p> {
    while let Some(rule) = rules.get(*at) {
        cx.txn.settings.lenient = true;
        match step(rule, cx) {
            Act::Next => *at += 1,
            Act::Log => {
                *at += 1;
                return Act::Log;
            }
            other => return other,
        }
    }
    Act::Next
}

/// One rule: its action, when its condition holds.
fn step<'p>(rule: &'p Rule, cx: &mut ActionCx<'_>) -> Act<'p> {
    if let Some(cond) = &rule.cond {
        let verdict = cond.eval(&cx.facts());
        cx.settle();
        match verdict {
            Verdict::Yes => {}
            Verdict::NotYet if !cx.last => return Act::Wait(Need::Bytes),
            Verdict::No | Verdict::NotYet => return Act::Next,
        }
    }
    let act = rule.action.run(cx);
    cx.settle();
    act
}
