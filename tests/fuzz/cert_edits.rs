//! Changes of certificates, as the process with file rights gets them from the one with the command socket.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lighterman::net::tls::store::edit::fuzz_cert_edits(bytes));
