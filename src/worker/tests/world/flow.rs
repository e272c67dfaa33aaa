//! Many bytes, in pieces of any size, through buffers of any size: what comes out is what went in, and
//! no more is held than two buffers for each direction.

use super::*;

/// One end of the world: what it still has to say, what it has heard.
struct Actor {
    sock: MemSock,
    out: Vec<u8>,
    at: usize,
    /// Ends its side once everything is said.
    ends: bool,
    ended: bool,
    heard: Vec<u8>,
    /// Something was heard since it was looked at.
    news: bool,
}

impl Actor {
    fn new(sock: MemSock, out: Vec<u8>, ends: bool) -> Actor {
        Actor { sock, out, at: 0, ends, ended: false, heard: Vec::new(), news: false }
    }

    /// Says or hears a little.
    fn act(&mut self, rng: &mut Rng) {
        if rng.below(2) == 0 {
            let n = some(rng, 14);
            let end = (self.at + n).min(self.out.len());
            self.at += self.sock.send(&self.out[self.at..end]).unwrap_or(0);
            if self.ends && self.at == self.out.len() && !self.ended {
                self.ended = true;
                self.sock.shut_write();
            }
        } else {
            let mut room = vec![0; some(rng, 14)];
            let n = self.sock.recv(&mut room).unwrap_or(0);
            self.heard.extend_from_slice(&room[..n]);
            self.news |= n > 0 || self.sock.is_ended();
        }
    }

    fn is_done(&self) -> bool {
        self.at == self.out.len() && self.sock.is_ended()
    }
}

/// A number of bytes, of any order of magnitude up to `bits`.
fn some(rng: &mut Rng, bits: u64) -> usize {
    let order = rng.below(bits);
    1 + rng.below(2 << order) as usize
}

/// Bytes that cannot be mistaken for others.
fn pattern(len: usize, salt: usize) -> Vec<u8> {
    (0..len).map(|n| ((n * 31 + n / 251 + salt * 7) % 251) as u8).collect()
}

fn tight(mode: Mode, seed: u64) -> Plan {
    let mut plan = plan(mode, 2);
    let tune = &mut plan.global.tune;
    if seed % 2 == 1 {
        tune.bufsize = 1024 << (seed % 5);
        tune.maxrewrite = tune.bufsize / 4;
    }
    if seed % 3 == 1 {
        // fewer than everybody wants at once
        tune.buffers_limit = 1;
    }
    plan
}

#[test]
fn tcp_relays_what_it_gets() {
    for seed in 0..256 {
        within(&tight(Mode::Tcp, seed), seed, |w| {
            let mut pairs = Vec::new();
            for n in 0..1 + w.rng.below(6) as usize {
                let (up, down) = (w.rng.below(20_000) as usize, w.rng.below(20_000) as usize);
                let client = Actor::new(w.client(), pattern(up, n), true);
                let server = Actor::new(w.server(), pattern(down, n + 100), true);
                pairs.push((client, server));
            }
            for _ in 0..400_000 {
                for (client, server) in &mut pairs {
                    client.act(&mut w.rng);
                    server.act(&mut w.rng);
                }
                w.turn();
                if pairs.iter().all(|(c, s)| c.is_done() && s.is_done()) {
                    break;
                }
            }
            for (client, server) in &pairs {
                assert!(
                    server.heard == client.out,
                    "seed {seed}: {} of {}",
                    server.heard.len(),
                    client.out.len()
                );
                assert!(
                    client.heard == server.out,
                    "seed {seed}: {} of {}",
                    client.heard.len(),
                    server.out.len()
                );
            }
            assert!(w.ended().iter().all(|t| t.term == *b"----"), "seed {seed}");
        });
    }
}

