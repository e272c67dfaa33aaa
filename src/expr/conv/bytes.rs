//! Converters of bytes: codecs, parts, digits.

use base64::alphabet::{STANDARD as PLAIN, URL_SAFE};
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::DecodePaddingMode;
use base64::Engine;

use super::{bin_of, bytes_of, Conv};
use crate::base::text::hex as put_hex;
use crate::expr::args::{from_hex, Arg, Args, Kind};
use crate::expr::compile::ParseCx;
use crate::expr::sample::{write_fmt, Data, Sample, Scratch, Ty};
use crate::expr::view::Facts;

/// The rows of this family.
pub const ROWS: &[Conv] = &[
    Conv::new("b64dec", Ty::Str, Ty::Bin, |s, _, _| decode(&BASE64, s), "decodes base64"),
    Conv::new("base64", Ty::Bin, Ty::Str, |s, _, _| encode(&BASE64, s), "encodes as base64"),
    Conv::new("be2dec", Ty::Bin, Ty::Str, |s, a, _| decimals(s, a, true), "big-endian numbers as decimals")
        .args("be2dec(<separator>,<size>[,<truncate>])", 2, GROUPS)
        .check(check_groups),
    Conv::new("be2hex", Ty::Bin, Ty::Str, hex_groups, "bytes as hexadecimal digits, in groups").args(
        "be2hex([<separator>[,<size>[,<truncate>]]])",
        0,
        GROUPS,
    ),
    Conv::new("bytes", Ty::Bin, Ty::Bin, part, "a part of the bytes").args(
        "bytes(<offset>[,<length>])",
        1,
        &[Kind::VarOrInt, Kind::VarOrInt],
    ),
    Conv::new("cut_crlf", Ty::Str, Ty::Str, |s, _, _| cut_crlf(s), "the text up to the first line end"),
    Conv::new("has_ctl", Ty::Str, Ty::Bool, has_ctl, "whether a control character is in the text"),
    Conv::new("hex", Ty::Bin, Ty::Str, |s, _, _| hex(s), "bytes as hexadecimal digits"),
    Conv::new(
        "hex2bin",
        Ty::Str,
        Ty::Bin,
        |s, _, _| Some(bin_of(&from_hex(s.as_bytes()?)?)),
        "hexadecimal digits as bytes",
    ),
    Conv::new("htonl", Ty::Int, Ty::Bin, htonl, "the lower 32 bits of a number as big-endian bytes"),
    Conv::new(
        "le2dec",
        Ty::Bin,
        Ty::Str,
        |s, a, _| decimals(s, a, false),
        "little-endian numbers as decimals",
    )
    .args("le2dec(<separator>,<size>[,<truncate>])", 2, GROUPS)
    .check(check_groups),
    Conv::new(
        "length",
        Ty::Str,
        Ty::Int,
        |s, _, _| Some(Sample::Int(s.as_bytes()?.len() as i64)),
        "how many bytes the text has",
    ),
    Conv::new("reverse", Ty::Str, Ty::Str, reverse, "the last byte first"),
    Conv::new(
        "ub64dec",
        Ty::Str,
        Ty::Bin,
        |s, _, _| decode(&URL64, s),
        "decodes base64 of the kind URLs can carry",
    ),
    Conv::new(
        "ub64enc",
        Ty::Bin,
        Ty::Str,
        |s, _, _| encode(&URL64, s),
        "encodes as base64 of the kind URLs can carry",
    ),
];

const GROUPS: &[Kind] = &[Kind::Str, Kind::Int, Kind::Int];

const fn lenient(padding: DecodePaddingMode) -> GeneralPurposeConfig {
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true).with_decode_padding_mode(padding)
}

/// RFC 4648 section 4, always padded.
const BASE64: GeneralPurpose = GeneralPurpose::new(&PLAIN, lenient(DecodePaddingMode::RequireCanonical));
/// RFC 4648 section 5 as JWT writes it: without padding, read with or without.
pub(super) const URL64: GeneralPurpose =
    GeneralPurpose::new(&URL_SAFE, lenient(DecodePaddingMode::Indifferent).with_encode_padding(false));

fn encode<'a>(how: &GeneralPurpose, s: Sample<'a>) -> Option<Sample<'a>> {
    let bytes = s.as_bytes()?;
    let mut out = Scratch::new();
    out.resize(base64::encoded_len(bytes.len(), true)?, 0);
    let len = how.encode_slice(bytes, &mut out[..]).ok()?;
    out.truncate(len);
    Some(Sample::Str(out.into()))
}

fn decode<'a>(how: &GeneralPurpose, s: Sample<'a>) -> Option<Sample<'a>> {
    let mut out = Scratch::new();
    how.decode_vec(s.as_bytes()?, &mut out).ok()?;
    Some(Sample::Bin(out.into()))
}

fn hex<'a>(s: Sample<'a>) -> Option<Sample<'a>> {
    let mut out = Scratch::new();
    put_hex(&mut out, s.as_bytes()?);
    out.make_ascii_uppercase();
    Some(Sample::Str(out.into()))
}

