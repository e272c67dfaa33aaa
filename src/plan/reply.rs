//! Answers made here rather than by a server: error pages and prepared replies.

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
