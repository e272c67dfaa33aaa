//! Floor 2: the text of a configuration, without its meaning. Imports base.
//!
//! `span` names places in files, `diag` says what is wrong there, `word` is the cursor every keyword
//! reads its arguments with. `lexer` cuts lines into words, `cond` answers `.if`, `args` cuts the
//! `name(a,b)` forms inside one word, `suggest` finds the nearest known word.

pub mod args;
pub mod cond;
pub mod diag;
pub mod lexer;
pub mod span;
pub mod suggest;
pub mod word;
