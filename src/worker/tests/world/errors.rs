//! What goes wrong between client and server: what each is told, and what the log says of it.

use super::*;
use crate::net::sock::mem::Attempt;

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const POST: &[u8] = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

fn hasty() -> Plan {
    let mut plan = plan(Mode::Http, 1);
    plan.proxies[0].timeouts = Timeouts {
        client: Some(1000),
        server: Some(700),
        connect: Some(300),
        http_request: Some(500),
        http_keep_alive: Some(200),
        tunnel: Some(400),
        ..Timeouts::default()
    };
    plan.proxies[0].retries = 1;
    plan
}

/// The status a client was told, 0: nothing.
fn status(w: &mut World<'_>, client: &mut MemSock) -> u16 {
    let got = text(w.hear(client));
    got.split(' ').nth(1).map_or(0, |s| s.parse().unwrap())
}

#[test]
fn requests_that_cannot_be_taken() {
    let long = [b"GET / HTTP/1.1\r\nHost: h\r\nX: ".as_slice(), &[b'y'; 20_000], b"\r\n\r\n"].concat();
    let rows: [(&[u8], u16, &str); 5] = [
        (b"GET / HTTP/1.1\r\nHo st: h\r\n\r\n", 400, "PR--"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "PR--"),
        (
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
            "PR--",
        ),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400, "PR--"),
        (&long, 400, "PR--"),
    ];
    for seed in 0..64 {
        for (bytes, told, term) in rows {
            within(&hasty(), seed, |w| {
                let mut client = w.client();
                let mut got = w.say(&mut client, bytes);
                got.extend(w.hear(&mut client));
                assert!(text(got).starts_with(&format!("HTTP/1.1 {told} ")), "seed {seed}");
                assert_eq!(w.verdict(), (told, term.into()), "seed {seed}: {}", bytes.escape_ascii());
                // it is told that this is the end, and listened to until it has understood
                assert!(client.is_ended() && !client.is_reset(), "seed {seed}");
            });
        }
    }
}

#[test]
fn clients_that_do_not_finish_their_request() {
    for seed in 0..64 {
        within(&hasty(), seed, |w| {
            let mut client = w.client();
            w.say(&mut client, b"GET / HT");
            w.pass(499);
            assert_eq!(status(w, &mut client), 0);
            w.pass(1);
            assert_eq!(status(w, &mut client), 408);
            assert_eq!(w.verdict(), (408, "cR--".into()));
        });
        within(&hasty(), seed, |w| {
            let mut client = w.client();
            w.say(&mut client, b"GET / HT");
            client.shut_write();
            assert_eq!(status(w, &mut client), 400);
            assert_eq!(w.verdict(), (400, "CR--".into()));
        });
        within(&hasty(), seed, |w| {
            drop(w.client());
            assert_eq!(w.verdict(), (400, "CR--".into()));
        });
    }
}

#[test]
fn kept_connections_have_times_of_their_own() {
    within(&hasty(), 0, |w| {
        let mut client = w.client();
        w.say(&mut client, GET);
        let mut server = w.server();
        w.hear(&mut server);
        w.tell(&mut server, OK, &mut client);
        assert_eq!(w.verdict(), (200, "----".into()));
        w.pass(199);
        assert!(!client.is_ended());
        // the first byte of the next request starts another clock
        w.say(&mut client, b"GE");
        w.pass(499);
        assert!(!client.is_ended());
        w.pass(1);
        assert_eq!(status(w, &mut client), 408);
        assert_eq!(w.verdict(), (408, "cR--".into()));
    });
    within(&hasty(), 0, |w| {
        let mut client = w.client();
        w.say(&mut client, GET);
        let mut server = w.server();
        w.hear(&mut server);
        w.tell(&mut server, OK, &mut client);
        w.ended();
        w.pass(200);
        assert_eq!(status(w, &mut client), 0, "an idle client leaves without a word");
        assert!(client.is_ended() && w.ended().is_empty());
    });
}

