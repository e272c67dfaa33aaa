//! Rules on requests, responses and connections: what they see and what they do.

use std::time::Duration;

use lighterman_harness::tls::{Cert, Client};
use lighterman_harness::{End, Peer, Reply, Server};

use crate::{program, relay};

#[test]
fn headers_are_set_added_removed_on_both_sides() {
    let server = Server::http(|_| Reply::status(200, "Server: secret\r\nX-Two: a\r\nX-Two: b\r\n", "ok"));
    let lines = "\
    http-request set-header X-Set new
    http-request add-header X-Add more
    http-request del-header X-Del
    http-request set-header X-From %[src]
    http-response del-header Server
    http-response set-header X-Two one
    http-response add-header X-Status %[status]";
    let proxy = relay(lines, server.addr()).start();
    let mut client = proxy.connect("fe");
    client.send("GET / HTTP/1.1\r\nHost: x\r\nX-Set: old\r\nX-Set: older\r\nX-Add: some\r\nX-Del: 1\r\nx-del: 2\r\n\r\n");
    let response = client.response();
    let request = server.last();
    assert_eq!(request.head.all("x-set"), ["new"]);
    assert_eq!(request.head.all("x-add"), ["some", "more"]);
    assert_eq!(request.head.all("x-del"), Vec::<&str>::new());
    assert_eq!(request.head.all("x-from"), ["127.0.0.1"]);
    assert_eq!(response.field("server"), None);
    assert_eq!(response.head.all("x-two"), ["one"]);
    assert_eq!(response.field("x-status"), Some("200"));
}

#[test]
fn deny_by_path_method_header_address() {
    let server = Server::named("ok");
    let lines = "\
    acl secret path_beg /admin /private
    acl inside src 10.0.0.0/8
    acl bot hdr_sub(user-agent) -i crawler
    http-request deny if secret !inside
    http-request deny deny_status 429 if bot
    http-request deny if { method PUT DELETE } || { path_end .php }
    http-request deny unless { hdr(host) -i test x }";
    let proxy = relay(lines, server.addr()).start();
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: test\r\n\r\n", 200),
        ("GET /admin/x HTTP/1.1\r\nHost: test\r\n\r\n", 403),
        ("GET /private HTTP/1.1\r\nHost: test\r\n\r\n", 403),
        ("GET /a/admin HTTP/1.1\r\nHost: test\r\n\r\n", 200),
        ("GET / HTTP/1.1\r\nHost: test\r\nUser-Agent: Some CRAWLER 1.0\r\n\r\n", 429),
        ("PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n", 403),
        ("GET /index.php?x=1 HTTP/1.1\r\nHost: test\r\n\r\n", 403),
        ("GET / HTTP/1.1\r\nHost: other\r\n\r\n", 403),
        ("GET / HTTP/1.1\r\nHost: TEST\r\n\r\n", 200),
    ] {
        let mut client = proxy.connect("fe");
        client.send(request);
        assert_eq!(client.response().status, status, "{request}");
    }
}

#[test]
fn redirects() {
    let server = Server::named("ok");
    let lines = "\
    http-request redirect scheme https if { path /s }
    http-request redirect scheme https code 301 if { path /s301 }
    http-request redirect location http://other.test/there code 303 if { path /l }
    http-request redirect prefix http://www.test if { path_beg /p }
    http-request redirect location /x?u=%[path] code 307 if { path /fmt }";
    let proxy = relay(lines, server.addr()).start();
    for (uri, status, location) in [
        ("/s?q=1", 302, "https://test/s?q=1"),
        ("/s301", 301, "https://test/s301"),
        ("/l", 303, "http://other.test/there"),
        ("/p/a?b=c", 302, "http://www.test/p/a?b=c"),
        ("/fmt", 307, "/x?u=/fmt"),
    ] {
        let response = proxy.get("fe", uri);
        assert_eq!((response.status, response.field("location")), (status, Some(location)), "{uri}");
        assert_eq!(response.field("content-length"), Some("0"));
        if status == 302 {
            assert_eq!(response.field("cache-control"), Some("no-cache"));
        }
    }
    assert_eq!(proxy.get("fe", "/").text(), "ok");
}

