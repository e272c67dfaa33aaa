//! The command socket under random bytes, and the stand-in process that this and the tests use.

use super::line;
use super::session::{CliSession, PAYLOAD_MAX};
use super::{CliCx, Face, Host, Ticket, Vitals, OUT_HIGH};
use crate::base::ids::{ProxyId, ServerId};
use crate::base::tick::Clock;
use crate::plan::global::CliLevel;
use crate::plan::Plan;
use crate::service::board::{Admin, Board, Clear, FrontState, Limit, Object, ServerView};
use crate::service::stats::columns::Col;
use crate::service::stats::info::{Limits, Totals};
use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Duration;

/// A process that is only told about and cannot do anything.
#[derive(Default)]
pub struct Nobody {
    /// What it answers to [`Host::vitals`].
    pub vitals: Vitals,
}

impl Host for Nobody {
    fn vitals(&self) -> Vitals {
        self.vitals.clone()
    }

    fn startup_log(&self) -> Vec<u8> {
        b"[NOTICE]   (1) : nothing\n".to_vec()
    }

    fn ask_workers(&mut self, _: &str) -> Option<Ticket> {
        None
    }

    fn answers(&mut self, _: Ticket) -> Option<Vec<u8>> {
        None
    }

    fn reload(&mut self) -> Option<Ticket> {
        None
    }
}

/// A board that only this process sees. Every counter shows its column's number.
pub struct PaperBoard {
    servers: Vec<Cell<ServerView>>,
    fronts: Vec<Cell<(FrontState, u32)>>,
    limits: Cell<Limits>,
    /// What was cleared last.
    pub cleared: Cell<Option<Clear>>,
    /// The server whose sessions were ended last.
    pub ended: Cell<Option<ServerId>>,
}

impl PaperBoard {
    /// A board as it looks right after the start.
    pub fn new(plan: &Plan) -> PaperBoard {
        let server = |server: &crate::plan::server::Server| {
            Cell::new(ServerView {
                admin: if server.disabled { Admin::Maint } else { Admin::Ready },
                up: true,
                weight: server.weight,
                maxconn: server.maxconn,
                addr: None,
                since_change: 5,
                downtime: 0,
            })
        };
        let limits = Limits { maxconn: plan.global.maxconn.into(), ..Limits::default() };
        PaperBoard {
            servers: plan.servers.iter().map(server).collect(),
            fronts: plan.proxies.iter().map(|proxy| Cell::new((FrontState::Open, proxy.maxconn))).collect(),
            limits: Cell::new(limits),
            cleared: Cell::new(None),
            ended: Cell::new(None),
        }
    }

    /// Changes a server in any way.
    pub fn alter(&self, id: ServerId, change: impl FnOnce(&mut ServerView)) {
        let mut view = self.servers[id.index()].get();
        change(&mut view);
        self.servers[id.index()].set(view);
    }
}

impl Board for PaperBoard {
    fn count(&self, _: Object, col: Col) -> u64 {
        col as u64
    }

    fn totals(&self) -> Totals {
        Totals::default()
    }

    fn clear(&self, what: Clear) {
        self.cleared.set(Some(what));
    }

    fn limits(&self) -> Limits {
        self.limits.get()
    }

    fn set_limit(&self, limit: Limit, value: u32) {
        let mut limits = self.limits.get();
        match limit {
            Limit::Maxconn => limits.maxconn = value.into(),
            Limit::ConnRate => limits.conn_rate = value.into(),
            Limit::SessRate => limits.sess_rate = value.into(),
            Limit::SslRate => limits.ssl_rate = value.into(),
        }
        self.limits.set(limits);
    }

    fn server(&self, id: ServerId) -> ServerView {
        self.servers[id.index()].get()
    }

    fn set_weight(&self, id: ServerId, weight: u32) {
        self.alter(id, |view| view.weight = weight);
    }

    fn set_admin(&self, id: ServerId, admin: Admin) {
        self.alter(id, |view| view.admin = admin);
    }

    fn set_server_maxconn(&self, id: ServerId, maxconn: u32) {
        self.alter(id, |view| view.maxconn = maxconn);
    }

    fn set_addr(&self, id: ServerId, addr: SocketAddr) {
        self.alter(id, |view| view.addr = Some(addr));
    }

    fn shutdown_sessions(&self, id: ServerId) {
        self.ended.set(Some(id));
    }

    fn front(&self, id: ProxyId) -> FrontState {
        self.fronts[id.index()].get().0
    }

    fn set_front(&self, id: ProxyId, state: FrontState) {
        self.fronts[id.index()].set((state, self.front_maxconn(id)));
    }

    fn front_maxconn(&self, id: ProxyId) -> u32 {
        self.fronts[id.index()].get().1
    }

    fn set_front_maxconn(&self, id: ProxyId, maxconn: u32) {
        self.fronts[id.index()].set((self.front(id), maxconn));
    }

    fn back_times(&self, _: ProxyId) -> (u32, u32) {
        (5, 0)
    }

    fn last_session(&self, _: Object) -> Option<u32> {
        None
    }
}

/// Whatever a client sends must neither panic nor grow without bound.
pub fn fuzz_cli_line(data: &[u8]) {
    if let Ok(parsed) = line::parse(data) {
        let words: usize = parsed.commands.iter().map(Vec::len).sum();
        assert!(words <= data.len());
    }
    let plan = Plan::default();
    let board = PaperBoard::new(&plan);
    for (home, level) in [(Face::Traffic, CliLevel::Admin), (Face::Master, CliLevel::User)] {
        let mut host = Nobody::default();
        let mut clock = Clock::virtual_from_start();
        let mut session = CliSession::new(level, home, Duration::from_secs(10));
        let mut rest = data;
        // Each turn the client sends what is taken, reads a part and lets a second pass.
        for _ in 0..data.len() + 1000 {
            let taken = session.feed(rest);
            rest = &rest[taken..];
            if rest.is_empty() {
                session.end_of_input();
            }
            session.run(&mut CliCx { plan: &plan, now: clock.read(), board: &board, host: &mut host });
            assert!(session.output().len() <= OUT_HIGH + PAYLOAD_MAX, "output is bounded");
            session.consume(session.output().len().min(OUT_HIGH / 2));
            clock.advance(1000);
            if session.is_over() {
                break;
            }
        }
    }
}
