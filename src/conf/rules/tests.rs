//! Every action on a constructed message: rules as they are written, the head afterwards.

use crate::base::ids::ProxyId;
use crate::conf::env::Env;
use crate::conf::{load_with, Setup};
use crate::expr::vars::{Effects, Store, VarsMut};
use crate::expr::view::{Addr, Bytes, ConnFacts, Txn};
use crate::lang::diag::Paint;
use crate::lang::span::SourceMap;
use crate::msg::{Head, ParseOpts};
use crate::plan::rule::{self, Act, ActionCx, Answer, Site};
use crate::plan::Plan;
use lighterman_wire::error::Parse;

fn load(lines: &str) -> Result<Plan, String> {
    let text = format!(
        "frontend f\n bind :1\n mode http\n timeout client 1s\n \
         declare capture request len 4\n declare capture response len 4\n{lines}\n"
    );
    let mut sources = SourceMap::new();
    sources.add("test", text);
    let setup = Setup { env: Env::empty(), resolve: crate::conf::addr::no_resolver, ..Setup::default() };
    load_with(&sources, &setup).map(|(plan, _)| plan).map_err(|diags| diags.render(&sources, Paint::Plain))
}

/// What came of the rules of one place.
struct Done {
    act: String,
    req: String,
    res: String,
    txn: Txn,
}

fn head(text: &str, request: bool) -> Head {
    let mut head = Head::new();
    let opts = ParseOpts::default();
    let text = text.replace('\n', "\r\n");
    let parsed = match request {
        true => head.parse_request(text.as_bytes(), &opts),
        false => head.parse_response(text.as_bytes(), &opts),
    };
    assert!(matches!(parsed, Parse::Done(..)), "{text}");
    head
}

fn shown(head: &Head) -> String {
    let mut out = Vec::new();
    head.encode(&mut out);
    String::from_utf8(out).unwrap().replace("\r\n", "\n").trim_end().to_string()
}

fn told(act: &Act<'_>) -> String {
    let answer = |answer: &Answer<'_>| match answer {
        Answer::Ready(reply) => text(&reply.head, &reply.body),
        Answer::Built(reply) => text(&reply.head, &reply.body),
        Answer::Page(status) => format!("page {status}"),
        Answer::Challenge(realm) => format!("challenge {realm:?}"),
    };
    match act {
        Act::Reply(a) => answer(a),
        Act::Deny(_, Some(a)) => format!("deny {}", answer(a)),
        Act::Interim(reply) => text(&reply.head, &reply.body),
        other => format!("{other:?}"),
    }
}

fn text(head: &[u8], body: &[u8]) -> String {
    String::from_utf8([head, body].concat()).unwrap().replace("\r\n", "\n").trim_end().to_string()
}

/// Runs the rules of a place on these messages.
fn run(lines: &str, site: Site, req: &str, res: &str) -> Done {
    let plan = load(lines).unwrap_or_else(|why| panic!("{why}"));
    let proxy = plan.proxy(ProxyId(0));
    let (mut req, mut res) = (head(req, true), head(res, false));
    let conn = ConnFacts {
        src: Addr::Inet("192.0.2.1:1234".parse().unwrap()),
        dst: Addr::Inet("198.51.100.1:80".parse().unwrap()),
        ..ConnFacts::default()
    };
    let mut txn = Txn::new(ProxyId(0));
    let (mut txn_vars, effects) = (Store::default(), Effects::default());
    let mut cx = ActionCx {
        site,
        date_us: 0,
        last: true,
        conn: &conn,
        tls: None,
        back: None,
        back_tls: None,
        req: Some(&mut req),
        res: Some(&mut res),
        req_body: Bytes::NONE,
        res_body: Bytes::NONE,
        req_bytes: Bytes::NONE,
        res_bytes: Bytes::NONE,
        txn: &mut txn,
        vars: VarsMut { txn: Some(&mut txn_vars), ..VarsMut::default() },
        effects: &effects,
        maps: &plan.maps,
        world: &Slots,
    };
    let act = told(&rule::run(proxy.rules.at(site), &mut 0, &mut cx));
    Done { act, req: shown(&req), res: shown(&res), txn }
}

