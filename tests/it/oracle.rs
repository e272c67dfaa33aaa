//! The differential test: the same configurations and the same requests on Debian's haproxy and on the program, and what the
//! backend, the client and the log see is compared.
//!
//! A file of `tests/it/oracle/` is a theme; each block in it is a case (see [`case`]). A case that is known to differ says so
//! with its reason, and fails once it differs no more. `make test-oracle` installs haproxy and runs them all; where there is
//! none the tests pass and say that they did not run (see [`peer`]).

mod case;
mod mask;
mod peer;
mod play;

use std::panic;
use std::sync::Mutex;
use std::thread;

use case::Case;
use lighterman_harness::Program;
use peer::Oracle;
use play::{Player, Seen, Stage};

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

themes!(acls converters cookies errors fields log_formats maps old_words redirects rule_order samples stick tcp uris);

/// Plays a theme and tells about every case that is not as it should be.
fn theme(name: &str, text: &str) {
    let oracle = match peer::find() {
        Ok(oracle) => oracle,
        Err(why) if peer::is_wanted() => panic!("{why}"),
        Err(why) => {
            eprintln!("{name}: not played: {why}, see `make test-oracle`");
            return;
        }
    };
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
fn compare(oracle: &'static Oracle, case: &Case) -> Option<String> {
    let both = panic::catch_unwind(|| {
        let stage = Stage::new(case);
        let theirs = Player { start: Program::other, binary: &oracle.path, is_oracle: true };
        let ours = Player { start: Program::bare, binary: crate::BIN, is_oracle: false };
        (stage.play(&theirs, case), stage.play(&ours, case))
    });
    let Ok((theirs, ours)) = both else { return Some(format!("{}: could not be played", case.name)) };
    match (theirs == ours, &case.differs) {
        (true, None) | (false, Some(_)) => None,
        (true, Some(_)) if !oracle.is_usual => None,
        (true, Some(reason)) => {
            Some(format!("{}: said to differ ({reason}), and does not any more", case.name))
        }
        (false, None) => Some(format!("{}:\n{}", case.name, differences(&theirs, &ours))),
    }
}

/// The lines that only one of them has, each kind behind the last line they share.
fn differences(theirs: &Seen, ours: &Seen) -> String {
    let mut text = String::new();
    for (what, theirs, ours) in [
        ("backend", &theirs.backend, &ours.backend),
        ("client", &theirs.client, &ours.client),
        ("log", &theirs.log, &ours.log),
    ] {
        if theirs != ours {
            text.push_str(&format!("  {what}\n"));
            compare_lines(theirs, ours, &mut text);
        }
    }
    text
}

/// Both texts along their longest common subsequence.
fn compare_lines(theirs: &[String], ours: &[String], out: &mut String) {
    // common[i][j]: the length of that of theirs[i..] and ours[j..]
    let mut common = vec![vec![0; ours.len() + 1]; theirs.len() + 1];
    for i in (0..theirs.len()).rev() {
        for j in (0..ours.len()).rev() {
            common[i][j] = match theirs[i] == ours[j] {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    let (mut i, mut j, mut shared) = (0, 0, None);
    while i < theirs.len() || j < ours.len() {
        if theirs.get(i).is_some_and(|line| ours.get(j) == Some(line)) {
            shared = Some(&theirs[i]);
            (i, j) = (i + 1, j + 1);
            continue;
        }
        if let Some(line) = shared.take() {
            out.push_str(&format!("                {line}\n"));
        }
        if j >= ours.len() || i < theirs.len() && common[i + 1][j] >= common[i][j + 1] {
            out.push_str(&format!("    haproxy     {}\n", theirs[i]));
            i += 1;
        } else {
            out.push_str(&format!("    lighterman  {}\n", ours[j]));
            j += 1;
        }
    }
}
