//! The library's questions, answered for one call of the engine.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;

use lighterman_sys::tls::{Hello, Host, Select, Setup, TicketKey, TicketUse};
use lighterman_wire::client_hello::extension;
use openssl::sha::sha256;
use openssl::ssl::SslSession;

use super::asked::Asked;
use super::certs::Cert;
use super::context::{BindContext, Ways};
use super::engine::Pipe;
use super::gather::Gather;
use super::hello::{capture, first_identity, protocols, server_name, Can};
use super::replay::Replay;
use super::store::{Awaited, Pick};
use crate::expr::view::HelloFacts;

/// `unrecognized_name` of RFC 6066 section 3.
const ALERT_UNKNOWN_NAME: u8 = 112;
/// `illegal_parameter`.
const ALERT_ILLEGAL: u8 = 47;
/// `internal_error`.
const ALERT_INTERNAL: u8 = 80;

/// Bytes of a connection's key log: seven lines, and some that are none of ours.
const KEY_LOG_MAX: usize = 4096;

/// What certificate verification found, as fetches report it: the error of the peer's own certificate; the first error above
/// it, with its depth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verified {
    /// Error at depth 0; 0 for none.
    pub leaf: u8,
    /// First error of an authority; 0 for none.
    pub authority: u8,
    /// Its depth.
    pub depth: u8,
}

impl Verified {
    fn note(&mut self, error: i32, depth: i32) {
        let error = u8::try_from(error).unwrap_or(u8::MAX);
        if depth <= 0 {
            // the first counts: it is the one that is told, or that was passed over first
            if self.leaf == 0 {
                self.leaf = error;
            }
        } else if self.authority == 0 {
            (self.authority, self.depth) = (error, u8::try_from(depth).unwrap_or(u8::MAX));
        }
    }
}

/// Ciphertext in and out; the same for both sides.
macro_rules! carry_bytes {
    () => {
        carry_bytes!(out);

        fn received(&mut self) -> &[u8] {
            self.pipe.rx.as_ref().map_or(&[], |rx| rx.readable())
        }

        fn consume(&mut self, n: usize) {
            if let Some(rx) = self.pipe.rx.as_mut() {
                rx.consume(n);
            }
        }
    };
    (out) => {
        fn send(&mut self, bytes: &[u8]) -> usize {
            self.pipe.room().map_or(0, |tx| tx.push(bytes))
        }

        fn key_line(&mut self, line: &[u8]) {
            self.keys.get_or_insert_default().note(line);
        }
    };
}

/// Lines of a connection's key log.
#[derive(Default)]
pub(super) struct KeyLines(Vec<u8>);

impl KeyLines {
    fn note(&mut self, line: &[u8]) {
        if self.0.len() + line.len() < KEY_LOG_MAX {
            self.0.extend_from_slice(line);
            self.0.push(b'\n');
        }
    }

    /// The secret with this label, in hexadecimal digits.
    pub(super) fn secret(&self, label: &str) -> Option<&[u8]> {
        let mut lines = self.0.split(|byte| *byte == b'\n');
        lines.find_map(|line| {
            let mut words = line.split(|byte| *byte == b' ');
            (words.next() == Some(label.as_bytes())).then(|| words.next_back()).flatten()
        })
    }
}

/// Whether a connection may do the work of a full handshake.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Heavy {
    /// Nobody knows yet whether it must.
    Unknown,
    /// It must, and has to ask first.
    Asked,
    /// It may.
    Granted,
    /// It has done it.
    Done,
}

