//! OCSP (RFC 6960): what stapling must know of answers, and the questions that bring them. Read when a certificate is
//! loaded, when an operator gives an answer, and when a responder does; signatures are checked elsewhere.

use crate::der::{self, tag, Der};

/// What an answer says of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is valid.
    Good,
    /// It was revoked.
    Revoked,
    /// The responder does not know it.
    Unknown,
}

/// One answer about one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Single<'a> {
    /// Object identifier of the hash function, its contents.
    pub hash: &'a [u8],
    /// All that identifies the certificate, DER.
    pub id: &'a [u8],
    /// Hash of the issuer's name.
    pub issuer_name_hash: &'a [u8],
    /// Hash of the issuer's key.
    pub issuer_key_hash: &'a [u8],
    /// The certificate's serial number, the contents of the INTEGER.
    pub serial: &'a [u8],
    /// What is said.
    pub status: Status,
    /// Seconds since the epoch from which it counts.
    pub this_update: u64,
    /// Seconds since the epoch after which it does not count any more; `None`: nothing is promised.
    pub next_update: Option<u64>,
}

/// A message of answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers<'a> {
    /// Who answers: a name in DER, or the hash of a key.
    pub responder: Responder<'a>,
    /// Seconds since the epoch at which it was signed.
    pub produced: u64,
    /// What is said, at most 64 certificates of it.
    pub singles: Vec<Single<'a>>,
    /// Object identifier of the signature's algorithm, its contents.
    pub algorithm: &'a [u8],
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Responder<'a> {
    /// A distinguished name, DER.
    Name(&'a [u8]),
    /// The SHA-1 of a public key.
    Key(&'a [u8]),
}

/// Why bytes are no usable answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They do not parse.
    Malformed,
    /// The responder refused to answer: its status (RFC 6960 4.2.1).
    Refused(u8),
}

/// OID 1.3.6.1.5.5.7.48.1.1, id-pkix-ocsp-basic.
const BASIC: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
/// OID 1.3.14.3.2.26.
pub const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
/// OID 2.16.840.1.101.3.4.2.1.
pub const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];

/// The answers in an OCSPResponse in DER; at most 64 are looked at.
pub fn parse(bytes: &[u8]) -> Result<Answers<'_>, Fault> {
    let mut outer = Der::new(bytes).enter(tag::SEQUENCE).ok_or(Fault::Malformed)?;
    match outer.take(tag::ENUMERATED).ok_or(Fault::Malformed)? {
        [0] => {}
        [status] => return Err(Fault::Refused(*status)),
        _ => return Err(Fault::Malformed),
    }
    basic(outer).ok_or(Fault::Malformed)
}

/// More answers in one message are of no use for one certificate.
const ANSWERS_MAX: usize = 64;

