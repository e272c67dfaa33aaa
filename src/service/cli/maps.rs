//! Commands on maps and ACL files: what they hold now, and changes that hold for all workers at once.

use std::io::Write;

use super::{Answer, Ask, CliCx, Command, Face, Rows};
use crate::base::doc::Doc;
use crate::expr::cast;
use crate::expr::live::{Change, LiveMaps, Op};
use crate::expr::map::MapFile;
use crate::expr::pattern::{Index, Match};
use crate::expr::sample::{Sample, Ty};
use crate::plan::global::CliLevel;
use crate::shm::Info;

type Done = Result<Answer, String>;

macro_rules! command {
    ($verb:literal $what:literal $level:ident $start:expr, $usage:literal, $brief:literal, $text:literal, $example:literal) => {
        Command {
            path: &[$verb, $what],
            level: CliLevel::$level,
            face: Face::Traffic,
            start: $start,
            doc: Doc { usage: $usage, brief: $brief, text: $text, example: $example },
        }
    };
}

/// The commands of this family.
pub const ROWS: &[Command] = &[
    command!("show" "map" User show, "show map [@<ver>] [<map>]", "list maps, or the entries of one",
        "Without a map: number, file, versions and count of entries of each. Every entry has a reference, a key and a value; the reference (as #0x...) names it for 'del map' and 'set map'.",
        "show map /etc/lighterman/hosts.map"),
    command!("show" "acl" User show, "show acl [@<ver>] [<acl>]", "list ACL files, or the patterns of one",
        "ACL lines have a number of their own when '-u' gives them one.", "show acl #0"),
    command!("get" "map" User get, "get map <map> <value>", "look a value up in a map",
        "One line for each way in which the map is searched.", "get map /etc/lighterman/hosts.map www.example.com"),
    command!("get" "acl" User get, "get acl <acl> <value>", "look a value up in an ACL file",
        "One line for each way in which the file is searched.", "get acl #0 192.0.2.1"),
    command!("add" "map" Operator add, "add map [@<ver>] <map> <key> <value>", "add an entry to a map",
        "With a payload instead of key and value: one key and value per line. '@<ver>' adds to a version that 'prepare map' made.",
        "add map /etc/lighterman/hosts.map www.example.com web"),
    command!("add" "acl" Operator add, "add acl [@<ver>] <acl> <pattern>", "add a pattern to an ACL file",
        "With a payload instead of the pattern: one per line.", "add acl #0 192.0.2.0/24"),
    command!("set" "map" Operator set, "set map <map> [<key>|#<ref>] <value>", "change the value of entries of a map",
        "All entries with the key, or the one with the reference.", "set map /etc/lighterman/hosts.map www.example.com web2"),
    command!("del" "map" Operator del, "del map <map> [<key>|#<ref>]", "take entries out of a map",
        "All entries with the key, or the one with the reference.", "del map /etc/lighterman/hosts.map www.example.com"),
    command!("del" "acl" Operator del, "del acl <acl> [<pattern>|#<ref>]", "take patterns out of an ACL file",
        "All equal ones, or the one with the reference.", "del acl #0 192.0.2.0/24"),
    command!("clear" "map" Operator clear, "clear map [@<ver>] <map>", "take all entries out of a map",
        "With '@<ver>', those of a version that is being prepared.", "clear map #1"),
    command!("clear" "acl" Operator clear, "clear acl [@<ver>] <acl>", "take all patterns out of an ACL file",
        "With '@<ver>', those of a version that is being prepared.", "clear acl #0"),
    command!("prepare" "map" Operator prepare, "prepare map <map>", "begin a new version of a map",
        "It is filled with 'add map @<ver>' while the old one stays in force, and put in its place by 'commit map'.", "prepare map #1"),
    command!("prepare" "acl" Operator prepare, "prepare acl <acl>", "begin a new version of an ACL file",
        "It is filled with 'add acl @<ver>' while the old one stays in force, and put in its place by 'commit acl'.", "prepare acl #0"),
    command!("commit" "map" Operator commit, "commit map @<ver> <map>", "put a prepared version of a map in force",
        "All workers turn from the old entries to the new ones at once.", "commit map @1 #1"),
    command!("commit" "acl" Operator commit, "commit acl @<ver> <acl>", "put a prepared version of an ACL file in force",
        "All workers turn from the old patterns to the new ones at once.", "commit acl @1 #0"),
];

