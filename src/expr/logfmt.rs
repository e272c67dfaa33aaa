//! Log-format strings: text, aliases (`%ci`) and expressions (`%[src]`), compiled once.
//!
//! They make log lines, and every argument that the manual calls `<fmt>`. The two differ in what stands
//! for a missing value (`-` in logs, nothing elsewhere) and in how bytes a terminal should not see are
//! written (`#XX` in logs).

use super::alias;
use super::compile::{self, Expr, ParseCx};
use super::sample::{Sample, Scratch};
use super::view::Facts;
use crate::lang::diag::Diag;
use crate::lang::suggest;
use crate::lang::word::Word;

/// `option tcplog`.
pub const TCP: &str = "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq";
/// `option tcplog clf`.
pub const TCP_CLF: &str = "%{+Q}o %{-Q}ci - - [%T] \"TCP \" 000 %B \"\" \"\" %cp %ms %ft %b %s %Th %Tw %Tc %Tt %U %ts-- %ac %fc %bc %sc %rc %sq %bq \"\" \"\"";
/// `option httplog`.
pub const HTTP: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r";
/// `option httplog clf`.
pub const HTTP_CLF: &str = "%{+Q}o %{-Q}ci - - [%trg] %r %ST %B \"\" \"\" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc %ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl";
/// `option httpslog`.
pub const HTTPS: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] %[ssl_fc_sni]/%sslv/%sslc";

/// What a string is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    /// A log line.
    Log,
    /// Text of a field, a body, a variable.
    Text,
}

/// How a value is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags {
    /// `+Q`: in quotes.
    pub quote: bool,
    /// `+X`: in hexadecimal.
    pub hex: bool,
    /// `+E`: `"`, `\` and `]` are preceded by `\`.
    pub escape: bool,
    /// What is missing shows as `-`: in log lines.
    pub dash: bool,
}

enum Item {
    Text(Box<[u8]>),
    /// One space, unless the line ends in one already.
    Space,
    Alias(&'static alias::Alias, Flags),
    Expr(Box<Expr>, Flags),
}

/// A compiled log-format string.
pub struct LogFmt {
    items: Vec<Item>,
    log: bool,
}

impl LogFmt {
    /// Compiles a word.
    pub fn compile(word: &Word, usage: Use, cx: &mut ParseCx<'_>) -> Result<LogFmt, Diag> {
        let mut reader = Reader {
            word,
            items: Vec::new(),
            text: Vec::new(),
            flags: Flags { dash: usage == Use::Log, ..Flags::default() },
            log: usage == Use::Log,
        };
        reader.read(cx)?;
        Ok(LogFmt { items: reader.items, log: usage == Use::Log })
    }

    /// Appends the string as it is now.
    pub fn write(&self, facts: &Facts<'_>, out: &mut Vec<u8>) {
        for item in &self.items {
            match item {
                Item::Text(text) => out.extend_from_slice(text),
                Item::Space => {
                    if out.last().is_some_and(|last| *last != b' ') {
                        out.push(b' ');
                    }
                }
                Item::Alias(alias, flags) => (alias.write)(facts, *flags, out),
                Item::Expr(expr, flags) => self.write_expr(expr, *flags, facts, out),
            }
        }
    }

    fn write_expr(&self, expr: &Expr, flags: Flags, facts: &Facts<'_>, out: &mut Vec<u8>) {
        match expr.eval(facts).now() {
            None => put(if flags.dash && !flags.quote { b"-" } else { b"" }, flags, out),
            Some(sample) => {
                let mut text = Scratch::new();
                let bytes = match &sample {
                    Sample::Str(_) | Sample::Bin(_) | Sample::Meth(_) => {
                        sample.as_bytes().unwrap_or_default()
                    }
                    other => {
                        other.write_text(&mut text);
                        &text
                    }
                };
                if self.log {
                    put_encoded(bytes, flags, out);
                } else {
                    put(bytes, flags, out);
                }
            }
        }
    }

