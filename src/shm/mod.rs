//! Floor 2: all that processes share. Imports base and sys.

pub mod sslcache;
pub mod tickets;
