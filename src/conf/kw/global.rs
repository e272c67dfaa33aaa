//! `global`: the process as a whole.

use super::value;
use crate::conf::draft::GlobalDraft;
use crate::conf::driver::{doc, row, switch, Keyword, Places};
use crate::lang::diag::Diag;
use crate::lang::word::Word;

const G: Places = Places::GLOBAL;

/// Process keywords.
pub const ROWS: &[Keyword<GlobalDraft>] = &[
    row(
        "chroot",
        G,
        |words, draft, _| {
            draft.global.chroot = Some(value::path_below(None, words.need("a directory")?)?);
            Ok(())
        },
        doc(
            "chroot <directory>",
            "where workers are locked in once they have started",
            "Needs the rights of root. The directory should be empty and writable by nobody.",
            "chroot /var/empty",
        ),
    ),
    row(
        "cpu-map",
        G,
        |words, draft, _| {
            let who = words.need("worker numbers (like 1-4, auto:1-4 or all)")?;
            let first = words.need("CPU numbers (like 0-3)")?;
            let mut cpus = value::numbers(first, 0, 1023)?;
            for word in words.by_ref() {
                cpus.extend(value::numbers(word, 0, 1023)?);
            }
            map_cpus(who, &cpus, &mut draft.global.cpu_map)
        },
        doc(
            "cpu-map [auto:]<workers> <cpus>...",
            "which CPUs a worker may run on",
            "Workers are counted from 1; \"all\", \"odd\" and \"even\" are understood. With \"auto:\" the first worker \
             gets the first CPU, the second the second and so on; without it each worker may run on all of them. \
             The form with a thread number behind a slash is read for HAProxy's sake: with one process there it \
             counts as worker numbers.",
            "cpu-map auto:1-4 0-3",
        ),
    ),
    row(
        "daemon",
        G,
        |_, draft, _| {
            draft.global.daemon = true;
            Ok(())
        },
        doc("daemon", "go to the background after the start", "The same as -D on the command line.", "daemon"),
    ),
    row(
        "description",
        G,
        |words, draft, _| {
            let text: Vec<&str> = words.rest().iter().map(|word| word.text.as_str()).collect();
            draft.global.description = Some(text.join(" "));
            Ok(())
        },
        doc("description <text>", "a text shown with statistics", "", "description edge proxy of the office"),
    ),
    row(
        "gid",
        G,
        |words, draft, _| {
            draft.global.gid = Some(words.need("a group number")?.uint()?);
            Ok(())
        },
        doc("gid <number>", "the group workers run as", "", "gid 0"),
    ),
    row(
        "group",
        G,
        |words, draft, _| {
            draft.global.gid = Some(value::group(words.need("a group name")?)?);
            Ok(())
        },
        doc("group <name>", "the group workers run as", "", "group root"),
    ),
    row(
        "hard-stop-after",
        G,
        |words, draft, _| {
            draft.global.hard_stop_after = Some(u64::from(words.need("a time")?.time_ms()?)).filter(|ms| *ms > 0);
            Ok(())
        },
        doc(
            "hard-stop-after <time>",
            "how long a process that is told to finish may still serve",
            "Without it sessions end when they end. Counts after USR1 and for the old generation of a reload.",
            "hard-stop-after 30s",
        ),
    ),
    row(
        "master-worker",
        G,
        |words, draft, _| {
            words.eat("no-exit-on-failure");
            draft.global.master_worker = true;
            Ok(())
        },
        doc(
            "master-worker",
            "keep a master process that starts, watches and reloads the workers",
            "The same as -W on the command line.",
            "master-worker",
        ),
    ),
    row(
        "nbproc",
        G,
        |words, draft, _| set_workers(words.need("a number or auto")?, draft),
        doc(
            "nbproc auto|<number>",
            "how many workers serve",
            "\"auto\", the default, starts one worker per core. All workers share counters, TLS sessions and keys.",
            "nbproc 4",
        ),
    ),
    row(
        "nbthread",
        G,
        |words, draft, _| set_workers(words.need("a number or auto")?, draft),
        doc(
            "nbthread auto|<number>",
            "how many workers serve; read as \"nbproc\"",
            "There are no threads here: a worker is a process of its own, and all of them act as one.",
            "nbthread 4",
        ),
    ),
    row(
        "node",
        G,
        |words, draft, _| {
            let word = words.need("a name")?;
            let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            if word.text.is_empty() || !word.text.chars().all(fine) {
                return Err(word.err("a node name is made of letters, digits, \".\", \"-\" and \"_\""));
            }
            draft.global.node = Some(word.text.clone());
            Ok(())
        },
        doc("node <name>", "the name of this box in statistics", "", "node edge1"),
    ),
    row(
        "pidfile",
        G,
        |words, draft, _| {
            draft.global.pidfile = Some(value::path_below(None, words.need("a file")?)?);
            Ok(())
        },
        doc("pidfile <file>", "the file that gets the master's PID", "The same as -p.", "pidfile /run/lighterman.pid"),
    ),
    row(
        "presetenv",
        G,
        |words, _, _| name_and_value(words.need("a variable name")?, words.need("a value")?),
        doc(
            "presetenv <name> <value>",
            "set an environment variable unless it is there",
            "Counts for the lines that follow.",
            "presetenv PORT 8080",
        ),
    ),
    row(
        "quiet",
        G,
        |_, draft, _| {
            draft.global.quiet = true;
            Ok(())
        },
        doc("quiet", "say nothing at start but errors", "The same as -q.", "quiet"),
    ),
    row(
        "resetenv",
        G,
        |words, _, _| words.rest().iter().try_for_each(variable_name),
        doc(
            "resetenv [<name>...]",
            "forget all environment variables but these",
            "Counts for the lines that follow.",
            "resetenv PATH HOME",
        ),
    ),
    row(
        "setenv",
        G,
        |words, _, _| name_and_value(words.need("a variable name")?, words.need("a value")?),
        doc(
            "setenv <name> <value>",
            "set an environment variable",
            "Counts for the lines that follow.",
            "setenv PORT 8080",
        ),
    ),
    row(
        "uid",
        G,
        |words, draft, _| {
            draft.global.uid = Some(words.need("a user number")?.uint()?);
            Ok(())
        },
        doc("uid <number>", "the user workers run as", "", "uid 0"),
    ),
    row(
        "unix-bind",
        G,
        |words, draft, _| {
            let base = &mut draft.base;
            while let Some(word) = words.next() {
                match word.text.as_str() {
                    "prefix" => base.unix_prefix = Some(value::text(words.need("a path")?)?),
                    "mode" => base.unix_mode = Some(value::mode(words.need("a file mode")?)?),
                    "user" => base.unix_uid = Some(value::user(words.need("a user name")?)?),
                    "uid" => base.unix_uid = Some(words.need("a user number")?.uint()?),
                    "group" => base.unix_gid = Some(value::group(words.need("a group name")?)?),
                    "gid" => base.unix_gid = Some(words.need("a group number")?.uint()?),
                    _ => return Err(word.not_one_of("word", &["prefix", "mode", "user", "uid", "group", "gid"])),
                }
            }
            Ok(())
        },
        doc(
            "unix-bind [prefix <path>] [mode <mode>] [user <name>] [uid <n>] [group <name>] [gid <n>]",
            "settings of all UNIX sockets that \"bind\" lines make",
            "The prefix is put before every path. What a \"bind\" line says itself has precedence.",
            "unix-bind prefix /run/ mode 660",
        ),
    ),
    row(
        "unsetenv",
        G,
        |words, _, _| words.rest().iter().try_for_each(variable_name),
        doc(
            "unsetenv <name>...",
            "forget environment variables",
            "Counts for the lines that follow.",
            "unsetenv HTTP_PROXY",
        ),
    ),
    row(
        "user",
        G,
        |words, draft, _| {
            draft.global.uid = Some(value::user(words.need("a user name")?)?);
            Ok(())
        },
        doc("user <name>", "the user workers run as", "", "user root"),
    ),
    switch(
        "zero-warning",
        G,
        |_, draft, cx| {
            draft.zero_warning = cx.on();
            Ok(())
        },
        doc(
            "zero-warning",
            "refuse to start when there is any warning",
            "The same as -dW on the command line.",
            "zero-warning",
        ),
    ),
];

