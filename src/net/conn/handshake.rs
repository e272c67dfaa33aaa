//! What comes before the first byte of traffic: the end of a connection attempt, PROXY headers in and
//! out, TLS. A short queue, run in order; all of it is bounded by one deadline.

use super::proxy_in::ProxyIn;
use super::{failure, tally, Conn, Peer, Stage};
use crate::base::buffer::Buffer;
use crate::base::ids::{ConnId, TaskId};
use crate::base::pool::Pool;
use crate::base::tick::Stopwatch;
use crate::event::ready::Ready;
use crate::event::sched::Wake;
use crate::net::cx::{Birth, Cx, Verdict};
use crate::net::fault::{Cause, Fault, ProxyFault};
use crate::net::sock::Sock;
use crate::net::tls::store::Awaited;
use crate::net::transport::{Hands, Transport};

/// What came of one step.
pub(super) enum Step {
    /// The next one.
    Done,
    /// The transport must have news first.
    Wait,
    /// It failed.
    Failed(Fault),
}

/// One handshake.
pub(super) enum Shake {
    /// A PROXY header from the client.
    ProxyIn(ProxyIn),
    /// A PROXY header for the server: it leaves with the first bytes of what follows.
    ProxyOut(Buffer),
    /// TLS, either side.
    Tls,
}

/// The handshakes of a connection that are still to be made, the next one last.
pub(super) struct Shakes {
    left: Vec<Shake>,
    /// It stands in line for a full handshake.
    in_line: bool,
}

impl Shakes {
    /// A queue of handshakes in the order in which they are made; none: no queue.
    pub(super) fn in_order(mut shakes: Vec<Shake>) -> Option<Box<Shakes>> {
        if shakes.is_empty() {
            return None;
        }
        shakes.reverse();
        Some(Box::new(Shakes { left: shakes, in_line: false }))
    }

    /// A PROXY header must come before all else, unless it is awaited already.
    pub(super) fn expect_proxy(shakes: &mut Option<Box<Shakes>>) {
        let shakes = shakes.get_or_insert_with(|| Box::new(Shakes { left: Vec::new(), in_line: false }));
        if !matches!(shakes.left.last(), Some(Shake::ProxyIn(_))) {
            shakes.left.push(Shake::ProxyIn(ProxyIn::default()));
        }
    }

    /// Gives back what they hold.
    pub(super) fn release(&mut self, pool: &mut Pool) {
        for shake in self.left.drain(..) {
            let held = match shake {
                Shake::ProxyIn(mut shake) => shake.rest(),
                Shake::ProxyOut(header) => Some(header),
                Shake::Tls => None,
            };
            held.into_iter().for_each(|buf| pool.put(buf));
        }
    }

    /// TLS is what goes on, or comes next.
    fn is_tls(&self) -> bool {
        matches!(self.left.last(), Some(Shake::Tls))
    }

    /// What is late when the time is over.
    fn too_late(&self) -> Fault {
        match self.left.last() {
            Some(Shake::ProxyIn(_)) => Fault::new(Cause::Proxy(ProxyFault::TimedOut)),
            _ => Fault::new(Cause::TimedOut),
        }
    }
}

impl Conn {
    pub(super) fn on_shaking(
        &mut self,
        id: ConnId,
        why: Wake,
        cx: &mut Cx<'_>,
        births: &mut Vec<Birth>,
    ) -> Verdict {
        if why.has(Wake::TIMER) {
            let fault = self.shakes.as_ref().map_or(Fault::new(Cause::TimedOut), |s| s.too_late());
            return self.shake_failed(fault, cx);
        }
        if matches!(self.stage, Stage::Connecting) {
            match connected(self.xprt.sock(), &self.ready) {
                Step::Wait => return Verdict::Keep,
                Step::Failed(fault) => return self.shake_failed(fault, cx),
                Step::Done => self.stage = Stage::Shaking,
            }
        }
        if self.waits_in_line(why) {
            return match self.ready.peer_ended() {
                true => self.shake_failed(Fault::new(Cause::Ended), cx),
                false => Verdict::Keep,
            };
        }
        while let Some(mut shake) = self.shakes.as_mut().and_then(|shakes| shakes.left.pop()) {
            let step = self.shake(&mut shake, why, cx);
            if matches!(step, Step::Done) {
                self.hand_on(shake);
                continue;
            }
            if let Some(shakes) = &mut self.shakes {
                shakes.left.push(shake);
            }
            return match step {
                Step::Failed(fault) => self.shake_failed(fault, cx),
                _ => Verdict::Keep,
            };
        }
        if let Some(tls) = self.xprt.tls() {
            tally::shaken(&self.peer, tls.resumed(), cx);
        }
        self.open(id, cx, births)
    }

