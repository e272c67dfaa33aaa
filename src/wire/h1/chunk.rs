//! The chunked coding (RFC 9112 7.1) as a small state machine over slices.
//!
//! The mux shows it the front of its buffer and is told what those bytes are; it moves or drops them and
//! asks again. No byte is looked at twice, sizes cost no lookahead, and nothing is kept but counters.

use super::{headers, Violations};
use crate::error::{Malformed, Parse, What};
use crate::scan::{self, LineEnd, Nul};
use crate::token;

/// What the bytes at the front of the input are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// Sizes, extensions and line ends: drop them.
    Framing,
    /// Body bytes.
    Data,
    /// One whole trailer field line with its line end, already validated.
    Trailer,
    /// The empty line after the trailers: the message ends with these bytes.
    End,
}

/// Bounds a decoder keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Extension bytes of one chunk.
    pub extension: u32,
    /// All bytes of the trailer section.
    pub trailer: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { extension: 1024, trailer: 8192 }
    }
}

/// Extension bytes a body may carry beyond its data: a stream of one-byte chunks with long extensions
/// costs the receiver without carrying anything.
const OVERHEAD_MAX: u64 = 16 * 1024;

/// Largest chunk: far above any real one, far below where sums overflow.
const SIZE_MAX: u64 = 1 << 52;

/// Most digits of a size, leading zeros included.
const DIGITS_MAX: u8 = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size { digits: u8 },
    Space,
    Extension { used: u32 },
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailers { used: u32, looked: u32 },
    Done,
}

/// A decoder for one body.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    state: State,
    left: u64,
    overhead: u64,
    limits: Limits,
}

impl Decoder {
    /// Starts before the first size.
    pub fn new(limits: Limits) -> Self {
        Decoder { state: State::Size { digits: 0 }, left: 0, overhead: 0, limits }
    }

    /// Whether the end of the body was passed.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Data bytes of the current chunk that were not announced yet.
    pub fn left(&self) -> u64 {
        match self.state {
            State::Data => self.left,
            _ => 0,
        }
    }

    /// Says what the front of `input` is: at most `data_max` bytes are given as data at once.
    ///
    /// The bytes reported are counted: the caller removes them from its buffer. `Need` comes for an empty
    /// input, for an unfinished trailer line (its bytes must be shown again, with more), and for data
    /// while `data_max` is 0.
    pub fn step(&mut self, input: &[u8], data_max: usize) -> Parse<Chunk> {
        match self.state {
            State::Data => {
                let room = input.len().min(data_max);
                let n = usize::try_from(self.left).map_or(room, |left| left.min(room));
                if n == 0 {
                    return Parse::Need;
                }
                self.left -= n as u64;
                self.overhead = self.overhead.saturating_sub(n as u64);
                if self.left == 0 {
                    self.state = State::DataCr;
                }
                Parse::Done(Chunk::Data, n)
            }
            State::Trailers { used, looked } => self.trailer(input, used, looked),
            State::Done => Parse::Done(Chunk::End, 0),
            _ => self.framing(input),
        }
    }

    fn framing(&mut self, input: &[u8]) -> Parse<Chunk> {
        for (at, &b) in input.iter().enumerate() {
            match self.framing_byte(b) {
                Ok(()) if matches!(self.state, State::Data | State::Trailers { .. }) => {
                    return Parse::Done(Chunk::Framing, at + 1);
                }
                Ok(()) => {}
                Err(what) => return Parse::Bad(Malformed::new(what, at)),
            }
        }
        if input.is_empty() {
            Parse::Need
        } else {
            Parse::Done(Chunk::Framing, input.len())
        }
    }

    fn framing_byte(&mut self, b: u8) -> Result<(), What> {
        self.state = match (self.state, b) {
            (State::Size { digits }, _) if b.is_ascii_hexdigit() => {
                let digit = char::from(b).to_digit(16).map_or(0, u64::from);
                self.left = if digits == 0 { digit } else { self.left * 16 + digit };
                if self.left > SIZE_MAX || digits == DIGITS_MAX {
                    return Err(What::ChunkTooLarge);
                }
                State::Size { digits: digits + 1 }
            }
            (State::Size { digits: 0 }, _) => return Err(What::ChunkSize),
            (State::Size { .. } | State::Space, b'\r') | (State::Extension { .. }, b'\r') => State::SizeLf,
            (State::Size { .. } | State::Space, b' ' | b'\t') => {
                self.spend()?;
                State::Space
            }
            (State::Size { .. } | State::Space, b';') => State::Extension { used: 0 },
            (State::Size { .. } | State::Space | State::Extension { .. }, b'\n') => return Err(What::BareLf),
            (State::Size { .. } | State::Space, _) => return Err(What::ChunkSize),
            (State::Extension { used }, _) => {
                if !token::is(b, token::FIELD) {
                    return Err(What::ChunkExtension);
                }
                if used == self.limits.extension {
                    return Err(What::ChunkExtensionTooLong);
                }
                self.spend()?;
                State::Extension { used: used + 1 }
            }
            (State::SizeLf, b'\n') if self.left == 0 => State::Trailers { used: 0, looked: 0 },
            (State::SizeLf, b'\n') => State::Data,
            (State::SizeLf, _) => return Err(What::BareCr),
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { digits: 0 },
            (State::DataCr | State::DataLf, _) => return Err(What::ChunkEnd),
            (state, _) => state,
        };
        Ok(())
    }

