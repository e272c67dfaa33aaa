//! Fetches of raw bytes: what has come so far in either direction, and a TLS ClientHello seen in passing.

use super::{Fetch, Needs};
use crate::expr::args::{Args, Kind};
use crate::expr::sample::{Data, Got, Sample, Scratch, Ty};
use crate::expr::view::{Bytes, Facts};
use lighterman_wire::client_hello;
use lighterman_wire::error::Parse;
use lighterman_wire::rdp;

/// The rows of this family.
pub const ROWS: &[Fetch] = &[
    Fetch::new(
        "req.len",
        Ty::Int,
        Needs::REQ_BYTES,
        |f, _| length(f.req_bytes),
        "bytes of the client so far",
    ),
    Fetch::new(
        "req.payload",
        Ty::Bin,
        Needs::REQ_BYTES,
        |f, a| part(both(f.req_bytes, f.req_body), a),
        "a part of the client's bytes",
    )
    .args("req.payload(<offset>,<length>)", 2, &[Kind::Int, Kind::Int])
    .text("A length of 0 means all that has come."),
    Fetch::new(
        "req.payload_lv",
        Ty::Bin,
        Needs::REQ_BYTES,
        |f, a| counted(f.req_bytes, a),
        "a part of the client's bytes that is preceded by its length",
    )
    .args("req.payload_lv(<offset>,<length>[,<bytes offset>])", 2, &[Kind::Int, Kind::Int, Kind::Str]),
    Fetch::new(
        "payload_lv",
        Ty::Bin,
        Needs::REQ_BYTES.or(Needs::RES_BYTES),
        payload_lv,
        "a part of the bytes that is preceded by its length",
    )
    .args("payload_lv(<offset>,<length>[,<bytes offset>])", 2, &[Kind::Int, Kind::Int, Kind::Str]),
    Fetch::new(
        "req.rdp_cookie",
        Ty::Str,
        Needs::REQ_BYTES,
        |f, a| rdp_cookie(f, a, |c| Some(Sample::text(c.value))),
        "a cookie in the first packet of a remote desktop client",
    )
    .args("req.rdp_cookie([<name>])", 0, &[Kind::Str])
    .text("Names are compared in any case; without a name, whichever cookie is there."),
    Fetch::new(
        "req.rdp_cookie_cnt",
        Ty::Int,
        Needs::REQ_BYTES,
        |f, a| match rdp_cookie(f, a, |_| Some(Sample::Int(1))) {
            Got::None => Got::Some(Sample::Int(0)),
            got => got,
        },
        "1 when a remote desktop client sent a cookie, else 0",
    )
    .args("req.rdp_cookie_cnt([<name>])", 0, &[Kind::Str]),
    Fetch::new(
        "req.proto_http",
        Ty::Bool,
        Needs::REQ_BYTES.or(Needs::REQ_KEPT),
        proto_http,
        "the client speaks HTTP",
    ),
    Fetch::new(
        "req.ssl_alpn",
        Ty::Str,
        Needs::REQ_BYTES,
        |f, _| hello(f, alpn),
        "protocols a TLS client offers, seen in passing",
    ),
    Fetch::new(
        "req.ssl_cipherlist",
        Ty::Bin,
        Needs::REQ_BYTES,
        |f, _| hello(f, |h| list(h.ciphers())),
        "cipher suites a TLS client offers, two bytes each",
    ),
    Fetch::new(
        "req.ssl_ec_ext",
        Ty::Bool,
        Needs::REQ_BYTES,
        |f, _| hello(f, |h| Some(Sample::Bool(h.groups().next().is_some()))),
        "a TLS client knows elliptic curves",
    ),
    Fetch::new(
        "req.ssl_keyshare_groups",
        Ty::Bin,
        Needs::REQ_BYTES,
        |f, _| hello(f, |h| list(h.key_share_groups())),
        "groups a TLS client sends keys for, two bytes each",
    ),
    Fetch::new(
        "req.ssl_sigalgs",
        Ty::Bin,
        Needs::REQ_BYTES,
        |f, _| hello(f, |h| list(h.signature_algorithms())),
        "signature algorithms a TLS client accepts, two bytes each",
    ),
    Fetch::new(
        "req.ssl_st_ext",
        Ty::Int,
        Needs::REQ_BYTES,
        |f, _| hello(f, ticket),
        "0: a TLS client knows no tickets, 1: it knows them, 2: it sends one; seen in passing",
    ),
    Fetch::new(
        "req.ssl_supported_groups",
        Ty::Bin,
        Needs::REQ_BYTES,
        |f, _| hello(f, |h| list(h.groups())),
        "groups a TLS client supports, two bytes each",
    ),
    Fetch::new(
        "req.ssl_hello_type",
        Ty::Int,
        Needs::REQ_BYTES,
        |f, _| hello_type(f.req_bytes),
        "type of the first TLS handshake message of the client",
    ),
    Fetch::new(
        "req.ssl_sni",
        Ty::Str,
        Needs::REQ_BYTES,
        |f, _| hello(f, sni),
        "name a TLS client asks for, seen in passing",
    ),
    Fetch::new(
        "req.ssl_ver",
        Ty::Int,
        Needs::REQ_BYTES,
        |f, _| hello(f, version),
        "TLS version a client asks for, seen in passing",
    ),
    Fetch::new(
        "res.len",
        Ty::Int,
        Needs::RES_BYTES,
        |f, _| length(f.res_bytes),
        "bytes of the server so far",
    ),
    Fetch::new(
        "res.payload",
        Ty::Bin,
        Needs::RES_BYTES,
        |f, a| part(both(f.res_bytes, f.res_body), a),
        "a part of the server's bytes",
    )
    .args("res.payload(<offset>,<length>)", 2, &[Kind::Int, Kind::Int]),
    Fetch::new(
        "res.payload_lv",
        Ty::Bin,
        Needs::RES_BYTES,
        |f, a| counted(f.res_bytes, a),
        "a part of the server's bytes that is preceded by its length",
    )
    .args("res.payload_lv(<offset>,<length>[,<bytes offset>])", 2, &[Kind::Int, Kind::Int, Kind::Str]),
    Fetch::new(
        "res.ssl_hello_type",
        Ty::Int,
        Needs::RES_BYTES,
        |f, _| hello_type(f.res_bytes),
        "type of the first TLS handshake message of the server",
    ),
    Fetch::new(
        "wait_end",
        Ty::Bool,
        Needs::REQ_BYTES.or(Needs::RES_BYTES),
        |f, _| if f.last { Got::Some(Sample::Bool(true)) } else { Got::NotYet },
        "true once the inspection delay is over",
    ),
];

