//! From sources to a plan: sections are cut, `global` is run, then every proxy with the defaults it
//! inherits, then names become ids and the whole is judged.
//!
//! All errors of a configuration are found in one go, bounded; a plan exists only when there are none.

use std::collections::HashMap;
use std::sync::Arc;

use super::addr::{self, Resolve};
use super::ast::{self, Ast, Kind, Line, Section};
use super::crt::Stores;
use super::draft::{Base, GlobalDraft, LineCx, ProxyDraft, StoreDraft, UserlistDraft};
use super::driver::{Index, Places, Prefix};
use super::env::Env;
use super::{kw, link, verify};
use crate::base::ids::ProxyId;
use crate::lang::diag::{Diag, Diags, Level};
use crate::lang::span::{SourceMap, Span};
use crate::lang::suggest;
use crate::plan::global::CliLevel;
use crate::plan::{CliSocket, ErrorPages, Plan, Proxy, Users};

/// What a configuration is read with besides its files.
#[derive(Clone)]
pub struct Setup {
    /// Variables.
    pub env: Env,
    /// Finds host names.
    pub resolve: Resolve,
    /// The name the program was started under: the default `log-tag`.
    pub program: String,
    /// `-dV`: certificates of servers are not checked unless a line asks for it.
    pub no_server_verify: bool,
    /// `-dW`: a warning is as bad as an error.
    pub zero_warning: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            env: Env::inherited(),
            resolve: addr::system_resolver,
            program: "lighterman".to_string(),
            no_server_verify: false,
            zero_warning: false,
        }
    }
}

/// Compiles a configuration. `Ok` holds the plan and what is worth saying about it; `Err` everything that
/// is wrong, with warnings and notices among it.
pub fn load(sources: &SourceMap) -> Result<(Plan, Vec<Diag>), Diags> {
    load_with(sources, &Setup::default())
}

/// As [`load`], with a setup of one's own.
pub fn load_with(sources: &SourceMap, setup: &Setup) -> Result<(Plan, Vec<Diag>), Diags> {
    let mut diags = Diags::new();
    let mut env = setup.env.clone();
    let ast = ast::parse(sources, &mut env, &mut diags);
    let mut loader = Loader { sources, setup, env: &env, diags: &mut diags };
    let mut global = loader.global(&ast);
    global.base.no_server_verify |= setup.no_server_verify;
    global.base.stores = loader.stores(&ast, &global.base);
    global.base.pages = loader.pages(&ast, &global.base);
    global.users = loader.users(&ast, &global.base);
    let proxies = loader.proxies(&ast, &global.base);
    let mut whole = link::Whole { global, proxies, sources, env: &env, resolve: setup.resolve };
    verify::before(&whole, &mut diags);
    let plan = link::plan(&mut whole, &mut diags);
    verify::after(&whole, &plan, &mut diags);
    if (setup.zero_warning || whole.global.zero_warning) && diags.has(Level::Warning) && !diags.has_alerts() {
        diags.push(
            Diag::alert(Span::NONE, "warnings were found, and none are allowed")
                .help("mend them, or leave out \"zero-warning\" and -dW"),
        );
    }
    diags.sort();
    if diags.has_alerts() {
        return Err(diags);
    }
    Ok((plan, diags.into_vec()))
}

/// The sockets of `-S`: an address with options behind commas, as words of `stats socket`.
pub fn master_sockets(texts: &[String]) -> Result<Vec<CliSocket>, String> {
    let mut sources = SourceMap::new();
    for text in texts {
        let words = text.replace(',', " ");
        sources.add("-S", format!("global\n    stats socket {words} \n"));
    }
    match load_with(&sources, &Setup { resolve: addr::no_resolver, ..Setup::default() }) {
        Ok((plan, _)) => {
            let admin = |socket: CliSocket| CliSocket { level: CliLevel::Admin, ..socket };
            Ok(plan.global.cli.into_iter().map(admin).collect())
        }
        Err(diags) => Err(diags.iter().next().map_or(String::new(), |diag| diag.what.clone())),
    }
}

struct Loader<'a> {
    sources: &'a SourceMap,
    setup: &'a Setup,
    env: &'a Env,
    diags: &'a mut Diags,
}

