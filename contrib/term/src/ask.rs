//! What a URL asks for: `/?s=<size>&t=<ms>&c=<status>&k=<chunk>...`, parsed once per distinct URL by `answer`.
//!
//! Fields are separated by `&`, `;` or `/`. A field nobody knows, or a value that cannot be read, is ignored: an origin for
//! load tests answers every URL.

/// The largest body anybody may ask for: 1 TB.
pub const MAX_SIZE: u64 = 1 << 40;

/// The longest delay anybody may ask for: one hour, in milliseconds.
pub const MAX_DELAY: u64 = 3_600_000;

/// Chunk size used for `k=1`.
pub const DEFAULT_CHUNK: u32 = 16384;

/// The largest chunk: what the send buffer of one connection can stage at once.
pub const MAX_CHUNK: u32 = 65536;

/// How the end of the body is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `Content-Length`.
    Length,
    /// `Transfer-Encoding: chunked`, chunks of this many bytes.
    Chunked(u32),
    /// Neither: the end of the connection is the end of the body.
    Close,
}

/// A response as a URL describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Status code, 200 to 599.
    pub status: u16,
    /// Body bytes.
    pub size: u64,
    /// Milliseconds between the end of the request and the answer.
    pub delay: u32,
    /// Size and delay are upper bounds, drawn anew for each request.
    pub random: bool,
    /// How the body ends.
    pub framing: Framing,
    /// Whether `Cache-Control` lets caches keep the answer.
    pub cacheable: bool,
    /// Close the connection after the answer.
    pub close: bool,
    /// Tell the sizes of the request in an `X-Req` header.
    pub echo: bool,
    /// More header lines, each ended by CRLF.
    pub headers: Vec<u8>,
}

impl Default for Ask {
    fn default() -> Self {
        Ask {
            status: 200,
            size: 1024,
            delay: 0,
            random: false,
            framing: Framing::Length,
            cacheable: false,
            close: false,
            echo: false,
            headers: Vec::new(),
        }
    }
}

impl Ask {
    /// Reads the query part of `url` (a path or an absolute URL).
    pub fn parse(url: &[u8]) -> Ask {
        let mut ask = Ask::default();
        let Some(at) = memchr::memchr(b'?', url) else { return ask };
        for field in url[at + 1..].split(|b| matches!(b, b'&' | b';' | b'/')) {
            let (name, value) = match memchr::memchr(b'=', field) {
                Some(at) => (&field[..at], &field[at + 1..]),
                None => (field, &b"1"[..]),
            };
            ask.field(name, value);
        }
        // no body, no framing of a body
        if matches!(ask.status, 204 | 304) {
            ask.size = 0;
            ask.framing = Framing::Length;
        }
        ask.close |= ask.framing == Framing::Close;
        ask
    }

    fn field(&mut self, name: &[u8], value: &[u8]) {
        let on = value != b"0";
        match name {
            b"s" => self.size = number(value).unwrap_or(self.size).min(MAX_SIZE),
            b"t" => self.delay = milliseconds(value).unwrap_or(u64::from(self.delay)).min(MAX_DELAY) as u32,
            b"c" | b"r" => match number(value) {
                Some(status @ 200..=599) => self.status = status as u16,
                Some(flag @ 0..=1) if name == b"c" => self.cacheable = flag == 1,
                _ => {}
            },
            b"k" => match number(value) {
                Some(0) => self.framing = Framing::Length,
                Some(1) => self.framing = Framing::Chunked(DEFAULT_CHUNK),
                Some(n) => self.framing = Framing::Chunked(n.min(u64::from(MAX_CHUNK)) as u32),
                None => {}
            },
            b"L" if !on => self.framing = Framing::Close,
            b"R" => self.random = on,
            b"C" | b"close" => self.close = on,
            b"E" => self.echo = on,
            b"H" => self.header(value),
            _ => {}
        }
    }

    fn header(&mut self, value: &[u8]) {
        let line = percent_decoded(value);
        let name_ok = match memchr::memchr(b':', &line) {
            Some(at) => {
                at > 0 && line[..at].iter().all(|b| b.is_ascii_alphanumeric() || b"-_.!#$*+".contains(b))
            }
            None => false,
        };
        let value_ok = line.iter().all(|&b| b >= b' ' && b != 0x7f);
        if name_ok && value_ok && self.headers.len() + line.len() < 8192 {
            self.headers.extend_from_slice(&line);
            self.headers.extend_from_slice(b"\r\n");
        }
    }
}

/// A number with an optional `k`, `m` or `g` (powers of 1024).
fn number(text: &[u8]) -> Option<u64> {
    let (digits, factor) = match text.last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 1 << 10),
        b'm' | b'M' => (&text[..text.len() - 1], 1 << 20),
        b'g' | b'G' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    plain(digits)?.checked_mul(factor)
}

/// A duration in milliseconds, or with `ms` or `s`.
fn milliseconds(text: &[u8]) -> Option<u64> {
    match text {
        [digits @ .., b'm', b's'] => plain(digits),
        [digits @ .., b's'] => plain(digits)?.checked_mul(1000),
        digits => plain(digits),
    }
}

fn plain(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if let (b'%', [high, low, after @ ..]) = (first, tail) {
            if let (Some(high), Some(low)) = (char::from(*high).to_digit(16), char::from(*low).to_digit(16)) {
                out.push((high * 16 + low) as u8);
                rest = after;
                continue;
            }
        }
        out.push(*first);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let d = Ask::default;
        let table: &[(&str, Ask)] = &[
            ("/", d()),
            ("/path/without/query", d()),
            ("/?s=200", Ask { size: 200, ..d() }),
            ("/?s=1m&t=20", Ask { size: 1 << 20, delay: 20, ..d() }),
            ("/?s=2/w=3600k", Ask { size: 2, ..d() }),
            ("http://h/x?s=10k&t=2s", Ask { size: 10240, delay: 2000, ..d() }),
            ("/?c=503&s=0", Ask { status: 503, size: 0, ..d() }),
            ("/?r=404", Ask { status: 404, ..d() }),
            ("/?c=1", Ask { cacheable: true, ..d() }),
            ("/?c=99&c=600&c=x", d()),
            ("/?k=1", Ask { framing: Framing::Chunked(DEFAULT_CHUNK), ..d() }),
            ("/?k=100", Ask { framing: Framing::Chunked(100), ..d() }),
            ("/?k=9g", Ask { framing: Framing::Chunked(MAX_CHUNK), ..d() }),
            ("/?L=0", Ask { framing: Framing::Close, close: true, ..d() }),
            ("/?close=1&R=1&E", Ask { close: true, random: true, echo: true, ..d() }),
            ("/?c=204&s=5&k=1", Ask { status: 204, size: 0, ..d() }),
            ("/?s=99999999999999999999&s=-1&s=&s=k", d()),
            ("/?s=900g&s=9000g", Ask { size: MAX_SIZE, ..d() }),
            ("/?t=99h&t=9000000", Ask { delay: MAX_DELAY as u32, ..d() }),
            ("/?H=X-Foo:bar&H=X-B:%20a%2", Ask { headers: b"X-Foo:bar\r\nX-B: a%2\r\n".to_vec(), ..d() }),
            ("/?H=X:a%0d%0aEvil:b&H=:v&H=noname&H=a%20b:c", d()),
        ];
        for (url, want) in table {
            assert_eq!(&Ask::parse(url.as_bytes()), want, "{url}");
        }
    }
}
