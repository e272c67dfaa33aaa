//! Commands about whom the configuration believes: `ca-file` and `crl-file` by name, changed in transactions.
//!
//! What is set stays a draft of the process with the command socket until it is committed; then it is brought to all
//! processes, and the answer comes when all of them have it in force.

use super::ssl_change;
use super::{Answer, Ask, CliCx, Command, Face};
use crate::base::doc::Doc;
use crate::net::contexts::Contexts;
use crate::net::tls::authority::{Authorities, Revoked};
use crate::net::tls::change::Change;
use crate::net::tls::describe;
use crate::net::tls::trust::{Draft, TrustKind};
use crate::plan::global::CliLevel;
use std::path::Path;

/// Bytes of a file that was put together by commands.
const CONTENT_MAX: usize = 4 << 20;

const fn row(
    path: &'static [&'static str],
    level: CliLevel,
    start: fn(&mut Ask<'_>, &mut CliCx<'_>) -> Result<Answer, String>,
    doc: Doc,
) -> Command {
    Command { path, level, face: Face::Traffic, start, doc }
}

/// The commands of this family.
pub const ROWS: &[Command] = &[
    row(&["show", "ssl", "ca-file"], CliLevel::Operator, |ask, cx| show(ask, cx, TrustKind::Ca), Doc {
        usage: "show ssl ca-file [[*]<file>[:<index>]]",
        brief: "show the files of authorities, or what is in one",
        text: "Without an argument, the names of all files that \"ca-file\" and \"ca-verify-file\" name, and of those that \
               commands have made. With one, its certificates, or the one with this index, from 1. An asterisk before \
               the name means what was set and is not committed yet.",
        example: "show ssl ca-file clients.pem:1",
    }),
    row(&["new", "ssl", "ca-file"], CliLevel::Admin, |ask, cx| new(ask, cx, TrustKind::Ca), Doc {
        usage: "new ssl ca-file <file>",
        brief: "make an empty file of authorities",
        text: "Only in memory, and not used by any line: it is filled with \"set ssl ca-file\".",
        example: "new ssl ca-file partners.pem",
    }),
    row(&["set", "ssl", "ca-file"], CliLevel::Admin, |ask, cx| set(ask, cx, TrustKind::Ca, false), Doc {
        usage: "set ssl ca-file <file> <<\\n<PEM>\\n",
        brief: "prepare other authorities under the name of a file",
        text: "The payload takes the place of all certificates of the file once it is committed. Setting the same \
               file again replaces what was set; only one file can be prepared at a time.",
        example: "set ssl ca-file clients.pem <<\\n$(cat new.pem)\\n",
    }),
    row(&["add", "ssl", "ca-file"], CliLevel::Admin, |ask, cx| set(ask, cx, TrustKind::Ca, true), Doc {
        usage: "add ssl ca-file <file> <<\\n<PEM>\\n",
        brief: "prepare more authorities under the name of a file",
        text: "As \"set ssl ca-file\", but the certificates come to those that are there, or were set before.",
        example: "add ssl ca-file clients.pem <<\\n$(cat one-more.pem)\\n",
    }),
    row(&["commit", "ssl", "ca-file"], CliLevel::Admin, |ask, cx| commit(ask, cx, TrustKind::Ca), Doc {
        usage: "commit ssl ca-file <file>",
        brief: "put prepared authorities in force",
        text: "In all workers, and in those that are started later, for all handshakes that begin when the answer has \
               come. No session that was verified with the authorities before is resumed. A reload reads the \
               files again.",
        example: "commit ssl ca-file clients.pem",
    }),
    row(&["abort", "ssl", "ca-file"], CliLevel::Admin, |ask, cx| abort(ask, cx, TrustKind::Ca), Doc {
        usage: "abort ssl ca-file <file>",
        brief: "drop prepared authorities",
        text: "What was set is forgotten.",
        example: "abort ssl ca-file clients.pem",
    }),
    row(&["del", "ssl", "ca-file"], CliLevel::Admin, |ask, cx| delete(ask, cx, TrustKind::Ca), Doc {
        usage: "del ssl ca-file <file>",
        brief: "forget a file of authorities that no line uses",
        text: "The file on the disk stays.",
        example: "del ssl ca-file partners.pem",
    }),
    row(&["show", "ssl", "crl-file"], CliLevel::Operator, |ask, cx| show(ask, cx, TrustKind::Crl), Doc {
        usage: "show ssl crl-file [[*]<file>[:<index>]]",
        brief: "show the files of revocation lists, or what is in one",
        text: "Without an argument, the names of all files that \"crl-file\" names, and of those that commands have \
               made. With one, its lists, or the one with this index, from 1. An asterisk before the name means what was \
               set and is not committed yet.",
        example: "show ssl crl-file revoked.pem",
    }),
    row(&["new", "ssl", "crl-file"], CliLevel::Admin, |ask, cx| new(ask, cx, TrustKind::Crl), Doc {
        usage: "new ssl crl-file <file>",
        brief: "make an empty file of revocation lists",
        text: "Only in memory, and not used by any line: it is filled with \"set ssl crl-file\".",
        example: "new ssl crl-file partners.crl",
    }),
    row(&["set", "ssl", "crl-file"], CliLevel::Admin, |ask, cx| set(ask, cx, TrustKind::Crl, false), Doc {
        usage: "set ssl crl-file <file> <<\\n<PEM>\\n",
        brief: "prepare other revocation lists under the name of a file",
        text: "The payload takes the place of all lists of the file once it is committed; there must be one for every \
               authority of a chain. Setting the same file again replaces what was set; only one file can be prepared at \
               a time.",
        example: "set ssl crl-file revoked.pem <<\\n$(cat new.crl)\\n",
    }),
    row(&["commit", "ssl", "crl-file"], CliLevel::Admin, |ask, cx| commit(ask, cx, TrustKind::Crl), Doc {
        usage: "commit ssl crl-file <file>",
        brief: "put prepared revocation lists in force",
        text: "As \"commit ssl ca-file\".",
        example: "commit ssl crl-file revoked.pem",
    }),
    row(&["abort", "ssl", "crl-file"], CliLevel::Admin, |ask, cx| abort(ask, cx, TrustKind::Crl), Doc {
        usage: "abort ssl crl-file <file>",
        brief: "drop prepared revocation lists",
        text: "What was set is forgotten.",
        example: "abort ssl crl-file revoked.pem",
    }),
    row(&["del", "ssl", "crl-file"], CliLevel::Admin, |ask, cx| delete(ask, cx, TrustKind::Crl), Doc {
        usage: "del ssl crl-file <file>",
        brief: "forget a file of revocation lists that no line uses",
        text: "The file on the disk stays.",
        example: "del ssl crl-file partners.crl",
    }),
];

