//! Keys and the servers HAProxy gives for them.

use super::super::parse::scheme;
use super::super::roundrobin::tests::{asking, letter, servers};
use super::*;
use crate::base::hash::HashFn;
use crate::lang::word::Word;
use crate::msg::ParseOpts;
use crate::plan::scheme::{Balancer, ServerView};
use lighterman_wire::error::Parse;

fn head(text: &str) -> Head {
    let mut head = Head::new();
    let text = text.replace('\n', "\r\n") + "\r\n\r\n";
    let parsed = head.parse_request(text.as_bytes(), &ParseOpts::default());
    assert!(matches!(parsed, Parse::Done(..)), "{text}");
    head
}

/// The servers, as letters, that these requests get one after the other.
fn picks(balance: &str, how: &HashType, weights: &[u32], requests: &[String]) -> String {
    let words: Vec<Word> = balance.split(' ').map(Word::plain).collect();
    let made = scheme(&mut Words::new(&words), &mut BalanceCx::default())
        .unwrap_or_else(|diag| panic!("{}", diag.what));
    let servers = servers(weights);
    let mut balancer = made.start(&servers, how);
    let mut found = String::new();
    for request in requests {
        let (top, body) = request.split_once("\n\n").unwrap_or((request, ""));
        let head = head(top);
        let cx = PickCx { req: Some(&head), body: body.as_bytes(), ..asking(&servers) };
        found.push(letter(balancer.pick(&cx)));
    }
    found
}

fn targets(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| format!("GET {path} HTTP/1.1\nhost: x")).collect()
}

const FIVE: &[u32] = &[1; 5];

// Every expected text here was seen at HAProxy 2.6.

#[test]
fn targets_as_haproxy_spreads_them() {
    let requests = targets(&["/a", "/b/c", "/index.html", "/x?y=1", "/foo/bar/baz", "/foo/bar/qux?z"]);
    let table = [
        ("uri", "acbdca", "dcddcb"),
        ("uri whole", "acbacc", "dcddca"),
        ("uri len 3", "aeadee", "ddddee"),
        ("uri depth 1", "abbdaa", "dbdddd"),
        ("uri depth 2", "acbdee", "dcddee"),
        ("uri path-only", "acbdca", "dcddcb"),
        ("uri whole depth 1", "abbaaa", "dbdddd"),
    ];
    for (balance, map, ring) in table {
        assert_eq!(picks(balance, &HashType::default(), FIVE, &requests), map, "{balance}");
        assert_eq!(picks(balance, &HashType::consistent(), FIVE, &requests), ring, "{balance}");
    }
    let uneven: [(&[u32], &str, &str); 2] =
        [(&[3, 1, 1], "abaaba", "bcabaa"), (&[10, 20, 30, 40, 50], "aeceee", "dcdbda")];
    for (weights, map, ring) in uneven {
        assert_eq!(picks("uri", &HashType::default(), weights, &requests), map, "{weights:?}");
        assert_eq!(picks("uri", &HashType::consistent(), weights, &requests), ring, "{weights:?}");
    }
}

#[test]
fn parameters() {
    let queries = targets(&[
        "/?u=1",
        "/?u=2",
        "/?a=1&u=2",
        "/?a=1&u=2&b",
        "/?u",
        "/?uu=1",
        "/?u=",
        "/?x=u=3&u=77",
        "/",
    ]);
    assert_eq!(picks("url_param u", &HashType::default(), FIVE, &queries), "eaaaabaac");
    assert_eq!(picks("url_param u", &HashType::default(), FIVE, &targets(&["/"; 7])), "abcdeab");
    let post = |target: &str, body: &str| format!("POST {target} HTTP/1.1\nhost: x\n\n{body}");
    let posts = [post("/", "u=2"), post("/", "a=1&u=2"), post("/?u=1", "u=2"), post("/?q=1", "u=2")];
    assert_eq!(picks("url_param u check_post", &HashType::default(), FIVE, &posts), "aaea");
    assert_eq!(picks("url_param u", &HashType::default(), FIVE, &posts), "abec", "bodies are not looked at");
}

#[test]
fn fields() {
    let values = [
        "www.example.com",
        "example.com",
        "a.b.example.com",
        "example",
        "example.com:80",
        "one,two",
        "one",
        "10.0.0.1",
        " sp ",
        "one two",
        "www.example.com.",
    ];
    let field = |value: &&str| format!("GET / HTTP/1.1\nhost: x\nH: {value}");
    let requests: Vec<String> = values.iter().map(field).collect();
    assert_eq!(picks("hdr(h)", &HashType::default(), FIVE, &requests), "cddacbbaccd");
    assert_eq!(picks("hdr(H) use_domain_only", &HashType::default(), FIVE, &requests), "aaaaabbdccd");
    let functions: Vec<String> = ["12", "7", "abc", "\u{e9}"].iter().map(field).collect();
    let table =
        [(HashFn::Sdbm, "babe"), (HashFn::Djb2, "bddd"), (HashFn::Wt6, "dbae"), (HashFn::Crc32, "abdb")];
    for (function, expected) in table {
        let how = HashType { function, ..HashType::default() };
        assert_eq!(picks("hdr(h)", &how, FIVE, &functions), expected, "{function:?}");
    }
}

#[test]
fn cookies_of_remote_desktops() {
    let hello = |text: &str| [b"\x03\x00\x00\x2a\x25\xe0\x00\x00\x00\x00\x00", text.as_bytes()].concat();
    let table = [
        ("Cookie: mstshash=anna\r\n", Some("anna")),
        ("cookie:MSTSHASH=b\r\nmore", Some("b")),
        ("Cookie: mstshash=anna\r", None),
        ("Cookie: mstshash=anna", None),
        ("Cookie: msts=1.2.3\r\n", None),
        ("Cookie: mstshashes=1\r\n", None),
        ("Cook", None),
        ("", None),
    ];
    for (text, expected) in table {
        let bytes = hello(text);
        assert_eq!(rdp_value(&bytes, b"mstshash"), expected.map(str::as_bytes), "{text}");
    }
    assert_eq!(rdp_value(b"\x16\x03\x01", b"mstshash"), None);
    assert_eq!(rdp_value(b"", b"mstshash"), None);
}

#[test]
fn a_lone_server_needs_no_key_and_an_overloaded_one_hands_on() {
    let requests = targets(&["/a", "/b"]);
    assert_eq!(picks("uri", &HashType::default(), &[0, 4, 0], &requests), "bb");
    let mut servers = servers(&[1, 1]);
    let how = HashType { load_factor: 150, ..HashType::consistent() };
    let mut balancer =
        Keyed::scheme("uri", Uri { whole: false, len: 9, depth: 9, path_only: false }).start(&servers, &how);
    let head = head("GET /a HTTP/1.1\nhost: x");
    let ask = |servers: &[ServerView], balancer: &mut dyn Balancer| {
        balancer.pick(&PickCx { req: Some(&head), ..asking(servers) }).unwrap()
    };
    let home = ask(&servers, balancer.as_mut());
    servers[home.index()].current = 10;
    assert_ne!(ask(&servers, balancer.as_mut()), home);
    servers[1 - home.index()].current = 10;
    assert_eq!(ask(&servers, balancer.as_mut()), home);
}