/// A frontend with slots for captures, of four bytes each.
struct Slots;

impl crate::expr::view::World for Slots {
    fn capture_len(&self, _: ProxyId, _: bool, _: u32) -> Option<usize> {
        Some(4)
    }
}

const REQ: &str = "GET /a/b?q=1 HTTP/1.1\nHost: h\nX: one\nX: two, three\n\n";
const RES: &str = "HTTP/1.1 200 OK\nServer: s\nX: one\n\n";

#[test]
fn requests_are_edited() {
    let same = "GET /a/b?q=1 HTTP/1.1\nHost: h\nX: one\nX: two, three";
    let table = [
        ("set-header X %[method]", "GET /a/b?q=1 HTTP/1.1\nHost: h\nX: GET"),
        ("set-header X", "!"),
        ("set-header \"a b\" c", "!"),
        ("add-header X new", "GET /a/b?q=1 HTTP/1.1\nHost: h\nX: one\nX: two, three\nX: new"),
        ("del-header x", "GET /a/b?q=1 HTTP/1.1\nHost: h"),
        ("del-header Hos", same),
        ("del-header ho -m beg", "GET /a/b?q=1 HTTP/1.1\nX: one\nX: two, three"),
        ("del-header OST -m end", "GET /a/b?q=1 HTTP/1.1\nX: one\nX: two, three"),
        ("del-header os -m sub", "GET /a/b?q=1 HTTP/1.1\nX: one\nX: two, three"),
        ("del-header ^h.st$ -m reg", "GET /a/b?q=1 HTTP/1.1\nX: one\nX: two, three"),
        ("del-header X -m odd", "!"),
        ("replace-header X ^t(.*)$ T\\1", "GET /a/b?q=1 HTTP/1.1\nHost: h\nX: one\nX: Two, three"),
        ("replace-value X ^t(.*)$ T\\1", "GET /a/b?q=1 HTTP/1.1\nHost: h\nX: one\nX: Two,Three"),
        ("replace-value X (.*)e %[method]\\1", "GET /a/b?q=1 HTTP/1.1\nHost: h\nX: GETon\nX: two,GETthre"),
        ("replace-value X t(.) <\\1>", "GET /a/b?q=1 HTTP/1.1\nHost: h\nX: one\nX: <w>,<h>"),
        ("replace-header X ( x", "!"),
        ("replace-header X a \\3", "!"),
        ("set-method POST", "POST /a/b?q=1 HTTP/1.1\nHost: h\nX: one\nX: two, three"),
        ("set-path /x%[path]", "GET /x/a/b?q=1 HTTP/1.1\nHost: h\nX: one\nX: two, three"),
        ("set-pathq /x?y", "GET /x?y HTTP/1.1\nHost: h\nX: one\nX: two, three"),
        ("set-query z=2", "GET /a/b?z=2 HTTP/1.1\nHost: h\nX: one\nX: two, three"),
        ("set-query \"\"", "GET /a/b HTTP/1.1\nHost: h\nX: one\nX: two, three"),
        ("set-uri http://o/p", "GET http://o/p HTTP/1.1\nHost: o\nX: one\nX: two, three"),
        ("replace-path (.*)/b /c\\1", "GET /c/a?q=1 HTTP/1.1\nHost: h\nX: one\nX: two, three"),
        ("replace-pathq ([^?]*)(.*) /c\\1", "GET /c/a/b HTTP/1.1\nHost: h\nX: one\nX: two, three"),
        ("replace-uri ^/(.*) http://o/\\1", "GET http://o/a/b?q=1 HTTP/1.1\nHost: o\nX: one\nX: two, three"),
        ("normalize-uri query-sort-by-name", same),
        ("normalize-uri odd", "!"),
        ("set-header X %[req.hdr(none)]", "GET /a/b?q=1 HTTP/1.1\nHost: h\nX:"),
        ("set-var(txn.a) path,length\n http-request set-header X %[var(txn.a)]", "GET /a/b?q=1 HTTP/1.1\nHost: h\nX: 4"),
        ("set-var-fmt(txn.a) %[src]:%[dst]\n http-request set-header X %[var(txn.a)]", "GET /a/b?q=1 HTTP/1.1\nHost: h\nX: 192.0.2.1:198.51.100.1"),
        ("set-var(txn.a) int(1)\n http-request unset-var(txn.a)\n http-request del-header X if { var(txn.a) -m found }", same),
        ("set-var(txn.a) int(1)\n http-request set-var(txn.a,ifnotexists) int(2)\n http-request set-var(txn.a,ifgt) int(3)\n http-request set-var(txn.a,iflt) int(9)\n http-request set-header X %[var(txn.a)]", "GET /a/b?q=1 HTTP/1.1\nHost: h\nX: 9"),
        ("set-var(txn.a,often) int(1)", "!"),
        ("set-src int(1)\n http-request set-header X %[src]", "GET /a/b?q=1 HTTP/1.1\nHost: h\nX: 0.0.0.1"),
        ("set-src str(10.0.0.9)\n http-request set-src-port int(7)\n http-request set-header X %[src]:%[src_port]", "GET /a/b?q=1 HTTP/1.1\nHost: h\nX: 10.0.0.9:7"),
        ("set-dst str(::1)\n http-request set-dst-port str(99)\n http-request set-header X %[dst]:%[dst_port]", "GET /a/b?q=1 HTTP/1.1\nHost: h\nX: ::1:99"),
        ("set-src-port int(70000)\n http-request set-header X %[src_port]", "GET /a/b?q=1 HTTP/1.1\nHost: h\nX: 1234"),
        ("allow\n http-request set-header X no", same),
        ("del-header X if FALSE", same),
    ];
    for (rule, expected) in table {
        let lines = format!(" http-request {rule}");
        match expected {
            "!" => assert!(load(&lines).is_err(), "{rule}"),
            _ => assert_eq!(run(&lines, Site::HttpRequest, REQ, RES).req, expected, "{rule}"),
        }
    }
}