    fn spend(&mut self) -> Result<(), What> {
        self.overhead += 1;
        if self.overhead > OVERHEAD_MAX {
            Err(What::ChunkExtensionTooLong)
        } else {
            Ok(())
        }
    }

    fn trailer(&mut self, input: &[u8], used: u32, looked: u32) -> Parse<Chunk> {
        let bad = |what, at| Parse::Bad(Malformed::new(what, at));
        let room = self.limits.trailer.saturating_sub(used) as usize;
        // Not a byte beyond the limit is looked at, so that how the bytes arrive changes nothing.
        let window = input.get(..room).unwrap_or(input);
        let (end, next) = match scan::line_end(window, looked as usize, Nul::Refuse) {
            LineEnd::Found { end, next } => (end, next),
            LineEnd::Need(_) if input.len() >= room => return bad(What::TrailerTooLarge, room),
            LineEnd::Need(looked) => {
                // `looked` is within the trailer limit, a u32.
                self.state = State::Trailers { used, looked: looked as u32 };
                return Parse::Need;
            }
            LineEnd::Bad(what, at) => return bad(what, at),
        };
        let line = input.get(..end).unwrap_or_default();
        if next - end == 1 {
            return bad(What::BareLf, end);
        }
        if line.is_empty() {
            self.state = State::Done;
            return Parse::Done(Chunk::End, next);
        }
        if let Err(why) = headers::parse(line, Violations::Refuse) {
            return Parse::Bad(why);
        }
        self.state = State::Trailers { used: used + next as u32, looked: 0 };
        Parse::Done(Chunk::Trailer, next)
    }
}

/// The line that opens a chunk: lower-case hexadecimal size and CR LF.
#[derive(Clone, Copy, Debug)]
pub struct SizeLine {
    text: [u8; 18],
    from: usize,
}

impl SizeLine {
    /// The line for a chunk of `size` bytes; 0 gives the last chunk's line.
    pub fn new(size: u64) -> Self {
        let mut text = *b"0000000000000000\r\n";
        let mut left = size;
        let mut from = 16;
        for cell in text.iter_mut().take(16).rev() {
            *cell = char::from_digit((left % 16) as u32, 16).map_or(b'0', |c| c as u8);
            left /= 16;
            from -= 1;
            if left == 0 {
                break;
            }
        }
        SizeLine { text, from }
    }

    /// The bytes of the line.
    pub fn bytes(&self) -> &[u8] {
        self.text.get(self.from..).unwrap_or_default()
    }
}

/// What follows the data of every chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// Feeds any bytes to a decoder, whole and byte by byte, and checks that both agree. For fuzzing.
pub fn fuzz_chunk(bytes: &[u8]) {
    let whole = decode(bytes, usize::MAX);
    let single = decode(bytes, 1);
    assert_eq!(whole, single, "feeding byte by byte changes the outcome");
}

