//! Who is woken, and what becomes of them: births and deaths happen here, after every borrow has ended.

use super::Worker;
use crate::base::ids::{ConnId, StreamId, TaskId};
use crate::event::sched::{Owner, Wake};
use crate::net::cx::{Birth, Verdict};
use crate::stream::{count, track, Below, Stream};

impl Worker<'_> {
    pub(super) fn dispatch(&mut self, owner: Owner, task: TaskId, why: Wake) {
        match owner {
            Owner::Listener(id) => self.accept(id, task),
            Owner::Conn(id) => self.wake_conn(id, task, why),
            Owner::Stream(id) => self.wake_stream(id, task, why),
            Owner::House(super::signals::SIGNALS) => self.on_signals(),
            Owner::House(super::handed::HANDED) => self.take_handed(task),
            Owner::House(super::changes::BELL) => self.hear_bell(),
            Owner::House(super::purge::PURGE) => self.purge(),
            Owner::House(super::places::PLACES) => self.fill_places(false),
            Owner::House(super::watch::WATCH) => self.keep_watch(task),
            Owner::House(super::certs::CERTS) => self.hear_certs(task),
            Owner::House(super::census::CENSUS) => self.take_census(),
            Owner::House(super::ocsp::OCSP) => self.refresh_ocsp(task),
            Owner::House(super::desk::MASTER) => self.hear_master(),
            Owner::House(super::drain::FAREWELL) => self.bid_farewell(task),
            Owner::House(number) if number >= super::questions::ANSWERS => self.take_answers(number),
            Owner::House(number) => self.on_desk_door(number),
            Owner::Applet(id) => self.on_desk_client(id, task, why),
            Owner::Check(_) => {}
        }
    }

    pub(super) fn wake_conn(&mut self, id: ConnId, task: TaskId, why: Wake) {
        let Worker { plan, house, conns, births, .. } = self;
        let Some(conn) = conns.get_mut(id) else { return };
        let verdict = conn.on_wake(id, why, &mut house.cx(plan), births);
        if verdict == Verdict::Close {
            self.bury_conn(id, task);
        }
        while let Some(birth) = self.births.pop() {
            self.deliver(&birth);
        }
    }

    fn bury_conn(&mut self, id: ConnId, task: TaskId) {
        if let Some(conn) = self.conns.remove(id) {
            if conn.tls().is_some() {
                self.house.shm.ssl_conn_ends();
            }
            if let Some(side) = conn.server().filter(|side| side.pooled) {
                let idle = &mut self.backends.server(side.server).idle;
                if let Some(place) = idle.iter().position(|other| *other == id) {
                    idle.remove(place);
                }
            }
            if let Some(client) = conn.client() {
                if let Some(own) = client.private.and_then(|id| self.conns.get(id)) {
                    self.house.sched.wake(own.task, Wake::KILL);
                }
                count::client_ends(&self.house.shm, client.facts.listener, client.facts.frontend);
                track::let_go(&client.tracks, &self.house.shm, self.house.now.tick.0);
            }
        }
        self.house.sched.end(task);
    }

    /// Makes the stream a connection asks for, and runs it at once.
    fn deliver(&mut self, birth: &Birth) {
        let Worker { plan, house, conns, streams, backends, errors, .. } = self;
        let nice = conns
            .get(birth.conn)
            .and_then(|c| c.client())
            .map_or(0, |client| plan.listener(client.facts.listener).nice);
        let made = streams.vacant().and_then(|vacant| {
            let id = vacant.id();
            let task = house.sched.spawn(Owner::Stream(id), nice)?;
            let mut below = Below { conns, backends, errors };
            match Stream::new(task, birth.conn, birth.with, &mut below, &mut house.cx(plan)) {
                Some(stream) => {
                    vacant.fill(stream);
                    Some((id, task))
                }
                None => {
                    house.sched.end(task);
                    None
                }
            }
        });
        match made {
            Some((id, task)) => self.wake_stream(id, task, Wake::INIT),
            None => self.house.sched.wake(birth.task, Wake::KILL),
        }
    }

    fn wake_stream(&mut self, id: StreamId, task: TaskId, why: Wake) {
        let (streams, mut below, mut cx) = self.lend();
        let Some(stream) = streams.get_mut(id) else { return };
        if stream.on_wake(why, &mut below, &mut cx) == Verdict::Close {
            streams.remove(id);
            self.house.sched.end(task);
        }
    }
}
