//! Operations on stick tables, compared with a plain list.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lighterman::shm::stick::fuzz::fuzz_stick_ops(bytes));
