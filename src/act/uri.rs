//! Actions on the request line and the status line.

use super::header::Rewrite;
use super::ActionKw;
use crate::expr::compile::ParseCx;
use crate::expr::logfmt::{LogFmt, Use};
use crate::expr::sample::Scratch;
use crate::lang::diag::Diag;
use crate::lang::word::Words;
use crate::msg::{EditError, Head};
use crate::plan::rule::{Act, Action, ActionCx, Sites};

/// The rows of this family.
pub const ROWS: &[ActionKw] = &[
    ActionKw::new(
        "replace-path",
        Sites::HTTP_REQ,
        |w, cx| replace(Head::path, Head::set_path, w, cx),
        "replace-path <regex> <replacement>",
        "rewrites the path",
        "http-request replace-path /old/(.*) /new/\\1",
    ),
    ActionKw::new(
        "replace-pathq",
        Sites::HTTP_REQ,
        |w, cx| replace(Head::pathq, Head::set_pathq, w, cx),
        "replace-pathq <regex> <replacement>",
        "rewrites path and query",
        "http-request replace-pathq ([^?]*)(\\?.*)? \\1/x\\2",
    ),
    ActionKw::new(
        "replace-uri",
        Sites::HTTP_REQ,
        |w, cx| replace(Head::uri, Head::set_uri, w, cx),
        "replace-uri <regex> <replacement>",
        "rewrites the request target",
        "http-request replace-uri ^http://(.*) https://\\1",
    )
    .text("A target that names a host changes the field Host too."),
    ActionKw::new(
        "set-method",
        Sites::HTTP_REQ,
        |w, cx| set(Head::set_method, w, cx),
        "set-method <fmt>",
        "changes the method",
        "http-request set-method POST",
    ),
    ActionKw::new(
        "set-path",
        Sites::HTTP_REQ,
        |w, cx| set(Head::set_path, w, cx),
        "set-path <fmt>",
        "changes the path, the query stays",
        "http-request set-path /app%[path]",
    ),
    ActionKw::new(
        "set-pathq",
        Sites::HTTP_REQ,
        |w, cx| set(Head::set_pathq, w, cx),
        "set-pathq <fmt>",
        "changes path and query",
        "http-request set-pathq /app%[pathq]",
    ),
    ActionKw::new(
        "set-query",
        Sites::HTTP_REQ,
        |w, cx| set(Head::set_query, w, cx),
        "set-query <fmt>",
        "changes the query",
        "http-request set-query a=1",
    ),
    ActionKw::new(
        "set-status",
        Sites::HTTP_RES.or(Sites::HTTP_AFTER),
        status,
        "set-status <status> [reason <text>]",
        "changes the status",
        "http-response set-status 503 reason \"Slow Down\"",
    ),
    ActionKw::new(
        "set-uri",
        Sites::HTTP_REQ,
        |w, cx| set(Head::set_uri, w, cx),
        "set-uri <fmt>",
        "changes the request target",
        "http-request set-uri /app%[pathq]",
    )
    .text("A target that names a host changes the field Host too."),
];

type Set = fn(&mut Head, &[u8]) -> Result<(), EditError>;
type Of = fn(&Head) -> &[u8];

struct Change {
    set: Set,
    value: LogFmt,
}

fn set(set: Set, words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    Ok(Box::new(Change { set, value: LogFmt::compile(words.need("a value")?, Use::Field, cx)? }))
}

impl Action for Change {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        let mut value = Scratch::new();
        self.value.write(&cx.facts(), &mut value);
        apply(self.set, &value, cx)
    }
}

fn apply<'p>(set: Set, value: &[u8], cx: &mut ActionCx<'_>) -> Act<'p> {
    cx.edit(|head| set(head, value))
}

struct Replace {
    of: Of,
    set: Set,
    rewrite: Rewrite,
}

fn replace(of: Of, set: Set, words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    Ok(Box::new(Replace { of, set, rewrite: Rewrite::parse(words, cx)? }))
}

impl Action for Replace {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        let Some(text) = cx.req.as_deref().map(|head| Scratch::of((self.of)(head))) else { return Act::Next };
        self.rewrite.run(
            cx,
            |cx, rewrite| {
                let mut made = Scratch::new();
                match rewrite(&text, &mut made) {
                    true => apply(self.set, &made, cx),
                    false => Act::Next,
                }
            },
            || Act::Failed,
        )
    }
}

struct Status {
    code: u16,
    reason: Option<String>,
}

fn status(words: &mut Words<'_>, _: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let code = words.need("a status")?.int_in(100..=999)? as u16;
    let reason = if words.eat("reason") { Some(words.need("a reason")?.text.clone()) } else { None };
    Ok(Box::new(Status { code, reason }))
}

impl Action for Status {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        cx.edit(|head| head.set_status(self.code, self.reason.as_deref().map(str::as_bytes)))
    }
}
