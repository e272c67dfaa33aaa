//! The program seen from outside: one module per theme, all in one binary (linked once).

use lighterman_harness::Program;

mod acl_files;
mod actions;
mod balance;
mod certs;
mod cli;
mod commands;
mod config;
mod converters;
mod cookies;
mod crtlist;
mod errors;
mod h1_framing;
mod h1_keepalive;
mod h1_refusals;
mod limits;
mod logs;
mod map_files;
mod maps;
mod ocsp;
mod one_port;
mod oracle;
mod passthrough;
mod proxy_header;
mod queue;
mod quickstart;
mod reload;
mod retries;
mod rules;
mod settings;
mod shm_workers;
mod ssl_ca_commands;
mod ssl_commands;
mod stick;
mod stick_counts;
mod tls;
mod tls_early;
mod tls_explain;
mod tls_failures;
mod tls_fetches;
mod tls_guard;
mod tls_hostile;
mod tls_resume;
mod tls_store;
mod tls_tiers;
mod tls_verify;
mod tls_watch;
mod variables;

/// The program that was built with these tests.
const BIN: &str = env!("CARGO_BIN_EXE_lighterman");

/// A run with these sections after the usual prelude: command socket, HTTP mode, short timeouts.
fn program(sections: &str) -> Program {
    Program::new(BIN, sections)
}

/// A frontend `fe` on the inherited listener of that name, in front of one server.
fn relay(lines: &str, server: std::net::SocketAddr) -> Program {
    program(&format!("listen fe\n    bind \"fd@${{fe}}\"\n{lines}\n    server s1 {server}\n")).listen("fe")
}
