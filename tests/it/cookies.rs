//! Persistence by cookie and by the cookies of remote desktops: what servers, clients and logs see.

use std::time::UNIX_EPOCH;

use lighterman_harness::logs::text;
use lighterman_harness::{Logs, Proxy, Reply, Response, Server};

use crate::program;

/// Two servers with the cookies c1 and c2, and a third one without.
struct Farm {
    servers: [Server; 3],
    logs: Logs,
    proxy: Proxy,
}

impl Farm {
    fn new(lines: &str) -> Farm {
        Farm::with(lines, "", "")
    }

    /// `sets`: fields of every answer; `options`: of the servers c1 and c2.
    fn with(lines: &str, sets: &'static str, options: &str) -> Farm {
        let server = |name: &'static str| Server::http(move |_| Reply::status(200, sets, name));
        let servers = [server("c1"), server("c2"), server("none")];
        let logs = Logs::udp();
        let [a, b, c] = [0, 1, 2].map(|n: usize| servers[n].addr());
        let proxy = program(&format!(
            "frontend fe\n    log {} local0\n    bind \"fd@${{fe}}\"\n    log-format \"%s %tsc\"\n    default_backend be\n\
             backend be\n{lines}\n    server s1 {a} cookie c1 {options}\n    server s2 {b} cookie c2 {options}\n\
             \x20   server s3 {c} backup\n",
            logs.address()
        ))
        .listen("fe")
        .start();
        Farm { servers, logs, proxy }
    }

