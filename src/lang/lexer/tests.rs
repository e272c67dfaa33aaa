//! Tables of lines and the words they give.

use super::*;
use crate::lang::span::SourceMap;

fn vars(name: &str) -> Option<String> {
    match name {
        "A" => Some("v1 v2".into()),
        "P" => Some(" x  y ".into()),
        "EMPTY" => Some(String::new()),
        ".LINE" => Some("7".into()),
        _ => None,
    }
}

fn run(text: &str) -> Result<Vec<String>, String> {
    let mut map = SourceMap::new();
    let file = map.add("t.cfg", text);
    let cut = cut(map.get(file).unwrap(), file, 1, &vars)
        .map_err(|diag| format!("{}: {}", diag.at.col, diag.what))?;
    Ok(cut.words.into_iter().map(|word| word.text).collect())
}

#[test]
fn lines_are_cut_into_words() {
    let table: &[(&str, &[&str])] = &[
        ("", &[]),
        ("  # only a comment \\", &[]),
        ("a b\tc", &["a", "b", "c"]),
        ("a#b c", &["a"]),
        (r"a\#b", &["a#b"]),
        (r"a\ b", &["a b"]),
        (r#"k\"a \'b"#, &["k\"a", "'b"]),
        (r"k\$a $A", &[r"k\$a", "$A"]),
        (r"k\qa \d+", &[r"k\qa", r"\d+"]),
        (r"k\\a \x41\x42 t\tb", &[r"k\a", "AB", "t\tb"]),
        (r#""k\"a" "k\'a" "k\$a" "k\#a" "k #a""#, &["k\"a", "k'a", "k$a", "k#a", "k #a"]),
        (r#"'k\a"$A' k'a b'c"#, &[r#"k\a"$A"#, "ka bc"]),
        (r#""" ''"#, &["", ""]),
        (r#"a"b"c"#, &["abc"]),
        (
            r#""k$A" "${A}x" "${NOPE}x" "${NOPE-def}x" "${A-def}""#,
            &["kv1 v2", "v1 v2x", "x", "defx", "v1 v2"],
        ),
        (r#""${EMPTY-def}" "$A[*]" "${.LINE}""#, &["", "v1 v2[*]", "7"]),
        (r#""k${A[*]}x" "${P[*]}""#, &["kv1", "v2x", "x", "y"]),
        (r#""${NOPE[*]}" b"#, &["", "b"]),
        (r#""\xc3\xa9" é"#, &["é", "é"]),
    ];
    for (line, words) in table {
        let expected: Vec<String> = words.iter().map(|word| word.to_string()).collect();
        assert_eq!(run(line), Ok(expected), "{line}");
    }
}

#[test]
fn lines_are_joined_by_a_backslash() {
    let table: &[(&str, &[&str])] = &[
        ("a b\\\n   c d\nnext", &["a", "b", "c", "d"]),
        ("a \\\nb", &["a", "b"]),
        ("ab\\\ncd", &["abcd"]),
        ("'a\\'\nb", &["a\\"]),
        ("\"a \\\n   b\"", &["a b"]),
        ("a # c \\\nb", &["a"]),
        ("a\\\\\nb", &["a\\"]),
    ];
    for (line, words) in table {
        let expected: Vec<String> = words.iter().map(|word| word.to_string()).collect();
        assert_eq!(run(line), Ok(expected), "{line}");
    }
}

#[test]
fn bad_lines_say_why_and_where() {
    let table = [
        ("a \"b", "3: this quote is not closed on its line"),
        ("a 'b\nc'", "3: this quote is not closed on its line"),
        (r"k\x4", "2: \\x needs two hexadecimal digits"),
        (r"k\x+1", "2: \\x needs two hexadecimal digits"),
        (r"k\x00", "2: a NUL byte is not allowed here"),
        ("a\0b", "2: a NUL byte is not allowed here"),
        ("\"k$\"", "3: a variable name must begin with a letter or \"_\""),
        ("\"k$1\"", "3: a variable name must begin with a letter or \"_\""),
        ("\"k${A\"", "3: this brace is not closed after the variable name"),
        ("\"k${A", "3: this brace is not closed"),
        ("\"k${A b}\"", "3: this brace is not closed after the variable name"),
        (r"\xff", "1: this word is not UTF-8 text"),
        ("a\\", "2: this backslash joins the next line, but there is none"),
    ];
    for (line, expected) in table {
        assert_eq!(run(line), Err(expected.to_string()), "{line}");
    }
}

#[test]
fn expansion_is_bounded() {
    let mut map = SourceMap::new();
    let file = map.add("t.cfg", "\"$A$A$A\"");
    let big = "x".repeat(LINE_MAX / 2);
    assert!(cut(map.get(file).unwrap(), file, 1, &|_| Some(big.clone())).is_err());
    assert!(run(&"a ".repeat(WORDS_MAX + 1)).is_err());
    assert!(run(&"a\\\n".repeat(5000)).is_err());
}

#[test]
fn spans_cover_the_word_with_its_quotes() {
    let mut map = SourceMap::new();
    let file = map.add("t.cfg", "  ab \"c d\"");
    let words = cut(map.get(file).unwrap(), file, 1, &vars).unwrap().words;
    assert_eq!((words[0].at.col, words[0].at.len), (3, 2));
    assert_eq!((words[1].at.col, words[1].at.len), (6, 5));
}

#[test]
fn conditions_keep_their_blanks() {
    let mut map = SourceMap::new();
    let file = map.add("t.cfg", "  .if  streq(a  b,\"$A\")  # yes");
    let word = cut_rest(map.get(file).unwrap(), file, 1, 5, &vars).unwrap();
    assert_eq!(word.text, "streq(a  b,v1 v2)");
    assert_eq!(word.at.col, 8);
}
