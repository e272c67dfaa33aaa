//! Rules, ACLs and `use_backend`: lines that look at names of other sections, compiled by `link` once these
//! are known. Actions are the tables of `act`, conditions the business of `expr`.

use std::collections::HashMap;
use std::sync::Arc;

use super::ast::Line;
use super::draft::{Later, ProxyDraft};
use super::env::Env;
use super::kw::value;
use super::link::NameTable;
use super::sticks::Tables;
use crate::act::{self, ActionKw};
use crate::base::ids::{ProxyId, ServerId};
use crate::expr::acl::{Acl, Acls, Cond};
use crate::expr::compile::{expr_word, expr_words, Names, ParseCx};
use crate::expr::fetch::Point;
use crate::expr::logfmt::{self, LogFmt, Use};
use crate::expr::map::Maps;
use crate::expr::sample::Ty;
use crate::expr::stick::key_type;
use crate::expr::vars::{Scope, Var, VarNames};
use crate::lang::diag::{Diag, Diags};
use crate::lang::suggest;
use crate::lang::word::{Word, Words};
use crate::plan::cookie::PersistRule;
use crate::plan::proxy::{Forwarded, LogStyle, Part, Switch, SwitchTo, UseServer, UseTo};
use crate::plan::rule::{Rule, Site};
use crate::plan::{ErrorPages, Mode, StartValue, Users};

/// What all sections are called, and what compiling gathers for the plan.
pub struct Linked<'a> {
    /// Ids by name.
    pub table: &'a NameTable,
    /// Stick tables.
    pub sticks: &'a mut Tables,
    /// Variables named so far.
    pub vars: VarNames,
    /// Files of maps and ACLs read so far.
    pub maps: Maps,
    /// Variables of the environment.
    pub env: &'a Env,
    /// User lists.
    pub users: &'a Users,
    /// The `http-errors` sections.
    pub pages: &'a HashMap<String, ErrorPages>,
    /// The slot of the rule at hand, where it captures into one of its own.
    pub slot: Option<u32>,
    /// Slots of the frontend at hand, of requests and of answers; `None`: it is a backend.
    pub slots: Option<(u32, u32)>,
}

impl Names for Linked<'_> {
    fn frontend(&self, name: &str) -> Option<ProxyId> {
        self.table.frontend(name)
    }

    fn backend(&self, name: &str) -> Option<ProxyId> {
        self.table.backend(name)
    }

    fn server(&self, backend: ProxyId, name: &str) -> Option<ServerId> {
        self.table.server(backend, name)
    }

    fn table(&self, name: &str) -> Option<ProxyId> {
        self.sticks.find(name)
    }

    fn has_table(&self, id: ProxyId) -> bool {
        self.sticks.of(id).is_some()
    }

    fn table_place(&self, id: ProxyId) -> Option<u16> {
        self.sticks.of(id)
    }

    fn table_type(&self, id: ProxyId) -> Option<Ty> {
        let spec = self.sticks.specs.get(usize::from(self.sticks.of(id)?))?;
        Some(key_type(spec.key))
    }

    fn userlist(&self, name: &str) -> Option<u32> {
        self.users.find(name)
    }

    fn var(&mut self, text: &str) -> Result<Var, String> {
        self.vars.intern(text)
    }

    fn file(&mut self, path: &str) -> Result<Vec<u8>, String> {
        value::file(&Word::plain(path), FILE_MAX).map_err(|diag| diag.what)
    }

    fn file_if_there(&mut self, path: &str) -> Result<Option<Vec<u8>>, String> {
        match std::fs::exists(path) {
            Ok(false) => Ok(None),
            _ => self.file(path).map(Some),
        }
    }

    fn maps(&mut self) -> &mut Maps {
        &mut self.maps
    }

    fn page(&self, group: &str, status: u16) -> Result<Option<(Vec<u8>, Vec<u8>)>, String> {
        match self.pages.get(group) {
            Some(pages) => Ok(pages.get(status).map(|page| (page.head.clone(), page.body.clone()))),
            None => Err(format!("there is no http-errors section \"{group}\"")),
        }
    }

    fn next_capture(&mut self) -> Option<u32> {
        self.slot
    }

    fn captures(&self, response: bool) -> Option<u32> {
        self.slots.map(|(req, res)| if response { res } else { req })
    }

    fn capable(&self, section: ProxyId) -> (bool, bool) {
        self.table.capable(section)
    }

    fn env(&self, name: &str) -> Option<String> {
        self.env.var(name)
    }

    fn backends(&self) -> Vec<String> {
        self.table.backends()
    }
}

