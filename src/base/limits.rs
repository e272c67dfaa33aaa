//! Every built-in limit, with its reason.

/// Buffers a process can always have: with fewer, a single exchange could wait for itself.
pub const POOL_MIN_BUFFERS: usize = 16;
