//! Sections and their lines: the shape of a configuration before any keyword has a meaning. Made once
//! per load from all sources; the driver walks it.
//!
//! Conditional blocks and variables are resolved here, in reading order.

use std::sync::Arc;

use super::about;
use super::env::Env;
use crate::lang::cond::{self, Answers, Blocks};
use crate::lang::diag::{Diag, Diags, Level};
use crate::lang::lexer;
use crate::lang::span::{Source, SourceMap, Span};
use crate::lang::suggest;
use crate::lang::word::{Word, Words};

/// One line with at least one word.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its words, the keyword first.
    pub words: Vec<Word>,
}

impl Line {
    /// Where the line begins.
    pub fn at(&self) -> Span {
        self.words.first().map_or(Span::NONE, |word| word.at)
    }

    /// From the first word to the last.
    pub fn span(&self) -> Span {
        self.words.last().map_or(Span::NONE, |last| self.at().to(last.at))
    }

    /// A cursor over its words.
    pub fn cursor(&self) -> Words<'_> {
        Words::on_line(&self.words, self.at())
    }
}

/// What a section is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `global`.
    Global,
    /// `defaults`.
    Defaults,
    /// `frontend`.
    Frontend,
    /// `listen`.
    Listen,
    /// `backend`.
    Backend,
    /// `crt-store`.
    CrtStore,
    /// `http-errors`.
    HttpErrors,
    /// `userlist`.
    Userlist,
    /// A section of HAProxy that is known and not built yet: its lines are passed over.
    Later,
}

/// One section.
#[derive(Clone, Debug)]
pub struct Section {
    /// What it is.
    pub kind: Kind,
    /// Its first line.
    pub head: Arc<Line>,
    /// Its name, if one was given.
    pub name: Option<Word>,
    /// `from <defaults>`.
    pub from: Option<Word>,
    /// Its lines.
    pub lines: Vec<Arc<Line>>,
}

/// All sections in reading order.
#[derive(Clone, Debug, Default)]
pub struct Ast {
    /// The sections.
    pub sections: Vec<Section>,
}

/// Section words with what they are, and whether a name must follow.
pub const SECTIONS: &[(&str, Kind, Naming)] = &[
    ("backend", Kind::Backend, Naming::Needed),
    ("crt-store", Kind::CrtStore, Naming::Optional),
    ("defaults", Kind::Defaults, Naming::Optional),
    ("frontend", Kind::Frontend, Naming::Needed),
    ("global", Kind::Global, Naming::None),
    ("http-errors", Kind::HttpErrors, Naming::Needed),
    ("listen", Kind::Listen, Naming::Needed),
    ("userlist", Kind::Userlist, Naming::Needed),
];

/// Section words of HAProxy that are not built yet.
pub const LATER: &[&str] = &[
    "acme",
    "cache",
    "dynamic-update",
    "fcgi-app",
    "healthcheck",
    "log-forward",
    "log-profile",
    "mailers",
    "namespace_list",
    "peers",
    "program",
    "resolvers",
    "ring",
    "traces",
];

/// Whether a section has a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Naming {
    /// Never.
    None,
    /// It may have one.
    Optional,
    /// It must have one.
    Needed,
}

/// Cuts all sources into sections. Errors go to `diags`; what could be read is returned all the same.
pub fn parse(sources: &SourceMap, env: &mut Env, diags: &mut Diags) -> Ast {
    let mut parser =
        Parser { env, diags, ast: Ast::default(), blocks: Blocks::default(), file: "", lost: false };
    for (file, source) in sources.iter() {
        parser.source(file, source);
    }
    parser.ast
}

struct Parser<'a> {
    env: &'a mut Env,
    diags: &'a mut Diags,
    ast: Ast,
    blocks: Blocks,
    file: &'a str,
    /// A line before any section, or within one that could not be read, was already complained about.
    lost: bool,
}

