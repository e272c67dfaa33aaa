//! `stick` rules: which server a key is bound to, and which keys are to be bound.

use crate::expr::acl::Cond;
use crate::expr::compile::Expr;

/// When a `stick` rule works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StickWhen {
    /// `stick on`: looks the key up, and binds it once a server answered.
    On,
    /// `stick match`: only looks it up.
    Match,
    /// `stick store-request`: only binds it.
    StoreRequest,
    /// `stick store-response`: binds a key found in the answer.
    StoreResponse,
}

impl StickWhen {
    /// Their words.
    pub const WORDS: [(&'static str, StickWhen); 4] = [
        ("on", StickWhen::On),
        ("match", StickWhen::Match),
        ("store-request", StickWhen::StoreRequest),
        ("store-response", StickWhen::StoreResponse),
    ];
}

/// One `stick` line.
pub struct StickRule {
    /// When.
    pub when: StickWhen,
    /// The key.
    pub key: Expr,
    /// The table, by its place in the plan.
    pub table: u16,
    /// Under which condition.
    pub cond: Option<Cond>,
}
