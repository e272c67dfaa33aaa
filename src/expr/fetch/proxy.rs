//! Fetches about proxies and servers as a whole: connections, rates, queues, states, over all workers.

use super::{Fetch, Needs};
use crate::expr::args::{Args, Kind};
use crate::expr::sample::{Got, Sample, Ty};
use crate::expr::view::{Facts, ProxyCount, ServerCount};

macro_rules! proxies {
    ($($kw:literal $usage:literal $kind:ident $count:ident $brief:literal;)*) => {
        &[$(Fetch::new($kw, Ty::Int, Needs::NOTHING, |f, a| of_proxy(f, a, ProxyCount::$count), $brief).args($usage, 0, &[Kind::$kind]),)*]
    };
}

/// The rows of proxies.
pub const PROXY_ROWS: &[Fetch] = proxies! {
    "avg_queue" "avg_queue([<backend>])" Backend QueuePerServer "requests waiting in a backend, for each usable server";
    "be_conn" "be_conn([<backend>])" Backend BackConns "connections of a backend";
    "be_conn_free" "be_conn_free([<backend>])" Backend BackConnFree "connections a backend's servers could take";
    "be_sess_rate" "be_sess_rate([<backend>])" Backend BackSessRate "new sessions of a backend in the last second";
    "connslots" "connslots([<backend>])" Backend ConnSlots "connection and queue slots a backend has left";
    "fe_conn" "fe_conn([<frontend>])" Frontend FrontConns "connections of a frontend";
    "fe_req_rate" "fe_req_rate([<frontend>])" Frontend FrontReqRate "requests of a frontend in the last second";
    "fe_sess_rate" "fe_sess_rate([<frontend>])" Frontend FrontSessRate "new sessions of a frontend in the last second";
    "nbsrv" "nbsrv([<backend>])" Backend ServersUp "usable servers of a backend";
    "queue" "queue([<backend>])" Backend Queue "requests waiting in a backend";
};

macro_rules! servers {
    ($($kw:literal $usage:literal $ty:ident $count:ident $brief:literal;)*) => {
        &[$(Fetch::new($kw, Ty::$ty, Needs::NOTHING, |f, a| of_server(f, a, ServerCount::$count, Ty::$ty), $brief).args($usage, 1, &[Kind::Server]),)*]
    };
}

/// The rows of servers.
pub const ROWS: &[Fetch] = servers! {
    "srv_conn" "srv_conn([<backend>/]<server>)" Int Conns "connections of a server";
    "srv_conn_free" "srv_conn_free([<backend>/]<server>)" Int ConnFree "connections a server could take";
    "srv_is_up" "srv_is_up([<backend>/]<server>)" Bool Up "a server is in service";
    "srv_queue" "srv_queue([<backend>/]<server>)" Int Queue "requests waiting for a server";
    "srv_sess_rate" "srv_sess_rate([<backend>/]<server>)" Int SessRate "new sessions of a server in the last second";
    "srv_weight" "srv_weight([<backend>/]<server>)" Int Weight "weight of a server";
    "srv_uweight" "srv_uweight([<backend>/]<server>)" Int UserWeight "weight of a server as set by the user";
    "srv_iweight" "srv_iweight([<backend>/]<server>)" Int InitialWeight "weight of a server as configured";
};

fn of_proxy<'a>(facts: &Facts<'a>, args: &'a Args, what: ProxyCount) -> Got<'a> {
    let id = args.proxy(0).unwrap_or_else(|| facts.proxy());
    Got::Some(Sample::Int(facts.world.proxy_count(id, what)))
}

fn of_server<'a>(facts: &Facts<'a>, args: &'a Args, what: ServerCount, ty: Ty) -> Got<'a> {
    let Some(id) = args.server(0) else { return Got::None };
    let n = facts.world.server_count(id, what);
    Got::Some(if ty == Ty::Bool { Sample::Bool(n != 0) } else { Sample::Int(n) })
}
