//! Certificates and lines of lists changed by commands: in force in all workers at commit, and in those that come later.

use std::net::TcpStream;
use std::path::Path;

use lighterman_harness::load::Load;
use lighterman_harness::tls::{Cert, Client};
use lighterman_harness::{eventually, procs, Proxy, Reply, Server};
use nix::sys::signal::Signal;
use openssl::ssl::SslVersion;

use crate::program;

/// Handshakes enough for every worker to see some.
const MANY: usize = 24;

/// A frontend on sockets of the workers' own, with two certificates in a list and one in a directory.
struct Door {
    certs: String,
    proxy: Proxy,
}

impl Door {
    /// `%` in lines and options stands for the directory of the files.
    fn new(workers: u32, lines: &str, options: &str, files: &[(&str, Vec<u8>)]) -> Door {
        let program = program(&format!(
            "frontend fe\n    bind 127.0.0.1:\"${{port}}\" ssl {}\n    http-request return status 200\n",
            options.replace('%', "${certs}")
        ))
        .port("port")
        .port("other")
        .workers(workers);
        let marker = program.file("certs/.here", "");
        let certs = marker.strip_suffix("/.here").unwrap().to_string();
        for (name, bytes) in files {
            program.file(&format!("certs/{name}"), bytes);
        }
        program.file("certs/list.txt", lines.replace('%', &certs));
        let proxy = program.env("certs", certs.clone()).start();
        eventually("the door is open", || TcpStream::connect(proxy.addr("port")).is_ok());
        Door { certs, proxy }
    }

    /// With a.pem and b.pem in a list and c.pem in a directory.
    fn usual(workers: u32) -> Door {
        let pem = |name: &str| Cert::new(&[name]).pem();
        let files = [("a.pem", pem("a.test")), ("b.pem", pem("b.test")), ("dir/c.pem", pem("c.test"))];
        let lines = "%/a.pem\n%/b.pem [alpn http/1.1] b.test *.b.test !no.b.test\n";
        Door::new(workers, lines, "crt-list \"%/list.txt\" crt \"%/dir\"", &files)
    }

    /// What clients are shown for a name, one after the other.
    fn shown(&self, name: &str) -> Vec<String> {
        let client = Client::new().sni(name).build();
        (0..MANY).map(|_| Cert::name_of(&client.connect(self.proxy.addr("port")))).collect()
    }

    /// What all workers show for a name; they agree.
    #[track_caller]
    fn shows(&self, name: &str) -> String {
        let shown = self.shown(name);
        assert!(shown.windows(2).all(|two| two[0] == two[1]), "{name}: {shown:?}");
        shown[0].clone()
    }

    /// Waits until all workers show this for a name.
    #[track_caller]
    fn comes_to_show(&self, name: &str, wanted: &str) {
        eventually("what is shown has changed", || self.shown(name).iter().all(|shown| shown == wanted));
    }

    fn ask(&self, command: &str) -> String {
        let answer = self.proxy.command(&command.replace('%', &self.certs));
        answer.trim_end_matches('\n').replace(&self.certs, "%")
    }

    /// A command with a payload.
    fn give(&self, command: &str, payload: impl AsRef<[u8]>) -> String {
        let payload = String::from_utf8(payload.as_ref().to_vec()).unwrap();
        self.ask(&format!("{command} <<\n{}\n", payload.trim_end()))
    }

    /// Replaces a certificate.
    #[track_caller]
    fn replace(&self, name: &str, cert: &Cert) {
        assert_eq!(
            self.give(&format!("set ssl cert {name}"), cert.pem()),
            format!("Transaction created for certificate {name}!")
        );
        let said = self.ask(&format!("commit ssl cert {name}"));
        assert!(said.starts_with(&format!("Committing {name}")) && said.ends_with("\nSuccess!"), "{said}");
    }

    /// A certificate under a new name.
    #[track_caller]
    fn make(&self, name: &str, cert: &Cert) {
        assert_eq!(
            self.ask(&format!("new ssl cert {name}")),
            format!("New empty certificate store '{name}'!")
        );
        self.replace(name, cert);
    }

