//! Clients that another process accepted for us.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use lighterman_sys::fds;

use super::Worker;
use crate::base::ids::ListenerId;
use crate::net::sock::listen::ends_of;
use crate::stream::count;

/// The number of the task that takes handed clients.
pub(super) const HANDED: u16 = 2;

impl Worker<'_> {
    pub(super) fn take_handed(&mut self) {
        let mut note = [0u8; 4];
        loop {
            let Some(channel) = &self.handed else { return };
            match fds::recv_with_fds(channel.as_fd(), &mut note) {
                Ok(message) if message.len == note.len() => {
                    let listener = ListenerId(u32::from_le_bytes(note));
                    for fd in message.fds {
                        self.welcome_handed(listener, fd);
                    }
                }
                Ok(message) if message.len > 0 => {}
                // the other end has gone, or nothing waits
                Ok(_) => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    fn welcome_handed(&mut self, listener: ListenerId, fd: OwnedFd) {
        if listener.index() >= self.plan.listeners.len() {
            return;
        }
        let proxy = self.plan.proxy(self.plan.listener(listener).proxy);
        if !count::client_fits(&self.house.shm, listener, proxy.id, proxy.maxconn) {
            return;
        }
        let (src, dst) = ends_of(&fd);
        self.welcome(listener, fd, src, dst);
    }
}