/// Decodes with at most `window` new bytes shown per step; data, trailers, and whether it ended or why not.
fn decode(bytes: &[u8], window: usize) -> (Vec<u8>, Vec<u8>, Option<Result<(), What>>) {
    let mut decoder = Decoder::new(Limits::default());
    let (mut data, mut trailers) = (Vec::new(), Vec::new());
    let (mut at, mut shown) = (0usize, 0usize);
    loop {
        let input = bytes.get(at..shown).unwrap_or_default();
        match decoder.step(input, usize::MAX) {
            Parse::Need if shown == bytes.len() => return (data, trailers, None),
            Parse::Need => shown = shown.saturating_add(window).min(bytes.len()),
            Parse::Bad(why) => return (data, trailers, Some(Err(why.what))),
            Parse::Done(Chunk::End, _) => return (data, trailers, Some(Ok(()))),
            Parse::Done(kind, used) => {
                let piece = input.get(..used).unwrap_or_default();
                match kind {
                    Chunk::Data => data.extend_from_slice(piece),
                    Chunk::Trailer => trailers.extend_from_slice(piece),
                    _ => {}
                }
                at += used;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies() {
        let ok = Some(Ok(()));
        for (input, data, trailers, end) in [
            (&b"0\r\n\r\n"[..], "", "", ok),
            (b"5\r\nhello\r\n0\r\n\r\n", "hello", "", ok),
            (b"5;a=b\r\nhello\r\n0;x\r\n\r\n", "hello", "", ok),
            (b"5 ;a=\"b c\"\r\nhello\r\n0\r\n\r\n", "hello", "", ok),
            (b"5 \t\r\nhello\r\n0\r\n\r\n", "hello", "", ok),
            (b"00005\r\nhello\r\n000\r\n\r\n", "hello", "", ok),
            (b"A\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\nGET", "0123456789x", "", ok),
            (b"0\r\nX: y\r\nZ:\r\n\r\n", "", "X: y\r\nZ:\r\n", ok),
            (b"5\r\nhel", "hel", "", None),
            (b"5\r\nhello\r\n0\r\n", "hello", "", None),
            (b"5\r\nhello\r\n0\r\nX: y\r\n", "hello", "X: y\r\n", None),
            (b"", "", "", None),
        ] {
            for window in [usize::MAX, 1, 2, 3] {
                let want = (data.into(), trailers.into(), end);
                assert_eq!(decode(input, window), want, "{:?}", input.escape_ascii().to_string());
            }
        }
    }

    #[test]
    fn refusals() {
        for (input, what) in [
            (&b"\r\n"[..], What::ChunkSize),
            (b"x\r\n", What::ChunkSize),
            (b" 5\r\nhello", What::ChunkSize),
            (b"+5\r\nhello", What::ChunkSize),
            (b"-5\r\nhello", What::ChunkSize),
            (b"0x5\r\nhello", What::ChunkSize),
            (b"5_0\r\n", What::ChunkSize),
            (b"5 5\r\n", What::ChunkSize),
            (b";a\r\n", What::ChunkSize),
            (b"5\nhello\r\n", What::BareLf),
            (b"5;a\nhello\r\n", What::BareLf),
            (b"5\r5\nhello", What::BareCr),
            (b"5\r\r\nhello", What::BareCr),
            (b"5;a\rb\r\nhello", What::BareCr),
            (b"5;\0\r\n", What::ChunkExtension),
            (b"5;a\x7f\r\n", What::ChunkExtension),
            (b"5\r\nhelloX\r\n", What::ChunkEnd),
            (b"5\r\nhello\n0\r\n", What::ChunkEnd),
            (b"5\r\nhello\r0\r\n", What::ChunkEnd),
            (b"ffffffffffffffff\r\n", What::ChunkTooLarge),
            (b"10000000000000001\r\n", What::ChunkTooLarge),
            (b"000000000000000000000000000000000000\r\n", What::ChunkTooLarge),
            (b"0\r\nbad name: x\r\n\r\n", What::NameByte),
            (b"0\r\n folded\r\n\r\n", What::ObsFold),
            (b"0\r\nx\r\n\r\n", What::ColonMissing),
            (b"0\r\nX: y\n\r\n", What::BareLf),
            (b"0\r\n\n", What::BareLf),
            (b"0\r\nX: a\rb\r\n", What::BareCr),
            (b"0\r\nX: a\0b\r\n", What::ValueByte),
        ] {
            for window in [usize::MAX, 1] {
                assert_eq!(
                    decode(input, window).2,
                    Some(Err(what)),
                    "{:?}",
                    input.escape_ascii().to_string()
                );
            }
        }
    }

    #[test]
    fn limits_hold() {
        let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(1025));
        assert_eq!(decode(long.as_bytes(), 7).2, Some(Err(What::ChunkExtensionTooLong)));
        let fits = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(1024));
        assert_eq!(decode(fits.as_bytes(), 7).2, Some(Ok(())));
        let many = format!("1;{}\r\nx\r\n", "y".repeat(100)).repeat(1000);
        assert_eq!(decode(many.as_bytes(), 7).2, Some(Err(What::ChunkExtensionTooLong)));
        let spaces = format!("5{}", " ".repeat(20_000));
        assert_eq!(decode(spaces.as_bytes(), 7).2, Some(Err(What::ChunkExtensionTooLong)));
        let trailer = format!("0\r\nX: {}", "y".repeat(9000));
        assert_eq!(decode(trailer.as_bytes(), 7).2, Some(Err(What::TrailerTooLarge)));
        let trailers = format!("0\r\n{}", "A: b\r\n".repeat(2000));
        assert_eq!(decode(trailers.as_bytes(), 7).2, Some(Err(What::TrailerTooLarge)));
    }

    #[test]
    fn data_is_given_as_far_as_there_is_room() {
        let mut d = Decoder::new(Limits::default());
        assert_eq!(d.step(b"6\r\nabcdef\r\n", 4), Parse::Done(Chunk::Framing, 3));
        assert_eq!(d.left(), 6);
        assert_eq!(d.step(b"abcdef\r\n", 4), Parse::Done(Chunk::Data, 4));
        assert_eq!(d.step(b"ef\r\n", 0), Parse::Need);
        assert_eq!(d.left(), 2);
        assert_eq!(d.step(b"ef\r\n", 4), Parse::Done(Chunk::Data, 2));
        assert_eq!(d.step(b"\r\n0\r\n\r\n", 4), Parse::Done(Chunk::Framing, 5));
        assert_eq!(d.step(b"\r\n", 4), Parse::Done(Chunk::End, 2));
        assert!(d.is_done());
        assert_eq!(d.step(b"x", 4), Parse::Done(Chunk::End, 0));
    }

    #[test]
    fn size_lines() {
        for (size, line) in [
            (0, "0\r\n"),
            (1, "1\r\n"),
            (255, "ff\r\n"),
            (0x4000, "4000\r\n"),
            (u64::MAX, "ffffffffffffffff\r\n"),
        ] {
            assert_eq!(SizeLine::new(size).bytes(), line.as_bytes());
        }
    }
}
