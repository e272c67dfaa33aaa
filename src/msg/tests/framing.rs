//! Where messages end, and the classics of request smuggling.

use super::*;
use crate::msg::framing::{self, Body, Framing};
use lighterman_wire::error::What;
use lighterman_wire::http::method::Method;

type Outcome = Result<(Body, bool), What>;

fn decide_request(text: &str, opts: &ParseOpts) -> Outcome {
    let mut head = Head::new();
    match head.parse_request(text.as_bytes(), opts) {
        Parse::Done(..) => outcome(framing::request(&mut head, opts.violations)),
        other => panic!("{text:?}: {other:?}"),
    }
}

fn outcome(decided: Result<Framing, lighterman_wire::error::Malformed>) -> Outcome {
    decided.map(|f| (f.body, f.close)).map_err(|e| e.what)
}

#[test]
fn request_bodies() {
    const CL: What = What::LengthInvalid;
    let none: Outcome = Ok((Body::None, false));
    let chunked: Outcome = Ok((Body::Chunked, false));
    let len = |n| Ok((Body::Length(n), false));
    for (fields, strict, loose) in [
        ("", none, none),
        ("Content-Length: 0\r\n", none, none),
        ("Content-Length: 5\r\n", len(5), len(5)),
        ("Content-Length: 0005\r\n", len(5), len(5)),
        ("content-length:5\t\r\n", len(5), len(5)),
        ("Content-Length: +5\r\n", Err(CL), Err(CL)),
        ("Content-Length: -5\r\n", Err(CL), Err(CL)),
        ("Content-Length: 5 5\r\n", Err(CL), Err(CL)),
        ("Content-Length: 0x5\r\n", Err(CL), Err(CL)),
        ("Content-Length: \r\n", Err(CL), Err(CL)),
        ("Content-Length: 5,\r\n", Err(CL), Err(CL)),
        ("Content-Length: 5.0\r\n", Err(CL), Err(CL)),
        ("Content-Length: \"5\"\r\n", Err(CL), Err(CL)),
        ("Content-Length: 9223372036854775808\r\n", Err(CL), Err(CL)),
        ("Content-Length: 18446744073709551621\r\n", Err(CL), Err(CL)),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", len(5), len(5)),
        ("Content-Length: 5, 5\r\n", len(5), len(5)),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", Err(What::LengthDiffers), Err(What::LengthDiffers)),
        ("Content-Length: 5, 6\r\n", Err(What::LengthDiffers), Err(What::LengthDiffers)),
        ("Transfer-Encoding: chunked\r\n", chunked, chunked),
        ("Transfer-Encoding: CHUNKED\r\n", chunked, chunked),
        ("Transfer-Encoding: gzip, chunked\r\n", chunked, chunked),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", chunked, chunked),
        ("Transfer-Encoding: gzip\r\n", Err(What::CodingNotLast), Err(What::CodingNotLast)),
        ("Transfer-Encoding: identity\r\n", Err(What::CodingNotLast), Err(What::CodingNotLast)),
        ("Transfer-Encoding: chunked, gzip\r\n", Err(What::CodingNotLast), Err(What::CodingNotLast)),
        ("Transfer-Encoding: chunked, identity\r\n", Err(What::CodingNotLast), Err(What::CodingNotLast)),
        ("Transfer-Encoding: chunked, chunked\r\n", Err(What::CodingRepeated), chunked),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Err(What::CodingRepeated), chunked),
        ("Transfer-Encoding: , chunked\r\n", Err(What::CodingInvalid), chunked),
        ("Transfer-Encoding: \r\n", Err(What::CodingInvalid), Err(What::CodingInvalid)),
        ("Transfer-Encoding: xchunked\r\n", Err(What::CodingNotLast), Err(What::CodingNotLast)),
        ("Transfer-Encoding: x chunked\r\n", Err(What::CodingInvalid), Err(What::CodingInvalid)),
        ("Transfer-Encoding: chunked;a=b\r\n", Err(What::CodingInvalid), Err(What::CodingInvalid)),
        ("Transfer-Encoding: \"chunked\"\r\n", Err(What::CodingInvalid), Err(What::CodingInvalid)),
        ("Transfer-Encoding: \x0bchunked\r\n", Err(What::CodingInvalid), Err(What::CodingInvalid)),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            Err(What::LengthWithCoding),
            Ok((Body::Chunked, true)),
        ),
        (
            "Content-Length: 5\r\ntransfer-encoding: chunked\r\n",
            Err(What::LengthWithCoding),
            Ok((Body::Chunked, true)),
        ),
        (
            "Content-Length: 5\r\nTransfer-Encoding: gzip\r\n",
            Err(What::CodingNotLast),
            Err(What::CodingNotLast),
        ),
    ] {
        let text = format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        assert_eq!(decide_request(&text, &ParseOpts::default()), strict, "{fields:?}");
        assert_eq!(decide_request(&text, &super::loose()), loose, "{fields:?}");
    }
}

