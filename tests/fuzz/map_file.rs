//! Files of maps and ACLs.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lighterman::expr::fuzz::fuzz_map(bytes));
