//! The index of a directory is kept for the next start, in a hidden file beside the directory or in `ssl-index-dir`.
//!
//! It is written whole and then renamed, so that nobody ever reads half of one. What is read is looked at like anything from
//! outside; an index that is of no use costs nothing but the time to make it again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use lighterman_sys::sealed::Sealed;
use xxhash_rust::xxh3::xxh3_64;

use super::index::{Bytes, Index, IndexFault, INDEX_MAX};

/// Smaller directories are read faster than they are worth a file beside them.
const KEPT_FROM: u32 = 200;

/// Whether the next start is faster with it.
pub fn is_worth_it(index: &Index, index_dir: Option<&Path>) -> bool {
    index.len() >= KEPT_FROM || index_dir.is_some()
}

/// Where the index of a directory is kept.
pub fn place(dir: &Path, index_dir: Option<&Path>) -> PathBuf {
    let whole = dir.as_os_str().as_encoded_bytes();
    if let Some(index_dir) = index_dir {
        return index_dir.join(format!("{:016x}.certs-index", xxh3_64(whole)));
    }
    let mut name = std::ffi::OsString::from(".");
    name.push(dir.file_name().unwrap_or_default());
    name.push(".certs-index");
    dir.parent().unwrap_or(dir).join(name)
}

/// Reads an index that was kept. `Ok(None)`: there is none; `Err`: what there is cannot be used.
pub fn load(file: &Path, dir: &Path) -> io::Result<Option<Index>> {
    let handle = match File::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        handle => handle?,
    };
    if !handle.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let sealed = Sealed::read("lighterman certificates", handle, INDEX_MAX)?;
    let index = Index::open(Bytes::Shared(sealed)).map_err(useless)?;
    if index.dir() == Some(dir) {
        Ok(Some(index))
    } else {
        Err(useless(IndexFault::Foreign))
    }
}

fn useless(fault: IndexFault) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, fault.to_string())
}

/// Keeps an index. The file can be read by its owner only: it tells which names are served here.
pub fn save(file: &Path, index: &Index) -> io::Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    let draft = PathBuf::from(name);
    let written = write(&draft, index).and_then(|()| fs::rename(&draft, file));
    if written.is_err() {
        // there may be no draft at all
        let _ = fs::remove_file(&draft);
    }
    written
}

fn write(draft: &Path, index: &Index) -> io::Result<()> {
    let mut handle = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(draft)?;
    handle.write_all(index.bytes())
}
