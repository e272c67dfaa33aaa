//! The little of HTTP/1 a synthetic origin has to understand of a request: where its head ends, what URL it asks for, how
//! long its body is and whether the connection goes on. Called by `conn` on the bytes as they came.

use lighterman_wire::error::Parse;
use lighterman_wire::h1::chunk::{Chunk, Decoder, Limits};

/// The longest request head that is read.
pub const MAX_HEAD: usize = 65536;

/// How the request's body ends.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// This many bytes are still to come; 0 when there is none.
    Length(u64),
    /// Chunked.
    Chunked(Decoder),
}

impl Body {
    /// Nothing is to come.
    pub fn none(&self) -> bool {
        matches!(self, Body::Length(0))
    }
}

/// A request head.
#[derive(Debug)]
pub struct Request<'a> {
    /// The URL as it was written.
    pub url: &'a [u8],
    /// `HEAD`: the answer has no body.
    pub head: bool,
    /// HTTP/1.0 or older: no chunks, and close unless asked otherwise.
    pub old: bool,
    /// The client wants or accepts that the connection stays open.
    pub keep: bool,
    /// `Expect: 100-continue`.
    pub expect: bool,
    /// The body that follows.
    pub body: Body,
    /// Bytes of the head, its empty line included.
    pub len: usize,
}

/// What [`parse`] found.
#[derive(Debug)]
pub enum Parsed<'a> {
    /// A whole head.
    Whole(Request<'a>),
    /// The head is not complete.
    Partial,
    /// Not a request: status to answer with before closing.
    Bad(u16),
}

/// Reads one request head from the start of `bytes`.
pub fn parse(bytes: &[u8]) -> Parsed<'_> {
    if bytes.first().is_some_and(|b| !b.is_ascii_graphic()) {
        return Parsed::Bad(400); // a TLS hello, say: it would never come to an empty line
    }
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        return if bytes.len() >= MAX_HEAD { Parsed::Bad(431) } else { Parsed::Partial };
    };
    let head = &bytes[..end];
    let line_end = memchr::memchr(b'\r', head).unwrap_or(end);
    let mut words = head[..line_end].split(|&b| b == b' ');
    let (Some(method), Some(url), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Parsed::Bad(400);
    };
    let old = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        _ => return Parsed::Bad(400),
    };
    if method.is_empty() || url.is_empty() {
        return Parsed::Bad(400);
    }
    let mut request = Request {
        url,
        head: method == b"HEAD",
        old,
        keep: !old,
        expect: false,
        body: Body::Length(0),
        len: end + 4,
    };
    for line in Lines(head.get(line_end + 2..).unwrap_or_default()) {
        // most lines are none of ours: their first letter tells
        if !matches!(line.first(), Some(b'c' | b'C' | b't' | b'T' | b'e' | b'E')) {
            continue;
        }
        if let Err(status) = request.header(line) {
            return Parsed::Bad(status);
        }
    }
    Parsed::Whole(request)
}

struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let (line, rest) = match memchr::memchr(b'\n', self.0) {
            Some(at) => (&self.0[..at], &self.0[at + 1..]),
            None => (self.0, &self.0[self.0.len()..]),
        };
        self.0 = rest;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

impl Request<'_> {
    fn header(&mut self, line: &[u8]) -> Result<(), u16> {
        let Some(at) = memchr::memchr(b':', line) else { return Err(400) };
        let (name, value) = (&line[..at], line[at + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or(400u16)?;
            if !matches!(self.body, Body::Chunked(_)) {
                self.body = Body::Length(length);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(501);
            }
            self.body = Body::Chunked(Decoder::new(Limits::default()));
        } else if name.eq_ignore_ascii_case(b"connection") {
            for token in value.split(|&b| b == b',').map(<[u8]>::trim_ascii) {
                if token.eq_ignore_ascii_case(b"close") {
                    self.keep = false;
                } else if token.eq_ignore_ascii_case(b"keep-alive") && self.old {
                    self.keep = true;
                }
            }
        } else if name.eq_ignore_ascii_case(b"expect") {
            self.expect = value.eq_ignore_ascii_case(b"100-continue");
        }
        Ok(())
    }
}