/// A message at the front of `bytes`: head, body, length; `None`: it is not whole.
fn message(bytes: &[u8], ended: bool, bodyless: bool) -> Option<(String, Vec<u8>, usize)> {
    let head = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let lower = text.to_ascii_lowercase();
    if bodyless {
        return Some((text, Vec::new(), head));
    }
    if let Some(at) = lower.find("content-length: ") {
        let len: usize = lower[at + 16..].split("\r\n").next().unwrap().parse().unwrap();
        return Some((text, bytes.get(head..head + len)?.to_vec(), head + len));
    }
    if !lower.contains("transfer-encoding: chunked") {
        let closes = lower.starts_with("http/");
        return match (closes, ended) {
            (false, _) => Some((text, Vec::new(), head)),
            (true, true) => Some((text, bytes[head..].to_vec(), bytes.len())),
            (true, false) => None,
        };
    }
    let (mut body, mut at) = (Vec::new(), head);
    loop {
        let line = bytes.get(at..)?.windows(2).position(|w| w == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[at..at + line]).unwrap(), 16).unwrap();
        at += line + 2;
        if size == 0 {
            let rest = bytes.get(at..)?;
            let end = if rest.starts_with(b"\r\n") {
                2
            } else {
                rest.windows(4).position(|w| w == b"\r\n\r\n")? + 4
            };
            return Some((text, body, at + end));
        }
        body.extend_from_slice(bytes.get(at..at + size)?);
        at += size + 2;
        bytes.get(..at)?;
    }
}

