//! `normalize-uri`: one way to write a target in place of many (RFC 3986 section 6.2.2).

use super::ActionKw;
use crate::expr::compile::ParseCx;
use crate::expr::sample::Scratch;
use crate::lang::diag::Diag;
use crate::lang::word::Words;
use crate::msg::Head;
use crate::plan::rule::{Act, Action, ActionCx, Sites};

/// The row.
pub const ROWS: &[ActionKw] = &[ActionKw::new(
    "normalize-uri",
    Sites::HTTP_REQ,
    parse,
    "normalize-uri <way> [full|strict]",
    "writes the target the one way all should write it",
    "http-request normalize-uri path-merge-slashes",
)
.text(
    "Ways: fragment-encode (\"#\" becomes \"%23\"), fragment-strip (\"#\" and what follows goes), path-merge-slashes, \
     path-strip-dot (\"/./\"), path-strip-dotdot (\"/a/../\"; with \"full\" also at the beginning), \
     percent-decode-unreserved, percent-to-uppercase (with \"strict\", escapes that are none are answered with 400), \
     query-sort-by-name.",
)];

/// What of the target is rewritten.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    Query,
    /// Path and query.
    Both,
}

/// Rewrites a part; `None`: it is wrong, and the request is refused.
type Way = fn(&[u8], bool, &mut Vec<u8>) -> Option<()>;

/// Name, what it rewrites, how, and the word that changes how.
const WAYS: &[(&str, Part, Way, &str)] = &[
    ("fragment-encode", Part::Both, |t, _, o| each(t, o, |b| if b == b'#' { b"%23" } else { b"" }), ""),
    ("fragment-strip", Part::Both, strip_fragment, ""),
    ("path-merge-slashes", Part::Path, merge_slashes, ""),
    ("path-strip-dot", Part::Path, strip_dot, ""),
    ("path-strip-dotdot", Part::Path, strip_dotdot, "full"),
    ("percent-decode-unreserved", Part::Both, decode_unreserved, "strict"),
    ("percent-to-uppercase", Part::Both, uppercase, "strict"),
    ("query-sort-by-name", Part::Query, sort_query, ""),
];

struct Normalize {
    part: Part,
    way: Way,
    more: bool,
}

fn parse(words: &mut Words<'_>, _: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let word = words.need("what to write one way")?;
    let Some((_, part, way, option)) = WAYS.iter().find(|(name, ..)| word.is(name)) else {
        let known: Vec<&str> = WAYS.iter().map(|(name, ..)| *name).collect();
        return Err(word.not_one_of("way", &known));
    };
    let more = !option.is_empty() && words.eat(option);
    Ok(Box::new(Normalize { part: *part, way: *way, more }))
}

impl Action for Normalize {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        let Some(head) = cx.req.as_deref() else { return Act::Next };
        let (old, set): (&[u8], fn(&mut Head, &[u8]) -> _) = match self.part {
            Part::Path => (head.path(), Head::set_path),
            Part::Query => (head.query().unwrap_or_default(), Head::set_query),
            Part::Both => (head.pathq(), Head::set_pathq),
        };
        let mut new = Scratch::new();
        if (self.way)(old, self.more, &mut new).is_none() {
            // as a request that cannot be understood
            cx.txn.times.request = -1;
            return Act::Deny(400, None);
        }
        if old.is_empty() || *new == *old {
            return Act::Next;
        }
        cx.edit(|head| set(head, &new))
    }
}

/// Copies; bytes for which `as_text` gives something are replaced by it.
fn each(text: &[u8], out: &mut Vec<u8>, as_text: impl Fn(u8) -> &'static [u8]) -> Option<()> {
    for byte in text {
        match as_text(*byte) {
            [] => out.push(*byte),
            other => out.extend_from_slice(other),
        }
    }
    Some(())
}

fn strip_fragment(text: &[u8], _: bool, out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(&text[..memchr::memchr(b'#', text).unwrap_or(text.len())]);
    Some(())
}

fn merge_slashes(path: &[u8], _: bool, out: &mut Vec<u8>) -> Option<()> {
    for byte in path {
        if *byte != b'/' || out.last() != Some(&b'/') {
            out.push(*byte);
        }
    }
    Some(())
}

/// Segments of a path, each with the slash behind it, if it has one.
fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split_inclusive(|byte| *byte == b'/')
}

fn strip_dot(path: &[u8], _: bool, out: &mut Vec<u8>) -> Option<()> {
    for segment in segments(path) {
        if !matches!(segment, b"./" | b".") {
            out.extend_from_slice(segment);
        }
    }
    Some(())
}

/// A `..` takes the segment before it away; at the beginning it stays unless `full`.
fn strip_dotdot(path: &[u8], full: bool, out: &mut Vec<u8>) -> Option<()> {
    // from here on segments may be taken away: behind the first slash, and behind what must stay
    let mut floor = usize::from(path.first() == Some(&b'/'));
    for segment in segments(path) {
        if !matches!(segment, b"../" | b"..") {
            out.extend_from_slice(segment);
            continue;
        }
        if out.len() > floor {
            let before = &out[..out.len() - 1];
            let cut = memchr::memrchr(b'/', before).map_or(0, |slash| slash + 1);
            out.truncate(cut.max(floor));
        } else if !full {
            // what climbs above the root is a directory too
            out.extend_from_slice(b"../");
            floor = out.len();
        }
    }
    Some(())
}

