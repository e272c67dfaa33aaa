//! Configurations that are right load, those that are wrong say exactly what their `.diag` file says. With
//! BLESS=1 in the environment the `.diag` files are written anew.

use std::fs;
use std::path::{Path, PathBuf};

use lighterman::conf::{self, Setup};
use lighterman::lang::diag::{Diags, Paint};
use lighterman::lang::span::SourceMap;

fn files(dir: &str, suffix: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    let mut found: Vec<PathBuf> = fs::read_dir(&dir)
        .unwrap_or_else(|err| panic!("{}: {err}", dir.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(suffix))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no {suffix} files in {}", dir.display());
    found
}

/// The messages of one file, whether it loads, each as the user sees it. Paths are relative to the file.
fn messages(path: &Path) -> (bool, String) {
    let mut sources = SourceMap::new();
    let name = path.file_name().unwrap().to_string_lossy();
    sources.add(name, fs::read(path).unwrap());
    let mut env = conf::env::Env::empty();
    env.set("HERE", &path.parent().unwrap().to_string_lossy());
    let setup = Setup { env, resolve: conf::addr::no_resolver, program: "test".into(), ..Setup::default() };
    match conf::load_with(&sources, &setup) {
        Err(diags) => (false, diags.render(&sources, Paint::Plain)),
        Ok((_, list)) => {
            let mut diags = Diags::new();
            list.into_iter().for_each(|diag| diags.push(diag));
            (true, diags.render(&sources, Paint::Plain))
        }
    }
}

fn compare(path: &Path, text: &str) -> Option<String> {
    let golden = path.with_extension("diag");
    if std::env::var_os("BLESS").is_some() {
        if text.is_empty() {
            let _ = fs::remove_file(&golden);
        } else {
            fs::write(&golden, text).unwrap();
        }
        return None;
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    (expected != text).then(|| format!("{}\n--- expected\n{expected}--- found\n{text}", path.display()))
}

#[test]
fn good_configurations_load() {
    let mut wrong = Vec::new();
    for path in files("tests/conf/good", ".cfg") {
        let (loads, text) = messages(&path);
        if !loads {
            wrong.push(format!("{} does not load:\n{text}", path.display()));
            continue;
        }
        wrong.extend(compare(&path, &text));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn bad_configurations_say_what_is_wrong() {
    let mut wrong = Vec::new();
    for path in files("tests/conf/bad", ".cfg") {
        let (loads, text) = messages(&path);
        if loads {
            wrong.push(format!("{} loads", path.display()));
            continue;
        }
        wrong.extend(compare(&path, &text));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every file cut short at every line, and with single bytes changed: errors, never a panic.
#[test]
fn damaged_configurations_are_survived() {
    for path in files("tests/conf/good", ".cfg") {
        let text = fs::read(&path).unwrap();
        for (at, _) in text.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            conf::fuzz_conf_text(&text[..at]);
        }
        for at in (0..text.len()).step_by(7) {
            let mut bytes = text.clone();
            bytes[at] = bytes[at].wrapping_add(1 + (at % 200) as u8);
            conf::fuzz_conf_text(&bytes);
        }
    }
}
