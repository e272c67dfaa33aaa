//! Field names: validity, and a tag of one byte for the names a proxy looks at.
//!
//! A head is searched by tag, so that looking for `host` compares one byte per field. The tag is found
//! by a perfect hash whose table is built, and proved free of collisions, when this file is compiled.

use crate::token;

macro_rules! tags {
    ($($name:ident => $text:literal;)*) => {
        /// A field name known to this program, or [`Tag::Other`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Tag {
            /// Any name without a tag of its own.
            Other,
            $(#[doc = concat!("`", $text, "`")] $name,)*
        }

        impl Tag {
            /// All tags but [`Tag::Other`].
            pub const ALL: &'static [Tag] = &[$(Tag::$name,)*];

            /// The name in lower case; empty for [`Tag::Other`].
            pub const fn name(self) -> &'static str {
                match self { Tag::Other => "", $(Tag::$name => $text,)* }
            }
        }
    };
}

tags! {
    Host => "host";
    Connection => "connection";
    ContentLength => "content-length";
    TransferEncoding => "transfer-encoding";
    Expect => "expect";
    Upgrade => "upgrade";
    Cookie => "cookie";
    SetCookie => "set-cookie";
    Te => "te";
    Trailer => "trailer";
    KeepAlive => "keep-alive";
    ProxyConnection => "proxy-connection";
    ProxyAuthorization => "proxy-authorization";
    ProxyAuthenticate => "proxy-authenticate";
    Authorization => "authorization";
    WwwAuthenticate => "www-authenticate";
    ContentType => "content-type";
    ContentEncoding => "content-encoding";
    ContentRange => "content-range";
    ContentDisposition => "content-disposition";
    Accept => "accept";
    AcceptEncoding => "accept-encoding";
    AcceptLanguage => "accept-language";
    AcceptRanges => "accept-ranges";
    UserAgent => "user-agent";
    Referer => "referer";
    Origin => "origin";
    Date => "date";
    Server => "server";
    Location => "location";
    CacheControl => "cache-control";
    Pragma => "pragma";
    Expires => "expires";
    Age => "age";
    Etag => "etag";
    LastModified => "last-modified";
    IfMatch => "if-match";
    IfNoneMatch => "if-none-match";
    IfModifiedSince => "if-modified-since";
    IfUnmodifiedSince => "if-unmodified-since";
    IfRange => "if-range";
    Range => "range";
    Vary => "vary";
    Via => "via";
    Forwarded => "forwarded";
    XForwardedFor => "x-forwarded-for";
    XForwardedProto => "x-forwarded-proto";
    XForwardedHost => "x-forwarded-host";
    XForwardedPort => "x-forwarded-port";
    XRealIp => "x-real-ip";
    XRequestId => "x-request-id";
    StrictTransportSecurity => "strict-transport-security";
    Allow => "allow";
    RetryAfter => "retry-after";
    SecWebsocketKey => "sec-websocket-key";
    SecWebsocketAccept => "sec-websocket-accept";
    SecWebsocketVersion => "sec-websocket-version";
    Http2Settings => "http2-settings";
    MaxForwards => "max-forwards";
    AltSvc => "alt-svc";
    EarlyData => "early-data";
    Priority => "priority";
    Dnt => "dnt";
}

impl Tag {
    /// The tag of a name, compared without case.
    #[inline]
    pub fn of(name: &[u8]) -> Tag {
        let (Some(&first), Some(&last)) = (name.first(), name.last()) else { return Tag::Other };
        let inner = name.get(name.len().saturating_sub(4)).copied().unwrap_or(first);
        let (tag, known) = TABLE.get(slot(name.len(), first, last, inner)).copied().unwrap_or(EMPTY);
        if same_name(known.as_bytes(), name) {
            tag
        } else {
            Tag::Other
        }
    }

    /// This tag as one bit of a set of tags. [`Tag::Other`] has a bit too.
    #[inline]
    pub const fn bit(self) -> u64 {
        1 << self as u8
    }
}

/// Whether `name` is `lower` in any case; `lower` is in lower case. One pass without branches.
#[inline]
fn same_name(lower: &[u8], name: &[u8]) -> bool {
    lower.len() == name.len()
        && lower.iter().zip(name).fold(0u8, |diff, (&l, &n)| diff | (l ^ (n | fold(n)))) == 0
}

/// 0x20 for an upper-case letter, 0 for any other byte.
#[inline]
const fn fold(b: u8) -> u8 {
    (b.is_ascii_uppercase() as u8) << 5
}

const SLOTS: usize = 512;

/// Length, first, last and fourth-last byte tell all known names apart.
#[inline]
const fn slot(len: usize, first: u8, last: u8, inner: u8) -> usize {
    let (first, last, inner) = (first as usize | 32, last as usize | 32, inner as usize | 32);
    ((len.wrapping_mul(83) + first * 128 + last * 122 + inner * 30) >> 2) & (SLOTS - 1)
}

const EMPTY: (Tag, &str) = (Tag::Other, "");

static TABLE: [(Tag, &str); SLOTS] = build();

#[allow(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "runs in the compiler only; a panic is a build error"
)]
const fn build() -> [(Tag, &'static str); SLOTS] {
    let mut table = [EMPTY; SLOTS];
    let mut i = 0;
    while i < Tag::ALL.len() {
        let tag = Tag::ALL[i];
        let name = tag.name().as_bytes();
        let len = name.len();
        let inner = if len < 4 { name[0] } else { name[len - 4] };
        let slot = slot(len, name[0], name[len - 1], inner);
        assert!(matches!(table[slot].0, Tag::Other), "two names share a slot: choose other factors");
        table[slot] = (tag, tag.name());
        i += 1;
    }
    table
}

/// Whether `name` may stand before a colon (RFC 9110 5.1).
pub fn is_valid(name: &[u8]) -> bool {
    token::all(name, token::TOKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case() {
        for &tag in Tag::ALL {
            let name = tag.name();
            assert_eq!(Tag::of(name.as_bytes()), tag);
            assert_eq!(Tag::of(name.to_uppercase().as_bytes()), tag);
            assert_eq!(Tag::of(format!("{name}x").as_bytes()), Tag::Other);
            assert!((tag as u8) < 64, "tags are bits of a u64");
        }
    }

    #[test]
    fn near_misses_are_other() {
        for name in [
            "",
            "h",
            "hos",
            "h\x4fst\0",
            "hosT ",
            "x-host",
            "content_length",
            "content-lengtH\0",
            "connectio\x6e\x20",
            "\x08ost",
            "cookie\x0d",
        ] {
            assert_eq!(Tag::of(name.as_bytes()), Tag::Other, "{name:?}");
        }
        // Bytes that differ from a known name in bit 5 only, without being its capital.
        assert_eq!(Tag::of(b"content\x0dlength"), Tag::Other);
        assert_eq!(Tag::of(b"http\x12-settings"), Tag::Other);
    }

    #[test]
    fn names_are_tokens() {
        assert!(is_valid(b"X-Any_thing!"));
        for bad in [&b""[..], b"a b", b"a:", b"a\0", b"caf\xc3\xa9"] {
            assert!(!is_valid(bad));
        }
    }
}
