//! Diagnostics: what is wrong, where, and what to do about it. Made by every keyword, printed by the
//! command line and sent over the command socket after a reload.
//!
//! A keyword returns one `Diag` made at the offending word and never prints. `Diags` collects them,
//! bounded, so that all errors of a configuration are shown at once.

use std::fmt::Write;

use super::span::{SourceMap, Span};

/// How serious a diagnostic is, in rising order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Worth knowing, nothing to do (`.diag`, only shown with `-dD`).
    Info,
    /// Worth knowing; never makes a check fail.
    Notice,
    /// Probably not what was meant; fatal with `-dW` or `zero-warning`.
    Warning,
    /// The configuration cannot be used.
    Alert,
}

impl Level {
    /// The word printed between brackets.
    pub fn word(self) -> &'static str {
        match self {
            Level::Info => "DIAG",
            Level::Notice => "NOTICE",
            Level::Warning => "WARNING",
            Level::Alert => "ALERT",
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Level::Info => "\x1b[2m",
            Level::Notice => "\x1b[36m",
            Level::Warning => "\x1b[33m",
            Level::Alert => "\x1b[31m",
        }
    }
}

/// One message about one place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diag {
    /// How serious.
    pub level: Level,
    /// The word or line it is about.
    pub at: Span,
    /// What is wrong, one sentence without a full stop.
    pub what: String,
    /// What to write instead.
    pub help: Option<String>,
    /// A second place that explains the first ("first declared here").
    pub also: Option<(Span, String)>,
    /// What it is about stands in a file that the configuration names at `at`.
    pub quote: Option<Box<Quote>>,
}

/// A line of a file that is no configuration itself: a list, a map.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quote {
    /// The file as it was named.
    pub file: String,
    /// The line, without its end.
    pub text: Vec<u8>,
    /// Line and bytes; its `file` means nothing.
    pub at: Span,
}

impl Diag {
    /// A diagnostic of any level.
    pub fn new(level: Level, at: Span, what: impl Into<String>) -> Self {
        Diag { level, at, what: what.into(), help: None, also: None, quote: None }
    }

    /// An error at a place.
    pub fn alert(at: Span, what: impl Into<String>) -> Self {
        Self::new(Level::Alert, at, what)
    }

    /// A warning at a place.
    pub fn warning(at: Span, what: impl Into<String>) -> Self {
        Self::new(Level::Warning, at, what)
    }

    /// A notice at a place.
    pub fn notice(at: Span, what: impl Into<String>) -> Self {
        Self::new(Level::Notice, at, what)
    }

    /// Adds what to do about it.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a second place.
    pub fn also(mut self, at: Span, what: impl Into<String>) -> Self {
        self.also = Some((at, what.into()));
        self
    }

    /// Puts words in front of the message: how an outer keyword says which part of it failed.
    pub fn within(mut self, context: &str) -> Self {
        self.what = format!("{context}: {}", self.what);
        self
    }

    /// Gives a place to a diagnostic that has none.
    pub fn or_at(mut self, at: Span) -> Self {
        if !self.at.is_known() {
            self.at = at;
        }
        self
    }

    /// The message as the user sees it, with the line and a caret run when the place is known. Ends
    /// with a line end.
    pub fn render(&self, sources: &SourceMap, paint: Paint) -> String {
        let mut out = String::new();
        let (on, off) = paint.pair(self.level.colour());
        let _ = write!(out, "{on}[{}]{off} ", self.level.word());
        let colours = paint.pair(self.level.colour());
        if let Some(quote) = &self.quote {
            let _ = write!(out, "{} : ", place_in(&quote.file, &quote.text, quote.at));
        } else if self.at.is_known() {
            let _ = write!(out, "{} : ", place(sources, self.at));
        }
        out.push_str(&printable(&self.what));
        out.push('\n');
        match &self.quote {
            Some(quote) => {
                excerpt_of(&mut out, &quote.text, quote.at, colours);
                if self.at.is_known() {
                    let _ = writeln!(out, "  {} : the file is named here", place(sources, self.at));
                }
            }
            None => excerpt(&mut out, sources, self.at, colours),
        }
        if let Some((at, what)) = &self.also {
            if at.is_known() {
                let _ = writeln!(out, "  {} : {}", place(sources, *at), printable(what));
                excerpt(&mut out, sources, *at, paint.pair("\x1b[36m"));
            }
        }
        if let Some(help) = &self.help {
            let (on, off) = paint.pair("\x1b[1m");
            let _ = writeln!(out, "  {on}help{off}: {}", printable(help));
        }
        out
    }
}