    #[track_caller]
    fn says(&self, rows: &[(&str, &str)]) {
        for (command, answer) in rows {
            assert_eq!(self.ask(command), *answer, "{command}");
        }
    }
}

#[test]
fn a_certificate_is_replaced_in_all_workers() {
    for workers in [1, 3] {
        let door = Door::usual(workers);
        assert_eq!((door.shows("a.test"), door.shows("c.test")), ("a.test".into(), "c.test".into()));
        // under its old names and new ones, wherever it stands
        for (name, other) in [("%/a.pem", "new-a.test"), ("%/dir/c.pem", "new-c.test")] {
            let old = other.strip_prefix("new-").unwrap();
            let cert = Cert::new(&[other, old]);
            door.give(&format!("set ssl cert {name}"), cert.pem());
            assert_eq!(door.shows(old), old, "nothing is committed yet");
            assert_eq!(door.shows(other), "a.test", "nobody has this name yet");
            door.ask(&format!("abort ssl cert {name}"));
            door.replace(name, &cert);
            assert_eq!((door.shows(old), door.shows(other)), (other.into(), other.into()));
            // names it has no more are nobody's
            door.replace(name, &Cert::new(&[old]));
            assert_eq!(door.shows(old), old);
            assert_eq!(door.shows(other), "a.test");
        }
        // filters of the line stay
        door.replace("%/b.pem", &Cert::new(&["other.test"]));
        for (name, shown) in [
            ("b.test", "other.test"),
            ("x.b.test", "other.test"),
            ("no.b.test", "a.test"),
            ("other.test", "a.test"),
        ] {
            assert_eq!(door.shows(name), shown, "asked for {name}");
        }
    }
}

#[test]
fn parts_are_set_one_by_one() {
    let door = Door::usual(3);
    let next = Cert::new(&["a.test", "key.test"]);
    door.give("set ssl cert %/a.pem", next.cert_pem());
    assert_eq!(
        door.ask("commit ssl cert %/a.pem"),
        "%/a.pem: the private key does not belong to the certificate\nCan't commit %/a.pem!"
    );
    assert_eq!(door.shows("key.test"), "a.test", "nothing has changed: this is the default");
    assert!(!door.ask("show ssl cert %/a.pem").contains("key.test"));
    assert_eq!(
        door.give("set ssl cert %/a.pem.key", next.key_pem()),
        "Transaction updated for certificate %/a.pem!"
    );
    assert_eq!(door.ask("commit ssl cert %/a.pem"), "Committing %/a.pem.\nSuccess!");
    assert!(door.ask("show ssl cert %/a.pem").contains("DNS:a.test, DNS:key.test"));
    // an issuer completes the chain, for clients too
    let root = Cert::authority("Root");
    let middle = root.issue_authority("Middle");
    let leaf = middle.issue(&["a.test"]);
    door.give("set ssl cert %/a.pem", leaf.pem());
    assert_eq!(
        door.give("set ssl cert %/a.pem.issuer", middle.cert_pem()),
        "Transaction updated for certificate %/a.pem!"
    );
    assert_eq!(door.ask("commit ssl cert %/a.pem"), "Committing %/a.pem.\nSuccess!");
    assert!(door
        .ask("show ssl cert %/a.pem")
        .contains("\nChain Subject: /CN=Middle\nChain Issuer: /CN=Root"));
    assert_eq!(door.ask("show ssl cert %/a.pem.ocsp"), "There is no OCSP response for this certificate.");
    let client = Client::new().sni("a.test").trust(&root).build();
    assert_eq!(Cert::name_of(&client.connect(door.proxy.addr("port"))), "a.test");
}

