//! Commands that say which certificates are shown to whom: `show ssl explain`, `show ssl cert expiring`.

use super::{Answer, Ask, CliCx, Command, Face, Rows};
use crate::base::doc::Doc;
use crate::net::contexts::certificate_lines;
use crate::net::tls::certs::KeyKind;
use crate::net::tls::hello::Can;
use crate::net::tls::store::census;
use crate::net::tls::store::{Candidate, Choice, Index};
use crate::net::tls::BindContext;
use crate::plan::global::CliLevel;
use crate::plan::Listener;
use lighterman_wire::http::date::Civil;
use std::fmt::Write;
use std::sync::Arc;

/// The commands of this family.
pub const ROWS: &[Command] = &[
    Command {
        path: &["show", "ssl", "cert", "expiring"],
        level: CliLevel::Operator,
        face: Face::Traffic,
        start: expiring,
        doc: Doc {
            usage: "show ssl cert expiring",
            brief: "list certificates that expire soon, have expired, or are never shown",
            text: "One line per certificate, the one whose time ends first at the beginning: what there is to say \
                   (\"expired\", \"expiring\" within 14 days, \"shadowed\": another one is shown for each of its names, \
                   to every client), until when it is valid, how many days that is, its file, and for a shadowed one \
                   the file of the other. \"show info\" counts them: SslCertsExpiring, SslCertsExpired, \
                   SslCertsShadowed.",
            example: "show ssl cert expiring",
        },
    },
    Command {
        path: &["show", "ssl", "explain"],
        level: CliLevel::Operator,
        face: Face::Traffic,
        start: explain,
        doc: Doc {
            usage: "show ssl explain <name>|- [rsa|ecdsa]",
            brief: "tell which certificate a client gets for a name, and why",
            text: "For each \"bind\" line with \"ssl\": the certificate that is shown to a client that asks for this name \
                   (\"-\": for none), and those that could be but are passed over, the next best first, each with the \
                   reason. The client can use keys of both kinds, or with \"rsa\" no elliptic curves.",
            example: "show ssl explain www.example.org rsa",
        },
    },
];

/// Certificates told about for one line.
const SHOWN_MAX: usize = 16;

fn no_tls() -> String {
    "There is no TLS in this configuration.".to_owned()
}

fn explain(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let usage = "Expects a name: 'show ssl explain <name>|- [rsa|ecdsa]'.";
    let name = match ask.word(3) {
        "" => return Err(usage.to_owned()),
        "-" => None,
        name => Some(name.as_bytes()),
    };
    let can = match ask.word(4) {
        "" | "ecdsa" => Can { ec: true },
        "rsa" => Can { ec: false },
        _ => return Err(usage.to_owned()),
    };
    let tls = cx.host.tls().ok_or_else(no_tls)?;
    let now = cx.wall().as_secs() as i64;
    let mut out = String::from("# frontend line verdict key match not_after file reason\n");
    let mut lines = 0;
    for listener in &cx.plan.listeners {
        let Some(bind) = tls.bind(listener.id) else { continue };
        lines += 1;
        let proxy = &cx.plan.proxy(listener.proxy).name;
        let head = format!("{proxy} {}", place_of(listener));
        explain_line(&mut out, &head, bind, (name, can, now));
    }
    if lines == 0 {
        return Err(no_tls());
    }
    Ok(Answer::Text(out))
}

/// Where a line stands, in one word.
fn place_of(listener: &Listener) -> String {
    listener.name.clone().unwrap_or_else(|| listener.at.replace(char::is_whitespace, "_"))
}

