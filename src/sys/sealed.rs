//! Memory that nobody can change any more: a sealed memfd, seen as bytes by every process that inherits or receives it.
//!
//! Why unsafe: a mapping is read as `&[u8]`, which must never change nor shrink underneath. What makes it sound: the kernel's
//! seals. A memfd is mapped only after writing, growing and shrinking have been sealed for ever, also when it came from
//! another process.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use nix::fcntl::{fcntl, FcntlArg, SealFlag};
use nix::sys::memfd::{memfd_create, MFdFlags};

/// Bytes for ever the same.
pub struct Sealed {
    at: NonNull<u8>,
    len: usize,
    fd: OwnedFd,
}

// SAFETY: the bytes are immutable, see above.
unsafe impl Send for Sealed {}
// SAFETY: as above.
unsafe impl Sync for Sealed {}

fn seals() -> SealFlag {
    SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK
}

impl Sealed {
    /// Keeps what `from` gives, at most `max` bytes of it.
    pub fn read(name: &str, from: impl Read, max: u64) -> io::Result<Sealed> {
        let mut file = Self::draft(name)?;
        if io::copy(&mut from.take(max.saturating_add(1)), &mut file)? > max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals() | SealFlag::F_SEAL_SEAL))?;
        Self::of_fd(file.into())
    }

    /// Memory as a file that may still change.
    pub fn draft(name: &str) -> io::Result<File> {
        let name = std::ffi::CString::new(name)?;
        let fd = memfd_create(name.as_c_str(), MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        Ok(File::from(fd))
    }

    /// The bytes behind a memfd that was sealed, here or elsewhere; one that was not is refused.
    pub fn of_fd(fd: OwnedFd) -> io::Result<Sealed> {
        let found = fcntl(&fd, FcntlArg::F_GET_SEALS)?;
        if !SealFlag::from_bits_retain(found).contains(seals()) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let size = nix::sys::stat::fstat(&fd)?.st_size;
        let len = usize::try_from(size).ok().filter(|len| *len <= isize::MAX as usize);
        let len = len.ok_or(io::ErrorKind::InvalidData)?;
        if len == 0 {
            return Ok(Sealed { at: NonNull::dangling(), len, fd });
        }
        // SAFETY: a fresh read-only mapping at an address of the kernel's choice touches no memory we know of.
        let at = unsafe {
            libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, libc::MAP_SHARED, fd.as_raw_fd(), 0)
        };
        match NonNull::new(at.cast::<u8>()) {
            Some(ptr) if at != libc::MAP_FAILED => Ok(Sealed { at: ptr, len, fd }),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl AsFd for Sealed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Deref for Sealed {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes are mapped at `at` (none for a dangling one) and sealed against every change.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.len) }
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: the mapping made in `of_fd`; every borrow of it has ended.
            unsafe { libc::munmap(self.at.as_ptr().cast(), self.len) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_kept_and_passed_on() {
        let sealed = Sealed::read("test", &b"hello"[..], 5).unwrap();
        assert_eq!(&*sealed, b"hello");
        let again = Sealed::of_fd(sealed.as_fd().try_clone_to_owned().unwrap()).unwrap();
        drop(sealed);
        assert_eq!(&*again, b"hello");
        assert!(File::from(again.as_fd().try_clone_to_owned().unwrap()).set_len(1).is_err());
        assert!(Sealed::read("test", &b""[..], 5).unwrap().is_empty());
        assert_eq!(
            Sealed::read("test", &b"hello!"[..], 5).err().unwrap().kind(),
            io::ErrorKind::FileTooLarge
        );
    }

    #[test]
    fn what_may_change_is_refused() {
        let open = memfd_create(c"open", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).unwrap();
        assert!(Sealed::of_fd(open).is_err());
        assert!(Sealed::of_fd(File::open("/proc/self/exe").unwrap().into()).is_err());
    }
}
