//! Authorities and revocation lists changed by commands: in force in all workers at commit, and in those that come later.

use std::net::TcpStream;

use lighterman_harness::tls::{Cert, Client};
use lighterman_harness::{eventually, procs, Proxy, Reply, Server};
use nix::sys::signal::Signal;
use openssl::ssl::SslVersion;

use crate::program;

/// A frontend on sockets of the workers' own, which tells whose certificate it saw and whether the session was resumed.
struct Door {
    root: Cert,
    other: Cert,
    ca: String,
    crl: String,
    proxy: Proxy,
}

/// Handshakes enough for every worker to see some.
const MANY: usize = 24;

impl Door {
    fn new(options: &str, revoked: &[&str], workers: u32) -> Door {
        let (root, other) = (Cert::authority("Root"), Cert::authority("Other"));
        let revoked: Vec<Cert> = revoked.iter().map(|name| root.issue(&[name])).collect();
        let lists = root.revoke(&revoked.iter().collect::<Vec<_>>());
        Door::with(root, other, &lists, options, workers)
    }

    fn with(root: Cert, other: Cert, lists: &[u8], options: &str, workers: u32) -> Door {
        let program = program(&format!(
            "frontend fe\n    bind 127.0.0.1:\"${{port}}\" ssl crt \"${{pem}}\" {options}\n    \
             http-request return status 200 content-type text/plain lf-string \"%[ssl_c_s_dn(CN)] %[ssl_fc_is_resumed]\"\n"
        ))
        .port("port")
        .workers(workers);
        let pem = program.file("a.pem", Cert::new(&["a.test"]).pem());
        let ca = program.file("ca.pem", root.cert_pem());
        let crl = program.file("crl.pem", lists);
        let proxy = program.env("pem", pem).env("ca", &ca).env("crl", &crl).start();
        eventually("the door is open", || TcpStream::connect(proxy.addr("port")).is_ok());
        Door { root, other, ca, crl, proxy }
    }

    /// What the frontend saw of a client; `None`: it was turned away.
    fn sees(&self, client: &Client) -> Option<String> {
        let mut peer = client.try_connect(self.proxy.addr("port")).ok()?;
        peer.try_send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
        peer.try_response().ok().map(|response| response.text())
    }

    /// How many of many clients with this certificate are let in.
    fn lets_in(&self, cert: &Cert) -> usize {
        (0..MANY).filter(|_| self.sees(&Client::new().cert(cert).build()).is_some()).count()
    }

    fn ask(&self, command: &str) -> String {
        let answer = self.proxy.command(&command.replace("@ca", &self.ca).replace("@crl", &self.crl));
        answer.trim_end_matches('\n').replace(&self.ca, "@ca").replace(&self.crl, "@crl")
    }

    /// A command about a file with a payload.
    fn give(&self, command: &str, pem: impl AsRef<[u8]>) -> String {
        self.ask(&format!("{command} <<\n{}", String::from_utf8(pem.as_ref().to_vec()).unwrap()))
    }
}

#[test]
fn other_authorities_are_believed_by_all_workers_at_commit() {
    let door = Door::new("verify required ca-file \"${ca}\"", &[], 4);
    let (anna, bert) = (door.root.issue(&["anna"]), door.other.issue(&["bert"]));
    assert_eq!((door.lets_in(&anna), door.lets_in(&bert)), (MANY, 0));
    assert_eq!(door.give("set ssl ca-file @ca", door.other.cert_pem()), "transaction created for CA @ca!");
    assert_eq!((door.lets_in(&anna), door.lets_in(&bert)), (MANY, 0), "nothing is committed yet");
    assert_eq!(door.ask("commit ssl ca-file @ca"), "Committing @ca.\nSuccess!");
    assert_eq!((door.lets_in(&anna), door.lets_in(&bert)), (0, MANY));
    // both
    assert_eq!(door.give("add ssl ca-file @ca", door.root.cert_pem()), "transaction created for CA @ca!");
    assert!(door
        .ask("show ssl ca-file")
        .contains("*@ca - 2 certificate(s)\n# filename\n@ca - 1 certificate(s)"));
    assert_eq!(door.ask("commit ssl ca-file @ca"), "Committing @ca.\nSuccess!");
    assert_eq!((door.lets_in(&anna), door.lets_in(&bert)), (MANY, MANY));
}

#[test]
fn workers_that_come_later_believe_the_same() {
    let door = Door::new("verify required ca-file \"${ca}\" crl-file \"${crl}\"", &[], 2);
    let (anna, bert) = (door.root.issue(&["anna"]), door.root.issue(&["bert"]));
    assert_eq!((door.lets_in(&anna), door.lets_in(&bert)), (MANY, MANY));
    assert_eq!(
        door.give("set ssl crl-file @crl", door.root.revoke(&[&bert])),
        "transaction created for CRL @crl!"
    );
    assert_eq!(door.ask("commit ssl crl-file @crl"), "Committing @crl.\nSuccess!");
    assert_eq!((door.lets_in(&anna), door.lets_in(&bert)), (MANY, 0));
    let old = procs::children(door.proxy.pid());
    old.iter().for_each(|pid| procs::signal(*pid, Signal::SIGKILL));
    eventually("all are new", || {
        let now = procs::children(door.proxy.pid());
        now.len() == old.len() && now.iter().all(|pid| !old.contains(pid)) && door.proxy.workers().len() == 2
    });
    assert_eq!((door.lets_in(&anna), door.lets_in(&bert)), (MANY, 0));
    let shown = door.ask("show ssl crl-file @crl");
    assert!(shown.contains("Revoked Certificates:\n    Serial Number: "), "{shown}");
    // a reload reads the file again
    door.proxy.master("reload");
    eventually("the file counts", || door.lets_in(&bert) == MANY);
}

