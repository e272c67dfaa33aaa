//! What is printed: a line per second with constant columns, then a summary. Pure: numbers in, text out.

use std::fmt::Write;

use hdrhistogram::Histogram;

use crate::counters::{Totals, TROUBLES};
use crate::histogram::Times;
use crate::options::Form;
use crate::units::{count, time};

/// The comment line above the columns.
pub fn header(form: Form, status: bool) -> String {
    let classes = if status { "   1xx   2xx   3xx   4xx   5xx" } else { "" };
    match form {
        Form::Short => {
            format!("#     time conns tot_conn  tot_req      tot_bytes    err  cps  rps  bps   ttfb{classes}")
        }
        Form::Long => format!(
            "#     time conns tot_conn  tot_req      tot_bytes    err  cps  rps  bps   ttfb{}",
            classes.replace("   ", " ")
        ),
        Form::Raw => format!(
            "#_____time conns tot_conn tot_req tot_bytes err thr cps rps Bps bps ttfb(us) ttlb(us){}",
            classes.replace("   ", " ")
        ),
    }
}

/// Two moments of a run.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// Seconds since the start.
    pub elapsed: f64,
    /// Seconds since the epoch.
    pub epoch: f64,
    /// Seconds between the two.
    pub span: f64,
    /// The counters at the former one.
    pub before: &'a Totals,
    /// The counters now.
    pub now: &'a Totals,
    /// Per cent of the connections that the ramp lets open.
    pub throttle: u32,
}

fn per_second(now: u64, before: u64, span: f64) -> u64 {
    (now.saturating_sub(before) as f64 / span.max(1e-9)).round() as u64
}

fn mean(sum: u64, before: u64, n: u64, n_before: u64) -> Option<f64> {
    let count = n.saturating_sub(n_before);
    (count > 0).then(|| sum.saturating_sub(before) as f64 / count as f64)
}

/// One line.
pub fn line(form: Form, status: bool, m: &Moment<'_>) -> String {
    let (a, b) = (m.before, m.now);
    let cps = per_second(b.tot_conn, a.tot_conn, m.span);
    let rps = per_second(b.tot_req, a.tot_req, m.span);
    let bytes = per_second(b.tot_bytes, a.tot_bytes, m.span);
    let ttfb = mean(b.ttfb_us, a.ttfb_us, b.ttfb_n, a.ttfb_n);
    let ttlb = mean(b.ttlb_us, a.ttlb_us, b.tot_req, a.tot_req);
    let whole = |v: Option<f64>| v.map_or("-".into(), |v| format!("{v:.0}"));
    let err = b.failures();
    let mut out = match form {
        Form::Short => format!(
            "{:10.0} {:>5} {:>8} {:>8} {:>14} {:>6} {:>4} {:>4} {:>4} {:>6}",
            m.elapsed,
            b.conns,
            count(b.tot_conn),
            count(b.tot_req),
            count(b.tot_bytes),
            count(err),
            count(cps),
            count(rps),
            count(bytes.saturating_mul(8)),
            time(ttfb),
        ),
        Form::Long => format!(
            "{:10.0} {:>5} {:>8} {:>8} {:>14} {err:>6} {cps} {rps} {} {}",
            m.elapsed,
            b.conns,
            b.tot_conn,
            b.tot_req,
            b.tot_bytes,
            bytes.saturating_mul(8),
            time(ttfb),
        ),
        Form::Raw => format!(
            "{:.0} {} {} {} {} {err} {} {cps} {rps} {bytes} {} {} {}",
            m.epoch,
            b.conns,
            b.tot_conn,
            b.tot_req,
            b.tot_bytes,
            m.throttle,
            bytes.saturating_mul(8),
            whole(ttfb),
            whole(ttlb),
        ),
    };
    if status {
        for (now, before) in b.status.iter().zip(&a.status) {
            let n = now - before;
            let _ = match form {
                Form::Short => write!(out, " {:>5}", count(n)),
                Form::Long | Form::Raw => write!(out, " {n}"),
            };
        }
    }
    out
}