/// What people call a kind.
fn title(kind: TrustKind) -> &'static str {
    match kind {
        TrustKind::Ca => "CA",
        TrustKind::Crl => "CRL",
    }
}

fn contexts<'c>(cx: &'c CliCx<'_>) -> Result<&'c Contexts, String> {
    cx.host.tls().ok_or_else(|| "No TLS here.".to_owned())
}

/// The name of the file a command is about.
fn file<'a>(ask: &'a Ask<'_>, verb: &str, kind: TrustKind, what: &str) -> Result<&'a str, String> {
    match ask.word(3) {
        "" => Err(format!("'{verb} ssl {}' expects {what}", kind.word())),
        name => Ok(name),
    }
}

/// Whether there is something under this name.
fn exists(tls: &Contexts, kind: TrustKind, name: &str) -> bool {
    match kind {
        TrustKind::Ca => tls.trust().authorities_of(name).is_some(),
        TrustKind::Crl => tls.trust().revoked_of(name).is_some(),
    }
}

fn new(ask: &mut Ask<'_>, cx: &mut CliCx<'_>, kind: TrustKind) -> Result<Answer, String> {
    let name = file(ask, "new", kind, "a filename")?;
    let title = title(kind);
    let tls = contexts(cx)?;
    let drafted = tls.trust().draft(kind).is_some_and(|draft| draft.name == name);
    if drafted || exists(tls, kind, name) {
        return Err(format!("{title} file '{name}' already exists!"));
    }
    let change = Change::of_trust(kind, name, Some(b""));
    ssl_change::put(change, cx, String::new(), format!("New {title} file created '{name}'!\n"))
}

