//! Converters: what an expression does to a value. One file per family, each with its `ROWS`.

use crate::base::doc::Doc;

use super::args::{Args, Kind};
use super::fetch::Check;
use super::sample::{Data, Sample, Scratch, Ty};
use super::view::Facts;

pub mod bytes;
pub mod date;
pub mod hash;
pub mod http;
pub mod json;
pub mod map;
pub mod number;
pub mod protobuf;
pub mod rfc7239;
pub mod state;
pub mod stick;
pub mod string;
#[cfg(test)]
mod tests;

/// Every family.
pub const FAMILIES: &[&[Conv]] = &[
    bytes::ROWS,
    date::ROWS,
    hash::ROWS,
    http::ROWS,
    json::ROWS,
    map::ROWS,
    number::ROWS,
    protobuf::ROWS,
    rfc7239::ROWS,
    state::ROWS,
    stick::ROWS,
    string::ROWS,
];

/// Converts a value; `None`: there is none any more.
pub type Eval = for<'a> fn(Sample<'a>, &'a Args, &Facts<'a>) -> Option<Sample<'a>>;

/// One converter.
#[derive(Clone, Copy)]
pub struct Conv {
    /// Its name.
    pub kw: &'static str,
    /// How many arguments must be given.
    pub min: usize,
    /// The arguments.
    pub args: &'static [Kind],
    /// What it takes.
    pub from: Ty,
    /// What it yields.
    pub to: Ty,
    /// Checks arguments together.
    pub check: Option<Check>,
    /// Converts.
    pub eval: Eval,
    /// Its manual text.
    pub doc: Doc,
}

impl Conv {
    /// A row without arguments.
    pub const fn new(kw: &'static str, from: Ty, to: Ty, eval: Eval, brief: &'static str) -> Conv {
        let doc = Doc { usage: kw, brief, text: "", example: "" };
        Conv { kw, min: 0, args: &[], from, to, check: None, eval, doc }
    }

    /// With arguments, of which the first `min` must be given.
    pub const fn args(mut self, usage: &'static str, min: usize, args: &'static [Kind]) -> Conv {
        self.doc.usage = usage;
        self.min = min;
        self.args = args;
        self
    }

    /// With a check over all arguments.
    pub const fn check(mut self, check: Check) -> Conv {
        self.check = Some(check);
        self
    }

    /// With more to say than the brief.
    pub const fn text(mut self, text: &'static str) -> Conv {
        self.doc.text = text;
        self
    }

    /// With an example.
    pub const fn example(mut self, example: &'static str) -> Conv {
        self.doc.example = example;
        self
    }
}

/// The converter of this name.
pub fn find(name: &str) -> Option<&'static Conv> {
    all().find(|conv| conv.kw == name)
}

/// Every row.
pub fn all() -> impl Iterator<Item = &'static Conv> {
    FAMILIES.iter().flat_map(|family| family.iter())
}

/// The bytes of text, binary and methods.
fn bytes_of(s: Sample<'_>) -> Option<Data<'_>> {
    match s {
        Sample::Str(d) | Sample::Bin(d) | Sample::Meth(d) => Some(d),
        _ => None,
    }
}

/// Text made here.
fn text_of<'a>(bytes: &[u8]) -> Sample<'a> {
    Sample::Str(Data::Own(Scratch::of(bytes)))
}

/// Bytes made here.
fn bin_of<'a>(bytes: &[u8]) -> Sample<'a> {
    Sample::Bin(Data::Own(Scratch::of(bytes)))
}
