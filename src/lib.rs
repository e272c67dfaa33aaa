//! lighterman: a TLS offloader and HTTP/TCP load balancer that speaks HAProxy's configuration
//! language. `doc/architecture.md` is the map of these floors.

pub mod base;

pub mod event;
pub mod lang;
pub mod msg;
pub mod shm;

pub mod expr;

pub mod act;
pub mod balance;
pub mod plan;

pub mod conf;

pub mod net;

pub mod stream;

pub mod service;

pub mod master;
pub mod worker;
