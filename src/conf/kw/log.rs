//! `log`, `log-tag` and what belongs to them, in `global` and in proxies.

use super::value;
use crate::conf::addr::{self, DatagramAddr};
use crate::conf::draft::{GlobalDraft, LineCx, ProxyDraft};
use crate::conf::driver::{doc, row, switch, Keyword, Places, Prefix};
use crate::lang::diag::Diag;
use crate::lang::word::{Word, Words};
use crate::plan::log::{LogAddr, Sample};
use crate::plan::proxy::Capture;
use crate::plan::{Facility, LogFormat, LogLevel, LogTarget};

const LOG_TEXT: &str = "The address is a UDP address (port 514 unless written), the path of a UNIX socket, stdout, \
    stderr or fd@<n>. \"len\" bounds a line (80 to 65535, default 1024). Formats: local, rfc3164, rfc5424, priority, \
    short, timed, iso, raw. Lines less urgent than <max> are left out; lines more urgent than <min> are sent as <min>. \
    Sending never waits: what a slow reader cannot take is dropped and counted.";

/// Keywords of `global`.
pub const GLOBAL_ROWS: &[Keyword<GlobalDraft>] = &[
    row(
        "log",
        Places::GLOBAL,
        |words, draft, cx| {
            let target = target(words, cx)?;
            draft.global.logs.push(target);
            Ok(())
        },
        doc(
            "log <address> [len <n>] [sample <ranges>:<size>] [format <format>] <facility> [<max> [<min>]]",
            "where log lines go",
            LOG_TEXT,
            "log 127.0.0.1:514 len 2048 local0 info",
        ),
    ),
    row(
        "log-send-hostname",
        Places::GLOBAL,
        |words, draft, _| {
            let name = match words.next() {
                Some(word) => value::text(word)?,
                None => hostname(),
            };
            draft.global.log_hostname = Some(name);
            Ok(())
        },
        doc(
            "log-send-hostname [<name>]",
            "put the name of this host into log lines",
            "The system's name unless one is given.",
            "log-send-hostname edge1",
        ),
    ),
    row(
        "log-tag",
        Places::GLOBAL,
        |words, draft, _| {
            draft.global.log_tag = value::text(words.need("a tag")?)?;
            Ok(())
        },
        doc("log-tag <tag>", "the program name in log lines", "", "log-tag edge"),
    ),
];

