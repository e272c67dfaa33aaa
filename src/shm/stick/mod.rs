//! Stick tables in the shared memory: what is known of a key (an address, a cookie...), one table for all processes.
//!
//! [`spec`] says what a table holds, [`table`] is the memory with its index and locks, [`repair`] mends what a killed
//! process left behind, [`expire`] ends old entries, [`entry`] reads and counts, [`journal`] keeps who holds which
//! entry, [`set`] is all tables of a configuration, [`show`] their text form, [`fuzz`] compares
//! them with a plain list.

pub mod entry;
pub mod expire;
pub mod fuzz;
pub mod journal;
mod repair;
pub mod set;
pub mod show;
pub mod spec;
pub mod table;

pub use entry::Entry;
pub use journal::Held;
pub use set::Tables;
pub use spec::{Data, KeyType, ServerKey, Spec, Store};
pub use table::Table;

#[cfg(test)]
mod tests;
