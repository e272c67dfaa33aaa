//! `global`: the command socket (`stats socket`, `stats timeout`, `stats maxconn`).

use super::bind;
use crate::conf::addr;
use crate::conf::draft::GlobalDraft;
use crate::conf::driver::{doc, row, Keyword, Places};
use crate::plan::CliSocket;

const G: Places = Places::GLOBAL;

/// Command socket keywords.
pub const ROWS: &[Keyword<GlobalDraft>] = &[
    row(
        "stats maxconn",
        G,
        |words, draft, _| {
            draft.global.cli_maxconn = words.need("a number")?.int_in(1..=i64::from(i32::MAX))? as u32;
            Ok(())
        },
        doc("stats maxconn <number>", "concurrent clients of the command sockets", "Default 10.", "stats maxconn 20"),
    ),
    row(
        "stats socket",
        G,
        |words, draft, cx| {
            let word = words.need("an address or path")?;
            let addrs = addr::bind(word, cx.resolve)?;
            let bind = bind::options(words, word.at, Places::CLI, cx)?;
            draft.global.cli.extend(addrs.into_iter().map(|addr| CliSocket {
                addr,
                level: bind.level,
                mode: bind.listener.unix_mode,
                uid: bind.listener.unix_uid,
                gid: bind.listener.unix_gid,
            }));
            Ok(())
        },
        doc(
            "stats socket <address|path> [level user|operator|admin] [mode <mode>] [user <name>] [group <name>]",
            "a socket that takes commands",
            "Try it with: echo \"show info\" | socat stdio /run/lighterman.sock. \"help\" lists the commands.",
            "stats socket /run/lighterman.sock mode 660 level admin",
        ),
    ),
    row(
        "stats timeout",
        G,
        |words, draft, _| {
            draft.global.cli_timeout = words.need("a time")?.time_ms()?;
            Ok(())
        },
        doc("stats timeout <time>", "how long a client of a command socket may be silent", "", "stats timeout 1m"),
    ),
];
