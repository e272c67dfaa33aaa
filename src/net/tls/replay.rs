//! A change of mind: the name a client asks for may belong to a line of a `crt-list` with options of its own (versions,
//! ciphers, authorities), which the library takes from the context a connection was made with. Then the connection is made
//! anew with the right context and reads the same bytes again; nothing was sent yet.

/// What a client has said until its line is known, and then again.
#[derive(Debug, Default)]
pub(super) struct Replay {
    bytes: Vec<u8>,
    /// So many of them were read again; `None`: they are still being noted.
    again: Option<usize>,
}

impl Replay {
    /// Notes bytes that the library has taken.
    pub(super) fn note(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// True once the line is known and the bytes are read again.
    pub(super) fn runs(&self) -> bool {
        self.again.is_some()
    }

    /// Begins to give the bytes back.
    pub(super) fn start(&mut self) {
        self.again = Some(0);
    }

    /// What is to be read again.
    pub(super) fn rest(&self) -> &[u8] {
        self.again.and_then(|at| self.bytes.get(at..)).unwrap_or(&[])
    }

    /// So many of [`Replay::rest`] were taken. True when that was all.
    pub(super) fn take(&mut self, n: usize) -> bool {
        let at = self.again.unwrap_or(0) + n;
        self.again = Some(at);
        at >= self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_again_in_pieces() {
        let mut replay = Replay::default();
        replay.note(b"he");
        replay.note(b"llo");
        assert!(!replay.runs() && replay.rest().is_empty());
        replay.start();
        assert!(replay.runs());
        assert_eq!(replay.rest(), b"hello");
        assert!(!replay.take(2));
        assert_eq!(replay.rest(), b"llo");
        assert!(replay.take(3));
        assert!(replay.rest().is_empty());
    }
}
