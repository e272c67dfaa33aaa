//! Command line face of `term`: opens the sockets, starts the other processes, serves.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitCode, Stdio};

use lighterman_term::options::{Options, Place, HELP};
use lighterman_term::server::{listen, Server};
use mio::net::TcpListener;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(e) => return fail(&format!("{e}; --help explains")),
    };
    if options.help {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => fail(&e),
    }
}

fn fail(what: &str) -> ExitCode {
    eprintln!("term: {what}");
    ExitCode::FAILURE
}

fn serve(options: &Options) -> Result<(), String> {
    let shared = options.procs > 1 || options.child;
    let mut listeners = Vec::new();
    for place in &options.places {
        listeners.push(match place {
            Place::Addr(addr) => {
                listen(*addr, shared).map_err(|e| format!("cannot listen on {addr}: {e}"))?
            }
            Place::Fd(fd) => inherited(*fd)?,
        });
    }
    let leash = options.child.then_some(0);
    let mut server = Server::new(listeners, leash).map_err(|e| format!("cannot poll: {e}"))?;
    let addresses = server.addresses().map_err(|e| format!("cannot read the address of a socket: {e}"))?;
    // the others end when their end of this pipe does: they live as long as this process
    let mut others = Vec::new();
    for _ in 1..options.procs {
        others.push(spawn(&addresses).map_err(|e| format!("cannot start another process: {e}"))?);
    }
    if !options.child {
        let list: Vec<String> = addresses.iter().map(|a| format!("http://{a}/")).collect();
        let plural = if options.procs == 1 { "" } else { "es" };
        println!("term: serving {} with {} process{plural}; try ?s=10k&t=20", list.join(" "), options.procs);
        let _ = io::stdout().flush(); // nobody reads: not our trouble
    }
    server.run().map_err(|e| format!("cannot poll: {e}"))
}

fn spawn(addresses: &[SocketAddr]) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--child").stdin(Stdio::piped());
    for addr in addresses {
        command.arg("--listen").arg(addr.to_string());
    }
    command.spawn()
}

fn inherited(fd: i32) -> Result<TcpListener, String> {
    let wrong = |e: io::Error| format!("fd@{fd}: {e}");
    let socket = std::net::TcpListener::from(lighterman_sys::fds::inherit(fd).map_err(wrong)?);
    socket.set_nonblocking(true).map_err(wrong)?;
    Ok(TcpListener::from_std(socket))
}