impl<'a> Parser<'a> {
    fn source(&mut self, file: u32, source: &'a Source) {
        self.file = &source.name;
        let count = source.line_count();
        let mut number = 1;
        while number <= count && !self.diags.is_full() {
            number += self.line(file, source, number).unwrap_or_else(|diag| {
                self.diags.push(diag);
                1
            });
        }
        if let Err(diag) = self.blocks.end() {
            self.diags.push(diag);
        }
        if !source.text.is_empty() && !source.text.ends_with(b"\n") {
            let last = source.line(count).map_or(0, |line| line.len());
            let at = Span { file, line: count, col: last as u32 + 1, len: 1 };
            let diag = Diag::alert(at, "the last line has no line end, the file may have been cut short");
            self.diags.push(diag.help("end the file with a line feed"));
        }
    }

    /// One logical line; returns how many lines of the file it took.
    fn line(&mut self, file: u32, source: &Source, number: u32) -> Result<u32, Diag> {
        let text = source.line(number).unwrap_or(b"");
        let indent = text.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        match text.get(indent) {
            None | Some(b'#') => return Ok(1),
            Some(b'.') => return self.directive(file, source, number, indent).map(|()| 1),
            Some(_) => {}
        }
        if !self.blocks.live() {
            return Ok(1);
        }
        let section = self.section_name();
        let cut = {
            let vars = |name: &str| self.var(name, number, &section);
            lexer::cut(source, file, number, &vars)?
        };
        if !cut.words.is_empty() {
            self.words(cut.words)?;
        }
        Ok(cut.lines)
    }

    fn section_name(&self) -> String {
        let Some(section) = self.ast.sections.last() else { return String::new() };
        let word = section.name.as_ref().or(section.head.words.first());
        word.map_or(String::new(), |word| word.text.clone())
    }

    fn var(&self, name: &str, line: u32, section: &str) -> Option<String> {
        match name {
            ".FILE" => Some(self.file.to_string()),
            ".LINE" => Some(line.to_string()),
            ".SECTION" => Some(section.to_string()),
            _ => self.env.var(name),
        }
    }

    fn words(&mut self, words: Vec<Word>) -> Result<(), Diag> {
        let first = &words[0];
        if let Some((_, kind, naming)) = SECTIONS.iter().find(|(kw, _, _)| first.is(kw)) {
            self.lost = false;
            return self.section(words, *kind, *naming);
        }
        if LATER.contains(&first.text.as_str()) {
            let diag = first.err(format!("section \"{}\" is known, not supported yet", first.text));
            self.push_section(Kind::Later, words, None, None);
            return Err(diag);
        }
        if let Some(section) = self.ast.sections.last_mut() {
            let line = Arc::new(Line { words });
            if section.kind == Kind::Global {
                environment(&line, self.env);
            }
            section.lines.push(line);
            return Ok(());
        }
        if std::mem::replace(&mut self.lost, true) {
            return Ok(());
        }
        let known = SECTIONS.iter().map(|(kw, _, _)| *kw);
        let diag = first.err(format!("\"{}\" stands before any section", first.text));
        Err(match suggest::did_you_mean(&first.text, known) {
            Some(help) => diag.help(help),
            None => diag.help("begin with \"global\", \"defaults\", \"frontend\", \"backend\" or \"listen\""),
        })
    }

    fn section(&mut self, words: Vec<Word>, kind: Kind, naming: Naming) -> Result<(), Diag> {
        let mut cursor = Words::new(&words);
        let kw = cursor.need("section")?.text.clone();
        let (name, from, rest) = match section_head(&mut cursor, &kw, naming) {
            Ok(head) => head,
            Err(diag) => {
                // The lines that follow still belong to something: they are read, for their own errors.
                self.push_section(kind, words, None, None);
                return Err(diag);
            }
        };
        self.push_section(kind, words.clone(), name, from);
        // HAProxy 1.5 took addresses on the section line.
        let addresses: Vec<Word> = rest.to_vec();
        if let (false, Some(section)) = (addresses.is_empty(), self.ast.sections.last_mut()) {
            let mut line = vec![Word { text: "bind".into(), at: addresses[0].at }];
            line.extend(addresses);
            section.lines.push(Arc::new(Line { words: line }));
        }
        Ok(())
    }

    fn push_section(&mut self, kind: Kind, words: Vec<Word>, name: Option<Word>, from: Option<Word>) {
        let head = Arc::new(Line { words });
        self.ast.sections.push(Section { kind, head, name, from, lines: Vec::new() });
    }

