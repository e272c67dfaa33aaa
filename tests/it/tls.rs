//! TLS on both sides: which certificate, which version, which peer is trusted, how it ends.

use lighterman_harness::logs::{text, Logs};
use lighterman_harness::tls::{Cert, Client};
use lighterman_harness::{eventually, End, Peer, Program, Proxy, Reply, Server};
use openssl::ssl::SslVersion;

use crate::program;

/// A TLS frontend with these bind options in front of an origin; `${certs}` is the directory of the files.
fn offload(options: &str, files: &[(&str, Vec<u8>)], server: &Server) -> Program {
    let program = program(&format!(
        "listen fe\n    bind \"fd@${{fe}}\" ssl {options}\n    server s1 {}\n",
        server.addr()
    ))
    .listen("fe");
    let mut certs = String::new();
    for (name, bytes) in files {
        let path = program.file(&format!("certs/{name}"), bytes);
        certs = path.strip_suffix(&format!("/{name}")).unwrap().to_string();
    }
    program.env("certs", certs)
}

fn asks(proxy: &Proxy, sni: &str) -> String {
    Cert::name_of(&Client::new().sni(sni).build().connect(proxy.addr("fe")))
}

#[test]
fn https_in_http_out() {
    let server = Server::http(|request| Reply::ok(&request.body));
    let cert = Cert::new(&["a.test"]);
    let proxy = offload("crt \"${certs}/a.pem\"", &[("a.pem", cert.pem())], &server).start();
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let mut client = Client::new().version(version).sni("a.test").build().connect(proxy.addr("fe"));
        assert_eq!(client.tls().version2(), Some(version));
        for size in [1, 16_384, 100_000] {
            let body = vec![b'x'; size];
            client.send(format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"));
            client.send(&body);
            assert_eq!(client.response().body, body);
        }
    }
}

#[test]
fn a_certificate_by_name_exact_then_wildcard_then_the_first() {
    let server = Server::named("ok");
    let files = [
        ("1.pem", Cert::new(&["first.test"]).pem()),
        ("2.pem", Cert::new(&["www.b.test", "b.test"]).pem()),
        ("3.pem", Cert::new(&["*.b.test"]).pem()),
    ];
    let crts = "crt \"${certs}/1.pem\" crt \"${certs}/2.pem\" crt \"${certs}/3.pem\"";
    let proxy = offload(crts, &files, &server).start();
    for (asked, served) in [
        ("first.test", "first.test"),
        ("www.b.test", "www.b.test"),
        ("WWW.B.TEST", "www.b.test"),
        ("b.test", "www.b.test"),
        ("other.b.test", "*.b.test"),
        ("two.labels.b.test", "first.test"),
        ("unknown.test", "first.test"),
    ] {
        assert_eq!(asks(&proxy, asked), served, "asked for {asked}");
    }
    assert_eq!(
        Cert::name_of(&Client::new().build().connect(proxy.addr("fe"))),
        "first.test",
        "no name asked"
    );
}

#[test]
fn a_directory_of_certificates() {
    let server = Server::named("ok");
    let (b, c) = (Cert::new(&["b.test"]), Cert::rsa(&["c.test"]));
    let files = [
        ("a.pem", Cert::new(&["a.test"]).pem()),
        ("b.pem", [b.cert_pem(), b.key_pem()].concat()),
        ("c.crt", c.cert_pem()),
        ("c.crt.key", c.key_pem()),
    ];
    let proxy = offload("crt \"${certs}\"", &files, &server).start();
    for name in ["a.test", "b.test", "c.test"] {
        assert_eq!(asks(&proxy, name), name);
    }
}

#[test]
fn a_key_beside_its_certificate() {
    let server = Server::named("ok");
    let cert = Cert::new(&["a.test"]);
    let files = [("a.crt", cert.cert_pem()), ("a.crt.key", cert.key_pem())];
    let proxy = offload("crt \"${certs}/a.crt\"", &files, &server).start();
    assert_eq!(asks(&proxy, "a.test"), "a.test");
}