fn set_workers(word: &Word, draft: &mut GlobalDraft) -> Result<(), Diag> {
    draft.global.nbproc = match word.text.as_str() {
        "auto" => None,
        _ => Some(word.int_in(1..=WORKERS_MAX)? as u32),
    };
    Ok(())
}

fn map_cpus(who: &Word, cpus: &[u32], map: &mut Vec<Vec<u32>>) -> Result<(), Diag> {
    let (auto, set) = match who.text.strip_prefix("auto:") {
        Some(set) => (true, set),
        None => (false, who.text.as_str()),
    };
    let set = match set.split_once('/') {
        Some((process, thread)) if process == "1" || process == "all" => thread,
        Some((process, _)) => process,
        None => set,
    };
    let all: Vec<u32> = (1..=WORKERS_MAX as u32).collect();
    let workers: Vec<u32> = match set {
        "all" if auto => all.into_iter().take(cpus.len()).collect(),
        "all" => all,
        "odd" => all.into_iter().filter(|n| n % 2 == 1).collect(),
        "even" => all.into_iter().filter(|n| n % 2 == 0).collect(),
        _ => value::numbers(&Word { text: set.to_string(), at: who.at }, 1, WORKERS_MAX as u32)?,
    };
    if auto && workers.len() != cpus.len() {
        let what =
            format!("\"auto:\" needs as many CPUs as workers, found {} and {}", cpus.len(), workers.len());
        return Err(who.err(what));
    }
    for (nth, worker) in workers.iter().enumerate() {
        let at = *worker as usize - 1;
        if map.len() <= at {
            map.resize(at + 1, Vec::new());
        }
        map[at] = if auto { vec![cpus[nth]] } else { cpus.to_vec() };
    }
    Ok(())
}

fn variable_name(word: &Word) -> Result<(), Diag> {
    let fine = !word.text.starts_with(|c: char| c.is_ascii_digit())
        && !word.text.is_empty()
        && word.text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match fine {
        true => Ok(()),
        false => {
            Err(word.err("a variable name is made of letters, digits and \"_\" and begins with no digit"))
        }
    }
}

fn name_and_value(name: &Word, _: &Word) -> Result<(), Diag> {
    variable_name(name)
}

/// More workers than any machine has cores for.
const WORKERS_MAX: i64 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_maps() {
        let run = |who: &str, cpus: &[u32]| {
            let mut map = Vec::new();
            map_cpus(&Word::plain(who), cpus, &mut map).map(|()| map).map_err(|diag| diag.what)
        };
        assert_eq!(run("auto:1-2", &[4, 5]).unwrap(), [[4], [5]]);
        assert_eq!(run("2", &[4, 5]).unwrap(), [vec![], vec![4, 5]]);
        assert_eq!(run("auto:1/1-2", &[4, 5]).unwrap(), [[4], [5]]);
        assert_eq!(run("all", &[0]).unwrap().len(), WORKERS_MAX as usize);
        assert!(run("auto:1-3", &[1]).is_err() && run("x", &[1]).is_err() && run("0", &[1]).is_err());
    }
}
