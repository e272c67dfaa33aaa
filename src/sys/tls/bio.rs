//! The transport object between the library and the host of the running call: one per thread, attached for a call, stateless.

use std::cell::OnceCell;
use std::ffi::{c_char, c_int, c_long, c_void};
use std::ptr;
use std::sync::OnceLock;

use openssl_sys as ffi;

#[cfg(feature = "aws-lc")]
use openssl_sys::{BIO_meth_set_ctrl, BIO_meth_set_read, BIO_meth_set_write};
#[cfg(not(feature = "aws-lc"))]
use openssl_sys::{
    BIO_meth_set_ctrl__fixed_rust as BIO_meth_set_ctrl, BIO_meth_set_read__fixed_rust as BIO_meth_set_read,
    BIO_meth_set_write__fixed_rust as BIO_meth_set_write,
};

use super::{call, lib_face};

/// A method table of the library, made once and never changed or freed.
struct Method(*mut ffi::BIO_METHOD);

// SAFETY: the table is complete before it is published and only read afterwards.
unsafe impl Send for Method {}
// SAFETY: as above.
unsafe impl Sync for Method {}

fn method() -> *mut ffi::BIO_METHOD {
    static METHOD: OnceLock<Method> = OnceLock::new();
    METHOD
        .get_or_init(|| {
            ffi::init();
            // SAFETY: a constant name; the result is checked by the setters' callers being null-safe below.
            let table = unsafe { ffi::BIO_meth_new(ffi::BIO_TYPE_NONE as c_int, c"lighterman".as_ptr()) };
            if !table.is_null() {
                // SAFETY: a live table; the functions live as long as the program.
                unsafe { BIO_meth_set_read(table, Some(read)) };
                // SAFETY: as above.
                unsafe { BIO_meth_set_write(table, Some(write)) };
                // SAFETY: as above.
                unsafe { BIO_meth_set_ctrl(table, Some(ctrl)) };
            }
            Method(table)
        })
        .0
}

/// Owns this thread's transport object.
struct Bio(*mut ffi::BIO);

impl Drop for Bio {
    fn drop(&mut self) {
        // SAFETY: our reference; connections hold their own while one is attached.
        unsafe { ffi::BIO_free_all(self.0) };
    }
}

thread_local! {
    static BIO: OnceCell<Bio> = const { OnceCell::new() };
}

/// A new reference to this thread's transport object; null when memory is short.
pub(super) fn reference() -> *mut ffi::BIO {
    BIO.with(|cell| {
        let bio = cell.get_or_init(|| {
            let table = method();
            if table.is_null() {
                return Bio(ptr::null_mut());
            }
            // SAFETY: a complete method table.
            let bio = unsafe { ffi::BIO_new(table) };
            if !bio.is_null() {
                // SAFETY: a live object.
                unsafe { ffi::BIO_set_init(bio, 1) };
            }
            Bio(bio)
        });
        if !bio.0.is_null() {
            // SAFETY: a live object; the reference is given to the caller.
            unsafe { lib_face::BIO_up_ref(bio.0) };
        }
        bio.0
    })
}

unsafe extern "C" fn read(bio: *mut ffi::BIO, buf: *mut c_char, len: c_int) -> c_int {
    // SAFETY: the library passes its own live object.
    unsafe { ffi::BIO_clear_retry_flags(bio) };
    let Ok(room) = usize::try_from(len) else { return -1 };
    if room == 0 || buf.is_null() {
        return 0;
    }
    let got = call::with_current(0, |host| {
        let received = host.received();
        let n = received.len().min(room);
        // SAFETY: `n` bytes are there to read, the library gives `len >= n` bytes to write, and they do not overlap: the
        // library's buffer is its own.
        unsafe { ptr::copy_nonoverlapping(received.as_ptr(), buf.cast::<u8>(), n) };
        host.consume(n);
        n
    });
    if got == 0 {
        // SAFETY: as above.
        unsafe { ffi::BIO_set_retry_read(bio) };
        return -1;
    }
    got as c_int
}

unsafe extern "C" fn write(bio: *mut ffi::BIO, buf: *const c_char, len: c_int) -> c_int {
    // SAFETY: the library passes its own live object.
    unsafe { ffi::BIO_clear_retry_flags(bio) };
    let Ok(count) = usize::try_from(len) else { return -1 };
    if count == 0 || buf.is_null() {
        return 0;
    }
    // SAFETY: the library gives `len` bytes to be read.
    let bytes = unsafe { std::slice::from_raw_parts(buf.cast::<u8>(), count) };
    let took = call::with_current(0, |host| host.send(bytes)).min(count);
    if took == 0 {
        // SAFETY: as above.
        unsafe { ffi::BIO_set_retry_write(bio) };
        return -1;
    }
    took as c_int
}

unsafe extern "C" fn ctrl(_: *mut ffi::BIO, command: c_int, _: c_long, _: *mut c_void) -> c_long {
    c_long::from(command == ffi::BIO_CTRL_FLUSH as c_int)
}
