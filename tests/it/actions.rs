//! Every family of actions with real traffic: what the server is asked, what the client is told.

use std::time::Duration;

use lighterman_harness::{Logs, Peer, Reply, Server};

use crate::{program, relay};

/// A request of `fe` by these lines of head, and how it was answered.
fn ask(proxy: &lighterman_harness::Proxy, head: &str) -> lighterman_harness::Response {
    let mut client = proxy.connect("fe");
    client.send(format!("{}\r\nHost: x\r\n\r\n", head.replace('\n', "\r\n")));
    client.response()
}

#[test]
fn who_comes_in_says_name_and_password() {
    let server = Server::named("in");
    let proxy = program(&format!(
        "userlist people\n    group ops users joe\n    group dev\n    user joe insecure-password secret\n    \
         user ann password $5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5 groups dev\n    user bob\n\
         listen fe\n    bind \"fd@${{fe}}\"\n    http-request auth realm my\\ shop unless {{ http_auth(people) }}\n    \
         http-request deny if {{ path_beg /ops }} !{{ http_auth_group(people) ops }}\n    server s {}\n",
        server.addr()
    ))
    .listen("fe")
    .start();
    let response = proxy.get("fe", "/");
    assert_eq!((response.status, response.field("www-authenticate")), (401, Some("Basic realm=\"my shop\"")));
    // joe:secret, ann:Hello world!, joe:wrong, bob:(nothing), not base64, another scheme
    for (line, uri, status) in [
        ("Basic am9lOnNlY3JldA==", "/ops", 200),
        ("basic YW5uOkhlbGxvIHdvcmxkIQ==", "/", 200),
        ("Basic YW5uOkhlbGxvIHdvcmxkIQ==", "/ops", 403),
        ("Basic am9lOndyb25n", "/", 401),
        ("Basic Ym9iOg==", "/", 401),
        ("Basic !!", "/", 401),
        ("Bearer am9lOnNlY3JldA==", "/", 401),
    ] {
        let response = ask(&proxy, &format!("GET {uri} HTTP/1.1\nAuthorization: {line}"));
        assert_eq!(response.status, status, "{line} {uri}");
    }
}

#[test]
fn error_pages_are_ones_own() {
    let program = program(
        "http-errors shop\n    errorfile 404 \"${page}\"\n    errorfile 429 \"${page}\"\n\
         frontend fe\n    bind \"fd@${fe}\"\n    monitor-uri /alive\n    \
         monitor fail if { req.hdr(x-sick) -m found }\n    errorfiles shop 404\n    \
         http-error status 503 content-type text/plain lf-string \"sorry, %[src]\" hdr X-Path %[path]\n    \
         http-request deny deny_status 404 if { path /404 }\n    \
         http-request return status 429 errorfiles shop if { path /429 }\n    \
         http-request deny status 400 content-type text/plain string bad if { path /400 }\n    \
         use_backend own if { path /own }\n\
         backend own\n    errorloc303 503 http://other.test/\n",
    )
    .listen("fe");
    let page = program.file("page.http", "HTTP/1.1 404 Gone Away\nX-Own: 1\nContent-Length: 99\n\nmine");
    let proxy = program.env("page", page).start();
    for uri in ["/404", "/429"] {
        let response = proxy.get("fe", uri);
        assert_eq!((response.status, response.text().as_str()), (404, "mine"), "{uri}");
        assert_eq!((response.field("x-own"), response.field("content-length")), (Some("1"), Some("4")));
    }
    let response = proxy.get("fe", "/400");
    assert_eq!((response.status, response.text().as_str()), (400, "bad"));
    let response = proxy.get("fe", "/nowhere");
    assert_eq!((response.status, response.text().as_str()), (503, "sorry, 127.0.0.1"));
    assert_eq!(response.field("x-path"), Some("/nowhere"));
    let response = proxy.get("fe", "/own");
    assert_eq!((response.status, response.field("location")), (303, Some("http://other.test/")));
    assert_eq!(proxy.get("fe", "/alive").status, 200);
    assert_eq!(ask(&proxy, "GET /alive HTTP/1.1\nX-Sick: 1").status, 503);
}

