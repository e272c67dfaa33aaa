//! Certificate files and what stands beside them: what is read, and what an operator is told of what cannot be.

use std::fs;

use openssl::dsa::Dsa;
use openssl::ec::{EcGroup, EcKey};
use openssl::symm::Cipher;
use openssl::x509::X509Builder;

use super::super::selfsigned::{certificate, p256};
use super::super::store::scan;
use super::*;
use lighterman_wire::der::tag;

/// A directory that goes away with the test.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        let dir = std::env::temp_dir().join(format!("lm-certs-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Dir(dir)
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A message without the directory's name.
    fn short(&self, error: &CertError) -> String {
        error
            .to_string()
            .replace(&format!("{}/", self.0.display()), "")
            .replace(&self.0.display().to_string(), "DIR")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Authority, intermediate and leaf.
struct Line {
    root: X509,
    middle: X509,
    leaf: X509,
    key: PKey<Private>,
}

fn line() -> Line {
    let (root_key, middle_key, key) = (p256().unwrap(), p256().unwrap(), p256().unwrap());
    let root = certificate(&["root"], &root_key, None, 9).unwrap();
    let middle = certificate(&["middle"], &middle_key, Some((&root, &root_key)), 9).unwrap();
    let leaf = certificate(&["a.test"], &key, Some((&middle, &middle_key)), 9).unwrap();
    Line { root, middle, leaf, key }
}

fn key_pem(key: &PKey<Private>) -> Vec<u8> {
    key.private_key_to_pem_pkcs8().unwrap()
}

fn pem(certs: &[&X509]) -> Vec<u8> {
    certs.iter().flat_map(|cert| cert.to_pem().unwrap()).collect()
}

fn block(kind: &str, bytes: &[u8]) -> Vec<u8> {
    use base64::Engine;
    let body = base64::engine::general_purpose::STANDARD.encode(bytes);
    format!("-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n").into_bytes()
}

fn value(tag: u8, inside: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match inside.len() {
        len @ 0..=127 => out.push(len as u8),
        len => out.extend([0x82, (len >> 8) as u8, len as u8]),
    }
    out.extend(inside);
    out
}

/// An OCSP answer about `leaf` that counts until this time.
fn answer(leaf: &X509, status: u8, until: &str) -> Vec<u8> {
    let issuer = leaf.issuer_name().to_der().unwrap();
    let mut serial = leaf.serial_number().to_bn().unwrap().to_vec();
    serial.insert(0, 0);
    let algorithm = value(tag::SEQUENCE, &value(tag::OBJECT, lighterman_wire::ocsp::SHA1));
    let name = value(tag::OCTETS, &openssl::sha::sha1(&issuer));
    let id = [algorithm, name, value(tag::OCTETS, &[2; 20]), value(tag::INTEGER, &serial)];
    let mut single =
        [value(tag::SEQUENCE, &id.concat()), value(status, &[]), value(tag::TIME, b"20200101000000Z")]
            .concat();
    if !until.is_empty() {
        single.extend(value(tag::context(0), &value(tag::TIME, until.as_bytes())));
    }
    let answers = value(tag::SEQUENCE, &value(tag::SEQUENCE, &single));
    let responder = value(tag::context(2), &value(tag::OCTETS, &[3; 20]));
    let data = [responder, value(tag::TIME, b"20200101000000Z"), answers].concat();
    let signed = value(tag::SEQUENCE, &value(tag::OBJECT, lighterman_wire::ocsp::SHA256));
    let basic = value(tag::SEQUENCE, &[value(tag::SEQUENCE, &data), signed].concat());
    let oid = value(tag::OBJECT, &[0x2b, 6, 1, 5, 5, 7, 48, 1, 1]);
    let typed = value(tag::SEQUENCE, &[oid, value(tag::OCTETS, &basic)].concat());
    value(tag::SEQUENCE, &[value(tag::ENUMERATED, &[0]), value(tag::context(0), &typed)].concat())
}

fn read_all(file: &Path, extras: &Extras) -> Result<Cert, CertError> {
    load_files(&CrtFiles::new(file.to_owned()), &Files::new(extras).unwrap().0)
}

#[test]
fn every_bad_file_is_told_with_its_reason() {
    let dir = Dir::new("bad");
    let Line { leaf, key, .. } = line();
    let (crt, own_key) = (pem(&[&leaf]), key_pem(&key));
    let dsa = PKey::from_dsa(Dsa::generate(1024).unwrap()).unwrap();
    let locked = key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_128_cbc(), b"secret").unwrap();
    let old = EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap();
    let old_locked = old.private_key_to_pem_passphrase(Cipher::aes_128_cbc(), b"secret").unwrap();
    let encrypted = "the private key is encrypted; store it without a passphrase";
    let rows: &[(&str, Vec<u8>, &str)] = &[
        ("empty.pem", Vec::new(), "no certificate inside"),
        ("rubbish.pem", b"\x00\x01\x02".to_vec(), "no certificate inside"),
        ("cut.pem", crt[..90].to_vec(), "the PEM block that begins in line 1 has no end"),
        (
            "base64.pem",
            b"\n-----BEGIN CERTIFICATE-----\nMII*\n-----END CERTIFICATE-----\n".to_vec(),
            "the PEM block that begins in line 2 is damaged",
        ),
        (
            "der.pem",
            [&own_key[..], &block("CERTIFICATE", b"junk")].concat(),
            "certificate number 1 cannot be parsed",
        ),
        (
            "second.pem",
            [&own_key[..], &crt, &block("CERTIFICATE", &leaf.to_der().unwrap()[..80])].concat(),
            "certificate number 2 cannot be parsed",
        ),
        ("pkcs8.pem", [&crt[..], &locked].concat(), encrypted),
        ("old.pem", [&crt[..], &old_locked].concat(), encrypted),
        ("nokey.pem", crt.clone(), "no private key, neither inside nor in nokey.pem.key"),
        ("key.pem", [&crt[..], &block("PRIVATE KEY", b"xx")].concat(), "the private key cannot be parsed"),
        (
            "dsa.pem",
            [&crt[..], &key_pem(&dsa)].concat(),
            "the private key is a DSA key; certificates here have RSA or EC keys",
        ),
        (
            "other.pem",
            [&crt[..], &key_pem(&p256().unwrap())].concat(),
            "the private key does not belong to the certificate",
        ),
        ("huge.pem", vec![b'x'; (4 << 20) + 1], "larger than 4 MB, this is no certificate file"),
    ];
    for (name, bytes, expected) in rows {
        let error = load_file(&dir.put(name, bytes)).err().unwrap();
        assert_eq!(dir.short(&error), format!("{name}: {expected}"));
    }
    fs::create_dir(dir.0.join("dir.pem")).unwrap();
    std::os::unix::fs::symlink("loop.pem", dir.0.join("loop.pem")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(dir.0.join("socket.pem")).unwrap();
    for (name, expected) in [
        ("none.pem", "cannot be read: there is no such file"),
        ("dir.pem", "cannot be read: it is a directory"),
        ("loop.pem", "cannot be read: too many levels of symbolic links"),
        ("socket.pem", "this is a device, a pipe or a socket, no file"),
    ] {
        let error = load_file(&dir.0.join(name)).err().unwrap();
        assert_eq!(dir.short(&error), format!("{name}: {expected}"));
    }
    drop(socket);
    assert!(load_file(Path::new("/dev/zero")).is_err());
    // All of it in one directory, with two that are good: these two are served.
    for n in ["1.pem", "2.pem"] {
        dir.put(n, [&own_key[..], &crt].concat());
    }
    let scanned =
        scan::directory(&dir.0, &Files::default(), Default::default(), (0, &mut |_, _| {})).unwrap();
    assert_eq!(scanned.index.unwrap().len(), 2);
    // Directories are passed over, and what does not exist is not in the directory.
    assert_eq!(scanned.bad.len(), rows.len() + 2);
}

#[test]
fn keys_are_found_where_they_may_stand() {
    let dir = Dir::new("keys");
    let Line { leaf, key, .. } = line();
    let wrong = key_pem(&p256().unwrap());
    let crt = dir.put("a.crt", pem(&[&leaf]));
    let none = Extras { key: false, ..Extras::default() };
    let replaced = Extras { del_ext: true, ..Extras::default() };
    let told = |result: Result<Cert, CertError>| dir.short(&result.err().unwrap());
    assert_eq!(told(read_all(&crt, &none)), "a.crt: no private key inside");
    assert_eq!(told(read_all(&crt, &replaced)), "a.crt: no private key, neither inside nor in a.key");
    dir.put("a.key", key_pem(&key));
    assert!(read_all(&crt, &replaced).is_ok());
    dir.put("a.crt.key", &wrong);
    assert_eq!(told(load_file(&crt)), "a.crt: the private key does not belong to the certificate");
    assert!(read_all(&crt, &replaced).is_ok());
    // A key that is named goes before all others, one inside before one beside.
    let files = CrtFiles { key: Some(dir.0.join("a.key")), ..CrtFiles::new(crt.clone()) };
    assert!(load_files(&files, &Files::default()).is_ok());
    let files = CrtFiles { key: Some(dir.0.join("b.key")), ..CrtFiles::new(crt) };
    let lost = load_files(&files, &Files::default()).err().unwrap();
    assert_eq!(dir.short(&lost), "b.key: cannot be read: there is no such file");
    let locked = key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_128_cbc(), b"secret").unwrap();
    dir.put("b.key", locked);
    let lost = load_files(&files, &Files::default()).err().unwrap();
    assert_eq!(dir.short(&lost), "b.key: the private key is encrypted; store it without a passphrase");
    let inside = dir.put("both.pem", [pem(&[&leaf]), key_pem(&key)].concat());
    dir.put("both.pem.key", wrong);
    assert!(load_file(&inside).is_ok());
}

