//! Converters of JSON and of JSON Web Tokens.

use serde_json::Value as Json;

use super::{text_of, Conv};
use crate::expr::args::{Arg, Args, Kind};
use crate::expr::sample::{write_fmt, Sample, Scratch, Ty};
use crate::expr::view::Facts;

/// The rows of this family.
pub const ROWS: &[Conv] = &[
    Conv::new("json", Ty::Str, Ty::Str, json, "text escaped for a JSON string")
        .args("json([ascii|utf8|utf8s|utf8p|utf8ps])", 0, &[Kind::Choice(&["ascii", "utf8", "utf8s", "utf8p", "utf8ps"])])
        .text("Says how the input is read: as bytes (ascii), or as UTF-8 where s leaves errors out and p accepts overlong forms."),
    Conv::new("json_query", Ty::Str, Ty::Any, |s, a, _| query(s.as_bytes()?, a, 0), "a value of a JSON text")
        .args("json_query(<path>[,int])", 1, &[Kind::Str, Kind::Choice(&["int"])])
        .text("Paths are of the form $.name.name[0]. A backslash takes the meaning off a dot within a name.")
        .example("http-request set-var(txn.user) req.body,json_query('$.user.name')")
        .check(|_, args, _| check_path(args, 0)),
    Conv::new("jwt_header_query", Ty::Str, Ty::Any, |s, a, _| jwt(s, a, 0), "the header of a JSON Web Token, or a value of it")
        .args("jwt_header_query([<path>[,int]])", 0, &[Kind::Str, Kind::Choice(&["int"])])
        .check(|_, args, _| check_path(args, 0)),
    Conv::new("jwt_payload_query", Ty::Str, Ty::Any, |s, a, _| jwt(s, a, 1), "the claims of a JSON Web Token, or one of them")
        .args("jwt_payload_query([<path>[,int]])", 0, &[Kind::Str, Kind::Choice(&["int"])])
        .check(|_, args, _| check_path(args, 0)),
];

/// How `json` reads its input.
#[derive(Clone, Copy)]
struct Reading {
    ascii: bool,
    /// Errors are left out rather than failing.
    silent: bool,
    /// Overlong forms are read.
    permissive: bool,
}

fn json<'a>(s: Sample<'a>, args: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let how = match args.int(0, 0) {
        0 => Reading { ascii: true, silent: true, permissive: true },
        1 => Reading { ascii: false, silent: false, permissive: false },
        2 => Reading { ascii: false, silent: true, permissive: false },
        3 => Reading { ascii: false, silent: false, permissive: true },
        _ => Reading { ascii: false, silent: true, permissive: true },
    };
    let mut out = Scratch::new();
    let mut rest = s.as_bytes()?;
    while !rest.is_empty() {
        let (code, len) = if how.ascii { (Some(u32::from(rest[0])), 1) } else { utf8(rest, how.permissive) };
        rest = rest.get(len..).unwrap_or(b"");
        match code {
            // \u takes four digits: what is above has no form
            Some(code) if code <= 0xffff => escape(&mut out, code),
            _ if how.silent => {}
            _ => return None,
        }
    }
    Some(Sample::Str(out.into()))
}

fn escape(out: &mut Vec<u8>, code: u32) {
    match code {
        0x22 => out.extend_from_slice(b"\\\""),
        0x2f => out.extend_from_slice(b"\\/"),
        0x5c => out.extend_from_slice(b"\\\\"),
        0x08 => out.extend_from_slice(b"\\b"),
        0x0c => out.extend_from_slice(b"\\f"),
        0x0a => out.extend_from_slice(b"\\n"),
        0x0d => out.extend_from_slice(b"\\r"),
        0x09 => out.extend_from_slice(b"\\t"),
        0x20..=0x7e => out.push(code as u8),
        _ => write_fmt(out, format_args!("\\u{code:04x}")),
    }
}

/// The code point a text begins with, and the bytes it takes.
fn utf8(text: &[u8], overlong: bool) -> (Option<u32>, usize) {
    let (first, len, least) = match text[0] {
        b @ 0..=0x7f => return (Some(u32::from(b)), 1),
        b @ 0xc0..=0xdf => (u32::from(b & 0x1f), 2, 0x80),
        b @ 0xe0..=0xef => (u32::from(b & 0x0f), 3, 0x800),
        b @ 0xf0..=0xf7 => (u32::from(b & 0x07), 4, 0x1_0000),
        _ => return (None, 1),
    };
    let mut code = first;
    for at in 1..len {
        match text.get(at) {
            Some(b) if b & 0xc0 == 0x80 => code = code << 6 | u32::from(b & 0x3f),
            _ => return (None, at),
        }
    }
    let prohibited = (0xd800..=0xdfff).contains(&code) || matches!(code, 0xfffe | 0xffff);
    let wrong = prohibited || code < least && !overlong;
    ((!wrong).then_some(code), len)
}

