//! Configurations: lexer, conditions, keywords, links.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lighterman::conf::fuzz_conf_text(bytes));
