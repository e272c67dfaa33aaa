//! Commands about stick tables: `show table`, `set table`, `clear table`. The tables are in shared memory, so what one
//! command does holds for all workers.

use super::{Answer, Ask, CliCx, Command, Face, Job, JobStep, OUT_HIGH};
use crate::base::doc::Doc;
use crate::plan::global::CliLevel;
use crate::shm::stick::show::read_key;
use crate::shm::stick::spec::Form;
use crate::shm::stick::{Data, Entry, Table};

/// The commands of this family.
pub const ROWS: &[Command] = &[
    Command {
        path: &["show", "table"],
        level: CliLevel::User,
        face: Face::Traffic,
        start: show,
        doc: Doc {
            usage: "show table [<table> [data.<type> <op> <value>]* | [key <key>]]",
            brief: "report the stick tables, or entries of one",
            text: "Without arguments, a line per table. With a table, its entries, which operators may see: all of them, one \
                   key, or up to four conditions on data that must all hold, with eq, ne, le, ge, lt, gt.",
            example: "show table per_client data.http_req_rate gt 100",
        },
    },
    Command {
        path: &["set", "table"],
        level: CliLevel::Operator,
        face: Face::Traffic,
        start: set,
        doc: Doc {
            usage: "set table <table> key <key> [data.<type> <value>]*",
            brief: "make or change an entry of a stick table",
            text: "The entry is made if there is none, and its life begins anew.",
            example: "set table per_client key 192.0.2.1 data.gpc0 1",
        },
    },
    Command {
        path: &["clear", "table"],
        level: CliLevel::Operator,
        face: Face::Traffic,
        start: clear,
        doc: Doc {
            usage: "clear table <table> [data.<type> <op> <value>]* | [key <key>]",
            brief: "remove entries of a stick table",
            text: "Entries that sessions use stay, with their counts set back; asked for by its key such an entry is an error.",
            example: "clear table per_client key 192.0.2.1",
        },
    },
];

/// Conditions a command can have.
const FILTERS_MAX: usize = 4;

/// A condition on data.
#[derive(Clone, Copy)]
struct Filter {
    data: Data,
    nth: usize,
    op: fn(&u64, &u64) -> bool,
    value: u64,
}

/// Which entries are meant.
enum Which {
    All(Vec<Filter>),
    Key(Vec<u8>),
}

fn find<'a>(ask: &Ask<'_>, cx: &CliCx<'a>) -> Result<&'a Table, String> {
    cx.shm.stick().find(ask.word(2)).ok_or_else(|| "No such table".to_owned())
}

/// The data a word names, if the table keeps it; `gpc0` may be the first of `gpc`.
fn data_of(word: &str, table: &Table) -> Result<(Data, usize), String> {
    let name = word.strip_prefix("data.").unwrap_or("");
    let (data, nth) = Data::find_at(name).ok_or("Unknown data type")?;
    let kept = |data: Data, nth: usize| table.spec().store(data).is_some_and(|store| nth < store.count);
    let array = match data {
        Data::Gpc0 => (Data::Gpc, 0),
        Data::Gpc1 => (Data::Gpc, 1),
        Data::Gpc0Rate => (Data::GpcRate, 0),
        Data::Gpc1Rate => (Data::GpcRate, 1),
        Data::Gpt0 => (Data::Gpt, 0),
        _ => (data, nth),
    };
    [(data, nth), array]
        .into_iter()
        .find(|(data, nth)| kept(*data, *nth))
        .ok_or_else(|| "Data type not stored in this table".to_owned())
}

fn which(ask: &Ask<'_>, table: &Table, usage: &str) -> Result<Which, String> {
    match ask.word(3) {
        "" => Ok(Which::All(Vec::new())),
        "key" => Ok(Which::Key(key(ask, table)?)),
        word if word.starts_with("data.") => filters(ask, table).map(Which::All),
        _ => Err(usage.to_owned()),
    }
}

fn key(ask: &Ask<'_>, table: &Table) -> Result<Vec<u8>, String> {
    match ask.word(4) {
        "" => Err("Key value expected".to_owned()),
        word => read_key(table.spec(), word).ok_or_else(|| "Invalid key".to_owned()),
    }
}

fn filters(ask: &Ask<'_>, table: &Table) -> Result<Vec<Filter>, String> {
    let words = ask.words.get(3..).unwrap_or_default();
    if let Some(last) = words.get(FILTERS_MAX * 3 - 1).filter(|_| words.len() > FILTERS_MAX * 3) {
        let extra = 3 + FILTERS_MAX * 3 + 1;
        return Err(format!("Detected extra data in filter, {extra}th word of input, after '{last}'"));
    }
    let which =
        |(nth, words)| filter(words, table).map_err(|why| format!("Filter entry #{}: {why}", nth + 1));
    words.chunks(3).enumerate().map(which).collect()
}

