//! EVERY structure in shared memory. Together with [`VERSION`] this file is the agreement between
//! processes of different ages: change a structure, and [`fingerprint`] changes with it, so that a
//! process never reads memory it would misunderstand.
//!
//! Rules: atomics only; numbers and offsets, never pointers; zero is a good start for everything.
//! "Own" fields are written by one process only, with plain loads and stores; all others take part in
//! read-modify-write.

use std::mem::size_of;
use std::sync::atomic::{AtomicU32, AtomicU64};

use lighterman_sys::shm_struct;

use super::counters::{INFOS, INFO_RATES, RATES, STATS};

/// First word of the memory: "lightman" in ASCII.
pub const MAGIC: u64 = 0x6c69_6768_746d_616e;

/// Counted up when the meaning of a field changes while its size does not.
pub const VERSION: u32 = 1;

/// Words of 8 bytes that hold the name of an object.
pub const NAME_WORDS: usize = crate::base::limits::SHM_NAME / 8;

shm_struct! {
    /// What the rest of the memory looks like.
    pub struct Header {
        /// [`MAGIC`] once everything else is in place.
        pub magic: AtomicU64,
        /// [`VERSION`].
        pub version: AtomicU32,
        /// Rows of objects, row 0 (which nobody reads) included.
        pub rows: AtomicU32,
        /// [`fingerprint`] of the program that made it.
        pub layout: AtomicU64,
        /// Bytes of the mapping.
        pub bytes: AtomicU64,
        /// Places for processes.
        pub slots: AtomicU32,
        /// Counted up by each reload.
        pub generation: AtomicU32,
        /// Counted up by every change at run time that processes must look at.
        pub changes: AtomicU64,
    }

    /// Limits and gauges of the whole program.
    pub struct GlobalCell {
        /// Connections from clients over all processes.
        pub conns: AtomicU32,
        /// Most at once.
        pub conns_max: AtomicU32,
        /// TLS connections over all processes.
        pub ssl_conns: AtomicU32,
        /// Limit on `conns`, 0: none.
        pub maxconn: AtomicU32,
        /// Limit on `ssl_conns`, 0: none.
        pub maxsslconn: AtomicU32,
        /// Limit on connections per second, 0: none.
        pub conn_rate: AtomicU32,
        /// Limit on sessions per second, 0: none.
        pub sess_rate: AtomicU32,
        /// Limit on TLS handshakes per second, 0: none.
        pub ssl_rate: AtomicU32,
        /// [`super::gate`] of connections.
        pub conn_gate: AtomicU64,
        /// [`super::gate`] of sessions.
        pub sess_gate: AtomicU64,
        /// [`super::gate`] of TLS connections.
        pub ssl_gate: AtomicU64,
        /// Invalid messages captured so far.
        pub captures: AtomicU64,
    }

    /// Events per second, of one process. Own.
    pub struct RateCell {
        /// Start of the current second, low 32 bits of the milliseconds.
        pub start: AtomicU32,
        /// Events in it.
        pub now: AtomicU32,
        /// Events in the second before.
        pub before: AtomicU32,
        /// Most in a second.
        pub max: AtomicU32,
    }

    /// One process.
    pub struct ProcessCell {
        /// Its pid; 0: the place is free.
        pub pid: AtomicU32,
        /// [`super::processes::Role`]s it has, as bits.
        pub roles: AtomicU32,
        /// Number of the worker from 1; 0 for others.
        pub number: AtomicU32,
        /// Generation of the configuration it serves.
        pub generation: AtomicU32,
        /// [`super::processes::Phase`]. Own.
        pub phase: AtomicU32,
        /// What the master wants of it: [`super::processes::Wish`].
        pub wish: AtomicU32,
        /// Turns of its event loop. Own.
        pub heart: AtomicU64,
        /// When it started, microseconds since 1970.
        pub started_us: AtomicU64,
        /// Figures of the process, by [`super::counters::Info`]. Own.
        pub infos: [AtomicU64; INFOS],
        /// Rates of the process, by [`super::counters::InfoRate`]. Own.
        pub rates: [RateCell; INFO_RATES],
    }

    /// An object of the configuration: what all processes together know of it.
    pub struct ObjectCell {
        /// Hash of kind and full name; 0: the row is free.
        pub key: AtomicU64,
        /// The name, cut to what fits.
        pub name: [AtomicU64; NAME_WORDS],
        /// Sessions over all processes.
        pub current: AtomicU32,
        /// Most at once.
        pub current_max: AtomicU32,
        /// Requests that wait, over all processes.
        pub queued: AtomicU32,
        /// Most at once.
        pub queued_max: AtomicU32,
        /// Limit on sessions set at run time plus one; 0: as configured.
        pub maxconn: AtomicU32,
        /// [`super::objects::FrontState`].
        pub state: AtomicU32,
        /// Most sessions in a second, over all processes, as sampled.
        pub sess_rate_max: AtomicU32,
        /// Most connections in a second.
        pub conn_rate_max: AtomicU32,
        /// Most requests in a second.
        pub req_rate_max: AtomicU32,
        /// [`super::gate`] of `rate-limit sessions`.
        pub gate: AtomicU64,
        /// Ends all sessions that are older than this count of calls for it.
        pub shutdowns: AtomicU32,
        /// Seconds since 1970 of the last session; 0: none yet.
        pub last_session: AtomicU64,
        /// Tick of the last change between up and down; 0: since the start.
        pub changed_ms: AtomicU64,
        /// Milliseconds spent down before that change.
        pub down_ms: AtomicU64,
    }

    /// A server: its health and what the operator wants of it. In the row of its object.
    pub struct ServerCell {
        /// [`super::servers::Admin`].
        pub admin: AtomicU32,
        /// 0: up, 1: down. Zero is up: without checks a server takes traffic.
        pub down: AtomicU32,
        /// Weight set at run time plus one; 0: as configured.
        pub weight: AtomicU32,
        /// Odd while the address is being changed.
        pub addr_turn: AtomicU32,
        /// Address in place of the configured one: family and port, then 16 bytes.
        pub addr: [AtomicU64; 3],
        /// Failures of traffic in a row (`observe`, `on-error`).
        pub failures: AtomicU32,
        /// Checks passed (positive) or failed in a row.
        pub streak: AtomicU32,
        /// Code of the last check result.
        pub check_status: AtomicU32,
        /// Code the server answered the last check with.
        pub check_code: AtomicU32,
        /// Milliseconds the last check took.
        pub check_ms: AtomicU32,
        /// Checks made.
        pub checks: AtomicU32,
        /// Checks failed while the server was up.
        pub check_failures: AtomicU32,
        /// Times it went down.
        pub downs: AtomicU32,
    }

    /// What one process counts for one object. Own.
    pub struct CounterLine {
        /// By [`super::counters::Stat`].
        pub cells: [AtomicU64; STATS],
        /// By [`super::counters::Rate`].
        pub rates: [RateCell; RATES],
        /// Who of its requests waits first, see [`super::Shared::tell_first`]; 0: nobody.
        pub waits: AtomicU64,
    }
}

/// A number that is the same only for programs with the same structures and statistics.
pub fn fingerprint() -> u64 {
    let sizes = [
        size_of::<Header>(),
        size_of::<GlobalCell>(),
        size_of::<ProcessCell>(),
        size_of::<ObjectCell>(),
        size_of::<ServerCell>(),
        size_of::<CounterLine>(),
    ];
    let mut text: Vec<u8> = sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
    text.extend_from_slice(&VERSION.to_le_bytes());
    text.extend_from_slice(super::counters::signature().as_bytes());
    xxhash_rust::xxh3::xxh3_64(&text)
}
