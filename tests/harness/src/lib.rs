//! Scenario runner for the integration tests: starts the program under inherited descriptors, plays the
//! servers, the clients, the log daemon and the operator around it, and ends everything on drop.
//!
//! Every wait has a deadline ([`LIMIT`]) and panics with what it waited for and what came instead; a test
//! that panics also prints what the program wrote on stderr. Nothing here uses the program's own code, so
//! that a mistake cannot hide on both sides.

pub mod deadline;
pub mod dir;
pub mod header;
pub mod http;
pub mod load;
pub mod logs;
pub mod peer;
pub mod procs;
pub mod program;
pub mod server;
pub mod terminal;
pub mod tls;

pub use deadline::{eventually, until, Watch, LIMIT};
pub use dir::Dir;
pub use http::{Reply, Request, Response};
pub use load::Load;
pub use logs::Logs;
pub use peer::{End, Peer};
pub use program::{Program, Proxy};
pub use server::Server;
