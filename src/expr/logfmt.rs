//! Log-format strings: text, aliases (`%ci`) and expressions (`%[src]`), compiled once.
//!
//! They make log lines, and every argument that the manual calls `<fmt>`. The two differ in what stands
//! for a missing value (`-` in logs, nothing elsewhere) and in how bytes a terminal should not see are
//! written (`#XX` in logs). In logs spaces never pile up: one is written for any number of them, none at the beginning.

mod code;
mod read;

use super::alias;
use super::compile::{Expr, ParseCx};
use super::sample::{Sample, Scratch};
use super::view::Facts;
use crate::lang::diag::Diag;
use crate::lang::word::Word;
use code::{Cast, Coder};
use read::Reader;

pub use code::Coding;

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
    /// A log line: what is missing shows as `-`, what a terminal should not see as `#XX`.
    Log,
    /// Text of a field, a target, a body: controls from expressions become `%XX`, but CR, LF and NUL stay and
    /// are judged where the text is put.
    Field,
    /// A unique id: as a field, with the spaces of a log line.
    Id,
    /// Text that stays within the program: a variable, a key, a name.
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
    /// `+bin`: CBOR as bytes rather than as hexadecimal digits.
    pub binary: bool,
    /// `+json`, `+cbor`.
    pub coding: Coding,
}

impl Flags {
    /// Values are written as they are, not as JSON or CBOR.
    pub fn is_plain(self) -> bool {
        self.coding == Coding::Plain
    }
}

enum Item {
    Text(Box<[u8]>),
    /// One space, unless there was one just before.
    Space,
    Value(Node),
}

/// One `%...`.
struct Node {
    what: What,
    flags: Flags,
    /// `%(name)`: what JSON and CBOR call it.
    name: Box<str>,
    /// `%(name:type)`.
    cast: Option<Cast>,
}

impl Node {
    fn is_captures(&self) -> bool {
        matches!(&self.what, What::Alias(alias) if matches!(alias.name, "hr" | "hrl" | "hs" | "hsl"))
    }
}

enum What {
    Alias(&'static alias::Alias),
    Expr(Box<Expr>),
}

/// A compiled log-format string.
pub struct LogFmt {
    items: Vec<Item>,
    usage: Use,
    /// What `%o` in front of all asked for: one object of the values that have names.
    whole: Flags,
}

impl LogFmt {
    /// Compiles a word.
    pub fn compile(word: &Word, usage: Use, cx: &mut ParseCx<'_>) -> Result<LogFmt, Diag> {
        let spaces = matches!(usage, Use::Log | Use::Id);
        let flags = Flags { dash: usage == Use::Log, ..Flags::default() };
        let (items, text, whole) = (Vec::new(), Vec::new(), Flags::default());
        let mut reader = Reader { word, items, text, flags, whole, spaces, fresh: true };
        reader.read(cx)?;
        Ok(LogFmt { items: reader.items, usage, whole: reader.whole })
    }

    /// Appends the string as it is now.
    pub fn write(&self, facts: &Facts<'_>, out: &mut Vec<u8>) {
        if !self.whole.is_plain() {
            return self.write_object(facts, out);
        }
        let mut spaced = true;
        for item in &self.items {
            match item {
                Item::Text(text) => out.extend_from_slice(text),
                Item::Space if spaced => {}
                Item::Space => out.push(b' '),
                Item::Value(node) => {
                    let before = out.len();
                    self.write_node(node, facts, out);
                    // captures that nobody declared leave no gap
                    if out.len() == before && node.is_captures() {
                        continue;
                    }
                }
            }
            spaced = matches!(item, Item::Space);
        }
    }

