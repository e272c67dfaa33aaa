//! Commands that report: `show info`, `show stat`, `show errors`, and `clear counters`.

use super::process::Await;
use super::{Answer, Ask, CliCx, Command, Face, Job, JobStep, Rows, Ticket};
use crate::base::doc::Doc;
use crate::base::ids::ProxyId;
use crate::plan::global::CliLevel;
use crate::plan::{Plan, Proxy};
use crate::service::errors;
use crate::service::stats::csv;
use crate::service::stats::info::{InfoCx, LINES};
use crate::service::stats::rows::{rows_of, Filter};
use crate::service::stats::value::{write_json, write_typed, Desc};
use crate::shm::Clear;
use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;

/// The commands of this family.
pub const ROWS: &[Command] = &[
    Command {
        path: &["show", "info"],
        level: CliLevel::User,
        face: Face::Traffic,
        start: show_info,
        doc: Doc {
            usage: "show info [desc|json|typed|float]*",
            brief: "report information about the running process",
            text: "Limits, loads and totals, added up over all workers. desc adds what each line means, typed \
                   prints position, name, tags and type, json the same as one array.",
            example: "show info typed",
        },
    },
    Command {
        path: &["show", "stat"],
        level: CliLevel::User,
        face: Face::Traffic,
        start: show_stat,
        doc: Doc {
            usage: "show stat [desc|json|no-maint|typed|up]*",
            brief: "report counters for each proxy and server",
            text: "CSV by default. Three arguments may come first: a proxy (name, number, -1 for all), a sum of \
                   kinds (1 frontends, 2 backends, 4 servers, 8 sockets, -1 for all) and the number of a \
                   server (-1 for all). up leaves out servers that are down, no-maint those in maintenance.",
            example: "show stat web 4 -1 up",
        },
    },
    Command {
        path: &["show", "errors"],
        level: CliLevel::Operator,
        face: Face::Traffic,
        start: show_errors,
        doc: Doc {
            usage: "show errors [<px>] [request|response]",
            brief: "report last request and/or response errors for each proxy",
            text: "The last invalid request that each frontend and the last invalid response that each backend got, of all workers: \
                   its bytes, with the place of the offence and the reason. Nothing more than one buffer of each is kept.",
            example: "show errors web request",
        },
    },
    Command {
        path: &["clear", "counters"],
        level: CliLevel::Operator,
        face: Face::Traffic,
        start: clear_counters,
        doc: Doc {
            usage: "clear counters [all]",
            brief: "clear max statistics counters (or all counters)",
            text: "Sets back the highest values seen; with all (level admin) everything that counts.",
            example: "clear counters all",
        },
    },
];

/// The forms an answer may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Typed(Desc),
    Json,
}

fn form_of(words: &[String]) -> Form {
    let has = |word: &str| words.iter().any(|given| given == word);
    let desc = if has("desc") { Desc::Shown } else { Desc::Hidden };
    match (has("json"), has("typed")) {
        (true, _) => Form::Json,
        (_, true) => Form::Typed(desc),
        _ => Form::Plain,
    }
}

fn show_info(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let vitals = cx.vitals();
    let totals = cx.board().totals();
    let info = InfoCx {
        plan: cx.plan,
        vitals: &vitals,
        totals: &totals,
        limits: cx.board().limits(),
        wall: cx.wall(),
    };
    let form = form_of(ask.words);
    let desc = ask.words.iter().any(|word| word == "desc");
    let mut out = String::new();
    for (pos, line) in LINES.iter().enumerate() {
        let Some(value) = (line.value)(&info) else { continue };
        match form {
            Form::Plain if desc => {
                let _ = writeln!(out, "{}: {value}:\"{}\"", line.field.name, line.field.brief);
            }
            Form::Plain => {
                let _ = writeln!(out, "{}: {value}", line.field.name);
            }
            Form::Typed(desc) => write_typed(&mut out, "", pos, &line.field, &value, desc),
            Form::Json => {
                out.push(if out.is_empty() { '[' } else { ',' });
                write_json(&mut out, "", pos, &line.field, &value);
            }
        }
    }
    if form == Form::Json {
        out.push_str("]\n");
    }
    Ok(Answer::Text(out))
}

