//! From the first words of a line to the row of its keyword. Every table of `kw` goes through here, so
//! errors name the keyword the same way everywhere and suggestions come from the section at hand.

use std::collections::HashMap;

use super::ast;
use super::draft::LineCx;
use super::known;
use crate::base::doc::Doc;
use crate::lang::diag::Diag;
use crate::lang::span::Span;
use crate::lang::suggest;
use crate::lang::word::{Word, Words};

/// Places where a keyword may stand: a set of bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Places(pub u16);

impl Places {
    /// `global`.
    pub const GLOBAL: Places = Places(1);
    /// `defaults`.
    pub const DEFAULTS: Places = Places(2);
    /// `frontend`.
    pub const FRONTEND: Places = Places(4);
    /// `listen`.
    pub const LISTEN: Places = Places(8);
    /// `backend`.
    pub const BACKEND: Places = Places(16);
    /// Options of a `bind` line.
    pub const BIND: Places = Places(32);
    /// Options of a `stats socket` line.
    pub const CLI: Places = Places(64);
    /// Options of a `server` line.
    pub const SERVER: Places = Places(128);
    /// Options of a `default-server` line.
    pub const DEFAULT_SERVER: Places = Places(256);
    /// Words of `ssl-default-bind-options`.
    pub const BIND_OPTIONS: Places = Places(512);
    /// Words of `ssl-default-server-options`.
    pub const SERVER_OPTIONS: Places = Places(1024);

    /// Options between the brackets of a `crt-list` line.
    pub const CRT_LIST: Places = Places(2048);
    /// `crt-store`.
    pub const CRT_STORE: Places = Places(4096);
    /// Words behind `load` in a `crt-store`.
    pub const LOAD: Places = Places(8192);

    /// Sections: what stands in them begins with a keyword.
    pub const SECTIONS: Places = Places(31 | 4096 | 16384 | 32768);
    /// `userlist`.
    pub const USERLIST: Places = Places(16384);
    /// `http-errors`.
    pub const HTTP_ERRORS: Places = Places(32768);
    /// Every proxy section.
    pub const PROXY: Places = Places(2 | 4 | 8 | 16);
    /// What accepts connections, and `defaults`.
    pub const FRONT: Places = Places(2 | 4 | 8);
    /// What has servers, and `defaults`.
    pub const BACK: Places = Places(2 | 8 | 16);
    /// What accepts connections.
    pub const FRONT_ONLY: Places = Places(4 | 8);
    /// What has servers.
    pub const BACK_ONLY: Places = Places(8 | 16);
    /// Every proxy section but `defaults`.
    pub const NO_DEFAULTS: Places = Places(4 | 8 | 16);
    /// Server lines of both kinds.
    pub const SERVERS: Places = Places(128 | 256);

    /// True when both sets share a place.
    pub const fn meets(self, other: Places) -> bool {
        self.0 & other.0 != 0
    }

    /// Both sets together.
    pub const fn and(self, other: Places) -> Places {
        Places(self.0 | other.0)
    }

    /// The words of the places, for messages and the manual.
    pub fn names(self) -> Vec<&'static str> {
        NAMES.iter().filter(|(place, _)| self.meets(*place)).map(|(_, name)| *name).collect()
    }
}

const NAMES: &[(Places, &str)] = &[
    (Places::GLOBAL, "global"),
    (Places::DEFAULTS, "defaults"),
    (Places::FRONTEND, "frontend"),
    (Places::LISTEN, "listen"),
    (Places::BACKEND, "backend"),
    (Places::BIND, "bind"),
    (Places::CLI, "stats socket"),
    (Places::SERVER, "server"),
    (Places::DEFAULT_SERVER, "default-server"),
    (Places::BIND_OPTIONS, "ssl-default-bind-options"),
    (Places::SERVER_OPTIONS, "ssl-default-server-options"),
    (Places::CRT_LIST, "crt-list"),
    (Places::CRT_STORE, "crt-store"),
    (Places::LOAD, "load"),
    (Places::USERLIST, "userlist"),
    (Places::HTTP_ERRORS, "http-errors"),
];

/// What a row does with the words behind its keyword.
pub type Parse<D> = fn(&mut Words<'_>, &mut D, &mut LineCx<'_>) -> Result<(), Diag>;

/// One keyword: the row that is all there is to know about it.
pub struct Keyword<D: 'static> {
    /// The word, or two words parted by a blank (`timeout client`).
    pub kw: &'static str,
    /// Where it may stand.
    pub within: Places,
    /// What it does to the draft.
    pub parse: Parse<D>,
    /// `no` may stand before it.
    pub negates: bool,
    /// Manual text.
    pub doc: Doc,
}

/// A row without `no`.
pub const fn row<D>(kw: &'static str, within: Places, parse: Parse<D>, doc: Doc) -> Keyword<D> {
    Keyword { kw, within, parse, negates: false, doc }
}

