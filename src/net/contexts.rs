//! The TLS contexts of a plan: made once, before the fork and before rights are dropped, and shared by
//! every process that comes from it.

use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;

use crate::base::ids::{ListenerId, ServerId};
use crate::base::tick::Clock;
use crate::expr::live;
use crate::net::tls::change::{Change, What};
use crate::net::tls::files::Files;
use crate::net::tls::ocsp::{Given, Responses};
use crate::net::tls::sources::Pulse;
use crate::net::tls::store::build::Builder;
use crate::net::tls::store::draft;
use crate::net::tls::store::scan::{Item, Named};
use crate::net::tls::store::spool::Record;
use crate::net::tls::store::{Index, Settings, Store};
use crate::net::tls::ticket_file::{self, KeyFile};
use crate::net::tls::trust::{Trust, TrustKind};
use crate::net::tls::why::Why;
use crate::net::tls::{BindContext, ServerContext, TlsShared};
use crate::plan::{Listener, Mode, Plan};
use crate::shm::changelog::MAPS;
use crate::shm::early::EarlyWindow;
use crate::shm::failures::Failures;
use crate::shm::sslcache::{SslCache, SslCacheStats};
use crate::shm::tickets::Tickets;
use crate::shm::vars::{SharedVars, VARS};
use crate::shm::{Extras, Shared};

/// Name of the session cache in shared memory.
const SESSIONS: &str = "tls sessions";
/// Name of the ticket keys in shared memory.
const TICKETS: &str = "tls tickets";
/// Name of the ticket keys that come from files.
const TICKET_FILES: &str = "tls ticket files";
/// Name of the window of tickets whose early data was taken.
const EARLY: &str = "tls early data";

/// Name of the counts of failed handshakes.
const FAILURES: &str = "tls failures";

/// TLS of all `bind` and `server` lines.
#[derive(Default)]
pub struct Contexts {
    binds: Vec<Option<Arc<BindContext>>>,
    servers: Vec<Option<Arc<ServerContext>>>,
    tickets: Option<Tickets>,
    failures: Option<Failures>,
    clock: Arc<AtomicU64>,
    store: Arc<Store>,
    trust: Arc<Trust>,
    responses: Arc<Responses>,
    /// `tune.ssl.ticket-rotate`, seconds.
    rotate_s: u32,
    /// When the operator was last told that there are too many handshakes, milliseconds; of this process.
    busy_told: AtomicU64,
}

/// That is not told again sooner, milliseconds.
const BUSY_EVERY_MS: u64 = 10_000;

/// Stretches of shared memory that TLS, changes of maps and variables need, in words of 8 bytes.
pub fn extras(plan: &Plan) -> Extras {
    let mut extras = Extras::new();
    let log = live::log_words(&plan.maps);
    if log > 0 {
        extras.insert(MAPS, log);
    }
    if plan.vars.has_shared() {
        extras.insert(VARS, SharedVars::words_needed(plan.vars.len()));
    }
    if plan.listeners.iter().any(|l| l.tls.is_some()) {
        let blocks = plan.global.tune.ssl_cachesize;
        if blocks > 0 {
            extras.insert(SESSIONS, SslCache::bytes_needed(blocks).div_ceil(8));
        }
        extras.insert(FAILURES, Failures::words_needed(Why::ALL.len()));
        extras.insert(TICKETS, Tickets::bytes_needed().div_ceil(8));
        if plan.listeners.iter().any(|line| takes_early(plan, line)) {
            extras.insert(EARLY, EarlyWindow::WORDS);
        }
        let files = ticket_files(plan).len();
        if files > 0 {
            extras.insert(TICKET_FILES, Tickets::bytes_for_files(files).div_ceil(8));
        }
    }
    extras
}

/// Files named by `tls-ticket-keys`, each once, in order.
pub fn ticket_files(plan: &Plan) -> Vec<&Path> {
    let mut files: Vec<&Path> = Vec::new();
    for file in plan.listeners.iter().filter_map(|line| line.tls.as_ref()?.ticket_keys.as_deref()) {
        if !files.contains(&file) {
            files.push(file);
        }
    }
    files
}

