//! The rows of `show stat`: which columns each kind of object has, from the plan and the board.

use super::columns::{Col, Row, RowKind};
use super::value::Value;
use crate::base::ids::ProxyId;
use crate::plan::listener::Listener;
use crate::plan::server::Server;
use crate::plan::{BindAddr, Mode, Plan, Proxy, ServerAddr};
use crate::service::board::{Board, ServerView};
use crate::shm::{Admin, FrontState, Object};

/// What `show stat` was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Filter {
    /// Only this proxy.
    pub proxy: Option<ProxyId>,
    /// Kinds of rows, as a mask of [`RowKind::mask`].
    pub kinds: u32,
    /// Only the server or socket of this number.
    pub sid: Option<u32>,
    /// Leaves out servers that are down.
    pub up: bool,
    /// Leaves out servers in maintenance.
    pub no_maint: bool,
}

impl Filter {
    /// Everything.
    pub const ALL: Filter = Filter { proxy: None, kinds: u32::MAX, sid: None, up: false, no_maint: false };
}

/// All rows of one proxy, in their fixed order: frontend, sockets, servers, backend.
pub fn rows_of(proxy: &Proxy, filter: &Filter, plan: &Plan, board: &Board<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    if filter.proxy.is_some_and(|only| only != proxy.id) {
        return rows;
    }
    let wants = |kind: RowKind, sid: u32| {
        filter.kinds & kind.mask() != 0 && filter.sid.is_none_or(|only| only == sid)
    };
    if proxy.is_frontend && wants(RowKind::Frontend, 0) {
        rows.push(frontend(proxy, plan, board));
    }
    if proxy.is_frontend && proxy.socket_stats {
        let listeners = proxy.listeners.iter().map(|id| plan.listener(*id));
        for listener in listeners.filter(|listener| wants(RowKind::Listener, listener.puid)) {
            rows.push(socket(proxy, listener, board));
        }
    }
    for server in proxy.servers.iter().map(|id| plan.server(*id)) {
        let view = board.server(server.id);
        let hidden = (filter.up && !view.is_usable()) || (filter.no_maint && view.admin == Admin::Maint);
        if !hidden && wants(RowKind::Server, server.puid) {
            rows.push(server_row(proxy, server, &view, board));
        }
    }
    if proxy.is_backend && wants(RowKind::Backend, 0) {
        rows.push(backend(proxy, plan, board));
    }
    rows
}

/// Counter columns of 32 bits: kinds that have them, as letters.
const NARROW: &[(Col, &str)] = &[
    (Col::Qcur, "BS"),
    (Col::Qmax, "BS"),
    (Col::Scur, "LFBS"),
    (Col::Smax, "LFBS"),
    (Col::Rate, "FBS"),
    (Col::RateMax, "FBS"),
    (Col::ReqRate, "F"),
    (Col::ReqRateMax, "F"),
    (Col::Qtime, "BS"),
    (Col::Ctime, "BS"),
    (Col::Rtime, "BS"),
    (Col::Ttime, "BS"),
    (Col::ConnRate, "F"),
    (Col::ConnRateMax, "F"),
    (Col::SrvIcur, "S"),
    (Col::QtimeMax, "BS"),
    (Col::CtimeMax, "BS"),
    (Col::RtimeMax, "BS"),
    (Col::TtimeMax, "BS"),
    (Col::IdleConnCur, "S"),
    (Col::SafeConnCur, "S"),
    (Col::UsedConnCur, "S"),
    (Col::NeedConnEst, "S"),
    (Col::AggServerStatus, "B"),
    (Col::AggServerCheckStatus, "B"),
    (Col::AggCheckStatus, "B"),
    (Col::PrivIdleCur, "S"),
];

