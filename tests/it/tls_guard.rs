//! What protects a TLS frontend: limits on connections and rates, handshakes that cost nobody else anything.

use std::time::Duration;

use lighterman_harness::deadline::{pause, Watch};
use lighterman_harness::tls::{Cert, Client};
use lighterman_harness::{eventually, End, Peer, Program, Proxy, Server};
use openssl::ssl::SslVersion;

use crate::program;

/// A TLS frontend with these lines in `global` and these words on its `bind` line.
fn guarded(global: &str, options: &str, server: &Server) -> Program {
    let program = program(&format!(
        "global\n{global}\nlisten fe\n    bind \"fd@${{fe}}\" ssl crt \"${{pem}}\" {options}\n    server s1 {}\n",
        server.addr()
    ))
    .listen("fe");
    let pem = program.file("a.pem", Cert::new(&["a.test"]).pem());
    program.env("pem", pem)
}

fn served(proxy: &Proxy) -> Peer {
    let mut peer = Client::new().build().connect(proxy.addr("fe"));
    assert_eq!(peer.get("/").text(), "ok");
    peer
}

#[test]
fn above_maxsslconn_clients_wait_in_the_kernel() {
    let server = Server::named("ok");
    for workers in [1, 2] {
        let proxy = guarded("    maxsslconn 2", "", &server).workers(workers).start();
        let mut held: Vec<Peer> = (0..2).map(|_| served(&proxy)).collect();
        let mut waiting = proxy.connect("fe");
        waiting.silent(Duration::from_millis(200));
        drop(held.pop());
        let mut peer = Client::new().build().over(waiting);
        assert_eq!(peer.get("/").text(), "ok", "it was not sent away");
        drop((held, peer));
        eventually("all places are free", || proxy.info("CurrSslConns") == "0");
    }
}

#[test]
fn rates_hold_for_all_workers_together() {
    let server = Server::named("ok");
    for (global, front) in [
        ("    maxsslrate 20", ""),
        ("    maxsessrate 20", ""),
        ("    maxconnrate 20", ""),
        ("", "\n    rate-limit sessions 20"),
    ] {
        let proxy = guarded(global, front, &server).workers(2).start();
        let watch = Watch::start();
        (0..40).for_each(|_| drop(served(&proxy)));
        let took = watch.elapsed();
        // a twentieth of a second's worth may come at once
        assert!(took >= Duration::from_millis(1800), "{global}{front}: 40 clients in {took:?}");
        assert!(took <= Duration::from_secs(8), "{global}{front}: 40 clients took {took:?}");
    }
}

#[test]
fn a_rate_can_be_set_and_lifted_at_run_time() {
    let server = Server::named("ok");
    let proxy = guarded("    maxsslrate 1", "", &server).workers(2).start();
    drop(served(&proxy));
    let mut waiting = proxy.connect("fe");
    waiting.silent(Duration::from_millis(100));
    proxy.command("set rate-limit ssl-sessions global 0");
    let mut peer = Client::new().build().over(waiting);
    assert_eq!(peer.get("/").text(), "ok");
    let watch = Watch::start();
    (0..20).for_each(|_| drop(served(&proxy)));
    assert!(watch.elapsed() < Duration::from_secs(10));
}

#[test]
fn handshakes_have_a_time_of_their_own() {
    let server = Server::named("ok");
    let proxy = guarded("", "\n    timeout client 20s\n    timeout client-hs 300ms", &server).start();
    let mut hello = vec![0x16, 3, 1, 1, 0, 1, 0];
    hello.resize(40, 0);
    for said in [&b""[..], b"\x16", &hello] {
        let mut slow = proxy.connect("fe");
        slow.send(said);
        let watch = Watch::start();
        slow.ends();
        assert!(watch.elapsed() < Duration::from_secs(8), "{said:?}");
    }
    let mut idle = served(&proxy);
    idle.silent(Duration::from_millis(600));
    assert_eq!(idle.get("/").text(), "ok", "it ends with the handshake");
}