fn set(ask: &mut Ask<'_>, cx: &mut CliCx<'_>, kind: TrustKind, more: bool) -> Result<Answer, String> {
    let verb = if more { "add" } else { "set" };
    let title = title(kind);
    let name = file(ask, verb, kind, &format!("a filename and {title}s as a payload"))?;
    let payload = ask.payload.ok_or_else(|| {
        format!("'{verb} ssl {}' expects a filename and {title}s as a payload", kind.word())
    })?;
    let refused = |why: &str| format!("{why}\nCan't update {name}!\n");
    let tls = contexts(cx)?;
    let draft = tls.trust().draft(kind);
    if let Some(other) = draft.as_ref().filter(|draft| draft.name != name) {
        return Err(refused(&ongoing(&other.name, &format!("set '{name}'"))));
    }
    if draft.is_none() && !exists(tls, kind, name) {
        return Err(refused(&format!(
            "Can't replace a {title} file which is not referenced by the configuration!"
        )));
    }
    let mut content = match (more, &draft) {
        (false, _) => Vec::new(),
        (true, Some(draft)) => draft.content.clone(),
        (true, None) => pem_of(tls, name),
    };
    content.extend_from_slice(payload);
    if content.len() > CONTENT_MAX {
        return Err(refused(&format!("More than {} MB are too much for one file.", CONTENT_MAX >> 20)));
    }
    let path = Path::new(name);
    let good = match kind {
        // what comes must be some by itself, whatever was there
        TrustKind::Ca => {
            Authorities::parse(path, payload).and_then(|_| Authorities::parse(path, &content)).err()
        }
        TrustKind::Crl => Revoked::parse(path, &content).err(),
    };
    if let Some(error) = good {
        return Err(refused(&format!("Invalid payload: {}", error.fault)));
    }
    let fresh = tls.trust().set_draft(Draft { kind, name: name.to_owned(), content });
    let what = if fresh { "created" } else { "updated" };
    Ok(Answer::Text(format!("transaction {what} for {title} {name}!\n")))
}

/// The certificates of a file as text.
fn pem_of(tls: &Contexts, name: &str) -> Vec<u8> {
    let known = tls.trust().authorities_of(name);
    let certs = known.iter().flat_map(|known| known.certs());
    certs.filter_map(|cert| cert.to_pem().ok()).flatten().collect()
}

fn ongoing(other: &str, wanted: &str) -> String {
    format!("The ongoing transaction is about '{other}' but you are trying to {wanted}")
}

fn commit(ask: &mut Ask<'_>, cx: &mut CliCx<'_>, kind: TrustKind) -> Result<Answer, String> {
    let name = file(ask, "commit", kind, "a filename")?;
    let refused = |why: &str| format!("{why}\nCan't commit {name}!\n");
    let tls = contexts(cx)?;
    let draft = tls.trust().draft(kind).ok_or_else(|| refused("No ongoing transaction!"))?;
    if draft.name != name {
        return Err(refused(&ongoing(&draft.name, &format!("set '{name}'"))));
    }
    let dot = if tls.believes(kind, name) { "." } else { "" };
    let begin = format!("Committing {name}{dot}\n");
    let change = Change::of_trust(kind, name, Some(&draft.content));
    let answer = ssl_change::put(change, cx, begin, "Success!\n".to_owned())?;
    contexts(cx)?.trust().drop_draft(kind);
    Ok(answer)
}

fn abort(ask: &mut Ask<'_>, cx: &mut CliCx<'_>, kind: TrustKind) -> Result<Answer, String> {
    let name = file(ask, "abort", kind, "a filename")?;
    let trust = contexts(cx)?.trust();
    let draft = trust.draft(kind).ok_or("No ongoing transaction!")?;
    if draft.name != name {
        return Err(ongoing(&draft.name, &format!("abort a transaction for '{name}'")));
    }
    trust.drop_draft(kind);
    Ok(Answer::Text(format!("Transaction aborted for certificate '{name}'!\n")))
}

