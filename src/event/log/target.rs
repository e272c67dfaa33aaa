//! What one `log` line of the configuration says: where to, in which shape, which levels.
//! Written by the configuration, read by [`super::sink`].

use std::net::SocketAddr;
use std::path::PathBuf;

/// Severity of a message, most urgent first (RFC 5424 section 6.2.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
#[allow(missing_docs, reason = "the eight names of syslog speak for themselves")]
pub enum Level {
    Emerg,
    Alert,
    Crit,
    Err,
    Warning,
    Notice,
    Info,
    Debug,
}

impl Level {
    /// All levels in the order of their numbers.
    pub const ALL: [Level; 8] = [
        Level::Emerg,
        Level::Alert,
        Level::Crit,
        Level::Err,
        Level::Warning,
        Level::Notice,
        Level::Info,
        Level::Debug,
    ];

    /// The names that configurations use, in the order of their numbers.
    pub const NAMES: [&'static str; 8] =
        ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

    /// The level of that name.
    pub fn from_name(name: &str) -> Option<Level> {
        let at = Self::NAMES.iter().position(|n| *n == name)?;
        Self::ALL.get(at).copied()
    }

    /// How a configuration spells it.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// Origin class of a message (RFC 5424 section 6.2.1): the number 0 to 23.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facility(u8);

impl Facility {
    /// The names that configurations use, in the order of their numbers.
    pub const NAMES: [&'static str; 24] = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2", "ftp",
        "ntp", "audit", "alert", "cron2", "local0", "local1", "local2", "local3", "local4", "local5",
        "local6", "local7",
    ];

    /// The facility of that name.
    pub fn from_name(name: &str) -> Option<Facility> {
        let at = Self::NAMES.iter().position(|n| *n == name)?;
        Some(Facility(at as u8))
    }

    /// The priority value of a message: facility times eight plus level.
    pub fn priority(self, level: Level) -> u8 {
        self.0 * 8 + level as u8
    }
}

/// Shape of a line (`format` of a `log` line).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// Priority, date, tag and pid: RFC 3164 without the host name.
    #[default]
    Local,
    /// Priority, date, host name, tag and pid.
    Rfc3164,
    /// The header of RFC 5424, nothing as structured data.
    Rfc5424,
    /// `<facility*8+level>` only.
    Priority,
    /// `<level>` only, as the systemd journal reads it.
    Short,
    /// `<level>` and an ISO date.
    Timed,
    /// An ISO date.
    Iso,
    /// The text alone.
    Raw,
}

impl Format {
    /// Names and what they mean.
    pub const NAMES: [(&'static str, Format); 8] = [
        ("local", Format::Local),
        ("rfc3164", Format::Rfc3164),
        ("rfc5424", Format::Rfc5424),
        ("priority", Format::Priority),
        ("short", Format::Short),
        ("timed", Format::Timed),
        ("iso", Format::Iso),
        ("raw", Format::Raw),
    ];

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Format> {
        Self::NAMES.iter().find(|(n, _)| *n == name).map(|(_, f)| *f)
    }
}

/// Where lines go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// A syslog server, one datagram per line.
    Udp(SocketAddr),
    /// A UNIX datagram socket such as `/dev/log`.
    Unix(PathBuf),
    /// An inherited descriptor; 1 and 2 are `stdout` and `stderr`.
    Fd(i32),
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

/// One `log` line of the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// Where lines go.
    pub address: Address,
    /// Longest line in bytes; longer ones are cut.
    pub len: u32,
    /// Shape of the header.
    pub format: Format,
    /// Facility of every line.
    pub facility: Facility,
    /// Least urgent level that is still sent.
    pub max: Level,
    /// Most urgent level that is shown: more urgent ones are lowered to it.
    pub min: Level,
    /// Which messages are sent, all when `None`.
    pub sample: Option<Sample>,
}

impl Target {
    /// Default of `len`.
    pub const LEN_DEFAULT: u32 = 1024;
    /// What `len` accepts.
    pub const LEN_RANGE: std::ops::RangeInclusive<u32> = 80..=65_535;

    /// A target with everything that is optional at its default.
    pub fn new(address: Address, facility: Facility) -> Target {
        Target {
            address,
            len: Self::LEN_DEFAULT,
            format: Format::Local,
            facility,
            max: Level::Debug,
            min: Level::Emerg,
            sample: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_map_to_numbers() {
        assert_eq!(Facility::from_name("local0").unwrap().priority(Level::Info), 134);
        assert_eq!(Facility::from_name("kern").unwrap().priority(Level::Emerg), 0);
        assert_eq!(Facility::from_name("local7").unwrap().priority(Level::Debug), 191);
        assert_eq!(Facility::from_name("local8"), None);
        assert_eq!(Level::from_name("warning"), Some(Level::Warning));
        assert_eq!(Level::from_name("error"), None);
        assert_eq!(Format::from_name("rfc5424"), Some(Format::Rfc5424));
        for level in Level::ALL {
            assert_eq!(Level::from_name(level.name()), Some(level));
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
