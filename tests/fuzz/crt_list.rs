//! Certificate lists: words, brackets, quotes, filters.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lighterman::conf::crtlist::fuzz_crt_list(bytes));
