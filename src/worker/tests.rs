//! A whole worker between real sockets: origin and client run in threads of their own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::Worker;
use crate::base::ids::{ListenerId, ProxyId, ServerId};
use crate::event::log::sink::LogSink;
use crate::net::contexts::{self, Contexts};
use crate::net::sock::listen::ListenSock;
use crate::plan::scheme::{Balancer, HashType, PickCx, Scheme, ServerView};
use crate::plan::server::SendProxy;
use crate::plan::{BindAddr, Listener, Mode, Plan, Proxy, Server, ServerAddr};
use crate::shm::Shared;

mod world;

struct First;

impl Scheme for First {
    fn name(&self) -> &'static str {
        "first"
    }
    fn start(&self, _servers: &[ServerView], _: &HashType) -> Box<dyn Balancer> {
        Box::new(First)
    }
}

impl Balancer for First {
    fn pick(&mut self, cx: &PickCx<'_>) -> Option<ServerId> {
        cx.servers.iter().find(|s| s.usable).map(|s| s.id)
    }
    fn changed(&mut self, _servers: &[ServerView]) {}
}

fn plan(mode: Mode, origin: SocketAddr) -> Plan {
    let mut proxy = Proxy::new(ProxyId(0), "p", Box::new(First));
    proxy.mode = mode;
    proxy.is_frontend = true;
    proxy.is_backend = true;
    proxy.servers = vec![ServerId(0)];
    proxy.listeners = vec![ListenerId(0)];
    let listen = Listener::new(ListenerId(0), ProxyId(0), BindAddr::Inet(([127, 0, 0, 1], 0).into()));
    let server = Server::new(ServerId(0), ProxyId(0), "s", ServerAddr::Inet(origin));
    Plan { proxies: vec![proxy], listeners: vec![listen], servers: vec![server], ..Plan::default() }
}

/// Serves each connection with `serve` until the other side has had enough.
fn origin(serve: fn(TcpStream)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || serve(client));
        }
    });
    addr
}

fn shared(plan: &Plan) -> (Shared, Contexts) {
    let mut shm = Shared::new(&plan.names(), &contexts::extras(plan), 1).unwrap();
    shm.make_tables(&plan.tables, 0).unwrap();
    let tls = Contexts::build(plan, &shm, |_| {}).unwrap();
    (shm, tls)
}

/// Runs a worker until the client is done, and gives what the client returns.
fn through<T: Send + 'static>(plan: &Plan, client: impl FnOnce(TcpStream) -> T + Send + 'static) -> T {
    let fd = ListenSock::bind(&plan.listeners[0], false).unwrap();
    let addr = TcpListener::from(fd.try_clone().unwrap()).local_addr().unwrap();
    let (shm, tls) = shared(plan);
    let mut worker = Worker::new(plan, vec![(ListenerId(0), fd)], LogSink::silent(), shm, &tls).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let flag = done.clone();
    let client = thread::spawn(move || {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let out = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| client(stream)));
        flag.store(true, Ordering::SeqCst);
        out
    });
    while !done.load(Ordering::SeqCst) {
        worker.turn(Some(Duration::from_millis(20))).unwrap();
    }
    client.join().unwrap().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn read_until(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut got = Vec::new();
    let mut byte = [0];
    while !got.ends_with(end) {
        match stream.read(&mut byte) {
            Ok(1) => got.push(byte[0]),
            other => panic!("{other:?} after {:?}", String::from_utf8_lossy(&got)),
        }
    }
    got
}

fn answer_requests(mut stream: TcpStream) {
    let mut head = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
        if head.ends_with(b"\r\n\r\n") {
            let line = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
            let answer = if line.contains("chunked") {
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_owned()
            } else {
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{line}", line.len())
            };
            stream.write_all(answer.as_bytes()).unwrap();
            head.clear();
        }
    }
}