#[test]
fn answers_are_edited() {
    let table = [
        ("http-response set-status 503", "HTTP/1.1 503 Service Unavailable\nServer: s\nX: one"),
        ("http-response set-status 503 reason \"Slow Down\"", "HTTP/1.1 503 Slow Down\nServer: s\nX: one"),
        ("http-response set-status 99", "!"),
        ("http-response del-header Server", "HTTP/1.1 200 OK\nX: one"),
        ("http-response replace-header X o(.*) O\\1", "HTTP/1.1 200 OK\nServer: s\nX: One"),
        ("http-response set-header X %[status]", "HTTP/1.1 200 OK\nServer: s\nX: 200"),
        ("http-response set-path /", "!"),
    ];
    for (lines, expected) in table {
        match expected {
            "!" => assert!(load(&format!(" {lines}")).is_err(), "{lines}"),
            _ => assert_eq!(run(&format!(" {lines}"), Site::HttpResponse, REQ, RES).res, expected, "{lines}"),
        }
    }
    let after = run(" http-after-response set-header X late", Site::HttpAfter, REQ, RES);
    assert_eq!(after.res, "HTTP/1.1 200 OK\nServer: s\nX: late");
}

#[test]
fn what_would_corrupt_a_message_is_refused() {
    let bad = [
        "set-header X %[str(a%0d%0aB:c),url_dec]",
        "add-header X %[str(a%00),url_dec]",
        "replace-header X one a%[str(%0a),url_dec]b",
        "set-path %[str(/a%20b),url_dec]",
        "set-uri %[str(/a%0d%0a),url_dec]",
        "set-query %[str(%20),url_dec]",
        "set-method %[str(G%20T),url_dec]",
    ];
    for rule in bad {
        let strict = run(&format!(" http-request {rule}"), Site::HttpRequest, REQ, RES);
        assert_eq!((strict.act.as_str(), strict.txn.failed_rewrites), ("Failed", 1), "{rule}");
        let lenient =
            run(&format!(" http-request strict-mode off\n http-request {rule}"), Site::HttpRequest, REQ, RES);
        assert_eq!((lenient.act.as_str(), lenient.txn.failed_rewrites), ("Next", 1), "{rule}");
        assert_eq!(lenient.req, REQ.trim_end(), "{rule}");
    }
}

