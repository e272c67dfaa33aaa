//! The words of HTTP that all its versions share: methods, statuses, names, URIs, cookies, dates.

pub mod cookie;
pub mod date;
pub mod method;
pub mod name;
pub mod status;
pub mod uri;

/// The version of HTTP a message came in or leaves as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// HTTP/1.0, and HTTP/0.9 where violations are accepted.
    V10,
    /// HTTP/1.1 and higher minor versions.
    V11,
    /// HTTP/2: only heads made by that mux; written as HTTP/1.1 to an HTTP/1 peer.
    V20,
}

impl Version {
    /// As fetches and logs show it: `1.0`.
    pub fn digits(self) -> &'static str {
        match self {
            Version::V10 => "1.0",
            Version::V11 => "1.1",
            Version::V20 => "2.0",
        }
    }

    /// As logs show it: `HTTP/1.0`.
    pub fn name(self) -> &'static str {
        match self {
            Version::V10 => "HTTP/1.0",
            Version::V11 => "HTTP/1.1",
            Version::V20 => "HTTP/2.0",
        }
    }
}