/// Keywords of proxies.
pub const PROXY_ROWS: &[Keyword<ProxyDraft>] = &[
    row(
        "capture cookie",
        Places::FRONT_ONLY,
        |words, draft, _| {
            let name = words.need("the beginning of a cookie")?;
            if name.text.is_empty() {
                return Err(name.err("the name is empty"));
            }
            draft.proxy.cookie_capture = Some((name.text.clone(), capture_len(words)?));
            Ok(())
        },
        doc(
            "capture cookie <name> len <bytes>",
            "keep a cookie for logs, of requests and of answers",
            "The first one that begins so is kept with its name, cut to its length; \"name=\" means just this name. \
             \"%CC\" and \"%CS\" show them.",
            "capture cookie SESSION= len 32",
        ),
    ),
    row(
        "capture request",
        Places::FRONT_ONLY,
        |words, draft, _| {
            let capture = capture(words)?;
            draft.proxy.req_captures.push(capture);
            Ok(())
        },
        doc(
            "capture request header <name> len <bytes>",
            "keep a request field for logs and rules",
            "The last field of the name is kept, cut to its length. \"%hr\" and \"option httplog\" show all of them; \
             capture.req.hdr(<n>) is the n-th, from 0.",
            "capture request header Host len 64",
        ),
    ),
    row(
        "capture response",
        Places::FRONT_ONLY,
        |words, draft, _| {
            let capture = capture(words)?;
            draft.proxy.res_captures.push(capture);
            Ok(())
        },
        doc(
            "capture response header <name> len <bytes>",
            "keep a response field for logs and rules",
            "",
            "capture response header Location len 128",
        ),
    ),
    row(
        "declare capture",
        Places::FRONT_ONLY,
        |words, draft, _| {
            let which = words.need("request or response")?;
            let slots = match which.text.as_str() {
                "request" => &mut draft.proxy.req_captures,
                "response" => &mut draft.proxy.res_captures,
                _ => return Err(which.not_one_of("side", &["request", "response"])),
            };
            slots.push(Capture { name: None, len: capture_len(words)? });
            Ok(())
        },
        doc(
            "declare capture request|response len <bytes>",
            "a slot that rules fill",
            "It has the next free number.",
            "declare capture request len 32",
        ),
    ),
    switch(
        "log",
        Places::PROXY,
        |words, draft, cx| {
            if cx.prefix != Prefix::None {
                draft.log_global = false;
                draft.proxy.logs.clear();
                return Ok(());
            }
            if words.eat("global") {
                draft.log_global = true;
                return Ok(());
            }
            let target = target(words, cx)?;
            draft.proxy.logs.push(target);
            Ok(())
        },
        doc(
            "log global | log <address> [len <n>] [sample <ranges>:<size>] [format <format>] <facility> [<max> [<min>]]",
            "where the lines of this proxy go",
            LOG_TEXT,
            "log global",
        ),
    ),
    row(
        "error-log-format",
        Places::FRONT,
        |words, draft, cx| {
            draft.error_log_format = Some((words.need("a format")?.clone(), cx.section));
            Ok(())
        },
        doc(
            "error-log-format <format>",
            "the shape of the log line of connections that failed before a request",
            "",
            "error-log-format \"%ci:%cp [%t] %ft %ST\"",
        ),
    ),
    row(
        "log-format",
        Places::PROXY,
        |words, draft, cx| {
            draft.log_format = Some((words.need("a format")?.clone(), cx.section));
            draft.proxy.log_style = crate::plan::proxy::LogStyle::Custom;
            Ok(())
        },
        doc(
            "log-format <format>",
            "the shape of log lines",
            "Put it in quotes. See the chapter on log formats for its words.",
            "log-format \"%ci:%cp [%t] %ft %b/%s %ST %B\"",
        ),
    ),
    row(
        "unique-id-format",
        Places::FRONT,
        |words, draft, cx| {
            draft.unique_id_format = Some((words.need("a format")?.clone(), cx.section));
            Ok(())
        },
        doc(
            "unique-id-format <format>",
            "what names a request in logs, headers and on the way to servers",
            "Made once for each request. \"%ID\" and the fetch unique-id show it.",
            "unique-id-format \"%ci:%cp_%Ts_%rt:%pid\"",
        ),
    ),
    row(
        "unique-id-header",
        Places::FRONT,
        |words, draft, _| {
            draft.proxy.unique_id_header = Some(super::option_http::header_name(words.need("a header name")?)?);
            Ok(())
        },
        doc("unique-id-header <name>", "the request field that carries the unique id", "", "unique-id-header X-Request-Id"),
    ),
    row(
        "log-tag",
        Places::PROXY,
        |words, draft, _| {
            draft.proxy.log_tag = Some(value::text(words.need("a tag")?)?);
            Ok(())
        },
        doc("log-tag <tag>", "the program name in log lines of this proxy", "", "log-tag shop"),
    ),
];

/// `header <name> len <bytes>`.
fn capture(words: &mut Words<'_>) -> Result<Capture, Diag> {
    let word = words.need("header")?;
    if !word.is("header") {
        return Err(word.not_one_of("word", &["header"]));
    }
    let name = super::option_http::header_name(words.need("a header name")?)?;
    Ok(Capture { name: Some(name), len: capture_len(words)? })
}

/// `len <bytes>`.
fn capture_len(words: &mut Words<'_>) -> Result<usize, Diag> {
    let word = words.need("len")?;
    if !word.is("len") {
        return Err(word.not_one_of("word", &["len"]));
    }
    Ok(words.need("a number of bytes")?.int_in(1..=65_536)? as usize)
}

