//! PROXY protocol headers, read and written again.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lighterman_wire::proxy_header::fuzz_proxy_header(bytes));