/// Walks over escapes: `write` is given the digits of each, and its value.
fn escapes(
    text: &[u8],
    strict: bool,
    out: &mut Vec<u8>,
    write: impl Fn([u8; 2], u8, &mut Vec<u8>),
) -> Option<()> {
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                write([text[at + 1], text[at + 2]], (high << 4 | low) as u8, out);
                at += 3;
            }
            (b'%', ..) if strict => return None,
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    Some(())
}

fn decode_unreserved(text: &[u8], strict: bool, out: &mut Vec<u8>) -> Option<()> {
    escapes(text, strict, out, |digits, value, out| {
        if value.is_ascii_alphanumeric() || b"-._~".contains(&value) {
            out.push(value);
        } else {
            out.extend_from_slice(&[b'%', digits[0], digits[1]]);
        }
    })
}

fn uppercase(text: &[u8], strict: bool, out: &mut Vec<u8>) -> Option<()> {
    escapes(text, strict, out, |digits, _, out| {
        out.extend_from_slice(&[b'%', digits[0].to_ascii_uppercase(), digits[1].to_ascii_uppercase()]);
    })
}

/// Parameters by name, short names first; those of one name stay in order.
fn sort_query(query: &[u8], _: bool, out: &mut Vec<u8>) -> Option<()> {
    let mut pairs: Vec<&[u8]> = query.split(|byte| *byte == b'&').collect();
    pairs.sort_by_key(|pair| &pair[..memchr::memchr(b'=', pair).unwrap_or(pair.len())]);
    for (nth, pair) in pairs.iter().enumerate() {
        if nth > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(pair);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_written_one_way() {
        let table = [
            ("fragment-encode", "/#foo", "/%23foo"),
            ("fragment-strip", "/#foo", "/"),
            ("fragment-strip", "/a?b", "/a?b"),
            ("path-merge-slashes", "//", "/"),
            ("path-merge-slashes", "/foo//bar///", "/foo/bar/"),
            ("path-strip-dot", "/.", "/"),
            ("path-strip-dot", "/./bar/", "/bar/"),
            ("path-strip-dot", "/a/./a", "/a/a"),
            ("path-strip-dot", "/.well-known/", "/.well-known/"),
            ("path-strip-dot", "/./././", "/"),
            ("path-strip-dotdot", "/foo/../", "/"),
            ("path-strip-dotdot", "/foo/../bar/", "/bar/"),
            ("path-strip-dotdot", "/foo/bar/../", "/foo/"),
            ("path-strip-dotdot", "/foo/bar/..", "/foo/"),
            ("path-strip-dotdot", "/../bar/", "/../bar/"),
            ("path-strip-dotdot", "/bar/../../", "/../"),
            ("path-strip-dotdot", "/foo//../", "/foo/"),
            ("path-strip-dotdot", "/foo/%2E%2E/", "/foo/%2E%2E/"),
            ("path-strip-dotdot", "/../a/../b", "/../b"),
            ("path-strip-dotdot", "/..", "/../"),
            ("path-strip-dotdot full", "/../bar/", "/bar/"),
            ("path-strip-dotdot full", "/bar/../../", "/"),
            ("path-strip-dotdot full", "/../../..", "/"),
            ("percent-decode-unreserved", "/%61dmin%2D", "/admin-"),
            ("percent-decode-unreserved", "/foo%3Fbar=baz", "/foo%3Fbar=baz"),
            ("percent-decode-unreserved", "/%%36%36", "/%66"),
            ("percent-decode-unreserved", "/%ZZ", "/%ZZ"),
            ("percent-decode-unreserved strict", "/%%36%36", "!"),
            ("percent-decode-unreserved strict", "/%6", "!"),
            ("percent-to-uppercase", "/%6f%", "/%6F%"),
            ("percent-to-uppercase", "/%zz", "/%zz"),
            ("percent-to-uppercase strict", "/%zz", "!"),
            ("query-sort-by-name", "c=3&a=1&b=2", "a=1&b=2&c=3"),
            ("query-sort-by-name", "aaa=3&a=1&aa=2", "a=1&aa=2&aaa=3"),
            ("query-sort-by-name", "a=3&b=4&a=1&b=5&a=2", "a=3&a=1&a=2&b=4&b=5"),
            ("query-sort-by-name", "", ""),
        ];
        for (name, text, expected) in table {
            let (name, option) = name.split_once(' ').unwrap_or((name, ""));
            let (_, _, way, word) = WAYS.iter().find(|(known, ..)| *known == name).unwrap();
            assert!(option.is_empty() || option == *word);
            let mut out = Vec::new();
            let made =
                way(text.as_bytes(), !option.is_empty(), &mut out).map(|()| String::from_utf8(out).unwrap());
            assert_eq!(made.as_deref().unwrap_or("!"), expected, "{name} {option} {text}");
        }
    }
}