/// The words behind `log`.
fn target(words: &mut Words<'_>, cx: &LineCx<'_>) -> Result<LogTarget, Diag> {
    let word = words.need("an address, or \"global\"")?;
    let mut target = LogTarget::new(destination(word, cx)?, Facility::Local0);
    loop {
        let option = words.need("a facility (like local0)")?;
        match option.text.as_str() {
            "len" => {
                let range = *LogTarget::LEN_RANGE.start() as i64..=*LogTarget::LEN_RANGE.end() as i64;
                target.len = words.need("a length")?.int_in(range)? as usize;
            }
            "format" => {
                let word = words.need("a format")?;
                let known: Vec<&str> = LogFormat::ALL.iter().map(|(_, text)| *text).collect();
                target.format =
                    LogFormat::parse(&word.text).ok_or_else(|| word.not_one_of("log format", &known))?;
            }
            "sample" => target.sample = Some(sample(words.need("ranges and a size")?)?),
            "profile" => return Err(option.err("\"profile\" is known, not supported yet")),
            _ => {
                target.facility = Facility::parse(&option.text).ok_or_else(|| unknown_facility(option))?;
                break;
            }
        }
    }
    if let Some(word) = words.next() {
        target.max = level(word)?;
    }
    if let Some(word) = words.next() {
        target.min = level(word)?;
    }
    Ok(target)
}

fn destination(word: &Word, cx: &LineCx<'_>) -> Result<LogAddr, Diag> {
    match word.text.as_str() {
        "stdout" => return Ok(LogAddr::Fd(1)),
        "stderr" => return Ok(LogAddr::Fd(2)),
        ring if ring.starts_with("ring@") || ring.starts_with("backend@") => {
            return Err(word.err(format!("log target \"{ring}\" is known, not supported yet")));
        }
        _ => {}
    }
    Ok(match addr::datagram(word, 514, cx.resolve)? {
        DatagramAddr::Udp(addr) => LogAddr::Udp(addr),
        DatagramAddr::Unix(path) => LogAddr::Unix(path),
        DatagramAddr::Fd(fd) => LogAddr::Fd(fd),
    })
}

fn unknown_facility(word: &Word) -> Diag {
    let known: Vec<&str> = Facility::ALL.iter().map(|(_, text)| *text).collect();
    let diag = word.err(format!("unknown log facility \"{}\"", word.text));
    match crate::lang::suggest::did_you_mean(&word.text, known.iter().copied()) {
        Some(help) => diag.help(help),
        None => diag.help("facilities are kern, user, mail, daemon, auth, syslog, ... local0 to local7"),
    }
}

fn level(word: &Word) -> Result<LogLevel, Diag> {
    let known: Vec<&str> = LogLevel::ALL.iter().map(|(_, text)| *text).collect();
    LogLevel::parse(&word.text).ok_or_else(|| word.not_one_of("log level", &known))
}

/// `1,3-5:8`.
fn sample(word: &Word) -> Result<Sample, Diag> {
    let bad = || word.err(format!("expected ranges and a size like 1,3-4:5, found \"{}\"", word.text));
    let (list, size) = word.text.split_once(':').ok_or_else(bad)?;
    let size: u32 = size.parse().ok().filter(|size| *size > 0).ok_or_else(bad)?;
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for part in list.split(',') {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        let range = (low.parse().map_err(|_| bad())?, high.parse().map_err(|_| bad())?);
        if range.0 < 1 || range.0 > range.1 || range.1 > size {
            return Err(bad());
        }
        ranges.push(range);
    }
    ranges.sort_unstable();
    if ranges.windows(2).any(|pair| pair[0].1 >= pair[1].0) {
        return Err(word.err("the ranges overlap"));
    }
    Ok(Sample { ranges, size })
}

fn hostname() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "localhost".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_ranges_of_a_period() {
        assert_eq!(
            sample(&Word::plain("3-4,1:5")).unwrap(),
            Sample { ranges: vec![(1, 1), (3, 4)], size: 5 }
        );
        for text in ["", "1", "1:", ":5", "0:5", "1-6:5", "4-3:5", "1,1:5", "x:5", "1:0"] {
            assert!(sample(&Word::plain(text)).is_err(), "{text}");
        }
    }
}
