//! Certificates by list, by store, with what stands beside them: which one is shown, under which options.

use lighterman_harness::program::run;
use lighterman_harness::tls::{Cert, Client};
use lighterman_harness::{Program, Proxy, Server};
use openssl::ssl::SslVersion;

use crate::program;

/// A TLS frontend with these bind options; relative certificates are below the directory of the files, as `${certs}` is.
fn offload(global: &str, options: &str, files: &[(&str, Vec<u8>)], server: &Server) -> Program {
    let program = program(&format!(
        "global\n    crt-base \"${{certs}}\"\n    key-base \"${{certs}}\"\n{global}\
         listen fe\n    bind \"fd@${{fe}}\" ssl {options}\n    server s1 {}\n",
        server.addr()
    ))
    .listen("fe");
    let marker = program.file("certs/.here", "");
    for (name, bytes) in files {
        program.file(&format!("certs/{name}"), bytes);
    }
    let certs = marker.strip_suffix("/.here").unwrap().to_string();
    program.env("certs", certs)
}

fn list(options: &str, lines: &str, files: &[(&str, Vec<u8>)], server: &Server) -> Program {
    let mut files = files.to_vec();
    files.push(("list.txt", lines.into()));
    offload("", &format!("crt-list \"${{certs}}/list.txt\" {options}"), &files, server)
}

fn pems(names: &[&[&str]]) -> Vec<(&'static str, Vec<u8>)> {
    const FILES: [&str; 6] = ["1.pem", "2.pem", "3.pem", "4.pem", "5.pem", "6.pem"];
    names.iter().zip(FILES).map(|(names, file)| (file, Cert::new(names).pem())).collect()
}

fn asks(proxy: &Proxy, sni: &str) -> String {
    let client = match sni {
        "" => Client::new().build(),
        sni => Client::new().sni(sni).build(),
    };
    Cert::name_of(&client.connect(proxy.addr("fe")))
}

#[track_caller]
fn shows(proxy: &Proxy, rows: &[(&str, &str)]) {
    for (asked, served) in rows {
        assert_eq!(asks(proxy, asked), *served, "asked for {asked:?}");
    }
}

/// The program refuses to start, and says this.
#[track_caller]
fn refuses(program: Program, expected: &str) {
    let output = program.run(&["-d"]);
    assert_eq!(output.code(), 1, "{}", output.stderr);
    assert!(output.stderr.contains(expected), "no {expected:?} in:\n{}", output.stderr);
}

/// What `openssl s_client` says of a handshake with these words.
fn s_client(proxy: &Proxy, words: &[&str]) -> String {
    let addr = proxy.addr("fe").to_string();
    let output = run("openssl", &[&["s_client", "-connect", &addr], words].concat());
    output.stdout + &output.stderr
}

#[test]
fn names_of_the_list_replace_those_of_the_certificate() {
    let server = Server::named("ok");
    let files = pems(&[&["first.test"], &["two.test", "www.two.test"], &["*.w.test"], &["secure.w.test"]]);
    let lines = "1.pem !*\n\n# a comment\n2.pem\n3.pem *.w.test *.other.test !no.other.test\n\
        4.pem secure.w.test Upper.Test. *.other.test # and another\n";
    let proxy = list("", lines, &files, &server).start();
    shows(
        &proxy,
        &[
            ("", "first.test"),
            ("first.test", "first.test"),
            ("unknown.test", "first.test"),
            ("two.test", "two.test"),
            ("WWW.two.test", "two.test"),
            ("a.w.test", "*.w.test"),
            ("secure.w.test", "secure.w.test"),
            ("a.a.w.test", "first.test"),
            ("upper.test", "secure.w.test"),
            ("a.other.test", "*.w.test"),
            // excluded there, so the next line that covers it has it
            ("no.other.test", "secure.w.test"),
            ("other.test", "first.test"),
        ],
    );
}

