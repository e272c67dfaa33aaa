//! By lot: some servers are drawn by their weights, the least loaded of them is taken.

use super::{free, BalanceCx, BalanceKw};
use crate::base::doc::Doc;
use crate::base::ids::ServerId;
use crate::lang::diag::Diag;
use crate::lang::word::Words;
use crate::plan::scheme::{Balancer, HashType, PickCx, Scheme, ServerView};

pub(super) const ROW: BalanceKw = BalanceKw {
    kw: "random",
    parse,
    doc: Doc {
        usage: "balance random[(<draws>)]",
        brief: "the least loaded of some servers drawn by lot",
        text: "Two are drawn unless said otherwise. Many proxies in front of the same servers do not fall into step \
               with it, and a server that has just come is not flooded.",
        example: "balance random(3)",
    },
};

/// How many draws make sense.
const DRAWS_MAX: u32 = 64;

fn parse(words: &mut Words<'_>, cx: &mut BalanceCx) -> Result<Box<dyn Scheme>, Diag> {
    let draws = match &cx.argument {
        None => 2,
        Some(text) => match text.parse::<u32>() {
            Ok(draws @ 1..) => draws.min(DRAWS_MAX),
            _ => {
                let what = format!("expected a number of draws in parentheses, found \"{text}\"");
                return Err(words.taken().map_or_else(|| words.missing("a number"), |word| word.err(what)));
            }
        },
    };
    Ok(Box::new(Random { draws }))
}

struct Random {
    draws: u32,
}

impl Scheme for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn takes_turns(&self) -> bool {
        true
    }

    fn by_load(&self) -> bool {
        true
    }

    fn start(&self, servers: &[ServerView], _: &HashType) -> Box<dyn Balancer> {
        let mut lots = Lots { draws: self.draws, ends: Vec::new() };
        lots.changed(servers);
        Box::new(lots)
    }
}

struct Lots {
    draws: u32,
    /// Where the lots of each server end, one lot for each unit of weight.
    ends: Vec<u32>,
}

impl Balancer for Lots {
    fn pick(&mut self, cx: &PickCx<'_>) -> Option<ServerId> {
        let total = u64::from(*self.ends.last()?);
        if total == 0 {
            return None;
        }
        let takes = |server: &&ServerView| free(server) && cx.avoid != Some(server.id);
        let mut seed = cx.random;
        let mut best: Option<&ServerView> = None;
        for _ in 0..self.draws {
            // each draw by bits of its own
            seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let lot = ((u128::from(seed) * u128::from(total)) >> 64) as u32;
            let at = self.ends.partition_point(|end| *end <= lot);
            let Some(drawn) = cx.servers.get(at).filter(takes) else { continue };
            if best.is_none_or(|best| load(drawn) < load(best)) {
                best = Some(drawn);
            }
        }
        let anyone =
            || cx.servers.iter().find(takes).or_else(|| cx.servers.iter().find(|server| free(server)));
        best.or_else(anyone).map(|server| server.id)
    }

    fn changed(&mut self, servers: &[ServerView]) {
        let mut end = 0;
        self.ends.clear();
        self.ends.extend(servers.iter().map(|server| {
            end += if server.usable { server.weight } else { 0 };
            end
        }));
    }
}

/// Requests for each unit of weight.
fn load(server: &ServerView) -> u64 {
    u64::from(server.current + server.queued) * 256 / u64::from(server.weight.max(1))
}

#[cfg(test)]
mod tests {
    use super::super::roundrobin::tests::{asking, servers};
    use super::*;

    fn hits(servers: &[ServerView], draws: u32) -> Vec<u32> {
        let mut lots = Random { draws }.start(servers, &HashType::default());
        let mut hits = vec![0; servers.len()];
        for n in 0..4000u64 {
            let random = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            if let Some(id) = lots.pick(&PickCx { random, ..asking(servers) }) {
                hits[id.index()] += 1;
            }
        }
        hits
    }

    #[test]
    fn lots_follow_weights_and_load() {
        let mut servers = servers(&[1, 2, 1, 0]);
        let even = hits(&servers, 1);
        assert!(even[0].abs_diff(1000) < 150 && even[1].abs_diff(2000) < 150 && even[3] == 0, "{even:?}");
        servers[1].current = 9;
        let loaded = hits(&servers, 2);
        assert!(loaded[1] < 1200, "drawn twice in four cases only: {loaded:?}");
        servers[1].maxconn = 9;
        assert_eq!(hits(&servers, 2)[1], 0);
        assert_eq!(hits(&[], 2), [0; 0]);
    }
}