#[test]
fn chains_are_completed() {
    let dir = Dir::new("chains");
    let Line { root, middle, leaf, key } = line();
    let bare = dir.put("a.pem", [key_pem(&key), pem(&[&leaf])].concat());
    let length = |cert: Result<Cert, CertError>| cert.unwrap().credentials.len();
    assert_eq!(length(load_file(&bare)), 1);
    // With the root in the file beside: clients have it, so it is not sent.
    dir.put("a.pem.issuer", pem(&[&root, &middle]));
    assert_eq!(length(load_file(&bare)), 2);
    assert_eq!(length(read_all(&bare, &Extras { issuer: false, ..Extras::default() })), 1);
    let whole = dir.put("b.pem", [key_pem(&key), pem(&[&leaf, &middle])].concat());
    dir.put("b.pem.issuer", pem(&[&middle]));
    assert_eq!(length(load_file(&whole)), 2);
    // Somebody else.
    dir.put("a.pem.issuer", pem(&[&root]));
    let cert = load_file(&bare).unwrap();
    assert_eq!(cert.credentials.len(), 1);
    assert_eq!(dir.short(&cert.notes[0]), "a.pem.issuer: no certificate in it signed this one's certificate");
    let named = CrtFiles { issuer: Some(dir.0.join("a.pem.issuer")), ..CrtFiles::new(bare.clone()) };
    assert!(load_files(&named, &Files::default()).is_err(), "what is named must be good");
    // A directory of chains.
    let chains = Dir::new("chains-of-issuers");
    chains.put("1.pem", pem(&[&root]));
    chains.put("2.pem", pem(&[&middle, &root]));
    chains.put("3.pem", b"rubbish");
    let extras = Extras { issuers_chain_path: Some(chains.0.clone()), issuer: false, ..Extras::default() };
    let (files, bad) = Files::new(&extras).unwrap();
    assert_eq!(
        bad.iter().map(|error| chains.short(error)).collect::<Vec<_>>(),
        ["3.pem: no certificate inside"]
    );
    assert_eq!(length(load_files(&CrtFiles::new(bare), &files)), 3);
    assert_eq!(length(load_files(&CrtFiles::new(whole), &files)), 2);
}

