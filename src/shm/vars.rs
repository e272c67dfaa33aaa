//! Values that all processes share, by number: the `proc.*` variables. Kind and bytes; what they mean is the
//! business of whoever reads them.
//!
//! A slot is read without a lock and written under its sequence number, which is odd meanwhile. A writer that
//! dies there leaves it odd: who waits too long takes the slot over, so that at worst one value is mixed from
//! two.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{fence, AtomicU64};

use lighterman_sys::map::{load_bytes, store_bytes, Region};

/// Name of the values among [`super::Extras`].
pub const VARS: &str = "vars";

/// Bytes of a value.
pub const VALUE_MAX: usize = 1008;

/// Words of a slot: sequence number, kind and length, value.
const SLOT: usize = 2 + VALUE_MAX / 8;

/// Looks at a slot that is being written before it is given up, or taken over.
const PATIENCE: u32 = 20_000;

/// The values, as one process sees them.
#[derive(Clone, Debug)]
pub struct SharedVars {
    words: Region<AtomicU64>,
}

impl SharedVars {
    /// Words of 8 bytes for so many values; pages that are never written cost nothing.
    pub fn words_needed(slots: usize) -> usize {
        1 + slots * SLOT
    }

    /// Takes up a stretch of shared memory.
    pub fn attach(words: &Region<AtomicU64>) -> SharedVars {
        SharedVars { words: words.clone() }
    }

    fn slot(&self, number: u32) -> Option<(&AtomicU64, &AtomicU64, &[AtomicU64])> {
        let at = 1 + number as usize * SLOT;
        match self.words.get(at..at + SLOT)? {
            [turn, what, value @ ..] => Some((turn, what, value)),
            _ => None,
        }
    }

    /// Kind and bytes of a value; `None`: it was not set.
    pub fn get(&self, number: u32) -> Option<(u8, Vec<u8>)> {
        let (turn, what, value) = self.slot(number)?;
        for _ in 0..PATIENCE {
            let before = turn.load(Acquire);
            if before & 1 == 0 {
                let (kind, len) = split(what.load(Relaxed));
                let mut bytes = vec![0; len.min(VALUE_MAX)];
                load_bytes(value, &mut bytes);
                fence(Acquire);
                if turn.load(Relaxed) == before {
                    return (kind != 0).then_some((kind, bytes));
                }
            }
            std::hint::spin_loop();
        }
        None
    }

    /// Sets a value; `extra` bytes are counted besides its own. False: it is too long, or all values together
    /// were longer than `limit` (0: no limit); the old one stays then.
    pub fn set(&self, number: u32, kind: u8, bytes: &[u8], (extra, limit): (usize, usize)) -> bool {
        let Some((turn, what, value)) = self.slot(number) else { return false };
        if bytes.len() > VALUE_MAX {
            return false;
        }
        let mine = Writing::begin(turn);
        let cost = |(kind, len): (u8, usize)| if kind == 0 { 0 } else { (len + extra) as u64 };
        let (old, new) = (cost(split(what.load(Relaxed))), cost((kind, bytes.len())));
        let Some(used) = self.words.first() else { return false };
        let all = used.load(Relaxed).saturating_sub(old).saturating_add(new);
        if new > old && limit > 0 && all > limit as u64 {
            return false;
        }
        used.store(all, Relaxed);
        what.store(u64::from(kind) << 32 | bytes.len() as u64, Relaxed);
        store_bytes(value, bytes);
        drop(mine);
        true
    }

    /// Forgets a value.
    pub fn unset(&self, number: u32, extra: usize) {
        self.set(number, 0, b"", (extra, 0));
    }
}

/// The right to write a slot.
struct Writing<'a> {
    turn: &'a AtomicU64,
    odd: u64,
}

impl<'a> Writing<'a> {
    fn begin(turn: &'a AtomicU64) -> Self {
        let mut odd = 1;
        for _ in 0..PATIENCE {
            let now = turn.load(Relaxed);
            odd = now | 1;
            if now & 1 == 0 && turn.compare_exchange(now, odd, AcqRel, Relaxed).is_ok() {
                break;
            }
            std::hint::spin_loop();
        }
        fence(Release);
        Writing { turn, odd }
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.turn.store(self.odd.wrapping_add(1), Release);
    }
}

fn split(what: u64) -> (u8, usize) {
    ((what >> 32) as u8, (what & 0xffff_ffff) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(slots: usize) -> SharedVars {
        SharedVars::attach(&Region::alone(SharedVars::words_needed(slots)).unwrap())
    }

    #[test]
    fn values_are_kept_and_bounded() {
        let vars = vars(2);
        assert_eq!(vars.get(0), None);
        assert!(vars.set(0, 5, b"hello", (8, 30)));
        assert_eq!(vars.get(0), Some((5, b"hello".to_vec())));
        assert!(!vars.set(1, 5, &[7; 10], (8, 30)), "no room");
        assert_eq!(vars.get(1), None);
        assert!(vars.set(1, 5, &[7; 9], (8, 30)));
        assert!(vars.set(0, 2, b"", (8, 30)) && vars.set(1, 5, &[7; 14], (8, 30)));
        vars.unset(1, 8);
        assert_eq!((vars.get(0), vars.get(1)), (Some((2, Vec::new())), None));
        assert!(!vars.set(0, 5, &[0; VALUE_MAX + 1], (0, 0)) && !vars.set(2, 5, b"", (0, 0)));
        assert!(vars.set(0, 5, &[1; VALUE_MAX], (0, 0)));
    }

    #[test]
    fn a_writer_that_died_holds_nobody_up() {
        let vars = vars(1);
        vars.set(0, 5, b"old", (0, 0));
        vars.slot(0).unwrap().0.fetch_add(1, Relaxed);
        assert_eq!(vars.get(0), None, "nobody knows what is there");
        assert!(vars.set(0, 5, b"new", (0, 0)));
        assert_eq!(vars.get(0), Some((5, b"new".to_vec())));
    }

    #[test]
    fn readers_see_whole_values() {
        let vars = vars(1);
        let writers = [b'a', b'b'].map(|byte| {
            let vars = vars.clone();
            std::thread::spawn(move || (1..3000).all(|n| vars.set(0, 5, &vec![byte; n % 300], (0, 0))))
        });
        while writers.iter().any(|writer| !writer.is_finished()) {
            if let Some((_, bytes)) = vars.get(0) {
                assert!(bytes.windows(2).all(|pair| pair[0] == pair[1]));
            }
        }
        assert!(writers.into_iter().all(|writer| writer.join().unwrap()));
    }
}
