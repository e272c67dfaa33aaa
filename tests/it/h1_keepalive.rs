//! Connections kept, shared, closed: both sides of HTTP/1, and what the proxy answers by itself.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use lighterman_harness::{deadline, eventually, End, Reply, Server};

use crate::{program, relay};

#[test]
fn one_connection_serves_many_requests_on_both_sides() {
    let server = Server::http(|request| Reply::ok(request.uri()));
    let proxy = relay("", server.addr()).start();
    let mut client = proxy.connect("fe");
    for n in 0..50 {
        assert_eq!(client.get(&format!("/{n}")).text(), format!("/{n}"));
    }
    assert_eq!(server.connections(), 1);
    assert_eq!(proxy.stat("fe", "FRONTEND", "stot"), "1");
    assert_eq!(proxy.stat("fe", "FRONTEND", "req_tot"), "50");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Server::http(|request| Reply::ok(request.uri()));
    let proxy = relay("", server.addr()).start();
    let mut client = proxy.connect("fe");
    let all: String = (0..100).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: x\r\n\r\n")).collect();
    client.send(all);
    for n in 0..100 {
        assert_eq!(client.response().text(), format!("/{n}"));
    }
}

#[test]
fn a_pipelined_body_does_not_eat_the_next_request() {
    let server = Server::http(|request| Reply::ok([request.uri().as_bytes(), b" ", &request.body].concat()));
    let proxy = relay("", server.addr()).start();
    let mut client = proxy.connect("fe");
    client.send(
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcPOST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\nGET /c HTTP/1.1\r\nHost: x\r\n\r\n",
    );
    for text in ["/a abc", "/b de", "/c "] {
        assert_eq!(client.response().text(), text);
    }
}

#[test]
fn connection_close_is_honoured_and_announced() {
    let server = Server::named("ok");
    let proxy = relay("", server.addr()).start();
    for request in [
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: x, Close\r\n\r\n",
    ] {
        let mut client = proxy.connect("fe");
        client.send(request);
        let response = client.response();
        assert_eq!(response.text(), "ok");
        assert!(response.field("connection").is_none_or(|c| c.eq_ignore_ascii_case("close")));
        assert_eq!(client.ends(), End::Eof, "{request}");
    }
}

#[test]
fn an_old_client_that_asks_keeps_its_connection() {
    let server = Server::named("ok");
    let proxy = relay("", server.addr()).start();
    let mut client = proxy.connect("fe");
    for _ in 0..3 {
        client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let response = client.response();
        assert_eq!(response.text(), "ok");
        assert!(response.field("connection").is_some_and(|c| c.eq_ignore_ascii_case("keep-alive")));
    }
}

#[test]
fn the_close_modes() {
    // option, connections that the server gets for two requests, does the client keep its own?
    for (option, expected, kept) in
        [("http-keep-alive", 1, true), ("http-server-close", 2, true), ("httpclose", 2, false)]
    {
        let server = Server::named("ok");
        let proxy = relay(&format!("    option {option}"), server.addr()).start();
        let mut client = proxy.connect("fe");
        assert_eq!(client.get("/").text(), "ok");
        if kept {
            assert_eq!(client.get("/").text(), "ok", "{option}");
        } else {
            assert_eq!(client.ends(), End::Eof, "{option}");
            assert_eq!(proxy.get("fe", "/").text(), "ok");
        }
        assert_eq!(server.connections(), expected, "{option}");
    }
}

#[test]
fn idle_server_connections_are_shared_as_asked() {
    for (mode, shared) in [("never", false), ("safe", true), ("aggressive", true), ("always", true)] {
        let server = Server::named("ok");
        let proxy = relay(&format!("    http-reuse {mode}"), server.addr()).start();
        // `safe` lets only a client's second request ride on another's connection.
        for _ in 0..5 {
            let mut client = proxy.connect("fe");
            assert_eq!(client.get("/").text(), "ok");
            assert_eq!(client.get("/").text(), "ok");
        }
        let n = server.connections();
        match (mode, shared) {
            ("never", _) => assert_eq!(n, 5, "{mode}"),
            ("always", _) => assert_eq!(n, 1, "{mode}"),
            _ => assert!(n <= 5, "{mode}: {n}"),
        }
    }
}

#[test]
fn pool_max_conn_bounds_the_idle_ones() {
    let server = Server::named("ok");
    let proxy = program(&format!(
        "listen fe\n    bind \"fd@${{fe}}\"\n    http-reuse always\n    server s1 {} pool-max-conn 0\n",
        server.addr()
    ))
    .listen("fe")
    .start();
    for _ in 0..3 {
        let mut client = proxy.connect("fe");
        client.get("/");
        drop(client);
        eventually("the server connection to be closed", || server.open() == 0);
    }
    assert_eq!(server.connections(), 3);
}

#[test]
fn idle_server_connections_are_purged() {
    let server = Server::named("ok");
    let proxy = program(&format!(
        "listen fe\n    bind \"fd@${{fe}}\"\n    http-reuse always\n    server s1 {} pool-purge-delay 200ms\n",
        server.addr()
    ))
    .listen("fe")
    .start();
    assert_eq!(proxy.get("fe", "/").text(), "ok");
    eventually("the idle connection to be purged", || server.open() == 0);
}