    fn write_node(&self, node: &Node, facts: &Facts<'_>, out: &mut Vec<u8>) {
        if !node.flags.is_plain() {
            return self.write_coded(node, facts, &mut Coder::new(node.flags, out));
        }
        let expr = match &node.what {
            What::Alias(alias) => return (alias.write)(facts, node.flags, out),
            What::Expr(expr) => expr,
        };
        let sample = expr.eval(facts).now();
        let mut text = Scratch::new();
        let bytes = match &sample {
            None => &[],
            Some(sample @ (Sample::Str(_) | Sample::Bin(_) | Sample::Meth(_))) => {
                sample.as_bytes().unwrap_or_default()
            }
            Some(other) => {
                other.write_text(&mut text);
                &*text
            }
        };
        match self.usage {
            Use::Log => put_text(bytes, node.flags, out),
            Use::Field | Use::Id => put(bytes, node.flags, escaped_control, out),
            Use::Text => put(bytes, node.flags, |_, _| false, out),
        }
    }

    /// An object of the values that have names.
    fn write_object(&self, facts: &Facts<'_>, out: &mut Vec<u8>) {
        let mut coder = Coder::new(self.whole, out);
        coder.begin();
        for item in &self.items {
            if let Item::Value(node) = item {
                if !node.name.is_empty() {
                    coder.key(&node.name);
                    self.write_coded(node, facts, &mut coder);
                }
            }
        }
        coder.end();
    }

    fn write_coded(&self, node: &Node, facts: &Facts<'_>, coder: &mut Coder<'_>) {
        match &node.what {
            What::Expr(expr) => coder.sample(expr.eval(facts).now(), node.cast),
            What::Alias(alias) => {
                let mut text = Scratch::new();
                (alias.write)(facts, node.flags, &mut text);
                coder.alias(&text, alias.number && !node.flags.hex, node.cast);
            }
        }
    }

    /// The text when nothing in it depends on traffic.
    pub fn constant(&self) -> Option<Vec<u8>> {
        if !self.whole.is_plain() {
            return None;
        }
        let mut out = Vec::new();
        let mut spaced = true;
        for item in &self.items {
            match item {
                Item::Text(text) => out.extend_from_slice(text),
                Item::Space if spaced => {}
                Item::Space => out.push(b' '),
                Item::Value(_) => return None,
            }
            spaced = matches!(item, Item::Space);
        }
        Some(out)
    }
}

/// Writes bytes as the flags say; `other` writes a byte in a way of its own, if it has one for it.
fn put(bytes: &[u8], flags: Flags, other: impl Fn(u8, &mut Vec<u8>) -> bool, out: &mut Vec<u8>) {
    if flags.quote {
        out.push(b'"');
    }
    for byte in bytes {
        if other(*byte, out) {
            continue;
        }
        if flags.escape && matches!(byte, b'"' | b'\\' | b']') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    if flags.quote {
        out.push(b'"');
    }
}

/// A value of a log line: `-` when there is none, controls as `#XX`.
pub(super) fn put_text(bytes: &[u8], flags: Flags, out: &mut Vec<u8>) {
    if bytes.is_empty() && flags.dash && !flags.quote && flags.is_plain() {
        out.push(b'-');
        return;
    }
    put(bytes, flags, |byte, out| byte.is_ascii_control() && !flags.binary && hashed(byte, out), out);
}

/// What a client wrote into a log line: all that is not visible ASCII, `"` and `#` become `#XX`.
pub(super) fn put_encoded(bytes: &[u8], flags: Flags, out: &mut Vec<u8>) {
    let other = |byte: u8, out: &mut Vec<u8>| match byte {
        // JSON and CBOR write these in their own ways
        b'"' | b'#' if !flags.is_plain() => false,
        b'"' | b'#' => hashed(byte, out),
        0x20..=0x7e => false,
        _ => hashed(byte, out),
    };
    put(bytes, flags, other, out);
}

fn hashed(byte: u8, out: &mut Vec<u8>) -> bool {
    in_hex(b'#', byte, out)
}

/// Controls that no message may hold, but those that make it another message: they are refused later.
fn escaped_control(byte: u8, out: &mut Vec<u8>) -> bool {
    byte.is_ascii_control() && !matches!(byte, b'\t' | b'\r' | b'\n' | 0) && in_hex(b'%', byte, out)
}

fn in_hex(mark: u8, byte: u8, out: &mut Vec<u8>) -> bool {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(&[mark, DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    true
}

#[cfg(test)]
mod tests;
