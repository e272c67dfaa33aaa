//! Converters of Protocol Buffers, bare and as gRPC frames them.

use smallvec::SmallVec;

use super::{bytes_of, Conv};
use crate::expr::args::{Arg, Args, Kind};
use crate::expr::compile::ParseCx;
use crate::expr::sample::{Data, Sample, Ty};
use crate::expr::view::Facts;

/// The rows of this family.
pub const ROWS: &[Conv] = &[
    Conv::new("protobuf", Ty::Bin, Ty::Any, |s, a, _| field(bytes_of(s)?, a), "a field of a Protocol Buffers message")
        .args("protobuf(<field>[,<type>])", 1, &[Kind::Custom, Kind::Choice(TYPES)])
        .text("Fields are numbers joined by dots, from the outside in. Without a type, what the wire has is taken raw.")
        .check(check),
    Conv::new("ungrpc", Ty::Bin, Ty::Any, ungrpc, "a field of the message in a gRPC frame")
        .args("ungrpc(<field>[,<type>])", 1, &[Kind::Custom, Kind::Choice(TYPES)])
        .example("http-request set-var(txn.id) req.body,ungrpc(1.2,int32)")
        .check(check),
];

const TYPES: &[&str] = &[
    "int32", "int64", "uint32", "uint64", "sint32", "sint64", "bool", "enum", "fixed64", "sfixed64",
    "double", "fixed32", "sfixed32", "float",
];

fn check(_: &str, args: &mut [Arg], _: &mut ParseCx<'_>) -> Result<(), String> {
    let Some(Arg::Str(path)) = args.first() else { return Ok(()) };
    match numbers(path) {
        Some(list) if (1..=DEPTH_MAX).contains(&list.len()) => Ok(()),
        _ => Err(format!("\"{path}\" is not a list of field numbers like 4.1")),
    }
}

fn numbers(path: &str) -> Option<SmallVec<[u64; 8]>> {
    path.split('.').map(|n| n.parse().ok().filter(|n| *n > 0)).collect()
}

fn ungrpc<'a>(s: Sample<'a>, args: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let data = bytes_of(s)?;
    // not compressed, then the length in four bytes
    let &[0, a, b, c, d, ..] = &data[..] else { return None };
    let len = u32::from_be_bytes([a, b, c, d]) as usize;
    let end = (5 + len).min(data.len());
    field(data.part(5, end), args)
}

/// What one field holds, as the wire has it.
enum Held {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes,
}

fn field<'a>(mut data: Data<'a>, args: &'a Args) -> Option<Sample<'a>> {
    let path = numbers(args.str(0))?;
    let (last, outer) = path.split_last()?;
    for number in outer {
        let (Held::Bytes, (from, to)) = find(&data, *number)? else { return None };
        data = data.part(from, to);
    }
    let (held, (from, to)) = find(&data, *last)?;
    if !args.has(1) {
        return Some(Sample::Bin(data.part(from, to)));
    }
    let zigzag = |n: u64| (n >> 1) as i64 ^ -((n & 1) as i64);
    let n = match (TYPES.get(args.int(1, 0) as usize)?, held) {
        (&"int32" | &"enum", Held::Varint(n)) => i64::from(n as i32),
        (&"uint32", Held::Varint(n)) => i64::from(n as u32),
        (&"int64" | &"uint64", Held::Varint(n)) => n as i64,
        (&"sint32" | &"sint64", Held::Varint(n)) => zigzag(n),
        (&"bool", Held::Varint(n)) => i64::from(n != 0),
        (&"fixed64" | &"sfixed64", Held::Fixed64(n)) => n as i64,
        (&"double", Held::Fixed64(n)) => f64::from_bits(n) as i64,
        (&"fixed32", Held::Fixed32(n)) => n.into(),
        (&"sfixed32", Held::Fixed32(n)) => i64::from(n as i32),
        (&"float", Held::Fixed32(n)) => f32::from_bits(n) as i64,
        _ => return None,
    };
    Some(Sample::Int(n))
}

/// The first field with this number, and where its bytes are.
fn find(data: &[u8], number: u64) -> Option<(Held, (usize, usize))> {
    let mut at = 0;
    while at < data.len() {
        let key = varint(data, &mut at)?;
        let mut from = at;
        let held = match key & 7 {
            0 => Held::Varint(varint(data, &mut at)?),
            1 => {
                let bytes = data.get(at..at.checked_add(8)?)?;
                at += 8;
                Held::Fixed64(u64::from_le_bytes(bytes.try_into().ok()?))
            }
            2 => {
                let len = usize::try_from(varint(data, &mut at)?).ok()?;
                (from, at) = (at, at.checked_add(len).filter(|end| *end <= data.len())?);
                Held::Bytes
            }
            5 => {
                let bytes = data.get(at..at.checked_add(4)?)?;
                at += 4;
                Held::Fixed32(u32::from_le_bytes(bytes.try_into().ok()?))
            }
            _ => return None,
        };
        if key >> 3 == number {
            return Some((held, (from, at)));
        }
    }
    None
}

fn varint(data: &[u8], at: &mut usize) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..70).step_by(7) {
        let byte = *data.get(*at)?;
        *at += 1;
        n |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte < 0x80 {
            return Some(n);
        }
    }
    None
}

const DEPTH_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use crate::expr::conv::tests::table;

    #[test]
    fn fields() {
        table(&[
            ("bin(0a03010203),protobuf(1),hex", "010203"),
            ("bin(0805),protobuf(1,int32)", "5"),
            ("bin(08ac02),protobuf(1),hex", "AC02"),
            ("bin(0d01020304),protobuf(1),hex", "01020304"),
            ("bin(08ac02),protobuf(1,int32)", "300"),
            ("bin(08ffffffffffffffffff01),protobuf(1,int64)", "-1"),
            ("bin(0803),protobuf(1,sint32)", "-2"),
            ("bin(0d01000000),protobuf(1,fixed32)", "1"),
            ("bin(090100000000000000),protobuf(1,fixed64)", "1"),
            ("bin(12020805),protobuf(2.1,int32)", "5"),
            ("bin(12020805),protobuf(3)", "-"),
            ("bin(0aff),protobuf(1)", "-"),
            ("bin(0000000004080510ff),ungrpc(1,int32)", "5"),
            ("bin(0100000002),ungrpc(1)", "-"),
        ]);
    }
}
