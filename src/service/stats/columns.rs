//! The columns of `show stat`, in their fixed order, and one row of values.
//!
//! Scripts count columns, so this order never changes up to the one called `-`; what comes behind it
//! may grow.

use super::value::{Field, Value};

macro_rules! columns {
    ($($col:ident $name:literal $tags:literal $brief:literal,)*) => {
        /// A column by name.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(missing_docs, reason = "the table says what each one is")]
        pub enum Col { $($col,)* }

        /// All columns in order.
        pub const COLUMNS: &[Field] = &[$(Field { name: $name, tags: $tags, brief: $brief },)*];
    };
}

columns! {
    Pxname "pxname" "KNS" "name of the proxy",
    Svname "svname" "KNS" "name of the server or socket, or FRONTEND, BACKEND",
    Qcur "qcur" "MGP" "requests waiting in the queue now",
    Qmax "qmax" "MMP" "most requests that waited at once",
    Scur "scur" "MGP" "sessions now",
    Smax "smax" "MMP" "most sessions at once",
    Slim "slim" "CLP" "limit on sessions: maxconn of a frontend or server, fullconn of a backend",
    Stot "stot" "MCP" "sessions so far",
    Bin "bin" "MCP" "bytes received from clients",
    Bout "bout" "MCP" "bytes sent to clients",
    Dreq "dreq" "MCP" "requests denied by rules",
    Dresp "dresp" "MCP" "responses denied by rules",
    Ereq "ereq" "MCP" "requests that were not understood or not completed",
    Econ "econ" "MCP" "connections to servers that failed",
    Eresp "eresp" "MCP" "responses that were not understood or not completed",
    Wretr "wretr" "MCP" "connection attempts that were repeated",
    Wredis "wredis" "MCP" "requests that were given to another server",
    Status "status" "SGP" "whether it takes traffic",
    Weight "weight" "MaP" "weight in effect",
    Act "act" "SGP" "active servers that are up, or whether this is one",
    Bck "bck" "SGP" "backup servers that are up, or whether this is one",
    Chkfail "chkfail" "MCP" "health checks that failed while the server was up",
    Chkdown "chkdown" "MCP" "changes from up to down",
    Lastchg "lastchg" "MAP" "seconds since the last change between up and down",
    Downtime "downtime" "MCP" "seconds spent down",
    Qlimit "qlimit" "CLP" "limit on waiting requests: maxqueue",
    Pid "pid" "KGP" "number of the process",
    Iid "iid" "KGS" "number of the proxy",
    Sid "sid" "KGS" "number of the server or socket within the proxy",
    Throttle "throttle" "MGP" "percentage of the weight during slow start",
    Lbtot "lbtot" "MCP" "times that balancing chose this server",
    Tracked "tracked" "CNS" "server whose state this one follows",
    Type "type" "CGS" "0 frontend, 1 backend, 2 server, 3 socket",
    Rate "rate" "MRP" "sessions over the last second",
    RateLim "rate_lim" "CLP" "limit on sessions per second",
    RateMax "rate_max" "MMP" "most sessions within a second",
    CheckStatus "check_status" "MOP" "result of the last health check",
    CheckCode "check_code" "MOP" "code the last health check was answered with",
    CheckDuration "check_duration" "MDP" "milliseconds that the last health check took",
    Hrsp1xx "hrsp_1xx" "MCP" "responses with status 100 to 199",
    Hrsp2xx "hrsp_2xx" "MCP" "responses with status 200 to 299",
    Hrsp3xx "hrsp_3xx" "MCP" "responses with status 300 to 399",
    Hrsp4xx "hrsp_4xx" "MCP" "responses with status 400 to 499",
    Hrsp5xx "hrsp_5xx" "MCP" "responses with status 500 to 599",
    HrspOther "hrsp_other" "MCP" "responses with any other status",
    Hanafail "hanafail" "SOP" "details of failed health checks",
    ReqRate "req_rate" "MRP" "HTTP requests over the last second",
    ReqRateMax "req_rate_max" "MMP" "most HTTP requests within a second",
    ReqTot "req_tot" "MCP" "HTTP requests so far",
    CliAbrt "cli_abrt" "MCP" "transfers that the client gave up",
    SrvAbrt "srv_abrt" "MCP" "transfers that the server gave up",
    CompIn "comp_in" "MCP" "bytes given to the compressor",
    CompOut "comp_out" "MCP" "bytes that the compressor made of them",
    CompByp "comp_byp" "MCP" "bytes that bypassed the compressor for lack of processor time or bandwidth",
    CompRsp "comp_rsp" "MCP" "responses that were compressed",
    Lastsess "lastsess" "MAP" "seconds since the last session, -1 if there was none",
    LastChk "last_chk" "MOP" "what the last health check received or why it failed",
    LastAgt "last_agt" "MOP" "what the last agent check received or why it failed",
    Qtime "qtime" "MaP" "average milliseconds in the queue, last 1024 requests",
    Ctime "ctime" "MaP" "average milliseconds to connect, last 1024 connections",
    Rtime "rtime" "MaP" "average milliseconds to the response, last 1024 requests",
    Ttime "ttime" "MaP" "average milliseconds of a whole request, last 1024 requests",
    AgentStatus "agent_status" "MOP" "result of the last agent check",
    AgentCode "agent_code" "MOP" "code the last agent check was answered with",
    AgentDuration "agent_duration" "MDP" "milliseconds that the last agent check took",
    CheckDesc "check_desc" "MOP" "check_status in words",
    AgentDesc "agent_desc" "MOP" "agent_status in words",
    CheckRise "check_rise" "CGS" "good checks that bring the server up",
    CheckFall "check_fall" "CGS" "bad checks that take the server down",
    CheckHealth "check_health" "SGS" "health between 0 and rise+fall-1",
    AgentRise "agent_rise" "CGS" "good agent checks that bring the server up",
    AgentFall "agent_fall" "CGS" "bad agent checks that take the server down",
    AgentHealth "agent_health" "SGS" "agent health between 0 and rise+fall-1",
    Addr "addr" "CGS" "address and port",
    Cookie "cookie" "CNS" "cookie value of a server, cookie name of a backend",
    Mode "mode" "CGS" "mode of the proxy",
    Algo "algo" "CGS" "balancing algorithm",
    ConnRate "conn_rate" "MRP" "connections over the last second",
    ConnRateMax "conn_rate_max" "MMP" "most connections within a second",
    ConnTot "conn_tot" "MCP" "connections so far",
    Intercepted "intercepted" "MCP" "requests answered without a server",
    Dcon "dcon" "MCP" "connections denied by tcp-request connection",
    Dses "dses" "MCP" "sessions denied by tcp-request session",
    Wrew "wrew" "MCP" "rewrites that failed",
    Connect "connect" "MCP" "connections opened to servers",
    Reuse "reuse" "MCP" "requests sent over a connection that was open already",
    CacheLookups "cache_lookups" "MCP" "cache lookups",
    CacheHits "cache_hits" "MCP" "cache hits",
    SrvIcur "srv_icur" "MGP" "idle connections to the server",
    SrcIlim "src_ilim" "CLP" "limit on idle connections to the server",
    QtimeMax "qtime_max" "MMP" "most milliseconds in the queue",
    CtimeMax "ctime_max" "MMP" "most milliseconds to connect",
    RtimeMax "rtime_max" "MMP" "most milliseconds to the response",
    TtimeMax "ttime_max" "MMP" "most milliseconds of a whole request",
    Eint "eint" "MCP" "internal errors",
    IdleConnCur "idle_conn_cur" "MGP" "idle connections not yet known to be reusable",
    SafeConnCur "safe_conn_cur" "MGP" "idle connections known to be reusable",
    UsedConnCur "used_conn_cur" "MGP" "connections in use",
    NeedConnEst "need_conn_est" "MGP" "estimate of the connections needed",
    Uweight "uweight" "MaP" "weight as configured or set",
    AggServerStatus "agg_server_status" "MGP" "unused, for readers of the Prometheus form",
    AggServerCheckStatus "agg_server_check_status" "MGP" "unused, for readers of the Prometheus form",
    AggCheckStatus "agg_check_status" "MGP" "unused, for readers of the Prometheus form",
    Srid "srid" "MGP" "revision of the server, for servers added at run time",
    SessOther "sess_other" "MCP" "sessions of any other protocol",
    H1sess "h1sess" "MCP" "HTTP/1 sessions",
    H2sess "h2sess" "MCP" "HTTP/2 sessions",
    H3sess "h3sess" "MCP" "HTTP/3 sessions",
    ReqOther "req_other" "MCP" "requests of any other protocol",
    H1req "h1req" "MCP" "HTTP/1 requests",
    H2req "h2req" "MCP" "HTTP/2 requests",
    H3req "h3req" "MCP" "HTTP/3 requests",
    Proto "proto" "CNS" "protocol of the socket",
    PrivIdleCur "priv_idle_cur" "MGP" "idle connections that belong to one client",
    Reqbin "reqbin" "MCP" "bytes of requests received",
    Reqbout "reqbout" "MCP" "bytes of requests sent",
    Resbin "resbin" "MCP" "bytes of responses received",
    Resbout "resbout" "MCP" "bytes of responses sent",
    CacheHintHits "cache_hint_hits" "MCP" "cache hits found by the hint",
    End "-" "MGS" "end of the columns whose order is fixed",
    SslSess "ssl_sess" "MCP" "TLS sessions so far",
    SslReusedSess "ssl_reused_sess" "MCP" "TLS sessions that were resumed",
    SslFailedHandshake "ssl_failed_handshake" "MCP" "TLS handshakes that failed",
}

