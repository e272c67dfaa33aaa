//! What one worker knows of backends and servers: the balancer at work, idle connections, who is usable.
//!
//! Indexed like the plan. Connection counts and server states that all workers share live in shared
//! memory; the views here are refreshed from them.

use crate::base::ids::{ConnId, ProxyId, ServerId};
use crate::plan::scheme::{Balancer, PickCx, ServerView};
use crate::plan::Plan;

/// One backend in this worker.
pub struct BackendState {
    /// Its servers, in the order of the file.
    pub views: Vec<ServerView>,
    balancer: Box<dyn Balancer>,
}

/// One server in this worker.
#[derive(Default)]
pub struct ServerState {
    /// Idle connections, the most recently used last.
    pub idle: Vec<ConnId>,
    /// Its backend, and its place there.
    place: (u32, u32),
}

/// All backends and servers in this worker.
pub struct Backends {
    backends: Vec<BackendState>,
    servers: Vec<ServerState>,
}

impl Backends {
    /// The state of a worker that has just started.
    pub fn new(plan: &Plan) -> Self {
        let mut servers: Vec<ServerState> = plan.servers.iter().map(|_| ServerState::default()).collect();
        let mut backends = Vec::with_capacity(plan.proxies.len());
        for (number, proxy) in plan.proxies.iter().enumerate() {
            let mut views: Vec<ServerView> = proxy.servers.iter().map(|id| view(plan, *id)).collect();
            mark_usable(plan, proxy.all_backups, &mut views);
            for (position, id) in proxy.servers.iter().enumerate() {
                servers[id.index()].place = (number as u32, position as u32);
            }
            let balancer = proxy.scheme.start(&views);
            backends.push(BackendState { views, balancer });
        }
        Backends { backends, servers }
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
    }

    /// A request has left a server.
    pub fn left(&mut self, id: ServerId) {
        let (view, balancer) = self.view_mut(id);
        view.current = view.current.saturating_sub(1);
        balancer.left(id);
    }
}

fn view(plan: &Plan, id: ServerId) -> ServerView {
    let server = plan.server(id);
    ServerView {
        id,
        puid: server.puid,
        usable: !server.disabled && server.weight > 0,
        weight: server.weight,
        current: 0,
        queued: 0,
        maxconn: server.maxconn,
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
