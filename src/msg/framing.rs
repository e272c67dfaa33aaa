//! The one place that decides where a message ends (RFC 9112 6.3), and what is too ambiguous to forward.
//!
//! Called by the h1 mux right after a head was parsed. A message is refused whenever two programs could
//! disagree on its length or on whom it is for; what is let through is made unambiguous in the head, so
//! that the next program sees one length and one host.

use lighterman_wire::error::{Malformed, What};
use lighterman_wire::h1::Violations;
use lighterman_wire::http::method::Method;
use lighterman_wire::http::name::Tag;
use lighterman_wire::http::uri::{self, Form};
use lighterman_wire::http::{status, Version};
use lighterman_wire::scan::{self, List};
use lighterman_wire::token;

use super::head::Head;

/// How the body of a message is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// There is none.
    None,
    /// So many bytes, at least one.
    Length(u64),
    /// The chunked coding.
    Chunked,
    /// Responses only: up to the end of the connection.
    UntilClose,
    /// No more HTTP on this connection: 101, or 2xx to CONNECT.
    Tunnel,
}

/// What was decided about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// Where it ends.
    pub body: Body,
    /// The connection it came on must not carry another message after it (RFC 9112 6.1).
    pub close: bool,
}

impl Framing {
    const fn open(body: Body) -> Framing {
        Framing { body, close: false }
    }
}

/// Decides for a request. The head may be changed: see the file's head.
pub fn request(head: &mut Head, violations: Violations) -> Result<Framing, Malformed> {
    host(head, violations)?;
    let coded = coding(head, violations)?;
    let length = length(head)?;
    if head.method_kind() == Method::Connect {
        // What follows belongs to the tunnel, if there will be one: no second reading of it.
        return match (coded, length) {
            (Coding::None, None | Some(0)) => Ok(Framing::open(Body::None)),
            _ => refuse(What::BodyUnexpected),
        };
    }
    match (coded, length) {
        (Coding::None, None | Some(0)) => Ok(Framing::open(Body::None)),
        (Coding::None, Some(n)) => {
            let odd = head.version() == Version::V10
                && matches!(head.method_kind(), Method::Get | Method::Head | Method::Delete);
            if odd && violations == Violations::Refuse {
                return refuse(What::BodyUnexpected);
            }
            Ok(Framing::open(Body::Length(n)))
        }
        (Coding::Chunked, None) => Ok(Framing::open(Body::Chunked)),
        (Coding::Chunked, Some(_)) => {
            both(head, violations).map(|()| Framing { body: Body::Chunked, close: true })
        }
        (Coding::Other, _) => refuse(What::CodingNotLast),
    }
}

/// Decides for a response to a request of the given method.
///
/// A 101 gives [`Body::Tunnel`]: whether an upgrade was asked for is for the caller to know.
pub fn response(head: &mut Head, asked: Method, violations: Violations) -> Result<Framing, Malformed> {
    let code = head.status();
    let tunnel = code == 101 || (asked == Method::Connect && (200..300).contains(&code));
    if tunnel || code < 200 || code == 204 {
        // RFC 9110 8.6 and RFC 9112 6.1: neither field has a meaning here, so none goes on.
        if head.has(Tag::TransferEncoding) && violations == Violations::Refuse {
            return refuse(What::CodingForbidden);
        }
        head.remove_tag(Tag::TransferEncoding);
        head.remove_tag(Tag::ContentLength);
        return Ok(Framing::open(if tunnel { Body::Tunnel } else { Body::None }));
    }
    let coded = coding(head, violations)?;
    let length = length(head)?;
    if asked == Method::Head || status::is_bodyless(code) {
        // The fields tell what a GET would have brought; a contradiction is refused all the same.
        if coded != Coding::None && length.is_some() {
            both(head, violations)?;
        }
        return Ok(Framing::open(Body::None));
    }
    match (coded, length) {
        (Coding::None, Some(0)) => Ok(Framing::open(Body::None)),
        (Coding::None, Some(n)) => Ok(Framing::open(Body::Length(n))),
        (Coding::None, None) => Ok(Framing { body: Body::UntilClose, close: true }),
        (coded, length) => {
            if length.is_some() {
                both(head, violations)?;
            }
            match coded {
                Coding::Chunked => Ok(Framing { body: Body::Chunked, close: length.is_some() }),
                // up to the end of the connection (RFC 9112 6.3), unless the next one does not know it
                _ if violations == Violations::Refuse => refuse(What::CodingNotLast),
                _ => Ok(Framing { body: Body::UntilClose, close: true }),
            }
        }
    }
}