#[test]
fn a_chain_is_sent_whole() {
    let server = Server::named("ok");
    let authority = Cert::authority("Root");
    let leaf = authority.issue(&["a.test"]);
    // Any order: chain, key, certificate.
    let pem = [leaf.cert_pem(), authority.cert_pem(), leaf.key_pem()].concat();
    let proxy = offload("crt \"${certs}/a.pem\"", &[("a.pem", pem)], &server).start();
    let client = Client::new().build().connect(proxy.addr("fe"));
    assert_eq!(client.tls().peer_cert_chain().unwrap().len(), 2);
}

#[test]
fn strict_sni_refuses_what_it_does_not_know() {
    let server = Server::named("ok");
    let files = [("a.pem", Cert::new(&["a.test"]).pem())];
    let proxy = offload("crt \"${certs}/a.pem\" strict-sni", &files, &server).start();
    assert_eq!(asks(&proxy, "a.test"), "a.test");
    for client in [Client::new().sni("b.test").build(), Client::new().build()] {
        assert!(client.try_connect(proxy.addr("fe")).is_err());
    }
}

#[test]
fn versions_are_kept_to() {
    let server = Server::named("ok");
    let pem = Cert::new(&["a.test"]).pem();
    let can = |options: &str, version| {
        let proxy =
            offload(&format!("crt \"${{certs}}/a.pem\" {options}"), &[("a.pem", pem.clone())], &server)
                .start();
        Client::new().version(version).build().try_connect(proxy.addr("fe")).is_ok()
    };
    for (options, v12, v13) in [
        ("", true, true),
        ("ssl-min-ver TLSv1.3", false, true),
        ("ssl-max-ver TLSv1.2", true, false),
        ("no-tlsv12", false, true),
        ("no-tlsv13", true, false),
        ("force-tlsv12", true, false),
        ("force-tlsv13", false, true),
    ] {
        assert_eq!(can(options, SslVersion::TLS1_2), v12, "TLS 1.2 with {options:?}");
        assert_eq!(can(options, SslVersion::TLS1_3), v13, "TLS 1.3 with {options:?}");
    }
    assert!(!can("", SslVersion::TLS1_1), "TLS 1.1 must be asked for");
}

#[test]
fn ciphers_and_curves_are_kept_to() {
    let server = Server::named("ok");
    let files = [("a.pem", Cert::new(&["a.test"]).pem())];
    let options = "crt \"${certs}/a.pem\" ciphers ECDHE-ECDSA-AES256-GCM-SHA384 curves P-384";
    let proxy = offload(options, &files, &server).start();
    let client = Client::new().version(SslVersion::TLS1_2).build().connect(proxy.addr("fe"));
    assert_eq!(client.tls().current_cipher().unwrap().name(), "ECDHE-ECDSA-AES256-GCM-SHA384");
    let other = Client::new().version(SslVersion::TLS1_2).ciphers("ECDHE-ECDSA-AES128-GCM-SHA256").build();
    assert!(other.try_connect(proxy.addr("fe")).is_err());
    assert!(Client::new().groups("X25519").build().try_connect(proxy.addr("fe")).is_err());
    assert!(Client::new().groups("P-384").build().try_connect(proxy.addr("fe")).is_ok());
}

#[test]
fn alpn_is_negotiated() {
    let server = Server::named("ok");
    let files = [("a.pem", Cert::new(&["a.test"]).pem())];
    let proxy = offload("crt \"${certs}/a.pem\" alpn http/1.1,http/1.0", &files, &server).start();
    let chosen = |offer: &[&str]| {
        let client = Client::new().alpn(offer).build().connect(proxy.addr("fe"));
        client.tls().selected_alpn_protocol().map(|p| String::from_utf8_lossy(p).into_owned())
    };
    assert_eq!(chosen(&["http/1.1"]).as_deref(), Some("http/1.1"));
    assert_eq!(chosen(&["http/1.0", "http/1.1"]).as_deref(), Some("http/1.1"), "the server's order counts");
}

