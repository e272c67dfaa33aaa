//! Actions on variables.

use super::ActionKw;
use crate::expr::compile::{expr_words, Expr, ParseCx};
use crate::expr::logfmt::{LogFmt, Use};
use crate::expr::sample::Value;
use crate::expr::vars::Var;
use crate::lang::diag::Diag;
use crate::lang::word::Words;
use crate::plan::rule::{Act, Action, ActionCx, Sites};

/// The rows of this family.
pub const ROWS: &[ActionKw] = &[
    ActionKw::new(
        "set-var(",
        Sites::ANY,
        set,
        "set-var(<scope.name>) <expr>",
        "keeps a value in a variable",
        "http-request set-var(txn.host) req.hdr(host),lower",
    ),
    ActionKw::new(
        "set-var-fmt(",
        Sites::ANY,
        set_fmt,
        "set-var-fmt(<scope.name>) <fmt>",
        "keeps a text in a variable",
        "http-request set-var-fmt(txn.from) \"%[src]:%[src_port]\"",
    ),
    ActionKw::new(
        "unset-var(",
        Sites::ANY,
        unset,
        "unset-var(<scope.name>)",
        "forgets a variable",
        "http-request unset-var(txn.host)",
    ),
];

/// The variable between the parentheses of the action's own word.
fn name(words: &Words<'_>, cx: &mut ParseCx<'_>) -> Result<Var, Diag> {
    let Some(word) = words.taken() else { return Err(words.missing("an action")) };
    let inside = word.text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    match inside {
        Some(name) => cx.names.var(name).map_err(|why| word.err(why)),
        None => Err(word.err(format!("expected a variable in parentheses: {}(txn.name)", word.text))),
    }
}

struct Set {
    var: Var,
    value: Expr,
}

fn set(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    Ok(Box::new(Set { var: name(words, cx)?, value: expr_words(words, cx)? }))
}

impl Action for Set {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        let value = self.value.eval(&cx.facts()).now().map(|sample| sample.to_value());
        // a variable that has no room keeps what it had: counted where stores are
        let _ = value.map(|value| cx.vars.set(self.var, value));
        Act::Next
    }
}

struct SetFmt {
    var: Var,
    text: LogFmt,
}

fn set_fmt(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let var = name(words, cx)?;
    Ok(Box::new(SetFmt { var, text: LogFmt::compile(words.need("a text")?, Use::Text, cx)? }))
}

impl Action for SetFmt {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        let mut text = Vec::new();
        self.text.write(&cx.facts(), &mut text);
        let _ = cx.vars.set(self.var, Value::Str(text.into()));
        Act::Next
    }
}

struct Unset(Var);

fn unset(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    Ok(Box::new(Unset(name(words, cx)?)))
}

impl Action for Unset {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        cx.vars.unset(self.0);
        Act::Next
    }
}
