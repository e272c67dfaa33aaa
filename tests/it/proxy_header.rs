//! The PROXY protocol, versions 1 and 2, in and out, chained, and with Debian's haproxy where it is installed.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lighterman_harness::header::{self, raw_v2, v1, v2};
use lighterman_harness::tls::{Cert, Client};
use lighterman_harness::{Dir, Logs, Peer, Program, Reply, Request, Server};

use crate::program;

/// An origin that tells what X-Src and X-Dst it got.
fn teller() -> Server {
    let tell = |r: &Request, name: &str| r.field(name).unwrap_or("-").to_string();
    Server::http(move |r| Reply::ok(format!("{} {}", tell(r, "x-src"), tell(r, "x-dst"))))
}

/// A frontend that expects the header and shows the addresses to the origin.
fn accepting(server: &Server) -> Program {
    program(&format!(
        "listen fe\n    bind \"fd@${{fe}}\" accept-proxy\n    http-request set-header X-Src %[src]:%[src_port]\n    http-request set-header X-Dst %[dst]:%[dst_port]\n    server s1 {}\n",
        server.addr()
    ))
    .listen("fe")
}

#[test]
fn the_header_gives_the_addresses() {
    let server = teller();
    let proxy = accepting(&server).start();
    let cases: &[(Vec<u8>, &str)] = &[
        (v1("1.2.3.4:56", "5.6.7.8:443").into(), "1.2.3.4:56 5.6.7.8:443"),
        (v1("[2001:db8::1]:56", "[2001:db8::2]:443").into(), "2001:db8::1:56 2001:db8::2:443"),
        (v2("1.2.3.4:56", "5.6.7.8:443", &[]), "1.2.3.4:56 5.6.7.8:443"),
        (v2("[2001:db8::1]:56", "[2001:db8::2]:443", &[]), "2001:db8::1:56 2001:db8::2:443"),
        (v2("9.8.7.6:1", "5.4.3.2:2", &[(4, b"padding"), (0xE0, b"custom")]), "9.8.7.6:1 5.4.3.2:2"),
    ];
    for (header, expected) in cases {
        let mut client = proxy.connect("fe");
        client.send(header);
        assert_eq!(client.get("/").text(), *expected, "{}", header.escape_ascii());
        // In one packet with the request, and byte by byte.
        let mut client = proxy.connect("fe");
        client.send([header, &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..]].concat());
        assert_eq!(client.response().text(), *expected);
        let mut client = proxy.connect("fe");
        for byte in header {
            client.send([*byte]);
        }
        assert_eq!(client.get("/").text(), *expected);
    }
}

#[test]
fn local_and_unknown_keep_the_real_addresses() {
    let server = teller();
    let proxy = accepting(&server).start();
    for header in [
        header::v2_local(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN whatever 1 2 3\r\n".to_vec(),
        raw_v2(0x21, 0, b""),
    ] {
        let mut client = proxy.connect("fe");
        client.send(&header);
        let expected = format!("127.0.0.1:{} {}", client.port(), client.remote());
        assert_eq!(client.get("/").text(), expected, "{}", header.escape_ascii());
    }
}

#[test]
fn what_is_not_a_header_is_closed_without_an_answer() {
    let server = teller();
    let proxy = accepting(&server).start();
    let bad: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 56\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 056 443\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 56 65536\r\n",
        b"PROXY TCP4 1.2.3.4  5.6.7.8 56 443\r\n",
        b"PROXY TCP4 1.2.3.444 5.6.7.8 56 443\r\n",
        b"PROXY TCP4 ::1 ::2 56 443\r\n",
        b"PROXY TCP6 1.2.3.4 5.6.7.8 56 443\r\n",
        b"PROXY UDP4 1.2.3.4 5.6.7.8 56 443\r\n",
        b"proxy TCP4 1.2.3.4 5.6.7.8 56 443\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 56 443\nGET / HTTP/1.1\r\n",
        &raw_v2(0x11, 0x11, &[0; 12]),
        &raw_v2(0x22, 0x11, &[0; 12]),
        &raw_v2(0x21, 0x11, &[0; 11]),
        &raw_v2(0x21, 0x41, &[0; 12]),
        &raw_v2(0x21, 0x11, &[1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 0, 2, 4, 0, 9, 1]),
    ];
    for header in bad {
        let mut client = proxy.connect("fe");
        client.send(header);
        client.half_close();
        assert_eq!(client.drain().0, b"", "{}", header.escape_ascii());
    }
    let long = format!("PROXY TCP4 1.2.3.4 5.6.7.8 56 443{}\r\n", " ".repeat(120));
    let mut client = proxy.connect("fe");
    client.send(long);
    assert_eq!(client.drain().0, b"");
    assert_eq!(server.connections(), 0);
}