#[test]
fn h2_is_left_out_with_one_warning() {
    let server = Server::named("ok");
    let files = [("a.pem", Cert::new(&["a.test"]).pem())];
    let proxy = offload("crt \"${certs}/a.pem\" alpn h2,http/1.1", &files, &server).start();
    let client = Client::new().alpn(&["h2", "http/1.1"]).build().connect(proxy.addr("fe"));
    assert_eq!(client.tls().selected_alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(
        proxy.stderr().matches("h2").count(),
        proxy.stderr().lines().filter(|l| l.contains("h2")).count()
    );
    assert!(proxy.stderr().contains("[WARNING]"), "{}", proxy.stderr());
}

#[test]
fn a_connection_is_closed_with_the_closing_alert() {
    let server = Server::named("ok");
    let files = [("a.pem", Cert::new(&["a.test"]).pem())];
    let proxy = offload("crt \"${certs}/a.pem\"", &files, &server).start();
    let mut client = Client::new().build().connect(proxy.addr("fe"));
    client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(client.response().text(), "ok");
    assert_eq!(client.ends(), End::Eof);
    assert!(client.closed_politely());
}

#[test]
fn tls_in_front_of_plain_tcp_respects_half_close() {
    let server = Server::start(|mut peer, _| {
        let n = peer.rest().len();
        peer.send(format!("{n}"));
    });
    let files = [("a.pem", Cert::new(&["a.test"]).pem())];
    let proxy = {
        let program = program(&format!(
            "listen fe\n    mode tcp\n    bind \"fd@${{fe}}\" ssl crt \"${{pem}}\"\n    server s1 {}\n",
            server.addr()
        ))
        .listen("fe");
        let path = program.file("a.pem", &files[0].1);
        program.env("pem", path).start()
    };
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let mut client = Client::new().version(version).build().connect(proxy.addr("fe"));
        client.send(vec![b'x'; 50_000]);
        client.half_close();
        assert_eq!(client.rest(), b"50000", "{version:?}");
    }
}

#[test]
fn what_is_not_tls_is_closed_and_counted() {
    let server = Server::named("ok");
    let files = [("a.pem", Cert::new(&["a.test"]).pem())];
    let proxy = offload("crt \"${certs}/a.pem\"", &files, &server).start();
    for garbage in ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\u{7f}\u{7f}garbage", "\x16", ""] {
        let mut client = proxy.connect("fe");
        client.send(garbage);
        client.half_close();
        client.drain();
    }
    assert_eq!(Client::new().build().connect(proxy.addr("fe")).get("/").text(), "ok");
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_handshake_that_never_ends_is_bounded_by_the_client_timeout() {
    let server = Server::named("ok");
    let pem = Cert::new(&["a.test"]).pem();
    let program = program("listen fe\n    timeout client 300ms\n    bind \"fd@${fe}\" ssl crt \"${pem}\"\n")
        .listen("fe");
    let path = program.file("a.pem", pem);
    let proxy = program.env("pem", path).start();
    let mut client = proxy.connect("fe");
    client.send("\x16\x03\x01\x02\x00");
    client.drain();
    assert_eq!(server.connections(), 0);
}

/// A plain frontend in front of a TLS server, with these server options; the status of one request.
fn to_server(server: &Server, options: &str, files: &[(&str, Vec<u8>)]) -> (u16, Proxy) {
    let program = program(&format!(
        "listen fe\n    bind \"fd@${{fe}}\"\n    retries 0\n    server s1 {} ssl {options}\n",
        server.addr()
    ))
    .listen("fe");
    let mut dir = String::new();
    for (name, bytes) in files {
        let path = program.file(name, bytes);
        dir = path.strip_suffix(name).unwrap().trim_end_matches('/').to_string();
    }
    let proxy = program.env("dir", dir).start();
    (proxy.get("fe", "/").status, proxy)
}

#[test]
fn servers_are_verified() {
    let (authority, other) = (Cert::authority("Root"), Cert::authority("Other"));
    let good = Server::https(authority.issue(&["s.test"]).server(), |_| Reply::ok("ok"));
    let ca = [("ca.pem", authority.cert_pem()), ("other.pem", other.cert_pem())];
    for (options, status) in [
        ("verify none", 200),
        ("verify required ca-file \"${dir}/ca.pem\"", 200),
        ("verify required ca-file \"${dir}/other.pem\"", 503),
        ("verify required ca-file \"${dir}/ca.pem\" verifyhost s.test", 200),
        ("verify required ca-file \"${dir}/ca.pem\" verifyhost t.test", 503),
        ("verify required ca-file \"${dir}/ca.pem\" sni str(s.test)", 200),
        ("verify required ca-file \"${dir}/ca.pem\" sni str(t.test)", 503),
    ] {
        assert_eq!(to_server(&good, options, &ca).0, status, "{options}");
    }
    let selfmade = Server::https(Cert::new(&["s.test"]).server(), |_| Reply::ok("ok"));
    assert_eq!(to_server(&selfmade, "verify required ca-file \"${dir}/ca.pem\"", &ca).0, 503);
    assert_eq!(to_server(&selfmade, "verify none", &ca).0, 200);
}

