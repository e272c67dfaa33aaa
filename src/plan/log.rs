//! Where log lines go and in which form (manual: `log`).

use std::net::SocketAddr;
use std::path::PathBuf;

/// One `log` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogTarget {
    /// Where it goes.
    pub to: LogAddr,
    /// `len`: bytes of a line at most.
    pub len: usize,
    /// `format`.
    pub format: LogFormat,
    /// The syslog facility.
    pub facility: Facility,
    /// Lines less urgent than this are not sent.
    pub max: LogLevel,
    /// Lines more urgent than this are sent as if they were of this level.
    pub min: LogLevel,
}

/// Where a log line goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogAddr {
    /// A syslog daemon by UDP.
    Udp(SocketAddr),
    /// A syslog daemon by UNIX datagrams.
    Unix(PathBuf),
    /// `stdout`.
    Stdout,
    /// `stderr`.
    Stderr,
    /// `fd@N`.
    Fd(i32),
}

/// The envelope of a line (formats: manual `log ... format`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// As `rfc3164`, without a host name unless asked for: the default.
    Local,
    /// RFC 3164.
    Rfc3164,
    /// RFC 5424.
    Rfc5424,
    /// `<level>` then the text.
    Priority,
    /// `<level>` in the style of systemd, then the text.
    Short,
    /// The date then the text.
    Timed,
    /// ISO date then the text.
    Iso,
    /// The text alone.
    Raw,
}

macro_rules! named {
    ($(#[$doc:meta])* $ty:ident { $($name:ident = $n:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the names are those of RFC 5424, tables 1 and 2")]
        #[repr(u8)]
        pub enum $ty { $($name = $n,)* }

        impl $ty {
            /// Every value with its word.
            pub const ALL: &'static [($ty, &'static str)] = &[$(($ty::$name, $text),)*];

            /// The value behind a word.
            pub fn parse(word: &str) -> Option<$ty> {
                Self::ALL.iter().find(|(_, text)| *text == word).map(|(value, _)| *value)
            }
        }
    };
}

named! {
    /// A syslog facility (RFC 5424, table 1).
    Facility {
        Kern = 0 "kern", User = 1 "user", Mail = 2 "mail", Daemon = 3 "daemon", Auth = 4 "auth", Syslog = 5 "syslog",
        Lpr = 6 "lpr", News = 7 "news", Uucp = 8 "uucp", Cron = 9 "cron", Auth2 = 10 "auth2", Ftp = 11 "ftp",
        Ntp = 12 "ntp", Audit = 13 "audit", Alert = 14 "alert", Cron2 = 15 "cron2", Local0 = 16 "local0",
        Local1 = 17 "local1", Local2 = 18 "local2", Local3 = 19 "local3", Local4 = 20 "local4", Local5 = 21 "local5",
        Local6 = 22 "local6", Local7 = 23 "local7",
    }
}

named! {
    /// A syslog level (RFC 5424, table 2); smaller is more urgent.
    LogLevel {
        Emerg = 0 "emerg", Alert = 1 "alert", Crit = 2 "crit", Err = 3 "err", Warning = 4 "warning",
        Notice = 5 "notice", Info = 6 "info", Debug = 7 "debug",
    }
}
