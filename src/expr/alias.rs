//! The aliases of log-format strings (`%ci`, `%Tw`...), with the names of the 1.5 era.

use std::net::IpAddr;

use lighterman_sys::localtime::LocalTime;

use super::logfmt::{put_encoded, put_text, Flags};
use super::sample::{write_fmt, Scratch};
use super::view::{Addr, Facts, ProcessCount, TlsView};
use lighterman_wire::http::uri::{self, Form};
use lighterman_wire::http::Version;

/// One alias.
pub struct Alias {
    /// Its name, without `%`.
    pub name: &'static str,
    /// What it shows.
    pub brief: &'static str,
    /// It is a number: JSON and CBOR write it as one.
    pub number: bool,
    /// Appends it.
    pub write: fn(&Facts<'_>, Flags, &mut Vec<u8>),
}

/// The alias of this name.
pub fn find(name: &str) -> Option<&'static Alias> {
    ALL.iter().find(|alias| alias.name == name)
}

macro_rules! aliases {
    (@ int) => { true };
    (@ str) => { false };
    ($($name:literal $kind:ident $brief:literal $write:expr;)*) => {
        &[$(Alias { name: $name, brief: $brief, number: aliases!(@ $kind), write: $write },)*]
    };
}

/// Every alias.
pub const ALL: &[Alias] = aliases! {
    "B" int "bytes sent to the client" |f, l, o| grown(f.txn.bytes_out, f, l, o);
    "CC" str "captured request cookie" |f, l, o| text(f.txn.req_cookie.as_deref(), l, o);
    "CS" str "captured response cookie" |f, l, o| text(f.txn.res_cookie.as_deref(), l, o);
    "H" str "host name" |f, l, o| text(Some(f.world.hostname().as_bytes()), l, o);
    "HM" str "method" |f, l, o| asked_for(asked_word(f, 0), l, o);
    "HP" str "target without query" |f, l, o| asked_for(target(f).map(|u| cut_query(u).0), l, o);
    "HPO" str "path without query" |f, l, o| path(f, l, o);
    "HQ" str "query with its question mark" |f, l, o| put_encoded(target(f).map_or(BAD_REQUEST, |u| cut_query(u).1), l, o);
    "HU" str "target" |f, l, o| asked_for(target(f), l, o);
    "HV" str "version" |f, l, o| asked_for(f.req.map(|h| if h.version() == Version::V10 { &b"HTTP/1.0"[..] } else { b"HTTP/1.1" }), l, o);
    "ID" str "unique id" |f, l, o| text(f.unique_id(), l, o);
    "ST" int "status" |f, l, o| status(f, l, o);
    "T" str "date of the connection, GMT" |f, l, o| clf(f.txn.times.accept_us, false, l, o);
    "Ta" int "active time" |f, l, o| grown_time(active(f), f, l, o);
    "Tc" int "time to connect" |f, l, o| num(f.txn.times.connect, l, o);
    "Td" int "time of data transfer" |f, l, o| num(f.txn.times.data, l, o);
    "Th" int "time of handshakes" |f, l, o| num(f.txn.times.handshake, l, o);
    "Ti" int "idle time" |f, l, o| num(f.txn.times.idle, l, o);
    "Tl" str "date of the connection, local" |f, l, o| clf(f.txn.times.accept_us, true, l, o);
    "TR" int "time to receive the request" |f, l, o| num(f.txn.times.request, l, o);
    "Tq" int "time from accept to the whole request" |f, l, o| num(asked(f), l, o);
    "Tr" int "time to the response" |f, l, o| num(f.txn.times.response, l, o);
    "Ts" int "date of the connection, seconds" |f, l, o| wide((f.txn.times.accept_us / 1_000_000) as i64, 4, l, o);
    "Tt" int "time in all" |f, l, o| grown_time(f.txn.times.total, f, l, o);
    "Tu" int "time in all but idle" |f, l, o| grown_time(used(f), f, l, o);
    "Tw" int "time in queues" |f, l, o| num(f.txn.times.queue, l, o);
    "U" int "bytes received from the client" |f, l, o| grown(f.txn.bytes_in, f, l, o);
    "ac" int "connections of the process" |f, l, o| num(f.txn.conns[0], l, o);
    "b" str "backend" |f, l, o| text(Some(f.world.proxy_name(f.proxy()).as_bytes()), l, o);
    "bc" int "connections of the backend" |f, l, o| num(f.txn.conns[2], l, o);
    "bi" str "our address towards the server" |f, l, o| addr(Some(f.back_src()), l, o);
    "bp" int "our port towards the server" |f, l, o| port(Some(f.back_src()), l, o);
    "bq" int "queue of the backend" |f, l, o| num(f.txn.backend_queue, l, o);
    "cc" str "captured request cookie" |f, l, o| text(f.txn.req_cookie.as_deref(), l, o);
    "ci" str "client" |f, l, o| client(f, l, o);
    "cp" int "client's port" |f, l, o| client_port(f, l, o);
    "cs" str "captured response cookie" |f, l, o| text(f.txn.res_cookie.as_deref(), l, o);
    "f" str "frontend" |f, l, o| text(Some(f.world.proxy_name(f.txn.frontend).as_bytes()), l, o);
    "fc" int "connections of the frontend" |f, l, o| num(f.txn.conns[1], l, o);
    "fi" str "address the client asked for" |f, l, o| addr(Some(f.dst()), l, o);
    "fp" int "port the client asked for" |f, l, o| port(Some(f.dst()), l, o);
    "ft" str "frontend, with ~ for TLS" frontend_tls;
    "hr" str "captured request fields" |f, l, o| braces(&f.txn.req_caps, l, o);
    "hrl" str "captured request fields, one by one" |f, l, o| one_by_one(&f.txn.req_caps, l, o);
    "hs" str "captured response fields" |f, l, o| braces(&f.txn.res_caps, l, o);
    "hsl" str "captured response fields, one by one" |f, l, o| one_by_one(&f.txn.res_caps, l, o);
    "lc" int "number of the log line" |f, l, o| wide(f.txn.log_serial as i64, 4, l, o);
    "ms" int "milliseconds of the connection's date" milliseconds;
    "pid" int "process id" |f, l, o| wide(f.world.process(ProcessCount::Pid), 4, l, o);
    "r" str "request line" request_line;
    "rc" int "attempts after the first" retries;
    "rt" int "number of the request" |f, l, o| wide(f.txn.serial as i64, 4, l, o);
    "s" str "server" server;
    "sc" int "connections of the server" |f, l, o| num(f.txn.conns[3], l, o);
    "si" str "address of the server" |f, l, o| addr(server_addr(f), l, o);
    "sp" int "port of the server" |f, l, o| port(server_addr(f), l, o);
    "sq" int "queue of the server" |f, l, o| num(f.txn.server_queue, l, o);
    "sslc" str "cipher suite" |f, l, o| text(f.tls.and_then(|t| t.cipher()).map(str::as_bytes), l, o);
    "sslv" str "TLS version" |f, l, o| text(f.tls.and_then(|t: &dyn TlsView| t.version()).map(str::as_bytes), l, o);
    "st" int "status" |f, l, o| status(f, l, o);
    "t" str "date of the connection" |f, l, o| dated(f.txn.times.accept_us, l, o);
    "tr" str "date of the request" |f, l, o| dated(f.txn.times.request_us, l, o);
    "trg" str "date of the request, GMT" |f, l, o| clf(f.txn.times.request_us, false, l, o);
    "trl" str "date of the request, local" |f, l, o| clf(f.txn.times.request_us, true, l, o);
    "ts" str "how it ended" |f, _, o| o.extend_from_slice(&f.txn.term[..2]);
    "tsc" str "how it ended, with cookies" |f, _, o| o.extend_from_slice(&f.txn.term);
    "Bi" str "our address towards the server" |f, l, o| addr(Some(f.back_src()), l, o);
    "Bp" int "our port towards the server" |f, l, o| port(Some(f.back_src()), l, o);
    "Bq" int "queue of the backend" |f, l, o| num(f.txn.backend_queue, l, o);
    "Ci" str "client" |f, l, o| client(f, l, o);
    "Cp" int "client's port" |f, l, o| client_port(f, l, o);
    "Fi" str "address the client asked for" |f, l, o| addr(Some(f.dst()), l, o);
    "Fp" int "port the client asked for" |f, l, o| port(Some(f.dst()), l, o);
    "Si" str "address of the server" |f, l, o| addr(server_addr(f), l, o);
    "Sp" int "port of the server" |f, l, o| port(server_addr(f), l, o);
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

fn num(n: impl Into<i64>, _: Flags, out: &mut Vec<u8>) {
    super::sample::write_int(out, n.into());
}

/// A number that is written in so many hexadecimal digits or more where that is asked for.
fn wide(n: i64, digits: usize, flags: Flags, out: &mut Vec<u8>) {
    match flags.hex {
        true => write_fmt(out, format_args!("{n:0digits$X}")),
        false => super::sample::write_int(out, n),
    }
}

/// A number that still grows when the line is written early.
fn grown(n: u64, facts: &Facts<'_>, flags: Flags, out: &mut Vec<u8>) {
    unfinished(facts, flags, out);
    num(n as i64, flags, out);
}

fn grown_time(n: i32, facts: &Facts<'_>, flags: Flags, out: &mut Vec<u8>) {
    unfinished(facts, flags, out);
    num(n, flags, out);
}

fn unfinished(facts: &Facts<'_>, flags: Flags, out: &mut Vec<u8>) {
    if facts.txn.early_log && flags.is_plain() {
        out.push(b'+');
    }
}

fn text(bytes: Option<&[u8]>, flags: Flags, out: &mut Vec<u8>) {
    put_text(bytes.unwrap_or_default(), flags, out);
}

/// A part of the request line.
fn asked_for(bytes: Option<&[u8]>, flags: Flags, out: &mut Vec<u8>) {
    put_encoded(bytes.filter(|bytes| !bytes.is_empty()).unwrap_or(BAD_REQUEST), flags, out);
}

/// A target that is no path (`*`, an authority) has none to show.
fn path(facts: &Facts<'_>, flags: Flags, out: &mut Vec<u8>) {
    let path = target(facts).map_or(BAD_REQUEST, |target| {
        let begin = match uri::layout(target).map(|layout| (layout.form, layout.path)) {
            Some((Form::Origin | Form::Absolute, at)) => at,
            _ => target.len(),
        };
        cut_query(target.get(begin..).unwrap_or_default()).0
    });
    put_encoded(path, flags, out);
}

/// What stands for a request that could not be read.
const BAD_REQUEST: &[u8] = b"<BADREQ>";

fn milliseconds(facts: &Facts<'_>, flags: Flags, out: &mut Vec<u8>) {
    let n = facts.txn.times.accept_us / 1000 % 1000;
    match flags.hex {
        true => write_fmt(out, format_args!("{n:02X}")),
        false => digits(3, n, out),
    }
}

fn status(facts: &Facts<'_>, flags: Flags, out: &mut Vec<u8>) {
    match facts.txn.status {
        0 => num(-1, flags, out),
        n => num(n, flags, out),
    }
}

/// From the request's first byte to the end.
pub(super) fn active(facts: &Facts<'_>) -> i32 {
    let times = &facts.txn.times;
    if times.total < 0 {
        return -1;
    }
    times.total - times.handshake.max(0) - times.idle.max(0)
}

pub(super) fn asked(facts: &Facts<'_>) -> i32 {
    let times = &facts.txn.times;
    if times.request < 0 {
        return -1;
    }
    times.handshake.max(0) + times.idle.max(0) + times.request
}

pub(super) fn used(facts: &Facts<'_>) -> i32 {
    let times = &facts.txn.times;
    if times.total < 0 {
        return -1;
    }
    times.total - times.idle.max(0)
}

fn addr(addr: Option<Addr>, flags: Flags, out: &mut Vec<u8>) {
    let mut shown = Scratch::new();
    match addr.and_then(|a| a.ip()) {
        Some(IpAddr::V4(ip)) if flags.hex => return hex(&ip.octets(), out),
        Some(IpAddr::V6(ip)) if flags.hex => return hex(&ip.octets(), out),
        Some(ip) => super::sample::write_ip(&mut shown, ip),
        None => {}
    }
    text(Some(&shown), flags, out);
}

fn port(addr: Option<Addr>, flags: Flags, out: &mut Vec<u8>) {
    match addr.and_then(|a| a.port()) {
        Some(port) => wide(port.into(), 4, flags, out),
        None => text(None, flags, out),
    }
}

fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    bytes.iter().for_each(|byte| write_fmt(out, format_args!("{byte:02X}")));
}

