//! The text of a `crt-list`: one certificate a line, with options between brackets and the names it is for.
//!
//! ```text
//! <certificate> [\[<option> ...\]] [[!]<name> ...]
//! ```
//!
//! Pure: bytes in, lines out; what the words mean is judged by [`super::crt`], and by the command that adds a line at run
//! time. Words are parted by blanks; `"` and `'` keep blanks within a word; `#` begins a comment where a word could begin.

use std::borrow::Cow;

/// A word of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token<'t> {
    /// What it says, without quotes.
    pub text: Cow<'t, str>,
    /// Where it begins, in bytes from 1.
    pub col: u32,
    /// How many bytes it takes.
    pub len: u32,
}

/// One line with a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'t> {
    /// Number of the line, from 1.
    pub number: u32,
    /// The certificate.
    pub crt: Token<'t>,
    /// The words between the brackets.
    pub options: Vec<Token<'t>>,
    /// Everything between the brackets, as written.
    pub options_text: &'t str,
    /// The words behind.
    pub filters: Vec<Token<'t>>,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Number of the line, from 1.
    pub line: u32,
    /// The byte, from 1.
    pub col: u32,
    /// What is wrong.
    pub what: String,
    /// What to do about it; empty: it is plain.
    pub help: &'static str,
}

/// Reads a list: every line that holds something, or what is wrong with it.
pub fn lines(text: &[u8]) -> impl Iterator<Item = Result<Entry<'_>, Fault>> {
    let cut = !text.is_empty() && !text.ends_with(b"\n");
    let mut rest = text;
    let mut number = 0;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            number += 1;
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let (line, after) = rest.split_at_checked(end)?;
            rest = after.get(1..).unwrap_or(&[]);
            if cut && rest.is_empty() {
                return Some(Err(Fault {
                    line: number,
                    col: line.len() as u32 + 1,
                    what: "the last line has no line end, the file may have been cut short".into(),
                    help: "end the file with a line feed",
                }));
            }
            if let Some(found) = entry(line.strip_suffix(b"\r").unwrap_or(line), number) {
                return Some(found);
            }
        }
        None
    })
}

/// One line; `None` when it is blank or a comment.
pub fn entry(line: &[u8], number: u32) -> Option<Result<Entry<'_>, Fault>> {
    let text = match std::str::from_utf8(line) {
        Ok(text) => text,
        Err(error) => {
            let col = error.valid_up_to() as u32 + 1;
            return Some(Err(fault(number, col, "this is not UTF-8 text", "")));
        }
    };
    if let Some(at) = memchr::memchr(0, line) {
        return Some(Err(fault(number, at as u32 + 1, "a NUL byte is not allowed here", "")));
    }
    let mut cutter = Cutter { text, number, pos: 0 };
    match cutter.entry() {
        Ok(entry) => entry.map(Ok),
        Err(fault) => Some(Err(fault)),
    }
}

fn fault(line: u32, col: u32, what: impl Into<String>, help: &'static str) -> Fault {
    Fault { line, col, what: what.into(), help }
}

struct Cutter<'t> {
    text: &'t str,
    number: u32,
    pos: usize,
}

/// What the cutter finds next.
enum Next<'t> {
    Word(Token<'t>),
    Open,
    Close,
    End,
}

