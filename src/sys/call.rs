//! The one way to call the C library: `-1` becomes the error of `errno`.
//!
//! Used by every module of this crate; the block around it stays the caller's, with its own SAFETY line.

/// Calls `libc::name(args)` and turns `-1` into `io::Error::last_os_error()`. Must stand in an unsafe block.
macro_rules! syscall {
    ($name:ident ( $($arg:expr),* $(,)? )) => {{
        let got = libc::$name($($arg),*);
        if got == -1 { Err(std::io::Error::last_os_error()) } else { Ok(got) }
    }};
}
