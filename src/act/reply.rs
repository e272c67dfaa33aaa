//! Actions that answer in place of a server: `return`, `deny`, `tarpit`, `auth`.

use super::header::field_name;
use super::ActionKw;
use crate::expr::compile::ParseCx;
use crate::expr::logfmt::{LogFmt, Use};
use crate::expr::sample::Scratch;
use crate::lang::diag::Diag;
use crate::lang::word::{Word, Words};
use crate::plan::reply::{has_page, Reply};
use crate::plan::rule::{Act, Action, ActionCx, Answer, Sites};
use lighterman_wire::http::status;

/// The rows of this family.
pub const ROWS: &[ActionKw] = &[
    ActionKw::new(
        "auth",
        Sites::HTTP_REQ,
        auth,
        "auth [realm <name>]",
        "asks the client for a name and a password",
        "http-request auth realm shop unless { src 10.0.0.0/8 }",
    )
    .text("The realm is the proxy's name unless said otherwise."),
    ActionKw::new(
        "deny",
        Sites::HTTP_REQ.or(Sites::HTTP_RES),
        deny,
        "deny [deny_status <status>] [<answer>...]",
        "refuses with an answer",
        "http-request deny deny_status 429 if { path_beg /api }",
    )
    .text("Requests with 403, answers with 502 unless said otherwise: with the error page, or with an answer described as for \"return\"."),
    ActionKw::new(
        "return",
        Sites::HTTP_REQ.or(Sites::HTTP_RES),
        answer,
        "return [status <status>] [content-type <type>] [string|lf-string|file|lf-file <body>] [hdr <name> <fmt>]...",
        "answers in place of a server",
        "http-request return status 200 content-type text/plain string \"ok\" if { path /ping }",
    )
    .text(
        "200 unless said otherwise, empty unless a body is given. lf-string and lf-file hold log-format strings. \
         \"default-errorfiles\" takes the error page of the status, \"errorfile <file>\" a whole answer from a file, \
         head and body, \"errorfiles <section>\" that of an http-errors section.",
    ),
    ActionKw::new(
        "tarpit",
        Sites::HTTP_REQ,
        tarpit,
        "tarpit [deny_status <status>] [<answer>...]",
        "holds the client for \"timeout tarpit\", then refuses",
        "http-request tarpit if { path_beg /wp-admin }",
    )
    .text("With 500 unless said otherwise. The answer is described as for \"return\"."),
];

/// The longest body of a file, bytes.
const FILE_MAX: usize = 16 << 20;

/// Where an answer comes from.
enum From {
    /// Nothing but a status.
    Nothing,
    /// The proxy's page for the status.
    Page,
    /// The same for every request, encoded.
    Ready(Reply),
    /// Made for each request.
    Made(Body),
}

enum Body {
    None,
    Text(Vec<u8>),
    Format(LogFmt),
}

/// An answer as configured.
struct Recipe {
    status: u16,
    from: From,
    kind: Option<String>,
    fields: Vec<(Box<[u8]>, LogFmt)>,
    /// More was said than `deny_status`.
    described: bool,
}

const WORDS: &[&str] = &[
    "status",
    "deny_status",
    "content-type",
    "string",
    "lf-string",
    "file",
    "lf-file",
    "hdr",
    "default-errorfiles",
    "errorfile",
    "errorfiles",
    "if",
    "unless",
];

