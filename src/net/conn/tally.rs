//! What is counted of TLS handshakes, by side: the only place that names these statistics.
//!
//! `SslSess` counts every handshake that ended well, `SslReused` those of them that resumed a session. The rates of
//! keys count full handshakes, which are the dear ones. The gauge of connections is kept by the worker, which knows
//! when one is removed.

use super::Peer;
use crate::net::cx::Cx;
use crate::shm::{Info, InfoRate, Object, Stat};

/// The two objects that count for a side.
fn objects(peer: &Peer, cx: &Cx<'_>) -> [Object; 2] {
    match peer {
        Peer::Client(client) => {
            [Object::Front(client.facts.frontend), Object::Listener(client.facts.listener)]
        }
        Peer::Server(side) => [Object::Back(cx.plan.server(side.server).proxy), Object::Server(side.server)],
    }
}

/// A handshake has ended well.
pub(super) fn shaken(peer: &Peer, resumed: bool, cx: &Cx<'_>) {
    for object in objects(peer, cx) {
        cx.shm.count(object, Stat::SslSess, 1);
        cx.shm.count(object, Stat::SslReused, u64::from(resumed));
    }
    let (process, now) = (cx.shm.process(), cx.now.tick.0);
    process.count(Info::CumSslConns, 1);
    let keys = match peer {
        Peer::Client(_) => {
            process.tick(InfoRate::Ssl, now, 1);
            InfoRate::SslFrontKey
        }
        Peer::Server(_) => InfoRate::SslBackKey,
    };
    if !resumed {
        process.tick(keys, now, 1);
    }
}

/// A handshake has failed.
pub(super) fn failed(peer: &Peer, cx: &Cx<'_>) {
    for object in objects(peer, cx) {
        cx.shm.count(object, Stat::SslFailed, 1);
    }
}
