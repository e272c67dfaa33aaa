//! Bytes of connections under every fetch that looks at them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lighterman::expr::fuzz::fuzz_payload(bytes));
