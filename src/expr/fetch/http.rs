//! Fetches of HTTP heads and bodies: the request line, fields of either side, bodies.

use smallvec::SmallVec;

use super::{Fetch, Needs};
use crate::base::hash::{avalanche, sdbm};
use crate::expr::args::{Args, Kind};
use crate::expr::cast;
use crate::expr::sample::{Data, Got, Sample, Scratch, Ty};
use crate::expr::view::{Bytes, Facts};
use crate::msg::Head;
use lighterman_wire::http::Version;

const NAME: &[Kind] = &[Kind::Str];
const OCCURRENCE: &[Kind] = &[Kind::Str, Kind::Int];
const PARAM: &[Kind] = &[Kind::Str, Kind::Str, Kind::Choice(&["i"])];

/// Fetches that exist for both sides.
macro_rules! side {
    ($p:literal $head:ident $body:ident $needs:ident $body_needs:ident $whose:literal) => {
        &[
            Fetch::new(concat!($p, ".body"), Ty::Bin, Needs::$body_needs, |f, _| body(f.$body), concat!("what has come of the body of the ", $whose)),
            Fetch::new(concat!($p, ".body_len"), Ty::Int, Needs::$body_needs, |f, _| body_len(f.$body), concat!("bytes of the body of the ", $whose, " that have come")),
            Fetch::new(concat!($p, ".body_size"), Ty::Int, Needs::$body_needs, |f, _| body_size(f.$head, f.$body), concat!("size of the body of the ", $whose, ": as announced, else what has come")),
            Fetch::new(concat!($p, ".fhdr"), Ty::Str, Needs::$needs, |f, a| line(f.$head, a), concat!("a field of the ", $whose, ", whole"))
                .args(concat!($p, ".fhdr([<name>[,<occurrence>]])"), 0, OCCURRENCE)
                .text("As \"hdr\", but commas do not separate values: each line of the field is one.")
                .each(|f, a, v| each_line(f.$head, a, v)),
            Fetch::new(concat!($p, ".fhdr_cnt"), Ty::Int, Needs::$needs, |f, a| lines(f.$head, a), concat!("lines of a field of the ", $whose, ", or of all")).args(concat!($p, ".fhdr_cnt([<name>])"), 0, NAME),
            Fetch::new(concat!($p, ".hdr"), Ty::Str, Needs::$needs, |f, a| value(f.$head, a), concat!("a value of a field of the ", $whose))
                .args(concat!($p, ".hdr([<name>[,<occurrence>]])"), 0, OCCURRENCE)
                .text("Values are what stands between commas. Occurrences count from 1, negative ones from the end; the last is taken when none is given. In a condition, every value is looked at.")
                .each(|f, a, v| each_value(f.$head, a, v)),
            Fetch::new(concat!($p, ".hdr_cnt"), Ty::Int, Needs::$needs, |f, a| values(f.$head, a), concat!("values of a field of the ", $whose, ", or of all")).args(concat!($p, ".hdr_cnt([<name>])"), 0, NAME),
            Fetch::new(concat!($p, ".hdr_ip"), Ty::Addr, Needs::$needs, |f, a| value_ip(f.$head, a), concat!("an address in a field of the ", $whose))
                .args(concat!($p, ".hdr_ip([<name>[,<occurrence>]])"), 0, OCCURRENCE)
                .each(|f, a, v| each_value(f.$head, a, &mut |s| ip(s).is_some_and(&mut *v))),
            Fetch::new(concat!($p, ".hdr_names"), Ty::Str, Needs::$needs, |f, a| names(f.$head, a), concat!("names of all fields of the ", $whose, ", in small letters")).args(concat!($p, ".hdr_names([<delimiter>])"), 0, NAME),
            Fetch::new(concat!($p, ".hdr_val"), Ty::Int, Needs::$needs, |f, a| number(value(f.$head, a)), concat!("a number in a field of the ", $whose))
                .args(concat!($p, ".hdr_val([<name>[,<occurrence>]])"), 0, OCCURRENCE)
                .each(|f, a, v| each_value(f.$head, a, &mut |s| cast::cast(s, Ty::Int).is_some_and(&mut *v))),
            Fetch::new(concat!($p, ".hdrs"), Ty::Str, Needs::$needs, |f, _| all(f.$head), concat!("all fields of the ", $whose, " as they are sent, with the empty line")),
            Fetch::new(concat!($p, ".hdrs_bin"), Ty::Bin, Needs::$needs, |f, _| all_counted(f.$head), concat!("all fields of the ", $whose, ", each text behind its length")),
            Fetch::new(concat!($p, ".ver"), Ty::Str, Needs::$needs, |f, _| version(f.$head), concat!("HTTP version of the ", $whose, ": 1.0, 1.1, 2.0")),
        ]
    };
}