    /// A request with this Cookie field; the answer, and the server and state of the log line.
    fn ask(&self, line: &str, cookie: &str) -> (Response, String) {
        let mut client = self.proxy.connect("fe");
        let field = if cookie.is_empty() { String::new() } else { format!("Cookie: {cookie}\r\n") };
        client.send(format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n{field}\r\n"));
        let response = client.response();
        (response, text(&self.logs.next()).to_string())
    }

    /// As `ask` with GET: what the client is told to keep, and the log.
    fn get(&self, cookie: &str) -> (String, String) {
        let (response, log) = self.ask("GET /", cookie);
        (response.field("set-cookie").unwrap_or("").to_string(), log)
    }
}

fn pair(set: &str, log: &str) -> (String, String) {
    (set.to_string(), log.to_string())
}

#[test]
fn inserted_cookies_lead_back() {
    let farm = Farm::new(
        "    cookie SRV insert indirect domain .a.com domain .b.com httponly secure attr SameSite=None",
    );
    let tail = "path=/; domain=.a.com; domain=.b.com; HttpOnly; Secure; SameSite=None";
    assert_eq!(farm.get(""), pair(&format!("SRV=c1; {tail}"), "s1 --NI"));
    assert_eq!(farm.get(""), pair(&format!("SRV=c2; {tail}"), "s2 --NI"));
    for _ in 0..3 {
        assert_eq!(farm.get("a=1; SRV=c2; b=2"), pair("", "s2 --VN"));
        assert_eq!(farm.servers[1].last().head.all("cookie"), ["a=1; b=2"]);
    }
    assert_eq!(farm.get("SRV=bad; SRV=c2; SRV=c1"), pair("", "s2 --VN"), "the first that leads somewhere");
    assert_eq!(farm.servers[1].last().field("cookie"), None);
    let (set, log) = farm.get("SRV=old");
    assert!(set.starts_with("SRV=c") && log.ends_with("--II"), "{set} {log}");
    // an unknown one is hidden as well
    assert_eq!(farm.servers[0].last().field("cookie"), None);
}

#[test]
fn without_indirect_the_server_sees_it() {
    let farm = Farm::with("    cookie SRV insert", "Set-Cookie: SRV=own; path=/x\r\n", "");
    let (response, log) = farm.ask("GET /", "SRV=c2");
    // the server's own one goes, the client has the right one already
    assert_eq!((response.field("set-cookie"), log.as_str()), (None, "s2 --VD"));
    assert_eq!(farm.servers[1].last().head.all("cookie"), ["SRV=c2"]);
    assert_eq!(farm.get(""), pair("SRV=c1; path=/", "s1 --NI"));
    let kept = Farm::with("    cookie SRV insert indirect preserve", "Set-Cookie: SRV=own; path=/x\r\n", "");
    assert_eq!(kept.get(""), pair("SRV=own; path=/x", "s1 --NP"));
}

#[test]
fn rewritten_and_prefixed() {
    let farm = Farm::with("    cookie SRV rewrite", "Set-Cookie: SRV=app; path=/x\r\n", "");
    assert_eq!(farm.get(""), pair("SRV=c1; path=/x", "s1 --NR"));
    assert_eq!(farm.get("SRV=c1"), pair("SRV=c1; path=/x", "s1 --VR"));
    let farm = Farm::with("    cookie SRV prefix", "Set-Cookie: SRV=app; path=/x\r\n", "");
    assert_eq!(farm.get(""), pair("SRV=c1~app; path=/x", "s1 --NR"));
    assert_eq!(farm.get("z=1; SRV=c2~app"), pair("SRV=c2~app; path=/x", "s2 --VR"));
    assert_eq!(farm.servers[1].last().head.all("cookie"), ["z=1; SRV=app"]);
    let silent = Farm::new("    cookie SRV rewrite");
    assert_eq!(silent.get("SRV=bad"), pair("", "s1 --IN"));
}

#[test]
fn postonly_and_nocache() {
    let farm = Farm::with("    cookie SRV insert postonly", "ETag: x\r\n", "");
    assert_eq!(farm.get(""), pair("", "s1 --NN"));
    let (response, log) = farm.ask("POST /", "");
    assert_eq!((response.field("set-cookie"), log.as_str()), (Some("SRV=c2; path=/"), "s2 --NI"));
    assert_eq!(response.field("cache-control"), None);
    let farm = Farm::with("    cookie SRV insert nocache", "ETag: x\r\n", "");
    let (response, _) = farm.ask("GET /", "");
    assert_eq!(response.field("cache-control"), Some("private"));
    let (response, _) = farm.ask("GET /", "SRV=c1");
    assert_eq!(response.field("cache-control"), None, "nothing is set");
    let plain = Farm::new("    cookie SRV insert nocache");
    assert_eq!(plain.ask("GET /", "").0.field("cache-control"), None, "no cache keeps it anyway");
}

/// A date as cookies carry it.
fn date(offset: i64) -> String {
    let now = UNIX_EPOCH.elapsed().unwrap().as_secs() as i64;
    let units = (now + offset) >> 2;
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    (0..5).rev().map(|n| char::from(digits[(units >> (6 * n)) as usize & 63])).collect()
}

#[test]
fn cookies_grow_old() {
    let farm = Farm::new("    cookie SRV insert indirect maxidle 60 maxlife 1h");
    let (set, log) = farm.get("");
    let parts: Vec<&str> = set.trim_end_matches("; path=/").split('|').collect();
    assert_eq!((parts[0], log.as_str(), parts.len()), ("SRV=c1", "s1 --NI", 3));
    assert!(parts[1] == parts[2] && parts[1].len() == 5, "{set}");
    // fresh: nothing is said; a while ago: the last date moves, the first stays
    assert_eq!(farm.get(&format!("SRV=c2|{}|{}", date(60), date(-100))), pair("", "s2 --VN"));
    let first = date(-100);
    let (set, log) = farm.get(&format!("SRV=c2|{}|{first}", date(-30)));
    assert!(set.starts_with("SRV=c2|") && set.ends_with(&format!("|{first}; path=/")), "{set}");
    assert_eq!(log, "s2 --VU");
    // no date: accepted, and dated
    let (set, log) = farm.get("SRV=c2");
    assert!(set.starts_with("SRV=c2|") && log == "s2 --VU", "{set} {log}");
    for (last, first, state) in
        [(-30, -4000, "--OI"), (30, 90_000, "--OI"), (-100, -200, "--EI"), (90_000, -200, "--EI")]
    {
        let (set, log) = farm.get(&format!("SRV=c2|{}|{}", date(last), date(first)));
        assert!(set.starts_with("SRV=c") && log.ends_with(state), "{last} {first}: {set} {log}");
    }
}

#[test]
fn servers_in_every_state() {
    let farm = Farm::new("    cookie SRV insert indirect\n    ignore-persist if { path /ignored }\n    force-persist if { path /forced }");
    assert_eq!(farm.proxy.command("set server be/s2 state drain").trim(), "");
    assert_eq!(farm.get("SRV=c2"), pair("", "s2 --VN"), "draining");
    assert_eq!(farm.get("").1, "s1 --NI");
    assert_eq!(farm.proxy.command("set server be/s2 state ready").trim(), "");
    assert_eq!(farm.proxy.command("set weight be/s2 0").trim(), "");
    assert_eq!(farm.get("SRV=c2"), pair("", "s2 --VN"), "no weight");
    assert_eq!(farm.proxy.command("set server be/s2 state maint").trim(), "");
    assert_eq!(farm.get("SRV=c2"), pair("SRV=c1; path=/", "s1 --DI"), "in maintenance");
    let (response, log) = farm.ask("GET /forced", "SRV=c2");
    assert_eq!((response.text().as_str(), log.as_str()), ("c2", "s2 --DN"));
    let (response, log) = farm.ask("GET /ignored", "SRV=c1");
    assert_eq!((response.field("set-cookie"), log.as_str()), (None, "s1 --UN"));
    let persistent = Farm::new("    cookie SRV insert indirect\n    option persist");
    persistent.proxy.command("set server be/s2 state maint");
    assert_eq!(persistent.get("SRV=c2"), pair("", "s2 --DN"));
}

#[test]
fn a_server_that_refuses_loses_its_clients() {
    let farm = Farm::new("    cookie SRV insert indirect\n    option redispatch 1\n    retries 2");
    farm.servers[1].stop();
    assert_eq!(farm.get("SRV=c2"), pair("SRV=c1; path=/", "s1 --DI"));
}

#[test]
fn use_server_goes_first() {
    let farm = Farm::new("    cookie SRV insert indirect\n    use-server s1 if { path /one }");
    let (response, log) = farm.ask("GET /one", "SRV=c2");
    assert_eq!((response.text().as_str(), log.as_str()), ("c1", "s1 --UN"));
    assert_eq!(response.field("set-cookie"), None, "the cookie the client has still names where it belongs");
}

#[test]
fn values_made_from_addresses() {
    let farm = Farm::new("    cookie SRV insert indirect dynamic\n    dynamic-cookie-key secret");
    farm.proxy.command("set server be/s1 state maint");
    farm.proxy.command("set server be/s2 state maint");
    let (set, log) = farm.get("");
    assert_eq!((set.len(), log.as_str()), ("SRV=0123456789abcdef; path=/".len(), "s3 --NI"), "{set}");
    let value = set.split(';').next().unwrap();
    assert_eq!(farm.get(value), pair("", "s3 --VN"));
}

#[test]
fn remote_desktops_go_back_to_their_server() {
    let echo = |name: &'static str| {
        Server::start(move |mut peer, _| {
            peer.upto("\r\n");
            peer.send(name);
        })
    };
    let servers = [echo("one"), echo("two"), echo("three")];
    let list: String =
        servers.iter().enumerate().map(|(n, s)| format!("    server s{n} {}\n", s.addr())).collect();
    let proxy = program(&format!(
        "listen fe\n    mode tcp\n    bind \"fd@${{fe}}\"\n    tcp-request inspect-delay 5s\n\
         \x20   tcp-request content accept if RDP_COOKIE\n    persist rdp-cookie\n    balance rdp-cookie\n{list}"
    ))
    .listen("fe")
    .start();
    let ask = |cookie: &str| {
        let mut client = proxy.connect("fe");
        client.send(b"\x03\x00\x00\x2a\x25\xe0\x00\x00\x00\x00\x00");
        client.send(format!("Cookie: {cookie}\r\n"));
        String::from_utf8(client.rest()).unwrap()
    };
    for (server, name) in servers.iter().zip(["one", "two", "three"]) {
        let port = server.addr().port().swap_bytes();
        for _ in 0..3 {
            assert_eq!(ask(&format!("msts=16777343.{port}.0000")), name);
        }
    }
    let first = ask("mstshash=anna");
    for _ in 0..3 {
        assert_eq!(ask("mstshash=anna"), first);
    }
}
