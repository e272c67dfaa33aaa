//! A whole rule: its action, what belongs to it, its condition.

use super::{all, redirect, ActionKw};
use crate::expr::acl::Cond;
use crate::expr::compile::ParseCx;
use crate::expr::fetch::Point;
use crate::lang::diag::Diag;
use crate::lang::suggest;
use crate::lang::word::{Word, Words};
use crate::plan::rule::{Rule, Site};

/// What expressions of a rule may look at.
pub fn point_of(site: Site) -> Point {
    match site {
        Site::TcpConnection => Point::Connection,
        Site::TcpSession => Point::Session,
        Site::TcpContent => Point::ReqContent,
        Site::HttpRequest => Point::Request,
        Site::TcpResponse => Point::ResContent,
        Site::HttpResponse | Site::HttpAfter => Point::Response,
    }
}

/// Reads `<action> [arguments] [if|unless <condition>]`. `cx.point` must be that of the site; `at` is the
/// number of the file and the line.
pub fn rule(site: Site, words: &mut Words<'_>, cx: &mut ParseCx<'_>, at: (u32, u32)) -> Result<Rule, Diag> {
    let word = words.need("an action")?;
    let row = find(word, site)?;
    let action = if row.kw.ends_with('(') {
        // the argument in parentheses is read by the action, as a word of its own
        let inside = inside(word)?;
        let mut own = vec![inside];
        own.extend(words.rest().iter().cloned());
        let mut own_words = Words::new(&own);
        let action = (row.parse)(&mut own_words, cx)?;
        let cond = Cond::parse(&mut own_words, cx)?;
        return Ok(Rule { cond, action, kw: row.kw, at });
    } else {
        (row.parse)(words, cx)?
    };
    let cond = Cond::parse(words, cx)?;
    Ok(Rule { cond, action, kw: row.kw, at })
}

/// The old `redirect ...` line.
pub fn redirect_rule(words: &mut Words<'_>, cx: &mut ParseCx<'_>, at: (u32, u32)) -> Result<Rule, Diag> {
    let action = redirect::parse(words, cx)?;
    let cond = Cond::parse(words, cx)?;
    Ok(Rule { cond, action, kw: "redirect", at })
}

fn find(word: &Word, site: Site) -> Result<&'static ActionKw, Diag> {
    let name = match word.text.find('(') {
        Some(at) => &word.text[..=at],
        None => &word.text,
    };
    let Some(row) = all().find(|row| row.kw == name) else {
        if KNOWN.contains(&name.trim_end_matches('(')) {
            return Err(word.err(format!("action \"{}\" is known, not supported yet", word.text)));
        }
        let here = all().filter(|row| row.sites.has(site)).map(|row| row.kw);
        let diag = word.err(format!("unknown action \"{}\"", word.text));
        return Err(match suggest::did_you_mean(name, here) {
            Some(help) => diag.help(help),
            None => diag,
        });
    };
    if !row.sites.has(site) {
        return Err(word.err(format!(
            "\"{}\" is no action of \"{}\"",
            row.kw.trim_end_matches('('),
            site.words()
        )));
    }
    Ok(row)
}

/// What stands between the parentheses of `set-var(...)`.
fn inside(word: &Word) -> Result<Word, Diag> {
    let open = word.text.find('(').unwrap_or(0);
    match word.text.strip_suffix(')') {
        Some(text) => {
            Ok(Word { text: text[open + 1..].to_owned(), at: word.part(open + 1, text.len() - open - 1) })
        }
        None => Err(word.err("expected \")\" at the end of this word")),
    }
}

/// Actions of the language that are not built yet.
const KNOWN: &[&str] = &[
    "add-acl",
    "attach-srv",
    "auth",
    "cache-store",
    "cache-use",
    "capture",
    "del-acl",
    "del-map",
    "disable-l7-retry",
    "do-log",
    "do-resolve",
    "early-hint",
    "expect-netscaler-cip",
    "expect-proxy",
    "normalize-uri",
    "pause",
    "replace-header",
    "replace-path",
    "replace-pathq",
    "replace-uri",
    "replace-value",
    "sc-add-gpc",
    "sc-inc-gpc",
    "sc-inc-gpc0",
    "sc-inc-gpc1",
    "sc-set-gpt",
    "sc-set-gpt0",
    "send-spoe-group",
    "set-bandwidth-limit",
    "set-bc-mark",
    "set-bc-tos",
    "set-fc-mark",
    "set-fc-tos",
    "set-map",
    "set-mark",
    "set-nice",
    "set-priority-class",
    "set-priority-offset",
    "set-retries",
    "set-timeout",
    "set-tos",
    "silent-drop",
    "strict-mode",
    "switch-mode",
    "tarpit",
    "track-sc0",
    "track-sc1",
    "track-sc2",
    "use-service",
    "wait-for-body",
    "wait-for-handshake",
    "lua",
    "set-header-bin",
    "add-headers-bin",
    "set-src",
    "set-src-port",
    "set-dst",
    "set-dst-port",
    "set-log-level",
];
