//! Cookie syntax: the pairs of one `Cookie` value and the parts of one `Set-Cookie` value.
//!
//! Lenient as browsers are (RFC 6265 5): anything up to `;` is a value, quotes included; names are
//! compared with case by the callers. Every item carries its extent, so that a persistence cookie can
//! be cut out or rewritten in place.

use crate::scan;
use memchr::memchr;

/// One `name=value` of a Cookie header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// Trimmed name; empty when the pair has no `=`.
    pub name: &'a [u8],
    /// Trimmed value, quotes kept.
    pub value: &'a [u8],
    /// Extent of the pair in the header value, up to the `;` that ends it, not including it.
    pub span: (usize, usize),
    /// Offset of the first byte of `value` in the header value.
    pub value_at: usize,
}

/// The pairs of one `Cookie` value, in order; empty pairs are skipped.
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    whole: &'a [u8],
    at: usize,
}

impl<'a> Pairs<'a> {
    /// Walks over one field value.
    pub fn new(value: &'a [u8]) -> Self {
        Pairs { whole: value, at: 0 }
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Pair<'a>> {
        loop {
            let rest = self.whole.get(self.at..)?;
            if rest.is_empty() {
                return None;
            }
            let start = self.at;
            let len = memchr(b';', rest).unwrap_or(rest.len());
            self.at = start + len + 1;
            let text = rest.get(..len)?;
            if let Some(pair) = pair(text, start) {
                return Some(pair);
            }
        }
    }
}

fn pair(text: &[u8], start: usize) -> Option<Pair<'_>> {
    if scan::trim(text).is_empty() {
        return None;
    }
    let span = (start, start + text.len());
    let (name, value) = scan::split_once(text, b'=').unwrap_or((&[], text));
    let lead = value.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let value_at = span.1 - value.len() + lead;
    Some(Pair { name: scan::trim(name), value: scan::trim(value), span, value_at })
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
    let (first, attributes) = scan::split_once(value, b';').unwrap_or((value, &[]));
    let pair = pair(first, 0)?;
    (!pair.name.is_empty()).then_some(SetCookie { pair, attributes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_a_cookie_header() {
        let value = b"a=1; b = \"x y\" ;; c; =v; d=e=f ;";
        let got: Vec<_> = Pairs::new(value).map(|p| (p.name, p.value)).collect();
        let want: Vec<(&[u8], &[u8])> =
            vec![(b"a", b"1"), (b"b", b"\"x y\""), (b"", b"c"), (b"", b"v"), (b"d", b"e=f")];
        assert_eq!(got, want);
        for p in Pairs::new(value) {
            assert_eq!(&value[p.value_at..p.value_at + p.value.len()], p.value);
            assert!(!value[p.span.0..p.span.1].contains(&b';'));
        }
        assert_eq!(Pairs::new(b"").count(), 0);
        assert_eq!(Pairs::new(b" ; ;").count(), 0);
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
