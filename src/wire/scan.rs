//! Small scans that several codecs share: line ends, optional white space, lists, numbers.

use crate::error::What;
use memchr::{memchr, memchr2, memchr3};

/// Where a line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEnd {
    /// The line's bytes end before `end`; the next line begins at `next`.
    Found {
        /// Offset after the last byte of the line, CR and LF excluded.
        end: usize,
        /// Offset of the first byte after LF.
        next: usize,
    },
    /// No line end yet; continue the search at this offset when more bytes came.
    Need(usize),
    /// A byte that no line may contain.
    Bad(What, usize),
}

/// What to do with NUL inside a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nul {
    /// Refuse it (the rule).
    Refuse,
    /// Let it pass (`accept-unsafe-violations...`).
    Accept,
}

/// Finds the end of the line in `bytes`, looking from offset `from`.
///
/// CR LF and a lone LF end a line (RFC 9112 2.2); CR anywhere else is refused, and so is NUL.
#[inline]
pub fn line_end(bytes: &[u8], from: usize, nul: Nul) -> LineEnd {
    let mut at = from;
    loop {
        let Some(rest) = bytes.get(at..) else { return LineEnd::Need(bytes.len()) };
        let Some(n) = memchr3(b'\n', b'\r', 0, rest) else { return LineEnd::Need(bytes.len()) };
        let stop = at + n;
        match (bytes.get(stop), bytes.get(stop + 1)) {
            (Some(b'\r'), Some(b'\n')) => return LineEnd::Found { end: stop, next: stop + 2 },
            (Some(b'\n'), _) => return LineEnd::Found { end: stop, next: stop + 1 },
            (Some(b'\r'), None) => return LineEnd::Need(stop),
            (Some(b'\r'), Some(_)) => return LineEnd::Bad(What::BareCr, stop),
            _ if nul == Nul::Refuse => return LineEnd::Bad(What::ValueByte, stop),
            _ => at = stop + 1,
        }
    }
}

/// Cuts optional white space (SP, HTAB; RFC 9110 5.6.3) off both ends.
#[inline]
pub fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Splits at the first `sep`: before and after it.
#[inline]
pub fn split_once(bytes: &[u8], sep: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr(sep, bytes)?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

/// Reads decimal digits, all of them, without sign; `None` when empty, not a digit or beyond 2^63-1.
///
/// The bound leaves room for sums of lengths in `u64`.
pub fn decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    let mut n = 0u64;
    for &b in bytes {
        if !b.is_ascii_digit() {
            return None;
        }
        n = n.checked_mul(10)?.checked_add(u64::from(b - b'0'))?;
        if n > i64::MAX as u64 {
            return None;
        }
    }
    Some(n)
}

/// The elements of a comma-separated list (RFC 9110 5.6.1), trimmed, commas within quotes ignored.
///
/// Empty elements are given too: who must refuse them can see them.
#[derive(Clone, Debug)]
pub struct List<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> List<'a> {
    /// Walks over `value`.
    pub fn new(value: &'a [u8]) -> Self {
        List { rest: Some(value) }
    }

    /// The elements with the white space around them.
    pub fn untrimmed(value: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let mut list = List::new(value);
        std::iter::from_fn(move || list.element())
    }

    fn element(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        match comma(rest) {
            Some(at) => {
                self.rest = rest.get(at + 1..);
                rest.get(..at)
            }
            None => {
                self.rest = None;
                Some(rest)
            }
        }
    }
}

impl<'a> Iterator for List<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.element().map(trim)
    }
}

/// Offset of the first comma outside quotes. An unfinished quote covers the rest.
fn comma(bytes: &[u8]) -> Option<usize> {
    let first = memchr2(b',', b'"', bytes)?;
    if bytes.get(first) == Some(&b',') {
        return Some(first);
    }
    let mut quoted = false;
    let mut at = first;
    while let Some(&b) = bytes.get(at) {
        match b {
            b'"' => quoted = !quoted,
            b'\\' if quoted => at += 1,
            b',' if !quoted => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// A forward reader of big-endian binary structures; every read is checked.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the front of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// Bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(n)?;
        self.rest = tail;
        Some(head)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(u8::from_be_bytes)
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Three bytes.
    pub fn u24(&mut self) -> Option<u32> {
        let [a, b, c] = self.array()?;
        Some(u32::from_be_bytes([0, a, b, c]))
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A vector with a one-byte length.
    pub fn vec8(&mut self) -> Option<&'a [u8]> {
        let n = self.u8()?;
        self.take(usize::from(n))
    }

    /// A vector with a two-byte length.
    pub fn vec16(&mut self) -> Option<&'a [u8]> {
        let n = self.u16()?;
        self.take(usize::from(n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends() {
        let found = |end, next| LineEnd::Found { end, next };
        for (bytes, from, want) in [
            (&b"abc\r\nx"[..], 0, found(3, 5)),
            (b"abc\nx", 0, found(3, 4)),
            (b"abc", 0, LineEnd::Need(3)),
            (b"abc\r", 0, LineEnd::Need(3)),
            (b"abc\r", 3, LineEnd::Need(3)),
            (b"abc\r\n", 3, found(3, 5)),
            (b"a\rbc\r\n", 0, LineEnd::Bad(What::BareCr, 1)),
            (b"a\r\r\n", 0, LineEnd::Bad(What::BareCr, 1)),
            (b"a\0\r\n", 0, LineEnd::Bad(What::ValueByte, 1)),
            (b"", 0, LineEnd::Need(0)),
            (b"", 9, LineEnd::Need(0)),
        ] {
            assert_eq!(line_end(bytes, from, Nul::Refuse), want, "{bytes:?}");
        }
        assert_eq!(line_end(b"a\0b\r\n", 0, Nul::Accept), found(3, 5));
    }

    #[test]
    fn lists_split_outside_quotes() {
        let list = |s: &'static str| {
            List::new(s.as_bytes()).map(|e| std::str::from_utf8(e).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(list("a, b ,c"), ["a", "b", "c"]);
        assert_eq!(list(""), [""]);
        assert_eq!(list("a,,b,"), ["a", "", "b", ""]);
        assert_eq!(list(r#"a="x,\",y", b"#), [r#"a="x,\",y""#, "b"]);
        assert_eq!(list(r#"a="x,y"#), [r#"a="x,y"#]);
    }

    #[test]
    fn decimals() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"9223372036854775807"), Some(i64::MAX as u64));
        for bad in
            [&b""[..], b"+1", b"-1", b" 1", b"1 ", b"1x", b"9223372036854775808", b"99999999999999999999999"]
        {
            assert_eq!(decimal(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn reader_never_overruns() {
        let mut r = Reader::new(&[1, 0, 2, 9, 9, 3, 7]);
        assert_eq!(r.u8(), Some(1));
        assert_eq!(r.vec16(), Some(&[9, 9][..]));
        assert_eq!(r.vec8(), None);
        assert_eq!(Reader::new(&[1, 2]).u24(), None);
        assert_eq!(Reader::new(&[1, 2, 3]).u24(), Some(0x10203));
    }

    #[test]
    fn trims_only_ows() {
        assert_eq!(trim(b" \ta b\t "), b"a b");
        assert_eq!(trim(b"  "), b"");
        assert_eq!(trim(b"\x0ba"), b"\x0ba");
    }
}