/// What a server does with the request, and what becomes of it.
#[test]
fn servers_that_fail() {
    let huge = [b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &[b'y'; 20_000], b"\r\n\r\n"].concat();
    let rows: [(&[u8], bool, u16, u16, &str); 8] = [
        (b"", true, 502, 502, "SH--"),
        (b"HTTP/1.1 200 OK\r\nA:", true, 502, 502, "SH--"),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", false, 502, 502, "PH--"),
        (b"220 ready\r\n", false, 502, 502, "PH--"),
        (&huge, false, 502, 502, "PH--"),
        (b"", false, 504, 504, "sH--"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", true, 200, 200, "SD--"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", false, 200, 200, "sD--"),
    ];
    for seed in 0..64 {
        for (bytes, close, told, logged, term) in rows {
            let what = || format!("seed {seed}: {} {close}", bytes.get(..30).unwrap_or(bytes).escape_ascii());
            within(&hasty(), seed, |w| {
                let mut client = w.client();
                w.say(&mut client, GET);
                let mut server = w.server();
                w.hear(&mut server);
                let mut got = w.tell(&mut server, bytes, &mut client);
                if close {
                    drop(server);
                } else if told != 502 {
                    w.pass(700);
                }
                got.extend(w.hear(&mut client));
                assert!(text(got).starts_with(&format!("HTTP/1.1 {told} ")), "{}", what());
                assert_eq!(w.verdict(), (logged, term.into()), "{}", what());
                assert_eq!(client.is_ended(), told == 200, "{}", what());
            });
        }
    }
}

#[test]
fn servers_that_cannot_be_reached() {
    within(&hasty(), 0, |w| {
        w.net().attempts_end(Attempt::Refused);
        let mut client = w.client();
        w.say(&mut client, GET);
        // the pause before the second attempt is as long as `timeout connect`, at most a second
        w.pass(299);
        assert_eq!(status(w, &mut client), 0);
        w.pass(1);
        assert_eq!(status(w, &mut client), 503);
        let ended = w.ended();
        assert_eq!((ended[0].term, ended[0].retries), (*b"SC--", 1));
    });
    within(&hasty(), 0, |w| {
        w.net().attempts_end(Attempt::Silent);
        let mut client = w.client();
        w.say(&mut client, GET);
        for _ in 0..3 {
            assert_eq!(status(w, &mut client), 0);
            w.pass(300);
        }
        assert_eq!(status(w, &mut client), 503);
        let ended = w.ended();
        assert_eq!((ended[0].term, ended[0].retries), (*b"sC--", 1));
    });
    let mut plan = hasty();
    plan.proxies[0].redispatch = -1;
    plan.servers.push(Server::new(
        ServerId(1),
        ProxyId(0),
        "s1",
        ServerAddr::Inet(([10, 0, 0, 2], 80).into()),
    ));
    plan.proxies[0].servers.push(ServerId(1));
    within(&plan, 0, |w| {
        w.net().attempts_end(Attempt::Refused);
        let mut client = w.client();
        client.send(GET).unwrap();
        w.turn();
        w.net().attempts_end(Attempt::Done);
        let mut server = w.server();
        w.hear(&mut server);
        w.tell(&mut server, OK, &mut client);
        let ended = w.ended();
        assert_eq!((ended[0].status, ended[0].retries, ended[0].redispatched), (200, 1, true));
    });
}