/// Towards a client.
pub(super) struct Front<'e, 'p> {
    pub(super) pipe: &'e mut Pipe<'p>,
    pub(super) bind: &'e BindContext,
    pub(super) shown: &'e mut Option<Arc<Cert>>,
    pub(super) verified: &'e mut Verified,
    pub(super) heavy: &'e mut Heavy,
    /// Number of the options the connection was made with.
    pub(super) policy: usize,
    /// The bytes so far, while other options may turn out to be the right ones.
    pub(super) replay: &'e mut Option<Box<Replay>>,
    /// The beginning of a hello that came in parts, before what is in the pipe.
    pub(super) gather: &'e mut Option<Box<Gather>>,
    /// The options it should have been made with: the engine makes it anew.
    pub(super) turn: &'e mut Option<usize>,
    /// The certificate it waits for.
    pub(super) awaits: &'e mut Option<Awaited>,
    pub(super) keys: &'e mut Option<Box<KeyLines>>,
    /// What the hello asked for, kept until the handshake is over.
    pub(super) asked: &'e mut Option<Box<Asked>>,
    /// What it offered, kept for fetches.
    pub(super) captured: &'e mut Option<Box<HelloFacts>>,
}

impl Front<'_, '_> {
    /// The client offers a session we probably know: no private key will be needed. A client that lies gets its full
    /// handshake nevertheless, and those that come after it wait the longer.
    fn resumes(&self, hello: &Hello<'_>) -> bool {
        let shared = &self.bind.shared;
        let sealed_here = |ticket: &[u8]| {
            let name = ticket.first_chunk::<16>();
            name.is_some_and(|name| {
                shared.tickets.as_ref().is_some_and(|tickets| tickets.find(name).is_some())
            })
        };
        let psk = hello.extension(extension::PRE_SHARED_KEY).and_then(first_identity);
        psk.is_some_and(sealed_here)
            || hello.extension(extension::SESSION_TICKET).is_some_and(sealed_here)
            || shared.cache.as_ref().is_some_and(|cache| cache.holds(hello.session_id()))
    }

    /// Early data may be taken with this ticket: for the first time.
    fn may_come_early(&self, hello: &Hello<'_>) -> bool {
        let shared = &self.bind.shared;
        let ticket = hello.extension(extension::PRE_SHARED_KEY).and_then(first_identity);
        let (Some(window), Some(ticket)) = (&shared.early, ticket) else { return false };
        let hash = sha256(ticket).iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        window.first_use(hash, shared.clock.load(Relaxed))
    }
}

impl Host for Front<'_, '_> {
    carry_bytes!(out);

    fn received(&mut self) -> &[u8] {
        match self.replay.as_ref().filter(|replay| replay.runs()) {
            Some(replay) => replay.rest(),
            None => match self.gather.as_ref() {
                Some(gather) => gather.rest(),
                None => self.pipe.rx.as_ref().map_or(&[], |rx| rx.readable()),
            },
        }
    }

    fn consume(&mut self, n: usize) {
        if let Some(replay) = self.replay.as_mut().filter(|replay| replay.runs()) {
            if replay.take(n) {
                *self.replay = None;
            }
            return;
        }
        let rest = match (self.gather.as_ref(), self.pipe.rx.as_ref()) {
            (Some(gather), _) => gather.rest(),
            (None, rx) => rx.map_or(&[][..], |rx| rx.readable()),
        };
        let taken = rest.get(..n).unwrap_or_default();
        if let Some(asked) = self.asked.as_mut() {
            asked.note(taken);
        }
        if let Some(replay) = self.replay.as_mut() {
            replay.note(taken);
        }
        match (self.gather.as_mut(), self.pipe.rx.as_mut()) {
            (Some(gather), _) => {
                if gather.take(n) {
                    *self.gather = None;
                }
            }
            (None, Some(rx)) => rx.consume(n),
            (None, None) => {}
        }
    }

