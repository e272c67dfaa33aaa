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

/// What a TLS client says first: session id, name, protocols; big enough for several segments when asked for.
fn client_hello(session_id: &[u8], padding: usize) -> Vec<u8> {
    let block = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
    let extension = |number: u16, body: &[u8]| [&number.to_be_bytes()[..], &block(body)].concat();
    let name = block(&[&[0][..], &block(b"www.a.test")].concat());
    let extensions = [
        extension(21, &vec![0; padding]),
        extension(0, &name),
        extension(16, &block(b"\x02h2\x08http/1.1")),
        extension(10, &block(&[0, 29, 0, 23])),
        extension(35, b"ticket"),
        extension(43, &[4, 3, 4, 3, 3]),
    ]
    .concat();
    let body = [
        &[3, 3][..],
        &[7; 32],
        &[session_id.len() as u8],
        session_id,
        &block(&[0x13, 1, 0xc0, 0x2b]),
        &[1, 0],
        &block(&extensions),
    ]
    .concat();
    [&[1, 0][..], &(body.len() as u16).to_be_bytes(), &body].concat()
}

/// A handshake message in records of at most `size` bytes.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    message
        .chunks(size)
        .flat_map(|part| [&[22, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat())
        .collect()
}

#[test]
fn tls_in_passing_is_read_whatever_its_records_and_segments() {
    let server = Server::start(|mut peer, n| {
        peer.take(5);
        let id = [n as u8 + 1; 32];
        let body = [&[3, 3][..], &[9; 32], &[32], &id, &[0x13, 1, 0]].concat();
        let message = [&[2, 0, 0, body.len() as u8][..], &body].concat();
        peer.send(records(&message, 4096));
        peer.drain();
    });
    let logs = lighterman_harness::logs::Logs::udp();
    let proxy = program(&format!(
        "global\n    log {} local0\nlisten fe\n    bind \"fd@${{fe}}\"\n    mode tcp\n    log global\n    \
         tcp-request inspect-delay 5s\n    acl hello req.ssl_hello_type 1\n    \
         tcp-request content set-var(sess.sni) req.ssl_sni if hello\n    \
         tcp-request content set-var(sess.ver) req.ssl_ver if hello\n    \
         tcp-request content set-var(sess.alpn) req.ssl_alpn if hello\n    \
         tcp-request content set-var(sess.lists) req.ssl_cipherlist,hex if hello\n    \
         tcp-request content set-var(sess.groups) req.ssl_supported_groups,hex if hello\n    \
         tcp-request content set-var(sess.ec) req.ssl_ec_ext if hello\n    \
         tcp-request content set-var(sess.ticket) req.ssl_st_ext if hello\n    \
         tcp-request content set-var(sess.id) payload_lv(43,1),hex if hello\n    \
         tcp-request content accept if hello\n    tcp-request content reject\n    \
         tcp-response inspect-delay 5s\n    \
         tcp-response content set-var(sess.answer) payload_lv(43,1),hex if {{ rep.ssl_hello_type 2 }}\n    \
         log-format \"sni=%[var(sess.sni)] ver=%[var(sess.ver)] alpn=%[var(sess.alpn)] \
         rest=%[var(sess.lists)],%[var(sess.groups)],%[var(sess.ec)],%[var(sess.ticket)] id=%[var(sess.id)] \
         answer=%[var(sess.answer)]\"\n    server s1 {}\n",
        logs.address(),
        server.addr()
    ))
    .listen("fe")
    .start();
    let mut answer = 0;
    for (id, padding, record, segment) in [
        (vec![5; 32], 0, 4096, 65536),
        (Vec::new(), 0, 4096, 65536),
        // cut into segments anywhere
        (vec![5; 32], 0, 4096, 1),
        (vec![5; 32], 3000, 4096, 700),
        // one message over several records, each in a segment of its own, or all in one
        (vec![5; 32], 0, 100, 105),
        (vec![5; 32], 0, 100, 65536),
        (vec![5; 32], 2500, 1000, 333),
    ] {
        let mut client = proxy.connect("fe");
        for part in records(&client_hello(&id, padding), record).chunks(segment) {
            client.send(part);
            if segment < 1000 {
                deadline::pause(Duration::from_millis(1));
            }
        }
        client.take(5);
        drop(client);
        answer += 1;
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02X}")).collect::<String>();
        // the id lies within the first record whatever its size
        let id = if id.is_empty() { "-".into() } else { hex(&id) };
        let line = logs.next_with("sni=");
        for expected in [
            "sni=www.a.test ".to_owned(),
            "alpn=h2,http/1.1 rest=1301C02B,001D0017,1,2 ".to_owned(),
            format!(" id={id} "),
            format!(" answer={}", hex(&[answer; 32])),
        ] {
            assert!(line.contains(&expected), "{padding} {record} {segment}: no {expected:?} in {line}");
        }
    }
    let mut plain = proxy.connect("fe");
    plain.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    plain.ends();
}
