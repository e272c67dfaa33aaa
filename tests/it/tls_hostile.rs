//! Clients that break the protocol, or have nothing in common with us: each is turned away, and has its word in the log.

use lighterman_harness::logs::text;
use lighterman_harness::tls::{Cert, Client};
use lighterman_harness::{Logs, Program};
use openssl::ssl::SslVersion;

use crate::program;

fn front(logs: &Logs, lines: &str, options: &str) -> Program {
    let program = program(&format!(
        "listen fe\n    log {} local0\n{lines}    bind \"fd@${{fe}}\" ssl crt \"${{pem}}\" {options}\n    http-request return status 200\n",
        logs.address()
    ))
    .listen("fe");
    let pem = program.file("a.pem", Cert::new(&["a.test"]).pem());
    program.env("pem", pem)
}

/// A record of the handshake type with this content.
fn record(content: &[u8]) -> Vec<u8> {
    [&[22, 3, 1, (content.len() >> 8) as u8, content.len() as u8], content].concat()
}

/// Each piece in a record of its own.
fn records(content: &[u8], piece: usize) -> Vec<u8> {
    content.chunks(piece).flat_map(record).collect()
}

/// A ClientHello of this version with these suites and extensions.
fn hello(version: u16, suites: &[u16], extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend(((suites.len() * 2) as u16).to_be_bytes());
    suites.iter().for_each(|suite| body.extend(suite.to_be_bytes()));
    body.extend([1, 0]);
    let mut list = Vec::new();
    for (number, content) in extensions {
        list.extend(number.to_be_bytes());
        list.extend((content.len() as u16).to_be_bytes());
        list.extend_from_slice(content);
    }
    body.extend((list.len() as u16).to_be_bytes());
    body.extend(list);
    [&[1, 0, (body.len() >> 8) as u8, body.len() as u8], &body[..]].concat()
}

const NAME: (u16, &[u8]) = (0, b"\x00\x09\x00\x00\x06a.test");
const GROUPS: (u16, &[u8]) = (10, b"\x00\x04\x00\x1d\x00\x17");
const ALGORITHMS: (u16, &[u8]) = (13, b"\x00\x02\x04\x03");
const PROTOCOLS: (u16, &[u8]) = (16, b"\x00\x0c\x02h2\x08http/1.1");
const V13: (u16, &[u8]) = (43, b"\x02\x03\x04");
/// TLS_AES_128_GCM_SHA256, ECDHE-ECDSA-AES128-GCM-SHA256.
const SUITES: &[u16] = &[0x1301, 0xc02b];
const USUAL: [(u16, &[u8]); 4] = [NAME, GROUPS, ALGORITHMS, PROTOCOLS];

