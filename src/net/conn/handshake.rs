//! What comes before the first byte of traffic: the end of a connection attempt, PROXY headers in and
//! out, TLS. A short queue, run in order; all of it is bounded by one deadline.

use super::{Conn, Peer, Stage};
use crate::base::ids::ConnId;
use crate::event::ready::Ready;
use crate::event::sched::Wake;
use crate::net::cx::{Birth, Cx, Verdict};
use crate::net::fault::{Cause, Fault};
use crate::net::sock::Sock;
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
    /// TLS, either side.
    Tls,
}

/// The handshakes of a connection that are still to be made, the next one last.
pub(super) struct Shakes {
    left: Vec<Shake>,
}

impl Shakes {
    /// A queue of handshakes in the order in which they are made; none: no queue.
    pub(super) fn in_order(mut shakes: Vec<Shake>) -> Option<Box<Shakes>> {
        if shakes.is_empty() {
            return None;
        }
        shakes.reverse();
        Some(Box::new(Shakes { left: shakes }))
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
            return self.shake_failed(Fault::new(Cause::TimedOut), cx);
        }
        if matches!(self.stage, Stage::Connecting) {
            match connected(self.xprt.sock(), &self.ready) {
                Step::Wait => return Verdict::Keep,
                Step::Failed(fault) => return self.shake_failed(fault, cx),
                Step::Done => self.stage = Stage::Shaking,
            }
        }
        while let Some(shakes) = &mut self.shakes {
            let Some(shake) = shakes.left.last_mut() else { break };
            match shake.step(&mut self.xprt, &mut self.ready, &mut self.peer, cx) {
                Step::Wait => return Verdict::Keep,
                Step::Failed(fault) => return self.shake_failed(fault, cx),
                Step::Done => drop(shakes.left.pop()),
            }
        }
        self.open(id, cx, births)
    }

    fn shake_failed(&mut self, fault: Fault, cx: &mut Cx<'_>) -> Verdict {
        self.shakes = None;
        self.stage = Stage::Failed(fault);
        if let Peer::Client(_) = &self.peer {
            self.log_failure(fault, cx);
            return self.close(cx);
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

impl Shake {
    fn step(&mut self, xprt: &mut Transport, ready: &mut Ready, peer: &mut Peer, cx: &mut Cx<'_>) -> Step {
        let _ = peer;
        match self {
            Shake::Tls => match xprt.handshake(ready, cx.pool) {
                Hands::Done => Step::Done,
                Hands::Again => Step::Wait,
                Hands::Fault(fault) => Step::Failed(fault),
            },
        }
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

impl Conn {
    /// One line for a client whose handshake failed: it never had a stream to speak for it.
    fn log_failure(&self, fault: Fault, cx: &mut Cx<'_>) {
        let _ = (fault, cx);
    }
}
