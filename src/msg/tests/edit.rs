//! Edits: what they do, what they refuse, how the result is written.

use super::*;
use lighterman_wire::http::Version;

const BASE: &str = "GET /a?b HTTP/1.1\r\nHost: h\r\nX: 1\r\nx: 2, 3\r\nY: z\r\n\r\n";

#[test]
fn fields() {
    type Edit = fn(&mut Head) -> bool;
    let rows: &[(&str, Edit, &str)] = &[
        ("add", |h| h.add(b"New", b" v ").is_ok(), "Host: h\r\nX: 1\r\nx: 2, 3\r\nY: z\r\nNew: v\r\n"),
        ("set there", |h| h.set(b"x", b"9").is_ok(), "Host: h\r\nY: z\r\nx: 9\r\n"),
        ("set new", |h| h.set(b"n", b"").is_ok(), "Host: h\r\nX: 1\r\nx: 2, 3\r\nY: z\r\nn: \r\n"),
        ("remove", |h| h.remove(b"x") == 2, "Host: h\r\nY: z\r\n"),
        ("remove none", |h| h.remove(b"q") == 0, "Host: h\r\nX: 1\r\nx: 2, 3\r\nY: z\r\n"),
        (
            "remove tag",
            |h| h.remove_tag(lighterman_wire::http::name::Tag::Host) == 1,
            "X: 1\r\nx: 2, 3\r\nY: z\r\n",
        ),
        ("remove if", |h| h.remove_if(|n, v| n == b"x" || v == b"z") == 2, "Host: h\r\nX: 1\r\n"),
        (
            "replace lines",
            |h| {
                h.replace_lines(b"x", |v, out| {
                    out.extend_from_slice(v);
                    out.push(b'!');
                    v == b"2, 3"
                }) == Ok(1)
            },
            "Host: h\r\nX: 1\r\nx: 2, 3!\r\nY: z\r\n",
        ),
        (
            "replace values",
            |h| {
                h.replace_values(b"X", |v, out| {
                    out.extend_from_slice(b"n");
                    v != b"2"
                }) == Ok(2)
            },
            "Host: h\r\nX: n\r\nx: 2,n\r\nY: z\r\n",
        ),
        (
            "set after remove",
            |h| h.remove(b"host") == 1 && h.set(b"Host", b"i").is_ok(),
            "X: 1\r\nx: 2, 3\r\nY: z\r\nHost: i\r\n",
        ),
    ];
    for (what, edit, want) in rows {
        let mut head = request(BASE);
        assert!(edit(&mut head), "{what}");
        assert_eq!(text(&head), format!("GET /a?b HTTP/1.1\r\n{want}\r\n"), "{what}");
        // What was written is understood the same.
        assert_eq!(shown(&request(text(&head))), shown(&head), "{what}");
    }
}