#[test]
fn names_are_taken_from_a_certificate_and_defaults_are_marked() {
    let server = Server::named("ok");
    let files = pems(&[&["a.test", "b.test"], &["any.test"], &["b.test", "c.test"]]);
    let proxy = list("", "1.pem !b.test\n2.pem *\n3.pem\n", &files, &server).start();
    shows(
        &proxy,
        &[("", "any.test"), ("a.test", "a.test"), ("b.test", "b.test"), ("nobody.test", "any.test")],
    );
    let strict = list("strict-sni", "1.pem !b.test\n2.pem *\n", &files, &server).start();
    for name in ["b.test", "nobody.test"] {
        assert!(Client::new().sni(name).build().try_connect(strict.addr("fe")).is_err(), "{name}");
    }
    let files = pems(&[&["a.test"], &["default.test"]]);
    let proxy = offload("", "crt 1.pem default-crt 2.pem", &files, &server).start();
    shows(
        &proxy,
        &[
            ("", "default.test"),
            ("a.test", "a.test"),
            ("x.test", "default.test"),
            ("default.test", "default.test"),
        ],
    );
}

#[test]
fn sources_of_a_line_count_in_their_order() {
    let server = Server::named("ok");
    let mut files = pems(&[&["one.test", "shared.test"], &["two.test", "shared.test"]]);
    files.push(("dir/a.pem", Cert::new(&["three.test", "shared.test"]).pem()));
    files.push(("dir/b.pem", Cert::new(&["four.test"]).pem()));
    files.push(("list.txt", b"2.pem\n".to_vec()));
    files.push(("other.txt", b"\"dir/b.pem\" five.test\n".to_vec()));
    let own = ["crt dir", "crt-list \"${certs}/list.txt\"", "crt 1.pem", "crt-list \"${certs}/other.txt\""];
    let proxy = offload("", &own.join(" "), &files, &server).start();
    shows(
        &proxy,
        &[
            ("", "three.test"),
            ("shared.test", "three.test"),
            ("two.test", "two.test"),
            ("one.test", "one.test"),
            ("four.test", "four.test"),
            ("five.test", "four.test"),
        ],
    );
}

#[test]
fn options_of_a_line_are_those_of_its_connections() {
    let server = Server::named("ok");
    let files =
        pems(&[&["a.test"], &["alpn.test"], &["new.test"], &["old.test"], &["slow.test"], &["curve.test"]]);
    let lines = "1.pem\n2.pem [alpn http/1.1,http/1.0]\n3.pem [ssl-min-ver TLSv1.3]\n4.pem [ssl-max-ver TLSv1.2 no-alpn]\n\
        5.pem [ciphers ECDHE-ECDSA-AES256-GCM-SHA384 ciphersuites TLS_CHACHA20_POLY1305_SHA256]\n6.pem [curves P-384]\n";
    let proxy = list("alpn http/1.0", lines, &files, &server).start();
    let addr = proxy.addr("fe");
    let (v12, v13) = (SslVersion::TLS1_2, SslVersion::TLS1_3);
    let protocol = |name: &str, version| {
        let client = Client::new().sni(name).version(version).alpn(&["http/1.1", "http/1.0"]).build();
        let mut peer = client.try_connect(addr).ok()?;
        assert_eq!(Cert::name_of(&peer), name);
        assert_eq!(peer.get("/").text(), "ok");
        Some(peer.tls().selected_alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()))
    };
    let named = |name: &str| Some(Some(name.to_string()));
    for (name, on_12, on_13) in [
        ("a.test", named("http/1.0"), named("http/1.0")),
        ("alpn.test", named("http/1.1"), named("http/1.1")),
        ("new.test", None, named("http/1.0")),
        ("old.test", Some(None), None),
    ] {
        assert_eq!((protocol(name, v12), protocol(name, v13)), (on_12, on_13), "{name}");
    }
    for (name, on_12, on_13) in [
        ("a.test", "ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_AES_256_GCM_SHA384"),
        ("slow.test", "ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_CHACHA20_POLY1305_SHA256"),
    ] {
        for (version, cipher) in [("-tls1_2", on_12), ("-tls1_3", on_13)] {
            let said = s_client(&proxy, &[version, "-servername", name]);
            assert!(said.contains(&format!("Cipher is {cipher}")), "{name} {version}: {said}");
        }
    }
    for (name, groups, works) in
        [("a.test", "X25519", true), ("curve.test", "X25519", false), ("curve.test", "X25519:P-384", true)]
    {
        let client = Client::new().sni(name).groups(groups).build();
        assert_eq!(client.try_connect(addr).is_ok(), works, "{name} {groups}");
    }
}

