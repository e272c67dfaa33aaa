//! Questions that every worker answers for itself: `show sess`, `shutdown session`, `show errors`.
//!
//! The process with the command socket puts them to the workers over the channel that hands clients
//! over, and gathers the answers. A single process asks itself. Nobody waits longer than
//! [`PATIENCE_MS`] for a worker that does not answer.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use lighterman_sys::fds;

use super::Worker;
use crate::base::ids::{ProxyId, StreamId, TaskId};
use crate::base::tick::Tick;
use crate::event::sched::Wake;
use crate::expr::view::Addr;
use crate::service::cli::Ticket;
use crate::service::errors::write_error;
use crate::service::sessions::{parse_session_id, write_session, ChannelLine, SessionLine};
use crate::stream::errors::{Captured, Side};
use std::time::Duration;

/// The number of the first task that reads answers; one per worker follows.
pub(super) const ANSWERS: u16 = 1000;

/// How long answers are waited for, milliseconds.
const PATIENCE_MS: u64 = 2000;

/// Questions that are open at once.
const OPEN_MAX: usize = 64;

/// Bytes of one answer, over all workers.
const ANSWER_MAX: usize = 16 * 1024 * 1024;

/// Bytes of one message between processes.
pub(super) const MESSAGE_MAX: usize = 32 * 1024;

/// First byte of a message: a question, a part of an answer, the last part.
const QUESTION: u8 = b'?';
const PART: u8 = b'+';
const LAST: u8 = b'.';
/// The last part, from a worker that does not know what was asked for.
const UNKNOWN: u8 = b'-';

/// Bytes in front of the text of a message: kind and ticket.
const HEAD: usize = 9;

fn message(kind: u8, ticket: u64, text: &[u8]) -> Vec<u8> {
    [&[kind], ticket.to_le_bytes().as_slice(), text].concat()
}

fn parse(message: &[u8]) -> Option<(u8, u64, &[u8])> {
    let (kind, rest) = message.split_first()?;
    let (ticket, text) = rest.split_first_chunk()?;
    Some((*kind, u64::from_le_bytes(*ticket), text))
}

/// A question that was asked and not taken back.
struct Open {
    ticket: u64,
    asked: Tick,
    /// Workers that have not said all.
    waits: usize,
    text: Vec<u8>,
    /// Some worker knew what was meant.
    known: bool,
    command: String,
}

/// Questions of this process, and what came back.
#[derive(Default)]
pub(super) struct Inbox {
    last: u64,
    open: Vec<Open>,
    /// Asked, but not sent to the workers yet.
    fresh: Vec<u64>,
}

impl Inbox {
    /// Takes a question. `None`: too many are open.
    pub(super) fn ask(&mut self, command: &str, now: Tick) -> Option<Ticket> {
        // Clients that left do not come for their answers.
        self.open.retain(|open| now.since(open.asked) < 2 * PATIENCE_MS);
        if self.open.len() >= OPEN_MAX || command.len() > MESSAGE_MAX - HEAD {
            return None;
        }
        self.last += 1;
        let command = command.to_owned();
        let ticket = self.last;
        self.open.push(Open { ticket, asked: now, waits: 1, text: Vec::new(), known: false, command });
        self.fresh.push(ticket);
        Some(Ticket(ticket))
    }

    /// The whole answer, once it is there or overdue.
    pub(super) fn take(&mut self, ticket: Ticket, now: Tick) -> Option<Vec<u8>> {
        let Some(at) = self.open.iter().position(|open| open.ticket == ticket.0) else {
            return Some(Vec::new());
        };
        let open = &self.open[at];
        if open.waits > 0 && now.since(open.asked) < PATIENCE_MS {
            return None;
        }
        let open = self.open.swap_remove(at);
        let unknown = !open.known && open.command.starts_with("shutdown session ");
        Some(if unknown { b"No such session (use 'show sess').\n".to_vec() } else { open.text })
    }

    /// A message from a worker. Answers to what is not open any more are dropped.
    fn hear(&mut self, message: &[u8]) {
        let Some((kind, ticket, text)) = parse(message) else { return };
        let Some(open) = self.open.iter_mut().find(|open| open.ticket == ticket) else { return };
        if open.text.len() + text.len() <= ANSWER_MAX {
            open.text.extend_from_slice(text);
        }
        open.known |= kind == LAST;
        open.waits = open.waits.saturating_sub(usize::from(kind != PART));
    }
}

/// Answers on their way out of this worker.
#[derive(Default)]
pub(super) struct Outbox {
    messages: VecDeque<Vec<u8>>,
}

