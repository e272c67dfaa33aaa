//! The process that asks OCSP responders: it may wait for names and networks as long as it takes, because nobody waits for it.
//! It has no keys, no sockets of the service and no rights; what it is told to ask comes from the operator's certificates, what
//! it hears is passed on unread.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use lighterman_sys::fork::{self, Forked};
use lighterman_sys::{fds, signal};
use lighterman_wire::fetch::{self, Fault, Url};
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};

use super::privileges;
use crate::base::tick::Clock;
use crate::net::tls::ocsp::ANSWER_MAX;
use crate::plan::Global;
use crate::service::ocsp::book::AT_ONCE;
use crate::service::ocsp::line::{Question, Reply, MESSAGE_MAX};

/// Bytes of the lines before an answer.
const HEAD_MAX: usize = 8 * 1024;
/// A responder has this long to take a connection, and between two pieces of its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The whole exchange, milliseconds.
const WHOLE_MS: u64 = 10_000;
/// Addresses of a name that are tried.
const ADDRESSES: usize = 4;

/// Forks it; the line to it. `close` closes there what only its parent may keep open.
pub(super) fn start(global: &Global, close: impl FnOnce()) -> io::Result<OwnedFd> {
    let (ours, theirs) = fds::channel()?;
    match fork::fork()? {
        Forked::Parent(_) => Ok(ours),
        Forked::Child => {
            close();
            drop(ours);
            // signals from the terminal are the parent's matter: this one ends with it
            let _ = signal::ignore(libc::SIGINT).and_then(|()| signal::ignore(libc::SIGTERM));
            let _ = signal::ignore(libc::SIGUSR1).and_then(|()| fork::die_with_parent(libc::SIGKILL));
            let _ = fork::set_name("lighterman-ocsp");
            if let Err(fatal) = privileges::change_user(global) {
                log::error!("{}", fatal.0);
                fork::exit_now(1);
            }
            std::thread::scope(|scope| {
                for _ in 0..AT_ONCE {
                    scope.spawn(|| serve(&theirs));
                }
                // the parent has gone: nobody wants the answers
                wait(&theirs, PollFlags::empty());
                fork::exit_now(0)
            })
        }
    }
}

fn wait(line: &OwnedFd, what: PollFlags) {
    let mut fds = [PollFd::new(line.as_fd(), what)];
    while let Err(nix::errno::Errno::EINTR) = poll(&mut fds, PollTimeout::NONE) {}
}

/// Answers questions one after the other until the line is cut.
fn serve(line: &OwnedFd) {
    let mut message = vec![0; MESSAGE_MAX];
    loop {
        wait(line, PollFlags::POLLIN);
        let question = match fds::recv_with_fds(line.as_fd(), &mut message) {
            Ok(got) if got.len == 0 => return,
            Ok(got) => message.get(..got.len).and_then(Question::unpack),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                continue
            }
            Err(_) => return,
        };
        let Some(question) = question else { continue };
        let reply = Reply { ticket: question.ticket, answer: ask(&question) }.pack();
        while let Err(error) = fds::send_with_fds(line.as_fd(), &reply, &[]) {
            if error.kind() != io::ErrorKind::WouldBlock {
                return;
            }
            wait(line, PollFlags::POLLOUT);
        }
    }
}

fn ask(question: &Question) -> Result<Vec<u8>, String> {
    let url = Url::parse(&question.url).ok_or("the address of the responder cannot be read")?;
    let proxy = match &*question.proxy {
        "" => None,
        text => Some(fetch::host_and_port(text).ok_or("the address of the proxy cannot be read")?),
    };
    let (host, port) = proxy.map_or((url.host, url.port), |(host, port)| (host, port.unwrap_or(80)));
    let found = (host, port).to_socket_addrs().map_err(|error| format!("{host}: {error}"))?;
    let mut last = format!("{host} has no address");
    for addr in found.take(ADDRESSES) {
        match TcpStream::connect_timeout(&addr, PATIENCE) {
            Ok(stream) => {
                let request = fetch::request(&url, &question.body, proxy.is_some());
                return exchange(stream, &request).map_err(|error| format!("{addr}: {error}"));
            }
            Err(error) => last = format!("{addr}: {error}"),
        }
    }
    Err(last)
}

fn exchange(mut stream: TcpStream, request: &[u8]) -> Result<Vec<u8>, String> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        _ => error.to_string(),
    };
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
    stream.write_all(request).map_err(failed)?;
    let clock = Clock::real();
    let until = clock.read().tick.after(WHOLE_MS);
    let mut bytes = Vec::new();
    let mut room = [0; 4096];
    while !fetch::is_whole(&bytes) {
        match stream.read(&mut room) {
            Ok(0) => break,
            Ok(n) => bytes.extend_from_slice(room.get(..n).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
        if bytes.len() > ANSWER_MAX + HEAD_MAX {
            return Err("the answer is too large".to_owned());
        }
        if clock.read().tick >= until {
            return Err("no answer in time".to_owned());
        }
    }
    match fetch::body(&bytes) {
        Ok(body) if body.len() > ANSWER_MAX => Err("the answer is too large".to_owned()),
        Ok(body) => Ok(body.to_vec()),
        Err(Fault::Malformed) => Err("the answer is no HTTP".to_owned()),
        Err(Fault::Status(status)) => Err(format!("status {status}")),
        Err(Fault::Type) => Err(crate::service::ocsp::line::OTHER_TYPE.to_owned()),
        Err(Fault::Short) => Err("the answer ended before it was whole".to_owned()),
    }
}