#[test]
fn answers_of_the_proxys_own() {
    let program = program(
        "frontend fe\n    bind \"fd@${fe}\"\n    http-request return status 200 content-type text/plain string \"hello\" hdr X-A 1 hdr X-B \"%[path]\" if { path /s }\n    http-request return status 404 content-type text/html file \"${page}\" if { path /f }\n    http-request return status 204 if { path /e }\n    http-request return status 200 content-type text/plain lf-string \"you are %[src]\\n\" if { path /lf }\n",
    )
    .listen("fe");
    let page = program.file("page.html", "<p>mine</p>");
    let proxy = program.env("page", page).start();
    let mut client = proxy.connect("fe");
    let response = client.get("/s");
    assert_eq!((response.status, response.text().as_str()), (200, "hello"));
    assert_eq!(response.field("content-type"), Some("text/plain"));
    assert_eq!((response.field("x-a"), response.field("x-b")), (Some("1"), Some("/s")));
    let response = client.get("/f");
    assert_eq!((response.status, response.text().as_str()), (404, "<p>mine</p>"));
    assert_eq!(client.get("/e").status, 204);
    assert_eq!(client.get("/lf").text(), "you are 127.0.0.1\n");
    assert_eq!(client.get("/other").status, 503);
}

#[test]
fn use_backend_chooses() {
    let (a, b, c) = (Server::named("a"), Server::named("b"), Server::named("c"));
    let proxy = program(&format!(
        "frontend fe\n    bind \"fd@${{fe}}\"\n    acl is_b hdr(host) b.test\n    use_backend a if {{ path_beg /a }}\n    use_backend b if is_b\n    use_backend %[req.hdr(x-to)] if {{ req.hdr(x-to) -m found }}\n    default_backend c\nbackend a\n    server s {}\nbackend b\n    server s {}\nbackend c\n    server s {}\n",
        a.addr(),
        b.addr(),
        c.addr()
    ))
    .listen("fe")
    .start();
    // One connection, another backend for each request.
    let mut client = proxy.connect("fe");
    for (request, text) in [
        ("GET /a1 HTTP/1.1\r\nHost: x\r\n\r\n", "a"),
        ("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n", "b"),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "c"),
        ("GET / HTTP/1.1\r\nHost: x\r\nX-To: b\r\n\r\n", "b"),
        ("GET / HTTP/1.1\r\nHost: x\r\nX-To: nowhere\r\n\r\n", "c"),
    ] {
        client.send(request);
        assert_eq!(client.response().text(), text, "{request}");
    }
}

#[test]
fn variables_carry_from_request_to_response() {
    let server = Server::named("ok");
    let lines = "\
    http-request set-var(txn.path) path,lower
    http-request set-var(req.n) str(7)
    http-request set-header X-N %[var(req.n)]
    http-response set-header X-Path %[var(txn.path)]
    http-response set-header X-Gone [%[var(req.n)]] if { var(txn.never) -m found }";
    let proxy = relay(lines, server.addr()).start();
    let response = proxy.get("fe", "/ABC");
    assert_eq!(response.field("x-path"), Some("/abc"));
    assert_eq!(response.field("x-gone"), None);
    assert_eq!(server.last().field("x-n"), Some("7"));
}

#[test]
fn converters_chain() {
    let server = Server::named("ok");
    let lines = "\
    http-request set-header X-Field %[path,field(3,/)]
    http-request set-header X-Hex %[str(AZ),hex,lower]
    http-request set-header X-B64 %[str(hello),base64]
    http-request set-header X-Len %[path,length]
    http-request set-header X-Add %[path,length,add(10),mul(2)]
    http-request set-header X-Host %[req.hdr(host),host_only,upper]
    http-request set-header X-Q %[urlp(name)]";
    let proxy = relay(lines, server.addr()).start();
    proxy.get("fe", "/one/two?name=v");
    let request = server.last();
    for (name, value) in [
        ("x-field", "two"),
        ("x-hex", "415a"),
        ("x-b64", "aGVsbG8="),
        ("x-len", "8"),
        ("x-add", "36"),
        ("x-host", "TEST"),
        ("x-q", "v"),
    ] {
        assert_eq!(request.field(name), Some(value), "{name}");
    }
}

#[test]
fn the_backend_has_rules_of_its_own() {
    let server = Server::named("ok");
    let proxy = program(&format!(
        "frontend fe\n    bind \"fd@${{fe}}\"\n    http-request set-header X-Order front\n    http-response set-header X-Last front\n    default_backend be\nbackend be\n    http-request add-header X-Order back\n    http-request deny if {{ path /no }}\n    http-response set-header X-Last back\n    server s1 {}\n",
        server.addr()
    ))
    .listen("fe")
    .start();
    let response = proxy.get("fe", "/");
    assert_eq!(server.last().head.all("x-order"), ["front", "back"]);
    assert_eq!(response.field("x-last"), Some("front"), "the backend's rules come first on the way back");
    assert_eq!(proxy.get("fe", "/no").status, 403);
    assert_eq!(proxy.stat("be", "BACKEND", "dreq"), "1");
}

