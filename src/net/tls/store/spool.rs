//! The last good bytes of certificates whose directories are watched, by content.
//!
//! A file in a watched directory may be overwritten with rubbish at any time, and most certificates are in no process's
//! memory then. So the process with file rights keeps what it found good in a file without a name, which is gone with the
//! last process that has it open, and answers requests from there: what is served is what was looked at, never what a file
//! happens to hold. Processes without file rights let go of it before they serve ([`Spool::close`]).

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lighterman_sys::sealed::Sealed;

use super::errand::Open;
use super::raw::Parts;
use crate::net::tls::files::CrtBytes;

/// Where there is no file system that takes a file, memory does, up to so many bytes.
const MEMORY_MAX: u64 = 64 << 20;
/// So many bytes of certificates that are gone are worth writing the file anew.
const DEAD_MAX: u64 = 8 << 20;
/// A part that is not there.
const ABSENT: u32 = u32::MAX;
/// Bytes before the parts: the length of each.
const HEAD: usize = 20;

/// The files of a certificate, as the spool keeps them.
pub struct Record(Vec<u8>);

impl Record {
    /// Certificate, key, ocsp, issuer, sctl in the order in which they are brought.
    pub fn of(bytes: &CrtBytes) -> Record {
        let parts = [Some(&bytes.pem), bytes.key.as_ref(), bytes.ocsp.as_ref(), bytes.issuer.as_ref()];
        let parts = parts.into_iter().chain([bytes.sctl.as_ref()]);
        let mut record = Vec::with_capacity(HEAD + bytes.pem.bytes.len());
        for part in parts.clone() {
            let len = part.map_or(ABSENT, |part| part.bytes.len() as u32);
            record.extend(len.to_le_bytes());
        }
        parts.flatten().for_each(|part| record.extend_from_slice(&part.bytes));
        Record(record)
    }

    /// One that another process has made; it is looked at when it is opened.
    pub fn received(bytes: Vec<u8>) -> Record {
        Record(bytes)
    }

    /// The parts of what was sent.
    pub fn parts(bytes: &[u8]) -> Option<Parts> {
        let (head, mut rest) = bytes.split_at_checked(HEAD)?;
        let mut parts = Parts::default();
        for (part, len) in parts.iter_mut().zip(head.chunks_exact(4)) {
            let len = u32::from_le_bytes(*len.first_chunk()?);
            if len != ABSENT {
                let (own, after) = rest.split_at_checked(len as usize)?;
                (*part, rest) = (Some(own.to_vec()), after);
            }
        }
        Some(parts)
    }

