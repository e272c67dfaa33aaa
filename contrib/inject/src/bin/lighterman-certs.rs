//! Makes certificates by the hundred thousand, to measure with: `lighterman-certs <directory> <count>`.
//!
//! Each is a P-256 certificate for `n<number>.example.test` and `www.n<number>.example.test`, signed by itself, in a PEM file
//! of its own with its key. The names are written to `<directory>.names`, one a line, for `--sni-list`.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509NameBuilder, X509};

/// A certificate is good for so many days.
const DAYS: u32 = 3650;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, count] = args.as_slice() else {
        eprintln!("usage: lighterman-certs <directory> <count>");
        return ExitCode::from(2);
    };
    let Ok(count) = count.parse::<u32>() else {
        eprintln!("{count:?}: want a number");
        return ExitCode::from(2);
    };
    match make(dir, count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{dir}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn make(dir: &str, count: u32) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut names =
        std::io::BufWriter::new(fs::File::create(format!("{}.names", dir.trim_end_matches('/')))?);
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let part = |first: u32| (first..count).step_by(cores as usize).try_for_each(|n| one(Path::new(dir), n));
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..cores).map(|first| scope.spawn(move || part(first))).collect();
        parts
            .into_iter()
            .try_for_each(|part| part.join().unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into())))
    })?;
    (0..count).try_for_each(|n| writeln!(names, "n{n}.example.test"))?;
    names.flush()
}

fn one(dir: &Path, n: u32) -> std::io::Result<()> {
    let name = format!("n{n}.example.test");
    fs::write(dir.join(format!("{name}.pem")), pem(&name, n)?)
}

fn pem(name: &str, n: u32) -> Result<Vec<u8>, ErrorStack> {
    let key = PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?)?)?;
    let mut subject = X509NameBuilder::new()?;
    subject.append_entry_by_nid(Nid::COMMONNAME, name)?;
    let subject = subject.build();
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*BigNum::from_u32(n + 1)?.to_asn1_integer()?)?;
    builder.set_subject_name(&subject)?;
    builder.set_issuer_name(&subject)?;
    builder.set_not_before(&*Asn1Time::days_from_now(0)?)?;
    builder.set_not_after(&*Asn1Time::days_from_now(DAYS)?)?;
    builder.set_pubkey(&key)?;
    let names = SubjectAlternativeName::new()
        .dns(name)
        .dns(&format!("www.{name}"))
        .build(&builder.x509v3_context(None, None))?;
    builder.append_extension(names)?;
    builder.sign(&key, MessageDigest::sha256())?;
    let mut text = builder.build().to_pem()?;
    text.extend(key.private_key_to_pem_pkcs8()?);
    Ok(text)
}
