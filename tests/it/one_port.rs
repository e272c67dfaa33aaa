//! One port, several protocols: HTTP, TLS passed through and servers that speak first, told apart by what
//! the client says, or by its silence.

use lighterman_harness::logs::text;
use lighterman_harness::tls::{Cert, Client};
use lighterman_harness::{Logs, Proxy, Reply, Server};

use crate::program;

/// What stands behind the port.
struct Port {
    web: Server,
    tls: [Server; 2],
    logs: Logs,
    proxy: Proxy,
    certs: [Cert; 2],
    _ssh: Server,
}

impl Port {
    /// `rules`: of the frontend, in front of its `use_backend` lines.
    fn new(rules: &str) -> Port {
        let web = Server::http(|request| Reply::ok(format!("web {}", request.uri())));
        let certs = [Cert::new(&["one.test"]), Cert::new(&["two.test"])];
        let tls = [0, 1].map(|n| Server::https(certs[n].server(), move |_| Reply::ok(format!("tls {n}"))));
        let ssh = Server::start(|mut peer, _| {
            peer.send("SSH-2.0-test\r\n");
            peer.expect("SSH-2.0-client\r\n");
            peer.send("welcome\n");
        });
        let logs = Logs::udp();
        let proxy = program(&format!(
            "frontend fe\n    mode tcp\n    bind \"fd@${{fe}}\"\n    log {} local0\n\
             \x20   log-format \"%ft %b/%s %ST %tsc\"\n    tcp-request inspect-delay 300ms\n{rules}\
             \x20   tcp-request content accept if HTTP\n\
             \x20   tcp-request content accept if {{ req.ssl_hello_type 1 }}\n\
             \x20   tcp-request content accept if WAIT_END\n\
             \x20   use_backend web if HTTP\n\
             \x20   use_backend tls1 if {{ req.ssl_sni two.test }}\n\
             \x20   use_backend tls0 if {{ req.ssl_hello_type 1 }}\n    default_backend ssh\n\
             backend web\n    mode http\n    option forwardfor\n    http-request set-header X-Back web\n    server w {}\n\
             backend tls0\n    mode tcp\n    server t {}\nbackend tls1\n    mode tcp\n    server t {}\n\
             backend ssh\n    mode tcp\n    server s {}\n",
            logs.address(),
            web.addr(),
            tls[0].addr(),
            tls[1].addr(),
            ssh.addr()
        ))
        .listen("fe")
        .start();
        Port { web, tls, logs, proxy, certs, _ssh: ssh }
    }

    fn log(&self) -> String {
        text(&self.logs.next()).to_string()
    }

    fn speaks_ssh(&self) {
        let mut client = self.proxy.connect("fe");
        client.expect("SSH-2.0-test\r\n");
        client.send("SSH-2.0-client\r\n");
        assert_eq!(client.rest(), b"welcome\n");
    }

    fn speaks_tls(&self) {
        for (n, name) in ["one.test", "two.test"].into_iter().enumerate() {
            let client = Client::new().sni(name).trust(&self.certs[n]).build();
            let mut peer = client.connect(self.proxy.addr("fe"));
            assert_eq!(peer.get("/").text(), format!("tls {n}"));
            assert_eq!(self.tls[n].connections(), 1);
        }
    }
}

#[test]
fn http_tls_and_silence() {
    let port = Port::new("");
    let mut client = port.proxy.connect("fe");
    for nth in 0..3 {
        let response = client.get(&format!("/{nth}"));
        assert_eq!(response.text(), format!("web /{nth}"));
        let request = port.web.last();
        assert_eq!(
            (request.field("x-forwarded-for"), request.field("x-back")),
            (Some("127.0.0.1"), Some("web"))
        );
        assert_eq!(port.log(), "fe web/w 200 ----");
    }
    assert_eq!(port.web.connections(), 1, "both sides are kept");
    port.speaks_tls();
    port.speaks_ssh();
}

#[test]
fn a_rule_switches_the_mode() {
    let port = Port::new(
        "    tcp-request content switch-mode http proto h1 if HTTP\n    http-request set-header X-Front yes\n\
         \x20   http-request deny if { path /no }\n    use_backend ssh if { path /ssh }\n",
    );
    let mut client = port.proxy.connect("fe");
    assert_eq!(client.get("/a").text(), "web /a");
    assert_eq!(port.web.last().field("x-front"), Some("yes"));
    assert_eq!(port.log(), "fe web/w 200 ----");
    assert_eq!(client.get("/b").text(), "web /b");
    assert_eq!(port.web.last().field("x-front"), Some("yes"));
    assert_eq!(port.log(), "fe web/w 200 ----");
    assert_eq!(client.get("/no").status, 403);
    assert_eq!(port.log(), "fe fe/<NOSRV> 403 PR--");
    let mut other = port.proxy.connect("fe");
    assert_eq!(other.get("/no").status, 403);
    let mut lost = port.proxy.connect("fe");
    assert_eq!(lost.get("/ssh").status, 500, "a server of bytes cannot answer");
    port.speaks_tls();
    port.speaks_ssh();
}

#[test]
fn requests_in_pieces_and_with_bodies() {
    let port = Port::new("");
    let mut client = port.proxy.connect("fe");
    client.send("POST /up HTTP/1.1\r\nHo");
    client.send("st: x\r\nContent-Le");
    client.send("ngth: 5\r\n\r\nab");
    client.send("cdeGET /next HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.response().text(), "web /up");
    assert_eq!(client.response().text(), "web /next");
    let bodies: Vec<Vec<u8>> = port.web.requests().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies, [b"abcde".to_vec(), Vec::new()]);
}

#[test]
fn what_only_begins_like_http_is_refused() {
    let port = Port::new("");
    for (bytes, log) in [
        ("GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n", "fe web/<NOSRV> 400 PR--"),
        ("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "fe web/<NOSRV> 400 PR--"),
    ] {
        let mut client = port.proxy.connect("fe");
        client.send(bytes);
        assert_eq!(client.response().status, 400);
        assert_eq!(port.log(), log);
    }
    // a head that never ends
    let mut client = port.proxy.connect("fe");
    client.send("GET / HTTP/1.1\r\nHost: x\r\n");
    client.half_close();
    assert_eq!(client.response().status, 400);
    assert_eq!(port.log(), "fe web/<NOSRV> 400 CR--");
    assert!(port.web.requests().is_empty());
}
