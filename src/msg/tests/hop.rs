//! Connection fields and cookies.

use super::*;
use crate::msg::cookie::*;
use crate::msg::hop::{strip, Hop};

#[test]
fn what_a_message_says_of_its_connection() {
    let no = Hop::default();
    for (version, fields, want, persistent) in [
        ("1.1", "", no, true),
        ("1.0", "", no, false),
        ("1.1", "Connection: close\r\n", Hop { close: true, ..no }, false),
        ("1.1", "Connection: Keep-Alive, CLOSE\r\n", Hop { close: true, keep_alive: true, ..no }, false),
        ("1.0", "connection: keep-alive\r\n", Hop { keep_alive: true, ..no }, true),
        (
            "1.0",
            "Connection: keep-alive\r\nConnection: close\r\n",
            Hop { close: true, keep_alive: true, ..no },
            false,
        ),
        ("1.1", "Connection: upgrade\r\nUpgrade: websocket\r\n", Hop { upgrade: true, ..no }, true),
        ("1.1", "Connection: upgrade\r\n", no, true),
        ("1.1", "Upgrade: websocket\r\n", no, true),
        ("1.1", "TE: gzip, trailers\r\n", Hop { trailers: true, ..no }, true),
        ("1.1", "Expect: 100-Continue\r\n", Hop { expect_continue: true, ..no }, true),
        ("1.0", "Expect: 100-continue\r\n", no, false),
        ("1.1", "Connection: closed\r\n", no, true),
    ] {
        let head = request(format!("GET / HTTP/{version}\r\n{fields}\r\n"));
        let hop = Hop::of(&head);
        assert_eq!((hop, hop.is_persistent(head.version())), (want, persistent), "{version} {fields:?}");
    }
}

#[test]
fn connection_fields_go_no_further() {
    for (fields, left) in [
        ("", ""),
        ("A: b\r\n", "A: b\r\n"),
        ("Connection: close\r\nA: b\r\n", "A: b\r\n"),
        ("Connection: Foo, bar\r\nFOO: 1\r\nA: b\r\nBar: 2\r\nfoo: 3\r\n", "A: b\r\n"),
        ("Keep-Alive: 5\r\nProxy-Connection: x\r\nTE: trailers\r\nUpgrade: h2c\r\nA: b\r\n", "A: b\r\n"),
        (
            "Connection: content-length, X-Forwarded-For\r\nContent-Length: 1\r\nX-Forwarded-For: c\r\n",
            "Content-Length: 1\r\nX-Forwarded-For: c\r\n",
        ),
        (
            "Connection: host, cookie, authorization\r\nCookie: a=b\r\nAuthorization: x\r\n",
            "Cookie: a=b\r\nAuthorization: x\r\n",
        ),
        ("Connection: accept\r\nAccept: x\r\n", ""),
    ] {
        let mut head = request(format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
        strip(&mut head);
        assert_eq!(text(&head), format!("GET / HTTP/1.1\r\nHost: h\r\n{left}\r\n"), "{fields:?}");
    }
}

#[test]
fn request_cookies() {
    let base = "GET / HTTP/1.1\r\nCookie: a=1; SRV=s1;b=2\r\nX: y\r\ncookie: SRV=s2\r\n\r\n";
    let head = request(base);
    assert_eq!(cookie(&head, b"SRV"), Some(&b"s1"[..]));
    assert_eq!(cookie(&head, b"srv"), None);
    assert_eq!(cookies(&head).count(), 4);
    let mut cut = request(base);
    assert_eq!(edit_cookies(&mut cut, b"SRV", |_| Fate::Goes), Ok(2));
    assert_eq!(text(&cut), "GET / HTTP/1.1\r\nCookie: a=1; b=2\r\nX: y\r\n\r\n");
    assert_eq!(edit_cookies(&mut cut, b"SRV", |_| Fate::Goes), Ok(0));
    let mut new = request(base);
    assert_eq!(replace_cookie(&mut new, b"SRV", b"longer"), Ok(2));
    assert_eq!(
        text(&new),
        "GET / HTTP/1.1\r\nCookie: a=1; SRV=longer;b=2\r\nX: y\r\ncookie: SRV=longer\r\n\r\n"
    );
    assert_eq!(replace_cookie(&mut new, b"SRV", b"a\r\n"), Err(EditError::BadValue));
}

#[test]
fn cookies_go_and_shrink() {
    let goes = |_: &[u8]| Fate::Goes;
    let loses =
        |value: &[u8]| value.iter().position(|b| *b == b'~').map_or(Fate::Stays, |at| Fate::Loses(at + 1));
    for (line, without, shorter) in [
        ("S=c1", "", "S=c1"),
        ("S=c1; a=1", "a=1", "S=c1; a=1"),
        ("a=1; S=c1", "a=1", "a=1; S=c1"),
        ("a=1; S=c1; b=2", "a=1; b=2", "a=1; S=c1; b=2"),
        ("a=1;S=c1;b=2", "a=1; b=2", "a=1;S=c1;b=2"),
        ("a=1 , S=c1, b=2", "a=1, b=2", "a=1 , S=c1, b=2"),
        ("$Version=1; S=c1; $Path=/", "", "$Version=1; S=c1; $Path=/"),
        ("a=\"; S=c1; \"; S=c1~", "a=\"; S=c1; \"", "a=\"; S=c1; \"; S="),
        ("S=1; S=2", "", "S=1; S=2"),
        ("S=1; a=1; S=2; b", "a=1; b", "S=1; a=1; S=2; b"),
        ("S = c1~app; a=1", "a=1", "S = app; a=1"),
        ("a=S; S=c1~x~y;", "a=S;", "a=S; S=x~y;"),
        ("S=c1~; b=~", "b=~", "S=; b=~"),
        ("S; =S; s=1; SS=2", "S; =S; s=1; SS=2", "S; =S; s=1; SS=2"),
    ] {
        let head = || request(format!("GET / HTTP/1.1\r\nCookie: {line}\r\n\r\n"));
        let shown = |value: &str| match value {
            "" => "GET / HTTP/1.1\r\n\r\n".to_string(),
            value => format!("GET / HTTP/1.1\r\nCookie: {value}\r\n\r\n"),
        };
        let (mut one, mut two) = (head(), head());
        edit_cookies(&mut one, b"S", goes).unwrap();
        edit_cookies(&mut two, b"S", loses).unwrap();
        assert_eq!((text(&one), text(&two)), (shown(without), shown(shorter)), "{line}");
    }
}

#[test]
fn response_cookies() {
    let base = "HTTP/1.1 200 OK\r\nSet-Cookie: SRV=x; Path=/\r\nSet-Cookie: b=2\r\n\r\n";
    let head = response(base);
    assert_eq!(first_set_cookie(&head, b"SRV"), Some(&b"x"[..]));
    assert_eq!(set_cookies(&head).count(), 2);
    let mut new = response(base);
    assert_eq!(replace_set_cookie(&mut new, b"SRV", b"s1~x"), Ok(1));
    assert_eq!(text(&new), "HTTP/1.1 200 OK\r\nSet-Cookie: SRV=s1~x; Path=/\r\nSet-Cookie: b=2\r\n\r\n");
    let mut more = response(base);
    assert_eq!(prefix_set_cookie(&mut more, b"SRV", b"s1~"), Ok(1));
    assert_eq!(text(&more), text(&new));
    let mut gone = response(base);
    assert_eq!(remove_set_cookie(&mut gone, b"SRV"), 1);
    assert_eq!(text(&gone), "HTTP/1.1 200 OK\r\nSet-Cookie: b=2\r\n\r\n");
}
