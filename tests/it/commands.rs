//! What commands on stick tables, maps and ACL files answer, word by word: conversations in `tests/it/commands/`.
//!
//! ```text
//! # a remark
//! > show table nope            a command at level admin; `user>` and `operator>` ask on sockets of these levels
//! No such table                the answer, without the empty line at its end
//! ~ why haproxy 2.6 answers otherwise
//! ```
//!
//! Commands build upon each other. `MAP`, `REGS` and `LIST` stand for the names of files, `0xP` for a reference, `exp=N` for
//! the rest of a life; `\n` in a command is a line feed. With `LIGHTERMAN_ORACLE` in the environment the same conversation
//! is held with Debian's haproxy: an answer that differs must have its reason, one that does not must have none. With
//! `LIGHTERMAN_BLESS=commands` the answers are written anew.

use std::path::Path;

use lighterman_harness::{Program, Proxy};

use crate::BIN;

const ORACLE: &str = "/usr/sbin/haproxy";

const SECTIONS: &str = "\
global
    stats socket \"fd@${cli}\" level admin
    stats socket \"fd@${operator}\" level operator
    stats socket \"fd@${user}\" level user
    maxconn 100
defaults
    mode http
    timeout client 20s
    timeout server 20s
    timeout connect 20s
frontend fe
    bind \"fd@${fe}\"
    stick-table type ip size 1k expire 1m store gpc0,gpc0_rate(10s),conn_cnt,conn_cur,http_req_rate(10s),bytes_in_cnt,server_id
    acl nets src -f \"${list}\"
    acl numbered path -u 77 /inline
    http-request set-header x \"%[path,map_reg(${regs})]\"
    http-request set-header y \"%[hdr(host),map(${map},d)]%[hdr(host),map_end(${map},d)]\"
    http-request deny if nets
    http-request deny if numbered
    default_backend be
backend be
    stick-table type string len 20 size 10 expire 1m nopurge store gpc0,gpt0,http_req_cnt,gpc1
    server s1 127.0.0.1:9
backend arr
    stick-table type integer size 10 store gpc(3),gpt(2),gpc_rate(2,10s)
    server s1 127.0.0.1:9
backend bin
    stick-table type binary len 4 size 10 store gpc0
    server s1 127.0.0.1:9
backend six
    stick-table type ipv6 size 10 store conn_cnt
    server s1 127.0.0.1:9
";
const FILES: [(&str, &str, &str); 3] = [
    ("map", "MAP", "www.a a1\nwww.b b1\n.com dotcom\n"),
    ("regs", "REGS", "^/a(.*) x\\1\n^/b y\n"),
    ("list", "LIST", "10.0.0.0/8\n192.0.2.1\n2001:db8::/32\n"),
];

/// One command and what belongs to it.
#[derive(Default)]
struct Step {
    remarks: Vec<String>,
    level: String,
    command: String,
    answer: Vec<String>,
    differs: Option<String>,
}

fn parse(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut remarks = Vec::new();
    for line in text.lines() {
        let level = ["", "user", "operator"].into_iter().find(|l| line.starts_with(&format!("{l}> ")));
        if let Some(level) = level {
            let command = line[level.len() + 2..].to_owned();
            steps.push(Step {
                remarks: std::mem::take(&mut remarks),
                level: level.into(),
                command,
                ..Step::default()
            });
        } else if line.starts_with("# ")
            && !line.starts_with("# table")
            && !line.starts_with("# id")
            && !line.starts_with("# contents")
        {
            remarks.push(line.to_owned());
        } else if let Some(step) = steps.last_mut() {
            match line.strip_prefix("~ ") {
                Some(reason) => step.differs = Some(reason.to_owned()),
                None => step.answer.push(line.to_owned()),
            }
        }
    }
    steps
}

/// The program with its files; `other`: exactly this binary.
fn start(binary: &str, program: fn(&str, &str) -> Program) -> Proxy {
    let mut program = program(binary, SECTIONS).listen("fe").unix("operator").unix("user");
    for (variable, name, text) in FILES {
        let path = program.file(name, text);
        program = program.env(variable, path);
    }
    program.args(&["-db"]).start_as_given()
}

fn ask(proxy: &Proxy, step: &Step) -> Vec<String> {
    let mut command = step.command.replace("\\n", "\n");
    for (_, name, _) in FILES {
        command = command.replace(name, &proxy.dir().at(name));
    }
    let mut peer = proxy.connect(if step.level.is_empty() { "cli" } else { &step.level });
    peer.send(format!("{command}\n"));
    peer.half_close();
    let text = String::from_utf8_lossy(&peer.rest()).into_owned();
    let text = text.replace(&format!("{}/", proxy.dir().path().display()), "");
    text.trim_end_matches('\n').lines().map(masked).collect()
}

/// References and lives are not the same twice.
fn masked(line: &str) -> String {
    let word = |word: &str| {
        if word.starts_with("0x") {
            return if word.ends_with(':') { "0xP:".to_owned() } else { "0xP".to_owned() };
        }
        let life = word.strip_prefix("exp=").is_some_and(|n| n != "0");
        if life {
            "exp=N".to_owned()
        } else {
            word.to_owned()
        }
    };
    line.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Holds the conversation with the program, and with the oracle where that is asked for.
fn converse(name: &str) {
    let path = format!("{}/tests/it/commands/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let mut steps = parse(&std::fs::read_to_string(&path).unwrap());
    assert!(steps.len() >= 40, "{} commands", steps.len());
    let proxy = start(BIN, Program::bare);
    let mut wrong = Vec::new();
    for step in &mut steps {
        let answer = ask(&proxy, step);
        if answer != step.answer {
            wrong.push(format!(
                "{}> {}\n  {answer:?}\n  expected {:?}",
                step.level, step.command, step.answer
            ));
            step.answer = answer;
        }
    }
    if std::env::var("LIGHTERMAN_BLESS").is_ok_and(|what| what == "commands" || what == "all") {
        std::fs::write(&path, written(&steps)).unwrap();
        wrong.clear();
    }
    if std::env::var("LIGHTERMAN_ORACLE").is_ok() {
        assert!(Path::new(ORACLE).exists(), "haproxy is not installed");
        let oracle = start(ORACLE, Program::other);
        for step in &steps {
            let answer = ask(&oracle, step);
            if (answer != step.answer) != step.differs.is_some() {
                wrong.push(format!(
                    "{}> {}\n  {:?}\n  haproxy {answer:?}, reason {:?}",
                    step.level, step.command, step.answer, step.differs
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {name}:\n{}", wrong.len(), wrong.join("\n"));
}

fn written(steps: &[Step]) -> String {
    let mut out = String::new();
    for step in steps {
        step.remarks.iter().for_each(|line| out.push_str(&format!("{line}\n")));
        out.push_str(&format!("{}> {}\n", step.level, step.command));
        step.answer.iter().for_each(|line| out.push_str(&format!("{line}\n")));
        if let Some(reason) = &step.differs {
            out.push_str(&format!("~ {reason}\n"));
        }
    }
    out
}

#[test]
fn about_stick_tables() {
    converse("tables");
}

#[test]
fn about_maps_and_acl_files() {
    converse("maps");
}