/// Counter columns of 64 bits. Those of HTTP messages are for proxies in mode http.
const WIDE: &[(Col, &str)] = &[
    (Col::Stot, "LFBS"),
    (Col::Bin, "LFBS"),
    (Col::Bout, "LFBS"),
    (Col::Dreq, "LFB"),
    (Col::Dresp, "LFBS"),
    (Col::Ereq, "LF"),
    (Col::Econ, "BS"),
    (Col::Eresp, "BS"),
    (Col::Wretr, "BS"),
    (Col::Wredis, "BS"),
    (Col::Lbtot, "BS"),
    (Col::CliAbrt, "BS"),
    (Col::SrvAbrt, "BS"),
    (Col::CompIn, "FB"),
    (Col::CompOut, "FB"),
    (Col::CompByp, "FB"),
    (Col::CompRsp, "FB"),
    (Col::ConnTot, "F"),
    (Col::Intercepted, "F"),
    (Col::Dcon, "LF"),
    (Col::Dses, "LF"),
    (Col::Wrew, "LFBS"),
    (Col::Connect, "BS"),
    (Col::Reuse, "BS"),
    (Col::CacheLookups, "FB"),
    (Col::CacheHits, "FB"),
    (Col::Eint, "LFBS"),
    (Col::SessOther, "F"),
    (Col::H1sess, "F"),
    (Col::H2sess, "F"),
    (Col::H3sess, "F"),
    (Col::ReqOther, "F"),
    (Col::Reqbin, "LFBS"),
    (Col::Reqbout, "LFBS"),
    (Col::Resbin, "LFBS"),
    (Col::Resbout, "LFBS"),
    (Col::SslSess, "LFBS"),
    (Col::SslReusedSess, "LFBS"),
    (Col::SslFailedHandshake, "LFBS"),
];

/// Counters of HTTP messages, 64 bits: empty in mode tcp.
const HTTP: &[(Col, &str)] = &[
    (Col::Hrsp1xx, "FBS"),
    (Col::Hrsp2xx, "FBS"),
    (Col::Hrsp3xx, "FBS"),
    (Col::Hrsp4xx, "FBS"),
    (Col::Hrsp5xx, "FBS"),
    (Col::HrspOther, "FBS"),
    (Col::ReqTot, "FBS"),
    (Col::H1req, "F"),
    (Col::H2req, "F"),
    (Col::H3req, "F"),
    (Col::CacheHintHits, "FB"),
];

/// A row with everything that is counted and everything that the proxy alone decides.
fn counted(proxy: &Proxy, name: &str, kind: RowKind, sid: u32, of: Object, board: &Board<'_>) -> Row {
    let mut row = Row::new(kind, proxy.puid, sid);
    row.set(Col::Pxname, proxy.name.as_str());
    row.set(Col::Svname, name);
    row.set(Col::Mode, mode(proxy.mode));
    let has = |kinds: &str| kinds.contains(kind.letter());
    for (col, _) in NARROW.iter().filter(|(_, kinds)| has(kinds)) {
        row.set(*col, u32::try_from(board.count(of, *col)).unwrap_or(u32::MAX));
    }
    let http: &[(Col, &str)] = if proxy.mode == Mode::Http { HTTP } else { &[] };
    for (col, _) in WIDE.iter().chain(http).filter(|(_, kinds)| has(kinds)) {
        row.set(*col, board.count(of, *col));
    }
    row
}

fn frontend(proxy: &Proxy, plan: &Plan, board: &Board<'_>) -> Row {
    let mut row = counted(proxy, "FRONTEND", RowKind::Frontend, 0, Object::Front(proxy.id), board);
    let limit = front_limit(proxy, plan, board);
    let full = board.count(Object::Front(proxy.id), Col::Scur) >= u64::from(limit) && limit > 0;
    row.set(Col::Slim, limit);
    row.set(
        Col::Status,
        match board.front(proxy.id) {
            FrontState::Open if proxy.disabled => "STOP",
            FrontState::Open if full => "FULL",
            FrontState::Open => "OPEN",
            FrontState::Paused => "PAUSED",
            FrontState::Stopped => "STOP",
        },
    );
    row.set(Col::RateLim, proxy.session_rate_limit);
    row
}

fn front_limit(proxy: &Proxy, _: &Plan, board: &Board<'_>) -> u32 {
    match board.front_maxconn(proxy.id) {
        0 => u32::try_from(board.limits().maxconn).unwrap_or(u32::MAX),
        limit => limit,
    }
}

fn socket(proxy: &Proxy, listener: &Listener, board: &Board<'_>) -> Row {
    let name = listener.name.clone().unwrap_or_else(|| format!("sock-{}", listener.puid));
    let of = Object::Listener(listener.id);
    let mut row = counted(proxy, &name, RowKind::Listener, listener.puid, of, board);
    row.set(Col::Slim, listener.maxconn);
    row.set(
        Col::Status,
        match board.front(proxy.id) {
            FrontState::Open => "OPEN",
            FrontState::Paused => "PAUSED",
            FrontState::Stopped => "STOP",
        },
    );
    row.set(
        Col::Addr,
        match &listener.addr {
            BindAddr::Inet(at) => at.to_string(),
            BindAddr::Unix(_) | BindAddr::Abstract(_) => "unix".to_owned(),
            BindAddr::Fd(fd) => format!("fd@{fd}"),
        },
    );
    row
}

