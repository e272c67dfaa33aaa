//! `global`: variables of the service, and how much variables may hold.

use crate::conf::draft::{GlobalDraft, LineCx};
use crate::conf::driver::{doc, row, Keyword, Places};
use crate::lang::diag::Diag;
use crate::lang::word::Words;

const G: Places = Places::GLOBAL;

macro_rules! limits {
    ($(($kw:literal, $field:ident, $of:literal, $text:literal)),*) => {
        /// Variables.
        pub const ROWS: &[Keyword<GlobalDraft>] = &[
            $(row(
                $kw,
                G,
                |words, draft, _| {
                    draft.global.tune.vars.$field = usize::try_from(words.need("a size")?.size()?).unwrap_or(usize::MAX);
                    Ok(())
                },
                doc(concat!($kw, " <size>"), concat!("bytes that variables ", $of, " may hold; 0: the built-in bound"), $text, concat!($kw, " 10k")),
            ),)*
            row(
                "set-var",
                G,
                later,
                doc(
                    "set-var <variable> <expression>",
                    "sets a variable of the service when it starts",
                    "Only \"proc.\" variables live that long. All workers see the same value, also when a rule changes it.",
                    "set-var proc.limit int(100)",
                ),
            ),
            row(
                "set-var-fmt",
                G,
                later,
                doc(
                    "set-var-fmt <variable> <fmt>",
                    "sets a variable of the service to a text when it starts",
                    "As \"set-var\".",
                    "set-var-fmt proc.boot \"%[pid]\"",
                ),
            ),
        ];
    };
}

limits!(
    ("tune.vars.check-max-size", check, "of a health check", ""),
    ("tune.vars.global-max-size", global, "of all scopes", "It bounds \"proc\" and every session."),
    (
        "tune.vars.proc-max-size",
        process,
        "of the service",
        "It bounds every session as well. A single value has 1008 bytes at most."
    ),
    ("tune.vars.reqres-max-size", message, "of a request, or an answer,", ""),
    (
        "tune.vars.sess-max-size",
        sess,
        "of a session",
        "Its transaction counts. A variable that does not fit keeps the value it had."
    ),
    ("tune.vars.txn-max-size", txn, "of a transaction", "Its request and its answer count.")
);

fn later(words: &mut Words<'_>, draft: &mut GlobalDraft, cx: &mut LineCx<'_>) -> Result<(), Diag> {
    words.need("a variable")?;
    words.need("a value")?;
    words.rest();
    draft.vars.push(cx.line.clone());
    Ok(())
}
