//! What comes from the control process: clients it accepted for us, and questions.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use lighterman_sys::fds;

use super::questions::MESSAGE_MAX;
use super::Worker;
use crate::base::ids::{ListenerId, TaskId};
use crate::net::sock::listen::ends_of;
use crate::net::sock::Sock;
use crate::stream::count;

/// The number of the task that takes handed clients.
pub(super) const HANDED: u16 = 2;

impl Worker<'_> {
    /// Takes clients and questions from the control process, and sends answers.
    pub(super) fn take_handed(&mut self, task: TaskId) {
        let mut note = [0u8; MESSAGE_MAX];
        loop {
            let Some(channel) = &self.handed else { return };
            match fds::recv_with_fds(channel.as_fd(), &mut note) {
                Ok(message) if message.len == size_of::<ListenerId>() => {
                    let number = note.first_chunk().map_or(u32::MAX, |bytes| u32::from_le_bytes(*bytes));
                    for fd in message.fds {
                        self.welcome_handed(ListenerId(number), fd);
                    }
                }
                Ok(message) if message.len > 0 => self.take_question(&note[..message.len]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // the other end has gone, or nothing waits
                Ok(_) | Err(_) => break,
            }
        }
        self.send_answers(task);
    }

    fn welcome_handed(&mut self, listener: ListenerId, fd: OwnedFd) {
        if listener.index() >= self.plan.listeners.len() {
            return;
        }
        let maxconn = self.plan.proxy(self.plan.listener(listener).proxy).maxconn;
        if !count::client_fits(&self.house.shm, self.plan.listener(listener), maxconn) {
            return;
        }
        let (src, dst) = ends_of(&fd);
        self.welcome(listener, Sock::Os(fd), src, dst);
    }
}
