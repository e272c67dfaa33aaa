//! TLS as a machine: ciphertext in, plain text out, and the other way round. No socket, no clock.
//!
//! `transport/ssl.rs` owns the two buffers of ciphertext and lends them with every call ([`Pipe`]): `rx` is filled by one
//! `recv` with whatever the socket has, whole records or not; `tx` collects records until one `send` takes them all. An
//! engine holds neither between calls, and once both are empty the transport gives them back: an idle connection costs the
//! session's keys and nothing else.
//!
//! What the library holds back (the ticket of TLS 1.3, an answer to a key update) leaves with the next bytes that are written,
//! so that the ticket and the first answer share a segment; [`TlsEngine::release`] sends it for a connection with nothing to say.

use std::net::IpAddr;
use std::sync::Arc;

use lighterman_sys::tls::{Conn, Failure, Outcome, Reason};
use openssl::error::ErrorStack;

use super::asked::Asked;
use super::certs::Cert;
use super::context::{BindContext, Policy, ServerContext, Ways};
use super::gather::{Gather, Large, Next};
use super::host::{Back, Front, Heavy, KeyLines, Verified};
use super::replay::Replay;
use super::store::Awaited;
use crate::base::buffer::Buffer;
use crate::base::pool::Pool;
use crate::expr::view::HelloFacts;

/// The most plain text a record holds (RFC 8446 section 5.1).
pub const RECORD_MAX: usize = 16384;
/// Room a ticket may need beside the first record after a handshake.
const HELD_ROOM: usize = 512;
/// Not worth a record of its own while more room is to come.
const RECORD_MIN: usize = 1024;

/// The buffers of ciphertext, lent for a call. Either may be absent; `tx` is taken from the pool when there is something to
/// send and put back by the owner once it is sent.
pub struct Pipe<'p> {
    /// Received, not decrypted yet.
    pub rx: &'p mut Option<Buffer>,
    /// Encrypted, not sent yet.
    pub tx: &'p mut Option<Buffer>,
    /// Where buffers come from.
    pub pool: &'p mut Pool,
}

impl Pipe<'_> {
    /// The buffer to send from, taken from the pool if need be; `None` when the pool is dry.
    pub(super) fn room(&mut self) -> Option<&mut Buffer> {
        if self.tx.is_none() {
            *self.tx = self.pool.get();
        }
        self.tx.as_mut()
    }
}

/// The alert for a hello that is too long: fatal, `illegal_parameter` (RFC 8446 section 6.2).
const ILLEGAL_PARAMETER: &[u8] = b"\x15\x03\x03\x00\x02\x02\x2f";

/// What came of a step of the handshake. Whatever it is, `tx` may have bytes to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is over. A client may hold `tx` until its first bytes of plain text are in it too.
    Done,
    /// The peer must send more.
    WantRead,
    /// `tx` must be emptied first, or the pool is dry.
    WantWrite,
    /// It waits for a certificate; call again when there is one.
    Suspended,
    /// A full handshake comes next, the work of a private key: call again after [`TlsEngine::grant`].
    Heavy,
    /// It failed; `tx` holds the alert that says so.
    Fault(Failure),
}

/// What came of an attempt to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    /// So many bytes.
    Some(usize),
    /// None before more ciphertext comes.
    Need,
    /// The peer has ended its side in good order (close_notify).
    Closed,
    /// The connection is broken; `tx` holds the alert that says so.
    Fault(Failure),
}

/// What came of an attempt to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrote {
    /// So many bytes are in `tx` now.
    Some(usize),
    /// None before `tx` is emptied (or the pool has buffers). The next attempt must begin with the same bytes.
    Full,
    /// None before more ciphertext has come: the server takes no more early data.
    Wait,
    /// The connection is broken.
    Fault(Failure),
}

/// Whom the connection is with.
enum Side {
    Front {
        bind: Arc<BindContext>,
        shown: Option<Arc<Cert>>,
        /// Number of the options the connection was made with.
        policy: usize,
        /// What the client has said, while other options may turn out to be the right ones.
        replay: Option<Box<Replay>>,
        /// The beginning of a hello that came in parts.
        gather: Option<Box<Gather>>,
        /// Its hello is large.
        large: Option<Large>,
    },
    Back {
        ways: Arc<Ways>,
        name: Box<str>,
    },
}

