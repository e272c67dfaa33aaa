//! The conventions of the house as tests: order of the floors, sizes, words that must not appear,
//! documentation that must. Every complaint says where and how to mend it. The last test proves that each
//! check can fail.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What a module of `src/` may import besides the floors below its own.
struct Floor {
    name: &'static str,
    level: u8,
    /// Neighbours on the same floor that may be imported all the same.
    also: &'static [&'static str],
    /// When given, the whole list of what may be imported, instead of "everything below".
    only: Option<&'static [&'static str]>,
}

const fn floor(name: &'static str, level: u8) -> Floor {
    Floor { name, level, also: &[], only: None }
}

const FLOORS: &[Floor] = &[
    floor("sys", 0),
    floor("wire", 0),
    Floor { only: Some(&["sys"]), ..floor("base", 1) },
    Floor { only: Some(&["base"]), ..floor("lang", 2) },
    Floor { only: Some(&["base", "sys"]), ..floor("event", 2) },
    Floor { only: Some(&["base", "sys"]), ..floor("shm", 2) },
    Floor { only: Some(&["base", "wire"]), ..floor("msg", 2) },
    floor("expr", 3),
    floor("plan", 4),
    Floor { also: &["plan"], ..floor("act", 4) },
    Floor { also: &["plan"], ..floor("balance", 4) },
    floor("conf", 5),
    floor("cx", 5),
    floor("net", 6),
    floor("stream", 7),
    floor("service", 8),
    floor("worker", 9),
    Floor { also: &["worker"], ..floor("master", 9) },
];

/// Inside `src/net`: what stands later may import what stands earlier.
const NET_ORDER: &[&str] = &["sock", "tls", "transport", "mux", "conn"];

/// The faces that speak to a person on a terminal.
const PRINTERS: &[&str] = &["src/main.rs", "src/args.rs", "src/args/", "contrib/"];

/// Longest file, without its test module.
const FILE_LINES: usize = 900;
/// Longest function.
const FN_LINES: usize = 100;
/// Longest function of a `mod.rs`, which declares, documents, holds a type that is the face of its floor and passes
/// calls on, but no logic.
const MOD_FN_LINES: usize = 50;

/// A Rust file, and the same with comments and the inside of strings blanked out.
struct Source {
    path: String,
    lines: Vec<String>,
    code: Vec<String>,
    /// Lines of test modules (`#[cfg(test)] mod ..`), or all of a file of tests.
    test: Vec<bool>,
}

type Check = fn(&Source, &mut Vec<String>);

/// Checks of one file each, by name, with a path and a text that the check must refuse.
const CHECKS: &[(&str, Check, &str, &str)] = &[
    ("floors", floors, "src/base/x.rs", "//! X.\nuse crate::net::conn::Conn;\n"),
    ("floors", floors, "src/act/x.rs", "//! X.\nuse crate::{plan::Plan, balance::Row};\n"),
    ("floors", floors, "src/net/sock/x.rs", "//! X.\nuse crate::net::conn::Conn;\n"),
    ("floors", floors, "src/lang/x.rs", "//! X.\nuse lighterman_sys::map;\n"),
    ("pure_codecs", pure_codecs, "src/wire/x.rs", "//! X.\nuse std::net::TcpStream;\n"),
    ("head", head, "src/base/x.rs", "use std::io;\n"),
    (
        "size",
        size,
        "src/base/mod.rs",
        concat!(
            "//! X.\nfn a() {\n",
            "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
            "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n}\n"
        ),
    ),
    ("unwrap", unwrap, "src/base/x.rs", "//! X.\nfn a(b: Option<u8>) -> u8 {\n    b.unwrap()\n}\n"),
    ("unwrap", unwrap, "src/base/x.rs", "//! X.\nfn a(b: Option<u8>) -> u8 {\n    b.expect(\"x\")\n}\n"),
    ("cellar", cellar, "src/base/x.rs", "//! X.\nfn a() { unsafe { b() } }\n"),
    ("allow", allow, "src/base/x.rs", "//! X.\n#[allow(dead_code)]\nfn a() {}\n"),
    ("words", words, "src/base/x.rs", "//! X.\nuse std::rc::Rc;\n"),
    ("words", words, "src/base/x.rs", "//! X.\nfn a() { println!(\"x\"); }\n"),
    ("words", words, "src/net/x.rs", "//! X.\nfn a() { Instant::now(); }\n"),
    ("words", words, "src/net/x.rs", "//! X.\nfn get_a() {}\n"),
    ("words", words, "tests/it/x.rs", "//! X.\nfn a() { thread::sleep(b); }\n"),
    ("comments", comments, "src/net/x.rs", "//! X.\n// TODO: think.\n"),
];

