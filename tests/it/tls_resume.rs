//! Sessions made by one worker resume on every other, survive its death and a reload.

use lighterman_harness::tls::{Cert, Client};
use lighterman_harness::{eventually, procs, Program, Proxy, Server};
use nix::sys::signal::Signal;
use openssl::ssl::SslVersion;

use crate::program;

fn offload(options: &str, server: &Server) -> Program {
    let program = program(&format!(
        "listen fe\n    bind \"fd@${{fe}}\" ssl crt \"${{pem}}\" {options}\n    server s1 {}\n",
        server.addr()
    ))
    .listen("fe");
    let pem = program.file("a.pem", Cert::new(&["a.test"]).pem());
    program.env("pem", pem)
}

/// The ways to resume: TLS 1.2 by session id, TLS 1.2 by ticket, TLS 1.3.
fn ways() -> [(&'static str, Client); 3] {
    [
        ("TLS 1.2 by id", Client::new().version(SslVersion::TLS1_2).no_ticket().resume().build()),
        ("TLS 1.2 by ticket", Client::new().version(SslVersion::TLS1_2).resume().build()),
        ("TLS 1.3", Client::new().version(SslVersion::TLS1_3).resume().build()),
    ]
}

/// Asks once; was the session resumed?
fn resumed(client: &Client, proxy: &Proxy) -> bool {
    let mut peer = client.connect(proxy.addr("fe"));
    // A TLS 1.3 ticket comes with or before the first answer.
    assert_eq!(peer.get("/").text(), "ok");
    let resumed = peer.tls().session_reused();
    peer.half_close();
    resumed
}

#[test]
fn two_hundred_resumptions_on_four_workers() {
    let server = Server::named("ok");
    let proxy = offload("", &server).workers(4).start();
    for (way, client) in ways() {
        assert!(!resumed(&client, &proxy), "{way}: the first handshake is a full one");
        let count = (0..200).filter(|_| resumed(&client, &proxy)).count();
        assert_eq!(count, 200, "{way}");
    }
}

#[test]
fn one_session_resumes_again_and_again() {
    let server = Server::named("ok");
    let proxy = offload("", &server).start();
    let client = Client::new().version(SslVersion::TLS1_2).no_ticket().resume().build();
    assert!(!resumed(&client, &proxy));
    client.keep_first();
    for _ in 0..20 {
        assert!(resumed(&client, &proxy));
        client.keep_first();
    }
    assert_eq!((proxy.count("SslCacheLookups"), proxy.count("SslCacheMisses")), (20, 0));
}

#[test]
fn sessions_survive_the_death_of_workers() {
    let server = Server::named("ok");
    let proxy = offload("", &server).workers(2).start();
    for (way, client) in ways() {
        resumed(&client, &proxy);
        let old = proxy.workers();
        for pid in &old {
            procs::signal(*pid, Signal::SIGKILL);
        }
        eventually("two new workers", || {
            let now = proxy.workers();
            now.len() == 2 && now.iter().all(|p| !old.contains(p))
        });
        assert!(resumed(&client, &proxy), "{way}");
    }
}

#[test]
fn sessions_survive_a_reload() {
    let server = Server::named("ok");
    let proxy = offload("", &server).workers(2).start();
    for (way, client) in ways() {
        resumed(&client, &proxy);
        let answer = proxy.master("reload");
        assert!(answer.contains("Success=1"), "{answer}");
        assert!(resumed(&client, &proxy), "{way}");
    }
}

#[test]
fn without_tickets_resumption_goes_by_id() {
    let server = Server::named("ok");
    let proxy = offload("no-tls-tickets", &server).workers(2).start();
    let client = Client::new().version(SslVersion::TLS1_2).resume().build();
    assert!(!resumed(&client, &proxy));
    assert!((0..20).all(|_| resumed(&client, &proxy)));
    let peer = client.connect(proxy.addr("fe"));
    assert!(!peer.tls().session().unwrap().id().is_empty(), "a session by id");
}

#[test]
fn a_session_is_not_resumed_past_its_life() {
    let server = Server::named("ok");
    let program = program(&format!(
        "global\n    tune.ssl.lifetime 1s\nlisten fe\n    bind \"fd@${{fe}}\" ssl crt \"${{pem}}\"\n    server s1 {}\n",
        server.addr()
    ))
    .listen("fe");
    let pem = program.file("a.pem", Cert::new(&["a.test"]).pem());
    let proxy = program.env("pem", pem).start();
    let client = Client::new().version(SslVersion::TLS1_2).no_ticket().resume().build();
    assert!(!resumed(&client, &proxy));
    client.keep_first();
    lighterman_harness::deadline::pause(std::time::Duration::from_millis(2500));
    assert!(!resumed(&client, &proxy));
}

#[test]
fn a_session_of_one_bind_is_not_taken_by_one_with_other_rules() {
    // No certificate was verified here, so both may share; what matters is that the cache does not mix processes
    // up: unknown ids and foreign tickets mean a full handshake, never an error.
    let server = Server::named("ok");
    let (one, two) = (offload("", &server).start(), offload("", &server).start());
    for (way, client) in ways() {
        resumed(&client, &one);
        assert!(!resumed(&client, &two), "{way}: another process cannot know this session");
    }
}

#[test]
fn the_cache_stays_bounded() {
    let server = Server::named("ok");
    let program = program(&format!(
        "global\n    tune.ssl.cachesize 50\nlisten fe\n    bind \"fd@${{fe}}\" ssl crt \"${{pem}}\" no-tls-tickets\n    server s1 {}\n",
        server.addr()
    ))
    .listen("fe");
    let pem = program.file("a.pem", Cert::new(&["a.test"]).pem());
    let proxy = program.env("pem", pem).start();
    let old = Client::new().version(SslVersion::TLS1_2).no_ticket().resume().build();
    assert!(!resumed(&old, &proxy));
    old.keep_first();
    for _ in 0..200 {
        let fresh = Client::new().version(SslVersion::TLS1_2).no_ticket().build();
        assert!(!resumed(&fresh, &proxy));
    }
    assert!(!resumed(&old, &proxy), "the oldest gave way");
    assert!(resumed(&old, &proxy), "and the newest is there");
}
