//! In turns, in proportion to weights, as evenly interleaved as can be.
//!
//! Turns are numbered. A server whose share is one turn in four is due again four turns after it was
//! taken; of those that are due the earliest is taken, the heaviest first. Servers that were never taken
//! come when nobody is due. A pick costs the depth of a heap and allocates nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{free, BalanceKw};
use crate::base::doc::Doc;
use crate::base::ids::ServerId;
use crate::plan::scheme::{Balancer, HashType, PickCx, Scheme, ServerView};

pub(super) const ROW: BalanceKw = BalanceKw {
    kw: "roundrobin",
    parse: |_, _| Ok(Box::new(RoundRobin)),
    doc: Doc {
        usage: "balance roundrobin",
        brief: "in turns, in proportion to weights",
        text: "The default. Weights may change while it runs.",
        example: "balance roundrobin",
    },
};

/// The default algorithm.
pub struct RoundRobin;

impl Scheme for RoundRobin {
    fn name(&self) -> &'static str {
        "roundrobin"
    }

    fn takes_turns(&self) -> bool {
        true
    }

    fn start(&self, servers: &[ServerView], _: &HashType) -> Box<dyn Balancer> {
        Box::new(Turns::new(servers))
    }
}

/// Round robin at work; also what schemes fall back to when a request has no key.
pub(super) struct Turns {
    turn: u64,
    /// Sum of the weights.
    total: u64,
    shares: Vec<Share>,
    /// Servers that were taken before, the next one due on top.
    queue: BinaryHeap<Reverse<Due>>,
    /// Servers that were never taken; the next one last.
    fresh: Vec<usize>,
    /// Servers passed over during one pick.
    passed: Vec<Reverse<Due>>,
}

/// What is kept of a server, by its place in the list.
#[derive(Clone, Copy, Default)]
struct Share {
    /// 0: it takes no part.
    weight: u64,
    /// The turn it is due at, once it was taken.
    due: Option<u64>,
    /// What the division of the sum by its weight has left over so far.
    rest: u64,
}

/// Ordered by turn, then by weight (heavy first), then by who came first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    turn: u64,
    weight: Reverse<u64>,
    since: u64,
    at: usize,
}

impl Turns {
    pub(super) fn new(servers: &[ServerView]) -> Self {
        let mut turns = Turns {
            turn: 0,
            total: 0,
            shares: Vec::new(),
            queue: BinaryHeap::with_capacity(servers.len()),
            fresh: Vec::new(),
            passed: Vec::with_capacity(servers.len()),
        };
        turns.changed(servers);
        turns
    }

    /// The next server that will do.
    fn next(&mut self, cx: &PickCx<'_>, ok: impl Fn(&ServerView) -> bool) -> Option<ServerId> {
        let ok = |at: usize| cx.servers.get(at).is_some_and(&ok);
        let mut chosen = None;
        while chosen.is_none() {
            let due = self.queue.peek().is_some_and(|Reverse(next)| next.turn <= self.turn);
            let new = if due { None } else { self.fresh.iter().rposition(|at| ok(*at)) };
            if let Some(place) = new {
                chosen = Some(self.fresh.remove(place));
            } else if let Some(next) = self.queue.pop() {
                match ok(next.0.at) {
                    true => chosen = Some(next.0.at),
                    false => self.passed.push(next),
                }
            } else {
                break;
            }
        }
        self.queue.extend(self.passed.drain(..));
        let at = chosen?;
        self.requeue(at);
        cx.servers.get(at).map(|server| server.id)
    }

    /// A server that was taken waits for its next turn. Turns it missed while it was full are lost, and
    /// turns it took for others are not held against it.
    fn requeue(&mut self, at: usize) {
        let share = &mut self.shares[at];
        let step = self.total / share.weight;
        let from = share.due.unwrap_or(self.turn).clamp(self.turn.saturating_sub(step), self.turn);
        share.rest += self.total % share.weight;
        let carry = share.rest / share.weight;
        share.rest %= share.weight;
        let turn = from + step + carry;
        share.due = Some(turn);
        self.queue.push(Reverse(Due { turn, weight: Reverse(share.weight), since: self.turn, at }));
        self.turn += 1;
    }
}

impl Balancer for Turns {
    fn pick(&mut self, cx: &PickCx<'_>) -> Option<ServerId> {
        if self.shares.len() != cx.servers.len() {
            self.changed(cx.servers);
        }
        let other = self.next(cx, |server| free(server) && cx.avoid != Some(server.id));
        match cx.avoid {
            Some(_) => other.or_else(|| self.next(cx, free)),
            None => other,
        }
    }