/// What the words behind verb and kind say: a version, a file, and the rest.
struct Call<'a> {
    acl: bool,
    verb: &'a str,
    version: Option<u32>,
    map: u32,
    rest: &'a [String],
}

impl Call<'_> {
    fn kind(&self) -> &'static str {
        if self.acl {
            "acl"
        } else {
            "map"
        }
    }

    fn change(&self, op: Op) -> Change<'static> {
        Change::new(self.map, op)
    }
}

fn live<'c>(cx: &'c mut CliCx<'_>) -> Result<&'c mut LiveMaps, String> {
    cx.host.maps().ok_or_else(|| "This process has no maps.".to_owned())
}

/// Reads `[@<ver>] <file>`.
fn call<'a>(words: &'a [String], cx: &mut CliCx<'_>) -> Result<Call<'a>, String> {
    let [verb, kind, rest @ ..] = words else { return Err("Missing words.".to_owned()) };
    let acl = kind == "acl";
    let shown = if acl { "ACL" } else { "map" };
    let (version, rest) = match rest.split_first() {
        Some((first, rest)) if first.starts_with('@') => {
            let number = first[1..].parse().map_err(|_| format!("'{first}' is not a version number."))?;
            (Some(number), rest)
        }
        _ => (None, rest),
    };
    let Some((name, rest)) = rest.split_first() else { return Err(format!("Missing {shown} identifier.")) };
    let live = live(cx)?;
    live.obey();
    let Some(map) = live.maps().named(name, acl) else {
        return Err(format!("Unknown {shown} identifier. Please use #<id> or <file>."));
    };
    Ok(Call { acl, verb, version, map, rest })
}

/// Makes a change; what is not there is told in the words of `missing`.
fn done(change: &Change<'_>, missing: &str, cx: &mut CliCx<'_>) -> Result<(), String> {
    let live = live(cx)?;
    let made = live.change(change)?;
    let (tell, (added, freed)) = (live.wants_telling(), live.moved());
    cx.shm.process().count(Info::PatternsAdded, added);
    cx.shm.process().count(Info::PatternsFreed, freed);
    if tell {
        cx.shm.changed();
    }
    if made {
        Ok(())
    } else {
        Err(missing.to_owned())
    }
}

fn show(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Done {
    if ask.words.len() == 2 {
        let acl = ask.word(1) == "acl";
        let live = live(cx)?;
        live.obey();
        let mut out = String::from("# id (file) description\n");
        let shown = |file: &&MapFile| if acl { file.in_acl } else { file.in_map };
        live.maps().iter().filter(shown).for_each(|file| describe(file, &mut out));
        return Ok(Answer::Text(out));
    }
    let call = call(ask.words, cx)?;
    let live = live(cx)?;
    let Some(file) = live.maps().get(call.map) else { return Ok(Answer::Nothing) };
    let version = call.version.unwrap_or(file.versions().0);
    let (map, ids) = (call.map, file.ids(version));
    Ok(Answer::Work(Box::new(Rows::new(ids.len(), move |at, out: &mut Vec<u8>, cx: &mut CliCx<'_>| {
        let Some(live) = cx.host.maps() else { return };
        let entry = ids.get(at).and_then(|id| live.maps().get(map)?.entry(version, *id).map(|e| (*id, e)));
        let Some((id, entry)) = entry else { return };
        // Writing to memory cannot fail.
        let _ = match entry.value.is_empty() {
            true => writeln!(out, "{} {}", reference(id), entry.key),
            false => writeln!(out, "{} {} {}", reference(id), entry.key, entry.value),
        };
    }))))
}

