//! `capture`: keeps what an expression yields, for logs and later rules.

use super::ActionKw;
use crate::expr::compile::{expr_words, Expr, ParseCx};
use crate::expr::fetch::Point;
use crate::expr::sample::{Got, Scratch};
use crate::lang::diag::Diag;
use crate::lang::word::Words;
use crate::plan::rule::{Act, Action, ActionCx, Need, Sites};

/// The row.
pub const ROWS: &[ActionKw] = &[ActionKw::new(
    "capture",
    Sites::TCP_REQ.or(Sites::HTTP),
    parse,
    "capture <expr> len <bytes> | capture <expr> id <slot>",
    "keeps a value for the log line and later rules",
    "http-request capture req.hdr(user-agent) len 64",
)
.text(
    "With \"len\" it has a slot of its own, next to those of \"capture request header\"; with \"id\" it fills one \
     that was declared, also from a backend. Answers fill declared slots only.",
)];

struct Capture {
    value: Expr,
    slot: u32,
    response: bool,
}

fn parse(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let value = expr_words(words, cx)?;
    let response = cx.point == Point::Response;
    let word = words.need("\"len\" or \"id\"")?;
    let slot = match word.text.as_str() {
        "len" if response => {
            return Err(word.err(
                "what is kept of an answer needs a slot: \"declare capture response len ...\" and \"id\"",
            ))
        }
        "len" => {
            words.need("a number of bytes")?.int_in(1..=65535)?;
            match cx.names.next_capture() {
                Some(slot) => slot,
                None => {
                    return Err(
                        word.err("only a frontend has slots of its own: write \"id\" and a number here")
                    )
                }
            }
        }
        "id" => {
            let number = words.need("the number of a slot")?;
            let slot = number.uint()?;
            match cx.names.captures(response) {
                Some(count) if slot >= count => {
                    let diag = number.err(format!("there is no slot {slot}: {count} are declared"));
                    return Err(
                        diag.help("\"declare capture request len 32\" makes one; the first is number 0")
                    );
                }
                _ => slot,
            }
        }
        _ => return Err(word.not_one_of("word", &["len", "id"])),
    };
    Ok(Box::new(Capture { value, slot, response }))
}

impl Action for Capture {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        let text = match self.value.eval(&cx.facts()) {
            Got::NotYet if !cx.last => return Act::Wait(Need::Bytes),
            got => got.now().map(|sample| {
                let mut text = Scratch::new();
                sample.write_text(&mut text);
                text
            }),
        };
        if let Some(text) = text {
            cx.capture(self.response, self.slot, &text);
        }
        Act::Next
    }
}
