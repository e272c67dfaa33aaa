//! OCSP answers that are kept fresh in the background (`ocsp-update on`), never on the way of a start or of traffic.
//!
//! The process with the command socket keeps the [`book`]: which certificates, when next, what came of the last time. Their
//! files are read by the process with file rights; responders are asked by a process of their own, which may wait for names
//! and networks as long as it takes ([`mod@line`] is what the two say to each other); an answer that was judged good is brought
//! to all processes like any other change ([`crate::net::tls::change`]).

pub mod book;
pub mod line;
