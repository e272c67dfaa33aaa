//! Rules that judge a client before it has a stream: `tcp-request connection` right after accept,
//! `tcp-request session` after the handshakes.

use super::handshake::Shakes;
use super::{Client, Conn, Peer};
use crate::expr::vars::VarsMut;
use crate::expr::view::{Bytes, NoWorld, TlsView, Txn};
use crate::net::cx::Cx;
use crate::plan::rule::{self, Act, ActionCx, Site};
use crate::shm::{Object, Stat};

impl Conn {
    /// Runs the rules of one of the two places; false: the client is refused, and counted as such.
    pub fn passes(&mut self, site: Site, cx: &mut Cx<'_>) -> bool {
        let plan = cx.plan;
        let Peer::Client(client) = &mut self.peer else { return true };
        let rules = plan.proxy(client.facts.frontend).rules.at(site);
        if rules.is_empty() {
            return true;
        }
        let mut cursor = 0;
        let mut txn = Txn::new(client.facts.frontend);
        let act = {
            let mut acx = action_cx(site, client, self.xprt.tls(), &mut txn, cx);
            rule::run(rules, &mut cursor, &mut acx)
        };
        if let Act::Drop(hops) = act {
            self.xprt.sock().forget_on_close(hops);
        }
        if matches!(act, Act::Reject | Act::Drop(_)) {
            let stat = if site == Site::TcpConnection { Stat::Dcon } else { Stat::Dses };
            cx.shm.count(Object::Front(client.facts.frontend), stat, 1);
            cx.shm.count(Object::Listener(client.facts.listener), stat, 1);
            return false;
        }
        let set = &txn.settings;
        self.xprt.sock().label(set.mark, set.tos);
        if set.expect_proxy {
            Shakes::expect_proxy(&mut self.shakes);
        }
        if let Some(src) = set.src {
            client.facts.src = crate::expr::view::Addr::Inet(src);
        }
        if let Some(dst) = set.dst {
            client.facts.dst = crate::expr::view::Addr::Inet(dst);
        }
        true
    }
}

fn action_cx<'a>(
    site: Site,
    client: &'a mut Client,
    tls: Option<&'a dyn TlsView>,
    txn: &'a mut Txn,
    cx: &'a Cx<'_>,
) -> ActionCx<'a> {
    ActionCx {
        site,
        date_us: cx.now.wall_us,
        last: true,
        conn: &client.facts,
        tls,
        back: None,
        back_tls: None,
        req: None,
        res: None,
        req_body: Bytes::NONE,
        res_body: Bytes::NONE,
        req_bytes: Bytes::NONE,
        res_bytes: Bytes::NONE,
        txn,
        vars: VarsMut { sess: Some(&mut client.vars), ..VarsMut::default() },
        effects: cx.effects,
        maps: cx.maps.maps(),
        world: &NoWorld,
    }
}
