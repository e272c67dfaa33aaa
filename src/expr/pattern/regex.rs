//! Sets of regular expressions, tried in turn. Linear time whatever the subject (no backtracking), so
//! what needs backtracking (look-around, back-references) is refused at load time.

use regex::bytes::{Regex, RegexBuilder};

/// Regular expressions.
#[derive(Clone)]
pub struct RegexIndex {
    fold: bool,
    list: Vec<(u32, Regex)>,
}

impl RegexIndex {
    /// An empty set; `fold` ignores case.
    pub fn new(fold: bool) -> Self {
        RegexIndex { fold, list: Vec::new() }
    }

    /// Adds a pattern.
    pub fn add(&mut self, text: &str, id: u32) -> Result<(), String> {
        self.list.push((id, compile(text, self.fold)?));
        Ok(())
    }

    /// Takes a pattern away.
    pub fn remove(&mut self, id: u32) -> bool {
        let before = self.list.len();
        self.list.retain(|(i, _)| *i != id);
        self.list.len() < before
    }

    /// The ids of the patterns written so.
    pub fn ids(&self, text: &str) -> Vec<u32> {
        self.list.iter().filter(|(_, regex)| regex.as_str() == text).map(|(id, _)| *id).collect()
    }

    /// The ids get other numbers.
    pub fn renumber(&mut self, new: &dyn Fn(u32) -> u32) {
        self.list.iter_mut().for_each(|(id, _)| *id = new(*id));
    }

    /// The first pattern that matches.
    pub fn find(&self, text: &[u8]) -> Option<u32> {
        self.list.iter().find(|(_, regex)| regex.is_match(text)).map(|(id, _)| *id)
    }

    /// The pattern with this id.
    pub fn get(&self, id: u32) -> Option<&Regex> {
        self.list.iter().find(|(i, _)| *i == id).map(|(_, regex)| regex)
    }
}

/// Compiles a regular expression over bytes; the error is one line and names the place.
pub fn compile(text: &str, fold: bool) -> Result<Regex, String> {
    RegexBuilder::new(text)
        .case_insensitive(fold)
        .unicode(false)
        .size_limit(SIZE_MAX)
        .build()
        .map_err(|error| explain(text, &error))
}

fn explain(text: &str, error: &regex::Error) -> String {
    let regex::Error::Syntax(message) = error else {
        return format!("the regular expression \"{}\" is too large", clip(text));
    };
    let why =
        message.lines().rev().find_map(|line| line.trim().strip_prefix("error: ")).unwrap_or("syntax error");
    // The library draws the pattern indented by four columns with a caret line below it.
    let column = message.lines().find(|l| l.trim_start().starts_with('^')).and_then(|l| l.find('^'));
    let place =
        column.and_then(|c| c.checked_sub(4)).map_or(String::new(), |c| format!(" at position {}", c + 1));
    format!("in the regular expression \"{}\"{place}: {why}", clip(text))
}

fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Bytes one compiled expression may take.
const SIZE_MAX: usize = 4 << 20;
