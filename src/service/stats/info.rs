//! The lines of `show info`, in their fixed order.

use super::value::{Field, Value};
use crate::plan::Plan;
use crate::service::board::configured_maxconn;
use crate::service::cli::process::VERSION;
use crate::service::cli::Vitals;
use std::time::Duration;

/// Sums over all workers that `show info` reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs, reason = "the lines that print them say what they are")]
pub struct Totals {
    pub conns: u64,
    pub conns_max: u64,
    pub conns_total: u64,
    pub requests_total: u64,
    pub ssl_conns: u64,
    pub ssl_conns_total: u64,
    pub conn_rate: u64,
    pub conn_rate_max: u64,
    pub sess_rate: u64,
    pub sess_rate_max: u64,
    pub ssl_rate: u64,
    pub ssl_rate_max: u64,
    pub ssl_front_keys: u64,
    pub ssl_front_keys_max: u64,
    pub ssl_back_keys: u64,
    pub ssl_back_keys_max: u64,
    pub ssl_cache_lookups: u64,
    pub ssl_cache_misses: u64,
    pub dropped_logs: u64,
    pub bytes_out_total: u64,
    pub bytes_out_spliced: u64,
    pub bytes_out_rate: u64,
    pub streams: u64,
    pub streams_total: u64,
    pub maxconn_reached: u64,
    pub ssl_busy: u64,
    pub ssl_cert_lookups: u64,
    pub ssl_cert_misses: u64,
    pub ssl_cert_failures: u64,
    pub ssl_cert_evictions: u64,
    pub ssl_watch_errors: u64,
    /// Patterns added, removed, and changes by rules that were not possible.
    pub patterns: [u64; 3],
    pub ssl_certs_expiring: u64,
    pub ssl_certs_expired: u64,
    pub ssl_certs_shadowed: u64,
    /// Handshakes of clients that failed.
    pub ssl_failures: u64,
    pub pipes_used: u64,
    pub pipes_free: u64,
    pub pool_allocated: u64,
    pub pool_used: u64,
    pub pool_failed: u64,
    pub tasks: u64,
    pub run_queue: u64,
    pub niced_tasks: u64,
    pub idle_pct: u64,
    pub warnings: u64,
}

/// Limits that can be changed while the program runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// Connections over all workers.
    pub maxconn: u64,
    /// New connections per second.
    pub conn_rate: u64,
    /// New sessions per second.
    pub sess_rate: u64,
    /// New TLS handshakes per second.
    pub ssl_rate: u64,
}

/// Everything the lines are computed from.
pub struct InfoCx<'a> {
    /// The configuration.
    pub plan: &'a Plan,
    /// The processes.
    pub vitals: &'a Vitals,
    /// Sums over the workers.
    pub totals: &'a Totals,
    /// Limits in force.
    pub limits: Limits,
    /// Time since 1970.
    pub wall: Duration,
}

impl InfoCx<'_> {
    fn uptime(&self) -> u64 {
        self.wall.saturating_sub(self.vitals.started).as_secs()
    }

    /// Share of TLS connections that needed no key exchange with a certificate, in percent.
    fn reuse_pct(&self) -> u32 {
        let Totals { ssl_rate, ssl_front_keys, .. } = *self.totals;
        match ssl_rate {
            0 => 0,
            rate => (100 * rate.saturating_sub(ssl_front_keys) / rate) as u32,
        }
    }
}