#[test]
fn floods_of_records_without_content_are_cut() {
    let server = Server::named("ok");
    let proxy = guarded("", "", &server).start();
    for (what, record) in [
        ("empty records", &b"\x16\x03\x01\x00\x00"[..]),
        ("warnings", b"\x15\x03\x01\x00\x02\x01\x5a"),
        ("changes of the cipher", b"\x14\x03\x03\x00\x01\x01"),
    ] {
        let before: u64 = proxy.stat("fe", "FRONTEND", "ssl_failed_handshake").parse().unwrap_or(0);
        let mut peer = proxy.connect("fe");
        // it may be closed before all has left
        let _ = peer.try_send(record.repeat(2000));
        let (answer, _) = peer.drain();
        assert!(answer.first().is_none_or(|kind| *kind == 0x15), "{what}: an alert or nothing");
        eventually("the failure is counted", || {
            let now: u64 = proxy.stat("fe", "FRONTEND", "ssl_failed_handshake").parse().unwrap_or(0);
            now == before + 1
        });
    }
    drop(served(&proxy));
}

/// Runs `openssl s_client` with these words, feeding it these lines; its output.
fn s_client(proxy: &Proxy, args: &[&str], lines: &[&str]) -> Option<String> {
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};
    let mut child = Command::new("openssl")
        .args(["s_client", "-connect", &proxy.addr("fe").to_string()])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut out = child.stdout.take()?;
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        let _ = out.read_to_end(&mut all);
        String::from_utf8_lossy(&all).into_owned()
    });
    let mut input = child.stdin.take()?;
    pause(Duration::from_millis(300));
    for line in lines {
        if writeln!(input, "{line}").and_then(|()| input.flush()).is_err() {
            break;
        }
        // s_client takes a command only when it stands alone in what it reads
        pause(Duration::from_millis(20));
    }
    pause(Duration::from_millis(300));
    drop(input);
    let _ = child.wait();
    reader.join().ok()
}

#[test]
fn renegotiation_is_refused() {
    let server = Server::named("ok");
    let proxy = guarded("", "", &server).start();
    let Some(said) = s_client(&proxy, &["-tls1_2"], &["R", "GET / HTTP/1.0", ""]) else { return };
    assert!(said.contains("Cipher is ") && !said.contains("HTTP/1.1 200"), "{said}");
    drop(served(&proxy));
}

#[test]
fn key_updates_are_done() {
    let server = Server::named("ok");
    let proxy = guarded("", "", &server).start();
    let lines: Vec<&str> = std::iter::repeat_n("K", 5).chain(["GET / HTTP/1.0", ""]).collect();
    let Some(said) = s_client(&proxy, &["-tls1_3"], &lines) else { return };
    assert!(said.contains("200 "), "{said}");
}

#[test]
fn handshakes_that_never_finish_disturb_nobody_and_cost_little() {
    let server = Server::named("ok");
    let options = "\n    timeout client-hs 3s";
    let proxy = guarded("    maxconn 4000", options, &server).start();
    let pid = proxy.pid();
    (0..20).for_each(|_| drop(served(&proxy)));
    let hello = client_hello();
    let large = [&b"\x16\x03\x01\x2b\x00\x01\x00\x2a\xfc\x03\x03"[..], &[0; 10_500]].concat();
    for (what, said) in [
        ("silent", &[][..]),
        ("one byte", &hello[..1]),
        ("half a hello", &hello[..100]),
        ("most of a large hello", &large),
        ("a hello", &hello),
    ] {
        let before = lighterman_harness::procs::memory_kb(pid, "VmRSS");
        // enough of them that what else the process does in the meantime does not count
        const COUNT: usize = 1000;
        let stuck: Vec<Peer> = (0..COUNT)
            .map(|_| {
                let mut peer = proxy.connect("fe");
                if !said.is_empty() {
                    peer.send(said);
                }
                peer
            })
            .collect();
        drop(served(&proxy));
        let grown = lighterman_harness::procs::memory_kb(pid, "VmRSS").saturating_sub(before);
        assert!(grown <= 16 * COUNT as u64, "{what}: {} KB each", grown / COUNT as u64);
        for mut peer in stuck {
            assert!(matches!(peer.drain().1, End::Eof | End::Reset), "{what}");
        }
        eventually("all are gone", || proxy.info("CurrSslConns") == "0");
    }
}