    /// It stands in line for a full handshake, and its turn has not come yet.
    fn waits_in_line(&mut self, why: Wake) -> bool {
        let Some(shakes) = &mut self.shakes else { return false };
        shakes.in_line &= !why.has(Wake::GRANT);
        shakes.in_line
    }

    fn shake(&mut self, shake: &mut Shake, why: Wake, cx: &mut Cx<'_>) -> Step {
        let Conn { task, xprt, ready, peer, .. } = self;
        match (shake, peer) {
            (Shake::Tls, _) => {
                let granted = why.has(Wake::GRANT) || xprt.is_granted();
                let mut hands = Hands::Heavy;
                if !granted {
                    hands = xprt.handshake(ready, cx.pool);
                }
                if hands == Hands::Heavy {
                    if !granted && !cx.sched.heavy_is_free() {
                        return self.stand_in_line(cx);
                    }
                    let watch = Stopwatch::start();
                    xprt.grant();
                    hands = xprt.handshake(ready, cx.pool);
                    cx.sched.heavy_took(watch.elapsed_us());
                }
                if let Some(awaited) = xprt.newly_awaits() {
                    await_certificate(awaited, *task, cx);
                }
                match hands {
                    Hands::Done => Step::Done,
                    Hands::Again | Hands::Heavy => Step::Wait,
                    Hands::Fault(fault) => Step::Failed(fault),
                }
            }
            (Shake::ProxyIn(shake), Peer::Client(client)) => {
                shake.step(xprt.sock_mut(), ready, &mut client.facts, (*task, cx.pool))
            }
            (Shake::ProxyIn(_), Peer::Server(_)) | (Shake::ProxyOut(_), _) => Step::Done,
        }
    }

    /// A full handshake must wait until it fits into a turn; where too many wait already, this client is sent away
    /// before it has cost anything.
    fn stand_in_line(&mut self, cx: &mut Cx<'_>) -> Step {
        if cx.sched.stand_in_line(self.task) {
            if let Some(shakes) = &mut self.shakes {
                shakes.in_line = true;
            }
            return Step::Wait;
        }
        self.xprt.sock().reset_on_close();
        Step::Failed(Fault::new(Cause::Busy))
    }

    /// What a handshake leaves belongs to what comes after it: TLS, else the mux.
    fn hand_on(&mut self, shake: Shake) {
        match shake {
            Shake::ProxyIn(mut shake) => match (shake.rest(), &mut self.xprt) {
                (Some(input), Transport::Ssl(ssl)) => ssl.push_input(input),
                (Some(input), Transport::Raw(_)) => self.mux.push_input(input),
                (None, _) => {}
            },
            Shake::ProxyOut(header) => match &mut self.xprt {
                Transport::Ssl(ssl) => ssl.push_output(header),
                Transport::Raw(_) => self.mux.push_output(header),
            },
            Shake::Tls => {}
        }
    }

    fn shake_failed(&mut self, fault: Fault, cx: &mut Cx<'_>) -> Verdict {
        if fault.cause == Cause::Busy {
            failure::report_busy(&self.peer, cx);
            return self.close(cx);
        }
        let in_tls = self.shakes.as_ref().is_some_and(|shakes| shakes.is_tls());
        if in_tls && !matches!(self.stage, Stage::Connecting) {
            tally::failed(&self.peer, cx);
            if let Peer::Server(side) = &mut self.peer {
                failure::report_server(fault, side, cx);
            }
        }
        self.stage = Stage::Failed(fault);
        if let Peer::Client(client) = &mut self.peer {
            let story = match &self.xprt {
                Transport::Ssl(ssl) if in_tls => Some(failure::Story::of(fault, ssl)),
                _ => None,
            };
            failure::report(fault, client, story, self.xprt.tls(), cx);
            return self.close(cx);
        }
        if let Some(mut shakes) = self.shakes.take() {
            shakes.release(cx.pool);
        }
        match self.mux.upper() {
            Some(upper) => {
                cx.sched.wake(upper, Wake::CONNECTED);
                Verdict::Keep
            }
            None => self.close(cx),
        }
    }
}

/// Wakes the task when a certificate has come, or will not come.
fn await_certificate(awaited: Awaited, task: TaskId, cx: &mut Cx<'_>) {
    if let Some((clerk, due)) = cx.tls.store().wait(awaited, task) {
        cx.sched.deadline(clerk, Some(due));
    }
}

/// Whether a connection attempt is over, and how.
fn connected(sock: &Sock, ready: &Ready) -> Step {
    if !ready.writable() {
        return Step::Wait;
    }
    if ready.broken() {
        return Step::Failed(sock.take_error().map_or(Fault::new(Cause::Reset), |e| Fault::from_io(&e)));
    }
    Step::Done
}
