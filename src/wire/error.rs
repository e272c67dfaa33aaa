//! What a parser answers: done, need more bytes, or the clause that was broken and where.
//!
//! Both types are `Copy` and hold no text: refusing a hostile message costs no allocation. The words
//! for people (`show errors`, logs) come from [`What::text`].

/// The answer of a parser that looks at the front of a receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Parse<T> {
    /// A whole value; the number says how many bytes of the input it used.
    Done(T, usize),
    /// Nothing wrong so far, but the value is not complete: call again with more bytes.
    Need,
    /// The bytes can never become valid.
    Bad(Malformed),
}

impl<T> Parse<T> {
    /// Changes the value and leaves the rest.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Parse<U> {
        match self {
            Parse::Done(value, used) => Parse::Done(f(value), used),
            Parse::Need => Parse::Need,
            Parse::Bad(why) => Parse::Bad(why),
        }
    }

    /// The value and the bytes it used, when complete.
    pub fn done(self) -> Option<(T, usize)> {
        match self {
            Parse::Done(value, used) => Some((value, used)),
            _ => None,
        }
    }

    /// Why the input was refused, when it was.
    pub fn bad(&self) -> Option<Malformed> {
        match self {
            Parse::Bad(why) => Some(*why),
            _ => None,
        }
    }
}

/// A refusal: the broken clause and the offset of the byte that broke it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The clause.
    pub what: What,
    /// Offset in the input that was given to the parser.
    pub at: usize,
}

impl Malformed {
    /// Pairs a clause with an offset.
    pub const fn new(what: What, at: usize) -> Self {
        Malformed { what, at }
    }
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at byte {}", self.what.text(), self.at)
    }
}