/// Whether terminal colours are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Paint {
    /// Text only.
    Plain,
    /// Colours, for a terminal.
    Colour,
}

impl Paint {
    fn pair(self, on: &'static str) -> (&'static str, &'static str) {
        match self {
            Paint::Plain => ("", ""),
            Paint::Colour => (on, "\x1b[0m"),
        }
    }
}

fn place(sources: &SourceMap, at: Span) -> String {
    let line = sources.get(at.file).and_then(|source| source.line(at.line)).unwrap_or(b"");
    place_in(sources.name(at.file), line, at)
}

fn place_in(name: &str, line: &[u8], at: Span) -> String {
    if at.col == 0 {
        return format!("{name}:{}", at.line);
    }
    let before = line.get(..(at.col - 1) as usize).unwrap_or(line);
    format!("{name}:{}:{}", at.line, String::from_utf8_lossy(before).chars().count() + 1)
}

fn excerpt(out: &mut String, sources: &SourceMap, at: Span, colours: (&str, &str)) {
    if let Some(line) = sources.get(at.file).and_then(|source| source.line(at.line)) {
        excerpt_of(out, line, at, colours);
    }
}

/// The line with its number, and a caret run below the words meant. Long lines are cut around the run.
fn excerpt_of(out: &mut String, line: &[u8], at: Span, (on, off): (&str, &str)) {
    if line.is_empty() {
        return;
    }
    let start = (at.col.max(1) - 1) as usize;
    let split = |from: usize, to: usize| {
        let to = to.min(line.len());
        column_text(line.get(from.min(to)..to).unwrap_or(b""))
    };
    let (mut before, meant) = (split(0, start), split(start, start + at.len as usize));
    let mut after = split(start + at.len as usize, line.len());
    if before.chars().count() > BEFORE_MAX {
        let skip = before.chars().count() - BEFORE_MAX;
        before = format!("...{}", before.chars().skip(skip).collect::<String>());
    }
    let meant = clip(&meant, MEANT_MAX);
    after = clip(&after, AFTER_MAX);
    let _ = writeln!(out, "{:>5} | {before}{meant}{after}", at.line);
    if at.col != 0 {
        let indent: String = before.chars().map(|_| ' ').collect();
        let carets = "^".repeat(meant.chars().count().max(1));
        let _ = writeln!(out, "      | {indent}{on}{carets}{off}");
    }
}

fn clip(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_string();
    }
    format!("{}...", text.chars().take(max).collect::<String>())
}

/// One character per column: tabs become a space, what cannot be printed a question mark.
fn column_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| {
            if c == '\t' {
                ' '
            } else if c.is_control() {
                '?'
            } else {
                c
            }
        })
        .collect()
}

/// Control characters of hostile text must not reach the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '?' } else { c }).collect()
}

/// Diagnostics of one configuration, bounded.
#[derive(Clone, Debug, Default)]
pub struct Diags {
    list: Vec<Diag>,
    /// How many were said, by level, kept or not.
    said: [usize; 4],
}

impl Diags {
    /// No diagnostics.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps a diagnostic; beyond the cap of its level it is only counted, so that a flood of notices
    /// hides no error.
    pub fn push(&mut self, diag: Diag) {
        if self.list.contains(&diag) {
            // A line of `defaults` may be found wrong once for each proxy that inherits it.
            return;
        }
        let said = &mut self.said[diag.level as usize];
        *said += 1;
        if *said <= KEPT_MAX {
            self.list.push(diag);
        }
    }

