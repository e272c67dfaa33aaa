//! Which server gets the request: the algorithms, weights, backups, servers that refuse.

use lighterman_harness::{Peer, Program, Reply, Server};

use crate::program;

/// Four origins called a b c d, and a backend over them with these lines and server options.
fn spread(lines: &str, options: [&str; 4]) -> (Program, [Server; 4]) {
    let servers = ["a", "b", "c", "d"].map(Server::named);
    let mut text = format!("listen fe\n    bind \"fd@${{fe}}\"\n    http-reuse never\n{lines}\n");
    for ((name, server), option) in ["a", "b", "c", "d"].iter().zip(&servers).zip(options) {
        text += &format!("    server {name} {} {option}\n", server.addr());
    }
    (program(&text).listen("fe"), servers)
}

fn picks(program: Program, n: usize) -> String {
    let proxy = program.start();
    (0..n).map(|_| proxy.get("fe", "/").text()).collect()
}

#[test]
fn roundrobin_takes_turns_and_is_the_default() {
    for line in ["", "    balance roundrobin"] {
        let (program, _servers) = spread(line, [""; 4]);
        assert_eq!(picks(program, 8), "abcdabcd", "{line:?}");
    }
}

#[test]
fn weights_share_in_proportion() {
    let (program, _servers) =
        spread("    balance roundrobin", ["weight 4", "weight 2", "weight 1", "weight 0"]);
    let got = picks(program, 28);
    let count = |name| got.matches(name).count();
    assert_eq!((count('a'), count('b'), count('c'), count('d')), (16, 8, 4, 0), "{got}");
    assert!(!got.contains("aaaa"), "weights come interleaved, not in bursts: {got}");
}

#[test]
fn leastconn_prefers_the_idle_server() {
    let (program, _servers) = spread("    mode tcp\n    balance leastconn", [""; 4]);
    let proxy = program.start();
    // Three sessions stay open; every further one, closed at once, finds the fourth server least loaded.
    let mut held: Vec<(Peer, String)> = Vec::new();
    for _ in 0..3 {
        let mut peer = proxy.connect("fe");
        let who = peer.get("/").text();
        held.push((peer, who));
    }
    let busy: String = held.iter().map(|(_, who)| who.as_str()).collect();
    for _ in 0..4 {
        let mut peer = proxy.connect("fe");
        let who = peer.get("/").text();
        assert!(!busy.contains(&who), "{who} is busy: {busy}");
        peer.half_close();
        peer.rest();
    }
}

#[test]
fn first_fills_one_server_before_the_next() {
    let (program, _servers) =
        spread("    mode tcp\n    balance first", ["maxconn 2", "maxconn 2", "maxconn 2", "maxconn 2"]);
    let proxy = program.start();
    let mut held: Vec<Peer> = Vec::new();
    let mut got = String::new();
    for _ in 0..6 {
        held.push(proxy.connect("fe"));
        got += &held.last_mut().unwrap().get("/").text();
    }
    assert_eq!(got, "aabbcc");
}

#[test]
fn source_sticks_to_the_address() {
    let (program, _servers) = spread("    balance source", [""; 4]);
    let proxy = program.start();
    let mut seen = String::new();
    for n in 1..=40 {
        let from = format!("127.0.1.{n}");
        let one = Peer::connect_from(&from, proxy.addr("fe")).get("/").text();
        for _ in 0..2 {
            assert_eq!(Peer::connect_from(&from, proxy.addr("fe")).get("/").text(), one, "{from}");
        }
        seen += &one;
    }
    for name in ['a', 'b', 'c', 'd'] {
        assert!(seen.contains(name), "no address of 40 went to {name}: {seen}");
    }
}

