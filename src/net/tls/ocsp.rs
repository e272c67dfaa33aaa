//! OCSP answers that come at run time: what identifies a certificate to a responder, whether an answer may be stapled, and
//! those that are in force in this process in place of what stands in files.
//!
//! Answers are looked up by a mark of issuer and serial number ([`Mark`]), so that one that came for a certificate is stapled
//! wherever that certificate is shown, on any line, from any file. The lock is never contended: a process has one event loop.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lighterman_wire::der::{tag, Der};
use lighterman_wire::http::date;
use lighterman_wire::ocsp;
use openssl::ocsp::{OcspFlag, OcspResponse};
use openssl::sha::{sha1, sha256};
use openssl::stack::Stack;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509Ref, X509VerifyResult, X509};

use super::certs::Cert;
use super::files::{CrtBytes, Files};
use super::pem::{self, Kind};
use super::staple::{OcspFault, Staple};

/// No answer is larger: they are some hundred bytes, some KB with certificates.
pub const ANSWER_MAX: usize = 64 * 1024;
/// Bytes of all answers that came at run time.
const BYTES_MAX: usize = 32 << 20;
/// Certificates whose missing answers are remembered, so that each is told once.
const TOLD_MAX: usize = 10_000;

/// An answer that ends within this time, or the last eighth of its own, is told about, seconds.
const NEAR_S: u64 = 86_400;

/// Issuer and serial number of a certificate, as one number that nobody can find another certificate for.
pub type Mark = [u8; 16];

/// The mark of a certificate.
pub fn mark(leaf: &X509Ref) -> Mark {
    let mut whole = leaf.issuer_name().to_der().unwrap_or_default();
    whole.extend(serial(leaf));
    sha256(&whole).first_chunk().copied().unwrap_or_default()
}

/// The contents of the INTEGER.
fn serial(leaf: &X509Ref) -> Vec<u8> {
    let mut number = leaf.serial_number().to_bn().map(|number| number.to_vec()).unwrap_or_default();
    if number.first().is_none_or(|first| first & 0x80 != 0) {
        number.insert(0, 0);
    }
    number
}

/// A certificate as far as OCSP is concerned.
pub struct Subject {
    leaf: X509,
    issuer: Option<X509>,
    /// Its mark.
    pub mark: Mark,
    /// Where to ask, when it says so.
    pub url: Option<String>,
    /// The answer that stands in a file, if it may be stapled.
    pub staple: Option<Staple>,
}

impl Subject {
    /// Of the files of a certificate.
    pub fn of(bytes: &CrtBytes, how: &Files) -> Option<Subject> {
        let certs = |bytes: &[u8]| -> Vec<X509> {
            let blocks = pem::blocks(bytes).unwrap_or_default();
            let certs = blocks.iter().filter(|block| block.kind == Kind::Certificate);
            certs.filter_map(|block| X509::from_der(&block.der).ok()).collect()
        };
        let mut inside = certs(&bytes.pem.bytes);
        // the leaf is the one that signed none of the others
        let signs = |one: &X509| inside.iter().any(|other| one != other && is_issuer(one, other));
        let place = inside.iter().position(|one| !signs(one)).or((!inside.is_empty()).then_some(0))?;
        let leaf = inside.remove(place);
        let beside = bytes.issuer.as_ref().map_or(Vec::new(), |part| certs(&part.bytes));
        let known = how.chain_of(&leaf).iter().filter_map(|der| X509::from_der(der).ok());
        let issuer = inside.into_iter().chain(beside).chain(known).find(|one| is_issuer(one, &leaf));
        let url = leaf.ocsp_responders().ok().and_then(|all| all.iter().next().map(|url| url.to_string()));
        let staple = bytes.ocsp.as_ref();
        let staple = staple.and_then(|part| Staple::of(&leaf, &part.file, &part.bytes).ok());
        Some(Subject { mark: mark(&leaf), url, staple, leaf, issuer })
    }

    /// What identifies it to a responder; nothing does while its issuer is not known.
    pub fn cert_id(&self) -> Option<Vec<u8>> {
        let key = self.issuer.as_ref()?.public_key().ok()?.public_key_to_der().ok()?;
        let key = sha1(key_bits(&key)?);
        let name = sha1(&self.leaf.issuer_name().to_der().ok()?);
        Some(ocsp::cert_id(&name, &key, &serial(&self.leaf)))
    }

    /// Whether the answer is about this certificate, as far as number and name say.
    pub fn is_meant(&self, single: &ocsp::Single<'_>) -> bool {
        let issuer = self.leaf.issuer_name().to_der().unwrap_or_default();
        single.serial == serial(&self.leaf)
            && match single.hash {
                ocsp::SHA1 => single.issuer_name_hash == sha1(&issuer),
                ocsp::SHA256 => single.issuer_name_hash == sha256(&issuer),
                _ => true,
            }
    }

