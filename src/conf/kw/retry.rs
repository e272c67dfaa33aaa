//! `retries` and `retry-on`: how often, and after what, a request is tried again.

use crate::conf::draft::{LineCx, ProxyDraft};
use crate::conf::driver::{doc, row, Keyword, Places};
use crate::lang::diag::Diag;
use crate::lang::suggest;
use crate::lang::word::Words;
use crate::plan::retry::{RetryOn, STATUSES, WORDS};

/// Second attempts.
pub const ROWS: &[Keyword<ProxyDraft>] = &[
    row(
        "retries",
        Places::BACK,
        |words, draft, _| {
            draft.proxy.retries = words.need("a number")?.uint()?;
            Ok(())
        },
        doc(
            "retries <number>",
            "attempts after the first one failed",
            "Default 3. Which failures count is said by \"retry-on\".",
            "retries 2",
        ),
    ),
    row(
        "retry-on",
        Places::BACK,
        retry_on,
        doc(
            "retry-on [none|all-retryable-errors|<failure>|<status>...]",
            "after which failures a request is sent again",
            "Failures: conn-failure (the default), empty-response, junk-response, response-timeout, 0rtt-rejected; \
             statuses: 401 403 404 408 421 425 429 500 501 502 503 504. \"all-retryable-errors\" stands for all \
             failures and 500 502 503 504. A line replaces the one before. A request that was sent can only be sent \
             again if its body fits into one buffer; \"http-request disable-l7-retry\" forbids it for requests that \
             must not come twice, which the server cannot tell.",
            "retry-on conn-failure empty-response 503",
        ),
    ),
];

fn retry_on(words: &mut Words<'_>, draft: &mut ProxyDraft, _: &mut LineCx<'_>) -> Result<(), Diag> {
    let mut on = RetryOn::none();
    let first = words.need("a failure or a status")?;
    if first.is("none") {
        draft.proxy.retry_on = on;
        return Ok(());
    }
    let mut next = Some(first);
    while let Some(word) = next {
        let status = word.text.parse().is_ok_and(|status| on.add_status(status));
        let failure = WORDS.iter().find(|(name, _)| word.is(name));
        match failure {
            Some((_, failure)) => on.add(*failure),
            None if word.is("all-retryable-errors") => on.add_all(),
            None if word.is("none") => return Err(word.err("\"none\" stands alone")),
            None if status => {}
            None => {
                let names = WORDS.iter().map(|(name, _)| *name).chain(["all-retryable-errors", "none"]);
                let near = suggest::did_you_mean(&word.text, names);
                let diag = word.err(format!("\"{}\" is no failure that can be tried again", word.text));
                return Err(match near {
                    Some(near) => diag.help(near),
                    None => diag.help(format!("statuses are {}", STATUSES.map(|s| s.to_string()).join(" "))),
                });
            }
        }
        next = words.next();
    }
    draft.proxy.retry_on = on;
    Ok(())
}
