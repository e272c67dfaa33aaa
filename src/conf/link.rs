//! Names to ids: the drafts become the plan. Called by `load` once all lines were read.
//!
//! What a line says wrong about another section is found here; the plan that is returned is only used when
//! nothing was.

use std::collections::{HashMap, HashSet};

use super::addr::Resolve;
use super::draft::{GlobalDraft, LineCx, ProxyDraft, ServerDraft};
use super::driver::{Places, Prefix};
use super::env::Env;
use super::kw;
use super::rules::{self, Linked};
use crate::balance::RoundRobin;
use crate::base::ids::{ListenerId, ProxyId, ServerId};
use crate::expr::acl::Acls;
use crate::expr::compile::{expr_word, ParseCx};
use crate::expr::fetch::Point;
use crate::expr::map::Maps;
use crate::expr::vars::VarNames;
use crate::lang::diag::{Diag, Diags};
use crate::lang::span::{SourceMap, Span};
use crate::lang::suggest;
use crate::lang::word::Word;
use crate::plan::cookie::Cookie;
use crate::plan::scheme::Scheme;
use crate::plan::{Mode, Plan, Server, ServerAddr};

/// Everything the lines have said.
pub struct Whole<'a> {
    /// `global`.
    pub global: GlobalDraft,
    /// Proxies in the order of the files.
    pub proxies: Vec<ProxyDraft>,
    /// The files.
    pub sources: &'a SourceMap,
    /// Variables.
    pub env: &'a Env,
    /// Finds host names.
    pub resolve: Resolve,
}

/// The algorithm of a backend that names none.
pub fn default_scheme() -> Box<dyn Scheme> {
    Box::new(RoundRobin)
}

/// Ids by name.
#[derive(Default)]
pub struct NameTable {
    frontends: HashMap<String, ProxyId>,
    backends: HashMap<String, ProxyId>,
    servers: HashMap<(ProxyId, String), ServerId>,
}

impl NameTable {
    fn new(proxies: &[ProxyDraft]) -> Self {
        let mut names = NameTable::default();
        for (at, draft) in proxies.iter().enumerate() {
            let id = ProxyId(at as u32);
            if draft.proxy.is_frontend {
                names.frontends.entry(draft.proxy.name.clone()).or_insert(id);
            }
            if draft.proxy.is_backend {
                names.backends.entry(draft.proxy.name.clone()).or_insert(id);
            }
        }
        names
    }

    /// The frontend of this name.
    pub fn frontend(&self, name: &str) -> Option<ProxyId> {
        self.frontends.get(name).copied()
    }

    /// The backend of this name.
    pub fn backend(&self, name: &str) -> Option<ProxyId> {
        self.backends.get(name).copied()
    }

    /// Whether a section is a frontend, and whether it is a backend.
    pub fn capable(&self, section: ProxyId) -> (bool, bool) {
        let is = |names: &HashMap<String, ProxyId>| names.values().any(|id| *id == section);
        (is(&self.frontends), is(&self.backends))
    }

    /// A server of a backend.
    pub fn server(&self, backend: ProxyId, name: &str) -> Option<ServerId> {
        self.servers.get(&(backend, name.to_string())).copied()
    }

    /// The backend a word names, or an error with the nearest one.
    pub fn need_backend(&self, word: &Word) -> Result<ProxyId, Diag> {
        if let Some(id) = self.backend(&word.text) {
            return Ok(id);
        }
        let diag = word.err(format!("there is no backend \"{}\"", word.text));
        if self.frontends.contains_key(&word.text) {
            return Err(diag.help("a frontend has this name, but it has no servers"));
        }
        Err(match suggest::did_you_mean(&word.text, self.backends.keys().map(String::as_str)) {
            Some(help) => diag.help(help),
            None => diag,
        })
    }

    /// All backends.
    pub fn backends(&self) -> Vec<String> {
        self.backends.keys().cloned().collect()
    }
}

