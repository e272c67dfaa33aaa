//! The server with the fewest connections for its weight; equals take turns.

use super::{free, BalanceKw};
use crate::base::doc::Doc;
use crate::base::ids::ServerId;
use crate::plan::scheme::{Balancer, HashType, PickCx, Scheme, ServerView};

pub(super) const ROW: BalanceKw = BalanceKw {
    kw: "leastconn",
    parse: |_, _| Ok(Box::new(LeastConn)),
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

    fn by_load(&self) -> bool {
        true
    }

    fn start(&self, _: &[ServerView], _: &HashType) -> Box<dyn Balancer> {
        Box::new(Least { next: 0 })
    }
}

struct Least {
    /// Where the search begins: behind the server taken last.
    next: usize,
}

impl Balancer for Least {
    fn pick(&mut self, cx: &PickCx<'_>) -> Option<ServerId> {
        let ok = |server: &ServerView| free(server) && cx.avoid != Some(server.id);
        let best = self
            .best(cx.servers, ok)
            .or_else(|| self.best(cx.servers, free).filter(|_| cx.avoid.is_some()))?;
        self.next = best + 1;
        cx.servers.get(best).map(|server| server.id)
    }

    fn changed(&mut self, _: &[ServerView]) {}
}

impl Least {
    fn best(&self, servers: &[ServerView], ok: impl Fn(&ServerView) -> bool) -> Option<usize> {
        let (before, after) = servers.split_at(self.next.checked_rem(servers.len()).unwrap_or(0));
        let turn = after.iter().zip(before.len()..).chain(before.iter().zip(0..));
        turn.filter(|(server, _)| ok(server)).min_by_key(|(server, _)| load(server)).map(|(_, at)| at)
    }
}

/// Connections for each unit of weight if one more came; an idle server is idle whatever its weight.
fn load(server: &ServerView) -> u64 {
    match u64::from(server.current) + u64::from(server.queued) {
        0 => 0,
        count => (count + 1) * 4096 / u64::from(server.weight.max(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::roundrobin::tests::{asking, servers};
    use super::*;

    #[test]
    fn the_least_loaded_is_taken_and_equals_take_turns() {
        let mut servers = servers(&[1, 1, 2]);
        let mut least = LeastConn.start(&servers, &HashType::default());
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