macro_rules! clauses {
    ($($(#[$doc:meta])* $name:ident => $text:literal;)*) => {
        /// Every clause a message can break.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum What { $($(#[$doc])* $name,)* }

        impl What {
            /// All clauses, for tables and tests.
            pub const ALL: &'static [What] = &[$(What::$name,)*];

            /// A short sentence for people, without a final stop.
            pub const fn text(self) -> &'static str {
                match self { $(What::$name => $text,)* }
            }
        }
    };
}

clauses! {
    /// RFC 9112 3.1: the method is a token.
    Method => "invalid byte in the method";
    /// RFC 9112 3: the request line has a target after one space.
    TargetMissing => "request target missing";
    /// RFC 3986: a byte that no URI contains.
    TargetByte => "invalid byte in the request target";
    /// RFC 9112 3.2: neither origin, absolute, authority nor asterisk form.
    TargetForm => "request target has no known form";
    /// RFC 9112 3.2: a fragment is never sent.
    TargetFragment => "request target contains a fragment";
    /// RFC 9112 2.3: HTTP/DIGIT.DIGIT.
    Version => "invalid HTTP version";
    /// RFC 9110 2.5: a major version this parser does not speak.
    VersionUnknown => "unsupported HTTP version";
    /// RFC 9113 3.4: the HTTP/2 preface on an HTTP/1 connection.
    Http2Preface => "HTTP/2 preface where HTTP/1 is expected";
    /// RFC 9112 4: three digits, 100 to 999.
    Status => "invalid status code";
    /// RFC 9112 4: reason phrase bytes.
    Reason => "invalid byte in the reason phrase";
    /// RFC 9112 5: a field line has a name.
    NameEmpty => "empty field name";
    /// RFC 9110 5.1: a field name is a token (no space before the colon).
    NameByte => "invalid byte in a field name";
    /// A field name longer than any limit.
    NameTooLong => "field name too long";
    /// RFC 9112 5: a field line has a colon.
    ColonMissing => "field line without a colon";
    /// RFC 9110 5.5: no NUL in field values.
    ValueByte => "invalid byte in a field value";
    /// RFC 9112 2.2: CR only before LF.
    BareCr => "carriage return without line feed";
    /// RFC 9112 7.1: chunk lines end in CR LF.
    BareLf => "line feed without carriage return";
    /// RFC 9112 5.2: line folding.
    ObsFold => "folded field line";
    /// RFC 9112 2.2: white space before the first field.
    LeadingSpace => "white space before the first field";
    /// The head does not fit the buffer that is set aside for it.
    HeadTooLarge => "message head too large";
    /// More fields than `tune.http.maxhdr`.
    TooManyFields => "too many fields";
    /// RFC 9110 8.6: Content-Length is digits.
    LengthInvalid => "invalid Content-Length";
    /// RFC 9112 6.3: several lengths that differ.
    LengthDiffers => "Content-Length values differ";
    /// RFC 9110 8.6: the same length twice, which some programs read as another one.
    /// RFC 9112 6.3: both length and coding, the classical smuggling vector.
    LengthWithCoding => "Content-Length together with Transfer-Encoding";
    /// RFC 9112 6.1: not a list of codings.
    CodingInvalid => "invalid Transfer-Encoding";
    /// RFC 9112 6.3: chunked must come last, in requests always.
    CodingNotLast => "Transfer-Encoding does not end in chunked";
    /// RFC 9112 6.1: chunked only once.
    CodingRepeated => "chunked given more than once";
    /// RFC 9112 6.1: no Transfer-Encoding in HTTP/1.0.
    CodingInHttp10 => "Transfer-Encoding in an HTTP/1.0 message";
    /// RFC 9112 6.1: none in 1xx and 204 responses, none in answers to CONNECT.
    CodingForbidden => "Transfer-Encoding in a message that has no body";
    /// RFC 9112 3.2: HTTP/1.1 requests name their host.
    HostMissing => "Host missing";
    /// RFC 9112 3.2: exactly once.
    HostRepeated => "Host given more than once";
    /// RFC 9110 7.2: uri-host and port.
    HostInvalid => "invalid Host";
    /// RFC 9112 3.2.2: the target and Host name different authorities.
    HostMismatch => "Host differs from the request target";
    /// RFC 9112 3.2.3: CONNECT takes host:port.
    ConnectTarget => "CONNECT target is not host:port";
    /// A body where HTTP/1.0 gives the method none (GET, HEAD, DELETE).
    BodyUnexpected => "body in an HTTP/1.0 request whose method has none";
    /// RFC 9112 7.1: chunk-size is hexadecimal.
    ChunkSize => "invalid chunk size";
    /// More than 2^52 bytes: no real message has such a chunk.
    ChunkTooLarge => "chunk size too large";
    /// RFC 9112 7.1.1: bytes of a chunk extension.
    ChunkExtension => "invalid byte in a chunk extension";
    /// More extension bytes than the limit.
    ChunkExtensionTooLong => "chunk extension too long";
    /// RFC 9112 7.1: CR LF after the data of a chunk.
    ChunkEnd => "chunk data not followed by CR LF";
    /// The trailer section exceeds its limit.
    TrailerTooLarge => "trailer section too large";
    /// PROXY protocol: neither signature.
    ProxySignature => "not a PROXY protocol header";
    /// PROXY v2: version nibble.
    ProxyVersion => "unknown PROXY protocol version";
    /// PROXY v2: command nibble.
    ProxyCommand => "unknown PROXY protocol command";
    /// PROXY protocol: family or transport.
    ProxyFamily => "unknown PROXY protocol address family";
    /// PROXY v2: the length is too small for the addresses, or larger than allowed.
    ProxyLength => "PROXY protocol header has a wrong length";
    /// PROXY v1: spaces, fields, end of line.
    ProxySyntax => "PROXY protocol line is not well formed";
    /// PROXY v1: address text.
    ProxyAddress => "invalid address in a PROXY protocol line";
    /// PROXY v1: port text.
    ProxyPort => "invalid port in a PROXY protocol line";
    /// PROXY v2: a TLV runs past the end of its frame.
    ProxyTlv => "PROXY protocol TLV runs past its frame";
    /// PROXY v2: a TLV whose content breaks its definition.
    ProxyTlvContent => "invalid content in a PROXY protocol TLV";
    /// PROXY v2: the CRC32C does not match.
    ProxyChecksum => "PROXY protocol checksum mismatch";
    /// RFC 8446 5.1: not a handshake record.
    TlsRecordType => "not a TLS handshake record";
    /// RFC 8446 5.1: record version.
    TlsRecordVersion => "unknown TLS record version";
    /// RFC 8446 5.1: record length.
    TlsRecordLength => "invalid TLS record length";
    /// RFC 8446 4: the first handshake message is a ClientHello.
    TlsNotHello => "TLS handshake does not begin with a ClientHello";
    /// RFC 8446 4.1.2: fields and vectors.
    TlsHello => "invalid TLS ClientHello";
    /// A ClientHello larger than any client sends.
    TlsHelloTooLarge => "TLS ClientHello too large";
    /// RFC 8446 4.2: an extension given twice, or a broken one.
    TlsExtension => "invalid TLS extension";
    /// MS-RDPBCGR 2.2.1.1: a connection request with a cookie.
    NotRdp => "not a remote desktop connection request with a cookie";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clause_has_its_own_words() {
        let mut seen = std::collections::HashSet::new();
        for what in What::ALL {
            assert!(seen.insert(what.text()), "{what:?}");
            assert!(!what.text().ends_with('.'));
        }
    }

    #[test]
    fn parse_maps_only_the_value() {
        assert_eq!(Parse::Done(1, 2).map(|n| n + 1), Parse::Done(2, 2));
        assert_eq!(Parse::<u8>::Need.map(|n| n + 1), Parse::Need);
        let bad = Malformed::new(What::Method, 3);
        assert_eq!(Parse::<u8>::Bad(bad).bad(), Some(bad));
        assert_eq!(bad.to_string(), "invalid byte in the method at byte 3");
    }
}
