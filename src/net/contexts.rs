//! The TLS contexts of a plan: made once, before the fork and before rights are dropped, and shared by
//! every process that comes from it.

use std::sync::Arc;

use crate::base::ids::{ListenerId, ServerId};
use crate::net::tls::{BindContext, ServerContext, TlsShared};
use crate::plan::Plan;
use crate::shm::sslcache::{SslCache, SslCacheStats};
use crate::shm::tickets::Tickets;
use crate::shm::{Extras, Shared};

/// Name of the session cache in shared memory.
const SESSIONS: &str = "tls sessions";
/// Name of the ticket keys in shared memory.
const TICKETS: &str = "tls tickets";

/// TLS of all `bind` and `server` lines.
#[derive(Default)]
pub struct Contexts {
    binds: Vec<Option<Arc<BindContext>>>,
    servers: Vec<Option<Arc<ServerContext>>>,
    tickets: Option<Tickets>,
    /// `tune.ssl.ticket-rotate`, seconds.
    rotate_s: u32,
}

/// Stretches of shared memory that TLS needs, in words of 8 bytes.
pub fn extras(plan: &Plan) -> Extras {
    let mut extras = Extras::new();
    if plan.listeners.iter().any(|l| l.tls.is_some()) {
        let blocks = plan.global.tune.ssl_cachesize;
        if blocks > 0 {
            extras.insert(SESSIONS, SslCache::bytes_needed(blocks).div_ceil(8));
        }
        extras.insert(TICKETS, Tickets::bytes_needed().div_ceil(8));
    }
    extras
}

/// The cache of sessions in shared memory, if there is one.
fn cache(plan: &Plan, shm: &Shared) -> Option<SslCache> {
    SslCache::attach(shm.extra(SESSIONS)?, plan.global.tune.ssl_cachesize)
}

/// What the cache of sessions has seen, over all processes.
pub fn cache_stats(plan: &Plan, shm: &Shared) -> SslCacheStats {
    cache(plan, shm).map_or(SslCacheStats::default(), |cache| cache.stats())
}

impl Contexts {
    /// Loads certificates and builds all contexts. The first error is what the operator must mend; files
    /// of directories that were left out are given to `notice`.
    pub fn build(plan: &Plan, shm: &Shared, mut notice: impl FnMut(String)) -> Result<Contexts, String> {
        let shared = TlsShared {
            cache: cache(plan, shm),
            tickets: shm.extra(TICKETS).and_then(Tickets::attach),
            lifetime: plan.global.tune.ssl_lifetime,
        };
        let mut contexts = Contexts {
            tickets: shared.tickets.clone(),
            rotate_s: plan.global.tune.ssl_ticket_rotate,
            ..Contexts::default()
        };
        for listener in &plan.listeners {
            let Some(line) = listener.tls.as_deref() else {
                contexts.binds.push(None);
                continue;
            };
            let (context, left_out) =
                BindContext::build(line, &shared).map_err(|error| format!("{}: {error}", listener.at))?;
            left_out.iter().for_each(|error| notice(format!("{}: {error}", listener.at)));
            contexts.binds.push(Some(Arc::new(context)));
        }
        for server in &plan.servers {
            let context = match server.tls.as_deref() {
                Some(line) => {
                    let context = ServerContext::build(line, &shared);
                    Some(Arc::new(context.map_err(|error| format!("{}: {error}", server.at))?))
                }
                None => None,
            };
            contexts.servers.push(context);
        }
        Ok(contexts)
    }

    /// Renews the keys of tickets when it is time.
    pub fn refresh_tickets(&self, wall_us: u64) {
        if let Some(tickets) = &self.tickets {
            tickets.refresh(wall_us / 1_000_000, self.rotate_s);
        }
    }

    /// TLS of a `bind` line.
    pub fn bind(&self, id: ListenerId) -> Option<&Arc<BindContext>> {
        self.binds.get(id.index())?.as_ref()
    }

    /// TLS towards a server.
    pub fn server(&self, id: ServerId) -> Option<&Arc<ServerContext>> {
        self.servers.get(id.index())?.as_ref()
    }
}
