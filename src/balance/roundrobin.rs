//! In turns, in proportion to weights, as evenly interleaved as can be (smooth weighted round robin:
//! every turn each server gains its weight, the richest is taken and pays the sum).

use super::{free, BalanceKw};
use crate::base::doc::Doc;
use crate::base::ids::ServerId;
use crate::plan::scheme::{Balancer, PickCx, Scheme, ServerView};

pub(super) const ROW: BalanceKw = BalanceKw {
    kw: "roundrobin",
    parse: |_| Ok(Box::new(RoundRobin)),
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

    fn start(&self, servers: &[ServerView]) -> Box<dyn Balancer> {
        Box::new(Turns { credit: vec![0; servers.len()] })
    }
}

struct Turns {
    /// By place in the list of servers.
    credit: Vec<i64>,
}

impl Balancer for Turns {
    fn pick(&mut self, cx: &PickCx<'_>) -> Option<ServerId> {
        self.credit.resize(cx.servers.len(), 0);
        let choice = |server: &ServerView| free(server) && cx.avoid != Some(server.id);
        let others = cx.servers.iter().any(choice);
        let mut sum = 0;
        let mut best: Option<usize> = None;
        for (at, server) in cx.servers.iter().enumerate() {
            if !(if others { choice(server) } else { free(server) }) {
                continue;
            }
            let weight = i64::from(server.weight.max(1));
            self.credit[at] += weight;
            sum += weight;
            if best.is_none_or(|best| self.credit[at] > self.credit[best]) {
                best = Some(at);
            }
        }
        let best = best?;
        self.credit[best] -= sum;
        Some(cx.servers[best].id)
    }

    fn changed(&mut self, servers: &[ServerView]) {
        // Old credit would give a server that was away a burst.
        self.credit.clear();
        self.credit.resize(servers.len(), 0);
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
        PickCx {
            servers,
            source: None,
            req: None,
            bytes: b"",
            body: b"",
            key: None,
            consistent: false,
            random: 0,
            avoid: None,
        }
    }

    fn order(weights: &[u32], picks: usize) -> String {
        let servers = servers(weights);
        let mut turns = RoundRobin.start(&servers);
        (0..picks)
            .map(|_| char::from(b'a' + turns.pick(&asking(&servers)).map_or(25, |id| id.0 as u8)))
            .collect()
    }

    #[test]
    fn turns_follow_weights() {
        let table = [
            (&[1, 1, 1][..], "abcabc"),
            (&[2, 1], "abaaba"),
            (&[4, 2, 1, 0], "abacabaabacaba"),
            (&[0, 0], "zz"),
            (&[], "z"),
        ];
        for (weights, expected) in table {
            assert_eq!(order(weights, expected.len()), expected, "{weights:?}");
        }
    }

    #[test]
    fn full_and_avoided_servers_are_passed_over() {
        let mut servers = servers(&[1, 1]);
        let mut turns = RoundRobin.start(&servers);
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
}
