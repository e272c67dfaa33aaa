//! OCSP: answers given by commands, answers that expire, answers fetched in the background.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lighterman::base::tick::Clock;
use lighterman_harness::program::run;
use lighterman_harness::tls::{Cert, Client};
use lighterman_harness::{eventually, procs, Logs, Proxy, Reply, Server};
use nix::sys::signal::Signal;

use crate::program;

/// Handshakes enough for every worker to see some.
const MANY: usize = 24;

fn now() -> u64 {
    Clock::real().read().wall_us / 1_000_000
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
    let answer = door.root.answer(&door.leaf, 0, now() - 100, now() + 3);
    assert_eq!(door.give(&answer), "OCSP Response updated!");
    assert_eq!(door.staples(), [Some(answer)]);
    let line = logs.next_with("the OCSP answer expires");
    assert!(line.contains("and there is no newer one"), "{line}");
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

/// A responder that says what it is told to say, and a certificate that names it.
struct Responder {
    server: Server,
    answer: Arc<Mutex<Reply>>,
    root: Cert,
    leaf: Cert,
}

impl Responder {
    fn new() -> Responder {
        let answer = Arc::new(Mutex::new(Reply::status(404, "", "")));
        let said = answer.clone();
        let server = Server::http(move |_| said.lock().unwrap().clone());
        let root = Cert::authority("Root");
        let leaf = root.issue_asking(&["a.test"], &format!("http://{}/ocsp", server.addr()));
        Responder { server, answer, root, leaf }
    }

    /// Says that the certificate is good for so many seconds.
    fn says_good(&self, seconds: u64) -> Vec<u8> {
        let answer = self.root.answer(&self.leaf, 0, now() - 10, now() + seconds);
        self.says(Reply::status(200, "Content-Type: application/ocsp-response\r\n", &answer));
        answer
    }

    fn says(&self, reply: Reply) {
        *self.answer.lock().unwrap() = reply;
    }

    fn door(&self, how: (&str, &str), workers: u32) -> Door {
        Door::with(self.root.clone(), self.leaf.clone(), None, how, workers)
    }
}

#[test]
fn answers_are_fetched_in_the_background_for_all_workers() {
    for (how, workers) in [(("    ocsp-update.mode on\n", ""), 4), (("", "ocsp-update on"), 1)] {
        let responder = Responder::new();
        let first = responder.says_good(3600);
        let door = responder.door(how, workers);
        eventually("it is stapled", || door.staples() == [Some(first.clone())]);
        let asked = responder.server.last();
        assert!(asked.head.line.starts_with("POST /ocsp HTTP/1.0"), "{}", asked.head.line);
        assert_eq!(asked.field("content-type"), Some("application/ocsp-request"));
        let table = door.proxy.command("show ssl ocsp-updates");
        assert!(table.starts_with("OCSP Certid | Path | Next Update | Last Update | Successes | Failures | Last Update Status | Last Update Status (str)\n30"), "{table}");
        assert!(table.contains(&format!(" | {} | ", door.pem)), "{table}");
        assert!(table.contains(" +0000 | 1 | 0 | 1 | Update successful\n"), "{table}");
        let second = responder.says_good(7200);
        let shown = door.proxy.command(&format!("update ssl ocsp-response {}", door.pem));
        assert!(shown.contains("OCSP Response Status: successful"), "{shown}");
        eventually("the new one is stapled", || door.staples() == [Some(second.clone())]);
        let list = door.proxy.command("show ssl ocsp-response");
        assert_eq!(list.matches("Certificate ID key").count(), 1, "{list}");
    }
}

#[test]
fn what_responders_say_is_judged() {
    let responder = Responder::new();
    let logs = Logs::udp();
    let door =
        responder.door((&format!("    log {} local0\n    ocsp-update.mode on\n", logs.address()), ""), 1);
    let line = logs.next_with("OCSP-UPDATE");
    assert!(line.contains(&format!("OCSP-UPDATE {} 2 \"HTTP error\" 1 0: ", door.pem)), "{line}");
    let typed = "Content-Type: application/ocsp-response\r\n";
    let (root, leaf) = (&responder.root, &responder.leaf);
    let stranger = Cert::authority("Root").answer(leaf, 0, now() - 10, now() + 10);
    let rows = [
        (Reply::status(200, "Content-Type: text/html\r\n", "hello"), "Missing \"ocsp-response\" header: "),
        (Reply::status(200, typed, "hello"), "OCSP response check failure: this is no OCSP answer in DER.\n"),
        (
            Reply::status(200, typed, root.answer(leaf, 1, now() - 10, now() + 10)),
            "OCSP response check failure: the OCSP answer says that the certificate was revoked",
        ),
        (
            Reply::status(200, typed, stranger),
            "OCSP response check failure: the issuer of the certificate did not sign",
        ),
        (Reply::status(200, typed, vec![0; 80_000]), "HTTP error: "),
        (Reply::raw("SSH-2.0-x\r\n\r\n").close(), "HTTP error: "),
    ];
    for (reply, expected) in rows {
        responder.says(reply);
        let said = door.proxy.command(&format!("update ssl ocsp-response {}", door.pem));
        assert!(said.starts_with(expected), "{said} instead of {expected}");
    }
    assert_eq!(door.staples(), [None]);
    let said = door.proxy.command("update ssl ocsp-response /x.pem");
    assert!(said.contains("only works on certificates with \"ocsp-update on\""), "{said}");
}

#[test]
fn a_responder_that_is_silent_disturbs_nobody() {
    let silent = Server::start(|mut peer, _| drop(peer.drain()));
    let root = Cert::authority("Root");
    let leaf = root.issue_asking(&["a.test"], &format!("http://{}/", silent.addr()));
    let door = Door::with(root, leaf, None, ("    ocsp-update.mode on\n", ""), 2);
    eventually("it was asked", || silent.connections() > 0);
    assert_eq!(door.staples(), [None]);
    let answer = door.root.answer(&door.leaf, 0, now() - 10, now() + 3600);
    assert_eq!(door.give(&answer), "OCSP Response updated!");
    assert_eq!(door.staples(), [Some(answer)]);
    let table = door.proxy.command("show ssl ocsp-updates");
    assert!(table.contains(" | - | 0 | 0 | 0 | Unknown\n"), "{table}");
}

#[test]
fn lines_and_stores_say_which_certificates_are_kept_fresh() {
    let responder = Responder::new();
    let answer = responder.says_good(3600);
    let program = program(
        "global\n    ocsp-update.mode off\ncrt-store s\n    load crt \"${pem}\" ocsp-update on alias site\n\
         frontend fe\n    bind 127.0.0.1:\"${port}\" ssl crt-list \"${list}\" crt @s/site\n    http-request return status 200\n",
    )
    .port("port");
    let pem = program.file("a.pem", responder.leaf.pem());
    program.file("a.pem.issuer", responder.root.cert_pem());
    let other = program.file("b.pem", Cert::new(&["b.test"]).pem());
    let list = program.file("list", format!("{pem} [ocsp-update on] a.test\n{other} [ocsp-update off]\n"));
    let proxy = program.env("list", list).env("pem", pem.clone()).start();
    eventually("the door is open", || std::net::TcpStream::connect(proxy.addr("port")).is_ok());
    let client = Client::new().sni("a.test").status().build();
    eventually("it is stapled", || {
        Cert::stapled(&client.connect(proxy.addr("port"))) == Some(answer.clone())
    });
    let table = proxy.command("show ssl ocsp-updates");
    assert_eq!(
        (table.lines().filter(|line| line.contains(".pem")).count(), table.contains("b.pem")),
        (1, false),
        "{table}"
    );
}

#[test]
fn nobody_is_asked_without_the_word() {
    let responder = Responder::new();
    responder.says_good(3600);
    let door = responder.door(("    ocsp-update.mode on\n    ocsp-update.disable on\n", ""), 2);
    assert_eq!(door.staples(), [None]);
    for command in ["show ssl ocsp-updates", "update ssl ocsp-response x"] {
        assert_eq!(door.proxy.command(command).trim_end(), "No certificate has \"ocsp-update on\".");
    }
    assert_eq!(responder.server.connections(), 0);
}

#[test]
fn the_service_outlives_the_process_that_asks() {
    let responder = Responder::new();
    let answer = responder.says_good(3600);
    let door = responder.door(("    ocsp-update.mode on\n", ""), 2);
    eventually("it is stapled", || door.staples() == [Some(answer.clone())]);
    let named = |pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm"))
            .is_ok_and(|name| name.trim() == "lighterman-ocsp")
    };
    let asker = procs::descendants(door.proxy.pid()).into_iter().find(named).expect("it runs");
    procs::signal(asker, Signal::SIGKILL);
    let said = door.proxy.command(&format!("update ssl ocsp-response {}", door.pem));
    assert!(said.starts_with("HTTP error: the process that asks responders"), "{said}");
    assert_eq!(door.staples(), [Some(answer.clone())]);
    // a reload brings another one
    assert!(door.proxy.master("reload").contains("Success=1"));
    eventually("the new process asks", || {
        let said = door.proxy.command(&format!("update ssl ocsp-response {}", door.pem));
        said.contains("OCSP Response Status: successful")
    });
}
