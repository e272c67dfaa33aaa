//! HTTP/1 syntax (RFC 9112), line by line. `msg` builds heads from these; framing is decided there.

pub mod chunk;
pub mod headers;
pub mod request_line;
pub mod status_line;
mod version;

use crate::http::Version;

/// What happens to bytes that the RFCs forbid but that some applications send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Violations {
    /// Refuse the message: the default.
    #[default]
    Refuse,
    /// `option accept-unsafe-violations-in-http-request` / `-response`.
    Accept,
}

/// A version as it stood on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.x.
    Http(Version),
    /// Another protocol's name of the same shape (`RTSP/1.0`), let through as it is.
    Foreign,
}
