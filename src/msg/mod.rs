//! Floor 2: the one message form between muxes. Imports base, wire.

/// Placeholder until the head arrives.
pub struct Head(());
