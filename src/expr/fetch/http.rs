//! Fetches of HTTP heads and bodies.

use super::{Fetch, Needs};
use crate::expr::args::{Args, Kind};
use crate::expr::cast;
use crate::expr::sample::{Data, Got, Sample, Scratch, Ty};
use crate::expr::view::{Bytes, Facts};
use crate::msg::Head;
use lighterman_wire::http::Version;

const NAME: &[Kind] = &[Kind::Str, Kind::Int];

/// The rows of this family.
pub const ROWS: &[Fetch] = &[
    Fetch::new("base", Ty::Str, Needs::REQ, base, "host and path, without the query"),
    Fetch::new("base32", Ty::Int, Needs::REQ, base32, "hash of host and path"),
    Fetch::new("method", Ty::Meth, Needs::REQ_KEPT, |f, _| f.req.map_or(Got::None, |h| Got::Some(Sample::Meth(Data::Ref(h.method())))), "the request method"),
    Fetch::new("path", Ty::Str, Needs::REQ_KEPT, |f, _| req(f, |h| Some(h.path())), "the path of the request, without the query"),
    Fetch::new("pathq", Ty::Str, Needs::REQ_KEPT, |f, _| req(f, |h| Some(h.pathq())), "the path of the request with the query"),
    Fetch::new("query", Ty::Str, Needs::REQ_KEPT, |f, _| req(f, Head::query), "the query, without its question mark"),
    Fetch::new("req.body", Ty::Bin, Needs::REQ_BODY, |f, _| body(f.req_body), "what is there of the request body"),
    Fetch::new("req.body_len", Ty::Int, Needs::REQ_BODY, |f, _| body_len(f.req_body), "bytes of the request body so far"),
    Fetch::new("req.body_size", Ty::Int, Needs::REQ_BODY, |f, _| body_size(f.req, f.req_body), "announced size of the request body"),
    Fetch::new("req.fhdr", Ty::Str, Needs::REQ, |f, a| line(f.req, a), "a request field, whole").args("req.fhdr([<name>[,<occurrence>]])", 1, NAME).each(|f, a, v| each_line(f.req, a, v)),
    Fetch::new("req.fhdr_cnt", Ty::Int, Needs::REQ, |f, a| lines(f.req, a), "lines of a request field").args("req.fhdr_cnt([<name>])", 0, &[Kind::Str]),
    Fetch::new("req.hdr", Ty::Str, Needs::REQ, |f, a| value(f.req, a), "a value of a request field")
        .args("req.hdr(<name>[,<occurrence>])", 1, NAME)
        .text("Values are what stands between commas. Occurrences count from 1, negative ones from the end; the last is taken when none is given.")
        .example("http-request set-header X-Host %[req.hdr(host)]")
        .each(|f, a, v| each_value(f.req, a, v)),
    Fetch::new("req.hdr_cnt", Ty::Int, Needs::REQ, |f, a| values(f.req, a), "values of a request field").args("req.hdr_cnt([<name>])", 0, &[Kind::Str]),
    Fetch::new("req.hdr_ip", Ty::Addr, Needs::REQ, |f, a| value_ip(f.req, a), "an address in a request field").args("req.hdr_ip(<name>[,<occurrence>])", 1, NAME).each(|f, a, v| each_ip(f.req, a, v)),
    Fetch::new("req.hdr_val", Ty::Int, Needs::REQ, |f, a| value_int(f.req, a), "a number in a request field").args("req.hdr_val(<name>[,<occurrence>])", 1, NAME),
    Fetch::new("req.hdrs", Ty::Str, Needs::REQ, |f, _| all_lines(f.req), "all request fields as they are sent"),
    Fetch::new("req.ver", Ty::Str, Needs::REQ_KEPT, |f, _| version(f.req), "version of the request: 1.0, 1.1"),
    Fetch::new("res.body", Ty::Bin, Needs::RES_BODY, |f, _| body(f.res_body), "what is there of the response body"),
    Fetch::new("res.body_len", Ty::Int, Needs::RES_BODY, |f, _| body_len(f.res_body), "bytes of the response body so far"),
    Fetch::new("res.body_size", Ty::Int, Needs::RES_BODY, |f, _| body_size(f.res, f.res_body), "announced size of the response body"),
    Fetch::new("res.fhdr", Ty::Str, Needs::RES, |f, a| line(f.res, a), "a response field, whole").args("res.fhdr([<name>[,<occurrence>]])", 1, NAME).each(|f, a, v| each_line(f.res, a, v)),
    Fetch::new("res.fhdr_cnt", Ty::Int, Needs::RES, |f, a| lines(f.res, a), "lines of a response field").args("res.fhdr_cnt([<name>])", 0, &[Kind::Str]),
    Fetch::new("res.hdr", Ty::Str, Needs::RES, |f, a| value(f.res, a), "a value of a response field").args("res.hdr(<name>[,<occurrence>])", 1, NAME).each(|f, a, v| each_value(f.res, a, v)),
    Fetch::new("res.hdr_cnt", Ty::Int, Needs::RES, |f, a| values(f.res, a), "values of a response field").args("res.hdr_cnt([<name>])", 0, &[Kind::Str]),
    Fetch::new("res.hdr_ip", Ty::Addr, Needs::RES, |f, a| value_ip(f.res, a), "an address in a response field").args("res.hdr_ip(<name>[,<occurrence>])", 1, NAME).each(|f, a, v| each_ip(f.res, a, v)),
    Fetch::new("res.hdr_val", Ty::Int, Needs::RES, |f, a| value_int(f.res, a), "a number in a response field").args("res.hdr_val(<name>[,<occurrence>])", 1, NAME),
    Fetch::new("res.hdrs", Ty::Str, Needs::RES, |f, _| all_lines(f.res), "all response fields as they are sent"),
    Fetch::new("res.ver", Ty::Str, Needs::RES, |f, _| version(f.res), "version of the response: 1.0, 1.1"),
    Fetch::new("status", Ty::Int, Needs::RES_KEPT, |f, _| status(f), "status of the response"),
    Fetch::new("server_status", Ty::Int, Needs::RES_KEPT, |f, _| if f.txn.server_status == 0 { Got::None } else { Got::Some(Sample::Int(f.txn.server_status.into())) }, "status the server sent"),
    Fetch::new("url", Ty::Str, Needs::REQ_KEPT, |f, _| req(f, |h| Some(h.uri())), "the request target as it was written"),
    Fetch::new("url_param", Ty::Str, Needs::REQ_KEPT, param, "a parameter of the query").args("url_param([<name>[,<delimiter>[,i]]])", 0, &[Kind::Str, Kind::Str, Kind::Str]),
    Fetch::new("url_param_val", Ty::Int, Needs::REQ_KEPT, |f, a| as_int(param(f, a)), "a number among the parameters of the query").args("url_param_val([<name>])", 0, &[Kind::Str, Kind::Str]),
];

