//! The server with the fewest connections for its weight; equals take turns.

use super::{free, BalanceKw};
use crate::base::doc::Doc;
use crate::base::ids::ServerId;
use crate::plan::scheme::{Balancer, PickCx, Scheme, ServerView};

pub(super) const ROW: BalanceKw = BalanceKw {
    kw: "leastconn",
    parse: |_| Ok(Box::new(LeastConn)),
    doc: Doc {
        usage: "balance leastconn",
        brief: "the server with the fewest connections for its weight",
        text: "For long sessions. Connections of all workers count.",
        example: "balance leastconn",
    },
};

struct LeastConn;

impl Scheme for LeastConn {
    fn name(&self) -> &'static str {
        "leastconn"
    }

    fn start(&self, _: &[ServerView]) -> Box<dyn Balancer> {
        Box::new(Least { next: 0 })
    }
}

struct Least {
    /// Where the search begins: behind the server taken last.
    next: usize,
}

impl Balancer for Least {
    fn pick(&mut self, cx: &PickCx<'_>) -> Option<ServerId> {
        let count = cx.servers.len();
        let choice = |server: &ServerView| free(server) && cx.avoid != Some(server.id);
        let others = cx.servers.iter().any(choice);
        let turn = (0..count).map(|step| (self.next + step) % count);
        let usable = turn.filter(|at| if others { choice(&cx.servers[*at]) } else { free(&cx.servers[*at]) });
        let load = |at: usize| {
            let server = &cx.servers[at];
            u64::from(server.current + server.queued) * 256 / u64::from(server.weight.max(1))
        };
        let best = usable.min_by_key(|at| load(*at))?;
        self.next = best + 1;
        Some(cx.servers[best].id)
    }

    fn changed(&mut self, _: &[ServerView]) {}
}

#[cfg(test)]
mod tests {
    use super::super::roundrobin::tests::{asking, servers};
    use super::*;

    #[test]
    fn the_least_loaded_is_taken_and_equals_take_turns() {
        let mut servers = servers(&[1, 1, 2]);
        let mut least = LeastConn.start(&servers);
        let mut order = Vec::new();
        for _ in 0..3 {
            order.extend(least.pick(&asking(&servers)));
        }
        assert_eq!(order, [ServerId(0), ServerId(1), ServerId(2)]);
        for (at, current) in [(0, 2), (1, 1), (2, 3)] {
            servers[at].current = current;
        }
        assert_eq!(least.pick(&asking(&servers)), Some(ServerId(1)));
        servers[1].current = 5;
        assert_eq!(
            least.pick(&asking(&servers)),
            Some(ServerId(2)),
            "3 of weight 2 is less than 2 of weight 1"
        );
        servers.iter_mut().for_each(|server| server.usable = false);
        assert_eq!(least.pick(&asking(&servers)), None);
        assert_eq!(least.pick(&asking(&[])), None);
    }
}
