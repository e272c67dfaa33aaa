//! Requests that wait for a place at a server, as far as the whole worker is concerned: others may have
//! freed places, or left some unused.

use super::Worker;

/// The number of the task that looks again.
pub(super) const PLACES: u16 = 7;

/// How long another worker has to take a place that was left to it, milliseconds: one that stands still must
/// not hold up the others.
const LEFT_MS: u64 = 20;

impl Worker<'_> {
    /// Gives free places to those who wait; `fair`: those who wait longer in other workers come first.
    pub(super) fn fill_places(&mut self, fair: bool) {
        let Worker { plan, house, backends, .. } = self;
        backends.refill(fair, plan, &house.shm, &mut house.sched);
    }

    /// At the end of a turn: looks again soon if a place was left to others.
    pub(super) fn arm_places(&mut self) {
        if let (true, Some(task)) = (self.backends.take_left(), self.places_task) {
            self.house.sched.deadline(task, Some(self.house.now.tick.after(LEFT_MS)));
        }
    }
}
