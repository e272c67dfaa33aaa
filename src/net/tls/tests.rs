//! Engines face to face in memory; names, files, sessions over shared memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lighterman_sys::map::Region;
use openssl::pkey::{PKey, PKeyRef, Private};
use openssl::rsa::Rsa;
use openssl::x509::X509;

use super::certs::{Cert, CertFault, KeyKind};
use super::selfsigned::{certificate, p256};
use super::*;
use crate::base::buffer::Buffer;
use crate::base::pool::Pool;
use crate::expr::view::TlsView;
use crate::plan::crt::{CrtFiles, CrtList, CrtSource};
use crate::plan::tls::{BindTls, CaSource, ServerTls, TlsCommon, TlsVersion, Verify};
use crate::shm::sslcache::SslCache;
use crate::shm::tickets::Tickets;

fn rsa() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}

fn pem(key: &PKeyRef<Private>, certs: &[&X509]) -> Vec<u8> {
    let mut text = key.private_key_to_pem_pkcs8().unwrap();
    certs.iter().for_each(|cert| text.extend(cert.to_pem().unwrap()));
    text
}

fn cert(key: &PKeyRef<Private>, names: &[&str]) -> Arc<Cert> {
    let x509 = certificate(names, key, None, 9).unwrap();
    Arc::new(certs::parse(Path::new(names[0]), &pem(key, &[&x509]), None).unwrap())
}

fn shared() -> (TlsShared, [Region<std::sync::atomic::AtomicU64>; 2]) {
    let cache = Region::alone(SslCache::bytes_needed(1000).div_ceil(8)).unwrap();
    let tickets = Region::alone(Tickets::bytes_needed().div_ceil(8)).unwrap();
    (attach(&cache, &tickets), [cache, tickets])
}

fn attach(
    cache: &Region<std::sync::atomic::AtomicU64>,
    tickets: &Region<std::sync::atomic::AtomicU64>,
) -> TlsShared {
    TlsShared {
        cache: SslCache::attach(cache, 1000),
        tickets: Tickets::attach(tickets),
        lifetime: 300,
        ticket_count: 1,
        ..TlsShared::default()
    }
}

fn common(version: TlsVersion) -> TlsCommon {
    TlsCommon { min: version, max: version, ..TlsCommon::default() }
}

fn server_line(version: TlsVersion) -> ServerTls {
    ServerTls { common: common(version), verify: Verify::None, ..ServerTls::default() }
}

/// One end of a connection with its buffers.
struct End {
    engine: TlsEngine,
    rx: Option<Buffer>,
    tx: Option<Buffer>,
    pool: Pool,
}

impl End {
    fn new(engine: TlsEngine) -> End {
        End { engine, rx: None, tx: None, pool: Pool::new(16384, 1 << 22) }
    }

