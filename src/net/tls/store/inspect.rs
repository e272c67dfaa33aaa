//! A close look at one file of a watched directory: what it holds now, and whether that may be used.

use std::io;

use super::build::Facts;
use super::index::{flag, path_of, Entry};
use super::look::{facts, stamp_of, Walk};
use super::spool::{Record, Spool};
use crate::net::tls::certs::{CertError, CertFault, Outline};
use crate::net::tls::files::Files;

/// What there is.
pub(super) enum Finding {
    /// What was known already.
    Same,
    /// No certificate any more, by somebody's will.
    Gone,
    /// Somebody writes it.
    Busy,
    /// Good, and kept.
    Good(Facts, Outline),
    /// Good, but there was no room to keep it.
    Unkept(Facts, Outline, io::Error),
    /// No good; what the files looked like.
    Bad(u64, CertError),
}

/// What is needed for it.
pub(super) struct Inspector<'i> {
    pub(super) walk: &'i Walk<'i>,
    pub(super) how: &'i Files,
    pub(super) spool: &'i Spool,
    /// Seconds since 1970.
    pub(super) now_s: u64,
}

impl Inspector<'_> {
    /// Looks at the certificate of this name; `known` is what the index says of it.
    pub(super) fn inspect(&self, name: &[u8], known: Option<&Entry>) -> Finding {
        let by_command = |mark: u64| known.is_some_and(|e| e.mark == mark && e.flags & flag::BLOB != 0);
        let seen = match self.walk.look(name) {
            // a command has replaced it, and the file is as it was then
            Ok(Some(seen)) if by_command(seen.mark) => return Finding::Same,
            Ok(Some(seen)) => seen,
            // a command has added it, there never was a file
            Err(error) if error.kind() == io::ErrorKind::NotFound && by_command(0) => return Finding::Same,
            Ok(None) => return Finding::Gone,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.walk.exists(name) => {
                return Finding::Gone;
            }
            Err(error) => return Finding::Bad(0, self.unreadable(name, error)),
        };
        let known = known.filter(|entry| entry.mark == seen.mark && entry.flags & flag::BLOB == 0);
        let bytes = match self.walk.read(name, &seen) {
            Ok(bytes) => bytes,
            // a file that goes while it is looked at is told of by itself
            Err(error) => return Finding::Bad(seen.mark, error),
        };
        let record = Record::of(&bytes);
        if let Some(entry) = known.filter(|entry| entry.stamp == stamp_of(&bytes)) {
            // whole, for it was so before. It is kept from now on; without room it is served from its file
            let _ = self.spool.put(entry.stamp, &record);
            return Finding::Same;
        }
        if !self.walk.is_settled(name, &seen, self.now_s as i64) {
            return Finding::Busy;
        }
        match facts(bytes, self.how, seen.mark, self.now_s) {
            Ok((facts, outline, _)) => match self.spool.put(facts.stamp, &record) {
                Ok(()) => Finding::Good(facts, outline),
                Err(error) => Finding::Unkept(facts, outline, error),
            },
            Err(error) => Finding::Bad(seen.mark, error),
        }
    }

    fn unreadable(&self, name: &[u8], error: io::Error) -> CertError {
        CertError { file: self.walk.dir().join(path_of(name)), fault: CertFault::Unreadable(error) }
    }
}
