//! The command line: its own options, and those of h1load that the bench harness uses. Called by `main`.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use lexopt::prelude::*;
use openssl::ssl::SslVersion;

use crate::engine::{Ending, Job};
use crate::target::Target;
use crate::tls::{names_of, Resume, Wishes};

/// What `--help` prints.
pub const HELP: &str = "\
inject: a load injector for HTTP/1.1 and TLS

usage: lighterman-inject [options] URL

Load
  -c N               connections kept busy (default 1)
  -n N               stop after N requests
  -d S               stop after S seconds
  -r N               requests per connection; the last one asks to close (default: no limit)
  -R N               requests per second offered; times then count from when a request was
                     due, so that a server that stands still shows (default: no limit)
  -s S               open the connections evenly over S seconds
  -t N, --procs N    processes (default 1)
  -w MS              longest wait for an answer (default 10000)
  -e                 stop at the first error
  -I                 HEAD instead of GET
  -H 'Name: value'   one more request header; repeatable
  --close HOW        after the last response of a connection: fin, rst, or wait for the
                     server to close (default fin)

TLS (https://)
  --tls-ver V        TLS1.2 or TLS1.3 and nothing else
  --ciphers LIST     ciphers of TLS 1.2         --ciphersuites LIST   of TLS 1.3
  --groups LIST      key exchange (default X25519:P-256; a share is sent for the first only)
  --sni NAME         the name to ask for (default: the URL's host)
  --sni-list FILE    one name per line, one after the other
  --resume HOW       none, id or ticket (default none)    --tls-reuse   same as ticket
  --merge            last handshake flight and first request in one send

Output: one line per second, then percentiles
  -l                 plain numbers in long lines, no summary
  -ll                raw columns, epoch first
  -P                 table of percentiles at the end
  -S                 columns for the status classes
  -h, --help         this text
";

/// Without -n and -d, and towards another machine, a run ends after this.
pub const SAFE_DURATION: Duration = Duration::from_secs(10);

/// Form of the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// For people.
    #[default]
    Short,
    /// Plain integers.
    Long,
    /// All raw, epoch first.
    Raw,
}

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The work of all processes together.
    pub job: Job,
    /// Processes.
    pub procs: usize,
    /// Form of the lines.
    pub form: Form,
    /// Table of percentiles.
    pub percentiles: bool,
    /// Columns of status classes.
    pub status: bool,
    /// Things the user should know.
    pub notes: Vec<String>,
}

/// What the command line comes to.
#[derive(Debug)]
pub enum Asked {
    /// A run.
    Run(Box<Options>),
    /// Only the help.
    Help,
}

#[derive(Default)]
struct Raw {
    url: Option<String>,
    conns: Option<usize>,
    quota: Option<u64>,
    duration: Option<Duration>,
    per_conn: u32,
    rate: Option<f64>,
    ramp: Duration,
    procs: Option<usize>,
    timeout: Option<Duration>,
    stop_on_error: bool,
    head: bool,
    headers: String,
    ending: Option<Ending>,
    merge: bool,
    version: Option<SslVersion>,
    ciphers: Option<String>,
    suites: Option<String>,
    groups: Option<String>,
    sni: Option<String>,
    sni_list: Option<String>,
    resume: Option<Resume>,
    long: u8,
    percentiles: bool,
    status: bool,
}

impl Options {
    /// Reads the arguments (without the program's name).
    pub fn parse(args: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Asked, String> {
        let mut raw = Raw::default();
        let mut parser = lexopt::Parser::from_args(args);
        while let Some(arg) = parser.next().map_err(|e| e.to_string())? {
            match arg {
                Short('h') | Long("help") => return Ok(Asked::Help),
                Short('e') => raw.stop_on_error = true,
                Short('I') => raw.head = true,
                Short('l') => raw.long += 1,
                Short('P') => raw.percentiles = true,
                Short('S') => raw.status = true,
                Long("tls-reuse") => raw.resume = Some(Resume::Ticket),
                Long("merge") => raw.merge = true,
                Value(url) if raw.url.is_none() => raw.url = Some(url.to_string_lossy().into_owned()),
                Value(more) => return Err(format!("{more:?}: only one URL can be given")),
                Short(letter) => raw.short(letter, &mut parser)?,
                Long(name) => {
                    let name = name.to_string();
                    raw.long(&name, &mut parser)?;
                }
            }
        }
        raw.finish().map(|options| Asked::Run(Box::new(options)))
    }
}

fn value(parser: &mut lexopt::Parser) -> Result<String, String> {
    parser.value().map_err(|e| e.to_string()).map(|v| v.to_string_lossy().into_owned())
}

fn number<T: std::str::FromStr>(option: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{option} {text:?}: want a number"))
}

fn seconds(option: &str, text: &str) -> Result<Duration, String> {
    let span: f64 = number(option, text)?;
    Duration::try_from_secs_f64(span).map_err(|_| format!("{option} {text:?}: want seconds"))
}

impl Raw {
    fn short(&mut self, letter: char, parser: &mut lexopt::Parser) -> Result<(), String> {
        let option = format!("-{letter}");
        if !"cndrRstwH".contains(letter) {
            return Err(format!("unknown option {option}"));
        }
        let text = value(parser)?;
        match letter {
            'c' => self.conns = Some(number(&option, &text)?),
            'n' => self.quota = Some(number(&option, &text)?),
            'd' => self.duration = Some(seconds(&option, &text)?),
            'r' => self.per_conn = number(&option, &text)?,
            'R' => self.rate = Some(number(&option, &text)?).filter(|&rate: &f64| rate > 0.0),
            's' => self.ramp = seconds(&option, &text)?,
            't' => self.procs = Some(number(&option, &text)?),
            'w' => self.timeout = Some(Duration::from_millis(number(&option, &text)?)),
            _ => self.header(&text)?,
        }
        Ok(())
    }