fn hex_groups<'a>(s: Sample<'a>, args: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let bytes = s.as_bytes()?;
    let size = usize::try_from(args.int(1, 0)).ok().filter(|n| *n > 0).unwrap_or(bytes.len().max(1));
    groups(bytes, size, args, |out, chunk| {
        let from = out.len();
        put_hex(out, chunk);
        out[from..].make_ascii_uppercase();
    })
}

fn decimals<'a>(s: Sample<'a>, args: &'a Args, big_endian: bool) -> Option<Sample<'a>> {
    let size = usize::try_from(args.int(1, 1)).ok().filter(|n| (1..=8).contains(n))?;
    groups(s.as_bytes()?, size, args, |out, chunk| {
        let add = |n: u64, byte: &u8| n << 8 | u64::from(*byte);
        let n = if big_endian { chunk.iter().fold(0, add) } else { chunk.iter().rev().fold(0, add) };
        write_fmt(out, format_args!("{n}"));
    })
}

fn groups<'a>(
    bytes: &[u8],
    size: usize,
    args: &'a Args,
    mut put: impl FnMut(&mut Vec<u8>, &[u8]),
) -> Option<Sample<'a>> {
    let mut out = Scratch::new();
    for (at, chunk) in bytes.chunks(size).enumerate() {
        if chunk.len() < size && args.int(2, 0) != 0 {
            break;
        }
        if at > 0 {
            out.extend_from_slice(args.str(0).as_bytes());
        }
        put(&mut out, chunk);
    }
    Some(Sample::Str(out.into()))
}

fn check_groups(_: &str, args: &mut [Arg], _: &mut ParseCx<'_>) -> Result<(), String> {
    match args.get(1) {
        Some(Arg::Int(1..=8)) => Ok(()),
        _ => Err("a number has 1 to 8 bytes".into()),
    }
}

fn part<'a>(s: Sample<'a>, args: &'a Args, facts: &Facts<'a>) -> Option<Sample<'a>> {
    let start = usize::try_from(facts.int_arg(args, 0)?).ok()?;
    let length = match args.has(1) {
        true => usize::try_from(facts.int_arg(args, 1)?).ok()?,
        false => usize::MAX,
    };
    let data = bytes_of(s)?;
    if start >= data.len() {
        return (start == 0).then_some(Sample::Bin(data));
    }
    Some(Sample::Bin(data.part(start, start.saturating_add(length))))
}

fn cut_crlf<'a>(s: Sample<'a>) -> Option<Sample<'a>> {
    let data = bytes_of(s)?;
    let end = memchr::memchr2(b'\r', b'\n', &data).unwrap_or(data.len());
    Some(Sample::Str(data.part(0, end)))
}

fn has_ctl<'a>(s: Sample<'a>, _: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    Some(Sample::Bool(s.as_bytes()?.iter().any(|b| *b < 0x20 || *b == 0x7f)))
}

fn htonl<'a>(s: Sample<'a>, _: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let Sample::Int(n) = s else { return None };
    Some(bin_of(&(n as u32).to_be_bytes()))
}

fn reverse<'a>(s: Sample<'a>, _: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let mut bytes = bytes_of(s)?.to_mut();
    bytes.reverse();
    Some(Sample::Str(Data::Own(bytes)))
}

/// Decodes base64 of the kind tokens carry.
pub(super) fn decode_url64(text: &[u8]) -> Option<Scratch> {
    let mut out = Scratch::new();
    URL64.decode_vec(text, &mut out).ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use crate::expr::conv::tests::table;

    #[test]
    fn codecs_and_parts() {
        table(&[
            ("str(YWJj),b64dec", "abc"),
            ("str(YWJ),b64dec", "-"),
            ("str(YW==),b64dec", "a"),
            ("str(Y*Jj),b64dec", "-"),
            ("bin(fbff),ub64enc", "-_8"),
            ("str(-_8),ub64dec,hex", "FBFF"),
            ("str(abc),base64", "YWJj"),
            ("int(258),base64", "AAAAAAAAAQI="),
            ("bin(01020304050607),be2dec(:,2)", "258:772:1286:7"),
            ("bin(01020304050607),be2dec(-,2,1)", "258-772-1286"),
            ("bin(7f000001),be2dec(.,1)", "127.0.0.1"),
            ("bin(0102),le2dec(.,2)", "513"),
            ("bin(01020304050607),be2hex", "01020304050607"),
            ("bin(01020304050607),be2hex(:,2)", "0102:0304:0506:07"),
            ("bin(0102030405060708),be2hex(,3,1)", "010203040506"),
            ("bin(0102030405),bytes(1,2),hex", "0203"),
            ("bin(0102030405),bytes(3,9),hex", "0405"),
            ("bin(0102030405),bytes(9),hex", "-"),
            ("str(hello),bytes(1,3)", "ell"),
            ("str(abc),hex", "616263"),
            ("ipv4(1.2.3.4),hex", "01020304"),
            ("str(abc),length", "3"),
            ("bin(61ff00),length", "2"),
            ("bin(610d0a62),cut_crlf", "a"),
            ("str(abc),reverse", "cba"),
            ("int(258),htonl,hex", "00000102"),
            ("bin(61ff09),has_ctl", "1"),
            ("str(abc),has_ctl", "0"),
            ("str(61),hex2bin", "a"),
        ]);
    }
}
