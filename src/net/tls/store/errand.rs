//! What a process and the one with file rights say to each other about certificates: numbers one way, open files the other.
//!
//! Nothing a client sent is in a request but the choice among the files of the index, so the process with file rights opens
//! nothing else, parses nothing and is never made to wait. One message each way, on a channel that keeps their boundaries.
//! Changes by commands go the same way ([`change`]).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use lighterman_sys::fds;

use crate::net::tls::change::{self, Paper};

/// Asks for a file.
const WANTED: u8 = b'C';
/// Brings it, or says why not.
const BROUGHT: u8 = b'B';
/// Brings another version of an index.
const INDEX: u8 = b'I';
/// Tells something to whoever writes the log.
const NOTICE: u8 = b'T';
/// Bytes of a message.
const SIZE: usize = 24;
/// Bytes of a message with a text.
const TEXT_MAX: usize = 2048;

/// The index in use has another version.
pub const STALE: i32 = libc::ESTALE;

/// Which certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The place of its index in the store.
    pub index: u32,
    /// The version of that index.
    pub version: u32,
    /// Its number in the index.
    pub entry: u32,
    /// Its content as the index knows it; comes back as it went.
    pub stamp: u64,
}

/// The files of a certificate, open: itself, key, ocsp, issuer, sctl.
pub type Open = [Option<OwnedFd>; 5];

/// What came on the line.
pub enum News {
    /// Files that were wanted; or the system's number for why there are none.
    Brought(Wanted, Result<Open, i32>),
    /// An index: its place, its version, its bytes.
    Index(u32, u32, OwnedFd),
    /// Something for the log.
    Notice(Notice),
    /// A change is to be made, or was made.
    Paper(Paper),
}

/// What is asked of the process with file rights.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// Files of a certificate.
    File(Wanted),
    /// A change, or word that one was made.
    Paper(Paper),
}

/// How much a line for the log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// It went as it should.
    Info,
    /// A certificate cannot be had.
    Warning,
    /// A file of a watched directory is no good, or the directory is not; counted.
    Alarm,
}

/// A line for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How much it matters.
    pub weight: Weight,
    /// How many things it is about.
    pub times: u32,
    /// In words.
    pub text: String,
}

/// Asks for a certificate.
pub fn ask(line: BorrowedFd<'_>, wanted: &Wanted) -> io::Result<()> {
    fds::send_with_fds(line, &message(WANTED, 0, 0, wanted), &[]).map(|_| ())
}