/// `data.<type> <op> <value>`
fn filter(words: &[String], table: &Table) -> Result<Filter, String> {
    let word = |nth: usize| words.get(nth).map_or("", String::as_str);
    let (data, nth) = data_of(word(0), table)?;
    let op: fn(&u64, &u64) -> bool = match word(1) {
        "eq" => u64::eq,
        "ne" => u64::ne,
        "le" => u64::le,
        "ge" => u64::ge,
        "lt" => u64::lt,
        "gt" => u64::gt,
        _ => {
            return Err(r#"Require and operator among "eq", "ne", "le", "ge", "lt", "gt""#.to_owned());
        }
    };
    let value = word(2).parse().map_err(|_| "Require a valid integer value to compare against".to_owned())?;
    Ok(Filter { data, nth, op, value })
}

fn all_hold(filters: &[Filter], entry: Entry<'_>, now_ms: u64) -> bool {
    filters.iter().all(|f| entry.get(f.data, f.nth, now_ms).is_some_and(|value| (f.op)(&value, &f.value)))
}

fn show(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    if ask.word(2).is_empty() {
        return Ok(Answer::Text(cx.shm.stick().iter().map(Table::show_head).collect()));
    }
    let table = find(ask, cx)?;
    if ask.manners.level < CliLevel::Operator {
        let text = table.show_head() + "# contents not dumped due to insufficient privileges\n";
        return Ok(Answer::Text(text));
    }
    let usage = "Optional argument only supports \"data.<store_data_type>\" <operator> <value> and key <key>";
    match which(ask, table, usage)? {
        Which::Key(key) => {
            let now = cx.now.tick.0;
            let line = table.find(&key, now, |entry| {
                let mut out = table.show_head();
                entry.show(now, &mut out);
                out
            });
            Ok(line.map_or(Answer::Nothing, Answer::Text))
        }
        Which::All(filters) => Ok(Answer::Work(Box::new(Dump {
            name: table.spec().name.clone(),
            filters,
            shard: None,
            lines: Vec::new(),
            given: 0,
        }))),
    }
}

/// Shows a table shard by shard.
struct Dump {
    name: String,
    filters: Vec<Filter>,
    shard: Option<u32>,
    /// What was taken from the last shard, and how much of it was given.
    lines: Vec<u8>,
    given: usize,
}

impl Job for Dump {
    fn step(&mut self, out: &mut Vec<u8>, cx: &mut CliCx<'_>) -> JobStep {
        let Some(table) = cx.shm.stick().find(&self.name) else { return JobStep::Done };
        let now = cx.now.tick.0;
        while out.len() < OUT_HIGH {
            let rest = self.lines.get(self.given..).unwrap_or_default();
            if !rest.is_empty() {
                let piece = rest.get(..OUT_HIGH - out.len()).unwrap_or(rest);
                self.given += piece.len();
                out.extend_from_slice(piece);
                continue;
            }
            let Some(shard) = self.shard else {
                out.extend_from_slice(table.show_head().as_bytes());
                self.shard = Some(0);
                continue;
            };
            let mut text = String::new();
            let more = table.walk(shard, now, |entry| {
                if all_hold(&self.filters, entry, now) {
                    entry.show(now, &mut text);
                }
            });
            if more.is_none() {
                return JobStep::Done;
            }
            (self.lines, self.given, self.shard) = (text.into_bytes(), 0, Some(shard + 1));
        }
        JobStep::Full
    }
}

fn set(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let usage = "Required arguments: <table> key <key> [data.<store_data_type> <value>]*";
    if ask.word(2).is_empty() {
        return Err(usage.to_owned());
    }
    let table = find(ask, cx)?;
    if ask.word(3) != "key" {
        return Err(usage.to_owned());
    }
    let key = key(ask, table)?;
    let mut values = Vec::new();
    for pair in ask.words.get(5..).unwrap_or_default().chunks(2) {
        let (name, value) = (pair.first().map_or("", String::as_str), pair.get(1).map_or("", String::as_str));
        if !name.starts_with("data.") {
            return Err("\"data.<type>\" followed by a value expected".to_owned());
        }
        let (data, nth) = data_of(name, table)?;
        let value = match data.form() {
            Form::Name => table.name_number(value).into(),
            // bytes run over 32 bits
            Form::Big | Form::Rate if matches!(data.form(), Form::Big) || table.spec().factor(data) > 1 => {
                value.parse::<u64>().map_err(|_| "Require a valid integer value to store".to_owned())?
            }
            _ => {
                value.parse::<u32>().map_err(|_| "Require a valid integer value to store".to_owned())?.into()
            }
        };
        values.push((data, nth, value));
    }
    let now = cx.now.tick.0;
    let done = table.update(&key, now, |entry| {
        for (data, nth, value) in &values {
            entry.set(*data, *nth, *value, now);
        }
    });
    let passed_on = done.is_some() && cx.shm.stick().pass_on(table, &key, now);
    match passed_on {
        true => Ok(Answer::Nothing),
        false => Err("Unable to allocate a new entry".to_owned()),
    }
}

fn clear(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let usage =
        "Required arguments: <table> \"data.<store_data_type>\" <operator> <value> or <table> key <key>";
    if ask.word(2).is_empty() {
        return Err(usage.to_owned());
    }
    let table = find(ask, cx)?;
    let now = cx.now.tick.0;
    match which(ask, table, usage)? {
        Which::Key(key) => {
            if table.remove(&key, now) == Some(false) {
                return Err("Entry currently in use, cannot remove".to_owned());
            }
        }
        Which::All(filters) => table.sweep(now, |entry| all_hold(&filters, entry, now)),
    }
    Ok(Answer::Nothing)
}
