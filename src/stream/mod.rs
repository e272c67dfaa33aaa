//! Floor 7: streams. Imports net, expr, plan.
//!
//! A [`Stream`] is one exchange in HTTP mode, one session in TCP mode: it takes from one connection,
//! decides by rules, finds a server, and moves both channels. It lives in one worker, is woken by the
//! connections below, and ends by saying so.

mod answer;
pub mod backends;
pub mod count;
mod early;
pub mod errors;
mod forward;
mod log;
mod notes;
mod origin;

mod persist;
mod queue;
mod reply;
mod request;
mod response;
mod retry;
mod reuse;
mod rules;
mod show;
mod sticky;
mod target;
mod timeout;
pub mod track;
mod upgrade;
mod world;

use crate::base::arena::Arena;
use crate::base::ids::{ConnId, Conns, ListenerId, ProxyId, ServerId, TaskId};
use crate::base::tick::Tick;
use crate::event::sched::Wake;
use crate::expr::vars::Store;
use crate::expr::view::Txn;
use crate::net::conn::Conn;
use crate::net::cx::{Beginning, Cx, Verdict};
use crate::net::fault::Fault;
use crate::net::mux::Channel;
use crate::plan::rule::Cursor;
use crate::plan::Mode;
use crate::shm::Info;
use backends::Backends;
use errors::Errors;

/// All that a stream may touch of the floors beneath it. Built for each wakeup, never stored.
pub struct Below<'w> {
    /// Connections of both sides.
    pub conns: &'w mut Arena<Conn, Conns>,
    /// Backends and servers.
    pub backends: &'w mut Backends,
    /// Messages that were refused.
    pub errors: &'w mut Errors,
}

/// What a stream is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Takes the request head (HTTP).
    Head,
    /// `tcp-request content` rules of the frontend.
    FrontContent,
    /// `http-request` rules of the frontend.
    FrontRules,
    /// Chooses the backend.
    Switch,
    /// `tcp-request content` rules of the backend.
    BackContent,
    /// `http-request` rules of the backend.
    BackRules,
    /// Chooses a server and a connection to it.
    Target,
    /// Waits before the next attempt.
    Pause,
    /// Waits for the connection.
    Connecting,
    /// Moves both channels.
    Forward,
    /// Holds the client (`tarpit`).
    Tarpit,
    /// Sends an answer made here.
    Reply,
    /// It is over.
    Over,
}

/// What a step of a phase says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Go on with this phase.
    Go(Phase),
    /// Nothing to do before the next wakeup.
    Wait,
}

/// One exchange, or one session.
pub struct Stream {
    /// Its task.
    pub task: TaskId,
    front: ConnId,
    back: Option<ConnId>,
    mode: Mode,
    frontend: ProxyId,
    backend: ProxyId,
    server: Option<ServerId>,
    req: Channel,
    res: Channel,
    phase: Phase,
    /// Where a request goes once its head is there.
    after_head: Phase,
    cursor: Cursor,
    /// Facts for rules and logs.
    txn: Txn,
    sticky: sticky::Sticky,
    sess_vars: Store,
    txn_vars: Store,
    msg_vars: Store,
    clock: timeout::Clock,
    attempt: target::Attempt,
    reply: reply::Pending,
    answering: answer::Answering,
    persist: persist::Persistence,
    /// Both muxes pass bytes (TCP mode, 101, CONNECT).
    tunnel: bool,
    /// The server broke off in the middle: what is here is sent, then it is over.
    cut: bool,
    /// A final response head went through the rules.
    response_ready: bool,
    listener: ListenerId,
    begun: count::Begun,
    /// What ended it, if something did.
    fault: Option<Fault>,
}

impl Stream {
    /// A stream for a client connection that has something for one.
    pub fn new(
        task: TaskId,
        front: ConnId,
        with: Beginning,
        below: &mut Below<'_>,
        cx: &mut Cx<'_>,
    ) -> Option<Stream> {
        let conn = below.conns.get_mut(front)?;
        conn.bind(Some(task), cx);
        let (tls, http) = (conn.tls().is_some(), conn.is_http());
        let client = conn.client_mut()?;
        client.requests += 1;
        let sess_vars = std::mem::take(&mut client.vars);
        let (frontend, listener) = (client.facts.frontend, client.facts.listener);
        let mut txn = request::first_txn(client, tls);
        txn.serial = cx.shm.process().so_far(Info::CumStreams);
        cx.shm.process().count(Info::CumStreams, 1);
        let mut stream = Stream {
            task,
            front,
            back: None,
            mode: if http { Mode::Http } else { Mode::Tcp },
            frontend,
            backend: frontend,
            server: None,
            req: Channel::new(),
            res: Channel::new(),
            phase: if http { Phase::Head } else { Phase::FrontContent },
            after_head: Phase::FrontContent,
            cursor: 0,
            txn,
            sticky: sticky::Sticky::default(),
            sess_vars,
            txn_vars: Store::with_limit(cx.plan.global.tune.vars.txn),
            msg_vars: Store::with_limit(cx.plan.global.tune.vars.message),
            clock: timeout::Clock::new(cx.now.tick),
            attempt: target::Attempt::default(),
            reply: reply::Pending::default(),
            answering: answer::Answering::default(),
            persist: persist::Persistence::default(),
            tunnel: !http,
            cut: false,
            response_ready: !http,
            listener,
            begun: count::Begun::default(),
            fault: None,
        };
        stream.begin(with, below, cx);
        Some(stream)
    }

