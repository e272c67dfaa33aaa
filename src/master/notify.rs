//! Word to the outside that the service is up: the service manager's socket, the pid file.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use super::Fatal;

/// Sends one state to the service manager (sd_notify(3)); nothing when it did not ask.
pub(super) fn tell(state: &str) {
    let Some(target) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&target.to_string_lossy(), state) {
        log::warn!("cannot tell the service manager: {error}");
    }
}

fn send(target: &str, state: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    match target.strip_prefix('@') {
        Some(name) => {
            use std::os::linux::net::SocketAddrExt;
            let addr = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            socket.send_to_addr(state.as_bytes(), &addr)?;
        }
        None => {
            socket.send_to(state.as_bytes(), target)?;
        }
    }
    Ok(())
}

/// Writes the pid file: one number, one line.
pub(super) fn write_pid(path: &Path) -> Result<(), Fatal> {
    std::fs::write(path, format!("{}\n", std::process::id()))
        .map_err(|error| Fatal(format!("cannot write the pid file {}: {error}", path.display())))
}
