//! The buffers of one process: free lists per size, a limit on the whole, and who waits when it is reached.
//!
//! Three sizes: `tune.bufsize` (16 KB by default), four and sixteen times that, for connections that fill
//! what they have. Getting and putting are O(1) and wipe nothing. The worker calls [`Pool::trim`] about
//! once a second, which frees what was not needed since the last call, and wakes [`Pool::next_waiter`]s
//! after each turn.

use std::collections::{HashSet, VecDeque};

use super::buffer::Buffer;
use super::ids::TaskId;

/// How many sizes of buffers there are.
pub const SIZES: usize = 3;

/// The factor from one size to the next.
const STEP: usize = 4;

/// Size of a buffer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Size {
    /// `tune.bufsize`: where everything starts.
    Small = 0,
    /// Four times that: a connection filled a small one.
    Medium = 1,
    /// Sixteen times that: bulk transfer.
    Large = 2,
}

impl Size {
    /// The next larger size.
    pub fn larger(self) -> Option<Size> {
        match self {
            Size::Small => Some(Size::Medium),
            Size::Medium => Some(Size::Large),
            Size::Large => None,
        }
    }
}

/// Who is served first when buffers come back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitClass {
    /// A response that frees a server and a request buffer.
    Response = 0,
    /// A request in progress.
    Request = 1,
    /// New work.
    New = 2,
}

/// The buffers of a process.
#[derive(Debug)]
pub struct Pool {
    lists: [List; SIZES],
    waiters: [VecDeque<TaskId>; 3],
    /// All of them.
    waiting: HashSet<TaskId>,
    /// Bytes in buffers outside and in the lists.
    allocated: usize,
    limit: usize,
    failed: u64,
    /// A small buffer was denied since [`Pool::take_denied`] was asked last.
    denied: bool,
}

#[derive(Debug)]
struct List {
    bytes: usize,
    free: Vec<Buffer>,
    used: usize,
    /// The shortest the list has been since the last trim: what nobody needed.
    low: usize,
}

impl Pool {
    /// Buffers of `bufsize`, 4 x and 16 x that many bytes, never more than `limit` bytes together
    /// (at least a few small ones, so that the process can always finish something).
    pub fn new(bufsize: usize, limit: usize) -> Self {
        let list = |bytes| List { bytes, free: Vec::new(), used: 0, low: 0 };
        Pool {
            lists: [list(bufsize), list(bufsize * STEP), list(bufsize * STEP * STEP)],
            waiters: Default::default(),
            waiting: HashSet::new(),
            allocated: 0,
            limit: limit.max(bufsize * super::limits::POOL_MIN_BUFFERS),
            failed: 0,
            denied: false,
        }
    }

    /// Bytes in a buffer of this size.
    pub fn bytes(&self, size: Size) -> usize {
        self.lists[size as usize].bytes
    }

    /// An empty small buffer, or `None` when the limit is reached: then [`Pool::wait`].
    #[inline]
    pub fn get(&mut self) -> Option<Buffer> {
        self.sized(Size::Small)
    }

    /// An empty buffer of the given size. Large ones are denied early, small ones last.
    pub fn sized(&mut self, size: Size) -> Option<Buffer> {
        let list = &mut self.lists[size as usize];
        if let Some(buffer) = list.free.pop() {
            list.low = list.low.min(list.free.len());
            list.used += 1;
            return Some(buffer);
        }
        let bytes = list.bytes;
        // The last quarter is for small buffers: growth is a favour, progress is not.
        let limit = if size == Size::Small { self.limit } else { self.limit / 4 * 3 };
        if self.allocated + bytes > limit {
            self.drop_free(bytes);
            if self.allocated + bytes > limit {
                self.failed += 1;
                self.denied |= size == Size::Small;
                return None;
            }
        }
        self.allocated += bytes;
        self.lists[size as usize].used += 1;
        Some(Buffer::with_capacity(bytes))
    }

    /// Takes a buffer back, whatever is in it.
    #[inline]
    pub fn put(&mut self, mut buffer: Buffer) {
        let bytes = buffer.capacity();
        let Some(list) = self.lists.iter_mut().find(|list| list.bytes == bytes) else { return };
        buffer.clear();
        list.used = list.used.saturating_sub(1);
        list.free.push(buffer);
    }

    /// Gives the buffer of a holder back when it is empty.
    #[inline]
    pub fn put_if_empty(&mut self, holder: &mut Option<Buffer>) {
        if holder.as_ref().is_some_and(Buffer::is_empty) {
            if let Some(buffer) = holder.take() {
                self.put(buffer);
            }
        }
    }

    /// Exchanges `buffer` for one of the next size with the same readable bytes. Returns false and
    /// changes nothing when it is the largest already or the pool has none to give.
    pub fn grow(&mut self, buffer: &mut Buffer) -> bool {
        let Some(size) = self.size_of(buffer).and_then(Size::larger) else { return false };
        let Some(mut larger) = self.sized(size) else { return false };
        larger.push(buffer.readable());
        self.put(std::mem::replace(buffer, larger));
        true
    }

    /// The size of a buffer of this pool.
    pub fn size_of(&self, buffer: &Buffer) -> Option<Size> {
        [Size::Small, Size::Medium, Size::Large]
            .into_iter()
            .find(|size| self.bytes(*size) == buffer.capacity())
    }

    /// Whether anybody was denied a small buffer since the last call: whoever runs now must wait for one.
    #[inline]
    pub fn take_denied(&mut self) -> bool {
        std::mem::replace(&mut self.denied, false)
    }

