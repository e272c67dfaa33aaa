//! `term`: a synthetic HTTP/1.1 origin. What a request wants is in its URL (`/?s=10k&t=20`), see [`ask`].
//!
//! Used by the benches, the demo and the tests of the load injector. One process is one edge-triggered loop; a small
//! request costs one recv and one send. Nothing here depends on the program: bytes in, bytes out.

pub mod answer;
pub mod ask;
pub mod options;
pub mod request;
pub mod server;

mod conn;
