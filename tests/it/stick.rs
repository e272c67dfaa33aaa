//! Stick tables: servers that clients stick to, limits per client, counts over all workers, commands, kills, reloads.

use std::time::Duration;

use lighterman_harness::tls::{Cert, Client};
use lighterman_harness::{eventually, procs, until, Proxy, Reply, Server};
use nix::sys::signal::Signal;

use crate::program;

/// The value of one kind of data of a key, as `show table` says.
fn value(proxy: &Proxy, table: &str, key: &str, data: &str) -> Option<String> {
    let text = proxy.command(&format!("show table {table} key {key}"));
    let line = text.lines().nth(1)?;
    line.split(' ').find_map(|word| word.strip_prefix(data)?.strip_prefix('=').map(str::to_owned))
}

#[test]
fn clients_stick_to_a_server_by_address_and_header() {
    let (a, b) = (Server::named("a"), Server::named("b"));
    let sections = format!(
        "frontend fe\n    bind \"fd@${{fe}}\"\n    use_backend hdr if {{ hdr(x-user) -m found }}\n    default_backend src\n\
         backend src\n    balance roundrobin\n    stick-table type ip size 10 expire 1m\n    stick on src\n\
             server a {a}\n    server b {b}\n\
         backend hdr\n    balance roundrobin\n    stick-table type string len 10 size 10 expire 1m\n\
             stick on hdr(x-user)\n    server a {a} id 7\n    server b {b} non-stick\n",
        a = a.addr(),
        b = b.addr()
    );
    let proxy = program(&sections).listen("fe").workers(2).start();
    let first = proxy.get("fe", "/").text();
    for _ in 0..6 {
        assert_eq!(proxy.get("fe", "/").text(), first);
    }
    assert_eq!(value(&proxy, "src", "127.0.0.1", "server_key"), Some(first.clone()));
    proxy.command("set table src key 127.0.0.1 data.server_id 1 data.server_key a");
    assert_eq!(proxy.get("fe", "/").text(), "a");
    proxy.command("disable server src/a");
    assert_eq!(proxy.get("fe", "/").text(), "b", "its server is away");
    assert_eq!(value(&proxy, "src", "127.0.0.1", "server_id"), Some("2".into()), "bound anew");
    let ask = |user: &str| {
        let mut client = proxy.connect("fe");
        client.send(format!("GET / HTTP/1.1\r\nHost: x\r\nX-User: {user}\r\n\r\n"));
        client.response().text()
    };
    for user in ["ann", "bob", "eve"] {
        // the other server is never bound, so sooner or later all stick to this one
        eventually("a bound server", || ask(user) == "a");
        assert_eq!((ask(user), ask(user)), ("a".into(), "a".into()));
        assert_eq!(value(&proxy, "hdr", user, "server_id"), Some("7".into()));
    }
}

#[test]
fn too_many_requests_are_refused_and_counted() {
    let server = Server::http(|request| {
        let status = if request.uri() == "/bad" {
            404
        } else if request.uri() == "/fail" {
            503
        } else {
            200
        };
        Reply::status(status, "", "ok")
    });
    let sections = format!(
        "listen fe\n    bind \"fd@${{fe}}\"\n    stick-table type ip size 1k expire 1m store \
         gpc0,conn_cnt,conn_cur,sess_cnt,http_req_cnt,http_req_rate(1m),http_err_cnt,http_fail_cnt,bytes_out_cnt,gpt(2)\n    \
         tcp-request connection track-sc0 src\n    \
         http-request sc-inc-gpc0(0) if {{ path /inc }}\n    http-request sc-set-gpt(1,0) 5 if {{ path /inc }}\n    \
         http-request deny deny_status 429 if {{ sc0_http_req_rate gt 5 }}\n    \
         http-response set-header X-Rate %[sc_http_req_rate(0)]\n    http-response set-header X-Src %[src_http_req_cnt]\n    \
         http-response set-header X-In %[src,in_table(fe)]%[src,table_http_req_cnt(fe)]\n    server s1 {}\n",
        server.addr()
    );
    let proxy = program(&sections).listen("fe").workers(4).start();
    let mut client = proxy.connect("fe");
    let mut seen = Vec::new();
    for (nth, uri) in ["/", "/inc", "/bad", "/fail", "/", "/", "/"].iter().enumerate() {
        let response = client.get(uri);
        seen.push(response.status);
        if nth < 5 {
            let n = (nth + 1).to_string();
            assert_eq!(
                (response.field("x-rate"), response.field("x-src")),
                (Some(n.as_str()), Some(n.as_str()))
            );
            assert_eq!(response.field("x-in"), Some(format!("1{n}").as_str()));
        }
        if response.status == 429 {
            client = proxy.connect("fe");
        }
    }
    assert_eq!(seen, [200, 200, 404, 503, 200, 429, 429]);
    let now = |data: &str| value(&proxy, "fe", "127.0.0.1", data).and_then(|n| n.parse::<u64>().ok());
    assert_eq!(
        ["gpc0", "gpt0", "gpt1", "http_req_cnt", "http_err_cnt", "http_fail_cnt"].map(now),
        [1, 0, 5, 7, 3, 1].map(Some)
    );
    assert_eq!((now("conn_cnt"), now("sess_cnt")), (Some(3), Some(3)));
    drop(client);
    eventually("no connection", || now("conn_cur") == Some(0) && now("use") == Some(0));
    assert!(now("bytes_out_cnt") > Some(300));
    assert!(proxy.command("clear table fe key 127.0.0.1").trim().is_empty());
    assert_eq!(proxy.get("fe", "/").status, 200);
}

