//! One file of a directory of certificates, with those beside it: whether it is as it was, what it holds, and whether
//! somebody still writes it.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use lighterman_sys::watch::is_being_written;
use nix::fcntl::AtFlags;
use nix::sys::stat::{fstatat, FileStat, SFlag};
use openssl::sha::Sha256;
use xxhash_rust::xxh3::Xxh3Default;

use super::build::Facts;
use super::errand;
use super::index::{flag, path_of, SIDES};
use crate::net::tls::certs::{self, CertError, Outline};
use crate::net::tls::files::{CrtBytes, Files, SIDECARS};
use crate::plan::crt::{CrtFiles, Extras};

/// A file that was changed less than this ago may still be written, where the kernel does not say so; seconds.
const SETTLED_S: i64 = 1;

/// The names of a directory that may be certificates or stand beside them, sorted.
pub(super) fn list(dir: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name().into_encoded_bytes();
        if !name.starts_with(b".") {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn ending(name: &[u8]) -> &[u8] {
    name.iter().rposition(|byte| *byte == b'.').and_then(|at| name.get(at + 1..)).unwrap_or_default()
}

/// Whether a name is one of what stands beside a certificate.
pub(super) fn is_side(name: &[u8]) -> bool {
    SIDECARS.iter().any(|side| side.as_bytes() == ending(name))
}

/// The certificates to which something of this name may belong.
pub(super) fn mains(name: &[u8], extras: &Extras) -> Vec<Vec<u8>> {
    if !is_side(name) {
        return vec![name.to_vec()];
    }
    let stem = name.get(..name.len().saturating_sub(ending(name).len() + 1)).unwrap_or_default();
    let mut mains = vec![stem.to_vec()];
    if extras.del_ext {
        mains.push([stem, b".crt"].concat());
    }
    mains
}

/// What stands in a directory beside its certificates.
#[derive(Clone, Copy)]
enum Beside<'w> {
    /// Among these names, sorted.
    Listed(&'w [Vec<u8>]),
    /// Nothing.
    Nothing,
    /// To be asked for.
    Unknown,
}

/// A directory at work.
pub(super) struct Walk<'w> {
    dir: &'w Path,
    handle: File,
    how: &'w Files,
    beside: Beside<'w>,
}

/// A file with those beside it, as the directory shows them.
pub(super) struct Seen {
    /// There are some beside it.
    sides: bool,
    /// Sizes and dates of all.
    pub(super) mark: u64,
    /// When the last of them was changed, seconds since 1970.
    changed_s: i64,
}

impl<'w> Walk<'w> {
    /// For all files of a directory, the names of which are known; `sides`: some of them stand beside others.
    pub(super) fn over(dir: &'w Path, how: &'w Files, names: &'w [Vec<u8>], sides: bool) -> io::Result<Self> {
        let beside = match sides {
            true => Beside::Listed(names),
            false => Beside::Nothing,
        };
        Ok(Walk { dir, handle: File::open(dir)?, how, beside })
    }

    /// For a few files.
    pub(super) fn among(dir: &'w Path, how: &'w Files) -> io::Result<Self> {
        Ok(Walk { dir, handle: File::open(dir)?, how, beside: Beside::Unknown })
    }

    fn stat(&self, name: &[u8]) -> io::Result<FileStat> {
        Ok(fstatat(self.handle.as_fd(), path_of(name), AtFlags::empty())?)
    }

    /// The directory.
    pub(super) fn dir(&self) -> &Path {
        self.dir
    }

    /// Whether there is something of this name, be it a link to nowhere.
    pub(super) fn exists(&self, name: &[u8]) -> bool {
        let stat = fstatat(self.handle.as_fd(), path_of(name), AtFlags::AT_SYMLINK_NOFOLLOW);
        stat != Err(nix::errno::Errno::ENOENT)
    }

    fn beside(&self, main: &[u8], side: &str, flag: u8) -> io::Result<Option<(PathBuf, FileStat)>> {
        if matches!(self.beside, Beside::Nothing) || !wants(self.how.extras(), flag) {
            return Ok(None);
        }
        let path = self.how.extras().beside(path_of(main), side);
        let name = path.as_os_str().as_encoded_bytes();
        match self.beside {
            Beside::Listed(names) if names.binary_search_by(|known| known.as_slice().cmp(name)).is_err() => {
                Ok(None)
            }
            Beside::Unknown => match self.stat(name) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && !self.exists(name) => Ok(None),
                stat => Ok(Some((path, stat?))),
            },
            _ => self.stat(name).map(|stat| Some((path, stat))),
        }
    }

    /// `None` for what is no file: a directory within the directory.
    pub(super) fn look(&self, name: &[u8]) -> io::Result<Option<Seen>> {
        let stat = self.stat(name)?;
        match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFREG => {}
            SFlag::S_IFDIR => return Ok(None),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
        }
        let mut sum = Xxh3Default::new();
        add_stat(&mut sum, &stat);
        let mut seen = Seen { sides: false, mark: 0, changed_s: stat.st_ctime };
        for (side, flag) in SIDES {
            if let Some((_, stat)) = self.beside(name, side, flag)? {
                seen.sides = true;
                seen.changed_s = seen.changed_s.max(stat.st_ctime);
                sum.update(&[flag]);
                add_stat(&mut sum, &stat);
            }
        }
        seen.mark = sum.digest();
        Ok(Some(seen))
    }

    /// What the files of a certificate hold.
    pub(super) fn read(&self, name: &[u8], seen: &Seen) -> Result<CrtBytes, CertError> {
        let files = CrtFiles::new(self.dir.join(path_of(name)));
        match seen.sides {
            true => self.how.read(&files),
            // nothing stands beside it: no need to look for it again
            false => self.how.read_alone(&files.crt),
        }
    }

    /// Whether what was read since `seen` is whole: nobody writes, and nothing has changed meanwhile.
    pub(super) fn is_settled(&self, name: &[u8], seen: &Seen, now_s: i64) -> bool {
        let mut paths = vec![path_of(name).to_owned()];
        for (side, flag) in SIDES.iter().filter(|_| seen.sides) {
            paths.extend(self.beside(name, side, *flag).ok().flatten().map(|(path, _)| path));
        }
        let quiet = |path: &PathBuf| {
            let open = errand::open(&self.dir.join(path)).ok();
            match open.and_then(|file| is_being_written(file.as_fd())) {
                Some(written) => !written,
                None => seen.changed_s + SETTLED_S < now_s,
            }
        };
        paths.iter().all(quiet)
            && self.look(name).is_ok_and(|now| now.is_some_and(|now| now.mark == seen.mark))
    }
}

