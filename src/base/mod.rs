//! Floor 1: small things that know nothing of proxies. Imports nothing of ours.

pub mod arena;
pub mod bits;
pub mod buffer;
pub mod doc;
pub mod ids;
pub mod limits;
pub mod pool;
pub mod rng;
pub mod tick;
