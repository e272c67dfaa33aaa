//! How types meet: the one matrix of implicit conversions between what one step of an expression
//! yields and what the next one takes.
//!
//! [`possible`] is asked at load time, [`cast`] at run time; what is possible may still fail on a value
//! (text that is not a number): then the expression yields nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::sample::{until_nul, Data, Sample, Scratch, Ty};

/// True when a sample of type `from` may be handed to something that takes `to`.
pub fn possible(from: Ty, to: Ty) -> bool {
    use Ty::*;
    match (from, to) {
        (Any | Same, _) | (_, Any | Same) => true,
        (a, b) if a == b => true,
        (Bool, Int | Str | Bin) => true,
        (Int, Bool | Addr | Ip4 | Ip6 | Str | Bin) => true,
        (Addr | Ip4, Int) => true,
        (Addr | Ip4 | Ip6, Addr | Ip4 | Ip6 | Str | Bin) => true,
        (Str, _) => true,
        (Bin, Str | Meth) => true,
        (Meth, Str | Bin) => true,
        _ => false,
    }
}

/// Converts a sample; `None` when this value has no form of that type.
#[inline]
pub fn cast(sample: Sample<'_>, to: Ty) -> Option<Sample<'_>> {
    let done = match (&sample, to) {
        (_, Ty::Any | Ty::Same) => true,
        (Sample::Ip4(_) | Sample::Ip6(_), Ty::Addr) => true,
        (s, to) => s.ty() == to,
    };
    if done {
        return Some(sample);
    }
    convert(sample, to)
}

fn convert(sample: Sample<'_>, to: Ty) -> Option<Sample<'_>> {
    match sample {
        Sample::Bool(b) => match to {
            Ty::Int => Some(Sample::Int(i64::from(b))),
            Ty::Str => Some(written(&sample)),
            Ty::Bin => Some(Sample::Bin(Scratch::of(&i64::from(b).to_be_bytes()).into())),
            _ => None,
        },
        Sample::Int(n) => match to {
            Ty::Bool => Some(Sample::Bool(n != 0)),
            Ty::Addr | Ty::Ip4 => Some(Sample::Ip4(Ipv4Addr::from(n as u32))),
            Ty::Ip6 => Some(Sample::Ip6(Ipv4Addr::from(n as u32).to_ipv6_mapped())),
            Ty::Str => Some(written(&sample)),
            Ty::Bin => Some(Sample::Bin(Scratch::of(&n.to_be_bytes()).into())),
            _ => None,
        },
        Sample::Ip4(ip) => match to {
            Ty::Int => Some(Sample::Int(i64::from(u32::from(ip)))),
            Ty::Ip6 => Some(Sample::Ip6(ip.to_ipv6_mapped())),
            Ty::Str => Some(written(&sample)),
            Ty::Bin => Some(Sample::Bin(Scratch::of(&ip.octets()).into())),
            _ => None,
        },
        Sample::Ip6(ip) => match to {
            Ty::Ip4 => v4_of(ip).map(Sample::Ip4),
            Ty::Int => v4_of(ip).map(|ip| Sample::Int(i64::from(u32::from(ip)))),
            Ty::Str => Some(written(&sample)),
            Ty::Bin => Some(Sample::Bin(Scratch::of(&ip.octets()).into())),
            _ => None,
        },
        Sample::Str(d) => match to {
            Ty::Bin => Some(Sample::Bin(d)),
            Ty::Meth => Some(Sample::Meth(d)),
            _ => parse(&d, to),
        },
        Sample::Bin(d) => match to {
            Ty::Str => {
                let end = until_nul(&d).len();
                Some(Sample::Str(d.part(0, end)))
            }
            Ty::Meth => Some(Sample::Meth(d)),
            _ => None,
        },
        Sample::Meth(d) => match to {
            Ty::Str => Some(Sample::Str(d)),
            Ty::Bin => Some(Sample::Bin(d)),
            _ => None,
        },
    }
}

/// Text read as another type.
fn parse<'a>(text: &[u8], to: Ty) -> Option<Sample<'a>> {
    match to {
        Ty::Bool => int_prefix(text).map(|n| Sample::Bool(n != 0)),
        Ty::Int => int_prefix(text).map(Sample::Int),
        Ty::Addr => ip_of(text).map(Sample::addr),
        Ty::Ip4 => match ip_of(text)? {
            IpAddr::V4(ip) => Some(Sample::Ip4(ip)),
            IpAddr::V6(ip) => v4_of(ip).map(Sample::Ip4),
        },
        Ty::Ip6 => match ip_of(text)? {
            IpAddr::V4(ip) => Some(Sample::Ip6(ip.to_ipv6_mapped())),
            IpAddr::V6(ip) => Some(Sample::Ip6(ip)),
        },
        _ => None,
    }
}

fn written<'a>(sample: &Sample<'_>) -> Sample<'a> {
    let mut out = Scratch::new();
    sample.write_text(&mut out);
    Sample::Str(Data::Own(out))
}

