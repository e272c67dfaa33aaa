//! Cuts configuration lines into words (manual 2.2, 2.3): quotes, escapes, comments, variables. Called by
//! the configuration reader, by `-cc` and, for one line without variables, by the command socket.
//!
//! Everything is bounded: the line with its expansions, the words of a line, the lines joined by a
//! backslash at the end. Words are UTF-8 text.

use super::diag::Diag;
use super::span::{Source, Span};
use super::word::Word;

/// How variables are resolved: `None` when the name is not set.
pub type Vars<'v> = &'v dyn Fn(&str) -> Option<String>;

/// What one logical line gave.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cut {
    /// Its words; empty for a blank line or a comment.
    pub words: Vec<Word>,
    /// How many lines of the file it took, at least one.
    pub lines: u32,
}

/// Cuts line `line` (from 1) of a source into words. A backslash at the end of the line, outside single
/// quotes and comments, joins the next one.
pub fn cut(source: &Source, file: u32, line: u32, vars: Vars<'_>) -> Result<Cut, Diag> {
    let mut cutter = Cutter::new(source, file, line, vars);
    cutter.run()?;
    Ok(Cut { words: cutter.words, lines: cutter.line - line + 1 })
}

/// The rest of a line from byte `from` as one word, blanks kept: the condition of `.if` and `.elif`.
pub fn cut_rest(source: &Source, file: u32, line: u32, from: usize, vars: Vars<'_>) -> Result<Word, Diag> {
    let mut cutter = Cutter::new(source, file, line, vars);
    cutter.blanks_part = false;
    cutter.pos = from;
    cutter.start = from;
    cutter.run()?;
    let empty = Word { text: String::new(), at: Span { file, line, col: from as u32 + 1, len: 0 } };
    Ok(cutter.words.pop().unwrap_or(empty))
}

/// Cuts a text that comes from no file.
pub fn words_of(text: &str) -> Result<Vec<Word>, Diag> {
    let mut map = super::span::SourceMap::new();
    let file = map.add("", text);
    let Some(source) = map.get(file) else { return Ok(Vec::new()) };
    let mut words = cut(source, file, 1, &|_| None)?.words;
    words.iter_mut().for_each(|word| word.at = Span::NONE);
    Ok(words)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    Weak,
    Strong,
}

struct Cutter<'a> {
    source: &'a Source,
    file: u32,
    line: u32,
    first: u32,
    bytes: &'a [u8],
    pos: usize,
    vars: Vars<'a>,
    /// Blanks separate words; off for conditions.
    blanks_part: bool,
    words: Vec<Word>,
    text: Vec<u8>,
    /// A word was begun, even if only by empty quotes.
    open: bool,
    start: usize,
    start_line: u32,
    quote: Quote,
    quote_at: usize,
    total: usize,
}

impl<'a> Cutter<'a> {
    fn new(source: &'a Source, file: u32, line: u32, vars: Vars<'a>) -> Self {
        Cutter {
            source,
            file,
            line,
            first: line,
            bytes: source.line(line).unwrap_or(b""),
            pos: 0,
            vars,
            blanks_part: true,
            words: Vec::new(),
            text: Vec::new(),
            open: false,
            start: 0,
            start_line: line,
            quote: Quote::None,
            quote_at: 0,
            total: 0,
        }
    }

    fn run(&mut self) -> Result<(), Diag> {
        if self.bytes.len() > LINE_MAX {
            return Err(self.fail(0, 0, format!("this line is longer than {LINE_MAX} bytes")));
        }
        while let Some(&byte) = self.bytes.get(self.pos) {
            match (byte, self.quote) {
                (0, _) => return Err(self.fail(self.pos, 1, "a NUL byte is not allowed here")),
                (b'\'', Quote::Strong) | (b'"', Quote::Weak) => self.quote = Quote::None,
                (b'\'', Quote::None) => self.open_quote(Quote::Strong),
                (b'"', Quote::None) => self.open_quote(Quote::Weak),
                (b'#', Quote::None) => break,
                (b'\\', Quote::None | Quote::Weak) => {
                    if self.escape()? {
                        continue;
                    }
                }
                (b'$', Quote::Weak) => {
                    self.variable()?;
                    continue;
                }
                (b' ' | b'\t', Quote::None) if self.blanks_part => self.close()?,
                (b' ' | b'\t', Quote::None) if !self.open => {}
                _ => self.emit(byte)?,
            }
            self.pos += 1;
        }
        if self.quote != Quote::None {
            return Err(self.fail(self.quote_at, 1, "this quote is not closed on its line"));
        }
        self.close()
    }

    fn open_quote(&mut self, quote: Quote) {
        self.begin();
        self.quote = quote;
        self.quote_at = self.pos;
    }

    fn begin(&mut self) {
        if !self.open {
            self.open = true;
            self.start = self.pos;
            self.start_line = self.line;
        }
    }

