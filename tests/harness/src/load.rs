//! Steady load in the background: proves that nothing is lost while something happens to the program.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::http::Response;
use crate::Peer;

/// Clients that ask and check without pause until they are stopped.
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    done: AtomicUsize,
    failed: Mutex<Vec<String>>,
    longest: Mutex<Duration>,
}

/// What became of a load.
#[derive(Debug)]
pub struct Report {
    /// Requests answered as they should be.
    pub done: usize,
    /// What went wrong, one text each.
    pub failed: Vec<String>,
    /// The longest time from connecting to the answer.
    pub longest: Duration,
}

impl Load {
    /// `clients` threads, each with a new connection per request, expecting 200.
    pub fn closing(addr: SocketAddr, clients: usize) -> Load {
        Load::start(clients, move || {
            let mut peer = Peer::try_connect(addr).map_err(|e| format!("connect: {e}"))?;
            peer.try_send("GET / HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n")
                .map_err(|e| format!("send: {e}"))?;
            check(peer.try_response()?)
        })
    }

    /// `clients` threads, each keeping its connection for `each` requests, expecting 200. A connection that the
    /// program closes between two requests is simply opened again, as clients do; one that is cut after a
    /// request was sent counts as a failure unless the program had announced it.
    pub fn keeping(addr: SocketAddr, clients: usize, each: usize) -> Load {
        Load::start(clients, move || {
            let mut peer = Peer::try_connect(addr).map_err(|e| format!("connect: {e}"))?;
            for _ in 0..each {
                if peer.has_ended() {
                    return Ok(());
                }
                peer.try_send("GET / HTTP/1.1\r\nHost: load\r\n\r\n").map_err(|e| format!("send: {e}"))?;
                let response = peer.try_response()?;
                let last = response.field("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"));
                check(response)?;
                if last {
                    return Ok(());
                }
            }
            Ok(())
        })
    }

    /// `clients` threads that run `once` again and again.
    pub fn start(clients: usize, once: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Load {
        let shared = Arc::new(Shared::default());
        let once = Arc::new(once);
        let threads = (0..clients)
            .map(|_| {
                let (shared, once) = (shared.clone(), once.clone());
                thread::spawn(move || {
                    while !shared.stop.load(Ordering::Relaxed) {
                        let began = Instant::now();
                        match once() {
                            Ok(()) => drop(shared.done.fetch_add(1, Ordering::Relaxed)),
                            Err(why) => shared.failed.lock().unwrap().push(why),
                        }
                        let mut longest = shared.longest.lock().unwrap();
                        *longest = longest.max(began.elapsed());
                    }
                })
            })
            .collect();
        Load { shared, threads }
    }

    /// How many went well so far.
    pub fn done(&self) -> usize {
        self.shared.done.load(Ordering::Relaxed)
    }

    /// Waits until `more` further ones went well.
    #[track_caller]
    pub fn goes_on(&self, more: usize) {
        let from = self.done();
        crate::eventually("the load to go on", || self.done() >= from + more);
    }

    /// Ends it.
    pub fn stop(mut self) -> Report {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
        Report {
            done: self.done(),
            failed: std::mem::take(&mut *self.shared.failed.lock().unwrap()),
            longest: *self.shared.longest.lock().unwrap(),
        }
    }
}

impl Report {
    /// Everything went well, and there was something.
    #[track_caller]
    pub fn spotless(&self) {
        assert!(
            self.failed.is_empty(),
            "{} failed of {}: {:?}",
            self.failed.len(),
            self.done,
            first(&self.failed)
        );
        assert!(self.done > 0, "the load did nothing");
    }
}

fn first(failed: &[String]) -> &[String] {
    &failed[..failed.len().min(5)]
}

fn check(response: Response) -> Result<(), String> {
    if response.status == 200 {
        return Ok(());
    }
    Err(format!("status {}", response.status))
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}
