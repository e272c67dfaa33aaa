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

/// Ticket keys as a file holds them; every key is `size` times the same byte.
fn key_file(size: usize, keys: &[u8]) -> Vec<u8> {
    keys.iter().flat_map(|byte| [key(size, *byte).as_bytes(), b"\n"].concat()).collect()
}

fn key(size: usize, byte: u8) -> String {
    openssl::base64::encode_block(&vec![byte; size])
}

fn offload_with_keys(keys: Vec<u8>, server: &Server) -> Program {
    let program = offload("tls-ticket-keys \"${keys}\"", server);
    let file = program.file("tickets", keys);
    program.env("keys", file)
}

#[test]
fn two_boxes_with_one_file_of_keys_resume_each_others_sessions() {
    let server = Server::named("ok");
    for size in [48, 80] {
        let file = key_file(size, &[1, 2, 3]);
        let one = offload_with_keys(file.clone(), &server).workers(2).start();
        let two = offload_with_keys(file, &server).workers(2).start();
        for (way, client) in &ways()[1..] {
            assert!(!resumed(client, &one), "{way}");
            for proxy in [&two, &one, &two, &two] {
                assert!(resumed(client, proxy), "{way}, keys of {size} bytes");
            }
        }
    }
}

#[test]
fn keys_are_added_by_command_and_outlive_a_reload() {
    let server = Server::named("ok");
    let proxy = offload_with_keys(key_file(80, &[1, 2, 3]), &server).workers(2).start();
    let client = Client::new().version(SslVersion::TLS1_3).resume().build();
    assert!(!resumed(&client, &proxy));
    let listed = proxy.command("show tls-keys");
    assert!(listed.starts_with("# id (file)\n0 ("), "{listed}");
    for byte in [4, 5] {
        let answer = proxy.command(&format!("set ssl tls-key 0 {}", key(80, byte)));
        assert!(answer.contains("updated"), "{answer}");
        assert!((0..10).all(|_| resumed(&client, &proxy)), "key {byte}: the one that sealed is still known");
    }
    let keys = |of: &[u8]| -> String {
        of.iter().enumerate().map(|(n, byte)| format!("0.{n} {}\n", key(80, *byte))).collect()
    };
    assert!(proxy.command("show tls-keys *").contains(&keys(&[3, 4, 5])));
    assert!(proxy.master("reload").contains("Success=1"));
    assert!(resumed(&client, &proxy));
    assert!(proxy.command("show tls-keys #0").contains(&keys(&[3, 4, 5])));
    for (wrong, word) in [
        ("set ssl tls-key 0 AAAA", "base64"),
        ("set ssl tls-key 7 AAAA", "No such"),
        ("set ssl tls-key 0", "Expects"),
        ("show tls-keys 9", "No such"),
    ] {
        let answer = proxy.command(wrong);
        assert!(answer.contains(word), "{wrong}: {answer}");
    }
    let short = proxy.command(&format!("set ssl tls-key 0 {}", key(48, 9)));
    assert!(short.contains("not as long"), "{short}");
}

#[test]
fn a_changed_file_of_keys_is_read_by_a_reload() {
    let server = Server::named("ok");
    let program = offload("tls-ticket-keys \"${keys}\"", &server);
    let file = program.file("tickets", key_file(80, &[1, 2, 3]));
    let proxy = program.env("keys", file.clone()).workers(2).start();
    let client = Client::new().version(SslVersion::TLS1_2).resume().build();
    assert!(!resumed(&client, &proxy));
    std::fs::write(&file, key_file(80, &[2, 3, 4])).unwrap();
    assert!(proxy.master("reload").contains("Success=1"));
    assert!(proxy.command("show tls-keys *").contains(&format!("0.2 {}", key(80, 4))));
    assert!(resumed(&client, &proxy), "the key that sealed is one of the new file");
    std::fs::write(&file, b"nonsense\n").unwrap();
    let answer = proxy.master("reload");
    assert!(answer.contains("Success=0") && answer.contains("line 1"), "{answer}");
    assert!(resumed(&client, &proxy));
}

#[test]
fn bad_files_of_keys_are_refused_at_the_start() {
    let server = Server::named("ok");
    for (keys, words) in [
        (key_file(80, &[1, 2]), "at least 3"),
        (key_file(64, &[1, 2, 3]), "48 or 80 bytes"),
        ([key_file(80, &[1, 2]), key_file(48, &[3])].concat(), "do not mix"),
        (b"\xff\xfe".to_vec(), "not text"),
    ] {
        let refused = offload_with_keys(keys, &server).run(&["-c"]);
        assert_ne!(refused.code(), 0);
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
}
