//! The loop of one process: keeps its share of connections busy until time or requests run out. Called by `crew` in a
//! forked child, or by a test in a thread.
//!
//! Edge-triggered, one registration per socket. A receive that came short is taken for "drained" unless the peer's FIN was
//! announced, so that a small exchange costs one send, one receive and a share of a poll.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::SockRef;

use crate::clock::{self, micros};
use crate::conn::{Conn, Stage};
use crate::counters::{add, sub, Line, Trouble};
use crate::histogram::Times;
use crate::pace::Pace;
use crate::response::Fed;
use crate::tls::{Client, Step, Wishes};

/// Connections opened in one turn at most: a ramp that a listen queue can follow.
const OPENS_PER_TURN: usize = 64;

/// Pause before a connection that failed is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// After the time is over, requests under way get this long.
const GRACE: Duration = Duration::from_secs(1);

/// Receive buffer of plain connections: enough for any head.
const RECV_PLAIN: usize = 65536;

/// Receive buffer of TLS connections, and the most that is skipped at once.
const RECV_LARGE: usize = 512 * 1024;

/// Bodies longer than this are dropped in the kernel (MSG_TRUNC) rather than copied.
const SKIP_FROM: u64 = 4096;

/// How a connection is closed after its last response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// At once, with a FIN.
    Fin,
    /// At once, with a RST: leaves nothing behind on this side.
    Rst,
    /// After the server's end.
    Wait,
}

/// The work of one process.
#[derive(Clone, Debug)]
pub struct Job {
    /// Where to connect.
    pub addr: SocketAddr,
    /// A request that leaves the connection open.
    pub request: Vec<u8>,
    /// A request that asks to close.
    pub request_close: Vec<u8>,
    /// The requests are HEAD.
    pub head: bool,
    /// Connections.
    pub conns: usize,
    /// Requests to send at most.
    pub quota: Option<u64>,
    /// Stop sending after this time.
    pub duration: Option<Duration>,
    /// Requests per connection; 0: no limit.
    pub per_conn: u32,
    /// Requests per second; None: as many as possible.
    pub rate: Option<f64>,
    /// Open the connections evenly over this time.
    pub ramp: Duration,
    /// Longest wait for an answer or a handshake.
    pub timeout: Duration,
    /// Stop at the first failure.
    pub stop_on_error: bool,
    /// How connections end.
    pub ending: Ending,
    /// Send the last handshake flight and the first request together.
    pub merge: bool,
    /// TLS, if any.
    pub tls: Option<Wishes>,
}

/// Runs a job to its end; `line` shows the progress. Returns the distributions.
pub fn run(job: &Job, line: &Line, start: Instant) -> Result<Times, String> {
    let tls = job.tls.as_ref().map(Client::new).transpose()?;
    let poll = Poll::new().map_err(|e| format!("cannot poll: {e}"))?;
    let mut conns: Vec<Conn> = (0..job.conns).map(|_| Conn::new(start)).collect();
    let large = tls.is_some();
    let mut core = Core {
        job,
        line,
        poll,
        tls,
        times: Times::default(),
        pace: job.rate.map(|rate| Pace::new(rate, start)),
        issued: 0,
        active: 0,
        primed: false,
        over: false,
        start,
        wanting: (0..job.conns).collect(),
        retry: VecDeque::new(),
        buffer: vec![0; if large { RECV_LARGE } else { RECV_PLAIN }],
        plain: vec![0; if large { RECV_PLAIN } else { 0 }],
        skip: Vec::with_capacity(RECV_LARGE),
    };
    core.run(&mut conns).map_err(|e| format!("cannot poll: {e}"))?;
    Ok(core.times)
}

struct Core<'a> {
    job: &'a Job,
    line: &'a Line,
    poll: Poll,
    tls: Option<Client>,
    times: Times,
    pace: Option<Pace>,
    /// Requests that took their share of the quota.
    issued: u64,
    /// Connections that are not closed.
    active: usize,
    /// A connection ran to its end: if sessions can be resumed at all, there is one.
    primed: bool,
    over: bool,
    start: Instant,
    /// Connections that want to send a request, open or not.
    wanting: VecDeque<usize>,
    /// Connections that failed, and when they may try again.
    retry: VecDeque<(Instant, usize)>,
    buffer: Vec<u8>,
    plain: Vec<u8>,
    /// Room that is never written: the kernel drops what would go there.
    skip: Vec<u8>,
}