/// What [`skip`] says.
#[derive(Debug, PartialEq, Eq)]
pub enum Skipped {
    /// This many bytes were used, and the body goes on.
    More(usize),
    /// The body ended after this many bytes.
    End(usize),
    /// Not a chunk.
    Bad,
}

/// Goes over `bytes` of a chunked body; adds to `data` what is in the chunks.
pub fn skip(decoder: &mut Decoder, bytes: &[u8], data: &mut u64) -> Skipped {
    let mut at = 0;
    loop {
        match decoder.step(&bytes[at..], usize::MAX) {
            Parse::Done(Chunk::End, n) => return Skipped::End(at + n),
            Parse::Done(kind, n) => {
                at += n;
                if kind == Chunk::Data {
                    *data += n as u64;
                }
            }
            Parse::Need => return Skipped::More(at),
            Parse::Bad(_) => return Skipped::Bad,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Request<'_> {
        match parse(text.as_bytes()) {
            Parsed::Whole(request) => request,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn heads() {
        let r = whole("GET /?s=2 HTTP/1.1\r\nHost: a\r\n\r\nGET");
        assert_eq!((r.url, r.head, r.keep, r.len), (&b"/?s=2"[..], false, true, 31));
        assert!(whole("HEAD / HTTP/1.1\r\n\r\n").head);
        assert!(!whole("GET / HTTP/1.1\r\nconnection: foo, Close\r\n\r\n").keep);
        assert!(!whole("GET / HTTP/1.0\r\n\r\n").keep);
        assert!(whole("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keep);
        let r = whole("POST / HTTP/1.1\r\nContent-Length: 12\r\n\r\n");
        assert!(matches!(r.body, Body::Length(12)) && !r.body.none());
        let r = whole("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
        assert!(matches!(r.body, Body::Chunked(_)) && r.expect);
    }

    #[test]
    fn bad_heads() {
        let long = "x".repeat(MAX_HEAD);
        let table: &[(&str, Option<u16>)] = &[
            ("", None),
            ("GET / HTTP/1.1\r\nHost: a\r\n", None),
            ("GET /\r\n\r\n", Some(400)),
            ("GET / x HTTP/1.1\r\n\r\n", Some(400)),
            ("GET / HTTP/2.0\r\n\r\n", Some(400)),
            ("\r\n\r\n", Some(400)),
            ("\x16\x03\x01\x02", Some(400)),
            ("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", Some(400)),
            ("GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", Some(501)),
            (&long, Some(431)),
        ];
        for (text, want) in table {
            let got = match parse(text.as_bytes()) {
                Parsed::Bad(status) => Some(status),
                Parsed::Partial => None,
                Parsed::Whole(request) => panic!("{request:?}"),
            };
            assert_eq!(&got, want, "{:?}", &text[..text.len().min(60)]);
        }
    }

    #[test]
    fn chunks() {
        let table: &[(&str, Skipped, u64)] = &[
            ("0\r\n\r\n", Skipped::End(5), 0),
            ("3\r\nabc\r\n0\r\n\r\nGET", Skipped::End(13), 3),
            ("a;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\n", Skipped::End(30), 10),
            ("3\r\nab", Skipped::More(5), 2),
            ("z\r\n", Skipped::Bad, 0),
            ("3\r\nabcd", Skipped::Bad, 3),
        ];
        for (text, want, data) in table {
            let (mut decoder, mut seen) = (Decoder::new(Limits::default()), 0);
            assert_eq!(&skip(&mut decoder, text.as_bytes(), &mut seen), want, "{text:?}");
            assert_eq!(seen, *data, "{text:?}");
        }
    }
}
