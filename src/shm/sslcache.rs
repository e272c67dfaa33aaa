//! TLS sessions by id, shared by all workers: what one of them negotiated, every other resumes.
//!
//! Written and asked by net/tls for sessions that no ticket carries. The memory is fixed when it is made
//! (`tune.ssl.cachesize` blocks of 200 bytes) and split into shards, each with a robust lock, a ring of entries and an index of
//! buckets. New entries overwrite the oldest of their shard, so nothing is ever searched for room or freed; an index slot is
//! valid only while its entry has not been overwritten, which its position tells. Lifetimes are the TLS library's matter: it
//! looks at the time inside a session before it resumes it.
//!
//! Nobody waits long: a lock that is not to be had within a millisecond is a miss, or a session not stored. A process that dies
//! inside a shard costs that shard's sessions and nothing else.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lighterman_sys::lock::{RobustLock, Taken};
use lighterman_sys::map::{load_bytes, store_bytes, Region};
use lighterman_sys::shm_struct;

/// What a session is reckoned to need; larger ones take the room of several.
const BLOCK: usize = 200;
/// The longest id TLS allows.
const ID_MAX: usize = 32;
/// Words in front of an entry's bytes: lengths, then the id.
const ENTRY_HEAD: usize = 1 + ID_MAX / 8;
const BUCKET: usize = 8;
const SHARDS_MAX: usize = 64;
const PATIENCE: Duration = Duration::from_millis(1);
/// Changes with the layout: memory of another version is not attached.
const MAGIC: u64 = 0x6c6d_7373_6c63_0001;

shm_struct! {
    struct Header {
        magic: AtomicU64,
        blocks: AtomicU64,
        rest: [AtomicU64; 6],
    }

    /// Padded to two cache lines, so that shards do not disturb each other.
    struct Shard {
        lock: RobustLock,
        /// Words ever written to the ring; the next entry begins here.
        head: AtomicU64,
        lookups: AtomicU64,
        misses: AtomicU64,
        stored: AtomicU64,
        resets: AtomicU64,
        rest: [AtomicU64; 5],
    }
}

/// Sizes that follow from the number of blocks, all powers of two or sums of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    shards: usize,
    /// Index slots of a shard.
    slots: usize,
    /// Words in the ring of a shard.
    ring: usize,
}

impl Shape {
    fn of(blocks: usize) -> Shape {
        let shards = (blocks / 256).clamp(1, SHARDS_MAX).next_power_of_two().min(SHARDS_MAX);
        let each = blocks.div_ceil(shards).max(32);
        Shape { shards, slots: (2 * each).next_power_of_two(), ring: each * BLOCK / 8 }
    }

    fn heads_at(&self) -> usize {
        size_of::<Header>()
    }

    fn index_at(&self) -> usize {
        self.heads_at() + self.shards * size_of::<Shard>()
    }

    fn rings_at(&self) -> usize {
        self.index_at() + self.shards * self.slots * 8
    }

    fn bytes(&self) -> usize {
        self.rings_at() + self.shards * self.ring * 8
    }
}

/// Sums over all shards since the memory was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SslCacheStats {
    /// Sessions asked for.
    pub lookups: u64,
    /// Of these, not found.
    pub misses: u64,
    /// Sessions stored.
    pub stored: u64,
    /// Shards emptied because a process died inside.
    pub resets: u64,
}

/// The cache, as one process sees it.
#[derive(Clone)]
pub struct SslCache {
    shape: Shape,
    shards: Region<Shard>,
    index: Region<AtomicU64>,
    rings: Region<AtomicU64>,
}

impl SslCache {
    /// Bytes of shared memory for `blocks` (`tune.ssl.cachesize`); 0 for none.
    pub fn bytes_needed(blocks: usize) -> usize {
        if blocks == 0 {
            0
        } else {
            Shape::of(blocks).bytes()
        }
    }

