//! The text of log-format strings: `%{flags}(name:type)alias`, `%[expression]`, `%%`.

use super::code::{Cast, Coding};
use super::{Flags, Item, Node, What};
use crate::expr::alias;
use crate::expr::compile::{self, ParseCx};
use crate::lang::diag::Diag;
use crate::lang::suggest;
use crate::lang::word::Word;

/// Reads one word from its first byte to the last.
pub(super) struct Reader<'w> {
    pub word: &'w Word,
    pub items: Vec<Item>,
    /// Text that is not an item yet.
    pub text: Vec<u8>,
    /// What `%o` set for all that follow.
    pub flags: Flags,
    /// What a `%o` that stands before everything else set.
    pub whole: Flags,
    /// Spaces do not pile up.
    pub spaces: bool,
    /// Nothing but `%o` has come.
    pub fresh: bool,
}

/// What stands between `%` and an alias or an expression.
struct Front {
    flags: Flags,
    name: Box<str>,
    cast: Option<Cast>,
    next: usize,
}

impl Reader<'_> {
    /// Reads all of it.
    pub fn read(&mut self, cx: &mut ParseCx<'_>) -> Result<(), Diag> {
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
                (b' ', _) if self.spaces => {
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
            self.fresh = false;
            self.items.push(Item::Text(std::mem::take(&mut self.text).into()));
        }
    }

    /// One `%...` that begins at `at`; gives the first byte behind it.
    fn variable(&mut self, text: &str, at: usize, cx: &mut ParseCx<'_>) -> Result<usize, Diag> {
        self.end_text();
        let bytes = text.as_bytes();
        let Front { flags, name, cast, next } = self.front(text, at)?;
        if bytes.get(next) == Some(&b'[') {
            let (expr, end) = compile::expr(text, next + 1, cx).map_err(|flaw| flaw.in_word(self.word, 0))?;
            if bytes.get(end) != Some(&b']') {
                return Err(self.flaw(
                    end.min(text.len().saturating_sub(1)),
                    1,
                    "expected \"]\" after the expression",
                ));
            }
            self.value(What::Expr(Box::new(expr)), flags, name, cast);
            return Ok(end + 1);
        }
        let len = bytes[next..].iter().take_while(|b| b.is_ascii_alphanumeric()).count();
        let word = &text[next..next + len];
        if word == "o" {
            self.set_all(flags, at, next + len - at)?;
            return Ok(next + len);
        }
        match alias::find(word) {
            Some(alias) => self.value(What::Alias(alias), flags, name, cast),
            None => return Err(self.unknown(word, at)),
        }
        Ok(next + len)
    }

    fn value(&mut self, what: What, flags: Flags, name: Box<str>, cast: Option<Cast>) {
        self.fresh = false;
        self.items.push(Item::Value(Node { what, flags, name, cast }));
    }

    /// `%o`: what it sets holds for all that follow.
    fn set_all(&mut self, flags: Flags, at: usize, len: usize) -> Result<(), Diag> {
        if self.fresh {
            self.whole = flags;
        } else if flags.coding != self.whole.coding {
            return Err(self.flaw(
                at,
                len,
                "a line is JSON or CBOR as a whole: \"%o\" says so before anything else",
            ));
        }
        self.flags = flags;
        Ok(())
    }

    fn unknown(&self, name: &str, at: usize) -> Diag {
        let what = if name.is_empty() {
            "expected an alias or \"[\" after \"%\" (a \"%\" itself is written \"%%\")".to_owned()
        } else {
            format!("unknown log-format alias \"%{name}\"")
        };
        let diag = self.flaw(at, 1 + name.len(), what);
        match suggest::did_you_mean(name, alias::ALL.iter().map(|a| a.name)) {
            Some(help) => diag.help(help),
            None => diag,
        }
    }

    /// `{flags}` and `(name:type)`, in either order, both optional.
    fn front(&self, text: &str, at: usize) -> Result<Front, Diag> {
        let mut front = Front { flags: self.flags, name: "".into(), cast: None, next: at + 1 };
        loop {
            let (begin, close) = match text.as_bytes().get(front.next) {
                Some(b'{') => ('{', '}'),
                Some(b'(') => ('(', ')'),
                _ => return Ok(front),
            };
            let inner = front.next + 1;
            let Some(len) = text[inner..].find(close) else {
                return Err(self.flaw(at, 2, format!("this \"%{begin}\" has no \"{close}\"")));
            };
            let within = &text[inner..inner + len];
            match begin {
                '{' => self.set_flags(within, inner, &mut front.flags)?,
                _ => (front.name, front.cast) = self.name(within, inner)?,
            }
            front.next = inner + len + 1;
        }
    }

    fn name(&self, text: &str, at: usize) -> Result<(Box<str>, Option<Cast>), Diag> {
        let (name, cast) = match text.split_once(':') {
            None => (text, None),
            Some((name, cast)) => match Cast::of(cast) {
                Some(cast) => (name, Some(cast)),
                None => {
                    let what = format!("unknown type \"{cast}\", expected bool, sint or str");
                    return Err(self.flaw(at + name.len() + 1, cast.len(), what));
                }
            },
        };
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if !name.chars().all(good) {
            return Err(self.flaw(
                at,
                name.len(),
                "a name is made of letters, digits, \"_\", \"-\" and \".\"",
            ));
        }
        Ok((name.into(), cast))
    }

    fn set_flags(&self, text: &str, at: usize, flags: &mut Flags) -> Result<(), Diag> {
        for part in text.split(',').filter(|p| !p.is_empty()) {
            let on = !part.starts_with('-');
            let coding = |coding| if on { coding } else { Coding::Plain };
            match part.trim_start_matches(['+', '-']) {
                "Q" => flags.quote = on,
                "X" => flags.hex = on,
                "E" => flags.escape = on,
                "bin" => flags.binary = on,
                "json" => flags.coding = coding(Coding::Json),
                "cbor" => flags.coding = coding(Coding::Cbor),
                _ => {
                    let what =
                        format!("unknown log-format flag \"{part}\", expected Q, X, E, bin, json or cbor");
                    return Err(self.flaw(at, text.len(), what));
                }
            }
        }
        Ok(())
    }

    fn flaw(&self, at: usize, len: usize, what: impl Into<String>) -> Diag {
        self.word.err_at(at, len.max(1), what)
    }
}