/// A UNIX client is shown as `unix:<number of the bind line>`.
fn client(facts: &Facts<'_>, flags: Flags, out: &mut Vec<u8>) {
    match facts.src() {
        Addr::Unix => text(Some(b"unix"), flags, out),
        other => addr(Some(other), flags, out),
    }
}

fn client_port(facts: &Facts<'_>, flags: Flags, out: &mut Vec<u8>) {
    match facts.src() {
        Addr::Unix => wide(facts.world.listener_puid(facts.conn.listener).into(), 4, flags, out),
        other => port(Some(other), flags, out),
    }
}

fn frontend_tls(facts: &Facts<'_>, flags: Flags, out: &mut Vec<u8>) {
    let name = facts.world.proxy_name(facts.txn.frontend);
    quoted(flags, out, |out| {
        out.extend_from_slice(name.as_bytes());
        if facts.txn.front_tls {
            out.push(b'~');
        }
    });
}

fn server(facts: &Facts<'_>, flags: Flags, out: &mut Vec<u8>) {
    let name = match facts.txn.server {
        Some(id) => facts.world.server_name(id),
        None if facts.txn.handler.is_empty() => "<NOSRV>",
        None => facts.txn.handler,
    };
    text(Some(name.as_bytes()), flags, out);
}

/// Where the server's connection goes or was to go.
fn server_addr(facts: &Facts<'_>) -> Option<Addr> {
    match facts.back {
        Some(back) => Some(back.dst),
        None => facts.txn.server.map(|id| facts.world.server_addr(id)),
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
    asked_for(Some(line), flags, out);
}

/// The request target as it came: the second word of the request line.
fn target<'a>(facts: &Facts<'a>) -> Option<&'a [u8]> {
    asked_word(facts, 1)
}

