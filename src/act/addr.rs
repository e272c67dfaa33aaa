//! Actions that change who the client seems to be, and what it seems to have asked for.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::ActionKw;
use crate::expr::compile::{expr_words, Expr, ParseCx};
use crate::expr::sample::{Sample, Ty};
use crate::expr::view::Addr;
use crate::lang::diag::Diag;
use crate::lang::word::Words;
use crate::plan::rule::{Act, Action, ActionCx, Sites};

const SITES: Sites = Sites::TCP_ANY_REQ.or(Sites::HTTP_REQ);

/// The rows of this family.
pub const ROWS: &[ActionKw] = &[
    ActionKw::new(
        "set-dst",
        SITES,
        |w, cx| make(End::Dst, Part::Ip, w, cx),
        "set-dst <expr>",
        "changes the address the client asked for",
        "http-request set-dst req.hdr(x-dst)",
    )
    .text("Servers without an address of their own are reached there."),
    ActionKw::new(
        "set-dst-port",
        SITES,
        |w, cx| make(End::Dst, Part::Port, w, cx),
        "set-dst-port <expr>",
        "changes the port the client asked for",
        "http-request set-dst-port int(4000)",
    ),
    ActionKw::new(
        "set-src",
        SITES,
        |w, cx| make(End::Src, Part::Ip, w, cx),
        "set-src <expr>",
        "changes the client's address",
        "http-request set-src req.hdr_ip(x-forwarded-for,-1) if { src 192.0.2.0/24 }",
    )
    .text("From then on rules, logs and PROXY headers show it; \"balance source\" uses it."),
    ActionKw::new(
        "set-src-port",
        SITES,
        |w, cx| make(End::Src, Part::Port, w, cx),
        "set-src-port <expr>",
        "changes the client's port",
        "http-request set-src-port req.hdr(x-port)",
    ),
];

#[derive(Clone, Copy)]
enum End {
    Src,
    Dst,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Ip,
    Port,
}

struct Change {
    end: End,
    part: Part,
    to: Expr,
}

fn make(end: End, part: Part, words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    Ok(Box::new(Change { end, part, to: expr_words(words, cx)? }))
}

impl Action for Change {
    /// Nothing changes when the expression yields nothing that fits.
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        let facts = cx.facts();
        let old = match self.end {
            End::Src => facts.src(),
            End::Dst => facts.dst(),
        };
        let Some(new) = self.changed(old, self.to.eval_as(&facts, self.ty()).now()) else { return Act::Next };
        let settings = &mut cx.txn.settings;
        match self.end {
            End::Src => settings.src = Some(new),
            End::Dst => settings.dst = Some(new),
        }
        Act::Next
    }
}

impl Change {
    fn ty(&self) -> Ty {
        match self.part {
            Part::Ip => Ty::Addr,
            Part::Port => Ty::Int,
        }
    }

    /// The other part stays as it was, where there was one.
    fn changed(&self, old: Addr, value: Option<Sample<'_>>) -> Option<SocketAddr> {
        let (ip, port) = (old.ip().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), old.port().unwrap_or(0));
        match value? {
            Sample::Ip4(ip) => Some(SocketAddr::new(ip.into(), port)),
            Sample::Ip6(ip) => Some(SocketAddr::new(ip.into(), port)),
            Sample::Int(n) if self.part == Part::Port => Some(SocketAddr::new(ip, u16::try_from(n).ok()?)),
            _ => None,
        }
    }
}
