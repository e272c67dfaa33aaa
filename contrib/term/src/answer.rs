//! Response heads, made once per distinct URL and reused; small bodies are kept right behind their head, so that a small
//! answer is one copy and one send. Called by `conn` for each request.

use crate::ask::{Ask, Framing};

/// Bodies up to this size are kept together with their head.
const INLINE: u64 = 16384;

/// Distinct URLs whose answers are kept.
const KEPT: usize = 16;

/// Size of the pattern: a multiple of its 64-byte line, so that bodies longer than it go on seamlessly.
const PATTERN: usize = 256 * 1024;

/// How the connection goes on, as the answer says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Stays open, which HTTP/1.1 need not say.
    Keep,
    /// Stays open, said to an HTTP/1.0 client.
    KeepOld,
    /// Ends.
    Close,
}

/// The bytes all bodies are made of: lines of 64 characters.
pub fn pattern() -> Box<[u8]> {
    let line = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.\n";
    line.iter().copied().cycle().take(PATTERN).collect()
}

/// The answer to one URL.
#[derive(Debug)]
pub struct Prepared {
    url: Vec<u8>,
    /// What the URL asks for.
    pub ask: Ask,
    keep: Vec<u8>,
    close: Vec<u8>,
    /// The body is behind the head already.
    pub inline: bool,
}

impl Prepared {
    fn new(url: &[u8], pattern: &[u8]) -> Prepared {
        let ask = Ask::parse(url);
        let inline = ask.framing == Framing::Length && ask.size <= INLINE;
        let [keep, close] = [Connection::Keep, Connection::Close].map(|connection| {
            let mut out = Vec::with_capacity(256);
            head(&ask, ask.size, connection, false, None, &mut out);
            if inline {
                out.extend_from_slice(&pattern[..ask.size as usize]);
            }
            out
        });
        Prepared { url: url.to_vec(), ask, keep, close, inline }
    }

    /// Head, and body when `inline`, for a plain request.
    pub fn bytes(&self, close: bool) -> &[u8] {
        if close || self.ask.close {
            &self.close
        } else {
            &self.keep
        }
    }

    /// Every request for this URL gets the same bytes at once.
    pub fn constant(&self) -> bool {
        !self.ask.random && !self.ask.echo && self.ask.delay == 0
    }
}

/// The answers to the URLs seen last.
#[derive(Debug)]
pub struct Cache {
    kept: Vec<Prepared>,
    next: usize,
    pattern: Box<[u8]>,
}

impl Default for Cache {
    fn default() -> Self {
        Cache { kept: Vec::with_capacity(KEPT), next: 0, pattern: pattern() }
    }
}

impl Cache {
    /// The bytes of bodies.
    pub fn pattern(&self) -> &[u8] {
        &self.pattern
    }

    /// The answer to `url`.
    pub fn get(&mut self, url: &[u8]) -> &Prepared {
        let at = match self.kept.iter().position(|kept| kept.url == url) {
            Some(at) => at,
            None => {
                let made = Prepared::new(url, &self.pattern);
                let at = self.next;
                self.next = (at + 1) % KEPT;
                match self.kept.get_mut(at) {
                    Some(old) => *old = made,
                    None => self.kept.push(made),
                }
                at
            }
        };
        &self.kept[at]
    }
}

/// Writes a response head. `old`: to an HTTP/1.0 client, which knows no chunks. `echo`: sizes of request head and body.
pub fn head(
    ask: &Ask,
    size: u64,
    connection: Connection,
    old: bool,
    echo: Option<(usize, u64)>,
    out: &mut Vec<u8>,
) {
    let mut text = format!(
        "HTTP/1.1 {} {}\r\nServer: term\r\nContent-Type: text/plain\r\nCache-Control: {}\r\n",
        ask.status,
        reason(ask.status),
        if ask.cacheable { "max-age=60" } else { "no-store" },
    );
    match ask.framing {
        Framing::Length if ask.status == 204 => {}
        Framing::Length => text.push_str(&format!("Content-Length: {size}\r\n")),
        Framing::Chunked(_) if !old => text.push_str("Transfer-Encoding: chunked\r\n"),
        Framing::Chunked(_) | Framing::Close => {}
    }
    match connection {
        Connection::Keep => {}
        Connection::KeepOld => text.push_str("Connection: keep-alive\r\n"),
        Connection::Close => text.push_str("Connection: close\r\n"),
    }
    if let Some((head, body)) = echo {
        text.push_str(&format!("X-Req: head={head} body={body}\r\n"));
    }
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(&ask.headers);
    out.extend_from_slice(b"\r\n");
}

/// A reason phrase (RFC 9110 section 15).
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Content Too Large",
        421 => "Misdirected Request",
        425 => "Too Early",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Synthetic",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(url: &str, close: bool) -> String {
        let mut cache = Cache::default();
        String::from_utf8(cache.get(url.as_bytes()).bytes(close).to_vec()).unwrap()
    }

    #[test]
    fn heads() {
        let start =
            "HTTP/1.1 200 OK\r\nServer: term\r\nContent-Type: text/plain\r\nCache-Control: no-store\r\n";
        let table: &[(&str, bool, String)] = &[
            ("/?s=2", false, format!("{start}Content-Length: 2\r\n\r\n01")),
            ("/?s=2", true, format!("{start}Content-Length: 2\r\nConnection: close\r\n\r\n01")),
            ("/?s=1&H=X-A:b", false, format!("{start}Content-Length: 1\r\nX-A:b\r\n\r\n0")),
            ("/?s=1m", false, format!("{start}Content-Length: 1048576\r\n\r\n")),
            ("/?s=9&k=1", false, format!("{start}Transfer-Encoding: chunked\r\n\r\n")),
            ("/?s=9&L=0", false, format!("{start}Connection: close\r\n\r\n")),
            (
                "/?c=204",
                false,
                "HTTP/1.1 204 No Content\r\nServer: term\r\nContent-Type: text/plain\r\nCache-Control: no-store\r\n\r\n"
                    .into(),
            ),
        ];
        for (url, close, want) in table {
            assert_eq!(&text(url, *close), want, "{url}");
        }
    }

    #[test]
    fn the_cache_forgets_but_never_mixes() {
        let mut cache = Cache::default();
        for size in (0..100u64).chain(0..100) {
            let url = format!("/?s={size}");
            let got = cache.get(url.as_bytes());
            assert_eq!(got.ask.size, size);
            assert!(got.bytes(false).len() > size as usize);
        }
        assert_eq!(cache.kept.len(), KEPT);
    }

    #[test]
    fn the_pattern_is_seamless() {
        let p = pattern();
        assert_eq!((p.len(), p.len() % 64, p[63], p[64]), (PATTERN, 0, b'\n', b'0'));
    }
}
