//! Tests of the message floor: parsing, edits, framing, hops and cookies, and the corpus of the fuzzer.

mod corpus;
mod edit;
mod framing;
mod hop;
mod parse;

use super::*;
use lighterman_wire::error::Parse;
use lighterman_wire::h1::Violations;

fn loose() -> ParseOpts {
    ParseOpts { violations: Violations::Accept, ..ParseOpts::default() }
}

fn request(text: impl AsRef<[u8]>) -> Head {
    let mut head = Head::new();
    let text = text.as_ref();
    assert_eq!(
        head.parse_request(text, &ParseOpts::default()),
        Parse::Done((), text.len()),
        "{}",
        text.escape_ascii()
    );
    head
}

fn response(text: impl AsRef<[u8]>) -> Head {
    let mut head = Head::new();
    let text = text.as_ref();
    assert_eq!(
        head.parse_response(text, &ParseOpts::default()),
        Parse::Done((), text.len()),
        "{}",
        text.escape_ascii()
    );
    head
}

fn text(head: &Head) -> String {
    let mut out = Vec::new();
    head.encode(&mut out);
    assert_eq!(out.len(), head.encoded_len());
    let mut exact = vec![0; out.len()];
    assert_eq!(head.encode_into(&mut exact), Some(out.len()));
    assert_eq!(exact, out);
    if let Some(short) = exact.len().checked_sub(1) {
        assert_eq!(head.encode_into(&mut exact[..short]), None);
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn shown(head: &Head) -> Vec<(String, String)> {
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    head.fields().map(|(n, v)| (text(n), text(v))).collect()
}