/// In HTTP the body stands for the bytes.
fn both<'a>(bytes: Bytes<'a>, body: Bytes<'a>) -> Bytes<'a> {
    if bytes.data.is_empty() && bytes.whole {
        body
    } else {
        bytes
    }
}

fn length<'a>(bytes: Bytes<'a>) -> Got<'a> {
    let n = Sample::Int(bytes.data.len() as i64);
    if bytes.whole {
        Got::Some(n)
    } else {
        Got::SoFar(n)
    }
}

fn part<'a>(bytes: Bytes<'a>, args: &'a Args) -> Got<'a> {
    let (Ok(at), Ok(len)) = (usize::try_from(args.int(0, 0)), usize::try_from(args.int(1, 0))) else {
        return Got::None;
    };
    if len == 0 {
        return match bytes.data.get(at..) {
            Some(rest) if bytes.whole => Got::Some(Sample::bytes(rest)),
            Some([]) => Got::NotYet,
            Some(rest) => Got::SoFar(Sample::bytes(rest)),
            None if bytes.whole => Got::None,
            None => Got::NotYet,
        };
    }
    slice(bytes, at, len)
}

fn slice<'a>(bytes: Bytes<'a>, at: usize, len: usize) -> Got<'a> {
    match at.checked_add(len).and_then(|end| bytes.data.get(at..end)) {
        Some(part) => Got::Some(Sample::bytes(part)),
        None if bytes.whole => Got::None,
        None => Got::NotYet,
    }
}

/// `<offset>` and `<length>` say where a length stands; the data follow it, or stand at the third
/// argument: an offset from the start, or with a sign, from behind the length.
fn counted<'a>(bytes: Bytes<'a>, args: &'a Args) -> Got<'a> {
    let (Ok(at), Ok(width)) = (usize::try_from(args.int(0, 0)), usize::try_from(args.int(1, 0))) else {
        return Got::None;
    };
    let Some(behind) = at.checked_add(width).filter(|_| (1..=8).contains(&width)) else { return Got::None };
    let Some(digits) = bytes.data.get(at..behind) else {
        return if bytes.whole { Got::None } else { Got::NotYet };
    };
    let len = digits.iter().fold(0usize, |n, b| n << 8 | usize::from(*b));
    let start = match args.opt_str(2) {
        None => Some(behind),
        Some(text) => match (text.parse::<i64>(), text.starts_with(['+', '-'])) {
            (Ok(n), true) => behind.checked_add_signed(n as isize),
            (Ok(n), false) => usize::try_from(n).ok(),
            (Err(_), _) => None,
        },
    };
    match start {
        Some(start) if len > 0 => slice(bytes, start, len),
        _ => Got::None,
    }
}