#[test]
fn workers_that_come_later_show_the_same() {
    let door = Door::usual(3);
    door.make("%/n.pem", &Cert::new(&["n.test"]));
    door.ask("add ssl crt-list %/list.txt %/n.pem [ssl-min-ver TLSv1.3]");
    door.replace("%/a.pem", &Cert::new(&["new-a.test", "a.test"]));
    let all = || [door.shows("a.test"), door.shows("n.test")];
    assert_eq!(all(), ["new-a.test", "n.test"]);
    let old = procs::children(door.proxy.pid());
    old.iter().for_each(|pid| procs::signal(*pid, Signal::SIGKILL));
    eventually("all are new", || {
        let now = procs::children(door.proxy.pid());
        now.len() == old.len() && now.iter().all(|pid| !old.contains(pid)) && door.proxy.workers().len() == 3
    });
    assert_eq!(all(), ["new-a.test", "n.test"]);
    assert_eq!(
        door.ask("show ssl crt-list -n %/list.txt"),
        "# %/list.txt\n%/a.pem:1\n%/b.pem:2 [alpn http/1.1] b.test *.b.test !no.b.test\n%/n.pem:3 [ssl-min-ver TLSv1.3]"
    );
    let old = Client::new().sni("n.test").version(SslVersion::TLS1_2).build();
    (0..MANY).for_each(|_| {
        assert!(old.try_connect(door.proxy.addr("port")).is_err(), "the options are there too")
    });
    // and the control process takes the next change
    door.replace("%/n.pem", &Cert::new(&["n2.test", "n.test"]));
    assert_eq!(all(), ["new-a.test", "n2.test"]);
    // a reload reads the files again
    door.proxy.master("reload");
    door.comes_to_show("a.test", "a.test");
    assert_eq!(door.shows("n.test"), "a.test");
}

#[test]
fn lines_come_and_go() {
    for workers in [1, 3] {
        let door = Door::usual(workers);
        door.make("%/n.pem", &Cert::new(&["n.test", "www.n.test"]));
        assert_eq!(door.shows("n.test"), "a.test", "no line uses it");
        assert!(door.ask("show ssl cert %/n.pem").contains("\nStatus: Unused\n"));
        assert_eq!(
            door.give("add ssl crt-list %/list.txt", "%/n.pem *.w.test !no.w.test".replace('%', &door.certs)),
            "Inserting certificate '%/n.pem' in crt-list '%/list.txt'.\nSuccess!"
        );
        for (name, shown) in [("x.w.test", "n.test"), ("no.w.test", "a.test"), ("n.test", "a.test")] {
            assert_eq!(door.shows(name), shown, "asked for {name}");
        }
        assert!(door.ask("show ssl cert %/n.pem").contains("\nStatus: Used\n"));
        door.ask("add ssl crt-list %/list.txt %/n.pem");
        assert_eq!(door.shows("www.n.test"), "n.test", "without filters, the names of the certificate");
        let sni = door.ask("show ssl sni -f fe");
        assert!(sni.contains("\t*.w.test\t!no.w.test\tecdsa\t%/n.pem\t"), "{sni}");
        assert!(sni.contains("\tc.test\t-\tecdsa\t%/dir/c.pem\t"), "{sni}");
        door.says(&[
            (
                "del ssl crt-list %/list.txt %/n.pem",
                "Can't delete the entry: found the certificate '%/n.pem' in several entries, please specify a line \
                 number preceded by colons (3, 4)!",
            ),
            ("del ssl crt-list %/list.txt %/n.pem:3", "Entry '%/n.pem' deleted in crtlist '%/list.txt'!"),
        ]);
        assert_eq!((door.shows("x.w.test"), door.shows("n.test")), ("a.test".into(), "n.test".into()));
        door.says(&[
            (
                "del ssl cert %/n.pem",
                "Can't remove the certificate: certificate '%/n.pem' in use, can't be deleted!",
            ),
            ("del ssl crt-list %/list.txt %/n.pem", "Entry '%/n.pem' deleted in crtlist '%/list.txt'!"),
            ("del ssl cert %/n.pem", "Certificate '%/n.pem' deleted!"),
        ]);
        assert_eq!(door.shows("n.test"), "a.test");
        // one the configuration names: it goes, stays known, and comes again from its file
        door.ask("del ssl crt-list %/list.txt %/b.pem");
        assert_eq!(door.shows("b.test"), "a.test");
        assert!(door.ask("show ssl cert %/b.pem").contains("\nStatus: Unused\n"));
        door.ask("add ssl crt-list %/list.txt %/b.pem");
        assert_eq!(door.shows("b.test"), "b.test");
        assert_eq!(door.ask("show ssl crt-list %/list.txt"), "# %/list.txt\n%/a.pem\n%/b.pem");
    }
}

