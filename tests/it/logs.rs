//! Log lines byte for byte, over UDP, UNIX sockets, stdout and stderr.

use std::time::Duration;

use lighterman_harness::logs::text;
use lighterman_harness::tls::{Cert, Client};
use lighterman_harness::{Logs, Peer, Program, Reply, Server};

use crate::program;

fn logging(logs: &Logs, lines: &str, server: &str) -> Program {
    program(&format!(
        "listen fe\n    log {} local0\n    bind \"fd@${{fe}}\"\n{lines}\n    server s1 {server}\n",
        logs.address()
    ))
    .listen("fe")
}

/// Replaces what changes from run to run: `#` for every digit of the date in brackets and of the given timers.
fn masked(line: &str) -> String {
    let (mut out, mut inside) = (String::new(), false);
    for c in line.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            _ => {}
        }
        out.push(if inside && c.is_ascii_digit() { '#' } else { c });
    }
    out
}

/// `a/b/c` timers as numbers.
fn timers(field: &str) -> Vec<i64> {
    field.split('/').map(|t| t.parse().unwrap_or_else(|_| panic!("timers: {field}"))).collect()
}

/// The line with the timers field taken out, and the timers.
fn split(line: &str, at: usize) -> (String, Vec<i64>) {
    let mut words: Vec<&str> = line.split(' ').collect();
    let field = timers(words.remove(at));
    (masked(&words.join(" ")), field)
}

#[test]
fn an_http_line() {
    let (server, logs) = (Server::named("hello"), Logs::udp());
    let proxy = logging(&logs, "    option httplog", &server.addr().to_string()).start();
    let mut client = proxy.connect("fe");
    client.send("GET /x?q=1 HTTP/1.1\r\nHost: x\r\n\r\n");
    let response = client.response();
    let size = response.head.raw.len() + response.body.len();
    let line = logs.next();
    let (rest, times) = split(text(&line), 4);
    let month = "[##/Nov/####:##:##:##.###]".len();
    let expected = format!(
        "127.0.0.1:{} [##/???/####:##:##:##.###] fe fe/s1 200 {size} - - ---- 1/1/0/0/0 0/0 \"GET /x?q=1 HTTP/1.1\"",
        client.port()
    );
    assert_eq!(unnamed(&rest), expected);
    assert!(rest.contains('[') && month == 26);
    assert_eq!(times.len(), 5);
    assert!(times.iter().all(|t| (0..20_000).contains(t)), "{times:?}");
}

/// The name of the month as `???`.
fn unnamed(line: &str) -> String {
    match line.find("[##/") {
        Some(at) => format!("{}???{}", &line[..at + 4], &line[at + 7..]),
        None => line.to_string(),
    }
}

#[test]
fn a_tcp_line() {
    let (server, logs) = (Server::echo(), Logs::udp());
    let proxy = logging(&logs, "    mode tcp\n    option tcplog", &server.addr().to_string()).start();
    let mut client = proxy.connect("fe");
    let port = client.port();
    client.send("12345");
    client.expect("12345");
    client.half_close();
    client.rest();
    let line = logs.next();
    let (rest, times) = split(text(&line), 4);
    assert_eq!(
        unnamed(&rest),
        format!("127.0.0.1:{port} [##/???/####:##:##:##.###] fe fe/s1 5 -- 1/1/0/0/0 0/0")
    );
    assert_eq!(times.len(), 3);
}

#[test]
fn a_line_without_a_format() {
    let (server, logs) = (Server::named("x"), Logs::udp());
    let proxy = logging(&logs, "", &server.addr().to_string()).start();
    let mut client = proxy.connect("fe");
    client.get("/");
    let expected = format!("Connect from 127.0.0.1:{} to {} (fe/HTTP)", client.port(), client.remote());
    assert_eq!(text(&logs.next()), expected);
}

#[test]
fn the_envelope() {
    let (server, logs) = (Server::named("x"), Logs::udp());
    let proxy = logging(&logs, "    option httplog", &server.addr().to_string()).start();
    proxy.get("fe", "/");
    let line = logs.next();
    // <PRI>Mon dd hh:mm:ss tag[pid]: text\n
    let (pri, rest) = line.split_once('>').unwrap();
    assert_eq!(pri, "<134");
    let (date, rest) = rest.split_at(16);
    assert!(date.as_bytes()[3] == b' ' && date.as_bytes()[6] == b' ' && date.ends_with(' '), "{date:?}");
    let tag = format!("lighterman[{}]: ", proxy.pid());
    assert!(rest.starts_with(&tag), "{line}");
    assert!(line.ends_with('\n') && line.matches('\n').count() == 1);
}

