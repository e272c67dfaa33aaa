//! `global`: how much of everything.

use crate::conf::draft::GlobalDraft;
use crate::conf::driver::{doc, row, Keyword, Places};

const G: Places = Places::GLOBAL;

/// Limits.
pub const ROWS: &[Keyword<GlobalDraft>] = &[
    row(
        "fd-hard-limit",
        G,
        |words, draft, _| {
            draft.fd_hard_limit = Some(words.need("a number")?.uint()?).filter(|limit| *limit > 0);
            Ok(())
        },
        doc(
            "fd-hard-limit <number>",
            "the most descriptors one process may take when nothing else limits it",
            "Without \"maxconn\" and \"ulimit-n\" the system's limit decides, which is huge on some systems.",
            "fd-hard-limit 50000",
        ),
    ),
    row(
        "maxconn",
        G,
        |words, draft, _| {
            let word = words.need("a number")?;
            draft.global.maxconn = word.uint()?;
            draft.maxconn_at = Some(word.at);
            Ok(())
        },
        doc(
            "maxconn <number>",
            "concurrent connections over all workers",
            "When it is reached, new connections wait in the kernel. Without it the descriptor limit decides.",
            "maxconn 20000",
        ),
    ),
    row(
        "maxconnrate",
        G,
        |words, draft, _| {
            draft.global.maxconnrate = words.need("a number")?.uint()?;
            Ok(())
        },
        doc("maxconnrate <number>", "new connections per second over all workers; 0: any", "", "maxconnrate 2000"),
    ),
    row(
        "maxsessrate",
        G,
        |words, draft, _| {
            draft.global.maxsessrate = words.need("a number")?.uint()?;
            Ok(())
        },
        doc("maxsessrate <number>", "new sessions per second over all workers; 0: any", "", "maxsessrate 2000"),
    ),
    row(
        "maxsslconn",
        G,
        |words, draft, _| {
            draft.global.maxsslconn = words.need("a number")?.uint()?;
            Ok(())
        },
        doc("maxsslconn <number>", "concurrent TLS connections, both sides counted; 0: any", "", "maxsslconn 10000"),
    ),
    row(
        "maxsslrate",
        G,
        |words, draft, _| {
            draft.global.maxsslrate = words.need("a number")?.uint()?;
            Ok(())
        },
        doc("maxsslrate <number>", "new TLS connections per second over all workers; 0: any", "", "maxsslrate 500"),
    ),
    row(
        "ulimit-n",
        G,
        |words, draft, _| {
            let word = words.need("a number")?;
            draft.global.ulimit_n = word.uint()?;
            draft.ulimit_at = Some(word.at);
            Ok(())
        },
        doc(
            "ulimit-n <number>",
            "descriptors a process may open",
            "Computed from \"maxconn\" when it is not written; write it only to lower it.",
            "ulimit-n 50000",
        ),
    ),
];
