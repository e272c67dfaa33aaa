//! Early data towards servers: which requests go with the first flight, and what becomes of those that are not taken.

use std::process::{Command, Stdio};

use lighterman_harness::tls::Cert;
use lighterman_harness::{Logs, Program, Proxy};

use crate::program;

/// A TLS server that tells how a request came: before the end of the handshake, as early data, with which field.
fn origin(rules: &str) -> Proxy {
    let program = program(&format!(
        "frontend fe\n    bind \"fd@${{fe}}\" ssl crt \"${{pem}}\" allow-0rtt\n{rules}\n    http-request return status 200 content-type text/plain lf-string \"%[method] %[ssl_fc_is_resumed] %[ssl_fc_early_rcvd] %[req.hdr(early-data)].\"\n"
    ))
    .listen("fe");
    let pem = program.file("a.pem", Cert::new(&["s.test"]).pem());
    program.env("pem", pem).start()
}

/// A proxy whose server is this origin; each request has a connection of its own.
fn front(origin: &Proxy, lines: &str, options: &str, logs: &Logs) -> Proxy {
    let program = program(&format!(
        "listen fe\n    log {} local0\n    log-format \"%HM %ST %ts %rc\"\n    bind \"fd@${{fe}}\"\n    bind \"fd@${{tls}}\" ssl crt \"${{pem}}\" allow-0rtt\n{lines}\n    \
         server s1 {} ssl verify none pool-max-conn 0 {options}\n",
        logs.address(),
        origin.addr("fe")
    ));
    let pem = program.file("a.pem", Cert::new(&["a.test"]).pem());
    Program::start(program.env("pem", pem).listen("fe").listen("tls"))
}

#[track_caller]
fn ask(proxy: &Proxy, request: &str) -> (u16, String) {
    let mut client = proxy.connect("fe");
    client.send(request);
    let answer = client.response();
    (answer.status, answer.text())
}

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody";

#[test]
fn safe_requests_go_with_the_first_flight() {
    let (origin, logs) = (origin(""), Logs::udp());
    let proxy = front(&origin, "    retry-on 0rtt-rejected", "allow-0rtt", &logs);
    assert_eq!(ask(&proxy, GET), (200, "GET 0 0 .".into()));
    for _ in 0..3 {
        // each ticket is used once, and each connection brings another
        assert_eq!(ask(&proxy, GET), (200, "GET 1 1 .".into()));
    }
    assert_eq!(ask(&proxy, POST), (200, "POST 1 0 .".into()));
    assert_eq!(ask(&proxy, &GET.replace("GET", "PUT")), (200, "PUT 1 0 .".into()));
    assert_eq!(ask(&proxy, GET), (200, "GET 1 1 .".into()));
    // more than the server takes early: the rest follows the handshake
    let large = GET.replace("Host: x", &format!("Host: x\r\nX-Large: {}", "x".repeat(15_000)));
    for _ in 0..3 {
        assert_eq!(ask(&proxy, &large), (200, "GET 1 1 .".into()));
    }
    for (lines, options) in [
        ("", "allow-0rtt"),
        ("    retry-on 0rtt-rejected", ""),
        ("    retry-on 0rtt-rejected", "allow-0rtt no-allow-0rtt"),
        ("    retry-on 0rtt-rejected\n    http-request disable-l7-retry", "allow-0rtt"),
    ] {
        let proxy = front(&origin, lines, options, &logs);
        ask(&proxy, GET);
        assert_eq!(ask(&proxy, GET), (200, "GET 1 0 .".into()), "{lines} {options}");
    }
}

#[test]
fn what_was_refused_is_sent_again_after_the_handshake() {
    let (first, second, logs) = (origin(""), origin(""), Logs::udp());
    let proxy = front(&first, "    retry-on 0rtt-rejected", "allow-0rtt", &logs);
    ask(&proxy, GET);
    assert_eq!(ask(&proxy, GET), (200, "GET 1 1 .".into()));
    // the other one has keys of its own: it knows nothing of the session
    let port = second.addr("fe").port();
    proxy.command(&format!("set server fe/s1 addr 127.0.0.1 port {port}"));
    (0..2).for_each(|_| drop(logs.next()));
    assert_eq!(ask(&proxy, GET), (200, "GET 0 0 .".into()));
    assert_eq!(logs.next_with("GET").trim_end().rsplit(' ').next(), Some("1"), "one retry");
    assert_eq!(ask(&proxy, GET), (200, "GET 1 1 .".into()));
}

#[test]
fn too_early_for_the_server_is_not_told_to_clients_that_were_not_early() {
    let (origin, logs) = (origin("    http-request return status 425 if { ssl_fc_has_early }"), Logs::udp());
    let proxy = front(&origin, "    retry-on 0rtt-rejected", "allow-0rtt", &logs);
    for _ in 0..3 {
        let (status, text) = ask(&proxy, GET);
        assert!(status == 200 && text.ends_with(" 0 ."), "{status} {text}");
    }
}

/// What a client sees that sends this as early data with a session it was given before.
fn early(proxy: &Proxy, request: &str, between: impl FnOnce()) -> Option<String> {
    let run = |args: &[&str], input: &str| {
        let file = proxy.dir().file("input", input);
        let input = std::fs::File::open(file).ok()?;
        let addr = proxy.addr("tls").to_string();
        let child = Command::new("openssl")
            .args(["s_client", "-connect", &addr, "-tls1_3", "-ign_eof"])
            .args(args)
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let output = child.ok()?.wait_with_output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let session = proxy.dir().at("session");
    run(&["-sess_out", &session], GET)?;
    between();
    let file = proxy.dir().file("early", request);
    run(&["-sess_in", &session, "-early_data", &file], "")
}

#[test]
fn early_requests_of_clients_go_on_as_such() {
    let (first, second, logs) = (origin(""), origin(""), Logs::udp());
    for (lines, refused) in [("", " 425 "), ("    retry-on 0rtt-rejected", "POST 0 0 1.")] {
        let proxy = front(&first, lines, "allow-0rtt", &logs);
        ask(&proxy, GET);
        let said = early(&proxy, POST, || ()).expect("openssl");
        assert!(said.contains("Early data was accepted") && said.contains("POST 1 1 1."), "{said}");
        let port = second.addr("fe").port();
        let said = early(&proxy, POST, || {
            proxy.command(&format!("set server fe/s1 addr 127.0.0.1 port {port}"));
        });
        let said = said.unwrap();
        assert!(said.contains("Early data was accepted") && said.contains(refused), "{refused}: {said}");
    }
}

#[test]
fn a_server_that_finds_it_too_early_is_heard_by_clients_that_were_early() {
    let (origin, logs) = (origin("    http-request return status 425 if { ssl_fc_has_early }"), Logs::udp());
    let proxy = front(&origin, "    retry-on 0rtt-rejected", "allow-0rtt", &logs);
    ask(&proxy, GET);
    let said = early(&proxy, POST, || ()).expect("openssl");
    assert!(said.contains("HTTP/1.1 425 "), "{said}");
}
