//! All numbers and switches of the running program as one board: counters added up over the workers,
//! the state of servers and frontends, limits. Statistics and commands read and turn them here.
//!
//! The board is shared memory seen through the plan: what is set here holds for every worker, and
//! [`Board::changed`] wakes those that must look again.

use crate::base::ids::{ProxyId, ServerId};
use crate::base::tick::Clock;
use crate::base::tick::Now;
use crate::net::contexts;
use crate::plan::server::Server;
use crate::plan::Plan;
use crate::service::stats::columns::{Col, COLUMNS};
use crate::service::stats::info::{Limits, Totals};
use crate::shm::changelog::{self, ChangeLog};
use crate::shm::{Admin, Clear, FrontState, Health, Info, InfoRate, Object, Rate, Role, Shared, Stat};
use std::net::SocketAddr;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::OnceLock;

/// A server at this moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServerView {
    /// What the operator wants.
    pub admin: Admin,
    /// Whether its health (or the lack of checks) lets it take traffic.
    pub up: bool,
    /// Weight as configured or set, 0 to 256.
    pub weight: u32,
    /// Limit on sessions, 0 for none.
    pub maxconn: u32,
    /// Address in place of the configured one.
    pub addr: Option<SocketAddr>,
    /// Seconds since it last went up or down.
    pub since_change: u32,
    /// Seconds it was down altogether.
    pub downtime: u32,
}

impl ServerView {
    /// Whether new clients are sent there.
    pub fn is_usable(&self) -> bool {
        self.up && self.admin == Admin::Ready
    }

    /// The part of the weight that counts now.
    pub fn effective_weight(&self) -> u32 {
        match self.admin {
            Admin::Ready => self.weight,
            Admin::Drain | Admin::Maint => 0,
        }
    }
}

/// A limit that can be changed while the program runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// Connections over all workers.
    Maxconn,
    /// New connections per second.
    ConnRate,
    /// New sessions per second.
    SessRate,
    /// New TLS handshakes per second.
    SslRate,
}

/// `maxconn` of the global section, or what the descriptor limit allows: two for each connection, and
/// some for the house.
pub fn configured_maxconn(plan: &Plan, workers: usize) -> u32 {
    const FOR_THE_HOUSE: u64 = 64;
    if plan.global.maxconn > 0 {
        return plan.global.maxconn;
    }
    let descriptors = lighterman_sys::cred::descriptor_limit().map_or(1024, |(now, _)| now);
    let each = (descriptors.saturating_sub(FOR_THE_HOUSE) / 2).max(1);
    u32::try_from(each.saturating_mul(workers.max(1) as u64)).unwrap_or(u32::MAX)
}

/// Puts what a (new) plan says into shared memory, before its processes start: limits, and servers
/// that are `disabled`. What was set at run time stays where the plan says nothing.
pub fn apply_plan(plan: &Plan, workers: usize, shm: &Shared) {
    // whoever takes it up first prepares it: before there are others
    let _ = shm.extra(changelog::MAPS).and_then(ChangeLog::attach);
    super::vars::set_start_values(plan, shm, Clock::real().read().wall_us);
    let global = shm.global();
    global.maxconn.store(configured_maxconn(plan, workers), Relaxed);
    global.maxsslconn.store(plan.global.maxsslconn, Relaxed);
    global.conn_rate.store(plan.global.maxconnrate, Relaxed);
    global.sess_rate.store(plan.global.maxsessrate, Relaxed);
    global.ssl_rate.store(plan.global.maxsslrate, Relaxed);
    for server in &plan.servers {
        shm.server(server.id).set_disabled(server.disabled);
    }
    for proxy in &plan.proxies {
        // The sockets of a frontend that was shut down are opened again by a reload.
        shm.object(Object::Front(proxy.id)).state.store(FrontState::Open as u32, Relaxed);
    }
}

/// The board.
#[derive(Clone, Copy)]
pub struct Board<'a> {
    /// The configuration.
    pub plan: &'a Plan,
    /// The memory.
    pub shm: &'a Shared,
    /// What time it is.
    pub now: Now,
}

