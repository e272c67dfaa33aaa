//! Places in configuration files, and the files themselves. Used by everything that reports an error.
//!
//! A span is small and `Copy`: file number, line, column, length. The texts stay in the `SourceMap`
//! until the last diagnostic is printed.

/// A run of bytes on one line of one source. Line and column count from 1; line 0 means "nowhere".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Span {
    /// Index into the `SourceMap`.
    pub file: u32,
    /// Line number from 1; 0 when the place is unknown.
    pub line: u32,
    /// First byte of the run, from 1; 0 means the whole line.
    pub col: u32,
    /// Bytes in the run.
    pub len: u32,
}

impl Span {
    /// No place at all: the message is about the configuration as a whole.
    pub const NONE: Span = Span { file: 0, line: 0, col: 0, len: 0 };

    /// True when this names a line of a file.
    pub fn is_known(&self) -> bool {
        self.line != 0
    }

    /// The run from the start of `self` to the end of `last`, when both are on one line.
    pub fn to(self, last: Span) -> Span {
        if self.file != last.file || self.line != last.line || last.col < self.col {
            return self;
        }
        Span { len: last.col + last.len - self.col, ..self }
    }

    /// The place right behind this run, where something is missing.
    pub fn after(self) -> Span {
        Span { col: self.col + self.len, len: 1, ..self }
    }
}

/// One configuration text: a file, or something given on the command line.
#[derive(Clone, Debug)]
pub struct Source {
    /// The name as the user gave it.
    pub name: String,
    /// The bytes as read.
    pub text: Vec<u8>,
    starts: Vec<usize>,
}

impl Source {
    /// Line `number` (from 1) without its line end.
    pub fn line(&self, number: u32) -> Option<&[u8]> {
        let at = (number as usize).checked_sub(1)?;
        let start = *self.starts.get(at)?;
        let end = self.starts.get(at + 1).map_or(self.text.len(), |next| next - 1);
        let line = self.text.get(start..end)?;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// How many lines there are; a last line without a line end counts.
    pub fn line_count(&self) -> u32 {
        let last_is_empty = self.starts.last().is_some_and(|&start| start == self.text.len());
        (self.starts.len() - usize::from(last_is_empty)) as u32
    }
}

/// All sources of one configuration, in reading order.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    sources: Vec<Source>,
}

impl SourceMap {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a source and returns its number, the `file` of its spans.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<Vec<u8>>) -> u32 {
        let text = text.into();
        let mut starts = vec![0];
        starts.extend(memchr::memchr_iter(b'\n', &text).map(|at| at + 1));
        self.sources.push(Source { name: name.into(), text, starts });
        (self.sources.len() - 1) as u32
    }

    /// The source a span lies in.
    pub fn get(&self, file: u32) -> Option<&Source> {
        self.sources.get(file as usize)
    }

    /// The name of a source; "configuration" when there is none.
    pub fn name(&self, file: u32) -> &str {
        self.get(file).map_or("configuration", |source| &source.name)
    }

    /// All sources with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Source)> {
        self.sources.iter().enumerate().map(|(number, source)| (number as u32, source))
    }

    /// True when nothing was given.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_with_every_line_end() {
        let mut map = SourceMap::new();
        let file = map.add("a.cfg", "one\ntwo\r\n\nlast");
        let source = map.get(file).unwrap();
        let expected: [(u32, Option<&[u8]>); 6] =
            [(0, None), (1, Some(b"one")), (2, Some(b"two")), (3, Some(b"")), (4, Some(b"last")), (5, None)];
        for (number, line) in expected {
            assert_eq!(source.line(number), line, "line {number}");
        }
        assert_eq!(source.line_count(), 4);
    }

    #[test]
    fn spans_join_on_one_line_only() {
        let first = Span { file: 0, line: 3, col: 5, len: 2 };
        let second = Span { file: 0, line: 3, col: 9, len: 4 };
        assert_eq!(first.to(second), Span { len: 8, ..first });
        assert_eq!(first.to(Span { line: 4, ..second }), first);
        assert_eq!(second.to(first), second);
    }
}
