//! The origin over real sockets: exchanges byte for byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use lighterman_term::server::{listen, Server};

/// Starts an origin in a thread that lives as long as the test binary.
fn origin() -> SocketAddr {
    let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)), false).unwrap();
    let mut server = Server::new(vec![listener], None).unwrap();
    let addr = server.addresses().unwrap()[0];
    std::thread::spawn(move || server.run());
    addr
}

fn client(addr: SocketAddr) -> TcpStream {
    let sock = TcpStream::connect(addr).unwrap();
    sock.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    sock
}

/// Sends `request`, shuts nothing, reads to the end.
fn until_close(addr: SocketAddr, request: &str) -> Vec<u8> {
    let mut sock = client(addr);
    sock.write_all(request.as_bytes()).unwrap();
    let mut all = Vec::new();
    sock.read_to_end(&mut all).unwrap();
    all
}

fn split(answer: &[u8]) -> (String, &[u8]) {
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    (String::from_utf8(answer[..end].to_vec()).unwrap(), &answer[end..])
}

#[test]
fn sizes_and_framings() {
    let addr = origin();
    for size in [0usize, 1, 200, 16384, 16385, 65536, 1 << 20, 3_000_001] {
        let request = format!("GET /?s={size} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = until_close(addr, &request);
        let (head, body) = split(&answer);
        assert!(head.contains(&format!("Content-Length: {size}\r\n")), "{head}");
        assert!(head.contains("Connection: close\r\n"), "{head}");
        assert_eq!(body.len(), size);
        let line = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.\n";
        assert!(body.iter().enumerate().all(|(i, b)| *b == line[i % 64]), "size {size}");
        // without a length the bytes are the same
        let old = until_close(addr, &format!("GET /?s={size}&k=1000 HTTP/1.0\r\n\r\n"));
        assert_eq!(split(&old).1, body, "size {size}, close-delimited");
    }
}

#[test]
fn chunked_bodies_add_up() {
    let addr = origin();
    for (size, chunk) in [(0usize, 1usize), (1, 1), (10, 3), (100_000, 7), (1 << 20, 65536)] {
        let k = if chunk == 1 { 2 } else { chunk };
        let request = format!("GET /?s={size}&k={k}&close HTTP/1.1\r\n\r\n");
        let answer = until_close(addr, &request);
        let (head, mut rest) = split(&answer);
        assert!(
            head.contains("Transfer-Encoding: chunked\r\n") && !head.contains("Content-Length"),
            "{head}"
        );
        let mut total = 0;
        loop {
            let end = rest.iter().position(|&b| b == b'\r').unwrap();
            let n = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
            rest = &rest[end + 2..];
            if n == 0 {
                assert_eq!(rest, b"\r\n");
                break;
            }
            assert!(n <= k);
            assert_eq!(&rest[n..n + 2], b"\r\n");
            rest = &rest[n + 2..];
            total += n;
        }
        assert_eq!(total, size);
    }
}

#[test]
fn exchanges() {
    let addr = origin();
    let table: &[(&str, &[&str])] = &[
        // pipelined, the last one closes
        (
            "GET /?s=1 HTTP/1.1\r\n\r\nHEAD /?s=5 HTTP/1.1\r\n\r\nGET /?s=2&c=404 HTTP/1.1\r\nConnection: close\r\n\r\n",
            &["HTTP/1.1 200 OK", "Content-Length: 1\r\n\r\n0HTTP/1.1 200", "Length: 5\r\n\r\nHTTP/1.1 404 Not Found", "\r\n\r\n01"],
        ),
        // a body is drained and told
        (
            "POST /?s=0&E HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET /?close&s=0 HTTP/1.1\r\n\r\n",
            &["X-Req: head=44 body=5\r\n", "Connection: close\r\n"],
        ),
        (
            "POST /?s=0&E&close HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            &["X-Req: head=59 body=3\r\n"],
        ),
        (
            "POST /?s=0&close HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
            &["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"],
        ),
        ("GET /?s=0 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n", &["Connection: keep-alive\r\n"]),
        ("nonsense\r\n\r\n", &["HTTP/1.1 400 Bad Request\r\n", "Connection: close\r\n"]),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: x\r\n\r\n", &["HTTP/1.1 501 Not Implemented\r\n"]),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", &["HTTP/1.1 400 Bad Request\r\n"]),
        ("GET /?H=X-A:%20b&close HTTP/1.1\r\n\r\n", &["\r\nX-A: b\r\n"]),
    ];
    for (request, wants) in table {
        let answer = String::from_utf8_lossy(&until_close(addr, request)).into_owned();
        for want in *wants {
            assert!(answer.contains(want), "{request:?}: no {want:?} in {answer:?}");
        }
    }
}

#[test]
fn delays_delay_and_keep_the_order() {
    let addr = origin();
    let start = Instant::now();
    let answer = until_close(addr, "GET /?s=1&t=60 HTTP/1.1\r\n\r\nGET /?s=2&close HTTP/1.1\r\n\r\n");
    assert!(start.elapsed() >= Duration::from_millis(60));
    let text = String::from_utf8(answer).unwrap();
    assert!(text.contains("Length: 1\r\n\r\n0HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\n01"), "{text}");
}

#[test]
fn a_request_in_single_bytes() {
    let addr = origin();
    let mut sock = client(addr);
    sock.set_nodelay(true).unwrap();
    for byte in b"GET /?s=3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" {
        sock.write_all(&[*byte]).unwrap();
    }
    let mut text = String::new();
    sock.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("\r\n\r\n012"), "{text}");
}

#[test]
fn random_sizes_stay_below() {
    let addr = origin();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..20 {
        let answer = until_close(addr, "GET /?s=1000&R=1&close HTTP/1.1\r\n\r\n");
        let size = split(&answer).1.len();
        assert!(size <= 1000);
        seen.insert(size);
    }
    assert!(seen.len() > 5);
}
