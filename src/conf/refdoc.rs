//! The manual of the configuration language, printed from the tables of keywords: `doc/reference` and `-dK`.

use std::fmt::Write;

use super::driver::{Keyword, Places};
use super::kw;
use crate::act::{self, ActionKw};
use crate::balance::{self, BalanceKw};
use crate::base::doc::Doc;
use crate::expr::conv::{self, Conv};
use crate::expr::fetch::{self, alias, Fetch};
use crate::plan::rule::Site;

/// One entry, whatever table it came from.
struct Entry {
    kw: &'static str,
    /// Where a keyword of the configuration may stand; nothing for the other tables.
    places: Places,
    /// What is said of its place or types.
    about: String,
    doc: &'static Doc,
}

/// One file of the reference.
struct Chapter {
    name: &'static str,
    /// What HAProxy calls the class behind `-dK`.
    class: &'static str,
    title: &'static str,
    intro: &'static str,
    entries: Vec<Entry>,
}

fn keyword_rows<D>(families: &'static [&'static [Keyword<D>]]) -> Vec<Entry> {
    let entry = |row: &'static Keyword<D>| Entry {
        kw: row.kw,
        places: row.within,
        about: String::new(),
        doc: &row.doc,
    };
    sorted(families.iter().flat_map(|family| family.iter()).map(entry).collect())
}

fn action_rows() -> Vec<Entry> {
    let entry = |row: &'static ActionKw| {
        let sites: Vec<&str> =
            Site::ALL.iter().filter(|site| row.sites.has(**site)).map(|site| site.words()).collect();
        Entry { kw: row.kw, places: Places(0), about: format!("In: {}.", sites.join(", ")), doc: &row.doc }
    };
    sorted(act::FAMILIES.iter().flat_map(|family| family.iter()).map(entry).collect())
}

fn fetch_rows() -> Vec<Entry> {
    let entry = |row: &'static Fetch| {
        let olds: Vec<&str> = alias::ALIASES
            .iter()
            .filter(|(old, req, res)| *old != row.kw && (*req == row.kw || *res == row.kw))
            .map(|(old, ..)| *old)
            .collect();
        let olds =
            if olds.is_empty() { String::new() } else { format!(" Also written {}.", olds.join(", ")) };
        let about = format!("Yields {}, from {}.{olds}", row.out.name(), row.needs.name());
        Entry { kw: row.kw, places: Places(0), about, doc: &row.doc }
    };
    sorted(fetch::FAMILIES.iter().flat_map(|family| family.iter()).map(entry).collect())
}

fn converter_rows() -> Vec<Entry> {
    let entry = |row: &'static Conv| {
        let about = format!("Takes {}, yields {}.", row.from.name(), row.to.name());
        Entry { kw: row.kw, places: Places(0), about, doc: &row.doc }
    };
    sorted(conv::FAMILIES.iter().flat_map(|family| family.iter()).map(entry).collect())
}

fn balance_rows() -> Vec<Entry> {
    let entry = |row: &&'static BalanceKw| Entry {
        kw: row.kw,
        places: Places(0),
        about: String::new(),
        doc: &row.doc,
    };
    sorted(balance::ROWS.iter().map(entry).collect())
}

fn sorted(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by_key(|entry| entry.kw);
    entries
}

