//! Follows the response to one request: head, framing of the body, end. Called by `conn` with bytes as they come.

use lighterman_wire::error::Parse;
use lighterman_wire::h1::chunk::{Chunk, Decoder, Limits};

/// The longest response head accepted.
pub const MAX_HEAD: usize = 65536;

#[derive(Debug)]
enum State {
    Head,
    Length(u64),
    Chunked(Decoder),
    UntilClose,
    Done,
}

/// What came out of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fed {
    /// The response goes on.
    More,
    /// It ended after this many of the bytes given.
    Done(usize),
    /// Not a response.
    Bad,
}

/// One response.
#[derive(Debug)]
pub struct Response {
    state: State,
    /// Status of the final response, 0 before its head came.
    pub status: u16,
    /// The server will close the connection.
    pub close: bool,
    /// It answers HEAD: no body whatever the head says.
    bodyless: bool,
    /// Bytes that were not enough to be parsed: the start of a head, or of a trailer line.
    carry: Vec<u8>,
}

impl Default for Response {
    fn default() -> Self {
        Response { state: State::Done, status: 0, close: false, bodyless: false, carry: Vec::new() }
    }
}

impl Response {
    /// Waits for the answer to a new request. `head`: the request was HEAD.
    pub fn begin(&mut self, head: bool) {
        self.state = State::Head;
        self.status = 0;
        self.close = false;
        self.bodyless = head;
        self.carry.clear();
    }

    /// Body bytes that can be skipped unseen.
    pub fn skippable(&self) -> u64 {
        match self.state {
            State::Length(left) => left,
            _ => 0,
        }
    }

    /// `n` body bytes, at most [`Response::skippable`], were skipped. True at the end of the response.
    pub fn skipped(&mut self, n: u64) -> bool {
        if let State::Length(left) = &mut self.state {
            *left -= n.min(*left);
            if *left == 0 {
                self.state = State::Done;
                return true;
            }
        }
        false
    }

    /// The server closed. True when that is how this response ends.
    pub fn end(&mut self) -> bool {
        let ended = matches!(self.state, State::UntilClose);
        if ended {
            self.state = State::Done;
        }
        ended
    }

    /// Nothing of the response has come yet.
    pub fn untouched(&self) -> bool {
        matches!(self.state, State::Head) && self.carry.is_empty()
    }

    /// Goes over what was received.
    pub fn feed(&mut self, bytes: &[u8]) -> Fed {
        if self.carry.is_empty() {
            return self.walk(bytes);
        }
        let kept = self.carry.len();
        let mut all = std::mem::take(&mut self.carry);
        all.extend_from_slice(bytes);
        let fed = self.walk(&all);
        if self.carry.is_empty() {
            all.clear();
            self.carry = all; // keeps its memory
        }
        match fed {
            Fed::Done(used) => Fed::Done(used.saturating_sub(kept)),
            other => other,
        }
    }