fn payload_lv<'a>(facts: &Facts<'a>, args: &'a Args) -> Got<'a> {
    let answer = !facts.res_bytes.data.is_empty();
    counted(if answer { facts.res_bytes } else { facts.req_bytes }, args)
}

/// The first word of every HTTP request is a method; that is enough to tell it from anything else.
fn proto_http<'a>(facts: &Facts<'a>, _: &'a Args) -> Got<'a> {
    if facts.req.is_some() {
        return Got::Some(Sample::Bool(true));
    }
    let bytes = facts.req_bytes;
    let line = bytes.data.iter().position(|b| *b == b'\n').map(|end| &bytes.data[..end]);
    let looks = |line: &[u8]| {
        let mut words = line.split(|b| *b == b' ');
        let method = words.next().unwrap_or_default();
        let token = !method.is_empty() && method.iter().all(|b| b.is_ascii_uppercase());
        token && line.windows(6).any(|w| w == b" HTTP/")
    };
    match line {
        Some(line) => Got::Some(Sample::Bool(looks(line))),
        None if bytes.whole => Got::Some(Sample::Bool(false)),
        None if bytes.data.first().is_some_and(|b| !b.is_ascii_uppercase()) => Got::Some(Sample::Bool(false)),
        None => Got::NotYet,
    }
}

/// Record type 22, then the type of the handshake message.
fn hello_type<'a>(bytes: Bytes<'a>) -> Got<'a> {
    match bytes.data {
        [22, 3, _, _, _, kind, ..] => Got::Some(Sample::Int((*kind).into())),
        [22, 3, ..] | [22] | [] if !bytes.whole => Got::NotYet,
        _ => Got::None,
    }
}

fn hello<'a>(
    facts: &Facts<'a>,
    ask: fn(&client_hello::ClientHello<'_>) -> Option<Sample<'static>>,
) -> Got<'a> {
    let bytes = facts.req_bytes;
    let mut scratch = Vec::new();
    match client_hello::parse(bytes.data, &mut scratch) {
        Parse::Done(hello, _) => ask(&hello).map_or(Got::None, Got::Some),
        Parse::Need if !bytes.whole => Got::NotYet,
        _ => Got::None,
    }
}

/// Numbers as bytes, as they are on the wire.
fn list(numbers: impl Iterator<Item = u16>) -> Option<Sample<'static>> {
    let mut out = Scratch::new();
    numbers.for_each(|n| out.extend_from_slice(&n.to_be_bytes()));
    (!out.is_empty()).then(|| Sample::Bin(out.into()))
}

fn rdp_cookie<'a>(
    facts: &Facts<'a>,
    args: &'a Args,
    answer: fn(rdp::Cookie<'a>) -> Option<Sample<'a>>,
) -> Got<'a> {
    let name = args.str(0).as_bytes();
    let bytes = facts.req_bytes;
    match rdp::cookie(bytes.data) {
        Parse::Done(c, _) if name.is_empty() || c.name.eq_ignore_ascii_case(name) => answer(c).into(),
        Parse::Need if !bytes.whole => Got::NotYet,
        _ => Got::None,
    }
}

fn owned(bytes: &[u8]) -> Sample<'static> {
    Sample::Str(Data::Own(Scratch::of(bytes)))
}

fn sni(hello: &client_hello::ClientHello<'_>) -> Option<Sample<'static>> {
    hello.sni().map(owned)
}

fn alpn(hello: &client_hello::ClientHello<'_>) -> Option<Sample<'static>> {
    let names: Vec<&[u8]> = hello.alpn().collect();
    (!names.is_empty()).then(|| owned(&names.join(&b","[..])))
}

fn ticket(hello: &client_hello::ClientHello<'_>) -> Option<Sample<'static>> {
    let knows = hello.extension(client_hello::extension::SESSION_TICKET);
    Some(Sample::Int(knows.map_or(0, |ticket| 1 + i64::from(!ticket.is_empty()))))
}

/// Major version in the upper half, minor in the lower: 3.3 is TLS 1.2.
fn version(hello: &client_hello::ClientHello<'_>) -> Option<Sample<'static>> {
    let version = hello.versions().max().unwrap_or_else(|| hello.version());
    Some(Sample::Int(i64::from(version >> 8) << 16 | i64::from(version & 0xff)))
}
