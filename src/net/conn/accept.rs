//! A client that has just been accepted.

use super::handshake::{Shake, Shakes};
use super::open::front_mux;
use super::proxy_in::ProxyIn;
use super::{Client, Conn, Peer, Stage};
use crate::base::ids::TaskId;
use crate::event::ready::Ready;
use crate::expr::vars::Store;
use crate::expr::view::{Addr, ConnFacts};
use crate::net::contexts::Contexts;
use crate::net::cx::Cx;
use crate::net::sock::Sock;
use crate::net::transport::{SslSock, Transport};
use crate::plan::Listener;

/// What the listening socket tells of a new client.
pub struct Accepted {
    /// What carries it.
    pub xprt: Transport,
    /// Its address.
    pub src: Addr,
    /// The address it asked for.
    pub dst: Addr,
}

impl Conn {
    /// A connection for a new client; its first wakeup runs the handshakes.
    pub fn accepted(new: Accepted, listener: &Listener, task: TaskId, cx: &mut Cx<'_>) -> Conn {
        let facts = ConnFacts {
            frontend: listener.proxy,
            listener: listener.id,
            src: new.src,
            dst: new.dst,
            wire_src: new.src,
            wire_dst: new.dst,
            accepted_us: cx.now.wall_us,
            ..ConnFacts::default()
        };
        let proxy = cx.plan.proxy(listener.proxy);
        let mut shakes = Vec::new();
        if listener.accept_proxy {
            shakes.push(Shake::ProxyIn(ProxyIn::default()));
        }
        if matches!(new.xprt, Transport::Ssl(_)) {
            shakes.push(Shake::Tls);
        }
        let shakes = Shakes::in_order(shakes);
        cx.sched.deadline(task, cx.now.tick.deadline(proxy.timeouts.handshake()));
        Conn {
            task,
            xprt: new.xprt,
            ready: Ready::QUIET,
            stage: Stage::Shaking,
            shakes,
            mux: front_mux(proxy),
            peer: Peer::Client(Client {
                facts: Box::new(facts),
                requests: 0,
                handshake_ms: 0,
                vars: Store::with_limit(cx.plan.global.tune.vars.session()),
                tracks: Default::default(),
                since_us: cx.now.wall_us,
                request_us: 0,
                private: None,
            }),
        }
    }
}

/// The transport for a new client.
pub fn transport(sock: Sock, listener: &Listener, contexts: &Contexts, record: usize) -> Transport {
    match contexts.bind(listener.id) {
        None => Transport::Raw(sock),
        Some(bind) => Transport::Ssl(SslSock::accept(sock, bind, record)),
    }
}