fn req<'a>(facts: &Facts<'a>, of: impl FnOnce(&'a Head) -> Option<&'a [u8]>) -> Got<'a> {
    facts.req.and_then(of).map_or(Got::None, |bytes| Got::Some(Sample::Str(Data::Ref(bytes))))
}

fn owned<'a>(bytes: &[u8]) -> Got<'a> {
    Got::Some(Sample::Str(Data::Own(Scratch::of(bytes))))
}

fn base<'a>(facts: &Facts<'a>, _: &'a Args) -> Got<'a> {
    let Some(head) = facts.req else { return Got::None };
    match head.first(b"host") {
        None | Some([]) => Got::Some(Sample::Str(Data::Ref(head.path()))),
        Some(host) => owned(&[host, head.path()].concat()),
    }
}

fn base32<'a>(facts: &Facts<'a>, _: &'a Args) -> Got<'a> {
    let Some(head) = facts.req else { return Got::None };
    let all = [head.first(b"host").unwrap_or_default(), head.path()].concat();
    Got::Some(Sample::Int(crate::base::hash::avalanche(crate::base::hash::sdbm(&all)).into()))
}

fn version<'a>(head: Option<&'a Head>) -> Got<'a> {
    head.map_or(Got::None, |h| {
        Got::Some(Sample::text(if h.version() == Version::V10 { "1.0" } else { "1.1" }))
    })
}

fn status<'a>(facts: &Facts<'a>) -> Got<'a> {
    match facts.res.map_or(facts.txn.status, Head::status) {
        0 => Got::None,
        n => Got::Some(Sample::Int(n.into())),
    }
}

/// The occurrence asked for among values: from 1, negative from the end, the last when nothing is said.
fn pick<'a>(mut values: impl Iterator<Item = &'a [u8]>, occurrence: i64) -> Option<&'a [u8]> {
    match occurrence {
        0 | -1 => values.last(),
        n if n > 0 => values.nth(n as usize - 1),
        n => {
            let all: Vec<&[u8]> = values.collect();
            all.len().checked_sub(n.unsigned_abs() as usize).and_then(|at| all.get(at).copied())
        }
    }
}