#[test]
fn no_session_outlives_the_authorities_that_verified_it() {
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let door = Door::new("verify required ca-file \"${ca}\"", &[], 2);
        let anna = Client::new().version(version).cert(&door.root.issue(&["anna"])).resume().build();
        assert_eq!(door.sees(&anna).as_deref(), Some("anna 0"));
        assert_eq!(door.sees(&anna).as_deref(), Some("anna 1"), "{version:?}");
        door.give("set ssl ca-file @ca", door.other.cert_pem());
        door.ask("commit ssl ca-file @ca");
        for _ in 0..MANY {
            assert_eq!(door.sees(&anna), None, "{version:?}: neither the session nor the certificate counts");
        }
        // what is as it was before counts as it did before
        door.give("set ssl ca-file @ca", door.root.cert_pem());
        door.ask("commit ssl ca-file @ca");
        anna.forget();
        assert_eq!(door.sees(&anna).as_deref(), Some("anna 0"), "{version:?}");
        assert_eq!(door.sees(&anna).as_deref(), Some("anna 1"), "{version:?}");
    }
}

#[test]
fn authorities_that_are_not_told_can_be_changed_too() {
    let (root, other) = (Cert::authority("Root"), Cert::authority("Other"));
    let third = Cert::authority("Third");
    let lists = other.cert_pem();
    let door =
        Door::with(root, other, &lists, "verify required ca-file \"${ca}\" ca-verify-file \"${crl}\"", 2);
    assert_eq!(door.lets_in(&door.other.issue(&["bert"])), MANY);
    assert_eq!(door.give("set ssl ca-file @crl", third.cert_pem()), "transaction created for CA @crl!");
    assert_eq!(door.ask("commit ssl ca-file @crl"), "Committing @crl.\nSuccess!");
    assert_eq!(door.lets_in(&door.other.issue(&["bert"])), 0);
    assert_eq!(door.lets_in(&third.issue(&["carl"])), MANY);
    assert_eq!(door.lets_in(&door.root.issue(&["anna"])), MANY);
}

#[test]
fn servers_are_verified_with_what_was_committed() {
    let (root, other) = (Cert::authority("Root"), Cert::authority("Other"));
    let cert = root.issue(&["s.test"]);
    let server = Server::https(cert.server(), |_| Reply::ok("ok"));
    let program = program(&format!(
        "listen fe\n    retries 0\n    bind 127.0.0.1:\"${{port}}\"\n    server s1 {} ssl verify required verifyhost s.test ca-file \"${{ca}}\" crl-file \"${{crl}}\"\n",
        server.addr()
    ))
    .port("port")
    .workers(2);
    let ca = program.file("ca.pem", root.cert_pem());
    let crl = program.file("crl.pem", root.revoke(&[]));
    let proxy = program.env("ca", &ca).env("crl", &crl).start();
    eventually("the door is open", || TcpStream::connect(proxy.addr("port")).is_ok());
    let answers = |wanted: u16| {
        for _ in 0..MANY {
            let mut client = proxy.connect("port");
            assert_eq!(client.get("/").status, wanted);
        }
    };
    let commit = |kind: &str, file: &str, pem: Vec<u8>| {
        let pem = String::from_utf8(pem).unwrap();
        proxy.command(&format!("set ssl {kind} {file} <<\n{pem}"));
        let said = proxy.command(&format!("commit ssl {kind} {file}"));
        assert_eq!(said.trim_end(), format!("Committing {file}.\nSuccess!"));
    };
    answers(200);
    // connections that rest, and sessions, were verified with what does not count any more
    commit("ca-file", &ca, other.cert_pem());
    answers(503);
    commit("ca-file", &ca, root.cert_pem());
    answers(200);
    commit("crl-file", &crl, root.revoke(&[&cert]));
    answers(503);
}

#[test]
fn a_single_process_obeys_too() {
    let door = Door::new("verify required ca-file \"${ca}\"", &[], 1);
    let bert = door.other.issue(&["bert"]);
    assert_eq!(door.lets_in(&bert), 0);
    door.give("set ssl ca-file @ca", door.other.cert_pem());
    assert_eq!(door.ask("commit ssl ca-file @ca"), "Committing @ca.\nSuccess!");
    assert_eq!(door.lets_in(&bert), MANY);
}

