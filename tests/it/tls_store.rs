//! Certificates that are read when they are asked for, where that is not easy: a master that stands still, processes without
//! rights, names no certificate could have, a first look at thousands of files on a terminal.

use std::io::{self, Read, Write};
use std::process::Command;

use lighterman_harness::peer::find;
use lighterman_harness::terminal::run_on_terminal;
use lighterman_harness::tls::{Cert, Client};
use lighterman_harness::{eventually, procs, Dir, Logs, Peer, Program, Proxy, Server, Watch};
use nix::sys::signal::Signal;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslVersion};

use crate::{program, BIN};

/// A frontend over a directory.
fn offload(dir: &Dir, global: &str, options: &str, server: &Server) -> Program {
    let text = format!(
        "global\n{global}\nlisten fe\n    bind \"fd@${{fe}}\" ssl crt \"${{certs}}\" {options}\n    server s1 {}\n",
        server.addr()
    );
    program(&text).listen("fe").env("certs", dir.path().display())
}

fn asks(proxy: &Proxy, name: &str) -> Result<String, String> {
    let peer = Client::new().sni(name).build().try_connect(proxy.addr("fe"))?;
    Ok(Cert::name_of(&peer))
}

fn certificates(names: &[&str]) -> Dir {
    let dir = Dir::new();
    for name in names {
        dir.file(&format!("{name}.pem"), Cert::new(&[&format!("{name}.test")]).pem());
    }
    dir
}

#[test]
fn a_master_that_stands_still_costs_only_what_nobody_has_read_yet() {
    let server = Server::named("ok");
    let dir = certificates(&["a", "b"]);
    let log = Logs::udp();
    let global = format!("    log {} local0", log.address());
    let proxy = offload(&dir, &global, "", &server).workers(1).start();
    assert_eq!(asks(&proxy, "a.test").unwrap(), "a.test");
    procs::signal(proxy.pid(), Signal::SIGSTOP);
    let addr = proxy.addr("fe");
    let watch = Watch::start();
    let waiting =
        std::thread::spawn(move || Client::new().sni("b.test").build().try_connect(addr).map(drop).is_err());
    let mut served = 0;
    while !waiting.is_finished() {
        assert_eq!(asks(&proxy, "a.test").unwrap(), "a.test", "others are served meanwhile");
        served += 1;
    }
    let took = watch.elapsed();
    assert!(waiting.join().unwrap(), "it is refused");
    assert!(served > 10 && took.as_millis() >= 1900, "{served} in {took:?}");
    let line = log.next_with("cannot be used");
    assert!(line.contains("b.pem") && line.contains("in time"), "{line}");
    assert_eq!(proxy.count("SslCertFailures"), 1);
    procs::signal(proxy.pid(), Signal::SIGCONT);
    eventually("it is served", || asks(&proxy, "b.test").is_ok_and(|name| name == "b.test"));
}

#[test]
fn processes_without_rights_serve_files_they_cannot_read() {
    if !nix::unistd::geteuid().is_root() {
        return; // nobody else can become somebody else
    }
    let server = Server::named("ok");
    for (workers, options) in [(Some(2), ""), (Some(2), "watch"), (None, ""), (None, "watch")] {
        let dir = certificates(&["a", "b", "c"]);
        std::os::unix::fs::chown(dir.path(), Some(0), Some(0)).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(dir.path(), private).unwrap();
        let jail = Dir::new();
        let global = format!("    user nobody\n    chroot {}", jail.path().display());
        let program = offload(&dir, &global, options, &server);
        let proxy = match workers {
            Some(n) => program.workers(n).start(),
            None => program.start(),
        };
        for name in ["a.test", "b.test", "c.test"] {
            assert_eq!(asks(&proxy, name).unwrap(), name, "{workers:?} {options}");
        }
        if !options.is_empty() {
            dir.file("d.pem", Cert::new(&["d.test"]).pem());
            eventually("what is new is served", || asks(&proxy, "d.test").is_ok_and(|name| name == "d.test"));
        }
        let serving = match workers {
            Some(_) => proxy.workers(),
            None => vec![proxy.pid()],
        };
        for pid in serving {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            assert!(!status.contains("Uid:\t0"), "{status}");
            for file in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten() {
                let target = std::fs::read_link(file.path()).unwrap_or_default().display().to_string();
                assert!(!target.contains("inotify") && !target.starts_with("/tmp/"), "{workers:?} {target}");
            }
        }
    }
}

#[test]
fn a_terminal_sees_how_far_the_first_look_is_and_a_pipe_does_not() {
    let dir = Dir::new();
    // a long chain takes a while to look at
    let chain: Vec<u8> = std::iter::repeat_n(Cert::authority("Root").cert_pem(), 120).flatten().collect();
    let first = dir.file("0.pem", [Cert::new(&["a.test"]).pem(), chain].concat());
    for n in 1..2100 {
        std::fs::hard_link(&first, dir.at(&format!("{n}.pem"))).unwrap();
    }
    let place = Dir::new();
    let text = format!(
        "global\n    ssl-index-dir {}\nlisten fe\n    mode http\n    timeout client 1s\n    timeout server 1s\n    \
         timeout connect 1s\n    bind 127.0.0.1:0 ssl crt {}\n",
        place.at("index"),
        dir.path().display()
    );
    std::fs::create_dir(place.at("index")).unwrap();
    let config = place.file("lighterman.cfg", text);
    let (said, well) = run_on_terminal(Command::new(BIN).args(["-c", "-f", &config]));
    assert!(well, "{said}");
    let line = format!("Reading certificates in {}: 2048 of 2100", dir.path().display());
    assert!(said.contains(&line), "{said:?}");
    assert!(said.contains("\r\x1b[K"), "the line is taken away: {said:?}");
    let again = run_on_terminal(Command::new(BIN).args(["-c", "-f", &config])).0;
    assert!(!again.contains("Reading"), "the second look is short: {again:?}");
    std::fs::remove_dir_all(place.at("index")).unwrap();
    std::fs::create_dir(place.at("index")).unwrap();
    let piped = lighterman_harness::program::run(BIN, &["-c", "-f", &config]);
    assert!(!piped.stderr.contains("Reading"), "{}", piped.stderr);
}

