//! The command socket: how a conversation goes, what the commands say, who may say what.

use std::time::Duration;

use lighterman_harness::{End, Server};

use crate::{program, relay};

#[test]
fn one_line_one_answer_one_empty_line() {
    let server = Server::named("ok");
    let proxy = relay("", server.addr()).start();
    let answer = proxy.command("show version");
    assert!(answer.starts_with(env!("CARGO_PKG_VERSION")), "{answer:?}");
    assert!(answer.ends_with("\n\n"), "{answer:?}");
    // Without half-closing too.
    let mut client = proxy.connect("cli");
    client.send("show version\n");
    assert_eq!(String::from_utf8(client.rest()).unwrap(), answer);
}

#[test]
fn several_commands_in_a_line() {
    let server = Server::named("ok");
    let proxy = relay("", server.addr()).start();
    let one = proxy.command("show version");
    assert_eq!(proxy.command("show version;show version; show version"), one.repeat(3));
}

#[test]
fn an_interactive_conversation() {
    let server = Server::named("ok");
    let proxy = relay("", server.addr()).start();
    let mut client = proxy.connect("cli");
    client.silent(Duration::from_millis(100));
    client.send("prompt\n");
    client.upto("\n> ");
    for _ in 0..3 {
        client.send("show version\n");
        let text = String::from_utf8(client.upto("\n> ")).unwrap();
        assert!(text.starts_with(env!("CARGO_PKG_VERSION")), "{text:?}");
    }
    client.send("quit\n");
    assert_eq!(client.ends(), End::Eof);
}

#[test]
fn unknown_commands_get_help() {
    let server = Server::named("ok");
    let proxy = relay("", server.addr()).start();
    let answer = proxy.command("shwo info");
    assert!(answer.starts_with("Unknown command: 'shwo'"), "{answer}");
    assert!(answer.contains("show info"), "the nearest ones are named: {answer}");
    assert!(proxy.command("help").contains("show stat"));
}

#[test]
fn show_info_has_the_known_keys_in_their_order() {
    let server = Server::named("ok");
    let proxy = relay("", server.addr()).start();
    let text = proxy.command("show info");
    let keys: Vec<&str> = text.lines().filter_map(|l| l.split_once(": ").map(|(k, _)| k)).collect();
    let known = [
        "Name",
        "Version",
        "Release_date",
        "Nbthread",
        "Nbproc",
        "Process_num",
        "Pid",
        "Uptime",
        "Uptime_sec",
        "Maxsock",
        "Maxconn",
        "CurrConns",
        "CumConns",
        "CumReq",
        "CurrSslConns",
        "CumSslConns",
        "ConnRate",
        "SessRate",
        "SslRate",
        "Tasks",
        "Run_queue",
        "Idle_pct",
        "node",
    ];
    let found: Vec<&str> = known.iter().copied().filter(|k| keys.contains(k)).collect();
    assert_eq!(found, known, "missing keys in:\n{text}");
    let order: Vec<usize> = known.iter().map(|k| keys.iter().position(|f| f == k).unwrap()).collect();
    assert!(order.is_sorted(), "order of keys:\n{text}");
    assert_eq!(proxy.info("Pid"), proxy.pid().to_string());
    assert_eq!(proxy.info("Process_num"), "1");
    assert_eq!(proxy.info("Nbproc"), "1");
}

#[test]
fn show_stat_has_the_known_columns() {
    let server = Server::named("ok");
    let proxy = relay("", server.addr()).start();
    let text = proxy.command("show stat");
    let header = text.lines().next().unwrap();
    assert!(header.starts_with("# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,rate_max,check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,hanafail,req_rate,req_rate_max,req_tot,cli_abrt,srv_abrt,"), "{header}");
    let columns = header.matches(',').count();
    for line in text.lines().filter(|l| !l.is_empty()) {
        assert!(line.ends_with(','), "{line}");
        assert_eq!(line.matches(',').count(), columns, "{line}");
    }
    let rows: Vec<&str> = text.lines().skip(1).filter(|l| l.starts_with("fe,")).collect();
    assert!(
        rows[0].starts_with("fe,FRONTEND,")
            && rows[1].starts_with("fe,s1,")
            && rows[2].starts_with("fe,BACKEND,")
    );
    assert!(text.ends_with("\n\n"));
}

