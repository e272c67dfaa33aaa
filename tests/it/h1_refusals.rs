//! What could be understood in two ways is refused: 400 towards the client, 502 for a server's answer, and
//! nothing of it is forwarded.

use lighterman_harness::{Reply, Server};

use crate::relay;

/// Requests that RFC 9110 and 9112 forbid or that servers read differently. Every one gets a 400.
const REQUESTS: &[(&str, &str)] = &[
    ("length and chunked", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("chunked and length", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    ("two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
    ("two lengths in one field", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 6\r\n\r\nhello!"),
    ("signed length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello"),
    ("negative length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\nhello"),
    ("length in hex", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\nhello"),
    ("length beyond 64 bits", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\nhello"),
    ("empty length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n"),
    ("length with words", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5 5\r\n\r\nhello"),
    ("unknown coding", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    ("chunked twice", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    ("chunked not last", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    ("coding in two fields, last unknown", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
    ("coding in quotes", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
    ("coding in HTTP/1.0", "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("folded line", "GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n"),
    ("folded by tab", "GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n\tb\r\n\r\n"),
    ("first line folded", "GET / HTTP/1.1\r\n Host: x\r\n\r\n"),
    ("bare CR in a value", "GET / HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n"),
    ("bare CR in the request line", "GET /\r HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("NUL in a value", "GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n"),
    ("NUL in a name", "GET / HTTP/1.1\r\nHost: x\r\nX\0: a\r\n\r\n"),
    ("space before the colon", "GET / HTTP/1.1\r\nHost: x\r\nX : a\r\n\r\n"),
    ("space in a name", "GET / HTTP/1.1\r\nHost: x\r\nX Y: a\r\n\r\n"),
    ("empty name", "GET / HTTP/1.1\r\nHost: x\r\n: a\r\n\r\n"),
    ("no colon", "GET / HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n"),
    ("separator in a name", "GET / HTTP/1.1\r\nHost: x\r\nX(y): a\r\n\r\n"),
    ("high byte in a name", "GET / HTTP/1.1\r\nHost: x\r\nX\u{e9}: a\r\n\r\n"),
    ("no Host", "GET / HTTP/1.1\r\nX: y\r\n\r\n"),
    ("two Hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
    ("Host with a space", "GET / HTTP/1.1\r\nHost: x y\r\n\r\n"),
    ("Host with a path", "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n"),
    ("Host with a user", "GET / HTTP/1.1\r\nHost: u@x\r\n\r\n"),
    ("no version", "GET /\r\n\r\n"),
    ("bad version", "GET / HTTP/1.x\r\nHost: x\r\n\r\n"),
    ("version 2 in version 1", "GET / HTTP/2.0\r\nHost: x\r\n\r\n"),
    ("three digits", "GET / HTTP/1.10\r\nHost: x\r\n\r\n"),
    ("lower case version", "GET / http/1.1\r\nHost: x\r\n\r\n"),
    ("other protocol", "GET / RTSP/1.0\r\nHost: x\r\n\r\n"),
    ("no method", " / HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("bad method", "GE(T / HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("no target", "GET  HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("space in the target", "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("fragment in the target", "GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("high byte in the target", "GET /\u{e9} HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("control byte in the target", "GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("TLS on a plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\u{1}\u{3}\u{3}\r\n\r\n"),
];

#[test]
fn ambiguous_requests_get_400_and_go_nowhere() {
    let server = Server::named("origin");
    let proxy = relay("", server.addr()).start();
    let mut passed = Vec::new();
    for (what, request) in REQUESTS {
        let mut client = proxy.connect("fe");
        client.send(request);
        let response = client.response();
        if response.status != 400 {
            passed.push(format!("{what}: {}", response.status));
            continue;
        }
        assert_eq!(client.rest(), b"", "{what}: bytes after the 400");
    }
    assert!(passed.is_empty(), "not refused:\n{}", passed.join("\n"));
    assert_eq!(server.connections(), 0, "something reached the server: {:?}", server.requests());
    assert_eq!(proxy.stat("fe", "FRONTEND", "ereq"), REQUESTS.len().to_string());
}

/// Bodies whose chunks are wrong: the request is refused or cut, and the server never sees an end of it.
const CHUNKS: &[(&str, &str)] = &[
    ("empty size", "\r\nhello\r\n0\r\n\r\n"),
    ("not hex", "z\r\nhello\r\n0\r\n\r\n"),
    ("signed", "+5\r\nhello\r\n0\r\n\r\n"),
    ("0x", "0x5\r\nhello\r\n0\r\n\r\n"),
    ("space before", " 5\r\nhello\r\n0\r\n\r\n"),
    ("too many digits", "000000000000000000000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("beyond 64 bits", "fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
    ("longer than said", "5\r\nhello!\r\n0\r\n\r\n"),
    ("no line end after the data", "5\r\nhello0\r\n\r\n"),
    ("bare CR after the size", "5\rhello\r\n0\r\n\r\n"),
    ("control byte in an extension", "5;a=\x01\r\nhello\r\n0\r\n\r\n"),
];

#[test]
fn bad_chunks_never_reach_the_server_as_a_whole_request() {
    let server = Server::named("origin");
    let proxy = relay("    timeout client 2s", server.addr()).start();
    for (what, body) in CHUNKS {
        let mut client = proxy.connect("fe");
        client.send(format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}"));
        let (bytes, _) = client.drain();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(" 200 "), "{what}: {text}");
    }
    assert!(server.requests().is_empty(), "{:?}", server.requests());
}

/// Answers of a server that mean two things or nothing. Every one becomes a 502.
const RESPONSES: &[(&str, &str)] = &[
    ("nothing", ""),
    ("nonsense", "hello\r\n\r\n"),
    (
        "length and chunked",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
    ("bad length", "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello"),
    ("unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    ("coding in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("folded line", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n"),
    ("bare CR", "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n"),
    ("NUL", "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n"),
    ("space before the colon", "HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n"),
    ("no colon", "HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 0\r\n\r\n"),
    ("bad version", "HTTP/1.x 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("two-digit status", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
    ("four-digit status", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
    ("status below 100", "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"),
    ("control byte in the reason", "HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n"),
    ("cut head", "HTTP/1.1 200 OK\r\nContent-Le"),
    ("101 nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
];

#[test]
fn ambiguous_responses_become_502() {
    let server = Server::http(|request| {
        let n: usize = request.uri()[1..].parse().unwrap();
        Reply::raw(RESPONSES[n].1).close()
    });
    let proxy = relay("    retries 0", server.addr()).start();
    let mut passed = Vec::new();
    for (n, (what, _)) in RESPONSES.iter().enumerate() {
        let response = proxy.get("fe", &format!("/{n}"));
        if response.status != 502 {
            passed.push(format!("{what}: {} {:?}", response.status, response.text()));
        }
    }
    assert!(passed.is_empty(), "not refused:\n{}", passed.join("\n"));
}

#[test]
fn a_head_larger_than_the_buffer_is_refused_on_both_sides() {
    let server = Server::http(|request| {
        if request.uri() == "/big" {
            Reply::status(200, &format!("X: {}\r\n", "y".repeat(20_000)), "")
        } else {
            Reply::ok("fine")
        }
    });
    let proxy = relay("", server.addr()).start();
    let fits = "z".repeat(14_000);
    let mut client = proxy.connect("fe");
    client.send(format!("GET / HTTP/1.1\r\nHost: x\r\nX: {fits}\r\n\r\n"));
    assert_eq!(client.response().status, 200);
    for size in [15_400, 17_000, 100_000] {
        let mut client = proxy.connect("fe");
        let _ = client.try_send(format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "z".repeat(size)));
        assert_eq!(client.response_head().status, 400, "{size} bytes");
    }
    assert_eq!(proxy.get("fe", "/big").status, 502);
}

#[test]
fn too_many_fields_are_refused() {
    let server = Server::named("origin");
    let proxy = relay("", server.addr()).start();
    for (n, status) in [(90, 200), (400, 400)] {
        let mut client = proxy.connect("fe");
        client.send(format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(n)));
        assert_eq!(client.response().status, status, "{n} fields");
    }
}

#[test]
fn loosened_on_request() {
    let server = Server::http(|request| match request.uri() {
        "/reply" => Reply::raw("HTTP/1.1 200 OK\r\nX(y): a\r\nContent-Length: 2\r\n\r\nok"),
        _ => Reply::ok("ok"),
    });
    let loose = "    option accept-unsafe-violations-in-http-request\n    option accept-unsafe-violations-in-http-response";
    let (strict, loose) = (relay("", server.addr()).start(), relay(loose, server.addr()).start());
    let asks = |proxy: &lighterman_harness::Proxy, text: &str| {
        let mut client = proxy.connect("fe");
        client.send(text);
        client.response().status
    };
    let name = "GET / HTTP/1.1\r\nHost: x\r\nX(y): a\r\n\r\n";
    assert_eq!((asks(&strict, name), asks(&loose, name)), (400, 200));
    let target = "GET /\u{e9} HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!((asks(&strict, target), asks(&loose, target)), (400, 200));
    let reply = "GET /reply HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!((asks(&strict, reply), asks(&loose, reply)), (502, 200));
    // What would split requests stays refused.
    let both = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!";
    assert_eq!(asks(&loose, both), 400);
}

#[test]
fn the_same_length_twice_is_one_length() {
    let server = Server::http(|request| Reply::ok(request.head.all("content-length").join("+")));
    let proxy = relay("", server.addr()).start();
    let mut client = proxy.connect("fe");
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(client.response().text(), "5");
}

#[test]
fn random_bytes_harm_nobody() {
    let server = Server::named("origin");
    let proxy = relay("    timeout client 1s", server.addr()).start();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..60 {
        let bytes: Vec<u8> = (0..200)
            .map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed as u8
            })
            .collect();
        let mut client = proxy.connect("fe");
        let _ = client.try_send(bytes);
        client.half_close();
        client.drain();
    }
    assert_eq!(proxy.get("fe", "/").status, 200);
    assert_eq!(server.connections(), 1);
}
