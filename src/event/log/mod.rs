//! Log lines on their way out: what a `log` line of the configuration asks for ([`target`]), the
//! bytes in front of each message ([`envelope`]), the sockets ([`sink`]), and what people read on
//! stderr while the program starts ([`console`]). It lives on this low floor because every floor
//! that does work has something to say.

pub mod console;
pub mod envelope;
pub mod sink;
pub mod target;