    fn walk(&mut self, bytes: &[u8]) -> Fed {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            match &mut self.state {
                State::Done => return Fed::Done(at),
                State::UntilClose => return Fed::More,
                State::Length(left) => {
                    let n = (*left).min(rest.len() as u64);
                    *left -= n;
                    at += n as usize;
                    if *left > 0 {
                        return Fed::More;
                    }
                    self.state = State::Done;
                }
                State::Chunked(decoder) => match decoder.step(rest, usize::MAX) {
                    Parse::Done(Chunk::End, n) => {
                        at += n;
                        self.state = State::Done;
                    }
                    Parse::Done(_, n) => at += n,
                    Parse::Need => {
                        self.carry.extend_from_slice(rest);
                        return Fed::More;
                    }
                    Parse::Bad(_) => return Fed::Bad,
                },
                State::Head => match memchr::memmem::find(rest, b"\r\n\r\n") {
                    Some(end) => {
                        if self.head(&rest[..end]).is_none() {
                            return Fed::Bad;
                        }
                        at += end + 4;
                    }
                    None if rest.len() > MAX_HEAD => return Fed::Bad,
                    None => {
                        self.carry.extend_from_slice(rest);
                        return Fed::More;
                    }
                },
            }
        }
    }

    /// Reads a head and sets the state after it. None = not a head.
    fn head(&mut self, head: &[u8]) -> Option<()> {
        let mut lines = memchr::memchr_iter(b'\n', head);
        let first_end = lines.next().unwrap_or(head.len());
        let first = &head[..first_end];
        let old = match first.get(..9)? {
            b"HTTP/1.1 " => false,
            b"HTTP/1.0 " => true,
            _ => return None,
        };
        let status: u16 = std::str::from_utf8(first.get(9..12)?).ok()?.parse().ok().filter(|s| *s >= 100)?;
        if status < 200 && status != 101 {
            return Some(()); // an interim response: the head of the next one follows
        }
        self.status = status;
        self.close = old;
        let mut length = None;
        let mut chunked = false;
        let mut start = first_end + 1;
        while start < head.len() {
            let end = lines.next().unwrap_or(head.len());
            let line = &head[start..end];
            start = end + 1;
            if !matches!(line.first(), Some(b'c' | b'C' | b't' | b'T')) {
                continue;
            }
            let colon = memchr::memchr(b':', line)?;
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"content-length") {
                length = Some(std::str::from_utf8(value).ok()?.parse().ok()?);
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                chunked = value.eq_ignore_ascii_case(b"chunked");
            } else if name.eq_ignore_ascii_case(b"connection") {
                for token in value.split(|&b| b == b',').map(<[u8]>::trim_ascii) {
                    self.close |= token.eq_ignore_ascii_case(b"close");
                    if old && token.eq_ignore_ascii_case(b"keep-alive") {
                        self.close = false;
                    }
                }
            }
        }
        self.state = if self.bodyless || matches!(status, 204 | 304) {
            State::Done
        } else if chunked {
            State::Chunked(Decoder::new(Limits::default()))
        } else if let Some(length) = length {
            State::Length(length)
        } else {
            self.close = true;
            State::UntilClose
        };
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_whole_and_in_pieces() {
        // text, HEAD?, result, status, close
        let table: &[(&str, bool, Fed, u16, bool)] = &[
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, Fed::Done(40), 200, false),
            ("HTTP/1.1 200\r\ncontent-length:2\r\n\r\nokX", false, Fed::Done(36), 200, false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", false, Fed::More, 200, false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", true, Fed::Done(38), 200, false),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", false, Fed::Done(48), 304, false),
            ("HTTP/1.1 204 No\r\n\r\n", false, Fed::Done(19), 204, false),
            (
                "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\nA: b\r\n\r\nHTTP/1.1 204 N\r\n\r\n",
                false,
                Fed::Done(60),
                204,
                false,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                false,
                Fed::Done(60),
                200,
                false,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: v\r\n\r\n",
                false,
                Fed::Done(66),
                200,
                false,
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", false, Fed::Bad, 200, false),
            (
                "HTTP/1.1 500 E\r\nContent-Length: 0\r\nConnection: a, Close\r\n\r\n",
                false,
                Fed::Done(59),
                500,
                true,
            ),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false, Fed::Done(38), 200, true),
            (
                "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
                false,
                Fed::Done(62),
                200,
                false,
            ),
            ("HTTP/1.1 200 OK\r\n\r\nall of it", false, Fed::More, 200, true),
            ("HTTP/1.1 200 OK\r\nCont", false, Fed::More, 0, false),
            ("HTTP/2 200 OK\r\n\r\n", false, Fed::Bad, 0, false),
            ("HTTP/1.1 xx OK\r\n\r\n", false, Fed::Bad, 0, false),
            ("\r\n\r\n", false, Fed::Bad, 0, false),
            ("HTTP/1.1 200 OK\r\nContent-Length: a\r\n\r\n", false, Fed::Bad, 200, false),
        ];
        for (text, head, want, status, close) in table {
            let mut response = Response::default();
            response.begin(*head);
            assert_eq!(response.feed(text.as_bytes()), *want, "{text:?}");
            assert_eq!((response.status, response.close), (*status, *close), "{text:?}");
            // byte by byte, then in two pieces
            for piece in [1, 7] {
                let mut response = Response::default();
                response.begin(*head);
                let mut used = 0;
                let mut last = Fed::More;
                for bytes in text.as_bytes().chunks(piece) {
                    last = response.feed(bytes);
                    match last {
                        Fed::More => used += bytes.len(),
                        Fed::Done(n) => {
                            last = Fed::Done(used + n);
                            break;
                        }
                        Fed::Bad => break,
                    }
                }
                assert_eq!(last, *want, "{text:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn ends() {
        let mut response = Response::default();
        response.begin(false);
        assert!(response.untouched() && !response.end());
        assert_eq!(response.feed(b"HTTP/1.1 200 OK\r\n\r\nabc"), Fed::More);
        assert!(!response.untouched() && response.end());
        response.begin(false);
        assert_eq!(response.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), Fed::More);
        assert_eq!(response.skippable(), 7);
        assert!(!response.skipped(3) && response.skipped(4) && !response.end());
    }

    #[test]
    fn a_head_without_end_is_refused() {
        let mut response = Response::default();
        response.begin(false);
        let mut fed = Fed::More;
        for _ in 0..100 {
            fed = response.feed(&[b'a'; 1000]);
            if fed == Fed::Bad {
                break;
            }
        }
        assert_eq!(fed, Fed::Bad);
    }
}