#[test]
fn settings_are_noted() {
    let table = [
        ("set-nice 9", "nice: Some(9)"),
        ("set-nice 2000", "!"),
        ("set-log-level silent", "log_level: Some(Silent)"),
        ("set-log-level err", "log_level: Some(Level(3))"),
        ("set-log-level loud", "!"),
        ("set-mark 0x10", "mark: Some(16)"),
        ("set-fc-mark 7", "mark: Some(7)"),
        ("set-bc-mark 8", "back_mark: Some(8)"),
        ("set-mark x", "!"),
        ("set-tos 0x20", "tos: Some(32)"),
        ("set-fc-tos 1", "tos: Some(1)"),
        ("set-bc-tos 2", "back_tos: Some(2)"),
        ("set-tos 256", "!"),
        ("set-timeout server 5s", "timeouts: [None, Some(5000), "),
        ("set-timeout tunnel int(7)", "timeouts: [None, None, Some(7), "),
        ("set-timeout client int(9)", "timeouts: [Some(9), "),
        ("set-timeout idle 5s", "!"),
        ("set-timeout server", "!"),
        ("set-retries 4", "retries: Some(4)"),
        ("set-retries int(200)", "retries: Some(100)"),
        ("set-priority-class int(5000)", "priority_class: Some(2047)"),
        ("set-priority-offset int(-3)", "priority_offset: Some(-3)"),
        ("disable-l7-retry", "no_l7_retry: true"),
        ("strict-mode off", "lenient: true"),
        ("strict-mode maybe", "!"),
    ];
    for (rule, expected) in table {
        let lines = format!(" http-request {rule}");
        match expected {
            "!" => assert!(load(&lines).is_err(), "{rule}"),
            _ => {
                let settings = format!("{:?}", run(&lines, Site::HttpRequest, REQ, RES).txn.settings);
                assert!(settings.contains(expected), "{rule}: {settings}");
            }
        }
    }
}

#[test]
fn captures_fill_their_slots_and_are_cut() {
    let done = run(
        " http-request capture path len 3\n http-request capture req.hdr(x) id 0",
        Site::HttpRequest,
        REQ,
        RES,
    );
    let slots: Vec<_> = done.txn.req_caps.iter().map(|slot| slot.as_deref()).collect();
    assert_eq!(slots, [Some(&b"thre"[..]), Some(b"/a/b")]);
    let done = run(" http-response capture res.hdr(server) id 0", Site::HttpResponse, REQ, RES);
    assert_eq!(done.txn.res_caps[0].as_deref(), Some(&b"s"[..]));
    for bad in
        ["http-request capture path id 7", "http-response capture status len 3", "http-request capture path"]
    {
        assert!(load(&format!(" {bad}")).is_err(), "{bad}");
    }
}

