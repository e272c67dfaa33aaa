//! Converters that look a value up in a map file.

use super::Conv;
use crate::expr::args::{Arg, Args, Kind, Template};
use crate::expr::cast;
use crate::expr::compile::ParseCx;
use crate::expr::map::{MapFile, MapFlaw, MapUse};
use crate::expr::pattern::Match;
use crate::expr::sample::{Sample, Scratch, Ty, Value};
use crate::expr::view::Facts;

macro_rules! maps {
    ($($kw:literal $from:ident $to:ident $eval:ident;)*) => {
        &[$(
            Conv::new($kw, Ty::$from, Ty::$to, $eval, "what a map file says about the value")
                .args(concat!($kw, "(<file>[,<default>])"), 1, &[Kind::Custom, Kind::Custom])
                .check(check),
        )*]
    };
}

/// The rows of this family: the word behind `map` is the way to compare, the last one the type of the result.
pub const ROWS: &[Conv] = maps! {
    "map" Str Str text;
    "map_beg" Str Str text;
    "map_beg_int" Str Int integer;
    "map_beg_ip" Str Addr address;
    "map_dir" Str Str text;
    "map_dir_int" Str Int integer;
    "map_dir_ip" Str Addr address;
    "map_dom" Str Str text;
    "map_dom_int" Str Int integer;
    "map_dom_ip" Str Addr address;
    "map_end" Str Str text;
    "map_end_int" Str Int integer;
    "map_end_ip" Str Addr address;
    "map_int" Int Str text;
    "map_int_int" Int Int integer;
    "map_int_ip" Int Addr address;
    "map_ip" Addr Str text;
    "map_ip_int" Addr Int integer;
    "map_ip_ip" Addr Addr address;
    "map_reg" Str Str text;
    "map_reg_int" Str Int integer;
    "map_reg_ip" Str Addr address;
    "map_regm" Str Str expanded;
    "map_str" Str Str text;
    "map_str_int" Str Int integer;
    "map_str_ip" Str Addr address;
    "map_sub" Str Str text;
    "map_sub_int" Str Int integer;
    "map_sub_ip" Str Addr address;
};

/// Reads the file, prepares it for this way of searching and checks that values are of the type promised.
fn check(kw: &str, args: &mut [Arg], cx: &mut ParseCx<'_>) -> Result<(), String> {
    let (Some(Arg::Str(file)), default) = (args.first(), args.get(1)) else { return Ok(()) };
    let (how, to) = meaning(kw);
    let default = match default {
        Some(Arg::Str(text)) => Arg::Value(
            value(text, to).ok_or_else(|| format!("the default \"{text}\" is not of type {}", to.name()))?,
        ),
        _ => Arg::Absent,
    };
    let by = open(file, true, how, false, cx)?;
    let maps = cx.names.maps();
    if let Some(file) = maps.get_mut(by.map) {
        file.in_map = true;
    }
    let wrong = maps
        .get(by.map)
        .and_then(|f| f.iter().find(|(_, e)| value(&e.value, to).is_none()).map(|(id, e)| (f.line(id), e)));
    if let Some((line, entry)) = wrong {
        let what = format!("the value \"{}\" of \"{}\" is not of type {}", entry.value, entry.key, to.name());
        return Err(MapFlaw { line, what }.message(file));
    }
    (args[0], args[1]) = (Arg::Map(by), default);
    Ok(())
}

/// Reads a map or ACL file unless that was done, and prepares it for one way of searching.
pub fn open(
    name: &str,
    is_map: bool,
    how: Match,
    fold: bool,
    cx: &mut ParseCx<'_>,
) -> Result<MapUse, String> {
    let map = open_file(name, is_map, cx)?;
    cx.names.maps().use_as(map, how, fold).map_err(|flaw| flaw.message(name))
}

