//! Certificates and private keys in DER.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lighterman_wire::x509::fuzz_x509(bytes));