#[test]
fn nothing_corrupt_is_let_in() {
    let mut head = request(BASE);
    for name in [&b""[..], b"a b", b"a:", b"a\r\n", b"\xc3\xa9", b"a\0", &[b'x'; 65_536]] {
        assert_eq!(head.add(name, b"v"), Err(EditError::BadName));
        assert_eq!(head.set(name, b"v"), Err(EditError::BadName));
    }
    for value in [&b"a\r\nEvil: 1"[..], b"a\n", b"\r", b"a\0b"] {
        assert_eq!(head.add(b"n", value), Err(EditError::BadValue));
        assert_eq!(head.set(b"X", value), Err(EditError::BadValue));
        let replaced = head.replace_lines(b"X", |_, out| {
            out.extend_from_slice(value);
            true
        });
        assert_eq!(replaced, Err(EditError::BadValue));
    }
    for target in [&b""[..], b"/a b", b"/a\r\n", b"*", b"x", b"/\0"] {
        assert_eq!(head.set_uri(target), Err(EditError::BadTarget));
    }
    assert_eq!(head.set_path(b"/a b"), Err(EditError::BadTarget));
    assert_eq!(head.set_query(b"a b"), Err(EditError::BadTarget));
    assert_eq!(head.set_method(b"G T"), Err(EditError::BadMethod));
    assert_eq!(head.set_status(200, None), Err(EditError::WrongKind));
    assert_eq!(text(&head), BASE);
    let mut res = response("HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(res.set_status(99, None), Err(EditError::BadStatus));
    assert_eq!(res.set_status(1000, None), Err(EditError::BadStatus));
    assert_eq!(res.set_status(200, Some(b"a\r\nb")), Err(EditError::BadValue));
    assert_eq!(res.set_uri(b"/"), Err(EditError::WrongKind));
    assert_eq!(text(&res), "HTTP/1.1 200 OK\r\n\r\n");
}

#[test]
fn start_lines() {
    type Edit = fn(&mut Head) -> Result<(), EditError>;
    let rows: &[(&str, Edit, &str)] = &[
        ("/a?b", |h| h.set_method(b"PUT"), "PUT /a?b HTTP/1.1"),
        ("/a?b", |h| h.set_path(b"/c/d"), "GET /c/d?b HTTP/1.1"),
        ("/a", |h| h.set_path(b"/c"), "GET /c HTTP/1.1"),
        ("/a?b", |h| h.set_query(b"x=y"), "GET /a?x=y HTTP/1.1"),
        ("/a?b", |h| h.set_query(b""), "GET /a HTTP/1.1"),
        ("/a?b", |h| h.set_pathq(b"/q?r"), "GET /q?r HTTP/1.1"),
        ("/a?b", |h| h.set_uri(b"http://h/p"), "GET http://h/p HTTP/1.1"),
        ("http://h/a?b", |h| h.set_path(b"/n"), "GET http://h/n?b HTTP/1.1"),
        ("http://h?b", |h| h.set_query(b"c"), "GET http://h?c HTTP/1.1"),
        (
            "/",
            |h| {
                h.set_version(Version::V10);
                Ok(())
            },
            "GET / HTTP/1.0",
        ),
        (
            "/",
            |h| {
                h.set_version(Version::V11);
                Ok(())
            },
            "GET / HTTP/1.1",
        ),
    ];
    for (target, edit, want) in rows {
        let mut head = request(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
        edit(&mut head).unwrap();
        assert_eq!(text(&head), format!("{want}\r\nHost: h\r\n\r\n"));
    }
    let mut head = request("GET /a HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n");
    head.set_uri(b"http://other:81/p").unwrap();
    assert_eq!(text(&head), "GET http://other:81/p HTTP/1.1\r\nHost: other:81\r\nA: b\r\n\r\n");
    head.remove(b"host");
    head.set_uri(b"http://third/").unwrap();
    assert_eq!(text(&head), "GET http://third/ HTTP/1.1\r\nA: b\r\nhost: third\r\n\r\n");
    let mut res = response("HTTP/1.1 200 Fine\r\nA: b\r\n\r\n");
    res.set_status(404, None).unwrap();
    assert_eq!(text(&res), "HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n");
    res.set_status(599, Some(b"Odd")).unwrap();
    assert_eq!((res.status(), res.reason()), (599, &b"Odd"[..]));
    res.set_status(598, None).unwrap();
    assert_eq!(text(&res), "HTTP/1.1 598 Server Error\r\nA: b\r\n\r\n");
}

#[test]
fn heads_made_by_hand() {
    let mut head = request(BASE);
    head.start_response(Version::V11, 503, b"Service Unavailable").unwrap();
    head.add(b"content-length", b"0").unwrap();
    assert_eq!(text(&head), "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
    head.start_request(b"OPTIONS", b"*", Version::V20).unwrap();
    head.add(b"Host", b"x").unwrap();
    assert_eq!(text(&head), "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(head.version_text(), b"HTTP/2.0");
    assert_eq!(head.start_request(b"GET", b"*", Version::V11), Err(EditError::BadTarget));
    assert_eq!(head.start_response(Version::V11, 20, b""), Err(EditError::BadStatus));
    assert!(head.is_empty());
}

#[test]
fn growth_is_bounded() {
    let mut head = request(BASE);
    let big = vec![b'x'; 300_000];
    let mut refused = 0;
    for _ in 0..10 {
        refused += usize::from(head.set(b"big", &big) == Err(EditError::Full));
    }
    assert_eq!(refused, 7);
    assert_eq!(head.values(b"big").count(), 1);
    head.clear();
    assert!(head.is_empty() && head.encoded_len() == 2);
    let mut head = request(BASE);
    assert_eq!((0..5000).filter(|_| head.add(b"a", b"b").is_err()).count(), 5000 - (4096 - 4));
}
