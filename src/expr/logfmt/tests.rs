//! Every alias, every flag, and what lines are made of.

use std::net::SocketAddr;

use super::{LogFmt, Use};
use crate::base::ids::{ListenerId, ProxyId, ServerId};
use crate::expr::alias;
use crate::expr::tests::{head, Bench};
use crate::expr::view::{Addr, BackFacts, ProcessCount, Times, World};
use lighterman_sys::localtime::LocalTime;

struct Names;

impl World for Names {
    fn proxy_name(&self, id: ProxyId) -> &str {
        if id == ProxyId(0) {
            "fe"
        } else {
            "be"
        }
    }
    fn server_name(&self, _: ServerId) -> &str {
        "s1"
    }
    fn server_addr(&self, _: ServerId) -> Addr {
        inet("10.0.0.4:8080")
    }
    fn back_addr(&self) -> Addr {
        inet("10.0.0.3:4000")
    }
    fn listener_puid(&self, _: ListenerId) -> u32 {
        7
    }
    fn hostname(&self) -> &str {
        "box"
    }
    fn process(&self, what: ProcessCount) -> i64 {
        if matches!(what, ProcessCount::Pid) {
            4242
        } else {
            0
        }
    }
}

fn inet(text: &str) -> Addr {
    Addr::Inet(text.parse::<SocketAddr>().unwrap())
}

/// 20 November 2026, 22:17:53.046 UTC.
const DATE_US: u64 = 1_795_213_073_046_000;

/// An exchange of which everything is known.
fn whole() -> Bench {
    let mut bench = Bench::request("GET /a/b?c=d HTTP/1.1\nHost: h");
    bench.world = Box::new(Names);
    bench.back = Some(BackFacts { dst: inet("10.0.0.4:8080"), ..BackFacts::default() });
    bench.conn.src = inet("127.0.0.1:30000");
    bench.conn.dst = inet("[2001:db8::1]:443");
    let txn = &mut bench.txn;
    (txn.backend, txn.server) = (Some(ProxyId(1)), Some(ServerId(0)));
    txn.front_tls = true;
    txn.times = Times {
        accept_us: DATE_US,
        request_us: DATE_US + 1_000_000,
        handshake: 1,
        idle: 2,
        request: 3,
        queue: 4,
        connect: 5,
        response: 6,
        data: 7,
        total: 28,
    };
    (txn.bytes_in, txn.bytes_out, txn.status, txn.term) = (100, 130, 200, *b"--VN");
    (txn.retries, txn.redispatched) = (2, true);
    (txn.server_queue, txn.backend_queue, txn.conns) = (8, 9, [21, 22, 23, 24]);
    txn.request_line = b"GET /a/b?c=d HTTP/1.1".to_vec();
    txn.req_caps = vec![Some(b"a{b|\"".as_slice().into()), None];
    txn.res_caps = vec![Some(b"x y".as_slice().into())];
    (txn.req_cookie, txn.res_cookie) = (Some(b"S=1".as_slice().into()), None);
    txn.unique_id = std::cell::OnceCell::from(Box::from(&b"id"[..]));
    (txn.serial, txn.log_serial) = (12, 255);
    bench
}

fn local(us: u64) -> LocalTime {
    LocalTime::at((us / 1_000_000) as i64)
}

fn day_and_time(t: &LocalTime) -> String {
    let month = t.month_name();
    format!("{:02}/{month}/{:04}:{:02}:{:02}:{:02}", t.day, t.year, t.hour, t.minute, t.second)
}

fn zone(t: &LocalTime) -> String {
    let (sign, hours, minutes) = t.zone();
    format!("{sign}{hours:02}{minutes:02}")
}