#[test]
fn other_envelopes_and_tags() {
    let server = Server::named("x");
    for (options, begins) in
        [("format raw", "127.0.0.1:"), ("format short", "<6>127.0.0.1:"), ("format rfc5424", "<134>1 ")]
    {
        let logs = Logs::udp();
        let proxy = program(&format!(
            "global\n    log-tag mytag\nlisten fe\n    log {} {options} local0\n    option httplog\n    bind \"fd@${{fe}}\"\n    server s1 {}\n",
            logs.address(),
            server.addr()
        ))
        .listen("fe")
        .start();
        proxy.get("fe", "/");
        let line = logs.next();
        assert!(line.starts_with(begins), "{options}: {line}");
        if options.ends_with("rfc5424") {
            assert!(line.contains(&format!(" mytag {} ", proxy.pid())), "{line}");
        }
    }
}

#[test]
fn a_line_is_cut_at_its_length() {
    let (server, logs) = (Server::named("x"), Logs::udp());
    let proxy = program(&format!(
        "listen fe\n    log {} len 200 local0\n    option httplog\n    bind \"fd@${{fe}}\"\n    server s1 {}\n",
        logs.address(),
        server.addr()
    ))
    .listen("fe")
    .start();
    proxy.get("fe", &format!("/{}", "y".repeat(1000)));
    let line = logs.next();
    assert!(line.len() <= 201 && line.len() >= 190, "{} bytes", line.len());
    assert!(line.ends_with('\n'));
}

#[test]
fn errors_that_no_server_caused() {
    let (server, logs) = (Server::named("x"), Logs::udp());
    let proxy =
        logging(&logs, "    option httplog\n    timeout http-request 200ms", &server.addr().to_string())
            .start();
    let mut client = proxy.connect("fe");
    client.send("GET / HTTP/1.1\r\n broken\r\n\r\n");
    client.response();
    let (line, times) = split(text(&logs.next()).to_string().as_str(), 4);
    assert!(line.ends_with(" fe fe/<NOSRV> 400 0 - - PR-- 1/1/0/0/0 0/0 \"<BADREQ>\""), "{line}");
    assert_eq!(times[..4], [-1, -1, -1, -1]);
    drop(client);
    let mut client = proxy.connect("fe");
    client.send("GET /");
    client.response();
    let (line, _) = split(text(&logs.next()).to_string().as_str(), 4);
    assert!(line.ends_with(" fe fe/<NOSRV> 408 0 - - cR-- 1/1/0/0/0 0/0 \"<BADREQ>\""), "{line}");
}

#[test]
fn how_sessions_end() {
    let logs = Logs::udp();
    let silent = Server::start(|mut peer, _| {
        peer.next_request();
        peer.drain();
    });
    let dying = Server::start(|mut peer, _| {
        peer.next_request();
    });
    let cut = Server::start(|mut peer, _| {
        peer.next_request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
    });
    for (server, status, ends) in [
        (silent.addr(), "504", "sH--"),
        (dying.addr(), "502", "SH--"),
        (cut.addr(), "200", "SD--"),
        (Server::nobody(), "503", "SC--"),
    ] {
        let lines = "    option httplog\n    timeout server 200ms\n    timeout connect 100ms\n    retries 0";
        let proxy = logging(&logs, lines, &server.to_string()).start();
        let mut client = proxy.connect("fe");
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        client.drain_some();
        drop(client);
        let line = logs.next();
        let words: Vec<&str> = text(&line).split(' ').collect();
        assert_eq!((words[5], words[9]), (status, ends), "{line}");
    }
}

/// Reads what comes until the answer or the end.
trait DrainSome {
    fn drain_some(&mut self);
}

impl DrainSome for Peer {
    fn drain_some(&mut self) {
        self.response_head();
        self.some(1000);
    }
}

#[test]
fn a_client_that_leaves_is_logged_as_such() {
    let logs = Logs::udp();
    let server = Server::start(|mut peer, _| {
        peer.next_request();
        peer.drain();
    });
    let proxy = logging(&logs, "    option httplog", &server.addr().to_string()).start();
    let mut client = proxy.connect("fe");
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    lighterman_harness::eventually("the server's connection", || server.connections() == 1);
    client.reset();
    let line = logs.next();
    assert!(line.contains(" CH-- "), "{line}");
}

#[test]
fn the_frontend_of_tls_has_a_tilde() {
    let (server, logs) = (Server::named("x"), Logs::udp());
    let program = program(&format!(
        "frontend web\n    log {} local0\n    option httplog\n    bind \"fd@${{fe}}\" ssl crt \"${{pem}}\"\n    default_backend app\nbackend app\n    server s1 {}\n",
        logs.address(),
        server.addr()
    ))
    .listen("fe");
    let pem = program.file("a.pem", Cert::new(&["a.test"]).pem());
    let proxy = program.env("pem", pem).start();
    Client::new().build().connect(proxy.addr("fe")).get("/");
    let line = logs.next();
    assert!(line.contains("] web~ app/s1 "), "{line}");
}