/// The keys of each of these files as they are in force now; empty when there is no memory for them.
pub fn ticket_rings(plan: &Plan, shm: &Shared) -> Vec<Tickets> {
    let places: Vec<u64> = ticket_files(plan).into_iter().map(ticket_file::place).collect();
    let rings = shm.extra(TICKET_FILES).and_then(|region| Tickets::attach_files(region, &places));
    rings.unwrap_or_default()
}

/// Early data is taken only where a replay is noticed: keys that other boxes know open tickets there too. And only by
/// what can tell a server of it: HTTP.
fn takes_early(plan: &Plan, listener: &Listener) -> bool {
    let http = plan.proxy(listener.proxy).mode == Mode::Http;
    http && listener.tls.as_ref().is_some_and(|tls| {
        let asked = tls.early_data || tls.variants.iter().any(|line| line.early_data);
        asked && tls.ticket_keys.is_none()
    })
}

/// Reads all files of keys, before any of them is put in force.
fn read_keys(plan: &Plan) -> Result<Vec<KeyFile>, String> {
    let mut read = Vec::new();
    for path in ticket_files(plan) {
        let line = plan
            .listeners
            .iter()
            .find(|line| line.tls.as_ref().is_some_and(|tls| tls.ticket_keys.as_deref() == Some(path)));
        let file = ticket_file::load(path);
        read.push(file.map_err(|error| format!("{}: {error}", line.map_or("", |line| &line.at)))?);
    }
    Ok(read)
}

/// The cache of sessions in shared memory, if there is one.
fn cache(plan: &Plan, shm: &Shared) -> Option<SslCache> {
    SslCache::attach(shm.extra(SESSIONS)?, plan.global.tune.ssl_cachesize)
}

/// What the cache of sessions has seen, over all processes.
pub fn cache_stats(plan: &Plan, shm: &Shared) -> SslCacheStats {
    cache(plan, shm).map_or(SslCacheStats::default(), |cache| cache.stats())
}

/// Failed handshakes of clients, by reason ([`Why`]), over all processes.
pub fn failures(shm: &Shared) -> Option<Failures> {
    shm.extra(FAILURES).map(Failures::attach)
}