fn describe(file: &MapFile, out: &mut String) {
    let users = match (file.in_acl, file.in_map) {
        (true, true) => "acl, map",
        (true, false) => "acl",
        _ => "map",
    };
    let name = &file.name;
    let text = match (name.is_empty(), name.starts_with("virt@")) {
        (true, _) => "patterns of a line with '-u', used by acl".to_owned(),
        (_, true) => format!("pattern without a file, used by {users}"),
        _ => format!("pattern loaded from file '{name}' used by {users}"),
    };
    let (current, next) = file.versions();
    out.push_str(&format!(
        "{} ({name}) {text}. curr_ver={current} next_ver={next} entry_cnt={}\n",
        file.id,
        file.len()
    ));
}

/// How an entry is called: `0x...`.
fn reference(id: u32) -> String {
    format!("{:#014x}", u64::from(id) + 1)
}

/// The entry behind `#0x...`.
fn referred(word: &str) -> Option<u32> {
    let digits = word.strip_prefix("#0x")?;
    u32::try_from(u64::from_str_radix(digits, 16).ok()?.checked_sub(1)?).ok()
}

fn get(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Done {
    let missing =
        || format!("Missing {} identifier and/or key.", if ask.word(1) == "acl" { "ACL" } else { "map" });
    if ask.words.len() < 4 {
        return Err(missing());
    }
    let call = call(ask.words, cx)?;
    let value = call.rest.first().ok_or_else(missing)?;
    let live = live(cx)?;
    let Some(file) = live.maps().get(call.map) else { return Ok(Answer::Nothing) };
    let mut out = String::new();
    for way in file.ways() {
        look_up(file, way, value, call.acl, &mut out);
    }
    Ok(Answer::Text(out))
}

fn look_up(file: &MapFile, way: &Index, value: &str, acl: bool, out: &mut String) {
    let case = if way.folds() { "insensitive" } else { "sensitive" };
    let found = if acl { "match" } else { "found" };
    let takes = way.how().takes();
    let sample = Sample::text(value);
    let sample = if takes == Ty::Any { Some(sample) } else { cast::cast(sample, takes) };
    let id = sample.and_then(|sample| way.find(&sample));
    let entry = id.and_then(|id| file.entry(file.versions().0, id));
    out.push_str(&format!("type={}, case={case}, ", way.how().name()));
    let Some(entry) = entry else {
        out.push_str(&format!("{found}=no\n"));
        return;
    };
    let index = if matches!(way.how(), Match::Reg | Match::Sub) { "list" } else { "tree" };
    let key = if acl { "pattern" } else { "key" };
    out.push_str(&format!("{found}=yes, idx={index}, {key}=\"{}\"", entry.key));
    if !acl {
        out.push_str(&format!(", value=\"{}\", type=\"str\"", entry.value));
    }
    out.push('\n');
}

fn add(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Done {
    let wrong = match ask.word(1) {
        "acl" => "'add acl' expects two parameters: ACL identifier and pattern, or one parameter (ACL identifier) and a payload",
        _ => "'add map' expects three parameters (map identifier, key and value) or one parameter (map identifier) and a payload",
    };
    let call =
        call(ask.words, cx).map_err(|why| match why.starts_with("Missing") || ask.words.len() < 4 {
            true if ask.payload.is_none() => wrong.to_owned(),
            _ => why,
        })?;
    let version = version_of(&call, cx)?;
    let add = call.change(Op::Add).number(version);
    match (call.rest, ask.payload) {
        ([], Some(payload)) => {
            for (number, line) in payload.split(|byte| *byte == b'\n').enumerate() {
                add_line(&call, add, line, cx)
                    .map_err(|why| format!("{why} (line {} of the payload)", number + 1))?;
            }
        }
        ([pattern], None) if call.acl => done(&add.pair(pattern, ""), "", cx)?,
        ([key, value], None) if !call.acl => done(&add.pair(key, value), "", cx)?,
        _ => return Err(wrong.to_owned()),
    }
    Ok(Answer::Nothing)
}

fn add_line(call: &Call<'_>, add: Change<'_>, line: &[u8], cx: &mut CliCx<'_>) -> Result<(), String> {
    let line = std::str::from_utf8(line).map_err(|_| "this is not text (UTF-8).")?.trim();
    if line.is_empty() {
        return Ok(());
    }
    let (key, value) = match call.acl {
        true => (line, ""),
        false => line.split_once([' ', '\t']).ok_or_else(|| format!("Missing value for key '{line}'"))?,
    };
    done(&add.pair(key, value.trim_start()), "", cx)
}

/// The version that is meant; only the one in force and those prepared exist.
fn version_of(call: &Call<'_>, cx: &mut CliCx<'_>) -> Result<u32, String> {
    let live = live(cx)?;
    let (current, last) = live.maps().get(call.map).map_or((0, 0), MapFile::versions);
    match call.version {
        None => Ok(current),
        Some(version) if version > last => {
            Err(format!("Version number in the future, please use 'prepare {}' before.", call.kind()))
        }
        Some(version) if version < current => Err("This version was replaced by a later one.".to_owned()),
        Some(version) => Ok(version),
    }
}

fn set(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Done {
    let wrong = "'set map' expects three parameters: map identifier, key and value.";
    let call =
        call(ask.words, cx).map_err(|why| if why.starts_with("Missing") { wrong.to_owned() } else { why })?;
    let [key, value] = call.rest else { return Err(wrong.to_owned()) };
    let change = match referred(key) {
        Some(id) => call.change(Op::SetEntry).number(id).pair("", value),
        None => call.change(Op::Set).pair(key, value),
    };
    let missing = if change.op == Op::SetEntry { "key or pattern not found." } else { "entry not found." };
    done(&change, missing, cx).map(|()| Answer::Nothing)
}

fn del(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Done {
    let shown = if ask.word(1) == "acl" { "ACL" } else { "map" };
    let wrong = format!("This command expects two parameters: {shown} identifier and key.");
    if ask.words.len() == 2 {
        return Err(wrong);
    }
    let call = call(ask.words, cx)?;
    let [key] = call.rest else { return Err(wrong) };
    let change = match referred(key) {
        Some(id) => call.change(Op::DelEntry).number(id),
        None => call.change(Op::Del).pair(key, ""),
    };
    done(&change, "Key not found.", cx).map(|()| Answer::Nothing)
}

fn clear(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Done {
    let call = call(ask.words, cx)?;
    only_the_file(&call)?;
    let change = match call.version {
        None => call.change(Op::Clear),
        Some(version) => call.change(Op::ClearVersion).number(version),
    };
    done(&change, "", cx).map(|()| Answer::Nothing)
}

fn prepare(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Done {
    let call = call(ask.words, cx)?;
    only_the_file(&call)?;
    done(&call.change(Op::Prepare), "", cx)?;
    let last = live(cx)?.maps().get(call.map).map_or(0, |file| file.versions().1);
    Ok(Answer::Text(format!("New version created: {last}")))
}

fn commit(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Done {
    if ask.words.len() == 2 {
        return Err("Missing version number.".to_owned());
    }
    let call = call(ask.words, cx)?;
    only_the_file(&call)?;
    let version = call.version.ok_or("Missing version number.")?;
    done(&call.change(Op::Commit).number(version), "Version number out of range.", cx)
        .map(|()| Answer::Nothing)
}

fn only_the_file(call: &Call<'_>) -> Result<(), String> {
    match call.rest {
        [] => Ok(()),
        [word, ..] => Err(format!("'{} {}' does not expect '{word}'.", call.verb, call.kind())),
    }
}