fn basic(mut outer: Der<'_>) -> Option<Answers<'_>> {
    let mut typed = outer.enter(tag::context(0))?.enter(tag::SEQUENCE)?;
    if typed.take(tag::OBJECT)? != BASIC {
        return None;
    }
    let mut basic = Der::new(typed.take(tag::OCTETS)?).enter(tag::SEQUENCE)?;
    let mut data = basic.enter(tag::SEQUENCE)?;
    if data.peek() == Some(tag::context(0)) {
        data.next()?;
    }
    // Who answers, by name [1] or by key [2].
    let responder = match data.next()? {
        (kind, name, _) if kind == tag::context(1) => Responder::Name(name),
        (kind, key, _) if kind == tag::context(2) => Responder::Key(Der::new(key).take(tag::OCTETS)?),
        _ => return None,
    };
    let produced = der::time(data.take(tag::TIME)?)?;
    let mut answers = data.enter(tag::SEQUENCE)?;
    let mut singles = Vec::new();
    while !answers.is_empty() && singles.len() < ANSWERS_MAX {
        singles.push(single(answers.enter(tag::SEQUENCE)?)?);
    }
    let algorithm = basic.enter(tag::SEQUENCE)?.take(tag::OBJECT)?;
    (!singles.is_empty()).then_some(Answers { responder, produced, singles, algorithm })
}

fn single(mut der: Der<'_>) -> Option<Single<'_>> {
    let mut ahead = der;
    let (_, _, whole) = ahead.next()?;
    let mut id = der.enter(tag::SEQUENCE)?;
    let hash = id.enter(tag::SEQUENCE)?.take(tag::OBJECT)?;
    let issuer_name_hash = id.take(tag::OCTETS)?;
    let issuer_key_hash = id.take(tag::OCTETS)?;
    let serial = id.take(tag::INTEGER)?;
    let status = match der.next()? {
        (0x80, ..) => Status::Good,
        (0xa1, ..) => Status::Revoked,
        (0x82, ..) => Status::Unknown,
        _ => return None,
    };
    let this_update = der::time(der.take(tag::TIME)?)?;
    let next_update = match der.enter(tag::context(0)) {
        Some(mut inside) => Some(der::time(inside.take(tag::TIME)?)?),
        None => None,
    };
    let id = whole;
    Some(Single { hash, id, issuer_name_hash, issuer_key_hash, serial, status, this_update, next_update })
}

/// What a certificate is asked about by (CertID, RFC 6960 4.1.1), with hashes by SHA-1, which every responder knows.
/// `serial` is the contents of the INTEGER.
pub fn cert_id(issuer_name_hash: &[u8; 20], issuer_key_hash: &[u8; 20], serial: &[u8]) -> Vec<u8> {
    let algorithm = value(tag::SEQUENCE, &[&value(tag::OBJECT, SHA1), &[NULL, 0][..]].concat());
    let name = value(tag::OCTETS, issuer_name_hash);
    let key = value(tag::OCTETS, issuer_key_hash);
    value(tag::SEQUENCE, &[algorithm, name, key, value(tag::INTEGER, serial)].concat())
}

/// The question about one certificate (OCSPRequest, RFC 6960 4.1.1), unsigned and without a nonce: answers that were made
/// before are welcome.
pub fn request(cert_id: &[u8]) -> Vec<u8> {
    let list = value(tag::SEQUENCE, &value(tag::SEQUENCE, cert_id));
    value(tag::SEQUENCE, &value(tag::SEQUENCE, &list))
}

/// The tag of NULL.
const NULL: u8 = 5;

/// A value in DER; nothing here is as long as 64 KB.
fn value(tag: u8, inside: &[u8]) -> Vec<u8> {
    let len = inside.len();
    let mut out = vec![tag];
    match len {
        0..=0x7f => out.push(len as u8),
        0x80..=0xff => out.extend([0x81, len as u8]),
        _ => out.extend([0x82, (len >> 8) as u8, len as u8]),
    }
    out.extend(inside);
    out
}

/// For fuzzing: any bytes as an answer.
pub fn fuzz_ocsp(bytes: &[u8]) {
    if let Ok(answers) = parse(bytes) {
        assert!((1..=ANSWERS_MAX).contains(&answers.singles.len()));
        for single in &answers.singles {
            assert!(single.id.len() >= single.serial.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer as a responder makes it; `next` may be empty.
    fn answer(status: u8, this: &[u8], next: &[u8], version: bool) -> Vec<u8> {
        let algorithm = value(tag::SEQUENCE, &[value(tag::OBJECT, SHA1), vec![5, 0]].concat());
        let id = [
            algorithm,
            value(tag::OCTETS, &[1; 20]),
            value(tag::OCTETS, &[2; 20]),
            value(tag::INTEGER, &[0, 200, 1]),
        ];
        let revoked = value(tag::TIME, b"20260101000000Z");
        let inside: &[u8] = if status == 0xa1 { &revoked } else { &[] };
        let mut single =
            [value(tag::SEQUENCE, &id.concat()), value(status, inside), value(tag::TIME, this)].concat();
        if !next.is_empty() {
            single.extend(value(tag::context(0), &value(tag::TIME, next)));
        }
        let mut data = Vec::new();
        if version {
            data.extend(value(tag::context(0), &value(tag::INTEGER, &[0])));
        }
        data.extend(value(tag::context(2), &value(tag::OCTETS, &[3; 20])));
        data.extend(value(tag::TIME, b"20260101000000Z"));
        data.extend(value(tag::SEQUENCE, &value(tag::SEQUENCE, &single)));
        let basic = value(
            tag::SEQUENCE,
            &[value(tag::SEQUENCE, &data), value(tag::SEQUENCE, &value(tag::OBJECT, SHA256))].concat(),
        );
        let typed = [value(tag::OBJECT, BASIC), value(tag::OCTETS, &basic)].concat();
        let body = value(tag::context(0), &value(tag::SEQUENCE, &typed));
        value(tag::SEQUENCE, &[value(tag::ENUMERATED, &[0]), body].concat())
    }

    #[test]
    fn answers_are_read() {
        let (this, next) = (b"19700101000100Z", b"19700101010000Z");
        let rows = [
            (0x80, &next[..], false, Status::Good, Some(3600)),
            (0xa1, next, true, Status::Revoked, Some(3600)),
            (0x82, b"", false, Status::Unknown, None),
        ];
        for (status, next, version, expected, until) in rows {
            let bytes = answer(status, this, next, version);
            let id = cert_id(&[1; 20], &[2; 20], &[0, 200, 1]);
            let single = Single {
                hash: SHA1,
                id: &id,
                issuer_name_hash: &[1; 20],
                issuer_key_hash: &[2; 20],
                serial: &[0, 200, 1],
                status: expected,
                this_update: 60,
                next_update: until,
            };
            let expected = Answers {
                responder: Responder::Key(&[3; 20]),
                produced: 1_767_225_600,
                singles: vec![single],
                algorithm: SHA256,
            };
            assert_eq!(parse(&bytes), Ok(expected));
        }
    }

    #[test]
    fn questions_are_made() {
        let id = cert_id(&[1; 20], &[2; 20], &[0x7f]);
        assert_eq!(id.len(), 2 + 11 + 22 + 22 + 3);
        let question = request(&id);
        let mut inside = Der::new(&question);
        for _ in 0..4 {
            inside = inside.enter(tag::SEQUENCE).unwrap();
        }
        assert_eq!(inside.next().unwrap().2, id);
        assert_eq!(value(tag::OCTETS, &[0; 200])[..3], [4, 0x81, 200]);
        assert_eq!(value(tag::OCTETS, &[0; 300])[..4], [4, 0x82, 1, 44]);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        assert_eq!(parse(&value(tag::SEQUENCE, &value(tag::ENUMERATED, &[3]))), Err(Fault::Refused(3)));
        assert_eq!(parse(&value(tag::SEQUENCE, &value(tag::ENUMERATED, &[0]))), Err(Fault::Malformed));
        assert_eq!(parse(b""), Err(Fault::Malformed));
        assert_eq!(parse(b"-----BEGIN OCSP RESPONSE-----"), Err(Fault::Malformed));
        assert_eq!(parse(&answer(0x83, b"19700101000100Z", b"", false)), Err(Fault::Malformed));
        assert_eq!(parse(&answer(0x80, b"yesterday", b"", false)), Err(Fault::Malformed));
        // Cut short and with any byte changed: never a panic, and never read past the end.
        let whole = answer(0x80, b"19700101000100Z", b"19700101010000Z", true);
        for at in 0..whole.len() {
            assert_eq!(parse(&whole[..at]), Err(Fault::Malformed), "{at}");
            for change in [0x01, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                fuzz_ocsp(&bytes);
            }
        }
    }

    #[test]
    fn answers_of_a_real_responder_are_read() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/ocsp");
        let read = |name: &str| std::fs::read(dir.join(name)).unwrap();
        for (name, status, ends) in [
            ("good", Status::Good, true),
            ("revoked", Status::Revoked, true),
            ("unknown_endless", Status::Unknown, false),
        ] {
            let bytes = read(name);
            let answers = parse(&bytes).unwrap().singles;
            assert_eq!((answers[0].status, answers[0].next_update.is_some()), (status, ends), "{name}");
            assert_eq!((answers[0].hash, answers[0].serial), (SHA1, &[0, 200, 1][..]), "{name}");
        }
        for seed in std::fs::read_dir(&dir).unwrap() {
            fuzz_ocsp(&std::fs::read(seed.unwrap().path()).unwrap());
        }
    }
}
