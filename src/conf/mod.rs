//! Floor 5: text to plan; the data path never sees it. Imports lang, expr, plan, act, balance.
//!
//! [`reader`] finds the files, [`ast`] cuts them into sections and lines, [`driver`] finds the row of
//! each keyword in the tables of [`kw`] and runs it on a draft ([`draft`]); [`link`] turns names into
//! ids, [`verify`] judges the whole. Only then does a plan exist ([`load`]). [`known`] lists the words
//! of HAProxy that are not built yet; [`refdoc`] prints the manual from the same tables.

pub mod about;
pub mod addr;
pub mod ast;
pub mod crt;
pub mod crtline;
pub mod crtlist;
pub mod draft;
pub mod driver;
pub mod env;
pub mod known;
pub mod kw;
pub mod reader;
pub mod refdoc;

pub use load::{fuzz_conf_text, load, load_with, master_sockets, Setup};

mod link;
mod load;
mod rules;
mod sticks;
mod verify;
