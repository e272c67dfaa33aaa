//! The cookie in the first packet of a remote desktop client (MS-RDPBCGR 2.2.1.1).
//!
//! Behind TPKT (4 bytes) and X.224 (7 bytes) stands `Cookie: name=value` and the end of the line.

use crate::error::{Malformed, Parse, What};
use crate::scan;

/// Longest packet that is waited for: TPKT lengths have two bytes, real ones stay below 200.
const PACKET_MAX: usize = 4096;

/// A cookie: what stands before and behind the equals sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie<'a> {
    /// `mstshash`, `msts`... in the client's spelling.
    pub name: &'a [u8],
    /// Up to the end of the line.
    pub value: &'a [u8],
}

/// Reads the cookie from the first bytes of a connection.
pub fn cookie(bytes: &[u8]) -> Parse<Cookie<'_>> {
    let bad = |at| Parse::Bad(Malformed::new(What::NotRdp, at));
    match bytes.first() {
        None => return Parse::Need,
        Some(3) => {}
        Some(_) => return bad(0),
    }
    let Some(text) = bytes.get(11..) else { return Parse::Need };
    let word = text.get(..WORD.len()).unwrap_or(text);
    if !WORD.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word)) {
        return bad(11);
    }
    let Some(line) = text.get(WORD.len()..) else { return Parse::Need };
    let Some(end) = memchr::memchr(b'\r', line) else {
        return if bytes.len() < PACKET_MAX { Parse::Need } else { bad(11) };
    };
    match line.get(end + 1) {
        None => return Parse::Need,
        Some(b'\n') => {}
        Some(_) => return bad(11 + WORD.len() + end),
    }
    let spaces = line.iter().take_while(|byte| **byte == b' ').count();
    let pair = line.get(spaces..end).unwrap_or_default();
    match scan::split_once(pair, b'=') {
        Some((name, value)) if !name.is_empty() => {
            Parse::Done(Cookie { name, value }, 11 + WORD.len() + end + 2)
        }
        _ => bad(11 + WORD.len()),
    }
}

/// As clients write it; they may write it in any case.
const WORD: &[u8] = b"Cookie:";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Option<(String, String)>> {
        let bytes = [b"\x03\x00\x00\x2a\x25\xe0\x00\x00\x00\x00\x00", text.as_bytes()].concat();
        let own = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        match cookie(&bytes) {
            Parse::Done(c, _) => Some(Some((own(c.name), own(c.value)))),
            Parse::Need => None,
            Parse::Bad(_) => Some(None),
        }
    }

    #[test]
    fn cookies_of_remote_desktops() {
        let found = |name: &str, value: &str| Some(Some((name.to_string(), value.to_string())));
        let table = [
            ("Cookie: mstshash=anna\r\n", found("mstshash", "anna")),
            ("cookie:MSTS=1.2.0000\r\nmore", found("MSTS", "1.2.0000")),
            ("Cookie: a=\r\n", found("a", "")),
            ("Cookie: mstshash=anna\r", None),
            ("Cookie: mstshash=anna", None),
            ("Coo", None),
            ("", None),
            ("Cookie: anna\r\n", Some(None)),
            ("Cookie: =anna\r\n", Some(None)),
            ("Cookie: a=b\rx", Some(None)),
            ("Cokie: a=b\r\n", Some(None)),
        ];
        for (text, expected) in table {
            assert_eq!(read(text), expected, "{text}");
        }
        assert_eq!(cookie(b""), Parse::Need);
        assert_eq!(cookie(b"\x03\x00"), Parse::Need);
        assert!(matches!(cookie(b"\x16\x03\x01"), Parse::Bad(_)));
        assert_eq!(read(&format!("Cookie: a={}", "b".repeat(PACKET_MAX))), Some(None));
    }
}