#[test]
fn the_counters_count() {
    let server = Server::http(|request| {
        lighterman_harness::Reply::status(if request.uri() == "/404" { 404 } else { 200 }, "", "12345")
    });
    let proxy = relay("", server.addr()).start();
    let mut client = proxy.connect("fe");
    for uri in ["/", "/", "/404"] {
        client.get(uri);
    }
    for (server, column, value) in [
        ("FRONTEND", "stot", "1"),
        ("FRONTEND", "scur", "1"),
        ("FRONTEND", "req_tot", "3"),
        ("FRONTEND", "hrsp_2xx", "2"),
        ("FRONTEND", "hrsp_4xx", "1"),
        ("FRONTEND", "status", "OPEN"),
        ("BACKEND", "hrsp_2xx", "2"),
        ("BACKEND", "status", "UP"),
        ("s1", "hrsp_2xx", "2"),
        ("s1", "lbtot", "3"),
        ("s1", "status", "no check"),
    ] {
        assert_eq!(proxy.stat("fe", server, column), value, "{server} {column}");
    }
    let bytes: u64 = proxy.stat("fe", "FRONTEND", "bin").parse().unwrap();
    assert_eq!(bytes, 2 * 30 + 33, "bytes of three requests");
    assert_eq!(proxy.count("CumReq"), 3);
    drop(client);
    lighterman_harness::eventually("no session", || proxy.stat("fe", "FRONTEND", "scur") == "0");
}

#[test]
fn show_stat_takes_filters() {
    let server = Server::named("ok");
    let proxy = relay("", server.addr()).start();
    let rows = |line: &str| proxy.command(line).lines().filter(|l| l.starts_with("fe,")).count();
    assert_eq!(rows("show stat -1 -1 -1"), 3);
    assert_eq!(rows("show stat -1 1 -1"), 1);
    assert_eq!(rows("show stat -1 4 -1"), 1);
    assert_eq!(rows("show stat fe 2 -1"), 1);
}

#[test]
fn sums_are_over_all_workers() {
    let server = Server::named("ok");
    let proxy = relay("", server.addr()).workers(4).start();
    for _ in 0..100 {
        assert_eq!(proxy.get("fe", "/").status, 200);
    }
    // Whoever answers says the same.
    for _ in 0..5 {
        assert_eq!(proxy.stat("fe", "FRONTEND", "req_tot"), "100");
        assert_eq!(proxy.stat("fe", "s1", "hrsp_2xx"), "100");
        assert_eq!(proxy.count("CumReq"), 100);
        assert_eq!(proxy.info("Nbproc"), "4");
    }
}

#[test]
fn levels_are_kept_to() {
    let proxy =
        program("global\n    stats socket \"fd@${low}\" level user\nlisten fe\n    bind \"fd@${fe}\"\n")
            .listen("fe")
            .unix("low")
            .start();
    let mut client = proxy.connect("low");
    client.send("show stat\n");
    assert!(String::from_utf8(client.rest()).unwrap().contains("fe,FRONTEND"));
    let mut client = proxy.connect("low");
    client.send("clear counters all\n");
    let answer = String::from_utf8(client.rest()).unwrap();
    assert!(answer.contains("Permission denied"), "{answer}");
}

#[test]
fn a_socket_of_its_own_making_and_over_tcp() {
    let program = program("global\n    stats socket \"${path}\" mode 600 level operator\n    stats socket ipv4@127.0.0.1:\"${port}\" level user\nlisten fe\n    bind \"fd@${fe}\"\n")
        .listen("fe")
        .port("port");
    let path = program.file("dir/keep", "").replace("keep", "stats.sock");
    let proxy = program.env("path", &path).start();
    let sock = lighterman_harness::until(&path, || std::os::unix::net::UnixStream::connect(&path).ok());
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let mut client = lighterman_harness::Peer::from(sock);
    client.send("show info\n");
    assert!(String::from_utf8(client.rest()).unwrap().starts_with("Name: "));
    let mut client = proxy.connect("port");
    client.send("show info\n");
    assert!(String::from_utf8(client.rest()).unwrap().starts_with("Name: "));
}

#[test]
fn hostile_lines_harm_nobody() {
    let server = Server::named("ok");
    let proxy = relay("", server.addr()).start();
    for line in
        [&b"\0\0\0\n"[..], b"\n\n\n\n", b";;;;\n", b"show\n", b"show \xff\xfe\n", b"\\\n", b"show info <<\n"]
    {
        let mut client = proxy.connect("cli");
        client.send(line);
        client.half_close();
        client.drain();
    }
    let mut client = proxy.connect("cli");
    let _ = client.try_send(vec![b'a'; 1 << 20]);
    client.half_close();
    client.drain();
    assert!(proxy.command("show version").starts_with(env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_reader_that_stops_reading_is_let_go() {
    let text: String = (0..300)
        .map(|n| format!("backend b{n}\n    server s1 127.0.0.1:1\n    server s2 127.0.0.1:1\n"))
        .collect();
    let proxy = program(&format!("global\n    stats timeout 300ms\n{text}")).start();
    let whole = proxy.command("show stat");
    assert!(whole.lines().filter(|l| l.starts_with('b')).count() >= 900, "{} lines", whole.lines().count());
    let mut stuck = proxy.connect("cli");
    stuck.send("show stat\n");
    assert_eq!(proxy.command("show version").lines().count(), 2);
}
