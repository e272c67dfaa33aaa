//! Certificates of clients and of servers: who is believed, and what an operator is told of the others.

use lighterman_harness::logs::text;
use lighterman_harness::tls::{Cert, Client};
use lighterman_harness::{Logs, Peer, Program, Proxy, Reply, Server};

use crate::program;

/// A frontend that wants to see certificates, and tells what it saw of them. `${ca}`, `${other}` and `${crl}` are files.
struct Door {
    root: Cert,
    other: Cert,
    logs: Logs,
    proxy: Proxy,
}

const SHOWN: &str = "%[ssl_c_used] %[ssl_c_verify] %[ssl_c_err] %[ssl_c_ca_err] %[ssl_c_ca_err_depth] %[ssl_c_s_dn(CN)] %[ssl_fc_has_crt] %[ssl_fc_is_resumed]";

impl Door {
    fn new(options: &str) -> Door {
        Door::with(Cert::authority("Root"), options, &[])
    }

    fn with(root: Cert, options: &str, revoked: &[&Cert]) -> Door {
        let (other, logs) = (Cert::authority("Other"), Logs::udp());
        let program = program(&format!(
            "frontend fe\n    log {} local0\n    bind \"fd@${{fe}}\" ssl crt \"${{pem}}\" {options}\n    http-request return status 200 content-type text/plain lf-string \"{SHOWN}\"\n",
            logs.address(),
        ))
        .listen("fe");
        let pem = program.file("a.pem", Cert::new(&["a.test"]).pem());
        let ca = program.file("ca.pem", root.cert_pem());
        let other_file = program.file("other.pem", other.cert_pem());
        let both = program.file("dir/a.pem", root.cert_pem());
        program.file("dir/b.pem", other.cert_pem());
        let crl = program.file("crl.pem", root.revoke(revoked));
        let dir = both.trim_end_matches("/a.pem").to_string();
        let program =
            program.env("pem", pem).env("ca", ca).env("other", other_file).env("dir", dir).env("crl", crl);
        Door { root, other, logs, proxy: program.start() }
    }

    /// What the frontend saw of a client with this certificate.
    #[track_caller]
    fn sees(&self, cert: &Cert) -> String {
        match Client::new().cert(cert).build().try_connect(self.proxy.addr("fe")) {
            Ok(mut peer) => peer.get("/").text(),
            Err(error) => panic!("{error}; {}", self.logs.next()),
        }
    }

    /// A client is turned away; the words and the reason in the log.
    #[track_caller]
    fn refuses(&self, client: lighterman_harness::tls::Settings, words: &str, reason: &str) {
        // with TLS 1.3 the client is done before its certificate was looked at
        if let Ok(mut peer) = client.build().try_connect(self.proxy.addr("fe")) {
            assert!(
                peer.try_send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").is_err() || peer.try_response().is_err()
            );
        }
        let line = self.logs.next_with("failure");
        let line = text(&line);
        assert!(line.contains(&format!("] fe/1: SSL handshake failure: {words} reason={reason} ")), "{line}");
    }
}

#[test]
fn clients_must_show_a_certificate_that_is_believed() {
    let root = Cert::authority("Root");
    let revoked = root.issue(&["revoked"]);
    let door = Door::with(root, "verify required ca-file \"${ca}\" crl-file \"${crl}\"", &[&revoked]);
    assert_eq!(door.sees(&door.root.issue(&["anna"])), "1 0 0 0 0 anna 1 0");
    let stranger = Cert::authority("Other").issue(&["eve"]);
    let shows = |cert: &Cert| Client::new().cert(cert);
    door.refuses(Client::new(), "peer showed no certificate", "client_no_cert");
    door.refuses(shows(&door.root.issue_expired(&["old"])), "certificate has expired", "client_expired");
    door.refuses(shows(&revoked), "certificate revoked", "client_revoked");
    door.refuses(shows(&stranger), "unable to get local issuer certificate", "client_unknown_ca");
    door.refuses(shows(&Cert::new(&["self"])), "self signed certificate", "client_unknown_ca");
    let table = door.proxy.command("show ssl failures");
    assert!(table.contains("client_unknown_ca 2 "), "{table}");
}