/// Reads the words of an answer up to the condition.
fn recipe(status: u16, words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Recipe, Diag> {
    let mut recipe = Recipe { status, from: From::Nothing, kind: None, fields: Vec::new(), described: false };
    let (mut errorfile, mut group) = (None, None);
    let mut source: Option<&Word> = None;
    while let Some(word) = words.peek().filter(|word| !word.is("if") && !word.is("unless")) {
        words.next();
        match word.text.as_str() {
            "status" | "deny_status" | "code" => {
                recipe.described |= word.is("status");
                recipe.status = words.need("a status")?.int_in(200..=599)? as u16;
                continue;
            }
            "content-type" => {
                recipe.kind = Some(words.need("a content type")?.text.clone());
                continue;
            }
            "hdr" => {
                let name = field_name(words.need("a field name")?)?;
                recipe.fields.push((name, LogFmt::compile(words.need("a value")?, Use::Field, cx)?));
                continue;
            }
            "default-errorfiles" => recipe.from = From::Page,
            "string" | "file" | "lf-string" | "lf-file" => {
                recipe.from = From::Made(body(&word.text, words.need("a body")?, cx)?);
            }
            "errorfile" => errorfile = Some(words.need("a file")?),
            "errorfiles" => group = Some(words.need("the name of an http-errors section")?),
            _ => return Err(word.not_one_of("word", WORDS)),
        }
        if let Some(first) = source.replace(word) {
            return Err(word.err(format!("the answer is described by \"{}\" already", first.text)));
        }
    }
    if let Some(file) = errorfile {
        let bytes = cx.names.file(&file.text).map_err(|why| file.err(why))?;
        let whole = Reply::from_text(&bytes, recipe.status);
        recipe.from = From::Ready(whole.map_err(|what| file.err(format!("\"{}\" {what}", file.text)))?);
    }
    if let Some(group) = group {
        recipe.from = From::Ready(of_group(group, recipe.status, cx)?);
    }
    if let (From::Made(body), None, Some(word)) = (&recipe.from, &recipe.kind, source) {
        if !body.is_empty() {
            return Err(word.err("a body needs a \"content-type\""));
        }
    }
    Ok(recipe)
}

/// The page of an `http-errors` section.
fn of_group(group: &Word, status: u16, cx: &ParseCx<'_>) -> Result<Reply, Diag> {
    match cx.names.page(&group.text, status).map_err(|why| group.err(why))? {
        Some((head, body)) => Ok(Reply { status, head, body, verbatim: true }),
        None => {
            let diag = group.err(format!("\"{}\" has no page for status {status}", group.text));
            Err(diag.help("give it one there: errorfile <status> <file>"))
        }
    }
}

fn body(kind: &str, value: &Word, cx: &mut ParseCx<'_>) -> Result<Body, Diag> {
    let text = if kind.ends_with("file") {
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
    Ok(Body::Format(LogFmt::compile(&word, Use::Field, cx)?))
}

impl Body {
    fn is_empty(&self) -> bool {
        match self {
            Body::None => true,
            Body::Text(text) => text.is_empty(),
            Body::Format(format) => format.constant().is_some_and(|text| text.is_empty()),
        }
    }
}

impl Recipe {
    /// What is the same for every request is encoded now.
    fn prepare(mut self) -> Self {
        if matches!(self.from, From::Nothing) {
            self.from = From::Made(Body::None);
        }
        let From::Made(body) = &self.from else { return self };
        let body = match body {
            Body::None => Some(Vec::new()),
            Body::Text(text) => Some(text.clone()),
            Body::Format(format) => format.constant(),
        };
        let fields: Option<Vec<_>> =
            self.fields.iter().map(|(name, value)| Some((&**name, value.constant()?))).collect();
        if let (Some(body), Some(fields)) = (body, fields) {
            let fields = fields.iter().map(|(name, value)| (*name, value.as_slice()));
            self.from = From::Ready(self.encode(fields, body));
        }
        self
    }

    /// A refusal that is not described is the page of its status.
    fn or_page(mut self, words: &Words<'_>) -> Result<Self, Diag> {
        let bare = !self.described && self.kind.is_none() && self.fields.is_empty();
        if matches!(self.from, From::Nothing) && bare {
            self.from = From::Page;
        }
        self.judged(words).map(Recipe::prepare)
    }

    fn judged(self, words: &Words<'_>) -> Result<Self, Diag> {
        if matches!(self.from, From::Page) && !has_page(self.status) {
            let what = format!("there is no error page for status {}", self.status);
            let diag = words.taken().map_or_else(|| words.missing("a body"), |word| word.err(what));
            return Err(diag.help("say what to answer: content-type text/plain string \"...\""));
        }
        Ok(self)
    }

    fn encode<'f>(&self, fields: impl Iterator<Item = (&'f [u8], &'f [u8])>, body: Vec<u8>) -> Reply {
        let mut reply = Reply::start(self.status, status::reason(self.status));
        fields.for_each(|(name, value)| reply.field(name, value));
        if !matches!(self.status, 204 | 304) {
            let mut length = Scratch::new();
            crate::expr::sample::write_int(&mut length, body.len() as i64);
            reply.field(b"content-length", &length);
        }
        if let Some(kind) = self.kind.as_deref().filter(|_| !body.is_empty()) {
            reply.field(b"content-type", kind.as_bytes());
        }
        reply.end();
        reply.body = body;
        reply
    }

    fn answer<'p>(&'p self, cx: &ActionCx<'_>) -> Answer<'p> {
        let body = match &self.from {
            From::Page | From::Nothing => return Answer::Page(self.status),
            From::Ready(reply) => return Answer::Ready(reply),
            From::Made(body) => body,
        };
        let facts = cx.facts();
        let body = match body {
            Body::None => Vec::new(),
            Body::Text(text) => text.clone(),
            Body::Format(format) => {
                let mut body = Vec::new();
                format.write(&facts, &mut body);
                body
            }
        };
        let made = |(name, format): &'p (Box<[u8]>, LogFmt)| {
            let mut value = Vec::new();
            format.write(&facts, &mut value);
            (&**name, value)
        };
        let fields: Vec<(&[u8], Vec<u8>)> = self.fields.iter().map(made).collect();
        let fields = fields.iter().map(|(name, value)| (*name, value.as_slice()));
        Answer::Built(Box::new(self.encode(fields, body)))
    }

    /// The answer of a refusal; `None`: the page of its status.
    fn refusal<'p>(&'p self, cx: &ActionCx<'_>) -> Option<Answer<'p>> {
        match self.from {
            From::Page => None,
            _ => Some(self.answer(cx)),
        }
    }
}

