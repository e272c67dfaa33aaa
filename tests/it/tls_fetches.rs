//! Fetches of TLS, with real handshakes on both sides.

use lighterman_harness::logs::text;
use lighterman_harness::tls::{Cert, Client};
use lighterman_harness::{Logs, Program, Proxy, Reply, Server};
use openssl::ssl::SslVersion;

use crate::program;

/// A frontend that answers with what these fetches yield. `${ca}` and `${other}` are files of authorities.
struct Teller {
    root: Cert,
    proxy: Proxy,
}

impl Teller {
    fn new(global: &str, options: &str, fetches: &str) -> Teller {
        let root = Cert::authority("Root");
        let program = program(&format!(
            "{global}\nfrontend fe\n    bind \"fd@${{fe}}\" ssl crt \"${{pem}}\" {options}\n    http-request return status 200 content-type text/plain lf-string \"{fetches}\"\n"
        ))
        .listen("fe");
        let pem = program.file("a.pem", Cert::new(&["a.test"]).pem());
        let ca = program.file("ca.pem", root.cert_pem());
        Teller { root, proxy: program.env("pem", pem).env("ca", ca).start() }
    }

    #[track_caller]
    fn ask(&self, client: lighterman_harness::tls::Settings) -> Vec<String> {
        let said = client.build().connect(self.proxy.addr("fe")).get("/").text();
        said.split(' ').map(str::to_owned).collect()
    }
}

#[test]
fn names_of_all_times_mean_the_same() {
    let root = Cert::authority("Root");
    let server = Server::https(root.issue(&["s.test"]).server(), |request| {
        Reply::ok(request.field("x-tls").unwrap_or(""))
    });
    let logs = Logs::udp();
    let fetches = "%[is_ssl] %[ssl_has_sni] %[ssl_sni] %[ssl_fc_has_sni] %[ssl_fc_sni] %[ssl_c_version] %[ssl_f_version] \
                   %[ssl_fc_use_keysize] %[ssl_fc_alg_keysize] %[ssl_fc_client_random,hex] %[ssl_fc_server_random,hex] \
                   %[ssl_c_chain_der,length] %[ssl_fc_err] %[ssl_fc_hsk_err] %[ssl_fc_hsk_err_str] %[fc_err] %[fc_err_str]";
    let program = program(&format!(
        "listen fe\n    log {} local0\n    log-format \"%[ssl_bc] %[ssl_bc_protocol] %[ssl_bc_use_keysize] %[ssl_bc_alg_keysize] %[ssl_bc_client_random,hex] %[ssl_s_version] %[ssl_s_s_dn(CN)] %[bc_err] %[ssl_bc_err] %[ssl_bc_hsk_err]\"\n    \
         bind \"fd@${{fe}}\" ssl crt \"${{pem}}\" verify required ca-file \"${{ca}}\"\n    \
         acl ends ssl_sni_end .test\n    acl fits ssl_sni_reg ^s[a-z]+\\.test$\n    http-request deny unless ends fits\n    \
         http-request set-header X-Tls \"{fetches}\"\n    server s1 {} ssl ca-file \"${{ca}}\" verifyhost s.test\n",
        logs.address(),
        server.addr()
    ))
    .listen("fe");
    let pem = program.file("a.pem", Cert::new(&["site.test"]).pem());
    let ca = program.file("ca.pem", root.cert_pem());
    let proxy = Program::start(program.env("pem", pem).env("ca", ca));
    let client = Client::new().cert(&root.issue(&["anna"])).version(SslVersion::TLS1_3).sni("site.test");
    let said = client.build().connect(proxy.addr("fe")).get("/").text();
    let words: Vec<&str> = said.split(' ').collect();
    let bits = words[7];
    let expected = format!("1 1 site.test 1 site.test 3 3 {bits} {bits} ");
    assert!(["128", "256"].contains(&bits) && said.starts_with(&expected), "{said}");
    assert!(words[9].len() == 64 && words[10].len() == 64 && words[9] != words[10], "{said}");
    assert!(said.ends_with(" 0 0  0 Success"), "{said}");
    let line = logs.next();
    assert!(text(&line).starts_with("1 TLSv1.") && text(&line).ends_with(" 3 s.test 0 0 0"), "{line}");
    let other = Client::new().cert(&root.issue(&["anna"])).sni("9.test").build();
    assert_eq!(other.connect(proxy.addr("fe")).get("/").status, 403);
}

