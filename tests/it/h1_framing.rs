//! Where HTTP/1 messages begin and end: lengths, chunks, trailers, 1xx, tunnels, answers without a body.

use std::time::Duration;

use lighterman_harness::{End, Reply, Server};

use crate::relay;

#[test]
fn a_plain_exchange() {
    let server = Server::http(|_| Reply::status(200, "X-Origin: yes\r\n", "hello"));
    let proxy = relay("", server.addr()).start();
    let response = proxy.get("fe", "/path?query=1");
    assert_eq!((response.status, response.text().as_str()), (200, "hello"));
    assert_eq!(response.field("x-origin"), Some("yes"));
    let request = server.last();
    assert_eq!(request.head.line, "GET /path?query=1 HTTP/1.1");
    assert_eq!(request.field("host"), Some("test"));
}

#[test]
fn bodies_with_a_length_arrive_whole() {
    let server = Server::http(|request| Reply::ok(&request.body));
    let proxy = relay("", server.addr()).start();
    let mut client = proxy.connect("fe");
    for size in [0, 1, 1000, 16_384, 16_385, 200_000] {
        let body: Vec<u8> = (0..size).map(|n: u32| n as u8).collect();
        client.send(format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"));
        client.send(&body);
        assert_eq!(client.response().body, body, "{size} bytes");
    }
}

#[test]
fn chunked_bodies_arrive_whole_in_any_cut() {
    let server = Server::http(|request| Reply::ok(&request.body));
    let proxy = relay("", server.addr()).start();
    let message = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;ext=\"v\"\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n";
    for step in [1, 2, 7, 50, 1000] {
        let mut client = proxy.connect("fe");
        for piece in message.as_bytes().chunks(step) {
            client.send(piece);
        }
        assert_eq!(client.response().text(), "hello world", "pieces of {step}");
    }
}

#[test]
fn chunked_answers_keep_their_trailers() {
    let server = Server::http(|_| {
        Reply::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 99\r\n\r\n")
    });
    let proxy = relay("", server.addr()).start();
    let mut client = proxy.connect("fe");
    for _ in 0..2 {
        let response = client.get("/");
        assert_eq!(response.text(), "hello");
        assert_eq!(response.trailers.len(), 1);
        assert!(response.trailers[0].0.eq_ignore_ascii_case("x-sum") && response.trailers[0].1 == "99");
    }
}

#[test]
fn a_chunked_answer_for_an_old_client_ends_with_the_connection() {
    let server = Server::http(|_| {
        Reply::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    });
    let proxy = relay("", server.addr()).start();
    let mut client = proxy.connect("fe");
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let head = client.response_head();
    assert_eq!(head.field("transfer-encoding"), None, "{:?}", head.head.fields);
    assert_eq!(client.rest(), b"hello");
}

#[test]
fn an_answer_may_end_with_its_connection() {
    let server = Server::start(|mut peer, _| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
    });
    let proxy = relay("", server.addr()).start();
    assert_eq!(proxy.get("fe", "/").text(), "until the end");
    let mut old = proxy.connect("fe");
    old.send("GET / HTTP/1.0\r\n\r\n");
    assert!(String::from_utf8(old.rest()).unwrap().ends_with("\r\n\r\nuntil the end"));
}

#[test]
fn a_cut_answer_is_cut_for_the_client_too() {
    let server = Server::start(|mut peer, n| {
        peer.request();
        peer.send(match n {
            0 => "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfour",
            _ => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n",
        });
    });
    let proxy = relay("", server.addr()).start();
    for _ in 0..2 {
        let mut client = proxy.connect("fe");
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let (bytes, _) = client.drain();
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("four") && !text.ends_with("0\r\n\r\n"), "{text}");
    }
}