/// Rows of the request's fields and body.
pub const REQ_ROWS: &[Fetch] = side!("req" req req_body REQ REQ_BODY "request");
/// Rows of the response's fields and body.
pub const RES_ROWS: &[Fetch] = side!("res" res res_body RES RES_BODY "response");

/// Rows of the request line and of what is made of it, and of the status.
pub const ROWS: &[Fetch] = &[
    Fetch::new("base", Ty::Str, Needs::REQ, |f, _| base(f, Head::path), "host and path, without the query"),
    Fetch::new("baseq", Ty::Str, Needs::REQ, |f, _| base(f, Head::pathq), "host, path and query"),
    Fetch::new("base32", Ty::Int, Needs::REQ, |f, _| f.req.map_or(Got::None, |h| int(hash(h, h.path()))), "hash of host and path"),
    Fetch::new("base32+src", Ty::Bin, Needs::REQ, |f, _| with_source(f, Head::path), "hash of host and path, then the client's address"),
    Fetch::new("capture.req.method", Ty::Str, Needs::REQ_KEPT, |f, _| kept(f, 0), "the method, also when the response is there"),
    Fetch::new("capture.req.uri", Ty::Str, Needs::REQ_KEPT, |f, _| kept(f, 1), "the request target, also when the response is there"),
    Fetch::new("capture.req.ver", Ty::Str, Needs::REQ_KEPT, |f, _| kept(f, 2), "HTTP version of the request, also when the response is there"),
    Fetch::new("capture.res.ver", Ty::Str, Needs::RES_KEPT, |f, _| f.res.map_or(Got::None, |h| Got::Some(Sample::text(h.version().name()))), "HTTP version of the response"),
    Fetch::new("method", Ty::Meth, Needs::REQ_KEPT, |f, _| method(f), "the request method"),
    Fetch::new("path", Ty::Str, Needs::REQ, |f, _| part(f, |h| Some(h.path())), "the path of the request, without the query"),
    Fetch::new("pathq", Ty::Str, Needs::REQ, |f, _| part(f, |h| Some(h.pathq())), "the path of the request with the query"),
    Fetch::new("query", Ty::Str, Needs::REQ, |f, _| part(f, Head::query), "the query, without its question mark"),
    Fetch::new("req.body_param", Ty::Str, Needs::REQ_BODY, body_param, "a parameter of a form in the request body").args("req.body_param([<name>[,i]])", 0, &[Kind::Str, Kind::Choice(&["i"])]),
    Fetch::new("server_status", Ty::Int, Needs::RES_KEPT, |f, _| if f.txn.server_status == 0 { Got::None } else { int(f.txn.server_status.into()) }, "status the server sent"),
    Fetch::new("status", Ty::Int, Needs::RES_KEPT, |f, _| status(f), "status of the response"),
    Fetch::new("url", Ty::Str, Needs::REQ, |f, _| part(f, |h| Some(h.uri())), "the request target as it was written"),
    Fetch::new("url32", Ty::Int, Needs::REQ, |f, _| f.req.map_or(Got::None, |h| int(hash(h, h.pathq()))), "hash of host, path and query"),
    Fetch::new("url32+src", Ty::Bin, Needs::REQ, |f, _| with_source(f, Head::pathq), "hash of host, path and query, then the client's address"),
    Fetch::new("url_ip", Ty::Addr, Needs::REQ, |f, _| target_host(f).and_then(|(host, _)| cast::ip_of(host)).map_or(Got::None, |ip| Got::Some(Sample::addr(ip))), "the address in the request target, when it holds one"),
    Fetch::new("url_param", Ty::Str, Needs::REQ, param, "a parameter of the query")
        .args("url_param([<name>[,<delimiter>[,i]]])", 0, PARAM)
        .text("The value is not decoded. The query begins behind \"?\", or behind the delimiter; i ignores case. Without a name, the first parameter.")
        .each(each_param),
    Fetch::new("url_port", Ty::Int, Needs::REQ, |f, _| target_host(f).map_or(Got::None, |(_, port)| int(port.into())), "the port in the request target, 80 when it names a host only"),
    Fetch::new("url_param_val", Ty::Int, Needs::REQ, |f, a| number(param(f, a)), "a parameter of the query as a number").args("url_param_val([<name>[,<delimiter>[,i]]])", 0, PARAM),
];

