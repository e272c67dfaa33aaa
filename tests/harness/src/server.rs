//! Servers behind the proxy, scripted per connection.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use openssl::ssl::{Ssl, SslContext};
use socket2::SockRef;

use crate::http::{Reply, Request};
use crate::Peer;

type Script = Arc<dyn Fn(Peer, usize) + Send + Sync>;

struct Seen {
    stop: AtomicBool,
    connections: AtomicUsize,
    open: AtomicUsize,
    requests: Mutex<Vec<Request>>,
    failures: Mutex<Vec<String>>,
}

/// A listening server; each connection runs the script in a thread of its own. A script that panics fails the
/// test when the server is dropped.
pub struct Server {
    addr: SocketAddr,
    listener: TcpListener,
    seen: Arc<Seen>,
}

impl Server {
    /// A server that runs `script` with each connection and its number, from 0.
    pub fn start(script: impl Fn(Peer, usize) + Send + Sync + 'static) -> Server {
        Server::with(TcpListener::bind("127.0.0.1:0").unwrap(), None, |_| Arc::new(script))
    }

    /// An HTTP origin with keep-alive that answers each request.
    pub fn http(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
        Server::with(TcpListener::bind("127.0.0.1:0").unwrap(), None, |seen| origin(seen, answer))
    }

    /// The same over TLS.
    pub fn https(context: SslContext, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
        Server::with(TcpListener::bind("127.0.0.1:0").unwrap(), Some(context), |seen| origin(seen, answer))
    }

    /// An HTTP origin that answers 200 with its own name.
    pub fn named(name: &'static str) -> Server {
        Server::http(move |_| Reply::ok(name))
    }

    /// A server that sends back what it receives, and closes when the client does.
    pub fn echo() -> Server {
        Server::start(|mut peer, _| loop {
            let bytes = peer.some(65536);
            if bytes.is_empty() || peer.try_send(bytes).is_err() {
                return;
            }
        })
    }

    /// An address where nobody listens.
    pub fn nobody() -> SocketAddr {
        // Bound, kept for the life of the tests, never listening: connections to it are refused.
        static KEPT: Mutex<Vec<socket2::Socket>> = Mutex::new(Vec::new());
        let sock = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        sock.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let addr = sock.local_addr().unwrap().as_socket().unwrap();
        KEPT.lock().unwrap().push(sock);
        addr
    }

    fn with(
        listener: TcpListener,
        tls: Option<SslContext>,
        script: impl FnOnce(&Arc<Seen>) -> Script,
    ) -> Server {
        let seen = Arc::new(Seen {
            stop: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            requests: Mutex::default(),
            failures: Mutex::default(),
        });
        let script = script(&seen);
        let accepting = listener.try_clone().unwrap();
        let shared = seen.clone();
        thread::spawn(move || {
            while let Ok((sock, _)) = accepting.accept() {
                if shared.stop.load(Ordering::SeqCst) {
                    return;
                }
                let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                shared.open.fetch_add(1, Ordering::SeqCst);
                let (script, shared, tls) = (script.clone(), shared.clone(), tls.clone());
                thread::spawn(move || {
                    let run = || {
                        if let Some(peer) = accept(sock, tls) {
                            script(peer, number);
                        }
                    };
                    if let Err(why) = catch_unwind(AssertUnwindSafe(run)) {
                        let text = why.downcast_ref::<String>().cloned();
                        let text = text.or(why.downcast_ref::<&str>().map(|s| s.to_string()));
                        shared.failures.lock().unwrap().push(text.unwrap_or_default());
                    }
                    shared.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Server { addr: listener.local_addr().unwrap(), listener, seen }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many connections it accepted.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// How many connections its scripts still hold.
    pub fn open(&self) -> usize {
        self.seen.open.load(Ordering::SeqCst)
    }

    /// The requests that an HTTP origin got so far.
    pub fn requests(&self) -> Vec<Request> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// The last request that an HTTP origin got.
    #[track_caller]
    pub fn last(&self) -> Request {
        self.seen.requests.lock().unwrap().last().cloned().expect("the origin got a request")
    }

    /// Stops accepting and frees the address: connections are refused from now on.
    pub fn stop(&self) {
        self.seen.stop.store(true, Ordering::SeqCst);
        let _ = SockRef::from(&self.listener).shutdown(std::net::Shutdown::Both);
    }
}

fn origin(seen: &Arc<Seen>, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Script {
    let seen = seen.clone();
    Arc::new(move |mut peer: Peer, _| {
        while let Some(request) = peer.next_request() {
            seen.requests.lock().unwrap().push(request.clone());
            let reply = answer(&request);
            if peer.try_send(&reply.bytes).is_err() || reply.close {
                return;
            }
        }
    })
}

/// A failed handshake is the client's business (a test of refusals): the connection just ends.
fn accept(sock: TcpStream, tls: Option<SslContext>) -> Option<Peer> {
    let Some(context) = tls else { return Some(sock.into()) };
    sock.set_read_timeout(Some(crate::LIMIT)).unwrap();
    Ssl::new(&context).unwrap().accept(sock).ok().map(Peer::from)
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        let failures = std::mem::take(&mut *self.seen.failures.lock().unwrap());
        if !failures.is_empty() && !thread::panicking() {
            panic!("the server's script failed: {}", failures.join("\n"));
        }
    }
}
