//! Actions around time: waiting for a body, answering before the answer.

use super::header::field_name;
use super::ActionKw;
use crate::expr::compile::ParseCx;
use crate::expr::logfmt::{LogFmt, Use};
use crate::lang::diag::Diag;
use crate::lang::word::Words;
use crate::plan::reply::Reply;
use crate::plan::rule::{Act, Action, ActionCx, Need, Site, Sites};

/// The rows of this family.
pub const ROWS: &[ActionKw] = &[
    ActionKw::new(
        "early-hint",
        Sites::HTTP_REQ,
        hint,
        "early-hint <name> <fmt>",
        "tells the client a field of the answer before there is one",
        "http-request early-hint Link \"</style.css>; rel=preload; as=style\"",
    )
    .text("By an interim answer 103 (RFC 8297). Rules that follow each other share one."),
    ActionKw::new(
        "wait-for-body",
        Sites::HTTP_REQ.or(Sites::HTTP_RES),
        body,
        "wait-for-body time <time> [at-least <bytes>]",
        "waits for the body, so that rules may look at it",
        "http-request wait-for-body time 1s at-least 1k",
    )
    .text(
        "Until so many bytes are there, the body has ended or the buffer is full. When the time is over a \
         request is answered with 408; 504 takes the place of an answer.",
    ),
    ActionKw::new(
        "wait-for-handshake",
        Sites::HTTP_REQ,
        |_, _| Ok(Box::new(Handshake)),
        "wait-for-handshake",
        "waits for the end of the TLS handshake, if the request came before it",
        "http-request wait-for-handshake unless METH_GET",
    )
    .text(
        "For requests that must not be recordings of earlier ones, where \"allow-0rtt\" lets them come early. When \
         the handshake does not end in time (\"timeout client-hs\") the answer is 425.",
    ),
];

struct Hint {
    name: Box<[u8]>,
    value: LogFmt,
}

fn hint(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let name = field_name(words.need("a field name")?)?;
    Ok(Box::new(Hint { name, value: LogFmt::compile(words.need("a value")?, Use::Field, cx)? }))
}

impl Action for Hint {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        let mut reply = Reply::start(103, "Early Hints");
        let mut value = Vec::new();
        self.value.write(&cx.facts(), &mut value);
        reply.field(&self.name, &value);
        reply.end();
        Act::Interim(Box::new(reply))
    }
}

struct Handshake;

impl Action for Handshake {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        match cx.tls.is_some_and(|tls| tls.early()) {
            false => Act::Next,
            true if cx.last => Act::Deny(425, None),
            true => Act::Wait(Need::Handshake),
        }
    }
}

struct Body {
    at_least: usize,
    time_ms: u32,
}

fn body(words: &mut Words<'_>, _: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let (mut time_ms, mut at_least) = (None, 0);
    while let Some(word) = words.peek() {
        match word.text.as_str() {
            "time" => {
                words.next();
                time_ms = Some(words.need("a time")?.time_ms()?);
            }
            "at-least" => {
                words.next();
                at_least = words.need("a number of bytes")?.size()? as usize;
            }
            "if" | "unless" => break,
            _ => return Err(word.not_one_of("word", &["time", "at-least", "if", "unless"])),
        }
    }
    match time_ms {
        Some(time_ms) => Ok(Box::new(Body { at_least, time_ms })),
        None => Err(words.missing("\"time\" and how long to wait")),
    }
}

impl Action for Body {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        let body = if cx.site == Site::HttpResponse { cx.res_body } else { cx.req_body };
        let enough = self.at_least > 0 && body.data.len() >= self.at_least;
        if cx.last || body.whole || enough {
            return Act::Next;
        }
        Act::Wait(Need::Body { at_least: self.at_least, time_ms: self.time_ms })
    }
}