    /// An answer that came at run time, judged at this second; also what identifies the certificate in it. Signatures are
    /// checked when the issuer is known.
    pub fn judge(&self, file: &Path, answer: &[u8], now_s: u64) -> Result<Given, OcspFault> {
        let staple = Staple::of(&self.leaf, file, answer)?;
        staple.judge(now_s)?;
        if let Some(issuer) = &self.issuer {
            if !is_signed(answer, issuer).unwrap_or(false) {
                return Err(OcspFault::Signature);
            }
        }
        let answers = ocsp::parse(answer).map_err(|_| OcspFault::Malformed)?;
        let single = answers.singles.iter().find(|single| self.is_meant(single)).ok_or(OcspFault::Other)?;
        Ok(Given { mark: self.mark, id: single.id.to_owned(), staple })
    }
}

/// The key itself within a SubjectPublicKeyInfo (RFC 5280 section 4.1): RFC 6960 hashes it without what stands around.
fn key_bits(info: &[u8]) -> Option<&[u8]> {
    let mut inside = Der::new(info).enter(tag::SEQUENCE)?;
    inside.take(tag::SEQUENCE)?;
    let (unused, key) = inside.take(tag::BITS)?.split_first()?;
    (*unused == 0).then_some(key)
}

fn is_issuer(one: &X509Ref, other: &X509Ref) -> bool {
    one.issued(other) == X509VerifyResult::OK
}

/// Whether the issuer, or somebody it has authorized, has signed an answer (RFC 6960 4.2.2.2).
fn is_signed(answer: &[u8], issuer: &X509) -> Option<bool> {
    let basic = OcspResponse::from_der(answer).ok()?.basic().ok()?;
    let mut store = X509StoreBuilder::new().ok()?;
    store.add_cert(issuer.clone()).ok()?;
    // an intermediate is as good as a root here
    store.set_flags(X509VerifyFlags::PARTIAL_CHAIN).ok()?;
    let mut certs = Stack::new().ok()?;
    certs.push(issuer.clone()).ok()?;
    Some(basic.verify(&certs, &store.build(), OcspFlag::empty()).is_ok())
}

/// An answer that came at run time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Whom it is about.
    pub mark: Mark,
    /// The same as it stands in the answer (CertID), DER.
    pub id: Vec<u8>,
    /// The answer; its file is the certificate's.
    pub staple: Staple,
}

impl Given {
    /// For the way to other processes, which do not judge it again.
    pub fn pack(&self) -> Vec<u8> {
        let Staple { file, bytes, from, until } = &self.staple;
        let file = file.as_os_str().as_encoded_bytes();
        let mut packed = self.mark.to_vec();
        packed.extend(from.to_le_bytes());
        packed.extend(until.to_le_bytes());
        for part in [&*self.id, file] {
            packed.extend((part.len() as u16).to_le_bytes());
            packed.extend(part.get(..usize::from(part.len() as u16)).unwrap_or_default());
        }
        packed.extend(bytes);
        packed
    }

    /// As it was packed.
    pub fn unpack(packed: &[u8]) -> Option<Given> {
        let (mark, rest) = packed.split_first_chunk()?;
        let (from, rest) = rest.split_first_chunk()?;
        let (until, rest) = rest.split_first_chunk()?;
        let part = |rest: &mut &[u8]| -> Option<Vec<u8>> {
            let (len, after) = rest.split_first_chunk()?;
            let (part, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
            *rest = after;
            Some(part.to_vec())
        };
        let mut rest = rest;
        let id = part(&mut rest)?;
        let file = part(&mut rest)?;
        let file = PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(file));
        let (from, until) = (u64::from_le_bytes(*from), u64::from_le_bytes(*until));
        let fits = rest.len() <= ANSWER_MAX;
        fits.then(|| Given { mark: *mark, id, staple: Staple { file, bytes: rest.to_vec(), from, until } })
    }
}

/// What is stapled to a certificate.
pub enum Stapled {
    /// The answer that came at run time.
    Given(Arc<Given>),
    /// The one from its file.
    File(Arc<Cert>),
}

impl Stapled {
    /// The answer, DER.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Stapled::Given(given) => &given.staple.bytes,
            Stapled::File(cert) => cert.staple.as_ref().map_or(&[], |staple| &staple.bytes),
        }
    }
}

