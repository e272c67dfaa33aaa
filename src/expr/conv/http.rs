//! Converters of what HTTP carries: hosts, parameters, encoded text, preferred languages.

use super::{bytes_of, Conv};
use crate::expr::args::{hex_digit, Args, Kind};
use crate::expr::sample::{Data, Sample, Scratch, Ty};
use crate::expr::view::Facts;

/// The rows of this family.
pub const ROWS: &[Conv] = &[
    Conv::new("host_only", Ty::Str, Ty::Str, host_only, "a host without its port, in lower case"),
    Conv::new("language", Ty::Str, Ty::Str, language, "the language a client likes best among those we have")
        .args("language(<lang>[;<lang>]...[,<default>])", 1, &[Kind::Str, Kind::Str])
        .example("http-request set-var(txn.lang) req.fhdr(accept-language),language(es;fr;en)"),
    Conv::new("param", Ty::Str, Ty::Str, param, "a parameter of a query").args(
        "param(<name>[,<delimiter>])",
        1,
        &[Kind::Str, Kind::Str],
    ),
    Conv::new(
        "port_only",
        Ty::Str,
        Ty::Int,
        |s, _, _| Some(Sample::Int(split_host(s.as_bytes()?).1)),
        "the port of a host, 0 when there is none",
    ),
    Conv::new("url_dec", Ty::Str, Ty::Str, url_dec, "decodes what URLs encode")
        .args("url_dec([<in form>])", 0, &[Kind::Int])
        .text("\"+\" is a space behind the first \"?\", or everywhere with a non-zero argument."),
    Conv::new("url_enc", Ty::Str, Ty::Str, url_enc, "encodes for the query of a URL").args(
        "url_enc([<kind>])",
        0,
        &[Kind::Choice(&["query"])],
    ),
];

/// Host and port, 0 when there is none; an IPv6 address keeps its brackets.
fn split_host(host: &[u8]) -> (&[u8], i64) {
    let from = memchr::memrchr(b']', host).map_or(0, |at| at + 1);
    match memchr::memrchr(b':', &host[from..]) {
        Some(at) => {
            let digits = &host[from + at + 1..];
            let port = digits.iter().take_while(|b| b.is_ascii_digit()).take(6);
            (&host[..from + at], port.fold(0, |n, b| n * 10 + i64::from(b - b'0')))
        }
        None => (host, 0),
    }
}

fn host_only<'a>(s: Sample<'a>, _: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let data = bytes_of(s)?;
    let end = split_host(&data).0.len();
    let host = data.part(0, end);
    if !host.iter().any(u8::is_ascii_uppercase) {
        return Some(Sample::Str(host));
    }
    let mut lower = host.to_mut();
    lower.make_ascii_lowercase();
    Some(Sample::Str(lower.into()))
}

fn param<'a>(s: Sample<'a>, args: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let data = bytes_of(s)?;
    let delimiter = args.str(1).bytes().next().unwrap_or(b'&');
    let wanted = args.str(0).as_bytes();
    let mut at = 0;
    while at <= data.len() {
        let end = memchr::memchr(delimiter, &data[at..]).map_or(data.len(), |n| at + n);
        let pair = &data[at..end];
        if let Some(rest) = pair.strip_prefix(wanted) {
            match rest.first() {
                Some(b'=') => return Some(Sample::Str(data.part(at + wanted.len() + 1, end))),
                None => return Some(Sample::Str(Data::Ref(b""))),
                Some(_) => {}
            }
        }
        at = end + 1;
    }
    None
}

fn url_dec<'a>(s: Sample<'a>, args: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let data = bytes_of(s)?;
    if memchr::memchr2(b'%', b'+', &data).is_none() {
        return Some(Sample::Str(data));
    }
    let mut out = Scratch::new();
    let mut form = args.int(0, 0) != 0;
    let mut rest = &data[..];
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (*first, tail) {
            (b'%', [high, low, after @ ..]) => {
                out.push(hex_digit(*high)? << 4 | hex_digit(*low)?);
                rest = after;
            }
            (b'%', _) => return None,
            (b'+', _) if form => out.push(b' '),
            (byte, _) => {
                form |= byte == b'?';
                out.push(byte);
            }
        }
    }
    Some(Sample::Str(out.into()))
}

