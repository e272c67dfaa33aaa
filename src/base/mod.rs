//! Floor 1: small things that know nothing of proxies. Imports nothing of ours.

pub mod arena;
pub mod bits;
pub mod buffer;
pub mod doc;
pub mod freq;
pub mod hash;
pub mod ids;
pub mod limits;
pub mod nettree;
pub mod pool;
pub mod rng;
pub mod text;
pub mod tick;
