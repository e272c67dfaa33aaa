//! A server for the request, and a connection to it: reused, or new; and what to do when it fails.

use std::net::SocketAddr;

use super::backends::is_alive;
use super::early::Early;
use super::queue::{InLine, Line};
use super::retry::Kept;
use super::world::WorldView;
use super::{Below, Phase, Step, Stream};
use crate::base::buffer::Buffer;
use crate::base::ids::{ConnId, ServerId};
use crate::event::sched::{Owner, Wake};
use crate::expr::acl::{Cond, Verdict};
use crate::expr::sample::{Scratch, Ty};
use crate::expr::view::{Addr, Timeout};
use crate::net::conn::proxy_out::Greeting;
use crate::net::conn::{connect, millis, BackState, Conn};
use crate::net::cx::Cx;
use crate::net::fault::{Cause, Fault};
use crate::net::mux::After;
use crate::plan::proxy::{HttpConnection, UseTo};
use crate::plan::retry::Failure;
use crate::plan::rule::Site;
use crate::plan::scheme::{PickCx, ServerView};
use crate::plan::{Mode, Server, ServerAddr};
use crate::shm::Stat;

/// How the search for a server stands.
#[derive(Default)]
pub(super) struct Attempt {
    /// The search began then (microseconds since 1970): queue time counts from here.
    pub(super) began_us: u64,
    /// The present connection attempt began then.
    pub(super) connect_us: u64,
    /// The connection could be used then: response time counts from here.
    pub(super) connected_us: u64,
    /// The response head came then.
    pub(super) response_us: u64,
    /// The connection had served other requests: its end before a first byte says nothing.
    pub(super) reused: bool,
    /// Sending the request failed, and whether all of it had been received by then.
    pub(super) send_fault: Option<(Fault, bool)>,
    /// Rules run for the last time: what is not there will not come.
    pub(super) last_look: bool,
    /// Rules wait for the body, not only for some bytes.
    pub(super) waits_for_body: bool,
    /// Mark, type of service and niceness that are in force.
    pub(super) labels: (Option<u32>, Option<u8>, Option<i16>),
    /// No log line.
    pub(super) silent: bool,
    /// A cookie, a stick table or a rule chose the server, not an algorithm.
    pub(super) bound: bool,
    /// It waits for a place at a server.
    pub(super) in_line: Option<InLine>,
    /// The server of the last attempt, not to be chosen by `option redispatch`.
    pub(super) avoid: Option<ServerId>,
    /// The request's body, while it may have to be sent again.
    pub(super) kept: Kept,
    /// Whether the request may go out before the server's handshake is over.
    pub(super) early: Early,
}

/// The longest host name (RFC 1035 section 2.3.4).
const NAME_MAX: usize = 253;