/// The next request on this line; `None`: none is there, `Err`: the other end is gone.
pub fn next_request(line: BorrowedFd<'_>) -> io::Result<Option<Request>> {
    let mut room = [0; TEXT_MAX];
    match fds::recv_with_fds(line, &mut room) {
        Ok(got) if got.len == 0 => Err(io::ErrorKind::BrokenPipe.into()),
        Ok(got) if got.len == SIZE && room.first() == Some(&WANTED) => {
            let wanted = room.first_chunk().and_then(parse);
            Ok(wanted.map(|(.., wanted)| Request::File(wanted)))
        }
        Ok(got) => {
            let message = room.get(..got.len).unwrap_or_default();
            Ok(Paper::parse(message, got.fds.into_iter().next()).map(Request::Paper))
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Brings files, or the number of an error. A line that is full loses the answer: who asked stops waiting by itself.
pub fn bring(line: BorrowedFd<'_>, wanted: &Wanted, files: Result<&Open, i32>) -> io::Result<()> {
    let (mask, error, open): (u8, i32, Vec<BorrowedFd<'_>>) = match files {
        Ok(files) => {
            let there = |n: usize| files.get(n).is_some_and(Option::is_some);
            let mask = (0..5).filter(|n| there(*n)).map(|n| 1 << n).sum();
            (mask, 0, files.iter().flatten().map(AsFd::as_fd).collect())
        }
        Err(error) => (0, error.max(1), Vec::new()),
    };
    fds::send_with_fds(line, &message(BROUGHT, mask, error, wanted), &open).map(|_| ())
}

/// Brings another version of an index, in sealed memory.
pub fn bring_index(line: BorrowedFd<'_>, index: u32, version: u32, bytes: BorrowedFd<'_>) -> io::Result<()> {
    let wanted = Wanted { index, version, entry: 0, stamp: 0 };
    fds::send_with_fds(line, &message(INDEX, 0, 0, &wanted), &[bytes]).map(|_| ())
}

/// Tells something.
pub fn tell(line: BorrowedFd<'_>, notice: &Notice) -> io::Result<()> {
    let mut message = vec![NOTICE, notice.weight as u8];
    message.extend(notice.times.to_le_bytes());
    message.extend(notice.text.bytes().take(TEXT_MAX - message.len()));
    fds::send_with_fds(line, &message, &[]).map(|_| ())
}

fn notice(message: &[u8]) -> Option<Notice> {
    let (head, text) = message.split_first_chunk()?;
    let weight = match head {
        [NOTICE, 0] => Weight::Info,
        [NOTICE, 1] => Weight::Warning,
        [NOTICE, _] => Weight::Alarm,
        _ => return None,
    };
    let (times, text) = text.split_first_chunk()?;
    let text = String::from_utf8_lossy(text).into_owned();
    Some(Notice { weight, times: u32::from_le_bytes(*times), text })
}

/// What has come; `None`: nothing more now.
pub fn next_news(line: BorrowedFd<'_>) -> Option<News> {
    let mut room = [0; TEXT_MAX];
    loop {
        let got = match fds::recv_with_fds(line, &mut room) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            got => got.ok().filter(|got| got.len > 0)?,
        };
        let message = room.get(..got.len).unwrap_or_default();
        if let Some(notice) = notice(message) {
            return Some(News::Notice(notice));
        }
        if message.first() == Some(&change::MARK) {
            match Paper::parse(message, got.fds.into_iter().next()) {
                Some(paper) => return Some(News::Paper(paper)),
                None => continue,
            }
        }
        let Some(room) = message.first_chunk::<SIZE>().filter(|_| got.len == SIZE) else { continue };
        let mut open = got.fds.into_iter();
        match (room.first(), parse(room)) {
            (Some(&BROUGHT), Some((_, error, wanted))) if error != 0 => {
                return Some(News::Brought(wanted, Err(error)));
            }
            (Some(&BROUGHT), Some((mask, _, wanted))) => {
                let files = std::array::from_fn(|n| open.next_if(mask & 1 << n != 0));
                return Some(News::Brought(wanted, Ok(files)));
            }
            (Some(&INDEX), Some((_, _, wanted))) => {
                if let Some(bytes) = open.next() {
                    return Some(News::Index(wanted.index, wanted.version, bytes));
                }
            }
            _ => {}
        }
    }
}

/// Takes the next one only when it belongs here.
trait NextIf {
    fn next_if(&mut self, wanted: bool) -> Option<OwnedFd>;
}

impl NextIf for std::vec::IntoIter<OwnedFd> {
    fn next_if(&mut self, wanted: bool) -> Option<OwnedFd> {
        wanted.then(|| self.next()).flatten()
    }
}

/// Opens a file to be passed on. It never waits for one that is no file (a pipe, a device).
pub fn open(path: &std::path::Path) -> io::Result<OwnedFd> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    Ok(file.into())
}

fn message(kind: u8, mask: u8, error: i32, wanted: &Wanted) -> Vec<u8> {
    let mut bytes = vec![kind, mask];
    bytes.extend((error as u16).to_le_bytes());
    for number in [wanted.index, wanted.version, wanted.entry] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(wanted.stamp.to_le_bytes());
    bytes
}

fn parse(bytes: &[u8; SIZE]) -> Option<(u8, i32, Wanted)> {
    let (_, rest) = bytes.split_first()?;
    let (mask, rest) = rest.split_first()?;
    let (error, rest) = rest.split_first_chunk()?;
    let (index, rest) = rest.split_first_chunk()?;
    let (version, rest) = rest.split_first_chunk()?;
    let (entry, rest) = rest.split_first_chunk()?;
    let wanted = Wanted {
        index: u32::from_le_bytes(*index),
        version: u32::from_le_bytes(*version),
        entry: u32::from_le_bytes(*entry),
        stamp: u64::from_le_bytes(*rest.first_chunk()?),
    };
    Some((*mask, u16::from_le_bytes(*error).into(), wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn requests_and_files_pass() {
        let (here, there) = fds::channel().unwrap();
        let wanted = Wanted { index: 1, version: 2, entry: 70_000, stamp: u64::MAX - 5 };
        ask(here.as_fd(), &wanted).unwrap();
        fds::send_with_fds(here.as_fd(), b"?", &[]).unwrap();
        assert_eq!(next_request(there.as_fd()).unwrap(), Some(Request::File(wanted)));
        assert_eq!(next_request(there.as_fd()).unwrap(), None);
        assert_eq!(next_request(there.as_fd()).unwrap(), None);

        let exe = || Some(open(std::path::Path::new("/proc/self/comm")).unwrap());
        bring(there.as_fd(), &wanted, Ok(&[exe(), None, exe(), None, None])).unwrap();
        bring(there.as_fd(), &wanted, Err(libc::ENOENT)).unwrap();
        bring_index(there.as_fd(), 3, 4, exe().unwrap().as_fd()).unwrap();
        let notice = Notice { weight: Weight::Alarm, times: 3, text: "is no certificate, that".to_owned() };
        tell(there.as_fd(), &notice).unwrap();
        let Some(News::Brought(got, Ok(files))) = next_news(here.as_fd()) else { panic!("files") };
        assert_eq!((got, files.each_ref().map(Option::is_some)), (wanted, [true, false, true, false, false]));
        let mut text = String::new();
        File::from(files.into_iter().flatten().next().unwrap()).read_to_string(&mut text).unwrap();
        assert!(!text.is_empty());
        assert!(matches!(next_news(here.as_fd()), Some(News::Brought(_, Err(libc::ENOENT)))));
        assert!(matches!(next_news(here.as_fd()), Some(News::Index(3, 4, _))));
        assert!(matches!(next_news(here.as_fd()), Some(News::Notice(told)) if told == notice));
        assert!(next_news(here.as_fd()).is_none());
        drop(here);
        assert!(next_request(there.as_fd()).is_err());
    }
}
