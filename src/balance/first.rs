//! The first server, by `id`, with a free place: the rest can be switched off.

use super::{free, BalanceKw};
use crate::base::doc::Doc;
use crate::base::ids::ServerId;
use crate::plan::scheme::{Balancer, HashType, PickCx, Scheme, ServerView};

pub(super) const ROW: BalanceKw = BalanceKw {
    kw: "first",
    parse: |_, _| Ok(Box::new(First)),
    doc: Doc {
        usage: "balance first",
        brief: "the first server with a free place",
        text: "Servers are taken in the order of their \"id\". Needs \"maxconn\" on the server lines, or the first \
               one takes all.",
        example: "balance first",
    },
};

struct First;

impl Scheme for First {
    fn name(&self) -> &'static str {
        "first"
    }

    fn start(&self, _: &[ServerView], _: &HashType) -> Box<dyn Balancer> {
        Box::new(First)
    }
}

impl Balancer for First {
    fn pick(&mut self, cx: &PickCx<'_>) -> Option<ServerId> {
        let usable = cx.servers.iter().filter(|server| free(server));
        let choice =
            usable.clone().filter(|server| cx.avoid != Some(server.id)).min_by_key(|server| server.puid);
        choice.or_else(|| usable.min_by_key(|server| server.puid)).map(|server| server.id)
    }

    fn changed(&mut self, _: &[ServerView]) {}
}

#[cfg(test)]
mod tests {
    use super::super::roundrobin::tests::{asking, servers};
    use super::*;

    #[test]
    fn the_lowest_id_with_a_free_place() {
        let mut servers = servers(&[1, 1, 1]);
        servers[0].puid = 9;
        let mut first = First.start(&servers, &HashType::default());
        assert_eq!(first.pick(&asking(&servers)), Some(ServerId(1)));
        (servers[1].maxconn, servers[1].current) = (2, 2);
        assert_eq!(first.pick(&asking(&servers)), Some(ServerId(2)));
        servers[2].usable = false;
        assert_eq!(first.pick(&asking(&servers)), Some(ServerId(0)));
    }
}
