//! Who is being served: the link from a callback of the library to the host of the call that runs.
//!
//! Invariant: `CURRENT` points to a [`Call`] on the stack of [`run`] exactly while that frame is alive.

use std::any::Any;
use std::cell::Cell;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::ptr;

use openssl_sys as ffi;

use super::{bio, Host};

/// One call into the library.
pub(super) struct Call {
    ssl: *const ffi::SSL,
    /// Taken out while a callback uses it.
    host: Cell<Option<*mut (dyn Host + 'static)>>,
    panic: Cell<Option<Box<dyn Any + Send>>>,
    /// The alert with which [`super::Select::Refuse`] ends the handshake.
    refusal: Cell<Option<u8>>,
}

thread_local! {
    static CURRENT: Cell<*const Call> = const { Cell::new(ptr::null()) };
}

/// Runs `body` with the transport attached and `host` known to the callbacks. Returns the refusal's alert beside its result.
pub(super) fn run<R>(ssl: *mut ffi::SSL, host: &mut dyn Host, body: impl FnOnce() -> R) -> (R, Option<u8>) {
    let host: *mut (dyn Host + '_) = host;
    // SAFETY: only the lifetime is erased; the pointer is used by callbacks below this frame, where `host` is borrowed.
    let host: *mut (dyn Host + 'static) = unsafe { std::mem::transmute(host) };
    let call = Call { ssl, host: Cell::new(Some(host)), panic: Cell::new(None), refusal: Cell::new(None) };
    let attached = bio::reference();
    // SAFETY: ssl is alive (the caller owns it); it takes over the one reference for both directions.
    unsafe { ffi::SSL_set_bio(ssl, attached, attached) };
    let before = CURRENT.with(|current| current.replace(&raw const call));
    // SAFETY: no precondition; errors of former calls must not be mistaken for ours.
    unsafe { ffi::ERR_clear_error() };
    let result = body();
    CURRENT.with(|current| current.set(before));
    // SAFETY: as above; drops the reference.
    unsafe { ffi::SSL_set_bio(ssl, ptr::null_mut(), ptr::null_mut()) };
    if let Some(panic) = call.panic.take() {
        resume_unwind(panic);
    }
    (result, call.refusal.take())
}

/// Lends the host of the running call to `ask`; `otherwise` when none runs, another callback has it, or `ask` panicked.
pub(super) fn with_current<R>(otherwise: R, ask: impl FnOnce(&mut dyn Host) -> R) -> R {
    let current = CURRENT.with(Cell::get);
    // SAFETY: not null means a live frame of `run` on this very thread.
    let Some(call) = (unsafe { current.as_ref() }) else { return otherwise };
    let Some(host) = call.host.take() else { return otherwise };
    // SAFETY: `run` borrows the host for as long as the call lives, and taking it out makes this the only use.
    let lent = unsafe { &mut *host };
    match catch_unwind(AssertUnwindSafe(|| ask(lent))) {
        Ok(answer) => {
            call.host.set(Some(host));
            answer
        }
        Err(panic) => {
            // The host stays away: whatever it was doing is undone, and the call ends as soon as it can.
            call.panic.set(Some(panic));
            otherwise
        }
    }
}

/// As [`with_current`], for a callback about a connection: it must be the one that is being served.
pub(super) fn with_host<R>(ssl: *const ffi::SSL, otherwise: R, ask: impl FnOnce(&mut dyn Host) -> R) -> R {
    let current = CURRENT.with(Cell::get);
    // SAFETY: not null means a live frame of `run` on this very thread.
    match unsafe { current.as_ref() } {
        Some(call) if call.ssl == ssl => with_current(otherwise, ask),
        _ => otherwise,
    }
}

/// Notes that the handshake is to be ended with this alert.
pub(super) fn set_refusal(alert: u8) {
    // SAFETY: not null means a live frame of `run` on this very thread.
    if let Some(call) = unsafe { CURRENT.with(Cell::get).as_ref() } {
        call.refusal.set(Some(alert));
    }
}

/// The alert noted by [`set_refusal`] for the running call.
#[cfg(feature = "aws-lc")]
pub(super) fn refusal() -> Option<u8> {
    // SAFETY: not null means a live frame of `run` on this very thread.
    unsafe { CURRENT.with(Cell::get).as_ref() }.and_then(|call| call.refusal.get())
}
