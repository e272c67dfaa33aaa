//! The differential test: the same configurations and the same requests on Debian's haproxy and on the program, and what the
//! backend, the client and the log see is compared.
//!
//! A file of `tests/it/oracle/` is a theme; each block in it is a case (see [`case`]). A case that is known to differ says so
//! with its reason, and fails once it differs no more. `make test-oracle` installs haproxy and runs them all; without
//! `LIGHTERMAN_ORACLE` in the environment the tests pass and say that they did not run.

mod case;
mod mask;
mod play;

use std::panic;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use case::Case;
use lighterman_harness::Program;
use play::{Player, Seen, Stage};

/// Where Debian puts it.
const ORACLES: &[&str] = &["/usr/sbin/haproxy", "/usr/bin/haproxy"];

/// Cases that are played at the same time.
const AT_ONCE: usize = 4;

macro_rules! themes {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            theme(stringify!($name), include_str!(concat!("oracle/", stringify!($name), ".txt")));
        })*

        /// The figure in the documentation is this one.
        #[test]
        fn there_are_at_least_150_comparisons() {
            let texts = [$(include_str!(concat!("oracle/", stringify!($name), ".txt"))),*];
            let compared: usize = texts.iter().flat_map(|t| case::parse(t)).map(|c| c.requests()).sum();
            assert!(compared >= 150, "{compared} requests");
        }
    };
}

themes!(acls converters errors fields log_formats redirects samples uris);

/// Plays a theme and tells about every case that is not as it should be.
fn theme(name: &str, text: &str) {
    if std::env::var("LIGHTERMAN_ORACLE").is_err() {
        eprintln!("{name}: not played, see `make test-oracle`");
        return;
    }
    let oracle = ORACLES.iter().find(|path| Path::new(path).exists()).expect("haproxy is not installed");
    let only = std::env::var("LIGHTERMAN_ORACLE_CASE").ok();
    let mut cases = case::parse(text);
    cases.retain(|case| only.as_ref().is_none_or(|only| case.name.contains(only.as_str())));
    let (cases, wrong) = (Mutex::new(cases.into_iter()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| loop {
                let Some(case) = cases.lock().unwrap().next() else { return };
                wrong.lock().unwrap().extend(compare(oracle, &case));
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of theme {name}:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

/// What is wrong with a case, if anything.
fn compare(oracle: &'static str, case: &Case) -> Option<String> {
    let both = panic::catch_unwind(|| {
        let stage = Stage::new(case);
        let theirs = Player { start: Program::other, binary: oracle, is_oracle: true };
        let ours = Player { start: Program::bare, binary: crate::BIN, is_oracle: false };
        (stage.play(&theirs, case), stage.play(&ours, case))
    });
    let Ok((theirs, ours)) = both else { return Some(format!("{}: could not be played", case.name)) };
    match (theirs == ours, &case.differs) {
        (true, None) | (false, Some(_)) => None,
        (true, Some(reason)) => {
            Some(format!("{}: said to differ ({reason}), and does not any more", case.name))
        }
        (false, None) => Some(format!("{}:\n{}", case.name, differences(&theirs, &ours))),
    }
}

/// The lines that only one of them has.
fn differences(theirs: &Seen, ours: &Seen) -> String {
    let mut text = String::new();
    for (what, theirs, ours) in [
        ("backend", &theirs.backend, &ours.backend),
        ("client", &theirs.client, &ours.client),
        ("log", &theirs.log, &ours.log),
    ] {
        if theirs == ours {
            continue;
        }
        text.push_str(&format!("  {what}\n"));
        let only_theirs = without(theirs, ours);
        let only_ours = without(ours, theirs);
        for (who, lines) in [("haproxy   ", &only_theirs), ("lighterman", &only_ours)] {
            lines.iter().for_each(|line| text.push_str(&format!("    {who}  {line}\n")));
        }
        if only_theirs.is_empty() && only_ours.is_empty() {
            text.push_str(&format!("    in another order: {theirs:#?} and {ours:#?}\n"));
        }
    }
    text
}

/// The lines of one less those of the other, each as often as it is there.
fn without<'a>(lines: &'a [String], less: &[String]) -> Vec<&'a String> {
    let mut less: Vec<&String> = less.iter().collect();
    let taken = |line: &&String| match less.iter().position(|other| other == line) {
        Some(at) => {
            less.swap_remove(at);
            false
        }
        None => true,
    };
    lines.iter().filter(taken).collect()
}
