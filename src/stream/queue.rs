//! Waiting for a place at a server that has as many requests as its `maxconn` allows.
//!
//! Called while a stream looks for its server. Places are counted in shared memory, over all workers. A
//! stream that leaves a server wakes the first one that waits in its own worker; places that come free
//! in another way (another worker, another limit, a server that is back) are found by looking again.

use super::{Below, Phase, Step, Stream};
use crate::base::ids::ServerId;
use crate::event::sched::Wake;
use crate::expr::view::Timeout;
use crate::net::cx::Cx;
use crate::shm::Object;

/// How often a stream that waits looks again, milliseconds.
pub(super) const LOOK_AGAIN_MS: u64 = 50;

impl Stream {
    /// Takes a place at a server, if one is left.
    pub(super) fn server_fits(&self, server: ServerId, below: &Below<'_>, cx: &Cx<'_>) -> bool {
        cx.shm.session_fits(Object::Server(server), below.backends.view(server).maxconn)
    }

    /// Waits for a place: at this server, or at any of the backend.
    pub(super) fn wait_for_place(
        &mut self,
        server: Option<ServerId>,
        below: &mut Below<'_>,
        cx: &mut Cx<'_>,
    ) -> Step {
        let again = self.attempt.waits.is_some();
        below.backends.wait(self.backend, self.task, server, again);
        if !again {
            let object = server.map_or(Object::Back(self.backend), Object::Server);
            cx.shm.wait_begins(object);
            self.attempt.waits = Some(object);
            self.clock.phase_until = cx.now.tick.deadline(self.limit(Timeout::Queue, cx));
        }
        Step::Wait
    }

    /// Waits no more; `placed`: it has found its place. One that was told of a place and does not take it
    /// tells the next.
    pub(super) fn wait_no_more(&mut self, placed: bool, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        let Some(object) = self.attempt.waits.take() else { return };
        cx.shm.wait_ends(object);
        self.clock.phase_until = None;
        if !below.backends.forget(self.backend, self.task) && !placed {
            if let Some(next) = below.backends.next_waiting(self.backend) {
                cx.sched.wake(next, Wake::IO);
            }
        }
    }

    /// `timeout queue`.
    pub(super) fn queue_timeout(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Phase {
        self.txn.term = *b"sQ--";
        self.no_server(below, cx)
    }
}