fn int<'a>(n: u32) -> Got<'a> {
    Got::Some(Sample::Int(n.into()))
}

fn part<'a>(facts: &Facts<'a>, of: impl FnOnce(&'a Head) -> Option<&'a [u8]>) -> Got<'a> {
    text(facts.req.and_then(of))
}

fn text<'a>(bytes: Option<&'a [u8]>) -> Got<'a> {
    bytes.map(|bytes| Sample::Str(Data::Ref(bytes))).into()
}

fn number(got: Got<'_>) -> Got<'_> {
    got.now().and_then(|s| cast::cast(s, Ty::Int)).into()
}

fn ip(sample: Sample<'_>) -> Option<Sample<'_>> {
    // clients behind some proxies add a port
    let bytes = sample.as_bytes()?;
    let bare = cast::ip_of(bytes).or_else(|| {
        let at = memchr::memrchr(b':', bytes)?;
        let host = &bytes[..at];
        cast::ip_of(host.strip_prefix(b"[").and_then(|h| h.strip_suffix(b"]")).unwrap_or(host))
    });
    bare.map(Sample::addr)
}

fn method<'a>(facts: &Facts<'a>) -> Got<'a> {
    match facts.req {
        Some(head) => Got::Some(Sample::Meth(Data::Ref(head.method()))),
        None => match line_part(facts, 0) {
            Some(method) => Got::Some(Sample::Meth(Data::Ref(method))),
            None => Got::None,
        },
    }
}

/// Method, target or version from the kept request line.
fn line_part<'a>(facts: &Facts<'a>, which: usize) -> Option<&'a [u8]> {
    facts.txn.request_line.split(|b| *b == b' ').nth(which)
}

fn kept<'a>(facts: &Facts<'a>, which: usize) -> Got<'a> {
    if facts.txn.request_line.is_empty() {
        return text(facts.req.map(|head| match which {
            0 => head.method(),
            1 => head.uri(),
            _ => head.version_text(),
        }));
    }
    text(line_part(facts, which))
}

fn base<'a>(facts: &Facts<'a>, path: fn(&Head) -> &[u8]) -> Got<'a> {
    let Some(head) = facts.req else { return Got::None };
    match head.first(b"host") {
        None | Some([]) => text(Some(path(head))),
        Some(host) => {
            let mut out = Scratch::of(host);
            out.extend_from_slice(path(head));
            Got::Some(Sample::Str(out.into()))
        }
    }
}

/// The hash of `base32` and `url32`: sdbm over host and path, spread by an avalanche.
fn hash(head: &Head, path: &[u8]) -> u32 {
    let mut all = Scratch::of(head.first(b"host").unwrap_or_default());
    all.extend_from_slice(path);
    avalanche(sdbm(&all))
}

fn with_source<'a>(facts: &Facts<'a>, path: fn(&Head) -> &[u8]) -> Got<'a> {
    let (Some(head), Some(ip)) = (facts.req, facts.src().ip()) else { return Got::None };
    let mut out = Scratch::of(&hash(head, path(head)).to_be_bytes());
    match ip {
        std::net::IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        std::net::IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    Got::Some(Sample::Bin(out.into()))
}