#[test]
fn answers_without_a_body_leave_the_connection_usable() {
    let server = Server::http(|request| match request.uri() {
        "/head" => Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        "/chunked-head" => Reply::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        "/204" => Reply::raw("HTTP/1.1 204 No Content\r\n\r\n"),
        "/304" => Reply::raw("HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n"),
        _ => Reply::ok("next"),
    });
    let proxy = relay("", server.addr()).start();
    let mut client = proxy.connect("fe");
    for (method, uri, status) in
        [("HEAD", "/head", 200), ("HEAD", "/chunked-head", 200), ("GET", "/204", 204), ("GET", "/304", 304)]
    {
        client.send(format!("{method} {uri} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(client.response_head().status, status, "{uri}");
        assert_eq!(client.get("/next").text(), "next", "after {uri}");
    }
}

#[test]
fn a_100_continue_passes_before_the_body() {
    let server = Server::start(|mut peer, _| {
        peer.upto("\r\n\r\n");
        peer.send("HTTP/1.1 100 Continue\r\n\r\n");
        peer.expect("hello");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let proxy = relay("", server.addr()).start();
    let mut client = proxy.connect("fe");
    client.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.response().status, 100);
    client.send("hello");
    assert_eq!(client.response().text(), "ok");
}

#[test]
fn any_number_of_1xx_pass() {
    let server = Server::http(|_| {
        Reply::raw("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    });
    let proxy = relay("", server.addr()).start();
    let mut client = proxy.connect("fe");
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let statuses: Vec<u16> = (0..4).map(|_| client.response().status).collect();
        assert_eq!(statuses, [102, 103, 103, 200]);
    }
    // An old client does not know them.
    let mut old = proxy.connect("fe");
    old.send("GET / HTTP/1.0\r\n\r\n");
    let text = String::from_utf8(old.rest()).unwrap();
    assert!(text.starts_with("HTTP/1.1 200") || text.starts_with("HTTP/1.0 200"), "{text}");
}

#[test]
fn an_upgrade_becomes_a_tunnel() {
    let server = Server::start(|mut peer, _| {
        let request = peer.request();
        assert_eq!(request.field("upgrade"), Some("chat"));
        assert!(request.field("connection").is_some_and(|c| c.to_ascii_lowercase().contains("upgrade")));
        peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nwelcome");
        peer.expect("from the client\0\r\n");
        peer.send("from the server");
        assert_eq!(peer.ends(), End::Eof);
    });
    let proxy = relay("", server.addr()).start();
    let mut client = proxy.connect("fe");
    client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n");
    let response = client.response();
    assert_eq!((response.status, response.field("upgrade")), (101, Some("chat")));
    client.expect("welcome");
    client.send("from the client\0\r\n");
    client.expect("from the server");
    client.half_close();
    assert_eq!(client.ends(), End::Eof);
}

#[test]
fn connect_becomes_a_tunnel() {
    let server = Server::start(|mut peer, _| {
        assert_eq!(peer.request().head.line, "CONNECT far:443 HTTP/1.1");
        peer.send("HTTP/1.1 200 Connected\r\n\r\n");
        peer.expect("ping");
        peer.send("pong");
    });
    let proxy = relay("", server.addr()).start();
    let mut client = proxy.connect("fe");
    client.send("CONNECT far:443 HTTP/1.1\r\nHost: far:443\r\n\r\n");
    assert_eq!(client.response_head().status, 200);
    client.send("ping");
    assert_eq!(client.rest(), b"pong");
}

#[test]
fn a_tunnel_ends_by_its_own_timeout() {
    let server = Server::start(|mut peer, _| {
        peer.request();
        peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
        peer.drain();
    });
    let lines = "    timeout client 300ms\n    timeout server 300ms\n    timeout tunnel 1s";
    let proxy = relay(lines, server.addr()).start();
    let mut client = proxy.connect("fe");
    client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    assert_eq!(client.response_head().status, 101);
    client.silent(Duration::from_millis(600));
    client.ends();
}

#[test]
fn an_early_answer_to_a_long_upload_arrives() {
    let server = Server::start(|mut peer, _| {
        peer.upto("\r\n\r\n");
        peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        peer.drain();
    });
    let proxy = relay("", server.addr()).start();
    let mut client = proxy.connect("fe");
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\nsome of it");
    assert_eq!(client.response().status, 413);
}

#[test]
fn hop_by_hop_fields_stay_on_their_hop() {
    let server = Server::http(|_| Reply::status(200, "Connection: x-mine\r\nX-Mine: 1\r\n", "ok"));
    let proxy = relay("", server.addr()).start();
    let mut client = proxy.connect("fe");
    client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\nKeep-Alive: 5\r\n\r\n");
    assert_eq!(client.response().status, 200);
    let request = server.last();
    assert!(request.field("connection").is_none_or(|c| !c.contains("close")), "{:?}", request.head.fields);
}

#[test]
fn leading_empty_lines_are_forgiven() {
    let server = Server::named("ok");
    let proxy = relay("", server.addr()).start();
    let mut client = proxy.connect("fe");
    client.send("\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.response().text(), "ok");
}

#[test]
fn a_head_may_come_byte_by_byte() {
    let server = Server::named("ok");
    let proxy = relay("", server.addr()).start();
    let mut client = proxy.connect("fe");
    for byte in b"GET /slow HTTP/1.1\r\nHost: x\r\nX-Long-Name: value\r\n\r\n" {
        client.send([*byte]);
    }
    assert_eq!(client.response().text(), "ok");
    assert_eq!(server.last().uri(), "/slow");
}

#[test]
fn target_forms_pass() {
    let server = Server::http(|request| Reply::ok(request.uri()));
    let proxy = relay("", server.addr()).start();
    let mut client = proxy.connect("fe");
    for (request, uri) in [
        ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "*"),
        ("GET http://x/abs HTTP/1.1\r\nHost: x\r\n\r\n", "http://x/abs"),
        ("GET /%41?b=%zz HTTP/1.1\r\nHost: x\r\n\r\n", "/%41?b=%zz"),
        ("PROPFIND /dav HTTP/1.1\r\nHost: x\r\n\r\n", "/dav"),
    ] {
        client.send(request);
        assert_eq!(client.response().text(), uri);
    }
}
