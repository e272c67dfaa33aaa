//! Commands about the conversation itself: help, prompt, levels, timeouts, waiting.

use super::args::delay;
use super::{help, Answer, Ask, CliCx, Command, Face, Job, JobStep};
use crate::base::doc::Doc;
use crate::base::tick::Tick;
use crate::plan::global::CliLevel;
use std::time::Duration;

/// The commands of this family.
pub const ROWS: &[Command] = &[
    Command {
        path: &["help"],
        level: CliLevel::User,
        face: Face::Both,
        start: |ask, _| Ok(Answer::Text(help::list(ask.words.get(1..).unwrap_or_default(), ask.manners))),
        doc: Doc {
            usage: "help [<command>]",
            brief: "list matching or all commands",
            text:
                "Lists the commands that the client's level allows, or those that begin with the words given.",
            example: "help show stat",
        },
    },
    Command {
        path: &["prompt"],
        level: CliLevel::User,
        face: Face::Both,
        start: prompt,
        doc: Doc {
            usage: "prompt [n|i|p|timed]",
            brief: "toggle interactive mode with prompt",
            text:
                "Without argument, changes between a connection that ends after one line and one that stays \
                   and asks for the next command with \"> \". n: ends after the line. i: stays, without \
                   prompt. p: stays, with prompt. timed: shows or hides the uptime in the prompt.",
            example: "prompt",
        },
    },
    Command {
        path: &["quit"],
        level: CliLevel::User,
        face: Face::Both,
        start: |ask, _| {
            ask.manners.quit = true;
            Ok(Answer::Nothing)
        },
        doc: Doc {
            usage: "quit",
            brief: "disconnect",
            text: "Ends the connection. Commands behind it on the same line are not run.",
            example: "quit",
        },
    },
    Command {
        path: &["operator"],
        level: CliLevel::Operator,
        face: Face::Both,
        start: |ask, _| lower(ask, CliLevel::Operator),
        doc: Doc {
            usage: "operator",
            brief: "lower the level of the current CLI session to operator",
            text: "There is no way back within the same connection.",
            example: "operator",
        },
    },
    Command {
        path: &["user"],
        level: CliLevel::User,
        face: Face::Both,
        start: |ask, _| lower(ask, CliLevel::User),
        doc: Doc {
            usage: "user",
            brief: "lower the level of the current CLI session to user",
            text: "There is no way back within the same connection.",
            example: "user",
        },
    },
    Command {
        path: &["show", "cli", "level"],
        level: CliLevel::User,
        face: Face::Both,
        start: |ask, _| Ok(Answer::Text(level_name(ask.manners.level).to_owned())),
        doc: Doc {
            usage: "show cli level",
            brief: "display the level of the current CLI session",
            text: "One of user, operator, admin.",
            example: "show cli level",
        },
    },
    Command {
        path: &["set", "timeout", "cli"],
        level: CliLevel::User,
        face: Face::Both,
        start: set_timeout,
        doc: Doc {
            usage: "set timeout cli <delay>",
            brief: "change how long this session may be silent",
            text: "The delay is counted in seconds unless it has a unit. It holds for this connection.",
            example: "set timeout cli 5m",
        },
    },
    Command {
        path: &["expert-mode"],
        level: CliLevel::Admin,
        face: Face::Both,
        start: |ask, _| {
            let word = ask.word(1).to_owned();
            switch("expert-mode", &word, &mut ask.manners.expert)
        },
        doc: Doc {
            usage: "expert-mode [on|off]",
            brief: "show or set whether commands for developers are known",
            text: "Without argument, tells which. It holds for this connection.",
            example: "expert-mode on",
        },
    },
    Command {
        path: &["experimental-mode"],
        level: CliLevel::Admin,
        face: Face::Both,
        start: |ask, _| {
            let word = ask.word(1).to_owned();
            switch("experimental-mode", &word, &mut ask.manners.experimental)
        },
        doc: Doc {
            usage: "experimental-mode [on|off]",
            brief: "show or set whether experimental commands are known",
            text: "Without argument, tells which. It holds for this connection.",
            example: "experimental-mode on",
        },
    },
    Command {
        path: &["wait"],
        level: CliLevel::User,
        face: Face::Both,
        start: wait,
        doc: Doc {
            usage: "wait <delay>",
            brief: "wait before the next command of the line",
            text: "The delay is counted in milliseconds unless it has a unit.",
            example: "clear counters; wait 10s; show stat",
        },
    },
];

/// How configurations and answers spell a level.
pub fn level_name(level: CliLevel) -> &'static str {
    match level {
        CliLevel::User => "user",
        CliLevel::Operator => "operator",
        CliLevel::Admin => "admin",
    }
}

fn lower(ask: &mut Ask<'_>, to: CliLevel) -> Result<Answer, String> {
    ask.manners.level = ask.manners.level.min(to);
    Ok(Answer::Nothing)
}

fn prompt(ask: &mut Ask<'_>, _: &mut CliCx<'_>) -> Result<Answer, String> {
    let (interactive, prompt) = match ask.word(1) {
        "" => (!ask.manners.prompt, !ask.manners.prompt),
        "n" => (false, false),
        "i" => (true, false),
        "p" => (true, true),
        "timed" => {
            ask.manners.timed = !ask.manners.timed;
            (true, true)
        }
        other => return Err(format!("Unknown mode '{other}', expects 'n', 'i', 'p' or 'timed'.")),
    };
    ask.manners.interactive = interactive;
    ask.manners.prompt = prompt;
    Ok(Answer::Nothing)
}

fn switch(name: &str, word: &str, mode: &mut bool) -> Result<Answer, String> {
    match word {
        "" => return Ok(Answer::Text(format!("{name} is {}", if *mode { "ON" } else { "OFF" }))),
        "on" => *mode = true,
        "off" => *mode = false,
        _ => return Err(format!("'{name}' expects 'on' or 'off'.")),
    }
    Ok(Answer::Nothing)
}

fn set_timeout(ask: &mut Ask<'_>, _: &mut CliCx<'_>) -> Result<Answer, String> {
    match ask.word(3) {
        "" => Err("Expects an integer value.".to_owned()),
        text => match delay(text, Duration::from_secs(1)) {
            None | Some(Duration::ZERO) => Err("Invalid timeout value.".to_owned()),
            Some(timeout) => {
                ask.manners.timeout = timeout;
                Ok(Answer::Nothing)
            }
        },
    }
}

/// Waits up to a moment.
struct Wait(Tick);

impl Job for Wait {
    fn step(&mut self, out: &mut Vec<u8>, cx: &mut CliCx<'_>) -> JobStep {
        if cx.now.tick < self.0 {
            return JobStep::Wait(self.0);
        }
        out.extend_from_slice(b"Done.\n");
        JobStep::Done
    }
}

fn wait(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    match ask.word(1) {
        "" => Err("Expects a delay, such as '500ms' or '10s'.".to_owned()),
        text => match delay(text, Duration::from_millis(1)) {
            None => Err(format!("Invalid delay '{text}'.")),
            Some(delay) => Ok(Answer::Work(Box::new(Wait(cx.now.tick.after(delay.as_millis() as u64))))),
        },
    }
}