#[test]
fn certificates_come_to_directories() {
    let door = Door::usual(3);
    door.make("%/dir/d.pem", &Cert::new(&["d.test"]));
    door.says(&[
        (
            "add ssl crt-list %/dir %/a.pem",
            "Can't edit the crt-list: '%/dir' is a directory, certificate path '%/a.pem' must contain the directory path",
        ),
        (
            "add ssl crt-list %/dir/ %/dir/d.pem",
            "Inserting certificate '%/dir/d.pem' in crt-list '%/dir'.\nSuccess!",
        ),
        ("show ssl crt-list", "%/dir\n%/list.txt"),
        ("show ssl crt-list %/dir", "# %/dir\n%/dir/c.pem\n%/dir/d.pem"),
    ]);
    assert_eq!(door.shows("d.test"), "d.test");
    door.replace("%/dir/d.pem", &Cert::new(&["e.test"]));
    assert_eq!((door.shows("d.test"), door.shows("e.test")), ("a.test".into(), "e.test".into()));
    door.says(&[
        ("del ssl crt-list %/dir %/dir/c.pem", "Entry '%/dir/c.pem' deleted in crtlist '%/dir'!"),
        ("del ssl crt-list %/dir %/dir/d.pem", "Entry '%/dir/d.pem' deleted in crtlist '%/dir'!"),
        ("del ssl cert %/dir/d.pem", "Certificate '%/dir/d.pem' deleted!"),
    ]);
    assert_eq!((door.shows("c.test"), door.shows("e.test")), ("a.test".into(), "a.test".into()));
    door.ask("add ssl crt-list %/dir %/dir/c.pem");
    assert_eq!(door.shows("c.test"), "c.test", "from its file");
}

#[test]
fn options_of_lines_come_too() {
    let door = Door::usual(3);
    door.make("%/n.pem", &Cert::new(&["n.test"]));
    let old = Client::new().sni("n.test").version(SslVersion::TLS1_2).build();
    let accepted = || (0..MANY).filter(|_| old.try_connect(door.proxy.addr("port")).is_ok()).count();
    assert_eq!(accepted(), MANY);
    door.ask("add ssl crt-list %/list.txt %/n.pem [ssl-min-ver TLSv1.3] n.test");
    assert_eq!(door.shows("n.test"), "n.test");
    assert_eq!(accepted(), 0);
    door.says(&[
        (
            "add ssl crt-list %/list.txt %/n.pem [bogus]",
            "Can't edit the crt-list: unknown option \"bogus\" of \"crt-list\"",
        ),
        (
            "add ssl crt-list %/list.txt %/n.pem [verify required]",
            "Can't edit the crt-list: \"verify\" needs the authorities to check with",
        ),
    ]);
    assert_eq!(door.ask("show ssl crt-list %/list.txt").lines().count(), 4);
}

#[test]
fn all_lines_with_a_list_get_what_comes_to_it() {
    let files = [("a.pem", Cert::new(&["a.test"]).pem()), ("z.pem", Cert::new(&["z.test"]).pem())];
    let options = "crt \"%/z.pem\" crt-list \"%/list.txt\"\n    bind 127.0.0.1:\"${other}\" ssl crt-list \"%/list.txt\"";
    let door = Door::new(3, "%/a.pem\n", options, &files);
    door.make("%/n.pem", &Cert::new(&["n.test"]));
    let everywhere = |wanted: [&str; 2]| {
        let client = Client::new().sni("n.test").build();
        for _ in 0..MANY {
            let shown = ["port", "other"].map(|port| Cert::name_of(&client.connect(door.proxy.addr(port))));
            assert_eq!(shown, wanted);
        }
    };
    everywhere(["z.test", "a.test"]);
    assert_eq!(
        door.ask("add ssl crt-list %/list.txt %/n.pem [ssl-min-ver TLSv1.3] n.test"),
        "Inserting certificate '%/n.pem' in crt-list '%/list.txt'..\nSuccess!"
    );
    everywhere(["n.test", "n.test"]);
    assert_eq!(
        door.give("set ssl cert %/n.pem", Cert::new(&["m.test"]).pem()),
        "Transaction created for certificate %/n.pem!"
    );
    assert_eq!(door.ask("commit ssl cert %/n.pem"), "Committing %/n.pem..\nSuccess!");
    everywhere(["m.test", "m.test"]);
    door.ask("del ssl crt-list %/list.txt %/n.pem");
    everywhere(["z.test", "a.test"]);
    // the first certificate of one line may not go
    assert!(door.ask("del ssl crt-list %/list.txt %/a.pem").contains("used as default certificate"));
}

