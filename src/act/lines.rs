//! The actions behind the words of HAProxy 1.5 that edit and judge whole lines of a head (`reqrep`, `rspdel`...).
//!
//! The expression is searched in the start line as it would be sent, then in each field as "Name: value". They
//! have no words of their own in rules: `conf` asks for them by the old ones.

use regex::bytes::Regex;

use super::Parse;
use crate::base::ids::ProxyId;
use crate::expr::args::Template;
use crate::expr::compile::ParseCx;
use crate::expr::pattern::regex::compile;
use crate::expr::sample::Scratch;
use crate::lang::diag::Diag;
use crate::lang::word::Words;
use crate::msg::{EditError, Head};
use crate::plan::rule::{Act, Action, ActionCx};
use lighterman_wire::http::name;

/// Makes the action of an old word from the words behind it; `None`: it is no such word.
pub fn find(word: &str) -> Option<(&'static str, Parse)> {
    OLD.iter().find(|(known, _)| *known == word).map(|(known, parse)| (*known, *parse))
}

#[rustfmt::skip]
const OLD: &[(&str, Parse)] = &[
    ("block", |_, _| Ok(Box::new(Block))),
    ("reqadd", add),
    ("reqallow", |w, cx| verdict(Verdict::Allow, Case::Counts, w, cx)),
    ("reqdel", |w, cx| delete(Case::Counts, w, cx)),
    ("reqdeny", |w, cx| verdict(Verdict::Deny, Case::Counts, w, cx)),
    ("reqiallow", |w, cx| verdict(Verdict::Allow, Case::Folded, w, cx)),
    ("reqidel", |w, cx| delete(Case::Folded, w, cx)),
    ("reqideny", |w, cx| verdict(Verdict::Deny, Case::Folded, w, cx)),
    ("reqirep", |w, cx| replace(Case::Folded, w, cx)),
    ("reqisetbe", |w, cx| set_backend(Case::Folded, w, cx)),
    ("reqitarpit", |w, cx| verdict(Verdict::Tarpit, Case::Folded, w, cx)),
    ("reqrep", |w, cx| replace(Case::Counts, w, cx)),
    ("reqsetbe", |w, cx| set_backend(Case::Counts, w, cx)),
    ("reqtarpit", |w, cx| verdict(Verdict::Tarpit, Case::Counts, w, cx)),
    ("rspadd", add),
    ("rspdel", |w, cx| delete(Case::Counts, w, cx)),
    ("rspdeny", |w, cx| verdict(Verdict::Deny, Case::Counts, w, cx)),
    ("rspidel", |w, cx| delete(Case::Folded, w, cx)),
    ("rspideny", |w, cx| verdict(Verdict::Deny, Case::Folded, w, cx)),
    ("rspirep", |w, cx| replace(Case::Folded, w, cx)),
    ("rsprep", |w, cx| replace(Case::Counts, w, cx)),
];

/// Whether upper and lower case differ.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Counts,
    Folded,
}

fn search(case: Case, words: &mut Words<'_>) -> Result<Regex, Diag> {
    let word = words.need("a regular expression")?;
    compile(&word.text, case == Case::Folded).map_err(|what| word.err(what))
}

struct Block;

impl Action for Block {
    fn run<'p>(&'p self, _: &mut ActionCx<'_>) -> Act<'p> {
        Act::Deny(403, None)
    }
}

/// `reqsetbe`: the backend is chosen by a line.
struct SetBackend {
    regex: Regex,
    to: ProxyId,
}

fn set_backend(case: Case, words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let regex = search(case, words)?;
    let name = words.need("the name of a backend")?;
    match cx.names.backend(&name.text) {
        Some(to) => Ok(Box::new(SetBackend { regex, to })),
        None => Err(name.err(format!("there is no backend \"{}\"", name.text))),
    }
}

impl Action for SetBackend {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        if cx.txn.settings.backend.is_none() && cx.head().is_some_and(|head| any_line(head, &self.regex)) {
            cx.txn.settings.backend = Some(self.to);
        }
        Act::Next
    }
}

fn any_line(head: &Head, regex: &Regex) -> bool {
    regex.is_match(&start_line(head))
        || head.entries().any(|entry| regex.is_match(&field_line(entry.name, entry.value)))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Allow,
    Deny,
    Tarpit,
}

struct Judge {
    regex: Regex,
    verdict: Verdict,
}

fn verdict(
    verdict: Verdict,
    case: Case,
    words: &mut Words<'_>,
    _: &mut ParseCx<'_>,
) -> Result<Box<dyn Action>, Diag> {
    Ok(Box::new(Judge { regex: search(case, words)?, verdict }))
}