    fn long(&mut self, name: &str, parser: &mut lexopt::Parser) -> Result<(), String> {
        let text = value(parser).map_err(|e| format!("--{name}: {e}"))?;
        match name {
            "procs" => self.procs = Some(number("--procs", &text)?),
            "tls-ver" => self.version = Some(version(&text)?),
            "ciphers" | "cipher-list" => self.ciphers = Some(text),
            "ciphersuites" | "cipher-suites" => self.suites = Some(text),
            "groups" | "curves" => self.groups = Some(text),
            "sni" => self.sni = Some(text),
            "sni-list" => self.sni_list = Some(text),
            "close" => {
                self.ending = Some(match text.as_str() {
                    "fin" => Ending::Fin,
                    "rst" => Ending::Rst,
                    "wait" => Ending::Wait,
                    _ => return Err(format!("--close {text:?}: want fin, rst or wait")),
                });
            }
            "resume" => {
                self.resume = Some(match text.as_str() {
                    "none" => Resume::None,
                    "id" => Resume::Id,
                    "ticket" => Resume::Ticket,
                    _ => return Err(format!("--resume {text:?}: want id, ticket or none")),
                });
            }
            _ => return Err(format!("unknown option --{name}")),
        }
        Ok(())
    }

    fn header(&mut self, text: &str) -> Result<(), String> {
        let fine = text.split_once(':').is_some_and(|(name, _)| !name.is_empty() && !name.contains(' '));
        if !fine || text.bytes().any(|b| b < b' ' || b == 0x7f) {
            return Err(format!("-H {text:?}: want 'Name: value'"));
        }
        self.headers.push_str(text);
        self.headers.push_str("\r\n");
        Ok(())
    }

    fn finish(mut self) -> Result<Options, String> {
        let url = self.url.take().ok_or("no URL given")?;
        let target = Target::parse(&url)?;
        let mut notes = Vec::new();
        let procs = self.procs.unwrap_or(1).clamp(1, 1024);
        let mut conns = self.conns.unwrap_or(1).max(1);
        if !conns.is_multiple_of(procs) {
            let rounded = conns.div_ceil(procs) * procs;
            notes.push(format!("-c {conns} does not divide by {procs} processes: {rounded} connections"));
            conns = rounded;
        }
        if self.quota.is_none() && self.duration.is_none() && !target.addr.ip().is_loopback() {
            notes.push(format!(
                "{} is another machine and there is no -n or -d: stopping after {} s",
                target.addr.ip(),
                SAFE_DURATION.as_secs()
            ));
            self.duration = Some(SAFE_DURATION);
        }
        let tls = if target.tls { Some(self.wishes(&target)?) } else { None };
        let method = if self.head { "HEAD" } else { "GET" };
        let start =
            format!("{method} {} HTTP/1.1\r\nHost: {}\r\n{}", target.path, target.authority, self.headers);
        let form = match self.long {
            0 => Form::Short,
            1 => Form::Long,
            _ => Form::Raw,
        };
        Ok(Options {
            job: Job {
                addr: target.addr,
                request: format!("{start}\r\n").into_bytes(),
                request_close: format!("{start}Connection: close\r\n\r\n").into_bytes(),
                head: self.head,
                conns,
                quota: self.quota,
                duration: self.duration,
                per_conn: self.per_conn,
                rate: self.rate,
                ramp: self.ramp,
                timeout: self.timeout.unwrap_or(Duration::from_secs(10)),
                stop_on_error: self.stop_on_error,
                ending: self.ending.unwrap_or(Ending::Fin),
                merge: self.merge,
                tls,
            },
            procs,
            form,
            percentiles: self.percentiles,
            status: self.status,
            notes,
        })
    }

