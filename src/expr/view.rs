//! What a fetch may look at, as plain references: [`Facts`].
//!
//! The stream floor owns these structs and fills them; the world behind the stream (other proxies,
//! servers, rates, sockets) answers through [`World`]. This is what keeps expressions from importing
//! the floors above. Fields hold what is known so far; what is not known is `None`, zero or empty.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::net::{IpAddr, SocketAddr};

use openssl::x509::{X509Name, X509};

use super::args::Args;
use super::cast;
use super::logfmt::LogFmt;
use super::map::Maps;
use super::sample::{Sample, Ty, Value};
use super::stick::{Stick, Tracks};
use super::vars::{Effects, Var, Vars};
use crate::base::ids::{ListenerId, ProxyId, ServerId};
use crate::msg::Head;

/// Everything an expression may look at. Built anew for each evaluation: it is a handful of references.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// Wall clock of this turn: microseconds since 1970.
    pub date_us: u64,
    /// Nothing more will come for this rule set (time is up, or the peer has closed): what is not there
    /// now will never be.
    pub last: bool,
    /// The client's connection.
    pub conn: &'a ConnFacts,
    /// TLS of the client's connection.
    pub tls: Option<&'a dyn TlsView>,
    /// The connection to the server.
    pub back: Option<&'a BackFacts>,
    /// TLS of the connection to the server.
    pub back_tls: Option<&'a dyn TlsView>,
    /// The request head.
    pub req: Option<&'a Head>,
    /// The response head.
    pub res: Option<&'a Head>,
    /// What is there of the request body (HTTP).
    pub req_body: Bytes<'a>,
    /// What is there of the response body (HTTP).
    pub res_body: Bytes<'a>,
    /// What is there of the client's bytes (TCP).
    pub req_bytes: Bytes<'a>,
    /// What is there of the server's bytes (TCP).
    pub res_bytes: Bytes<'a>,
    /// The transaction: names, timers, counts, captures.
    pub txn: &'a Txn,
    /// The variables of every scope.
    pub vars: Vars<'a>,
    /// Changes that evaluation itself asks for (`set-var` as a converter).
    pub effects: &'a Effects,
    /// Maps and ACL files.
    pub maps: &'a Maps,
    /// All that lies beyond this stream.
    pub world: &'a dyn World,
}

impl<'a> Facts<'a> {
    /// Those of no message and no server, at no time: what evaluation outside of a stream begins with.
    pub fn bare(
        conn: &'a ConnFacts,
        txn: &'a Txn,
        vars: Vars<'a>,
        effects: &'a Effects,
        maps: &'a Maps,
        world: &'a dyn World,
    ) -> Self {
        Facts {
            date_us: 0,
            last: true,
            conn,
            tls: None,
            back: None,
            back_tls: None,
            req: None,
            res: None,
            req_body: Bytes::NONE,
            res_body: Bytes::NONE,
            req_bytes: Bytes::NONE,
            res_bytes: Bytes::NONE,
            txn,
            vars,
            effects,
            maps,
            world,
        }
    }

    /// The client's address as rules see it: `set-src`, else the PROXY header's, else the wire's.
    pub fn src(&self) -> Addr {
        self.txn.settings.src.map_or(self.conn.src, Addr::Inet)
    }

    /// The address the client asked for: `set-dst`, else the PROXY header's, else the wire's.
    pub fn dst(&self) -> Addr {
        self.txn.settings.dst.map_or(self.conn.dst, Addr::Inet)
    }

    /// Our address on the connection to the server.
    pub fn back_src(&self) -> Addr {
        self.back.map_or(Addr::None, |_| self.world.back_addr())
    }