#[test]
fn a_hello_in_many_pieces_finds_its_options() {
    let server = Server::named("ok");
    let files = pems(&[&["a.test"], &["b.test"]]);
    let proxy = list("", "1.pem\n2.pem [ssl-max-ver TLSv1.2]\n", &files, &server).start();
    // Names and protocols make the hello larger than what one read of the library takes.
    let long: Vec<String> = (0..40).map(|n| format!("protocol-{n}-{}", "x".repeat(200))).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    let mut peer = Client::new().sni("b.test").alpn(&long).build().connect(proxy.addr("fe"));
    assert_eq!((Cert::name_of(&peer).as_str(), peer.tls().version2()), ("b.test", Some(SslVersion::TLS1_2)));
    assert_eq!(peer.get("/").text(), "ok");
}

#[test]
fn clients_are_verified_where_the_line_says_so() {
    let server = Server::named("ok");
    let (ours, theirs) = (Cert::authority("Ours"), Cert::authority("Theirs"));
    let mut files = pems(&[&["open.test"], &["inner.test"], &["maybe.test"]]);
    files.push(("ours.pem", ours.cert_pem()));
    let lines =
        "1.pem\n2.pem [verify required ca-file \"${certs}/ours.pem\"]\n3.pem [verify optional ca-file CAS]\n";
    let (good, bad) = (ours.issue(&["client.test"]), theirs.issue(&["stranger.test"]));
    let program = list("", "", &files, &server);
    let here = program.file("certs/.here", "");
    let certs = here.strip_suffix("/.here").unwrap();
    program.file(
        "certs/list.txt",
        lines.replace("${certs}", certs).replace("CAS", &format!("{certs}/ours.pem")),
    );
    let proxy = program.start();
    // The answer counts: with TLS 1.3 a client learns of its refusal only then.
    let served = |name: &str, cert: Option<&Cert>| {
        [SslVersion::TLS1_2, SslVersion::TLS1_3].map(|version| {
            let mut client = Client::new().sni(name).version(version);
            if let Some(cert) = cert {
                client = client.cert(cert);
            }
            let Ok(mut peer) = client.build().try_connect(proxy.addr("fe")) else { return false };
            peer.try_send("GET / HTTP/1.0\r\n\r\n").is_ok() && peer.try_response().is_ok()
        })
    };
    for (name, cert, expected) in [
        ("open.test", None, true),
        ("open.test", Some(&bad), true),
        ("inner.test", None, false),
        ("inner.test", Some(&good), true),
        ("inner.test", Some(&bad), false),
        ("maybe.test", None, true),
        ("maybe.test", Some(&good), true),
        ("maybe.test", Some(&bad), false),
    ] {
        assert_eq!(served(name, cert), [expected; 2], "{name} {}", cert.is_some());
    }
}

