//! The line between the control process and the master: what is asked, what is answered. One message each,
//! none of them from the network.

use std::os::fd::BorrowedFd;

use lighterman_sys::fds;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};

use crate::base::limits::CONTROL_MESSAGE;

const RELOAD: u8 = b'R';
const OUTCOME: u8 = b'O';

/// Bytes before the text.
const HEAD: usize = 9;

/// The request for a reload.
pub fn reload(ticket: u64) -> Vec<u8> {
    head(RELOAD, ticket)
}

/// How a reload went, cut to what one message holds.
pub fn outcome(ticket: u64, text: &str) -> Vec<u8> {
    let mut message = head(OUTCOME, ticket);
    message.extend(text.bytes().take(CONTROL_MESSAGE - HEAD));
    message
}

/// Tickets of the reloads asked for on this line.
pub fn requests(line: BorrowedFd<'_>) -> impl Iterator<Item = u64> + '_ {
    std::iter::from_fn(move || receive(line))
        .filter_map(|message| parse(&message, RELOAD).map(|(ticket, _)| ticket))
}

/// Outcomes that have come on this line: ticket and text.
pub fn outcomes(line: BorrowedFd<'_>) -> impl Iterator<Item = (u64, Vec<u8>)> + '_ {
    std::iter::from_fn(move || receive(line))
        .filter_map(|message| parse(&message, OUTCOME).map(|(ticket, text)| (ticket, text.to_vec())))
}

/// Whether the other end is closed: nothing more will come, and the poller would say so for ever.
pub fn is_cut(line: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(line, PollFlags::empty())];
    poll(&mut fds, PollTimeout::ZERO).is_ok()
        && fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP))
}

fn head(kind: u8, ticket: u64) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend_from_slice(&ticket.to_le_bytes());
    message
}

fn receive(line: BorrowedFd<'_>) -> Option<Vec<u8>> {
    let mut message = vec![0; CONTROL_MESSAGE];
    let got = fds::recv_with_fds(line, &mut message).ok().filter(|got| got.len > 0)?;
    message.truncate(got.len);
    Some(message)
}

fn parse(message: &[u8], kind: u8) -> Option<(u64, &[u8])> {
    let (head, text) = message.split_at_checked(HEAD)?;
    let (first, ticket) = head.split_first()?;
    (*first == kind).then_some((u64::from_le_bytes(ticket.try_into().ok()?), text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn requests_and_outcomes_pass() {
        let (here, there) = fds::channel().unwrap();
        for message in [reload(7), b"R123".to_vec(), outcome(9, "no"), reload(8)] {
            fds::send_with_fds(here.as_fd(), &message, &[]).unwrap();
        }
        assert_eq!(requests(there.as_fd()).collect::<Vec<_>>(), [7, 8]);
        fds::send_with_fds(there.as_fd(), &outcome(7, &"x".repeat(CONTROL_MESSAGE)), &[]).unwrap();
        let got: Vec<_> = outcomes(here.as_fd()).collect();
        assert_eq!((got.len(), got[0].0, got[0].1.len()), (1, 7, CONTROL_MESSAGE - HEAD));
        assert!(!is_cut(there.as_fd()));
        drop(here);
        assert!(is_cut(there.as_fd()));
        assert_eq!(requests(there.as_fd()).count(), 0);
    }
}
