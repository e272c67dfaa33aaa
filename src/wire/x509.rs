//! Certificates and private keys in DER (X.690, RFC 5280, RFC 5958, RFC 5915, RFC 8017), as far as indexing needs them:
//! names, validity, which key.
//!
//! Called by the certificate store for each file of a directory, a hundred thousand times at a first start: it walks the
//! bytes once and copies nothing. It proves no signature and builds no path; what it cannot make out is `None`, and the caller
//! asks the TLS library instead. Lengths of indefinite form, and bytes behind the end, are refused.

use crate::der::{tag, Der};

/// Tags that only certificates and keys have.
mod own {
    /// UTF8String.
    pub(super) const UTF8: u8 = 0x0c;
    /// PrintableString.
    pub(super) const PRINTABLE: u8 = 0x13;
    /// IA5String.
    pub(super) const IA5: u8 = 0x16;
    /// `[2]`, primitive: dNSName of RFC 5280 section 4.2.1.6.
    pub(super) const DNS_NAME: u8 = 0x82;
}

/// rsaEncryption, 1.2.840.113549.1.1.1.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// id-ecPublicKey, 1.2.840.10045.2.1.
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// id-dsa, 1.2.840.10040.4.1.
const DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01];
/// subjectAltName, 2.5.29.17.
const ALT_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
/// commonName, 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// What identifies a key, the same in its certificate and in its private form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyMark<'d> {
    /// The modulus.
    Rsa(&'d [u8]),
    /// The public point.
    Ec(&'d [u8]),
    /// DSA, which TLS 1.3 and today's libraries have given up.
    Dsa,
}

/// A text in an alphabet that is not read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unread;

/// What indexing wants to know of a certificate.
#[derive(Debug, Clone, Copy)]
pub struct Certificate<'d> {
    /// Seconds since 1970 from which it is valid.
    pub not_before: i64,
    /// Seconds since 1970 until which it is valid.
    pub not_after: i64,
    /// Its key; `None` for kinds that are not compared here.
    pub key: Option<KeyMark<'d>>,
    subject: &'d [u8],
    alt_names: &'d [u8],
}

impl<'d> Certificate<'d> {
    /// Reads a certificate (RFC 5280 section 4.1).
    pub fn parse(der: &'d [u8]) -> Option<Certificate<'d>> {
        let mut outer = Der::new(der);
        let mut whole = Der::new(outer.take(tag::SEQUENCE)?);
        if !outer.is_empty() {
            return None;
        }
        let mut body = Der::new(whole.take(tag::SEQUENCE)?);
        body.take(tag::context(0));
        body.take(tag::INTEGER)?;
        body.take(tag::SEQUENCE)?;
        body.take(tag::SEQUENCE)?;
        let mut validity = Der::new(body.take(tag::SEQUENCE)?);
        let not_before = time(validity.next()?)?;
        let not_after = time(validity.next()?)?;
        let subject = body.take(tag::SEQUENCE)?;
        let key = public_key(body.take(tag::SEQUENCE)?)?;
        let mut alt_names: &[u8] = &[];
        while !body.is_empty() {
            let (kind, inside, _) = body.next()?;
            if kind == tag::context(3) {
                alt_names = alt_names_of(inside)?;
            }
        }
        Some(Certificate { not_before, not_after, key: key.known(), subject, alt_names })
    }

    /// DNS names of the subject alternative names, as they are written.
    pub fn dns_names(&self) -> impl Iterator<Item = &'d [u8]> {
        let mut names = Der::new(self.alt_names);
        std::iter::from_fn(move || names.next())
            .filter(|(kind, ..)| *kind == own::DNS_NAME)
            .map(|(_, name, _)| name)
    }

    /// The last common name of the subject. `Err` when there is one in an alphabet that is not read here.
    pub fn common_name(&self) -> Result<Option<&'d [u8]>, Unread> {
        let mut found = Ok(None);
        let mut sets = Der::new(self.subject);
        while let Some((_, set, _)) = sets.next() {
            let mut pairs = Der::new(set);
            while let Some((_, pair, _)) = pairs.next() {
                let mut pair = Der::new(pair);
                if pair.take(tag::OBJECT) != Some(COMMON_NAME) {
                    continue;
                }
                found = match pair.next() {
                    Some((own::UTF8 | own::PRINTABLE | own::IA5, text, _)) => Ok(Some(text)),
                    _ => Err(Unread),
                };
            }
        }
        found
    }
}

