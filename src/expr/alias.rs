//! The aliases of log-format strings (`%ci`, `%Tw`...), with the names of the 1.5 era.

use lighterman_sys::localtime::LocalTime;

use super::logfmt::{put, put_encoded, Flags};
use super::sample::write_fmt;
use super::view::{Addr, Facts, ProcessCount, TlsView};
use lighterman_wire::http::Version;

/// One alias.
pub struct Alias {
    /// Its name, without `%`.
    pub name: &'static str,
    /// What it shows.
    pub brief: &'static str,
    /// Appends it.
    pub write: fn(&Facts<'_>, Flags, &mut Vec<u8>),
}

/// The alias of this name.
pub fn find(name: &str) -> Option<&'static Alias> {
    ALL.iter().find(|alias| alias.name == name)
}

macro_rules! aliases {
    ($($name:literal $brief:literal $write:expr;)*) => { &[$(Alias { name: $name, brief: $brief, write: $write },)*] };
}

/// Every alias.
pub const ALL: &[Alias] = aliases! {
    "B" "bytes sent to the client" |f, l, o| grown(f.txn.bytes_out, f, l, o);
    "CC" "captured request cookie" |f, l, o| text(f.txn.req_cookie.as_deref(), l, o);
    "CS" "captured response cookie" |f, l, o| text(f.txn.res_cookie.as_deref(), l, o);
    "H" "host name" |f, l, o| text(Some(f.world.hostname().as_bytes()), l, o);
    "HM" "method" |f, l, o| text(f.req.map(|h| h.method()), l, o);
    "HP" "target without query" |f, l, o| text(target(f).map(|u| cut_query(u).0), l, o);
    "HPO" "path without query" |f, l, o| text(f.req.map(|h| h.path()), l, o);
    "HQ" "query with its question mark" |f, l, o| put_encoded(target(f).map_or(&[], |u| cut_query(u).1), l, o);
    "HU" "target" |f, l, o| text(target(f), l, o);
    "HV" "version" |f, l, o| text(f.req.map(|h| if h.version() == Version::V10 { &b"HTTP/1.0"[..] } else { b"HTTP/1.1" }), l, o);
    "ID" "unique id" |f, l, o| text(f.txn.unique_id.as_deref(), l, o);
    "ST" "status" |f, l, o| status(f, l, o);
    "T" "date of the connection, GMT" |f, l, o| clf(f.txn.times.accept_us, false, l, o);
    "Ta" "active time" |f, l, o| grown_time(active(f), f, l, o);
    "Tc" "time to connect" |f, l, o| num(f.txn.times.connect, l, o);
    "Td" "time of data transfer" |f, l, o| num(f.txn.times.data, l, o);
    "Th" "time of handshakes" |f, l, o| num(f.txn.times.handshake, l, o);
    "Ti" "idle time" |f, l, o| num(f.txn.times.idle, l, o);
    "Tl" "date of the connection, local" |f, l, o| clf(f.txn.times.accept_us, true, l, o);
    "TR" "time to receive the request" |f, l, o| num(f.txn.times.request, l, o);
    "Tq" "time from accept to the whole request" |f, l, o| num(asked(f), l, o);
    "Tr" "time to the response" |f, l, o| num(f.txn.times.response, l, o);
    "Ts" "date of the connection, seconds" |f, l, o| num((f.txn.times.accept_us / 1_000_000) as i64, l, o);
    "Tt" "time in all" |f, l, o| grown_time(f.txn.times.total, f, l, o);
    "Tu" "time in all but idle" |f, l, o| grown_time(used(f), f, l, o);
    "Tw" "time in queues" |f, l, o| num(f.txn.times.queue, l, o);
    "U" "bytes received from the client" |f, l, o| grown(f.txn.bytes_in, f, l, o);
    "ac" "connections of the process" |f, l, o| num(f.txn.conns[0], l, o);
    "b" "backend" |f, l, o| text(Some(f.world.proxy_name(f.proxy()).as_bytes()), l, o);
    "bc" "connections of the backend" |f, l, o| num(f.txn.conns[2], l, o);
    "bi" "our address towards the server" |f, l, o| addr(f.back.map(|b| b.src), l, o);
    "bp" "our port towards the server" |f, l, o| port(f.back.map(|b| b.src), l, o);
    "bq" "queue of the backend" |f, l, o| num(f.txn.backend_queue, l, o);
    "cc" "captured request cookie" |f, l, o| text(f.txn.req_cookie.as_deref(), l, o);
    "ci" "client" |f, l, o| client(f, l, o);
    "cp" "client's port" |f, l, o| client_port(f, l, o);
    "cs" "captured response cookie" |f, l, o| text(f.txn.res_cookie.as_deref(), l, o);
    "f" "frontend" |f, l, o| text(Some(f.world.proxy_name(f.txn.frontend).as_bytes()), l, o);
    "fc" "connections of the frontend" |f, l, o| num(f.txn.conns[1], l, o);
    "fi" "address the client asked for" |f, l, o| addr(Some(f.dst()), l, o);
    "fp" "port the client asked for" |f, l, o| port(Some(f.dst()), l, o);
    "ft" "frontend, with ~ for TLS" frontend_tls;
    "hr" "captured request fields" |f, l, o| braces(&f.txn.req_caps, l, o);
    "hrl" "captured request fields, one by one" |f, l, o| one_by_one(&f.txn.req_caps, l, o);
    "hs" "captured response fields" |f, l, o| braces(&f.txn.res_caps, l, o);
    "hsl" "captured response fields, one by one" |f, l, o| one_by_one(&f.txn.res_caps, l, o);
    "lc" "number of the log line" |f, l, o| num(f.txn.log_serial as i64, l, o);
    "ms" "milliseconds of the connection's date" |f, l, o| { let _ = l; write_fmt(o, format_args!("{:03}", f.txn.times.accept_us / 1000 % 1000)); };
    "pid" "process id" |f, l, o| num(f.world.process(ProcessCount::Pid), l, o);
    "r" "request line" request_line;
    "rc" "attempts after the first" retries;
    "rt" "number of the request" |f, l, o| num(f.conn.serial as i64, l, o);
    "s" "server" server;
    "sc" "connections of the server" |f, l, o| num(f.txn.conns[3], l, o);
    "si" "address of the server" |f, l, o| addr(f.back.map(|b| b.dst), l, o);
    "sp" "port of the server" |f, l, o| port(f.back.map(|b| b.dst), l, o);
    "sq" "queue of the server" |f, l, o| num(f.txn.server_queue, l, o);
    "sslc" "cipher suite" |f, l, o| text(f.tls.and_then(|t| t.cipher()).map(str::as_bytes), l, o);
    "sslv" "TLS version" |f, l, o| text(f.tls.and_then(|t: &dyn TlsView| t.version()).map(str::as_bytes), l, o);
    "st" "status" |f, l, o| status(f, l, o);
    "t" "date of the connection" |f, l, o| dated(f.txn.times.accept_us, l, o);
    "tr" "date of the request" |f, l, o| dated(f.txn.times.request_us, l, o);
    "trg" "date of the request, GMT" |f, l, o| clf(f.txn.times.request_us, false, l, o);
    "trl" "date of the request, local" |f, l, o| clf(f.txn.times.request_us, true, l, o);
    "ts" "how it ended" |f, l, o| put(&f.txn.term[..2], l, o);
    "tsc" "how it ended, with cookies" |f, l, o| put(&f.txn.term, l, o);
    "Bi" "our address towards the server" |f, l, o| addr(f.back.map(|b| b.src), l, o);
    "Bp" "our port towards the server" |f, l, o| port(f.back.map(|b| b.src), l, o);
    "Bq" "queue of the backend" |f, l, o| num(f.txn.backend_queue, l, o);
    "Ci" "client" |f, l, o| client(f, l, o);
    "Cp" "client's port" |f, l, o| client_port(f, l, o);
    "Fi" "address the client asked for" |f, l, o| addr(Some(f.dst()), l, o);
    "Fp" "port the client asked for" |f, l, o| port(Some(f.dst()), l, o);
    "Si" "address of the server" |f, l, o| addr(f.back.map(|b| b.dst), l, o);
    "Sp" "port of the server" |f, l, o| port(f.back.map(|b| b.dst), l, o);
};