/// The table behind `-P`.
pub fn percentiles(times: &Times) -> String {
    let mut out = String::from(
        "#======= Percentiles: time to first and to last byte =======\n#pctl tail invtail ttfbcnt ttfb(ms) ttlbcnt ttlb(ms)\n",
    );
    let tenths = (1..9).map(|p| f64::from(p) * 10.0);
    let units = (90..=99).map(f64::from);
    let finer =
        [99.1, 99.2, 99.3, 99.4, 99.5, 99.6, 99.7, 99.8, 99.9, 99.95, 99.98, 99.99, 99.995, 99.998, 99.999];
    for p in tenths.chain(units).chain(finer) {
        let share = p / 100.0;
        let of = |h: &Histogram<u64>| {
            ((h.len() as f64 * share).round() as u64, h.value_at_percentile(p) as f64 / 1000.0)
        };
        let ((fc, fms), (lc, lms)) = (of(&times.ttfb), of(&times.ttlb));
        let _ =
            writeln!(out, "{p} {:.5} {:.0} {fc} {fms:.3} {lc} {lms:.3}", 1.0 - share, 1.0 / (1.0 - share));
    }
    out
}

/// The summary for people at the end of a run.
pub fn summary(totals: &Totals, times: &Times, elapsed: f64) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "# {} requests on {} connections in {elapsed:.2} s: {}/s, {} bytes, {} errors",
        totals.tot_req,
        totals.tot_conn,
        count((totals.tot_req as f64 / elapsed.max(1e-9)).round() as u64),
        count(totals.tot_bytes),
        totals.failures(),
    );
    if totals.handshakes > 0 {
        let _ = writeln!(
            out,
            "# {} TLS handshakes, {} of them resumed ({:.1} %), {}/s",
            totals.handshakes,
            totals.resumed,
            totals.resumed as f64 * 100.0 / totals.handshakes as f64,
            count((totals.handshakes as f64 / elapsed.max(1e-9)).round() as u64),
        );
    }
    let _ = writeln!(
        out,
        "# {:10} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "time", "mean", "p50", "p75", "p90", "p95", "p99", "p99.9", "max"
    );
    for (name, h) in
        [("first byte", &times.ttfb), ("last byte", &times.ttlb), ("handshake", &times.handshake)]
    {
        if h.is_empty() {
            continue;
        }
        let _ = write!(out, "# {name:10} {:>8}", time(Some(h.mean())));
        for p in [50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 100.0] {
            let _ = write!(out, " {:>8}", time(Some(h.value_at_percentile(p) as f64)));
        }
        out.push('\n');
    }
    for ((_, name), n) in TROUBLES.iter().zip(totals.errors) {
        if n > 0 {
            let _ = writeln!(out, "# errors: {n} {name}");
        }
    }
    out
}

