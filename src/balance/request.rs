//! By something in the request: its target, a parameter, a field, the cookie of a remote desktop, or
//! whatever an expression finds.

use lighterman_wire::error::Parse;
use lighterman_wire::rdp;

use super::keyed::{Key, Keyed};
use super::{BalanceCx, BalanceKw};
use crate::base::doc::Doc;
use crate::lang::diag::Diag;
use crate::lang::word::Words;
use crate::msg::Head;
use crate::plan::scheme::{HashType, PickCx, Scheme};

type Made = Result<Box<dyn Scheme>, Diag>;

pub(super) const URI_ROW: BalanceKw = BalanceKw {
    kw: "uri",
    parse: uri,
    doc: Doc {
        usage: "balance uri [whole] [len <bytes>] [depth <count>] [path-only]",
        brief: "by the request target",
        text: "Up to the question mark, or all of it with \"whole\". \"len\" looks at the first bytes only, \
               \"depth\" at the first directories only, \"path-only\" leaves scheme and host out. For caches: \
               each holds another part of the site.",
        example: "balance uri depth 2",
    },
};

pub(super) const URL_PARAM_ROW: BalanceKw = BalanceKw {
    kw: "url_param",
    parse: url_param,
    doc: Doc {
        usage: "balance url_param <name> [check_post]",
        brief: "by a parameter of the query",
        text: "With \"check_post\" the body of a POST is looked at too. Requests without it go in turns.",
        example: "balance url_param user",
    },
};

pub(super) const HDR_ROW: BalanceKw = BalanceKw {
    kw: "hdr",
    parse: hdr,
    doc: Doc {
        usage: "balance hdr(<name>) [use_domain_only]",
        brief: "by a field of the request",
        text:
            "\"use_domain_only\" takes of a host name only what stands between its last two dots. Requests \
               without the field go in turns.",
        example: "balance hdr(User-Agent)",
    },
};

pub(super) const RDP_ROW: BalanceKw = BalanceKw {
    kw: "rdp-cookie",
    parse: rdp_cookie,
    doc: Doc {
        usage: "balance rdp-cookie[(<name>)]",
        brief: "by the cookie of a remote desktop",
        text:
            "The cookie is called \"mstshash\" unless said otherwise. A rule must wait for the first bytes: \
               \"tcp-request inspect-delay 5s\" and \"tcp-request content accept if { req.len gt 0 }\".",
        example: "balance rdp-cookie",
    },
};

pub(super) const HASH_ROW: BalanceKw = BalanceKw {
    kw: "hash",
    parse: hash,
    doc: Doc {
        usage: "balance hash <expression>",
        brief: "by what an expression yields",
        text: "Requests for which it yields nothing go in turns.",
        example: "balance hash req.hdr(x-user),lower",
    },
};

struct Uri {
    whole: bool,
    len: usize,
    depth: usize,
    path_only: bool,
}

fn uri(words: &mut Words<'_>, _: &mut BalanceCx) -> Made {
    let mut uri = Uri { whole: false, len: usize::MAX, depth: usize::MAX, path_only: false };
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "whole" => uri.whole = true,
            "path-only" => uri.path_only = true,
            "len" => uri.len = words.need("a number of bytes")?.int_in(1..=65535)? as usize,
            "depth" => uri.depth = words.need("a number of directories")?.int_in(1..=65535)? as usize,
            _ => return Err(word.not_one_of("word", &["whole", "len", "depth", "path-only"])),
        }
    }
    Ok(Keyed::scheme("uri", uri))
}

impl Key for Uri {
    fn hash(&self, cx: &PickCx<'_>, how: &HashType) -> Option<u32> {
        let head = cx.req?;
        Some(how.of(self.part(if self.path_only { head.pathq() } else { head.uri() })))
    }
}

impl Uri {
    fn part<'u>(&self, uri: &'u [u8]) -> &'u [u8] {
        let uri = &uri[..uri.len().min(self.len)];
        let mut slashes = 0;
        let ends = |byte: &u8| {
            slashes += usize::from(*byte == b'/');
            slashes > self.depth || (*byte == b'?' && !self.whole)
        };
        &uri[..uri.iter().position(ends).unwrap_or(uri.len())]
    }
}

