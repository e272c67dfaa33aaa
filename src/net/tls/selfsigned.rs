//! Certificates made on the spot: for `--listen` without `--crt`, and for tests.

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, PKeyRef, Private};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, SubjectAlternativeName};
use openssl::x509::{X509Name, X509NameBuilder, X509};

/// Days a certificate made on the spot is good for.
const DAYS: u32 = 30;

/// PEM text with key and certificate for these names, signed by itself.
pub fn self_signed(names: &[&str]) -> Result<Vec<u8>, ErrorStack> {
    let key = p256()?;
    let cert = certificate(names, &key, None, DAYS)?;
    let mut pem = key.private_key_to_pem_pkcs8()?;
    pem.extend(cert.to_pem()?);
    Ok(pem)
}

/// A new P-256 key.
pub fn p256() -> Result<PKey<Private>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    PKey::from_ec_key(EcKey::generate(&group)?)
}

/// A certificate for `names` (the first one is the common name, all of them alternative names), signed by `issuer` with its
/// key, or by itself. A single name without a dot makes an authority: it may sign others and has no alternative
/// names. Good for `days`; 0 makes one that has expired long ago.
pub fn certificate(
    names: &[&str],
    key: &PKeyRef<Private>,
    issuer: Option<(&X509, &PKeyRef<Private>)>,
    days: u32,
) -> Result<X509, ErrorStack> {
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    builder.set_serial_number(serial.to_asn1_integer()?.as_ref())?;
    let subject = common_name(names.first().copied().unwrap_or("lighterman"))?;
    builder.set_subject_name(&subject)?;
    builder.set_issuer_name(issuer.map_or(subject.as_ref(), |(cert, _)| cert.subject_name()))?;
    let (from, until) = match days {
        0 => (Asn1Time::from_unix(0)?, Asn1Time::from_unix(86400)?),
        days => (Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(days)?),
    };
    builder.set_not_before(&from)?;
    builder.set_not_after(&until)?;
    builder.set_pubkey(key)?;
    if let [name] = names {
        if !name.contains('.') {
            builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        }
    }
    builder.append_extension(ExtendedKeyUsage::new().server_auth().client_auth().build()?)?;
    let mut others = SubjectAlternativeName::new();
    for name in names {
        match name.parse::<std::net::IpAddr>() {
            Ok(_) => others.ip(name),
            Err(_) => others.dns(name),
        };
    }
    if names.iter().any(|name| name.contains('.')) {
        let extension = others.build(&builder.x509v3_context(None, None))?;
        builder.append_extension(extension)?;
    }
    builder.sign(issuer.map_or(key, |(_, key)| key), MessageDigest::sha256())?;
    Ok(builder.build())
}

fn common_name(name: &str) -> Result<X509Name, ErrorStack> {
    let mut subject = X509NameBuilder::new()?;
    subject.append_entry_by_nid(Nid::COMMONNAME, name)?;
    Ok(subject.build())
}