fn check_path(args: &mut [Arg], at: usize) -> Result<(), String> {
    match args.get(at) {
        Some(Arg::Str(path)) => {
            steps(path).map(|_| ()).ok_or_else(|| format!("\"{path}\" is not a path like $.name[0]"))
        }
        _ => Ok(()),
    }
}

enum Step {
    Name(String),
    At(usize),
}

/// The steps of a path: `$.a.b[0]['c']`.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if steps.len() > STEPS_MAX {
            return None;
        }
        if let Some(inside) = rest.strip_prefix('[') {
            let (index, after) = inside.split_once(']')?;
            let quoted = index.strip_prefix('\'').and_then(|i| i.strip_suffix('\''));
            steps.push(match quoted {
                Some(name) => Step::Name(name.into()),
                None => Step::At(index.parse().ok()?),
            });
            rest = after;
            continue;
        }
        rest = rest.strip_prefix('.')?;
        let mut name = String::new();
        let mut chars = rest.char_indices();
        let mut end = rest.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => name.push(chars.next()?.1),
                '.' | '[' => {
                    end = at;
                    break;
                }
                _ => name.push(c),
            }
        }
        if name.is_empty() {
            return None;
        }
        steps.push(Step::Name(name));
        rest = &rest[end..];
    }
    Some(steps)
}

fn query<'a>(text: &[u8], args: &'a Args, at: usize) -> Option<Sample<'a>> {
    let root: Json = serde_json::from_slice(text).ok()?;
    let mut found = &root;
    for step in steps(args.str(at))? {
        found = match step {
            Step::Name(name) => found.get(name.as_str())?,
            Step::At(index) => found.get(index)?,
        };
    }
    match found {
        Json::Bool(b) => Some(Sample::Bool(*b)),
        Json::Number(n) if args.has(at + 1) => {
            n.as_i64().or_else(|| n.as_f64().map(|f| f as i64)).map(Sample::Int)
        }
        Json::Number(n) if n.is_i64() => n.as_i64().map(Sample::Int),
        Json::Number(n) => Some(text_of(n.to_string().as_bytes())),
        Json::String(s) if args.has(at + 1) => s.parse().ok().map(Sample::Int),
        Json::String(s) => Some(text_of(s.as_bytes())),
        Json::Array(_) | Json::Object(_) => Some(text_of(found.to_string().as_bytes())),
        Json::Null => None,
    }
}

fn jwt<'a>(s: Sample<'a>, args: &'a Args, part: usize) -> Option<Sample<'a>> {
    let mut parts = s.as_bytes()?.split(|b| *b == b'.');
    let text = super::bytes::decode_url64(parts.nth(part)?)?;
    if args.str(0).is_empty() {
        return Some(Sample::Str(text.into()));
    }
    query(&text, args, 0)
}

const STEPS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use crate::expr::conv::tests::table;

    #[test]
    fn escaping() {
        table(&[
            (r#"str('a"b\c/d'),json"#, r#"a\"b\\c\/d"#),
            ("bin(c3a9),json", r"\u00c3\u00a9"),
            ("bin(c3a9),json(utf8)", r"\u00e9"),
            ("bin(61ff62),json(utf8)", "-"),
            ("bin(61ff62),json(utf8s)", "ab"),
            ("bin(c0af),json(utf8s)", ""),
            ("bin(c0af),json(utf8p)", r"\/"),
            ("bin(c0af),json(utf8)", "-"),
            ("bin(f09f9880),json(utf8ps)", ""),
            ("bin(61e2),json(utf8ps)", "a"),
            ("bin(0a0d09080c),json", r"\n\r\t\b\f"),
        ]);
    }

    #[test]
    fn queries() {
        table(&[
            (r#"str('{"a":{"b":5,"c":"x"}}'),json_query($.a.b)"#, "5"),
            (r#"str('{"a":{"b":5,"c":"x"}}'),json_query($.a.c)"#, "x"),
            (r#"str('{"a":5}'),json_query($.a,int),add(1)"#, "6"),
            (r#"str('{"a":true}'),json_query($.a)"#, "1"),
            (r#"str('{"a":1.5}'),json_query($.a)"#, "1.5"),
            (r#"str('{"a":1.5}'),json_query($.a,int)"#, "1"),
            (r#"str('{"a":[7,8]}'),json_query($.a[1])"#, "8"),
            (r#"str('{"my.key":"v"}'),json_query('$.my\.key')"#, "v"),
            (r#"str('{"a":1}'),json_query($.b)"#, "-"),
            (r#"str('{"a":'),json_query($.a)"#, "-"),
            ("str(eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UifQ.x),jwt_header_query($.alg)", "HS256"),
            ("str(eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UifQ.x),jwt_payload_query($.iss)", "joe"),
            ("str(eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UifQ.x),jwt_header_query", r#"{"alg":"HS256"}"#),
            ("str(eyJhbGciOiJIUzI1NiJ9),jwt_payload_query($.iss)", "-"),
        ]);
    }
}