impl Outbox {
    /// Cuts an answer into messages.
    fn put(&mut self, ticket: u64, answer: Option<String>) {
        let (text, last) = match answer {
            Some(text) => (text, LAST),
            None => (String::new(), UNKNOWN),
        };
        let mut parts = text.as_bytes().chunks(MESSAGE_MAX - HEAD).peekable();
        while let Some(part) = parts.next() {
            let kind = if parts.peek().is_some() { PART } else { last };
            self.messages.push_back(message(kind, ticket, part));
        }
        if text.is_empty() {
            self.messages.push_back(message(last, ticket, b""));
        }
    }

    /// Sends what the channel takes. `false`: some is left.
    fn send(&mut self, channel: &OwnedFd) -> bool {
        while let Some(message) = self.messages.front() {
            match fds::send_with_fds(channel.as_fd(), message, &[]) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // nobody is there any more to read it
                Err(_) => {}
            }
            self.messages.pop_front();
        }
        true
    }
}

impl Worker<'_> {
    /// Watches the channels of the workers for answers.
    pub(super) fn await_answers(&mut self) -> io::Result<()> {
        let count = self.guard.as_ref().map_or(0, |guard| guard.channels().len());
        for number in (ANSWERS..).take(count) {
            let task = self.house_task(number)?;
            let channels = self.guard.as_ref().map_or(&[] as &[OwnedFd], |guard| guard.channels());
            if let Some(channel) = channels.get(usize::from(number - ANSWERS)) {
                self.house.poll.watch_read(channel.as_raw_fd(), task.pack())?;
            }
        }
        Ok(())
    }

    /// Puts fresh questions to all workers: those behind the channels, or this process itself.
    pub(super) fn put_questions(&mut self) {
        let fresh = std::mem::take(&mut self.inbox.fresh);
        for ticket in fresh {
            let Some(open) = self.inbox.open.iter_mut().find(|open| open.ticket == ticket) else { continue };
            let command = open.command.clone();
            if let Some(guard) = &self.guard {
                let question = message(QUESTION, ticket, command.as_bytes());
                let sent = |channel: &&OwnedFd| fds::send_with_fds(channel.as_fd(), &question, &[]).is_ok();
                open.waits = guard.channels().iter().filter(sent).count();
            } else {
                let mut outbox = Outbox::default();
                outbox.put(ticket, self.answer(&command));
                outbox.messages.iter().for_each(|message| self.inbox.hear(message));
            }
            self.wake_desk();
        }
    }

    /// Answers of one worker have come.
    pub(super) fn take_answers(&mut self, number: u16) {
        let mut bytes = vec![0; MESSAGE_MAX];
        let Some(guard) = &self.guard else { return };
        let Some(channel) = guard.channels().get(usize::from(number - ANSWERS)) else { return };
        loop {
            match fds::recv_with_fds(channel.as_fd(), &mut bytes) {
                Ok(received) if received.len > 0 => self.inbox.hear(&bytes[..received.len]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => break,
            }
        }
        self.wake_desk();
    }

    /// A message came over the channel that is not a client: a question.
    pub(super) fn take_question(&mut self, bytes: &[u8]) {
        if let Some((QUESTION, ticket, text)) = parse(bytes) {
            let answer = self.answer(&String::from_utf8_lossy(text));
            self.outbox.put(ticket, answer);
        }
    }

    /// Sends answers; what the channel does not take is tried again soon.
    pub(super) fn send_answers(&mut self, task: TaskId) {
        let Some(channel) = &self.handed else { return };
        if !self.outbox.send(channel) {
            self.house.sched.deadline(task, Some(self.house.now.tick.after(5)));
        }
    }

    /// What this worker says to a question. `None`: it does not know what is meant.
    fn answer(&mut self, command: &str) -> Option<String> {
        let mut words = command.split_whitespace();
        match (words.next()?, words.next()?, words.next()) {
            ("show", "sess", only) => Some(self.show_sessions(only)),
            ("show", "errors", proxy) => {
                let proxy = proxy.and_then(|id| id.parse().ok()).map(ProxyId);
                let sides = match words.next() {
                    Some("request") => &[Side::Request][..],
                    Some("response") => &[Side::Response],
                    _ => &[Side::Request, Side::Response],
                };
                Some(self.show_errors(proxy, sides))
            }
            ("shutdown", "session", Some(id)) => {
                let (worker, id) = parse_session_id(id)?;
                let stream = self.streams.get(StreamId::unpack(id)).filter(|_| worker == self.name())?;
                self.house.sched.wake(stream.task, Wake::KILL);
                Some(String::new())
            }
            _ => Some(String::new()),
        }
    }

    /// Its number as people count.
    fn name(&self) -> u32 {
        self.number as u32 + 1
    }

    fn show_sessions(&self, only: Option<&str>) -> String {
        // Words such as `all` ask for more detail, an id for one session.
        let only = only.and_then(parse_session_id);
        let mut out = String::new();
        for (id, _) in self.streams.iter() {
            if only.is_none_or(|wanted| wanted == (self.name(), id.pack())) {
                self.show_session(id, &mut out);
            }
        }
        out
    }

    fn show_session(&self, id: StreamId, out: &mut String) {
        let Some(view) = self.streams.get(id).map(|stream| stream.view()) else { return };
        let client = self.conns.get(view.front).and_then(|conn| conn.client());
        let (proto, src) = match client.map(|client| client.facts.src) {
            Some(Addr::Inet(addr)) if addr.is_ipv4() => ("tcpv4", addr.to_string()),
            Some(Addr::Inet(addr)) => ("tcpv6", addr.to_string()),
            _ => ("unix_stream", format!("unix:{}", client.map_or(0, |c| c.facts.listener.0 + 1))),
        };
        let now = self.house.now;
        let name = |id: ProxyId| self.plan.proxy(id).name.as_str();
        let channel = |held| ChannelLine { held, ..ChannelLine::default() };
        let line = SessionLine {
            worker: self.name(),
            id: id.pack(),
            proto,
            src: &src,
            frontend: name(view.frontend),
            backend: view.backend.map(name),
            server: view.server.map(|server| self.plan.server(server).name.as_str()),
            age: Duration::from_micros(now.wall_us.saturating_sub(view.began_us)),
            calls: 1,
            req: channel(view.held[0]),
            res: channel(view.held[1]),
            fds: [self.descriptor(Some(view.front)), self.descriptor(view.back)],
            expires: view.deadline.map(|at| Duration::from_millis(at.since(now.tick))),
        };
        write_session(out, &line);
    }

    fn show_errors(&self, proxy: Option<ProxyId>, sides: &[Side]) -> String {
        let mut out = String::new();
        let wanted = |error: &Captured| {
            let own = if error.side == Side::Request { Some(error.frontend) } else { error.backend };
            sides.contains(&error.side) && proxy.is_none_or(|id| own == Some(id))
        };
        self.errors
            .iter()
            .filter(|error| wanted(error))
            .for_each(|error| write_error(&mut out, error, self.plan));
        out
    }

    fn descriptor(&self, conn: Option<crate::base::ids::ConnId>) -> i32 {
        conn.and_then(|id| self.conns.get(id)).and_then(|conn| conn.descriptor()).unwrap_or(-1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_gathered_from_all_workers() {
        let mut inbox = Inbox::default();
        let ticket = inbox.ask("show sess", Tick(1000)).unwrap();
        inbox.open[0].waits = 2;
        let mut one = Outbox::default();
        one.put(ticket.0, Some("x".repeat(MESSAGE_MAX * 2)));
        assert_eq!(one.messages.len(), 3);
        one.messages.iter().for_each(|message| inbox.hear(message));
        assert_eq!(inbox.take(ticket, Tick(1001)), None, "another worker is still to answer");
        inbox.hear(&message(LAST, ticket.0, b"y"));
        inbox.hear(&message(LAST, 77, b"to nobody"));
        let all = inbox.take(ticket, Tick(1002)).unwrap();
        assert_eq!((all.len(), all.last()), (MESSAGE_MAX * 2 + 1, Some(&b'y')));
        assert_eq!(inbox.take(ticket, Tick(1003)), Some(Vec::new()), "it is taken once");
    }

    #[test]
    fn nobody_waits_for_ever() {
        let mut inbox = Inbox::default();
        let ticket = inbox.ask("show sess", Tick(0)).unwrap();
        assert_eq!(inbox.take(ticket, Tick(PATIENCE_MS - 1)), None);
        assert_eq!(inbox.take(ticket, Tick(PATIENCE_MS)), Some(Vec::new()));
        for _ in 0..OPEN_MAX {
            assert!(inbox.ask("show sess", Tick(0)).is_some());
        }
        assert!(inbox.ask("show sess", Tick(0)).is_none());
        assert!(inbox.ask("show sess", Tick(PATIENCE_MS * 2)).is_some(), "answers nobody came for make room");
    }

    #[test]
    fn a_session_that_no_worker_knows_is_told_so() {
        let mut inbox = Inbox::default();
        for (kind, want) in [(UNKNOWN, "No such session (use 'show sess').\n"), (LAST, "")] {
            let ticket = inbox.ask("shutdown session 0x1", Tick(0)).unwrap();
            inbox.open[0].waits = 2;
            inbox.hear(&message(UNKNOWN, ticket.0, b""));
            inbox.hear(&message(kind, ticket.0, b""));
            assert_eq!(inbox.take(ticket, Tick(1)).unwrap(), want.as_bytes());
        }
    }

    #[test]
    fn broken_messages_are_ignored() {
        let mut inbox = Inbox::default();
        inbox.ask("show sess", Tick(0)).unwrap();
        for bytes in [b"".as_slice(), b"+", b"+1234567", b"+12345678"] {
            inbox.hear(bytes);
        }
        assert_eq!(inbox.open[0].waits, 1);
    }
}