fn check(name: &str) {
    let (_, run, ..) = CHECKS.iter().find(|c| c.0 == name).expect("a row of CHECKS");
    let mut wrong = Vec::new();
    for source in sources() {
        run(&source, &mut wrong);
    }
    complain(wrong);
}

fn complain(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "\n\n{}\n\n{} to mend\n", wrong.join("\n"), wrong.len());
}

#[test]
fn a_lower_floor_never_imports_a_higher_one() {
    check("floors");
}

#[test]
fn codecs_know_no_socket_no_clock_no_log() {
    check("pure_codecs");
}

#[test]
fn every_file_opens_with_what_it_is() {
    check("head");
}

#[test]
fn files_and_functions_stay_small() {
    check("size");
}

#[test]
fn nothing_is_unwrapped_without_its_invariant() {
    check("unwrap");
}

#[test]
fn unsafe_stays_in_the_cellar() {
    check("cellar");
}

#[test]
fn exceptions_from_lints_say_why() {
    check("allow");
}

#[test]
fn banned_words_do_not_appear() {
    check("words");
}

#[test]
fn comments_leave_nothing_for_later() {
    check("comments");
}

#[test]
fn every_check_can_fail() {
    for (name, run, path, text) in CHECKS {
        let mut wrong = Vec::new();
        run(&Source::new(path.to_string(), text), &mut wrong);
        assert!(!wrong.is_empty(), "the check `{name}` lets this pass:\n{text}");
    }
}

#[test]
fn the_scanner_tells_code_from_text() {
    let text = "let a = \"unsafe // x\"; // unsafe\nlet b = 'x'; let c: &'static str = r#\"unsafe \" {\"#; /* unsafe\n{ */ let d = b'\\'';\n";
    let source = Source::new("src/base/x.rs".into(), text);
    assert!(source.code.iter().all(|l| !l.contains("unsafe") && !l.contains('{')), "{:?}", source.code);
    assert!(source.code[0].contains("let a = \"") && source.code[2].contains("let d ="));
}