/// Host and port of an absolute target.
fn target_host<'a>(facts: &Facts<'a>) -> Option<(&'a [u8], u16)> {
    let authority = facts.req?.authority();
    let (host, port) =
        lighterman_wire::http::uri::split_authority(authority).filter(|(h, _)| !h.is_empty())?;
    let port = port.and_then(lighterman_wire::http::uri::port_number).unwrap_or(80);
    Some((host.strip_prefix(b"[").and_then(|h| h.strip_suffix(b"]")).unwrap_or(host), port))
}

fn version<'a>(head: Option<&'a Head>) -> Got<'a> {
    let digits = head.map(|h| match h.version() {
        Version::V20 => "2.0",
        Version::V10 => "1.0",
        _ => "1.1",
    });
    digits.map(Sample::text).into()
}

fn status<'a>(facts: &Facts<'a>) -> Got<'a> {
    match facts.res.map_or(facts.txn.status, Head::status) {
        0 => Got::None,
        n => int(n.into()),
    }
}

/// The occurrence asked for: from 1, negative from the end, the last when nothing is said.
fn pick<'a>(mut values: impl Iterator<Item = &'a [u8]>, occurrence: i64) -> Option<&'a [u8]> {
    match occurrence {
        0 | -1 => values.last(),
        n if n > 0 => values.nth(usize::try_from(n).ok()? - 1),
        n => {
            let all: SmallVec<[&[u8]; 16]> = values.collect();
            let at = all.len().checked_sub(usize::try_from(n.unsigned_abs()).ok()?)?;
            all.get(at).copied()
        }
    }
}

fn value<'a>(head: Option<&'a Head>, args: &'a Args) -> Got<'a> {
    let (name, n) = (args.str(0).as_bytes(), args.int(1, 0));
    text(head.and_then(|h| match name {
        [] => pick(h.fields().map(|(_, value)| value), n),
        _ => pick(h.comma_values(name), n),
    }))
}

fn line<'a>(head: Option<&'a Head>, args: &'a Args) -> Got<'a> {
    let (name, n) = (args.str(0).as_bytes(), args.int(1, 0));
    text(head.and_then(|h| match (name, n) {
        ([], _) => pick(h.fields().map(|(_, value)| value), n),
        (_, 0 | -1) => h.values(name).next_back(),
        _ => pick(h.values(name), n),
    }))
}

fn each_value<'a>(head: Option<&'a Head>, args: &'a Args, visit: &mut dyn FnMut(Sample<'a>) -> bool) {
    if args.has(1) || args.str(0).is_empty() {
        value(head, args).now().map(visit);
    } else if let Some(head) = head {
        let _ = head.comma_values(args.str(0).as_bytes()).any(|v| visit(Sample::Str(Data::Ref(v))));
    }
}

fn each_line<'a>(head: Option<&'a Head>, args: &'a Args, visit: &mut dyn FnMut(Sample<'a>) -> bool) {
    if args.has(1) || args.str(0).is_empty() {
        line(head, args).now().map(visit);
    } else if let Some(head) = head {
        let _ = head.values(args.str(0).as_bytes()).any(|v| visit(Sample::Str(Data::Ref(v))));
    }
}

fn value_ip<'a>(head: Option<&'a Head>, args: &'a Args) -> Got<'a> {
    value(head, args).now().and_then(ip).into()
}

fn values<'a>(head: Option<&'a Head>, args: &'a Args) -> Got<'a> {
    let count = |h: &Head| match args.str(0).as_bytes() {
        [] => h.fields().flat_map(|(_, value)| lighterman_wire::scan::List::new(value)).count(),
        name => h.comma_values(name).count(),
    };
    head.map(|h| Sample::Int(count(h) as i64)).into()
}

fn lines<'a>(head: Option<&'a Head>, args: &'a Args) -> Got<'a> {
    let count = |h: &Head| match args.str(0).as_bytes() {
        [] => h.field_count(),
        name => h.values(name).count(),
    };
    head.map(|h| Sample::Int(count(h) as i64)).into()
}

fn names<'a>(head: Option<&'a Head>, args: &'a Args) -> Got<'a> {
    let delimiter = args.str(0).bytes().next().unwrap_or(b',');
    let Some(head) = head else { return Got::None };
    let mut out = Scratch::new();
    for (name, _) in head.fields() {
        if !out.is_empty() {
            out.push(delimiter);
        }
        let at = out.len();
        out.extend_from_slice(name);
        out[at..].make_ascii_lowercase();
    }
    Got::Some(Sample::Str(out.into()))
}

