//! Requests that are sent again: after which failures, to whom, how often, and what of them is kept.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use lighterman_harness::{Logs, Peer, Program, Server};

use crate::program;

/// A frontend `fe` that logs retries, backend/server, status and how it ended; `lines` are the backend's, whose
/// servers are called s1, s2...
fn chain(logs: &Logs, lines: &str, servers: &[&Server]) -> Program {
    let mut text = format!(
        "frontend fe\n    bind \"fd@${{fe}}\"\n    log {} local0\n    log-format \"%rc %b/%s %ST %ts\"\n    \
         default_backend be\nbackend be\n{lines}\n",
        logs.address()
    );
    for (number, server) in servers.iter().enumerate() {
        text += &format!("    server s{} {}\n", number + 1, server.addr());
    }
    program(&text).listen("fe")
}

/// A server that reads each request and answers it with these bytes, then closes.
fn says(answer: &'static str) -> Server {
    Server::start(move |mut peer, _| {
        if peer.next_request().is_some() {
            let _ = peer.try_send(answer);
        }
    })
}

/// One that answers with these bytes until it was asked so often, then properly.
fn recovers(after: usize, answer: &'static str) -> (Server, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let seen = asked.clone();
    let server = Server::start(move |mut peer, _| {
        let Some(request) = peer.next_request() else { return };
        let number = seen.fetch_add(1, Ordering::SeqCst);
        if number < after {
            let _ = peer.try_send(answer);
        } else {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            let _ = peer.try_send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        }
    });
    (server, asked)
}

const E503: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";

