//! Commands about single sessions: only the workers know them, so they are asked.

use super::process::Await;
use super::{Answer, Ask, CliCx, Command, Face};
use crate::base::doc::Doc;
use crate::plan::global::CliLevel;

/// The commands of this family.
pub const ROWS: &[Command] = &[
    Command {
        path: &["show", "sess"],
        level: CliLevel::Operator,
        face: Face::Traffic,
        start: |ask, cx| match ask_all(ask, cx) {
            Some(answer) => Ok(answer),
            None => Ok(Answer::Nothing),
        },
        doc: Doc {
            usage: "show sess [<id>]",
            brief: "report the list of current sessions or dump this exact session",
            text: "One line per session: where it comes from and goes to, its age and what it waits for.",
            example: "show sess",
        },
    },
    Command {
        path: &["shutdown", "session"],
        level: CliLevel::Admin,
        face: Face::Traffic,
        start: |ask, cx| {
            if ask.word(2).is_empty() {
                return Err("Session pointer expected (use 'show sess').".to_owned());
            }
            ask_all(ask, cx).ok_or_else(|| "No such session (use 'show sess').".to_owned())
        },
        doc: Doc {
            usage: "shutdown session [id]",
            brief: "kill a specific session",
            text: "Ends the session whose id 'show sess' prints first on its line.",
            example: "shutdown session 0x7f00000001",
        },
    },
];

/// Hands the command as it was typed to all workers.
fn ask_all(ask: &Ask<'_>, cx: &mut CliCx<'_>) -> Option<Answer> {
    let ticket = cx.host.ask_workers(&ask.words.join(" "))?;
    Some(Answer::Work(Box::new(Await(ticket))))
}