/// The integer a text begins with: optional sign, digits, anything. Text that begins otherwise is 0,
/// too large a number is the largest. Nothing at all has no value.
pub fn int_prefix(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let mut n: i64 = 0;
    for byte in digits.iter().take_while(|b| b.is_ascii_digit()) {
        let digit = i64::from(byte - b'0');
        n = n.saturating_mul(10);
        n = if negative { n.saturating_sub(digit) } else { n.saturating_add(digit) };
    }
    Some(n)
}

/// The whole text as an integer.
pub fn int_exact(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A text that is exactly one address.
pub fn ip_of(text: &[u8]) -> Option<IpAddr> {
    if text.len() > 45 {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The IPv4 address inside `::ffff:a.b.c.d`.
pub fn v4_of(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    ip.to_ipv4_mapped()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn str_of(s: Option<Sample>) -> String {
        match s {
            None => "none".into(),
            Some(s) => format!("{s:?}"),
        }
    }

    #[test]
    fn the_matrix_on_values() {
        let ip4 = || Sample::Ip4([1, 2, 3, 4].into());
        let ip6 = |t: &str| Sample::Ip6(t.parse().unwrap());
        let table: Vec<(Sample, Ty, &str)> = vec![
            (Sample::Bool(true), Ty::Int, "Int(1)"),
            (Sample::Bool(true), Ty::Str, "Str(\"1\")"),
            (Sample::Bool(false), Ty::Addr, "none"),
            (Sample::Bool(true), Ty::Bin, "Bin(\"\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01\")"),
            (Sample::Int(-2), Ty::Bool, "Bool(true)"),
            (Sample::Int(0x01020304), Ty::Addr, "Ip4(1.2.3.4)"),
            (Sample::Int(0x01020304), Ty::Ip6, "Ip6(::ffff:1.2.3.4)"),
            (Sample::Int(-5), Ty::Str, "Str(\"-5\")"),
            (Sample::Int(1), Ty::Meth, "none"),
            (ip4(), Ty::Int, "Int(16909060)"),
            (ip4(), Ty::Ip6, "Ip6(::ffff:1.2.3.4)"),
            (ip4(), Ty::Bin, "Bin(\"\\x01\\x02\\x03\\x04\")"),
            (ip4(), Ty::Bool, "none"),
            (ip6("::ffff:1.2.3.4"), Ty::Ip4, "Ip4(1.2.3.4)"),
            (ip6("2002:102:304::1"), Ty::Ip4, "none"),
            (ip6("::1"), Ty::Ip4, "none"),
            (ip6("::1"), Ty::Str, "Str(\"::1\")"),
            (Sample::text("12.5"), Ty::Int, "Int(12)"),
            (Sample::text("-12x"), Ty::Int, "Int(-12)"),
            (Sample::text("+5"), Ty::Int, "Int(5)"),
            (Sample::text("abc"), Ty::Int, "Int(0)"),
            (Sample::text(""), Ty::Int, "none"),
            (Sample::text("99999999999999999999"), Ty::Int, "Int(9223372036854775807)"),
            (Sample::text("-99999999999999999999"), Ty::Int, "Int(-9223372036854775808)"),
            (Sample::text("1.2.3.4"), Ty::Addr, "Ip4(1.2.3.4)"),
            (Sample::text("1.2.3.4.5"), Ty::Addr, "none"),
            (Sample::text("::ffff:1.2.3.4"), Ty::Ip4, "Ip4(1.2.3.4)"),
            (Sample::text("GET"), Ty::Meth, "Meth(\"GET\")"),
            (Sample::bytes("a\0b"), Ty::Str, "Str(\"a\")"),
            (Sample::bytes("1"), Ty::Int, "none"),
            (Sample::Meth(Data::Ref(b"PUT")), Ty::Str, "Str(\"PUT\")"),
        ];
        for (sample, to, expected) in table {
            let from = sample.ty();
            let got = str_of(cast(sample.clone(), to));
            assert_eq!(got, expected, "{sample:?} to {to:?}");
            assert!(got == "none" || possible(from, to), "{from:?} to {to:?} must be possible");
        }
    }
}
