//! `stick` rules: the server a key is bound to, and binding it once a server answered.

use std::borrow::Cow;

use super::backends::is_alive;
use super::world::WorldView;
use super::{Below, Stream};
use crate::base::ids::{ProxyId, ServerId};
use crate::expr::acl::Verdict;
use crate::expr::stick::key_of;
use crate::net::cx::Cx;
use crate::plan::rule::Site;
use crate::plan::server::{Server, ServerAddr};
use crate::plan::stick::{StickRule, StickWhen};
use crate::plan::Mode;
use crate::shm::stick::{Data, ServerKey, Table};

/// Keys one session binds at most.
const STORES_MAX: usize = 8;

/// How far a stream is with the `stick` rules of its backend.
#[derive(Default)]
pub(super) struct Sticky {
    /// Keys to bind, with their tables.
    keys: Vec<(u16, Vec<u8>)>,
    /// The keys were bound.
    stored: bool,
    /// Bytes counted in the entries it tracks so far: from the client, to it.
    pub(super) bytes_tracked: (u64, u64),
}

impl Stream {
    /// Finds the server that a key of the request is bound to, unless something else chose one; notes the keys to bind.
    pub(super) fn stick_rules(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        let plan = cx.plan;
        let proxy = plan.proxy(self.backend);
        for rule in proxy.sticks.iter().filter(|rule| rule.when != StickWhen::StoreResponse) {
            let Some(key) = self.stick_key(rule, Site::TcpContent, below, cx) else { continue };
            let Some(table) = cx.shm.stick().get(rule.table) else { continue };
            if rule.when != StickWhen::StoreRequest && self.server.is_none() {
                let bound = server_of(table, &key, self.backend, cx);
                self.server = bound.filter(|id| proxy.persist_down || is_alive(cx.shm, *id));
            }
            if rule.when != StickWhen::Match {
                self.will_store(rule.table, key, 0);
            }
        }
    }

    /// One key per table is bound, and one of the answer: the request and the answer may name the client differently.
    fn will_store(&mut self, table: u16, key: Vec<u8>, from: usize) {
        let keys = &mut self.sticky.keys;
        if keys.len() < STORES_MAX && keys.iter().skip(from).all(|(known, _)| *known != table) {
            keys.push((table, key));
        }
    }

    /// The key of a rule, if its condition holds.
    fn stick_key(
        &mut self,
        rule: &StickRule,
        site: Site,
        below: &mut Below<'_>,
        cx: &mut Cx<'_>,
    ) -> Option<Vec<u8>> {
        let shm = cx.shm;
        let world = WorldView::new(self.front, self.back, below, cx);
        let acx = self.action_cx(site, below, cx, &world)?;
        let facts = acx.facts();
        if rule.cond.as_ref().is_some_and(|cond| cond.eval(&facts) != Verdict::Yes) {
            return None;
        }
        key_of(shm.stick().get(rule.table)?.spec(), rule.key.eval(&facts).now()?)
    }

    /// The server answers (in TCP mode without rules on answers: is connected): keys are bound to it.
    pub(super) fn bind_keys(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        let plan = cx.plan;
        let proxy = plan.proxy(self.backend);
        if proxy.sticks.is_empty() || std::mem::replace(&mut self.sticky.stored, true) {
            return;
        }
        let asked = self.sticky.keys.len();
        for rule in proxy.sticks.iter().filter(|rule| rule.when == StickWhen::StoreResponse) {
            if let Some(key) = self.stick_key(rule, Site::TcpResponse, below, cx) {
                self.will_store(rule.table, key, asked);
            }
        }
        let keys = std::mem::take(&mut self.sticky.keys);
        let Some(server) = self.server.map(|id| plan.server(id)).filter(|server| !server.non_stick) else {
            return;
        };
        for (table, key) in keys {
            let Some(table) = cx.shm.stick().get(table) else { continue };
            let now = cx.now.tick.0;
            let name = known_as(table, server).map_or(0, |name| table.name_number(&name));
            table.update(&key, now, |entry| {
                entry.set(Data::ServerId, 0, server.puid.into(), now);
                entry.set(Data::ServerKey, 0, name.into(), now);
            });
        }
    }

    /// Binds keys now, if an answer is about to be passed on.
    pub(super) fn bind_at_answer(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        if !self.sticky.stored && self.response_ready && self.res.has_output() {
            self.bind_keys(below, cx);
        }
    }

    /// A TCP session needs no answer, unless rules look at it.
    pub(super) fn bind_at_connect(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        let later = |rule: &StickRule| rule.when == StickWhen::StoreResponse;
        if self.mode == Mode::Tcp && !cx.plan.proxy(self.backend).sticks.iter().any(later) {
            self.bind_keys(below, cx);
        }
    }
}

/// What a table calls a server (`srvkey`); a server without an address has none in a table of addresses.
fn known_as<'p>(table: &Table, server: &'p Server) -> Option<Cow<'p, str>> {
    match (table.spec().server_key, &server.addr) {
        (ServerKey::Name, _) => Some(Cow::Borrowed(&server.name)),
        (ServerKey::Addr, ServerAddr::Inet(addr)) => Some(Cow::Owned(addr.to_string())),
        (ServerKey::Addr, _) => None,
    }
}

/// The server of this backend that a key is bound to: by name or address, else by number.
fn server_of(table: &Table, key: &[u8], backend: ProxyId, cx: &Cx<'_>) -> Option<ServerId> {
    let (now, plan) = (cx.now.tick.0, cx.plan);
    let (name, puid) = table
        .find_and_touch(key, now, |entry| (entry.name(Data::ServerKey), entry.get(Data::ServerId, 0, now)))?;
    let servers = || plan.proxy(backend).servers.iter().copied();
    let is = |id: &ServerId, name: &str| known_as(table, plan.server(*id)).is_some_and(|known| known == name);
    let named = name.and_then(|name| servers().find(|id| is(id, &name)));
    named.or_else(|| servers().find(|id| puid == Some(plan.server(*id).puid.into())))
}
