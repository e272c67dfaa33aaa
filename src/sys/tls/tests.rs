//! Two connections face to face in memory.

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{SslContext, SslMethod, SslSession, SslVerifyMode, SslVersion};
use openssl::x509::{X509NameBuilder, X509};

use super::*;

fn p256() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn certificate(name: &str, key: &PKey<Private>) -> X509 {
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&BigNum::from_u32(7).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(&subject).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(9).unwrap()).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.sign(key, MessageDigest::sha256()).unwrap();
    builder.build()
}

fn credentials(name: &str, key: PKey<Private>) -> Credentials {
    Credentials::new(&[certificate(name, &key).to_der().unwrap()], key).unwrap()
}

fn context(side: Side, wishes: Wishes, version: Option<SslVersion>) -> Context {
    let mut builder = SslContext::builder(SslMethod::tls()).unwrap();
    builder.set_min_proto_version(version).unwrap();
    builder.set_max_proto_version(version).unwrap();
    if side == Side::Client && wishes.alpn {
        builder.set_alpn_protos(b"\x02h2\x08http/1.1").unwrap();
    }
    Context::new(builder, side, &wishes).unwrap()
}

/// Everything a host can be asked, with fixed answers and a record of the questions.
#[derive(Default)]
struct Mem {
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    room: Option<usize>,
    show: Option<std::sync::Arc<Credentials>>,
    select: Option<Select>,
    names: Vec<Vec<u8>>,
    stored: Vec<(Vec<u8>, Vec<u8>)>,
    kept: Vec<SslSession>,
    key: Option<TicketKey>,
    key_lines: usize,
    bad: Vec<i32>,
    accept_bad: bool,
    panics: bool,
}

impl Host for Mem {
    fn received(&mut self) -> &[u8] {
        &self.inbox
    }
    fn consume(&mut self, n: usize) {
        self.inbox.drain(..n);
    }
    fn send(&mut self, bytes: &[u8]) -> usize {
        let n = self.room.map_or(bytes.len(), |room| bytes.len().min(room));
        self.room = self.room.map(|room| room - n);
        self.outbox.extend_from_slice(&bytes[..n]);
        n
    }
    fn hello(&mut self, hello: &Hello<'_>, setup: &mut Setup<'_>) -> Select {
        assert!(!self.panics, "expected by this test");
        assert!(hello.ciphers().len() >= 2 && hello.random().len() == 32 && hello.version() == 0x303);
        self.names.push(hello.extension(0).unwrap_or_default().to_vec());
        if let Some(credentials) = &self.show {
            assert!(setup.credentials(credentials), "{}", openssl::error::ErrorStack::get());
            assert!(setup.ocsp(b"staple"));
        }
        self.select.unwrap_or(Select::Go)
    }
    fn alpn<'o>(&mut self, offered: &'o [u8]) -> Option<&'o [u8]> {
        offered.get(4..12)
    }
    fn store_session(&mut self, id: &[u8], bytes: &[u8]) {
        self.stored.push((id.to_vec(), bytes.to_vec()));
    }
    fn find_session(&mut self, id: &[u8]) -> Option<Vec<u8>> {
        self.stored.iter().find(|(known, _)| known == id).map(|(_, bytes)| bytes.clone())
    }
    fn keep_session(&mut self, session: SslSession) {
        self.kept.push(session);
    }
    fn ticket_key(&mut self) -> Option<TicketKey> {
        self.key.clone()
    }
    fn find_ticket_key(&mut self, name: &[u8; 16]) -> Option<(TicketKey, TicketUse)> {
        self.key.clone().filter(|key| key.name == *name).map(|key| (key, TicketUse::Use))
    }
    fn accept_bad_certificate(&mut self, error: i32, _: i32) -> bool {
        self.bad.push(error);
        self.accept_bad
    }
    fn key_line(&mut self, line: &[u8]) {
        assert!(
            line.starts_with(b"CLIENT_") || line.starts_with(b"SERVER_") || line.starts_with(b"EXPORTER_")
        );
        self.key_lines += 1;
    }
}

struct Pair {
    client: Conn,
    server: Conn,
    c: Mem,
    s: Mem,
}

impl Pair {
    fn new(server: &Context, client: &Context, s: Mem, c: Mem) -> Pair {
        Pair { client: Conn::new(client).unwrap(), server: Conn::new(server).unwrap(), c, s }
    }

    fn carry(&mut self) {
        self.s.inbox.append(&mut self.c.outbox);
        self.c.inbox.append(&mut self.s.outbox);
    }

