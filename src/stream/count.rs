//! What a stream counts, and where: the only place that names statistics of traffic.
//!
//! Invariant: a session that was begun in a shared gauge is ended exactly once, whatever happens.

use super::{Below, Stream};
use crate::base::ids::{ListenerId, ProxyId, ServerId};
use crate::expr::view::Txn;
use crate::net::cx::Cx;
use crate::plan::{Listener, Mode};
use crate::shm::{Info, InfoRate, Object, Rate, Shared, Stat};

/// Makes room for a client: false when a limit forbids it, then nothing is taken. For a TLS line that includes a place
/// among the TLS connections, which ends with [`Shared::ssl_conn_ends`].
pub fn client_fits(shm: &Shared, listener: &Listener, maxconn: u32) -> bool {
    if !shm.conn_fits() {
        return false;
    }
    let front = Object::Front(listener.proxy);
    if !shm.session_fits(front, shm.object(front).limit(maxconn)) {
        shm.conn_ends();
        return false;
    }
    let fits = shm.session_fits(Object::Listener(listener.id), listener.maxconn);
    if !fits {
        shm.session_ends(front);
        shm.conn_ends();
    }
    if fits && listener.tls.is_some() && !shm.ssl_conn_fits() {
        client_ends(shm, listener.id, listener.proxy);
        return false;
    }
    fits
}

/// The client that [`client_fits`] made room for does not come.
pub fn client_stays_away(shm: &Shared, listener: &Listener) {
    if listener.tls.is_some() {
        shm.ssl_conn_ends();
    }
    client_ends(shm, listener.id, listener.proxy);
}

/// The client that [`client_fits`] made room for is here.
pub fn client_begins(shm: &Shared, listener: ListenerId, proxy: ProxyId, now_ms: u64) {
    let front = Object::Front(proxy);
    for object in [front, Object::Listener(listener)] {
        shm.session_came(object);
        shm.count(object, Stat::Stot, 1);
    }
    shm.count(front, Stat::ConnTot, 1);
    shm.tick(front, Rate::Conn, now_ms, 1);
    shm.tick(front, Rate::Sess, now_ms, 1);
    let process = shm.process();
    process.count(Info::CumConns, 1);
    process.tick(InfoRate::Conn, now_ms, 1);
    process.tick(InfoRate::Sess, now_ms, 1);
}

/// A client's connection has ended.
pub fn client_ends(shm: &Shared, listener: ListenerId, proxy: ProxyId) {
    shm.session_ends(Object::Front(proxy));
    shm.session_ends(Object::Listener(listener));
    shm.conn_ends();
}

/// What a stream has begun and must end.
#[derive(Default)]
pub(super) struct Begun {
    back: Option<ProxyId>,
    server: Option<ServerId>,
}

impl Begun {
    /// The server at which it has a place.
    pub(super) fn server(&self) -> Option<ServerId> {
        self.server
    }
}

impl Stream {
    /// A request is here.
    pub(super) fn count_request(&self, cx: &Cx<'_>) {
        let front = Object::Front(self.frontend);
        cx.shm.count(front, Stat::ReqTot, 1);
        cx.shm.tick(front, Rate::Req, cx.now.tick.0, 1);
        cx.shm.process().count(Info::CumReq, 1);
    }

    /// The backend is known.
    pub(super) fn count_backend(&mut self, cx: &Cx<'_>) {
        if self.begun.back.is_some() {
            return;
        }
        let back = Object::Back(self.backend);
        self.begun.back = Some(self.backend);
        cx.shm.session_begins(back);
        cx.shm.count(back, Stat::Stot, 1);
        cx.shm.tick(back, Rate::Sess, cx.now.tick.0, 1);
        if self.mode == Mode::Http {
            cx.shm.count(back, Stat::ReqTot, 1);
        }
    }

    /// It has a place at a server; `balanced`: the algorithm chose it.
    pub(super) fn count_server(
        &mut self,
        server: ServerId,
        balanced: bool,
        below: &mut Below<'_>,
        cx: &Cx<'_>,
    ) {
        let object = Object::Server(server);
        self.begun.server = Some(server);
        self.server = Some(server);
        below.backends.took(server);
        cx.shm.count(object, Stat::Stot, 1);
        cx.shm.tick(object, Rate::Sess, cx.now.tick.0, 1);
        if self.mode == Mode::Http {
            cx.shm.count(object, Stat::ReqTot, 1);
        }
        if balanced {
            self.count_both(Stat::Lbtot, cx);
        }
    }

