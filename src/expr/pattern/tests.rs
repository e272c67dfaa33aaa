//! Every way of matching on small sets and on large ones: both must agree.

use super::*;
use crate::expr::cast::cast;
use crate::expr::sample::Sample;

fn find(how: Match, fold: bool, patterns: &[&str], subject: &str) -> Option<u32> {
    let sample = || {
        if how == Match::Bin {
            Sample::bytes(subject)
        } else {
            cast(Sample::text(subject), how.takes()).unwrap()
        }
    };
    let mut small = Index::new(how, fold);
    for (id, text) in patterns.iter().enumerate() {
        small.add(text, id as u32).unwrap();
    }
    let found = small.find(&sample());
    let mut large = Index::new(how, fold);
    for (id, text) in patterns.iter().enumerate() {
        large.add(text, id as u32).unwrap();
    }
    for n in 0..40u32 {
        let filler = match how {
            Match::Int | Match::Len => format!("{}", 1_000_000 + n),
            Match::Ip => format!("203.0.113.{n}"),
            Match::Bin => format!("ffee{n:04x}"),
            _ => format!("zz-filler-{n}-zz"),
        };
        large.add(&filler, 1000 + n).unwrap();
    }
    assert_eq!(large.find(&sample()), found, "{how:?} {patterns:?} {subject}: large set");
    for (id, text) in patterns.iter().enumerate() {
        large.remove(text, id as u32);
    }
    assert_eq!(large.find(&sample()), None, "{how:?} {patterns:?} {subject}: after removal");
    found
}

