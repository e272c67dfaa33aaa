//! Statistics: the values of every proxy, listener and server ([`columns`]), and how they are
//! written: CSV ([`csv`]), typed lines and JSON ([`value`]).

pub mod columns;
pub mod csv;
pub mod info;
pub mod prom;
pub mod rows;
pub mod value;