#[test]
fn sessions_of_lines_with_options_resume_on_every_worker() {
    let server = Server::named("ok");
    let files = pems(&[&["a.test"], &["b.test"]]);
    let proxy = list("", "1.pem\n2.pem [alpn http/1.1]\n", &files, &server).workers(3).start();
    for (way, client) in [
        ("TLS 1.2 by id", Client::new().version(SslVersion::TLS1_2).no_ticket()),
        ("TLS 1.2 by ticket", Client::new().version(SslVersion::TLS1_2)),
        ("TLS 1.3", Client::new().version(SslVersion::TLS1_3)),
    ] {
        let client = client.sni("b.test").alpn(&["http/1.1"]).resume().build();
        let resumed = || {
            let mut peer = client.connect(proxy.addr("fe"));
            assert_eq!(peer.get("/").text(), "ok");
            assert_eq!(peer.tls().selected_alpn_protocol(), Some(&b"http/1.1"[..]), "{way}");
            let resumed = peer.tls().session_reused();
            peer.half_close();
            resumed
        };
        assert!(!resumed(), "{way}");
        assert_eq!((0..30).filter(|_| resumed()).count(), 30, "{way}");
    }
}

#[test]
fn a_verified_session_opens_no_line_of_other_authorities() {
    let server = Server::named("ok");
    let (ours, theirs) = (Cert::authority("Ours"), Cert::authority("Theirs"));
    let files = pems(&[&["a.test"], &["b.test"]]);
    let program = list("", "", &files, &server);
    let cas = [("ours", &ours), ("theirs", &theirs)]
        .map(|(name, cert)| program.file(&format!("certs/{name}.ca"), cert.cert_pem()));
    let lines =
        format!("1.pem [verify required ca-file {}]\n2.pem [verify required ca-file {}]\n", cas[0], cas[1]);
    program.file("certs/list.txt", lines);
    let proxy = program.start();
    let client = ours.issue(&["client.test"]);
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let known = Client::new().sni("a.test").version(version).cert(&client).resume().build();
        assert_eq!(known.connect(proxy.addr("fe")).get("/").text(), "ok");
        assert!(known.sessions() > 0);
        // The same client asks for the other name with the session it has.
        let other = known.renamed("b.test");
        let opened = other.try_connect(proxy.addr("fe")).is_ok_and(|mut peer| {
            peer.try_send("GET / HTTP/1.0\r\n\r\n").is_ok() && peer.try_response().is_ok()
        });
        assert!(!opened, "{version:?}");
    }
}

#[test]
fn stores_say_which_files_belong_together() {
    let server = Server::named("ok");
    let (a, b, c) = (Cert::new(&["a.test"]), Cert::new(&["b.test"]), Cert::new(&["c.test"]));
    let files = [
        ("a.crt", a.cert_pem()),
        ("keys/a", a.key_pem()),
        ("b.crt", b.cert_pem()),
        ("keys/b", b.key_pem()),
        ("c.crt", c.cert_pem()),
        ("keys/c", c.key_pem()),
        ("list.txt", b"@web/bee bee.test\nc.crt [key keys/c] cee.test\n".to_vec()),
    ];
    let stores = "crt-store\n    load crt a.crt key keys/a\n\
        crt-store web\n    key-base \"${certs}/keys\"\n    load crt b.crt key b alias bee\n";
    let program = offload(stores, "crt a.crt crt @web/bee crt-list \"${certs}/list.txt\"", &files, &server);
    let proxy = program.start();
    shows(
        &proxy,
        &[("a.test", "a.test"), ("b.test", "b.test"), ("bee.test", "b.test"), ("cee.test", "c.test")],
    );
}