#[test]
fn answers_and_timestamps_are_judged() {
    let dir = Dir::new("staples");
    let Line { leaf, key, .. } = line();
    let file = dir.put("a.pem", [key_pem(&key), pem(&[&leaf])].concat());
    let strange = certificate(&["b.test"], &key, None, 9).unwrap();
    let now = 1_700_000_000;
    let rows: &[(Vec<u8>, &str)] = &[
        (answer(&leaf, 0x80, "20991231000000Z"), ""),
        (
            answer(&leaf, 0x80, "20200102000000Z"),
            "the OCSP answer expired Thu, 02 Jan 2020 00:00:00 GMT, it is not stapled",
        ),
        (answer(&leaf, 0x80, ""), "the OCSP answer does not say until when it counts, it is not stapled"),
        (
            answer(&leaf, 0xa1, "20991231000000Z"),
            "the OCSP answer says that the certificate was revoked, it is not stapled",
        ),
        (
            answer(&leaf, 0x82, "20991231000000Z"),
            "the OCSP answer says that the certificate is not known, it is not stapled",
        ),
        (answer(&strange, 0x80, "20991231000000Z"), "the OCSP answer is about another certificate"),
        (vec![0x30, 3, 0x0a, 1, 3], "the OCSP responder gave no answer but \"try later\""),
        (b"rubbish".to_vec(), "this is no OCSP answer in DER"),
    ];
    for (bytes, expected) in rows {
        dir.put("a.pem.ocsp", bytes);
        let cert = load_file(&file).unwrap();
        let told: Vec<String> =
            cert.notes.iter().chain(&cert.stale(now)).map(|error| dir.short(error)).collect();
        match *expected {
            "" => assert_eq!(told, Vec::<String>::new()),
            expected => assert_eq!(told, [format!("a.pem.ocsp: {expected}")]),
        }
        let usable = cert.staple.is_some() && cert.stale(now).is_none();
        assert_eq!(usable, expected.is_empty());
        assert!(read_all(&file, &Extras::none()).unwrap().staple.is_none());
    }
    fs::remove_file(dir.0.join("a.pem.ocsp")).unwrap();
    dir.put("a.pem.sctl", [0, 4, 0, 2, 7, 7]);
    assert_eq!(load_file(&file).unwrap().timestamps, Some(vec![0, 4, 0, 2, 7, 7]));
    dir.put("a.pem.sctl", [0, 9, 0, 2, 7, 7]);
    let cert = load_file(&file).unwrap();
    assert_eq!(cert.timestamps, None);
    assert_eq!(
        dir.short(&cert.notes[0]),
        "a.pem.sctl: this is no list of certificate timestamps (RFC 6962 section 3.3)"
    );
}

