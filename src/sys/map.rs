//! Memory shared between processes: one mapping, seen as typed slices of atomics.
//!
//! Why unsafe: a mapping is raw memory that other processes write at any time. What makes it sound: a [`Region`] only
//! gives out types that are [`Plain`], made of atomics and nothing else, so that every bit pattern is a value and every
//! access is atomic; bounds and alignment are checked when the region is cut; the mapping lives as long as its last region.

use std::marker::PhantomData;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{
    AtomicI16, AtomicI32, AtomicI64, AtomicI8, AtomicU16, AtomicU32, AtomicU64, AtomicU8, AtomicUsize,
    Ordering,
};
use std::sync::Arc;
use std::{io, mem};

/// A type that may live in memory shared between processes.
///
/// # Safety
/// All zero bytes and every other bit pattern are values of it; it holds no pointer, reference or destructor; and it
/// changes only through atomics (or through calls of the system that synchronise by themselves). Write structures with
/// [`shm_struct!`](crate::shm_struct), which proves this field by field.
pub unsafe trait Plain: Sync + 'static {}

macro_rules! plain {
    ($($t:ty),*) => { $(
        // SAFETY: an atomic integer has no invalid bit pattern and only changes atomically.
        unsafe impl Plain for $t {}
    )* };
}
plain!(AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, AtomicI8, AtomicI16, AtomicI32, AtomicI64);

