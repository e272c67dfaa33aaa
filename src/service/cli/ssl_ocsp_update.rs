//! Commands about OCSP answers that are kept fresh in the background.

use super::ssl_ocsp::words;
use super::{Answer, Ask, CliCx, Command, Face, Job, JobStep, Rows};
use crate::base::doc::Doc;
use crate::net::tls::describe;
use crate::plan::global::CliLevel;
use crate::service::ocsp::book::{Item, Status};
use lighterman_wire::http::date::Civil;
use std::path::PathBuf;

/// The commands of this family.
pub const ROWS: &[Command] = &[
    Command {
        path: &["show", "ssl", "ocsp-updates"],
        level: CliLevel::Operator,
        face: Face::Traffic,
        start: show,
        doc: Doc {
            usage: "show ssl ocsp-updates",
            brief: "show which OCSP answers are kept fresh, and how that goes",
            text: "One line per certificate with \"ocsp-update on\": id, file, when it is looked at next, when its answer was \
                   renewed, how often that went well and how often not, and what came of the last time. The next one comes \
                   first.",
            example: "show ssl ocsp-updates",
        },
    },
    Command {
        path: &["update", "ssl", "ocsp-response"],
        level: CliLevel::Admin,
        face: Face::Traffic,
        start: update,
        doc: Doc {
            usage: "update ssl ocsp-response <certificate>",
            brief: "ask for a new OCSP answer now",
            text: "The certificate is one of \"show ssl ocsp-updates\", by its file. The answer is shown when it has \
                   come, or why there is none; all processes staple it a moment later.",
            example: "update ssl ocsp-response /etc/ssl/private/site.pem",
        },
    },
];

/// How often the end of an attempt is looked for, milliseconds, if nothing wakes the session earlier.
const ASK_AGAIN_MS: u64 = 50;
/// Nobody waits longer for an attempt, milliseconds.
const PATIENCE_MS: u64 = 30_000;

const NOBODY: &str = "No certificate has \"ocsp-update on\".";

fn show(_ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let book = cx.host.ocsp().ok_or(NOBODY)?;
    let lines: Vec<String> = book.items().into_iter().map(line).collect();
    let head =
        "OCSP Certid | Path | Next Update | Last Update | Successes | Failures | Last Update Status | \
                Last Update Status (str)\n";
    let mut head = Some(head);
    let write = move |at: usize, out: &mut Vec<u8>, _: &mut CliCx<'_>| {
        out.extend(head.take().unwrap_or_default().bytes());
        out.extend(lines.get(at.wrapping_sub(1)).map_or("", String::as_str).bytes());
    };
    let count = cx.host.ocsp().map_or(0, |book| book.items().len());
    Ok(Answer::Work(Box::new(Rows::new(count + 1, write))))
}

fn line(item: &Item) -> String {
    let id = if item.id.is_empty() { "-".to_owned() } else { item.id.to_ascii_lowercase() };
    format!(
        "{id} | {} | {} | {} | {} | {} | {} | {}\n",
        item.file.display(),
        date(item.next_s),
        item.last_s.map_or_else(|| "-".to_owned(), date),
        item.successes,
        item.failures,
        item.status as u8,
        item.status.words()
    )
}

/// `30/Jan/2023:00:08:09 +0000`.
fn date(unix_s: u64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let civil = Civil::of(unix_s);
    let month = MONTHS.get((civil.month as usize).wrapping_sub(1)).unwrap_or(&"");
    format!(
        "{:02}/{month}/{}:{:02}:{:02}:{:02} +0000",
        civil.day, civil.year, civil.hour, civil.minute, civil.second
    )
}

fn update(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let now_s = cx.wall().as_secs();
    let file = PathBuf::from(ask.word(3));
    if ask.word(3).is_empty() {
        return Err("'update ssl ocsp-response' expects a filename".to_owned());
    }
    let book = cx.host.ocsp().ok_or(NOBODY)?;
    let Some(rounds) = book.get(&file).map(|item| item.rounds) else {
        return Err("'update ssl ocsp-response' only works on certificates with \"ocsp-update on\": see \
                    \"show ssl ocsp-updates\"."
            .to_owned());
    };
    book.force(&file, now_s);
    Ok(Answer::Work(Box::new(Update { file, rounds, until: cx.now.tick.after(PATIENCE_MS) })))
}

/// Waits for the end of an attempt.
struct Update {
    file: PathBuf,
    rounds: u64,
    until: crate::base::tick::Tick,
}

impl Job for Update {
    fn step(&mut self, out: &mut Vec<u8>, cx: &mut CliCx<'_>) -> JobStep {
        let item = cx.host.ocsp().and_then(|book| book.get(&self.file).cloned());
        let Some(item) = item else {
            out.extend_from_slice(b"The certificate is gone.\n");
            return JobStep::Done;
        };
        if item.rounds == self.rounds {
            if cx.now.tick >= self.until {
                out.extend_from_slice(b"No answer in time, it is still waited for.\n");
                return JobStep::Done;
            }
            return JobStep::Wait(cx.now.tick.after(ASK_AGAIN_MS));
        }
        if item.status != Status::Good {
            out.extend(format!("{}: {}.\n", item.status.words(), item.why).bytes());
            return JobStep::Done;
        }
        let answers = cx.host.tls().map(|tls| tls.responses().all()).unwrap_or_default();
        let id = item.id.as_str();
        let own =
            answers.iter().find(|given| describe::hex(&given.id) == id || given.staple.file == item.file);
        let text = own.and_then(|given| describe::ocsp(&given.staple.bytes));
        out.extend(text.unwrap_or_else(|| words(crate::net::tls::staple::OcspFault::Other)).bytes());
        JobStep::Done
    }
}
