//! Actions on header fields.

use regex::bytes::Regex;

use super::ActionKw;
use crate::expr::args::Template;
use crate::expr::compile::ParseCx;
use crate::expr::logfmt::{LogFmt, Use};
use crate::lang::diag::Diag;
use crate::lang::word::Words;
use crate::msg::EditError;
use crate::plan::rule::{Act, Action, ActionCx, Sites};

/// The rows of this family.
pub const ROWS: &[ActionKw] = &[
    ActionKw::new(
        "add-header",
        Sites::HTTP,
        |w, cx| Ok(Box::new(put(Way::Add, w, cx)?)),
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
    ),
    ActionKw::new(
        "replace-header",
        Sites::HTTP,
        |w, cx| replace(false, w, cx),
        "replace-header <name> <regex> <replacement>",
        "rewrites fields that match, whole",
        "http-request replace-header Cookie foo=([^;]*) bar=\\1",
    ),
    ActionKw::new(
        "replace-value",
        Sites::HTTP,
        |w, cx| replace(true, w, cx),
        "replace-value <name> <regex> <replacement>",
        "rewrites values that match, one by one",
        "http-request replace-value X-Forwarded-For ^192\\.168\\.(.*)$ 172.16.\\1",
    ),
    ActionKw::new(
        "set-header",
        Sites::HTTP,
        |w, cx| Ok(Box::new(put(Way::Set, w, cx)?)),
        "set-header <name> <fmt>",
        "sets a field, whatever it was",
        "http-request set-header X-Forwarded-Proto https if { ssl_fc }",
    ),
];

/// RFC 9110 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Add,
    Set,
}

struct Put {
    way: Way,
    name: Vec<u8>,
    value: LogFmt,
    /// The value when it does not depend on traffic.
    constant: Option<Vec<u8>>,
}

fn put(way: Way, words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Put, Diag> {
    let name = words.need("a field name")?;
    if name.text.is_empty() || !name.text.bytes().all(is_token) {
        return Err(name.err(format!("\"{}\" cannot be a field name", name.text)));
    }
    let value = LogFmt::compile(words.need("a value")?, Use::Text, cx)?;
    Ok(Put { way, name: name.text.clone().into_bytes(), constant: value.constant(), value })
}

impl Action for Put {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        let mut made = Vec::new();
        let value = match &self.constant {
            Some(value) => value,
            None => {
                self.value.write(&cx.facts(), &mut made);
                &made
            }
        };
        let Some(head) = cx.head() else { return Act::Next };
        let done = match self.way {
            Way::Add => head.add(&self.name, value),
            Way::Set => head.set(&self.name, value),
        };
        edited(done, cx)
    }
}

/// A rewrite that was refused fails the request, unless `strict-mode off` was said.
fn edited<'p>(done: Result<(), EditError>, cx: &ActionCx<'_>) -> Act<'p> {
    match done {
        Ok(()) => Act::Next,
        Err(_) if cx.txn.settings.lenient => Act::Next,
        Err(_) => Act::Failed,
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
        "reg" => Which::Matches(regex(name, true)?),
        _ => return Err(way.not_one_of("way to compare", &["str", "beg", "end", "sub", "reg"])),
    };
    Ok(Box::new(Delete(which)))
}

impl Action for Delete {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        let Some(head) = cx.head() else { return Act::Next };
        match &self.0 {
            Which::Name(name) => drop(head.remove(name)),
            other => drop(head.remove_if(|name, _| other.takes(&name.to_ascii_lowercase()))),
        }
        Act::Next
    }
}

impl Which {
    fn takes(&self, name: &[u8]) -> bool {
        match self {
            Which::Name(wanted) => name == wanted,
            Which::Begins(wanted) => name.starts_with(wanted),
            Which::Ends(wanted) => name.ends_with(wanted),
            Which::Contains(wanted) => memchr::memmem::find(name, wanted).is_some(),
            Which::Matches(regex) => regex.is_match(name),
        }
    }
}

pub(super) fn regex(word: &crate::lang::word::Word, fold: bool) -> Result<Regex, Diag> {
    regex::bytes::RegexBuilder::new(&word.text)
        .case_insensitive(fold)
        .unicode(false)
        .build()
        .map_err(|error| word.err(format!("invalid regular expression: {error}")))
}

struct Replace {
    name: Vec<u8>,
    regex: Regex,
    by: Replacement,
    each_value: bool,
}

/// A replacement: groups of the regular expression within a log-format string.
pub(super) struct Replacement(LogFmt);

impl Replacement {
    pub(super) fn parse(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Self, Diag> {
        Ok(Replacement(LogFmt::compile(words.need("a replacement")?, Use::Text, cx)?))
    }

    /// The text with `\1` and the like still in it, as it is for this message.
    pub(super) fn template(&self, cx: &ActionCx<'_>, groups: usize) -> Option<Template> {
        let mut text = Vec::new();
        self.0.write(&cx.facts(), &mut text);
        Template::parse(&String::from_utf8_lossy(&text), groups).ok()
    }
}

fn replace(each_value: bool, words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let name = words.need("a field name")?.text.clone().into_bytes();
    let regex = regex(words.need("a regular expression")?, false)?;
    let by = Replacement::parse(words, cx)?;
    Ok(Box::new(Replace { name, regex, by, each_value }))
}

impl Action for Replace {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        let Some(template) = self.by.template(cx, self.regex.captures_len()) else { return Act::Failed };
        let Some(head) = cx.head() else { return Act::Next };
        let rewrite = |value: &[u8], out: &mut Vec<u8>| {
            let Some(found) = self.regex.captures(value) else { return false };
            let Some(whole) = found.get(0) else { return false };
            out.extend_from_slice(&value[..whole.start()]);
            template.expand(&found, out);
            out.extend_from_slice(&value[whole.end()..]);
            true
        };
        let done = if self.each_value {
            head.replace_values(&self.name, rewrite)
        } else {
            head.replace_lines(&self.name, rewrite)
        };
        edited(done.map(|_| ()), cx)
    }
}