fn wants(extras: &Extras, flag: u8) -> bool {
    match flag {
        flag::KEY => extras.key,
        flag::OCSP => extras.ocsp,
        flag::ISSUER => extras.issuer,
        _ => extras.sctl,
    }
}

fn add_stat(sum: &mut Xxh3Default, stat: &FileStat) {
    // two files may have been written within one tick of the clock
    sum.update(&stat.st_ino.to_le_bytes());
    for number in [stat.st_size, stat.st_mtime, stat.st_mtime_nsec] {
        sum.update(&number.to_le_bytes());
    }
}

/// A number for the content of all files of a certificate.
pub(super) fn stamp_of(bytes: &CrtBytes) -> u64 {
    let mut content = Sha256::new();
    content.update(&bytes.pem.bytes);
    let sides = [&bytes.key, &bytes.ocsp, &bytes.issuer, &bytes.sctl];
    for (side, (_, flag)) in sides.into_iter().zip(SIDES) {
        if let Some(part) = side {
            content.update(&[flag]);
            content.update(&part.bytes);
        }
    }
    content.finish().first_chunk().copied().map_or(0, u64::from_le_bytes)
}

/// What an index holds of a certificate that was read, and the paths of its files in the order of [`SIDES`].
pub(super) fn facts(
    bytes: CrtBytes,
    how: &Files,
    mark: u64,
    now_s: u64,
) -> Result<(Facts, Outline, [Option<PathBuf>; 4]), CertError> {
    let stamp = stamp_of(&bytes);
    let (mut flags, mut paths) = (0, [const { None }; 4]);
    let sides = [&bytes.key, &bytes.ocsp, &bytes.issuer, &bytes.sctl];
    for ((side, path), (_, flag)) in sides.into_iter().zip(&mut paths).zip(SIDES) {
        if let Some(part) = side {
            flags |= flag;
            *path = Some(part.file.clone());
        }
    }
    let outline = certs::outline(bytes, how, now_s)?;
    let Outline { kind, not_before, not_after, .. } = outline;
    Ok((Facts { kind, flags, not_before, not_after, mark, stamp, options: 0 }, outline, paths))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_belong_to_certificates() {
        let replaced = Extras { del_ext: true, ..Extras::default() };
        let rows: &[(&str, &[&str], &[&str])] = &[
            ("a.pem", &["a.pem"], &["a.pem"]),
            ("a.pem.key", &["a.pem"], &["a.pem", "a.pem.crt"]),
            ("a.key", &["a"], &["a", "a.crt"]),
            ("a.ocsp", &["a"], &["a", "a.crt"]),
            ("key", &["key"], &["key"]),
        ];
        for (name, plain, del_ext) in rows {
            let texts = |extras: &Extras| -> Vec<String> {
                let mains = mains(name.as_bytes(), extras);
                mains.into_iter().map(|main| String::from_utf8(main).unwrap()).collect()
            };
            assert_eq!(texts(&Extras::default()), *plain, "{name}");
            assert_eq!(texts(&replaced), *del_ext, "{name}");
        }
    }
}
