//! Directories of certificates that are watched: what comes, changes and goes is in use by every worker without a reload,
//! and what is no good changes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;

use lighterman_harness::tls::{Cert, Client};
use lighterman_harness::{eventually, Dir, Load, Logs, Program, Proxy, Server};

use crate::program;

/// A frontend over a watched directory, which tells the worker of every answer.
fn watched(dir: &Dir, options: &str, global: &str, server: &Server) -> Program {
    let text = format!(
        "global\n{global}\nlisten fe\n    bind \"fd@${{fe}}\" ssl crt \"${{certs}}\" strict-sni {options}\n    \
         http-response set-header worker %pid\n    server s1 {}\n",
        server.addr()
    );
    program(&text).listen("fe").env("certs", dir.path().display())
}

/// Whether every worker shows a certificate of this common name; `None`: refuses.
fn everywhere(proxy: &Proxy, sni: &str, expected: Option<&str>) -> bool {
    let workers: BTreeSet<String> = proxy.workers().iter().map(u32::to_string).collect();
    let mut seen = BTreeSet::new();
    for _ in 0..40 {
        let Some(name) = expected else {
            if Client::new().sni(sni).build().try_connect(proxy.addr("fe")).is_ok() {
                return false;
            }
            continue;
        };
        let Ok(mut peer) = Client::new().sni(sni).build().try_connect(proxy.addr("fe")) else { return false };
        if Cert::name_of(&peer) != name {
            return false;
        }
        peer.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        seen.insert(peer.response().field("worker").unwrap_or_default().to_owned());
        if workers.is_subset(&seen) {
            return true;
        }
    }
    expected.is_none() || workers.is_empty()
}

fn comes(proxy: &Proxy, sni: &str, name: &str) {
    eventually(&format!("{sni} shows {name} everywhere"), || everywhere(proxy, sni, Some(name)));
}

fn goes(proxy: &Proxy, sni: &str) {
    eventually(&format!("{sni} is refused everywhere"), || everywhere(proxy, sni, None));
}

/// Puts a file in its place whole.
fn put(dir: &Dir, name: &str, bytes: &[u8]) {
    let draft = dir.file(&format!(".{name}.draft"), bytes);
    fs::rename(draft, dir.at(name)).unwrap();
}

#[test]
fn files_that_come_change_and_go_are_in_use_everywhere() {
    let server = Server::named("ok");
    // on the line, and for all lines
    for (options, global, workers) in [("watch", "", 3), ("", "    watch", 2)] {
        let dir = Dir::new();
        dir.file("a.pem", Cert::new(&["a.test"]).pem());
        let proxy = watched(&dir, options, global, &server).workers(workers).start();
        comes(&proxy, "a.test", "a.test");
        assert!(everywhere(&proxy, "b.test", None));
        // in place, as cp does
        fs::write(dir.at("b.pem"), Cert::new(&["b.test"]).pem()).unwrap();
        comes(&proxy, "b.test", "b.test");
        fs::write(dir.at("b.pem"), Cert::new(&["b2.test", "b.test"]).pem()).unwrap();
        comes(&proxy, "b.test", "b2.test");
        // by renaming
        put(&dir, "b.pem", &Cert::new(&["b3.test", "b.test"]).pem());
        comes(&proxy, "b.test", "b3.test");
        goes(&proxy, "b2.test");
        fs::rename(dir.at("b.pem"), dir.at("c.pem")).unwrap();
        put(&dir, "a.pem", &Cert::new(&["a2.test"]).pem());
        comes(&proxy, "a2.test", "a2.test");
        comes(&proxy, "b.test", "b3.test");
        fs::remove_file(dir.at("c.pem")).unwrap();
        goes(&proxy, "b.test");
        comes(&proxy, "a2.test", "a2.test");
        assert_eq!(proxy.count("SslWatchErrors"), 0);
        assert!(proxy.count("SslCertLookups") > 0 && proxy.count("SslCertMisses") > 0);
    }
}

#[test]
fn a_single_process_has_another_one_look_after_its_files() {
    let server = Server::named("ok");
    let dir = Dir::new();
    dir.file("a.pem", Cert::new(&["a.test"]).pem());
    let proxy = watched(&dir, "watch", "", &server).start();
    let shows = |name: &str| {
        let peer = Client::new().sni("a.test").build().try_connect(proxy.addr("fe"));
        peer.is_ok_and(|peer| Cert::name_of(&peer) == name)
    };
    eventually("it is served", || shows("a.test"));
    put(&dir, "a.pem", &Cert::new(&["b.test", "a.test"]).pem());
    eventually("the new one is", || shows("b.test"));
    dir.file("a.pem", "rubbish");
    eventually("it is told", || proxy.count("SslWatchErrors") == 1);
    assert!(shows("b.test"));
    fs::remove_file(dir.at("a.pem")).unwrap();
    eventually("it is refused", || {
        Client::new().sni("a.test").build().try_connect(proxy.addr("fe")).is_err()
    });
    let helpers = lighterman_harness::procs::children(proxy.pid());
    assert_eq!(helpers.len(), 1);
    drop(proxy);
    eventually("the other one ends too", || !lighterman_harness::procs::alive(helpers[0]));
}