    /// True when so many errors were found that reading on helps nobody.
    pub fn is_full(&self) -> bool {
        self.said[Level::Alert as usize] >= KEPT_MAX
    }

    /// True when the configuration cannot be used.
    pub fn has_alerts(&self) -> bool {
        self.has(Level::Alert)
    }

    /// True when something at least as serious as `level` was said.
    pub fn has(&self, level: Level) -> bool {
        self.said[level as usize..].iter().any(|count| *count > 0)
    }

    /// All kept diagnostics in the order they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Diag> {
        self.list.iter()
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// True when nothing was said.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// In the order of the text: files, lines, columns.
    pub fn sort(&mut self) {
        self.list.sort_by_key(|diag| (!diag.at.is_known(), diag.at.file, diag.at.line, diag.at.col));
    }

    /// Gives the diagnostics away.
    pub fn into_vec(self) -> Vec<Diag> {
        self.list
    }

    /// All messages as the user sees them.
    pub fn render(&self, sources: &SourceMap, paint: Paint) -> String {
        let mut out: String = self.list.iter().map(|diag| diag.render(sources, paint)).collect();
        let dropped = self.said.iter().sum::<usize>() - self.list.len();
        if dropped > 0 {
            let _ = writeln!(out, "... and {dropped} more.");
        }
        out
    }
}

/// Diagnostics of each level that are kept.
const KEPT_MAX: usize = 40;
const BEFORE_MAX: usize = 70;
const MEANT_MAX: usize = 100;
const AFTER_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> SourceMap {
        let mut map = SourceMap::new();
        map.add("web.cfg", "frontend fe\n\ttimout client 5s\n  é bad word\n");
        map
    }

    #[test]
    fn a_diagnostic_shows_line_and_caret() {
        let at = Span { file: 0, line: 2, col: 2, len: 6 };
        let diag = Diag::alert(at, "unknown keyword \"timout\"").help("did you mean \"timeout\"?");
        assert_eq!(
            diag.render(&sources(), Paint::Plain),
            "[ALERT] web.cfg:2:2 : unknown keyword \"timout\"\n    2 |  timout client 5s\n      |  ^^^^^^\n  help: did you mean \"timeout\"?\n"
        );
    }

    #[test]
    fn columns_count_characters_and_hostile_text_is_tamed() {
        let at = Span { file: 0, line: 3, col: 6, len: 3 };
        let text = Diag::warning(at, "odd \x1b[2J").render(&sources(), Paint::Plain);
        assert_eq!(text, "[WARNING] web.cfg:3:5 : odd ?[2J\n    3 |   é bad word\n      |     ^^^\n");
    }

    #[test]
    fn spans_outside_the_text_do_no_harm() {
        for at in [
            Span { file: 9, line: 1, col: 1, len: 1 },
            Span { file: 0, line: 99, col: 7, len: 2 },
            Span { file: 0, line: 1, col: 4000, len: 4000 },
            Span { file: 0, line: 1, col: 11, len: u32::MAX / 2 },
            Span::NONE,
        ] {
            assert!(Diag::alert(at, "x").render(&sources(), Paint::Colour).contains("ALERT"));
        }
    }

    #[test]
    fn the_list_is_bounded_and_warnings_do_not_hide_errors() {
        let mut diags = Diags::new();
        for n in 0..10_000 {
            diags.push(Diag::warning(Span::NONE, format!("w{n}")));
        }
        diags.push(Diag::warning(Span::NONE, "w1"));
        diags.push(Diag::alert(Span::NONE, "a"));
        assert!(diags.has_alerts() && diags.len() == KEPT_MAX + 1);
        assert!(diags.render(&sources(), Paint::Plain).ends_with("... and 9960 more.\n"));
    }
}