#[test]
fn names_many_none_and_twice() {
    let dir = Dir::new("names");
    let key = p256().unwrap();
    let names: Vec<String> = (0..10_000).map(|n| format!("n{n}.example.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let many = certificate(&names, &key, None, 9).unwrap();
    let cert = load_file(&dir.put("many.pem", [key_pem(&key), pem(&[&many])].concat())).unwrap();
    assert_eq!((cert.names.len(), cert.notes.len()), (10_000, 0));
    let mut builder = X509Builder::new().unwrap();
    builder.set_pubkey(&key).unwrap();
    let zero = openssl::asn1::Asn1Time::days_from_now(0).unwrap();
    builder.set_not_before(&zero).unwrap();
    builder.set_not_after(&openssl::asn1::Asn1Time::days_from_now(9).unwrap()).unwrap();
    builder.sign(&key, openssl::hash::MessageDigest::sha256()).unwrap();
    let cert = load_file(&dir.put("none.pem", [key_pem(&key), pem(&[&builder.build()])].concat())).unwrap();
    assert_eq!(cert.names, Vec::<String>::new());
    assert_eq!(
        dir.short(&cert.notes[0]),
        "none.pem: no name inside, it is shown only where nothing else fits"
    );
    let twice = certificate(&["a.test", "A.test", "a.test."], &key, None, 9).unwrap();
    let cert = load_file(&dir.put("twice.pem", [key_pem(&key), pem(&[&twice])].concat())).unwrap();
    assert_eq!(cert.names, ["a.test"]);
}

#[test]
fn bundles_stand_for_their_files() {
    let dir = Dir::new("bundle");
    let Line { leaf, key, .. } = line();
    let both = [key_pem(&key), pem(&[&leaf])].concat();
    let base = dir.0.join("site.pem");
    let load_from = |extras: &Extras| {
        let how = Files::new(extras).unwrap().0;
        let files = how.bundle(&base).into_iter();
        files.map(|file| load_files(&CrtFiles::new(file), &how)).collect::<Result<Vec<_>, _>>()
    };
    let error = load_from(&Extras::default()).err().unwrap();
    assert_eq!(dir.short(&error), "site.pem: cannot be read: there is no such file");
    dir.put("site.pem.ecdsa", &both);
    assert_eq!(load_from(&Extras::default()).unwrap().len(), 1);
    dir.put("site.pem.rsa", &both);
    assert_eq!(load_from(&Extras::default()).unwrap().len(), 2);
    assert!(load_from(&Extras::none()).is_err());
    dir.put("site.pem", &both);
    assert_eq!(load_from(&Extras::default()).unwrap().len(), 1);
}
