//! Converters of the Forwarded field (RFC 7239).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{bytes_of, Conv};
use crate::expr::args::{Args, Kind};
use crate::expr::sample::{Data, Sample, Ty};
use crate::expr::view::Facts;

/// The rows of this family.
pub const ROWS: &[Conv] = &[
    Conv::new(
        "rfc7239_field",
        Ty::Str,
        Ty::Str,
        field,
        "a parameter of the first element of a Forwarded field",
    )
    .args("rfc7239_field(proto|host|for|by)", 1, &[Kind::Choice(NAMES)])
    .example("http-request set-var(txn.for) req.hdr(forwarded),rfc7239_field(for)"),
    Conv::new(
        "rfc7239_is_valid",
        Ty::Str,
        Ty::Bool,
        |s, _, _| Some(Sample::Bool(elements(s.as_bytes()?).is_some())),
        "whether a Forwarded field is well formed",
    ),
    Conv::new(
        "rfc7239_n2nn",
        Ty::Str,
        Ty::Any,
        node_name,
        "the address or name within a node of a Forwarded field",
    ),
    Conv::new("rfc7239_n2np", Ty::Str, Ty::Any, node_port, "the port within a node of a Forwarded field"),
];

const NAMES: &[&str] = &["proto", "host", "for", "by"];

/// Where a value stands, quotes not included.
type Span = (usize, usize);

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The parameters of the first element, by the order of [`NAMES`]; `None` when the field is not well
/// formed. All elements are looked at.
fn elements(text: &[u8]) -> Option<[Option<Span>; 4]> {
    let mut first = None;
    let mut here = [None; 4];
    let mut at = 0;
    loop {
        at += spaces(text, at);
        let start = at;
        at += text[at..].iter().take_while(|b| is_token(**b)).count();
        let name = text[start..at].to_ascii_lowercase();
        let which = NAMES.iter().position(|n| n.as_bytes() == name)?;
        if here[which].is_some() || text.get(at) != Some(&b'=') {
            return None;
        }
        let (span, next) = value(text, at + 1)?;
        if !is_right(which, &text[span.0..span.1]) {
            return None;
        }
        here[which] = Some(span);
        at = next + spaces(text, next);
        match text.get(at) {
            None => return first.or(Some(here)),
            Some(b';') => at += 1,
            Some(b',') => {
                first = first.or(Some(here));
                here = [None; 4];
                at += 1;
            }
            Some(_) => return None,
        }
    }
}

fn spaces(text: &[u8], at: usize) -> usize {
    text[at.min(text.len())..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count()
}

/// A token or a quoted text from `at`; its extent and what follows it.
fn value(text: &[u8], at: usize) -> Option<(Span, usize)> {
    if text.get(at) == Some(&b'"') {
        let len = memchr::memchr2(b'"', b'\\', text.get(at + 1..)?)?;
        let end = at + 1 + len;
        // no node or host needs an escape
        return (text[end] == b'"').then_some(((at + 1, end), end + 1));
    }
    let len = text.get(at..)?.iter().take_while(|b| is_token(**b) || **b == b':').count();
    (len > 0).then_some(((at, at + len), at + len))
}

fn is_right(which: usize, text: &[u8]) -> bool {
    match NAMES[which] {
        "proto" => matches!(&text.to_ascii_lowercase()[..], b"http" | b"https"),
        "host" => lighterman_wire::http::uri::split_authority(text).is_some_and(|(host, _)| !host.is_empty()),
        _ => node(text).is_some(),
    }
}

enum Name {
    Unknown,
    V4(Ipv4Addr),
    V6(Ipv6Addr),
    /// An obfuscated one, up to this byte.
    Hidden(usize),
}

enum Port {
    None,
    Number(u16),
    /// An obfuscated one, from this byte.
    Hidden(usize),
}

fn is_hidden(text: &[u8]) -> bool {
    matches!(text, [b'_', rest @ ..] if !rest.is_empty() && rest.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')))
}

/// RFC 7239 section 6.
fn node(text: &[u8]) -> Option<(Name, Port)> {
    let end = match text {
        [b'[', ..] => memchr::memchr(b']', text)? + 1,
        _ => memchr::memchr(b':', text).unwrap_or(text.len()),
    };
    let (name, rest) = text.split_at(end);
    let as_text = std::str::from_utf8(name).ok()?;
    let name = if name == b"unknown" {
        Name::Unknown
    } else if let Some(inside) = as_text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        Name::V6(inside.parse().ok()?)
    } else if is_hidden(name) {
        Name::Hidden(end)
    } else {
        Name::V4(as_text.parse().ok()?)
    };
    let port = match rest {
        [] => Port::None,
        [b':', port @ ..] if is_hidden(port) => Port::Hidden(end + 1),
        [b':', port @ ..] => Port::Number(lighterman_wire::http::uri::port_number(port)?),
        _ => return None,
    };
    Some((name, port))
}

fn field<'a>(s: Sample<'a>, args: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let data = bytes_of(s)?;
    let (from, to) = (*elements(&data)?.get(args.int(0, 0) as usize)?)?;
    Some(Sample::Str(data.part(from, to)))
}

fn node_name<'a>(s: Sample<'a>, _: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let data = bytes_of(s)?;
    match node(&data)?.0 {
        Name::Unknown => Some(Sample::Str(Data::Ref(b"unknown"))),
        Name::V4(ip) => Some(Sample::Ip4(ip)),
        Name::V6(ip) => Some(Sample::Ip6(ip)),
        Name::Hidden(end) => Some(Sample::Str(data.part(0, end))),
    }
}

fn node_port<'a>(s: Sample<'a>, _: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let data = bytes_of(s)?;
    match node(&data)?.1 {
        Port::None => None,
        Port::Number(port) => Some(Sample::Int(port.into())),
        Port::Hidden(from) => {
            let end = data.len();
            Some(Sample::Str(data.part(from, end)))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::expr::conv::tests::table;

    #[test]
    fn forwarded() {
        table(&[
            ("str(for=1.2.3.4;proto=http),rfc7239_is_valid", "1"),
            ("str('for=\"[::1]:80\";by=_hidden'),rfc7239_is_valid", "1"),
            ("str('for=1.2.3.4, for=5.6.7.8'),rfc7239_is_valid", "1"),
            ("str(for=1.2.3.4;for=5.6.7.8),rfc7239_is_valid", "0"),
            ("str(for=1.2.3),rfc7239_is_valid", "0"),
            ("str(nope=1),rfc7239_is_valid", "0"),
            ("str(for),rfc7239_is_valid", "0"),
            ("str(),rfc7239_is_valid", "0"),
            ("str(for=1.2.3.4;proto=http),rfc7239_field(for)", "1.2.3.4"),
            ("str('for=\"[::1]:80\"'),rfc7239_field(for)", "[::1]:80"),
            ("str(for=1.2.3.4),rfc7239_field(host)", "-"),
            ("str(1.2.3.4:80),rfc7239_n2nn", "1.2.3.4"),
            ("str(1.2.3.4:80),rfc7239_n2np", "80"),
            ("str([::1]:8080),rfc7239_n2nn", "::1"),
            ("str(unknown),rfc7239_n2nn", "unknown"),
            ("str(_a:_b),rfc7239_n2np", "_b"),
            ("str(_a:_b),rfc7239_n2nn", "_a"),
            ("str(1.2.3.4),rfc7239_n2np", "-"),
        ]);
    }
}