#[test]
fn source_hashes_as_documented() {
    // Five servers of weight 1, 127.0.0.1: the fourth, map-based (the default) as consistent.
    let servers = ["1", "2", "3", "4", "5"].map(Server::named);
    for line in ["", "    hash-type map-based", "    hash-type consistent"] {
        let mut text = format!("listen fe\n    bind \"fd@${{fe}}\"\n    balance source\n{line}\n");
        for (n, server) in servers.iter().enumerate() {
            text += &format!("    server s{} {}\n", n + 1, server.addr());
        }
        let proxy = program(&text).listen("fe").start();
        assert_eq!(proxy.get("fe", "/").text(), "4", "{line:?}");
    }
}

#[test]
fn a_backup_serves_when_all_others_are_out() {
    let (program, _servers) = spread("    balance roundrobin", ["weight 1", "", "", "backup"]);
    assert_eq!(picks(program, 6), "abcabc");

    let backup = Server::named("backup");
    let gone = Server::nobody();
    let proxy = program_with_gone(&format!(
        "    option redispatch 1\n    server a {gone}\n    server d {} backup\n",
        backup.addr()
    ))
    .start();
    // Servers without checks stay up: a refused one is tried, and only redispatching leaves it.
    let status = proxy.get("fe", "/").status;
    assert!(matches!(status, 200 | 503), "{status}");
}

fn program_with_gone(lines: &str) -> Program {
    program(&format!(
        "listen fe\n    bind \"fd@${{fe}}\"\n    timeout connect 200ms\n    retries 3\n    http-reuse never\n{lines}"
    ))
    .listen("fe")
}

#[test]
fn redispatch_finds_a_living_server() {
    let living = Server::named("living");
    let text = format!(
        "    option redispatch 1\n    server a {}\n    server b {}\n",
        Server::nobody(),
        living.addr()
    );
    let proxy = program_with_gone(&text).start();
    for _ in 0..6 {
        let response = proxy.get("fe", "/");
        assert_eq!((response.status, response.text().as_str()), (200, "living"));
    }
    assert_ne!(proxy.stat("fe", "a", "wredis"), "0");
}

#[test]
fn without_a_server_that_answers_it_is_503() {
    let proxy = program_with_gone(&format!("    server a {}\n", Server::nobody())).start();
    let response = proxy.get("fe", "/");
    assert_eq!(response.status, 503);
    assert_eq!(proxy.stat("fe", "a", "wretr"), "3");
    assert_eq!(proxy.stat("fe", "a", "econ"), "1");
}

#[test]
fn a_disabled_server_gets_nothing() {
    let (program, servers) = spread("    balance roundrobin", ["", "disabled", "", ""]);
    assert_eq!(picks(program, 6), "acdacd");
    assert_eq!(servers[1].connections(), 0);
}

#[test]
fn every_worker_spreads_by_itself_and_the_sums_are_right() {
    let servers = ["a", "b"].map(Server::named);
    let proxy = program(&format!(
        "listen fe\n    bind \"fd@${{fe}}\"\n    balance roundrobin\n    server a {}\n    server b {}\n",
        servers[0].addr(),
        servers[1].addr()
    ))
    .listen("fe")
    .workers(2)
    .start();
    for _ in 0..40 {
        assert_eq!(proxy.get("fe", "/").status, 200);
    }
    let (a, b) = (proxy.stat("fe", "a", "stot"), proxy.stat("fe", "b", "stot"));
    let (a, b): (u32, u32) = (a.parse().unwrap(), b.parse().unwrap());
    assert_eq!(a + b, 40);
    assert!(a.abs_diff(b) <= 2, "{a} and {b}");
}

#[test]
fn servers_with_a_full_queue_wait_their_turn() {
    let server = Server::http(|_| Reply::ok("x"));
    let proxy = program(&format!(
        "listen fe\n    bind \"fd@${{fe}}\"\n    option http-server-close\n    server a {} maxconn 1\n",
        server.addr()
    ))
    .listen("fe")
    .start();
    let mut clients: Vec<Peer> = (0..20).map(|_| proxy.connect("fe")).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(proxy.stat("fe", "a", "smax"), "1");
}
