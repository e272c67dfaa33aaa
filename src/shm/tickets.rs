//! The keys of session tickets, shared by all workers: a ticket made by one of them opens on every other, also after a reload.
//!
//! Read by net/tls in handshakes; replaced by whichever process first sees that it is time ([`Tickets::refresh`]), or from a
//! file or a command ([`Tickets::set`]). Two banks of keys: a writer fills the one that is not in use, then moves the generation on, which says which bank
//! counts. Readers never wait; a writer that dies half-way has changed nothing that anyone reads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lighterman_sys::lock::RobustLock;
use lighterman_sys::map::{load_bytes, store_bytes, Region};
use lighterman_sys::shm_struct;
use lighterman_sys::tls::{TicketKey, TicketUse};

/// Most keys in force at a time: one that seals and those that still open.
pub const TICKET_KEYS_MAX: usize = 8;
/// Keys that [`Tickets::rotate`] keeps: the new one and two older.
const KEPT: usize = 3;
/// Name, AES key, HMAC key, flag.
const KEY_WORDS: usize = 2 + 4 + 4 + 1;
const RETRIES: usize = 16;
const PATIENCE: Duration = Duration::from_millis(100);
/// Changes with the layout: memory of another version is not attached.
const MAGIC: u64 = 0x6c6d_7469_636b_0003;
/// Rings of files come in groups of so many: a reload that adds a file rarely needs other memory.
const FILE_GROUP: usize = 16;

shm_struct! {
    struct Bank {
        count: AtomicU64,
        /// Index of the key that seals.
        current: AtomicU64,
        keys: [[AtomicU64; KEY_WORDS]; TICKET_KEYS_MAX],
    }

    struct KeyRing {
        magic: AtomicU64,
        generation: AtomicU64,
        /// When the keys were last rotated, seconds since 1970; 0: nobody has looked yet.
        rotated_s: AtomicU64,
        /// Of a ring that a file fills: which file (a hash of its name); 0: the ring is free.
        file: AtomicU64,
        /// What the file held when it was last read (a hash).
        content: AtomicU64,
        writing: RobustLock,
        banks: [Bank; 2],
    }
}

/// The key ring, as one process sees it.
#[derive(Clone)]
pub struct Tickets {
    ring: Region<KeyRing>,
}

impl Tickets {
    /// Bytes of shared memory for one key ring.
    pub fn bytes_needed() -> usize {
        size_of::<KeyRing>()
    }

    /// Takes up the key ring at the start of a region. The first to do so (the master, before it forks) finds zeros and makes
    /// the first key. `None`: too small a region, memory of another version, or no randomness to be had.
    pub fn attach(region: &Region<AtomicU64>) -> Option<Tickets> {
        let tickets = Tickets { ring: region.cast(0, 1)? };
        let ring = tickets.ring.first()?;
        match ring.magic.load(Ordering::Acquire) {
            0 => {
                ring.writing.prepare().ok()?;
                tickets.write(&[random_key()?], 0).then_some(())?;
                ring.magic.store(MAGIC, Ordering::Release);
            }
            MAGIC => {}
            _ => return None,
        }
        Some(tickets)
    }

    /// Bytes of shared memory for the rings of so many files.
    pub fn bytes_for_files(files: usize) -> usize {
        files.next_multiple_of(FILE_GROUP) * size_of::<KeyRing>()
    }

    /// Takes up the rings of these files (hashes of their names), in order. A file keeps its ring over reloads; a new one gets
    /// a free ring, or that of a file nobody names any more.
    pub fn attach_files(region: &Region<AtomicU64>, files: &[u64]) -> Option<Vec<Tickets>> {
        let count = Self::bytes_for_files(files.len()) / size_of::<KeyRing>();
        let rings: Vec<Tickets> = (0..count)
            .map(|place| Some(Tickets { ring: region.cast(place * size_of::<KeyRing>(), 1)? }))
            .collect::<Option<_>>()?;
        let holds = |ring: &Tickets| ring.ring.first().map_or(0, |ring| ring.file.load(Ordering::Acquire));
        let mut taken = Vec::with_capacity(files.len());
        for file in files.iter().map(|file| (*file).max(1)) {
            let own = rings.iter().find(|ring| holds(ring) == file);
            let free = || rings.iter().find(|ring| holds(ring) == 0);
            let left = || rings.iter().find(|ring| !files.contains(&holds(ring)));
            let found = own.or_else(free).or_else(left)?;
            found.take_for(file)?;
            taken.push(found.clone());
        }
        Some(taken)
    }