#[test]
fn ways_of_matching() {
    use Match::*;
    let table: &[(Match, bool, &[&str], &str, Option<u32>)] = &[
        (Str, false, &["a", "abc"], "abc", Some(1)),
        (Str, false, &["abc"], "ABC", None),
        (Str, true, &["aBc"], "ABC", Some(0)),
        (Str, false, &["x", "x"], "x", Some(0)),
        (Str, false, &[""], "", Some(0)),
        (Beg, false, &["/", "/img", "/img/x"], "/img/y", Some(1)),
        (Beg, false, &["/b"], "/a", None),
        (Beg, true, &["/", "/IMG"], "/img/y", Some(0)),
        (Beg, false, &["/long/long"], "/lo", None),
        (End, false, &[".com", ".example.com"], "www.example.com", Some(0)),
        (End, false, &[".gif", ".jpg"], "/a/b.jpg", Some(1)),
        (End, false, &[".gif"], "x.gi", None),
        (End, true, &[".JPG"], "/a/b.jPg", Some(0)),
        (Sub, false, &["foo", "bar"], "a bar foo", Some(0)),
        (Sub, true, &["BAR"], "a bAr", Some(0)),
        (Sub, false, &["x"], "", None),
        (Dir, false, &["images"], "/images/png/logo/32x32.png", Some(0)),
        (Dir, false, &["/images/png"], "/images/png/logo/32x32.png", Some(0)),
        (Dir, false, &["logo/32x32.png"], "/images/png/logo/32x32.png", Some(0)),
        (Dir, false, &["32x32", "ima"], "/images/png/logo/32x32.png", None),
        (Dir, false, &["a"], "/b?a", Some(0)),
        (Dir, false, &["/"], "/b/", None),
        (Dom, false, &["www1", "dc-eu.example"], "http://www1.dc-eu.example.com:80/blah", Some(0)),
        (Dom, false, &["dc-eu.example"], "http://www1.dc-eu.example.com:80/blah", Some(0)),
        (Dom, false, &[".example.", ":80:"], "http://www1.dc-eu.example.com:80/blah", Some(0)),
        (Dom, false, &["eu", "dc"], "http://www1.dc-eu.example.com:80/blah", None),
        (Dom, true, &["Example.COM"], "www.eXample.com", Some(0)),
        (Reg, false, &["^/a[0-9]+$"], "/a12", Some(0)),
        (Reg, false, &["^/A"], "/a12", None),
        (Reg, true, &["^/A"], "/a12", Some(0)),
        (Int, false, &["5", "10:20"], "15", Some(1)),
        (Int, false, &[":9"], "-3", Some(0)),
        (Int, false, &["10:"], "9", None),
        (Int, false, &["3.1"], "196609", Some(0)),
        (Len, false, &["3"], "abc", Some(0)),
        (Len, false, &["4:"], "abc", None),
        (Bin, false, &["616263"], "abc", Some(0)),
        (Bin, false, &["6162"], "abc", None),
        (Ip, false, &["10.0.0.0/8", "10.1.0.0/16"], "10.1.2.3", Some(1)),
        (Ip, false, &["10.1/16"], "10.0.9.9", Some(0)),
        (Ip, false, &["127.1"], "127.0.0.1", Some(0)),
        (Ip, false, &["192.168.1/255.255.255.0"], "192.168.0.77", Some(0)),
        (Ip, false, &["10.0.0.1/255.0.0.255"], "10.9.8.1", Some(0)),
        (Ip, false, &["0.0.0.0/0"], "9.9.9.9", Some(0)),
        (Ip, false, &["10.0.0.0/8"], "11.0.0.0", None),
        (Ip, false, &["2001:db8::/32"], "2001:db8:1::1", Some(0)),
        (Ip, false, &["10.0.0.0/8"], "::ffff:10.1.2.3", Some(0)),
        (Ip, false, &["10.0.0.0/8"], "::10.1.2.3", Some(0)),
        (Ip, false, &["10.0.0.0/8"], "2002:a01:203::5", Some(0)),
        (Ip, false, &["::ffff:10.0.0.0/104"], "10.1.2.3", Some(0)),
        (Ip, false, &["::1"], "::2", None),
        // the longest prefix, in whatever order they were written
        (Ip, false, &["10.1.2.3", "0.0.0.0/0", "10.1.2.0/24", "10.0.0.0/8"], "10.1.2.3", Some(0)),
        (Ip, false, &["10.1.2.3", "0.0.0.0/0", "10.1.2.0/24", "10.0.0.0/8"], "10.1.2.4", Some(2)),
        (Ip, false, &["10.1.2.3", "0.0.0.0/0", "10.1.2.0/24", "10.0.0.0/8"], "10.1.3.4", Some(3)),
        (Ip, false, &["10.1.2.3", "0.0.0.0/0", "10.1.2.0/24", "10.0.0.0/8"], "11.1.3.4", Some(1)),
        (Ip, false, &["10.0.0.0/7"], "11.255.255.255", Some(0)),
        (Ip, false, &["10.0.0.0/31"], "10.0.0.1", Some(0)),
        (Ip, false, &["10.0.0.0/31"], "10.0.0.2", None),
        (Ip, false, &["10.0.0.0/32"], "10.0.0.0", Some(0)),
        (Ip, false, &["10.0.0.9/8"], "10.7.7.7", Some(0)),
        (Ip, false, &["10.0.0.0/255.0.0.0"], "10.7.7.7", Some(0)),
        (Ip, false, &["0/0"], "9.9.9.9", Some(0)),
        (Ip, false, &["0.0.0.0/0"], "2001:db8::1", None),
        (Ip, false, &["2001:db8::/32", "2001:db8::/64", "::/0", "2001:db8::1"], "2001:db8::1", Some(3)),
        (Ip, false, &["2001:db8::/32", "2001:db8::/64", "::/0", "2001:db8::1"], "2001:db8::2", Some(1)),
        (Ip, false, &["2001:db8::/32", "2001:db8::/64", "::/0", "2001:db8::1"], "2001:db8:0:1::", Some(0)),
        (Ip, false, &["2001:db8::/32", "2001:db8::/64", "::/0", "2001:db8::1"], "fe80::1", Some(2)),
        (Ip, false, &["2001:db8::/65"], "2001:db8::7fff:0:0:1", Some(0)),
        (Ip, false, &["2001:db8::/65"], "2001:db8::8000:0:0:1", None),
        (Ip, false, &["2001:db8::/127"], "2001:db8::1", Some(0)),
        (Ip, false, &["2001:db8::/127"], "2001:db8::2", None),
        (Ip, false, &["2001:db8::1/128"], "2001:db8::1", Some(0)),
        (Ip, false, &["fe80::/10"], "febf::1", Some(0)),
        (Ip, false, &["::/0"], "10.1.2.3", Some(0)),
        // IPv4 and IPv6 meet as HAProxy has it
        (Ip, false, &["::ffff:10.1.2.3"], "10.1.2.3", Some(0)),
        (Ip, false, &["::10.0.0.0/104"], "10.1.2.3", None),
        (Ip, false, &["::10.0.0.0/104"], "::10.1.2.3", Some(0)),
        (Ip, false, &["10.1.2.3", "::ffff:0:0/96"], "::ffff:10.1.2.3", Some(1)),
        (Ip, false, &["10.0.0.3/255.0.0.255"], "::ffff:10.9.9.3", Some(0)),
        (Ip, false, &["10.0.0.3/255.0.0.255", "10.0.0.0/8"], "10.9.9.3", Some(1)),
    ];
    // "found" and "bool" have no patterns
    for (how, word) in Match::ALL.into_iter().filter(|(how, _)| ![Found, Bool].contains(how)) {
        let row = |hits: bool| table.iter().any(|row| row.0 == how && row.4.is_some() == hits);
        assert!(row(true) && row(false), "no row that hits, or none that misses, for -m {word}");
    }
    for (how, fold, patterns, subject, expected) in table {
        assert_eq!(find(*how, *fold, patterns, subject), *expected, "{how:?} {patterns:?} on {subject}");
    }
}

