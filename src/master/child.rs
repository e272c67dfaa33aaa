//! What a forked process does before it serves.

use lighterman_sys::{fork, signal};

use super::{privileges, Fatal, Sockets};
use crate::plan::Plan;
use crate::worker::{self, Seat};

/// What a child is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// Traffic; its number, from 0.
    Worker(usize),
}

/// The life of a child; the number is its exit code.
pub(super) fn live(role: Role, plan: &Plan, sockets: Sockets, master: u32) -> i32 {
    match begin(role, plan, sockets, master) {
        Ok(()) => 0,
        Err(Fatal(why)) => {
            log::error!("{why}");
            1
        }
    }
}

fn begin(role: Role, plan: &Plan, sockets: Sockets, master: u32) -> Result<(), Fatal> {
    let cannot = |error: std::io::Error| Fatal(format!("cannot serve: {error}"));
    signal::reset().map_err(cannot)?;
    let Role::Worker(number) = role;
    privileges::pin(&plan.global, number)?;
    privileges::drop_rights(&plan.global)?;
    fork::die_with_parent(libc::SIGTERM).map_err(cannot)?;
    if fork::parent() != master {
        return Ok(());
    }
    let seat = Seat { number, traffic: sockets.for_worker(plan, number), alone: false };
    worker::serve(plan, seat).map_err(cannot)
}