fn all<'a>(head: Option<&'a Head>) -> Got<'a> {
    let Some(head) = head else { return Got::None };
    let mut out = Scratch::new();
    for (name, value) in head.fields() {
        for piece in [name, b": ", value, b"\r\n"] {
            out.extend_from_slice(piece);
        }
    }
    out.extend_from_slice(b"\r\n");
    Got::Some(Sample::Str(out.into()))
}

fn all_counted<'a>(head: Option<&'a Head>) -> Got<'a> {
    let Some(head) = head else { return Got::None };
    let mut out = Scratch::new();
    for (name, value) in head.fields() {
        for piece in [name, value] {
            put_length(&mut out, piece.len());
            out.extend_from_slice(piece);
        }
    }
    out.extend_from_slice(&[0, 0]);
    Got::Some(Sample::Bin(out.into()))
}

/// The variable-length integer of the SPOE documents: one byte below 240.
fn put_length(out: &mut Vec<u8>, mut n: usize) {
    if n < 240 {
        out.push(n as u8);
        return;
    }
    out.push(n as u8 | 240);
    n = (n - 240) >> 4;
    while n >= 128 {
        out.push(n as u8 | 128);
        n = (n - 128) >> 7;
    }
    out.push(n as u8);
}

fn body<'a>(bytes: Bytes<'a>) -> Got<'a> {
    let sample = Sample::bytes(bytes.data);
    if bytes.whole {
        Got::Some(sample)
    } else {
        Got::SoFar(sample)
    }
}

fn body_len<'a>(bytes: Bytes<'a>) -> Got<'a> {
    Got::Some(Sample::Int(bytes.data.len() as i64))
}

fn body_size<'a>(head: Option<&'a Head>, bytes: Bytes<'a>) -> Got<'a> {
    let said = head.and_then(|h| h.first(b"content-length")).and_then(cast::int_exact);
    Got::Some(Sample::Int(said.unwrap_or(bytes.data.len() as i64)))
}

fn body_param<'a>(facts: &Facts<'a>, args: &'a Args) -> Got<'a> {
    let mut found = None;
    walk_params(facts.req_body.data, b'&', args.str(0).as_bytes(), args.has(1), &mut |value| {
        found = Some(value);
        true
    });
    match found {
        None if !facts.req_body.whole => Got::NotYet,
        found => text(found),
    }
}

/// Visits the values of a parameter, of all of them when there is no name. A name without an equals sign has none.
fn walk_params<'a>(
    query: &'a [u8],
    by: u8,
    wanted: &[u8],
    fold: bool,
    visit: &mut dyn FnMut(&'a [u8]) -> bool,
) {
    for pair in query.split(|b| matches!(b, b'&' | b';') || *b == by) {
        let Some(cut) = memchr::memchr(b'=', pair) else { continue };
        let (name, rest) = pair.split_at(cut);
        let same = if fold { name.eq_ignore_ascii_case(wanted) } else { name == wanted };
        if (same || wanted.is_empty()) && visit(rest.get(1..).unwrap_or_default()) {
            return;
        }
    }
}

/// What stands behind `?`, or behind another delimiter.
fn parameters<'a>(facts: &Facts<'a>, args: &'a Args) -> Option<&'a [u8]> {
    let head = facts.req?;
    match delimiter(args) {
        b'?' => head.query(),
        delimiter => {
            let pathq = head.pathq();
            memchr::memchr(delimiter, pathq).and_then(|at| pathq.get(at + 1..))
        }
    }
}

/// What the query begins with, and what stands between parameters besides `&` and `;`.
fn delimiter(args: &Args) -> u8 {
    args.str(1).bytes().next().unwrap_or(b'?')
}

fn param<'a>(facts: &Facts<'a>, args: &'a Args) -> Got<'a> {
    let mut found = None;
    if let Some(query) = parameters(facts, args) {
        walk_params(query, delimiter(args), args.str(0).as_bytes(), args.has(2), &mut |value| {
            found = Some(value);
            true
        });
    }
    text(found)
}