    fn begin(&mut self, with: Beginning, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        self.phase = match with {
            Beginning::Work => self.phase,
            Beginning::Broken(fault) => self.refuse(fault, below, cx),
            Beginning::TooLate => self.too_late(below, cx),
            Beginning::Nothing => {
                self.txn.term = *b"CR--";
                self.txn.status = 400;
                Phase::Over
            }
        };
    }

    /// Handles a wakeup.
    pub fn on_wake(&mut self, why: Wake, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Verdict {
        if why.has(Wake::KILL) {
            self.abort(*b"K", cx);
        }
        if why.has(Wake::TIMER) {
            self.on_timer(below, cx);
        }
        loop {
            let step = match self.phase {
                Phase::Head => self.head(below, cx),
                Phase::FrontContent => self.front_content(below, cx),
                Phase::FrontRules => self.front_rules(below, cx),
                Phase::Switch => self.switch(below, cx),
                Phase::BackContent => self.back_content(below, cx),
                Phase::BackRules => self.back_rules(below, cx),
                Phase::Target => self.target(below, cx),
                Phase::Pause | Phase::Tarpit => Step::Wait,
                Phase::Connecting => self.connecting(below, cx),
                Phase::Forward => self.forward(below, cx),
                Phase::Reply => self.send_reply(below, cx),
                Phase::Over => {
                    self.finish(below, cx);
                    return Verdict::Close;
                }
            };
            match step {
                Step::Go(phase) => self.phase = phase,
                Step::Wait if self.watch_client(below, cx) => {}
                Step::Wait => break,
            }
        }
        self.track_bytes(cx);
        self.arm(cx);
        Verdict::Keep
    }

    /// The end: the log line, then both connections are left to themselves.
    fn finish(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        self.leave_line(below, cx);
        self.close_times(cx.now.wall_us);
        self.note_conns(cx);
        self.write_log(below, cx);
        self.leave_server(below, cx);
        #[cfg(test)]
        cx.net.into_iter().for_each(|net| net.note(&self.txn));
        self.count_end(cx);
        self.release_tracks(cx);
        let keep = self.res.end_sent && !self.tunnel && !self.cut;
        self.req.release(cx.pool, cx.heads);
        self.res.release(cx.pool, cx.heads);
        self.leave_client(keep, below, cx);
    }

    /// Ends it at once: `term` is the first character of the termination code.
    fn abort(&mut self, term: [u8; 1], _cx: &mut Cx<'_>) {
        if self.phase != Phase::Over {
            self.set_term(term[0]);
            self.phase = Phase::Over;
        }
    }

    /// It broke: what it holds in common counts is given back; the rest of it is not trusted any more.
    pub fn forfeit(mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        self.leave_line(below, cx);
        self.uncount_server(below, cx);
        self.uncount_backend(cx);
        self.release_tracks(cx);
        self.release_session(cx);
    }

    /// Notes who ended the stream; where it stood is worked out from the phase.
    fn set_term(&mut self, who: u8) {
        if self.txn.term[0] == b'-' {
            self.txn.term[0] = who;
            self.txn.term[1] = match self.phase {
                Phase::Head | Phase::FrontContent | Phase::FrontRules | Phase::Switch => b'R',
                Phase::BackContent | Phase::BackRules => b'R',
                Phase::Target => b'Q',
                Phase::Pause | Phase::Connecting => b'C',
                // while the request is on its way, it is its transfer that ends
                Phase::Forward
                    if self.awaits_head() && (self.req.ended || matches!(who, b'S' | b's' | b'P')) =>
                {
                    b'H'
                }
                Phase::Forward => b'D',
                Phase::Tarpit => b'T',
                Phase::Reply => b'R',
                Phase::Over => b'-',
            };
        }
    }

    /// The connections it works with: they go when it breaks.
    pub fn connections(&self) -> impl Iterator<Item = ConnId> {
        [Some(self.front), self.back].into_iter().flatten()
    }

    /// The server it uses, once one is chosen.
    pub fn server(&self) -> Option<ServerId> {
        self.server
    }

    /// It has a place at that server.
    #[cfg(test)]
    pub fn holds_place_at(&self, server: ServerId) -> bool {
        self.begun.server() == Some(server)
    }

    /// Where the earliest deadline stands, for shows.
    pub fn deadline(&self) -> Option<Tick> {
        self.clock.next()
    }
}
