//! Converters of text: case, trimming, pieces, replacement, joining.

use smallvec::SmallVec;

use super::{bytes_of, Conv};
use crate::expr::args::{Arg, Args, Kind, Template};
use crate::expr::compile::ParseCx;
use crate::expr::pattern::regex;
use crate::expr::sample::{Sample, Scratch, Ty};
use crate::expr::view::Facts;

/// The rows of this family.
pub const ROWS: &[Conv] = &[
    Conv::new("add_item", Ty::Str, Ty::Str, add_item, "one more item behind a delimiter")
        .args("add_item(<delimiter>[,<var>[,<after>]])", 1, &[Kind::Str, Kind::Var, Kind::Str])
        .text("The delimiter is left out when there is nothing before it or nothing to add.")
        .check(check_add_item),
    Conv::new("concat", Ty::Str, Ty::Str, concat, "text and a variable behind the value")
        .args("concat([<before>[,<var>[,<after>]]])", 0, &[Kind::Str, Kind::Var, Kind::Str]),
    Conv::new("field", Ty::Str, Ty::Str, |s, a, _| piece(s, a, Empty::Counts), "a field between delimiters")
        .args("field(<n>,<delimiters>[,<count>])", 2, PIECE)
        .text("Counted from 1, or from the end with a negative number. <count> takes several, 0 all that follow.")
        .check(check_piece),
    Conv::new("lower", Ty::Str, Ty::Str, |s, _, _| recase(s, <[u8]>::make_ascii_lowercase), "in lower case"),
    Conv::new("ltrim", Ty::Str, Ty::Str, |s, a, _| trim(s, a, End::Front), "without characters at the front")
        .args("ltrim(<chars>)", 1, &[Kind::Str]),
    Conv::new("regsub", Ty::Str, Ty::Str, regsub, "what a regular expression finds, replaced")
        .args("regsub(<regex>,<replacement>[,<flags>])", 2, &[Kind::Custom, Kind::Custom, Kind::Str])
        .text("Flags: g for every place, i to ignore case. \\1 to \\9 stand for what groups found.")
        .check(check_regsub),
    Conv::new("rtrim", Ty::Str, Ty::Str, |s, a, _| trim(s, a, End::Back), "without characters at the end")
        .args("rtrim(<chars>)", 1, &[Kind::Str]),
    Conv::new("reverse_dom", Ty::Str, Ty::Str, reverse_dom, "the labels of a domain name, last one first"),
    Conv::new("upper", Ty::Str, Ty::Str, |s, _, _| recase(s, <[u8]>::make_ascii_uppercase), "in upper case"),
    Conv::new("word", Ty::Str, Ty::Str, |s, a, _| piece(s, a, Empty::Skipped), "a word between delimiters")
        .args("word(<n>,<delimiters>[,<count>])", 2, PIECE)
        .text("As \"field\", but delimiters in a row count as one and those at the ends do not count.")
        .check(check_piece),
];

const PIECE: &[Kind] = &[Kind::Int, Kind::Str, Kind::Int];

fn concat<'a>(s: Sample<'a>, args: &'a Args, facts: &Facts<'a>) -> Option<Sample<'a>> {
    let mut out = bytes_of(s)?.to_mut();
    out.extend_from_slice(args.str(0).as_bytes());
    if let Some(value) = args.var(1).and_then(|var| facts.var(var)) {
        value.write_text(&mut out);
    }
    out.extend_from_slice(args.str(2).as_bytes());
    Some(Sample::Str(out.into()))
}

fn check_add_item(_: &str, args: &mut [Arg], _: &mut ParseCx<'_>) -> Result<(), String> {
    match (args.get(1), args.get(2)) {
        (Some(Arg::Var(_)), _) | (_, Some(Arg::Str(_))) => Ok(()),
        _ => Err("needs a variable or a text to add".into()),
    }
}

