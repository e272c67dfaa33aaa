//! Cookies of requests and answers: read, cut out, shortened, rewritten.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lighterman::msg::cookie::fuzz_cookies(bytes));
