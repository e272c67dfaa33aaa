//! Actions on variables.

use std::cmp::Ordering;

use super::ActionKw;
use crate::expr::compile::{expr_words, Expr, ParseCx};
use crate::expr::logfmt::{LogFmt, Use};
use crate::expr::sample::{Got, Value};
use crate::expr::vars::Var;
use crate::lang::diag::Diag;
use crate::lang::suggest::list_of;
use crate::lang::word::Words;
use crate::plan::rule::{Act, Action, ActionCx, Need, Sites};

/// The rows of this family.
pub const ROWS: &[ActionKw] = &[
    ActionKw::new(
        "set-var(",
        Sites::ANY,
        set,
        "set-var(<scope.name>[,<condition>...]) <expr>",
        "keeps a value in a variable",
        "http-request set-var(txn.host) req.hdr(host),lower",
    )
    .text(
        "Conditions, all of which must hold: ifexists, ifnotexists (the variable has a value, or none), ifempty, \
         ifnotempty (the new value is empty, or not), ifset, ifnotset, ifgt, iflt (the old number is greater, or \
         less, than the new one).",
    ),
    ActionKw::new(
        "set-var-fmt(",
        Sites::ANY,
        set_fmt,
        "set-var-fmt(<scope.name>[,<condition>...]) <fmt>",
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

/// A variable, and when it is set.
struct Place {
    var: Var,
    /// All of them must hold; the mask of [`CONDITIONS`].
    when: u8,
}

/// The words behind the name that bound the change, and their bits.
const CONDITIONS: [(&str, u8); 8] = [
    ("ifexists", 1),
    ("ifnotexists", 2),
    ("ifempty", 4),
    ("ifnotempty", 8),
    ("ifset", 16),
    ("ifnotset", 32),
    ("ifgt", 64),
    ("iflt", 128),
];

impl Place {
    /// What stands between the parentheses of the action's own word.
    fn parse(words: &Words<'_>, cx: &mut ParseCx<'_>) -> Result<Place, Diag> {
        let Some(word) = words.taken() else { return Err(words.missing("an action")) };
        let inside = word.text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        let Some(inside) = inside else {
            return Err(word.err(format!("expected a variable in parentheses: {}(txn.name)", word.text)));
        };
        let mut parts = inside.split(',');
        let var = cx.names.var(parts.next().unwrap_or("")).map_err(|why| word.err(why))?;
        let mut when = 0;
        for part in parts {
            let Some((_, bit)) = CONDITIONS.iter().find(|(name, _)| *name == part) else {
                let known = CONDITIONS.map(|(name, _)| name);
                return Err(word.err(format!("unknown condition \"{part}\", expected {}", list_of(&known))));
            };
            when |= bit;
        }
        Ok(Place { var, when })
    }

    /// Sets the variable when its conditions hold.
    fn set(&self, value: Option<Value>, cx: &mut ActionCx<'_>) {
        if self.when == 0 || self.holds(value.as_ref(), cx) {
            // one that has no room keeps what it had
            value.map(|value| cx.vars.set(self.var, value));
        }
    }

    fn holds(&self, new: Option<&Value>, cx: &ActionCx<'_>) -> bool {
        let vars = cx.vars.view();
        let old = vars.get(self.var);
        let old = old.as_deref();
        let empty = |value: &Value| value.sample().as_bytes().is_some_and(<[u8]>::is_empty);
        let number = |value: &Value| match value {
            Value::Int(n) => Some(*n),
            Value::Bool(b) => Some(i64::from(*b)),
            _ => None,
        };
        // what cannot be compared is no hindrance
        let compare = |how: Ordering| match (old.and_then(number), new.and_then(number)) {
            (Some(old), Some(new)) => old.cmp(&new) == how,
            _ => true,
        };
        CONDITIONS.iter().filter(|(_, bit)| self.when & bit != 0).all(|(name, _)| match *name {
            "ifexists" | "ifset" => old.is_some(),
            "ifnotexists" | "ifnotset" => old.is_none(),
            "ifempty" => new.is_none_or(empty),
            "ifnotempty" => new.is_some_and(|value| !empty(value)),
            "ifgt" => compare(Ordering::Greater),
            _ => compare(Ordering::Less),
        })
    }
}

struct Set {
    place: Place,
    value: Expr,
}

fn set(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    Ok(Box::new(Set { place: Place::parse(words, cx)?, value: expr_words(words, cx)? }))
}

impl Action for Set {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        let value = match self.value.eval(&cx.facts()) {
            Got::NotYet if !cx.last => return Act::Wait(Need::Bytes),
            got => got.now().map(|sample| sample.to_value()),
        };
        self.place.set(value, cx);
        Act::Next
    }
}

struct SetFmt {
    place: Place,
    text: LogFmt,
}

fn set_fmt(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let place = Place::parse(words, cx)?;
    Ok(Box::new(SetFmt { place, text: LogFmt::compile(words.need("a text")?, Use::Text, cx)? }))
}

impl Action for SetFmt {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        let mut text = Vec::new();
        self.text.write(&cx.facts(), &mut text);
        self.place.set(Some(Value::Str(text.into())), cx);
        Act::Next
    }
}

struct Unset(Var);

fn unset(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    Ok(Box::new(Unset(Place::parse(words, cx)?.var)))
}

impl Action for Unset {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        cx.vars.unset(self.0);
        Act::Next
    }
}