/// Appends a body in chunks of any size, with trailers now and then.
fn chunked(out: &mut Vec<u8>, body: &[u8], rng: &mut Rng) {
    let mut at = 0;
    while at < body.len() {
        let n = some(rng, 13).min(body.len() - at);
        out.extend(format!("{n:x}\r\n").bytes());
        out.extend_from_slice(&body[at..at + n]);
        out.extend_from_slice(b"\r\n");
        at += n;
    }
    out.extend_from_slice(b"0\r\n");
    if rng.below(4) == 0 {
        out.extend(format!("X-Trailer: {}\r\n", "t".repeat(rng.below(200) as usize)).bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// A request whose target says what is to be answered: `/<salt>/<length>/<framing>`.
fn request(salt: usize, last: bool, rng: &mut Rng) -> Vec<u8> {
    let answer = if rng.below(3) == 0 { 0 } else { rng.below(9000) };
    let framing = ["length", "chunks", "close"][rng.below(if last { 3 } else { 2 }) as usize];
    let body = pattern(rng.below(5000) as usize, salt);
    let line = |method| format!("{method} /{salt}/{answer}/{framing} HTTP/1.1\r\nHost: h\r\n");
    let mut out = Vec::new();
    match rng.below(4) {
        0 => out.extend(format!("{}\r\n", line("GET")).bytes()),
        1 => out.extend(format!("{}\r\n", line("HEAD")).bytes()),
        2 => {
            out.extend(format!("{}Content-Length: {}\r\n\r\n", line("POST"), body.len()).bytes());
            out.extend_from_slice(&body);
        }
        _ => {
            out.extend(format!("{}Transfer-Encoding: chunked\r\n\r\n", line("POST")).bytes());
            chunked(&mut out, &body, rng);
        }
    }
    out
}

/// Answers a request as its target asks, having looked at its body. True: the server closes afterwards.
fn answer(head: &str, body: &[u8], out: &mut Vec<u8>, rng: &mut Rng) -> bool {
    let mut parts = head.split(' ').nth(1).unwrap().split('/').skip(1);
    let salt: usize = parts.next().unwrap().parse().unwrap();
    let len: usize = parts.next().unwrap().parse().unwrap();
    let framing = parts.next().unwrap();
    assert!(body == pattern(body.len(), salt), "the body of {head:?} is another one");
    let told = pattern(len, salt + 1);
    let bodyless = head.starts_with("HEAD ");
    if rng.below(5) == 0 {
        out.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    }
    match framing {
        "length" => out.extend(format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n").bytes()),
        "chunks" => out.extend_from_slice(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        _ => out.extend_from_slice(b"HTTP/1.1 200 OK\r\n\r\n"),
    }
    match framing {
        _ if bodyless => {}
        "chunks" => chunked(out, &told, rng),
        _ => out.extend_from_slice(&told),
    }
    framing == "close"
}

/// A client with all its requests, and the heads it must get answers to.
struct Asker {
    actor: Actor,
    asked: Vec<(usize, usize, bool)>,
}

impl Asker {
    fn new(w: &mut World<'_>, salt: usize) -> Asker {
        let count = 1 + w.rng.below(5) as usize;
        let (mut out, mut asked) = (Vec::new(), Vec::new());
        for n in 0..count {
            let bytes = request(salt * 10 + n, n + 1 == count, &mut w.rng);
            let line = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
            let mut parts = line.split(['/', ' ']).skip(2);
            let (salt, len) =
                (parts.next().unwrap().parse().unwrap(), parts.next().unwrap().parse().unwrap());
            asked.push((salt, len, line.starts_with("HEAD")));
            out.extend(bytes);
        }
        Asker { actor: Actor::new(w.client(), out, false), asked }
    }

    /// Takes whole answers off what was heard and looks at them.
    fn check(&mut self, seed: u64) {
        if !std::mem::take(&mut self.actor.news) {
            return;
        }
        while let Some((salt, len, bodyless)) = self.asked.first().copied() {
            let ended = self.actor.sock.is_ended();
            let heard = &self.actor.heard;
            let interim = heard.starts_with(b"HTTP/1.1 103");
            let Some((head, body, used)) = message(heard, ended, bodyless || interim) else { return };
            self.actor.heard.drain(..used);
            if interim {
                continue;
            }
            assert!(head.starts_with("HTTP/1.1 200 "), "seed {seed}: {head}");
            let want = if bodyless { Vec::new() } else { pattern(len, salt + 1) };
            assert!(body == want, "seed {seed}: {} of {len} bytes", body.len());
            self.asked.remove(0);
        }
    }
}

#[test]
fn http_relays_what_it_gets() {
    let mut denied = 0;
    for seed in 0..256 {
        within(&tight(Mode::Http, seed), seed, |w| {
            let mut askers: Vec<Asker> = (0..1 + w.rng.below(5) as usize).map(|n| Asker::new(w, n)).collect();
            let mut servers: Vec<Actor> = Vec::new();
            for _ in 0..400_000 {
                for asker in &mut askers {
                    asker.actor.act(&mut w.rng);
                    asker.check(seed);
                }
                for server in &mut servers {
                    server.act(&mut w.rng);
                    if !std::mem::take(&mut server.news) {
                        continue;
                    }
                    let bodyless = server.heard.starts_with(b"HEAD") || server.heard.starts_with(b"GET");
                    if let Some((head, body, used)) = message(&server.heard, false, bodyless) {
                        server.heard.drain(..used);
                        server.ends |= answer(&head, &body, &mut server.out, &mut w.rng);
                    }
                }
                w.turn();
                while let Some((_, sock)) = w.net().take_opened() {
                    servers.push(Actor::new(sock, Vec::new(), false));
                }
                if askers.iter().all(|a| a.asked.is_empty()) {
                    break;
                }
            }
            for asker in &askers {
                let (actor, left) = (&asker.actor, asker.asked.len());
                let state = (actor.at, actor.out.len(), actor.heard.len());
                assert_eq!(left, 0, "seed {seed}: answers missing; said, to be said, heard: {state:?}");
            }
            drop(askers);
            drop(servers);
            w.ended();
            denied += w.worker.house.pool.failed();
        });
    }
    assert!(denied > 0, "nobody ever had to wait for a buffer");
}

#[test]
fn a_slow_reader_costs_two_buffers() {
    for mode in [Mode::Tcp, Mode::Http] {
        let plan = plan(mode, 1);
        within_narrow(&plan, 0, 1 << 16, |w| {
            let mut client = w.client();
            let mut server = if mode == Mode::Http {
                w.say(&mut client, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
                let mut server = w.server();
                w.hear(&mut server);
                w.say(&mut server, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
                server
            } else {
                w.server()
            };
            let block = [7; 1 << 16];
            let mut taken = 0;
            for _ in 0..200 {
                taken += server.send(&block).unwrap_or(0);
                w.turn();
            }
            let held = w.worker.house.pool.used_bytes();
            assert!(taken < 1 << 20, "{taken} bytes were taken");
            assert!(held <= 2 * 256 * 1024, "{held} bytes are held");
            // what was taken arrives
            let mut got = w.hear(&mut client).len();
            for _ in 0..10 {
                got += w.hear(&mut client).len();
            }
            assert!(got >= taken, "{got} of {taken}");
            client.reset();
        });
    }
}
