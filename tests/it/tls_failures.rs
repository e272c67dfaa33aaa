//! Handshakes that fail: one line that a person can act on, and counts by reason.

use std::time::Duration;

use lighterman_harness::logs::text;
use lighterman_harness::tls::{Cert, Client};
use lighterman_harness::{eventually, Logs, Program, Proxy, Server};
use openssl::ssl::SslVersion;

use crate::program;

/// A TLS frontend that logs, for `a.test`.
fn frontend(logs: &Logs, options: &str, server: &Server) -> Program {
    let program = program(&format!(
        "listen fe\n    log {} local0\n    timeout client-hs 300ms\n    bind \"fd@${{fe}}\" ssl crt \"${{pem}}\" {options}\n    server s1 {}\n",
        logs.address(),
        server.addr()
    ))
    .listen("fe");
    let pem = program.file("a.pem", Cert::new(&["a.test"]).pem());
    program.env("pem", pem)
}

/// The reason in the next line of the log.
#[track_caller]
fn reason(logs: &Logs) -> String {
    let line = logs.next();
    let words = text(&line).split(' ').find_map(|word| word.strip_prefix("reason="));
    words.unwrap_or_else(|| panic!("no reason in {line:?}")).to_string()
}

/// A ClientHello of an ordinary TLS 1.3 client, taken from the wire.
fn hello() -> Vec<u8> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let client = std::thread::spawn(move || drop(Client::new().sni("a.test").build().try_connect(addr)));
    let mut peer = lighterman_harness::Peer::from(listener.accept().unwrap().0);
    let head = peer.take(5);
    let body = peer.take(usize::from(head[3]) << 8 | usize::from(head[4]));
    drop(peer);
    client.join().unwrap();
    [head, body].concat()
}

#[test]
fn bytes_that_are_no_handshake_are_told_apart() {
    let (server, logs) = (Server::named("ok"), Logs::udp());
    let proxy = frontend(&logs, "", &server).start();
    let hello = hello();
    let forged = [hello.as_slice(), b"\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x20", &[7; 32]].concat();
    let rows: &[(&[u8], &str)] = &[
        (b"", "silent"),
        (b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "http"),
        (b"POST / HTTP/1.1\r\n\r\n", "http"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not_tls"),
        (b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b", "not_tls"),
        (&hello[..40], "closed"),
        (b"\x16\x03\x01\xff\xff\x01\x00\x00\x00", "too_long"),
        (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", "malformed"),
        (b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", "malformed"),
        (b"\x17\x03\x03\x00\x02hi", "malformed"),
        (b"\x15\x03\x01\x00\x02\x02\x28", "alert_other"),
        (b"\x15\x03\x01\x00\x02\x02\x30", "alert_unknown_ca"),
        (b"\x15\x03\x01\x00\x02\x02\x2a", "alert_bad_cert"),
        (&forged, "record"),
    ];
    for (bytes, expected) in rows {
        let mut client = proxy.connect("fe");
        client.send(bytes);
        client.half_close();
        client.drain();
        assert_eq!(reason(&logs), *expected, "{bytes:?}");
    }
    let mut slow = proxy.connect("fe");
    slow.send(&hello[..40]);
    assert_eq!(reason(&logs), "timeout");
    let mut rude = proxy.connect("fe");
    rude.send(&hello[..40]);
    rude.reset();
    assert_eq!(reason(&logs), "reset");
    drop(slow);
    let table = proxy.command("show ssl failures");
    for word in ["silent 1 ", "http 2 ", "not_tls 2 ", "malformed 3 ", "timeout 1 ", "reset 1 "] {
        assert!(table.lines().any(|line| line.starts_with(word)), "{word} in\n{table}");
    }
    assert!(table.contains(" 127.0.0.1 plain HTTP came to a TLS port\n"), "{table}");
    assert_eq!(proxy.count("SslFailures"), 16);
}

#[test]
fn clients_without_anything_in_common_are_told_apart() {
    let (server, logs) = (Server::named("ok"), Logs::udp());
    let proxy = frontend(&logs, "strict-sni alpn http/1.1", &server).start();
    let named = || Client::new().sni("a.test");
    let rows = [
        (named().version(SslVersion::TLS1_1), "version"),
        (named().version(SslVersion::TLS1_2).ciphers("AES128-SHA"), "cipher"),
        (named().version(SslVersion::TLS1_3).groups("P-521"), "group"),
        (Client::new().sni("b.test"), "name"),
        (named().trust(&Cert::authority("Nobody")), "alert_unknown_ca"),
    ];
    for (client, expected) in rows {
        assert!(client.build().try_connect(proxy.addr("fe")).is_err(), "{expected}");
        assert_eq!(reason(&logs), expected);
    }
    assert_eq!(named().build().connect(proxy.addr("fe")).get("/").text(), "ok");
}

#[test]
fn the_line_says_what_was_asked_and_shown() {
    let (server, logs) = (Server::named("ok"), Logs::udp());
    let proxy = frontend(&logs, "", &server).start();
    let client = Client::new().sni("A.test").groups("P-256:X25519").alpn(&["h2", "http/1.1"]);
    let client = client.trust(&Cert::authority("Nobody")).build();
    assert!(client.try_connect(proxy.addr("fe")).is_err());
    let line = logs.next();
    let line = text(&line);
    assert!(line.contains("] fe/1: SSL handshake failure: peer says: unknown authority reason=alert_unknown_ca sni=A.test ver=TLSv1.3 groups=P-256,X25519 alpn=h2,http/1.1 cert=a.pem peer_alert=48 rx="), "{line}");
    let number = |key: &str| -> u64 {
        let word = line.split(' ').find_map(|word| word.strip_prefix(key));
        word.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{key} in {line}"))
    };
    assert!((150..2000).contains(&number("rx=")) && number("ms=") < 20_000, "{line}");
}

#[test]
fn counts_are_those_of_all_workers_and_outlive_them() {
    let (server, logs) = (Server::named("ok"), Logs::udp());
    let mut proxy = frontend(&logs, "", &server).workers(2).start();
    fail(&proxy, 20);
    eventually("all are counted", || proxy.count("SslFailures") == 20);
    proxy.master("reload");
    fail(&proxy, 5);
    eventually("all are counted", || proxy.count("SslFailures") == 25);
    assert!(!proxy.ended());
}

/// So many clients that speak plain HTTP.
fn fail(proxy: &Proxy, times: usize) {
    for _ in 0..times {
        let mut client = proxy.connect("fe");
        client.send("GET / HTTP/1.1\r\n\r\n");
        client.drain();
    }
}

#[test]
fn a_client_that_says_nothing_is_not_told_with_dontlognull() {
    let (server, logs) = (Server::named("ok"), Logs::udp());
    let proxy = frontend(&logs, "\n    option dontlognull", &server).start();
    drop(proxy.connect("fe"));
    eventually("it is counted", || proxy.command("show ssl failures").contains("silent 1 "));
    logs.none_with("fe", Duration::from_millis(100));
}