#[test]
fn the_name_asked_of_a_server_may_come_from_the_request() {
    let (authority, mut names) = (Cert::authority("Root"), Vec::new());
    let server = Server::https(authority.issue(&["a.test", "b.test"]).server(), |_| Reply::ok("ok"));
    let program = program(&format!(
        "listen fe\n    bind \"fd@${{fe}}\"\n    retries 0\n    server s1 {} ssl verify required ca-file \"${{ca}}\" sni req.hdr(host)\n",
        server.addr()
    ))
    .listen("fe");
    let ca = program.file("ca.pem", authority.cert_pem());
    let proxy = program.env("ca", ca).start();
    let mut client = proxy.connect("fe");
    for (host, status) in [("a.test", 200), ("b.test", 200), ("a.test:8443", 200), ("c.test", 503)] {
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        names.push((client.response().status, status, host));
    }
    assert!(names.iter().all(|(is, wanted, _)| is == wanted), "{names:?}");
}

#[test]
fn a_server_may_ask_for_a_certificate() {
    let authority = Cert::authority("Root");
    let server = Server::https(Cert::new(&["s.test"]).server_that_asks(&authority), |_| Reply::ok("ok"));
    let mine = [("mine.pem", authority.issue(&["proxy"]).pem())];
    assert_eq!(to_server(&server, "verify none crt \"${dir}/mine.pem\"", &mine).0, 200);
    assert_ne!(to_server(&server, "verify none", &mine).0, 200);
}

#[test]
fn sessions_with_a_server_are_reused() {
    let server = Server::https(Cert::new(&["s.test"]).server(), |_| Reply::ok("ok").close());
    let (status, proxy) = to_server(&server, "verify none", &[("x", Vec::new())]);
    assert_eq!(status, 200);
    for _ in 0..10 {
        assert_eq!(proxy.get("fe", "/").status, 200);
    }
    let keys: u64 = proxy.count("SslBackendKeyRate");
    assert!(keys <= 3, "{keys} full handshakes with the server for 11 connections");
}

#[test]
fn a_server_that_speaks_plain_to_tls_is_an_error() {
    let server = Server::start(|mut peer, _| {
        peer.send("220 not TLS\r\n");
        peer.drain();
    });
    assert_eq!(to_server(&server, "verify none", &[("x", Vec::new())]).0, 503);
}

#[test]
fn an_idle_connection_costs_little() {
    let server = Server::named("ok");
    let files = [("a.pem", Cert::new(&["a.test"]).pem())];
    let proxy = offload("crt \"${certs}/a.pem\"", &files, &server).start();
    let client = Client::new().build();
    let open = |n: usize| -> Vec<Peer> {
        (0..n)
            .map(|_| {
                let mut peer = client.connect(proxy.addr("fe"));
                peer.get("/");
                peer
            })
            .collect()
    };
    let _warm = open(50);
    let before = lighterman_harness::procs::memory_kb(proxy.pid(), "VmRSS");
    let _idle = open(200);
    let each =
        lighterman_harness::procs::memory_kb(proxy.pid(), "VmRSS").saturating_sub(before) as f64 / 200.0;
    // A release build is measured by contrib/bench; this only catches buffers that are kept.
    assert!(each < 16.0, "{each:.1} KiB per idle TLS connection");
}