/// One TLS connection.
pub struct TlsEngine {
    /// A client's is made when its hello is whole.
    conn: Option<Conn>,
    side: Side,
    verified: Verified,
    /// The library may hold back a ticket.
    holds: bool,
    /// Whether a full handshake may be made.
    heavy: Heavy,
    /// The number of the options it should have been made with, when they are others.
    turn: Option<usize>,
    /// The certificate it waits for, and whether the owner knows.
    awaits: Option<Awaited>,
    told: bool,
    /// Lines of the key log, under `tune.ssl.keylog`.
    keys: Option<Box<KeyLines>>,
    /// What the client asked for, while its handshake lasts.
    asked: Option<Box<Asked>>,
    /// What it offered, under `tune.ssl.capture-buffer-size`.
    captured: Option<Box<HelloFacts>>,
    /// Bytes the library has encrypted without telling, because `tx` was full: the next write must begin with them.
    owed: u32,
    /// The first failure: nothing can be done afterwards.
    failed: Option<Box<Failure>>,
}

impl TlsEngine {
    /// A connection that a client opened.
    pub fn accept(bind: &Arc<BindContext>) -> TlsEngine {
        let replay = bind.has_choice().then(Box::default);
        let bind = Arc::clone(bind);
        Self::new(None, Side::Front { bind, shown: None, policy: 0, replay, gather: None, large: None })
    }

    /// A connection to a server; `name` is sent as SNI, and expected in its certificate unless `verifyhost` says otherwise. With
    /// `early` it can be written to at once, if there is a session for that.
    pub fn connect(
        server: &Arc<ServerContext>,
        name: Option<&str>,
        early: bool,
    ) -> Result<TlsEngine, ErrorStack> {
        let ways = server.ways();
        let mut conn = Conn::new(&ways.context)?;
        let asked = name.unwrap_or_default();
        // an address is no host name (RFC 6066 section 3), but it may stand in the certificate
        if !asked.is_empty() && asked.parse::<IpAddr>().is_err() {
            conn.set_name(asked)?;
        }
        let expected = server.verify_host.as_deref().unwrap_or(asked);
        if server.verifies && !expected.is_empty() {
            conn.set_expected_name(expected)?;
        }
        if let Some(session) = ways.sessions.as_ref().and_then(|sessions| sessions.find(asked)) {
            if conn.offer(&session, early)? {
                // a second time its early data would be a recording
                ways.sessions.iter().for_each(|sessions| sessions.forget(asked));
            }
        }
        Ok(Self::new(Some(conn), Side::Back { ways, name: asked.into() }))
    }

    fn new(conn: Option<Conn>, side: Side) -> TlsEngine {
        TlsEngine {
            conn,
            side,
            verified: Verified::default(),
            holds: false,
            heavy: Heavy::Unknown,
            turn: None,
            awaits: None,
            told: false,
            keys: None,
            asked: None,
            captured: None,
            owed: 0,
            failed: None,
        }
    }

    /// The certificate the handshake waits for since its last step, for [`super::store::Store::wait`]; told once.
    pub fn newly_awaits(&mut self) -> Option<Awaited> {
        if std::mem::replace(&mut self.told, true) {
            return None;
        }
        self.awaits
    }

    /// A full handshake may be made in the next step.
    pub fn grant(&mut self) {
        self.heavy = Heavy::Granted;
    }

    /// A full handshake was granted and is still to be made: the certificate for it has been waited for.
    pub fn is_granted(&self) -> bool {
        self.heavy == Heavy::Granted
    }