impl Loader<'_> {
    fn cx<'b>(&'b mut self, line: &Arc<Line>, section: usize, place: Places, base: &'b Base) -> LineCx<'b> {
        LineCx {
            place,
            prefix: Prefix::None,
            line: line.clone(),
            section,
            replayed: false,
            base,
            env: self.env,
            sources: self.sources,
            diags: self.diags,
            resolve: self.setup.resolve,
        }
    }

    fn global(&mut self, ast: &Ast) -> GlobalDraft {
        let index = Index::new(kw::GLOBAL);
        let base = Base::default();
        let mut draft = GlobalDraft::default();
        draft.global.log_tag.clone_from(&self.setup.program);
        for (number, section) in ast.sections.iter().enumerate().filter(|(_, s)| s.kind == Kind::Global) {
            draft.at = section.head.at();
            for line in &section.lines {
                let result = index.line(
                    &mut line.cursor(),
                    &mut draft,
                    &mut self.cx(line, number, Places::GLOBAL, &base),
                );
                if let Err(diag) = result {
                    self.diags.push(diag.or_at(line.at()));
                }
                if self.diags.is_full() {
                    return draft;
                }
            }
        }
        draft
    }

    /// The `crt-store` sections; several of one name are one store.
    fn stores(&mut self, ast: &Ast, base: &Base) -> Stores {
        let index = Index::new(kw::CRT_STORE);
        let mut stores = Stores::new();
        for (number, section) in ast.sections.iter().enumerate().filter(|(_, s)| s.kind == Kind::CrtStore) {
            let name = section.name.as_ref().map_or(String::new(), |word| word.text.clone());
            let store = stores.remove(&name).unwrap_or_default();
            let mut draft = StoreDraft { store, ..StoreDraft::default() };
            for line in &section.lines {
                let mut cx = self.cx(line, number, Places::CRT_STORE, base);
                if let Err(diag) = index.line(&mut line.cursor(), &mut draft, &mut cx) {
                    self.diags.push(diag.or_at(line.at()));
                }
                if self.diags.is_full() {
                    return stores;
                }
            }
            stores.insert(name, draft.store);
        }
        stores
    }

    /// The sections of one kind with their names; a second one of a name is an error.
    fn named<'a>(&mut self, ast: &'a Ast, kind: Kind) -> Vec<(usize, &'a Section, &'a str)> {
        let mut found: Vec<(usize, &Section, &str)> = Vec::new();
        for (number, section) in ast.sections.iter().enumerate().filter(|(_, s)| s.kind == kind) {
            let Some(name) = &section.name else { continue };
            if let Some((_, first, _)) = found.iter().find(|(_, _, known)| *known == name.text) {
                let diag = name.err(format!("a second section \"{}\"", name.text));
                self.diags.push(diag.also(first.head.at(), "the first one is here"));
            }
            found.push((number, section, &name.text));
        }
        found
    }

    /// The `http-errors` sections.
    fn pages(&mut self, ast: &Ast, base: &Base) -> HashMap<String, ErrorPages> {
        let index = Index::new(kw::HTTP_ERRORS);
        let mut all = HashMap::new();
        for (number, section, name) in self.named(ast, Kind::HttpErrors) {
            let mut pages = ErrorPages::default();
            let lines = Lines { section, number, place: Places::HTTP_ERRORS, base };
            self.run(&index, &lines, &mut pages);
            all.insert(name.to_string(), pages);
        }
        all
    }

    /// The `userlist` sections.
    fn users(&mut self, ast: &Ast, base: &Base) -> Users {
        let index = Index::new(kw::USERLIST);
        let mut lists = Vec::new();
        for (number, section, name) in self.named(ast, Kind::Userlist) {
            let mut draft = UserlistDraft::default();
            let lines = Lines { section, number, place: Places::USERLIST, base };
            self.run(&index, &lines, &mut draft);
            lists.push(kw::users::finish(name, draft, self.diags));
        }
        Users::new(lists)
    }

    fn proxies(&mut self, ast: &Ast, base: &Base) -> Vec<ProxyDraft> {
        let index = Index::new(kw::PROXY);
        let mut origins = Origins::default();
        let mut proxies = Vec::new();
        for (number, section) in ast.sections.iter().enumerate() {
            if self.diags.is_full() {
                break;
            }
            let place = match section.kind {
                Kind::Defaults => Places::DEFAULTS,
                Kind::Frontend => Places::FRONTEND,
                Kind::Listen => Places::LISTEN,
                Kind::Backend => Places::BACKEND,
                Kind::Global | Kind::CrtStore | Kind::HttpErrors | Kind::Userlist | Kind::Later => continue,
            };
            let chain = origins.chain(section, self.diags);
            let mut draft = draft_of(section, number, proxies.len());
            draft.proxy.at = format!("{}:{}", self.sources.name(draft.at.file), draft.at.line);
            for origin in &chain {
                let lines = Lines { section: &ast.sections[*origin], number: *origin, place, base };
                self.replay(&index, &lines, &mut draft);
            }
            self.run(&index, &Lines { section, number, place, base }, &mut draft);
            if section.kind == Kind::Defaults {
                origins.add(section, number, chain, self.diags);
            } else {
                proxies.push(draft);
            }
        }
        proxies
    }

    /// The lines of a section, for the first time.
    fn run<D>(&mut self, index: &Index<D>, lines: &Lines<'_>, draft: &mut D) {
        for line in &lines.section.lines {
            let mut cx = self.cx(line, lines.number, lines.place, lines.base);
            let result = index.line(&mut line.cursor(), draft, &mut cx);
            if let Err(diag) = result {
                self.diags.push(diag.or_at(line.at()));
            }
            if self.diags.is_full() {
                return;
            }
        }
    }

    /// The lines of a `defaults` section once more, for a proxy that inherits them.
    fn replay(&mut self, index: &Index<ProxyDraft>, lines: &Lines<'_>, draft: &mut ProxyDraft) {
        for line in &lines.section.lines {
            let mut cx = self.cx(line, lines.number, lines.place, lines.base);
            cx.replayed = true;
            // What is wrong with it was said where it was written.
            let _ = index.line(&mut line.cursor(), draft, &mut cx);
        }
    }
}

