//! Indexes made, damaged and read again; directories that change; selection by table; certificates over a line.

use std::path::Path;

use super::build::{Builder, Facts};
use super::index::{Bytes, Index, IndexFault};
use super::select::{select, How, Passed};
use crate::net::tls::certs::KeyKind;
use crate::net::tls::hello::Can;

const BOTH: Can = Can { ec: true };
const ONLY_RSA: Can = Can { ec: false };
pub(super) const NOW: i64 = 1000;

fn facts(kind: KeyKind, times: (i64, i64), flags: u8) -> Facts {
    Facts { kind, flags, not_before: times.0, not_after: times.1, mark: 1, stamp: 2, options: 0 }
}

/// An index of certificates: kind, validity, names; `!` stands before exceptions, `default` marks.
pub(super) fn index(certs: &[(KeyKind, (i64, i64), &str)]) -> Index {
    let mut builder = Builder::new(None, 0);
    for (number, (kind, times, names)) in certs.iter().enumerate() {
        let words = || names.split_whitespace();
        let flags = u8::from(words().any(|word| word == "default"));
        let own = words().filter(|word| !word.starts_with('!') && *word != "default").map(str::as_bytes);
        let except = words().filter_map(|word| word.strip_prefix('!')).map(str::as_bytes);
        let file = format!("{number}.pem");
        assert_eq!(
            builder.add(&facts(*kind, *times, flags), file.as_bytes(), own, except),
            Some(number as u32)
        );
    }
    Index::open(Bytes::Own(builder.bytes())).unwrap()
}

const ALWAYS: (i64, i64) = (0, 2000);
pub(super) const OVER: (i64, i64) = (0, 999);
const LATER: (i64, i64) = (1001, 2000);

#[test]
fn names_choose_certificates() {
    use KeyKind::{Ec, Rsa};
    let one = index(&[
        (Ec, ALWAYS, "first.test"),
        (Rsa, ALWAYS, "a.test www.a.test"),
        (Ec, ALWAYS, "a.test *.a.test"),
        (Ec, ALWAYS, "*.b.test exact.b.test"),
        (Ec, ALWAYS, "a.test"),
        (Rsa, ALWAYS, "first.test"),
        (Ec, OVER, "shop.c.test old.test"),
        (Ec, ALWAYS, "*.c.test"),
        (Ec, LATER, "soon.test"),
        (Rsa, OVER, "soon.test"),
        (Ec, ALWAYS, "*.d.test !not.d.test"),
        (Rsa, ALWAYS, "*.d.test"),
        (Ec, ALWAYS, "*.e.test !no.e.test"),
    ]);
    let rows: &[(&str, Can, How, Option<u32>)] = &[
        ("a.test", BOTH, How::Exact, Some(2)),
        ("a.test", ONLY_RSA, How::Exact, Some(1)),
        ("A.TEST.", BOTH, How::Exact, Some(2)),
        ("www.a.test", BOTH, How::Exact, Some(1)),
        ("x.a.test", BOTH, How::Wildcard, Some(2)),
        ("x.a.test", ONLY_RSA, How::Wildcard, Some(2)),
        ("x.y.a.test", BOTH, How::Unknown, Some(0)),
        (".a.test", BOTH, How::Unknown, Some(0)),
        ("b.test", BOTH, How::Unknown, Some(0)),
        ("y.b.test", BOTH, How::Wildcard, Some(3)),
        ("exact.b.test", BOTH, How::Exact, Some(3)),
        ("*.b.test", BOTH, How::Wildcard, Some(3)),
        ("shop.c.test", BOTH, How::Wildcard, Some(7)),
        ("old.test", BOTH, How::Exact, Some(6)),
        ("soon.test", BOTH, How::Exact, Some(8)),
        ("soon.test", ONLY_RSA, How::Exact, Some(9)),
        ("x.d.test", BOTH, How::Wildcard, Some(10)),
        ("not.d.test", BOTH, How::Wildcard, Some(11)),
        ("no.e.test", BOTH, How::Unknown, Some(0)),
        ("", BOTH, How::BadName, Some(0)),
        (".", BOTH, How::BadName, Some(0)),
        ("a b", BOTH, How::BadName, Some(0)),
        ("bücher.test", BOTH, How::BadName, Some(0)),
        ("xn--bcher-kva.test", BOTH, How::Unknown, Some(0)),
        ("nothing", ONLY_RSA, How::Unknown, Some(5)),
        ("10.0.0.1", BOTH, How::Unknown, Some(0)),
        ("[::1]", BOTH, How::Unknown, Some(0)),
    ];
    for (name, can, how, expected) in rows {
        let choice = select([&one].into_iter(), Some(name.as_bytes()), *can, NOW);
        let best = choice.candidates.first().map(|candidate| candidate.entry);
        assert_eq!((choice.how, best), (*how, *expected), "{name:?}, EC: {}", can.ec);
    }
    for name in [&[0xff; 20][..], &[b'a'; 300], &[b'a'; 254], &[0; 3]] {
        assert_eq!(select([&one].into_iter(), Some(name), BOTH, NOW).how, How::BadName);
    }
    assert_eq!(select([&one].into_iter(), None, BOTH, NOW).how, How::NoName);
    assert!(select([].into_iter(), Some(b"a.test"), BOTH, NOW).candidates.is_empty());
}

