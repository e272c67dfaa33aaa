//! An in-memory pair of sockets for deterministic tests: bounded, half-closable, resettable.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard};

#[derive(Default)]
struct Lane {
    bytes: VecDeque<u8>,
    ended: bool,
}

#[derive(Default)]
struct Wire {
    lanes: [Lane; 2],
    reset: bool,
    capacity: usize,
}

/// One end of an in-memory pair.
pub struct MemSock {
    wire: Arc<Mutex<Wire>>,
    side: usize,
}

/// Both ends of a pair whose lanes hold `capacity` bytes each.
pub fn pair(capacity: usize) -> (MemSock, MemSock) {
    let wire = Arc::new(Mutex::new(Wire { capacity, ..Wire::default() }));
    (MemSock { wire: wire.clone(), side: 0 }, MemSock { wire, side: 1 })
}

impl MemSock {
    fn wire(&self) -> MutexGuard<'_, Wire> {
        self.wire.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Reads what the other end sent.
    pub fn recv(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut wire = self.wire();
        if wire.reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let lane = &mut wire.lanes[1 - self.side];
        if lane.bytes.is_empty() && !lane.ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = lane.bytes.len().min(into.len());
        for (slot, byte) in into.iter_mut().zip(lane.bytes.drain(..n)) {
            *slot = byte;
        }
        Ok(n)
    }

    /// Sends as much as there is room for.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut wire = self.wire();
        if wire.reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let room = wire.capacity.saturating_sub(wire.lanes[self.side].bytes.len());
        if room == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = room.min(bytes.len());
        wire.lanes[self.side].bytes.extend(bytes.iter().take(n));
        Ok(n)
    }

    /// Sends several slices as one.
    pub fn send_parts(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send(&parts.iter().flat_map(|p| p.iter().copied()).collect::<Vec<_>>())
    }

    /// Nothing more comes from this end.
    pub fn shut_write(&mut self) {
        let side = self.side;
        self.wire().lanes[side].ended = true;
    }

    /// Both ends see a reset from now on.
    pub fn reset(&mut self) {
        self.wire().reset = true;
    }
}

impl Drop for MemSock {
    fn drop(&mut self) {
        self.shut_write();
    }
}
