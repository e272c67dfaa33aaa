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

/// The error pages of a proxy: what `errorfile` gave, else the built-in ones.
#[derive(Clone, Debug, Default)]
pub struct ErrorPages {
    /// `(status, page)` of `errorfile`, `http-error`...
    pub own: Vec<(u16, Reply)>,
}

impl ErrorPages {
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
    let auth = match status {
        401 => "www-authenticate: Basic\r\n",
        407 => "proxy-authenticate: Basic\r\n",
        _ => "",
    };
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-length: {}\r\ncache-control: no-cache\r\ncontent-type: text/html\r\n{auth}\r\n",
        body.len()
    );
    Reply { status, head: head.into_bytes(), body: body.into_bytes(), verbatim: false }
}
