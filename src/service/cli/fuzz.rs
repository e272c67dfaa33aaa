//! The command socket under random bytes, and the stand-in process that this and the tests use.

use super::line;
use super::session::CliSession;
use super::{CliCx, Face, Facts, Host, Ticket, OUT_HIGH};
use crate::base::tick::Clock;
use crate::plan::global::CliLevel;
use crate::plan::Plan;
use crate::service::board::apply_plan;
use crate::shm::{Extras, Role, Shared};
use std::io;
use std::time::Duration;

/// A process that cannot do anything.
#[derive(Default)]
pub struct Nobody;

impl Host for Nobody {
    fn facts(&self) -> Facts {
        Facts { hostname: "box".to_owned(), ..Facts::default() }
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

/// Memory of this process alone, which has all roles. It started five seconds after 1970.
pub fn memory_for(plan: &Plan) -> io::Result<Shared> {
    let mut shm = Shared::new(&plan.names(), &Extras::new(), 1)?;
    let slot = shm.reserve(Role::all(), 1).ok_or(io::ErrorKind::OutOfMemory)?;
    shm.enter(slot, std::process::id(), 5_000_000);
    apply_plan(plan, 1, &shm);
    Ok(shm)
}

/// Whatever a client sends must neither panic nor grow without bound.
pub fn fuzz_cli_line(data: &[u8]) {
    if let Ok(parsed) = line::parse(data) {
        let words: usize = parsed.commands.iter().map(Vec::len).sum();
        assert!(words <= data.len());
    }
    let plan = Plan::default();
    let Ok(shm) = memory_for(&plan) else { return };
    for (home, level) in [(Face::Traffic, CliLevel::Admin), (Face::Master, CliLevel::User)] {
        let mut host = Nobody;
        let mut clock = Clock::virtual_from_start();
        let mut session = CliSession::new(level, home, Duration::from_secs(10));
        let mut rest = data;
        // Each turn the client sends what is taken, reads a part and lets a second pass.
        for _ in 0..data.len() + 1000 {
            let taken = session.feed(rest);
            rest = &rest[taken..];
            if rest.is_empty() {
                session.end_of_input();
            }
            session.run(&mut CliCx { plan: &plan, now: clock.read(), shm: &shm, host: &mut host });
            let max = OUT_HIGH + plan.global.tune.cli_max_payload;
            assert!(session.output().len() <= max, "output is bounded");
            session.consume(session.output().len().min(OUT_HIGH / 2));
            clock.advance(1000);
            if session.is_over() {
                break;
            }
        }
    }
}