    /// The server has done its part.
    pub(super) fn uncount_server(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        if let Some(server) = self.begun.server.take() {
            below.backends.left(server);
            below.backends.free_place(server, cx.plan, cx.shm, cx.sched);
        }
    }

    /// Counts at the server, if there is one, and at its backend.
    pub(super) fn count_both(&self, stat: Stat, cx: &Cx<'_>) {
        if let Some(server) = self.server {
            cx.shm.count(Object::Server(server), stat, 1);
        }
        cx.shm.count(Object::Back(self.backend), stat, 1);
    }

    /// Counts at the frontend.
    pub(super) fn count_front(&self, stat: Stat, cx: &Cx<'_>) {
        cx.shm.count(Object::Front(self.frontend), stat, 1);
    }

    /// A request was refused by a rule of the proxy that runs it.
    pub(super) fn count_denied(&self, cx: &Cx<'_>) {
        let object = match self.txn.backend {
            Some(back) if back != self.frontend => Object::Back(back),
            _ => Object::Front(self.frontend),
        };
        cx.shm.count(object, Stat::Dreq, 1);
    }

    /// The numbers that logs show: connections now, of the process and the frontend, and besides this
    /// one of the backend and the server.
    pub(super) fn note_conns(&mut self, cx: &Cx<'_>) {
        use std::sync::atomic::Ordering::Relaxed;
        let now = |object| cx.shm.object(object).current.load(Relaxed);
        self.txn.conns[0] = cx.shm.global().conns.load(Relaxed);
        self.txn.conns[1] = now(Object::Front(self.frontend));
        // this one has done its part there
        let others = |object| now(object).saturating_sub(1);
        self.txn.conns[2] = if self.begun.back.is_some() { others(Object::Back(self.backend)) } else { 0 };
        self.txn.conns[3] = match self.begun.server {
            Some(server) => others(Object::Server(server)),
            None => self.server.map_or(0, |server| now(Object::Server(server))),
        };
    }

    /// The end: bytes, status, times; and what was begun is ended.
    pub(super) fn count_end(&mut self, cx: &Cx<'_>) {
        let listener = self.listener;
        let mut objects = [Some(Object::Front(self.frontend)), Some(Object::Listener(listener)), None, None];
        if let Some(back) = self.begun.back {
            objects[2] = Some(Object::Back(back));
            objects[3] = self.server.map(Object::Server);
        }
        for object in objects.into_iter().flatten() {
            cx.shm.count(object, Stat::Bin, self.txn.bytes_in);
            cx.shm.count(object, Stat::Bout, self.txn.bytes_out);
            if self.mode == Mode::Http && !matches!(object, Object::Listener(_)) {
                cx.shm.count(object, class_of(self.txn.status), u64::from(self.txn.status != 0));
            }
        }
        cx.shm.process().count(Info::BytesOut, self.txn.bytes_out);
        if let (Some(back), Some(server)) = (self.begun.back, self.server) {
            for object in [Object::Back(back), Object::Server(server)] {
                count_times(cx.shm, object, &self.txn);
            }
        }
        match self.txn.term[0] {
            b'C' | b'c' => self.count_both(Stat::CliAbrt, cx),
            b'S' | b's' if self.txn.term[1] == b'D' => self.count_both(Stat::SrvAbrt, cx),
            _ => {}
        }
        self.uncount_backend(cx);
    }

    /// The backend has done its part.
    pub(super) fn uncount_backend(&mut self, cx: &Cx<'_>) {
        if let Some(back) = self.begun.back.take() {
            cx.shm.session_ends(Object::Back(back));
        }
    }
}

/// The counter of a status.
fn class_of(status: u16) -> Stat {
    match status / 100 {
        1 => Stat::Hrsp1xx,
        2 => Stat::Hrsp2xx,
        3 => Stat::Hrsp3xx,
        4 => Stat::Hrsp4xx,
        5 => Stat::Hrsp5xx,
        _ => Stat::HrspOther,
    }
}

fn count_times(shm: &Shared, object: Object, txn: &Txn) {
    let times = &txn.times;
    let rows = [
        (times.queue, Stat::Qtime, Stat::QtimeMax),
        (times.connect, Stat::Ctime, Stat::CtimeMax),
        (times.response, Stat::Rtime, Stat::RtimeMax),
        (times.total, Stat::Ttime, Stat::TtimeMax),
    ];
    for (ms, mean, max) in rows {
        if let Ok(ms) = u64::try_from(ms) {
            shm.slide(object, mean, ms);
            shm.raise(object, max, ms);
        }
    }
}
