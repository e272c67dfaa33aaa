//! The command sockets of one process: doors, clients, and their tasks.
//!
//! Owned by the loop of the control role (or of the only process), which forwards wakeups by
//! [`Owner::Applet`] and the poller's edges. A desk has as many seats as `stats maxconn` says; when
//! all are taken, further clients wait in the kernel's queue.

use super::applet::{CliClient, CliDoor, ClientNext};
use super::cli::CliCx;
use crate::base::arena::Arena;
use crate::base::ids::{AppletId, Applets, TaskId};
use crate::event::ready::Edges;
use crate::event::sched::{Owner, Sched, Wake};
use std::io;
use std::os::fd::RawFd;

/// Registers a client's descriptor with the poller.
pub type Watch<'a> = &'a mut dyn FnMut(RawFd, AppletId) -> io::Result<()>;

struct Seat {
    client: CliClient,
    task: TaskId,
}

/// The command sockets of one process.
pub struct Desk {
    doors: Vec<CliDoor>,
    seats: Arena<Seat, Applets>,
    /// A client may wait that found no seat.
    crowded: bool,
}

impl Desk {
    /// A desk with at most `seats` clients at once (`stats maxconn`).
    pub fn new(doors: Vec<CliDoor>, seats: u32) -> Desk {
        Desk { doors, seats: Arena::with_limit(seats.max(1)), crowded: false }
    }

    /// The doors' descriptors, to be watched for reading; their positions are what
    /// [`Desk::on_door`] takes.
    pub fn doors(&self) -> impl Iterator<Item = RawFd> + '_ {
        self.doors.iter().map(CliDoor::fd)
    }

    /// Clients at the desk.
    pub fn len(&self) -> usize {
        self.seats.len()
    }

    /// Whether nobody is at the desk.
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// Takes no more clients (soft stop).
    pub fn close_doors(&mut self) {
        self.doors.clear();
    }

    /// Lets in who waits at a door. An error is that of the socket; the door stays open.
    pub fn on_door(&mut self, door: usize, sched: &mut Sched, watch: Watch<'_>) -> io::Result<()> {
        let Some(door) = self.doors.get(door) else { return Ok(()) };
        loop {
            let Some(vacant) = self.seats.vacant() else {
                self.crowded = true;
                return Ok(());
            };
            let id = vacant.id();
            let Some(client) = door.accept()? else { return Ok(()) };
            let Some(task) = sched.spawn(Owner::Applet(id), 0) else {
                self.crowded = true;
                return Ok(());
            };
            if let Err(why) = watch(client.fd(), id) {
                sched.end(task);
                return Err(why);
            }
            vacant.fill(Seat { client, task });
            sched.wake(task, Wake::INIT);
        }
    }

    /// The poller has news of a client.
    pub fn on_edges(&mut self, id: AppletId, edges: Edges, sched: &mut Sched) {
        if let Some(seat) = self.seats.get_mut(id) {
            seat.client.ready.merge(edges);
            sched.wake(seat.task, Wake::IO);
        }
    }

    /// A client's task runs.
    pub fn on_wake(&mut self, id: AppletId, sched: &mut Sched, cx: &mut CliCx<'_>, watch: Watch<'_>) {
        let Some(seat) = self.seats.get_mut(id) else { return };
        match seat.client.on_wake(cx) {
            ClientNext::Wait(deadline) => sched.deadline(seat.task, deadline),
            ClientNext::Again => sched.wake(seat.task, Wake::IO),
            ClientNext::Close => {
                sched.end(seat.task);
                self.seats.remove(id);
                self.refill(sched, watch);
            }
        }
    }

    /// Wakes every client whose command waits for other processes: an answer has come.
    pub fn on_news(&mut self, sched: &mut Sched) {
        for (_, seat) in self.seats.iter() {
            sched.wake(seat.task, Wake::QUEUE);
        }
    }

    /// A seat is free: whoever found none may come in now.
    fn refill(&mut self, sched: &mut Sched, watch: Watch<'_>) {
        if !std::mem::take(&mut self.crowded) {
            return;
        }
        for door in 0..self.doors.len() {
            // What is wrong with a door shows again when the next client comes.
            let _ = self.on_door(door, sched, watch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::tick::Clock;
    use crate::plan::global::CliLevel;
    use crate::plan::Plan;
    use crate::service::cli::fuzz::{Nobody, PaperBoard};
    use crate::service::cli::Face;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    struct Scene {
        desk: Desk,
        sched: Sched,
        clock: Clock,
        plan: Plan,
    }

    impl Scene {
        /// Runs all tasks until nobody has anything to do.
        fn run(&mut self) {
            self.sched.expire(self.clock.read().tick);
            let (board, mut host) = (PaperBoard::new(&self.plan), Nobody::default());
            while let Some((owner, _, _)) = self.sched.next() {
                let Owner::Applet(id) = owner else { continue };
                let now = self.clock.read();
                let mut cx = CliCx { plan: &self.plan, now, board: &board, host: &mut host };
                self.desk.on_wake(id, &mut self.sched, &mut cx, &mut |_, _| Ok(()));
            }
        }

        fn knock(&mut self) {
            self.desk.on_door(0, &mut self.sched, &mut |_, _| Ok(())).unwrap();
        }
    }

    #[test]
    fn clients_beyond_the_seats_wait_for_their_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let door =
            CliDoor::new(listener.into(), CliLevel::User, Face::Traffic, Duration::from_secs(10)).unwrap();
        let mut scene = Scene {
            desk: Desk::new(vec![door], 2),
            sched: Sched::new(10),
            clock: Clock::virtual_from_start(),
            plan: Plan::default(),
        };
        assert_eq!(scene.desk.doors().count(), 1);
        let mut clients: Vec<TcpStream> = (0..4).map(|_| TcpStream::connect(address).unwrap()).collect();
        for client in &mut clients {
            client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        }
        scene.knock();
        assert_eq!(scene.desk.len(), 2);
        clients[0].write_all(b"show cli level\n").unwrap();
        let all = Edges { read: true, write: true, ..Edges::default() };
        let ids: Vec<AppletId> = scene.desk.seats.iter().map(|(id, _)| id).collect();
        // The bytes are on their way through the kernel's loopback.
        while scene.desk.seats.contains(ids[0]) {
            scene.desk.on_edges(ids[0], all, &mut scene.sched);
            scene.run();
        }
        let mut heard = String::new();
        clients[0].read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "user\n\n");
        assert_eq!(scene.desk.len(), 2, "the third has taken the seat");
        // The silent ones lose theirs, the fourth gets one.
        scene.clock.advance(10_000);
        scene.run();
        assert_eq!(scene.desk.len(), 1);
        scene.desk.close_doors();
        scene.clock.advance(10_000);
        scene.run();
        assert!(scene.desk.is_empty() && scene.sched.count().0 == 0);
    }
}
