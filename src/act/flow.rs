//! Actions that let traffic pass or end it without an answer.

use super::ActionKw;
use crate::expr::compile::ParseCx;
use crate::lang::diag::Diag;
use crate::lang::word::Words;
use crate::plan::rule::{Act, Action, ActionCx, Sites};

/// The rows of this family.
pub const ROWS: &[ActionKw] = &[
    ActionKw::new(
        "accept",
        Sites::TCP,
        |_, _| Ok(Box::new(Pass)),
        "accept",
        "no further rule of this set is looked at",
        "tcp-request connection accept if { src 127.0.0.0/8 }",
    ),
    ActionKw::new(
        "allow",
        Sites::HTTP,
        |_, _| Ok(Box::new(Pass)),
        "allow",
        "no further rule of this set is looked at",
        "http-request allow if { path /ping }",
    ),
    ActionKw::new(
        "reject",
        Sites::TCP.or(Sites::HTTP_REQ),
        |_, _| Ok(Box::new(Reject)),
        "reject",
        "the connection is closed without an answer",
        "tcp-request content reject unless { req.len gt 0 }",
    ),
    ActionKw::new(
        "close",
        Sites::TCP_RES,
        |_, _| Ok(Box::new(Reject)),
        "close",
        "the connection to the server is closed",
        "tcp-response content close if { res.len 0 }",
    ),
    ActionKw::new(
        "switch-mode",
        Sites::TCP_REQ,
        switch_mode,
        "switch-mode http [proto h1]",
        "the connection is one of HTTP from here on",
        "tcp-request content switch-mode http if HTTP",
    )
    .text(
        "In a frontend in mode tcp. Its HTTP rules then run for every request of the connection, and a backend in mode \
         http must be chosen. A backend in mode http alone does as much once it is chosen.",
    ),
    ActionKw::new(
        "silent-drop",
        Sites::TCP.or(Sites::HTTP_REQ).or(Sites::HTTP_RES),
        silent,
        "silent-drop [rst-ttl <hops>]",
        "the connection is forgotten without telling the client",
        "tcp-request connection silent-drop if { src 192.0.2.0/24 }",
    )
    .text(
        "The client goes on waiting, and so does every firewall on the way. Without the privilege for it, or with \
         \"rst-ttl\", the connection is reset by a packet that dies after so many hops (1).",
    ),
];

struct SwitchMode;

fn switch_mode(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    if cx.names.captures(false).is_none() {
        let word = words.taken().or(words.peek());
        let what = "\"switch-mode\" belongs to frontends: a backend cannot change what a client speaks";
        return Err(word.map_or_else(|| words.missing("a mode"), |word| word.err(what)));
    }
    let word = words.need("\"http\"")?;
    if !word.is("http") {
        return Err(word.not_one_of("mode", &["http"]));
    }
    if words.eat("proto") {
        let word = words.need("h1")?;
        match word.text.as_str() {
            "h1" => {}
            "h2" => return Err(word.err("proto \"h2\" is known, not supported yet")),
            _ => return Err(word.not_one_of("protocol", &["h1"])),
        }
    }
    Ok(Box::new(SwitchMode))
}

impl Action for SwitchMode {
    fn run<'p>(&'p self, _: &mut ActionCx<'_>) -> Act<'p> {
        Act::SwitchToHttp
    }
}

struct Pass;

impl Action for Pass {
    fn run<'p>(&'p self, _: &mut ActionCx<'_>) -> Act<'p> {
        Act::Stop
    }
}

struct Reject;

impl Action for Reject {
    fn run<'p>(&'p self, _: &mut ActionCx<'_>) -> Act<'p> {
        Act::Reject
    }
}

/// Hops of the reset; `None`: none is sent where that can be helped.
struct Silent(Option<u8>);

fn silent(words: &mut Words<'_>, _: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let hops = match words.eat("rst-ttl") {
        true => Some(words.need("a number of hops")?.int_in(1..=255)? as u8),
        false => None,
    };
    Ok(Box::new(Silent(hops)))
}

impl Action for Silent {
    fn run<'p>(&'p self, _: &mut ActionCx<'_>) -> Act<'p> {
        Act::Drop(self.0)
    }
}
