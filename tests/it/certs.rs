//! Certificates that are read when they are asked for: directories with many of them, bad ones among them, files that come
//! and go, workers that die.

use lighterman_harness::tls::{Cert, Client};
use lighterman_harness::{eventually, procs, Program, Proxy, Server};
use nix::sys::signal::Signal;

use crate::program;

/// A TLS frontend over the directory `${certs}` with these files in it.
fn offload(global: &str, options: &str, files: &[(&str, Vec<u8>)], server: &Server) -> (Program, String) {
    let text = format!(
        "global\n    nbproc 2\n{global}\nlisten fe\n    bind \"fd@${{fe}}\" ssl crt \"${{certs}}\" {options}\n    \
         server s1 {}\n",
        server.addr()
    );
    let program = program(&text).listen("fe");
    let marker = program.file("certs/.here", "");
    for (name, bytes) in files {
        program.file(&format!("certs/{name}"), bytes);
    }
    let certs = marker.strip_suffix("/.here").unwrap().to_string();
    (program.env("certs", &certs), certs)
}

fn asks(proxy: &Proxy, sni: &str) -> String {
    Cert::name_of(&Client::new().sni(sni).build().connect(proxy.addr("fe")))
}

fn refused(proxy: &Proxy, sni: &str) -> bool {
    Client::new().sni(sni).build().try_connect(proxy.addr("fe")).is_err()
}

fn many(count: usize) -> Vec<(String, Vec<u8>)> {
    (0..count).map(|n| (format!("n{n}.pem"), Cert::new(&[&format!("n{n}.test")]).pem())).collect()
}

fn named(files: &[(String, Vec<u8>)]) -> Vec<(&str, Vec<u8>)> {
    files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect()
}

#[test]
fn every_worker_shows_every_certificate() {
    let server = Server::named("ok");
    let files = many(40);
    let (program, _) = offload("", "", &named(&files), &server);
    let proxy = program.workers(2).start();
    for _ in 0..4 {
        for n in 0..40 {
            assert_eq!(asks(&proxy, &format!("n{n}.test")), format!("n{n}.test"));
        }
    }
    assert_eq!(asks(&proxy, "other.test"), "n0.test", "the first one is the default");
}

#[test]
fn a_cache_that_holds_a_few_serves_them_all() {
    let server = Server::named("ok");
    let files = many(60);
    let (program, _) = offload("    tune.ssl.cert-cache 64k", "", &named(&files), &server);
    let proxy = program.workers(1).start();
    for round in 0..3 {
        let clients: Vec<_> = (0..60)
            .map(|n| {
                let addr = proxy.addr("fe");
                std::thread::spawn(move || {
                    Cert::name_of(&Client::new().sni(&format!("n{n}.test")).build().connect(addr))
                })
            })
            .collect();
        for (n, client) in clients.into_iter().enumerate() {
            assert_eq!(client.join().unwrap(), format!("n{n}.test"), "round {round}");
        }
    }
}

#[test]
fn a_file_that_has_gone_is_refused_and_told() {
    let server = Server::named("ok");
    let files = many(3);
    for workers in [0, 2] {
        let (mut program, certs) = offload("", "", &named(&files), &server);
        if workers > 0 {
            program = program.workers(workers);
        } else {
            program = program.args(&["-db"]);
        }
        let log = lighterman_harness::logs::Logs::udp();
        let program = program.also("log", &format!("global\n    log {} local0\n", log.address()));
        let proxy = program.start();
        assert_eq!(asks(&proxy, "n0.test"), "n0.test", "it has started");
        std::fs::remove_file(format!("{certs}/n1.pem")).unwrap();
        assert!(refused(&proxy, "n1.test"), "{workers} workers");
        assert!(refused(&proxy, "n1.test"));
        assert_eq!(asks(&proxy, "n2.test"), "n2.test");
        let line = log.next_with("cannot be used");
        assert!(line.contains("n1.pem") && line.contains("No such file"), "{line}");
        std::fs::write(format!("{certs}/n1.pem"), &files[1].1).unwrap();
        eventually("it is tried again", || !refused(&proxy, "n1.test"));
    }
}

#[test]
fn the_good_ones_of_a_directory_are_served_and_the_bad_ones_told() {
    let server = Server::named("ok");
    let good = many(20);
    let mut files = named(&good);
    let names: Vec<String> = (0..20).map(|n| format!("bad{n}.pem")).collect();
    let cert = Cert::new(&["bad.test"]);
    for (n, name) in names.iter().enumerate() {
        let bytes = match n % 4 {
            0 => b"rubbish".to_vec(),
            1 => cert.cert_pem(),
            2 => [cert.cert_pem(), Cert::new(&["x.test"]).key_pem()].concat(),
            _ => cert.pem()[..200].to_vec(),
        };
        files.push((name, bytes));
    }
    let (program, _) = offload("", "strict-sni", &files, &server);
    let proxy = program.workers(1).start();
    for n in 0..20 {
        assert_eq!(asks(&proxy, &format!("n{n}.test")), format!("n{n}.test"));
    }
    assert!(refused(&proxy, "bad.test"));
    let said = proxy.stderr();
    for (n, name) in names.iter().enumerate() {
        let line = said.lines().find(|line| line.contains(&format!("/{name}: "))).unwrap_or_default();
        let why = ["no certificate inside", "no private key", "does not belong", "has no end"][n % 4];
        assert!(line.contains(why), "{name}: {line:?}");
    }
}

