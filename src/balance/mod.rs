//! Floor 4: the balancing algorithms. Imports plan.
//!
//! Each algorithm is a file: a row for the configuration, what the plan keeps (`Scheme`), and what one
//! worker runs (`Balancer`). They see servers as the caller shows them, in the order of the file, and
//! never keep what they saw beyond a number.

mod first;
mod leastconn;
mod roundrobin;
mod source;

pub use roundrobin::RoundRobin;

use crate::base::doc::Doc;
use crate::lang::diag::Diag;
use crate::lang::word::Words;
use crate::plan::scheme::{Scheme, ServerView};

/// One algorithm: the word behind `balance`.
pub struct BalanceKw {
    /// The word.
    pub kw: &'static str,
    /// Makes the scheme from the words behind it.
    pub parse: fn(&mut Words<'_>) -> Result<Box<dyn Scheme>, Diag>,
    /// Manual text.
    pub doc: Doc,
}

/// All algorithms.
pub const ROWS: &[&BalanceKw] = &[&first::ROW, &leastconn::ROW, &roundrobin::ROW, &source::ROW];

/// Takes new work now: usable and with a free place.
fn free(server: &ServerView) -> bool {
    server.usable && (server.maxconn == 0 || server.current < server.maxconn)
}