impl<'t> Cutter<'t> {
    fn entry(&mut self) -> Result<Option<Entry<'t>>, Fault> {
        let crt = match self.next()? {
            Next::End => return Ok(None),
            Next::Word(word) => word,
            Next::Open | Next::Close => {
                return Err(self.fault(self.pos, "the line must begin with a certificate", ""))
            }
        };
        if crt.text.is_empty() {
            return Err(self.fault(crt.col as usize, "the name of the certificate is empty", ""));
        }
        let mut entry =
            Entry { number: self.number, crt, options: Vec::new(), options_text: "", filters: Vec::new() };
        let mut open = None;
        let mut closed = false;
        loop {
            match self.next()? {
                Next::Word(word) if open.is_some() => entry.options.push(word),
                Next::Word(word) => entry.filters.push(word),
                Next::Open if closed || open.is_some() => {
                    return Err(self.fault(self.pos, "a line has one pair of brackets", ""))
                }
                Next::Open if !entry.filters.is_empty() => {
                    let help = "write <certificate> [<options>] <names>";
                    return Err(self.fault(self.pos, "options stand before the names", help));
                }
                Next::Open => open = Some(self.pos),
                Next::Close => match open.take() {
                    Some(start) => {
                        entry.options_text = self.text.get(start..self.pos - 1).unwrap_or("");
                        closed = true;
                    }
                    None => return Err(self.fault(self.pos, "\"]\" without \"[\" before it", "")),
                },
                Next::End => match open {
                    Some(start) => return Err(self.fault(start, "\"[\" without \"]\" behind it", "")),
                    None => return Ok(Some(entry)),
                },
            }
        }
    }

    /// `col` counts from 1.
    fn fault(&self, col: usize, what: &str, help: &'static str) -> Fault {
        fault(self.number, col.max(1) as u32, what, help)
    }

    fn next(&mut self) -> Result<Next<'t>, Fault> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.pos), Some(b' ' | b'\t' | b'\r')) {
            self.pos += 1;
        }
        let start = self.pos;
        match bytes.get(start) {
            None | Some(b'#') => Ok(Next::End),
            Some(b'[') => {
                self.pos += 1;
                Ok(Next::Open)
            }
            Some(b']') => {
                self.pos += 1;
                Ok(Next::Close)
            }
            Some(b'"' | b'\'') => self.quoted(start).map(Next::Word),
            Some(_) => {
                let rest = bytes.get(start..).unwrap_or(&[]);
                let len = rest.iter().position(|byte| b" \t\r[]".contains(byte)).unwrap_or(rest.len());
                self.pos = start + len;
                let text = self.text.get(start..self.pos).unwrap_or("");
                Ok(Next::Word(self.token(Cow::Borrowed(text), start)))
            }
        }
    }

    fn token(&self, text: Cow<'t, str>, start: usize) -> Token<'t> {
        Token { text, col: start as u32 + 1, len: (self.pos - start) as u32 }
    }

    /// A word within quotes. Within `"`, a backslash keeps the next character from meaning anything.
    fn quoted(&mut self, start: usize) -> Result<Token<'t>, Fault> {
        let body = self.text.get(start + 1..).unwrap_or("");
        let weak = self.text.as_bytes().get(start) == Some(&b'"');
        let mut text = String::new();
        let mut chars = body.char_indices();
        while let Some((at, char)) = chars.next() {
            match char {
                '"' if weak => return self.quoted_end(text, start, start + 2 + at),
                '\'' if !weak => return self.quoted_end(text, start, start + 2 + at),
                '\\' if weak => text.extend(chars.next().map(|(_, next)| next)),
                _ => text.push(char),
            }
        }
        Err(self.fault(start + 1, "this quote is not closed on its line", ""))
    }

    fn quoted_end(&mut self, text: String, start: usize, end: usize) -> Result<Token<'t>, Fault> {
        self.pos = end;
        match self.text.as_bytes().get(end) {
            None | Some(b' ' | b'\t' | b'\r' | b'[' | b']') => Ok(self.token(Cow::Owned(text), start)),
            Some(_) => Err(self.fault(end + 1, "a blank is missing behind the quote", "")),
        }
    }
}

/// A filter that can be used, in lower case and without a dot at its end; or why it cannot.
pub fn filter(word: &str) -> Result<Cow<'_, str>, FilterFault> {
    let (rest, not) = word.strip_prefix('!').map_or((word, ""), |rest| (rest, "!"));
    let (name, wild) = rest.strip_prefix('*').map_or((rest, false), |name| (name, true));
    if wild && name.is_empty() {
        return Ok(Cow::Borrowed(word));
    }
    let name = match (wild, name.strip_prefix('.')) {
        (true, Some(name)) => name,
        (true, None) => return Err(FilterFault::Never("\"*\" stands for one whole label, as in *.a.test")),
        (false, _) => name,
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        return Err(FilterFault::Bad("a name is missing"));
    }
    if name.split('.').any(str::is_empty) {
        return Err(FilterFault::Never("no part of a name is empty"));
    }
    if !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(FilterFault::Bad("names are ASCII; write an international name in its xn-- form"));
    }
    if name.len() > NAME_MAX {
        return Err(FilterFault::Bad("a name has at most 253 characters"));
    }
    if name.contains('*') {
        return Err(FilterFault::Never("\"*\" can only stand for the first label, as in *.a.test"));
    }
    if name.contains('!') {
        return Err(FilterFault::Never("\"!\" can only stand before the name"));
    }
    if rest.len() == name.len() + usize::from(wild) * 2 && !name.bytes().any(|b| b.is_ascii_uppercase()) {
        return Ok(Cow::Borrowed(word));
    }
    let star = if wild { "*." } else { "" };
    Ok(Cow::Owned(format!("{not}{star}{}", name.to_ascii_lowercase())))
}

