//! Which haproxy there is to compare with: the first one found in `PATH` or where distributions put it, unless
//! `LIGHTERMAN_ORACLE=no` says that there is to be none; any other value says that there must be one.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// One that is good for comparing.
pub struct Oracle {
    pub path: String,
    /// It is the version the known differences are about.
    pub is_usual: bool,
}

/// The version of Debian 12.
const USUAL: (u32, u32) = (2, 6);

/// Older ones do not know the words of the cases.
const OLDEST: (u32, u32) = (2, 4);

/// The tests are to fail when there is none.
pub fn is_wanted() -> bool {
    env::var("LIGHTERMAN_ORACLE").is_ok_and(|how| how != "no")
}

/// The haproxy to compare with, or why there is none.
pub fn find() -> Result<&'static Oracle, &'static str> {
    static FOUND: OnceLock<Result<Oracle, String>> = OnceLock::new();
    FOUND.get_or_init(look).as_ref().map_err(String::as_str)
}

fn look() -> Result<Oracle, String> {
    if env::var("LIGHTERMAN_ORACLE").is_ok_and(|how| how == "no") {
        return Err("LIGHTERMAN_ORACLE=no".into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let mut places = env::split_paths(&path).chain(usual).map(|dir| dir.join("haproxy"));
    let path = places.find(|path| path.is_file()).ok_or("there is no haproxy")?;
    let path = path.to_string_lossy().into_owned();
    let output = Command::new(&path).arg("-v").output().map_err(|error| format!("{path}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match version(&text) {
        Some(version) if version >= OLDEST => Ok(Oracle { path, is_usual: version == USUAL }),
        Some((major, minor)) => Err(format!("{path} is {major}.{minor}, too old")),
        None => Err(format!("{path} does not tell its version")),
    }
}

/// The first two numbers of `HAProxy version 2.6.12-1+deb12u1 ...`.
fn version(text: &str) -> Option<(u32, u32)> {
    let (_, rest) = text.split_once("roxy version ")?;
    let mut numbers = rest.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[test]
fn versions() {
    assert_eq!(version("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/"), Some((2, 6)));
    assert_eq!(version("HA-Proxy version 1.8.19-1 2019/02/12"), Some((1, 8)));
    assert_eq!(version("HAProxy version 3.5-dev5-1"), Some((3, 5)));
    assert_eq!(version("nonsense"), None);
}
