//! Commands about `crt-list`s and directories of certificates: what is on them, lines that come and go while everything runs,
//! and the names all of it makes.

use std::fmt::Write;

use openssl::asn1::Asn1Time;

use super::ssl_catalog::{bare, tail, Catalog, Seat, Use};
use super::ssl_edit::{self, Step};
use super::{Answer, Ask, CliCx, Command, Face, Rows};
use crate::base::doc::Doc;
use crate::conf::crtline::{self, CrtLineText};
use crate::net::tls::certs::KeyKind;
use crate::net::tls::change::{Change, What};
use crate::net::tls::hello::Can;
use crate::net::tls::store::draft::build;
use crate::net::tls::store::edit::{Content, Edit, Edits, Put};
use crate::net::tls::store::index::flag;
use crate::net::tls::store::raw::{Parts, Raw};
use crate::net::tls::store::scan::origin;
use crate::plan::crt::{Filter, LineNames};
use crate::plan::global::CliLevel;

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
    row(&["show", "ssl", "crt-list"], CliLevel::Operator, show, Doc {
        usage: "show ssl crt-list [-n] [<list>]",
        brief: "list crt-lists and directories, or show what is on one",
        text: "Without an argument, the lists and directories of all \"bind\" lines. With one, its lines in the form of the \
               file; with '-n', each with its number, for 'del ssl crt-list'.",
        example: "show ssl crt-list -n /etc/lighterman/sites.list",
    }),
    row(&["add", "ssl", "crt-list"], CliLevel::Admin, add, Doc {
        usage: "add ssl crt-list <list> <file> [\\[<option> ...\\]] [[!]<name> ...]",
        brief: "add a certificate to a crt-list or a directory",
        text: "On all lines that use the list, in all workers. The certificate must be known, see \"new ssl cert\". What stands \
               behind the list can be a payload too: one line in the form of the file. Directories take no options and \
               names; the name of the certificate begins with that of the directory. The file on the disk stays as it is.",
        example: "add ssl crt-list /etc/lighterman/sites.list new.pem [alpn http/1.1] *.example.com !old.example.com",
    }),
    row(&["del", "ssl", "crt-list"], CliLevel::Admin, delete, Doc {
        usage: "del ssl crt-list <list> <file>[:<line>]",
        brief: "take a certificate out of a crt-list or a directory",
        text: "A certificate that is there more than once needs the number of its line, see \"show ssl crt-list -n\". The default \
               certificate of a line stays. The file on the disk stays as it is.",
        example: "del ssl crt-list /etc/lighterman/sites.list old.pem:12",
    }),
    row(&["show", "ssl", "sni"], CliLevel::Operator, sni, Doc {
        usage: "show ssl sni [-f <frontend>] [-A]",
        brief: "show which names have which certificates",
        text: "A line for each name of each certificate, for all frontends or one, its columns parted by tabs. '-A': only \
               certificates that have expired.",
        example: "show ssl sni -f www -A",
    }),
];

fn show(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let catalog = Catalog::new(cx)?;
    let numbered = ask.word(3) == "-n";
    let name = ask.word(if numbered { 4 } else { 3 });
    let mut lines = Vec::new();
    if name.is_empty() {
        lines = catalog.lists();
    } else {
        let seats = catalog.seats(name).ok_or("didn't find the specified filename\n")?;
        lines.push(format!("# {}", bare(name)));
        let seat = seats.first();
        for (used, line) in seat.iter().flat_map(|seat| catalog.entries(seat)) {
            let mut text = catalog.name(used.place, &used.index, &used.entry);
            if numbered {
                text.push_str(&format!(":{line}"));
            }
            let tail = seat.map_or(String::new(), |seat| catalog.tail(seat, &used, line));
            if !tail.is_empty() {
                text.push(' ');
                text.push_str(&tail);
            }
            lines.push(text);
        }
    }
    Ok(rows(lines))
}

fn rows(lines: Vec<String>) -> Answer {
    let rows = Rows::new(lines.len(), move |number, out: &mut Vec<u8>, _: &mut CliCx<'_>| {
        out.extend(lines.get(number).into_iter().flat_map(|line| line.bytes()).chain([b'\n']));
    });
    Answer::Work(Box::new(rows))
}

fn cannot(why: &str) -> String {
    format!("Can't edit the crt-list: {}\n", why.trim_end())
}