#[test]
fn connections_are_counted_over_all_workers_exactly_and_a_dead_one_takes_back_its_own() {
    let server = Server::named("ok");
    let sections = format!(
        "listen fe\n    bind 127.0.0.1:\"${{port}}\"\n    stick-table type ip size 1k expire 1m store conn_cur,conn_cnt\n    \
         tcp-request connection track-sc0 src\n    server s1 {}\n",
        server.addr()
    );
    let mut proxy = program(&sections).port("port").workers(4).start();
    let ask = |proxy: &Proxy| {
        let mut client = proxy.connect("port");
        assert_eq!(client.get("/").status, 200);
        client
    };
    let clients: Vec<_> = (0..40).map(|_| ask(&proxy)).collect();
    let cur = |proxy: &Proxy| value(proxy, "fe", "127.0.0.1", "conn_cur");
    assert_eq!(cur(&proxy), Some("40".into()));
    let count = value(&proxy, "fe", "127.0.0.1", "conn_cnt");
    let killed = proxy.workers()[0];
    procs::signal(killed, Signal::SIGKILL);
    let mut clients: Vec<_> = clients.into_iter().map(Some).collect();
    let left = until("the dead worker's share to be gone", || {
        for client in &mut clients {
            if client.as_mut().is_some_and(|c| c.has_ended()) {
                *client = None;
            }
        }
        let left = clients.iter().flatten().count();
        (left < 40 && cur(&proxy) == Some(left.to_string())).then_some(left)
    });
    assert!(left > 0);
    assert_eq!(value(&proxy, "fe", "127.0.0.1", "conn_cnt"), count, "nothing else is lost");
    proxy.rewrite(&sections);
    assert!(proxy.master("reload").contains("Success=1"));
    assert_eq!(value(&proxy, "fe", "127.0.0.1", "conn_cnt"), count, "kept over a reload");
    proxy.rewrite(&sections.replace("conn_cur,conn_cnt", "conn_cur,conn_cnt,gpc0"));
    assert!(proxy.master("reload").contains("Success=1"));
    assert_eq!(value(&proxy, "fe", "127.0.0.1", "conn_cnt"), count, "carried over to another shape");
    drop(clients);
}

#[test]
fn tables_are_fed_shown_and_cleared_by_commands() {
    let server = Server::named("ok");
    let sections = format!(
        "listen fe\n    bind \"fd@${{fe}}\"\n    stick-table type string len 20 size 20k store gpc0,http_req_rate(10s)\n    server s1 {}\n",
        server.addr()
    );
    let proxy = program(&sections).listen("fe").workers(2).start();
    let watch = lighterman_harness::Watch::start();
    for batch in 0..100 {
        let line: Vec<String> =
            (0..100).map(|n| format!("set table fe key k{} data.gpc0 {n}", batch * 100 + n)).collect();
        assert!(proxy.command(&line.join(";")).trim().is_empty());
    }
    assert!(watch.elapsed() < Duration::from_secs(10), "{:?}", watch.elapsed());
    assert_eq!(proxy.command("show table").trim(), "# table: fe, type: string, size:20480, used:10000");
    assert_eq!(proxy.command("show table fe").lines().filter(|line| line.starts_with("0x")).count(), 10_000);
    let count = |command: &str| proxy.command(command).lines().filter(|line| line.starts_with("0x")).count();
    assert_eq!(count("show table fe data.gpc0 ge 90"), 1000);
    assert_eq!(count("show table fe data.gpc0 gt 90 data.gpc0 lt 93"), 200);
    proxy.command("clear table fe data.gpc0 lt 99");
    assert_eq!(count("show table fe"), 100);
    let line = proxy.command("show table fe key k99");
    assert!(line.contains(": key=k99 use=0 exp=0 gpc0=99 http_req_rate(10000)=0\n"), "{line}");
    for (command, said) in [
        ("show table nope", "No such table"),
        ("show table fe data.nope gt 1", "Unknown data type"),
        ("show table fe data.gpc1 gt 1", "Data type not stored in this table"),
        ("show table fe data.gpc0 is 1", "Require and operator among"),
        ("show table fe data.gpc0 gt x", "Require a valid integer value"),
        ("show table fe what", "Optional argument only supports"),
        ("set table fe", "Required arguments: <table> key <key>"),
        ("set table fe key k1 data.gpc0", "Require a valid integer value to store"),
        ("set table fe key k1 gpc0 1", "followed by a value expected"),
        ("clear table", "Required arguments"),
    ] {
        assert!(proxy.command(command).contains(said), "{command}: {}", proxy.command(command));
    }
    proxy.command("clear table fe");
    assert_eq!(count("show table fe"), 0);
}