/// What `write` appends, in quotes where they are asked for; nothing in it needs an escape.
fn quoted(flags: Flags, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if flags.quote {
        out.push(b'"');
    }
    write(out);
    if flags.quote {
        out.push(b'"');
    }
}

fn num(n: impl Into<i64>, flags: Flags, out: &mut Vec<u8>) {
    let n = n.into();
    if flags.hex {
        write_fmt(out, format_args!("{n:02X}"));
    } else if flags.quote {
        write_fmt(out, format_args!("\"{n}\""));
    } else {
        super::sample::write_int(out, n);
    }
}

/// A number that still grows when the line is written early.
fn grown(n: u64, facts: &Facts<'_>, flags: Flags, out: &mut Vec<u8>) {
    if facts.txn.early_log {
        out.push(b'+');
    }
    num(n as i64, flags, out);
}

fn grown_time(n: i32, facts: &Facts<'_>, flags: Flags, out: &mut Vec<u8>) {
    if facts.txn.early_log {
        out.push(b'+');
    }
    num(n, flags, out);
}

fn text(bytes: Option<&[u8]>, flags: Flags, out: &mut Vec<u8>) {
    match bytes {
        Some(bytes) if !bytes.is_empty() => put_encoded(bytes, flags, out),
        _ if flags.quote => out.extend_from_slice(b"\"\""),
        _ if flags.dash => out.push(b'-'),
        _ => {}
    }
}

