//! A proxy: frontend, backend, or both.

use std::net::IpAddr;

use super::cookie::{Cookie, PersistRule};
use super::log::LogTarget;
use super::reply::ErrorPages;
use super::retry::RetryOn;
use super::rule::{Action, Rule, Site};
use super::scheme::{HashType, Scheme};
use super::stick::StickRule;
use super::timeouts::Timeouts;
use crate::base::ids::{ListenerId, ProxyId, ServerId};
use crate::expr::acl::Cond;
use crate::expr::compile::Expr;
use crate::expr::logfmt::LogFmt;

/// What travels through a proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Bytes.
    Tcp,
    /// HTTP messages.
    Http,
}

/// How long connections live in HTTP mode (`option http-keep-alive` and its rivals).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HttpConnection {
    /// `option http-keep-alive`: both sides are kept. The default.
    KeepAlive,
    /// `option http-server-close`: the client's is kept, the server's closed.
    ServerClose,
    /// `option httpclose`: both are closed after each answer.
    Close,
}

/// When a request may use an idle connection that another client's request opened (`http-reuse`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HttpReuse {
    /// Never.
    Never,
    /// Not for the first request of a client connection. The default.
    Safe,
    /// Also for first requests, over connections that proved reusable.
    Aggressive,
    /// Always.
    Always,
}

/// What becomes of request fields whose names hold other characters than letters, digits and `-`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OddNames {
    /// They pass. The default.
    Preserve,
    /// They are removed.
    Delete,
    /// The request is refused with 403.
    Reject,
}

/// `option forwardfor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardFor {
    /// `except`: addresses whose requests are left alone.
    pub except: Option<(IpAddr, u8)>,
    /// `header`: `X-Forwarded-For` unless said otherwise.
    pub header: String,
    /// `if-none`: only when the request has none yet.
    pub if_none: bool,
}

/// Which log line a proxy writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LogStyle {
    /// One line per connection, at accept time.
    #[default]
    Default,
    /// `option tcplog`.
    Tcp,
    /// `option tcplog clf`.
    TcpClf,
    /// `option httplog`.
    Http,
    /// `option httplog clf`.
    Clf,
    /// `option httpslog`.
    Https,
    /// `log-format`.
    Custom,
}

/// One `use_backend` line.
pub struct Switch {
    /// When; `None`: always.
    pub cond: Option<Cond>,
    /// The backend.
    pub to: SwitchTo,
}

/// Where a `use_backend` line leads.
pub enum SwitchTo {
    /// A backend known at load time.
    Backend(ProxyId),
    /// The backend of a name that is worked out; the default backend when there is none.
    Named(LogFmt),
}

/// One `use-server` line.
pub struct UseServer {
    /// When; `None`: always.
    pub cond: Option<Cond>,
    /// The server.
    pub to: UseTo,
}

/// Where a `use-server` line leads.
pub enum UseTo {
    /// A server known at load time.
    Server(ServerId),
    /// The server of a name that is worked out; none when there is no such server.
    Named(LogFmt),
}

/// `option originalto`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginalTo {
    /// `except`: addresses that are not told.
    pub except: Option<(IpAddr, u8)>,
    /// `header`: `X-Original-To` unless said otherwise.
    pub header: String,
}

/// `option forwarded`: the parts of the field of RFC 7239 section 4.
#[derive(Default)]
pub struct Forwarded {
    /// `proto`.
    pub proto: bool,
    /// `host`: the request's, or what an expression yields.
    pub host: Part,
    /// `by`: our address.
    pub by: Part,
    /// `by_port`.
    pub by_port: Part,
    /// `for`: the client's address.
    pub client: Part,
    /// `for_port`.
    pub client_port: Part,
}

/// Where a part of `Forwarded` comes from.
#[derive(Default)]
pub enum Part {
    /// It is left out.
    #[default]
    None,
    /// From the connection or the request.
    Own,
    /// From an expression.
    Expr(Expr),
}

/// A field that is kept for logs and rules (`capture request header`, `declare capture`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Its name; `None` for a slot that rules fill.
    pub name: Option<String>,
    /// Bytes kept at most.
    pub len: usize,
}

/// The rules of a proxy, by the place where they run.
#[derive(Default)]
pub struct Rules {
    lists: [Vec<Rule>; Site::ALL.len()],
}