#[test]
fn sessions_stick_by_tls_id_over_two_tiers() {
    let cert = Cert::new(&["localhost"]);
    let origin = Server::named("ok");
    let tier = |name: &str| {
        let program = program(&format!(
            "listen fe\n    bind \"fd@${{fe}}\" ssl crt \"${{pem}}\" no-tls-tickets ssl-max-ver TLSv1.2\n    \
             http-response set-header X-Tier {name}\n    http-response set-header X-Resumed %[ssl_fc_is_resumed]\n    server s1 {}\n",
            origin.addr()
        ));
        let pem = program.file("a.pem", cert.pem());
        program.env("pem", pem).listen("fe").start()
    };
    let (one, two) = (tier("one"), tier("two"));
    let sections = format!(
        "listen front\n    bind \"fd@${{fe}}\"\n    mode tcp\n    balance roundrobin\n    stick-table type binary len 32 size 30k expire 30m\n    \
         acl clienthello req_ssl_hello_type 1\n    acl serverhello rep_ssl_hello_type 2\n    \
         tcp-request inspect-delay 5s\n    tcp-request content accept if clienthello\n    \
         tcp-response content accept if serverhello\n    stick on payload_lv(43,1) if clienthello\n    \
         stick store-response payload_lv(43,1) if serverhello\n    server one {}\n    server two {}\n",
        one.addr("fe"),
        two.addr("fe")
    );
    let proxy = program(&sections).listen("fe").start();
    let client = Client::new().no_ticket().resume().build();
    let ask = |client: &Client| {
        let mut peer = client.connect(proxy.addr("fe"));
        let response = peer.get("/");
        (response.field("x-tier").map(str::to_owned), response.field("x-resumed").map(str::to_owned))
    };
    let (tier, resumed) = ask(&client);
    assert_eq!(resumed.as_deref(), Some("0"));
    for _ in 0..5 {
        assert_eq!(ask(&client), (tier.clone(), Some("1".into())));
    }
}

#[test]
fn remote_desktops_stick_by_their_cookie() {
    let (a, b) = (Server::named("a"), Server::named("b"));
    let sections = format!(
        "listen rdp\n    bind \"fd@${{fe}}\"\n    mode tcp\n    balance roundrobin\n    stick-table type string len 32 size 10\n    \
         tcp-request inspect-delay 5s\n    tcp-request content accept if RDP_COOKIE\n    stick on req.rdp_cookie(mstshash)\n    \
         server a {}\n    server b {}\n",
        a.addr(),
        b.addr()
    );
    let proxy = program(&sections).listen("fe").start();
    for user in ["ann", "bob", "ann", "bob", "ann", "eve"] {
        let cookie = format!("Cookie: mstshash={user}\r\n");
        let mut client = proxy.connect("fe");
        let mut hello =
            vec![3, 0, 0, (11 + cookie.len()) as u8, (6 + cookie.len()) as u8, 0xe0, 0, 0, 0, 0, 0];
        hello.extend_from_slice(cookie.as_bytes());
        client.send(&hello);
        eventually("the key", || value(&proxy, "rdp", user, "server_id").is_some());
    }
    let server = |user: &str| value(&proxy, "rdp", user, "server_key");
    assert_eq!([server("ann"), server("bob"), server("eve")].map(Option::unwrap), ["a", "b", "a"]);
    assert_eq!(proxy.stat("rdp", "a", "stot"), "4");
}