struct UrlParam {
    name: Box<[u8]>,
    check_post: bool,
}

fn url_param(words: &mut Words<'_>, cx: &mut BalanceCx) -> Made {
    let name = words.need("the name of a parameter")?.text.clone().into_bytes().into();
    let check_post = words.eat("check_post");
    if check_post {
        cx.wants_body = true;
        if let Some(word) = words.next() {
            // the old way to bound what is waited for: now it is what fits into a buffer
            word.uint()?;
        }
    }
    Ok(Keyed::scheme("url_param", UrlParam { name, check_post }))
}

impl Key for UrlParam {
    fn hash(&self, cx: &PickCx<'_>, how: &HashType) -> Option<u32> {
        let head = cx.req?;
        let query = memchr::memchr(b'?', head.uri()).map_or(&[][..], |mark| &head.uri()[mark + 1..]);
        let posted = self.check_post && head.method() == b"POST";
        let value = param(query, &self.name).or_else(|| param(cx.body, &self.name).filter(|_| posted))?;
        Some(how.of(value))
    }
}

/// The value of a parameter among `a=1&b=2`.
fn param<'q>(query: &'q [u8], name: &[u8]) -> Option<&'q [u8]> {
    query.split(|byte| *byte == b'&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))
}

struct Hdr {
    name: Box<[u8]>,
    domain_only: bool,
}

fn hdr(words: &mut Words<'_>, cx: &mut BalanceCx) -> Made {
    let Some(name) = cx.argument.clone() else {
        return Err(words.missing("the name of a field in parentheses"));
    };
    let domain_only = words.eat("use_domain_only");
    Ok(Keyed::scheme("hdr", Hdr { name: name.to_ascii_lowercase().into_bytes().into(), domain_only }))
}

impl Key for Hdr {
    fn hash(&self, cx: &PickCx<'_>, how: &HashType) -> Option<u32> {
        let value = first_value(cx.req?, &self.name)?;
        Some(how.of(if self.domain_only { domain(value) } else { value }))
    }
}

/// The first of the values of a field, which commas separate.
fn first_value<'h>(head: &'h Head, name: &[u8]) -> Option<&'h [u8]> {
    let value = head.first(name)?;
    Some(value[..memchr::memchr(b',', value).unwrap_or(value.len())].trim_ascii())
}

/// What stands between the last two dots: `example` of `www.example.com`.
fn domain(host: &[u8]) -> &[u8] {
    let end = memchr::memrchr(b'.', host).unwrap_or(host.len());
    let start = memchr::memrchr(b'.', &host[..end]).map_or(0, |dot| dot + 1);
    &host[start..end]
}

struct RdpCookie {
    name: Box<[u8]>,
}

fn rdp_cookie(_: &mut Words<'_>, cx: &mut BalanceCx) -> Made {
    let name = cx.argument.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| "mstshash".to_owned());
    Ok(Keyed::scheme("rdp-cookie", RdpCookie { name: name.into_bytes().into() }))
}

impl Key for RdpCookie {
    fn hash(&self, cx: &PickCx<'_>, how: &HashType) -> Option<u32> {
        rdp_value(cx.bytes, &self.name).map(|value| how.of(value))
    }
}

/// The value of a cookie in the first packet of a remote desktop client; names in any case.
fn rdp_value<'b>(bytes: &'b [u8], name: &[u8]) -> Option<&'b [u8]> {
    match rdp::cookie(bytes) {
        Parse::Done(cookie, _) if cookie.name.eq_ignore_ascii_case(name) => Some(cookie.value),
        _ => None,
    }
}

struct Expression;

fn hash(words: &mut Words<'_>, cx: &mut BalanceCx) -> Made {
    cx.key = Some(words.need("a sample expression")?.clone());
    Ok(Keyed::scheme("hash", Expression))
}

impl Key for Expression {
    fn hash(&self, cx: &PickCx<'_>, how: &HashType) -> Option<u32> {
        cx.key.map(|key| how.of(key))
    }
}

#[cfg(test)]
mod tests;