/// The answers that came at run time, and which certificates are without one now.
#[derive(Default)]
pub struct Responses {
    given: Mutex<HashMap<Mark, Arc<Given>>>,
    /// How many there are: a process without any does not look.
    count: AtomicUsize,
    told: Mutex<HashSet<(Mark, u64)>>,
    news: Mutex<Vec<String>>,
    has_news: AtomicBool,
}

impl Responses {
    fn given(&self) -> MutexGuard<'_, HashMap<Mark, Arc<Given>>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer is in force from now on.
    pub fn put(&self, given: Given) -> Result<(), String> {
        let mut all = self.given();
        let others = all.values().filter(|known| known.mark != given.mark);
        let bytes: usize = others.map(|known| known.staple.bytes.len()).sum();
        if bytes + given.staple.bytes.len() > BYTES_MAX {
            return Err(format!("no room for more than {} MB of OCSP answers", BYTES_MAX >> 20));
        }
        all.insert(given.mark, Arc::new(given));
        self.count.store(all.len(), Relaxed);
        Ok(())
    }

    /// The answer for a certificate that came at run time.
    pub fn find(&self, mark: &Mark) -> Option<Arc<Given>> {
        if self.count.load(Relaxed) == 0 {
            return None;
        }
        self.given().get(mark).cloned()
    }

    /// All that came at run time.
    pub fn all(&self) -> Vec<Arc<Given>> {
        let mut all: Vec<_> = self.given().values().cloned().collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// What is stapled to a certificate at this second: the newer one of what came at run time and what stands in its file.
    /// One whose answers have all expired is told about, once, and once before that.
    pub fn pick(&self, cert: &Arc<Cert>, now_s: u64) -> Option<Stapled> {
        let given = self.find(&cert.mark);
        let fault = |staple: &Staple| staple.judge(now_s).err();
        let counts = |staple: &&Staple| fault(staple).is_none();
        let own = cert.staple.as_ref().filter(counts);
        if let Some(given) = given.as_ref().filter(|given| counts(&&given.staple)) {
            if own.is_none_or(|own| own.from <= given.staple.from) {
                self.watch(cert, &given.staple, now_s);
                return Some(Stapled::Given(Arc::clone(given)));
            }
        }
        if let Some(own) = own {
            self.watch(cert, own, now_s);
            return Some(Stapled::File(Arc::clone(cert)));
        }
        let known = given.iter().map(|given| &given.staple).chain(&cert.staple);
        let last = known.filter(|staple| matches!(fault(staple), Some(OcspFault::Late(_))));
        if let Some(until) = last.map(|staple| staple.until).max() {
            let end = date::format(until);
            let line = format!("expired {end}, nothing is stapled until there is a newer one");
            self.tell(cert, until, line);
        }
        None
    }

    /// Tells about an answer that is about to end, once.
    fn watch(&self, cert: &Cert, staple: &Staple, now_s: u64) {
        let life = staple.until.saturating_sub(staple.from);
        if staple.until.saturating_sub(now_s) < NEAR_S.min(life / 8) {
            let line = format!("expires {}, and there is no newer one", date::format(staple.until));
            // a number of its own: the end itself is told too
            self.tell(cert, staple.until ^ 1 << 63, line);
        }
    }

    fn tell(&self, cert: &Cert, about: u64, what: String) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < TOLD_MAX && told.insert((cert.mark, about)) {
            let line = format!("{}: the OCSP answer {what}", cert.file.display());
            self.news.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            self.has_news.store(true, Relaxed);
        }
    }

    /// Lines for the operator since the last call.
    pub fn take_news(&self) -> Vec<String> {
        match self.has_news.swap(false, Relaxed) {
            true => std::mem::take(&mut self.news.lock().unwrap_or_else(PoisonError::into_inner)),
            false => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_pass_between_processes() {
        let staple = Staple { file: "/c/a.pem".into(), bytes: vec![9; 500], from: 3, until: 1 << 40 };
        let given = Given { mark: [7; 16], id: vec![1, 2, 3], staple };
        let packed = given.pack();
        assert_eq!(Given::unpack(&packed), Some(given));
        for len in 0..16 + 16 + 2 + 3 + 2 + 8 {
            assert_eq!(Given::unpack(&packed[..len]), None, "{len}");
        }
    }

    #[test]
    fn there_is_a_limit() {
        let responses = Responses::default();
        let staple = Staple { file: "a".into(), bytes: vec![0; ANSWER_MAX], from: 0, until: 1 };
        let give = |n: u8| responses.put(Given { mark: [n; 16], id: vec![n], staple: staple.clone() });
        assert!((0..=255).all(|n| give(n).is_ok()));
        assert_eq!((responses.all().len(), responses.find(&[3; 16]).is_some()), (256, true));
        assert!(responses.find(&[1; 16]).is_some_and(|given| given.id == [1]));
    }
}
