//! Commands about certificates: which there are, what is in them, and other ones in their place in one transaction.
//!
//! What is set stays a draft of the process with the command socket ([`crate::net::tls::store::draft`]) until it is committed;
//! then every entry of the certificate in every index is replaced ([`super::ssl_edit`]).

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use openssl::x509::X509;
use std::path::Path;

use super::ssl_catalog::{Catalog, Use};
use super::ssl_edit::{self, Step};
use super::ssl_ocsp::subject;
use super::{Answer, Ask, CliCx, Command, Face, Rows};
use crate::base::doc::Doc;
use crate::net::tls::certs::{self, Cert, KeyKind};
use crate::net::tls::change::{Change, What};
use crate::net::tls::describe;
use crate::net::tls::pem::{self, Kind};
use crate::net::tls::staple::is_timestamp_list;
use crate::net::tls::store::draft::{crt_bytes, Draft, PARTS};
use crate::net::tls::store::edit::{Content, Edit, Edits, Put};
use crate::net::tls::store::index::{flag, SIDES};
use crate::net::tls::store::raw::{Parts, Raw};
use crate::net::tls::store::spool::Record;
use crate::plan::global::CliLevel;

const fn row(
    path: &'static [&'static str],
    level: CliLevel,
    start: fn(&mut Ask<'_>, &mut CliCx<'_>) -> Result<Answer, String>,
    doc: Doc,
) -> Command {
    Command { path, level, face: Face::Traffic, start, doc }
}

/// Bytes of a certificate with all its parts.
const CONTENT_MAX: usize = 4 << 20;

/// The commands of this family.
pub const ROWS: &[Command] = &[
    row(&["show", "ssl", "cert"], CliLevel::Operator, show, Doc {
        usage: "show ssl cert [[*]<file>]",
        brief: "list certificates, or show what is in one",
        text: "Without an argument, the names of all certificates of \"bind\" and \"server\" lines, and of those that commands have made. With \
               one, its names, dates, key and issuers, and whether a line uses it. An asterisk before the name means \
               what was set and is not committed yet, \".ocsp\" behind it the OCSP response.",
        example: "show ssl cert /etc/lighterman/certs/www.pem",
    }),
    row(&["new", "ssl", "cert"], CliLevel::Admin, new, Doc {
        usage: "new ssl cert <file>",
        brief: "make a name for a certificate that comes later",
        text: "Only in memory, and not used by any line: it is filled with \"set ssl cert\" and \"commit ssl cert\", and then \
               used with \"add ssl crt-list\".",
        example: "new ssl cert /etc/lighterman/certs/new.pem",
    }),
    row(&["set", "ssl", "cert"], CliLevel::Admin, set, Doc {
        usage: "set ssl cert <file>[.key|.ocsp|.issuer|.sctl] <<\\n<PEM>\\n",
        brief: "prepare another certificate under the name of a file",
        text: "The payload takes the place of the certificate with its key and chain once it is committed, or that of one \
               part: the key, the OCSP answer (base64), its issuer, its timestamps (base64). A certificate that comes without \
               a key keeps the one that is there. Parts can be set one after the other; only one certificate can be \
               prepared at a time.",
        example: "set ssl cert www.pem <<\\n$(sed '/^$/d' new.pem)\\n",
    }),
    row(&["commit", "ssl", "cert"], CliLevel::Admin, commit, Doc {
        usage: "commit ssl cert <file>",
        brief: "put a prepared certificate in force",
        text: "On all lines that use it, in all workers and in those that are started later, for all handshakes that begin \
               when the answer has come. Nothing changes when it is no good. A reload reads the files again.",
        example: "commit ssl cert www.pem",
    }),
    row(&["abort", "ssl", "cert"], CliLevel::Admin, abort, Doc {
        usage: "abort ssl cert <file>",
        brief: "drop a prepared certificate",
        text: "What was set is forgotten.",
        example: "abort ssl cert www.pem",
    }),
    row(&["del", "ssl", "cert"], CliLevel::Admin, delete, Doc {
        usage: "del ssl cert <file>",
        brief: "forget a certificate that no line uses",
        text: "The file on the disk stays.",
        example: "del ssl cert new.pem",
    }),
];

fn unknown(name: &str) -> String {
    format!(
        "Can't replace a certificate which is not referenced by the configuration!\nCan't update {name}!\n"
    )
}

fn ongoing(other: &str, wanted: &str) -> String {
    format!("The ongoing transaction is about '{other}' but you are trying to {wanted}\n")
}

