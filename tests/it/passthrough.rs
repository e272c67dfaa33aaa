//! `mode tcp`: bytes both ways, half-close, backpressure, timeouts, what becomes of refusals.

use std::time::Duration;

use lighterman_harness::{deadline, eventually, procs, End, Peer, Server};

use crate::{program, relay};

#[test]
fn bytes_go_both_ways_unchanged() {
    let server = Server::echo();
    let proxy = relay("    mode tcp", server.addr()).start();
    let mut client = proxy.connect("fe");
    let bytes: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    let mut sender = proxy.connect("fe");
    client.send("first");
    client.expect("first");
    for chunk in bytes.chunks(100_000) {
        sender.send(chunk);
        sender.expect(chunk);
    }
    sender.half_close();
    assert_eq!(sender.ends(), End::Eof);
}

#[test]
fn a_client_that_is_done_sending_still_gets_its_answer() {
    let server = Server::start(|mut peer, _| {
        let all = peer.rest();
        peer.send(format!("you sent {} bytes", all.len()));
    });
    let proxy = relay("    mode tcp", server.addr()).start();
    // a client that leaves without a word is not connected at all
    for size in [1, 5, 16_384, 100_000] {
        let mut client = proxy.connect("fe");
        client.send(vec![b'x'; size]);
        client.half_close();
        assert_eq!(client.rest(), format!("you sent {size} bytes").into_bytes());
    }
}

#[test]
fn a_server_that_is_done_sending_still_reads() {
    let server = Server::start(|mut peer, _| {
        peer.send("done");
        peer.half_close();
        peer.expect("late words");
        assert_eq!(peer.ends(), End::Eof);
    });
    let proxy = relay("    mode tcp", server.addr()).start();
    let mut client = proxy.connect("fe");
    assert_eq!(client.rest(), b"done");
    client.send("late words");
    client.half_close();
    eventually("the server to finish", || server.open() == 0);
}

#[test]
fn the_server_may_speak_first() {
    let server = Server::start(|mut peer, _| {
        peer.send("220 ready\r\n");
        peer.expect("QUIT\r\n");
        peer.send("221 bye\r\n");
    });
    let proxy = relay("    mode tcp", server.addr()).start();
    let mut client = proxy.connect("fe");
    client.expect("220 ready\r\n");
    client.send("QUIT\r\n");
    assert_eq!(client.rest(), b"221 bye\r\n");
}

#[test]
fn the_last_bytes_before_a_close_arrive() {
    let server = Server::start(|mut peer, _| {
        let n = String::from_utf8(peer.upto("\n")).unwrap().trim().parse().unwrap();
        peer.send(vec![b'z'; n]);
    });
    let proxy = relay("    mode tcp", server.addr()).start();
    for size in [1, 1000, 16_383, 16_384, 16_385, 65_536, 1_000_000] {
        let mut client = proxy.connect("fe");
        client.send(format!("{size}\n"));
        assert_eq!(client.rest().len(), size);
    }
}

#[test]
fn a_slow_reader_costs_buffers_not_the_whole_body() {
    const BODY: usize = 256 << 20;
    let server = Server::start(|mut peer, _| {
        let block = vec![b'b'; 1 << 20];
        for _ in 0..BODY / block.len() {
            if peer.try_send(&block).is_err() {
                return;
            }
        }
    });
    let proxy = relay("    mode tcp", server.addr()).start();
    let mut warm = proxy.connect("fe");
    warm.take(1 << 20);
    drop(warm);
    let before = procs::memory_kb(proxy.pid(), "VmRSS");
    let mut client = Peer::connect_narrow(proxy.addr("fe"), 4096);
    for _ in 0..20 {
        client.some(4096);
        deadline::pause(Duration::from_millis(10));
    }
    let grown = procs::memory_kb(proxy.pid(), "VmRSS").saturating_sub(before);
    assert!(grown < 2048, "a slow reader made the process grow by {grown} KiB");
}

#[test]
fn a_refused_server_closes_the_client_after_its_retries() {
    let proxy = program("listen fe\n    bind \"fd@${fe}\"\n    mode tcp\n    retries 2\n    timeout connect 200ms\n    server s1 \"${gone}\"\n")
        .listen("fe")
        .env("gone", Server::nobody())
        .start();
    let mut client = proxy.connect("fe");
    client.ends();
    eventually("the failed connects in the statistics", || proxy.stat("fe", "BACKEND", "econ") != "0");
    assert_eq!(proxy.stat("fe", "s1", "wretr"), "2");
}

#[test]
fn an_idle_session_ends_by_timeout_client() {
    let server = Server::echo();
    let proxy =
        relay("    mode tcp\n    timeout client 300ms\n    timeout server 10s", server.addr()).start();
    let mut client = proxy.connect("fe");
    client.send("x");
    client.expect("x");
    let began = lighterman_harness::Watch::start();
    client.ends();
    assert!(began.elapsed() >= Duration::from_millis(250), "too early: {:?}", began.elapsed());
    eventually("the server's side to be closed", || server.open() == 0);
}

#[test]
fn an_idle_session_ends_by_timeout_server() {
    let server = Server::start(|mut peer, _| {
        peer.expect("x");
        peer.ends();
    });
    let proxy =
        relay("    mode tcp\n    timeout client 10s\n    timeout server 300ms", server.addr()).start();
    let mut client = proxy.connect("fe");
    client.send("x");
    client.ends();
    eventually("the server's side to be closed", || server.open() == 0);
}

#[test]
fn a_reset_of_one_side_ends_the_other() {
    let server = Server::start(|mut peer, n| {
        peer.expect("x");
        if n == 0 {
            peer.reset();
        } else {
            peer.drain();
        }
    });
    let proxy = relay("    mode tcp", server.addr()).start();
    let mut client = proxy.connect("fe");
    client.send("x");
    client.drain();
    let mut client = proxy.connect("fe");
    client.send("x");
    eventually("the second connection", || server.connections() == 2);
    client.reset();
    eventually("the server's side to be closed", || server.open() == 0);
}

#[test]
fn an_idle_process_sleeps() {
    let server = Server::echo();
    let proxy = relay("    mode tcp", server.addr()).start();
    let mut client = proxy.connect("fe");
    client.send("x");
    client.expect("x");
    deadline::pause(Duration::from_millis(50));
    let before = procs::voluntary_switches(proxy.pid());
    deadline::pause(Duration::from_millis(1500));
    let wakeups = procs::voluntary_switches(proxy.pid()) - before;
    assert!(wakeups <= 5, "{wakeups} wakeups in 1.5 s without work");
}

#[test]
fn many_sessions_at_once_keep_apart() {
    let server = Server::echo();
    let proxy = relay("    mode tcp", server.addr()).start();
    let mut clients: Vec<Peer> = (0..200).map(|_| proxy.connect("fe")).collect();
    for round in 0..3 {
        for (n, client) in clients.iter_mut().enumerate() {
            client.send(format!("client {n} round {round}."));
        }
        for (n, client) in clients.iter_mut().enumerate() {
            client.expect(format!("client {n} round {round}."));
        }
    }
    assert_eq!(proxy.stat("fe", "FRONTEND", "scur"), "200");
}
