//! What all algorithms share that look for a key in the request and send equal keys to the same server.

use std::sync::Arc;

use super::free;
use super::roundrobin::Turns;
use super::spread::{Map, Ring};
use crate::base::ids::ServerId;
use crate::plan::scheme::{Balancer, HashType, PickCx, Scheme, ServerView};

/// Where the key of a request is.
pub(super) trait Key: Send + Sync + 'static {
    /// The hash of the key; `None`: the request has none.
    fn hash(&self, cx: &PickCx<'_>, how: &HashType) -> Option<u32>;
}

/// An algorithm around a key.
pub(super) struct Keyed<K> {
    name: &'static str,
    key: Arc<K>,
}

impl<K: Key> Keyed<K> {
    /// The algorithm of this name.
    pub(super) fn scheme(name: &'static str, key: K) -> Box<dyn Scheme> {
        Box::new(Keyed { name, key: Arc::new(key) })
    }
}

impl<K: Key> Scheme for Keyed<K> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn start(&self, servers: &[ServerView], how: &HashType) -> Box<dyn Balancer> {
        let spread = if how.consistent {
            Spread::Ring(Ring::default(), Turns::new(servers))
        } else {
            Spread::Map(Map::default(), 0)
        };
        let mut balancer =
            ByKey { key: self.key.clone(), how: *how, spread, usable: 0, total_weight: 0, only: None };
        balancer.changed(servers);
        Box::new(balancer)
    }
}

/// Both ways to spread, each with what serves requests without a key.
enum Spread {
    /// Turns go round the table.
    Map(Map, usize),
    Ring(Ring, Turns),
}

struct ByKey<K> {
    key: Arc<K>,
    how: HashType,
    spread: Spread,
    /// How many servers take part.
    usable: usize,
    total_weight: u64,
    /// The one that does when it is alone: then nothing is hashed.
    only: Option<usize>,
}

impl<K: Key> Balancer for ByKey<K> {
    /// A full server is chosen all the same: the client waits in its queue rather than lose its server.
    fn pick(&mut self, cx: &PickCx<'_>) -> Option<ServerId> {
        let server = |at: usize| cx.servers.get(at);
        if let Some(only) = self.only {
            return server(only).map(|server| server.id);
        }
        let Some(hash) = self.key.hash(cx, &self.how) else { return self.without_key(cx) };
        let takes =
            |at: &usize| server(*at).is_some_and(|server| server.usable && cx.avoid != Some(server.id));
        let found = match &self.spread {
            Spread::Map(map, _) => map.from(map.slot(hash)).find(takes),
            Spread::Ring(ring, _) if self.how.load_factor > 0 => {
                let load: u64 =
                    cx.servers.iter().map(|server| u64::from(server.current + server.queued)).sum();
                let bound = |at: &usize| server(*at).is_some_and(|server| self.within(server, load));
                let light = ring.from(hash).find(|at| takes(at) && bound(at));
                light.or_else(|| ring.from(hash).find(takes))
            }
            Spread::Ring(ring, _) => ring.from(hash).find(takes),
        };
        found.and_then(server).map(|server| server.id)
    }

    fn changed(&mut self, servers: &[ServerView]) {
        let takes_part = |server: &&ServerView| server.usable && server.weight > 0;
        self.usable = servers.iter().filter(takes_part).count();
        self.total_weight = servers.iter().filter(takes_part).map(|server| u64::from(server.weight)).sum();
        self.only = match self.usable {
            1 => servers.iter().position(|server| takes_part(&server)),
            _ => None,
        };
        match &mut self.spread {
            Spread::Map(map, _) => map.changed(servers),
            Spread::Ring(ring, turns) => {
                ring.changed(servers);
                turns.changed(servers);
            }
        }
    }
}

impl<K: Key> ByKey<K> {
    fn without_key(&mut self, cx: &PickCx<'_>) -> Option<ServerId> {
        match &mut self.spread {
            Spread::Map(map, next) => round(map, next, cx),
            Spread::Ring(_, turns) => turns.pick(cx),
        }
    }

    /// The server would not have more than its share of all requests, in percent of the mean
    /// (`hash-balance-factor`).
    fn within(&self, server: &ServerView, load: u64) -> bool {
        let allowed = (load + 1) * u64::from(self.how.load_factor) * u64::from(server.weight);
        u64::from(server.current + server.queued) < allowed.div_ceil(100 * self.total_weight.max(1))
    }
}

/// The next server of the table that has a free place.
pub(super) fn round(map: &Map, next: &mut usize, cx: &PickCx<'_>) -> Option<ServerId> {
    let from = *next % map.len().max(1);
    let find = |ok: &dyn Fn(&ServerView) -> bool| {
        map.from(from).enumerate().find(|(_, at)| cx.servers.get(*at).is_some_and(ok))
    };
    let other = find(&|server: &ServerView| free(server) && cx.avoid != Some(server.id));
    let (passed, at) = other.or_else(|| find(&free))?;
    *next = from + passed + 1;
    cx.servers.get(at).map(|server| server.id)
}
