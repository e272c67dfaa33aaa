//! A byte buffer that is linear and slides; it never wraps, because parsers want one slice and most
//! transfers between buffers become a swap of their areas.
//!
//! Bytes enter at the tail ([`Buffer::writable`] + [`Buffer::commit`]) and leave at the head
//! ([`Buffer::readable`] + [`Buffer::consume`]). Invariant: `head <= tail <= capacity`, and an empty
//! buffer has both at 0 after a `consume`. Buffers come from a [`super::pool::Pool`] and go back there as
//! soon as they are empty: an idle connection owns none. Old bytes are not wiped on reuse.

/// A fixed area with a window of readable bytes in it.
pub struct Buffer {
    area: Box<[u8]>,
    head: u32,
    tail: u32,
}

impl Buffer {
    /// A buffer of its own, outside any pool: for tests and fixed single uses.
    pub fn with_capacity(bytes: usize) -> Self {
        Buffer { area: vec![0; bytes.min(u32::MAX as usize)].into_boxed_slice(), head: 0, tail: 0 }
    }

    /// Size of the area in bytes.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.area.len()
    }

    /// Number of readable bytes.
    #[inline]
    pub fn len(&self) -> usize {
        (self.tail - self.head) as usize
    }

    /// Whether nothing is to be read.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.head == self.tail
    }

    /// Bytes that can be written without moving anything.
    #[inline]
    pub fn tail_room(&self) -> usize {
        self.area.len() - self.tail as usize
    }

    /// Bytes that can be written after a [`Buffer::slide`].
    #[inline]
    pub fn room(&self) -> usize {
        self.area.len() - self.len()
    }

    /// Whether not a single byte fits any more.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.room() == 0
    }

    /// The bytes that wait to be read.
    #[inline]
    pub fn readable(&self) -> &[u8] {
        &self.area[self.head as usize..self.tail as usize]
    }

    /// The bytes that wait to be read, to be changed in place.
    #[inline]
    pub fn readable_mut(&mut self) -> &mut [u8] {
        &mut self.area[self.head as usize..self.tail as usize]
    }

    /// The area after the readable bytes, holding whatever was there before.
    #[inline]
    pub fn writable(&mut self) -> &mut [u8] {
        &mut self.area[self.tail as usize..]
    }

    /// Makes the first `n` bytes of [`Buffer::writable`] readable (at most all of them).
    #[inline]
    pub fn commit(&mut self, n: usize) {
        debug_assert!(n <= self.tail_room());
        self.tail += n.min(self.tail_room()) as u32;
    }

    /// Drops the first `n` readable bytes (at most all of them).
    #[inline]
    pub fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.len());
        if n >= self.len() {
            self.clear();
        } else {
            self.head += n as u32;
        }
    }

    /// Drops all readable bytes.
    #[inline]
    pub fn clear(&mut self) {
        self.head = 0;
        self.tail = 0;
    }

    /// Drops the readable bytes after the first `n`.
    pub fn truncate(&mut self, n: usize) {
        if n == 0 {
            self.clear();
        } else if n < self.len() {
            self.tail = self.head + n as u32;
        }
    }

    /// Moves the readable bytes to the front, so that all room is behind them.
    pub fn slide(&mut self) {
        if self.head > 0 {
            self.area.copy_within(self.head as usize..self.tail as usize, 0);
            self.tail -= self.head;
            self.head = 0;
        }
    }

    /// Slides only if fewer than `n` bytes fit behind the readable ones. Returns whether they fit now.
    pub fn make_room(&mut self, n: usize) -> bool {
        if self.tail_room() < n && self.head > 0 {
            self.slide();
        }
        self.tail_room() >= n
    }

    /// Appends as much of `bytes` as fits and returns how much that was.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        self.make_room(bytes.len());
        let n = bytes.len().min(self.tail_room());
        self.writable()[..n].copy_from_slice(&bytes[..n]);
        self.tail += n as u32;
        n
    }

    /// Appends all of `bytes`, or nothing and returns false.
    pub fn push_all(&mut self, bytes: &[u8]) -> bool {
        self.make_room(bytes.len()) && self.push(bytes) == bytes.len()
    }

    /// Puts `bytes` before the readable ones, or does nothing and returns false when they do not fit.
    pub fn push_front(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > self.room() {
            return false;
        }
        if bytes.len() > self.head as usize {
            self.shift_right(bytes.len() - self.head as usize);
        }
        let start = self.head as usize - bytes.len();
        self.area[start..self.head as usize].copy_from_slice(bytes);
        self.head = start as u32;
        true
    }

    /// Replaces the readable bytes `at..at + old` by `new`. Does nothing and returns false when the
    /// result does not fit.
    pub fn splice(&mut self, at: usize, old: usize, new: &[u8]) -> bool {
        let Some(end) = at.checked_add(old).filter(|end| *end <= self.len()) else { return false };
        if new.len() > old && !self.make_room(new.len() - old) {
            return false;
        }
        let head = self.head as usize;
        self.area.copy_within(head + end..self.tail as usize, head + at + new.len());
        self.area[head + at..head + at + new.len()].copy_from_slice(new);
        self.tail = (self.tail as usize + new.len() - old) as u32;
        true
    }

    /// Moves up to `max` bytes from `src` to the end of this buffer and returns how many. When this
    /// buffer is empty and all of `src` may move, the areas are swapped and nothing is copied.
    pub fn take_from(&mut self, src: &mut Buffer, max: usize) -> usize {
        let n = src.len().min(max);
        if n == 0 {
            return 0;
        }
        if self.is_empty() && n == src.len() {
            std::mem::swap(self, src);
            src.clear();
            return n;
        }
        let n = self.push(&src.readable()[..n]);
        src.consume(n);
        n
    }

    fn shift_right(&mut self, by: usize) {
        self.area.copy_within(self.head as usize..self.tail as usize, self.head as usize + by);
        self.head += by as u32;
        self.tail += by as u32;
    }
}

