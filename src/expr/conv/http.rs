//! Converters of what HTTP carries: dates, hosts, encoded text.

use std::time::{Duration, UNIX_EPOCH};

use super::bytes::text;
use super::Conv;
use crate::expr::args::{hex_digit, Args, Kind};
use crate::expr::sample::{Sample, Ty};
use crate::expr::view::Facts;

/// The rows of this family.
pub const ROWS: &[Conv] = &[
    Conv::new(
        "host_only",
        Ty::Str,
        Ty::Str,
        |s, _, _| Some(text(split_host(s.as_bytes()?).0)),
        "a host without its port",
    ),
    Conv::new("http_date", Ty::Int, Ty::Str, http_date, "a date as HTTP writes it").args(
        "http_date([<offset>[,<unit>]])",
        0,
        &[Kind::Int, Kind::Choice(&["s", "ms", "us"])],
    ),
    Conv::new("param", Ty::Str, Ty::Str, param, "a parameter of a query").args(
        "param(<name>[,<delimiter>])",
        1,
        &[Kind::Str, Kind::Str],
    ),
    Conv::new(
        "port_only",
        Ty::Str,
        Ty::Int,
        |s, _, _| Some(Sample::Int(split_host(s.as_bytes()?).1.unwrap_or(0).into())),
        "the port of a host, 0 when there is none",
    ),
    Conv::new("url_dec", Ty::Str, Ty::Str, url_dec, "decodes what URLs encode").args(
        "url_dec([<in form>])",
        0,
        &[Kind::Int],
    ),
    Conv::new("url_enc", Ty::Str, Ty::Str, url_enc, "encodes for URLs").args(
        "url_enc([<kind>])",
        0,
        &[Kind::Choice(&["query"])],
    ),
];

/// Host and port; an IPv6 address keeps its brackets.
fn split_host(host: &[u8]) -> (&[u8], Option<u16>) {
    let from = host.iter().rposition(|b| *b == b']').map_or(0, |at| at + 1);
    match host[from..].iter().rposition(|b| *b == b':') {
        Some(at) => {
            let port = std::str::from_utf8(&host[from + at + 1..]).ok().and_then(|p| p.parse().ok());
            (&host[..from + at], port)
        }
        None => (host, None),
    }
}

fn http_date<'a>(s: Sample<'a>, args: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let Sample::Int(n) = s else { return None };
    let n = n.saturating_add(args.int(0, 0));
    let seconds = match args.int(1, 0) {
        0 => n,
        1 => n / 1000,
        _ => n / 1_000_000,
    };
    let date =
        UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).ok().filter(|s| *s < 253_402_300_800)?);
    Some(text(httpdate::fmt_http_date(date).as_bytes()))
}

fn param<'a>(s: Sample<'a>, args: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let delimiter = args.str(1).bytes().next().unwrap_or(b'&');
    let wanted = args.str(0).as_bytes();
    for pair in s.as_bytes()?.split(|b| *b == delimiter) {
        let cut = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
        if &pair[..cut] == wanted {
            return Some(text(pair.get(cut + 1..).unwrap_or_default()));
        }
    }
    None
}

fn url_dec<'a>(s: Sample<'a>, args: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let bytes = s.as_bytes()?;
    let mut out = Vec::with_capacity(bytes.len());
    let mut form = args.int(0, 0) != 0;
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (*first, tail) {
            (b'%', [high, low, after @ ..]) => {
                out.push(hex_digit(*high)? << 4 | hex_digit(*low)?);
                rest = after;
            }
            (b'%', _) => return None,
            (b'+', _) if form => out.push(b' '),
            (b'?', _) => {
                form = true;
                out.push(b'?');
            }
            (byte, _) => out.push(byte),
        }
    }
    Some(text(&out))
}

fn url_enc<'a>(s: Sample<'a>, _: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let mut out = Vec::new();
    for byte in s.as_bytes()? {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(*byte);
        } else {
            crate::expr::sample::write_fmt(&mut out, format_args!("%{byte:02X}"));
        }
    }
    Some(text(&out))
}
