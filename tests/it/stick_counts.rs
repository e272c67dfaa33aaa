//! What stick tables count of real traffic, and that counts stay exact when workers are killed or stand still.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread;

use lighterman_harness::deadline::within;
use lighterman_harness::{eventually, procs, Peer, Proxy, Reply, Server, LIMIT};
use nix::sys::signal::Signal;

use crate::program;

/// What a table keeps of a key.
fn entry(proxy: &Proxy, table: &str, key: &str) -> Vec<(String, String)> {
    let text = proxy.command(&format!("show table {table} key {key}"));
    let words = text.lines().nth(1).unwrap_or_default().split(' ').map(str::to_owned);
    words.filter_map(|word| word.split_once('=').map(|(name, n)| (name.to_owned(), n.to_owned()))).collect()
}

fn value(proxy: &Proxy, table: &str, key: &str, data: &str) -> Option<String> {
    entry(proxy, table, key).into_iter().find(|(name, _)| name == data).map(|(_, value)| value)
}

fn number(proxy: &Proxy, table: &str, key: &str, data: &str) -> u64 {
    value(proxy, table, key, data).and_then(|n| n.parse().ok()).unwrap_or(0)
}

const ALL: &str = "gpc0,gpc0_rate(1m),gpc1,gpc1_rate(1m),gpt0,conn_cnt,conn_cur,conn_rate(1m),sess_cnt,sess_rate(1m),\
    http_req_cnt,http_req_rate(1m),http_err_cnt,http_err_rate(1m),http_fail_cnt,http_fail_rate(1m),bytes_in_cnt,\
    bytes_in_rate(1m),bytes_out_cnt,bytes_out_rate(1m),glitch_cnt,glitch_rate(1m),server_id,server_key";

/// What counts once per exchange, in the order of the columns below.
const COLUMNS: [&str; 5] = ["conn_cnt", "http_req_cnt", "http_err_cnt", "http_fail_cnt", "glitch_cnt"];

/// An exchange, and what it adds to [`COLUMNS`]: seen to be the same with HAProxy 2.6,
/// which has no glitches.
const EXCHANGES: &[(&str, [u64; 5])] = &[
    ("GET /200 HTTP/1.1\r\nHost: x\r\n\r\n", [1, 1, 0, 0, 0]),
    ("GET /404 HTTP/1.1\r\nHost: x\r\n\r\n", [1, 1, 1, 0, 0]),
    ("GET /503 HTTP/1.1\r\nHost: x\r\n\r\n", [1, 1, 0, 1, 0]),
    ("GET /500 HTTP/1.1\r\nHost: x\r\n\r\n", [1, 1, 0, 1, 0]),
    ("GET /501 HTTP/1.1\r\nHost: x\r\n\r\n", [1, 1, 0, 0, 0]),
    ("GET /302 HTTP/1.1\r\nHost: x\r\n\r\n", [1, 1, 0, 0, 0]),
    ("GET /reset HTTP/1.1\r\nHost: x\r\n\r\n", [1, 1, 0, 1, 0]),
    ("GET /garbage HTTP/1.1\r\nHost: x\r\n\r\n", [1, 1, 0, 1, 0]),
    ("GET /deny HTTP/1.1\r\nHost: x\r\n\r\n", [1, 1, 1, 0, 0]),
    ("GET /tarpit HTTP/1.1\r\nHost: x\r\n\r\n", [1, 1, 1, 0, 0]),
    ("GET /auth HTTP/1.1\r\nHost: x\r\n\r\n", [1, 1, 1, 0, 0]),
    ("GET /reject HTTP/1.1\r\nHost: x\r\n\r\n", [1, 1, 0, 0, 0]),
    ("GET /drop HTTP/1.1\r\nHost: x\r\n\r\n", [1, 1, 0, 0, 0]),
    ("GET /content HTTP/1.1\r\nHost: x\r\n\r\n", [1, 0, 0, 0, 0]),
    ("GET /redirect HTTP/1.1\r\nHost: x\r\n\r\n", [1, 1, 0, 0, 0]),
    ("GET /return HTTP/1.1\r\nHost: x\r\n\r\n", [1, 1, 0, 0, 0]),
    ("GET /nobody HTTP/1.1\r\nHost: x\r\n\r\n", [1, 1, 0, 0, 0]),
    ("GET / HTTP/1.1\r\nHost x\r\n\r\n", [1, 1, 1, 0, 1]),
    ("POST /200 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", [1, 1, 1, 0, 1]),
    // left in the middle, and too slow
    ("GET / HT", [1, 1, 1, 0, 0]),
    ("GET /slow HT", [1, 1, 0, 0, 0]),
    // a connection without a byte is a connection, not a bad request: many browsers make some in advance
    ("", [1, 0, 0, 0, 0]),
];

