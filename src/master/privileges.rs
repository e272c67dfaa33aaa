//! Limits and rights: raised while we may, dropped before anything comes in from the network.

use std::io;
use std::os::fd::AsFd;

use lighterman_sys::cred;

use super::Fatal;
use crate::plan::Global;

/// Asks for the descriptors that `maxconn` (or `ulimit-n`) needs.
pub(super) fn raise_limits(global: &Global) -> Result<(), Fatal> {
    let Some(wanted) = global.descriptors() else { return raise_to_hard() };
    let got = cred::raise_descriptor_limit(wanted).map_err(|e| fatal("raise the descriptor limit", &e))?;
    if got < wanted {
        log::warn!("{wanted} descriptors are needed for maxconn, the system allows {got}");
    }
    Ok(())
}

/// Without a word in the configuration: as many as the system allows without asking for more.
fn raise_to_hard() -> Result<(), Fatal> {
    let (_, hard) = cred::descriptor_limit().map_err(|e| fatal("read the descriptor limit", &e))?;
    cred::raise_descriptor_limit(hard).map_err(|e| fatal("raise the descriptor limit", &e))?;
    Ok(())
}

/// Whether [`drop_rights`] takes away the right to open files.
pub(super) fn would_drop(global: &Global) -> bool {
    global.chroot.is_some() || global.gid.is_some() || global.uid.is_some()
}

/// Becomes the user and enters the directory the configuration names. For good.
pub(super) fn drop_rights(global: &Global) -> Result<(), Fatal> {
    if let Some(dir) = &global.chroot {
        cred::enter_root(dir).map_err(|e| fatal(&format!("chroot to {}", dir.display()), &e))?;
    }
    change_user(global)
}

/// Becomes the user the configuration names, in the same place: for a process that must find what the system knows of names.
pub(super) fn change_user(global: &Global) -> Result<(), Fatal> {
    if let Some(gid) = global.gid {
        cred::set_groups(&[])
            .and_then(|()| cred::set_group(gid))
            .map_err(|e| fatal(&format!("become group {gid}"), &e))?;
    }
    if let Some(uid) = global.uid {
        cred::set_user(uid).map_err(|e| fatal(&format!("become user {uid}"), &e))?;
    }
    Ok(())
}

/// Gives the terminal, or whatever stands in its place, back.
pub(super) fn leave_terminal() -> io::Result<()> {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    (0..3).try_for_each(|number| lighterman_sys::fds::replace_standard(null.as_fd(), number))
}

/// Binds a worker to its cores (`cpu-map`).
pub(super) fn pin(global: &Global, worker: usize) -> Result<(), Fatal> {
    let Some(cores) = global.cpu_map.get(worker).filter(|cores| !cores.is_empty()) else { return Ok(()) };
    let cores: Vec<usize> = cores.iter().map(|core| *core as usize).collect();
    cred::set_cores(&cores).map_err(|e| fatal(&format!("bind worker {} to cores {cores:?}", worker + 1), &e))
}

fn fatal(doing: &str, error: &io::Error) -> Fatal {
    Fatal(format!("cannot {doing}: {error}"))
}
