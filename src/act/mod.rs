//! Floor 4: the families of actions. Imports plan.
//!
//! An action is a row here and a small struct with `impl Action` in the file of its family. `sites` makes it
//! legal in several rule sets at once.

pub mod addr;
pub mod capture;
pub mod flow;
pub mod header;
pub mod lines;
pub mod map;
pub mod normalize;
pub mod redirect;
pub mod reply;
pub mod settings;
pub mod track;
pub mod uri;
pub mod var;
pub mod wait;

use crate::base::doc::Doc;
use crate::expr::compile::ParseCx;
use crate::lang::diag::Diag;
use crate::lang::word::Words;
use crate::plan::rule::{Action, Sites};

/// Makes an action from its words. The cursor stands behind the action's own word, which is `words.taken()`
/// (with its arguments, where it has some in parentheses). It takes all words up to `if`, `unless` or the end.
pub type Parse = fn(&mut Words<'_>, &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag>;

/// One action.
pub struct ActionKw {
    /// Its word; what stands in parentheses behind it does not count.
    pub kw: &'static str,
    /// Where it is legal.
    pub sites: Sites,
    /// Makes it.
    pub parse: Parse,
    /// Manual text.
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

    /// With more to say than the brief.
    pub const fn text(mut self, text: &'static str) -> ActionKw {
        self.doc.text = text;
        self
    }
}

/// All families.
pub const FAMILIES: &[&[ActionKw]] = &[
    addr::ROWS,
    capture::ROWS,
    flow::ROWS,
    header::ROWS,
    map::ROWS,
    normalize::ROWS,
    redirect::ROWS,
    reply::ROWS,
    settings::ROWS,
    track::ROWS,
    uri::ROWS,
    var::ROWS,
    wait::ROWS,
];