fn explain_line(
    out: &mut String,
    head: &str,
    bind: &BindContext,
    (name, can, now): (Option<&[u8]>, Can, i64),
) {
    let store = bind.store();
    let Choice { how, candidates } = store.choose(bind.places(), name, can);
    if candidates.is_empty() || bind.is_strict() && how.is_default() {
        // writing to memory cannot fail
        let _ = writeln!(out, "{head} refused - - - - {} (strict-sni: unrecognized_name)", how.words());
        return;
    }
    let indexes: Vec<Arc<Index>> =
        bind.places().iter().filter_map(|place| Some(store.index(*place)?.0)).collect();
    let mut winner: Option<&Candidate> = None;
    for candidate in candidates.iter().take(SHOWN_MAX) {
        let (verdict, reason) = match winner {
            None => ("shown", how.words()),
            Some(winner) => ("passed", candidate.passed(winner, can, now).words()),
        };
        let over = winner.is_none() && !candidate.is_valid(now);
        winner = winner.or(Some(candidate));
        let fit = match (how.is_default(), candidate.exact) {
            (true, _) => "default",
            (_, true) => "exact",
            (_, false) => "wildcard",
        };
        let file =
            indexes.get(candidate.source as usize).map_or_else(String::new, |i| file_of(i, candidate.entry));
        let _ = writeln!(
            out,
            "{head} {verdict} {} {fit} {} {file} {reason}{}",
            key(candidate.kind),
            time(candidate.not_after),
            if over { "; its time is over or has not come, but there is no other" } else { "" }
        );
    }
    if candidates.len() > SHOWN_MAX {
        let _ = writeln!(out, "{head} passed - - - - {} more", candidates.len() - SHOWN_MAX);
    }
}

fn expiring(_: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let tls = cx.host.tls().ok_or_else(no_tls)?;
    let (lines, now) = (certificate_lines(cx.plan, tls), cx.wall().as_secs() as i64);
    let indexes = tls.store().indexes();
    let rows = census::take(&indexes, &lines, now).rows;
    // a heading and the rows
    let count = rows.len() + 1;
    let write = move |number: usize, out: &mut Vec<u8>, _: &mut CliCx<'_>| {
        if number == 0 {
            out.extend_from_slice(b"# state not_after days file instead\n");
            return;
        }
        let Some(row) = rows.get(number - 1) else { return };
        let Some(index) = indexes.get(row.place as usize) else { return };
        let words = [(row.expired, "expired"), (row.expiring, "expiring"), (row.shadowed, "shadowed")];
        let words: Vec<&str> = words.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
        let days = (row.not_after - now).div_euclid(86_400);
        let instead = if row.shadowed { instead(&indexes, &lines, row, now) } else { String::new() };
        let file = file_of(index, row.entry);
        out.extend(format!("{} {} {days} {file}{instead}\n", words.join(","), time(row.not_after)).bytes());
    };
    Ok(Answer::Work(Box::new(Rows::new(count, write))))
}

/// The file of the certificate that is shown in place of this one, after a blank.
fn instead(indexes: &[Arc<Index>], lines: &[Vec<u32>], row: &census::Row, now: i64) -> String {
    let line = lines.iter().find(|line| line.contains(&row.place));
    let other = line.and_then(|line| {
        let index = indexes.get(row.place as usize)?;
        let sources = line.iter().filter_map(|place| indexes.get(*place as usize).map(|index| &**index));
        let best = census::instead_of(sources, index, &index.entry(row.entry)?, now)?;
        let place = line.get(best.source as usize)?;
        Some(file_of(indexes.get(*place as usize)?, best.entry))
    });
    other.map_or_else(|| " -".to_owned(), |file| format!(" {file}"))
}

fn key(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Ec => "ecdsa",
        KeyKind::Rsa => "rsa",
    }
}

/// A certificate's file in one word.
fn file_of(index: &Index, entry: u32) -> String {
    let Some(entry) = index.entry(entry) else { return "-".to_owned() };
    let text = index.file(&entry).display().to_string();
    text.replace(|c: char| c.is_control() || c.is_whitespace(), "_")
}

/// `2027-01-31T12:00:00Z`.
fn time(unix_s: i64) -> String {
    let at = Civil::of(unix_s.max(0) as u64);
    format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", at.year, at.month, at.day, at.hour, at.minute, at.second)
}
