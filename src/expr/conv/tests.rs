//! What converter tests share: tables of (expression, text of the result; `-` for none).

use crate::expr::tests::Bench;

/// Compiles and evaluates each expression without any traffic.
pub fn table(rows: &[(&str, &str)]) {
    let mut bench = Bench::default();
    for (text, expected) in rows {
        assert_eq!(bench.text(text), *expected, "{text}");
    }
}

#[test]
fn rows_are_unique_and_say_what_they_do() {
    let mut seen = std::collections::HashSet::new();
    for row in super::all() {
        assert!(seen.insert(row.kw), "{} twice", row.kw);
        assert!(!row.doc.brief.is_empty() && row.doc.usage.starts_with(row.kw), "{}", row.kw);
        assert!(row.min <= row.args.len(), "{}", row.kw);
    }
}