fn origin() -> Server {
    Server::http(|request| match request.uri() {
        "/reset" => Reply::raw("").close(),
        "/garbage" => Reply::raw("nonsense\r\n\r\n").close(),
        uri => Reply::status(uri.trim_start_matches('/').parse().unwrap_or(200), "", "ok"),
    })
}

#[test]
fn every_kind_of_exchange_is_counted_once_where_it_belongs() {
    let origin = origin();
    let sections = format!(
        "frontend fe\n    bind \"fd@${{fe}}\"\n    timeout http-request 300ms\n    timeout tarpit 20ms\n    \
         stick-table type integer size 10 store {ALL}\n    \
         tcp-request connection track-sc0 int(1)\n    \
         tcp-request content reject if {{ path /content }}\n    \
         http-request deny if {{ path /deny }}\n    http-request tarpit if {{ path /tarpit }}\n    \
         http-request auth if {{ path /auth }}\n    http-request reject if {{ path /reject }}\n    \
         http-request silent-drop if {{ path /drop }}\n    http-request redirect location / if {{ path /redirect }}\n    \
         http-request return status 404 if {{ path /return }}\n    use_backend nobody if {{ path /nobody }}\n    \
         default_backend be\nbackend be\n    retries 0\n    stick-table type integer size 10 store {ALL}\n    \
         stick on int(2)\n    server s1 {}\nbackend nobody\n",
        origin.addr()
    );
    let proxy = program(&sections).listen("fe").start();
    let mut want = [0; 5];
    for (bytes, adds) in EXCHANGES {
        let mut client = proxy.connect("fe");
        client.send(bytes);
        match *bytes {
            "GET /slow HT" => drop(client.rest()),
            bytes if bytes.ends_with("\r\n\r\n") => drop(client.try_response()),
            _ => drop(client),
        }
        want.iter_mut().zip(adds).for_each(|(sum, n)| *sum += n);
        let now = || COLUMNS.map(|column| number(&proxy, "fe", "1", column));
        eventually(&format!("{bytes:?} to be counted: {want:?}, now {:?}", now()), || now() == want);
    }
    for (data, of) in
        [("conn", 0), ("http_req", 1), ("http_err", 2), ("http_fail", 3), ("glitch", 4), ("sess", 0)]
    {
        assert_eq!(number(&proxy, "fe", "1", &format!("{data}_rate(60000)")), want[of], "{data}");
    }
    eventually("no connection", || number(&proxy, "fe", "1", "conn_cur") == 0);
    assert_eq!(value(&proxy, "be", "2", "server_key").as_deref(), Some("s1"));
    assert_eq!(value(&proxy, "be", "2", "server_id").as_deref(), Some("1"));
}