/// What a client says first, asking for these very bytes; in TLS 1.2, whose answer can be read by anybody.
fn hello(name: &[u8]) -> Vec<u8> {
    /// Keeps what is written, and has nothing to read.
    #[derive(Debug)]
    struct Ear(Vec<u8>);
    impl Read for Ear {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }
    impl Write for Ear {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    const STAND_IN: &str = "stand-in.test";
    let mut context = SslContext::builder(SslMethod::tls()).unwrap();
    context.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
    let mut ssl = Ssl::new(&context.build()).unwrap();
    ssl.set_hostname(STAND_IN).unwrap();
    let mut bytes = match ssl.connect(Ear(Vec::new())) {
        Err(openssl::ssl::HandshakeError::WouldBlock(half)) => half.get_ref().0.clone(),
        other => panic!("{other:?}"),
    };
    let at = find(&bytes, STAND_IN.as_bytes()).unwrap();
    bytes.splice(at..at + STAND_IN.len(), name.iter().copied());
    // the lengths of: name, list, extension (RFC 6066 section 3), message and record
    let grow = |bytes: &mut Vec<u8>, at: usize| {
        let old = u16::from_be_bytes([bytes[at], bytes[at + 1]]) as usize;
        let new = (old + name.len() - STAND_IN.len()) as u16;
        bytes[at..at + 2].copy_from_slice(&new.to_be_bytes());
    };
    [at - 2, at - 5, at - 7, 3, 7].into_iter().for_each(|place| grow(&mut bytes, place));
    // all extensions: behind version, random, session id, suites and compression methods
    let id = 43 + 1 + usize::from(bytes[43]);
    let suites = id + 2 + usize::from(u16::from_be_bytes([bytes[id], bytes[id + 1]]));
    let extensions = suites + 1 + usize::from(bytes[suites]);
    grow(&mut bytes, extensions);
    bytes
}

#[test]
fn names_no_certificate_has_get_the_default_or_a_refusal() {
    let server = Server::named("ok");
    let dir = certificates(&["0-default", "a"]);
    dir.file("w.pem", Cert::new(&["*.w.test"]).pem());
    dir.file("idn.pem", Cert::new(&["xn--bcher-kva.test"]).pem());
    let long = [b"x".repeat(60), b".".to_vec()].concat().repeat(5);
    // (name, the certificate; none: the default, or with strict-sni a refusal)
    let rows: &[(&[u8], Option<&str>)] = &[
        (b"a.test", Some("a.test")),
        (b"A.Test", Some("a.test")),
        (b"a.test.", Some("a.test")),
        (b"a.test..", None),
        (b"xn--bcher-kva.test", Some("xn--bcher-kva.test")),
        (b"XN--BCHER-KVA.TEST", Some("xn--bcher-kva.test")),
        ("b\u{fc}cher.test".as_bytes(), None),
        (b"x.w.test", Some("*.w.test")),
        (b"x.y.w.test", None),
        (b".w.test", None),
        (b"w.test", None),
        (b"10.0.0.1", None),
        (b"[::1]", None),
        (b"::1", None),
        (b".", None),
        (b" a.test", None),
        (b"a.test\n", None),
        (b"a.test\0.evil.test", None),
        (b"\0\0\0", None),
        (&[0xff; 40], None),
        (&[b'a'; 253], None),
        (&[b'a'; 255], None),
        (&long, None),
    ];
    for (options, strict) in [("", false), ("strict-sni", true)] {
        let proxy = offload(&dir, "", options, &server).workers(1).start();
        for (name, expected) in rows {
            let said = || format!("{strict} {:?}", String::from_utf8_lossy(name));
            let mut peer = Peer::connect(proxy.addr("fe"));
            peer.send(hello(name));
            let answer = peer.take(5);
            match (expected, strict) {
                // fatal, unrecognized_name; what the library refuses as no name at all is illegal_parameter or decode_error
                (None, true) => {
                    assert_eq!(answer[0], 21, "{}", said());
                    let rest = peer.rest();
                    let alert = [&answer[5..], &rest].concat();
                    assert!(alert[0] == 2 && [112, 47, 50].contains(&alert[1]), "{} {alert:?}", said());
                }
                (None, false) if answer[0] == 21 => {
                    let rest = peer.rest();
                    let alert = [&answer[5..], &rest].concat();
                    // malformed by RFC 6066: the library looks at it before we do
                    assert!([47, 50, 112].contains(&alert[1]), "{} {alert:?}", said());
                    assert!(name.contains(&0) || name.len() > 255, "{}", said());
                }
                (shown, _) => {
                    assert_eq!(answer[0], 22, "{}", said());
                    let shown = shown.unwrap_or("0-default.test");
                    let mut flight = answer;
                    while find(&flight, shown.as_bytes()).is_none() {
                        flight.extend(peer.some(1));
                    }
                }
            }
        }
        let empty = {
            let mut peer = Peer::connect(proxy.addr("fe"));
            peer.send(hello(b""));
            peer.take(5)
        };
        assert!([21, 22].contains(&empty[0]), "an empty name is answered: {empty:?}");
        assert_eq!(asks(&proxy, "a.test").unwrap(), "a.test", "and everything goes on");
        assert_eq!(proxy.count("SslCertFailures"), 0);
    }
}
