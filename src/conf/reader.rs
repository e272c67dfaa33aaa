//! Finds and reads configuration files: `-f` several times, directories, files behind `--`. Called by the
//! command line and again at each reload.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::lang::span::SourceMap;

/// Reads all files in the given order; a directory stands for its `*.cfg` files, sorted by their bytes. The
/// error is one line for the user.
pub fn read(paths: &[PathBuf]) -> Result<SourceMap, String> {
    let mut sources = SourceMap::new();
    for path in paths {
        let meta = std::fs::metadata(path).map_err(|err| cannot_read(path, &err))?;
        if !meta.is_dir() {
            add(&mut sources, path)?;
            continue;
        }
        for file in in_directory(path)? {
            add(&mut sources, &file)?;
        }
    }
    Ok(sources)
}

/// All files in the order they are read, directories resolved: what `HAPROXY_CFGFILES` says.
pub fn names(sources: &SourceMap) -> String {
    sources.iter().map(|(_, source)| source.name.as_str()).collect::<Vec<_>>().join(";")
}

fn in_directory(path: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|err| cannot_read(path, &err))? {
        let file = entry.map_err(|err| cannot_read(path, &err))?.path();
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or("");
        if name.ends_with(".cfg") && !name.starts_with('.') && !file.is_dir() {
            found.push(file);
        }
    }
    found.sort();
    Ok(found)
}

fn add(sources: &mut SourceMap, path: &Path) -> Result<(), String> {
    let file = std::fs::File::open(path).map_err(|err| cannot_read(path, &err))?;
    let mut text = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut text).map_err(|err| cannot_read(path, &err))?;
    if text.len() as u64 > FILE_MAX {
        return Err(format!("could not read \"{}\": it has more than {FILE_MAX} bytes", path.display()));
    }
    sources.add(path.display().to_string(), text);
    Ok(())
}

fn cannot_read(path: &Path, err: &io::Error) -> String {
    format!("could not read \"{}\": {}", path.display(), why(err))
}

/// An error of the system in words, without its number.
pub fn why(err: &io::Error) -> String {
    match err.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_string(),
        io::ErrorKind::PermissionDenied => "permission denied".to_string(),
        io::ErrorKind::IsADirectory => "it is a directory".to_string(),
        _ => {
            let text = err.to_string();
            text.split(" (os error").next().unwrap_or(&text).to_lowercase()
        }
    }
}

/// A configuration larger than this is a mistake.
const FILE_MAX: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_directories_are_read_in_order() {
        let dir = std::env::temp_dir().join(format!("lighterman-reader-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("d.cfg")).unwrap();
        for (name, text) in
            [("b.cfg", "b\n"), ("a.cfg", "a\n"), ("B.cfg", "B\n"), ("x.txt", ""), (".h.cfg", "")]
        {
            std::fs::write(dir.join(name), text).unwrap();
        }
        let sources = read(&[dir.join("b.cfg"), dir.clone()]).unwrap();
        let texts: Vec<_> =
            sources.iter().map(|(_, s)| String::from_utf8_lossy(&s.text).into_owned()).collect();
        assert_eq!(texts, ["b\n", "B\n", "a\n", "b\n"]);
        assert_eq!(names(&sources).split(';').count(), 4);
        let missing = dir.join("nope.cfg");
        assert_eq!(
            read(std::slice::from_ref(&missing)).unwrap_err(),
            format!("could not read \"{}\": there is no such file", missing.display())
        );
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