#[test]
fn answers_are_those_that_scripts_know() {
    let door = Door::new("verify required ca-file \"${ca}\" crl-file \"${crl}\"", &[], 1);
    let ca = String::from_utf8(door.other.cert_pem()).unwrap();
    let crl = String::from_utf8(door.root.revoke(&[])).unwrap();
    let rows: &[(&str, &str, &str)] = &[
        ("set ssl ca-file @ca", "", "'set ssl ca-file' expects a filename and CAs as a payload"),
        ("set ssl ca-file", "", "'set ssl ca-file' expects a filename and CAs as a payload"),
        (
            "set ssl ca-file nope",
            &ca,
            "Can't replace a CA file which is not referenced by the configuration!\nCan't update nope!",
        ),
        ("set ssl ca-file @ca", "junk\n", "Invalid payload: no certificate inside\nCan't update @ca!"),
        ("set ssl ca-file @ca", &crl, "Invalid payload: no certificate inside\nCan't update @ca!"),
        ("commit ssl ca-file @ca", "", "No ongoing transaction!\nCan't commit @ca!"),
        ("set ssl ca-file @ca", &ca, "transaction created for CA @ca!"),
        ("set ssl ca-file @ca", &ca, "transaction updated for CA @ca!"),
        (
            "show ssl ca-file",
            "",
            "# transaction\n*@ca - 1 certificate(s)\n# filename\n@ca - 1 certificate(s)",
        ),
        (
            "commit ssl ca-file nope",
            "",
            "The ongoing transaction is about '@ca' but you are trying to set 'nope'\nCan't commit nope!",
        ),
        ("commit ssl ca-file", "", "'commit ssl ca-file' expects a filename"),
        (
            "abort ssl ca-file nope",
            "",
            "The ongoing transaction is about '@ca' but you are trying to abort a transaction for 'nope'",
        ),
        ("abort ssl ca-file @ca", "", "Transaction aborted for certificate '@ca'!"),
        ("abort ssl ca-file @ca", "", "No ongoing transaction!"),
        ("new ssl ca-file @ca", "", "CA file '@ca' already exists!"),
        ("new ssl ca-file x.pem", "", "New CA file created 'x.pem'!"),
        ("show ssl ca-file", "", "# filename\n@ca - 1 certificate(s)\nx.pem - 0 certificate(s)"),
        ("show ssl ca-file x.pem", "", "Filename: x.pem\nStatus: Empty"),
        ("set ssl ca-file x.pem", &ca, "transaction created for CA x.pem!"),
        ("commit ssl ca-file x.pem", "", "Committing x.pem\nSuccess!"),
        ("del ssl ca-file x.pem", "", "CA file 'x.pem' deleted!"),
        ("del ssl ca-file x.pem", "", "Can't remove the CA file: CA file 'x.pem' doesn't exist!"),
        ("del ssl ca-file @ca", "", "Can't remove the CA file: CA file '@ca' in use, can't be deleted!"),
        ("show ssl ca-file nope", "", "Can't display the CA file : Not found!"),
        ("show ssl ca-file @ca:0", "", "wrong CA index after colons in '@ca:0'!"),
        ("show ssl ca-file @ca:2", "", "Filename: @ca\nStatus: Used"),
        ("show ssl crl-file", "", "# filename\n@crl"),
        (
            "set ssl crl-file @crl",
            &ca,
            "Invalid payload: no revocation list (X509 CRL) inside\nCan't update @crl!",
        ),
        ("set ssl crl-file @crl", &crl, "transaction created for CRL @crl!"),
        ("show ssl crl-file", "", "# transaction\n*@crl\n# filename\n@crl"),
        ("abort ssl crl-file @crl", "", "Transaction aborted for certificate '@crl'!"),
        ("new ssl crl-file y", "", "New CRL file created 'y'!"),
        ("show ssl crl-file y", "", "Filename: y\nStatus: Empty"),
        ("del ssl crl-file y", "", "CRL file 'y' deleted!"),
        ("del ssl crl-file @crl", "", "Can't remove the CRL file: CRL file '@crl' in use, can't be deleted!"),
    ];
    for (command, payload, expected) in rows {
        let said = match *payload {
            "" => door.ask(command),
            payload => door.give(command, payload),
        };
        assert_eq!(said, *expected, "{command}");
    }
    let shown = door.ask("show ssl ca-file @ca:1");
    for mark in [
        "Filename: @ca\nStatus: Used\n \nCertificate #1:\nSerial: ",
        "\nnotBefore: ",
        " GMT\nSubject Alternative Name: ",
        "\nAlgorithm: EC256\nSHA1 FingerPrint: ",
        "\nSubject: /CN=Root\nIssuer: /CN=Root",
    ] {
        assert!(shown.contains(mark), "{mark:?} in {shown}");
    }
    let shown = door.ask("show ssl crl-file @crl");
    for mark in [
        " \nCertificate Revocation List #1:\nVersion 2\nSignature Algorithm: ecdsa-with-SHA256\nIssuer: /CN=Root\nLast Update: ",
        "\nNo Revoked Certificates.",
    ] {
        assert!(shown.contains(mark), "{mark:?} in {shown}");
    }
}
