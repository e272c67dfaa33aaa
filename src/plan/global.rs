//! The `global` section: the process as a whole, its limits and tunables.

use std::path::PathBuf;

use super::crt::Extras;
use super::log::LogTarget;
use super::BindAddr;

/// What the `global` section and the command line say about the process as a whole.
pub struct Global {
    /// `http-err-codes` and `http-fail-codes`: statuses that count as errors of the client, or failures of the server.
    pub codes: [Codes; 2],
    /// Number of workers (`nbproc`, `nbthread`); `None`: one per core.
    pub nbproc: Option<u32>,
    /// `maxconn`: concurrent connections over all workers; 0: derived from the descriptor limit.
    pub maxconn: u32,
    /// `ulimit-n`: descriptor limit; 0: computed from `maxconn`.
    pub ulimit_n: u32,
    /// `maxconnrate`: new connections per second, 0: unlimited.
    pub maxconnrate: u32,
    /// `maxsessrate`: new sessions per second, 0: unlimited.
    pub maxsessrate: u32,
    /// `maxsslrate`: new TLS handshakes per second, 0: unlimited.
    pub maxsslrate: u32,
    /// `maxsslconn`: concurrent TLS connections, 0: unlimited.
    pub maxsslconn: u32,
    /// `daemon`.
    pub daemon: bool,
    /// `master-worker` / `-W`.
    pub master_worker: bool,
    /// `pidfile`.
    pub pidfile: Option<PathBuf>,
    /// `chroot`.
    pub chroot: Option<PathBuf>,
    /// `uid` or the id behind `user`.
    pub uid: Option<u32>,
    /// `gid` or the id behind `group`.
    pub gid: Option<u32>,
    /// `cpu-map`: cores a worker may run on, by worker number from 0; empty: no pinning.
    pub cpu_map: Vec<Vec<u32>>,
    /// `hard-stop-after`, in milliseconds: how long a stopping process may still serve.
    pub hard_stop_after: Option<u64>,
    /// `node`: the name of this box.
    pub node: Option<String>,
    /// `description`.
    pub description: Option<String>,
    /// `stats socket` lines.
    pub cli: Vec<CliSocket>,
    /// `-S`: command sockets of the master.
    pub master_cli: Vec<CliSocket>,
    /// `stats timeout`, milliseconds.
    pub cli_timeout: u32,
    /// `stats maxconn`.
    pub cli_maxconn: u32,
    /// `log` lines.
    pub logs: Vec<LogTarget>,
    /// `log-tag`; by default the name under which the program was started.
    pub log_tag: String,
    /// `log-send-hostname`: the host name to put in front of the tag.
    pub log_hostname: Option<String>,
    /// `quiet`, `-q`: no start-up messages.
    pub quiet: bool,
    /// `ssl-load-extra-files` and its kin.
    pub extras: Extras,
    /// `ssl-index-dir`.
    pub ssl_index_dir: Option<PathBuf>,
    /// `ocsp-update.*`.
    pub ocsp: OcspUpdate,
    /// The `tune.*` words.
    pub tune: Tune,
}

/// OCSP answers in the background: `ocsp-update.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OcspUpdate {
    /// `ocsp-update.mode`: what holds where nothing is said.
    pub update: bool,
    /// `ocsp-update.disable`.
    pub disabled: bool,
    /// `ocsp-update.mindelay`, seconds.
    pub min_delay: u32,
    /// `ocsp-update.maxdelay`, seconds.
    pub max_delay: u32,
    /// `ocsp-update.httpproxy`: `host:port`.
    pub proxy: Option<String>,
}

impl Default for OcspUpdate {
    fn default() -> Self {
        OcspUpdate { update: false, disabled: false, min_delay: 300, max_delay: 3600, proxy: None }
    }
}

