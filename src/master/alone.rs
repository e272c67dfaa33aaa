//! All roles in the process that was started.

use super::{dismiss, notify, privileges, Fatal, Launch, Sockets};
use crate::worker::{self, Seat};

pub(super) fn run(launch: Launch) -> Result<i32, Fatal> {
    let plan = &launch.plan;
    let sockets = Sockets::open(plan, 1, &Sockets::default())?;
    if let Some(path) = &plan.global.pidfile {
        notify::write_pid(path)?;
    }
    privileges::drop_rights(&plan.global)?;
    dismiss(&launch);
    let seat =
        Seat { number: 0, traffic: sockets.for_worker(plan, 0), pulse: None, handed: None, watch: None };
    if launch.notify {
        notify::tell("READY=1");
    }
    worker::serve(plan, seat).map_err(|error| Fatal(format!("cannot serve: {error}")))?;
    Ok(0)
}
