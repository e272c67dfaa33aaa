//! Actions on header fields.

use regex::bytes::Regex;

use super::ActionKw;
use crate::expr::args::Template;
use crate::expr::compile::ParseCx;
use crate::expr::logfmt::{LogFmt, Use};
use crate::expr::pattern::regex::compile;
use crate::expr::sample::Scratch;
use crate::lang::diag::Diag;
use crate::lang::word::{Word, Words};
use crate::msg::Head;
use crate::plan::rule::{Act, Action, ActionCx, Sites};
use lighterman_wire::token;

/// The rows of this family.
pub const ROWS: &[ActionKw] = &[
    ActionKw::new(
        "add-header",
        Sites::HTTP,
        |w, cx| put(Head::add, w, cx),
        "add-header <name> <fmt>",
        "adds a field",
        "http-response add-header X-Via %[srv_name]",
    ),
    ActionKw::new(
        "del-header",
        Sites::HTTP,
        delete,
        "del-header <name> [-m <way>]",
        "removes all fields of a name",
        "http-response del-header Server",
    )
    .text("The way is one of str (the default), beg, end, sub, reg; case does not count."),
    ActionKw::new(
        "replace-header",
        Sites::HTTP,
        |w, cx| replace(false, w, cx),
        "replace-header <name> <regex> <replacement>",
        "rewrites fields that match, whole",
        "http-request replace-header Cookie foo=([^;]*) bar=\\1",
    )
    .text("The whole value is replaced. \"\\1\" to \"\\9\" in the replacement stand for the groups of the expression; it is a log-format string."),
    ActionKw::new(
        "replace-value",
        Sites::HTTP,
        |w, cx| replace(true, w, cx),
        "replace-value <name> <regex> <replacement>",
        "rewrites values that match, one by one",
        "http-request replace-value X-Forwarded-For ^192\\.168\\.(.*)$ 172.16.\\1",
    )
    .text("As \"replace-header\", for each of the values that commas separate."),
    ActionKw::new(
        "set-header",
        Sites::HTTP,
        |w, cx| put(Head::set, w, cx),
        "set-header <name> <fmt>",
        "sets a field, whatever it was",
        "http-request set-header X-Forwarded-Proto https if { ssl_fc }",
    ),
];

/// The name of a field (RFC 9110 5.1).
pub(super) fn field_name(word: &Word) -> Result<Box<[u8]>, Diag> {
    if word.text.is_empty() || !token::all(word.text.as_bytes(), token::TOKEN) {
        return Err(word.err(format!("\"{}\" cannot be a field name", word.text)));
    }
    Ok(word.text.clone().into_bytes().into())
}

type Edit = fn(&mut Head, &[u8], &[u8]) -> Result<(), crate::msg::EditError>;

struct Put {
    edit: Edit,
    name: Box<[u8]>,
    value: LogFmt,
    /// The value when it does not depend on traffic.
    constant: Option<Vec<u8>>,
}

fn put(edit: Edit, words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let name = field_name(words.need("a field name")?)?;
    let value = LogFmt::compile(words.need("a value")?, Use::Field, cx)?;
    Ok(Box::new(Put { edit, name, constant: value.constant(), value }))
}

impl Action for Put {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        let mut made = Scratch::new();
        let value = match &self.constant {
            Some(value) => value,
            None => {
                self.value.write(&cx.facts(), &mut made);
                &*made
            }
        };
        cx.edit(|head| (self.edit)(head, &self.name, value))
    }
}

enum Which {
    Name(Vec<u8>),
    Begins(Vec<u8>),
    Ends(Vec<u8>),
    Contains(Vec<u8>),
    Matches(Regex),
}

struct Delete(Which);