    /// Servers that stay keep their place, so that frequent changes of weights favour nobody.
    fn changed(&mut self, servers: &[ServerView]) {
        self.shares.resize(servers.len(), Share::default());
        self.queue.clear();
        self.fresh.clear();
        self.total = 0;
        for (at, (share, server)) in self.shares.iter_mut().zip(servers).enumerate() {
            let weight = if server.usable { u64::from(server.weight) } else { 0 };
            self.total += weight;
            if weight == 0 {
                *share = Share::default();
                continue;
            }
            if weight != share.weight {
                (share.weight, share.rest) = (weight, 0);
            }
            match share.due {
                Some(turn) => {
                    self.queue.push(Reverse(Due { turn, weight: Reverse(weight), since: self.turn, at }));
                }
                None => self.fresh.push(at),
            }
        }
        let shares = &self.shares;
        self.fresh.sort_by_key(|at| (shares[*at].weight, Reverse(*at)));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Servers with these weights, all idle and usable.
    pub(in crate::balance) fn servers(weights: &[u32]) -> Vec<ServerView> {
        let server = |(at, weight): (usize, &u32)| ServerView {
            id: ServerId(at as u32),
            puid: at as u32 + 1,
            usable: *weight > 0,
            weight: *weight,
            current: 0,
            queued: 0,
            maxconn: 0,
        };
        weights.iter().enumerate().map(server).collect()
    }

    /// What a pick may know, with nothing but servers.
    pub(in crate::balance) fn asking(servers: &[ServerView]) -> PickCx<'_> {
        PickCx { servers, source: None, req: None, bytes: b"", body: b"", key: None, random: 0, avoid: None }
    }

    /// The servers picked one after the other, as letters; `z`: none.
    pub(in crate::balance) fn order(scheme: &dyn Scheme, weights: &[u32], picks: usize) -> String {
        let servers = servers(weights);
        let mut balancer = scheme.start(&servers, &HashType::default());
        (0..picks).map(|_| letter(balancer.pick(&asking(&servers)))).collect()
    }

    /// A server as a letter.
    pub(in crate::balance) fn letter(id: Option<ServerId>) -> char {
        char::from(b'a' + id.map_or(25, |id| id.0 as u8))
    }

    #[test]
    fn turns_follow_weights() {
        // as HAProxy 2.6 gives them
        let table = [
            (&[1, 1, 1][..], "abcabc"),
            (&[2, 1], "aabaab"),
            (&[1, 2], "bbabba"),
            (&[3, 1, 1], "aabacaabac"),
            (&[4, 2, 1, 0], "aabacabaabacab"),
            (&[10, 20, 30], "cbcacbcbcacbcbcacb"),
            (&[1, 5], "bbbbbabbbbba"),
            (&[5, 3, 2], "abacababacabacababac"),
            (&[0, 0], "zz"),
            (&[], "z"),
        ];
        for (weights, expected) in table {
            assert_eq!(order(&RoundRobin, weights, expected.len()), expected, "{weights:?}");
        }
    }

    #[test]
    fn full_and_avoided_servers_are_passed_over() {
        let mut servers = servers(&[1, 1]);
        let mut turns = Turns::new(&servers);
        let avoiding = PickCx { avoid: Some(ServerId(0)), ..asking(&servers) };
        assert_eq!(turns.pick(&avoiding), Some(ServerId(1)));
        assert_eq!(turns.pick(&avoiding), Some(ServerId(1)));
        servers[1].maxconn = 1;
        servers[1].current = 1;
        let avoiding = PickCx { avoid: Some(ServerId(0)), ..asking(&servers) };
        assert_eq!(turns.pick(&avoiding), Some(ServerId(0)), "better than none");
        servers[0].usable = false;
        assert_eq!(turns.pick(&asking(&servers)), None);
    }

    #[test]
    fn a_server_that_was_full_or_away_gets_no_burst() {
        let mut servers = servers(&[1, 1]);
        let mut turns = Turns::new(&servers);
        let mut take = |servers: &[ServerView], count: usize| -> String {
            (0..count).map(|_| letter(turns.pick(&asking(servers)))).collect()
        };
        assert_eq!(take(&servers, 2), "ab");
        (servers[0].maxconn, servers[0].current) = (1, 1);
        assert_eq!(take(&servers, 50), "b".repeat(50));
        servers[0].current = 0;
        let after = take(&servers, 8);
        assert!(after.matches('a').count() <= 5, "{after}");
        servers[0].usable = false;
        turns.changed(&servers);
        let mut take = |servers: &[ServerView], count: usize| -> String {
            (0..count).map(|_| letter(turns.pick(&asking(servers)))).collect()
        };
        assert_eq!(take(&servers, 50), "b".repeat(50));
        servers[0].usable = true;
        turns.changed(&servers);
        let after: String = (0..8).map(|_| letter(turns.pick(&asking(&servers)))).collect();
        assert!(after.matches('a').count() <= 5, "{after}");
    }

    #[test]
    fn frequent_changes_of_weights_favour_nobody() {
        let mut servers = servers(&[10, 10, 10]);
        let mut turns = Turns::new(&servers);
        let mut hits = [0; 3];
        for round in 0..300 {
            servers[2].weight = 9 + round % 3;
            turns.changed(&servers);
            if let Some(id) = turns.pick(&asking(&servers)) {
                hits[id.index()] += 1;
            }
        }
        assert!(hits.iter().all(|n| (95..=105).contains(n)), "{hits:?}");
    }
}
