//! Conversations with the command socket, in memory.

mod traffic;

use super::fuzz::{fuzz_cli_line, Nobody};
use super::session::CliSession;
use super::{CliCx, Face, FAMILIES, OUT_HIGH};
use crate::base::tick::{Now, Tick};
use crate::plan::global::{CliLevel, CliSocket};
use crate::plan::{BindAddr, Plan};
use crate::shm::{Extras, Names, Role as Bits, Shared};
use std::collections::HashSet;
use std::time::Duration;

const WALL: Duration = Duration::from_secs(1_795_213_073);

/// So many milliseconds after the beginning.
fn at(ms: u64) -> Now {
    let wall_us = WALL.as_micros() as u64 + ms * 1000;
    Now { tick: Tick(1_000_000 + ms), mono_us: 1_000_000_000 + ms * 1000, wall_us }
}

/// A master, a control process, two workers and one of the generation before.
fn memory() -> Shared {
    let ago = |secs: u64| WALL.as_micros() as u64 - secs * 1_000_000;
    let mut shm = Shared::new(&Names::default(), &Extras::new(), 4).unwrap();
    let start = |shm: &Shared, role, number, pid| {
        let slot = shm.reserve(role, number).unwrap();
        shm.process_at(slot).move_in(pid, ago(127));
        slot
    };
    start(&shm, Bits::MASTER, 0, 10);
    start(&shm, Bits::WORKER, 1, 7);
    shm = shm.renew(&Names::default(), &Extras::new()).unwrap();
    start(&shm, Bits::WORKER, 1, 12);
    start(&shm, Bits::WORKER, 2, 13);
    let control = shm.reserve(Bits::CONTROL, 0).unwrap();
    shm.enter(control, 11, ago(90_061));
    shm
}

/// Talks to a socket that allows `level` and returns what it says, and whether it hangs up.
fn converse(home: Face, level: CliLevel, typed: &str, half_close: bool) -> (String, bool) {
    let plan = plan();
    let mut host = Nobody;
    let shm = memory();
    let mut session = CliSession::new(level, home, Duration::from_secs(10));
    assert_eq!(session.feed(typed.as_bytes()), typed.len());
    if half_close {
        session.end_of_input();
    }
    let mut heard = Vec::new();
    for _ in 0..100 {
        session.run(&mut CliCx { plan: &plan, now: at(0), shm: &shm, host: &mut host });
        heard.extend_from_slice(session.output());
        session.consume(session.output().len());
    }
    (String::from_utf8(heard).unwrap(), session.is_over())
}

fn plan() -> Plan {
    let mut plan = Plan::default();
    let socket = |addr, level| CliSocket { addr, level, mode: None, uid: None, gid: None };
    plan.global.cli = vec![
        socket(BindAddr::Unix("/run/l.sock".into()), CliLevel::Admin),
        socket(BindAddr::Inet("127.0.0.1:9999".parse().unwrap()), CliLevel::User),
        socket(BindAddr::Inet("[::1]:9999".parse().unwrap()), CliLevel::Operator),
        socket(BindAddr::Abstract(b"lm".to_vec()), CliLevel::Operator),
        socket(BindAddr::Fd(5), CliLevel::Operator),
    ];
    plan
}

fn admin(typed: &str) -> String {
    let (heard, over) = converse(Face::Traffic, CliLevel::Admin, typed, true);
    assert!(over, "{typed:?} ends");
    heard
}

