//! Writing to descriptors that are known by number only: `stdout`, `stderr`, `fd@N` of log lines.
//!
//! Why unsafe: a number carries no proof that it is open. Sound because the kernel checks it: a
//! closed number yields EBADF, and the buffer is a live slice for the length of the call.

use std::io;

/// What a pipe that polls writable takes without waiting (PIPE_BUF on Linux).
const PIECE: usize = 4096;

/// Writes `bytes` to `fd` without ever waiting: a descriptor in blocking mode is asked first whether
/// it takes bytes. (Its mode is not changed, because the terminal or pipe behind it belongs to
/// whoever started the program.) Up to 4 KB go out in one piece; of a longer line the end is lost
/// when the reader is behind. `WouldBlock` = not everything was written.
pub fn write_now(fd: i32, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let mut poll = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
        // SAFETY: one pollfd, alive for the call; the timeout of zero makes it return at once.
        match unsafe { libc::poll(&mut poll, 1, 0) } {
            0 => return Err(io::ErrorKind::WouldBlock.into()),
            n if n < 0 => return Err(io::Error::last_os_error()),
            _ => {}
        }
        let piece = &rest[..rest.len().min(PIECE)];
        // SAFETY: pointer and length come from one live slice.
        let written = unsafe { libc::write(fd, piece.as_ptr().cast(), piece.len()) };
        if written < 0 {
            return Err(io::Error::last_os_error());
        }
        rest = &rest[written as usize..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::write_now;
    use std::io::Read;
    use std::os::fd::AsRawFd;

    #[test]
    fn writes_until_the_pipe_is_full_and_never_waits() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let line = [b'x'; 4096];
        let mut sent = 0;
        let stop = loop {
            match write_now(writer.as_raw_fd(), &line) {
                Ok(()) => sent += line.len(),
                Err(why) => break why,
            }
        };
        assert_eq!(stop.kind(), std::io::ErrorKind::WouldBlock);
        assert!(sent >= 4096);
        drop(writer);
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), sent);
    }

    #[test]
    fn a_number_that_is_not_open_is_an_error() {
        assert!(write_now(1_000_000, b"x").is_err());
    }
}