    /// The unique id of the request, made when it is first asked for.
    pub fn unique_id(&self) -> Option<&'a [u8]> {
        let txn = self.txn;
        if let (None, Some(format)) = (txn.unique_id.get(), self.world.unique_id_format(txn.frontend)) {
            if !txn.in_unique_id.replace(true) {
                let mut id = Vec::new();
                format.write(self, &mut id);
                txn.in_unique_id.set(false);
                // it was empty a moment ago
                let _ = txn.unique_id.set(id.into());
            }
        }
        txn.unique_id.get().map(|id| &**id)
    }

    /// The value of a variable, changes asked for earlier in the same evaluation included.
    pub fn var(&self, var: Var) -> Option<Sample<'a>> {
        match self.effects.pending(var) {
            Some(changed) => changed.map(Value::into_sample),
            None => self.vars.get(var).map(|value| match value {
                Cow::Borrowed(value) => value.sample(),
                Cow::Owned(value) => value.into_sample(),
            }),
        }
    }

    /// An argument that is a number or a variable that holds one.
    pub fn int_arg(&self, args: &'a Args, at: usize) -> Option<i64> {
        match args.var(at) {
            None => Some(args.int(at, 0)),
            Some(var) => match cast::cast(self.var(var)?, Ty::Int)? {
                Sample::Int(n) => Some(n),
                _ => None,
            },
        }
    }

    /// The backend once it is known, else the frontend: "the current proxy".
    pub fn proxy(&self) -> ProxyId {
        self.txn.backend.unwrap_or(self.txn.frontend)
    }
}

/// Bytes that have come so far.
#[derive(Clone, Copy, Default)]
pub struct Bytes<'a> {
    /// What is there.
    pub data: &'a [u8],
    /// No more will be added: the end was seen, or there is no room.
    pub whole: bool,
}

impl<'a> Bytes<'a> {
    /// Nothing, and nothing will come.
    pub const NONE: Bytes<'static> = Bytes { data: &[], whole: true };
}

/// One end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Addr {
    /// Not known (yet).
    #[default]
    None,
    /// A UNIX socket: it has no address worth naming.
    Unix,
    /// Address and port.
    Inet(SocketAddr),
}

impl Addr {
    /// The IP address.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Addr::Inet(addr) => Some(addr.ip()),
            _ => None,
        }
    }

    /// The port.
    pub fn port(&self) -> Option<u16> {
        match self {
            Addr::Inet(addr) => Some(addr.port()),
            _ => None,
        }
    }
}

/// The client's connection: made at accept, completed by the handshakes, kept for its life.
#[derive(Clone, Debug)]
pub struct ConnFacts {
    /// The frontend that took it.
    pub frontend: ProxyId,
    /// The address it was accepted on.
    pub listener: ListenerId,
    /// Client, after a PROXY header.
    pub src: Addr,
    /// Target, after a PROXY header.
    pub dst: Addr,
    /// Client as the kernel says.
    pub wire_src: Addr,
    /// Target as the kernel says.
    pub wire_dst: Addr,
    /// When it was accepted: microseconds since 1970.
    pub accepted_us: u64,
    /// A PROXY header was read.
    pub proxied: bool,
    /// The TLVs of a PROXY v2 header: type, length (2), value, one after the other.
    pub tlvs: Box<[u8]>,
    /// HTTP major version of the connection: 1, 2; 0 when it is not HTTP.
    pub http_major: u8,
    /// Why it failed: the number behind `fc_err`; 0: it did not.
    pub err: u16,
    /// The words behind `fc_err_str`.
    pub err_text: &'static str,
}

impl Default for ConnFacts {
    fn default() -> Self {
        ConnFacts {
            frontend: ProxyId(0),
            listener: ListenerId(0),
            src: Addr::None,
            dst: Addr::None,
            wire_src: Addr::None,
            wire_dst: Addr::None,
            accepted_us: 0,
            proxied: false,
            tlvs: Box::default(),
            http_major: 0,
            err: 0,
            err_text: "Success",
        }
    }
}

/// The connection to the server.
#[derive(Clone, Debug, Default)]
pub struct BackFacts {
    /// The server's address.
    pub dst: Addr,
    /// HTTP major version, 0 when it is not HTTP.
    pub http_major: u8,
    /// It had served other requests before.
    pub reused: bool,
    /// Why it failed, 0: it did not.
    pub err: u16,
    /// The words for it.
    pub err_text: &'static str,
}