/// A row that takes `no` and `default` before it.
pub const fn switch<D>(kw: &'static str, within: Places, parse: Parse<D>, doc: Doc) -> Keyword<D> {
    Keyword { kw, within, parse, negates: true, doc }
}

/// The manual text of a row.
pub const fn doc(usage: &'static str, brief: &'static str, text: &'static str, example: &'static str) -> Doc {
    Doc { usage, brief, text, example }
}

/// What stands before a keyword.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Prefix {
    /// Nothing.
    #[default]
    None,
    /// `no`.
    No,
    /// `default`: back to the built-in value.
    Default,
}

/// Rows found by their first word.
pub struct Index<D: 'static> {
    rows: HashMap<&'static str, Vec<&'static Keyword<D>>>,
}

impl<D> Index<D> {
    /// An index of several families.
    pub fn new(families: &[&'static [Keyword<D>]]) -> Self {
        let mut rows: HashMap<&'static str, Vec<&'static Keyword<D>>> = HashMap::new();
        for keyword in families.iter().flat_map(|family| family.iter()) {
            let first = keyword.kw.split(' ').next().unwrap_or(keyword.kw);
            rows.entry(first).or_default().push(keyword);
        }
        Index { rows }
    }

    /// The row the cursor stands at; takes its words. `None` when the first word is no keyword here.
    fn find(&self, words: &mut Words<'_>, place: Places) -> Result<Option<&'static Keyword<D>>, Diag> {
        let Some(first) = words.peek() else { return Ok(None) };
        let Some(rows) = self.rows.get(first.text.as_str()) else { return Ok(None) };
        let second = words.peek_second();
        let matches =
            |kw: &Keyword<D>, text: &str| kw.kw.split_once(' ').is_some_and(|(_, rest)| rest == text);
        let double = second.and_then(|word| rows.iter().find(|keyword| matches(keyword, &word.text)));
        let single = || rows.iter().find(|keyword| !keyword.kw.contains(' '));
        let Some(found) = double.or_else(single) else {
            words.next();
            return Err(self.second_unknown(first, words, rows, place));
        };
        words.next();
        if found.kw.contains(' ') {
            words.next();
        }
        Ok(Some(found))
    }

    /// The first word is fine, the second is not.
    fn second_unknown(
        &self,
        first: &Word,
        words: &mut Words<'_>,
        rows: &[&'static Keyword<D>],
        place: Places,
    ) -> Diag {
        let known: Vec<&str> = rows
            .iter()
            .filter(|keyword| keyword.within.meets(place))
            .filter_map(|keyword| keyword.kw.split_once(' ').map(|(_, rest)| rest))
            .collect();
        let what = match known.len() {
            0..=15 => format!("word ({})", suggest::list_of(&known)),
            _ => "word".to_string(),
        };
        let word = match words.need(&what) {
            Ok(word) => word,
            Err(diag) => return diag,
        };
        let both = format!("{} {}", first.text, word.text);
        if let Some(diag) = known::later(&both, word, place) {
            return diag;
        }
        let diag = word.err(format!("unknown word \"{}\" after \"{}\"", word.text, first.text));
        match suggest::did_you_mean(&word.text, known.iter().copied()) {
            Some(help) => diag.help(help),
            None => diag,
        }
    }

    /// All keywords of a place, for suggestions.
    fn keywords(&self, place: Places) -> impl Iterator<Item = &'static str> + '_ {
        self.rows
            .values()
            .filter(move |rows| rows.iter().any(|row| row.within.meets(place)))
            .filter_map(|rows| rows.first().and_then(|row| row.kw.split(' ').next()))
    }

    /// Runs one line: keyword, arguments, end of line.
    pub fn line(&self, words: &mut Words<'_>, draft: &mut D, cx: &mut LineCx<'_>) -> Result<(), Diag> {
        let start = words.clone();
        cx.prefix = prefix(words);
        match self.step(words, draft, cx) {
            Ok(Some(kw)) => words.done().map_err(|diag| diag.within(&format!("\"{kw}\""))),
            Ok(None) => match words.peek() {
                Some(word) => self.not_here(word, words, cx),
                None => Err(start.missing("keyword")),
            },
            Err(diag) => self.second_ignored(&start, cx).map_or(Err(diag), |notice| {
                cx.say(notice);
                Ok(())
            }),
        }
    }

    /// Runs the options of a `bind`, `server`... line until its end.
    pub fn options(&self, words: &mut Words<'_>, draft: &mut D, cx: &mut LineCx<'_>) -> Result<(), Diag> {
        cx.prefix = Prefix::None;
        while let Some(word) = words.peek() {
            if self.step(words, draft, cx)?.is_some() {
                continue;
            }
            let Some(notice) = known::ignored(&word.text, word, cx.place) else {
                return Err(self.unknown(word, words, cx));
            };
            cx.say(notice);
            words.next();
            for _ in 0..known::ignored_arguments(&word.text) {
                words.need("a value")?;
            }
        }
        Ok(())
    }

    fn step(
        &self,
        words: &mut Words<'_>,
        draft: &mut D,
        cx: &mut LineCx<'_>,
    ) -> Result<Option<&'static str>, Diag> {
        let first = words.peek();
        let Some(row) = self.find(words, cx.place)? else { return Ok(None) };
        let first = first.map_or(words.end(), |word| word.at);
        if !row.within.meets(cx.place) {
            if cx.replayed {
                // A line of `defaults` that means nothing to this kind of proxy.
                words.rest();
                return Ok(Some(row.kw));
            }
            return misplaced(row.kw, row.within, first, words, cx).map(|()| Some(row.kw));
        }
        if cx.prefix != Prefix::None && !row.negates {
            let which = if cx.prefix == Prefix::No { "no" } else { "default" };
            return Err(Diag::alert(first, format!("\"{}\" cannot be used with \"{which}\"", row.kw)));
        }
        (row.parse)(words, draft, cx).map_err(|diag| diag.within(&format!("\"{}\"", row.kw)))?;
        Ok(Some(row.kw))
    }

    /// A line whose first word has no row: passed over with a notice, or an error.
    fn not_here(&self, word: &Word, words: &Words<'_>, cx: &mut LineCx<'_>) -> Result<(), Diag> {
        let second = words.peek_second().map_or("", |word| word.text.as_str());
        match known::ignored(&format!("{} {second}", word.text), word, cx.place) {
            Some(notice) => {
                cx.say(notice);
                Ok(())
            }
            None => Err(self.unknown(word, words, cx)),
        }
    }

    /// A line like `option contstats`: its first word has rows, the second may be passed over.
    fn second_ignored(&self, start: &Words<'_>, cx: &LineCx<'_>) -> Option<Diag> {
        let mut words = start.clone();
        prefix(&mut words);
        let (first, second) = (words.peek()?, words.peek_second()?);
        let both = format!("{} {}", first.text, second.text);
        let here = |row: &&'static Keyword<D>| row.kw == both;
        if self.rows.get(first.text.as_str())?.iter().any(here) {
            return None;
        }
        known::ignored(&both, &Word { text: both.clone(), at: first.at.to(second.at) }, cx.place)
    }

    fn unknown(&self, word: &Word, words: &Words<'_>, cx: &LineCx<'_>) -> Diag {
        let second = words.peek_second().map_or("", |word| word.text.as_str());
        let both = format!("{} {second}", word.text);
        if let Some(diag) =
            known::later(&both, word, cx.place).or_else(|| known::later(&word.text, word, cx.place))
        {
            return diag;
        }
        let what = match cx.place.meets(Places::SECTIONS) {
            true => format!("unknown keyword \"{}\" in {}", word.text, cx.place_text()),
            false => format!("unknown option \"{}\" of {}", word.text, cx.place_text()),
        };
        let diag = word.err(what);
        let own = self.keywords(cx.place).chain(known::words(cx.place));
        // A section line with a typing error looks like a keyword of the section before it.
        let sections: &[(&str, ast::Kind, ast::Naming)] =
            if cx.place.meets(Places::SECTIONS) { ast::SECTIONS } else { &[] };
        match suggest::did_you_mean(&word.text, own.chain(sections.iter().map(|(kw, ..)| *kw))) {
            Some(help) => diag.help(help),
            None => diag,
        }
    }
}

/// A keyword with a row that does not belong here. What one half of a proxy cannot use is only warned about,
/// as files of HAProxy have it; servers and what `defaults` cannot hold are errors.
fn misplaced(
    kw: &str,
    within: Places,
    at: Span,
    words: &mut Words<'_>,
    cx: &mut LineCx<'_>,
) -> Result<(), Diag> {
    let half = cx.place.meets(Places::NO_DEFAULTS) && within.meets(Places::NO_DEFAULTS);
    if half && !matches!(kw, "server" | "default-server" | "acl") {
        let diag = Diag::warning(at, format!("\"{kw}\" has no effect in {}", cx.place_text()));
        cx.say(diag.help(format!("it belongs in {}", suggest::list_of(&within.names()))));
        words.rest();
        return Ok(());
    }
    let diag = Diag::alert(at, format!("\"{kw}\" is not allowed in {}", cx.place_text()));
    Err(diag.help(format!("it belongs in {}", suggest::list_of(&within.names()))))
}

/// Takes `no` or `default` when a keyword follows it.
fn prefix(words: &mut Words<'_>) -> Prefix {
    if words.peek_second().is_none() {
        return Prefix::None;
    }
    match words.peek_text() {
        "no" => {
            words.next();
            Prefix::No
        }
        "default" => {
            words.next();
            Prefix::Default
        }
        _ => Prefix::None,
    }
}