/// Name, as it is, in quotes, in hexadecimal.
#[rustfmt::skip]
const ALIASES: &[(&str, &str, &str, &str)] = &[
    ("B", "130", "130", "130"),
    ("CC", "S=1", "\"S=1\"", "S=1"),
    ("CS", "-", "\"\"", "-"),
    ("H", "box", "\"box\"", "box"),
    ("HM", "GET", "\"GET\"", "GET"),
    ("HP", "/a/b", "\"/a/b\"", "/a/b"),
    ("HPO", "/a/b", "\"/a/b\"", "/a/b"),
    ("HQ", "?c=d", "\"?c=d\"", "?c=d"),
    ("HU", "/a/b?c=d", "\"/a/b?c=d\"", "/a/b?c=d"),
    ("HV", "HTTP/1.1", "\"HTTP/1.1\"", "HTTP/1.1"),
    ("ID", "id", "\"id\"", "id"),
    ("ST", "200", "200", "200"),
    ("T", "20/Nov/2026:22:17:53 +0000", "20/Nov/2026:22:17:53 +0000", "20/Nov/2026:22:17:53 +0000"),
    ("TR", "3", "3", "3"),
    ("Ta", "25", "25", "25"),
    ("Tc", "5", "5", "5"),
    ("Td", "7", "7", "7"),
    ("Th", "1", "1", "1"),
    ("Ti", "2", "2", "2"),
    ("Tq", "6", "6", "6"),
    ("Tr", "6", "6", "6"),
    ("Ts", "1795213073", "1795213073", "6B00C711"),
    ("Tt", "28", "28", "28"),
    ("Tu", "26", "26", "26"),
    ("Tw", "4", "4", "4"),
    ("U", "100", "100", "100"),
    ("ac", "21", "21", "21"),
    ("b", "be", "\"be\"", "be"),
    ("bc", "23", "23", "23"),
    ("bi", "10.0.0.3", "\"10.0.0.3\"", "0A000003"),
    ("bp", "4000", "4000", "0FA0"),
    ("bq", "9", "9", "9"),
    ("cc", "S=1", "\"S=1\"", "S=1"),
    ("ci", "127.0.0.1", "\"127.0.0.1\"", "7F000001"),
    ("cp", "30000", "30000", "7530"),
    ("cs", "-", "\"\"", "-"),
    ("f", "fe", "\"fe\"", "fe"),
    ("fc", "22", "22", "22"),
    ("fi", "2001:db8::1", "\"2001:db8::1\"", "20010DB8000000000000000000000001"),
    ("fp", "443", "443", "01BB"),
    ("ft", "fe~", "\"fe~\"", "fe~"),
    ("hr", "{a#7Bb#7C#22|}", "\"{a#7Bb#7C#22|}\"", "{a#7Bb#7C#22|}"),
    ("hrl", "a#7Bb#7C#22 -", "\"a#7Bb#7C#22\" \"\"", "a#7Bb#7C#22 -"),
    ("hs", "{x y}", "\"{x y}\"", "{x y}"),
    ("hsl", "x y", "\"x y\"", "x y"),
    ("lc", "255", "255", "00FF"),
    ("ms", "046", "046", "2E"),
    ("pid", "4242", "4242", "1092"),
    ("r", "GET /a/b?c=d HTTP/1.1", "\"GET /a/b?c=d HTTP/1.1\"", "GET /a/b?c=d HTTP/1.1"),
    ("rc", "+2", "+2", "+2"),
    ("rt", "12", "12", "000C"),
    ("s", "s1", "\"s1\"", "s1"),
    ("sc", "24", "24", "24"),
    ("si", "10.0.0.4", "\"10.0.0.4\"", "0A000004"),
    ("sp", "8080", "8080", "1F90"),
    ("sq", "8", "8", "8"),
    ("sslc", "-", "\"\"", "-"),
    ("sslv", "-", "\"\"", "-"),
    ("st", "200", "200", "200"),
    ("trg", "20/Nov/2026:22:17:54 +0000", "20/Nov/2026:22:17:54 +0000", "20/Nov/2026:22:17:54 +0000"),
    ("ts", "--", "--", "--"),
    ("tsc", "--VN", "--VN", "--VN"),
    ("Bi", "10.0.0.3", "\"10.0.0.3\"", "0A000003"),
    ("Bp", "4000", "4000", "0FA0"),
    ("Bq", "9", "9", "9"),
    ("Ci", "127.0.0.1", "\"127.0.0.1\"", "7F000001"),
    ("Cp", "30000", "30000", "7530"),
    ("Fi", "2001:db8::1", "\"2001:db8::1\"", "20010DB8000000000000000000000001"),
    ("Fp", "443", "443", "01BB"),
    ("Si", "10.0.0.4", "\"10.0.0.4\"", "0A000004"),
    ("Sp", "8080", "8080", "1F90"),
];

/// Those in local time, which depends on where the test runs.
const LOCAL: [&str; 4] = ["t", "tr", "Tl", "trl"];

#[test]
fn every_alias_in_every_form() {
    let mut bench = whole();
    for (name, plain, quoted, hex) in ALIASES {
        assert_eq!(bench.format(&format!("%{name}"), Use::Log), *plain, "{name}");
        assert_eq!(bench.format(&format!("%{{+Q}}{name}"), Use::Log), *quoted, "+Q {name}");
        assert_eq!(bench.format(&format!("%{{+X}}{name}"), Use::Log), *hex, "+X {name}");
    }
    let accepted = local(DATE_US);
    let asked = local(DATE_US + 1_000_000);
    for (name, expected) in [
        ("t", format!("{}.046", day_and_time(&accepted))),
        ("tr", format!("{}.046", day_and_time(&asked))),
        ("Tl", format!("{} {}", day_and_time(&accepted), zone(&accepted))),
        ("trl", format!("{} {}", day_and_time(&asked), zone(&asked))),
    ] {
        for flags in ["", "{+Q}", "{+X}"] {
            assert_eq!(bench.format(&format!("%{flags}{name}"), Use::Log), expected, "{flags} {name}");
        }
    }
}