impl Stream {
    pub(super) fn target(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Step {
        if self.attempt.began_us == 0 {
            self.attempt.began_us = cx.now.wall_us;
            self.add_forwarding_fields(below, cx);
            self.use_server_rules(below, cx);
            if self.persist_request(below, cx).is_err() {
                self.txn.term = *b"PR--";
                return Step::Go(self.error_page(500, below, cx));
            }
            self.stick_rules(below, cx);
        }
        if self.begun.server().is_none() {
            match self.find_place(below, cx) {
                Ok(server) => self.count_server(server, !self.attempt.bound, below, cx),
                Err(step) => return step,
            }
        }
        let Some(server) = self.begun.server() else { return Step::Wait };
        self.server = Some(server);
        self.txn.server = Some(server);
        self.note_queue_time(cx);
        self.prepare_request(cx);
        if let Some(id) = self.idle_connection(server, below, cx) {
            self.back = Some(id);
            self.attempt.reused = true;
            self.count_both(Stat::Reuse, cx);
            self.txn.times.connect = 0;
            return Step::Go(self.connected(below, cx));
        }
        self.attempt.reused = false;
        self.attempt.connect_us = cx.now.wall_us;
        match self.connect(cx.plan.server(server), below, cx) {
            Ok(id) => {
                self.back = Some(id);
                Step::Go(Phase::Connecting)
            }
            Err(fault) => Step::Go(self.connect_failed(fault, below, cx)),
        }
    }

    /// `use-server`: the first rule whose condition holds, if its server can be used.
    fn use_server_rules(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        let plan = cx.plan;
        let backend = self.backend;
        let rules = &plan.proxy(backend).use_servers;
        if rules.is_empty() || self.server.is_some() {
            return;
        }
        below.backends.look(self.backend, cx.shm);
        let world = WorldView::new(self.front, self.back, below, cx);
        let Some(acx) = self.last_look(below, cx, &world) else { return };
        let facts = acx.facts();
        let holds = |cond: &Cond| cond.eval(&facts) == Verdict::Yes;
        let found = rules.iter().find(|rule| rule.cond.as_ref().is_none_or(holds));
        let server = match found.map(|rule| &rule.to) {
            None => None,
            Some(UseTo::Server(id)) => Some(*id),
            Some(UseTo::Named(name)) => {
                let mut text = Scratch::new();
                name.write(&facts, &mut text);
                facts.world.find_server(backend, &text)
            }
        };
        self.server = server.filter(|id| is_alive(cx.shm, *id));
    }

    /// A server with a place for this request, or what to do without one.
    fn find_place(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Result<ServerId, Step> {
        if let Some(server) = self.take_grant(below, cx) {
            return Ok(server);
        }
        if self.is_waiting(below) {
            return Err(Step::Wait);
        }
        self.attempt.in_line = None;
        below.backends.look(self.backend, cx.shm);
        let bound = self.bound_server(cx);
        self.attempt.bound = bound.is_some();
        let picked = bound.or_else(|| self.pick(below, cx)).or_else(|| self.pick_any(below, cx));
        if let Some(server) = picked {
            if self.take_place(server, cx) {
                return Ok(server);
            }
        }
        let any = below.backends.is_usable(self.backend);
        let line = match picked {
            // an algorithm that names a full server wants that one
            Some(server) if self.attempt.bound || below.backends.is_full(server) => Line::Server(server),
            _ if any => Line::Backend(self.backend),
            _ => {
                self.txn.term = *b"SC--";
                return Err(Step::Go(self.no_server(below, cx)));
            }
        };
        if let Some(step) = self.join_line(line, below, cx) {
            return Err(step);
        }
        self.txn.term = *b"SQ--";
        Err(Step::Go(self.no_server(below, cx)))
    }

    /// Where the algorithm has nothing to go by (it misses its key): any server with a place.
    fn pick_any(&self, below: &Below<'_>, cx: &mut Cx<'_>) -> Option<ServerId> {
        let views = below.backends.views(self.backend);
        let good = |view: &&ServerView| {
            view.usable && !below.backends.is_full(view.id) && Some(view.id) != self.attempt.avoid
        };
        let count = views.iter().filter(good).count();
        let nth = (cx.rng.next() as usize).checked_rem(count)?;
        views.iter().filter(good).nth(nth).map(|view| view.id)
    }

    /// The time in queues, once it is over.
    pub(super) fn note_queue_time(&mut self, cx: &Cx<'_>) {
        if self.txn.times.queue < 0 {
            self.txn.times.queue = millis(self.attempt.began_us, cx.now.wall_us);
        }
        self.clock.phase_until = None;
    }

    fn pick(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Option<ServerId> {
        let key = self.balance_key(below, cx);
        let ask = PickCx {
            servers: &[],
            source: self.source(below),
            req: self.req.head.as_deref(),
            bytes: if self.mode == Mode::Tcp { self.req.bytes() } else { &[] },
            body: if self.mode == Mode::Http { self.req.bytes() } else { &[] },
            key: key.as_deref(),
            random: cx.rng.next(),
            avoid: self.attempt.avoid,
        };
        below.backends.pick(self.backend, ask)
    }

    /// What the expression of `balance hash` yields.
    fn balance_key(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Option<Vec<u8>> {
        let expr = cx.plan.proxy(self.backend).balance_key.as_ref()?;
        let world = WorldView::new(self.front, self.back, below, cx);
        let acx = self.action_cx(Site::HttpRequest, below, cx, &world)?;
        let value = expr.eval_as(&acx.facts(), Ty::Bin).now()?;
        value.as_bytes().map(<[u8]>::to_vec)
    }

    /// Settles what the request says of its connection.
    fn prepare_request(&mut self, cx: &Cx<'_>) {
        let told = cx.plan.proxy(self.backend).send_name.as_deref().zip(self.server);
        if let (Some((field, server)), Some(head)) = (told, &mut self.req.head) {
            // one that has no room goes without it
            let _ = head.set(field.as_bytes(), cx.plan.server(server).name.as_bytes());
        }
        let (front, back) = (cx.plan.proxy(self.frontend), cx.plan.proxy(self.backend));
        let closes = |c: HttpConnection| c != HttpConnection::KeepAlive;
        self.req.last = closes(front.http_connection) || closes(back.http_connection);
        self.req.head_sent = false;
    }

    /// The address to connect to, where it is not simply the configured one: set at run time, or taken
    /// over, in part or whole, from what the client asked for.
    fn destination(&self, server: &Server, below: &mut Below<'_>) -> Option<SocketAddr> {
        let ServerAddr::Inet(configured) = &server.addr else { return None };
        let mut to = below.backends.server(server.id).addr.unwrap_or(*configured);
        if server.port_offset.is_none() && !to.ip().is_unspecified() && to.port() != 0 {
            return Some(to);
        }
        let client = below.conns.get(self.front)?.client()?;
        let asked = self.txn.settings.dst.map_or(client.facts.dst, Addr::Inet);
        if let (true, Some(ip)) = (to.ip().is_unspecified(), asked.ip()) {
            to.set_ip(ip);
        }
        if let (Some(offset), Some(port)) = (server.port_offset, asked.port()) {
            to.set_port(u16::try_from(i32::from(port) + offset).unwrap_or(0));
        } else if to.port() == 0 {
            to.set_port(asked.port().unwrap_or(0));
        }
        Some(to)
    }

    /// The name to ask this server for in the TLS handshake (`sni`): a text that is no host name is left out.
    pub(super) fn name_asked(&mut self, server: &Server, below: &Below<'_>, cx: &Cx<'_>) -> Option<String> {
        let expr = server.sni.as_ref()?;
        let world = WorldView::new(self.front, None, below, cx);
        let acx = self.action_cx(Site::HttpRequest, below, cx, &world)?;
        let mut name = Vec::new();
        expr.write(&acx.facts(), &mut name);
        let name = String::from_utf8(name).ok()?.to_ascii_lowercase();
        // a port is left out, and the brackets of an IPv6 address
        let host = match name.strip_prefix('[') {
            Some(rest) => rest.split_once(']').map_or("", |(host, _)| host),
            None => name.split_once(':').map_or(name.as_str(), |(host, _)| host),
        };
        (!host.is_empty() && host.len() <= NAME_MAX && !host.contains('\0')).then(|| host.to_owned())
    }

    fn connect(&mut self, server: &Server, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Result<ConnId, Fault> {
        let local = Fault::new(Cause::Local);
        let greeting = self.greeting(server, below, cx)?;
        let to = self.destination(server, below);
        let name = self.name_asked(server, below, cx);
        self.settle_early(server, below, cx);
        let labels = (self.txn.settings.back_mark, self.txn.settings.back_tos);
        let sock = connect::begin(server, to, labels, cx)?;
        let vacant = below.conns.vacant().ok_or(local)?;
        let id = vacant.id();
        let nice = self.txn.settings.nice.unwrap_or(0);
        let task = cx.sched.spawn(Owner::Conn(id), nice).ok_or(local)?;
        if let Err(error) = sock.watch(cx.poll, task.pack()) {
            cx.sched.end(task);
            return Err(Fault::from_io(&error));
        }
        let limit = self.limit(Timeout::Connect, cx);
        cx.sched.deadline(task, cx.now.tick.deadline(limit));
        let how = (name.as_deref(), self.attempt.early.is_early());
        let Some(xprt) = connect::transport(sock, server, how, cx) else {
            cx.sched.end(task);
            return Err(local);
        };
        if xprt.tls().is_some() && !cx.shm.ssl_conn_fits() {
            cx.sched.end(task);
            return Err(local);
        }
        let mut conn = Conn::to_server(xprt, server, greeting, (task, self.task), cx);
        if let Some(side) = conn.server_mut() {
            side.requests = 1;
            side.owner = Some(self.front);
        }
        Ok(vacant.fill(conn))
    }

    /// The PROXY header this server wants.
    fn greeting(&self, server: &Server, below: &Below<'_>, cx: &mut Cx<'_>) -> Result<Option<Buffer>, Fault> {
        let Some(how) = &server.send_proxy else { return Ok(None) };
        let front = below.conns.get(self.front).ok_or(Fault::new(Cause::Reset))?;
        let facts = front.client().map(|client| client.facts.as_ref());
        let settings = &self.txn.settings;
        let greeting = Greeting {
            src: settings.src.map(Addr::Inet).or(facts.map(|f| f.src)).unwrap_or_default(),
            dst: settings.dst.map(Addr::Inet).or(facts.map(|f| f.dst)).unwrap_or_default(),
            tls: front.tls(),
            tlvs: facts.map_or(&[], |f| &f.tlvs),
            unique_id: self.txn.unique_id.get().map(|id| &**id),
        };
        greeting.encode(how, cx.pool).map(Some).ok_or(Fault::new(Cause::Local))
    }

    pub(super) fn connecting(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Step {
        let state = match self.back.and_then(|id| below.conns.get(id)) {
            Some(conn) => conn.back_state(),
            None => BackState::Failed(Fault::new(Cause::Reset)),
        };
        match state {
            BackState::Pending => Step::Wait,
            BackState::Ready => {
                self.txn.times.connect = millis(self.attempt.connect_us, cx.now.wall_us);
                self.count_both(Stat::Connect, cx);
                Step::Go(self.connected(below, cx))
            }
            BackState::Failed(fault) => Step::Go(self.connect_failed(fault, below, cx)),
        }
    }

    /// The connection is there: the exchange begins.
    fn connected(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Phase {
        self.clock.front_seen = cx.now.tick;
        self.clock.back_seen = cx.now.tick;
        self.attempt.connected_us = cx.now.wall_us;
        self.txn.handler = "";
        self.keep_request(cx);
        self.bind_at_connect(below, cx);
        Phase::Forward
    }

    /// No connection to the server: another attempt, or an error.
    fn connect_failed(&mut self, fault: Fault, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Phase {
        self.fault = Some(fault);
        if self.retries_left(cx) && cx.plan.proxy(self.backend).retry_on.has(Failure::Connection) {
            return self.try_again(below, cx);
        }
        let late = fault.cause == Cause::TimedOut;
        self.txn.term = if late { *b"sC--" } else { *b"SC--" };
        self.txn.times.connect = -1;
        self.count_both(Stat::Econ, cx);
        self.no_server(below, cx)
    }

    /// The server is done with this request: its connection is kept for the next one, or dropped.
    pub(super) fn leave_server(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        self.leave_line(below, cx);
        self.uncount_server(below, cx);
        let whole = self.mode == Mode::Http && !self.tunnel && self.res.ended && self.req.end_sent;
        self.rest_connection(whole && self.attempt.send_fault.is_none(), below, cx);
    }

    /// The client is done with this stream: its connection waits for another request, or goes.
    pub(super) fn leave_client(&mut self, keep: bool, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        let Some(conn) = below.conns.get_mut(self.front) else {
            self.release_session(cx);
            return;
        };
        if let Some(client) = conn.client_mut() {
            client.vars = std::mem::take(&mut self.sess_vars);
            client.tracks = std::mem::take(&mut self.txn.sess_tracks);
        }
        let after = conn.detach(keep, cx);
        if after == After::Close {
            cx.sched.wake(conn.task, Wake::KILL);
        }
    }
}