#[test]
fn old_versions_and_connect() {
    let none: Outcome = Ok((Body::None, false));
    for (text, strict, loose) in [
        (
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            Err(What::CodingInHttp10),
            Err(What::CodingInHttp10),
        ),
        (
            "POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\n",
            Ok((Body::Length(3), false)),
            Ok((Body::Length(3), false)),
        ),
        (
            "GET / HTTP/1.0\r\nContent-Length: 3\r\n\r\n",
            Err(What::BodyUnexpected),
            Ok((Body::Length(3), false)),
        ),
        ("GET / HTTP/1.0\r\nContent-Length: 0\r\n\r\n", none, none),
        ("CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n", none, none),
        (
            "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\nContent-Length: 3\r\n\r\n",
            Err(What::BodyUnexpected),
            Err(What::BodyUnexpected),
        ),
        (
            "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\nTransfer-Encoding: chunked\r\n\r\n",
            Err(What::BodyUnexpected),
            Err(What::BodyUnexpected),
        ),
    ] {
        assert_eq!(decide_request(text, &ParseOpts::default()), strict, "{text:?}");
        assert_eq!(decide_request(text, &super::loose()), loose, "{text:?}");
    }
}

#[test]
fn hosts() {
    let ok: Result<&str, What> = Ok("h");
    for (text, strict, loose) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", ok, ok),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", Ok(""), Ok("")),
        ("GET / HTTP/1.1\r\nHost: h:80\r\n\r\n", Ok("h:80"), Ok("h:80")),
        ("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", Ok("[::1]:80"), Ok("[::1]:80")),
        ("GET / HTTP/1.1\r\n\r\n", Err(What::HostMissing), Ok("-")),
        ("GET / HTTP/1.0\r\n\r\n", Ok("-"), Ok("-")),
        ("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", Err(What::HostRepeated), Err(What::HostRepeated)),
        ("GET / HTTP/1.1\r\nHost: h\r\nhost: i\r\n\r\n", Err(What::HostRepeated), Err(What::HostRepeated)),
        ("GET / HTTP/1.1\r\nHost: h, i\r\n\r\n", Err(What::HostInvalid), Ok("h, i")),
        ("GET / HTTP/1.1\r\nHost: h/p\r\n\r\n", Err(What::HostInvalid), Ok("h/p")),
        ("GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", Err(What::HostInvalid), Ok("u@h")),
        ("GET / HTTP/1.1\r\nHost: h:x\r\n\r\n", Err(What::HostInvalid), Ok("h:x")),
        ("GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", ok, ok),
        ("GET http://h/ HTTP/1.1\r\nHost: H:80\r\n\r\n", Ok("H:80"), Ok("H:80")),
        ("GET https://h/ HTTP/1.1\r\nHost: h:80\r\n\r\n", Err(What::HostMismatch), Ok("h")),
        ("GET http://h/ HTTP/1.1\r\nHost: i\r\n\r\n", Err(What::HostMismatch), Ok("h")),
        ("GET http://h/ HTTP/1.1\r\nHost:\r\n\r\n", Err(What::HostMismatch), Ok("h")),
        ("GET http://h/ HTTP/1.1\r\n\r\n", Err(What::HostMissing), Ok("h")),
        ("GET http://h/ HTTP/1.0\r\n\r\n", Ok("h"), Ok("h")),
        ("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", Ok("h:443"), Ok("h:443")),
        ("CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", ok, ok),
        ("CONNECT h:444 HTTP/1.1\r\nHost: h\r\n\r\n", Err(What::HostMismatch), Ok("h:444")),
        ("CONNECT h:443 HTTP/1.1\r\nHost: i:443\r\n\r\n", Err(What::HostMismatch), Ok("h:443")),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", ok, ok),
    ] {
        for (opts, want) in [(ParseOpts::default(), strict), (super::loose(), loose)] {
            let mut head = Head::new();
            assert!(head.parse_request(text.as_bytes(), &opts).done().is_some());
            let got = framing::request(&mut head, opts.violations)
                .map_err(|e| e.what)
                .map(|_| head.first(b"host").map_or("-".into(), |h| String::from_utf8_lossy(h).into_owned()));
            assert_eq!(got, want.map(str::to_owned), "{text:?} {:?}", opts.violations);
        }
    }
}