fn delete(ask: &mut Ask<'_>, cx: &mut CliCx<'_>, kind: TrustKind) -> Result<Answer, String> {
    let title = title(kind);
    let name = file(ask, "del", kind, &format!("a {title} file name"))?;
    let tls = contexts(cx)?;
    let refused = |why| format!("Can't remove the {title} file: {title} file '{name}' {why}!\n");
    if !exists(tls, kind, name) {
        return Err(refused("doesn't exist"));
    }
    if tls.believes(kind, name) {
        return Err(refused("in use, can't be deleted"));
    }
    let change = Change::of_trust(kind, name, None);
    ssl_change::put(change, cx, String::new(), format!("{title} file '{name}' deleted!\n"))
}

fn show(ask: &mut Ask<'_>, cx: &mut CliCx<'_>, kind: TrustKind) -> Result<Answer, String> {
    let tls = contexts(cx)?;
    let title = title(kind);
    if ask.word(3).is_empty() {
        return Ok(Answer::Text(list(tls, kind)));
    }
    let (name, index) = match ask.word(3).rsplit_once(':') {
        Some((name, index)) => {
            let index = index.parse::<usize>().ok().filter(|index| *index > 0);
            let wrong = || format!("wrong {title} index after colons in '{}'!", ask.word(3));
            (name, Some(index.ok_or_else(wrong)?))
        }
        None => (ask.word(3), None),
    };
    let missing = || format!("Can't display the {title} file : Not found!");
    let (content, status) = match name.strip_prefix('*') {
        Some(name) => {
            let draft = tls.trust().draft(kind).filter(|draft| draft.name == name).ok_or_else(missing)?;
            (drafted(&draft), "Unused")
        }
        None => {
            let status = if tls.believes(kind, name) { "Used" } else { "Unused" };
            (kept(tls, kind, name).ok_or_else(missing)?, status)
        }
    };
    let status = if content.is_empty() { "Empty" } else { status };
    let mut out = format!("Filename: {name}\nStatus: {status}\n");
    let what = match kind {
        TrustKind::Ca => "Certificate",
        TrustKind::Crl => "Certificate Revocation List",
    };
    for (number, text) in content.iter().enumerate().map(|(place, text)| (place + 1, text)) {
        if index.is_none_or(|index| index == number) {
            // an empty line ends an answer: a blank keeps this one from doing so
            out.push_str(&format!(" \n{what} #{number}:\n{text}"));
        }
    }
    Ok(Answer::Text(out))
}

fn list(tls: &Contexts, kind: TrustKind) -> String {
    let line = |name: &str, count: Option<usize>| match count {
        Some(count) => format!("{name} - {count} certificate(s)\n"),
        None => format!("{name}\n"),
    };
    let mut out = String::new();
    if let Some(draft) = tls.trust().draft(kind) {
        let count = Authorities::parse(Path::new(&draft.name), &draft.content);
        let count = count.map(|known| known.certs().len()).ok().filter(|_| kind == TrustKind::Ca);
        out.push_str(&format!("# transaction\n*{}", line(&draft.name, count)));
    }
    out.push_str("# filename\n");
    for name in tls.trust().names(kind) {
        let count = tls.trust().authorities_of(&name).map_or(0, |known| known.certs().len());
        out.push_str(&line(&name, (kind == TrustKind::Ca).then_some(count)));
    }
    out
}

/// What is in a file, a text for each certificate or list.
fn kept(tls: &Contexts, kind: TrustKind, name: &str) -> Option<Vec<String>> {
    Some(match kind {
        TrustKind::Ca => certificates(&*tls.trust().authorities_of(name)?),
        TrustKind::Crl => {
            let known = tls.trust().revoked_of(name)?;
            known.map_or(Vec::new(), |known| known.lists().filter_map(describe::revocations).collect())
        }
    })
}

fn drafted(draft: &Draft) -> Vec<String> {
    let path = Path::new(&draft.name);
    match draft.kind {
        TrustKind::Ca => {
            Authorities::parse(path, &draft.content).map_or(Vec::new(), |known| certificates(&known))
        }
        TrustKind::Crl => Revoked::parse(path, &draft.content)
            .map_or(Vec::new(), |known| known.lists().filter_map(describe::revocations).collect()),
    }
}

fn certificates(known: &Authorities) -> Vec<String> {
    known.certs().iter().map(|cert| describe::certificate(cert)).collect()
}
