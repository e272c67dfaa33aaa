//! Commands about the keys of TLS session tickets that come from files (`tls-ticket-keys`).

use super::{Answer, Ask, CliCx, Command, Face};
use crate::base::doc::Doc;
use crate::net::contexts::{ticket_files, ticket_rings};
use crate::net::tls::ticket_file;
use crate::plan::global::CliLevel;

/// The commands of this family.
pub const ROWS: &[Command] = &[
    Command {
        path: &["set", "ssl", "tls-key"],
        level: CliLevel::Admin,
        face: Face::Traffic,
        start: set_key,
        doc: Doc {
            usage: "set ssl tls-key <id|file> <key>",
            brief: "add a key for TLS session tickets",
            text: "The id and the file are those of \"show tls-keys\"; the key is 48 or 80 bytes in base64, as the \
                   others of the file. It takes the place of the oldest and opens tickets from now on, in all workers at \
                   once; the key before it, which other boxes should know by now, seals. What was added outlives a \
                   reload unless the file has changed.",
            example: "set ssl tls-key 0 /sTq1kZ1Wc6eZzVwd7nO6E6U0cGvJq0jvR0n2b8qJd0W4K3cS9cRk0nJm0dX0v1N",
        },
    },
    Command {
        path: &["show", "tls-keys"],
        level: CliLevel::Operator,
        face: Face::Traffic,
        start: show_keys,
        doc: Doc {
            usage: "show tls-keys [<id|file>|*]",
            brief: "show files of TLS ticket keys, or the keys",
            text: "Without an argument, the files with their ids. With one, the keys of one file or of all in base64, \
                   oldest first, which only admins may see.",
            example: "show tls-keys",
        },
    },
];

/// The place of a file that is named by its id, `#id` or its name.
fn find(name: &str, cx: &CliCx<'_>) -> Result<usize, String> {
    let files = ticket_files(cx.plan);
    let id = name.trim_start_matches('#').parse::<usize>().ok().filter(|id| *id < files.len());
    let named = || files.iter().position(|file| file.as_os_str() == name);
    id.or_else(named).ok_or_else(|| "No such file of ticket keys: see \"show tls-keys\".".to_owned())
}

fn set_key(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    if ask.word(4).is_empty() {
        return Err("Expects a file or id, and a key: 'set ssl tls-key <id|file> <key>'.".to_owned());
    }
    let place = find(ask.word(3), cx)?;
    let key = ticket_file::parse(ask.word(4)).map_err(|what| format!("This is {what}."))?;
    let rings = ticket_rings(cx.plan, cx.shm);
    let ring = rings.get(place).ok_or("The keys are not there.")?;
    if ring.keys().0.first().is_some_and(|first| first.short != key.short) {
        return Err("The key is not as long as the others.".to_owned());
    }
    if !ring.push(key) {
        return Err("The keys are being changed by somebody else, try again.".to_owned());
    }
    Ok(Answer::Text("TLS ticket key updated!".to_owned()))
}

fn show_keys(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let files = ticket_files(cx.plan);
    let mut out = String::new();
    let chosen = match ask.word(2) {
        "" => {
            out.push_str("# id (file)\n");
            for (id, file) in files.iter().enumerate() {
                out.push_str(&format!("{id} ({})\n", file.display()));
            }
            return Ok(Answer::Text(out));
        }
        _ if ask.manners.level < CliLevel::Admin => return Err("Permission denied".to_owned()),
        "*" => None,
        name => Some(find(name, cx)?),
    };
    out.push_str("# id secret\n");
    for (id, (file, ring)) in files.iter().zip(ticket_rings(cx.plan, cx.shm)).enumerate() {
        if chosen.is_some_and(|chosen| chosen != id) {
            continue;
        }
        out.push_str(&format!("# {id} ({})\n", file.display()));
        for (place, key) in ring.keys().0.iter().enumerate() {
            out.push_str(&format!("{id}.{place} {}\n", ticket_file::format(key)));
        }
    }
    Ok(Answer::Text(out))
}
