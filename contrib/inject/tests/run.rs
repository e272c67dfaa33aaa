//! The injector against the project's own origin, plain and through TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use lighterman_inject::clock;
use lighterman_inject::counters::{Line, Totals, Trouble};
use lighterman_inject::engine::{self, Job};
use lighterman_inject::histogram::Times;
use lighterman_inject::options::{Asked, Options};
use lighterman_sys::map::Region;
use lighterman_term::server::{listen, Server};
use openssl::asn1::Asn1Time;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{Ssl, SslContext, SslMethod, SslStream};
use openssl::x509::X509;

/// Starts an origin in a thread that lives as long as the test binary.
fn origin() -> SocketAddr {
    let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)), false).unwrap();
    let mut server = Server::new(vec![listener], None).unwrap();
    let addr = server.addresses().unwrap()[0];
    std::thread::spawn(move || server.run());
    addr
}

fn identity() -> (PKey<Private>, X509) {
    let group = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(openssl::ec::EcKey::generate(&group).unwrap()).unwrap();
    let mut name = openssl::x509::X509Name::builder().unwrap();
    name.append_entry_by_text("CN", "inject.test").unwrap();
    let name = name.build();
    let mut cert = X509::builder().unwrap();
    cert.set_version(2).unwrap();
    cert.set_subject_name(&name).unwrap();
    cert.set_issuer_name(&name).unwrap();
    cert.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    cert.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    cert.set_pubkey(&key).unwrap();
    cert.sign(&key, openssl::hash::MessageDigest::sha256()).unwrap();
    (key, cert.build())
}

/// A TLS server that answers `GET` with two bytes, a thread per connection. `tickets`: whether it gives any.
fn tls_server(tickets: bool) -> SocketAddr {
    let (key, cert) = identity();
    let mut context = SslContext::builder(SslMethod::tls_server()).unwrap();
    context.set_private_key(&key).unwrap();
    context.set_certificate(&cert).unwrap();
    context.set_session_id_context(b"inject").unwrap();
    context.set_session_cache_mode(openssl::ssl::SslSessionCacheMode::SERVER);
    if !tickets {
        context.set_options(openssl::ssl::SslOptions::NO_TICKET);
    }
    let context = Arc::new(context.build());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for sock in listener.incoming().flatten() {
            let context = Arc::clone(&context);
            std::thread::spawn(move || answer(&context, sock));
        }
    });
    addr
}

fn answer(context: &SslContext, sock: TcpStream) {
    let mut stream = SslStream::new(Ssl::new(context).unwrap(), sock).unwrap();
    if stream.accept().is_err() {
        return;
    }
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(n) if n > 0 => request.extend_from_slice(&buffer[..n]),
            _ => return,
        }
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        let close = request.windows(17).any(|w| w == b"Connection: close");
        let connection = if close { "Connection: close\r\n" } else { "" };
        let text = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{connection}\r\nok");
        if stream.write_all(text.as_bytes()).is_err() {
            return;
        }
        request.clear();
        if close {
            let _ = stream.shutdown(); // the client may be gone
            return;
        }
    }
}

fn job(line: &str) -> Job {
    match Options::parse(line.split_whitespace()) {
        Ok(Asked::Run(options)) => options.job,
        other => panic!("{line}: {other:?}"),
    }
}

fn inject(line: &str) -> (Totals, Times) {
    let lines: Region<Line> = Region::alone(1).unwrap();
    let times = engine::run(&job(line), &lines[0], clock::now()).unwrap();
    (Totals::of(&lines), times)
}

#[test]
fn plain_keep_alive() {
    let addr = origin();
    let (totals, times) = inject(&format!("-c 8 -n 1000 http://{addr}/?s=200"));
    assert_eq!((totals.tot_req, totals.tot_conn, totals.failures()), (1000, 8, 0));
    assert_eq!((totals.status[1], totals.conns), (1000, 0));
    assert!(totals.tot_bytes > 1000 * 200 && totals.tot_bytes < 1000 * 500);
    assert_eq!((times.ttfb.len(), times.ttlb.len(), times.handshake.len()), (1000, 1000, 0));
}

