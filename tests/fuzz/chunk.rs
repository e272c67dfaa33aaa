//! The chunked coding, whole and byte by byte.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lighterman_wire::h1::chunk::fuzz_chunk(bytes));