fn url_enc<'a>(s: Sample<'a>, _: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Scratch::new();
    for byte in s.as_bytes()? {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(*byte);
        } else {
            out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
    Some(Sample::Str(out.into()))
}

/// The first of the most wanted languages (RFC 9110 12.5.4) that is on our list, whole or by its base.
fn language<'a>(s: Sample<'a>, args: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let known = || args.str(0).split(';').filter(|l| !l.is_empty());
    let mut best: Option<(&'a str, u32)> = None;
    for item in s.as_bytes()?.split(|b| *b == b',') {
        let mut parts = item.split(|b| *b == b';').map(<[u8]>::trim_ascii);
        let Some(tag) = parts.next().filter(|t| !t.is_empty()) else { continue };
        let quality = parts.find_map(|p| p.strip_prefix(b"q=")).map_or(1000, quality);
        let base = tag.split(|b| *b == b'-').next().unwrap_or(tag);
        let ours = known().find(|l| l.as_bytes() == tag).or_else(|| known().find(|l| l.as_bytes() == base));
        if let Some(ours) = ours.filter(|_| quality > best.map_or(0, |(_, q)| q)) {
            best = Some((ours, quality));
        }
    }
    let chosen = best.map(|(l, _)| l).or_else(|| args.opt_str(1))?;
    Some(Sample::text(chosen))
}

/// `0.8` as 800.
fn quality(text: &[u8]) -> u32 {
    let (whole, part) = match text {
        [whole @ b'0'..=b'9', b'.', part @ ..] => (u32::from(whole - b'0'), part),
        [whole @ b'0'..=b'9'] => (u32::from(whole - b'0'), &b""[..]),
        _ => return 0,
    };
    let digit = |at: usize| part.get(at).filter(|b| b.is_ascii_digit()).map_or(0, |b| u32::from(b - b'0'));
    (whole * 1000 + digit(0) * 100 + digit(1) * 10 + digit(2)).min(1000)
}

#[cfg(test)]
mod tests {
    use crate::expr::conv::tests::table;

    #[test]
    fn hosts_and_parameters() {
        table(&[
            ("str(Www.Foo.com:80),host_only", "www.foo.com"),
            ("str(Www.Foo.com:80),port_only", "80"),
            ("str([::1]:80),host_only", "[::1]"),
            ("str([::1]:80),port_only", "80"),
            ("str([::1]),port_only", "0"),
            ("str(foo),port_only", "0"),
            ("str(foo:),port_only", "0"),
            ("str(foo:x),host_only", "foo"),
            ("str(a=b&c=d),param(c)", "d"),
            ("str(a=b;c=d),param(c,;)", "d"),
            ("str(a&c),param(a)", ""),
            ("str(ab=1&a=2),param(a)", "2"),
            ("str(a=b),param(z)", "-"),
        ]);
    }

    #[test]
    fn codecs_and_languages() {
        table(&[
            ("str(a b),url_enc", "a%20b"),
            ("str(a%20b+c?d+e),url_dec", "a b+c?d e"),
            ("str(a%20b+c?d+e),url_dec(1)", "a b c?d e"),
            ("str(a%zz),url_dec", "-"),
            ("str(a%2),url_dec", "-"),
            ("str(en-US;q=0.5),language(en;fr)", "en"),
            ("str('fr;q=0.2, en-us;q=0.8'),language(en;fr,xx)", "en"),
            ("str('fr;q=0.2, en;q=0'),language(en;fr)", "fr"),
            ("str(de),language(en,dflt)", "dflt"),
            ("str(de),language(en)", "-"),
        ]);
    }
}