/// The moment at which a rule of this place is evaluated.
pub fn point(site: Site) -> Point {
    match site {
        Site::TcpConnection => Point::Connection,
        Site::TcpSession => Point::Session,
        Site::TcpContent => Point::ReqContent,
        Site::HttpRequest => Point::Request,
        Site::TcpResponse => Point::ResContent,
        Site::HttpResponse | Site::HttpAfter => Point::Response,
    }
}

/// Compiles all rules, ACLs and switches of a proxy into it.
pub fn compile(draft: &mut ProxyDraft, names: &mut Linked<'_>, diags: &mut Diags) {
    let acls = acls_by_section(&draft.acls);
    let none = Acls::default();
    let slots = (draft.proxy.req_captures.len() as u32, draft.proxy.res_captures.len() as u32);
    names.slots = Some(slots).filter(|_| draft.proxy.is_frontend);
    let mut job = Job { acls: &acls, none: &none, proxy: draft.proxy.id, names, diags };
    for later in &draft.acls {
        job.judge_acl(later);
    }
    let mut in_order: Vec<_> = draft.rules.iter().enumerate().collect();
    in_order.sort_by_key(|(_, (_, later))| rank(&later.line));
    for (nth, (site, later)) in in_order {
        job.names.slot = draft.rule_slots.iter().find(|(rule, _)| *rule == nth).map(|(_, slot)| *slot);
        if let Some(rule) = job.run(later, point(*site), |words, cx| rule(words, *site, &later.line, cx)) {
            draft.proxy.rules.at_mut(*site).push(rule);
        }
    }
    for (status, later) in &draft.http_errors {
        let made = job.run(later, Point::Request, |words, cx| {
            words.next();
            let made = act::reply::answer(words, cx)?;
            words.done().map(|()| made)
        });
        made.into_iter().for_each(|made| draft.proxy.http_errors.push((*status, made)));
    }
    for later in &draft.monitor_fails {
        let made = job.run(later, Point::Request, |words, cx| {
            words.next();
            words.next();
            let cond = Cond::parse(words, cx)?;
            words.done().map(|()| cond)
        });
        made.flatten().into_iter().for_each(|cond| draft.proxy.monitor_fails.push(cond));
    }
    for later in draft.use_servers.iter().filter(|_| draft.proxy.is_backend) {
        if let Some(made) = job.run(later, Point::Request, use_server) {
            draft.proxy.use_servers.push(made);
        }
    }
    for (force, later) in draft.persist_rules.iter().filter(|_| draft.proxy.is_backend) {
        let made = job.run(later, Point::Request, |words, cx| {
            words.next();
            let cond = Cond::parse(words, cx)?;
            words.done().map(|()| cond)
        });
        let rule = made.flatten().map(|cond| PersistRule { force: *force, cond });
        draft.proxy.persist_rules.extend(rule);
    }
    let table = job.names.table;
    for later in draft.switches.iter().filter(|_| draft.proxy.is_frontend) {
        if let Some(switch) = job.run(later, Point::Request, |words, cx| switch(words, table, cx)) {
            draft.proxy.switches.push(switch);
        }
    }
}

/// Where rules of one place stand among each other, whatever the order of their lines: as HAProxy runs them.
fn rank(line: &Line) -> u8 {
    match line.words.first().map_or("", |word| word.text.as_str()) {
        "block" => 0,
        "reqadd" | "rspadd" => 3,
        "redirect" => 4,
        word if word.starts_with("req") || word.starts_with("rsp") => 2,
        _ => 1,
    }
}

