//! Words of `userlist`: users, groups, passwords.

use std::collections::HashMap;

use crate::base::tick::Clock;
use crate::conf::draft::UserlistDraft;
use crate::conf::driver::{doc, row, Keyword, Places};
use crate::lang::diag::{Diag, Diags, Level};
use crate::lang::word::{Word, Words};
use crate::plan::users::{Password, User, UserList};
use lighterman_sys::crypt;

/// Keywords of the section.
pub const ROWS: &[Keyword<UserlistDraft>] = &[
    row(
        "group",
        Places::USERLIST,
        |words, draft, _| {
            let name = words.need("the name of a group")?;
            if draft.groups.iter().any(|(known, _)| known.text == name.text) {
                return Err(name.err(format!("a second group \"{}\"", name.text)));
            }
            let mut users = Vec::new();
            while let Some(word) = words.next() {
                match word.text.as_str() {
                    "users" => users.extend(list(words.need("names of users")?)),
                    _ => return Err(word.not_one_of("word", &["users"])),
                }
            }
            draft.groups.push((name.clone(), users));
            Ok(())
        },
        doc(
            "group <name> [users <user>,...]",
            "a group of users",
            "The fetch http_auth_group yields the groups of who has come in.",
            "group ops",
        ),
    ),
    row(
        "user",
        Places::USERLIST,
        user,
        doc(
            "user <name> [password|insecure-password <password>] [groups <group>,...]",
            "who may come in",
            "\"password\" takes a hash as crypt(3) makes them (SHA-256, SHA-512, bcrypt, yescrypt, whatever the system's \
             libcrypt knows), \"insecure-password\" the password itself. Prefer short hashes to slow ones: a comparison \
             costs a worker's time. Outcomes are remembered, and comparisons take a quarter of that time at most; \
             beyond that they fail.",
            "user joe insecure-password secret",
        ),
    ),
];

/// Names parted by commas.
fn list(word: &Word) -> Vec<Word> {
    let mut at = 0;
    let mut found = Vec::new();
    for part in word.text.split(',') {
        if !part.is_empty() {
            found.push(Word { text: part.to_string(), at: word.part(at, part.len()) });
        }
        at += part.len() + 1;
    }
    found
}

fn user(
    words: &mut Words<'_>,
    draft: &mut UserlistDraft,
    cx: &mut crate::conf::draft::LineCx<'_>,
) -> Result<(), Diag> {
    let name = words.need("the name of a user")?;
    if draft.users.iter().any(|known| *known.name == *name.text) {
        return Err(name.err(format!("a second user \"{}\"", name.text)));
    }
    let mut user = User { name: name.text.as_str().into(), password: None, groups: Vec::new() };
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "password" => {
                let (password, warning) = hashed(words.need("a hash")?, draft)?;
                warning.into_iter().for_each(|diag| cx.say(diag));
                user.password = Some(password);
            }
            "insecure-password" => {
                user.password = Some(Password::Plain(words.need("a password")?.text.as_bytes().into()));
            }
            "groups" => {
                let groups = list(words.need("names of groups")?);
                user.groups = groups.iter().map(|group| group.text.as_str().into()).collect();
                draft.asked.extend(groups);
            }
            _ => return Err(word.not_one_of("word", &["password", "insecure-password", "groups"])),
        }
    }
    draft.users.push(user);
    Ok(())
}

/// Judges a hash, and finds out what a comparison costs: one for each way and cost.
fn hashed(word: &Word, draft: &mut UserlistDraft) -> Result<(Password, Option<Diag>), Diag> {
    if !crypt::is_there() {
        let diag = word.err("hashes cannot be compared: this system has no libcrypt");
        return Err(diag.help("install it, or use \"insecure-password\""));
    }
    let way = way_of(&word.text);
    if let Some(cost_us) = draft.costs.get(way) {
        return Ok((Password::Crypt(word.text.as_str().into(), *cost_us), None));
    }
    let began = Clock::real().read().mono_us;
    if crypt::hash(b"password", &word.text).is_none_or(|made| made.len() != word.text.len()) {
        let diag = word.err("this is no hash that libcrypt knows");
        return Err(diag.help("make one with \"mkpasswd -m sha-256\", or use \"insecure-password\""));
    }
    let cost_us = Clock::real().read().mono_us.saturating_sub(began);
    if cost_us > COST_MAX_US {
        let what =
            format!("a comparison takes {} ms, during which a worker would do nothing else", cost_us / 1000);
        return Err(word.err(what).help("use fewer rounds"));
    }
    let warning = (cost_us > COST_WARN_US).then(|| {
        let what =
            format!("a comparison takes {} ms, during which a worker does nothing else", cost_us / 1000);
        word.diag(Level::Warning, what).help("fewer rounds, or SHA-256, cost less")
    });
    draft.costs.insert(way.to_string(), cost_us);
    Ok((Password::Crypt(word.text.as_str().into(), cost_us), warning))
}

/// Way and cost of a hash: all but salt and outcome.
fn way_of(hash: &str) -> &str {
    let fields: Vec<&str> = hash.split('$').collect();
    let named = fields.get(1).is_some_and(|way| matches!(*way, "2a" | "2b" | "2x" | "2y" | "y" | "gy"));
    let with_cost = named || fields.get(2).is_some_and(|field| field.starts_with("rounds="));
    let kept = if with_cost { 3 } else { 2 };
    let len = fields.iter().take(kept).map(|field| field.len() + 1).sum::<usize>();
    if fields.len() > kept {
        hash.get(..len).unwrap_or("")
    } else {
        ""
    }
}

/// The list a section has made; what it says wrong goes to `diags`.
pub fn finish(name: &str, mut draft: UserlistDraft, diags: &mut Diags) -> UserList {
    let groups: HashMap<&str, &Word> =
        draft.groups.iter().map(|(word, _)| (word.text.as_str(), word)).collect();
    for group in draft.asked.iter().filter(|group| !groups.contains_key(group.text.as_str())) {
        diags.push(group.err(format!("there is no group \"{}\"", group.text)).within("\"user\""));
    }
    for (group, users) in &draft.groups {
        for word in users {
            let Some(user) = draft.users.iter_mut().find(|user| *user.name == *word.text) else {
                diags.push(word.err(format!("there is no user \"{}\"", word.text)).within("\"group\""));
                continue;
            };
            if !user.groups.iter().any(|known| **known == *group.text) {
                user.groups.push(group.text.as_str().into());
            }
        }
    }
    UserList::new(name, draft.users)
}

/// More than this and a worker stands still for too long.
const COST_MAX_US: u64 = 500_000;

/// More than this should be known to who wrote it.
const COST_WARN_US: u64 = 50_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_of_a_hash_is_what_decides_its_cost() {
        let table = [
            ("$6$salt$hash", "$6$"),
            ("$6$rounds=9000$salt$hash", "$6$rounds=9000$"),
            ("$2y$10$saltandhash", "$2y$10$"),
            ("$y$j9T$salt$hash", "$y$j9T$"),
            ("abCDefgh", ""),
            ("", ""),
        ];
        for (hash, way) in table {
            assert_eq!(way_of(hash), way, "{hash}");
        }
    }
}
