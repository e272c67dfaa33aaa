//! `retry-on`: after which failures a request is sent once more.

/// A kind of failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// No connection, or no TLS, to the server: nothing of the request was sent.
    Connection = 1,
    /// The server closed without a byte of an answer.
    Empty = 2,
    /// What it sent is no answer.
    Junk = 4,
    /// It sent nothing in time.
    Timeout = 8,
    /// It refused data sent before the end of the handshake.
    EarlyData = 16,
}

/// The failures of a `retry-on` line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryOn {
    kinds: u8,
    /// Bits by position in [`STATUSES`].
    statuses: u16,
}

/// The statuses that may be asked for again.
pub const STATUSES: [u16; 12] = [401, 403, 404, 408, 421, 425, 429, 500, 501, 502, 503, 504];

/// The words that stand for kinds of failures.
pub const WORDS: [(&str, Failure); 5] = [
    ("conn-failure", Failure::Connection),
    ("empty-response", Failure::Empty),
    ("junk-response", Failure::Junk),
    ("response-timeout", Failure::Timeout),
    ("0rtt-rejected", Failure::EarlyData),
];

impl Default for RetryOn {
    /// `conn-failure`.
    fn default() -> Self {
        let mut on = RetryOn::none();
        on.add(Failure::Connection);
        on
    }
}

impl RetryOn {
    /// `none`.
    pub fn none() -> Self {
        RetryOn { kinds: 0, statuses: 0 }
    }

    /// One more kind of failure.
    pub fn add(&mut self, failure: Failure) {
        self.kinds |= failure as u8;
    }

    /// One more status; false: it is not among [`STATUSES`].
    pub fn add_status(&mut self, status: u16) -> bool {
        let at = position(status);
        self.statuses |= at.map_or(0, |at| 1 << at);
        at.is_some()
    }

    /// `all-retryable-errors`: what a second attempt may mend.
    pub fn add_all(&mut self) {
        WORDS.iter().for_each(|(_, failure)| self.add(*failure));
        for status in [500, 502, 503, 504] {
            self.add_status(status);
        }
    }

    /// A request is sent again after this.
    pub fn has(&self, failure: Failure) -> bool {
        self.kinds & failure as u8 != 0
    }

    /// A request is sent again after this answer.
    pub fn has_status(&self, status: u16) -> bool {
        self.statuses != 0 && position(status).is_some_and(|at| self.statuses & 1 << at != 0)
    }

    /// Something that was sent may have to be sent again: requests are kept until an answer comes.
    pub fn keeps_requests(&self) -> bool {
        self.statuses != 0 || self.kinds & !(Failure::Connection as u8) != 0
    }
}

fn position(status: u16) -> Option<usize> {
    STATUSES.iter().position(|known| *known == status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_retried() {
        let mut on = RetryOn::default();
        assert!(on.has(Failure::Connection) && !on.has(Failure::Empty) && !on.keeps_requests());
        assert!(on.add_status(404) && !on.add_status(200) && !on.add_status(0));
        assert!(on.has_status(404) && !on.has_status(503) && !on.has_status(0) && on.keeps_requests());
        on = RetryOn::none();
        assert!(!on.has(Failure::Connection) && !on.has_status(404) && !on.keeps_requests());
        on.add_all();
        assert!(WORDS.iter().all(|(_, failure)| on.has(*failure)));
        assert!(on.has_status(503) && !on.has_status(501));
    }
}
