//! OCSP answers.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lighterman_wire::ocsp::fuzz_ocsp(bytes));
