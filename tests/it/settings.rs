//! What rules and options set that no answer shows at once: marks of packets, log lines, counters, names of fields.

use std::process::Command;
use std::time::Duration;

use lighterman_harness::{eventually, Logs, Peer, Reply, Server};

use crate::{program, relay};

/// What the system says of the sockets of this process that are connected to that port.
fn socket_details(port: u16) -> Option<String> {
    let mut command = Command::new("ss");
    command.args(["-Htnei", "--tos", "state", "connected", &format!("( dport = :{port} )")]);
    let mut found = found_or_none(&mut command)?;
    found.retain(|c| c != '\n');
    Some(found)
}

fn found_or_none(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn packets_are_marked_on_both_sides() {
    let server = Server::start(|mut peer, _| {
        peer.next_request();
        let _ = peer.try_send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        peer.rest();
    });
    let lines = "    http-request set-tos 0x20 if { path /tos }\n    http-request set-bc-tos 0x40 if { path /tos }\n    \
                 http-request set-mark 7 if { path /mark }\n    http-request set-bc-mark 9 if { path /mark }\n    \
                 http-response set-fc-tos 0x28 if { status 200 } { var(txn.late) -m found }\n    \
                 http-request set-var(txn.late) int(1) if { path /late }";
    let proxy = relay(lines, server.addr()).start();
    let may_mark = std::fs::read_to_string("/proc/self/status").is_ok_and(|status| {
        let caps = status.lines().find_map(|line| line.strip_prefix("CapEff:\t")).unwrap_or("0");
        u64::from_str_radix(caps, 16).is_ok_and(|caps| caps & 1 << 12 != 0)
    });
    for (uri, to_client, to_server) in
        [("/tos", "tos:0x20", "tos:0x40"), ("/mark", "fwmark:0x7", "fwmark:0x9"), ("/late", "tos:0x28", "")]
    {
        let mut client = proxy.connect("fe");
        assert_eq!(client.get(uri).text(), "ok");
        if uri == "/mark" && !may_mark {
            continue;
        }
        // the program's end of each connection
        let Some(seen) = socket_details(client.port()) else { return };
        assert!(seen.contains(to_client), "{uri}: {seen}");
        let Some(seen) = socket_details(server.addr().port()) else { return };
        assert!(seen.contains(to_server), "{uri}: {seen}");
    }
}

#[test]
fn log_lines_are_written_wherever_rules_are() {
    let logs = Logs::udp();
    let server = Server::named("ok");
    let text = |mode: &str, lines: &str| {
        format!(
            "listen fe\n    mode {mode}\n    bind \"fd@${{fe}}\"\n    log {} local0\n    log-format \"line %ST %ci\"\n\
             {lines}\n    server s1 {}\n",
            logs.address(),
            server.addr()
        )
    };
    for (mode, lines, count) in [
        ("http", "    tcp-request connection do-log", 2),
        ("http", "    tcp-request session do-log\n    tcp-request session do-log", 3),
        ("http", "    tcp-request content do-log", 2),
        ("http", "    http-request do-log", 2),
        ("http", "    http-response do-log", 2),
        ("http", "    http-after-response do-log", 2),
        ("tcp", "    tcp-request connection do-log\n    tcp-request content do-log\n    tcp-response content do-log", 4),
        ("http", "    http-after-response set-log-level silent", 0),
        ("http", "    http-request do-log if { path /other }", 1),
    ] {
        let proxy = program(&text(mode, lines)).listen("fe").start();
        let mut client = proxy.connect("fe");
        client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        assert_eq!(client.response().text(), "ok");
        drop(client);
        for _ in 0..count {
            assert!(logs.next_with("line ").contains("127.0.0.1"), "{lines}");
        }
        drop(proxy);
        logs.none_with("line ", Duration::from_millis(50));
    }
}

/// A request with a field of this value, and how it was answered.
fn with_field(proxy: &lighterman_harness::Proxy, uri: &str, value: &str) -> u16 {
    let mut client = proxy.connect("fe");
    client.send(format!("GET {uri} HTTP/1.1\r\nHost: x\r\nX-Value: {value}\r\nConnection: close\r\n\r\n"));
    client.response().status
}

#[test]
fn what_cannot_be_rewritten_is_counted() {
    let server = Server::http(|request| {
        Reply::status(200, &format!("X-Value: {}\r\n", request.field("x-value").unwrap_or_default()), "ok")
    });
    // (rules, path, value, status, wrew of frontend, backend, server)
    let large = "y".repeat(1200);
    for (rules, value, status, wrew) in [
        // the head grows beyond a buffer
        ("http-request set-header X-More %[req.hdr(x-value)]", large.as_str(), 500, ["1", "1"]),
        ("http-response set-header X-More %[res.hdr(x-value)]", &large, 502, ["1", "1"]),
        ("http-request set-uri /%[req.hdr(x-value)]", &large, 500, ["1", "1"]),
        ("http-request replace-header X-Value ^(.*)$ \\1\\1", &large, 500, ["1", "1"]),
        // line breaks and NUL
        ("http-request set-header X-More %[req.hdr(x-value),url_dec]", "a%0d%0aB:c", 500, ["1", "1"]),
        ("http-response add-header X-More %[res.hdr(x-value),url_dec]", "a%00", 502, ["1", "1"]),
        ("http-request set-path /%[req.hdr(x-value),url_dec]", "a%0ab", 500, ["1", "1"]),
        ("http-request set-method %[req.hdr(x-value),url_dec]", "GE%20T", 500, ["1", "1"]),
        ("http-after-response set-header X-More %[res.hdr(x-value),url_dec]", "a%0a", 502, ["1", "1"]),
        // what fits
        ("http-request set-header X-More %[req.hdr(x-value),url_dec]", "a%20b", 200, ["0", "0"]),
        // the message goes on without
        (
            "http-request strict-mode off\n    http-request set-header X-More %[req.hdr(x-value)]",
            &large,
            200,
            ["1", "1"],
        ),
        (
            "http-response strict-mode off\n    http-response set-header X-More %[res.hdr(x-value),url_dec]",
            "a%0a",
            200,
            ["1", "1"],
        ),
    ] {
        let text = format!(
            "global\n    tune.bufsize 2048\n    tune.maxrewrite 512\nfrontend fe\n    bind \"fd@${{fe}}\"\n    \
             default_backend be\nbackend be\n    {rules}\n    server s1 {}\n",
            server.addr()
        );
        let proxy = program(&text).listen("fe").start();
        assert_eq!(with_field(&proxy, "/", value), status, "{rules}");
        let found = [("fe", "FRONTEND"), ("be", "BACKEND")].map(|(px, sv)| proxy.stat(px, sv, "wrew"));
        assert_eq!(found, wrew, "{rules}");
        // nothing is left behind that the next request would suffer from
        assert_eq!(with_field(&proxy, "/", "fine"), 200, "{rules}");
    }
}

#[test]
fn captures_are_cut_and_never_grow() {
    let logs = Logs::udp();
    let server = Server::http(|_| Reply::status(200, &format!("X-Long: {}\r\n", "r".repeat(3000)), "ok"));
    let lines = format!(
        "    log {} local0\n    log-format \"%hr %hs [%[capture.req.hdr(1)]]\"\n    capture request header x-long len 8\n    \
         declare capture request len 4\n    capture response header x-long len 5\n    \
         http-request capture req.hdr(x-long) id 1\n    http-request capture req.hdr(x-none) len 6",
        logs.address()
    );
    let proxy = relay(&lines, server.addr()).start();
    let mut client = proxy.connect("fe");
    client.send(format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "q".repeat(3000)));
    assert_eq!(client.response().status, 200);
    let line = logs.next();
    assert!(line.trim_end().ends_with("{qqqqqqqq|qqqq|} {rrrrr} [qqqq]"), "{line}");
}