/// Signs that the injector, not the server, set the pace. `busy` and `delayed`: share of the run during which the busiest
/// process used its CPU, or waited for it.
pub fn own_limits(totals: &Totals, busy: f64, delayed: f64) -> Vec<String> {
    let mut out = Vec::new();
    if busy > 0.9 {
        out.push(format!(
            "the injector used {:.0} % of a CPU: it may be the bottleneck; more processes (-t) help",
            busy * 100.0
        ));
    } else if busy + delayed > 0.9 && delayed > 0.2 {
        out.push(format!(
            "the injector waited {:.0} % of the time for a CPU: it may be the bottleneck",
            delayed * 100.0
        ));
    }
    for ((_, name), n) in TROUBLES.iter().zip(totals.errors) {
        if n > 0 && (*name == "no local port left" || *name == "no descriptor left") {
            out.push(format!("{name}, {n} times: the injector is the bottleneck"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments() -> (Totals, Totals) {
        let before = Totals {
            tot_conn: 10,
            tot_req: 100,
            tot_bytes: 1000,
            ttfb_us: 500,
            ttfb_n: 100,
            ..Totals::default()
        };
        let now = Totals {
            conns: 64,
            tot_conn: 74,
            tot_req: 83_800,
            tot_bytes: 16_740_000,
            errors: [1, 0, 0, 0, 2, 0, 0, 0],
            status: [0, 83_700, 0, 0, 0],
            ttfb_us: 500 + 83_700 * 383,
            ttfb_n: 83_800,
            ttlb_us: 83_700 * 400,
            ..Totals::default()
        };
        (before, now)
    }

    #[test]
    fn lines_of_all_forms() {
        let (before, now) = moments();
        let m = Moment {
            elapsed: 1.0,
            epoch: 1_700_000_000.4,
            span: 1.0,
            before: &before,
            now: &now,
            throttle: 100,
        };
        let words =
            |form, status| line(form, status, &m).split_whitespace().map(str::to_string).collect::<Vec<_>>();
        assert_eq!(
            words(Form::Short, false),
            ["1", "64", "74", "83k8", "16M7", "3", "64", "83k7", "133M", "383.0u"]
        );
        assert_eq!(
            words(Form::Long, false),
            ["1", "64", "74", "83800", "16740000", "3", "64", "83700", "133912000", "383.0u"]
        );
        assert_eq!(
            words(Form::Raw, true),
            [
                "1700000000",
                "64",
                "74",
                "83800",
                "16740000",
                "3",
                "100",
                "64",
                "83700",
                "16739000",
                "133912000",
                "383",
                "400",
                "0",
                "83700",
                "0",
                "0",
                "0"
            ]
        );
        for (form, status) in
            [(Form::Short, false), (Form::Long, true), (Form::Raw, false), (Form::Raw, true)]
        {
            let columns = header(form, status).trim_start_matches('#').split_whitespace().count();
            assert_eq!(columns, words(form, status).len(), "{form:?}");
            assert!(header(form, status).starts_with('#'));
        }
    }

    #[test]
    fn a_target_that_hangs_shows_zeros() {
        let (_, now) = moments();
        let m = Moment { elapsed: 2.0, epoch: 2.0, span: 1.0, before: &now, now: &now, throttle: 100 };
        let text = line(Form::Short, false, &m);
        assert!(text.split_whitespace().skip(6).eq(["0", "0", "0", "-"]), "{text}");
    }

    #[test]
    fn the_end() {
        let (_, now) = moments();
        let mut times = Times::default();
        for us in 1..=1000 {
            times.ttfb.saturating_record(us);
            times.ttlb.saturating_record(us * 2);
        }
        let text = summary(&Totals { handshakes: 4, resumed: 3, ..now.clone() }, &times, 2.0);
        for want in [
            "83800 requests on 74 connections in 2.00 s: 41k9/s",
            "4 TLS handshakes, 3 of them resumed (75.0 %)",
            "first byte",
            "last byte",
            "errors: 1 connections refused",
            "errors: 2 closed before",
        ] {
            assert!(text.contains(want), "{want}: {text}");
        }
        assert!(!text.contains("handshake "), "{text}");
        let table = percentiles(&times);
        assert!(
            table.lines().count() > 32 && table.contains("\n50 0.50000 2 500 0.500 500 1.000\n"),
            "{table}"
        );
    }

    #[test]
    fn it_tells_its_own_limits() {
        let mut totals = Totals::default();
        assert!(own_limits(&totals, 0.5, 0.1).is_empty());
        assert_eq!(own_limits(&totals, 0.95, 0.0).len(), 1);
        assert_eq!(own_limits(&totals, 0.5, 0.45).len(), 1);
        totals.errors[1] = 7;
        assert_eq!(
            own_limits(&totals, 0.1, 0.0),
            ["no local port left, 7 times: the injector is the bottleneck"]
        );
    }
}
