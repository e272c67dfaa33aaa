//! Floor 4: the families of actions. Imports plan.
//!
//! A row says where an action is legal and how its arguments are read; what it makes lives in the plan
//! and serves every stream. [`rule`] reads a whole rule: action, arguments, condition.

pub mod flow;
pub mod header;
pub mod redirect;
pub mod reply;
mod rule;
pub mod uri;
pub mod var;

pub use rule::{point_of, redirect_rule, rule};

use crate::base::doc::Doc;
use crate::expr::compile::ParseCx;
use crate::lang::diag::Diag;
use crate::lang::word::Words;
use crate::plan::rule::{Action, Sites};

/// Reads the arguments of an action, up to its condition.
pub type Parse = fn(&mut Words<'_>, &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag>;

/// One action.
pub struct ActionKw {
    /// Its word; a word that ends in `(` is followed by an argument and `)`.
    pub kw: &'static str,
    /// Where it is legal.
    pub sites: Sites,
    /// Reads its arguments.
    pub parse: Parse,
    /// Its manual text.
    pub doc: Doc,
}

impl ActionKw {
    /// A row.
    pub const fn new(
        kw: &'static str,
        sites: Sites,
        parse: Parse,
        usage: &'static str,
        brief: &'static str,
        example: &'static str,
    ) -> ActionKw {
        ActionKw { kw, sites, parse, doc: Doc { usage, brief, text: "", example } }
    }
}

/// Every family.
pub const FAMILIES: &[&[ActionKw]] =
    &[flow::ROWS, header::ROWS, redirect::ROWS, reply::ROWS, uri::ROWS, var::ROWS];

/// Every row.
pub fn all() -> impl Iterator<Item = &'static ActionKw> {
    FAMILIES.iter().flat_map(|family| family.iter())
}