    /// Runs both handshakes until neither moves; returns what each said last.
    fn shake(&mut self) -> (Outcome, Outcome) {
        let mut last = (Outcome::WantRead, Outcome::WantRead);
        for _ in 0..10 {
            if moves(last.0) {
                last.0 = self.client.handshake(&mut self.c);
            }
            self.carry();
            if moves(last.1) {
                last.1 = self.server.handshake(&mut self.s);
            }
            self.carry();
        }
        last
    }

    fn talk(&mut self) {
        let mut room = [0; 64];
        assert_eq!(self.client.write(&mut self.c, b"ping"), Outcome::Done(4));
        self.carry();
        assert_eq!(self.server.read(&mut self.s, &mut room), Outcome::Done(4));
        assert_eq!(self.server.read(&mut self.s, &mut room), Outcome::WantRead);
        assert_eq!(self.server.write(&mut self.s, b"pong!"), Outcome::Done(5));
        self.carry();
        assert_eq!(self.client.read(&mut self.c, &mut room), Outcome::Done(5));
        assert_eq!(&room[..5], b"pong!");
        assert_eq!(self.client.read(&mut self.c, &mut room), Outcome::WantRead);
    }
}

fn moves(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Done(_) | Outcome::Failed(_))
}

const DONE: (Outcome, Outcome) = (Outcome::Done(0), Outcome::Done(0));
const VERSIONS: [SslVersion; 2] = [SslVersion::TLS1_2, SslVersion::TLS1_3];

fn with_key() -> Mem {
    Mem {
        key: Some(TicketKey { name: *b"0123456789abcdef", aes: [1; 32], hmac: [2; 32], short: false }),
        ..Mem::default()
    }
}

#[test]
fn handshake_data_and_goodbye() {
    for version in VERSIONS {
        let wishes = Wishes { alpn: true, key_log: true, ..Wishes::default() };
        let mut server = context(Side::Server, wishes, Some(version));
        assert!(server.set_default_credentials(&credentials("a.test", p256())));
        assert!(!server.ciphers().is_empty());
        let client = context(Side::Client, wishes, Some(version));
        let mut pair = Pair::new(&server, &client, with_key(), Mem::default());
        pair.client.set_name("a.test").unwrap();
        assert_eq!(pair.shake(), DONE, "{version:?}");
        assert!(pair.server.is_established());
        pair.talk();
        assert_eq!(pair.server.ssl().selected_alpn_protocol(), Some(b"http/1.1".as_slice()));
        assert_eq!(
            pair.server.ssl().servername_raw(openssl::ssl::NameType::HOST_NAME),
            Some(b"a.test".as_slice())
        );
        assert!(
            pair.server.group().is_some_and(|group| group.contains("25519")),
            "{:?}",
            pair.server.group()
        );
        assert!(pair.s.key_lines > 0 && pair.c.key_lines > 0 && pair.s.names.len() == 1);
        assert_eq!(pair.server.shutdown(&mut pair.s), Outcome::Done(0));
        pair.carry();
        assert_eq!(pair.client.read(&mut pair.c, &mut [0; 9]), Outcome::Closed);
        assert_eq!(pair.client.shutdown(&mut pair.c), Outcome::Done(0));
    }
}

#[test]
fn sessions_resume_on_another_context() {
    for (version, tickets) in [(VERSIONS[0], false), (VERSIONS[0], true), (VERSIONS[1], true)] {
        let wishes = Wishes { tickets, ..Wishes::default() };
        let own = credentials("a.test", p256());
        let make = || {
            let mut context = context(Side::Server, wishes, Some(version));
            assert!(context.set_default_credentials(&own));
            context
        };
        let client = context(Side::Client, Wishes::default(), Some(version));
        let mut first = Pair::new(&make(), &client, with_key(), Mem::default());
        assert_eq!(first.shake(), DONE);
        first.talk();
        let session = first.c.kept.pop().expect("a session was given");
        assert!(
            first.s.stored.len() == usize::from(!tickets) || !cfg!(feature = "aws-lc"),
            "by id only without tickets"
        );
        let memory = Mem { stored: first.s.stored, ..with_key() };
        let mut second = Pair::new(&make(), &client, memory, Mem::default());
        second.client.offer(&session, false).unwrap();
        assert_eq!(second.shake(), DONE);
        second.talk();
        assert!(
            second.server.ssl().session_reused() && second.client.ssl().session_reused(),
            "{version:?} {tickets}"
        );
        let mut third = Pair::new(&make(), &client, Mem::default(), Mem::default());
        third.s.key = Some(TicketKey { name: [9; 16], ..with_key().key.unwrap() });
        third.client.offer(&session, false).unwrap();
        assert_eq!(third.shake(), DONE, "an unknown session is a full handshake");
        assert!(!third.server.ssl().session_reused());
    }
}