#[test]
fn files_beside_a_certificate_are_looked_for_or_not() {
    let server = Server::named("ok");
    let cert = Cert::new(&["a.test"]);
    let files = [
        ("a.crt", cert.cert_pem()),
        ("a.crt.key", cert.key_pem()),
        ("b.crt", cert.cert_pem()),
        ("b.key", cert.key_pem()),
    ];
    let with = |global: &str, crt: &str| offload(global, &format!("crt {crt}"), &files, &server);
    assert_eq!(asks(&with("", "a.crt").start(), "a.test"), "a.test");
    refuses(with("    ssl-load-extra-files none\n", "a.crt"), "/a.crt: no private key inside");
    refuses(with("    ssl-load-extra-files issuer ocsp sctl\n", "a.crt"), "/a.crt: no private key inside");
    refuses(with("", "b.crt"), "/b.crt: no private key, neither inside nor in ");
    assert_eq!(asks(&with("    ssl-load-extra-del-ext\n", "b.crt").start(), "a.test"), "a.test");
    let both =
        [("site.pem.rsa", Cert::rsa(&["rsa.test"]).pem()), ("site.pem.ecdsa", Cert::new(&["ec.test"]).pem())];
    let proxy = offload("", "crt site.pem", &both, &server).start();
    shows(&proxy, &[("rsa.test", "rsa.test"), ("ec.test", "ec.test")]);
    refuses(
        offload("    ssl-load-extra-files none\n", "crt site.pem", &both, &server),
        "/site.pem: cannot be read: there is no such file",
    );
}

#[test]
fn chains_are_completed_from_files_and_directories() {
    let server = Server::named("ok");
    let root = Cert::authority("Root");
    let middle = root.issue(&["Middle"]);
    let leaf = middle.issue(&["a.test"]);
    let shown = |global: &str, options: &str, files: &[(&str, Vec<u8>)]| {
        let proxy = offload(global, options, files, &server).start();
        let peer = Client::new().build().connect(proxy.addr("fe"));
        let count = peer.tls().peer_cert_chain().unwrap().len();
        count
    };
    let alone = ("a.pem", leaf.pem());
    let chain = [middle.cert_pem(), root.cert_pem()].concat();
    assert_eq!(shown("", "crt a.pem", std::slice::from_ref(&alone)), 1);
    assert_eq!(shown("", "crt a.pem", &[alone.clone(), ("a.pem.issuer", chain.clone())]), 2);
    let dir = "    issuers-chain-path \"${certs}/chains\"\n";
    assert_eq!(shown(dir, "crt a.pem", &[alone.clone(), ("chains/x.pem", chain.clone())]), 3);
    let store = "crt-store s\n    load crt a.pem issuer who.pem\n";
    assert_eq!(shown(store, "crt @s/a.pem", &[alone, ("who.pem", chain)]), 2);
}

#[test]
fn answers_are_stapled_while_they_count() {
    let server = Server::named("ok");
    let authority = Cert::authority("Root");
    let leaf = authority.issue(&["a.test"]);
    let mut files = pems(&[&["other.test"]]);
    files.push(("a.pem", leaf.pem()));
    files.push(("ca.pem", authority.pem()));
    files.push(("index.txt", Vec::new()));
    let program = offload("", "crt 1.pem crt a.pem", &files, &server);
    let ca = program.file("certs/.ca", authority.pem());
    let dir = ca.strip_suffix("/.ca").unwrap().to_string();
    let serial = run("openssl", &["x509", "-in", &format!("{dir}/a.pem"), "-noout", "-serial"]).stdout;
    let serial = serial.trim().strip_prefix("serial=").unwrap().to_string();
    let index = program.file("index.db", format!("V\t401231235959Z\t\t{serial}\tunknown\t/CN=a.test\n"));
    let answer = |until: &[&str]| {
        let file = format!("{dir}/a.pem.ocsp");
        let made = run(
            "openssl",
            &[
                &["ocsp", "-index", &index, "-rsigner", &ca, "-rkey", &ca, "-CA", &ca, "-issuer", &ca],
                &["-cert", &format!("{dir}/a.pem"), "-respout", &file, "-noverify"][..],
                until,
            ]
            .concat(),
        );
        assert_eq!(made.code(), 0, "{}{}", made.stdout, made.stderr);
    };
    answer(&["-ndays", "1"]);
    let mut proxy = program.start();
    for version in ["-tls1_2", "-tls1_3"] {
        let said = s_client(&proxy, &[version, "-status", "-servername", "a.test"]);
        assert!(said.contains("OCSP Response Status: successful"), "{version}: {said}");
        assert!(said.contains("Cert Status: good"), "{version}: {said}");
        let said = s_client(&proxy, &[version, "-status", "-servername", "other.test"]);
        assert!(said.contains("OCSP response: no response sent"), "{version}: {said}");
    }
    assert!(!proxy.stderr().contains("ocsp"), "{}", proxy.stderr());
    // Without a time until which it counts, it is not shown, and the operator is told.
    answer(&[]);
    let program = offload("", "crt 1.pem crt a.pem", &files, &server);
    program.file("certs/a.pem.ocsp", std::fs::read(format!("{dir}/a.pem.ocsp")).unwrap());
    proxy.signal(nix::sys::signal::Signal::SIGTERM);
    proxy.wait();
    let proxy = program.start();
    proxy.says("a.pem.ocsp: the OCSP answer does not say until when it counts, it is not stapled");
    let said = s_client(&proxy, &["-status", "-servername", "a.test"]);
    assert!(said.contains("OCSP response: no response sent"), "{said}");
}

