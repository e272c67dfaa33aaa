//! Nanoseconds per message head: parsing, deciding, editing, writing, as the h1 mux does them.
//!
//! `cargo bench --bench head`. Each figure is the best of several rounds: the machine's noise only adds.

use lighterman::msg::framing::{self, Body};
use lighterman::msg::hop::{self, Hop};
use lighterman::msg::{Head, ParseOpts};
use lighterman_wire::error::Parse;
use lighterman_wire::h1::Violations;
use lighterman_wire::http::method::Method;
use lighterman_wire::http::name::Tag;
use std::hint::black_box;

const SMALL: &str =
    "GET /index.html HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n";

const TYPICAL: &str = "GET /images/logo.png?v=12 HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\
    Accept: */*\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nReferer: http://www.example.org/\r\n\r\n";

const BROWSER: &str = "GET /shop/category/42?sort=price&page=3 HTTP/1.1\r\nHost: www.example.org\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nReferer: https://www.example.org/shop\r\n\
    Connection: keep-alive\r\nCookie: session=0123456789abcdef0123456789abcdef; theme=dark; SRV=s1\r\n\
    Upgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\n\
    Priority: u=0, i\r\n\r\n";

const ANSWER: &str = "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Fri, 20 Nov 2026 22:17:53 GMT\r\nContent-Type: text/html\r\n\
    Content-Length: 200\r\nLast-Modified: Thu, 19 Nov 2026 10:00:00 GMT\r\nConnection: keep-alive\r\nETag: \"654-c8\"\r\n\r\n";

fn main() {
    for (name, text) in [("small", SMALL), ("typical", TYPICAL), ("browser", BROWSER)] {
        requests(name, text.as_bytes());
    }
    responses("answer", ANSWER.as_bytes());
}

fn requests(name: &str, bytes: &[u8]) {
    let opts = ParseOpts::default();
    let mut head = Head::new();
    report(name, "parse", bytes.len(), || done(head.parse_request(black_box(bytes), &opts)));
    report(name, "parse, frame, hop", bytes.len(), || {
        done(head.parse_request(black_box(bytes), &opts));
        let framing = framing::request(&mut head, Violations::Refuse);
        assert!(framing.is_ok_and(|f| f.body == Body::None));
        black_box(Hop::of(&head));
    });
    let mut out = Vec::with_capacity(4096);
    report(name, "forward: all, strip, add, encode", bytes.len(), || {
        done(head.parse_request(black_box(bytes), &opts));
        let _ = black_box(framing::request(&mut head, Violations::Refuse));
        black_box(Hop::of(&head));
        hop::strip(&mut head);
        let _ = head.add(b"X-Forwarded-For", b"192.0.2.1");
        out.clear();
        head.encode(black_box(&mut out));
    });
    done(head.parse_request(bytes, &opts));
    report(name, "encode untouched", bytes.len(), || {
        out.clear();
        head.encode(black_box(&mut out));
    });
    report(name, "look up host and an absent field", bytes.len(), || {
        black_box(head.first(black_box(b"host")));
        black_box(head.first(black_box(b"x-not-there")));
        black_box(head.has(Tag::Cookie));
    });
}

fn responses(name: &str, bytes: &[u8]) {
    let opts = ParseOpts::default();
    let mut head = Head::new();
    let mut out = Vec::with_capacity(4096);
    report(name, "parse", bytes.len(), || done(head.parse_response(black_box(bytes), &opts)));
    report(name, "forward: all, strip, encode", bytes.len(), || {
        done(head.parse_response(black_box(bytes), &opts));
        let _ = black_box(framing::response(&mut head, Method::Get, Violations::Refuse));
        black_box(Hop::of(&head));
        hop::strip(&mut head);
        out.clear();
        head.encode(black_box(&mut out));
    });
}

fn done(parsed: Parse<()>) {
    assert!(matches!(parsed, Parse::Done(..)));
}

#[allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a bench reads the clock and prints")]
fn report(head: &str, what: &str, bytes: usize, mut work: impl FnMut()) {
    const ROUNDS: usize = 15;
    const TIMES: u32 = 20_000;
    let mut best = u128::MAX;
    for _ in 0..ROUNDS {
        let start = std::time::Instant::now();
        for _ in 0..TIMES {
            work();
        }
        best = best.min(start.elapsed().as_nanos());
    }
    println!("{head:8} {bytes:4} bytes  {:6.1} ns  {what}", best as f64 / f64::from(TIMES));
}
