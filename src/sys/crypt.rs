//! Passwords as crypt(3) keeps them, by the system's libcrypt: it knows the formats of /etc/shadow.
//!
//! Why unsafe: the library is opened while the program runs, so that a system without it can do all but this;
//! the symbol found is called as a C function. Sound because `crypt_r` has had one signature everywhere, is
//! handed NUL-terminated strings and zeroed memory larger than any of its versions asks for, and its answer is
//! copied before that memory goes.

use std::ffi::{c_char, c_int, c_void, CStr, CString};
use std::sync::OnceLock;

type CryptR = unsafe extern "C" fn(*const c_char, *const c_char, *mut c_void) -> *mut c_char;

/// Room for `struct crypt_data`: 32768 bytes in libxcrypt, 131232 in old versions of glibc.
const DATA_WORDS: usize = (256 << 10) / 8;

/// Names of the library, newest first.
const NAMES: [&CStr; 5] =
    [c"libcrypt.so.2", c"libcrypt.so.1", c"libcrypt.so.1.1", c"libcrypt.so.5", c"libcrypt.so"];

/// Whether passwords can be hashed here. Finds the library at the first call: make one before `chroot`.
pub fn is_there() -> bool {
    crypt_r().is_some()
}

/// Hashes a password by a setting (or a hash, which begins with its setting). `None`: the library is missing or
/// does not know the setting. Takes as long as the setting says.
pub fn hash(password: &[u8], setting: &str) -> Option<String> {
    let crypt_r = crypt_r()?;
    let (password, setting) = (CString::new(password).ok()?, CString::new(setting).ok()?);
    let mut data = vec![0u64; DATA_WORDS];
    // SAFETY: both strings end in NUL and live through the call; `data` is zeroed, aligned for any member and
    // larger than the structure.
    let made = unsafe { crypt_r(password.as_ptr(), setting.as_ptr(), data.as_mut_ptr().cast()) };
    if made.is_null() {
        return None;
    }
    // SAFETY: not null, so a NUL-terminated string, within `data` or static.
    let text = unsafe { CStr::from_ptr(made) }.to_str().ok()?.to_owned();
    // "*0" and "*1" are how failure is told
    Some(text).filter(|text| !text.starts_with('*'))
}

fn crypt_r() -> Option<CryptR> {
    static FOUND: OnceLock<Option<CryptR>> = OnceLock::new();
    *FOUND.get_or_init(|| NAMES.iter().find_map(|name| open(name)))
}

fn open(name: &CStr) -> Option<CryptR> {
    const FLAGS: c_int = libc::RTLD_NOW | libc::RTLD_LOCAL;
    // SAFETY: the name ends in NUL; libcrypt runs no code of its own when it is loaded.
    let library = unsafe { libc::dlopen(name.as_ptr(), FLAGS) };
    if library.is_null() {
        return None;
    }
    // SAFETY: a handle that was just opened, and is never closed.
    let symbol = unsafe { libc::dlsym(library, c"crypt_r".as_ptr()) };
    if symbol.is_null() {
        return None;
    }
    // SAFETY: `crypt_r` of a libcrypt has this type.
    Some(unsafe { std::mem::transmute::<*mut c_void, CryptR>(symbol) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hashes_come_out() {
        if !is_there() {
            return;
        }
        let table = [
            ("Hello world!", "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"),
            ("Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
            ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
        ];
        for (password, hash) in table {
            assert_eq!(self::hash(password.as_bytes(), hash).as_deref(), Some(hash), "{password}");
        }
        assert_eq!(hash(b"x", "!"), None);
        assert_eq!(hash(b"a\0b", "$6$saltstring$"), None);
    }
}
