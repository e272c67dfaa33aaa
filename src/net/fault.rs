//! What can go wrong with a connection: a value, never printed where it is made.
//! The stream floor maps it to a termination code, a counter, a reply and a retry.

use std::io;

use lighterman_wire::error::{Malformed, What};
use lighterman_wire::proxy_header::Came;

/// Why an operation on a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The peer ended its side before the message was whole.
    Ended,
    /// The peer reset the connection.
    Reset,
    /// Nobody listens there.
    Refused,
    /// It took too long.
    TimedOut,
    /// No way there (host, network).
    Unreachable,
    /// We have more to do than we can.
    Busy,
    /// We ran out of something local: descriptors, ports, memory.
    Local,
    /// The TLS layer failed; the word says how.
    Tls(&'static str),
    /// The server did not take what was sent before the end of the handshake.
    EarlyRefused,
    /// The PROXY header is missing or wrong.
    Proxy(ProxyFault),
    /// The message breaks the rules of its protocol.
    Malformed(Malformed),
    /// A head that does not fit into a buffer.
    TooLarge,
    /// An error of the system without a name of its own: `errno`.
    System(i32),
}

/// What is wrong with a PROXY header that was required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyFault {
    /// The peer left without a word.
    Closed,
    /// The connection broke.
    Broken,
    /// It did not come in time.
    TimedOut,
    /// The peer left in the middle of it.
    Truncated,
    /// Something else came.
    Instead(Came),
    /// It breaks a clause of the protocol.
    Invalid(What),
}

/// A failed operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Why.
    pub cause: Cause,
}

impl Fault {
    /// A fault of this cause.
    pub fn new(cause: Cause) -> Self {
        Fault { cause }
    }

    /// What the system said.
    pub fn from_io(error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        let cause = match error.kind() {
            Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => Cause::Reset,
            Kind::ConnectionRefused | Kind::NotFound => Cause::Refused,
            Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::TimedOut => Cause::Unreachable,
            Kind::AddrNotAvailable | Kind::AddrInUse | Kind::OutOfMemory => Cause::Local,
            _ => match error.raw_os_error() {
                Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::EACCES | libc::EPERM) => {
                    Cause::Local
                }
                Some(code) => Cause::System(code),
                None => Cause::System(0),
            },
        };
        Fault { cause }
    }
}
