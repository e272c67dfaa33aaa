//! HTTP/1 as the tests speak it: requests and responses read from a [`Peer`], replies of origins.

use crate::peer::{find, show};
use crate::Peer;

/// A header section, as it came.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The start line.
    pub line: String,
    /// Names and values in order, without the space around values.
    pub fields: Vec<(String, String)>,
    /// All bytes up to and including the empty line.
    pub raw: Vec<u8>,
}

impl Head {
    fn parse(raw: Vec<u8>) -> Head {
        let text = String::from_utf8_lossy(&raw).into_owned();
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap_or_default().to_string();
        let fields = lines
            .take_while(|l| !l.is_empty())
            .map(|l| l.split_once(':').unwrap_or((l, "")))
            .map(|(n, v)| (n.to_string(), v.trim().to_string()))
            .collect();
        Head { line, fields, raw }
    }

    /// The first value of a field, whatever the case of its name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// All values of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).collect()
    }

    fn chunked(&self) -> bool {
        self.field("transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().ends_with("chunked"))
    }

    fn length(&self) -> Option<usize> {
        self.field("content-length").and_then(|v| v.parse().ok())
    }
}

/// A request as a server sees it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Its header section.
    pub head: Head,
    /// Its body, decoded.
    pub body: Vec<u8>,
}

impl Request {
    /// The first word of the request line.
    pub fn method(&self) -> &str {
        self.head.line.split(' ').next().unwrap_or_default()
    }

    /// The second word of the request line.
    pub fn uri(&self) -> &str {
        self.head.line.split(' ').nth(1).unwrap_or_default()
    }

    /// The first value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }
}

/// A response as a client sees it.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// Its status code.
    pub status: u16,
    /// Its header section.
    pub head: Head,
    /// Its body, decoded.
    pub body: Vec<u8>,
    /// Trailer fields after the last chunk.
    pub trailers: Vec<(String, String)>,
}

impl Response {
    /// The first value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn whole_head(bytes: &[u8]) -> Option<usize> {
    find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

impl Peer {
    /// The next request, with its body.
    #[track_caller]
    pub fn request(&mut self) -> Request {
        let head = Head::parse(self.fill("a request", whole_head));
        let body = if head.chunked() {
            self.chunks().0
        } else {
            let n = head.length().unwrap_or(0);
            self.take(n)
        };
        Request { head, body }
    }

    /// The next request, or `None` when the client has no more.
    pub fn next_request(&mut self) -> Option<Request> {
        let head = Head::parse(self.try_fill(whole_head).ok()?);
        let body = if head.chunked() {
            self.try_chunks()?.0
        } else {
            let n = head.length().unwrap_or(0);
            self.try_fill(|b| (b.len() >= n).then_some(n)).ok()?
        };
        Some(Request { head, body })
    }

    /// The head of the next response only.
    #[track_caller]
    pub fn response_head(&mut self) -> Response {
        let head = Head::parse(self.fill("a response", whole_head));
        let status = head.line.split(' ').nth(1).and_then(|s| s.parse().ok());
        let Some(status) = status else { panic!("no status line: {}", show(&head.raw)) };
        Response { status, head, ..Response::default() }
    }

    /// The next response to a request that was not HEAD.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        let mut response = self.response_head();
        if response.status / 100 == 1 || matches!(response.status, 204 | 304) {
            return response;
        }
        if response.head.chunked() {
            (response.body, response.trailers) = self.chunks();
        } else if let Some(n) = response.head.length() {
            response.body = self.take(n);
        } else {
            response.body = self.rest();
        }
        response
    }

    /// The head of the next response only, or why it did not come.
    pub fn try_response_head(&mut self) -> Result<Response, String> {
        let head = Head::parse(self.try_fill(whole_head)?);
        let status = head.line.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or("no status line")?;
        Ok(Response { status, head, ..Response::default() })
    }

    /// The next response with its body of a known length, or why it did not come.
    pub fn try_response(&mut self) -> Result<Response, String> {
        let mut response = self.try_response_head()?;
        let n = response.head.length().unwrap_or(0);
        response.body = self.try_fill(|b| (b.len() >= n).then_some(n))?;
        Ok(response)
    }

    /// Sends a request and gives the response to it.
    #[track_caller]
    pub fn get(&mut self, uri: &str) -> Response {
        self.send(format!("GET {uri} HTTP/1.1\r\nHost: test\r\n\r\n"));
        self.response()
    }

    /// A chunked body and its trailers.
    #[track_caller]
    fn chunks(&mut self) -> (Vec<u8>, Vec<(String, String)>) {
        self.try_chunks().unwrap_or_else(|| panic!("a chunked body without its end"))
    }

    /// The same; `None`: it was cut.
    fn try_chunks(&mut self) -> Option<(Vec<u8>, Vec<(String, String)>)> {
        let mut body = Vec::new();
        loop {
            let line = self.try_line()?;
            let size = line.split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16).unwrap_or_else(|_| panic!("bad chunk size {line:?}"));
            if size == 0 {
                break;
            }
            body.extend(self.try_fill(|b| (b.len() >= size).then_some(size)).ok()?);
            let end = self.try_line()?;
            assert_eq!(end, "", "behind a chunk");
        }
        let mut trailers = Vec::new();
        loop {
            let line = self.try_line()?;
            match line.split_once(':') {
                Some((name, value)) => trailers.push((name.to_string(), value.trim().to_string())),
                None => return Some((body, trailers)),
            }
        }
    }

    /// A line without its end.
    fn try_line(&mut self) -> Option<String> {
        let line = self.try_fill(|b| find(b, b"\r\n").map(|at| at + 2)).ok()?;
        Some(String::from_utf8(line).unwrap().trim_end().to_string())
    }
}

/// What an origin answers.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(crate) bytes: Vec<u8>,
    pub(crate) close: bool,
}

impl Reply {
    /// A 200 with this body and its length.
    pub fn ok(body: impl AsRef<[u8]>) -> Reply {
        Reply::status(200, "", body)
    }

    /// Any status, with more header lines (each with its CRLF).
    pub fn status(status: u16, fields: &str, body: impl AsRef<[u8]>) -> Reply {
        let body = body.as_ref();
        let mut bytes = format!("HTTP/1.1 {status} Reason\r\n{fields}Content-Length: {}\r\n\r\n", body.len())
            .into_bytes();
        bytes.extend_from_slice(body);
        Reply { bytes, close: false }
    }

    /// These bytes as they are.
    pub fn raw(bytes: impl AsRef<[u8]>) -> Reply {
        Reply { bytes: bytes.as_ref().to_vec(), close: false }
    }

    /// Close the connection after it.
    pub fn close(mut self) -> Reply {
        self.close = true;
        self
    }
}
