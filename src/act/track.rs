//! Actions on stick tables: `track-sc0` and its kin, `sc-inc-gpc0`, `sc-set-gpt`...

use super::ActionKw;
use crate::expr::cast;
use crate::expr::compile::{expr_words, Expr, ParseCx};
use crate::expr::fetch::stick::raise;
use crate::expr::sample::{Sample, Ty};
use crate::expr::stick::key_of;
use crate::lang::diag::Diag;
use crate::lang::word::Words;
use crate::plan::rule::{Act, Action, ActionCx, Need, Site, Sites};
use crate::shm::stick::Data;

const TRACK_SITES: Sites = Sites::TCP.or(Sites::HTTP_REQ).or(Sites::HTTP_RES);
const COUNT_SITES: Sites = Sites::ANY;
const TRACK_TEXT: &str = "From here on everything that happens to the session is counted in the entry: connections, requests, \
    errors, bytes. In rules on connections and sessions it lasts as long as the connection, in others as long as the \
    exchange. A number that tracks already goes on with what it has. Without \"table\" it is that of the section.";

/// The rows.
pub const ROWS: &[ActionKw] = &[
    ActionKw::new(
        "track-sc0",
        TRACK_SITES,
        |words, cx| track(0, words, cx),
        "track-sc0 <key> [table <table>]",
        "tracks the entry of a key as number 0",
        "http-request track-sc0 src table per_client",
    )
    .text(TRACK_TEXT),
    ActionKw::new(
        "track-sc1",
        TRACK_SITES,
        |words, cx| track(1, words, cx),
        "track-sc1 <key> [table <table>]",
        "tracks the entry of a key as number 1",
        "http-request track-sc1 src table per_client",
    ),
    ActionKw::new(
        "track-sc2",
        TRACK_SITES,
        |words, cx| track(2, words, cx),
        "track-sc2 <key> [table <table>]",
        "tracks the entry of a key as number 2",
        "http-request track-sc2 src table per_client",
    ),
    ActionKw::new(
        "track-sc3",
        TRACK_SITES,
        |words, cx| track(3, words, cx),
        "track-sc3 <key> [table <table>]",
        "tracks the entry of a key as number 3",
        "http-request track-sc3 src table per_client",
    ),
    ActionKw::new(
        "track-sc4",
        TRACK_SITES,
        |words, cx| track(4, words, cx),
        "track-sc4 <key> [table <table>]",
        "tracks the entry of a key as number 4",
        "http-request track-sc4 src table per_client",
    ),
    ActionKw::new(
        "track-sc5",
        TRACK_SITES,
        |words, cx| track(5, words, cx),
        "track-sc5 <key> [table <table>]",
        "tracks the entry of a key as number 5",
        "http-request track-sc5 src table per_client",
    ),
    ActionKw::new(
        "track-sc6",
        TRACK_SITES,
        |words, cx| track(6, words, cx),
        "track-sc6 <key> [table <table>]",
        "tracks the entry of a key as number 6",
        "http-request track-sc6 src table per_client",
    ),
    ActionKw::new(
        "track-sc7",
        TRACK_SITES,
        |words, cx| track(7, words, cx),
        "track-sc7 <key> [table <table>]",
        "tracks the entry of a key as number 7",
        "http-request track-sc7 src table per_client",
    ),
    ActionKw::new(
        "track-sc8",
        TRACK_SITES,
        |words, cx| track(8, words, cx),
        "track-sc8 <key> [table <table>]",
        "tracks the entry of a key as number 8",
        "http-request track-sc8 src table per_client",
    ),
    ActionKw::new(
        "track-sc9",
        TRACK_SITES,
        |words, cx| track(9, words, cx),
        "track-sc9 <key> [table <table>]",
        "tracks the entry of a key as number 9",
        "http-request track-sc9 src table per_client",
    ),
    ActionKw::new(
        "track-sc10",
        TRACK_SITES,
        |words, cx| track(10, words, cx),
        "track-sc10 <key> [table <table>]",
        "tracks the entry of a key as number 10",
        "http-request track-sc10 src table per_client",
    ),
    ActionKw::new(
        "track-sc11",
        TRACK_SITES,
        |words, cx| track(11, words, cx),
        "track-sc11 <key> [table <table>]",
        "tracks the entry of a key as number 11",
        "http-request track-sc11 src table per_client",
    ),
    ActionKw::new(
        "sc-inc-gpc0(",
        COUNT_SITES,
        |words, _| count(Data::Gpc0, words),
        "sc-inc-gpc0(<ctr>)",
        "adds 1 to gpc0 of what a number tracks",
        "http-request sc-inc-gpc0(0) if { path_beg /login }",
    ),
    ActionKw::new(
        "sc-inc-gpc1(",
        COUNT_SITES,
        |words, _| count(Data::Gpc1, words),
        "sc-inc-gpc1(<ctr>)",
        "adds 1 to gpc1 of what a number tracks",
        "http-request sc-inc-gpc1(0) if { path_beg /login }",
    ),
    ActionKw::new(
        "sc-inc-gpc(",
        COUNT_SITES,
        |words, _| count(Data::Gpc, words),
        "sc-inc-gpc(<n>,<ctr>)",
        "adds 1 to a counter of what a number tracks",
        "http-request sc-inc-gpc(3,0) if { path_beg /login }",
    ),
    ActionKw::new(
        "sc-add-gpc(",
        COUNT_SITES,
        |words, cx| set(Data::Gpc, true, words, cx),
        "sc-add-gpc(<n>,<ctr>) <number>|<expr>",
        "adds to a counter of what a number tracks",
        "http-request sc-add-gpc(0,0) req.body_size",
    ),
    ActionKw::new(
        "sc-set-gpt0(",
        COUNT_SITES,
        |words, cx| set(Data::Gpt0, false, words, cx),
        "sc-set-gpt0(<ctr>) <number>|<expr>",
        "sets gpt0 of what a number tracks",
        "http-request sc-set-gpt0(0) 1337",
    ),
    ActionKw::new(
        "sc-set-gpt(",
        COUNT_SITES,
        |words, cx| set(Data::Gpt, false, words, cx),
        "sc-set-gpt(<n>,<ctr>) <number>|<expr>",
        "sets a tag of what a number tracks",
        "http-request sc-set-gpt(0,0) 1337",
    ),
];