#[test]
fn hints_come_before_the_answer() {
    let server = Server::named("ok");
    let lines = "    http-request early-hint Link </a.css>;rel=preload\n    http-request early-hint Link </b.js>;rel=preload\n    \
                 http-request early-hint X-Path %[path] if { path /x }";
    let proxy = relay(lines, server.addr()).start();
    let mut client = proxy.connect("fe");
    client.send("GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    client.expect("HTTP/1.1 103 Early Hints\r\nLink: </a.css>;rel=preload\r\nLink: </b.js>;rel=preload\r\nX-Path: /x\r\n\r\n");
    assert_eq!(client.response().text(), "ok");
    // once more on the same connection, and not at all for those who know no interim answers
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    client.upto("\r\n\r\n");
    assert_eq!(client.response().text(), "ok");
    let mut old = proxy.connect("fe");
    old.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(old.response().status, 200);
}

#[test]
fn values_that_would_corrupt_a_message_are_refused() {
    let server = Server::http(|_| Reply::status(200, "X-Bad: a%0d%0aSet-Cookie:b\r\n", "ok"));
    let lines = "    http-request set-header X-New %[req.hdr(x-bad),url_dec] if { path /strict }\n    \
                 http-request strict-mode off\n    \
                 http-request set-header X-New %[req.hdr(x-bad),url_dec]\n    \
                 http-request set-var(txn.path) path\n    http-response set-header X-New %[res.hdr(x-bad),url_dec] if { var(txn.path) -m str /res }";
    let proxy = relay(lines, server.addr()).start();
    assert_eq!(ask(&proxy, "GET /strict HTTP/1.1\nX-Bad: a%0aB: c").status, 500);
    assert_eq!(server.requests().len(), 0);
    assert_eq!(ask(&proxy, "GET / HTTP/1.1\nX-Bad: a%00").status, 200);
    assert_eq!(server.last().field("x-new"), None);
    assert_eq!(ask(&proxy, "GET / HTTP/1.1\nX-Bad: a%20b").status, 200);
    assert_eq!(server.last().field("x-new"), Some("a b"));
    assert_eq!(ask(&proxy, "GET /res HTTP/1.1\nX-Bad: x").status, 502);
}

#[test]
fn bodies_are_waited_for() {
    let server = Server::named("ok");
    let lines = "    http-request wait-for-body time 200ms at-least 4 if METH_POST\n    \
                 http-request deny if { req.body -m sub evil }";
    let proxy = relay(lines, server.addr()).start();
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n";
    let mut client = proxy.connect("fe");
    client.send(head);
    client.silent(Duration::from_millis(50));
    client.send("evil");
    assert_eq!(client.response().status, 403);
    let mut client = proxy.connect("fe");
    client.send(format!("{head}gentle"));
    assert_eq!(client.response().status, 200);
    let mut client = proxy.connect("fe");
    client.send(format!("{head}ab"));
    assert_eq!(client.response().status, 408);
}

#[test]
fn servers_are_told_where_a_request_comes_from() {
    let server = Server::named("ok");
    let lines =
        "    option originalto except 10.0.0.0/8\n    option forwardfor header X-Client if-none\n    \
                 option forwarded proto host for for_port by-expr str(_edge)\n    \
                 http-request set-src str(2001:db8::1) if { path /6 }\n    \
                 http-request set-dst str(10.0.0.1) if { path /6 }\n    \
                 http-request set-src-port int(99)";
    let proxy = relay(lines, server.addr()).start();
    assert_eq!(ask(&proxy, "GET / HTTP/1.1\nX-Client: before").status, 200);
    let seen = server.last();
    assert_eq!(seen.head.all("x-client"), ["before"]);
    assert_eq!(seen.head.all("x-original-to"), ["127.0.0.1"]);
    assert_eq!(seen.head.all("forwarded"), ["proto=http;host=x;by=_edge;for=\"127.0.0.1:99\""]);
    assert_eq!(ask(&proxy, "GET /6 HTTP/1.1").status, 200);
    let seen = server.last();
    assert_eq!(seen.head.all("x-client"), ["2001:db8::1"]);
    assert_eq!(seen.head.all("x-original-to"), Vec::<&str>::new());
    assert_eq!(seen.head.all("forwarded"), ["proto=http;host=x;by=_edge;for=\"[2001:db8::1]:99\""]);
}

#[test]
fn what_is_captured_is_logged_and_cut() {
    let logs = Logs::udp();
    let server =
        Server::http(|_| Reply::status(200, "Set-Cookie: SESSION=answered; path=/\r\nX-R: abcdef\r\n", "ok"));
    let lines = format!(
        "    log {} local0\n    log-format \"%CC %CS %hr %hs\"\n    capture cookie SESS len 10\n    \
         capture request header host len 32\n    http-request capture path len 4\n    \
         declare capture request len 3\n    http-request capture method id 2\n    \
         declare capture response len 5\n    http-response capture res.hdr(x-r) id 0",
        logs.address()
    );
    let proxy = relay(&lines, server.addr()).start();
    assert_eq!(ask(&proxy, "GET /long/path HTTP/1.1\nCookie: a=b; SESSION=asked").status, 200);
    let line = logs.next();
    let line = line.trim_end();
    assert!(line.ends_with("SESSION=as SESSION=an {x|/lon|GET} {abcde}"), "{line}");
}

#[test]
fn lines_are_written_on_demand() {
    let logs = Logs::udp();
    let server = Server::named("ok");
    let lines = format!(
        "    log {} local0\n    log-format \"%ST %HP\"\n    http-request do-log if {{ path /twice }}\n    \
         http-request set-log-level silent if {{ path /never }}",
        logs.address()
    );
    let proxy = relay(&lines, server.addr()).start();
    for uri in ["/never", "/once", "/twice"] {
        assert_eq!(proxy.get("fe", uri).status, 200);
    }
    let ends: Vec<String> = (0..3).map(|_| logs.next()).collect();
    for (line, expected) in ends.iter().zip(["200 /once", "-1 /twice", "200 /twice"]) {
        assert!(line.trim_end().ends_with(expected), "{line}");
    }
}

#[test]
fn rules_choose_the_server() {
    let (a, b) = (Server::named("a"), Server::named("b"));
    let lines = format!(
        "    use-server b if {{ path_beg /b }}\n    use-server %[req.hdr(x-server)] if {{ req.hdr(x-server) -m found }}\n    \
         server a {}\n    server b {} weight 0",
        a.addr(),
        b.addr()
    );
    let proxy = relay(&lines, Server::nobody()).start();
    assert_eq!(ask(&proxy, "GET /b HTTP/1.1").text(), "b");
    assert_eq!(ask(&proxy, "GET / HTTP/1.1\nX-Server: b").text(), "b");
    assert_eq!(ask(&proxy, "GET / HTTP/1.1\nX-Server: a").text(), "a");
}

#[test]
fn answers_are_waited_for_judged_and_replaced() {
    let server = Server::start(|mut peer, _| {
        while let Some(request) = peer.next_request() {
            let cookie = if request.uri() == "/cookie" { "ETag: 1\r\nSet-Cookie: a=b\r\n" } else { "" };
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n{cookie}\r\nsec"));
            if request.uri() == "/late" {
                // the rest never comes
                let _ = peer.rest();
                return;
            }
            peer.send("ret");
        }
    });
    let lines = "    option checkcache\n    http-request set-var(txn.path) path\n    \
                 http-response wait-for-body time 300ms\n    \
                 http-response deny if { var(txn.path) -m str /deny } { res.body -m str secret }\n    \
                 http-response return status 410 content-type text/plain string gone if { var(txn.path) -m str /gone }\n    \
                 http-response redirect location /there code 307 if { var(txn.path) -m str /moved }\n    \
                 http-after-response set-header X-After %[status]";
    let proxy = relay(lines, server.addr()).start();
    for (uri, status, text) in [
        ("/", 200, "secret"),
        ("/deny", 502, ""),
        ("/gone", 410, "gone"),
        ("/moved", 307, ""),
        ("/cookie", 502, ""),
        ("/late", 504, ""),
    ] {
        let response = proxy.get("fe", uri);
        assert_eq!(
            (response.status, response.field("x-after")),
            (status, Some(status.to_string().as_str())),
            "{uri}"
        );
        if !text.is_empty() {
            assert_eq!(response.text(), text, "{uri}");
        }
    }
}

#[test]
fn bytes_of_servers_are_judged() {
    let server = Server::start(|mut peer, _| {
        peer.send("he");
        let asked = peer.some(1);
        peer.send(if asked == b"1" { "llo" } else { "lp!" });
        let _ = peer.rest();
    });
    let lines = "    mode tcp\n    tcp-response inspect-delay 5s\n    \
                 tcp-response content accept if { res.payload(0,5) -m str hello }\n    \
                 tcp-response content reject if { res.len ge 5 }";
    let proxy = relay(lines, server.addr()).start();
    let mut client = proxy.connect("fe");
    client.send("1");
    client.expect("hello");
    let mut client = proxy.connect("fe");
    client.send("2");
    assert_eq!(client.drain().0, b"");
}

#[test]
fn bodies_come_before_a_server_is_chosen() {
    let server = Server::named("ok");
    let lines = "    option http-buffer-request\n    http-request deny if { req.body -m str stop! }";
    let proxy = relay(lines, server.addr()).start();
    let mut client = proxy.connect("fe");
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    client.expect("HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(server.connections(), 0);
    client.send("stop!");
    assert_eq!(client.response().status, 403);
    let mut client = proxy.connect("fe");
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n");
    client.send("go on");
    assert_eq!(client.response().status, 200);
    assert_eq!(server.last().field("expect"), None);
}

#[test]
fn some_clients_are_dropped_and_some_must_say_who_they_are() {
    let server = Server::named("ok");
    let lines = "    tcp-request connection expect-proxy layer4 if { src 127.0.0.2 }\n    \
                 http-request silent-drop if { path /drop }\n    http-request reject if { path /reject }\n    \
                 http-response set-header X-Src %[src]";
    let proxy = relay(lines, server.addr()).start();
    for uri in ["/drop", "/reject"] {
        let mut client = proxy.connect("fe");
        client.send(format!("GET {uri} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(client.drain().0, b"", "{uri}");
    }
    assert_eq!(proxy.get("fe", "/").field("x-src"), Some("127.0.0.1"));
    let mut client = Peer::connect_from("127.0.0.2", proxy.addr("fe"));
    client.send("PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.response().field("x-src"), Some("192.0.2.7"));
}

#[test]
fn old_words_still_work() {
    let server = Server::http(|_| Reply::status(200, "Server: secret\r\nLocation: http://x/\r\n", "ok"));
    let lines = "    block if { path_beg /private }\n    reqrep ^([^\\ :]*)\\ /old/(.*) \\1\\ /new/\\2\n    \
                 reqidel ^x-forwarded-for:\n    reqadd X-Proto:\\ http\n    reqideny ^user-agent:.*bot\n    \
                 rspidel ^server:\n    rsprep ^Location:\\ http:(.*) Location:\\ https:\\1\n    rspadd X-Via:\\ edge";
    let proxy = relay(lines, server.addr()).start();
    let response = ask(&proxy, "GET /old/a HTTP/1.1\nX-Forwarded-For: 1.2.3.4");
    assert_eq!((response.field("server"), response.field("x-via")), (None, Some("edge")));
    assert_eq!(response.field("location"), Some("https://x/"));
    let request = server.last();
    assert_eq!(request.uri(), "/new/a");
    assert_eq!((request.field("x-forwarded-for"), request.field("x-proto")), (None, Some("http")));
    assert_eq!(ask(&proxy, "GET /private HTTP/1.1").status, 403);
    assert_eq!(ask(&proxy, "GET / HTTP/1.1\nUser-Agent: a Bot").status, 403);
}

#[test]
fn defaults_carry_rules_that_run_first() {
    let server = Server::named("ok");
    let proxy = program(&format!(
        "defaults shared\n    mode http\n    timeout client 5s\n    timeout server 5s\n    timeout connect 5s\n    \
         http-request add-header X-Order defaults\n    http-request deny if {{ path /stop }}\n    \
         http-response add-header X-Back defaults\n\
         frontend fe from shared\n    bind \"fd@${{fe}}\"\n    http-request add-header X-Order frontend\n    \
         http-response add-header X-Back frontend\n    http-request allow if {{ path /allow }}\n    \
         http-request add-header X-Order last\n    default_backend be\n\
         backend be from shared\n    http-request add-header X-Order backend\n    \
         http-response add-header X-Back backend\n    server s {}\n",
        server.addr()
    ))
    .listen("fe")
    .start();
    let response = proxy.get("fe", "/");
    let order = server.last().head.all("x-order").join(" ");
    assert_eq!(order, "defaults frontend last defaults backend");
    assert_eq!(response.head.all("x-back").join(" "), "defaults backend defaults frontend");
    assert_eq!(proxy.get("fe", "/allow").status, 200);
    assert_eq!(server.last().head.all("x-order").join(" "), "defaults frontend defaults backend");
    assert_eq!(proxy.get("fe", "/stop").status, 403);
}

#[test]
fn tarpits_hold_and_answer_with_ones_own_page() {
    let server = Server::named("ok");
    let lines =
        "    timeout tarpit 100ms\n    http-error status 429 content-type text/plain string slow\n    \
                 http-request tarpit deny_status 429 if { path /page }\n    \
                 http-request tarpit status 418 content-type text/plain string tea if { path /tea }";
    let proxy = relay(lines, server.addr()).start();
    for (uri, status, text) in [("/page", 429, "slow"), ("/tea", 418, "tea"), ("/", 200, "ok")] {
        let response = proxy.get("fe", uri);
        assert_eq!((response.status, response.text().as_str()), (status, text), "{uri}");
    }
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn rules_set_timeouts_and_where_a_request_goes() {
    let silent = Server::start(|mut peer, _| drop(peer.rest()));
    let proxy = relay("    http-request set-timeout server int(80) if { path /soon }", silent.addr()).start();
    assert_eq!(proxy.get("fe", "/soon").status, 504);
    let server = Server::named("there");
    let lines = format!(
        "    mode http\n    http-request set-dst str(127.0.0.1)\n    http-request set-dst-port int({})\n    server any 0.0.0.0:0\n    \
         use-server any",
        server.addr().port()
    );
    let proxy = relay(&lines, Server::nobody()).start();
    assert_eq!(proxy.get("fe", "/").text(), "there");
}
