//! Floor 4: the balancing algorithms. Imports plan.
//!
//! An algorithm is a row for the configuration, what the plan keeps (`Scheme`), and what one worker runs
//! (`Balancer`), in one file. They see servers as the caller shows them, in the order of the file, and
//! never keep what they saw beyond a number. [`parse`] reads the words behind `balance`.

mod first;
mod keyed;
mod leastconn;
pub mod parse;
mod random;
mod request;
mod roundrobin;
mod source;
mod spread;
mod static_rr;

pub use roundrobin::RoundRobin;

use crate::base::doc::Doc;
use crate::lang::diag::Diag;
use crate::lang::word::{Word, Words};
use crate::plan::scheme::{Scheme, ServerView};

/// One algorithm: the word behind `balance`.
pub struct BalanceKw {
    /// The word; what stands in parentheses behind it does not count.
    pub kw: &'static str,
    /// Makes the scheme from the words behind it.
    pub parse: fn(&mut Words<'_>, &mut BalanceCx) -> Result<Box<dyn Scheme>, Diag>,
    /// Manual text.
    pub doc: Doc,
}

/// What an algorithm is given besides its words, and what it asks of the backend.
#[derive(Default)]
pub struct BalanceCx {
    /// What stood in parentheses behind its word.
    pub argument: Option<String>,
    /// The expression whose value is the key: to be compiled once names are known.
    pub key: Option<Word>,
    /// The first bytes of the body must be there.
    pub wants_body: bool,
}

/// All algorithms.
pub const ROWS: &[&BalanceKw] = &[
    &first::ROW,
    &request::HASH_ROW,
    &request::HDR_ROW,
    &leastconn::ROW,
    &random::ROW,
    &request::RDP_ROW,
    &roundrobin::ROW,
    &source::ROW,
    &static_rr::ROW,
    &request::URI_ROW,
    &request::URL_PARAM_ROW,
];

/// Takes new work now: usable and with a free place.
fn free(server: &ServerView) -> bool {
    server.usable && (server.maxconn == 0 || server.current < server.maxconn)
}