fn add_item<'a>(s: Sample<'a>, args: &'a Args, facts: &Facts<'a>) -> Option<Sample<'a>> {
    let value = args.var(1).and_then(|var| facts.var(var));
    let data = bytes_of(s)?;
    if value.is_none() && args.str(2).is_empty() {
        return Some(Sample::Str(data));
    }
    let mut out = data.to_mut();
    if !out.is_empty() {
        out.extend_from_slice(args.str(0).as_bytes());
    }
    if let Some(value) = value {
        value.write_text(&mut out);
    }
    out.extend_from_slice(args.str(2).as_bytes());
    Some(Sample::Str(out.into()))
}

/// Changes case; text that is right already is not copied.
fn recase<'a>(s: Sample<'a>, change: fn(&mut [u8])) -> Option<Sample<'a>> {
    let mut out = bytes_of(s)?.to_mut();
    change(&mut out);
    Some(Sample::Str(out.into()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Front,
    Back,
}

fn trim<'a>(s: Sample<'a>, args: &'a Args, end: End) -> Option<Sample<'a>> {
    let data = bytes_of(s)?;
    let chars = args.str(0).as_bytes();
    let (from, to) = match end {
        End::Front => (data.iter().take_while(|b| chars.contains(b)).count(), data.len()),
        End::Back => (0, data.len() - data.iter().rev().take_while(|b| chars.contains(b)).count()),
    };
    Some(Sample::Str(data.part(from, to)))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Empty {
    Counts,
    Skipped,
}

fn check_piece(_: &str, args: &mut [Arg], _: &mut ParseCx<'_>) -> Result<(), String> {
    match (args.first(), args.get(1), args.get(2)) {
        (Some(Arg::Int(0)), _, _) => Err("counting begins at 1, or at -1 from the end".into()),
        (_, Some(Arg::Str(delimiters)), _) if delimiters.is_empty() => Err("there is no delimiter".into()),
        (_, _, Some(Arg::Int(count))) if *count < 0 => Err("a negative count makes no sense".into()),
        _ => Ok(()),
    }
}

fn piece<'a>(s: Sample<'a>, args: &'a Args, empty: Empty) -> Option<Sample<'a>> {
    let data = bytes_of(s)?;
    let delimiters = args.str(1).as_bytes();
    let mut spans: SmallVec<[(usize, usize); 16]> = SmallVec::new();
    let mut start = 0;
    for at in 0..=data.len() {
        if data.get(at).is_none_or(|byte| delimiters.contains(byte)) {
            if empty == Empty::Counts || at > start {
                spans.push((start, at));
            }
            start = at + 1;
        }
    }
    let count = usize::try_from(args.int(2, 1)).ok()?;
    let wanted = args.int(0, 1);
    let (first, behind) = if wanted > 0 {
        let first = usize::try_from(wanted).ok()? - 1;
        (first, if count == 0 { spans.len() } else { first.saturating_add(count).min(spans.len()) })
    } else {
        let behind = spans.len().checked_sub(usize::try_from(wanted.unsigned_abs()).ok()?)? + 1;
        (if count == 0 { 0 } else { behind.saturating_sub(count) }, behind)
    };
    let from = spans.get(first)?.0;
    let to = spans.get(behind.checked_sub(1)?)?.1;
    Some(Sample::Str(data.part(from, to)))
}

fn reverse_dom<'a>(s: Sample<'a>, _: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let mut out = Scratch::new();
    let name = s.as_bytes()?;
    for (at, label) in name.strip_suffix(b".").unwrap_or(name).rsplit(|b| *b == b'.').enumerate() {
        if at > 0 {
            out.push(b'.');
        }
        out.extend_from_slice(label);
    }
    Some(Sample::Str(out.into()))
}

fn check_regsub(_: &str, args: &mut [Arg], _: &mut ParseCx<'_>) -> Result<(), String> {
    let [Arg::Str(pattern), Arg::Str(by), flags] = &args[..] else { return Ok(()) };
    let flags = match flags {
        Arg::Str(flags) => &**flags,
        _ => "",
    };
    if let Some(other) = flags.chars().find(|c| !matches!(c, 'g' | 'i')) {
        return Err(format!("unknown flag \"{other}\", expected g or i"));
    }
    let found = regex::compile(pattern, flags.contains('i'))?;
    let template = Template::parse(by, found.captures_len())?;
    let all = i64::from(flags.contains('g'));
    (args[0], args[1], args[2]) = (Arg::Regex(Box::new(found)), Arg::Template(template), Arg::Int(all));
    Ok(())
}

fn regsub<'a>(s: Sample<'a>, args: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let (Some(regex), Arg::Template(template)) = (args.regex(0), args.get(1)) else { return None };
    let data = bytes_of(s)?;
    if !regex.is_match(&data) {
        return Some(Sample::Str(data));
    }
    let mut out = Scratch::new();
    let mut at = 0;
    for found in regex.captures_iter(&data) {
        let whole = found.get(0)?;
        out.extend_from_slice(&data[at..whole.start()]);
        template.expand(&found, &mut out);
        at = whole.end();
        if args.int(2, 0) == 0 || out.len() > OUT_MAX {
            break;
        }
    }
    out.extend_from_slice(&data[at..]);
    Some(Sample::Str(out.into()))
}

