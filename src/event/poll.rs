//! The poller: the only file that names `mio::Poll`.
//!
//! Each descriptor is registered once, for reading and writing at once, edge-triggered, and leaves by
//! being closed. A token is whatever number the owner chose.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use super::ready::Edges;

/// The kernel's news about descriptors.
pub struct Poller {
    poll: Poll,
    events: Events,
    /// What a test says in place of the kernel.
    #[cfg(test)]
    pub injected: Vec<(u64, Edges)>,
}

impl Poller {
    /// A poller that takes at most `max_events` from the kernel at once.
    pub fn new(max_events: usize) -> io::Result<Self> {
        Ok(Poller {
            poll: Poll::new()?,
            events: Events::with_capacity(max_events.max(1)),
            #[cfg(test)]
            injected: Vec::new(),
        })
    }

    /// Watches a descriptor for the rest of its life.
    pub fn watch(&self, fd: RawFd, token: u64) -> io::Result<()> {
        self.register(fd, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Watches a descriptor for reading only: listening sockets, signals, wakeups.
    pub fn watch_read(&self, fd: RawFd, token: u64) -> io::Result<()> {
        self.register(fd, token, Interest::READABLE)
    }

    fn register(&self, fd: RawFd, token: u64, interest: Interest) -> io::Result<()> {
        self.poll.registry().register(&mut SourceFd(&fd), Token(token as usize), interest)
    }

    /// Forgets a descriptor that lives on (a listening socket that pauses).
    pub fn forget(&self, fd: RawFd) -> io::Result<()> {
        self.poll.registry().deregister(&mut SourceFd(&fd))
    }

    /// Waits until there is news or the time is over; `None`: as long as it takes. An interrupted wait
    /// is one without news.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            other => other,
        }
    }

    /// What the last wait brought.
    pub fn news(&self) -> impl Iterator<Item = (u64, Edges)> + '_ {
        let news = self.events.iter().map(|event| {
            let edges = Edges {
                read: event.is_readable(),
                write: event.is_writable(),
                peer_ended: event.is_read_closed(),
                error: event.is_error() || (event.is_read_closed() && event.is_write_closed()),
            };
            (event.token().0 as u64, edges)
        });
        #[cfg(test)]
        let news = news.chain(self.injected.iter().copied());
        news
    }
}