/// What a row is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RowKind {
    /// The client side of a proxy.
    Frontend,
    /// The server side of a proxy.
    Backend,
    /// A server.
    Server,
    /// A listening socket.
    Listener,
}

impl RowKind {
    /// The number in column `type`.
    pub fn number(self) -> u32 {
        match self {
            RowKind::Frontend => 0,
            RowKind::Backend => 1,
            RowKind::Server => 2,
            RowKind::Listener => 3,
        }
    }

    /// The letter of typed lines.
    pub fn letter(self) -> char {
        match self {
            RowKind::Frontend => 'F',
            RowKind::Backend => 'B',
            RowKind::Server => 'S',
            RowKind::Listener => 'L',
        }
    }

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            RowKind::Frontend => "Frontend",
            RowKind::Backend => "Backend",
            RowKind::Server => "Server",
            RowKind::Listener => "Listener",
        }
    }

    /// The bit of the type mask of `show stat`.
    pub fn mask(self) -> u32 {
        1 << self.number()
    }
}

/// One row of values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// What it is about.
    pub kind: RowKind,
    /// Number of the proxy.
    pub iid: u32,
    /// Number within the proxy, 0 for a frontend or backend.
    pub sid: u32,
    values: Vec<Option<Value>>,
}

impl Row {
    /// A row that knows what it is about and nothing else.
    pub fn new(kind: RowKind, iid: u32, sid: u32) -> Row {
        let mut row = Row { kind, iid, sid, values: vec![None; COLUMNS.len()] };
        row.set(Col::Type, kind.number());
        row.set(Col::Pid, super::value::PROCESS_NUM);
        row.set(Col::Iid, iid);
        row.set(Col::Sid, sid);
        row.set(Col::End, "-");
        row
    }

    /// Fills a column.
    pub fn set(&mut self, col: Col, value: impl Into<Value>) {
        self.values[col as usize] = Some(value.into());
    }

    /// The value of a column, if the row has one.
    pub fn get(&self, col: Col) -> Option<&Value> {
        self.values[col as usize].as_ref()
    }

    /// All values in the order of [`COLUMNS`].
    pub fn values(&self) -> &[Option<Value>] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_in_the_order_that_scripts_rely_on() {
        let places = [
            ("pxname", 0),
            ("status", 17),
            ("hrsp_5xx", 43),
            ("srv_abrt", 50),
            ("addr", 73),
            ("uweight", 99),
        ];
        for (name, at) in places {
            assert_eq!(COLUMNS[at].name, name);
        }
        assert_eq!(COLUMNS[Col::End as usize].name, "-");
        let mut names: Vec<_> = COLUMNS.iter().map(|column| column.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), COLUMNS.len());
    }

    #[test]
    fn every_column_has_known_tags_and_a_description() {
        for column in COLUMNS {
            assert!(!column.tag_names().contains(&"Unknown"), "{}", column.name);
            assert!(!column.brief.is_empty() && !column.brief.contains('"'), "{}", column.name);
        }
    }
}
