//! Floor 1: small things that know nothing of proxies. Imports nothing of ours.

pub mod doc;
pub mod ids;