#[test]
fn what_is_no_good_changes_nothing_and_is_told() {
    let server = Server::named("ok");
    let dir = Dir::new();
    for name in ["a", "b", "c", "d", "e"] {
        dir.file(&format!("{name}.pem"), Cert::new(&[&format!("{name}.test")]).pem());
    }
    let log = Logs::udp();
    let global = format!("    log {} local0", log.address());
    let proxy = watched(&dir, "watch", &global, &server).workers(2).start();
    // nobody asked for these yet: their bytes are in no worker's memory. That they are kept shows when others are seen.
    dir.file("z.pem", Cert::new(&["z.test"]).pem());
    comes(&proxy, "z.test", "z.test");
    let other = Cert::new(&["a.test", "other.test"]);
    fs::write(dir.at("a.pem"), &other.pem()[..300]).unwrap();
    fs::write(dir.at("b.pem"), "rubbish").unwrap();
    fs::write(dir.at("c.pem"), [other.cert_pem(), Cert::new(&["x.test"]).key_pem()].concat()).unwrap();
    fs::write(dir.at("d.pem"), "").unwrap();
    put(&dir, "e.pem", &other.cert_pem());
    dir.file("new.pem", "rubbish");
    for name in ["a", "b", "c", "d", "e"] {
        let line = log.next_with("stays as it was");
        assert!(line.contains(".pem: "), "{name} {line}");
    }
    log.next_with("it is not used");
    eventually("all are counted", || proxy.count("SslWatchErrors") == 6);
    for name in ["a.test", "b.test", "c.test", "d.test", "e.test"] {
        assert!(everywhere(&proxy, name, Some(name)), "{name}");
    }
    // nor does a reload
    assert!(proxy.master("reload").contains("Success=1"));
    for name in ["a.test", "b.test", "c.test", "d.test", "e.test"] {
        assert!(everywhere(&proxy, name, Some(name)), "{name} after a reload");
    }
    fs::write(dir.at("a.pem"), other.pem()).unwrap();
    comes(&proxy, "a.test", "a.test");
    comes(&proxy, "other.test", "a.test");
    assert_eq!(proxy.count("SslWatchErrors"), 6, "nothing is told twice");
}

#[test]
fn a_file_that_somebody_still_writes_is_left_alone() {
    let server = Server::named("ok");
    let dir = Dir::new();
    let root = Cert::authority("Root");
    dir.file("a.pem", root.issue(&["a.test"]).pem());
    let proxy = watched(&dir, "watch", "", &server).workers(2).start();
    comes(&proxy, "a.test", "a.test");
    let other = root.issue(&["a2.test", "a.test"]);
    let mut file = fs::File::create(dir.at("a.pem")).unwrap();
    // certificate and key are whole, the chain is not there yet
    file.write_all(&other.pem()).unwrap();
    // another file shows that changes have been seen since
    dir.file("b.pem", Cert::new(&["b.test"]).pem());
    comes(&proxy, "b.test", "b.test");
    assert!(everywhere(&proxy, "a.test", Some("a.test")));
    file.write_all(&root.cert_pem()).unwrap();
    drop(file);
    comes(&proxy, "a.test", "a2.test");
    let peer = Client::new().sni("a.test").build().connect(proxy.addr("fe"));
    assert_eq!(peer.tls().peer_cert_chain().map(|chain| chain.len()), Some(2), "the chain came with it");
    assert_eq!(proxy.count("SslWatchErrors"), 0);
}

#[test]
fn keys_beside_certificates_change_with_them() {
    let server = Server::named("ok");
    let dir = Dir::new();
    let (one, two) = (Cert::new(&["one.test", "a.test"]), Cert::new(&["two.test", "a.test"]));
    dir.file("a.pem", one.cert_pem());
    dir.file("a.pem.key", one.key_pem());
    let proxy = watched(&dir, "watch", "", &server).workers(2).start();
    comes(&proxy, "a.test", "one.test");
    put(&dir, "a.pem", &two.cert_pem());
    put(&dir, "a.pem.key", &two.key_pem());
    comes(&proxy, "a.test", "two.test");
    // one without the other is no good, and tells so
    fs::remove_file(dir.at("a.pem.key")).unwrap();
    eventually("the key is missed", || proxy.count("SslWatchErrors") == 1);
    assert!(everywhere(&proxy, "a.test", Some("two.test")));
    dir.file("a.pem.key", two.key_pem());
    dir.file("b.pem", Cert::new(&["b.test"]).pem());
    comes(&proxy, "b.test", "b.test");
    assert!(everywhere(&proxy, "a.test", Some("two.test")));
}