/// A certificate by the name of it or of one of its parts, and the number of the part.
fn target(catalog: &Catalog<'_>, name: &str) -> Option<(String, usize)> {
    let known = |name: &str| !catalog.uses(name).is_empty();
    if known(name) {
        return Some((name.to_owned(), 0));
    }
    let ends = PARTS.iter().enumerate().skip(1);
    ends.filter_map(|(part, end)| Some((part, name.strip_suffix(end)?))).find_map(|(part, stem)| {
        let del_ext = catalog.store.settings.how.extras().del_ext;
        let replaced = del_ext.then(|| format!("{stem}.crt"));
        [Some(stem.to_owned()), replaced]
            .into_iter()
            .flatten()
            .find(|name| known(name))
            .map(|name| (name, part))
    })
}

fn set(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let name = ask.word(3).to_owned();
    let Some(payload) = ask.payload.filter(|_| !name.is_empty()) else {
        return Err("'set ssl cert' expects a filename and a certificate as a payload\n".to_owned());
    };
    let catalog = Catalog::new(cx)?;
    let refused = |why: &str| format!("{why}Can't update {name}!\n");
    let (file, part) = target(&catalog, &name).ok_or_else(|| unknown(&name))?;
    let bytes = part_of(part, payload).map_err(|why| refused(&format!("{why}\nCan't load the payload\n")))?;
    let draft = catalog.store.draft();
    if let Some(other) = draft.filter(|draft| draft.name != file) {
        return Err(refused(&ongoing(&other.name, &format!("set '{name}'"))));
    }
    let mut bytes = Some(bytes);
    let next = move |cx: &mut CliCx<'_>| {
        let Some(tls) = cx.host.tls() else { return Ok(Step::Done(String::new())) };
        let refused = |why: &str| format!("{why}Can't update {name}!\n");
        let (mut draft, word) = match tls.store().draft() {
            Some(draft) if draft.name == file => (draft, "updated"),
            Some(other) => return Err(refused(&ongoing(&other.name, &format!("set '{name}'")))),
            None => {
                let parts = match Catalog::new(cx)?.contents(&file) {
                    None => Parts::default(),
                    Some(Raw::Wait) => return Ok(Step::Wait),
                    Some(Raw::Here(parts)) => parts,
                    // it is replaced as a whole, so what it was does not matter
                    Some(Raw::Failed(_)) if part == 0 => Parts::default(),
                    Some(Raw::Failed(why)) => {
                        return Err(refused(&format!("The certificate cannot be read: {why}\n")));
                    }
                };
                (Draft { name: file.clone(), parts }, "created")
            }
        };
        draft.set(part, bytes.take().unwrap_or_default());
        tls.store().set_draft(Some(draft));
        Ok(Step::Done(format!("Transaction {word} for certificate {file}!\n")))
    };
    Ok(ssl_edit::work(String::new(), Box::new(next), |_| {}))
}

/// What was given for a part, if it can be that.
fn part_of(part: usize, payload: &[u8]) -> Result<Vec<u8>, String> {
    if part == 2 || part == 4 {
        let text: Vec<u8> = payload.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let bytes = STANDARD.decode(&text).map_err(|_| "This is not base64.")?;
        let good = match part {
            2 => lighterman_wire::ocsp::parse(&bytes).is_ok(),
            _ => is_timestamp_list(&bytes),
        };
        let what = if part == 2 { "an OCSP answer" } else { "a list of certificate timestamps" };
        return good.then_some(bytes).ok_or_else(|| format!("This is not {what}."));
    }
    let blocks = pem::blocks(payload).map_err(|fault| format!("{fault}."))?;
    let wanted = if part == 1 { Kind::Key } else { Kind::Certificate };
    if !blocks.iter().any(|block| block.kind == wanted) {
        let encrypted = part == 1 && blocks.iter().any(|block| block.kind == Kind::EncryptedKey);
        return Err(match (part, encrypted) {
            (1, true) => "The private key is encrypted.",
            (1, false) => "There is no private key in it.",
            _ => "There is no certificate in it.",
        }
        .to_owned());
    }
    for (number, block) in blocks.iter().filter(|block| block.kind == Kind::Certificate).enumerate() {
        X509::from_der(&block.der)
            .map_err(|_| format!("Certificate number {} cannot be parsed.", number + 1))?;
    }
    Ok(payload.to_vec())
}