#[test]
fn each_answer_ends_with_an_empty_line() {
    let version = env!("CARGO_PKG_VERSION");
    let rows = [
        ("show version\n", format!("{version}\n\n")),
        ("show version", format!("{version}\n\n")),
        ("show version\r\n", format!("{version}\n\n")),
        ("show version;show cli level;\n", format!("{version}\n\nadmin\n\n")),
        ("show version\nshow cli level\n", format!("{version}\n\nadmin\n\n")),
        ("\n", "\n".to_owned()),
        ("", String::new()),
        ("quit; show version\n", String::new()),
        ("set timeout cli 5m\n", "\n".to_owned()),
        ("set timeout cli\n", "Expects an integer value.\n\n".to_owned()),
        ("set timeout cli abc\n", "Invalid timeout value.\n\n".to_owned()),
        ("user;show cli level;set timeout cli 1s\n", "\nuser\n\n\n".to_owned()),
        ("operator;user;operator;show cli level\n", "\n\nPermission denied\n\nuser\n\n".to_owned()),
        ("show env NO_SUCH_VARIABLE\n", "Variable not found\n\n".to_owned()),
        (
            "expert-mode;expert-mode on;expert-mode",
            "expert-mode is OFF\n\n\nexpert-mode is ON\n\n".to_owned(),
        ),
        ("experimental-mode maybe", "'experimental-mode' expects 'on' or 'off'.\n\n".to_owned()),
        ("show startup-logs\n", "[NOTICE]   (1) : nothing\n\n".to_owned()),
        (
            "show cli sockets\n",
            "# socket lvl processes\nunix@/run/l.sock admin all\nipv4@127.0.0.1:9999 user all\n\
             ipv6@[::1]:9999 operator all\nabns@lm operator all\nfd@5 operator all\n\n"
                .to_owned(),
        ),
    ];
    for (typed, want) in rows {
        assert_eq!(admin(typed), want, "{typed:?}");
    }
}

#[test]
fn without_prompt_the_first_line_ends_it() {
    let (heard, over) = converse(Face::Traffic, CliLevel::Admin, "show cli level\n", false);
    assert_eq!((heard.as_str(), over), ("admin\n\n", true));
    let (heard, over) = converse(Face::Traffic, CliLevel::Admin, "show cli lev", false);
    assert_eq!((heard.as_str(), over), ("", false), "a line is not a line before its end");
}

#[test]
fn prompts() {
    let rows = [
        ("prompt\n", "\n> ", false),
        ("prompt;show cli level\n", "\n> admin\n\n> ", false),
        ("prompt\nprompt\n", "\n> \n", true),
        ("prompt i\nshow cli level\n", "\nadmin\n\n", false),
        ("prompt p\nquit\n", "\n> ", true),
        ("prompt x\n", "Unknown mode 'x', expects 'n', 'i', 'p' or 'timed'.\n\n", true),
        ("prompt timed\n", "\n[1:01:01:01]> ", false),
        ("prompt\nshow cli level <<\nsome\nthing\n\n", "\n> + + + admin\n\n> ", false),
    ];
    for (typed, want, over) in rows {
        assert_eq!(
            converse(Face::Traffic, CliLevel::Admin, typed, false),
            (want.to_owned(), over),
            "{typed:?}"
        );
    }
}

#[test]
fn the_masters_socket_has_prefixes() {
    let version = env!("CARGO_PKG_VERSION");
    let rows = [
        ("prompt\n", "\nmaster> ".to_owned()),
        ("prompt;@2\n", "\nmaster> \n13> ".to_owned()),
        ("prompt;@!7\n@0\n", "\nmaster> \n7> \nmaster> ".to_owned()),
        ("@1 show version\n", format!("{version}\n\n")),
        ("@1; show version; show cli level\n", format!("\n{version}\n\nadmin\n\n")),
        ("@9 show version\n", "Can't find the target '@9', 'show proc' lists them.\n\n".to_owned()),
        ("@!8 show version\n", "Can't find the target '@!8', 'show proc' lists them.\n\n".to_owned()),
        ("reload\n", "There is no master process that could reload.\n\n".to_owned()),
    ];
    for (typed, want) in rows {
        assert_eq!(converse(Face::Master, CliLevel::Admin, typed, false).0, want, "{typed:?}");
    }
    assert!(admin("@1 show version\n").starts_with("Unknown command: '@1'"));
    assert!(admin("reload\n").starts_with("Unknown command: 'reload'"));
}

#[test]
fn processes_are_listed_by_kind() {
    let version = env!("CARGO_PKG_VERSION");
    let line = |pid, kind, reloads| {
        let up = if kind == "control" { "1d01h01m01s" } else { "0d00h02m07s" };
        format!("{pid:<15} {kind:<15} {reloads:<15} {up:<15} {version:<15}\n")
    };
    let want = [
        "#<PID>          <type>          <reloads>       <uptime>        <version>      \n".to_owned(),
        line(10, "master", 1),
        "# workers\n".to_owned(),
        line(12, "worker", 0),
        line(13, "worker", 0),
        "# old workers\n".to_owned(),
        line(7, "worker", 1),
        "# control\n".to_owned(),
        line(11, "control", 0),
        "\n".to_owned(),
    ];
    assert_eq!(converse(Face::Master, CliLevel::Admin, "show proc\n", true).0, want.concat());
}

