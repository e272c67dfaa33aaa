//! The command line of `term`. Called by `main`; the text printed by `--help` is here too.

use std::ffi::OsString;
use std::net::{SocketAddr, ToSocketAddrs};

use lexopt::prelude::*;

/// What `--help` prints.
pub const HELP: &str = "\
term: a synthetic HTTP/1.1 origin for tests and benches

usage: lighterman-term [--listen ADDR]... [--procs N]

  -L, --listen ADDR   address to serve, repeatable: ip:port, :port, or fd@N for an
                      inherited listening socket (default 127.0.0.1:8000; port 0
                      takes a free one)
      --procs N       processes, each with a loop of its own (default 1)
  -h, --help          this text
  -d -b -D -C -V, -n N, -N N   accepted and ignored

The URL says what to answer: /?s=10k&t=20   (fields are separated by & ; or /)

  s=SIZE    body bytes, with k m g (default 1k)     t=MS     wait before the answer (ms, s)
  c=CODE    status; c=1: may be cached              R=1      size and delay at random up to s and t
  k=1       chunked; k=SIZE: chunks of that size    L=0      no length: the end closes the connection
  close=1   close after the answer                  E=1      X-Req tells the size of request head and body
  H=A:b     one more header line, %xx decoded; repeatable
";

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// An address to bind.
    Addr(SocketAddr),
    /// A listening socket inherited under this number.
    Fd(i32),
}

/// The options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where to listen; never empty.
    pub places: Vec<Place>,
    /// Processes.
    pub procs: usize,
    /// Only print the help.
    pub help: bool,
    /// Started by another `term`: ends with it.
    pub child: bool,
}

impl Options {
    /// Reads the arguments (without the program's name).
    pub fn parse(args: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Options, String> {
        let mut options = Options { places: Vec::new(), procs: 1, help: false, child: false };
        let mut parser = lexopt::Parser::from_args(args);
        while let Some(arg) = parser.next().map_err(|e| e.to_string())? {
            match arg {
                Short('L') | Long("listen") => options.places.push(place(&value(&mut parser)?)?),
                Long("procs") => {
                    let text = value(&mut parser)?;
                    options.procs = match text.parse() {
                        Ok(n @ 1..=256) => n,
                        _ => return Err(format!("--procs {text:?}: want a number from 1 to 256")),
                    };
                }
                Short('h') | Long("help") => options.help = true,
                Long("child") => options.child = true,
                Short('n' | 'N') => {
                    value(&mut parser)?;
                }
                Short('d' | 'b' | 'D' | 'C' | 'V') => {}
                other => return Err(other.unexpected().to_string()),
            }
        }
        if options.places.is_empty() {
            options.places.push(Place::Addr(SocketAddr::from(([127, 0, 0, 1], 8000))));
        }
        if options.procs > 1 && options.places.iter().any(|p| matches!(p, Place::Fd(_))) {
            return Err("an inherited socket (fd@) cannot be served by several processes".into());
        }
        Ok(options)
    }
}

fn value(parser: &mut lexopt::Parser) -> Result<String, String> {
    parser.value().map_err(|e| e.to_string()).map(|v| v.to_string_lossy().into_owned())
}

fn place(text: &str) -> Result<Place, String> {
    let wrong = || format!("--listen {text:?}: want ip:port, :port or fd@N");
    if let Some(number) = text.strip_prefix("fd@") {
        return number.parse().ok().filter(|&n: &i32| n >= 0).map(Place::Fd).ok_or_else(wrong);
    }
    let full = match text.strip_prefix("*:").or_else(|| text.strip_prefix(':')) {
        Some(port) => format!("0.0.0.0:{port}"),
        None => text.to_string(),
    };
    full.to_socket_addrs().ok().and_then(|mut found| found.next()).map(Place::Addr).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines() {
        let addr = |text: &str| Place::Addr(text.parse().unwrap());
        let table: &[(&[&str], Result<Options, &str>)] = &[
            (&[], Ok(Options { places: vec![addr("127.0.0.1:8000")], procs: 1, help: false, child: false })),
            (
                &["-db", "-L", "127.0.0.1:81", "-L:82", "--listen", "[::1]:83"],
                Ok(Options {
                    places: vec![addr("127.0.0.1:81"), addr("0.0.0.0:82"), addr("[::1]:83")],
                    procs: 1,
                    help: false,
                    child: false,
                }),
            ),
            (
                &["--listen=fd@3", "-n", "1000"],
                Ok(Options { places: vec![Place::Fd(3)], procs: 1, help: false, child: false }),
            ),
            (&["--procs", "0"], Err("--procs \"0\": want a number from 1 to 256")),
            (&["-L", "nonsense"], Err("--listen \"nonsense\": want ip:port, :port or fd@N")),
            (&["-L", "fd@-1"], Err("--listen \"fd@-1\": want ip:port, :port or fd@N")),
            (&["--what"], Err("invalid option '--what'")),
            (
                &["-L", "fd@3", "--procs", "2"],
                Err("an inherited socket (fd@) cannot be served by several processes"),
            ),
        ];
        for (args, want) in table {
            let got = Options::parse(args.iter().copied());
            assert_eq!(got, want.clone().map_err(str::to_string), "{args:?}");
        }
    }
}
