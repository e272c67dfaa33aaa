//! What TLS knows of a client, in headers, in logs, and at the next tier.

use lighterman_harness::logs::text;
use lighterman_harness::tls::{Cert, Client};
use lighterman_harness::{Logs, Program, Proxy, Reply, Server};
use openssl::ssl::SslVersion;

use crate::program;

/// The next tier: tells its origin which TLVs came.
fn inner(server: &Server) -> Proxy {
    program(&format!(
        "listen fe\n    bind \"fd@${{fe}}\" accept-proxy\n    http-request set-header X-Tls \"%[fc_pp_tlv(2)] %[fc_pp_tlv(32),hex]\"\n    server s1 {}\n",
        server.addr()
    ))
    .listen("fe")
    .start()
}

/// The tier that speaks TLS with clients.
fn outer(next: &Proxy, logs: &Logs, root: &Cert) -> Proxy {
    let program = program(&format!(
        "listen fe\n    log {} local0\n    option httpslog\n    bind \"fd@${{fe}}\" ssl crt \"${{pem}}\" verify optional ca-file \"${{ca}}\"\n    \
         server s1 {} send-proxy-v2 proxy-v2-options ssl,cert-cn,cert-key,cert-sig,ssl-cipher,authority\n",
        logs.address(),
        next.addr("fe")
    ))
    .listen("fe");
    let pem = program.file("a.pem", Cert::new(&["site.test"]).pem());
    let ca = program.file("ca.pem", root.cert_pem());
    Program::start(program.env("pem", pem).env("ca", ca))
}

/// Sub-TLVs of an SSL TLV (after client bits and verify result), by type.
fn parts(hex: &str) -> (String, Vec<(u8, String)>) {
    let bytes: Vec<u8> =
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
    let (head, mut rest) = bytes.split_at(5);
    let mut found = Vec::new();
    while let [kind, high, low, tail @ ..] = rest {
        let (value, after) = tail.split_at(usize::from(*high) << 8 | usize::from(*low));
        found.push((*kind, String::from_utf8_lossy(value).into_owned()));
        rest = after;
    }
    (head.iter().map(|byte| format!("{byte:02x}")).collect(), found)
}

#[test]
fn what_tls_knows_reaches_headers_logs_and_the_next_tier() {
    let root = Cert::authority("Root");
    let server = Server::http(|request| Reply::ok(request.field("x-tls").unwrap_or("nothing")));
    let logs = Logs::udp();
    let (inner, anna) = (inner(&server), root.issue(&["anna.test"]));
    let outer = outer(&inner, &logs, &root);
    let rows = [
        (SslVersion::TLS1_3, Some(&anna), "0700000000", "TLSv1.3", "TLS_AES_"),
        (SslVersion::TLS1_2, Some(&anna), "0700000000", "TLSv1.2", "ECDHE-ECDSA-AES"),
        (SslVersion::TLS1_3, None, "0100000001", "TLSv1.3", "TLS_AES_"),
    ];
    for (version, cert, head, version_name, cipher) in rows {
        let client = Client::new().version(version).sni("site.test");
        let client = cert.into_iter().fold(client, |client, cert| client.cert(cert)).build();
        let said = client.connect(outer.addr("fe")).get("/").text();
        let (name, hex) = said.split_once(' ').unwrap();
        assert_eq!(name, "site.test");
        let (got_head, got) = parts(hex);
        assert_eq!(got_head, head, "{version_name}: {got:?}");
        let part = |kind: u8| got.iter().find(|(k, _)| *k == kind).map(|(_, value)| value.as_str());
        assert_eq!(part(0x21), Some(version_name));
        assert!(part(0x23).is_some_and(|name| name.starts_with(cipher)), "{got:?}");
        // algorithms are those of our own certificate, the name is the client's
        assert_eq!((part(0x24), part(0x25)), (Some("ecdsa-with-SHA256"), Some("EC256")), "{got:?}");
        assert_eq!(part(0x22), cert.map(|_| "anna.test"));
        let line = logs.next_with("GET /");
        let tail = format!(" 0/0000000000000000/0/0/0 site.test/{version_name}/{cipher}");
        assert!(text(&line).contains(&tail), "{tail} in {line}");
    }
}
