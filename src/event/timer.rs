//! A timer wheel: deadlines of tasks, set and cleared at constant cost.
//!
//! Four levels of slots, each slot a list threaded through [`Wheel::links`] by task number. A deadline
//! that moves later costs nothing: the old slot fires, finds the later deadline and files it again.

use crate::base::tick::Tick;

const NONE: u32 = u32::MAX;
/// Slots per level; a level's slot spans all of the level below.
const SLOTS: usize = 64;
const LEVELS: usize = 5;
const SHIFT: u32 = 6;

#[derive(Clone, Copy)]
struct Link {
    prev: u32,
    next: u32,
    /// level * SLOTS + slot, or `NONE` when not filed.
    slot: u32,
    /// When the slot fires at the latest for this task.
    filed: u64,
    /// When the task wants to be woken.
    wanted: u64,
}

const UNFILED: Link = Link { prev: NONE, next: NONE, slot: NONE, filed: u64::MAX, wanted: u64::MAX };

/// The deadlines of all tasks.
pub(super) struct Wheel {
    links: Vec<Link>,
    heads: [u32; SLOTS * LEVELS],
    full: [u64; LEVELS],
    now: u64,
    filed: u32,
}

impl Wheel {
    pub(super) fn new() -> Self {
        Wheel { links: Vec::new(), heads: [NONE; SLOTS * LEVELS], full: [0; LEVELS], now: 0, filed: 0 }
    }

    /// Sets or clears the one deadline of a task.
    pub(super) fn set(&mut self, task: u32, at: Option<Tick>) {
        let wanted = at.map_or(u64::MAX, |t| t.0.min(u64::MAX - 1));
        if self.links.len() <= task as usize {
            if wanted == u64::MAX {
                return;
            }
            self.links.resize(task as usize + 1, UNFILED);
        }
        let link = &mut self.links[task as usize];
        link.wanted = wanted;
        if wanted < link.filed {
            self.unfile(task);
            self.file(task, wanted);
        }
    }

    /// Forgets a task that has gone.
    pub(super) fn forget(&mut self, task: u32) {
        if (task as usize) < self.links.len() {
            self.unfile(task);
            self.links[task as usize].wanted = u64::MAX;
        }
    }

    fn file(&mut self, task: u32, at: u64) {
        let delta = at.saturating_sub(self.now).max(1);
        let mut level = ((63 - delta.leading_zeros()) / SHIFT) as usize;
        let mut due = self.now + delta;
        if level >= LEVELS {
            // beyond the wheel: the last slot of the last level files it again
            level = LEVELS - 1;
            due = self.now + (1 << (SHIFT * LEVELS as u32)) - (1 << (SHIFT * level as u32));
        }
        let slot = level * SLOTS + (due >> (SHIFT * level as u32)) as usize % SLOTS;
        let head = self.heads[slot];
        self.links[task as usize] =
            Link { prev: NONE, next: head, slot: slot as u32, filed: at, ..self.links[task as usize] };
        if head != NONE {
            self.links[head as usize].prev = task;
        }
        self.heads[slot] = task;
        self.full[level] |= 1 << (slot % SLOTS);
        self.filed += 1;
    }

    fn unfile(&mut self, task: u32) {
        let Link { prev, next, slot, .. } = self.links[task as usize];
        if slot == NONE {
            return;
        }
        if prev == NONE {
            self.heads[slot as usize] = next;
            if next == NONE {
                self.full[slot as usize / SLOTS] &= !(1 << (slot as usize % SLOTS));
            }
        } else {
            self.links[prev as usize].next = next;
        }
        if next != NONE {
            self.links[next as usize].prev = prev;
        }
        let link = &mut self.links[task as usize];
        *link = Link { wanted: link.wanted, ..UNFILED };
        self.filed -= 1;
    }

    /// The moment of the next slot that may fire; `None`: nothing is filed.
    pub(super) fn next(&self) -> Option<Tick> {
        if self.filed == 0 {
            return None;
        }
        let mut best = u64::MAX;
        for level in 0..LEVELS {
            if self.full[level] == 0 {
                continue;
            }
            let shift = SHIFT * level as u32;
            let here = self.now >> shift;
            let rotated = self.full[level].rotate_right((here % SLOTS as u64) as u32);
            let mut ahead = u64::from(rotated.trailing_zeros());
            if ahead == 0 {
                // the slot we stand in is a whole turn away, unless something else comes before
                let others = rotated & !1;
                ahead = if others == 0 { SLOTS as u64 } else { u64::from(others.trailing_zeros()) };
            }
            best = best.min((here + ahead) << shift);
        }
        Some(Tick(best))
    }