/// What TLS knows about a connection. Every answer is worked out when asked for, never before.
pub trait TlsView {
    /// Protocol version: `TLSv1.3`.
    fn version(&self) -> Option<&str>;
    /// Cipher suite, by the library's name.
    fn cipher(&self) -> Option<&str>;
    /// Key bits: (used, of the algorithm).
    fn cipher_bits(&self) -> Option<(i32, i32)>;
    /// Name asked for by SNI.
    fn sni(&self) -> Option<&[u8]>;
    /// Protocol agreed on by ALPN.
    fn alpn(&self) -> Option<&[u8]>;
    /// The session was resumed.
    fn resumed(&self) -> bool;
    /// Session id.
    fn session_id(&self) -> Option<Vec<u8>>;
    /// Named group of the key exchange.
    fn curve(&self) -> Option<&str> {
        None
    }
    /// The peer's certificate.
    fn peer_cert(&self) -> Option<X509>;
    /// The peer's chain, DER certificates one after the other.
    fn peer_chain(&self) -> Option<Vec<u8>> {
        None
    }
    /// Name of the authority at the root of the peer's chain.
    fn peer_root(&self) -> Option<X509Name> {
        None
    }
    /// Our own certificate.
    fn own_cert(&self) -> Option<X509>;
    /// Verification result of the peer's certificate: (error of the certificate, error of a CA, depth of the latter).
    fn verify(&self) -> (i64, i64, i64);
    /// What the check of the peer's certificate came to in the library's numbers; kept with the session.
    fn verify_result(&self) -> i64 {
        match self.verify() {
            (0, authority, _) => authority,
            (own, ..) => own,
        }
    }
    /// First error of the connection by the library's number.
    fn err(&self) -> i64 {
        0
    }
    /// The peer presented a certificate during this very handshake (not in the session's first one).
    fn cert_now(&self) -> bool {
        !self.resumed() && self.peer_cert().is_some()
    }
    /// The ClientHello as captured under `tune.ssl.capture-buffer-size`.
    fn hello(&self) -> Option<&HelloFacts> {
        None
    }
    /// Early data may be read, and the handshake is not over: whatever it says may be a recording.
    fn early(&self) -> bool {
        false
    }
    /// Early data was accepted on this connection.
    fn early_rcvd(&self) -> bool {
        false
    }
    /// Keying material by label, as in SSLKEYLOGFILE: `CLIENT_RANDOM`, ...
    fn secret(&self, _label: &str) -> Option<Vec<u8>> {
        None
    }
    /// The master secret of the session.
    fn session_key(&self) -> Option<Vec<u8>> {
        None
    }
    /// The first Finished message: what binds other protocols to this connection up to TLS 1.2 (RFC 5929 section 3).
    fn unique(&self) -> Option<Vec<u8>> {
        None
    }
    /// Client and server random.
    fn randoms(&self) -> Option<([u8; 32], [u8; 32])> {
        None
    }
}

/// What was kept of a ClientHello.
#[derive(Clone, Debug, Default)]
pub struct HelloFacts {
    /// `ProtocolVersion` of the hello.
    pub version: u16,
    /// Cipher suites, two bytes each.
    pub ciphers: Vec<u8>,
    /// Hash of all of them, also of those for which there was no room.
    pub ciphers_hash: u64,
    /// Extension numbers, two bytes each.
    pub extensions: Vec<u8>,
    /// `supported_groups`, two bytes each.
    pub groups: Vec<u8>,
    /// EC point formats, one byte each.
    pub formats: Vec<u8>,
    /// `supported_versions`, two bytes each.
    pub versions: Vec<u8>,
    /// Signature algorithms, two bytes each.
    pub sigalgs: Vec<u8>,
}

