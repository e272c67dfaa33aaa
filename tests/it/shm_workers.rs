//! Many processes, one brain: births and deaths of workers, a frozen one, signals, PIDs, privileges.

use std::time::Duration;

use lighterman_harness::deadline::{pause, within};
use lighterman_harness::{eventually, procs, until, Load, Program, Proxy, Server, LIMIT};
use nix::sys::signal::Signal;

use crate::{program, relay, BIN};

/// A frontend on sockets of the program's own (one per worker), in front of an origin.
fn doubled(server: &Server, workers: u32) -> Proxy {
    let proxy =
        program(&format!("listen fe\n    bind 127.0.0.1:\"${{port}}\"\n    server s1 {}\n", server.addr()))
            .port("port")
            .workers(workers)
            .start();
    eventually("the first answer", || proxy.get("port", "/").status == 200);
    proxy
}

#[test]
fn a_killed_worker_is_back_and_the_log_says_why() {
    let server = Server::named("ok");
    let proxy = doubled(&server, 2);
    let mut times = Vec::new();
    for _ in 0..10 {
        let old = proxy.workers();
        assert_eq!(old.len(), 2);
        procs::signal(old[0], Signal::SIGKILL);
        let began = lighterman_harness::Watch::start();
        until("the successor", || {
            let now = procs::children(proxy.pid());
            (!now.contains(&old[0]) && now.iter().filter(|p| !old.contains(p)).count() >= 1).then_some(())
        });
        times.push(began.elapsed());
        eventually("two workers again", || proxy.workers().len() == 2);
        assert_eq!(proxy.get("port", "/").status, 200);
    }
    times.sort();
    // The machine may be busy with other tests: the usual time counts, not the worst.
    assert!(times[2] <= Duration::from_millis(100), "{times:?}");
    let text = proxy.stderr();
    assert!(text.contains("SIGKILL") || text.contains("signal 9"), "{text}");
}

#[test]
fn a_hundred_kills_in_a_row_lose_only_what_the_dead_held() {
    let server = Server::named("ok");
    let proxy = doubled(&server, 4);
    let addr = proxy.addr("port");
    let load = Load::closing(addr, 2);
    for round in 0..100 {
        let pids = until("a worker", || Some(proxy.workers()).filter(|w| !w.is_empty()));
        procs::signal(pids[round % pids.len()], Signal::SIGKILL);
        load.goes_on(2);
    }
    let report = load.stop();
    // A request in the hands of a killed worker is lost with it; waiting ones are not.
    assert!(
        report.failed.len() <= 100,
        "{} lost by 100 kills: {:?}",
        report.failed.len(),
        &report.failed[..5]
    );
    assert!(report.failed.iter().all(|f| !f.starts_with("connect")), "{:?}", report.failed);
    eventually("four workers at the end", || proxy.workers().len() == 4);
    assert_eq!(proxy.get("port", "/").status, 200);
}

#[test]
fn the_queue_of_a_dead_worker_is_served() {
    let server = Server::named("ok");
    let proxy = doubled(&server, 2);
    for _ in 0..5 {
        for pid in proxy.workers() {
            procs::signal(pid, Signal::SIGKILL);
        }
        // All of these wait in queues that nobody serves at this moment.
        let mut clients: Vec<_> = (0..20).map(|_| proxy.connect("port")).collect();
        for client in &mut clients {
            assert_eq!(client.get("/").status, 200);
        }
    }
}

#[test]
fn a_frozen_worker_costs_the_others_nothing_and_is_replaced() {
    let server = Server::named("ok");
    let proxy = doubled(&server, 2);
    let frozen = proxy.workers()[0];
    procs::signal(frozen, Signal::SIGSTOP);
    let began = lighterman_harness::Watch::start();
    // Half of these fall into the queue of the frozen one.
    let mut slowest = Duration::ZERO;
    for _ in 0..30 {
        let one = lighterman_harness::Watch::start();
        assert_eq!(proxy.get("port", "/").status, 200);
        slowest = slowest.max(one.elapsed());
    }
    assert!(slowest < Duration::from_millis(1500), "a connection waited {slowest:?} for the frozen worker");
    eventually("the frozen one to be replaced", || !procs::alive(frozen));
    assert!(began.elapsed() >= Duration::from_millis(1500), "replaced too early: {:?}", began.elapsed());
    eventually("two workers", || proxy.workers().len() == 2);
}