fn status(facts: &Facts<'_>, flags: Flags, out: &mut Vec<u8>) {
    match facts.txn.status {
        0 => num(-1, flags, out),
        n => num(n, flags, out),
    }
}

/// From the request's first byte to the end.
fn active(facts: &Facts<'_>) -> i32 {
    let times = &facts.txn.times;
    if times.total < 0 {
        return -1;
    }
    times.total - times.handshake.max(0) - times.idle.max(0)
}

fn asked(facts: &Facts<'_>) -> i32 {
    let times = &facts.txn.times;
    if times.request < 0 {
        return -1;
    }
    times.handshake.max(0) + times.idle.max(0) + times.request
}

fn used(facts: &Facts<'_>) -> i32 {
    let times = &facts.txn.times;
    if times.total < 0 {
        return -1;
    }
    times.total - times.idle.max(0)
}

fn addr(addr: Option<Addr>, flags: Flags, out: &mut Vec<u8>) {
    match addr.and_then(|a| a.ip()) {
        Some(ip) => quoted(flags, out, |out| super::sample::write_ip(out, ip)),
        None => text(None, flags, out),
    }
}

fn port(addr: Option<Addr>, flags: Flags, out: &mut Vec<u8>) {
    match addr.and_then(|a| a.port()) {
        Some(port) => num(port, flags, out),
        None => text(None, flags, out),
    }
}

/// A UNIX client is shown as `unix:<number of the bind line>`.
fn client(facts: &Facts<'_>, flags: Flags, out: &mut Vec<u8>) {
    match facts.src() {
        Addr::Unix => put(b"unix", flags, out),
        other => addr(Some(other), flags, out),
    }
}

fn client_port(facts: &Facts<'_>, flags: Flags, out: &mut Vec<u8>) {
    match facts.src() {
        Addr::Unix => num(facts.world.listener_puid(facts.conn.listener), flags, out),
        other => port(Some(other), flags, out),
    }
}