/// One exchange (HTTP) or one session (TCP): what logs and fetches want to know of it.
#[derive(Clone, Debug)]
pub struct Txn {
    /// The frontend.
    pub frontend: ProxyId,
    /// The backend, once chosen.
    pub backend: Option<ProxyId>,
    /// The server, once chosen.
    pub server: Option<ServerId>,
    /// Who answers when it is not a server: `<STATS>`, `<NOSRV>`...
    pub handler: &'static str,
    /// The client side is TLS (the `~` of logs).
    pub front_tls: bool,
    /// Dates and timers.
    pub times: Times,
    /// Bytes from the client.
    pub bytes_in: u64,
    /// Bytes to the client.
    pub bytes_out: u64,
    /// Status sent to the client, 0 when none was.
    pub status: u16,
    /// Status the server sent, 0 when none came.
    pub server_status: u16,
    /// Termination state: four characters.
    pub term: [u8; 4],
    /// Connection attempts after the first.
    pub retries: u32,
    /// It went to another server than first chosen.
    pub redispatched: bool,
    /// The log line is written before the end (`option logasap`): a `+` before growing numbers.
    pub early_log: bool,
    /// Requests before this one in the server's queue.
    pub server_queue: u32,
    /// Requests before this one in the backend's queue.
    pub backend_queue: u32,
    /// Connections at the end: process, frontend, backend, server.
    pub conns: [u32; 4],
    /// Requests seen before on the client's connection.
    pub request_index: u32,
    /// The request line as it came; empty: it could not be read.
    pub request_line: Vec<u8>,
    /// Slots of `capture request header` and `declare capture request`.
    pub req_caps: Vec<Option<Box<[u8]>>>,
    /// Slots of `capture response header` and `declare capture response`.
    pub res_caps: Vec<Option<Box<[u8]>>>,
    /// `capture cookie`, from the client: `name=value`.
    pub req_cookie: Option<Box<[u8]>>,
    /// `capture cookie`, from the server.
    pub res_cookie: Option<Box<[u8]>>,
    /// Edits of rules that were refused and not counted yet.
    pub failed_rewrites: u32,
    /// `unique-id-format`, worked out once; see [`Facts::unique_id`].
    pub unique_id: OnceCell<Box<[u8]>>,
    /// The unique id is being worked out: it is no part of itself.
    pub in_unique_id: Cell<bool>,
    /// The rule that ended a rule set: file and line.
    pub last_rule: Option<(u32, u32)>,
    /// Its number among all of the process, from 0.
    pub serial: u64,
    /// Number of its log line among those of the frontend in this process.
    pub log_serial: u64,
    /// Message of an error line (`error-log-format`).
    pub error: Option<Box<str>>,
    /// What rules asked for.
    pub settings: Settings,
    /// Stick table entries the stream tracks.
    pub tracks: Tracks,
    /// Those its client's connection tracks.
    pub sess_tracks: Tracks,
}

impl Txn {
    /// A transaction that has only just begun.
    pub fn new(frontend: ProxyId) -> Self {
        Txn {
            frontend,
            backend: None,
            server: None,
            handler: "<NOSRV>",
            front_tls: false,
            times: Times::default(),
            bytes_in: 0,
            bytes_out: 0,
            status: 0,
            server_status: 0,
            term: *b"----",
            retries: 0,
            redispatched: false,
            early_log: false,
            server_queue: 0,
            backend_queue: 0,
            conns: [0; 4],
            request_index: 0,
            request_line: Vec::new(),
            req_caps: Vec::new(),
            res_caps: Vec::new(),
            req_cookie: None,
            res_cookie: None,
            failed_rewrites: 0,
            unique_id: OnceCell::new(),
            in_unique_id: Cell::new(false),
            last_rule: None,
            serial: 0,
            log_serial: 0,
            error: None,
            settings: Settings::default(),
            tracks: Tracks::default(),
            sess_tracks: Tracks::default(),
        }
    }
}

/// Dates and timers of a transaction (manual: "Timing events"). Milliseconds; -1: never reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The connection was accepted: microseconds since 1970.
    pub accept_us: u64,
    /// The request's first byte: microseconds since 1970.
    pub request_us: u64,
    /// `%Th`: handshakes.
    pub handshake: i32,
    /// `%Ti`: idle before the request's first byte.
    pub idle: i32,
    /// `%TR`: from the first byte of the request head to its last.
    pub request: i32,
    /// `%Tw`: in queues.
    pub queue: i32,
    /// `%Tc`: connecting to the server.
    pub connect: i32,
    /// `%Tr`: from the request sent to the response head.
    pub response: i32,
    /// `%Td`: transfer of the response body.
    pub data: i32,
    /// `%Tt`: since the connection was accepted.
    pub total: i32,
}

impl Default for Times {
    fn default() -> Self {
        Times {
            accept_us: 0,
            request_us: 0,
            handshake: -1,
            idle: -1,
            request: -1,
            queue: -1,
            connect: -1,
            response: -1,
            data: -1,
            total: -1,
        }
    }
}

