//! What a client has said while its ClientHello is not whole. The library keeps many times more for a connection than the
//! bytes themselves, so it is asked only when it can answer: clients that stop in the middle cost what they have sent.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;

use lighterman_wire::client_hello::{arrival, Arrival};

use crate::base::buffer::Buffer;

/// A hello may be so long, with what is around it. Real ones stay below 4 kB, post-quantum key shares and all.
pub(super) const HELLO_MAX: usize = 12 * 1024;

/// A hello longer than that is large: the library keeps it, and copies of it, until the handshake is over.
const LARGE: usize = 5 * 1024;
/// Handshakes with a large hello under way at once in a process: few clients have one, and each costs up to 24 kB.
const LARGE_AT_ONCE: u32 = 256;

/// Permission for a handshake with a large hello, for as long as it lasts.
#[derive(Debug)]
pub(super) struct Large(Arc<AtomicU32>);

impl Large {
    /// `Some(None)`: this hello needs none. `None`: there are too many. `held` counts those of the process.
    pub(super) fn permit(held: &Arc<AtomicU32>, hello: usize) -> Option<Option<Large>> {
        if hello <= LARGE {
            return Some(None);
        }
        let free = held.load(Relaxed) < LARGE_AT_ONCE;
        free.then(|| {
            held.fetch_add(1, Relaxed);
            Some(Large(Arc::clone(held)))
        })
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// The beginning of a hello.
#[derive(Debug, Default)]
pub(super) struct Gather {
    bytes: Vec<u8>,
    /// So many of them the library has taken.
    taken: usize,
}

/// What is to be done with the bytes so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// More must come.
    Wait,
    /// The library shall see them: the hello is whole and has so many bytes, or will never be one.
    Go(usize),
    /// It is longer than any may be.
    TooLong,
}

impl Gather {
    /// Looks at what has come; what is no whole hello yet moves out of the buffer.
    pub(super) fn look(held: &mut Option<Box<Gather>>, rx: &mut Option<Buffer>) -> Next {
        let came = rx.as_ref().map_or(&[][..], |rx| rx.readable());
        if held.is_none() {
            match arrival(came) {
                Arrival::More if came.is_empty() => return Next::Wait,
                Arrival::More => {}
                Arrival::Whole(len) => return Next::Go(len),
                Arrival::Odd => return Next::Go(0),
            }
        }
        let gather = held.get_or_insert_default();
        let room = gather.bytes.len() + came.len();
        if gather.bytes.capacity() < room {
            // those that come in crumbs are not moved for each
            gather.bytes.reserve_exact(came.len() + room / 8);
        }
        gather.bytes.extend_from_slice(came);
        if let Some(rx) = rx {
            rx.clear();
        }
        match arrival(&gather.bytes) {
            Arrival::More if gather.bytes.len() > HELLO_MAX => Next::TooLong,
            Arrival::More => Next::Wait,
            Arrival::Whole(len) => Next::Go(len),
            Arrival::Odd => Next::Go(0),
        }
    }

    /// What the library has not taken yet.
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }

    /// So many of [`Gather::rest`] were taken. True when that was all.
    pub(super) fn take(&mut self, n: usize) -> bool {
        self.taken += n;
        self.taken >= self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(bytes: &[u8]) -> Option<Buffer> {
        let mut buffer = Buffer::with_capacity(16_384);
        assert!(buffer.push_all(bytes));
        Some(buffer)
    }

    #[test]
    fn what_is_whole_stays_where_it_is() {
        let hello = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00";
        for (bytes, len) in [(&hello[..], 5), (b"GET / HTTP/1.1", 0), (b"\x16\x03\x01\x00\x00", 0)] {
            let (mut held, mut rx) = (None, buffer(bytes));
            assert_eq!(Gather::look(&mut held, &mut rx), Next::Go(len));
            assert!(held.is_none() && rx.unwrap().readable() == bytes);
        }
        assert_eq!(Gather::look(&mut None, &mut None), Next::Wait);
    }

    #[test]
    fn parts_are_kept_as_small_as_they_are() {
        let hello = b"\x16\x03\x01\x00\x03\x01\x00\x00\x16\x03\x01\x00\x03\x02\x07\x07";
        let mut held = None;
        for (at, byte) in hello.iter().enumerate() {
            let mut rx = buffer(&[*byte]);
            let next = if at + 1 < hello.len() { Next::Wait } else { Next::Go(6) };
            assert_eq!(Gather::look(&mut held, &mut rx), next, "{at}");
            assert!(rx.unwrap().is_empty());
        }
        let mut gather = held.unwrap();
        assert!(gather.bytes.capacity() < 2 * hello.len());
        assert_eq!(gather.rest(), hello);
        assert!(!gather.take(4));
        assert_eq!(gather.rest(), &hello[4..]);
        assert!(gather.take(12));
    }

    #[test]
    fn large_ones_are_few() {
        let held = Arc::default();
        let mut permits = Vec::new();
        while let Some(permit) = Large::permit(&held, LARGE + 1) {
            permits.push(permit);
        }
        assert_eq!(permits.len(), LARGE_AT_ONCE as usize);
        assert!(Large::permit(&held, LARGE).is_some());
        permits.pop();
        assert!(Large::permit(&held, LARGE + 1).is_some());
    }

    #[test]
    fn nobody_may_go_on_for_ever() {
        let mut held = None;
        let mut rx = buffer(&[b"\x16\x03\x01\x3f\xff\x01\x00\x3f\xfb".as_slice(), &[0; HELLO_MAX]].concat());
        assert_eq!(Gather::look(&mut held, &mut rx), Next::TooLong);
    }
}
