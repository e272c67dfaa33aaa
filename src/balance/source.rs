//! By the client's address: a client comes back to its server while the set of servers stays as it is.

use std::net::IpAddr;

use super::BalanceKw;
use crate::base::doc::Doc;
use crate::base::hash::avalanche;
use crate::base::ids::ServerId;
use crate::plan::scheme::{Balancer, PickCx, Scheme, ServerView};

pub(super) const ROW: BalanceKw = BalanceKw {
    kw: "source",
    parse: |_| Ok(Box::new(Source)),
    doc: Doc {
        usage: "balance source",
        brief: "by the client's address",
        text: "A client goes to the same server as long as no server comes or goes.",
        example: "balance source",
    },
};

struct Source;

impl Scheme for Source {
    fn name(&self) -> &'static str {
        "source"
    }

    fn start(&self, _: &[ServerView]) -> Box<dyn Balancer> {
        Box::new(Source)
    }
}

impl Balancer for Source {
    /// Servers own as many places as their weight says. A full server is chosen all the same: the client
    /// waits in its queue rather than lose its server.
    fn pick(&mut self, cx: &PickCx<'_>) -> Option<ServerId> {
        let key = hash(cx.source?);
        let all = || cx.servers.iter().filter(|server| server.usable && server.weight > 0);
        let others = all().any(|server| cx.avoid != Some(server.id));
        let usable = || all().filter(move |server| !others || cx.avoid != Some(server.id));
        if cx.consistent {
            return nearest(avalanche(key), usable());
        }
        let total: u32 = usable().map(|server| server.weight).sum();
        let mut place = key.checked_rem(total)?;
        for server in usable() {
            match place.checked_sub(server.weight) {
                None => return Some(server.id),
                Some(rest) => place = rest,
            }
        }
        None
    }

    fn changed(&mut self, _: &[ServerView]) {}
}

/// Points on the ring for each unit of weight.
const POINTS: u32 = 16;

/// The server that owns the point of the ring nearest to `key`: a server that comes or goes moves only
/// the clients near its own points.
fn nearest<'s>(key: u32, servers: impl Iterator<Item = &'s ServerView>) -> Option<ServerId> {
    servers
        .flat_map(|server| (0..server.weight * POINTS).map(move |n| (server, n)))
        .map(|(server, n)| {
            let point = avalanche(server.puid.wrapping_mul(4096).wrapping_add(n));
            // of two points equally near, the one before the key
            let (after, before) = (point.wrapping_sub(key), key.wrapping_sub(point));
            (after.min(before), u32::from(after < before), server.id)
        })
        .min_by_key(|(far, side, _)| (*far, *side))
        .map(|(.., id)| id)
}

/// The words of the address, combined.
fn hash(ip: IpAddr) -> u32 {
    match ip {
        IpAddr::V4(ip) => u32::from(ip),
        IpAddr::V6(ip) => ip
            .octets()
            .chunks(4)
            .fold(0, |sum, four| sum ^ four.iter().fold(0, |word, byte| (word << 8) | u32::from(*byte))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::roundrobin::tests::{asking, servers};
    use super::*;

    #[test]
    fn an_address_keeps_its_server_and_all_servers_are_used() {
        let servers = servers(&[1, 2, 1]);
        let mut source = Source.start(&servers);
        let mut hits = [0; 3];
        for last in 0..100u8 {
            let cx = PickCx { source: Some(IpAddr::from([10, 0, 0, last])), ..asking(&servers) };
            let picked = source.pick(&cx).unwrap();
            assert_eq!(source.pick(&cx), Some(picked));
            hits[picked.index()] += 1;
            let avoiding = PickCx { avoid: Some(picked), ..cx };
            assert_ne!(source.pick(&avoiding), Some(picked));
        }
        assert_eq!(hits, [25, 50, 25]);
        assert_eq!(source.pick(&asking(&servers)), None, "no address, no choice");
        let cx = PickCx { source: Some("2001:db8::1".parse().unwrap()), ..asking(&[]) };
        assert_eq!(source.pick(&cx), None);
    }

    #[test]
    fn on_a_ring_the_others_keep_their_clients() {
        let all = servers(&[1, 1, 1, 1, 1]);
        let mut fewer = all.clone();
        fewer[2].usable = false;
        let mut source = Source.start(&all);
        let mut moved = 0;
        for last in 0..=255u8 {
            let ask = |servers| PickCx {
                source: Some(IpAddr::from([10, 0, 0, last])),
                consistent: true,
                ..asking(servers)
            };
            let before = source.pick(&ask(&all)).unwrap();
            let after = source.pick(&ask(&fewer)).unwrap();
            assert!(before == after || before == ServerId(2), "{last}");
            moved += u32::from(before != after);
        }
        assert!((20..90).contains(&moved), "{moved} of 256");
        let local = PickCx { source: Some([127, 0, 0, 1].into()), consistent: true, ..asking(&all) };
        assert_eq!(source.pick(&local), Some(ServerId(3)), "as HAProxy picks");
    }
}
