//! Certificates by the hundred thousand: on disk, in an index, and a few of them in memory.
//!
//! At start a directory is indexed ([`scan`], or [`persist`] when nothing changed): which file has which names until when
//! ([`index`]). The index is shared by all processes and read in place. A certificate is read when the first client asks for
//! it: [`select`] says which one, [`keep::Store`] has it among the parsed ones ([`lru`]) or asks the process with file rights for
//! the open file ([`errand`]), and the handshake waits meanwhile. Directories that are watched ([`watch`]) are looked at when
//! something happens to a file ([`inspect`]); the index is patched ([`patch`]) and the last good bytes are kept ([`spool`]).

pub mod build;
pub mod census;
pub mod draft;
pub mod edit;
pub mod errand;
pub mod index;
mod inspect;
pub mod keep;
mod look;
pub mod lru;
pub mod patch;
pub mod persist;
pub mod raw;
pub mod scan;
pub mod select;
pub mod spool;
pub mod watch;

#[cfg(test)]
mod tests;

pub use index::Index;
pub use keep::{Awaited, Pick, Settings, Store};
pub use select::{Candidate, Choice, How, Passed};
