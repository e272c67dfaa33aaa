//! The manual of the configuration language, printed from the tables of keywords: `doc/reference` and `-dK`.

use std::fmt::Write;

use super::driver::{Keyword, Places};
use super::kw;
use crate::base::doc::Doc;

/// One entry, whatever table it came from.
struct Entry {
    kw: &'static str,
    places: Places,
    doc: &'static Doc,
}

fn entries<D>(families: &'static [&'static [Keyword<D>]]) -> Vec<Entry> {
    let rows = families.iter().flat_map(|family| family.iter());
    let mut found: Vec<Entry> =
        rows.map(|row| Entry { kw: row.kw, places: row.within, doc: &row.doc }).collect();
    found.sort_by_key(|entry| entry.kw);
    found
}

/// Chapters: file name, title, introduction, entries.
fn chapters() -> Vec<(&'static str, &'static str, &'static str, Vec<Entry>)> {
    vec![
        (
            "global",
            "The global section",
            "Words of the section `global`: the process as a whole, its limits, its command sockets.",
            entries(kw::GLOBAL),
        ),
        (
            "proxies",
            "Proxies",
            "Words of `defaults`, `frontend`, `listen` and `backend`. A keyword that only a frontend can use has no \
             effect in a backend and the other way round; a warning says so.",
            entries(kw::PROXY),
        ),
        (
            "bind",
            "Options of bind",
            "Words behind the address of a `bind` line; those marked so also behind `stats socket`.",
            entries(kw::BIND),
        ),
        (
            "server",
            "Options of server",
            "Words behind the address of a `server` line, and behind `default-server`.",
            entries(kw::SERVER),
        ),
    ]
}

/// The files of the reference: name within `doc/reference`, text.
pub fn files() -> Vec<(String, String)> {
    chapters()
        .into_iter()
        .map(|(name, title, intro, list)| (format!("{name}.md"), page(title, intro, &list)))
        .collect()
}

fn page(title: &str, intro: &str, entries: &[Entry]) -> String {
    let mut out = format!(
        "# {title}\n\n<!-- Made from the keyword tables by `make doc`; do not edit. -->\n\n{intro}\n"
    );
    let mut usages: Vec<&str> = Vec::new();
    for entry in entries {
        if usages.contains(&entry.doc.usage) {
            continue;
        }
        usages.push(entry.doc.usage);
        let _ = write!(out, "\n## {}\n\n    {}\n\n{}.", entry.kw, entry.doc.usage, capital(entry.doc.brief));
        if !entry.doc.text.is_empty() {
            let _ = write!(out, " {}", entry.doc.text);
        }
        let _ = write!(out, "\n\nIn: {}.\n", entry.places.names().join(", "));
        if !entry.doc.example.is_empty() && entry.doc.example != entry.doc.usage {
            let _ = write!(out, "\nExample:\n\n    {}\n", entry.doc.example.replace('\n', "\n    "));
        }
    }
    out
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

/// What `-dK` prints: all words of a class, or of all classes.
pub fn keywords(class: &str) -> String {
    let mut out = String::new();
    for (name, title, _, entries) in chapters() {
        let asked = class.is_empty()
            || class.split(',').any(|one| matches!(one, "all" | "cfg") || name.starts_with(one));
        if !asked {
            continue;
        }
        let _ = writeln!(out, "# {title}:");
        for entry in entries {
            let _ = writeln!(out, "\t{}", entry.doc.usage.replace('\n', " "));
        }
    }
    if out.is_empty() {
        let names: Vec<&str> = chapters().iter().map(|chapter| chapter.0).collect();
        let _ = writeln!(out, "# classes: {}", names.join(", "));
    }
    out
}

/// The text of one line of each keyword within its place, for the test that compiles all examples.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::{load_with, Setup};
    use crate::lang::diag::Paint;
    use crate::lang::span::SourceMap;

    fn loads(text: &str) -> Result<(), String> {
        let mut sources = SourceMap::new();
        sources.add("example", text);
        let env = crate::conf::env::Env::empty();
        let setup = Setup { env, resolve: crate::conf::addr::no_resolver, ..Setup::default() };
        load_with(&sources, &setup).map(|_| ()).map_err(|diags| diags.render(&sources, Paint::Plain))
    }

    fn example(entry: &Entry) -> String {
        let line = if entry.doc.example.is_empty() { entry.doc.usage } else { entry.doc.example };
        let at = |place: Places| entry.places.meets(place);
        let tail = "\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n";
        if at(Places::GLOBAL) {
            format!("global\n {line}\n")
        } else if at(Places::BIND) {
            let ssl = if line.starts_with("ssl") { "" } else { "ssl crt x.pem " };
            format!("listen l\n mode http\n bind :1 {ssl}{line}{tail}")
        } else if at(Places::SERVER) {
            format!("listen l\n mode http\n server s 127.0.0.1:1 {line}{tail}")
        } else {
            let kind = if at(Places::FRONTEND) { "frontend f\n bind :1" } else { "backend b" };
            format!("{kind}\n mode http\n {line}{tail}backend be\n mode http\n")
        }
    }

    #[test]
    fn every_keyword_is_documented_and_its_example_compiles() {
        let mut wrong = String::new();
        for (_, _, _, entries) in chapters() {
            let mut names: Vec<(&str, Places)> = Vec::new();
            for entry in &entries {
                assert!(!entry.doc.usage.is_empty() && !entry.doc.brief.is_empty(), "{}", entry.kw);
                assert!(!entry.doc.brief.ends_with('.'), "{}: a brief has no full stop", entry.kw);
                assert!(!names.contains(&(entry.kw, entry.places)), "{} has two rows", entry.kw);
                names.push((entry.kw, entry.places));
                // Actions that are not there yet say so.
                if let Err(why) = loads(&example(entry)).or_else(|why| match why.contains("the action") {
                    true => Ok(()),
                    false => Err(why),
                }) {
                    let _ = writeln!(wrong, "{}: {}\n{why}", entry.kw, example(entry));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    }

    #[test]
    fn the_reference_is_up_to_date() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("doc/reference");
        for (name, text) in files() {
            let path = dir.join(name);
            if std::env::var_os("BLESS").is_some() {
                std::fs::create_dir_all(&dir).unwrap();
                std::fs::write(&path, &text).unwrap();
            }
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(found, text, "{} is old: run the tests with BLESS=1", path.display());
        }
    }
}
