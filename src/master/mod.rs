//! Floor 9: sockets, files, forks, reloads. Does not import the worker's inside.
//!
//! [`start`] is what the command line calls once a plan is there. One process in the foreground takes
//! all roles itself ([`alone`]); otherwise this process becomes the master ([`keeper`]): it keeps the
//! listening sockets and the privileges, forks the others, and parses nothing from the network.

mod alone;
mod asker;
mod certs;
mod changes;
mod child;
mod crew;
mod fds;
mod keeper;
mod notify;
mod privileges;

#[cfg(test)]
mod tests;

pub use fds::Sockets;

use crate::net::contexts::{self, Contexts};
use crate::plan::Plan;
use crate::shm::Shared;

/// Reads the configuration again, for a reload: the plan, or what to tell the operator.
pub type Reread = Box<dyn FnMut() -> Result<Plan, String>>;

/// What the command line decided.
pub struct Launch {
    /// The configuration.
    pub plan: Plan,
    /// Reads it again.
    pub reread: Reread,
    /// All roles in this very process (`-d`, `-db`, or one worker without `-W` and `-D`).
    pub single: bool,
    /// `-D`: leave the terminal.
    pub daemon: bool,
    /// `-Ws`: tell the service manager when the workers serve.
    pub notify: bool,
    /// `-sf`: processes to be finished once we serve.
    pub finish: Vec<u32>,
    /// `-st`: processes to be ended once we serve.
    pub terminate: Vec<u32>,
}

/// Why the program could not start: one line that says what and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Fatal(pub String);

/// Starts the service and stays until it ends. The number is the exit code.
pub fn start(launch: Launch) -> Result<i32, Fatal> {
    privileges::raise_limits(&launch.plan.global)?;
    if launch.single {
        alone::run(launch)
    } else {
        keeper::run(launch)
    }
}

/// What only a start would find otherwise: certificates and keys that cannot be used.
pub fn check(plan: &Plan) -> Result<(), Fatal> {
    let cannot = |error: std::io::Error| Fatal(format!("cannot share memory: {error}"));
    let shm = Shared::new(&plan.names(), &contexts::extras(plan), 1).map_err(cannot)?;
    Contexts::build(plan, &shm, |text| log::warn!("{text}")).map_err(Fatal)?;
    Ok(())
}

/// Tells processes of an earlier start that they are not needed any more.
fn dismiss(finish: &[u32], terminate: &[u32]) {
    for (pids, signal) in [(finish, libc::SIGUSR1), (terminate, libc::SIGTERM)] {
        for pid in pids {
            // one that has gone already is what was wanted
            let _ = lighterman_sys::fork::kill(*pid, signal);
        }
    }
}
