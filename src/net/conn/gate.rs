//! Rules that judge a client before it has a stream: `tcp-request connection` right after accept,
//! `tcp-request session` after the handshakes.

use super::handshake::Shakes;
use super::{failure, Client, Conn, Peer};
use crate::base::ids::{ListenerId, ProxyId};
use crate::event::log::sink::Speaker;
use crate::expr::stick::Stick;
use crate::expr::vars::VarsMut;
use crate::expr::view::{Addr, Bytes, TlsView, Txn, World};
use crate::net::cx::Cx;
use crate::plan::rule::{self, Act, ActionCx, Site};
use crate::plan::{LogLevel, Mode, Plan, Proxy};
use crate::shm::stick::Data;
use crate::shm::{Object, Shared, Stat};

impl Conn {
    /// Runs the rules of one of the two places; false: the client is refused, and counted as such.
    pub fn passes(&mut self, site: Site, cx: &mut Cx<'_>) -> bool {
        let plan = cx.plan;
        let Peer::Client(client) = &mut self.peer else { return true };
        let rules = plan.proxy(client.facts.frontend).rules.at(site);
        if rules.is_empty() {
            count_session(site, client, cx);
            return true;
        }
        let mut cursor = 0;
        let mut txn = Txn::new(client.facts.frontend);
        txn.sess_tracks = std::mem::take(&mut client.tracks);
        let act = loop {
            let act = {
                let world = GateWorld { plan, shm: cx.shm, now_ms: cx.now.tick.0 };
                let mut acx = action_cx(site, client, self.xprt.tls(), &mut txn, &world, cx);
                rule::run(rules, &mut cursor, &mut acx)
            };
            match act {
                Act::Log => log_client(client, self.xprt.tls(), cx),
                act => break act,
            }
        };
        client.tracks = std::mem::take(&mut txn.sess_tracks);
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
            client.facts.src = Addr::Inet(src);
        }
        if let Some(dst) = set.dst {
            client.facts.dst = Addr::Inet(dst);
        }
        count_session(site, client, cx);
        true
    }
}

/// A line of the frontend's format about a client that has no stream yet (`do-log`).
fn log_client(client: &Client, tls: Option<&dyn TlsView>, cx: &mut Cx<'_>) {
    let proxy = cx.plan.proxy(client.facts.frontend);
    let speaker = Speaker::Proxy(proxy.id);
    if proxy.logs.is_empty() || !cx.log.is_heard(speaker) {
        return;
    }
    let line = match &proxy.log_format {
        Some(format) => failure::worded(format, tls, client, cx),
        None => connect_line(proxy, client.facts.src, client.facts.dst),
    };
    cx.log.emit(speaker, LogLevel::Info, &line);
}

/// What is logged when no style was chosen.
pub fn connect_line(proxy: &Proxy, src: Addr, dst: Addr) -> Vec<u8> {
    let show = |addr: Addr| match addr {
        Addr::Inet(addr) => format!("{}:{}", addr.ip(), addr.port()),
        Addr::Unix => "unix".to_owned(),
        Addr::None => "-".to_owned(),
    };
    let mode = if proxy.mode == Mode::Http { "HTTP" } else { "TCP" };
    format!("Connect from {} to {} ({}/{mode})", show(src), show(dst), proxy.name).into_bytes()
}

fn action_cx<'a>(
    site: Site,
    client: &'a mut Client,
    tls: Option<&'a dyn TlsView>,
    txn: &'a mut Txn,
    world: &'a GateWorld<'a>,
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
        vars: VarsMut { proc: Some(cx.proc_vars), sess: Some(&mut client.vars), ..VarsMut::default() },
        effects: cx.effects,
        maps: cx.maps.maps(),
        world,
    }
}

/// A session begins: what its connection tracks counts it.
fn count_session(site: Site, client: &Client, cx: &Cx<'_>) {
    if site == Site::TcpSession && !client.tracks.is_empty() {
        let world = GateWorld { plan: cx.plan, shm: cx.shm, now_ms: cx.now.tick.0 };
        for (_, held) in client.tracks.iter() {
            world.tables().count(held, Data::SessCnt, Data::SessRate, 1);
        }
    }
}

/// What may be asked of everything beyond a connection that has no stream.
pub(super) struct GateWorld<'a> {
    pub(super) plan: &'a Plan,
    pub(super) shm: &'a Shared,
    pub(super) now_ms: u64,
}

impl GateWorld<'_> {
    fn tables(&self) -> Stick<'_> {
        Stick { tables: self.shm.stick(), slot: self.shm.slot(), now_ms: self.now_ms }
    }
}

impl World for GateWorld<'_> {
    fn stick(&self) -> Option<Stick<'_>> {
        Some(self.tables())
    }

    fn table_of(&self, id: ProxyId) -> Option<u16> {
        self.plan.proxy(id).stick_table
    }

    fn proxy_name(&self, id: ProxyId) -> &str {
        &self.plan.proxy(id).name
    }

    fn proxy_puid(&self, id: ProxyId) -> u32 {
        self.plan.proxy(id).puid
    }

    fn proxy_is_http(&self, id: ProxyId) -> bool {
        self.plan.proxy(id).mode == Mode::Http
    }

    fn listener_name(&self, id: ListenerId) -> Option<&str> {
        self.plan.listener(id).name.as_deref()
    }

    fn listener_puid(&self, id: ListenerId) -> u32 {
        self.plan.listener(id).puid
    }
}