    /// Takes up the cache in a region of [`SslCache::bytes_needed`] bytes. The first to do so (the master, before it forks)
    /// finds zeros and prepares it. `None`: no blocks, too small a region, or memory of another shape or version.
    pub fn attach(region: &Region<AtomicU64>, blocks: usize) -> Option<SslCache> {
        if blocks == 0 {
            return None;
        }
        let shape = Shape::of(blocks);
        let headers = region.cast::<Header>(0, 1)?;
        let cache = SslCache {
            shape,
            shards: region.cast(shape.heads_at(), shape.shards)?,
            index: region.cast(shape.index_at(), shape.shards * shape.slots)?,
            rings: region.cast(shape.rings_at(), shape.shards * shape.ring)?,
        };
        let header = headers.first()?;
        match header.magic.load(Ordering::Acquire) {
            0 => {
                for shard in cache.shards.iter() {
                    shard.lock.prepare().ok()?;
                    shard.head.store(shape.ring as u64, Ordering::Relaxed);
                }
                header.blocks.store(blocks as u64, Ordering::Relaxed);
                header.magic.store(MAGIC, Ordering::Release);
            }
            MAGIC if header.blocks.load(Ordering::Relaxed) == blocks as u64 => {}
            _ => return None,
        }
        Some(cache)
    }