fn server_row(proxy: &Proxy, server: &Server, view: &ServerView, board: &Board<'_>) -> Row {
    let of = Object::Server(server.id);
    let mut row = counted(proxy, &server.name, RowKind::Server, server.puid, of, board);
    if view.maxconn > 0 {
        row.set(Col::Slim, view.maxconn);
    }
    row.set(Col::Status, server_status(view));
    row.set(Col::Weight, view.effective_weight());
    row.set(Col::Act, u32::from(!server.backup));
    row.set(Col::Bck, u32::from(server.backup));
    row.set(Col::Lastchg, view.since_change);
    row.set(Col::Downtime, view.downtime);
    if server.maxqueue > 0 {
        row.set(Col::Qlimit, server.maxqueue);
    }
    row.set(Col::Lastsess, last_session(of, board));
    row.set(Col::Addr, server_addr(server, view));
    if let Some(cookie) = &server.cookie {
        row.set(Col::Cookie, cookie.as_str());
    }
    if let Some(limit) = server.pool_max_conn {
        row.set(Col::SrcIlim, limit);
    }
    row.set(Col::Uweight, view.weight);
    row
}

/// What column `status` says of a server.
pub fn server_status(view: &ServerView) -> &'static str {
    match (view.admin, view.up) {
        (Admin::Maint, _) => "MAINT",
        (_, false) => "DOWN",
        (Admin::Drain, true) => "DRAIN",
        (Admin::Ready, true) => "no check",
    }
}

/// Where a server is reached now.
pub fn server_addr(server: &Server, view: &ServerView) -> String {
    match (&view.addr, &server.addr) {
        (Some(addr), _) => addr.to_string(),
        (None, ServerAddr::Inet(addr)) => addr.to_string(),
        (None, ServerAddr::Unix(_) | ServerAddr::Abstract(_)) => "unix".to_owned(),
    }
}

fn backend(proxy: &Proxy, plan: &Plan, board: &Board<'_>) -> Row {
    let of = Object::Back(proxy.id);
    let mut row = counted(proxy, "BACKEND", RowKind::Backend, 0, of, board);
    let usable: Vec<(&Server, ServerView)> = proxy
        .servers
        .iter()
        .map(|id| (plan.server(*id), board.server(*id)))
        .filter(|(_, view)| view.is_usable())
        .collect();
    let active = usable.iter().filter(|(server, _)| !server.backup).count();
    let backup = usable.len() - active;
    // Backup servers carry the weight only while no active one is left.
    let counts = |server: &Server| server.backup == (active == 0);
    let weight = |of: fn(&ServerView) -> u32| -> u32 {
        usable.iter().filter(|(server, _)| counts(server)).map(|(_, view)| of(view)).sum()
    };
    row.set(Col::Slim, full_conn(proxy, plan, board));
    let up = !usable.is_empty() || proxy.servers.is_empty();
    row.set(Col::Status, if up { "UP" } else { "DOWN" });
    row.set(Col::Weight, weight(ServerView::effective_weight));
    row.set(Col::Uweight, weight(|view| view.weight));
    row.set(Col::Act, active as u32);
    row.set(Col::Bck, backup as u32);
    let (since_change, downtime) = board.back_times(proxy.id, up);
    row.set(Col::Lastchg, since_change);
    row.set(Col::Downtime, downtime);
    row.set(Col::Lastsess, last_session(of, board));
    row.set(Col::Chkdown, board.count(of, Col::Chkdown));
    row.set(Col::Algo, proxy.scheme.name());
    row
}

/// `fullconn`, by default a tenth of what the frontends that end up here may bring.
fn full_conn(proxy: &Proxy, plan: &Plan, board: &Board<'_>) -> u32 {
    if proxy.fullconn > 0 {
        return proxy.fullconn;
    }
    let leads_here = |front: &&Proxy| {
        front.is_frontend && (front.id == proxy.id || front.default_backend == Some(proxy.id))
    };
    let sum: u32 = plan
        .proxies
        .iter()
        .filter(leads_here)
        .fold(0, |sum, front| sum.saturating_add(front_limit(front, plan, board)));
    (sum.saturating_add(9) / 10).max(1)
}

fn last_session(of: Object, board: &Board<'_>) -> Value {
    Value::S32(board.last_session(of).map_or(-1, |secs| i32::try_from(secs).unwrap_or(i32::MAX)))
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Tcp => "tcp",
        Mode::Http => "http",
    }
}
