//! Statistics: one row of a table each, counted in a grid `[process][object]`.
//!
//! Each process writes only its own line, with plain relaxed loads and stores: no bus lock, no
//! contention. Readers add the lines up. A counter that is set back gets a base line which readers
//! subtract, so nobody ever writes another's line. Lines of processes that are gone keep their counts.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::layout::{CounterLine, RateCell};
use crate::base::freq::Freq;

/// How the lines of several processes become one number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only grows; the sum.
    Counter,
    /// What there is now; the sum over living processes.
    Gauge,
    /// The highest of all.
    Max,
    /// A sliding mean; the mean of those that have one.
    Mean,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its column in `show stat`, or its line in `show info`.
    pub name: &'static str,
    /// How it adds up.
    pub kind: Kind,
    /// Objects that have it: F frontend, B backend, S server, L listener, P process.
    pub scopes: &'static str,
    /// What it counts.
    pub doc: &'static str,
}

macro_rules! counters {
    ($(#[$meta:meta])* $name:ident $table:ident $count:ident { $($row:ident $text:literal $kind:ident $scopes:literal $doc:literal;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $name { $(#[doc = $doc] $row,)* }

        #[doc = concat!("All of [`", stringify!($name), "`], in its order.")]
        pub const $table: &[Row] = &[$(Row { name: $text, kind: Kind::$kind, scopes: $scopes, doc: $doc },)*];

        #[doc = concat!("How many [`", stringify!($name), "`] there are.")]
        pub const $count: usize = $table.len();

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [$name] = &[$($name::$row,)*];

            /// Its row of the table.
            pub fn row(self) -> &'static Row {
                &$table[self as usize]
            }

            /// The one with this name.
            pub fn named(name: &str) -> Option<$name> {
                Self::ALL.iter().copied().find(|it| it.row().name == name)
            }
        }
    };
}

counters! {
    /// What is counted for an object.
    Stat STAT_ROWS STATS {
        Scur "scur" Gauge "LFBS" "sessions of this process now";
        Qcur "qcur" Gauge "BS" "requests of this process that wait now";
        Stot "stot" Counter "LFBS" "sessions";
        ConnTot "conn_tot" Counter "F" "connections";
        ReqTot "req_tot" Counter "FBS" "HTTP requests";
        Bin "bin" Counter "LFBS" "bytes from clients";
        Bout "bout" Counter "LFBS" "bytes to clients";
        Dreq "dreq" Counter "LFB" "requests denied by rules";
        Dresp "dresp" Counter "LFBS" "responses denied by rules";
        Dcon "dcon" Counter "LF" "connections denied by rules";
        Dses "dses" Counter "LF" "sessions denied by rules";
        Ereq "ereq" Counter "LF" "requests not understood or not completed";
        Econ "econ" Counter "BS" "connections to servers that failed";
        Eresp "eresp" Counter "BS" "responses not understood or not completed";
        Eint "eint" Counter "LFBS" "errors of our own";
        Wretr "wretr" Counter "BS" "attempts to connect that were repeated";
        Wredis "wredis" Counter "BS" "requests given to another server";
        Wrew "wrew" Counter "LFBS" "headers that did not fit";
        Lbtot "lbtot" Counter "BS" "times chosen by balancing";
        Connect "connect" Counter "BS" "connections made";
        Reuse "reuse" Counter "BS" "connections used again";
        CliAbrt "cli_abrt" Counter "BS" "exchanges ended by the client";
        SrvAbrt "srv_abrt" Counter "BS" "exchanges ended by the server";
        Hrsp1xx "hrsp_1xx" Counter "FBS" "responses 1xx";
        Hrsp2xx "hrsp_2xx" Counter "FBS" "responses 2xx";
        Hrsp3xx "hrsp_3xx" Counter "FBS" "responses 3xx";
        Hrsp4xx "hrsp_4xx" Counter "FBS" "responses 4xx";
        Hrsp5xx "hrsp_5xx" Counter "FBS" "responses 5xx";
        HrspOther "hrsp_other" Counter "FBS" "other responses";
        Intercepted "intercepted" Counter "FB" "requests answered by us";
        H1sess "h1sess" Counter "F" "HTTP/1 sessions";
        H2sess "h2sess" Counter "F" "HTTP/2 sessions";
        SessOther "sess_other" Counter "F" "other sessions";
        H1req "h1req" Counter "F" "HTTP/1 requests";
        H2req "h2req" Counter "F" "HTTP/2 requests";
        ReqOther "req_other" Counter "F" "other requests";
        Reqbin "reqbin" Counter "LFBS" "bytes of requests received";
        Reqbout "reqbout" Counter "LFBS" "bytes of requests sent";
        Resbin "resbin" Counter "LFBS" "bytes of responses received";
        Resbout "resbout" Counter "LFBS" "bytes of responses sent";
        SslSess "ssl_sess" Counter "LFBS" "TLS sessions";
        SslReused "ssl_reused_sess" Counter "LFBS" "TLS sessions resumed";
        SslFailed "ssl_failed_handshake" Counter "LFBS" "TLS handshakes that failed";
        SrvIcur "srv_icur" Gauge "S" "idle connections";
        UsedCur "used_conn_cur" Gauge "S" "connections in use";
        Qtime "qtime" Mean "BS" "milliseconds in the queue";
        Ctime "ctime" Mean "BS" "milliseconds to connect";
        Rtime "rtime" Mean "BS" "milliseconds to respond";
        Ttime "ttime" Mean "BS" "milliseconds in all";
        QtimeMax "qtime_max" Max "BS" "most milliseconds in the queue";
        CtimeMax "ctime_max" Max "BS" "most milliseconds to connect";
        RtimeMax "rtime_max" Max "BS" "most milliseconds to respond";
        TtimeMax "ttime_max" Max "BS" "most milliseconds in all";
    }
}