#[test]
fn the_header_is_awaited_no_longer_than_the_client_timeout() {
    let server = teller();
    let proxy = program(&format!(
        "listen fe\n    timeout client 300ms\n    bind \"fd@${{fe}}\" accept-proxy\n    server s1 {}\n",
        server.addr()
    ))
    .listen("fe")
    .start();
    let mut client = proxy.connect("fe");
    client.send("PROXY TCP4 1.2");
    let began = lighterman_harness::Watch::start();
    client.drain();
    assert!(began.elapsed() > Duration::from_millis(200));
}

#[test]
fn the_log_names_what_came_instead() {
    let (server, logs) = (teller(), Logs::udp());
    let proxy = program(&format!(
        "listen fe\n    log {} local0\n    bind \"fd@${{fe}}\" accept-proxy name front\n    server s1 {}\n",
        logs.address(),
        server.addr()
    ))
    .listen("fe")
    .start();
    for (bytes, words) in [
        (&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], "HTTP"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00\x00", "TLS"),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 056 443\r\n", "PROXY"),
    ] {
        let mut client = proxy.connect("fe");
        let port = client.port();
        client.send(bytes);
        client.half_close();
        client.drain();
        let line = logs.next_with(&format!("127.0.0.1:{port} ["));
        assert!(line.contains("] fe/front: ") && line.contains(words), "{line}");
    }
}

/// The first bytes that a server gets through `server .. <options>`, read by `read`.
fn sent<T: Send + 'static>(
    options: &str,
    ssl: bool,
    read: impl Fn(&mut Peer) -> T + Send + Sync + 'static,
) -> (T, SocketAddr, SocketAddr) {
    let (tell, told) = std::sync::mpsc::channel();
    let server = Server::start(move |mut peer, _| {
        tell.send(read(&mut peer)).unwrap();
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let tls = if ssl { "ssl crt \"${pem}\" alpn http/1.1" } else { "" };
    let program = program(&format!(
        "listen fe\n    unique-id-format id-%[src_port]\n    bind \"fd@${{fe}}\" {tls}\n    server s1 {} {options}\n",
        server.addr()
    ))
    .listen("fe");
    let pem = program.file("a.pem", Cert::new(&["a.test"]).pem());
    let proxy = program.env("pem", pem).start();
    let mut client = if ssl {
        Client::new().sni("a.test").alpn(&["http/1.1"]).build().connect(proxy.addr("fe"))
    } else {
        proxy.connect("fe")
    };
    assert_eq!(client.get("/").text(), "ok");
    (told.recv_timeout(lighterman_harness::LIMIT).unwrap(), client.addr(), client.remote())
}

#[test]
fn version_1_is_sent() {
    let (line, src, dst) = sent("send-proxy", false, Peer::proxy_v1);
    assert_eq!(line, format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}", src.port(), dst.port()));
}

#[test]
fn version_2_is_sent() {
    let (header, src, dst) = sent("send-proxy-v2", false, Peer::proxy_v2);
    assert_eq!((header.command, header.family, header.src, header.dst), (1, 0x11, Some(src), Some(dst)));
    assert!(header.tlvs.is_empty(), "{header:?}");
}

#[test]
fn version_2_carries_what_was_asked() {
    let options = "send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,authority,crc32c,unique-id";
    let (header, src, _) = sent(options, true, Peer::proxy_v2);
    assert_eq!(header.tlv(0x02), Some(&b"a.test"[..]), "authority");
    assert_eq!(header.tlv(0x05), Some(format!("id-{}", src.port()).as_bytes()), "unique id");
    let (client, verify, inner) = header.ssl().expect("the TLS part");
    assert_eq!((client & 1, client & 6), (1, 0), "TLS, without a client certificate");
    assert_ne!(verify, 0, "no certificate was verified");
    let of = |kind: u8| {
        inner.iter().find(|(k, _)| *k == kind).map(|(_, v)| String::from_utf8_lossy(v).into_owned())
    };
    assert_eq!(of(0x21).as_deref(), Some("TLSv1.3"));
    assert!(of(0x23).is_some_and(|c| c.contains("AES") || c.contains("CHACHA")), "{inner:?}");
    // The checksum is over the header with its own field zeroed.
    let crc = header.tlv(0x03).expect("a checksum").to_vec();
    let at = header.raw.windows(7).position(|w| w[..3] == [3, 0, 4] && w[3..] == crc[..]).unwrap() + 3;
    let mut zeroed = header.raw.clone();
    zeroed[at..at + 4].fill(0);
    assert_eq!(u32::from_be_bytes(crc.try_into().unwrap()), crc32c(&zeroed));
}

/// Bit by bit, as RFC 3720 defines it.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { (c >> 1) ^ 0x82f6_3b78 } else { c >> 1 })
    };
    !bytes.iter().fold(!0, step)
}

#[test]
fn the_short_names_ask_for_the_tls_part() {
    let (header, ..) = sent("send-proxy-v2-ssl", true, Peer::proxy_v2);
    assert!(header.ssl().is_some());
    let (header, ..) = sent("send-proxy-v2-ssl-cn", true, Peer::proxy_v2);
    assert!(header.ssl().is_some());
    let (header, ..) = sent("send-proxy-v2-ssl", false, Peer::proxy_v2);
    assert!(header.ssl().is_none_or(|(client, ..)| client & 1 == 0), "a plain client is not said to be TLS");
}