#[test]
fn answers_are_made() {
    let table = [
        ("redirect location /x code 301", "HTTP/1.1 301 Moved Permanently\ncontent-length: 0\nlocation: /x"),
        ("redirect location /x", "HTTP/1.1 302 Found\ncontent-length: 0\nlocation: /x\ncache-control: no-cache"),
        ("redirect location /x keep-query code 308", "HTTP/1.1 308 Permanent Redirect\ncontent-length: 0\nlocation: /x?q=1"),
        ("redirect location /x?y keep-query code 301", "HTTP/1.1 301 Moved Permanently\ncontent-length: 0\nlocation: /x?y&q=1"),
        ("redirect prefix http://o code 301", "HTTP/1.1 301 Moved Permanently\ncontent-length: 0\nlocation: http://o/a/b?q=1"),
        ("redirect prefix / code 301", "HTTP/1.1 301 Moved Permanently\ncontent-length: 0\nlocation: /a/b?q=1"),
        ("redirect prefix / code 301 drop-query append-slash", "HTTP/1.1 301 Moved Permanently\ncontent-length: 0\nlocation: /a/b/"),
        ("redirect scheme https code 301", "HTTP/1.1 301 Moved Permanently\ncontent-length: 0\nlocation: https://h/a/b?q=1"),
        ("redirect location / code 301 set-cookie A=b", "HTTP/1.1 301 Moved Permanently\ncontent-length: 0\nlocation: /\nset-cookie: A=b; path=/;"),
        ("redirect location / code 301 clear-cookie A=", "HTTP/1.1 301 Moved Permanently\ncontent-length: 0\nlocation: /\nset-cookie: A=; path=/; Max-Age=0;"),
        ("redirect location / code 301 set-cookie-fmt A=%[path]", "HTTP/1.1 301 Moved Permanently\ncontent-length: 0\nlocation: /\nset-cookie: A=/a/b; path=/;"),
        ("redirect location %[req.hdr(none)] ignore-empty", "Next"),
        ("redirect location %[str(/a%0d%0aX:y),url_dec] code 301", "HTTP/1.1 301 Moved Permanently\ncontent-length: 0\nlocation: /a  X:y"),
        ("redirect code 301", "!"),
        ("redirect location / code 200", "!"),
        ("return", "HTTP/1.1 200 OK\ncontent-length: 0"),
        ("return status 404", "HTTP/1.1 404 Not Found\ncontent-length: 0"),
        ("return status 204", "HTTP/1.1 204 No Content"),
        ("return content-type a/b string hi hdr X %[path]", "HTTP/1.1 200 OK\nX: /a/b\ncontent-length: 2\ncontent-type: a/b\n\nhi"),
        ("return content-type a/b lf-string <%[path]>", "HTTP/1.1 200 OK\ncontent-length: 6\ncontent-type: a/b\n\n</a/b>"),
        ("return status 503 default-errorfiles", "page 503"),
        ("return status 599 default-errorfiles", "!"),
        ("return string hi", "!"),
        ("return content-type a/b string hi file x", "!"),
        ("return status 42", "!"),
        ("deny", "Deny(403, None)"),
        ("deny deny_status 429", "Deny(429, None)"),
        ("deny status 404 content-type a/b string no", "deny HTTP/1.1 404 Not Found\ncontent-length: 2\ncontent-type: a/b\n\nno"),
        ("deny odd", "!"),
        ("tarpit", "Tarpit(500, None)"),
        ("reject", "Reject"),
        ("silent-drop", "Drop(None)"),
        ("silent-drop rst-ttl 3", "Drop(Some(3))"),
        ("auth", "deny challenge None"),
        ("auth realm my\\ place", "deny challenge Some(\"my place\")"),
        ("early-hint Link <a>\n http-request early-hint Link <b>", "HTTP/1.1 103 Early Hints\nLink: <a>\nLink: <b>"),
        ("wait-for-body time 1s at-least 1k", "Next"),
        ("wait-for-body", "!"),
    ];
    for (rule, expected) in table {
        let lines = format!(" http-request {rule}");
        match expected {
            "!" => assert!(load(&lines).is_err(), "{rule}"),
            _ => assert_eq!(run(&lines, Site::HttpRequest, REQ, RES).act, expected, "{rule}"),
        }
    }
}

