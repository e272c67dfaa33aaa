//! Heads under every fetch that walks fields and cookies.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lighterman::expr::fuzz::fuzz_head_fetches(bytes));
