//! Converters that hash.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;

use super::{bin_of as bin, Conv};
use crate::base::hash;
use crate::expr::args::{Arg, Args, Kind};
use crate::expr::compile::ParseCx;
use crate::expr::sample::{Sample, Ty};
use crate::expr::view::Facts;

const MIX: &[Kind] = &[Kind::Int];

/// The rows of this family.
pub const ROWS: &[Conv] = &[
    Conv::new(
        "crc32",
        Ty::Bin,
        Ty::Int,
        |s, a, _| mixed(crc32fast::hash(s.as_bytes()?), a),
        "CRC-32 as in zlib",
    )
    .args("crc32([<avalanche>])", 0, MIX),
    Conv::new("crc32c", Ty::Bin, Ty::Int, |s, a, _| mixed(crc32c(s.as_bytes()?), a), "CRC-32 Castagnoli")
        .args("crc32c([<avalanche>])", 0, MIX),
    Conv::new("digest", Ty::Bin, Ty::Bin, digest, "a digest by name")
        .args("digest(<algorithm>)", 1, &[Kind::Str])
        .check(check_algorithm),
    Conv::new("djb2", Ty::Bin, Ty::Int, |s, a, _| mixed(hash::djb2(s.as_bytes()?), a), "Bernstein's hash")
        .args("djb2([<avalanche>])", 0, MIX),
    Conv::new("hmac", Ty::Bin, Ty::Bin, hmac, "a keyed digest; the key is base64")
        .args("hmac(<algorithm>,<key>)", 2, &[Kind::Str, Kind::VarOrStr])
        .check(check_algorithm),
    Conv::new("sdbm", Ty::Bin, Ty::Int, |s, a, _| mixed(hash::sdbm(s.as_bytes()?), a), "the hash of sdbm")
        .args("sdbm([<avalanche>])", 0, MIX),
    Conv::new("sha1", Ty::Bin, Ty::Bin, |s, _, _| sum(MessageDigest::sha1(), &s), "SHA-1"),
    Conv::new("sha2", Ty::Bin, Ty::Bin, sha2, "SHA-2 of 224, 256, 384 or 512 bits")
        .args("sha2([<bits>])", 0, &[Kind::Int])
        .check(check_bits),
    Conv::new(
        "wt6",
        Ty::Bin,
        Ty::Int,
        |s, a, _| mixed(hash::wt6(s.as_bytes()?), a),
        "the hash of Wang Tianwei",
    )
    .args("wt6([<avalanche>])", 0, MIX),
    Conv::new(
        "xxh3",
        Ty::Bin,
        Ty::Int,
        |s, a, _| {
            Some(Sample::Int(xxhash_rust::xxh3::xxh3_64_with_seed(s.as_bytes()?, a.int(0, 0) as u64) as i64))
        },
        "XXH3 of 64 bits",
    )
    .args("xxh3([<seed>])", 0, &[Kind::Int]),
    Conv::new(
        "xxh32",
        Ty::Bin,
        Ty::Int,
        |s, a, _| Some(Sample::Int(xxhash_rust::xxh32::xxh32(s.as_bytes()?, a.int(0, 0) as u32).into())),
        "XXH32",
    )
    .args("xxh32([<seed>])", 0, &[Kind::Int]),
    Conv::new(
        "xxh64",
        Ty::Bin,
        Ty::Int,
        |s, a, _| Some(Sample::Int(xxhash_rust::xxh64::xxh64(s.as_bytes()?, a.int(0, 0) as u64) as i64)),
        "XXH64",
    )
    .args("xxh64([<seed>])", 0, &[Kind::Int]),
];

fn check_bits(_: &str, args: &mut [Arg], _: &mut ParseCx<'_>) -> Result<(), String> {
    match args.first() {
        Some(Arg::Int(bits)) if ![224, 256, 384, 512].contains(bits) => {
            Err(format!("expected 224, 256, 384 or 512 bits, found {bits}"))
        }
        _ => Ok(()),
    }
}