#[test]
fn no_alias_is_without_a_test() {
    let known = |name: &str| LOCAL.contains(&name) || ALIASES.iter().any(|row| row.0 == name);
    let missing: Vec<&str> = alias::ALL.iter().map(|row| row.name).filter(|name| !known(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    for (at, row) in alias::ALL.iter().enumerate() {
        assert!(alias::ALL[..at].iter().all(|other| other.name != row.name), "{} is there twice", row.name);
    }
}

#[test]
fn what_never_came() {
    let mut bench = Bench { world: Box::new(Names), ..Bench::default() };
    for (format, log, text) in [
        ("%ST %B %TR/%Tw/%Tc/%Tr/%Tq/%Td", "-1 0 -1/-1/-1/-1/-1/-1", "-1 0 -1/-1/-1/-1/-1/-1"),
        (
            "%r|%HM|%HU|%HP|%HPO|%HQ|%HV",
            "<BADREQ>|<BADREQ>|<BADREQ>|<BADREQ>|<BADREQ>|<BADREQ>|<BADREQ>",
            "<BADREQ>|<BADREQ>|<BADREQ>|<BADREQ>|<BADREQ>|<BADREQ>|<BADREQ>",
        ),
        ("%s %si:%sp %bi:%bp", "<NOSRV> -:- -:-", "<NOSRV> : :"),
        ("%ci:%cp", "-:-", ":"),
        ("%CC %{+Q}CC %ID %sslv", "- \"\" - -", " \"\"  "),
        ("%[var(txn.a)]|%{+Q}[var(txn.a)]", "-|\"\"", "|\"\""),
        ("a %hr %hs b %hrl %hsl c", "a b c", "a   b   c"),
    ] {
        assert_eq!(bench.format(format, Use::Log), log, "{format}");
        assert_eq!(bench.format(format, Use::Text), text, "{format}");
    }
    bench.conn.src = Addr::Unix;
    assert_eq!(bench.format("%ci:%cp %{+X}cp", Use::Log), "unix:7 0007");
}

#[test]
fn spaces() {
    let mut bench = whole();
    for (format, log, field) in [
        (" a  b ", "a b ", " a  b "),
        ("  %HM  %HQ  x", "GET ?c=d x", "  GET  ?c=d  x"),
        ("%o %HM %{+Q}o %s", "GET \"s1\"", " GET  \"s1\""),
        ("%[str(a )] %HM", "a  GET", "a  GET"),
        ("a%%b %%", "a%b %", "a%b %"),
    ] {
        assert_eq!(bench.format(format, Use::Log), log, "{format}");
        assert_eq!(bench.format(format, Use::Field), field, "{format}");
    }
}

#[test]
fn strange_bytes() {
    let mut bench = whole();
    bench.txn.request_line = b"GET /\"a]\\#\xc3 HTTP/1.1".to_vec();
    bench.req = Some(head("GET / HTTP/1.1\nX: q\"]\\#\u{e9}"));
    bench.txn.req_caps = vec![Some(b"}\x01]".as_slice().into())];
    for (format, expected) in [
        ("%HU", "/#22a]\\#23#C3"),
        ("%{+E}HU", "/#22a\\]\\\\#23#C3"),
        ("%hr %{+E}hr", "{#7D#01]} {#7D#01\\]}"),
        ("%[req.hdr(x)]", "q\"]\\#\u{e9}"),
        ("%{+E}[req.hdr(x)]", "q\\\"\\]\\\\#\u{e9}"),
        ("%{+E,+Q}[req.hdr(x)]", "\"q\\\"\\]\\\\#\u{e9}\""),
        ("%[bin(61010a7f62)]", "a#01#0A#7Fb"),
    ] {
        assert_eq!(bench.format(format, Use::Log), expected, "{format}");
    }
    let mut out = |usage| bench.format("%[bin(61010a097f62)]", usage);
    assert_eq!(out(Use::Field), "a%01\n\t%7Fb");
    assert_eq!(out(Use::Text), "a\u{1}\n\t\u{7f}b");
}

#[test]
fn logged_before_the_end() {
    let mut bench = whole();
    bench.txn.early_log = true;
    assert_eq!(bench.format("%B %U %Ta %Tt %Tu %Tr", Use::Log), "+130 +100 +25 +28 +26 6");
    assert_eq!(bench.format("%{+json}o %(b)B %(t)Ta", Use::Log), "{\"b\": 130, \"t\": 25}");
}

#[test]
fn json() {
    let mut bench = whole();
    bench.req = Some(head("GET / HTTP/1.1\nX: a\"b\\c"));
    for (format, expected) in [
        (
            "%{+json}o text %(m)HM %HU %(s)ST %(none)CS %(c)CC",
            r#"{"m": "GET", "s": 200, "none": null, "c": "S=1"}"#,
        ),
        ("%{+json}o", "{}"),
        (
            "%{+json}o %(a)[int(5)] %(b)[bool(1)] %(c)[str(x)] %(d)[var(txn.n)]",
            r#"{"a": 5, "b": true, "c": "x", "d": null}"#,
        ),
        (
            "%{+json}o %(a:str)[int(5)] %(b:sint)[bool(1)] %(c:bool)[int(0)] %(d:sint)[str(07)] %(e:str)ST",
            r#"{"a": "5", "b": 1, "c": false, "d": 7, "e": "200"}"#,
        ),
        (
            "%{+json}o %(x)[req.hdr(x)] %(y)[bin(0a0801c3)]",
            "{\"x\": \"a\\\"b\\\\c\", \"y\": \"\\n\\u0008\\u0001\u{fffd}\"}",
        ),
        (
            "%{+json}o %(i)ci %(p)cp %(h){+X}cp %(r)rc",
            r#"{"i": "127.0.0.1", "p": 30000, "h": "7530", "r": 2}"#,
        ),
        ("%{+json}o %(hr)hr %(ms)ms", r##"{"hr": "{a#7Bb#7C\"|}", "ms": 46}"##),
        ("say %{+json}[req.hdr(x)] and %{+json}HM", r#"say "a\"b\\c" and "GET""#),
        ("%(name)HM", "GET"),
        (
            "%HM %{+json}o %(a)HM",
            "error: a line is JSON or CBOR as a whole: \"%o\" says so before anything else",
        ),
        ("%(a:what)HM", "error: unknown type \"what\", expected bool, sint or str"),
        ("%(a b)HM", "error: a name is made of letters, digits, \"_\", \"-\" and \".\""),
        ("%(a", "error: this \"%(\" has no \")\""),
        ("%{+what}HM", "error: unknown log-format flag \"+what\", expected Q, X, E, bin, json or cbor"),
    ] {
        assert_eq!(bench.format(format, Use::Log), expected, "{format}");
    }
}

#[test]
fn cbor() {
    let mut bench = whole();
    for (format, expected) in [
        ("%{+cbor}o", "BFFF"),
        ("%{+cbor}o x %(m)HM %HU", "BF616D63474554FF"),
        ("%{+cbor}o %(a)[int(23)] %(b)[int(24)] %(c)[int(-1)]", "BF61611761621818616320FF"),
        ("%{+cbor}o %(a)[int(256)] %(b)[int(65536)]", "BF616119010061621A00010000FF"),
        ("%{+cbor}o %(a)[int(4294967296)]", "BF61611B0000000100000000FF"),
        ("%{+cbor}o %(a)[bool(1)] %(b)[bool(0)] %(n)[var(txn.n)]", "BF6161F56162F4616EF6FF"),
        ("%{+cbor}o %(a)[bin(00ff)] %(s:str)[int(1)]", "BF61614200FF61736131FF"),
        ("%{+cbor}[str(ab)]", "626162"),
    ] {
        assert_eq!(bench.format(format, Use::Log), expected, "{format}");
    }
    let mut out = Vec::new();
    let made = bench.compiled("%{+cbor,+bin}o %(a)[int(500)]", Use::Log);
    bench.write(&made, &mut out);
    assert_eq!(out, b"\xbf\x61a\x19\x01\xf4\xff");
}

#[test]
fn constants() {
    let mut bench = Bench::default();
    let constant = |made: LogFmt| made.constant().map(|text| String::from_utf8(text).unwrap());
    assert_eq!(constant(bench.compiled(" a  b%% ", Use::Log)).as_deref(), Some("a b% "));
    assert_eq!(constant(bench.compiled(" a  b%% ", Use::Field)).as_deref(), Some(" a  b% "));
    assert_eq!(constant(bench.compiled("a %HM", Use::Field)), None);
    assert_eq!(constant(bench.compiled("%{+json}o a", Use::Field)), None);
}
