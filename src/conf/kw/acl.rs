//! `acl` lines.

use crate::conf::draft::{Later, ProxyDraft};
use crate::conf::driver::{doc, row, Keyword, Places};
use crate::lang::diag::Diag;
use crate::lang::word::Words;

/// The one keyword.
pub const ROWS: &[Keyword<ProxyDraft>] = &[row(
    "acl",
    Places::PROXY,
    |words, draft, cx| {
        name(words)?;
        words.need("a test")?;
        words.rest();
        draft.acls.push(Later { line: cx.line.clone(), section: cx.section });
        Ok(())
    },
    doc(
        "acl <name> <fetch or keyword>[,<converter>...] [<flag>...] [<operator>] [<value>...]",
        "a named condition",
        "Lines of the same name are alternatives. The conditions of \"if\" and \"unless\" use the name; a test can \
         also stand there itself, between { and }.",
        "acl is_static path_beg /static /images",
    ),
)];

fn name(words: &mut Words<'_>) -> Result<(), Diag> {
    let word = words.need("a name")?;
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    if word.text.is_empty() || !word.text.chars().all(fine) {
        return Err(word.err("an ACL name is made of letters, digits and \"-\", \"_\", \".\", \":\""));
    }
    if matches!(word.text.as_str(), "or" | "if" | "unless") {
        return Err(word.err(format!("\"{}\" has a meaning of its own in conditions", word.text)));
    }
    Ok(())
}