#[test]
fn bytes_are_those_of_the_wire_and_their_rates_can_count_in_steps() {
    let server = Server::http(|_| Reply::ok("x".repeat(10_000)));
    let sections = format!(
        "frontend fe\n    bind \"fd@${{fe}}\"\n    tcp-request connection track-sc0 int(1) table exact\n    \
         tcp-request connection track-sc1 int(1) table steps\n    \
         http-after-response set-header X-In %[sc_bytes_in_rate(1)]\n    default_backend exact\n\
         backend exact\n    stick-table type integer size 1 store bytes_in_cnt,bytes_out_cnt,bytes_out_rate(1m)\n    server s1 {}\n\
         backend steps\n    stick-table type integer size 1 brates-factor 1024 store bytes_in_rate(1m),bytes_out_rate(1m)\n",
        server.addr()
    );
    let proxy = program(&sections).listen("fe").start();
    let mut client = proxy.connect("fe");
    let request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    client.send(request);
    let response = client.response();
    drop(client);
    let see = |table: &str, data: &str| number(&proxy, table, "1", data);
    eventually("the end", || see("exact", "bytes_in_cnt") == request.len() as u64);
    let out = see("exact", "bytes_out_cnt");
    assert!(out > 10_000 + 40 && out < 10_300, "{out} bytes, {response:?}");
    assert_eq!(see("exact", "bytes_out_rate(60000)"), out);
    let steps = see("steps", "bytes_out_rate(60000)");
    assert!(steps.is_multiple_of(1024) && steps >= out && steps <= out + 4096, "{steps} for {out}");
    assert!(see("steps", "bytes_in_rate(60000)") >= 1024, "a step at least");
    // what commands say is bytes too
    proxy.command("set table steps key 1 data.bytes_out_rate 5000000000000");
    let rate = see("steps", "bytes_out_rate(60000)");
    assert!((4_300_000_000_000..=4_400_000_000_000).contains(&rate), "as much as it can hold: {rate}");
}

#[test]
fn servers_are_known_by_their_address_where_that_is_asked_for() {
    let (a, b) = (Server::named("a"), Server::named("b"));
    let sections = |first: &Server, second: &Server| {
        format!(
            "listen fe\n    bind 127.0.0.1:\"${{port}}\"\n    balance roundrobin\n    \
             stick-table type string len 10 size 10 srvkey addr\n    stick on hdr(x-user)\n    server s1 {}\n    server s2 {}\n",
            first.addr(),
            second.addr()
        )
    };
    let mut proxy = program(&sections(&a, &b)).port("port").workers(2).start();
    let ask = |proxy: &Proxy| {
        let mut client = proxy.connect("port");
        client.send("GET / HTTP/1.1\r\nHost: x\r\nX-User: ann\r\n\r\n");
        client.response().text()
    };
    let first = ask(&proxy);
    let addr = if first == "a" { a.addr() } else { b.addr() };
    assert_eq!(value(&proxy, "fe", "ann", "server_key"), Some(addr.to_string()));
    // after a reload the servers have each other's names: the address counts
    proxy.rewrite(&sections(&b, &a));
    assert!(proxy.master("reload").contains("Success=1"));
    for _ in 0..4 {
        assert_eq!(ask(&proxy), first);
    }
    let other = if first == "a" { b.addr() } else { a.addr() };
    proxy.command(&format!("set table fe key ann data.server_key {other}"));
    assert_ne!(ask(&proxy), first);
}

#[test]
fn what_commands_write_goes_on_to_another_table() {
    let sections = "listen fe\n    bind \"fd@${fe}\"\n    stick-table type string size 10 store gpc0,gpt0,server_key write-to all\n    \
         http-request track-sc0 path\n    http-request sc-inc-gpc0(0)\n    http-request return status 200\n\
         backend all\n    stick-table type string size 1 expire 1m nopurge store gpc0,conn_cur,server_key recv-only\n";
    let proxy = program(sections).listen("fe").start();
    assert_eq!(proxy.get("fe", "/local").status, 200);
    assert_eq!(proxy.command("show table all").lines().filter(|l| l.contains("key=")).count(), 0);
    assert_eq!(proxy.command("set table fe key /k data.gpc0 7 data.server_key s9").trim(), "");
    assert_eq!(number(&proxy, "all", "/k", "gpc0"), 7);
    assert_eq!(value(&proxy, "all", "/k", "server_key").as_deref(), Some("s9"));
    assert_eq!(proxy.get("fe", "/k").status, 200);
    assert_eq!((number(&proxy, "fe", "/k", "gpc0"), number(&proxy, "all", "/k", "gpc0")), (8, 7));
    assert_eq!(proxy.command("set table fe key /k data.gpt0 1").trim(), "");
    assert_eq!(number(&proxy, "all", "/k", "gpc0"), 8, "all of the entry goes on");
    assert_eq!(proxy.command("set table fe key /other").trim(), "Unable to allocate a new entry");
}