// SAFETY: an array of plain values is nothing but these values.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// Declares structures for shared memory: `repr(C)`, every field [`Plain`](crate::map::Plain), checked at compile time.
///
/// ```
/// use std::sync::atomic::{AtomicU32, AtomicU64};
/// lighterman_sys::shm_struct! {
///     /// One counter line.
///     pub struct Line { pub hits: AtomicU64, pub seen: [AtomicU32; 4] }
/// }
/// ```
#[macro_export]
macro_rules! shm_struct {
    ($(
        $(#[$meta:meta])*
        $vis:vis struct $name:ident { $( $(#[$fmeta:meta])* $fvis:vis $field:ident : $ty:ty ),* $(,)? }
    )*) => { $(
        $(#[$meta])*
        #[repr(C)]
        $vis struct $name { $( $(#[$fmeta])* $fvis $field: $ty ),* }

        // SAFETY: every field is Plain, proved by the constant below.
        unsafe impl $crate::map::Plain for $name {}

        const _: () = {
            const fn plain<T: $crate::map::Plain>() {}
            $( plain::<$ty>(); )*
        };
    )* };
}

/// One stretch of memory that all processes which inherit or receive it see alike. Starts as zeros.
pub struct Mapping {
    at: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is only reachable through `Region`, which gives out Sync types only.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `len` bytes (rounded up to pages) shared with the children that are forked from now on.
    pub fn anonymous(len: usize) -> io::Result<Arc<Mapping>> {
        Self::map(len, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1)
    }

    /// `len` bytes behind a descriptor which can be passed to a process that is not a child (see [`crate::fds`]).
    pub fn with_fd(name: &str, len: usize) -> io::Result<(Arc<Mapping>, OwnedFd)> {
        let name = std::ffi::CString::new(name)?;
        let fd = nix::sys::memfd::memfd_create(name.as_c_str(), nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?;
        nix::unistd::ftruncate(&fd, round_up(len)? as libc::off_t)?;
        Ok((Self::of_fd(fd.as_fd())?, fd))
    }

    /// The memory behind a descriptor made by [`Mapping::with_fd`], in whole.
    pub fn of_fd(fd: BorrowedFd<'_>) -> io::Result<Arc<Mapping>> {
        let size = nix::sys::stat::fstat(fd)?.st_size;
        let len = usize::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        Self::map(len, libc::MAP_SHARED, fd.as_raw_fd())
    }

    fn map(len: usize, flags: libc::c_int, fd: libc::c_int) -> io::Result<Arc<Mapping>> {
        let len = round_up(len)?;
        // SAFETY: a fresh mapping at an address of the kernel's choice touches no memory we know of.
        let at = unsafe {
            libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, fd, 0)
        };
        match NonNull::new(at.cast::<u8>()) {
            Some(ptr) if at != libc::MAP_FAILED => Ok(Arc::new(Mapping { at: ptr, len })),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Bytes mapped: what was asked for, rounded up to whole pages.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is mapped (never: a mapping has at least a page).
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// `count` values of `T` starting `offset` bytes in; `None` when they do not fit or are not aligned.
    pub fn region<T: Plain>(self: &Arc<Self>, offset: usize, count: usize) -> Option<Region<T>> {
        let bytes = count.checked_mul(mem::size_of::<T>())?;
        if offset.checked_add(bytes)? > self.len || !offset.is_multiple_of(mem::align_of::<T>()) {
            return None;
        }
        // SAFETY: offset is within the mapping, checked above.
        let at = unsafe { self.at.add(offset) }.cast::<T>();
        Some(Region { at, count, keep: Arc::clone(self), of: PhantomData })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is the mapping made in `map`, and the last region of it is gone (each holds an Arc).
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.len) };
    }
}

/// A slice of `T` in a [`Mapping`]; keeps the mapping alive. Cloning gives another view of the same memory.
pub struct Region<T: Plain> {
    at: NonNull<T>,
    count: usize,
    keep: Arc<Mapping>,
    of: PhantomData<T>,
}

// SAFETY: a region is a shared reference to `[T]`, and `T: Plain` is Sync.
unsafe impl<T: Plain> Send for Region<T> {}
// SAFETY: as above.
unsafe impl<T: Plain> Sync for Region<T> {}

impl<T: Plain> Region<T> {
    /// `count` zeroed values in a mapping of their own: for tests and single processes.
    pub fn alone(count: usize) -> io::Result<Region<T>> {
        let bytes = count.saturating_mul(mem::size_of::<T>());
        Mapping::anonymous(bytes)?
            .region(0, count)
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
    }

    /// The part `[from, from + count)` of this region, counted in values.
    pub fn part(&self, from: usize, count: usize) -> Option<Region<T>> {
        if from.checked_add(count)? > self.count {
            return None;
        }
        // SAFETY: `from` is within the region, checked above.
        let at = unsafe { self.at.add(from) };
        Some(Region { at, count, keep: Arc::clone(&self.keep), of: PhantomData })
    }

    /// The same memory from byte `offset` of this region on, read as `count` values of another type.
    pub fn cast<U: Plain>(&self, offset: usize, count: usize) -> Option<Region<U>> {
        let start = self.at.as_ptr() as usize - self.keep.at.as_ptr() as usize;
        let end = offset.checked_add(count.checked_mul(mem::size_of::<U>())?)?;
        if end > self.count * mem::size_of::<T>() {
            return None;
        }
        self.keep.region(start + offset, count)
    }
}

impl<T: Plain> Clone for Region<T> {
    fn clone(&self) -> Self {
        Region { at: self.at, count: self.count, keep: Arc::clone(&self.keep), of: PhantomData }
    }
}

impl<T: Plain> Deref for Region<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `count` values at `at` lie inside the mapping that `keep` holds; `T` is Plain: valid whatever is there.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.count) }
    }
}

impl<T: Plain> std::fmt::Debug for Region<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Region[{} x {}]", self.count, mem::size_of::<T>())
    }
}

/// Writes `bytes` into words of shared memory (little end first, the last word padded with zeros); returns the words used,
/// or `None` when they do not fit. Relaxed: the caller's lock or sequence number orders it.
pub fn store_bytes(words: &[AtomicU64], bytes: &[u8]) -> Option<usize> {
    let used = bytes.len().div_ceil(8);
    let room = words.get(..used)?;
    for (word, chunk) in room.iter().zip(bytes.chunks(8)) {
        let mut raw = [0u8; 8];
        for (to, from) in raw.iter_mut().zip(chunk) {
            *to = *from;
        }
        word.store(u64::from_le_bytes(raw), Ordering::Relaxed);
    }
    Some(used)
}

/// Reads what [`store_bytes`] wrote into all of `into`; false when the words do not hold as many bytes.
pub fn load_bytes(words: &[AtomicU64], into: &mut [u8]) -> bool {
    let Some(from) = words.get(..into.len().div_ceil(8)) else { return false };
    for (chunk, word) in into.chunks_mut(8).zip(from) {
        let raw = word.load(Ordering::Relaxed).to_le_bytes();
        for (to, from) in chunk.iter_mut().zip(raw) {
            *to = from;
        }
    }
    true
}

fn round_up(len: usize) -> io::Result<usize> {
    const PAGE: usize = 4096;
    match len.max(1).checked_next_multiple_of(PAGE) {
        Some(rounded) if rounded <= isize::MAX as usize => Ok(rounded),
        _ => Err(io::Error::from(io::ErrorKind::OutOfMemory)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    shm_struct! {
        struct Cell { hits: AtomicU64, low: AtomicU32, tail: [AtomicU8; 4] }
    }

    #[test]
    fn regions_are_checked_and_shared_with_children() {
        let map = Mapping::anonymous(8192).unwrap();
        let cells = map.region::<Cell>(16, 8).unwrap();
        assert!(map.region::<Cell>(3, 1).is_none(), "alignment");
        assert!(map.region::<Cell>(0, 513).is_none(), "size");
        assert!(map.region::<Cell>(usize::MAX - 7, usize::MAX).is_none(), "overflow");
        assert!(cells.part(7, 2).is_none() && cells.part(usize::MAX, 2).is_none());
        let child = crate::fork::fork_alone(|| {
            cells[3].hits.store(77, Ordering::SeqCst);
            0
        })
        .unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(cells[3].hits.load(Ordering::SeqCst), 77);
        assert_eq!(cells.cast::<AtomicU64>(3 * 16, 1).unwrap()[0].load(Ordering::SeqCst), 77);
        assert!(cells.cast::<AtomicU64>(8 * 16, 1).is_none());
        assert_eq!(
            cells[3].low.load(Ordering::SeqCst) + u32::from(cells[3].tail[0].load(Ordering::SeqCst)),
            0
        );
    }

    #[test]
    fn a_descriptor_carries_the_memory() {
        let (map, fd) = Mapping::with_fd("lm-test", 100).unwrap();
        let again = Mapping::of_fd(fd.as_fd()).unwrap();
        map.region::<AtomicU32>(0, 1).unwrap()[0].store(9, Ordering::SeqCst);
        assert_eq!(again.region::<AtomicU32>(0, 1).unwrap()[0].load(Ordering::SeqCst), 9);
        assert_eq!(again.len(), 4096);
    }

    #[test]
    fn bytes_go_through_words() {
        let words = Region::<AtomicU64>::alone(3).unwrap();
        for len in [0usize, 1, 7, 8, 9, 23, 24] {
            let bytes: Vec<u8> = (1..=len as u8).collect();
            assert_eq!(store_bytes(&words, &bytes), Some(len.div_ceil(8)));
            let mut back = vec![0; len];
            assert!(load_bytes(&words, &mut back));
            assert_eq!(back, bytes);
        }
        assert_eq!(store_bytes(&words, &[0; 25]), None);
        assert!(!load_bytes(&words, &mut [0; 25]));
    }
}