fn chapters() -> Vec<Chapter> {
    let chapter = |name, class, title, intro, entries| Chapter { name, class, title, intro, entries };
    vec![
        chapter(
            "global",
            "cfg",
            "The global section",
            "Words of the section `global`: the process as a whole, its limits, its command sockets.",
            keyword_rows(kw::GLOBAL),
        ),
        chapter(
            "proxies",
            "cfg",
            "Proxies",
            "Words of `defaults`, `frontend`, `listen` and `backend`. A keyword that only a frontend can use has no \
             effect in a backend and the other way round; a warning says so.",
            keyword_rows(kw::PROXY),
        ),
        chapter(
            "userlist",
            "cfg",
            "The section userlist",
            "Words of `userlist <name>`: who may come in, for the fetches `http_auth` and `http_auth_group`.",
            keyword_rows(kw::USERLIST),
        ),
        chapter(
            "http-errors",
            "cfg",
            "The section http-errors",
            "Words of `http-errors <name>`: error pages that proxies and rules take by the section's name.",
            keyword_rows(kw::HTTP_ERRORS),
        ),
        chapter(
            "bind",
            "cfg",
            "Options of bind",
            "Words behind the address of a `bind` line; those marked so also behind `stats socket`, or \
             between the brackets of a line of a `crt-list`.",
            keyword_rows(kw::BIND),
        ),
        chapter(
            "crt-store",
            "cfg",
            "The section crt-store",
            "Words of the section `crt-store <name>`, which says which files belong to a certificate.",
            keyword_rows(kw::CRT_STORE).into_iter().chain(keyword_rows(kw::LOAD)).collect(),
        ),
        chapter(
            "server",
            "cfg",
            "Options of server",
            "Words behind the address of a `server` line, and behind `default-server`.",
            keyword_rows(kw::SERVER),
        ),
        chapter(
            "actions",
            "cfg",
            "Actions",
            "What rules do: the words behind `http-request`, `tcp-request content` and their kin.",
            action_rows(),
        ),
        chapter(
            "algorithms",
            "cfg",
            "Algorithms",
            "The words behind `balance`.",
            balance_rows(),
        ),
        chapter(
            "fetches",
            "smp",
            "Fetches",
            "Where sample expressions begin: what is known of a connection, a request, a response. In conditions a \
             suffix names the way to compare: `path_beg /static` is `path -m beg /static`.",
            fetch_rows(),
        ),
        chapter(
            "converters",
            "cnv",
            "Converters",
            "What stands behind a fetch, after a comma, and turns its sample into another.",
            converter_rows(),
        ),
    ]
}

/// The files of the reference: name within `doc/reference`, text.
pub fn files() -> Vec<(String, String)> {
    chapters().iter().map(|chapter| (format!("{}.md", chapter.name), page(chapter))).collect()
}