fn frontend_tls(facts: &Facts<'_>, flags: Flags, out: &mut Vec<u8>) {
    let name = facts.world.proxy_name(facts.txn.frontend);
    quoted(flags, out, |out| {
        put_encoded(name.as_bytes(), Flags::default(), out);
        if facts.txn.front_tls {
            out.push(b'~');
        }
    });
}

fn server(facts: &Facts<'_>, flags: Flags, out: &mut Vec<u8>) {
    match facts.txn.server {
        Some(id) => text(Some(facts.world.server_name(id).as_bytes()), flags, out),
        None => put(
            if facts.txn.handler.is_empty() { "<NOSRV>" } else { facts.txn.handler }.as_bytes(),
            flags,
            out,
        ),
    }
}

fn retries(facts: &Facts<'_>, flags: Flags, out: &mut Vec<u8>) {
    if facts.txn.redispatched {
        out.push(b'+');
    }
    num(facts.txn.retries, flags, out);
}

fn request_line(facts: &Facts<'_>, flags: Flags, out: &mut Vec<u8>) {
    let line = &facts.txn.request_line;
    put_encoded(if line.is_empty() { b"<BADREQ>" } else { line }, flags, out);
}

/// The request target as it came: the second word of the request line.
fn target<'a>(facts: &Facts<'a>) -> Option<&'a [u8]> {
    facts.txn.request_line.split(|b| *b == b' ').nth(1)
}

fn cut_query(target: &[u8]) -> (&[u8], &[u8]) {
    target.split_at(target.iter().position(|b| *b == b'?').unwrap_or(target.len()))
}

/// `{a|b}`; the delimiters are encoded inside, nothing is written when no capture is declared.
fn braces(slots: &[Option<Box<[u8]>>], flags: Flags, out: &mut Vec<u8>) {
    if slots.is_empty() {
        return;
    }
    quoted(flags, out, |out| {
        out.push(b'{');
        for (at, slot) in slots.iter().enumerate() {
            if at > 0 {
                out.push(b'|');
            }
            for byte in slot.as_deref().unwrap_or_default() {
                match byte {
                    b'{' | b'}' | b'|' => write_fmt(out, format_args!("#{byte:02X}")),
                    _ => put_encoded(&[*byte], Flags::default(), out),
                }
            }
        }
        out.push(b'}');
    });
}

fn one_by_one(slots: &[Option<Box<[u8]>>], flags: Flags, out: &mut Vec<u8>) {
    for (at, slot) in slots.iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        text(slot.as_deref(), flags, out);
    }
}

/// `20/Nov/2026:22:17:53.460`
fn dated(us: u64, flags: Flags, out: &mut Vec<u8>) {
    let t = LocalTime::at((us / 1_000_000) as i64);
    quoted(flags, out, |out| {
        day_and_time(&t, out);
        out.push(b'.');
        digits(3, us / 1000 % 1000, out);
    });
}

/// `20/Nov/2026:22:17:53 +0000`
fn clf(us: u64, local: bool, flags: Flags, out: &mut Vec<u8>) {
    let seconds = (us / 1_000_000) as i64;
    let t = if local { LocalTime::at(seconds) } else { LocalTime::utc(seconds) };
    let (sign, hours, minutes) = t.zone();
    quoted(flags, out, |out| {
        day_and_time(&t, out);
        write_fmt(out, format_args!(" {sign}{hours:02}{minutes:02}"));
    });
}

fn day_and_time(t: &LocalTime, out: &mut Vec<u8>) {
    digits(2, t.day.into(), out);
    out.push(b'/');
    out.extend_from_slice(t.month_name().as_bytes());
    out.push(b'/');
    digits(4, t.year.max(0) as u64, out);
    for part in [t.hour, t.minute, t.second] {
        out.push(b':');
        digits(2, part.into(), out);
    }
}

/// A number with leading zeros; digits beyond `count` are lost.
fn digits(count: u32, n: u64, out: &mut Vec<u8>) {
    for place in (0..count).rev() {
        out.push(b'0' + (n / 10u64.pow(place) % 10) as u8);
    }
}
