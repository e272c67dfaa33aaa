//! Session tickets: the library asks the host for the key to seal with, and for the key of a ticket that came.

use std::ffi::c_int;
use std::ptr;

use openssl_sys as ffi;

use super::call;
use super::{TicketKey, TicketUse};

/// 1: go on; 2: go on and renew; 0: no such key; -1: fail.
pub(super) unsafe extern "C" fn ticket_key(
    ssl: *mut ffi::SSL,
    name: *mut u8,
    iv: *mut u8,
    cipher: *mut ffi::EVP_CIPHER_CTX,
    mac: *mut ffi::HMAC_CTX,
    encrypt: c_int,
) -> c_int {
    if encrypt == 1 {
        let Some(key) = call::with_host(ssl, None, |host| host.ticket_key()) else { return -1 };
        // SAFETY: the library gives room for a name of 16 bytes.
        unsafe { ptr::copy_nonoverlapping(key.name.as_ptr(), name, 16) };
        // SAFETY: the library gives room for an initialisation vector of at least 16 bytes.
        if unsafe { ffi::RAND_bytes(iv, 16) } != 1 {
            return -1;
        }
        // SAFETY: live objects of the library.
        return if unsafe { init(&key, iv, cipher, mac, true) } { 1 } else { -1 };
    }
    let mut wanted = [0u8; 16];
    // SAFETY: the library passes a name of 16 bytes.
    unsafe { ptr::copy_nonoverlapping(name, wanted.as_mut_ptr(), 16) };
    let Some((key, how)) = call::with_host(ssl, None, |host| host.find_ticket_key(&wanted)) else { return 0 };
    // SAFETY: live objects of the library.
    match (unsafe { init(&key, iv, cipher, mac, false) }, how) {
        (true, TicketUse::Use) => 1,
        (true, TicketUse::Renew) => 2,
        (false, _) => -1,
    }
}

/// # Safety
/// The pointers are to live objects of the library; `iv` to 16 bytes.
unsafe fn init(
    key: &TicketKey,
    iv: *const u8,
    cipher: *mut ffi::EVP_CIPHER_CTX,
    mac: *mut ffi::HMAC_CTX,
    seal: bool,
) -> bool {
    let aes = if key.short {
        // SAFETY: returns a constant.
        unsafe { ffi::EVP_aes_128_cbc() }
    } else {
        // SAFETY: returns a constant.
        unsafe { ffi::EVP_aes_256_cbc() }
    };
    let at = key.aes().as_ptr();
    let ready = if seal {
        // SAFETY: the key has as many bytes as the cipher needs; the rest is promised by the caller.
        unsafe { ffi::EVP_EncryptInit_ex(cipher, aes, ptr::null_mut(), at, iv) }
    } else {
        // SAFETY: as above.
        unsafe { ffi::EVP_DecryptInit_ex(cipher, aes, ptr::null_mut(), at, iv) }
    };
    let secret = key.hmac();
    // SAFETY: returns a constant.
    let digest = unsafe { ffi::EVP_sha256() };
    // SAFETY: pointer and length of the key; the rest is promised by the caller.
    ready == 1
        && unsafe {
            ffi::HMAC_Init_ex(mac, secret.as_ptr().cast(), secret.len() as _, digest, ptr::null_mut())
        } == 1
}
