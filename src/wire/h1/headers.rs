//! One field line (RFC 9112 5): name, colon, value, white space around the value cut off.
//!
//! Called for every line of a head and of a trailer section; NUL and bare CR were already refused by
//! the search for the line's end.

use super::Violations;
use crate::error::{Malformed, What};
use crate::http::name::Tag;
use crate::token;

/// A field line as offsets into its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldLine {
    /// The name is `line[..name_end]`.
    pub name_end: usize,
    /// The value is `line[value.0..value.1]`.
    pub value: (usize, usize),
    /// What field it is.
    pub tag: Tag,
}

/// Longest name: what an index entry can hold.
pub const NAME_MAX: usize = u16::MAX as usize;

/// Reads one field line; `line` is not empty and ends before its CR LF.
#[inline]
pub fn parse(line: &[u8], violations: Violations) -> Result<FieldLine, Malformed> {
    let mut name_end = token::prefix(line, token::TOKEN);
    if line.get(name_end) != Some(&b':') || name_end == 0 {
        name_end = odd_name(line, name_end, violations)?;
    }
    if name_end > NAME_MAX {
        return Err(Malformed::new(What::NameTooLong, NAME_MAX));
    }
    let (name, after) = line.split_at_checked(name_end).unwrap_or_default();
    let raw = after.get(1..).unwrap_or_default();
    let mut value = raw;
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    let start = line.len() - value.len();
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    Ok(FieldLine { name_end, value: (start, start + value.len()), tag: Tag::of(name) })
}

/// Says what is wrong with a name, or where it ends when violations are accepted.
#[cold]
fn odd_name(line: &[u8], stop: usize, violations: Violations) -> Result<usize, Malformed> {
    let colon = memchr::memchr(b':', line);
    match (line.first(), colon) {
        (Some(b' ' | b'\t'), _) => Err(Malformed::new(What::ObsFold, 0)),
        (_, None) => Err(Malformed::new(What::ColonMissing, stop)),
        (_, Some(0)) => Err(Malformed::new(What::NameEmpty, 0)),
        // A space before the colon makes some servers see another name: never let through.
        (_, Some(at)) if line.get(at - 1).is_some_and(|b| matches!(b, b' ' | b'\t')) => {
            Err(Malformed::new(What::NameByte, at - 1))
        }
        (_, Some(at)) if violations == Violations::Accept => Ok(at),
        _ => Err(Malformed::new(What::NameByte, stop)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Violations::{Accept, Refuse};

    #[test]
    fn valid_lines() {
        for (line, name, value, tag) in [
            ("Host: a", "Host", "a", Tag::Host),
            ("host:a", "host", "a", Tag::Host),
            ("X: \t a b \t", "X", "a b", Tag::Other),
            ("X:", "X", "", Tag::Other),
            ("X:  ", "X", "", Tag::Other),
            ("X: a:b", "X", "a:b", Tag::Other),
            ("Content-Length: 5", "Content-Length", "5", Tag::ContentLength),
        ] {
            let got = parse(line.as_bytes(), Refuse).unwrap();
            assert_eq!((&line[..got.name_end], &line[got.value.0..got.value.1], got.tag), (name, value, tag));
        }
    }

    #[test]
    fn refused_lines() {
        for (line, what, at, loose) in [
            (&b" folded"[..], What::ObsFold, 0, false),
            (b"\tfolded: x", What::ObsFold, 0, false),
            (b"nocolon", What::ColonMissing, 7, false),
            (b": x", What::NameEmpty, 0, false),
            (b"Host : a", What::NameByte, 4, false),
            (b"Host\t: a", What::NameByte, 4, false),
            (b"a b: c", What::NameByte, 1, true),
            (b"a\"b: c", What::NameByte, 1, true),
            (b"caf\xe9: c", What::NameByte, 3, true),
            (b"a(: c", What::NameByte, 1, true),
        ] {
            assert_eq!(parse(line, Refuse), Err(Malformed::new(what, at)), "{line:?}");
            assert_eq!(parse(line, Accept).is_ok(), loose, "{line:?}");
        }
        let long = [b"x".repeat(NAME_MAX + 1), b": y".to_vec()].concat();
        assert_eq!(parse(&long, Refuse), Err(Malformed::new(What::NameTooLong, NAME_MAX)));
    }
}
