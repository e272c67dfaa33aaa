//! Converters of numbers, truth values and addresses.

use super::bytes::text;
use super::Conv;
use crate::expr::args::{Arg, Args, Kind};
use crate::expr::cast;
use crate::expr::sample::{Sample, Ty};
use crate::expr::view::Facts;

const N: &[Kind] = &[Kind::VarOrInt];

macro_rules! arithmetic {
    ($($kw:literal $usage:literal $brief:literal $how:expr;)*) => {
        [$(Conv::new($kw, Ty::Int, Ty::Int, |s, a, f| with(s, a, f, $how), $brief).args($usage, 1, N),)*]
    };
}

const ARITHMETIC: [Conv; 8] = arithmetic! {
    "add" "add(<n>)" "adds" i64::saturating_add;
    "and" "and(<n>)" "bits that both have" |a, b| a & b;
    "div" "div(<n>)" "divides; by 0 gives the largest number" |a, b: i64| if b == 0 { if a < 0 { i64::MIN } else { i64::MAX } } else { a.wrapping_div(b) };
    "mod" "mod(<n>)" "the rest of a division" |a, b: i64| if b == 0 { 0 } else { a.wrapping_rem(b) };
    "mul" "mul(<n>)" "multiplies" i64::saturating_mul;
    "or" "or(<n>)" "bits that either has" |a, b| a | b;
    "sub" "sub(<n>)" "subtracts" i64::saturating_sub;
    "xor" "xor(<n>)" "bits that one of them has" |a, b| a ^ b;
};

/// The rows of this family.
pub const ROWS: &[Conv] = &[
    ARITHMETIC[0],
    ARITHMETIC[1],
    ARITHMETIC[2],
    ARITHMETIC[3],
    ARITHMETIC[4],
    ARITHMETIC[5],
    ARITHMETIC[6],
    ARITHMETIC[7],
    Conv::new("bool", Ty::Int, Ty::Bool, |s, _, _| Some(Sample::Bool(int(&s)? != 0)), "whether it is not 0"),
    Conv::new("cpl", Ty::Int, Ty::Int, |s, _, _| Some(Sample::Int(!int(&s)?)), "all bits turned over"),
    Conv::new(
        "even",
        Ty::Int,
        Ty::Bool,
        |s, _, _| Some(Sample::Bool(int(&s)? % 2 == 0)),
        "whether it is even",
    ),
    Conv::new(
        "hex2i",
        Ty::Str,
        Ty::Int,
        |s, _, _| i64::from_str_radix(std::str::from_utf8(s.as_bytes()?).ok()?, 16).ok().map(Sample::Int),
        "hexadecimal digits as a number",
    ),
    Conv::new("iif", Ty::Bool, Ty::Str, iif, "one text or the other").args(
        "iif(<true>,<false>)",
        2,
        &[Kind::Str, Kind::Str],
    ),
    Conv::new("ipmask", Ty::Addr, Ty::Addr, ipmask, "an address with the end cut off").args(
        "ipmask(<mask4>[,<mask6>])",
        1,
        &[Kind::Mask4, Kind::Mask6],
    ),
    Conv::new("neg", Ty::Int, Ty::Int, |s, _, _| Some(Sample::Int(int(&s)?.wrapping_neg())), "the opposite"),
    Conv::new("not", Ty::Int, Ty::Bool, |s, _, _| Some(Sample::Bool(int(&s)? == 0)), "whether it is 0"),
    Conv::new("odd", Ty::Int, Ty::Bool, |s, _, _| Some(Sample::Bool(int(&s)? % 2 != 0)), "whether it is odd"),
];

fn int(s: &Sample<'_>) -> Option<i64> {
    match s {
        Sample::Int(n) => Some(*n),
        _ => None,
    }
}

fn with<'a>(
    s: Sample<'a>,
    args: &'a Args,
    facts: &Facts<'a>,
    how: fn(i64, i64) -> i64,
) -> Option<Sample<'a>> {
    let other = match args.var(0) {
        Some(var) => int(&cast::cast(facts.vars.get(var)?.sample(), Ty::Int)?)?,
        None => args.int(0, 0),
    };
    Some(Sample::Int(how(int(&s)?, other)))
}

fn iif<'a>(s: Sample<'a>, args: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let Sample::Bool(which) = s else { return None };
    Some(text(args.str(usize::from(!which)).as_bytes()))
}

fn ipmask<'a>(s: Sample<'a>, args: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    match (s, args.get(0), args.get(1)) {
        (Sample::Ip4(ip), Arg::Mask4(mask), _) => Some(Sample::Ip4((ip.to_bits() & mask.to_bits()).into())),
        (Sample::Ip6(ip), _, Arg::Mask6(mask)) => Some(Sample::Ip6((ip.to_bits() & mask.to_bits()).into())),
        (Sample::Ip6(ip), Arg::Mask4(mask), _) => {
            let v4 = cast::v4_of(ip)?;
            Some(Sample::Ip4((v4.to_bits() & mask.to_bits()).into()))
        }
        _ => None,
    }
}
