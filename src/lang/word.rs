//! One word of a configuration line and the cursor over the words of a line. Every keyword reads its
//! arguments with these; errors made here point at the word.

use std::ops::RangeInclusive;

use super::diag::{Diag, Level};
use super::span::Span;
use super::suggest;

/// A word after quotes, escapes and variables were resolved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Word {
    /// The text meant.
    pub text: String,
    /// Where it was written, quotes included.
    pub at: Span,
}

impl Word {
    /// A word that comes from no file (defaults, command line, tests).
    pub fn plain(text: impl Into<String>) -> Self {
        Word { text: text.into(), at: Span::NONE }
    }

    /// True when the word is exactly `text`.
    pub fn is(&self, text: &str) -> bool {
        self.text == text
    }

    /// An error about this word.
    pub fn err(&self, what: impl Into<String>) -> Diag {
        Diag::alert(self.at, what)
    }

    /// A diagnostic of any level about this word.
    pub fn diag(&self, level: Level, what: impl Into<String>) -> Diag {
        Diag::new(level, self.at, what)
    }

    /// An error about `len` bytes from byte `offset` of the text. Falls back to the whole word where
    /// escapes make the column unknown.
    pub fn err_at(&self, offset: usize, len: usize, what: impl Into<String>) -> Diag {
        Diag::alert(self.part(offset, len), what)
    }

    /// The place of a part of the text.
    pub fn part(&self, offset: usize, len: usize) -> Span {
        let text = self.text.len();
        let quote = match (self.at.len as usize).checked_sub(text) {
            Some(0) => 0,
            Some(2) => 1,
            _ => return self.at,
        };
        let offset = offset.min(text);
        let len = len.clamp(1, (text - offset).max(1));
        Span { col: self.at.col + (offset + quote) as u32, len: len as u32, ..self.at }
    }

    /// "unknown word, expected one of": an error for a closed list, with the nearest member.
    pub fn not_one_of(&self, what: &str, known: &[&str]) -> Diag {
        let diag =
            self.err(format!("unknown {what} \"{}\", expected {}", self.text, suggest::list_of(known)));
        match suggest::did_you_mean(&self.text, known.iter().copied()) {
            Some(help) => diag.help(help),
            None => diag,
        }
    }

    /// A decimal integer within a range.
    pub fn int_in(&self, range: RangeInclusive<i64>) -> Result<i64, Diag> {
        match self.text.parse::<i64>() {
            Ok(value) if range.contains(&value) => Ok(value),
            Ok(_) => Err(self.err(format!("\"{}\" is out of range ({})", self.text, range_text(&range)))),
            Err(_) => Err(self.err(format!(
                "expected an integer ({}), found \"{}\"",
                range_text(&range),
                self.text
            ))),
        }
    }

    /// A non-negative integer below 2^31, the range most keywords have.
    pub fn uint(&self) -> Result<u32, Diag> {
        self.int_in(0..=i64::from(i32::MAX)).map(|value| value as u32)
    }

    /// A duration in milliseconds; units us ms s m h d, milliseconds when none is given.
    pub fn time_ms(&self) -> Result<u32, Diag> {
        self.time(Unit::Ms)
    }

    /// A duration in milliseconds; seconds when no unit is given.
    pub fn time_ms_from_s(&self) -> Result<u32, Diag> {
        self.time(Unit::S)
    }

    /// A duration in milliseconds with a default unit. A value that is not zero never becomes zero:
    /// below one millisecond is an error, as infinity is written 0.
    pub fn time(&self, default: Unit) -> Result<u32, Diag> {
        match parse_time_us(&self.text, default) {
            Ok(us) if us > 0 && us < 1000 => {
                Err(self.err(format!("\"{}\" is too short, the smallest time is 1ms", self.text)))
            }
            Ok(us) => match u32::try_from(us.div_ceil(1000)) {
                Ok(ms) if ms <= TIME_MAX_MS => Ok(ms),
                _ => Err(self.err(format!("\"{}\" is too long, the longest time is 24d", self.text))),
            },
            Err(TimeError::Unit(at)) => {
                let unit = self.text.get(at..).unwrap_or("");
                let diag = self.err_at(at, unit.len(), format!("unknown time unit \"{unit}\""));
                Err(diag.help("units are us, ms, s, m, h, d"))
            }
            Err(TimeError::Number) => {
                Err(self.err(format!("expected a time like 500ms, 30s or 1h, found \"{}\"", self.text)))
            }
            Err(TimeError::Big) => {
                Err(self.err(format!("\"{}\" is too long, the longest time is 24d", self.text)))
            }
        }
    }