/// A word of the request line as it came, which is kept where there is a log; elsewhere as rules left it.
fn asked_word<'a>(facts: &Facts<'a>, nth: usize) -> Option<&'a [u8]> {
    match facts.txn.request_line.is_empty() {
        false => facts.txn.request_line.split(|b| *b == b' ').nth(nth),
        true => facts.req.map(|head| if nth == 0 { head.method() } else { head.uri() }),
    }
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
                put_captured(*byte, flags, out);
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
        match slot {
            None if !flags.quote => out.push(b'-'),
            slot => quoted(flags, out, |out| {
                slot.as_deref().unwrap_or_default().iter().for_each(|byte| put_captured(*byte, flags, out));
            }),
        }
    }
}

/// What delimits captures is encoded within them.
fn put_captured(byte: u8, flags: Flags, out: &mut Vec<u8>) {
    match byte {
        b'{' | b'}' | b'|' => write_fmt(out, format_args!("#{byte:02X}")),
        _ => put_encoded(&[byte], Flags { quote: false, ..flags }, out),
    }
}

/// `20/Nov/2026:22:17:53.460`
fn dated(us: u64, _: Flags, out: &mut Vec<u8>) {
    let t = LocalTime::at((us / 1_000_000) as i64);
    day_and_time(&t, out);
    out.push(b'.');
    digits(3, us / 1000 % 1000, out);
}

/// `20/Nov/2026:22:17:53 +0000`
fn clf(us: u64, local: bool, _: Flags, out: &mut Vec<u8>) {
    let seconds = (us / 1_000_000) as i64;
    let t = if local { LocalTime::at(seconds) } else { LocalTime::utc(seconds) };
    let (sign, hours, minutes) = t.zone();
    day_and_time(&t, out);
    write_fmt(out, format_args!(" {sign}{hours:02}{minutes:02}"));
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
