//! The command socket under random bytes, and the stand-in process that this and the tests use.

use super::line;
use super::session::{CliSession, PAYLOAD_MAX};
use super::{CliCx, Face, Host, Ticket, Vitals, OUT_HIGH};
use crate::plan::global::CliLevel;
use crate::plan::Plan;
use std::time::Duration;

/// A process that is only told about and cannot do anything.
#[derive(Default)]
pub struct Nobody {
    /// What it answers to [`Host::vitals`].
    pub vitals: Vitals,
}

impl Host for Nobody {
    fn vitals(&self) -> Vitals {
        self.vitals.clone()
    }

    fn startup_log(&self) -> Vec<u8> {
        b"[NOTICE]   (1) : nothing\n".to_vec()
    }

    fn ask_workers(&mut self, _: &str) -> Option<Ticket> {
        None
    }

    fn answers(&mut self, _: Ticket) -> Option<Vec<u8>> {
        None
    }

    fn reload(&mut self) -> Option<Ticket> {
        None
    }
}

/// Whatever a client sends must neither panic nor grow without bound.
pub fn fuzz_cli_line(data: &[u8]) {
    if let Ok(parsed) = line::parse(data) {
        let words: usize = parsed.commands.iter().map(Vec::len).sum();
        assert!(words <= data.len());
    }
    let plan = Plan::default();
    for (home, level) in [(Face::Traffic, CliLevel::Admin), (Face::Master, CliLevel::User)] {
        let mut host = Nobody::default();
        let mut wall = Duration::from_secs(1_000_000);
        let mut session = CliSession::new(level, home, Duration::from_secs(10));
        let mut rest = data;
        // Each turn the client sends what is taken, reads a part and lets a second pass.
        for _ in 0..data.len() + 1000 {
            let taken = session.feed(rest);
            rest = &rest[taken..];
            if rest.is_empty() {
                session.end_of_input();
            }
            session.run(&mut CliCx { plan: &plan, wall, host: &mut host });
            assert!(session.output().len() <= OUT_HIGH + PAYLOAD_MAX, "output is bounded");
            session.consume(session.output().len().min(OUT_HIGH / 2));
            wall += Duration::from_secs(1);
            if session.is_over() {
                break;
            }
        }
    }
}