impl Rules {
    /// The rules of one place, in order.
    pub fn at(&self, site: Site) -> &[Rule] {
        &self.lists[site as usize]
    }

    /// The rules of one place, to be added to.
    pub fn at_mut(&mut self, site: Site) -> &mut Vec<Rule> {
        &mut self.lists[site as usize]
    }
}

/// A proxy as configured, `defaults` applied.
pub struct Proxy {
    /// Its own index.
    pub id: ProxyId,
    /// Its name.
    pub name: String,
    /// `id`: its number in statistics, from 1.
    pub puid: u32,
    /// Accepts connections: `frontend` or `listen`.
    pub is_frontend: bool,
    /// Has servers: `backend` or `listen`.
    pub is_backend: bool,
    /// `mode`.
    pub mode: Mode,
    /// `disabled`.
    pub disabled: bool,
    /// `description`.
    pub description: Option<String>,
    /// `timeout ...`.
    pub timeouts: Timeouts,
    /// `maxconn` of a frontend; 0: the global one.
    pub maxconn: u32,
    /// `fullconn` of a backend; 0: from the frontends.
    pub fullconn: u32,
    /// `backlog`, 0: from `maxconn`.
    pub backlog: u32,
    /// The addresses it listens on.
    pub listeners: Vec<ListenerId>,
    /// Its servers, in the order of the file.
    pub servers: Vec<ServerId>,
    /// `default_backend`.
    pub default_backend: Option<ProxyId>,
    /// `use_backend`, in order.
    pub switches: Vec<Switch>,
    /// `use-server`, in order.
    pub use_servers: Vec<UseServer>,
    /// `http-request` and all its kin.
    pub rules: Rules,
    /// `balance`; roundrobin when nothing is said.
    pub scheme: Box<dyn Scheme>,
    /// `hash-type`, `hash-balance-factor`.
    pub hash_type: HashType,
    /// The expression of `balance hash`.
    pub balance_key: Option<Expr>,
    /// `retries`: connection attempts after the first.
    pub retries: u32,
    /// `retry-on`.
    pub retry_on: RetryOn,
    /// `option redispatch [interval]`: 0 off, n: every n-th retry goes to another server, -n: the n-th from the last.
    pub redispatch: i32,
    /// `option allbackups`.
    pub all_backups: bool,
    /// `option persist`.
    pub persist_down: bool,
    /// `cookie`.
    pub cookie: Option<Box<Cookie>>,
    /// `force-persist` and `ignore-persist`, in order.
    pub persist_rules: Vec<PersistRule>,
    /// `persist rdp-cookie`: the name of the cookie.
    pub persist_rdp: Option<String>,
    /// `option httpclose`, `http-server-close`, `http-keep-alive`.
    pub http_connection: HttpConnection,
    /// `option http-pretend-keepalive`.
    pub pretend_keep_alive: bool,
    /// `http-reuse`.
    pub http_reuse: HttpReuse,
    /// `option forwardfor`.
    pub forward_for: Option<ForwardFor>,
    /// `option originalto`.
    pub original_to: Option<OriginalTo>,
    /// `option forwarded`.
    pub forwarded: Option<Forwarded>,
    /// `capture cookie`: how the cookie begins, and bytes kept at most.
    pub cookie_capture: Option<(String, usize)>,
    /// `option checkcache`.
    pub check_cache: bool,
    /// `monitor-uri`.
    pub monitor_uri: Option<Vec<u8>>,
    /// `monitor fail`: conditions under which `monitor-uri` is answered with 503.
    pub monitor_fails: Vec<Cond>,
    /// `errorfile` and its family.
    pub errors: ErrorPages,
    /// `http-error`: answers made for each request, by status.
    pub http_errors: Vec<(u16, Box<dyn Action>)>,
    /// `option accept-unsafe-violations-in-http-request`.
    pub loose_request: bool,
    /// `option accept-unsafe-violations-in-http-response`.
    pub loose_response: bool,
    /// `option http-restrict-req-hdr-names`.
    pub odd_names: OddNames,
    /// `http-send-name-header`: the field that tells a server its name.
    pub send_name: Option<String>,
    /// `option http-buffer-request`.
    pub buffer_request: bool,
    /// `option http-ignore-probes`.
    pub ignore_probes: bool,
    /// `option abortonclose`.
    pub abort_on_close: bool,
    /// `option http-no-delay`.
    pub no_delay: bool,
    /// `option clitcpka`.
    pub client_keepalive: bool,
    /// `option srvtcpka`.
    pub server_keepalive: bool,
    /// `option independent-streams`.
    pub independent_streams: bool,
    /// `option socket-stats`.
    pub socket_stats: bool,
    /// `option splice-*`: (request, response); `splice-auto` sets both.
    pub splice: (bool, bool),
    /// `tcp-request inspect-delay`, milliseconds.
    pub inspect_delay: Option<u32>,
    /// `tcp-response inspect-delay`, milliseconds.
    pub res_inspect_delay: Option<u32>,
    /// `log` lines, `log global` resolved.
    pub logs: Vec<LogTarget>,
    /// `log-tag`, else the global one.
    pub log_tag: Option<String>,
    /// `option tcplog`, `httplog`...
    pub log_style: LogStyle,
    /// The log line of `log_style`; `None` for the default style.
    pub log_format: Option<LogFmt>,
    /// `error-log-format`: the line of connections that ended in an error before a request.
    pub error_log_format: Option<LogFmt>,
    /// `unique-id-format`.
    pub unique_id: Option<LogFmt>,
    /// `unique-id-header`: the request field that carries it.
    pub unique_id_header: Option<String>,
    /// `capture request header`, by slot.
    pub req_captures: Vec<Capture>,
    /// `capture response header`, by slot.
    pub res_captures: Vec<Capture>,
    /// `option dontlognull`.
    pub dont_log_null: bool,
    /// `option dontlog-normal`.
    pub dont_log_normal: bool,
    /// `option log-separate-errors`.
    pub log_separate_errors: bool,
    /// `option logasap`.
    pub log_asap: bool,
    /// `rate-limit sessions`: new sessions per second, 0: unlimited.
    pub session_rate_limit: u32,
    /// `stick-table`: its place among the tables of the plan.
    pub stick_table: Option<u16>,
    /// `stick` rules, in order.
    pub sticks: Vec<StickRule>,
    /// The section line, for messages: `file:line`.
    pub at: String,
}

