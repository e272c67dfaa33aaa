//! OCSP: answers given by commands, answers that expire, answers fetched in the background.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lighterman_harness::program::run;
use lighterman_harness::tls::{Cert, Client};
use lighterman_harness::{eventually, procs, Logs, Proxy};
use nix::sys::signal::Signal;

use crate::program;

/// Handshakes enough for every worker to see some.
const MANY: usize = 24;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A frontend with a certificate of an authority, whose issuer is known.
struct Door {
    root: Cert,
    leaf: Cert,
    pem: String,
    proxy: Proxy,
}

impl Door {
    fn new(global: &str, options: &str, responder: &str, workers: u32) -> Door {
        let root = Cert::authority("Root");
        let leaf = root.issue_asking(&["a.test"], responder);
        Door::with(root, leaf, None, (global, options), workers)
    }

    fn with(
        root: Cert,
        leaf: Cert,
        answer: Option<Vec<u8>>,
        (global, options): (&str, &str),
        workers: u32,
    ) -> Door {
        let global = if global.is_empty() { String::new() } else { format!("global\n{global}") };
        let program = program(&format!(
            "{global}frontend fe\n    bind 127.0.0.1:\"${{port}}\" ssl crt \"${{pem}}\" {options}\n    \
             http-request return status 200\n"
        ))
        .port("port")
        .workers(workers);
        let pem = program.file("a.pem", leaf.pem());
        program.file("a.pem.issuer", root.cert_pem());
        if let Some(answer) = answer {
            program.file("a.pem.ocsp", answer);
        }
        let proxy = program.env("pem", &pem).start();
        eventually("the door is open", || std::net::TcpStream::connect(proxy.addr("port")).is_ok());
        Door { root, leaf, pem, proxy }
    }

    /// What many clients find stapled; each answer once.
    fn staples(&self) -> Vec<Option<Vec<u8>>> {
        let client = Client::new().sni("a.test").status().build();
        let one = |_| Cert::stapled(&client.connect(self.proxy.addr("port")));
        let mut all: Vec<_> = (0..MANY).map(one).collect();
        all.sort();
        all.dedup();
        all
    }

    fn give(&self, answer: &[u8]) -> String {
        let text = openssl::base64::encode_block(answer);
        self.proxy.command(&format!("set ssl ocsp-response {text}")).trim_end().to_owned()
    }
}

#[test]
fn a_given_answer_is_stapled_by_all_workers_and_those_to_come() {
    let door = Door::new("", "", "", 4);
    assert_eq!(door.staples(), [None]);
    let answer = door.root.answer(&door.leaf, 0, now() - 10, now() + 3600);
    assert_eq!(door.give(&answer), "OCSP Response updated!");
    assert_eq!(door.staples(), [Some(answer.clone())]);
    let newer = door.root.answer(&door.leaf, 0, now() - 5, now() + 7200);
    let text = openssl::base64::encode_block(&newer);
    let lines = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned());
    let payload = lines.collect::<Vec<_>>().join("\n");
    let said = door.proxy.command(&format!("set ssl ocsp-response <<\n{payload}\n"));
    assert_eq!(said.trim_end(), "OCSP Response updated!");
    assert_eq!(door.staples(), [Some(newer.clone())]);
    let old = procs::children(door.proxy.pid());
    old.iter().for_each(|pid| procs::signal(*pid, Signal::SIGKILL));
    eventually("all are new", || {
        let now = procs::children(door.proxy.pid());
        now.len() == old.len() && now.iter().all(|pid| !old.contains(pid)) && door.proxy.workers().len() == 4
    });
    assert_eq!(door.staples(), [Some(newer.clone())]);
    assert!(door.proxy.master("reload").contains("Success=1"));
    assert_eq!(door.staples(), [Some(newer)], "it outlives a reload");
}

#[test]
fn answers_are_judged_before_they_are_stapled() {
    let door = Door::new("", "", "", 1);
    let (root, leaf) = (&door.root, &door.leaf);
    let (other, stranger) = (Cert::authority("Root"), root.issue(&["b.test"]));
    let (this, next) = (now() - 10, now() + 3600);
    let rows: &[(Vec<u8>, &str)] = &[
        (root.answer(leaf, 2, this, next), "OCSP single response: certificate status is unknown."),
        (
            root.answer(leaf, 1, this, next),
            "OCSP single response: the OCSP answer says that the certificate was revoked, it is not stapled.",
        ),
        (root.answer(leaf, 0, this, 0), "OCSP single response: missing nextupdate."),
        (root.answer(leaf, 0, this - 100, this), "OCSP single response: no longer valid."),
        (root.answer(leaf, 0, next, next + 10), "OCSP single response: not yet valid."),
        (
            root.answer(&stranger, 0, this, next),
            "OCSP single response: Certificate ID does not match any certificate or issuer.",
        ),
        (
            other.answer(leaf, 0, this, next),
            "OCSP single response: the issuer of the certificate did not sign the OCSP answer, nor did anybody it authorized.",
        ),
        (vec![0x30, 3, 0x0a, 1, 3], "OCSP response status not successful."),
        (b"hello".to_vec(), "Unable to parse OCSP response."),
    ];
    for (answer, expected) in rows {
        assert_eq!(door.give(answer), *expected);
    }
    let ask = |command: &str| door.proxy.command(command).trim_end().to_owned();
    assert_eq!(ask("set ssl ocsp-response"), "'set ssl ocsp-response' expects response in base64 encoding.");
    assert_eq!(
        ask("set ssl ocsp-response ?"),
        "'set ssl ocsp-response' received invalid base64 encoded response."
    );
    assert_eq!(door.staples(), [None]);
}