/// Compiles `option forwarded`.
pub fn forwarded(draft: &mut ProxyDraft, names: &mut Linked<'_>, diags: &mut Diags) {
    let Some(words) = &draft.forwarded else { return };
    let (acls, proxy) = (Acls::default(), draft.proxy.id);
    let mut made = Forwarded::default();
    for (kind, expr) in words {
        let part = match expr {
            None => Part::Own,
            Some(word) => {
                let point = Point::Request;
                let mut cx = ParseCx { names: &mut *names, acls: &acls, point, proxy, warnings: Vec::new() };
                match expr_word(word, &mut cx) {
                    Ok(expr) => Part::Expr(expr),
                    Err(diag) => {
                        diags.push(diag.within("\"option forwarded\""));
                        continue;
                    }
                }
            }
        };
        match *kind {
            "proto" => made.proto = true,
            "host" => made.host = part,
            "by" => made.by = part,
            "by_port" => made.by_port = part,
            "for" => made.client = part,
            _ => made.client_port = part,
        }
    }
    draft.proxy.forwarded = Some(made);
}

/// Compiles `set-var` and `set-var-fmt` of the global section.
pub fn start_vars(lines: &[Arc<Line>], names: &mut Linked<'_>, diags: &mut Diags) -> Vec<(Var, StartValue)> {
    let (none, section) = (Acls::default(), HashMap::new());
    let mut job = Job { acls: &section, none: &none, proxy: ProxyId(0), names, diags };
    let compile = |line: &Arc<Line>| {
        let later = Later { line: line.clone(), section: usize::MAX };
        job.run(&later, Point::Nowhere, |words, cx| {
            let text = words.next().is_some_and(|word| word.is("set-var-fmt"));
            let name = words.need("a variable")?;
            let var = cx.names.var(&name.text).map_err(|why| name.err(why))?;
            if var.scope != Scope::Proc {
                return Err(
                    name.err("only variables of the service live here: their names begin with \"proc.\"")
                );
            }
            let value = match text {
                true => StartValue::Text(LogFmt::compile(words.need("a text")?, Use::Text, cx)?),
                false => StartValue::Expr(expr_words(words, cx)?),
            };
            words.done().map(|()| (var, value))
        })
    };
    lines.iter().filter_map(compile).collect()
}

/// Compiles a single line of a proxy with the ACLs of its section.
pub fn one_by_one<T>(
    draft: &ProxyDraft,
    later: &Later,
    point: Point,
    names: &mut Linked<'_>,
    diags: &mut Diags,
    parse: impl FnOnce(&mut Words<'_>, &mut ParseCx<'_>) -> Result<T, Diag>,
) -> Option<T> {
    let (acls, none) = (acls_by_section(&draft.acls), Acls::default());
    Job { acls: &acls, none: &none, proxy: draft.proxy.id, names, diags }.run(later, point, parse)
}

/// Compiles the expression of `balance hash`.
pub fn balance(draft: &mut ProxyDraft, names: &mut Linked<'_>, diags: &mut Diags) {
    let Some(word) = draft.balance_key.as_ref().filter(|_| draft.proxy.is_backend) else { return };
    let (acls, proxy) = (Acls::default(), draft.proxy.id);
    let mut cx = ParseCx { names, acls: &acls, point: Point::Request, proxy, warnings: Vec::new() };
    let made = expr_word(word, &mut cx);
    cx.warnings.into_iter().for_each(|warning| diags.push(warning));
    match made {
        Ok(expr) => draft.proxy.balance_key = Some(expr),
        Err(diag) => diags.push(diag.within("\"balance\"")),
    }
}