#[test]
fn timestamps_are_shown_to_those_who_ask() {
    let server = Server::named("ok");
    // Version 1, a log, a time, no extensions, ECDSA with SHA-256, a signature.
    let stamp =
        [&[0][..], &[7; 32], &[0, 0, 1, 0x8b, 0, 0, 0, 0], &[0, 0, 4, 3, 0, 4, 0x30, 2, 2, 0]].concat();
    let entry = [&(stamp.len() as u16).to_be_bytes()[..], &stamp].concat();
    let list = [&(entry.len() as u16).to_be_bytes()[..], &entry].concat();
    let mut files = pems(&[&["a.test"], &["b.test"]]);
    files.push(("1.pem.sctl", list));
    files.push(("2.pem.sctl", b"rubbish".to_vec()));
    let program = offload("", "crt 1.pem crt 2.pem", &files, &server);
    let logs = program.file("logs.cnf", "enabled_logs=\n");
    let proxy = program.start();
    proxy.says("2.pem.sctl: this is no list of certificate timestamps");
    for version in ["-tls1_2", "-tls1_3"] {
        let said = s_client(&proxy, &[version, "-ct", "-ctlogfile", &logs, "-servername", "a.test"]);
        assert!(said.contains("SCTs present (1)"), "{version}: {said}");
        let said = s_client(&proxy, &[version, "-ct", "-ctlogfile", &logs, "-servername", "b.test"]);
        assert!(said.contains("SCTs present (0)"), "{version}: {said}");
    }
}

/// A long list is read when clients ask; by then workers have no right to.
#[test]
fn what_belongs_to_a_certificate_comes_with_it_when_it_is_read_late() {
    let server = Server::named("ok");
    let root = Cert::authority("Root");
    let middle = root.issue(&["Middle"]);
    let (found, named) = (middle.issue(&["found.test"]), middle.issue(&["named.test"]));
    let stamp =
        [&[0][..], &[7; 32], &[0, 0, 1, 0x8b, 0, 0, 0, 0], &[0, 0, 4, 3, 0, 4, 0x30, 2, 2, 0]].concat();
    let entry = [&(stamp.len() as u16).to_be_bytes()[..], &stamp].concat();
    let sctl = [&(entry.len() as u16).to_be_bytes()[..], &entry].concat();
    let other = Cert::new(&["other.test"]).pem();
    let many: Vec<String> = (0..80).map(|n| format!("{n}.pem")).collect();
    let mut files: Vec<(&str, Vec<u8>)> = many.iter().map(|name| (name.as_str(), other.clone())).collect();
    files.extend([
        ("found.pem", found.cert_pem()),
        ("found.pem.key", found.key_pem()),
        ("found.pem.issuer", middle.cert_pem()),
        ("found.pem.sctl", sctl.clone()),
        ("named.pem", named.cert_pem()),
        ("a/key", named.key_pem()),
        ("a/issuer", middle.cert_pem()),
        ("a/sctl", sctl),
    ]);
    let mut lines: String = many.iter().map(|name| format!("{name} {name}.test\n")).collect();
    lines += "found.pem\nnamed.pem [key a/key issuer a/issuer sctl a/sctl ssl-max-ver TLSv1.2]\n";
    for workers in [None, Some(2)] {
        let program = list("", &lines, &files, &server);
        let logs = program.file("logs.cnf", "enabled_logs=\n");
        let proxy = match workers {
            Some(n) => program.workers(n).start(),
            None => program.start(),
        };
        for name in ["found.test", "named.test"] {
            let peer = Client::new().sni(name).build().connect(proxy.addr("fe"));
            assert_eq!(
                (Cert::name_of(&peer).as_str(), peer.tls().peer_cert_chain().unwrap().len()),
                (name, 2)
            );
            let said = s_client(&proxy, &["-ct", "-ctlogfile", &logs, "-servername", name]);
            assert!(said.contains("SCTs present (1)"), "{name}: {said}");
        }
        assert_eq!(asks(&proxy, "42.pem.test"), "other.test");
    }
}