fn delete(words: &mut Words<'_>, _: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let name = words.need("a field name")?;
    let lower = name.text.to_ascii_lowercase().into_bytes();
    if !words.eat("-m") {
        return Ok(Box::new(Delete(Which::Name(lower))));
    }
    let way = words.need("a way to compare")?;
    let which = match way.text.as_str() {
        "str" => Which::Name(lower),
        "beg" => Which::Begins(lower),
        "end" => Which::Ends(lower),
        "sub" => Which::Contains(lower),
        "reg" => Which::Matches(compile(&name.text, true).map_err(|what| name.err(what))?),
        _ => return Err(way.not_one_of("way to compare", &["str", "beg", "end", "sub", "reg"])),
    };
    Ok(Box::new(Delete(which)))
}

impl Action for Delete {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        let Some(head) = cx.head() else { return Act::Next };
        match &self.0 {
            Which::Name(name) => head.remove(name),
            other => head.remove_if(|name, _| other.takes(name)),
        };
        Act::Next
    }
}

impl Which {
    fn takes(&self, name: &[u8]) -> bool {
        if let Which::Matches(regex) = self {
            return regex.is_match(name);
        }
        let mut lower = Scratch::of(name);
        lower.make_ascii_lowercase();
        match self {
            Which::Name(wanted) => *lower == *wanted,
            Which::Begins(wanted) => lower.starts_with(wanted),
            Which::Ends(wanted) => lower.ends_with(wanted),
            Which::Contains(wanted) => memchr::memmem::find(&lower, wanted).is_some(),
            Which::Matches(_) => false,
        }
    }
}

/// A regular expression and what stands for a match: groups of it within a log-format string.
pub(super) struct Rewrite {
    regex: Regex,
    by: LogFmt,
    /// The replacement when it does not depend on traffic.
    constant: Option<Template>,
}

impl Rewrite {
    /// Reads the expression and the replacement.
    pub(super) fn parse(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Self, Diag> {
        let pattern = words.need("a regular expression")?;
        let regex = compile(&pattern.text, false).map_err(|what| pattern.err(what))?;
        let word = words.need("a replacement")?;
        let by = LogFmt::compile(word, Use::Field, cx)?;
        let constant = match by.constant() {
            None => None,
            Some(text) => {
                let text = String::from_utf8_lossy(&text);
                Some(Template::parse(&text, regex.captures_len()).map_err(|what| word.err(what))?)
            }
        };
        Ok(Rewrite { regex, by, constant })
    }

    /// Rewrites by `edit`, which is lent what turns one text into another.
    pub(super) fn run<T>(
        &self,
        cx: &mut ActionCx<'_>,
        edit: impl FnOnce(&mut ActionCx<'_>, &mut dyn FnMut(&[u8], &mut Vec<u8>) -> bool) -> T,
        fail: impl FnOnce() -> T,
    ) -> T {
        let made;
        let template = match &self.constant {
            Some(template) => template,
            None => {
                let mut text = Scratch::new();
                self.by.write(&cx.facts(), &mut text);
                match Template::parse(&String::from_utf8_lossy(&text), self.regex.captures_len()) {
                    Ok(template) => {
                        made = template;
                        &made
                    }
                    Err(_) => return fail(),
                }
            }
        };
        edit(cx, &mut |text, out| self.replace(template, text, out))
    }

    fn replace(&self, template: &Template, text: &[u8], out: &mut Vec<u8>) -> bool {
        // the whole text is replaced, not the part of it that matches
        let Some(found) = self.regex.captures(text) else { return false };
        template.expand(&found, out);
        true
    }
}

struct Replace {
    name: Box<[u8]>,
    rewrite: Rewrite,
    each_value: bool,
}

fn replace(each_value: bool, words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let name = field_name(words.need("a field name")?)?;
    Ok(Box::new(Replace { name, rewrite: Rewrite::parse(words, cx)?, each_value }))
}

impl Action for Replace {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        if cx.head().is_none_or(|head| head.first(&self.name).is_none()) {
            return Act::Next;
        }
        self.rewrite.run(
            cx,
            |cx, rewrite| {
                cx.edit(|head| {
                    let done = match self.each_value {
                        true => head.replace_values(&self.name, rewrite),
                        false => head.replace_lines(&self.name, rewrite),
                    };
                    done.map(|_| ())
                })
            },
            || Act::Failed,
        )
    }
}