#[test]
fn servers_are_shown_what_was_committed() {
    let (root, other) = (Cert::authority("Root"), Cert::authority("Other"));
    let server = Server::https(root.issue(&["s.test"]).server_that_asks(&root), |_| Reply::ok("ok"));
    let program = program(&format!(
        "listen fe\n    retries 0\n    bind 127.0.0.1:\"${{port}}\"\n    server s1 {} ssl verify none crt \"${{own}}\"\n",
        server.addr()
    ))
    .port("port")
    .workers(3);
    let own = program.file("own.pem", other.issue(&["us"]).pem());
    let proxy = program.env("own", &own).start();
    eventually("the door is open", || TcpStream::connect(proxy.addr("port")).is_ok());
    let good = || (0..MANY).filter(|_| proxy.connect("port").get("/").status == 200).count();
    assert_eq!(good(), 0);
    let known = proxy.command("show ssl cert");
    assert_eq!(known.trim_end(), format!("# filename\n{own}"));
    let pem = String::from_utf8(root.issue(&["us"]).pem()).unwrap();
    proxy.command(&format!("set ssl cert {own} <<\n{pem}"));
    let said = proxy.command(&format!("commit ssl cert {own}"));
    assert_eq!(said.trim_end(), format!("Committing {own}.\nSuccess!"));
    assert_eq!(good(), MANY);
    let shown = proxy.command(&format!("show ssl cert {own}"));
    assert!(shown.contains("Status: Used\n") && shown.contains("Issuer: /CN=Root"), "{shown}");
    let refused = proxy.command(&format!("del ssl cert {own}"));
    assert!(refused.contains("in use, can't be deleted"), "{refused}");
    let old = procs::children(proxy.pid());
    old.iter().for_each(|pid| procs::signal(*pid, Signal::SIGKILL));
    eventually("all are new", || {
        let now = procs::children(proxy.pid());
        now.len() == old.len() && now.iter().all(|pid| !old.contains(pid)) && proxy.workers().len() == 3
    });
    assert_eq!(good(), MANY);
}

#[test]
fn changes_at_the_same_time_do_not_get_lost() {
    let door = Door::usual(3);
    let cert = Cert::new(&["n.test"]);
    door.make("%/n.pem", &cert);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let door = &door;
            scope.spawn(move || {
                for number in 0..5 {
                    let name = format!("%/{thread}-{number}.pem");
                    let said = door.ask(&format!("new ssl cert {name}"));
                    assert_eq!(said, format!("New empty certificate store '{name}'!"));
                    let said =
                        door.ask(&format!("add ssl crt-list %/list.txt %/n.pem {thread}-{number}.test"));
                    assert!(said.ends_with("\nSuccess!"), "{said}");
                }
            });
        }
    });
    assert_eq!(door.ask("show ssl cert").matches("-").count(), 20);
    assert_eq!(door.ask("show ssl crt-list %/list.txt").matches("%/n.pem").count(), 20);
    assert_eq!((door.shows("3-4.test"), door.shows("0-0.test")), ("n.test".into(), "n.test".into()));
}