#[test]
fn odd_names_of_fields() {
    for (option, status, passes) in [("preserve", 200, true), ("delete", 200, false), ("reject", 403, false)]
    {
        for (at, other) in [("fe", "be"), ("be", "fe")] {
            let server = Server::named("ok");
            let line = |px: &str| {
                if px == at {
                    format!("    option http-restrict-req-hdr-names {option}\n")
                } else {
                    String::new()
                }
            };
            let text = format!(
                "frontend fe\n    bind \"fd@${{fe}}\"\n    default_backend be\n{}backend be\n{}    server s1 {}\n",
                line("fe"),
                line("be"),
                server.addr()
            );
            let proxy = program(&text).listen("fe").start();
            let mut client = proxy.connect("fe");
            client.send("GET / HTTP/1.1\r\nHost: x\r\nX-Good: 1\r\nX_Odd: 2\r\nx.odd: 3\r\n\r\n");
            assert_eq!(client.response().status, status, "{option} {at} {other}");
            if status == 200 {
                let request = server.last();
                let found = ["x-good", "x_odd", "x.odd"].map(|name| request.field(name).is_some());
                assert_eq!(found, [true, passes, passes], "{option} {at}");
            } else {
                assert_eq!(proxy.stat(at, if at == "fe" { "FRONTEND" } else { "BACKEND" }, "dreq"), "1");
            }
        }
    }
}