/// The outside of a revocation list (RFC 5280 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrlOutline<'d> {
    /// 1 or 2.
    pub version: u8,
    /// What signed it: the contents of an object identifier.
    pub algorithm: &'d [u8],
}

/// Reads the outside of a revocation list in DER.
pub fn crl_outline(der: &[u8]) -> Option<CrlOutline<'_>> {
    let mut body = Der::new(der).enter(tag::SEQUENCE)?.enter(tag::SEQUENCE)?;
    let version = match body.take(tag::INTEGER) {
        None => 1,
        Some([number]) => number.checked_add(1)?,
        Some(_) => return None,
    };
    let algorithm = body.enter(tag::SEQUENCE)?.take(tag::OBJECT)?;
    Some(CrlOutline { version, algorithm })
}

/// An object identifier as people write it (X.690 8.19).
pub fn dotted(oid: &[u8]) -> Option<String> {
    let mut numbers: Vec<u64> = Vec::new();
    let mut number = 0u64;
    let (last, _) = oid.split_last()?;
    if last & 0x80 != 0 {
        return None;
    }
    for byte in oid {
        number = number.checked_mul(128)?.checked_add(u64::from(byte & 0x7f))?;
        if byte & 0x80 == 0 {
            if numbers.is_empty() {
                let first = (number / 40).min(2);
                numbers.push(first);
                number -= first * 40;
            }
            numbers.push(std::mem::take(&mut number));
        }
    }
    let words: Vec<String> = numbers.iter().map(u64::to_string).collect();
    Some(words.join("."))
}

/// A key whose kind is not compared here is no fault of the certificate.
enum Public<'d> {
    Known(KeyMark<'d>),
    Other,
}

impl<'d> Public<'d> {
    fn known(self) -> Option<KeyMark<'d>> {
        match self {
            Public::Known(mark) => Some(mark),
            Public::Other => None,
        }
    }
}

/// SubjectPublicKeyInfo, without its outer tag.
fn public_key(body: &[u8]) -> Option<Public<'_>> {
    let mut body = Der::new(body);
    let algorithm = Der::new(body.take(tag::SEQUENCE)?).take(tag::OBJECT)?;
    let (unused, key) = body.take(tag::BITS)?.split_first()?;
    if *unused != 0 {
        return None;
    }
    Some(match algorithm {
        RSA => Public::Known(KeyMark::Rsa(Der::new(Der::new(key).take(tag::SEQUENCE)?).take(tag::INTEGER)?)),
        EC => Public::Known(KeyMark::Ec(key)),
        DSA => Public::Known(KeyMark::Dsa),
        _ => Public::Other,
    })
}

