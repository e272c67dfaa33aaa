//! Every built-in limit with its reason. Limits that users set have their defaults here too.
//!
//! A number that bounds work, memory or trust belongs here, not beside the code it bounds.

/// Default `tune.bufsize` in bytes: one TLS record and any sane HTTP head.
pub const BUFSIZE: usize = 16 * 1024;

/// Default `tune.maxrewrite` in bytes: room that a head leaves for headers that rules add.
pub const MAXREWRITE: usize = 1024;

/// Smallest buffer: a head with a few cookies must fit, and the statistics lines of the command socket.
pub const BUFSIZE_MIN: usize = 1024;

/// Largest small buffer: sixteen of them must still be counted in 32 bits with room to spare.
pub const BUFSIZE_MAX: usize = 16 * 1024 * 1024;

/// Buffers a process can always have: with fewer, a single exchange could wait for itself.
pub const POOL_MIN_BUFFERS: usize = 16;

/// Default `tune.maxpollevents`: events taken from the kernel at once. More delays timers and signals,
/// fewer wastes calls.
pub const POLL_EVENTS: usize = 200;

/// Default `tune.runqueue-depth`: tasks run between two looks at the sockets.
pub const RUNQUEUE_DEPTH: u32 = 280;

/// Default `tune.maxaccept`: connections accepted from one listener in a turn, so that a flood of new
/// connections does not starve those that are served.
pub const ACCEPT_PER_TURN: u32 = 64;

/// Longest distance of a deadline in milliseconds (about 34 years): what the timer wheel spans.
pub const DEADLINE_MAX_MS: u64 = 1 << 40;

/// Descriptors passed in one message between processes: the kernel takes 253, small batches spread better.
pub const FDS_PER_MESSAGE: usize = 32;

/// Longest message on a control channel in bytes. Larger things go in several.
pub const CONTROL_MESSAGE: usize = 64 * 1024;

/// A process whose heart stood still this long while connections wait in its queue is helped by others
/// taking these connections, in milliseconds.
pub const STILL_MS: u64 = 100;

/// A process whose heart stood still this long is killed and replaced, in milliseconds.
pub const FROZEN_MS: u64 = 2000;

/// A worker that dies of itself sooner than this after its birth is replaced only after the same time, in
/// milliseconds: one that cannot live must not keep the machine busy.
pub const RESPAWN_FORGET_MS: u64 = 1000;

/// New processes must serve within this time, in milliseconds, or a reload is called off: reading ten
/// thousand certificates takes seconds on a small machine.
pub const START_PATIENCE_MS: u64 = 60_000;

/// Who was told to leave at once and is still there after this time is killed, in milliseconds.
pub const END_PATIENCE_MS: u64 = 3000;

/// Processes that have a place in shared memory, old generations that still drain included.
pub const PROCESSES_MAX: u32 = 256;

/// Most workers that may be asked for.
pub const WORKERS_MAX: u32 = 64;

/// Longest name of a proxy, server or bind line kept in shared memory, in bytes; longer ones are told
/// apart by a hash of the rest.
pub const SHM_NAME: usize = 64;