/// A client that says this and then nothing more is logged with this word; other words of the line.
type Row = (&'static str, Vec<u8>, &'static str, &'static str);

/// Nothing here is a whole ClientHello.
fn broken() -> Vec<Row> {
    let good = record(&hello(0x303, SUITES, &USUAL));
    vec![
        ("nothing", vec![], "silent", "ver=- "),
        ("one byte", vec![22], "closed", "rx=1 "),
        ("a part", good[..50].to_vec(), "closed", "rx=50 "),
        ("http", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "http", ""),
        ("a request of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), "not_tls", ""),
        ("a request for a tunnel", b"CONNECT a:443 HTTP/1.1\r\n\r\n".to_vec(), "http", ""),
        ("ssh", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "not_tls", ""),
        ("a PROXY header", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n".to_vec(), "not_tls", ""),
        (
            "SSL 2",
            b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10\x01\x00\x80\x02\x00\x80\x03\x00\x80".to_vec(),
            "not_tls",
            "",
        ),
        ("zeros", vec![0; 64], "not_tls", ""),
        ("a hello cut inside", record(&[&[1, 0, 0, 10][..], &[3; 10]].concat()), "malformed", ""),
        ("another message", record(&[2, 0, 0, 4, 1, 2, 3, 4]), "malformed", ""),
        ("data", vec![23, 3, 3, 0, 4, 1, 2, 3, 4], "malformed", ""),
        ("a giant message", record(&[1, 0xff, 0xff, 0xff, 3, 3]), "too_long", ""),
        ("a giant record", [&[22, 3, 1, 0xff, 0xff][..], &[1; 2000]].concat(), "too_long", ""),
        ("empty records", [22, 3, 1, 0, 0].repeat(200), "flood", ""),
        ("a record of version 5", [&[22, 5, 1][..], &good[3..]].concat(), "not_tls", ""),
    ]
}

/// Hellos that are whole, from clients we have nothing in common with, or that do not go on.
fn strange() -> Vec<Row> {
    let good = hello(0x303, SUITES, &USUAL);
    let padding = vec![0; 11_000];
    let too_large = hello(0x303, SUITES, &[NAME, GROUPS, ALGORITHMS, (21, &vec![0; 15_000])]);
    let key = [&[16, 0, 56, 0][..], &[1; 8000]].concat();
    let large = hello(0x303, SUITES, &[NAME, GROUPS, ALGORITHMS, (21, &padding)]);
    let grease: Vec<(u16, &[u8])> = vec![
        (0x1a1a, b""),
        NAME,
        (10, b"\x00\x06\x2a\x2a\x00\x1d\x00\x17"),
        ALGORITHMS,
        (43, b"\x06\x3a\x3a\x7f\x1c\x03\x03"),
        (0xfafa, b"\x00"),
    ];
    let named = |name: &'static [u8]| record(&hello(0x303, SUITES, &[(0, name), GROUPS, ALGORITHMS]));
    let groups: (u16, &[u8]) = (10, b"\x00\x02\x01\x00");
    vec![
        (
            "a hello and no more",
            record(&good),
            "closed",
            "sni=a.test ver=TLSv1.2 groups=X25519,P-256 alpn=h2,http/1.1 cert=a.pem ",
        ),
        ("a hello in records of one byte", records(&good, 1), "closed", "sni=a.test "),
        ("a hello in records of 60", records(&good, 60), "closed", "sni=a.test "),
        ("a hello of 11 kB", record(&large), "closed", "sni=a.test "),
        ("a hello of 11 kB in pieces", records(&large, 999), "closed", "sni=a.test "),
        (
            "GREASE",
            record(&hello(0x303, &[0x0a0a, 0x1301, 0xc02b], &grease)),
            "closed",
            "ver=TLSv1.2 groups=X25519,P-256 ",
        ),
        ("TLS 1.1", record(&hello(0x302, &[0xc009], &USUAL)), "version", "ver=TLSv1.1 "),
        ("SSL 3", record(&hello(0x300, &[0xc009], &USUAL)), "version", ""),
        (
            "a version to come",
            record(&hello(0x303, SUITES, &[NAME, GROUPS, ALGORITHMS, (43, b"\x02\x03\x09")])),
            "version",
            "",
        ),
        ("unknown suites", record(&hello(0x303, &[0x0005, 0xfefe], &USUAL)), "cipher", ""),
        ("suites for RSA keys", record(&hello(0x303, &[0xc02f], &USUAL)), "cipher", "cert=a.pem "),
        (
            "unknown groups",
            record(&hello(0x303, &[0x1301], &[NAME, groups, ALGORITHMS, V13, (51, b"\x00\x00")])),
            "group",
            "groups=ffdhe2048 ",
        ),
        ("another name", named(b"\x00\x09\x00\x00\x06b.test"), "name", "sni=b.test "),
        ("a name of bytes", named(b"\x00\x09\x00\x00\x06b \xff\"\n="), "name", "sni=b#20#FF\"#0A#3D "),
        ("no name", record(&hello(0x303, SUITES, &[GROUPS, ALGORITHMS])), "name", "sni=- "),
        ("an extension twice", record(&hello(0x303, SUITES, &[NAME, NAME, GROUPS])), "malformed", ""),
        ("a fallback", record(&hello(0x303, &[0xc02b, 0x5600], &[NAME, GROUPS, ALGORITHMS])), "fallback", ""),
        ("a hello of 15 kB in pieces", records(&too_large, 999)[..14_000].to_vec(), "too_long", "rx=14000 "),
        ("a key without end", [record(&good), records(&key, 999)].concat(), "too_long", "sni=a.test "),
        ("no key", [record(&good), record(&[16, 0, 0, 2, 1, 9])].concat(), "malformed", ""),
    ]
}

/// Clients that answer our flight with an alert.
fn alerts() -> Vec<Row> {
    let good = record(&hello(0x303, SUITES, &USUAL));
    let alert = |level: u8, number: u8| [&good[..], &[21, 3, 3, 0, 2, level, number]].concat();
    vec![
        ("unknown ca", alert(2, 48), "alert_unknown_ca", "peer_alert=48 "),
        ("bad certificate", alert(2, 42), "alert_bad_cert", "peer_alert=42 "),
        ("certificate unknown", alert(2, 46), "alert_bad_cert", "peer_alert=46 "),
        ("handshake failure", alert(2, 40), "alert_other", "peer_alert=40 "),
        ("internal error", alert(2, 80), "alert_other", "peer_alert=80 "),
        ("close notify", alert(1, 0), "closed", "peer_alert=- "),
    ]
}

#[test]
fn each_bad_client_has_its_word() {
    let logs = Logs::udp();
    let proxy = front(&logs, "", "strict-sni").start();
    let rows: Vec<Row> = broken().into_iter().chain(strange()).chain(alerts()).collect();
    let (count, mut wrong) = (rows.len(), Vec::new());
    for (what, bytes, word, part) in rows {
        let mut client = proxy.connect("fe");
        let _ = client.try_send(bytes);
        client.half_close();
        client.drain();
        let line = logs.next();
        let line = text(&line);
        let parts =
            ["] fe/1: ", " sni=", " ver=", " groups=", " alpn=", " cert=", " peer_alert=", " rx=", " ms="];
        let whole = parts.iter().all(|part| line.contains(part));
        if !whole || !line.contains(part) || !line.contains(&format!(" reason={word} ")) {
            wrong.push(format!("{what}: expected {word} {part}: {line}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let shown = proxy.command("show ssl failures");
    assert!(!shown.contains("internal "), "nothing here is our fault: {shown}");
    assert_eq!(proxy.count("SslFailures"), count as u64);
    assert_eq!(Client::new().sni("a.test").build().connect(proxy.addr("fe")).get("/").status, 200);
}

/// Carries a connection; the client's first record arrives in records of `piece` bytes, in packets of 64.
fn crumbs(to: std::net::SocketAddr, piece: usize) -> std::net::SocketAddr {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((mut client, _)) = listener.accept() {
            let mut server = std::net::TcpStream::connect(to).unwrap();
            server.set_nodelay(true).unwrap();
            let mut head = [0; 5];
            if client.read_exact(&mut head).is_err() {
                continue;
            }
            let mut hello = vec![0; usize::from(head[3]) << 8 | usize::from(head[4])];
            client.read_exact(&mut hello).unwrap();
            for packet in records(&hello, piece).chunks(64) {
                server.write_all(packet).unwrap();
                std::thread::yield_now();
            }
            let (mut from, mut into) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut into));
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut client, &mut server);
                let _ = server.shutdown(std::net::Shutdown::Write);
            });
        }
    });
    addr
}

