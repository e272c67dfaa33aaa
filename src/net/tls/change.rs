//! What commands change about TLS while everything runs, and how it reaches all processes.
//!
//! The process with the command socket wishes for a change; the master keeps it, without reading what is inside, and orders it
//! of every process, which puts it in force and says so; when all have, who wished hears that it is done. A process that is
//! forked later finds what was kept and puts it in force before it serves. Messages go over the line for certificates
//! ([`super::store::errand`]), contents as sealed memory.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use lighterman_sys::fds;
use lighterman_sys::sealed::Sealed;

use super::trust::TrustKind;

/// Begins every message of this kind.
pub const MARK: u8 = b'X';
/// Bytes before the text: mark, kind, number, what.
const HEAD: usize = 11;
/// Bytes of a name or an answer.
const TEXT_MAX: usize = 1500;
/// Bytes of a content.
const CONTENT_MAX: u64 = 8 << 20;

/// What is changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// The authorities under a name; no content: an empty file.
    Ca,
    /// A name for authorities that is forgotten.
    DropCa,
    /// The revocations under a name; no content: an empty file.
    Crl,
    /// A name for revocations that is forgotten.
    DropCrl,
    /// The OCSP answer of a certificate; no content: none any more.
    Ocsp,
    /// Options of a line of a `crt-list` that no other has; the name is that of the list.
    Options,
    /// The certificate that `server` lines show which name this file
    /// ([`super::store::spool::Record`]).
    ServerCrt,
    /// Certificates of lines, lists and directories ([`super::store::edit`]). The master makes these itself, in the indexes
    /// that all processes get from it; no content: the indexes have come.
    Certs,
}

/// All kinds, by the byte that stands for them.
const ALL: [What; 8] = [
    What::Ca,
    What::DropCa,
    What::Crl,
    What::DropCrl,
    What::Ocsp,
    What::Options,
    What::ServerCrt,
    What::Certs,
];

/// A change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// What it is about.
    pub what: What,
    /// Which one.
    pub name: String,
    /// What it shall be.
    pub content: Vec<u8>,
}

impl Change {
    /// Other authorities or revocations under a name; `None`: the name is forgotten.
    pub fn of_trust(kind: TrustKind, name: &str, content: Option<&[u8]>) -> Change {
        let what = match (kind, content) {
            (TrustKind::Ca, Some(_)) => What::Ca,
            (TrustKind::Ca, None) => What::DropCa,
            (TrustKind::Crl, Some(_)) => What::Crl,
            (TrustKind::Crl, None) => What::DropCrl,
        };
        Change { what, name: name.to_owned(), content: content.unwrap_or_default().to_owned() }
    }

    /// Whether a later change about the same thing makes this one void.
    pub fn is_about(&self, other: &Change) -> bool {
        let family = |what| match what {
            What::Ca | What::DropCa => 0,
            What::Crl | What::DropCrl => 1,
            What::Ocsp => 2,
            What::Options => 3,
            What::ServerCrt => 4,
            What::Certs => 5,
        };
        let same = family(self.what) == family(other.what) && self.name == other.name;
        same && (self.what != What::Options || self.content == other.content)
    }

    /// Whether processes that are forked later make it themselves.
    pub fn is_kept(&self) -> bool {
        self.what != What::Certs
    }

    /// Whether it still holds for another configuration. What stands in files is read again with it.
    pub fn outlives_reload(&self) -> bool {
        self.what == What::Ocsp
    }
}

/// One message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Paper {
    /// Somebody wants this; the number is his.
    Wish(u64, Change),
    /// This is to be put in force; the number is the master's.
    Order(u64, Change),
    /// What came of the wish or order with this number: nothing to say when it is in force.
    Done(u64, String),
}

impl Paper {
    /// Sends it; a line that is full takes nothing.
    pub fn send(&self, line: BorrowedFd<'_>) -> io::Result<()> {
        let (kind, number, what, text, content) = match self {
            Paper::Wish(number, change) => (0, number, change.what as u8, &change.name, &*change.content),
            Paper::Order(number, change) => (1, number, change.what as u8, &change.name, &*change.content),
            Paper::Done(number, text) => (2, number, 0, text, &[][..]),
        };
        let mut message = vec![MARK, kind];
        message.extend(number.to_le_bytes());
        message.push(what);
        message.extend(text.bytes().take(TEXT_MAX));
        let sealed = match content {
            [] => None,
            content => Some(Sealed::read("lighterman change", content, CONTENT_MAX)?),
        };
        let fds: Vec<BorrowedFd<'_>> = sealed.iter().map(AsFd::as_fd).collect();
        fds::send_with_fds(line, &message, &fds).map(|_| ())
    }

    /// Reads what has come; `None` for what is no such message.
    pub fn parse(message: &[u8], open: Option<OwnedFd>) -> Option<Paper> {
        let (head, text) = message.split_first_chunk::<HEAD>()?;
        let [MARK, kind, number @ .., what] = head else { return None };
        let number = u64::from_le_bytes(*number);
        let name = String::from_utf8_lossy(text).into_owned();
        let content = match open {
            None => Vec::new(),
            Some(open) => Sealed::of_fd(open).ok().filter(|c| c.len() as u64 <= CONTENT_MAX)?.to_vec(),
        };
        let change = || Some(Change { what: *ALL.get(usize::from(*what))?, name: name.clone(), content });
        match kind {
            0 => Some(Paper::Wish(number, change()?)),
            1 => Some(Paper::Order(number, change()?)),
            2 => Some(Paper::Done(number, name)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn papers_pass() {
        let (here, there) = fds::channel().unwrap();
        let mut rows: Vec<Paper> = ALL
            .into_iter()
            .map(|what| {
                Paper::Order(7, Change { what, name: "ca.pem".to_owned(), content: vec![b'x'; 70_000] })
            })
            .collect();
        rows.push(Paper::Wish(u64::MAX, Change::of_trust(TrustKind::Crl, "é", None)));
        rows.push(Paper::Done(9, String::new()));
        for paper in rows {
            paper.send(here.as_fd()).unwrap();
            let mut room = [0; 2048];
            let got = fds::recv_with_fds(there.as_fd(), &mut room).unwrap();
            assert_eq!(Paper::parse(&room[..got.len], got.fds.into_iter().next()), Some(paper));
        }
        for bad in
            [&b""[..], b"X", b"X012345678", b"X\x0012345678\xff", b"X\x0312345678\x00", b"Y\x0012345678\x00"]
        {
            assert_eq!(Paper::parse(bad, None), None, "{bad:?}");
        }
    }

    #[test]
    fn the_last_change_of_a_thing_counts() {
        let change = |kind, name, content| Change::of_trust(kind, name, content);
        let one = change(TrustKind::Ca, "a", Some(b"x"));
        assert!(one.is_about(&change(TrustKind::Ca, "a", None)));
        assert!(!one.is_about(&change(TrustKind::Ca, "b", None)));
        assert!(!one.is_about(&change(TrustKind::Crl, "a", None)));
        assert!(!one.outlives_reload());
    }
}
