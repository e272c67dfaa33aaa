//! What one worker knows of backends and servers: the balancer at work, idle connections, who is usable.
//!
//! Indexed like the plan. Connection counts and server states that all workers share live in shared
//! memory; the views here are refreshed from them.

use super::queue::Lines;
use super::reuse::has_names;
use crate::base::ids::{ConnId, ProxyId, ServerId};
use crate::base::tick::Tick;
use crate::plan::scheme::{Balancer, PickCx, ServerView};
use crate::plan::{Plan, Proxy, Server};
use crate::shm::{Admin, Health, Object, Shared};
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;

/// Idle connections of one server in one worker, when its line does not say: those that differ by the name they were made
/// for are not limited by how many were needed at once.
const NAMED_MAX: usize = 256;

/// Whether a connection may rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rest {
    /// There is room.
    Yes,
    /// This one, which has rested longest, makes room.
    InPlaceOf(ConnId),
    /// It is not needed.
    No,
}

/// One backend in this worker.
pub struct BackendState {
    /// Its servers, in the order of the file.
    pub views: Vec<ServerView>,
    balancer: Box<dyn Balancer>,
    /// The algorithm asks how many connections servers have over all workers, or a limit does.
    counts: bool,
}

/// One server in this worker.
#[derive(Default)]
pub struct ServerState {
    /// Idle connections, the most recently used last.
    pub idle: Vec<ConnId>,
    /// The fewest idle ones since the last purge: so many nobody needed.
    pub least: usize,
    /// The most requests at once since the last purge, and in the time before it: so many connections
    /// may be needed again.
    peak: [u32; 2],
    /// Requests of this worker it has now.
    busy: u32,
    /// The next purge.
    purge_at: Tick,
    /// Address in place of the configured one.
    pub addr: Option<SocketAddr>,
    /// Its backend, and its place there.
    place: (u32, u32),
}

/// All backends and servers in this worker.
pub struct Backends {
    backends: Vec<BackendState>,
    servers: Vec<ServerState>,
    /// Some connection may be idle.
    rested: bool,
    /// Who waits for a place.
    pub(super) lines: Lines,
}

impl Backends {
    /// The state of a worker that has just started.
    pub fn new(plan: &Plan, shm: &Shared) -> Self {
        let mut servers: Vec<ServerState> = plan.servers.iter().map(|_| ServerState::default()).collect();
        let mut backends = Vec::with_capacity(plan.proxies.len());
        for (number, proxy) in plan.proxies.iter().enumerate() {
            let views = views_of(proxy, plan, shm);
            for (position, id) in proxy.servers.iter().enumerate() {
                servers[id.index()].place = (number as u32, position as u32);
                servers[id.index()].addr = shm.server(*id).addr();
            }
            let balancer = proxy.scheme.start(&views, &proxy.hash_type);
            let limited = proxy.servers.iter().any(|id| plan.server(*id).maxconn > 0);
            let counts = limited || proxy.scheme.by_load() || proxy.hash_type.load_factor > 0;
            backends.push(BackendState { views, balancer, counts });
        }
        Backends { backends, servers, rested: false, lines: Lines::default() }
    }

    /// Takes over what was set at run time and what health checks found. Returns the servers that have
    /// another address than before.
    pub fn refresh(&mut self, plan: &Plan, shm: &Shared) -> Vec<ServerId> {
        for (proxy, state) in plan.proxies.iter().zip(&mut self.backends) {
            let mut views = views_of(proxy, plan, shm);
            for (new, old) in views.iter_mut().zip(&state.views) {
                (new.current, new.queued) = (old.current, old.queued);
            }
            if views != state.views {
                state.views = views;
                state.balancer.changed(&state.views);
            }
        }
        let mut moved = Vec::new();
        for (server, state) in plan.servers.iter().zip(&mut self.servers) {
            let addr = shm.server(server.id).addr();
            if std::mem::replace(&mut state.addr, addr) != addr {
                moved.push(server.id);
            }
        }
        moved
    }

    /// The servers of a backend as they are now.
    pub fn views(&self, id: ProxyId) -> &[ServerView] {
        &self.backends[id.index()].views
    }

    /// A server as it is now.
    pub fn view(&self, id: ServerId) -> &ServerView {
        let (backend, position) = self.servers[id.index()].place;
        &self.backends[backend as usize].views[position as usize]
    }

    fn view_mut(&mut self, id: ServerId) -> (&mut ServerView, &mut dyn Balancer) {
        let (backend, position) = self.servers[id.index()].place;
        let state = &mut self.backends[backend as usize];
        (&mut state.views[position as usize], state.balancer.as_mut())
    }

    /// What this worker keeps of a server.
    pub fn server(&mut self, id: ServerId) -> &mut ServerState {
        &mut self.servers[id.index()]
    }