    /// Goes on with the handshake as far as the buffers allow.
    pub fn handshake(&mut self, pipe: &mut Pipe<'_>) -> Step {
        if let Some(failure) = &self.failed {
            return Step::Fault(**failure);
        }
        if self.conn.is_none() {
            match self.gather(pipe) {
                Ok(true) => {}
                Ok(false) => return Step::WantRead,
                Err(failure) => return Step::Fault(failure),
            }
        }
        let mut outcome = self.call(pipe, |conn, host| conn.handshake(host));
        if let Some(number) = self.turn.take() {
            outcome = match self.turn_to(number) {
                Ok(()) => self.call(pipe, |conn, host| conn.handshake(host)),
                Err(_) => self.give_up(),
            };
        }
        match outcome {
            Outcome::Done(_) => {
                self.holds = matches!(self.side, Side::Front { .. });
                self.asked = None;
                if let Side::Front { large, .. } = &mut self.side {
                    *large = None;
                }
                Step::Done
            }
            Outcome::WantRead | Outcome::Closed if self.hears_too_much() => {
                let failure = Failure::of(Reason::TooLong);
                self.failed = Some(Box::new(failure));
                Step::Fault(failure)
            }
            Outcome::WantRead | Outcome::Closed => Step::WantRead,
            Outcome::WantWrite => Step::WantWrite,
            Outcome::Suspended if self.heavy == Heavy::Asked => Step::Heavy,
            Outcome::Suspended => Step::Suspended,
            Outcome::Failed(failure) => {
                if let Side::Back { ways, name } = &self.side {
                    // Whatever was offered may be the reason.
                    ways.sessions.iter().for_each(|sessions| sessions.forget(name));
                }
                Step::Fault(failure)
            }
        }
    }

    /// The options of a connection with a client.
    pub(super) fn policy(&self) -> Option<Arc<Policy>> {
        match &self.side {
            Side::Front { bind, policy, .. } => bind.policy(*policy),
            Side::Back { .. } => None,
        }
    }

    /// A client goes on and on, without a certificate to show: the library would keep it all.
    fn hears_too_much(&self) -> bool {
        let asks = self.policy().is_none_or(|policy| policy.asks);
        !asks && self.asked().is_some_and(Asked::says_too_much)
    }

    /// Waits for all of a client's hello, then makes the connection.
    fn gather(&mut self, pipe: &mut Pipe<'_>) -> Result<bool, Failure> {
        let Side::Front { bind, gather, policy, large, .. } = &mut self.side else { return Ok(false) };
        let next = match Gather::look(gather, pipe.rx) {
            Next::Go(hello) => match Large::permit(&bind.shared.large, hello) {
                Some(permit) => {
                    *large = permit;
                    Next::Go(hello)
                }
                None => Next::TooLong,
            },
            next => next,
        };
        let failure = match next {
            Next::Wait => return Ok(false),
            Next::Go(_) => match bind.policy(*policy).and_then(|policy| Conn::new(&policy.context).ok()) {
                Some(conn) => {
                    self.conn = Some(conn);
                    return Ok(true);
                }
                None => Failure::of(Reason::Internal),
            },
            Next::TooLong => {
                if let Some(tx) = pipe.room() {
                    tx.push(ILLEGAL_PARAMETER);
                }
                Failure::of(Reason::TooLong)
            }
        };
        *gather = None;
        self.failed = Some(Box::new(failure));
        Err(failure)
    }

    /// Makes the connection anew with other options; it reads what the client has said once more.
    fn turn_to(&mut self, number: usize) -> Result<(), ErrorStack> {
        if let Side::Front { bind, policy, replay: Some(replay), .. } = &mut self.side {
            let right = bind.policy(number).ok_or_else(ErrorStack::get)?;
            self.conn = Some(Conn::new(&right.context)?);
            *policy = number;
            replay.start();
        }
        Ok(())
    }

    fn give_up(&mut self) -> Outcome {
        let failure = Failure::of(Reason::Internal);
        self.failed = Some(Box::new(failure));
        Outcome::Failed(failure)
    }