    /// A number of bytes; suffixes k, m, g (powers of 1024).
    pub fn size(&self) -> Result<u64, Diag> {
        let digits = self.text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, suffix) = self.text.split_at(digits);
        let Ok(number) = number.parse::<u64>() else {
            return Err(self.err(format!("expected a size like 16384, 64k or 1m, found \"{}\"", self.text)));
        };
        let shift = match suffix {
            "" => 0,
            "k" | "K" => 10,
            "m" | "M" => 20,
            "g" | "G" => 30,
            _ => {
                let diag = self.err_at(digits, suffix.len(), format!("unknown size suffix \"{suffix}\""));
                return Err(diag.help("suffixes are k, m, g"));
            }
        };
        match number.checked_shl(shift).filter(|size| size >> shift == number) {
            Some(size) => Ok(size),
            None => Err(self.err(format!("\"{}\" is too large", self.text))),
        }
    }

    /// `on` or `off`.
    pub fn on_off(&self) -> Result<bool, Diag> {
        match self.text.as_str() {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err(self.not_one_of("value", &["on", "off"])),
        }
    }
}

/// A time unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Microseconds.
    Us,
    /// Milliseconds.
    Ms,
    /// Seconds.
    S,
}

/// Why a text is not a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeError {
    /// It does not begin with a number.
    Number,
    /// The unit, at this byte, is not known.
    Unit(usize),
    /// The value does not fit.
    Big,
}

/// Reads a duration in microseconds; units us ms s m h d.
pub fn parse_time_us(text: &str, default: Unit) -> Result<u64, TimeError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Err(TimeError::Number);
    }
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "" => match default {
            Unit::Us => 1,
            Unit::Ms => 1000,
            Unit::S => 1_000_000,
        },
        "us" => 1,
        "ms" => 1000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return Err(TimeError::Unit(digits)),
    };
    let number: u64 = number.parse().map_err(|_| TimeError::Big)?;
    number.checked_mul(factor).ok_or(TimeError::Big)
}

fn range_text(range: &RangeInclusive<i64>) -> String {
    match (*range.start(), *range.end()) {
        (low, i64::MAX) => format!("{low} or more"),
        (low, high) => format!("{low} to {high}"),
    }
}

/// The cursor over the words of one line. `Copy`-cheap to save and restore: clone it.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    words: &'a [Word],
    next: usize,
    line: Span,
}

impl<'a> Words<'a> {
    /// A cursor at the first word.
    pub fn new(words: &'a [Word]) -> Self {
        Words { words, next: 0, line: Span::NONE }
    }

    /// A cursor whose errors point at `line` when there is no word to point at.
    pub fn on_line(words: &'a [Word], line: Span) -> Self {
        Words { words, next: 0, line }
    }