fn add(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let list = bare(ask.word(3)).to_owned();
    let words = ask.words.get(4..).unwrap_or_default().join(" ");
    let text = ask.payload.map_or(words, |payload| String::from_utf8_lossy(payload).into_owned());
    if list.is_empty() || text.trim_ascii().is_empty() {
        return Err("'add ssl crt-list' expects a filename and a certificate name\n".to_owned());
    }
    let line = crtline::read(&text).map_err(|why| cannot(&why))?;
    let catalog = Catalog::new(cx)?;
    let seats = catalog.seats(&list).ok_or_else(|| cannot(&format!("crt-list '{list}' does not exist!")))?;
    let seat = seats.first().ok_or_else(|| {
        cannot(&format!("'{list}' had no certificate when it was read, it is used after a reload"))
    })?;
    // a line names it as the file does, below crt-base
    let base = catalog.list(seat).and_then(|list| list.base());
    let below = base.map(|base| base.join(&line.crt).to_string_lossy().into_owned());
    let name =
        [Some(line.crt.clone()), below].into_iter().flatten().find(|name| !catalog.uses(name).is_empty());
    let name = name.ok_or_else(|| cannot(&format!("certificate '{}' does not exist!", line.crt)))?;
    if catalog.uses(&name).iter().all(Use::is_empty) {
        return Err(cannot(&format!("certificate '{name}' is empty!")));
    }
    if let Some(bind) = catalog.tls.bind(seat.listener) {
        bind.options_of(&line.options).map_err(|why| cannot(&why))?;
    }
    if catalog.is_dir(seat) {
        if name.rsplit_once('/').is_none_or(|(dir, _)| bare(dir) != list) {
            return Err(cannot(&format!(
                "'{list}' is a directory, certificate path '{name}' must contain the directory path"
            )));
        }
        if !line.options.is_empty() || !line.filters.is_empty() {
            return Err(cannot("certificates of a directory have no options and names of their own"));
        }
    }
    let begin =
        format!("Inserting certificate '{name}' in crt-list '{list}'{}\n", ".".repeat(seats.len().min(100)));
    let mut own = None;
    let next = move |cx: &mut CliCx<'_>| {
        let catalog = Catalog::new(cx)?;
        let uses = catalog.uses(&name);
        let used = uses.first().ok_or_else(|| cannot(&format!("certificate '{name}' does not exist!")))?;
        if used.is_empty() {
            return Err(cannot(&format!("certificate '{name}' is empty!")));
        }
        let parts = match own.take() {
            Some((stamp, parts)) if stamp == used.entry.stamp => parts,
            _ => match catalog.store.raw(used.place, used.number) {
                Raw::Wait => return Ok(Step::Wait),
                Raw::Failed(why) => {
                    return Err(cannot(&format!("certificate '{name}' cannot be read: {why}")))
                }
                Raw::Here(parts) => parts,
            },
        };
        let step = insert(&catalog, (&list, &name), &line, (used, &parts))?;
        own = Some((used.entry.stamp, parts));
        Ok(step)
    };
    Ok(ssl_edit::work(begin, Box::new(next), |_| {}))
}

/// A certificate on all lines that have the list.
fn insert(
    catalog: &Catalog<'_>,
    (list, name): (&str, &str),
    line: &CrtLineText,
    (used, parts): (&Use, &Parts),
) -> Result<Step, String> {
    let cert = build(name, parts, &catalog.store.settings.how).map_err(|error| cannot(&error.to_string()))?;
    let filters = line.filters.iter().map(|filter| Filter::of(filter));
    let mut edits = Edits::default();
    for seat in catalog.seats(list).unwrap_or_default() {
        let Some((index, version)) = catalog.store.index(seat.place) else { continue };
        let dir = index.dir().is_some();
        // a directory is the same for all lines
        if edits.edits.iter().any(|edit| edit.place == seat.place && dir) {
            continue;
        }
        let options = match catalog.tls.bind(seat.listener).filter(|_| !line.options.is_empty()) {
            None => 0,
            Some(bind) => match bind.options_of(&line.options).map_err(|why| cannot(&why))? {
                Some(number) => number,
                None => {
                    let content = line.options.clone().into_bytes();
                    return Ok(Step::First(Change { what: What::Options, name: list.to_owned(), content }));
                }
            },
        };
        let names = LineNames::of(filters.clone(), &cert.names);
        let text = tail(&line.options, line.filters.iter().map(String::as_str));
        edits.edits.push(Edit {
            place: seat.place,
            version,
            entry: None,
            put: Some(Put {
                file: used.index.file(&used.entry).into_os_string().into_encoded_bytes(),
                line: (!dir).then_some(text),
                content: Content::Of(used.place, used.number),
                kind: used.entry.kind,
                flags: if names.default { flag::DEFAULT } else { 0 },
                validity: (used.entry.not_before, used.entry.not_after),
                mark: if dir { 0 } else { origin(seat.source, next_number(catalog, &seat)) },
                options,
                names: names.names,
                except: names.except,
            }),
        });
    }
    Ok(Step::Make(edits, "Success!\n".to_owned()))
}

