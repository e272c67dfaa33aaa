//! ACLs and conditions.

use super::view::Facts;

/// A condition: `if` or `unless` and what follows.
pub struct Cond {}

/// What a condition says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It holds.
    Yes,
    /// It does not.
    No,
    /// More bytes may tell.
    NotYet,
}

impl Cond {
    /// Evaluates the condition.
    pub fn eval(&self, _facts: &Facts<'_>) -> Verdict {
        Verdict::Yes
    }
}