#[test]
fn a_reload_reads_the_list_again_or_keeps_the_old_one() {
    let server = Server::named("ok");
    let files = pems(&[&["a.test"], &["b.test"]]);
    let program = list("", "1.pem\n", &files, &server);
    let path = program.file("certs/list.txt", "1.pem\n2.pem x.test\n");
    let proxy = program.workers(2).start();
    shows(&proxy, &[("x.test", "b.test"), ("y.test", "a.test")]);
    std::fs::write(&path, "1.pem\n2.pem [ssl-max-ver TLSv1.2] y.test\n").unwrap();
    let answer = proxy.master("reload");
    assert!(answer.contains("Success=1"), "{answer}");
    shows(&proxy, &[("x.test", "a.test"), ("y.test", "b.test")]);
    std::fs::write(&path, "1.pem\n2.pem [alpm x] z.test\n").unwrap();
    let answer = proxy.master("reload");
    assert!(answer.contains("Success=0") && answer.contains("list.txt:2:8 : unknown option"), "{answer}");
    shows(&proxy, &[("x.test", "a.test"), ("y.test", "b.test"), ("z.test", "a.test")]);
}

#[test]
fn bad_lists_and_files_are_told_before_anything_starts() {
    let server = Server::named("ok");
    let files =
        [("1.pem", Cert::new(&["a.test"]).pem()), ("bad.pem", b"rubbish".to_vec()), ("d/x.pem", Vec::new())];
    for (lines, expected) in [
        ("1.pem\nbad.pem b.test\n", "list.txt:2: "),
        ("1.pem\nbad.pem b.test\n", "/bad.pem: no certificate inside"),
        ("1.pem\nnone.pem\n", "/none.pem: cannot be read: there is no such file"),
        ("1.pem\nd d.test\n", "/d: cannot be read: it is a directory"),
        ("1.pem [alpm x]\n", "list.txt:1:8 : unknown option \"alpm\" of \"crt-list\""),
        ("1.pem [verify required ca-file /nowhere/ca.pem]\n", "/nowhere/ca.pem: cannot be read"),
        ("1.pem [ciphers NONSENSE]\n", "'ciphers': the TLS library accepts nothing of 'NONSENSE'"),
        ("", "no usable certificate in "),
    ] {
        refuses(list("", lines, &files, &server), expected);
    }
    let both = list("", "bad.pem\n1.pem\nnone.pem x.test\n", &files, &server).run(&["-d"]);
    assert_eq!(both.code(), 1);
    for line in [
        "several files are no good:",
        "list.txt:1: ",
        "/bad.pem: no certificate inside",
        "list.txt:3: ",
        "/none.pem: cannot",
    ] {
        assert!(both.stderr.contains(line), "no {line:?} in:\n{}", both.stderr);
    }
    refuses(offload("", "crt none.pem", &files, &server), "/none.pem: cannot be read: there is no such file");
    refuses(offload("", "default-crt bad.pem crt 1.pem", &files, &server), "/bad.pem: no certificate inside");
    refuses(offload("", "crt d", &files, &server), "no usable certificate in ");
}

