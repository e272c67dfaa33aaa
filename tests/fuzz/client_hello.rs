//! TLS ClientHellos, over one record or many.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lighterman_wire::client_hello::fuzz_client_hello(bytes));
