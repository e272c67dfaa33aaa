//! Who a process is and what it may use: user, groups, root directory, limits, cores.
//!
//! Why unsafe: nothing here is, beyond `prctl` with plain numbers; it belongs to the cellar because all of it changes the
//! whole process. Call it from the main thread before others exist.

use std::ffi::CString;
use std::io;
use std::path::Path;

use nix::sched::CpuSet;
use nix::sys::resource::{getrlimit, setrlimit, Resource};
use nix::unistd::{Gid, Group, Pid, Uid, User};

/// The number of a user name, and its primary group.
pub fn user(name: &str) -> io::Result<Option<(u32, u32)>> {
    Ok(User::from_name(name)?.map(|user| (user.uid.as_raw(), user.gid.as_raw())))
}

/// The number of a group name.
pub fn group(name: &str) -> io::Result<Option<u32>> {
    Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()))
}

/// Effective user of this process.
pub fn effective_user() -> u32 {
    Uid::effective().as_raw()
}

/// Replaces the supplementary groups.
pub fn set_groups(groups: &[u32]) -> io::Result<()> {
    let groups: Vec<Gid> = groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    nix::unistd::setgroups(&groups).map_err(Into::into)
}

/// Changes real, effective and saved group for good. Before [`set_user`].
pub fn set_group(gid: u32) -> io::Result<()> {
    let gid = Gid::from_raw(gid);
    nix::unistd::setresgid(gid, gid, gid).map_err(Into::into)
}

/// Changes real, effective and saved user for good.
pub fn set_user(uid: u32) -> io::Result<()> {
    let uid = Uid::from_raw(uid);
    nix::unistd::setresuid(uid, uid, uid).map_err(Into::into)
}

/// Locks the process into a directory: root and working directory.
pub fn enter_root(dir: &Path) -> io::Result<()> {
    nix::unistd::chroot(dir)?;
    nix::unistd::chdir("/").map_err(Into::into)
}

/// Gives a file to a user and group; `None` leaves that part.
pub fn give_file(path: &Path, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    nix::unistd::chown(path, uid.map(Uid::from_raw), gid.map(Gid::from_raw)).map_err(Into::into)
}

/// Open descriptors allowed: (now, at most).
pub fn descriptor_limit() -> io::Result<(u64, u64)> {
    getrlimit(Resource::RLIMIT_NOFILE).map_err(Into::into)
}

/// Asks for `want` descriptors: raises the hard limit too when it must and may. Returns what is in force then.
pub fn raise_descriptor_limit(want: u64) -> io::Result<u64> {
    let (now, most) = descriptor_limit()?;
    if want > now {
        let whole = setrlimit(Resource::RLIMIT_NOFILE, want, want.max(most));
        if whole.is_err() {
            setrlimit(Resource::RLIMIT_NOFILE, want.min(most), most)?;
        }
    }
    Ok(descriptor_limit()?.0)
}

/// Sets both descriptor limits exactly (`ulimit-n`).
pub fn set_descriptor_limit(limit: u64) -> io::Result<()> {
    let most = descriptor_limit()?.1.max(limit);
    setrlimit(Resource::RLIMIT_NOFILE, limit, most)
        .or_else(|_| setrlimit(Resource::RLIMIT_NOFILE, limit, limit))
        .map_err(Into::into)
}

/// Bytes of address space this process may use (`-m`).
pub fn set_memory_limit(bytes: u64) -> io::Result<()> {
    setrlimit(Resource::RLIMIT_AS, bytes, bytes).map_err(Into::into)
}

/// Cores this process may run on now.
pub fn cores() -> io::Result<Vec<usize>> {
    let set = nix::sched::sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect())
}

/// Binds this process to these cores; those that do not exist are an error.
pub fn set_cores(cpus: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu)?;
    }
    nix::sched::sched_setaffinity(Pid::from_raw(0), &set).map_err(Into::into)
}

/// Whether crashes of this process may leave an image (lost by a change of user unless asked for: `set-dumpable`).
pub fn set_dumpable(on: bool) -> io::Result<()> {
    nix::sys::prctl::set_dumpable(on).map_err(Into::into)
}

/// No program started from here gains rights by its file (a worker needs none).
pub fn no_new_privileges() -> io::Result<()> {
    nix::sys::prctl::set_no_new_privs().map_err(Into::into)
}

/// Mode bits new files lose; returns the former ones.
pub fn set_file_mask(mask: u32) -> u32 {
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(mask)).bits()
}

/// Resident and proportional memory is the kernel's matter; this is what the allocator holds: (bytes in use, bytes taken
/// from the system). Zero where the C library does not tell.
pub fn heap() -> (usize, usize) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: mallinfo2 only reads the allocator's counters, under its own locks.
        let info = unsafe { libc::mallinfo2() };
        (info.uordblks + info.hblkhd, info.arena + info.hblkhd)
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    (0, 0)
}

/// Gives free memory back to the system; true when some was.
pub fn trim_heap() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: malloc_trim only works on free memory, under the allocator's locks.
        (unsafe { libc::malloc_trim(0) }) == 1
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    false
}

/// Host name of this machine, as far as it is readable text.
pub fn host_name() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default()
}

/// A name as the C library wants it; `None` when it holds a zero byte.
pub fn c_name(name: &str) -> Option<CString> {
    CString::new(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fork::fork_alone;

    #[test]
    fn names_become_numbers() {
        assert_eq!(user("root").unwrap(), Some((0, 0)));
        assert_eq!(user("no-such-user-at-all").unwrap(), None);
        assert_eq!(group("root").unwrap(), Some(0));
        assert_eq!(group("no-such-group-at-all").unwrap(), None);
        assert!(c_name("a\0b").is_none() && c_name("ab").is_some());
    }

    #[test]
    fn limits_and_cores_of_a_child() {
        let child = fork_alone(|| {
            let (now, most) = descriptor_limit().unwrap_or((0, 0));
            let low = set_descriptor_limit(64).is_ok() && descriptor_limit().is_ok_and(|(n, _)| n == 64);
            let up = raise_descriptor_limit(now.min(most)).is_ok_and(|n| n >= now.min(most));
            let cpus = cores().unwrap_or_default();
            let pinned = set_cores(&cpus[..1]).is_ok() && cores().is_ok_and(|c| c == cpus[..1]);
            let wrong = set_cores(&[usize::MAX]).is_err();
            let rest = set_dumpable(true).is_ok()
                && no_new_privileges().is_ok()
                && set_memory_limit(1 << 40).is_ok();
            i32::from(!(low && up && pinned && wrong && rest))
        });
        assert!(child.unwrap().wait().unwrap().success());
    }

    #[test]
    fn privileges_are_dropped_for_good() {
        if effective_user() != 0 {
            return;
        }
        let dir = std::env::temp_dir();
        let child = fork_alone(|| {
            set_file_mask(0o077);
            let shut = enter_root(&dir).is_ok() && !Path::new("/proc/self").exists();
            let dropped = set_groups(&[]).is_ok() && set_group(65534).is_ok() && set_user(65534).is_ok();
            let gone = set_user(0).is_err() && set_group(0).is_err() && effective_user() == 65534;
            let file = give_file(Path::new("/"), Some(65534), None).is_err();
            i32::from(!(shut && dropped && gone && file))
        });
        assert!(child.unwrap().wait().unwrap().success());
    }

    #[test]
    fn the_heap_is_counted() {
        let before = heap().0;
        let block = vec![1u8; 30_000_000];
        if before > 0 {
            assert!(heap().0 >= before + 25_000_000);
        }
        drop(block);
        trim_heap();
        assert!(!host_name().is_empty());
    }
}