fn commit(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let name = ask.word(3).to_owned();
    if name.is_empty() {
        return Err("'commit ssl cert' expects a filename\n".to_owned());
    }
    let catalog = Catalog::new(cx)?;
    let refused = |why: &str| format!("{why}\nCan't commit {name}!\n");
    let draft = catalog.store.draft().ok_or_else(|| refused("No ongoing transaction! !"))?;
    if draft.name != name {
        return Err(refused(ongoing(&draft.name, &format!("set '{name}'")).trim_end()));
    }
    if !draft.is_whole() {
        return Err(refused("The transaction must contain at least a certificate and a private key!"));
    }
    if draft.parts.iter().flatten().map(Vec::len).sum::<usize>() > CONTENT_MAX {
        return Err(refused(&format!(
            "More than {} MB are too much for one certificate.",
            CONTENT_MAX >> 20
        )));
    }
    let cert = draft.build(&catalog.store.settings.how).map_err(|error| refused(&error.to_string()))?;
    let servers = catalog.tls.servers_show(Path::new(&name));
    let dots = catalog.uses(&name).iter().filter(|used| !catalog.is_loose(used)).count() + servers;
    let begin = format!("Committing {name}{}\n", ".".repeat(dots.min(100)));
    let notes: String = cert.notes.iter().map(|note| format!("{note}\n")).collect();
    let mut to_servers = servers > 0;
    let next = move |cx: &mut CliCx<'_>| {
        let catalog = Catalog::new(cx)?;
        let content = Record::of(&crt_bytes(&name, &draft.parts)).into_bytes();
        if std::mem::take(&mut to_servers) {
            return Ok(Step::First(Change { what: What::ServerCrt, name: name.clone(), content }));
        }
        let mut edits = Edits { edits: Vec::new(), records: vec![content] };
        for used in catalog.uses(&name) {
            edits.edits.push(replace(&catalog, &used, &cert, &draft.parts));
        }
        Ok(Step::Make(edits, format!("{notes}Success!\n")))
    };
    Ok(ssl_edit::work(begin, Box::new(next), |cx| {
        if let Some(tls) = cx.host.tls() {
            tls.store().set_draft(None);
        }
    }))
}

/// An entry with another certificate, the first record of the edits.
fn replace(catalog: &Catalog<'_>, used: &Use, cert: &Cert, parts: &Parts) -> Edit {
    let names = catalog.names(used, &cert.names);
    let sides = parts.iter().skip(1).zip(SIDES).filter(|(part, _)| part.is_some());
    let default = used.entry.flags & flag::DEFAULT | if names.default { flag::DEFAULT } else { 0 };
    let put = Put {
        file: used.index.file(&used.entry).into_os_string().into_encoded_bytes(),
        line: used.own_line(),
        content: Content::Record(0),
        kind: cert.kind,
        flags: sides.map(|(_, (_, flag))| flag).sum::<u8>() | default,
        validity: cert.validity(),
        mark: used.entry.mark,
        options: used.entry.options,
        names: names.names,
        except: names.except,
    };
    Edit { place: used.place, version: used.version, entry: Some(used.number), put: Some(put) }
}

fn abort(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let name = ask.word(3);
    if name.is_empty() {
        return Err("'abort ssl cert' expects a filename\n".to_owned());
    }
    let catalog = Catalog::new(cx)?;
    let draft = catalog.store.draft().ok_or("No ongoing transaction!\n")?;
    if draft.name != name {
        return Err(ongoing(&draft.name, &format!("abort a transaction for '{name}'")));
    }
    catalog.store.set_draft(None);
    Ok(Answer::Text(format!("Transaction aborted for certificate '{name}'!\n")))
}

fn new(ask: &mut Ask<'_>, _: &mut CliCx<'_>) -> Result<Answer, String> {
    let name = ask.word(3).to_owned();
    if name.is_empty() {
        return Err("'new ssl cert' expects a filename\n".to_owned());
    }
    let next = move |cx: &mut CliCx<'_>| {
        let catalog = Catalog::new(cx)?;
        if !catalog.uses(&name).is_empty() {
            return Err(format!("Certificate '{name}' already exists!\n"));
        }
        let place = catalog.store.loose().ok_or("No TLS here.\n")?;
        let version = catalog.store.index(place).map_or(0, |(_, version)| version);
        let put = Put {
            file: name.clone().into_bytes(),
            line: None,
            content: Content::Empty,
            kind: KeyKind::Ec,
            flags: 0,
            validity: (0, 0),
            mark: 0,
            options: 0,
            names: Vec::new(),
            except: Vec::new(),
        };
        let edit = Edit { place, version, entry: None, put: Some(put) };
        let done = format!("New empty certificate store '{name}'!\n");
        Ok(Step::Make(Edits { edits: vec![edit], records: Vec::new() }, done))
    };
    Ok(ssl_edit::work(String::new(), Box::new(next), |_| {}))
}

