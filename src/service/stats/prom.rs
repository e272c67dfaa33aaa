//! The rows of `show stat` in the text form that Prometheus reads (version 0.0.4), under the names
//! that dashboards for HAProxy know.

use super::columns::{Col, Row, RowKind, COLUMNS};
use super::value::Value;
use std::fmt::Write;

/// How a value is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Milliseconds, written as seconds.
    Millis,
    /// One line per state, 1 for the one that holds.
    State,
    /// Counter of responses whose status begins with that digit, as a label.
    Code(&'static str),
}

/// One column under its name for Prometheus.
struct Metric {
    col: Col,
    name: &'static str,
    shape: Shape,
}

macro_rules! metrics {
    ($($col:ident $name:literal $shape:expr;)*) => {
        const METRICS: &[Metric] = &[$(Metric { col: Col::$col, name: $name, shape: $shape },)*];
    };
}

metrics! {
    Qcur "current_queue" Shape::Gauge;
    Qmax "max_queue" Shape::Gauge;
    Scur "current_sessions" Shape::Gauge;
    Smax "max_sessions" Shape::Gauge;
    Slim "limit_sessions" Shape::Gauge;
    Stot "sessions_total" Shape::Counter;
    Rate "current_session_rate" Shape::Gauge;
    RateLim "limit_session_rate" Shape::Gauge;
    RateMax "max_session_rate" Shape::Gauge;
    Bin "bytes_in_total" Shape::Counter;
    Bout "bytes_out_total" Shape::Counter;
    Dreq "requests_denied_total" Shape::Counter;
    Dresp "responses_denied_total" Shape::Counter;
    Ereq "request_errors_total" Shape::Counter;
    Econ "connection_errors_total" Shape::Counter;
    Eresp "response_errors_total" Shape::Counter;
    Wretr "retry_warnings_total" Shape::Counter;
    Wredis "redispatch_warnings_total" Shape::Counter;
    Status "status" Shape::State;
    Weight "weight" Shape::Gauge;
    Act "active_servers" Shape::Gauge;
    Bck "backup_servers" Shape::Gauge;
    Chkfail "check_failures_total" Shape::Counter;
    Chkdown "check_up_down_total" Shape::Counter;
    Lastchg "check_last_change_seconds" Shape::Gauge;
    Downtime "downtime_seconds_total" Shape::Counter;
    Qlimit "queue_limit" Shape::Gauge;
    Throttle "current_throttle" Shape::Gauge;
    Lbtot "loadbalanced_total" Shape::Counter;
    CheckCode "check_code" Shape::Gauge;
    CheckDuration "check_duration_seconds" Shape::Millis;
    Hrsp1xx "http_responses_total" Shape::Code("1xx");
    Hrsp2xx "http_responses_total" Shape::Code("2xx");
    Hrsp3xx "http_responses_total" Shape::Code("3xx");
    Hrsp4xx "http_responses_total" Shape::Code("4xx");
    Hrsp5xx "http_responses_total" Shape::Code("5xx");
    HrspOther "http_responses_total" Shape::Code("other");
    ReqRateMax "http_requests_rate_max" Shape::Gauge;
    ReqTot "http_requests_total" Shape::Counter;
    CliAbrt "client_aborts_total" Shape::Counter;
    SrvAbrt "server_aborts_total" Shape::Counter;
    CompIn "http_comp_bytes_in_total" Shape::Counter;
    CompOut "http_comp_bytes_out_total" Shape::Counter;
    CompByp "http_comp_bytes_bypassed_total" Shape::Counter;
    CompRsp "http_comp_responses_total" Shape::Counter;
    Lastsess "last_session_seconds" Shape::Gauge;
    Qtime "queue_time_average_seconds" Shape::Millis;
    Ctime "connect_time_average_seconds" Shape::Millis;
    Rtime "response_time_average_seconds" Shape::Millis;
    Ttime "total_time_average_seconds" Shape::Millis;
    ConnRateMax "connections_rate_max" Shape::Gauge;
    ConnTot "connections_total" Shape::Counter;
    Intercepted "intercepted_requests_total" Shape::Counter;
    Dcon "denied_connections_total" Shape::Counter;
    Dses "denied_sessions_total" Shape::Counter;
    Wrew "failed_header_rewriting_total" Shape::Counter;
    Connect "connection_attempts_total" Shape::Counter;
    Reuse "connection_reuses_total" Shape::Counter;
    CacheLookups "http_cache_lookups_total" Shape::Counter;
    CacheHits "http_cache_hits_total" Shape::Counter;
    SrvIcur "idle_connections_current" Shape::Gauge;
    SrcIlim "idle_connections_limit" Shape::Gauge;
    QtimeMax "max_queue_time_seconds" Shape::Millis;
    CtimeMax "max_connect_time_seconds" Shape::Millis;
    RtimeMax "max_response_time_seconds" Shape::Millis;
    TtimeMax "max_total_time_seconds" Shape::Millis;
    Eint "internal_errors_total" Shape::Counter;
    IdleConnCur "unsafe_idle_connections_current" Shape::Gauge;
    SafeConnCur "safe_idle_connections_current" Shape::Gauge;
    UsedConnCur "used_connections_current" Shape::Gauge;
    NeedConnEst "need_connections_current" Shape::Gauge;
    Uweight "uweight" Shape::Gauge;
}

const KINDS: [RowKind; 4] = [RowKind::Frontend, RowKind::Listener, RowKind::Backend, RowKind::Server];