    fn directive(&mut self, file: u32, source: &Source, number: u32, indent: usize) -> Result<(), Diag> {
        let text = source.line(number).unwrap_or(b"");
        let tail = text.get(indent..).unwrap_or(b"");
        let len = tail.iter().take_while(|byte| !byte.is_ascii_whitespace() && **byte != b'#').count();
        let name = String::from_utf8_lossy(&tail[..len]).into_owned();
        let at = Span { file, line: number, col: indent as u32 + 1, len: len as u32 };
        let section = self.section_name();
        let mut blocks = std::mem::take(&mut self.blocks);
        let vars = |name: &str| self.var(name, number, &section);
        let ask = || {
            let word = lexer::cut_rest(source, file, number, indent + len, &vars)?;
            let features = about::features();
            cond::eval(&word, &answers(&vars, &features))
        };
        let outcome = match name.as_str() {
            ".if" => blocks.open(at, ask),
            ".elif" => blocks.elif(at, ask),
            ".else" => blocks.other(at),
            ".endif" => blocks.close(at),
            _ => match level_of(&name) {
                None => Err(unknown_directive(&name, at)),
                Some(_) if !blocks.live() => Ok(()),
                Some(level) => {
                    lexer::cut(source, file, number, &vars).and_then(|cut| message(&cut.words, level))
                }
            },
        };
        let extra = match name.as_str() {
            ".else" | ".endif" => lexer::cut(source, file, number, &vars).ok().and_then(|cut| {
                cut.words.get(1).map(|word| word.err(format!("\"{name}\" takes no argument")))
            }),
            _ => None,
        };
        self.blocks = blocks;
        match (outcome, extra) {
            (Err(diag), _) | (Ok(()), Some(diag)) => Err(diag),
            (Ok(()), None) => Ok(()),
        }
    }
}

/// What conditions may ask, for variables and features found by the caller.
pub fn answers<'a>(vars: lexer::Vars<'a>, features: &'a [&'a str]) -> Answers<'a> {
    Answers {
        vars,
        features,
        enabled: about::ENABLED,
        language: about::LANGUAGE,
        openssl_number: about::openssl_number(),
        ssl_library: about::ssl_library(),
        awslc_api: about::awslc_api(),
        fips: about::fips(),
    }
}

type Head<'w> = (Option<Word>, Option<Word>, &'w [Word]);

/// Name, `from`, and what is left of a section line.
fn section_head<'w>(cursor: &mut Words<'w>, kw: &str, naming: Naming) -> Result<Head<'w>, Diag> {
    let mut name = None;
    let named = naming == Naming::Needed
        || (naming == Naming::Optional && !matches!(cursor.peek_text(), "" | "from"));
    if named {
        let word = cursor.need("name")?;
        if let Some(bad) = word.text.find(|c: char| !(c.is_ascii_alphanumeric() || "_-.:".contains(c))) {
            let what = "a name is made of letters, digits and \"-\", \"_\", \".\", \":\"";
            return Err(word.err_at(bad, 1, what));
        }
        if word.text.is_empty() {
            return Err(word.err("the name is empty"));
        }
        name = Some(word.clone());
    }
    let mut from = None;
    if naming != Naming::None && cursor.eat("from") {
        from = Some(cursor.need("name of a \"defaults\" section")?.clone());
    }
    let addresses = match (kw, cursor.peek()) {
        ("frontend" | "listen", Some(word)) if word.text.contains(':') || word.text.starts_with('/') => {
            cursor.rest()
        }
        _ => {
            cursor.done()?;
            &[]
        }
    };
    Ok((name, from, addresses))
}

fn level_of(directive: &str) -> Option<Level> {
    match directive {
        ".diag" => Some(Level::Info),
        ".notice" => Some(Level::Notice),
        ".warning" => Some(Level::Warning),
        ".alert" => Some(Level::Alert),
        _ => None,
    }
}

/// A message the file itself asks for; it is an error only in being passed on.
fn message(words: &[Word], level: Level) -> Result<(), Diag> {
    if let Some(extra) = words.get(2) {
        let diag = extra.err(format!("unexpected word \"{}\"", extra.text));
        return Err(diag.help("put the message in quotes if it has blanks"));
    }
    let text = words.get(1).or(words.first());
    match text {
        Some(word) => Err(word.diag(level, if words.len() > 1 { word.text.clone() } else { String::new() })),
        None => Ok(()),
    }
}