#[test]
fn a_hello_in_crumbs_is_as_good_as_a_whole_one() {
    let program = program("frontend fe\n    bind \"fd@${fe}\" ssl crt-list \"${list}\" accept-proxy\n    bind \"fd@${plain}\" ssl crt-list \"${list}\"\n    http-request return status 200 content-type text/plain lf-string \"%[ssl_fc_sni] %[ssl_fc_protocol] %[ssl_fc_is_resumed]\"\n");
    let pem = program.file("a.pem", Cert::new(&["a.test"]).pem());
    // the second line has options of its own, so that its connections are made anew
    let list = program.file("list", format!("{pem} a.test\n{pem} [ssl-max-ver TLSv1.2] b.test\n"));
    let proxy = program.env("list", list).listen("fe").listen("plain").start();
    for piece in [1, 10, 500] {
        let addr = crumbs(proxy.addr("plain"), piece);
        for (name, version) in [("a.test", "TLSv1.3"), ("b.test", "TLSv1.2")] {
            let client = Client::new().sni(name).resume().build();
            for resumed in [0, 1] {
                let said = client.connect(addr).get("/").text();
                assert_eq!(said, format!("{name} {version} {resumed}"), "{piece}");
            }
        }
    }
    // behind a PROXY header that came with the first bytes
    let mut peer = proxy.connect("fe");
    peer.send("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n");
    let said = Client::new().sni("b.test").build().over(peer).get("/").text();
    assert_eq!(said, "b.test TLSv1.2 0");
}

#[test]
fn a_client_that_does_not_believe_us_is_told_apart() {
    let logs = Logs::udp();
    let proxy = front(&logs, "", "").start();
    for version in ["-tls1_2", "-tls1_3"] {
        let output = std::process::Command::new("openssl")
            .args(["s_client", "-connect", &proxy.addr("fe").to_string(), "-servername", "a.test", version])
            .args(["-verify_return_error", "-alpn", "http/1.1"])
            .stdin(std::process::Stdio::null())
            .output()
            .expect("openssl");
        assert!(!output.status.success());
        let line = logs.next();
        assert!(line.contains(" reason=alert_unknown_ca sni=a.test "), "{line}");
        assert!(line.contains(" alpn=http/1.1 cert=a.pem peer_alert=48 "), "{line}");
    }
}

#[test]
fn the_operator_may_word_the_line() {
    let logs = Logs::udp();
    let format = "    error-log-format \"%ci %ft %[fc_err] %[fc_err_str] %[ssl_fc_err_str] %[ssl_fc_sni]\"\n";
    let proxy = front(&logs, format, "ssl-min-ver TLSv1.3").start();
    let old = Client::new().version(SslVersion::TLS1_2).sni("a.test").build();
    assert!(old.try_connect(proxy.addr("fe")).is_err());
    let line = logs.next();
    let said = text(&line);
    assert!(said.starts_with("127.0.0.1 fe~ 34 SSL handshake failure error:"), "{said}");
    assert!(said.to_lowercase().contains("unsupported") && !said.contains("reason="), "{said}");
}

#[test]
fn the_line_without_tls_may_be_worded_too() {
    let logs = Logs::udp();
    let program = program(&format!(
        "listen fe\n    log {} local0\n    error-log-format \"%ci %f %[fc_err] %[fc_err_str]\"\n    bind \"fd@${{fe}}\" accept-proxy\n    http-request return status 200\n",
        logs.address()
    ));
    let proxy = program.listen("fe").start();
    let mut client = proxy.connect("fe");
    client.send("GET / HTTP/1.1\r\n\r\n");
    client.drain();
    let line = logs.next();
    assert!(text(&line).starts_with("127.0.0.1 fe 15 Received something"), "{line}");
}
