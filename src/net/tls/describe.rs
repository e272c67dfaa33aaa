//! Certificates and revocation lists in words, as the command socket shows them.

use openssl::asn1::{Asn1Object, Asn1StringRef};
use openssl::hash::MessageDigest;
use openssl::pkey::Id;
use openssl::x509::{X509Crl, X509NameRef, X509Ref};

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
    let algorithm = Asn1Object::from_str(&outline.algorithm).ok();
    let algorithm = algorithm.as_ref().and_then(|object| object.nid().long_name().ok());
    let mut out = format!(
        "Version {}\nSignature Algorithm: {}\nIssuer: {}\nLast Update: {}\nNext Update: {}\n",
        outline.version,
        algorithm.unwrap_or(&outline.algorithm),
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