/// What identifies a private key: PKCS#8, SEC 1 or PKCS#1. `None` when it does not say, or is of another kind.
pub fn private_key(der: &[u8]) -> Option<KeyMark<'_>> {
    let mut body = Der::new(Der::new(der).take(tag::SEQUENCE)?);
    body.take(tag::INTEGER)?;
    match body.peek()? {
        tag::INTEGER => Some(KeyMark::Rsa(body.take(tag::INTEGER)?)),
        tag::OCTETS => ec_point(body),
        tag::SEQUENCE => {
            let algorithm = Der::new(body.take(tag::SEQUENCE)?).take(tag::OBJECT)?;
            let mut inner = Der::new(Der::new(body.take(tag::OCTETS)?).take(tag::SEQUENCE)?);
            inner.take(tag::INTEGER)?;
            match algorithm {
                RSA => Some(KeyMark::Rsa(inner.take(tag::INTEGER)?)),
                EC => ec_point(inner),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The public key in an ECPrivateKey (RFC 5915), behind its version; it is optional there.
fn ec_point(mut body: Der<'_>) -> Option<KeyMark<'_>> {
    body.take(tag::OCTETS)?;
    body.take(tag::context(0));
    let bits = body.enter(tag::context(1))?.take(tag::BITS)?;
    let (unused, point) = bits.split_first()?;
    (*unused == 0).then_some(KeyMark::Ec(point))
}

fn alt_names_of(extensions: &[u8]) -> Option<&[u8]> {
    let mut list = Der::new(Der::new(extensions).take(tag::SEQUENCE)?);
    while !list.is_empty() {
        let mut extension = Der::new(list.take(tag::SEQUENCE)?);
        if extension.take(tag::OBJECT)? != ALT_NAMES {
            continue;
        }
        // the critical flag may stand between
        let value = extension.take(tag::OCTETS).or_else(|| {
            extension.next()?;
            extension.take(tag::OCTETS)
        });
        return Der::new(value?).take(tag::SEQUENCE);
    }
    Some(&[])
}

/// Seconds since 1970 (RFC 5280 section 4.1.2.5: always to the second, always `Z`).
fn time((kind, text, _): (u8, &[u8], &[u8])) -> Option<i64> {
    let (digits, century) = match kind {
        tag::UTC_TIME => (text, None),
        tag::TIME => {
            let (century, rest) = text.split_at_checked(2)?;
            (rest, Some(pair(century)?))
        }
        _ => return None,
    };
    let (digits, zone) = digits.split_at_checked(12)?;
    if zone != b"Z" {
        return None;
    }
    let mut pairs = digits.chunks_exact(2).map(pair);
    let mut next = || pairs.next()?;
    let short = next()?;
    let year = match century {
        Some(century) => century * 100 + short,
        None if short >= 50 => 1900 + short,
        None => 2000 + short,
    };
    let (month, day) = (next()?, next()?);
    let (hour, minute, second) = (next()?, next()?, next()?);
    let fits =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    fits.then(|| days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

fn pair(digits: &[u8]) -> Option<i64> {
    match digits {
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some(i64::from(a - b'0') * 10 + i64::from(b - b'0')),
        _ => None,
    }
}

/// Days since 1970 in the Gregorian calendar; years begin in March, so that the leap day is the last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let since_march = (month + 9) % 12;
    let in_year = (153 * since_march + 2) / 5 + day - 1;
    let era = year.div_euclid(400);
    let in_era = year.rem_euclid(400);
    era * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719_468
}

/// For fuzzing: any bytes as certificate and as key.
pub fn fuzz_x509(bytes: &[u8]) {
    if let Some(certificate) = Certificate::parse(bytes) {
        assert!(certificate.dns_names().all(|name| name.len() < bytes.len()));
        let _ = certificate.common_name();
    }
    if let Some(outline) = crl_outline(bytes) {
        let _ = dotted(outline.algorithm);
    }
    if let Some(KeyMark::Rsa(mark) | KeyMark::Ec(mark)) = private_key(bytes) {
        assert!(mark.len() < bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_identifiers_are_written_with_dots() {
        let rows: &[(&[u8], Option<&str>)] = &[
            (RSA, Some("1.2.840.113549.1.1.1")),
            (COMMON_NAME, Some("2.5.4.3")),
            (&[0x88, 0x37], Some("2.999")),
            (&[], None),
            (&[0x80], None),
            (&[0xff; 12], None),
        ];
        for (oid, expected) in rows {
            assert_eq!(dotted(oid).as_deref(), *expected, "{oid:?}");
        }
    }

    #[test]
    fn times_are_read() {
        let utc = |text: &'static [u8]| time((tag::UTC_TIME, text, text));
        let long = |text: &'static [u8]| time((tag::TIME, text, text));
        assert_eq!(utc(b"700101000000Z"), Some(0));
        assert_eq!(utc(b"491231235959Z"), Some(2_524_607_999));
        assert_eq!(utc(b"500101000000Z"), Some(-631_152_000));
        assert_eq!(utc(b"240229120000Z"), Some(1_709_208_000));
        assert_eq!(long(b"20500101000000Z"), Some(2_524_608_000));
        assert_eq!(long(b"99991231235959Z"), Some(253_402_300_799));
        for bad in [
            &b"240229120000"[..],
            b"2402291200Z",
            b"241329120000Z",
            b"24022912000xZ",
            b"",
            b"240229120000+0100",
        ] {
            assert_eq!(utc(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_fuzz_corpus_does_no_harm() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/x509");
        let mut seen = (0, 0);
        for file in std::fs::read_dir(dir).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            seen.0 += usize::from(Certificate::parse(&bytes).is_some());
            seen.1 += usize::from(private_key(&bytes).is_some());
            for end in 0..bytes.len() {
                fuzz_x509(&bytes[..end]);
            }
            for place in 0..bytes.len() {
                let mut bent = bytes.clone();
                bent[place] ^= 0x81;
                fuzz_x509(&bent);
            }
        }
        assert!(seen.0 >= 3 && seen.1 >= 3, "{seen:?}");
    }
}
