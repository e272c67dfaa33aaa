//! HTTP through a whole worker: messages, their ends, connections that are kept.

use super::*;

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

/// What an exchange looks like from the four sides. `close`: the server ends its side afterwards.
struct Case {
    ask: &'static [u8],
    /// What the server must see.
    asked: &'static str,
    tell: &'static [u8],
    close: bool,
    /// What the client must see.
    told: &'static str,
    /// Whether the connections live on: (client, server).
    kept: (bool, bool),
}

const CASES: &[Case] = &[
    Case {
        ask: GET,
        asked: "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
        tell: b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        close: false,
        told: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        kept: (true, true),
    },
    // a chunked body with extensions and trailers
    Case {
        ask: b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n",
        asked: "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n<abcde>T: u\r\n",
        tell: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfgh\r\n0\r\nX: y\r\n\r\n",
        close: false,
        told: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n<fgh>X: y\r\n",
        kept: (true, true),
    },
    // HEAD: the fields tell of a body that does not come
    Case {
        ask: b"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n",
        asked: "HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n",
        tell: b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        close: false,
        told: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        kept: (true, true),
    },
    Case {
        ask: b"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n",
        asked: "HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n",
        tell: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        close: false,
        told: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        kept: (true, true),
    },
    Case {
        ask: GET,
        asked: "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
        tell: b"HTTP/1.1 204 No Content\r\n\r\n",
        close: false,
        told: "HTTP/1.1 204 No Content\r\n\r\n",
        kept: (true, true),
    },
    Case {
        ask: GET,
        asked: "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
        tell: b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
        close: false,
        told: "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
        kept: (true, true),
    },
    // the end of the connection ends the body
    Case {
        ask: GET,
        asked: "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
        tell: b"HTTP/1.1 200 OK\r\n\r\nto the end",
        close: true,
        told: "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nto the end",
        kept: (false, false),
    },
    // any number of interim responses
    Case {
        ask: b"POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
        asked: "POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
        tell: b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: l\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        close: false,
        told: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: l\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        kept: (true, true),
    },
    // the client wants no more
    Case {
        ask: b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        asked: "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
        tell: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        close: false,
        told: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nconnection: close\r\n\r\nhi",
        kept: (false, true),
    },
    // the server wants no more
    Case {
        ask: GET,
        asked: "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
        tell: b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
        close: false,
        told: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        kept: (true, false),
    },
    // fields of one hop stay there
    Case {
        ask: b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: x-own, keep-alive\r\nX-Own: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nY: 2\r\n\r\n",
        asked: "GET /a HTTP/1.1\r\nHost: h\r\nY: 2\r\n\r\n",
        tell: b"HTTP/1.1 200 OK\r\nConnection: keep-alive, z\r\nZ: 1\r\nContent-Length: 2\r\n\r\nhi",
        close: false,
        told: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        kept: (true, true),
    },
];

/// A chunked body as `<data>trailers`: its division into chunks is nobody's business.
fn joined(message: &str) -> String {
    let Some((head, mut rest)) = message.split_once("\r\n\r\n") else { return message.into() };
    if !head.to_ascii_lowercase().contains("transfer-encoding: chunked") || rest.is_empty() {
        return message.into();
    }
    let mut data = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n").expect("a size line");
        let size = usize::from_str_radix(size, 16).expect("a size");
        if size == 0 {
            let trailers = after.strip_suffix("\r\n").expect("an end");
            return format!("{head}\r\n\r\n<{data}>{trailers}");
        }
        data += &after[..size];
        rest = after[size..].strip_prefix("\r\n").expect("an end of line");
    }
}

#[test]
fn messages_end_where_they_should() {
    for seed in 0..256 {
        for case in CASES {
            let what = || format!("seed {seed}, {}", case.ask.escape_ascii());
            within(&plan(Mode::Http, 1), seed, |w| {
                let mut client = w.client();
                let mut got = w.say(&mut client, case.ask);
                let mut server = w.server();
                let mut asked = w.hear(&mut server);
                got.extend(w.converse(&mut client, &mut server, &[], &mut asked));
                assert_eq!(joined(&text(asked)), case.asked, "{}", what());
                got.extend(w.tell(&mut server, case.tell, &mut client));
                if case.close {
                    server.shut_write();
                    got.extend(w.hear(&mut client));
                }
                assert_eq!(joined(&text(got)), case.told, "{}", what());
                assert_eq!(w.verdict().1, "----", "{}", what());
                assert_eq!((!client.is_ended(), !server.is_ended()), case.kept, "{}", what());
            });
        }
    }
}