#[test]
fn half_a_directory_of_rubbish_does_no_harm_to_the_other_half() {
    let server = Server::named("ok");
    let mut files = Vec::new();
    let names: Vec<(String, String)> =
        (0..20).map(|n| (format!("d/{n:02}.pem"), format!("n{n}.test"))).collect();
    for (n, (file, name)) in names.iter().enumerate() {
        let cert = Cert::new(&[name]);
        let bytes = match n % 2 {
            0 => cert.pem(),
            _ => [cert.cert_pem(), vec![n as u8; n * 100]].concat(),
        };
        files.push((file.as_str(), bytes));
    }
    let proxy = offload("", "crt d", &files, &server).start();
    for (n, (file, name)) in names.iter().enumerate() {
        match n % 2 {
            0 => assert_eq!(asks(&proxy, name), *name),
            _ => {
                let file = file.strip_prefix("d/").unwrap();
                proxy.says(&format!("{file}: no private key, neither inside nor in "));
            }
        }
    }
}

/// The same lists on Debian's haproxy and here (see `oracle`): every name gets the same certificate.
#[test]
fn the_oracle_shows_the_same_certificates() {
    const HAPROXY: &str = "/usr/sbin/haproxy";
    if std::env::var("LIGHTERMAN_ORACLE").is_err() {
        eprintln!("not played, see `make test-oracle`");
        return;
    }
    let files = pems(&[
        &["first.test", "www.first.test"],
        &["*.w.test", "w.test"],
        &["secure.w.test"],
        &["*.w.test", "other.test"],
    ]);
    let start = |binary: &str, lines: &str| {
        let ours = binary != HAPROXY;
        let text = "global\n    crt-base \"${certs}\"\ndefaults\n    mode http\n    timeout client 9s\n    timeout server 9s\n    \
            timeout connect 9s\nfrontend fe\n    bind \"fd@${fe}\" ssl crt-list \"${certs}/list.txt\"\n    \
            http-request return status 200\n";
        let program = if ours { Program::bare(binary, text) } else { Program::other(binary, text) };
        let program = program.listen("fe");
        let list = program.file("certs/list.txt", lines);
        files.iter().for_each(|(name, bytes)| drop(program.file(&format!("certs/{name}"), bytes)));
        program.env("certs", list.strip_suffix("/list.txt").unwrap()).start()
    };
    for lines in [
        "1.pem\n2.pem\n3.pem\n4.pem\n",
        "1.pem !*\n2.pem *.w.test !secure.w.test\n3.pem secure.w.test\n",
        "1.pem\n2.pem *.w.test !x.w.test\n4.pem *.w.test\n",
        "2.pem x.test\n1.pem X.TEST y.test\n\n# z.test\n  3.pem z.test\n",
        "1.pem [alpn http/1.1] a.w.test\n2.pem\n",
        "1.pem\n3.pem *.a.b.test b.test\n",
    ] {
        let (theirs, ours) = (start(HAPROXY, lines), start(crate::BIN, lines));
        for name in [
            "",
            "first.test",
            "www.first.test",
            "x.test",
            "y.test",
            "z.test",
            "w.test",
            "a.w.test",
            "x.w.test",
            "SECURE.w.test",
            "a.a.w.test",
            "other.test",
            "b.test",
            "x.a.b.test",
            "nobody",
        ] {
            assert_eq!(asks(&ours, name), asks(&theirs, name), "{name:?} with\n{lines}");
        }
    }
}