#[test]
fn hellos_are_kept_when_asked_for() {
    let fetches = "%[ssl_fc_cipherlist_bin,hex] %[ssl_fc_cipherlist_hex] %[ssl_fc_cipherlist_hex(1)] %[ssl_fc_cipherlist_str(1)] \
                   %[ssl_fc_cipherlist_xxh] %[ssl_fc_eclist_bin(1),hex] %[ssl_fc_extlist_bin(1),hex] %[ssl_fc_ecformats_bin,hex] \
                   %[ssl_fc_protocol_hello_id] %[ssl_fc_sigalgs_bin,length] %[ssl_fc_supported_versions_bin(1),hex]";
    let client = || {
        Client::new()
            .version(SslVersion::TLS1_2)
            .ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
            .groups("P-256")
            .sni("a.test")
    };
    let kept = Teller::new("global\n    tune.ssl.capture-buffer-size 100", "", fetches);
    let said = kept.ask(client());
    assert!(said[0].starts_with("C02B"), "{said:?}");
    assert_eq!((&said[1], &said[2]), (&said[0], &said[0]));
    assert!(said[3].starts_with("ECDHE-ECDSA-AES128-GCM-SHA256"), "{said:?}");
    assert_eq!((said[5].as_str(), said[7].as_str(), said[8].as_str()), ("0017", "00", "771"), "{said:?}");
    let extensions: Vec<&str> = (0..said[6].len() / 4).map(|at| &said[6][4 * at..4 * at + 4]).collect();
    assert!(["0000", "000A", "000D"].iter().all(|number| extensions.contains(number)), "{said:?}");
    assert!(said[9].parse::<u32>().unwrap() >= 2, "{said:?}");
    let hash = said[4].clone();
    assert_ne!(hash, "");
    // the room is for each list; the hash is of all
    let little = Teller::new("global\n    tune.ssl.capture-buffer-size 2", "", fetches);
    let said = little.ask(client());
    assert_eq!((said[0].as_str(), said[6].len(), &said[4]), ("C02B", 4, &hash));
    let nothing = Teller::new("", "", fetches).ask(client());
    assert!(nothing.iter().all(String::is_empty), "{nothing:?}");
}

#[test]
fn secrets_and_bindings_are_those_of_the_connection() {
    let fetches = "%[ssl_fc_unique_id,hex] %[ssl_fc_session_key,hex] %[ssl_fc_protocol]";
    let teller = Teller::new("", "", fetches);
    let client = Client::new().version(SslVersion::TLS1_2).resume().build();
    for resumed in [false, true] {
        let mut peer = client.connect(teller.proxy.addr("fe"));
        assert_eq!(peer.tls().session_reused(), resumed);
        let said = peer.get("/").text();
        let said: Vec<&str> = said.split(' ').collect();
        let (mut ours, mut key) = (vec![0; 64], vec![0; 64]);
        let len = if resumed { peer.tls().peer_finished(&mut ours) } else { peer.tls().finished(&mut ours) };
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02X}")).collect::<String>();
        assert_eq!(said[0], hex(&ours[..len]), "{resumed}");
        let len = peer.tls().session().unwrap().master_key(&mut key);
        assert_eq!(said[1], hex(&key[..len]));
    }
    let said = teller.ask(Client::new().version(SslVersion::TLS1_3));
    assert_eq!((said[0].len() % 64, said[2].as_str()), (0, "TLSv1.3"), "{said:?}");
}

#[test]
fn names_in_certificates() {
    let options = "verify required ca-file \"${ca}\"";
    let fetches = "%[ssl_c_s_dn] %[ssl_c_s_dn(,0,rfc2253)] %[ssl_c_s_dn(CN)] %[ssl_c_i_dn(CN,-1)] %[ssl_c_r_dn] %[ssl_c_r_dn(CN)] \
                   %[ssl_c_r_dn(,0,rfc2253)] %[ssl_c_policies]";
    let teller = Teller::new("", options, fetches);
    let said = teller.ask(Client::new().cert(&teller.root.issue(&["anna+b"])));
    assert_eq!(said, ["/CN=anna+b", "CN=anna\\+b", "anna+b", "Root", "/CN=Root", "Root", "CN=Root", ""]);
    let between = teller.root.issue_authority("Between");
    let said = teller.ask(Client::new().cert(&between.issue(&["bert"])).chain(&between));
    assert_eq!(said[3..6], ["Between", "/CN=Root", "Root"]);
}

#[test]
fn parts_of_a_proxy_header_by_number_and_by_name() {
    let program = program("frontend fe\n    bind \"fd@${fe}\" accept-proxy\n    http-request return status 200 content-type text/plain lf-string \"%[fc_pp_authority] %[fc_pp_unique_id] %[fc_pp_tlv(2)] %[fc_pp_tlv(0x02)] %[fc_pp_tlv(AUTHORITY)] %[fc_pp_tlv(UNIQUE_ID)] %[fc_pp_tlv(0xE0)] %[fc_pp_tlv(0xE1)]\"\n");
    let proxy = program.listen("fe").start();
    let mut block = vec![192, 0, 2, 1, 192, 0, 2, 2, 0, 1, 0, 2];
    for (kind, value) in [(2u8, "a.test"), (5, "id-1"), (0xe0, "own")] {
        block.extend([kind, 0, value.len() as u8]);
        block.extend_from_slice(value.as_bytes());
    }
    let mut client = proxy.connect("fe");
    client.send([b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00", &[block.len() as u8][..], &block].concat());
    assert_eq!(client.get("/").text(), "a.test id-1 a.test a.test a.test id-1 own ");
}
