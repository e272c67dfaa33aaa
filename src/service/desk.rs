//! The command sockets of one process: doors, clients, and their tasks.
//!
//! Owned by the loop of the control role (or of the only process), which forwards wakeups by owner
//! ([`Owner::Applet`] for clients, [`Owner::House`] with the number of a door) and the poller's edges;
//! tokens are packed task ids. A desk has as many seats as `stats maxconn` says; when
//! all are taken, further clients wait in the kernel's queue.

use super::applet::{CliClient, CliDoor, ClientNext};
use super::cli::CliCx;
use crate::base::arena::Arena;
use crate::base::ids::{AppletId, Applets, TaskId};
use crate::event::poll::Poller;
use crate::event::ready::Edges;
use crate::event::sched::{Owner, Sched, Wake};
use std::io;

struct Seat {
    client: CliClient,
    task: TaskId,
}

/// The command sockets of one process.
pub struct Desk {
    doors: Vec<CliDoor>,
    seats: Arena<Seat, Applets>,
    /// Number of the first door's owner.
    first: u16,
    /// A client may wait that found no seat.
    crowded: bool,
}

impl Desk {
    /// A desk with at most `seats` clients at once (`stats maxconn`). The task of the first door is
    /// owned by [`Owner::House`] of number `first`, the others follow.
    pub fn open(
        doors: Vec<CliDoor>,
        seats: u32,
        first: u16,
        sched: &mut Sched,
        poll: &Poller,
    ) -> io::Result<Desk> {
        for (number, door) in (first..).zip(&doors) {
            let task = sched.spawn(Owner::House(number), 0).ok_or(io::ErrorKind::OutOfMemory)?;
            poll.watch_read(door.fd(), task.pack())?;
            sched.wake(task, Wake::INIT);
        }
        Ok(Desk { doors, seats: Arena::with_limit(seats.max(1)), first, crowded: false })
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
    pub fn close_doors(&mut self, poll: &Poller) {
        for door in self.doors.drain(..) {
            // The socket lives on in other processes, so that closing it here would not end its news.
            let _ = poll.forget(door.fd());
        }
    }

    /// Lets in who waits at the door whose task is owned by [`Owner::House`] of that number. An error
    /// is that of the socket; the door stays open.
    pub fn on_door(&mut self, number: u16, sched: &mut Sched, poll: &Poller) -> io::Result<()> {
        let place = number.checked_sub(self.first).map(usize::from);
        let Some(door) = place.and_then(|place| self.doors.get(place)) else { return Ok(()) };
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
            if let Err(why) = poll.watch(client.fd(), task.pack()) {
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
    pub fn on_wake(&mut self, id: AppletId, sched: &mut Sched, cx: &mut CliCx<'_>, poll: &Poller) {
        let Some(seat) = self.seats.get_mut(id) else { return };
        match seat.client.on_wake(cx) {
            ClientNext::Wait(deadline) => sched.deadline(seat.task, deadline),
            ClientNext::Again => sched.wake(seat.task, Wake::IO),
            ClientNext::Close => {
                sched.end(seat.task);
                self.seats.remove(id);
                self.refill(sched, poll);
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
    fn refill(&mut self, sched: &mut Sched, poll: &Poller) {
        if !std::mem::take(&mut self.crowded) {
            return;
        }
        for number in (self.first..).take(self.doors.len()) {
            // What is wrong with a door shows again when the next client comes.
            let _ = self.on_door(number, sched, poll);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::tick::Clock;
    use crate::plan::global::CliLevel;
    use crate::plan::Plan;
    use crate::service::cli::fuzz::{memory_for, Nobody};
    use crate::service::cli::Face;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    struct Scene {
        desk: Desk,
        sched: Sched,
        poll: Poller,
        clock: Clock,
        plan: Plan,
    }

    impl Scene {
        fn new(door: CliDoor, seats: u32) -> Scene {
            let (mut sched, poll) = (Sched::new(10), Poller::new(10).unwrap());
            let desk = Desk::open(vec![door], seats, 7, &mut sched, &poll).unwrap();
            Scene { desk, sched, poll, clock: Clock::virtual_from_start(), plan: Plan::default() }
        }

        /// Takes the poller's news and runs all tasks until nobody has anything to do.
        fn run(&mut self) {
            let Scene { desk, sched, poll, clock, plan } = self;
            poll.wait(Some(Duration::ZERO)).unwrap();
            for (token, edges) in poll.news() {
                let task = TaskId::unpack(token);
                match sched.owner(task) {
                    Some(Owner::Applet(id)) => desk.on_edges(id, edges, sched),
                    _ => sched.wake(task, Wake::IO),
                }
            }
            sched.expire(clock.read().tick);
            let (shm, mut host) = (memory_for(plan).unwrap(), Nobody);
            while let Some((owner, _, _)) = sched.next() {
                let mut cx = CliCx { plan, now: clock.read(), shm: &shm, host: &mut host };
                match owner {
                    Owner::Applet(id) => desk.on_wake(id, sched, &mut cx, poll),
                    Owner::House(number) => desk.on_door(number, sched, poll).unwrap(),
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn clients_beyond_the_seats_wait_for_their_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let door =
            CliDoor::new(listener.into(), CliLevel::User, Face::Traffic, Duration::from_secs(10)).unwrap();
        let mut scene = Scene::new(door, 2);
        let mut clients: Vec<TcpStream> = (0..4).map(|_| TcpStream::connect(address).unwrap()).collect();
        clients[0].set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        scene.run();
        assert_eq!(scene.desk.len(), 2);
        clients[0].write_all(b"show cli level\n").unwrap();
        let first = scene.desk.seats.iter().next().unwrap().0;
        // The bytes are on their way through the kernel's loopback.
        while scene.desk.seats.contains(first) {
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
        scene.desk.close_doors(&scene.poll);
        scene.clock.advance(10_000);
        scene.run();
        assert!(scene.desk.is_empty());
    }
}