struct Track {
    nth: usize,
    key: Expr,
    table: crate::base::ids::ProxyId,
}

fn track(nth: usize, words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let key = expr_words(words, cx)?;
    let table = if words.eat("table") {
        let name = words.need("the name of a table")?;
        let found = cx.names.table(&name.text);
        found.ok_or_else(|| name.err(format!("no section \"{}\" with a stick-table", name.text)))?
    } else if cx.names.has_table(cx.proxy) {
        cx.proxy
    } else {
        return Err(words.missing("\"table\" and a name, as this section has no stick-table of its own"));
    };
    if let Some(ty) = cx.names.table_type(table).filter(|ty| !cast::possible(key.ty(), *ty)) {
        let what = format!(
            "the key is of type {}, which cannot be one of a table of type {}",
            key.ty().name(),
            ty.name()
        );
        return Err(words.missing("a key of the table's type").help(what));
    }
    Ok(Box::new(Track { nth, key, table }))
}

impl Action for Track {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        let of_conn = matches!(cx.site, Site::TcpConnection | Site::TcpSession);
        let tracks = if of_conn { &cx.txn.sess_tracks } else { &cx.txn.tracks };
        if tracks.get(self.nth).is_some() {
            return Act::Next;
        }
        let held = {
            let facts = cx.facts();
            let Some(stick) = facts.world.stick() else { return Act::Next };
            let Some(table) = facts.world.table_of(self.table) else { return Act::Next };
            let value = match self.key.eval(&facts) {
                crate::expr::sample::Got::NotYet if !cx.last => return Act::Wait(Need::Bytes),
                got => got.now(),
            };
            let spec = stick.tables.get(table).map(|table| table.spec());
            let key = value.zip(spec).and_then(|(value, spec)| key_of(spec, value));
            let held = key.and_then(|key| stick.track(table, &key));
            if let Some(held) = held {
                if matches!(cx.site, Site::HttpRequest | Site::HttpResponse) {
                    stick.count(held, Data::HttpReqCnt, Data::HttpReqRate, 1);
                }
                // what was counted for others before this one was tracked
                if cx.site == Site::HttpResponse {
                    let (error, failure) = cx.world.status_counts(cx.txn.status);
                    if error {
                        stick.count(held, Data::HttpErrCnt, Data::HttpErrRate, 1);
                    }
                    if failure {
                        stick.count(held, Data::HttpFailCnt, Data::HttpFailRate, 1);
                    }
                }
            }
            held
        };
        if let Some(held) = held {
            let tracks = if of_conn { &mut cx.txn.sess_tracks } else { &mut cx.txn.tracks };
            tracks.set(self.nth, held);
        }
        Act::Next
    }
}

