//! A new configuration without losing anything: same sockets, same memory, same sessions.

use std::time::Duration;

use lighterman_harness::deadline::pause;
use lighterman_harness::{eventually, procs, Load, Proxy, Reply, Server};
use nix::sys::signal::Signal;

use crate::relay;

fn sections(lines: &str, server: &Server) -> String {
    format!(
        "global\n    nbproc 2\nlisten fe\n    bind \"fd@${{fe}}\"\n{lines}\n    server s1 {}\n",
        server.addr()
    )
}

#[track_caller]
fn reload(proxy: &Proxy) {
    let answer = proxy.master("reload");
    assert!(answer.contains("Success=1"), "{answer}");
}

#[test]
fn usr2_brings_the_new_configuration() {
    let (old, new) = (Server::named("old"), Server::named("new"));
    let mut proxy = relay("", old.addr()).workers(2).start();
    assert_eq!(proxy.get("fe", "/").text(), "old");
    proxy.rewrite(&sections("", &new));
    proxy.signal(Signal::SIGUSR2);
    eventually("the new configuration", || proxy.get("fe", "/").text() == "new");
    let pid = proxy.pid();
    assert!(procs::alive(pid), "the master stays");
}

#[test]
fn the_master_answers_when_the_new_ones_serve() {
    let (old, new) = (Server::named("old"), Server::named("new"));
    let mut proxy = relay("", old.addr()).workers(2).start();
    assert_eq!(proxy.get("fe", "/").text(), "old");
    proxy.rewrite(&sections("", &new));
    reload(&proxy);
    for _ in 0..10 {
        assert_eq!(proxy.get("fe", "/").text(), "new");
    }
}

#[test]
fn twenty_reloads_under_load_fail_nothing() {
    let server = Server::named("ok");
    let proxy = relay("", server.addr()).workers(2).start();
    assert_eq!(proxy.get("fe", "/").status, 200);
    let (closing, keeping) = (Load::closing(proxy.addr("fe"), 2), Load::keeping(proxy.addr("fe"), 2, 50));
    for _ in 0..20 {
        reload(&proxy);
        closing.goes_on(5);
        keeping.goes_on(2);
    }
    closing.stop().spotless();
    let report = keeping.stop();
    assert!(report.failed.is_empty(), "{:?}", report.failed);
}

#[test]
fn twenty_reloads_of_doubled_sockets_under_load_fail_nothing() {
    let server = Server::named("ok");
    let proxy = crate::program(&format!(
        "listen fe\n    bind 127.0.0.1:\"${{port}}\"\n    server s1 {}\n",
        server.addr()
    ))
    .port("port")
    .workers(2)
    .start();
    assert_eq!(proxy.get("port", "/").status, 200);
    let load = Load::closing(proxy.addr("port"), 3);
    for _ in 0..20 {
        reload(&proxy);
        load.goes_on(5);
    }
    load.stop().spotless();
}

#[test]
fn a_broken_file_leaves_everything_as_it_was() {
    let server = Server::named("ok");
    let mut proxy = relay("", server.addr()).workers(2).start();
    assert_eq!(proxy.get("fe", "/").status, 200);
    let workers = proxy.workers();
    proxy.rewrite(&sections("    nonsense here", &server));
    let answer = proxy.master("reload");
    assert!(answer.contains("Success=0") && answer.contains("nonsense"), "{answer}");
    proxy.signal(Signal::SIGUSR2);
    proxy.says("nonsense");
    assert_eq!(proxy.get("fe", "/").status, 200);
    assert_eq!(proxy.workers(), workers);
}

#[test]
fn counters_go_on() {
    let server = Server::named("ok");
    let proxy = relay("", server.addr()).workers(2).start();
    for round in 1..=3u32 {
        for _ in 0..10 {
            assert_eq!(proxy.get("fe", "/").status, 200);
        }
        eventually("the sum", || proxy.stat("fe", "FRONTEND", "req_tot") == (round * 10).to_string());
        reload(&proxy);
    }
    assert_eq!(proxy.stat("fe", "FRONTEND", "req_tot"), "30");
    assert_eq!(proxy.stat("fe", "s1", "hrsp_2xx"), "30");
}