#[test]
fn an_empty_directory_fills_and_one_that_goes_comes_back() {
    let server = Server::named("ok");
    let parent = Dir::new();
    let dir = parent.at("certs");
    fs::create_dir(&dir).unwrap();
    let proxy = watched(&parent, "watch", "", &server).env("certs", &dir).workers(2).start();
    assert!(everywhere(&proxy, "a.test", None));
    parent.file("certs/a.pem", Cert::new(&["a.test"]).pem());
    comes(&proxy, "a.test", "a.test");
    // the whole directory is exchanged for another
    fs::create_dir(parent.at("next")).unwrap();
    parent.file("next/b.pem", Cert::new(&["b.test"]).pem());
    fs::rename(&dir, parent.at("old")).unwrap();
    eventually("it is missed", || proxy.count("SslWatchErrors") == 1);
    assert!(everywhere(&proxy, "a.test", Some("a.test")), "what was there is served meanwhile");
    fs::rename(parent.at("next"), &dir).unwrap();
    comes(&proxy, "b.test", "b.test");
    goes(&proxy, "a.test");
    parent.file("certs/c.pem", Cert::new(&["c.test"]).pem());
    comes(&proxy, "c.test", "c.test");
}

#[test]
fn a_mounted_secret_changes_as_a_whole() {
    let server = Server::named("ok");
    let dir = Dir::new();
    dir.file("..1/tls.pem", Cert::new(&["one.test", "a.test"]).pem());
    dir.file("..2/tls.pem", Cert::new(&["two.test", "a.test"]).pem());
    let link = |from: &str, to: &str| std::os::unix::fs::symlink(from, dir.at(to)).unwrap();
    link("..1", "..data");
    link("..data/tls.pem", "tls.pem");
    let proxy = watched(&dir, "watch", "", &server).workers(2).start();
    comes(&proxy, "a.test", "one.test");
    link("..2", "..data_tmp");
    fs::rename(dir.at("..data_tmp"), dir.at("..data")).unwrap();
    comes(&proxy, "a.test", "two.test");
}

#[test]
fn workers_that_come_later_know_what_has_changed() {
    let server = Server::named("ok");
    let dir = Dir::new();
    dir.file("a.pem", Cert::new(&["a.test"]).pem());
    let proxy = watched(&dir, "watch", "", &server).workers(2).start();
    dir.file("b.pem", Cert::new(&["b.test"]).pem());
    comes(&proxy, "b.test", "b.test");
    for pid in proxy.workers() {
        lighterman_harness::procs::signal(pid, nix::sys::signal::Signal::SIGKILL);
        eventually("another worker", || proxy.workers().len() == 2 && !proxy.workers().contains(&pid));
    }
    assert!(everywhere(&proxy, "b.test", Some("b.test")));
    dir.file("c.pem", Cert::new(&["c.test"]).pem());
    comes(&proxy, "c.test", "c.test");
    // and a generation that comes later
    assert!(proxy.master("reload").contains("Success=1"));
    dir.file("d.pem", Cert::new(&["d.test"]).pem());
    comes(&proxy, "d.test", "d.test");
    assert!(everywhere(&proxy, "c.test", Some("c.test")));
}

#[test]
fn two_hundred_replacements_under_load_fail_no_handshake() {
    let server = Server::named("ok");
    let dir = Dir::new();
    let one = Cert::new(&["zero.test", "a.test"]);
    dir.file("a.pem", one.pem());
    let proxy = watched(&dir, "watch", "", &server).workers(2).start();
    comes(&proxy, "a.test", "zero.test");
    let addr = proxy.addr("fe");
    let client = std::sync::Arc::new(Client::new().sni("a.test").build());
    let load = Load::start(4, move || {
        let mut peer = client.try_connect(addr).map_err(|error| error.to_string())?;
        peer.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        peer.try_response().map(drop)
    });
    let mut last = String::new();
    for n in 0..200 {
        last = format!("n{n}.test");
        let bytes = Cert::new(&[&last, "a.test"]).pem();
        // both ways to replace a file
        match n % 2 {
            0 => put(&dir, "a.pem", &bytes),
            _ => fs::write(dir.at("a.pem"), bytes).unwrap(),
        }
        load.goes_on(5);
    }
    comes(&proxy, "a.test", &last);
    let report = load.stop();
    report.spotless();
    assert_eq!(proxy.count("SslWatchErrors"), 0);
}

#[test]
fn a_thousand_files_at_once_are_one_change_or_a_few() {
    let server = Server::named("ok");
    let dir = Dir::new();
    dir.file("a.pem", Cert::new(&["a.test"]).pem());
    let log = Logs::udp();
    let proxy =
        watched(&dir, "watch", &format!("    log {} local0", log.address()), &server).workers(2).start();
    comes(&proxy, "a.test", "a.test");
    let files: Vec<_> = (0..1000).map(|n| Cert::new(&[&format!("n{n}.test")]).pem()).collect();
    for (n, bytes) in files.iter().enumerate() {
        dir.file(&format!("n{n}.pem"), bytes);
    }
    let mut lines = Vec::new();
    while !lines.last().is_some_and(|line: &String| line.contains("1001 certificates")) {
        lines.push(log.next_with(" certificates"));
    }
    assert!(lines.len() <= 20, "{lines:?}");
    comes(&proxy, "n0.test", "n0.test");
    comes(&proxy, "n999.test", "n999.test");
}
