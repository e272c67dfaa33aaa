//! `redirect`: an answer that sends the client elsewhere.

use super::ActionKw;
use crate::expr::compile::ParseCx;
use crate::expr::logfmt::{LogFmt, Use};
use crate::expr::sample::Scratch;
use crate::lang::diag::Diag;
use crate::lang::word::Words;
use crate::plan::reply::Reply;
use crate::plan::rule::{Act, Action, ActionCx, Answer, Sites};
use lighterman_wire::http::status;

/// The row.
pub const ROWS: &[ActionKw] = &[ActionKw::new(
    "redirect",
    Sites::HTTP_REQ.or(Sites::HTTP_RES),
    parse,
    "redirect location|prefix|scheme <fmt> [code <code>] [drop-query] [append-slash] [keep-query] [ignore-empty] [set-cookie <name>[=<value>]] [set-cookie-fmt <fmt>] [clear-cookie <name>[=]]",
    "sends the client elsewhere",
    "http-request redirect scheme https code 301 unless { ssl_fc }",
)
.text(
    "location: the whole new URL. prefix: what to put before path and query (\"/\": nothing). scheme: what to put \
     before ://, host, path and query. Codes are 301, 302 (the default), 303, 307, 308. drop-query and append-slash \
     belong to prefix and scheme, keep-query to location; with ignore-empty an empty target means no redirect.",
)];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Location,
    Prefix,
    Scheme,
}

enum Cookie {
    None,
    /// The same for every request.
    Fixed(String),
    /// Its name and value are worked out.
    Made(LogFmt),
}

struct Redirect {
    kind: Kind,
    to: LogFmt,
    code: u16,
    drop_query: bool,
    append_slash: bool,
    ignore_empty: bool,
    keep_query: bool,
    cookie: Cookie,
    /// The whole answer, when it is the same for every request.
    ready: Option<Reply>,
}

/// Reads a redirect up to its condition.
pub(super) fn parse(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let mut code = 302;
    let (mut drop_query, mut append_slash, mut ignore_empty, mut keep_query) = (false, false, false, false);
    let (mut cookie, mut to) = (Cookie::None, None);
    while let Some(word) = words.peek() {
        match word.text.as_str() {
            "if" | "unless" => break,
            "location" | "prefix" | "scheme" => {
                let kind = match word.text.as_str() {
                    "location" => Kind::Location,
                    "prefix" => Kind::Prefix,
                    _ => Kind::Scheme,
                };
                words.next();
                to = Some((kind, LogFmt::compile(words.need("where to")?, Use::Field, cx)?));
            }
            "code" => {
                words.next();
                let word = words.need("a status")?;
                code = word.int_in(301..=308)? as u16;
                if !matches!(code, 301 | 302 | 303 | 307 | 308) {
                    return Err(word.err("a redirect has one of the codes 301, 302, 303, 307, 308"));
                }
            }
            "drop-query" => {
                words.next();
                drop_query = true;
            }
            "append-slash" => {
                words.next();
                append_slash = true;
            }
            "ignore-empty" => {
                words.next();
                ignore_empty = true;
            }
            "keep-query" => {
                words.next();
                keep_query = true;
            }
            "set-cookie" => {
                words.next();
                cookie = Cookie::Fixed(format!("{}; path=/;", words.need("a cookie")?.text));
            }
            "set-cookie-fmt" => {
                words.next();
                cookie = Cookie::Made(LogFmt::compile(words.need("a cookie")?, Use::Field, cx)?);
            }
            "clear-cookie" => {
                words.next();
                cookie = Cookie::Fixed(format!("{}; path=/; Max-Age=0;", words.need("a cookie")?.text));
            }
            _ => {
                let known = [
                    "location",
                    "prefix",
                    "scheme",
                    "code",
                    "drop-query",
                    "append-slash",
                    "ignore-empty",
                    "keep-query",
                    "set-cookie",
                    "set-cookie-fmt",
                    "clear-cookie",
                    "if",
                    "unless",
                ];
                return Err(word.not_one_of("word of \"redirect\"", &known));
            }
        }
    }
    let Some((kind, to)) = to else { return Err(words.missing("\"location\", \"prefix\" or \"scheme\"")) };
    let mut made =
        Redirect { kind, to, code, drop_query, append_slash, ignore_empty, keep_query, cookie, ready: None };
    if kind == Kind::Location && !keep_query && !matches!(made.cookie, Cookie::Made(_)) {
        let constant = made.to.constant().filter(|to| !to.is_empty());
        made.ready = constant.map(|to| made.reply(&to, b""));
    }
    Ok(Box::new(made))
}

impl Action for Redirect {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        if let Some(ready) = &self.ready {
            return Act::Reply(Answer::Ready(ready));
        }
        let facts = cx.facts();
        let mut location = Scratch::new();
        self.to.write(&facts, &mut location);
        if location.is_empty() && self.ignore_empty {
            return Act::Next;
        }
        if self.kind != Kind::Location {
            let Some(req) = facts.req else { return Act::Next };
            if self.kind == Kind::Scheme {
                location.extend_from_slice(b"://");
                location.extend_from_slice(req.first(b"host").unwrap_or_default());
            } else if *location == b"/" {
                location.clear();
            }
            let path = if self.drop_query { req.path() } else { req.pathq() };
            location.extend_from_slice(path);
            if self.append_slash {
                let end = location.iter().position(|b| *b == b'?').unwrap_or(location.len());
                if end == 0 || location[end - 1] != b'/' {
                    location.insert(end, b'/');
                }
            }
        }
        if let Some(query) = facts.req.and_then(|req| req.query()).filter(|_| self.keep_query) {
            let join = if location.contains(&b'?') { b'&' } else { b'?' };
            location.push(join);
            location.extend_from_slice(query);
        }
        let mut cookie = Scratch::new();
        if let Cookie::Made(format) = &self.cookie {
            format.write(&facts, &mut cookie);
            cookie.extend_from_slice(b"; path=/;");
        }
        Act::Reply(Answer::Built(Box::new(self.reply(&location, &cookie))))
    }
}

impl Redirect {
    /// `made` is the cookie when it had to be worked out.
    fn reply(&self, location: &[u8], made: &[u8]) -> Reply {
        let mut reply = Reply::start(self.code, status::reason(self.code));
        reply.field(b"content-length", b"0");
        reply.field(b"location", location);
        if matches!(self.code, 302 | 303 | 307) {
            reply.field(b"cache-control", b"no-cache");
        }
        match &self.cookie {
            Cookie::None => {}
            Cookie::Fixed(cookie) => reply.field(b"set-cookie", cookie.as_bytes()),
            Cookie::Made(_) => reply.field(b"set-cookie", made),
        }
        reply.end();
        reply
    }
}
