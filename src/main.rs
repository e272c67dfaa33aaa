//! The program: reads the command line, then the configuration, then hands over to the master.

use std::process::ExitCode;

mod args;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| "lighterman".into());
    ExitCode::from(args::run(&name, arguments.collect()))
}