    /// Decrypts into `into` until it is full or `rx` holds no whole record any more.
    pub fn read(&mut self, pipe: &mut Pipe<'_>, into: &mut [u8]) -> Plain {
        if let Some(failure) = &self.failed {
            return Plain::Fault(**failure);
        }
        let mut done = 0;
        while let Some(room) = into.get_mut(done..).filter(|room| !room.is_empty()) {
            match self.call(pipe, |conn, host| conn.read(host, room)) {
                Outcome::Done(0) => break,
                Outcome::Done(n) => done += n,
                // What was read before comes first; these come again.
                _ if done > 0 => break,
                Outcome::Closed => return Plain::Closed,
                Outcome::Failed(failure) => return Plain::Fault(failure),
                Outcome::WantRead | Outcome::WantWrite | Outcome::Suspended => return Plain::Need,
            }
        }
        if done > 0 {
            Plain::Some(done)
        } else {
            Plain::Need
        }
    }

    /// Encrypts from `bytes` as much as `tx` takes, in records of at most `record` bytes.
    pub fn write(&mut self, pipe: &mut Pipe<'_>, bytes: &[u8], record: usize) -> Wrote {
        if let Some(failure) = &self.failed {
            return Wrote::Fault(**failure);
        }
        let overhead = self.conn().map_or(0, Conn::overhead);
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            let Some(tx) = pipe.room() else { break };
            tx.make_room(rest.len() + overhead);
            let held = if self.holds { HELD_ROOM } else { 0 };
            let fits = tx.tail_room().saturating_sub(overhead + held);
            let mut n = rest.len().min(record.clamp(1, RECORD_MAX)).min(fits);
            if self.owed > 0 {
                // The library has its own copy and only needs room.
                n = (self.owed as usize).min(rest.len());
            } else if n < rest.len().min(RECORD_MIN).min(record) {
                break;
            }
            let part = rest.get(..n).unwrap_or(rest);
            match self.call(pipe, |conn, host| conn.write(host, part)) {
                Outcome::Done(wrote) => {
                    (self.owed, self.holds) = (0, false);
                    done += wrote;
                }
                Outcome::WantWrite => {
                    self.owed = n as u32;
                    break;
                }
                Outcome::Failed(failure) if done == 0 => return Wrote::Fault(failure),
                Outcome::WantRead if done == 0 => return Wrote::Wait,
                _ => break,
            }
        }
        if done > 0 || bytes.is_empty() {
            Wrote::Some(done)
        } else {
            Wrote::Full
        }
    }

    /// Encrypts two slices as if they were one: a head and the beginning of its body share a record.
    pub fn write2(&mut self, pipe: &mut Pipe<'_>, first: &[u8], second: &[u8], record: usize) -> Wrote {
        if first.is_empty() || second.is_empty() || first.len() >= record.min(RECORD_MAX) {
            return self.write(pipe, if first.is_empty() { second } else { first }, record);
        }
        let Some(mut joint) = pipe.pool.get() else { return self.write(pipe, first, record) };
        if !joint.push_all(first) {
            pipe.pool.put(joint);
            return self.write(pipe, first, record);
        }
        let room = record.min(RECORD_MAX) - first.len();
        let taken = joint.push(second.get(..room).unwrap_or(second));
        let wrote = self.write(pipe, joint.readable(), record);
        let begun = joint.len();
        pipe.pool.put(joint);
        match wrote {
            Wrote::Some(n) if n == begun => {}
            unfinished => return unfinished,
        }
        match self.write(pipe, second.get(taken..).unwrap_or_default(), record) {
            Wrote::Some(n) => Wrote::Some(begun + n),
            Wrote::Full | Wrote::Wait | Wrote::Fault(_) => Wrote::Some(begun),
        }
    }

    /// Writes what the library holds back: for a connection that has nothing to say now and will wait for its peer.
    pub fn release(&mut self, pipe: &mut Pipe<'_>) {
        if self.holds && self.failed.is_none() {
            self.holds = false;
            self.call(pipe, |conn, host| conn.write(host, &[]));
        }
    }

    /// Says goodbye (close_notify), which goes to `tx`. True when it is there, or nothing can be said any more.
    pub fn shutdown(&mut self, pipe: &mut Pipe<'_>) -> bool {
        if self.failed.is_some() || !self.is_established() {
            return true;
        }
        !matches!(self.call(pipe, |conn, host| conn.shutdown(host)), Outcome::WantWrite)
    }

    /// Whether plain text is ready without more ciphertext.
    pub fn has_plain(&self) -> bool {
        self.conn().is_some_and(|conn| conn.pending() > 0)
    }

    /// Goes on with a handshake that has let early data through, as far as `rx` allows. True when that is over.
    pub fn advance(&mut self, pipe: &mut Pipe<'_>) -> bool {
        if self.failed.is_none() && self.is_early() {
            self.call(pipe, |conn, host| conn.advance(host));
        }
        self.failed.is_some() || !self.is_early()
    }

    /// Early data may come, the client has not proved that it is there now.
    pub(super) fn is_early(&self) -> bool {
        self.conn().is_some_and(Conn::is_early)
    }

    /// The name a server was asked for, and must have.
    pub fn server_name(&self) -> Option<&str> {
        match &self.side {
            Side::Back { name, .. } => Some(&**name).filter(|name| !name.is_empty()),
            Side::Front { .. } => None,
        }
    }

    /// Whether the peer is a client.
    pub fn is_front(&self) -> bool {
        matches!(self.side, Side::Front { .. })
    }

    /// Whether the handshake is over.
    pub fn is_established(&self) -> bool {
        self.conn().is_some_and(Conn::is_established)
    }

    /// How it failed, if it did.
    pub fn failure(&self) -> Option<Failure> {
        self.failed.as_deref().copied()
    }

    /// What the client asked for, while its handshake lasts.
    pub fn asked(&self) -> Option<&Asked> {
        self.asked.as_deref()
    }

    /// What the client offered, when it is kept.
    pub(super) fn captured(&self) -> Option<&HelloFacts> {
        self.captured.as_deref()
    }

    /// The certificate shown to the client.
    pub fn shown(&self) -> Option<&Arc<Cert>> {
        match &self.side {
            Side::Front { shown, .. } => shown.as_ref(),
            Side::Back { .. } => None,
        }
    }

    /// What verification of the peer's certificate found.
    pub fn verified(&self) -> Verified {
        self.verified
    }

    /// The secret with this label in the key log, in hexadecimal digits.
    pub(super) fn secret(&self, label: &str) -> Option<&[u8]> {
        self.keys.as_deref()?.secret(label)
    }

    /// The library's connection, to be asked; none before a client's hello is whole.
    pub(super) fn conn(&self) -> Option<&Conn> {
        self.conn.as_ref()
    }

    fn call(
        &mut self,
        pipe: &mut Pipe<'_>,
        ask: impl FnOnce(&mut Conn, &mut dyn lighterman_sys::tls::Host) -> Outcome,
    ) -> Outcome {
        let Some(conn) = &mut self.conn else { return Outcome::WantRead };
        let verified = &mut self.verified;
        let mut outcome = match &mut self.side {
            Side::Front { bind, shown, policy, replay, gather, .. } => {
                let (heavy, turn, policy) = (&mut self.heavy, &mut self.turn, *policy);
                let (keys, asked, before) = (&mut self.keys, &mut self.asked, self.awaits);
                let awaits = &mut self.awaits;
                let mut front = Front {
                    pipe,
                    bind,
                    shown,
                    verified,
                    heavy,
                    policy,
                    replay,
                    gather,
                    turn,
                    awaits,
                    keys,
                    asked,
                    captured: &mut self.captured,
                };
                let outcome = ask(conn, &mut front);
                self.told &= self.awaits == before;
                outcome
            }
            Side::Back { ways, name } => {
                let keys = &mut self.keys;
                ask(conn, &mut Back { pipe, ways, name, verified, keys })
            }
        };
        if let Outcome::Failed(failure) = &mut outcome {
            let alert = self.asked.as_ref().and_then(|asked| asked.clear_alert());
            if let (Reason::BadRecord, Some(alert)) = (failure.reason, alert) {
                (failure.reason, failure.alert) = (Reason::Alert, alert);
            }
            self.failed = Some(Box::new(*failure));
        }
        if self.heavy == Heavy::Granted && outcome != Outcome::Suspended {
            self.heavy = Heavy::Done;
        }
        outcome
    }
}
