//! Places at servers: who waits, in which order, and that none is lost.

use super::*;
use crate::plan::scheme::{Balancer, HashType, PickCx, Scheme, ServerView};
use crate::shm::FrontState;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn limited(servers: u32, maxconn: u32) -> Plan {
    let mut plan = plan(Mode::Http, servers);
    plan.servers.iter_mut().for_each(|server| server.maxconn = maxconn);
    plan.proxies[0].timeouts.queue = Some(500);
    plan
}

/// Wants the first server, whether it has a place or not.
struct Sticky;

impl Scheme for Sticky {
    fn name(&self) -> &'static str {
        "sticky"
    }
    fn start(&self, _servers: &[ServerView], _: &HashType) -> Box<dyn Balancer> {
        Box::new(Sticky)
    }
}

impl Balancer for Sticky {
    fn pick(&mut self, cx: &PickCx<'_>) -> Option<ServerId> {
        cx.servers.iter().find(|s| s.usable).map(|s| s.id)
    }
    fn changed(&mut self, _servers: &[ServerView]) {}
}

fn ask(w: &mut World<'_>, n: usize) -> MemSock {
    let mut client = w.client();
    w.say(&mut client, format!("GET /{n} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
    client
}

#[test]
fn served_in_the_order_of_arrival() {
    for seed in 0..256 {
        within(&limited(1, 1), seed, |w| {
            let mut clients: Vec<MemSock> = (0..5).map(|n| ask(w, n)).collect();
            let mut server = w.server();
            for (n, client) in clients.iter_mut().enumerate() {
                w.no_server();
                let asked = text(w.hear(&mut server));
                assert!(asked.starts_with(&format!("GET /{n} ")), "seed {seed}: {asked}");
                w.tell(&mut server, OK, client);
                let ended = w.ended();
                assert_eq!((ended[0].status, ended[0].backend_queue), (200, n as u32), "seed {seed}");
                if n < 4 {
                    server = w.server();
                }
            }
        });
    }
}

#[test]
fn patience_ends() {
    within(&limited(1, 1), 0, |w| {
        let mut first = ask(w, 0);
        let mut second = ask(w, 1);
        let mut third = ask(w, 2);
        let mut server = w.server();
        w.pass(499);
        assert_eq!(w.ended().len(), 0);
        w.pass(1);
        for client in [&mut second, &mut third] {
            assert!(text(w.hear(client)).starts_with("HTTP/1.1 503 "));
        }
        let ended = w.ended();
        assert_eq!(ended.iter().map(|t| (t.term, t.times.queue)).collect::<Vec<_>>(), [(*b"sQ--", 500); 2]);
        w.hear(&mut server);
        w.tell(&mut server, OK, &mut first);
        assert_eq!(w.verdict(), (200, "----".into()));
        // the place is free again, and the connection with it
        w.say(&mut second, b"GET /again HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(text(w.hear(&mut server)).starts_with("GET /again"));
    });
}

#[test]
fn a_queue_of_a_server_has_its_length() {
    let mut plan = limited(1, 1);
    plan.servers[0].maxqueue = 1;
    plan.proxies[0].scheme = Box::new(Sticky);
    within(&plan, 0, |w| {
        let clients: Vec<MemSock> = (0..3).map(|n| ask(w, n)).collect();
        let ended = w.ended();
        assert_eq!((ended.len(), ended[0].status, &ended[0].term), (1, 503, b"SQ--"));
        drop(clients);
    });
}

#[test]
fn who_resets_leaves_the_line() {
    for seed in 0..256 {
        within_narrow(&limited(1, 1), seed, 1 << 16, |w| {
            let mut clients: Vec<MemSock> = (0..4).map(|n| ask(w, n)).collect();
            let mut server = w.server();
            w.hear(&mut server);
            // the place may be on its way to the second when it leaves
            let turns = w.rng.below(4);
            let mut at = 0;
            while at < OK.len() {
                at += server.send(&OK[at..]).unwrap_or(0);
                w.turn();
            }
            for _ in 0..turns {
                w.turn();
            }
            clients[1].reset();
            clients[2].reset();
            // one may be opened for each of the two before it is known that they have left
            let mut next = None;
            w.settle();
            while let Some((_, mut server)) = w.net().take_opened() {
                let asked = text(w.hear(&mut server));
                if asked.starts_with("GET /3 ") {
                    next = Some(server);
                }
            }
            let mut next = next.unwrap_or_else(|| panic!("seed {seed}: the last is forgotten"));
            w.tell(&mut next, OK, &mut clients[3]);
            let ended: Vec<(u16, String)> =
                w.ended().iter().map(|t| (t.status, text(t.term.to_vec()))).collect();
            let served = ended.iter().filter(|(status, _)| *status == 200).count();
            assert!(served >= 2, "seed {seed}: {ended:?}");
        });
    }
}

#[test]
fn a_raised_limit_calls_who_waits() {
    within(&limited(1, 1), 0, |w| {
        let _clients: Vec<MemSock> = (0..3).map(|n| ask(w, n)).collect();
        let _server = w.server();
        w.no_server();
        let shm = &w.worker.house.shm;
        assert_eq!(shm.object(Object::Front(ProxyId(0))).front_state(), FrontState::Open);
        shm.object(Object::Server(ServerId(0))).set_limit(3);
        shm.changed();
        w.turn();
        let _more = [w.server(), w.server()];
        w.no_server();
    });
}

/// Clients come, leave and are served at random: a server never has more than its share at once, and
/// nobody who stays is forgotten.
#[test]
fn limits_hold_whatever_happens() {
    for seed in 0..256 {
        let places = 1 + (seed % 3) as usize;
        within_narrow(&limited(2, places as u32), seed, 1 << 16, |w| {
            let mut clients: Vec<MemSock> = Vec::new();
            let mut busy: Vec<(SocketAddr, MemSock, bool)> = Vec::new();
            let mut served = 0;
            for step in 0..150 {
                match w.rng.below(5) {
                    0 | 1 => clients.push(ask(w, step)),
                    2 if !clients.is_empty() => {
                        let at = w.rng.below(clients.len() as u64) as usize;
                        clients.swap_remove(at).reset();
                    }
                    _ => {
                        if let Some((_, server, _)) = busy.iter_mut().find(|(.., asked)| *asked) {
                            served += usize::from(server.send(OK).is_ok_and(|n| n == OK.len()));
                        }
                    }
                }
                w.settle();
                while let Some((to, server)) = w.net().take_opened() {
                    busy.push((to, server, false));
                }
                for (_, server, asked) in &mut busy {
                    let heard = server.read_all();
                    *asked = if heard.is_empty() { *asked && !server.is_reset() } else { true };
                }
                busy.retain(|(_, server, _)| !server.is_ended());
                for server in 0..2 {
                    let object = Object::Server(ServerId(server));
                    let now = w.worker.house.shm.object(object).current.load(Relaxed) as usize;
                    assert!(now <= places, "seed {seed}, step {step}: {now} at once");
                    let streams = w.worker.streams.iter();
                    let held = streams.filter(|(_, s)| s.holds_place_at(ServerId(server))).count();
                    assert_eq!(now, held, "seed {seed}, step {step}: places counted and held");
                }
            }
            assert!(served > 10);
        });
    }
}