/// Compiles the log lines of a frontend: the one of its style, and what `log-format` and its kin say.
pub fn logs(draft: &mut ProxyDraft, names: &mut Linked<'_>, diags: &mut Diags) {
    if !draft.proxy.is_frontend {
        return;
    }
    let acls = Acls::default();
    let proxy = draft.proxy.id;
    let mut compile = |word: &Word, usage: Use, point: Point| {
        let mut cx = ParseCx { names: &mut *names, acls: &acls, point, proxy, warnings: Vec::new() };
        let made = LogFmt::compile(word, usage, &mut cx);
        cx.warnings.into_iter().for_each(|warning| diags.push(warning));
        made.map_err(|diag| diags.push(diag)).ok()
    };
    let http = draft.proxy.mode == Mode::Http || draft.switches_mode();
    let style = match draft.proxy.log_style {
        LogStyle::Default => None,
        LogStyle::Custom => draft.log_format.as_ref().map(|(word, _)| word.clone()),
        LogStyle::TcpClf => Some(Word::plain(logfmt::TCP_CLF)),
        LogStyle::Http if http => Some(Word::plain(logfmt::HTTP)),
        LogStyle::Clf if http => Some(Word::plain(logfmt::HTTP_CLF)),
        LogStyle::Https if http => Some(Word::plain(logfmt::HTTPS)),
        LogStyle::Tcp | LogStyle::Http | LogStyle::Clf | LogStyle::Https => Some(Word::plain(logfmt::TCP)),
    };
    draft.proxy.unique_id =
        draft.unique_id_format.as_ref().and_then(|(word, _)| compile(word, Use::Id, Point::Request));
    draft.proxy.log_format = style.and_then(|word| compile(&word, Use::Log, Point::Log));
    draft.proxy.error_log_format =
        draft.error_log_format.as_ref().and_then(|(word, _)| compile(word, Use::Log, Point::Log));
}

/// The ACLs a line may use are those of the section it was written in.
fn acls_by_section(lines: &[Later]) -> HashMap<usize, Acls> {
    let mut found: HashMap<usize, Acls> = HashMap::new();
    for later in lines {
        if let [_, name, rest @ ..] = later.line.words.as_slice() {
            found.entry(later.section).or_default().add(&name.text, rest);
        }
    }
    found
}

struct Job<'j, 'n> {
    acls: &'j HashMap<usize, Acls>,
    none: &'j Acls,
    proxy: ProxyId,
    names: &'j mut Linked<'n>,
    diags: &'j mut Diags,
}

impl Job<'_, '_> {
    /// Compiles one line with the names and ACLs it may use; errors and warnings are kept.
    fn run<T>(
        &mut self,
        later: &Later,
        point: Point,
        parse: impl FnOnce(&mut Words<'_>, &mut ParseCx<'_>) -> Result<T, Diag>,
    ) -> Option<T> {
        let acls = self.acls.get(&later.section).unwrap_or(self.none);
        let mut cx = ParseCx { names: self.names, acls, point, proxy: self.proxy, warnings: Vec::new() };
        let made = parse(&mut later.line.cursor(), &mut cx);
        for warning in cx.warnings {
            self.diags.push(warning.or_at(later.line.at()));
        }
        made.map_err(|diag| self.diags.push(diag.or_at(later.line.at()))).ok()
    }

    /// An ACL is compiled where it is used; here it only must be right at some place.
    fn judge_acl(&mut self, later: &Later) {
        let acls = self.acls.get(&later.section).unwrap_or(self.none);
        let mut first = None;
        for point in [Point::Request, Point::Response, Point::ResContent] {
            let mut words = later.line.cursor();
            words.next();
            words.next();
            let mut cx = ParseCx { names: self.names, acls, point, proxy: self.proxy, warnings: Vec::new() };
            match Acl::compile(&mut words, &mut cx) {
                Ok(_) => return,
                Err(diag) => first = first.or(Some(diag)),
            }
        }
        if let Some(diag) = first {
            self.diags.push(diag.or_at(later.line.at()).within("\"acl\""));
        }
    }
}