#[test]
fn clients_that_leave() {
    for seed in 0..64 {
        // while the server thinks: only a reset is taken for a goodbye, unless the option says otherwise
        for (option, reset, heard) in [(false, false, false), (false, true, true), (true, false, true)] {
            let mut plan = hasty();
            plan.proxies[0].abort_on_close = option;
            within(&plan, seed, |w| {
                let mut client = w.client();
                w.say(&mut client, GET);
                let mut server = w.server();
                w.hear(&mut server);
                if reset {
                    client.reset();
                }
                drop(client);
                let ended = w.ended();
                assert_eq!(ended.len(), usize::from(heard), "seed {seed}: {option} {reset}");
                assert!(ended.iter().all(|t| t.term == *b"CH--"), "seed {seed}");
                assert_eq!(server.is_ended(), heard);
            });
        }
        within(&hasty(), seed, |w| {
            let mut client = w.client();
            w.say(&mut client, POST);
            let _server = w.server();
            drop(client);
            assert_eq!(w.verdict(), (0, "CD--".into()), "seed {seed}");
        });
        within(&hasty(), seed, |w| {
            let mut client = w.client();
            w.say(&mut client, POST);
            let _server = w.server();
            w.pass(1000);
            assert_eq!(status(w, &mut client), 408, "seed {seed}");
            assert_eq!(w.verdict(), (408, "cD--".into()), "seed {seed}");
        });
        within(&hasty(), seed, |w| {
            let chunked = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
            let mut client = w.client();
            w.say(&mut client, chunked);
            let mut server = w.server();
            w.hear(&mut server);
            let mut got = w.say(&mut client, b"zz\r\n");
            got.extend(w.hear(&mut client));
            assert!(text(got).starts_with("HTTP/1.1 400 "), "seed {seed}");
            assert_eq!(w.verdict(), (400, "PH--".into()), "seed {seed}");
        });
    }
}

#[test]
fn answers_that_come_early() {
    for seed in 0..64 {
        within(&hasty(), seed, |w| {
            let mut client = w.client();
            w.say(&mut client, POST);
            let mut server = w.server();
            w.hear(&mut server);
            let no = b"HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno";
            let got = w.tell(&mut server, no, &mut client);
            assert_eq!(text(got), text(no.to_vec()), "seed {seed}");
            // the rest of the request still finds its way, and both connections live on
            w.say(&mut client, b"defghij");
            assert_eq!(text(w.hear(&mut server)), "defghij", "seed {seed}");
            assert_eq!(w.verdict(), (413, "----".into()), "seed {seed}");
            w.say(&mut client, GET);
            assert!(text(w.hear(&mut server)).starts_with("GET /a"), "seed {seed}");
            w.tell(&mut server, OK, &mut client);
        });
        within(&hasty(), seed, |w| {
            // a server that answers and leaves: the answer survives what the client still sends
            let mut client = w.client();
            w.say(&mut client, POST);
            let mut server = w.server();
            w.hear(&mut server);
            let mut got = w.tell(&mut server, b"HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno", &mut client);
            drop(server);
            got.extend(w.say(&mut client, b"defghij"));
            got.extend(w.hear(&mut client));
            assert!(text(got).ends_with("\r\n\r\nno"), "seed {seed}");
            assert!(!client.is_reset(), "seed {seed}");
            assert_eq!(w.verdict().0, 413);
        });
    }
}

#[test]
fn reused_connections_that_have_died() {
    for seed in 0..64 {
        for (ask, again) in [(GET, true), (POST, false)] {
            within(&hasty(), seed, |w| {
                let mut client = w.client();
                w.say(&mut client, GET);
                let mut server = w.server();
                w.hear(&mut server);
                w.tell(&mut server, OK, &mut client);
                w.ended();
                w.say(&mut client, ask);
                assert!(!w.hear(&mut server).is_empty());
                drop(server);
                if again {
                    let mut server = w.server();
                    assert_eq!(text(w.hear(&mut server)), text(GET.to_vec()), "seed {seed}");
                    w.tell(&mut server, OK, &mut client);
                    assert_eq!(w.verdict(), (200, "----".into()), "seed {seed}");
                } else {
                    // it may have been done: the client decides
                    w.no_server();
                    assert!(w.hear(&mut client).is_empty() && client.is_ended(), "seed {seed}");
                    assert_eq!(w.verdict().1.as_bytes()[0], b'S', "seed {seed}");
                }
            });
        }
        // one that died while it rested is not used at all
        within_narrow(&hasty(), seed, 1 << 16, |w| {
            let mut client = w.client();
            w.say(&mut client, GET);
            let mut server = w.server();
            w.hear(&mut server);
            w.tell(&mut server, OK, &mut client);
            let _ = client.send(GET);
            drop(server);
            let mut server = w.server();
            w.say(&mut client, b"");
            w.hear(&mut server);
            w.tell(&mut server, OK, &mut client);
        });
    }
}