fn page(chapter: &Chapter) -> String {
    let mut out = format!(
        "# {}\n\n<!-- Made from the keyword tables by `make doc`; do not edit. -->\n\n{}\n",
        chapter.title, chapter.intro
    );
    let mut usages: Vec<&str> = Vec::new();
    for entry in &chapter.entries {
        if usages.contains(&entry.doc.usage) {
            continue;
        }
        usages.push(entry.doc.usage);
        let _ = write!(
            out,
            "\n## {}\n\n    {}\n\n{}.",
            entry.kw.trim_end_matches('('),
            entry.doc.usage,
            capital(entry.doc.brief)
        );
        if !entry.doc.text.is_empty() {
            let _ = write!(out, " {}", entry.doc.text);
        }
        out.push('\n');
        if entry.places != Places(0) {
            let _ = write!(out, "\nIn: {}.\n", entry.places.names().join(", "));
        }
        if !entry.about.is_empty() {
            let _ = write!(out, "\n{}\n", entry.about);
        }
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
pub fn keywords(classes: &str) -> String {
    let mut out = String::new();
    let asked = |class: &str, name: &str| {
        classes.is_empty()
            || classes.split(',').any(|one| one == "all" || one == class || name.starts_with(one))
    };
    for chapter in chapters().iter().filter(|chapter| asked(chapter.class, chapter.name)) {
        let _ = writeln!(out, "# {}:", chapter.title);
        for entry in &chapter.entries {
            let _ = writeln!(out, "\t{}", entry.doc.usage.replace('\n', " "));
        }
    }
    if asked("acl", "acl") {
        out.push_str("# Fetches with a way to compare, for conditions:\n");
        for name in ["base", "cook", "hdr", "path", "scook", "shdr", "url", "urlp"] {
            for how in ["beg", "dir", "dom", "end", "len", "reg", "sub"] {
                let _ = writeln!(out, "\t{name}_{how} = {name} -m {how}");
            }
        }
    }
    if out.is_empty() {
        let names: Vec<&str> = chapters().iter().map(|chapter| chapter.name).collect();
        let _ = writeln!(out, "# classes: {}, cfg, smp, cnv, acl, all", names.join(", "));
    }
    out
}

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

    /// Stands in for the list of an example.
    const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conf/good/sites.list");
    /// Sections that examples name.
    const NAMED: &str = "http-errors shop\n errorfile 404 /dev/null\n errorfile 503 /dev/null\n\
                         userlist users\n user joe insecure-password x\n\
                         backend per_client\n mode http\n stick-table type ip size 1k store gpc0\n";

    fn example(entry: &Entry) -> String {
        let line = if entry.doc.example.is_empty() { entry.doc.usage } else { entry.doc.example };
        let at = |place: Places| entry.places.meets(place);
        let tail = "\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n";
        if at(Places::GLOBAL) {
            format!("global\n {line}\n")
        } else if at(Places::BIND) {
            let ssl = if line.starts_with("ssl") { "" } else { "ssl crt x.pem " };
            let line = line.replace("/etc/haproxy/sites.list", LIST);
            format!("listen l\n mode http\n bind :1 {ssl}{line}{tail}")
        } else if at(Places::CRT_STORE) {
            format!("crt-store s\n {line}\n")
        } else if at(Places::LOAD) {
            let crt = if line.starts_with("crt") { "" } else { "crt x.pem " };
            format!("crt-store s\n load {crt}{line}\n")
        } else if at(Places::CRT_LIST) {
            // Needs a list that says it; proved where lists are read.
            String::new()
        } else if at(Places::SERVER) {
            format!("listen l\n mode http\n server s 127.0.0.1:1 {line}{tail}")
        } else if at(Places::USERLIST) {
            format!("userlist u\n {line}\n")
        } else if at(Places::HTTP_ERRORS) {
            format!("http-errors e\n {line}\n")
        } else if entry.places == Places(0) {
            format!("{NAMED}listen f\n bind :1\n mode http\n {line}{tail}backend be\n mode http\n")
        } else {
            let kind = if at(Places::FRONTEND) { "frontend f\n bind :1" } else { "backend b" };
            format!("{NAMED}{kind}\n mode http\n {line}{tail}backend be\n mode http\n")
        }
    }

    #[test]
    fn every_keyword_is_documented_and_its_example_compiles() {
        let mut wrong = String::new();
        for chapter in chapters() {
            let mut names: Vec<(&str, Places)> = Vec::new();
            for entry in &chapter.entries {
                assert!(!entry.doc.usage.is_empty() && !entry.doc.brief.is_empty(), "{}", entry.kw);
                assert!(!entry.doc.brief.ends_with('.'), "{}: a brief has no full stop", entry.kw);
                assert!(!names.contains(&(entry.kw, entry.places)), "{} has two rows", entry.kw);
                names.push((entry.kw, entry.places));
                // An expression without an example of its own is proved by its own tests.
                let expression = matches!(chapter.class, "smp" | "cnv") && entry.doc.example.is_empty();
                if expression {
                    continue;
                }
                if let Err(why) = loads(&example(entry)) {
                    let _ = writeln!(wrong, "{}: {}\n{why}", entry.kw, example(entry));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    }

    /// `make doc` and `make bless` write what the test compares otherwise.
    fn bless(what: &str) -> bool {
        std::env::var("LIGHTERMAN_BLESS").is_ok_and(|asked| asked == what || asked == "all")
    }

    #[test]
    fn the_reference_is_up_to_date() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("doc/reference");
        for (name, text) in files() {
            let path = dir.join(name);
            if bless("reference") {
                std::fs::create_dir_all(&dir).unwrap();
                std::fs::write(&path, &text).unwrap();
            }
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(found == text, "{} is old: run `make doc`", path.display());
        }
    }
}