impl Core<'_> {
    fn run(&mut self, conns: &mut [Conn]) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        let mut tick = self.start;
        loop {
            let now = clock::now();
            if now >= tick {
                tick = now + Duration::from_millis(200);
                self.tick(conns, now);
            }
            self.over = self.over || self.is_over(now);
            if self.over {
                let late = self.job.duration.is_some_and(|d| now > self.start + d + GRACE);
                let stopped = self.line.stop.load(Relaxed) != 0;
                if self.active == 0 || late || stopped {
                    break;
                }
                self.close_parked(conns);
                if self.active == 0 {
                    break;
                }
            } else {
                self.give_work(conns, now);
            }
            let timeout = self.timeout(clock::now(), tick);
            match self.poll.poll(&mut events, Some(timeout)) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            }
            for event in &events {
                let Token(index) = event.token();
                let Some(conn) = conns.get_mut(index) else { continue };
                let hup = event.is_read_closed() || event.is_error();
                self.on_edge(conn, index, event.is_readable() || hup, event.is_writable(), hup);
            }
        }
        for conn in conns.iter_mut() {
            if conn.sock.is_some() {
                self.close(conn, false);
            }
        }
        self.tick(conns, clock::now());
        Ok(())
    }

    fn is_over(&self, now: Instant) -> bool {
        self.job.quota.is_some_and(|quota| self.issued >= quota)
            || self.job.duration.is_some_and(|d| now >= self.start + d)
            || self.line.stop.load(Relaxed) != 0
    }

    /// Sleep no longer than the next permit, retry or tick; not at all while there is work to give.
    fn timeout(&self, now: Instant, tick: Instant) -> Duration {
        let mut until = tick;
        if !self.over {
            if let Some((at, _)) = self.retry.front() {
                until = until.min(*at);
            }
            if !self.wanting.is_empty() && !self.first_is_out() {
                match &self.pace {
                    Some(pace) => until = until.min(pace.due()),
                    None if self.may_open(now) => return Duration::ZERO,
                    None => until = until.min(now + Duration::from_millis(1)),
                }
            }
        }
        if let Some(duration) = self.job.duration.filter(|_| !self.over) {
            until = until.min(self.start + duration);
        }
        until.saturating_duration_since(now)
    }

    /// The first connection is still on its way to bring the session that the others will resume.
    fn first_is_out(&self) -> bool {
        !self.primed && self.active > 0 && self.tls.as_ref().is_some_and(Client::wants_a_first)
    }

    fn may_open(&self, now: Instant) -> bool {
        let ramp = self.job.ramp.as_secs_f64();
        let elapsed = now.duration_since(self.start).as_secs_f64();
        elapsed >= ramp || (self.active as f64) < self.job.conns as f64 * elapsed / ramp
    }

    fn give_work(&mut self, conns: &mut [Conn], now: Instant) {
        while self.retry.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, index)) = self.retry.pop_front() {
                self.wanting.push_back(index);
            }
        }
        let mut opens = 0;
        while !self.wanting.is_empty() && opens < OPENS_PER_TURN && !self.first_is_out() && self.quota_left()
        {
            let due = match &mut self.pace {
                Some(pace) => match pace.take(now) {
                    Some(due) => Some(due),
                    None => return,
                },
                None => None,
            };
            let Some(index) = self.wanting.pop_front() else { return };
            let Some(conn) = conns.get_mut(index) else { return };
            if conn.stage == Stage::Parked {
                self.issued += 1;
                conn.permit = due;
                self.send_request(conn, index);
                continue;
            }
            if self.pace.is_none() && !self.may_open(now) {
                self.wanting.push_front(index);
                return;
            }
            opens += 1;
            self.issued += 1;
            conn.permit = due;
            self.open(conn, index);
        }
    }

    fn quota_left(&self) -> bool {
        self.job.quota.is_none_or(|quota| self.issued < quota)
    }

    /// Five times a second: what costs too much to be done at once.
    fn tick(&mut self, conns: &mut [Conn], now: Instant) {
        let used = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF);
        if let Ok(used) = used {
            let of = |t: nix::sys::time::TimeVal| t.tv_sec() as u64 * 1_000_000 + t.tv_usec() as u64;
            self.line.cpu_us.store(of(used.user_time()) + of(used.system_time()), Relaxed);
        }
        if let Some(delay) = std::fs::read_to_string("/proc/self/schedstat")
            .ok()
            .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok())
        {
            self.line.delay_us.store(delay / 1000, Relaxed);
        }
        for (index, conn) in conns.iter_mut().enumerate() {
            let since = match conn.stage {
                Stage::Closed | Stage::Parked => continue,
                Stage::Connecting | Stage::Shaking => conn.shook,
                Stage::Waiting | Stage::Ending => conn.since,
            };
            if now.saturating_duration_since(since) > self.job.timeout {
                self.fail(conn, index, Trouble::Timeout);
            }
        }
    }

    fn close_parked(&mut self, conns: &mut [Conn]) {
        for conn in conns.iter_mut() {
            if matches!(conn.stage, Stage::Parked | Stage::Ending) {
                self.close(conn, false);
            }
        }
    }

    fn open(&mut self, conn: &mut Conn, index: usize) {
        let now = clock::now();
        let mut sock = match TcpStream::connect(self.job.addr) {
            Ok(sock) => sock,
            Err(e) => return self.fail_io(conn, index, &e),
        };
        if let Some(client) = &mut self.tls {
            // small records follow each other before the first is acknowledged
            let made = sock.set_nodelay(true).map_err(|_| ()).and_then(|()| client.connect().map_err(|_| ()));
            match made {
                Ok(tls) => conn.tls = Some(tls),
                Err(()) => return self.fail(conn, index, Trouble::Tls),
            }
        }
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(e) = self.poll.registry().register(&mut sock, Token(index), interest) {
            return self.fail_io(conn, index, &e);
        }
        conn.sock = Some(sock);
        conn.stage = Stage::Connecting;
        conn.sent = 0;
        conn.hup = false;
        conn.unsent = None;
        conn.shook = now;
        self.active += 1;
        add(&self.line.conns, 1);
    }

    /// Closes; `reset` with a RST.
    fn close(&mut self, conn: &mut Conn, reset: bool) {
        if let Some(sock) = conn.sock.take() {
            if reset {
                let _ = SockRef::from(&sock).set_linger(Some(Duration::ZERO)); // then it ends with a FIN
            }
            self.active -= 1;
            sub(&self.line.conns, 1);
        }
        if let Some(mut tls) = conn.tls.take() {
            if self.buffer.is_empty() {
                tls.give_back(&mut self.buffer);
            }
        }
        conn.stage = Stage::Closed;
    }

    fn fail_io(&mut self, conn: &mut Conn, index: usize, error: &io::Error) {
        let kind = match error.raw_os_error() {
            Some(libc::EADDRNOTAVAIL) => Trouble::NoPort,
            Some(libc::EMFILE | libc::ENFILE) => Trouble::NoFd,
            Some(libc::ECONNRESET | libc::EPIPE) => Trouble::Reset,
            _ => Trouble::Connect,
        };
        self.fail(conn, index, kind);
    }

    fn fail(&mut self, conn: &mut Conn, index: usize, kind: Trouble) {
        if let Some(counter) = self.line.errors.get(kind as usize) {
            add(counter, 1);
        }
        self.primed = true;
        let queued = conn.stage == Stage::Parked;
        self.close(conn, true);
        if !queued {
            self.retry.push_back((clock::now() + RETRY, index));
        }
        if self.job.stop_on_error {
            self.over = true;
            self.line.stop.store(1, Relaxed);
        }
    }

    fn on_edge(&mut self, conn: &mut Conn, index: usize, readable: bool, writable: bool, hup: bool) {
        conn.hup |= hup;
        if conn.stage == Stage::Connecting {
            let Some(sock) = &conn.sock else { return };
            if hup {
                if let Ok(Some(e)) = sock.take_error() {
                    return self.fail_io(conn, index, &e);
                }
            }
            if !writable {
                return;
            }
            add(&self.line.tot_conn, 1);
            if conn.tls.is_some() {
                conn.stage = Stage::Shaking;
                conn.shook = clock::now();
                self.shake(conn, index);
            } else {
                self.send_request(conn, index);
            }
        } else if writable && !self.flush(conn, index) {
            return;
        }
        if readable {
            self.receive(conn, index);
        }
    }

    /// Sends what an earlier send left. False when the connection failed.
    fn flush(&mut self, conn: &mut Conn, index: usize) -> bool {
        let Some(sock) = &conn.sock else { return false };
        let mut sock: &TcpStream = sock;
        let result = if let Some(tls) = &mut conn.tls {
            let output = tls.output();
            if output.is_empty() {
                return true;
            }
            sock.write(output).map(|n| {
                output.drain(..n);
            })
        } else {
            let Some(at) = conn.unsent else { return true };
            let request = if conn.last { &self.job.request_close } else { &self.job.request };
            sock.write(&request[at..]).map(|n| conn.unsent = Some(at + n).filter(|&at| at < request.len()))
        };
        match result {
            Err(e) if e.kind() != io::ErrorKind::WouldBlock => {
                self.fail_io(conn, index, &e);
                false
            }
            _ => true,
        }
    }

    fn shake(&mut self, conn: &mut Conn, index: usize) -> bool {
        let Some(tls) = &mut conn.tls else { return false };
        match tls.handshake() {
            Step::Again => self.flush(conn, index),
            Step::Done(_) => {
                let took = micros(clock::now().duration_since(conn.shook));
                add(&self.line.handshakes, 1);
                add(&self.line.handshake_us, took);
                if tls.resumed() {
                    add(&self.line.resumed, 1);
                }
                self.times.handshake.saturating_record(took);
                if !self.job.merge && !self.flush(conn, index) {
                    return false;
                }
                self.send_request(conn, index);
                conn.sock.is_some()
            }
            Step::End | Step::Failed => {
                self.fail(conn, index, Trouble::Tls);
                false
            }
        }
    }

    /// Sends the request whose share of the quota is taken.
    fn send_request(&mut self, conn: &mut Conn, index: usize) {
        conn.sent += 1;
        conn.last = self.job.per_conn != 0 && conn.sent >= self.job.per_conn;
        conn.begun = false;
        conn.stage = Stage::Waiting;
        conn.response.begin(self.job.head);
        conn.since = conn.permit.take().unwrap_or_else(clock::now);
        let job = self.job;
        let request = if conn.last { &job.request_close } else { &job.request };
        if let Some(tls) = &mut conn.tls {
            if tls.write(request) != Step::Done(request.len()) {
                return self.fail(conn, index, Trouble::Tls);
            }
        } else {
            conn.unsent = Some(0);
        }
        self.flush(conn, index);
    }

    /// Reads until the kernel has no more, as far as that is known.
    fn receive(&mut self, conn: &mut Conn, index: usize) {
        loop {
            let Some(sock) = &conn.sock else { return };
            let skippable = if conn.tls.is_none() { conn.response.skippable() } else { 0 };
            let skip = skippable >= SKIP_FROM;
            let room = if skip { (RECV_LARGE as u64).min(skippable) as usize } else { self.buffer.len() };
            let got = if skip {
                SockRef::from(sock)
                    .recv_with_flags(&mut self.skip.spare_capacity_mut()[..room], libc::MSG_TRUNC)
            } else {
                let mut sock: &TcpStream = sock;
                sock.read(&mut self.buffer)
            };
            let goes_on = match got {
                Ok(0) => return self.on_end(conn, index),
                Ok(n) if skip => self.on_skipped(conn, index, n as u64),
                Ok(n) if conn.tls.is_some() => self.on_records(conn, index, n),
                Ok(n) => {
                    let buffer = std::mem::take(&mut self.buffer);
                    let goes_on = self.on_bytes(conn, index, &buffer[..n]);
                    self.buffer = buffer;
                    goes_on
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return self.fail_io(conn, index, &e),
            };
            let short = matches!(got, Ok(n) if n < room);
            // a finished body that was skipped exactly says nothing about what is behind it; an edge will
            let exact = skip && conn.response.skippable() == 0;
            if !goes_on || ((short || exact) && !conn.hup) {
                return;
            }
        }
    }

    fn on_records(&mut self, conn: &mut Conn, index: usize, n: usize) -> bool {
        if let Some(tls) = &mut conn.tls {
            tls.lend(&mut self.buffer, n);
        }
        let mut plain = std::mem::take(&mut self.plain);
        let goes_on = self.decrypt(conn, index, &mut plain);
        self.plain = plain;
        // a connection that was closed gave it back then
        if let Some(tls) = &mut conn.tls {
            tls.give_back(&mut self.buffer);
        }
        goes_on
    }

    fn decrypt(&mut self, conn: &mut Conn, index: usize, plain: &mut [u8]) -> bool {
        if conn.stage == Stage::Shaking {
            if !self.shake(conn, index) {
                return false;
            }
            if conn.stage == Stage::Shaking {
                return true; // the flight is not complete
            }
        }
        loop {
            let Some(tls) = &mut conn.tls else { return false };
            match tls.read(plain) {
                Step::Done(n) => {
                    if !self.on_bytes(conn, index, &plain[..n]) {
                        return false;
                    }
                }
                Step::Again => return true,
                Step::End => {
                    self.on_end(conn, index);
                    return false;
                }
                Step::Failed => {
                    self.fail(conn, index, Trouble::Tls);
                    return false;
                }
            }
        }
    }

    fn on_skipped(&mut self, conn: &mut Conn, index: usize, n: u64) -> bool {
        add(&self.line.tot_bytes, n);
        if conn.response.skipped(n) {
            return self.complete(conn, index);
        }
        true
    }

    /// Bytes of HTTP. False when the connection is over.
    fn on_bytes(&mut self, conn: &mut Conn, index: usize, bytes: &[u8]) -> bool {
        if conn.stage != Stage::Waiting {
            self.fail(conn, index, Trouble::Http);
            return false;
        }
        add(&self.line.tot_bytes, bytes.len() as u64);
        if !conn.begun {
            conn.begun = true;
            let took = micros(clock::now().saturating_duration_since(conn.since));
            add(&self.line.ttfb_us, took);
            add(&self.line.ttfb_n, 1);
            self.times.ttfb.saturating_record(took);
        }
        match conn.response.feed(bytes) {
            Fed::More => true,
            Fed::Done(n) if n == bytes.len() => self.complete(conn, index),
            Fed::Done(_) | Fed::Bad => {
                self.fail(conn, index, Trouble::Http);
                false
            }
        }
    }

    /// The response is whole. False when the connection is over.
    fn complete(&mut self, conn: &mut Conn, index: usize) -> bool {
        let took = micros(clock::now().saturating_duration_since(conn.since));
        self.primed = true;
        add(&self.line.tot_req, 1);
        add(&self.line.ttlb_us, took);
        self.times.ttlb.saturating_record(took);
        if let Some(class) = self.line.status.get(usize::from(conn.response.status / 100).wrapping_sub(1)) {
            add(class, 1);
        }
        if conn.last || conn.response.close {
            if self.job.ending == Ending::Wait && !conn.hup {
                conn.stage = Stage::Ending;
                return true;
            }
            self.close(conn, self.job.ending == Ending::Rst);
            self.wanting.push_back(index);
            return false;
        }
        // straight on: the common case must not go through the queue
        let free = self.pace.is_none() && self.wanting.is_empty() && !self.over && self.quota_left();
        if free {
            self.issued += 1;
            self.send_request(conn, index);
        } else {
            conn.stage = Stage::Parked;
            self.wanting.push_back(index);
        }
        conn.sock.is_some()
    }

    /// The server closed.
    fn on_end(&mut self, conn: &mut Conn, index: usize) {
        match conn.stage {
            Stage::Ending => {
                self.close(conn, false);
                self.wanting.push_back(index);
            }
            Stage::Parked => self.close(conn, false), // is in `wanting`, and opens again from there
            Stage::Waiting if conn.response.end() => {
                conn.hup = true;
                self.complete(conn, index);
            }
            Stage::Shaking => self.fail(conn, index, Trouble::Tls),
            _ => self.fail(conn, index, Trouble::Closed),
        }
    }
}
