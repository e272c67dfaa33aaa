//! Values of log-format strings as JSON (RFC 8259) or CBOR (RFC 8949).
//!
//! CBOR is written as hexadecimal digits, so that it passes through everything that carries lines, unless
//! `+bin` asks for the bytes.

use super::Flags;
use crate::expr::sample::{write_fmt, write_int, Sample, Scratch};

/// In which form values are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Coding {
    /// As text.
    #[default]
    Plain,
    /// `+json`
    Json,
    /// `+cbor`
    Cbor,
}

/// The type a value is made to have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cast {
    Bool,
    Int,
    Str,
}

impl Cast {
    /// The type of this name.
    pub fn of(name: &str) -> Option<Cast> {
        match name {
            "bool" => Some(Cast::Bool),
            "sint" => Some(Cast::Int),
            "str" => Some(Cast::Str),
            _ => None,
        }
    }
}

/// Writes values one after the other.
pub(super) struct Coder<'o> {
    flags: Flags,
    first: bool,
    out: &'o mut Vec<u8>,
}

/// Major types of CBOR (RFC 8949 section 3.1), in place.
mod major {
    pub const UNSIGNED: u8 = 0 << 5;
    pub const NEGATIVE: u8 = 1 << 5;
    pub const BYTES: u8 = 2 << 5;
    pub const TEXT: u8 = 3 << 5;
    /// Begin of a map whose end is marked.
    pub const MAP: u8 = 0xbf;
    pub const END: u8 = 0xff;
    pub const FALSE: u8 = 0xf4;
    pub const NULL: u8 = 0xf6;
}

impl<'o> Coder<'o> {
    /// Writes to `out` as the flags say.
    pub fn new(flags: Flags, out: &'o mut Vec<u8>) -> Self {
        Coder { flags, first: true, out }
    }

    /// Begins an object.
    pub fn begin(&mut self) {
        match self.flags.coding {
            Coding::Json => self.out.push(b'{'),
            _ => self.bytes(&[major::MAP]),
        }
    }

    /// Ends it.
    pub fn end(&mut self) {
        match self.flags.coding {
            Coding::Json => self.out.push(b'}'),
            _ => self.bytes(&[major::END]),
        }
    }

    /// The name of the value that follows.
    pub fn key(&mut self, name: &str) {
        if self.flags.coding == Coding::Json && !self.first {
            self.out.extend_from_slice(b", ");
        }
        self.first = false;
        self.text(name.as_bytes());
        if self.flags.coding == Coding::Json {
            self.out.extend_from_slice(b": ");
        }
    }

    /// What an alias wrote.
    pub fn alias(&mut self, text: &[u8], number: bool, cast: Option<Cast>) {
        let int = || std::str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok());
        let cast = cast.unwrap_or(if number { Cast::Int } else { Cast::Str });
        match (cast, int()) {
            _ if text.is_empty() => self.null(),
            (Cast::Int, Some(n)) => self.int(n),
            (Cast::Bool, Some(n)) => self.bool(n != 0),
            _ => self.text(text),
        }
    }

    /// The value of an expression.
    pub fn sample(&mut self, sample: Option<Sample<'_>>, cast: Option<Cast>) {
        let Some(sample) = sample else { return self.null() };
        match (&sample, cast) {
            (Sample::Bool(b), None | Some(Cast::Bool)) => self.bool(*b),
            (Sample::Bool(b), Some(Cast::Int)) => self.int((*b).into()),
            (Sample::Int(n), None | Some(Cast::Int)) => self.int(*n),
            (Sample::Int(n), Some(Cast::Bool)) => self.bool(*n != 0),
            (Sample::Bin(bytes), None) if self.flags.coding == Coding::Cbor => {
                self.head(major::BYTES, bytes.len() as u64);
                self.bytes(bytes);
            }
            _ => {
                let mut text = Scratch::new();
                sample.write_text(&mut text);
                match cast {
                    Some(Cast::Int | Cast::Bool) => self.alias(&text, true, cast),
                    _ => self.text(&text),
                }
            }
        }
    }

    fn null(&mut self) {
        match self.flags.coding {
            Coding::Json => self.out.extend_from_slice(b"null"),
            _ => self.bytes(&[major::NULL]),
        }
    }

    fn bool(&mut self, b: bool) {
        match self.flags.coding {
            Coding::Json => self.out.extend_from_slice(if b { b"true" } else { b"false" }),
            _ => self.bytes(&[major::FALSE + u8::from(b)]),
        }
    }

    fn int(&mut self, n: i64) {
        match self.flags.coding {
            Coding::Json => write_int(self.out, n),
            _ if n < 0 => self.head(major::NEGATIVE, !n as u64),
            _ => self.head(major::UNSIGNED, n as u64),
        }
    }

    /// Text is UTF-8 in both forms: what is not becomes U+FFFD.
    fn text(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        if self.flags.coding != Coding::Json {
            self.head(major::TEXT, text.len() as u64);
            return self.bytes(text.as_bytes());
        }
        self.out.push(b'"');
        for c in text.chars() {
            match c {
                '"' | '\\' => self.out.extend_from_slice(&[b'\\', c as u8]),
                '\n' => self.out.extend_from_slice(b"\\n"),
                '\r' => self.out.extend_from_slice(b"\\r"),
                '\t' => self.out.extend_from_slice(b"\\t"),
                c if c.is_control() => write_fmt(self.out, format_args!("\\u{:04x}", c as u32)),
                c => write_fmt(self.out, format_args!("{c}")),
            }
        }
        self.out.push(b'"');
    }

    /// The head of a CBOR item (RFC 8949 section 3), as short as it can be.
    fn head(&mut self, major: u8, n: u64) {
        match n {
            0..24 => self.bytes(&[major | n as u8]),
            24..0x100 => self.bytes(&[major | 24, n as u8]),
            0x100..0x1_0000 => {
                self.bytes(&[major | 25]);
                self.bytes(&(n as u16).to_be_bytes());
            }
            0x1_0000..0x1_0000_0000 => {
                self.bytes(&[major | 26]);
                self.bytes(&(n as u32).to_be_bytes());
            }
            _ => {
                self.bytes(&[major | 27]);
                self.bytes(&n.to_be_bytes());
            }
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        match self.flags.binary {
            true => self.out.extend_from_slice(bytes),
            false => bytes.iter().for_each(|byte| write_fmt(self.out, format_args!("{byte:02X}"))),
        }
    }
}