    fn wishes(&mut self, target: &Target) -> Result<Wishes, String> {
        let names = match (&self.sni_list, self.sni.take()) {
            (Some(file), _) => names_of(Path::new(file))?,
            (None, Some(name)) => vec![name],
            (None, None) => target.sni().map(str::to_string).into_iter().collect(),
        };
        let resume = self.resume.unwrap_or(Resume::None);
        if resume == Resume::Id && self.version == Some(SslVersion::TLS1_3) {
            return Err("--resume id: TLS 1.3 has tickets only".into());
        }
        Ok(Wishes {
            version: self.version,
            ciphers: self.ciphers.take(),
            suites: self.suites.take(),
            groups: self.groups.take().unwrap_or_else(|| "X25519:P-256".into()),
            names,
            resume,
        })
    }
}

fn version(text: &str) -> Result<SslVersion, String> {
    let digits = text.trim_start_matches("TLS").trim_start_matches("tls").trim_start_matches('v');
    match digits {
        "1.0" => Ok(SslVersion::TLS1),
        "1.1" => Ok(SslVersion::TLS1_1),
        "1.2" => Ok(SslVersion::TLS1_2),
        "1.3" => Ok(SslVersion::TLS1_3),
        _ => Err(format!("--tls-ver {text:?}: want TLS1.2 or TLS1.3")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        match Options::parse(line.split_whitespace())? {
            Asked::Run(options) => Ok(*options),
            Asked::Help => Err("help".into()),
        }
    }

    #[test]
    fn the_harness_lines() {
        let o = parse("-l -t 1 -c 64 -R 5000 -d 4 http://127.0.0.1:81/?s=200").unwrap();
        assert_eq!((o.form, o.procs, o.job.conns), (Form::Long, 1, 64));
        assert_eq!((o.job.rate, o.job.duration), (Some(5000.0), Some(Duration::from_secs(4))));
        assert_eq!(o.job.request, b"GET /?s=200 HTTP/1.1\r\nHost: 127.0.0.1:81\r\n\r\n");
        assert!(o.job.tls.is_none() && o.notes.is_empty());

        let o =
            parse("-l -t 1 -c 32 -n 2000 -r 1 --tls-ver TLS1.3 --tls-reuse https://127.0.0.1:81/").unwrap();
        assert_eq!((o.job.quota, o.job.per_conn), (Some(2000), 1));
        assert!(o.job.request_close.ends_with(b"\r\nConnection: close\r\n\r\n"));
        let tls = o.job.tls.unwrap();
        assert_eq!((tls.version, tls.resume), (Some(SslVersion::TLS1_3), Resume::Ticket));
        assert_eq!((tls.groups.as_str(), tls.names.len()), ("X25519:P-256", 0));
    }

    #[test]
    fn its_own_lines() {
        let o = parse("-ll -P -S -e -I -s 2 -w 500 --procs 3 -c 10 -H A:b --close rst http://127.0.0.1/")
            .unwrap();
        assert_eq!((o.form, o.procs, o.job.conns), (Form::Raw, 3, 12));
        assert_eq!(o.notes, ["-c 10 does not divide by 3 processes: 12 connections"]);
        assert_eq!((o.job.ramp, o.job.timeout), (Duration::from_secs(2), Duration::from_millis(500)));
        assert!(
            o.percentiles && o.status && o.job.stop_on_error && o.job.head && o.job.ending == Ending::Rst
        );
        assert_eq!(o.job.request, b"HEAD / HTTP/1.1\r\nHost: 127.0.0.1\r\nA:b\r\n\r\n");

        let o =
            parse("--tls-ver 1.2 --resume id --sni a.b --groups P-256 --ciphers X --merge https://127.0.0.1")
                .unwrap();
        let tls = o.job.tls.unwrap();
        assert_eq!((tls.version, tls.resume), (Some(SslVersion::TLS1_2), Resume::Id));
        assert_eq!(
            (tls.names, tls.groups, tls.ciphers),
            (vec!["a.b".into()], "P-256".into(), Some("X".into()))
        );
        assert!(o.job.merge);

        // another machine: not for ever
        let o = parse("http://192.0.2.1/").unwrap();
        assert_eq!((o.job.duration, o.notes.len()), (Some(SAFE_DURATION), 1));
        assert_eq!(parse("-d 60 http://192.0.2.1/").unwrap().notes.len(), 0);
    }

    #[test]
    fn wrong_lines() {
        let table = [
            ("", "no URL given"),
            ("http://127.0.0.1 http://127.0.0.1", "\"http://127.0.0.1\": only one URL can be given"),
            ("-c x http://127.0.0.1", "-c \"x\": want a number"),
            ("-d -1 http://127.0.0.1", "-d \"-1\": want seconds"),
            ("-x", "unknown option -x"),
            ("--what 1", "unknown option --what"),
            ("-H novalue http://127.0.0.1", "-H \"novalue\": want 'Name: value'"),
            ("--resume x", "--resume \"x\": want id, ticket or none"),
            ("--tls-ver SSL3", "--tls-ver \"SSL3\": want TLS1.2 or TLS1.3"),
            ("--close never", "--close \"never\": want fin, rst or wait"),
            ("--tls-ver 1.3 --resume id https://127.0.0.1", "--resume id: TLS 1.3 has tickets only"),
        ];
        for (line, want) in table {
            assert_eq!(parse(line).unwrap_err(), want, "{line}");
        }
    }
}