fn found<'a>(bytes: Option<&'a [u8]>) -> Got<'a> {
    bytes.map_or(Got::None, |b| Got::Some(Sample::Str(Data::Ref(b))))
}

fn value<'a>(head: Option<&'a Head>, args: &'a Args) -> Got<'a> {
    found(head.and_then(|h| pick(h.comma_values(args.str(0).as_bytes()), args.int(1, 0))))
}

fn line<'a>(head: Option<&'a Head>, args: &'a Args) -> Got<'a> {
    found(head.and_then(|h| pick(h.values(args.str(0).as_bytes()), args.int(1, 0))))
}

fn each_value<'a>(head: Option<&'a Head>, args: &'a Args, visit: &mut dyn FnMut(Sample<'a>) -> bool) {
    if args.has(1) {
        if let Got::Some(s) = value(head, args) {
            visit(s);
        }
        return;
    }
    if let Some(head) = head {
        let _ = head.comma_values(args.str(0).as_bytes()).any(|v| visit(Sample::Str(Data::Ref(v))));
    }
}

fn each_line<'a>(head: Option<&'a Head>, args: &'a Args, visit: &mut dyn FnMut(Sample<'a>) -> bool) {
    if args.has(1) {
        if let Got::Some(s) = line(head, args) {
            visit(s);
        }
        return;
    }
    if let Some(head) = head {
        let _ = head.values(args.str(0).as_bytes()).any(|v| visit(Sample::Str(Data::Ref(v))));
    }
}

fn each_ip<'a>(head: Option<&'a Head>, args: &'a Args, visit: &mut dyn FnMut(Sample<'a>) -> bool) {
    each_value(head, args, &mut |s| match cast::cast(s, Ty::Addr) {
        Some(s) => visit(s),
        None => false,
    });
}

fn values<'a>(head: Option<&'a Head>, args: &'a Args) -> Got<'a> {
    let count = |h: &Head| match args.opt_str(0) {
        Some(name) => h.comma_values(name.as_bytes()).count(),
        None => h.field_count(),
    };
    head.map_or(Got::None, |h| Got::Some(Sample::Int(count(h) as i64)))
}

fn lines<'a>(head: Option<&'a Head>, args: &'a Args) -> Got<'a> {
    let count = |h: &Head| match args.opt_str(0) {
        Some(name) => h.values(name.as_bytes()).count(),
        None => h.field_count(),
    };
    head.map_or(Got::None, |h| Got::Some(Sample::Int(count(h) as i64)))
}

fn value_ip<'a>(head: Option<&'a Head>, args: &'a Args) -> Got<'a> {
    match value(head, args) {
        Got::Some(s) => cast::cast(s, Ty::Addr).map_or(Got::None, Got::Some),
        other => other,
    }
}

fn value_int<'a>(head: Option<&'a Head>, args: &'a Args) -> Got<'a> {
    as_int(value(head, args))
}

fn as_int<'a>(got: Got<'a>) -> Got<'a> {
    match got {
        Got::Some(s) => cast::cast(s, Ty::Int).map_or(Got::None, Got::Some),
        other => other,
    }
}

fn all_lines<'a>(head: Option<&'a Head>) -> Got<'a> {
    let Some(head) = head else { return Got::None };
    let mut out = Scratch::new();
    for (name, value) in head.fields() {
        for piece in [name, b": ", value, b"\r\n"] {
            out.extend_from_slice(piece);
        }
    }
    out.extend_from_slice(b"\r\n");
    Got::Some(Sample::Str(Data::Own(out)))
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

fn param<'a>(facts: &Facts<'a>, args: &'a Args) -> Got<'a> {
    let Some(head) = facts.req else { return Got::None };
    let delimiter = args.str(1).bytes().next().unwrap_or(b'?');
    let query = if delimiter == b'?' {
        head.query()
    } else {
        head.pathq().iter().position(|b| *b == delimiter).map(|at| &head.pathq()[at + 1..])
    };
    let (Some(query), wanted) = (query, args.str(0).as_bytes()) else { return Got::None };
    let fold = args.str(2) == "i";
    for pair in query.split(|b| matches!(b, b'&' | b';')) {
        let cut = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
        let name = &pair[..cut];
        let same = if fold { name.eq_ignore_ascii_case(wanted) } else { name == wanted };
        if same || wanted.is_empty() {
            return Got::Some(Sample::Str(Data::Ref(pair.get(cut + 1..).unwrap_or_default())));
        }
    }
    Got::None
}