#[test]
fn every_source_file_is_reachable() {
    let all: BTreeMap<String, Source> = sources().map(|s| (s.path.clone(), s)).collect();
    let mut wrong = Vec::new();
    for path in all.keys().filter(|p| p.starts_with("src/")) {
        let file = Path::new(path);
        let (stem, dir) = (file.file_stem().unwrap().to_str().unwrap(), file.parent().unwrap());
        if matches!(stem, "lib" | "main") {
            continue;
        }
        let (name, home) = if stem == "mod" {
            (dir.file_name().unwrap().to_str().unwrap(), dir.parent().unwrap())
        } else {
            (stem, dir)
        };
        let parents =
            [home.join("mod.rs"), home.join("lib.rs"), home.join("main.rs"), home.with_extension("rs")];
        let declared = format!("mod {name};");
        let found = parents.iter().filter_map(|p| all.get(p.to_str().unwrap())).any(|s| {
            s.code.iter().any(|l| l.trim() == declared || l.trim().ends_with(&format!(" {declared}")))
        });
        if !found {
            wrong.push(format!(
                "{path}: no `{declared}` in {}/mod.rs: declare it or remove the file",
                home.display()
            ));
        }
    }
    complain(wrong);
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let marks = [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/ro", "ot/")];
    let mut wrong = Vec::new();
    for path in files(&["src", "contrib", "tests", "doc", "README.md", "CHANGELOG.md", "Makefile"]) {
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        for (at, line) in text.lines().enumerate() {
            if marks.iter().any(|m| line.contains(m)) {
                wrong.push(format!("{path}:{}: a path of one machine: take it out: {}", at + 1, line.trim()));
            }
        }
    }
    complain(wrong);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut wrong = Vec::new();
    for path in files(&["doc", "README.md", "CHANGELOG.md"]).into_iter().filter(|p| p.ends_with(".md")) {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        let home = Path::new(&path).parent().unwrap();
        for link in text.split("](").skip(1).filter_map(|s| s.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            if !root().join(home).join(target).exists() {
                wrong.push(format!("{path}: link to `{target}`, which does not exist: mend the link"));
            }
        }
    }
    complain(wrong);
}

/// The parsers that read what others send: each has a fuzz target, seeds, and a test that replays them.
const FUZZED: &[&str] = &["h1_head", "chunk", "proxy_header", "conf_text", "cli_line"];

#[test]
fn fuzz_targets_have_seeds_that_every_test_run_replays() {
    let all = files(&["tests/fuzz", "src"]);
    let code: String = sources().filter(|s| s.path.starts_with("src/")).map(|s| s.lines.join("\n")).collect();
    let targets = all.iter().filter_map(|p| p.strip_prefix("tests/fuzz/")?.strip_suffix(".rs"));
    let mut names: Vec<&str> = targets.chain(FUZZED.iter().copied()).collect();
    names.sort_unstable();
    names.dedup();
    let mut wrong = Vec::new();
    for name in names {
        let target = format!("tests/fuzz/{name}.rs");
        let seeds = format!("tests/fuzz/corpus/{name}");
        if !all.contains(&target) {
            wrong
                .push(format!("{target}: missing: a target that calls the parser's `pub fn fuzz_..(&[u8])`"));
        }
        if !all.iter().any(|p| p.starts_with(&format!("{seeds}/"))) {
            wrong.push(format!("{seeds}: no seeds: add a few small inputs, good and bad"));
        }
        if !code.contains(&seeds) && !code.contains(&format!("\"{name}\"")) {
            wrong.push(format!("{seeds}: no test in src replays it"));
        }
    }
    complain(wrong);
}

#[test]
fn every_command_is_documented_once() {
    let mut wrong = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for row in lighterman::service::cli::FAMILIES.iter().copied().flatten() {
        let name = row.path.join(" ");
        if row.doc.brief.is_empty() || row.doc.usage.is_empty() {
            wrong.push(format!("command `{name}`: no usage or no brief in its row"));
        }
        if !row.doc.usage.starts_with(&name) {
            wrong.push(format!(
                "command `{name}`: its usage does not begin with its words: {}",
                row.doc.usage
            ));
        }
        if !seen.insert(name.clone()) {
            wrong.push(format!("command `{name}` has two rows"));
        }
    }
    complain(wrong);
}

/// A file may import what its floor allows; `crate::` paths anywhere in the code count.
fn floors(source: &Source, wrong: &mut Vec<String>) {
    let Some(mine) = source.path.strip_prefix("src/").and_then(|p| p.split(['/', '.']).next()) else {
        return;
    };
    let Some(own) = FLOORS.iter().find(|f| f.name == mine) else { return };
    if own.level == 0 {
        return; // crates of their own: their Cargo.toml says it
    }
    let code = source.code.join("\n");
    for (at, path) in imports(&code) {
        let mut parts = path.split("::");
        let name = parts.next().unwrap_or_default();
        let Some(other) = FLOORS.iter().find(|f| f.name == name) else { continue };
        let line = code[..at].matches('\n').count() + 1;
        let fine = match own.only {
            _ if other.name == own.name => net_order(&source.path, &path),
            Some(list) => list.contains(&other.name),
            None => other.level < own.level || own.also.contains(&other.name),
        };
        if !fine {
            wrong.push(format!(
                "{}:{line}: `{mine}` (floor {}) may not use `{path}` ({}): move the type down, or wake the floor above instead",
                source.path,
                own.level,
                if other.name == own.name { "order inside net".into() } else { format!("floor {}", other.level) },
            ));
        }
    }
}

/// Is this import of one part of `net` by another in the order of the floor?
fn net_order(importer: &str, path: &str) -> bool {
    let rank = |name: &str| NET_ORDER.iter().position(|n| *n == name);
    let Some(part) = importer.strip_prefix("src/net/").and_then(|p| p.split(['/', '.']).next()) else {
        return true;
    };
    match (rank(part), path.split("::").nth(1).and_then(rank)) {
        (Some(mine), Some(theirs)) => theirs <= mine,
        _ => true,
    }
}

/// `crate::a::b`, `use crate::{a::b, c}`, `lighterman_sys::..` as (offset, "a::b").
fn imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (mark, prefix) in [("crate::", ""), ("lighterman_sys", "sys"), ("lighterman_wire", "wire")] {
        for (at, _) in code.match_indices(mark) {
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let rest = &code[at + mark.len()..];
            if !prefix.is_empty() {
                found.push((at, prefix.to_string()));
            } else if let Some(list) = rest.strip_prefix('{') {
                found.extend(group(list).into_iter().map(|p| (at, p)));
            } else {
                found.push((at, path_at(rest)));
            }
        }
    }
    found
}