/// The proxy of that name or number.
pub fn find_proxy<'p>(plan: &'p Plan, name: &str) -> Option<&'p Proxy> {
    let number: Option<u32> = name.strip_prefix('#').unwrap_or(name).parse().ok();
    let named = plan.proxies.iter().find(|proxy| proxy.name == name);
    named.or_else(|| plan.proxies.iter().find(|proxy| Some(proxy.puid) == number))
}

fn show_stat(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let mut filter = Filter::ALL;
    if !ask.word(4).is_empty() {
        let number = |at: usize| ask.word(at).parse::<i64>().unwrap_or(0);
        let all = ask.word(2) == "-1";
        if !all {
            let proxy = find_proxy(cx.plan, ask.word(2)).ok_or("No such proxy.")?;
            filter.proxy = Some(proxy.id);
        }
        filter.kinds = number(3) as u32;
        filter.sid = u32::try_from(number(4)).ok();
    }
    let has = |word: &str| ask.words.iter().any(|given| given == word);
    filter.up = has("up");
    filter.no_maint = has("no-maint");
    let form = form_of(ask.words);
    let (count, mut first) = (cx.plan.proxies.len(), true);
    // One step for what comes first, one for each proxy, one for what comes last.
    Ok(Answer::Work(Box::new(Rows::new(count + 2, move |step, out, cx| {
        let mut text = String::new();
        match (step, form) {
            (0, Form::Plain) => csv::write_header(&mut text),
            (0, Form::Json) => text.push('['),
            (0, Form::Typed(_)) => {}
            (step, form) if step <= count => {
                let rows = rows_of(&cx.plan.proxies[step - 1], &filter, cx.plan, &cx.board());
                for row in &rows {
                    match form {
                        Form::Plain => csv::write_row(&mut text, row),
                        Form::Typed(desc) => csv::write_row_typed(&mut text, row, desc),
                        Form::Json => {
                            text.push_str(if first { "" } else { "," });
                            csv::write_row_json(&mut text, row);
                        }
                    }
                    first = false;
                }
            }
            (_, Form::Json) => text.push_str("]\n"),
            _ => {}
        }
        out.extend_from_slice(text.as_bytes());
    }))))
}

fn clear_counters(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let what = match ask.word(2) {
        "all" if ask.manners.level < CliLevel::Admin => return Err("Permission denied".to_owned()),
        "all" => Clear::All,
        _ => Clear::Maxima,
    };
    cx.board().clear(what);
    Ok(Answer::Nothing)
}

fn show_errors(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let mut command = "show errors".to_owned();
    if !matches!(ask.word(2), "" | "-1") {
        let ProxyId(id) = find_proxy(cx.plan, ask.word(2)).ok_or("No such proxy.")?.id;
        let _ = write!(command, " {id}");
    } else {
        command.push_str(" -1");
    }
    match ask.word(3) {
        "" => {}
        side @ ("request" | "response") => {
            let _ = write!(command, " {side}");
        }
        other => return Err(format!("Expects 'request' or 'response' instead of '{other}'.")),
    }
    match cx.host.ask_workers(&command) {
        Some(ticket) => Ok(Answer::Work(Box::new(Errors(ticket)))),
        None => Ok(Answer::Text(errors_title(cx))),
    }
}

/// Waits for the events that the workers captured.
struct Errors(Ticket);

impl Job for Errors {
    fn step(&mut self, out: &mut Vec<u8>, cx: &mut CliCx<'_>) -> JobStep {
        let mut events = Vec::new();
        let step = Await(self.0).step(&mut events, cx);
        if step == JobStep::Done {
            out.extend_from_slice(errors_title(cx).as_bytes());
            errors::merge(&events, out);
        }
        step
    }
}

fn errors_title(cx: &CliCx<'_>) -> String {
    let captures = cx.shm.global().captures.load(Relaxed);
    let now_us = cx.wall().as_micros() as u64;
    format!("Total events captured on [{}] : {captures}\n", errors::date(now_us))
}
