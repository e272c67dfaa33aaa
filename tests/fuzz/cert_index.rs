//! Indexes of certificates, as a file or another process gives them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lighterman::net::tls::store::index::fuzz_cert_index(bytes));
