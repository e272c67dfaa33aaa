//! Request methods: the ones whose meaning a proxy must know, and "other" for all the rest.

/// A method whose semantics matter to framing, retries or rules. The text itself stays in the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// RFC 9110 9.3.7
    Options,
    /// RFC 9110 9.3.1
    Get,
    /// RFC 9110 9.3.2
    Head,
    /// RFC 9110 9.3.3
    Post,
    /// RFC 9110 9.3.4
    Put,
    /// RFC 9110 9.3.5
    Delete,
    /// RFC 9110 9.3.8
    Trace,
    /// RFC 9110 9.3.6
    Connect,
    /// RFC 5789
    Patch,
    /// Any other token.
    Other,
}

impl Method {
    /// Recognises the exact, case-sensitive spelling.
    pub fn of(text: &[u8]) -> Method {
        match text {
            b"GET" => Method::Get,
            b"POST" => Method::Post,
            b"HEAD" => Method::Head,
            b"PUT" => Method::Put,
            b"DELETE" => Method::Delete,
            b"OPTIONS" => Method::Options,
            b"PATCH" => Method::Patch,
            b"CONNECT" => Method::Connect,
            b"TRACE" => Method::Trace,
            _ => Method::Other,
        }
    }

    /// The spelling on the wire; empty for [`Method::Other`], whose text only the head knows.
    pub fn name(self) -> &'static str {
        match self {
            Method::Options => "OPTIONS",
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
            Method::Trace => "TRACE",
            Method::Connect => "CONNECT",
            Method::Patch => "PATCH",
            Method::Other => "",
        }
    }

    /// Safe to repeat on another connection (RFC 9110 9.2.2).
    pub fn is_idempotent(self) -> bool {
        !matches!(self, Method::Post | Method::Connect | Method::Patch | Method::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_round_trip() {
        for text in ["OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "CONNECT", "PATCH"] {
            assert_eq!(Method::of(text.as_bytes()).name(), text);
        }
        for text in ["get", "GETT", "", "PRI", "Get"] {
            assert_eq!(Method::of(text.as_bytes()), Method::Other, "{text}");
        }
        assert!(Method::Put.is_idempotent());
        assert!(!Method::Post.is_idempotent());
    }
}