impl Proxy {
    /// A proxy of which nothing is configured but its name and its way of choosing servers: neither a
    /// frontend nor a backend yet, everything else at its default.
    pub fn new(id: ProxyId, name: &str, scheme: Box<dyn Scheme>) -> Self {
        Proxy {
            id,
            name: name.to_string(),
            puid: id.0 + 1,
            is_frontend: false,
            is_backend: false,
            mode: Mode::Tcp,
            disabled: false,
            description: None,
            timeouts: Timeouts::default(),
            maxconn: 0,
            fullconn: 0,
            backlog: 0,
            listeners: Vec::new(),
            servers: Vec::new(),
            default_backend: None,
            switches: Vec::new(),
            use_servers: Vec::new(),
            rules: Rules::default(),
            scheme,
            hash_type: HashType::default(),
            balance_key: None,
            retries: 3,
            retry_on: RetryOn::default(),
            redispatch: 0,
            all_backups: false,
            persist_down: false,
            cookie: None,
            persist_rules: Vec::new(),
            persist_rdp: None,
            http_connection: HttpConnection::KeepAlive,
            pretend_keep_alive: false,
            http_reuse: HttpReuse::Safe,
            forward_for: None,
            original_to: None,
            forwarded: None,
            cookie_capture: None,
            check_cache: false,
            monitor_uri: None,
            monitor_fails: Vec::new(),
            errors: ErrorPages::default(),
            http_errors: Vec::new(),
            loose_request: false,
            loose_response: false,
            odd_names: OddNames::Preserve,
            send_name: None,
            buffer_request: false,
            ignore_probes: false,
            abort_on_close: false,
            no_delay: false,
            client_keepalive: false,
            server_keepalive: false,
            independent_streams: false,
            socket_stats: false,
            splice: (false, false),
            inspect_delay: None,
            res_inspect_delay: None,
            logs: Vec::new(),
            log_tag: None,
            log_style: LogStyle::Default,
            log_format: None,
            error_log_format: None,
            unique_id: None,
            unique_id_header: None,
            req_captures: Vec::new(),
            res_captures: Vec::new(),
            dont_log_null: false,
            dont_log_normal: false,
            log_separate_errors: false,
            log_asap: false,
            session_rate_limit: 0,
            stick_table: None,
            sticks: Vec::new(),
            at: String::new(),
        }
    }
}