/// Many clients that connect, ask and go, over and over, while something happens to the workers.
struct Crowd {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    clients: Vec<thread::JoinHandle<()>>,
}

impl Crowd {
    fn start(addr: std::net::SocketAddr, clients: usize) -> Crowd {
        let (stop, served) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let client = |nth: usize| {
            let (stop, served) = (stop.clone(), served.clone());
            thread::spawn(move || {
                let mut turn = nth;
                while !stop.load(Ordering::Relaxed) {
                    turn += 1;
                    let Ok(mut peer) = Peer::try_connect(addr) else { continue };
                    let path = turn % 97;
                    let asked = peer.try_send(format!("GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n"));
                    if asked.is_ok() && peer.try_response().is_ok_and(|r| r.status == 200) {
                        served.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        };
        let clients = (0..clients).map(client).collect();
        Crowd { stop, served, clients }
    }

    /// Waits until so many more were served.
    fn goes_on(&self, more: usize) {
        let before = self.served.load(Ordering::Relaxed);
        eventually("the crowd to be served", || self.served.load(Ordering::Relaxed) >= before + more);
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().for_each(|client| client.join().unwrap());
    }
}

const BUSY: &str = "\
listen fe
    bind 127.0.0.1:\"${port}\"
    stick-table type ip size 100 expire 1m store conn_cur,conn_cnt,http_req_rate(10s)
    tcp-request connection track-sc0 src
    http-request track-sc1 path table paths
    http-request track-sc2 rand(5000) table random
    http-request return status 200
backend paths
    stick-table type string len 10 size 200 store conn_cur,http_req_cnt,gpc0
backend random
    stick-table type integer size 1000 store conn_cur,gpc0
";

#[track_caller]
fn nobody_is_counted(proxy: &Proxy) {
    let mut left = Vec::new();
    let none = within(LIMIT, || {
        left = left_behind(proxy);
        left.is_empty().then_some(())
    });
    assert!(none.is_some(), "still counted: {left:#?}");
}

/// Everything that is counted as here although nobody is.
fn left_behind(proxy: &Proxy) -> Vec<String> {
    let used =
        |line: &&str| line.contains("key=") && !(line.contains("use=0") && line.contains("conn_cur=0"));
    ["fe", "paths", "random"]
        .iter()
        .flat_map(|table| {
            let text = proxy.command(&format!("show table {table}"));
            text.lines().filter(used).map(|line| format!("{table} {line}")).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn workers_killed_in_heavy_traffic_leave_exact_counts_behind() {
    let proxy = program(BUSY).port("port").workers(3).start();
    let crowd = Crowd::start(proxy.addr("port"), 12);
    for round in 0..20 {
        crowd.goes_on(60);
        let workers = proxy.workers();
        if let Some(pid) = workers.get(round % workers.len().max(1)) {
            procs::signal(*pid, Signal::SIGKILL);
        }
    }
    crowd.goes_on(60);
    crowd.stop();
    nobody_is_counted(&proxy);
    // and it goes on: those who come now are counted, each once
    let clients: Vec<Peer> = (0..9)
        .map(|_| {
            let mut client = proxy.connect("port");
            assert_eq!(client.get("/1").status, 200);
            client
        })
        .collect();
    assert_eq!(value(&proxy, "fe", "127.0.0.1", "conn_cur").as_deref(), Some("9"));
    drop(clients);
    nobody_is_counted(&proxy);
}

#[test]
fn a_worker_that_stands_still_is_no_danger_to_the_counts_of_others() {
    let proxy = program(BUSY).port("port").workers(3).start();
    let crowd = Crowd::start(proxy.addr("port"), 9);
    for round in 0..3 {
        crowd.goes_on(40);
        let workers = proxy.workers();
        let Some(pid) = workers.get(round % workers.len().max(1)).copied() else { continue };
        procs::signal(pid, Signal::SIGSTOP);
        // it is replaced after two seconds; meanwhile the others work, also on the tables
        crowd.goes_on(60);
        eventually("the frozen worker to be replaced", || !procs::alive(pid));
    }
    crowd.stop();
    nobody_is_counted(&proxy);
}
