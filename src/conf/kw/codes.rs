//! `global`: which statuses of servers count as errors and as failures in stick tables.

use crate::conf::draft::{GlobalDraft, LineCx};
use crate::conf::driver::{doc, row, Keyword, Places};
use crate::lang::diag::Diag;
use crate::lang::word::{Word, Words};
use crate::plan::global::Codes;

/// Statuses.
pub const ROWS: &[Keyword<GlobalDraft>] = &[
    row(
        "http-err-codes",
        Places::GLOBAL,
        |words, draft, cx| codes(words, &mut draft.global.codes[0], cx),
        doc(
            "http-err-codes [+|-]<status>[-<status>][,...]...",
            "statuses that count as errors of the client",
            "For http_err_cnt and http_err_rate in stick tables. A list without a sign replaces what was there. \
             Default 400-499.",
            "http-err-codes -404,429",
        ),
    ),
    row(
        "http-fail-codes",
        Places::GLOBAL,
        |words, draft, cx| codes(words, &mut draft.global.codes[1], cx),
        doc(
            "http-fail-codes [+|-]<status>[-<status>][,...]...",
            "statuses that count as failures of the server",
            "For http_fail_cnt and http_fail_rate in stick tables. A list without a sign replaces what was there. \
             Default 500-599 without 501 and 505.",
            "http-fail-codes +501",
        ),
    ),
];

fn codes(words: &mut Words<'_>, into: &mut Codes, _: &mut LineCx<'_>) -> Result<(), Diag> {
    let mut next = Some(words.need("statuses")?);
    while let Some(word) = next {
        let (on, text) = match word.text.as_bytes().first() {
            Some(b'+') => (true, &word.text[1..]),
            Some(b'-') => (false, &word.text[1..]),
            _ => {
                *into = Codes::default();
                (true, word.text.as_str())
            }
        };
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (status(first, word)?, status(last, word)?);
            if first > last {
                return Err(word.err(format!("\"{part}\" holds nothing")));
            }
            (first..=last).for_each(|status| into.set(status, on));
        }
        next = words.next();
    }
    Ok(())
}

fn status(text: &str, word: &Word) -> Result<u16, Diag> {
    let number = text.parse().ok().filter(|status| (100..=599).contains(status));
    number.ok_or_else(|| word.err(format!("expected a status from 100 to 599, found \"{text}\"")))
}