    /// Moves to `now` and calls `fire` for every task whose deadline has come.
    pub(super) fn advance(&mut self, now: Tick, mut fire: impl FnMut(u32)) {
        while let Some(at) = self.next() {
            if at > now {
                break;
            }
            self.now = at.0;
            for level in (0..LEVELS).rev() {
                let shift = SHIFT * level as u32;
                if at.0 & ((1 << shift) - 1) == 0 {
                    let slot = level * SLOTS + (at.0 >> shift) as usize % SLOTS;
                    self.open(slot, now, &mut fire);
                }
            }
        }
        self.now = self.now.max(now.0);
    }

    /// Takes everything out of a slot: what is due fires, the rest is filed closer.
    fn open(&mut self, slot: usize, now: Tick, fire: &mut impl FnMut(u32)) {
        let mut task = std::mem::replace(&mut self.heads[slot], NONE);
        self.full[slot / SLOTS] &= !(1 << (slot % SLOTS));
        while task != NONE {
            let Link { next, wanted, .. } = self.links[task as usize];
            self.links[task as usize] = Link { wanted, ..UNFILED };
            self.filed -= 1;
            if wanted <= now.0 {
                self.links[task as usize].wanted = u64::MAX;
                fire(task);
            } else if wanted != u64::MAX {
                self.file(task, wanted);
            }
            task = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired(wheel: &mut Wheel, now: u64) -> Vec<u32> {
        let mut out = Vec::new();
        wheel.advance(Tick(now), |task| out.push(task));
        out.sort_unstable();
        out
    }

    #[test]
    fn fires_at_the_deadline_and_never_before() {
        let mut state = 88172645463325252u64;
        for round in 0..64 {
            let mut wheel = Wheel::new();
            wheel.advance(Tick(round * 977), |_| {});
            let base = round * 977;
            let mut wanted = Vec::new();
            for task in 0..200u32 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let at = base + 1 + state % [50, 5_000, 400_000, 40_000_000][task as usize % 4];
                wheel.set(task, Some(Tick(at)));
                wanted.push((at, task));
            }
            wanted.sort_unstable();
            for (at, task) in wanted {
                if wheel.links[task as usize].wanted == u64::MAX {
                    continue; // fired together with another of the same moment
                }
                assert!(wheel.next().is_some_and(|next| next.0 <= at), "the poller must wake in time");
                assert_eq!(fired(&mut wheel, at - 1), Vec::<u32>::new(), "before {at}");
                assert!(fired(&mut wheel, at).contains(&task), "task {task} at {at}");
            }
            assert_eq!(wheel.next(), None);
        }
    }

    #[test]
    fn later_is_free_earlier_is_filed_again_cleared_is_silent() {
        let mut wheel = Wheel::new();
        wheel.set(3, Some(Tick(100)));
        wheel.set(3, Some(Tick(500)));
        assert_eq!(fired(&mut wheel, 499), Vec::<u32>::new());
        assert_eq!(fired(&mut wheel, 500), [3]);
        wheel.set(3, Some(Tick(900)));
        wheel.set(3, Some(Tick(600)));
        assert_eq!(fired(&mut wheel, 600), [3]);
        wheel.set(3, Some(Tick(700)));
        wheel.set(3, None);
        wheel.set(4, Some(Tick(700)));
        wheel.forget(4);
        assert_eq!(fired(&mut wheel, 10_000), Vec::<u32>::new());
        assert_eq!(wheel.next(), None);
        wheel.set(5, Some(Tick(3)));
        assert_eq!(fired(&mut wheel, 10_001), [5], "a deadline in the past fires at once");
    }

    #[test]
    fn far_deadlines_survive_the_turn_of_the_wheel() {
        let mut wheel = Wheel::new();
        let far = 40 * 24 * 3600 * 1000;
        wheel.set(1, Some(Tick(far)));
        assert_eq!(fired(&mut wheel, far - 1), Vec::<u32>::new());
        assert_eq!(fired(&mut wheel, far), [1]);
    }
}
