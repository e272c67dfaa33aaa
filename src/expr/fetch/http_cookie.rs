//! Fetches of cookies: the client's (`req.cook*`), the server's (`res.cook*`).

use super::{Fetch, Needs};
use crate::expr::args::{Args, Kind};
use crate::expr::cast;
use crate::expr::sample::{Data, Got, Sample, Scratch, Ty};
use crate::expr::view::Facts;
use crate::msg::cookie;

/// The rows of this family.
pub const ROWS: &[Fetch] = &[
    Fetch::new("req.cook", Ty::Str, Needs::REQ, |f, a| first(sent(f, a)), "value of a cookie")
        .args("req.cook([<name>])", 0, &[Kind::Str])
        .each(|f, a, v| each(sent(f, a), v)),
    Fetch::new("req.cook_cnt", Ty::Int, Needs::REQ, |f, a| count(sent(f, a)), "how often a cookie is sent")
        .args("req.cook_cnt([<name>])", 0, &[Kind::Str]),
    Fetch::new(
        "req.cook_names",
        Ty::Str,
        Needs::REQ,
        |f, a| names(f.req.map(|h| cookie::cookies(h).map(|(n, _)| n).collect()), a),
        "names of all cookies",
    )
    .args("req.cook_names([<delimiter>])", 0, &[Kind::Str]),
    Fetch::new("req.cook_val", Ty::Int, Needs::REQ, |f, a| number(sent(f, a)), "a cookie as a number").args(
        "req.cook_val([<name>])",
        0,
        &[Kind::Str],
    ),
    Fetch::new("res.cook", Ty::Str, Needs::RES, |f, a| first(set(f, a)), "value of a cookie the server sets")
        .args("res.cook([<name>])", 0, &[Kind::Str])
        .each(|f, a, v| each(set(f, a), v)),
    Fetch::new(
        "res.cook_cnt",
        Ty::Int,
        Needs::RES,
        |f, a| count(set(f, a)),
        "how often the server sets a cookie",
    )
    .args("res.cook_cnt([<name>])", 0, &[Kind::Str]),
    Fetch::new(
        "res.cook_names",
        Ty::Str,
        Needs::RES,
        |f, a| names(f.res.map(|h| cookie::set_cookies(h).map(|(n, _)| n).collect()), a),
        "names of all cookies the server sets",
    )
    .args("res.cook_names([<delimiter>])", 0, &[Kind::Str]),
    Fetch::new(
        "res.cook_val",
        Ty::Int,
        Needs::RES,
        |f, a| number(set(f, a)),
        "a cookie the server sets, as a number",
    )
    .args("res.cook_val([<name>])", 0, &[Kind::Str]),
];

fn sent<'a>(facts: &Facts<'a>, args: &'a Args) -> Vec<&'a [u8]> {
    let wanted = args.str(0).as_bytes();
    let Some(head) = facts.req else { return Vec::new() };
    cookie::cookies(head)
        .filter(|(name, _)| wanted.is_empty() || *name == wanted)
        .map(|(_, value)| value)
        .collect()
}

fn set<'a>(facts: &Facts<'a>, args: &'a Args) -> Vec<&'a [u8]> {
    let wanted = args.str(0).as_bytes();
    let Some(head) = facts.res else { return Vec::new() };
    cookie::set_cookies(head)
        .filter(|(name, _)| wanted.is_empty() || *name == wanted)
        .map(|(_, value)| value)
        .collect()
}

fn first<'a>(values: Vec<&'a [u8]>) -> Got<'a> {
    values.first().map_or(Got::None, |v| Got::Some(Sample::Str(Data::Ref(v))))
}

fn each<'a>(values: Vec<&'a [u8]>, visit: &mut dyn FnMut(Sample<'a>) -> bool) {
    let _ = values.into_iter().any(|v| visit(Sample::Str(Data::Ref(v))));
}

fn count<'a>(values: Vec<&'a [u8]>) -> Got<'a> {
    Got::Some(Sample::Int(values.len() as i64))
}

fn number<'a>(values: Vec<&'a [u8]>) -> Got<'a> {
    values.first().and_then(|v| cast::int_prefix(v)).map_or(Got::None, |n| Got::Some(Sample::Int(n)))
}

fn names<'a>(names: Option<Vec<&'a [u8]>>, args: &'a Args) -> Got<'a> {
    let Some(names) = names.filter(|n| !n.is_empty()) else { return Got::None };
    let delimiter = args.opt_str(0).unwrap_or(",");
    Got::Some(Sample::Str(Data::Own(Scratch::of(&names.join(delimiter.as_bytes())))))
}
