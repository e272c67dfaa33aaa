//! Heads as they come off the wire.

use super::*;
use lighterman_wire::error::{Malformed, What};
use lighterman_wire::http::method::Method;
use lighterman_wire::http::name::Tag;
use lighterman_wire::http::Version;

#[test]
fn a_request_and_all_its_parts() {
    let h = request(
        "POST http://h:81/a/b?c=d HTTP/1.0\r\nHost: h:81\r\nX-A:1\r\nx-a:\t2, \"3,4\" \r\nEmpty:\r\n\r\n",
    );
    assert!(h.is_request());
    assert_eq!((h.method(), h.method_kind()), (&b"POST"[..], Method::Post));
    assert_eq!(h.uri(), b"http://h:81/a/b?c=d");
    assert_eq!((h.scheme(), h.authority(), h.pathq()), (&b"http"[..], &b"h:81"[..], &b"/a/b?c=d"[..]));
    assert_eq!((h.path(), h.query()), (&b"/a/b"[..], Some(&b"c=d"[..])));
    assert_eq!((h.version(), h.version_text()), (Version::V10, &b"HTTP/1.0"[..]));
    assert_eq!(h.first(b"HOST"), Some(&b"h:81"[..]));
    assert_eq!(h.values(b"x-A").collect::<Vec<_>>(), [&b"1"[..], b"2, \"3,4\""]);
    assert_eq!(h.comma_values(b"x-a").collect::<Vec<_>>(), [&b"1"[..], b"2", b"\"3,4\""]);
    assert_eq!(h.joined(b"x-a").as_deref(), Some(&b"1, 2, \"3,4\""[..]));
    assert_eq!(h.first(b"empty"), Some(&b""[..]));
    assert_eq!((h.first(b"x-b"), h.joined(b"x-b")), (None, None));
    assert!(h.has(Tag::Host) && !h.has(Tag::Cookie));
    assert_eq!(h.field_count(), 4);
    assert_eq!(h.status(), 0);
}

#[test]
fn a_response_and_all_its_parts() {
    let h = response("HTTP/1.1 404 Not Found\r\nServer: x\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n");
    assert!(!h.is_request());
    assert_eq!((h.status(), h.reason(), h.version()), (404, &b"Not Found"[..], Version::V11));
    assert_eq!(h.tagged(Tag::SetCookie).collect::<Vec<_>>(), [&b"a=b"[..], b"c=d"]);
    assert_eq!((h.method(), h.uri(), h.query()), (&b""[..], &b""[..], None));
}