    fn hello(&mut self, hello: &Hello<'_>, setup: &mut Setup<'_>) -> Select {
        self.asked.get_or_insert_with(|| Box::new(Asked::of(hello)));
        if let (None, room @ 1..) = (&self.captured, self.bind.shared.capture) {
            *self.captured = Some(Box::new(capture(hello, room)));
        }
        let full = match *self.heavy {
            Heavy::Granted | Heavy::Done => false,
            Heavy::Asked => true,
            Heavy::Unknown => !self.resumes(hello),
        };
        if full {
            *self.heavy = Heavy::Asked;
            return Select::Suspend;
        }
        let can = Can::of(hello);
        let name = hello.extension(extension::SERVER_NAME).and_then(server_name);
        let store = &self.bind.shared.store;
        let (cert, policy) = match store.pick(&self.bind.places, name, can, self.bind.strict_sni) {
            Pick::Show(cert, policy) => (cert, usize::from(policy)),
            Pick::Wait(awaited) => {
                *self.awaits = Some(awaited);
                return Select::Suspend;
            }
            Pick::Nothing(_) if self.bind.strict_sni => return Select::Refuse(ALERT_UNKNOWN_NAME),
            Pick::Nothing(_) | Pick::Failed => return Select::Refuse(ALERT_INTERNAL),
        };
        if policy != self.policy {
            // A second hello that asks for another line than the first (RFC 8446 section 4.1.2 forbids it) finds no bytes.
            if self.replay.as_ref().is_none_or(|replay| replay.runs()) {
                return Select::Refuse(ALERT_ILLEGAL);
            }
            *self.turn = Some(policy);
            return Select::Suspend;
        }
        if !setup.credentials(&cert.credentials) {
            return Select::Refuse(ALERT_INTERNAL);
        }
        let asks = |number| hello.extension(number).is_some();
        if asks(extension::STATUS_REQUEST) {
            let shared = &self.bind.shared;
            if let Some(stapled) = shared.responses.pick(&cert, shared.clock.load(Relaxed)) {
                setup.ocsp(stapled.bytes());
            }
        }
        if let Some(list) = cert.timestamps.as_ref().filter(|_| asks(extension::CERTIFICATE_TIMESTAMP)) {
            setup.timestamps(list);
        }
        if asks(extension::EARLY_DATA) && !self.may_come_early(hello) {
            setup.refuse_early_data();
        }
        *self.shown = Some(cert);
        if self.replay.as_ref().is_some_and(|replay| !replay.runs()) {
            *self.replay = None;
        }
        Select::Go
    }

    fn alpn<'o>(&mut self, offered: &'o [u8]) -> Option<&'o [u8]> {
        let policy = self.bind.policy(self.policy)?;
        let ours = policy.alpn.iter();
        ours.filter_map(|name| protocols(offered).find(|theirs| *theirs == name.as_bytes())).next()
    }

    fn accept_bad_certificate(&mut self, error: i32, depth: i32) -> bool {
        self.verified.note(error, depth);
        self.bind.policy(self.policy).is_some_and(|policy| policy.ignores(error, depth))
    }

    fn store_session(&mut self, id: &[u8], bytes: &[u8]) {
        if let Some(cache) = &self.bind.shared.cache {
            cache.store(id, bytes);
        }
    }

    fn find_session(&mut self, id: &[u8]) -> Option<Vec<u8>> {
        self.bind.shared.cache.as_ref()?.find(id)
    }

    fn ticket_key(&mut self) -> Option<TicketKey> {
        self.bind.shared.tickets.as_ref()?.current()
    }

    fn find_ticket_key(&mut self, name: &[u8; 16]) -> Option<(TicketKey, TicketUse)> {
        self.bind.shared.tickets.as_ref()?.find(name)
    }
}

/// Towards a server.
pub(super) struct Back<'e, 'p> {
    pub(super) pipe: &'e mut Pipe<'p>,
    pub(super) ways: &'e Ways,
    pub(super) name: &'e str,
    pub(super) verified: &'e mut Verified,
    pub(super) keys: &'e mut Option<Box<KeyLines>>,
}

impl Host for Back<'_, '_> {
    carry_bytes!();

    fn accept_bad_certificate(&mut self, error: i32, depth: i32) -> bool {
        self.verified.note(error, depth);
        false
    }

    fn keep_session(&mut self, session: SslSession) {
        if let Some(sessions) = &self.ways.sessions {
            sessions.keep(self.name, session);
        }
    }
}