#[test]
fn both_kinds_expired_ones_and_wildcards_under_one_name() {
    let server = Server::named("ok");
    let authority = Cert::authority("Root");
    let files = [
        ("0.pem", Cert::new(&["default.test"]).pem()),
        ("a.pem", Cert::rsa(&["both.test"]).pem()),
        ("b.pem", Cert::new(&["both.test"]).pem()),
        ("c.pem", authority.issue_expired(&["shop.w.test"]).pem()),
        ("d.pem", Cert::new(&["*.w.test"]).pem()),
        ("e.pem", authority.issue_expired(&["old.test"]).pem()),
    ];
    let (program, _) = offload("", "", &files, &server);
    let proxy = program.workers(2).start();
    assert_eq!(asks(&proxy, "shop.w.test"), "*.w.test", "valid before expired");
    assert_eq!(asks(&proxy, "old.test"), "old.test", "nothing else is there");
    assert_eq!(asks(&proxy, "BOTH.test"), "both.test");
    let kind = |client: lighterman_harness::tls::Settings| {
        let peer = client.sni("both.test").build().connect(proxy.addr("fe"));
        peer.tls().peer_certificate().unwrap().public_key().unwrap().id()
    };
    assert_eq!(kind(Client::new()), openssl::pkey::Id::EC);
    let old = Client::new().version(openssl::ssl::SslVersion::TLS1_2).ciphers("ECDHE-RSA-AES128-GCM-SHA256");
    assert_eq!(kind(old), openssl::pkey::Id::RSA);
    for odd in ["10.0.0.1", "xn--bcher-kva.test", "two.labels.w.test", "a.b.c.d.e.f"] {
        assert_eq!(asks(&proxy, odd), "default.test", "{odd}");
    }
}

#[test]
fn a_worker_that_takes_the_place_of_another_knows_the_index() {
    let server = Server::named("ok");
    let files = many(10);
    let (program, _) = offload("", "", &named(&files), &server);
    let proxy = program.workers(2).start();
    assert_eq!(asks(&proxy, "n3.test"), "n3.test");
    for pid in proxy.workers() {
        procs::signal(pid, Signal::SIGKILL);
        eventually("another worker", || {
            let workers = proxy.workers();
            workers.len() == 2 && !workers.contains(&pid)
        });
    }
    for n in 0..10 {
        assert_eq!(asks(&proxy, &format!("n{n}.test")), format!("n{n}.test"));
    }
}

#[test]
fn a_reload_sees_what_came_what_changed_and_what_went() {
    let server = Server::named("ok");
    let files = many(6);
    let (program, certs) = offload("", "strict-sni", &named(&files), &server);
    let proxy = program.workers(2).start();
    assert!(refused(&proxy, "new.test"));
    std::fs::write(format!("{certs}/0-new.pem"), Cert::new(&["new.test"]).pem()).unwrap();
    std::fs::write(format!("{certs}/n2.pem"), Cert::new(&["changed.test", "again.test"]).pem()).unwrap();
    std::fs::remove_file(format!("{certs}/n4.pem")).unwrap();
    let answer = proxy.master("reload");
    assert!(answer.contains("Success=1"), "{answer}");
    for name in ["new.test", "changed.test", "n0.test", "n1.test", "n3.test", "n5.test"] {
        assert_eq!(asks(&proxy, name), name);
    }
    assert_eq!(asks(&proxy, "again.test"), "changed.test");
    assert!(refused(&proxy, "n2.test") && refused(&proxy, "n4.test"));
}

#[test]
fn an_index_is_kept_used_again_and_not_believed_blindly() {
    let server = Server::named("ok");
    let files = many(5);
    let kept = lighterman_harness::dir::Dir::new();
    let index_dir = kept.path().display().to_string();
    let global = format!("    ssl-index-dir {index_dir}");
    let stored = || {
        let mut files: Vec<_> = std::fs::read_dir(kept.path()).unwrap().map(|f| f.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files.remove(0)
    };
    let shared = lighterman_harness::dir::Dir::new();
    for (name, bytes) in &files {
        shared.file(name, bytes);
    }
    let start = || {
        let (program, _) = offload(&global, "", &[], &server);
        program.env("certs", shared.path().display()).workers(1).start()
    };
    let proxy = start();
    assert_eq!(asks(&proxy, "n4.test"), "n4.test");
    drop(proxy);
    let first = std::fs::read(stored()).unwrap();
    let proxy = start();
    assert_eq!(asks(&proxy, "n4.test"), "n4.test");
    assert!(!proxy.stderr().contains("index"), "{}", proxy.stderr());
    drop(proxy);
    for bad in [&first[..50], b"something else", &[&first[..200], &[0; 900]].concat()] {
        std::fs::write(stored(), bad).unwrap();
        let proxy = start();
        assert_eq!(asks(&proxy, "n4.test"), "n4.test");
        proxy.says("the index is made again");
        drop(proxy);
        assert_eq!(std::fs::read(stored()).unwrap(), first, "it is kept again");
    }
}