/// A number no line of a list has.
fn next_number(catalog: &Catalog<'_>, seat: &Seat) -> u32 {
    let written = catalog.list(seat).and_then(|list| list.lines().last()).map_or(0, |line| line.number);
    catalog.entries(seat).iter().map(|(_, line)| *line).fold(written, u32::max).saturating_add(1)
}

fn delete(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let list = bare(ask.word(3)).to_owned();
    if list.is_empty() || ask.word(4).is_empty() {
        return Err("'del ssl crt-list' expects a filename and a certificate name\n".to_owned());
    }
    let (name, number) = match ask.word(4).rsplit_once(':') {
        Some((name, number)) => (name.to_owned(), Some(number.to_owned())),
        None => (ask.word(4).to_owned(), None),
    };
    Catalog::new(cx)?;
    let next = move |cx: &mut CliCx<'_>| {
        let catalog = Catalog::new(cx)?;
        let edits = take_out(&catalog, &list, &name, number.as_deref());
        let edits = edits.map_err(|why| format!("Can't delete the entry: {why}\n"))?;
        Ok(Step::Make(edits, format!("Entry '{name}' deleted in crtlist '{list}'!\n")))
    };
    Ok(ssl_edit::work(String::new(), Box::new(next), |_| {}))
}

/// Takes a certificate off all lines that have the list; it stays known.
fn take_out(catalog: &Catalog<'_>, list: &str, name: &str, number: Option<&str>) -> Result<Edits, String> {
    let seats = catalog.seats(list).ok_or_else(|| format!("crt-list '{list}' does not exist!"))?;
    let all = catalog.uses(name);
    if all.is_empty() {
        return Err(format!("certificate '{name}' does not exist!"));
    }
    let line = match number.map(str::parse::<u32>) {
        None => None,
        Some(Ok(line)) => Some(line),
        Some(Err(_)) => return Err("the line number is no number!".to_owned()),
    };
    let is = |used: &Use| all.iter().any(|one| (one.place, one.number) == (used.place, used.number));
    let found = |seat: &Seat| -> Vec<(Use, u32)> {
        let entries = catalog.entries(seat).into_iter();
        entries.filter(|(used, own)| is(used) && line.is_none_or(|line| line == *own)).collect()
    };
    let here = seats.first().map(&found).unwrap_or_default();
    if let [_, _, ..] = here.as_slice() {
        let numbers: Vec<String> = here.iter().map(|(_, line)| line.to_string()).collect();
        return Err(format!(
            "found the certificate '{name}' in several entries, please specify a line number preceded by colons ({})!",
            numbers.join(", ")
        ));
    }
    let Some((_, line)) = here.first() else {
        return Err(match line {
            Some(line) => format!("certificate '{name}' is not in line {line} of the crt-list!"),
            None => format!("certificate '{name}' is not in the crt-list!"),
        });
    };
    let mut edits = Edits::default();
    let mut defaults = String::new();
    for seat in &seats {
        let dir = catalog.is_dir(seat);
        for (used, _) in found(seat).into_iter().filter(|(_, own)| dir || own == line) {
            if is_default(catalog, seat, &used) {
                let at =
                    catalog.plan.listeners.get(seat.listener.index()).map_or("", |line| line.at.as_str());
                defaults.push_str(&format!("\t- {at}\n"));
            }
            let (place, version, entry) = (used.place, used.version, Some(used.number));
            if !edits.edits.iter().any(|edit| (edit.place, edit.entry) == (place, entry)) {
                edits.edits.push(Edit { place, version, entry, put: None });
            }
        }
    }
    if !defaults.is_empty() {
        return Err(format!(
            "certificate '{name}' cannot be deleted, it is used as default certificate by the following frontends:\n{defaults}"
        ));
    }
    let known = all.iter().any(|used| catalog.is_loose(used));
    if let (Some((used, _)), Some(place), false) = (here.first(), catalog.store.loose(), known) {
        edits.edits.push(stays_known(catalog, place, used, name));
    }
    Ok(edits)
}