#[test]
fn the_header_comes_before_the_tls_of_the_server() {
    let context = Cert::new(&["s.test"]).server();
    let server = Server::start(move |mut peer, _| {
        peer = peer.careful();
        let line = peer.proxy_v1();
        let mut ssl = openssl::ssl::Ssl::new(&context).unwrap();
        ssl.set_accept_state();
        let mut peer: Peer = ssl.accept(peer.into_tcp()).unwrap().into();
        peer.request();
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{line}", line.len()));
    });
    let proxy = program(&format!(
        "listen fe\n    bind \"fd@${{fe}}\"\n    server s1 {} ssl verify none send-proxy\n",
        server.addr()
    ))
    .listen("fe")
    .start();
    let mut client = proxy.connect("fe");
    let port = client.port();
    assert!(client.get("/").text().contains(&port.to_string()));
}

#[test]
fn two_tiers_keep_the_client() {
    for send in ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl"] {
        let server = teller();
        let inner = accepting(&server).start();
        let outer = program(&format!(
            "listen fe\n    mode tcp\n    bind \"fd@${{fe}}\"\n    server inner {} {send}\n",
            inner.addr("fe")
        ))
        .listen("fe")
        .start();
        let mut client = outer.connect("fe");
        let expected = format!("127.0.0.1:{} {}", client.port(), client.remote());
        for _ in 0..3 {
            assert_eq!(client.get("/").text(), expected, "{send}");
        }
    }
}

#[test]
fn the_first_of_three_tiers_is_seen_by_the_last() {
    let server = teller();
    let last = accepting(&server).start();
    let middle = program(&format!(
        "listen fe\n    mode tcp\n    bind \"fd@${{fe}}\" accept-proxy\n    server last {} send-proxy-v2\n",
        last.addr("fe")
    ))
    .listen("fe")
    .start();
    let mut client = middle.connect("fe");
    client.send(v1("10.0.0.1:1111", "10.0.0.2:2222"));
    assert_eq!(client.get("/").text(), "10.0.0.1:1111 10.0.0.2:2222");
}

/// Debian's haproxy with this configuration; killed on drop. None when it is not installed.
struct Haproxy(Child, Dir);

impl Haproxy {
    fn start(text: &str) -> Option<Haproxy> {
        let binary = ["/usr/sbin/haproxy", "/usr/bin/haproxy"]
            .into_iter()
            .find(|p| std::path::Path::new(p).exists())?;
        let dir = Dir::new();
        let prelude = "defaults\n    mode http\n    timeout connect 10s\n    timeout client 20s\n    timeout server 20s\n";
        let file = dir.file("haproxy.cfg", format!("{prelude}{text}"));
        let mut command = Command::new(binary);
        command
            .args(["-db", "-f", &file])
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Some(Haproxy(command.spawn().ok()?, dir))
    }

    /// Connects to the UNIX socket on which it listens; it makes it when it is ready.
    fn socket(dir: &Dir) -> String {
        dir.at("sock")
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        let _ = &self.1;
    }
}

#[test]
fn to_haproxy() {
    for send in ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl"] {
        let server = teller();
        let dir = Dir::new();
        let socket = Haproxy::socket(&dir);
        let Some(_haproxy) = Haproxy::start(&format!(
            "listen fe\n    bind unix@{socket} accept-proxy\n    http-request set-header X-Src %[src]:%[src_port]\n    http-request set-header X-Dst %[dst]:%[dst_port]\n    server s1 {}\n",
            server.addr()
        )) else {
            return;
        };
        lighterman_harness::eventually("haproxy to listen", || std::path::Path::new(&socket).exists());
        let proxy = program(&format!(
            "listen fe\n    mode tcp\n    bind \"fd@${{fe}}\"\n    server inner unix@{socket} {send}\n"
        ))
        .listen("fe")
        .start();
        let mut client = proxy.connect("fe");
        let expected = format!("127.0.0.1:{} {}", client.port(), client.remote());
        assert_eq!(client.get("/").text(), expected, "{send}");
    }
}

#[test]
fn from_haproxy() {
    for send in ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl"] {
        let server = teller();
        let dir = Dir::new();
        let socket = Haproxy::socket(&dir);
        let inner = accepting(&server).start();
        let Some(_haproxy) = Haproxy::start(&format!(
            "listen fe\n    mode tcp\n    bind unix@{socket} accept-proxy\n    server inner {} {send}\n",
            inner.addr("fe")
        )) else {
            return;
        };
        let sock =
            lighterman_harness::until("haproxy", || std::os::unix::net::UnixStream::connect(&socket).ok());
        let mut client = Peer::from(sock);
        client.send(v1("10.0.0.1:1111", "10.0.0.2:2222"));
        assert_eq!(client.get("/").text(), "10.0.0.1:1111 10.0.0.2:2222", "{send}");
    }
}
