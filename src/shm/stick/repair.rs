//! After a process was killed inside a shard: its index is made anew from the entries themselves, and the counts of
//! holders from the journals. Nothing is lost but what the dead process was about to do.

use std::sync::atomic::Ordering::Relaxed;

use super::entry::{EXPIRES, STATE};
use super::spec::Data;
use super::table::Inside;

impl Inside<'_> {
    pub(super) fn repair(&self) {
        self.shard.empty();
        self.table.buckets_of(self.number).for_each(|bucket| bucket.store(0, Relaxed));
        let mut living = Vec::new();
        for shard in 0..self.table.shards() {
            for at in self.table.room(shard).0..self.table.fresh(shard) {
                let state = self.table.word(at, STATE).load(Relaxed);
                if (state >> 16) as u16 != self.number as u16 {
                    continue;
                }
                if state & 1 == 1 {
                    living.push((self.table.word(at, EXPIRES).load(Relaxed), at));
                } else {
                    self.give_back(at);
                }
            }
        }
        living.sort_unstable();
        for (_, at) in &living {
            self.link(*at);
            self.forget_holders(*at);
        }
        self.count_holders();
        self.table.count_used();
    }

    fn forget_holders(&self, at: u32) {
        let state = self.table.word(at, STATE);
        let had = self.table.entry(at).holders();
        state.store(state.load(Relaxed) & u64::from(u32::MAX), Relaxed);
        if had > 0 {
            self.table.entry(at).set(Data::ConnCur, 0, 0, 0);
        }
    }

    fn count_holders(&self) {
        for note in self.table.journal.of_table(self.table.uid) {
            let state = self.table.word(note.entry, STATE);
            let now = state.load(Relaxed);
            if (now >> 16) as u16 != self.number as u16 {
                continue;
            }
            state.store(now + (1 << 32), Relaxed);
            if note.conn {
                self.table.entry(note.entry).add(Data::ConnCur, 0, 1, 0);
            }
        }
    }
}