/// Makes the plan. What is wrong goes to `diags`.
pub fn plan(whole: &mut Whole<'_>, diags: &mut Diags) -> Plan {
    let mut plan = Plan { global: std::mem::take(&mut whole.global.global), ..Plan::default() };
    let users = std::mem::take(&mut whole.global.users);
    if let (0, Some(limit)) = (plan.global.ulimit_n, whole.global.fd_hard_limit) {
        if plan.global.maxconn == 0 {
            plan.global.ulimit_n = limit;
        }
    }
    let mut names = NameTable::new(&whole.proxies);
    let mut servers = Vec::new();
    for at in 0..whole.proxies.len() {
        listeners(whole, at, &mut plan);
        servers.push(self::servers(whole, at, &mut plan, &mut names, diags));
    }
    number_proxies(&mut whole.proxies, diags);
    for at in 0..whole.proxies.len() {
        let result = finish(whole, at, &plan, &names);
        for diag in result {
            diags.push(diag);
        }
    }
    let mut tables = super::sticks::tables(&mut whole.proxies, diags);
    let mut linked = Linked {
        sticks: &mut tables,
        table: &names,
        vars: VarNames::default(),
        maps: Maps::default(),
        env: whole.env,
        users: &users,
        pages: &whole.global.base.pages,
        slot: None,
        slots: None,
    };
    plan.start_vars = rules::start_vars(&whole.global.vars, &mut linked, diags);
    for draft in &mut whole.proxies {
        rules::compile(draft, &mut linked, diags);
        rules::logs(draft, &mut linked, diags);
        rules::forwarded(draft, &mut linked, diags);
        rules::balance(draft, &mut linked, diags);
        super::sticks::compile(draft, &mut linked, diags);
    }
    for (id, server) in servers.into_iter().flatten() {
        let http = whole.proxies[plan.server(id).proxy.index()].proxy.mode == Mode::Http;
        sni(&mut plan, id, (&server, http), &mut linked, diags);
    }
    (plan.vars, plan.maps) = (linked.vars, linked.maps);
    plan.maps.settle();
    plan.users = users;
    plan.tables = tables.specs;
    plan.proxies = std::mem::take(&mut whole.proxies).into_iter().map(|draft| draft.proxy).collect();
    plan
}

/// What a proxy needs of others: its default backend, its algorithm, its logs.
fn finish(whole: &mut Whole<'_>, at: usize, plan: &Plan, names: &NameTable) -> Vec<Diag> {
    let mut wrong = Vec::new();
    let draft = &mut whole.proxies[at];
    if let Some(word) = draft.default_backend.as_ref().filter(|_| draft.proxy.is_frontend) {
        match names.need_backend(word) {
            Ok(id) => draft.proxy.default_backend = Some(id),
            Err(diag) => wrong.push(diag.within("\"default_backend\"")),
        }
    }
    if draft.log_global {
        let own = std::mem::take(&mut draft.proxy.logs);
        draft.proxy.logs = plan.global.logs.iter().cloned().chain(own).collect();
    }
    wrong
}

/// `sni` of a server: an expression.
fn sni(
    plan: &mut Plan,
    id: ServerId,
    (server, http): (&ServerDraft, bool),
    linked: &mut Linked<'_>,
    diags: &mut Diags,
) {
    let automatic = Word::plain("req.hdr(host)");
    let word = match &server.sni {
        Some(word) => word,
        None if server.sni_auto && http => &automatic,
        None => return,
    };
    if !server.ssl {
        return;
    }
    let proxy = plan.server(id).proxy;
    let acls = Acls::default();
    let mut cx = ParseCx { names: linked, acls: &acls, point: Point::Server, proxy, warnings: Vec::new() };
    let made = expr_word(word, &mut cx);
    cx.warnings.into_iter().for_each(|warning| diags.push(warning));
    match made {
        Ok(expr) => plan.servers[id.index()].sni = Some(expr),
        Err(diag) => diags.push(diag.within("\"sni\"")),
    }
}

/// Numbers as HAProxy gives them: each object counts, numbers written by hand are passed over.
struct Numbers {
    next: u32,
    used: HashSet<u32>,
}

impl Numbers {
    fn new(written: impl Iterator<Item = u32>) -> Self {
        Numbers { next: 1, used: written.collect() }
    }

    fn take(&mut self, written: Option<u32>) -> u32 {
        let number = written.unwrap_or_else(|| {
            while self.used.contains(&self.next) {
                self.next += 1;
            }
            self.next
        });
        self.next += 1;
        number
    }
}

fn number_proxies(proxies: &mut [ProxyDraft], diags: &mut Diags) {
    let mut numbers =
        Numbers::new(proxies.iter().filter(|draft| draft.puid_at.is_some()).map(|draft| draft.proxy.puid));
    let mut written: HashMap<u32, Span> = HashMap::new();
    for draft in proxies {
        if let Some(at) = draft.puid_at {
            if let Some(first) = written.insert(draft.proxy.puid, at) {
                let diag = Diag::alert(at, format!("the id {} is taken", draft.proxy.puid));
                diags.push(diag.also(first, "it was given here"));
            }
        }
        draft.proxy.puid = numbers.take(draft.puid_at.map(|_| draft.proxy.puid));
    }
}

