//! Converters of bytes: codecs and parts.

use base64::engine::general_purpose::{GeneralPurpose, STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use base64::Engine;

use super::Conv;
use crate::expr::args::{from_hex, Args, Kind};
use crate::expr::sample::{Data, Sample, Scratch, Ty};
use crate::expr::view::Facts;

/// The rows of this family.
pub const ROWS: &[Conv] = &[
    Conv::new("b64dec", Ty::Str, Ty::Bin, |s, _, _| decode(&STANDARD, &STANDARD_NO_PAD, s), "decodes base64"),
    Conv::new("base64", Ty::Bin, Ty::Str, |s, _, _| encode(&STANDARD, s), "encodes as base64"),
    Conv::new("be2dec", Ty::Bin, Ty::Str, |s, a, _| chunks(s, a, true), "big-endian numbers as decimals")
        .args("be2dec(<separator>,<size>[,<truncate>])", 2, &[Kind::Str, Kind::Int, Kind::Int]),
    Conv::new(
        "be2hex",
        Ty::Bin,
        Ty::Str,
        |s, a, _| hex_chunks(s, a),
        "bytes as hexadecimal digits in groups",
    )
    .args("be2hex([<separator>[,<size>[,<truncate>]]])", 0, &[Kind::Str, Kind::Int, Kind::Int]),
    Conv::new("bytes", Ty::Bin, Ty::Bin, part, "a part").args(
        "bytes(<offset>[,<length>])",
        1,
        &[Kind::Int, Kind::Int],
    ),
    Conv::new("hex", Ty::Bin, Ty::Str, |s, _, _| hex(s), "bytes as hexadecimal digits"),
    Conv::new("le2dec", Ty::Bin, Ty::Str, |s, a, _| chunks(s, a, false), "little-endian numbers as decimals")
        .args("le2dec(<separator>,<size>[,<truncate>])", 2, &[Kind::Str, Kind::Int, Kind::Int]),
    Conv::new(
        "length",
        Ty::Bin,
        Ty::Int,
        |s, _, _| Some(Sample::Int(s.as_bytes()?.len() as i64)),
        "how many bytes there are",
    ),
    Conv::new(
        "hex2bin",
        Ty::Str,
        Ty::Bin,
        |s, _, _| Some(bin(&from_hex(s.as_bytes()?)?)),
        "hexadecimal digits as bytes",
    ),
    Conv::new("reverse", Ty::Bin, Ty::Bin, reverse, "the last byte first"),
    Conv::new(
        "ub64dec",
        Ty::Str,
        Ty::Bin,
        |s, _, _| decode(&URL_SAFE_NO_PAD, &URL_SAFE_NO_PAD, s),
        "decodes base64 of the kind URLs can carry",
    ),
    Conv::new(
        "ub64enc",
        Ty::Bin,
        Ty::Str,
        |s, _, _| encode(&URL_SAFE_NO_PAD, s),
        "encodes as base64 of the kind URLs can carry",
    ),
];

pub(super) fn text<'a>(bytes: &[u8]) -> Sample<'a> {
    Sample::Str(Data::Own(Scratch::of(bytes)))
}

pub(super) fn bin<'a>(bytes: &[u8]) -> Sample<'a> {
    Sample::Bin(Data::Own(Scratch::of(bytes)))
}

fn encode<'a>(how: &GeneralPurpose, s: Sample<'a>) -> Option<Sample<'a>> {
    Some(text(how.encode(s.as_bytes()?).as_bytes()))
}

fn decode<'a>(how: &GeneralPurpose, bare: &GeneralPurpose, s: Sample<'a>) -> Option<Sample<'a>> {
    let bytes = s.as_bytes()?;
    how.decode(bytes).or_else(|_| bare.decode(bytes)).ok().map(|b| bin(&b))
}

fn hex<'a>(s: Sample<'a>) -> Option<Sample<'a>> {
    let mut out = Scratch::new();
    put_hex(&mut out, s.as_bytes()?);
    Some(Sample::Str(Data::Own(out)))
}

fn put_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

fn hex_chunks<'a>(s: Sample<'a>, args: &'a Args) -> Option<Sample<'a>> {
    let size = args.int(1, 1).max(1) as usize;
    let mut out = Scratch::new();
    for (at, chunk) in s.as_bytes()?.chunks(size).enumerate() {
        if chunk.len() < size && args.int(2, 0) != 0 {
            break;
        }
        if at > 0 {
            out.extend_from_slice(args.str(0).as_bytes());
        }
        put_hex(&mut out, chunk);
    }
    Some(Sample::Str(Data::Own(out)))
}

fn chunks<'a>(s: Sample<'a>, args: &'a Args, big: bool) -> Option<Sample<'a>> {
    let size = usize::try_from(args.int(1, 1)).ok().filter(|n| (1..=8).contains(n))?;
    let mut out = Scratch::new();
    for (at, chunk) in s.as_bytes()?.chunks(size).enumerate() {
        if chunk.len() < size && args.int(2, 0) != 0 {
            break;
        }
        if at > 0 {
            out.extend_from_slice(args.str(0).as_bytes());
        }
        let add = |n: u64, b: &u8| n << 8 | u64::from(*b);
        let n = if big { chunk.iter().fold(0, add) } else { chunk.iter().rev().fold(0, add) };
        crate::expr::sample::write_fmt(&mut out, format_args!("{n}"));
    }
    Some(Sample::Str(Data::Own(out)))
}

fn part<'a>(s: Sample<'a>, args: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let len = s.as_bytes()?.len();
    let start = usize::try_from(args.int(0, 0)).ok()?.min(len);
    let end = match args.int(1, -1) {
        n if n < 0 => len,
        n => start.saturating_add(n as usize).min(len),
    };
    match s {
        Sample::Bin(data) => Some(Sample::Bin(data.part(start, end))),
        Sample::Str(data) => Some(Sample::Str(data.part(start, end))),
        Sample::Meth(data) => Some(Sample::Str(data.part(start, end))),
        _ => None,
    }
}

fn reverse<'a>(s: Sample<'a>, _: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let mut bytes = s.as_bytes()?.to_vec();
    bytes.reverse();
    Some(bin(&bytes))
}
