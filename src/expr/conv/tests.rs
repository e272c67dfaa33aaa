//! What converter tests share: tables of (expression, text of the result; `-` for none).

use crate::expr::args::Kind;
use crate::expr::sample::Ty;
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

/// What is wrong with an expression; empty when it compiles.
fn flaw(text: &str) -> String {
    Bench::default().text(text).strip_prefix("error: ").map_or(String::new(), str::to_owned)
}

/// A value to hand to a converter of this kind.
fn subject(ty: Ty) -> &'static str {
    match ty {
        Ty::Int => "int(1)",
        Ty::Bool => "bool(1)",
        Ty::Addr | Ty::Ip4 => "ipv4(10.0.0.1)",
        Ty::Ip6 => "ipv6(::1)",
        _ => "str(a)",
    }
}

/// Every converter refuses too many arguments, too few, and text where a number is due, each with a message
/// that names it.
#[test]
fn wrong_arguments_of_every_converter() {
    for row in super::all() {
        let (kw, from) = (row.kw, subject(row.from));
        let many = vec!["1"; row.args.len() + 1].join(",");
        let what = flaw(&format!("{from},{kw}({many})"));
        let counts = match row.args.len() {
            0 => format!("\"{kw}\" takes no argument"),
            1 => format!("\"{kw}\" takes at most 1 argument"),
            n => format!("\"{kw}\" takes at most {n} arguments"),
        };
        assert_eq!(what, counts);
        if row.min > 0 {
            let what = flaw(&format!("{from},{kw}"));
            assert!(
                what.starts_with(&format!("\"{kw}\" needs ")) && what.ends_with("as argument 1"),
                "{what}"
            );
        }
        for (at, kind) in row.args.iter().enumerate() {
            let wrong = match kind {
                Kind::Int => "an integer, found \"x y\"",
                Kind::VarOrInt => "an integer or a variable, found \"x y\"",
                Kind::Ip4 => "an IPv4 address, found \"x y\"",
                Kind::Mask4 => "an IPv4 mask, found \"x y\"",
                Kind::Choice(_) => "unknown word \"x y\"",
                _ => continue,
            };
            let count = row.min.max(at + 1);
            let args: Vec<&str> =
                (0..count).map(|n| if n == at { "x y" } else { good(row.args[n]) }).collect();
            let what = flaw(&format!("{from},{kw}({})", args.join(",")));
            let place = format!("argument {} of \"{kw}\": ", at + 1);
            assert!(what.starts_with(&place) && what.contains(wrong), "{kw}: {what}");
        }
    }
}

/// An argument that is right for its kind.
fn good(kind: Kind) -> &'static str {
    match kind {
        Kind::Mask4 => "8",
        Kind::Mask6 => "32",
        Kind::Ip4 => "10.0.0.1",
        Kind::Var => "txn.x",
        Kind::Choice(words) => words[0],
        _ => "1",
    }
}

#[test]
fn values_of_the_wrong_type() {
    let takes = |text, what: &str| assert_eq!(flaw(text), what, "{text}");
    takes("ipv6(::1),add(1)", "converter \"add\" takes integer, but what comes in is ipv6");
    takes("str(a),nope", "unknown converter \"nope\"");
    takes("str(a),", "expected a converter after the comma");
    takes("lower", "unknown sample fetch \"lower\"");
}