fn refuse<T>(what: What) -> Result<T, Malformed> {
    // The offence lies in the combination of fields: no single byte is to blame.
    Err(Malformed::new(what, 0))
}

/// Both a length and a coding: refused, or the length is dropped.
fn both(head: &mut Head, violations: Violations) -> Result<(), Malformed> {
    if violations == Violations::Refuse {
        return refuse(What::LengthWithCoding);
    }
    head.remove_tag(Tag::ContentLength);
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    None,
    Chunked,
    /// Codings without chunked.
    Other,
}

fn coding(head: &Head, violations: Violations) -> Result<Coding, Malformed> {
    if !head.has(Tag::TransferEncoding) {
        return Ok(Coding::None);
    }
    if head.version() == Version::V10 {
        return refuse(What::CodingInHttp10);
    }
    let strict = violations == Violations::Refuse;
    let mut last = Coding::None;
    for name in head.tagged(Tag::TransferEncoding).flat_map(List::new) {
        if name.is_empty() && !strict {
            continue;
        }
        // Parameters and quotes are refused too: no coding in use has any, and servers differ on them.
        if !token::all(name, token::TOKEN) {
            return refuse(What::CodingInvalid);
        }
        let chunked = name.eq_ignore_ascii_case(b"chunked");
        match last {
            Coding::Chunked if chunked && strict => return refuse(What::CodingRepeated),
            Coding::Chunked if !chunked => return refuse(What::CodingNotLast),
            _ => last = if chunked { Coding::Chunked } else { Coding::Other },
        }
    }
    match last {
        Coding::None => refuse(What::CodingInvalid),
        found => Ok(found),
    }
}

fn length(head: &mut Head) -> Result<Option<u64>, Malformed> {
    let mut found: Option<u64> = None;
    let mut count = 0usize;
    for text in head.tagged(Tag::ContentLength).flat_map(List::new) {
        let Some(n) = scan::decimal(text) else { return refuse(What::LengthInvalid) };
        if found.is_some_and(|before| before != n) {
            return refuse(What::LengthDiffers);
        }
        (found, count) = (Some(n), count + 1);
    }
    if count > 1 {
        // RFC 9110 8.6: one value said several times may be forwarded as one
        if let Some(n) = found {
            let text = n.to_string();
            // A number always is a good value; the head can only be full.
            head.set(b"Content-Length", text.as_bytes())
                .map_err(|_| Malformed::new(What::HeadTooLarge, 0))?;
        }
    }
    Ok(found)
}

/// `Host` and the target must name one and the same place (RFC 9112 3.2).
fn host(head: &mut Head, violations: Violations) -> Result<(), Malformed> {
    let strict = violations == Violations::Refuse;
    if head.tagged(Tag::Host).nth(1).is_some() {
        return refuse(What::HostRepeated);
    }
    let first = head.tagged(Tag::Host).next();
    let given = first.is_some();
    let agrees = match first {
        None if strict && head.version() != Version::V10 => return refuse(What::HostMissing),
        None => head.form() != Some(Form::Absolute),
        Some(host) => {
            if strict && uri::split_authority(host).is_none() {
                return refuse(What::HostInvalid);
            }
            names_target(head, host)
        }
    };
    if agrees {
        return Ok(());
    }
    if given && strict {
        return refuse(What::HostMismatch);
    }
    // The target wins over Host (RFC 9112 3.2.2), and everything after us shall see it so.
    let authority = head.authority().to_vec();
    head.set(b"Host", &authority).map_err(|_| Malformed::new(What::HostInvalid, 0))
}

fn names_target(head: &Head, host: &[u8]) -> bool {
    match head.form() {
        Some(Form::Absolute) => uri::same_authority(head.authority(), host, uri::default_port(head.scheme())),
        // The port of a CONNECT target is never left out; that of Host may be, when it is a usual one.
        Some(Form::Authority) => [None, Some(80), Some(443)]
            .into_iter()
            .any(|port| uri::same_authority(head.authority(), host, port)),
        _ => true,
    }
}