impl Global {
    /// Descriptors a process needs: `ulimit-n`, or what `maxconn` asks for; `None` when neither is said.
    pub fn descriptors(&self) -> Option<u64> {
        /// Besides those of connections: sockets, logs, channels, poller.
        const SPARE: u64 = 100;
        match (self.ulimit_n, self.maxconn) {
            (0, 0) => None,
            (0, maxconn) => Some(u64::from(maxconn) * 2 + SPARE),
            (limit, _) => Some(limit.into()),
        }
    }
}

impl Default for Global {
    fn default() -> Self {
        Global {
            codes: [Codes::errors(), Codes::failures()],
            nbproc: None,
            maxconn: 0,
            ulimit_n: 0,
            maxconnrate: 0,
            maxsessrate: 0,
            maxsslrate: 0,
            maxsslconn: 0,
            daemon: false,
            master_worker: false,
            pidfile: None,
            chroot: None,
            uid: None,
            gid: None,
            cpu_map: Vec::new(),
            hard_stop_after: None,
            node: None,
            description: None,
            cli: Vec::new(),
            master_cli: Vec::new(),
            cli_timeout: 10_000,
            cli_maxconn: 10,
            logs: Vec::new(),
            log_tag: "lighterman".to_string(),
            log_hostname: None,
            quiet: false,
            extras: Extras::default(),
            ssl_index_dir: None,
            ocsp: OcspUpdate::default(),
            tune: Tune::default(),
        }
    }
}

/// A command socket (`stats socket`, `-S`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CliSocket {
    /// Where it listens.
    pub addr: BindAddr,
    /// What its clients may do: `user`, `operator` or `admin`.
    pub level: CliLevel,
    /// File mode of a UNIX socket.
    pub mode: Option<u32>,
    /// Owner of a UNIX socket.
    pub uid: Option<u32>,
    /// Group of a UNIX socket.
    pub gid: Option<u32>,
}

/// What a client of the command socket may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CliLevel {
    /// Reads what is not sensitive.
    User,
    /// Reads everything, changes nothing of consequence. The default.
    Operator,
    /// Everything.
    Admin,
}

/// A set of statuses from 100 to 599.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Codes([u64; 8]);

impl Codes {
    /// These statuses, all from the first to the last.
    pub fn range(first: u16, last: u16) -> Codes {
        let mut codes = Codes::default();
        (first..=last).for_each(|status| codes.set(status, true));
        codes
    }

    /// Adds or removes one; others than 100 to 599 are in no set.
    pub fn set(&mut self, status: u16, on: bool) {
        let Some(at) = status.checked_sub(100).filter(|at| *at < 500) else { return };
        let bit = 1 << (at % 64);
        if let Some(word) = self.0.get_mut(usize::from(at / 64)) {
            *word = if on { *word | bit } else { *word & !bit };
        }
    }

    /// Whether a status is in it.
    pub fn has(&self, status: u16) -> bool {
        let at = status.wrapping_sub(100);
        at < 500 && self.0.get(usize::from(at / 64)).is_some_and(|word| word & 1 << (at % 64) != 0)
    }

    /// `http-err-codes` where nothing is said.
    pub fn errors() -> Codes {
        Codes::range(400, 499)
    }

    /// `http-fail-codes` where nothing is said: what the request asked for is not there (501, 505) is not the server's
    /// fault.
    pub fn failures() -> Codes {
        let mut codes = Codes::range(500, 599);
        codes.set(501, false);
        codes.set(505, false);
        codes
    }
}

/// `tune.vars.*-max-size`: bytes of variables, 0: the built-in bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VarLimits {
    /// `global`: of everything.
    pub global: usize,
    /// `proc`: of the service, what lies within included.
    pub process: usize,
    /// `sess`: of a session, its transaction included.
    pub sess: usize,
    /// `txn`: of a transaction, its request and answer included.
    pub txn: usize,
    /// `reqres`: of a request, or an answer.
    pub message: usize,
    /// `check`: of a health check.
    pub check: usize,
}