#[test]
fn bad_input_is_told_and_changes_nothing() {
    let door = Door::usual(3);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----";
    let cert = Cert::new(&["x.test"]);
    let pem = String::from_utf8(cert.pem()).unwrap();
    let broken = pem.replace("-----END CERTIFICATE-----", "");
    let damaged = String::from_utf8(cert.cert_pem()).unwrap().replacen("MII", "!!!", 1);
    let tail = "\nCan't load the payload\nCan't update ";
    // (command, payload, what is said)
    let rows = [
        ("%/a.pem", "hello", format!("There is no certificate in it.{tail}%/a.pem!")),
        ("%/a.pem", &broken, format!("the PEM block that begins in line 6 has no end.{tail}%/a.pem!")),
        ("%/a.pem", &damaged, format!("the PEM block that begins in line 1 is damaged.{tail}%/a.pem!")),
        ("%/a.pem.key", encrypted, format!("The private key is encrypted.{tail}%/a.pem.key!")),
        ("%/a.pem.key", "x", format!("There is no private key in it.{tail}%/a.pem.key!")),
        ("%/a.pem.ocsp", "{}", format!("This is not base64.{tail}%/a.pem.ocsp!")),
        ("%/a.pem.ocsp", "AAAA", format!("This is not an OCSP answer.{tail}%/a.pem.ocsp!")),
        ("%/a.pem.sctl", "AAAA", format!("This is not a list of certificate timestamps.{tail}%/a.pem.sctl!")),
        (
            "%/zz.pem",
            &pem,
            "Can't replace a certificate which is not referenced by the configuration!\nCan't update %/zz.pem!".into(),
        ),
    ];
    for (name, payload, said) in rows {
        assert_eq!(door.give(&format!("set ssl cert {name}"), payload), said, "{name} {payload}");
    }
    let expects = |command: &str, what: &str| format!("'{command}' expects {what}");
    for (command, what) in [
        ("set ssl cert", "a filename and a certificate as a payload"),
        ("new ssl cert", "a filename"),
        ("commit ssl cert", "a filename"),
        ("abort ssl cert", "a filename"),
        ("del ssl cert", "a certificate name"),
        ("add ssl crt-list", "a filename and a certificate name"),
        ("del ssl crt-list", "a filename and a certificate name"),
    ] {
        assert_eq!(door.ask(command), expects(command, what));
    }
    door.says(&[
        ("commit ssl cert %/a.pem", "No ongoing transaction! !\nCan't commit %/a.pem!"),
        ("abort ssl cert %/a.pem", "No ongoing transaction!"),
        ("new ssl cert %/a.pem", "Certificate '%/a.pem' already exists!"),
        ("del ssl cert %/zz", "Can't remove the certificate: certificate '%/zz' doesn't exist!"),
        ("show ssl cert %/zz", "Can't display the certificate: Not found or the certificate is a bundle!"),
        ("show ssl crt-list %/zz", "didn't find the specified filename"),
        ("add ssl crt-list %/zz %/a.pem", "Can't edit the crt-list: crt-list '%/zz' does not exist!"),
        ("add ssl crt-list %/list.txt %/zz", "Can't edit the crt-list: certificate '%/zz' does not exist!"),
        ("del ssl crt-list %/zz %/a.pem", "Can't delete the entry: crt-list '%/zz' does not exist!"),
        ("del ssl crt-list %/list.txt %/zz", "Can't delete the entry: certificate '%/zz' does not exist!"),
        (
            "del ssl crt-list %/dir %/a.pem",
            "Can't delete the entry: certificate '%/a.pem' is not in the crt-list!",
        ),
        ("show ssl sni -f nobody", "there is no frontend with TLS of this name"),
        ("new ssl cert %/n.pem", "New empty certificate store '%/n.pem'!"),
        ("add ssl crt-list %/list.txt %/n.pem", "Can't edit the crt-list: certificate '%/n.pem' is empty!"),
        ("show ssl cert %/n.pem", "Filename: %/n.pem\nStatus: Empty"),
    ]);
    let default = door.ask("del ssl crt-list %/list.txt %/a.pem");
    assert!(default.starts_with(
        "Can't delete the entry: certificate '%/a.pem' cannot be deleted, it is used as default certificate by"
    ));
    // one transaction at a time, and what is set stays until then
    door.give("set ssl cert %/n.pem", cert.cert_pem());
    assert_eq!(
        door.give("set ssl cert %/a.pem", &pem),
        "The ongoing transaction is about '%/n.pem' but you are trying to set '%/a.pem'\nCan't update %/a.pem!"
    );
    door.says(&[
        (
            "commit ssl cert %/n.pem",
            "The transaction must contain at least a certificate and a private key!\nCan't commit %/n.pem!",
        ),
        (
            "abort ssl cert %/a.pem",
            "The ongoing transaction is about '%/n.pem' but you are trying to abort a transaction for '%/a.pem'",
        ),
        (
            "show ssl cert",
            "# transaction\n*%/n.pem\n# filename\n%/a.pem\n%/b.pem\n%/dir/c.pem\n%/n.pem",
        ),
        ("abort ssl cert %/n.pem", "Transaction aborted for certificate '%/n.pem'!"),
    ]);
    assert_eq!((door.shows("a.test"), door.shows("x.test")), ("a.test".into(), "a.test".into()));
}

