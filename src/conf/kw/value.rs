//! Values several families read: users and groups, file modes, sets of numbers, texts with rules.

use std::path::PathBuf;

use crate::lang::diag::Diag;
use crate::lang::word::{Word, Words};

/// The id of a user name.
pub fn user(word: &Word) -> Result<u32, Diag> {
    match nix::unistd::User::from_name(&word.text) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => Err(word.err(format!("there is no user \"{}\" on this system", word.text))),
        Err(why) => Err(word.err(format!("could not look up the user \"{}\": {}", word.text, why.desc()))),
    }
}

/// The id of a group name.
pub fn group(word: &Word) -> Result<u32, Diag> {
    match nix::unistd::Group::from_name(&word.text) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => Err(word.err(format!("there is no group \"{}\" on this system", word.text))),
        Err(why) => Err(word.err(format!("could not look up the group \"{}\": {}", word.text, why.desc()))),
    }
}

/// A file mode, octal.
pub fn mode(word: &Word) -> Result<u32, Diag> {
    match u32::from_str_radix(&word.text, 8) {
        Ok(mode) if mode <= 0o7777 => Ok(mode),
        _ => Err(word.err(format!("expected an octal file mode like 660, found \"{}\"", word.text))),
    }
}

/// A path, below `base` when it is relative and a base is set.
pub fn path_below(base: Option<&str>, word: &Word) -> Result<PathBuf, Diag> {
    if word.text.is_empty() {
        return Err(word.err("the path is empty"));
    }
    match base {
        Some(base) if !word.text.starts_with(['/', '@']) => Ok(PathBuf::from(base).join(&word.text)),
        _ => Ok(PathBuf::from(&word.text)),
    }
}

/// A text that is not empty.
pub fn text(word: &Word) -> Result<String, Diag> {
    match word.text.as_str() {
        "" => Err(word.err("the text is empty")),
        text => Ok(text.to_string()),
    }
}

/// `on` or `off`.
pub fn on_off(words: &mut Words<'_>) -> Result<bool, Diag> {
    let word = words.need("on or off")?;
    match word.text.as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(word.not_one_of("value", &["off", "on"])),
    }
}

/// A set of numbers like `0-3` or `1,4-6`, each from `low` to `high`.
pub fn numbers(word: &Word, low: u32, high: u32) -> Result<Vec<u32>, Diag> {
    let bad = || {
        word.err(format!("expected numbers like 0-3 or 1,4-6 from {low} to {high}, found \"{}\"", word.text))
    };
    let mut found = Vec::new();
    for part in word.text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: u32 = first.parse().map_err(|_| bad())?;
        let last: u32 = last.parse().map_err(|_| bad())?;
        if first > last || first < low || last > high {
            return Err(bad());
        }
        found.extend(first..=last);
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The content of a file named in the configuration, at most `max` bytes.
pub fn file(word: &Word, max: u64) -> Result<Vec<u8>, Diag> {
    let fail = |why: String| word.err(format!("could not read \"{}\": {why}", word.text));
    let meta = std::fs::metadata(&word.text).map_err(|err| fail(super::super::reader::why(&err)))?;
    if !meta.is_file() {
        return Err(fail("it is not a file".to_string()));
    }
    if meta.len() > max {
        return Err(fail(format!("it has {} bytes, at most {max} are possible", meta.len())));
    }
    std::fs::read(&word.text).map_err(|err| fail(super::super::reader::why(&err)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_and_modes() {
        assert_eq!(numbers(&Word::plain("0-2,5,1"), 0, 63).unwrap(), [0, 1, 2, 5]);
        for text in ["", "x", "3-1", "0-64", "1,,2", "1-"] {
            assert!(numbers(&Word::plain(text), 0, 63).is_err(), "{text}");
        }
        assert_eq!(mode(&Word::plain("660")).unwrap(), 0o660);
        assert!(mode(&Word::plain("668")).is_err() && mode(&Word::plain("77777")).is_err());
        assert_eq!(user(&Word::plain("root")).unwrap(), 0);
        assert!(group(&Word::plain("no such group")).is_err());
    }
}