/// What a client says first.
fn client_hello() -> Vec<u8> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let client = std::thread::spawn(move || {
        let _ = Client::new().sni("a.test").build().try_connect(addr);
    });
    let (sock, _) = listener.accept().unwrap();
    let mut peer = Peer::from(sock);
    let head = peer.take(5);
    let body = peer.take(usize::from(u16::from_be_bytes([head[3], head[4]])));
    drop(peer);
    client.join().unwrap();
    [head, body].concat()
}

#[test]
fn resumed_and_full_handshakes_all_come_through_a_storm() {
    let server = Server::named("ok");
    let proxy = guarded("", "", &server).start();
    let addr = proxy.addr("fe");
    let full: Vec<_> = (0..8)
        .map(|_| {
            std::thread::spawn(move || {
                (0..25).filter(|_| Client::new().build().connect(addr).get("/").text() == "ok").count()
            })
        })
        .collect();
    let back = Client::new().version(SslVersion::TLS1_3).resume().build();
    let mut resumed = 0;
    for _ in 0..40 {
        let mut peer = back.connect(addr);
        assert_eq!(peer.get("/").text(), "ok");
        resumed += usize::from(peer.tls().session_reused());
    }
    assert_eq!(resumed, 39);
    let done: usize = full.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(done, 200);
    assert_eq!(proxy.info("SslBusy"), "0");
}

#[test]
fn hybrid_key_exchange_is_offered_and_accepted() {
    let server = Server::named("ok");
    let proxy = guarded("", "\n    http-response set-header X-Group %[ssl_fc_curve]", &server).start();
    for (offered, taken) in [
        ("X25519MLKEM768:X25519", "X25519MLKEM768"),
        ("X25519:X25519MLKEM768", "X25519MLKEM768"),
        ("X25519", "X25519"),
        ("P-256", "P-256"),
    ] {
        let client = Client::new().version(SslVersion::TLS1_3).groups(offered).build();
        let got = client.connect(proxy.addr("fe")).get("/");
        assert_eq!(got.field("X-Group"), Some(taken), "{offered}");
    }
    let narrow = guarded("", "curves P-256:P-384", &server).start();
    let client = Client::new().version(SslVersion::TLS1_3).groups("X25519MLKEM768").build();
    assert!(client.try_connect(narrow.addr("fe")).is_err());
}

#[test]
fn secrets_are_told_only_when_asked_for() {
    let server = Server::named("ok");
    let names = [
        "client_handshake_traffic_secret",
        "server_handshake_traffic_secret",
        "client_traffic_secret_0",
        "server_traffic_secret_0",
        "exporter_secret",
    ];
    let lines: String =
        names.iter().map(|name| format!("\n    http-response set-header {name} %[ssl_fc_{name}]")).collect();
    for (global, told) in [("    tune.ssl.keylog on", true), ("", false)] {
        let proxy = guarded(global, &lines, &server).start();
        let got = Client::new().version(SslVersion::TLS1_3).build().connect(proxy.addr("fe")).get("/");
        for name in names {
            let value = got.field(name).unwrap_or_default();
            let digits = value.bytes().all(|byte| byte.is_ascii_hexdigit());
            let fits = if told { [64, 96].contains(&value.len()) } else { value.is_empty() };
            assert!(digits && fits, "{name}: {value:?}");
        }
    }
}

#[test]
fn as_many_tickets_as_the_configuration_says() {
    let server = Server::named("ok");
    for count in [0, 1, 3] {
        let proxy = guarded(&format!("    tune.ssl.tickets {count}"), "", &server).start();
        let client = Client::new().version(SslVersion::TLS1_3).resume().build();
        let mut peer = client.connect(proxy.addr("fe"));
        assert_eq!(peer.get("/").text(), "ok");
        assert_eq!(client.sessions(), count);
    }
}