    /// The next word without taking it.
    pub fn peek(&self) -> Option<&'a Word> {
        self.words.get(self.next)
    }

    /// The word after the next one.
    pub fn peek_second(&self) -> Option<&'a Word> {
        self.words.get(self.next + 1)
    }

    /// The text of the next word; empty when there is none.
    pub fn peek_text(&self) -> &'a str {
        self.peek().map_or("", |word| &word.text)
    }

    /// The word taken last.
    pub fn taken(&self) -> Option<&'a Word> {
        self.words.get(self.next.checked_sub(1)?)
    }

    /// Takes the next word when it is exactly `text`.
    pub fn eat(&mut self, text: &str) -> bool {
        let found = self.peek().is_some_and(|word| word.text == text);
        self.next += usize::from(found);
        found
    }

    /// Takes the next word; an error that names `what` when the line ends here.
    pub fn need(&mut self, what: &str) -> Result<&'a Word, Diag> {
        match self.next() {
            Some(word) => Ok(word),
            None => Err(self.missing(what)),
        }
    }

    /// An error that says `what` is missing at the end of the line.
    pub fn missing(&self, what: &str) -> Diag {
        let after = self.taken().map_or("", |word| &word.text);
        let what = match after {
            "" => format!("missing {what}"),
            _ => format!("missing {what} after \"{after}\""),
        };
        Diag::alert(self.end(), what)
    }

    /// An error when words are left over.
    pub fn done(&self) -> Result<(), Diag> {
        match self.peek() {
            None => Ok(()),
            Some(word) => Err(Diag::alert(word.at, format!("unexpected word \"{}\"", word.text))),
        }
    }

    /// Takes all words that are left.
    pub fn rest(&mut self) -> &'a [Word] {
        let rest = self.words.get(self.next..).unwrap_or(&[]);
        self.next = self.words.len();
        rest
    }

    /// How many words are left.
    pub fn left(&self) -> usize {
        self.words.len().saturating_sub(self.next)
    }

    /// Goes back by one word.
    pub fn back(&mut self) {
        self.next = self.next.saturating_sub(1);
    }

    /// All words of the line, taken or not.
    pub fn whole(&self) -> &'a [Word] {
        self.words
    }

    /// Where the next word is; behind the last one when there is none.
    pub fn here(&self) -> Span {
        self.peek().map_or_else(|| self.end(), |word| word.at)
    }

    /// The place behind the last word.
    pub fn end(&self) -> Span {
        self.words.last().map_or(self.line, |word| if word.at.is_known() { word.at.after() } else { word.at })
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a Word;

    fn next(&mut self) -> Option<&'a Word> {
        let word = self.words.get(self.next)?;
        self.next += 1;
        Some(word)
    }
}

/// 2^31-1 ms, the longest time HAProxy takes.
const TIME_MAX_MS: u32 = i32::MAX as u32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let table = [
            ("0", Some(0)),
            ("1500", Some(1500)),
            ("5s", Some(5000)),
            ("2m", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("1d", Some(86_400_000)),
            ("1500us", Some(2)),
            ("10us", None),
            ("25d", None),
            ("99999999999999999999s", None),
            ("5 s", None),
            ("-1", None),
            ("5sec", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(Word::plain(text).time_ms().ok(), expected, "{text}");
        }
        assert_eq!(Word::plain("5").time_ms_from_s().ok(), Some(5000));
    }

    #[test]
    fn sizes_have_suffixes() {
        let table = [
            ("16384", Some(16384)),
            ("16k", Some(16384)),
            ("1m", Some(1 << 20)),
            ("2G", Some(2 << 30)),
            ("k", None),
            ("1kb", None),
            ("99999999999g", None),
        ];
        for (text, expected) in table {
            assert_eq!(Word::plain(text).size().ok(), expected, "{text}");
        }
    }

    #[test]
    fn errors_point_into_the_word() {
        let at = Span { file: 0, line: 1, col: 10, len: 7 };
        let quoted = Word { text: "30sec".into(), at };
        assert_eq!(quoted.time_ms().unwrap_err().at, Span { col: 13, len: 3, ..at });
        let escaped = Word { text: "a".into(), at };
        assert_eq!(escaped.err_at(0, 1, "x").at, at);
    }

    #[test]
    fn the_cursor_says_what_is_missing() {
        let words = [Word { text: "maxconn".into(), at: Span { file: 0, line: 2, col: 5, len: 7 } }];
        let mut cursor = Words::new(&words);
        assert!(cursor.eat("maxconn"));
        let diag = cursor.need("a number").unwrap_err();
        assert_eq!(diag.what, "missing a number after \"maxconn\"");
        assert_eq!(diag.at, Span { file: 0, line: 2, col: 12, len: 1 });
        cursor.back();
        assert_eq!(cursor.done().unwrap_err().what, "unexpected word \"maxconn\"");
    }

    #[test]
    fn integers_keep_their_range() {
        assert_eq!(Word::plain("256").int_in(0..=256).ok(), Some(256));
        assert!(Word::plain("257").int_in(0..=256).is_err());
        assert!(Word::plain("1e3").int_in(0..=256).is_err());
        assert!(Word::plain("99999999999999999999").int_in(0..=256).is_err());
    }
}
