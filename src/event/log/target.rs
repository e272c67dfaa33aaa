//! What one `log` line of the configuration says: where to, in which shape, which levels (manual:
//! `log`). Written by the configuration, kept in the plan, read by [`super::sink`].

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
    /// `sample`: which lines are sent, all when `None`.
    pub sample: Option<Sample>,
}

impl LogTarget {
    /// Default of `len`.
    pub const LEN: usize = 1024;
    /// What `len` accepts.
    pub const LEN_RANGE: std::ops::RangeInclusive<usize> = 80..=65_535;

    /// A target with everything that is optional at its default.
    pub fn new(to: LogAddr, facility: Facility) -> LogTarget {
        LogTarget {
            to,
            len: Self::LEN,
            format: LogFormat::Local,
            facility,
            max: LogLevel::Debug,
            min: LogLevel::Emerg,
            sample: None,
        }
    }
}

/// Where a log line goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogAddr {
    /// A syslog daemon by UDP.
    Udp(SocketAddr),
    /// A syslog daemon by UNIX datagrams.
    Unix(PathBuf),
    /// `fd@N`: an inherited descriptor; `stdout` is 1 and `stderr` 2.
    Fd(i32),
}

/// The envelope of a line (formats: manual `log ... format`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Priority, date, tag and pid: RFC 3164 without the host name, unless asked for. The default.
    #[default]
    Local,
    /// Priority, date, host name, tag and pid.
    Rfc3164,
    /// The header of RFC 5424, without structured data.
    Rfc5424,
    /// `<facility*8+level>` then the text.
    Priority,
    /// `<level>` then the text, as the systemd journal reads it.
    Short,
    /// `<level>`, ISO date, then the text.
    Timed,
    /// ISO date then the text.
    Iso,
    /// The text alone.
    Raw,
}

impl LogFormat {
    /// Every format with its word.
    pub const ALL: &'static [(LogFormat, &'static str)] = &[
        (LogFormat::Local, "local"),
        (LogFormat::Rfc3164, "rfc3164"),
        (LogFormat::Rfc5424, "rfc5424"),
        (LogFormat::Priority, "priority"),
        (LogFormat::Short, "short"),
        (LogFormat::Timed, "timed"),
        (LogFormat::Iso, "iso"),
        (LogFormat::Raw, "raw"),
    ];

    /// The format behind a word.
    pub fn parse(word: &str) -> Option<LogFormat> {
        Self::ALL.iter().find(|(_, text)| *text == word).map(|(format, _)| *format)
    }
}

/// `sample 1,3-5:8`: which of every `size` messages are sent, so that several servers can share
/// the load.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sample {
    /// Inclusive ranges, counted from 1, ascending.
    pub ranges: Vec<(u32, u32)>,
    /// Length of one period, in messages.
    pub size: u32,
}

impl Sample {
    /// Whether the message number `count` (from 0) belongs to this target.
    pub fn takes(&self, count: u64) -> bool {
        let place = (count % u64::from(self.size.max(1))) as u32 + 1;
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&place))
    }
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

            /// How a configuration spells it.
            pub fn word(self) -> &'static str {
                Self::ALL.iter().find(|(value, _)| *value == self).map_or("", |(_, text)| text)
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

impl Facility {
    /// The priority value of a message: facility times eight plus level.
    pub fn priority(self, level: LogLevel) -> u8 {
        self as u8 * 8 + level as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_map_to_numbers() {
        assert_eq!(Facility::Local0.priority(LogLevel::Info), 134);
        assert_eq!(Facility::parse("kern").unwrap().priority(LogLevel::Emerg), 0);
        assert_eq!(Facility::parse("local7").unwrap().priority(LogLevel::Debug), 191);
        assert_eq!(Facility::parse("local8"), None);
        assert_eq!(LogLevel::parse("error"), None);
        assert_eq!(LogFormat::parse("rfc5424"), Some(LogFormat::Rfc5424));
        for (level, word) in LogLevel::ALL {
            assert_eq!((LogLevel::parse(word), level.word()), (Some(*level), *word));
        }
    }

    #[test]
    fn samples_share_a_period() {
        let first = Sample { ranges: vec![(1, 1), (3, 4)], size: 5 };
        let taken: Vec<u64> = (0..10).filter(|n| first.takes(*n)).collect();
        assert_eq!(taken, [0, 2, 3, 5, 7, 8]);
        assert!(!Sample::default().takes(7));
    }
}
