//! What a client offered in its ClientHello, kept under `tune.ssl.capture-buffer-size`: for fingerprints and for logs.

use lighterman_sys::tls::cipher_by_number;
use lighterman_wire::client_hello::is_grease;

use super::{Fetch, Needs};
use crate::base::text;
use crate::expr::args::{Args, Kind};
use crate::expr::sample::{Data, Got, Sample, Scratch, Ty};
use crate::expr::view::{Facts, HelloFacts, TlsView};

/// Lists of numbers of two bytes: name, usage, field, what it is.
macro_rules! lists {
    ($($kw:literal $usage:literal $field:ident $brief:literal;)*) => {
        /// The rows of lists.
        pub const LIST_ROWS: &[Fetch] = &[$(
            Fetch::new($kw, Ty::Bin, Needs::SESS, |f, a| binary(numbers(f, a, |hello| &hello.$field)), $brief)
                .args($usage, 0, &[Kind::Int])
                .text(FILTER),
        )*];
    };
}

const FILTER: &str =
    "Needs \"tune.ssl.capture-buffer-size\". Two bytes each; with 1 as argument without values that clients \
                      throw in to keep servers tolerant (RFC 8701).";
const KEPT: &str = "Needs \"tune.ssl.capture-buffer-size\".";

lists! {
    "ssl_fc_cipherlist_bin" "ssl_fc_cipherlist_bin([<filter>])" ciphers "cipher suites the client offered";
    "ssl_fc_eclist_bin" "ssl_fc_eclist_bin([<filter>])" groups "groups the client offered";
    "ssl_fc_extlist_bin" "ssl_fc_extlist_bin([<filter>])" extensions "extensions of the client's hello";
    "ssl_fc_sigalgs_bin" "ssl_fc_sigalgs_bin([<filter>])" sigalgs "signature algorithms the client offered";
    "ssl_fc_supported_versions_bin" "ssl_fc_supported_versions_bin([<filter>])" versions "versions the client offered";
}

/// The rows of this family beside the lists.
pub const ROWS: &[Fetch] = &[
    Fetch::new(
        "ssl_fc_cipherlist_hex",
        Ty::Str,
        Needs::SESS,
        |f, a| words(numbers(f, a, |hello| &hello.ciphers).map(|list| hex(&list))),
        "cipher suites the client offered, in hexadecimal digits",
    )
    .args("ssl_fc_cipherlist_hex([<filter>])", 0, &[Kind::Int])
    .text(FILTER),
    Fetch::new(
        "ssl_fc_cipherlist_str",
        Ty::Str,
        Needs::SESS,
        |f, a| words(numbers(f, a, |hello| &hello.ciphers).map(|list| names(&list))),
        "names of the cipher suites the client offered",
    )
    .args("ssl_fc_cipherlist_str([<filter>])", 0, &[Kind::Int])
    .text("Needs \"tune.ssl.capture-buffer-size\". With commas between; suites without a name as UNKNOWN(1a1a). With 1 as argument \
           without values that clients throw in to keep servers tolerant (RFC 8701)."),
    Fetch::new(
        "ssl_fc_cipherlist_xxh",
        Ty::Int,
        Needs::SESS,
        |f, _| hello(f).map_or(Got::None, |hello| Got::Some(Sample::Int(hello.ciphers_hash as i64))),
        "xxh64 of all cipher suites the client offered",
    )
    .text(KEPT),
    Fetch::new(
        "ssl_fc_ecformats_bin",
        Ty::Bin,
        Needs::SESS,
        |f, _| binary(hello(f).map(|hello| hello.formats.clone())),
        "formats of elliptic points the client offered",
    )
    .text(KEPT),
    Fetch::new(
        "ssl_fc_protocol_hello_id",
        Ty::Int,
        Needs::SESS,
        |f, _| hello(f).map_or(Got::None, |hello| Got::Some(Sample::Int(hello.version.into()))),
        "version number in the client's hello",
    )
    .text("Needs \"tune.ssl.capture-buffer-size\". 771 for TLS 1.2 and 1.3."),
];

fn hello<'a>(facts: &Facts<'a>) -> Option<&'a HelloFacts> {
    facts.tls.and_then(TlsView::hello)
}

/// A list of the hello, without GREASE when the argument is 1.
fn numbers(facts: &Facts<'_>, args: &Args, list: fn(&HelloFacts) -> &Vec<u8>) -> Option<Vec<u8>> {
    let list = list(hello(facts)?);
    if args.int(0, 0) != 1 {
        return Some(list.clone());
    }
    let known = |pair: &&[u8]| pair.first_chunk().is_some_and(|n| !is_grease(u16::from_be_bytes(*n)));
    Some(list.chunks(2).filter(known).flatten().copied().collect())
}

fn hex(bytes: &[u8]) -> String {
    let mut out = Vec::new();
    text::hex(&mut out, bytes);
    String::from_utf8(out).unwrap_or_default()
}

fn names(list: &[u8]) -> String {
    let name = |number: u16| match cipher_by_number(number) {
        Some(name) => name.to_owned(),
        None => format!("UNKNOWN({number:04x})"),
    };
    let pairs = list.chunks_exact(2).filter_map(|pair| pair.first_chunk().copied());
    let names: Vec<String> = pairs.map(u16::from_be_bytes).map(name).collect();
    names.join(",")
}

fn binary<'a>(bytes: Option<Vec<u8>>) -> Got<'a> {
    bytes.map_or(Got::None, |b| Got::Some(Sample::Bin(Data::Own(Scratch::of(&b)))))
}

fn words<'a>(text: Option<String>) -> Got<'a> {
    text.map_or(Got::None, |t| Got::Some(Sample::Str(Data::Own(Scratch::of(t.as_bytes())))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_have_names() {
        assert_eq!(names(b"\x13\x01\xc0\x2b"), "TLS_AES_128_GCM_SHA256,ECDHE-ECDSA-AES128-GCM-SHA256");
        assert_eq!(names(b"\x1a\x1a"), "UNKNOWN(1a1a)");
        assert_eq!(names(b""), "");
        assert_eq!(hex(b"\x13\x01"), "1301");
    }
}