/// Writes all rows: metric by metric, as the format asks for.
pub fn write_rows(out: &mut String, rows: &[Row]) {
    for kind in KINDS {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.kind == kind).collect();
        let prefix = kind.name().to_ascii_lowercase();
        let mut last = "";
        for metric in METRICS.iter().filter(|metric| rows.iter().any(|row| row.get(metric.col).is_some())) {
            if metric.name != last {
                write_head(out, &prefix, metric);
            }
            last = metric.name;
            for row in &rows {
                write_row(out, &prefix, metric, row);
            }
        }
    }
}

fn write_head(out: &mut String, prefix: &str, metric: &Metric) {
    let name = metric.name;
    let kind = match metric.shape {
        Shape::Counter | Shape::Code(_) => "counter",
        Shape::Gauge | Shape::Millis | Shape::State => "gauge",
    };
    let brief = match metric.shape {
        Shape::Code(_) => "responses by status".to_owned(),
        Shape::Millis => COLUMNS[metric.col as usize].brief.replace("milliseconds", "seconds"),
        _ => COLUMNS[metric.col as usize].brief.to_owned(),
    };
    // Writing to memory cannot fail.
    let _ = writeln!(out, "# HELP haproxy_{prefix}_{name} {brief}\n# TYPE haproxy_{prefix}_{name} {kind}");
}

fn write_row(out: &mut String, prefix: &str, metric: &Metric, row: &Row) {
    let Some(value) = row.get(metric.col) else { return };
    let text = |col| row.get(col).map_or(String::new(), Value::to_string);
    let mut labels = format!("proxy=\"{}\"", escaped(&text(Col::Pxname)));
    if matches!(row.kind, RowKind::Server | RowKind::Listener) {
        let _ = write!(labels, ",{prefix}=\"{}\"", escaped(&text(Col::Svname)));
    }
    let mut line = |labels: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(out, "haproxy_{prefix}_{}{{{labels}}} {value}", metric.name);
    };
    match (metric.shape, value) {
        (Shape::State, value) => {
            let (states, now) = states(row.kind, &value.to_string());
            for state in states {
                line(&format!("{labels},state=\"{state}\""), &u8::from(*state == now));
            }
        }
        (Shape::Code(code), value) => line(&format!("{labels},code=\"{code}\""), value),
        (Shape::Millis, Value::U32(ms)) => line(&labels, &(f64::from(*ms) / 1000.0)),
        (Shape::Millis, Value::U64(ms)) => line(&labels, &(*ms as f64 / 1000.0)),
        (_, value) => line(&labels, value),
    }
}

/// The states a kind can be in, and the one that column `status` means.
fn states(kind: RowKind, status: &str) -> (&'static [&'static str], &'static str) {
    match kind {
        RowKind::Frontend | RowKind::Backend => {
            (&["DOWN", "UP"], if matches!(status, "DOWN" | "STOP" | "PAUSED") { "DOWN" } else { "UP" })
        }
        RowKind::Listener => (
            &["WAITING", "OPEN", "FULL"],
            match status {
                "OPEN" => "OPEN",
                "FULL" => "FULL",
                _ => "WAITING",
            },
        ),
        RowKind::Server => (
            &["DOWN", "UP", "MAINT", "DRAIN", "NOLB"],
            match status {
                s if s.starts_with("DOWN") => "DOWN",
                s if s.starts_with("MAINT") => "MAINT",
                s if s.starts_with("DRAIN") => "DRAIN",
                s if s.starts_with("NOLB") => "NOLB",
                _ => "UP",
            },
        ),
    }
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_heads_labels_and_units() {
        let mut server = Row::new(RowKind::Server, 2, 1);
        server.set(Col::Pxname, "be\"1\"");
        server.set(Col::Svname, "s1");
        server.set(Col::Status, "no check");
        server.set(Col::Qtime, 1500u32);
        server.set(Col::Hrsp2xx, 7u64);
        server.set(Col::Hrsp5xx, 1u64);
        let mut front = Row::new(RowKind::Frontend, 2, 0);
        front.set(Col::Pxname, "fe");
        front.set(Col::Stot, 3u64);
        let mut out = String::new();
        write_rows(&mut out, &[server, front]);
        assert_eq!(
            out,
            "# HELP haproxy_frontend_sessions_total sessions so far\n\
             # TYPE haproxy_frontend_sessions_total counter\n\
             haproxy_frontend_sessions_total{proxy=\"fe\"} 3\n\
             # HELP haproxy_server_status whether it takes traffic\n\
             # TYPE haproxy_server_status gauge\n\
             haproxy_server_status{proxy=\"be\\\"1\\\"\",server=\"s1\",state=\"DOWN\"} 0\n\
             haproxy_server_status{proxy=\"be\\\"1\\\"\",server=\"s1\",state=\"UP\"} 1\n\
             haproxy_server_status{proxy=\"be\\\"1\\\"\",server=\"s1\",state=\"MAINT\"} 0\n\
             haproxy_server_status{proxy=\"be\\\"1\\\"\",server=\"s1\",state=\"DRAIN\"} 0\n\
             haproxy_server_status{proxy=\"be\\\"1\\\"\",server=\"s1\",state=\"NOLB\"} 0\n\
             # HELP haproxy_server_http_responses_total responses by status\n\
             # TYPE haproxy_server_http_responses_total counter\n\
             haproxy_server_http_responses_total{proxy=\"be\\\"1\\\"\",server=\"s1\",code=\"2xx\"} 7\n\
             haproxy_server_http_responses_total{proxy=\"be\\\"1\\\"\",server=\"s1\",code=\"5xx\"} 1\n\
             # HELP haproxy_server_queue_time_average_seconds average seconds in the queue, last 1024 \
             requests\n\
             # TYPE haproxy_server_queue_time_average_seconds gauge\n\
             haproxy_server_queue_time_average_seconds{proxy=\"be\\\"1\\\"\",server=\"s1\"} 1.5\n"
        );
    }
}