#[test]
fn answers_are_shown() {
    let root = Cert::authority("Root");
    let leaf = root.issue(&["a.test"]);
    let first = root.answer(&leaf, 0, now() - 10, now() + 3600);
    let door = Door::with(root, leaf, Some(first.clone()), ("", ""), 2);
    assert_eq!(door.staples(), [Some(first.clone())]);
    let list = door.proxy.command("show ssl ocsp-response");
    let id = list
        .lines()
        .find_map(|line| line.strip_prefix("Certificate ID key : "))
        .unwrap_or_else(|| panic!("{list}"));
    assert!(list.starts_with("# Certificate IDs\n"), "{list}");
    assert!(
        list.contains(&format!("\nCertificate path : {}\n Certificate ID:\n   Issuer Name Hash: ", door.pem)),
        "{list}"
    );
    assert_eq!(list.matches("Certificate ID key").count(), 1, "{list}");
    for name in [id, &door.pem, &format!("text {id}"), &format!("text {}", door.pem)] {
        let shown = door.proxy.command(&format!("show ssl ocsp-response {name}"));
        for mark in [
            "OCSP Response Status: successful (0x0)\n",
            "\n    Cert Status: good\n    This Update: ",
            "\n    Next Update: ",
            "\n    Signature Algorithm: ecdsa-with-SHA256\n",
        ] {
            assert!(shown.contains(mark), "{mark:?} in {shown}");
        }
    }
    let coded = |answer: &[u8]| openssl::base64::encode_block(answer);
    let base64 = || door.proxy.command(&format!("show ssl ocsp-response base64 {id}")).trim_end().to_owned();
    assert_eq!(base64(), coded(&first));
    let second = door.root.answer(&door.leaf, 0, now() - 9, now() + 7200);
    assert_eq!(door.give(&second), "OCSP Response updated!");
    assert_eq!(base64(), coded(&second), "what was given counts");
    let list = door.proxy.command("show ssl ocsp-response");
    assert_eq!(list.matches("Certificate ID key").count(), 1, "{list}");
    for name in ["00ff", "/nowhere/a.pem"] {
        let said = door.proxy.command(&format!("show ssl ocsp-response {name}"));
        assert_eq!(said.trim_end(), "Certificate ID does not match any certificate.");
    }
}

#[test]
fn an_answer_that_expires_is_told_once_and_not_stapled_any_more() {
    let logs = Logs::udp();
    let door = Door::new(&format!("    log {} local0\n", logs.address()), "", "", 1);
    let answer = door.root.answer(&door.leaf, 0, now() - 10, now() + 3);
    assert_eq!(door.give(&answer), "OCSP Response updated!");
    assert_eq!(door.staples(), [Some(answer)]);
    eventually("nothing is stapled", || door.staples() == [None]);
    let line = logs.next_with("the OCSP answer expired");
    assert!(line.contains("a.pem: ") && line.contains("nothing is stapled until"), "{line}");
    assert_eq!(door.staples(), [None]);
    logs.none_with("the OCSP answer expired", Duration::from_millis(200));
    // a newer one takes its place
    let newer = door.root.answer(&door.leaf, 0, now() - 5, now() + 7200);
    assert_eq!(door.give(&newer), "OCSP Response updated!");
    assert_eq!(door.staples(), [Some(newer)]);
}

#[test]
fn clients_of_another_library_see_what_was_given() {
    let door = Door::new("", "", "", 2);
    let answer = door.root.answer(&door.leaf, 0, now() - 10, now() + 3600);
    assert_eq!(door.give(&answer), "OCSP Response updated!");
    let addr = door.proxy.addr("port").to_string();
    for version in ["-tls1_2", "-tls1_3"] {
        let said = run(
            "sh",
            &[
                "-c",
                &format!("openssl s_client -connect {addr} -servername a.test -status {version} </dev/null"),
            ],
        );
        assert!(said.stdout.contains("OCSP Response Status: successful"), "{version}: {}", said.stdout);
        assert!(said.stdout.contains("Cert Status: good"), "{version}: {}", said.stdout);
    }
}
