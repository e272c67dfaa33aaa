//! Directories that are watched: who came, changed or went, by name. And whether somebody still writes a file.
//!
//! Why unsafe: one `fcntl` that nix does not know. It takes numbers only.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

/// The command of `fcntl` that libc leaves out; the number is the same wherever this program runs.
const F_SETSIG: libc::c_int = 10;

/// Names a directory under watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirId(WatchDescriptor);

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Something of this name began to be, is complete, has other rights, or is no more.
    Name(DirId, Vec<u8>),
    /// The directory itself has gone: it is not watched any more.
    Gone(DirId),
    /// There was too much to tell: everything must be looked at.
    Lost,
}

/// Watches directories. Readable when something was seen.
#[derive(Debug)]
pub struct DirWatch {
    inotify: Inotify,
}

impl DirWatch {
    /// One that watches nothing yet.
    pub fn new() -> io::Result<DirWatch> {
        Ok(DirWatch { inotify: Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)? })
    }

    /// Watches a directory, files in it only. The same directory again gives the same id.
    pub fn add(&self, dir: &Path) -> io::Result<DirId> {
        // no word of each single write: a file counts when whoever writes it has closed it
        let flags = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        Ok(DirId(self.inotify.add_watch(dir, flags)?))
    }

    /// Stops watching. A directory that has gone is not watched anyway.
    pub fn remove(&self, dir: DirId) {
        let _ = self.inotify.rm_watch(dir.0);
    }

    /// The next things that were seen; empty: nothing more now.
    pub fn next(&self) -> io::Result<Vec<Seen>> {
        let events = match self.inotify.read_events() {
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(Vec::new()),
            events => events?,
        };
        let seen = events.into_iter().map(|event| {
            let gone = AddWatchFlags::IN_DELETE_SELF
                | AddWatchFlags::IN_MOVE_SELF
                | AddWatchFlags::IN_IGNORED
                | AddWatchFlags::IN_UNMOUNT;
            match event.name {
                _ if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) => Seen::Lost,
                Some(name) => Seen::Name(DirId(event.wd), name.as_bytes().to_vec()),
                None if event.mask.intersects(gone) => Seen::Gone(DirId(event.wd)),
                // its own rights have changed: what was unreadable may be readable now
                None => Seen::Lost,
            }
        });
        Ok(seen.collect())
    }
}

impl AsFd for DirWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// Whether some process has the file open to write it. `None`: the file system, or the rights of this process, do not let
/// us know.
///
/// The kernel gives a read lease only while nobody writes. It is given back at once; whoever opens the file to write in
/// between waits that long, and the signal that tells of it is one that is ignored.
pub fn is_being_written(file: BorrowedFd<'_>) -> Option<bool> {
    // SAFETY: numbers only, about a descriptor that is open.
    unsafe { syscall!(fcntl(file.as_raw_fd(), F_SETSIG, libc::SIGURG)) }.ok()?;
    // SAFETY: as above.
    match unsafe { syscall!(fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK)) } {
        Ok(_) => {}
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => return Some(true),
        Err(_) => return None,
    }
    // SAFETY: as above.
    unsafe { syscall!(fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_UNLCK)) }.ok()?;
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn place(name: &str) -> std::path::PathBuf {
        let dir = std::env::temp_dir().join(format!("lighterman-watch-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn names(watch: &DirWatch, dir: DirId) -> Vec<String> {
        let mut names = Vec::new();
        loop {
            let seen = watch.next().unwrap();
            if seen.is_empty() {
                return names;
            }
            for seen in seen {
                match seen {
                    Seen::Name(of, name) => {
                        assert_eq!(of, dir);
                        names.push(String::from_utf8(name).unwrap());
                    }
                    Seen::Gone(of) => {
                        assert_eq!(of, dir);
                        names.push("(gone)".to_owned());
                    }
                    Seen::Lost => names.push("(lost)".to_owned()),
                }
            }
        }
    }

    #[test]
    fn what_happens_in_a_directory_is_told_by_name() {
        let dir = place("names");
        let watch = DirWatch::new().unwrap();
        let id = watch.add(&dir).unwrap();
        assert_eq!(watch.add(&dir).unwrap(), id);
        assert!(names(&watch, id).is_empty());
        fs::write(dir.join("a"), "1").unwrap();
        assert_eq!(names(&watch, id), ["a", "a"], "it came and was closed");
        fs::write(dir.join("a"), "2").unwrap();
        assert_eq!(names(&watch, id), ["a"]);
        fs::rename(dir.join("a"), dir.join("b")).unwrap();
        assert_eq!(names(&watch, id), ["a", "b"]);
        fs::remove_file(dir.join("b")).unwrap();
        assert_eq!(names(&watch, id), ["b"]);
        let open = fs::File::create(dir.join("c")).unwrap();
        assert_eq!(names(&watch, id), ["c"], "it came");
        drop(open);
        assert_eq!(names(&watch, id), ["c"], "it is complete");
        fs::remove_dir_all(&dir).unwrap();
        assert!(names(&watch, id).contains(&"(gone)".to_owned()));
        assert!(watch.add(&dir).is_err());
        assert!(watch.add(Path::new("/proc/self/exe")).is_err(), "no directory");
    }

    #[test]
    fn a_file_that_somebody_writes_is_known() {
        let dir = place("lease");
        let path = dir.join("f");
        let writer = fs::File::create(&path).unwrap();
        let reader = fs::File::open(&path).unwrap();
        let told = is_being_written(reader.as_fd());
        assert_ne!(told, Some(false), "somebody does");
        drop(writer);
        let other = fs::File::open(&path).unwrap();
        assert_ne!(is_being_written(reader.as_fd()), Some(true), "others that read do no harm");
        drop(other);
        fs::write(&path, "nobody was kept from writing").unwrap();
        fs::remove_dir_all(&dir).unwrap();
    }
}
