//! A terminal for programs that look whether there is one.

use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

use nix::pty::openpty;

/// Runs a program whose errors go to a terminal, to its end: what it said there, and whether it ended well.
#[track_caller]
pub fn run_on_terminal(command: &mut Command) -> (String, bool) {
    let ends = openpty(None, None).unwrap();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(ends.slave).spawn().unwrap();
    // the program's copy is the only one left: the terminal ends with it
    command.stderr(Stdio::null());
    let mut terminal = File::from(ends.master);
    let (mut said, mut some) = (Vec::new(), [0; 4096]);
    // a terminal whose other end is closed gives an error
    while let Ok(n) = terminal.read(&mut some) {
        if n == 0 {
            break;
        }
        said.extend_from_slice(&some[..n]);
    }
    let status = child.wait().unwrap();
    (String::from_utf8_lossy(&said).into_owned(), status.success())
}
