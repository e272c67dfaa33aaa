//! Lines of the command socket.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lighterman::service::cli::fuzz::fuzz_cli_line(bytes));