counters! {
    /// What happens so often per second for an object.
    Rate RATE_ROWS RATES {
        Sess "rate" Gauge "FBS" "sessions";
        Conn "conn_rate" Gauge "F" "connections";
        Req "req_rate" Gauge "F" "HTTP requests";
    }
}

counters! {
    /// Figures of a process.
    Info INFO_ROWS INFOS {
        Conns "CurrConns" Gauge "P" "connections from clients";
        SslConns "CurrSslConns" Gauge "P" "TLS connections";
        Streams "CurrStreams" Gauge "P" "streams";
        Tasks "Tasks" Gauge "P" "tasks";
        RunQueue "Run_queue" Gauge "P" "tasks that wait to run";
        NicedTasks "Niced_tasks" Gauge "P" "tasks with a nice of their own";
        IdlePct "Idle_pct" Mean "P" "percentage of time spent waiting";
        PipesUsed "PipesUsed" Gauge "P" "pipes in use";
        PipesFree "PipesFree" Gauge "P" "pipes kept ready";
        PoolAlloc "PoolAlloc" Gauge "P" "bytes in buffers";
        PoolUsed "PoolUsed" Gauge "P" "bytes in buffers in use";
        PoolFailed "PoolFailed" Counter "P" "buffers that could not be had";
        CumConns "CumConns" Counter "P" "connections from clients so far";
        CumSslConns "CumSslConns" Counter "P" "TLS connections so far";
        CumReq "CumReq" Counter "P" "requests so far";
        CumStreams "CumStreams" Counter "P" "streams so far";
        DroppedLogs "DroppedLogs" Counter "P" "log lines lost";
        BytesOut "TotalBytesOut" Counter "P" "bytes sent";
        BytesSpliced "TotalSplicedBytesOut" Counter "P" "bytes sent without being copied";
        MaxconnReached "MaxconnReached" Counter "P" "times the limit on connections was met";
        Panics "Panics" Counter "P" "connections closed because of an error of ours";
        SslBusy "SslBusy" Counter "P" "clients refused because too many TLS handshakes wait";
        SslCertLookups "SslCertLookups" Counter "P" "certificates that handshakes asked for";
        SslCertMisses "SslCertMisses" Counter "P" "of these, those that had to be read first";
        SslCertFailures "SslCertFailures" Counter "P" "certificates that could not be read";
        SslCertEvictions "SslCertEvictions" Counter "P" "parsed certificates forgotten for want of room";
        SslWatchErrors "SslWatchErrors" Counter "P" "files of watched directories that were no good";
        PatternsAdded "PatternsAdded" Counter "P" "patterns of maps and ACL files added by commands and rules";
        PatternsFreed "PatternsFreed" Counter "P" "patterns of maps and ACL files removed by commands and rules";
        PatternsRefused "PatternsRefused" Counter "P" "changes of maps and ACL files by rules that were not possible";
        SslCertsExpiring "SslCertsExpiring" Gauge "P" "certificates that expire within 14 days";
        SslCertsExpired "SslCertsExpired" Gauge "P" "certificates that have expired";
        SslCertsShadowed "SslCertsShadowed" Gauge "P" "certificates in whose place others are always shown";
        Warnings "TotalWarnings" Counter "P" "warnings logged";
    }
}