/// The certificate of an entry among those that no line uses.
fn stays_known(catalog: &Catalog<'_>, place: u32, used: &Use, name: &str) -> Edit {
    let version = catalog.store.index(place).map_or(0, |(_, version)| version);
    let put = Put {
        file: match used.index.dir() {
            Some(_) => name.as_bytes().to_vec(),
            None => used.index.file(&used.entry).into_os_string().into_encoded_bytes(),
        },
        line: None,
        content: Content::Of(used.place, used.number),
        kind: used.entry.kind,
        flags: 0,
        validity: (used.entry.not_before, used.entry.not_after),
        mark: 0,
        options: 0,
        names: Vec::new(),
        except: Vec::new(),
    };
    Edit { place, version, entry: None, put: Some(put) }
}

/// Whether clients that name nothing get this one because it is the first. One whose line says `*` may go: another one takes
/// its place.
fn is_default(catalog: &Catalog<'_>, seat: &Seat, used: &Use) -> bool {
    let Some(bind) = catalog.tls.bind(seat.listener) else { return false };
    let first = |ec| {
        let choice = catalog.store.choose(bind.places(), None, Can { ec });
        let best = choice.candidates.first().copied();
        best.and_then(|one| Some((*bind.places().get(one.source as usize)?, one.entry)))
    };
    let own = Some((used.place, used.number));
    used.entry.flags & flag::DEFAULT == 0 && (first(true) == own || first(false) == own)
}

fn sni(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let mut wanted = None;
    let mut expired = false;
    let mut words = ask.words.iter().skip(3);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-A" => expired = true,
            "-f" => wanted = Some(words.next().ok_or("'-f' expects the name of a frontend\n")?.clone()),
            other => return Err(format!("unknown option '{other}', see 'help show ssl sni'\n")),
        }
    }
    let now = cx.wall().as_secs() as i64;
    let catalog = Catalog::new(cx)?;
    let mut lines =
        vec!["# Frontend/Bind\tSNI\tNegative Filter\tType\tFilename\tNotAfter\tNotBefore".to_owned()];
    let mut known = wanted.is_none();
    for line in catalog.lines() {
        let name = &catalog.plan.proxy(line.proxy).name;
        let whole = format!("{name}/{}", line.at);
        if wanted.as_ref().is_some_and(|wanted| wanted != name && *wanted != whole) {
            continue;
        }
        known = true;
        let Some(bind) = catalog.tls.bind(line.id) else { continue };
        let from = lines.len();
        for place in bind.places() {
            names_of(&catalog, *place, &whole, expired.then_some(now), &mut lines);
        }
        lines.get_mut(from..).into_iter().for_each(<[String]>::sort_unstable);
    }
    match known {
        true => Ok(rows(lines)),
        false => Err("there is no frontend with TLS of this name\n".to_owned()),
    }
}

/// A line for each name of each certificate in a place.
fn names_of(catalog: &Catalog<'_>, place: u32, whole: &str, until: Option<i64>, lines: &mut Vec<String>) {
    let Some((index, _)) = catalog.store.index(place) else { return };
    let date = |time: i64| Asn1Time::from_unix(time).map_or_else(|_| "-".to_owned(), |time| time.to_string());
    let mut except: Vec<(u32, &[u8])> = Vec::new();
    for number in 0..index.name_count() {
        let (Some((name, _)), Some(list)) = (index.name(number), index.list(number)) else { continue };
        except.extend(list.filter(|(_, covers)| !covers).map(|(entry, _)| (entry, name)));
    }
    let mut push = |number: u32, shown: &str, wild: bool, name: &[u8]| {
        let Some(entry) = index.entry(number) else { return };
        if until.is_some_and(|now| entry.not_after >= now) {
            return;
        }
        let below = |no: &[u8]| no.strip_suffix(name).is_some_and(|label| label.ends_with(b"."));
        let nots = except.iter().filter(|(own, no)| wild && *own == number && below(no));
        let mut not = nots.fold(String::new(), |mut text, (_, no)| {
            // a text always takes it
            let _ = write!(text, " !{}", String::from_utf8_lossy(no));
            text
        });
        not = if not.is_empty() { "-".to_owned() } else { not.trim_start().to_owned() };
        let kind = if entry.kind == KeyKind::Ec { "ecdsa" } else { "rsa" };
        let file = catalog.name(place, &index, &entry);
        let (after, before) = (date(entry.not_after), date(entry.not_before));
        lines.push(format!("{whole}\t{shown}\t{not}\t{kind}\t{file}\t{after}\t{before}"));
    };
    for number in 0..index.name_count() {
        let (Some((name, wild)), Some(list)) = (index.name(number), index.list(number)) else { continue };
        let shown = format!("{}{}", if wild { "*." } else { "" }, String::from_utf8_lossy(name));
        for (entry, _) in list.filter(|(_, covers)| *covers) {
            push(entry, &shown, wild, name);
        }
    }
    index.defaults().for_each(|entry| push(entry, "*", false, b""));
}
