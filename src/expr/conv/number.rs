//! Converters of numbers, truth values and addresses.

use super::Conv;
use crate::expr::args::{Arg, Args, Kind};
use crate::expr::cast;
use crate::expr::sample::{Data, Sample, Ty};
use crate::expr::view::Facts;

const N: &[Kind] = &[Kind::VarOrInt];

macro_rules! rows {
    ($($kw:literal $brief:literal $how:expr;)* | $($row:expr,)*) => {
        &[
            $(Conv::new($kw, Ty::Int, Ty::Int, |s, a, f| with(s, a, f, $how), $brief).args(concat!($kw, "(<n>)"), 1, N),)*
            $($row,)*
        ]
    };
}

/// The rows of this family.
pub const ROWS: &[Conv] = rows! {
    "add" "adds; stays at the largest number rather than turning over" i64::saturating_add;
    "and" "bits that both have" |a, b| a & b;
    "div" "divides; by 0 gives the largest number" divide;
    "mod" "the rest of a division; by 0 gives 0" |a, b| a.checked_rem(b).unwrap_or(0);
    "mul" "multiplies; stays at the largest number rather than turning over" i64::saturating_mul;
    "or" "bits that either has" |a, b| a | b;
    "sub" "subtracts; stays at the smallest number rather than turning over" i64::saturating_sub;
    "xor" "bits that one of them has" |a, b| a ^ b;
    |
    Conv::new("bool", Ty::Int, Ty::Bool, |s, _, _| Some(Sample::Bool(int(&s)? != 0)), "whether it is not 0"),
    Conv::new("cpl", Ty::Int, Ty::Int, |s, _, _| Some(Sample::Int(!int(&s)?)), "all bits turned over"),
    Conv::new("even", Ty::Int, Ty::Bool, |s, _, _| Some(Sample::Bool(int(&s)? % 2 == 0)), "whether it is even"),
    Conv::new("hex2i", Ty::Str, Ty::Int, hex2i, "hexadecimal digits as a number"),
    Conv::new("iif", Ty::Bool, Ty::Str, iif, "one text when it is true, the other when not").args("iif(<true>,<false>)", 2, &[Kind::Str, Kind::Str]),
    Conv::new("ipmask", Ty::Addr, Ty::Addr, ipmask, "an address with the end cut off")
        .args("ipmask(<mask4>[,<mask6>])", 1, &[Kind::Mask4, Kind::Mask6])
        .text("A mask is written as an address or as a number of bits. Without the second one there is nothing for IPv6."),
    Conv::new("neg", Ty::Int, Ty::Int, |s, _, _| Some(Sample::Int(int(&s)?.wrapping_neg())), "the opposite"),
    Conv::new("not", Ty::Int, Ty::Bool, |s, _, _| Some(Sample::Bool(int(&s)? == 0)), "whether it is 0"),
    Conv::new("odd", Ty::Int, Ty::Bool, |s, _, _| Some(Sample::Bool(int(&s)? % 2 != 0)), "whether it is odd"),
};

fn int(s: &Sample<'_>) -> Option<i64> {
    match s {
        Sample::Int(n) => Some(*n),
        _ => None,
    }
}

fn divide(a: i64, b: i64) -> i64 {
    match b {
        0 if a < 0 => i64::MIN,
        0 => i64::MAX,
        _ => a.checked_div(b).unwrap_or(i64::MAX),
    }
}

fn with<'a>(
    s: Sample<'a>,
    args: &'a Args,
    facts: &Facts<'a>,
    how: fn(i64, i64) -> i64,
) -> Option<Sample<'a>> {
    Some(Sample::Int(how(int(&s)?, facts.int_arg(args, 0)?)))
}

fn hex2i<'a>(s: Sample<'a>, _: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let text = std::str::from_utf8(s.as_bytes()?).ok().filter(|t| !t.starts_with('+'))?;
    u64::from_str_radix(text, 16).ok().map(|n| Sample::Int(n as i64))
}

fn iif<'a>(s: Sample<'a>, args: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let Sample::Bool(which) = s else { return None };
    Some(Sample::Str(Data::Ref(args.str(usize::from(!which)).as_bytes())))
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

#[cfg(test)]
mod tests {
    use crate::expr::conv::tests::table;

    #[test]
    fn arithmetic_never_turns_over() {
        table(&[
            ("int(1),div(0)", "9223372036854775807"),
            ("int(-1),div(0)", "-9223372036854775808"),
            ("int(1),mod(0)", "0"),
            ("int(-7),div(2)", "-3"),
            ("int(-7),mod(2)", "-1"),
            ("int(9223372036854775807),add(1)", "9223372036854775807"),
            ("int(9223372036854775807),mul(2)", "9223372036854775807"),
            ("int(-9223372036854775807),sub(5)", "-9223372036854775808"),
            ("int(-9223372036854775808),div(-1)", "9223372036854775807"),
            ("int(-9223372036854775808),mod(-1)", "0"),
            ("int(-9223372036854775808),neg", "-9223372036854775808"),
            ("int(6),and(3)", "2"),
            ("int(6),or(3)", "7"),
            ("int(6),xor(3)", "5"),
            ("int(5),cpl", "-6"),
            ("int(5),odd", "1"),
            ("int(5),even", "0"),
            ("int(5),add(txn.none)", "-"),
            ("str(12abc),add(1)", "13"),
            ("ipv4(1.2.3.4),add(1)", "16909061"),
            ("bool(true),add(4)", "5"),
            ("str(ff),hex2i", "255"),
            ("str(ffffffffffffffff),hex2i", "-1"),
            ("str(zz),hex2i", "-"),
            ("bool(0),iif(a,b)", "b"),
        ]);
    }

    #[test]
    fn masks() {
        table(&[
            ("ipv4(10.1.2.3),ipmask(24)", "10.1.2.0"),
            ("ipv4(10.1.2.3),ipmask(255.255.0.0)", "10.1.0.0"),
            ("ipv6(2001:db8::1),ipmask(24,32)", "2001:db8::"),
            ("ipv6(2001:db8::1),ipmask(24)", "-"),
            ("ipv6(::ffff:1.2.3.4),ipmask(24)", "1.2.3.0"),
            ("ipv6(2002:102:304::5),ipmask(24)", "-"),
            ("str(1.2.3.4),ipmask(24)", "1.2.3.0"),
            ("str(junk),ipmask(24)", "-"),
        ]);
    }
}
