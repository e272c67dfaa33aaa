//! Everything has a limit: connections, descriptors, heads, time; and what happens there.

use std::time::Duration;

use lighterman_harness::{eventually, Peer, Server};

use crate::{program, relay};

#[test]
fn above_maxconn_connections_wait_in_the_backlog() {
    let server = Server::named("ok");
    for (place, text) in [
        ("frontend", "listen fe\n    maxconn 2\n    bind \"fd@${fe}\"\n"),
        ("bind", "listen fe\n    bind \"fd@${fe}\" maxconn 2\n"),
    ] {
        let proxy = program(&format!("{text}    server s1 {}\n", server.addr())).listen("fe").start();
        let mut held: Vec<Peer> = (0..2).map(|_| proxy.connect("fe")).collect();
        for client in &mut held {
            assert_eq!(client.get("/").status, 200);
        }
        let mut waiting = proxy.connect("fe");
        waiting.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        waiting.silent(Duration::from_millis(200));
        drop(held.pop());
        assert_eq!(waiting.response().status, 200, "{place}");
    }
}

#[test]
fn global_maxconn_counts_all_frontends() {
    let server = Server::named("ok");
    let proxy = program(&format!(
        "global\n    maxconn 3\nlisten fe\n    bind \"fd@${{fe}}\"\n    server s1 {0}\nlisten other\n    bind \"fd@${{other}}\"\n    server s1 {0}\n",
        server.addr()
    ))
    .listen("fe")
    .listen("other")
    .start();
    let mut held: Vec<Peer> = ["fe", "other", "fe"].iter().map(|n| proxy.connect(n)).collect();
    for client in &mut held {
        assert_eq!(client.get("/").status, 200);
    }
    let mut waiting = proxy.connect("other");
    waiting.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    waiting.silent(Duration::from_millis(200));
    held.clear();
    assert_eq!(waiting.response().status, 200);
}

#[test]
fn without_descriptors_accepting_pauses_and_service_goes_on() {
    let server = Server::named("ok");
    // ulimit-n far too low for maxconn: the kernel refuses before the program does.
    let proxy = program(&format!(
        "global\n    ulimit-n 60\n    maxconn 1000\nlisten fe\n    bind \"fd@${{fe}}\"\n    option http-server-close\n    server s1 {}\n",
        server.addr()
    ))
    .listen("fe")
    .start();
    let mut first = proxy.connect("fe");
    assert_eq!(first.get("/").status, 200);
    let crowd: Vec<Peer> = (0..150).map(|_| proxy.connect("fe")).collect();
    proxy.says("descriptor");
    drop(crowd);
    eventually("service after the crowd", || {
        let mut client = proxy.connect("fe");
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        client.try_response().is_ok_and(|r| r.status == 200)
    });
    assert_eq!(proxy.stderr().matches("descriptor").count(), 1, "once per minute:\n{}", proxy.stderr());
}

#[test]
fn silent_clients_are_let_go() {
    let server = Server::named("ok");
    let proxy = relay("    timeout client 300ms\n    timeout http-request 300ms", server.addr()).start();
    let mut silent: Vec<Peer> = (0..50).map(|_| proxy.connect("fe")).collect();
    for client in &mut silent {
        client.drain();
    }
    eventually("all of them to be gone", || proxy.stat("fe", "FRONTEND", "scur") == "0");
}

#[test]
fn an_endless_head_is_cut_by_time() {
    let server = Server::named("ok");
    let proxy = relay("    timeout http-request 500ms", server.addr()).start();
    let mut client = proxy.connect("fe");
    client.send("GET / HTTP/1.1\r\nHost: x\r\n");
    let mut sent = 0;
    while client.try_send("A: b\r\n").is_ok() && sent < 200 && !client.has_ended() {
        sent += 1;
        lighterman_harness::deadline::pause(Duration::from_millis(20));
    }
    assert!(sent < 100, "it was allowed to go on for {sent} lines");
    assert_eq!(server.connections(), 0);
}

#[test]
fn tune_bufsize_bounds_the_head() {
    let server = Server::named("ok");
    let proxy = program(&format!(
        "global\n    tune.bufsize 32768\n    tune.maxrewrite 1024\nlisten fe\n    bind \"fd@${{fe}}\"\n    server s1 {}\n",
        server.addr()
    ))
    .listen("fe")
    .start();
    let mut client = proxy.connect("fe");
    client.send(format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "z".repeat(28_000)));
    assert_eq!(client.response().status, 200);
}

#[test]
fn the_number_of_descriptors_follows_maxconn() {
    let server = Server::named("ok");
    let proxy = program(&format!(
        "global\n    maxconn 100\nlisten fe\n    bind \"fd@${{fe}}\"\n    server s1 {}\n",
        server.addr()
    ))
    .listen("fe")
    .start();
    assert_eq!(proxy.info("Maxconn"), "100");
    assert!(proxy.count("Maxsock") >= 200 && proxy.count("Maxsock") < 1000, "{}", proxy.info("Maxsock"));
}