    fn take_for(&self, file: u64) -> Option<()> {
        let ring = self.ring.first()?;
        match ring.magic.load(Ordering::Acquire) {
            0 => {
                ring.writing.prepare().ok()?;
                ring.magic.store(MAGIC, Ordering::Release);
            }
            MAGIC => {}
            _ => return None,
        }
        if ring.file.swap(file, Ordering::AcqRel) != file {
            ring.content.store(0, Ordering::Release);
        }
        Some(())
    }

    /// Puts the keys of a file in force, the last but one sealing, unless the file still says what it said when it was last
    /// read: keys given by a command since then stay.
    pub fn fill(&self, keys: &[TicketKey], content: u64) -> bool {
        let Some(ring) = self.ring.first() else { return false };
        if ring.content.load(Ordering::Acquire) == content.max(1) {
            return true;
        }
        let newest = keys.get(keys.len().saturating_sub(TICKET_KEYS_MAX)..).unwrap_or_default();
        let filled = self.write(newest, newest.len().saturating_sub(2));
        if filled {
            ring.content.store(content.max(1), Ordering::Release);
        }
        filled
    }

    /// Adds a key in place of the oldest. It opens tickets at once; the one before it, which all boxes should know by now,
    /// seals.
    pub fn push(&self, key: TicketKey) -> bool {
        let (mut keys, _) = self.keys();
        if !keys.is_empty() {
            keys.remove(0);
        }
        keys.push(key);
        self.write(&keys, keys.len().saturating_sub(2))
    }

    /// The key new tickets are sealed with.
    pub fn current(&self) -> Option<TicketKey> {
        self.read(|bank| {
            let count = (bank.count.load(Ordering::Relaxed) as usize).min(TICKET_KEYS_MAX);
            key(bank.keys.get(..count)?.get(bank.current.load(Ordering::Relaxed) as usize)?)
        })
    }

    /// The key of this name, and whether its tickets are to be replaced.
    pub fn find(&self, name: &[u8; 16]) -> Option<(TicketKey, TicketUse)> {
        self.read(|bank| {
            let count = (bank.count.load(Ordering::Relaxed) as usize).min(TICKET_KEYS_MAX);
            let current = bank.current.load(Ordering::Relaxed) as usize;
            let known = bank.keys.iter().take(count).enumerate();
            let (index, found) = known
                .filter_map(|(index, words)| Some((index, key(words)?)))
                .find(|(_, key)| key.name == *name)?;
            Some((found, if index == current { TicketUse::Use } else { TicketUse::Renew }))
        })
    }

    /// All keys, oldest first, and the index of the one that seals.
    pub fn keys(&self) -> (Vec<TicketKey>, usize) {
        let all = self.read(|bank| {
            let count = (bank.count.load(Ordering::Relaxed) as usize).min(TICKET_KEYS_MAX);
            let keys = bank.keys.iter().take(count).filter_map(key).collect();
            Some((keys, bank.current.load(Ordering::Relaxed) as usize))
        });
        all.unwrap_or_default()
    }

    /// Counts every change; 1 after the first key.
    pub fn generation(&self) -> u64 {
        self.ring.first().map_or(0, |ring| ring.generation.load(Ordering::Acquire))
    }

    /// A new random key seals from now on; the two before it still open. False when that was not possible.
    pub fn rotate(&self) -> bool {
        let Some(fresh) = random_key() else { return false };
        let (mut keys, _) = self.keys();
        keys.push(fresh);
        let keep = keys.len().saturating_sub(KEPT);
        let keys = keys.split_off(keep);
        self.write(&keys, keys.len() - 1)
    }