    fn emit(&mut self, byte: u8) -> Result<(), Diag> {
        self.begin();
        self.total += 1;
        if self.total > LINE_MAX {
            return Err(self.fail(0, 0, format!("this line expands to more than {LINE_MAX} bytes")));
        }
        self.text.push(byte);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Diag> {
        if !self.open {
            return Ok(());
        }
        self.open = false;
        let end = if self.start_line == self.line { self.pos } else { self.start + 1 };
        let mut at = Span {
            file: self.file,
            line: self.start_line,
            col: self.start as u32 + 1,
            len: (end - self.start) as u32,
        };
        let mut bytes = std::mem::take(&mut self.text);
        if !self.blanks_part {
            let kept = bytes.trim_ascii_end().len();
            at.len = at.len.saturating_sub((bytes.len() - kept) as u32);
            bytes.truncate(kept);
        }
        let Ok(text) = String::from_utf8(bytes) else {
            return Err(Diag::alert(at, "this word is not UTF-8 text"));
        };
        if self.words.len() >= WORDS_MAX {
            return Err(Diag::alert(at, format!("more than {WORDS_MAX} words on one line")));
        }
        self.words.push(Word { text, at });
        Ok(())
    }

    /// A backslash. Returns true when the position was already moved past it.
    fn escape(&mut self) -> Result<bool, Diag> {
        let weak = self.quote == Quote::Weak;
        let Some(&next) = self.bytes.get(self.pos + 1) else {
            return self.join();
        };
        let byte = match next {
            b' ' | b'\t' | b'\\' | b'#' | b'"' | b'\'' => next,
            b'$' if weak => next,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'x' => {
                let value = self.bytes.get(self.pos + 2..self.pos + 4).and_then(hex);
                let Some(value) = value else {
                    return Err(self.fail(self.pos, 4, "\\x needs two hexadecimal digits"));
                };
                if value == 0 {
                    return Err(self.fail(self.pos, 4, "a NUL byte is not allowed here"));
                }
                self.emit(value)?;
                self.pos += 4;
                return Ok(true);
            }
            _ => {
                // Not an escape: the backslash stays, as regular expressions need it.
                self.emit(b'\\')?;
                return Ok(false);
            }
        };
        self.emit(byte)?;
        self.pos += 2;
        Ok(true)
    }

    /// A backslash at the end of the line: goes on with the next one, its indentation dropped.
    fn join(&mut self) -> Result<bool, Diag> {
        let next = self.source.line(self.line + 1).filter(|_| self.line < self.source.line_count());
        let Some(next) = next else {
            return Err(self.fail(self.pos, 1, "this backslash joins the next line, but there is none"));
        };
        if self.line - self.first >= JOINED_MAX {
            return Err(self.fail(self.pos, 1, format!("more than {JOINED_MAX} lines joined")));
        }
        let indent = next.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if self.quote == Quote::None && indent > 0 && self.blanks_part {
            self.close()?;
        }
        self.total += next.len();
        self.line += 1;
        self.bytes = next;
        self.pos = indent;
        Ok(true)
    }

    /// `$NAME`, `${NAME}`, `${NAME-default}`, `${NAME[*]}` within double quotes.
    fn variable(&mut self) -> Result<(), Diag> {
        let dollar = self.pos;
        let braces = self.bytes.get(dollar + 1) == Some(&b'{');
        let from = dollar + 1 + usize::from(braces);
        let first = self.bytes.get(from).copied().unwrap_or(0);
        if !(first.is_ascii_alphabetic() || first == b'_' || (first == b'.' && braces)) {
            let diag =
                self.fail(dollar, 1 + from - dollar, "a variable name must begin with a letter or \"_\"");
            return Err(diag.help("write \\$ for a dollar sign within double quotes"));
        }
        let name_byte = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
        let len = match first {
            b'.' => 1 + self.bytes[from + 1..].iter().take_while(name_byte).count(),
            _ => self.bytes[from..].iter().take_while(|b| name_byte(b) && **b != b'.').count(),
        };
        let name = String::from_utf8_lossy(&self.bytes[from..from + len]).into_owned();
        let mut value = (self.vars)(&name);
        let mut end = from + len;
        let mut split = false;
        if braces {
            if self.bytes[end..].starts_with(b"[*]") {
                split = true;
                end += 3;
            }
            let Some(close) = memchr::memchr2(b'}', b'"', &self.bytes[end..]).map(|at| end + at) else {
                return Err(self.fail(dollar, 2, "this brace is not closed"));
            };
            let rest = &self.bytes[end..close];
            if self.bytes[close] != b'}' || !(rest.is_empty() || rest[0] == b'-') {
                return Err(self.fail(dollar, 2, "this brace is not closed after the variable name"));
            }
            if let Some(default) = rest.strip_prefix(b"-").filter(|_| value.is_none()) {
                value = Some(String::from_utf8_lossy(default).into_owned());
            }
            end = close + 1;
        }
        self.begin();
        self.insert(value.unwrap_or_default().as_bytes(), split)?;
        self.pos = end;
        Ok(())
    }

    /// The value of a variable; with `[*]` its blanks part words.
    fn insert(&mut self, value: &[u8], split: bool) -> Result<(), Diag> {
        for &byte in value {
            if byte == 0 {
                continue;
            }
            if split && byte.is_ascii_whitespace() {
                if !self.text.is_empty() {
                    self.close()?;
                }
                continue;
            }
            self.emit(byte)?;
        }
        Ok(())
    }

    fn fail(&self, at: usize, len: usize, what: impl Into<String>) -> Diag {
        let col = if len == 0 { 0 } else { at as u32 + 1 };
        Diag::alert(Span { file: self.file, line: self.line, col, len: len as u32 }, what)
    }
}

fn hex(digits: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u8::from_str_radix(text, 16).ok()
}

/// Bytes of a line with everything expanded; maps and certificates have files of their own.
const LINE_MAX: usize = 1 << 20;
const WORDS_MAX: usize = 4096;
const JOINED_MAX: u32 = 1000;

#[cfg(test)]
mod tests;
