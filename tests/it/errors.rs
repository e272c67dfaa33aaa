//! `show errors`: the last invalid messages, as an operator sees them.

use lighterman_harness::{Proxy, Reply, Server};

use crate::program;

/// Sends bytes on a new connection, and gives the status of the answer.
fn send(proxy: &Proxy, bytes: &str) -> u16 {
    let mut client = proxy.connect("fe");
    client.send(bytes);
    let status = client.response_head().status;
    client.rest();
    status
}

/// A frontend with a backend whose server answers each path with bytes of its own.
fn scene(workers: u32) -> (Proxy, Server) {
    let server = Server::http(|request| match request.uri() {
        "/bad" => Reply::raw("HTTP/1.1 200 OK\r\nbad header: x\r\n\r\n").close(),
        "/chunk" => {
            Reply::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz!\r\n").close()
        }
        _ => Reply::ok("fine"),
    });
    let program = program(&format!(
        "frontend fe\n    bind \"fd@${{fe}}\"\n    default_backend be\nbackend be\n    server s1 {}\n",
        server.addr()
    ))
    .listen("fe");
    let program = if workers > 1 { program.workers(workers) } else { program };
    (program.start(), server)
}

fn total(text: &str) -> &str {
    text.lines().next().and_then(|line| line.rsplit(' ').next()).unwrap_or_default()
}

#[test]
fn the_last_of_each_side_with_its_bytes() {
    let (proxy, _server) = scene(1);
    assert_eq!(total(&proxy.command("show errors")), "0");
    let long = "a".repeat(120);
    assert_eq!(
        send(&proxy, &format!("GET / HTTP/1.1\r\nHost: x\r\nbad header!: y\r\nLong: {long}\r\n\r\nmore")),
        400
    );
    let text = proxy.command("show errors");
    assert_eq!(total(&text), "1");
    for part in [
        "frontend fe (#1): invalid request\n  backend <NONE> (#-1), server <NONE> (#-1), event #0, src 127.0.0.1:",
        "len 175, wraps at 16384, error at position 28,\n",
        "\n  00000  GET / HTTP/1.1\\r\\n\n  00016  Host: x\\r\\n\n  00025  bad header!: y\\r\\n\n  00041  Long: aaaa",
        "\n  00111+ aaaa",
        "\n  00171  more\n",
    ] {
        assert!(text.contains(part), "{part:?} in:\n{text}");
    }
    assert_eq!(send(&proxy, "GET /bad HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), 502);
    let answer = proxy.command("show errors -1 response");
    for part in [
        "backend be (#2): invalid response\n  frontend fe (#1), server s1 (#1), event #1, src 127.0.0.1:",
        "error at position 20,\n",
        "  00017  bad header: x\\r\\n\n",
    ] {
        assert!(answer.contains(part), "{part:?} in:\n{answer}");
    }
    assert!(!answer.contains("invalid request"));
    // filters by proxy and direction
    for (of, request, response) in [
        ("", true, true),
        (" fe", true, false),
        (" be", false, true),
        (" 2", false, true),
        (" fe response", false, false),
        (" fe request", true, false),
    ] {
        let text = proxy.command(&format!("show errors{of}"));
        let found = (text.contains("invalid request"), text.contains("invalid response"));
        assert_eq!((total(&text), found), ("2", (request, response)), "{of}");
    }
    assert_eq!(proxy.command("show errors nowhere"), "No such proxy.\n\n");
}

#[test]
fn what_no_single_byte_is_to_blame_for() {
    let (proxy, _server) = scene(1);
    for (bytes, status, parts) in [
        // a contradiction of fields, a chunk, a head without end, an answer that breaks in its body
        (
            "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n".to_string(),
            400,
            ["len 65,", "Content-Length: 6\\r\\n"],
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_string(),
            400,
            ["len 4, wraps at 16384, error at position 0", "zz\\r\\n"],
        ),
        (
            format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(20_000)),
            400,
            ["len 1", "GET / HTTP/1.1\\r\\n"],
        ),
        ("GET /chunk HTTP/1.1\r\nHost: x\r\n\r\n".to_string(), 200, ["invalid response", "xyz!\\r\\n"]),
    ] {
        assert_eq!(send(&proxy, &bytes), status, "{bytes:.60}");
        let text = proxy.command("show errors");
        for part in parts {
            assert!(text.contains(part), "{part:?} in:\n{text}");
        }
    }
    assert_eq!(total(&proxy.command("show errors")), "4");
}

#[test]
fn the_newest_of_all_workers_is_shown_and_all_are_counted() {
    let (proxy, _server) = scene(3);
    for number in 0..12 {
        let request = format!("GET / HTTP/1.1\r\nHost: x\r\nbad{number:02} header: y\r\n\r\n");
        assert_eq!(send(&proxy, &request), 400);
    }
    let text = proxy.command("show errors");
    assert_eq!((total(&text), text.matches("invalid request").count()), ("12", 1), "{text}");
    assert!(text.contains("bad11 header") && text.contains("event #11,"), "{text}");
}