/// What rules ask of the stream: pending changes it applies when it gets there. `None`: not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `set-src`, `set-src-port`.
    pub src: Option<SocketAddr>,
    /// `set-dst`, `set-dst-port`.
    pub dst: Option<SocketAddr>,
    /// `set-timeout`, by [`Timeout`]; milliseconds, 0: never.
    pub timeouts: [Option<u32>; Timeout::COUNT],
    /// `set-retries`.
    pub retries: Option<u32>,
    /// `set-nice`.
    pub nice: Option<i16>,
    /// `set-log-level`.
    pub log_level: Option<LogLevelSetting>,
    /// `set-mark`, `set-fc-mark`: of packets to the client.
    pub mark: Option<u32>,
    /// `set-tos`, `set-fc-tos`: of packets to the client.
    pub tos: Option<u8>,
    /// `set-bc-mark`: of packets to the server.
    pub back_mark: Option<u32>,
    /// `set-bc-tos`: of packets to the server.
    pub back_tos: Option<u8>,
    /// `set-priority-class`.
    pub priority_class: Option<i16>,
    /// `set-priority-offset`, milliseconds.
    pub priority_offset: Option<i32>,
    /// `use_backend`, decided by a rule.
    pub backend: Option<ProxyId>,
    /// `strict-mode off`: rewrite errors are ignored.
    pub lenient: bool,
    /// `reqallow`: the words of its age that refuse are passed over.
    pub lines_allowed: bool,
    /// `expect-proxy layer4`: a PROXY header must come first.
    pub expect_proxy: bool,
    /// `disable-l7-retry`.
    pub no_l7_retry: bool,
    /// `cache-use`, `set-bandwidth-limit`... are not here: they belong to filters.
    pub close_client: bool,
}

/// `set-log-level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevelSetting {
    /// No line at all.
    Silent,
    /// At this syslog level.
    Level(u8),
}

/// The timeouts rules may set and expressions may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// `timeout client`.
    Client,
    /// `timeout server`.
    Server,
    /// `timeout tunnel`.
    Tunnel,
    /// `timeout connect`.
    Connect,
    /// `timeout queue`.
    Queue,
    /// `timeout tarpit`.
    Tarpit,
}

impl Timeout {
    /// How many there are.
    pub const COUNT: usize = 6;

    /// Every one with its word.
    pub const ALL: [(Timeout, &'static str); Self::COUNT] = [
        (Timeout::Client, "client"),
        (Timeout::Server, "server"),
        (Timeout::Tunnel, "tunnel"),
        (Timeout::Connect, "connect"),
        (Timeout::Queue, "queue"),
        (Timeout::Tarpit, "tarpit"),
    ];
}

/// What may be counted at a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyCount {
    /// Connections of the frontend.
    FrontConns,
    /// New connections per second.
    FrontConnRate,
    /// New sessions per second.
    FrontSessRate,
    /// HTTP requests per second.
    FrontReqRate,
    /// Connections of the backend.
    BackConns,
    /// Sessions of the backend per second.
    BackSessRate,
    /// Room left at the servers: connections, queued ones and slots; -1: unlimited.
    BackConnFree,
    /// Servers in service.
    ServersUp,
    /// Requests waiting, in the backend's queue and in its servers'.
    Queue,
    /// The same for each server in service, rounded up.
    QueuePerServer,
    /// Free connection and queue slots over all servers; -1: unlimited.
    ConnSlots,
    /// Total weight in service.
    Weight,
    /// `retries`.
    Retries,
}

/// What may be counted at a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerCount {
    /// Connections.
    Conns,
    /// Room left; -1: unlimited.
    ConnFree,
    /// Requests in its queue.
    Queue,
    /// Sessions per second.
    SessRate,
    /// It is in service: 0 or 1.
    Up,
    /// Effective weight.
    Weight,
    /// Weight in the configuration.
    InitialWeight,
    /// Weight set by the user.
    UserWeight,
}

/// What may be asked of a whole process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessCount {
    /// Process id.
    Pid,
    /// Number of this worker, from 1.
    Worker,
    /// Number of workers.
    Workers,
    /// Current connections.
    Conns,
    /// Seconds since start.
    Uptime,
    /// The process is leaving.
    Stopping,
    /// A fresh random number.
    Random,
    /// `tune.bufsize`.
    BufSize,
}

/// Kernel's view of a TCP connection (`TCP_INFO`), microseconds and packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// Round trip, microseconds.
    pub rtt_us: u32,
    /// Its variance, microseconds.
    pub rttvar_us: u32,
    /// Packets sent and not acknowledged.
    pub unacked: u32,
    /// Packets known as received out of order.
    pub sacked: u32,
    /// Packets lost.
    pub lost: u32,
    /// Packets retransmitted.
    pub retrans: u32,
    /// Forward acknowledgements.
    pub fackets: u32,
    /// Reordering metric.
    pub reordering: u32,
}

