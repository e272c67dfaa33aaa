//! Expressions, log-format strings, conditions, and what they are evaluated on.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lighterman::expr::fuzz::fuzz_expr(bytes));
