//! Floor 3: sample expressions, conditions, log-format strings. Imports base, lang, wire, msg, shm.
//!
//! [`view`] is what an expression may look at, [`sample`] what it yields, [`cast`] how types meet.
//! [`compile`] turns text into an [`compile::Expr`] from the tables of [`fetch`] and [`conv`];
//! [`pattern`] compares, [`acl`] combines, [`map`] translates, [`vars`] remembers.

pub mod acl;
pub mod alias;
pub mod args;
pub mod cast;
pub mod compile;
pub mod conv;
pub mod fetch;
pub mod fuzz;
pub mod known;
pub mod live;
pub mod logfmt;
pub mod map;
pub mod pattern;
pub mod sample;
pub mod stick;
#[cfg(test)]
pub mod tests;
pub mod vars;
pub mod view;
