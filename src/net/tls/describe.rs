//! Certificates, revocation lists and OCSP answers in words, as the command socket shows them.

use lighterman_wire::ocsp::{self, Responder, Status};
use openssl::asn1::{Asn1Object, Asn1StringRef, Asn1Time};
use openssl::hash::MessageDigest;
use openssl::pkey::Id;
use openssl::x509::{X509Crl, X509Name, X509NameRef, X509Ref};

/// Revoked certificates of a list that are shown.
const REVOKED_SHOWN: usize = 100_000;

/// Bytes in capital hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// A distinguished name on one line, `/C=FR/O=...`.
pub fn name(name: &X509NameRef) -> String {
    let mut all = String::new();
    for entry in name.entries() {
        let word = entry.object().nid().short_name().unwrap_or("UNDEF");
        all.push_str(&format!("/{word}={}", plain(entry.data())));
    }
    all
}

/// Text of a certificate without what could pass for another line of the answer.
fn plain(text: &Asn1StringRef) -> String {
    let text = text.to_string().unwrap_or_default();
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// What there is to know of a certificate, a line each.
pub fn certificate(cert: &X509Ref) -> String {
    let serial = cert.serial_number().to_bn().map_or(Vec::new(), |number| number.to_vec());
    let names: Vec<String> = cert
        .subject_alt_names()
        .iter()
        .flatten()
        .filter_map(|name| {
            let text: String = name.dnsname()?.chars().filter(|c| !c.is_control()).collect();
            Some(format!("DNS:{text}"))
        })
        .collect();
    let algorithm = cert.public_key().map_or_else(
        |_| "unknown".to_owned(),
        |key| match key.id() {
            Id::RSA | Id::RSA_PSS => format!("RSA{}", key.bits()),
            Id::EC => format!("EC{}", key.bits()),
            Id::DSA => format!("DSA{}", key.bits()),
            other => openssl::nid::Nid::from_raw(other.as_raw()).short_name().unwrap_or("unknown").to_owned(),
        },
    );
    let print = cert.digest(MessageDigest::sha1()).map_or_else(|_| String::new(), |print| hex(&print));
    format!(
        "Serial: {}\nnotBefore: {}\nnotAfter: {}\nSubject Alternative Name: {}\nAlgorithm: {algorithm}\n\
         SHA1 FingerPrint: {print}\nSubject: {}\nIssuer: {}\n",
        hex(&serial),
        cert.not_before(),
        cert.not_after(),
        names.join(", "),
        name(cert.subject_name()),
        name(cert.issuer_name()),
    )
}

/// What there is to know of a revocation list (DER), a line each; `None` when it does not parse.
pub fn revocations(der: &[u8]) -> Option<String> {
    let list = X509Crl::from_der(der).ok()?;
    let outline = lighterman_wire::x509::crl_outline(der)?;
    let mut out = format!(
        "Version {}\nSignature Algorithm: {}\nIssuer: {}\nLast Update: {}\nNext Update: {}\n",
        outline.version,
        algorithm(outline.algorithm),
        name(list.issuer_name()),
        list.last_update(),
        list.next_update().map_or_else(|| "NONE".to_owned(), |time| time.to_string()),
    );
    match list.get_revoked().filter(|revoked| !revoked.is_empty()) {
        None => out.push_str("No Revoked Certificates.\n"),
        Some(revoked) => {
            out.push_str("Revoked Certificates:\n");
            for one in revoked.iter().take(REVOKED_SHOWN) {
                let serial = one.serial_number().to_bn().map_or(Vec::new(), |number| number.to_vec());
                out.push_str(&format!(
                    "    Serial Number: {}\n        Revocation Date: {}\n",
                    hex(&serial),
                    one.revocation_date()
                ));
            }
        }
    }
    Some(out)
}

/// A serial number, from the contents of its INTEGER.
pub fn serial(contents: &[u8]) -> String {
    match contents {
        [0, rest @ ..] if !rest.is_empty() => hex(rest),
        all => hex(all),
    }
}

/// An OCSP answer, as `openssl ocsp -resp_text` begins it; `None` when it does not parse.
pub fn ocsp(bytes: &[u8]) -> Option<String> {
    let answers = ocsp::parse(bytes).ok()?;
    let responder = match answers.responder {
        Responder::Name(der) => X509Name::from_der(der).map_or_else(|_| hex(der), |name| spaced(&name)),
        Responder::Key(key) => hex(key),
    };
    let mut out = format!(
        "OCSP Response Data:\n    OCSP Response Status: successful (0x0)\n    Response Type: Basic OCSP Response\n    \
         Version: 1 (0x0)\n    Responder Id: {responder}\n    Produced At: {}\n    Responses:\n",
        date(answers.produced)
    );
    for single in &answers.singles {
        let status = match single.status {
            Status::Good => "good",
            Status::Revoked => "revoked",
            Status::Unknown => "unknown",
        };
        out.push_str(&format!(
            "    Certificate ID:\n      Hash Algorithm: {}\n      Issuer Name Hash: {}\n      Issuer Key Hash: {}\n      \
             Serial Number: {}\n    Cert Status: {status}\n    This Update: {}\n",
            algorithm(single.hash),
            hex(single.issuer_name_hash),
            hex(single.issuer_key_hash),
            serial(single.serial),
            date(single.this_update),
        ));
        if let Some(until) = single.next_update {
            out.push_str(&format!("    Next Update: {}\n", date(until)));
        }
    }
    out.push_str(&format!("    Signature Algorithm: {}\n", algorithm(answers.algorithm)));
    Some(out)
}

/// What people call an algorithm, from its object identifier.
fn algorithm(oid: &[u8]) -> String {
    let dotted = lighterman_wire::x509::dotted(oid).unwrap_or_default();
    let object = Asn1Object::from_str(&dotted).ok();
    let known = object.as_ref().and_then(|object| object.nid().long_name().ok());
    known.map_or(dotted, str::to_owned)
}

/// A date as the library writes it.
fn date(unix_s: u64) -> String {
    let time = i64::try_from(unix_s).ok().and_then(|time| Asn1Time::from_unix(time).ok());
    time.map_or_else(|| "NONE".to_owned(), |time| time.to_string())
}

/// A distinguished name as `O = Test, CN = ca1`.
fn spaced(name: &X509NameRef) -> String {
    let entries = name.entries().map(|entry| {
        let word = entry.object().nid().short_name().unwrap_or("UNDEF");
        format!("{word} = {}", plain(entry.data()))
    });
    entries.collect::<Vec<_>>().join(", ")
}