/// Reads a map or ACL file unless that was done.
///
/// `virt@` is a name without a file, `opt@` a file that may be missing, `file@` says nothing new.
pub fn open_file(name: &str, is_map: bool, cx: &mut ParseCx<'_>) -> Result<u32, String> {
    let name = name.strip_prefix("file@").unwrap_or(name);
    if let Some(map) = cx.names.maps().find(name, is_map) {
        return Ok(map);
    }
    let text = match (name.starts_with("virt@"), name.strip_prefix("opt@")) {
        (true, _) => Vec::new(),
        (_, Some(path)) => cx.names.file_if_there(path)?.unwrap_or_default(),
        _ => cx.names.file(name)?,
    };
    let read = MapFile::read(name, &text, is_map).map_err(|flaw| flaw.message(name))?;
    Ok(cx.names.maps().push(read))
}

fn meaning(kw: &str) -> (Match, Ty) {
    let mut words = kw.split('_').skip(1);
    let how = match words.next() {
        Some("regm") => Match::Reg,
        Some(word) => Match::of(word).unwrap_or(Match::Str),
        None => Match::Str,
    };
    let to = match words.next() {
        Some("int") => Ty::Int,
        Some("ip") => Ty::Addr,
        _ => Ty::Str,
    };
    (how, to)
}

fn value(text: &str, to: Ty) -> Option<Value> {
    match to {
        Ty::Int => cast::int_exact(text.as_bytes()).map(Value::Int),
        Ty::Addr => cast::ip_of(text.as_bytes()).map(|ip| Sample::addr(ip).to_value()),
        _ => Some(Value::Str(text.as_bytes().into())),
    }
}

/// The value found, or nothing and the default.
fn found<'a>(
    s: &Sample<'a>,
    args: &'a Args,
    facts: &Facts<'a>,
) -> Result<(MapUse, u32, &'a str), Option<Sample<'a>>> {
    let Arg::Map(by) = args.get(0) else { return Err(None) };
    match facts.maps.lookup(*by, s) {
        Some((id, entry)) => Ok((*by, id, &entry.value)),
        None => Err(args.value(1)),
    }
}

fn text<'a>(s: Sample<'a>, args: &'a Args, facts: &Facts<'a>) -> Option<Sample<'a>> {
    found(&s, args, facts).map_or_else(|default| default, |(_, _, value)| Some(Sample::text(value)))
}

fn integer<'a>(s: Sample<'a>, args: &'a Args, facts: &Facts<'a>) -> Option<Sample<'a>> {
    let int = |value: &str| cast::int_exact(value.as_bytes()).map(Sample::Int);
    found(&s, args, facts).map_or_else(|default| default, |(_, _, value)| int(value))
}

fn address<'a>(s: Sample<'a>, args: &'a Args, facts: &Facts<'a>) -> Option<Sample<'a>> {
    let addr = |value: &str| cast::ip_of(value.as_bytes()).map(Sample::addr);
    found(&s, args, facts).map_or_else(|default| default, |(_, _, value)| addr(value))
}

/// The value with what groups of the key found put in.
fn expanded<'a>(s: Sample<'a>, args: &'a Args, facts: &Facts<'a>) -> Option<Sample<'a>> {
    let (by, id, value) = match found(&s, args, facts) {
        Ok(found) => found,
        Err(default) => return default,
    };
    let regex = facts.maps.index(by)?.regex(id)?;
    let template = Template::parse(value, regex.captures_len()).ok()?;
    let mut out = Scratch::new();
    template.expand(&regex.captures(s.as_bytes()?)?, &mut out);
    Some(Sample::Str(out.into()))
}

#[cfg(test)]
mod tests {
    use crate::expr::conv::tests::table;

    #[test]
    fn lookups() {
        table(&[
            ("str(b),map(words.map)", "two words"),
            ("str(z),map(words.map)", "-"),
            ("str(z),map(words.map,none)", "none"),
            ("str(a),map_str_int(numbers.map),add(1)", "2"),
            ("str(z),map_str_int(numbers.map,7)", "7"),
            ("str(/a/b/c),map_beg(paths.map)", "ab"),
            ("str(/a/x),map_beg(paths.map)", "a"),
            ("ipv4(10.1.2.3),map_ip(nets.map)", "ten-one"),
            ("str(10.9.9.9),map_ip(nets.map)", "ten"),
            ("str(user42),map_regm(regs.map)", "id-42-"),
            ("str(user42),map_reg(regs.map)", "id-\\1-"),
            ("int(1),map_int(ints.map)", "one"),
        ]);
    }
}
