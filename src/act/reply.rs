//! Actions that answer in place of a server: `return`, `deny`, `tarpit`.

use super::ActionKw;
use crate::expr::compile::ParseCx;
use crate::expr::logfmt::{LogFmt, Use};
use crate::lang::diag::Diag;
use crate::lang::word::{Word, Words};
use crate::plan::reply::{has_page, Reply};
use crate::plan::rule::{Act, Action, ActionCx, Answer, Sites};
use lighterman_wire::http::status;

/// The rows of this family.
pub const ROWS: &[ActionKw] = &[
    ActionKw::new("deny", Sites::HTTP_REQ.or(Sites::HTTP_RES), deny, "deny [deny_status <status>] [<reply>...]", "refuses with an answer, 403 unless said otherwise", "http-request deny deny_status 429 if { path_beg /api }"),
    ActionKw::new("return", Sites::HTTP_REQ.or(Sites::HTTP_RES), answer, "return [status <status>] [content-type <type>] [string|lf-string|file|lf-file <body>] [hdr <name> <fmt>]...", "answers in place of a server", "http-request return status 200 content-type text/plain string \"ok\" if { path /ping }"),
    ActionKw::new("tarpit", Sites::HTTP_REQ, tarpit, "tarpit [deny_status <status>] [<reply>...]", "holds the client for \"timeout tarpit\", then refuses", "http-request tarpit if { path_beg /wp-admin }"),
];

/// The longest body of a file, bytes.
const FILE_MAX: usize = 16 << 20;

enum Body {
    None,
    Text(Vec<u8>),
    Format(LogFmt),
}

/// An answer as configured.
struct Recipe {
    status: u16,
    content_type: Option<String>,
    body: Body,
    fields: Vec<(String, LogFmt)>,
    /// Ready to send, when nothing depends on the request.
    ready: Option<Reply>,
    /// The proxy's page for the status.
    page: bool,
}

/// Reads the words of an answer up to the condition. `words` may say the status with `status_kw`.
fn recipe(
    status: u16,
    status_kw: &[&str],
    words: &mut Words<'_>,
    cx: &mut ParseCx<'_>,
) -> Result<Recipe, Diag> {
    let mut recipe =
        Recipe { status, content_type: None, body: Body::None, fields: Vec::new(), ready: None, page: false };
    let mut said = false;
    while let Some(word) = words.peek() {
        match word.text.as_str() {
            "if" | "unless" => break,
            kw if status_kw.contains(&kw) => {
                words.next();
                recipe.status = words.need("a status")?.int_in(200..=599)? as u16;
                continue;
            }
            "content-type" => {
                words.next();
                recipe.content_type = Some(words.need("a content type")?.text.clone());
                said = true;
                continue;
            }
            "hdr" => {
                words.next();
                let name = words.need("a field name")?.text.clone();
                recipe.fields.push((name, LogFmt::compile(words.need("a value")?, Use::Text, cx)?));
                said = true;
                continue;
            }
            "default-errorfiles" => {
                words.next();
                recipe.page = true;
                continue;
            }
            "string" | "file" | "lf-string" | "lf-file" | "errorfile" => {
                words.next();
                let value = words.need("a body")?;
                recipe.body = body(&word.text, value, cx)?;
                said = true;
                continue;
            }
            "errorfiles" => return Err(word.err("\"errorfiles\" is known, not supported yet")),
            _ => {
                let known = [
                    "status",
                    "deny_status",
                    "content-type",
                    "string",
                    "lf-string",
                    "file",
                    "lf-file",
                    "hdr",
                    "default-errorfiles",
                    "if",
                    "unless",
                ];
                return Err(word.not_one_of("word", &known));
            }
        }
    }
    recipe.page |= !said;
    recipe.ready = recipe.prepare();
    Ok(recipe)
}