counters! {
    /// What happens so often per second in a process.
    InfoRate INFO_RATE_ROWS INFO_RATES {
        Conn "ConnRate" Gauge "P" "connections from clients";
        Sess "SessRate" Gauge "P" "sessions";
        Ssl "SslRate" Gauge "P" "TLS handshakes";
        SslFrontKey "SslFrontendKeyRate" Gauge "P" "key exchanges with clients";
        SslBackKey "SslBackendKeyRate" Gauge "P" "key exchanges with servers";
        BytesOut "BytesOutRate" Gauge "P" "bytes sent, in units of 32";
    }
}

/// The names of all rows: part of the layout's fingerprint.
pub(super) fn signature() -> String {
    let tables = [STAT_ROWS, RATE_ROWS, INFO_ROWS, INFO_RATE_ROWS];
    tables.iter().flat_map(|rows| rows.iter()).map(|row| row.name).collect::<Vec<_>>().join(" ")
}

/// Requests over which a mean slides.
const MEAN_OVER: u64 = 512;

/// Adds to a word that only this process writes.
#[inline]
pub fn add(cell: &AtomicU64, n: u64) {
    cell.store(cell.load(Relaxed).wrapping_add(n), Relaxed);
}

/// Subtracts from a word that only this process writes; stops at 0.
#[inline]
pub fn sub(cell: &AtomicU64, n: u64) {
    cell.store(cell.load(Relaxed).saturating_sub(n), Relaxed);
}

/// Raises a word that only this process writes.
#[inline]
pub fn raise(cell: &AtomicU64, to: u64) {
    if cell.load(Relaxed) < to {
        cell.store(to, Relaxed);
    }
}

/// Raises a word that several processes write.
#[inline]
pub fn raise_shared(cell: &AtomicU32, to: u32) {
    if cell.load(Relaxed) < to {
        cell.fetch_max(to, Relaxed);
    }
}

/// Takes a value into a sliding mean that only this process writes.
#[inline]
pub fn slide(cell: &AtomicU64, value: u64) {
    let sum = cell.load(Relaxed);
    cell.store(sum - sum.div_ceil(MEAN_OVER).min(sum) + value, Relaxed);
}

/// The mean that [`slide`] keeps.
pub fn mean(cell: &AtomicU64) -> u64 {
    cell.load(Relaxed).div_ceil(MEAN_OVER)
}

impl RateCell {
    /// Counts events of this process and keeps its maximum.
    #[inline]
    pub fn add(&self, now_ms: u64, n: u32) {
        let mut freq = self.load();
        let now = freq.add(now_ms, 1000, n);
        self.start.store(freq.start, Relaxed);
        self.before.store(freq.before, Relaxed);
        self.now.store(now, Relaxed);
        if self.max.load(Relaxed) < now {
            self.max.store(now, Relaxed);
        }
    }

    /// Events in the last second.
    #[inline]
    pub fn rate(&self, now_ms: u64) -> u32 {
        self.load().rate(now_ms, 1000)
    }

    /// The words as one value.
    #[inline]
    pub fn load(&self) -> Freq {
        Freq {
            start: self.start.load(Relaxed),
            now: self.now.load(Relaxed),
            before: self.before.load(Relaxed),
        }
    }
}

/// Adds the lines of several processes up. `alive` says which of them live: only their gauges count.
pub fn sum<'a>(
    stat: Stat,
    lines: impl Iterator<Item = (&'a CounterLine, bool)>,
    base: Option<&'a CounterLine>,
) -> u64 {
    let cell = |line: &'a CounterLine| &line.cells[stat as usize];
    match stat.row().kind {
        Kind::Counter => {
            let sum = lines.fold(0u64, |n, (line, _)| n.wrapping_add(cell(line).load(Relaxed)));
            sum.wrapping_sub(base.map_or(0, |base| cell(base).load(Relaxed)))
        }
        Kind::Gauge => lines.filter(|(_, alive)| *alive).map(|(line, _)| cell(line).load(Relaxed)).sum(),
        Kind::Max => {
            lines.map(|(line, _)| line).chain(base).map(|line| cell(line).load(Relaxed)).max().unwrap_or(0)
        }
        Kind::Mean => {
            let means = lines.map(|(line, _)| mean(cell(line))).filter(|mean| *mean > 0);
            let (sum, count) = means.fold((0, 0), |(sum, count), mean| (sum + mean, count + 1));
            sum / u64::max(count, 1)
        }
    }
}