impl VarLimits {
    /// The limit of `proc.*`.
    pub fn shared(&self) -> usize {
        [self.global, self.process].into_iter().filter(|limit| *limit > 0).min().unwrap_or(0)
    }

    /// The limit of one session: none may have more than all together.
    pub fn session(&self) -> usize {
        [self.global, self.process, self.sess].into_iter().filter(|limit| *limit > 0).min().unwrap_or(0)
    }
}

/// The `tune.*` words, with their defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tune {
    /// `tune.vars.*-max-size`.
    pub vars: VarLimits,
    /// `tune.bufsize`: bytes of a buffer.
    pub bufsize: usize,
    /// `tune.cli.max-payload-size`: bytes of a payload on the command socket.
    pub cli_max_payload: usize,
    /// `tune.maxrewrite`: bytes of a buffer kept free for rewriting a head.
    pub maxrewrite: usize,
    /// `tune.http.logurilen`: bytes of a request line that are logged, and one more.
    pub log_uri_len: usize,
    /// `tune.http.maxhdr`: header fields of one head.
    pub maxhdr: usize,
    /// `tune.maxpollevents`: events taken from the kernel at once.
    pub maxpollevents: usize,
    /// `tune.maxaccept`: connections accepted in a row from one socket.
    pub maxaccept: usize,
    /// `tune.runqueue-depth`: tasks run per turn.
    pub runqueue_depth: usize,
    /// `tune.buffers.limit`: buffers a process may hold, 0: bounded by `maxconn` only.
    pub buffers_limit: usize,
    /// `tune.rcvbuf.client`, bytes; 0: the system's choice.
    pub rcvbuf_client: usize,
    /// `tune.rcvbuf.server`, bytes.
    pub rcvbuf_server: usize,
    /// `tune.sndbuf.client`, bytes.
    pub sndbuf_client: usize,
    /// `tune.sndbuf.server`, bytes.
    pub sndbuf_server: usize,
    /// `tune.ssl.cachesize`: entries (blocks) of the shared session cache; 0: no cache.
    pub ssl_cachesize: usize,
    /// `tune.ssl.cert-cache`: bytes of parsed certificates that each process keeps.
    pub ssl_cert_cache: usize,
    /// `tune.ssl.lifetime`: seconds a session may be resumed.
    pub ssl_lifetime: u32,
    /// `tune.ssl.ticket-rotate`: seconds after which a new key seals tickets; 0: never.
    pub ssl_ticket_rotate: u32,
    /// `tune.ssl.maxrecord`: bytes of the first TLS records, 0: 16 KB like all others.
    pub ssl_maxrecord: usize,
    /// `tune.ssl.tickets`: TLS 1.3 tickets a client is given after a full handshake.
    pub ssl_tickets: usize,
    /// `tune.ssl.keylog`: secrets are kept for the fetches that log them.
    pub ssl_keylog: bool,
    /// `tune.ssl.capture-buffer-size`: bytes of each list of a ClientHello that are kept for fetches.
    pub ssl_capture: usize,
}

impl Default for Tune {
    fn default() -> Self {
        Tune {
            vars: VarLimits::default(),
            bufsize: 16384,
            cli_max_payload: 1 << 20,
            maxrewrite: 1024,
            log_uri_len: 1024,
            maxhdr: 101,
            maxpollevents: 200,
            maxaccept: 64,
            runqueue_depth: 200,
            buffers_limit: 0,
            rcvbuf_client: 0,
            rcvbuf_server: 0,
            sndbuf_client: 0,
            sndbuf_server: 0,
            ssl_cachesize: 20_000,
            ssl_cert_cache: 8 << 20,
            ssl_lifetime: 300,
            ssl_ticket_rotate: 12 * 3600,
            ssl_maxrecord: 4096,
            ssl_tickets: 1,
            ssl_keylog: false,
            ssl_capture: 0,
        }
    }
}