#[test]
fn every_kind_of_stick_rule_does_its_part() {
    let answer = |name: &'static str| {
        Server::http(move |request| match request.uri() {
            "/login" => Reply::status(200, "Set-Cookie: JSESSIONID=id-of-the-session; path=/\r\n", name),
            "/plain" => Reply::status(200, "X-Token: Tok\r\n", name),
            _ => Reply::ok(name),
        })
    };
    let (a, b) = (answer("a"), answer("b"));
    let sections = format!(
        "frontend fe\n    bind \"fd@${{fe}}\"\n    default_backend be\n\
         backend be\n    balance roundrobin\n    stick-table type string len 40 size 100 expire 1m\n    \
         stick match req.cook(JSESSIONID)\n    stick store-response res.cook(JSESSIONID)\n    \
         stick match hdr(x-token),lower table tokens if {{ path_beg /t }}\n    \
         stick store-request hdr(x-new),lower table tokens unless {{ path /no }}\n    \
         stick store-response res.hdr(x-token),lower table tokens\n    \
         server a {}\n    server b {}\n\
         backend tokens\n    stick-table type string len 10 size 100 expire 1m\n",
        a.addr(),
        b.addr()
    );
    let proxy = program(&sections).listen("fe").start();
    let ask = |uri: &str, fields: &str| {
        let mut client = proxy.connect("fe");
        client.send(format!("GET {uri} HTTP/1.1\r\nHost: x\r\n{fields}\r\n"));
        client.response().text()
    };
    let key = |table: &str, key: &str| value(&proxy, table, key, "server_key");
    // what the server answers with binds; what is only looked for does not
    let first = ask("/login", "");
    assert_eq!(key("be", "id-of-the-session"), Some(first.clone()));
    for _ in 0..4 {
        assert_eq!(ask("/", "Cookie: JSESSIONID=id-of-the-session\r\n"), first);
    }
    let spread: Vec<String> = (0..4).map(|_| ask("/", "Cookie: JSESSIONID=unknown\r\n")).collect();
    assert!(spread.contains(&"a".to_owned()) && spread.contains(&"b".to_owned()), "{spread:?}");
    assert_eq!(key("be", "unknown"), None);
    // keys of requests, made alike by a converter, in another section's table, under a condition
    let bound = ask("/x", "X-New: AbC\r\n");
    assert_eq!((key("tokens", "abc"), key("be", "abc")), (Some(bound.clone()), None));
    for _ in 0..4 {
        assert_eq!(ask("/t", "X-Token: ABC\r\n"), bound);
    }
    let spread: Vec<String> = (0..4).map(|_| ask("/other", "X-Token: ABC\r\n")).collect();
    assert!(spread.contains(&"a".to_owned()) && spread.contains(&"b".to_owned()), "{spread:?}");
    ask("/no", "X-New: never\r\n");
    assert_eq!(key("tokens", "never"), None);
    // keys are cut to the length of the table
    ask("/x", "X-New: abcdefghijklmno\r\n");
    assert!(key("tokens", "abcdefghij").is_some());
    let plain = ask("/plain", "");
    assert_eq!(key("tokens", "tok"), Some(plain));
    // the first rule that finds a server wins over later ones
    let other = if first == "a" { "b" } else { "a" };
    let id = if other == "a" { 1 } else { 2 };
    proxy.command(&format!("set table tokens key z data.server_id {id} data.server_key {other}"));
    assert_eq!(ask("/t", "X-Token: z\r\n"), other);
    assert_eq!(ask("/t", "Cookie: JSESSIONID=id-of-the-session\r\nX-Token: z\r\n"), first);
    // a bound server that is down is passed by, and the key is not forgotten
    proxy.command(&format!("disable server be/{first}"));
    assert_eq!(ask("/", "Cookie: JSESSIONID=id-of-the-session\r\n"), other);
    assert_eq!(key("be", "id-of-the-session"), Some(first));
}

#[test]
fn a_table_that_is_too_large_for_the_machine_is_told_at_the_start() {
    let lenient =
        std::fs::read_to_string("/proc/sys/vm/overcommit_memory").is_ok_and(|mode| mode.trim() == "1");
    if lenient {
        return; // this machine promises memory that nobody has
    }
    let run = program("listen fe\n    bind \"fd@${fe}\"\n    stick-table type string len 1000 size 1g store gpc(100)\n    server s 127.0.0.1:9\n")
        .listen("fe")
        .run(&["-db"]);
    assert_eq!(run.code(), 1);
    let said = format!("{}{}", run.stderr, run.stdout);
    assert!(said.contains("stick table \"fe\" of 1073741824 entries: "), "{said}");
}