/// The lines of a section, and where they are read.
struct Lines<'a> {
    section: &'a Section,
    number: usize,
    place: Places,
    base: &'a Base,
}

fn draft_of(section: &Section, number: usize, id: usize) -> ProxyDraft {
    let name = section.name.as_ref();
    let text = name.map_or("", |word| word.text.as_str());
    let mut proxy = Proxy::new(ProxyId(id as u32), text, link::default_scheme());
    proxy.is_frontend = matches!(section.kind, Kind::Frontend | Kind::Listen);
    proxy.is_backend = matches!(section.kind, Kind::Backend | Kind::Listen);
    let at = name.map_or(section.head.at(), |word| word.at);
    ProxyDraft::new(proxy, section.kind, number, at)
}

/// The `defaults` sections met so far.
#[derive(Default)]
struct Origins {
    last: Vec<usize>,
    named: HashMap<String, (Span, Vec<usize>)>,
}

impl Origins {
    /// The sections a section inherits from, the farthest first.
    fn chain(&self, section: &Section, diags: &mut Diags) -> Vec<usize> {
        let Some(from) = &section.from else {
            // Defaults begin anew unless they say otherwise.
            return if section.kind == Kind::Defaults { Vec::new() } else { self.last.clone() };
        };
        if let Some((_, chain)) = self.named.get(&from.text) {
            return chain.clone();
        }
        let diag = from.err(format!("there is no \"defaults\" section \"{}\" above", from.text));
        let known = self.named.keys().map(String::as_str);
        diags.push(match suggest::did_you_mean(&from.text, known) {
            Some(help) => diag.help(help),
            None => diag,
        });
        Vec::new()
    }

    fn add(&mut self, section: &Section, number: usize, mut chain: Vec<usize>, diags: &mut Diags) {
        chain.push(number);
        self.last.clone_from(&chain);
        let Some(name) = &section.name else { return };
        if let Some((first, _)) = self.named.get(&name.text) {
            let diag = Diag::warning(name.at, format!("a second \"defaults\" section \"{}\"", name.text));
            diags.push(diag.also(*first, "the first one is here").help("give each its own name to use both"));
        }
        self.named.insert(name.text.clone(), (name.at, chain));
    }
}

/// Feeds any bytes to the whole loader. Called by the fuzzer and by the test that replays its seeds.
pub fn fuzz_conf_text(data: &[u8]) {
    let mut sources = SourceMap::new();
    sources.add("fuzz.cfg", data);
    let setup = Setup {
        env: Env::empty(),
        resolve: addr::no_resolver,
        program: "fuzz".to_string(),
        no_server_verify: false,
        zero_warning: false,
    };
    let diags = match load_with(&sources, &setup) {
        Ok((_, diags)) => diags,
        Err(diags) => diags.into_vec(),
    };
    for diag in &diags {
        let text = diag.render(&sources, crate::lang::diag::Paint::Plain);
        assert!(text.ends_with('\n') && !text.contains('\x1b'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_of_the_fuzzer_are_survived() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus/conf_text");
        let seeds: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!seeds.is_empty());
        for seed in seeds {
            fuzz_conf_text(&std::fs::read(seed).unwrap());
        }
    }

    #[test]
    fn master_sockets_take_options_behind_commas() {
        let sockets = master_sockets(&["/run/x.sock,mode,600".to_string(), "fd@5".to_string()]).unwrap();
        assert_eq!((sockets.len(), sockets[0].mode, sockets[0].level), (2, Some(0o600), CliLevel::Admin));
        assert!(master_sockets(&["x".to_string()]).is_err());
    }
}
