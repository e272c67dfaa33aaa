//! Floor 2: all that processes share. Imports base and sys.
//!
//! One mapping made by the master before the first fork, with offsets and never pointers inside, seen by
//! every process through [`Shared`]. Objects keep their rows by name, so a reload or the death of a process
//! loses no count.

mod carry;
pub mod carve;
pub mod changelog;
pub mod counters;
pub mod early;
pub mod failures;
mod gate;
pub mod layout;
pub mod objects;
pub mod processes;
mod read;
pub mod servers;
mod shared;
pub mod sslcache;
pub mod stick;
pub mod tickets;
pub mod vars;

#[cfg(test)]
mod tests;

pub use counters::{Info, InfoRate, Rate, Stat};
pub use objects::{FrontState, Names, Object};
pub use processes::{Phase, ProcessView, Role, Wish};
pub use read::Clear;
pub use servers::{Admin, Health};
pub use shared::{Extras, Shared};
