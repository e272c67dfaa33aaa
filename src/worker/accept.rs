//! Taking new clients, a bounded number at a time.

use std::io;

use super::Worker;
use crate::base::ids::{ListenerId, TaskId};
use crate::event::log::sink::Speaker;
use crate::event::sched::{Owner, Wake};
use crate::expr::view::Addr;
use crate::net::conn::accept::{transport, Accepted};
use crate::net::conn::Conn;
use crate::net::sock::Sock;
use crate::plan::rule::Site;
use crate::plan::{Listener, LogLevel};
use crate::shm::Object;
use crate::stream::count;

/// How long accepting rests when a limit is reached, milliseconds.
const RETRY_MS: u64 = 20;
/// Clients taken in a row while TLS handshakes wait.
const AMONG_HANDSHAKES: usize = 8;
/// The same warning is not repeated sooner, milliseconds.
const WARN_EVERY_MS: u64 = 60_000;

impl Worker<'_> {
    pub(super) fn accept(&mut self, id: ListenerId, task: TaskId) {
        let Some(place) = self.doors.iter().position(|d| d.id == id && d.task == task) else { return };
        if self.doors[place].shut {
            return;
        }
        let listener = self.plan.listener(id);
        for _ in 0..self.at_once(listener) {
            if let Some(wait_us) = self.comes_too_soon(listener) {
                return self.accept_later(task, wait_us.div_ceil(1000));
            }
            if !self.client_fits(id) {
                return self.accept_later(task, RETRY_MS);
            }
            let error = match self.doors[place].sock.accept() {
                Ok((fd, src, dst)) => {
                    self.welcome(id, Sock::Os(fd), src, dst);
                    continue;
                }
                Err(error) => error,
            };
            count::client_stays_away(&self.house.shm, listener);
            match error.raw_os_error() {
                _ if error.kind() == io::ErrorKind::WouldBlock => return,
                Some(libc::ECONNABORTED | libc::EINTR) => {}
                _ => {
                    self.warn_of_shortage(&error);
                    return self.accept_later(task, RETRY_MS);
                }
            }
        }
        // there may be more: after the others had their turn
        self.house.sched.wake(task, Wake::IO);
    }

    /// Clients taken in a row. While TLS handshakes wait already, few: those who are served go on in between.
    fn at_once(&self, listener: &Listener) -> usize {
        let most = self.plan.global.tune.maxaccept.max(1);
        match listener.tls.is_some() && self.house.sched.heavy_waiting() > 0 {
            true => most.min(AMONG_HANDSHAKES),
            false => most,
        }
    }

    /// How long the next client must wait for the limits on rates.
    fn comes_too_soon(&self, listener: &Listener) -> Option<u64> {
        let front = Object::Front(listener.proxy);
        let limit = self.plan.proxy(listener.proxy).session_rate_limit;
        let now_us = self.house.now.mono_us;
        self.house.shm.clients_wait_us(front, limit, listener.tls.is_some(), now_us)
    }

    /// Makes room for a client in what is counted, if the limits allow it.
    fn client_fits(&self, id: ListenerId) -> bool {
        let listener = self.plan.listener(id);
        count::client_fits(&self.house.shm, listener, self.plan.proxy(listener.proxy).maxconn)
    }

    /// What waits in the queue is taken when something was closed.
    fn accept_later(&mut self, task: TaskId, ms: u64) {
        self.house.sched.deadline(task, Some(self.house.now.tick.after(ms)));
    }

    /// Descriptors or memory ran out: the service goes on, the operator is told once a minute.
    fn warn_of_shortage(&mut self, error: &io::Error) {
        let now = self.house.now.tick;
        if self.warned_at.is_none_or(|at| now.since(at) >= WARN_EVERY_MS) {
            self.warned_at = Some(now);
            self.house.log.emit_fmt(
                Speaker::Program,
                LogLevel::Warning,
                format_args!("Out of file descriptors or memory, new connections wait: {error}"),
            );
        }
    }

    pub(super) fn welcome(&mut self, id: ListenerId, sock: Sock, src: Addr, dst: Addr) {
        let Worker { plan, house, conns, .. } = self;
        let listener = plan.listener(id);
        count::client_begins(&house.shm, id, listener.proxy, house.now.tick.0);
        let (tls, limit) = (listener.tls.is_some(), plan.proxy(listener.proxy).session_rate_limit);
        house.shm.client_came(Object::Front(listener.proxy), limit, tls, house.now.mono_us);
        let record = plan.global.tune.ssl_maxrecord;
        let new = Accepted { xprt: transport(sock, listener, house.tls, record), src, dst };
        let Some(vacant) = conns.vacant() else {
            return count::client_stays_away(&house.shm, listener);
        };
        let conn_id = vacant.id();
        let Some(task) = house.sched.spawn(Owner::Conn(conn_id), listener.nice) else {
            return count::client_stays_away(&house.shm, listener);
        };
        if new.xprt.sock().watch(&house.poll, task.pack()).is_err() {
            house.sched.end(task);
            return count::client_stays_away(&house.shm, listener);
        }
        let mut conn = Conn::accepted(new, listener, task, &mut house.cx(plan));
        let passes = conn.passes(Site::TcpConnection, &mut house.cx(plan));
        if !passes {
            house.sched.end(task);
            return count::client_stays_away(&house.shm, listener);
        }
        vacant.fill(conn);
    }
}