/// Which side of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client's.
    Front,
    /// The server's.
    Back,
}

/// All that lies beyond one stream. Implemented by the stream floor over plan, shared memory and
/// worker state; the defaults answer for a world where nothing exists.
pub trait World {
    /// `unique-id-format` of a frontend.
    fn unique_id_format(&self, _frontend: ProxyId) -> Option<&LogFmt> {
        None
    }
    /// The stick tables.
    fn stick(&self) -> Option<Stick<'_>> {
        None
    }
    /// The place of a proxy's table among them.
    fn table_of(&self, _id: ProxyId) -> Option<u16> {
        None
    }
    /// Name of a proxy.
    fn proxy_name(&self, _id: ProxyId) -> &str {
        ""
    }
    /// `id` of a proxy.
    fn proxy_puid(&self, _id: ProxyId) -> u32 {
        0
    }
    /// `default_backend` of a frontend.
    fn default_backend(&self, _id: ProxyId) -> Option<ProxyId> {
        None
    }
    /// A status counts as an error of the client, as a failure of the server.
    fn status_counts(&self, _status: u16) -> (bool, bool) {
        (false, false)
    }
    /// The mode is HTTP.
    fn proxy_is_http(&self, _id: ProxyId) -> bool {
        false
    }
    /// How much a capture slot of a frontend keeps; `None`: it has no such slot.
    fn capture_len(&self, _frontend: ProxyId, _response: bool, _slot: u32) -> Option<usize> {
        None
    }
    /// Name of a server.
    fn server_name(&self, _id: ServerId) -> &str {
        ""
    }
    /// `id` of a server within its backend.
    fn server_puid(&self, _id: ServerId) -> u32 {
        0
    }
    /// Address of a server as it is now.
    fn server_addr(&self, _id: ServerId) -> Addr {
        Addr::None
    }
    /// `name` of a bind line, else `None`.
    fn listener_name(&self, _id: ListenerId) -> Option<&str> {
        None
    }
    /// `id` of a bind line.
    fn listener_puid(&self, _id: ListenerId) -> u32 {
        0
    }
    /// Connections on a bound address, over all workers.
    fn listener_conns(&self, _id: ListenerId) -> i64 {
        0
    }
    /// The address belongs to this machine.
    fn is_local(&self, ip: IpAddr) -> bool {
        ip.is_loopback()
    }
    /// The backend of this name.
    fn find_backend(&self, _name: &[u8]) -> Option<ProxyId> {
        None
    }
    /// The server of this name within a backend.
    fn find_server(&self, _backend: ProxyId, _name: &[u8]) -> Option<ServerId> {
        None
    }
    /// A count of a proxy, over all workers.
    fn proxy_count(&self, _id: ProxyId, _what: ProxyCount) -> i64 {
        0
    }
    /// A count of a server, over all workers.
    fn server_count(&self, _id: ServerId, _what: ServerCount) -> i64 {
        0
    }
    /// A count of the process.
    fn process(&self, _what: ProcessCount) -> i64 {
        0
    }
    /// Host name, or what `log-send-hostname` and `-L` say.
    fn hostname(&self) -> &str {
        ""
    }
    /// A timeout of a proxy, milliseconds.
    fn timeout(&self, _id: ProxyId, _which: Timeout) -> Option<u32> {
        None
    }
    /// The kernel's view of a side's connection.
    fn tcp_info(&self, _side: Side) -> Option<TcpInfo> {
        None
    }
    /// Our address on the connection to the server, asked of the kernel.
    fn back_addr(&self) -> Addr {
        Addr::None
    }
    /// The name of a configuration file of [`Txn::last_rule`].
    fn file_name(&self, _file: u32) -> &str {
        ""
    }
    /// A user list says whether the password fits (`http_auth`): the groups of the user when it does.
    fn user(&self, _list: u32, _user: &[u8], _password: &[u8]) -> Option<&[Box<str>]> {
        None
    }
}

/// A world where nothing exists: load time, tests.
pub struct NoWorld;

impl World for NoWorld {}