#[test]
fn counters_survive_the_death_of_workers() {
    let server = Server::named("ok");
    let proxy = relay("", server.addr()).workers(2).start();
    for _ in 0..20 {
        proxy.get("fe", "/");
    }
    for pid in proxy.workers() {
        procs::signal(pid, Signal::SIGKILL);
    }
    for _ in 0..10 {
        proxy.get("fe", "/");
    }
    assert_eq!(proxy.stat("fe", "FRONTEND", "req_tot"), "30");
}

#[test]
fn workers_die_with_their_master() {
    let server = Server::named("ok");
    let mut proxy = relay("", server.addr()).workers(2).start();
    assert_eq!(proxy.get("fe", "/").status, 200);
    let all = procs::descendants(proxy.pid());
    assert!(!all.is_empty(), "{all:?}");
    proxy.signal(Signal::SIGKILL);
    proxy.wait();
    eventually("all processes to be gone", || all.iter().all(|p| !procs::alive(*p)));
}

#[test]
fn one_process_is_the_one_that_was_started() {
    let server = Server::named("ok");
    let mut proxy = relay("", server.addr()).start();
    assert_eq!(proxy.get("fe", "/").status, 200);
    assert_eq!(procs::descendants(proxy.pid()), Vec::<u32>::new());
    assert_eq!(proxy.info("Pid"), proxy.pid().to_string());
    proxy.signal(Signal::SIGTERM);
    let code = proxy.wait();
    assert!(code == 0 || code == 128 + 15, "{code}");
}

#[test]
fn how_it_stops() {
    let server = Server::named("ok");
    for (workers, signal, codes) in [
        (None, Signal::SIGINT, [0, 130]),
        (None, Signal::SIGUSR1, [0, 0]),
        (Some(2), Signal::SIGTERM, [143, 143]),
        (Some(2), Signal::SIGINT, [130, 130]),
        (Some(2), Signal::SIGUSR1, [0, 0]),
    ] {
        let program = relay("", server.addr());
        let mut proxy = match workers {
            Some(n) => program.workers(n).start(),
            None => program.start(),
        };
        assert_eq!(proxy.get("fe", "/").status, 200);
        let all = procs::descendants(proxy.pid());
        proxy.signal(signal);
        let code = proxy.wait();
        assert!(codes.contains(&code), "{signal} with {workers:?} workers: {code}");
        assert!(all.iter().all(|p| !procs::alive(*p)), "{signal}: somebody was left behind");
    }
}

#[test]
fn usr1_finishes_what_is_under_way() {
    let server = Server::start(|mut peer, _| {
        while peer.next_request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst");
            peer.upto("go on\n");
            peer.send("after");
        }
    });
    let gate = Server::echo();
    for workers in [None, Some(2)] {
        let text =
            format!("listen fe\n    mode tcp\n    bind \"fd@${{fe}}\"\n    server s1 {}\n", server.addr());
        let program = program(&text).listen("fe");
        let mut proxy = match workers {
            Some(n) => program.workers(n).start(),
            None => program.start(),
        };
        let mut client = proxy.connect("fe");
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        client.upto("first");
        proxy.signal(Signal::SIGUSR1);
        pause(Duration::from_millis(200));
        assert!(!proxy.ended(), "it left a session behind");
        client.send("go on\n");
        client.expect("after");
        client.half_close();
        client.drain();
        assert_eq!(proxy.wait(), 0);
    }
    drop(gate);
}

