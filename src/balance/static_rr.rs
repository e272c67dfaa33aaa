//! In turns along a fixed table: weights count as they were at the start.

use super::keyed::round;
use super::spread::Map;
use super::BalanceKw;
use crate::base::doc::Doc;
use crate::base::ids::ServerId;
use crate::plan::scheme::{Balancer, HashType, PickCx, Scheme, ServerView};

pub(super) const ROW: BalanceKw = BalanceKw {
    kw: "static-rr",
    parse: |_, _| Ok(Box::new(StaticRr)),
    doc: Doc {
        usage: "balance static-rr",
        brief: "in turns, with weights that never change",
        text: "As \"roundrobin\", but a weight set while it runs has no effect.",
        example: "balance static-rr",
    },
};

struct StaticRr;

impl Scheme for StaticRr {
    fn name(&self) -> &'static str {
        "static-rr"
    }

    fn takes_turns(&self) -> bool {
        true
    }

    fn start(&self, servers: &[ServerView], _: &HashType) -> Box<dyn Balancer> {
        let mut turns = Round { map: Map::default(), next: 0 };
        turns.changed(servers);
        Box::new(turns)
    }
}

struct Round {
    map: Map,
    next: usize,
}

impl Balancer for Round {
    fn pick(&mut self, cx: &PickCx<'_>) -> Option<ServerId> {
        round(&self.map, &mut self.next, cx)
    }

    fn changed(&mut self, servers: &[ServerView]) {
        self.map.changed(servers);
    }
}

#[cfg(test)]
mod tests {
    use super::super::roundrobin::tests::order;
    use super::*;

    #[test]
    fn turns_follow_the_table() {
        // as HAProxy 2.6 gives them
        let table = [
            (&[1, 1, 1][..], "abcabc"),
            (&[1, 2], "abbabb"),
            (&[3, 1, 1], "aabacaabac"),
            (&[10, 20, 30], "acbcbcacbcbc"),
            (&[5, 3, 2], "aabacababcaabacababc"),
            (&[0], "z"),
        ];
        for (weights, expected) in table {
            assert_eq!(order(&StaticRr, weights, expected.len()), expected, "{weights:?}");
        }
    }
}