struct Change {
    data: Data,
    nth: usize,
    ctr: usize,
    by: By,
}

enum By {
    One,
    Add(Value),
    Set(Value),
}

enum Value {
    Number(u64),
    Expr(Expr),
}

/// The numbers in parentheses behind the action's word: the counter's, and before it the element's of an array.
fn numbers(data: Data, words: &Words<'_>) -> Result<(usize, usize), Diag> {
    let wanted = if data.is_array() { "(<n>,<ctr>)" } else { "(<ctr>)" };
    let Some(word) = words.taken() else { return Err(words.missing(wanted)) };
    let wrong = || word.err(format!("expected {wanted} with small numbers behind the action"));
    let inner = word.text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).ok_or_else(wrong)?;
    let numbers: Option<Vec<usize>> =
        inner.split(',').map(|n| n.trim().parse().ok().filter(|n| *n < 100)).collect();
    match (numbers.as_deref(), data.is_array()) {
        (Some([nth, ctr]), true) => Ok((*nth, *ctr)),
        (Some([ctr]), false) => Ok((0, *ctr)),
        _ => Err(wrong()),
    }
}

fn count(data: Data, words: &mut Words<'_>) -> Result<Box<dyn Action>, Diag> {
    let (nth, ctr) = numbers(data, words)?;
    Ok(Box::new(Change { data, nth, ctr, by: By::One }))
}

fn set(data: Data, add: bool, words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let (nth, ctr) = numbers(data, words)?;
    let value = match words.peek_text().parse::<u32>() {
        Ok(number) => {
            words.next();
            Value::Number(number.into())
        }
        Err(_) => Value::Expr(expr_words(words, cx)?),
    };
    let by = if add { By::Add(value) } else { By::Set(value) };
    Ok(Box::new(Change { data, nth, ctr, by }))
}

impl Value {
    fn now(&self, cx: &ActionCx<'_>) -> Option<u64> {
        match self {
            Value::Number(n) => Some(*n),
            Value::Expr(expr) => match expr.eval_as(&cx.facts(), Ty::Int).now()? {
                Sample::Int(n) => u64::try_from(n).ok(),
                _ => None,
            },
        }
    }
}

impl Action for Change {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        let held = cx.txn.tracks.get(self.ctr).or_else(|| cx.txn.sess_tracks.get(self.ctr));
        let (Some(held), Some(stick)) = (held, cx.world.stick()) else { return Act::Next };
        let Some(entry) = stick.entry(held) else { return Act::Next };
        let kept = |data: Data| stick.table(held).is_some_and(|table| table.spec().store(data).is_some());
        let (data, nth) = match self.data {
            Data::Gpc0 if !kept(Data::Gpc0) && !kept(Data::Gpc0Rate) => (Data::Gpc, 0),
            Data::Gpc1 if !kept(Data::Gpc1) && !kept(Data::Gpc1Rate) => (Data::Gpc, 1),
            Data::Gpt0 if !kept(Data::Gpt0) => (Data::Gpt, 0),
            data => (data, self.nth),
        };
        match &self.by {
            By::One => {
                raise(entry, data, nth, 1, stick.now_ms);
            }
            By::Add(value) => {
                if let Some(n) = value.now(cx) {
                    raise(entry, data, nth, n, stick.now_ms);
                }
            }
            By::Set(value) => {
                if let Some(n) = value.now(cx) {
                    entry.set(data, nth, n, stick.now_ms);
                }
            }
        }
        Act::Next
    }
}