#[test]
fn records_begin_small_and_grow() {
    let size = 200_000;
    let server = Server::http(move |_| lighterman_harness::Reply::ok(vec![b'x'; size]));
    for (global, first) in
        [("    tune.ssl.maxrecord 1400", 1400), ("", 4096), ("    tune.ssl.maxrecord 0", 16384)]
    {
        let proxy = guarded(global, "", &server).start();
        let mut peer = Client::new().build().connect(proxy.addr("fe"));
        for round in ["at the start", "after a rest"] {
            peer.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            let (mut sizes, mut got) = (Vec::new(), 0);
            while got < size {
                // one read brings one record
                let record = peer.some(17_000).len();
                got += record;
                sizes.push(record);
            }
            assert!(sizes[..2].iter().all(|size| *size <= first), "{global} {round}: {sizes:?}");
            assert!(sizes.iter().any(|size| *size > 8000), "{global} {round}: {sizes:?}");
            pause(Duration::from_millis(1100));
        }
    }
}

/// A session of this frontend in a file, as `s_client` keeps it; `None` without that program.
fn saved_session(proxy: &Proxy, path: &str) -> Option<()> {
    s_client(proxy, &["-tls1_3", "-sess_out", path], &["GET /first HTTP/1.0", ""]).map(drop)
}

#[test]
fn early_requests_are_taken_once_and_told_to_the_server() {
    let server = Server::http(|request| {
        lighterman_harness::Reply::ok(
            format!("{} early={};", request.head.line, request.field("early-data").unwrap_or("no"))
                .as_bytes(),
        )
    });
    let lines = "allow-0rtt\n    http-response set-header X-Early %[ssl_fc_early_rcvd]";
    let proxy = guarded("", lines, &server).workers(2).start();
    let session = proxy.dir().at("session");
    let Some(()) = saved_session(&proxy, &session) else { return };
    let early = proxy.dir().file("early", "GET /early HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let resume = ["-tls1_3", "-sess_in", session.as_str(), "-early_data", early.as_str()];
    let said = s_client(&proxy, &resume, &[]).unwrap();
    assert!(said.contains("Early data was accepted"), "{said}");
    assert!(said.contains("GET /early HTTP/1.1 early=1;") && said.contains("X-Early: 1"), "{said}");
    for again in 0..4 {
        let said = s_client(&proxy, &resume, &[]).unwrap();
        assert!(said.contains("Early data was rejected"), "{again}: {said}");
        assert!(!said.contains("/early"), "{again}: nobody did it again: {said}");
    }
}

#[test]
fn a_rule_waits_for_the_handshake() {
    let server = Server::http(|request| {
        lighterman_harness::Reply::ok(
            format!("{} early={};", request.head.line, request.field("early-data").unwrap_or("no"))
                .as_bytes(),
        )
    });
    let proxy = guarded("", "allow-0rtt\n    http-request wait-for-handshake", &server).start();
    let session = proxy.dir().at("session");
    let Some(()) = saved_session(&proxy, &session) else { return };
    for request in [
        "GET /early HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody",
    ] {
        let Some(()) = saved_session(&proxy, &session) else { return };
        let early = proxy.dir().file("early", request);
        let resume = ["-tls1_3", "-sess_in", session.as_str(), "-early_data", early.as_str()];
        let said = s_client(&proxy, &resume, &[]).unwrap();
        assert!(said.contains("Early data was accepted"), "{said}");
        assert!(said.contains("/early HTTP/1.1 early=no;"), "{said}");
    }
}

#[test]
fn early_data_is_refused_where_replays_would_not_be_noticed() {
    let server = Server::named("ok");
    let keys = (1..=3u8).map(|n| openssl::base64::encode_block(&[n; 80]) + "\n").collect::<String>();
    for options in
        ["", "allow-0rtt no-allow-0rtt", "allow-0rtt tls-ticket-keys \"${keys}\"", "allow-0rtt\n    mode tcp"]
    {
        let program = guarded("", options, &server);
        let file = program.file("keys", &keys);
        let proxy = program.env("keys", file).start();
        let session = proxy.dir().at("session");
        let Some(()) = saved_session(&proxy, &session) else { return };
        let early = proxy.dir().file("early", "GET /early HTTP/1.1\r\nHost: x\r\n\r\n");
        let resume = ["-tls1_3", "-sess_in", session.as_str(), "-early_data", early.as_str()];
        let said = s_client(&proxy, &resume, &[]).unwrap();
        assert!(!said.contains("Early data was accepted"), "{options}: {said}");
    }
}
