//! Lists in ClientHello extensions, as words of a log line.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lighterman::net::tls::asked::fuzz_hello_words(bytes));
