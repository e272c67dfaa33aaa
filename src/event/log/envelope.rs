//! The bytes in front of a message, for every format a `log` line can ask for.
//!
//! Called by the sink for each line. Dates are written once per second and kept, because a busy
//! process logs thousands of lines within one.

use super::target::{LogFormat, LogLevel, LogTarget};
use lighterman_sys::localtime::LocalTime;
use std::io::Write;
use std::time::Duration;

/// Who sends: what stays the same for all lines of a process.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    /// `log-send-hostname`: `None` when the host has no business in the line.
    pub hostname: Option<String>,
    /// The process that the lines name.
    pub pid: u32,
}

/// The dates of the current second, in the spellings of the formats.
#[derive(Debug, Default)]
pub struct Stamp {
    second: Option<u64>,
    syslog: String,
    iso: String,
    zone: String,
}

impl Stamp {
    /// Makes the dates right for `wall`, the time since 1970.
    fn refresh(&mut self, wall: Duration) {
        if self.second == Some(wall.as_secs()) {
            return;
        }
        self.second = Some(wall.as_secs());
        let t = LocalTime::at(wall.as_secs() as i64);
        let clock = format!("{:02}:{:02}:{:02}", t.hour, t.minute, t.second);
        self.syslog = format!("{} {:>2} {clock}", t.month_name(), t.day);
        self.iso = format!("{:04}-{:02}-{:02}T{clock}", t.year, t.month, t.day);
        let (sign, hours, minutes) = t.zone();
        self.zone = format!("{sign}{hours:02}:{minutes:02}");
    }

    fn write_iso(&self, out: &mut Vec<u8>, wall: Duration) {
        put(out, format_args!("{}.{:06}{}", self.iso, wall.subsec_micros(), self.zone));
    }
}

/// Writes headers.
#[derive(Debug, Default)]
pub struct Envelope {
    /// Who sends.
    pub sender: Sender,
    stamp: Stamp,
}

impl Envelope {
    /// Headers in the name of `sender`.
    pub fn new(sender: Sender) -> Envelope {
        Envelope { sender, stamp: Stamp::default() }
    }

    /// Appends the header of one line to `out`: everything up to the first byte of the message.
    /// `wall` is the time since 1970.
    pub fn write(
        &mut self,
        out: &mut Vec<u8>,
        target: &LogTarget,
        level: LogLevel,
        tag: &str,
        wall: Duration,
    ) {
        let Envelope { sender, stamp } = self;
        let level = level.max(target.min);
        let priority = target.facility.priority(level);
        let pid = sender.pid;
        if !matches!(target.format, LogFormat::Raw | LogFormat::Short | LogFormat::Priority) {
            stamp.refresh(wall);
        }
        match (target.format, &sender.hostname) {
            (LogFormat::Local, None) => put(out, format_args!("<{priority}>{} {tag}[{pid}]: ", stamp.syslog)),
            (LogFormat::Local | LogFormat::Rfc3164, host) => {
                let host = host.as_deref().unwrap_or("localhost");
                put(out, format_args!("<{priority}>{} {host} {tag}[{pid}]: ", stamp.syslog));
            }
            (LogFormat::Rfc5424, host) => {
                put(out, format_args!("<{priority}>1 "));
                stamp.write_iso(out, wall);
                let host = host.as_deref().unwrap_or("-");
                put(out, format_args!(" {host} {tag} {pid} - - "));
            }
            (LogFormat::Priority, _) => put(out, format_args!("<{priority}>")),
            (LogFormat::Short, _) => put(out, format_args!("<{}>", level as u8)),
            (LogFormat::Timed, _) => {
                put(out, format_args!("<{}>", level as u8));
                stamp.write_iso(out, wall);
                out.push(b' ');
            }
            (LogFormat::Iso, _) => {
                stamp.write_iso(out, wall);
                out.push(b' ');
            }
            (LogFormat::Raw, _) => {}
        }
    }
}

fn put(out: &mut Vec<u8>, args: std::fmt::Arguments<'_>) {
    // Writing to memory cannot fail.
    let _ = out.write_fmt(args);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::log::target::{Facility, LogAddr};

    /// 2026-11-05 22:17:53.460123 UTC.
    const WALL: Duration = Duration::from_micros(1_793_917_073_460_123);

    /// `SYS` and `ISO` stand for the date in this machine's zone.
    fn expected(pattern: &str) -> String {
        let t = LocalTime::at(WALL.as_secs() as i64);
        let (sign, hours, minutes) = t.zone();
        let (h, m, s) = (t.hour, t.minute, t.second);
        let sys = format!("{} {:2} {h:02}:{m:02}:{s:02}", t.month_name(), t.day);
        let iso = format!(
            "{}-{:02}-{:02}T{h:02}:{m:02}:{s:02}.460123{sign}{hours:02}:{minutes:02}",
            t.year, t.month, t.day
        );
        pattern.replace("SYS", &sys).replace("ISO", &iso)
    }

    #[test]
    fn every_format_byte_for_byte() {
        let rows = [
            ("local", None, "<134>SYS proxy[42]: "),
            ("local", Some("foo"), "<134>SYS foo proxy[42]: "),
            ("rfc3164", None, "<134>SYS localhost proxy[42]: "),
            ("rfc3164", Some("foo"), "<134>SYS foo proxy[42]: "),
            ("rfc5424", None, "<134>1 ISO - proxy 42 - - "),
            ("rfc5424", Some("foo"), "<134>1 ISO foo proxy 42 - - "),
            ("priority", Some("foo"), "<134>"),
            ("short", Some("foo"), "<6>"),
            ("timed", Some("foo"), "<6>ISO "),
            ("iso", Some("foo"), "ISO "),
            ("raw", Some("foo"), ""),
        ];
        for (format, hostname, want) in rows {
            let mut target = LogTarget::new(LogAddr::Fd(1), Facility::Local0);
            target.format = LogFormat::parse(format).unwrap();
            let sender = Sender { hostname: hostname.map(str::to_owned), pid: 42 };
            let mut out = Vec::new();
            Envelope::new(sender).write(&mut out, &target, LogLevel::Info, "proxy", WALL);
            assert_eq!(String::from_utf8(out).unwrap(), expected(want), "{format} {hostname:?}");
        }
    }

    #[test]
    fn urgent_levels_are_capped_by_min() {
        let mut target = LogTarget::new(LogAddr::Fd(1), Facility::Local1);
        target.format = LogFormat::Priority;
        target.min = LogLevel::Err;
        let mut out = Vec::new();
        Envelope::default().write(&mut out, &target, LogLevel::Emerg, "t", WALL);
        assert_eq!(out, b"<139>");
    }
}