#[test]
fn a_handshake_waits_for_its_certificate() {
    let key = p256();
    let late = std::sync::Arc::new(credentials("late.test", key));
    let server = context(Side::Server, Wishes::default(), None);
    let client = context(Side::Client, Wishes::default(), None);
    let mut pair = Pair::new(&server, &client, with_key(), Mem::default());
    pair.s.select = Some(Select::Suspend);
    assert_eq!(pair.shake().1, Outcome::Suspended);
    assert!(pair.s.names.len() > 1, "asked again");
    pair.s.select = None;
    pair.s.show = Some(late);
    assert_eq!(pair.shake(), DONE);
    pair.talk();
    let shown = pair.client.ssl().peer_certificate().unwrap();
    assert_eq!(shown.subject_name().entries().next().unwrap().data().as_slice(), b"late.test");
}

#[test]
fn either_key_type_can_be_shown() {
    let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    for (key, bits) in [(p256(), 256), (rsa, 2048)] {
        let shown = std::sync::Arc::new(credentials("x.test", key));
        for version in VERSIONS {
            let server = context(Side::Server, Wishes::default(), Some(version));
            let client = context(Side::Client, Wishes::default(), Some(version));
            let mut pair = Pair::new(&server, &client, with_key(), Mem::default());
            pair.s.show = Some(shown.clone());
            assert_eq!(pair.shake(), DONE);
            let seen = pair.client.ssl().peer_certificate().unwrap();
            assert_eq!(seen.public_key().unwrap().bits(), bits);
        }
    }
}

