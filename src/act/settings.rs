//! Actions that change how a stream is treated: its timeouts, its log level, its place among others, the
//! marks of its packets.

use super::ActionKw;
use crate::expr::compile::{expr_words, Expr, ParseCx};
use crate::expr::sample::{Sample, Ty};
use crate::expr::view::{LogLevelSetting, Settings, Timeout};
use crate::lang::diag::Diag;
use crate::lang::suggest::list_of;
use crate::lang::word::{parse_time_us, Unit, Word, Words};
use crate::plan::rule::{Act, Action, ActionCx, Sites};
use crate::plan::LogLevel;

/// Where a stream is there.
const STREAM: Sites = Sites::TCP_REQ.or(Sites::HTTP_REQ);
const BOTH_WAYS: Sites = STREAM.or(Sites::TCP_RES).or(Sites::HTTP_RES);
const EVERYWHERE: Sites = Sites::TCP.or(Sites::HTTP_REQ).or(Sites::HTTP_RES);

/// The rows of this family.
pub const ROWS: &[ActionKw] = &[
    ActionKw::new(
        "disable-l7-retry",
        Sites::HTTP_REQ,
        |_, _| Ok(fixed(|s, _| s.no_l7_retry = true, 0)),
        "disable-l7-retry",
        "a request that failed after it was sent is not sent again",
        "http-request disable-l7-retry if METH_POST",
    ),
    ActionKw::new(
        "do-log",
        Sites::ANY,
        |_, _| Ok(Box::new(DoLog)),
        "do-log",
        "writes a log line now",
        "http-request do-log if { path_beg /pay }",
    )
    .text("Besides the one that is written at the end, and in the same format; what is not known yet shows as it would there."),
    ActionKw::new(
        "expect-proxy",
        Sites::TCP_CONN,
        |w, _| {
            let layer = w.need("\"layer4\"")?;
            match layer.is("layer4") {
                true => Ok(fixed(|s, _| s.expect_proxy = true, 0)),
                false => Err(layer.not_one_of("word", &["layer4"])),
            }
        },
        "expect-proxy layer4",
        "the connection must begin with a PROXY header",
        "tcp-request connection expect-proxy layer4 if { src 192.0.2.1 }",
    )
    .text("As \"accept-proxy\" on the bind line, for some clients only."),
    ActionKw::new(
        "set-bc-mark",
        STREAM,
        |w, _| mark(|s, n| s.back_mark = Some(n as u32), w),
        "set-bc-mark <mark>",
        "marks packets to the server",
        "http-request set-bc-mark 0x10",
    ),
    ActionKw::new(
        "set-bc-tos",
        STREAM,
        |w, _| tos(|s, n| s.back_tos = Some(n as u8), w),
        "set-bc-tos <tos>",
        "sets the type of service of packets to the server",
        "http-request set-bc-tos 0x20",
    ),
    ActionKw::new(
        "set-fc-mark",
        EVERYWHERE,
        |w, _| mark(|s, n| s.mark = Some(n as u32), w),
        "set-fc-mark <mark>",
        "marks packets to the client",
        "http-request set-fc-mark 0x10",
    ),
    ActionKw::new(
        "set-fc-tos",
        EVERYWHERE,
        |w, _| tos(|s, n| s.tos = Some(n as u8), w),
        "set-fc-tos <tos>",
        "sets the type of service of packets to the client",
        "http-request set-fc-tos 0x20",
    ),
    ActionKw::new(
        "set-log-level",
        BOTH_WAYS.or(Sites::HTTP_AFTER),
        log_level,
        "set-log-level <level>",
        "sets the level of the log line",
        "http-request set-log-level silent if { path /alive }",
    )
    .text("One of the syslog levels, or silent: no line at all."),
    ActionKw::new(
        "set-mark",
        EVERYWHERE,
        |w, _| mark(|s, n| s.mark = Some(n as u32), w),
        "set-mark <mark>",
        "older word for \"set-fc-mark\"",
        "http-request set-mark 0x10",
    )
    .text("Routing and packet filters see the mark. Needs privileges."),
    ActionKw::new(
        "set-nice",
        BOTH_WAYS,
        |w, _| {
            let nice = w.need("a number")?.int_in(-1024..=1024)?;
            Ok(fixed(|s, n| s.nice = Some(n as i16), nice))
        },
        "set-nice <number>",
        "how gladly this stream lets others go first",
        "http-request set-nice 512 if { path_beg /batch }",
    )
    .text("From -1024 (more important) to 1024 (less)."),
    ActionKw::new(
        "set-priority-class",
        STREAM,
        |w, cx| worked_out(|s, n| s.priority_class = Some(n.clamp(-2047, 2047) as i16), w, cx),
        "set-priority-class <expr>",
        "its class in queues: lower ones go first",
        "http-request set-priority-class int(-1) if { path_beg /pay }",
    ),
    ActionKw::new(
        "set-priority-offset",
        STREAM,
        |w, cx| worked_out(|s, n| s.priority_offset = Some(n.clamp(-524_287, 524_287) as i32), w, cx),
        "set-priority-offset <expr>",
        "milliseconds it seems to have come later into a queue",
        "http-request set-priority-offset int(-2000) if { path_beg /pay }",
    ),
    ActionKw::new(
        "set-retries",
        STREAM,
        |w, cx| match w.peek().filter(|word| word.text.bytes().all(|b| b.is_ascii_digit())) {
            None => worked_out(|s, n| s.retries = Some(n.clamp(0, 100) as u32), w, cx),
            Some(word) => {
                w.next();
                Ok(fixed(|s, n| s.retries = Some(n as u32), word.int_in(0..=100)?))
            }
        },
        "set-retries <number>|<expr>",
        "attempts to connect after the first failed, in place of \"retries\"",
        "http-request set-retries 0 if METH_POST",
    ),
    ActionKw::new(
        "set-timeout",
        STREAM.or(Sites::HTTP_RES),
        timeout,
        "set-timeout <which> <time>|<expr>",
        "sets a timeout of this stream",
        "http-request set-timeout server 2m if { path_beg /report }",
    )
    .text(
        "Which is one of client, server, tunnel, connect, queue, tarpit. An expression yields milliseconds.",
    ),
    ActionKw::new(
        "set-tos",
        EVERYWHERE,
        |w, _| tos(|s, n| s.tos = Some(n as u8), w),
        "set-tos <tos>",
        "older word for \"set-fc-tos\"",
        "http-request set-tos 0x20",
    ),
    ActionKw::new(
        "strict-mode",
        Sites::HTTP,
        |w, _| {
            let on = w.need("on or off")?.on_off()?;
            Ok(fixed(|s, lenient| s.lenient = lenient != 0, i64::from(!on)))
        },
        "strict-mode on|off",
        "whether an edit that is refused fails the message",
        "http-request strict-mode off",
    )
    .text("For the rules behind it in the same set. It is on unless said otherwise."),
];