#[test]
fn connections_are_rejected_by_address() {
    let server = Server::named("ok");
    let lines = "    tcp-request connection reject if { src 127.0.0.2 }\n    tcp-request connection accept if { src 127.0.0.0/8 }\n    tcp-request connection reject";
    let proxy = relay(lines, server.addr()).start();
    assert_eq!(proxy.get("fe", "/").text(), "ok");
    let mut other = Peer::connect_from("127.0.0.2", proxy.addr("fe"));
    let _ = other.try_send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(other.drain().0, b"");
    assert_eq!(proxy.stat("fe", "FRONTEND", "dcon"), "1");
}

#[test]
fn content_is_inspected_before_a_server_is_chosen() {
    let (tls, other) = (Server::start(|mut p, _| drop(p.some(1))), Server::echo());
    let proxy = program(&format!(
        "frontend fe\n    mode tcp\n    bind \"fd@${{fe}}\"\n    tcp-request inspect-delay 500ms\n    tcp-request content reject if {{ req.payload(0,4) -m str EVIL }}\n    tcp-request content accept if {{ req.ssl_hello_type 1 }}\n    use_backend tls if {{ req.ssl_sni -i a.test }}\n    default_backend other\nbackend tls\n    mode tcp\n    server s {}\nbackend other\n    mode tcp\n    server s {}\n",
        tls.addr(),
        other.addr()
    ))
    .listen("fe")
    .start();
    assert!(Client::new().sni("a.test").build().try_connect(proxy.addr("fe")).is_err());
    assert_eq!((tls.connections(), other.connections()), (1, 0));
    let mut client = proxy.connect("fe");
    client.send("just text");
    client.expect("just text");
    assert_eq!((tls.connections(), other.connections()), (1, 1));
    let mut client = proxy.connect("fe");
    client.send("EVIL");
    assert_eq!(client.drain().0, b"");
    assert_eq!((tls.connections(), other.connections()), (1, 1));
    // Nothing at all: after the delay the rules decide with what is there.
    let mut client = proxy.connect("fe");
    client.silent(Duration::from_millis(200));
    client.send("late");
    client.expect("late");
}

#[test]
fn tls_facts_reach_the_server() {
    let server = Server::named("ok");
    let program = program(&format!(
        "listen fe\n    bind \"fd@${{fe}}\" ssl crt \"${{pem}}\"\n    http-request set-header X-Proto https if {{ ssl_fc }}\n    http-request set-header X-Sni %[ssl_fc_sni]\n    http-request set-header X-Version %[ssl_fc_protocol]\n    http-request set-header X-Cipher %[ssl_fc_cipher]\n    server s1 {}\n",
        server.addr()
    ))
    .listen("fe");
    let pem = program.file("a.pem", Cert::new(&["a.test"]).pem());
    let proxy = program.env("pem", pem).start();
    let mut client = Client::new().sni("a.test").build().connect(proxy.addr("fe"));
    let cipher = client.tls().current_cipher().unwrap().name();
    client.get("/");
    let request = server.last();
    assert_eq!(request.field("x-proto"), Some("https"));
    assert_eq!(request.field("x-sni"), Some("a.test"));
    assert_eq!(request.field("x-version"), Some("TLSv1.3"));
    assert_eq!(request.field("x-cipher"), Some(cipher));
}

#[test]
fn offloading_with_a_redirect_of_plain_http() {
    let server = Server::named("ok");
    let program = program(&format!(
        "frontend web\n    bind \"fd@${{plain}}\"\n    bind \"fd@${{tls}}\" ssl crt \"${{pem}}\"\n    http-request redirect scheme https code 301 unless {{ ssl_fc }}\n    default_backend app\nbackend app\n    option forwardfor\n    server s1 {}\n",
        server.addr()
    ))
    .listen("plain")
    .listen("tls");
    let pem = program.file("a.pem", Cert::new(&["a.test"]).pem());
    let proxy = program.env("pem", pem).start();
    let response = proxy.get("plain", "/x");
    assert_eq!((response.status, response.field("location")), (301, Some("https://test/x")));
    assert_eq!(Client::new().build().connect(proxy.addr("tls")).get("/x").text(), "ok");
}

#[test]
fn a_denied_request_closes_cleanly_even_with_a_body_on_its_way() {
    let server = Server::named("ok");
    let proxy = relay("    http-request deny if { method POST }", server.addr()).start();
    let mut client = proxy.connect("fe");
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n");
    client.send("twenty bytes of body");
    assert_eq!(client.response().status, 403);
    client.half_close();
    assert_eq!(client.ends(), End::Eof);
    assert_eq!(server.connections(), 0);
    assert_eq!(proxy.stat("fe", "FRONTEND", "dreq"), "1");
}