#[test]
fn each_failure_has_a_word() {
    for (on, answer, status, line) in [
        ("empty-response", "", 200, "1 be/s1 200 --"),
        ("junk-response", "blah blah\r\n\r\n", 200, "1 be/s1 200 --"),
        ("503", E503, 200, "1 be/s1 200 --"),
        ("all-retryable-errors", E503, 200, "1 be/s1 200 --"),
        ("all-retryable-errors", "", 200, "1 be/s1 200 --"),
        ("all-retryable-errors", "nonsense", 200, "1 be/s1 200 --"),
        // the beginning of a head is not nothing, and no answer either
        ("junk-response", "HTTP/1.1 200 OK\r\nFoo:", 200, "1 be/s1 200 --"),
        ("empty-response", "HTTP/1.1 200 OK\r\nFoo:", 200, "1 be/s1 200 --"),
        // others than those that are named
        ("conn-failure", "", 502, "0 be/s1 502 SH"),
        ("junk-response", "", 502, "0 be/s1 502 SH"),
        ("empty-response", "blah blah\r\n\r\n", 502, "0 be/s1 502 PH"),
        ("empty-response 500 504", E503, 503, "0 be/s1 503 --"),
        ("none", "", 502, "0 be/s1 502 SH"),
        ("503 empty-response\n    retry-on 404", E503, 503, "0 be/s1 503 --"),
        // once a head has come whole, it is the answer
        ("all-retryable-errors", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", 200, "0 be/s1 200 SD"),
    ] {
        let logs = Logs::udp();
        let (server, _) = recovers(1, answer);
        let proxy = chain(&logs, &format!("    retry-on {on}"), &[&server]).start();
        let mut client = proxy.connect("fe");
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(client.response_head().status, status, "{on} {answer:?}");
        let seen = logs.next();
        assert!(seen.contains(line), "{on} {answer:?}: {seen}");
    }
}

#[test]
fn a_server_that_says_nothing_in_time_is_asked_again() {
    let logs = Logs::udp();
    let server = Server::start(|mut peer, number| {
        if peer.next_request().is_none() {
            return;
        }
        if number == 0 {
            peer.rest();
        } else {
            let _ = peer.try_send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let lines = "    retry-on response-timeout\n    timeout server 200ms";
    let proxy = chain(&logs, lines, &[&server]).start();
    assert_eq!(proxy.get("fe", "/").text(), "ok");
    assert!(logs.next().contains("1 be/s1 200 --"));
}

#[test]
fn attempts_are_counted_and_end() {
    let logs = Logs::udp();
    let server = says(E503);
    let proxy = chain(&logs, "    retries 2\n    retry-on 503", &[&server]).start();
    let response = proxy.get("fe", "/");
    assert_eq!((response.status, response.text().as_str()), (503, "busy"), "the last answer is shown");
    assert_eq!(server.connections(), 3);
    assert!(logs.next().contains("2 be/s1 503 --"));
    for who in ["s1", "BACKEND"] {
        assert_eq!(proxy.stat("be", who, "wretr"), "2", "{who}");
        assert_eq!(proxy.stat("be", who, "wredis"), "0", "{who}");
    }
    assert_eq!(proxy.stat("be", "s1", "scur"), "0");
}

#[test]
fn another_server_is_asked_as_redispatch_says() {
    // (lines, log, requests at s1): one that is bound to no server goes elsewhere at once with balance roundrobin
    for (lines, line, at_first) in [
        ("    option redispatch", "+1 be/s2 200 --", 1),
        ("    option redispatch 1", "+1 be/s2 200 --", 1),
        ("    use-server s1 if TRUE\n    option redispatch 2", "+2 be/s2 200 --", 2),
        ("    balance first\n    option redispatch", "+3 be/s2 200 --", 3),
        ("    balance first\n    option redispatch -2", "+2 be/s2 200 --", 2),
        ("    balance first\n    option redispatch\n    retries 1", "+1 be/s2 200 --", 1),
        ("    use-server s1 if TRUE\n    option redispatch 3", "+3 be/s2 200 --", 3),
        (
            "    use-server s1 if TRUE\n    force-persist if TRUE\n    option redispatch 1",
            "3 be/s1 502 SH",
            4,
        ),
        ("", "3 be/s1 502 SH", 4),
    ] {
        let logs = Logs::udp();
        let (first, second) = (says(""), Server::named("ok"));
        let lines = format!("    retry-on empty-response\n{lines}");
        let proxy = chain(&logs, &lines, &[&first, &second]).start();
        proxy.get("fe", "/");
        let seen = logs.next();
        assert!(seen.contains(line), "{lines}: {seen}");
        assert_eq!(first.connections(), at_first, "{lines}");
        let redispatched = u32::from(line.contains('+')).to_string();
        assert_eq!(proxy.stat("be", "s1", "wredis"), redispatched, "{lines}");
    }
}

#[test]
fn bodies_are_kept_as_long_as_they_fit_a_buffer() {
    let small = "a".repeat(1000);
    let large = "b".repeat(40_000);
    for (fields, body, retried) in [
        ("Content-Length: 1000".to_string(), small.clone(), true),
        (
            "Transfer-Encoding: chunked".to_string(),
            format!("3e8\r\n{small}\r\n0\r\nX-Trailer: t\r\n\r\n"),
            true,
        ),
        ("Content-Length: 40000".to_string(), large, false),
    ] {
        let logs = Logs::udp();
        let (server, asked) = recovers(1, "");
        let proxy = chain(&logs, "    retry-on empty-response", &[&server]).start();
        let mut client = proxy.connect("fe");
        client.send(format!("POST /x HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n{body}"));
        let response = client.response();
        let wanted = if retried { (200, small.clone()) } else { (502, response.text()) };
        assert_eq!((response.status, response.text()), wanted, "{fields}");
        assert_eq!(asked.load(Ordering::SeqCst), 1 + usize::from(retried), "{fields}");
    }
}

#[test]
fn a_body_on_its_way_goes_on_at_the_next_attempt() {
    let logs = Logs::udp();
    let server = Server::start(|mut peer, number| {
        if number == 0 {
            peer.upto("first");
            return; // closes in the middle of the body
        }
        let request = peer.request();
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.len()));
        peer.send(request.body);
    });
    let proxy = chain(&logs, "    retry-on empty-response", &[&server]).start();
    let mut client = proxy.connect("fe");
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nfirst");
    lighterman_harness::eventually("a second attempt", || server.connections() == 2);
    client.send(" then");
    client.send("!");
    assert_eq!(client.response().text(), "first then!");
    assert!(logs.next().contains("1 be/s1 200 --"));
}

#[test]
fn a_rule_forbids_it() {
    let logs = Logs::udp();
    let server = says("");
    let lines = "    retry-on all-retryable-errors\n    http-request disable-l7-retry if METH_POST";
    let proxy = chain(&logs, lines, &[&server]).start();
    let mut client = proxy.connect("fe");
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(client.response().status, 502);
    assert!(logs.next().contains("0 be/s1 502 SH"));
    assert_eq!(proxy.get("fe", "/").status, 502);
    assert!(logs.next().contains("3 be/s1 502 SH"));
}

#[test]
fn without_conn_failure_nobody_calls_twice() {
    for (on, line) in
        [("none", "0 be/s1 503 SC"), ("503", "0 be/s1 503 SC"), ("conn-failure", "1 be/s1 503 SC")]
    {
        let logs = Logs::udp();
        let text = format!(
            "frontend fe\n    bind \"fd@${{fe}}\"\n    log {} local0\n    log-format \"%rc %b/%s %ST %ts\"\n    \
             default_backend be\nbackend be\n    retries 1\n    timeout connect 500ms\n    retry-on {on}\n    \
             server s1 {}\n",
            logs.address(),
            Server::nobody()
        );
        let proxy = program(&text).listen("fe").start();
        assert_eq!(proxy.get("fe", "/").status, 503);
        let seen = logs.next();
        assert!(seen.contains(line), "{on}: {seen}");
    }
}

#[test]
fn interim_answers_are_no_answers() {
    let logs = Logs::udp();
    let server = Server::start(|mut peer: Peer, number| {
        if peer.next_request().is_none() {
            return;
        }
        if number == 0 {
            peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
            return;
        }
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let proxy = chain(&logs, "    retry-on empty-response", &[&server]).start();
    let mut client = proxy.connect("fe");
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.response_head().status, 103);
    assert_eq!(client.response().text(), "ok");
}