#[test]
fn bad_patterns_are_refused() {
    let table = [
        (Match::Int, "x", "is not an integer"),
        (Match::Int, "5:4", "holds nothing"),
        (Match::Int, ":", "is not an integer"),
        (Match::Ip, "10.0.0.300", "is not an address"),
        (Match::Ip, "10.0.0.0/33", "not an IPv4 mask"),
        (Match::Ip, "::1/129", "number of bits"),
        (Match::Ip, "name.example", "is not an address"),
        (Match::Ip, "", "is not an address"),
        (Match::Ip, "10", "is not an address"),
        (Match::Ip, "10/8", "is not an address"),
        (Match::Ip, "010.1.2.3", "an octet with a leading zero would be octal elsewhere"),
        (Match::Ip, "1.2.3.4.5", "is not an address"),
        (Match::Ip, "1..2", "is not an address"),
        (Match::Ip, "1.2.3.4/", "not an IPv4 mask"),
        (Match::Ip, "1.2.3.4/-1", "not an IPv4 mask"),
        (Match::Ip, "1.2.3.4/8.0", "not an IPv4 mask"),
        (Match::Ip, "::1/", "number of bits"),
        (Match::Ip, "::1/ffff::", "number of bits"),
        (Match::Ip, "[::1]", "is not an address"),
        (Match::Ip, "fe80::1%eth0", "is not an address"),
        (Match::Ip, "1.2.3.4-1.2.3.9", "is not an address"),
        (Match::Ip, "1.2.3.4,5.6.7.8", "is not an address"),
        (Match::Bin, "abc", "hexadecimal"),
        (Match::Reg, "a(b", "at position 2: unclosed group"),
        (Match::Reg, "(?=x)", "look-around"),
    ];
    for (how, text, expected) in table {
        let error = Index::new(how, false).add(text, 0).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn expressions_that_cannot_be_say_where_and_why() {
    let table = [
        ("(?=x)", "at position 1: look-around"),
        ("a(?!x)", "at position 2: look-around"),
        ("a(?<=x)", "at position 2: look-around"),
        (r"(a)\1", "at position 4: backreferences are not supported"),
        ("a(b", "at position 2: unclosed group"),
        ("a)b", "at position 2: unopened group"),
        ("a[b", "at position 2: unclosed character class"),
        ("*a", "at position 1: repetition operator missing expression"),
        ("a{2,1}", "at position 2: invalid repetition count range"),
        (r"a\", "at position 2: incomplete escape sequence"),
        (r"\Qa", "at position 1: unrecognized escape sequence"),
        ("(?>a)", "at position 3: unrecognized flag"),
        ("[z-a]", "at position 2: invalid character class range"),
        ("(a{1000}){1000}", "is too large"),
    ];
    for (text, expected) in table {
        let error = Index::new(Match::Reg, false).add(text, 0).unwrap_err();
        assert!(error.contains(expected) && error.lines().count() == 1, "{text}: {error}");
    }
    // what is merely written another way elsewhere is understood
    for text in [r"^/\d+\.php$", r"a\/b", "[]a]", "(?i)a", "a++", r"\bfoo\b", "[[:alpha:]]+", r"\x41", "é"] {
        assert_eq!(Index::new(Match::Reg, false).add(text, 0), Ok(()), "{text}");
    }
}

#[test]
fn bare_ways_need_no_pattern() {
    let found = Index::new(Match::Found, false);
    assert_eq!(found.find(&Sample::Int(0)), Some(0));
    let truth = Index::new(Match::Bool, false);
    assert_eq!(truth.find(&Sample::Bool(true)), Some(0));
    assert_eq!(truth.find(&Sample::Bool(false)), None);
}

#[test]
fn operators_are_ranges() {
    let table = [
        ("gt", "5", Some((6, i64::MAX))),
        ("ge", "5", Some((5, i64::MAX))),
        ("lt", "5", Some((i64::MIN, 4))),
        ("le", "5:7", Some((i64::MIN, 7))),
        ("eq", "5:7", Some((5, 7))),
        ("gt", "9223372036854775807", None),
        ("lt", "x", None),
    ];
    for (op, text, expected) in table {
        assert_eq!(number::operator(op, text).unwrap().ok(), expected, "{op} {text}");
    }
    assert!(number::operator("ne", "5").is_none());
}

#[test]
fn hostile_subjects_cost_little() {
    let mut dom = Index::new(Match::Dom, false);
    for n in 0..1000 {
        dom.add(&format!("host{n}.example.com"), n).unwrap();
    }
    let dots = ".a".repeat(100_000);
    assert_eq!(dom.find(&Sample::text(&dots)), None);
}
