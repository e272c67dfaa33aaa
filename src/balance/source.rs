//! By the client's address: a client comes back to its server while the set of servers stays as it is.

use std::net::IpAddr;

use super::keyed::{Key, Keyed};
use super::BalanceKw;
use crate::base::doc::Doc;
use crate::plan::scheme::{HashType, PickCx};

pub(super) const ROW: BalanceKw = BalanceKw {
    kw: "source",
    parse: |_, _| Ok(Keyed::scheme("source", Source)),
    doc: Doc {
        usage: "balance source",
        brief: "by the client's address",
        text: "A client goes to the same server as long as no server comes or goes; with \"hash-type \
               consistent\" even then, mostly.",
        example: "balance source",
    },
};

struct Source;

impl Key for Source {
    /// The words of the address, combined; no hash function has a say.
    fn hash(&self, cx: &PickCx<'_>, how: &HashType) -> Option<u32> {
        let word = match cx.source? {
            IpAddr::V4(ip) => u32::from(ip),
            IpAddr::V6(ip) => ip
                .octets()
                .chunks(4)
                .fold(0, |sum, four| sum ^ four.iter().fold(0, |word, byte| (word << 8) | u32::from(*byte))),
        };
        Some(how.mix(word))
    }
}

#[cfg(test)]
mod tests {
    use super::super::roundrobin::tests::{asking, servers};
    use super::*;
    use crate::base::ids::ServerId;

    #[test]
    fn servers_as_haproxy_picks_them() {
        let servers = servers(&[1, 1, 1, 1, 1]);
        let scheme = Keyed::scheme("source", Source);
        let table = [(HashType::default(), "127.0.0.1", 3), (HashType::consistent(), "127.0.0.1", 3)];
        for (how, ip, expected) in table {
            let mut source = scheme.start(&servers, &how);
            let cx = PickCx { source: ip.parse().ok(), ..asking(&servers) };
            assert_eq!(source.pick(&cx), Some(ServerId(expected)), "{how:?}");
        }
    }

    #[test]
    fn an_address_keeps_its_server_and_all_servers_are_used() {
        let servers = servers(&[1, 2, 1]);
        let mut source = Keyed::scheme("source", Source).start(&servers, &HashType::default());
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
        assert!(source.pick(&asking(&servers)).is_some(), "without an address, in turns");
        let cx = PickCx { source: "2001:db8::1".parse().ok(), ..asking(&[]) };
        assert_eq!(source.pick(&cx), None);
    }
}