impl Action for Judge {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        // after one that allows, those that judge are passed over
        if cx.txn.settings.lines_allowed {
            return Act::Next;
        }
        let Some(head) = cx.head() else { return Act::Next };
        let response = !head.is_request();
        let found = any_line(head, &self.regex);
        match (found, self.verdict) {
            (false, _) => Act::Next,
            (true, Verdict::Allow) => {
                cx.txn.settings.lines_allowed = true;
                Act::Next
            }
            (true, Verdict::Deny) if response => Act::Deny(502, None),
            (true, Verdict::Deny) => Act::Deny(403, None),
            (true, Verdict::Tarpit) => Act::Tarpit(500, None),
        }
    }
}

/// Removes lines, or puts others in their place.
struct Edit {
    regex: Regex,
    by: Option<Template>,
}

fn delete(case: Case, words: &mut Words<'_>, _: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    Ok(Box::new(Edit { regex: search(case, words)?, by: None }))
}

fn replace(case: Case, words: &mut Words<'_>, _: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let regex = search(case, words)?;
    let word = words.need("what to put in its place")?;
    let by = Template::parse(&word.text, regex.captures_len()).map_err(|what| word.err(what))?;
    Ok(Box::new(Edit { regex, by: Some(by) }))
}

impl Action for Edit {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        let Some(head) = cx.head() else { return Act::Next };
        if let Some(new) = self.rewritten(&start_line(head)) {
            // a start line that was rewritten ends the search; it is never removed
            return cx.edit(|head| set_start_line(head, &new));
        }
        let mut changes = Vec::new();
        for entry in head.entries() {
            let text = field_line(entry.name, entry.value);
            if self.regex.is_match(&text) {
                changes.push((entry.id, self.rewritten(&text)));
            }
        }
        if changes.is_empty() {
            return Act::Next;
        }
        cx.edit(|head| {
            for (id, new) in changes {
                match new {
                    None => head.remove_field(id),
                    Some(new) => {
                        let (name, value) = cut(&new).ok_or(EditError::BadName)?;
                        let same = head.entries().any(|e| e.id == id && e.name.eq_ignore_ascii_case(name));
                        if same {
                            head.set_value(id, value)?;
                        } else {
                            head.remove_field(id);
                            head.add(name, value)?;
                        }
                    }
                }
            }
            Ok(())
        })
    }
}

impl Edit {
    /// What stands for a line that matches: the whole of it goes, not the match alone.
    fn rewritten(&self, line: &[u8]) -> Option<Scratch> {
        let found = self.regex.captures(line)?;
        let mut out = Scratch::new();
        self.by.as_ref()?.expand(&found, &mut out);
        Some(out)
    }
}

/// `METHOD target HTTP/1.1`, or `HTTP/1.1 200 OK`.
fn start_line(head: &Head) -> Scratch {
    let mut out = Scratch::new();
    if head.is_request() {
        for part in [head.method(), b" ", head.uri(), b" ", head.version_text()] {
            out.extend_from_slice(part);
        }
    } else {
        out.extend_from_slice(head.version_text());
        out.extend_from_slice(format!(" {} ", head.status()).as_bytes());
        out.extend_from_slice(head.reason());
    }
    out
}

fn set_start_line(head: &mut Head, line: &[u8]) -> Result<(), EditError> {
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    let mut next = || parts.next().unwrap_or_default();
    if head.is_request() {
        let (method, target) = (next(), next());
        if method != head.method() {
            head.set_method(method)?;
        }
        return head.set_uri(target);
    }
    let (_, code, reason) = (next(), next(), next());
    let code = std::str::from_utf8(code).ok().and_then(|code| code.parse().ok());
    head.set_status(code.ok_or(EditError::BadStatus)?, Some(reason))
}

fn field_line(name: &[u8], value: &[u8]) -> Scratch {
    let mut out = Scratch::of(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out
}

fn cut(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    Some((line.get(..colon)?, line.get(colon + 1..)?))
}

/// A line at the end of the head.
struct Add {
    name: Box<[u8]>,
    value: Box<[u8]>,
}

fn add(words: &mut Words<'_>, _: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let word = words.need("a field")?;
    match cut(word.text.as_bytes()) {
        Some((name, value)) if name::is_valid(name) => {
            Ok(Box::new(Add { name: name.into(), value: value.trim_ascii().into() }))
        }
        _ => Err(word.err(format!("\"{}\" is no field: a name, a colon, a value", word.text))),
    }
}

impl Action for Add {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        cx.edit(|head| head.add(&self.name, &self.value))
    }
}
