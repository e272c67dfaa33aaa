//! Fields that concern one connection only (RFC 9110 7.6.1): read by the mux that received them, then
//! removed, never forwarded. The sending mux writes its own.

use lighterman_wire::http::name::Tag;
use lighterman_wire::http::Version;
use lighterman_wire::scan::List;
use smallvec::SmallVec;

use super::head::{FieldId, Head};

/// What a message says about its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hop {
    /// `Connection: close`
    pub close: bool,
    /// `Connection: keep-alive`
    pub keep_alive: bool,
    /// `Connection: upgrade` together with an Upgrade field.
    pub upgrade: bool,
    /// `TE: trailers`: the sender can take trailers.
    pub trailers: bool,
    /// `Expect: 100-continue` (RFC 9110 10.1.1).
    pub expect_continue: bool,
}

impl Hop {
    /// Reads them off a head.
    pub fn of(head: &Head) -> Hop {
        let mut hop = Hop::default();
        let is = |a: &[u8], b: &[u8]| a.eq_ignore_ascii_case(b);
        for token in head.tagged(Tag::Connection).flat_map(List::new) {
            hop.close |= is(token, b"close");
            hop.keep_alive |= is(token, b"keep-alive");
            hop.upgrade |= is(token, b"upgrade");
        }
        hop.upgrade &= head.has(Tag::Upgrade);
        hop.trailers = head.tagged(Tag::Te).flat_map(List::new).any(|t| is(t, b"trailers"));
        hop.expect_continue =
            head.version() != Version::V10 && head.tagged(Tag::Expect).any(|v| is(v, b"100-continue"));
        hop
    }

    /// Whether the sender will take another message on the connection (RFC 9112 9.3).
    pub fn is_persistent(self, version: Version) -> bool {
        match version {
            Version::V10 => self.keep_alive && !self.close,
            _ => !self.close,
        }
    }
}

/// Fields that `Connection` cannot take out of a message: they are meant for the far end, or state who
/// the client is, and a client that names them wants to hide something from the server.
const KEPT: &[Tag] = &[
    Tag::Host,
    Tag::ContentLength,
    Tag::TransferEncoding,
    Tag::Trailer,
    Tag::ContentType,
    Tag::ContentEncoding,
    Tag::ContentRange,
    Tag::Authorization,
    Tag::Cookie,
    Tag::SetCookie,
    Tag::Location,
    Tag::CacheControl,
    Tag::Via,
    Tag::Forwarded,
    Tag::XForwardedFor,
    Tag::XForwardedProto,
    Tag::XForwardedHost,
    Tag::XForwardedPort,
    Tag::XRealIp,
    Tag::XRequestId,
];

/// Removes what must not travel further: Connection and what it names, Keep-Alive, Proxy-Connection, TE,
/// Upgrade. The caller notes [`Hop`] first and keeps the text of Upgrade if it goes on with one.
pub fn strip(head: &mut Head) {
    const HOP: u64 = Tag::Connection.bit()
        | Tag::KeepAlive.bit()
        | Tag::ProxyConnection.bit()
        | Tag::Te.bit()
        | Tag::Upgrade.bit();
    if head.seen & HOP == 0 {
        return;
    }
    if head.has(Tag::Connection) {
        strip_named(head);
    }
    for tag in [Tag::Connection, Tag::KeepAlive, Tag::ProxyConnection, Tag::Te, Tag::Upgrade] {
        head.remove_tag(tag);
    }
}

/// Tokens of `Connection` that name no field, or one that goes anyway.
const USUAL: &[&[u8]] = &[b"keep-alive", b"close", b"upgrade", b"te"];

fn strip_named(head: &mut Head) {
    let usual = |token: &[u8]| USUAL.iter().any(|u| token.eq_ignore_ascii_case(u));
    if head.tagged(Tag::Connection).flat_map(List::new).all(usual) {
        return;
    }
    let doomed: SmallVec<[FieldId; 8]> = {
        let named = |tag: Tag, name: &[u8]| {
            head.tagged(Tag::Connection)
                .flat_map(List::new)
                .any(|token| Tag::of(token) == tag && (tag != Tag::Other || token.eq_ignore_ascii_case(name)))
        };
        head.entries().filter(|e| !KEPT.contains(&e.tag) && named(e.tag, e.name)).map(|e| e.id).collect()
    };
    for id in doomed {
        head.remove_field(id);
    }
}