#[test]
fn untouched_heads_are_written_as_they_came() {
    for t in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nx: \r\nAccept: */*\r\n\r\n",
    ] {
        assert_eq!(text(&request(t)), t);
    }
    for t in ["HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "HTTP/1.0 200 \r\n\r\n"] {
        assert_eq!(text(&response(t)), t);
    }
}

#[test]
fn odd_but_valid_forms_are_written_in_plain_form() {
    for (came, leaves) in [
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("\nGET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (
            "GET / HTTP/1.1\r\nHost:a\r\nB:  c \r\nD: e\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nB: c\r\nD: e\r\n\r\n",
        ),
        ("GET / HTTP/1.9\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("GET / HTTP/1.1\r\nHost: a\r\nB:\tc\r\n\n", "GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n"),
    ] {
        assert_eq!(text(&request(came)), leaves);
    }
    assert_eq!(text(&response("HTTP/1.1 200\r\n\r\n")), "HTTP/1.1 200 \r\n\r\n");
}

/// Feeds a head byte by byte and whole; both must agree.
fn feed(bytes: &[u8], opts: &ParseOpts, is_request: bool) -> Parse<()> {
    let parse = |h: &mut Head, b: &[u8]| {
        if is_request {
            h.parse_request(b, opts)
        } else {
            h.parse_response(b, opts)
        }
    };
    let mut slow = Head::new();
    let mut last = Parse::Need;
    for n in 0..=bytes.len() {
        last = parse(&mut slow, &bytes[..n]);
        if last != Parse::Need {
            break;
        }
    }
    let mut fast = Head::new();
    let whole = parse(&mut fast, bytes);
    assert_eq!(std::mem::discriminant(&whole), std::mem::discriminant(&last), "{}", bytes.escape_ascii());
    if let Parse::Done(..) = whole {
        assert_eq!(whole, last);
        assert!(fast.fields().eq(slow.fields()));
    }
    whole
}

#[test]
fn refused_requests() {
    let line = "GET / HTTP/1.1\r\n";
    for (rest, what, at) in [
        (&b"Host : a\r\n\r\n"[..], What::NameByte, 4),
        (b"Host: a\r\n folded\r\n\r\n", What::ObsFold, 9),
        (b"Host: a\r\n\tfolded\r\n\r\n", What::ObsFold, 9),
        (b" Host: a\r\n\r\n", What::LeadingSpace, 0),
        (b"Host: a\rb\r\n\r\n", What::BareCr, 7),
        (b"Host: a\r\r\n\r\n", What::BareCr, 7),
        (b"Host: a\0b\r\n\r\n", What::ValueByte, 7),
        (b"nocolon\r\n\r\n", What::ColonMissing, 7),
        (b": a\r\n\r\n", What::NameEmpty, 0),
        (b"a b: c\r\n\r\n", What::NameByte, 1),
        (b"X\xa0: c\r\n\r\n", What::NameByte, 1),
        (b"Content-Length\x0b: 5\r\n\r\n", What::NameByte, 14),
        (b"Transfer-Encoding\x00: chunked\r\n\r\n", What::ValueByte, 17),
    ] {
        let bytes = [line.as_bytes(), rest].concat();
        let want = Parse::Bad(Malformed::new(what, line.len() + at));
        assert_eq!(feed(&bytes, &ParseOpts::default(), true), want, "{}", rest.escape_ascii());
    }
    for (bytes, what) in [
        (&b"\x16\x03\x01\x02\x00\x01"[..], What::Method),
        (b"SSH-2.0-OpenSSH\r\n", What::TargetMissing),
        (b"get\t/ HTTP/1.1\r\n\r\n", What::Method),
        (b"\rGET / HTTP/1.1\r\n\r\n", What::BareCr),
        (b"GET / HTTP/1.1\rHost: a\r\n\r\n", What::BareCr),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", What::Http2Preface),
    ] {
        let got = feed(bytes, &ParseOpts::default(), true).bad().map(|b| b.what);
        assert_eq!(got, Some(what), "{}", bytes.escape_ascii());
    }
}

#[test]
fn refused_responses() {
    for (bytes, what) in [
        (&b"\r\nHTTP/1.1 200 OK\r\n\r\n"[..], What::Version),
        (b"SSH-2.0-OpenSSH\r\n", What::Version),
        (b"220 mail ESMTP\r\n", What::Version),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", What::Status),
        (b"HTTP/1.1 200 O\x01K\r\n\r\n", What::Reason),
        (b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", What::NameByte),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", What::ObsFold),
    ] {
        let got = feed(bytes, &ParseOpts::default(), false).bad().map(|b| b.what);
        assert_eq!(got, Some(what), "{}", bytes.escape_ascii());
    }
}

#[test]
fn garbage_is_refused_before_its_line_ends() {
    let opts = ParseOpts::default();
    assert!(Head::new().parse_request(b"\x16", &opts).bad().is_some());
    assert!(Head::new().parse_request(b"GE\xff", &opts).bad().is_some());
    assert!(Head::new().parse_response(b"220-", &opts).bad().is_some());
    assert_eq!(Head::new().parse_request(b"\r", &opts), Parse::Need);
    assert_eq!(Head::new().parse_request(b"GET /", &opts), Parse::Need);
    assert_eq!(Head::new().parse_response(b"HT", &opts), Parse::Need);
}

#[test]
fn violations_let_through_when_accepted() {
    for (bytes, kept) in [
        (&b"GET / HTTP/1.1\r\nHost: a\r\nx y: 1\r\n\r\n"[..], &b"x y"[..]),
        (b"GET / HTTP/1.1\r\nHost: a\r\nx\0y: 1\r\n\r\n", b"x\0y"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nq: 1\0\r\n\r\n", b"q"),
        (b"GET /\xc3\xa9#f HTTP/1.1\r\nHost: a\r\n\r\n", b"host"),
        (b"SETUP / RTSP/1.0\r\nHost: a\r\n\r\n", b"host"),
    ] {
        assert!(feed(bytes, &ParseOpts::default(), true).bad().is_some());
        assert_eq!(feed(bytes, &loose(), true), Parse::Done((), bytes.len()));
        let mut head = Head::new();
        let _ = head.parse_request(bytes, &loose());
        assert!(head.first(kept).is_some(), "{}", kept.escape_ascii());
    }
    let mut head = Head::new();
    let _ = head.parse_request(b"SETUP /x RTSP/1.0\r\nA:b\r\n\r\n", &loose());
    assert_eq!(text(&head), "SETUP /x RTSP/1.0\r\nA: b\r\n\r\n");
    let _ = head.parse_request(b"GET /x\r\n\r\n", &loose());
    assert_eq!((head.version(), text(&head).as_str()), (Version::V10, "GET /x HTTP/1.0\r\n\r\n"));
}

#[test]
fn limits_hold_however_the_bytes_arrive() {
    let opts = ParseOpts { head_max: 64, fields_max: 2, ..ParseOpts::default() };
    let fits = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "a".repeat(64 - 26));
    assert_eq!(fits.len(), 64);
    assert_eq!(feed(fits.as_bytes(), &opts, true), Parse::Done((), 64));
    let large = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "a".repeat(64 - 25));
    let too_large = Some(What::HeadTooLarge);
    assert_eq!(feed(large.as_bytes(), &opts, true).bad().map(|b| b.what), too_large);
    assert_eq!(feed(&b"\r\n".repeat(40), &opts, true).bad().map(|b| b.what), too_large);
    let many = "GET / HTTP/1.1\r\na: b\r\na: b\r\na: b\r\n\r\n";
    assert_eq!(feed(many.as_bytes(), &opts, true).bad().map(|b| b.what), Some(What::TooManyFields));
}

#[test]
fn what_follows_the_head_is_not_touched() {
    let mut head = Head::new();
    let bytes = b"POST / HTTP/1.1\r\nHost: a\r\n\r\nbody\r\n\r\nGET / HTTP/1.1\r\n";
    assert_eq!(head.parse_request(bytes, &ParseOpts::default()), Parse::Done((), 28));
    // The same head takes the next message without being told.
    assert_eq!(
        head.parse_request(b"GET /2 HTTP/1.1\r\nB: c\r\n\r\n", &ParseOpts::default()),
        Parse::Done((), 25)
    );
    assert_eq!((head.uri(), head.field_count()), (&b"/2"[..], 1));
}

#[test]
fn a_head_arriving_in_pieces_is_looked_at_once() {
    // 15 KB in single bytes: quadratic work would take 100 million steps and show in the test's time.
    let bytes = format!("GET /{} HTTP/1.1\r\nHost: {}\r\n\r\n", "p".repeat(7000), "h".repeat(8000));
    assert_eq!(feed(bytes.as_bytes(), &ParseOpts::default(), true), Parse::Done((), bytes.len()));
}

#[test]
fn a_refused_head_is_empty() {
    let mut head = Head::new();
    let _ = head.parse_request(b"GET / HTTP/1.1\r\nA: b\r\n c\r\n", &ParseOpts::default());
    assert!(head.is_empty());
    assert_eq!((head.field_count(), head.version()), (0, Version::V11));
}