/// The members of `{a::b, c::{d, e}}` after its opening brace: their paths up to an inner brace.
fn group(list: &str) -> Vec<String> {
    let (mut depth, mut start, mut members) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                members.push(path_at(list[start..at].trim()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    members
}

fn path_at(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect()
}

fn pure_codecs(source: &Source, wrong: &mut Vec<String>) {
    if !source.path.starts_with("src/wire/") {
        return;
    }
    for word in
        ["std::time", "std::fs", "std::env", "TcpStream", "UnixStream", "UdpSocket", "log::", "std::process"]
    {
        for line in source.find(word, Where::OutsideTests) {
            wrong.push(format!(
                "{line}: `{word}` in a codec: bytes in, values out; hand the value in from above"
            ));
        }
    }
}

fn head(source: &Source, wrong: &mut Vec<String>) {
    if !source.lines.first().is_some_and(|l| l.starts_with("//! ")) {
        wrong.push(format!("{}:1: open with `//!`: what it is, who calls it, its invariants", source.path));
    }
}

fn size(source: &Source, wrong: &mut Vec<String>) {
    let lines = if source.path.ends_with("tests.rs") || source.path.starts_with("tests/") {
        source.lines.len()
    } else {
        source.test.iter().filter(|t| !**t).count()
    };
    if lines > FILE_LINES {
        wrong.push(format!(
            "{}: {lines} lines, at most {FILE_LINES}: split it by what its parts are for",
            source.path
        ));
    }
    let limit = if source.path.ends_with("/mod.rs") { MOD_FN_LINES } else { FN_LINES };
    for (name, first, last) in source.functions() {
        let lines = last - first + 1;
        if lines > limit && !(source.test[first] && lines <= FN_LINES) {
            let how = if limit == MOD_FN_LINES {
                "a mod.rs holds no logic: move it to a file"
            } else {
                "take its leaves out"
            };
            wrong.push(format!(
                "{}:{}: fn {name} has {lines} lines, at most {limit}: {how}",
                source.path,
                first + 1
            ));
        }
    }
}

fn unwrap(source: &Source, wrong: &mut Vec<String>) {
    if !source.path.starts_with("src/") {
        return;
    }
    for word in [".unwrap()", ".expect(\"", "panic!(", "unreachable!(", "todo!(", "unimplemented!("] {
        for at in source.lines_with(word, Where::OutsideTests) {
            if !source.explained(at, "invariant:") {
                wrong.push(format!(
                    "{}:{}: `{word}`: handle it, or say above it why it cannot happen with `// invariant: ..`",
                    source.path,
                    at + 1
                ));
            }
        }
    }
}

fn cellar(source: &Source, wrong: &mut Vec<String>) {
    if source.path.starts_with("src/sys/") {
        return;
    }
    for line in source.find("unsafe", Where::Everywhere) {
        wrong.push(format!("{line}: `unsafe` outside src/sys: give it a safe face there"));
    }
}

fn allow(source: &Source, wrong: &mut Vec<String>) {
    for (at, line) in source.code.iter().enumerate() {
        let Some(start) = line.find("#[").or_else(|| line.find("#![")) else { continue };
        if !["allow(", "expect("].iter().any(|w| line[start..].contains(w)) {
            continue;
        }
        let whole = source.code[at..]
            .iter()
            .take(12)
            .scan(false, |done, l| (!std::mem::replace(done, l.contains(")]"))).then_some(l.as_str()));
        let reason = whole.into_iter().any(|l| l.contains("reason ="));
        let beside = source.lines[at].len() > line.trim_end().len() && source.lines[at].contains("//");
        if !reason && !beside {
            wrong.push(format!(
                "{}:{}: an exception without `reason = \"..\"`: say why",
                source.path,
                at + 1
            ));
        }
    }
}

fn words(source: &Source, wrong: &mut Vec<String>) {
    let src = source.path.starts_with("src/");
    let prints = PRINTERS.iter().any(|p| source.path.starts_with(p));
    let clock = source.path == "src/base/tick.rs";
    let banned: &[(&str, bool, &str)] = &[
        ("RefCell", src, "borrow from the arenas instead"),
        ("Rc", src, "an id of an arena, or Arc for what outlives a plan"),
        ("println!", src && !prints, "return the text to the face that prints it"),
        ("eprintln!", src && !prints, "log it, or return it to the face that prints it"),
        ("print!", src && !prints, "return the text to the face that prints it"),
        ("dbg!", true, "remove it"),
        ("Instant::now", src && !clock, "take `now: Tick`"),
        ("SystemTime::now", src && !clock, "take `now: Tick`"),
        ("thread::sleep", src || source.path.starts_with("tests/it/"), "use a deadline"),
        ("#[ignore", true, "a test runs or it does not exist"),
    ];
    for (word, applies, instead) in banned {
        if *applies {
            let place = if matches!(*word, "thread::sleep" | "dbg!" | "#[ignore") {
                Where::Everywhere
            } else {
                Where::OutsideTests
            };
            for line in source.find(word, place) {
                wrong.push(format!("{line}: `{word}`: {instead}"));
            }
        }
    }
    if src {
        for (name, first, _) in source.functions() {
            if let Some(short) = name.strip_prefix("get_").filter(|s| *s != "mut") {
                wrong.push(format!("{}:{}: fn {name}: call it `{short}`", source.path, first + 1));
            }
        }
    }
}

fn comments(source: &Source, wrong: &mut Vec<String>) {
    for (at, (line, code)) in source.lines.iter().zip(&source.code).enumerate() {
        for word in [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("HA", "CK")] {
            if has_word(line, word) && !has_word(code, word) && line.contains("//") {
                wrong.push(format!(
                    "{}:{}: {word}: do it, or write it into the issue tracker",
                    source.path,
                    at + 1
                ));
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Where {
    Everywhere,
    OutsideTests,
}

impl Source {
    fn new(path: String, text: &str) -> Source {
        let lines: Vec<String> = text.lines().map(String::from).collect();
        let code: Vec<String> = blank(text).lines().map(String::from).collect();
        let all_test = path.ends_with("/tests.rs") || path.contains("/tests/") || path.starts_with("tests/");
        let mut source = Source { path, test: vec![all_test; lines.len()], lines, code };
        let marks: Vec<usize> = (0..source.code.len())
            .filter(|i| source.code[*i].trim_start().starts_with("#[cfg(test)]"))
            .collect();
        for at in marks {
            let end = source.block_end(at).unwrap_or(at);
            source.test[at..=end].fill(true);
        }
        source
    }

    /// The line where the first block opened at or after `from` closes; the line of a `;` that comes before.
    fn block_end(&self, from: usize) -> Option<usize> {
        let (mut depth, mut inner) = (0usize, 0isize);
        for (at, line) in self.code.iter().enumerate().skip(from) {
            for c in line.chars() {
                match c {
                    '(' | '[' => inner += 1,
                    ')' | ']' => inner -= 1,
                    '{' => depth += 1,
                    '}' => {
                        depth = depth.saturating_sub(1);
                        if depth == 0 {
                            return Some(at);
                        }
                    }
                    ';' if depth == 0 && inner == 0 => return Some(at),
                    _ => {}
                }
            }
        }
        None
    }

    /// Functions with a body: name, first and last line (from 0).
    fn functions(&self) -> Vec<(String, usize, usize)> {
        let mut found = Vec::new();
        for (at, line) in self.code.iter().enumerate() {
            let Some(name) = line.split("fn ").nth(1).map(path_at).filter(|n| !n.is_empty()) else {
                continue;
            };
            if line
                .split("fn ")
                .next()
                .is_some_and(|b| b.ends_with(|c: char| c.is_alphanumeric() || c == '_'))
            {
                continue;
            }
            if let Some(end) = self.block_end(at) {
                found.push((name, at, end));
            }
        }
        found
    }

    fn lines_with(&self, word: &str, place: Where) -> Vec<usize> {
        (0..self.code.len())
            .filter(|i| place == Where::Everywhere || !self.test[*i])
            .filter(|i| has_word(&self.code[*i], word))
            .collect()
    }

    fn find(&self, word: &str, place: Where) -> Vec<String> {
        self.lines_with(word, place).into_iter().map(|i| format!("{}:{}", self.path, i + 1)).collect()
    }

    /// Is there a comment with `mark` on the line, or in the comments and the statement above it?
    fn explained(&self, at: usize, mark: &str) -> bool {
        (at.saturating_sub(8)..=at).rev().take_while(|i| *i == at || !ends_statement(&self.code[*i])).any(
            |i| {
                let line = &self.lines[i];
                line.find("//").is_some_and(|c| line[c..].contains(mark))
            },
        )
    }
}

fn ends_statement(code: &str) -> bool {
    code.trim_end().ends_with([';', '{', '}'])
}

/// `word` in `line`, not as a part of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    let named = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(named) && word.starts_with(named);
        let after = line[at + word.len()..].chars().next().is_some_and(named) && word.ends_with(named);
        !before && !after
    })
}

/// The text with comments, and what is inside string and character literals, turned to spaces.
fn blank(text: &str) -> String {
    let bytes: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match (bytes[at], bytes.get(at + 1)) {
            ('/', Some('/')) => scan(&bytes, at, |i| bytes[i] == '\n'),
            ('/', Some('*')) => block_comment(&bytes, at),
            ('r' | 'b', _) if !after_name(&bytes, at) && raw_string(&bytes, at).is_some() => {
                quoted(&mut out, &bytes, at, raw_string(&bytes, at).unwrap());
                at = raw_string(&bytes, at).unwrap();
                continue;
            }
            ('"', _) => {
                let end = (string_end(&bytes, at, '"')).min(bytes.len());
                quoted(&mut out, &bytes, at, end);
                at = end;
                continue;
            }
            ('\'', Some(next)) if *next == '\\' || bytes.get(at + 2) == Some(&'\'') => {
                string_end(&bytes, at, '\'')
            }
            (c, _) => {
                out.push(c);
                at += 1;
                continue;
            }
        };
        spaces(&mut out, &bytes[at..end.min(bytes.len())]);
        at = end;
    }
    out
}

fn spaces(out: &mut String, text: &[char]) {
    out.extend(text.iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
}

/// A literal as its two quotes with spaces between.
fn quoted(out: &mut String, text: &[char], from: usize, to: usize) {
    out.push('"');
    spaces(out, &text[from + 1..to - 1]);
    out.push('"');
}

fn after_name(text: &[char], at: usize) -> bool {
    at > 0 && (text[at - 1].is_alphanumeric() || text[at - 1] == '_')
}

fn scan(text: &[char], from: usize, stop: impl Fn(usize) -> bool) -> usize {
    (from..text.len()).find(|i| stop(*i)).unwrap_or(text.len())
}

fn block_comment(text: &[char], from: usize) -> usize {
    let (mut depth, mut at) = (0, from);
    while at + 1 < text.len() {
        match (text[at], text[at + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn string_end(text: &[char], from: usize, quote: char) -> usize {
    let mut at = from + 1;
    while at < text.len() {
        match text[at] {
            '\\' => at += 2,
            c if c == quote => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// The end of a raw string that starts here (`r".."`, `br#".."#`), if one does.
fn raw_string(text: &[char], from: usize) -> Option<usize> {
    let mut at = from + usize::from(text[from] == 'b');
    if text.get(at) != Some(&'r') {
        return None;
    }
    at += 1;
    let hashes = text[at..].iter().take_while(|c| **c == '#').count();
    if text.get(at + hashes) != Some(&'"') {
        return None;
    }
    let mut close = vec!['"'];
    close.extend(std::iter::repeat_n('#', hashes));
    let body = at + hashes + 1;
    let end = (body..text.len()).find(|i| text[*i..].starts_with(&close))?;
    Some(end + close.len())
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> impl Iterator<Item = Source> {
    files(&["src", "contrib", "tests"])
        .into_iter()
        .filter(|p| p.ends_with(".rs") && !p.contains("/target/"))
        .map(|path| {
            let text = fs::read_to_string(root().join(&path)).unwrap();
            // This file names what it looks for.
            let text = if path == "tests/tidy.rs" { "//! Left out.\n".to_string() } else { text };
            Source::new(path, &text)
        })
}

/// All files below these places, as paths from the root, sorted.
fn files(places: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = places.iter().map(|p| root().join(p)).filter(|p| p.exists()).collect();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        } else {
            let mut name = String::new();
            write!(name, "{}", path.strip_prefix(root()).unwrap().display()).unwrap();
            found.push(name);
        }
    }
    found.sort();
    found
}