    /// Rotates when the last time was `every_s` seconds ago; 0: never. Of several processes that see it at once, one does it,
    /// and a reload does not begin the time anew.
    pub fn refresh(&self, now_s: u64, every_s: u32) -> bool {
        let Some(ring) = self.ring.first().filter(|_| every_s > 0) else { return false };
        let last = ring.rotated_s.load(Ordering::Acquire);
        let due = last == 0 || now_s.saturating_sub(last) >= u64::from(every_s);
        let mine =
            due && ring.rotated_s.compare_exchange(last, now_s, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        mine && last != 0 && self.rotate()
    }

    /// Puts these keys in force, `current` being the index of the one that seals. False when there is none or too many.
    pub fn set(&self, keys: &[TicketKey], current: usize) -> bool {
        self.write(keys, current)
    }

    fn read<R>(&self, look: impl Fn(&Bank) -> Option<R>) -> Option<R> {
        let ring = self.ring.first()?;
        for _ in 0..RETRIES {
            let before = ring.generation.load(Ordering::Acquire);
            let found = look(ring.banks.get(before as usize & 1)?);
            std::sync::atomic::fence(Ordering::Acquire);
            if ring.generation.load(Ordering::Relaxed) == before {
                return found;
            }
        }
        None
    }

    fn write(&self, keys: &[TicketKey], current: usize) -> bool {
        let Some(ring) = self.ring.first() else { return false };
        if current >= keys.len() || keys.len() > TICKET_KEYS_MAX {
            return false;
        }
        let Ok(_held) = ring.writing.take(PATIENCE) else { return false };
        let next = ring.generation.load(Ordering::Acquire) + 1;
        let Some(bank) = ring.banks.get(next as usize & 1) else { return false };
        // A reader that sees one of the stores below also sees that its generation has passed.
        std::sync::atomic::fence(Ordering::Release);
        for (words, key) in bank.keys.iter().zip(keys) {
            let (name, rest) = words.split_at(2);
            let (aes, rest) = rest.split_at(4);
            let (hmac, short) = rest.split_at(4);
            store_bytes(name, &key.name);
            store_bytes(aes, &key.aes);
            store_bytes(hmac, &key.hmac);
            store_bytes(short, &[u8::from(key.short)]);
        }
        bank.count.store(keys.len() as u64, Ordering::Relaxed);
        bank.current.store(current as u64, Ordering::Relaxed);
        ring.generation.store(next, Ordering::Release);
        true
    }
}

fn key(words: &[AtomicU64; KEY_WORDS]) -> Option<TicketKey> {
    let mut key = TicketKey { name: [0; 16], aes: [0; 32], hmac: [0; 32], short: false };
    let mut short = [0u8];
    let whole = load_bytes(words.get(..2)?, &mut key.name)
        && load_bytes(words.get(2..6)?, &mut key.aes)
        && load_bytes(words.get(6..10)?, &mut key.hmac)
        && load_bytes(words.get(10..)?, &mut short);
    key.short = short != [0];
    whole.then_some(key)
}

fn random_key() -> Option<TicketKey> {
    let mut key = TicketKey { name: [0; 16], aes: [0; 32], hmac: [0; 32], short: false };
    for room in [key.name.as_mut_slice(), key.aes.as_mut_slice(), key.hmac.as_mut_slice()] {
        openssl::rand::rand_bytes(room).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lighterman_sys::fork::fork_alone;

    fn region() -> Region<AtomicU64> {
        Region::alone(Tickets::bytes_needed().div_ceil(8)).unwrap()
    }

    #[test]
    fn keys_rotate_and_stay_for_a_while() {
        let region = region();
        let tickets = Tickets::attach(&region).unwrap();
        assert_eq!(tickets.generation(), 1);
        let first = tickets.current().unwrap();
        assert_eq!(tickets.find(&first.name), Some((first.clone(), TicketUse::Use)));
        let child = fork_alone(|| {
            let Some(theirs) = Tickets::attach(&region) else { return 1 };
            i32::from(!(theirs.current() == tickets.current() && theirs.rotate() && theirs.rotate()))
        });
        assert!(child.unwrap().wait().unwrap().success());
        assert_eq!(tickets.generation(), 3);
        assert_eq!(tickets.find(&first.name), Some((first.clone(), TicketUse::Renew)), "two generations old");
        assert_ne!(tickets.current().unwrap(), first);
        assert!(tickets.rotate());
        assert_eq!(tickets.find(&first.name), None, "three generations old");
        assert_eq!(tickets.keys().0.len(), 3);
        assert_eq!(tickets.keys().1, 2);
        assert_eq!(tickets.find(&[0; 16]), None);
    }

    #[test]
    fn keys_rotate_on_time() {
        let tickets = Tickets::attach(&region()).unwrap();
        let first = tickets.current();
        for (now_s, rotates) in
            [(1000, false), (1099, false), (1100, true), (1101, false), (1300, true), (1300, false)]
        {
            assert_eq!(tickets.refresh(now_s, 100), rotates, "{now_s}");
        }
        assert_eq!(tickets.generation(), 3);
        assert_ne!(tickets.current(), first);
        assert!(!tickets.refresh(9000, 0), "never");
    }

    #[test]
    fn keys_can_be_given() {
        let tickets = Tickets::attach(&region()).unwrap();
        let key = |n: u8| TicketKey { name: [n; 16], aes: [n; 32], hmac: [n + 1; 32], short: n == 2 };
        let keys: Vec<TicketKey> = (0..8).map(key).collect();
        assert!(tickets.set(&keys, 6));
        assert_eq!(tickets.keys(), (keys.clone(), 6));
        assert_eq!(tickets.current(), Some(key(6)));
        assert_eq!(tickets.find(&[2; 16]), Some((key(2), TicketUse::Renew)));
        assert_eq!(tickets.find(&[7; 16]), Some((key(7), TicketUse::Renew)), "newer than the current one");
        let nine: Vec<TicketKey> = (0..9).map(key).collect();
        assert!(!tickets.set(&[], 0) && !tickets.set(&keys, 8) && !tickets.set(&nine, 0));
        assert_eq!(tickets.keys(), (keys, 6), "a refused change changes nothing");
        assert!(format!("{:?}", key(3)).len() < 60, "no key bytes in logs");
    }

    #[test]
    fn files_keep_their_rings() {
        let key = |n: u8| TicketKey { name: [n; 16], aes: [n; 32], hmac: [n; 32], short: false };
        let keys: Vec<TicketKey> = (1..=3).map(key).collect();
        let region = Region::alone(Tickets::bytes_for_files(2).div_ceil(8)).unwrap();
        let rings = Tickets::attach_files(&region, &[7, 8]).unwrap();
        assert!(rings[1].fill(&keys, 99));
        assert_eq!(rings[1].current(), Some(key(2)), "the last but one seals");
        assert_eq!(rings[0].current(), None);
        assert!(rings[1].push(key(4)));
        assert_eq!(rings[1].keys(), ((2..=4).map(key).collect(), 1));
        // a reload with another order of files, one of them gone, one new
        let again = Tickets::attach_files(&region, &[8, 9]).unwrap();
        assert!(again[0].fill(&keys, 99));
        assert_eq!(again[0].current(), Some(key(3)), "the file has not changed: what a command gave stays");
        assert!(again[0].fill(&keys, 100));
        assert_eq!(again[0].keys(), (keys.clone(), 1), "the file has changed");
        assert_eq!(again[1].current(), None);
        let many: Vec<TicketKey> = (1..=20).map(key).collect();
        assert!(again[1].fill(&many, 5));
        assert_eq!(again[1].current(), Some(key(19)), "more than there is room for: the newest count");
        for round in 0u64..40 {
            assert!(Tickets::attach_files(&region, &[8, 100 + round]).is_some(), "{round}");
        }
        assert_eq!(Tickets::attach_files(&region, &[8]).unwrap()[0].current(), Some(key(2)));
    }

    #[test]
    fn a_writer_that_dies_changes_nothing() {
        let region = region();
        let tickets = Tickets::attach(&region).unwrap();
        let before = tickets.keys();
        let child = fork_alone(|| {
            let ring = &tickets.ring[0];
            let _held = ring.writing.take(PATIENCE);
            store_bytes(&ring.banks[0].keys[0], &[9; 80]);
            lighterman_sys::fork::exit_now(0)
        });
        child.unwrap().wait().unwrap();
        assert_eq!(tickets.keys(), before);
        assert!(tickets.rotate());
        assert_eq!(tickets.keys().0.len(), 2);
        region[0].store(77, Ordering::SeqCst);
        assert!(Tickets::attach(&region).is_none(), "another version");
    }
}
