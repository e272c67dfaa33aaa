//! What one process counts, in memory its parent reads. Each process writes only its own line, so that relaxed loads and
//! stores are enough.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Kinds of failure, in the order of [`Line::errors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The connection was refused or could not be made.
    Connect,
    /// No local port was left (EADDRNOTAVAIL): the injector's own limit.
    NoPort,
    /// No descriptor was left (EMFILE, ENFILE): the injector's own limit.
    NoFd,
    /// Reset by the peer.
    Reset,
    /// Closed in the middle of a response, or before it.
    Closed,
    /// No answer in time.
    Timeout,
    /// The TLS handshake failed, or a record was bad.
    Tls,
    /// Not an HTTP response.
    Http,
}

/// All kinds, with their names in the final report.
pub const TROUBLES: [(Trouble, &str); 8] = [
    (Trouble::Connect, "connections refused or failed"),
    (Trouble::NoPort, "no local port left"),
    (Trouble::NoFd, "no descriptor left"),
    (Trouble::Reset, "reset by the server"),
    (Trouble::Closed, "closed before the end of the response"),
    (Trouble::Timeout, "timed out"),
    (Trouble::Tls, "TLS failures"),
    (Trouble::Http, "not HTTP"),
];

lighterman_sys::shm_struct! {
    /// The counters of one process. Times are sums of microseconds.
    pub struct Line {
        /// Connections open now.
        pub conns: AtomicU64,
        /// Connections made.
        pub tot_conn: AtomicU64,
        /// Responses received to their end.
        pub tot_req: AtomicU64,
        /// Bytes of responses, heads included, as HTTP sees them (without TLS).
        pub tot_bytes: AtomicU64,
        /// Failures by kind.
        pub errors: [AtomicU64; 8],
        /// Responses by class, 1xx to 5xx.
        pub status: [AtomicU64; 5],
        /// Time to the first byte of the response.
        pub ttfb_us: AtomicU64,
        /// Times in `ttfb_us`.
        pub ttfb_n: AtomicU64,
        /// Time to the last byte; there is one per `tot_req`.
        pub ttlb_us: AtomicU64,
        /// TLS handshakes done.
        pub handshakes: AtomicU64,
        /// Those of them that resumed a session.
        pub resumed: AtomicU64,
        /// Duration of the handshakes.
        pub handshake_us: AtomicU64,
        /// CPU time this process used.
        pub cpu_us: AtomicU64,
        /// Time this process wanted to run and had to wait.
        pub delay_us: AtomicU64,
        /// Written by the parent: stop now.
        pub stop: AtomicU64,
    }
}

/// Adds to a counter that only this process writes.
pub fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(n), Relaxed);
}

/// Takes from a counter that only this process writes.
pub fn sub(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed).wrapping_sub(n), Relaxed);
}

/// The sum of all lines at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// See [`Line`].
    pub conns: u64,
    /// See [`Line`].
    pub tot_conn: u64,
    /// See [`Line`].
    pub tot_req: u64,
    /// See [`Line`].
    pub tot_bytes: u64,
    /// Failures by kind.
    pub errors: [u64; 8],
    /// Responses by class.
    pub status: [u64; 5],
    /// See [`Line`].
    pub ttfb_us: u64,
    /// See [`Line`].
    pub ttfb_n: u64,
    /// See [`Line`].
    pub ttlb_us: u64,
    /// See [`Line`].
    pub handshakes: u64,
    /// See [`Line`].
    pub resumed: u64,
    /// See [`Line`].
    pub handshake_us: u64,
}

impl Totals {
    /// Adds the lines up.
    pub fn of(lines: &[Line]) -> Totals {
        let mut sum = Totals::default();
        for line in lines {
            sum.conns += line.conns.load(Relaxed);
            sum.tot_conn += line.tot_conn.load(Relaxed);
            sum.tot_req += line.tot_req.load(Relaxed);
            sum.tot_bytes += line.tot_bytes.load(Relaxed);
            for (to, from) in sum.errors.iter_mut().zip(&line.errors) {
                *to += from.load(Relaxed);
            }
            for (to, from) in sum.status.iter_mut().zip(&line.status) {
                *to += from.load(Relaxed);
            }
            sum.ttfb_us += line.ttfb_us.load(Relaxed);
            sum.ttfb_n += line.ttfb_n.load(Relaxed);
            sum.ttlb_us += line.ttlb_us.load(Relaxed);
            sum.handshakes += line.handshakes.load(Relaxed);
            sum.resumed += line.resumed.load(Relaxed);
            sum.handshake_us += line.handshake_us.load(Relaxed);
        }
        sum
    }

    /// All failures.
    pub fn failures(&self) -> u64 {
        self.errors.iter().sum()
    }
}