#[test]
fn another_layout_starts_afresh_and_serves() {
    let (one, two) = (Server::named("one"), Server::named("two"));
    let mut proxy = relay("", one.addr()).workers(2).start();
    assert_eq!(proxy.get("fe", "/").text(), "one");
    let more: String = (0..20).map(|n| format!("backend b{n}\n    server s {}\n", one.addr())).collect();
    proxy.rewrite(&(sections("", &two) + &more));
    reload(&proxy);
    assert_eq!(proxy.get("fe", "/").text(), "two");
    // an old worker may take one more connection of the command socket before it hears that it shall leave
    eventually("the new backends", || proxy.command("show stat").contains("b19,BACKEND"));
}

#[test]
fn the_old_generation_finishes_its_sessions_and_leaves() {
    let server = Server::echo();
    let mut proxy = relay("    mode tcp", server.addr()).workers(2).start();
    let mut client = proxy.connect("fe");
    client.send("before");
    client.expect("before");
    let old = proxy.workers();
    proxy.rewrite(&sections("    mode tcp", &server));
    reload(&proxy);
    let mut late = proxy.connect("fe");
    late.send("late");
    late.expect("late");
    client.send("after");
    client.expect("after");
    assert!(old.iter().any(|p| procs::alive(*p)), "the old one was still needed");
    client.half_close();
    client.drain();
    eventually("the old ones to leave", || old.iter().all(|p| !procs::alive(*p)));
    late.send("still");
    late.expect("still");
}

#[test]
fn idle_clients_of_the_old_generation_are_closed_politely() {
    let server = Server::named("ok");
    let proxy = relay("", server.addr()).workers(2).start();
    let mut idle = proxy.connect("fe");
    idle.get("/");
    let old = proxy.workers();
    reload(&proxy);
    assert_eq!(idle.ends(), lighterman_harness::End::Eof);
    eventually("the old ones to leave", || old.iter().all(|p| !procs::alive(*p)));
}

#[test]
fn hard_stop_after_ends_the_patience() {
    let server = Server::echo();
    let mut proxy = relay("    mode tcp", server.addr()).workers(2).start();
    proxy.rewrite(&("global\n    hard-stop-after 500ms\n".to_string() + &sections("    mode tcp", &server)));
    reload(&proxy);
    let mut client = proxy.connect("fe");
    client.send("x");
    client.expect("x");
    let old = proxy.workers();
    reload(&proxy);
    eventually("the old ones to leave", || old.iter().all(|p| !procs::alive(*p)));
    client.drain();
}

#[test]
fn a_request_under_way_is_answered_by_the_old_generation() {
    let server = Server::http(|request| {
        if request.uri() == "/slow" {
            pause(Duration::from_millis(700));
        }
        Reply::ok("done")
    });
    let proxy = relay("", server.addr()).workers(2).start();
    let mut client = proxy.connect("fe");
    client.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    eventually("the request at the server", || server.requests().len() == 1);
    reload(&proxy);
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (200, "done"));
    assert_eq!(client.ends(), lighterman_harness::End::Eof);
}

#[test]
fn many_reloads_leave_no_process_and_no_descriptor_behind() {
    let server = Server::named("ok");
    let proxy = relay("", server.addr()).workers(2).start();
    proxy.get("fe", "/");
    reload(&proxy);
    let settled = |proxy: &Proxy| {
        eventually("old generations to leave", || procs::descendants(proxy.pid()).len() <= 3);
        procs::descriptors(proxy.pid())
    };
    let before = settled(&proxy);
    for _ in 0..10 {
        reload(&proxy);
    }
    let after = settled(&proxy);
    assert!(after <= before + 2, "{before} descriptors before, {after} after");
}