#[test]
fn servers_are_told_their_name() {
    let (a, b) = (Server::http(|_| Reply::status(503, "", "busy")), Server::named("b"));
    let lines = format!(
        "    http-send-name-header X-Target\n    retry-on 503\n    option redispatch\n    server first {}\n    server second {}",
        a.addr(),
        b.addr()
    );
    let proxy = program(&format!("listen fe\n    bind \"fd@${{fe}}\"\n{lines}\n")).listen("fe").start();
    let mut client = proxy.connect("fe");
    client.send("GET / HTTP/1.1\r\nHost: x\r\nX-Target: forged\r\n\r\n");
    assert_eq!(client.response().text(), "b");
    assert_eq!(
        (a.last().head.all("x-target"), b.last().head.all("x-target")),
        (vec!["first"], vec!["second"])
    );
}

#[test]
fn statuses_that_count_as_errors_and_failures() {
    let server = Server::http(|request| Reply::status(request.uri()[1..].parse().unwrap(), "", "x"));
    for (codes, asked, errors, failures) in [
        ("", "404 429 501 500 505 503", "2", "2"),
        ("    http-err-codes 500-599\n    http-fail-codes 404\n", "404 429 501 503", "2", "1"),
        ("    http-err-codes -404,429 +302\n    http-fail-codes +501\n", "404 429 302 401 501 500", "2", "2"),
    ] {
        let text = format!(
            "global\n{codes}frontend fe\n    bind \"fd@${{fe}}\"\n    \
             stick-table type ip size 10 store http_err_cnt,http_fail_cnt\n    http-request track-sc0 src\n    \
             default_backend be\nbackend be\n    server s1 {}\n",
            server.addr()
        );
        let proxy = program(&text).listen("fe").start();
        for status in asked.split(' ') {
            assert_eq!(proxy.get("fe", &format!("/{status}")).status.to_string(), status);
        }
        let wanted = format!("http_err_cnt={errors} http_fail_cnt={failures}");
        eventually(&wanted, || proxy.command("show table fe").contains(&wanted));
    }
}

#[test]
fn request_lines_in_logs_have_a_length() {
    let logs = Logs::udp();
    let server = Server::named("ok");
    let text = format!(
        "global\n    tune.http.logurilen 20\nlisten fe\n    bind \"fd@${{fe}}\"\n    log {} local0\n    \
         log-format \"<%r>\"\n    server s1 {}\n",
        logs.address(),
        server.addr()
    );
    let proxy = program(&text).listen("fe").start();
    assert_eq!(proxy.get("fe", "/a-very-long-path").status, 200);
    assert!(logs.next().contains("<GET /a-very-long-pa>"));
}

#[test]
fn every_timeout_that_rules_set() {
    let silent = Server::start(|mut peer: Peer, _| {
        peer.rest();
    });
    let text = format!(
        "defaults\n    mode http\n    timeout client 30s\n    timeout server 30s\n    timeout connect 30s\n    \
         timeout queue 30s\n    timeout tarpit 30s\n    timeout tunnel 30s\n\
         frontend fe\n    bind \"fd@${{fe}}\"\n    \
         http-request set-timeout tarpit 40ms\n    http-request tarpit if {{ path /tarpit }}\n    \
         http-request set-timeout client 60ms if {{ path /client }}\n    \
         default_backend be\n\
         backend be\n    http-request set-timeout server 50ms if {{ path /server }}\n    \
         http-request set-timeout queue 50ms\n    server s1 {} maxconn 1\n",
        silent.addr()
    );
    let proxy = program(&text).listen("fe").start();
    assert_eq!(proxy.get("fe", "/tarpit").status, 500);
    assert_eq!(proxy.get("fe", "/server").status, 504);
    let mut first = proxy.connect("fe");
    first.send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    eventually("the place to be taken", || proxy.stat("be", "s1", "scur") == "1");
    assert_eq!(proxy.get("fe", "/queued").status, 503);
    first.reset();
    eventually("the place to be free", || proxy.stat("be", "s1", "scur") == "0");
    let mut slow = proxy.connect("fe");
    slow.send("POST /client HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(slow.response().status, 408);
}