#[test]
fn failures_have_words() {
    let mut server = context(Side::Server, Wishes::default(), None);
    assert!(server.set_default_credentials(&credentials("a.test", p256())));
    let client = context(Side::Client, Wishes::default(), None);
    let refuse = |select| {
        let mut pair = Pair::new(&server, &client, with_key(), Mem::default());
        pair.s.select = Some(select);
        pair.shake()
    };
    let (c, s) = refuse(Select::Refuse(112));
    assert!(matches!(s, Outcome::Failed(f) if f.reason == Reason::Refused && f.alert == 112), "{s:?}");
    assert!(matches!(c, Outcome::Failed(f) if f.reason == Reason::Alert && f.alert == 112), "{c:?}");

    let rows: &[(&[u8], Reason)] = &[
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", Reason::HttpRequest),
        (b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09", Reason::NotTls),
        (b"\x16\x03\x01\xff\xff\x01\x00\x00\x00", Reason::TooLong),
        (b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", Reason::Unexpected),
        (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", Reason::Malformed),
    ];
    for (bytes, reason) in rows {
        let mut mem = Mem { inbox: bytes.to_vec(), ..with_key() };
        let outcome = Conn::new(&server).unwrap().handshake(&mut mem);
        let Outcome::Failed(failure) = outcome else { panic!("{bytes:?}: {outcome:?}") };
        assert_eq!(failure.reason, *reason, "{bytes:?}: {}", library_text(failure.code));
    }
    let old = context(Side::Client, Wishes::default(), Some(SslVersion::TLS1_2));
    let new = {
        let mut context = context(Side::Server, Wishes::default(), Some(SslVersion::TLS1_3));
        assert!(context.set_default_credentials(&credentials("a.test", p256())));
        context
    };
    let outcome = Pair::new(&new, &old, with_key(), Mem::default()).shake();
    assert!(matches!(outcome.1, Outcome::Failed(f) if f.reason == Reason::NoCommonVersion), "{outcome:?}");
}

#[test]
fn bad_certificates_are_named_or_let_through() {
    let mut server = context(Side::Server, Wishes::default(), None);
    assert!(server.set_default_credentials(&credentials("a.test", p256())));
    let wishes = Wishes { verify: SslVerifyMode::PEER, ..Wishes::default() };
    let client = context(Side::Client, wishes, None);
    let mut pair = Pair::new(&server, &client, with_key(), Mem::default());
    let (c, _) = pair.shake();
    let Outcome::Failed(failure) = c else { panic!("{c:?}") };
    assert_eq!((failure.reason, failure.verify), (Reason::BadCertificate, 18), "self-signed");
    assert!(failure.verify_words().is_some_and(|words| words.contains("self")));
    let mut pair = Pair::new(&server, &client, with_key(), Mem { accept_bad: true, ..Mem::default() });
    pair.client.set_expected_name("a.test").unwrap();
    assert_eq!(pair.shake(), DONE);
    assert_eq!(pair.c.bad, [18]);
}

#[test]
fn a_panic_in_a_callback_comes_out_whole() {
    let server = context(Side::Server, Wishes::default(), None);
    let client = context(Side::Client, Wishes::default(), None);
    let mut pair = Pair::new(&server, &client, with_key(), Mem::default());
    pair.s.panics = true;
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pair.shake()));
    assert!(caught.unwrap_err().downcast_ref::<&str>().is_some_and(|text| text.contains("expected")));
}

#[test]
fn key_updates_without_words_are_cut() {
    let mut server = context(Side::Server, Wishes::default(), None);
    assert!(server.set_default_credentials(&credentials("a.test", p256())));
    let client = context(Side::Client, Wishes::default(), Some(SslVersion::TLS1_3));
    let mut pair = Pair::new(&server, &client, with_key(), Mem::default());
    assert_eq!(pair.shake(), DONE);
    let mut room = [0; 64];
    let mut update = |pair: &mut Pair, word: &[u8]| {
        assert!(pair.client.renew_keys());
        assert_eq!(pair.client.write(&mut pair.c, word), Outcome::Done(word.len()));
        pair.carry();
        pair.server.read(&mut pair.s, &mut room)
    };
    for _ in 0..3000 {
        assert_eq!(update(&mut pair, b"x"), Outcome::Done(1), "with something to say as many as it likes");
    }
    let last = std::iter::repeat_with(|| update(&mut pair, b"")).take(3000).enumerate();
    let cut = last.into_iter().find(|(_, outcome)| *outcome != Outcome::WantRead);
    let Some((count, Outcome::Failed(failure))) = cut else { panic!("{cut:?}") };
    assert_eq!(failure.reason, Reason::Flood);
    assert!((500..2000).contains(&count), "{count}");
}

#[test]
fn a_full_outbox_is_tried_again() {
    let mut server = context(Side::Server, Wishes::default(), None);
    assert!(server.set_default_credentials(&credentials("a.test", p256())));
    let client = context(Side::Client, Wishes::default(), None);
    let mut pair = Pair::new(&server, &client, with_key(), Mem::default());
    pair.s.room = Some(10);
    assert_eq!(pair.shake().1, Outcome::WantWrite);
    pair.s.room = None;
    assert_eq!(pair.shake(), DONE);
    let bytes = vec![7; 40_000];
    pair.s.room = Some(100);
    assert_eq!(pair.server.write(&mut pair.s, &bytes), Outcome::WantWrite);
    pair.s.room = None;
    let Outcome::Done(wrote) = pair.server.write(&mut pair.s, &bytes) else { panic!("not written") };
    assert!(wrote >= 16384);
    assert!(pair.server.overhead() < 120);
}

/// Bytes each of the `count` values costs, as the whole process sees it: other tests allocate beside this one, so a bad figure
/// is looked at again.
fn bytes_each<T>(limit: usize, make: impl Fn() -> T) -> usize {
    const COUNT: usize = 200;
    let measure = || {
        let mut kept = Vec::with_capacity(COUNT);
        let before = crate::cred::heap().0;
        kept.extend((0..COUNT).map(|_| make()));
        crate::cred::heap().0.saturating_sub(before) / COUNT
    };
    (0..50).map(|_| measure()).find(|each| (500..limit).contains(each)).unwrap_or(usize::MAX)
}

#[test]
fn an_idle_connection_is_small() {
    for version in VERSIONS {
        let mut server = context(Side::Server, Wishes::default(), Some(version));
        assert!(server.set_default_credentials(&credentials("a.test", p256())));
        let client = context(Side::Client, Wishes::default(), Some(version));
        let limit = if cfg!(feature = "aws-lc") { 5000 } else { 16_000 };
        let each = bytes_each(limit, || {
            let mut pair = Pair::new(&server, &client, with_key(), Mem::default());
            assert_eq!(pair.shake(), DONE);
            pair.talk();
            pair.server
        });
        assert!(each < limit, "{version:?}: {each} bytes per idle connection");
    }
}
