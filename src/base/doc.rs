//! The manual text that stands in the row of every word: configuration keywords, fetches,
//! converters, actions, commands. The reference and `help` are printed from it.

/// What the manual says about one word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Doc {
    /// The word with its arguments: `<name>` for what the user chooses, `[..]` for what may be left out.
    pub usage: &'static str,
    /// One line without full stop.
    pub brief: &'static str,
    /// What one needs to know to use it; paragraphs are separated by empty lines.
    pub text: &'static str,
    /// Lines that can be copied, empty when the usage says it all.
    pub example: &'static str,
}