fn each_param<'a>(facts: &Facts<'a>, args: &'a Args, visit: &mut dyn FnMut(Sample<'a>) -> bool) {
    if let Some(query) = parameters(facts, args) {
        walk_params(query, delimiter(args), args.str(0).as_bytes(), args.has(2), &mut |value| {
            visit(Sample::Str(Data::Ref(value)))
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::expr::tests::{head, Bench};

    const REQUEST: &str = "POST /p/a?x=1&y=2&x=3 HTTP/1.1\nHost: Ex.com:81\nA: x, y ,z\nB:\nN: 12\nIp: 1.2.3.4, ::1\nIp: 5.6.7.8:90";

    #[test]
    fn the_request() {
        let mut bench = Bench::request(REQUEST);
        bench.conn.src = crate::expr::view::Addr::Inet("10.0.0.1:1000".parse().unwrap());
        let table = [
            ("method", "POST"),
            ("path", "/p/a"),
            ("pathq", "/p/a?x=1&y=2&x=3"),
            ("query", "x=1&y=2&x=3"),
            ("base", "Ex.com:81/p/a"),
            ("baseq", "Ex.com:81/p/a?x=1&y=2&x=3"),
            ("req.ver", "1.1"),
            ("capture.req.method", "POST"),
            ("capture.req.uri", "/p/a?x=1&y=2&x=3"),
            ("capture.req.ver", "HTTP/1.1"),
            ("url_param(x)", "1"),
            ("url_param(X)", "-"),
            ("url_param(X,,i)", "1"),
            ("url_param", "1"),
            ("url_param(p,/)", "-"),
            ("urlp_val(y),add(1)", "3"),
            ("url_ip", "-"),
            ("req.hdr(a)", "z"),
            ("req.hdr(a,1)", "x"),
            ("req.hdr(a,-2)", "y"),
            ("req.hdr(a,4)", "-"),
            ("req.hdr(a,-4)", "-"),
            ("req.fhdr(a)", "x, y ,z"),
            ("hdr(b)", ""),
            ("hdr(none)", "-"),
            ("req.hdr_cnt(a)", "3"),
            ("req.fhdr_cnt(a)", "1"),
            ("req.hdr_cnt", "9"),
            ("req.fhdr_cnt", "6"),
            ("req.hdr_val(n)", "12"),
            ("req.hdr_ip(ip)", "5.6.7.8"),
            ("req.hdr_ip(ip,2)", "::1"),
            ("req.hdr_names(;)", "host;a;b;n;ip;ip"),
            ("base32+src,bytes(4),hex", "0A000001"),
            ("res.hdr(a)", "error: \"res.hdr\" looks at the response, which a request rule does not have"),
        ];
        for (text, expected) in table {
            assert_eq!(bench.text(text), expected, "{text}");
        }
    }

    #[test]
    fn absolute_targets_and_responses() {
        let mut bench = Bench::request("GET http://10.1.2.3:8080/a;s=5 HTTP/1.1\nHost: 10.1.2.3:8080");
        for (text, expected) in [("url_ip", "10.1.2.3"), ("url_port", "8080"), ("urlp(s,;)", "5")] {
            assert_eq!(bench.text(text), expected, "{text}");
        }
        bench.res = Some(head("HTTP/1.1 302 Found\nSet-Cookie: a=1; path=/\nX: 1,2"));
        bench.point = crate::expr::fetch::Point::Response;
        for (text, expected) in [
            ("status", "302"),
            ("hdr(x)", "2"),
            ("res.hdr_cnt(x)", "2"),
            ("res.ver", "1.1"),
            ("scook(a)", "1"),
        ] {
            assert_eq!(bench.text(text), expected, "{text}");
        }
    }

    #[test]
    fn forms_wait_for_the_body() {
        let mut bench = Bench::request("POST / HTTP/1.1");
        bench.bytes = (b"p=1&q".to_vec(), false);
        assert_eq!(bench.text("req.body_param(p)"), "1");
        assert_eq!(bench.text("req.body_param(r)"), "?");
        bench.last = true;
        assert_eq!(bench.text("req.body_param(r)"), "-");
        assert_eq!(bench.text("req.body,length"), "5");
    }
}