fn body(kind: &str, value: &Word, cx: &mut ParseCx<'_>) -> Result<Body, Diag> {
    let from_file = kind.ends_with("file");
    let text = if from_file {
        let bytes = cx.names.file(&value.text).map_err(|why| value.err(why))?;
        if bytes.len() > FILE_MAX {
            return Err(value.err(format!("the file is larger than {} MB", FILE_MAX >> 20)));
        }
        bytes
    } else {
        value.text.clone().into_bytes()
    };
    if !kind.starts_with("lf-") {
        return Ok(Body::Text(text));
    }
    let word = Word { text: String::from_utf8_lossy(&text).into_owned(), at: value.at };
    Ok(Body::Format(LogFmt::compile(&word, Use::Text, cx)?))
}

impl Recipe {
    /// The answer when it is the same for every request.
    fn prepare(&self) -> Option<Reply> {
        if self.page {
            return None;
        }
        let body = match &self.body {
            Body::None => Vec::new(),
            Body::Text(text) => text.clone(),
            Body::Format(format) => format.constant()?,
        };
        let fields: Option<Vec<(&str, Vec<u8>)>> =
            self.fields.iter().map(|(name, value)| Some((name.as_str(), value.constant()?))).collect();
        Some(self.encode(&fields?, body))
    }

    fn encode(&self, fields: &[(&str, Vec<u8>)], body: Vec<u8>) -> Reply {
        let reason = status::reason(self.status);
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", self.status).into_bytes();
        if !matches!(self.status, 204 | 304) {
            head.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
        }
        if let Some(kind) = self.content_type.as_deref().filter(|_| !body.is_empty()) {
            head.extend_from_slice(format!("content-type: {kind}\r\n").as_bytes());
        }
        for (name, value) in fields {
            head.extend_from_slice(name.as_bytes());
            head.extend_from_slice(b": ");
            // nothing of a request may end the line
            head.extend(value.iter().map(|b| if matches!(b, b'\r' | b'\n' | 0) { b' ' } else { *b }));
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        Reply { status: self.status, head, body, verbatim: false }
    }

    fn answer<'p>(&'p self, cx: &ActionCx<'_>) -> Answer<'p> {
        if self.page {
            return Answer::Page(self.status);
        }
        if let Some(ready) = &self.ready {
            return Answer::Ready(ready);
        }
        let facts = cx.facts();
        let mut body = Vec::new();
        match &self.body {
            Body::None => {}
            Body::Text(text) => body.extend_from_slice(text),
            Body::Format(format) => format.write(&facts, &mut body),
        }
        let fields: Vec<(&str, Vec<u8>)> = self
            .fields
            .iter()
            .map(|(name, format)| {
                let mut value = Vec::new();
                format.write(&facts, &mut value);
                (name.as_str(), value)
            })
            .collect();
        Answer::Built(Box::new(self.encode(&fields, body)))
    }
}

struct Return(Recipe);

fn answer(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let mut recipe = recipe(200, &["status", "code"], words, cx)?;
    if recipe.page && (recipe.status == 200 || !has_page(recipe.status)) {
        // `return` alone is an empty 200, not a page; and most statuses have none
        recipe.page = false;
        recipe.ready = recipe.prepare();
    }
    Ok(Box::new(Return(recipe)))
}

impl Action for Return {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        Act::Reply(self.0.answer(cx))
    }
}

struct Deny(Recipe);

fn deny(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    Ok(Box::new(Deny(recipe(403, &["deny_status", "status"], words, cx)?)))
}

impl Action for Deny {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        Act::Deny(self.0.status, Some(self.0.answer(cx)).filter(|_| !self.0.page))
    }
}

struct Tarpit(Recipe);

fn tarpit(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    Ok(Box::new(Tarpit(recipe(500, &["deny_status", "status"], words, cx)?)))
}

impl Action for Tarpit {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        Act::Tarpit(self.0.status, Some(self.0.answer(cx)).filter(|_| !self.0.page))
    }
}