    fn with<R>(&mut self, call: impl FnOnce(&mut TlsEngine, &mut Pipe<'_>) -> R) -> R {
        call(&mut self.engine, &mut Pipe { rx: &mut self.rx, tx: &mut self.tx, pool: &mut self.pool })
    }

    /// Moves what this end has to send to the other one; returns how many bytes.
    fn deliver(&mut self, to: &mut End) -> usize {
        let Some(tx) = self.tx.as_mut() else { return 0 };
        let rx = to.rx.get_or_insert_with(|| to.pool.get().unwrap());
        let n = rx.push(tx.readable());
        tx.consume(n);
        n
    }

    fn read(&mut self) -> Vec<u8> {
        let mut room = vec![0; 1_000_000];
        match self.with(|engine, pipe| engine.read(pipe, &mut room)) {
            Plain::Some(n) => room[..n].to_vec(),
            Plain::Need => Vec::new(),
            other => panic!("{other:?}"),
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        assert_eq!(
            self.with(|engine, pipe| engine.write(pipe, bytes, engine::RECORD_MAX)),
            Wrote::Some(bytes.len())
        );
    }

    fn idle(&mut self) {
        self.pool.put_if_empty(&mut self.rx);
        self.pool.put_if_empty(&mut self.tx);
        assert!(self.rx.is_none() && self.tx.is_none());
    }
}

/// Steps both handshakes until neither moves; what each said last.
fn shake(client: &mut End, server: &mut End) -> (Step, Step) {
    let mut last = (Step::WantRead, Step::WantRead);
    for _ in 0..8 {
        if matches!(last.0, Step::WantRead | Step::WantWrite) {
            last.0 = client.with(|engine, pipe| engine.handshake(pipe));
        }
        client.deliver(server);
        if !matches!(last.1, Step::Done | Step::Fault(_)) {
            last.1 = server.with(|engine, pipe| engine.handshake(pipe));
        }
        server.deliver(client);
    }
    last
}

fn ends(bind: &Arc<BindContext>, server: &Arc<ServerContext>, name: Option<&str>) -> (End, End) {
    let mut front = TlsEngine::accept(bind);
    front.grant();
    (End::new(TlsEngine::connect(server, name, false).unwrap()), End::new(front))
}

fn bind(line: &BindTls, certs: Vec<Arc<Cert>>, shared: &TlsShared) -> Arc<BindContext> {
    Arc::new(BindContext::with_certs(line, certs, shared).unwrap())
}

fn talk(client: &mut End, server: &mut End) {
    client.write(b"request");
    client.deliver(server);
    assert_eq!(server.read(), b"request");
    server.write(b"response");
    server.deliver(client);
    assert_eq!(client.read(), b"response");
    client.idle();
    server.idle();
}

const DONE: (Step, Step) = (Step::Done, Step::Done);
const VERSIONS: [TlsVersion; 2] = [TlsVersion::V12, TlsVersion::V13];

#[test]
fn a_connection_from_hello_to_goodbye() {
    let (shared, _regions) = shared();
    let own = cert(&p256().unwrap(), &["a.test"]);
    for version in VERSIONS {
        let alpn = vec!["spdy/9".to_owned(), "http/1.1".to_owned()];
        let line =
            BindTls { common: TlsCommon { alpn: alpn.clone(), ..common(version) }, ..BindTls::default() };
        let front = bind(&line, vec![own.clone()], &shared);
        let back = ServerTls {
            common: TlsCommon { alpn: alpn[1..].to_vec(), ..common(version) },
            ..server_line(version)
        };
        let back = Arc::new(ServerContext::build(&back, &shared).unwrap());
        let (mut client, mut server) = ends(&front, &back, Some("A.test"));
        assert_eq!(shake(&mut client, &mut server), DONE);
        talk(&mut client, &mut server);
        let facts = &server.engine;
        assert_eq!(facts.alpn(), Some(b"http/1.1".as_slice()));
        assert_eq!(facts.sni(), Some(b"A.test".as_slice()));
        let (name, cipher) = match version {
            TlsVersion::V13 => ("TLSv1.3", "TLS_AES_128_GCM_SHA256"),
            _ => ("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        };
        assert_eq!((facts.version(), facts.cipher()), (Some(name), Some(cipher)));
        assert_eq!(facts.cipher_bits(), Some((128, 128)));
        assert!(!facts.resumed() && facts.peer_cert().is_none() && facts.randoms().is_some());
        let hybrid = name == "TLSv1.3" && cfg!(feature = "aws-lc");
        assert_eq!(facts.curve(), Some(if hybrid { "X25519MLKEM768" } else { "X25519" }));
        assert_eq!(info::common_name(&facts.own_cert().unwrap()).as_deref(), Some("a.test"));
        assert!(client.engine.peer_cert().is_some() && client.engine.peer_chain().is_some());
        assert!(server.with(|engine, pipe| engine.shutdown(pipe)));
        server.deliver(&mut client);
        assert_eq!(client.with(|engine, pipe| engine.read(pipe, &mut [0; 9])), Plain::Closed);
    }
}

#[test]
fn only_full_handshakes_are_heavy() {
    let (shared, _regions) = shared();
    let front = bind(&BindTls::default(), vec![cert(&p256().unwrap(), &["a.test"])], &shared);
    for version in [TlsVersion::V12, TlsVersion::V13] {
        let back = Arc::new(ServerContext::build(&server_line(version), &shared).unwrap());
        for round in 0..3 {
            let mut client = End::new(TlsEngine::connect(&back, None, false).unwrap());
            let mut server = End::new(TlsEngine::accept(&front));
            client.with(|engine, pipe| engine.handshake(pipe));
            client.deliver(&mut server);
            let first = server.with(|engine, pipe| engine.handshake(pipe));
            assert_eq!(first == Step::Heavy, round == 0, "{version:?}, round {round}");
            let again = server.with(|engine, pipe| engine.handshake(pipe));
            assert_eq!(again == Step::Heavy, round == 0, "it waits until it is granted");
            server.with(|engine, _| engine.grant());
            assert_eq!(shake(&mut client, &mut server), DONE);
            talk(&mut client, &mut server);
        }
    }
}

#[test]
fn the_ticket_leaves_with_the_first_answer() {
    let (shared, _regions) = shared();
    let front = bind(&BindTls::default(), vec![cert(&p256().unwrap(), &["a.test"])], &shared);
    let back = Arc::new(ServerContext::build(&server_line(TlsVersion::V13), &shared).unwrap());
    let (mut client, mut server) = ends(&front, &back, None);
    assert_eq!(client.with(|engine, pipe| engine.handshake(pipe)), Step::WantRead);
    client.deliver(&mut server);
    assert_eq!(server.with(|engine, pipe| engine.handshake(pipe)), Step::WantRead);
    server.deliver(&mut client);
    assert_eq!(client.with(|engine, pipe| engine.handshake(pipe)), Step::Done);
    client.write(b"GET");
    client.deliver(&mut server);
    assert_eq!(server.with(|engine, pipe| engine.handshake(pipe)), Step::Done);
    assert!(server.tx.as_ref().is_none_or(Buffer::is_empty), "nothing to send yet");
    assert_eq!(server.read(), b"GET", "the request came with the client's Finished");
    server.write(b"OK");
    assert!(server.deliver(&mut client) > 150, "ticket and answer together");
    assert_eq!(client.read(), b"OK");
    assert!(back.ways().sessions.as_ref().unwrap().find("").is_some());
    server.with(|engine, pipe| engine.release(pipe));
    assert_eq!(server.deliver(&mut client), 0, "nothing is held any more");

    let (mut client, mut server) = ends(&front, &back, None);
    assert_eq!(shake(&mut client, &mut server), DONE);
    server.with(|engine, pipe| engine.release(pipe));
    assert!(server.deliver(&mut client) > 100, "a silent server gives the ticket as well");
}

#[test]
fn sessions_resume_on_other_workers() {
    let (first_worker, regions) = shared();
    let own = cert(&p256().unwrap(), &["a.test"]);
    for (version, tickets) in [(TlsVersion::V12, false), (TlsVersion::V12, true), (TlsVersion::V13, true)] {
        let line = BindTls { common: TlsCommon { tickets, ..common(version) }, ..BindTls::default() };
        let other_worker = attach(&regions[0], &regions[1]);
        let fronts =
            [bind(&line, vec![own.clone()], &first_worker), bind(&line, vec![own.clone()], &other_worker)];
        let back = Arc::new(ServerContext::build(&server_line(version), &first_worker).unwrap());
        let mut resumed = 0;
        for round in 0..20 {
            let (mut client, mut server) = ends(&fronts[round % 2], &back, Some("a.test"));
            assert_eq!(shake(&mut client, &mut server), DONE);
            talk(&mut client, &mut server);
            assert_eq!(client.engine.resumed(), server.engine.resumed());
            resumed += usize::from(server.engine.resumed());
            if round == 9 {
                assert!(first_worker.tickets.as_ref().unwrap().rotate(), "older keys still open");
            }
        }
        assert_eq!(resumed, 19, "{version:?}, tickets {tickets}");
    }
    let stats = first_worker.cache.unwrap().stats();
    assert!(stats.lookups >= 19 && stats.misses == 0, "{stats:?}");
}

#[test]
fn verified_sessions_stay_with_their_authorities() {
    let dir = Scratch::new("verify");
    let (shared, _regions) = shared();
    let ca_key = p256().unwrap();
    let ca = certificate(&["authority"], &ca_key, None, 9).unwrap();
    let ca_file = dir.put("ca.pem", &ca.to_pem().unwrap());
    let key = p256().unwrap();
    let own = certificate(&["client.test"], &key, Some((&ca, &ca_key)), 9).unwrap();
    let crt = dir.put("client.pem", &pem(&key, &[&own]));
    let open = bind(&BindTls::default(), vec![cert(&key, &["a.test"])], &shared);
    let strict =
        BindTls { verify: Verify::Required, ca_file: Some(CaSource::Path(ca_file)), ..BindTls::default() };
    let strict = bind(&strict, vec![cert(&key, &["a.test"])], &shared);

    for version in VERSIONS {
        let anonymous = Arc::new(ServerContext::build(&server_line(version), &shared).unwrap());
        let (mut client, mut server) = ends(&open, &anonymous, None);
        assert_eq!(shake(&mut client, &mut server), DONE);
        talk(&mut client, &mut server);
        let (mut client, mut server) = ends(&strict, &anonymous, None);
        let (_, refused) = shake(&mut client, &mut server);
        assert!(matches!(refused, Step::Fault(f) if f.reason == Reason::PeerNoCertificate), "{refused:?}");

        let known = ServerTls { crt: Some(CrtFiles::new(crt.clone())), ..server_line(version) };
        let known = Arc::new(ServerContext::build(&known, &shared).unwrap());
        for resumed in [false, true] {
            let (mut client, mut server) = ends(&strict, &known, None);
            assert_eq!(shake(&mut client, &mut server), DONE, "{version:?}");
            talk(&mut client, &mut server);
            assert_eq!(server.engine.resumed(), resumed);
            let peer = server.engine.peer_cert().expect("kept in the session too");
            assert_eq!(info::common_name(&peer).as_deref(), Some("client.test"));
            assert_eq!(server.engine.cert_now(), !resumed);
        }
    }
}

#[test]
fn servers_are_verified() {
    let dir = Scratch::new("servers");
    let (shared, _regions) = shared();
    let ca_key = p256().unwrap();
    let ca = certificate(&["authority"], &ca_key, None, 9).unwrap();
    let ca_file = CaSource::Path(dir.put("ca.pem", &ca.to_pem().unwrap()));
    let key = p256().unwrap();
    let good = certificate(&["good.test", "*.wild.test"], &key, Some((&ca, &ca_key)), 9).unwrap();
    let expired = certificate(&["good.test"], &key, Some((&ca, &ca_key)), 0).unwrap();
    let alone = certificate(&["good.test"], &key, None, 9).unwrap();
    let rows: &[(&X509, &str, Option<&str>, Option<i32>)] = &[
        (&good, "good.test", None, None),
        (&good, "x.wild.test", None, None),
        (&good, "other.test", Some("good.test"), None),
        (&good, "other.test", None, Some(62)),
        (&good, "good.test", Some("other.test"), Some(62)),
        (&alone, "good.test", None, Some(18)),
        (&expired, "good.test", None, Some(10)),
    ];
    for (index, (x509, sni, verify_host, error)) in rows.iter().enumerate() {
        let loaded = certs::parse(Path::new("x.pem"), &pem(&key, &[x509]), None).unwrap();
        let front = bind(&BindTls::default(), vec![Arc::new(loaded)], &shared);
        let line = ServerTls {
            verify: Verify::Required,
            ca_file: Some(ca_file.clone()),
            verify_host: verify_host.map(str::to_owned),
            ..ServerTls::default()
        };
        let back = Arc::new(ServerContext::build(&line, &shared).unwrap());
        let (mut client, mut server) = ends(&front, &back, Some(sni));
        let (said, _) = shake(&mut client, &mut server);
        match (said, error) {
            (Step::Done, None) => {}
            (Step::Fault(failure), Some(error)) => {
                assert_eq!((failure.reason, failure.verify), (Reason::BadCertificate, *error), "row {index}");
                assert_eq!(client.engine.verify().0, i64::from(*error));
                assert!(failure.verify_words().is_some());
            }
            other => panic!("row {index}: {other:?}"),
        }
    }
    let nobody = ServerTls { verify: Verify::Required, ..ServerTls::default() };
    assert!(matches!(ServerContext::build(&nobody, &shared), Err(context::TlsError::NoAuthority)));
}

#[test]
fn clients_see_the_certificate_they_ask_for() {
    let (shared, _regions) = shared();
    let certs = vec![
        cert(&p256().unwrap(), &["first.test"]),
        cert(&rsa(), &["both.test"]),
        cert(&p256().unwrap(), &["both.test"]),
    ];
    let loose = bind(&BindTls::default(), certs.clone(), &shared);
    let strict = bind(&BindTls { strict_sni: true, ..BindTls::default() }, certs.clone(), &shared);
    let only_rsa = Some("rsa_pss_rsae_sha256:rsa_pkcs1_sha256".to_owned());
    for version in VERSIONS {
        let modern = Arc::new(ServerContext::build(&server_line(version), &shared).unwrap());
        let old = TlsCommon {
            sigalgs: only_rsa.clone(),
            ciphers: Some("ECDHE-RSA-AES128-GCM-SHA256".to_owned()),
            ..common(version)
        };
        let old = ServerTls { common: old, ..server_line(version) };
        let old = Arc::new(ServerContext::build(&old, &shared).unwrap());
        for (front, back, name, shown) in [
            (&loose, &modern, None, Some(0)),
            (&loose, &modern, Some("unknown.test"), Some(0)),
            (&loose, &modern, Some("both.test"), Some(2)),
            (&loose, &old, Some("both.test"), Some(1)),
            (&strict, &modern, Some("BOTH.test"), Some(2)),
            (&strict, &modern, Some("unknown.test"), None),
            (&strict, &modern, None, None),
        ] {
            let (mut client, mut server) = ends(front, back, name);
            let said = shake(&mut client, &mut server);
            let Some(shown) = shown else {
                assert!(
                    matches!(said.1, Step::Fault(f) if f.reason == Reason::Refused && f.alert == 112),
                    "{said:?}"
                );
                assert!(matches!(said.0, Step::Fault(f) if f.alert == 112), "{said:?}");
                continue;
            };
            assert_eq!(said, DONE, "{version:?} {name:?}");
            assert!(Arc::ptr_eq(server.engine.shown().unwrap(), &certs[shown]));
            assert_eq!(client.engine.peer_cert().unwrap().to_der().unwrap(), certs[shown].leaf);
        }
    }
}

#[test]
fn large_writes_fill_the_buffer_and_wait_for_room() {
    let (shared, _regions) = shared();
    let front = bind(&BindTls::default(), vec![cert(&p256().unwrap(), &["a.test"])], &shared);
    let sent: Vec<u8> = (0..400_000u32).map(|n| (n / 7) as u8).collect();
    for (version, capacity) in VERSIONS.into_iter().flat_map(|v| [(v, 16384), (v, 262_144)]) {
        let back = Arc::new(ServerContext::build(&server_line(version), &shared).unwrap());
        let (mut client, mut server) = ends(&front, &back, None);
        assert_eq!(shake(&mut client, &mut server), DONE);
        server.tx = Some(Buffer::with_capacity(capacity));
        client.rx = Some(Buffer::with_capacity(capacity));
        let (mut done, mut got, mut flushes) = (0, Vec::new(), 0);
        while done < sent.len() {
            match server.with(|engine, pipe| engine.write(pipe, &sent[done..], engine::RECORD_MAX)) {
                Wrote::Some(n) => done += n,
                Wrote::Full => {
                    flushes += 1;
                    assert!(server.deliver(&mut client) > capacity * 9 / 10);
                    got.extend(client.read());
                }
                Wrote::Wait | Wrote::Fault(_) => panic!("nothing is early here"),
            }
        }
        server.deliver(&mut client);
        got.extend(client.read());
        assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
        assert!(flushes <= sent.len() / capacity + 1, "{flushes}");
    }
}

#[test]
fn a_head_and_its_body_share_a_record() {
    let (shared, _regions) = shared();
    let front = bind(&BindTls::default(), vec![cert(&p256().unwrap(), &["a.test"])], &shared);
    let back = Arc::new(ServerContext::build(&server_line(TlsVersion::V13), &shared).unwrap());
    let (mut client, mut server) = ends(&front, &back, None);
    assert_eq!(shake(&mut client, &mut server), DONE);
    talk(&mut client, &mut server);
    let (head, body) = ([b'h'; 200], [b'b'; 60_000]);
    for (len, records) in [(0, 1), (1, 1), (3000, 1), (60_000, 4)] {
        server.tx = Some(Buffer::with_capacity(262_144));
        client.rx = Some(Buffer::with_capacity(262_144));
        let wrote = server.with(|engine, pipe| engine.write2(pipe, &head, &body[..len], engine::RECORD_MAX));
        assert_eq!(wrote, Wrote::Some(200 + len));
        assert_eq!(server.deliver(&mut client), 200 + len + records * 22);
        assert_eq!(client.read(), [&head[..], &body[..len]].concat());
    }
    let (mut sent, mut got) = (0, Vec::new());
    server.tx = None;
    while sent < 60_200 {
        let (first, second) = (head.get(sent..).unwrap_or_default(), &body[sent.saturating_sub(200)..]);
        match server.with(|engine, pipe| engine.write2(pipe, first, second, 5000)) {
            Wrote::Some(n) => sent += n,
            Wrote::Full => {
                server.deliver(&mut client);
                got.extend(client.read());
            }
            Wrote::Wait | Wrote::Fault(_) => panic!("nothing is early here"),
        }
    }
    server.deliver(&mut client);
    got.extend(client.read());
    assert!(got == [&head[..], &body[..]].concat());
}

#[test]
fn a_dry_pool_stops_nothing_for_good() {
    let (shared, _regions) = shared();
    let front = bind(&BindTls::default(), vec![cert(&p256().unwrap(), &["a.test"])], &shared);
    let back = Arc::new(ServerContext::build(&server_line(TlsVersion::V13), &shared).unwrap());
    let (mut client, mut server) = ends(&front, &back, None);
    client.with(|engine, pipe| engine.handshake(pipe));
    client.deliver(&mut server);
    let mut taken = Vec::new();
    while let Some(buffer) = server.pool.get() {
        taken.push(buffer);
    }
    assert_eq!(server.with(|engine, pipe| engine.handshake(pipe)), Step::WantWrite);
    taken.into_iter().for_each(|buffer| server.pool.put(buffer));
    assert_eq!(server.with(|engine, pipe| engine.handshake(pipe)), Step::WantRead);
    server.deliver(&mut client);
    assert_eq!(shake(&mut client, &mut server), DONE);
    server.idle();
    while let Some(buffer) = server.pool.get() {
        std::mem::forget(buffer);
    }
    assert_eq!(server.with(|engine, pipe| engine.write(pipe, b"x", 9)), Wrote::Full);
}

#[test]
fn garbage_is_a_fault_that_stays() {
    let (shared, _regions) = shared();
    let front = bind(&BindTls::default(), vec![cert(&p256().unwrap(), &["a.test"])], &shared);
    let mut server = End::new(TlsEngine::accept(&front));
    let mut rx = server.pool.get().unwrap();
    rx.push(b"GET / HTTP/1.0\r\n\r\n");
    server.rx = Some(rx);
    let said = server.with(|engine, pipe| engine.handshake(pipe));
    assert!(matches!(said, Step::Fault(f) if f.reason == Reason::HttpRequest), "{said:?}");
    assert_eq!(server.with(|engine, pipe| engine.handshake(pipe)), said);
    assert!(matches!(server.with(|engine, pipe| engine.read(pipe, &mut [0; 4])), Plain::Fault(_)));
    assert!(matches!(server.with(|engine, pipe| engine.write(pipe, b"x", 9)), Wrote::Fault(_)));
    assert!(server.with(|engine, pipe| engine.shutdown(pipe)) && server.engine.err() != 0);
}

/// The figure is that of the whole process, and other tests allocate beside this one: a bad one is looked at again.
#[test]
fn an_idle_engine_is_small() {
    const COUNT: usize = 100;
    let limit = if cfg!(feature = "aws-lc") { 5000 } else { 16_000 };
    let (shared, _regions) = shared();
    let front = bind(&BindTls::default(), vec![cert(&p256().unwrap(), &["a.test"])], &shared);
    for version in VERSIONS {
        let back = Arc::new(ServerContext::build(&server_line(version), &shared).unwrap());
        let measure = || {
            let mut idle = Vec::with_capacity(COUNT);
            let before = lighterman_sys::cred::heap().0;
            for _ in 0..COUNT {
                let (mut client, mut server) = ends(&front, &back, Some("a.test"));
                assert_eq!(shake(&mut client, &mut server), DONE);
                talk(&mut client, &mut server);
                idle.push(server.engine);
            }
            lighterman_sys::cred::heap().0.saturating_sub(before) / COUNT + size_of::<TlsEngine>()
        };
        let each = (0..50).map(|_| measure()).find(|each| (500..limit).contains(each));
        println!(
            "{version:?}: {each:?} bytes per idle engine, {} of them the engine",
            size_of::<TlsEngine>()
        );
        assert!(each.is_some(), "more than {limit} bytes");
    }
}

#[test]
fn bad_lists_are_refused_by_name() {
    let (shared, _regions) = shared();
    let own = cert(&p256().unwrap(), &["a.test"]);
    let with = |common| BindTls { common, ..BindTls::default() };
    let text = |text: &str| Some(text.to_owned());
    let rows = [
        ("ciphers", with(TlsCommon { ciphers: text("NONSENSE"), ..TlsCommon::default() })),
        ("ciphersuites", with(TlsCommon { ciphersuites: text("TLS_NONSENSE"), ..TlsCommon::default() })),
        ("curves", with(TlsCommon { curves: text("X25519:nonsense"), ..TlsCommon::default() })),
        ("sigalgs", with(TlsCommon { sigalgs: text("nonsense"), ..TlsCommon::default() })),
    ];
    for (word, line) in rows {
        let error = BindContext::with_certs(&line, vec![own.clone()], &shared).err().unwrap().to_string();
        assert!(error.contains(word) && error.to_lowercase().contains("nonsense"), "{error}");
    }
    let one = TlsCommon { ciphersuites: text("TLS_CHACHA20_POLY1305_SHA256"), ..TlsCommon::default() };
    let front = bind(&with(one), vec![own.clone()], &shared);
    let back = Arc::new(ServerContext::build(&server_line(TlsVersion::V13), &shared).unwrap());
    let (mut client, mut server) = ends(&front, &back, None);
    assert_eq!(shake(&mut client, &mut server), DONE);
    assert_eq!(server.engine.cipher(), Some("TLS_CHACHA20_POLY1305_SHA256"));
    let old = with(common(TlsVersion::V11));
    let front = bind(&old, vec![own], &shared);
    let back = Arc::new(ServerContext::build(&server_line(TlsVersion::V11), &shared).unwrap());
    let (mut client, mut server) = ends(&front, &back, None);
    assert_eq!(shake(&mut client, &mut server), DONE, "TLS 1.1 when asked for");
}

/// A directory that goes away with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let dir = std::env::temp_dir().join(format!("lm-tls-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn files_are_read_in_any_order_or_refused_with_a_reason() {
    let dir = Scratch::new("files");
    let (key, other) = (p256().unwrap(), p256().unwrap());
    let ca = certificate(&["authority"], &other, None, 9).unwrap();
    let leaf = certificate(&["a.test", "B.test."], &key, Some((&ca, &other)), 9).unwrap();
    let (key_pem, leaf_pem, ca_pem) =
        (key.private_key_to_pem_pkcs8().unwrap(), leaf.to_pem().unwrap(), ca.to_pem().unwrap());
    let sec1 = key.ec_key().unwrap().private_key_to_pem().unwrap();
    for (name, parts) in [
        ("1.pem", [&key_pem, &leaf_pem, &ca_pem]),
        ("2.pem", [&ca_pem, &leaf_pem, &key_pem]),
        ("3.pem", [&leaf_pem, &sec1, &ca_pem]),
    ] {
        let loaded = certs::load_file(&dir.put(name, &parts.map(Vec::as_slice).concat())).unwrap();
        assert_eq!(
            (loaded.names.clone(), loaded.kind),
            (vec!["a.test".to_owned(), "b.test".to_owned()], KeyKind::Ec)
        );
        assert_eq!(loaded.leaf, leaf.to_der().unwrap(), "{name}");
    }
    dir.put("4.pem.key", &key_pem);
    assert!(certs::load_file(&dir.put("4.pem", &leaf_pem)).is_ok(), "key beside");
    dir.put("5.pem.key", &other.private_key_to_pem_pkcs8().unwrap());

    let cipher = openssl::symm::Cipher::aes_128_cbc();
    let locked = key.private_key_to_pem_pkcs8_passphrase(cipher, b"secret").unwrap();
    let der = |kind: &str, bytes: &[u8]| {
        use base64::Engine;
        let body = base64::engine::general_purpose::STANDARD.encode(bytes);
        format!("-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n").into_bytes()
    };
    let rows: &[(&str, Vec<u8>, fn(&CertFault) -> bool, &str)] = &[
        ("5.pem", leaf_pem.clone(), |f| matches!(f, CertFault::Mismatch), "does not belong"),
        ("a.pem", Vec::new(), |f| matches!(f, CertFault::NoCertificate), "no certificate"),
        ("b.pem", key_pem.clone(), |f| matches!(f, CertFault::NoCertificate), "no certificate"),
        ("c.pem", leaf_pem.clone(), |f| matches!(f, CertFault::NoKey(Some(_))), "c.pem.key"),
        ("d.pem", [&leaf_pem[..], &locked].concat(), |f| matches!(f, CertFault::EncryptedKey), "passphrase"),
        (
            "e.pem",
            [&leaf_pem[..], &der("PRIVATE KEY", b"xx")].concat(),
            |f| matches!(f, CertFault::BadKey),
            "parsed",
        ),
        (
            "f.pem",
            [&key_pem[..], &leaf_pem, &der("CERTIFICATE", b"junk")].concat(),
            |f| matches!(f, CertFault::BadCertificate(2)),
            "number 2",
        ),
        ("g.pem", leaf_pem[..90].to_vec(), |f| matches!(f, CertFault::Pem(_)), "has no end"),
        ("h.pem", vec![b'x'; (4 << 20) + 1], |f| matches!(f, CertFault::TooLarge), "larger"),
    ];
    for (name, bytes, fault, words) in rows {
        let error = certs::load_file(&dir.put(name, bytes)).err().unwrap();
        assert!(fault(&error.fault), "{name}: {error}");
        let text = error.to_string();
        assert!(text.contains(words) && text.contains(name) && !text.contains('\n'), "{text}");
    }
    let missing = certs::load_file(&dir.0.join("none.pem")).err().unwrap();
    assert!(missing.to_string().contains("there is no such file"), "{missing}");
    assert!(certs::load_file(&dir.0).err().unwrap().to_string().contains("directory"));
}

#[test]
fn directories_are_read_in_order_without_sidecars() {
    let dir = Scratch::new("dir");
    let (shared, _regions) = shared();
    for name in ["b.test", "a.test", "c.test"] {
        let key = p256().unwrap();
        let x509 = certificate(&[name], &key, None, 9).unwrap();
        dir.put(&format!("{name}.pem"), &pem(&key, &[&x509]));
    }
    for name in [".hidden", "a.test.pem.ocsp", "a.test.pem.issuer", "a.test.pem.sctl", "x.key"] {
        dir.put(name, b"not a certificate");
    }
    let bad = dir.put("bad.pem", b"rubbish");
    let line = BindTls { crt: vec![CrtSource::Path(dir.0.clone())], ..BindTls::default() };
    let (context, left_out) = BindContext::build(&line, &shared, &mut || {}).unwrap();
    let (index, _) = context.store().index(context.places()[0]).unwrap();
    let files: Vec<String> =
        index.entries().map(|(_, entry)| index.file(&entry).display().to_string()).collect();
    let ends = ["/a.test.pem", "/b.test.pem", "/c.test.pem"];
    assert!(files.len() == 3 && files.iter().zip(ends).all(|(file, end)| file.ends_with(end)), "{files:?}");
    // The bad one, and the three files beside "a.test.pem" that are not what they should be.
    assert_eq!(left_out.len(), 4);
    assert!(left_out[0].starts_with(&bad.display().to_string()), "{left_out:?}");

    let named =
        BindTls { crt: vec![CrtSource::Path(dir.0.clone()), CrtSource::Path(bad)], ..BindTls::default() };
    assert!(BindContext::build(&named, &shared, &mut || {}).is_err(), "a file that is named must be good");
    std::fs::create_dir(dir.0.join("empty")).unwrap();
    let empty = BindTls { crt: vec![CrtSource::Path(dir.0.join("empty"))], ..BindTls::default() };
    let error = BindContext::build(&empty, &shared, &mut || {}).err().unwrap().to_string();
    assert!(error.contains("no usable certificate") && error.contains("empty"), "{error}");
    let (own, _) =
        BindContext::build(&BindTls { self_signed: true, ..BindTls::default() }, &shared, &mut || {})
            .unwrap();
    let (index, _) = own.store().index(own.places()[0]).unwrap();
    assert!(index.find(b"localhost", false).next().is_some());
}

#[test]
fn a_hello_in_any_pieces_finds_the_options_of_its_line() {
    let dir = Scratch::new("turn");
    let (shared, _regions) = shared();
    for name in ["a.test", "b.test"] {
        let key = p256().unwrap();
        dir.put(name, &pem(&key, &[&certificate(&[name], &key, None, 9).unwrap()]));
    }
    let mut list = CrtList::new("list".into(), Some(dir.0.clone()));
    assert!(list.push(1, "a.test", 0, None, std::iter::empty()));
    assert!(list.push(2, "b.test", 1, None, std::iter::empty()));
    let own = BindTls { crt: vec![CrtSource::List(Arc::new(list))], ..BindTls::default() };
    let line = BindTls {
        variants: vec![BindTls { common: common(TlsVersion::V12), ..BindTls::default() }],
        ..own.clone()
    };
    let front = Arc::new(BindContext::build(&line, &shared, &mut || {}).unwrap().0);
    let back = ServerTls { verify: Verify::None, ..ServerTls::default() };
    let back = Arc::new(ServerContext::build(&back, &shared).unwrap());
    for (name, version) in [("a.test", "TLSv1.3"), ("b.test", "TLSv1.2")] {
        for size in [1, 3, 5, 6, 100, 1000] {
            let (mut client, mut server) = ends(&front, &back, Some(name));
            assert_eq!(client.with(|engine, pipe| engine.handshake(pipe)), Step::WantRead);
            let hello = client.tx.as_ref().unwrap().readable().to_vec();
            client.tx.as_mut().unwrap().consume(hello.len());
            for piece in hello.chunks(size) {
                let rx = server.rx.get_or_insert_with(|| server.pool.get().unwrap());
                assert_eq!(rx.push(piece), piece.len());
                let step = server.with(|engine, pipe| engine.handshake(pipe));
                assert_eq!(step, Step::WantRead, "{name} in pieces of {size}");
            }
            server.deliver(&mut client);
            assert_eq!(shake(&mut client, &mut server), DONE, "{name} in pieces of {size}");
            assert_eq!(server.engine.shown().unwrap().names, [name]);
            assert_eq!(server.engine.version(), Some(version));
            talk(&mut client, &mut server);
        }
    }
    // The default has the options of its line.
    let (mut client, mut server) = ends(&front, &back, None);
    assert_eq!(shake(&mut client, &mut server), DONE);
    assert_eq!(server.engine.version(), Some("TLSv1.3"));
}
