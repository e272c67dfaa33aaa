//! HTTP/1 heads: parsing, framing, editing, writing.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lighterman::msg::fuzz_h1_head(bytes));