    /// Whether one more connection to a server may rest, and in whose place. With those at work, no more of those that are
    /// `alike` are kept than were needed at once: clients that come for one request would leave one behind each.
    pub fn may_rest(&self, server: &Server, alike: usize) -> Rest {
        let state = &self.servers[server.id.index()];
        let busy = state.busy as usize;
        let needed = state.peak.iter().copied().max().unwrap_or(0) as usize;
        if server.pool_purge_delay == 0 || (alike > 0 && alike + busy >= needed) {
            return Rest::No;
        }
        let usual = if has_names(server) { NAMED_MAX } else { usize::MAX };
        let most = server.pool_max_conn.map_or(usual, |most| most as usize);
        match state.idle.first() {
            _ if state.idle.len() < most => Rest::Yes,
            Some(oldest) => Rest::InPlaceOf(*oldest),
            None => Rest::No,
        }
    }

    /// A connection to a server rests.
    pub fn rest(&mut self, server: ServerId, conn: ConnId, instead: Option<ConnId>) {
        self.rested = true;
        let idle = &mut self.server(server).idle;
        idle.retain(|other| Some(*other) != instead);
        idle.push(conn);
    }

    /// Whether any connection may be idle.
    pub fn has_idle(&self) -> bool {
        self.rested
    }

    /// Idle connections that were of no use since the last purge of their server: the older half of them.
    pub fn surplus(&mut self, plan: &Plan, now: Tick) -> Vec<ConnId> {
        let mut doomed = Vec::new();
        self.rested = false;
        for (server, state) in plan.servers.iter().zip(&mut self.servers) {
            self.rested |= !state.idle.is_empty();
            if now >= state.purge_at {
                doomed.extend(state.idle.iter().take(state.least.min(state.idle.len()).div_ceil(2)));
                state.peak = [state.busy, state.peak[0]];
                state.purge_at = now.after(server.pool_purge_delay.into());
                state.least = state.idle.len();
            }
        }
        doomed
    }

    /// Looks how many connections the servers of a backend have now, over all workers.
    pub fn look(&mut self, backend: ProxyId, shm: &Shared) {
        let state = &mut self.backends[backend.index()];
        if state.counts {
            for view in &mut state.views {
                let object = shm.object(Object::Server(view.id));
                view.current = object.current.load(Relaxed);
                view.queued = object.queued.load(Relaxed);
            }
        }
    }

    /// Whether all places of a server are taken.
    pub fn is_full(&self, id: ServerId) -> bool {
        let view = self.view(id);
        view.maxconn > 0 && view.current >= view.maxconn
    }

    /// A server for a request; the caller fills in all but the servers.
    pub fn pick(&mut self, backend: ProxyId, cx: PickCx<'_>) -> Option<ServerId> {
        let state = &mut self.backends[backend.index()];
        state.balancer.pick(&PickCx { servers: &state.views, ..cx })
    }

    /// A request was given to a server.
    pub fn took(&mut self, id: ServerId) {
        let (view, balancer) = self.view_mut(id);
        view.current += 1;
        balancer.took(id);
        let state = &mut self.servers[id.index()];
        state.busy += 1;
        state.peak[0] = state.peak[0].max(state.busy);
    }

    /// A request has left a server.
    pub fn left(&mut self, id: ServerId) {
        let (view, balancer) = self.view_mut(id);
        view.current = view.current.saturating_sub(1);
        balancer.left(id);
        let state = &mut self.servers[id.index()];
        state.busy = state.busy.saturating_sub(1);
    }

    /// Some server of the backend would take requests if it had a place.
    pub fn is_usable(&self, backend: ProxyId) -> bool {
        self.views(backend).iter().any(|view| view.usable)
    }
}

/// A server takes requests that are bound to it: it is up, though it may have no weight or drain, or be a
/// backup that is not needed.
pub fn is_alive(shm: &Shared, id: ServerId) -> bool {
    let cell = shm.server(id);
    cell.health() == Health::Up && cell.admin() != Admin::Maint
}

/// The servers of a backend with nothing to do, as shared memory describes them.
fn views_of(proxy: &Proxy, plan: &Plan, shm: &Shared) -> Vec<ServerView> {
    let mut views: Vec<ServerView> = proxy.servers.iter().map(|id| view(plan, shm, *id)).collect();
    mark_usable(plan, proxy.all_backups, &mut views);
    views
}

fn view(plan: &Plan, shm: &Shared, id: ServerId) -> ServerView {
    let (server, cell) = (plan.server(id), shm.server(id));
    let weight = cell.weight(server.weight);
    let up = cell.health() == Health::Up && cell.admin() == Admin::Ready;
    ServerView {
        id,
        puid: server.puid,
        usable: up && weight > 0,
        weight,
        current: 0,
        queued: 0,
        maxconn: shm.object(Object::Server(id)).limit(server.maxconn),
    }
}

