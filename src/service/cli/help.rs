//! `help`, and what an unknown command is answered: both are printed from the rows.

use super::general::level_name;
use super::{Command, Face, Manners, FAMILIES};
use crate::base::doc::Doc;
use crate::lang::suggest::nearest;

/// Commands that the client could mean by words it typed, or all for no word.
pub fn list(words: &[String], manners: &Manners) -> String {
    let found = matching(words, manners);
    let found = if found.is_empty() { matching(&[], manners) } else { found };
    print("The following commands are valid at this level:", found, manners)
}

/// The answer to a command that does not exist.
pub fn unknown(words: &[String], manners: &Manners) -> String {
    let typed = words.first().map_or("", String::as_str);
    let found = likely(words, manners);
    if found.is_empty() {
        let title = format!("Unknown command: '{typed}'. Please enter one of the following commands only:");
        return print(&title, matching(&[], manners), manners);
    }
    let title = format!("Unknown command: '{typed}', but maybe one of the following ones is a better match:");
    print(&title, found, manners)
}

fn known(manners: &Manners) -> impl Iterator<Item = &'static Command> {
    let Manners { level, side, .. } = *manners;
    let rows = FAMILIES.iter().flat_map(|rows| rows.iter());
    rows.filter(move |command| command.level <= level && command.face.shows_on(side))
}

/// Commands whose path agrees with all the words, as far as both go; the last word may be a prefix.
fn matching(words: &[String], manners: &Manners) -> Vec<&'static Command> {
    let agrees = |command: &&Command| {
        words.iter().zip(command.path).enumerate().all(|(at, (typed, path))| {
            if at + 1 == words.len() {
                path.starts_with(typed.as_str())
            } else {
                typed == path
            }
        })
    };
    known(manners).filter(agrees).collect()
}

/// Commands near to what was typed: the same beginning, or words of nearly the same spelling.
fn likely(words: &[String], manners: &Manners) -> Vec<&'static Command> {
    let Some(first) = words.first() else { return Vec::new() };
    let firsts = || known(manners).filter_map(|command| command.path.first().copied());
    let Some(first) = firsts().find(|word| word == first).or_else(|| nearest(first, firsts())) else {
        return Vec::new();
    };
    let same: Vec<_> = known(manners).filter(|command| command.path.first() == Some(&first)).collect();
    let Some(second) = words.get(1) else { return same };
    let seconds = || same.iter().filter_map(|command| command.path.get(1).copied());
    let second = seconds().find(|word| word == second).or_else(|| nearest(second, seconds()));
    match second {
        Some(second) => same.into_iter().filter(|command| command.path.get(1) == Some(&second)).collect(),
        None => same,
    }
}

fn print(title: &str, mut commands: Vec<&'static Command>, manners: &Manners) -> String {
    const ALWAYS: [&str; 3] = ["help", "prompt", "quit"];
    let always = |command: &Command| command.path.first().is_some_and(|word| ALWAYS.contains(word));
    commands.retain(|command| !always(command));
    commands.sort_by_key(|command| command.path);
    commands.extend(known(manners).filter(|command| always(command)));
    let mut out = format!("{title}\n");
    for command in commands {
        out.push_str(&format!("  {:<40}: {}\n", command.doc.usage, command.doc.brief));
    }
    out
}

/// The manual of all commands, as Markdown: `doc/reference` holds a copy that a test compares.
pub fn reference() -> String {
    let mut commands: Vec<&Command> = FAMILIES.iter().flat_map(|rows| rows.iter()).collect();
    commands.sort_by_key(|command| command.path);
    let mut out = String::from(
        "# Commands of the command socket\n\n\
         What `stats socket` and the master's socket (`-S`) understand. Several commands on one line are \
         separated by `;`, each answer ends with an empty line. A `;`, a blank or a `\\` that belongs to a \
         word is written behind a `\\`. A command that takes a payload ends its line with `<<`; the payload \
         ends with an empty line (`<<END`: with a line `END`).\n",
    );
    for command in commands {
        let Doc { usage, brief, text, example } = command.doc;
        let level = level_name(command.level);
        let face = match command.face {
            Face::Traffic => "",
            Face::Master => ", master's socket only",
            Face::Both => ", also on the master's socket",
        };
        out.push_str(&format!("\n## `{usage}`\n\n*Level {level}{face}.* {}.\n\n{text}\n", capital(brief)));
        out.push_str(&format!("\n```\n{example}\n```\n"));
    }
    out
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_holds_every_command() {
        let manual = reference();
        for command in FAMILIES.iter().flat_map(|rows| rows.iter()) {
            assert!(manual.contains(&format!("\n## `{}`\n", command.doc.usage)));
        }
        assert!(manual.contains("*Level admin.* Change a server's weight.\n"));
    }
}