/// One line.
pub struct Info {
    /// Name, tags and description.
    pub field: Field,
    /// Its value; `None` = the line is left out.
    pub value: fn(&InfoCx<'_>) -> Option<Value>,
}

macro_rules! lines {
    ($($name:literal $tags:literal $brief:literal $ty:ident |$cx:ident| $value:expr;)*) => {
        /// All lines in order.
        pub const LINES: &[Info] = &[$(Info {
            field: Field { name: $name, tags: $tags, brief: $brief },
            value: |$cx| lines!(@value $ty $value),
        },)*];
    };
    (@value u32 $value:expr) => { Some(Value::U32(u32::try_from($value).unwrap_or(u32::MAX))) };
    (@value u64 $value:expr) => { Some(Value::U64($value)) };
    (@value str $value:expr) => { Some(Value::from($value)) };
    (@value opt $value:expr) => { $value };
}

lines! {
    "Name" "POS" "product" str |_cx| "lighterman";
    "Version" "POS" "version of the product" str |_cx| VERSION;
    "Release_date" "POS" "date of the version" str |_cx| RELEASE_DATE;
    "Nbthread" "CGS" "threads per process" u32 |_cx| 1u32;
    "Nbproc" "CGS" "worker processes" u32 |cx| cx.vitals.workers;
    "Process_num" "KGP" "number of the process: all workers answer as one" u32 |_cx| 1u32;
    "Pid" "SGP" "process id" u32 |cx| cx.vitals.pid;
    "Uptime" "MDP" "time since the start" str |cx| uptime(cx.uptime());
    "Uptime_sec" "MDP" "seconds since the start" u32 |cx| cx.uptime();
    "Memmax_MB" "CLP" "memory limit" u32 |_cx| 0u32;
    "PoolAlloc_MB" "MGP" "memory in buffers" u32 |cx| cx.totals.pool_allocated >> 20;
    "PoolUsed_MB" "MGP" "memory in buffers that are in use" u32 |cx| cx.totals.pool_used >> 20;
    "PoolFailed" "MCP" "buffers that could not be had" u32 |cx| cx.totals.pool_failed;
    "Ulimit-n" "CLP" "descriptor limit of a process" u32 |cx| cx.vitals.facts.ulimit_n;
    "Maxsock" "CLP" "most sockets of a process" u32 |cx| cx.plan.global.descriptors().unwrap_or(cx.vitals.facts.ulimit_n);
    "Maxconn" "CLP" "limit on connections" u32 |cx| cx.limits.maxconn;
    "Hard_maxconn" "CLP" "limit on connections at the start" u32 |cx| cx.limits.maxconn.max(configured_maxconn(cx.plan, cx.vitals.workers as usize).into());
    "CurrConns" "MGP" "connections now" u32 |cx| cx.totals.conns;
    "CumConns" "MCP" "connections so far" u32 |cx| wrap(cx.totals.conns_total);
    "CumReq" "MCP" "requests so far" u32 |cx| wrap(cx.totals.requests_total);
    "MaxSslConns" "CLP" "limit on TLS connections, 0 for none" u32 |cx| cx.plan.global.maxsslconn;
    "CurrSslConns" "MGP" "TLS connections now" u32 |cx| cx.totals.ssl_conns;
    "CumSslConns" "MCP" "TLS connections so far" u32 |cx| wrap(cx.totals.ssl_conns_total);
    "Maxpipes" "CLP" "limit on pipes for splicing, 0 for none" u32 |_cx| 0u32;
    "PipesUsed" "MGP" "pipes in use" u32 |cx| cx.totals.pipes_used;
    "PipesFree" "MGP" "pipes kept ready" u32 |cx| cx.totals.pipes_free;
    "ConnRate" "MRP" "connections over the last second" u32 |cx| cx.totals.conn_rate;
    "ConnRateLimit" "CLP" "limit on connections per second" u32 |cx| cx.limits.conn_rate;
    "MaxConnRate" "MMP" "most connections within a second" u32 |cx| cx.totals.conn_rate_max;
    "SessRate" "MRP" "sessions over the last second" u32 |cx| cx.totals.sess_rate;
    "SessRateLimit" "CLP" "limit on sessions per second" u32 |cx| cx.limits.sess_rate;
    "MaxSessRate" "MMP" "most sessions within a second" u32 |cx| cx.totals.sess_rate_max;
    "SslRate" "MRP" "TLS handshakes over the last second" u32 |cx| cx.totals.ssl_rate;
    "SslRateLimit" "CLP" "limit on TLS handshakes per second" u32 |cx| cx.limits.ssl_rate;
    "MaxSslRate" "MMP" "most TLS handshakes within a second" u32 |cx| cx.totals.ssl_rate_max;
    "SslFrontendKeyRate" "MGP" "key exchanges with clients over the last second" u32 |cx| cx.totals.ssl_front_keys;
    "SslFrontendMaxKeyRate" "MMP" "most key exchanges with clients within a second" u32 |cx| cx.totals.ssl_front_keys_max;
    "SslFrontendSessionReuse_pct" "MGP" "percentage of clients that resumed a session" u32 |cx| cx.reuse_pct();
    "SslBackendKeyRate" "MGP" "key exchanges with servers over the last second" u32 |cx| cx.totals.ssl_back_keys;
    "SslBackendMaxKeyRate" "MMP" "most key exchanges with servers within a second" u32 |cx| cx.totals.ssl_back_keys_max;
    "SslCacheLookups" "MCP" "sessions looked for in the cache" u32 |cx| wrap(cx.totals.ssl_cache_lookups);
    "SslCacheMisses" "MCP" "sessions not found in the cache" u32 |cx| wrap(cx.totals.ssl_cache_misses);
    "CompressBpsIn" "MRP" "bytes per second given to the compressor" u32 |_cx| 0u32;
    "CompressBpsOut" "MRP" "bytes per second that the compressor made of them" u32 |_cx| 0u32;
    "CompressBpsRateLim" "CLP" "limit on compressed bytes per second" u32 |_cx| 0u32;
    "Tasks" "MGP" "tasks alive" u32 |cx| cx.totals.tasks;
    "Run_queue" "MGP" "tasks waiting for the processor" u32 |cx| cx.totals.run_queue;
    "Idle_pct" "MaP" "percentage of the last second spent waiting" u32 |cx| cx.totals.idle_pct;
    "node" "COS" "name of this box" str |cx| cx.plan.global.node.as_deref().unwrap_or(&cx.vitals.facts.hostname);
    "description" "COS" "description of this box" opt |cx| cx.plan.global.description.as_deref().map(Value::from);
    "Stopping" "SGP" "1 while a soft stop is under way" u32 |cx| u32::from(cx.vitals.facts.stopping);
    "Jobs" "MGP" "what keeps a stopping process alive: connections and listeners" u32 |cx| cx.totals.conns + u64::from(cx.vitals.facts.listeners);
    "Unstoppable Jobs" "MGP" "jobs that a soft stop does not wait for" u32 |_cx| 0u32;
    "Listeners" "MGP" "listening sockets" u32 |cx| cx.vitals.facts.listeners;
    "ActivePeers" "MGP" "peers that are connected and known" u32 |_cx| 0u32;
    "ConnectedPeers" "MGP" "peers that are connected" u32 |_cx| 0u32;
    "DroppedLogs" "MCP" "log lines lost because nobody took them" u32 |cx| wrap(cx.totals.dropped_logs);
    "BusyPolling" "CGP" "1 when waiting burns processor time" u32 |_cx| 0u32;
    "FailedResolutions" "MCP" "names that could not be resolved" u32 |_cx| 0u32;
    "TotalBytesOut" "MCP" "bytes sent so far" u64 |cx| cx.totals.bytes_out_total;
    "TotalSplicedBytesOut" "MCP" "bytes sent through kernel pipes so far" u64 |cx| cx.totals.bytes_out_spliced;
    "BytesOutRate" "MRP" "bytes sent over the last second" u64 |cx| cx.totals.bytes_out_rate;
    "DebugCommandsIssued" "MCP" "debugging commands given" u32 |_cx| 0u32;
    "CumRecvLogs" "MCP" "log lines received" u32 |_cx| 0u32;
    "Build info" "POS" "how this program was built" str |_cx| VERSION;
    "Memmax_bytes" "CLP" "memory limit in bytes" u32 |_cx| 0u32;
    "PoolAlloc_bytes" "MGP" "bytes in buffers" u64 |cx| cx.totals.pool_allocated;
    "PoolUsed_bytes" "MGP" "bytes in buffers that are in use" u64 |cx| cx.totals.pool_used;
    "Start_time_sec" "MDP" "start in seconds since 1970" u32 |cx| cx.vitals.started.as_secs();
    "Tainted" "SGP" "experimental features in use" str |_cx| "0";
    "TotalWarnings" "MCP" "warnings given since the start" u32 |cx| wrap(cx.totals.warnings);
    "MaxconnReached" "MCP" "times that the limit on connections was met" u32 |cx| wrap(cx.totals.maxconn_reached);
    "BootTime_ms" "MDP" "milliseconds that the start took" u32 |cx| cx.vitals.facts.boot_ms;
    "Niced_tasks" "MGP" "tasks with a nice value" u32 |cx| cx.totals.niced_tasks;
    "CurrStreams" "MGP" "streams now" u64 |cx| cx.totals.streams;
    "CumStreams" "MCP" "streams so far" u64 |cx| cx.totals.streams_total;
    "BlockedTrafficWarnings" "MCP" "times that a worker stood still" u32 |_cx| 0u32;
    "PatternsAdded" "MCP" "patterns of maps and ACL files added by commands and rules" u64 |cx| cx.totals.patterns[0];
    "PatternsFreed" "MCP" "patterns of maps and ACL files removed by commands and rules" u64 |cx| cx.totals.patterns[1];
    "NbThreadGroups" "CGS" "thread groups per process" u32 |_cx| 1u32;
    "SslBusy" "MCP" "clients refused because too many TLS handshakes wait" u32 |cx| wrap(cx.totals.ssl_busy);
    "SslFailures" "MCP" "TLS handshakes of clients that failed (see \"show ssl failures\")" u64 |cx| cx.totals.ssl_failures;
    "SslCertLookups" "MCP" "certificates that handshakes asked for" u64 |cx| cx.totals.ssl_cert_lookups;
    "SslCertMisses" "MCP" "certificates that had to be read first" u64 |cx| cx.totals.ssl_cert_misses;
    "SslCertFailures" "MCP" "certificates that could not be read" u64 |cx| cx.totals.ssl_cert_failures;
    "SslCertEvictions" "MCP" "parsed certificates forgotten for want of room" u64 |cx| cx.totals.ssl_cert_evictions;
    "SslCertsExpiring" "MGP" "certificates that expire within 14 days (see \"show ssl cert expiring\")" u32 |cx| cx.totals.ssl_certs_expiring;
    "SslCertsExpired" "MGP" "certificates that have expired" u32 |cx| cx.totals.ssl_certs_expired;
    "SslCertsShadowed" "MGP" "certificates in whose place others are always shown" u32 |cx| cx.totals.ssl_certs_shadowed;
    "SslWatchErrors" "MCP" "files of watched directories that were no good" u64 |cx| cx.totals.ssl_watch_errors;
    "PatternsRefused" "MCP" "changes of maps and ACL files by rules that were not possible" u64 |cx| cx.totals.patterns[2];
}

/// Date of the version, as `show info` spells it.
pub const RELEASE_DATE: &str = "2026/11/20";

/// A 32-bit counter starts again at 0.
fn wrap(count: u64) -> u32 {
    count as u32
}

fn uptime(secs: u64) -> String {
    format!("{}d {}h{:02}m{:02}s", secs / 86_400, secs / 3600 % 24, secs / 60 % 60, secs % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::cli::Facts;

    fn value_of(name: &str, cx: &InfoCx<'_>) -> String {
        let line = LINES.iter().find(|line| line.field.name == name).unwrap();
        (line.value)(cx).map_or("-".to_owned(), |value| value.to_string())
    }

    #[test]
    fn lines_are_computed() {
        let mut plan = Plan::default();
        let wall = Duration::from_secs(1_795_213_073);
        let facts = Facts { hostname: "box".to_owned(), ..Facts::default() };
        let mut vitals = Vitals { pid: 42, workers: 1, facts, ..Vitals::default() };
        vitals.started = wall - Duration::from_secs(93_784);
        let totals =
            Totals { ssl_rate: 50, ssl_front_keys: 10, conns_total: (1 << 32) + 7, ..Totals::default() };
        let limits = Limits { maxconn: 2000, ..Limits::default() };
        let rows = [
            ("Uptime", "1d 2h03m04s"),
            ("Uptime_sec", "93784"),
            ("Pid", "42"),
            ("Nbproc", "1"),
            ("node", "box"),
            ("description", "-"),
            ("SslFrontendSessionReuse_pct", "80"),
            ("CumConns", "7"),
            ("Maxconn", "2000"),
            ("Start_time_sec", "1795119289"),
        ];
        let cx = InfoCx { plan: &plan, vitals: &vitals, totals: &totals, limits, wall };
        for (name, want) in rows {
            assert_eq!(value_of(name, &cx), want, "{name}");
        }
        plan.global.node = Some("n1".to_owned());
        plan.global.description = Some("d".to_owned());
        let cx = InfoCx { plan: &plan, vitals: &vitals, totals: &totals, limits, wall };
        assert_eq!((value_of("node", &cx), value_of("description", &cx)), ("n1".to_owned(), "d".to_owned()));
    }

    #[test]
    fn names_stand_in_the_known_order() {
        let order = "Name Version Release_date Nbthread Nbproc Process_num Pid Uptime Uptime_sec Memmax_MB \
                     PoolAlloc_MB PoolUsed_MB PoolFailed Ulimit-n Maxsock Maxconn Hard_maxconn CurrConns CumConns \
                     CumReq MaxSslConns CurrSslConns CumSslConns Maxpipes PipesUsed PipesFree ConnRate \
                     ConnRateLimit MaxConnRate SessRate SessRateLimit MaxSessRate SslRate SslRateLimit MaxSslRate \
                     SslFrontendKeyRate SslFrontendMaxKeyRate SslFrontendSessionReuse_pct SslBackendKeyRate \
                     SslBackendMaxKeyRate SslCacheLookups SslCacheMisses CompressBpsIn CompressBpsOut \
                     CompressBpsRateLim Tasks Run_queue Idle_pct node description Stopping Jobs Unstoppable_Jobs \
                     Listeners ActivePeers ConnectedPeers DroppedLogs BusyPolling FailedResolutions TotalBytesOut \
                     TotalSplicedBytesOut BytesOutRate DebugCommandsIssued CumRecvLogs Build_info Memmax_bytes \
                     PoolAlloc_bytes PoolUsed_bytes Start_time_sec Tainted TotalWarnings MaxconnReached \
                     BootTime_ms Niced_tasks CurrStreams CumStreams BlockedTrafficWarnings PatternsAdded \
                     PatternsFreed NbThreadGroups SslBusy SslFailures SslCertLookups SslCertMisses SslCertFailures \
                     SslCertEvictions SslCertsExpiring SslCertsExpired SslCertsShadowed SslWatchErrors \
                     PatternsRefused";
        let names: Vec<String> = LINES.iter().map(|line| line.field.name.replace(' ', "_")).collect();
        assert_eq!(names.join(" "), order.split_whitespace().collect::<Vec<_>>().join(" "));
        for line in LINES {
            assert!(!line.field.tag_names().contains(&"Unknown"), "{}", line.field.name);
        }
    }
}
