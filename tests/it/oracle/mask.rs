//! What differs from run to run, made the same: ports, dates, timers.

use std::time::UNIX_EPOCH;

/// The digits of dates in cookies.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The date of a cookie so many seconds from now.
pub fn cookie_date(offset: i64) -> String {
    let units = (now() + offset) >> 2;
    (0..5).rev().map(|n| char::from(DIGITS[(units >> (6 * n)) as usize & 63])).collect()
}

/// `{date-100}` in a text becomes the date of a cookie 100 seconds ago.
pub fn dated(text: &str) -> String {
    let mut parts = text.split("{date");
    let mut out = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let (offset, rest) = part.split_once('}').unwrap_or(("0", part));
        out.push_str(&cookie_date(offset.parse().unwrap_or(0)));
        out.push_str(rest);
    }
    out
}

/// The dates behind the bars of a cookie, as their distance from now in minutes.
pub fn undated(value: &str) -> String {
    let mut parts = value.split('|');
    let mut out = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let (date, rest) = part.split_at(part.len().min(5));
        let digit = |sum: i64, c: u8| Some(sum << 6 | DIGITS.iter().position(|d| *d == c)? as i64);
        match date.bytes().try_fold(0, digit) {
            Some(units) if date.len() == 5 => {
                out.push_str(&format!("|{}min{rest}", ((units << 2) - now() + 45).div_euclid(60)));
            }
            _ => out.push_str(&format!("|{part}")),
        }
    }
    out
}

fn now() -> i64 {
    UNIX_EPOCH.elapsed().unwrap().as_secs() as i64
}

/// Lines of the answer to a command, without addresses in memory and times to live; entries of a table in one order.
pub fn answer(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(answer_line).collect();
    for entries in lines.split_mut(|line| !line.contains(" key=")) {
        entries.sort();
    }
    lines
}

fn answer_line(line: &str) -> String {
    let words = line.split(' ').filter(|word| !word.starts_with("shard="));
    let masked = words.map(|word| match word.split_once('=') {
        Some(("exp", _)) => "exp=#".to_string(),
        _ if word.starts_with("0x") => format!("0x#{}", if word.ends_with(':') { ":" } else { "" }),
        _ => word.to_string(),
    });
    masked.collect::<Vec<_>>().join(" ")
}

/// Fields in the order of their names: that between fields of different names means nothing (RFC 9110 section 5.3).
pub fn fields(fields: &[(String, String)]) -> Vec<String> {
    let mut lines: Vec<(String, String)> = Vec::new();
    for (name, value) in fields {
        let name = name.to_ascii_lowercase();
        let value = match name.as_str() {
            "date" => "...".to_string(),
            "cookie" | "set-cookie" => undated(value),
            _ => value.clone(),
        };
        lines.push((name, value));
    }
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    lines.into_iter().map(|(name, value)| format!("{name}: {value}")).collect()
}

/// The lines of messages as they were on the wire: names of fields in small letters, fields in the order of their names.
pub fn wire(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut fields: Vec<String> = Vec::new();
    for line in text.lines() {
        match line.split_once(':') {
            Some((name, rest)) if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => {
                fields.push(format!("{}:{rest}", name.to_ascii_lowercase()));
            }
            _ => {
                fields.sort();
                lines.append(&mut fields);
                lines.push(line.to_string());
            }
        }
    }
    fields.sort();
    lines.append(&mut fields);
    lines
}

/// A log line without the date in brackets and without the times of its timers: the first word of three or five numbers
/// between slashes. `-1` stays. Bytes of an HTTP response are masked too: ours are those on the wire, the peer's those of its
/// own representation of the message, some bytes more.
pub fn timeless(line: &str) -> String {
    let mut out = String::new();
    let (mut timers, mut counts, mut bytes_in) = (true, true, 0);
    for word in line.split_inclusive(' ') {
        let numbers: Vec<&str> = word.trim_end().split('/').collect();
        let is_number = |n: &&str| n.trim_start_matches(['+', '-']).parse::<i64>().is_ok();
        bytes_in -= 1;
        if bytes_in == 0 {
            out.push_str("bytes ");
        } else if word.starts_with('[') && word.contains(':') {
            out.push_str("[date] ");
        } else if timers && matches!(numbers.len(), 3 | 5) && numbers.iter().all(is_number) {
            timers = false;
            bytes_in = if numbers.len() == 5 { 2 } else { 0 };
            let masked = numbers.iter().map(|n| if *n == "-1" { "-1" } else { "#" });
            out.push_str(&masked.collect::<Vec<_>>().join("/"));
            out.push(' ');
        } else if counts && numbers.len() == 5 && numbers.iter().all(is_number) {
            // who else is connected depends on how fast the one before was seen to leave
            counts = false;
            out.push_str(&format!("#/#/#/#/{} ", numbers[4]));
        } else {
            out.push_str(word);
        }
    }
    out
}

/// A line without the words at these places.
pub fn without(line: &str, places: &[usize]) -> String {
    let masked = line.split(' ').enumerate().map(|(at, word)| if places.contains(&at) { "#" } else { word });
    masked.collect::<Vec<_>>().join(" ")
}

/// Port numbers of this run are the same word in every run.
pub fn portless(line: &str, ports: &[u16]) -> String {
    ports.iter().fold(line.to_string(), |line, port| line.replace(&port.to_string(), "PORT"))
}