impl Board<'_> {
    /// Tells all processes that something was set.
    fn changed(&self) {
        self.shm.changed();
    }

    /// The value of a counter column, added up over all workers; 0 for what is not counted.
    pub fn count(&self, of: Object, col: Col) -> u64 {
        let (shm, object) = (self.shm, || self.shm.object(of));
        let ms = self.now.tick.0;
        match col {
            Col::Smax => of_u32(&object().current_max),
            Col::Qmax => of_u32(&object().queued_max),
            Col::Rate => shm.rate(of, Rate::Sess, ms).into(),
            Col::RateMax => shm.rate_max(of, Rate::Sess, ms).into(),
            Col::ConnRate => shm.rate(of, Rate::Conn, ms).into(),
            Col::ConnRateMax => shm.rate_max(of, Rate::Conn, ms).into(),
            Col::ReqRate => shm.rate(of, Rate::Req, ms).into(),
            Col::ReqRateMax => shm.rate_max(of, Rate::Req, ms).into(),
            // An idle connection is one that has proved to be reusable.
            Col::SafeConnCur => shm.sum(of, Stat::SrvIcur),
            Col::NeedConnEst => shm.sum(of, Stat::UsedCur),
            col => stat_of(col).map_or(0, |stat| shm.sum(of, stat)),
        }
    }

    /// Sums for `show info`.
    pub fn totals(&self) -> Totals {
        let shm = self.shm;
        let ms = self.now.tick.0;
        let info = |info| shm.info(info);
        let cache = contexts::cache_stats(self.plan, shm);
        let rate = |rate| u64::from(shm.info_rate(rate, ms));
        let rate_max = |rate| u64::from(shm.info_rate_max(rate, ms));
        Totals {
            conns: info(Info::Conns),
            conns_max: of_u32(&shm.global().conns_max),
            conns_total: info(Info::CumConns),
            requests_total: info(Info::CumReq),
            ssl_conns: info(Info::SslConns),
            ssl_conns_total: info(Info::CumSslConns),
            conn_rate: rate(InfoRate::Conn),
            conn_rate_max: rate_max(InfoRate::Conn),
            sess_rate: rate(InfoRate::Sess),
            sess_rate_max: rate_max(InfoRate::Sess),
            ssl_rate: rate(InfoRate::Ssl),
            ssl_rate_max: rate_max(InfoRate::Ssl),
            ssl_front_keys: rate(InfoRate::SslFrontKey),
            ssl_front_keys_max: rate_max(InfoRate::SslFrontKey),
            ssl_back_keys: rate(InfoRate::SslBackKey),
            ssl_back_keys_max: rate_max(InfoRate::SslBackKey),
            ssl_cache_lookups: cache.lookups,
            ssl_cache_misses: cache.misses,
            dropped_logs: info(Info::DroppedLogs),
            bytes_out_total: info(Info::BytesOut),
            bytes_out_spliced: info(Info::BytesSpliced),
            bytes_out_rate: rate(InfoRate::BytesOut) * BYTES_PER_EVENT,
            streams: info(Info::Streams),
            streams_total: info(Info::CumStreams),
            maxconn_reached: info(Info::MaxconnReached),
            ssl_busy: info(Info::SslBusy),
            ssl_cert_lookups: info(Info::SslCertLookups),
            ssl_cert_misses: info(Info::SslCertMisses),
            ssl_cert_failures: info(Info::SslCertFailures),
            ssl_cert_evictions: info(Info::SslCertEvictions),
            ssl_watch_errors: info(Info::SslWatchErrors),
            patterns: [Info::PatternsAdded, Info::PatternsFreed, Info::PatternsRefused].map(info),
            ssl_certs_expiring: info(Info::SslCertsExpiring),
            ssl_certs_expired: info(Info::SslCertsExpired),
            ssl_certs_shadowed: info(Info::SslCertsShadowed),
            ssl_failures: contexts::failures(shm).map_or(0, |failures| failures.total()),
            pipes_used: info(Info::PipesUsed),
            pipes_free: info(Info::PipesFree),
            pool_allocated: info(Info::PoolAlloc),
            pool_used: info(Info::PoolUsed),
            pool_failed: info(Info::PoolFailed),
            tasks: info(Info::Tasks),
            run_queue: info(Info::RunQueue),
            niced_tasks: info(Info::NicedTasks),
            idle_pct: self.idle_pct(),
            warnings: info(Info::Warnings),
        }
    }

    /// The share of time that workers wait, on average.
    fn idle_pct(&self) -> u64 {
        let workers = self.shm.processes().filter(|process| process.roles.has(Role::WORKER));
        let idle = |slot| self.shm.process_at(slot).infos[Info::IdlePct as usize].load(Relaxed);
        let (sum, count) = workers.fold((0, 0), |(sum, count), it| (sum + idle(it.slot), count + 1));
        sum / u64::max(count, 1)
    }

    /// Sets counters back.
    pub fn clear(&self, what: Clear) {
        self.shm.clear(what);
    }

    /// Limits in force.
    pub fn limits(&self) -> Limits {
        let global = self.shm.global();
        Limits {
            maxconn: of_u32(&global.maxconn),
            conn_rate: of_u32(&global.conn_rate),
            sess_rate: of_u32(&global.sess_rate),
            ssl_rate: of_u32(&global.ssl_rate),
        }
    }

    /// Changes a limit.
    pub fn set_limit(&self, limit: Limit, value: u32) {
        let global = self.shm.global();
        let cell = match limit {
            Limit::Maxconn => &global.maxconn,
            Limit::ConnRate => &global.conn_rate,
            Limit::SessRate => &global.sess_rate,
            Limit::SslRate => &global.ssl_rate,
        };
        cell.store(value, Relaxed);
        self.changed();
    }

    /// A server's state.
    pub fn server(&self, id: ServerId) -> ServerView {
        let server: &Server = self.plan.server(id);
        let cell = self.shm.server(id);
        let up = cell.health() == Health::Up;
        let (since_change, downtime) = self.times(Object::Server(id), up);
        ServerView {
            admin: cell.admin(),
            up,
            weight: cell.weight(server.weight),
            maxconn: self.shm.object(Object::Server(id)).limit(server.maxconn),
            addr: cell.addr(),
            since_change,
            downtime,
        }
    }

    /// Seconds since the last change between up and down, and seconds spent down.
    fn times(&self, of: Object, up: bool) -> (u32, u32) {
        let object = self.shm.object(of);
        let since_ms = match object.changed_ms.load(Relaxed) {
            0 => self.now.wall_us.saturating_sub(self.started_us()) / 1000,
            changed => self.now.tick.0.saturating_sub(changed),
        };
        let down_ms = object.down_ms.load(Relaxed) + if up { 0 } else { since_ms };
        let seconds = |ms: u64| u32::try_from(ms / 1000).unwrap_or(u32::MAX);
        (seconds(since_ms), seconds(down_ms))
    }

    /// When the first of the processes started.
    fn started_us(&self) -> u64 {
        self.shm.processes().map(|process| process.started_us).min().unwrap_or(self.now.wall_us)
    }

    /// Sets a weight, 0 to 256.
    pub fn set_weight(&self, id: ServerId, weight: u32) {
        self.shm.server(id).set_weight(weight);
        self.changed();
    }

    /// Sets what the operator wants.
    pub fn set_admin(&self, id: ServerId, admin: Admin) {
        self.shm.server(id).set_admin(admin);
        self.changed();
    }

    /// Whether it is the configuration that keeps a server in maintenance.
    pub fn is_disabled(&self, id: ServerId) -> bool {
        self.shm.server(id).is_disabled()
    }

    /// Sets a limit on sessions, 0 for none.
    pub fn set_server_maxconn(&self, id: ServerId, maxconn: u32) {
        self.shm.object(Object::Server(id)).set_limit(maxconn);
        self.changed();
    }

    /// Sets an address in place of the configured one.
    pub fn set_addr(&self, id: ServerId, addr: SocketAddr) {
        self.shm.server(id).set_addr(Some(addr));
        self.changed();
    }

    /// Ends the sessions with a server.
    pub fn shutdown_sessions(&self, id: ServerId) {
        self.shm.object(Object::Server(id)).shutdowns.fetch_add(1, Relaxed);
        self.changed();
    }

    /// Whether a frontend accepts.
    pub fn front(&self, id: ProxyId) -> FrontState {
        self.shm.object(Object::Front(id)).front_state()
    }

    /// Changes whether a frontend accepts.
    pub fn set_front(&self, id: ProxyId, state: FrontState) {
        self.shm.object(Object::Front(id)).state.store(state as u32, Relaxed);
        self.changed();
    }

    /// A frontend's limit on sessions.
    pub fn front_maxconn(&self, id: ProxyId) -> u32 {
        self.shm.object(Object::Front(id)).limit(self.plan.proxy(id).maxconn)
    }

    /// Sets a frontend's limit on sessions.
    pub fn set_front_maxconn(&self, id: ProxyId, maxconn: u32) {
        self.shm.object(Object::Front(id)).set_limit(maxconn);
        self.changed();
    }

    /// Seconds since a backend last went up or down, and seconds it was down altogether.
    pub fn back_times(&self, id: ProxyId, up: bool) -> (u32, u32) {
        self.times(Object::Back(id), up)
    }

    /// Seconds since the last session, `None` if there was none.
    pub fn last_session(&self, of: Object) -> Option<u32> {
        let at = self.shm.object(of).last_session.load(Relaxed);
        let since = (self.now.wall_us / 1_000_000).saturating_sub(at);
        (at != 0).then(|| u32::try_from(since).unwrap_or(u32::MAX))
    }
}

/// How many bytes one event of [`InfoRate::BytesOut`] stands for.
const BYTES_PER_EVENT: u64 = 32;

fn of_u32(cell: &AtomicU32) -> u64 {
    cell.load(Relaxed).into()
}

/// The statistic of the same name as a column.
fn stat_of(col: Col) -> Option<Stat> {
    static STATS: OnceLock<Vec<Option<Stat>>> = OnceLock::new();
    let stats = STATS.get_or_init(|| COLUMNS.iter().map(|column| Stat::named(column.name)).collect());
    stats[col as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shm::counters::{RATE_ROWS, STAT_ROWS};

    #[test]
    fn every_statistic_has_its_column() {
        for row in STAT_ROWS.iter().chain(RATE_ROWS) {
            assert!(COLUMNS.iter().any(|column| column.name == row.name), "{}", row.name);
        }
    }
}