fn listeners(whole: &mut Whole<'_>, at: usize, plan: &mut Plan) {
    let draft = &mut whole.proxies[at];
    let written = draft.binds.iter().filter(|bind| bind.puid_at.is_some()).map(|bind| bind.listener.puid);
    let mut numbers = Numbers::new(written);
    for bind in &draft.binds {
        let tls = bind.ssl.then(|| Box::new(bind.tls.clone()));
        let mut own = bind.puid_at.map(|_| bind.listener.puid);
        for addr in &bind.addrs {
            let id = ListenerId(plan.listeners.len() as u32);
            let mut listener = bind.listener.clone();
            listener.id = id;
            listener.proxy = draft.proxy.id;
            listener.addr = addr.clone();
            listener.tls.clone_from(&tls);
            // Only the first address of a line can have the number that was written.
            listener.puid = numbers.take(own.take());
            draft.proxy.listeners.push(id);
            plan.listeners.push(listener);
        }
    }
}

/// `cookie ... dynamic`: a server without a value of its own gets one made from its address.
fn dynamic_cookie(server: &mut Server, cookie: Option<&Cookie>) {
    if let (Some(cookie), None, ServerAddr::Inet(addr)) = (cookie, &server.cookie, &server.addr) {
        if cookie.dynamic {
            server.cookie = Some(cookie.made_from(*addr));
            server.dynamic_cookie = true;
        }
    }
}

/// Makes the servers of a proxy; returns their drafts, for what only expressions can finish.
fn servers(
    whole: &mut Whole<'_>,
    at: usize,
    plan: &mut Plan,
    names: &mut NameTable,
    diags: &mut Diags,
) -> Vec<(ServerId, ServerDraft)> {
    let draft = &mut whole.proxies[at];
    if let Some(cookie) = draft.proxy.cookie.as_mut().filter(|cookie| cookie.dynamic) {
        cookie.key = draft.cookie_key.clone().unwrap_or_default();
        if cookie.key.is_empty() && !draft.servers.is_empty() {
            let diag = Diag::alert(draft.at, "\"cookie ... dynamic\" needs a secret");
            diags.push(diag.help("add \"dynamic-cookie-key <text>\""));
        }
    }
    let draft = &whole.proxies[at];
    let mut made = Vec::new();
    for nth in 0..draft.servers.len() {
        let line = draft.servers[nth].0.clone();
        let mut cx = LineCx {
            place: Places::SERVER,
            prefix: Prefix::None,
            line: line.clone(),
            section: draft.section,
            replayed: false,
            base: &whole.global.base,
            env: whole.env,
            sources: whole.sources,
            diags,
            resolve: whole.resolve,
        };
        match kw::server::make(draft, nth, &mut cx) {
            Ok(server) => made.push(server),
            Err(diag) => diags.push(diag.or_at(line.at()).within("\"server\"")),
        }
        if diags.is_full() {
            break;
        }
    }
    let mut numbers = Numbers::new(made.iter().filter(|s| s.puid_at.is_some()).map(|s| s.server.puid));
    let mut written: HashMap<u32, Span> = HashMap::new();
    let mut named: HashMap<String, Span> = HashMap::new();
    let proxy_id = draft.proxy.id;
    let source = draft.source;
    let cookie = draft.proxy.cookie.clone();
    let mut drafts = Vec::new();
    for mut server in made {
        if let Some(first) = named.insert(server.server.name.clone(), server.at) {
            let diag = Diag::alert(server.at, format!("a second server \"{}\"", server.server.name));
            diags.push(diag.also(first, "the first one is here"));
        }
        if let Some(at) = server.puid_at {
            if let Some(first) = written.insert(server.server.puid, at) {
                let diag = Diag::alert(at, format!("the id {} is taken", server.server.puid));
                diags.push(diag.also(first, "it was given here"));
            }
        }
        let id = ServerId(plan.servers.len() as u32);
        let plain = &mut server.server;
        plain.id = id;
        plain.proxy = proxy_id;
        plain.puid = numbers.take(server.puid_at.map(|_| plain.puid));
        plain.source = plain.source.or(source);
        dynamic_cookie(plain, cookie.as_deref());
        names.servers.insert((proxy_id, plain.name.clone()), id);
        let blank = Server::new(id, proxy_id, &plain.name, plain.addr.clone());
        plan.servers.push(std::mem::replace(plain, blank));
        whole.proxies[at].proxy.servers.push(id);
        drafts.push((id, server));
    }
    drafts
}
