//! Every family of actions with real traffic: what the server is asked, what the client is told.

use std::time::Duration;

use lighterman_harness::{Reply, Server};

use crate::{program, relay};

/// A request of `fe` by these lines of head, and how it was answered.
fn ask(proxy: &lighterman_harness::Proxy, head: &str) -> lighterman_harness::Response {
    let mut client = proxy.connect("fe");
    client.send(format!("{}\r\nHost: x\r\n\r\n", head.replace('\n', "\r\n")));
    client.response()
}

#[test]
fn who_comes_in_says_name_and_password() {
    let server = Server::named("in");
    let proxy = program(&format!(
        "userlist people\n    group ops users joe\n    group dev\n    user joe insecure-password secret\n    \
         user ann password $5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5 groups dev\n    user bob\n\
         listen fe\n    bind \"fd@${{fe}}\"\n    http-request auth realm my\\ shop unless {{ http_auth(people) }}\n    \
         http-request deny if {{ path_beg /ops }} !{{ http_auth_group(people) ops }}\n    server s {}\n",
        server.addr()
    ))
    .listen("fe")
    .start();
    let response = proxy.get("fe", "/");
    assert_eq!((response.status, response.field("www-authenticate")), (401, Some("Basic realm=\"my shop\"")));
    // joe:secret, ann:Hello world!, joe:wrong, bob:(nothing), not base64, another scheme
    for (line, uri, status) in [
        ("Basic am9lOnNlY3JldA==", "/ops", 200),
        ("basic YW5uOkhlbGxvIHdvcmxkIQ==", "/", 200),
        ("Basic YW5uOkhlbGxvIHdvcmxkIQ==", "/ops", 403),
        ("Basic am9lOndyb25n", "/", 401),
        ("Basic Ym9iOg==", "/", 401),
        ("Basic !!", "/", 401),
        ("Bearer am9lOnNlY3JldA==", "/", 401),
    ] {
        let response = ask(&proxy, &format!("GET {uri} HTTP/1.1\nAuthorization: {line}"));
        assert_eq!(response.status, status, "{line} {uri}");
    }
}

#[test]
fn error_pages_are_ones_own() {
    let program = program(
        "http-errors shop\n    errorfile 404 \"${page}\"\n    errorfile 429 \"${page}\"\n\
         frontend fe\n    bind \"fd@${fe}\"\n    monitor-uri /alive\n    \
         monitor fail if { req.hdr(x-sick) -m found }\n    errorfiles shop 404\n    \
         http-error status 503 content-type text/plain lf-string \"sorry, %[src]\" hdr X-Path %[path]\n    \
         http-request deny deny_status 404 if { path /404 }\n    \
         http-request return status 429 errorfiles shop if { path /429 }\n    \
         http-request deny status 400 content-type text/plain string bad if { path /400 }\n    \
         use_backend own if { path /own }\n\
         backend own\n    errorloc303 503 http://other.test/\n",
    )
    .listen("fe");
    let page = program.file("page.http", "HTTP/1.1 404 Gone Away\nX-Own: 1\nContent-Length: 99\n\nmine");
    let proxy = program.env("page", page).start();
    for uri in ["/404", "/429"] {
        let response = proxy.get("fe", uri);
        assert_eq!((response.status, response.text().as_str()), (404, "mine"), "{uri}");
        assert_eq!((response.field("x-own"), response.field("content-length")), (Some("1"), Some("4")));
    }
    let response = proxy.get("fe", "/400");
    assert_eq!((response.status, response.text().as_str()), (400, "bad"));
    let response = proxy.get("fe", "/nowhere");
    assert_eq!((response.status, response.text().as_str()), (503, "sorry, 127.0.0.1"));
    assert_eq!(response.field("x-path"), Some("/nowhere"));
    let response = proxy.get("fe", "/own");
    assert_eq!((response.status, response.field("location")), (303, Some("http://other.test/")));
    assert_eq!(proxy.get("fe", "/alive").status, 200);
    assert_eq!(ask(&proxy, "GET /alive HTTP/1.1\nX-Sick: 1").status, 503);
}

#[test]
fn hints_come_before_the_answer() {
    let server = Server::named("ok");
    let lines = "    http-request early-hint Link </a.css>;rel=preload\n    http-request early-hint Link </b.js>;rel=preload\n    \
                 http-request early-hint X-Path %[path] if { path /x }";
    let proxy = relay(lines, server.addr()).start();
    let mut client = proxy.connect("fe");
    client.send("GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    client.expect("HTTP/1.1 103 Early Hints\r\nLink: </a.css>;rel=preload\r\nLink: </b.js>;rel=preload\r\nX-Path: /x\r\n\r\n");
    assert_eq!(client.response().text(), "ok");
    // once more on the same connection, and not at all for those who know no interim answers
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    client.upto("\r\n\r\n");
    assert_eq!(client.response().text(), "ok");
    let mut old = proxy.connect("fe");
    old.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(old.response().status, 200);
}

#[test]
fn values_that_would_corrupt_a_message_are_refused() {
    let server = Server::http(|_| Reply::status(200, "X-Bad: a%0d%0aSet-Cookie:b\r\n", "ok"));
    let lines = "    http-request set-header X-New %[req.hdr(x-bad),url_dec] if { path /strict }\n    \
                 http-request strict-mode off\n    \
                 http-request set-header X-New %[req.hdr(x-bad),url_dec]\n    \
                 http-request set-var(txn.path) path\n    http-response set-header X-New %[res.hdr(x-bad),url_dec] if { var(txn.path) -m str /res }";
    let proxy = relay(lines, server.addr()).start();
    assert_eq!(ask(&proxy, "GET /strict HTTP/1.1\nX-Bad: a%0aB: c").status, 500);
    assert_eq!(server.requests().len(), 0);
    assert_eq!(ask(&proxy, "GET / HTTP/1.1\nX-Bad: a%00").status, 200);
    assert_eq!(server.last().field("x-new"), None);
    assert_eq!(ask(&proxy, "GET / HTTP/1.1\nX-Bad: a%20b").status, 200);
    assert_eq!(server.last().field("x-new"), Some("a b"));
    assert_eq!(ask(&proxy, "GET /res HTTP/1.1\nX-Bad: x").status, 502);
}

#[test]
fn bodies_are_waited_for() {
    let server = Server::named("ok");
    let lines = "    http-request wait-for-body time 200ms at-least 4 if METH_POST\n    \
                 http-request deny if { req.body -m sub evil }";
    let proxy = relay(lines, server.addr()).start();
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n";
    let mut client = proxy.connect("fe");
    client.send(head);
    client.silent(Duration::from_millis(50));
    client.send("evil");
    assert_eq!(client.response().status, 403);
    let mut client = proxy.connect("fe");
    client.send(format!("{head}gentle"));
    assert_eq!(client.response().status, 200);
    let mut client = proxy.connect("fe");
    client.send(format!("{head}ab"));
    assert_eq!(client.response().status, 408);
}
