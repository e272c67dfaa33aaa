//! Answers of OCSP responders over HTTP, and their addresses.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lighterman_wire::fetch::fuzz_fetch(bytes));