/// What is wrong with a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterFault {
    /// It means nothing.
    Bad(&'static str),
    /// It is a filter, but no client can ask for such a name.
    Never(&'static str),
}

/// DNS allows no longer name.
const NAME_MAX: usize = 253;

/// For fuzzing: any bytes as a list.
pub fn fuzz_crt_list(bytes: &[u8]) {
    for entry in lines(bytes).flatten() {
        assert!(!entry.crt.text.is_empty());
        for token in &entry.filters {
            let Ok(found) = filter(&token.text) else { continue };
            assert_eq!(filter(&found).as_deref(), Ok(&*found), "a filter in its final form stays as it is");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(entry: &Entry<'_>) -> String {
        let join =
            |words: &[Token<'_>]| words.iter().map(|w| w.text.to_string()).collect::<Vec<_>>().join("|");
        format!("{} {} [{}] {}", entry.number, entry.crt.text, join(&entry.options), join(&entry.filters))
    }

    #[test]
    fn lines_are_cut() {
        let text = "a.pem\n\n  # comment\n\tb.pem !*\r\nc.pem [alpn h2,http/1.1]\n\
            d.pem *.a.test !b.a.test # why\ne.pem[verify none ]x.test\n\"my site.pem\" [ ca-file 'a b' ] y\nf#.pem x#y\n\
            \"q\\\"\\\\\" ''\n";
        let got: Vec<String> = lines(text.as_bytes()).map(|entry| short(&entry.unwrap())).collect();
        assert_eq!(
            got,
            [
                "1 a.pem [] ",
                "4 b.pem [] !*",
                "5 c.pem [alpn|h2,http/1.1] ",
                "6 d.pem [] *.a.test|!b.a.test",
                "7 e.pem [verify|none] x.test",
                "8 my site.pem [ca-file|a b] y",
                "9 f#.pem [] x#y",
                "10 q\"\\ [] ",
            ]
        );
        let entry = entry(b"  e.pem [ verify none ] x.test", 3).unwrap().unwrap();
        assert_eq!(entry.options_text, " verify none ");
        let spans: Vec<(u32, u32)> =
            entry.options.iter().chain([&entry.crt]).chain(&entry.filters).map(|t| (t.col, t.len)).collect();
        assert_eq!(spans, [(11, 6), (18, 4), (3, 5), (25, 6)]);
    }

    #[test]
    fn bad_lines_say_where_and_why() {
        let rows: &[(&[u8], u32, &str)] = &[
            (b"[alpn h2] a.pem", 1, "the line must begin with a certificate"),
            (b" ] a.pem", 2, "the line must begin with a certificate"),
            (b"a.pem [alpn h2", 7, "\"[\" without \"]\" behind it"),
            (b"a.pem alpn h2]", 14, "\"]\" without \"[\" before it"),
            (b"a.pem [x [y]]", 10, "a line has one pair of brackets"),
            (b"a.pem [x] [y]", 11, "a line has one pair of brackets"),
            (b"a.pem a.test [x]", 14, "options stand before the names"),
            (b"a.pem \"a.test", 7, "this quote is not closed on its line"),
            (b"a.pem \"a\"b", 10, "a blank is missing behind the quote"),
            (b"\"\" a", 1, "the name of the certificate is empty"),
            (b"a.pem \0", 7, "a NUL byte is not allowed here"),
            (b"a.pem \xff", 7, "this is not UTF-8 text"),
        ];
        for (line, col, what) in rows {
            let fault = entry(line, 9).unwrap().unwrap_err();
            assert_eq!((fault.line, fault.col, fault.what.as_str()), (9, *col, *what));
        }
        let all: Vec<_> = lines(b"a.pem\nb.pem").collect();
        assert_eq!(all.len(), 2);
        let fault = all[1].as_ref().unwrap_err();
        assert_eq!((fault.line, fault.col), (2, 6));
        assert_eq!(lines(b"").count() + lines(b"\n#\n \t\r\n").count(), 0);
    }

    #[test]
    fn filters_are_made_uniform() {
        let long = "a".repeat(254);
        let rows: &[(&str, Result<&str, FilterFault>)] = &[
            ("a.test", Ok("a.test")),
            ("A.Test.", Ok("a.test")),
            ("*.A.test", Ok("*.a.test")),
            ("!*.a.test.", Ok("!*.a.test")),
            ("!B.a.test", Ok("!b.a.test")),
            ("*", Ok("*")),
            ("!*", Ok("!*")),
            ("127.0.0.1", Ok("127.0.0.1")),
            ("!", Err(FilterFault::Bad("a name is missing"))),
            ("*.", Err(FilterFault::Bad("a name is missing"))),
            ("*a.test", Err(FilterFault::Never("\"*\" stands for one whole label, as in *.a.test"))),
            ("a.*.test", Err(FilterFault::Never("\"*\" can only stand for the first label, as in *.a.test"))),
            ("..", Err(FilterFault::Never("no part of a name is empty"))),
            ("a..test", Err(FilterFault::Never("no part of a name is empty"))),
            ("!!a", Err(FilterFault::Never("\"!\" can only stand before the name"))),
            (
                "bücher.test",
                Err(FilterFault::Bad("names are ASCII; write an international name in its xn-- form")),
            ),
            (&long, Err(FilterFault::Bad("a name has at most 253 characters"))),
        ];
        for (word, expected) in rows {
            assert_eq!(filter(word).as_deref(), expected.as_ref().map(|s| *s), "{word}");
        }
    }

    #[test]
    fn any_bytes_are_read_without_harm() {
        let mut seed = 7u32;
        for _ in 0..20_000 {
            let line: Vec<u8> = (0..24)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    b"a.*! []\"'\\#\t\xc3\xbc\0"[(seed >> 24) as usize % 15]
                })
                .collect();
            fuzz_crt_list(&line);
        }
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus/crt_list");
        for seed in std::fs::read_dir(dir).unwrap() {
            fuzz_crt_list(&std::fs::read(seed.unwrap().path()).unwrap());
        }
    }
}
