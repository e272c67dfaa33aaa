//! Answers made here rather than by a server: error pages and prepared replies.

use std::sync::OnceLock;

use crate::base::ids::ProxyId;

/// A whole HTTP answer, encoded once at load time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Status line and fields, up to the empty line (included), without any `connection` field.
    pub head: Vec<u8>,
    /// The body; not sent to HEAD.
    pub body: Vec<u8>,
    /// The file is sent as it is, whatever it says: `errorfile` (no field is added).
    pub verbatim: bool,
}

impl Reply {
    /// An answer of which only the status line is there: [`Reply::field`], then [`Reply::end`].
    pub fn start(status: u16, reason: &str) -> Reply {
        let head = format!("HTTP/1.1 {status} {reason}\r\n").into_bytes();
        Reply { status, head, body: Vec::new(), verbatim: false }
    }

    /// Adds a field. Nothing that comes from a request may end the line: such bytes become spaces.
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        self.head.extend_from_slice(name);
        self.head.extend_from_slice(b": ");
        self.head.extend(value.iter().map(|b| if matches!(b, b'\r' | b'\n' | 0) { b' ' } else { *b }));
        self.head.extend_from_slice(b"\r\n");
    }

    /// Ends the head.
    pub fn end(&mut self) {
        self.head.extend_from_slice(b"\r\n");
    }

    /// The same answer with a field set to a value.
    pub fn with_field(&self, name: &str, value: &[u8]) -> Reply {
        let mut lines = self.head.split_inclusive(|byte| *byte == b'\n');
        let mut made = Reply { head: lines.next().unwrap_or_default().to_vec(), ..self.clone() };
        for line in lines.filter(|line| !is_field(line, name) && *line != b"\r\n") {
            made.head.extend_from_slice(line);
        }
        made.field(name.as_bytes(), value);
        made.end();
        made
    }

    /// Takes over the fields of another answer.
    pub fn join(&mut self, other: &Reply) {
        let fields = memchr::memchr(b'\n', &other.head).map_or(&[][..], |end| &other.head[end + 1..]);
        self.head.truncate(self.head.len().saturating_sub(2));
        self.head.extend_from_slice(fields);
    }

    /// An answer from the text of a file: status line, fields, an empty line, body. Lone line feeds become
    /// CRLF, a length becomes that of the body; without one the connection's end tells it. An empty text is no answer at all: the connection is just closed.
    pub fn from_text(text: &[u8], status: u16) -> Result<Reply, String> {
        let mut reply = Reply { status, head: Vec::new(), body: Vec::new(), verbatim: true };
        let (mut rest, mut sized) = (text, false);
        while !rest.is_empty() || !reply.head.is_empty() {
            let Some(end) = memchr::memchr(b'\n', rest) else {
                return Err("has no empty line between head and body".to_string());
            };
            let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
            rest = &rest[end + 1..];
            head_line(line, reply.head.is_empty())?;
            if line.is_empty() {
                reply.body = rest.to_vec();
                if sized {
                    reply.field(b"content-length", rest.len().to_string().as_bytes());
                }
                reply.end();
                break;
            }
            match is_field(line, "content-length") {
                // what it says may be wrong
                true => sized = true,
                false if is_field(line, "transfer-encoding") => {}
                false => {
                    reply.head.extend_from_slice(line);
                    reply.head.extend_from_slice(b"\r\n");
                }
            }
        }
        Ok(reply)
    }
}

/// A line is the field of this name.
fn is_field(line: &[u8], name: &str) -> bool {
    line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
        && line.get(name.len()) == Some(&b':')
}

/// Judges a line of the head of an answer.
fn head_line(line: &[u8], first: bool) -> Result<(), String> {
    if first && !is_status_line(line) {
        return Err("does not begin with a status line like \"HTTP/1.1 503 Service Unavailable\"".to_string());
    }
    if line.iter().any(|b| *b == b'\r' || *b == 0) {
        return Err("has a control character in its head".to_string());
    }
    if !first && !line.is_empty() && memchr::memchr(b':', line).is_none_or(|colon| colon == 0) {
        return Err(format!("has a head line without a colon: \"{}\"", String::from_utf8_lossy(line)));
    }
    Ok(())
}

fn is_status_line(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"HTTP/1.") else { return false };
    rest.first().is_some_and(u8::is_ascii_digit)
        && rest.get(1) == Some(&b' ')
        && rest.get(2..5).is_some_and(|code| code.iter().all(u8::is_ascii_digit))
        && matches!(rest.get(5), None | Some(b' '))
}

/// The error pages of a proxy: what `errorfile` gave, else the built-in ones.
#[derive(Clone, Debug, Default)]
pub struct ErrorPages {
    /// `(status, page)` of `errorfile`, `http-error`...
    pub own: Vec<(u16, Reply)>,
}

impl ErrorPages {
    /// Gives a status a page, in place of the one it may have.
    pub fn set(&mut self, status: u16, page: Reply) {
        self.own.retain(|(code, _)| *code != status);
        self.own.push((status, page));
    }

