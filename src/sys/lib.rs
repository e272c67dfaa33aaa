//! The cellar of lighterman: the only `unsafe` code of the program, behind safe faces.
//!
//! Everything above is compiled with `forbid(unsafe_code)`. What this crate promises its callers:
//!
//! * no safe function here can cause undefined behaviour, whatever its arguments are;
//! * descriptors come and go as `OwnedFd` / `BorrowedFd`, never as loose numbers (the one exception,
//!   inheritance by number, checks that the number is open);
//! * memory shared between processes is only ever seen through atomics ([`map::Plain`]) and stays
//!   mapped as long as a [`map::Region`] of it lives;
//! * a function called by C catches its own panics.

#[macro_use]
mod call;

pub mod cred;
pub mod crypt;
pub mod event;
pub mod fds;
pub mod fork;
pub mod io;
pub mod localtime;
pub mod lock;
pub mod map;
pub mod raw_write;
pub mod resume;
pub mod sealed;
pub mod signal;
pub mod sockopt;
pub mod splice;
pub mod tls;
pub mod tls_library;
pub mod watch;