/// Backups are used when no active server is left: the first of them, or all with `option allbackups`.
fn mark_usable(plan: &Plan, all_backups: bool, views: &mut [ServerView]) {
    let backup = |v: &ServerView| plan.server(v.id).backup;
    let active = views.iter().any(|v| v.usable && !backup(v));
    let mut taken = false;
    for v in views {
        if backup(v) && v.usable {
            v.usable = !active && (all_backups || !taken);
            taken |= v.usable;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::RoundRobin;
    use crate::plan::ServerAddr;
    use crate::shm::Extras;

    fn plan() -> Plan {
        let mut proxy = Proxy::new(ProxyId(0), "b", Box::new(RoundRobin));
        proxy.is_backend = true;
        proxy.servers = vec![ServerId(0), ServerId(1), ServerId(2)];
        let server = |id: u32| {
            let addr = ServerAddr::Inet(([127, 0, 0, 1], 80).into());
            let mut server = Server::new(ServerId(id), ProxyId(0), &format!("s{id}"), addr);
            server.backup = id == 2;
            server
        };
        Plan { proxies: vec![proxy], servers: (0..3).map(server).collect(), ..Plan::default() }
    }

    #[test]
    fn what_is_set_at_run_time_is_obeyed() {
        let plan = plan();
        let shm = Shared::new(&plan.names(), &Extras::new(), 1).unwrap();
        let mut backends = Backends::new(&plan, &shm);
        let usable = |backends: &Backends| -> Vec<bool> {
            backends.views(ProxyId(0)).iter().map(|view| view.usable).collect()
        };
        assert_eq!(usable(&backends), [true, true, false]);
        backends.took(ServerId(1));
        shm.server(ServerId(0)).set_admin(Admin::Drain);
        shm.server(ServerId(1)).set_weight(7);
        shm.object(Object::Server(ServerId(1))).set_limit(5);
        assert!(backends.refresh(&plan, &shm).is_empty());
        assert_eq!(usable(&backends), [false, true, false]);
        let view = *backends.view(ServerId(1));
        assert_eq!((view.weight, view.maxconn, view.current), (7, 5, 1));
        shm.server(ServerId(1)).set_weight(0);
        backends.refresh(&plan, &shm);
        assert_eq!(usable(&backends), [false, false, true], "the backup stands in");
        shm.server(ServerId(0)).set_admin(Admin::Ready);
        shm.server(ServerId(2)).set_addr("192.0.2.1:8080".parse().ok());
        assert_eq!(backends.refresh(&plan, &shm), [ServerId(2)]);
        assert_eq!(usable(&backends), [true, false, false]);
        assert_eq!(backends.server(ServerId(2)).addr, "192.0.2.1:8080".parse().ok());
        assert!(backends.refresh(&plan, &shm).is_empty());
    }

    #[test]
    fn no_more_connections_rest_than_were_needed_at_once() {
        let mut plan = plan();
        let shm = Shared::new(&plan.names(), &Extras::new(), 1).unwrap();
        let mut backends = Backends::new(&plan, &shm);
        let s0 = ServerId(0);
        let conn = |n| ConnId::new(n, 1);
        (0..3).for_each(|_| backends.took(s0));
        // two of three requests end, each leaves its connection; a third has no room while one is at work
        for n in 0..2 {
            backends.left(s0);
            assert_eq!(backends.may_rest(plan.server(s0), n as usize), Rest::Yes);
            backends.rest(s0, conn(n), None);
        }
        assert_eq!(backends.may_rest(plan.server(s0), 2), Rest::No);
        backends.left(s0);
        assert_eq!(backends.may_rest(plan.server(s0), 2), Rest::Yes);
        backends.rest(s0, conn(2), None);
        assert_eq!(backends.may_rest(plan.server(s0), 3), Rest::No);
        // what was needed is forgotten at the second purge; one may always rest
        for at in 1..=2 {
            backends.surplus(&plan, Tick::default().after(at * 1_000_000));
        }
        backends.server(s0).idle.truncate(1);
        assert_eq!(backends.may_rest(plan.server(s0), 1), Rest::No);
        backends.server(s0).idle.clear();
        assert_eq!(backends.may_rest(plan.server(s0), 0), Rest::Yes);
        plan.servers[0].pool_purge_delay = 0;
        assert_eq!(backends.may_rest(plan.server(s0), 0), Rest::No);
    }

    #[test]
    fn who_has_rested_longest_makes_room() {
        let mut plan = plan();
        plan.servers[0].pool_max_conn = Some(2);
        let shm = Shared::new(&plan.names(), &Extras::new(), 1).unwrap();
        let mut backends = Backends::new(&plan, &shm);
        let (s0, conn) = (ServerId(0), |n| ConnId::new(n, 1));
        for n in 0..2 {
            assert_eq!(backends.may_rest(plan.server(s0), 0), Rest::Yes);
            backends.rest(s0, conn(n), None);
        }
        assert_eq!(backends.may_rest(plan.server(s0), 0), Rest::InPlaceOf(conn(0)));
        backends.rest(s0, conn(2), Some(conn(0)));
        assert_eq!(backends.server(s0).idle, [conn(1), conn(2)]);
        plan.servers[0].pool_max_conn = Some(0);
        backends.server(s0).idle.clear();
        assert_eq!(backends.may_rest(plan.server(s0), 0), Rest::No);
    }
}
