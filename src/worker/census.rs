//! Certificates that deserve attention are counted by the process with the command socket, now and then and when they change.

use std::io;

use super::Worker;
use crate::base::ids::TaskId;
use crate::base::tick::Now;
use crate::event::sched::Wake;
use crate::net::contexts::certificate_lines;
use crate::net::tls::store::census;
use crate::shm::Info;

/// The number of the task that counts.
pub(super) const CENSUS: u16 = 9;
/// Days go by, so it counts again after so long, milliseconds.
const EVERY_MS: u64 = 60_000;
/// Once certificates have changed it counts after so long, milliseconds: there may be more to come.
const SOON_MS: u64 = 200;

/// What was counted last.
pub(super) struct Counter {
    task: TaskId,
    /// Of these versions of the indexes.
    versions: Vec<u32>,
}

impl Worker<'_> {
    /// Counts from now on.
    pub(super) fn begin_census(&mut self) -> io::Result<()> {
        if self.plan.listeners.iter().any(|line| line.tls.is_some()) {
            let task = self.house_task(CENSUS)?;
            self.counter = Some(Counter { task, versions: Vec::new() });
            self.house.sched.wake(task, Wake::INIT);
        }
        Ok(())
    }

    /// Certificates may have changed.
    pub(super) fn census_is_due(&mut self) {
        if let Some(counter) = &self.counter {
            if counter.versions != self.house.tls.store().versions() {
                self.house.sched.deadline(counter.task, Some(self.house.now.tick.after(SOON_MS)));
            }
        }
    }

    /// Counts.
    pub(super) fn take_census(&mut self) {
        let Some(counter) = &mut self.counter else { return };
        let (tls, Now { tick, wall_us, .. }) = (self.house.tls, self.house.now);
        counter.versions = tls.store().versions();
        let lines = certificate_lines(self.plan, tls);
        let [expiring, expired, shadowed] =
            census::take(&tls.store().indexes(), &lines, (wall_us / 1_000_000) as i64).counts;
        let process = self.house.shm.process();
        process.set(Info::SslCertsExpiring, expiring as u64);
        process.set(Info::SslCertsExpired, expired as u64);
        process.set(Info::SslCertsShadowed, shadowed as u64);
        self.house.sched.deadline(counter.task, Some(tick.after(EVERY_MS)));
    }
}
