//! Requests that wait for a place at a full server: in which order, and over several workers.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use lighterman_harness::{eventually, Peer, Program, Reply, Server};

use crate::program;

/// An origin that answers nobody before it is opened.
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn origin() -> (Gate, Server) {
        let gate = Gate(Arc::default());
        let inner = gate.0.clone();
        let server = Server::http(move |_| {
            let (open, news) = &*inner;
            drop(news.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
            Reply::ok("served")
        });
        (gate, server)
    }

    fn open(&self) {
        *self.0 .0.lock().unwrap() = true;
        self.0 .1.notify_all();
    }
}

fn one_place(lines: &str, server: &Server) -> Program {
    program(&format!(
        "defaults\n    mode http\n    timeout connect 5s\n    timeout client 30s\n    timeout server 30s\n    \
         timeout queue 30s\nlisten fe\n    bind \"fd@${{fe}}\"\n    http-reuse never\n{lines}\n    \
         server s1 {} maxconn 1\n",
        server.addr()
    ))
    .listen("fe")
}

fn ask(proxy: &lighterman_harness::Proxy, uri: &str, field: &str) -> Peer {
    let mut client = proxy.connect("fe").limit(Duration::from_secs(30));
    client.send(format!("GET {uri} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{field}\r\n\r\n"));
    client
}

/// Sends one request that takes the only place, then these, each once the one before stands in line; then the
/// server answers. The paths in the order in which it was asked.
fn order(program: Program, gate: &Gate, server: &Server, asked: &[(&str, String)]) -> Vec<String> {
    let proxy = program.start();
    let mut clients = vec![ask(&proxy, "/first", "X-None: 1")];
    eventually("the first to be served", || server.open() == 1);
    for (number, (uri, field)) in asked.iter().enumerate() {
        clients.push(ask(&proxy, uri, field));
        eventually("one more in line", || proxy.stat("fe", "BACKEND", "qcur") == (number + 1).to_string());
    }
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(proxy.stat("fe", "s1", "smax"), "1", "one at a time");
    assert_eq!(proxy.stat("fe", "BACKEND", "qcur"), "0");
    server.requests().iter().skip(1).map(|request| request.uri().to_string()).collect()
}

/// How many pairs of neighbours stand in the wrong order.
fn inversions(order: &[String]) -> usize {
    order.windows(2).filter(|pair| pair[0] > pair[1]).count()
}

#[test]
fn classes_come_first_then_dates() {
    let rules = "    http-request set-priority-class req.hdr(x-class)\n    \
                 http-request set-priority-offset req.hdr(x-offset)";
    let request = |class: &str, offset: &str| format!("X-Class: {class}\r\nX-Offset: {offset}");
    // paths tell the place they should have
    let asked = [
        ("/5", request("0", "0")),
        ("/6", request("0", "0")),
        ("/4", request("0", "-60000")),
        ("/8", request("7", "-60000")),
        ("/7", request("0", "60000")),
        ("/2", request("-3", "0")),
        ("/9", request("2047", "0")),
        ("/3", request("-3", "0")),
        ("/1", request("-2047", "1")),
    ];
    for workers in [1, 3] {
        let (gate, server) = Gate::origin();
        let program = one_place(rules, &server);
        let program = if workers > 1 { program.workers(workers) } else { program };
        let order = order(program, &gate, &server, &asked);
        assert_eq!(order.len(), asked.len());
        // a worker that the machine does not let run loses its turn
        let allowed = if workers > 1 { 2 } else { 0 };
        assert!(inversions(&order) <= allowed, "{workers} workers: {order:?}");
    }
}

#[test]
fn no_worker_serves_only_its_own() {
    let (gate, server) = Gate::origin();
    let names: Vec<String> = (0..40).map(|n| format!("/{n:02}")).collect();
    let asked: Vec<(&str, String)> = names.iter().map(|name| (name.as_str(), "X-None: 1".into())).collect();
    let order = order(one_place("", &server).workers(3), &gate, &server, &asked);
    assert_eq!(order.len(), 40);
    // who comes within the same millisecond in two workers may change places
    for (place, uri) in order.iter().enumerate() {
        let own: usize = uri[1..].parse().unwrap();
        assert!(own.abs_diff(place) <= 5, "{order:?}");
    }
}

#[test]
fn who_dies_in_line_or_at_the_server_leaves_its_place() {
    let (gate, server) = Gate::origin();
    let proxy = one_place("", &server).workers(2).start();
    let _first = ask(&proxy, "/first", "X-None: 1");
    eventually("the first to be served", || server.open() == 1);
    let mut clients: Vec<Peer> = (0..20).map(|n| ask(&proxy, &format!("/{n}"), "X-None: 1")).collect();
    eventually("all in line", || proxy.stat("fe", "BACKEND", "qcur") == "20");
    for pid in proxy.workers().into_iter().take(1) {
        lighterman_harness::procs::signal(pid, nix::sys::signal::Signal::SIGKILL);
    }
    gate.open();
    let served = clients.iter_mut().filter_map(|client| client.try_response().ok()).count();
    eventually("an empty line", || proxy.stat("fe", "BACKEND", "qcur") == "0");
    eventually("a free place", || proxy.stat("fe", "s1", "scur") == "0");
    assert_eq!(proxy.get("fe", "/after").status, 200, "{served} of 20 served");
}
