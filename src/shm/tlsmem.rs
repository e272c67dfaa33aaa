//! The memory all processes share for TLS: keys of tickets, then the cache of sessions, in a mapping of its own.
//!
//! The master makes it before the first fork and keeps it over reloads, so that a client's session outlives the configuration
//! it was made under; only a reload that changes `tune.ssl.cachesize` gets a new, empty cache, and even then the keys go on.

use std::io;

use lighterman_sys::map::Mapping;

use super::sslcache::SslCache;
use super::tickets::Tickets;

/// Handles to the shared memory; cheap to clone.
#[derive(Clone)]
pub struct TlsMemory {
    blocks: usize,
    /// Sessions by id; `None` with a cache size of 0.
    pub cache: Option<SslCache>,
    /// Keys of tickets.
    pub tickets: Tickets,
}

impl TlsMemory {
    /// Maps and prepares memory for `blocks` (`tune.ssl.cachesize`).
    pub fn make(blocks: usize) -> io::Result<TlsMemory> {
        let words = |bytes: usize| bytes.div_ceil(8);
        let (for_tickets, for_cache) =
            (words(Tickets::bytes_needed()), words(SslCache::bytes_needed(blocks)));
        let mapping = Mapping::anonymous((for_tickets + for_cache) * 8)?;
        let regions = (mapping.region(0, for_tickets), mapping.region(for_tickets * 8, for_cache));
        let (Some(tickets), Some(cache)) = regions else {
            return Err(io::Error::from(io::ErrorKind::OutOfMemory));
        };
        let tickets =
            Tickets::attach(&tickets).ok_or_else(|| io::Error::other("no ticket key could be made"))?;
        Ok(TlsMemory { blocks, cache: SslCache::attach(&cache, blocks), tickets })
    }

    /// The memory of the next generation: this one, or one with another cache and the same keys.
    pub fn next(&self, blocks: usize) -> io::Result<TlsMemory> {
        if blocks == self.blocks {
            return Ok(self.clone());
        }
        let next = Self::make(blocks)?;
        let (keys, current) = self.tickets.keys();
        next.tickets.set(&keys, current);
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_keeps_what_it_can() {
        let first = TlsMemory::make(100).unwrap();
        assert!(first.cache.as_ref().unwrap().store(b"id", b"session") && first.tickets.rotate());
        let same = first.next(100).unwrap();
        assert!(same.cache.unwrap().find(b"id").is_some());
        let other = first.next(200).unwrap();
        assert_eq!(other.tickets.keys(), first.tickets.keys());
        assert!(other.cache.unwrap().find(b"id").is_none());
        let none = first.next(0).unwrap();
        assert!(none.cache.is_none() && none.tickets.current() == first.tickets.current());
    }
}