#[test]
fn the_pidfile_and_daemon_mode() {
    let server = Server::named("ok");
    let program = relay("", server.addr());
    let pidfile = program.file("pids/keep", "").replace("keep", "pid");
    let mut proxy = program.workers(2).args(&["-p", &pidfile]).start();
    assert_eq!(proxy.get("fe", "/").status, 200);
    assert_eq!(std::fs::read_to_string(&pidfile).unwrap().trim_end_matches('\n'), proxy.pid().to_string());
    proxy.signal(Signal::SIGTERM);
    proxy.wait();

    let program = program_fileless(&server, &pidfile);
    let output = program.run(&["-D"]);
    assert_eq!(output.code(), 0, "{}", output.stderr);
    let text =
        until("the pid of the daemon", || std::fs::read_to_string(&pidfile).ok().filter(|t| !t.is_empty()));
    let pid: u32 = text.trim().parse().unwrap();
    let all = procs::descendants(pid);
    assert!(procs::alive(pid));
    procs::signal(pid, Signal::SIGTERM);
    eventually("the daemon to be gone", || !procs::alive(pid) && all.iter().all(|p| !procs::alive(*p)));
}

fn program_fileless(server: &Server, pidfile: &str) -> Program {
    let text = format!(
        "global\n    nbproc 2\n    pidfile {pidfile}\ndefaults\n    mode http\n    timeout connect 1s\n    timeout client 1s\n    timeout server 1s\nlisten fe\n    bind 127.0.0.1:0\n    server s1 {}\n",
        server.addr()
    );
    Program::bare(BIN, &text)
}

#[test]
fn readiness_is_told_to_the_init_system() {
    let dir = lighterman_harness::Dir::new();
    let path = dir.at("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let server = Server::named("ok");
    let proxy = relay("", server.addr()).workers(2).args(&["-Ws"]).env("NOTIFY_SOCKET", &path).start();
    let mut bytes = [0; 4096];
    let n = socket.recv(&mut bytes).expect("a datagram");
    let text = String::from_utf8_lossy(&bytes[..n]);
    assert!(text.contains("READY=1"), "{text}");
    assert_eq!(proxy.get("fe", "/").status, 200);
}

#[test]
fn nbthread_means_workers_and_auto_means_cores() {
    let server = Server::named("ok");
    let text = |line: &str| {
        program(&format!(
            "global\n    {line}\nlisten fe\n    bind \"fd@${{fe}}\"\n    server s1 {}\n",
            server.addr()
        ))
        .listen("fe")
        .args(&["-W", "-S", "fd@${master}"])
    };
    let cores = std::thread::available_parallelism().unwrap().get();
    for (line, n) in [("nbthread 3", 3), ("nbproc 3", 3), ("nbproc auto", cores)] {
        let mut proxy = text(line).start_as_given();
        assert_eq!(proxy.get("fe", "/").status, 200);
        eventually("the workers", || proxy.workers().len() == n);
        proxy.signal(Signal::SIGTERM);
        assert_eq!(proxy.wait(), 143);
    }
}

#[test]
fn stdout_and_stderr_are_given_back() {
    let server = Server::named("ok");
    let mut proxy = relay("", server.addr()).workers(2).start();
    assert_eq!(proxy.get("fe", "/").status, 200);
    proxy.signal(Signal::SIGTERM);
    proxy.wait(); // waits for the pipes too
}

#[test]
fn a_worker_that_spins_is_replaced() {
    // What a frozen process is to its neighbours: stopped again whenever it wakes.
    let server = Server::named("ok");
    let proxy = doubled(&server, 2);
    let first = proxy.workers();
    for pid in &first {
        procs::signal(*pid, Signal::SIGSTOP);
    }
    // All are frozen: nobody can take over, but new ones come.
    eventually("service by successors", || {
        within(Duration::from_millis(500), || lighterman_harness::Peer::try_connect(proxy.addr("port")).ok())
            .is_some()
            && proxy.workers().iter().any(|p| !first.contains(p))
    });
    assert_eq!(proxy.get("port", "/").status, 200);
}