#[test]
fn old_words_do_what_they_did() {
    let table = [
        ("reqadd X-New:\\ a", "GET /a/b?q=1 HTTP/1.1\nHost: h\nX: one\nX: two, three\nX-New: a"),
        ("reqdel ^X:\\ two", "GET /a/b?q=1 HTTP/1.1\nHost: h\nX: one"),
        ("reqidel ^x:", "GET /a/b?q=1 HTTP/1.1\nHost: h"),
        ("reqdel ^x:", "GET /a/b?q=1 HTTP/1.1\nHost: h\nX: one\nX: two, three"),
        ("reqrep ^([^\\ ]*)\\ /a/(.*) \\1\\ /c/\\2", "GET /c/b?q=1 HTTP/1.1\nHost: h\nX: one\nX: two, three"),
        ("reqrep ^GET\\ (.*) POST\\ \\1", "POST /a/b?q=1 HTTP/1.1\nHost: h\nX: one\nX: two, three"),
        ("reqirep ^host:.* Host:\\ new", "GET /a/b?q=1 HTTP/1.1\nHost: new\nX: one\nX: two, three"),
        ("reqrep ^X:\\ (o.*) Y:\\ \\1", "GET /a/b?q=1 HTTP/1.1\nHost: h\nX: two, three\nY: one"),
        ("reqadd X-New:\\ a if FALSE", "GET /a/b?q=1 HTTP/1.1\nHost: h\nX: one\nX: two, three"),
        ("reqadd nothing", "!"),
        ("reqrep ( x", "!"),
        ("reqrep ^a", "!"),
        ("reqsetbe ^a nowhere", "!"),
    ];
    for (line, expected) in table {
        let lines = format!(" {line}");
        match expected {
            "!" => assert!(load(&lines).is_err(), "{line}"),
            _ => assert_eq!(run(&lines, Site::HttpRequest, REQ, RES).req, expected, "{line}"),
        }
    }
    let verdicts = [
        ("block if { path_beg /a }", "Deny(403, None)"),
        ("reqdeny ^GET\\ /a", "Deny(403, None)"),
        ("reqdeny ^get\\ /a", "Next"),
        ("reqideny ^x:\\ ONE", "Deny(403, None)"),
        ("reqtarpit ^Host:\\ h", "Tarpit(500, None)"),
        ("reqallow ^Host:\\ h\n reqdeny .", "Next"),
        ("reqdeny .\n reqallow ^Host:\\ h", "Deny(403, None)"),
        ("reqpass .", "Next"),
        // http-request rules come before the old words but for "block", and "redirect" last
        ("redirect location /\n reqdeny .\n http-request return status 204", "HTTP/1.1 204 No Content"),
        (
            "redirect location / code 301\n reqdeny nothing\n",
            "HTTP/1.1 301 Moved Permanently\ncontent-length: 0\nlocation: /",
        ),
        ("http-request return status 204\n block if TRUE", "Deny(403, None)"),
    ];
    for (line, expected) in verdicts {
        assert_eq!(run(&format!(" {line}"), Site::HttpRequest, REQ, RES).act, expected, "{line}");
    }
    let answers = [
        ("rspadd X-New:\\ a", "HTTP/1.1 200 OK\nServer: s\nX: one\nX-New: a"),
        ("rspidel ^server:", "HTTP/1.1 200 OK\nX: one"),
        ("rsprep ^(HTTP/1.1)\\ 200 \\1\\ 201\\ Made", "HTTP/1.1 201 Made\nServer: s\nX: one"),
        ("rspirep ^x:\\ (.*) X:\\ <\\1>", "HTTP/1.1 200 OK\nServer: s\nX: <one>"),
    ];
    for (line, expected) in answers {
        assert_eq!(run(&format!(" {line}"), Site::HttpResponse, REQ, RES).res, expected, "{line}");
    }
    assert_eq!(run(" rspdeny ^Server:", Site::HttpResponse, REQ, RES).act, "Deny(502, None)");
}