    /// The text when nothing in it depends on traffic.
    pub fn constant(&self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        for item in &self.items {
            match item {
                Item::Text(text) => out.extend_from_slice(text),
                Item::Space => out.push(b' '),
                Item::Alias(..) | Item::Expr(..) => return None,
            }
        }
        Some(out)
    }
}

/// Writes bytes as the flags say.
pub(super) fn put(bytes: &[u8], flags: Flags, out: &mut Vec<u8>) {
    if flags.quote {
        out.push(b'"');
    }
    for byte in bytes {
        if flags.escape && matches!(byte, b'"' | b'\\' | b']') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    if flags.quote {
        out.push(b'"');
    }
}

/// As [`put`], with everything a terminal or a log parser could misread as `#XX`.
pub(super) fn put_encoded(bytes: &[u8], flags: Flags, out: &mut Vec<u8>) {
    if flags.quote {
        out.push(b'"');
    }
    for byte in bytes {
        match byte {
            b'"' if flags.escape => out.extend_from_slice(b"\\\""),
            0x20..=0x7e if *byte != b'"' && *byte != b'#' => out.push(*byte),
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                out.extend_from_slice(&[
                    b'#',
                    DIGITS[usize::from(byte >> 4)],
                    DIGITS[usize::from(byte & 15)],
                ]);
            }
        }
    }
    if flags.quote {
        out.push(b'"');
    }
}

struct Reader<'w> {
    word: &'w Word,
    items: Vec<Item>,
    text: Vec<u8>,
    flags: Flags,
    log: bool,
}

impl Reader<'_> {
    fn read(&mut self, cx: &mut ParseCx<'_>) -> Result<(), Diag> {
        let text = self.word.text.clone();
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            match (byte, bytes.get(at + 1)) {
                (b'%', Some(b'%')) => {
                    self.text.push(b'%');
                    at += 2;
                }
                (b'%', _) => at = self.variable(&text, at, cx)?,
                (b' ', _) if self.log => {
                    self.end_text();
                    self.items.push(Item::Space);
                    at += 1;
                }
                (byte, _) => {
                    self.text.push(*byte);
                    at += 1;
                }
            }
        }
        self.end_text();
        Ok(())
    }

    fn end_text(&mut self) {
        if !self.text.is_empty() {
            self.items.push(Item::Text(std::mem::take(&mut self.text).into()));
        }
    }

    /// One `%...` that begins at `at`; gives the first byte behind it.
    fn variable(&mut self, text: &str, at: usize, cx: &mut ParseCx<'_>) -> Result<usize, Diag> {
        self.end_text();
        let bytes = text.as_bytes();
        let mut flags = self.flags;
        let mut next = at + 1;
        if bytes.get(next) == Some(&b'{') {
            let end = text[next..]
                .find('}')
                .map(|n| next + n)
                .ok_or_else(|| self.flaw(at, 2, "this \"%{\" has no \"}\""))?;
            self.set_flags(&text[next + 1..end], next + 1, &mut flags)?;
            next = end + 1;
        }
        if bytes.get(next) == Some(&b'[') {
            let (expr, end) = compile::expr(text, next + 1, cx).map_err(|flaw| flaw.in_word(self.word, 0))?;
            if bytes.get(end) != Some(&b']') {
                return Err(self.flaw(
                    end.min(text.len().saturating_sub(1)),
                    1,
                    "expected \"]\" after the expression",
                ));
            }
            self.items.push(Item::Expr(Box::new(expr), flags));
            return Ok(end + 1);
        }
        let len = bytes[next..].iter().take_while(|b| b.is_ascii_alphanumeric()).count();
        let name = &text[next..next + len];
        if name == "o" {
            self.flags = flags;
            return Ok(next + len);
        }
        let Some(alias) = alias::find(name) else {
            let what = if name.is_empty() {
                "expected an alias or \"[\" after \"%\" (a \"%\" itself is written \"%%\")".to_owned()
            } else {
                format!("unknown log-format alias \"%{name}\"")
            };
            let diag = self.flaw(at, 1 + len, what);
            return Err(match suggest::did_you_mean(name, alias::ALL.iter().map(|a| a.name)) {
                Some(help) => diag.help(help),
                None => diag,
            });
        };
        self.items.push(Item::Alias(alias, flags));
        Ok(next + len)
    }

    fn set_flags(&self, text: &str, at: usize, flags: &mut Flags) -> Result<(), Diag> {
        for part in text.split(',').filter(|p| !p.is_empty()) {
            let on = !part.starts_with('-');
            match part.trim_start_matches(['+', '-']) {
                "Q" => flags.quote = on,
                "X" => flags.hex = on,
                "E" => flags.escape = on,
                other => {
                    return Err(self.flaw(
                        at,
                        text.len(),
                        format!("unknown log-format flag \"{other}\", expected Q, X or E"),
                    ))
                }
            }
        }
        Ok(())
    }

    fn flaw(&self, at: usize, len: usize, what: impl Into<String>) -> Diag {
        self.word.err_at(at, len.max(1), what)
    }
}