#[test]
fn quotes_and_control_bytes_are_escaped() {
    let (server, logs) = (Server::named("x"), Logs::udp());
    let proxy = logging(&logs, "    option httplog", &server.addr().to_string()).start();
    proxy.get("fe", "/a\"b");
    assert!(logs.next().ends_with("\"GET /a#22b HTTP/1.1\"\n"));
}

#[test]
fn dontlognull_leaves_silent_connections_out() {
    let (server, logs) = (Server::named("x"), Logs::udp());
    let proxy =
        logging(&logs, "    option httplog\n    option dontlognull", &server.addr().to_string()).start();
    let client = proxy.connect("fe");
    let port = client.port();
    drop(client);
    proxy.get("fe", "/");
    assert!(logs.next().contains("\"GET / HTTP/1.1\""));
    logs.none_with(&format!(":{port} "), Duration::from_millis(200));
}

#[test]
fn levels_choose_what_is_sent() {
    let (server, logs) = (Server::named("x"), Logs::udp());
    let proxy = program(&format!(
        "listen fe\n    log {} local7 notice\n    option httplog\n    bind \"fd@${{fe}}\"\n    server s1 {}\n",
        logs.address(),
        server.addr()
    ))
    .listen("fe")
    .start();
    proxy.get("fe", "/");
    logs.none_with("GET /", Duration::from_millis(300));
}

#[test]
fn log_global_and_a_unix_socket() {
    let (server, logs) = (Server::named("x"), Logs::unix());
    let proxy = program(&format!(
        "global\n    log {} local3\nlisten fe\n    log global\n    option httplog\n    bind \"fd@${{fe}}\"\n    server s1 {}\n",
        logs.address(),
        server.addr()
    ))
    .listen("fe")
    .start();
    proxy.get("fe", "/unix");
    let line = logs.next_with("/unix");
    assert!(line.starts_with("<158>"), "{line}");
}

#[test]
fn stdout_gets_lines_too() {
    let server = Server::named("x");
    let proxy = program(&format!(
        "listen fe\n    log stdout format raw local0\n    option httplog\n    bind \"fd@${{fe}}\"\n    server s1 {}\n",
        server.addr()
    ))
    .listen("fe")
    .start();
    proxy.get("fe", "/out");
    lighterman_harness::eventually("the line on stdout", || {
        proxy.stdout().contains("\"GET /out HTTP/1.1\"\n")
    });
}

#[test]
fn a_format_of_ones_own() {
    let (server, logs) = (Server::http(|_| Reply::status(200, "X-Kind: b\r\n", "x")), Logs::udp());
    let lines = "    log-format \"%ci %HM %HU %ST %[src] %[hdr(host)] %{+Q}[path] %b/%s\"";
    let lines = lines.replace("%[hdr(host)]", "%[capture.req.hdr(0)]");
    let lines = format!("    capture request header Host len 20\n{lines}").replace("%{+Q}[path]", "%{+Q}HP");
    let proxy = logging(&logs, &lines, &server.addr().to_string()).start();
    proxy.get("fe", "/p?q=1");
    assert_eq!(text(&logs.next()), "127.0.0.1 GET /p?q=1 200 127.0.0.1 test \"/p\" fe/s1");
}

#[test]
fn several_targets_get_each_line_and_a_dead_one_harms_nobody() {
    let (server, one, two) = (Server::named("x"), Logs::udp(), Logs::udp());
    let proxy = program(&format!(
        "listen fe\n    log {} local0\n    log {} local1\n    log /nowhere/log local2\n    option httplog\n    bind \"fd@${{fe}}\"\n    server s1 {}\n",
        one.address(),
        two.address(),
        server.addr()
    ))
    .listen("fe")
    .start();
    for _ in 0..3 {
        assert_eq!(proxy.get("fe", "/").status, 200);
        assert!(one.next().starts_with("<134>"));
        assert!(two.next().starts_with("<142>"));
    }
    lighterman_harness::eventually("the lost lines to be counted", || proxy.count("DroppedLogs") >= 3);
}

#[test]
fn lines_leave_in_the_order_of_the_events() {
    let (server, logs) = (Server::named("x"), Logs::udp());
    let proxy = logging(&logs, "    option httplog", &server.addr().to_string()).start();
    let mut client = proxy.connect("fe");
    for n in 0..50 {
        client.get(&format!("/{n}"));
    }
    for n in 0..50 {
        assert!(logs.next().contains(&format!("\"GET /{n} HTTP/1.1\"")));
    }
}