#[test]
fn one_byte_at_a_time() {
    let server = Server::http(|_| Reply::ok("x".repeat(40_000)));
    let files = [("a.pem", Cert::new(&["a.test"]).pem())];
    let proxy = offload("crt \"${certs}/a.pem\"", &files, &server).start();
    // Between the client and the proxy stands something that forwards single bytes.
    let addr = proxy.addr("fe");
    let dribble = Server::start(move |client, _| {
        let to = Peer::connect(addr).into_tcp();
        let from = client.into_tcp();
        let copy = |mut a: std::net::TcpStream, mut b: std::net::TcpStream, step: usize| {
            move || {
                let mut bytes = [0; 4096];
                while let Ok(n @ 1..) = std::io::Read::read(&mut a, &mut bytes) {
                    for piece in bytes[..n].chunks(step) {
                        if std::io::Write::write_all(&mut b, piece).is_err() {
                            return;
                        }
                    }
                }
                let _ = b.shutdown(std::net::Shutdown::Write);
            }
        };
        let up = std::thread::spawn(copy(from.try_clone().unwrap(), to.try_clone().unwrap(), 1));
        copy(to, from, 100)();
        up.join().unwrap();
    });
    let mut client = Client::new().build().connect(dribble.addr());
    assert_eq!(client.get("/").body.len(), 40_000);
    client.half_close();
    drop(client);
    eventually("the dribbler to end", || dribble.open() == 0);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_handshake_leaves_nothing() {
    let server = Server::named("ok");
    let files = [("a.pem", Cert::new(&["a.test"]).pem())];
    let proxy = offload("crt \"${certs}/a.pem\"", &files, &server).start();
    for n in 0..30 {
        let mut client = proxy.connect("fe");
        client.send(&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..n % 11]);
        if n % 2 == 0 {
            client.reset();
        }
    }
    eventually("all of them to be gone", || proxy.count("CurrConns") <= 1);
    assert_eq!(Client::new().build().connect(proxy.addr("fe")).get("/").text(), "ok");
}

#[test]
fn handshakes_are_counted_and_failures_logged() {
    let (server, logs) = (Server::named("ok"), Logs::udp());
    let program = program(&format!(
        "listen fe\n    log {} local0\n    bind \"fd@${{fe}}\" ssl crt \"${{pem}}\" ssl-min-ver TLSv1.3\n    server s1 {}\n",
        logs.address(),
        server.addr()
    ))
    .listen("fe");
    let pem = program.file("a.pem", Cert::new(&["a.test"]).pem());
    let proxy = program.env("pem", pem).start();
    let mut plain = proxy.connect("fe");
    plain.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    plain.drain();
    let line = logs.next();
    assert!(text(&line).contains("] fe/1: SSL handshake failure: plain HTTP request"), "{line}");
    assert!(Client::new().version(SslVersion::TLS1_2).build().try_connect(proxy.addr("fe")).is_err());
    let line = logs.next();
    assert!(
        text(&line).contains("] fe/1: SSL handshake failure: no common version reason=version "),
        "{line}"
    );
    let client = Client::new().resume().build();
    let mut open: Vec<Peer> = Vec::new();
    for _ in 0..2 {
        let mut peer = client.connect(proxy.addr("fe"));
        assert_eq!(peer.get("/").text(), "ok");
        open.push(peer);
    }
    assert_eq!((proxy.count("CurrSslConns"), proxy.count("CumSslConns")), (2, 2));
    drop(open);
    eventually("no TLS connections", || proxy.count("CurrSslConns") == 0);
}

#[test]
fn the_operator_is_told_why_a_server_is_not_believed() {
    let logs = Logs::udp();
    let server = Server::https(Cert::new(&["s.test"]).server(), |_| Reply::ok("ok"));
    let program = program(&format!(
        "listen fe\n    log {} local0\n    bind \"fd@${{fe}}\"\n    retries 0\n    server s1 {} ssl verify required ca-file \"${{ca}}\"\n",
        logs.address(),
        server.addr()
    ))
    .listen("fe");
    let ca = program.file("ca.pem", Cert::authority("Root").cert_pem());
    let proxy = program.env("ca", ca).start();
    assert_eq!(proxy.get("fe", "/").status, 503);
    let line = logs.next();
    assert!(text(&line).contains("Server fe/s1: SSL handshake failure: "), "{line}");
    assert!(line.contains("certificate"), "{line}");
}
