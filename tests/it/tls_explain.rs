//! Which certificate a client gets and why, as the operator is told; which ones deserve attention.

use lighterman_harness::tls::{Cert, Client};
use lighterman_harness::{eventually, Dir, Proxy};

use crate::program;

/// The rows of an answer without the heading, each as its words; the directory is left out.
fn rows(proxy: &Proxy, dir: &Dir, command: &str) -> Vec<Vec<String>> {
    let answer = proxy.command(command).replace(&format!("{}/", dir.path().display()), "");
    let lines = answer.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

fn shown(proxy: &Proxy, listener: &str, name: &str) -> Option<String> {
    let peer = Client::new().sni(name).build().try_connect(proxy.addr(listener)).ok()?;
    Some(Cert::name_of(&peer))
}

fn directory() -> Dir {
    let (dir, root) = (Dir::new(), Cert::authority("Root"));
    let files = [
        ("0.pem", Cert::new(&["default.test"])),
        ("a-rsa.pem", Cert::rsa(&["a.test"])),
        ("a.pem", Cert::new(&["a.test"])),
        ("a2.pem", Cert::new(&["a.test"])),
        ("b-old.pem", root.issue_expired(&["shop.b.test"])),
        ("b.pem", Cert::new(&["*.b.test"])),
        ("c.pem", root.issue_for(&["c.test"], 5)),
        ("d.pem", root.issue_expired(&["d.test"])),
    ];
    for (name, cert) in files {
        dir.file(name, cert.pem());
    }
    dir
}

const TEXT: &str = "global\n    watch\nlisten one\n    bind \"fd@${one}\" name first ssl crt \"${certs}\"\n\
    listen two\n    bind \"fd@${two}\" name second ssl strict-sni crt \"${certs}\"\nlisten plain\n    bind \"fd@${plain}\"\n";

fn start(dir: &Dir, workers: Option<u32>) -> Proxy {
    let program =
        program(TEXT).listen("one").listen("two").listen("plain").env("certs", dir.path().display());
    match workers {
        Some(n) => program.workers(n).start(),
        None => program.start(),
    }
}

#[test]
fn what_is_explained_is_what_is_shown() {
    let dir = directory();
    let proxy = start(&dir, Some(2));
    // (question, the first line's rows as "verdict key match file", some words of the last reason)
    let table: &[(&str, &[&str], &str)] = &[
        (
            "a.test",
            &["shown ecdsa exact a.pem", "passed ecdsa exact a2.pem", "passed rsa exact a-rsa.pem"],
            "another one has an EC key",
        ),
        (
            "a.test rsa",
            &["shown rsa exact a-rsa.pem", "passed ecdsa exact a.pem", "passed ecdsa exact a2.pem"],
            "the client cannot use its key",
        ),
        ("SHOP.b.test.", &["shown ecdsa wildcard b.pem", "passed ecdsa exact b-old.pem"], "it has expired"),
        ("x.b.test ecdsa", &["shown ecdsa wildcard b.pem"], "a wildcard in the certificate covers the name"),
        ("d.test", &["shown ecdsa exact d.pem"], "there is no other"),
        ("nobody.test", &["shown ecdsa default 0.pem"], "no certificate is for this name"),
        ("-", &["shown ecdsa default 0.pem"], "no name was asked for"),
    ];
    for (question, expected, reason) in table {
        let answer = rows(&proxy, &dir, &format!("show ssl explain {question}"));
        let (first, second): (Vec<_>, Vec<_>) = answer.iter().partition(|row| row[1] == "first");
        let said: Vec<String> = first
            .iter()
            .map(|row| [&row[2], &row[3], &row[4], &row[6]].map(String::as_str).join(" "))
            .collect();
        assert_eq!(said, *expected, "{question}");
        assert_eq!(first[0][0], "one");
        assert!(first[0][5].starts_with("20") && first[0][5].ends_with('Z'), "{first:?}");
        assert!(first.last().unwrap()[7..].join(" ").contains(reason), "{question}: {first:?}");
        let strict = expected[0].contains("default");
        assert_eq!(second[0][2], if strict { "refused" } else { "shown" }, "{question}");
    }
    // and so it is
    for (name, first, second) in [
        ("shop.b.test", Some("*.b.test"), Some("*.b.test")),
        ("nobody.test", Some("default.test"), None),
        ("d.test", Some("d.test"), Some("d.test")),
    ] {
        assert_eq!(shown(&proxy, "one", name).as_deref(), first);
        assert_eq!(shown(&proxy, "two", name).as_deref(), second);
    }
    for bad in ["show ssl explain", "show ssl explain a.test dsa"] {
        assert!(proxy.command(bad).contains("Expects a name"), "{bad}");
    }
    let odd = rows(&proxy, &dir, &format!("show ssl explain {}", "x".repeat(300)));
    assert!(odd[0][7..].join(" ").contains("no host name"), "{odd:?}");
}

#[test]
fn certificates_that_deserve_attention_are_listed_and_counted() {
    for workers in [Some(2), None] {
        let dir = directory();
        let proxy = start(&dir, workers);
        let said = || -> Vec<String> {
            let rows = rows(&proxy, &dir, "show ssl cert expiring");
            let row = |row: Vec<String>| {
                let instead = row.get(4).map_or(String::new(), |other| format!(" {other}"));
                format!("{} {} {}{instead}", row[0], row[2], row[3])
            };
            rows.into_iter().map(row).collect()
        };
        let counts =
            || ["Expiring", "Expired", "Shadowed"].map(|word| proxy.count(&format!("SslCerts{word}")));
        let before = [
            "expired,shadowed -2 b-old.pem b.pem",
            "expired -2 d.pem",
            "expiring 4 c.pem",
            "shadowed 29 a2.pem a.pem",
        ];
        eventually("they are counted", || counts() == [1, 2, 2]);
        let mut listed = said();
        listed
            .iter_mut()
            .for_each(|row| *row = row.replace("-1 ", "-2 ").replace("30 a2", "29 a2").replace("5 c", "4 c"));
        assert_eq!(listed, before);
        // it follows what happens in the directory
        std::fs::remove_file(dir.at("a.pem")).unwrap();
        dir.file("c.pem", Cert::new(&["c.test"]).pem());
        dir.file("d.pem", Cert::new(&["d.test"]).pem());
        eventually("they are counted again", || counts() == [0, 1, 1]);
        assert_eq!(said().len(), 1);
    }
}

#[test]
fn without_tls_there_is_nothing_to_explain() {
    let proxy = program("listen plain\n    bind \"fd@${plain}\"\n").listen("plain").start();
    assert!(proxy.command("show ssl explain a.test").contains("no TLS"));
    assert_eq!(proxy.command("show ssl cert expiring").lines().count(), 2);
    assert_eq!(proxy.count("SslCertsExpired"), 0);
}