#[test]
fn chains_may_be_long_and_payloads_have_an_end() {
    let door = Door::usual(3);
    let root = Cert::authority("Root");
    let mut chain = root.issue(&["long.test", "a.test"]).pem();
    while chain.len() < 100_000 {
        chain.extend(root.issue_authority("Middle").cert_pem());
    }
    assert_eq!(door.give("set ssl cert %/a.pem", &chain), "Transaction created for certificate %/a.pem!");
    assert_eq!(door.ask("commit ssl cert %/a.pem"), "Committing %/a.pem.\nSuccess!");
    assert!(door.ask("show ssl cert %/a.pem").contains("Chain Subject: /CN=Middle"));
    while chain.len() < 1 << 20 {
        chain.extend(root.issue_authority("Middle").cert_pem());
    }
    let said = door.give("set ssl cert %/a.pem", &chain);
    assert!(said.contains("A payload may not be longer than"), "{said}");
    assert_eq!(door.ask("commit ssl cert %/a.pem"), "No ongoing transaction! !\nCan't commit %/a.pem!");
    assert_eq!(door.shows("b.test"), "b.test");
}

#[test]
fn a_watched_directory_keeps_what_a_command_set_until_its_file_changes() {
    let pem = |name: &str| Cert::new(&[name]).pem();
    let files = [("a.pem", pem("a.test")), ("dir/c.pem", pem("c.test"))];
    let door = Door::new(3, "%/a.pem\n", "crt-list \"%/list.txt\" crt \"%/dir\" watch", &files);
    door.replace("%/dir/c.pem", &Cert::new(&["set.test", "c.test"]));
    // another file of the directory changes
    std::fs::write(Path::new(&door.certs).join("dir/other.pem"), pem("other.test")).unwrap();
    door.comes_to_show("other.test", "other.test");
    assert_eq!(door.shows("c.test"), "set.test");
    std::fs::write(Path::new(&door.certs).join("dir/c.pem"), Cert::new(&["file.test", "c.test"]).pem())
        .unwrap();
    door.comes_to_show("c.test", "file.test");
}

#[test]
fn no_handshake_fails_while_a_certificate_is_replaced() {
    let door = Door::usual(3);
    let addr = door.proxy.addr("port");
    let load = Load::start(4, move || {
        let client = Client::new().sni("a.test").build();
        let peer = client.try_connect(addr)?;
        match Cert::name_of(&peer).as_str() {
            "one.test" | "two.test" | "a.test" => Ok(()),
            other => Err(format!("got the certificate of {other}")),
        }
    });
    load.goes_on(20);
    let certs = [Cert::new(&["one.test", "a.test"]), Cert::new(&["two.test", "a.test"])];
    for cert in certs.iter().cycle().take(30) {
        door.replace("%/a.pem", cert);
        load.goes_on(2);
    }
    let report = load.stop();
    assert_eq!(report.failed, [] as [&str; 0]);
    assert_eq!(door.shows("a.test"), "two.test");
}