struct Return(Recipe);

/// Reads an answer up to its condition (`return`, `http-error`).
pub fn answer(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let recipe = recipe(200, words, cx)?.judged(words)?;
    Ok(Box::new(Return(recipe.prepare())))
}

impl Action for Return {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        Act::Reply(self.0.answer(cx))
    }
}

struct Deny(Recipe);

fn deny(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let usual = if cx.point.is_response() { 502 } else { 403 };
    Ok(Box::new(Deny(recipe(usual, words, cx)?.or_page(words)?)))
}

impl Action for Deny {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        Act::Deny(self.0.status, self.0.refusal(cx))
    }
}

struct Tarpit(Recipe);

fn tarpit(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    Ok(Box::new(Tarpit(recipe(500, words, cx)?.or_page(words)?)))
}

impl Action for Tarpit {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        Act::Tarpit(self.0.status, self.0.refusal(cx))
    }
}

/// The realm.
struct Auth(Option<String>);

fn auth(words: &mut Words<'_>, _: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let realm = match words.eat("realm") {
        false => None,
        true => {
            let word = words.need("the name of a realm")?;
            if word.text.contains(|c: char| c == '"' || c.is_control()) {
                return Err(word.err("a realm holds no quotes and no control characters"));
            }
            Some(word.text.clone())
        }
    };
    Ok(Box::new(Auth(realm)))
}

impl Action for Auth {
    fn run<'p>(&'p self, _: &mut ActionCx<'_>) -> Act<'p> {
        Act::Deny(401, Some(Answer::Challenge(self.0.as_deref())))
    }
}