    /// The page for a status, if one was given.
    pub fn get(&self, status: u16) -> Option<&Reply> {
        self.own.iter().find(|(code, _)| *code == status).map(|(_, page)| page)
    }
}

/// Where a request goes when a rule or `default_backend` says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target(pub ProxyId);

/// The built-in page of a status, as HAProxy words it.
pub fn builtin_page(status: u16) -> &'static Reply {
    static PAGES: OnceLock<Vec<Reply>> = OnceLock::new();
    let pages = PAGES
        .get_or_init(|| PAGES_TEXT.iter().map(|(code, reason, text)| page(*code, reason, text)).collect());
    let at = pages.iter().position(|p| p.status == status);
    let fallback = pages.len() - 1;
    &pages[at.unwrap_or(fallback)]
}

/// There is a built-in page for this status.
pub fn has_page(status: u16) -> bool {
    PAGES_TEXT.iter().any(|(code, ..)| *code == status)
}

/// Status, reason and sentence of each page; the last one stands for every unknown status.
const PAGES_TEXT: &[(u16, &str, &str)] = &[
    (200, "OK", "Service ready."),
    (400, "Bad request", "Your browser sent an invalid request."),
    (401, "Unauthorized", "You need a valid user and password to access this content."),
    (403, "Forbidden", "Request forbidden by administrative rules."),
    (404, "Not Found", "The resource could not be found."),
    (
        405,
        "Method Not Allowed",
        "A request was made of a resource using a request method not supported by that resource",
    ),
    (407, "Unauthorized", "You need a valid user and password to access this content."),
    (408, "Request Time-out", "Your browser didn't send a complete request in time."),
    (410, "Gone", "The resource is no longer available and will not be available again."),
    (413, "Payload Too Large", "The request entity exceeds the maximum allowed."),
    (414, "URI Too Long", "The URI is too long for this server."),
    (421, "Misdirected Request", "Request sent to a non-authoritative server."),
    (422, "Unprocessable Content", "The server cannot process the contained instructions."),
    (425, "Too Early", "Your browser sent early data."),
    (429, "Too Many Requests", "You have sent too many requests in a given amount of time."),
    (431, "Request Header Fields Too Large", "The request header fields are too large."),
    (
        501,
        "Not Implemented",
        "The server does not support the functionality required to fulfill the request.",
    ),
    (502, "Bad Gateway", "The server returned an invalid or incomplete response."),
    (503, "Service Unavailable", "No server is available to handle this request."),
    (504, "Gateway Time-out", "The server didn't respond in time."),
    (500, "Internal Server Error", "An internal server error occurred."),
];

fn page(status: u16, reason: &str, text: &str) -> Reply {
    let body = format!("<html><body><h1>{status} {reason}</h1>\n{text}\n</body></html>\n");
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-length: {}\r\ncache-control: no-cache\r\ncontent-type: text/html\r\n\r\n",
        body.len()
    );
    Reply { status, head: head.into_bytes(), body: body.into_bytes(), verbatim: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_into_head_and_body() {
        let reply = Reply::from_text(b"HTTP/1.0 503 Sorry\nA: b\n\n<p>\n", 503).unwrap();
        assert_eq!(reply.head, b"HTTP/1.0 503 Sorry\r\nA: b\r\n\r\n");
        assert_eq!(reply.body, b"<p>\n");
        let sized =
            Reply::from_text(b"HTTP/1.1 503 a\nContent-length: 9\nTransfer-Encoding: chunked\n\nabc", 503);
        assert_eq!(sized.unwrap().head, b"HTTP/1.1 503 a\r\ncontent-length: 3\r\n\r\n");
        assert_eq!(Reply::from_text(b"", 503).unwrap().head, b"");
        let bad: [&[u8]; 6] = [
            b"<html>\n\n",
            b"HTTP/1.1 503\n",
            b"HTTP/1.1 5x3 a\n\n",
            b"HTTP/1.1 503 a\nno colon\n\n",
            b"\n",
            b"HTTP/1.1 503 a\nA: b\r\r\n\n",
        ];
        for text in bad {
            assert!(Reply::from_text(text, 503).is_err(), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn fields_are_set_and_joined() {
        let page = builtin_page(401).with_field("www-authenticate", b"Basic realm=\"a\r\nb\"");
        let text = String::from_utf8(page.head.clone()).unwrap();
        assert!(
            text.ends_with("content-type: text/html\r\nwww-authenticate: Basic realm=\"a  b\"\r\n\r\n"),
            "{text}"
        );
        let hint = |value: &[u8]| {
            let mut reply = Reply::start(103, "Early Hints");
            reply.field(b"link", value);
            reply.end();
            reply
        };
        let mut both = hint(b"a");
        both.join(&hint(b"b"));
        assert_eq!(both.head, b"HTTP/1.1 103 Early Hints\r\nlink: a\r\nlink: b\r\n\r\n");
    }
}
