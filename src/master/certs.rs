//! Certificates between processes: the line from the one with file rights to one without. It answers requests for files, and
//! brings new versions of indexes, changes by commands and lines for the log.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::event::line;
use crate::net::tls::change::Paper;
use crate::net::tls::store::errand::{self, Notice, Weight};
use crate::net::tls::store::Store;

/// How often a process that takes no more news is tried again, milliseconds.
pub(super) const OWED_EVERY_MS: u64 = 20;

/// Lines for the log that wait for somebody to write them.
const NOTICES_MAX: usize = 200;

/// The end of a line, and what the process at the other end knows.
pub(super) struct CertLine {
    end: OwnedFd,
    /// The certificates of its generation.
    store: Arc<Store>,
    /// Versions of the indexes it has.
    told: Vec<u32>,
    /// What is to be brought about changes.
    papers: VecDeque<Paper>,
    cut: bool,
}

impl CertLine {
    /// To a process that was forked just now, and so has what this one has.
    pub(super) fn new(end: OwnedFd, store: Arc<Store>) -> Self {
        let told = store.versions();
        CertLine { end, store, told, papers: VecDeque::new(), cut: false }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }

    /// Opens the files the other end asks for; what it says about changes is left to the caller.
    pub(super) fn answer(&self, papers: &mut Vec<Paper>) {
        self.store.answer(self.as_fd(), papers);
    }

    /// Brings this about a change, as soon as the line takes it.
    pub(super) fn push(&mut self, paper: Paper) {
        self.papers.push_back(paper);
    }

    /// Brings what is to be said about changes. False: the line is full, try again.
    fn bring_papers(&mut self) -> bool {
        while let Some(paper) = self.papers.front() {
            match paper.send(self.end.as_fd()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // the other end is gone, or memory is short: who waits for an answer does not do so for ever
                Err(_) => {}
            }
            self.papers.pop_front();
        }
        true
    }

    /// Whether the other end is gone: the poller would say so for ever.
    pub(super) fn is_cut(&self) -> bool {
        self.cut || line::is_cut(self.as_fd())
    }

    /// Brings indexes that have changed, and changes. False: the line is full, try again.
    pub(super) fn bring(&mut self) -> bool {
        self.bring_indexes() && self.bring_papers()
    }

    fn bring_indexes(&mut self) -> bool {
        for (place, (told, version)) in self.told.iter_mut().zip(self.store.versions()).enumerate() {
            if *told == version {
                continue;
            }
            let place = place as u32;
            let Some((index, version)) = self.store.index(place) else { continue };
            let Some(bytes) = index.shared() else { continue };
            match errand::bring_index(self.end.as_fd(), place, version, bytes) {
                Ok(()) => *told = version,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => {
                    // the other end is gone
                    self.cut = true;
                    return true;
                }
            }
        }
        true
    }
}

/// Lines for the log, until a process that writes one takes them.
#[derive(Default)]
pub(super) struct Notices {
    waiting: VecDeque<Notice>,
}

impl Notices {
    /// One more, for the terminal at once.
    pub(super) fn put(&mut self, notice: Notice) {
        match notice.weight {
            Weight::Info => log::info!("{}", notice.text),
            Weight::Warning | Weight::Alarm => log::warn!("{}", notice.text),
        }
        if self.waiting.len() < NOTICES_MAX {
            self.waiting.push_back(notice);
        }
    }

    /// Sends them, as far as the line takes them. False: it is full, try again.
    pub(super) fn send(&mut self, line: &CertLine) -> bool {
        while let Some(notice) = self.waiting.front() {
            if errand::tell(line.as_fd(), notice).is_err() {
                return false;
            }
            self.waiting.pop_front();
        }
        true
    }
}