fn delete(ask: &mut Ask<'_>, _: &mut CliCx<'_>) -> Result<Answer, String> {
    let name = ask.word(3).to_owned();
    if name.is_empty() {
        return Err("'del ssl cert' expects a certificate name\n".to_owned());
    }
    let next = move |cx: &mut CliCx<'_>| {
        let catalog = Catalog::new(cx)?;
        let refused = |why| format!("Can't remove the certificate: certificate '{name}' {why}!\n");
        let uses = catalog.uses(&name);
        if uses.is_empty() {
            return Err(refused("doesn't exist"));
        }
        if catalog.is_used(&name, &uses) {
            return Err(refused("in use, can't be deleted"));
        }
        let gone = |used: &Use| Edit {
            place: used.place,
            version: used.version,
            entry: Some(used.number),
            put: None,
        };
        let edits = Edits { edits: uses.iter().map(gone).collect(), records: Vec::new() };
        if catalog.store.draft().is_some_and(|draft| draft.name == name) {
            catalog.store.set_draft(None);
        }
        Ok(Step::Make(edits, format!("Certificate '{name}' deleted!\n")))
    };
    Ok(ssl_edit::work(String::new(), Box::new(next), |_| {}))
}

fn show(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let name = ask.word(3).to_owned();
    let catalog = Catalog::new(cx)?;
    let missing = || "Can't display the certificate: Not found or the certificate is a bundle!\n".to_owned();
    if name.is_empty() {
        let mut lines = Vec::new();
        if let Some(draft) = catalog.store.draft() {
            lines.extend(["# transaction".to_owned(), format!("*{}", draft.name)]);
        }
        lines.push("# filename".to_owned());
        lines.extend(catalog.all());
        let rows = Rows::new(lines.len(), move |number, out: &mut Vec<u8>, _: &mut CliCx<'_>| {
            out.extend(lines.get(number).into_iter().flat_map(|line| line.bytes()).chain([b'\n']));
        });
        return Ok(Answer::Work(Box::new(rows)));
    }
    let drafted = name.strip_prefix('*').map(str::to_owned);
    let (file, part) = match &drafted {
        Some(drafted) => {
            let draft = catalog.store.draft().ok_or_else(missing)?;
            let part = if *drafted == draft.name { 0 } else { 2 };
            let known = drafted.strip_suffix(PARTS.get(part).copied().unwrap_or_default());
            known.filter(|known| *known == draft.name).ok_or_else(missing)?;
            return Ok(Answer::Text(told(&name, "Unused", part, &draft.parts, cx)));
        }
        None => target(&catalog, &name).filter(|(_, part)| matches!(part, 0 | 2)).ok_or_else(missing)?,
    };
    let uses = catalog.uses(&file);
    let status = if catalog.is_used(&file, &uses) { "Used" } else { "Unused" };
    if uses.iter().all(Use::is_empty) {
        return Ok(Answer::Text(format!("Filename: {name}\nStatus: Empty\n")));
    }
    let next = move |cx: &mut CliCx<'_>| {
        let contents = Catalog::new(cx)?.contents(&file);
        match contents.unwrap_or(Raw::Failed("it is not there any more".to_owned())) {
            Raw::Wait => Ok(Step::Wait),
            Raw::Failed(why) => Err(format!("Can't display the certificate: it cannot be read: {why}\n")),
            Raw::Here(parts) => Ok(Step::Done(told(&name, status, part, &parts, cx))),
        }
    };
    Ok(ssl_edit::work(String::new(), Box::new(next), |_| {}))
}

/// A certificate, or the OCSP answer of one.
fn told(name: &str, status: &str, part: usize, parts: &Parts, cx: &CliCx<'_>) -> String {
    if part == 2 {
        let [_, _, answer, ..] = parts;
        let text = answer.as_deref().and_then(describe::ocsp);
        return text.unwrap_or_else(|| "There is no OCSP response for this certificate.\n".to_owned());
    }
    let subject = cx.host.tls().and_then(|tls| subject(tls, Path::new(name), parts.clone()));
    let id = subject.and_then(|subject| subject.cert_id()).map_or_else(String::new, |id| describe::hex(&id));
    format!("{}OCSP Response Key: {}\n", details(name, status, parts), id.to_ascii_lowercase())
}

/// What there is to know of a certificate and its chain.
fn details(name: &str, status: &str, parts: &Parts) -> String {
    let [pem, key, _, issuer, _] = parts;
    let read = |text: &Option<Vec<u8>>| -> Vec<X509> {
        let blocks = text.as_deref().map(pem::blocks).and_then(Result::ok).unwrap_or_default();
        let certs = blocks.iter().filter(|block| block.kind == Kind::Certificate);
        certs.filter_map(|block| X509::from_der(&block.der).ok()).collect()
    };
    let mut certs = read(pem);
    certs.extend(read(issuer));
    let own = certs::own_place(&certs, pem.as_deref(), key.as_deref());
    let mut out = format!("Filename: {name}\nStatus: {status}\n");
    if own < certs.len() {
        let leaf = certs.remove(own);
        out.push_str(&describe::certificate(&leaf));
    }
    for cert in certs {
        let (subject, issuer) = (describe::name(cert.subject_name()), describe::name(cert.issuer_name()));
        out.push_str(&format!("Chain Subject: {subject}\nChain Issuer: {issuer}\n"));
    }
    out
}