#[test]
fn a_certificate_may_be_optional() {
    let door = Door::new("verify optional ca-file \"${ca}\"");
    assert_eq!(Client::new().build().connect(door.proxy.addr("fe")).get("/").text(), "0 0 0 0 0  0 0");
    assert_eq!(door.sees(&door.root.issue(&["anna"])), "1 0 0 0 0 anna 1 0");
    // what is shown must be right
    door.refuses(Client::new().cert(&Cert::new(&["self"])), "self signed certificate", "client_unknown_ca");
    let door = Door::new("verify none");
    assert_eq!(door.sees(&door.root.issue(&["anna"])), "0 0 0 0 0  0 0");
}

#[test]
fn authorities_come_from_files_directories_and_the_system() {
    let door = Door::new("verify required ca-file \"${dir}\"");
    assert_eq!(door.sees(&door.root.issue(&["anna"])), "1 0 0 0 0 anna 1 0");
    assert_eq!(door.sees(&door.other.issue(&["bert"])), "1 0 0 0 0 bert 1 0");
    let door = Door::new("verify required ca-file @system-ca");
    door.refuses(
        Client::new().cert(&door.root.issue(&["anna"])),
        "unable to get local issuer certificate",
        "client_unknown_ca",
    );
}

#[test]
fn clients_are_told_whom_to_ask_for_a_certificate() {
    let told = |options: &str| {
        let door = Door::new(options);
        let addr = door.proxy.addr("fe").to_string();
        let output = std::process::Command::new("openssl")
            .args(["s_client", "-connect", &addr])
            .stdin(std::process::Stdio::null())
            .output()
            .expect("openssl runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let names =
            text.lines().skip_while(|line| !line.starts_with("Acceptable client certificate CA names"));
        let names = names.skip(1).map_while(|line| line.strip_prefix("CN = "));
        names.map(str::to_string).collect::<Vec<_>>()
    };
    assert_eq!(told("verify optional ca-file \"${ca}\""), ["Root"]);
    assert_eq!(told("verify optional ca-file \"${ca}\" ca-verify-file \"${other}\""), ["Root"]);
    assert_eq!(told("verify optional ca-file \"${ca}\" no-ca-names"), Vec::<String>::new());
    let door = Door::new("verify required ca-file \"${ca}\" ca-verify-file \"${other}\"");
    assert_eq!(door.sees(&door.other.issue(&["bert"])), "1 0 0 0 0 bert 1 0");
    assert_eq!(door.sees(&door.root.issue(&["anna"])), "1 0 0 0 0 anna 1 0");
}

#[test]
fn errors_that_are_ignored_are_told_to_rules() {
    let door = Door::new("verify required ca-file \"${ca}\" crt-ignore-err X509_V_ERR_CERT_HAS_EXPIRED");
    let old = door.root.issue_expired(&["old"]);
    assert_eq!(door.sees(&old), "1 10 10 0 0 old 1 0");
    door.refuses(
        Client::new().cert(&door.other.issue(&["eve"])),
        "unable to get local issuer certificate",
        "client_unknown_ca",
    );
    let door = Door::new("verify required ca-file \"${ca}\" crt-ignore-err all ca-ignore-err all");
    let seen = door.sees(&door.other.issue(&["eve"]));
    // what fetches say first is the last error, and the first one after it
    assert!(seen.starts_with("1 2") && seen.contains(" 20 0 0 eve "), "{seen}");
    assert_eq!(door.sees(&Cert::new(&["self"])), "1 18 18 0 0 self 1 0");
}

#[test]
fn what_was_ignored_is_still_known_when_the_session_resumes() {
    let door = Door::new("verify optional ca-file \"${ca}\" crt-ignore-err all");
    let client = Client::new().cert(&door.root.issue_expired(&["old"])).resume().build();
    let seen: Vec<String> = (0..3).map(|_| client.connect(door.proxy.addr("fe")).get("/").text()).collect();
    assert_eq!(seen, ["1 10 10 0 0 old 1 0", "1 10 0 0 0 old 0 1", "1 10 0 0 0 old 0 1"]);
}

#[test]
fn a_session_opens_no_door_that_asks_for_more() {
    let (root, other) = (Cert::authority("Root"), Cert::authority("Other"));
    let server = Server::named("ok");
    let program = program(&format!(
        "listen open\n    bind \"fd@${{open}}\" ssl crt \"${{pem}}\"\n    bind \"fd@${{root}}\" ssl crt \"${{pem}}\" verify required ca-file \"${{ca}}\"\n    bind \"fd@${{again}}\" ssl crt \"${{pem}}\" verify required ca-file \"${{ca}}\"\n    bind \"fd@${{other}}\" ssl crt \"${{pem}}\" verify required ca-file \"${{ca2}}\"\n    bind \"fd@${{lax}}\" ssl crt \"${{pem}}\" verify required ca-file \"${{ca}}\" crt-ignore-err all\n    http-response set-header X-Resumed %[ssl_fc_is_resumed]\n    server s {}\n",
        server.addr()
    ));
    let program = ["open", "root", "again", "other", "lax"].into_iter().fold(program, Program::listen);
    let pem = program.file("a.pem", Cert::new(&["a.test"]).pem());
    let (ca, ca2) = (program.file("ca.pem", root.cert_pem()), program.file("ca2.pem", other.cert_pem()));
    let proxy = program.env("pem", pem).env("ca", ca).env("ca2", ca2).start();
    let resumed = |peer: &mut Peer| peer.get("/").field("x-resumed") == Some("1");
    let session_of = |door: &str| {
        let client = Client::new().cert(&root.issue(&["anna"])).resume().build();
        assert!(!resumed(&mut client.connect(proxy.addr(door))));
        client.keep_first();
        client
    };
    let client = session_of("root");
    assert!(resumed(&mut client.connect(proxy.addr("again"))), "the same demands");
    for (from, to) in [("open", "root"), ("lax", "root"), ("root", "open")] {
        let client = session_of(from);
        assert!(!resumed(&mut client.connect(proxy.addr(to))), "{from} to {to}");
    }
    let client = session_of("root");
    if let Ok(mut peer) = client.try_connect(proxy.addr("other")) {
        let _ = peer.try_send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(peer.try_response().is_err(), "a certificate of another authority");
    }
}

/// A frontend whose server is reached by TLS with these options; `${ca}` is Root's file.
fn towards(server: &Server, options: &str, files: &[(&str, Vec<u8>)], logs: &Logs) -> Proxy {
    let mut program = program(&format!(
        "listen fe\n    log {} local0\n    option httplog\n    retries 0\n    bind \"fd@${{fe}}\"\n    server s1 {} ssl {options}\n",
        logs.address(),
        server.addr()
    ))
    .listen("fe");
    for (name, bytes) in files {
        let path = program.file(&format!("{name}.pem"), bytes);
        program = program.env(name, path);
    }
    program.start()
}

#[test]
fn servers_that_are_not_believed_are_not_talked_to() {
    let root = Cert::authority("Root");
    let revoked = root.issue(&["s.test"]);
    let ca = root.cert_pem();
    let crl = root.revoke(&[&revoked]);
    let rows = [
        (root.issue(&["other.test"]), "sni str(s.test)", "Hostname mismatch"),
        (root.issue(&["s.test"]), "sni str(s.test) verifyhost other.test", "Hostname mismatch"),
        (root.issue_expired(&["s.test"]), "sni str(s.test)", "certificate has expired"),
        (Cert::new(&["s.test"]), "sni str(s.test)", "self signed certificate"),
        (revoked, "sni str(s.test) crl-file \"${crl}\"", "certificate revoked"),
        (
            Cert::authority("Other").issue(&["s.test"]),
            "sni str(s.test)",
            "unable to get local issuer certificate",
        ),
    ];
    for (cert, options, words) in rows {
        let (server, logs) = (Server::https(cert.server(), |_| Reply::ok("ok")), Logs::udp());
        let options = format!("verify required ca-file \"${{ca}}\" {options}");
        let proxy = towards(&server, &options, &[("ca", ca.clone()), ("crl", crl.clone())], &logs);
        assert_eq!(proxy.get("fe", "/").status, 503, "{words}");
        let warning = logs.next_with("Server fe/s1");
        assert!(
            text(&warning).contains(&format!("Server fe/s1: SSL handshake failure: {words}")),
            "{warning}"
        );
        let line = logs.next_with("GET / ");
        assert!(line.contains(" fe/s1 ") && line.contains(" 503 ") && line.contains(" SC-- "), "{line}");
        assert_eq!(server.requests().len(), 0);
    }
}

#[test]
fn an_address_is_checked_and_not_asked_for() {
    let root = Cert::authority("Root");
    let inner = program("frontend fe\n    bind \"fd@${fe}\" ssl crt \"${pem}\"\n    http-request return status 200 content-type text/plain lf-string \"%[ssl_fc_sni].\"\n").listen("fe");
    let pem = inner.file("a.pem", root.issue(&["127.0.0.1", "s.test"]).pem());
    let inner = inner.env("pem", pem).start();
    let program = program(&format!(
        "listen fe\n    bind \"fd@${{fe}}\"\n    retries 0\n    server s1 {} ssl ca-file \"${{ca}}\" sni req.hdr(host)\n",
        inner.addr("fe")
    ));
    let ca = program.file("ca.pem", root.cert_pem());
    let proxy = program.env("ca", ca).listen("fe").start();
    for (host, status, told) in [
        ("s.test:1", 200, "s.test."),
        ("127.0.0.1:8443", 200, "."),
        ("127.0.0.2", 503, ""),
        ("[::1]:443", 503, ""),
    ] {
        let mut client = proxy.connect("fe");
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        let answer = client.response();
        assert_eq!(answer.status, status, "{host}");
        assert!(status != 200 || answer.text() == told, "{host}");
    }
}

#[test]
fn the_authorities_of_the_system_do_not_know_everybody() {
    let root = Cert::authority("Root");
    let server = Server::https(root.issue(&["s.test"]).server(), |_| Reply::ok("ok"));
    let logs = Logs::udp();
    for (options, status) in [
        ("ca-file @system-ca verifyhost s.test", 503),
        ("ca-file @system-ca verifyhost s.test verify none", 200),
    ] {
        let proxy = towards(&server, options, &[], &logs);
        assert_eq!(proxy.get("fe", "/").status, status, "{options}");
        if status != 200 {
            let warning = logs.next_with("Server fe/s1");
            assert!(
                warning.contains("SSL handshake failure: unable to get local issuer certificate"),
                "{warning}"
            );
        }
    }
}

#[test]
fn files_that_are_no_good_are_named() {
    let root = Cert::authority("Root");
    let rows = [
        ("verify required ca-file \"${ca}.missing\"", "ca.pem.missing"),
        ("verify required ca-file \"${ca}\" crl-file \"${ca}\"", "no revocation list"),
        ("verify required ca-file \"${ca}\" ca-verify-file \"${crl}\"", "no certificate inside"),
        (
            "verify required ca-file \"${ca}\" crt-ignore-err X509_V_ERR_NONSENSE",
            "no error of certificate verification",
        ),
        ("verify required", "needs the authorities"),
    ];
    for (options, words) in rows {
        let program = program(&format!("listen fe\n    bind 127.0.0.1:0 ssl crt \"${{pem}}\" {options}\n"));
        let pem = program.file("a.pem", Cert::new(&["a.test"]).pem());
        let ca = program.file("ca.pem", root.cert_pem());
        let crl = program.file("crl.pem", root.revoke(&[]));
        let output = program.env("pem", pem).env("ca", ca).env("crl", crl).run(&["-c"]);
        assert_ne!(output.code(), 0, "{options}");
        assert!(output.stderr.contains(words), "{options}: {}", output.stderr);
    }
}

#[test]
fn servers_that_are_believed_are_talked_to() {
    let root = Cert::authority("Root");
    let files = [("ca", root.cert_pem()), ("crl", root.revoke(&[])), ("own", root.issue(&["proxy"]).pem())];
    for (names, options) in [
        (&["s.test"][..], "verify required ca-file \"${ca}\" sni str(s.test)"),
        (&["s.test"], "ca-file \"${ca}\" verifyhost s.test"),
        (&["a.test", "s.test"], "ca-file \"${ca}\" crl-file \"${crl}\" verifyhost s.test sni str(any.test)"),
        (&["*.x.test"], "ca-file \"${ca}\" sni req.hdr(host)"),
        (&["x"], "ca-file \"${ca}\""),
        (&["x"], "verify none"),
        (&["*.x.test"], "ca-file \"${ca}\" sni-auto"),
        (&["x"], "ca-file \"${ca}\" crt \"${own}\""),
    ] {
        let server = Server::https(root.issue(names).server(), |_| Reply::ok("ok"));
        let logs = Logs::udp();
        let proxy = towards(&server, options, &files, &logs);
        let mut client = proxy.connect("fe");
        client.send("GET / HTTP/1.1\r\nHost: www.x.test:81\r\n\r\n");
        let text = client.response().text();
        assert_eq!(text, "ok", "{options} {:?}", logs.within(std::time::Duration::from_secs(1)));
    }
}

#[test]
fn a_server_that_asks_sees_our_certificate() {
    let root = Cert::authority("Root");
    let server = Server::https(root.issue(&["s"]).server_that_asks(&root), |_| Reply::ok("ok"));
    let logs = Logs::udp();
    let files = [("ca", root.cert_pem()), ("own", root.issue(&["proxy"]).pem())];
    let proxy = towards(&server, "ca-file \"${ca}\" crt \"${own}\"", &files, &logs);
    assert_eq!(proxy.get("fe", "/").text(), "ok");
    let proxy = towards(&server, "ca-file \"${ca}\"", &files, &logs);
    assert_ne!(proxy.get("fe", "/").status, 200);
}

#[test]
fn a_connection_is_used_again_only_for_the_name_it_was_made_for() {
    let root = Cert::authority("Root");
    let server = Server::https(root.issue(&["*.x.test"]).server(), |_| Reply::ok("ok"));
    let logs = Logs::udp();
    let options = "ca-file \"${ca}\" sni-auto\n    http-reuse always";
    let proxy = towards(&server, options, &[("ca", root.cert_pem())], &logs);
    let mut client = proxy.connect("fe");
    for host in ["a.x.test", "a.x.test", "b.x.test"] {
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(client.response().text(), "ok");
    }
    assert_eq!(server.connections(), 2);
}

#[test]
fn connections_for_many_names_rest_side_by_side() {
    let root = Cert::authority("Root");
    let server = Server::https(root.issue(&["*.x.test"]).server(), |_| Reply::ok("ok"));
    let logs = Logs::udp();
    for (hosts, options, expected) in [
        ("aabb", "", 2),
        ("abababab", "", 2),
        ("abcabc", "pool-max-conn 2", 6),
        ("abcbcb", "pool-max-conn 2", 3),
    ] {
        let before = server.connections();
        let options = format!("ca-file \"${{ca}}\" sni-auto {options}\n    http-reuse always");
        let proxy = towards(&server, &options, &[("ca", root.cert_pem())], &logs);
        for host in hosts.chars() {
            let mut client = proxy.connect("fe");
            client.send(format!("GET / HTTP/1.1\r\nHost: {host}.x.test\r\nConnection: close\r\n\r\n"));
            assert_eq!(client.response().text(), "ok");
        }
        assert_eq!(server.connections() - before, expected, "{hosts} {options}");
    }
}

#[test]
fn the_default_is_to_check_servers() {
    let program = program("backend be\n    server s1 127.0.0.1:1 ssl\n");
    let output = program.run(&["-c"]);
    assert_eq!(output.code(), 1);
    assert!(output.stderr.contains("no authorities are given"), "{}", output.stderr);
    let program =
        crate::program("global\n    ssl-server-verify none\nbackend be\n    server s1 127.0.0.1:1 ssl\n");
    assert_eq!(program.run(&["-c"]).code(), 0);
}
