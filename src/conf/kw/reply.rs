//! Answers made here: `errorfile`, `errorloc`, `monitor-uri`.

use super::value;
use crate::conf::draft::{Later, LineCx, ProxyDraft};
use crate::conf::driver::{doc, row, Keyword, Places};
use crate::lang::diag::Diag;
use crate::lang::suggest;
use crate::lang::word::{Word, Words};
use crate::plan::{ErrorPages, Reply};

/// Reply keywords.
pub const ROWS: &[Keyword<ProxyDraft>] = &[
    row(
        "errorfile",
        Places::PROXY,
        |words, draft, _| {
            let status = status(words)?;
            let page = page_from_file(words.need("a file")?, status)?;
            keep(draft, status, page);
            Ok(())
        },
        doc(
            "errorfile <status> <file>",
            "a whole answer, head and body, in place of a built-in error page",
            "The file is sent as it is, so it begins with a status line. /dev/null: close without an answer.",
            "errorfile 503 /dev/null",
        ),
    ),
    row(
        "errorloc",
        Places::PROXY,
        |words, draft, _| redirect(words, draft, 302, "Found"),
        doc(
            "errorloc <status> <url>",
            "the same as \"errorloc302\"",
            "",
            "errorloc 503 https://example.org/sorry",
        ),
    ),
    row(
        "errorloc302",
        Places::PROXY,
        |words, draft, _| redirect(words, draft, 302, "Found"),
        doc(
            "errorloc302 <status> <url>",
            "send the client elsewhere in place of an error page",
            "The client asks for the new place with the method it used.",
            "errorloc302 503 https://example.org/sorry",
        ),
    ),
    row(
        "errorloc303",
        Places::PROXY,
        |words, draft, _| redirect(words, draft, 303, "See Other"),
        doc(
            "errorloc303 <status> <url>",
            "send the client elsewhere with GET in place of an error page",
            "",
            "errorloc303 503 https://example.org/sorry",
        ),
    ),
    row(
        "errorfiles",
        Places::PROXY,
        errorfiles,
        doc(
            "errorfiles <section> [<status>...]",
            "the pages of an \"http-errors\" section in place of the built-in ones",
            "All of them, or those of the statuses named.",
            "errorfiles shop 404 503",
        ),
    ),
    row(
        "http-error",
        Places::PROXY,
        |words, draft, cx| {
            let mut status_of = words.clone();
            let status = loop {
                if status_of.need("\"status\"")?.is("status") {
                    break status(&mut status_of)?;
                }
            };
            words.rest();
            draft.proxy.errors.own.retain(|(code, _)| *code != status);
            draft.http_errors.retain(|(code, _)| *code != status);
            draft.http_errors.push((status, Later { line: cx.line.clone(), section: cx.section }));
            Ok(())
        },
        doc(
            "http-error status <status> [<answer>...]",
            "an answer of one's own in place of a built-in error page",
            "The answer is described as behind \"http-request return\".",
            "http-error status 503 content-type text/plain lf-string \"try again, %[src]\"",
        ),
    ),
    row(
        "monitor fail",
        Places::FRONT_ONLY,
        |words, draft, cx| {
            words.need("a condition")?;
            words.rest();
            draft.monitor_fails.push(Later { line: cx.line.clone(), section: cx.section });
            Ok(())
        },
        doc(
            "monitor fail if|unless <condition>",
            "when \"monitor-uri\" answers 503",
            "",
            "monitor fail if { nbsrv(be) lt 1 }",
        ),
    ),
    row(
        "monitor-uri",
        Places::FRONT,
        |words, draft, _| {
            draft.proxy.monitor_uri = Some(value::text(words.need("a URI")?)?.into_bytes());
            Ok(())
        },
        doc(
            "monitor-uri <uri>",
            "a URI that is answered with 200 without asking a server",
            "Not logged: made for other machines that watch this one.",
            "monitor-uri /alive",
        ),
    ),
];

/// Keywords of `http-errors`.
pub const SECTION_ROWS: &[Keyword<ErrorPages>] = &[row(
    "errorfile",
    Places::HTTP_ERRORS,
    |words, pages, _| {
        let status = status(words)?;
        let page = page_from_file(words.need("a file")?, status)?;
        pages.set(status, page);
        Ok(())
    },
    doc(
        "errorfile <status> <file>",
        "a whole answer, head and body",
        "Proxies take it by \"errorfiles\", rules by \"return ... errorfiles\".",
        "errorfile 503 /dev/null",
    ),
)];

fn errorfiles(words: &mut Words<'_>, draft: &mut ProxyDraft, cx: &mut LineCx<'_>) -> Result<(), Diag> {
    let name = words.need("the name of an http-errors section")?;
    let Some(pages) = cx.base.pages.get(&name.text) else {
        let diag = name.err(format!("there is no http-errors section \"{}\"", name.text));
        return Err(match suggest::did_you_mean(&name.text, cx.base.pages.keys().map(String::as_str)) {
            Some(help) => diag.help(help),
            None => diag,
        });
    };
    if words.peek().is_none() {
        pages.own.iter().for_each(|(status, page)| keep(draft, *status, page.clone()));
    }
    while let Some(word) = words.peek() {
        let status = status(words)?;
        match pages.get(status) {
            Some(page) => keep(draft, status, page.clone()),
            None => return Err(word.err(format!("\"{}\" has no page for status {status}", name.text))),
        }
    }
    Ok(())
}

/// Statuses that have an error page.
const STATUSES: &[u16] = &[
    200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 414, 421, 422, 425, 429, 431, 500, 501, 502, 503, 504,
];

fn status(words: &mut Words<'_>) -> Result<u16, Diag> {
    let word = words.need("a status")?;
    match word.text.parse::<u16>() {
        Ok(status) if STATUSES.contains(&status) => Ok(status),
        _ => {
            let known: Vec<String> = STATUSES.iter().map(u16::to_string).collect();
            let diag = word.err(format!("there is no error page for \"{}\"", word.text));
            Err(diag.help(format!("statuses are {}", known.join(", "))))
        }
    }
}

fn keep(draft: &mut ProxyDraft, status: u16, page: Reply) {
    draft.http_errors.retain(|(code, _)| *code != status);
    draft.proxy.errors.set(status, page);
}

fn redirect(words: &mut Words<'_>, draft: &mut ProxyDraft, code: u16, reason: &str) -> Result<(), Diag> {
    let status = status(words)?;
    let word = words.need("a URL")?;
    if word.text.is_empty() || word.text.contains(|c: char| c.is_control() || c == ' ') {
        return Err(word.err("a URL has no blanks or control characters"));
    }
    let head = format!(
        "HTTP/1.1 {code} {reason}\r\ncache-control: no-cache\r\ncontent-length: 0\r\nlocation: {}\r\n\r\n",
        word.text
    );
    keep(draft, status, Reply { status, head: head.into_bytes(), body: Vec::new(), verbatim: false });
    Ok(())
}

/// Reads an answer from a file.
pub fn page_from_file(word: &Word, status: u16) -> Result<Reply, Diag> {
    let bytes = if word.is("/dev/null") { Vec::new() } else { value::file(word, FILE_MAX)? };
    Reply::from_text(&bytes, status).map_err(|what| word.err(format!("\"{}\" {what}", word.text)))
}

/// A page lives in memory and goes out in one piece.
const FILE_MAX: u64 = 1 << 20;