    /// Remembers that `who` needs a buffer; it is named by [`Pool::next_waiter`] when there is one. A task
    /// that waits already keeps its place.
    pub fn wait(&mut self, who: TaskId, class: WaitClass) {
        if self.waiting.insert(who) {
            self.waiters[class as usize].push_back(who);
        }
    }

    /// The next task that waits while there is a buffer for it: responses before requests before new work.
    /// Each call counts on one buffer being taken, so a caller stops after as many as [`Pool::spare`] said.
    pub fn next_waiter(&mut self) -> Option<TaskId> {
        if self.spare() == 0 {
            return None;
        }
        let next = self.waiters.iter_mut().find_map(VecDeque::pop_front)?;
        self.waiting.remove(&next);
        Some(next)
    }

    /// Whether any task waits.
    #[inline]
    pub fn is_wanted(&self) -> bool {
        self.waiters.iter().any(|queue| !queue.is_empty())
    }

    /// How many small buffers could be had now.
    pub fn spare(&self) -> usize {
        let small = &self.lists[0];
        let others: usize = self.lists.iter().map(|list| list.free.len() * list.bytes).sum();
        (self.limit.saturating_sub(self.allocated) + others) / small.bytes
    }

    /// Frees what was not needed since the last call: all of it when nothing is in use, else half.
    pub fn trim(&mut self) {
        let idle = self.lists.iter().all(|list| list.used == 0);
        for list in &mut self.lists {
            let surplus = if idle { list.low } else { list.low / 2 };
            list.free.truncate(list.free.len() - surplus.min(list.free.len()));
            if list.free.is_empty() {
                list.free.shrink_to_fit();
            }
            self.allocated -= surplus * list.bytes;
            list.low = list.free.len();
        }
    }

    /// Bytes in all buffers, used and free.
    pub fn allocated_bytes(&self) -> usize {
        self.allocated
    }

    /// Whether some are kept that nobody holds.
    #[inline]
    pub fn has_free(&self) -> bool {
        self.lists.iter().any(|list| !list.free.is_empty())
    }

    /// Bytes in buffers that somebody holds.
    pub fn used_bytes(&self) -> usize {
        self.lists.iter().map(|list| list.used * list.bytes).sum()
    }

    /// How often a buffer was denied.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Frees unused buffers of any size until `bytes` are gained or none is left.
    fn drop_free(&mut self, bytes: usize) {
        let mut gained = 0;
        for list in self.lists.iter_mut().rev() {
            while gained < bytes && list.free.pop().is_some() {
                gained += list.bytes;
                list.low = list.low.min(list.free.len());
            }
        }
        self.allocated -= gained;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::arena::Id;

    #[test]
    fn reuses_and_trims() {
        let mut pool = Pool::new(1024, 1 << 20);
        let held: Vec<Buffer> = (0..8).map(|_| pool.get().unwrap()).collect();
        assert_eq!(pool.used_bytes(), 8 * 1024);
        held.into_iter().for_each(|buffer| pool.put(buffer));
        assert_eq!((pool.used_bytes(), pool.allocated_bytes()), (0, 8 * 1024));
        pool.trim();
        assert_eq!(pool.allocated_bytes(), 8 * 1024, "all were needed since the last trim");
        pool.trim();
        assert_eq!(pool.allocated_bytes(), 0);
    }

    #[test]
    fn growing_keeps_the_bytes() {
        let mut pool = Pool::new(1024, 1 << 20);
        let mut buffer = pool.get().unwrap();
        buffer.push(b"0123456789");
        buffer.consume(3);
        for capacity in [4096, 16384] {
            assert!(pool.grow(&mut buffer));
            assert_eq!((buffer.readable(), buffer.capacity()), (&b"3456789"[..], capacity));
        }
        assert!(!pool.grow(&mut buffer));
        assert_eq!(pool.used_bytes(), 16384);
    }

    #[test]
    fn the_last_quarter_is_for_small_ones() {
        let mut pool = Pool::new(1024, 64 * 1024);
        let large: Vec<Buffer> = std::iter::from_fn(|| pool.sized(Size::Large)).collect();
        assert_eq!(large.len(), 3);
        let small: Vec<Buffer> = std::iter::from_fn(|| pool.get()).collect();
        assert_eq!(small.len(), 16);
        assert_eq!(pool.failed(), 2);
    }

    #[test]
    fn free_large_ones_make_room_for_small_ones() {
        let mut pool = Pool::new(1024, 64 * 1024);
        let large: Vec<Buffer> = std::iter::from_fn(|| pool.sized(Size::Large)).collect();
        large.into_iter().for_each(|buffer| pool.put(buffer));
        assert_eq!(std::iter::from_fn(|| pool.get()).count(), 64);
    }

    #[test]
    fn waiters_come_by_class() {
        let mut pool = Pool::new(1024, 16 * 1024);
        let mut held: Vec<Buffer> = std::iter::from_fn(|| pool.get()).collect();
        let task = |n| Id::new(n, 0);
        pool.wait(task(1), WaitClass::New);
        pool.wait(task(2), WaitClass::Response);
        pool.wait(task(3), WaitClass::Request);
        assert_eq!(pool.next_waiter(), None);
        pool.put(held.pop().unwrap());
        assert_eq!(pool.spare(), 1);
        let order: Vec<TaskId> = std::iter::from_fn(|| pool.next_waiter()).collect();
        assert_eq!(order, [task(2), task(3), task(1)]);
        assert!(!pool.is_wanted());
    }

    #[test]
    fn foreign_buffers_are_not_kept() {
        let mut pool = Pool::new(1024, 1 << 20);
        pool.put(Buffer::with_capacity(100));
        assert_eq!(pool.allocated_bytes(), 0);
    }
}
