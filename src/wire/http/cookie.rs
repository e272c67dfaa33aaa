//! Cookie syntax: the pairs of one `Cookie` value and the parts of one `Set-Cookie` value.
//!
//! Values end at `;` or `,` outside quotes, quotes are part of them; names are compared with case by the callers. Every item
//! carries its extent, so that a persistence cookie can be cut out or rewritten in place.

use crate::scan;
use memchr::{memchr, memchr2, memchr3};

/// What stands between two separators of a Cookie value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Offset of the separator in front of it; 0 for the first.
    pub from: usize,
    /// Offset of the separator behind it, or the end.
    pub to: usize,
    /// The cookie, when there is an equals sign.
    pub pair: Option<Pair<'a>>,
    /// It belongs to the cookie before it: `$Path` and its kin (RFC 2965 3.3.4).
    pub is_attribute: bool,
}

/// One `name=value` of a Cookie header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// Trimmed name.
    pub name: &'a [u8],
    /// Trimmed value, quotes kept.
    pub value: &'a [u8],
    /// Extent of name and value in the header value.
    pub span: (usize, usize),
    /// Offset of the first byte of `value` in the header value.
    pub value_at: usize,
}

/// The pieces of one `Cookie` value, in order, empty ones included.
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    whole: &'a [u8],
    /// Where the next piece begins, and where the separator in front of it is.
    next: Option<(usize, usize)>,
}

impl<'a> Pieces<'a> {
    /// Walks over one field value.
    pub fn new(value: &'a [u8]) -> Self {
        Pieces { whole: value, next: (!value.is_empty()).then_some((0, 0)) }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let (start, from) = self.next?;
        let rest = self.whole.get(start..)?;
        let equal = memchr3(b'=', b';', b',', rest).unwrap_or(rest.len());
        let value = rest.get(equal).filter(|b| **b == b'=').and_then(|_| rest.get(equal + 1..));
        let len = value.map_or(equal, |value| equal + 1 + value_end(value));
        let to = start + len;
        self.next = (to < self.whole.len()).then_some((to + 1, to));
        let text = rest.get(..len).unwrap_or_default();
        let pair = value.is_some().then(|| pair(text, start)).flatten();
        Some(Piece { from, to, pair, is_attribute: scan::trim(text).first() == Some(&b'$') })
    }
}

/// Where a value ends: at a separator outside quotes (RFC 2965 3.1, which is older than browsers' ways and what rules were
/// written for).
fn value_end(text: &[u8]) -> usize {
    let (mut at, mut quoted) = (0, false);
    while let Some(rest) = text.get(at..) {
        let Some(stop) = (match quoted {
            true => memchr2(b'"', b'\\', rest),
            false => memchr3(b'"', b';', b',', rest),
        }) else {
            break;
        };
        at += stop;
        match text.get(at) {
            Some(b'"') => quoted = !quoted,
            Some(b'\\') => at += 1,
            _ => return at,
        }
        at += 1;
    }
    text.len()
}

/// The cookies of one `Cookie` value, in order.
#[derive(Clone, Debug)]
pub struct Pairs<'a>(Pieces<'a>);

impl<'a> Pairs<'a> {
    /// Walks over one field value.
    pub fn new(value: &'a [u8]) -> Self {
        Pairs(Pieces::new(value))
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Pair<'a>> {
        self.0.by_ref().filter(|piece| !piece.is_attribute).find_map(|piece| piece.pair)
    }
}

/// A cookie, from a text with an equals sign.
fn pair(text: &[u8], start: usize) -> Option<Pair<'_>> {
    let (name, value) = scan::split_once(text, b'=')?;
    let lead = |part: &[u8]| part.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let value_at = start + text.len() - value.len() + lead(value);
    let (from, value) = (start + lead(text), scan::trim(value));
    let to = (value_at + value.len()).min(start + text.len());
    Some(Pair { name: scan::trim(name), value, span: (from, to), value_at })
}

/// A `Set-Cookie` value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetCookie<'a> {
    /// The cookie itself.
    pub pair: Pair<'a>,
    /// Everything after the first `;`: attributes, not parsed.
    pub attributes: &'a [u8],
}

/// Reads one `Set-Cookie` value. `None` when it holds no cookie.
pub fn set_cookie(value: &[u8]) -> Option<SetCookie<'_>> {
    let name = memchr3(b'=', b';', b',', value).filter(|at| value.get(*at) == Some(&b'='))?;
    let end = name + 1 + value_end(value.get(name + 1..)?);
    let (first, rest) = value.split_at_checked(end)?;
    let attributes = memchr(b';', rest).and_then(|at| rest.get(at + 1..)).unwrap_or_default();
    let pair = pair(first, 0)?;
    (!pair.name.is_empty()).then_some(SetCookie { pair, attributes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_a_cookie_header() {
        let value = b"a=1; b = \"x; y\" ;; c; =v, d=e=f ; q=\"\\\";\"x;$Path=/; u=\"; z=1";
        let got: Vec<_> = Pairs::new(value).map(|p| (p.name, p.value)).collect();
        let want: Vec<(&[u8], &[u8])> = vec![
            (b"a", b"1"),
            (b"b", b"\"x; y\""),
            (b"", b"v"),
            (b"d", b"e=f"),
            (b"q", b"\"\\\";\"x"),
            (b"u", b"\"; z=1"),
        ];
        assert_eq!(got, want);
        for p in Pairs::new(value) {
            assert_eq!(&value[p.value_at..p.value_at + p.value.len()], p.value);
            assert!(
                value[p.span.0..p.span.1].starts_with(p.name) && value[p.span.0..p.span.1].ends_with(p.value)
            );
        }
        assert_eq!(Pairs::new(b"").count(), 0);
        assert_eq!(Pairs::new(b" ; ;").count(), 0);
        let pieces: Vec<_> = Pieces::new(b"; a=1,b").map(|p| (p.from, p.to, p.pair.is_some())).collect();
        assert_eq!(pieces, [(0, 0, false), (0, 5, true), (5, 7, false)]);
    }

    #[test]
    fn set_cookie_parts() {
        let sc = set_cookie(b"SID=abc; Path=/; HttpOnly").unwrap();
        assert_eq!(
            (sc.pair.name, sc.pair.value, sc.attributes),
            (&b"SID"[..], &b"abc"[..], &b" Path=/; HttpOnly"[..])
        );
        assert_eq!(sc.pair.value_at, 4);
        assert!(set_cookie(b"").is_none());
        assert!(set_cookie(b"; Path=/").is_none());
        assert!(set_cookie(b"novalue").is_none());
        assert_eq!(set_cookie(b"x=").unwrap().pair.value, b"");
    }
}
