//! Certificates that are read when they are asked for: the line to the process with file rights.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use super::Worker;
use crate::base::ids::TaskId;
use crate::event::log::sink::Speaker;
use crate::event::sched::Wake;
use crate::net::tls::change::Paper;
use crate::net::tls::store::errand::{Notice, Weight};
use crate::plan::LogLevel;
use crate::shm::Info;

/// The number of the task that hears the answers.
pub(super) const CERTS: u16 = 8;

/// How soon a line that was full is tried again, milliseconds.
const FULL_MS: u64 = 5;

impl Worker<'_> {
    /// Files come from another process from now on.
    pub(super) fn connect_certs(&mut self, line: Option<OwnedFd>) -> io::Result<()> {
        if let Some(line) = line {
            let task = self.house_task(CERTS)?;
            self.house.poll.watch_read(line.as_raw_fd(), task.pack())?;
            self.house.tls.store().connect(line, task);
        }
        Ok(())
    }

    /// Files have come, or are overdue: those who wait look again.
    pub(super) fn hear_certs(&mut self, task: TaskId) {
        let (tasks, due) = self.house.tls.store().hear(self.house.now);
        for waiting in tasks {
            self.house.sched.wake(waiting, Wake::IO);
        }
        self.take_papers();
        self.census_is_due();
        // a command may wait for a file
        self.wake_desk();
        // a line that was full is tried again soon
        let full = self.house.tls.store().has_unsent().then(|| self.house.now.tick.after(FULL_MS));
        self.house.sched.deadline(task, due.into_iter().chain(full).min());
    }

    /// Makes the changes that were ordered, and hears what came of those that were wished for.
    fn take_papers(&mut self) {
        for paper in self.house.tls.store().take_papers() {
            match paper {
                Paper::Order(number, change) => {
                    let fault = match self.house.tls.obey(&change) {
                        Ok(servers) => {
                            servers.into_iter().for_each(|server| self.leave_address(server));
                            String::new()
                        }
                        Err(why) => why,
                    };
                    self.house.tls.store().send_paper(Paper::Done(number, fault));
                }
                Paper::Done(number, fault) => self.hear_change(number, fault),
                Paper::Wish(..) => {}
            }
        }
    }

    /// Tells the operator about certificates that could not be read, and counts.
    pub(super) fn report_certs(&mut self) {
        if let Some(done) = self.house.tls.store().take_counts() {
            let process = self.house.shm.process();
            process.count(Info::SslCertLookups, done.hits + done.misses);
            process.count(Info::SslCertMisses, done.misses);
            process.count(Info::SslCertFailures, done.failures);
            process.count(Info::SslCertEvictions, done.evicted);
        }
        for line in self.house.tls.responses().take_news() {
            self.house.log.emit(Speaker::Program, LogLevel::Warning, line.as_bytes());
        }
        for Notice { weight, times, text } in self.house.tls.store().take_news() {
            let level = match weight {
                Weight::Info => LogLevel::Info,
                Weight::Warning => LogLevel::Warning,
                Weight::Alarm => {
                    self.house.shm.process().count(Info::SslWatchErrors, times.into());
                    LogLevel::Err
                }
            };
            self.house.log.emit(Speaker::Program, level, text.as_bytes());
        }
    }
}
