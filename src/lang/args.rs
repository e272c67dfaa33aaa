//! The `name(arg,arg)` grammar inside one word: sample expressions, conditions, action names. Called by
//! the expression compiler, by `cond` and by every keyword that takes arguments in parentheses.
//!
//! This is the second level of quoting (manual 2.2): blanks belong to the argument; an unquoted comma or
//! closing parenthesis ends it; `'...'` is taken as it is; within `"..."` and outside quotes `\\ \" \' \ `
//! and `\n \r \t` are escapes and any other backslash stays.

use super::diag::Diag;
use super::word::Word;

/// One argument after quotes and escapes were resolved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arg {
    /// The text meant.
    pub text: String,
    /// First byte within the text the call was cut from.
    pub at: usize,
    /// Bytes it takes there, quotes included.
    pub len: usize,
}

/// A name with or without arguments, cut from a longer text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call<'a> {
    /// The name; empty when the text does not begin with one.
    pub name: &'a str,
    /// First byte of the name within the text.
    pub at: usize,
    /// The arguments; `None` without parentheses, one empty argument for `name()`.
    pub args: Option<Vec<Arg>>,
    /// First byte behind the call.
    pub end: usize,
}

/// Why a call cannot be cut, with the place within the text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// First byte it is about.
    pub at: usize,
    /// Bytes it is about.
    pub len: usize,
    /// What is wrong.
    pub what: String,
}

impl Trouble {
    /// Trouble at a place of the text.
    pub fn new(at: usize, len: usize, what: impl Into<String>) -> Self {
        Trouble { at, len, what: what.into() }
    }

    /// The diagnostic, when the text is the one of `word`, from byte `offset` of it.
    pub fn in_word(self, word: &Word, offset: usize) -> Diag {
        word.err_at(offset + self.at, self.len, self.what)
    }
}

/// True for what names of fetches, converters, actions and predicates are made of.
pub fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+' | b':')
}

/// Cuts the call that begins at byte `from` of `text`. What follows (a comma, a bracket, the end) is the
/// caller's to judge.
pub fn call(text: &str, from: usize) -> Result<Call<'_>, Trouble> {
    let bytes = text.as_bytes();
    let tail = bytes.get(from..).unwrap_or(&[]);
    let end = from + tail.iter().take_while(|byte| is_name_byte(**byte)).count();
    let name = text.get(from..end).unwrap_or("");
    if bytes.get(end) != Some(&b'(') {
        return Ok(Call { name, at: from, args: None, end });
    }
    let (args, end) = list(text, end)?;
    Ok(Call { name, at: from, args: Some(args), end })
}

/// Cuts a parenthesised list; `open` is the byte of the opening parenthesis. Returns the arguments and
/// the first byte behind the closing one.
pub fn list(text: &str, open: usize) -> Result<(Vec<Arg>, usize), Trouble> {
    let mut args = Vec::new();
    let mut at = open + 1;
    loop {
        let (arg, end) = one(text, at, open)?;
        args.push(arg);
        if args.len() > ARGS_MAX {
            return Err(Trouble::new(open, 1, format!("more than {ARGS_MAX} arguments")));
        }
        if text.as_bytes().get(end) == Some(&b')') {
            return Ok((args, end + 1));
        }
        at = end + 1;
    }
}

/// One argument from byte `from`; returns it and the byte that ends it, a comma or a parenthesis.
fn one(text: &str, from: usize, open: usize) -> Result<(Arg, usize), Trouble> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut quote: Option<(u8, usize)> = None;
    let mut at = from;
    while let Some(&byte) = bytes.get(at) {
        match (byte, quote) {
            (b',' | b')', None) => {
                // Only ASCII was taken away from a valid text, so this never fails.
                let text = String::from_utf8_lossy(&out).into_owned();
                return Ok((Arg { text, at: from, len: at - from }, at));
            }
            (b'\'' | b'"', None) => quote = Some((byte, at)),
            (b'\'' | b'"', Some((open, _))) if open == byte => quote = None,
            (b'\\', None | Some((b'"', _))) => {
                let escaped = bytes.get(at + 1).copied().and_then(escape);
                out.push(escaped.unwrap_or(b'\\'));
                at += usize::from(escaped.is_some());
            }
            _ => out.push(byte),
        }
        at += 1;
    }
    Err(match quote {
        Some((_, at)) => Trouble::new(at, 1, "this quote is not closed"),
        None => Trouble::new(open, 1, "this parenthesis is not closed"),
    })
}

fn escape(byte: u8) -> Option<u8> {
    match byte {
        b'\\' | b'"' | b'\'' | b' ' => Some(byte),
        b'n' => Some(b'\n'),
        b'r' => Some(b'\r'),
        b't' => Some(b'\t'),
        _ => None,
    }
}

const ARGS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Result<(Vec<String>, usize), String> {
        let call = call(text, 0).map_err(|trouble| format!("{}:{}", trouble.at, trouble.what))?;
        Ok((call.args.unwrap_or_default().into_iter().map(|arg| arg.text).collect(), call.end))
    }

    #[test]
    fn arguments_are_cut_as_the_manual_says() {
        let table: &[(&str, &[&str], usize)] = &[
            ("src", &[], 3),
            ("src,lower", &[], 3),
            ("hdr(host),lower", &["host"], 9),
            ("f()", &[""], 3),
            ("f(a,b)", &["a", "b"], 6),
            ("f( a ,b)", &[" a ", "b"], 8),
            (r#"f("a,b",c)"#, &["a,b", "c"], 10),
            (r#"f('a)b')"#, &["a)b"], 8),
            (r#"f('a\b')"#, &[r"a\b"], 8),
            (r#"f("a\"b\n\q")"#, &["a\"b\n\\q"], 13),
            (r"f(a\,b)", &[r"a\", "b"], 7),
            (r"f(\'a\ b)", &["'a b"], 9),
            (r#"regsub("(foo|bar)",blah,g)]"#, &["(foo|bar)", "blah", "g"], 26),
            ("f(a(b)c", &["a(b"], 6),
            ("f(é,ü)", &["é", "ü"], 8),
            ("f(,)", &["", ""], 4),
        ];
        for (text, args, end) in table {
            let expected = (args.iter().map(|arg| arg.to_string()).collect(), *end);
            assert_eq!(texts(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_closed_is_named() {
        assert_eq!(texts("f(a"), Err("1:this parenthesis is not closed".into()));
        assert_eq!(texts("f(a,'b)"), Err("4:this quote is not closed".into()));
        assert!(texts(&format!("f({})", ",".repeat(100_000))).is_err());
        assert!(call("é(", 1).is_ok());
    }
}