#[test]
fn http_keeps_both_connections() {
    let plan = plan(Mode::Http, origin(answer_requests));
    let answers = through(&plan, |mut stream| {
        let mut out = Vec::new();
        for path in ["/1", "/chunked", "/3"] {
            stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
            let end: &[u8] = if path == "/chunked" { b"0\r\n\r\n" } else { b"HTTP/1.1" };
            let head = read_until(&mut stream, b"\r\n\r\n");
            let body = read_until(&mut stream, end);
            out.push(String::from_utf8([head, body].concat()).unwrap());
        }
        out
    });
    assert_eq!(answers[0], "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\nGET /1 HTTP/1.1");
    assert_eq!(answers[1], "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    assert_eq!(answers[2], "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\nGET /3 HTTP/1.1");
}

#[test]
fn tcp_relays_with_half_close() {
    fn echo_at_end(mut stream: TcpStream) {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(&all).unwrap();
    }
    let plan = plan(Mode::Tcp, origin(echo_at_end));
    let size = 3_000_000;
    let got = through(&plan, move |mut stream| {
        let mut writer = stream.try_clone().unwrap();
        let sent = thread::spawn(move || {
            writer.write_all(&vec![7; size]).unwrap();
            writer.shutdown(std::net::Shutdown::Write).unwrap();
        });
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        sent.join().unwrap();
        got
    });
    assert_eq!(got.len(), size);
}

/// A worker that serves until the test process ends.
fn in_background(make: impl FnOnce() -> Plan + Send + 'static) -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let plan = make();
        let fd = ListenSock::bind(&plan.listeners[0], false).unwrap();
        tell.send(TcpListener::from(fd.try_clone().unwrap()).local_addr().unwrap()).unwrap();
        let (shm, tls) = shared(&plan);
        let mut worker = Worker::new(&plan, vec![(ListenerId(0), fd)], LogSink::silent(), shm, &tls).unwrap();
        loop {
            worker.turn(None).unwrap();
        }
    });
    told.recv().unwrap()
}

/// Answers with the PROXY line that came first.
fn tell_the_header(mut stream: TcpStream) {
    let line = read_until(&mut stream, b"\r\n");
    read_until(&mut stream, b"\r\n\r\n");
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", line.len());
    stream.write_all(&[head.as_bytes(), &line].concat()).unwrap();
}

#[test]
fn two_tiers_keep_the_address_of_the_client() {
    for (mode, version) in [(Mode::Tcp, 1), (Mode::Tcp, 2), (Mode::Http, 1), (Mode::Http, 2)] {
        let origin = origin(tell_the_header);
        let second = in_background(move || {
            let mut plan = plan(mode, origin);
            plan.listeners[0].accept_proxy = true;
            plan.servers[0].send_proxy = Some(SendProxy { version: 1, ..SendProxy::default() });
            plan
        });
        let mut first = plan(mode, second);
        first.servers[0].send_proxy =
            Some(SendProxy { version, crc32c: version == 2, ..SendProxy::default() });
        let (answer, ends) = through(&first, |mut stream| {
            let ends = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            read_until(&mut stream, b"\r\n\r\n");
            (read_until(&mut stream, b"\r\n"), ends)
        });
        let (src, dst) = ends;
        let expected = format!("PROXY TCP4 {} {} {} {}\r\n", src.ip(), dst.ip(), src.port(), dst.port());
        assert_eq!(String::from_utf8(answer).unwrap(), expected);
    }
}

#[test]
fn a_proxy_header_goes_out_before_the_client_speaks() {
    fn greet(mut stream: TcpStream) {
        read_until(&mut stream, b"\r\n");
        stream.write_all(b"220 hello\r\n").unwrap();
    }
    let mut plan = plan(Mode::Tcp, origin(greet));
    plan.servers[0].send_proxy = Some(SendProxy { version: 1, ..SendProxy::default() });
    assert_eq!(through(&plan, |mut stream| read_until(&mut stream, b"\r\n")), b"220 hello\r\n");
}