fn check_algorithm(_: &str, args: &mut [Arg], _: &mut ParseCx<'_>) -> Result<(), String> {
    match args.first() {
        Some(Arg::Str(name)) if MessageDigest::from_name(name).is_none() => {
            return Err(format!("unknown digest \"{name}\", for example md5, sha1, sha256, sha512"));
        }
        _ => {}
    }
    match args.get(1) {
        Some(Arg::Str(key)) if STANDARD.decode(&**key).is_err() => {
            Err(format!("the key \"{key}\" is neither base64 nor a variable"))
        }
        _ => Ok(()),
    }
}

fn mixed<'a>(h: u32, args: &'a Args) -> Option<Sample<'a>> {
    let h = if args.int(0, 0) != 0 { hash::avalanche(h) } else { h };
    Some(Sample::Int(h.into()))
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0x82f6_3b78 } else { c >> 1 })
    })
}

fn sum<'a>(how: MessageDigest, s: &Sample<'_>) -> Option<Sample<'a>> {
    openssl::hash::hash(how, s.as_bytes()?).ok().map(|d| bin(&d))
}

fn sha2<'a>(s: Sample<'a>, args: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let how = match args.int(0, 256) {
        224 => MessageDigest::sha224(),
        256 => MessageDigest::sha256(),
        384 => MessageDigest::sha384(),
        512 => MessageDigest::sha512(),
        _ => return None,
    };
    sum(how, &s)
}

fn digest<'a>(s: Sample<'a>, args: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    sum(MessageDigest::from_name(args.str(0))?, &s)
}

fn hmac<'a>(s: Sample<'a>, args: &'a Args, facts: &Facts<'a>) -> Option<Sample<'a>> {
    let text = match args.var(1) {
        Some(var) => facts.var(var)?.as_bytes()?.to_vec(),
        None => args.str(1).as_bytes().to_vec(),
    };
    let key = STANDARD.decode(text).ok()?;
    let key = PKey::hmac(&key).ok()?;
    let mut signer = Signer::new(MessageDigest::from_name(args.str(0))?, &key).ok()?;
    signer.sign_oneshot_to_vec(s.as_bytes()?).ok().map(|d| bin(&d))
}

#[cfg(test)]
mod tests {
    use crate::expr::conv::tests::table;

    #[test]
    fn exact_values() {
        table(&[
            ("str(/index.html),sdbm", "858007926"),
            ("str(/index.html),djb2", "3776231887"),
            ("str(/index.html),wt6", "822151038"),
            ("str(/index.html),crc32", "3928116034"),
            ("bin(c3a9),sdbm", "12791974"),
            ("str(a),sdbm", "97"),
            ("str(),djb2", "5381"),
            ("str(),wt6", "4187620192"),
            ("str(abc),crc32", "891568578"),
            ("str(abc),crc32c", "910901175"),
            ("str(abc),xxh32", "852579327"),
            ("str(abc),xxh64", "4952883123889572249"),
            ("str(abc),xxh3", "8696274497037089104"),
            ("str(abc),sha1,hex", "A9993E364706816ABA3E25717850C26C9CD0D89D"),
            ("str(abc),sha2,hex", "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"),
            ("str(abc),sha2(224),hex", "23097D223405D8228642A477BDA255B32AADBCE4BDA0B3F7E36C9DA7"),
            ("str(abc),digest(md5),hex", "900150983CD24FB0D6963F7D28E17F72"),
            (
                "str(abc),hmac(sha256,a2V5),hex",
                "9C196E32DC0175F86F4B1CB89289D6619DE6BEE699E4C378E68309ED97A1A6AB",
            ),
        ]);
    }

    #[test]
    fn wrong_arguments() {
        table(&[
            ("str(a),sha2(1)", "error: sha2: expected 224, 256, 384 or 512 bits, found 1"),
            (
                "str(a),digest(nope)",
                "error: digest: unknown digest \"nope\", for example md5, sha1, sha256, sha512",
            ),
            ("str(a),hmac(md5,!)", "error: hmac: the key \"!\" is neither base64 nor a variable"),
            ("str(a),hmac(md5)", "error: \"hmac\" needs text or a variable as argument 2"),
            ("str(a),xxh32(x)", "error: argument 1 of \"xxh32\": expected an integer, found \"x\""),
        ]);
    }
}