/// Without the bytes: they may be secret and they are many.
impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({}+{}/{})", self.head, self.len(), self.capacity())
    }
}

/// Writes what fits; an error of kind `WriteZero` (from `write_all`, `write!`) says that it was full.
impl std::io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(self.push(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn swap_when_empty() {
        let mut a = Buffer::with_capacity(8);
        let mut b = Buffer::with_capacity(16);
        b.push(b"hello");
        assert_eq!(a.take_from(&mut b, 100), 5);
        assert_eq!((a.readable(), a.capacity(), b.capacity()), (&b"hello"[..], 16, 8));
        assert!(b.is_empty());
        b.push(b"12345678");
        assert_eq!(a.take_from(&mut b, 3), 3);
        assert_eq!((a.readable(), b.readable()), (&b"hello123"[..], &b"45678"[..]));
    }

    #[test]
    fn take_is_bounded_by_room_and_max() {
        let mut a = Buffer::with_capacity(4);
        let mut b = Buffer::with_capacity(8);
        a.push(b"ab");
        b.push(b"cdefgh");
        assert_eq!(a.take_from(&mut b, 100), 2);
        assert_eq!((a.readable(), b.readable()), (&b"abcd"[..], &b"efgh"[..]));
        assert_eq!(a.take_from(&mut b, 0), 0);
        assert!(a.is_full());
    }

    #[test]
    fn front_and_middle() {
        let mut a = Buffer::with_capacity(8);
        a.push(b"cdef");
        assert!(a.push_front(b"ab"));
        assert_eq!(a.readable(), b"abcdef");
        assert!(!a.push_front(b"123"));
        assert!(a.splice(2, 2, b"XYZW"));
        assert_eq!(a.readable(), b"abXYZWef");
        assert!(!a.splice(0, 0, b"!") && !a.splice(7, 2, b""));
        assert!(a.splice(0, 8, b"q"));
        assert_eq!(a.readable(), b"q");
    }

    #[test]
    fn behaves_like_a_queue() {
        for seed in 0..256 {
            let mut rng = Rng::from_seed(seed);
            let mut buffer = Buffer::with_capacity(32);
            let mut model: Vec<u8> = Vec::new();
            for _ in 0..200 {
                let bytes: Vec<u8> = (0..rng.below(20)).map(|_| rng.next() as u8).collect();
                match rng.below(5) {
                    0 => {
                        let n = buffer.push(&bytes);
                        assert_eq!(n, bytes.len().min(32 - model.len()));
                        model.extend_from_slice(&bytes[..n]);
                    }
                    1 => {
                        let n = (bytes.len()).min(model.len());
                        buffer.consume(n);
                        model.drain(..n);
                    }
                    2 => {
                        if buffer.push_front(&bytes) {
                            model.splice(0..0, bytes.iter().copied());
                        } else {
                            assert!(bytes.len() + model.len() > 32);
                        }
                    }
                    3 => {
                        let at = rng.below(model.len() as u64 + 1) as usize;
                        let old = rng.below((model.len() - at) as u64 + 1) as usize;
                        if buffer.splice(at, old, &bytes) {
                            model.splice(at..at + old, bytes.iter().copied());
                        } else {
                            assert!(model.len() - old + bytes.len() > 32);
                        }
                    }
                    _ => buffer.slide(),
                }
                assert_eq!(buffer.readable(), &model[..], "seed {seed}");
            }
        }
    }
}