    /// Keeps a session. False when it was too large or its shard was busy.
    pub fn store(&self, id: &[u8], session: &[u8]) -> bool {
        let words = ENTRY_HEAD + session.len().div_ceil(8);
        if id.is_empty() || id.len() > ID_MAX || words > self.shape.ring / 4 {
            return false;
        }
        let hash = hash(id);
        let Some((shard, _held)) = self.enter(hash) else { return false };
        let Some(ring) = self.ring(hash) else { return false };
        let mut start = shard.head.load(Ordering::Relaxed);
        let at = (start % self.shape.ring as u64) as usize;
        if at + words > self.shape.ring {
            start += (self.shape.ring - at) as u64;
        }
        // Before the first byte: from here on the entries that are overwritten do not count any more.
        shard.head.store(start + words as u64, Ordering::Relaxed);
        let at = (start % self.shape.ring as u64) as usize;
        let Some((lengths, rest)) = ring.get(at..at + words).and_then(|entry| entry.split_first()) else {
            return false;
        };
        lengths.store((id.len() as u64) << 32 | session.len() as u64, Ordering::Relaxed);
        let (for_id, for_bytes) = rest.split_at(ENTRY_HEAD - 1);
        if store_bytes(for_id, id).is_none() || store_bytes(for_bytes, session).is_none() {
            return false;
        }
        self.remember(hash, shard, start);
        shard.stored.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// The session with this id, if it is there.
    pub fn find(&self, id: &[u8]) -> Option<Vec<u8>> {
        let hash = hash(id);
        let (shard, _held) = self.enter(hash)?;
        shard.lookups.fetch_add(1, Ordering::Relaxed);
        let found = self.slots(hash).iter().find_map(|slot| {
            let at = self.position(slot.load(Ordering::Relaxed), hash, shard)?;
            self.read(hash, at, id)
        });
        if found.is_none() {
            shard.misses.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    /// Whether a session with this id seems to be there. Not counted as a lookup.
    pub fn holds(&self, id: &[u8]) -> bool {
        if id.is_empty() {
            return false;
        }
        let hash = hash(id);
        let Some((shard, _held)) = self.enter(hash) else { return false };
        self.slots(hash).iter().any(|slot| {
            let at = self.position(slot.load(Ordering::Relaxed), hash, shard);
            at.is_some_and(|at| self.read(hash, at, id).is_some())
        })
    }

    /// Forgets the session with this id.
    pub fn remove(&self, id: &[u8]) {
        let hash = hash(id);
        let Some((shard, _held)) = self.enter(hash) else { return };
        for slot in self.slots(hash) {
            let known = self.position(slot.load(Ordering::Relaxed), hash, shard);
            if known.is_some_and(|at| self.read(hash, at, id).is_some()) {
                slot.store(0, Ordering::Relaxed);
            }
        }
    }

    /// Sums over the shards.
    pub fn stats(&self) -> SslCacheStats {
        let mut sum = SslCacheStats::default();
        for shard in self.shards.iter() {
            sum.lookups += shard.lookups.load(Ordering::Relaxed);
            sum.misses += shard.misses.load(Ordering::Relaxed);
            sum.stored += shard.stored.load(Ordering::Relaxed);
            sum.resets += shard.resets.load(Ordering::Relaxed);
        }
        sum
    }

    /// Locks the shard of a hash; after a death inside it is emptied first.
    fn enter(&self, hash: u64) -> Option<(&Shard, Taken<'_>)> {
        let number = self.shard(hash);
        let shard = self.shards.get(number)?;
        let held = shard.lock.take(PATIENCE).ok()?;
        if held.recovered() {
            let slots = self.index.get(number * self.shape.slots..(number + 1) * self.shape.slots)?;
            slots.iter().for_each(|slot| slot.store(0, Ordering::Relaxed));
            shard.resets.fetch_add(1, Ordering::Relaxed);
        }
        Some((shard, held))
    }

    fn shard(&self, hash: u64) -> usize {
        hash as usize & (self.shape.shards - 1)
    }

    fn ring(&self, hash: u64) -> Option<&[AtomicU64]> {
        let from = self.shard(hash) * self.shape.ring;
        self.rings.get(from..from + self.shape.ring)
    }

    fn slots(&self, hash: u64) -> &[AtomicU64] {
        let bucket = (hash >> 8) as usize & (self.shape.slots / BUCKET - 1);
        let from = self.shard(hash) * self.shape.slots + bucket * BUCKET;
        self.index.get(from..from + BUCKET).unwrap_or_default()
    }

    /// Where the entry of a slot begins, if the slot is of this hash and the entry still stands.
    fn position(&self, slot: u64, hash: u64, shard: &Shard) -> Option<usize> {
        if slot == 0 || (slot >> 32) != (hash >> 32) {
            return None;
        }
        let age = self.age(slot, shard);
        let start = shard.head.load(Ordering::Relaxed).checked_sub(age)?;
        (age <= self.shape.ring as u64).then(|| (start % self.shape.ring as u64) as usize)
    }

    /// Words written since the entry of a slot began. Counted in 32 bits, which no ring comes near to; a slot that old is
    /// found out by its id.
    fn age(&self, slot: u64, shard: &Shard) -> u64 {
        u64::from((shard.head.load(Ordering::Relaxed) as u32).wrapping_sub(slot as u32))
    }

    fn remember(&self, hash: u64, shard: &Shard, start: u64) {
        let oldest = self.slots(hash).iter().max_by_key(|slot| match slot.load(Ordering::Relaxed) {
            0 => u64::MAX,
            used => self.age(used, shard),
        });
        if let Some(slot) = oldest {
            slot.store((hash >> 32) << 32 | u64::from(start as u32), Ordering::Relaxed);
        }
    }

    fn read(&self, hash: u64, at: usize, id: &[u8]) -> Option<Vec<u8>> {
        let (lengths, rest) = self.ring(hash)?.get(at..)?.split_first()?;
        let lengths = lengths.load(Ordering::Relaxed);
        let (id_len, len) = ((lengths >> 32) as usize, lengths as u32 as usize);
        let mut known = [0u8; ID_MAX];
        if id_len != id.len() || len > self.shape.ring * 8 || !load_bytes(rest, &mut known) {
            return None;
        }
        if known.get(..id_len) != Some(id) {
            return None;
        }
        let mut session = vec![0; len];
        load_bytes(rest.get(ENTRY_HEAD - 1..)?, &mut session).then_some(session)
    }
}

/// Ids are random bytes of our own making; those of a client only ever look up. One multiplication spreads them.
fn hash(id: &[u8]) -> u64 {
    id.chunks(8).fold(0x9e37_79b9_7f4a_7c15, |sum, chunk| {
        let mut word = [0u8; 8];
        for (to, from) in word.iter_mut().zip(chunk) {
            *to = *from;
        }
        (sum ^ u64::from_le_bytes(word)).wrapping_mul(0xd6e8_feb8_6659_fd93).rotate_left(29)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lighterman_sys::fork::fork_alone;

    fn cache(blocks: usize) -> (Region<AtomicU64>, SslCache) {
        let region = Region::alone(SslCache::bytes_needed(blocks).div_ceil(8)).unwrap();
        let cache = SslCache::attach(&region, blocks).unwrap();
        (region, cache)
    }

    fn id(n: u32) -> [u8; 32] {
        let mut id = [n as u8; 32];
        id[..4].copy_from_slice(&n.to_le_bytes());
        id
    }

    #[test]
    fn sessions_cross_processes() {
        let (region, cache) = cache(100);
        let child = fork_alone(|| {
            let Some(mine) = SslCache::attach(&region, 100) else { return 1 };
            i32::from(!(mine.store(&id(1), b"a session") && mine.store(b"short", b"")))
        });
        assert!(child.unwrap().wait().unwrap().success());
        assert_eq!(cache.find(&id(1)).as_deref(), Some(b"a session".as_slice()));
        assert_eq!(cache.find(b"short").as_deref(), Some(b"".as_slice()));
        assert_eq!((cache.find(&id(2)), cache.find(b"")), (None, None));
        assert!(cache.store(&id(1), b"a newer one"));
        cache.remove(&id(1));
        cache.remove(&id(2));
        assert_eq!(cache.find(&id(1)), None, "old and new are both gone");
        assert_eq!(cache.stats(), SslCacheStats { lookups: 5, misses: 3, stored: 3, resets: 0 });
    }

    #[test]
    fn the_shape_is_checked() {
        let (region, _) = cache(1000);
        assert!(SslCache::attach(&region, 1000).is_some());
        assert!(SslCache::attach(&region, 900).is_none(), "another size");
        assert!(SslCache::attach(&region, 0).is_none());
        assert!(SslCache::attach(&Region::alone(100).unwrap(), 1000).is_none(), "too small");
        for blocks in [1, 31, 256, 1000, 20_000, 1_000_000] {
            let bytes = SslCache::bytes_needed(blocks);
            assert!(bytes < 5000 + blocks.max(64) * 260, "{blocks}: {bytes}");
            assert!(bytes >= blocks * BLOCK);
        }
        assert_eq!(SslCache::bytes_needed(0), 0);
    }

    #[test]
    fn the_oldest_make_room_for_the_newest() {
        let (_region, cache) = cache(2000);
        let bytes = [7u8; 150];
        for n in 0..20_000 {
            assert!(cache.store(&id(n), &bytes));
        }
        let kept = (0..20_000).filter(|n| cache.find(&id(*n)).is_some()).count();
        assert!((1600..2400).contains(&kept), "{kept} of about 2000 places are in use");
        let recent = (19_000..20_000).filter(|n| cache.find(&id(*n)).is_some()).count();
        assert!(recent > 990, "{recent} of the last 1000");
        assert!((0..15_000).all(|n| cache.find(&id(n)).is_none()));
    }

    #[test]
    fn sizes_are_mixed_and_bounded() {
        let (_region, cache) = cache(64);
        assert!(
            !cache.store(&id(1), &vec![1; 100_000])
                && !cache.store(&[1; 33], b"x")
                && !cache.store(b"", b"x")
        );
        let mut rng = crate::base::rng::Rng::from_seed(5);
        for n in 0..5000u32 {
            let len = rng.below(3000) as usize;
            let bytes: Vec<u8> = (0..len).map(|i| (n as usize + i) as u8).collect();
            assert!(cache.store(&id(n), &bytes), "{n}: {len}");
            assert_eq!(cache.find(&id(n)), Some(bytes));
        }
    }

    #[test]
    fn a_death_inside_empties_one_shard_only() {
        let (_region, cache) = cache(20_000);
        for n in 0..2000 {
            assert!(cache.store(&id(n), b"session"));
        }
        let shard = cache.shard(hash(&id(0)));
        let child = fork_alone(|| {
            let _held = cache.shards[shard].lock.take(Duration::from_secs(1));
            lighterman_sys::fork::exit_now(9)
        });
        child.unwrap().wait().unwrap();
        assert_eq!(cache.find(&id(0)), None);
        let (same, other): (Vec<u32>, Vec<u32>) =
            (0..2000).partition(|n| cache.shard(hash(&id(*n))) == shard);
        assert!(!same.is_empty() && same.iter().all(|n| cache.find(&id(*n)).is_none()));
        let found = other.iter().filter(|n| cache.find(&id(**n)).is_some()).count();
        assert!(found > other.len() * 99 / 100, "{found} of {}", other.len());
        assert!(cache.store(&id(0), b"again") && cache.find(&id(0)).is_some());
        assert_eq!(cache.stats().resets, 1);
    }

    #[test]
    fn a_standing_process_is_a_miss_not_a_wait() {
        let (_region, cache) = cache(100);
        assert!(cache.store(&id(1), b"session"));
        let inside = Region::<AtomicU64>::alone(1).unwrap();
        let child = fork_alone(|| {
            let _held = cache.shards[0].lock.take(Duration::from_secs(1));
            inside[0].store(1, Ordering::SeqCst);
            loop {
                std::thread::park();
            }
        })
        .unwrap();
        while inside[0].load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        assert_eq!(cache.find(&id(1)), None);
        assert!(!cache.store(&id(2), b"session"));
        child.kill(9).unwrap();
        child.wait().unwrap();
        assert!(cache.store(&id(2), b"session"));
    }
}
