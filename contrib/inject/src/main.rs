//! Command line face of `inject`.

use std::process::ExitCode;

use lighterman_inject::crew;
use lighterman_inject::options::{Asked, Options, HELP};

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args_os().skip(1)) {
        Ok(Asked::Run(options)) => options,
        Ok(Asked::Help) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(e) => {
            eprintln!("inject: {e}; --help explains");
            return ExitCode::from(2);
        }
    };
    match crew::run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("inject: {e}");
            ExitCode::from(2)
        }
    }
}