/// For each `bind` line with certificates the places of its indexes in the store, each combination once.
pub fn certificate_lines(plan: &Plan, tls: &Contexts) -> Vec<Vec<u32>> {
    let lines = plan.listeners.iter().filter_map(|line| tls.bind(line.id));
    let mut lines: Vec<Vec<u32>> = lines.map(|bind| bind.places().to_vec()).collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

/// Certificates no `bind` line uses: those of servers, and later those that commands make.
fn loose(plan: &Plan, shared: &TlsShared) -> Result<Index, Box<dyn std::error::Error>> {
    let how = &shared.store.settings.how;
    let (mut named, mut builder) = (Named::new(how, shared.clock.load(Relaxed)), Builder::new(None, 0));
    let mut known: Vec<&Path> = Vec::new();
    for files in plan.servers.iter().filter_map(|server| server.tls.as_ref()?.crt.as_ref()) {
        if !known.contains(&files.crt.as_path()) {
            known.push(&files.crt);
            let item = Item { files: files.clone(), line: None, default: false, source: 0 };
            named.add(&item, &mut builder, &mut |_, _| Ok(()))?;
        }
    }
    Ok(builder.finish()?)
}

impl Contexts {
    /// Indexes certificates and builds all contexts. The first error is what the operator must mend; files
    /// of directories that were left out are given to `notice`.
    pub fn build(plan: &Plan, shm: &Shared, notice: impl FnMut(String)) -> Result<Contexts, String> {
        Self::renew(plan, shm, None, (notice, &mut || {}))
    }

    /// As [`Contexts::build`], for a configuration that follows another one: what is known of certificate directories is
    /// used again. `pulse` is called now and then, so that whoever must do other things meanwhile can.
    pub fn renew(
        plan: &Plan,
        shm: &Shared,
        old: Option<&Contexts>,
        (mut notice, pulse): (impl FnMut(String), Pulse<'_>),
    ) -> Result<Contexts, String> {
        let (how, bad_chains) = Files::new(&plan.global.extras).map_err(|error| error.to_string())?;
        bad_chains.iter().for_each(|error| notice(error.to_string()));
        let settings = Settings {
            cache: plan.global.tune.ssl_cert_cache,
            how: Arc::new(how),
            index_dir: plan.global.ssl_index_dir.clone(),
        };
        let store = match old {
            Some(old) => Store::succeeding(settings, &old.store),
            None => Store::new(settings),
        };
        let now = Clock::real().read();
        store.set_clock(now);
        let shared = TlsShared {
            cache: cache(plan, shm),
            tickets: shm.extra(TICKETS).and_then(Tickets::attach),
            lifetime: plan.global.tune.ssl_lifetime,
            ticket_count: plan.global.tune.ssl_tickets,
            early: None,
            key_log: plan.global.tune.ssl_keylog,
            capture: plan.global.tune.ssl_capture,
            clock: Arc::new(AtomicU64::new(now.wall_us / 1_000_000)),
            large: Arc::default(),
            store: Arc::new(store),
            trust: Arc::default(),
            responses: Arc::default(),
        };
        let mut contexts = Contexts {
            failures: failures(shm),
            tickets: shared.tickets.clone(),
            clock: shared.clock.clone(),
            store: Arc::clone(&shared.store),
            trust: Arc::clone(&shared.trust),
            responses: Arc::clone(&shared.responses),
            rotate_s: plan.global.tune.ssl_ticket_rotate,
            ..Contexts::default()
        };
        let (files, rings, keys) = (ticket_files(plan), ticket_rings(plan, shm), read_keys(plan)?);
        for listener in &plan.listeners {
            let Some(line) = listener.tls.as_deref() else {
                contexts.binds.push(None);
                continue;
            };
            let given = line.ticket_keys.as_deref().and_then(|file| files.iter().position(|f| *f == file));
            let shared = TlsShared {
                tickets: given.map_or(shared.tickets.clone(), |place| rings.get(place).cloned()),
                early: takes_early(plan, listener)
                    .then(|| shm.extra(EARLY).and_then(EarlyWindow::attach))
                    .flatten(),
                ..shared.clone()
            };
            let (context, left_out) = BindContext::build(line, &shared, pulse)
                .map_err(|error| format!("{}: {error}", listener.at))?;
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
        let loose = loose(plan, &shared).map_err(|error| error.to_string())?;
        shared.store.set_loose(shared.store.add(Arc::new(loose)));
        for (ring, file) in rings.iter().zip(keys) {
            if !ring.fill(&file.keys, file.content) {
                return Err("no room for the keys of \"tls-ticket-keys\" in shared memory".to_owned());
            }
        }
        // what indexing left behind would be copied into every process that is forked
        lighterman_sys::cred::trim_heap();
        Ok(contexts)
    }

    /// Time goes on: renews the keys of tickets when they are due.
    pub fn tick(&self, wall_us: u64) {
        self.clock.store(wall_us / 1_000_000, Relaxed);
        if let Some(tickets) = &self.tickets {
            tickets.refresh(wall_us / 1_000_000, self.rotate_s);
        }
    }

    /// A client's handshake failed: counted by reason.
    pub fn note_failure(&self, why: Why, now_us: u64, peer: Option<IpAddr>) {
        if let Some(failures) = &self.failures {
            failures.note(why as usize, now_us, peer);
        }
    }

    /// The certificates.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Whom all lines believe.
    pub fn trust(&self) -> &Arc<Trust> {
        &self.trust
    }

    /// OCSP answers that came at run time.
    pub fn responses(&self) -> &Arc<Responses> {
        &self.responses
    }

    /// Whether any line asks the file of this name.
    pub fn believes(&self, kind: TrustKind, name: &str) -> bool {
        self.binds.iter().flatten().any(|bind| bind.believes(kind, name))
            || self.servers.iter().flatten().any(|server| server.believes(kind, name))
    }

    /// Puts a change in force, in this process; the servers whose connections were made under what was there.
    pub fn obey(&self, change: &Change) -> Result<Vec<ServerId>, String> {
        let (name, content) = (&*change.name, &*change.content);
        match change.what {
            What::Ca => self.set_trust(TrustKind::Ca, name, Some(content)),
            What::DropCa => self.set_trust(TrustKind::Ca, name, None),
            What::Crl => self.set_trust(TrustKind::Crl, name, Some(content)),
            What::DropCrl => self.set_trust(TrustKind::Crl, name, None),
            What::Options => {
                let text = String::from_utf8_lossy(content);
                let binds = self.binds.iter().flatten();
                let mut binds =
                    binds.filter(|bind| bind.sources().iter().any(|(path, _)| path == Path::new(name)));
                binds.try_for_each(|bind| bind.add_options(&text)).map(|()| Vec::new())
            }
            What::ServerCrt => self.set_server_crt(Path::new(name), content),
            What::Certs if content.is_empty() => Ok(Vec::new()),
            What::Certs => self.store.edit(content).map(|()| Vec::new()),
            What::Ocsp => {
                let given = Given::unpack(content).ok_or("this is no OCSP answer")?;
                self.responses.put(given).map(|()| Vec::new())
            }
        }
    }

    /// Whether a `server` line shows the certificate of this file.
    pub fn servers_show(&self, file: &Path) -> usize {
        self.servers.iter().flatten().filter(|server| server.shows(file)).count()
    }

    /// Servers are shown another certificate in place of that of a file, on all lines or none; the servers to which there are
    /// connections with the one before.
    fn set_server_crt(&self, file: &Path, content: &[u8]) -> Result<Vec<ServerId>, String> {
        let parts = Record::parts(content).ok_or("the certificate cannot be read\n")?;
        let cert = draft::build(&file.to_string_lossy(), &parts, &self.store.settings.how);
        let own = Arc::new(cert.map_err(|error| error.to_string())?.credentials);
        let mut made = Vec::new();
        for (place, server) in self.servers.iter().enumerate() {
            let Some(server) = server.as_ref().filter(|server| server.shows(file)) else { continue };
            made.push((place, server, server.showing(&own).map_err(|error| error.to_string())?));
        }
        let adopt = |(place, server, ways): (usize, &Arc<ServerContext>, _)| {
            server.adopt(ways);
            ServerId(place as u32)
        };
        Ok(made.into_iter().map(adopt).collect())
    }

    /// Puts other authorities or revocations in force under the name of a file, for all handshakes to come: PEM text, nothing
    /// for an empty file, `None` for none. All or nothing; the servers whose connections were verified with what was there.
    pub fn set_trust(
        &self,
        kind: TrustKind,
        name: &str,
        content: Option<&[u8]>,
    ) -> Result<Vec<ServerId>, String> {
        let next = Arc::new(self.trust.with(kind, name, content).map_err(|error| error.to_string())?);
        let mut binds = Vec::new();
        for bind in self.binds.iter().flatten().filter(|bind| bind.believes(kind, name)) {
            binds.push((bind, bind.rebuilt(&next, kind, name).map_err(|error| error.to_string())?));
        }
        let mut servers = Vec::new();
        let mut left = Vec::new();
        for (place, server) in self.servers.iter().enumerate() {
            let Some(server) = server.as_ref().filter(|server| server.believes(kind, name)) else { continue };
            servers.push((server, server.rebuilt(&next).map_err(|error| error.to_string())?));
            left.push(ServerId(place as u32));
        }
        self.trust.adopt(&next);
        binds.into_iter().for_each(|(bind, new)| bind.adopt(new));
        servers.into_iter().for_each(|(server, new)| server.adopt(new));
        Ok(left)
    }

    /// Whether it is time to tell that there are too many handshakes.
    pub fn may_tell_busy(&self, now_ms: u64) -> bool {
        let last = self.busy_told.load(Relaxed);
        let due = last == 0 || now_ms.saturating_sub(last) >= BUSY_EVERY_MS;
        if due {
            self.busy_told.store(now_ms.max(1), Relaxed);
        }
        due
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