#[test]
fn response_bodies() {
    let none: Outcome = Ok((Body::None, false));
    let close: Outcome = Ok((Body::UntilClose, true));
    let chunked: Outcome = Ok((Body::Chunked, false));
    let tunnel: Outcome = Ok((Body::Tunnel, false));
    for (asked, line, fields, strict, loose) in [
        (Method::Get, "HTTP/1.1 200 OK", "", close, close),
        (
            Method::Get,
            "HTTP/1.1 200 OK",
            "Content-Length: 5\r\n",
            Ok((Body::Length(5), false)),
            Ok((Body::Length(5), false)),
        ),
        (Method::Get, "HTTP/1.1 200 OK", "Content-Length: 0\r\n", none, none),
        (Method::Get, "HTTP/1.1 200 OK", "Transfer-Encoding: chunked\r\n", chunked, chunked),
        (Method::Get, "HTTP/1.1 200 OK", "Transfer-Encoding: gzip\r\n", Err(What::CodingNotLast), close),
        (
            Method::Get,
            "HTTP/1.1 200 OK",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            Err(What::LengthWithCoding),
            Ok((Body::Chunked, true)),
        ),
        (
            Method::Get,
            "HTTP/1.1 200 OK",
            "Transfer-Encoding: gzip\r\nContent-Length: 5\r\n",
            Err(What::LengthWithCoding),
            close,
        ),
        (
            Method::Get,
            "HTTP/1.1 200 OK",
            "Transfer-Encoding: chunked, gzip\r\n",
            Err(What::CodingNotLast),
            Err(What::CodingNotLast),
        ),
        (
            Method::Get,
            "HTTP/1.0 200 OK",
            "Transfer-Encoding: chunked\r\n",
            Err(What::CodingInHttp10),
            Err(What::CodingInHttp10),
        ),
        (
            Method::Get,
            "HTTP/1.1 200 OK",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            Err(What::LengthDiffers),
            Err(What::LengthDiffers),
        ),
        (Method::Head, "HTTP/1.1 200 OK", "Content-Length: 5\r\n", none, none),
        (Method::Head, "HTTP/1.1 200 OK", "Transfer-Encoding: chunked\r\n", none, none),
        (
            Method::Head,
            "HTTP/1.1 200 OK",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            Err(What::LengthWithCoding),
            none,
        ),
        (Method::Get, "HTTP/1.1 304 x", "Content-Length: 5\r\n", none, none),
        (Method::Get, "HTTP/1.1 204 x", "Content-Length: 0\r\n", none, none),
        (Method::Get, "HTTP/1.1 204 x", "Transfer-Encoding: chunked\r\n", Err(What::CodingForbidden), none),
        (Method::Get, "HTTP/1.1 100 Continue", "", none, none),
        (Method::Get, "HTTP/1.1 103 Early", "Link: x\r\n", none, none),
        (Method::Get, "HTTP/1.1 101 Switching", "Upgrade: websocket\r\n", tunnel, tunnel),
        (Method::Connect, "HTTP/1.1 200 OK", "Content-Length: 5\r\n", tunnel, tunnel),
        (
            Method::Connect,
            "HTTP/1.1 403 No",
            "Content-Length: 5\r\n",
            Ok((Body::Length(5), false)),
            Ok((Body::Length(5), false)),
        ),
    ] {
        for (opts, want) in [(ParseOpts::default(), strict), (super::loose(), loose)] {
            let mut head = Head::new();
            let text = format!("{line}\r\n{fields}\r\n");
            assert!(head.parse_response(text.as_bytes(), &opts).done().is_some());
            assert_eq!(outcome(framing::response(&mut head, asked, opts.violations)), want, "{text:?}");
        }
    }
}

#[test]
fn what_goes_on_is_unambiguous() {
    let mut head = Head::new();
    let bytes = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\nX: y\r\n\r\n";
    let _ = head.parse_request(bytes, &loose());
    framing::request(&mut head, Violations::Accept).unwrap();
    assert_eq!(text(&head), "POST / HTTP/1.1\r\nHost: h\r\nX: y\r\nContent-Length: 5\r\n\r\n");
    let bytes = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
    let _ = head.parse_request(bytes, &loose());
    framing::request(&mut head, Violations::Accept).unwrap();
    assert_eq!(text(&head), "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut head = response("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nX: y\r\n\r\n");
    framing::response(&mut head, Method::Get, Violations::Refuse).unwrap();
    assert_eq!(text(&head), "HTTP/1.1 204 No Content\r\nX: y\r\n\r\n");
}
