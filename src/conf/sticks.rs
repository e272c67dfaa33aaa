//! Stick tables and `stick` rules: names to places in the plan. Called by `link`.

use std::collections::HashMap;

use super::draft::{DraftTable, ProxyDraft};
use super::rules::{one_by_one, Linked};
use crate::base::ids::ProxyId;
use crate::expr::acl::Cond;
use crate::expr::cast;
use crate::expr::compile::{expr_words, ParseCx};
use crate::expr::fetch::Point;
use crate::lang::diag::{Diag, Diags};
use crate::lang::word::{Word, Words};
use crate::plan::stick::{StickRule, StickWhen};
use crate::shm::stick::{Data, Spec, Store};

/// The tables of the configuration.
#[derive(Default)]
pub struct Tables {
    /// As they are in the plan.
    pub specs: Vec<Spec>,
    by_proxy: HashMap<ProxyId, u16>,
    by_name: HashMap<String, ProxyId>,
}

impl Tables {
    /// The section of this name that has a table.
    pub fn find(&self, name: &str) -> Option<ProxyId> {
        self.by_name.get(name).copied()
    }

    /// The place of a section's table.
    pub fn of(&self, id: ProxyId) -> Option<u16> {
        self.by_proxy.get(&id).copied()
    }
}

/// Gathers the tables of all sections.
pub fn tables(proxies: &mut [ProxyDraft], diags: &mut Diags) -> Tables {
    let mut tables = Tables::default();
    let mut followed = Vec::new();
    for (at, draft) in proxies.iter_mut().enumerate() {
        let Some(DraftTable { spec, write_to, .. }) = draft.stick_table.take() else { continue };
        let place = tables.specs.len() as u16;
        followed.extend(write_to.map(|word| (place, word)));
        draft.proxy.stick_table = Some(place);
        tables.by_proxy.insert(ProxyId(at as u32), place);
        tables.by_name.entry(spec.name.clone()).or_insert(ProxyId(at as u32));
        tables.specs.push(spec);
    }
    let sources: Vec<u16> = followed.iter().map(|(place, _)| *place).collect();
    for (from, word) in followed {
        match follower(&tables, from, &word, &sources) {
            Ok(to) => tables.specs[usize::from(from)].write_to = Some(to),
            Err(diag) => diags.push(diag.within("\"stick-table\"")),
        }
    }
    tables
}

/// The table behind `write-to`: its keys mean the same, and it writes to none itself.
fn follower(tables: &Tables, from: u16, word: &Word, sources: &[u16]) -> Result<u16, Diag> {
    let found = tables.find(&word.text).and_then(|id| tables.of(id));
    let to = found.ok_or_else(|| word.err(format!("no section \"{}\" with a stick-table", word.text)))?;
    let (Some(source), Some(target)) =
        (tables.specs.get(usize::from(from)), tables.specs.get(usize::from(to)))
    else {
        return Err(word.err("no such table"));
    };
    if from == to {
        return Err(word.err("a table cannot be written to itself"));
    }
    if (source.key, source.len) != (target.key, target.len) {
        let help = format!(
            "\"{}\" is of type {} and \"{}\" of type {}",
            source.name,
            source.key.word(),
            target.name,
            target.key.word()
        );
        return Err(word.err("both tables must have keys of the same type and length").help(help));
    }
    if sources.contains(&to) {
        return Err(word.err(format!("\"{}\" has a \"write-to\" of its own", target.name)));
    }
    Ok(to)
}

/// Compiles the `stick` lines of a proxy into it.
pub fn compile(draft: &mut ProxyDraft, names: &mut Linked<'_>, diags: &mut Diags) {
    if !draft.proxy.is_backend {
        return;
    }
    for later in std::mem::take(&mut draft.sticks) {
        let answers = later.line.words.get(1).is_some_and(|word| word.is("store-response"));
        let http = draft.proxy.mode == crate::plan::Mode::Http;
        let point = match (answers, http) {
            (true, true) => Point::Response,
            (true, false) => Point::ResContent,
            (false, true) => Point::Request,
            (false, false) => Point::ReqContent,
        };
        if let Some(rule) = one_by_one(draft, &later, point, names, diags, rule) {
            if let Some(spec) = names.sticks.specs.get_mut(usize::from(rule.table)) {
                spec.keep(Store { data: Data::ServerId, count: 1, period: 0 });
                spec.keep(Store { data: Data::ServerKey, count: 1, period: 0 });
            }
            draft.proxy.sticks.push(rule);
        }
    }
}

/// `stick on <key> [table <table>] [if ...]`
fn rule(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<StickRule, Diag> {
    words.next();
    let kind = words.need("a kind of stick rule")?;
    let within = |diag: Diag| diag.within(&format!("\"stick {}\"", kind.text));
    let known = StickWhen::WORDS.iter().find(|(word, _)| kind.is(word));
    let Some((_, when)) = known else { return Err(kind.err("unknown kind of stick rule")) };
    let key = expr_words(words, cx).map_err(within)?;
    let id = if words.eat("table") {
        let name = words.need("the name of a table").map_err(within)?;
        let found = cx.names.table(&name.text);
        found.ok_or_else(|| within(name.err(format!("no section \"{}\" with a stick-table", name.text))))?
    } else {
        cx.proxy
    };
    let Some(table) = cx.names.table_place(id) else {
        return Err(within(
            words.missing("\"table\" and a name, as this section has no stick-table of its own"),
        ));
    };
    if let Some(ty) = cx.names.table_type(id).filter(|ty| !cast::possible(key.ty(), *ty)) {
        let what = format!("the key is of type {}, the table of type {}", key.ty().name(), ty.name());
        return Err(within(kind.err("this key cannot be one of the table").help(what)));
    }
    let cond = Cond::parse(words, cx).map_err(within)?;
    words.done().map_err(within)?;
    Ok(StickRule { when: *when, key, table, cond })
}