#[test]
fn unknown_commands_are_answered_with_near_ones() {
    let heard = admin("foo\n");
    assert!(heard.starts_with("Unknown command: 'foo'. Please enter one of the following commands only:\n"));
    let heard = admin("show versoin\n");
    assert_eq!(
        heard,
        "Unknown command: 'show', but maybe one of the following ones is a better match:\n\
         \x20 show version                            : show version of the current process\n\
         \x20 help [<command>]                        : list matching or all commands\n\
         \x20 prompt [n|i|p|timed]                    : toggle interactive mode with prompt\n\
         \x20 quit                                    : disconnect\n\n"
    );
    assert_eq!(admin("help show vers\n").lines().count(), 6);
    let all = admin("help\n");
    assert!(all.starts_with("The following commands are valid at this level:\n"));
    let user = converse(Face::Traffic, CliLevel::User, "help\n", true).0;
    assert!(all.contains("show env") && !user.contains("show env"), "help shows what the level allows");
}

#[test]
fn waiting_lets_time_pass() {
    let plan = plan();
    let mut host = Nobody;
    let shm = memory();
    let mut session = CliSession::new(CliLevel::User, Face::Traffic, Duration::from_secs(10));
    session.feed(b"wait 2s;show cli level\n");
    let mut run = |ms| {
        session.run(&mut CliCx { plan: &plan, now: at(ms), shm: &shm, host: &mut host });
        (session.output().to_vec(), session.wants_wake_at())
    };
    let end = at(2000).tick;
    assert_eq!(run(0), (Vec::new(), Some(end)));
    assert_eq!(run(1999), (Vec::new(), Some(end)));
    assert_eq!(run(2000), (b"Done.\n\nuser\n\n".to_vec(), None));
}

#[test]
fn input_and_output_are_bounded() {
    let plan = plan();
    let mut host = Nobody;
    let shm = memory();
    let mut session = CliSession::new(CliLevel::Admin, Face::Traffic, Duration::from_secs(10));
    let typed = "help;".repeat(200) + "\n";
    session.feed(typed.as_bytes());
    session.run(&mut CliCx { plan: &plan, now: at(0), shm: &shm, host: &mut host });
    let one = admin("help\n").len();
    assert!(session.output().len() < OUT_HIGH + one, "a client that does not read gets no more");
    let mut heard = 0;
    while !session.is_over() || !session.output().is_empty() {
        session.run(&mut CliCx { plan: &plan, now: at(0), shm: &shm, host: &mut host });
        let part = session.output().len().min(1000);
        session.consume(part);
        heard += part;
    }
    assert_eq!(heard, one * 200);

    let mut session = CliSession::new(CliLevel::Admin, Face::Traffic, Duration::from_secs(10));
    let flood = vec![b'x'; 100_000];
    assert!(session.feed(&flood) < flood.len());
    session.run(&mut CliCx { plan: &plan, now: at(0), shm: &shm, host: &mut host });
    assert!(session.is_over() && session.output().starts_with(b"A line may not be longer"));
}

#[test]
fn rows_are_documented_and_unique() {
    let mut paths = HashSet::new();
    for command in FAMILIES.iter().flat_map(|rows| rows.iter()) {
        let path = command.path.join(" ");
        assert!(paths.insert((path.clone(), command.face as u8)), "{path} twice");
        assert!(command.doc.usage.starts_with(&path), "{path}: usage begins with the command");
        assert!(!command.doc.brief.is_empty() && !command.doc.text.is_empty(), "{path}: documented");
        assert!(command.doc.example.contains(&path), "{path}: example shows it");
    }
}

#[test]
fn the_fuzz_corpus_does_no_harm() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus/cli_line");
    let mut count = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        fuzz_cli_line(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= 10, "the corpus is there");
}