#[test]
fn sources_come_in_order_and_reasons_are_told() {
    use KeyKind::{Ec, Rsa};
    let first = index(&[(Rsa, ALWAYS, "*.a.test"), (Ec, OVER, "x.a.test")]);
    let second =
        index(&[(Ec, ALWAYS, "x.a.test"), (Rsa, ALWAYS, "x.a.test"), (Ec, ALWAYS, "x.a.test default")]);
    let choice = select([&first, &second].into_iter(), Some(b"x.a.test"), BOTH, NOW);
    let order: Vec<(u32, u32)> = choice.candidates.iter().map(|c| (c.source, c.entry)).collect();
    assert_eq!(order, [(1, 0), (1, 2), (1, 1), (0, 0), (0, 1)]);
    let winner = choice.candidates[0];
    let why: Vec<Passed> = choice.candidates[1..].iter().map(|c| c.passed(&winner, BOTH, NOW)).collect();
    assert_eq!(why, [Passed::Later, Passed::Rsa, Passed::Wildcard, Passed::Expired]);
    let old = select([&first, &second].into_iter(), Some(b"x.a.test"), ONLY_RSA, NOW);
    let winner = old.candidates[0];
    assert_eq!((winner.source, winner.entry), (1, 1));
    assert!(old.candidates.iter().any(|c| c.passed(&winner, ONLY_RSA, NOW) == Passed::Key));
    let other = select([&first, &second].into_iter(), Some(b"other"), BOTH, NOW);
    assert_eq!((other.how, other.candidates[0].entry, other.candidates.len()), (How::Unknown, 2, 1));
}

#[test]
fn an_index_keeps_what_it_was_given() {
    let mut builder = Builder::new(Some(Path::new("/certs")), 7);
    let names: Vec<String> = (0..10_000).map(|n| format!("n{n}.test")).collect();
    for n in 0..3 {
        let all = names.iter().map(String::as_bytes).chain([b"*.wild.test".as_slice()]);
        builder.add(&facts(KeyKind::Ec, ALWAYS, 0), format!("{n}.pem").as_bytes(), all, std::iter::empty());
    }
    let index = builder.finish().unwrap();
    assert_eq!((index.len(), index.name_count(), index.options()), (3, 10_001, 7));
    assert_eq!(index.dir(), Some(Path::new("/certs")));
    assert_eq!(index.file(&index.entry(2).unwrap()), Path::new("/certs/2.pem"));
    for name in &names {
        let found: Vec<(u32, bool)> = index.find(name.as_bytes(), false).collect();
        assert_eq!(found, [(0, true), (1, true), (2, true)]);
    }
    assert_eq!(index.find(b"wild.test", true).count(), 3);
    assert_eq!(index.find(b"wild.test", false).count(), 0);
    assert!(index.entry(3).is_none());
}

#[test]
fn foreign_and_damaged_indexes_are_refused() {
    let good = index(&[(KeyKind::Ec, ALWAYS, "a.test *.b.test"), (KeyKind::Rsa, ALWAYS, "a.test")]);
    let bytes = good.bytes().to_vec();
    let open = |bytes: Vec<u8>| Index::open(Bytes::Own(bytes)).map(|index| index.len());
    assert_eq!(open(bytes.clone()), Ok(2));
    for end in 0..bytes.len() {
        assert!(open(bytes[..end].to_vec()).is_err(), "{end}");
    }
    for place in 0..bytes.len() {
        let mut bent = bytes.clone();
        bent[place] ^= 1;
        let fault = if place < 12 { IndexFault::Foreign } else { IndexFault::Damaged };
        assert_eq!(open(bent), Err(fault), "{place}");
    }
}

#[test]
fn the_fuzz_corpus_does_no_harm() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus/cert_index");
    let mut seen = 0;
    for file in std::fs::read_dir(dir).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        seen += usize::from(Index::open(Bytes::Own(bytes.clone())).is_ok());
        super::index::fuzz_cert_index(&bytes);
        for place in 0..bytes.len() {
            for bit in [1, 0x80, 0xff] {
                let mut bent = bytes.clone();
                bent[place] ^= bit;
                super::index::fuzz_cert_index(&bent);
            }
        }
    }
    assert!(seen >= 1, "the corpus is there");
}
