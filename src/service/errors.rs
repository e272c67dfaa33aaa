//! The text of `show errors`: each worker writes what it captured, the process that was asked keeps the newest
//! of each proxy and direction.

use std::collections::BTreeMap;
use std::fmt::Write;

use lighterman_sys::localtime::LocalTime;

use crate::base::ids::ProxyId;
use crate::base::text::c_escape;
use crate::expr::view::Addr;
use crate::plan::Plan;
use crate::stream::errors::{Captured, Side};

/// Begins the line in front of an event, which is for [`merge`] only: no line of an event begins so.
const MARK: char = '!';

/// Columns of a line.
const WIDTH: usize = 79;

/// `21/Nov/2026:10:35:58.583`, local time.
pub fn date(us: u64) -> String {
    let t = LocalTime::at((us / 1_000_000) as i64);
    let ms = us / 1000 % 1000;
    let (day, month, year) = (t.day, t.month_name(), t.year);
    format!("{day:02}/{month}/{year:04}:{:02}:{:02}:{:02}.{ms:03}", t.hour, t.minute, t.second)
}

/// Writes an event, with a line in front that says which it is.
pub fn write_error(out: &mut String, error: &Captured, plan: &Plan) {
    let owner =
        if error.side == Side::Request { error.frontend } else { error.backend.unwrap_or(error.frontend) };
    // writing to a string cannot fail
    let _ = write_event(out, error, owner, plan);
}

fn write_event(out: &mut String, error: &Captured, owner: ProxyId, plan: &Plan) -> std::fmt::Result {
    let proxy = |id: Option<ProxyId>| match id.map(|id| plan.proxy(id)) {
        Some(proxy) => format!("{} (#{})", proxy.name, proxy.puid),
        None => "<NONE> (#-1)".to_owned(),
    };
    let server = match error.server.map(|id| plan.server(id)) {
        Some(server) => format!("{} (#{})", server.name, server.puid),
        None => "<NONE> (#-1)".to_owned(),
    };
    let src = match error.src {
        Addr::Inet(addr) => format!("{}:{}", addr.ip(), addr.port()),
        Addr::Unix => "unix".to_owned(),
        Addr::None => "<unknown>".to_owned(),
    };
    writeln!(out, "{MARK}{} {} {}", error.number, owner.0, error.side as u8)?;
    let (side, kind, other, peer) = match error.side {
        Side::Request => ("frontend", "request", "backend", error.backend.filter(|id| *id != owner)),
        Side::Response => ("backend", "response", "frontend", Some(error.frontend)),
    };
    writeln!(out, " \n[{}] {side} {}: invalid {kind}", date(error.date_us), proxy(Some(owner)))?;
    writeln!(out, "  {other} {}, server {server}, event #{}, src {src}", proxy(peer), error.number)?;
    let (len, size) = (error.bytes.len(), error.size);
    writeln!(out, "  buffer starts at 0 (including 0 out), {} free,", size.saturating_sub(len))?;
    writeln!(out, "  len {len}, wraps at {size}, error at position {},", error.at)?;
    writeln!(out, "  {}:\n  ", error.what.text())?;
    dump(out, &error.bytes);
    Ok(())
}

/// The bytes, a line of input on each line; what is too long goes on behind a `+`.
fn dump(out: &mut String, bytes: &[u8]) {
    let (mut at, mut line) = (0, 0);
    while at < bytes.len() {
        let start = out.len();
        let mark = if at == line { ' ' } else { '+' };
        let _ = write!(out, "  {at:05}{mark} ");
        while let Some(byte) = bytes.get(at) {
            let before = out.len();
            c_escape(out, std::slice::from_ref(byte));
            if out.len() - start > WIDTH {
                out.truncate(before);
                break;
            }
            at += 1;
            if *byte == b'\n' {
                line = at;
                break;
            }
        }
        out.push('\n');
    }
}

/// Of the events of all workers, the newest of each proxy and direction, by proxy.
pub fn merge(events: &[u8], out: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(events);
    let mut newest: BTreeMap<(u32, u8), (u64, String)> = BTreeMap::new();
    let mut current = None;
    for line in text.split_inclusive('\n') {
        if let Some(which) = line.strip_prefix(MARK) {
            current = read_mark(which);
            if let Some((number, key)) = current {
                let known = newest.get(&key).is_some_and(|(last, _)| *last > number);
                if known {
                    current = None;
                } else {
                    newest.insert(key, (number, String::new()));
                }
            }
        } else if let Some((_, event)) = current.and_then(|(_, key)| newest.get_mut(&key)) {
            event.push_str(line);
        }
    }
    newest.values().for_each(|(_, event)| out.extend_from_slice(event.as_bytes()));
}

/// The number of an event, its proxy and direction.
fn read_mark(text: &str) -> Option<(u64, (u32, u8))> {
    let mut words = text.trim_end().split(' ');
    Some((words.next()?.parse().ok()?, (words.next()?.parse().ok()?, words.next()?.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_as_haproxy_shows_them() {
        let long = format!("Long: {}\r\n", "a".repeat(120));
        let long_hex = [0xffu8; 20];
        for (bytes, want) in [
            (
                &b"GET /\r\nHost: x\r\n\r\nmore"[..],
                "  00000  GET /\\r\\n\n  00007  Host: x\\r\\n\n  00016  \\r\\n\n  00018  more\n".to_owned(),
            ),
            (
                long.as_bytes(),
                format!("  00000  Long: {}\n  00070+ {}\\r\\n\n", "a".repeat(64), "a".repeat(56)),
            ),
            (b"\t\x1b\\\x00\x7f!\xe9", "  00000  \\t\\e\\\\\\x00\\x7F!\\xE9\n".to_owned()),
            (&long_hex, format!("  00000  {}\n  00017+ {}\n", "\\xFF".repeat(17), "\\xFF".repeat(3))),
            (b"", String::new()),
        ] {
            let mut out = String::new();
            dump(&mut out, bytes);
            assert_eq!(out, want);
        }
    }

    #[test]
    fn the_newest_of_each_proxy_and_direction() {
        let mut out = Vec::new();
        merge(b"!3 1 0\nthree!4 1 0\n!9 0 1\nnine\n!5 1 0\nfive\n!4 1 0\nfour\n!x\n!2 1 1\ntwo\n", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "nine\nfive\ntwo\n");
    }
}