/// `http-request <action> ... [if|unless ...]` and its kin; `redirect ...` stands for itself.
fn rule(words: &mut Words<'_>, site: Site, line: &Line, cx: &mut ParseCx<'_>) -> Result<Rule, Diag> {
    let own = words.need("a rule set")?;
    if let Some((kw, parse)) = act::lines::find(&own.text) {
        let context = format!("\"{kw}\"");
        let action = parse(words, cx).map_err(|diag| diag.within(&context))?;
        let cond = Cond::parse(words, cx).map_err(|diag| diag.within(&context))?;
        words.done().map_err(|diag| diag.within(&context))?;
        return Ok(Rule { cond, action, kw, at: (line.at().file, line.at().line) });
    }
    if matches!(own.text.as_str(), "tcp-request" | "tcp-response") {
        words.next();
    }
    if own.is("redirect") {
        words.back();
    }
    let word = words.need("an action")?;
    let row = action(word, site).map_err(|diag| diag.within(&format!("\"{}\"", site.words())))?;
    let context = format!("\"{} {}\"", site.words(), row.kw.trim_end_matches('('));
    let made = (row.parse)(words, cx).map_err(|diag| diag.within(&context))?;
    let cond = Cond::parse(words, cx).map_err(|diag| diag.within(&context))?;
    words.done().map_err(|diag| diag.within(&context))?;
    Ok(Rule { cond, action: made, kw: row.kw, at: (line.at().file, line.at().line) })
}

/// The row of an action at a place.
fn action(word: &Word, site: Site) -> Result<&'static ActionKw, Diag> {
    let name = word.text.split('(').next().unwrap_or("");
    let rows = || act::FAMILIES.iter().flat_map(|family| family.iter());
    // A row whose word needs arguments ends in an opening parenthesis.
    let is = |row: &&'static ActionKw| row.kw.trim_end_matches('(') == name;
    if let Some(row) = rows().filter(is).find(|row| row.sites.has(site)) {
        return Ok(row);
    }
    if let Some(row) = rows().find(is) {
        let places: Vec<&str> =
            Site::ALL.iter().filter(|site| row.sites.has(**site)).map(|site| site.words()).collect();
        let diag = word.err(format!("the action \"{name}\" is not possible here"));
        return Err(diag.help(format!("it belongs behind {}", suggest::list_of(&places))));
    }
    if LATER.contains(&name) || name.starts_with("lua.") {
        return Err(word.err(format!("the action \"{name}\" is known, not supported yet")));
    }
    let known = rows()
        .filter(|row| row.sites.has(site))
        .map(|row| row.kw.trim_end_matches('('))
        .chain(LATER.iter().copied());
    let diag = word.err(format!("unknown action \"{name}\""));
    Err(match suggest::did_you_mean(name, known) {
        Some(help) => diag.help(help),
        None => diag,
    })
}

/// `use-server <name> [if|unless ...]`
fn use_server(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<UseServer, Diag> {
    words.next();
    let within = |diag: Diag| diag.within("\"use-server\"");
    let name = words.need("the name of a server")?;
    let to = match name.text.contains('%') {
        true => UseTo::Named(LogFmt::compile(name, Use::Text, cx).map_err(within)?),
        false => match cx.names.server(cx.proxy, &name.text) {
            Some(id) => UseTo::Server(id),
            None => return Err(within(name.err(format!("there is no server \"{}\" here", name.text)))),
        },
    };
    let cond = Cond::parse(words, cx).map_err(within)?;
    words.done().map_err(within)?;
    Ok(UseServer { cond, to })
}

/// `use_backend <name> [if|unless ...]`
fn switch(words: &mut Words<'_>, table: &NameTable, cx: &mut ParseCx<'_>) -> Result<Switch, Diag> {
    words.next();
    let within = |diag: Diag| diag.within("\"use_backend\"");
    let name = words.need("the name of a backend")?;
    let to = match name.text.contains('%') {
        true => SwitchTo::Named(LogFmt::compile(name, Use::Text, cx).map_err(within)?),
        false => SwitchTo::Backend(table.need_backend(name).map_err(within)?),
    };
    let cond = Cond::parse(words, cx).map_err(within)?;
    words.done().map_err(within)?;
    Ok(Switch { cond, to })
}

/// Actions of HAProxy that have no row.
#[rustfmt::skip]
const LATER: &[&str] = &[
    "add-headers-bin", "attach-srv", "cache-store", "cache-use", "close", "del-headers-bin",
    "do-resolve", "expect-netscaler-cip", "force-be-switch", "ot-group", "pause",
    "send-spoe-group",
    "set-bandwidth-limit", "set-headers-bin", "use-service", "wait-for-handshake",
];

/// A map or ACL file larger than this is a mistake.
const FILE_MAX: u64 = 256 << 20;

#[cfg(test)]
mod tests;