fn unknown_directive(name: &str, at: Span) -> Diag {
    const ALL: &[&str] = &[".if", ".elif", ".else", ".endif", ".diag", ".notice", ".warning", ".alert"];
    let diag = Diag::alert(at, format!("unknown directive \"{name}\""));
    match suggest::did_you_mean(name, ALL.iter().copied()) {
        Some(help) => diag.help(help),
        None => diag.help(format!("directives are {}", suggest::list_of(ALL))),
    }
}

/// `setenv` and its family count for the lines that follow, so they act while lines are read. Their
/// arguments are judged later, by their rows.
fn environment(line: &Line, env: &mut Env) {
    let words: Vec<&str> = line.words.iter().map(|word| word.text.as_str()).collect();
    match words.as_slice() {
        ["setenv", name, value] => env.set(name, value),
        ["presetenv", name, value] => env.preset(name, value),
        ["unsetenv", names @ ..] => names.iter().for_each(|name| env.unset(name)),
        ["resetenv", names @ ..] => env.keep_only(names),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_text(text: &str) -> (Ast, Diags) {
        let mut map = SourceMap::new();
        map.add("t.cfg", text);
        let mut diags = Diags::new();
        let ast = parse(&map, &mut Env::empty(), &mut diags);
        (ast, diags)
    }

    #[test]
    fn sections_have_kind_name_and_origin() {
        let (ast, diags) = parse_text(
            "global\n maxconn 1\ndefaults d\ndefaults\nfrontend f from d\n bind :1\nlisten l :80 ssl\n",
        );
        assert!(diags.is_empty(), "{diags:?}");
        let kinds: Vec<_> = ast
            .sections
            .iter()
            .map(|s| (s.kind, s.name.as_ref().map(|w| w.text.clone()), s.from.is_some(), s.lines.len()))
            .collect();
        let name = |text: &str| Some(text.to_string());
        assert_eq!(
            kinds,
            [
                (Kind::Global, None, false, 1),
                (Kind::Defaults, name("d"), false, 0),
                (Kind::Defaults, None, false, 0),
                (Kind::Frontend, name("f"), true, 1),
                (Kind::Listen, name("l"), false, 1),
            ]
        );
        let words: Vec<_> = ast.sections[4].lines[0].words.iter().map(|w| w.text.clone()).collect();
        assert_eq!(words, ["bind", ":80", "ssl"]);
    }

    #[test]
    fn conditions_choose_lines_and_variables_count_from_their_line_on() {
        let (ast, diags) = parse_text(
            "global\n setenv A yes\n.if streq(\"$A\",yes)\n log \"$A\" \"${.LINE}\" \"${.SECTION}\"\n.else\n broken \"\n.endif\n unsetenv A\n.if defined(A)\n x\n.endif\n",
        );
        assert!(diags.is_empty(), "{diags:?}");
        let lines: Vec<String> = ast.sections[0]
            .lines
            .iter()
            .map(|line| line.words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(lines, ["setenv A yes", "log yes 4 global", "unsetenv A"]);
    }

    #[test]
    fn errors_are_collected_and_bounded() {
        let table = [
            ("foo\nbar\n", "\"foo\" stands before any section"),
            ("frontend\n", "missing name after \"frontend\""),
            ("frontend a b\n", "unexpected word \"b\""),
            ("backend a/b\n", "a name is made of letters, digits and \"-\", \"_\", \".\", \":\""),
            ("global x\n", "unexpected word \"x\""),
            ("cache c\n total 4\n", "section \"cache\" is known, not supported yet"),
            (".fi\n", "unknown directive \".fi\""),
            (".if 1\n", "\".if\" without \".endif\""),
            (".alert \"x y\"\n", "x y"),
            (".notice a b\n", "unexpected word \"b\""),
            ("global", "the last line has no line end, the file may have been cut short"),
        ];
        for (text, expected) in table {
            let (_, diags) = parse_text(text);
            let what: Vec<_> = diags.iter().map(|diag| diag.what.as_str()).collect();
            assert_eq!(what, [expected], "{text}");
        }
        let (_, diags) = parse_text(&"\"\n".repeat(100_000));
        assert!(diags.len() < 100);
    }
}
