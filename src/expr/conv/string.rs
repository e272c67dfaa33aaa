//! Converters of text.

use regex::bytes::RegexBuilder;

use super::bytes::text;
use super::Conv;
use crate::expr::args::{Arg, Args, Kind, Template};
use crate::expr::compile::ParseCx;
use crate::expr::sample::{Data, Sample, Scratch, Ty};
use crate::expr::vars::Effect;
use crate::expr::view::Facts;

/// The rows of this family.
pub const ROWS: &[Conv] = &[
    Conv::new("concat", Ty::Str, Ty::Str, concat, "text around a variable behind it").args(
        "concat([<before>[,<var>[,<after>]]])",
        0,
        &[Kind::Str, Kind::VarOrStr, Kind::Str],
    ),
    Conv::new("field", Ty::Str, Ty::Str, |s, a, _| piece(s, a, true), "a field between delimiters").args(
        "field(<n>,<delimiters>[,<count>])",
        2,
        &[Kind::Int, Kind::Str, Kind::Int],
    ),
    Conv::new(
        "lower",
        Ty::Str,
        Ty::Str,
        |s, _, _| Some(text(&s.as_bytes()?.to_ascii_lowercase())),
        "in lower case",
    ),
    Conv::new(
        "ltrim",
        Ty::Str,
        Ty::Str,
        |s, a, _| trim(s, a, true, false),
        "without characters at the front",
    )
    .args("ltrim(<chars>)", 1, &[Kind::Str]),
    Conv::new("regsub", Ty::Str, Ty::Str, regsub, "what a regular expression finds, replaced")
        .args("regsub(<regex>,<replacement>[,<flags>])", 2, &[Kind::Custom, Kind::Custom, Kind::Str])
        .check(check_regsub),
    Conv::new("rtrim", Ty::Str, Ty::Str, |s, a, _| trim(s, a, false, true), "without characters at the end")
        .args("rtrim(<chars>)", 1, &[Kind::Str]),
    Conv::new("set-var", Ty::Any, Ty::Same, set_var, "keeps the value in a variable").args(
        "set-var(<scope.name>)",
        1,
        &[Kind::Var],
    ),
    Conv::new("strcmp", Ty::Str, Ty::Int, strcmp, "how it compares with a variable").args(
        "strcmp(<var>)",
        1,
        &[Kind::Var],
    ),
    Conv::new("unset-var", Ty::Any, Ty::Same, unset_var, "forgets a variable").args(
        "unset-var(<scope.name>)",
        1,
        &[Kind::Var],
    ),
    Conv::new(
        "upper",
        Ty::Str,
        Ty::Str,
        |s, _, _| Some(text(&s.as_bytes()?.to_ascii_uppercase())),
        "in upper case",
    ),
    Conv::new("word", Ty::Str, Ty::Str, |s, a, _| piece(s, a, false), "a word between delimiters").args(
        "word(<n>,<delimiters>[,<count>])",
        2,
        &[Kind::Int, Kind::Str, Kind::Int],
    ),
];

fn concat<'a>(s: Sample<'a>, args: &'a Args, facts: &Facts<'a>) -> Option<Sample<'a>> {
    let mut out = Scratch::of(s.as_bytes()?);
    out.extend_from_slice(args.str(0).as_bytes());
    if let Some(value) = args.var(1).and_then(|var| facts.vars.get(var)) {
        value.sample().write_text(&mut out);
    }
    out.extend_from_slice(args.str(2).as_bytes());
    Some(Sample::Str(Data::Own(out)))
}

fn trim<'a>(s: Sample<'a>, args: &'a Args, front: bool, back: bool) -> Option<Sample<'a>> {
    let chars = args.str(0).as_bytes();
    let mut rest = s.as_bytes()?;
    while let Some((first, tail)) = rest.split_first().filter(|(b, _)| front && chars.contains(b)) {
        let _ = first;
        rest = tail;
    }
    while let Some((_, head)) = rest.split_last().filter(|(b, _)| back && chars.contains(b)) {
        rest = head;
    }
    Some(text(rest))
}

/// Pieces between delimiters: every field counts, words only when they are not empty. Negative numbers
/// count from the end; `count` pieces are taken, 0 for all that follow.
fn piece<'a>(s: Sample<'a>, args: &'a Args, empty: bool) -> Option<Sample<'a>> {
    let bytes = s.as_bytes()?;
    let delimiters = args.str(1).as_bytes();
    let mut spans = Vec::new();
    let mut start = 0;
    for at in 0..=bytes.len() {
        if at == bytes.len() || delimiters.contains(&bytes[at]) {
            if empty || at > start {
                spans.push((start, at));
            }
            start = at + 1;
        }
    }
    let wanted = args.int(0, 1);
    let count = usize::try_from(args.int(2, 1)).ok()?;
    let (first, last) = if wanted > 0 {
        let first = wanted as usize - 1;
        (first, if count == 0 { spans.len() } else { first + count })
    } else {
        let last = spans.len().checked_sub(wanted.unsigned_abs() as usize)? + 1;
        (if count == 0 { 0 } else { last.saturating_sub(count) }, last)
    };
    let last = last.min(spans.len());
    let (from, to) = (spans.get(first)?.0, spans.get(last.checked_sub(1)?)?.1);
    Some(text(bytes.get(from..to)?))
}

fn check_regsub(_: &str, args: &mut [Arg], _: &mut ParseCx<'_>) -> Result<(), String> {
    let flags = match args.get(2) {
        Some(Arg::Str(flags)) => flags.to_string(),
        _ => String::new(),
    };
    let (Some(Arg::Str(pattern)), Some(Arg::Str(by))) = (args.first(), args.get(1)) else { return Ok(()) };
    let regex = RegexBuilder::new(pattern)
        .case_insensitive(flags.contains('i'))
        .unicode(false)
        .build()
        .map_err(|e| format!("regular expression \"{pattern}\": {e}"))?;
    let template = Template::parse(by, regex.captures_len())?;
    args[2] = Arg::Int(i64::from(flags.contains('g')));
    args[1] = Arg::Template(template);
    args[0] = Arg::Regex(Box::new(regex));
    Ok(())
}

fn regsub<'a>(s: Sample<'a>, args: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let (Some(regex), Arg::Template(template)) = (args.regex(0), args.get(1)) else { return None };
    let bytes = s.as_bytes()?;
    let mut out = Scratch::new();
    let mut at = 0;
    for found in regex.captures_iter(bytes) {
        let whole = found.get(0)?;
        out.extend_from_slice(&bytes[at..whole.start()]);
        template.expand(&found, &mut out);
        at = whole.end();
        if args.int(2, 0) == 0 {
            break;
        }
    }
    out.extend_from_slice(&bytes[at..]);
    Some(Sample::Str(Data::Own(out)))
}

fn set_var<'a>(s: Sample<'a>, args: &'a Args, facts: &Facts<'a>) -> Option<Sample<'a>> {
    facts.effects.push(Effect::Set(args.var(0)?, s.to_value()));
    Some(s)
}

fn unset_var<'a>(s: Sample<'a>, args: &'a Args, facts: &Facts<'a>) -> Option<Sample<'a>> {
    facts.effects.push(Effect::Unset(args.var(0)?));
    Some(s)
}

fn strcmp<'a>(s: Sample<'a>, args: &'a Args, facts: &Facts<'a>) -> Option<Sample<'a>> {
    let value = facts.vars.get(args.var(0)?)?.sample();
    let order = s.as_bytes()?.cmp(value.as_bytes()?);
    Some(Sample::Int(order as i64))
}