struct DoLog;

impl Action for DoLog {
    fn run<'p>(&'p self, _: &mut ActionCx<'_>) -> Act<'p> {
        Act::Log
    }
}

type Change = fn(&mut Settings, i64);

/// Sets something to a number known at load time.
struct Fixed {
    change: Change,
    to: i64,
}

fn fixed(change: Change, to: i64) -> Box<dyn Action> {
    Box::new(Fixed { change, to })
}

impl Action for Fixed {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        (self.change)(&mut cx.txn.settings, self.to);
        Act::Next
    }
}

/// Sets something to what an expression yields; nothing changes when it yields nothing.
struct WorkedOut {
    change: Change,
    to: Expr,
}

fn worked_out(change: Change, words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    Ok(Box::new(WorkedOut { change, to: expr_words(words, cx)? }))
}

impl Action for WorkedOut {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        if let Some(Sample::Int(n)) = self.to.eval_as(&cx.facts(), Ty::Int).now() {
            (self.change)(&mut cx.txn.settings, n);
        }
        Act::Next
    }
}

/// A number in decimal or, after `0x`, in hexadecimal.
fn number(word: &Word, max: i64) -> Result<i64, Diag> {
    let parsed = match word.text.strip_prefix("0x").or(word.text.strip_prefix("0X")) {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => word.text.parse().ok(),
    };
    match parsed.filter(|n| (0..=max).contains(n)) {
        Some(n) => Ok(n),
        None => {
            Err(word
                .err(format!("expected a number from 0 to {max} (or 0x{max:x}), found \"{}\"", word.text)))
        }
    }
}

fn mark(change: Change, words: &mut Words<'_>) -> Result<Box<dyn Action>, Diag> {
    Ok(fixed(change, number(words.need("a mark")?, u32::MAX.into())?))
}

fn tos(change: Change, words: &mut Words<'_>) -> Result<Box<dyn Action>, Diag> {
    Ok(fixed(change, number(words.need("a type of service")?, 255)?))
}

struct Level(LogLevelSetting);

fn log_level(words: &mut Words<'_>, _: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let word = words.need("a level")?;
    if word.is("silent") {
        return Ok(Box::new(Level(LogLevelSetting::Silent)));
    }
    match LogLevel::ALL.iter().find(|(_, name)| word.is(name)) {
        Some((level, _)) => Ok(Box::new(Level(LogLevelSetting::Level(*level as u8)))),
        None => {
            let known: Vec<&str> = LogLevel::ALL.iter().map(|(_, name)| *name).chain(["silent"]).collect();
            Err(word.not_one_of("level", &known))
        }
    }
}

impl Action for Level {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        cx.txn.settings.log_level = Some(self.0);
        Act::Next
    }
}

/// A timeout that is worked out, milliseconds.
struct Limit {
    which: Timeout,
    to: Expr,
}

/// A timeout that is known at load time, milliseconds.
struct FixedLimit {
    which: Timeout,
    to: u32,
}

fn timeout(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let word = words.need("which timeout")?;
    let Some((which, _)) = Timeout::ALL.iter().find(|(_, name)| word.is(name)) else {
        let known = Timeout::ALL.map(|(_, name)| name);
        return Err(word.err(format!("unknown timeout \"{}\", expected {}", word.text, list_of(&known))));
    };
    match words.peek() {
        Some(time) if parse_time_us(&time.text, Unit::Ms).is_ok() => {
            words.next();
            Ok(Box::new(FixedLimit { which: *which, to: time.time_ms()? }))
        }
        _ => Ok(Box::new(Limit { which: *which, to: expr_words(words, cx)? })),
    }
}

impl Action for FixedLimit {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        cx.txn.settings.timeouts[self.which as usize] = Some(self.to);
        Act::Next
    }
}

impl Action for Limit {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        let value = self.to.eval_as(&cx.facts(), Ty::Int).now();
        if let Some(Sample::Int(ms @ 1..)) = value {
            cx.txn.settings.timeouts[self.which as usize] = Some(u32::try_from(ms).unwrap_or(u32::MAX));
        }
        Act::Next
    }
}