    /// Its bytes, to be sent.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

struct Inner {
    file: File,
    /// By content: where, how many bytes.
    places: HashMap<u64, (u64, u32)>,
    end: u64,
    /// Bytes of certificates nobody needs any more, about.
    dead: u64,
    max: u64,
    /// There was no room: nothing more is kept.
    full: bool,
}

/// See the module.
pub struct Spool {
    inner: Mutex<Option<Inner>>,
}

impl Spool {
    /// An empty one, on the file system of one of these directories; the first that takes it. In memory when none does.
    pub fn new(beside: &[&Path]) -> io::Result<Spool> {
        let (file, max) = make(beside)?;
        let inner = Inner { file, places: HashMap::new(), end: 0, dead: 0, max, full: false };
        Ok(Spool { inner: Mutex::new(Some(inner)) })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Inner>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has this content.
    pub fn has(&self, stamp: u64) -> bool {
        self.lock().as_ref().is_some_and(|inner| inner.places.contains_key(&stamp))
    }

    /// Nothing can be kept any more, for now.
    pub fn is_full(&self) -> bool {
        self.lock().as_ref().is_none_or(|inner| inner.full)
    }

    /// Keeps a content. Once there is no room it says so, and nothing more is kept until it is cleaned up.
    pub fn put(&self, stamp: u64, record: &Record) -> io::Result<()> {
        match self.lock().as_mut().filter(|inner| !inner.full) {
            Some(inner) => {
                let put = inner.put(stamp, &record.0);
                inner.full = put.is_err();
                put
            }
            None => Ok(()),
        }
    }

    /// A certificate nobody is shown any more; its bytes stay until there is enough to clean up ([`Spool::tidy`]).
    pub fn drop_one(&self, stamp: u64) {
        if let Some(inner) = self.lock().as_mut() {
            inner.dead += inner.places.get(&stamp).map_or(0, |(_, len)| u64::from(*len));
        }
    }

    /// A content as files of their own; `None`: it is not here.
    pub fn open(&self, stamp: u64) -> Option<io::Result<Open>> {
        let inner = self.lock();
        let inner = inner.as_ref()?;
        let record = inner.read(stamp)?;
        Some(record.and_then(|record| parts(&record)))
    }

    /// Writes itself anew without what nobody needs, when there is much of that. `live` says what is needed.
    pub fn tidy(&self, beside: &[&Path], live: impl FnOnce() -> HashSet<u64>) -> io::Result<()> {
        let mut guard = self.lock();
        let Some(inner) = guard.as_mut().filter(|inner| inner.dead > DEAD_MAX.max(inner.end / 2)) else {
            return Ok(());
        };
        let live = live();
        let (file, max) = make(beside)?;
        let mut fresh = Inner { file, places: HashMap::new(), end: 0, dead: 0, max, full: false };
        for stamp in inner.places.keys().filter(|stamp| live.contains(stamp)) {
            if let Some(record) = inner.read(*stamp) {
                fresh.put(*stamp, &record?)?;
            }
        }
        *inner = fresh;
        Ok(())
    }

    /// Lets go of it, for a process that has no business with files.
    pub fn close(&self) {
        *self.lock() = None;
    }
}

impl Inner {
    fn put(&mut self, stamp: u64, record: &[u8]) -> io::Result<()> {
        if self.places.contains_key(&stamp) {
            return Ok(());
        }
        if self.end + record.len() as u64 > self.max {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write_all_at(record, self.end)?;
        self.places.insert(stamp, (self.end, record.len() as u32));
        self.end += record.len() as u64;
        Ok(())
    }

    fn read(&self, stamp: u64) -> Option<io::Result<Vec<u8>>> {
        let (at, len) = self.places.get(&stamp)?;
        let mut record = vec![0; *len as usize];
        Some(self.file.read_exact_at(&mut record, *at).map(|()| record))
    }
}

/// A file without a name, or memory; and how much it may hold.
fn make(beside: &[&Path]) -> io::Result<(File, u64)> {
    let unnamed = |dir: &&Path| {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600).custom_flags(libc::O_TMPFILE | libc::O_CLOEXEC);
        options.open(dir).ok()
    };
    match beside.iter().find_map(unnamed) {
        Some(file) => Ok((file, u64::MAX / 2)),
        None => Ok((Sealed::draft("lighterman certificates")?, MEMORY_MAX)),
    }
}

/// Each part as memory that can be handed to another process.
fn parts(record: &[u8]) -> io::Result<Open> {
    let parts = Record::parts(record).ok_or(io::ErrorKind::InvalidData)?;
    let mut open = [const { None::<OwnedFd> }; 5];
    for (file, part) in open.iter_mut().zip(parts) {
        if let Some(part) = part {
            let sealed = Sealed::read("lighterman certificate", part.as_slice(), u64::MAX / 2)?;
            *file = Some(sealed.as_fd().try_clone_to_owned()?);
        }
    }
    Ok(open)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tls::files::Part;
    use std::io::{Read, Seek};

    fn record(pem: &str, sctl: Option<&str>) -> Record {
        let part = |text: &str| Part { bytes: text.into(), ..Part::default() };
        Record::of(&CrtBytes { pem: part(pem), sctl: sctl.map(part), ..CrtBytes::default() })
    }

    fn text(file: Option<OwnedFd>) -> Option<String> {
        let mut text = String::new();
        let mut file = File::from(file?);
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        Some(text)
    }

    #[test]
    fn what_was_kept_comes_back_in_parts() {
        let temp = std::env::temp_dir();
        for beside in [&[temp.as_path()][..], &[], &[Path::new("/nowhere"), &temp]] {
            let spool = Spool::new(beside).unwrap();
            spool.put(1, &record("one", None)).unwrap();
            spool.put(2, &record("two", Some("times"))).unwrap();
            spool.put(1, &record("other", None)).unwrap();
            let open = |stamp| spool.open(stamp).map(|files| files.unwrap().map(text));
            let some = |text: &str| Some(text.to_owned());
            assert_eq!(open(2), Some([some("two"), None, None, None, some("times")]));
            assert_eq!(open(1), Some([some("one"), None, None, None, None]), "a content never changes");
            assert_eq!(open(3), None);
            assert!(spool.has(2) && !spool.has(3));
            spool.close();
            assert!(spool.open(1).is_none() && spool.put(4, &record("", None)).is_ok());
        }
    }

    #[test]
    fn what_nobody_needs_is_cleaned_up() {
        let spool = Spool::new(&[]).unwrap();
        let large = "x".repeat(3 << 20);
        for stamp in 0..5 {
            spool.put(stamp, &record(&large, None)).unwrap();
            if stamp < 4 {
                spool.drop_one(stamp);
            }
        }
        spool.tidy(&[], || HashSet::from([4])).unwrap();
        assert!(spool.has(4) && !spool.has(0));
        spool.tidy(&[], || panic!("there is nothing to do")).unwrap();
        assert!(spool.open(4).unwrap().is_ok());
        // memory is bounded
        let full = (10..100).find(|stamp| spool.put(*stamp, &record(&large, None)).is_err());
        assert!(full.is_some_and(|stamp| stamp > 20));
    }
}