/// Bytes one substitution may make before it stops replacing.
const OUT_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use crate::expr::conv::tests::table;

    #[test]
    fn pieces() {
        table(&[
            ("str(f1_f2_f3__f5),field(5,_)", "f5"),
            ("str(f1_f2_f3__f5),field(4,_)", ""),
            ("str(f1_f2_f3__f5),field(9,_)", "-"),
            ("str(f1_f2_f3__f5),field(2,_,0)", "f2_f3__f5"),
            ("str(f1_f2_f3__f5),field(2,_,2)", "f2_f3"),
            ("str(f1_f2_f3__f5),field(-2,_,3)", "f2_f3_"),
            ("str(f1_f2_f3__f5),field(-3,_,0)", "f1_f2_f3"),
            ("str(f1_f2_f3__f5),word(4,_)", "f5"),
            ("str(f1_f2_f3__f5),word(2,_,0)", "f2_f3__f5"),
            ("str(f1_f2_f3__f5),word(3,_,2)", "f3__f5"),
            ("str(f1_f2_f3__f5),word(-2,_,3)", "f1_f2_f3"),
            ("str(f1_f2_f3__f5),word(-3,_,0)", "f1_f2"),
            ("str(/f1/f2/f3/f4),word(1,/)", "f1"),
            ("str(__a_b__),word(3,_)", "-"),
        ]);
    }

    #[test]
    fn case_trimming_joining() {
        table(&[
            ("str(aBc),upper", "ABC"),
            ("str(aBc),lower", "abc"),
            ("str(xxabcx),ltrim(x)", "abcx"),
            ("str(xxabcx),rtrim(x)", "xxabc"),
            ("str(xxx),rtrim(x)", ""),
            ("str(abc),concat(<,txn.none,>)", "abc<>"),
            ("str(a),add_item(-,,z)", "a-z"),
            ("str(),add_item(-,,z)", "z"),
            ("str(a),add_item(-,txn.none)", "a"),
            ("str(www.foo.com),reverse_dom", "com.foo.www"),
            ("str(a/b/c),regsub(/,-)", "a-b/c"),
            ("str(a/b/c),regsub(/,-,g)", "a-b-c"),
            ("str(aAbB),regsub(a,x,gi)", "xxbB"),
            (r#"str(foo12),regsub("(foo|bar)([0-9]+)?","\2\1",i)"#, "12foo"),
            ("str(aaa),regsub(^a,b,g)", "baa"),
            ("str(abc),regsub(x*,-,g)", "-a-b-c-"),
        ]);
    }
}
