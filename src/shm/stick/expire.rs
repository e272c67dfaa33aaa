//! Old entries go: when their key is looked for, when room is needed, and by a walk that workers make now and then.

use super::entry::EXPIRES;
use super::table::{Inside, Table};

/// Entries looked at in one shard by one walk, so that a turn stays short.
const STEP: usize = 64;

impl Table {
    /// Ends what is too old, some of it in each shard. Returns how many it ended.
    pub fn purge(&self, now_ms: u64) -> usize {
        self.count_used();
        (0..self.shards()).filter_map(|shard| self.try_enter(shard)).map(|inside| inside.purge(now_ms)).sum()
    }
}

impl Inside<'_> {
    fn purge(&self, now_ms: u64) -> usize {
        let mut ended = 0;
        for _ in 0..STEP {
            let Some(oldest) = self.oldest() else { break };
            if !self.is_old(oldest, now_ms) {
                break;
            }
            if self.table.entry(oldest).holders() > 0 {
                // in use: it goes to the end of the line and lives on
                self.touch(oldest, now_ms);
            } else {
                self.remove(oldest);
                ended += 1;
            }
        }
        ended
    }

    /// It was not touched for as long as entries live.
    pub(super) fn is_old(&self, at: u32, now_ms: u64) -> bool {
        let expires = self.table.word(at, EXPIRES).load(std::sync::atomic::Ordering::Relaxed);
        self.table.spec().expire.is_some() && expires <= now_ms
    }

    /// Makes room: the oldest that nobody uses goes, if it is too old or if that is allowed. False: none could.
    pub(super) fn make_room(&self, now_ms: u64) -> bool {
        for _ in 0..STEP {
            let Some(oldest) = self.oldest() else { return false };
            if self.table.entry(oldest).holders() > 0 {
                self.touch_age(oldest);
                continue;
            }
            if self.table.spec().nopurge && !self.is_old(oldest, now_ms) {
                return false;
            }
            self.remove(oldest);
            return true;
        }
        false
    }
}