#[test]
fn keep_alive_on_both_sides() {
    for seed in 0..256 {
        within(&plan(Mode::Http, 1), seed, |w| {
            let mut client = w.client();
            w.say(&mut client, GET);
            let mut server = w.server();
            for n in 0..3 {
                if n > 0 {
                    w.say(&mut client, GET);
                }
                assert_eq!(text(w.hear(&mut server)), text(GET.to_vec()), "seed {seed}");
                let answer =
                    w.tell(&mut server, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", &mut client);
                assert_eq!(text(answer), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "seed {seed}");
                assert_eq!(w.verdict(), (200, "----".into()));
            }
            w.no_server();
        });
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    for seed in 0..256 {
        within(&plan(Mode::Http, 1), seed, |w| {
            let mut client = w.client();
            let mut all = Vec::new();
            let count = 40;
            for n in 0..count {
                all.extend(
                    format!("GET /{n} HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "y".repeat(n * 7)).bytes(),
                );
            }
            let mut at = 0;
            let mut got = Vec::new();
            let mut server = loop {
                while at < all.len() && client.send(&all[at..]).map(|n| at += n).is_ok() {}
                w.settle();
                if let Some((_, server)) = w.net().take_opened() {
                    break server;
                }
            };
            let server = &mut server;
            for n in 0..count {
                while at < all.len() && client.send(&all[at..]).map(|n| at += n).is_ok() {}
                let mut asked = w.hear(server);
                while !asked.ends_with(b"\r\n\r\n") {
                    let before = (at, asked.len());
                    while at < all.len() && client.send(&all[at..]).map(|n| at += n).is_ok() {}
                    asked.extend(w.hear(server));
                    assert!(before != (at, asked.len()), "seed {seed}: request {n} does not arrive");
                }
                assert!(text(asked).starts_with(&format!("GET /{n} ")), "seed {seed}");
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{n}", n.to_string().len());
                got.extend(w.tell(server, answer.as_bytes(), &mut client));
            }
            let bodies: Vec<String> = text(got)
                .split("HTTP/1.1 200 OK\r\n")
                .skip(1)
                .map(|m| m.split_once("\r\n\r\n").unwrap().1.into())
                .collect();
            assert_eq!(bodies, (0..count).map(|n| n.to_string()).collect::<Vec<_>>(), "seed {seed}");
            w.ended();
        });
    }
}

#[test]
fn tunnels_pass_what_came_early() {
    let switch =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nfrom server";
    let connect = b"HTTP/1.1 200 OK\r\n\r\nfrom server";
    let rows: [(&[u8], &str, &[u8], &str); 2] = [
        (
            b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nfrom client",
            "GET / HTTP/1.1\r\nHost: h\r\nconnection: Upgrade\r\nupgrade: chat\r\n\r\n",
            switch,
            "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: chat\r\n\r\nfrom server",
        ),
        (
            b"CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\nfrom client",
            "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n",
            connect,
            "HTTP/1.1 200 OK\r\n\r\nfrom server",
        ),
    ];
    for seed in 0..256 {
        for (ask, asked, tell, told) in rows {
            within(&plan(Mode::Http, 1), seed, |w| {
                let mut client = w.client();
                w.say(&mut client, ask);
                let mut server = w.server();
                assert_eq!(text(w.hear(&mut server)), asked, "seed {seed}");
                let mut early = Vec::new();
                let got = w.converse(&mut client, &mut server, tell, &mut early);
                assert_eq!(text(got), told, "seed {seed}");
                assert_eq!(text(early), "from client", "seed {seed}");
                let mut more = Vec::new();
                w.say(&mut client, b"ping");
                assert_eq!(text(w.converse(&mut client, &mut server, b"pong", &mut more)), "pong");
                assert_eq!(text(more), "ping");
                // half-closes travel one by one
                client.shut_write();
                w.settle();
                assert!(server.is_ended() && !client.is_ended(), "seed {seed}");
                let got = w.tell(&mut server, b"last words", &mut client);
                assert_eq!(text(got), "last words");
                server.shut_write();
                w.settle();
                assert!(client.is_ended());
                assert_eq!(w.verdict().1, "----");
            });
        }
    }
}
