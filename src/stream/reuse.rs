//! Connections to servers that outlive a request: which one may serve the next, and where they rest.
//!
//! Shared ones lie in the list of their server ([`super::backends::ServerState::idle`]). A private one (it began with the
//! client's address, or `http-reuse never`) belongs to its client's connection, and goes with it. A TLS connection that was
//! made for a name serves only requests that ask for the same.

use super::backends::Rest;
use super::{Below, Stream};
use crate::base::ids::{ConnId, ServerId};
use crate::event::sched::Wake;
use crate::net::cx::Cx;
use crate::net::mux::After;
use crate::plan::proxy::HttpReuse;
use crate::plan::{Mode, Server, ServerAddr};

/// Idle connections looked at for one request: the most recently used ones are the best.
const LOOKS: usize = 16;

/// Connections to it differ by the name they were made for; with a constant name all have the same.
pub(super) fn has_names(server: &Server) -> bool {
    server.sni.as_ref().is_some_and(|name| !name.is_constant())
}

impl Stream {
    /// The connection is made for this client and for no other.
    fn is_private(&self, server: &Server, cx: &Cx<'_>) -> bool {
        let anywhere = matches!(&server.addr, ServerAddr::Inet(addr) if addr.ip().is_unspecified());
        server.send_proxy.is_some()
            || server.port_offset.is_some()
            || anywhere
            || cx.plan.proxy(self.backend).http_reuse == HttpReuse::Never
    }

    /// An idle connection that this request may use.
    pub(super) fn idle_connection(
        &mut self,
        server: ServerId,
        below: &mut Below<'_>,
        cx: &mut Cx<'_>,
    ) -> Option<ConnId> {
        if self.mode != Mode::Http || self.req.last {
            return None;
        }
        let line = cx.plan.server(server);
        let name = if has_names(line) { Some(self.name_asked(line, below, cx)) } else { None };
        let id = if self.is_private(line, cx) {
            self.private_connection(server, name, below, cx)
        } else {
            self.shared_connection(server, name, below, cx)
        }?;
        let conn = below.conns.get_mut(id)?;
        conn.bind(Some(self.task), cx);
        let side = conn.server_mut()?;
        side.pooled = false;
        side.requests += 1;
        side.facts.reused = true;
        Some(id)
    }

    fn private_connection(
        &mut self,
        server: ServerId,
        name: Option<Option<String>>,
        below: &mut Below<'_>,
        cx: &mut Cx<'_>,
    ) -> Option<ConnId> {
        let client = below.conns.get_mut(self.front)?.client_mut()?;
        let id = client.private.take()?;
        let conn = below.conns.get_mut(id)?;
        let same_name = name.is_none_or(|name| conn.name_asked() == name.as_deref());
        if same_name && conn.server().is_some_and(|side| side.server == server) && conn.is_fresh(cx) {
            return Some(id);
        }
        cx.sched.wake(conn.task, Wake::KILL);
        None
    }

    fn shared_connection(
        &self,
        server: ServerId,
        name: Option<Option<String>>,
        below: &mut Below<'_>,
        cx: &mut Cx<'_>,
    ) -> Option<ConnId> {
        let first = self.txn.request_index == 0;
        let reuse = cx.plan.proxy(self.backend).http_reuse;
        if first && reuse == HttpReuse::Safe {
            return None;
        }
        let state = below.backends.server(server);
        let mut at = state.idle.len();
        let mut looks = 0;
        while looks < LOOKS {
            at = at.checked_sub(1)?;
            let id = *state.idle.get(at)?;
            let Some(conn) = below.conns.get_mut(id) else {
                state.idle.remove(at);
                continue;
            };
            if name.as_ref().is_some_and(|name| conn.name_asked() != name.as_deref()) {
                continue;
            }
            looks += 1;
            let proven = conn.server().is_some_and(|side| side.requests > 1);
            if first && reuse == HttpReuse::Aggressive && !proven {
                continue;
            }
            state.idle.remove(at);
            state.least = state.least.min(state.idle.len());
            if conn.is_fresh(cx) {
                return Some(id);
            }
            cx.sched.wake(conn.task, Wake::KILL);
        }
        None
    }

    /// The server has answered: its connection rests until the next request, or goes.
    pub(super) fn rest_connection(&mut self, whole: bool, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        let Some(id) = self.back.take() else { return };
        let Some(conn) = below.conns.get_mut(id) else { return };
        let after = conn.detach(whole && !cx.leaving, cx);
        let task = conn.task;
        let rests = match (after, conn.server_mut()) {
            (After::Reusable, Some(side)) => {
                let server = cx.plan.server(side.server);
                let used_up = server.max_reuse.is_some_and(|max| side.requests > max);
                if used_up {
                    false
                } else if self.is_private(server, cx) {
                    self.keep_private(id, below, cx)
                } else {
                    Self::share(id, server, below, cx)
                }
            }
            _ => false,
        };
        if !rests {
            cx.sched.wake(task, Wake::KILL);
        }
    }

    /// The connection may serve any client next.
    fn share(id: ConnId, server: &Server, below: &mut Below<'_>, cx: &mut Cx<'_>) -> bool {
        let idle = &below.backends.server(server.id).idle;
        let alike = match has_names(server) {
            false => idle.len(),
            true => {
                let name = |id: ConnId| below.conns.get(id).map(|conn| conn.name_asked());
                let own = name(id);
                idle.iter().filter(|other| name(**other) == own).count()
            }
        };
        let instead = match below.backends.may_rest(server, alike) {
            Rest::No => return false,
            Rest::Yes => None,
            Rest::InPlaceOf(oldest) => Some(oldest),
        };
        below.backends.rest(server.id, id, instead);
        if let Some(oldest) = instead.and_then(|oldest| below.conns.get(oldest)) {
            cx.sched.wake(oldest.task, Wake::KILL);
        }
        if let Some(side) = below.conns.get_mut(id).and_then(|conn| conn.server_mut()) {
            side.pooled = true;
        }
        true
    }

    /// A client keeps one connection of its own.
    fn keep_private(&self, id: ConnId, below: &mut Below<'_>, cx: &mut Cx<'_>) -> bool {
        let Some(client) = below.conns.get_mut(self.front).and_then(|c| c.client_mut()) else { return false };
        if let Some(other) = client.private.replace(id).and_then(|id| below.conns.get(id)) {
            cx.sched.wake(other.task, Wake::KILL);
        }
        true
    }
}
