//! Floor 4: the compiled configuration, read-only. Imports base, expr, shm.
//!
//! A [`Plan`] exists only when the whole configuration was found right: there is no half-valid one.
//! Everything is named by its index ([`ProxyId`], [`ServerId`], [`ListenerId`]); what changes at run
//! time lives elsewhere (worker state, shared memory) under the same index.

pub mod cookie;
pub mod crt;
pub mod global;
pub mod listener;
pub mod log;
pub mod proxy;
pub mod reply;
pub mod retry;
pub mod rule;
pub mod scheme;
pub mod server;
pub mod stick;
pub mod timeouts;
pub mod tls;
pub mod users;

pub use global::{CliSocket, Global, Tune};
pub use listener::{BindAddr, Listener};
pub use log::{Facility, LogFormat, LogLevel, LogTarget};
pub use proxy::{Mode, Proxy};
pub use reply::{ErrorPages, Reply};
pub use server::{Server, ServerAddr};
pub use timeouts::Timeouts;
pub use users::Users;

use crate::base::ids::{ListenerId, ProxyId, ServerId};
use crate::expr::compile::Expr;
use crate::expr::logfmt::LogFmt;
use crate::expr::map::Maps;
use crate::expr::vars::{Var, VarNames};
use crate::shm::stick::Spec;
use crate::shm::Names;

/// What a variable of the service begins with.
pub enum StartValue {
    /// `set-var`.
    Expr(Expr),
    /// `set-var-fmt`.
    Text(LogFmt),
}

/// The whole compiled configuration.
#[derive(Default)]
pub struct Plan {
    /// The `global` section.
    pub global: Global,
    /// Every frontend, backend and listen section, by [`ProxyId`], in the order of the files.
    pub proxies: Vec<Proxy>,
    /// Every bound address of every `bind` line, by [`ListenerId`].
    pub listeners: Vec<Listener>,
    /// Variables the rules name.
    pub vars: VarNames,
    /// `set-var` of the global section, in order.
    pub start_vars: Vec<(Var, StartValue)>,
    /// Maps and ACL files.
    pub maps: Maps,
    /// Every server of every backend, by [`ServerId`].
    pub servers: Vec<Server>,
    /// The stick tables.
    pub tables: Vec<Spec>,
    /// Every `userlist`.
    pub users: Users,
}

impl Plan {
    /// The proxy of this id. Ids are made together with the plan, so it always exists.
    pub fn proxy(&self, id: ProxyId) -> &Proxy {
        &self.proxies[id.index()]
    }

    /// Whether OCSP answers of any certificate are kept fresh.
    pub fn keeps_ocsp_fresh(&self) -> bool {
        let how = &self.global.ocsp;
        !how.disabled
            && self.listeners.iter().filter_map(|listener| listener.tls.as_deref()).any(|line| {
                line.ocsp_update.unwrap_or(how.update) || line.said_of_updates().values().any(|on| *on)
            })
    }

    /// The listener of this id.
    pub fn listener(&self, id: ListenerId) -> &Listener {
        &self.listeners[id.index()]
    }

    /// The server of this id.
    pub fn server(&self, id: ServerId) -> &Server {
        &self.servers[id.index()]
    }

    /// The names under which objects keep their statistics.
    pub fn names(&self) -> Names {
        let listener = |l: &Listener| match &l.name {
            Some(name) => name.clone(),
            None => format!("{:?}", l.addr),
        };
        Names {
            proxies: self.proxies.iter().map(|p| p.name.clone()).collect(),
            servers: self.servers.iter().map(|s| (s.proxy, s.name.clone())).collect(),
            listeners: self.listeners.iter().map(|l| (l.proxy, listener(l))).collect(),
        }
    }

    /// The backend called `name`, if there is one.
    pub fn backend(&self, name: &[u8]) -> Option<&Proxy> {
        self.proxies.iter().find(|p| p.is_backend && p.name.as_bytes() == name)
    }
}
