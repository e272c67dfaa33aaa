//! Actions that let traffic pass or end it without an answer.

use super::ActionKw;
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
        "silent-drop",
        Sites::TCP.or(Sites::HTTP_REQ),
        |_, _| Ok(Box::new(Silent)),
        "silent-drop",
        "the connection is forgotten without telling the client",
        "tcp-request connection silent-drop if { src 192.0.2.0/24 }",
    ),
];

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

struct Silent;

impl Action for Silent {
    fn run<'p>(&'p self, _: &mut ActionCx<'_>) -> Act<'p> {
        Act::Drop
    }
}
