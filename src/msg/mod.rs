//! Floor 2: the one form of a message between muxes. Imports base and wire.
//!
//! A mux parses the bytes it received into a [`head::Head`], asks [`framing`] for the length of the body
//! and [`hop`] what the connection is to do; rules read and edit the head; the other side's mux encodes it.

pub mod cookie;
mod edit;
pub mod framing;
pub mod head;
pub mod heads;
pub mod hop;
mod parse;

#[cfg(test)]
mod tests;

pub use edit::EditError;
pub use head::{FieldId, Head};
pub use parse::{fuzz_h1_head, ParseOpts};