#[test]
fn a_reused_connection_that_the_server_closed_is_tried_again() {
    let hits = Arc::new(AtomicUsize::new(0));
    let count = hits.clone();
    // Every connection answers one request with keep-alive and then dies at the next one.
    let server = Server::start(move |mut peer, _| {
        peer.request();
        count.fetch_add(1, Ordering::SeqCst);
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        peer.next_request();
    });
    let proxy = relay("    http-reuse always", server.addr()).start();
    let mut client = proxy.connect("fe");
    for _ in 0..10 {
        let response = client.get("/");
        assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    }
    assert_eq!(hits.load(Ordering::SeqCst), 10);
}

#[test]
fn a_fresh_connection_that_dies_is_502() {
    let server = Server::start(|mut peer, _| {
        peer.request();
    });
    let proxy = relay("", server.addr()).start();
    assert_eq!(proxy.get("fe", "/").status, 502);
}

#[test]
fn a_silent_server_is_504() {
    let server = Server::start(|mut peer, _| {
        peer.request();
        peer.drain();
    });
    let proxy = relay("    timeout server 200ms", server.addr()).start();
    let response = proxy.get("fe", "/");
    assert_eq!(response.status, 504);
    assert_eq!(response.head.line, "HTTP/1.1 504 Gateway Time-out");
}

#[test]
fn a_slow_client_is_408_and_an_idle_one_just_closed() {
    let server = Server::named("ok");
    let lines = "    timeout http-request 200ms\n    timeout http-keep-alive 300ms";
    let proxy = relay(lines, server.addr()).start();
    let mut client = proxy.connect("fe");
    client.send("GET / HT");
    assert_eq!(client.response().head.line, "HTTP/1.1 408 Request Time-out");
    client.ends();
    let mut client = proxy.connect("fe");
    client.get("/");
    assert_eq!(client.ends(), End::Eof);
}

#[test]
fn default_pages() {
    let proxy = program("listen fe\n    bind \"fd@${fe}\"\n").listen("fe").start();
    let response = proxy.get("fe", "/");
    assert_eq!(response.head.line, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(response.field("content-type"), Some("text/html"));
    assert_eq!(response.field("cache-control"), Some("no-cache"));
    assert_eq!(
        response.text(),
        "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n"
    );
}

#[test]
fn forwardfor_adds_the_client() {
    let server = Server::named("ok");
    let cases = [
        ("option forwardfor", "", vec!["127.0.0.1"]),
        ("option forwardfor", "X-Forwarded-For: 9.9.9.9\r\n", vec!["9.9.9.9", "127.0.0.1"]),
        ("option forwardfor if-none", "X-Forwarded-For: 9.9.9.9\r\n", vec!["9.9.9.9"]),
        ("option forwardfor if-none", "", vec!["127.0.0.1"]),
        ("option forwardfor except 127.0.0.0/8", "", vec![]),
        ("option forwardfor except 10.0.0.0/8", "", vec!["127.0.0.1"]),
    ];
    for (option, sent, expected) in cases {
        let proxy = relay(&format!("    {option}"), server.addr()).start();
        let mut client = proxy.connect("fe");
        client.send(format!("GET / HTTP/1.1\r\nHost: x\r\n{sent}\r\n"));
        assert_eq!(client.response().status, 200);
        assert_eq!(server.last().head.all("x-forwarded-for"), expected, "{option} {sent}");
    }
    let proxy = relay("    option forwardfor header X-Client", server.addr()).start();
    proxy.get("fe", "/");
    assert_eq!(server.last().head.all("x-client"), ["127.0.0.1"]);
}

#[test]
fn monitor_uri_answers_for_the_proxy() {
    let server = Server::named("ok");
    let proxy = relay("    monitor-uri /alive", server.addr()).start();
    let mut client = proxy.connect("fe");
    let response = client.get("/alive");
    assert_eq!(response.status, 200);
    assert!(response.text().contains("<h1>200 OK</h1>\nService ready.\n"), "{}", response.text());
    assert_eq!(server.connections(), 0);
    assert_eq!(proxy.get("fe", "/alive/not").text(), "ok");
}

#[test]
fn errorfiles_replace_the_pages() {
    let program = program("listen fe\n    bind \"fd@${fe}\"\n    errorfile 503 \"${page}\"\n").listen("fe");
    let page = program.file(
        "503.http",
        "HTTP/1.0 503 Mine\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nmy own page\n",
    );
    let proxy = program.env("page", page).start();
    let response = proxy.get("fe", "/");
    assert_eq!((response.status, response.text().as_str()), (503, "my own page\n"));
}

#[test]
fn a_big_answer_to_a_slow_reader_stays_in_the_server() {
    let server = Server::start(|mut peer, _| {
        peer.request();
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 256 << 20));
        let block = vec![b'b'; 1 << 20];
        while peer.try_send(&block).is_ok() {}
    });
    let proxy = relay("", server.addr()).start();
    let mut warm = proxy.connect("fe");
    warm.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    warm.take(1 << 20);
    drop(warm);
    let before = lighterman_harness::procs::memory_kb(proxy.pid(), "VmRSS");
    let mut client = lighterman_harness::Peer::connect_narrow(proxy.addr("fe"), 4096);
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    for _ in 0..20 {
        client.some(4096);
        deadline::pause(Duration::from_millis(10));
    }
    let grown = lighterman_harness::procs::memory_kb(proxy.pid(), "VmRSS").saturating_sub(before);
    assert!(grown < 2048, "grew by {grown} KiB");
}