#[test]
fn plain_with_few_requests_per_connection() {
    let addr = origin();
    for (per_conn, ending) in [(1, "fin"), (3, "rst"), (4, "wait")] {
        let (totals, _) =
            inject(&format!("-c 5 -n 120 -r {per_conn} --close {ending} http://{addr}/?s=2/w=3600k"));
        assert_eq!((totals.tot_req, totals.failures()), (120, 0), "{per_conn} {ending}");
        // at the end every place may hold a connection that was not used up
        let least = 120 / per_conn;
        assert!((least..=least + 5).contains(&totals.tot_conn), "{per_conn}: {}", totals.tot_conn);
    }
}

#[test]
fn bodies_of_all_framings() {
    let addr = origin();
    for (url, body) in [
        ("/?s=3m", 3 << 20),
        ("/?s=1m&k=1", 1 << 20),
        ("/?s=300k&L=0", 300 << 10),
        ("/?s=0", 0),
        ("/?c=204", 0),
    ] {
        let (totals, _) = inject(&format!("-c 3 -n 30 http://{addr}{url}"));
        assert_eq!((totals.tot_req, totals.failures()), (30, 0), "{url}");
        let (least, most) = (30 * body, 30 * (body + 300 + body / 100));
        assert!((least..=most).contains(&totals.tot_bytes), "{url}: {}", totals.tot_bytes);
    }
    let (totals, _) = inject(&format!("-c 3 -n 30 -I http://{addr}/?s=1m"));
    assert_eq!((totals.tot_req, totals.failures()), (30, 0));
    assert!(totals.tot_bytes < 30 * 300);
}

#[test]
fn a_rate_is_kept() {
    let addr = origin();
    let start = clock::now();
    let (totals, _) = inject(&format!("-c 4 -n 50 -R 500 http://{addr}/?s=1"));
    assert_eq!((totals.tot_req, totals.failures()), (50, 0));
    assert!(start.elapsed() >= Duration::from_millis(98), "{:?}", start.elapsed());
    let (totals, _) = inject(&format!("-c 4 -n 50 -r 1 -R 2000 http://{addr}/?s=1"));
    assert_eq!((totals.tot_req, totals.tot_conn, totals.failures()), (50, 50, 0));
}

#[test]
fn the_time_ends_a_run() {
    let addr = origin();
    let start = clock::now();
    let (totals, _) = inject(&format!("-c 2 -d 0.2 http://{addr}/?t=5"));
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(2), "{took:?}");
    assert!(totals.tot_req > 2 && totals.failures() == 0);
}

#[test]
fn failures_have_a_kind() {
    // nobody listens
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (totals, _) = inject(&format!("-c 1 -n 10 -e http://{closed}/"));
    assert_eq!(totals.errors[Trouble::Connect as usize], 1);
    // accepts, never answers
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (totals, _) = inject(&format!("-c 1 -n 10 -e -w 50 http://{}/", silent.local_addr().unwrap()));
    assert_eq!((totals.errors[Trouble::Timeout as usize], totals.tot_conn), (1, 1));
    // an origin asked in TLS
    let (totals, _) = inject(&format!("-c 1 -n 10 -e https://{}/", origin()));
    assert_eq!(totals.errors[Trouble::Tls as usize], 1);
    // TLS asked in plain
    let (totals, _) = inject(&format!("-c 1 -n 10 -e http://{}/", tls_server(true)));
    assert_eq!(totals.failures(), 1);
}

#[test]
fn tls_full_and_resumed() {
    for (tickets, options, resumed) in [
        (true, "--tls-ver TLS1.3", false),
        (true, "--tls-ver TLS1.2", false),
        (true, "--tls-ver TLS1.3 --tls-reuse", true),
        (true, "--tls-ver TLS1.2 --resume ticket", true),
        (false, "--tls-ver TLS1.2 --resume id", true),
        (false, "--tls-ver TLS1.2 --tls-reuse", true),
        (true, "--merge", false),
    ] {
        let addr = tls_server(tickets);
        let (totals, times) = inject(&format!("-c 4 -n 40 -r 1 {options} --sni inject.test https://{addr}/"));
        assert_eq!((totals.tot_req, totals.failures(), totals.handshakes), (40, 0, 40), "{options}");
        // the first one brings the session
        assert_eq!(totals.resumed, if resumed { 39 } else { 0 }, "{options}");
        assert_eq!(times.handshake.len(), 40);
    }
}

#[test]
fn tls_keep_alive() {
    let addr = tls_server(true);
    let (totals, _) = inject(&format!("-c 4 -n 400 https://{addr}/"));
    assert_eq!((totals.tot_req, totals.failures(), totals.handshakes), (400, 0, 4));
}
